/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A server's socket addresses: parsed once where they are literals, else asked for and kept for
 * their time to live. One question at a time serves every exchange that waits; where it finds no
 * answer the last good one stays in use, for a name server that is away must not take the models
 * with it.
 */
#include "base/log.h"
#include "base/mem.h"
#include "http/url.h"
#include "upstream/server.h"

#include "base/clock.h"

#include <stdlib.h>

static bool usable(struct server *s)
{
	return s->naddrs > 0 && (!s->host || loop_now(s->pools->loop) < s->fresh_until);
}

static void tell_waiting(struct server *s)
{
	struct list told;

	/* One that is told may ask anew; it then waits for the next answer, not for this one. */
	list_init(&told);
	while (!list_empty(&s->waiting)) {
		struct list *n = s->waiting.next;

		list_del(n);
		list_add(&told, n);
	}
	while (!list_empty(&told)) {
		struct lookup *w = list_entry(told.next, struct lookup, node);

		list_del(&w->node);
		w->fn(w->arg);
	}
}

static void answered(void *arg, const struct resolve_result *res)
{
	static struct log_limit limit;
	struct server *s = arg;
	uint64_t ttl = NS_PER_S;

	s->resolving = NULL;
	if (res->r == 0 && res->n > 0) {
		s->naddrs = res->n;
		for (unsigned i = 0; i < res->n; i++)
			s->addrs[i] = res->addrs[i];
		ttl *= res->ttl > 0 ? res->ttl : 1;
	} else {
		log_limited(&limit, 2, LOG_L_WARN, "cannot resolve server=%.*s%s",
		            STR_FMT(s->address), s->naddrs ? " (last answer stays in use)" : "");
	}
	s->fresh_until = loop_now(s->pools->loop) + ttl;
	server_ref(s);
	tell_waiting(s);
	server_unref(s);
}

bool lookup_addrs(struct server *s, struct lookup *wait)
{
	if (usable(s))
		return true;
	if (!s->host)
		return false;
	list_add(&s->waiting, &wait->node);
	if (!s->resolving)
		s->resolving = resolve(s->pools->resolver, s->host, s->port, answered, s);
	return false;
}

void lookup_init(struct server *s)
{
	struct str host;

	list_init(&s->waiting);
	if (net_addr_parse(s->address, &s->addrs[0])) {
		s->naddrs = 1;
		return;
	}
	if (url_hostport(s->address, &host, &s->port)) {
		s->host = str_dup(host);
		return;
	}
	/* conf has checked the form; an empty name never resolves. */
	s->host = xstrdup("");
}

void lookup_deinit(struct server *s)
{
	resolve_cancel(s->resolving);
	free(s->host);
}
