/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Many globs, found by a text that they match, at the cost of a binary search: they are sorted by
 * what stands before their first wildcard. Globs that begin with a wildcard are tried one by one.
 * Filled at create, then only read. The globs' bytes must outlive the set.
 */
#ifndef AUTHZ_RBAC_GLOBSET_H
#define AUTHZ_RBAC_GLOBSET_H

#include "common/text.h"

struct globset_entry {
	struct merlon_str glob;
	uint32_t prefix; /* bytes before the first wildcard */
	uint32_t value;
	uint32_t mask;
};
struct globset_prefix {
	struct merlon_str text;
	uint32_t parent; /* the longest of the others that it begins with; GLOBSET_NONE */
	uint32_t begin, end;
};
struct globset {
	struct globset_entry *entries; /* by prefix, then by value */
	struct globset_prefix *prefixes;
	uint32_t n, cap, nprefixes;
};
#define GLOBSET_NONE UINT32_MAX

void globset_add(struct globset *s, struct merlon_str glob, uint32_t value, uint32_t mask);
void globset_sort(struct globset *s); /* after the last was added */
void globset_free(struct globset *s);

/* All entries that match text and share a bit with mask, in no order. */
struct globset_at {
	uint32_t prefix, entry;
};
struct globset_at globset_find(const struct globset *s, struct merlon_str text);
/* The next one whose value is less than `below`; GLOBSET_NONE: there is none. */
uint32_t globset_next(const struct globset *s, struct globset_at *at, struct merlon_str text,
                      uint32_t mask, uint32_t below);
bool globset_has(const struct globset *s, struct merlon_str text); /* any matches */

#endif
