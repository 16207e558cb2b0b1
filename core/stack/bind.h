/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * From what options name to upstreams of the configuration.
 */
#ifndef STACK_BIND_H
#define STACK_BIND_H

#include "stack/instance.h"

/* Every upstream that the instance's options name must be there; one is made for the origin of each
 * URL, unless the operator has described it under that name. */
void bind_upstreams(struct conf *c, const struct merlon_ctx *ctx, struct conf_diag *d);

#endif
