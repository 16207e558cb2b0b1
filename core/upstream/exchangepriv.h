/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What exchange.c (the way to a server and the request) and response.c (what comes back) share.
 * The exchange holds its server and, while it has one, its connection.
 */
#ifndef UPSTREAM_EXCHANGEPRIV_H
#define UPSTREAM_EXCHANGEPRIV_H

#include "upstream/server.h"

enum exchange_state {
	EXCHANGE_LOOKUP, /* waits for addresses */
	EXCHANGE_CONNECT,
	EXCHANGE_HEAD, /* connected: the request leaves, a response head may come */
	EXCHANGE_BODY,
	EXCHANGE_OVER, /* holds nothing; the callback of its end may still be due */
};

struct exchange {
	struct upstream *u;
	struct arena *arena;
	const struct exchange_ops *ops;
	void *owner;
	enum exchange_state state;
	bool head_request;
	bool reused; /* the connection came from the pool */
	bool handed; /* the queue has been given to the stream, too */
	bool send_ended;
	bool paused;
	struct chain
	    queue; /* the request until its first byte has left: another connection may need it */
	struct server *server;
	uint64_t tried;
	unsigned addr; /* next of the server's addresses */
	struct upstream_conn *c;
	uint64_t base;  /* stream_written() when the connection was leased */
	uint64_t began; /* 0: no byte has left */
	struct lookup wait;
	struct loop_task task; /* tells of a fault that arose within a call of the owner's */
	enum exchange_fault fault;
	struct http_parser *parser; /* while a head comes in */
	struct http_head rhead;
	struct http_body body;
	unsigned interim;
};

/* Gives back what the exchange holds. pool: the connection may serve another one. */
void exchange_release(struct exchange *ex, bool pool);
/* Ends it and tells the owner, at once: only from the loop. The exchange may be gone afterwards. */
void exchange_broken(struct exchange *ex, enum exchange_fault f);
/* Logs why TLS failed on its connection; false: it did not. */
bool exchange_log_tls(const struct exchange *ex);
/* Sets the deadline that counts now. */
void exchange_arm(struct exchange *ex);

/* Bytes, end or error of a response to a request of which something has left. */
void response_event(struct exchange *ex, unsigned what);

#endif
