/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A resumable JSON scanner (RFC 8259): checks the whole text byte by byte as it arrives and
 * captures the values of a few wanted keys, without a tree. Refused beyond the grammar: duplicates
 * of a wanted key, nesting over 64, invalid UTF-8, lone surrogates in escapes, a BOM, anything
 * after the value but white space. The verdict does not depend on how the bytes are split.
 */
#ifndef JSON_SCAN_H
#define JSON_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define JSON_DEPTH_MAX 64
#define JSON_KEYS_MAX 16

enum json_type {
	JSON_ABSENT,
	JSON_STRING,
	JSON_NUMBER,
	JSON_TRUE,
	JSON_FALSE,
	JSON_NULL,
	JSON_OBJECT,
	JSON_ARRAY
};

/* Which value to capture. path: "model" (depth 1) or "usage.prompt_tokens" (objects only, up to 3
 * names). */
struct json_want {
	const char *path;
	uint32_t
	    types; /* bits 1 << enum json_type that are right; another type: JSON_E_TYPE. 0: any */
	uint32_t max_len; /* longest captured string (unescaped) or number, bytes; longer:
	                     JSON_E_LENGTH */
};
/* What was found, index by index beside the wants. */
struct json_value {
	enum json_type type;
	struct str text; /* strings unescaped, numbers as written; in the arena */
};

enum json_error {
	JSON_OK = 0,
	JSON_E_SYNTAX = 1, /* also: a control byte in a string, a bad number or escape */
	JSON_E_UTF8 = 2,   /* invalid UTF-8 or a lone surrogate */
	JSON_E_DEPTH = 3,
	JSON_E_DUPLICATE = 4, /* of a wanted key */
	JSON_E_TYPE = 5,
	JSON_E_LENGTH = 6,
	JSON_E_TRAILING = 7,   /* bytes after the value */
	JSON_E_TRUNCATED = 8,  /* json_finish() in the middle */
	JSON_E_NOT_OBJECT = 9, /* JSON_ROOT_OBJECT was asked for */
	JSON_E_BOM = 10,
};
const char *json_strerror(enum json_error e); /* a phrase for the client: "duplicate key" */

#define JSON_ROOT_OBJECT 1u /* the text must be an object */

/* The wants as a tree of names, made once where the same wants meet many texts. */
#define JSON_NAMES_MAX 3 /* names in a path */
#define JSON_NODES(nwants) (1 + (nwants)*JSON_NAMES_MAX)
struct json_node {
	struct str name;
	uint64_t names; /* bits by length and first byte: which names may be below */
	uint32_t wants; /* bits: whose path ends here */
	uint8_t parent;
	uint8_t child; /* 0: none; node 0 is the root */
	uint8_t next;  /* another name in the same object */
};
struct json_plan {
	const struct json_want *wants;
	struct json_node *nodes;
	unsigned nwants;
	unsigned nnodes;
	size_t key_max; /* the longest name */
};
/* wants (at most JSON_KEYS_MAX) and nodes, room for JSON_NODES(nwants), must outlive the plan. */
void json_plan_init(struct json_plan *plan, struct json_node *nodes, const struct json_want *wants,
                    unsigned nwants);

struct json_scan; /* from the arena; sizeof is below 1 KiB */
/* plan and values (one for each want) must outlive the scan; values are set to JSON_ABSENT. */
struct json_scan *json_begin(struct arena *a, const struct json_plan *plan,
                             struct json_value *values, unsigned flags);
/* The same with a plan of its own. */
struct json_scan *json_new(struct arena *a, const struct json_want *wants, unsigned nwants,
                           struct json_value *values, unsigned flags);
/* JSON_OK or the error, which is final. On an error *at (may be NULL) is the offset of the byte
 * that broke the rule. */
enum json_error json_feed(struct json_scan *s, const char *p, size_t n, uint64_t *at) MUST_CHECK;
/* The text has ended. */
enum json_error json_finish(struct json_scan *s) MUST_CHECK;
/* How many of the bytes fed so far may be passed on: all, until the byte that closes the root
 * value; that byte and what follows only after json_finish() has answered JSON_OK. */
uint64_t json_releasable(const struct json_scan *s);
/* Where `quoted`, a string with its quotes, first stands in the bytes; NULL: nowhere. For telling
 * what need not be scanned at all. */
const char *json_find(struct str text, struct str quoted);
/* Whether every want has been found or cannot come any more (the root has closed). */
bool json_settled(const struct json_scan *s);

#endif
