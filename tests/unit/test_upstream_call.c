/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A call is a whole request and a whole answer, or the reason why there is none: over a server that
 * the test plays itself.
 */
#include "upstream_fake.h"

#include "upstream/call.h"

struct caller {
	struct call *call;
	struct call_answer *answer;
	bool over;
	bool inside; /* call_start() is under way */
	bool in_violation;
};

static void called_back(void *arg, struct call_answer *a)
{
	struct caller *c = arg;

	c->in_violation |= c->over || c->inside;
	c->over = true;
	c->call = NULL;
	c->answer = a;
	loop_stop(loop);
}

static const struct call_request plain = {
    .method = {"GET", 3}, .target = {"/x?y", 4}, .timeout = 5 * NS_PER_S, .max_body = 1000};

static void call_begin(struct caller *c, const struct call_request *r)
{
	memset(c, 0, sizeof(*c));
	c->inside = true;
	c->call = call_start(up, r, called_back, c);
	c->inside = false;
}

static void caller_free(struct caller *c)
{
	call_abort(c->call);
	turn();
	CU_ASSERT_FALSE(c->in_violation);
	call_answer_unref(c->answer);
}

static bool answer_is(const struct caller *c, enum call_error error, unsigned status,
                      const char *body)
{
	return c->over && call_answer_error(c->answer) == error &&
	       call_answer_status(c->answer) == status &&
	       str_eq(call_answer_body(c->answer), str_of(body));
}

/* What the server got; its bytes up to the first empty line, or `body` bytes more. */
static const char *received(int fd, size_t body)
{
	static char text[8192];
	size_t n = 0;
	const char *end = NULL;

	while (n < sizeof(text) - 1 && (!end || n < (size_t)(end + 4 - text) + body)) {
		fake_pump(fd);
		if (recv(fd, text + n, 1, 0) != 1)
			break;
		text[++n] = 0;
		end = strstr(text, "\r\n\r\n");
	}
	return text;
}

/* ---- requests ---- */
static void the_request_is_ours(void)
{
	const struct call_field fields[] = {{STR("Accept"), STR("a/b")},
	                                    {STR("X-Conf"), STR("theirs")}};
	struct conf_header set = {.name = STR("x-conf"), .value = STR("ours")};
	struct call_request r = plain;
	struct caller c;
	char want[256];

	fake_conf(1);
	conf_up.headers = &set;
	conf_up.nheaders = 1;
	fake_start();
	r.fields = fields;
	r.nfields = 2;
	call_begin(&c, &r);
	int fd = fake_accept(0);
	snprintf(want, sizeof(want),
	         "GET /x?y HTTP/1.1\r\nHost: %s\r\nAccept: a/b\r\nx-conf: ours\r\n\r\n",
	         conf_text[0]);
	CU_ASSERT_STRING_EQUAL(received(fd, 0), want);
	caller_free(&c);
	close(fd);

	r = plain;
	r.method = STR("POST");
	r.body = STR("a=b");
	call_begin(&c, &r);
	fd = fake_accept(0);
	CU_ASSERT(strstr(received(fd, 3), "\r\nContent-Length: 3\r\n\r\na=b") != NULL);
	caller_free(&c);
	close(fd);
	fake_stop();
}

