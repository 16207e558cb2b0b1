/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The short way through what nearly all of a text consists of: whole tokens inside containers that
 * are right and wanted by nobody. Its state is where in the code it is. What it meets otherwise is
 * the machine's: a wanted value by a call, after which the walk goes on if the value was whole; the
 * rest when the walk has ended, with the state written down. So errors, broken tokens and wanted
 * values are read in one place only.
 */
#include "json/machine.h"
#include "json/run.h"

#include <string.h>

/* What is looked at without asking for the end: from one token to the next a separator and a blank
 * before and behind it; in AHEAD there is room for 16 bytes of a string as well. */
#define NEAR 4
#define AHEAD 20

#define INLINE inline __attribute__((always_inline))
#define MOSTLY(x) __builtin_expect(!!(x), 1)

/* Lives in registers. */
struct walk {
	struct json_scan *s;
	const char *p;
	const char *end;
	const char *last; /* before it the walk goes on: there is room */
	bool blocks;      /* AHEAD */
};
/* What a step came to. */
enum next { STOPPED, ENDED, OPENED, OBJECT, ARRAY };

/* The walk ends, in front of what this state waits for. */
static INLINE bool leave(struct walk *w, enum state state)
{
	w->s->state = state;
	return false;
}

/* Moves *at to the first byte that is no white space; mostly it is there, or behind one blank.
 * False: it is not before the last. */
static INLINE bool token(const struct walk *w, const char **at)
{
	const char *p = *at;

	if (MOSTLY((unsigned char)*p > ' '))
		return true;
	if (*p == ' ' && (unsigned char)p[1] > ' ') {
		*at = p + 1;
		return true;
	}
	*at = json_white_end(p, w->last);
	return *at < w->last;
}

/* The same where only this byte may stand. */
static INLINE bool expected(const struct walk *w, const char **at, char c)
{
	const char *p = *at;

	if (MOSTLY(*p == c))
		return true;
	if (*p == ' ' && p[1] == c) {
		*at = p + 1;
		return true;
	}
	*at = json_white_end(p, w->last);
	return *at < w->last && **at == c;
}

/* Whether the string whose text begins at p ends in this piece and its text is plain; *stop is
 * where the plain text ends. */
static INLINE bool string_whole(const struct walk *w, const char *p, const char **stop)
{
	const char *from = p;

	if (w->blocks) {
		unsigned n = json_plain_first(p);

		*stop = p + n;
		if (MOSTLY(n < JSON_BLOCK))
			return **stop == '"';
		from += JSON_BLOCK;
	}
	*stop = json_plain_long(w->s->begin, from, w->end);
	return *stop < w->end && **stop == '"';
}

/* Goes behind the comma, through the ends of containers before it. */
static INLINE bool separator(struct walk *w)
{
	struct json_scan *s = w->s;
	const char *at;

	while (MOSTLY(w->p < w->last)) {
		at = w->p;
		if (*at != ',' && !token(w, &at))
			break;
		if (*at == ',') {
			w->p = at + 1;
			return true;
		}
		if (*at != (s->stack & 1 ? '}' : ']'))
			break;
		if (RARELY(s->depth == 1 || s->depth == s->named)) {
			w->p = json_close(s, at);
			if (s->depth == 0)
				return false;
			continue;
		}
		json_leave(s);
		w->p = at + 1;
	}
	return leave(w, ST_AFTER);
}

static INLINE bool name(struct walk *w)
{
	const char *at = w->p;
	const char *stop;

	if (!expected(w, &at, '"'))
		return leave(w, ST_KEY);
	if (!string_whole(w, at + 1, &stop)) {
		w->p = json_begin_string(w->s, at + 1, stop, w->end, true);
		return false;
	}
	w->p = stop;
	if (!json_key_match(w->s, at + 1, (size_t)(stop - at - 1)))
		return false;
	w->p++;
	return true;
}

static INLINE bool colon(struct walk *w)
{
	const char *at = w->p;

	if (at >= w->last || !expected(w, &at, ':'))
		return leave(w, ST_COLON);
	w->p = at + 1;
	return true;
}

