/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Keys and signatures: the vectors of the RFCs, every algorithm against every kind of key, the keys
 * that are left out of a set, and the signatures that look like some and are none.
 */
#include "jose.h"

#include "mint.h"
#include "unit/unit.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>

#define CLAIMS "{\"iss\":\"i\",\"aud\":\"a\",\"exp\":1900000000}"
#define ALL (JOSE_PUBLIC | JOSE_SECRET)

/* One of each kind, made once: RSA takes its time. */
enum kind { K_RSA, K_RSA3072, K_P256, K_P384, K_P521, K_ED25519, K_ED448, KINDS };
static EVP_PKEY *keys[KINDS];

static void begin(void)
{
	static const char *const names[KINDS] = {"RSA-2048", "RSA-3072", "P-256", "P-384",
	                                         "P-521",    "ED25519",  "ED448"};

	for (unsigned i = 0; !keys[KINDS - 1] && i < KINDS; i++)
		keys[i] = mint_key(names[i]);
}

static void end(void)
{
	for (unsigned i = 0; i < KINDS; i++)
		EVP_PKEY_free(keys[i]);
}

static struct jwks *set_of(const char *json, unsigned want_left_out)
{
	const char *why = NULL;
	unsigned left_out = 99;
	struct jwks *k = jwks_parse(txt_of(json), &left_out, &why);

	CU_ASSERT_PTR_NOT_NULL(k);
	CU_ASSERT_EQUAL(left_out, want_left_out);
	return k;
}

static struct jwks *set_with(EVP_PKEY *key, const char *more)
{
	char *jwk = mint_jwk(key, more), *json = mint_set(&jwk, 1);
	struct jwks *k = set_of(json, 0);

	free(jwk);
	free(json);
	return k;
}

static enum jwks_found verify(const struct jwks *k, const char *token, uint32_t algs)
{
	enum jwks_found r = JWKS_BAD;
	const char *why;
	struct jwt t;

	CU_ASSERT_EQUAL(jwt_parse(txt_of(token), &t, &why), JWT_OK);
	if (t.signature)
		r = jwks_verify(k, &t, algs, &why);
	CU_ASSERT_EQUAL(why == NULL, r == JWKS_OK);
	CU_ASSERT_EQUAL(ERR_peek_error(), 0);
	jwt_free(&t);
	return r;
}

static char *signed_as(enum jose_alg alg, EVP_PKEY *key, const char *more)
{
	char header[256];

	snprintf(header, sizeof(header), "{\"alg\":\"%s\"%s%s}", jose_alg_names[alg],
	         *more ? "," : "", more);
	return mint_token(alg, key, TXT("0123456789abcdef0123456789abcdef"), header, CLAIMS);
}

/* ---- vectors ---- */
#define JOE                                                                                        \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0" \
	"cnVlfQ"
#define BILBO                                                                                      \
	"SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAg" \
	"b250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dp" \
	"bmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4"

