/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Servers and their idle connections, per worker. A server is known by its upstream, its address
 * and its settings of TLS; it outlives generations, and so do its idle connections, as long as some
 * generation names it.
 */
#ifndef UPSTREAM_POOL_H
#define UPSTREAM_POOL_H

#include "base/list.h"
#include "base/stats.h"
#include "conf/conf.h"
#include "http/parsers.h"
#include "net/resolve.h"
#include "net/stream.h"
#include "net/tls.h"

#define POOL_TABLE 256
/* One a worker. */
struct pools {
	struct loop *loop;
	struct resolver *resolver;
	struct block_pool *blocks;
	struct http_parsers parsers;   /* for heads of either side */
	struct list servers;           /* in the order of their making */
	struct list table[POOL_TABLE]; /* the same by upstream and address */
	/* Whose stream's event is under way; NULL once that exchange has ended. */
	struct exchange *under;
	uint64_t rng; /* xorshift state for two random choices */
};
void pools_init(struct pools *p, struct loop *l, struct resolver *r, struct block_pool *blocks);
void pools_deinit(struct pools *p);

struct exchange;
struct server;
/* An upstream of one generation on one worker. */
struct upstream {
	const struct conf_upstream *conf;
	struct pools *pools;
	struct server **servers;
	unsigned nservers;
	struct health *health; /* active checks; NULL: none */
	bool probe;            /* one server, for a check of it: tried also while it is down */
};
/* All upstreams of a generation on this worker, in the conf's order; ends with upstreams_free().
 * tls: their contexts, in that order too; NULL, whole or for one that wants TLS: it is never
 * reached. */
struct upstream *upstreams_new(struct pools *p, const struct conf *c, struct tls_ctx *const *tls);
struct upstream *upstreams_free(struct upstream *u, unsigned n);
/* Closes every idle connection (drain). */
void pools_close_idle(struct pools *p);
/* For status and metrics: calls fn for each server of this worker. */
struct server_info {
	struct str upstream;
	struct str address;
	unsigned inflight;
	unsigned idle;
	bool healthy;
};
void pools_each(struct pools *p, void (*fn)(void *arg, const struct server_info *s), void *arg);
/* Whether any server of the upstream may be tried (readiness). */
bool upstream_usable(const struct upstream *u);

#endif
