/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * One request to an upstream and its response, over a leased connection. At most one request leaves
 * for one exchange: another server or connection is tried only while write() has taken no byte. The
 * connection is pooled again only after a complete, clean exchange (promise P5).
 *
 * Lives in the arena that it was given, its owner's (a tx, a call, a check); the callbacks come
 * from the loop, never from within a call into the exchange. `head` and `body` only take note: what
 * they lead to, an abort too, is done in `turn`, `end`, `fault` or `writable`, one of which comes
 * last in every turn that told something. The head's text lives as long as the arena.
 */
#ifndef UPSTREAM_EXCHANGE_H
#define UPSTREAM_EXCHANGE_H

#include "base/mem.h"
#include "http/body.h"
#include "http/message.h"
#include "upstream/pool.h"

enum exchange_fault {
	EX_CONNECT = 1,   /* no server could be reached: 502 (or 503 where all are marked down) */
	EX_DOWN = 2,      /* every server is marked down: 503 */
	EX_TIMEOUT = 3,   /* connect, first byte or idle deadline: 504 */
	EX_CLOSED = 4,    /* closed or reset before or within the response: 502 */
	EX_MALFORMED = 5, /* the response breaks the rules: 502 */
	EX_RESOLVE = 6,   /* the name does not resolve: 502 */
	EX_TLS = 7,       /* no server is, in TLS, whom it should be: 502 */
};
const char *
exchange_strfault(enum exchange_fault f); /* "upstream_timeout" and the like, for reason */

struct exchange_ops {
	/* The final response head (interim ones are dropped, 101 is a fault); its text lives as
	 * long as the exchange. */
	void (*head)(void *owner, struct http_head *h);
	/* Body bytes as they come; takes the reference. */
	void (*body)(void *owner, struct slice data);
	/* All reads of this turn have been told: a good moment to flush the client once. */
	void (*turn)(void *owner);
	/* The response is whole. The exchange is over; the connection has gone back or was closed.
	 */
	void (*end)(void *owner);
	/* It broke. The exchange is over. */
	void (*fault)(void *owner, enum exchange_fault f);
	/* The request queue fell below STREAM_LOW: more body may be sent. */
	void (*writable)(void *owner);
};
struct exchange;
/* Leases a connection (or begins to connect) and queues the head. head: the serialised request
 * head; takes the reference. head_request: the answer has no body. */
struct exchange *exchange_start(struct upstream *u, struct arena *a, struct slice head,
                                bool head_request, const struct exchange_ops *ops, void *owner);
/* Request body; framing is the caller's (bytes as they go on the wire). */
void exchange_send(struct exchange *ex, struct slice data);
/* A copy of bytes that are not worth a block of their own. */
void exchange_send_copy(struct exchange *ex, const void *p, size_t n);
/* Nothing follows: from now on the exchange may end cleanly. */
void exchange_send_end(struct exchange *ex);
void exchange_flush(struct exchange *ex);
size_t exchange_queued(const struct exchange *ex);
/* Stops reading the response while the client is slow. The idle deadline rests meanwhile. */
void exchange_pause(struct exchange *ex, bool paused);
/* Ends it now: the upstream sees its connection close. No callback follows. NULL is fine. */
void exchange_abort(struct exchange *ex);

#endif
