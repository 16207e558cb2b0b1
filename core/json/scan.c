/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The resumable JSON scanner: a state machine over tokens with an explicit stack of one bit a
 * level, so that hostile nesting costs no stack. A token that is whole and right in its piece is
 * one step; all others are read byte by byte from their first, so that what breaks a rule is found
 * in one place only. What must survive the end of a piece lives in struct json_scan; the scan, its
 * key buffer and captured values live in the caller's arena.
 */
#include "json/scan.h"

#include "json/machine.h"
#include "json/run.h"

#include <string.h>

static const char *open_container(struct json_scan *s, const char *p, bool object)
{
	unsigned match = s->match;

	if (s->depth == JSON_DEPTH_MAX)
		return json_fail(s, JSON_E_DEPTH, p);
	if (!json_value_begins(s, object ? JSON_OBJECT : JSON_ARRAY))
		return p;
	json_value_found(s);
	s->stack = s->stack << 1 | object;
	s->state = object ? ST_KEY_OR_END : ST_ELEMENT_OR_END;
	/* Wanted names go on in the root and in an object whose key was one of them. */
	if (object && (s->depth == 0 || match) && s->plan->nodes[match].child) {
		s->node = (uint8_t)match;
		s->named = s->depth + 1;
	}
	s->depth++;
	return p + 1;
}

static const char *close_container(struct json_scan *s, const char *p)
{
	if (s->depth == 1)
		s->hold = json_offset(s, p);
	if (s->depth == s->named) {
		s->node = s->plan->nodes[s->node].parent;
		s->named--;
	}
	s->depth--;
	s->stack >>= 1;
	json_value_ended(s);
	return p + 1;
}

static const char *begin_literal(struct json_scan *s, const char *p, const char *rest)
{
	s->literal = rest;
	s->state = ST_LITERAL;
	if (s->depth == 0)
		s->hold = json_offset(s, p);
	return p + 1;
}

static enum json_type type_of(char first)
{
	switch (first) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 't':
		return JSON_TRUE;
	case 'f':
		return JSON_FALSE;
	case 'n':
		return JSON_NULL;
	default:
		return first == '-' || (first >= '0' && first <= '9') ? JSON_NUMBER : JSON_ABSENT;
	}
}

/* The first byte that is no white space, moving *at there; -1: the piece has ended. Mostly it is
 * there at once, or behind one blank. */
static inline int token(const char **at, const char *end)
{
	const uint64_t spaces = 1ull << ' ' | 1ull << '\n' | 1ull << '\r' | 1ull << '\t';

	for (const char *p = *at; p < end; p++) {
		unsigned char c = (unsigned char)*p;

		if (c > ' ' || !(spaces >> c & 1)) {
			*at = p;
			return c;
		}
		if (c == '\n')
			p = json_blanks_end(p + 1, end) - 1;
	}
	*at = end;
	return -1;
}

/* A value of which the first byte is at p, in steps: it is the root, or not whole, or its text is
 * too long. */
static const char *begin_value(struct json_scan *s, const char *p, const char *end,
                               enum json_type type)
{
	switch (type) {
	case JSON_ABSENT:
		return json_fail(s, JSON_E_SYNTAX, p);
	case JSON_OBJECT:
	case JSON_ARRAY:
		return open_container(s, p, type == JSON_OBJECT);
	case JSON_STRING:
		return json_begin_string(s, p + 1, p + 1, end, false);
	case JSON_NUMBER:
		return json_begin_number(s, p);
	case JSON_TRUE:
		return begin_literal(s, p, "rue");
	case JSON_FALSE:
		return begin_literal(s, p, "alse");
	case JSON_NULL:
		break;
	}
	return begin_literal(s, p, "ull");
}

static const char *on_root(struct json_scan *s, const char *p, const char *end)
{
	enum json_type type;

	/* Nothing else than a byte order mark begins so, wherever its three bytes are split. */
	if (json_offset(s, p) == 0 && (unsigned char)*p == 0xef)
		return json_fail(s, JSON_E_BOM, p);
	if (token(&p, end) < 0)
		return p;
	type = type_of(*p);
	if ((s->flags & JSON_ROOT_OBJECT) && type != JSON_OBJECT && type != JSON_ABSENT)
		return json_fail(s, JSON_E_NOT_OBJECT, p);
	return begin_value(s, p, end, type);
}

