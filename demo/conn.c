/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A connection of the demo model: reads a request whole, asks answer.c, writes the answer, again.
 * Owns its stream, its arena and the answer under way.
 */
#include "demo.h"

#include "base/clock.h"
#include "http/body.h"
#include "http/headers.h"
#include "http/parse.h"
#include "http/write.h"
#include "net/stream.h"

#include <stdlib.h>

#define CLOSING_NS (2 * NS_PER_S) /* for the peer to close as well */

enum state { READ_HEAD, READ_BODY, WAITING, STREAMING, CLOSING };

struct demo_conn {
	struct demo *d;
	struct stream *s;
	enum state state;
	bool counted; /* in d->requests */
	bool keep;
	bool chunked; /* the answer */
	struct http_parser parser;
	struct http_head head;
	struct slice head_bytes;
	struct http_body framing;
	struct buf body;
	struct arena arena;
	struct demo_options o;
	struct answer a;
	struct loop_timer timer;
};

static void conn_free(struct demo_conn *c)
{
	if (c->counted && c->state != CLOSING && c->state != READ_HEAD)
		c->d->aborted++;
	c->d->connections--;
	loop_timer_drop(c->d->loop, &c->timer);
	stream_close(c->s);
	slice_unref(c->head_bytes);
	buf_deinit(&c->body);
	buf_deinit(&c->a.body);
	arena_deinit(&c->arena);
	free(c);
}

static void next_request(struct demo_conn *c)
{
	if (c->counted)
		c->d->answered++;
	c->counted = false;
	slice_unref(c->head_bytes);
	c->head_bytes = (struct slice){0};
	buf_reset(&c->body);
	buf_deinit(&c->a.body);
	arena_deinit(&c->arena);
	if (!c->keep) {
		c->state = CLOSING;
		stream_shutdown(c->s);
		loop_timer_in(c->d->loop, &c->timer, CLOSING_NS);
		return;
	}
	http_parser_init(&c->parser, false, DEMO_HEAD_MAX);
	c->state = READ_HEAD;
	stream_poke(c->s);
}

/* ---- the answer ---- */
static void send_head(struct demo_conn *c, enum http_framing framing, uint64_t length)
{
	struct buf b;
	buf_init(&b, 1024);
	struct http_out o = {.b = &b};
	http_out_status(&o, c->a.status);
	http_out_field(&o, STR("Content-Type"), str_of(c->a.type));
	http_out_framing(&o, framing, length);
	if (!c->keep && framing != HTTP_UNTIL_CLOSE)
		http_out_field(&o, STR("Connection"), STR("close"));
	if (http_out_end(&o) == 0)
		stream_send_copy(c->s, b.p, b.n);
	buf_deinit(&b);
}

static void send_whole(struct demo_conn *c)
{
	send_head(c, HTTP_LENGTH, c->a.body.n);
	if (c->head.method != HTTP_HEAD)
		stream_send_copy(c->s, c->a.body.p, c->a.body.n);
	stream_flush(c->s);
	next_request(c);
}

static void send_event(struct demo_conn *c, const struct buf *event)
{
	char head[HTTP_CHUNK_HEAD_MAX];
	if (c->chunked)
		stream_send_copy(c->s, head, http_chunk_head(event->n, head));
	stream_send_copy(c->s, event->p, event->n);
	if (c->chunked)
		stream_send_copy(c->s, "\r\n", 2);
}

/* Queues events up to the high mark; with a delay, one. False: that was the last. */
static bool queue_events(struct demo_conn *c, struct buf *event)
{
	do {
		buf_reset(event);
		if (!answer_event(&c->a, event)) {
			if (c->chunked)
				stream_send_copy(c->s, "0\r\n\r\n", 5);
			return false;
		}
		send_event(c, event);
	} while (c->a.delay_ns == 0 && stream_queued(c->s) < STREAM_HIGH);
	return true;
}

/* Until the peer takes no more (STREAM_OUT goes on then) or the delay begins. */
static void send_events(struct demo_conn *c)
{
	struct buf event;
	buf_init(&event, DEMO_HEAD_MAX);
	bool more;
	do {
		more = queue_events(c, &event);
		if (stream_flush(c->s))
			break;
	} while (more && c->a.delay_ns == 0 && stream_queued(c->s) < STREAM_HIGH);
	buf_deinit(&event);
	if (!more)
		next_request(c);
	else if (c->a.delay_ns > 0)
		loop_timer_in(c->d->loop, &c->timer, c->a.delay_ns);
}

static void begin_answer(struct demo_conn *c)
{
	buf_init(&c->a.body, DEMO_BODY_MAX);
	answer_make(c->d, &(struct demo_request){&c->head, buf_str(&c->body), c->o}, &c->arena,
	            &c->a);
	if (!c->a.stream) {
		send_whole(c);
		return;
	}
	c->chunked = c->head.minor > 0;
	if (!c->chunked)
		c->keep = false;
	send_head(c, c->chunked ? HTTP_CHUNKED : HTTP_UNTIL_CLOSE, 0);
	c->state = STREAMING;
	send_events(c);
}

