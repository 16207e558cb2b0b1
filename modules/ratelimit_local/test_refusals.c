/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What refusals bring, against the fake host: penalties, and lines that count refusals alone.
 */
#include "test_line.h"

/* ---- penalty ---- */
static const char punished[] = "default = { requests = \"2/15s\"; };"
			       "penalty = { after = \"3/1m\"; block = \"30s\"; max = \"2m\"; };";

/* One request that is to be refused: its Retry-After in ms, and why. */
static uint32_t refusal(const char *sub, const char *why)
{
	merlon_tx *tx = tx_of(sub, NULL, "192.0.2.1");
	uint32_t ms;

	CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_RATELIMIT), MERLON_LIMITED);
	CU_ASSERT_TRUE(fake_is(tx->fail.detail, why));
	ms = tx->fail.retry_after_ms;
	finish(tx);
	return ms;
}

static void a_key_that_goes_on_is_blocked(void)
{
	open_new(punished);
	CU_ASSERT_EQUAL(burst_of(2, "a", NULL), 2);
	CU_ASSERT_EQUAL(refusal("a", "over its rate"), 16000);
	CU_ASSERT_EQUAL(refusal("a", "over its rate"), 16000);
	CU_ASSERT_EQUAL(refusal("a", "blocked"), 30000);
	fake_now[0] += 20 * S; /* its window is empty again, the block still runs */
	CU_ASSERT_EQUAL(refusal("a", "blocked"), 10000);
	CU_ASSERT_EQUAL(burst_of(2, "b", NULL), 2); /* another key is not meant */
	for (int i = 0; i < 100; i++)
		refusal("a", "blocked"); /* nor is the block extended */
	fake_now[0] += 10 * S - 1;
	CU_ASSERT_EQUAL(refusal("a", "blocked"), 1000);
	fake_now[0] += 1;
	CU_ASSERT_EQUAL(burst_of(9, "a", NULL), 2); /* and 7 refusals: blocked for twice the time */
	CU_ASSERT_EQUAL(refusal("a", "blocked"), 60000);
	m->destroy(inst);
}

static void the_blocked_are_told(void)
{
	open_new(punished);
	burst_of(5, "a", NULL);
	fake_now[0] += 20 * S;
	merlon_tx *tx = tx_of("a", NULL, NULL);
	CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_RATELIMIT), MERLON_LIMITED);
	CU_ASSERT_TRUE(fake_is(fake_header_get(tx, 1, "x-ratelimit-limit-requests"), "2"));
	CU_ASSERT_TRUE(fake_is(fake_header_get(tx, 1, "x-ratelimit-remaining-requests"), "0"));
	CU_ASSERT_TRUE(fake_is(fake_header_get(tx, 1, "x-ratelimit-reset-requests"), "10.0s"));
	finish(tx);
	m->destroy(inst);
}

/* Too many at a time is a refusal as others are; a block refuses what would fit. */
static void concurrency_is_punished_too(void)
{
	open_new(
	    "default = { concurrency = 1; }; penalty = { after = \"1/1s\"; block = \"5s\"; };");
	merlon_tx *tx = tx_of("a", NULL, NULL);
	CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_RATELIMIT), MERLON_OK);
	CU_ASSERT_EQUAL(refusal("a", "blocked"), 5000);
	finish(tx);
	CU_ASSERT_EQUAL(refusal("a", "blocked"), 5000);
	fake_now[0] += 5 * S;
	CU_ASSERT_EQUAL(ask("a", NULL, NULL), MERLON_OK);
	m->destroy(inst);
}

static void a_block_outlives_a_reload_unless_its_window_changes(void)
{
	open_new(punished);
	burst_of(5, "a", NULL);
	m->destroy(inst);
	CU_ASSERT_EQUAL_FATAL(
	    open_line("default = { requests = \"9/15s\"; };"
	              "penalty = { after = \"4/1m\"; block = \"10s\"; max = \"20s\"; };"),
	    0);
	CU_ASSERT_EQUAL(refusal("a", "blocked"), 20000); /* the lower max holds at once */
	m->destroy(inst);
	CU_ASSERT_EQUAL_FATAL(open_line("default = { requests = \"2/15s\"; };"
	                                "penalty = { after = \"3/2m\"; };"),
	                      0);
	CU_ASSERT_EQUAL(burst_of(2, "a", NULL), 2);
	m->destroy(inst);
	CU_ASSERT_EQUAL_FATAL(open_line("default = { requests = \"2/15s\"; };"), 0);
	CU_ASSERT_EQUAL(fake_zone.rec_size, 296); /* who punishes nobody keeps nothing for it */
	m->destroy(inst);
}

/* ---- count = "denied" ---- */
/* One request that ends so. */
static int32_t ask_ended(const char *source, uint32_t end, uint32_t status)
{
	const struct merlon_summary s = {.size = sizeof(s), .end = end, .http_status = status};
	merlon_tx *tx = tx_of(NULL, NULL, source);
	int32_t code = m->check(inst, NULL, tx, MERLON_AUTH);

	m->settle(inst, NULL, tx, &s);
	m->settle(inst, NULL, tx, &s); /* once only */
	fake_tx_free(tx);
	return code;
}

