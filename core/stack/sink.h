/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Sinks: append-only files, one by canonical path, with one writer thread for all generations and
 * stacks. Workers append to rings of their own (one producer, one consumer, no lock); the writer
 * wakes by its timer or by a ring that is a quarter full, frames the records in its order and
 * writes them by few system calls.
 *
 * After a failed write the sink takes nothing until it is reopened (USR1, a reload); what was taken
 * and not written is kept and written to the reopened file, at the latest when the sink is closed.
 * A partly written record is cut off again, or moved aside at the next start.
 */
#ifndef STACK_SINK_H
#define STACK_SINK_H

#include <stdbool.h>

#include "base/err.h"
#include "merlon/module.h"

/* Bytes of a worker's ring, a power of two. At full load a worker makes some 25 MB of records a
 * second, and a write(2) has been seen to wait 60 ms for the disk: this holds for 300 ms. Memory is
 * taken as it is needed. */
#define SINK_RING (8 * 1024 * 1024)
/* The part of it that host_sink_ready() does not promise: it is for the records of requests that
 * were let in before, so that a full ring refuses new requests and does not cut answers. */
#define SINK_RESERVE (SINK_RING / 16)
#define SINK_WAKE (128 * 1024) /* used bytes that wake the writer before its timer */

struct conf_node;
int32_t host_sink_open(merlon_ctx *ctx, const merlon_cfg *cfg, struct merlon_str path,
                       uint32_t commit_ms, const struct merlon_sink_ops *ops, merlon_sink **out);
int32_t host_sink_append(merlon_sink *sink, merlon_tx *tx, struct merlon_str record);
int32_t host_sink_ready(merlon_sink *sink, merlon_tx *tx, uint64_t room);
void sink_close(merlon_sink *sink); /* by instance_destroy(); the file closes with its last holder,
                                       all written */
/* Opening in create only notes the path; files are opened when the generation is published (not
 * while probing). 0, or -errno, *path and the line *at (may be NULL): nothing was opened that was
 * not open before. Control thread. */
int sinks_publish(const struct conf_node **at, const char **path, const char **why) MUST_CHECK;
void sinks_discard(void);
void sinks_reopen(void); /* USR1 */
void sinks_flush(
    void); /* returns when everything appended before is in the files; not for workers */
/* The writer thread. Start before the first generation, stop after the last. stats_slot: for
 * stats_thread(). */
void sinks_start(unsigned stats_slot);
void sinks_stop(void);
struct sink_info {
	const char *path;
	bool failed;
	uint64_t records;
	uint64_t bytes;
	uint64_t refused; /* appends that were answered with an error */
};
void sink_each(void (*fn)(void *arg, const struct sink_info *s), void *arg);

#endif
