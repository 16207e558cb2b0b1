/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Runs of bytes. Nothing here decides about a text: where a run stops, the machine looks at the
 * byte.
 */
#include "json/run.h"

#include "base/utf8.h"
#include "json/scan.h"

#if VECTOR_SSE2
/* Where the run stops in the blocks up to last, the beginning of the last one that there is room
 * for, at most n of them; NULL: in none. */
static inline const char *plain_stop(const char **at, const char *last, unsigned n)
{
	const char *p = *at;

	for (; n > 0 && p <= last; n--, p += JSON_BLOCK) {
		unsigned mask = (unsigned)_mm_movemask_epi8(json_stops(vector_load(p)));

		if (mask)
			return p + (unsigned)__builtin_ctz(mask);
	}
	*at = p;
	return NULL;
}

const char *json_plain_long(const char *begin, const char *p, const char *end)
{
	const char *last, *stop;

	if (end - begin < JSON_BLOCK) {
		while (p < end && json_plain(*p))
			p++;
		return p;
	}
	last = end - JSON_BLOCK;
	/* Lines of text end soon; only what is longer is worth four blocks a turn. */
	stop = plain_stop(&p, last, 4);
	if (stop)
		return stop;
	for (; end - p >= 4 * JSON_BLOCK; p += 4 * JSON_BLOCK) {
		__m128i a = json_stops(vector_load(p));
		__m128i b = json_stops(vector_load(p + 16));
		__m128i c = json_stops(vector_load(p + 32));
		__m128i d = json_stops(vector_load(p + 48));

		if (_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d))))
			break;
	}
	stop = plain_stop(&p, last, 4);
	if (!stop && p < end) {
		/* The rest together with bytes before it, which do not count. */
		unsigned mask = (unsigned)_mm_movemask_epi8(json_stops(vector_load(last)));

		mask >>= p - last;
		stop = mask ? p + (unsigned)__builtin_ctz(mask) : end;
	}
	return stop ? stop : end;
}
#else
const char *json_plain_long(const char *begin, const char *p, const char *end)
{
	(void)begin;
	for (; end - p >= 8; p += 8) {
		uint64_t v = word_load(p);
		uint64_t quote = v ^ WORD_ONES * '"';
		uint64_t backslash = v ^ WORD_ONES * '\\';

		/* A zero or too small byte borrows from its top bit. */
		if (((v - WORD_ONES * ' ') | v | (quote - WORD_ONES) | (backslash - WORD_ONES)) &
		    WORD_HIGH)
			break;
	}
	while (p < end && json_plain(*p))
		p++;
	return p;
}
#endif

#if VECTOR_SSE2
/* Non-zero where v is more than limit, as unsigned bytes. */
static inline __m128i over(__m128i v, unsigned char limit)
{
	return _mm_subs_epu8(v, _mm_set1_epi8((char)limit));
}

/* All ones where the lead is `low` and the byte behind it below `limit`, or the lead is `high` and
 * the byte is not below it. */
static inline __m128i forbidden(__m128i v, __m128i lead, unsigned char limit, unsigned char low,
                                unsigned char high)
{
	__m128i below = _mm_cmplt_epi8(v, _mm_set1_epi8((char)limit));
	__m128i bad = _mm_xor_si128(_mm_and_si128(below, _mm_set1_epi8((char)(low ^ high))),
	                            _mm_set1_epi8((char)high));

	return _mm_cmpeq_epi8(lead, bad);
}

/* Whether the 16 bytes at p hold neither an error nor a byte that ends a run; three bytes before
 * them belong to the text. */
