/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The response: interim heads are dropped, the head and the pieces of the body told as they come.
 * Whatever breaks the rules ends the connection; only an exchange that was whole on both sides,
 * with no byte too many, leaves a connection for the next.
 */
#include "http/headers.h"
#include "upstream/exchangepriv.h"
#include "upstream/health.h"

#define RESPONSE_HEAD_MAX (64 * 1024)
#define INTERIM_MAX 16
#define SMALL_CHUNK 512

enum reading {
	READ_MORE,
	READ_TOLD /* more, and the owner was told something */,
	READ_DONE,
	READ_BAD
};

/* A long stream would keep a whole block for the few hundred bytes of its head. */
static void keep_text(struct exchange *ex)
{
	struct stream *s = ex->c->s;
	const char *from = stream_in(s).p;
	char *to = arena_alloc(ex->arena, ex->rhead.size);

	memcpy(to, from, ex->rhead.size);
	http_head_moved(&ex->rhead, from, to);
	stream_skip(s, ex->rhead.size);
}

static void parser_begin(struct exchange *ex)
{
	if (!ex->parser)
		ex->parser = http_parser_take(&ex->u->pools->parsers);
	http_parser_init(ex->parser, true, RESPONSE_HEAD_MAX);
	ex->parser->head_request = ex->head_request;
}

static void head_done(struct exchange *ex)
{
	ex->parser = http_parser_give(&ex->u->pools->parsers, ex->parser);
	keep_text(ex);
	health_success(ex->server);
	ex->state = EXCHANGE_BODY;
	http_body_init(&ex->body, ex->rhead.framing, ex->rhead.length);
	ex->body.response = true;
	ex->ops->head(ex->owner, &ex->rhead);
}

/* An interim response: 101 would be one to an Upgrade, which is never sent. */
static bool interim_dropped(struct exchange *ex)
{
	if (ex->rhead.status == 101 || ++ex->interim > INTERIM_MAX)
		return false;
	stream_skip(ex->c->s, ex->rhead.size);
	parser_begin(ex);
	return true;
}

static enum reading read_head(struct exchange *ex)
{
	struct stream *s = ex->c->s;

	for (;;) {
		struct str in = stream_in(s);

		if (in.n == 0)
			return READ_MORE;
		if (!ex->parser)
			parser_begin(ex);
		switch (http_parse(ex->parser, in.p, in.n, ex->arena, &ex->rhead)) {
		case HTTP_MORE:
			if (in.n >= BLOCK_SIZE)
				stream_in_reserve(s, RESPONSE_HEAD_MAX + 1);
			return READ_MORE;
		case HTTP_BAD:
			return READ_BAD;
		case HTTP_DONE:
			break;
		}
		if (ex->rhead.status >= 200) {
			head_done(ex);
			return READ_TOLD;
		}
		if (!interim_dropped(ex))
			return READ_BAD;
	}
}

static void tell_small(struct exchange *ex, struct chain *small)
{
	while (small->count > 0)
		ex->ops->body(ex->owner, chain_shift(small));
}

/* Chunks of a few bytes each are gathered: as views they would cost many times their size while a
 * slow client makes them wait. */
static void tell_body(struct exchange *ex, struct str in, size_t used, struct str data,
                      struct chain *small)
{
	struct stream *s = ex->c->s;
	size_t before = (size_t)(data.p - in.p);

	if (ex->body.framing == HTTP_CHUNKED && data.n < SMALL_CHUNK) {
		chain_copy(small, ex->u->pools->blocks, data.p, data.n);
		stream_skip(s, used);
		return;
	}
	tell_small(ex, small);
	stream_skip(s, before);
	ex->ops->body(ex->owner, stream_take(s, data.n));
	stream_skip(s, used - before - data.n);
}

static enum reading read_pieces(struct exchange *ex, struct chain *small)
{
	struct stream *s = ex->c->s;
	enum reading told = READ_MORE;

	for (;;) {
		struct str in = stream_in(s);
		struct str data = STR_NONE;
		size_t used = 0;

		switch (http_body_next(&ex->body, in.p, in.n, &used, &data)) {
		case HTTP_BODY_DATA:
			tell_body(ex, in, used, data, small);
			told = READ_TOLD;
			break;
		case HTTP_BODY_MORE:
			stream_skip(s, used);
			return told;
		case HTTP_BODY_DONE:
			stream_skip(s, used);
			return READ_DONE;
		case HTTP_BODY_BAD:
			return READ_BAD;
		}
	}
}

static enum reading read_body(struct exchange *ex)
{
	struct chain small;
	enum reading r;

	chain_init(&small);
	r = read_pieces(ex, &small);
	tell_small(ex, &small);
	chain_deinit(&small);
	return r;
}

static enum reading read_response(struct exchange *ex)
{
	enum reading r = READ_MORE;
	enum reading body;

	if (ex->state == EXCHANGE_HEAD)
		r = read_head(ex);
	if (ex->state != EXCHANGE_BODY || r == READ_BAD)
		return r;
	body = read_body(ex);
	return body == READ_MORE ? r : body;
}

static bool reusable(const struct exchange *ex)
{
	const struct stream *s = ex->c->s;

	return ex->rhead.keep_alive && ex->rhead.framing != HTTP_UNTIL_CLOSE && ex->send_ended &&
	       stream_queued(s) == 0 && stream_in(s).n == 0 && !stream_eof(s) &&
	       stream_error(s) == 0;
}

static void finish(struct exchange *ex)
{
	exchange_release(ex, reusable(ex));
	ex->ops->end(ex->owner);
}

static void closed(struct exchange *ex)
{
	if (ex->state == EXCHANGE_BODY && http_body_eof(&ex->body)) {
		finish(ex);
		return;
	}
	if (ex->state == EXCHANGE_HEAD)
		health_fault(ex->server);
	exchange_broken(ex, EX_CLOSED);
}

void response_event(struct exchange *ex, unsigned what)
{
	const struct pools *p = ex->u->pools;
	enum reading r = READ_MORE;

	if (what & STREAM_IN)
		r = read_response(ex);
	if (r == READ_DONE) {
		finish(ex);
		return;
	}
	if (r == READ_BAD) {
		exchange_broken(ex, EX_MALFORMED);
		return;
	}
	if (what & STREAM_ERROR) {
		exchange_log_tls(ex);
		if (ex->state == EXCHANGE_HEAD)
			health_fault(ex->server);
		exchange_broken(ex, EX_CLOSED);
		return;
	}
	if (what & STREAM_EOF) {
		closed(ex);
		return;
	}
	if (ex->state == EXCHANGE_BODY)
		exchange_arm(ex);
	if (r == READ_TOLD) {
		ex->ops->turn(ex->owner);
		if (p->under != ex)
			return;
	}
	if ((what & STREAM_OUT) && !ex->send_ended)
		ex->ops->writable(ex->owner);
}
