/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The audit record of a tx: its fields on demand, for the audit modules.
 */
#ifndef TX_RECORD_H
#define TX_RECORD_H

#include "tx/tx.h"

int32_t host_record_get(merlon_ctx *ctx, merlon_tx *tx, uint32_t field, struct merlon_val *out);
uint64_t host_record_read(merlon_ctx *ctx, merlon_tx *tx, struct merlon_fact *facts,
                          uint32_t count);
int32_t host_record_decision(merlon_tx *tx, uint32_t i, struct merlon_decision *out);
const char *record_status(uint32_t end); /* "success" ... of MERLON_END_* */

#endif
