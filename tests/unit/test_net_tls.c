/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * TLS between two streams over TCP: bytes, ends, whom a client and a server take for whom they say
 * they are, sessions, and certificates that lose what they had while a connection lives.
 */
#define _GNU_SOURCE /* accept4(2) */
#include "net_pump.h"
#include "tls_pki.h"

#include "net/listener.h"

#include <netinet/in.h>

#define BIG (3 * 1024 * 1024)

static struct block_pool pool;
static struct cert root;
static struct tls_session *session;

static struct side {
	struct stream *s;
	unsigned seen;
	unsigned waiting;
	bool arrived;
	size_t got;
	size_t expects;
	size_t sent;
	bool wrong;
} server, client;

static char pattern(size_t i)
{
	return (char)('a' + (i * 7 + i / 251) % 26);
}

static void send_more(struct side *e, size_t total)
{
	char b[10000];

	while (e->sent < total && stream_queued(e->s) < STREAM_HIGH) {
		size_t n = total - e->sent < sizeof(b) ? total - e->sent : sizeof(b);

		for (size_t i = 0; i < n; i++)
			b[i] = pattern(e->sent + i);
		/* Pieces of all sizes, so that records are gathered and cut. */
		for (size_t at = 0, part = 1; at < n; at += part, part = part * 3 % 977 + 1) {
			part = part < n - at ? part : n - at;
			stream_send_copy(e->s, b + at, part);
		}
		e->sent += n;
		stream_flush(e->s);
	}
}

static size_t to_send;

static void told(void *owner, unsigned what)
{
	struct side *e = owner;

	e->seen |= what;
	if (what & STREAM_IN) {
		struct str in = stream_in(e->s);

		for (size_t i = 0; i < in.n; i++)
			e->wrong |= in.p[i] != pattern(e->got + i);
		e->got += in.n;
		stream_skip(e->s, in.n);
	}
	if (what & STREAM_OUT)
		send_more(e, to_send);
	if (what & STREAM_ERROR & ~e->waiting) {
		printf("\n%s: %.*s\n", e == &client ? "client" : "server",
		       STR_FMT(stream_tls_error(e->s)));
		CU_FAIL_FATAL("an error that nobody expects");
	}
	e->arrived = (e->seen & e->waiting) == e->waiting && e->got >= e->expects;
	if (e->arrived)
		loop_stop(loop);
}

static void wait_for(struct side *e, unsigned what, size_t bytes)
{
	e->waiting = what;
	e->expects = bytes;
	e->arrived = (e->seen & what) == what && e->got >= bytes;
	until(&e->arrived);
}

/* ---- the world ---- */
static void told_error(void *arg, const char *key, const char *text)
{
	(void)arg;
	printf("\n%s: %s\n", key, text);
	CU_FAIL("a context could not be made");
}

static struct tls_ctx *server_ctx(struct tls_server_conf c, const struct cert *own)
{
	struct tls_pair pair = {pki_cert("s.pem", own), pki_key("s.key", own, NULL)};
	struct tls_ctx *ctx;

	c.pairs = c.pairs ? c.pairs : &pair;
	c.npairs = c.npairs ? c.npairs : 1;
	c.min_version = c.min_version ? c.min_version : TLS_1_2;
	c.name = c.name.n ? c.name : STR("main");
	ctx = tls_server_new(&c, told_error, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(ctx);
	return ctx;
}

static struct tls_ctx *client_ctx(const struct cert *ca, const struct cert *own)
{
	struct tls_client_conf c = {.ca = pki_cert("ca.pem", ca), .http = true};
	struct tls_ctx *ctx;

