/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Chunked bodies: the same data and the same end however the bytes are cut, and never more framing
 * than its bound. The first byte of the input is the size of the pieces.
 */
#include "base/buf.h"
#include "http/body.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum http_body_result decode(struct str s, size_t piece, struct buf *out, size_t *end)
{
	enum http_body_result r = HTTP_BODY_MORE;
	struct http_body b;
	size_t at = 0;
	size_t limit = 0;

	http_body_init(&b, HTTP_CHUNKED, 0);
	while (r <= HTTP_BODY_DATA && (at < s.n || r == HTTP_BODY_DATA)) {
		struct str part;
		size_t used;

		if (r == HTTP_BODY_MORE)
			limit = s.n - at < piece ? s.n : at + piece;
		r = http_body_next(&b, s.p + at, limit - at, &used, &part);
		if (used > limit - at || buf_adds(out, part))
			abort();
		at += used;
		if (b.overhead > 16 * b.total + 4097 || b.trailer > 8193)
			abort();
	}
	*end = at;
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole;
	struct buf cut;
	size_t whole_end;
	size_t cut_end;

	if (size < 1)
		return 0;
	struct str s = {(const char *)data + 1, size - 1};
	buf_init(&whole, size);
	buf_init(&cut, size);
	enum http_body_result r = decode(s, s.n + 1, &whole, &whole_end);
	if (decode(s, data[0] + 1u, &cut, &cut_end) != r || whole_end != cut_end ||
	    !str_eq(buf_str(&whole), buf_str(&cut)))
		abort();
	buf_deinit(&whole);
	buf_deinit(&cut);
	return 0;
}
