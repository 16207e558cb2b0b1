/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * ratelimit_redis over the fake host: what the end of a request brings, places in flight that are
 * given back and renewed, refusals that are charged; and requests for which nobody is asked.
 */
#include "line.h"

#include "unit/unit.h"

/* ---- what the end of a request brings ---- */
static void a_place_is_given_back(void)
{
	merlon_tx *tx;

	open_new("default = { concurrency = 2; };");
	check(tx = tx_of("alice"));
	CU_ASSERT_EQUAL(number(call(0), ARG_CONCURRENCY), 2);
	CU_ASSERT_EQUAL(number(call(0), ARG_LEASE), 30000000);
	answer(call(0), RATELIMIT_PASS, -1, 0, 0, 0, 4711);
	CU_ASSERT_EQUAL(fake_resumed(tx), MERLON_OK);
	finish(tx);
	CU_ASSERT_EQUAL(fake_count(FAKE_STREAM), 1);
	CU_ASSERT_EQUAL(number(call(0), ARG_WHAT), SCRIPT_END);
	CU_ASSERT_EQUAL(number(call(0), ARG_SLOT), 4711);
	CU_ASSERT_EQUAL(number(call(0), ARG_SEARCH), 0);
	CU_ASSERT_EQUAL(number(call(0), ARG_AMOUNT), 0);
	CU_ASSERT_EQUAL(number(call(0), ARG_LATE), 0); /* late or not, it is to be done */
	pass(call(0), -1);
	/* Refused: nothing to give back. */
	check(tx = tx_of("alice"));
	answer(call(0), RATELIMIT_CONCURRENCY, -1, 0, 0, 0, -1);
	CU_ASSERT_EQUAL(fake_resumed(tx), MERLON_LIMITED);
	CU_ASSERT_EQUAL(tx->fail.retry_after_ms, 1000);
	finish(tx);
	CU_ASSERT_EQUAL(fake_count(FAKE_STREAM), 0);
	close_line();
}

/* The client goes while its place is asked for: whoever gets it gives it back. */
static void a_place_of_nobody_is_given_back(void)
{
	merlon_tx *tx;

	open_new("default = { concurrency = 2; };");
	check(tx = tx_of("alice"));
	const struct merlon_str key = arg_of(call(0)->bytes, 3);
	finish_as(tx, MERLON_END_ABORTED, 0);
	CU_ASSERT_EQUAL(fake_count(FAKE_STREAM), 1);
	answer(call(0), RATELIMIT_PASS, -1, 0, 0, 0, 4711);
	CU_ASSERT_EQUAL(fake_count(FAKE_STREAM), 1);
	CU_ASSERT_EQUAL(number(call(0), ARG_WHAT), SCRIPT_END);
	CU_ASSERT_EQUAL(number(call(0), ARG_SLOT), 4711);
	CU_ASSERT_TRUE(txt_eq(arg_of(call(0)->bytes, 3), key));
	pass(call(0), -1);
	CU_ASSERT_EQUAL(fake_count(FAKE_STREAM), 0);
	check(tx = tx_of("alice"));
	m->cancel(inst, w, tx, 1, MERLON_CANCEL_TIMEOUT);
	finish(tx);
	answer(call(0), RATELIMIT_CONCURRENCY, -1, 0, 0, 0, -1);
	CU_ASSERT_EQUAL(fake_count(FAKE_STREAM), 0);
	close_line();
}

