/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The way to a server, and the request. Until write() has taken a byte the exchange keeps the whole
 * request and may go on to another connection, address or server; from then on there is one
 * connection, and what happens to it happens to the exchange.
 */
#include "upstream/exchange.h"

#include "base/log.h"
#include "upstream/balance.h"
#include "upstream/exchangepriv.h"
#include "upstream/health.h"

static void pick(struct exchange *ex);

const char *exchange_strfault(enum exchange_fault f)
{
	switch (f) {
	case EX_CONNECT:
		return "upstream_connect";
	case EX_DOWN:
		return "upstream_down";
	case EX_TIMEOUT:
		return "upstream_timeout";
	case EX_CLOSED:
		return "upstream_closed";
	case EX_MALFORMED:
		return "upstream_malformed";
	case EX_RESOLVE:
		return "upstream_resolve";
	case EX_TLS:
		return "upstream_tls";
	}
	return "upstream_fault";
}

/* ---- holding and giving back ---- */
static void hold(struct exchange *ex, struct server *s, unsigned index)
{
	ex->server = server_ref(s);
	ex->tried |= UINT64_C(1) << index;
	ex->addr = 0;
	s->inflight++;
	if (s->gauge)
		stat_add(s->gauge, 1);
}

static void leave(struct exchange *ex)
{
	struct server *s = ex->server;

	if (!s)
		return;
	ex->server = NULL;
	s->inflight--;
	if (s->gauge)
		stat_add(s->gauge, -1);
	server_unref(s);
}

static void drop_conn(struct exchange *ex)
{
	if (ex->c)
		upstream_conn_close(ex->c);
	ex->c = NULL;
	ex->handed = false;
}

void exchange_release(struct exchange *ex, bool pool)
{
	if (ex->u->pools->under == ex)
		ex->u->pools->under = NULL;
	ex->state = EXCHANGE_OVER;
	ex->parser = http_parser_give(&ex->u->pools->parsers, ex->parser);
	list_del(&ex->wait.node);
	chain_deinit(&ex->queue);
	if (pool) {
		conn_pool(ex->c);
		ex->c = NULL;
	}
	drop_conn(ex);
	leave(ex);
}

void exchange_broken(struct exchange *ex, enum exchange_fault f)
{
	exchange_release(ex, false);
	ex->ops->fault(ex->owner, f);
}

static void tell_fault(void *arg)
{
	struct exchange *ex = arg;

	ex->ops->fault(ex->owner, ex->fault);
}

/* The owner may be in the middle of a call into the exchange. */
static void broken_later(struct exchange *ex, enum exchange_fault f)
{
	struct loop *l = ex->u->pools->loop;

	exchange_release(ex, false);
	ex->fault = f;
	loop_defer(l, &ex->task);
}

/* ---- deadlines ---- */
void exchange_arm(struct exchange *ex)
{
	const struct conf_upstream *conf = ex->u->conf;
	struct loop *l = ex->u->pools->loop;

	if (!ex->c)
		return;
	if (ex->state == EXCHANGE_CONNECT)
		loop_timer_in(l, &ex->c->timer, conf->connect_timeout);
	else if (ex->state == EXCHANGE_HEAD && ex->began)
		loop_timer_in(l, &ex->c->timer, conf->first_byte_timeout);
	else if (ex->state == EXCHANGE_BODY && !ex->paused)
		loop_timer_in(l, &ex->c->timer, conf->idle_timeout);
	else
		loop_timer_clear(&ex->c->timer);
}

/* ---- the way to a connection ---- */
static void attach(struct exchange *ex, struct upstream_conn *c, enum exchange_state state)
{
	ex->c = c;
	ex->state = state;
	ex->handed = false;
	ex->base = stream_written(c->s);
	if (ex->paused)
		stream_pause(c->s, true);
	exchange_arm(ex);
}

static bool take_pooled(struct exchange *ex)
{
	struct upstream_conn *c = conn_lease(ex->server, ex);

	if (!c)
		return false;
	ex->reused = true;
	attach(ex, c, EXCHANGE_HEAD);
	return true;
}