/* ---- what is inside a container ---- */
static inline const char *string_value(struct json_scan *s, const char *p, const char *end)
{
	const char *close = json_plain_end(s->begin, p, end);

	if (close == end || *close != '"' ||
	    (RARELY(s->capture) && !json_value_text(s, p, (size_t)(close - p))))
		return json_begin_string(s, p, close, end, false);
	json_value_found(s);
	s->state = ST_AFTER;
	return close + 1;
}

static const char *number_value(struct json_scan *s, const char *p, const char *end)
{
	const char *after = json_whole_number(p, end);

	if (!after || (RARELY(s->capture) && !json_value_text(s, p, (size_t)(after - p))))
		return json_begin_number(s, p);
	json_value_found(s);
	s->state = ST_AFTER;
	return after;
}

static const char *literal_value(struct json_scan *s, const char *p, const char *end,
                                 enum json_type type)
{
	const char *word = type == JSON_TRUE ? "true" : "null";
	bool whole = type == JSON_FALSE ? end - p >= 5 && memcmp(p, "false", 5) == 0
	                                : end - p >= 4 && memcmp(p, word, 4) == 0;

	if (!whole)
		return begin_value(s, p, end, type);
	json_value_found(s);
	s->state = ST_AFTER;
	return p + (type == JSON_FALSE ? 5 : 4);
}

static const char *other_value(struct json_scan *s, const char *p, const char *end)
{
	enum json_type type = type_of(*p);

	if (type == JSON_ABSENT)
		return json_fail(s, JSON_E_SYNTAX, p);
	if (!json_value_begins(s, type))
		return p;
	return type == JSON_NUMBER ? number_value(s, p, end) : literal_value(s, p, end, type);
}

static inline const char *value(struct json_scan *s, int c, const char *p, const char *end)
{
	if (c == '"')
		return json_value_begins(s, JSON_STRING) ? string_value(s, p + 1, end) : p;
	if (c == '{' || c == '[')
		return open_container(s, p, c == '{');
	return other_value(s, p, end);
}

static inline const char *on_value(struct json_scan *s, const char *p, const char *end)
{
	int c = token(&p, end);

	return c < 0 ? p : value(s, c, p, end);
}

static const char *on_element_or_end(struct json_scan *s, const char *p, const char *end)
{
	int c = token(&p, end);

	if (c == ']')
		return close_container(s, p);
	return c < 0 ? p : value(s, c, p, end);
}

static inline const char *key(struct json_scan *s, const char *p, const char *end)
{
	const char *close = json_plain_end(s->begin, p, end);

	if (close == end || *close != '"')
		return json_begin_string(s, p, close, end, true);
	if (s->depth == s->named && !json_key_match(s, p, (size_t)(close - p)))
		return close;
	s->state = ST_COLON;
	return close + 1;
}

static inline const char *on_key(struct json_scan *s, const char *p, const char *end)
{
	int c = token(&p, end);

	if (c < 0)
		return p;
	if (c == '"')
		return key(s, p + 1, end);
	if (c == '}' && s->state == ST_KEY_OR_END)
		return close_container(s, p);
	return json_fail(s, JSON_E_SYNTAX, p);
}

static inline const char *on_colon(struct json_scan *s, const char *p, const char *end)
{
	int c = token(&p, end);

	if (c < 0)
		return p;
	if (c != ':')
		return json_fail(s, JSON_E_SYNTAX, p);
	s->state = ST_VALUE;
	return p + 1;
}

static inline const char *on_after(struct json_scan *s, const char *p, const char *end)
{
	bool object = s->stack & 1;
	int c = token(&p, end);

	if (c < 0)
		return p;
	if (c == ',') {
		s->state = object ? ST_KEY : ST_VALUE;
		return p + 1;
	}
	if (c == (object ? '}' : ']'))
		return close_container(s, p);
	return json_fail(s, JSON_E_SYNTAX, p);
}

static const char *on_done(struct json_scan *s, const char *p, const char *end)
{
	return token(&p, end) < 0 ? p : json_fail(s, JSON_E_TRAILING, p);
}

static const char *on_literal(struct json_scan *s, const char *p)
{
	if (*p != *s->literal)
		return json_fail(s, JSON_E_SYNTAX, p);
	if (*++s->literal == '\0') {
		json_value_found(s);
		json_value_ended(s);
	}
	return p + 1;
}