	if (own) {
		c.certificate = pki_cert("c.pem", own);
		c.key = pki_key("c.key", own, NULL);
	}
	ctx = tls_client_new(&c, told_error, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(ctx);
	return ctx;
}

static void begin(void)
{
	hash_init();
	pki_begin();
	loop = loop_new();
	block_pool_init(&pool, 64);
	root = pki_make((struct cert_spec){.cn = "root", .ca = true});
	session = NULL;
}

static void hang_up(void)
{
	client.s = stream_close(client.s);
	server.s = stream_close(server.s);
	turn();
}

static void end(void)
{
	hang_up();
	tls_session_free(session);
	pki_free(&root);
	loop_free(loop);
	block_pool_deinit(&pool);
	pki_end();
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

static void take(int fd, struct tls_ctx *sctx)
{
	int got = -1;

	while (got < 0)
		got = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	close(fd);
	memset(&server, 0, sizeof(server));
	server.s = stream_new(loop, got, &pool, told, &server);
	stream_accept_tls(server.s, sctx);
}

static void dial(struct tls_ctx *sctx, struct tls_ctx *cctx, const char *name)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int err = 0;
	int fd = listen_fd(&ss, &len);

	memset(&client, 0, sizeof(client));
	client.s = stream_connect_tls(loop, (struct sockaddr *)&ss, len, &pool, cctx, str_of(name),
	                              &session, told, &client, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(client.s);
	take(fd, sctx);
}

/* A plain client: a descriptor that says what the test says. */
static int dial_plain(struct tls_ctx *sctx)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int fd = listen_fd(&ss, &len);
	int c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_EQUAL_FATAL(connect(c, (struct sockaddr *)&ss, len), 0);
	memset(&client, 0, sizeof(client));
	take(fd, sctx);
	return c;
}

/* Both are there, and the client's session, if it gets one, is as well. */
static void shake(struct tls_ctx *sctx, struct tls_ctx *cctx, const char *name)
{
	dial(sctx, cctx, name);
	wait_for(&client, STREAM_CONNECTED, 0);
	wait_for(&server, STREAM_CONNECTED, 0);
	stream_send_copy(server.s, "a", 1);
	stream_flush(server.s);
	wait_for(&client, STREAM_CONNECTED, 1);
}

static struct cert leaf(const char *name)
{
	return pki_make((struct cert_spec){.cn = name, .issuer = &root, .names = {name}});
}

/* ---- bytes ---- */
static void bytes_go_both_ways_at_once(void)
{
	begin();
	struct cert c = leaf("DNS:a.test");
	struct tls_ctx *sctx = server_ctx((struct tls_server_conf){0}, &c);
	struct tls_ctx *cctx = client_ctx(&root, NULL);

	dial(sctx, cctx, "a.test");
	wait_for(&client, STREAM_CONNECTED, 0);
	wait_for(&server, STREAM_CONNECTED, 0);
	to_send = BIG;
	send_more(&client, to_send);
	stream_pause(client.s, true);
	send_more(&server, to_send);
	wait_for(&server, STREAM_IN, BIG);
	CU_ASSERT(client.got < BIG);
	stream_pause(client.s, false);
	wait_for(&client, STREAM_IN, BIG);
	CU_ASSERT_FALSE(client.wrong || server.wrong);
	CU_ASSERT_EQUAL(stream_written(client.s), BIG);
	CU_ASSERT_EQUAL(stream_read_total(client.s), BIG);
	CU_ASSERT(str_eq(stream_tls(client.s)->version, STR("TLSv1.3")));
	CU_ASSERT(str_eq(stream_tls(server.s)->server_name, STR("a.test")));
	CU_ASSERT_EQUAL(stream_tls(server.s)->subject.n, 0);
	CU_ASSERT_EQUAL(stream_tls_verify(server.s, sctx, 0), TLS_VERIFY_NONE);
	tls_ctx_unref(sctx);
	tls_ctx_unref(cctx);
	pki_free(&c);
	end();
}

static void ends_are_told_apart(void)
{
	begin();
	struct cert c = leaf("DNS:a.test");
	struct tls_ctx *sctx = server_ctx((struct tls_server_conf){0}, &c);
	struct tls_ctx *cctx = client_ctx(&root, NULL);

	/* Said, after all bytes. */
	shake(sctx, cctx, "a.test");
	stream_shutdown(server.s);
	wait_for(&client, STREAM_EOF | STREAM_HANGUP, 1);
	CU_ASSERT_FALSE(client.seen & STREAM_ERROR);
	/* The other way is still open. */
	stream_send_copy(client.s, "a", 1);
	stream_flush(client.s);
	wait_for(&server, STREAM_IN, 1);
	hang_up();
	/* A server that is gone without a word has cut something off. */
	shake(sctx, cctx, "a.test");
	server.s = stream_close(server.s);
	wait_for(&client, STREAM_ERROR, 1);
	CU_ASSERT_FALSE(client.seen & STREAM_EOF);
	hang_up();
	/* With one, it is an end. */
	shake(sctx, cctx, "a.test");
	stream_tls_bye(server.s);
	server.s = stream_close(server.s);
	wait_for(&client, STREAM_EOF, 1);
	hang_up();
	/* A client that is gone is gone. */
	shake(sctx, cctx, "a.test");
	client.s = stream_close(client.s);
	wait_for(&server, STREAM_EOF, 0);
	CU_ASSERT_FALSE(server.seen & STREAM_ERROR);
	tls_ctx_unref(sctx);
	tls_ctx_unref(cctx);
	pki_free(&c);
	end();
}

static void what_is_not_tls_is_refused(void)
{
	static const struct {
		const char *bytes;
		size_t n;
		bool close;
	} table[] = {
	    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27, false},
	    {"\x16\x03\x01\xff\xff", 5, false},
	    {"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 10, false},
	    {"\x80\x2e\x01\x03\x01", 5, true},
	    {"\x16\x03\x01", 3, true},
	    {"", 0, true},
	};
	begin();
	struct cert c = leaf("DNS:a.test");
	struct tls_ctx *sctx = server_ctx((struct tls_server_conf){0}, &c);

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int fd = dial_plain(sctx);

		CU_ASSERT_EQUAL(send(fd, table[i].bytes, table[i].n, MSG_NOSIGNAL), table[i].n);
		if (table[i].close)
			shutdown(fd, SHUT_WR);
		wait_for(&server, STREAM_ERROR, 0);
		CU_ASSERT_FALSE(server.seen & (STREAM_CONNECTED | STREAM_IN));
		CU_ASSERT(stream_tls_error(server.s).n > 0);
		hang_up();
		close(fd);
	}
	tls_ctx_unref(sctx);
	pki_free(&c);
	end();
}

/* ---- whom a client trusts ---- */
static void refused(struct tls_ctx *sctx, struct tls_ctx *cctx, const char *name, const char *why)
{
	dial(sctx, cctx, name);
	wait_for(&client, STREAM_ERROR, 0);
	CU_ASSERT_FALSE(client.seen & STREAM_CONNECTED);
	if (!str_eq(stream_tls_error(client.s), str_of(why))) {
		CU_FAIL("another reason");
		printf("\n%s: %.*s\n", why, STR_FMT(stream_tls_error(client.s)));
	}
	hang_up();
}

static void servers_are_verified(void)
{
	begin();
	struct cert other = pki_make((struct cert_spec){.cn = "other", .ca = true});
	const struct {
		struct cert_spec spec;
		const char *name;
		const char *why; /* NULL: trusted */
	} table[] = {
	    {{.issuer = &root, .names = {"DNS:b.test", "DNS:a.test"}}, "a.test", NULL},
	    {{.issuer = &root, .names = {"DNS:*.b.test"}}, "a.b.test", NULL},
	    {{.issuer = &root, .names = {"IP:127.0.0.1"}}, "127.0.0.1", NULL},
	    {{.issuer = &root, .names = {"IP:::1"}}, "[::1]", NULL},
	    {{.issuer = &root, .names = {"DNS:b.test"}}, "a.test", "hostname mismatch"},
	    {{.issuer = &root, .names = {"DNS:*.b.test"}}, "x.a.b.test", "hostname mismatch"},
	    {{.issuer = &root, .names = {"DNS:a*.test"}}, "ab.test", "hostname mismatch"},
	    {{.issuer = &root, .names = {"DNS:a.test|.evil"}}, "a.test", "hostname mismatch"},
	    {{.issuer = &root, .names = {"DNS:127.0.0.1"}}, "127.0.0.1", "IP address mismatch"},
	    {{.issuer = &root, .names = {"IP:127.0.0.2"}}, "127.0.0.1", "IP address mismatch"},
	    {{.issuer = &root, .cn = "a.test"}, "a.test", "hostname mismatch"},
	    {{.issuer = &root, .names = {"DNS:a.test"}, .to = -1, .from = -2},
	     "a.test",
	     "certificate has expired"},
	    {{.issuer = &root, .names = {"DNS:a.test"}, .from = 1, .to = 2},
	     "a.test",
	     "certificate is not yet valid"},
	    {{.issuer = &other, .names = {"DNS:a.test"}},
	     "a.test",
	     "unable to get local issuer certificate"},
	    {{.names = {"DNS:a.test"}}, "a.test", "self-signed certificate"},
	    {{.issuer = &root, .names = {"DNS:a.test"}, .usage = "clientAuth"},
	     "a.test",
	     "unsuitable certificate purpose"},
	};
	struct tls_ctx *cctx = client_ctx(&root, NULL);

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct cert c = pki_make(table[i].spec);
		struct tls_ctx *sctx = server_ctx((struct tls_server_conf){0}, &c);

		if (table[i].why)
			refused(sctx, cctx, table[i].name, table[i].why);
		else
			shake(sctx, cctx, table[i].name);
		hang_up();
		tls_session_free(session);
		session = NULL;
		tls_ctx_unref(sctx);
		pki_free(&c);
	}
	tls_ctx_unref(cctx);
	pki_free(&other);
	end();
}

