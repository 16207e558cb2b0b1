/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A compiled role policy: roles with the flattened permissions of all they inherit, and who is
 * assigned which. Built at create, then only read.
 */
#ifndef AUTHZ_RBAC_POLICY_H
#define AUTHZ_RBAC_POLICY_H

#include "common/text.h"

/* A set of permissions that a role gives, and the roles whose `models` must all cover the model. */
struct grant {
	uint32_t permissions;
	uint32_t nguards;
	const uint32_t *guards; /* role numbers, ascending; only roles that have models */
};
struct role {
	struct merlon_str name;
	struct merlon_str policy; /* "role NAME" */
	uint32_t own;             /* permissions */
	struct merlon_str *models;
	uint32_t nmodels;
	bool limited; /* models is written: an empty list covers none */
	uint32_t *inherits;
	uint32_t ninherits;
	struct grant *grants;
	uint32_t ngrants;
	int state;             /* while flattening: 0 not begun, 1 under way, 2 done */
	const merlon_cfg *cfg; /* while reading; NULL: shipped */
};
enum { BY_SUB, BY_ORG, BY_ROLE, BY_COUNT };
struct assignment {
	struct merlon_str who;
	uint32_t *roles;
	uint32_t nroles;
	uint32_t next; /* of the same who, or the next glob; UINT32_MAX: none */
};
struct policy {
	struct mem_pool pool;
	struct role *roles;
	uint32_t nroles;
	struct txt_map by_name;
	struct assignment *assignments;
	uint32_t nassignments;
	struct txt_map exact[BY_COUNT]; /* who to the first assignment */
	uint32_t globs[BY_COUNT];       /* the first whose who is a glob */
};
extern const struct merlon_option policy_rows[];

/* cfg: the policy file's tree, or NULL: the shipped roles alone. -1 after cfg_error(). Free it in
 * either case. */
int policy_read(const struct merlon_host *h, const merlon_cfg *cfg, struct policy *out);
void policy_free(struct policy *p);
/* Whether this role allows any of `need` on the model; model.ptr NULL: none is named. */
bool policy_allows(const struct policy *p, const struct role *r, uint32_t need,
                   struct merlon_str model);
/* Bits of the permissions any of which an action needs; 0: nobody can be allowed. */
uint32_t policy_need(struct merlon_str action);

#endif
