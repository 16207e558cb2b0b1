/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What waits on a link: messages to be written, in one order, and calls to be answered, in the same
 * order. A message stays here until the kernel has taken its last byte, so that one which was cut
 * can be sent again whole; a call stays until its answer has come, even when nobody waits for it
 * any more, since only its place says whose the next answer is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "stack/streampriv.h"

#define FED_MAX (64 * 1024) /* bytes the connection holds of what is queued here */
#define NOTICE_MAX 4096

/* ---- messages ---- */
static struct stream_msg *msg_after(const struct stream_link *ln, const struct stream_msg *m)
{
	return m->node.next == &ln->queue ? NULL
	                                  : list_entry(m->node.next, struct stream_msg, node);
}

/* The length that is written before a message of n bytes; how many bytes that takes. */
static size_t count_text(const struct stream_link *ln, size_t n, char out[24])
{
	return ln->st->ops.octet_counting ? (size_t)snprintf(out, 24, "%zu ", n) : 0;
}

static struct stream_msg *msg_add(struct stream_link *ln, struct str bytes)
{
	char count[24];
	size_t counted = count_text(ln, bytes.n, count);
	struct stream_msg *m = xmalloc(sizeof(*m) + counted + bytes.n);

	*m = (struct stream_msg){.counted = (uint32_t)counted, .n = counted + bytes.n};
	memcpy(m->data, count, counted);
	memcpy(m->data + counted, bytes.p, bytes.n);
	list_add(&ln->queue, &m->node);
	ln->queued += m->n;
	if (!ln->unfed)
		ln->unfed = m;
	return m;
}

static void msg_free(struct stream_link *ln, struct stream_msg *m)
{
	if (ln->unfed == m)
		ln->unfed = msg_after(ln, m);
	list_del(&m->node);
	ln->queued -= m->n;
	if (m->call)
		m->call->msg = NULL;
	free(m);
}

static bool has_room(const struct stream_link *ln, size_t n)
{
	char count[24];

	n += count_text(ln, n, count);
	return n <= ln->st->ops.max_queue && ln->queued <= ln->st->ops.max_queue - n;
}

static void count_lost(struct stream_link *ln)
{
	ln->lost++;
	stat_add(ln->st->lost, 1);
}

/* Nothing passes by the notice of what was lost, and that is written when there is room for what
 * follows it too. */
static bool notice_due(const struct stream_link *ln)
{
	return ln->lost > 0 && ln->st->ops.lost;
}

static bool notice_fits(const struct stream_link *ln)
{
	return ln->state == LINK_UP && ln->queued <= ln->st->ops.max_queue / 2;
}

static void notice_write(struct stream_link *ln)
{
	const struct merlon_stream_ops *ops = &ln->st->ops;
	char buf[NOTICE_MAX];
	uint64_t n;

	n = ops->lost(ops->note, ln->lost, (int64_t)loop_wall_us(ln->w->loop), buf, sizeof(buf));
	if (n > 0 && n <= sizeof(buf))
		msg_add(ln, (struct str){buf, (size_t)n});
	ln->lost = 0;
}

bool queue_ready(const struct stream_link *ln, size_t n)
{
	return has_room(ln, n) && (!notice_due(ln) || notice_fits(ln));
}

int32_t queue_send(struct stream_link *ln, struct str bytes)
{
	if (!queue_ready(ln, bytes.n)) {
		count_lost(ln);
		return MERLON_E_FULL;
	}
	if (notice_due(ln))
		notice_write(ln);
	msg_add(ln, bytes);
	link_wake(ln);
	return 0;
}

/* ---- writing ---- */
void queue_written(struct stream_link *ln)
{
	uint64_t written;

	if (!ln->s)
		return;
	written = stream_written(ln->s);
	while (!list_empty(&ln->queue)) {
		struct stream_msg *m = list_entry(ln->queue.next, struct stream_msg, node);

		if (!m->fed || m->end > written)
			break;
		msg_free(ln, m);
	}
}

