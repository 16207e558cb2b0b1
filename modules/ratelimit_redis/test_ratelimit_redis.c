/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * ratelimit_redis over the fake host: what is sent, and what becomes of every kind of answer and of
 * none. The script itself is tested in test_script.c, in a real server.
 */
#include "line.h"

#include "unit/unit.h"

/* ---- what is sent ---- */
static void one_call_a_request(void)
{
	open_new(
	    "default = { requests = \"5/1m\"; burst = \"2/1s\"; };"
	    "penalty = { after = \"3/1m\"; block = \"30s\"; max = \"1h\"; }; prefix = \"p:\";");
	merlon_tx *tx = tx_of("alice");
	CU_ASSERT_EQUAL(check(tx), MERLON_PENDING);
	CU_ASSERT_EQUAL(fake_count(FAKE_STREAM), 1);
	const struct fake_op *op = call(0);
	CU_ASSERT_TRUE(fake_is(arg_of(op->bytes, 0), "EVALSHA"));
	CU_ASSERT_EQUAL(arg_of(op->bytes, 1).len, 40);
	CU_ASSERT_TRUE(fake_is(arg_of(op->bytes, 2), "1"));
	const struct merlon_str key = arg_of(op->bytes, 3);
	CU_ASSERT_EQUAL(memcmp(key.ptr, "p:default/ratelimit/rl:", 23), 0);
	CU_ASSERT_EQUAL(memcmp(key.ptr + key.len - 7, "0=alice", 7), 0);
	CU_ASSERT_EQUAL(op->timeout_ms, 20);
	CU_ASSERT_PTR_NULL(op->tx); /* it outlives its request */
	CU_ASSERT_EQUAL(number(op, ARG_WHAT), SCRIPT_ASK);
	CU_ASSERT_EQUAL(number(op, ARG_LIMITS), 5);
	CU_ASSERT_EQUAL(number(op, ARG_LIMITS + 1), 60000000);
	CU_ASSERT_EQUAL(number(op, ARG_LIMITS + 2), 2);
	CU_ASSERT_EQUAL(number(op, ARG_LIMITS + 3), 1000000);
	CU_ASSERT_EQUAL(number(op, ARG_CONCURRENCY), -1);
	CU_ASSERT_EQUAL(number(op, ARG_AFTER), 3);
	CU_ASSERT_EQUAL(number(op, ARG_BLOCK), 30000000);
	CU_ASSERT_EQUAL(number(op, ARG_MAX), INT64_C(3600000000));
	CU_ASSERT_EQUAL(number(op, ARG_LATE), 0);
	pass(call(0), -1);
	CU_ASSERT_EQUAL(fake_resumed(tx), MERLON_OK);
	finish(tx);
	CU_ASSERT_EQUAL(fake_count(FAKE_STREAM), 0); /* nothing to give back */
	close_line();
}

/* A key is the same on every gateway, and another where other things are counted. */
static void keys_tell_lines_apart(void)
{
	static const char *const lines[] = {
	    "default = { requests = \"5/1m\"; };",
	    "default = { requests = \"5/2m\"; };",
	    "key = \"id.org\"; default = { requests = \"5/1m\"; };",
	    "zone = \"shared\"; default = { requests = \"5/1m\"; };",
	    "count = \"denied\"; default = { requests = \"5/1m\"; };",
	    "prefix = \"\"; default = { requests = \"5/1m\"; };",
	};
	char keys[6][160] = {{0}};

	for (unsigned i = 0; i < 6; i++) {
		open_new(lines[i]);
		merlon_tx *tx = tx_of("alice");
		fake_attr(tx, "id.org", "alice");
		CU_ASSERT_EQUAL(check(tx), MERLON_PENDING);
		const struct merlon_str key = arg_of(call(0)->bytes, 3);
		snprintf(keys[i], sizeof(keys[i]), "%.*s", TXT_FMT(key));
		for (unsigned k = 0; k < i; k++)
			CU_ASSERT_STRING_NOT_EQUAL(keys[k], keys[i]);
		finish(tx);
		close_line();
	}
	open_new("default = { requests = \"7/1m\"; };"); /* another limit, the same counts */
	merlon_tx *tx = tx_of("alice");
	check(tx);
	CU_ASSERT_TRUE(fake_is(arg_of(call(0)->bytes, 3), keys[0]));
	finish(tx);
	close_line();
}

