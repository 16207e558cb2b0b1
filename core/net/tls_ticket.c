/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Keys of session tickets. A ticket of TLS 1.2 carries what its connection was encrypted with, so
 * whoever has the key of the ticket reads the connection: keys live for two epochs and are wiped.
 *
 * The secrets of the current and the previous epoch are the process's, under a mutex that only
 * handshakes and the rotation take. A listener's keys are derived from them by its name whenever
 * they are needed: nothing has to be kept over a reload, and none is another listener's.
 */
#include "net/tlspriv.h"

#include "base/clock.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>

#define EPOCH_NS (8 * 3600 * NS_PER_S)
#define KEY_NAME 16 /* what OpenSSL's callback gives room for */

enum epoch { CURRENT, PREVIOUS, EPOCHS };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t secrets[EPOCHS][SHA256_LEN];
static uint64_t due; /* end of the current epoch, monotonic ns; 0: there is none yet */

struct keys {
	uint8_t name[SHA256_LEN]; /* KEY_NAME of it are used */
	uint8_t cipher[SHA256_LEN];
	uint8_t mac[SHA256_LEN];
};

static struct str bytes(const uint8_t *p, size_t n)
{
	return (struct str){(const char *)p, n};
}

/* ---- epochs ---- */
/* One way: the new secret tells nothing of the old one, nor the other way round. */
static void step(void)
{
	uint8_t fresh[SHA256_LEN];
	struct digest *d;

	if (RAND_priv_bytes(fresh, sizeof(fresh)) != 1)
		abort();
	d = digest_new(bytes(fresh, sizeof(fresh)));
	memcpy(secrets[PREVIOUS], secrets[CURRENT], SHA256_LEN);
	digest_add(d, bytes(secrets[PREVIOUS], SHA256_LEN));
	digest_get(d, secrets[CURRENT]);
	digest_free(d);
	mem_wipe(fresh, sizeof(fresh));
}

static uint64_t rotate(uint64_t now)
{
	uint64_t gone = now < due ? 0 : (now - due) / EPOCH_NS + 1;

	/* Nobody has a ticket from before the first one, but its secret shall not be known. */
	if (due == 0) {
		due = now;
		gone = EPOCHS;
	}
	for (uint64_t i = 0; i < gone && i < EPOCHS; i++)
		step();
	due += gone * EPOCH_NS;
	return due;
}

uint64_t tls_ticket_rotate_at(uint64_t now)
{
	uint64_t next;

	pthread_mutex_lock(&lock);
	next = rotate(now);
	pthread_mutex_unlock(&lock);
	return next;
}

uint64_t tls_ticket_rotate(void)
{
	return tls_ticket_rotate_at(clock_mono());
}

/* ---- keys of a listener ---- */
static void derive(const uint8_t secret[SHA256_LEN], const struct tls_ctx *ctx, struct keys *k)
{
	struct digest *d = digest_new(bytes(secret, SHA256_LEN));
	uint8_t *const out[] = {k->name, k->cipher, k->mac};

	for (uint8_t i = 0; i < sizeof(out) / sizeof(out[0]); i++) {
		digest_reset(d);
		digest_add(d, bytes(&i, 1));
		digest_add(d, bytes(ctx->name, sizeof(ctx->name)));
		digest_get(d, out[i]);
	}
	digest_free(d);
}

static void get_keys(const struct tls_ctx *ctx, struct keys k[EPOCHS])
{
	uint8_t copy[EPOCHS][SHA256_LEN];

	pthread_mutex_lock(&lock);
	rotate(clock_mono());
	memcpy(copy, secrets, sizeof(copy));
	pthread_mutex_unlock(&lock);
	for (int i = 0; i < EPOCHS; i++)
		derive(copy[i], ctx, &k[i]);
	mem_wipe(copy, sizeof(copy));
}

/* ---- OpenSSL's callback ---- */
static bool set_mac(EVP_MAC_CTX *mac, struct keys *k)
{
	char sha[] = "SHA256";
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->mac, sizeof(k->mac)),
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha, 0),
	    OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int seal(struct keys *k, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *c,
                EVP_MAC_CTX *mac)
{
	memcpy(name, k->name, KEY_NAME);
	if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1 ||
	    EVP_EncryptInit_ex2(c, EVP_aes_256_cbc(), k->cipher, iv, NULL) != 1 || !set_mac(mac, k))
		return -1;
	return 1;
}

/* 1: open, 2: and the client shall have a new one, 0: not one of ours. */
static int unseal(struct keys k[EPOCHS], const unsigned char *name, const unsigned char *iv,
                  EVP_CIPHER_CTX *c, EVP_MAC_CTX *mac)
{
	for (int i = 0; i < EPOCHS; i++) {
		if (memcmp(name, k[i].name, KEY_NAME) != 0)
			continue;
		if (EVP_DecryptInit_ex2(c, EVP_aes_256_cbc(), k[i].cipher, iv, NULL) != 1 ||
		    !set_mac(mac, &k[i]))
			return -1;
		return i == CURRENT ? 1 : 2;
	}
	return 0;
}

static int with_keys(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *c,
                     EVP_MAC_CTX *mac, int sealing)
{
	struct keys k[EPOCHS];
	int r;

	get_keys(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)), k);
	r = sealing ? seal(&k[CURRENT], name, iv, c, mac) : unseal(k, name, iv, c, mac);
	mem_wipe(k, sizeof(k));
	/* With 1.3 a ticket is for one connection: without a new one the next could not resume. */
	return r == 1 && !sealing && SSL_version(ssl) >= TLS1_3_VERSION ? 2 : r;
}

void tls_ticket_use(struct tls_ctx *ctx, SSL_CTX *ssl)
{
	tls_ticket_rotate();
	if (SSL_CTX_set_app_data(ssl, ctx) != 1 ||
	    SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, with_keys) != 1)
		abort();
}
