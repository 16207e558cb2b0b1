/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Eight bytes at a time, and sixteen where the machine has SSE2 (every x86-64). Scanners of several
 * rooms step over runs of bytes by them; what a byte means is theirs to say.
 */
#ifndef BASE_VECTOR_H
#define BASE_VECTOR_H

#include <stdbool.h>
#include <stddef.h>
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

static inline uint32_t half_load(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* One of 2^bits places for a text, by its length and its last four bytes (fewer where it is
 * shorter): usual names differ there. The factor was searched for: it gives each attribute that
 * requests usually have a place of its own among 32. */
static inline unsigned tail_place(uint32_t last, size_t n, unsigned bits)
{
	return ((last + (uint32_t)n) * UINT32_C(0x41dd0b91)) >> (32 - bits);
}

/* 'A'..'Z' become small letters, every other byte stays. */
static inline uint64_t word_lower(uint64_t w)
{
	uint64_t low7 = w & ~WORD_HIGH;
	uint64_t from_a = low7 + WORD_ONES * (0x80 - 'A');
	uint64_t past_z = low7 + WORD_ONES * (0x7f - 'Z');

	return w | ((from_a & ~past_z & ~w & WORD_HIGH) >> 2);
}

/* Copies n bytes. Texts are short more often than not, and a call of memcpy() costs more than they
 * do: two stores that overlap do for each range of lengths. */
__attribute__((always_inline)) static inline void bytes_copy(char *to, const char *p, size_t n)
{
	if (n > 32) {
		memcpy(to, p, n);
	} else if (n >= 16) {
		memcpy(to, p, 16);
		memcpy(to + n - 16, p + n - 16, 16);
	} else if (n >= 8) {
		memcpy(to, p, 8);
		memcpy(to + n - 8, p + n - 8, 8);
	} else if (n >= 4) {
		memcpy(to, p, 4);
		memcpy(to + n - 4, p + n - 4, 4);
	} else {
		for (size_t i = 0; i < n; i++)
			to[i] = p[i];
	}
}

/* Whether n bytes are the same, likewise; without a call, so that who asks needs no frame. */
__attribute__((always_inline)) static inline bool bytes_same(const char *a, const char *b, size_t n)
{
	size_t i = 0;

	if (n > 16) {
		while (i + 16 < n && word_load(a + i) == word_load(b + i) &&
		       word_load(a + i + 8) == word_load(b + i + 8))
			i += 16;
		if (i + 16 < n)
			return false;
		a += n - 16;
		b += n - 16;
		n = 16;
	}
	if (n >= 8)
		return word_load(a) == word_load(b) && word_load(a + n - 8) == word_load(b + n - 8);
	if (n >= 4)
		return half_load(a) == half_load(b) && half_load(a + n - 4) == half_load(b + n - 4);
	while (i < n && a[i] == b[i])
		i++;
	return i == n;
}

#if VECTOR_SSE2
static inline __m128i vector_load(const char *p)
{
	return _mm_loadu_si128((const __m128i_u *)(const void *)p);
}
#endif

#endif