static inline bool block_good(const char *p)
{
	__m128i v = vector_load(p);
	__m128i p1 = vector_load(p - 1), p2 = vector_load(p - 2), p3 = vector_load(p - 3);
	__m128i zero = _mm_setzero_si128();
	/* Where a lead byte says so there must be a continuation, and nowhere else. */
	__m128i due = _mm_or_si128(_mm_or_si128(over(p1, 0xbf), over(p2, 0xdf)), over(p3, 0xef));
	__m128i continuation = _mm_cmplt_epi8(v, _mm_set1_epi8((char)0xc0));
	__m128i bad = _mm_cmpeq_epi8(continuation, _mm_cmpeq_epi8(due, zero));
	__m128i c0 = _mm_and_si128(v, _mm_set1_epi8((char)0xfe));

	/* Overlong forms, surrogates, over U+10FFFF. */
	bad = _mm_or_si128(bad, forbidden(v, p1, 0xa0, 0xe0, 0xed));
	bad = _mm_or_si128(bad, forbidden(v, p1, 0x90, 0xf0, 0xf4));
	bad = _mm_or_si128(bad, _mm_cmpeq_epi8(c0, _mm_set1_epi8((char)0xc0)));
	bad = _mm_or_si128(bad, over(v, 0xf4));
	/* Controls and, with bit 1 flipped, the quote; the backslash. */
	bad = _mm_or_si128(bad,
	                   _mm_subs_epu8(_mm_set1_epi8('!'), _mm_xor_si128(v, _mm_set1_epi8(2))));
	bad = _mm_or_si128(bad, _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
	return _mm_movemask_epi8(_mm_cmpeq_epi8(bad, zero)) == 0xffff;
}

static const char *utf8_blocks(const char *begin, const char *p, const char *end)
{
	const char *from = p;

	if (p - begin < 3)
		return p;
	/* A block of ASCII is for the cheaper run. */
	while (end - p >= 16 && _mm_movemask_epi8(vector_load(p)) && block_good(p))
		p += 16;
	if (p == from)
		return p;
	/* The character that the last block broke off. */
	for (unsigned i = 1; i <= 3; i++) {
		unsigned char c = (unsigned char)p[-(ptrdiff_t)i];

		if (c >= 0xc0)
			return i < utf8_length(c) ? p - i : p;
	}
	return p;
}
#else
static const char *utf8_blocks(const char *begin, const char *p, const char *end)
{
	(void)begin;
	(void)end;
	return p;
}
#endif

const char *json_utf8_end(const char *begin, const char *p, const char *end)
{
	/* One letter among ASCII is not worth a block. */
	unsigned first = utf8_char(p, (size_t)(end - p));

	if (first == 0)
		return p;
	p += first;
	while (p < end && (unsigned char)*p >= 0x80) {
		const char *again;

		p = utf8_blocks(begin, p, end);
		/* What broke the block may stand behind more characters. */
		again = p + (end - p < 16 ? end - p : 16);
		while (p < again) {
			unsigned n = (unsigned char)*p < 0x80 ? 0 : utf8_char(p, (size_t)(end - p));

			if (n == 0)
				return p;
			p += n;
		}
	}
	return p;
}

const char *json_digits_long(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

static const char *spaces_end(const char *p, const char *end)
{
#if VECTOR_SSE2
	for (; end - p >= 16; p += 16) {
		__m128i blank = _mm_cmpeq_epi8(vector_load(p), _mm_set1_epi8(' '));
		unsigned other = (unsigned)_mm_movemask_epi8(blank) ^ 0xffff;

		if (other)
			return p + __builtin_ctz(other);
	}
#endif
	while (p < end && *p == ' ')
		p++;
	return p;
}

static bool is_white(unsigned char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

const char *json_white_end(const char *p, const char *end)
{
	while (p < end && (unsigned char)*p <= ' ' && is_white((unsigned char)*p))
		p = *p == '\n' ? spaces_end(p + 1, end) : p + 1;
	return p;
}

const char *json_find(struct str text, struct str quoted)
{
#if VECTOR_SSE2
	const __m128i quote = _mm_set1_epi8('"');
	size_t span = 16 + quoted.n - 1;
	size_t at = 0;

	/* Few strings are as long as this one. The last block laps over the one before. */
	while (text.n >= span) {
		const char *p = text.p + (at < text.n - span ? at : text.n - span);
		__m128i opens = _mm_cmpeq_epi8(vector_load(p), quote);
		__m128i closes = _mm_cmpeq_epi8(vector_load(p + quoted.n - 1), quote);
		unsigned mask = (unsigned)_mm_movemask_epi8(_mm_and_si128(opens, closes));

		for (; mask; mask &= mask - 1) {
			const char *found = p + __builtin_ctz(mask);

			if (memcmp(found, quoted.p, quoted.n) == 0)
				return found;
		}
		if (at >= text.n - span)
			return NULL;
		at += 16;
	}
#endif
	while (text.n >= quoted.n) {
		const char *p = memchr(text.p, '"', text.n - quoted.n + 1);

		if (!p || memcmp(p, quoted.p, quoted.n) == 0)
			return p;
		text.n -= (size_t)(p + 1 - text.p);
		text.p = p + 1;
	}
	return NULL;
}
