/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * ratelimit: how much? After permission, so that a refusal costs no quota.
 */
#include "tx/step.h"

enum step_result step_ratelimit(merlon_tx *tx)
{
	return group_walk(tx, G_RATELIMIT, &check_ops, false);
}
