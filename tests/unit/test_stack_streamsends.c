/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Messages that have no answer: that they arrive whole, in order and once, over bytes and over
 * datagrams, and that what found no room is told of in its place.
 */
#include "stack_streams.h"

#define BIG 30000 /* bytes of a message that fills sockets quickly */

static struct merlon_ctx *ctx;
static merlon_tx *tx;
static char folder[64];
static char sock_path[96];

static void listen_small(void)
{
	listen_tcp();
	setsockopt(listener_fd, SOL_SOCKET, SO_RCVBUF, &(int){8192}, sizeof(int));
}

static void begin(void)
{
	set_up();
	ctx = instance();
	tx = tx_new();
}

static void begin_tcp(void)
{
	listen_small();
	begin();
}

static void end(void)
{
	tx_end(tx);
	instance_end(ctx);
	tear_down();
}

/* A message of BIG bytes that begins with its number and ends with a line's end. */
static int32_t send_big(unsigned number)
{
	static char buf[BIG + 1];
	char head[16];

	snprintf(head, sizeof(head), "%08u", number);
	memset(buf, 'a' + (int)(number % 26), BIG);
	memcpy(buf, head, 8);
	buf[BIG - 1] = '\n';
	return host_stream_send(opened, tx, (struct merlon_str){buf, BIG});
}

/* The number of the next big message, which must be whole; -1: the connection has ended. */
static long hear_big(void)
{
	const char *got = peer_hear(BIG);
	unsigned number = 0;

	if (strlen(got) != BIG)
		return -1;
	CU_ASSERT_EQUAL(sscanf(got, "%8u", &number), 1);
	for (size_t i = 8; i < BIG - 1; i++) {
		if (got[i] != (char)('a' + (int)(number % 26))) {
			CU_FAIL("a message is mixed up");
			break;
		}
	}
	CU_ASSERT_EQUAL(got[BIG - 1], '\n');
	return (long)number;
}

/* ---- over bytes ---- */
static void messages_arrive_in_order(void)
{
	begin_tcp();
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("early\n")), 0);
	peer_accept();
	HEARS("early\nearly\nearly\n");
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("later\n")), 0);
	HEARS("later\n");
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("")), MERLON_E_INVAL);
	CU_ASSERT_EQUAL(host_stream_send(opened, NULL, text("x")), MERLON_E_INVAL);
	end();
}

static void octets_are_counted_where_there_are_no_borders(void)
{
	set_up();
	listen_small();
	ops.endpoint = text(endpoint);
	ops.octet_counting = 1;
	ctx = instance();
	tx = tx_new();
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("<13>1 one")), 0);
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("<13>1 the other\n")), 0);
	peer_accept();
	HEARS("9 <13>1 one16 <13>1 the other\n");
	end();
}

static void what_the_peer_says_is_dropped(void)
{
	begin_tcp();
	peer_accept();
	until_state(MERLON_STREAM_UP);
	peer_say("who are you?\n");
	turn();
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("a\n")), 0);
	HEARS("a\n");
	CU_ASSERT_EQUAL(host_stream_state(opened, &W.w), MERLON_STREAM_UP);
	end();
}

static void a_peer_that_closes_is_noticed_before_the_next_message(void)
{
	begin_tcp();
	peer_accept();
	until_state(MERLON_STREAM_UP);
	shutdown(peer, SHUT_WR);
	CU_ASSERT_TRUE(peer_at_end());
	peer_close();
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("not lost\n")), 0);
	peer_accept();
	HEARS("not lost\n");
	end();
}

static void a_message_that_was_cut_comes_again_whole(void)
{
	unsigned sent = 0;
	long next, last = -1;
	uint64_t cut;
	char part[5000];

	begin_tcp();
	peer_accept();
	until_state(MERLON_STREAM_UP);
	for (; send_big(sent) == 0; sent++)
		turn();
	/* The kernel has taken some messages whole, and one in part. */
	cut = stream_written(opened->links[0]->s);
	CU_ASSERT(cut % BIG != 0);
	CU_ASSERT_EQUAL(read(peer, part, sizeof(part)), (ssize_t)sizeof(part));
	peer_close();
	peer_accept();
	while (last + 1 < (long)sent) {
		next = hear_big();
		CU_ASSERT_EQUAL(next, last >= 0 ? last + 1 : (long)(cut / BIG));
		CU_ASSERT_FATAL(next >= 0);
		last = next;
	}
	CU_ASSERT_TRUE(peer_quiet());
	end();
}

