/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * One JSON Web Key to one EVP_PKEY. The kind of key and its curve decide which algorithms it
 * verifies; its own alg may only narrow that. What is not exactly right verifies nothing: a key
 * that is guessed at is worse than one that is missing.
 */
#include "jwa.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <stdlib.h>

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 16384
#define RSA_E_BITS_MAX 32                 /* of the exponent: verification costs with its length */
#define NUMBER_MAX (RSA_BITS_MAX / 8 + 1) /* some write one zero byte before the modulus */
#define EC_PART_MAX 66
#define OPS_MAX 16 /* of key_ops; eight are registered */

#define RSA_ALGS                                                                                   \
	(JOSE_BIT(JOSE_RS256) | JOSE_BIT(JOSE_RS384) | JOSE_BIT(JOSE_RS512) |                      \
	 JOSE_BIT(JOSE_PS256) | JOSE_BIT(JOSE_PS384) | JOSE_BIT(JOSE_PS512))

static struct merlon_str text_of(const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);

	return (struct merlon_str){json_string_value(v), json_string_length(v)};
}

static bool is(const json_t *o, const char *name, const char *value)
{
	return txt_eq(text_of(o, name), txt_of(value));
}

/* Bytes of a member in base64url, at most max; -1: missing, or something else. */
static int64_t bytes_of(const json_t *o, const char *name, uint8_t *out, size_t max)
{
	struct merlon_str s = text_of(o, name);
	uint8_t buf[NUMBER_MAX + 3];
	int64_t n;

	if (!s.ptr || s.len > (NUMBER_MAX + 2) / 3 * 4)
		return -1;
	n = jose_base64url(s, buf);
	if (n < 0 || (size_t)n > max)
		return -1;
	memcpy(out, buf, (size_t)n);
	return n;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (!ctx || !params)
		abort();
	if (EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return key;
}

static BIGNUM *number_of(const json_t *o, const char *name)
{
	uint8_t bytes[NUMBER_MAX];
	int64_t n = bytes_of(o, name, bytes, sizeof(bytes));
	BIGNUM *v = n > 0 ? BN_bin2bn(bytes, (int)n, NULL) : NULL;

	return v;
}

static bool rsa_fits(const BIGNUM *n, const BIGNUM *e)
{
	return n && e && BN_num_bits(n) >= RSA_BITS_MIN && BN_num_bits(n) <= RSA_BITS_MAX &&
	       BN_is_odd(n) && BN_is_odd(e) && !BN_is_one(e) && BN_num_bits(e) <= RSA_E_BITS_MAX;
}

static EVP_PKEY *read_rsa(const json_t *o, uint32_t *algs)
{
	BIGNUM *n = number_of(o, "n"), *e = number_of(o, "e");
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;

	if (!bld)
		abort();
	if (rsa_fits(n, e) && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		key = from_params("RSA", OSSL_PARAM_BLD_to_param(bld));
	OSSL_PARAM_BLD_free(bld);
	BN_free(n);
	BN_free(e);
	*algs = RSA_ALGS;
	return key;
}

/* OpenSSL refuses a point that is not on the curve; the one at infinity has no such form. */
static EVP_PKEY *read_ec(const json_t *o, uint32_t *algs)
{
	static const struct {
		const char *crv, *group;
		enum jose_alg alg;
		int64_t len;
	} curves[] = {
	    {"P-256", "prime256v1", JOSE_ES256, 32},
	    {"P-384", "secp384r1", JOSE_ES384, 48},
	    {"P-521", "secp521r1", JOSE_ES512, 66},
	};
	uint8_t point[1 + 2 * EC_PART_MAX] = {4};
	OSSL_PARAM_BLD *bld;
	EVP_PKEY *key = NULL;
	size_t i = 0, len;

	while (i < 3 && !is(o, "crv", curves[i].crv))
		i++;
	if (i == 3)
		return NULL;
	len = (size_t)curves[i].len;
	if (bytes_of(o, "x", point + 1, len) != curves[i].len ||
	    bytes_of(o, "y", point + 1 + len, len) != curves[i].len)
		return NULL;
	bld = OSSL_PARAM_BLD_new();
	if (!bld)
		abort();
	if (OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, curves[i].group, 0) ==
	        1 &&
	    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * len) == 1)
		key = from_params("EC", OSSL_PARAM_BLD_to_param(bld));
	OSSL_PARAM_BLD_free(bld);
	*algs = JOSE_BIT(curves[i].alg);
	return key;
}