static INLINE enum next container(struct walk *w)
{
	if (RARELY(w->s->depth == JSON_DEPTH_MAX)) {
		leave(w, ST_VALUE);
		return STOPPED;
	}
	json_enter(w->s, *w->p == '{');
	w->p++;
	return OPENED;
}

/* The container may end at once. */
static INLINE enum next opened(struct walk *w)
{
	bool object = w->s->stack & 1;
	const char *at = w->p;

	if (at >= w->last || !token(w, &at)) {
		leave(w, object ? ST_KEY_OR_END : ST_ELEMENT_OR_END);
		return STOPPED;
	}
	w->p = at;
	if (*at == (object ? '}' : ']'))
		return ENDED;
	return object ? OBJECT : ARRAY;
}

static const char *literal_end(const char *p, const char *end)
{
	if (end - p < 5)
		return NULL;
	if (memcmp(p, "true", 4) == 0 || memcmp(p, "null", 4) == 0)
		return p + 4;
	return memcmp(p, "false", 5) == 0 ? p + 5 : NULL;
}

/* Goes behind a number or literal that is whole; most numbers are short and have no fraction. */
static INLINE bool scalar(struct walk *w)
{
	const char *p = w->p;

	if (w->blocks && *p >= '1' && *p <= '9') {
		unsigned n = json_digits_first(p);

		if (n < JSON_BLOCK && (p[n] == ',' || p[n] == '}' || p[n] == ']')) {
			w->p = p + n;
			return true;
		}
	}
	p = (unsigned char)*p <= '9' ? json_whole_number(p, w->end) : literal_end(p, w->end);
	if (p)
		w->p = p;
	return p;
}

/* What json_begin_value() came to. */
static enum next began(const struct json_scan *s)
{
	if (s->error)
		return STOPPED;
	if (s->state == ST_KEY_OR_END || s->state == ST_ELEMENT_OR_END)
		return OPENED;
	return s->state == ST_AFTER ? ENDED : STOPPED;
}

static INLINE enum next value(struct walk *w)
{
	struct json_scan *s = w->s;
	const char *at = w->p;
	const char *stop;

	if (!token(w, &at)) {
		leave(w, ST_VALUE);
		return STOPPED;
	}
	w->p = at;
	if (RARELY(s->match)) {
		w->p = json_begin_value(s, at, w->end);
		return began(s);
	}
	if (*at == '"') {
		if (string_whole(w, at + 1, &stop)) {
			w->p = stop + 1;
			return ENDED;
		}
		w->p = json_begin_string(s, at + 1, stop, w->end, false);
		return STOPPED;
	}
	if (*at == '{' || *at == '[')
		return container(w);
	if (!scalar(w)) {
		leave(w, ST_VALUE);
		return STOPPED;
	}
	return ENDED;
}

static INLINE const char *walk(struct json_scan *s, const char *p, const char *end, int room)
{
	struct walk w = {s, p, end, end - room + 1, room == AHEAD};
	enum next next;

	switch (s->state) {
	case ST_AFTER:
		break;
	case ST_KEY:
		goto key;
	case ST_COLON:
		goto colon;
	case ST_VALUE:
		goto value;
	case ST_KEY_OR_END:
	case ST_ELEMENT_OR_END:
		goto opened;
	case ST_ROOT:
	case ST_STRING:
	case ST_ESCAPE:
	case ST_HEX:
	case ST_PAIR_BACKSLASH:
	case ST_PAIR_U:
	case ST_LITERAL:
	case ST_NUMBER:
	case ST_DONE:
		return p;
	}
after:
	if (!separator(&w))
		return w.p;
	if (!(s->stack & 1))
		goto value;
key:
	if (!name(&w))
		return w.p;
colon:
	if (!colon(&w))
		return w.p;
value:
	next = value(&w);
	if (next == ENDED)
		goto after;
	if (next == STOPPED)
		return w.p;
opened:
	next = opened(&w);
	if (next == ENDED)
		goto after;
	if (next == OBJECT)
		goto key;
	if (next == ARRAY)
		goto value;
	return w.p;
}

const char *json_walk(struct json_scan *s, const char *p, const char *end)
{
	if (end - p >= AHEAD)
		p = walk(s, p, end, AHEAD);
	if (end - p < AHEAD && end - p >= NEAR && !s->error)
		p = walk(s, p, end, NEAR);
	return p;
}
