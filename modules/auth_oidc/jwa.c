/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Signatures over OpenSSL's EVP. The fetched algorithms stay for the life of the process: modules
 * are not unloaded. Errors are taken off OpenSSL's queue, which the thread's TLS connections read
 * too.
 */
#include "jwa.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdlib.h>

#define HMAC_MAX 64

enum family { RSA_PKCS1, RSA_PSS, ECDSA, EDDSA, HMAC };

const char *const jose_alg_names[JOSE_ALGS] = {"RS256", "RS384", "RS512", "PS256", "PS384",
                                               "PS512", "ES256", "ES384", "ES512", "EdDSA",
                                               "HS256", "HS384", "HS512"};

static const struct {
	enum family family;
	unsigned digest;  /* of digests[] */
	unsigned ec_part; /* bytes of r and of s */
} table[JOSE_ALGS] = {
    [JOSE_RS256] = {RSA_PKCS1, 0, 0}, [JOSE_RS384] = {RSA_PKCS1, 1, 0},
    [JOSE_RS512] = {RSA_PKCS1, 2, 0}, [JOSE_PS256] = {RSA_PSS, 0, 0},
    [JOSE_PS384] = {RSA_PSS, 1, 0},   [JOSE_PS512] = {RSA_PSS, 2, 0},
    [JOSE_ES256] = {ECDSA, 0, 32},    [JOSE_ES384] = {ECDSA, 1, 48},
    [JOSE_ES512] = {ECDSA, 2, 66},    [JOSE_EDDSA] = {EDDSA, 0, 0},
    [JOSE_HS256] = {HMAC, 0, 0},      [JOSE_HS384] = {HMAC, 1, 0},
    [JOSE_HS512] = {HMAC, 2, 0},
};

static char digest_names[3][8] = {"SHA256", "SHA384", "SHA512"};
static const EVP_MD *digests[3];
static EVP_MAC *hmac;

static void fetch(void)
{
	for (unsigned i = 0; i < 3; i++) {
		digests[i] = EVP_MD_fetch(NULL, digest_names[i], NULL);
		if (!digests[i])
			abort();
	}
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (!hmac)
		abort();
}

static void setup(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, fetch);
}

/* JOSE writes r and s in a row, each as long as the order; OpenSSL reads their DER and checks that
 * they lie within the order. */
static uint8_t *ec_der(const struct jwt *t, unsigned part, size_t *n)
{
	BIGNUM *r, *s;
	ECDSA_SIG *sig;
	uint8_t *der = NULL;
	int len;

	if (t->signature_len != 2 * part)
		return NULL;
	r = BN_bin2bn(t->signature, (int)part, NULL);
	s = BN_bin2bn(t->signature + part, (int)part, NULL);
	sig = ECDSA_SIG_new();
	if (!r || !s || !sig)
		abort();
	ECDSA_SIG_set0(sig, r, s);
	len = i2d_ECDSA_SIG(sig, &der);
	ECDSA_SIG_free(sig);
	*n = len > 0 ? (size_t)len : 0;
	return der;
}

/* The salt is as long as the hash, not as long as the signature says. */
static bool set_pss(EVP_PKEY_CTX *p, const EVP_MD *md)
{
	return EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_mgf1_md(p, md) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(p, RSA_PSS_SALTLEN_DIGEST) == 1;
}

/* As long as the modulus (RFC 8017 section 8.1.2 step 1): OpenSSL takes one of PSS without its
 * leading zeros, too, and a token would have two spellings. */
static bool long_enough(enum family family, const EVP_PKEY *key, size_t n)
{
	return (family != RSA_PKCS1 && family != RSA_PSS) || n == (size_t)EVP_PKEY_get_size(key);
}

static bool holds(enum family family, const EVP_MD *md, EVP_PKEY *key, const struct jwt *t,
                  const uint8_t *sig, size_t n)
{
	EVP_MD_CTX *ctx;
	EVP_PKEY_CTX *p = NULL;
	bool ok;

	if (!long_enough(family, key, n))
		return false;
	ctx = EVP_MD_CTX_new();
	if (!ctx)
		abort();
	ok = EVP_DigestVerifyInit(ctx, &p, md, NULL, key) == 1 &&
	     (family != RSA_PSS || set_pss(p, md)) &&
	     EVP_DigestVerify(ctx, sig, n, (const uint8_t *)t->signed_part.ptr,
	                      t->signed_part.len) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

bool jwa_holds(enum jose_alg alg, EVP_PKEY *key, const struct jwt *t)
{
	enum family family = table[alg].family;
	const EVP_MD *md;
	uint8_t *der = NULL;
	size_t n = 0;
	bool ok;

	setup();
	md = family == EDDSA ? NULL : digests[table[alg].digest];
	ERR_set_mark();
	if (family == ECDSA) {
		der = ec_der(t, table[alg].ec_part, &n);
		ok = der && holds(family, md, key, t, der, n);
		OPENSSL_free(der);
	} else {
		ok = holds(family, md, key, t, t->signature, t->signature_len);
	}
	ERR_pop_to_mark();
	return ok;
}

bool jwa_holds_hmac(enum jose_alg alg, struct merlon_str secret, const struct jwt *t)
{
	OSSL_PARAM params[2];
	uint8_t sum[HMAC_MAX];
	EVP_MAC_CTX *ctx;
	size_t n = 0;
	bool ok;

	setup();
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
	                                             digest_names[table[alg].digest], 0);
	params[1] = OSSL_PARAM_construct_end();
	ERR_set_mark();
	ctx = EVP_MAC_CTX_new(hmac);
	if (!ctx)
		abort();
	ok = EVP_MAC_init(ctx, (const uint8_t *)secret.ptr, secret.len, params) == 1 &&
	     EVP_MAC_update(ctx, (const uint8_t *)t->signed_part.ptr, t->signed_part.len) == 1 &&
	     EVP_MAC_final(ctx, sum, &n, sizeof(sum)) == 1 && n == t->signature_len &&
	     CRYPTO_memcmp(sum, t->signature, n) == 0;
	OPENSSL_cleanse(sum, sizeof(sum));
	EVP_MAC_CTX_free(ctx);
	ERR_pop_to_mark();
	return ok;
}
