/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Streams as instances see them: who shares a connection, what is refused at opening, how a
 * connection is begun, greeted, lost and made anew.
 */
#include "stack_streams.h"

/* ---- opening ---- */
static const char *refusal(const char *where)
{
	static char out[1024];
	struct merlon_ctx *ctx;

	conf_diag_deinit(&d);
	conf_diag_init(&d);
	ops.endpoint = text(where);
	ctx = instance();
	if (ctx) {
		instance_end(ctx);
		return "";
	}
	CU_ASSERT_EQUAL(open_result, MERLON_E_INVAL);
	snprintf(out, sizeof(out), "%.*s", (int)d.text.n, d.text.p);
	return out;
}

static void endpoints_are_checked(void)
{
	static const char *const wrong[] = {"",
	                                    "redis:1",
	                                    "tcp:",
	                                    "tcp:localhost",
	                                    "tcp::6379",
	                                    "tcp:localhost:0",
	                                    "tcp:localhost:65536",
	                                    "tcp:local host:1",
	                                    "tcp:unix:/x",
	                                    "tcp:1.2.3:4",
	                                    "tls:[::1]",
	                                    "udp:*:514",
	                                    "unix:relative",
	                                    "unix:",
	                                    "tcp:a:b:1",
	                                    "TCP:localhost:1"};
	char longer[300];

	set_up();
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *said = refusal(wrong[i]);

		CU_ASSERT(strstr(said, "merlon.conf:12: ") == said);
		CU_ASSERT(strstr(said, "endpoint \"") != NULL);
		if (!*said)
			fprintf(stderr, "taken: %s\n", wrong[i]);
	}
	memset(longer, 'x', sizeof(longer));
	memcpy(longer, "unix:/", 6);
	longer[sizeof(longer) - 1] = '\0';
	CU_ASSERT(strstr(refusal(longer), "endpoint") != NULL);
	CU_ASSERT_STRING_EQUAL(refusal("udp:127.0.0.1:9"), "");
	CU_ASSERT_STRING_EQUAL(refusal("tcp:[::1]:9"), "");
	CU_ASSERT_STRING_EQUAL(refusal("unix:/nowhere/socket"), "");
	tear_down();
}

static void settings_that_do_not_go_together_are_refused(void)
{
	set_up();
	ops.key = text("/k.pem");
	CU_ASSERT(strstr(refusal("tls:localhost:1"), "its key, or neither") != NULL);
	CU_ASSERT(strstr(refusal("tcp:localhost:1"), "takes no certificates") != NULL);
	ops.key = text(NULL);
	ops.decoder_new = lines_new;
	ops.decoder_free = lines_free;
	ops.decode = lines_decode;
	ops.message_free = line_free;
	CU_ASSERT(strstr(refusal("udp:localhost:1"), "cannot carry answers") != NULL);
	ops.greetings = 1; /* and no greeting */
	CU_ASSERT_NOT_EQUAL(*refusal("tcp:localhost:1"), '\0');
	ops.decode = NULL;
	CU_ASSERT_NOT_EQUAL(*refusal("tcp:localhost:1"), '\0');
	tear_down();
}

/* ---- who shares ---- */
static void the_same_settings_are_one_stream(void)
{
	struct merlon_ctx *a, *b, *c;
	merlon_stream *first;

	set_up_calls();
	a = instance();
	first = opened;
	peer_accept();
	b = instance();
	CU_ASSERT_PTR_EQUAL(opened, first);
	until_state(MERLON_STREAM_UP);
	ops.greeting = text("AUTH other");
	c = instance();
	CU_ASSERT_PTR_NOT_EQUAL(opened, first);
	/* Another password is another connection; the second instance had none of its own. */
	until_readable(listener_fd);
	instance_end(c);
	instance_end(a);
	turn();
	CU_ASSERT_EQUAL(host_stream_state(first, &W.w), MERLON_STREAM_UP);
	CU_ASSERT_TRUE(peer_quiet());
	CU_ASSERT_EQUAL(first->links[0]->holders, 1);
	CU_ASSERT_EQUAL(first->links[0]->linger.deadline, 0);
	instance_end(b);
	CU_ASSERT_TRUE(peer_at_end());
	tear_down();
}

static void generations_come_and_go_on_one_connection(void)
{
	struct merlon_ctx *old;
	struct pollfd more;

	set_up_calls();
	old = instance();
	peer_accept();
	until_state(MERLON_STREAM_UP);
	for (int i = 0; i < 50; i++) {
		struct merlon_ctx *new = instance();

		CU_ASSERT_EQUAL(host_stream_state(opened, &W.w), MERLON_STREAM_UP);
		instance_end(old);
		turn();
		old = new;
	}
	CU_ASSERT_EQUAL(host_stream_state(opened, &W.w), MERLON_STREAM_UP);
	more = (struct pollfd){.fd = listener_fd, .events = POLLIN};
	CU_ASSERT_EQUAL(poll(&more, 1, 0), 0);
	CU_ASSERT_TRUE(peer_quiet());
	instance_end(old);
	tear_down();
}

static void a_probe_connects_to_nobody(void)
{
	struct merlon_ctx *ctx;
	merlon_op *op;
	struct pollfd more;

	set_up_calls();
	line.name = line.module = STR("fake");
	ctx = instance_new(&build, &line, STR("s"), G_RATELIMIT, true, &W.arena, &d);
	CU_ASSERT_PTR_NOT_NULL_FATAL(ctx);
	CU_ASSERT_EQUAL(instance_worker_start(ctx, &W.w), 0);
	turn();
	more = (struct pollfd){.fd = listener_fd, .events = POLLIN};
	CU_ASSERT_EQUAL(poll(&more, 1, 0), 0);
	CU_ASSERT_EQUAL(host_stream_state(opened, &W.w), MERLON_STREAM_DOWN);
	CU_ASSERT_EQUAL(host_stream_call(opened, ctx, &W.w, NULL, text("x\n"), 0,
	                                 (merlon_stream_fn)(uintptr_t)1, NULL, &op),
	                MERLON_E_UNAVAIL);
	instance_end(ctx);
	tear_down();
}