/* ---- the answers of the script ---- */
static void the_client_is_told(void)
{
	open_new("default = { requests = \"5/1m\"; burst = \"2/1s\"; };");
	merlon_tx *tx = tx_of("alice");
	check(tx);
	answer(call(0), RATELIMIT_PASS, 1, 0, 1, 900001, -1);
	CU_ASSERT_EQUAL(fake_resumed(tx), MERLON_OK);
	CU_ASSERT_TRUE(fake_is(fake_header_get(tx, 1, "x-ratelimit-limit-requests"), "2"));
	CU_ASSERT_TRUE(fake_is(fake_header_get(tx, 1, "x-ratelimit-remaining-requests"), "1"));
	CU_ASSERT_TRUE(fake_is(fake_header_get(tx, 1, "x-ratelimit-reset-requests"), "1.0s"));
	finish(tx);
	tx = tx_of("alice");
	check(tx);
	answer(call(0), RATELIMIT_RATE, 0, 12000001, 0, 60000000, -1);
	CU_ASSERT_EQUAL(fake_resumed(tx), MERLON_LIMITED);
	CU_ASSERT_EQUAL(tx->fail.retry_after_ms, 12001);
	CU_ASSERT_TRUE(fake_is(tx->fail.detail, "over its rate"));
	finish(tx);
	tx = tx_of("alice");
	check(tx);
	answer(call(0), RATELIMIT_BLOCKED, 0, 30000000, 0, 60000000, -1);
	CU_ASSERT_EQUAL(fake_resumed(tx), MERLON_LIMITED);
	CU_ASSERT_EQUAL(tx->fail.retry_after_ms, 30000);
	CU_ASSERT_TRUE(fake_is(tx->fail.detail, "blocked"));
	finish(tx);
	CU_ASSERT_EQUAL(fake_metric("merlon_ratelimit_redis_calls_total", "ok"), 3);
	close_line();
}

static void what_makes_no_sense_denies(void)
{
	static const char *const replies[] = {
	    "$-1\r\n",
	    "*-1\r\n",
	    "+OK\r\n",
	    ":1\r\n",
	    "$2\r\nOK\r\n",
	    "*0\r\n",
	    "*1\r\n:1\r\n",                                                  /* short */
	    "*8\r\n:N\r\n:1\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n$1\r\n1\r\n",   /* a string in it */
	    "*8\r\n:N\r\n:1\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n$-1\r\n",       /* a nil in it */
	    "*9\r\n:N\r\n:1\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:-1\r\n:0\r\n", /* long */
	    "*8\r\n:-1\r\n:1\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:-1\r\n",      /* another's nonce */
	    "*8\r\n:N\r\n:-1\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:-1\r\n", /* a time before 1970 */
	    "*8\r\n:N\r\n:1\r\n:5\r\n:0\r\n:0\r\n:0\r\n:0\r\n:-1\r\n",  /* no such verdict */
	    "*8\r\n:N\r\n:1\r\n:-1\r\n:0\r\n:0\r\n:0\r\n:0\r\n:-1\r\n", /* nor this */
	    "*8\r\n:N\r\n:1\r\n:4\r\n:0\r\n:0\r\n:0\r\n:0\r\n:-1\r\n",  /* late, of no bound */
	    "*8\r\n:N\r\n:1\r\n:0\r\n:2\r\n:0\r\n:0\r\n:0\r\n:-1\r\n",  /* no such window */
	    "*8\r\n:N\r\n:1\r\n:0\r\n:1\r\n:0\r\n:0\r\n:0\r\n:-1\r\n",  /* not limited */
	    "*8\r\n:N\r\n:1\r\n:0\r\n:0\r\n:-1\r\n:0\r\n:0\r\n:-1\r\n", /* a wait below 0 */
	    "*8\r\n:N\r\n:1\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:7\r\n",   /* a lease, not asked for */
	    "*8\r\n:N\r\n:1\r\n:0\r\n:0\r\n:9223372036854775807\r\n:0\r\n:0\r\n:-1\r\n",
	};
	unsigned n = sizeof(replies) / sizeof(replies[0]);

	open_new("default = { requests = \"5/1m\"; }; breaker = { failures = 1000; };");
	for (unsigned i = 0; i < n; i++) {
		char text[512];
		merlon_tx *tx = tx_of("alice");
		CU_ASSERT_EQUAL(check(tx), MERLON_PENDING);
		struct fake_op *op = call(0);
		const char *nonce = strchr(replies[i], 'N');
		snprintf(text, sizeof(text), "%s", replies[i]);
		if (nonce)
			snprintf(text, sizeof(text), "%.*s%lld%s", (int)(nonce - replies[i]),
			         replies[i], (long long)number(op, ARG_NONCE), nonce + 1);
		void *d = resp_decoder_new(), *msg;
		CU_ASSERT_EQUAL_FATAL(resp_decode(d, txt_of(text), &msg), 1);
		fake_stream_done(op, 0, msg);
		resp_free(msg);
		if (fake_resumed(tx) != MERLON_UNAVAIL)
			printf("reply %u: %d\n", i, (int)fake_resumed(tx));
		CU_ASSERT_EQUAL(fake_resumed(tx), MERLON_UNAVAIL);
		CU_ASSERT_TRUE(fake_is(tx->policy, "redis: its answer makes no sense, refused"));
		/* Such a connection ends. */
		CU_ASSERT_EQUAL(resp_decode(d, TXT("+OK\r\n"), &msg), -1);
		resp_decoder_free(d);
		finish(tx);
	}
	CU_ASSERT_EQUAL(fake_metric("merlon_ratelimit_redis_calls_total", "nonsense"), n);
	CU_ASSERT_EQUAL(fake_metric("merlon_ratelimit_redis_fallbacks_total", "deny"), n);
	close_line();
}

