/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Reading from streams: what is told when, where reading stops and goes on, hang-ups and resets.
 */
#define _GNU_SOURCE /* accept4(2) */
#include "net_near.h"

/* ---- reading ---- */
static size_t got_when_other_ran;

static void other_ran(void *arg, unsigned ready)
{
	(void)arg;
	(void)ready;
	if (!got_when_other_ran)
		got_when_other_ran = near.got;
}

static void a_flood_leaves_others_their_turn(void)
{
	int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	struct loop_io *io;
	size_t n;

	begin();
	turn();
	got_when_other_ran = 0;
	io = loop_io_new(loop, fd, other_ran, NULL);
	n = peer_send(160 * 1024);
	CU_ASSERT_FATAL(n > 100 * 1024);
	turn();
	CU_ASSERT(got_when_other_ran <= 64 * 1024);
	CU_ASSERT_EQUAL(near.got, n);
	CU_ASSERT_EQUAL(stream_read_total(near.s), n);
	CU_ASSERT_FALSE(near.wrong);
	loop_io_free(io);
	close(fd);
	end();
}

static void what_is_not_consumed_stops_reading(void)
{
	size_t n;

	begin();
	near.consume = false;
	n = peer_send(60000);
	CU_ASSERT_EQUAL_FATAL(n, 60000);
	turn();
	CU_ASSERT_EQUAL(near.ins, 1);
	CU_ASSERT_EQUAL(stream_in(near.s).n, BLOCK_SIZE);
	CU_ASSERT_EQUAL(stream_read_total(near.s), BLOCK_SIZE);
	near.consume = true;
	eat(&near);
	turn();
	CU_ASSERT_EQUAL(near.got, n);
	CU_ASSERT_FALSE(near.wrong);
	end();
}

static void an_idle_stream_holds_no_block(void)
{
	begin();
	peer_send(100);
	turn();
	CU_ASSERT_EQUAL(near.got, 100);
	CU_ASSERT_EQUAL(pool.nfree, 1);
	/* Consumed outside the callback as well. */
	near.consume = false;
	near.got = 0;
	peer_send(100);
	turn();
	CU_ASSERT_EQUAL(pool.nfree, 0);
	eat(&near);
	turn();
	CU_ASSERT_EQUAL(pool.nfree, 1);
	end();
}

static void a_paused_stream_reads_nothing(void)
{
	begin();
	stream_pause(near.s, true);
	peer_send(100);
	turn();
	CU_ASSERT_EQUAL(near.seen, 0);
	CU_ASSERT_EQUAL(stream_read_total(near.s), 0);
	stream_pause(near.s, false);
	CU_ASSERT_EQUAL(near.seen, 0); /* never from within */
	turn();
	CU_ASSERT_EQUAL(near.seen, STREAM_IN);
	CU_ASSERT_EQUAL(near.got, 100);
	end();
}

static void resuming_tells_of_unread_bytes_again(void)
{
	begin();
	near.consume = false;
	peer_send(100);
	turn();
	CU_ASSERT_EQUAL(near.ins, 1);
	stream_pause(near.s, true);
	stream_poke(near.s);
	turn();
	CU_ASSERT_EQUAL(near.ins, 1);
	near.consume = true;
	stream_pause(near.s, false);
	turn();
	CU_ASSERT_EQUAL(near.ins, 2);
	CU_ASSERT_EQUAL(near.got, 100);
	end();
}

static void a_poke_tells_once(void)
{
	begin();
	near.consume = false;
	peer_send(10);
	turn();
	near.consume = true;
	stream_poke(near.s);
	stream_poke(near.s);
	CU_ASSERT_EQUAL(near.ins, 1);
	turn();
	CU_ASSERT_EQUAL(near.ins, 2);
	CU_ASSERT_EQUAL(near.got, 10);
	stream_poke(near.s);
	turn();
	CU_ASSERT_EQUAL(near.ins, 2);
	end();
}

static void taken_bytes_outlive_what_is_read_next(void)
{
	struct slice a;
	struct slice b;

	begin();
	near.consume = false;
	CU_ASSERT_EQUAL_FATAL(send(peer, "one two", 7, 0), 7);
	turn();
	a = stream_take(near.s, 3);
	stream_skip(near.s, 1);
	CU_ASSERT_TRUE(str_eq(stream_in(near.s), STR("two")));
	b = stream_take(near.s, 100);
	CU_ASSERT_EQUAL(b.n, 3);
	CU_ASSERT_EQUAL(stream_take(near.s, 1).n, 0);
	for (int i = 0; i < 4; i++) {
		near.got = 0;
		peer_send(BLOCK_SIZE);
		turn();
		eat(&near);
	}
	CU_ASSERT_FALSE(near.wrong);
	CU_ASSERT(a.n == 3 && memcmp(a.p, "one", 3) == 0);
	CU_ASSERT(b.n == 3 && memcmp(b.p, "two", 3) == 0);
	slice_unref(a);
	slice_unref(b);
	end();
}

