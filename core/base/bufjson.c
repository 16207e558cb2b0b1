/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Text as a JSON string (RFC 8259 §7), safe to stand on one line of a log too.
 */
#include "base/buf.h"

/* Bytes of the UTF-8 sequence at s, 0 if there is none. */
static size_t sequence(struct str s)
{
	unsigned char c = (unsigned char)s.p[0];
	size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
	return n > 0 && n <= s.n && str_utf8_valid((struct str){s.p, n}) ? n : 0;
}

static int add_one(struct buf *b, struct str s, size_t n)
{
	unsigned char c = (unsigned char)s.p[0];
	if (n == 0)
		return buf_adds(b, STR("\xef\xbf\xbd"));
	if (n == 1 && (c == '"' || c == '\\'))
		return buf_addf(b, "\\%c", c);
	if (n == 1 && (c < 0x20 || c == 0x7f))
		return buf_addf(b, "\\u%04x", c);
	if (n == 3 && memcmp(s.p, "\xe2\x80\xa8", 2) == 0 && (s.p[2] == '\xa8' || s.p[2] == '\xa9'))
		return buf_addf(b, "\\u202%c", s.p[2] == '\xa8' ? '8' : '9');
	return buf_add(b, s.p, n);
}

int buf_add_json(struct buf *b, struct str s)
{
	size_t before = b->n;
	int r = buf_add(b, "\"", 1);
	while (s.n > 0 && r == 0) {
		size_t n = sequence(s);
		r = add_one(b, s, n);
		s = (struct str){s.p + (n ? n : 1), s.n - (n ? n : 1)};
	}
	if (r == 0)
		r = buf_add(b, "\"", 1);
	if (r)
		b->n = before; /* all of it, or nothing */
	return r;
}