static bool connect_next(struct exchange *ex)
{
	struct server *s = ex->server;

	ex->reused = false;
	while (ex->addr < s->naddrs) {
		struct upstream_conn *c = conn_open(s, &s->addrs[ex->addr++], ex);

		if (c) {
			attach(ex, c, EXCHANGE_CONNECT);
			return true;
		}
		ex->fault = EX_CONNECT;
	}
	return false;
}

/* False: this server cannot even be tried. */
static bool take_fresh(struct exchange *ex)
{
	ex->addr = 0;
	if (!lookup_addrs(ex->server, &ex->wait)) {
		ex->state = EXCHANGE_LOOKUP;
		return true;
	}
	return connect_next(ex);
}

static void pick(struct exchange *ex)
{
	for (;;) {
		unsigned index = 0;
		struct server *s = balance(ex->u, ex->tried, &index);

		if (!s) {
			broken_later(ex, ex->fault ? ex->fault : EX_DOWN);
			return;
		}
		hold(ex, s, index);
		if (take_pooled(ex) || take_fresh(ex))
			return;
		leave(ex);
	}
}

/* From the loop: a pooled connection was found on the way and nobody else would write to it. */
static void go_on(struct exchange *ex)
{
	if (ex->state != EXCHANGE_HEAD)
		return;
	exchange_flush(ex);
	if (!ex->send_ended && exchange_queued(ex) <= STREAM_LOW)
		ex->ops->writable(ex->owner);
}

/* Nothing has left, so this server's next address, or another server, may do. */
static void attempt_failed(struct exchange *ex, enum exchange_fault why)
{
	ex->fault = why;
	drop_conn(ex);
	if (connect_next(ex))
		return;
	health_fault(ex->server);
	leave(ex);
	pick(ex);
	go_on(ex);
}

/* A pooled connection that the server had closed says nothing against the server. */
static void stale(struct exchange *ex)
{
	drop_conn(ex);
	if (take_fresh(ex))
		return;
	leave(ex);
	pick(ex);
	go_on(ex);
}

static void looked_up(void *arg)
{
	struct exchange *ex = arg;

	if (ex->server->naddrs == 0)
		attempt_failed(ex, EX_RESOLVE);
	else if (!connect_next(ex))
		attempt_failed(ex, EX_CONNECT);
}

/* ---- the request ---- */
/* The stream gets references; the queue keeps the request for another try. */
static void hand_over(struct exchange *ex)
{
	for (uint32_t i = 0; i < ex->queue.count; i++)
		stream_send(ex->c->s, slice_ref(*chain_at(&ex->queue, i)));
	ex->handed = true;
}

static void note_written(struct exchange *ex)
{
	if (ex->began || stream_written(ex->c->s) == ex->base)
		return;
	ex->began = loop_now(ex->u->pools->loop);
	chain_drain(&ex->queue, ex->queue.bytes);
	exchange_arm(ex);
}

static bool connected(const struct exchange *ex)
{
	return ex->state == EXCHANGE_HEAD || ex->state == EXCHANGE_BODY;
}

void exchange_flush(struct exchange *ex)
{
	if (!connected(ex))
		return;
	/* A failure is told by the stream as well, from the loop. */
	if (!ex->began && !ex->handed) {
		(void)stream_offer(ex->c->s, &ex->queue);
		note_written(ex);
		if (ex->began)
			return;
		hand_over(ex);
	}
	(void)stream_flush(ex->c->s);
	note_written(ex);
}

void exchange_send(struct exchange *ex, struct slice data)
{
	if (ex->state == EXCHANGE_OVER || ex->send_ended) {
		slice_unref(data);
		return;
	}
	if (ex->began) {
		stream_send(ex->c->s, data);
		return;
	}
	if (ex->handed)
		stream_send(ex->c->s, slice_ref(data));
	chain_pack(&ex->queue, ex->u->pools->blocks, data);
}