static const struct {
	const char *from;
	enum jose_alg alg;
	const char *jwk, *signed_part, *signature;
} vectors[] = {
    {"RFC 7515 A.2", JOSE_RS256,
     "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw"
     "-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0"
     "LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5Zw"
     "Kh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\","
     "\"e\":\"AQAB\"}",
     "eyJhbGciOiJSUzI1NiJ9." JOE,
     "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5"
     "jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb"
     "1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QO"
     "YEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
    {"RFC 7515 A.3", JOSE_ES256,
     "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
     "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\","
     "\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"}",
     "eyJhbGciOiJFUzI1NiJ9." JOE,
     "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
    {"RFC 7515 A.4", JOSE_ES512,
     "{\"kty\":\"EC\",\"crv\":\"P-521\","
     "\"x\":\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceq"
     "wQGk\",\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ub"
     "mf63e3kyMj2\"}",
     "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA",
     "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8G"
     "aSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"},
    {"RFC 7520 4.2", JOSE_PS384,
     "{\"kty\":\"RSA\",\"n\":\"n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhx"
     "JWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBord"
     "aZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVb"
     "b9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw\","
     "\"e\":\"AQAB\"}",
     "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." BILBO,
     "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TT"
     "B5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrY"
     "RXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtf"
     "a64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw"},
    {"RFC 7520 4.3", JOSE_ES512,
     "{\"kty\":\"EC\",\"crv\":\"P-521\",\"use\":\"sig\","
     "\"x\":\"AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5c"
     "j0Kt\",\"y\":\"AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cw"
     "lGfP-HqHZR1\"}",
     "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." BILBO,
     "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3"
     "mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2"},
    {"RFC 8037 A.4", JOSE_EDDSA,
     "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\","
     "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
     "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
     "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
};

/* Most of their payloads are no claims, so the parts are put together here. */
static void published_signatures_hold(void)
{
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		uint8_t sig[512];
		struct jwt t = {.alg = vectors[i].alg,
		                .signed_part = txt_of(vectors[i].signed_part),
		                .signature = sig};
		char *jwk = strdup(vectors[i].jwk), *json = mint_set(&jwk, 1);
		struct jwks *k = set_of(json, 0);
		const char *why;

		t.signature_len = (size_t)jose_base64url(txt_of(vectors[i].signature), sig);
		CU_ASSERT_EQUAL(jwks_verify(k, &t, JOSE_BIT(t.alg), &why), JWKS_OK);
		CU_ASSERT_EQUAL(jwks_verify(k, &t, ALL & ~JOSE_BIT(t.alg), &why), JWKS_BAD);
		sig[t.signature_len / 2] ^= 1;
		CU_ASSERT_EQUAL(jwks_verify(k, &t, ALL, &why), JWKS_BAD);
		sig[t.signature_len / 2] ^= 1;
		t.signed_part.len--;
		CU_ASSERT_EQUAL(jwks_verify(k, &t, ALL, &why), JWKS_BAD);
		jwks_free(k);
		free(json);
		free(jwk);
	}
}

static void published_hmacs_hold(void)
{
	static const char a1[] = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." JOE
				 ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
	uint8_t secret[64];
	int64_t n = jose_base64url(TXT("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
	                               "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"),
	                           secret);
	struct jwks *k = jwks_secret((struct merlon_str){(const char *)secret, (uint64_t)n});

	CU_ASSERT_EQUAL_FATAL(n, 64);
	CU_ASSERT_EQUAL(verify(k, a1, JOSE_SECRET), JWKS_OK);
	CU_ASSERT_EQUAL(verify(k, a1, JOSE_PUBLIC), JWKS_BAD);
	jwks_free(k);
}

/* ---- algorithms and keys ---- */
static bool legal(enum jose_alg alg, enum kind kind)
{
	switch (alg) {
	case JOSE_ES256:
		return kind == K_P256;
	case JOSE_ES384:
		return kind == K_P384;
	case JOSE_ES512:
		return kind == K_P521;
	case JOSE_EDDSA:
		return kind == K_ED25519 || kind == K_ED448;
	case JOSE_HS256:
	case JOSE_HS384:
	case JOSE_HS512:
		return false;
	case JOSE_RS256:
	case JOSE_RS384:
	case JOSE_RS512:
	case JOSE_PS256:
	case JOSE_PS384:
	case JOSE_PS512:
	case JOSE_ALGS:
	default:
		return kind == K_RSA || kind == K_RSA3072;
	}
}

/* The key's own alg is each that it can have; with and without a kid that chooses it. */
static void check_bound(enum kind kind, enum jose_alg alg, const char *plain, const char *named)
{
	for (unsigned own = 0; own < JOSE_ALGS; own++) {
		bool want = own == alg;
		struct jwks *k;
		char more[64];

		if (!legal((enum jose_alg)own, kind))
			continue;
		snprintf(more, sizeof(more), "\"kid\":\"k\",\"alg\":\"%s\"", jose_alg_names[own]);
		k = set_with(keys[kind], more);
		CU_ASSERT_EQUAL(verify(k, plain, ALL), want ? JWKS_OK : JWKS_NO_KEY);
		CU_ASSERT_EQUAL(verify(k, named, ALL), want ? JWKS_OK : JWKS_BAD);
		jwks_free(k);
	}
}

/* The token names an algorithm and is signed as well as the key can. */
static void only_legal_cells_hold(void)
{
	unsigned held = 0;

	begin();
	for (unsigned i = 0; i < KINDS * JOSE_ALGS; i++) {
		enum kind kind = i / JOSE_ALGS;
		enum jose_alg alg = i % JOSE_ALGS;
		bool want = legal(alg, kind);
		char *plain = signed_as(alg, keys[kind], "");
		char *named = signed_as(alg, keys[kind], "\"kid\":\"k\"");
		struct jwks *k = set_with(keys[kind], "\"kid\":\"k\"");

		CU_ASSERT_EQUAL(verify(k, plain, ALL), want ? JWKS_OK : JWKS_NO_KEY);
		CU_ASSERT_EQUAL(verify(k, named, ALL), want ? JWKS_OK : JWKS_BAD);
		CU_ASSERT_EQUAL(verify(k, named, ALL & ~JOSE_BIT(alg)), JWKS_BAD);
		held += want;
		check_bound(kind, alg, plain, named);
		jwks_free(k);
		free(plain);
		free(named);
	}
	CU_ASSERT_EQUAL(held, 6 * 2 + 3 + 2);
}

/* The classic: a token under HMAC with the public key as its secret. */
static void a_public_key_is_no_secret(void)
{
	char *jwk, *z;
	struct jwks *k;

	begin();
	k = set_with(keys[K_RSA], "\"kid\":\"a\"");
	jwk = mint_jwk(keys[K_RSA], "\"kid\":\"a\"");
	for (unsigned alg = JOSE_HS256; alg <= JOSE_HS512; alg++) {
		z = mint_token((enum jose_alg)alg, NULL, txt_of(jwk),
		               "{\"alg\":\"HS256\",\"kid\":\"a\"}", CLAIMS);
		CU_ASSERT_EQUAL(verify(k, z, ALL), JWKS_BAD);
		free(z);
	}
	free(jwk);
	jwks_free(k);
}

static void a_secret_verifies_hmac_alone(void)
{
	static const char secret[] = "0123456789abcdef0123456789abcdef";
	struct jwks *k = jwks_secret(txt_of(secret));
	char *z;

	begin();
	CU_ASSERT_EQUAL(jwks_count(k), 1);
	CU_ASSERT_PTR_NULL(jwks_secret((struct merlon_str){secret, 31}));
	CU_ASSERT_PTR_NULL(jwks_secret((struct merlon_str){NULL, 0}));
	for (unsigned alg = 0; alg < JOSE_ALGS; alg++) {
		z = signed_as((enum jose_alg)alg, alg < JOSE_HS256 ? keys[K_RSA] : NULL, "");
		CU_ASSERT_EQUAL(verify(k, z, ALL), alg < JOSE_HS256 ? JWKS_BAD : JWKS_OK);
		free(z);
	}
	z = signed_as(JOSE_HS256, NULL, "\"kid\":\"x\"");
	CU_ASSERT_EQUAL(verify(k, z, ALL), JWKS_OK);
	free(z);
	z = mint_token(JOSE_HS256, NULL, TXT("0123456789abcdef0123456789abcdeF"),
	               "{\"alg\":\"HS256\"}", CLAIMS);
	CU_ASSERT_EQUAL(verify(k, z, ALL), JWKS_BAD);
	free(z);
	z = mint_token(JOSE_HS256, NULL, txt_of(secret), "{\"alg\":\"HS384\"}", CLAIMS);
	CU_ASSERT_EQUAL(verify(k, z, ALL), JWKS_BAD);
	free(z);
	z = mint_token(JOSE_HS256, NULL, txt_of(secret), "{\"alg\":\"RS256\"}", CLAIMS);
	CU_ASSERT_EQUAL(verify(k, z, ALL), JWKS_BAD);
	free(z);
	jwks_free(k);
}

/* ---- signatures that are none ---- */
static void expect_bad_signature(const struct jwks *k, const char *alg, const uint8_t *sig,
                                 size_t n)
{
	char header[64], *z;

	snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", alg);
	z = mint_parts(header, CLAIMS, sig, n);
	CU_ASSERT_EQUAL(verify(k, z, ALL), JWKS_BAD);
	free(z);
}

static void ecdsa_signatures_are_within_the_order(void)
{
	static const char order[] =
	    "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551";
	uint8_t values[4][32] = {{0}, {0}}, sig[140] = {0};
	BIGNUM *n = NULL;
	struct jwks *k;

	begin();
	k = set_with(keys[K_P256], "");
	values[1][31] = 1;
	BN_hex2bn(&n, order);
	BN_bn2binpad(n, values[2], 32);
	memset(values[3], 0xff, 32);
	BN_free(n);
	for (unsigned i = 0; i < 16; i++) {
		memcpy(sig, values[i / 4], 32);
		memcpy(sig + 32, values[i % 4], 32);
		expect_bad_signature(k, "ES256", sig, 64);
	}
	memset(sig, 0, sizeof(sig));
	for (size_t len = 1; len <= sizeof(sig); len++)
		expect_bad_signature(k, "ES256", sig, len);
	jwks_free(k);
}

/* The right r and s in OpenSSL's own form, with a zero byte before each, cut, and with more behind.
 */
static void ecdsa_signatures_have_one_form(void)
{
	uint8_t sig[200] = {0}, wide[66] = {0};
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	char *input, *z, *part;
	size_t n = sizeof(sig);
	struct jwks *k;

	begin();
	k = set_with(keys[K_P256], "");
	z = signed_as(JOSE_ES256, keys[K_P256], "");
	CU_ASSERT_EQUAL(verify(k, z, ALL), JWKS_OK);
	part = strrchr(z, '.') + 1;
	CU_ASSERT_EQUAL(jose_base64url(txt_of(part), sig), 64);
	memcpy(wide + 1, sig, 32);
	memcpy(wide + 34, sig + 32, 32);
	expect_bad_signature(k, "ES256", wide, sizeof(wide));
	*part = '\0';
	for (size_t len = 60; len <= 68; len++) {
		char *tail = mint_base64url(sig, len),
		     *whole = mem_new(strlen(z) + strlen(tail) + 1, 1);
		strcat(strcpy(whole, z), tail);
		CU_ASSERT_EQUAL(verify(k, whole, ALL), len == 64 ? JWKS_OK : JWKS_BAD);
		free(whole);
		free(tail);
	}
	n = sizeof(sig);
	input = strdup(z);
	input[strlen(input) - 1] = '\0';
	CU_ASSERT_EQUAL(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, keys[K_P256], NULL),
	                1);
	CU_ASSERT_EQUAL(EVP_DigestSign(ctx, sig, &n, (const uint8_t *)input, strlen(input)), 1);
	expect_bad_signature(k, "ES256", sig, n);
	EVP_MD_CTX_free(ctx);
	free(input);
	free(z);
	jwks_free(k);
}

