/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * ratelimit_local against the fake host: which limit holds for whom, what is charged, and what the
 * client is told.
 */
#include "test_line.h"

static void a_limit_is_kept(void)
{
	open_new("default = { requests = \"5/1m\"; };");
	CU_ASSERT_EQUAL(burst_of(9, "alice", NULL), 5);
	CU_ASSERT_EQUAL(burst_of(9, "bob", NULL), 5); /* a key of his own */
	fake_now[0] += 30 * S;
	CU_ASSERT_EQUAL(burst_of(9, "alice", NULL), 0);
	fake_now[0] += 35 * S;
	CU_ASSERT_EQUAL(burst_of(9, "alice", NULL), 5);
	m->destroy(inst);
}

static void the_client_is_told(void)
{
	open_new("default = { requests = \"3/15s\"; };");
	merlon_tx *tx = tx_of("alice", NULL, NULL);
	fake_now[0] = 1000 * S + S / 4; /* slots are 1 s: this one leaves 15.75 s from now */
	CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_RATELIMIT), MERLON_OK);
	CU_ASSERT_TRUE(fake_is(fake_header_get(tx, 1, "x-ratelimit-limit-requests"), "3"));
	CU_ASSERT_TRUE(fake_is(fake_header_get(tx, 1, "x-ratelimit-remaining-requests"), "2"));
	CU_ASSERT_TRUE(fake_is(fake_header_get(tx, 1, "x-ratelimit-reset-requests"), "15.8s"));
	finish(tx);
	CU_ASSERT_EQUAL(burst_of(5, "alice", NULL), 2);
	tx = tx_of("alice", NULL, NULL);
	CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_RATELIMIT), MERLON_LIMITED);
	CU_ASSERT_TRUE(fake_is(tx->fail.text, "rate limit exceeded"));
	CU_ASSERT_EQUAL(tx->fail.retry_after_ms, 15750);
	CU_ASSERT_TRUE(fake_is(fake_header_get(tx, 1, "x-ratelimit-remaining-requests"), "0"));
	fake_now[0] += UINT64_C(15750000000) - 1;
	CU_ASSERT_EQUAL(ask("alice", NULL, NULL), MERLON_LIMITED);
	fake_now[0] += 1; /* exactly as told */
	CU_ASSERT_EQUAL(ask("alice", NULL, NULL), MERLON_OK);
	finish(tx);
	m->destroy(inst);
}

static void retry_after_is_a_second_at_least(void)
{
	open_new("default = { burst = \"1/30ms\"; };");
	CU_ASSERT_EQUAL(ask("a", NULL, NULL), MERLON_OK);
	merlon_tx *tx = tx_of("a", NULL, NULL);
	CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_RATELIMIT), MERLON_LIMITED);
	CU_ASSERT_EQUAL(tx->fail.retry_after_ms, 1000);
	finish(tx);
	m->destroy(inst);
}

static void both_windows_must_pass_and_a_refusal_charges_none(void)
{
	open_new("default = { requests = \"6/10m\"; burst = \"2/1s\"; };");
	CU_ASSERT_EQUAL(burst_of(50, "a", NULL), 2);
	fake_now[0] += 2 * S;
	CU_ASSERT_EQUAL(burst_of(50, "a", NULL), 2);
	fake_now[0] += 2 * S;
	CU_ASSERT_EQUAL(burst_of(50, "a", NULL), 2);
	fake_now[0] += 2 * S;
	merlon_tx *tx = tx_of("a", NULL, NULL);
	CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_RATELIMIT), MERLON_LIMITED);
	/* The headers are those of the window that is nearer its end. */
	CU_ASSERT_TRUE(fake_is(fake_header_get(tx, 1, "x-ratelimit-limit-requests"), "6"));
	CU_ASSERT_TRUE(tx->fail.retry_after_ms > 500000);
	finish(tx);
	m->destroy(inst);
}

