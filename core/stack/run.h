/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Walking a group: design §3's state machine. The run holds the state and the place; it calls modules through a table,
 * so it can be driven by a model in tests. No allocation, no recursion.
 */
#ifndef STACK_RUN_H
#define STACK_RUN_H

#include "stack/stack.h"

#define RUN_DEPTH 9 /* a group and includes up to eight deep */

enum impression { UNDEF, POS, NEG };

struct run_ops {
	/* Calls the hook of a line. A code, or MERLON_PENDING: run_resume() will bring it. */
	int32_t (*call)(merlon_tx *tx, const struct stack_line *l, enum conf_group g);
	/* A line (or an include, when it has ended) has answered. effective: as it counts (after ERROR for nonsense and
	 * the like); shadow lines too. */
	void (*decided)(merlon_tx *tx, const struct stack_line *l, enum conf_group g, int32_t code);
	/* The line's reply and edits do not count (shadow, optional's REPLY). */
	void (*discard)(merlon_tx *tx, const struct stack_line *l);
};
struct run_frame {
	const struct stack_group *g;
	unsigned at;          /* the line under way */
	uint8_t impression;
	uint8_t code;         /* of NEG: the first failing one; of POS: OK */
	bool failed_open;     /* a failure was ignored by fail_open: UNDEF and NOCRED become 503 */
	bool may_identify;    /* id.* may be established here (no optional include around) */
	unsigned mark;        /* attributes before this frame */
};
struct run {
	const struct run_ops *ops;
	merlon_tx *tx;
	struct attrs *attrs;
	enum conf_group group;
	bool reverse;         /* filter, response: entered lines, last first; goto counts as ignore */
	unsigned depth;       /* frames in use - 1 */
	unsigned line_mark;   /* attributes before the line under way */
	const struct stack_line *by; /* the line that decided */
	struct run_frame f[RUN_DEPTH];
};
enum run_status { RUN_END, RUN_WAIT };
void run_begin(struct run *r, const struct stack *s, enum conf_group g, const struct run_ops *ops, merlon_tx *tx,
               struct attrs *attrs);
enum run_status run_go(struct run *r);                   /* walks until the end or a suspension */
enum run_status run_resume(struct run *r, int32_t code); /* the suspended line has answered; walks on */

struct verdict {
	bool pass;
	int32_t code;    /* MERLON_OK when it passes; else the failing code (NOCRED for UNDEF in auth and authz); REPLY */
	unsigned status; /* HTTP status of a refusal: design §3 "Outcome"; 0 for REPLY. status_on_bad_credential applied */
	const struct stack_line *by; /* the line that decided; NULL: none did (UNDEF) */
};
struct verdict run_verdict(const struct run *r); /* after RUN_END */

#endif
