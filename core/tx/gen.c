/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Generations: see gen.h for who counts what.
 */
#include "tx/gen.h"

#include "base/log.h"
#include "base/mem.h"
#include "tx/worker.h"

#include <stdlib.h>

/* Exact hosts before "*." before none; exact paths before prefixes, longer before shorter. */
static int route_rank(const struct conf_route *r)
{
	int host = r->host.n == 0 ? 2 : str_starts(r->host, STR("*.")) ? 1 : 0;
	return host * 2 + (r->prefix ? 1 : 0);
}

static int route_cmp(const void *a, const void *b)
{
	const struct conf_route *x = ((const struct gen_route *)a)->conf;
	const struct conf_route *y = ((const struct gen_route *)b)->conf;
	if (route_rank(x) / 2 != route_rank(y) / 2)
		return route_rank(x) / 2 - route_rank(y) / 2;
	if (x->host.n != y->host.n)
		return x->host.n > y->host.n ? -1 : 1;
	if (x->prefix != y->prefix)
		return x->prefix ? 1 : -1;
	return x->path.n > y->path.n ? -1 : x->path.n < y->path.n;
}

static void route_stats(struct gen_route *r, struct str name)
{
	struct stat_family *f =
	    stats_family(STAT_HISTOGRAM, "merlon_request_duration_seconds",
	                 "Time from a request's first byte to its end.", "route");
	r->seconds = stats_get(f, &name);
	r->requests =
	    stats_family(STAT_COUNTER, "merlon_requests_total",
	                 "Requests by route, audit status and HTTP status.", "route,status,code");
	struct str ok[] = {name, STR("success"), STR("200")};
	r->ok = stats_get(r->requests, ok);
}

static void gen_routes(struct generation *g)
{
	const struct conf *c = g->conf;
	g->nroutes = c->nroutes;
	g->routes = xcalloc(c->nroutes + 1, sizeof(*g->routes));
	for (unsigned i = 0; i < c->nroutes; i++) {
		struct gen_route *r = &g->routes[i];
		r->conf = &c->routes[i];
		r->stack = stacks_find(g->stacks, r->conf->stack);
		for (unsigned u = 0; u < c->nupstreams; u++)
			if (str_eq(c->upstreams[u].name, r->conf->upstream))
				r->upstream = u;
		route_stats(r, r->conf->name);
	}
	qsort(g->routes, g->nroutes, sizeof(*g->routes), route_cmp);
	route_stats(&g->nowhere, STR("-"));
}

struct generation *gen_new(uint64_t id, struct conf *conf, struct stacks *stacks, unsigned nworkers,
                           void (*released)(struct generation *g))
{
	struct generation *g = xcalloc_lines(1, sizeof(*g));
	g->id = id;
	g->conf = conf;
	g->stacks = stacks;
	g->nworkers = nworkers;
	g->released = released;
	g->fallback = conf->fallback_stack.n ? stacks_find(stacks, conf->fallback_stack) : NULL;
	g->nowhere.stack = g->fallback;
	stacks_own(stacks, g);
	gen_routes(g);
	g->models = models_new(conf);
	g->lines = xcalloc(conf->nupstreams + 1, sizeof(*g->lines));
	for (unsigned i = 0; i < conf->nupstreams; i++)
		forward_lines_init(&g->lines[i], &conf->upstreams[i]);
	g->trusted = xcalloc(conf->ntrusted_proxies + 1, sizeof(*g->trusted));
	for (unsigned i = 0; i < conf->ntrusted_proxies; i++)
		if (net_prefix_parse(conf->trusted_proxies[i], &g->trusted[g->ntrusted]))
			g->ntrusted++;
	atomic_store(&g->live, 1);
	return g;
}

