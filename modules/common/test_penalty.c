/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Penalties and the whole record of a limiter: by table, at the bounds of time, and against a naive
 * model that remembers every event.
 */
#include "common/ratelimit.h"

#include "unit/unit.h"

#define S UINT64_C(1000000000)

/* ---- by table ---- */
/* What a key is told, second by second. */
struct event {
	uint64_t at; /* s */
	bool over;   /* over a limit, if no block runs */
	uint64_t rest;
};

/* One request as the record's arithmetic asks: the rest of the block in ns. */
static uint64_t ask(struct penalty_record *r, const struct penalty *p, uint64_t now, bool over)
{
	uint64_t rest = penalty_blocked(r, p, now);

	if (rest == 0 && over)
		rest = penalty_refused(r, p, now);
	return rest;
}

static void play(const struct penalty *p, const struct event *e, size_t n)
{
	struct penalty_record r = {.until = 0};

	for (size_t i = 0; i < n; i++) {
		uint64_t rest = ask(&r, p, e[i].at * S, e[i].over);
		CU_ASSERT_EQUAL(rest, e[i].rest * S);
		if (rest != e[i].rest * S)
			printf("event %zu at %llu: %llu\n", i, (unsigned long long)e[i].at,
			       (unsigned long long)(rest / S));
	}
}
#define PLAY(p, ...)                                                                               \
	do {                                                                                       \
		static const struct event e_[] = {__VA_ARGS__};                                    \
		play(p, e_, sizeof(e_) / sizeof(e_[0]));                                           \
	} while (0)

static const struct penalty usual = {3, 60 * S, 30 * S, 300 * S};

static void blocks_double_up_to_the_most(void)
{
	PLAY(&usual, {1000, true, 0}, {1000, true, 0}, {1000, true, 30}, {1029, true, 1},
	     {1030, true, 0}, {1031, true, 0}, {1032, true, 60}, {1091, true, 1}, {1092, true, 0},
	     {1092, true, 0}, {1092, true, 120}, {1212, true, 0}, {1212, true, 0},
	     {1212, true, 240}, {1452, true, 0}, {1452, true, 0}, {1452, true, 300},
	     {1752, true, 0}, {1752, true, 0}, {1752, true, 300});
}

static void what_a_block_refuses_counts_for_nothing(void)
{
	PLAY(&usual, {0, true, 0}, {0, true, 0}, {0, true, 30}, {1, true, 29}, {2, true, 28},
	     {29, true, 1}, {30, true, 0}, {30, true, 0}, {31, false, 0}, {31, true, 60});
}

static void refusals_that_lie_apart_are_forgiven(void)
{
	/* Slots are 4 s: a refusal counts for 60 to 64 s. */
	PLAY(&usual, {0, true, 0}, {40, true, 0}, {64, true, 0}, {103, true, 30});
	PLAY(&usual, {0, true, 0}, {40, true, 0}, {63, true, 30});
}

static void quiet_keys_begin_small_again(void)
{
	/* The block ends at 30; it is forgotten 300 s later. */
	PLAY(&usual, {0, true, 0}, {0, true, 0}, {0, true, 30}, {328, true, 0}, {329, true, 0},
	     {329, true, 60});
	PLAY(&usual, {0, true, 0}, {0, true, 0}, {0, true, 30}, {330, true, 0}, {330, true, 0},
	     {330, true, 30});
	/* A refusal in between is no quiet. */
	PLAY(&usual, {0, true, 0}, {0, true, 0}, {0, true, 30}, {200, true, 0}, {499, true, 0},
	     {499, true, 0}, {499, true, 60});
	PLAY(&usual, {0, true, 0}, {0, true, 0}, {0, true, 30}, {200, true, 0}, {500, true, 0},
	     {500, true, 0}, {500, true, 30});
	/* Requests that are admitted are. */
	PLAY(&usual, {0, true, 0}, {0, true, 0}, {0, true, 30}, {200, false, 0}, {330, true, 0},
	     {330, true, 0}, {330, true, 30});
}

static void one_refusal_may_be_enough(void)
{
	static const struct penalty strict = {1, S, 10 * S, 10 * S};

	PLAY(&strict, {5, false, 0}, {5, true, 10}, {14, false, 1}, {15, false, 0}, {15, true, 10});
}