static void the_host_is_whom_it_is_for(void)
{
	static const struct {
		const char *upstream, *tls_name, *host;
	} cases[] = {
	    {"https://idp.example", "", "\r\nHost: idp.example\r\n"},
	    {"http://[::1]:8080", "", "\r\nHost: [::1]:8080\r\n"},
	    {"idp", "idp.example", "\r\nHost: idp.example\r\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct caller c;

		fake_conf(1);
		conf_up.name = str_of(cases[i].upstream);
		conf_up.tls_name = str_of(cases[i].tls_name);
		fake_start();
		call_begin(&c, &plain);
		int fd = fake_accept(0);
		CU_ASSERT(strstr(received(fd, 0), cases[i].host) != NULL);
		caller_free(&c);
		close(fd);
		fake_stop();
	}
}

static void the_host_may_be_named(void)
{
	static const char *const bad[] = {"", "a b", "a/b", "a@b", "a:0", "a:65536", "a\r\nb"};
	const struct call_field twice[] = {{STR("Host"), STR("a")}, {STR("host"), STR("a")}};
	struct call_field f = {STR("host"), STR("idp.example:8443")};
	struct call_request r = plain;
	struct caller c;

	fake_conf(1);
	fake_start();
	r.fields = &f;
	r.nfields = 1;
	call_begin(&c, &r);
	int fd = fake_accept(0);
	CU_ASSERT_STRING_EQUAL(received(fd, 0),
	                       "GET /x?y HTTP/1.1\r\nHost: idp.example:8443\r\n\r\n");
	caller_free(&c);
	close(fd);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		f.value = str_of(bad[i]);
		call_begin(&c, &r);
		CU_ASSERT_PTR_NULL(c.call);
	}
	r.fields = twice;
	r.nfields = 2;
	call_begin(&c, &r);
	CU_ASSERT_PTR_NULL(c.call);
	fake_stop();
}

static void requests_that_cannot_be_written(void)
{
	static const char *const names[] = {"Host ",
	                                    "Content-Length",
	                                    "Transfer-Encoding",
	                                    "Connection",
	                                    "TE",
	                                    "Upgrade",
	                                    "Trailer",
	                                    "Accept-Encoding",
	                                    "Keep-Alive",
	                                    "Expect",
	                                    "a b",
	                                    "",
	                                    "a:",
	                                    "Proxy-Connection",
	                                    "x\r\ny",
	                                    "x\n",
	                                    "CONNECTION"};
	static const char *const values[] = {"a\r\nb: c", "a\n", " a", "a\1"};
	static const char *const targets[] = {"",       "x",    "http://a/", "/a b",
	                                      "/a\r\n", "/a#b", "/\x7f"};
	static const char *const methods[] = {"", "get", "G T", "CONNECT", "TRACE", "GET\r\n"};
	struct caller c;

	fake_conf(1);
	fake_start();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct call_field f = {str_of(names[i]), STR("v")};
		struct call_request r = plain;

		r.fields = &f;
		r.nfields = 1;
		call_begin(&c, &r);
		CU_ASSERT_PTR_NULL(c.call);
	}
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		const struct call_field f = {STR("x"), str_of(values[i])};
		struct call_request r = plain;

		r.fields = &f;
		r.nfields = 1;
		call_begin(&c, &r);
		CU_ASSERT_PTR_NULL(c.call);
	}
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		struct call_request r = plain;

		r.target = str_of(targets[i]);
		call_begin(&c, &r);
		CU_ASSERT_PTR_NULL(c.call);
	}
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		struct call_request r = plain;

		r.method = str_of(methods[i]);
		call_begin(&c, &r);
		CU_ASSERT_PTR_NULL(c.call);
	}
	CU_ASSERT(fake_none(0));
	fake_stop();
}

/* ---- answers ---- */
struct answer_case {
	const char *text;
	bool close;
	enum call_error error;
	unsigned status;
	const char *body;
	bool pooled;
};

static void try_one(const struct answer_case *t)
{
	struct caller c;

	fake_conf(1);
	fake_start();
	call_begin(&c, &plain);
	int fd = fake_accept(0);
	fake_request(fd);
	fake_send(fd, t->text);
	if (t->close)
		shutdown(fd, SHUT_WR);
	until(&c.over);
	bool right = answer_is(&c, t->error, t->status, t->body);
	if (!right)
		fprintf(stderr, "\n%s: %d %s\n", t->text, call_answer_error(c.answer),
		        call_answer_detail(c.answer));
	CU_ASSERT(right);
	CU_ASSERT_EQUAL(call_answer_detail(c.answer)[0] != 0, t->error != CALL_OK);
	CU_ASSERT_EQUAL(idle_conns(), t->pooled);
	if (!t->pooled)
		CU_ASSERT(fake_closed(fd));
	CU_ASSERT_EQUAL(inflight(), 0);
	caller_free(&c);
	close(fd);
	fake_stop();
}

