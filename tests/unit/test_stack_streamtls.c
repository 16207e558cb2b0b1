/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Streams over TLS: whom they take for the peer, that a renewed file is another stream, and that
 * calls pass as they do without it. The server is a stream on the same loop that answers each line.
 */
#include "stack_streams.h"
#include "tls_pki.h"

static struct cert root, other, leaf;
static struct tls_ctx *server;
static struct listener *accepting;
static struct served {
	struct stream *s;
	unsigned accepted;
	unsigned shaken;
	unsigned resumed;
} S;

/* ---- the server ---- */
static void serve(void *owner, unsigned what)
{
	(void)owner;
	if (what & STREAM_CONNECTED) {
		S.shaken++;
		S.resumed += stream_tls(S.s)->resumed;
	}
	if (what & STREAM_IN) {
		struct str in = stream_in(S.s);

		stream_send_copy(S.s, in.p, in.n);
		stream_skip(S.s, in.n);
		stream_flush(S.s);
	}
	if (what & (STREAM_EOF | STREAM_ERROR))
		S.s = stream_close(S.s);
}

static void accepted(void *arg, int fd, const struct sockaddr *sa, socklen_t len)
{
	(void)arg;
	(void)sa;
	(void)len;
	S.accepted++;
	stream_close(S.s);
	S.s = stream_new(loop, fd, &W.blocks, serve, NULL);
	stream_accept_tls(S.s, server);
}

static void no_error(void *arg, const char *key, const char *said)
{
	(void)arg;
	fprintf(stderr, "%s: %s\n", key, said);
	CU_FAIL("a context could not be made");
}

static void begin(void)
{
	struct tls_pair pair;
	struct tls_server_conf c = {
	    .pairs = &pair, .npairs = 1, .min_version = TLS_1_2, .name = STR("main")};

	pki_begin();
	root = pki_make((struct cert_spec){.cn = "root", .ca = true});
	other = pki_make((struct cert_spec){.cn = "other", .ca = true});
	leaf = pki_make((struct cert_spec){
	    .cn = "redis", .issuer = &root, .names = {"DNS:redis.test", "IP:127.0.0.1"}});
	pair = (struct tls_pair){pki_cert("s.pem", &leaf), pki_key("s.key", &leaf, NULL)};
	set_up_calls();
	memset(&S, 0, sizeof(S));
	memcpy(endpoint, "tls", 3);
	ops.endpoint = text(endpoint);
	server = tls_server_new(&c, no_error, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(server);
	accepting = listener_start(loop, listener_fd, accepted, NULL);
	ops.ca = to_merlon(pki_cert("ca.pem", &root));
}

static void end(void)
{
	S.s = stream_close(S.s);
	listener_stop(accepting, false);
	tls_ctx_unref(server);
	tear_down();
	pki_free(&leaf);
	pki_free(&other);
	pki_free(&root);
	pki_end();
}

/* ---- a call ---- */
static char answer[64];
static int32_t answered;

static void on_done(void *arg, int32_t error, const void *msg)
{
	(void)arg;
	answered = error ? error : 1;
	snprintf(answer, sizeof(answer), "%s", msg ? (const char *)msg : "");
	loop_stop(loop);
}

static void call(struct merlon_ctx *ctx, const char *z)
{
	answered = 0;
	CU_ASSERT_EQUAL(
	    host_stream_call(opened, ctx, &W.w, NULL, text(z), 20000, on_done, NULL, NULL), 0);
	for (int i = 0; i < 10000 && !answered; i++) {
		turn();
		poll(NULL, 0, 1);
	}
	CU_ASSERT_EQUAL(answered, 1);
}

/* ---- tests ---- */
static void calls_pass(void)
{
	struct merlon_ctx *ctx;

	begin();
	ops.greeting = text("hello\n");
	ops.greetings = 1;
	ops.greeted = lines_greeted;
	ctx = instance();
	CU_ASSERT_PTR_NOT_NULL_FATAL(ctx);
	call(ctx, "ping\n");
	CU_ASSERT_STRING_EQUAL(answer, "ping");
	CU_ASSERT_EQUAL(greeted_calls, 1);
	/* Lost and made anew, with the session of before. */
	stream_tls_bye(S.s);
	S.s = stream_close(S.s);
	for (int i = 0; i < 10000 && S.shaken < 2; i++) {
		turn();
		poll(NULL, 0, 1);
	}
	until_state(MERLON_STREAM_UP);
	call(ctx, "pong\n");
	CU_ASSERT_STRING_EQUAL(answer, "pong");
	CU_ASSERT_EQUAL(S.resumed, 1);
	instance_end(ctx);
	end();
}

static void who_is_not_the_peer_is_not_spoken_to(void)
{
	struct merlon_ctx *ctx;

	begin();
	ops.greeting = text("secret\n");
	ops.greetings = 1;
	ops.server_name = text("another.test");
	ctx = instance();
	until_state(MERLON_STREAM_DOWN);
	instance_end(ctx);
	ops.server_name = text("redis.test");
	ops.ca = to_merlon(pki_cert("other.pem", &other));
	ctx = instance();
	until_state(MERLON_STREAM_DOWN);
	instance_end(ctx);
	CU_ASSERT(S.accepted >= 2);
	CU_ASSERT_EQUAL(S.shaken, 0);
	ops.ca = to_merlon(pki_path("ca.pem"));
	ctx = instance();
	until_state(MERLON_STREAM_UP);
	instance_end(ctx);
	end();
}

static void a_renewed_file_is_another_stream(void)
{
	struct merlon_ctx *a, *b, *c;
	merlon_stream *first;

	begin();
	a = instance();
	first = opened;
	until_state(MERLON_STREAM_UP);
	b = instance();
	CU_ASSERT_PTR_EQUAL(opened, first);
	CU_ASSERT_EQUAL(S.accepted, 1);
	pki_cert("ca.pem", &other);
	c = instance();
	CU_ASSERT_PTR_NOT_EQUAL(opened, first);
	until_state(MERLON_STREAM_DOWN);
	CU_ASSERT_EQUAL(host_stream_state(first, &W.w), MERLON_STREAM_UP);
	instance_end(a);
	instance_end(b);
	instance_end(c);
	end();
}

static void files_are_looked_at_when_it_is_opened(void)
{
	char said[512];

	begin();
	ops.ca = to_merlon(pki_path("none.pem"));
	CU_ASSERT_PTR_NULL(instance());
	snprintf(said, sizeof(said), "%.*s", (int)d.text.n, d.text.p);
	CU_ASSERT(strstr(said, "merlon.conf:12: ") == said);
	CU_ASSERT(strstr(said, "ca: ") != NULL && strstr(said, "none.pem") != NULL);
	end();
}

UNIT_MAIN("streams over TLS", UNIT(calls_pass), UNIT(who_is_not_the_peer_is_not_spoken_to),
          UNIT(a_renewed_file_is_another_stream), UNIT(files_are_looked_at_when_it_is_opened))
