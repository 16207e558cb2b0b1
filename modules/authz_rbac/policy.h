/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A compiled role policy: roles with the flattened permissions of all they inherit, and who is
 * assigned which. Built at create, then only read.
 */
#ifndef AUTHZ_RBAC_POLICY_H
#define AUTHZ_RBAC_POLICY_H

#include "rules.h"

struct role {
	struct merlon_str name;
	struct merlon_str policy; /* "role NAME" */
	uint32_t own;             /* permissions */
	struct merlon_str *models;
	uint32_t nmodels;
	bool limited;          /* models is written: an empty list covers none */
	bool covers_all;       /* one of them is "*" */
	struct globset covers; /* its models */
	uint32_t *inherits;
	uint32_t ninherits;
	struct grant *grants;
	uint32_t ngrants;
	struct rules rules;    /* of this role alone */
	int state;             /* while flattening: 0 not begun, 1 under way, 2 done */
	const merlon_cfg *cfg; /* while reading; NULL: shipped */
};
enum { BY_SUB, BY_ORG, BY_ROLE, BY_COUNT };
struct assignment {
	struct merlon_str who;
	uint32_t *roles;
	uint32_t nroles;
	uint32_t next;      /* of the same who; UINT32_MAX: none */
	struct rules rules; /* of a glob; else at the first of the same who, of all of them */
};
struct policy {
	struct mem_pool pool;
	struct role *roles;
	uint32_t nroles;
	struct txt_map by_name;
	struct assignment *assignments;
	uint32_t nassignments;
	struct txt_map exact[BY_COUNT]; /* who to the first assignment */
	struct globset globs[BY_COUNT]; /* those whose who is a glob; the newest counts first */
	uint32_t nglobs;                /* in the sets of all rules */
};
extern const struct merlon_option policy_rows[];

/* cfg: the policy file's tree, or NULL: the shipped roles alone. -1 after cfg_error(). Free it in
 * either case. */
int policy_read(const struct merlon_host *h, const merlon_cfg *cfg, struct policy *out);
void policy_free(struct policy *p);
/* Whether this role allows any of `need` on the model; model.ptr NULL: none is named. */
static inline bool policy_allows(const struct policy *p, const struct role *r, uint32_t need,
                                 struct merlon_str model)
{
	return rules_find(p, &r->rules, need, model) != RULES_NONE;
}
/* The first role that allows it of those assigned to `who`, by name or by glob; NULL: none. */
const struct role *policy_assigned(const struct policy *p, int by, struct merlon_str who,
                                   uint32_t need, struct merlon_str model);
/* Bits of the permissions any of which an action needs; 0: nobody can be allowed. */
uint32_t policy_need(struct merlon_str action);

#endif