static EVP_PKEY *read_okp(const json_t *o, uint32_t *algs)
{
	static const struct {
		const char *crv;
		int64_t len;
	} curves[] = {{"Ed25519", 32}, {"Ed448", 57}};
	uint8_t x[57];

	*algs = JOSE_BIT(JOSE_EDDSA);
	for (size_t i = 0; i < 2; i++) {
		if (is(o, "crv", curves[i].crv) &&
		    bytes_of(o, "x", x, (size_t)curves[i].len) == curves[i].len)
			return EVP_PKEY_new_raw_public_key_ex(NULL, curves[i].crv, NULL, x,
			                                      (size_t)curves[i].len);
	}
	return NULL;
}

/* Texts, each once (RFC 7517 §4.3), and verify among them. */
static bool ops_allow(const json_t *ops)
{
	bool verify = false;

	if (!ops)
		return true;
	if (json_array_size(ops) > OPS_MAX)
		return false;
	for (size_t i = 0; i < json_array_size(ops); i++) {
		const char *op = json_string_value(json_array_get(ops, i));
		if (!op)
			return false;
		for (size_t k = 0; k < i; k++) {
			if (strcmp(op, json_string_value(json_array_get(ops, k))) == 0)
				return false;
		}
		verify |= strcmp(op, "verify") == 0;
	}
	return verify;
}

/* What the key's own alg leaves of what its kind allows. */
static uint32_t narrow(const json_t *o, uint32_t algs)
{
	if (!json_object_get(o, "alg"))
		return algs;
	for (unsigned i = 0; i < JOSE_ALGS; i++) {
		if (is(o, "alg", jose_alg_names[i]))
			return algs & JOSE_BIT(i);
	}
	return 0;
}

static bool read_kid(const json_t *v, struct merlon_str *out)
{
	*out = (struct merlon_str){json_string_value(v), json_string_length(v)};
	return !v || (json_is_string(v) && out->len <= JWT_KID_MAX);
}

static EVP_PKEY *read_key(const json_t *o, uint32_t *algs)
{
	EVP_PKEY *key = NULL;

	ERR_set_mark();
	if (is(o, "kty", "RSA"))
		key = read_rsa(o, algs);
	else if (is(o, "kty", "EC"))
		key = read_ec(o, algs);
	else if (is(o, "kty", "OKP"))
		key = read_okp(o, algs);
	ERR_pop_to_mark();
	return key;
}

bool jwk_read(const json_t *object, struct jwk *out)
{
	struct merlon_str kid;

	*out = (struct jwk){{NULL, 0}, 0, NULL};
	if (!json_is_object(object) || !read_kid(json_object_get(object, "kid"), &kid) ||
	    (json_object_get(object, "use") && !is(object, "use", "sig")) ||
	    !ops_allow(json_object_get(object, "key_ops")))
		return false;
	out->key = read_key(object, &out->algs);
	out->algs = narrow(object, out->algs);
	if (!out->key || out->algs == 0) {
		jwk_deinit(out);
		return false;
	}
	if (kid.ptr)
		out->kid = mem_copy(kid);
	return true;
}

void jwk_deinit(struct jwk *k)
{
	EVP_PKEY_free(k->key);
	free((void *)(uintptr_t)k->kid.ptr);
	*k = (struct jwk){{NULL, 0}, 0, NULL};
}