static void names_choose_certificates(void)
{
	begin();
	struct cert a = leaf("DNS:a.test");
	struct cert b = leaf("DNS:B.test");
	struct cert w = leaf("DNS:*.b.test");
	struct tls_pair pairs[] = {
	    {pki_cert("1.pem", &a), pki_key("1.key", &a, NULL)},
	    {pki_cert("2.pem", &b), pki_key("2.key", &b, NULL)},
	    {pki_cert("3.pem", &w), pki_key("3.key", &w, NULL)},
	};
	struct tls_ctx *sctx =
	    server_ctx((struct tls_server_conf){.pairs = pairs, .npairs = 3}, &a);
	struct tls_ctx *cctx = client_ctx(&root, NULL);
	static const char *const good[] = {"a.test", "b.test", "x.b.test"};
	static const char *const bad[] = {"c.test", "x.a.test", "y.x.b.test"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		shake(sctx, cctx, good[i]);
		hang_up();
		tls_session_free(session);
		session = NULL;
	}
	/* The default one is shown, and does not have that name. */
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(sctx, cctx, bad[i], "hostname mismatch");
	tls_ctx_unref(sctx);
	tls_ctx_unref(cctx);
	pki_free(&a);
	pki_free(&b);
	pki_free(&w);
	end();
}