static void a_full_block_that_others_hold_is_left_alone(void)
{
	struct slice a;

	begin();
	near.consume = false;
	CU_ASSERT_EQUAL_FATAL(send(peer, "one two", 7, 0), 7);
	turn();
	a = stream_take(near.s, 3);
	CU_ASSERT_EQUAL_FATAL(peer_send(BLOCK_SIZE + 100), BLOCK_SIZE + 100);
	turn();
	CU_ASSERT_EQUAL(stream_in(near.s).n, BLOCK_SIZE);
	CU_ASSERT(a.n == 3 && memcmp(a.p, "one", 3) == 0);
	CU_ASSERT(memcmp(stream_in(near.s).p, " two", 4) == 0);
	stream_skip(near.s, 4);
	eat(&near);
	turn();
	eat(&near);
	CU_ASSERT_EQUAL(near.got, BLOCK_SIZE + 100);
	CU_ASSERT_FALSE(near.wrong);
	slice_unref(a);
	end();
}

static void reserved_bytes_stand_in_one_piece(void)
{
	begin();
	near.consume = false;
	CU_ASSERT_EQUAL_FATAL(peer_send(40000), 40000);
	turn();
	CU_ASSERT_EQUAL(stream_in(near.s).n, BLOCK_SIZE);
	stream_in_reserve(near.s, 30000);
	turn();
	CU_ASSERT_EQUAL(stream_in(near.s).n, 30000);
	near.consume = true;
	eat(&near);
	turn();
	CU_ASSERT_EQUAL(near.got, 40000);
	CU_ASSERT_FALSE(near.wrong);
	/* Everything was consumed: the common ceiling holds again. */
	near.consume = false;
	near.got = 0;
	peer_send(40000);
	turn();
	CU_ASSERT_EQUAL(stream_in(near.s).n, BLOCK_SIZE);
	end();
}

/* A few bytes left over at a block's end must move to the next block with what follows them. */
static void leftovers_move_to_the_next_block(void)
{
	begin();
	near.consume = false;
	CU_ASSERT_EQUAL_FATAL(peer_send(50000), 50000);
	for (int i = 0; i < 100 && near.got < 50000; i++) {
		struct str in;

		turn();
		in = stream_in(near.s);
		for (size_t k = 0; k < in.n; k++)
			if (in.p[k] != pattern(near.got + k))
				near.wrong = true;
		if (in.n > 1000)
			in.n -= 1000;
		stream_skip(near.s, in.n);
		near.got += in.n;
	}
	CU_ASSERT_EQUAL(near.got, 50000);
	CU_ASSERT_FALSE(near.wrong);
	end();
}

/* ---- ends ---- */
static void the_end_follows_the_last_byte(void)
{
	begin();
	CU_ASSERT_EQUAL_FATAL(peer_send(40000), 40000);
	shutdown(peer, SHUT_WR);
	turn();
	CU_ASSERT_EQUAL(near.eofs, 1);
	CU_ASSERT_EQUAL(near.hangups, 1);
	CU_ASSERT_EQUAL(near.errors, 0);
	CU_ASSERT_EQUAL(near.got_at_eof, 40000);
	turn();
	CU_ASSERT_EQUAL(near.eofs, 1);
	/* Our own side is still open. */
	stream_send(near.s, (struct slice){NULL, "x", 1});
	CU_ASSERT_EQUAL(stream_flush(near.s), 0);
	CU_ASSERT_EQUAL(stream_written(near.s), 1);
	end();
}

static void the_end_waits_for_unread_bytes_but_the_hangup_does_not(void)
{
	begin();
	near.consume = false;
	CU_ASSERT_EQUAL_FATAL(peer_send(40000), 40000);
	shutdown(peer, SHUT_WR);
	turn();
	CU_ASSERT_EQUAL(near.hangups, 1);
	CU_ASSERT_EQUAL(near.eofs, 0);
	CU_ASSERT_TRUE(stream_eof(near.s));
	near.consume = true;
	eat(&near);
	turn();
	CU_ASSERT_EQUAL(near.hangups, 1);
	CU_ASSERT_EQUAL(near.eofs, 1);
	CU_ASSERT_EQUAL(near.got_at_eof, 40000);
	end();
}

static void a_hangup_is_told_while_paused(void)
{
	begin();
	stream_pause(near.s, true);
	peer_send(10);
	shutdown(peer, SHUT_WR);
	turn();
	CU_ASSERT_EQUAL(near.seen, STREAM_HANGUP);
	CU_ASSERT_TRUE(stream_eof(near.s));
	CU_ASSERT_EQUAL(stream_read_total(near.s), 0);
	stream_pause(near.s, false);
	turn();
	CU_ASSERT_EQUAL(near.hangups, 1);
	CU_ASSERT_EQUAL(near.eofs, 1);
	CU_ASSERT_EQUAL(near.got_at_eof, 10);
	end();
}

static void a_reset_is_an_error(void)
{
	begin_tcp();
	turn();
	peer_reset();
	wait_for(STREAM_ERROR);
	CU_ASSERT_EQUAL(stream_error(near.s), ECONNRESET);
	CU_ASSERT_EQUAL(near.eofs, 0);
	CU_ASSERT_EQUAL(stream_flush(near.s), -ECONNRESET);
	turn();
	CU_ASSERT_EQUAL(near.errors, 1);
	end();
}

