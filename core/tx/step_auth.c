/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * auth: who are you? Nothing of the body has been read.
 */
#include "tx/step.h"

enum step_result step_auth(merlon_tx *tx)
{
	return group_walk(tx, G_AUTH, &check_ops, false);
}
