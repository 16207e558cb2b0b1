/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Strings: bytes, UTF-8 and escapes, each of which may be split by the end of a piece. Runs of
 * plain ASCII are found many bytes at a time, because that is what nearly all of a prompt consists
 * of.
 */
#include "json/machine.h"

#include <string.h>

#if defined(__SSE2__) && !defined(JSON_SCAN_PORTABLE)
#include <emmintrin.h>
#define HAVE_SSE2 1
#endif

static void put_code_point(struct json_scan *s, uint32_t cp)
{
	char out[4];
	size_t n = 0;

	if (cp < 0x80) {
		out[n++] = (char)cp;
	} else if (cp < 0x800) {
		out[n++] = (char)(0xc0 | cp >> 6);
		out[n++] = (char)(0x80 | (cp & 0x3f));
	} else if (cp < 0x10000) {
		out[n++] = (char)(0xe0 | cp >> 12);
		out[n++] = (char)(0x80 | (cp >> 6 & 0x3f));
		out[n++] = (char)(0x80 | (cp & 0x3f));
	} else {
		out[n++] = (char)(0xf0 | cp >> 18);
		out[n++] = (char)(0x80 | (cp >> 12 & 0x3f));
		out[n++] = (char)(0x80 | (cp >> 6 & 0x3f));
		out[n++] = (char)(0x80 | (cp & 0x3f));
	}
	json_put(s, out, n);
}

void json_begin_string(struct json_scan *s, struct cursor *c, bool key)
{
	s->in_key = key;
	s->state = ST_STRING;
	s->high = 0;
	if (key)
		json_key_begins(s);
	c->p++;
}

/* The first byte at or after p that is a quote, a backslash, a control or not ASCII. */
static const char *plain_end(const char *p, const char *end)
{
#ifdef HAVE_SSE2
	const __m128i quote = _mm_set1_epi8('"');
	const __m128i backslash = _mm_set1_epi8('\\');
	const __m128i space = _mm_set1_epi8(' ');

	for (; end - p >= 16; p += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		/* As signed bytes, controls and all over 0x7f are below the space. */
		__m128i stop = _mm_or_si128(
		    _mm_cmplt_epi8(v, space),
		    _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)));
		int mask = _mm_movemask_epi8(stop);

		if (mask)
			return p + __builtin_ctz((unsigned)mask);
	}
#else
	const uint64_t ones = UINT64_C(0x0101010101010101);

	for (; end - p >= 8; p += 8) {
		uint64_t v, quote, backslash;

		memcpy(&v, p, sizeof(v));
		quote = v ^ ones * '"';
		backslash = v ^ ones * '\\';
		/* A zero or too small byte borrows from its top bit. */
		if (((v - ones * ' ') | v | (quote - ones) | (backslash - ones)) & ones * 0x80)
			break;
	}
#endif
	for (; p < end; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\' || c < 0x20 || c >= 0x80)
			break;
	}
	return p;
}

/* The lead byte says how many follow and what the first of them may be (RFC 3629 section 4). */
static bool utf8_lead(struct json_scan *s, unsigned char c)
{
	s->utf8_lo = 0x80;
	s->utf8_hi = 0xbf;
	if (c >= 0xc2 && c <= 0xdf) {
		s->utf8_left = 1;
	} else if (c >= 0xe0 && c <= 0xef) {
		s->utf8_left = 2;
		if (c == 0xe0)
			s->utf8_lo = 0xa0;
		else if (c == 0xed)
			s->utf8_hi = 0x9f;
	} else if (c >= 0xf0 && c <= 0xf4) {
		s->utf8_left = 3;
		if (c == 0xf0)
			s->utf8_lo = 0x90;
		else if (c == 0xf4)
			s->utf8_hi = 0x8f;
	} else {
		return false;
	}
	return true;
}

