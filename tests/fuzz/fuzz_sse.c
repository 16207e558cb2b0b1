/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Event streams: the same events however the bytes are cut. The first byte of the input is the size
 * of the pieces, the second the ceiling of an event.
 */
#include "http/sse.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_event(void *arg, struct str data)
{
	struct buf *b = arg;

	if (buf_addf(b, "%zu:", data.n) || buf_adds(b, data))
		abort();
}

static void split(struct str s, size_t piece, size_t max, struct buf *out)
{
	struct sse sse;

	sse_init(&sse, max);
	for (size_t at = 0; at < s.n; at += piece)
		sse_feed(&sse, s.p + at, s.n - at < piece ? s.n - at : piece, on_event, out);
	sse_deinit(&sse);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole;
	struct buf cut;

	if (size < 2)
		return 0;
	struct str s = {(const char *)data + 2, size - 2};
	buf_init(&whole, 32 * size + 64);
	buf_init(&cut, 32 * size + 64);
	split(s, s.n + 1, data[1], &whole);
	split(s, data[0] + 1u, data[1], &cut);
	if (!str_eq(buf_str(&whole), buf_str(&cut)))
		abort();
	buf_deinit(&whole);
	buf_deinit(&cut);
	return 0;
}
