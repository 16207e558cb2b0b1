/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Client connections: what happens between requests and around them. A connection is idle, serving
 * (it has a tx), dropping the rest of a refused body, or lingering after an early answer.
 */
#include "tx/conn.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/tls.h"
#include "tx/peers.h"
#include "tx/tx.h"

#include <stdlib.h>

static void conn_event(void *arg, unsigned what);
static void conn_timer(void *arg);
static void conn_begin(void *arg);

static const struct conf_limits *limits(const struct conn *c)
{
	return &c->w->current->gen->conf->limits;
}

struct conn *conn_accept(struct worker *w, int fd, const struct sockaddr *peer, socklen_t len,
                         bool half_close)
{
	struct conn *c = xcalloc(1, sizeof(*c));
	c->w = w;
	c->half_close = half_close;
	memcpy(&c->addr, peer, len < sizeof(c->addr) ? len : sizeof(c->addr));
	char text[64];
	net_addr_text(peer, text);
	memcpy(c->peer, text, sizeof(c->peer) - 1);
	loop_timer_init(&c->timer, conn_timer, c);
	loop_task_init(&c->next, conn_begin, c);
	list_add(&w->conns, &c->node);
	w->nconns++;
	atomic_fetch_add(w->connections, 1);
	c->s = stream_new(w->base.loop, fd, &w->blocks, conn_event, c);
	stream_set_patient(c->s);
	conn_deadline(c, limits(c)->idle_timeout);
	return c;
}

struct conn *conn_accept_tls(struct worker *w, int fd, const struct sockaddr *peer, socklen_t len,
                             bool half_close, const struct gen_listener *l)
{
	struct conn *c = conn_accept(w, fd, peer, len, half_close);
	stream_accept_tls(c->s, l->tls);
	c->tls = c->shaking = true;
	c->listener = l->id;
	c->shaken = l->shaken;
	c->failed = l->failed;
	conn_deadline(c, limits(c)->header_timeout);
	return c;
}

void conn_deadline(struct conn *c, uint64_t ns)
{
	c->progress = stream_written(c->s) + stream_read_total(c->s);
	c->waited = c->tx && tx_waits_for_client(c->tx);
	loop_timer_in(c->w->base.loop, &c->timer, ns);
}

struct conn *conn_close(struct conn *c)
{
	struct worker *w = c->w;
	if (!c->s)
		return NULL;
	merlon_tx *tx = c->tx;
	c->tx = NULL;
	if (tx)
		tx_client_gone(tx);
	loop_timer_drop(w->base.loop, &c->timer);
	loop_task_cancel(&c->next);
	c->s = stream_close(c->s);
	list_del(&c->node);
	w->nconns--;
	atomic_fetch_sub(w->connections, 1);
	if (c->counted)
		peers_give(w->peers, &c->addr.sa);
	/* Callers up the stack still look at c->s to see that it is closed. */
	loop_task_init(&c->next, free, c);
	loop_defer(w->base.loop, &c->next);
	if (w->conn_closed)
		w->conn_closed(w);
	if (w->draining && list_empty(&w->conns) && w->drained)
		w->drained(w);
	return NULL;
}

void conn_leave(struct conn *c)
{
	stream_tls_bye(c->s);
	conn_close(c);
}

/* RFC 9112 §9.6: the answer would be lost in a reset if the socket closed with unread bytes in it.
 */
static void conn_linger(struct conn *c)
{
	if (c->gone && stream_queued(c->s) == 0) {
		conn_close(c);
		return;
	}
	c->lingering = true;
	stream_shutdown(c->s);
	loop_timer_in(c->w->base.loop, &c->timer, LINGER_NS);
	struct str in = stream_in(c->s);
	stream_skip(c->s, in.n);
}

/* Bytes of a refused body. True: the rest has been read. */
static bool conn_drop(struct conn *c)
{
	struct str in = stream_in(c->s);
	size_t n = in.n < c->dropping ? in.n : (size_t)c->dropping;
	stream_skip(c->s, n);
	c->dropping -= n;
	return c->dropping == 0;
}

