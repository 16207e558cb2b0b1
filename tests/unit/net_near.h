/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What the tests of streams share: `near`, the stream under test with an owner that counts what it
 * is told and compares what it reads, and `peer`, a bare descriptor at the other end.
 */
#ifndef NET_NEAR_H
#define NET_NEAR_H

#include "net_pump.h"

#include "net/listener.h"
#include "net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct block_pool pool;
static int peer;
static int near_fd; /* of near.s */

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
static inline char pattern(size_t i)
{
	return (char)('a' + (i * 7 + i / 251) % 26);
}

static inline void eat(struct watched *w)
{
	struct str in = stream_in(w->s);

	for (size_t i = 0; i < in.n; i++)
		if (in.p[i] != pattern(w->got + i))
			w->wrong = true;
	w->got += in.n;
	stream_skip(w->s, in.n);
}

static inline void told(void *owner, unsigned what)
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

static inline void wait_for(unsigned what)
{
	near.waiting = what;
	near.arrived = (near.seen & what) == what;
	until(&near.arrived);
}

static inline void begin_loop(void)
{
	loop = loop_new();
	block_pool_init(&pool, 64);
	memset(&near, 0, sizeof(near));
	near.consume = true;
	peer = -1;
}

static inline void begin(void)
{
	int fd[2];

	begin_loop();
	CU_ASSERT_EQUAL_FATAL(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
	peer = fd[1];
	near_fd = fd[0];
	near.s = stream_new(loop, fd[0], &pool, told, &near);
}

/* A connection over TCP; answers this side's descriptor. */
static inline int tcp_pair(int *other)
{
	struct net_addr a;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int fd = -1;
	int client;

	CU_ASSERT_TRUE_FATAL(net_addr_parse(STR("127.0.0.1:0"), &a));
	CU_ASSERT_EQUAL_FATAL(listener_bind(&a, 1, 8, &fd), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(connect(client, (struct sockaddr *)&ss, len), 0);
	/* What ends the handshake may still be on its way to the listener. */
	CU_ASSERT_EQUAL_FATAL(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 30000), 1);
	*other = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	CU_ASSERT_FATAL(*other >= 0);
	close(fd);
	CU_ASSERT_EQUAL(fcntl(client, F_SETFL, O_NONBLOCK), 0);
	return client;
}

/* The same over TCP, whose resets a socket pair does not have. */
static inline void begin_tcp(void)
{
	begin_loop();
	near.s = stream_new(loop, tcp_pair(&peer), &pool, told, &near);
}

static inline void end(void)
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
static inline size_t peer_send(size_t n)
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

static inline void peer_reset(void)
{
	struct linger lg = {.l_onoff = 1, .l_linger = 0};

	setsockopt(peer, SOL_SOCKET, SO_LINGER, &lg, sizeof(lg));
	close(peer);
	peer = -1;
}

#endif
