/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Calls over streams: whose answer is whose, whatever is cancelled, late, lost or split, and what
 * ends a connection.
 */
#include "stack_streams.h"

#include <time.h>

/* ---- a call ---- */
struct asked {
	merlon_op *op;
	unsigned done;
	int32_t error;
	char answer[64];
	struct asked *cancels; /* when it is done */
};

static void on_done(void *arg, int32_t error, const void *msg)
{
	struct asked *a = arg;

	a->done++;
	a->error = error;
	CU_ASSERT_EQUAL(msg != NULL, error == 0);
	snprintf(a->answer, sizeof(a->answer), "%s", msg ? (const char *)msg : "");
	if (a->cancels)
		host_op_cancel(a->cancels->op);
	if (loop)
		loop_stop(loop);
}

static struct merlon_ctx *ctx;
static merlon_tx *tx;

static int32_t ask(merlon_tx *by, const char *z, uint32_t ms, struct asked *a)
{
	a->done = 0;
	return host_stream_call(opened, ctx, NULL, by, text(z), ms, on_done, a, &a->op);
}

static void until_done(struct asked *a)
{
	for (int i = 0; i < 30000 && !a->done; i++) {
		turn();
		if (!a->done)
			poll(NULL, 0, 1);
	}
	CU_ASSERT_EQUAL_FATAL(a->done, 1);
}

static void begin(void)
{
	set_up_calls();
	ctx = instance();
	peer_accept();
	until_state(MERLON_STREAM_UP);
	tx = tx_new();
}

static void end(void)
{
	tx_end(tx);
	instance_end(ctx);
	tear_down();
}

#define ANSWERED(a, z)                                                                             \
	do {                                                                                       \
		until_done(a);                                                                     \
		CU_ASSERT_EQUAL((a)->error, 0);                                                    \
		CU_ASSERT_STRING_EQUAL((a)->answer, z);                                            \
	} while (0)
#define FAILED(a, e)                                                                               \
	do {                                                                                       \
		until_done(a);                                                                     \
		CU_ASSERT_EQUAL((a)->error, e);                                                    \
	} while (0)

/* ---- whose answer ---- */
static void answers_come_in_the_order_of_calls(void)
{
	struct asked a[3];

	begin();
	memset(a, 0, sizeof(a));
	CU_ASSERT_EQUAL(ask(tx, "one\n", 5000, &a[0]), 0);
	CU_ASSERT_EQUAL(ask(tx, "two\n", 5000, &a[1]), 0);
	CU_ASSERT_EQUAL(a[0].done, 0);
	HEARS("one\ntwo\n");
	peer_say("1\n2\n");
	ANSWERED(&a[0], "1");
	ANSWERED(&a[1], "2");
	CU_ASSERT_EQUAL(ask(tx, "three\n", 5000, &a[2]), 0);
	HEARS("three\n");
	peer_say("3\n");
	ANSWERED(&a[2], "3");
	CU_ASSERT_EQUAL(((struct fake_tx *)(void *)tx)->base.nops, 0);
	end();
}

static void answers_may_come_split_at_every_byte(void)
{
	static const char all[] = "first\nsecond one\nx\n";

	begin();
	for (size_t at1 = 1; at1 < sizeof(all) - 2; at1++) {
		struct asked a[3];
		char head[32];

		memset(a, 0, sizeof(a));
		for (int i = 0; i < 3; i++)
			CU_ASSERT_EQUAL(ask(tx, "q\n", 5000, &a[i]), 0);
		HEARS("q\nq\nq\n");
		snprintf(head, sizeof(head), "%.*s", (int)at1, all);
		peer_say(head);
		turn();
		peer_say(all + at1);
		ANSWERED(&a[0], "first");
		ANSWERED(&a[1], "second one");
		ANSWERED(&a[2], "x");
	}
	end();
}

static void a_late_answer_reaches_nobody(void)
{
	struct asked late = {0}, next = {0};

	begin();
	CU_ASSERT_EQUAL(ask(tx, "late\n", 5, &late), 0);
	HEARS("late\n");
	FAILED(&late, MERLON_E_TIMEOUT);
	CU_ASSERT_EQUAL(ask(tx, "next\n", 5000, &next), 0);
	HEARS("next\n");
	peer_say("to late\n");
	turn();
	CU_ASSERT_EQUAL(next.done, 0);
	CU_ASSERT_EQUAL(late.done, 1);
	peer_say("to next\n");
	ANSWERED(&next, "to next");
	end();
}