static void what_was_lost_is_told_in_its_place(void)
{
	unsigned sent = 0, lost = 0;
	long n;

	listen_small();
	set_up();
	ops.max_queue = 4 * BIG + 100;
	ops.note = text("bridge");
	ops.lost = lines_lost;
	ctx = instance();
	tx = tx_new();
	peer_accept();
	until_state(MERLON_STREAM_UP);
	for (; sent < 1000 && send_big(sent) == 0; sent++)
		turn();
	CU_ASSERT_EQUAL(host_stream_ready(opened, tx, BIG), MERLON_E_FULL);
	for (lost = 1; lost < 7; lost++)
		CU_ASSERT_EQUAL(send_big(9999), MERLON_E_FULL);
	/* A small one would fit, but nothing passes the notice by. */
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("small\n")), MERLON_E_FULL);
	lost++;
	for (unsigned i = 0; i < sent; i++) {
		n = hear_big();
		CU_ASSERT_EQUAL_FATAL(n, (long)i);
	}
	HEARS("bridge lost 8\n");
	CU_ASSERT_EQUAL(lost, 8);
	CU_ASSERT_EQUAL(host_stream_ready(opened, tx, BIG), 0);
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("after\n")), 0);
	HEARS("after\n");
	end();
}

static void a_full_queue_survives_the_peers_absence(void)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	unsigned sent = 0;

	listen_small();
	getsockname(listener_fd, (struct sockaddr *)&sin, &len);
	close(listener_fd);
	set_up();
	ops.max_queue = 3 * BIG;
	ops.note = text("here");
	ops.lost = lines_lost;
	ctx = instance();
	tx = tx_new();
	until_state(MERLON_STREAM_DOWN);
	while (send_big(sent) == 0)
		sent++;
	CU_ASSERT_EQUAL(sent, 3);
	listener_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(listener_fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	CU_ASSERT_EQUAL_FATAL(bind(listener_fd, (struct sockaddr *)&sin, len), 0);
	listen(listener_fd, 5);
	peer_accept();
	for (unsigned i = 0; i < sent; i++)
		CU_ASSERT_EQUAL(hear_big(), (long)i);
	HEARS("here lost 1\n");
	end();
}

static void the_last_holder_lets_messages_go_out(void)
{
	unsigned sent = 0;

	listen_small();
	set_up();
	ctx = instance();
	tx = tx_new();
	peer_accept();
	until_state(MERLON_STREAM_UP);
	for (; send_big(sent) == 0; sent++)
		turn();
	tx_end(tx);
	instance_end(ctx);
	for (unsigned i = 0; i < sent; i++)
		CU_ASSERT_EQUAL(hear_big(), (long)i);
	CU_ASSERT_TRUE(peer_at_end());
	tear_down();
}

static void the_workers_end_does_not_cut_them_off(void)
{
	begin_tcp();
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("goodbye\n")), 0);
	tx_end(tx);
	instance_end(ctx);
	/* Not yet connected: the end waits for it, if not for long. */
	streams_worker_finish(&W.w);
	peer_accept();
	HEARS("goodbye\n");
	CU_ASSERT_TRUE(peer_at_end());
	tear_down();
}

static void an_end_without_a_peer_ends(void)
{
	listen_tcp();
	close(listener_fd);
	listener_fd = -1;
	begin();
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("goodbye\n")), 0);
	end();
}

static void a_new_holder_takes_a_lingering_connection_over(void)
{
	merlon_stream *first;
	unsigned sent = 0;

	begin_tcp();
	first = opened;
	peer_accept();
	until_state(MERLON_STREAM_UP);
	for (; send_big(sent) == 0; sent++)
		turn();
	instance_end(ctx);
	ctx = instance();
	CU_ASSERT_PTR_EQUAL(opened, first);
	for (unsigned i = 0; i < sent; i++)
		CU_ASSERT_EQUAL(hear_big(), (long)i);
	CU_ASSERT_TRUE(peer_quiet());
	CU_ASSERT_EQUAL(host_stream_state(opened, &W.w), MERLON_STREAM_UP);
	end();
}

/* ---- unix sockets and datagrams ---- */
static int bind_unix(int type)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", sock_path);
	unlink(sock_path);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

static void begin_unix(void)
{
	snprintf(folder, sizeof(folder), "/tmp/streams.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(sock_path, sizeof(sock_path), "%s/log", folder);
	snprintf(endpoint, sizeof(endpoint), "unix:%s", sock_path);
}

static void end_unix(void)
{
	end();
	unlink(sock_path);
	CU_ASSERT_EQUAL(rmdir(folder), 0);
}

static void a_unix_stream_socket(void)
{
	begin_unix();
	listener_fd = bind_unix(SOCK_STREAM);
	listen(listener_fd, 5);
	set_up();
	ops.octet_counting = 1;
	ctx = instance();
	tx = tx_new();
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("one")), 0);
	peer_accept();
	HEARS("3 one");
	end_unix();
}

