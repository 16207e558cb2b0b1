/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The event stream splitter. A line may end in CR, LF or CRLF, and a CR must not wait for the byte
 * behind it: an event is handed on as soon as its empty line is known.
 */
#include "http/sse.h"

enum state {
	STATE_BOM, /* the stream's first bytes */
	STATE_BOM2,
	STATE_BOM3,
	STATE_LINE, /* the first byte of a line; +1..+3: "d", "da", "dat" were read */
	STATE_D,
	STATE_DA,
	STATE_DAT,
	STATE_DATA,  /* "data" was read: ':' or the line's end makes it the field */
	STATE_SPACE, /* behind the colon: one space is no part of the value */
	STATE_VALUE,
	STATE_SKIP, /* a line of no interest */
};

void sse_init(struct sse *s, size_t max_event)
{
	*s = (struct sse){.state = STATE_BOM};
	buf_init(&s->data, max_event);
}

void sse_deinit(struct sse *s)
{
	buf_deinit(&s->data);
}

static void append(struct sse *s, const char *p, size_t n)
{
	if (s->too_long || n == 0)
		return;
	if (buf_add(&s->data, p, n)) {
		s->too_long = true;
		buf_reset(&s->data);
	}
}

/* A data field begins; its value follows. */
static void begin_data(struct sse *s)
{
	if (s->any)
		append(s, "\n", 1);
	s->any = true;
}

static void end_line(struct sse *s, void (*fn)(void *arg, struct str data), void *arg)
{
	bool empty = s->state <= STATE_LINE && s->state != STATE_BOM2 && s->state != STATE_BOM3;

	if (s->state == STATE_DATA)
		begin_data(s);
	s->state = STATE_LINE;
	if (!empty)
		return;
	if (s->any && !s->too_long)
		fn(arg, buf_str(&s->data));
	s->any = false;
	s->too_long = false;
	buf_reset(&s->data);
}

/* One byte of a line's beginning, where the name of the field is still in question. */
static uint8_t name_byte(struct sse *s, char c)
{
	static const char word[] = "data";

	if (s->state == STATE_DATA) {
		if (c != ':')
			return STATE_SKIP;
		begin_data(s);
		return STATE_SPACE;
	}
	return c == word[s->state - STATE_LINE] ? (uint8_t)(s->state + 1) : STATE_SKIP;
}

static uint8_t bom_byte(struct sse *s, char c)
{
	static const char bom[] = "\xef\xbb\xbf";

	if (c == bom[s->state])
		return (uint8_t)(s->state + 1);
	if (s->state != STATE_BOM)
		return STATE_SKIP;
	s->state = STATE_LINE;
	return name_byte(s, c);
}

static size_t line_run(const char *p, size_t at, size_t n)
{
	while (at < n && p[at] != '\n' && p[at] != '\r')
		at++;
	return at;
}

void sse_feed(struct sse *s, const char *p, size_t n, void (*fn)(void *arg, struct str data),
              void *arg)
{
	size_t at = 0;

	while (at < n) {
		char c = p[at];
		bool after_cr = s->after_cr;

		s->after_cr = c == '\r';
		if (c == '\n' && after_cr) {
			at++;
		} else if (c == '\n' || c == '\r') {
			end_line(s, fn, arg);
			at++;
		} else if (s->state < STATE_LINE) {
			s->state = bom_byte(s, c);
			at++;
		} else if (s->state < STATE_SPACE) {
			s->state = name_byte(s, c);
			at++;
		} else if (s->state == STATE_SPACE && c == ' ') {
			s->state = STATE_VALUE;
			at++;
		} else {
			size_t end = line_run(p, at, n);

			if (s->state != STATE_SKIP) {
				append(s, p + at, end - at);
				s->state = STATE_VALUE;
			}
			at = end;
		}
	}
}
