/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What a list of roles allows, in its order, arranged so that a decision costs the same however
 * many roles and models there are. Made at create, then only read.
 */
#ifndef AUTHZ_RBAC_RULES_H
#define AUTHZ_RBAC_RULES_H

#include "globset.h"

#define PERMISSIONS_MAX 16
#define RULES_NONE UINT32_MAX

/* A set of permissions that a role gives, and the roles whose models must all cover the model. */
struct grant {
	uint32_t permissions;
	uint32_t nguards;
	const uint32_t *guards; /* role numbers, ascending; only roles that have models */
};
struct rule {
	uint32_t role;
	struct grant grant;
};
struct rules {
	struct rule *v;
	uint32_t n;
	/* By permission: the first rule that gives it, and the first that gives it on any model. */
	uint32_t first[PERMISSIONS_MAX], open[PERMISSIONS_MAX];
	struct globset models; /* of each rule's first guard, to the rule's number */
	bool walked;           /* too many for `models`: the rules are tried one by one */
};

struct policy;
/* The roles must be flat. */
void rules_make(struct policy *p, struct rules *r, const uint32_t *roles, uint32_t n);
void rules_free(struct rules *r);
/* The role of the first rule that allows any of `need` on the model; model.ptr NULL: none is
 * named. RULES_NONE: there is none. */
uint32_t rules_find(const struct policy *p, const struct rules *r, uint32_t need,
                    struct merlon_str model);

#endif