/* Whether the connection is given up; the next one has a decoder of its own. */
static bool is_distrusted(void)
{
	merlon_stream *s = &fake_streams[0];
	void *msg = NULL;
	const bool r = resp_decode(s->dec, (struct merlon_str){NULL, 0}, &msg) < 0;

	resp_decoder_free(s->dec);
	s->dec = NULL;
	return r;
}

static void errors_are_no_yes(void)
{
	static const struct {
		const char *reply, *policy;
	} table[] = {
	    {"-NOAUTH Authentication required.\r\n",
	     "redis: it wants a password (NOAUTH), refused"},
	    {"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
	     "redis: the password is wrong (WRONGPASS), refused"},
	    {"-NOPERM this user has no permissions to run the 'evalsha' command\r\n",
	     "redis: its user may not do this (NOPERM), refused"},
	    {"-LOADING Redis is loading the dataset in memory\r\n",
	     "redis: it is loading (LOADING), refused"},
	    {"-READONLY You can't write against a read only replica.\r\n",
	     "redis: it is a read-only replica (READONLY), refused"},
	    {"-ERR Error running script (call to f_ab): @user_script:9: -READONLY You can't\r\n",
	     "redis: it is a read-only replica (READONLY), refused"},
	    {"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to "
	     "'no'.\r\n",
	     "redis: it has lost its primary (MASTERDOWN), refused"},
	    {"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
	     "redis: its memory is full (OOM), refused"},
	    {"-BUSY Redis is busy running a script.\r\n",
	     "redis: it is busy with a script (BUSY), refused"},
	    {"-MOVED 3999 127.0.0.1:6381\r\n",
	     "redis: it is a cluster, which this version does not support (MOVED), refused"},
	    {"-CLUSTERDOWN Hash slot not served\r\n",
	     "redis: it is a cluster, which this version does not support (MOVED), refused"},
	    {"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
	     "redis: a key holds something else (WRONGTYPE), refused"},
	    {"-ERR The user executing the script can't run this command or subcommand script\r\n",
	     "redis: its user may not do this (NOPERM), refused"},
	    {"-ERR unknown command 'EVALSHA'\r\n",
	     "redis: it does not know a command of ours, refused"},
	    {"-ERR secret-of-the-peer\r\n", "redis: an error, refused"},
	    {"-\r\n", "redis: an error, refused"},
	};
	open_new("default = { requests = \"5/1m\"; }; breaker = { failures = 1000; };");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		merlon_tx *tx = tx_of("alice");
		CU_ASSERT_EQUAL(check(tx), MERLON_PENDING);
		say(call(0), table[i].reply);
		CU_ASSERT_EQUAL(fake_resumed(tx), MERLON_UNAVAIL);
		CU_ASSERT_TRUE(fake_is(tx->policy, table[i].policy));
		CU_ASSERT_TRUE(fake_is(tx->fail.detail, table[i].policy));
		CU_ASSERT_TRUE(fake_is(tx->fail.text, "limits cannot be checked now"));
		finish(tx);
		/* A replica is left, and its name asked for anew. */
		const bool left =
		    strstr(table[i].reply, "READONLY") || strstr(table[i].reply, "MASTERDOWN");
		CU_ASSERT_EQUAL(is_distrusted(), left);
	}
	close_line();
}

