/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Compiled policies: a policy is a list of tests, a test asks one attribute a list of operators,
 * and all of them must hold. Built at create into one pool, then only read by all workers; a
 * decision allocates nothing.
 */
#ifndef AUTHZ_ABAC_POLICY_H
#define AUTHZ_ABAC_POLICY_H

#include "common/cidr.h"
#include "index.h"
#include "schedule.h"
#include "zone.h"

#define POLICIES_MAX 100000
#define ATTRIBUTES_MAX 256 /* that one file may ask for */
#define ZONES_MAX 64
#define DEPTH_MAX 16
#define LIST_MAX 10000
#define KEYS_MAX 64 /* of one part of a policy */

/* ---- operators ---- */
enum op_kind {
	OP_TEXT, /* equal to one of the texts, or matched by one of the globs */
	OP_NOT,
	OP_LT,
	OP_LE,
	OP_GT,
	OP_GE,
	OP_CIDR,
	OP_TIME,
	OP_SAME,
	OP_PRESENT,
};
struct texts {
	const struct merlon_str *exact; /* by length, then by bytes */
	const struct merlon_str *globs;
	uint32_t nexact, nglobs;
};
struct op {
	uint32_t kind; /* enum op_kind */
	uint32_t n;    /* of NOT and CIDR */
	union {
		int64_t number;
		struct texts texts;
		const struct op *inner;
		const struct cidr *nets;
		const struct schedule *schedule;
		uint32_t attr; /* SAME */
		bool present;
	} u;
};
#define MEMO_MAX 1024 /* tests whose answer a decision keeps */
struct test {
	uint32_t attr;
	uint32_t nops;
	const struct op *ops;
	uint32_t uses; /* by policies */
	uint32_t memo; /* where its answer is kept; MEMO_MAX: nowhere */
};

/* ---- policies ---- */
/* Which actions a policy is about, one bit each, as in `actions`. */
#define ACTIONS 7
#define ACTION_OTHER (1u << ACTIONS)      /* an action that is none of those */
#define ACTION_NONE (1u << (ACTIONS + 1)) /* no action at all */
#define ACTION_ALL ((1u << (ACTIONS + 2)) - 1)
#define POLICY_DENY (1u << 14)
#define POLICY_FALLIBLE (1u << 15) /* its evaluation may fail */
extern const char *const actions[ACTIONS];

struct policy {
	struct merlon_str name;
	struct merlon_str label; /* "NAME (FILE:LINE)" */
	uint32_t *tests;         /* numbers */
	uint32_t ntests;
};
#define ATTR_NOW 0 /* the time of the decision, seconds since 1970; the others begin after it */
struct policies {
	struct mem_pool pool;
	bool first_match;
	uint32_t n;
	struct policy *v;
	struct test *tests;
	uint16_t *flags; /* of each: ACTION_* and POLICY_*; apart, since most are only skipped */
	struct merlon_str default_label; /* "default deny (FILE)" */
	struct merlon_str attrs[ATTRIBUTES_MAX];
	uint32_t nattrs;
	struct zone zones[ZONES_MAX];
	uint32_t nzones;
	struct index index;
};
extern const struct merlon_option policy_rows[];

/* cfg: the policy file's tree. -1 after cfg_error(). Free it in either case. */
int policies_read(const struct merlon_host *h, const merlon_cfg *cfg, struct policies *out);
void policies_free(struct policies *p);

/* ---- deciding ---- */
struct decision {
	int32_t code;                /* OK, DENIED, or NOCRED: nothing matches */
	const struct policy *policy; /* that decided; NULL: none did */
	const char *fault;           /* why it could not be evaluated, or NULL */
	struct merlon_str attr;      /* with a fault: of what */
};
void decide(const struct policies *p, const struct merlon_host *h, merlon_tx *tx,
            struct decision *out);
/* Whether a text passes operators that ask for nothing but itself: TEXT and NOT. */
bool texts_pass(const struct op *ops, uint32_t n, struct merlon_str s);

#endif
