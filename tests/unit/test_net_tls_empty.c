/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Clients that keep TLS busy and bring no data: OpenSSL reads on within one call, so what such a
 * client may send has an end, and what comes beside data has none.
 */
#define _GNU_SOURCE /* accept4(2) */
#include "net_pump.h"
#include "tls_pki.h"

#include "net/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#define UPDATES 4000

static struct block_pool pool;
static struct tls_ctx *ctx;
static struct stream *server;
static unsigned seen;
static size_t got;
static SSL_CTX *client_ctx;
static SSL *client;
static int client_fd;

static void told(void *owner, unsigned what)
{
	struct str in = stream_in(server);

	(void)owner;
	seen |= what;
	got += in.n;
	stream_skip(server, in.n);
}

static void meet(void)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct net_addr a;
	int fd;
	int own = -1;
	int one = 1;

	CU_ASSERT_TRUE_FATAL(net_addr_parse(STR("127.0.0.1:0"), &a));
	CU_ASSERT_EQUAL_FATAL(listener_bind(&a, 1, 8, &fd), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	client_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(connect(client_fd, (struct sockaddr *)&ss, len), 0);
	CU_ASSERT_EQUAL(fcntl(client_fd, F_SETFL, O_NONBLOCK), 0);
	CU_ASSERT_EQUAL(setsockopt(client_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
	while (own < 0)
		own = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	close(fd);
	seen = 0;
	got = 0;
	server = stream_new(loop, own, &pool, told, NULL);
	stream_accept_tls(server, ctx);
	client = SSL_new(client_ctx);
	SSL_set_fd(client, client_fd);
	while (SSL_connect(client) != 1)
		turn();
	while (!(seen & STREAM_CONNECTED))
		turn();
}

static void part(void)
{
	SSL_free(client);
	close(client_fd);
	server = stream_close(server);
	turn();
}

static void begin(void)
{
	struct cert root;
	struct cert c;

	hash_init();
	pki_begin();
	loop = loop_new();
	block_pool_init(&pool, 64);
	root = pki_make((struct cert_spec){.cn = "root", .ca = true});
	c = pki_make((struct cert_spec){.issuer = &root, .names = {"DNS:a.test"}});
	struct tls_pair pair = {pki_cert("s.pem", &c), pki_key("s.key", &c, NULL)};
	struct tls_server_conf conf = {
	    .pairs = &pair, .npairs = 1, .min_version = TLS_1_3, .name = STR("main")};

	ctx = tls_server_new(&conf, NULL, NULL);
	client_ctx = SSL_CTX_new(TLS_client_method());
	CU_ASSERT_FATAL(ctx && client_ctx);
	pki_free(&root);
	pki_free(&c);
	pki_end();
}

static void end(void)
{
	SSL_CTX_free(client_ctx);
	tls_ctx_unref(ctx);
	loop_free(loop);
	block_pool_deinit(&pool);
}

/* False: the connection is over. */
static bool update(void)
{
	if (SSL_key_update(client, SSL_KEY_UPDATE_NOT_REQUESTED) != 1)
		return false;
	while (SSL_do_handshake(client) != 1) {
		if (SSL_get_error(client, -1) != SSL_ERROR_WANT_WRITE)
			return false;
		turn();
	}
	return true;
}

static void key_updates_alone_come_to_an_end(void)
{
	unsigned n = 0;

	begin();
	meet();
	while (n < UPDATES && !(seen & STREAM_ERROR) && update()) {
		n++;
		turn();
	}
	CU_ASSERT_TRUE(n >= 32 && n < UPDATES / 4);
	CU_ASSERT_TRUE(seen & STREAM_ERROR);
	CU_ASSERT_TRUE(
	    str_eq(stream_tls_error(server), STR("the peer sends much and says nothing")));
	part();
	end();
}

static void key_updates_beside_data_do_not(void)
{
	size_t sent = 0;

	begin();
	meet();
	for (unsigned n = 0; n < UPDATES && update(); n++) {
		if (n % 25 == 0 && SSL_write(client, "x", 1) == 1)
			sent++;
		turn();
	}
	CU_ASSERT_EQUAL(sent, UPDATES / 25);
	CU_ASSERT_EQUAL(got, sent);
	CU_ASSERT_FALSE(seen & STREAM_ERROR);
	part();
	end();
}

UNIT_MAIN("net_tls_empty", UNIT(key_updates_alone_come_to_an_end),
          UNIT(key_updates_beside_data_do_not))