static void a_cancelled_call_is_answered_to_nobody(void)
{
	struct asked a = {0}, b = {0};
	merlon_tx *gone = NULL;

	begin();
	gone = tx_new();
	CU_ASSERT_EQUAL(ask(gone, "a\n", 5000, &a), 0);
	CU_ASSERT_EQUAL(ask(tx, "b\n", 5000, &b), 0);
	HEARS("a\nb\n");
	tx_end(gone);
	host_op_cancel(a.op);
	peer_say("1\n2\n");
	ANSWERED(&b, "2");
	CU_ASSERT_EQUAL(a.done, 0);
	host_op_cancel(b.op);
	end();
}

static void one_that_was_not_yet_sent_is_never_sent(void)
{
	struct asked a = {0}, b = {0};

	begin();
	CU_ASSERT_EQUAL(ask(tx, "a\n", 5000, &a), 0);
	CU_ASSERT_EQUAL(ask(tx, "b\n", 5000, &b), 0);
	host_op_cancel(a.op);
	HEARS("b\n");
	peer_say("2\n");
	ANSWERED(&b, "2");
	CU_ASSERT_EQUAL(a.done, 0);
	end();
}

static void calls_of_an_instance_go_with_it(void)
{
	struct asked a = {0}, b = {0};
	struct merlon_ctx *other;

	begin();
	other = instance();
	CU_ASSERT_EQUAL(
	    host_stream_call(opened, other, &W.w, NULL, text("a\n"), 5000, on_done, &a, &a.op), 0);
	CU_ASSERT_EQUAL(ask(tx, "b\n", 5000, &b), 0);
	HEARS("a\nb\n");
	instance_end(other);
	peer_say("1\n2\n");
	ANSWERED(&b, "2");
	CU_ASSERT_EQUAL(a.done, 0);
	end();
}

/* ---- ends ---- */
static void a_lost_connection_fails_what_waits(void)
{
	struct asked a = {0}, b = {0}, c = {0}, again = {0};

	begin();
	a.cancels = &b;
	CU_ASSERT_EQUAL(ask(tx, "a\n", 5000, &a), 0);
	CU_ASSERT_EQUAL(ask(tx, "b\n", 5000, &b), 0);
	CU_ASSERT_EQUAL(ask(tx, "c\n", 5000, &c), 0);
	HEARS("a\nb\nc\n");
	peer_close();
	FAILED(&a, MERLON_E_UNAVAIL);
	FAILED(&c, MERLON_E_UNAVAIL);
	CU_ASSERT_EQUAL(b.done, 0);
	/* The next is for the connection that is being made; nothing was sent twice. */
	CU_ASSERT_EQUAL(ask(tx, "again\n", 5000, &again), 0);
	peer_accept();
	HEARS("again\n");
	peer_say("yes\n");
	ANSWERED(&again, "yes");
	end();
}

static void answers_before_the_end_are_heard(void)
{
	struct asked a = {0}, b = {0};

	begin();
	CU_ASSERT_EQUAL(ask(tx, "a\n", 5000, &a), 0);
	CU_ASSERT_EQUAL(ask(tx, "b\n", 5000, &b), 0);
	HEARS("a\nb\n");
	peer_say("1\n2 is cut o");
	peer_close();
	ANSWERED(&a, "1");
	FAILED(&b, MERLON_E_UNAVAIL);
	end();
}

