/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What a key suffers that goes on after refusals: a block, and a longer one each time. Pure
 * functions over a record without pointers; times are nanoseconds of one clock.
 *
 * The rules. `after` refusals within `window` begin a block. The refusal that completes the count
 * is the first that the block refuses, and the count begins anew. What is refused by a running
 * block counts for nothing and does not extend it. The first block lasts `block`, each following
 * twice as long as the one before, at most `max`. When for `max` no block ran and no refusal was
 * counted, the next one lasts `block` again.
 */
#ifndef COMMON_PENALTY_H
#define COMMON_PENALTY_H

#include "common/window.h"

struct penalty {
	uint64_t after; /* 0: there is no penalty */
	uint64_t window;
	uint64_t block;
	uint64_t max;
};
struct penalty_record {
	struct window refusals; /* since the last block began */
	uint64_t until;         /* end of the last block */
	uint64_t block;         /* its length; 0: none, or forgotten */
	uint64_t forget;        /* when its length is forgotten */
};

/* ns until the running block ends; 0: none runs. A max that was lowered holds at once. */
uint64_t penalty_blocked(struct penalty_record *r, const struct penalty *p, uint64_t now);
/* Counts a refusal while no block runs. The length of the block that begins with it, or 0. */
uint64_t penalty_refused(struct penalty_record *r, const struct penalty *p, uint64_t now);
/* The time after which the record says nothing. */
uint64_t penalty_lasts(const struct penalty_record *r);

#endif
