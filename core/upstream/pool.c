/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Servers and their connections. The registry (struct pools) only lists servers; upstreams of
 * generations, connections and exchanges hold them. An idle connection belongs to its server's
 * list, a leased one to its exchange.
 */
#include "upstream/pool.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/url.h"
#include "upstream/health.h"
#include "upstream/server.h"

#include <errno.h>
#include <stdlib.h>

#define SERVERS_MAX 64 /* bits of balance()'s mask */

/* ---- connections ---- */
static void conn_event(void *owner, unsigned what)
{
	struct upstream_conn *c = owner;

	if (c->ex) {
		exchange_on_stream(c->ex, what);
		return;
	}
	/* Nothing was asked: bytes are a violation, and an end is an end. */
	upstream_conn_close(c);
}

static void conn_timer(void *arg)
{
	struct upstream_conn *c = arg;

	if (c->ex)
		exchange_on_timer(c->ex);
}

static void idle_remove(struct upstream_conn *c)
{
	list_del(&c->node);
	c->server->nidle--;
}

void upstream_conn_close(struct upstream_conn *c)
{
	struct server *s = c->server;

	if (!c->ex) {
		idle_remove(c);
		stream_tls_bye(c->s);
	}
	loop_timer_drop(s->pools->loop, &c->timer);
	stream_close(c->s);
	free(c);
	server_unref(s);
}

/* What is to be TLS is never anything else. */
static struct stream *conn_dial(struct server *s, const struct net_addr *addr,
                                struct upstream_conn *c, int *err)
{
	const struct sockaddr *sa = (const struct sockaddr *)&addr->ss;
	const struct pools *p = s->pools;

	if (!s->tls)
		return stream_connect(p->loop, sa, addr->len, p->blocks, conn_event, c, err);
	if (s->ctx)
		return stream_connect_tls(p->loop, sa, addr->len, p->blocks, s->ctx, s->name,
		                          &s->session, conn_event, c, err);
	*err = EPROTO;
	return NULL;
}

struct upstream_conn *conn_open(struct server *s, const struct net_addr *addr, struct exchange *ex)
{
	static struct log_limit limit;
	struct upstream_conn *c = xcalloc(1, sizeof(*c));
	int err = 0;

	c->s = conn_dial(s, addr, c, &err);
	if (!c->s) {
		free(c);
		log_limited(&limit, 2, LOG_L_ERROR, "cannot reach server=%.*s: %s",
		            STR_FMT(s->address), strerror(err));
		return NULL;
	}
	c->server = server_ref(s);
	c->ex = ex;
	list_init(&c->node);
	loop_timer_init(&c->timer, conn_timer, c);
	return c;
}

static bool conn_expired(const struct upstream_conn *c)
{
	return loop_now(c->server->pools->loop) >= c->idle_since + c->server->keep_alive;
}

struct upstream_conn *conn_lease(struct server *s, struct exchange *ex)
{
	while (!list_empty(&s->idle)) {
		struct upstream_conn *c = list_entry(s->idle.next, struct upstream_conn, node);

		if (conn_expired(c) || stream_eof(c->s) || stream_in(c->s).n > 0) {
			upstream_conn_close(c);
			continue;
		}
		idle_remove(c);
		c->ex = ex;
		return c;
	}
	return NULL;
}

void conn_pool(struct upstream_conn *c)
{
	struct server *s = c->server;

	if (s->users == 0 || s->keep_alive == 0 || s->nidle >= SERVER_IDLE_MAX) {
		upstream_conn_close(c);
		return;
	}
	c->ex = NULL;
	c->idle_since = loop_now(s->pools->loop);
	loop_timer_clear(&c->timer);
	stream_pause(c->s, false);
	list_push(&s->idle, &c->node);
	if (s->nidle++ == 0)
		loop_timer_set(s->pools->loop, &s->expiry, c->idle_since + s->keep_alive);
}

