/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Admin HTTP on the control thread: the codec of the data path, one request a connection.
 */
#include "daemon/admin.h"

#include "base/clock.h"
#include "base/stats.h"
#include "http/parse.h"
#include "http/url.h"
#include "http/write.h"
#include "net/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD_MAX 8192
#define SCRAPE_MAX (16 * 1024 * 1024)
#define CLIENT_NS (10 * NS_PER_S)
#define CLIENTS_MAX 64

struct admin {
	struct gateway *g;
	int fd;
	struct listener *ln;
	struct block_pool blocks;
	struct list clients;
	unsigned nclients;
	uint64_t visitors; /* ever */
	unsigned asking;   /* rounds over the workers that will come back here */
	bool closed;       /* freed by the last of them */
};
struct visitor {
	struct list node;
	uint64_t number; /* one place in memory may be several visitors in turn */
	struct admin *a;
	struct stream *s;
	struct arena arena;
	struct http_parser parser;
	struct loop_timer timer;
	bool answered;
};
/* /readyz asks the workers; the visitor may go meanwhile. */
struct asking {
	struct admin *a;
	uint64_t number; /* of the visitor */
	atomic_uint usable;
	bool head;
};

static void visitor_free(struct visitor *v)
{
	loop_timer_drop(v->a->g->loop, &v->timer);
	stream_close(v->s);
	list_del(&v->node);
	v->a->nclients--;
	arena_deinit(&v->arena);
	free(v);
}

static void visitor_answer(struct visitor *v, unsigned status, struct str type, struct str body,
                           bool head)
{
	struct buf b;
	buf_init(&b, 4096);
	struct http_out o = {&b, 0};
	v->answered = true;
	http_out_status(&o, status);
	http_out_field(&o, STR("Content-Type"), type);
	http_out_field(&o, STR("Cache-Control"), STR("no-store"));
	if (status == 405)
		http_out_field(&o, STR("Allow"), STR("GET, HEAD"));
	http_out_field(&o, STR("Connection"), STR("close"));
	http_out_framing(&o, HTTP_LENGTH, body.n);
	if (http_out_end(&o) == 0) {
		stream_send_copy(v->s, b.p, b.n);
		if (!head)
			stream_send_copy(v->s, body.p, body.n);
		stream_flush(v->s);
		stream_shutdown(v->s);
	}
	buf_deinit(&b);
}

static void visitor_text(struct visitor *v, unsigned status, const char *text, bool head)
{
	visitor_answer(v, status, STR("text/plain; charset=utf-8"), str_of(text), head);
}

static void answer_metrics(struct visitor *v, bool head)
{
	struct buf b;
	buf_init(&b, SCRAPE_MAX);
	if (stats_render(&b) == 0)
		visitor_answer(v, 200, STR("text/plain; version=0.0.4; charset=utf-8"), buf_str(&b),
		               head);
	else
		visitor_text(v, 500, "the metrics do not fit\n", head);
	buf_deinit(&b);
}

/* Ready is a worker that has, for every route, a server worth trying. */
static void ready_worker(void *arg, struct worker *w)
{
	struct asking *q = arg;
	if (!w->current)
		return;
	const struct generation *g = w->current->gen;
	for (unsigned i = 0; i < g->nroutes; i++)
		if (!upstream_usable(&w->current->upstreams[g->routes[i].upstream]))
			return;
	atomic_fetch_add(&q->usable, 1);
}

static void ready_tell(struct visitor *v, const struct asking *q)
{
	const struct gateway *g = q->a->g;
	if (g->draining || !g->current)
		visitor_text(v, 503, g->draining ? "draining\n" : "starting\n", q->head);
	else if (atomic_load(&q->usable) == 0)
		visitor_text(v, 503, "a route has no usable upstream\n", q->head);
	else
		visitor_text(v, 200, "ready\n", q->head);
}

