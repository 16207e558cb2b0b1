/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A bounded pool of threads for work that would block a loop.
 */
#ifndef NET_OFFLOAD_H
#define NET_OFFLOAD_H

#include "net/loop.h"

struct offload;
/* threads 1..16, queue: jobs that may wait. stats_slot: the first of `threads` slots for
 * stats_thread(). */
struct offload *offload_new(unsigned threads, unsigned queue, unsigned stats_slot);
/* Waits for running work; what waits is dropped, done is not called. Before the loops that were
 * given are freed. */
void offload_free(struct offload *o);

enum { OFFLOAD_E_FULL = 1 };
struct offload_job;
/* work(arg) on a pool thread, then done(arg) on `l`. Never waits. */
int offload_submit(struct offload *o, struct loop *l, loop_fn *work, loop_fn *done, void *arg,
                   struct offload_job **job) MUST_CHECK;
/* From l's thread, before done has been called. done will not be called. True: work had not begun
 * and never will. False: work may still be using arg and nothing will tell of its end; where arg
 * must be freed, do not cancel but note it in arg and let done see it. */
bool offload_cancel(struct offload_job *job);

#endif
