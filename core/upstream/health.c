/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Marks servers down and up. The marks are the server's and outlive a generation; the active checks
 * are an upstream's. Each check is an exchange with an arena of its own and a copy of the settings
 * in which every deadline is the interval.
 */
#include "upstream/health.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/write.h"
#include "upstream/exchange.h"
#include "upstream/server.h"

#include <stdlib.h>

#define DOWN_MAX (30 * NS_PER_S)
#define CHECK_HEAD_MAX 4096

struct check {
	struct health *health;
	struct upstream u; /* of this server alone */
	struct server *server;
	struct exchange *ex;
	struct arena arena;
	unsigned status;
};
struct health {
	struct loop *loop;
	struct loop_timer timer;
	struct conf_upstream conf;
	struct check *checks;
	unsigned nchecks;
};

/* ---- passive ---- */
void health_fault(struct server *s)
{
	uint64_t down = NS_PER_S;

	if (s->faults < UINT32_MAX)
		s->faults++;
	if (s->faults < HEALTH_FAULTS)
		return;
	for (unsigned i = HEALTH_FAULTS; i < s->faults && down < DOWN_MAX; i++)
		down *= 2;
	if (down > DOWN_MAX)
		down = DOWN_MAX;
	if (s->faults == HEALTH_FAULTS)
		log_msg(LOG_L_WARN, "server is down upstream=%.*s server=%.*s",
		        STR_FMT(s->upstream), STR_FMT(s->address));
	s->down_until = loop_now(s->pools->loop) + down;
}

void health_success(struct server *s)
{
	if (s->faults >= HEALTH_FAULTS)
		log_msg(LOG_L_NOTICE, "server answers again upstream=%.*s server=%.*s",
		        STR_FMT(s->upstream), STR_FMT(s->address));
	s->faults = 0;
	s->down_until = 0;
}

bool health_up(const struct server *s)
{
	return !s->check_failed && loop_now(s->pools->loop) >= s->down_until;
}

/* ---- active ---- */
static void check_mark(struct server *s, bool ok)
{
	if (s->check_failed == !ok)
		return;
	s->check_failed = !ok;
	log_msg(ok ? LOG_L_NOTICE : LOG_L_WARN, "health check %s upstream=%.*s server=%.*s",
	        ok ? "passed" : "failed", STR_FMT(s->upstream), STR_FMT(s->address));
}

static void check_over(struct check *c)
{
	check_mark(c->server, c->status >= 200 && c->status < 400);
	c->ex = NULL;
	arena_deinit(&c->arena);
}

static void check_head(void *owner, struct http_head *h)
{
	struct check *c = owner;

	c->status = h->status;
}

static void check_body(void *owner, struct slice data)
{
	(void)owner;
	slice_unref(data);
}

/* The head was all that was wanted; a body that does not come with it is not waited for. */
static void check_turn(void *owner)
{
	struct check *c = owner;

	if (c->status) {
		exchange_abort(c->ex);
		check_over(c);
	}
}

static void check_end(void *owner)
{
	check_over(owner);
}

static void check_fault(void *owner, enum exchange_fault f)
{
	struct check *c = owner;

	(void)f;
	c->status = 0;
	check_over(c);
}

static void check_writable(void *owner)
{
	(void)owner;
}

static const struct exchange_ops check_ops = {
    .head = check_head,
    .body = check_body,
    .turn = check_turn,
    .end = check_end,
    .fault = check_fault,
    .writable = check_writable,
};

static bool check_request(const struct check *c, struct buf *b)
{
	const struct conf_upstream *conf = c->u.conf;
	bool local = str_starts(c->server->address, STR("unix:"));
	struct http_out o = {b, 0};

	http_out_request(&o, STR("GET"), conf->health_path);
	http_out_field(&o, STR("Host"), local ? STR("localhost") : c->server->address);
	for (unsigned i = 0; i < conf->nheaders; i++)
		http_out_field(&o, conf->headers[i].name, conf->headers[i].value);
	return http_out_end(&o) == 0;
}

static void check_begin(struct check *c)
{
	struct buf b;

	if (c->ex)
		return;
	buf_init(&b, CHECK_HEAD_MAX);
	if (check_request(c, &b)) {
		struct slice head = slice_copy(c->u.pools->blocks, b.p, b.n);

		arena_init(&c->arena, NULL);
		c->status = 0;
		c->ex = exchange_start(&c->u, &c->arena, head, false, &check_ops, c);
		exchange_send_end(c->ex);
		exchange_flush(c->ex);
	}
	/* The fields may be credentials. */
	buf_wipe(&b);
	buf_deinit(&b);
}

static void check_all(void *arg)
{
	struct health *h = arg;

	for (unsigned i = 0; i < h->nchecks; i++)
		check_begin(&h->checks[i]);
	loop_timer_in(h->loop, &h->timer, h->conf.health_interval);
}

void health_start(struct upstream *u)
{
	struct health *h;

	if (u->conf->health_path.n == 0 || u->conf->health_interval == 0)
		return;
	h = xcalloc(1, sizeof(*h));
	h->loop = u->pools->loop;
	h->conf = *u->conf;
	h->conf.connect_timeout = h->conf.health_interval;
	h->conf.first_byte_timeout = h->conf.health_interval;
	h->conf.idle_timeout = h->conf.health_interval;
	h->nchecks = u->nservers;
	h->checks = xcalloc(u->nservers ? u->nservers : 1, sizeof(*h->checks));
	for (unsigned i = 0; i < h->nchecks; i++) {
		struct check *c = &h->checks[i];

		c->health = h;
		c->server = u->servers[i];
		c->u = (struct upstream){.conf = &h->conf,
		                         .pools = u->pools,
		                         .servers = &c->server,
		                         .nservers = 1,
		                         .probe = true};
	}
	loop_timer_init(&h->timer, check_all, h);
	loop_timer_in(h->loop, &h->timer, 0);
	u->health = h;
}

void health_stop(struct upstream *u)
{
	struct health *h = u->health;

	if (!h)
		return;
	u->health = NULL;
	loop_timer_drop(h->loop, &h->timer);
	for (unsigned i = 0; i < h->nchecks; i++) {
		struct check *c = &h->checks[i];

		if (c->ex) {
			exchange_abort(c->ex);
			arena_deinit(&c->arena);
		}
		/* Nobody would find out that it is well again. */
		c->server->check_failed = false;
	}
	free(h->checks);
	free(h);
}
