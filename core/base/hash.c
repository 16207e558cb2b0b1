/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Hashes. Algorithms are fetched from libcrypto once, because a fetch takes locks and searches
 * providers. SHA-256 is called by the functions that its provider offers (provider-digest(7)):
 * EVP's contexts would in front of them free and allocate a new inner context for each digest.
 * libcrypto failing here means memory is out or the library is broken: both abort, so callers have
 * no error path in which a digest could silently be wrong.
 */
#include "base/hash.h"

#include <errno.h>
#include <openssl/core_dispatch.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/mem.h"

struct digest {
	void *md;         /* a context of the provider's own */
	EVP_MAC_CTX *mac; /* set: HMAC, and md is not */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t per_thread; /* frees a thread's context when it ends */
static struct {
	const EVP_MD *algorithm; /* holds the provider, so it is kept for good */
	void *provider;
	OSSL_FUNC_digest_newctx_fn *newctx;
	OSSL_FUNC_digest_freectx_fn *freectx;
	OSSL_FUNC_digest_init_fn *init;
	OSSL_FUNC_digest_update_fn *update;
	OSSL_FUNC_digest_final_fn *final;
} sha;
static EVP_MAC *mac_hmac;
static uint8_t sip_key[16];

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	log_msg(LOG_L_ERROR, "hashing failed step=%s", what);
	abort();
}

static void free_context(void *ctx)
{
	sha.freectx(ctx);
}

static void take_functions(const OSSL_DISPATCH *d)
{
	for (; d->function_id != 0; d++) {
		switch (d->function_id) {
		case OSSL_FUNC_DIGEST_NEWCTX:
			sha.newctx = OSSL_FUNC_digest_newctx(d);
			break;
		case OSSL_FUNC_DIGEST_FREECTX:
			sha.freectx = OSSL_FUNC_digest_freectx(d);
			break;
		case OSSL_FUNC_DIGEST_INIT:
			sha.init = OSSL_FUNC_digest_init(d);
			break;
		case OSSL_FUNC_DIGEST_UPDATE:
			sha.update = OSSL_FUNC_digest_update(d);
			break;
		case OSSL_FUNC_DIGEST_FINAL:
			sha.final = OSSL_FUNC_digest_final(d);
			break;
		default:
			break;
		}
	}
}

/* The row of the provider that the algorithm was made of: both begin with the same name. */
static void find_functions(const OSSL_PROVIDER *provider, struct str name)
{
	int changing = 0;
	const OSSL_ALGORITHM *rows =
	    OSSL_PROVIDER_query_operation(provider, OSSL_OP_DIGEST, &changing);

	for (const OSSL_ALGORITHM *a = rows; a && a->algorithm_names; a++) {
		const char *names = a->algorithm_names;

		if (str_starts(str_of(names), name) && strchr(":", names[name.n])) {
			take_functions(a->implementation);
			break;
		}
	}
	if (rows)
		OSSL_PROVIDER_unquery_operation(provider, OSSL_OP_DIGEST, rows);
}

static void sha_setup(void)
{
	const OSSL_PROVIDER *provider;

	sha.algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
	must(sha.algorithm != NULL, "fetch");
	provider = EVP_MD_get0_provider(sha.algorithm);
	sha.provider = OSSL_PROVIDER_get0_provider_ctx(provider);
	find_functions(provider, str_of(EVP_MD_get0_name(sha.algorithm)));
	must(sha.newctx && sha.freectx && sha.init && sha.update && sha.final, "sha256");
}

static void *sha_new(void)
{
	void *ctx = sha.newctx(sha.provider);

	must(ctx && sha.init(ctx, NULL), "context");
	return ctx;
}

static void sha_add(void *ctx, struct str data)
{
	must(sha.update(ctx, (const unsigned char *)data.p, data.n), "update");
}

static void sha_get(void *ctx, uint8_t out[SHA256_LEN])
{
	size_t n = 0;

	must(sha.final(ctx, out, &n, SHA256_LEN) && n == SHA256_LEN, "final");
}

static void init_once(void)
{
	size_t n = 0;

	sha_setup();
	mac_hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	must(mac_hmac != NULL, "fetch");
	must(pthread_key_create(&per_thread, free_context) == 0, "thread");
	while (n < sizeof(sip_key)) {
		ssize_t r = getrandom(sip_key + n, sizeof(sip_key) - n, 0);

		must(r > 0 || errno == EINTR, "random");
		n += r > 0 ? (size_t)r : 0;
	}
}

