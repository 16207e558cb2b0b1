/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * HTTP calls of modules (module.h, 1.1): who asked and waits, over upstream/call.h.
 */
#ifndef TX_HTTPCALL_H
#define TX_HTTPCALL_H

#include "merlon/module.h"

int32_t host_http_call(merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx,
                       const struct merlon_http_request *req, merlon_http_fn done, void *arg,
                       merlon_op **op);

#endif
