/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The resolver against a name server of the test's own on 127.0.0.1: answers with their ttl,
 * unknown names, a server that keeps silent, cancelling and freeing with queries under way.
 */
#include "net_pump.h"

#include "net/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

static struct resolver *resolver;
static struct resolve_result result;
static unsigned calls;
static bool called;

static void answer(void *arg, const struct resolve_result *res)
{
	(void)arg;
	result = *res;
	calls++;
	called = true;
	loop_stop(loop);
}

/* ---- the name server: by the first letter of the name ---- */
static int server;
static struct loop_io *server_io;
static unsigned asked;
static bool was_asked;

static size_t put(uint8_t *p, const void *bytes, size_t n)
{
	memcpy(p, bytes, n);
	return n;
}

static void serve(void *arg, unsigned ready)
{
	uint8_t b[512];
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(server, b, sizeof(b) - 64, 0, (struct sockaddr *)&from, &len);
	size_t at = 12;
	uint8_t type;

	(void)arg;
	(void)ready;
	if (n < 17)
		return;
	asked++;
	was_asked = true;
	loop_stop(loop);
	while (at < (size_t)n && b[at])
		at += b[at] + 1u;
	type = b[at + 2];
	at += 5;
	b[2] |= 0x80;
	b[3] = b[13] == 'u' ? 3 : 0; /* unknown: NXDOMAIN */
	memset(b + 6, 0, 6);
	if (b[13] == 's')
		return;
	if (b[13] == 'k' && type == 1) {
		b[7] = 2;
		at += put(b + at, "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\1\2\3", 16);
		at += put(b + at, "\xc0\x0c\0\1\0\1\0\0\0\7\0\4\x0a\1\2\4", 16);
	}
	(void)!sendto(server, b, at, 0, (struct sockaddr *)&from, len);
}

static void begin(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t len = sizeof(in);
	char csv[32];

	loop = loop_new();
	resolver = resolver_new(loop);
	calls = asked = 0;
	called = was_asked = false;
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(bind(server, (struct sockaddr *)&in, len), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(server, (struct sockaddr *)&in, &len), 0);
	server_io = loop_io_new_level(loop, server, LOOP_READ, serve, NULL);
	snprintf(csv, sizeof(csv), "127.0.0.1:%u", ntohs(in.sin_port));
	CU_ASSERT_EQUAL_FATAL(resolver_servers(resolver, csv), 0);
}

static void end(void)
{
	resolver_free(resolver);
	loop_io_free(server_io);
	close(server);
	loop_free(loop);
}

static void ask(const char *host)
{
	called = false;
	memset(&result, 0xff, sizeof(result));
	CU_ASSERT_PTR_NOT_NULL(resolve(resolver, host, 8080, answer, NULL));
	CU_ASSERT_FALSE(called); /* never from within */
	until(&called);
}

static bool has(const char *text)
{
	for (unsigned i = 0; i < result.n; i++) {
		struct net_addr want;

		if (net_addr_parse(str_of(text), &want) && want.len == result.addrs[i].len &&
		    memcmp(&want.ss, &result.addrs[i].ss, want.len) == 0)
			return true;
	}
	return false;
}

static void numbers_are_answered_without_asking(void)
{
	begin();
	ask("127.0.0.1");
	CU_ASSERT_EQUAL(result.r, 0);
	CU_ASSERT_EQUAL(result.n, 1);
	CU_ASSERT_TRUE(has("127.0.0.1:8080"));
	CU_ASSERT(result.ttl >= 1);
	ask("::1");
	CU_ASSERT_EQUAL(result.r, 0);
	CU_ASSERT_TRUE(has("[::1]:8080"));
	ask("[::1]");
	CU_ASSERT_TRUE(has("[::1]:8080"));
	CU_ASSERT_EQUAL(asked, 0);
	end();
}

static void localhost_comes_from_the_hosts_file(void)
{
	begin();
	ask("localhost");
	CU_ASSERT_EQUAL(result.r, 0);
	CU_ASSERT(has("127.0.0.1:8080") || has("[::1]:8080"));
	CU_ASSERT(result.ttl >= 1);
	CU_ASSERT_EQUAL(asked, 0);
	end();
}

static void a_known_name_has_its_addresses_and_least_ttl(void)
{
	begin();
	ask("known.example.");
	CU_ASSERT_EQUAL(result.r, 0);
	CU_ASSERT_EQUAL(result.n, 2);
	CU_ASSERT_TRUE(has("10.1.2.3:8080"));
	CU_ASSERT_TRUE(has("10.1.2.4:8080"));
	CU_ASSERT_EQUAL(result.ttl, 7);
	end();
}

static void an_unknown_name_is_no_host(void)
{
	begin();
	ask("unknown.example.");
	CU_ASSERT_EQUAL(result.r, -EHOSTUNREACH);
	CU_ASSERT_EQUAL(result.n, 0);
	ask("");
	CU_ASSERT(result.r < 0);
	end();
}

static void a_silent_server_is_a_timeout(void)
{
	begin();
	ask("silent.example.");
	CU_ASSERT_EQUAL(result.r, -ETIMEDOUT);
	CU_ASSERT(asked >= 2);
	end();
}

static void cancelled_queries_are_not_answered(void)
{
	struct resolve_op *op;

	begin();
	op = resolve(resolver, "known.example.", 1, answer, NULL);
	resolve_cancel(op);
	op = resolve(resolver, "127.0.0.1", 1, answer, NULL);
	resolve_cancel(op);
	resolve_cancel(NULL);
	until(&was_asked);
	/* A later question is answered after the earlier ones. */
	ask("known.example.");
	CU_ASSERT_EQUAL(calls, 1);
	end();
}

static void freeing_ends_what_is_under_way(void)
{
	struct resolve_op *op;

	begin();
	CU_ASSERT_PTR_NOT_NULL(resolve(resolver, "silent.example.", 1, answer, NULL));
	CU_ASSERT_PTR_NOT_NULL(resolve(resolver, "127.0.0.1", 1, answer, NULL));
	op = resolve(resolver, "silent.too.example.", 1, answer, NULL);
	resolve_cancel(op);
	end();
	CU_ASSERT_EQUAL(calls, 0);
}

UNIT_MAIN("net_resolve", UNIT(numbers_are_answered_without_asking),
          UNIT(localhost_comes_from_the_hosts_file),
          UNIT(a_known_name_has_its_addresses_and_least_ttl), UNIT(an_unknown_name_is_no_host),
          UNIT(a_silent_server_is_a_timeout), UNIT(cancelled_queries_are_not_answered),
          UNIT(freeing_ends_what_is_under_way))
