/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * audit open: nobody is contacted unless the audit lines can record it.
 */
#include "tx/step.h"

static int32_t call_open(merlon_tx *tx, const struct stack_line *l, enum conf_group g)
{
	(void)g;
	hook_begin(tx, l, run_shadowed(&tx->run, l));
	return hook_audit_open(l->ctx, tx);
}

enum step_result step_open(merlon_tx *tx)
{
	static const struct run_ops ops = {call_open, group_counted, group_discard};
	enum step_result r = group_walk(tx, G_AUDIT, &ops, false);
	if (r == STEP_REFUSE) {
		tx->refusal = (struct refusal){0};
		return tx_refuse(tx, 503, "audit_unavailable", "the request cannot be recorded",
		                 MERLON_END_ERROR);
	}
	return r;
}