/* A state of the middle of a token, or one that comes once in a text. */
static const char *rare_step(struct json_scan *s, const char *p, const char *end)
{
	switch (s->state) {
	case ST_ROOT:
		return on_root(s, p, end);
	case ST_ELEMENT_OR_END:
		return on_element_or_end(s, p, end);
	case ST_STRING:
		return json_on_string(s, p, end);
	case ST_ESCAPE:
		return json_on_escape(s, p);
	case ST_HEX:
		return json_on_hex(s, p);
	case ST_PAIR_BACKSLASH:
	case ST_PAIR_U:
		return json_on_pair(s, p);
	case ST_LITERAL:
		return on_literal(s, p);
	case ST_NUMBER:
		return json_on_number(s, p, end);
	case ST_VALUE:
	case ST_KEY_OR_END:
	case ST_KEY:
	case ST_COLON:
	case ST_AFTER:
	case ST_DONE:
		break;
	}
	return on_done(s, p, end);
}

/* The members of objects follow one another, so each state falls into the next one: a member is one
 * turn of the loop. */
static const char *run(struct json_scan *s, const char *p, const char *end)
{
	while (p < end && !s->error) {
		switch (s->state) {
		case ST_AFTER:
			p = on_after(s, p, end);
			if (s->state != ST_KEY)
				break;
			/* fall through */
		case ST_KEY_OR_END:
		case ST_KEY:
			p = on_key(s, p, end);
			if (s->state != ST_COLON)
				break;
			/* fall through */
		case ST_COLON:
			p = on_colon(s, p, end);
			if (s->state != ST_VALUE)
				break;
			/* fall through */
		case ST_VALUE:
			p = on_value(s, p, end);
			break;
		case ST_ROOT:
		case ST_ELEMENT_OR_END:
		case ST_STRING:
		case ST_ESCAPE:
		case ST_HEX:
		case ST_PAIR_BACKSLASH:
		case ST_PAIR_U:
		case ST_LITERAL:
		case ST_NUMBER:
		case ST_DONE:
			p = rare_step(s, p, end);
			break;
		}
	}
	return p;
}

/* ---- the interface ---- */

const char *json_strerror(enum json_error e)
{
	static const char *const phrases[] = {
	    [JSON_OK] = "no error",
	    [JSON_E_SYNTAX] = "not valid JSON",
	    [JSON_E_UTF8] = "not valid UTF-8",
	    [JSON_E_DEPTH] = "nested too deeply",
	    [JSON_E_DUPLICATE] = "duplicate key",
	    [JSON_E_TYPE] = "a value has the wrong type",
	    [JSON_E_LENGTH] = "a value is too long",
	    [JSON_E_TRAILING] = "more data after the end of the JSON text",
	    [JSON_E_TRUNCATED] = "the JSON text is incomplete",
	    [JSON_E_NOT_OBJECT] = "not a JSON object",
	    [JSON_E_BOM] = "a byte order mark is not allowed",
	};

	if ((unsigned)e >= sizeof(phrases) / sizeof(phrases[0]))
		return "unknown error";
	return phrases[e];
}

struct json_scan *json_begin(struct arena *a, const struct json_plan *plan,
                             struct json_value *values, unsigned flags)
{
	struct json_scan *s = arena_alloc(a, sizeof(*s));

	*s = (struct json_scan){
	    .plan = plan, .values = values, .arena = a, .hold = UINT64_MAX, .flags = flags};
	for (unsigned i = 0; i < plan->nwants; i++)
		values[i] = (struct json_value){.type = JSON_ABSENT};
	return s;
}

struct json_scan *json_new(struct arena *a, const struct json_want *wants, unsigned nwants,
                           struct json_value *values, unsigned flags)
{
	struct json_plan *plan = arena_alloc(a, sizeof(*plan));
	struct json_node *nodes = arena_alloc(a, JSON_NODES(nwants) * sizeof(*nodes));

	json_plan_init(plan, nodes, wants, nwants);
	return json_begin(a, plan, values, flags);
}

enum json_error json_feed(struct json_scan *s, const char *p, size_t n, uint64_t *at)
{
	if (n && !s->error) {
		s->begin = p;
		s->pos += (uint64_t)(run(s, p, p + n) - p);
	}
	if (s->error && at)
		*at = s->pos;
	return s->error;
}

enum json_error json_finish(struct json_scan *s)
{
	if (s->error)
		return s->error;
	if (s->state != ST_DONE && !json_number_may_end(s)) {
		s->error = JSON_E_TRUNCATED;
		return s->error;
	}
	s->state = ST_DONE;
	s->finished = true;
	return JSON_OK;
}

uint64_t json_releasable(const struct json_scan *s)
{
	return s->finished || s->pos < s->hold ? s->pos : s->hold;
}

bool json_settled(const struct json_scan *s)
{
	return s->found == (1u << s->plan->nwants) - 1 || s->state == ST_DONE;
}