void exchange_send_copy(struct exchange *ex, const void *p, size_t n)
{
	struct block_pool *pool = ex->u->pools->blocks;

	if (ex->state == EXCHANGE_OVER || ex->send_ended)
		return;
	if (ex->began)
		stream_send_copy(ex->c->s, p, n);
	else if (ex->handed)
		exchange_send(ex, slice_copy(pool, p, n));
	else
		chain_copy(&ex->queue, pool, p, n);
}

void exchange_send_end(struct exchange *ex)
{
	ex->send_ended = true;
}

size_t exchange_queued(const struct exchange *ex)
{
	if (!ex->began || !ex->c)
		return ex->queue.bytes;
	return stream_queued(ex->c->s);
}

struct exchange *exchange_start(struct upstream *u, struct arena *a, struct slice head,
                                bool head_request, const struct exchange_ops *ops, void *owner)
{
	struct exchange *ex = arena_zalloc(a, sizeof(*ex));

	ex->u = u;
	ex->arena = a;
	ex->ops = ops;
	ex->owner = owner;
	ex->head_request = head_request;
	chain_push(&ex->queue, head);
	loop_task_init(&ex->task, tell_fault, ex);
	ex->wait.fn = looked_up;
	ex->wait.arg = ex;
	list_init(&ex->wait.node);
	pick(ex);
	return ex;
}

void exchange_pause(struct exchange *ex, bool paused)
{
	if (ex->paused == paused)
		return;
	ex->paused = paused;
	if (!ex->c)
		return;
	stream_pause(ex->c->s, paused);
	if (ex->state == EXCHANGE_BODY)
		exchange_arm(ex);
}

void exchange_abort(struct exchange *ex)
{
	if (!ex)
		return;
	loop_task_cancel(&ex->task);
	if (ex->state != EXCHANGE_OVER)
		exchange_release(ex, false);
}

/* ---- what the loop tells ---- */
bool exchange_log_tls(const struct exchange *ex)
{
	static struct log_limit limit;
	const struct server *s = ex->server;
	struct str why = stream_tls_error(ex->c->s);

	if (why.n > 0)
		log_limited(&limit, 10, LOG_L_WARN, "TLS failed upstream=%.*s server=%.*s: %.*s",
		            STR_FMT(s->upstream), STR_FMT(s->address), STR_FMT(why));
	return why.n > 0;
}

static void connect_event(struct exchange *ex, unsigned what)
{
	if (!(what & STREAM_CONNECTED)) {
		attempt_failed(ex, exchange_log_tls(ex) ? EX_TLS : EX_CONNECT);
		return;
	}
	ex->state = EXCHANGE_HEAD;
	exchange_arm(ex);
	go_on(ex);
}

/* The request has not begun to leave, so nothing can be an answer to it. */
static void unsent_event(struct exchange *ex, unsigned what)
{
	if (!(what & (STREAM_IN | STREAM_EOF | STREAM_HANGUP | STREAM_ERROR)))
		return;
	if (!ex->reused)
		exchange_log_tls(ex);
	if (ex->reused)
		stale(ex);
	else
		attempt_failed(ex, EX_CLOSED);
}

void exchange_on_stream(struct exchange *ex, unsigned what)
{
	const struct upstream_conn *c = ex->c;
	struct pools *p = ex->u->pools;

	p->under = ex;
	if (ex->state == EXCHANGE_CONNECT) {
		connect_event(ex, what);
		what &= ~(STREAM_CONNECTED | STREAM_OUT);
		if (p->under != ex)
			return;
	}
	/* connect_event() may have gone on to another connection, of which nothing is known yet. */
	if (what && ex->c == c && connected(ex)) {
		note_written(ex);
		if (ex->began)
			response_event(ex, what);
		else
			unsent_event(ex, what);
	}
	p->under = NULL;
}

void exchange_on_timer(struct exchange *ex)
{
	if (ex->state == EXCHANGE_CONNECT) {
		attempt_failed(ex, EX_TIMEOUT);
		return;
	}
	if (ex->state == EXCHANGE_HEAD)
		health_fault(ex->server);
	exchange_broken(ex, EX_TIMEOUT);
}