/* ---- sessions ---- */
static bool resumes(struct tls_ctx *sctx, struct tls_ctx *cctx)
{
	shake(sctx, cctx, "a.test");
	bool both = stream_tls(server.s)->resumed;

	CU_ASSERT_EQUAL(stream_tls(client.s)->resumed, both);
	hang_up();
	return both;
}

static void sessions_are_resumed_where_they_may(void)
{
	begin();
	struct cert c = leaf("DNS:a.test");
	struct tls_server_conf with = {.client_ca = pki_cert("root.pem", &root),
	                               .client_auth = TLS_AUTH_OPTIONAL};
	struct tls_ctx *one = server_ctx((struct tls_server_conf){0}, &c);
	struct tls_ctx *again = server_ctx((struct tls_server_conf){0}, &c);
	struct tls_ctx *other = server_ctx((struct tls_server_conf){.name = STR("other")}, &c);
	struct tls_ctx *asks = server_ctx(with, &c);
	struct tls_ctx *cctx = client_ctx(&root, NULL);
	struct tls_ctx *cagain = client_ctx(&root, NULL);

	CU_ASSERT_FALSE(resumes(one, cctx));
	CU_ASSERT_TRUE(resumes(one, cctx)); /* next, a reload: the same listener */
	CU_ASSERT_TRUE(tls_ctx_same(one, again));
	CU_ASSERT_TRUE(resumes(again, cctx));
	CU_ASSERT_FALSE(tls_ctx_same(one, other));
	CU_ASSERT_FALSE(resumes(other, cctx));
	CU_ASSERT_TRUE(resumes(other, cctx));
	/* Another context of the client's: nothing of the old one is gone on with. */
	CU_ASSERT_FALSE(resumes(other, cagain));
	CU_ASSERT_TRUE(resumes(other, cagain));
	CU_ASSERT_FALSE(tls_ctx_same(one, asks));
	CU_ASSERT_FALSE(resumes(asks, cagain));
	CU_ASSERT_FALSE(resumes(asks, cagain));
	tls_ctx_unref(one);
	tls_ctx_unref(again);
	tls_ctx_unref(other);
	tls_ctx_unref(asks);
	tls_ctx_unref(cctx);
	tls_ctx_unref(cagain);
	pki_free(&c);
	end();
}

