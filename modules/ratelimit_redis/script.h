/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The script that counts in Redis: what it is asked and what it answers. Times are microseconds of
 * Redis' clock, lengths of time likewise. Lua's numbers are doubles, exact to 2^53, which are 285
 * years in microseconds; what is larger is cut to SCRIPT_MOST before it is sent.
 */
#ifndef RATELIMIT_REDIS_SCRIPT_H
#define RATELIMIT_REDIS_SCRIPT_H

#include "common/ratelimit.h"

#define SCRIPT_MOST (INT64_C(1) << 52)

/* The line that reads Redis' clock; tests put another in its place. */
#define SCRIPT_CLOCK "local t = redis.call('TIME')\n"
extern const char script_text[];

enum script_what {
	SCRIPT_ASK,   /* charge it, unless it is refused */
	SCRIPT_LOOK,  /* likewise, but leave the windows alone */
	SCRIPT_RENEW, /* the lease `slot` goes on */
	SCRIPT_END    /* give the lease back (slot >= 0), charge `amount` */
};
enum script_arg {
	ARG_NONCE, /* comes back with the answer */
	ARG_LATE,  /* do nothing after this point in time; 0: at any time */
	ARG_WHAT,
	ARG_LIMITS, /* count and length of each window; length 0: not limited */
	ARG_CONCURRENCY = ARG_LIMITS + 2 * LIMIT_WINDOWS, /* -1: not limited */
	ARG_LEASE,                                        /* how long one is held without renewal */
	ARG_AFTER,                                        /* of the penalty; 0: there is none */
	ARG_WINDOW,
	ARG_BLOCK,
	ARG_MAX,
	ARG_SLOT,   /* of the lease; -1: none */
	ARG_SEARCH, /* 1: a renewal may have moved it to a later slot */
	ARG_AMOUNT,
	SCRIPT_ARGS
};
enum script_answer {
	ANS_NONCE,
	ANS_NOW,
	ANS_WHY, /* RATELIMIT_*, or SCRIPT_LATE */
	ANS_TIGHTEST,
	ANS_WAIT,
	ANS_REMAINING,
	ANS_RESET,
	ANS_SLOT,
	SCRIPT_ANSWERS
};
#define SCRIPT_LATE 4 /* nothing was done: it came after ARG_LATE */

#endif