static void answers(void)
{
	static const struct answer_case cases[] = {
	    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, CALL_OK, 200, "ok", true},
	    {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false, CALL_OK, 404, "", true},
	    {"HTTP/1.1 302 Found\r\nLocation: http://a/\r\nContent-Length: 0\r\n\r\n", false,
	     CALL_OK, 302, "", true},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false,
	     CALL_OK, 200, "ok", true},
	    {"HTTP/1.1 200 OK\r\n\r\nall", true, CALL_OK, 200, "all", false},
	    {"HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 0\r\n\r\n", false,
	     CALL_OK, 200, "", true},
	    {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok", false,
	     CALL_BROKEN, 0, "", true},
	    {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\nok", false,
	     CALL_BROKEN, 0, "", false},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", false, CALL_FULL, 0, "", false},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nok", true, CALL_BROKEN, 0, "", false},
	    {"HTTP/1.1 101 Switching\r\n\r\n", false, CALL_BROKEN, 0, "", false},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", false,
	     CALL_BROKEN, 0, "", false},
	    {"garbage\r\n\r\n", false, CALL_BROKEN, 0, "", false},
	    {"", true, CALL_BROKEN, 0, "", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		try_one(&cases[i]);
}

static void fields_are_kept(void)
{
	struct caller c;
	unsigned n = 0;

	fake_conf(1);
	fake_start();
	call_begin(&c, &plain);
	int fd = fake_accept(0);
	fake_request(fd);
	fake_send(fd, "HTTP/1.1 200 OK\r\nCache-Control: max-age=5\r\nContent-Length: 0\r\n\r\n");
	until(&c.over);
	const struct call_field *f = call_answer_fields(c.answer, &n);
	CU_ASSERT_EQUAL_FATAL(n, 2);
	CU_ASSERT(str_eq(f[0].name, STR("Cache-Control")) && str_eq(f[0].value, STR("max-age=5")));
	caller_free(&c);
	close(fd);
	fake_stop();
}

/* A kept connection that the server closes when it is used again: only what changes nothing is
 * asked once more, and only once, and not after a byte of an answer. */
