/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Shared objects: refcounted over generations, by key and build, for caches that hold pointers.
 * Here also: what an instance holds of things that outlive it, so that all of it is put back when
 * the instance goes.
 */
#ifndef STACK_SHARED_H
#define STACK_SHARED_H

#include "base/list.h"
#include "merlon/module.h"

/* One thing an instance holds; in merlon_ctx.shared. */
struct held {
	struct list node;
	void (*put)(void *obj);
	void *obj;
};
void held_add(struct merlon_ctx *ctx, void (*put)(void *obj), void *obj);
/* Puts back everything, last taken first; after the module's destroy hook. */
void held_release_all(struct merlon_ctx *ctx);

int32_t host_shared_get(merlon_ctx *ctx, struct merlon_str key, merlon_build_fn build,
                        merlon_free_fn free_fn, void *arg, merlon_shared **out);
void *host_shared_ptr(merlon_shared *obj);
void host_shared_put(merlon_shared *obj);

#endif
