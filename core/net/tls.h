/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * TLS 1.2 and 1.3 (RFC 5246, RFC 8446) under a stream. A context holds certificates and what is
 * verified; it is made on the control thread, read-only from then on, counted, and shared by all
 * threads. No renegotiation, no compression, no early data; ALPN http/1.1 where it is offered.
 *
 * A reload makes new contexts; connections keep the one they began with.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "net/stream.h"

enum tls_client_auth { TLS_AUTH_NONE, TLS_AUTH_OPTIONAL, TLS_AUTH_REQUIRED };
#define TLS_1_2 0x0303
#define TLS_1_3 0x0304

struct tls_pair {               /* names of PEM files */
	struct str certificate; /* the chain, its end first */
	struct str key;
};
struct tls_server_conf {
	const struct tls_pair *pairs; /* chosen by SNI; the first one where none fits */
	unsigned npairs;
	struct str client_ca; /* empty: none */
	struct str crl;       /* empty: none */
	enum tls_client_auth client_auth;
	int min_version;
	struct str name;   /* the listener's: sessions of one are not resumed at another */
	unsigned *pair_at; /* set to the pair whose files an error is about; may be NULL */
};
struct tls_client_conf {
	struct str ca;          /* empty: the system's */
	struct str certificate; /* empty: none is shown */
	struct str key;
	bool http; /* offers ALPN http/1.1 */
};
/* key: the setting that is wrong ("certificate", "key", "client_ca", "crl", "ca"). */
typedef void tls_error_fn(void *arg, const char *key, const char *text);

struct tls_ctx;
/* Reads all files, each once. NULL: `error` has been told why, once for each finding. */
struct tls_ctx *tls_server_new(const struct tls_server_conf *c, tls_error_fn *error, void *arg);
struct tls_ctx *tls_client_new(const struct tls_client_conf *c, tls_error_fn *error, void *arg);
struct tls_ctx *tls_ctx_ref(struct tls_ctx *ctx); /* any thread */
void tls_ctx_unref(struct tls_ctx *ctx);          /* any thread; NULL is fine */
/* Made of the same settings and the same bytes of the same files: one may stand for the other. */
bool tls_ctx_same(const struct tls_ctx *a, const struct tls_ctx *b); /* NULL is fine */
/* Keys of tickets change with time, which handshakes see to; this is for a process that has none,
 * so that the old ones do not stay in its memory. Answers when to call it again (monotonic ns). Any
 * thread. */
uint64_t tls_ticket_rotate(void);

/* Server side of a fresh stream_new(): bytes and STREAM_IN are those within TLS; STREAM_CONNECTED
 * tells of the finished handshake. The caller keeps the deadline. */
void stream_accept_tls(struct stream *s, struct tls_ctx *ctx);

/* A session to be resumed, of one (address, name, context); owned by whoever keeps connections to
 * that server. NULL: none yet. */
struct tls_session;
void tls_session_free(struct tls_session *t); /* NULL is fine */

/* As stream_connect(); STREAM_CONNECTED comes after the handshake and the check of the peer's
 * certificate against `name` (a DNS name or an address). Bytes before its end are an error.
 * session: where a session to resume is taken from and new ones are put; must live as long as the
 * stream; NULL: no resumption. */
struct stream *stream_connect_tls(struct loop *l, const struct sockaddr *addr, socklen_t len,
                                  struct block_pool *pool, struct tls_ctx *ctx, struct str name,
                                  struct tls_session **session, stream_fn *fn, void *owner,
                                  int *err);
/* Why the handshake, or TLS after it, failed, as text without secrets; empty: it did not, or the
 * stream is plain. Lives as long as the stream. */
struct str stream_tls_error(const struct stream *s);
/* Before stream_close() of a connection whose answers are whole: says the end in TLS, too. Never
 * where something was cut off, which the peer must be able to tell. Plain: nothing. */
void stream_tls_bye(struct stream *s);

/* What is known of a TLS connection once its handshake is over. */
enum tls_verify {
	TLS_VERIFY_NONE, /* no certificate was shown */
	TLS_VERIFY_OK,
	TLS_VERIFY_EXPIRED,   /* it was good, and its time is up */
	TLS_VERIFY_REVOKED,   /* by a CRL that came with a reload */
	TLS_VERIFY_UNTRUSTED, /* the certificate authorities of a reload do not cover it */
};
struct tls_peer {
	struct str version;     /* "TLSv1.3" */
	struct str cipher;      /* "TLS_AES_256_GCM_SHA384" */
	struct str server_name; /* SNI; empty: none */
	bool resumed;
	/* of the certificate; empty: none. Texts are counted, and may hold any byte. */
	struct str subject; /* RFC 4514 */
	struct str issuer;
	struct str serial;      /* lower-case hex */
	struct str cn;          /* the subject's only common name; empty: none, or several */
	struct str fingerprint; /* "sha256:<hex>" of the DER */
	const struct str *uris; /* subject alternative names */
	unsigned nuris;
	const struct str *dns;
	unsigned ndns;
	int64_t not_before; /* seconds since 1970 */
	int64_t not_after;
};
/* NULL: plain, or not yet. Lives as long as the stream, or as a reference; one thread. Client
 * sides know no certificate. */
const struct tls_peer *stream_tls(const struct stream *s);
const struct tls_peer *tls_peer_ref(const struct tls_peer *p);
void tls_peer_unref(const struct tls_peer *p); /* NULL is fine */
/* The peer's certificate once more: its dates by now_s, and where `ctx` is another one than the
 * connection began with, chain and CRL by that one (once for each new context). */
enum tls_verify stream_tls_verify(struct stream *s, struct tls_ctx *ctx, int64_t now_s);

#endif
