/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Feeds a byte stream to head parser and body decoder in pieces and writes down everything they
 * answered, so that two ways of cutting the same bytes can be compared as text. Each piece is
 * handed over in memory of exactly its size that is freed after the call: the parser must not look
 * beyond it nor keep a pointer.
 */
#ifndef HTTP_FEED_H
#define HTTP_FEED_H

#include "base/buf.h"
#include "base/mem.h"
#include "http/body.h"
#include "http/parse.h"

#include <stdio.h>
#include <stdlib.h>

struct feed {
	bool response;
	bool head_request;
	size_t max;
	enum http_result result;
	uint16_t status; /* of HTTP_BAD */
	const char *reason;
	enum http_framing framing; /* of HTTP_DONE, with what follows */
	uint64_t length;
	bool keep_alive;
	bool expect_continue;
	enum http_body_result body;
	struct buf said; /* all of it as text */
	struct buf data; /* of the body */
};

static inline void feed_init(struct feed *f, bool response)
{
	*f = (struct feed){.response = response, .max = 16384};
	buf_init(&f->said, 1 << 24);
	buf_init(&f->data, 1 << 24);
}

static inline void feed_deinit(struct feed *f)
{
	buf_deinit(&f->said);
	buf_deinit(&f->data);
}

static inline void feed_say(struct feed *f, const char *what, struct str s)
{
	if (buf_addf(&f->said, "%s[%zu]=", what, s.n) || buf_adds(&f->said, s) ||
	    buf_adds(&f->said, STR("\n")))
		abort();
}

static inline void feed_say_head(struct feed *f, const struct http_head *h)
{
	f->framing = h->framing;
	f->length = h->length;
	f->keep_alive = h->keep_alive;
	f->expect_continue = h->expect_continue;
	if (buf_addf(&f->said,
	             "head minor=%d method=%d status=%d framing=%d length=%llu keep=%d size=%zu\n",
	             h->minor, (int)h->method, h->status, (int)h->framing,
	             (unsigned long long)h->length, h->keep_alive, h->size))
		abort();
	feed_say(f, "method", h->method_text);
	feed_say(f, "target", h->target);
	feed_say(f, "reason", h->reason);
	for (unsigned i = 0; i < h->nfields; i++) {
		feed_say(f, "name", h->fields[i].name);
		feed_say(f, "value", h->fields[i].value);
	}
}

/* All body bytes of one piece; the bytes behind the message are counted. */
static inline size_t feed_body(struct feed *f, struct http_body *b, const char *p, size_t n)
{
	size_t at = 0;

	for (;;) {
		struct str data;
		size_t used;

		f->body = http_body_next(b, p + at, n - at, &used, &data);
		if (used > n - at ||
		    (data.n && (data.p < p + at || data.p + data.n > p + at + used)))
			abort();
		at += used;
		if (buf_adds(&f->data, data))
			abort();
		if (f->body != HTTP_BODY_DATA)
			return at;
	}
}

/* Hands over stream[0..cuts[0]), then up to cuts[1], and so on to its end. */
static inline void feed_run(struct feed *f, struct str stream, const size_t *cuts, size_t ncuts)
{
	struct http_parser p;
	struct http_body b = {0};
	struct http_head h;
	struct arena a;
	size_t taken = 0;
	bool in_body = false;

	buf_reset(&f->said);
	buf_reset(&f->data);
	f->body = HTTP_BODY_MORE;
	f->status = 0;
	http_parser_init(&p, f->response, f->max);
	p.head_request = f->head_request;
	arena_init(&a, NULL);
	for (size_t i = 0; i <= ncuts; i++) {
		size_t to = i < ncuts ? cuts[i] : stream.n;
		size_t from = in_body ? taken : 0;
		char *copy = malloc(to - from + (to == from));

		if (to > from)
			memcpy(copy, stream.p + from, to - from);
		if (!in_body) {
			f->result = http_parse(&p, copy, to, &a, &h);
			if (f->result == HTTP_DONE) {
				feed_say_head(f, &h);
				http_body_init(&b, h.framing, h.length);
				taken = h.size + feed_body(f, &b, copy + h.size, to - h.size);
				in_body = true;
			}
		} else if (f->body == HTTP_BODY_MORE) {
			taken = from + feed_body(f, &b, copy, to - from);
		}
		free(copy);
		if (f->result == HTTP_BAD || f->body == HTTP_BODY_DONE || f->body == HTTP_BODY_BAD)
			break;
	}
	if (f->result == HTTP_BAD) {
		f->status = p.status;
		f->reason = p.reason;
	}
	if (buf_addf(&f->said, "result=%d status=%d reason=%s at=%u body=%d end=%d taken=%zu\n",
	             (int)f->result, f->status, f->result == HTTP_BAD ? p.reason : "",
	             (unsigned)p.at, (int)f->body, in_body && http_body_eof(&b), taken))
		abort();
	feed_say(f, "data", buf_str(&f->data));
	arena_deinit(&a);
}

/* Whether the stream cut there is answered as it was whole (f has been run on it). */
static inline bool feed_same(const struct feed *whole, struct str stream, const size_t *cuts,
                             size_t ncuts)
{
	struct feed f;

	feed_init(&f, whole->response);
	f.head_request = whole->head_request;
	f.max = whole->max;
	feed_run(&f, stream, cuts, ncuts);
	bool same = str_eq(buf_str(&f.said), buf_str(&whole->said));
	if (!same)
		fprintf(stderr, "whole:\n%.*s\ncut at %zu:\n%.*s\n", STR_FMT(buf_str(&whole->said)),
		        ncuts ? cuts[0] : 0, STR_FMT(buf_str(&f.said)));
	feed_deinit(&f);
	return same;
}

/* Cut in two at every byte, and into single bytes. */
static inline bool feed_splits_agree(const struct feed *whole, struct str stream)
{
	size_t *every = malloc(sizeof(*every) * (stream.n + 1));
	bool same = true;

	for (size_t i = 0; i <= stream.n; i++)
		every[i] = i;
	for (size_t i = 0; i <= stream.n && same; i++)
		same = feed_same(whole, stream, &every[i], 1);
	same = same && feed_same(whole, stream, every, stream.n + 1);
	free(every);
	return same;
}

#endif
