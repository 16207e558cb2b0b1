/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The limits of a ratelimit line: read at create, then which of them hold for a key. Overrides come
 * before tiers, tiers before the default, field by field.
 */
#ifndef COMMON_LIMITS_H
#define COMMON_LIMITS_H

#include "common/penalty.h"
#include "common/text.h"

enum { LIMIT_REQUESTS, LIMIT_BURST, LIMIT_WINDOWS };

struct limit {
	struct {
		uint64_t count;
		uint64_t length; /* ns; 0: not given */
	} window[LIMIT_WINDOWS];
	int64_t concurrency; /* -1: not given */
};
struct limits {
	struct mem_pool pool;
	struct limit whole; /* default */
	struct limit *tier, *key;
	struct txt_map tiers, keys; /* to the places in the two above */
	struct penalty penalty;     /* the line's, whatever the key */
};
extern const struct merlon_option limits_default[], limits_tier[], limits_override[];
extern const struct merlon_option limits_penalty[];

int limits_read(const struct merlon_host *h, const merlon_cfg *cfg, struct limits *out);
void limits_free(struct limits *l);
struct limit limits_for(const struct limits *l, struct merlon_str key, struct merlon_str tier);
static inline bool limits_none(const struct limit *l)
{
	return l->window[0].length == 0 && l->window[1].length == 0 && l->concurrency < 0;
}
/* Every window length that stands anywhere, in order, as text: the lasting counts depend on them.
 */
struct merlon_str limits_lengths(struct limits *l);

#endif
