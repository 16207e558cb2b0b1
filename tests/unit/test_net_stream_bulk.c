/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Large bodies from one stream to another: nothing is lost at the edges of blocks, nothing stays in
 * the kernel when the turn is over, and few bytes hold no large block.
 */
#define _GNU_SOURCE /* accept4(2) */
#include "net_near.h"

#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

static struct stream *far; /* near's owner hands what it reads on to this one */
static int far_fd;
static int far_peer;
static size_t arrived;
static bool arrived_wrong;

static void far_told(void *owner, unsigned what)
{
	(void)owner;
	(void)what;
}

/* In pieces of at most `piece` bytes, each flushed, as a relay of chunks does. */
static size_t piece;

static void hand_on(void *owner, unsigned what)
{
	struct watched *w = owner;

	w->seen |= what;
	while ((what & STREAM_IN) && stream_in(w->s).n > 0) {
		size_t n = stream_in(w->s).n;

		stream_send(far, stream_take(w->s, n < piece ? n : piece));
		CU_ASSERT_EQUAL(stream_flush(far), 0);
	}
}

static void begin_pair(void)
{
	static const int on = 1;

	alarm(60); /* what does not come would be waited for */
	begin_loop();
	near.s = stream_new(loop, tcp_pair(&peer), &pool, hand_on, &near);
	/* What the peer sends comes at once. */
	CU_ASSERT_EQUAL(setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	far_fd = tcp_pair(&far_peer);
	far = stream_new(loop, far_fd, &pool, far_told, NULL);
	piece = SIZE_MAX;
	arrived = 0;
	arrived_wrong = false;
}

static void end_pair(void)
{
	far = stream_close(far);
	close(far_peer);
	end();
}

static void take_in(void)
{
	char b[8192];
	ssize_t r;

	while ((r = recv(far_peer, b, sizeof(b), 0)) > 0) {
		for (ssize_t i = 0; i < r; i++)
			arrived_wrong |= b[i] != pattern(arrived + (size_t)i);
		arrived += (size_t)r;
	}
}

/* What has been sent may still be on its way. */
static bool at_end(void)
{
	struct pollfd p = {.fd = far_peer, .events = POLLIN};
	char b;

	return poll(&p, 1, 30000) == 1 && recv(far_peer, &b, 1, 0) == 0;
}

/* What the kernel took and has not sent. */
static int kept_back(void)
{
	int n = -1;

	CU_ASSERT_EQUAL(ioctl(far_fd, SIOCOUTQNSD, &n), 0);
	return n;
}

/* What the window of a peer that has read nothing yet surely takes; more may rightly stay. */
#define IN_ONE_WINDOW (3 * BLOCK_SIZE + 1)

static void pass_on(size_t size)
{
	uint64_t all = stream_read_total(near.s) + size;

	arrived = 0;
	CU_ASSERT_EQUAL_FATAL(peer_send(size), size);
	while (stream_read_total(near.s) < all)
		turn();
	turn();
	if (size <= IN_ONE_WINDOW)
		CU_ASSERT_EQUAL(kept_back(), 0);
	for (take_in(); arrived < size; take_in())
		turn();
	CU_ASSERT_EQUAL(arrived, size);
	CU_ASSERT_FALSE(arrived_wrong);
	CU_ASSERT_EQUAL(stream_queued(far), 0);
}

static void nothing_is_kept_back_when_the_turn_is_over(void)
{
	static const size_t pieces[] = {SIZE_MAX, 5000, BLOCK_SIZE, BLOCK_SIZE + 1};

	for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++) {
		begin_pair();
		piece = pieces[p];
		for (size_t n = BLOCK_SIZE; n <= 5 * BLOCK_SIZE; n += BLOCK_SIZE) {
			for (size_t size = n - 1; size <= n + 1; size++)
				pass_on(size);
		}
		end_pair();
	}
}

static void what_was_kept_back_leaves_before_the_end(void)
{
	const size_t size = 4 * BLOCK_SIZE;

	begin_pair();
	CU_ASSERT_EQUAL_FATAL(peer_send(size), size);
	shutdown(peer, SHUT_WR);
	while (!(near.seen & STREAM_EOF))
		turn();
	CU_ASSERT_EQUAL(stream_shutdown(far), 0);
	for (take_in(); arrived < size; take_in())
		turn();
	turn();
	CU_ASSERT_EQUAL(arrived, size);
	CU_ASSERT_FALSE(arrived_wrong);
	CU_ASSERT_TRUE(at_end());
	end_pair();
}

static void a_writer_closed_in_the_turn_loses_nothing(void)
{
	const size_t size = BLOCK_SIZE;

	begin_pair();
	CU_ASSERT_EQUAL_FATAL(peer_send(size), size);
	while (stream_read_total(near.s) < size) {
		loop_post(loop, pump_stop, NULL);
		loop_run(loop);
	}
	far = stream_close(far);
	for (take_in(); arrived < size; take_in())
		turn();
	CU_ASSERT_EQUAL(arrived, size);
	CU_ASSERT_TRUE(at_end());
	end_pair();
}

/* A reader that takes little at a time; what it has not taken waits in the stream and the kernel.
 */
static void a_slow_reader_gets_a_large_body_whole(void)
{
	const size_t size = 64 * BLOCK_SIZE + 1;
	int small = 8192;
	size_t sent = 0;
	char b[3001];

	begin_pair();
	CU_ASSERT_EQUAL(setsockopt(far_fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	while (arrived < size) {
		size_t k = 0;
		ssize_t r;

		for (; k < sizeof(b) && sent + k < size; k++)
			b[k] = pattern(sent + k);
		r = k ? send(peer, b, k, MSG_NOSIGNAL) : 0;
		sent += r > 0 ? (size_t)r : 0;
		turn();
		r = recv(far_peer, b, sizeof(b), 0);
		for (ssize_t i = 0; i < r; i++)
			arrived_wrong |= b[i] != pattern(arrived + (size_t)i);
		arrived += r > 0 ? (size_t)r : 0;
	}
	CU_ASSERT_EQUAL(arrived, size);
	CU_ASSERT_FALSE(arrived_wrong);
	end_pair();
}

UNIT_MAIN("net_stream_bulk", UNIT(nothing_is_kept_back_when_the_turn_is_over),
          UNIT(what_was_kept_back_leaves_before_the_end),
          UNIT(a_writer_closed_in_the_turn_loses_nothing),
          UNIT(a_slow_reader_gets_a_large_body_whole))
