/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Patterns over names and the values made of what they caught. `*` stands for one or more bytes
 * without the separator, `**` for one or more of any bytes; each catches the shortest text that
 * lets the rest match, the first one first. A pattern points into text of its owner's and is
 * read-only once it is parsed.
 */
#ifndef AUTH_MTLS_PATTERN_H
#define AUTH_MTLS_PATTERN_H

#include "common/text.h"

#define PATTERN_MAX 1024  /* bytes of a pattern */
#define PATTERN_WILD 9    /* wildcards: $1 to $9 */
#define PATTERN_NAME 2048 /* bytes of a name; what is longer never matches */

struct pattern {
	struct merlon_str literal[PATTERN_WILD + 1]; /* before, between and behind the wildcards */
	bool any[PATTERN_WILD];                      /* `**` */
	unsigned n;                                  /* wildcards */
};

/* NULL, or what is wrong with it. */
const char *pattern_parse(struct pattern *p, struct merlon_str text);
/* catches[0]: the whole name; catches[i]: what wildcard i caught. Linear in name times pattern. */
bool pattern_match(const struct pattern *p, char separator, struct merlon_str name,
                   struct merlon_str catches[PATTERN_WILD + 1]);

/* A value: text with $0 to $9, and $$ for a dollar. NULL, or what is wrong; n: wildcards of its
 * pattern. */
const char *value_check(struct merlon_str value, unsigned n);
/* Bytes written to out, or UINT64_MAX: they are more than cap. */
uint64_t value_expand(struct merlon_str value, const struct merlon_str catches[PATTERN_WILD + 1],
                      char *out, uint64_t cap);

#endif
