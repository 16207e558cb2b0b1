/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Hashes. Algorithms are fetched from libcrypto once, because a fetch takes locks and searches
 * providers. libcrypto failing here means memory is out or the library is broken: both abort, so
 * callers have no error path in which a digest could silently be wrong.
 */
#include "base/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/mem.h"

struct digest {
	EVP_MD_CTX *md;
	EVP_MAC_CTX *mac; /* set: HMAC, and md is not */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t per_thread; /* frees a thread's context when it ends */
static EVP_MD *md_sha256;
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
	EVP_MD_CTX_free(ctx);
}

static void init_once(void)
{
	size_t n = 0;

	md_sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	mac_hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	must(md_sha256 && mac_hmac, "fetch");
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
	static _Thread_local EVP_MD_CTX *ctx;

	if (!ctx) {
		hash_init();
		ctx = EVP_MD_CTX_new();
		must(ctx && pthread_setspecific(per_thread, ctx) == 0 &&
		         EVP_DigestInit_ex2(ctx, md_sha256, NULL),
		     "context");
	}
	/* With the algorithm that the context has: naming it again costs a fifth more. */
	must(EVP_DigestInit_ex2(ctx, NULL, NULL) && EVP_DigestUpdate(ctx, data.p, data.n) &&
	         EVP_DigestFinal_ex(ctx, out, NULL),
	     "sha256");
}

struct digest *digest_new(struct str key)
{
	struct digest *d = xcalloc(1, sizeof(*d));

	hash_init();
	if (key.n == 0) {
		d->md = EVP_MD_CTX_new();
		must(d->md && EVP_DigestInit_ex2(d->md, md_sha256, NULL), "context");
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
	EVP_MD_CTX_free(d->md); /* both clear what they held */
	EVP_MAC_CTX_free(d->mac);
	free(d);
}

void digest_reset(struct digest *d)
{
	if (d->mac)
		must(EVP_MAC_init(d->mac, NULL, 0, NULL), "reset");
	else
		must(EVP_DigestInit_ex2(d->md, NULL, NULL), "reset");
}

void digest_add(struct digest *d, struct str data)
{
	if (data.n == 0)
		return;
	if (d->mac)
		must(EVP_MAC_update(d->mac, (const uint8_t *)data.p, data.n), "update");
	else
		must(EVP_DigestUpdate(d->md, data.p, data.n), "update");
}

void digest_get(struct digest *d, uint8_t out[SHA256_LEN])
{
	size_t n = SHA256_LEN;

	if (d->mac)
		must(EVP_MAC_final(d->mac, out, &n, SHA256_LEN) && n == SHA256_LEN, "final");
	else
		must(EVP_DigestFinal_ex(d->md, out, NULL), "final");
}

void hex_encode(const uint8_t *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
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
