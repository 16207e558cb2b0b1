/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Serialising heads into a buffer whose ceiling bounds them. The first failure sticks in
 * http_out.r, so that a caller checks once, at http_out_end().
 */
#include "http/write.h"

#include "base/clean.h"
#include "base/mem.h"
#include "http/chars.h"
#include "http/headers.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define LINE_EXTRA 4 /* ": " and CRLF */

static void add(struct http_out *o, struct str s)
{
	if (o->r == 0)
		o->r = buf_adds(o->b, s);
}

static char *put(char *to, struct str s)
{
	if (s.n)
		memcpy(to, s.p, s.n);
	return to + s.n;
}

/* Room for what is then written in place; NULL: an earlier failure, or the ceiling. */
static char *room(struct http_out *o, size_t n)
{
	if (o->r == 0)
		o->r = buf_reserve(o->b, n);
	return o->r == 0 ? o->b->p + o->b->n : NULL;
}

static bool is_target(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!http_is(s.p[i], CHAR_TARGET))
			return false;
	}
	return s.n > 0;
}

static bool is_text(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!http_is(s.p[i], CHAR_VALUE))
			return false;
	}
	return true;
}

void http_out_request(struct http_out *o, struct str method, struct str target)
{
	if (o->r == 0 && (!http_is_token(method) || !is_target(target)))
		o->r = err_origin(-EINVAL);
	add(o, method);
	add(o, STR(" "));
	add(o, target);
	add(o, STR(" HTTP/1.1\r\n"));
}

void http_out_status(struct http_out *o, unsigned status)
{
	char code[] = " 000 ";

	if (o->r == 0 && (status < 100 || status > 999))
		o->r = err_origin(-EINVAL);
	code[1] = (char)('0' + status / 100 % 10);
	code[2] = (char)('0' + status / 10 % 10);
	code[3] = (char)('0' + status % 10);
	add(o, STR("HTTP/1.1"));
	add(o, (struct str){code, sizeof(code) - 1});
	add(o, str_of(http_reason(status)));
	add(o, STR("\r\n"));
}

static char *put_line(char *to, struct str name, struct str value)
{
	to = put(to, name);
	to = put(to, STR(": "));
	to = put(to, value);
	return put(to, STR("\r\n"));
}

static void line(struct http_out *o, struct str name, struct str value)
{
	char *to = room(o, name.n + value.n + LINE_EXTRA);

	if (to)
		o->b->n = (size_t)(put_line(to, name, value) - o->b->p);
}

static bool passed_on(const struct http_field *f, uint64_t skip)
{
	return !(f->flags & HTTP_FIELD_DROP) && !(skip >> f->id & 1);
}

void http_out_field(struct http_out *o, struct str name, struct str value)
{
	/* Names and values come from modules and configuration too; none of them may begin a line
	 * of its own. */
	if (o->r == 0 && (!http_is_token(name) || !is_text(value)))
		o->r = err_origin(-EINVAL);
	line(o, name, value);
}

void http_out_joined(struct http_out *o, struct str name, const struct str *parts, unsigned n)
{
	size_t total = name.n + LINE_EXTRA;

	for (unsigned i = 0; i < n; i++) {
		if (o->r == 0 && !is_text(parts[i]))
			o->r = err_origin(-EINVAL);
		total += parts[i].n;
	}
	if (o->r == 0 && !http_is_token(name))
		o->r = err_origin(-EINVAL);
	char *to = room(o, total);
	if (!to)
		return;
	to = put(put(to, name), STR(": "));
	for (unsigned i = 0; i < n; i++)
		to = put(to, parts[i]);
	o->b->n = (size_t)(put(to, STR("\r\n")) - o->b->p);
}

void http_out_fieldf(struct http_out *o, const char *name, const char *fmt, ...)
{
	_cleanup_(xfreep) char *heap = NULL;
	char small[256];
	va_list args;

	va_start(args, fmt);
	int n = vsnprintf(small, sizeof(small), fmt, args);
	va_end(args);
	if (n < 0) {
		o->r = o->r ? o->r : err_origin(-EINVAL);
		return;
	}
	if ((size_t)n >= sizeof(small)) {
		heap = xmalloc((size_t)n + 1);
		va_start(args, fmt);
		n = vsnprintf(heap, (size_t)n + 1, fmt, args);
		va_end(args);
	}
	http_out_field(o, str_of(name), (struct str){heap ? heap : small, (size_t)n});
}

void http_out_fields(struct http_out *o, const struct http_head *h, uint64_t skip)
{
	size_t total = 0;

	for (unsigned i = 0; i < h->nfields; i++) {
		if (passed_on(&h->fields[i], skip))
			total += h->fields[i].name.n + h->fields[i].value.n + LINE_EXTRA;
	}
	char *to = total ? room(o, total) : NULL;
	if (!to)
		return;
	for (unsigned i = 0; i < h->nfields; i++) {
		if (passed_on(&h->fields[i], skip))
			to = put_line(to, h->fields[i].name, h->fields[i].value);
	}
	o->b->n = (size_t)(to - o->b->p);
}

static void length(struct http_out *o, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	line(o, STR("Content-Length"), (struct str){digits + at, sizeof(digits) - at});
}

void http_out_framing(struct http_out *o, enum http_framing framing, uint64_t n)
{
	switch (framing) {
	case HTTP_NO_BODY:
		break;
	case HTTP_LENGTH:
		length(o, n);
		break;
	case HTTP_CHUNKED:
		add(o, STR("Transfer-Encoding: chunked\r\n"));
		break;
	case HTTP_UNTIL_CLOSE:
		add(o, STR("Connection: close\r\n"));
		break;
	}
}

int http_out_end(struct http_out *o)
{
	add(o, STR("\r\n"));
	return o->r;
}