static void rsa_signatures_are_as_long_as_the_key(void)
{
	uint8_t sig[600];
	struct jwks *k;
	char *z;
	int64_t n;

	begin();
	k = set_with(keys[K_RSA], "");
	for (unsigned alg = JOSE_RS256; alg <= JOSE_PS512; alg++) {
		z = signed_as((enum jose_alg)alg, keys[K_RSA], "");
		CU_ASSERT_EQUAL(verify(k, z, ALL), JWKS_OK);
		n = jose_base64url(txt_of(strrchr(z, '.') + 1), sig + 1);
		CU_ASSERT_EQUAL(n, 256);
		sig[0] = 0;
		sig[257] = 0;
		expect_bad_signature(k, jose_alg_names[alg], sig, 257);
		expect_bad_signature(k, jose_alg_names[alg], sig + 1, 257);
		expect_bad_signature(k, jose_alg_names[alg], sig + 1, 255);
		expect_bad_signature(k, jose_alg_names[alg], sig + 2, 255);
		free(z);
	}
	memset(sig, 0, sizeof(sig));
	expect_bad_signature(k, "RS256", sig, 256);
	sig[255] = 1;
	expect_bad_signature(k, "RS256", sig, 256);
	memset(sig, 0xff, sizeof(sig));
	expect_bad_signature(k, "PS256", sig, 256);
	jwks_free(k);
}

