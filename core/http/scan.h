/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Runs of bytes of one class, sixteen at a time where the machine has SSE2 (every x86-64), else
 * eight or one. What a class is only http_chars says: a vector steps over bytes that certainly
 * belong to it, and the table has the last word at the byte that ended the quick part.
 */
#ifndef HTTP_SCAN_H
#define HTTP_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/vector.h"
#include "http/chars.h"

#if VECTOR_SSE2
/* Bytes from..from+span, wrapping at none: unsigned comparison by the smaller of two. */
static inline __m128i scan_in(__m128i x, char from, char span)
{
	__m128i d = _mm_sub_epi8(x, _mm_set1_epi8(from));

	return _mm_cmpeq_epi8(_mm_min_epu8(d, _mm_set1_epi8(span)), d);
}

/* Letters, digits and '-': a bit for each byte that is something else. */
static inline unsigned scan_not_word(const char *p)
{
	__m128i x = vector_load(p);
	__m128i letter = scan_in(_mm_or_si128(x, _mm_set1_epi8(0x20)), 'a', 25);
	__m128i rest = _mm_or_si128(scan_in(x, '0', 9), _mm_cmpeq_epi8(x, _mm_set1_epi8('-')));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(letter, rest)) ^ 0xffffu;
}

/* Controls, HTAB among them, and DEL. */
static inline unsigned scan_control(const char *p)
{
	__m128i x = vector_load(p);
	__m128i del = _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(scan_in(x, 0, 0x1f), del));
}

/* What is no visible ASCII. */
static inline unsigned scan_not_target(const char *p)
{
	return (unsigned)_mm_movemask_epi8(scan_in(vector_load(p), 0x21, 0x5d)) ^ 0xffffu;
}
#endif

/* Each answers the first place from `at` on, n at most, that does not hold a byte of the class. */
static inline size_t scan_class(const char *d, size_t at, size_t n, unsigned class)
{
	while (at < n && http_is(d[at], class))
		at++;
	return at;
}

/* class: CHAR_NAME or CHAR_TOKEN */
static inline size_t scan_name(const char *d, size_t at, size_t n, unsigned class)
{
#if VECTOR_SSE2
	for (; at + 16 <= n; at += 16) {
		unsigned other = scan_not_word(d + at);

		if (other) {
			at += (unsigned)__builtin_ctz(other);
			break;
		}
	}
#endif
	return scan_class(d, at, n, class);
}

/* Eight bytes of which none is a control or DEL; where it says no there may be none either. */
static inline bool scan_word_is_text(uint64_t w)
{
	uint64_t del = w ^ (WORD_ONES * 0x7f);
	uint64_t low = (w - WORD_ONES * 0x20) & ~w;

	return !((low | ((del - WORD_ONES) & ~del)) & WORD_HIGH);
}

static inline size_t scan_value(const char *d, size_t at, size_t n)
{
#if VECTOR_SSE2
	for (; at + 16 <= n; at += 16) {
		unsigned control = scan_control(d + at);

		if (control) {
			at += (unsigned)__builtin_ctz(control);
			if (d[at] == '\t')
				break;
			return at;
		}
	}
#else
	for (; at + 8 <= n; at += 8) {
		if (!scan_word_is_text(word_load(d + at)))
			break;
	}
#endif
	return scan_class(d, at, n, CHAR_VALUE);
}

static inline size_t scan_target(const char *d, size_t at, size_t n)
{
#if VECTOR_SSE2
	for (; at + 16 <= n; at += 16) {
		unsigned other = scan_not_target(d + at);

		if (other)
			return at + (unsigned)__builtin_ctz(other);
	}
#endif
	return scan_class(d, at, n, CHAR_TARGET);
}

#endif
