/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The script in a real redis-server against the arithmetic of ratelimit_local, over random use: the
 * same numbers, or it is wrong. The server is the test's own (script_server.h), the clock is too,
 * handed to the script in place of Redis'. Both count in the script's microseconds.
 */
#include "script.h"
#include "script_server.h"

#include "unit/unit.h"

#define ROUNDS 60
#define STEPS 150

static char script[8192], short_lived[8192];
static int64_t now; /* us */
static uint32_t seed = 20261122;

static uint32_t any(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)seed * below) >> 32);
}

/* The text with `to` in place of `from`. */
static void replace(char out[8192], const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);

	if (!at)
		exit(1);
	snprintf(out, 8192, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

/* Its clock is one more argument. Keys would still run out by the server's, in the midst of a test
 * on a slow machine: but where it is about that, they last ten thousand times longer. */
static void make_script(void)
{
	replace(short_lived, script_text, SCRIPT_CLOCK, "local t = {0, ARGV[#ARGV]}\n");
	replace(script, short_lived, "'%.0f'", "'9999%.0f'");
}

static const char *called = script;

static struct resp called_at(const char *key, const int64_t args[SCRIPT_ARGS])
{
	struct merlon_str argv[4 + SCRIPT_ARGS + 1] = {TXT("EVAL"), txt_of(called), TXT("1"),
	                                               txt_of(key)};
	char numbers[SCRIPT_ARGS + 1][24];

	for (unsigned i = 0; i <= SCRIPT_ARGS; i++) {
		const int64_t v = i < SCRIPT_ARGS ? args[i] : now;
		snprintf(numbers[i], sizeof(numbers[i]), "%lld", (long long)v);
		argv[4 + i] = txt_of(numbers[i]);
	}
	struct resp *r = command(argv, 4 + SCRIPT_ARGS + 1), out = *r;
	resp_free(r);
	return out;
}

static struct resp call_at(const char *key, const int64_t args[SCRIPT_ARGS])
{
	const struct resp out = called_at(key, args);

	if (out.type == RESP_ERROR)
		printf("%s\n", out.text);
	CU_ASSERT_EQUAL_FATAL(out.type, RESP_ARRAY);
	CU_ASSERT_FALSE_FATAL(out.odd);
	CU_ASSERT_EQUAL_FATAL(out.n, SCRIPT_ANSWERS);
	CU_ASSERT_EQUAL(out.v[ANS_NONCE], args[ARG_NONCE]);
	CU_ASSERT_EQUAL(out.v[ANS_NOW], now);
	return out;
}

/* ---- both sides ---- */
struct model {
	struct ratelimit line;
	struct ratelimit_record rec;
	struct ratelimit_ask ask;
	int64_t args[SCRIPT_ARGS];
	int64_t leases[64]; /* slots of those under way */
	unsigned under_way;
	uint64_t until; /* of the record */
};

static uint64_t length(void)
{
	static const uint64_t all[] = {1000,    5000,     15000,     1000000,   1234567,
	                               7000001, 60000000, 600000000, 3600000000};

	return all[any(9)];
}

static void random_line(struct model *m)
{
	struct limit *l = &m->ask.limit;
	struct penalty *p = &m->line.limits.penalty;

	memset(m, 0, sizeof(*m));
	m->ask.line = &m->line;
	m->line.denied = any(4) == 0;
	for (unsigned i = 0; i < LIMIT_WINDOWS; i++) {
		l->window[i].length = any(4) > 0 ? length() : 0;
		l->window[i].count = any(3) > 0 ? any(8) : any(100);
	}
	l->concurrency = any(2) > 0 ? (int64_t)any(6) : -1;
	if (any(2) > 0)
		*p = (struct penalty){1 + any(5), length(), length() / 4 + 1, length()};
	if (p->max < p->block)
		p->max = p->block;
	for (unsigned i = 0; i < LIMIT_WINDOWS; i++) {
		m->args[ARG_LIMITS + 2 * i] = (int64_t)l->window[i].count;
		m->args[ARG_LIMITS + 2 * i + 1] = (int64_t)l->window[i].length;
	}
	m->args[ARG_CONCURRENCY] = l->concurrency;
	m->args[ARG_LEASE] = INT64_C(1000000000000000); /* none runs out here */
	m->args[ARG_AFTER] = (int64_t)p->after;
	m->args[ARG_WINDOW] = (int64_t)p->window;
	m->args[ARG_BLOCK] = (int64_t)p->block;
	m->args[ARG_MAX] = (int64_t)p->max;
	m->args[ARG_SLOT] = -1;
}

static void step_ask(struct model *m, const char *key)
{
	m->args[ARG_NONCE]++;
	m->args[ARG_WHAT] = m->line.denied ? SCRIPT_LOOK : SCRIPT_ASK;
	m->ask.now = (uint64_t)now;
	m->until = ratelimit_charge(&m->rec, 0, &m->ask);
	const struct ratelimit_verdict *v = &m->ask.verdict;
	const struct resp r = call_at(key, m->args);
	CU_ASSERT_EQUAL(r.v[ANS_WHY], v->why);
	CU_ASSERT_EQUAL(r.v[ANS_TIGHTEST], v->tightest);
	CU_ASSERT_EQUAL((uint64_t)r.v[ANS_WAIT], v->wait);
	CU_ASSERT_EQUAL((uint64_t)r.v[ANS_REMAINING], v->remaining);
	CU_ASSERT_EQUAL((uint64_t)r.v[ANS_RESET], v->reset);
	CU_ASSERT_EQUAL(r.v[ANS_SLOT] >= 0,
	                v->why == RATELIMIT_PASS && m->args[ARG_CONCURRENCY] >= 0);
	if (r.v[ANS_SLOT] >= 0 && m->under_way < 64)
		m->leases[m->under_way++] = r.v[ANS_SLOT];
}

static void step_end(struct model *m, const char *key)
{
	struct ratelimit_end e = {&m->ask.limit, &m->line.limits.penalty, (uint64_t)now, 0};
	int64_t args[SCRIPT_ARGS];

	memcpy(args, m->args, sizeof(args));
	args[ARG_WHAT] = SCRIPT_END;
	if (m->under_way > 0) {
		e.due |= RATELIMIT_RELEASE;
		args[ARG_SLOT] = m->leases[--m->under_way];
	}
	if (m->line.denied && any(2) > 0) {
		e.due |= RATELIMIT_CHARGE;
		args[ARG_AMOUNT] = 1;
	}
	m->until = ratelimit_finish(&m->rec, 0, &e);
	call_at(key, args);
}

static void step_renew(struct model *m, const char *key)
{
	int64_t args[SCRIPT_ARGS];

	if (m->under_way == 0)
		return;
	memcpy(args, m->args, sizeof(args));
	args[ARG_WHAT] = SCRIPT_RENEW;
	args[ARG_SLOT] = m->leases[0];
	const struct resp r = call_at(key, args);
	CU_ASSERT_TRUE(r.v[ANS_SLOT] >= m->leases[0]);
	m->leases[0] = r.v[ANS_SLOT];
}

/* The key is there as long as the record says something, and not much longer. */
static void check_expiry(const struct model *m, const char *key)
{
	struct resp *r = plain("PTTL", key);

	CU_ASSERT_EQUAL(r->type, RESP_INTEGER);
	if (m->under_way == 0 && m->until > (uint64_t)now) {
		const int64_t ms = (int64_t)((m->until - (uint64_t)now) / 1000) + 1;
		/* The server's own clock has gone on. */
		CU_ASSERT_TRUE(r->v[0] <= ms);
		CU_ASSERT_TRUE(r->v[0] >= ms - 60000);
	}
	CU_ASSERT_NOT_EQUAL(r->v[0], -1); /* never without an end */
	resp_free(r);
}

static void same_numbers_as_local(void)
{
	static struct model m;
	unsigned passed = 0, refused = 0, blocked = 0;
	char key[32];

	for (unsigned round = 0; round < ROUNDS; round++) {
		random_line(&m);
		snprintf(key, sizeof(key), "merlon:%u", round);
		now = INT64_C(1795000000000000) + any(1000000);
		for (unsigned step = 0; step < STEPS; step++) {
			const uint64_t jump = length() / (1 + any(40));
			now += any(3) > 0 ? (int64_t)any(1000) : (int64_t)jump;
			const uint32_t what = any(10);
			if (what < 7)
				step_ask(&m, key);
			else if (what < 9)
				step_end(&m, key);
			else
				step_renew(&m, key);
			passed += m.ask.verdict.why == RATELIMIT_PASS;
			refused += m.ask.verdict.why == RATELIMIT_RATE;
			blocked += m.ask.verdict.why == RATELIMIT_BLOCKED;
		}
	}
	CU_ASSERT_TRUE(passed > 1000 && refused > 300 && blocked > 300);
}

static void usual(struct model *m)
{
	random_line(m);
	m->line.denied = false;
	m->ask.limit = (struct limit){.window = {{1000000, 60000000}}, .concurrency = -1};
	m->line.limits.penalty = (struct penalty){0};
	memset(&m->args[ARG_LIMITS], 0, 2 * LIMIT_WINDOWS * sizeof(m->args[0]));
	m->args[ARG_LIMITS] = 1000000;
	m->args[ARG_LIMITS + 1] = 60000000;
	m->args[ARG_CONCURRENCY] = -1;
	m->args[ARG_AFTER] = 0;
	now = INT64_C(1795000000000000);
}

static void keys_end_when_they_say_nothing(void)
{
	struct model m;

	usual(&m);
	called = short_lived;
	step_ask(&m, "e");
	check_expiry(&m, "e");
	called = script;
	m.args[ARG_CONCURRENCY] = 5;
	m.ask.limit.concurrency = 5;
	m.args[ARG_LIMITS + 1] = 0;
	m.ask.limit.window[0].length = 0;
	memset(&m.rec, 0, sizeof(m.rec));
	step_ask(&m, "f");
	struct resp *r = plain("EXISTS", "f");
	CU_ASSERT_EQUAL(r->v[0], 1);
	resp_free(r);
	step_end(&m, "f"); /* nothing is under way any more */
	r = plain("EXISTS", "f");
	CU_ASSERT_EQUAL(r->v[0], 0);
	resp_free(r);
}

static void what_is_refused_writes_nothing(void)
{
	struct model m;

	usual(&m);
	m.args[ARG_LIMITS] = 0;
	m.ask.limit.window[0].count = 0;
	step_ask(&m, "g");
	struct resp *r = plain("EXISTS", "g");
	CU_ASSERT_EQUAL(r->v[0], 0);
	resp_free(r);
}

static void too_late_is_not_charged(void)
{
	struct model m;

	usual(&m);
	m.args[ARG_LATE] = now - 1;
	m.args[ARG_WHAT] = SCRIPT_ASK;
	struct resp r = call_at("l", m.args);
	CU_ASSERT_EQUAL(r.v[ANS_WHY], SCRIPT_LATE);
	m.args[ARG_LATE] = now;
	r = call_at("l", m.args);
	CU_ASSERT_EQUAL(r.v[ANS_WHY], RATELIMIT_PASS);
	CU_ASSERT_EQUAL(r.v[ANS_REMAINING], 999999);
}

static int64_t take(struct model *m, const char *key)
{
	m->args[ARG_WHAT] = SCRIPT_ASK;
	m->args[ARG_SLOT] = -1;
	m->args[ARG_SEARCH] = 0;
	const struct resp r = call_at(key, m->args);

	return r.v[ANS_WHY] == RATELIMIT_PASS ? r.v[ANS_SLOT] : -1;
}

static int64_t tell(struct model *m, const char *key, enum script_what what, int64_t slot,
                    int64_t search)
{
	m->args[ARG_WHAT] = what;
	m->args[ARG_SLOT] = slot;
	m->args[ARG_SEARCH] = search;
	return call_at(key, m->args).v[ANS_SLOT];
}

static void two_places(struct model *m)
{
	usual(m);
	m->args[ARG_LIMITS + 1] = 0;
	m->args[ARG_CONCURRENCY] = 2;
	m->args[ARG_LEASE] = 30000000;
}

/* A gateway that was killed gives nothing back: its places are free again when the lease is over,
 * and not before; those of another that renews are held on. */
static void leases_run_out_unless_renewed(void)
{
	struct model m;
	int64_t mine;

	two_places(&m);
	CU_ASSERT_TRUE(take(&m, "c") >= 0);
	CU_ASSERT_TRUE((mine = take(&m, "c")) >= 0);
	CU_ASSERT_TRUE(take(&m, "c") < 0);
	for (int i = 0; i < 3; i++) {
		now += 10000000;
		if (i < 2)
			CU_ASSERT_TRUE(take(&m, "c") < 0);
		mine = tell(&m, "c", SCRIPT_RENEW, mine, 0);
	}
	now += 2000000; /* 32 s: 16 slots of 2 s */
	CU_ASSERT_TRUE(take(&m, "c") >= 0);
	CU_ASSERT_TRUE(take(&m, "c") < 0); /* the renewed one is held */
	tell(&m, "c", SCRIPT_END, mine, 0);
	CU_ASSERT_TRUE(take(&m, "c") >= 0);
	CU_ASSERT_TRUE(take(&m, "c") < 0);
}

/* What ran out, was flushed, or lies in a slot that was never taken gives back nothing. */
static void a_lease_is_given_back_once(void)
{
	struct model m;

	two_places(&m);
	const int64_t a = take(&m, "d"), b = take(&m, "d");
	CU_ASSERT_EQUAL(a, b);
	tell(&m, "d", SCRIPT_END, a - 1, 0);
	tell(&m, "d", SCRIPT_END, a + 1, 0);
	tell(&m, "d", SCRIPT_END, a - 100, 1);
	CU_ASSERT_TRUE(take(&m, "d") < 0);
	tell(&m, "d", SCRIPT_END, a - 1, 1);
	CU_ASSERT_TRUE(take(&m, "d") >= 0); /* the last searched, and found one */
	CU_ASSERT_TRUE(take(&m, "d") < 0);
	tell(&m, "d", SCRIPT_END, a, 0);
	tell(&m, "d", SCRIPT_END, a, 0);
	tell(&m, "d", SCRIPT_END, a, 0);
	CU_ASSERT_TRUE(take(&m, "d") >= 0);
	CU_ASSERT_TRUE(take(&m, "d") >= 0);
	CU_ASSERT_TRUE(take(&m, "d") < 0);
	resp_free(plain("FLUSHALL", NULL));
	/* After a flush a renewal brings its lease back. */
	const int64_t c = tell(&m, "d", SCRIPT_RENEW, a, 0);
	CU_ASSERT_TRUE(take(&m, "d") >= 0);
	CU_ASSERT_TRUE(take(&m, "d") < 0);
	tell(&m, "d", SCRIPT_END, c, 0);
	CU_ASSERT_TRUE(take(&m, "d") >= 0);
}

/* The oldest slot that counts is somebody else's to the holder of an older one. */
static void what_ran_out_takes_nobodys_place(void)
{
	struct model m;

	two_places(&m);
	const int64_t old = take(&m, "o");
	now += 2000000;
	CU_ASSERT_EQUAL(take(&m, "o"), old + 1);
	now += 30000000; /* 15 slots: the first lease has run out, the second is in its last slot */
	CU_ASSERT_TRUE(take(&m, "o") >= 0);
	CU_ASSERT_TRUE(take(&m, "o") < 0);
	tell(&m, "o", SCRIPT_END, old, 0);
	tell(&m, "o", SCRIPT_END, old, 1);
	CU_ASSERT_TRUE(take(&m, "o") < 0);
	tell(&m, "o", SCRIPT_END, old + 1, 0);
	CU_ASSERT_TRUE(take(&m, "o") >= 0);
}

/* A renewal whose answer was lost: the end finds where it went. */
static void a_moved_lease_is_found(void)
{
	struct model m;

	two_places(&m);
	const int64_t a = take(&m, "m");
	now += 10000000;
	tell(&m, "m", SCRIPT_RENEW, a, 0);
	tell(&m, "m", SCRIPT_END, a, 1);
	CU_ASSERT_TRUE(take(&m, "m") >= 0);
	CU_ASSERT_TRUE(take(&m, "m") >= 0);
	CU_ASSERT_TRUE(take(&m, "m") < 0);
}

static void tell_server(const char *a, const char *b, const char *c, const char *d)
{
	const struct merlon_str argv[] = {txt_of(a), txt_of(b), txt_of(c), txt_of(d)};
	struct resp *r = command(argv, *d ? 4 : 3);

	CU_ASSERT_EQUAL(r->type, RESP_STATUS);
	resp_free(r);
}

static enum resp_error error_at(const char *key, struct model *m)
{
	const struct resp r = called_at(key, m->args);

	return r.type == RESP_ERROR ? resp_error_of(r.text) : RESP_E_OTHER;
}

/* A look must not pass where the charge that may follow cannot be made; and leaves nothing. */
static void who_looks_must_be_able_to_charge(void)
{
	struct model m;

	usual(&m);
	m.args[ARG_WHAT] = SCRIPT_LOOK;
	for (int there = 0; there < 2; there++) {
		call_at("w", m.args);
		struct resp *r = plain("EXISTS", "w");
		CU_ASSERT_EQUAL(r->v[0], there);
		resp_free(r);
		tell_server("CONFIG", "SET", "maxmemory", "1");
		CU_ASSERT_EQUAL(error_at("w", &m), RESP_E_OOM);
		tell_server("CONFIG", "SET", "maxmemory", "0");
		tell_server("REPLICAOF", "127.0.0.1", "1", "");
		CU_ASSERT_EQUAL(error_at("w", &m), RESP_E_READONLY);
		tell_server("REPLICAOF", "NO", "ONE", "");
		m.args[ARG_WHAT] = SCRIPT_END;
		m.args[ARG_AMOUNT] = 1;
		call_at("w", m.args);
		m.args[ARG_WHAT] = SCRIPT_LOOK;
		m.args[ARG_AMOUNT] = 0;
	}
	CU_ASSERT_EQUAL(call_at("w", m.args).v[ANS_REMAINING], 999998);
}

static void a_clock_set_back(void)
{
	struct model m;

	usual(&m);
	m.args[ARG_LIMITS] = 1;
	m.args[ARG_WHAT] = SCRIPT_ASK;
	CU_ASSERT_EQUAL(call_at("b", m.args).v[ANS_WHY], RATELIMIT_PASS);
	now -= 30000000; /* a little: the count stands */
	CU_ASSERT_EQUAL(call_at("b", m.args).v[ANS_WHY], RATELIMIT_RATE);
	now -= 3600000000; /* a lot: nobody is locked out for an hour */
	CU_ASSERT_EQUAL(call_at("b", m.args).v[ANS_WHY], RATELIMIT_PASS);
	CU_ASSERT_EQUAL(call_at("b", m.args).v[ANS_WHY], RATELIMIT_RATE);
}

/* Numbers at the edge of what a double holds exactly. */
static void the_largest_numbers(void)
{
	struct model m;

	usual(&m);
	m.args[ARG_NONCE] = SCRIPT_MOST - 1;
	m.args[ARG_LIMITS] = SCRIPT_MOST;
	m.args[ARG_LIMITS + 1] = SCRIPT_MOST;
	m.args[ARG_AFTER] = 1;
	m.args[ARG_WINDOW] = m.args[ARG_BLOCK] = m.args[ARG_MAX] = SCRIPT_MOST;
	m.args[ARG_WHAT] = SCRIPT_ASK;
	CU_ASSERT_EQUAL(call_at("n", m.args).v[ANS_REMAINING], SCRIPT_MOST - 1);
	CU_ASSERT_EQUAL(call_at("n", m.args).v[ANS_REMAINING], SCRIPT_MOST - 2);
	m.args[ARG_LIMITS] = 0;
	const struct resp r = call_at("n", m.args);
	CU_ASSERT_EQUAL(r.v[ANS_WHY], RATELIMIT_BLOCKED);
	CU_ASSERT_EQUAL(r.v[ANS_WAIT], SCRIPT_MOST);
	m.args[ARG_LIMITS] = SCRIPT_MOST;
	m.args[ARG_MAX] = 1000;
	CU_ASSERT_EQUAL(call_at("n", m.args).v[ANS_WAIT], 1000); /* a max that was lowered */
}

static const struct unit_test tests[] = {UNIT(same_numbers_as_local),
                                         UNIT(keys_end_when_they_say_nothing),
                                         UNIT(what_is_refused_writes_nothing),
                                         UNIT(too_late_is_not_charged),
                                         UNIT(leases_run_out_unless_renewed),
                                         UNIT(a_lease_is_given_back_once),
                                         UNIT(what_ran_out_takes_nobodys_place),
                                         UNIT(a_moved_lease_is_found),
                                         UNIT(who_looks_must_be_able_to_charge),
                                         UNIT(a_clock_set_back),
                                         UNIT(the_largest_numbers)};

int main(void)
{
	const char *ci = getenv("CI");

	dec = resp_decoder_new();
	make_script();
	if (!start_server()) {
		fprintf(stderr, "no redis-server\n");
		stop_server();
		return ci && strcmp(ci, "true") == 0 ? 1 : 77;
	}
	const int r = unit_run("script", tests, sizeof(tests) / sizeof(tests[0]));
	stop_server();
	return r;
}
