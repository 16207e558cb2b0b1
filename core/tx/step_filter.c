/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * filter: what may pass? Here the heads of requests; bodies go through filter.c as they stream.
 */
#include "tx/step.h"

static int32_t call_head(merlon_tx *tx, const struct stack_line *l, enum conf_group g)
{
	(void)g;
	hook_begin(tx, l, run_shadowed(&tx->run, l));
	return hook_head(l->ctx, tx, MERLON_REQUEST);
}

enum step_result step_filter(merlon_tx *tx)
{
	static const struct run_ops ops = {call_head, group_decided, group_discard};
	return group_walk(tx, G_FILTER, &ops, false);
}
