/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The resumable JSON scanner: a state machine over bytes with an explicit stack of one bit a level,
 * so that hostile nesting costs no stack and every byte is looked at once. What must survive the
 * end of a piece lives in struct json_scan; the scan, its key buffer and captured values live in
 * the caller's arena.
 */
#include "json/scan.h"

#include <assert.h>

#include "json/machine.h"

static void open_container(struct json_scan *s, struct cursor *c, bool object)
{
	uint32_t live = s->depth == 0 ? (1u << s->nwants) - 1 : s->deeper;

	if (s->depth == JSON_DEPTH_MAX) {
		json_fail(s, JSON_E_DEPTH);
		return;
	}
	if (!json_value_begins(s, object ? JSON_OBJECT : JSON_ARRAY))
		return;
	json_value_found(s);
	s->deeper = 0;
	if (s->depth < JSON_NAMES_MAX)
		s->live[s->depth] = object ? live : 0;
	s->depth++;
	s->stack = s->stack << 1 | object;
	s->state = object ? ST_KEY_OR_END : ST_ELEMENT_OR_END;
	c->p++;
}

static void close_container(struct json_scan *s, struct cursor *c)
{
	if (s->depth == 1)
		s->hold = json_offset(s, c);
	s->depth--;
	s->stack >>= 1;
	json_value_ended(s);
	c->p++;
}

static void begin_literal(struct json_scan *s, struct cursor *c, const char *rest)
{
	s->literal = rest;
	s->state = ST_LITERAL;
	if (s->depth == 0)
		s->hold = json_offset(s, c);
	c->p++;
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

static void begin_value(struct json_scan *s, struct cursor *c)
{
	enum json_type type = type_of(*c->p);

	if (type == JSON_ABSENT) {
		json_fail(s, JSON_E_SYNTAX);
		return;
	}
	if (type == JSON_OBJECT || type == JSON_ARRAY) {
		open_container(s, c, type == JSON_OBJECT);
		return;
	}
	/* Names below a wanted object lead nowhere when it is something else. */
	s->deeper = 0;
	if (!json_value_begins(s, type))
		return;
	if (type == JSON_STRING)
		json_begin_string(s, c, false);
	else if (type == JSON_NUMBER)
		json_begin_number(s, c);
	else
		begin_literal(s, c,
		              type == JSON_TRUE    ? "rue"
		              : type == JSON_FALSE ? "alse"
		                                   : "ull");
}

/* Steps over white space. False: the piece has ended. */
static bool skip_space(struct cursor *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\r' || *c->p == '\t'))
		c->p++;
	return c->p < c->end;
}

static void on_root(struct json_scan *s, struct cursor *c)
{
	if (json_offset(s, c) == 0 && (unsigned char)*c->p == 0xef) {
		/* Nothing else than a byte order mark begins so, wherever its three bytes are
		 * split. */
		json_fail(s, JSON_E_BOM);
		return;
	}
	if (!skip_space(c))
		return;
	if ((s->flags & JSON_ROOT_OBJECT) && *c->p != '{' && type_of(*c->p) != JSON_ABSENT)
		json_fail(s, JSON_E_NOT_OBJECT);
	else
		begin_value(s, c);
}

static void on_value(struct json_scan *s, struct cursor *c)
{
	if (skip_space(c))
		begin_value(s, c);
}

static void on_element_or_end(struct json_scan *s, struct cursor *c)
{
	if (!skip_space(c))
		return;
	if (*c->p == ']')
		close_container(s, c);
	else
		begin_value(s, c);
}

static void on_key(struct json_scan *s, struct cursor *c)
{
	if (!skip_space(c))
		return;
	if (*c->p == '"')
		json_begin_string(s, c, true);
	else if (*c->p == '}' && s->state == ST_KEY_OR_END)
		close_container(s, c);
	else
		json_fail(s, JSON_E_SYNTAX);
}

static void on_colon(struct json_scan *s, struct cursor *c)
{
	if (!skip_space(c))
		return;
	if (*c->p != ':') {
		json_fail(s, JSON_E_SYNTAX);
		return;
	}
	s->state = ST_VALUE;
	c->p++;
}

static void on_after(struct json_scan *s, struct cursor *c)
{
	bool object = s->stack & 1;

	if (!skip_space(c))
		return;
	if (*c->p == ',') {
		s->state = object ? ST_KEY : ST_VALUE;
		c->p++;
		if (object && c->p < c->end && *c->p == '"')
			json_begin_string(s, c, true);
	} else if (*c->p == (object ? '}' : ']')) {
		close_container(s, c);
	} else {
		json_fail(s, JSON_E_SYNTAX);
	}
}

static void on_done(struct json_scan *s, struct cursor *c)
{
	if (skip_space(c))
		json_fail(s, JSON_E_TRAILING);
}

static void on_literal(struct json_scan *s, struct cursor *c)
{
	if (*c->p != *s->literal) {
		json_fail(s, JSON_E_SYNTAX);
		return;
	}
	c->p++;
	if (*++s->literal)
		return;
	json_value_found(s);
	json_value_ended(s);
}

static handler *const handlers[ST_COUNT] = {
    [ST_ROOT] = on_root,
    [ST_VALUE] = on_value,
    [ST_ELEMENT_OR_END] = on_element_or_end,
    [ST_KEY_OR_END] = on_key,
    [ST_KEY] = on_key,
    [ST_COLON] = on_colon,
    [ST_AFTER] = on_after,
    [ST_STRING] = json_on_string,
    [ST_ESCAPE] = json_on_escape,
    [ST_HEX] = json_on_hex,
    [ST_PAIR_BACKSLASH] = json_on_pair,
    [ST_PAIR_U] = json_on_pair,
    [ST_LITERAL] = on_literal,
    [ST_NUMBER] = json_on_number,
    [ST_DONE] = on_done,
};

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

static void split_path(struct path *path, const char *text, size_t *longest)
{
	struct str rest = str_of(text);

	while (rest.p) {
		struct str name = str_split(&rest, '.');

		assert(path->n < JSON_NAMES_MAX);
		path->names[path->n++] = name;
		if (name.n > *longest)
			*longest = name.n;
	}
}

struct json_scan *json_new(struct arena *a, const struct json_want *wants, unsigned nwants,
                           struct json_value *values, unsigned flags)
{
	struct json_scan *s = arena_zalloc(a, sizeof(*s));
	struct path *paths = arena_zalloc(a, nwants * sizeof(*paths));

	assert(nwants <= JSON_KEYS_MAX);
	s->arena = a;
	s->wants = wants;
	s->nwants = nwants;
	s->values = values;
	s->paths = paths;
	s->flags = flags;
	s->hold = UINT64_MAX;
	for (unsigned i = 0; i < nwants; i++) {
		values[i] = (struct json_value){.type = JSON_ABSENT};
		split_path(&paths[i], wants[i].path, &s->key_max);
	}
	s->key = arena_alloc(a, s->key_max);
	return s;
}

enum json_error json_feed(struct json_scan *s, const char *p, size_t n, uint64_t *at)
{
	struct cursor c = {.p = p, .begin = p, .end = n ? p + n : p};

	if (n && !s->error) {
		while (c.p < c.end && !s->error)
			handlers[s->state](s, &c);
		s->pos = json_offset(s, &c);
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
		json_fail(s, JSON_E_TRUNCATED);
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
	return s->found == (1u << s->nwants) - 1 || s->state == ST_DONE;
}