static void a_forgotten_script_is_loaded_once(void)
{
	merlon_tx *a, *b;

	open_new("default = { requests = \"5/1m\"; };");
	check(a = tx_of("alice"));
	check(b = tx_of("bob"));
	struct fake_op *one = call(0), *two = call(1);
	say(one, "-NOSCRIPT No matching script. Please use EVAL.\r\n");
	say(two, "-NOSCRIPT No matching script. Please use EVAL.\r\n");
	CU_ASSERT_EQUAL(fake_count(FAKE_STREAM), 3);
	struct fake_op *load = call(0);
	CU_ASSERT_TRUE(fake_is(arg_of(load->bytes, 0), "SCRIPT"));
	CU_ASSERT_TRUE(fake_is(arg_of(load->bytes, 2), script_text));
	one = call(1);
	two = call(2);
	say(load, "$40\r\n0123456789012345678901234567890123456789\r\n");
	pass(one, -1);
	pass(two, -1);
	CU_ASSERT_EQUAL(fake_resumed(a), MERLON_OK);
	CU_ASSERT_EQUAL(fake_resumed(b), MERLON_OK);
	CU_ASSERT_EQUAL(fake_metric("merlon_ratelimit_redis_script_loads_total", NULL), 1);
	finish(a);
	/* One that forgets at once is no use; nobody waits for ever. */
	check(a = tx_of("alice"));
	for (int i = 0; i < 2; i++) {
		say(call(0), "-NOSCRIPT No matching script.\r\n");
		say(call(0), "$1\r\nx\r\n");
	}
	say(call(0), "-NOSCRIPT No matching script.\r\n");
	CU_ASSERT_EQUAL(fake_resumed(a), MERLON_UNAVAIL);
	CU_ASSERT_EQUAL(fake_count(FAKE_STREAM), 0);
	finish(a);
	finish(b);
	close_line();
}

static void a_retry_keeps_the_deadline(void)
{
	merlon_tx *tx;

	open_new("default = { requests = \"5/1m\"; }; deadline = \"50ms\";");
	check(tx = tx_of("alice"));
	CU_ASSERT_EQUAL(call(0)->timeout_ms, 50);
	fake_now[0] += 30 * MS;
	say(call(0), "-NOSCRIPT No matching script.\r\n");
	CU_ASSERT_EQUAL(call(1)->timeout_ms, 20);
	fake_now[0] += 20 * MS;
	say(call(1), "-NOSCRIPT No matching script.\r\n");
	CU_ASSERT_EQUAL(fake_resumed(tx), MERLON_UNAVAIL);
	CU_ASSERT_TRUE(fake_is(tx->policy, "redis: timeout, refused"));
	finish(tx);
	close_line();
}

/* What Redis would come to only after the deadline is not to be charged: it is told until when, by
 * its own clock. */
static void late_is_told_by_its_own_clock(void)
{
	merlon_tx *tx;

	open_new("default = { requests = \"5/1m\"; };");
	check(tx = tx_of("alice"));
	CU_ASSERT_EQUAL(number(call(0), ARG_LATE), 0); /* its clock is not known yet */
	fake_now[0] += 3 * MS;
	pass(call(0), -1);
	finish(tx);
	fake_now[0] += 97 * MS;
	check(tx = tx_of("alice"));
	CU_ASSERT_EQUAL(number(call(0), ARG_LATE), REDIS_NOW + 100000 + 20000);
	/* Its clock was set forward: it is asked again, by the new time. */
	answer(call(0), SCRIPT_LATE, -1, 0, 0, 0, -1);
	CU_ASSERT_EQUAL(fake_resumed(tx), 0);
	CU_ASSERT_EQUAL(number(call(0), ARG_LATE), REDIS_NOW + 20000);
	pass(call(0), -1);
	CU_ASSERT_EQUAL(fake_resumed(tx), MERLON_OK);
	finish(tx);
	close_line();
}