static void fields_merge_override_before_tier_before_default(void)
{
	open_new("default = { requests = \"10/1h\"; burst = \"4/1s\"; };"
	         "tiers = ( { tier = \"gold\"; requests = \"20/1h\"; burst = \"8/1s\"; } );"
	         "overrides = ( { key = \"alice\"; burst = \"6/1s\"; },"
	         "              { key = \"mallory\"; requests = \"0/1h\"; } );");
	CU_ASSERT_EQUAL(burst_of(50, "bob", NULL), 4);
	CU_ASSERT_EQUAL(burst_of(50, "carol", "gold"), 8);
	CU_ASSERT_EQUAL(burst_of(50, "dave", "tin"), 4);
	CU_ASSERT_EQUAL(burst_of(50, "alice", "gold"), 6);
	unsigned total = 6;
	for (int i = 0; i < 10; i++) {
		fake_now[0] += 3 * S;
		total += burst_of(50, "alice", "gold");
	}
	CU_ASSERT_EQUAL(total, 20); /* requests by her tier */
	CU_ASSERT_EQUAL(burst_of(3, "mallory", NULL), 0);
	merlon_tx *tx = tx_of("mallory", NULL, NULL);
	CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_RATELIMIT), MERLON_LIMITED);
	CU_ASSERT_EQUAL(tx->fail.retry_after_ms, 3600000); /* no time would help */
	finish(tx);
	m->destroy(inst);
}

/* Two credentials of one identity, whose tiers have other windows: neither ends the other's. */
static void tiers_with_other_windows_are_counted_apart(void)
{
	unsigned gold = 0, tin = 0;

	open_new("default = { requests = \"3/1h\"; };"
	         "tiers = ( { tier = \"gold\"; requests = \"5/1m\"; } );");
	for (int i = 0; i < 20; i++) {
		gold += ask("alice", "gold", NULL) == MERLON_OK;
		tin += ask("alice", "tin", NULL) == MERLON_OK;
	}
	CU_ASSERT_EQUAL(gold, 5);
	CU_ASSERT_EQUAL(tin, 3);
	m->destroy(inst);
}

static void without_a_limit_it_is_not_its_business(void)
{
	open_new("tiers = ( { tier = \"free\"; requests = \"1/1m\"; } );");
	CU_ASSERT_EQUAL(ask("a", NULL, NULL), MERLON_IGNORE);
	CU_ASSERT_EQUAL(ask("a", "free", NULL), MERLON_OK);
	CU_ASSERT_EQUAL(ask("a", "free", NULL), MERLON_LIMITED);
	m->destroy(inst);
}

static void concurrency_is_given_back(void)
{
	merlon_tx *tx[4];

	open_new("default = { concurrency = 2; };");
	for (int i = 0; i < 4; i++) {
		tx[i] = tx_of("a", NULL, NULL);
		CU_ASSERT_EQUAL(m->check(inst, NULL, tx[i], MERLON_RATELIMIT),
		                i < 2 ? MERLON_OK : MERLON_LIMITED);
	}
	CU_ASSERT_EQUAL(tx[3]->fail.retry_after_ms, 1000);
	CU_ASSERT_EQUAL(tx[3]->nheaders[1], 0);
	fake_now[0] += 10000 * S; /* a record with requests under way never vanishes */
	CU_ASSERT_EQUAL(ask("a", NULL, NULL), MERLON_LIMITED);
	finish(tx[2]); /* refused: nothing to give back */
	finish(tx[3]);
	CU_ASSERT_EQUAL(ask("a", NULL, NULL), MERLON_LIMITED);
	finish(tx[0]);
	CU_ASSERT_EQUAL(ask("a", NULL, NULL), MERLON_OK);
	finish(tx[1]);
	m->destroy(inst);
}

static void settling_twice_or_early_gives_back_nothing(void)
{
	open_new("default = { concurrency = 1; };");
	const struct merlon_summary s = {.size = sizeof(s)};
	merlon_tx *a = tx_of("a", NULL, NULL), *b = tx_of("a", NULL, NULL);
	m->settle(inst, NULL, b, &s); /* entered, never counted */
	CU_ASSERT_EQUAL(m->check(inst, NULL, a, MERLON_RATELIMIT), MERLON_OK);
	m->settle(inst, NULL, a, &s);
	m->settle(inst, NULL, a, &s);
	CU_ASSERT_EQUAL(m->check(inst, NULL, a, MERLON_RATELIMIT), MERLON_OK);
	CU_ASSERT_EQUAL(m->check(inst, NULL, b, MERLON_RATELIMIT), MERLON_LIMITED);
	finish(a);
	finish(b);
	m->destroy(inst);
}

/* A stack that is included twice asks its lines twice. */
static void a_request_counts_once(void)
{
	open_new("default = { requests = \"2/1m\"; concurrency = 1; };");
	for (int i = 0; i < 3; i++) {
		merlon_tx *tx = tx_of("a", NULL, NULL);
		int32_t code = i < 2 ? MERLON_OK : MERLON_LIMITED;
		CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_RATELIMIT), code);
		CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_RATELIMIT), code);
		finish(tx);
	}
	fake_zone.full = 1;
	merlon_tx *tx = tx_of("b", NULL, NULL);
	CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_RATELIMIT), MERLON_UNAVAIL);
	CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_RATELIMIT), MERLON_UNAVAIL);
	finish(tx);
	m->destroy(inst);
}