static void close_idle(struct server *s)
{
	server_ref(s);
	while (!list_empty(&s->idle))
		upstream_conn_close(list_entry(s->idle.next, struct upstream_conn, node));
	server_unref(s);
}

/* The list is in the order of last use, so the oldest are at its end. */
static void server_expire(void *arg)
{
	struct server *s = arg;

	server_ref(s);
	while (!list_empty(&s->idle)) {
		struct upstream_conn *c = list_entry(s->idle.prev, struct upstream_conn, node);

		if (!conn_expired(c)) {
			loop_timer_set(s->pools->loop, &s->expiry, c->idle_since + s->keep_alive);
			break;
		}
		upstream_conn_close(c);
	}
	server_unref(s);
}

/* ---- servers ---- */
struct server *server_ref(struct server *s)
{
	s->refs++;
	return s;
}

void server_unref(struct server *s)
{
	if (--s->refs > 0)
		return;
	list_del(&s->node);
	list_del(&s->chain);
	loop_timer_drop(s->pools->loop, &s->expiry);
	lookup_deinit(s);
	tls_session_free(s->session);
	tls_ctx_unref(s->ctx);
	free((void *)(uintptr_t)s->name.p);
	free((void *)(uintptr_t)s->upstream.p);
	free((void *)(uintptr_t)s->address.p);
	free(s);
}

static struct str keep_str(struct str s)
{
	return (struct str){str_dup(s), s.n};
}

static void settings_of(const struct conf_upstream *u, uint8_t out[SHA256_LEN])
{
	const struct str parts[] = {u->tls_ca, u->tls_name, u->tls_certificate, u->tls_key};
	struct digest *d;

	memset(out, 0, SHA256_LEN);
	if (!u->tls)
		return;
	d = digest_new(STR_NONE);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const uint64_t n = parts[i].n;

		digest_add(d, (struct str){(const char *)&n, sizeof(n)});
		digest_add(d, parts[i]);
	}
	digest_get(d, out);
	digest_free(d);
}

static struct str name_of(const struct conf_upstream *u, struct str address)
{
	struct str host = STR_NONE;
	uint16_t port;

	if (u->tls_name.n > 0)
		return u->tls_name;
	return url_hostport(address, &host, &port) ? host : STR_NONE;
}

/* Every server is looked up at each reload, on the worker. */
static struct list *chain_of(struct pools *p, struct str upstream, struct str address)
{
	return &p->table[(hash_sip(upstream) * 31 + hash_sip(address)) % POOL_TABLE];
}

static struct server *server_new(struct pools *p, const struct conf_upstream *u, struct str address)
{
	struct server *s = xcalloc(1, sizeof(*s));
	struct stat_family *f =
	    stats_family(STAT_GAUGE, "merlon_upstream_inflight",
	                 "Requests that a server has not yet answered whole.", "upstream,server");
	const struct str labels[] = {u->name, address};

	s->pools = p;
	s->upstream = keep_str(u->name);
	s->address = keep_str(address);
	s->gauge = f ? stats_get(f, labels) : NULL;
	s->tls = u->tls;
	settings_of(u, s->settings);
	s->name = keep_str(name_of(u, address));
	list_init(&s->idle);
	loop_timer_init(&s->expiry, server_expire, s);
	lookup_init(s);
	list_add(&p->servers, &s->node);
	list_add(chain_of(p, u->name, address), &s->chain);
	return s;
}

/* Files with other content: what was verified by the old ones is not gone on with. */
static void server_trust(struct server *s, struct tls_ctx *ctx)
{
	if (!ctx || tls_ctx_same(s->ctx, ctx))
		return;
	if (s->ctx)
		close_idle(s);
	tls_session_free(s->session);
	s->session = NULL;
	tls_ctx_unref(s->ctx);
	s->ctx = tls_ctx_ref(ctx);
}

