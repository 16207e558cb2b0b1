/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A server and its connections, private to this room. A server is named by users (upstreams of
 * generations) and held by refs (users, connections, exchanges): without users its idle
 * connections close, without refs it goes.
 */
#ifndef UPSTREAM_SERVER_H
#define UPSTREAM_SERVER_H

#include "base/hash.h"
#include "upstream/exchange.h"
#include "upstream/pool.h"

#define SERVER_IDLE_MAX 256

struct server {
	struct list node;
	struct list chain; /* of the pools' table */
	struct pools *pools;
	struct str upstream; /* both from the heap */
	struct str address;
	bool tls;
	uint8_t settings[SHA256_LEN]; /* of TLS: another set is another server */
	struct str name;              /* whom its certificate must name; from the heap */
	struct tls_ctx *ctx;          /* of the newest generation; NULL: without TLS, or dry */
	struct tls_session *session;
	unsigned users;
	unsigned refs;
	uint64_t keep_alive; /* ns */
	struct list idle;    /* struct upstream_conn, last used first */
	unsigned nidle;
	struct loop_timer expiry;
	unsigned inflight;
	struct stat *gauge;
	/* where it is */
	char *host; /* NULL: the address is a literal, addrs never changes */
	uint16_t port;
	unsigned naddrs;
	struct net_addr addrs[RESOLVE_ADDRS_MAX];
	uint64_t fresh_until; /* of addrs; monotonic ns, as all points in time here */
	struct resolve_op *resolving;
	struct list waiting; /* struct lookup */
	/* health.c's */
	unsigned faults;
	uint64_t down_until;
	bool check_failed;
};

/* A connection, idle or leased. It owns its stream; the timer is here and not in the exchange, so
 * that a warm request only moves a deadline. */
struct upstream_conn {
	struct server *server; /* a ref */
	struct stream *s;
	struct list node;    /* in server.idle */
	struct exchange *ex; /* NULL: idle */
	struct loop_timer timer;
	uint64_t idle_since;
};

struct server *server_ref(struct server *s);
void server_unref(struct server *s);

/* An idle connection that is still good, now ex's; NULL: there is none. */
struct upstream_conn *conn_lease(struct server *s, struct exchange *ex);
/* Begins to connect. NULL: no descriptor could be made. */
struct upstream_conn *conn_open(struct server *s, const struct net_addr *addr, struct exchange *ex);
void conn_pool(struct upstream_conn *c); /* back to the idle ones, or closed */
void upstream_conn_close(struct upstream_conn *c);

/* exchange.c: what happened on a leased connection */
void exchange_on_stream(struct exchange *ex, unsigned what);
void exchange_on_timer(struct exchange *ex);

/* Waiting for a server's addresses; part of an exchange. */
struct lookup {
	struct list node;
	void (*fn)(void *arg);
	void *arg;
};
/* True: s->addrs can be used now. False: fn is called once from the loop, when the addresses are
 * there or cannot be had (naddrs is 0 then). list_del() the node to stop waiting. */
bool lookup_addrs(struct server *s, struct lookup *wait) MUST_CHECK;
void lookup_init(struct server *s);
void lookup_deinit(struct server *s);

#endif
