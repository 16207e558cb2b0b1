/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Storing the lines of a head. What is written for every request is in this header, so that where a
 * length is a constant the compiler copies by itself; the rest is in write.c.
 */
#ifndef HTTP_LINE_H
#define HTTP_LINE_H

#include "http/scan.h"
#include "http/write.h"

#define LINE_EXTRA 4 /* ": " and CRLF */

static inline char *line_put(char *to, struct str s)
{
	bytes_copy(to, s.p, s.n);
	return to + s.n;
}

static inline char *line_put_end(char *to)
{
	memcpy(to, "\r\n", 2);
	return to + 2;
}

/* A line without its end. */
static inline char *line_put_field(char *to, struct str name, struct str value)
{
	to = line_put(to, name);
	memcpy(to, ": ", 2);
	return line_put(to + 2, value);
}

__attribute__((cold)) char *line_room_more(struct http_out *o, size_t n);

/* Room for what is then stored in place; NULL: an earlier failure, or the ceiling. */
static inline char *line_room(struct http_out *o, size_t n)
{
	if (__builtin_expect(o->r != 0 || n > o->b->cap - o->b->n, 0))
		return line_room_more(o, n);
	return o->b->p + o->b->n;
}

/* What was stored up to `to` counts from now on. */
static inline void line_stored(struct http_out *o, const char *to)
{
	o->b->n = (size_t)(to - o->b->p);
}

/* No control but HTAB. */
static inline bool line_is_text(const char *p, size_t n)
{
#if VECTOR_SSE2
	if (n >= 16) {
		unsigned control = scan_control(p + n - 16);

		for (size_t i = 0; i + 16 < n; i += 16)
			control |= scan_control(p + i);
		if (__builtin_expect(!control, 1))
			return true;
	}
#endif
	return scan_value(p, 0, n) == n;
}

__attribute__((cold)) void line_invalid(struct http_out *o);

/* Ends the line that begins at `from`, where there was room. Names and values come from modules and
 * configuration too; none of them may begin a line of its own. */
static inline void line_end(struct http_out *o, const char *from, char *to)
{
	if (__builtin_expect(line_is_text(from, (size_t)(to - from)), 1))
		line_stored(o, line_put_end(to));
	else
		line_invalid(o);
}

/* Whole lines, their ends included: constants, or what was written and looked at before. */
static inline void line_add_text(struct http_out *o, struct str lines)
{
	char *to = line_room(o, lines.n);

	if (to)
		line_stored(o, line_put(to, lines));
}

/* The line of a name that is a constant: begin is "Name: ". The value is looked at as that of
 * http_out_field(). */
static inline void line_add(struct http_out *o, struct str begin, struct str value)
{
	char *from = line_room(o, begin.n + value.n + 2);

	if (from)
		line_end(o, from, line_put(line_put(from, begin), value));
}

/* A name and a value that were looked at where they came in: the name is a token, the value as
 * http_is_field_value() wants it. */
static inline void line_add_checked(struct http_out *o, struct str name, struct str value)
{
	char *to = line_room(o, name.n + value.n + LINE_EXTRA);

	if (to)
		line_stored(o, line_put_end(line_put_field(to, name, value)));
}

/* The value in parts, one behind the other. */
void line_add_parts(struct http_out *o, struct str begin, const struct str *parts, unsigned n);

#endif