void gen_listen(struct generation *g, struct contexts *x, const unsigned *ids)
{
	const struct conf *c = g->conf;
	struct stat_family *f = stats_family(STAT_COUNTER, "merlon_tls_handshakes_total",
	                                     "TLS handshakes with clients.", "listener,result");
	g->contexts = x;
	g->listeners = xcalloc(c->nlisteners + 1, sizeof(*g->listeners));
	for (unsigned i = 0; i < c->nlisteners; i++) {
		struct gen_listener *l = &g->listeners[i];
		l->id = ids[i];
		l->tls = x->listeners[i];
		if (!l->tls)
			continue;
		l->shaken = stats_get(f, (struct str[]){c->listeners[i].name, STR("success")});
		l->failed = stats_get(f, (struct str[]){c->listeners[i].name, STR("failure")});
	}
}

const struct gen_listener *gen_listener(const struct generation *g, unsigned id)
{
	for (unsigned i = 0; g->listeners && i < g->conf->nlisteners; i++)
		if (g->listeners[i].id == id)
			return &g->listeners[i];
	return NULL;
}

void gen_free(struct generation *g)
{
	if (!g)
		return;
	stacks_retire(g->stacks);
	stacks_free(g->stacks);
	for (unsigned i = 0; i < g->conf->nupstreams; i++)
		forward_lines_deinit(&g->lines[i]);
	free(g->lines);
	conf_free(g->conf);
	contexts_free(g->contexts);
	free(g->listeners);
	free(g->routes);
	models_free(g->models);
	free(g->trusted);
	free(g);
}

static void gen_drop(struct generation *g)
{
	if (atomic_fetch_sub(&g->live, 1) == 1)
		g->released(g);
}

void gen_control_unref(struct generation *g)
{
	gen_drop(g);
}

int gen_attach(struct generation *g, struct worker *w, const char **module)
{
	struct gen_worker *gw = &g->w[w->base.index];
	gw->gen = g;
	gw->worker = w;
	gw->holds = 1;
	gw->upstreams =
	    upstreams_new(&w->pools, g->conf, g->contexts ? g->contexts->upstreams : NULL);
	atomic_fetch_add(&g->live, 1);
	/* A module may begin a call while it starts. */
	if (stacks_worker_start(g->stacks, &w->base, module)) {
		gen_let_go(gw);
		return -1;
	}
	gw->refs = 1;
	return 0;
}

void gen_switch(struct generation *g, struct worker *w)
{
	struct gen_worker *old = w->current;
	w->current = &g->w[w->base.index];
	if (old)
		gen_unref(old);
}

void gen_detach(struct generation *g, struct worker *w)
{
	gen_unref(&g->w[w->base.index]);
}

struct gen_worker *gen_ref(struct gen_worker *gw)
{
	gw->refs++;
	return gw;
}

void gen_unref(struct gen_worker *gw)
{
	if (--gw->refs > 0)
		return;
	stacks_worker_stop(gw->gen->stacks, &gw->worker->base);
	gen_let_go(gw);
}

struct gen_worker *gen_hold(struct gen_worker *gw)
{
	gw->holds++;
	return gw;
}

void gen_let_go(struct gen_worker *gw)
{
	if (--gw->holds > 0)
		return;
	struct generation *g = gw->gen;
	gw->upstreams = upstreams_free(gw->upstreams, g->conf->nupstreams);
	gen_drop(g);
}

static bool host_match(struct str pattern, struct str host)
{
	if (pattern.n == 0)
		return true;
	if (str_starts(pattern, STR("*."))) {
		struct str tail = {pattern.p + 1, pattern.n - 1};
		return host.n > tail.n && str_ends(host, tail);
	}
	return str_eq(pattern, host);
}

bool gen_trusts(const struct generation *g, const struct sockaddr *sa)
{
	for (unsigned i = 0; i < g->ntrusted; i++)
		if (net_prefix_match(&g->trusted[i], sa))
			return true;
	return false;
}

const struct gen_route *gen_route(const struct generation *g, struct str host, struct str path)
{
	for (unsigned i = 0; i < g->nroutes; i++) {
		const struct conf_route *r = g->routes[i].conf;
		if (!(r->prefix ? str_starts(path, r->path) : str_eq(path, r->path)))
			continue;
		if (host_match(r->host, host))
			return &g->routes[i];
	}
	return NULL;
}

const struct conf_model *gen_model(const struct generation *g, struct str model)
{
	return models_find(g->models, model);
}