void conn_next(struct conn *c, bool keep, uint64_t rest)
{
	c->tx = NULL;
	if (!keep || c->w->draining) {
		conn_linger(c);
		return;
	}
	c->dropping = rest;
	conn_deadline(c, limits(c)->idle_timeout);
	if (!conn_drop(c)) {
		/* The end was seen while the request was served, and is not told again. */
		if (c->eof)
			conn_leave(c);
		return;
	}
	if (stream_in(c->s).n > 0)
		loop_defer(c->w->base.loop, &c->next);
	else if (c->half_close ? c->eof : c->gone)
		conn_leave(c);
}

/* The next request's first byte is there. */
static void conn_begin(void *arg)
{
	struct conn *c = arg;
	if (c->tx || c->lingering || stream_in(c->s).n == 0)
		return;
	c->tx = tx_new(c->w, c);
	tx_go(c->tx);
	/* Most heads come whole and never have a deadline of their own. */
	if (c->tx && tx_in(c->tx, S_PARSE))
		conn_deadline(c, limits(c)->header_timeout);
}

static void conn_input(struct conn *c)
{
	if (c->lingering) {
		struct str in = stream_in(c->s);
		c->lingered += (uint32_t)in.n;
		stream_skip(c->s, in.n);
		if (c->lingered > LINGER_BYTES)
			conn_close(c);
	} else if (c->tx) {
		tx_go(c->tx);
	} else if (conn_drop(c)) {
		conn_begin(c);
	}
}

/* The client sends nothing more, and what it sent has been looked at. */
static void conn_ended(struct conn *c)
{
	if (!c->tx) {
		if (stream_in(c->s).n == 0)
			conn_leave(c);
	} else if (c->half_close || tx_in(c->tx, S_PARSE)) {
		tx_go(c->tx); /* a head or body that is not whole will never be */
	} else {
		conn_close(c);
	}
}

/* No request, so no record: a line for whoever looks for the reason, and a number. */
static void conn_not_shaken(struct conn *c, struct str why)
{
	static struct log_limit limit;
	stat_add(c->failed, 1);
	log_limited(&limit, 5, LOG_L_INFO, "TLS handshake failed client=%s: %.*s", c->peer,
	            STR_FMT(why));
	conn_close(c);
}

static void conn_event(void *arg, unsigned what)
{
	struct conn *c = arg;
	if ((what & STREAM_ERROR) && c->shaking && !(what & STREAM_CONNECTED)) {
		conn_not_shaken(c, stream_tls_error(c->s));
		return;
	}
	if (what & STREAM_CONNECTED) {
		c->shaking = false;
		stat_add(c->shaken, 1);
		conn_deadline(c, limits(c)->idle_timeout);
	}
	if (what & STREAM_ERROR) {
		conn_close(c);
		return;
	}
	if (what & (STREAM_HANGUP | STREAM_EOF))
		c->gone = true;
	if (what & STREAM_EOF)
		c->eof = true;
	if (what & STREAM_IN)
		conn_input(c);
	else if ((what & STREAM_OUT) && c->tx)
		tx_go(c->tx);
	/* Input may have ended the connection; and what had arrived before the end is served first.
	 */
	if (c->s && (what & (STREAM_HANGUP | STREAM_EOF)))
		conn_ended(c);
}

/* A byte now and then would hold a connection for as long as its body may be. A window that began
 * while nobody waited for the client says nothing about its rate. */
static bool conn_slow(const struct conn *c)
{
	uint64_t moved = stream_written(c->s) + stream_read_total(c->s) - c->progress;
	const struct conf_limits *l = limits(c);
	uint64_t ms = l->idle_timeout / NS_PER_MS;
	if (!tx_waits_for_client(c->tx))
		return false;
	return moved == 0 || (c->waited && moved < l->min_rate * ms / 1000);
}

static void conn_timer(void *arg)
{
	struct conn *c = arg;
	if (c->shaking) {
		conn_not_shaken(c, STR("it took too long"));
		return;
	}
	if (!c->tx) {
		conn_leave(c);
		return;
	}
	if (tx_in(c->tx, S_PARSE))
		tx_head_timeout(c->tx);
	else if (conn_slow(c))
		tx_client_stalled(c->tx);
	else
		conn_deadline(c, limits(c)->idle_timeout);
}