void hash_init(void)
{
	pthread_once(&once, init_once);
}

void sha256(struct str data, uint8_t out[SHA256_LEN])
{
	static _Thread_local void *ctx;

	if (!ctx) {
		hash_init();
		ctx = sha_new();
		must(pthread_setspecific(per_thread, ctx) == 0, "context");
	}
	must(sha.init(ctx, NULL), "init");
	sha_add(ctx, data);
	sha_get(ctx, out);
}

struct digest *digest_new(struct str key)
{
	struct digest *d = xcalloc(1, sizeof(*d));

	hash_init();
	if (key.n == 0) {
		d->md = sha_new();
	} else {
		char name[] = "SHA256";
		OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("digest", name, 0),
		                       OSSL_PARAM_construct_end()};

		d->mac = EVP_MAC_CTX_new(mac_hmac);
		must(d->mac && EVP_MAC_init(d->mac, (const uint8_t *)key.p, key.n, params), "key");
	}
	return d;
}

void digest_free(struct digest *d)
{
	if (!d)
		return;
	/* Both clear what they held. */
	if (d->md)
		sha.freectx(d->md);
	EVP_MAC_CTX_free(d->mac);
	free(d);
}

void digest_reset(struct digest *d)
{
	if (d->mac)
		must(EVP_MAC_init(d->mac, NULL, 0, NULL), "reset");
	else
		must(sha.init(d->md, NULL), "reset");
}

void digest_add(struct digest *d, struct str data)
{
	if (data.n == 0)
		return;
	if (d->mac)
		must(EVP_MAC_update(d->mac, (const uint8_t *)data.p, data.n), "update");
	else
		sha_add(d->md, data);
}

void digest_get(struct digest *d, uint8_t out[SHA256_LEN])
{
	size_t n = SHA256_LEN;

	if (d->mac)
		must(EVP_MAC_final(d->mac, out, &n, SHA256_LEN) && n == SHA256_LEN, "final");
	else
		sha_get(d->md, out);
}

typedef uint8_t vector __attribute__((vector_size(16)));

void hex_encode(const uint8_t *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	vector v, high, low, pairs;
	size_t i = 0;

	for (; n - i >= sizeof(v); i += sizeof(v)) {
		memcpy(&v, p + i, sizeof(v));
		high = v >> 4;
		low = v & 15;
		high += '0' + ((high > 9) & ('a' - '9' - 1));
		low += '0' + ((low > 9) & ('a' - '9' - 1));
		pairs = __builtin_shufflevector(high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21,
		                                6, 22, 7, 23);
		memcpy(out + 2 * i, &pairs, sizeof(pairs));
		pairs = __builtin_shufflevector(high, low, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13,
		                                29, 14, 30, 15, 31);
		memcpy(out + 2 * i + sizeof(pairs), &pairs, sizeof(pairs));
	}
	for (; i < n; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hex_decode(struct str s, uint8_t *out)
{
	if (s.n % 2)
		return -1;
	for (size_t i = 0; i < s.n; i += 2) {
		int hi = hex_digit(s.p[i]);
		int lo = hex_digit(s.p[i + 1]);

		if (hi < 0 || lo < 0)
			return -1;
		out[i / 2] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
}

static uint64_t rotl(uint64_t x, unsigned b)
{
	return x << b | x >> (64 - b);
}

static uint64_t load64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

uint64_t hash_sip_key(const uint8_t key[16], struct str s)
{
	uint64_t k0 = load64(key), k1 = load64(key + 8);
	uint64_t v[4] = {k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
	                 k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)};
	uint64_t tail = (uint64_t)s.n << 56;
	size_t whole = s.n / 8 * 8;

	for (size_t i = 0; i < whole; i += 8) {
		uint64_t m = load64(s.p + i);

		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	for (size_t i = whole; i < s.n; i++)
		tail |= (uint64_t)(unsigned char)s.p[i] << (8 * (i - whole));
	v[3] ^= tail;
	sip_round(v);
	v[0] ^= tail;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hash_sip(struct str s)
{
	hash_init();
	return hash_sip_key(sip_key, s);
}
