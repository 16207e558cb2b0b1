/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Key sets: which keys are left out, which sets are refused, and which key a kid chooses.
 */
#include "jose.h"

#include "mint.h"
#include "unit/unit.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <stdlib.h>

#define CLAIMS "{\"iss\":\"i\",\"aud\":\"a\",\"exp\":1900000000}"

static void expect_set(const char *json, unsigned count, unsigned left_out)
{
	const char *why = NULL;
	unsigned left = 99;
	struct jwks *k = jwks_parse(txt_of(json), &left, &why);

	CU_ASSERT_PTR_NOT_NULL_FATAL(k);
	if (jwks_count(k) != count || left != left_out)
		printf("    %u and %u: %.300s\n", jwks_count(k), left, json);
	CU_ASSERT_EQUAL(jwks_count(k), count);
	CU_ASSERT_EQUAL(left, left_out);
	CU_ASSERT_EQUAL(ERR_peek_error(), 0);
	jwks_free(k);
}

static void expect_key(const char *jwk, bool used)
{
	char *copy = strdup(jwk), *json = mint_set(&copy, 1);

	expect_set(json, used, !used);
	free(json);
	free(copy);
}

static void use_key_ops_and_alg_leave_out(void)
{
	static const struct {
		bool used;
		const char *more;
	} rows[] = {
	    {true, ""},
	    {true, "\"use\":\"sig\""},
	    {false, "\"use\":\"enc\""},
	    {false, "\"use\":\"SIG\""},
	    {false, "\"use\":1"},
	    {false, "\"use\":null"},
	    {true, "\"key_ops\":[\"verify\"]"},
	    {true, "\"key_ops\":[\"sign\",\"verify\"]"},
	    {false, "\"key_ops\":[\"sign\"]"},
	    {false, "\"key_ops\":[]"},
	    {false, "\"key_ops\":\"verify\""},
	    {false, "\"key_ops\":[1]"},
	    {false, "\"key_ops\":[\"verify\",1]"},
	    {false, "\"key_ops\":[\"verify\",\"verify\"]"},
	    {true, "\"alg\":\"ES256\""},
	    {false, "\"alg\":\"ES384\""},
	    {false, "\"alg\":\"RS256\""},
	    {false, "\"alg\":\"HS256\""},
	    {false, "\"alg\":\"ECDH-ES\""},
	    {false, "\"alg\":\"none\""},
	    {false, "\"alg\":1"},
	    {true, "\"kid\":\"\""},
	    {true, "\"kid\":\"k\",\"x5c\":[\"AAAA\"],\"x5u\":\"https://a.example\",\"more\":{}"},
	    {false, "\"kid\":1"},
	    {false, "\"kid\":null"},
	    {true, "\"d\":\"AAAA\""},
	};
	EVP_PKEY *key = mint_key("P-256");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *jwk = mint_jwk(key, rows[i].more);
		expect_key(jwk, rows[i].used);
		free(jwk);
	}
	EVP_PKEY_free(key);
}

static void other_kinds_are_left_out(void)
{
	static const char *const kinds[] = {"secp256k1", "X25519", "RSA-1024", "RSA-2040"};
	static const char *const raw[] = {
	    "{}",
	    "1",
	    "null",
	    "[]",
	    "\"RSA\"",
	    "{\"kty\":1}",
	    "{\"kty\":\"rsa\"}",
	    "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
	    "1qS0gZH75aKtMN3Yj0i\"}",
	    "{\"kty\":\"RSA\"}",
	    "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
	    "{\"kty\":\"RSA\",\"n\":1,\"e\":\"AQAB\"}",
	    "{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"\"}",
	    "{\"kty\":\"EC\",\"crv\":\"P-256\"}",
	    "{\"kty\":\"EC\",\"crv\":1}",
	    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"\",\"y\":\"\"}",
	    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
	    "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
	    "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
	    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}",
	    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}",
	    "{\"kty\":\"OKP\",\"crv\":\"Ed448\",\"x\":\"11qYAYKxCrfVS_"
	    "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		EVP_PKEY *key = mint_key(kinds[i]);
		char *jwk = mint_jwk(key, "");
		expect_key(jwk, false);
		free(jwk);
		EVP_PKEY_free(key);
	}
	for (size_t i = 0; i < sizeof(raw) / sizeof(raw[0]); i++)
		expect_key(raw[i], false);
}

