/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The arithmetic of a ratelimit record. Runs under a zone's lock: no host call, no waiting.
 */
#include "common/ratelimit.h"

uint32_t ratelimit_record_size(const struct penalty *p)
{
	return p->after > 0 ? sizeof(struct ratelimit_record)
	                    : offsetof(struct ratelimit_record, penalty);
}

static uint64_t record_lasts(const struct ratelimit_record *r, const struct penalty *p)
{
	uint64_t until = p->after > 0 ? penalty_lasts(&r->penalty) : 0;

	if (r->inflight > 0)
		return UINT64_MAX;
	for (unsigned i = 0; i < LIMIT_WINDOWS; i++) {
		uint64_t at = r->window[i].width > 0 ? window_empty_at(&r->window[i]) : 0;
		until = at > until ? at : until;
	}
	return until;
}

static void describe(const struct ratelimit_record *r, struct ratelimit_ask *a)
{
	struct ratelimit_verdict *v = &a->verdict;

	v->tightest = -1;
	for (int i = 0; i < LIMIT_WINDOWS; i++) {
		uint64_t limit = a->limit.window[i].count, used;
		if (a->limit.window[i].length == 0)
			continue;
		used = window_used(&r->window[i]);
		uint64_t remaining = used < limit ? limit - used : 0;
		uint64_t empty = window_empty_at(&r->window[i]);
		if (v->tightest >= 0 && remaining >= v->remaining)
			continue;
		v->tightest = i;
		v->remaining = remaining;
		v->reset = empty > a->now ? empty - a->now : 0;
	}
	if (v->why == RATELIMIT_BLOCKED) {
		v->remaining = 0;
		v->reset = v->wait > v->reset ? v->wait : v->reset;
	}
}

/* Whether the limits admit one more. */
static void judge(struct ratelimit_record *r, struct ratelimit_ask *a)
{
	const struct limit *l = &a->limit;
	struct ratelimit_verdict *v = &a->verdict;

	for (unsigned i = 0; i < LIMIT_WINDOWS; i++) {
		if (l->window[i].length == 0)
			continue;
		window_at(&r->window[i], l->window[i].length, a->now);
		if (window_fits(&r->window[i], l->window[i].count, 1))
			continue;
		uint64_t wait = window_wait(&r->window[i], l->window[i].count, 1, a->now);
		if (wait == UINT64_MAX) /* a limit of 0: no time helps before it is changed */
			wait = l->window[i].length;
		v->why = RATELIMIT_RATE;
		v->wait = wait > v->wait ? wait : v->wait;
	}
	if (v->why == RATELIMIT_PASS && l->concurrency >= 0 &&
	    r->inflight >= (uint64_t)l->concurrency)
		v->why = RATELIMIT_CONCURRENCY;
}

static void punish(struct ratelimit_record *r, struct ratelimit_ask *a)
{
	const struct penalty *p = &a->line->limits.penalty;
	uint64_t rest;

	if (p->after == 0)
		return;
	rest = penalty_blocked(&r->penalty, p, a->now);
	if (rest == 0 && a->verdict.why != RATELIMIT_PASS)
		rest = penalty_refused(&r->penalty, p, a->now);
	if (rest > 0) {
		a->verdict.why = RATELIMIT_BLOCKED;
		a->verdict.wait = rest;
	}
}

uint64_t ratelimit_charge(void *rec, uint32_t fresh, void *arg)
{
	struct ratelimit_record *r = rec;
	struct ratelimit_ask *a = arg;

	(void)fresh;
	a->verdict = (struct ratelimit_verdict){.tightest = -1};
	judge(r, a);
	punish(r, a);
	bool passes = a->verdict.why == RATELIMIT_PASS;
	for (unsigned i = 0; passes && !a->line->denied && i < LIMIT_WINDOWS; i++) {
		if (a->limit.window[i].length > 0)
			window_add(&r->window[i], 1);
	}
	r->inflight += passes && a->limit.concurrency >= 0;
	describe(r, a);
	return record_lasts(r, &a->line->limits.penalty);
}

uint64_t ratelimit_finish(void *rec, uint32_t fresh, void *arg)
{
	struct ratelimit_record *r = rec;
	const struct ratelimit_end *e = arg;

	(void)fresh;
	for (unsigned i = 0; (e->due & RATELIMIT_CHARGE) && i < LIMIT_WINDOWS; i++) {
		if (e->limit->window[i].length == 0)
			continue;
		window_at(&r->window[i], e->limit->window[i].length, e->now);
		window_add(&r->window[i], 1);
	}
	if ((e->due & RATELIMIT_RELEASE) && r->inflight > 0)
		r->inflight--;
	return record_lasts(r, e->penalty);
}