static void kept_connections_may_have_gone(void)
{
	static const struct {
		const char *method, *said;
		bool again;
	} cases[] = {{"GET", "", true},
	             {"POST", "", false},
	             {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal", false}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct call_request r = plain;
		struct caller c;

		fake_conf(1);
		fake_start();
		r.method = str_of(cases[i].method);
		int fd = fake_serve(0, -1);
		CU_ASSERT_EQUAL(idle_conns(), 1);
		call_begin(&c, &r);
		fake_request(fd);
		fake_send(fd, cases[i].said);
		close(fd);
		if (cases[i].again) {
			fd = fake_accept(0);
			CU_ASSERT(strncmp(received(fd, 0), "GET /x?y HTTP/1.1\r\n", 19) == 0);
			fake_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
			until(&c.over);
			CU_ASSERT(answer_is(&c, CALL_OK, 200, "ok"));
			close(fd);
		} else {
			until(&c.over);
			CU_ASSERT(answer_is(&c, CALL_BROKEN, 0, ""));
			CU_ASSERT(fake_none(0));
		}
		caller_free(&c);
		fake_stop();
	}
	/* A new connection is not tried twice. */
	struct caller c;
	fake_conf(1);
	fake_start();
	call_begin(&c, &plain);
	int fd = fake_accept(0);
	fake_request(fd);
	close(fd);
	until(&c.over);
	CU_ASSERT(answer_is(&c, CALL_BROKEN, 0, ""));
	CU_ASSERT(fake_none(0));
	caller_free(&c);
	fake_stop();
}

/* In pieces without an end: the ceiling ends it and the connection. */
static void a_body_without_end(void)
{
	static char chunk[600];
	struct caller c;

	for (int chunked = 0; chunked < 2; chunked++) {
		fake_conf(1);
		fake_start();
		call_begin(&c, &plain);
		int fd = fake_accept(0);
		fake_request(fd);
		fake_send(fd, chunked ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		                      : "HTTP/1.1 200 OK\r\n\r\n");
		memset(chunk, 'x', sizeof(chunk) - 1);
		for (unsigned i = 0; i < 2 && !c.over; i++) {
			fake_send(fd, chunked ? "257\r\n" : "");
			fake_send(fd, chunk);
			fake_send(fd, chunked ? "\r\n" : "");
			turn();
		}
		until(&c.over);
		CU_ASSERT(answer_is(&c, CALL_FULL, 0, ""));
		CU_ASSERT(fake_closed(fd));
		caller_free(&c);
		close(fd);
		fake_stop();
	}
}

static void nobody_listens(void)
{
	struct caller c;

	fake_conf(1);
	close(listeners[0]);
	listeners[0] = 0;
	fake_start();
	call_begin(&c, &plain);
	until(&c.over);
	CU_ASSERT(answer_is(&c, CALL_BROKEN, 0, ""));
	CU_ASSERT_STRING_EQUAL(call_answer_detail(c.answer), "upstream_connect");
	caller_free(&c);
	fake_stop();
}

/* ---- the deadline, and cancels, at every place ---- */
static const char *const stages[] = {
    NULL, /* not accepted */
    "",   /* nothing answered */
    "HTTP/1.1 200 OK\r\nConte",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    "HTTP/1.1 100 Continue\r\n\r\n",
};

static int stage_reach(const char *text)
{
	if (!text)
		return -1;
	int fd = fake_accept(0);
	fake_request(fd);
	fake_send(fd, text);
	turn();
	return fd;
}

static void the_deadline_is_over_everything(void)
{
	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		struct caller c;

		fake_conf(1);
		fake_start();
		fake_time(0);
		call_begin(&c, &plain);
		int fd = stage_reach(stages[i]);
		fake_time(5 * NS_PER_S - 1);
		CU_ASSERT_FALSE(c.over);
		fake_time(2);
		CU_ASSERT(answer_is(&c, CALL_TIMEOUT, 0, ""));
		if (fd >= 0)
			CU_ASSERT(fake_closed(fd));
		CU_ASSERT_EQUAL(idle_conns() + inflight(), 0);
		caller_free(&c);
		if (fd >= 0)
			close(fd);
		fake_stop();
	}
}

static void cancelled_at_every_stage(void)
{
	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		struct caller c;

		fake_conf(1);
		fake_start();
		call_begin(&c, &plain);
		int fd = stage_reach(stages[i]);
		call_abort(c.call);
		c.call = NULL;
		if (fd >= 0) {
			fake_send(fd, "lo");
			CU_ASSERT(fake_closed(fd));
			close(fd);
		}
		turn();
		CU_ASSERT_FALSE(c.over);
		CU_ASSERT_EQUAL(idle_conns() + inflight(), 0);
		caller_free(&c);
		fake_stop();
	}
}

UNIT_MAIN("upstream_call", UNIT(the_request_is_ours), UNIT(the_host_is_whom_it_is_for),
          UNIT(the_host_may_be_named), UNIT(requests_that_cannot_be_written), UNIT(answers),
          UNIT(fields_are_kept), UNIT(kept_connections_may_have_gone), UNIT(a_body_without_end),
          UNIT(nobody_listens), UNIT(the_deadline_is_over_everything),
          UNIT(cancelled_at_every_stage))