static void texts_of_keys_have_ceilings(void)
{
	EVP_PKEY *key = mint_key("ED25519");
	char kid[JWT_KID_MAX + 2], more[512], *jwk;

	memset(kid, 'k', sizeof(kid));
	for (unsigned len = JWT_KID_MAX; len <= JWT_KID_MAX + 1; len++) {
		snprintf(more, sizeof(more), "\"kid\":\"%.*s\"", (int)len, kid);
		jwk = mint_jwk(key, more);
		expect_key(jwk, len == JWT_KID_MAX);
		free(jwk);
	}
	for (unsigned ops = 16; ops <= 17; ops++) {
		char *to = stpcpy(more, "\"key_ops\":[\"verify\"");
		for (unsigned i = 1; i < ops; i++)
			to += sprintf(to, ",\"%u\"", i);
		strcpy(to, "]");
		jwk = mint_jwk(key, more);
		expect_key(jwk, ops == 16);
		free(jwk);
	}
	EVP_PKEY_free(key);
}

/* n has this many bits, all ones but where said, with zero bytes before; e these bytes. */
static void expect_rsa_zeros(bool used, unsigned bits, bool odd, const char *e_hex, unsigned zeros)
{
	size_t n = (bits + 7) / 8;
	uint8_t bytes[2200], e[64];
	BIGNUM *v = NULL;
	char *n64, *e64, json[4096];

	memset(bytes, 0, sizeof(bytes));
	memset(bytes + zeros, 0xff, n);
	if (bits % 8)
		bytes[zeros] = (uint8_t)(0xff >> (8 - bits % 8));
	n += zeros;
	bytes[n - 1] = odd ? 0xff : 0xfe;
	BN_hex2bn(&v, e_hex);
	BN_bn2bin(v, e);
	n64 = mint_base64url(bytes, n);
	e64 = mint_base64url(e, (size_t)BN_num_bytes(v));
	snprintf(json, sizeof(json), "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}", n64, e64);
	expect_key(json, used);
	BN_free(v);
	free(n64);
	free(e64);
}

static void expect_rsa(bool used, unsigned bits, bool odd, const char *e_hex)
{
	expect_rsa_zeros(used, bits, odd, e_hex, 0);
}

static void rsa_keys_have_bounds(void)
{
	expect_rsa_zeros(true, 16384, true, "010001", 1);
	expect_rsa_zeros(true, 2048, true, "010001", 1);
	expect_rsa_zeros(false, 2040, true, "010001", 1);
	expect_rsa_zeros(false, 16384, true, "010001", 2);
	expect_rsa(true, 2048, true, "010001");
	expect_rsa(true, 2048, true, "03");
	expect_rsa(true, 16384, true, "FFFFFFFF");
	expect_rsa(false, 2047, true, "010001");
	expect_rsa(false, 16385, true, "010001");
	expect_rsa(false, 17000, true, "010001");
	expect_rsa(false, 2048, false, "010001");
	expect_rsa(false, 2048, true, "01");
	expect_rsa(false, 2048, true, "02");
	expect_rsa(false, 2048, true, "010000");
	expect_rsa(false, 2048, true, "100000001");
	expect_rsa(false, 2048, true, "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF");
}

/* Each bit of a coordinate turned gives a point off the curve; so does a byte more or less. */
static void points_lie_on_the_curve(void)
{
	EVP_PKEY *key = mint_key("P-256");
	char *jwk = mint_jwk(key, ""), *x = strstr(jwk, "\"x\":\"") + 5;
	char longer[256];

	expect_key(jwk, true);
	for (unsigned i = 0; i < 40; i++) {
		char kept = x[i];
		x[i] = kept == 'A' ? 'B' : 'A';
		expect_key(jwk, false);
		x[i] = kept;
	}
	snprintf(longer, sizeof(longer), "%.*sAAAA%s", (int)(x - jwk), jwk, x);
	expect_key(longer, false);
	snprintf(longer, sizeof(longer), "%.*s%s", (int)(x - jwk), jwk, x + 4);
	expect_key(longer, false);
	free(jwk);
	EVP_PKEY_free(key);
}

