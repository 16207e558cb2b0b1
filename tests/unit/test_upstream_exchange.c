/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Exchanges against a server that behaves well or badly: what is told, and whether the connection
 * lives on (promises P3, P5, P13).
 */
#include "upstream_fake.h"

static struct client a, b;

struct answer {
	const char *text;
	bool close; /* the server closes behind it */
	const char *body;
	enum exchange_fault fault; /* 0: it ends well */
	bool pooled;
	bool head_request;
};

static void try_answer(const struct answer *t)
{
	int fd;

	fake_conf(1);
	fake_start();
	client_open(&a, t->head_request);
	client_close_request(&a);
	fd = fake_accept(0);
	CU_ASSERT(fake_request(fd));
	fake_send(fd, t->text);
	if (t->close)
		shutdown(fd, SHUT_WR);
	until(&a.over);
	if (a.ended != (t->fault == 0) || a.fault != t->fault)
		fprintf(stderr, "\n%s: ended %d fault %d\n", t->text, a.ended, (int)a.fault);
	CU_ASSERT_EQUAL(a.ended, t->fault == 0);
	CU_ASSERT_EQUAL(a.fault, t->fault);
	if (t->body)
		CU_ASSERT(client_body_is(&a, t->body));
	if (idle_conns() != t->pooled)
		fprintf(stderr, "\n%s: idle %u\n", t->text, idle_conns());
	CU_ASSERT_EQUAL(idle_conns(), t->pooled);
	CU_ASSERT_EQUAL(inflight(), 0);
	if (t->pooled)
		CU_ASSERT(fake_open(fd))
	else
		CU_ASSERT(fake_closed(fd))
	CU_ASSERT(fake_none(0));
	client_free(&a);
	close(fd);
	fake_stop();
}

static void well_formed(void)
{
	static const struct answer answers[] = {
	    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, "hello", 0, true, false},
	    {"HTTP/1.1 204 No Content\r\n\r\n", false, "", 0, true, false},
	    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", false, "", 0, true, false},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", false, "", 0, true, true},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, "", 0, true, false},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n"
	     "T: v\r\n\r\n",
	     false, "abcde", 0, true, false},
	    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
	     "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
	     false, "x", 0, true, false},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", false, "ok", 0,
	     false, false},
	    {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false, "ok", 0, false, false},
	    {"HTTP/1.1 200 OK\r\n\r\nall of it", true, "all of it", 0, false, false},
	};

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		try_answer(&answers[i]);
}

static void not_clean(void)
{
	static const struct answer answers[] = {
	    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n", false, "ok", 0,
	     false, false},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nx", false,
	     "a", 0, false, false},
	    {"HTTP/1.1 204 No Content\r\n\r\nbody", false, "", 0, false, false},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nshort", true, "short", EX_CLOSED, false,
	     false},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", true, "abc",
	     EX_CLOSED, false, false},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", true, "abc",
	     EX_CLOSED, false, false},
	    {"HTTP/1.1 200 OK\r\nConte", true, "", EX_CLOSED, false, false},
	    {"", true, "", EX_CLOSED, false, false},
	};

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		try_answer(&answers[i]);
}

static void malformed(void)
{
	static const char *const answers[] = {
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
	    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
	    "HTTP/1.1 200 OK\nContent-Length: 1\n\nx",
	    "HTTP/1.1 2000 OK\r\n\r\n",
	    "HTTP/2 200 OK\r\n\r\n",
	    "SSH-2.0-OpenSSH_9.2\r\n",
	    "HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
	};

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct answer t = {answers[i], false, NULL, EX_MALFORMED, false, false};

		try_answer(&t);
	}
}