static void penalties_at_the_bounds_of_time(void)
{
	static const struct penalty p = {1, UINT64_MAX, UINT64_MAX / 2 + 1, UINT64_MAX};
	struct penalty_record r = {.until = 0};

	CU_ASSERT_EQUAL(ask(&r, &p, 5, true), UINT64_MAX / 2 + 1);
	CU_ASSERT_EQUAL(penalty_lasts(&r), UINT64_MAX);
	uint64_t end = r.until;
	CU_ASSERT_EQUAL(ask(&r, &p, end - 1, true), 1);
	CU_ASSERT_EQUAL(ask(&r, &p, end, true), UINT64_MAX); /* doubled: all that there is */
	CU_ASSERT_EQUAL(r.until, UINT64_MAX);
	CU_ASSERT_EQUAL(ask(&r, &p, UINT64_MAX - 1, false), 1);
	CU_ASSERT_EQUAL(ask(&r, &p, 0, false), UINT64_MAX); /* a clock that lags is no way out */
}

static void a_lowered_most_holds_at_once(void)
{
	const struct penalty before = {1, S, 1000 * S, 1000 * S}, after = {1, S, 10 * S, 20 * S};
	struct penalty_record r = {.until = 0};

	CU_ASSERT_EQUAL(ask(&r, &before, 0, true), 1000 * S);
	CU_ASSERT_EQUAL(ask(&r, &after, S, true), 20 * S);
	CU_ASSERT_EQUAL(ask(&r, &after, 11 * S, true), 10 * S); /* and does not move */
	CU_ASSERT_EQUAL(ask(&r, &after, 21 * S, false), 0);
	CU_ASSERT_EQUAL(penalty_lasts(&r), 41 * S);
	CU_ASSERT_EQUAL(ask(&r, &after, 22 * S, true), 20 * S);
}

/* ---- against a model ---- */
static uint64_t seed;

static uint64_t rnd(uint64_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (seed >> 33) % n;
}

#define EVENTS 3000

/* Remembers all there ever was; the windows by their definition: 16 slots, the oldest whole. */
struct model {
	uint64_t admitted[EVENTS], refused[EVENTS], blocks[EVENTS], lengths[EVENTS];
	size_t nadmitted, nrefused, nblocks;
	uint64_t inflight;
	bool forgiven; /* since the last block */
};

static uint64_t in_slots(const uint64_t *at, size_t n, uint64_t since, uint64_t length,
                         uint64_t now)
{
	uint64_t width = (length + 14) / 15, k = 0;

	for (size_t i = 0; i < n; i++)
		k += i >= since && at[i] / width + 16 > now / width;
	return k;
}

struct setting {
	struct ratelimit rl;
	struct limit limit;
};

static bool model_over(const struct model *m, const struct setting *s, uint64_t now)
{
	bool over = s->limit.concurrency >= 0 && m->inflight >= (uint64_t)s->limit.concurrency;

	for (unsigned i = 0; i < LIMIT_WINDOWS; i++) {
		over |= s->limit.window[i].length > 0 &&
		        in_slots(m->admitted, m->nadmitted, 0, s->limit.window[i].length, now) >=
		            s->limit.window[i].count;
	}
	return over;
}

/* How long the block that begins now lasts. */
static uint64_t model_block(const struct model *m, const struct penalty *p)
{
	uint64_t last = m->nblocks > 0 ? m->lengths[m->nblocks - 1] : 0;

	if (last == 0 || m->forgiven)
		return p->block;
	return last * 2 < p->max ? last * 2 : p->max;
}

