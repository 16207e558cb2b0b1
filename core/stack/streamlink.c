/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * One worker's connection of one stream: found, greeted, kept, and made anew when it ends. The link
 * belongs to its worker; it lives as long as an instance there holds it, and a little longer where
 * messages still wait.
 *
 * Nothing here is begun from within a callback of the connection that it replaces: what ends is
 * closed at once, and the next attempt comes by the timer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "stack/streampriv.h"

static void connect_next(struct stream_link *ln);
static void on_stream(void *owner, unsigned what);
static void on_dgram(void *owner, unsigned what);

static uint64_t now_of(const struct stream_link *ln)
{
	return loop_now(ln->w->loop);
}

static int endpoint_len(const struct stream_link *ln)
{
	return (int)ln->st->ops.endpoint.len;
}

/* ---- the end of a connection ---- */
static void conn_close(struct stream_link *ln)
{
	loop_timer_clear(&ln->timer);
	loop_timer_clear(&ln->stall);
	resolve_cancel(ln->resolving);
	ln->resolving = NULL;
	ln->s = stream_close(ln->s);
	ln->d = dgram_close(ln->d);
	if (ln->dec)
		ln->st->ops.decoder_free(ln->dec);
	ln->dec = NULL;
	ln->given = 0;
}

static void log_down(struct stream_link *ln, const char *why)
{
	if (ln->logged_down)
		return;
	ln->logged_down = true;
	log_msg(LOG_L_WARN, "stream is down endpoint=%.*s worker=%u reason=%s", endpoint_len(ln),
	        ln->st->ops.endpoint.ptr, ln->w->index, why);
}

/* Full jitter, so that workers and gateways which lost a server together do not come back together.
 */
static uint64_t next_delay(struct stream_link *ln)
{
	uint64_t seed[2] = {now_of(ln), (uint64_t)(uintptr_t)ln};
	uint64_t r = hash_sip((struct str){(const char *)seed, sizeof(seed)});

	ln->backoff = ln->backoff == 0 ? STREAM_BACKOFF_MIN : ln->backoff * 2;
	if (ln->backoff > STREAM_BACKOFF_MAX)
		ln->backoff = STREAM_BACKOFF_MAX;
	return r % ln->backoff;
}

static bool drained(const struct stream_link *ln)
{
	return ln->holders == 0 && list_empty(&ln->queue);
}

void link_lost(struct stream_link *ln, const char *why)
{
	bool was_up = ln->state == LINK_UP;
	uint64_t now = now_of(ln);
	uint64_t delay = 0;

	log_down(ln, why);
	ln->first += ln->d != NULL;
	conn_close(ln);
	ln->state = LINK_WAITING;
	if (was_up)
		stat_add(ln->st->up, -1);
	if (was_up && now - ln->up_since >= STREAM_STEADY)
		ln->backoff = 0;
	/* Once at once; a peer that takes connections only to end them is a peer that is away. */
	if (was_up && (ln->instant == 0 || now - ln->instant >= STREAM_STEADY)) {
		ln->instant = now;
	} else {
		ln->down = true;
		delay = next_delay(ln);
	}
	loop_timer_in(ln->w->loop, &ln->timer, delay);
	queue_broken(ln, ln->down);
	if (drained(ln))
		link_end(ln);
}

/* What fails before the link is up leaves the other addresses to be tried. */
static void conn_failed(struct stream_link *ln, const char *why)
{
	if (ln->state == LINK_UP || ln->at >= ln->naddrs || now_of(ln) >= ln->deadline) {
		link_lost(ln, why);
		return;
	}
	conn_close(ln);
	connect_next(ln);
}

/* ---- connecting ---- */
static void link_up(struct stream_link *ln)
{
	loop_timer_clear(&ln->timer);
	ln->state = LINK_UP;
	ln->down = false;
	ln->up_since = now_of(ln);
	stat_add(ln->st->up, 1);
	stat_add(ln->st->connects, 1);
	if (ln->logged_down)
		log_msg(LOG_L_NOTICE, "stream is up endpoint=%.*s worker=%u", endpoint_len(ln),
		        ln->st->ops.endpoint.ptr, ln->w->index);
	ln->logged_down = false;
	link_wake(ln);
}