static void damaged_sets_are_refused(void)
{
	static const char *const bad[] = {
	    "",
	    "{}",
	    "[]",
	    "null",
	    "{\"keys\":{}}",
	    "{\"keys\":null}",
	    "{\"keys\":[]",
	    "{\"keys\":[]}x",
	    "{\"keys\":[],\"keys\":[]}",
	    "{\"keys\":[{\"kty\":\"RSA\",\"kty\":\"RSA\"}]}",
	    "{\"keys\":[],\"a\":\"\\u0000\"}",
	    "{\"Keys\":[]}",
	    "<html>",
	};
	const char *why;
	unsigned left;
	char *big;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why = NULL;
		CU_ASSERT_PTR_NULL(jwks_parse(txt_of(bad[i]), &left, &why));
		CU_ASSERT_PTR_NOT_NULL(why);
	}
	CU_ASSERT_PTR_NULL(jwks_parse((struct merlon_str){"{\"keys\":[]\0}", 12}, &left, &why));
	expect_set("{\"keys\":[]}", 0, 0);
	big = mem_new(JWKS_MAX + 2, 1);
	memset(big, ' ', JWKS_MAX + 1);
	memcpy(big, "{\"keys\":[]}", 11);
	CU_ASSERT_PTR_NULL(jwks_parse(txt_of(big), &left, &why));
	big[JWKS_MAX] = '\0';
	expect_set(big, 0, 0);
	free(big);
	CU_ASSERT_EQUAL(left, 0);
}

static void sets_have_a_ceiling_of_keys(void)
{
	char empty[] = "{}", *jwks[JWKS_KEYS_MAX + 1], *json;
	const char *why = NULL;
	unsigned left;

	for (unsigned i = 0; i <= JWKS_KEYS_MAX; i++)
		jwks[i] = empty;
	json = mint_set(jwks, JWKS_KEYS_MAX);
	expect_set(json, 0, JWKS_KEYS_MAX);
	free(json);
	json = mint_set(jwks, JWKS_KEYS_MAX + 1);
	CU_ASSERT_PTR_NULL(jwks_parse(txt_of(json), &left, &why));
	free(json);
}

/* ---- the choice ---- */
static struct jwks *set_of(EVP_PKEY *const *keys, const char *const *more, size_t n)
{
	char *jwks[JWKS_KEYS_MAX], *json;
	const char *why;
	unsigned left;
	struct jwks *k;

	for (size_t i = 0; i < n; i++)
		jwks[i] = mint_jwk(keys[i], more[i]);
	json = mint_set(jwks, n);
	k = jwks_parse(txt_of(json), &left, &why);
	for (size_t i = 0; i < n; i++)
		free(jwks[i]);
	free(json);
	return k;
}

static enum jwks_found choose(const struct jwks *k, enum jose_alg alg, EVP_PKEY *key,
                              const char *more)
{
	char header[512], *z;
	enum jwks_found r;
	const char *why;
	struct jwt t;

	snprintf(header, sizeof(header), "{\"alg\":\"%s\"%s}", jose_alg_names[alg], more);
	z = mint_token(alg, key, TXT(""), header, CLAIMS);
	CU_ASSERT_EQUAL(jwt_parse(txt_of(z), &t, &why), JWT_OK);
	r = jwks_verify(k, &t, JOSE_PUBLIC, &why);
	jwt_free(&t);
	free(z);
	return r;
}