static void random_use_never_exceeds_concurrency(void)
{
	merlon_tx *under_way[16] = {NULL};
	unsigned n = 0, most = 0, seed = 7;

	open_new("default = { concurrency = 5; };");
	for (int i = 0; i < 5000; i++) {
		seed = seed * 1103515245 + 12345;
		unsigned at = seed >> 16 & 15;
		if (under_way[at]) {
			finish(under_way[at]);
			under_way[at] = NULL;
			n--;
			continue;
		}
		merlon_tx *tx = tx_of("a", NULL, NULL);
		bool ok = m->check(inst, NULL, tx, MERLON_RATELIMIT) == MERLON_OK;
		CU_ASSERT_EQUAL(ok, n < 5);
		if (ok) {
			under_way[at] = tx;
			n++;
		} else {
			finish(tx);
		}
		most = n > most ? n : most;
	}
	CU_ASSERT_EQUAL(most, 5);
	for (int i = 0; i < 16; i++) {
		if (under_way[i])
			finish(under_way[i]);
	}
	m->destroy(inst);
}

static void keys_fall_back_to_the_address(void)
{
	open_new("default = { requests = \"1/1m\"; };");
	CU_ASSERT_EQUAL(ask(NULL, NULL, "192.0.2.1"), MERLON_OK);
	CU_ASSERT_EQUAL(ask(NULL, NULL, "192.0.2.1"), MERLON_LIMITED);
	CU_ASSERT_EQUAL(ask(NULL, NULL, "::ffff:192.0.2.1"), MERLON_LIMITED);
	CU_ASSERT_EQUAL(ask(NULL, NULL, "192.0.2.2"), MERLON_OK);
	CU_ASSERT_EQUAL(ask("192.0.2.1", NULL, "192.0.2.1"), MERLON_OK); /* a name, no address */
	CU_ASSERT_EQUAL(ask(NULL, NULL, "2001:db8::1"), MERLON_OK);
	CU_ASSERT_EQUAL(ask(NULL, NULL, "2001:db8::2"), MERLON_LIMITED); /* the same /64 */
	CU_ASSERT_EQUAL(ask(NULL, NULL, "2001:db8:0:1::1"), MERLON_OK);
	CU_ASSERT_EQUAL(ask(NULL, NULL, NULL), MERLON_OK); /* all without any share one */
	CU_ASSERT_EQUAL(ask(NULL, NULL, NULL), MERLON_LIMITED);
	m->destroy(inst);
}

static void in_auth_the_address_counts(void)
{
	fake_reset();
	ctx.group = "auth";
	CU_ASSERT_EQUAL_FATAL(open_line("default = { requests = \"1/1m\"; };"), 0);
	CU_ASSERT_EQUAL(ask("alice", NULL, "192.0.2.1"), MERLON_OK);
	CU_ASSERT_EQUAL(ask("bob", NULL, "192.0.2.1"), MERLON_LIMITED);
	m->destroy(inst);
}

static void the_first_present_key_counts(void)
{
	open_new("key = [\"id.org\", \"id.sub\"]; default = { requests = \"1/1m\"; };");
	CU_ASSERT_EQUAL(ask("alice", NULL, NULL), MERLON_OK);
	CU_ASSERT_EQUAL(ask("alice", NULL, NULL), MERLON_LIMITED);
	merlon_tx *tx = tx_of("alice", NULL, NULL);
	fake_attr(tx, "id.org", "alice"); /* the same text in another attribute is another key */
	CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_RATELIMIT), MERLON_OK);
	finish(tx);
	m->destroy(inst);
}

static void the_tighter_line_is_told(void)
{
	open_new("default = { requests = \"9/1m\"; };");
	merlon_tx *tx = tx_of("a", NULL, NULL);
	fake_header(tx, MERLON_RESPONSE, "x-ratelimit-remaining-requests", "3");
	fake_header(tx, MERLON_RESPONSE, "x-ratelimit-limit-requests", "4");
	CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_RATELIMIT), MERLON_OK);
	CU_ASSERT_TRUE(fake_is(fake_header_get(tx, 1, "x-ratelimit-limit-requests"), "4"));
	CU_ASSERT_TRUE(fake_is(fake_header_get(tx, 1, "x-ratelimit-remaining-requests"), "3"));
	finish(tx);
	tx = tx_of("a", NULL, NULL);
	fake_header(tx, MERLON_RESPONSE, "x-ratelimit-remaining-requests", "30");
	CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_RATELIMIT), MERLON_OK);
	CU_ASSERT_TRUE(fake_is(fake_header_get(tx, 1, "x-ratelimit-remaining-requests"), "7"));
	finish(tx);
	m->destroy(inst);
}

