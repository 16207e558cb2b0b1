/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What ratelimit_local and ratelimit_redis share, so that both have the same options and the same
 * numbers: reading a line's options, the key of a request and the limits that hold for it, counting
 * in a record of a zone, and what the client is told.
 *
 * A request's way: ratelimit_begin() fills the line's block of the tx; then it is counted, here by
 * ratelimit_count() in a zone, or elsewhere by whoever fills in the verdict; then
 * ratelimit_answer(). At settle ratelimit_due() says what is still to be done.
 */
#ifndef COMMON_RATELIMIT_H
#define COMMON_RATELIMIT_H

#include "common/limits.h"

#define RATELIMIT_KEYS 8 /* attributes of a key expression */

/* The rows of both modules' option tables. */
#define RATELIMIT_OPTIONS                                                                          \
	{"key",                                                                                    \
	 MERLON_OPT_STRLIST,                                                                       \
	 0,                                                                                        \
	 NULL,                                                                                     \
	 NULL,                                                                                     \
	 NULL,                                                                                     \
	 "Attributes, the first present counts; default id.sub, in the auth group net.source; "    \
	 "with none present the source address counts, /64 for IPv6."},                            \
	    {"default", MERLON_OPT_GROUP, 0, NULL, NULL, limits_default, "Limits of every key."},  \
	    {"tiers",                                                                              \
	     MERLON_OPT_LIST,                                                                      \
	     0,                                                                                    \
	     NULL,                                                                                 \
	     NULL,                                                                                 \
	     limits_tier,                                                                          \
	     "Limits by id.tier, field by field before the default."},                             \
	    {"overrides",                                                                          \
	     MERLON_OPT_LIST,                                                                      \
	     0,                                                                                    \
	     NULL,                                                                                 \
	     NULL,                                                                                 \
	     limits_override,                                                                      \
	     "Limits of single keys, field by field before the tiers."},                           \
	    {"max_keys",                                                                           \
	     MERLON_OPT_INT,                                                                       \
	     0,                                                                                    \
	     "1000000",                                                                            \
	     "1..100000000",                                                                       \
	     NULL,                                                                                 \
	     "Most keys counted at a time on this machine; beyond it new keys are refused until "  \
	     "old counts have run out."},                                                          \
	    {"penalty",                                                                            \
	     MERLON_OPT_GROUP,                                                                     \
	     0,                                                                                    \
	     NULL,                                                                                 \
	     NULL,                                                                                 \
	     limits_penalty,                                                                       \
	     "Blocks keys that go on after refusals."},                                            \
	{                                                                                          \
		"count", MERLON_OPT_ENUM, 0, "all", "all|denied", NULL,                            \
		    "What is counted: every request, or, at their end, those that the gateway "    \
		    "refuses with 401 or 403."                                                     \
	}

/* A line: its options, read-only after create. */
struct ratelimit {
	const struct merlon_host *host;
	merlon_ctx *ctx;
	struct limits limits; /* its pool keeps all that the line keeps */
	struct merlon_str key[RATELIMIT_KEYS];
	uint32_t nkeys;
	bool denied; /* count = "denied" */
	uint64_t max_keys;
	/* The key expression and all windows: counts of two signatures do not belong together. */
	struct merlon_str signature;
	merlon_zone *zone; /* NULL before ratelimit_open() */
};

/* Why a request is refused. */
enum { RATELIMIT_PASS, RATELIMIT_RATE, RATELIMIT_CONCURRENCY, RATELIMIT_BLOCKED };

struct ratelimit_verdict {
	int why;            /* RATELIMIT_* */
	int tightest;       /* of the windows, LIMIT_*; -1: there is none */
	uint64_t wait;      /* ns until it would be admitted; concurrency cannot tell: 0 */
	uint64_t remaining; /* of the tightest */
	uint64_t reset;     /* ns until the tightest is empty */
};

/* A line's block of a tx (slot_size at least its size, at the block's beginning). */
struct ratelimit_ask {
	struct merlon_str key; /* in the tx's memory; begins with which attribute it is of */
	struct limit limit;    /* what holds for the key */
	struct ratelimit_verdict verdict;
	uint64_t now;
	const struct ratelimit *line;
	uint32_t held;    /* 1: counted in flight, to be given back */
	uint32_t pending; /* 1: counted at its end, if it is refused */
	uint32_t told;    /* 1: the verdict stands until settle, be the line entered once more */
};

/* What a zone keeps for a key. The penalty is there only where the line has one. */
struct ratelimit_record {
	struct window window[LIMIT_WINDOWS];
	uint64_t inflight;
	struct penalty_record penalty;
};

/* 0, or -1: what is wrong has been said with cfg_error(). Always to be freed. */
int ratelimit_read(const struct merlon_host *h, merlon_ctx *ctx, const merlon_cfg *cfg,
                   struct ratelimit *out);
/* Opens the line's zone; 0 or -1, said with cfg_error(). */
int ratelimit_open(struct ratelimit *rl, const merlon_cfg *cfg);
void ratelimit_free(struct ratelimit *rl);

/* Fills in who asks, what holds for it, and the monotonic time. 0: to be counted; else the code to
 * answer: IGNORE, no limit is set for this key; ERROR; or that of the verdict, where a stack that
 * is included twice asks the line again: a request counts once. */
int32_t ratelimit_begin(const struct ratelimit *rl, merlon_tx *tx, struct ratelimit_ask *a);
/* Counts in the zone and fills in the verdict, held and pending. 0; or UNAVAIL, told to the client:
 * there is no room. */
int32_t ratelimit_count(const struct ratelimit *rl, merlon_tx *tx, struct ratelimit_ask *a);
/* Tells the client, and gives the code of the verdict: OK or LIMITED. */
int32_t ratelimit_answer(const struct ratelimit *rl, merlon_tx *tx, struct ratelimit_ask *a);

#define RATELIMIT_RELEASE 1u /* one less in flight */
#define RATELIMIT_CHARGE 2u  /* count = "denied": the windows are charged now */
/* What the tx's end brings; the second call for a tx gives 0. */
uint32_t ratelimit_due(struct ratelimit_ask *a, const struct merlon_summary *s);
/* Does it in the zone. */
void ratelimit_settle(const struct ratelimit *rl, merlon_tx *tx, struct ratelimit_ask *a,
                      const struct merlon_summary *s);

/* ---- the arithmetic: pure functions over a record, at the time of the ask ---- */
/* Fills in the verdict, and charges the record unless it refuses; a refusal counts for the penalty
 * alone, and while a block runs for nothing. A merlon_zone_fn; arg: struct ratelimit_ask. */
uint64_t ratelimit_charge(void *rec, uint32_t fresh, void *arg);
struct ratelimit_end {
	const struct limit *limit;
	const struct penalty *penalty;
	uint64_t now;
	uint32_t due; /* RATELIMIT_RELEASE, _CHARGE */
};
/* A merlon_zone_fn; arg: struct ratelimit_end. */
uint64_t ratelimit_finish(void *rec, uint32_t fresh, void *arg);
/* Bytes of a record where this penalty holds. */
uint32_t ratelimit_record_size(const struct penalty *p);

#endif
