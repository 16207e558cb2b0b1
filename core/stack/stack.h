/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Stacks, compiled: lines with a module or an included stack, and a table from code to action each.
 * All stacks and instances of one generation.
 */
#ifndef STACK_STACK_H
#define STACK_STACK_H

#include "stack/instance.h"

enum action { ACT_IGNORE, ACT_OK, ACT_DONE, ACT_BAD, ACT_DIE, ACT_GOTO };

struct stack_line {
	const struct conf_line *conf;
	struct merlon_ctx *ctx;      /* NULL: an include */
	const struct stack *include; /* NULL: a module */
	enum conf_group group;
	unsigned index;
	uint8_t action[MERLON_CODE_MAX + 1];  /* by code, enum action */
	uint16_t target[MERLON_CODE_MAX + 1]; /* ACT_GOTO: index of the line to go on with */
	bool keyword;                         /* control was a keyword, not brackets */
	bool optional;                        /* the keyword optional */
	bool grantor; /* a grantor's line, or an include: its OK may move UNDEF to POS (auth, authz)
	               */
	bool explicit_ignore; /* failures mapped to ignore or goto by fail_open or brackets: ends
	                         UNDEF as 503 */
	struct stat *verdicts[MERLON_CODE_MAX + 1]; /* merlon_verdicts_total{group,line,code} */
};
struct stack_group {
	struct stack_line *lines;
	unsigned n;
	bool none; /* auth = "none": passes */
};
#define STACK_DIGESTS_MAX 4
struct stack {
	struct str name;
	const struct conf_stack *conf;
	struct stack_group group[G_COUNT];
	const struct digest_key
	    *digests[STACK_DIGESTS_MAX]; /* distinct keys that its audit lines want, includes too */
	unsigned ndigests;
};
struct stacks {
	struct stack *v;
	unsigned n;
	struct merlon_ctx **instances;
	unsigned ninstances;
	struct arena arena;
	bool probing;
};

/* Parses a control: keywords and brackets. 0, or -1 and *why (in a). labels: to resolve goto, the
 * lines of the group. */
int control_parse(struct str text, bool fail_open, enum conf_group g, const struct conf_line *lines,
                  unsigned nlines, unsigned self, struct stack_line *out, struct arena *a,
                  struct str *why) MUST_CHECK;

/* Loads modules, makes instances, compiles and lints. NULL: errors in d. Control thread. */
/* Upstreams for the URLs that options name are added to c. */
struct stacks *stacks_new(struct conf *c, const struct merlon_host *host, bool probing,
                          struct conf_diag *d);
/* Says whose they are; before the first worker starts. */
void stacks_own(struct stacks *s, void *owner);
const struct stack *stacks_find(const struct stacks *s, struct str name);
int stacks_worker_start(struct stacks *s, struct merlon_worker *w,
                        const char **module) MUST_CHECK; /* all or none */
void stacks_worker_stop(struct stacks *s, struct merlon_worker *w);
void stacks_retire(struct stacks *s);
struct stacks *stacks_free(struct stacks *s); /* destroys the instances; every worker has stopped */

#endif