static void a_long_request_renews(void)
{
	merlon_tx *tx;

	open_new("default = { concurrency = 2; }; lease = \"30s\";");
	check(tx = tx_of("alice"));
	answer(call(0), RATELIMIT_PASS, -1, 0, 0, 0, 100);
	fake_advance(9999);
	CU_ASSERT_EQUAL(fake_count(FAKE_STREAM), 0);
	fake_advance(1);
	CU_ASSERT_EQUAL(number(call(0), ARG_WHAT), SCRIPT_RENEW);
	CU_ASSERT_EQUAL(number(call(0), ARG_SLOT), 100);
	answer(call(0), RATELIMIT_PASS, -1, 0, 0, 0, 105);
	fake_advance(10000);
	CU_ASSERT_EQUAL(number(call(0), ARG_SLOT), 105);
	/* No answer: it may be in a later slot, and is tried again soon; until it can be. */
	fake_stream_done(call(0), MERLON_E_TIMEOUT, NULL);
	fake_advance(999);
	CU_ASSERT_EQUAL(fake_count(FAKE_STREAM), 0);
	fake_streams[0].answer = MERLON_E_UNAVAIL;
	fake_advance(1);
	CU_ASSERT_EQUAL(fake_count(FAKE_STREAM), 0);
	fake_streams[0].answer = 0;
	fake_advance(1000);
	CU_ASSERT_EQUAL(number(call(0), ARG_SLOT), 105);
	CU_ASSERT_EQUAL(number(call(0), ARG_SEARCH), 1);
	/* It ends while it is renewed. */
	finish(tx);
	CU_ASSERT_EQUAL(fake_count(FAKE_STREAM), 2);
	CU_ASSERT_EQUAL(number(call(1), ARG_WHAT), SCRIPT_END);
	CU_ASSERT_EQUAL(number(call(1), ARG_SLOT), 105);
	CU_ASSERT_EQUAL(number(call(1), ARG_SEARCH), 1);
	answer(call(0), RATELIMIT_PASS, -1, 0, 0, 0, 110);
	pass(call(0), -1);
	fake_advance(100000); /* and is renewed no more */
	CU_ASSERT_EQUAL(fake_count(FAKE_STREAM), 0);
	close_line();
}

static void refusals_are_charged_at_their_end(void)
{
	merlon_tx *tx;

	ctx.group = "auth";
	open_new("count = \"denied\"; key = \"net.source\"; default = { requests = \"5/1m\"; };");
	const struct {
		uint32_t end, status;
		bool counts;
	} table[] = {{MERLON_END_SUCCESS, 200, false}, {MERLON_END_DENIED, 401, true},
	             {MERLON_END_DENIED, 403, true},   {MERLON_END_LIMITED, 429, false},
	             {MERLON_END_ERROR, 503, false},   {MERLON_END_ABORTED, 0, false}};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		tx = tx_of("alice");
		fake_attr(tx, "net.source", "192.0.2.1");
		CU_ASSERT_EQUAL(check(tx), MERLON_PENDING);
		CU_ASSERT_EQUAL(number(call(0), ARG_WHAT), SCRIPT_LOOK);
		pass(call(0), -1);
		finish_as(tx, table[i].end, table[i].status);
		CU_ASSERT_EQUAL(fake_count(FAKE_STREAM), table[i].counts);
		if (table[i].counts) {
			CU_ASSERT_EQUAL(number(call(0), ARG_WHAT), SCRIPT_END);
			CU_ASSERT_EQUAL(number(call(0), ARG_AMOUNT), 1);
			CU_ASSERT_EQUAL(number(call(0), ARG_SLOT), -1);
			pass(call(0), -1);
		}
	}
	close_line();
	ctx.group = "ratelimit";
}

/* ---- what is not asked ---- */
static void explain_asks_nobody(void)
{
	open_new("default = { requests = \"5/1m\"; };");
	merlon_tx *tx = tx_of("alice");
	CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_RATELIMIT), MERLON_OK);
	CU_ASSERT_TRUE(fake_is(tx->policy, "redis: not asked"));
	const struct merlon_summary s = {.size = sizeof(s), .end = MERLON_END_SUCCESS};
	m->settle(inst, NULL, tx, &s);
	fake_tx_free(tx);
	ctx.probing = 1;
	tx = tx_of("alice");
	CU_ASSERT_EQUAL(check(tx), MERLON_OK);
	finish(tx);
	ctx.probing = 0;
	CU_ASSERT_EQUAL(fake_count(FAKE_STREAM), 0);
	close_line();
}

static void what_cannot_wait_is_an_error(void)
{
	merlon_tx *tx;

	open_new("default = { concurrency = 5; };");
	fake_suspend_answer = MERLON_E_STATE;
	CU_ASSERT_EQUAL(check(tx = tx_of("alice")), MERLON_ERROR);
	finish(tx);
	answer(call(0), RATELIMIT_PASS, -1, 0, 0, 0, 7);
	CU_ASSERT_EQUAL(number(call(0), ARG_WHAT), SCRIPT_END);
	fake_suspend_answer = 0;
	close_line(); /* with a call under way */
}

UNIT_MAIN("settle", UNIT(a_place_is_given_back), UNIT(a_place_of_nobody_is_given_back),
          UNIT(a_long_request_renews), UNIT(refusals_are_charged_at_their_end),
          UNIT(explain_asks_nobody), UNIT(what_cannot_wait_is_an_error))
