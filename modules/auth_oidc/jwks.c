/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Sets of keys, and the choice among them. A kid only chooses; what a chosen key may verify is the
 * key's and the configuration's business. A set is made of public keys or is one secret, never
 * both, so that no public key can ever serve as a secret.
 */
#include "jose.h"

#include "jwa.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#define SECRET_MIN 32

struct jwks {
	struct jwk *v;
	unsigned n;
	uint8_t *secret; /* NULL: a set of public keys */
	size_t secret_len;
};

static struct jwks *refuse(json_t *set, const char **why, const char *text)
{
	json_decref(set);
	*why = text;
	return NULL;
}

struct jwks *jwks_parse(struct merlon_str json, unsigned *left_out, const char **why)
{
	const json_t *keys;
	struct jwks *k;
	json_t *set;

	*left_out = 0;
	*why = NULL;
	if (json.len > JWKS_MAX)
		return refuse(NULL, why, "the key set is too large");
	set = jose_json(json, why);
	if (!set)
		return NULL;
	keys = json_object_get(set, "keys");
	if (!json_is_array(keys))
		return refuse(set, why, "the key set has no list \"keys\"");
	if (json_array_size(keys) > JWKS_KEYS_MAX)
		return refuse(set, why, "the key set has too many keys");
	k = mem_new(1, sizeof(*k));
	k->v = mem_new(json_array_size(keys) + 1, sizeof(*k->v));
	for (size_t i = 0; i < json_array_size(keys); i++) {
		if (jwk_read(json_array_get(keys, i), &k->v[k->n]))
			k->n++;
		else
			(*left_out)++;
	}
	json_decref(set);
	return k;
}

struct jwks *jwks_secret(struct merlon_str secret)
{
	struct jwks *k;

	if (secret.len < SECRET_MIN)
		return NULL;
	k = mem_new(1, sizeof(*k));
	k->secret = mem_new(secret.len, 1);
	k->secret_len = secret.len;
	memcpy(k->secret, secret.ptr, secret.len);
	return k;
}

void jwks_free(struct jwks *k)
{
	if (!k)
		return;
	for (unsigned i = 0; i < k->n; i++)
		jwk_deinit(&k->v[i]);
	if (k->secret)
		OPENSSL_cleanse(k->secret, k->secret_len);
	free(k->secret);
	free(k->v);
	free(k);
}

unsigned jwks_count(const struct jwks *k)
{
	return k->secret ? 1 : k->n;
}

static enum jwks_found refuse_token(const char **why, enum jwks_found found, const char *text)
{
	*why = text;
	return found;
}

static enum jwks_found verify_secret(const struct jwks *k, const struct jwt *t, const char **why)
{
	struct merlon_str secret = {(const char *)k->secret, k->secret_len};

	if (!(JOSE_BIT(t->alg) & JOSE_SECRET))
		return refuse_token(why, JWKS_BAD, "the token's algorithm is not the key's");
	if (!jwa_holds_hmac(t->alg, secret, t))
		return refuse_token(why, JWKS_BAD, "the token's signature does not hold");
	return JWKS_OK;
}

static bool chosen(const struct jwk *k, const struct jwt *t)
{
	if (t->kid.ptr)
		return k->kid.ptr && txt_eq(k->kid, t->kid);
	return (k->algs & JOSE_BIT(t->alg)) != 0;
}

static enum jwks_found verify_public(const struct jwks *k, const struct jwt *t, const char **why)
{
	unsigned named = 0, tried = 0;

	for (unsigned i = 0; i < k->n && tried < JWKS_TRIES_MAX; i++) {
		if (!chosen(&k->v[i], t))
			continue;
		named++;
		if (!(k->v[i].algs & JOSE_BIT(t->alg)))
			continue;
		tried++;
		if (jwa_holds(t->alg, k->v[i].key, t))
			return JWKS_OK;
	}
	if (named == 0)
		return refuse_token(why, JWKS_NO_KEY, "the token's key is not known");
	if (tried == 0)
		return refuse_token(why, JWKS_BAD, "the token's algorithm is not the key's");
	return refuse_token(why, JWKS_BAD, "the token's signature does not hold");
}

enum jwks_found jwks_verify(const struct jwks *k, const struct jwt *t, uint32_t algs,
                            const char **why)
{
	*why = NULL;
	if (t->alg >= JOSE_ALGS || !(JOSE_BIT(t->alg) & algs))
		return refuse_token(why, JWKS_BAD, "the token's algorithm is not allowed");
	return k->secret ? verify_secret(k, t, why) : verify_public(k, t, why);
}
