/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Binding: see bind.h. An upstream made here is one of the configuration from then on: it has its
 * servers, its pool and its place in status and metrics, and lives in the configuration's arena.
 */
#include "stack/bind.h"

#include "base/clock.h"

#define NAMES_MAX 64 /* that are searched for one that is nearly right */

static bool has_upstream(const struct conf *c, struct str name)
{
	for (unsigned i = 0; i < c->nupstreams; i++)
		if (str_eq(c->upstreams[i].name, name))
			return true;
	return false;
}

static void unknown_upstream(struct conf *c, const struct merlon_ctx *ctx,
                             const struct opt_upstream *u, struct conf_diag *d)
{
	const char *names[NAMES_MAX];
	size_t n = 0;

	for (unsigned i = 0; i < c->nupstreams && n < NAMES_MAX; i++)
		names[n++] = arena_str(&c->arena, c->upstreams[i].name).p;
	const char *near = str_suggest(u->name, names, n);
	conf_error(d, u->at, "%s: there is no upstream \"%.*s\"%s%s%s", ctx->m->name,
	           STR_FMT(u->name), near ? ", did you mean \"" : "", near ? near : "",
	           near ? "\"?" : "");
}

static void add_upstream(struct conf *c, const struct opt_upstream *u)
{
	struct conf_upstream *all =
	    arena_zalloc(&c->arena, (c->nupstreams + 1) * sizeof(*c->upstreams));
	struct str *servers = arena_alloc(&c->arena, sizeof(*servers));

	if (c->nupstreams)
		memcpy(all, c->upstreams, c->nupstreams * sizeof(*all));
	servers[0] = arena_str(&c->arena, u->server);
	all[c->nupstreams] = (struct conf_upstream){
	    .node = u->at,
	    .name = arena_str(&c->arena, u->name),
	    .servers = servers,
	    .nservers = 1,
	    .connect_timeout = 5 * NS_PER_S,
	    .first_byte_timeout = 10 * NS_PER_S,
	    .idle_timeout = 10 * NS_PER_S,
	    .keep_alive = 4 * NS_PER_S,
	    .health_interval = 5 * NS_PER_S,
	    .tls = u->tls,
	};
	c->upstreams = all;
	c->nupstreams++;
}

void bind_upstreams(struct conf *c, const struct merlon_ctx *ctx, struct conf_diag *d)
{
	for (unsigned i = 0; i < ctx->nupstreams; i++) {
		const struct opt_upstream *u = &ctx->upstreams[i];

		if (has_upstream(c, u->name))
			continue;
		if (u->server.n == 0)
			unknown_upstream(c, ctx, u, d);
		else if (!u->tls && !u->loopback)
			conf_error(d, u->at,
			           "%s: %.*s is another machine, reached in clear text; if that is "
			           "meant, describe it as an upstream with this name",
			           ctx->m->name, STR_FMT(u->name));
		else
			add_upstream(c, u);
	}
}
