/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Which policies can match at all. Each policy stands under the values of one attribute that it
 * needs, the one with which fewest others stand together; a policy that needs none stands among
 * those that are always looked at. A value is found whole, or by its first bytes where a policy
 * has a glob.
 */
#ifndef AUTHZ_ABAC_INDEX_H
#define AUTHZ_ABAC_INDEX_H

#include "common/text.h"

#define INDEX_TEXT_MAX 256 /* longer texts stand under their first bytes */
#define INDEX_LENGTHS 6    /* of first bytes: 1, 2, 4, 8, 16, 32 */

struct policies;
struct index_bucket {
	const uint32_t *policies; /* ascending */
	uint32_t n;
};
struct index {
	struct txt_map map; /* attribute, kind and text to the number of a bucket */
	struct index_bucket *buckets;
	uint32_t nbuckets;
	struct index_bucket always;
	struct index_attr {
		uint32_t attr;
		uint32_t kinds; /* bit 0: whole values; bit i: the first 1 << (i - 1) bytes */
	} * attrs;
	uint32_t nattrs;
};

void index_build(struct policies *p);
void index_free(struct index *x);
/* Those that may need this value of that attribute; kind as above, as a number. NULL: none. */
const struct index_bucket *index_find(const struct index *x, uint32_t attr, uint32_t kind,
                                      struct merlon_str value);

#endif
