/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Streams over socket pairs and loopback TCP: what is told when, where reading stops and goes on,
 * slow readers, resets, closing inside a callback. `near` is the stream under test, `peer` a bare
 * descriptor.
 */
#define _GNU_SOURCE /* accept4(2) */
#include "net_pump.h"

#include "net/listener.h"
#include "net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct block_pool pool;
static int peer;

static struct watched {
	struct stream *s;
	unsigned seen;    /* all bits so far */
	unsigned waiting; /* until() stops for these */
	bool arrived;
	unsigned ins;
	unsigned outs;
	unsigned eofs;
	unsigned hangups;
	unsigned errors;
	bool consume; /* skip everything when told of it, comparing it with the pattern */
	bool close_on_in;
	size_t got;
	size_t got_at_hangup;
	size_t got_at_eof;
	size_t got_at_error;
	bool wrong;
} near;

/* The byte at place i of everything that these tests send. */
static char pattern(size_t i)
{
	return (char)('a' + (i * 7 + i / 251) % 26);
}

static void eat(struct watched *w)
{
	struct str in = stream_in(w->s);

	for (size_t i = 0; i < in.n; i++)
		if (in.p[i] != pattern(w->got + i))
			w->wrong = true;
	w->got += in.n;
	stream_skip(w->s, in.n);
}

static void told(void *owner, unsigned what)
{
	struct watched *w = owner;

	w->seen |= what;
	w->ins += (what & STREAM_IN) != 0;
	w->outs += (what & STREAM_OUT) != 0;
	w->errors += (what & STREAM_ERROR) != 0;
	if ((what & STREAM_IN) && w->close_on_in) {
		w->s = stream_close(w->s);
		return;
	}
	if ((what & STREAM_IN) && w->consume)
		eat(w);
	if (what & STREAM_HANGUP) {
		w->hangups++;
		w->got_at_hangup = w->got;
	}
	if (what & STREAM_ERROR)
		w->got_at_error = w->got;
	if (what & STREAM_EOF) {
		w->eofs++;
		w->got_at_eof = w->got;
	}
	if (w->waiting && (w->seen & w->waiting) == w->waiting)
		w->arrived = true;
	loop_stop(loop);
}

static void wait_for(unsigned what)
{
	near.waiting = what;
	near.arrived = (near.seen & what) == what;
	until(&near.arrived);
}

static void begin_loop(void)
{
	loop = loop_new();
	block_pool_init(&pool, 64);
	memset(&near, 0, sizeof(near));
	near.consume = true;
	peer = -1;
}