static void feed(struct stream_link *ln, struct stream_msg *m)
{
	uint64_t now = loop_now(ln->w->loop);

	stream_send_copy(ln->s, m->data, m->n);
	ln->given += m->n;
	m->end = ln->given;
	m->fed = true;
	ln->unfed = msg_after(ln, m);
	if (!m->call)
		return;
	m->call->fed_at = now ? now : 1;
	if (ln->stall.deadline == 0)
		loop_timer_set(ln->w->loop, &ln->stall, queue_stall(ln));
}

static void write_stream(struct stream_link *ln)
{
	for (;;) {
		while (ln->unfed && stream_queued(ln->s) < FED_MAX)
			feed(ln, ln->unfed);
		/* A failure is told of by the stream itself, after what the peer has still sent. */
		if (stream_flush(ln->s) < 0)
			return;
		queue_written(ln);
		if (!ln->unfed || stream_queued(ln->s) > 0)
			return;
	}
}

static void write_datagrams(struct stream_link *ln)
{
	static struct log_limit limit;

	while (!list_empty(&ln->queue)) {
		struct stream_msg *m = list_entry(ln->queue.next, struct stream_msg, node);
		int r = dgram_send(ln->d, (struct str){m->data + m->counted, m->n - m->counted});

		if (r == -EAGAIN)
			return;
		if (r == -EMSGSIZE) {
			log_limited(&limit, 1, LOG_L_WARN,
			            "a message is too long for a datagram endpoint=%.*s bytes=%zu",
			            (int)ln->st->ops.endpoint.len, ln->st->ops.endpoint.ptr, m->n);
			count_lost(ln);
		} else if (r < 0) {
			link_lost(ln, strerror(-r));
			return;
		}
		msg_free(ln, m);
	}
}

static void write_once(struct stream_link *ln)
{
	if (ln->d)
		write_datagrams(ln);
	else
		write_stream(ln);
}

void queue_write(struct stream_link *ln)
{
	if (ln->state != LINK_UP)
		return;
	write_once(ln);
	if (notice_due(ln) && notice_fits(ln)) {
		notice_write(ln);
		write_once(ln);
	}
}

/* ---- calls ---- */
static void call_unlink(struct stream_link *ln, struct stream_call *c)
{
	list_del(&c->node);
	ln->ncalls--;
	loop_timer_drop(ln->w->loop, &c->timer);
}

/* Nobody waits any more. Its place stays as long as an answer may come. */
static void call_abandon(struct stream_call *c)
{
	struct stream_link *ln = c->link;

	c->op = NULL;
	if (c->fed_at) {
		loop_timer_drop(ln->w->loop, &c->timer);
		return;
	}
	if (c->msg) {
		c->msg->call = NULL;
		msg_free(ln, c->msg);
	}
	call_unlink(ln, c);
	free(c);
}

/* What a request's end brings goes out, though the instance that asked for it is the last of its
 * generation and goes in the same turn. */
static void call_cancelled(void *arg)
{
	struct stream_call *c = arg;

	if (c->lasting && !c->fed_at) {
		c->op = NULL;
		loop_timer_drop(c->link->w->loop, &c->timer);
		return;
	}
	call_abandon(c);
}

static void call_timed_out(void *arg)
{
	struct stream_call *c = arg;
	merlon_stream_fn done = c->done;
	void *done_arg = c->arg;

	ledger_op_end(c->op);
	call_abandon(c);
	done(done_arg, MERLON_E_TIMEOUT, NULL);
}