/* ---- connecting ---- */
static void the_greeting_comes_first(void)
{
	struct merlon_ctx *ctx;
	merlon_tx *tx = NULL;

	set_up_calls();
	ops.greeting = text("AUTH secret\nSELECT 3\n");
	ops.greetings = 2;
	ops.greeted = lines_greeted;
	ctx = instance();
	tx = tx_new();
	CU_ASSERT_EQUAL(host_stream_send(opened, tx, text("early\n")), 0);
	peer_accept();
	HEARS("AUTH secret\nSELECT 3\n");
	CU_ASSERT_TRUE(peer_quiet());
	CU_ASSERT_EQUAL(host_stream_state(opened, &W.w), MERLON_STREAM_CONNECTING);
	peer_say("hello\nrea");
	turn();
	CU_ASSERT_EQUAL(greeted_calls, 1);
	CU_ASSERT_TRUE(peer_quiet());
	peer_say("dy\n");
	HEARS("early\n");
	CU_ASSERT_EQUAL(greeted_calls, 2);
	CU_ASSERT_EQUAL(host_stream_state(opened, &W.w), MERLON_STREAM_UP);
	tx_end(tx);
	instance_end(ctx);
	tear_down();
}

static void a_greeting_that_is_refused_ends_the_connection(void)
{
	struct merlon_ctx *ctx;

	set_up_calls();
	ops.greeting = text("AUTH wrong\n");
	ops.greetings = 1;
	ops.greeted = lines_greeted;
	ctx = instance();
	for (int i = 0; i < 3; i++) {
		peer_accept();
		HEARS("AUTH wrong\n");
		peer_say("go away\nhello\n");
		CU_ASSERT_TRUE(peer_at_end());
		peer_close();
		CU_ASSERT_EQUAL(host_stream_state(opened, &W.w), MERLON_STREAM_DOWN);
	}
	peer_accept();
	HEARS("AUTH wrong\n");
	peer_say("hello\n");
	until_state(MERLON_STREAM_UP);
	instance_end(ctx);
	tear_down();
}

static void a_greeting_that_is_not_answered_ends_it_too(void)
{
	struct merlon_ctx *ctx;

	set_up_calls();
	ops.connect_timeout_ms = 20;
	ops.greeting = text("hi\n");
	ops.greetings = 1;
	ctx = instance();
	peer_accept();
	HEARS("hi\n");
	CU_ASSERT_TRUE(peer_at_end());
	until_state(MERLON_STREAM_DOWN);
	instance_end(ctx);
	tear_down();
}

static void nobody_there_is_tried_again(void)
{
	struct merlon_ctx *ctx;
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	set_up_calls();
	getsockname(listener_fd, (struct sockaddr *)&sin, &len);
	close(listener_fd);
	ctx = instance();
	CU_ASSERT_EQUAL(host_stream_state(opened, &W.w), MERLON_STREAM_CONNECTING);
	until_state(MERLON_STREAM_DOWN);
	listener_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(listener_fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	CU_ASSERT_EQUAL_FATAL(bind(listener_fd, (struct sockaddr *)&sin, len), 0);
	listen(listener_fd, 5);
	peer_accept();
	until_state(MERLON_STREAM_UP);
	instance_end(ctx);
	tear_down();
}

static void a_broken_connection_is_made_anew_at_once(void)
{
	struct merlon_ctx *ctx;

	set_up_calls();
	ctx = instance();
	peer_accept();
	until_state(MERLON_STREAM_UP);
	peer_close();
	for (int i = 0; i < 100 && host_stream_state(opened, &W.w) == MERLON_STREAM_UP; i++)
		turn();
	CU_ASSERT_NOT_EQUAL(host_stream_state(opened, &W.w), MERLON_STREAM_DOWN);
	peer_accept();
	until_state(MERLON_STREAM_UP);
	/* One that does so again and again is a peer that is away. */
	peer_close();
	until_state(MERLON_STREAM_DOWN);
	instance_end(ctx);
	tear_down();
}

static void names_are_resolved(void)
{
	struct merlon_ctx *ctx;
	char where[64];

	set_up_calls();
	snprintf(where, sizeof(where), "tcp:localhost:%s", strrchr(endpoint, ':') + 1);
	ops.endpoint = text(where);
	ctx = instance();
	/* Where localhost is ::1 as well, that address refuses and the next is tried. */
	peer_accept();
	until_state(MERLON_STREAM_UP);
	instance_end(ctx);
	tear_down();
}

UNIT_MAIN("streams", UNIT(endpoints_are_checked),
          UNIT(settings_that_do_not_go_together_are_refused),
          UNIT(the_same_settings_are_one_stream), UNIT(generations_come_and_go_on_one_connection),
          UNIT(a_probe_connects_to_nobody), UNIT(the_greeting_comes_first),
          UNIT(a_greeting_that_is_refused_ends_the_connection),
          UNIT(a_greeting_that_is_not_answered_ends_it_too), UNIT(nobody_there_is_tried_again),
          UNIT(a_broken_connection_is_made_anew_at_once), UNIT(names_are_resolved))
