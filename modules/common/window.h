/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The arithmetic of a rate limit: a sliding window of 16 slots, 15 of which make its length. The
 * oldest slot is counted whole, so no interval of the window's length ever holds more than the
 * limit; the price is that a steady client is sure of 15/16 of it. Pure functions over a record
 * without pointers; times are monotonic nanoseconds.
 */
#ifndef COMMON_WINDOW_H
#define COMMON_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_SLOTS 16
#define WINDOW_LEAST UINT64_C(1000000) /* 1 ms: the shortest length that is taken */

struct window {
	uint64_t width;  /* of a slot in ns; 0: the record is fresh */
	uint64_t newest; /* number of the newest slot, counted from time 0 */
	uint64_t count[WINDOW_SLOTS];
};

/* Brings the record to `now`. A length other than the record's restarts it. Call it before the
 * others. */
void window_at(struct window *w, uint64_t length, uint64_t now);
uint64_t window_used(const struct window *w);
bool window_fits(const struct window *w, uint64_t limit, uint64_t amount);
void window_add(struct window *w, uint64_t amount); /* saturates */
/* ns until `amount` fits, if nothing else comes; 0: now; UINT64_MAX: never. */
uint64_t window_wait(const struct window *w, uint64_t limit, uint64_t amount, uint64_t now);
/* The time at which the window is empty again; 0: it is. */
uint64_t window_empty_at(const struct window *w);

#endif