/* The rest of a block, 0 for an admitted request, 1 for one that is refused without a block. */
static uint64_t model_ask(struct model *m, const struct setting *s, uint64_t now, size_t *since)
{
	const struct penalty *p = &s->rl.limits.penalty;
	uint64_t end = m->nblocks ? m->blocks[m->nblocks - 1] + m->lengths[m->nblocks - 1] : 0;
	uint64_t quiet_from = end;

	if (now < end)
		return end - now;
	if (!model_over(m, s, now)) {
		m->admitted[m->nadmitted++] = now;
		m->inflight += s->limit.concurrency >= 0;
		return 0;
	}
	if (m->nrefused > 0 && m->refused[m->nrefused - 1] > quiet_from)
		quiet_from = m->refused[m->nrefused - 1];
	m->forgiven |= now - quiet_from >= p->max;
	m->refused[m->nrefused++] = now;
	if (in_slots(m->refused, m->nrefused, *since, p->window, now) < p->after)
		return 1;
	m->lengths[m->nblocks] = model_block(m, p);
	m->forgiven = false;
	m->blocks[m->nblocks++] = now;
	*since = m->nrefused;
	return m->lengths[m->nblocks - 1];
}

static void random_setting(struct setting *s)
{
	struct penalty *p = &s->rl.limits.penalty;

	*s = (struct setting){.limit.concurrency = rnd(3) == 0 ? (int64_t)rnd(5) : -1};
	s->limit.window[0].count = rnd(20);
	s->limit.window[0].length = WINDOW_LEAST + rnd(60 * S);
	if (rnd(2) == 0) {
		s->limit.window[1].count = rnd(8);
		s->limit.window[1].length = WINDOW_LEAST + rnd(2 * S);
	}
	p->after = 1 + rnd(6);
	p->window = WINDOW_LEAST + rnd(60 * S);
	p->block = WINDOW_LEAST + rnd(20 * S);
	p->max = p->block * (1 + rnd(9)) + rnd(7);
}

static uint64_t told(const struct ratelimit_verdict *v)
{
	if (v->why == RATELIMIT_PASS)
		return 0;
	return v->why == RATELIMIT_BLOCKED ? v->wait : 1;
}

/* Whether the record says for a whole random use what the model says. */
static bool agrees(uint64_t run)
{
	static struct model m;
	struct ratelimit_record r = {.inflight = 0};
	struct setting s;
	size_t since = 0;
	uint64_t lasts = 0;
	bool same = true;

	seed = run;
	memset(&m, 0, sizeof(m));
	random_setting(&s);
	uint64_t now = rnd(UINT64_C(1) << 50);
	for (int i = 0; same && i < EVENTS; i++) {
		struct ratelimit_ask a = {.limit = s.limit, .line = &s.rl, .verdict.tightest = 7};
		struct ratelimit_end e = {&s.limit, &s.rl.limits.penalty, now, RATELIMIT_RELEASE};
		uint64_t step = rnd(8) == 0 ? rnd(40 * S) : rnd(S / 2);
		now += rnd(4) == 0 ? 0 : step;
		/* What the zone may drop must not be missed. */
		if (lasts <= now && rnd(2) == 0)
			memset(&r, 0, sizeof(r));
		a.now = now;
		if (m.inflight > 0 && rnd(2) == 0) {
			m.inflight--;
			lasts = ratelimit_finish(&r, 0, &e);
			continue;
		}
		lasts = ratelimit_charge(&r, 0, &a);
		same = told(&a.verdict) == model_ask(&m, &s, now, &since);
		same &= r.inflight == m.inflight;
	}
	return same;
}

static void records_say_what_the_model_says(void)
{
	for (uint64_t run = 1; run <= 400; run++) {
		bool same = agrees(run);
		CU_ASSERT_TRUE(same);
		if (!same)
			printf("run %llu differs\n", (unsigned long long)run);
	}
}

static void records_stay_small(void)
{
	CU_ASSERT_TRUE(sizeof(struct ratelimit_record) <= 480);
	CU_ASSERT_TRUE(ratelimit_record_size(&(struct penalty){.after = 0}) <= 300);
	CU_ASSERT_EQUAL(ratelimit_record_size(&usual), sizeof(struct ratelimit_record));
}

UNIT_MAIN("penalty", UNIT(blocks_double_up_to_the_most),
          UNIT(what_a_block_refuses_counts_for_nothing), UNIT(refusals_that_lie_apart_are_forgiven),
          UNIT(quiet_keys_begin_small_again), UNIT(one_refusal_may_be_enough),
          UNIT(penalties_at_the_bounds_of_time), UNIT(a_lowered_most_holds_at_once),
          UNIT(records_say_what_the_model_says), UNIT(records_stay_small))