/* The number is the same one without its leading zero; the spelling is not. */
static void rsa_signatures_keep_their_leading_zeros(void)
{
	uint8_t sig[600];
	struct jwks *k;
	unsigned tries = 0;
	char *z, *cut;

	begin();
	k = set_with(keys[K_RSA], "");
	do {
		z = signed_as(JOSE_PS256, keys[K_RSA], "");
		CU_ASSERT_EQUAL_FATAL(jose_base64url(txt_of(strrchr(z, '.') + 1), sig), 256);
		if (sig[0] != 0)
			free(z);
	} while (sig[0] != 0 && ++tries < 20000);
	CU_ASSERT_EQUAL_FATAL(sig[0], 0);
	CU_ASSERT_EQUAL(verify(k, z, ALL), JWKS_OK);
	cut = mint_base64url(sig + 1, 255);
	strcpy(strrchr(z, '.') + 1, cut);
	CU_ASSERT_EQUAL(verify(k, z, ALL), JWKS_BAD);
	free(cut);
	free(z);
	jwks_free(k);
}

static void what_was_not_parsed_does_not_hold(void)
{
	struct jwks *k = jwks_secret(TXT("0123456789abcdef0123456789abcdef"));
	const char *why;
	struct jwt t;

	CU_ASSERT_EQUAL(jwt_parse(TXT("x"), &t, &why), JWT_NOT_ONE);
	CU_ASSERT_EQUAL(jwks_verify(k, &t, UINT32_MAX, &why), JWKS_BAD);
	jwks_free(k);
}

