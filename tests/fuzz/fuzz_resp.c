/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What comes from Redis: whatever the bytes, and however they are cut, the same messages come out,
 * and none is taken for an answer of the script whose numbers are not in their ranges. The first
 * byte says how the bytes are cut, the second what was asked.
 */
#include "ratelimit_redis/ask.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An answer that fits is one that the module may act upon. */
static void check_answer(const struct resp *r, uint8_t what)
{
	const int64_t args[SCRIPT_ARGS] = {[ARG_NONCE] = r->v[0],
	                                   [ARG_LATE] = what >> 4 & 1,
	                                   [ARG_WHAT] = what & 3,
	                                   [ARG_LIMITS + 1] = what >> 2 & 1,
	                                   [ARG_LIMITS + 3] = what >> 3 & 1,
	                                   [ARG_CONCURRENCY] = (what >> 5 & 1) - 1};

	if (!answer_fits(r, args))
		return;
	const int64_t *v = r->v;
	if (v[ANS_NOW] < 0 || v[ANS_WHY] < 0 || v[ANS_WHY] > SCRIPT_LATE || v[ANS_WAIT] < 0 ||
	    v[ANS_REMAINING] < 0 || v[ANS_RESET] < 0 || v[ANS_TIGHTEST] < -1 ||
	    v[ANS_TIGHTEST] >= LIMIT_WINDOWS || r->n != SCRIPT_ANSWERS || r->odd)
		abort();
	if (v[ANS_WAIT] > INT64_MAX / 1000 || v[ANS_RESET] > INT64_MAX / 1000)
		abort();
	if ((v[ANS_WHY] == SCRIPT_LATE) > args[ARG_LATE])
		abort();
}

/* FNV-1a over all that the messages say. */
static uint64_t mix(uint64_t h, const void *p, size_t n)
{
	const uint8_t *bytes = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
	return h;
}

static uint64_t run(const uint8_t *data, size_t size, size_t piece, uint8_t what)
{
	void *dec = resp_decoder_new(), *msg;
	uint64_t h = 1;
	int32_t r = 0;

	for (size_t at = 0; at < size && r == 0; at += piece) {
		const size_t n = size - at < piece ? size - at : piece;
		r = resp_decode(dec, (struct merlon_str){(const char *)data + at, n}, &msg);
		while (r == 1) {
			const struct resp *m = msg;
			if (m->n > RESP_INTS || !memchr(m->text, '\0', RESP_TEXT))
				abort();
			h = mix(h, &m->type, sizeof(m->type));
			h = mix(h, m->v, sizeof(m->v));
			h = mix(h, m->text, strlen(m->text));
			if (m->type == RESP_ERROR && !resp_error_name(resp_error_of(m->text)))
				abort();
			check_answer(m, what);
			resp_free(msg);
			r = resp_decode(dec, (struct merlon_str){NULL, 0}, &msg);
		}
	}
	resp_decoder_free(dec);
	return mix(h, &r, sizeof(r));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	const uint64_t whole = run(data + 2, size - 2, size, data[1]);
	/* A line that is too long is seen sooner or later, depending on the cut. */
	if (run(data + 2, size - 2, 1 + data[0] % 64, data[1]) != whole && size < RESP_MESSAGE_MAX)
		abort();
	return 0;
}