/* ---- client certificates ---- */
static void client_is(struct tls_ctx *sctx, const struct cert *own, bool good)
{
	struct tls_ctx *cctx = client_ctx(&root, own);

	dial(sctx, cctx, "a.test");
	if (good) {
		wait_for(&server, STREAM_CONNECTED, 0);
		wait_for(&client, STREAM_CONNECTED, 0);
		CU_ASSERT_EQUAL(stream_tls(server.s)->subject.n > 0, own != NULL);
	} else {
		/* With 1.3 the client may have been done before. */
		wait_for(&server, STREAM_ERROR, 0);
		wait_for(&client, STREAM_ERROR, 0);
		CU_ASSERT_FALSE(server.seen & STREAM_CONNECTED);
		CU_ASSERT(stream_tls_error(client.s).n > 0);
	}
	hang_up();
	tls_ctx_unref(cctx);
}

static void clients_are_verified(void)
{
	begin();
	struct cert c = leaf("DNS:a.test");
	struct cert other = pki_make((struct cert_spec){.cn = "other", .ca = true});
	struct cert good = leaf("URI:spiffe://a/b");
	struct cert revoked = leaf("URI:spiffe://a/c");
	struct cert foreign = pki_make((struct cert_spec){.cn = "x", .issuer = &other});
	struct cert past =
	    pki_make((struct cert_spec){.cn = "x", .issuer = &root, .from = -3, .to = -1});
	struct cert wrong =
	    pki_make((struct cert_spec){.cn = "x", .issuer = &root, .usage = "serverAuth"});
	struct tls_server_conf conf = {.client_ca = pki_cert("root.pem", &root),
	                               .client_auth = TLS_AUTH_REQUIRED,
	                               .crl = pki_crl("r.pem", &root, &revoked, 1)};
	struct tls_ctx *required = server_ctx(conf, &c);

	conf.crl = pki_crl("old.pem", &root, NULL, -1);
	struct tls_ctx *stale = server_ctx(conf, &c);

	conf.crl = STR_NONE;
	conf.client_auth = TLS_AUTH_OPTIONAL;
	struct tls_ctx *optional = server_ctx(conf, &c);

	client_is(required, &good, true);
	client_is(required, NULL, false);
	client_is(required, &revoked, false);
	client_is(required, &foreign, false);
	client_is(required, &past, false);
	client_is(required, &wrong, false);
	client_is(stale, &good, false);
	client_is(optional, NULL, true);
	client_is(optional, &revoked, true);
	client_is(optional, &foreign, false);
	client_is(optional, &past, false);
	tls_ctx_unref(required);
	tls_ctx_unref(stale);
	tls_ctx_unref(optional);
	struct cert *all[] = {&c, &other, &good, &revoked, &foreign, &past, &wrong};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		pki_free(all[i]);
	end();
}