static void a_reset_within_an_answer(void)
{
	struct asked a = {0};
	struct linger hard = {1, 0};

	begin();
	CU_ASSERT_EQUAL(ask(tx, "a\n", 5000, &a), 0);
	HEARS("a\n");
	peer_say("1 with");
	setsockopt(peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	peer_close();
	FAILED(&a, MERLON_E_UNAVAIL);
	end();
}

static void nonsense_ends_the_connection(void)
{
	struct asked a = {0}, b = {0};

	begin();
	CU_ASSERT_EQUAL(ask(tx, "a\n", 5000, &a), 0);
	CU_ASSERT_EQUAL(ask(tx, "b\n", 5000, &b), 0);
	HEARS("a\nb\n");
	peer_say("1\n");
	ANSWERED(&a, "1");
	peer_say("!\n");
	FAILED(&b, MERLON_E_UNAVAIL);
	CU_ASSERT_TRUE(peer_at_end());
	end();
}

static void an_answer_that_nobody_asked_for_ends_it(void)
{
	struct asked a = {0};

	begin();
	peer_say("surprise\n");
	CU_ASSERT_TRUE(peer_at_end());
	peer_close();
	peer_accept();
	until_state(MERLON_STREAM_UP);
	/* Neither is one that stands ready before the question. */
	CU_ASSERT_EQUAL(ask(tx, "a\n", 5000, &a), 0);
	HEARS("a\n");
	peer_say("1\n2\n");
	ANSWERED(&a, "1");
	CU_ASSERT_TRUE(peer_at_end());
	end();
}

static void an_answer_to_what_was_not_yet_written_ends_it(void)
{
	struct asked a = {0};
	char *huge = xmalloc(32 << 20); /* more than sockets hold */

	set_up_calls();
	ops.max_queue = 64 << 20;
	ctx = instance();
	peer_accept();
	until_state(MERLON_STREAM_UP);
	tx = tx_new();
	memset(huge, 'x', 32 << 20);
	huge[(32 << 20) - 1] = '\0';
	CU_ASSERT_EQUAL(ask(tx, huge, 20000, &a), 0);
	turn();
	peer_say("already\n");
	FAILED(&a, MERLON_E_UNAVAIL);
	free(huge);
	end();
}

static void a_call_that_waits_too_long_ends_the_connection(void)
{
	struct asked a = {0}, b = {0};

	set_up_calls();
	ops.stall_ms = 30;
	ctx = instance();
	peer_accept();
	until_state(MERLON_STREAM_UP);
	tx = tx_new();
	CU_ASSERT_EQUAL(ask(tx, "a\n", 5, &a), 0);
	CU_ASSERT_EQUAL(ask(tx, "b\n", 5000, &b), 0);
	FAILED(&a, MERLON_E_TIMEOUT);
	FAILED(&b, MERLON_E_UNAVAIL);
	HEARS("a\nb\n");
	CU_ASSERT_TRUE(peer_at_end());
	end();
}

static void the_workers_end_tells_nobody(void)
{
	struct asked a = {0}, b = {0};

	begin();
	CU_ASSERT_EQUAL(ask(tx, "a\n", 20000, &a), 0);
	HEARS("a\n");
	CU_ASSERT_EQUAL(ask(tx, "b\n", 20000, &b), 0);
	/* The process has given up on an instance that still holds the stream. */
	streams_worker_finish(&W.w);
	CU_ASSERT_EQUAL(a.done + b.done, 0);
	CU_ASSERT_EQUAL(((struct fake_tx *)(void *)tx)->base.nops, 0);
	CU_ASSERT_EQUAL(ask(tx, "c\n", 20000, &b), MERLON_E_UNAVAIL);
	CU_ASSERT_TRUE(peer_at_end());
	end();
}

/* ---- bounds ---- */
static void calls_wait_for_the_first_connection_and_no_longer(void)
{
	struct asked a = {0}, b = {0};
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	set_up_calls();
	getsockname(listener_fd, (struct sockaddr *)&sin, &len);
	close(listener_fd);
	listener_fd = -1;
	ctx = instance();
	tx = tx_new();
	CU_ASSERT_EQUAL(host_stream_state(opened, &W.w), MERLON_STREAM_CONNECTING);
	CU_ASSERT_EQUAL(ask(tx, "a\n", 5000, &a), 0);
	FAILED(&a, MERLON_E_UNAVAIL);
	CU_ASSERT_EQUAL(host_stream_state(opened, &W.w), MERLON_STREAM_DOWN);
	CU_ASSERT_EQUAL(ask(tx, "b\n", 5000, &b), MERLON_E_UNAVAIL);
	end();
}

static void a_call_may_time_out_before_it_is_sent(void)
{
	struct asked a = {0}, b = {0};

	set_up_calls();
	ops.greeting = text("hi\n");
	ops.greetings = 1;
	ctx = instance();
	tx = tx_new();
	CU_ASSERT_EQUAL(ask(tx, "a\n", 5, &a), 0);
	CU_ASSERT_EQUAL(ask(tx, "b\n", 5000, &b), 0);
	peer_accept();
	HEARS("hi\n");
	FAILED(&a, MERLON_E_TIMEOUT);
	peer_say("hello\n");
	HEARS("b\n");
	peer_say("2\n");
	ANSWERED(&b, "2");
	end();
}

static void the_queue_has_an_end(void)
{
	struct asked a = {0}, b = {0};

	set_up_calls();
	ops.max_queue = 10;
	ctx = instance();
	tx = tx_new();
	CU_ASSERT_EQUAL(ask(tx, "12345678901", 5000, &a), MERLON_E_FULL);
	CU_ASSERT_EQUAL(ask(tx, "12345678\n", 5000, &a), 0);
	CU_ASSERT_EQUAL(ask(tx, "b\n", 5000, &b), MERLON_E_FULL);
	peer_accept();
	HEARS("12345678\n");
	CU_ASSERT_EQUAL(ask(tx, "b\n", 5000, &b), 0);
	HEARS("b\n");
	end();
}

static void a_tx_has_so_many_ops_and_no_more(void)
{
	static struct asked a[OPS_TX_MAX + 1];

	begin();
	memset(a, 0, sizeof(a));
	for (unsigned i = 0; i < OPS_TX_MAX; i++)
		CU_ASSERT_EQUAL(ask(tx, "a\n", 5000, &a[i]), 0);
	CU_ASSERT_EQUAL(ask(tx, "a\n", 5000, &a[OPS_TX_MAX]), MERLON_E_FULL);
	end();
}

static void wrong_arguments_are_refused(void)
{
	struct asked a = {0};

	begin();
	CU_ASSERT_EQUAL(ask(tx, "", 5000, &a), MERLON_E_INVAL);
	CU_ASSERT_EQUAL(host_stream_call(NULL, ctx, NULL, tx, text("a\n"), 0, on_done, &a, NULL),
	                MERLON_E_INVAL);
	CU_ASSERT_EQUAL(
	    host_stream_call(opened, ctx, NULL, NULL, text("a\n"), 0, on_done, &a, NULL),
	    MERLON_E_INVAL);
	CU_ASSERT_EQUAL(host_stream_call(opened, ctx, NULL, tx, text("a\n"), 0, NULL, &a, NULL),
	                MERLON_E_INVAL);
	((struct fake_tx *)(void *)tx)->base.dry = true;
	CU_ASSERT_EQUAL(ask(tx, "a\n", 5000, &a), MERLON_E_UNAVAIL);
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("a\n")), 0);
	CU_ASSERT_TRUE(peer_quiet());
	end();
}

