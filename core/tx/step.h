/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The steps of a tx, one file each, called by the driver in tx.c and by nobody else.
 */
#ifndef TX_STEP_H
#define TX_STEP_H

#include "tx/tx.h"

step_fn step_accept, step_parse, step_resolve, step_auth, step_body, step_authz, step_ratelimit,
    step_filter, step_open, step_upstream, step_response, step_reply, step_settle, step_audit;

#endif
