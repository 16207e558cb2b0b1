/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What the TLS files of this room share: the context's inside, reading of PEM files, and what is
 * taken from a certificate. OpenSSL's types are named here and nowhere beyond core/net.
 */
#ifndef NET_TLSPRIV_H
#define NET_TLSPRIV_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/mem.h"
#include "net/tls.h"

/* ---- contexts (tls_ctx.c) ---- */
struct tls_name {
	struct str name; /* lower case; "*.rest" as ".rest" */
	bool wildcard;
	SSL_CTX *ssl;
};
struct tls_ctx {
	atomic_uint refs;
	bool server;
	SSL_CTX **ssl; /* one a pair; the first is what connections begin with */
	unsigned nssl;
	struct tls_name *names;
	unsigned nnames;
	X509_STORE *store; /* of client certificates; NULL: none are asked for */
	struct arena arena;
	uint8_t digest[SHA256_LEN]; /* of settings and files */
	uint8_t name[SHA256_LEN];   /* digest of the listener's: no session of it is another's */
};
struct tls_session {
	SSL_SESSION *ssl;
	struct tls_ctx *ctx;
	int64_t not_after; /* of the server's certificate: resuming does not look at it again */
};

/* ---- tickets (tls_ticket.c) ---- */
/* Lets a server's SSL_CTX give out tickets and take them, with the keys of ctx->name. */
void tls_ticket_use(struct tls_ctx *ctx, SSL_CTX *ssl);
/* tls_ticket_rotate() at another time: of any number of epochs in between, each is over. */
uint64_t tls_ticket_rotate_at(uint64_t mono_ns);

/* ---- files (tls_files.c) ---- */
struct tls_load {
	tls_error_fn *error;
	void *arg;
	struct digest *digest; /* fed with all that is read */
	unsigned errors;
};
void tls_fail(struct tls_load *l, const char *key, const char *fmt, ...) PRINTF(3, 4);
/* Why OpenSSL's last call failed; static or of this thread. Empties its queue of errors. */
const char *tls_reason(void);
/* A BIO over the file's bytes, which are wiped with it in tls_file_free(). NULL: told. */
struct tls_file {
	struct buf bytes;
	BIO *bio;
};
bool tls_file_open(struct tls_load *l, const char *key, struct str path, bool secret,
                   struct tls_file *f);
void tls_file_free(struct tls_file *f);
/* Certificate, chain and key of one pair; false: told. */
bool tls_read_pair(struct tls_load *l, const struct tls_pair *pair, SSL_CTX *ssl);
/* Authorities into a store, and into a list of their names unless that is NULL. */
bool tls_read_cas(struct tls_load *l, const char *key, struct str path, X509_STORE *store,
                  STACK_OF(X509_NAME) * names);
bool tls_read_crls(struct tls_load *l, struct str path, X509_STORE *store);
bool tls_system_cas(struct tls_load *l, X509_STORE *store);

/* ---- connections (stream_tls.c) ---- */
int tls_session_new(SSL *ssl, SSL_SESSION *session); /* OpenSSL's callback of client contexts */

/* ---- peers (tls_peer.c) ---- */
/* Fills all that comes from a certificate; what cannot be read stays empty. */
void tls_peer_read(X509 *x, struct arena *a, struct tls_peer *out);
int64_t tls_time(const ASN1_TIME *t); /* 0: not a time */
/* With one reference and nothing but SNI in it. x may be NULL. */
const struct tls_peer *tls_peer_new(const SSL *ssl, X509 *x);

#endif
