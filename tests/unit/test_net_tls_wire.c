/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * TLS with somebody in between, who cuts, changes and delays what goes by: nothing that was changed
 * is ever taken for what was sent, and nothing that comes in small pieces is lost.
 */
#define _GNU_SOURCE /* accept4(2) */
#include "net_pump.h"
#include "tls_pki.h"

#include "net/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#define BYTES 40000

static struct block_pool pool;
static struct tls_ctx *sctx;
static struct tls_ctx *cctx;

static struct side {
	struct stream *s;
	unsigned seen;
	size_t got;
	bool wrong;
} server, client;

/* The one in between: bytes to the server and to the client. */
static struct way {
	int from;
	int to;
	size_t passed;
	size_t change; /* the byte at this place is another one; SIZE_MAX: none */
	size_t piece;
	bool ended;
} there, back;

static char pattern(size_t i)
{
	return (char)('a' + (i * 7 + i / 251) % 26);
}

static void told(void *owner, unsigned what)
{
	struct side *e = owner;
	struct str in = stream_in(e->s);

	e->seen |= what;
	if (what & STREAM_IN) {
		for (size_t i = 0; i < in.n; i++)
			e->wrong |= in.p[i] != pattern(e->got + i);
		e->got += in.n;
		stream_skip(e->s, in.n);
	}
	if (what & STREAM_CONNECTED) {
		char b[BYTES];

		for (size_t i = 0; i < sizeof(b); i++)
			b[i] = pattern(i);
		stream_send_copy(e->s, b, sizeof(b));
		stream_flush(e->s);
	}
	loop_stop(loop);
}

static void carry(struct way *w)
{
	char b[4096];
	/* The handshake and the first records; the rest would take its time. */
	size_t most = w->passed < 4000 ? w->piece : sizeof(b);
	ssize_t n = w->ended ? 0 : recv(w->from, b, most, 0);

	if (n > 0) {
		if (w->change >= w->passed && w->change < w->passed + (size_t)n)
			b[w->change - w->passed] ^= 0x20;
		w->passed += (size_t)n;
		(void)send(w->to, b, (size_t)n, MSG_NOSIGNAL);
	} else if (n == 0 && !w->ended) {
		w->ended = true;
		shutdown(w->to, SHUT_WR);
	}
}

static int listen_fd(struct sockaddr_storage *ss, socklen_t *len)
{
	struct net_addr a;
	int fd;

	*len = sizeof(*ss);
	CU_ASSERT_TRUE_FATAL(net_addr_parse(STR("127.0.0.1:0"), &a));
	CU_ASSERT_EQUAL_FATAL(listener_bind(&a, 1, 8, &fd), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(fd, (struct sockaddr *)ss, len), 0);
	return fd;
}

static int take(int fd)
{
	int got = -1;

	while (got < 0)
		got = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	close(fd);
	return got;
}

static int prompt(int fd)
{
	int one = 1;

	CU_ASSERT_EQUAL(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
	return fd;
}

static void meet(size_t piece)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int err = 0;
	int fd = listen_fd(&ss, &len);

	memset(&client, 0, sizeof(client));
	memset(&server, 0, sizeof(server));
	client.s = stream_connect_tls(loop, (struct sockaddr *)&ss, len, &pool, cctx, STR("a.test"),
	                              NULL, told, &client, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(client.s);
	there = (struct way){.from = prompt(take(fd)), .change = SIZE_MAX, .piece = piece};
	fd = listen_fd(&ss, &len);
	there.to = prompt(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	CU_ASSERT_EQUAL_FATAL(connect(there.to, (struct sockaddr *)&ss, len), 0);
	CU_ASSERT_EQUAL(fcntl(there.to, F_SETFL, O_NONBLOCK), 0);
	back = (struct way){.from = there.to, .to = there.from, .change = SIZE_MAX, .piece = piece};
	server.s = stream_new(loop, take(fd), &pool, told, &server);
	stream_accept_tls(server.s, sctx);
}

static void part(void)
{
	client.s = stream_close(client.s);
	server.s = stream_close(server.s);
	close(there.from);
	close(there.to);
	turn();
}

static bool over(const struct side *e)
{
	return e->got == BYTES || (e->seen & (STREAM_ERROR | STREAM_EOF));
}

/* Until both have all, or nothing moves any more: a length that was made larger is waited for. */
static void run(void)
{
	for (unsigned idle = 0; idle < 200 && !(over(&client) && over(&server)); idle++) {
		size_t before = there.passed + back.passed;

		carry(&there);
		carry(&back);
		turn();
		if (there.passed + back.passed != before)
			idle = 0;
	}
}

static void begin(void)
{
	hash_init();
	pki_begin();
	loop = loop_new();
	block_pool_init(&pool, 64);
	struct cert root = pki_make((struct cert_spec){.cn = "root", .ca = true});
	struct cert c = pki_make((struct cert_spec){.issuer = &root, .names = {"DNS:a.test"}});
	struct tls_pair pair = {pki_cert("s.pem", &c), pki_key("s.key", &c, NULL)};
	struct tls_server_conf sc = {
	    .pairs = &pair, .npairs = 1, .min_version = TLS_1_2, .name = STR("main")};
	struct tls_client_conf cc = {.ca = pki_cert("ca.pem", &root)};

	sctx = tls_server_new(&sc, NULL, NULL);
	cctx = tls_client_new(&cc, NULL, NULL);
	CU_ASSERT_FATAL(sctx && cctx);
	pki_free(&root);
	pki_free(&c);
	pki_end();
}

static void end(void)
{
	tls_ctx_unref(sctx);
	tls_ctx_unref(cctx);
	loop_free(loop);
	block_pool_deinit(&pool);
}

static void pieces_of_any_size_do(void)
{
	static const size_t pieces[] = {1, 2, 5, 6, 100, 1461, 4096};

	begin();
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		meet(pieces[i]);
		run();
		CU_ASSERT_EQUAL(client.got, BYTES);
		CU_ASSERT_EQUAL(server.got, BYTES);
		CU_ASSERT_FALSE(client.wrong || server.wrong);
		part();
	}
	end();
}

static void what_was_changed_is_never_taken(void)
{
	begin();
	for (size_t at = 0; at < 1600; at += 13) {
		for (int dir = 0; dir < 2; dir++) {
			meet(4096);
			*(dir ? &back.change : &there.change) = at;
			run();
			CU_ASSERT_FALSE(client.wrong || server.wrong);
			/* The legacy versions in the heads of records are not looked at by all. */
			if (at >= 11)
				CU_ASSERT_FALSE(client.got == BYTES && server.got == BYTES);
			part();
		}
	}
	end();
}

static void what_was_cut_is_noticed(void)
{
	begin();
	for (size_t at = 0; at < 60000; at += 1709) {
		meet(4096);
		for (unsigned n = 0; n < 400 && back.passed < at; n++) {
			carry(&there);
			carry(&back);
			turn();
		}
		back.ended = true;
		shutdown(back.to, SHUT_WR);
		for (unsigned n = 0; n < 50; n++)
			turn();
		CU_ASSERT_FALSE(client.wrong);
		CU_ASSERT_TRUE(client.seen & STREAM_ERROR);
		CU_ASSERT_FALSE(client.seen & STREAM_EOF);
		part();
	}
	end();
}

UNIT_MAIN("net_tls_wire", UNIT(pieces_of_any_size_do), UNIT(what_was_changed_is_never_taken),
          UNIT(what_was_cut_is_noticed))