static void too_many_interim(void)
{
	static char text[4096];
	struct answer t = {text, false, "x", 0, true, false};

	text[0] = 0;
	for (unsigned i = 0; i < 16; i++)
		strcat(text, "HTTP/1.1 102 Processing\r\n\r\n");
	strcat(text, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
	try_answer(&t);

	text[0] = 0;
	for (unsigned i = 0; i < 17; i++)
		strcat(text, "HTTP/1.1 102 Processing\r\n\r\n");
	strcat(text, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
	t = (struct answer){text, false, "", EX_MALFORMED, false, false};
	try_answer(&t);
}

static void heads_by_size(void)
{
	static char text[80 * 1024];
	static const struct {
		size_t fill;
		enum exchange_fault fault;
	} sizes[] = {{15000, 0}, {16384, 0}, {40000, 0}, {65000, 0}, {70000, EX_MALFORMED}};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct answer t = {text, false, NULL, sizes[i].fault, sizes[i].fault == 0, false};
		size_t n;

		strcpy(text, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX: ");
		n = strlen(text);
		memset(text + n, 'v', sizes[i].fill);
		strcpy(text + n + sizes[i].fill, "\r\n\r\nx");
		try_answer(&t);
	}
}

/* Byte by byte is the same response. */
static void split_everywhere(void)
{
	static const char text[] =
	    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
	const struct http_field *f;
	int fd;

	fake_conf(1);
	fake_start();
	client_begin(&a);
	fd = fake_accept(0);
	CU_ASSERT(fake_request(fd));
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		char one[2] = {text[i], 0};

		fake_send(fd, one);
		turn();
	}
	until(&a.over);
	CU_ASSERT(a.ended);
	CU_ASSERT(client_body_is(&a, "abcde"));
	CU_ASSERT(a.turns > 3);
	/* The head's text is still there after the end. */
	f = &a.head->fields[0];
	CU_ASSERT(str_eq(f->name, STR("X-A")));
	CU_ASSERT(str_eq(f->value, STR("1")));
	CU_ASSERT_EQUAL(idle_conns(), 1);
	client_free(&a);
	close(fd);
	fake_stop();
}

/* Chunks of one byte do not become views of one byte. */
static void small_chunks_are_gathered(void)
{
	static char text[64 * 1024];
	size_t n;
	int fd;

	strcpy(text, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	n = strlen(text);
	for (unsigned i = 0; i < 2000; i++)
		n += (size_t)sprintf(text + n, "1\r\n%c\r\n", 'a' + (int)(i % 26));
	n += (size_t)sprintf(text + n, "400\r\n%01024d\r\n2\r\nyz\r\n0\r\n\r\n", 0);
	fake_conf(1);
	fake_start();
	client_begin(&a);
	fd = fake_accept(0);
	CU_ASSERT(fake_request(fd));
	fake_send(fd, text);
	until(&a.over);
	CU_ASSERT(a.ended);
	CU_ASSERT_EQUAL(a.n, 2000 + 1024 + 2);
	for (unsigned i = 0; i < 2000; i++)
		CU_ASSERT(a.body[i] == 'a' + (int)(i % 26));
	CU_ASSERT(a.body[2000] == '0' && a.body[3023] == '0');
	CU_ASSERT(a.body[3024] == 'y' && a.body[3025] == 'z');
	CU_ASSERT(a.pieces < 10);
	CU_ASSERT_EQUAL(idle_conns(), 1);
	client_free(&a);
	close(fd);
	fake_stop();
}

static void reused_after_clean(void)
{
	int fd;

	fake_conf(1);
	fake_start();
	fd = fake_serve(0, -1);
	for (unsigned i = 0; i < 5; i++)
		fake_serve(0, fd);
	CU_ASSERT(fake_none(0));
	CU_ASSERT_EQUAL(idle_conns(), 1);
	close(fd);
	fake_stop();
}

static void never_after_abort(void)
{
	int fd, other;

	fake_conf(1);
	fake_start();
	fd = fake_serve(0, -1);
	client_begin(&a);
	CU_ASSERT(fake_request(fd));
	CU_ASSERT_EQUAL(inflight(), 1);
	exchange_abort(a.ex);
	a.ex = NULL;
	CU_ASSERT_EQUAL(idle_conns(), 0);
	CU_ASSERT_EQUAL(inflight(), 0);
	CU_ASSERT(fake_closed(fd));
	CU_ASSERT_FALSE(a.over);
	client_free(&a);
	other = fake_serve(0, -1);
	/* within a response */
	client_begin(&a);
	CU_ASSERT(fake_request(other));
	fake_send(other, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
	while (a.n < 4)
		turn();
	client_free(&a);
	CU_ASSERT(fake_closed(other));
	CU_ASSERT_EQUAL(idle_conns(), 0);
	close(fd);
	close(other);
	fake_stop();
}

/* An answer before the request was whole: it is told, the connection goes. */
static void early_response(void)
{
	int fd;

	fake_conf(1);
	fake_start();
	client_open(&a, false);
	fd = fake_accept(0);
	CU_ASSERT(fake_request(fd));
	fake_send(fd, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
	until(&a.over);
	CU_ASSERT(a.ended);
	CU_ASSERT_EQUAL(a.head->status, 413);
	CU_ASSERT_EQUAL(idle_conns(), 0);
	CU_ASSERT(fake_closed(fd));
	client_free(&a);
	close(fd);
	fake_stop();
}

/* Bytes or an end on an idle connection: it is not used again. */
static void idle_violations(void)
{
	int fd;

	fake_conf(1);
	fake_start();
	fd = fake_serve(0, -1);
	fake_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
	while (idle_conns() > 0)
		turn();
	CU_ASSERT(fake_closed(fd));
	close(fd);
	fd = fake_serve(0, -1);
	close(fd);
	while (idle_conns() > 0)
		turn();
	fd = fake_serve(0, -1);
	close(fd);
	fake_stop();
}

/* The server's end and our request cross. Nothing could be written: another connection. */
static void reset_before_a_byte(void)
{
	int fd;

	fake_conf(1);
	fake_start();
	fd = fake_serve(0, -1);
	fake_reset(fd);
	fd = fake_serve(0, -1);
	CU_ASSERT(fake_none(0));
	close(fd);
	fake_stop();
}

/* Something was written: never a second time (P3). */
static void never_retried_after_a_byte(void)
{
	unsigned server;
	int fd;

	fake_conf(2);
	fake_start();
	client_begin(&a);
	fd = fake_accept_any(&server);
	CU_ASSERT(fake_request(fd));
	fake_reset(fd);
	until(&a.over);
	CU_ASSERT_EQUAL(a.fault, EX_CLOSED);
	CU_ASSERT(fake_none(0));
	CU_ASSERT(fake_none(1));
	client_free(&a);
	fake_stop();
}

static void paused_reading(void)
{
	static char chunk[32768];
	int fd;
	size_t before;

	memset(chunk, 'x', sizeof(chunk) - 1);
	fake_conf(1);
	conf_up.idle_timeout = NS_PER_S;
	fake_start();
	fake_time(0);
	client_begin(&a);
	fd = fake_accept(0);
	CU_ASSERT(fake_request(fd));
	fake_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 65534\r\n\r\n");
	while (!a.head)
		turn();
	exchange_pause(a.ex, true);
	before = a.n;
	fake_send(fd, chunk);
	turn();
	CU_ASSERT_EQUAL(a.n, before);
	/* the deadline rests */
	fake_time(10 * NS_PER_S);
	CU_ASSERT_FALSE(a.over);
	exchange_pause(a.ex, false);
	while (a.n < 32767)
		turn();
	CU_ASSERT_FALSE(a.over);
	fake_send(fd, chunk);
	until(&a.over);
	CU_ASSERT(a.ended);
	CU_ASSERT_EQUAL(a.n, 65534);
	CU_ASSERT_EQUAL(idle_conns(), 1);
	client_free(&a);
	close(fd);
	fake_stop();
}

/* A server that does not read: the queue grows, falls later and that is told. */
static void slow_upload(void)
{
	static char piece[65536];
	static char sink[65536];
	size_t sent = 0, got = 0;
	int fd;

	fake_conf(1);
	fake_start();
	client_open(&a, false);
	fd = fake_accept(0);
	while (exchange_queued(a.ex) < 4 * STREAM_HIGH) {
		exchange_send(a.ex, slice_copy(&blocks, piece, 16384));
		exchange_flush(a.ex);
		sent += 16384;
		turn();
	}
	a.writable = 0;
	CU_ASSERT(fake_request(fd));
	while (got < sent) {
		ssize_t r;

		fake_pump(fd);
		r = recv(fd, sink, sizeof(sink), 0);
		if (r <= 0)
			break;
		got += (size_t)r;
	}
	CU_ASSERT_EQUAL(got, sent);
	while (a.writable == 0)
		turn();
	CU_ASSERT_EQUAL(exchange_queued(a.ex), 0);
	client_close_request(&a);
	fake_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	until(&a.over);
	CU_ASSERT(a.ended);
	CU_ASSERT_EQUAL(idle_conns(), 1);
	client_free(&a);
	close(fd);
	fake_stop();
}

/* Head and body queued before the flush leave in one piece. */
static void body_is_sent_as_given(void)
{
	static const char body[] = "{\"model\":\"m\"}";
	char got[64] = {0};
	size_t n = 0;
	int fd;

	fake_conf(1);
	fake_start();
	memset(&b, 0, sizeof(b));
	arena_init(&b.arena, NULL);
	b.ex = exchange_start(up, &b.arena, slice_copy(&blocks, REQUEST, strlen(REQUEST)), false,
	                      &client_ops, &b);
	exchange_send(b.ex, slice_copy(&blocks, body, 5));
	exchange_send(b.ex, slice_copy(&blocks, body + 5, sizeof(body) - 6));
	CU_ASSERT_EQUAL(exchange_queued(b.ex), strlen(REQUEST) + sizeof(body) - 1);
	client_close_request(&b);
	fd = fake_accept(0);
	CU_ASSERT(fake_request(fd));
	while (n < sizeof(body) - 1) {
		ssize_t r;

		fake_pump(fd);
		r = recv(fd, got + n, sizeof(got) - n, 0);
		if (r <= 0)
			break;
		n += (size_t)r;
	}
	CU_ASSERT_STRING_EQUAL(got, body);
	fake_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	until(&b.over);
	CU_ASSERT(b.ended);
	client_free(&b);
	close(fd);
	fake_stop();
}

UNIT_MAIN("upstream exchange", UNIT(well_formed), UNIT(not_clean), UNIT(malformed),
          UNIT(too_many_interim), UNIT(heads_by_size), UNIT(split_everywhere),
          UNIT(small_chunks_are_gathered), UNIT(reused_after_clean), UNIT(never_after_abort),
          UNIT(early_response), UNIT(idle_violations), UNIT(reset_before_a_byte),
          UNIT(never_retried_after_a_byte), UNIT(paused_reading), UNIT(slow_upload),
          UNIT(body_is_sent_as_given))