/* ---- everything at once ---- */
#define ROUNDS 10000
#define TXS 16

static uint32_t seed;
static uint32_t rnd(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* Answers everything that it is asked, in pieces, now and then. */
static void peer_echo(void)
{
	static char buf[1 << 16];
	static size_t n;
	size_t whole, part;
	ssize_t r;

	if (peer < 0) {
		n = 0;
		return;
	}
	r = recv(peer, buf + n, sizeof(buf) - n, 0);
	if (r > 0)
		n += (size_t)r;
	/* A cut line is fine: the rest follows in the same order. */
	whole = n;
	part = whole ? rnd((uint32_t)whole + 1) : 0;
	if (part)
		r = send(peer, buf, part, MSG_NOSIGNAL);
	if (r == 0 || (r < 0 && errno != EAGAIN)) {
		/* A call had to wait too long, which ends a connection. */
		peer_close();
		n = 0;
		peer_accept();
		return;
	}
	if (part && r > 0) {
		n -= (size_t)r;
		memmove(buf, buf + r, n);
	}
}

struct traffic {
	struct asked a;
	char question[32];
	bool open;
};

static unsigned settle(struct traffic *t)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		if (!t[i].open || !t[i].a.done)
			continue;
		t[i].open = false;
		if (t[i].a.error == 0 &&
		    strncmp(t[i].a.answer, t[i].question, strlen(t[i].a.answer)) != 0)
			wrong++;
		if (t[i].a.error == 0 && strlen(t[i].a.answer) + 1 != strlen(t[i].question))
			wrong++;
	}
	return wrong;
}