static void *verify_often(void *arg)
{
	void **v = arg;
	struct jwt t;
	const char *why;
	uintptr_t held = 0;

	for (unsigned i = 0; i < 50; i++) {
		if (jwt_parse(txt_of(v[1]), &t, &why) == JWT_OK)
			held += jwks_verify(v[0], &t, ALL, &why) == JWKS_OK;
		jwt_free(&t);
	}
	return (void *)held;
}

static void keys_serve_all_threads_at_once(void)
{
	static const struct {
		enum kind kind;
		enum jose_alg alg;
	} rows[] = {{K_RSA, JOSE_RS256},
	            {K_RSA, JOSE_PS512},
	            {K_P384, JOSE_ES384},
	            {K_ED25519, JOSE_EDDSA}};
	pthread_t threads[4];
	void *held;

	begin();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		void *arg[2] = {set_with(keys[rows[i].kind], ""),
		                signed_as(rows[i].alg, keys[rows[i].kind], "")};
		for (unsigned n = 0; n < 4; n++)
			CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[n], NULL, verify_often, arg),
			                      0);
		for (unsigned n = 0; n < 4; n++) {
			pthread_join(threads[n], &held);
			CU_ASSERT_EQUAL((uintptr_t)held, 50);
		}
		jwks_free(arg[0]);
		free(arg[1]);
	}
	end();
}

UNIT_MAIN("jose_keys", UNIT(published_signatures_hold), UNIT(published_hmacs_hold),
          UNIT(only_legal_cells_hold), UNIT(a_public_key_is_no_secret),
          UNIT(a_secret_verifies_hmac_alone), UNIT(ecdsa_signatures_are_within_the_order),
          UNIT(ecdsa_signatures_have_one_form), UNIT(rsa_signatures_are_as_long_as_the_key),
          UNIT(rsa_signatures_keep_their_leading_zeros), UNIT(what_was_not_parsed_does_not_hold),
          UNIT(keys_serve_all_threads_at_once))
