/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Zones: fixed-size pointer-free records by key, in shards with a lock each. Owned by the process,
 * found by name; they outlive generations, and two generations update the same record.
 */
#ifndef STACK_ZONE_H
#define STACK_ZONE_H

#include "base/err.h"
#include "conf/conf.h"
#include "merlon/module.h"

#define ZONE_SHARDS 64
#define ZONE_KEY_MAX 256 /* longer keys are replaced by their SHA-256 */

int32_t host_zone_open(merlon_ctx *ctx, const merlon_cfg *cfg, struct merlon_str signature,
                       uint32_t rec_size, uint64_t max_records, merlon_zone **out);
int32_t host_zone_update(merlon_zone *zone, merlon_tx *tx, struct merlon_str key, merlon_zone_fn fn,
                         void *arg);
/* Puts back what the instance opened; called by instance_destroy(). A zone nobody holds is freed.
 */
void zone_close(merlon_zone *zone);
/* A new generation has been published: zones that it begun anew replace the old of the same name.
 * Until then a changed signature lives aside, so that a failed reload changes nothing. */
void zones_publish(void);
void zones_discard(void); /* the reload failed */
struct zone_info {
	const char *name;
	uint64_t records;
	uint64_t bytes;
};
void zone_each(void (*fn)(void *arg, const struct zone_info *z), void *arg);

#endif
