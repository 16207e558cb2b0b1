/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Eight bytes at a time, and sixteen where the machine has SSE2 (every x86-64). Scanners of several
 * rooms step over runs of bytes by them; what a byte means is theirs to say.
 */
#ifndef BASE_VECTOR_H
#define BASE_VECTOR_H

#include <stdint.h>
#include <string.h>

/* Without it the scanners' portable twins are built, for machines that lack it and for the tests.
 */
#if defined(__SSE2__) && !defined(VECTOR_PORTABLE)
#define VECTOR_SSE2 1
#include <emmintrin.h>
#else
#define VECTOR_SSE2 0
#endif

#define WORD_ONES UINT64_C(0x0101010101010101)
#define WORD_HIGH (WORD_ONES * 0x80)

static inline uint64_t word_load(const char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

/* 'A'..'Z' become small letters, every other byte stays. */
static inline uint64_t word_lower(uint64_t w)
{
	uint64_t low7 = w & ~WORD_HIGH;
	uint64_t from_a = low7 + WORD_ONES * (0x80 - 'A');
	uint64_t past_z = low7 + WORD_ONES * (0x7f - 'Z');

	return w | ((from_a & ~past_z & ~w & WORD_HIGH) >> 2);
}

#if VECTOR_SSE2
static inline __m128i vector_load(const char *p)
{
	return _mm_loadu_si128((const __m128i_u *)(const void *)p);
}
#endif

#endif