static void utf8_step(struct json_scan *s, struct cursor *c)
{
	unsigned char byte = (unsigned char)*c->p;

	if (s->utf8_left == 0) {
		if (!utf8_lead(s, byte)) {
			json_fail(s, JSON_E_UTF8);
			return;
		}
	} else if (byte < s->utf8_lo || byte > s->utf8_hi) {
		json_fail(s, JSON_E_UTF8);
		return;
	} else {
		s->utf8_left--;
		s->utf8_lo = 0x80;
		s->utf8_hi = 0xbf;
	}
	c->p += json_put(s, c->p, 1);
}

static void string_ended(struct json_scan *s, struct cursor *c)
{
	if (s->in_key) {
		json_key_ended(s);
	} else {
		if (s->depth == 0)
			s->hold = json_offset(s, c);
		json_value_found(s);
		json_value_ended(s);
	}
	if (s->error)
		return;
	c->p++;
	/* Nearly always at once: one step of the machine less. */
	if (s->state == ST_COLON && c->p < c->end && *c->p == ':') {
		s->state = ST_VALUE;
		c->p++;
	}
}

void json_on_string(struct json_scan *s, struct cursor *c)
{
	while (c->p < c->end && !s->error) {
		unsigned char byte = (unsigned char)*c->p;

		if (byte >= 0x80 || s->utf8_left) {
			utf8_step(s, c);
		} else if (byte == '"') {
			string_ended(s, c);
			return;
		} else if (byte == '\\') {
			s->state = ST_ESCAPE;
			c->p++;
			return;
		} else if (byte < 0x20) {
			json_fail(s, JSON_E_SYNTAX);
		} else {
			const char *end = plain_end(c->p, c->end);

			c->p += json_put(s, c->p, (size_t)(end - c->p));
		}
	}
}

void json_on_escape(struct json_scan *s, struct cursor *c)
{
	static const char names[] = "\"\\/bfnrt";
	static const char bytes[] = "\"\\/\b\f\n\r\t";
	const char *at;

	if (*c->p == 'u') {
		s->state = ST_HEX;
		s->unit = 0;
		s->hex_left = 4;
		c->p++;
		return;
	}
	at = memchr(names, *c->p, sizeof(names) - 1);
	if (!at) {
		json_fail(s, JSON_E_SYNTAX);
		return;
	}
	s->state = ST_STRING;
	if (json_put(s, &bytes[at - names], 1))
		c->p++;
}

static void unit_ended(struct json_scan *s)
{
	bool low = s->unit >= 0xdc00 && s->unit <= 0xdfff;

	if (low != (s->high != 0)) {
		json_fail(s, JSON_E_UTF8);
		return;
	}
	if (s->unit >= 0xd800 && s->unit <= 0xdbff) {
		s->high = s->unit;
		s->state = ST_PAIR_BACKSLASH;
		return;
	}
	if (low)
		s->unit = 0x10000 + ((s->high - 0xd800) << 10) + (s->unit - 0xdc00);
	s->high = 0;
	s->state = ST_STRING;
	put_code_point(s, s->unit);
}

void json_on_hex(struct json_scan *s, struct cursor *c)
{
	unsigned char byte = (unsigned char)*c->p;
	unsigned char folded = byte | 0x20;
	uint32_t digit;

	if (byte >= '0' && byte <= '9') {
		digit = byte - '0';
	} else if (folded >= 'a' && folded <= 'f') {
		digit = folded - 'a' + 10u;
	} else {
		json_fail(s, JSON_E_SYNTAX);
		return;
	}
	s->unit = s->unit << 4 | digit;
	if (--s->hex_left == 0)
		unit_ended(s);
	if (!s->error)
		c->p++;
}

void json_on_pair(struct json_scan *s, struct cursor *c)
{
	if (*c->p != (s->state == ST_PAIR_BACKSLASH ? '\\' : 'u')) {
		json_fail(s, JSON_E_UTF8);
		return;
	}
	s->state = s->state == ST_PAIR_BACKSLASH ? ST_PAIR_U : ST_HEX;
	s->unit = 0;
	s->hex_left = 4;
	c->p++;
}
