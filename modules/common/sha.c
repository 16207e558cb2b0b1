/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * SHA-256 by the functions that libcrypto's provider offers (provider-digest(7)), found through the
 * fetched algorithm, which stays for the life of the process: modules are not unloaded. EVP's
 * contexts would in front of them free and allocate a new inner context for each digest, which
 * costs more than hashing a short text.
 */
#include "common/sha.h"

#include <openssl/core_dispatch.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <stdlib.h>

static struct {
	const EVP_MD *algorithm; /* holds the provider */
	void *provider;
	OSSL_FUNC_digest_newctx_fn *newctx;
	OSSL_FUNC_digest_freectx_fn *freectx;
	OSSL_FUNC_digest_init_fn *init;
	OSSL_FUNC_digest_update_fn *update;
	OSSL_FUNC_digest_final_fn *final;
} sha256;

static void take_functions(const OSSL_DISPATCH *d)
{
	for (; d->function_id != 0; d++) {
		switch (d->function_id) {
		case OSSL_FUNC_DIGEST_NEWCTX:
			sha256.newctx = OSSL_FUNC_digest_newctx(d);
			break;
		case OSSL_FUNC_DIGEST_FREECTX:
			sha256.freectx = OSSL_FUNC_digest_freectx(d);
			break;
		case OSSL_FUNC_DIGEST_INIT:
			sha256.init = OSSL_FUNC_digest_init(d);
			break;
		case OSSL_FUNC_DIGEST_UPDATE:
			sha256.update = OSSL_FUNC_digest_update(d);
			break;
		case OSSL_FUNC_DIGEST_FINAL:
			sha256.final = OSSL_FUNC_digest_final(d);
			break;
		default:
			break;
		}
	}
}

/* The row of the provider that the algorithm was made of: both begin with the same name. */
static void find_functions(const OSSL_PROVIDER *provider, const char *name)
{
	int changing = 0;
	size_t n = strlen(name);
	const OSSL_ALGORITHM *rows =
	    OSSL_PROVIDER_query_operation(provider, OSSL_OP_DIGEST, &changing);

	for (const OSSL_ALGORITHM *a = rows; a && a->algorithm_names; a++) {
		const char *names = a->algorithm_names;
		if (strncmp(names, name, n) == 0 && (names[n] == ':' || names[n] == '\0')) {
			take_functions(a->implementation);
			break;
		}
	}
	if (rows)
		OSSL_PROVIDER_unquery_operation(provider, OSSL_OP_DIGEST, rows);
}

int sha_setup(void)
{
	if (!sha256.algorithm) {
		sha256.algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
		if (!sha256.algorithm)
			return -1;
		const OSSL_PROVIDER *provider = EVP_MD_get0_provider(sha256.algorithm);
		sha256.provider = OSSL_PROVIDER_get0_provider_ctx(provider);
		find_functions(provider, EVP_MD_get0_name(sha256.algorithm));
	}
	return sha256.newctx && sha256.freectx && sha256.init && sha256.update && sha256.final ? 0
	                                                                                       : -1;
}

struct sha *sha_new(void)
{
	void *s = sha256.newctx(sha256.provider);

	if (!s)
		abort();
	return s;
}

void sha_free(struct sha *s)
{
	if (s)
		sha256.freectx(s);
}

int sha_sum(struct sha *s, struct merlon_str data, uint8_t out[SHA_LEN])
{
	size_t n = 0;

	if (sha256.init(s, NULL) != 1 ||
	    sha256.update(s, (const unsigned char *)data.ptr, data.len) != 1 ||
	    sha256.final(s, out, &n, SHA_LEN) != 1)
		return -1;
	return n == SHA_LEN ? 0 : -1;
}

int sha_same(const void *a, const void *b, size_t n)
{
	const unsigned char *p = a, *q = b;
	uint64_t differ = 0, x, y;

	for (; n >= sizeof(x); n -= sizeof(x), p += sizeof(x), q += sizeof(x)) {
		memcpy(&x, p, sizeof(x));
		memcpy(&y, q, sizeof(y));
		differ |= x ^ y;
	}
	for (; n > 0; n--)
		differ |= (uint64_t)(*p++ ^ *q++);
	/* The compiler must not know what is asked of it before all is read. */
	__asm__("" : "+r"(differ));
	return differ == 0;
}