static void connected(struct stream_link *ln)
{
	const struct merlon_stream_ops *ops = &ln->st->ops;

	stream_keep(ln->s);
	if (ops->decode)
		ln->dec = ops->decoder_new();
	ln->greeted = 0;
	ln->given = ops->greeting.len;
	/* As static memory, which the stream outlives, so that no copy of a secret is left behind.
	 */
	if (ops->greeting.len)
		stream_send(ln->s,
		            (struct slice){NULL, ops->greeting.ptr, (size_t)ops->greeting.len});
	if (ops->greetings == 0) {
		link_up(ln);
		return;
	}
	ln->state = LINK_GREETING;
	loop_timer_set(ln->w->loop, &ln->timer, ln->deadline);
	/* A failure comes back as STREAM_ERROR. */
	(void)stream_flush(ln->s);
}

static bool is_datagram(const struct stream_link *ln)
{
	return ln->st->kind == ENDPOINT_UDP || (ln->st->kind == ENDPOINT_UNIX && ln->datagram);
}

/* A session is of one address. */
static struct tls_session **session_of(struct stream_link *ln, const struct net_addr *a)
{
	if (ln->session_addr.len != a->len || memcmp(&ln->session_addr.ss, &a->ss, a->len) != 0) {
		tls_session_free(ln->session);
		ln->session = NULL;
		ln->session_addr = *a;
	}
	return &ln->session;
}

static bool conn_begin(struct stream_link *ln, const struct net_addr *a, int *err)
{
	const struct sockaddr *sa = (const struct sockaddr *)&a->ss;

	if (is_datagram(ln)) {
		ln->d = dgram_connect(ln->w->loop, sa, a->len, on_dgram, ln, err);
		return ln->d != NULL;
	}
	if (ln->st->tls)
		ln->s = stream_connect_tls(ln->w->loop, sa, a->len, ln->w->blocks, ln->st->tls,
		                           from_merlon(ln->st->ops.server_name), session_of(ln, a),
		                           on_stream, ln, err);
	else
		ln->s = stream_connect(ln->w->loop, sa, a->len, ln->w->blocks, on_stream, ln, err);
	return ln->s != NULL;
}

static void connect_next(struct stream_link *ln)
{
	const struct net_addr *a = &ln->addrs[ln->at++];
	uint64_t now = now_of(ln);
	uint64_t left = ln->deadline > now ? ln->deadline - now : 0;
	int err = 0;

	ln->state = LINK_CONNECTING;
	/* The addresses that follow get their share of the time. */
	loop_timer_in(ln->w->loop, &ln->timer, left / (ln->naddrs - ln->at + 1));
	if (!conn_begin(ln, a, &err)) {
		if (err == EPROTOTYPE && ln->datagram)
			ln->datagram = false;
		conn_failed(ln, strerror(err));
	} else if (ln->d) {
		link_up(ln);
	}
}

static void resolved(void *arg, const struct resolve_result *res)
{
	struct stream_link *ln = arg;

	ln->resolving = NULL;
	if (res->r || res->n == 0) {
		link_lost(ln, "its name cannot be resolved");
		return;
	}
	ln->naddrs = res->n;
	for (unsigned i = 0; i < res->n; i++)
		ln->addrs[i] = res->addrs[(ln->first + i) % res->n];
	connect_next(ln);
}

static void attempt(struct stream_link *ln)
{
	struct merlon_stream *st = ln->st;

	ln->deadline = now_of(ln) + st->ops.connect_timeout_ms * NS_PER_MS;
	ln->at = 0;
	ln->naddrs = 0;
	if (st->kind == ENDPOINT_UNIX) {
		ln->naddrs = 1;
		ln->addrs[0] = st->addr;
		connect_next(ln);
		return;
	}
	ln->state = LINK_RESOLVING;
	loop_timer_set(ln->w->loop, &ln->timer, ln->deadline);
	ln->resolving = resolve(ln->w->resolver, st->host, st->port, resolved, ln);
}

