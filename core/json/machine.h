/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The scanner's state, shared by the files of this folder and by nobody else. scan.c is the
 * structure and the interface, value.c keys, values and what is stored of them, string.c and
 * number.c the two long tokens.
 */
#ifndef JSON_MACHINE_H
#define JSON_MACHINE_H

#include "json/scan.h"

#define JSON_NAMES_MAX 3 /* names in a wanted path */

enum state {
	ST_ROOT,
	ST_VALUE,
	ST_ELEMENT_OR_END,
	ST_KEY_OR_END,
	ST_KEY,
	ST_COLON,
	ST_AFTER, /* a value inside a container has ended */
	ST_STRING,
	ST_ESCAPE,
	ST_HEX,
	ST_PAIR_BACKSLASH, /* a high surrogate has been read: the low one must follow */
	ST_PAIR_U,
	ST_LITERAL,
	ST_NUMBER,
	ST_DONE,
	ST_COUNT
};

enum number {
	NUM_MINUS,
	NUM_ZERO,
	NUM_INT,
	NUM_POINT,
	NUM_FRAC,
	NUM_E,
	NUM_E_SIGN,
	NUM_EXP,
	NUM_END,
	NUM_BAD,
};

enum sink { SINK_NONE, SINK_KEY, SINK_VALUE };

struct path {
	struct str names[JSON_NAMES_MAX];
	unsigned n;
};

struct json_scan {
	struct arena *arena;
	const struct json_want *wants;
	struct json_value *values;
	const struct path *paths;
	uint64_t pos;   /* bytes accepted */
	uint64_t hold;  /* where the end of the root begins; what lies before may be passed on */
	uint64_t stack; /* a bit a level, lowest innermost: 1 is an object */
	unsigned nwants;
	unsigned flags;
	unsigned depth;
	enum state state;
	enum json_error error;
	bool finished;

	/* Bits of wants: whose names lead to the object at a level, whose name there has been seen,
	 * whose value or whose object comes next, whose value has been found. */
	uint32_t live[JSON_NAMES_MAX];
	uint32_t seen[JSON_NAMES_MAX];
	uint32_t leaf;
	uint32_t deeper;
	uint32_t capture; /* the value being read */
	uint32_t found;
	enum json_type type; /* of the value being read */

	enum number number;
	const char *literal; /* what of it is still to come */

	bool in_key;
	enum sink sink;
	bool key_over; /* longer than any wanted name */
	char *key;
	size_t key_n;
	size_t key_max;
	char *text;
	size_t text_n;
	size_t text_cap;
	size_t text_max;

	uint32_t unit; /* of \uXXXX */
	uint32_t high; /* surrogate, 0: none */
	unsigned hex_left;
	unsigned utf8_left;
	unsigned char utf8_lo;
	unsigned char utf8_hi;
};
_Static_assert(sizeof(struct json_scan) < 1024, "the scanner is part of every request");

struct cursor {
	const char *p;
	const char *begin;
	const char *end;
};

typedef void handler(struct json_scan *s, struct cursor *c);

static inline void json_fail(struct json_scan *s, enum json_error e)
{
	s->error = e;
}
static inline uint64_t json_offset(const struct json_scan *s, const struct cursor *c)
{
	return s->pos + (uint64_t)(c->p - c->begin);
}

/* value.c */
/* Whether every want of this value accepts its type; decides what is stored. */
bool json_value_begins(struct json_scan *s, enum json_type type);
void json_value_found(struct json_scan *s);
static inline void json_value_ended(struct json_scan *s)
{
	s->state = s->depth ? ST_AFTER : ST_DONE;
}
/* Stores n bytes of the key or value being read. Returns how many fit; fewer than n: the scan has
 * failed. */
size_t json_put(struct json_scan *s, const char *p, size_t n);
void json_key_begins(struct json_scan *s);
/* Finds out which wants the key leads to. */
void json_key_ended(struct json_scan *s);

/* string.c */
void json_begin_string(struct json_scan *s, struct cursor *c, bool key);
handler json_on_string, json_on_escape, json_on_hex, json_on_pair;

/* number.c */
void json_begin_number(struct json_scan *s, struct cursor *c);
handler json_on_number;
bool json_number_may_end(const struct json_scan *s); /* a number at the root, whole as it stands */

#endif