/* A reload finds the server again, with the connections it has and what is known of its health. */
static struct server *server_use(struct pools *p, const struct conf_upstream *u,
                                 struct tls_ctx *ctx, struct str address)
{
	struct server *found = NULL;
	uint8_t settings[SHA256_LEN];

	settings_of(u, settings);
	list_each(it, chain_of(p, u->name, address))
	{
		struct server *s = list_entry(it, struct server, chain);

		if (str_eq(s->upstream, u->name) && str_eq(s->address, address) &&
		    memcmp(s->settings, settings, sizeof(settings)) == 0)
			found = s;
	}
	if (!found)
		found = server_new(p, u, address);
	server_trust(found, ctx);
	/* The expiry's timer may be late for a shorter time; conn_lease() looks by itself. */
	found->keep_alive = u->keep_alive;
	found->users++;
	return server_ref(found);
}

static void server_leave(struct server *s)
{
	if (--s->users == 0)
		close_idle(s);
	server_unref(s);
}

/* ---- upstreams of a generation ---- */
static void upstream_init(struct upstream *u, struct pools *p, const struct conf_upstream *conf,
                          struct tls_ctx *ctx)
{
	u->conf = conf;
	u->pools = p;
	u->nservers = conf->nservers;
	if (u->nservers > SERVERS_MAX) {
		log_msg(LOG_L_WARN, "upstream=%.*s uses the first %d of its servers",
		        STR_FMT(conf->name), SERVERS_MAX);
		u->nservers = SERVERS_MAX;
	}
	u->servers = xcalloc(u->nservers ? u->nservers : 1, sizeof(struct server *));
	for (unsigned i = 0; i < u->nservers; i++)
		u->servers[i] = server_use(p, conf, ctx, conf->servers[i]);
	health_start(u);
}

struct upstream *upstreams_new(struct pools *p, const struct conf *c, struct tls_ctx *const *tls)
{
	struct upstream *us = xcalloc(c->nupstreams ? c->nupstreams : 1, sizeof(*us));

	for (unsigned i = 0; i < c->nupstreams; i++)
		upstream_init(&us[i], p, &c->upstreams[i], tls ? tls[i] : NULL);
	return us;
}

struct upstream *upstreams_free(struct upstream *u, unsigned n)
{
	for (unsigned i = 0; u && i < n; i++) {
		health_stop(&u[i]);
		for (unsigned k = 0; k < u[i].nservers; k++)
			server_leave(u[i].servers[k]);
		free(u[i].servers);
	}
	free(u);
	return NULL;
}

bool upstream_usable(const struct upstream *u)
{
	for (unsigned i = 0; i < u->nservers; i++)
		if (health_up(u->servers[i]))
			return true;
	return false;
}

/* ---- the registry ---- */
void pools_init(struct pools *p, struct loop *l, struct resolver *r, struct block_pool *blocks)
{
	p->loop = l;
	p->resolver = r;
	p->blocks = blocks;
	p->rng = clock_mono() ^ (uint64_t)(uintptr_t)p;
	if (p->rng == 0)
		p->rng = 1;
	p->parsers = (struct http_parsers){0};
	list_init(&p->servers);
	for (unsigned i = 0; i < POOL_TABLE; i++)
		list_init(&p->table[i]);
}

void pools_close_idle(struct pools *p)
{
	list_each_safe(it, &p->servers) close_idle(list_entry(it, struct server, node));
}

void pools_deinit(struct pools *p)
{
	pools_close_idle(p);
	http_parsers_deinit(&p->parsers);
}

void pools_each(struct pools *p, void (*fn)(void *arg, const struct server_info *s), void *arg)
{
	list_each(it, &p->servers)
	{
		const struct server *s = list_entry(it, struct server, node);
		struct server_info info = {.upstream = s->upstream,
		                           .address = s->address,
		                           .inflight = s->inflight,
		                           .idle = s->nidle,
		                           .healthy = health_up(s)};

		if (s->users > 0)
			fn(arg, &info);
	}
}