static void certificates_are_checked_again(void)
{
	begin();
	struct cert c = leaf("DNS:a.test");
	struct cert other = pki_make((struct cert_spec){.cn = "other", .ca = true});
	struct cert own = leaf("URI:spiffe://a/b");
	int64_t now = time(NULL);
	struct tls_server_conf conf = {.client_ca = pki_cert("root.pem", &root),
	                               .client_auth = TLS_AUTH_REQUIRED};
	struct tls_ctx *first = server_ctx(conf, &c);
	struct tls_ctx *same = server_ctx(conf, &c);

	conf.crl = pki_crl("r.pem", &root, &own, 1);
	struct tls_ctx *revoking = server_ctx(conf, &c);

	conf.crl = STR_NONE;
	conf.client_ca = pki_cert("other.pem", &other);
	struct tls_ctx *foreign = server_ctx(conf, &c);
	struct tls_ctx *open = server_ctx((struct tls_server_conf){0}, &c);
	struct tls_ctx *cctx = client_ctx(&root, &own);

	shake(first, cctx, "a.test");
	struct stream *s = server.s;
	const struct tls_peer *p = tls_peer_ref(stream_tls(s));

	CU_ASSERT(p->not_after > now && p->not_before < now);
	CU_ASSERT_EQUAL(stream_tls_verify(s, first, now), TLS_VERIFY_OK);
	CU_ASSERT_EQUAL(stream_tls_verify(s, first, now + 2 * DAY), TLS_VERIFY_EXPIRED);
	CU_ASSERT_EQUAL(stream_tls_verify(s, first, now - 2 * DAY), TLS_VERIFY_EXPIRED);
	CU_ASSERT_EQUAL(stream_tls_verify(s, revoking, now), TLS_VERIFY_REVOKED);
	CU_ASSERT_EQUAL(stream_tls_verify(s, revoking, now), TLS_VERIFY_REVOKED);
	CU_ASSERT_EQUAL(stream_tls_verify(s, same, now), TLS_VERIFY_OK);
	CU_ASSERT_EQUAL(stream_tls_verify(s, foreign, now), TLS_VERIFY_UNTRUSTED);
	CU_ASSERT_EQUAL(stream_tls_verify(s, first, now), TLS_VERIFY_OK);
	CU_ASSERT_EQUAL(stream_tls_verify(s, open, now), TLS_VERIFY_UNTRUSTED);
	CU_ASSERT_EQUAL(stream_tls_verify(s, NULL, now), TLS_VERIFY_UNTRUSTED);
	hang_up();
	/* A request may outlive its connection. */
	CU_ASSERT_EQUAL(p->nuris, 1);
	CU_ASSERT(p->nuris == 1 && str_eq(p->uris[0], STR("spiffe://a/b")));
	tls_peer_unref(p);
	tls_ctx_unref(first);
	tls_ctx_unref(same);
	tls_ctx_unref(revoking);
	tls_ctx_unref(foreign);
	tls_ctx_unref(open);
	tls_ctx_unref(cctx);
	pki_free(&c);
	pki_free(&other);
	pki_free(&own);
	end();
}

UNIT_MAIN("net_tls", UNIT(bytes_go_both_ways_at_once), UNIT(ends_are_told_apart),
          UNIT(what_is_not_tls_is_refused), UNIT(servers_are_verified),
          UNIT(names_choose_certificates), UNIT(sessions_are_resumed_where_they_may),
          UNIT(clients_are_verified), UNIT(certificates_are_checked_again))