static void on_timer(void *arg)
{
	struct stream_link *ln = arg;

	switch (ln->state) {
	case LINK_WAITING:
		attempt(ln);
		break;
	case LINK_RESOLVING:
		link_lost(ln, "its name was not resolved in time");
		break;
	case LINK_CONNECTING:
		conn_failed(ln, "no connection in time");
		break;
	case LINK_GREETING:
		conn_failed(ln, "the greeting was not answered in time");
		break;
	case LINK_UP:
		break;
	}
}

static void on_stall(void *arg)
{
	struct stream_link *ln = arg;
	uint64_t until = queue_stall(ln);

	if (until == 0)
		return;
	if (until > now_of(ln))
		loop_timer_set(ln->w->loop, &ln->stall, until);
	else
		link_lost(ln, "a call was not answered");
}

/* ---- what the connection tells ---- */
/* False: the connection has ended by it. */
static bool take_message(struct stream_link *ln, void *msg)
{
	const struct merlon_stream_ops *ops = &ln->st->ops;
	int32_t r;

	if (ln->state == LINK_UP) {
		if (queue_answer(ln, msg))
			return true;
		link_lost(ln, "an answer came that nobody had asked for");
		return false;
	}
	r = ops->greeted ? ops->greeted(ln->greeted, msg) : 0;
	ops->message_free(msg);
	if (r) {
		conn_failed(ln, "the greeting was refused");
		return false;
	}
	if (++ln->greeted == ops->greetings)
		link_up(ln);
	return true;
}

static void take_input(struct stream_link *ln)
{
	const struct merlon_stream_ops *ops = &ln->st->ops;
	struct stream *s = ln->s;
	struct str in = stream_in(s);
	void *msg = NULL;
	int32_t r;

	if (!ln->dec) {
		stream_skip(s, in.n);
		return;
	}
	r = ops->decode(ln->dec, to_merlon(in), &msg);
	stream_skip(s, in.n);
	while (r == 1) {
		if (!take_message(ln, msg) || ln->s != s)
			return;
		msg = NULL;
		r = ops->decode(ln->dec, (struct merlon_str){NULL, 0}, &msg);
	}
	if (r != 0)
		conn_failed(ln, "what it sent could not be read");
}

/* Copied: the stream's own text goes with it. */
static const char *error_text(const struct stream_link *ln, char *buf, size_t n)
{
	struct str tls = stream_tls_error(ln->s);

	if (tls.n == 0)
		return strerror(stream_error(ln->s));
	snprintf(buf, n, "%.*s", STR_FMT(tls));
	return buf;
}

/* A unix socket that is there, but not of the kind that was tried. */
static bool other_kind(struct stream_link *ln)
{
	if (ln->st->kind != ENDPOINT_UNIX || ln->state != LINK_CONNECTING ||
	    stream_error(ln->s) != EPROTOTYPE || ln->st->ops.decode)
		return false;
	conn_close(ln);
	ln->datagram = true;
	ln->at = 0;
	connect_next(ln);
	return true;
}

static void on_stream(void *owner, unsigned what)
{
	struct stream_link *ln = owner;
	struct stream *s = ln->s;
	char why[200];

	if (what & STREAM_CONNECTED)
		connected(ln);
	if (what & STREAM_IN)
		take_input(ln);
	if (ln->s != s)
		return;
	if (what & STREAM_ERROR) {
		if (!other_kind(ln))
			conn_failed(ln, error_text(ln, why, sizeof(why)));
		return;
	}
	/* A peer that has closed its side will not read either. */
	if (what & STREAM_EOF) {
		conn_failed(ln, "the peer has closed the connection");
		return;
	}
	if (what & STREAM_OUT)
		link_wake(ln);
}

static void on_dgram(void *owner, unsigned what)
{
	struct stream_link *ln = owner;

	if (what & DGRAM_ERROR)
		link_lost(ln, strerror(dgram_error(ln->d)));
	else
		link_wake(ln);
}