/* ---- failures ---- */
static void each_on_error(void)
{
	static const struct {
		const char *options, *policy, *how;
		int32_t first, second;
	} table[] = {
	    {"", "redis: timeout, refused", "deny", MERLON_UNAVAIL, MERLON_UNAVAIL},
	    {"on_error = \"deny\";", "redis: timeout, refused", "deny", MERLON_UNAVAIL,
	     MERLON_UNAVAIL},
	    {"on_error = \"local\";", "redis: timeout, counted locally", "local", MERLON_OK,
	     MERLON_LIMITED},
	    {"on_error = \"allow\";", "redis: timeout, admitted uncounted", "allow", MERLON_OK,
	     MERLON_OK},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char text[256];
		merlon_tx *tx;
		snprintf(text, sizeof(text), "default = { requests = \"1/1m\"; }; %s",
		         table[i].options);
		open_new(text);
		check(tx = tx_of("alice"));
		fake_stream_done(call(0), MERLON_E_TIMEOUT, NULL);
		CU_ASSERT_EQUAL(fake_resumed(tx), table[i].first);
		CU_ASSERT_TRUE(fake_is(tx->policy, table[i].policy));
		finish(tx);
		check(tx = tx_of("alice"));
		fake_stream_done(call(0), MERLON_E_TIMEOUT, NULL);
		CU_ASSERT_EQUAL(fake_resumed(tx), table[i].second);
		finish(tx);
		CU_ASSERT_EQUAL(fake_metric("merlon_ratelimit_redis_fallbacks_total", table[i].how),
		                2);
		CU_ASSERT_EQUAL(fake_count(FAKE_STREAM), 0);
		close_line();
	}
}

static void counted_here_it_is_given_back_here(void)
{
	merlon_tx *tx, *other;

	open_new("default = { concurrency = 1; }; on_error = \"local\";");
	fake_streams[0].state = MERLON_STREAM_DOWN;
	tx = tx_of("alice");
	CU_ASSERT_EQUAL(check(tx), MERLON_OK);
	CU_ASSERT_TRUE(fake_is(tx->policy, "redis: it is not connected, counted locally"));
	fake_streams[0].state = MERLON_STREAM_UP;
	other = tx_of("alice");
	fake_streams[0].state = MERLON_STREAM_DOWN;
	CU_ASSERT_EQUAL(check(other), MERLON_LIMITED);
	fake_streams[0].state = MERLON_STREAM_UP;
	finish(tx);
	CU_ASSERT_EQUAL(fake_count(FAKE_STREAM), 0); /* not to Redis */
	fake_streams[0].state = MERLON_STREAM_DOWN;
	finish(other);
	other = tx_of("alice");
	CU_ASSERT_EQUAL(check(other), MERLON_OK);
	finish(other);
	close_line();
}

static void the_circuit(void)
{
	merlon_tx *tx, *other;

	open_new("default = { requests = \"5/1m\"; }; breaker = { failures = 3; open = \"2s\"; };");
	for (int i = 0; i < 3; i++) {
		check(tx = tx_of("alice"));
		fake_stream_done(call(0), i == 1 ? MERLON_E_UNAVAIL : MERLON_E_TIMEOUT, NULL);
		finish(tx);
	}
	CU_ASSERT_EQUAL(fake_metric("merlon_ratelimit_redis_circuit_opened_total", NULL), 1);
	tx = tx_of("alice");
	CU_ASSERT_EQUAL(check(tx), MERLON_UNAVAIL); /* at once */
	CU_ASSERT_TRUE(fake_is(tx->policy, "redis: the circuit is open, refused"));
	finish(tx);
	fake_now[0] += 2000 * MS;
	CU_ASSERT_EQUAL(check(tx = tx_of("alice")), MERLON_PENDING); /* one tries */
	CU_ASSERT_EQUAL(check(other = tx_of("bob")), MERLON_UNAVAIL);
	finish(other);
	fake_stream_done(call(0), MERLON_E_TIMEOUT, NULL);
	finish(tx);
	CU_ASSERT_EQUAL(check(tx = tx_of("alice")), MERLON_UNAVAIL); /* open again */
	finish(tx);
	fake_now[0] += 2000 * MS;
	/* The one that tries goes away: another may soon. */
	CU_ASSERT_EQUAL(check(tx = tx_of("alice")), MERLON_PENDING);
	finish(tx);
	fake_now[0] += 40 * MS;
	CU_ASSERT_EQUAL(check(tx = tx_of("alice")), MERLON_PENDING);
	pass(call(1), -1);
	CU_ASSERT_EQUAL(fake_resumed(tx), MERLON_OK);
	finish(tx);
	CU_ASSERT_EQUAL(check(tx = tx_of("alice")), MERLON_PENDING); /* closed */
	CU_ASSERT_EQUAL(check(other = tx_of("bob")), MERLON_PENDING);
	finish(tx);
	finish(other);
	close_line();
}

