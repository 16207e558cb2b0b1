/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The resumable JSON scanner: a state machine over tokens with an explicit stack of one bit a
 * level, so that hostile nesting costs no stack. Whole tokens that are right are mostly passed by
 * walk.c; all others are read here from their first byte, so that what breaks a rule is found in
 * one place only. What must survive the end of a piece lives in struct json_scan; the scan, its key
 * buffer and captured values live in the caller's arena.
 */
#include "json/scan.h"

#include "json/machine.h"
#include "json/run.h"

static const char *open_container(struct json_scan *s, const char *p, bool object)
{
	unsigned match = s->match;

	if (RARELY(s->depth == JSON_DEPTH_MAX))
		return json_fail(s, JSON_E_DEPTH, p);
	if (RARELY(match)) {
		if (!json_value_wanted(s, object ? JSON_OBJECT : JSON_ARRAY))
			return p;
		json_value_found(s);
	}
	json_enter(s, object);
	s->state = object ? ST_KEY_OR_END : ST_ELEMENT_OR_END;
	/* Wanted names go on in the root and in an object whose key was one of them. */
	if (RARELY(s->depth == 1 || match) && object && s->plan->nodes[match].child) {
		s->node = (uint8_t)match;
		s->named = s->depth;
		s->names = s->plan->nodes[match].names;
	}
	return p + 1;
}

const char *json_close(struct json_scan *s, const char *p)
{
	if (s->depth == 1)
		s->hold = json_offset(s, p);
	if (s->depth == s->named) {
		s->node = s->plan->nodes[s->node].parent;
		s->named--;
	}
	json_leave(s);
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

/* Behind a wanted string or number that is whole; NULL: it is not, or its text is too long. */
static const char *whole_text(struct json_scan *s, const char *p, const char *end)
{
	bool string = *p == '"';
	const char *text = p + string;
	const char *stop = string ? json_plain_end(s->begin, text, end) : json_whole_number(p, end);

	if (!stop || (string && (stop == end || *stop != '"')) ||
	    !json_value_text(s, text, (size_t)(stop - text)))
		return NULL;
	json_value_take(s);
	s->state = ST_AFTER;
	return stop + string;
}

const char *json_begin_value(struct json_scan *s, const char *p, const char *end)
{
	enum json_type type = type_of(*p);
	const char *behind;

	if (type == JSON_ABSENT)
		return json_fail(s, JSON_E_SYNTAX, p);
	if (type == JSON_OBJECT || type == JSON_ARRAY)
		return open_container(s, p, type == JSON_OBJECT);
	if (!json_value_begins(s, type))
		return p;
	if (type == JSON_STRING || type == JSON_NUMBER) {
		behind = RARELY(s->capture) ? whole_text(s, p, end) : NULL;
		if (behind)
			return behind;
		return type == JSON_STRING ? json_begin_string(s, p + 1, p + 1, end, false)
		                           : json_begin_number(s, p);
	}
	if (type == JSON_NULL)
		return begin_literal(s, p, "ull");
	return begin_literal(s, p, type == JSON_TRUE ? "rue" : "alse");
}

static const char *on_root(struct json_scan *s, const char *p, const char *end)
{
	enum json_type type;

	/* Nothing else than a byte order mark begins so, wherever its three bytes are split. */
	if (json_offset(s, p) == 0 && (unsigned char)*p == 0xef)
		return json_fail(s, JSON_E_BOM, p);
	p = json_white_end(p, end);
	if (p == end)
		return p;
	if (*p == '{')
		return open_container(s, p, true);
	type = type_of(*p);
	if ((s->flags & JSON_ROOT_OBJECT) && type != JSON_ABSENT)
		return json_fail(s, JSON_E_NOT_OBJECT, p);
	return json_begin_value(s, p, end);
}

static const char *on_value(struct json_scan *s, const char *p, const char *end)
{
	if (*p == ']' && s->state == ST_ELEMENT_OR_END)
		return json_close(s, p);
	return json_begin_value(s, p, end);
}

static const char *on_key(struct json_scan *s, const char *p, const char *end)
{
	if (*p == '"')
		return json_begin_string(s, p + 1, p + 1, end, true);
	if (*p == '}' && s->state == ST_KEY_OR_END)
		return json_close(s, p);
	return json_fail(s, JSON_E_SYNTAX, p);
}

static const char *on_colon(struct json_scan *s, const char *p)
{
	if (*p != ':')
		return json_fail(s, JSON_E_SYNTAX, p);
	s->state = ST_VALUE;
	return p + 1;
}

static const char *on_after(struct json_scan *s, const char *p)
{
	bool object = s->stack & 1;

	if (*p == (object ? '}' : ']'))
		return json_close(s, p);
	if (*p != ',')
		return json_fail(s, JSON_E_SYNTAX, p);
	s->state = object ? ST_KEY : ST_VALUE;
	return p + 1;
}

/* What comes next between the tokens of a container. */
static const char *on_token(struct json_scan *s, const char *p, const char *end)
{
	p = json_white_end(p, end);
	if (p == end)
		return p;
	if (s->state == ST_AFTER)
		return on_after(s, p);
	if (s->state == ST_COLON)
		return on_colon(s, p);
	if (s->state == ST_KEY || s->state == ST_KEY_OR_END)
		return on_key(s, p, end);
	return on_value(s, p, end);
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

static const char *on_done(struct json_scan *s, const char *p, const char *end)
{
	p = json_white_end(p, end);
	return p == end ? p : json_fail(s, JSON_E_TRAILING, p);
}

/* One step of the machine, wherever it stands. */
static const char *step(struct json_scan *s, const char *p, const char *end)
{
	switch (s->state) {
	case ST_ROOT:
		return on_root(s, p, end);
	case ST_VALUE:
	case ST_ELEMENT_OR_END:
	case ST_KEY_OR_END:
	case ST_KEY:
	case ST_COLON:
	case ST_AFTER:
		return on_token(s, p, end);
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
	case ST_DONE:
		break;
	}
	return on_done(s, p, end);
}

static const char *run(struct json_scan *s, const char *p, const char *end)
{
	while (p < end && !s->error) {
		p = json_walk(s, p, end);
		if (p < end && !s->error)
			p = step(s, p, end);
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
