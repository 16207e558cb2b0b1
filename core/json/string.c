/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Strings: bytes, UTF-8 and escapes, each of which may be split by the end of a piece. What comes
 * whole is read whole; only what the end of a piece breaks off, and what is wrong, goes through the
 * machine byte by byte.
 */
#include "json/machine.h"

#include "base/utf8.h"
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

/* json_put() of bytes that follow each other in the piece: behind those that fit. */
static inline const char *put_run(struct json_scan *s, const char *p, const char *stop)
{
	return s->sink == SINK_NONE ? stop : p + json_put(s, p, (size_t)(stop - p));
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
	p = put_run(s, p, plain);
	return RARELY(s->error) ? p : json_on_string(s, p, end);
}

static const char *utf8_step(struct json_scan *s, const char *p)
{
	unsigned char byte = (unsigned char)*p;

	if (s->utf8_left == 0) {
		if (utf8_length(byte) == 0)
			return json_fail(s, JSON_E_UTF8, p);
		s->utf8_left = utf8_length(byte) - 1;
		s->utf8_lead = byte;
	} else {
		if (!utf8_continues(byte) || !utf8_second_right(s->utf8_lead, byte))
			return json_fail(s, JSON_E_UTF8, p);
		s->utf8_left--;
		s->utf8_lead = 0;
	}
	return p + json_put(s, p, 1);
}

static const char *string_ended(struct json_scan *s, const char *p)
{
	if (s->in_key) {
		if (!s->key_over && !json_key_match(s, s->key_n ? s->key : p, s->key_n))
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

#define HEX 0x10u /* it is a digit; its value is in the four bits below */
static const unsigned char hex[256] = {
    ['0'] = HEX | 0,  ['1'] = HEX | 1,  ['2'] = HEX | 2,  ['3'] = HEX | 3,  ['4'] = HEX | 4,
    ['5'] = HEX | 5,  ['6'] = HEX | 6,  ['7'] = HEX | 7,  ['8'] = HEX | 8,  ['9'] = HEX | 9,
    ['a'] = HEX | 10, ['b'] = HEX | 11, ['c'] = HEX | 12, ['d'] = HEX | 13, ['e'] = HEX | 14,
    ['f'] = HEX | 15, ['A'] = HEX | 10, ['B'] = HEX | 11, ['C'] = HEX | 12, ['D'] = HEX | 13,
    ['E'] = HEX | 14, ['F'] = HEX | 15,
};

static inline uint32_t hex_of(char c)
{
	return hex[(unsigned char)c];
}

/* An escape that is whole, right and alone; what else begins with a backslash is for the machine,
 * from that byte on. */
static inline const char *escape(struct json_scan *s, const char *p, const char *end)
{
	uint32_t a, b, c, d, unit;

	if (end - p >= 2 && unescaped[(unsigned char)p[1]]) {
		if (s->sink == SINK_NONE)
			return p + 2;
		return p + 1 + json_put(s, &unescaped[(unsigned char)p[1]], 1);
	}
	if (end - p < 6 || p[1] != 'u')
		goto machine;
	a = hex_of(p[2]), b = hex_of(p[3]), c = hex_of(p[4]), d = hex_of(p[5]);
	unit = (a & 15) << 12 | (b & 15) << 8 | (c & 15) << 4 | (d & 15);
	if (!(a & b & c & d & HEX) || surrogate(unit))
		goto machine;
	if (s->sink == SINK_NONE)
		return p + 6;
	put_code_point(s, unit);
	return s->error ? p + 5 : p + 6;
machine:
	s->state = ST_ESCAPE;
	return p + 1;
}

/* A character that is wrong, or that the end of this piece or of the one before breaks off. */
static const char *broken_character(struct json_scan *s, const char *p, const char *end)
{
	do
		p = utf8_step(s, p);
	while (p < end && s->utf8_left && !s->error);
	return p;
}

const char *json_on_string(struct json_scan *s, const char *p, const char *end)
{
	if (RARELY(s->utf8_left))
		p = broken_character(s, p, end);
	while (p < end && !s->error) {
		const char *stop = json_plain_end(s->begin, p, end);
		unsigned char byte;

		p = put_run(s, p, stop);
		if (p == end || RARELY(s->error))
			break;
		byte = (unsigned char)*p;
		if (byte == '"')
			return string_ended(s, p);
		if (byte == '\\') {
			do
				p = escape(s, p, end);
			while (s->state == ST_STRING && !s->error && p < end && *p == '\\');
			if (s->state != ST_STRING)
				break;
		} else if (byte < 0x80) {
			return json_fail(s, JSON_E_SYNTAX, p);
		} else {
			stop = json_utf8_end(s->begin, p, end);
			p = stop == p ? broken_character(s, p, end) : put_run(s, p, stop);
		}
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

	if (!digit)
		return json_fail(s, JSON_E_SYNTAX, p);
	s->unit = s->unit << 4 | (digit & 15);
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