int32_t queue_call(struct stream_link *ln, merlon_ctx *ctx, merlon_tx *tx, struct str bytes,
                   uint32_t timeout_ms, merlon_stream_fn done, void *arg, merlon_op **handle)
{
	struct stream_call *c;
	int32_t r;

	if (ln->ncalls >= STREAM_CALLS_MAX || !has_room(ln, bytes.n))
		return MERLON_E_FULL;
	c = xcalloc(1, sizeof(*c));
	r = ledger_op_begin(ctx, ln->w, tx, call_cancelled, c, handle, &c->op);
	if (r) {
		free(c);
		return r;
	}
	c->link = ln;
	c->lasting = !tx;
	c->done = done;
	c->arg = arg;
	c->msg = msg_add(ln, bytes);
	c->msg->call = c;
	list_add(&ln->calls, &c->node);
	ln->ncalls++;
	loop_timer_init(&c->timer, call_timed_out, c);
	loop_timer_in(ln->w->loop, &c->timer, timeout_ms * NS_PER_MS);
	link_wake(ln);
	return 0;
}

bool queue_answer(struct stream_link *ln, void *msg)
{
	void (*message_free)(void *msg) = ln->st->ops.message_free;
	struct stream_call *c = NULL;

	queue_written(ln);
	if (!list_empty(&ln->calls))
		c = list_entry(ln->calls.next, struct stream_call, node);
	if (!c || !c->fed_at || c->msg) {
		message_free(msg);
		return false;
	}
	call_unlink(ln, c);
	if (c->op) {
		ledger_op_end(c->op);
		c->done(c->arg, 0, msg);
	}
	message_free(msg);
	free(c);
	return true;
}

uint64_t queue_stall(const struct stream_link *ln)
{
	const struct stream_call *c;

	if (list_empty(&ln->calls))
		return 0;
	c = list_entry(ln->calls.next, struct stream_call, node);
	return c->fed_at ? c->fed_at + ln->st->ops.stall_ms * NS_PER_MS : 0;
}

/* ---- the connection's end ---- */
/* Calls go one by one, since one that is told may cancel others. */
static void fail_calls(struct stream_link *ln, struct list *failed)
{
	while (!list_empty(failed)) {
		struct stream_call *c = list_entry(failed->next, struct stream_call, node);
		merlon_stream_fn done = c->op ? c->done : NULL;
		void *arg = c->arg;

		if (c->op)
			ledger_op_end(c->op);
		call_unlink(ln, c);
		free(c);
		if (done)
			done(arg, MERLON_E_UNAVAIL, NULL);
	}
}

void queue_broken(struct stream_link *ln, bool all)
{
	struct list failed;

	list_init(&failed);
	list_each_safe(it, &ln->calls)
	{
		struct stream_call *c = list_entry(it, struct stream_call, node);

		if (!all && !c->fed_at)
			continue;
		if (c->msg)
			msg_free(ln, c->msg);
		c->fed_at = 0;
		list_del(&c->node);
		list_add(&failed, &c->node);
	}
	list_each(it, &ln->queue)
	{
		list_entry(it, struct stream_msg, node)->fed = false;
	}
	ln->unfed =
	    list_empty(&ln->queue) ? NULL : list_entry(ln->queue.next, struct stream_msg, node);
	fail_calls(ln, &failed);
}

void queue_forget(struct stream_link *ln)
{
	list_each_safe(it, &ln->calls)
	{
		struct stream_call *c = list_entry(it, struct stream_call, node);

		if (!c->op)
			continue;
		ledger_op_end(c->op);
		call_abandon(c);
	}
}

void queue_init(struct stream_link *ln)
{
	list_init(&ln->queue);
	list_init(&ln->calls);
}

void queue_deinit(struct stream_link *ln)
{
	const struct merlon_stream_ops *ops = &ln->st->ops;
	unsigned n = 0;

	queue_broken(ln, true);
	for (; !list_empty(&ln->queue); n++)
		msg_free(ln, list_entry(ln->queue.next, struct stream_msg, node));
	stat_add(ln->st->lost, n);
	if (n > 0)
		log_msg(LOG_L_WARN,
		        "stream ends with messages that could not be written "
		        "endpoint=%.*s messages=%u",
		        (int)ops->endpoint.len, ops->endpoint.ptr, n);
}
