/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Walking a group: design §3's state machine. The run holds the state and the place; it calls
 * modules through a table, so it can be driven by a model in tests. No allocation, no recursion.
 */
#ifndef STACK_RUN_H
#define STACK_RUN_H

#include "stack/stack.h"

#define RUN_DEPTH 9 /* a group and includes up to eight deep */

enum impression { UNDEF, POS, NEG };

struct run_ops {
	/* Calls the hook of a line. A code, or MERLON_PENDING: run_resume() will bring it. */
	int32_t (*call)(merlon_tx *tx, const struct stack_line *l, enum conf_group g);
	/* A line (or an include, when it has ended) has answered. code: as it counts (after ERROR
	 * for nonsense and the like); shadow lines too: see run_shadowed(). The place to count
	 * l->verdicts[code]: the run does not. */
	void (*decided)(merlon_tx *tx, const struct stack_line *l, enum conf_group g, int32_t code);
	/* The line's reply and edits do not count (shadow), or its reply does not (REPLY that is
	 * ignored, or that comes after a failure: the first failing code stands). Never called with
	 * an include. */
	void (*discard)(merlon_tx *tx, const struct stack_line *l);
};
/* What the lines of one group have made of it so far. */
struct run_state {
	uint8_t impression;
	uint8_t code;     /* of NEG: the first failing one; of POS: OK */
	bool failed_open; /* a failure was ignored by fail_open: UNDEF and NOCRED become 503 */
};
struct run_frame {
	const struct stack_group *g;
	unsigned at; /* the line under way, reverse: counted from the end; of g->n on: none is */
	struct run_state s;
	bool may_identify; /* id.* may be established here: auth, and no optional or shadow include
	                      around */
	bool fill_only;    /* an identity stands already: only unset keys may be filled */
	bool shadow;       /* in a shadow include: nothing counts */
	unsigned mark;     /* attributes before this frame */
	const struct stack_line
	    *by; /* the line that moved s; of an include: the line inside that did */
};
struct run {
	const struct run_ops *ops;
	merlon_tx *tx;
	struct attrs *attrs;
	enum conf_group group;
	bool reverse;   /* filter, response: entered lines, last first; goto counts as ignore, done
	                 * goes on. To be set between run_begin() and run_go() */
	unsigned depth; /* frames in use - 1 */
	unsigned line_mark; /* attributes before the line under way */
	struct run_frame f[RUN_DEPTH];
};
enum run_status { RUN_END, RUN_WAIT };
void run_begin(struct run *r, const struct stack *s, enum conf_group g, const struct run_ops *ops,
               merlon_tx *tx, struct attrs *attrs);
enum run_status run_go(struct run *r); /* walks until the end or a suspension */
enum run_status run_resume(struct run *r,
                           int32_t code); /* the suspended line has answered; walks on */

/* Whether the line under way (or just decided) is in shadow, by itself or by an include around it.
 */
bool run_shadowed(const struct run *r, const struct stack_line *l);

/* The state machine, without a run: what the line's answer makes of the state. The index of the
 * line to go on with, or RUN_LAST: the group ends. Shared with lint, so that it proves what runs.
 */
#define RUN_LAST UINT32_MAX
unsigned run_apply(struct run_state *s, const struct stack_line *l, int32_t code);
/* The code that a group which ended in this state yields: to the line that includes it, and as its
 * outcome. UNDEF: NOCRED in auth and authz (a group that says "none" too: it established nothing),
 * else IGNORE. UNDEF there, or NOCRED, after a failure that fail_open ignored: UNAVAIL, since the
 * failure may be all that stood between. */
int32_t run_yield(const struct run_state *s, enum conf_group g);

struct verdict {
	bool pass;
	int32_t code; /* MERLON_OK when it passes; else the failing code (NOCRED for UNDEF in auth
	                 and authz); REPLY */
	unsigned status;             /* HTTP status of a refusal: design §3 "Outcome"; 0 for REPLY.
	                                status_on_bad_credential applied */
	const struct stack_line *by; /* the line that decided; NULL: none did (UNDEF) */
};
/* After RUN_END. */
struct verdict run_verdict(const struct run *r);
bool run_passed(const struct run *r); /* the verdict's `pass` */

#endif
