/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * authz: may you? What lies outside the credential's own lists is refused before any line is asked.
 */
#include "tx/step.h"

/* Whether `what` is matched by the list attribute; an absent list binds nothing. */
static bool allowed_by(const merlon_tx *tx, struct str list, struct str what, bool glob)
{
	const struct attr *a = attrs_get(&tx->base.attrs, list);
	if (!a || a->val.type != MERLON_VAL_STRLIST)
		return true;
	for (uint32_t i = 0; i < a->val.count; i++) {
		struct str s = from_merlon(a->val.u.list[i]);
		if (glob ? str_glob(s, what) : str_eq(s, what))
			return true;
	}
	return false;
}

enum step_result step_authz(merlon_tx *tx)
{
	if (!tx->step_began) {
		struct str model = tx->call.model;
		if (model.p && !allowed_by(tx, STR("id.allow_models"), model, true)) {
			tx->end = MERLON_END_DENIED;
			tx->reason = STR("authz: credential: DENIED: the model is outside the "
			                 "credential's models");
			return tx_refuse(tx, 403, "permission_denied",
			                 "this credential does not allow this model",
			                 MERLON_END_DENIED);
		}
		if (!allowed_by(tx, STR("id.allow_actions"), tx->call.action, false)) {
			tx->end = MERLON_END_DENIED;
			tx->reason = STR("authz: credential: DENIED: the action is outside the "
			                 "credential's actions");
			return tx_refuse(tx, 403, "permission_denied",
			                 "this credential does not allow this action",
			                 MERLON_END_DENIED);
		}
	}
	return group_walk(tx, G_AUTHZ, &check_ops, false);
}