static void on_task(void *arg)
{
	struct stream_link *ln = arg;

	queue_write(ln);
	if (drained(ln))
		link_end(ln);
}

void link_wake(struct stream_link *ln)
{
	if (ln->state == LINK_UP)
		loop_defer(ln->w->loop, &ln->task);
}

/* ---- life ---- */
static void on_linger(void *arg)
{
	link_end(arg);
}

struct stream_link *link_get(struct merlon_stream *st, struct merlon_worker *w)
{
	struct stream_link *ln = st->links[w->index];

	if (ln)
		return ln;
	ln = xcalloc(1, sizeof(*ln));
	ln->st = st;
	ln->w = w;
	stream_ref(st);
	queue_init(ln);
	loop_timer_init(&ln->timer, on_timer, ln);
	loop_timer_init(&ln->stall, on_stall, ln);
	loop_timer_init(&ln->linger, on_linger, ln);
	loop_task_init(&ln->task, on_task, ln);
	list_add(&w->links, &ln->node);
	st->links[w->index] = ln;
	ln->state = LINK_WAITING;
	loop_timer_in(w->loop, &ln->timer, 0);
	return ln;
}

void link_hold(struct stream_link *ln)
{
	ln->holders++;
	loop_timer_clear(&ln->linger);
}

void link_drop(struct stream_link *ln)
{
	if (--ln->holders > 0)
		return;
	queue_write(ln);
	if (drained(ln))
		link_end(ln);
	else
		loop_timer_in(ln->w->loop, &ln->linger, STREAM_LINGER);
}

static void link_free(void *arg)
{
	struct stream_link *ln = arg;

	tls_session_free(ln->session);
	stream_unref(ln->st);
	free(ln);
}

void link_end(struct stream_link *ln)
{
	struct loop *loop = ln->w->loop;

	if (ln->closed)
		return;
	ln->closed = true;
	if (ln->state == LINK_UP) {
		stat_add(ln->st->up, -1);
		/* Nothing is cut off: the peer may know that this is the end. */
		if (ln->s && list_empty(&ln->queue))
			(void)stream_shutdown(ln->s);
	}
	conn_close(ln);
	ln->state = LINK_WAITING;
	ln->down = true;
	queue_deinit(ln);
	loop_timer_drop(loop, &ln->timer);
	loop_timer_drop(loop, &ln->stall);
	loop_timer_drop(loop, &ln->linger);
	list_del(&ln->node);
	ln->st->links[ln->w->index] = NULL;
	if (ln->w->links_finish && list_empty(&ln->w->links))
		loop_stop(loop);
	/* After the stream, which may still hold the greeting. */
	loop_task_cancel(&ln->task);
	loop_task_init(&ln->task, link_free, ln);
	loop_defer(loop, &ln->task);
}

static bool connects(const struct merlon_ctx *ctx, const struct merlon_worker *w)
{
	return !ctx->probing && w->resolver;
}

void streams_worker_start(struct merlon_ctx *ctx, struct merlon_worker *w)
{
	for (unsigned i = 0; i < ctx->streams.n && connects(ctx, w); i++)
		link_hold(link_get(ctx->streams.v[i], w));
}

void streams_worker_stop(struct merlon_ctx *ctx, struct merlon_worker *w)
{
	for (unsigned i = 0; i < ctx->streams.n && connects(ctx, w); i++) {
		struct stream_link *ln = ctx->streams.v[i]->links[w->index];

		/* None: the worker has ended before its instances. */
		if (ln)
			link_drop(ln);
	}
}

void streams_worker_finish(struct merlon_worker *w)
{
	w->links_finish = true;
	/* Where the process gave up on instances that do not end, their links end all the same. */
	list_each_safe(it, &w->links)
	{
		struct stream_link *ln = list_entry(it, struct stream_link, node);

		if (ln->holders == 0)
			continue;
		queue_forget(ln);
		ln->holders = 1;
		link_drop(ln);
	}
	while (!list_empty(&w->links))
		loop_run(w->loop);
	w->links_finish = false;
}
