/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Writing to streams, connecting and closing them: slow readers, refused connections, closing
 * inside a callback.
 */
#define _GNU_SOURCE /* accept4(2) */
#include "net_near.h"

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
	CU_ASSERT_EQUAL(setsockopt(near_fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
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

static void copies_and_slices_go_out_in_order(void)
{
	char b[64] = "";

	begin();
	stream_send(near.s, (struct slice){NULL, "static ", 7});
	stream_send_copy(near.s, "copied ", 7);
	stream_send(near.s, (struct slice){NULL, "chain", 5});
	CU_ASSERT_EQUAL(stream_queued(near.s), 19);
	CU_ASSERT_EQUAL(stream_flush(near.s), 0);
	CU_ASSERT_EQUAL(stream_queued(near.s), 0);
	CU_ASSERT_EQUAL(recv(peer, b, sizeof(b), 0), 19);
	CU_ASSERT_STRING_EQUAL(b, "static copied chain");
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
	/* What ends the handshake may still be on its way to the listener. */
	CU_ASSERT_EQUAL_FATAL(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 30000), 1);
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

UNIT_MAIN("net_stream_out", UNIT(a_slow_reader_gets_everything), UNIT(shutdown_waits_for_the_queue),
          UNIT(copies_and_slices_go_out_in_order), UNIT(closing_inside_the_callback_is_safe),
          UNIT(a_closed_stream_tells_nothing), UNIT(a_refused_connection_is_an_error),
          UNIT(what_was_queued_goes_when_connected),
          UNIT(a_connection_that_cannot_begin_is_an_error_from_the_loop))