static void a_reset_is_told_while_paused(void)
{
	begin_tcp();
	turn();
	stream_pause(near.s, true);
	peer_send(100);
	turn();
	CU_ASSERT_EQUAL(near.seen, 0);
	peer_reset();
	wait_for(STREAM_ERROR);
	CU_ASSERT_EQUAL(near.ins, 0);
	CU_ASSERT_EQUAL(near.errors, 1);
	end();
}

static void a_reset_right_behind_bytes_is_found(void)
{
	begin_tcp();
	turn();
	peer_send(100);
	peer_reset();
	wait_for(STREAM_ERROR);
	CU_ASSERT_EQUAL(near.got, 100);
	CU_ASSERT_EQUAL(near.errors, 1);
	end();
}

static void a_reset_after_the_end_is_found(void)
{
	begin_tcp();
	turn();
	peer_send(100);
	shutdown(peer, SHUT_WR);
	wait_for(STREAM_EOF);
	CU_ASSERT_EQUAL(near.errors, 0);
	peer_reset();
	wait_for(STREAM_ERROR);
	CU_ASSERT_EQUAL(near.eofs, 1);
	end();
}

static void an_answer_before_a_broken_pipe_is_read(void)
{
	int r;

	begin();
	stream_send_copy(near.s, "unread", 6);
	CU_ASSERT_EQUAL(stream_flush(near.s), 0);
	peer_send(50);
	close(peer);
	peer = -1;
	stream_send_copy(near.s, "more", 4);
	r = stream_flush(near.s);
	CU_ASSERT(r < 0);
	CU_ASSERT_EQUAL(near.seen, 0); /* from the loop only */
	stream_send_copy(near.s, "into the void", 13);
	CU_ASSERT_EQUAL(stream_queued(near.s), 0);
	turn();
	CU_ASSERT_EQUAL(near.errors, 1);
	CU_ASSERT_EQUAL(stream_error(near.s), -r);
	CU_ASSERT_EQUAL(near.got_at_error, 50); /* the owner may close it there */
	end();
}

/* ---- standing back ---- */
static struct loop_task others[LOOP_BEGINS + 1];
static unsigned ins_when_last_ran;
static bool last_closes;

static void other_begins(void *arg)
{
	if (arg != &others[LOOP_BEGINS])
		return;
	ins_when_last_ran = near.ins;
	if (last_closes)
		near.s = stream_close(near.s);
}

/* Uses up a turn's share and one more, before the descriptors are looked at. */
static void others_begin(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i <= LOOP_BEGINS; i++) {
		loop_task_init(&others[i], other_begins, &others[i]);
		CU_ASSERT_EQUAL(loop_begin(loop, &others[i]), i < LOOP_BEGINS);
	}
}

static void stand_back(bool closes)
{
	struct loop_task first;

	begin();
	stream_set_patient(near.s);
	turn();
	ins_when_last_ran = 99;
	last_closes = closes;
	CU_ASSERT_EQUAL(peer_send(5000), 5000);
	close(peer);
	peer = -1;
	loop_task_init(&first, others_begin, NULL);
	loop_defer(loop, &first);
	turn();
	CU_ASSERT_EQUAL(ins_when_last_ran, 0);
}

static void a_patient_stream_tells_all_after_the_others(void)
{
	stand_back(false);
	CU_ASSERT_EQUAL(near.got, 5000);
	CU_ASSERT_FALSE(near.wrong);
	CU_ASSERT_EQUAL(near.hangups, 1);
	CU_ASSERT_EQUAL(near.eofs, 1);
	end();
}

static void a_stream_closed_while_it_stands_back_is_silent(void)
{
	stand_back(true);
	CU_ASSERT_EQUAL(near.seen, 0);
	end();
}

UNIT_MAIN("net_stream", UNIT(a_flood_leaves_others_their_turn),
          UNIT(what_is_not_consumed_stops_reading), UNIT(an_idle_stream_holds_no_block),
          UNIT(a_paused_stream_reads_nothing), UNIT(resuming_tells_of_unread_bytes_again),
          UNIT(a_poke_tells_once), UNIT(taken_bytes_outlive_what_is_read_next),
          UNIT(a_full_block_that_others_hold_is_left_alone),
          UNIT(reserved_bytes_stand_in_one_piece), UNIT(leftovers_move_to_the_next_block),
          UNIT(the_end_follows_the_last_byte),
          UNIT(the_end_waits_for_unread_bytes_but_the_hangup_does_not),
          UNIT(a_hangup_is_told_while_paused), UNIT(a_reset_is_an_error),
          UNIT(a_reset_is_told_while_paused), UNIT(a_reset_right_behind_bytes_is_found),
          UNIT(a_reset_after_the_end_is_found), UNIT(an_answer_before_a_broken_pipe_is_read),
          UNIT(a_patient_stream_tells_all_after_the_others),
          UNIT(a_stream_closed_while_it_stands_back_is_silent))