static void whose_answer_is_whose_whatever_happens(void)
{
	static struct traffic t[ROUNDS];
	merlon_tx *txs[TXS];
	unsigned wrong = 0, asked = 0, answered = 0, late = 0, broken = 0;

	begin();
	memset(t, 0, sizeof(t));
	seed = (uint32_t)time(NULL);
	printf(" seed %u ", seed);
	for (unsigned i = 0; i < TXS; i++)
		txs[i] = tx_new();
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned who = rnd(TXS);

		snprintf(t[i].question, sizeof(t[i].question), "call %u of %u\n", i, who);
		t[i].open = ask(txs[who], t[i].question, rnd(3) ? 1000 : 1, &t[i].a) == 0;
		asked += t[i].open;
		if (rnd(5) == 0 && i > 20) {
			unsigned j = i - rnd(20);

			host_op_cancel(t[j].a.op);
			t[j].open = t[j].open && t[j].a.done;
		}
		if (rnd(60) == 0) {
			tx_end(txs[who]);
			txs[who] = tx_new();
		}
		if (rnd(3) == 0)
			turn();
		if (rnd(4) == 0)
			peer_echo();
		if (rnd(2000) == 0 && peer >= 0) {
			peer_close();
			peer_echo();
			peer_accept();
		}
		if (i % 100 == 0)
			wrong += settle(t);
	}
	for (int i = 0; i < 300; i++) {
		turn();
		peer_echo();
	}
	wrong += settle(t);
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (t[i].a.done > 1)
			wrong++;
		answered += t[i].a.done && t[i].a.error == 0;
		late += t[i].a.done && t[i].a.error == MERLON_E_TIMEOUT;
		broken += t[i].a.done && t[i].a.error == MERLON_E_UNAVAIL;
	}
	printf("(%u asked, %u answered, %u late, %u broken) ", asked, answered, late, broken);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(answered > 100);
	for (unsigned i = 0; i < TXS; i++)
		tx_end(txs[i]);
	end();
}

static void generations_pass_under_load(void)
{
	struct merlon_ctx *now, *next;
	unsigned failed = 0;

	begin();
	now = instance();
	for (unsigned i = 0; i < 200; i++) {
		struct asked a[4];
		char question[32], all[160] = "";

		memset(a, 0, sizeof(a));
		for (unsigned j = 0; j < 4; j++) {
			snprintf(question, sizeof(question), "%u/%u\n", i, j);
			strcat(all, question);
			CU_ASSERT_EQUAL(ask(tx, question, 5000, &a[j]), 0);
		}
		next = instance();
		if (i % 2)
			turn();
		instance_end(now);
		now = next;
		HEARS(all);
		peer_say(all);
		for (unsigned j = 0; j < 4; j++) {
			until_done(&a[j]);
			snprintf(question, sizeof(question), "%u/%u", i, j);
			failed += a[j].error != 0 || strcmp(a[j].answer, question) != 0;
		}
	}
	CU_ASSERT_EQUAL(failed, 0);
	/* Still the connection of the beginning: there is no other. */
	CU_ASSERT_EQUAL(accept(listener_fd, NULL, NULL), -1);
	instance_end(now);
	end();
}

UNIT_MAIN("stream calls", UNIT(answers_come_in_the_order_of_calls),
          UNIT(answers_may_come_split_at_every_byte), UNIT(a_late_answer_reaches_nobody),
          UNIT(a_cancelled_call_is_answered_to_nobody),
          UNIT(one_that_was_not_yet_sent_is_never_sent), UNIT(calls_of_an_instance_go_with_it),
          UNIT(a_lost_connection_fails_what_waits), UNIT(answers_before_the_end_are_heard),
          UNIT(a_reset_within_an_answer), UNIT(nonsense_ends_the_connection),
          UNIT(an_answer_that_nobody_asked_for_ends_it),
          UNIT(an_answer_to_what_was_not_yet_written_ends_it),
          UNIT(a_call_that_waits_too_long_ends_the_connection), UNIT(the_workers_end_tells_nobody),
          UNIT(calls_wait_for_the_first_connection_and_no_longer),
          UNIT(a_call_may_time_out_before_it_is_sent), UNIT(the_queue_has_an_end),
          UNIT(a_tx_has_so_many_ops_and_no_more), UNIT(wrong_arguments_are_refused),
          UNIT(whose_answer_is_whose_whatever_happens), UNIT(generations_pass_under_load))
