/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Keys and tokens for tests. Signs with OpenSSL's own calls, so that nothing of what is tested
 * takes part.
 */
#include "mint.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void must(bool ok)
{
	if (!ok)
		abort();
}

__attribute__((format(printf, 1, 2))) static char *text(const char *fmt, ...)
{
	char *out = NULL;
	va_list ap;

	va_start(ap, fmt);
	must(vasprintf(&out, fmt, ap) >= 0);
	va_end(ap);
	return out;
}

char *mint_base64url(const void *bytes, size_t n)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const uint8_t *p = bytes;
	char *out = mem_new(n / 3 * 4 + 5, 1), *to = out;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t bits = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) |
		                (i + 2 < n ? p[i + 2] : 0);
		size_t chars = n - i >= 3 ? 4 : n - i + 1;
		for (size_t k = 0; k < chars; k++)
			*to++ = digits[bits >> (18 - 6 * k) & 63];
	}
	return out;
}

EVP_PKEY *mint_key(const char *kind)
{
	EVP_PKEY *key;

	if (strncmp(kind, "RSA-", 4) == 0)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)atoi(kind + 4));
	else if (kind[0] == 'P' || kind[0] == 's')
		key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
	else
		key = EVP_PKEY_Q_keygen(NULL, NULL, kind);
	must(key != NULL);
	return key;
}

static char *number(EVP_PKEY *key, const char *param, size_t width)
{
	BIGNUM *v = NULL;
	uint8_t bytes[2048];
	size_t n;

	must(EVP_PKEY_get_bn_param(key, param, &v) == 1);
	n = width ? width : (size_t)BN_num_bytes(v);
	must(n <= sizeof(bytes) && BN_bn2binpad(v, bytes, (int)n) == (int)n);
	BN_free(v);
	return mint_base64url(bytes, n);
}

static char *rsa_jwk(EVP_PKEY *key, const char *more)
{
	char *n = number(key, OSSL_PKEY_PARAM_RSA_N, 0), *e = number(key, OSSL_PKEY_PARAM_RSA_E, 0);
	char *out =
	    text("{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"%s%s}", n, e, *more ? "," : "", more);

	free(n);
	free(e);
	return out;
}

static char *ec_jwk(EVP_PKEY *key, const char *more)
{
	size_t width = (size_t)(EVP_PKEY_get_bits(key) + 7) / 8;
	const char *crv = width == 66 ? "P-521" : width == 48 ? "P-384" : "P-256";
	char *x = number(key, OSSL_PKEY_PARAM_EC_PUB_X, width);
	char *y = number(key, OSSL_PKEY_PARAM_EC_PUB_Y, width);
	char group[32], *out;

	must(EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group),
	                                    NULL) == 1);
	if (strcmp(group, "secp256k1") == 0)
		crv = group;
	out = text("{\"kty\":\"EC\",\"crv\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"%s%s}", crv, x, y,
	           *more ? "," : "", more);
	free(x);
	free(y);
	return out;
}

static char *okp_jwk(EVP_PKEY *key, const char *more)
{
	const char *crv = EVP_PKEY_is_a(key, "ED25519") ? "Ed25519"
	                  : EVP_PKEY_is_a(key, "ED448") ? "Ed448"
	                                                : "X25519";
	uint8_t raw[64];
	size_t n = sizeof(raw);
	char *x, *out;

	must(EVP_PKEY_get_raw_public_key(key, raw, &n) == 1);
	x = mint_base64url(raw, n);
	out = text("{\"kty\":\"OKP\",\"crv\":\"%s\",\"x\":\"%s\"%s%s}", crv, x, *more ? "," : "",
	           more);
	free(x);
	return out;
}

char *mint_jwk(EVP_PKEY *key, const char *more)
{
	if (EVP_PKEY_is_a(key, "RSA"))
		return rsa_jwk(key, more);
	return EVP_PKEY_is_a(key, "EC") ? ec_jwk(key, more) : okp_jwk(key, more);
}

char *mint_set(char *const *jwks, size_t n)
{
	char *out = text("{\"keys\":[");

	for (size_t i = 0; i < n; i++) {
		char *longer = text("%s%s%s", out, i ? "," : "", jwks[i]);
		free(out);
		out = longer;
	}
	out = mem_grow(out, strlen(out) + 3, 1);
	return strcat(out, "]}");
}

/* OpenSSL's DER to r and s in a row; the buffer has room. */
static size_t flatten(uint8_t *sig, size_t n, size_t width)
{
	const uint8_t *p = sig;
	ECDSA_SIG *der = d2i_ECDSA_SIG(NULL, &p, (long)n);

	must(der != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(der), sig, (int)width) == (int)width &&
	     BN_bn2binpad(ECDSA_SIG_get0_s(der), sig + width, (int)width) == (int)width);
	ECDSA_SIG_free(der);
	return 2 * width;
}

static size_t sign(enum jose_alg alg, EVP_PKEY *key, const char *input, uint8_t *sig, size_t room)
{
	static const char *const digests[] = {"SHA256", "SHA384", "SHA512"};
	const char *md = EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "EC")
	                     ? digests[alg == JOSE_EDDSA ? 0 : (unsigned)alg % 3]
	                     : NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *p = NULL;

	must(ctx && EVP_DigestSignInit_ex(ctx, &p, md, NULL, NULL, key, NULL) == 1);
	if (EVP_PKEY_is_a(key, "RSA") && alg >= JOSE_PS256 && alg <= JOSE_PS512)
		must(EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING) == 1 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(p, RSA_PSS_SALTLEN_DIGEST) == 1);
	must(EVP_DigestSign(ctx, sig, &room, (const uint8_t *)input, strlen(input)) == 1);
	EVP_MD_CTX_free(ctx);
	if (EVP_PKEY_is_a(key, "EC"))
		room = flatten(sig, room, (size_t)(EVP_PKEY_get_bits(key) + 7) / 8);
	return room;
}

static char *joined(const char *header, const char *claims)
{
	char *h = mint_base64url(header, strlen(header));
	char *c = mint_base64url(claims, strlen(claims));
	char *out = text("%s.%s", h, c);

	free(h);
	free(c);
	return out;
}

char *mint_token(enum jose_alg alg, EVP_PKEY *key, struct merlon_str secret, const char *header,
                 const char *claims)
{
	const EVP_MD *md = alg == JOSE_HS512   ? EVP_sha512()
	                   : alg == JOSE_HS384 ? EVP_sha384()
	                                       : EVP_sha256();
	char *input = joined(header, claims), *part, *out;
	uint8_t sig[2048];
	unsigned len = 0;
	size_t n;

	if (key) {
		n = sign(alg, key, input, sig, sizeof(sig));
	} else {
		must(HMAC(md, secret.ptr, (int)secret.len, (const uint8_t *)input, strlen(input),
		          sig, &len) != NULL);
		n = len;
	}
	part = mint_base64url(sig, n);
	out = text("%s.%s", input, part);
	free(part);
	free(input);
	return out;
}

char *mint_parts(const char *header, const char *claims, const void *signature, size_t n)
{
	char *input = joined(header, claims), *part = mint_base64url(signature, n);
	char *out = text("%s.%s", input, part);

	free(part);
	free(input);
	return out;
}
