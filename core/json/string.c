/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Strings: bytes, UTF-8 and escapes, each of which may be split by the end of a piece. What comes
 * whole is read whole; only what the end of a piece breaks off, and what is wrong, goes through the
 * machine byte by byte.
 */
#include <string.h>

#include "json/machine.h"
#include "json/run.h"

/* What an escape of one letter stands for; 0: there is no such escape. */
static const char unescaped[256] = {
    ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
    ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
};

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

const char *json_begin_string(struct json_scan *s, const char *p, const char *plain,
                              const char *end, bool key)
{
	s->in_key = key;
	s->state = ST_STRING;
	s->high = 0;
	s->utf8_left = 0;
	s->sink = s->capture ? SINK_VALUE : SINK_NONE;
	if (key) {
		s->key_over = s->depth != s->named;
		s->sink = s->key_over ? SINK_NONE : SINK_KEY;
		s->key_n = 0;
		if (!s->key_over && !s->key)
			s->key = arena_alloc(s->arena, s->plan->key_max);
	}
	p += json_put(s, p, (size_t)(plain - p));
	return RARELY(s->error) ? p : json_on_string(s, p, end);
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

static const char *utf8_step(struct json_scan *s, const char *p)
{
	unsigned char byte = (unsigned char)*p;

	if (s->utf8_left == 0) {
		if (!utf8_lead(s, byte))
			return json_fail(s, JSON_E_UTF8, p);
	} else if (byte < s->utf8_lo || byte > s->utf8_hi) {
		return json_fail(s, JSON_E_UTF8, p);
	} else {
		s->utf8_left--;
		s->utf8_lo = 0x80;
		s->utf8_hi = 0xbf;
	}
	return p + json_put(s, p, 1);
}

static const char *string_ended(struct json_scan *s, const char *p)
{
	if (s->in_key) {
		if (!s->key_over && !json_key_match(s, s->key, s->key_n))
			return p;
		s->state = ST_COLON;
		return p + 1;
	}
	if (s->depth == 0)
		s->hold = json_offset(s, p);
	json_value_found(s);
	json_value_ended(s);
	return p + 1;
}

static bool surrogate(uint32_t unit)
{
	return unit >= 0xd800 && unit <= 0xdfff;
}

/* The value of a hex digit; over 15: it is none. */
static uint32_t hex_of(char c)
{
	unsigned char byte = (unsigned char)c;
	unsigned char folded = byte | 0x20;

	if (byte >= '0' && byte <= '9')
		return byte - '0';
	return folded >= 'a' && folded <= 'f' ? folded - 'a' + 10u : 16;
}

/* An escape that is whole, right and alone; what else begins with a backslash is for the machine,
 * from that byte on. */
static const char *escape(struct json_scan *s, const char *p, const char *end)
{
	uint32_t a, b, c, d, unit;

	if (end - p >= 2 && unescaped[(unsigned char)p[1]])
		return p + 1 + json_put(s, &unescaped[(unsigned char)p[1]], 1);
	s->state = ST_ESCAPE;
	if (end - p < 6 || p[1] != 'u')
		return p + 1;
	a = hex_of(p[2]), b = hex_of(p[3]), c = hex_of(p[4]), d = hex_of(p[5]);
	unit = a << 12 | b << 8 | c << 4 | d;
	if ((a | b | c | d) > 15 || surrogate(unit))
		return p + 1;
	s->state = ST_STRING;
	if (s->sink != SINK_NONE)
		put_code_point(s, unit);
	return s->error ? p + 5 : p + 6;
}

const char *json_on_string(struct json_scan *s, const char *p, const char *end)
{
	while (p < end && !s->error) {
		unsigned char byte = (unsigned char)*p;
		const char *stop;

		if (RARELY(s->utf8_left)) {
			p = utf8_step(s, p);
			continue;
		}
		if (byte == '"')
			return string_ended(s, p);
		if (byte == '\\') {
			p = escape(s, p, end);
			if (s->state != ST_STRING)
				return p;
			continue;
		}
		if (byte < 0x20)
			return json_fail(s, JSON_E_SYNTAX, p);
		stop = byte < 0x80 ? json_plain_end(s->begin, p, end)
		                   : json_utf8_end(s->begin, p, end);
		p = stop == p ? utf8_step(s, p) : p + json_put(s, p, (size_t)(stop - p));
	}
	return p;
}

const char *json_on_escape(struct json_scan *s, const char *p)
{
	const char *byte = &unescaped[(unsigned char)*p];

	if (*p == 'u') {
		s->state = ST_HEX;
		s->unit = 0;
		s->hex_left = 4;
		return p + 1;
	}
	if (!*byte)
		return json_fail(s, JSON_E_SYNTAX, p);
	s->state = ST_STRING;
	return p + json_put(s, byte, 1);
}

static void unit_ended(struct json_scan *s)
{
	bool low = s->unit >= 0xdc00 && s->unit <= 0xdfff;

	if (low != (s->high != 0)) {
		s->error = JSON_E_UTF8;
		return;
	}
	if (surrogate(s->unit) && !low) {
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

const char *json_on_hex(struct json_scan *s, const char *p)
{
	uint32_t digit = hex_of(*p);

	if (digit > 15)
		return json_fail(s, JSON_E_SYNTAX, p);
	s->unit = s->unit << 4 | digit;
	if (--s->hex_left == 0)
		unit_ended(s);
	return s->error ? p : p + 1;
}

const char *json_on_pair(struct json_scan *s, const char *p)
{
	if (*p != (s->state == ST_PAIR_BACKSLASH ? '\\' : 'u'))
		return json_fail(s, JSON_E_UTF8, p);
	s->state = s->state == ST_PAIR_BACKSLASH ? ST_PAIR_U : ST_HEX;
	s->unit = 0;
	s->hex_left = 4;
	return p + 1;
}