static void timer_fired(void *arg)
{
	struct demo_conn *c = arg;
	if (c->state == WAITING)
		begin_answer(c);
	else if (c->state == STREAMING)
		send_events(c);
	else if (c->state == CLOSING)
		conn_free(c);
}

/* ---- the request ---- */
static void refuse(struct demo_conn *c, unsigned status)
{
	c->keep = false;
	c->a = (struct answer){.status = status, .type = "application/json"};
	buf_init(&c->a.body, 256);
	demo_add(&c->a.body, "{\"error\":{\"message\":\"%s\",\"type\":\"invalid_request_error\"}}",
	         http_reason(status));
	send_whole(c);
}

static void own_options(struct demo_conn *c)
{
	const struct http_field *f;
	uint64_t v;
	c->o = c->d->defaults;
	f = http_find(&c->head, STR("x-demo-wait"), 0);
	if (f && str_duration(f->value, &v))
		c->o.wait_ns = v;
	f = http_find(&c->head, STR("x-demo-delay"), 0);
	if (f && str_duration(f->value, &v))
		c->o.delay_ns = v;
	f = http_find(&c->head, STR("x-demo-chunks"), 0);
	if (f && str_u64(f->value, &v) && v <= DEMO_CHUNKS_MAX)
		c->o.chunks = v;
}

/* The server's own pages do not count as requests to the model. */
static void note_request(struct demo_conn *c, struct str in)
{
	struct demo *d = c->d;
	if (str_starts(c->head.target, STR("/demo/")) || str_eq(c->head.target, STR("/health")))
		return;
	c->counted = true;
	d->requests++;
	buf_reset(&d->last_head);
	buf_reset(&d->last_body);
	if (buf_add(&d->last_head, in.p, c->head.size))
		buf_reset(&d->last_head);
}

static bool read_head(struct demo_conn *c)
{
	struct str in = stream_in(c->s);
	enum http_result r = http_parse(&c->parser, in.p, in.n, &c->arena, &c->head);
	if (r == HTTP_MORE) {
		stream_in_reserve(c->s, DEMO_HEAD_MAX);
		return false;
	}
	if (r == HTTP_BAD) {
		refuse(c, c->parser.status);
		return false;
	}
	note_request(c, in);
	c->keep = c->head.keep_alive;
	own_options(c);
	c->head_bytes = stream_take(c->s, c->head.size);
	http_body_init(&c->framing, c->head.framing, c->head.length);
	if (c->head.expect_continue) {
		stream_send(c->s, (struct slice){NULL, "HTTP/1.1 100 Continue\r\n\r\n", 25});
		stream_flush(c->s);
	}
	c->state = READ_BODY;
	return true;
}

static void body_whole(struct demo_conn *c)
{
	if (c->counted && buf_add(&c->d->last_body, c->body.p, c->body.n))
		buf_reset(&c->d->last_body);
	c->state = WAITING;
	if (c->o.wait_ns > 0)
		loop_timer_in(c->d->loop, &c->timer, c->o.wait_ns);
	else
		begin_answer(c);
}

static bool read_body(struct demo_conn *c)
{
	struct str in = stream_in(c->s);
	size_t used = 0;
	struct str data = STR_NONE;
	enum http_body_result r = http_body_next(&c->framing, in.p, in.n, &used, &data);
	if (r == HTTP_BODY_BAD || (data.n > 0 && buf_adds(&c->body, data))) {
		refuse(c, r == HTTP_BODY_BAD ? 400 : 413);
		return false;
	}
	stream_skip(c->s, used);
	if (r == HTTP_BODY_DONE) {
		body_whole(c);
		return false;
	}
	return r == HTTP_BODY_DATA;
}

static void conn_pump(struct demo_conn *c)
{
	bool more = true;
	while (more) {
		if (c->state == READ_HEAD)
			more = stream_in(c->s).n > 0 && read_head(c);
		else if (c->state == READ_BODY)
			more = read_body(c);
		else
			more = false;
	}
	if (c->state == CLOSING)
		stream_skip(c->s, stream_in(c->s).n);
}

static void conn_event(void *owner, unsigned what)
{
	struct demo_conn *c = owner;
	/* A model server gives up a generation when its caller has gone: that is what tests look
	 * for. */
	if (what & (STREAM_ERROR | STREAM_EOF) ||
	    (what & STREAM_HANGUP && (c->state == WAITING || c->state == STREAMING))) {
		conn_free(c);
		return;
	}
	if (what & STREAM_OUT && c->state == STREAMING && c->a.delay_ns == 0)
		send_events(c);
	conn_pump(c);
}

void demo_conn_new(struct demo *d, int fd)
{
	struct demo_conn *c = xcalloc(1, sizeof(*c));
	c->d = d;
	d->connections++;
	arena_init(&c->arena, &d->pages);
	buf_init(&c->body, DEMO_BODY_MAX);
	buf_init(&c->a.body, DEMO_BODY_MAX);
	loop_timer_init(&c->timer, timer_fired, c);
	http_parser_init(&c->parser, false, DEMO_HEAD_MAX);
	c->s = stream_new(d->loop, fd, &d->blocks, conn_event, c);
}