static void only_refusals_are_counted(void)
{
	static const struct {
		uint32_t end, status;
		bool counts;
	} table[] = {
	    {MERLON_END_SUCCESS, 200, false},
	    {MERLON_END_SUCCESS, 401, false}, /* of the upstream */
	    {MERLON_END_SUCCESS, 403, false},
	    {MERLON_END_LIMITED, 429, false},
	    {MERLON_END_ERROR, 400, false},
	    {MERLON_END_ERROR, 503, false},
	    {MERLON_END_ABORTED, 0, false},
	    {MERLON_END_DENIED, 404, false},
	    {MERLON_END_DENIED, 200, false},
	    {MERLON_END_DENIED, 401, true},
	    {MERLON_END_DENIED, 403, true},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		open_new("key = \"net.source\"; count = \"denied\"; default = { requests = "
		         "\"2/15s\"; };");
		for (int n = 0; n < 2; n++) {
			CU_ASSERT_EQUAL(ask_ended("192.0.2.1", table[i].end, table[i].status),
			                MERLON_OK);
		}
		CU_ASSERT_EQUAL(ask_ended("192.0.2.1", table[i].end, table[i].status),
		                table[i].counts ? MERLON_LIMITED : MERLON_OK);
		CU_ASSERT_EQUAL(ask_ended("192.0.2.2", MERLON_END_DENIED, 401), MERLON_OK);
		m->destroy(inst);
	}
}

static void refused_collectors_are_told_when(void)
{
	open_new("key = \"net.source\"; count = \"denied\"; default = { requests = \"2/15s\"; };");
	merlon_tx *tx = tx_of(NULL, NULL, "2001:db8::1");
	CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_AUTH), MERLON_OK);
	CU_ASSERT_EQUAL(tx->nheaders[1], 0); /* what is left is not told */
	finish(tx);
	CU_ASSERT_EQUAL(ask_ended("2001:db8::2", MERLON_END_DENIED, 401), MERLON_OK);
	CU_ASSERT_EQUAL(ask_ended("2001:db8::3", MERLON_END_DENIED, 401), MERLON_OK);
	tx = tx_of(NULL, NULL, "2001:db8::4"); /* the same /64 */
	CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_AUTH), MERLON_LIMITED);
	CU_ASSERT_TRUE(fake_is(tx->fail.detail, "too many refused requests"));
	CU_ASSERT_EQUAL(tx->fail.retry_after_ms, 16000);
	CU_ASSERT_TRUE(fake_is(fake_header_get(tx, 1, "x-ratelimit-remaining-requests"), "0"));
	finish(tx);
	fake_now[0] += 16 * S - 1; /* being refused has not prolonged it */
	CU_ASSERT_EQUAL(ask_ended("2001:db8::5", MERLON_END_SUCCESS, 200), MERLON_LIMITED);
	fake_now[0] += 1;
	CU_ASSERT_EQUAL(ask_ended("2001:db8::5", MERLON_END_SUCCESS, 200), MERLON_OK);
	m->destroy(inst);
}

/* P10: what is under way is not counted yet; concurrency bounds how much that can be. */
static void refusals_overshoot_by_what_is_under_way(void)
{
	const struct merlon_summary s = {
	    .size = sizeof(s), .end = MERLON_END_DENIED, .http_status = 401};

	for (unsigned bound = 0; bound < 2; bound++) {
		merlon_tx *tx[32];
		unsigned served = 0, n = 0, most = bound ? 5 + 4 - 1 : 5 + 32 - 1;
		open_new(
		    bound
			? "count = \"denied\"; default = { requests = \"5/1m\"; concurrency = 4; };"
			: "count = \"denied\"; default = { requests = \"5/1m\"; };");
		for (int i = 0; i < 4; i++)
			served += ask_ended("192.0.2.1", MERLON_END_DENIED, 401) == MERLON_OK;
		for (int round = 0; round < 8; round++) {
			for (n = 0; n < 32; n++) {
				tx[n] = tx_of(NULL, NULL, "192.0.2.1");
				served += m->check(inst, NULL, tx[n], MERLON_AUTH) == MERLON_OK;
			}
			while (n-- > 0) {
				m->settle(inst, NULL, tx[n], &s);
				fake_tx_free(tx[n]);
			}
		}
		CU_ASSERT_EQUAL(served, most);
		m->destroy(inst);
	}
}

static void collectors_are_blocked(void)
{
	open_new("count = \"denied\"; default = { requests = \"2/15s\"; };"
	         "penalty = { after = \"2/1m\"; block = \"1m\"; };");
	for (int i = 0; i < 3; i++)
		ask_ended("192.0.2.1", MERLON_END_DENIED, 401);
	CU_ASSERT_EQUAL(ask_ended("192.0.2.1", MERLON_END_DENIED, 401), MERLON_LIMITED);
	fake_now[0] += 59 * S;
	CU_ASSERT_EQUAL(ask_ended("192.0.2.1", MERLON_END_SUCCESS, 200), MERLON_LIMITED);
	fake_now[0] += 1 * S;
	CU_ASSERT_EQUAL(ask_ended("192.0.2.1", MERLON_END_SUCCESS, 200), MERLON_OK);
	m->destroy(inst);
}

static void counting_something_else_begins_anew(void)
{
	open_new("default = { requests = \"2/1m\"; };");
	burst_of(2, "a", NULL);
	m->destroy(inst);
	CU_ASSERT_EQUAL_FATAL(open_line("default = { requests = \"2/1m\"; }; count = \"denied\";"),
	                      0);
	CU_ASSERT_EQUAL(ask("a", NULL, NULL), MERLON_OK);
	m->destroy(inst);
}

UNIT_MAIN("ratelimit_local refusals", UNIT(a_key_that_goes_on_is_blocked),
          UNIT(the_blocked_are_told), UNIT(concurrency_is_punished_too),
          UNIT(a_block_outlives_a_reload_unless_its_window_changes),
          UNIT(only_refusals_are_counted), UNIT(refused_collectors_are_told_when),
          UNIT(refusals_overshoot_by_what_is_under_way), UNIT(collectors_are_blocked),
          UNIT(counting_something_else_begins_anew))