static void a_kid_chooses_exactly(void)
{
	EVP_PKEY *a = mint_key("P-256"), *b = mint_key("P-256"), *c = mint_key("P-384");
	EVP_PKEY *keys[] = {a, b, c};
	const char *const more[] = {"\"kid\":\"a\"", "\"kid\":\"b\"", "\"kid\":\"c\""};
	const char *const none[] = {"", "", ""};
	const char *const same[] = {"\"kid\":\"a\"", "\"kid\":\"a\"", "\"kid\":\"a\""};
	struct jwks *k = set_of(keys, more, 3);

	CU_ASSERT_EQUAL(choose(k, JOSE_ES256, a, ",\"kid\":\"a\""), JWKS_OK);
	CU_ASSERT_EQUAL(choose(k, JOSE_ES256, a, ",\"kid\":\"\\u0061\""), JWKS_OK);
	CU_ASSERT_EQUAL(choose(k, JOSE_ES256, a, ",\"kid\":\"b\""), JWKS_BAD);
	CU_ASSERT_EQUAL(choose(k, JOSE_ES256, a, ",\"kid\":\"c\""), JWKS_BAD);
	CU_ASSERT_EQUAL(choose(k, JOSE_ES256, a, ",\"kid\":\"A\""), JWKS_NO_KEY);
	CU_ASSERT_EQUAL(choose(k, JOSE_ES256, a, ",\"kid\":\"a \""), JWKS_NO_KEY);
	CU_ASSERT_EQUAL(choose(k, JOSE_ES256, a, ",\"kid\":\"\""), JWKS_NO_KEY);
	CU_ASSERT_EQUAL(choose(k, JOSE_ES256, a, ""), JWKS_OK);
	CU_ASSERT_EQUAL(choose(k, JOSE_ES256, b, ""), JWKS_OK);
	CU_ASSERT_EQUAL(choose(k, JOSE_ES384, c, ""), JWKS_OK);
	CU_ASSERT_EQUAL(choose(k, JOSE_ES256, c, ""), JWKS_BAD);
	jwks_free(k);
	k = set_of(keys, none, 3);
	CU_ASSERT_EQUAL(choose(k, JOSE_ES256, b, ""), JWKS_OK);
	CU_ASSERT_EQUAL(choose(k, JOSE_ES256, b, ",\"kid\":\"b\""), JWKS_NO_KEY);
	jwks_free(k);
	k = set_of(keys, same, 3);
	CU_ASSERT_EQUAL(choose(k, JOSE_ES256, b, ",\"kid\":\"a\""), JWKS_OK);
	CU_ASSERT_EQUAL(choose(k, JOSE_ES384, c, ",\"kid\":\"a\""), JWKS_OK);
	jwks_free(k);
	for (unsigned i = 0; i < 3; i++)
		EVP_PKEY_free(keys[i]);
}

static void tries_have_a_ceiling(void)
{
	EVP_PKEY *wrong = mint_key("P-256"), *right = mint_key("P-256"), *keys[JWKS_TRIES_MAX + 1];
	const char *more[JWKS_TRIES_MAX + 1];
	struct jwks *k;

	for (unsigned i = 0; i <= JWKS_TRIES_MAX; i++) {
		keys[i] = wrong;
		more[i] = "";
	}
	keys[JWKS_TRIES_MAX - 1] = right;
	k = set_of(keys, more, JWKS_TRIES_MAX + 1);
	CU_ASSERT_EQUAL(choose(k, JOSE_ES256, right, ""), JWKS_OK);
	jwks_free(k);
	keys[JWKS_TRIES_MAX - 1] = wrong;
	keys[JWKS_TRIES_MAX] = right;
	k = set_of(keys, more, JWKS_TRIES_MAX + 1);
	CU_ASSERT_EQUAL(choose(k, JOSE_ES256, right, ""), JWKS_BAD);
	jwks_free(k);
	EVP_PKEY_free(wrong);
	EVP_PKEY_free(right);
}

UNIT_MAIN("jwks", UNIT(use_key_ops_and_alg_leave_out), UNIT(other_kinds_are_left_out),
          UNIT(texts_of_keys_have_ceilings), UNIT(rsa_keys_have_bounds),
          UNIT(points_lie_on_the_curve), UNIT(damaged_sets_are_refused),
          UNIT(sets_have_a_ceiling_of_keys), UNIT(a_kid_chooses_exactly),
          UNIT(tries_have_a_ceiling))