static void one_failure_among_answers_opens_nothing(void)
{
	merlon_tx *tx;

	open_new("default = { requests = \"5/1m\"; }; breaker = { failures = 2; };");
	for (int i = 0; i < 10; i++) {
		CU_ASSERT_EQUAL(check(tx = tx_of("alice")), MERLON_PENDING);
		if (i % 2)
			fake_stream_done(call(0), MERLON_E_TIMEOUT, NULL);
		else
			pass(call(0), -1);
		finish(tx);
	}
	CU_ASSERT_EQUAL(fake_metric("merlon_ratelimit_redis_circuit_opened_total", NULL), 0);
	close_line();
}

static void a_full_queue_is_a_failure(void)
{
	merlon_tx *tx;

	open_new("default = { requests = \"5/1m\"; };");
	fake_streams[0].answer = MERLON_E_FULL;
	CU_ASSERT_EQUAL(check(tx = tx_of("alice")), MERLON_UNAVAIL);
	CU_ASSERT_TRUE(fake_is(tx->policy, "redis: too much is waiting for it, refused"));
	finish(tx);
	close_line();
}

/* Answers in any order, deadlines missed in between: each request gets its own or none. */
static void no_answer_reaches_another(void)
{
	merlon_tx *tx[32];
	char mine[32][8];
	unsigned seed = 5;

	open_new("default = { requests = \"1000/1m\"; }; breaker = { failures = 1000000; };");
	for (int round = 0; round < 40; round++) {
		for (unsigned i = 0; i < 32; i++) {
			check(tx[i] = tx_of("alice"));
			snprintf(mine[i], sizeof(mine[i]), "%d",
			         (int)(number(call(i), ARG_NONCE) % 1000));
		}
		for (unsigned left = 32; left > 0; left--) {
			seed = seed * 1103515245 + 12345;
			struct fake_op *op = call(seed / 65536 % left);
			if (seed & 0x100000)
				fake_stream_done(op, MERLON_E_TIMEOUT, NULL);
			else
				answer(op, RATELIMIT_PASS, 0, 0, number(op, ARG_NONCE) % 1000, 1,
				       -1);
		}
		for (unsigned i = 0; i < 32; i++) {
			const struct merlon_str got =
			    fake_header_get(tx[i], 1, "x-ratelimit-remaining-requests");
			const int32_t code = fake_resumed(tx[i]);
			CU_ASSERT_EQUAL(code, got.ptr ? MERLON_OK : MERLON_UNAVAIL);
			CU_ASSERT_TRUE(!got.ptr || fake_is(got, mine[i]));
			finish(tx[i]);
		}
		fake_nops = fake_nwaits = 0;
	}
	close_line();
}

UNIT_MAIN("ratelimit_redis", UNIT(one_call_a_request), UNIT(keys_tell_lines_apart),
          UNIT(the_client_is_told), UNIT(what_makes_no_sense_denies), UNIT(errors_are_no_yes),
          UNIT(a_forgotten_script_is_loaded_once), UNIT(a_retry_keeps_the_deadline),
          UNIT(late_is_told_by_its_own_clock), UNIT(each_on_error),
          UNIT(counted_here_it_is_given_back_here), UNIT(the_circuit),
          UNIT(one_failure_among_answers_opens_nothing), UNIT(a_full_queue_is_a_failure),
          UNIT(no_answer_reaches_another))