static void a_changed_limit_keeps_the_counts_a_changed_window_does_not(void)
{
	open_new("default = { requests = \"5/1m\"; };");
	CU_ASSERT_EQUAL(burst_of(9, "a", NULL), 5);
	m->destroy(inst);
	CU_ASSERT_EQUAL_FATAL(open_line("default = { requests = \"7/1m\"; };"), 0);
	CU_ASSERT_EQUAL(burst_of(9, "a", NULL), 2);
	m->destroy(inst);
	CU_ASSERT_EQUAL_FATAL(open_line("default = { requests = \"7/2m\"; };"), 0);
	CU_ASSERT_EQUAL(burst_of(9, "a", NULL), 7);
	m->destroy(inst);
	CU_ASSERT_EQUAL_FATAL(open_line("key = \"id.team\"; default = { requests = \"7/2m\"; };"),
	                      0);
	CU_ASSERT_EQUAL(fake_zone.n, 0);
	m->destroy(inst);
}

static void a_full_zone_is_unavailable_and_lets_known_keys_pass(void)
{
	open_new("default = { requests = \"2/1m\"; }; max_keys = 1;");
	CU_ASSERT_EQUAL(fake_zone.max_records, 1);
	CU_ASSERT_EQUAL(ask("a", NULL, NULL), MERLON_OK);
	CU_ASSERT_EQUAL(ask("b", NULL, NULL), MERLON_UNAVAIL);
	CU_ASSERT_EQUAL(ask("a", NULL, NULL), MERLON_OK);
	m->destroy(inst);
}

static void bad_options_are_refused(void)
{
	static const struct {
		const char *options, *says;
	} table[] = {
	    {"default = { tokens = \"1/1d\"; };", "is not supported by this version"},
	    {"default = { cost = \"1.0/1d\"; };", "is not supported by this version"},
	    {"tiers = ( { tier = \"a\"; cost = \"1.0/1d\"; } );",
	     "is not supported by this version"},
	    {"penalty = { after = \"0/1m\"; };", "at least one refusal"},
	    {"penalty = { after = \"5/0ms\"; };", "at least one refusal"},
	    {"penalty = { after = \"5/1m\"; block = \"2h\"; };", "is shorter than the first block"},
	    {"key = [];", "must name 1 to 8 attributes"},
	    {"key = \"sub\";", "\"sub\" is no attribute to count by"},
	    {"key = \"id.subb\";", "did you mean \"id.sub\"?"},
	    {"key = \"id.roles\";", "\"id.roles\" is no attribute to count by"},
	    {"key = \"x.\";", "\"x.\" is no attribute to count by"},
	    {"default = { requests = \"5/0ms\"; };", "has a window shorter than 1ms"},
	    {"tiers = ( { tier = \"a\"; }, { tier = \"a\"; } );", "stands here already"},
	    {"overrides = ( { key = \"a\"; }, { key = \"a\"; } );", "stands here already"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		fake_reset();
		CU_ASSERT_EQUAL(open_line(table[i].options), -1);
		CU_ASSERT_PTR_NOT_NULL(strstr(fake_errors, table[i].says));
	}
	fake_reset();
}

UNIT_MAIN("ratelimit_local", UNIT(a_limit_is_kept), UNIT(the_client_is_told),
          UNIT(retry_after_is_a_second_at_least),
          UNIT(both_windows_must_pass_and_a_refusal_charges_none),
          UNIT(fields_merge_override_before_tier_before_default),
          UNIT(tiers_with_other_windows_are_counted_apart),
          UNIT(without_a_limit_it_is_not_its_business), UNIT(concurrency_is_given_back),
          UNIT(settling_twice_or_early_gives_back_nothing), UNIT(a_request_counts_once),
          UNIT(random_use_never_exceeds_concurrency), UNIT(keys_fall_back_to_the_address),
          UNIT(in_auth_the_address_counts), UNIT(the_first_present_key_counts),
          UNIT(the_tighter_line_is_told),
          UNIT(a_changed_limit_keeps_the_counts_a_changed_window_does_not),
          UNIT(a_full_zone_is_unavailable_and_lets_known_keys_pass), UNIT(bad_options_are_refused))