static void ready_done(void *arg)
{
	struct asking *q = arg;
	struct admin *a = q->a;
	list_each_safe(it, &a->clients)
	{
		struct visitor *v = list_entry(it, struct visitor, node);
		if (v->number == q->number && !v->answered)
			ready_tell(v, q);
	}
	free(q);
	if (--a->asking == 0 && a->closed)
		free(a);
}

static void visitor_request(struct visitor *v, const struct http_head *h)
{
	struct url u;
	const char *why = NULL;
	bool head = h->method == HTTP_HEAD;
	if (url_parse(h->target, false, &v->arena, &u, &why)) {
		visitor_text(v, 400, "bad request\n", head);
	} else if (h->method != HTTP_GET && !head) {
		visitor_text(v, 405, "only GET and HEAD\n", false);
	} else if (str_eq(u.path, STR("/healthz"))) {
		visitor_text(v, 200, "ok\n", head);
	} else if (str_eq(u.path, STR("/readyz"))) {
		struct asking *q = xcalloc(1, sizeof(*q));
		q->a = v->a;
		q->number = v->number;
		q->head = head;
		v->a->asking++;
		gateway_each(v->a->g, ready_worker, ready_done, q);
	} else if (str_eq(u.path, STR("/metrics"))) {
		answer_metrics(v, head);
	} else {
		visitor_text(v, 404, "/healthz /readyz /metrics\n", head);
	}
}

static void visitor_event(void *arg, unsigned what)
{
	struct visitor *v = arg;
	if (what & (STREAM_ERROR | STREAM_EOF)) {
		visitor_free(v);
		return;
	}
	struct str in = stream_in(v->s);
	if (v->answered || v->parser.max == 0) {
		stream_skip(v->s, in.n);
		return;
	}
	if (!(what & STREAM_IN))
		return;
	struct http_head h;
	enum http_result r = http_parse(&v->parser, in.p, in.n, &v->arena, &h);
	if (r == HTTP_DONE) {
		v->parser.max = 0; /* one request a connection */
		visitor_request(v, &h);
		stream_skip(v->s, stream_in(v->s).n);
	} else if (r == HTTP_BAD) {
		visitor_text(v, v->parser.status, "bad request\n", false);
		stream_skip(v->s, stream_in(v->s).n);
	}
}

static void visitor_timeout(void *arg)
{
	visitor_free(arg);
}

static void admin_accept(void *arg, int fd, const struct sockaddr *peer, socklen_t len)
{
	(void)peer;
	(void)len;
	struct admin *a = arg;
	if (a->nclients >= CLIENTS_MAX) {
		close(fd);
		return;
	}
	struct visitor *v = xcalloc(1, sizeof(*v));
	v->a = a;
	v->number = ++a->visitors;
	arena_init(&v->arena, NULL);
	http_parser_init(&v->parser, false, HEAD_MAX);
	loop_timer_init(&v->timer, visitor_timeout, v);
	loop_timer_in(a->g->loop, &v->timer, CLIENT_NS);
	list_add(&a->clients, &v->node);
	a->nclients++;
	v->s = stream_new(a->g->loop, fd, &a->blocks, visitor_event, v);
}

int admin_open(struct gateway *g, struct str address, struct admin **out, const char **why)
{
	struct net_addr addr;
	int fd = -1;
	int r = net_addr_parse(address, &addr) ? listener_bind(&addr, 1, 64, &fd) : -EINVAL;
	if (r) {
		*why = strerror(-r);
		return EXIT_ADDRESS;
	}
	struct admin *a = xcalloc(1, sizeof(*a));
	a->g = g;
	a->fd = fd;
	list_init(&a->clients);
	block_pool_init(&a->blocks, 8);
	a->ln = listener_start(g->loop, fd, admin_accept, a);
	*out = a;
	return 0;
}

void admin_close(struct admin *a)
{
	if (!a)
		return;
	while (!list_empty(&a->clients))
		visitor_free(list_entry(a->clients.next, struct visitor, node));
	listener_stop(a->ln, false);
	close(a->fd);
	block_pool_deinit(&a->blocks);
	a->closed = true;
	if (a->asking == 0)
		free(a);
}
