/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Runs of bytes that need no decision each, found many at a time: nearly all of a prompt consists
 * of them.
 */
#ifndef JSON_RUN_H
#define JSON_RUN_H

#include "base/vector.h"

#include <stdbool.h>

/* The first byte at or after p that is a quote, a backslash, a control or not ASCII; end: none.
 * Bytes from begin on may be looked at. */
const char *json_plain_long(const char *begin, const char *p, const char *end);

/* As far as the text from p, where a character begins, is valid UTF-8 without quote, backslash and
 * control: where a character begins again, or end. Bytes from begin on may be looked at. The first
 * character is not ASCII; p: it is invalid or goes on behind the end. It may stop early. */
const char *json_utf8_end(const char *begin, const char *p, const char *end);

/* The first byte that is no decimal digit, where there are many or the piece ends soon. */
const char *json_digits_long(const char *p, const char *end);

/* The first byte that is no white space: mostly one blank, or indentation. */
const char *json_white_end(const char *p, const char *end);

#define JSON_BLOCK 16

#if VECTOR_SSE2
/* A set top bit in each byte where a plain run stops. Flipping bit 1 puts the quote right behind
 * the controls; as signed bytes, what is not ASCII lies below all of them. */
static inline __m128i json_stops(__m128i v)
{
	__m128i low = _mm_subs_epi8(_mm_xor_si128(v, _mm_set1_epi8(2)), _mm_set1_epi8('!'));

	return _mm_or_si128(low, _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
}
#endif

static inline bool json_plain(char byte)
{
	unsigned char c = (unsigned char)byte;

	return c >= ' ' && c < 0x80 && c != '"' && c != '\\';
}

/* Where among the first 16 bytes a plain run stops, for keys and names; 16: behind them. */
static inline unsigned json_plain_first(const char *p)
{
#if VECTOR_SSE2
	unsigned mask = (unsigned)_mm_movemask_epi8(json_stops(vector_load(p)));

	return (unsigned)__builtin_ctz(mask | 1u << JSON_BLOCK);
#else
	unsigned n = 0;

	while (n < JSON_BLOCK && json_plain(p[n]))
		n++;
	return n;
#endif
}

/* As json_plain_long(), for runs that are mostly short. */
static inline const char *json_plain_end(const char *begin, const char *p, const char *end)
{
	if (__builtin_expect(end - p >= JSON_BLOCK, 1)) {
		unsigned n = json_plain_first(p);

		p += n;
		if (n < JSON_BLOCK)
			return p;
	}
	return json_plain_long(begin, p, end);
}

/* The same for decimal digits. */
static inline unsigned json_digits_first(const char *p)
{
#if VECTOR_SSE2
	/* Only the ten digits stay up to nine. */
	__m128i value = _mm_sub_epi8(vector_load(p), _mm_set1_epi8('0'));
	__m128i more = _mm_subs_epu8(value, _mm_set1_epi8(9));
	__m128i digits = _mm_cmpeq_epi8(more, _mm_setzero_si128());

	return (unsigned)__builtin_ctz(~(unsigned)_mm_movemask_epi8(digits));
#else
	return (unsigned)(json_digits_long(p, p + JSON_BLOCK) - p);
#endif
}

static inline const char *json_digits_end(const char *p, const char *end)
{
	if (__builtin_expect(end - p >= JSON_BLOCK, 1)) {
		unsigned n = json_digits_first(p);

		p += n;
		if (n < JSON_BLOCK)
			return p;
	}
	return json_digits_long(p, end);
}

#endif