static void begin(void)
{
	int fd[2];

	begin_loop();
	CU_ASSERT_EQUAL_FATAL(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	peer = fd[1];
	near.s = stream_new(loop, fd[0], &pool, told, &near);
}

/* The same over TCP, whose resets a socket pair does not have. */
static void begin_tcp(void)
{
	struct net_addr a;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int fd;
	int client;

	begin_loop();
	CU_ASSERT_TRUE_FATAL(net_addr_parse(STR("127.0.0.1:0"), &a));
	CU_ASSERT_EQUAL_FATAL(listener_bind(&a, 1, 8, &fd), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(connect(client, (struct sockaddr *)&ss, len), 0);
	peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	CU_ASSERT_FATAL(peer >= 0);
	close(fd);
	CU_ASSERT_EQUAL(fcntl(client, F_SETFL, O_NONBLOCK), 0);
	near.s = stream_new(loop, client, &pool, told, &near);
}

static void end(void)
{
	near.s = stream_close(near.s);
	if (peer >= 0)
		close(peer);
	loop_free(loop);
	block_pool_deinit(&pool);
	loop = NULL;
}

static size_t peer_sent;

/* Sends what the socket takes of n bytes of the pattern, from its beginning. */
static size_t peer_send(size_t n)
{
	char b[4096];

	peer_sent = 0;
	while (peer_sent < n) {
		size_t k = n - peer_sent < sizeof(b) ? n - peer_sent : sizeof(b);
		ssize_t r;

		for (size_t i = 0; i < k; i++)
			b[i] = pattern(peer_sent + i);
		r = send(peer, b, k, MSG_NOSIGNAL);
		if (r < 0)
			break;
		peer_sent += (size_t)r;
	}
	return peer_sent;
}

static void peer_reset(void)
{
	struct linger lg = {.l_onoff = 1, .l_linger = 0};

	setsockopt(peer, SOL_SOCKET, SO_LINGER, &lg, sizeof(lg));
	close(peer);
	peer = -1;
}

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

static void a_poke_tells_the_new_owner(void)
{
	struct watched second;

	begin();
	memset(&second, 0, sizeof(second));
	second.consume = true;
	second.s = near.s;
	near.consume = false;
	peer_send(10);
	turn();
	stream_set_owner(near.s, told, &second);
	stream_poke(near.s);
	stream_poke(near.s);
	CU_ASSERT_EQUAL(second.ins, 0);
	turn();
	CU_ASSERT_EQUAL(near.ins, 1);
	CU_ASSERT_EQUAL(second.ins, 1);
	CU_ASSERT_EQUAL(second.got, 10);
	stream_poke(near.s);
	turn();
	CU_ASSERT_EQUAL(second.ins, 1);
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

/* ---- writing ---- */
static size_t drained;
static bool drained_wrong;

/* Reads up to n bytes on the peer's side; false at the end of the stream. */
static bool peer_drain(size_t n)
{
	char b[8192];

	while (n > 0) {
		ssize_t r = recv(peer, b, n < sizeof(b) ? n : sizeof(b), 0);

		if (r <= 0)
			return r < 0;
		for (ssize_t i = 0; i < r; i++)
			if (b[i] != pattern(drained + (size_t)i))
				drained_wrong = true;
		drained += (size_t)r;
		n -= (size_t)r;
	}
	return true;
}

#define BIG (1024 * 1024)

static void send_big(void)
{
	char b[1000];
	size_t at = 0;

	drained = 0;
	drained_wrong = false;
	while (at < BIG) {
		size_t k = BIG - at < sizeof(b) ? BIG - at : sizeof(b);

		for (size_t i = 0; i < k; i++)
			b[i] = pattern(at + i);
		stream_send_copy(near.s, b, k);
		at += k;
	}
	CU_ASSERT_EQUAL(stream_queued(near.s), BIG);
}

static void a_slow_reader_gets_everything(void)
{
	size_t queued_at_first_out = 0;
	int small = 8192; /* so that no single write empties the queue from above the mark */

	begin();
	CU_ASSERT_EQUAL(setsockopt(stream_fd(near.s), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)),
	                0);
	send_big();
	CU_ASSERT_EQUAL(stream_flush(near.s), 0);
	CU_ASSERT(stream_queued(near.s) > STREAM_HIGH);
	turn();
	CU_ASSERT_EQUAL(near.outs, 0);
	for (int i = 0; i < 10000 && drained < BIG; i++) {
		peer_drain(5000);
		turn();
		if (near.outs == 1 && !queued_at_first_out)
			queued_at_first_out = stream_queued(near.s);
	}
	CU_ASSERT_EQUAL(drained, BIG);
	CU_ASSERT_FALSE(drained_wrong);
	CU_ASSERT_EQUAL(stream_queued(near.s), 0);
	CU_ASSERT_EQUAL(stream_written(near.s), BIG);
	CU_ASSERT_EQUAL(near.outs, 2); /* at the low mark and when empty */
	CU_ASSERT(queued_at_first_out > 0 && queued_at_first_out <= STREAM_LOW);
	/* What goes at once is not told of. */
	stream_send_copy(near.s, "x", 1);
	CU_ASSERT_EQUAL(stream_flush(near.s), 0);
	turn();
	CU_ASSERT_EQUAL(near.outs, 2);
	end();
}

static void shutdown_waits_for_the_queue(void)
{
	bool open = true;

	begin();
	send_big();
	CU_ASSERT_EQUAL(stream_shutdown(near.s), 0);
	stream_send_copy(near.s, "late", 4);
	CU_ASSERT(stream_queued(near.s) <= BIG);
	for (int i = 0; i < 10000 && open; i++) {
		open = peer_drain(50000);
		turn();
	}
	CU_ASSERT_FALSE(open);
	CU_ASSERT_EQUAL(drained, BIG);
	CU_ASSERT_FALSE(drained_wrong);
	/* The other direction goes on. */
	peer_send(10);
	turn();
	CU_ASSERT_EQUAL(near.got, 10);
	end();
}

static void chains_and_slices_go_out_in_order(void)
{
	struct chain c;
	char b[64] = "";

	begin();
	chain_init(&c);
	chain_push(&c, (struct slice){NULL, "chained", 7});
	stream_send(near.s, (struct slice){NULL, "static ", 7});
	stream_send_copy(near.s, "copied ", 7);
	stream_send_chain(near.s, &c, 5);
	CU_ASSERT_EQUAL(c.bytes, 2);
	CU_ASSERT_EQUAL(stream_queued(near.s), 19);
	CU_ASSERT_EQUAL(stream_flush(near.s), 0);
	CU_ASSERT_EQUAL(stream_queued(near.s), 0);
	CU_ASSERT_EQUAL(recv(peer, b, sizeof(b), 0), 19);
	CU_ASSERT_STRING_EQUAL(b, "static copied chain");
	chain_deinit(&c);
	end();
}

/* ---- life ---- */
static void closing_inside_the_callback_is_safe(void)
{
	begin();
	near.close_on_in = true;
	stream_send_copy(near.s, "never flushed", 13);
	peer_send(100000);
	shutdown(peer, SHUT_WR);
	turn();
	CU_ASSERT_PTR_NULL(near.s);
	CU_ASSERT_EQUAL(near.ins, 1);
	CU_ASSERT_EQUAL(near.eofs, 0);
	CU_ASSERT_EQUAL(near.errors, 0);
	CU_ASSERT_PTR_NULL(stream_close(NULL));
	end();
}

static void a_closed_stream_tells_nothing(void)
{
	begin();
	near.consume = false;
	peer_send(100);
	turn();
	stream_poke(near.s);
	near.s = stream_close(near.s);
	turn();
	CU_ASSERT_EQUAL(near.ins, 1);
	end();
}

/* ---- connecting ---- */
static int bound(struct net_addr *a, bool listening)
{
	int fd;

	a->len = sizeof(a->ss);
	if (listening) {
		struct net_addr any;

		CU_ASSERT_TRUE_FATAL(net_addr_parse(STR("127.0.0.1:0"), &any));
		CU_ASSERT_EQUAL_FATAL(listener_bind(&any, 1, 8, &fd), 0);
	} else {
		struct sockaddr_in in = {.sin_family = AF_INET};

		in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	}
	CU_ASSERT_EQUAL_FATAL(getsockname(fd, (struct sockaddr *)&a->ss, &a->len), 0);
	return fd;
}

static void a_refused_connection_is_an_error(void)
{
	struct net_addr a;
	int err = 0;
	int fd;

	begin_loop();
	fd = bound(&a, false);
	near.s = stream_connect(loop, (struct sockaddr *)&a.ss, a.len, &pool, told, &near, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(near.s);
	CU_ASSERT_EQUAL(near.seen, 0);
	stream_send_copy(near.s, "x", 1);
	(void)!stream_flush(near.s);
	wait_for(STREAM_ERROR);
	CU_ASSERT_EQUAL(near.seen & (STREAM_CONNECTED | STREAM_EOF), 0);
	CU_ASSERT_EQUAL(stream_error(near.s), ECONNREFUSED);
	close(fd);
	end();
}

static void what_was_queued_goes_when_connected(void)
{
	struct net_addr a;
	char b[16] = "";
	int err = 0;
	int fd;

	begin_loop();
	fd = bound(&a, true);
	near.s = stream_connect(loop, (struct sockaddr *)&a.ss, a.len, &pool, told, &near, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(near.s);
	stream_send_copy(near.s, "early", 5);
	CU_ASSERT_EQUAL(stream_flush(near.s), 0);
	CU_ASSERT_EQUAL(near.seen, 0);
	wait_for(STREAM_CONNECTED);
	peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC); /* blocking: recv() below waits */
	CU_ASSERT_FATAL(peer >= 0);
	CU_ASSERT_EQUAL(recv(peer, b, 5, MSG_WAITALL), 5);
	CU_ASSERT_STRING_EQUAL(b, "early");
	peer_send(20);
	wait_for(STREAM_IN);
	CU_ASSERT_EQUAL(near.got, 20);
	close(fd);
	end();
}

static void a_connection_that_cannot_begin_is_an_error_from_the_loop(void)
{
	struct net_addr a;
	int err = 0;

	begin_loop();
	CU_ASSERT_TRUE_FATAL(net_addr_parse(STR("unix:/nonexistent/socket"), &a));
	near.s = stream_connect(loop, (struct sockaddr *)&a.ss, a.len, &pool, told, &near, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(near.s);
	CU_ASSERT_EQUAL(near.seen, 0);
	turn();
	CU_ASSERT_EQUAL(near.seen, STREAM_ERROR);
	CU_ASSERT_EQUAL(stream_error(near.s), ENOENT);
	near.s = stream_close(near.s);
	a.ss.ss_family = AF_MAX;
	CU_ASSERT_PTR_NULL(
	    stream_connect(loop, (struct sockaddr *)&a.ss, a.len, &pool, told, &near, &err));
	CU_ASSERT_EQUAL(err, EAFNOSUPPORT);
	end();
}

UNIT_MAIN("net_stream", UNIT(a_flood_leaves_others_their_turn),
          UNIT(what_is_not_consumed_stops_reading), UNIT(an_idle_stream_holds_no_block),
          UNIT(a_paused_stream_reads_nothing), UNIT(resuming_tells_of_unread_bytes_again),
          UNIT(a_poke_tells_the_new_owner), UNIT(taken_bytes_outlive_what_is_read_next),
          UNIT(a_full_block_that_others_hold_is_left_alone),
          UNIT(reserved_bytes_stand_in_one_piece), UNIT(leftovers_move_to_the_next_block),
          UNIT(the_end_follows_the_last_byte),
          UNIT(the_end_waits_for_unread_bytes_but_the_hangup_does_not),
          UNIT(a_hangup_is_told_while_paused), UNIT(a_reset_is_an_error),
          UNIT(a_reset_is_told_while_paused), UNIT(a_reset_right_behind_bytes_is_found),
          UNIT(a_reset_after_the_end_is_found), UNIT(an_answer_before_a_broken_pipe_is_read),
          UNIT(a_slow_reader_gets_everything), UNIT(shutdown_waits_for_the_queue),
          UNIT(chains_and_slices_go_out_in_order), UNIT(closing_inside_the_callback_is_safe),
          UNIT(a_closed_stream_tells_nothing), UNIT(a_refused_connection_is_an_error),
          UNIT(what_was_queued_goes_when_connected),
          UNIT(a_connection_that_cannot_begin_is_an_error_from_the_loop))