#define DATAGRAM(z)                                                                                \
	do {                                                                                       \
		char got_[256];                                                                    \
		until_readable(peer);                                                              \
		ssize_t n_ = recv(peer, got_, sizeof(got_) - 1, 0);                                \
		CU_ASSERT_FATAL(n_ > 0);                                                           \
		got_[n_] = '\0';                                                                   \
		CU_ASSERT_STRING_EQUAL(got_, z);                                                   \
	} while (0)

static void a_unix_datagram_socket(void)
{
	begin_unix();
	peer = bind_unix(SOCK_DGRAM);
	set_up();
	ops.octet_counting = 1;
	ctx = instance();
	tx = tx_new();
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("one")), 0);
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("two")), 0);
	DATAGRAM("one");
	DATAGRAM("two");
	CU_ASSERT_EQUAL(host_stream_state(opened, &W.w), MERLON_STREAM_UP);
	end_unix();
}

static void a_collector_of_datagrams_restarts(void)
{
	begin_unix();
	peer = bind_unix(SOCK_DGRAM);
	begin();
	until_state(MERLON_STREAM_UP);
	peer_close();
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("kept 1")), 0);
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("kept 2")), 0);
	until_state(MERLON_STREAM_DOWN);
	peer = bind_unix(SOCK_DGRAM);
	DATAGRAM("kept 1");
	DATAGRAM("kept 2");
	/* It may come back as another kind of socket. */
	peer_close();
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("kept 3")), 0);
	turn();
	listener_fd = bind_unix(SOCK_STREAM);
	listen(listener_fd, 5);
	peer_accept();
	HEARS("kept 3");
	end_unix();
}

static void a_slow_collector_of_datagrams(void)
{
	unsigned sent = 0;

	begin_unix();
	peer = bind_unix(SOCK_DGRAM);
	begin();
	until_state(MERLON_STREAM_UP);
	for (; sent < 500; sent++) {
		char z[16];

		snprintf(z, sizeof(z), "%u", sent);
		CU_ASSERT_EQUAL(host_stream_send(opened, tx, text(z)), 0);
	}
	turn();
	for (unsigned i = 0; i < sent; i++) {
		char z[16];

		snprintf(z, sizeof(z), "%u", i);
		DATAGRAM(z);
	}
	end_unix();
}

static void a_message_that_is_no_datagram_is_lost(void)
{
	static char huge[400000];

	begin_unix();
	peer = bind_unix(SOCK_DGRAM);
	set_up();
	ops.lost = lines_lost;
	ops.note = text("too long:");
	ctx = instance();
	tx = tx_new();
	memset(huge, 'x', sizeof(huge) - 1);
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("before")), 0);
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text(huge)), 0);
	DATAGRAM("before");
	DATAGRAM("too long: lost 1\n");
	CU_ASSERT_EQUAL(host_stream_state(opened, &W.w), MERLON_STREAM_UP);
	end_unix();
}

static void udp(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sin);

	peer = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	CU_ASSERT_EQUAL_FATAL(bind(peer, (struct sockaddr *)&sin, len), 0);
	getsockname(peer, (struct sockaddr *)&sin, &len);
	snprintf(endpoint, sizeof(endpoint), "udp:127.0.0.1:%u", ntohs(sin.sin_port));
	begin();
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("one")), 0);
	DATAGRAM("one");
	/* Nobody there: the first bounces, which is how it is found out; the rest waits. */
	peer_close();
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("bounces")), 0);
	for (int i = 0; i < 1000 && host_stream_state(opened, &W.w) == MERLON_STREAM_UP; i++)
		turn();
	peer = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	CU_ASSERT_EQUAL_FATAL(bind(peer, (struct sockaddr *)&sin, len), 0);
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("two")), 0);
	DATAGRAM("two");
	end();
}

UNIT_MAIN("stream sends", UNIT(messages_arrive_in_order),
          UNIT(octets_are_counted_where_there_are_no_borders), UNIT(what_the_peer_says_is_dropped),
          UNIT(a_peer_that_closes_is_noticed_before_the_next_message),
          UNIT(a_message_that_was_cut_comes_again_whole), UNIT(what_was_lost_is_told_in_its_place),
          UNIT(a_full_queue_survives_the_peers_absence), UNIT(the_last_holder_lets_messages_go_out),
          UNIT(the_workers_end_does_not_cut_them_off), UNIT(an_end_without_a_peer_ends),
          UNIT(a_new_holder_takes_a_lingering_connection_over), UNIT(a_unix_stream_socket),
          UNIT(a_unix_datagram_socket), UNIT(a_collector_of_datagrams_restarts),
          UNIT(a_slow_collector_of_datagrams), UNIT(a_message_that_is_no_datagram_is_lost),
          UNIT(udp))
