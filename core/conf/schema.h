/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Tables of keys: one row is a key's name, type, place, default and sentence. The main file is read
 * through these tables; unknown keys get a suggestion.
 */
#ifndef CONF_SCHEMA_H
#define CONF_SCHEMA_H

#include <stddef.h>

#include "conf/conf.h"

enum conf_kind {
	KIND_STR,      /* struct str */
	KIND_PATH,     /* struct str, made absolute */
	KIND_INT,      /* unsigned; range */
	KIND_BOOL,     /* bool */
	KIND_DURATION, /* uint64_t ns */
	KIND_SIZE,     /* uint64_t bytes */
	KIND_NODE,     /* const struct conf_node *, looked at by the caller */
	KIND_LATER, /* known, and refused: its issue has not landed; `def` says what it waits for */
};
#define CONF_REQUIRED 1u
#define CONF_NOWHERE ((size_t)-1) /* place of a KIND_NODE or KIND_LATER row that is not stored */
struct conf_key {
	const char *name;
	enum conf_kind kind;
	size_t offset;
	unsigned flags;
	const char *def;   /* as it would be written, or NULL */
	const char *range; /* "1..100000" for INT, DURATION and SIZE (in their own form), or NULL */
	const char *help;
};
/* Reads the keys of a group into `out` by the table (ended by name NULL). Reports unknown keys
 * (with a suggestion), wrong types, missing required ones. */
void conf_fill(const struct conf_node *group, const struct conf_key *keys, void *out,
               struct arena *a, struct conf_diag *d);

#endif
