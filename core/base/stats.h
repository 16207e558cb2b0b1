/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Named counters, gauges and histograms, one slot a thread so that adding takes no lock and shares
 * no cache line; summed when read. Rendered as Prometheus text 0.0.4.
 */
#ifndef BASE_STATS_H
#define BASE_STATS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

enum stat_kind { STAT_COUNTER, STAT_GAUGE, STAT_HISTOGRAM };
#define STATS_THREADS_MAX 72 /* workers, control, writer, pool */
#define STATS_SERIES_MAX                                                                           \
	4096 /* a family's label sets; beyond it, all go to one series with value "other" */

struct stat_family;
struct stat; /* one label set of a family */

/* Find or make; any thread, under a lock: at load, never on the hot path. label_names:
 * "route,status" or "". A family of the same name with another kind or labels: NULL. Buckets of
 * histograms: 0.5 ms to 600 s. */
struct stat_family *stats_family(enum stat_kind kind, const char *name, const char *help,
                                 const char *label_names);
struct stat *stats_get(struct stat_family *f, const struct str *label_values);
/* The calling thread's slot; called once when a thread starts, 0 <= slot < STATS_THREADS_MAX. One
 * that another thread has taken before is as none: such threads share theirs and pay for it. */
void stats_thread(unsigned slot);
void stat_add(struct stat *s, int64_t by);      /* any thread */
void stat_set(struct stat *s, int64_t value);   /* gauges; the last writer wins */
void stat_observe(struct stat *s, uint64_t ns); /* histograms */
int64_t stat_value(const struct stat *s);       /* the sum (count for a histogram) */
int stats_render(struct buf *out) MUST_CHECK;   /* all families, sorted by name */

#endif
