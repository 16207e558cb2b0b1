/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Serialising heads into a buffer whose ceiling bounds them. The first failure sticks in
 * http_out.r, so that a caller checks once, at http_out_end(). A line is measured, gets its room,
 * and is then stored without further questions; lines of a head that pass as they came are copied
 * together.
 */
#include "http/write.h"

#include "base/clean.h"
#include "base/mem.h"
#include "http/headers.h"
#include "http/line.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

char *line_room_more(struct http_out *o, size_t n)
{
	if (o->r == 0)
		o->r = buf_reserve(o->b, n);
	return o->r == 0 ? o->b->p + o->b->n : NULL;
}

void line_invalid(struct http_out *o)
{
	if (o->r == 0)
		o->r = err_origin(-EINVAL);
}

static inline bool is_name(struct str s)
{
#if VECTOR_SSE2
	if (s.n >= 16 && s.n <= 32 && !scan_not_word(s.p) && !scan_not_word(s.p + s.n - 16))
		return true;
#endif
	return http_is_token(s);
}

void http_out_request(struct http_out *o, struct str method, struct str target)
{
	static const struct str version = STR(" HTTP/1.1\r\n");

	if (!http_is_token(method) || target.n == 0 ||
	    scan_target(target.p, 0, target.n) < target.n)
		line_invalid(o);
	char *to = line_room(o, method.n + 1 + target.n + version.n);
	if (!to)
		return;
	to = line_put(to, method);
	*to++ = ' ';
	to = line_put(to, target);
	line_stored(o, line_put(to, version));
}

void http_out_status(struct http_out *o, unsigned status)
{
	char line[] = "HTTP/1.1 000 ";

	if (status == 200) {
		line_add_text(o, STR("HTTP/1.1 200 OK\r\n"));
		return;
	}
	if (status < 100 || status > 999)
		line_invalid(o);
	line[9] = (char)('0' + status / 100 % 10);
	line[10] = (char)('0' + status / 10 % 10);
	line[11] = (char)('0' + status % 10);
	line_add_text(o, (struct str){line, sizeof(line) - 1});
	line_add_text(o, str_of(http_reason(status)));
	line_add_text(o, STR("\r\n"));
}

void http_out_field(struct http_out *o, struct str name, struct str value)
{
	if (!is_name(name))
		line_invalid(o);
	char *to = line_room(o, name.n + value.n + LINE_EXTRA);
	if (to)
		line_end(o, to, line_put_field(to, name, value));
}

void line_add_parts(struct http_out *o, struct str begin, const struct str *parts, unsigned n)
{
	size_t total = begin.n + 2;

	for (unsigned i = 0; i < n; i++)
		total += parts[i].n;
	char *from = line_room(o, total);
	if (!from)
		return;
	char *to = line_put(from, begin);
	for (unsigned i = 0; i < n; i++)
		to = line_put(to, parts[i]);
	line_end(o, from, to);
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
		line_invalid(o);
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

static inline bool passed_on(const struct http_field *f, uint64_t skip)
{
	return !(f->flags & HTTP_FIELD_DROP) && !(skip >> f->id & 1);
}

/* What http_out_fields() will write: the bound that needs no count where the buffer has it, else
 * the sum. */
static char *room_fields(struct http_out *o, const struct http_head *h, uint64_t skip)
{
	size_t total = h->size + h->nfields; /* a line grows by the space that it came without */

	if (o->r == 0 && total <= o->b->cap - o->b->n)
		return o->b->p + o->b->n;
	total = 0;
	for (unsigned i = 0; i < h->nfields; i++) {
		if (passed_on(&h->fields[i], skip))
			total += h->fields[i].name.n + h->fields[i].value.n + LINE_EXTRA;
	}
	return total ? line_room(o, total) : NULL;
}

/* Whether the line came as we would write it. */
static inline bool as_written(const struct http_field *f)
{
	const char *colon = f->name.p + f->name.n;

	return f->value.p == colon + 2 && memcmp(colon, ": ", 2) == 0 &&
	       memcmp(f->value.p + f->value.n, "\r\n", 2) == 0;
}

void http_out_fields(struct http_out *o, const struct http_head *h, uint64_t skip)
{
	char *to = room_fields(o, h, skip);
	struct str run = STR_NONE; /* lines side by side, not copied yet */

	if (!to)
		return;
	for (unsigned i = 0; i < h->nfields; i++) {
		const struct http_field *f = &h->fields[i];

		if (!passed_on(f, skip))
			continue;
		if (run.n && f->name.p != run.p + run.n) {
			to = line_put(to, run);
			run.n = 0;
		}
		if (as_written(f)) {
			run.p = run.n ? run.p : f->name.p;
			run.n += f->name.n + f->value.n + LINE_EXTRA;
			continue;
		}
		to = line_put_end(line_put_field(line_put(to, run), f->name, f->value));
		run.n = 0;
	}
	line_stored(o, line_put(to, run));
}

static void length(struct http_out *o, uint64_t n)
{
	const struct str begin = STR("Content-Length: ");
	size_t digits = 1;

	for (uint64_t m = n; m >= 10; m /= 10)
		digits++;
	char *to = line_room(o, begin.n + digits + 2);
	if (!to)
		return;
	to = line_put(to, begin);
	for (size_t i = digits; i-- > 0; n /= 10)
		to[i] = (char)('0' + n % 10);
	line_stored(o, line_put_end(to + digits));
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
		line_add_text(o, STR("Transfer-Encoding: chunked\r\n"));
		break;
	case HTTP_UNTIL_CLOSE:
		line_add_text(o, STR("Connection: close\r\n"));
		break;
	}
}

int http_out_end(struct http_out *o)
{
	line_add_text(o, STR("\r\n"));
	return o->r;
}
