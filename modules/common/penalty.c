/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Penalties. Runs under a zone's lock: arithmetic alone. All sums saturate, since blocks may be
 * written as long as a duration can be.
 */
#include "common/penalty.h"

#include <string.h>

static uint64_t add_sat(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

uint64_t penalty_blocked(struct penalty_record *r, const struct penalty *p, uint64_t now)
{
	if (now >= r->until)
		return 0;
	if (r->until - now > p->max) {
		r->until = now + p->max;
		r->forget = add_sat(r->until, p->max);
	}
	return r->until - now;
}

uint64_t penalty_refused(struct penalty_record *r, const struct penalty *p, uint64_t now)
{
	uint64_t forget = add_sat(now, p->max);

	if (now >= r->forget)
		r->block = 0;
	r->forget = forget > r->forget ? forget : r->forget;
	window_at(&r->refusals, p->window, now);
	window_add(&r->refusals, 1);
	if (window_used(&r->refusals) < p->after)
		return 0;
	memset(r->refusals.count, 0, sizeof(r->refusals.count));
	if (r->block == 0)
		r->block = p->block;
	else
		r->block = r->block > p->max / 2 ? p->max : r->block * 2;
	r->until = add_sat(now, r->block);
	r->forget = add_sat(r->until, p->max);
	return r->block;
}

uint64_t penalty_lasts(const struct penalty_record *r)
{
	uint64_t until = r->block > 0 ? r->forget : 0;
	uint64_t empty = r->refusals.width > 0 ? window_empty_at(&r->refusals) : 0;

	return empty > until ? empty : until;
}
