/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Shared objects: refcounted over generations, by key and build, for caches that hold pointers.
 */
#ifndef STACK_SHARED_H
#define STACK_SHARED_H

#include "merlon/module.h"

int32_t host_shared_get(merlon_ctx *ctx, struct merlon_str key, merlon_build_fn build, merlon_free_fn free_fn, void *arg,
                        merlon_shared **out);
void *host_shared_ptr(merlon_shared *obj);
void host_shared_put(merlon_shared *obj);

#endif
