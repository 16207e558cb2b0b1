/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Sliding windows. Runs under a zone's lock: arithmetic alone.
 */
#include "common/window.h"

#include <string.h>

static uint64_t add_sat(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t mul_sat(uint64_t a, uint64_t b)
{
	uint64_t r;

	return __builtin_mul_overflow(a, b, &r) ? UINT64_MAX : r;
}

void window_at(struct window *w, uint64_t length, uint64_t now)
{
	uint64_t width = length / (WINDOW_SLOTS - 1) + (length % (WINDOW_SLOTS - 1) != 0);
	uint64_t slot = now / (width > 0 ? width : 1);

	if (width != w->width) {
		memset(w, 0, sizeof(*w));
		w->width = width > 0 ? width : 1;
		w->newest = slot;
		return;
	}
	/* Another worker's clock may be a turn ahead: what is older than the newest slot counts
	 * into it. */
	if (slot <= w->newest)
		return;
	if (slot - w->newest >= WINDOW_SLOTS) {
		memset(w->count, 0, sizeof(w->count));
	} else {
		for (uint64_t i = w->newest + 1; i <= slot; i++)
			w->count[i % WINDOW_SLOTS] = 0;
	}
	w->newest = slot;
}

uint64_t window_used(const struct window *w)
{
	uint64_t used = 0;

	for (unsigned i = 0; i < WINDOW_SLOTS; i++)
		used = add_sat(used, w->count[i]);
	return used;
}

bool window_fits(const struct window *w, uint64_t limit, uint64_t amount)
{
	return add_sat(window_used(w), amount) <= limit;
}

void window_add(struct window *w, uint64_t amount)
{
	uint64_t *slot = &w->count[w->newest % WINDOW_SLOTS];

	*slot = add_sat(*slot, amount);
}

/* When the slot that is `age` slots older than the newest is counted no more. */
static uint64_t slot_leaves(const struct window *w, uint64_t age)
{
	return mul_sat(add_sat(w->newest - age, WINDOW_SLOTS), w->width);
}

/* A slot older than time 0 holds nothing. */
static uint64_t slot_count(const struct window *w, uint64_t age)
{
	return age > w->newest ? 0 : w->count[(w->newest - age) % WINDOW_SLOTS];
}

uint64_t window_wait(const struct window *w, uint64_t limit, uint64_t amount, uint64_t now)
{
	uint64_t rest = 0; /* what the slots younger than `age` hold */
	uint64_t age = 0;

	if (amount > limit)
		return UINT64_MAX;
	/* From the youngest on: the first slot that does not fit beside the request must leave. */
	for (; age < WINDOW_SLOTS; age++) {
		rest = add_sat(rest, slot_count(w, age));
		if (add_sat(rest, amount) > limit)
			break;
	}
	if (age == WINDOW_SLOTS)
		return 0;
	uint64_t at = slot_leaves(w, age);
	return at > now ? at - now : 0;
}

uint64_t window_empty_at(const struct window *w)
{
	for (uint64_t age = 0; age < WINDOW_SLOTS; age++) {
		if (slot_count(w, age) > 0)
			return slot_leaves(w, age);
	}
	return 0;
}
