/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The scanner's state, shared by the files of this folder and by nobody else. scan.c is the
 * structure and the interface, walk.c the short way past it, value.c keys, values and what is
 * stored of them, string.c and number.c the two long tokens, run.c runs of bytes.
 *
 * Every step takes where the piece goes on and where it ends, and answers where it stopped: at the
 * end of the piece, behind what it understood, or at the byte that broke the rule (json_fail()).
 */
#ifndef JSON_MACHINE_H
#define JSON_MACHINE_H

#include "json/scan.h"

enum state {
	ST_ROOT,
	ST_VALUE, /* inside a container */
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

struct json_scan {
	const struct json_plan *plan;
	struct json_value *values;
	struct arena *arena;
	const char *begin; /* of the piece being read */
	uint64_t pos;      /* bytes accepted before it */
	uint64_t hold;     /* where the end of the root begins; what lies before may be passed on */
	uint64_t stack;    /* a bit a level, lowest innermost: 1 is an object */
	uint64_t seen;     /* bits of nodes: whose name has been read */
	uint64_t names; /* of the node where its object is the innermost container; 0: it is not */
	unsigned flags;
	unsigned depth;
	unsigned named; /* depth of the innermost object that wanted names lead to */
	enum state state;
	enum json_error error;
	uint32_t capture; /* bits of wants: for the value being read */
	uint32_t found;
	uint8_t node;  /* of the object at depth `named` */
	uint8_t match; /* whose name stands before the value; 0: nobody's */
	bool finished;
	/* Of the token under way, set when it begins. */
	bool in_key;
	bool key_over; /* longer than any wanted name */
	enum json_type type;
	enum number number;
	enum sink sink;
	const char *literal; /* what of it is still to come */
	char *key;           /* NULL until one comes in two pieces or with escapes */
	size_t key_n;
	char *text;
	size_t text_n;
	size_t text_cap;
	size_t text_max;
	uint32_t unit; /* of \uXXXX */
	uint32_t high; /* surrogate, 0: none */
	unsigned hex_left;
	unsigned utf8_left;
	unsigned char utf8_lead; /* 0: the second byte has been read */
};
_Static_assert(sizeof(struct json_scan) < 1024, "the scanner is part of every request");
_Static_assert(JSON_NODES(JSON_KEYS_MAX) <= 64, "seen has a bit for each");

#define RARELY(x) __builtin_expect(!!(x), 0)

static inline const char *json_fail(struct json_scan *s, enum json_error e, const char *at)
{
	s->error = e;
	return at;
}
static inline uint64_t json_offset(const struct json_scan *s, const char *p)
{
	return s->pos + (uint64_t)(p - s->begin);
}

/* A container begins inside of the innermost one, or ends it. Names are wanted in the object at
 * depth `named` alone. */
static inline void json_enter(struct json_scan *s, bool object)
{
	s->stack = s->stack << 1 | object;
	s->depth++;
	s->names = 0;
}
static inline void json_leave(struct json_scan *s)
{
	s->stack >>= 1;
	if (--s->depth == s->named)
		s->names = s->plan->nodes[s->node].names;
}

/* scan.c: the value of which the first byte is at p. */
const char *json_begin_value(struct json_scan *s, const char *p, const char *end);
/* The bracket at p closes the innermost container. */
const char *json_close(struct json_scan *s, const char *p);

/* value.c */
/* Whether every want of this value accepts its type; decides what is stored. To be asked where
 * there is a match. */
bool json_value_wanted(struct json_scan *s, enum json_type type);
/* The text of a wanted value in one piece; false: it is too long. */
bool json_value_text(struct json_scan *s, const char *p, size_t n);
void json_value_take(struct json_scan *s); /* the value has ended and is wanted */
/* Stores n bytes of the key or value being read. Answers how many fit; fewer than n: the scan has
 * failed. */
size_t json_put(struct json_scan *s, const char *p, size_t n);
/* Finds out who wants the value of this key of the object at depth `named`. False: a duplicate. */
bool json_key_find(struct json_scan *s, const char *p, size_t n);

/* Few keys are wanted, so one bit says no to nearly all. The first byte of one without any is its
 * closing quote. */
static inline unsigned json_name_bit(char first, size_t n)
{
	return ((unsigned char)first + (unsigned)n * 5) % 64;
}
static inline bool json_key_match(struct json_scan *s, const char *p, size_t n)
{
	return !s->names || !RARELY(s->names >> json_name_bit(*p, n) & 1) || json_key_find(s, p, n);
}

static inline bool json_value_begins(struct json_scan *s, enum json_type type)
{
	return !RARELY(s->match) || json_value_wanted(s, type);
}
static inline void json_value_found(struct json_scan *s)
{
	if (RARELY(s->capture))
		json_value_take(s);
}
static inline void json_value_ended(struct json_scan *s)
{
	s->state = s->depth ? ST_AFTER : ST_DONE;
}

/* walk.c: the whole tokens from p on, if it is between two in a container. */
const char *json_walk(struct json_scan *s, const char *p, const char *end);

/* string.c: what is not one run of plain bytes between its quotes in one piece. p is behind the
 * opening quote, and up to `plain` the bytes have been found to be such a run. */
const char *json_begin_string(struct json_scan *s, const char *p, const char *plain,
                              const char *end, bool key);
const char *json_on_string(struct json_scan *s, const char *p, const char *end);
const char *json_on_escape(struct json_scan *s, const char *p);
const char *json_on_hex(struct json_scan *s, const char *p);
const char *json_on_pair(struct json_scan *s, const char *p);

/* number.c */
/* Behind the number that begins at p and ends in this piece; NULL: it has to be read in steps. */
const char *json_whole_number(const char *p, const char *end);
const char *json_begin_number(struct json_scan *s, const char *p);
const char *json_on_number(struct json_scan *s, const char *p, const char *end);
bool json_number_may_end(const struct json_scan *s); /* a number at the root, whole as it stands */

#endif
