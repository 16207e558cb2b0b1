/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Streams to names: several addresses of which one serves, names that nobody knows, and a name
 * server that is silent. The name server answers by the first letter.
 */
#include "stack_streams.h"

static int dns = -1;
static struct loop_io *dns_io;
static unsigned asked;

/* 't': 127.0.0.2, where nobody is, and 127.0.0.1. 'u': unknown. 's': nothing is said. */
static void dns_answer(void *arg, unsigned ready)
{
	static const char two[] = "\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\2"
				  "\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1";
	uint8_t b[512];
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(dns, b, 256, 0, (struct sockaddr *)&from, &len);
	size_t question = 12;

	(void)arg;
	(void)ready;
	if (n < 17)
		return;
	asked++;
	while (question < (size_t)n && b[question])
		question += b[question] + 1u;
	question += 5;
	if (b[13] == 's')
		return;
	b[2] |= 0x80;
	b[3] = b[13] == 'u' ? 3 : 0;
	memset(b + 6, 0, 6);
	if (b[13] == 't' && b[question - 3] == 1) {
		b[7] = 2;
		memcpy(b + question, two, sizeof(two) - 1);
		question += sizeof(two) - 1;
	}
	(void)!sendto(dns, b, question, 0, (struct sockaddr *)&from, len);
}

/* A socket of that type on 127.0.0.1, and its port. */
static int bound(int type, unsigned *port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&sin, len), 0);
	getsockname(fd, (struct sockaddr *)&sin, &len);
	*port = ntohs(sin.sin_port);
	return fd;
}

static void begin(const char *scheme, const char *name, unsigned port)
{
	unsigned dns_port;
	char csv[32];

	snprintf(endpoint, sizeof(endpoint), "%s:%s:%u", scheme, name, port);
	set_up();
	asked = 0;
	dns = bound(SOCK_DGRAM, &dns_port);
	dns_io = loop_io_new_level(loop, dns, LOOP_READ, dns_answer, NULL);
	snprintf(csv, sizeof(csv), "127.0.0.1:%u", dns_port);
	CU_ASSERT_EQUAL_FATAL(resolver_servers(W.w.resolver, csv), 0);
}

static void end(struct merlon_ctx *ctx)
{
	instance_end(ctx);
	streams_worker_finish(&W.w);
	loop_io_free(dns_io);
	close(dns);
	tear_down();
}

static void the_address_that_serves_is_found(void)
{
	struct merlon_ctx *ctx;
	unsigned port;

	listener_fd = bound(SOCK_STREAM, &port);
	listen(listener_fd, 5);
	begin("tcp", "two.test", port);
	ctx = instance();
	peer_accept();
	until_state(MERLON_STREAM_UP);
	/* On the first attempt: no call would have been refused meanwhile. */
	CU_ASSERT(asked > 0);
	end(ctx);
}

static void datagrams_find_it_too(void)
{
	struct merlon_ctx *ctx;
	merlon_tx *tx;
	unsigned port;
	bool heard = false;

	peer = bound(SOCK_DGRAM, &port);
	begin("udp", "two.test", port);
	ctx = instance();
	tx = tx_new();
	for (int i = 0; i < 10000 && !heard; i++) {
		struct pollfd p = {.fd = peer, .events = POLLIN};

		if (host_stream_state(opened, &W.w) == MERLON_STREAM_UP)
			CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("anybody?")), 0);
		turn();
		heard = poll(&p, 1, 1) > 0;
	}
	CU_ASSERT_TRUE(heard);
	tx_end(tx);
	end(ctx);
}

static void an_unknown_name_is_asked_for_again(void)
{
	struct merlon_ctx *ctx;
	unsigned before;

	begin("tcp", "unknown.test", 1);
	ctx = instance();
	until_state(MERLON_STREAM_DOWN);
	before = asked;
	for (int i = 0; i < 30000 && asked == before; i++) {
		turn();
		poll(NULL, 0, 1);
	}
	CU_ASSERT(asked > before);
	end(ctx);
}

static void a_silent_name_server_does_not_hold_it_up(void)
{
	struct merlon_ctx *ctx;

	begin("tcp", "silent.test", 1);
	ops.connect_timeout_ms = 20;
	ctx = instance();
	until_state(MERLON_STREAM_DOWN);
	CU_ASSERT(asked > 0);
	end(ctx);
}

static void an_end_while_a_name_is_asked_for(void)
{
	struct merlon_ctx *ctx;

	begin("tcp", "silent.test", 1);
	ctx = instance();
	for (int i = 0; i < 30000 && asked == 0; i++)
		turn();
	CU_ASSERT(asked > 0);
	end(ctx);
}

UNIT_MAIN("streams to names", UNIT(the_address_that_serves_is_found), UNIT(datagrams_find_it_too),
          UNIT(an_unknown_name_is_asked_for_again), UNIT(a_silent_name_server_does_not_hold_it_up),
          UNIT(an_end_while_a_name_is_asked_for))
