/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What the model server is told, and who the client is taken for: dropped and rewritten fields,
 * trusted proxies, request ids; which route and which model a request means; what bodies may hold.
 */
#include "tx_frame.h"

#define AUDIT "audit = ( " LINE("z", "required", "", "digest = true;") " );"
#define TRUST "trusted_proxies = ( \"10.0.0.0/8\" );"

static const char *sent(const char *fields)
{
	char *text =
	    xasprintf("GET /a/%%7Eb?q=%%2f HTTP/1.1\r\nHost: A.example:80\r\n%s\r\n", fields);
	request(text);
	free(text);
	return upstream_request();
}

static void done(void)
{
	unsigned n = note.ended;
	upstream_send(OK_ANSWER);
	answer();
	ended(n + 1);
}

static void heads_are_rewritten(void)
{
	frame_begin(OPEN_STACK AUDIT,
	            "headers = ( { name = \"Authorization\"; value = \"Bearer up\"; } );", NULL,
	            NULL);
	client_open("192.0.2.7", false);
	sent("Authorization: Bearer mine\r\nCookie: a=b\r\nX-Merlon-User: root\r\nRemote-User: "
	     "root\r\nX-Forwarded-For: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\nX-Real-IP: 1.1.1.1\r\n"
	     "Connection: x-hop\r\nX-Hop: 1\r\nTE: trailers\r\nX-Keep: yes\r\n");
	HAS(got, "GET /a/~b?q=%2f HTTP/1.1\r\nHost: 127.0.0.1:");
	HAS(got, "\r\nX-Keep: yes\r\n");
	HAS(got, "\r\nAuthorization: Bearer up\r\n");
	HAS(got, "\r\nX-Forwarded-For: 192.0.2.7\r\n");
	HAS(got, "\r\nX-Forwarded-Host: A.example:80\r\n");
	HAS(got, "\r\nForwarded: for=192.0.2.7;proto=http\r\n");
	HAS_NOT(got, "mine");
	HAS_NOT(got, "root");
	HAS_NOT(got, "1.1.1.1");
	HAS_NOT(got, "X-Hop");
	HAS_NOT(got, "TE:");
	done();
	SAYS(note.source, "192.0.2.7");
	frame_end();
}

static void heads_of_any_size_are_forwarded(void)
{
	char fields[24 * 1024] = "";
	unsigned n = 0;
	frame_begin(OPEN_STACK AUDIT,
	            "headers = ( { name = \"Authorization\"; value = \"Bearer up\"; } );", NULL,
	            NULL);
	client_open("192.0.2.7", false);
	/* past what one block holds */
	for (unsigned i = 0; n < 20 * 1024; i++)
		n += (unsigned)snprintf(fields + n, sizeof(fields) - n, "X-%u: %01000u\r\n", i, i);
	sent(fields);
	HAS(got, fields);
	HAS(got, "\r\nAuthorization: Bearer up\r\nX-Request-Id: ");
	HAS(got, "\r\nForwarded: for=192.0.2.7;proto=http\r\n");
	done();
	frame_end();
}

static void nodes_are_quoted_where_they_must_be(void)
{
	frame_begin(OPEN_STACK AUDIT, NULL, TRUST, NULL);
	client_open("2001:db8::7", false);
	sent("Forwarded: for=1.1.1.1\r\n");
	HAS(got, "\r\nX-Forwarded-For: 2001:db8::7\r\n");
	HAS(got, "\r\nForwarded: for=\"[2001:db8::7]\";proto=http\r\n");
	done();
	shut(&upstream_fd);
	client_open("10.0.0.1", false);
	sent("Forwarded: for=1.1.1.1\r\nX-Forwarded-Proto: https\r\nForwarded: for=_x\r\n");
	HAS(got, "\r\nX-Forwarded-Proto: https\r\n");
	HAS(got, "\r\nForwarded: for=1.1.1.1, for=_x, for=10.0.0.1;proto=http\r\n");
	done();
	frame_end();
}

static void traces_go_on(void)
{
#define TRACE "00-0af7651916cd43dd8448eb211c80319c-"
	frame_begin(OPEN_STACK AUDIT, NULL, NULL, NULL);
	client_open("192.0.2.7", false);
	sent("traceparent: " TRACE "b7ad6b7169203331-01\r\ntracestate: a=1\r\n");
	HAS(got, "\r\ntraceparent: " TRACE);
	HAS(got, "-01\r\n");
	HAS(got, "\r\ntracestate: a=1\r\n");
	HAS_NOT(got, "b7ad6b7169203331");
	done();
	sent("traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01\r\ntracestate: "
	     "a=1\r\n");
	HAS_NOT(got, "trace");
	done();
	frame_end();
}

/* From this peer, with these fields: the address that counts. */
static void source(const char *peer, const char *fields, const char *want, const char *forwarded)
{
	shut(&upstream_fd);
	client_open(peer, false);
	sent(fields);
	HAS(got, forwarded);
	done();
	SAYS(note.source, want);
}

static void proxies_are_believed_as_far_as_they_are_trusted(void)
{
	frame_begin(OPEN_STACK AUDIT, NULL, TRUST, NULL);
	source("192.0.2.7", "X-Forwarded-For: 1.1.1.1\r\n", "192.0.2.7", "For: 192.0.2.7\r\n");
	source("10.0.0.1", "X-Forwarded-For: 1.1.1.1\r\n", "1.1.1.1", "For: 1.1.1.1, 10.0.0.1\r\n");
	source("10.0.0.1", "X-Forwarded-For: 6.6.6.6, 1.1.1.1, 10.2.2.2\r\n", "1.1.1.1",
	       "For: 6.6.6.6, 1.1.1.1, 10.2.2.2, 10.0.0.1\r\n");
	source("10.0.0.1", "X-Forwarded-For: 1.1.1.1, junk, 10.2.2.2\r\n", "10.2.2.2", "For: ");
	source("10.0.0.1", "X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1", "For: ");
	source("10.0.0.1", "", "10.0.0.1", "For: 10.0.0.1\r\n");
	/* one proxy appends to the field, another adds one of its own: one list */
	source("10.0.0.1", "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 1.1.1.1\r\n", "1.1.1.1",
	       "For: 6.6.6.6, 1.1.1.1, 10.0.0.1\r\n");
	source("10.0.0.1", "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 10.2.2.2\r\n", "1.1.1.1",
	       "For: ");
	source("10.0.0.1", "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: junk\r\n", "10.0.0.1",
	       "For: ");
	frame_end();
}

static void request_ids(void)
{
	frame_begin(OPEN_STACK AUDIT, NULL, NULL, NULL);
	client_open("192.0.2.7", false);
	sent("X-Request-Id: client-1/2\r\n");
	HAS(got, "\r\nX-Request-Id: client-1/2\r\n");
	done();
	SAYS(note.request_id, "client-1/2");
	static const char *const bad[] = {"X-Request-Id: a b\r\n", "X-Request-Id: a\"\r\n",
	                                  "X-Request-Id: \r\n",
	                                  "X-Request-Id: a\r\nX-Request-Id: a\r\n"};
	for (unsigned i = 0; i < 4; i++) {
		sent(bad[i]);
		done();
		CU_ASSERT_EQUAL(strlen(note.request_id), 36);
		CU_ASSERT_EQUAL(note.request_id[14], '7');
		CU_ASSERT_PTR_NOT_NULL(strchr("89ab", note.request_id[19]));
	}
	frame_end();
}

/* Before its head is whole a request has a name and an address too. */
static void unfinished_heads_are_recorded(void)
{
	frame_begin(OPEN_STACK AUDIT, NULL, NULL, NULL);
	client_open("192.0.2.7", false);
	request("GET / HTTP/1.1\r\nHost");
	tx_head_timeout(list_entry(w.conns.next, struct conn, node)->tx);
	HAS(answer(), "HTTP/1.1 408 ");
	ended(1);
	SAYS(note.source, "192.0.2.7");
	CU_ASSERT_EQUAL(strlen(note.request_id), 36);
	client_open("192.0.2.7", false);
	request("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nX-Request-Id: mine\r\n\r\n");
	HAS(answer(), "HTTP/1.1 400 ");
	ended(2);
	SAYS(note.request_id, "mine");
	SAYS(note.method, "GET");
	frame_end();
}

static const char *route(const char *host, const char *path)
{
	static char name[32];
	const struct gen_route *r = gen_route(gen, str_of(host), str_of(path));
	put(name, sizeof(name), r ? r->conf->name : STR("none"));
	return name;
}

static void routes_and_models(void)
{
#define ROUTE(name, host, path)                                                                    \
	"{ name = \"" name "\"; " host " path = \"" path                                           \
	"\"; api = \"openai\"; stack = \"main\"; upstream = \"up\"; }"
	frame_begin(OPEN_STACK AUDIT, NULL,
	            "models = ( { id = \"gpt-*\"; attributes = { a = \"1\"; }; }, { id = "
	            "\"gpt-4*\"; attributes = { a = \"2\"; }; }, { id = \"gpt-4o\"; attributes = { "
	            "a = \"3\"; }; } );",
	            "routes = ( " ROUTE("p", "", "/") "," ROUTE("v1", "", "/v1/") "," ROUTE(
			"exact", "", "/v1/chat") "," ROUTE("wild", "host = \"*.x.org\";",
	                                                   "/") "," ROUTE("host",
	                                                                  "host = \"a.x.org\";",
	                                                                  "/v1/") " );");
	SAYS(route("", "/"), "p");
	SAYS(route("b.org", "/v1/chat"), "exact");
	SAYS(route("b.org", "/v1/chat/"), "v1");
	SAYS(route("b.x.org", "/v1/chat"), "wild");
	SAYS(route("x.org", "/v1/chat"), "exact");
	SAYS(route("a.x.org", "/v1/chat"), "host");
	SAYS(route("a.x.org", "/v2"), "wild");
	CU_ASSERT_PTR_NULL(gen_model(gen, STR("llama")));
	CU_ASSERT(str_eq(gen_model(gen, STR("gpt-3"))->id, STR("gpt-*")));
	CU_ASSERT(str_eq(gen_model(gen, STR("gpt-4x"))->id, STR("gpt-4*")));
	CU_ASSERT(str_eq(gen_model(gen, STR("gpt-4o"))->id, STR("gpt-4o")));
	frame_end();
}

/* Against the plain way: every entry is looked at. */
static const struct conf_model *model_plainly(struct str name)
{
	const struct conf_model *best = NULL;

	for (unsigned i = 0; i < gen->conf->nmodels; i++) {
		const struct conf_model *m = &gen->conf->models[i];
		if (str_eq(m->id, name))
			return m;
		if ((!best || m->id.n > best->id.n) && str_glob(m->id, name))
			best = m;
	}
	return best;
}

static void the_catalogue_finds_what_looking_at_all_finds(void)
{
	static const char *const globs[] = {"*",
	                                    "?",
	                                    "m*",
	                                    "m1*",
	                                    "m-1*",
	                                    "*7",
	                                    "*9",
	                                    "m?1",
	                                    "m-2?",
	                                    "?\?-3",
	                                    "m-123*",
	                                    "*m*",
	                                    "*m",
	                                    "***",
	                                    "m-1*5",
	                                    "x-very-long-model-name-that-goes-over-32-bytes-*",
	                                    "x-very-long-model-name-that-goes-over-*"};
	static const char *const heads[] = {"m-",
	                                    "",
	                                    "m",
	                                    "-",
	                                    "zm-",
	                                    "gpt",
	                                    "x-very-long-model-name-that-goes-over-",
	                                    "x-very-long-model-name-that-goes-over-32-bytes-"};
	static char top[60000];
	size_t n = (size_t)sprintf(top, "models = ( ");
	char name[80];

	for (int i = 0; i < 1000; i += 3)
		n += (size_t)sprintf(top + n, "{ id = \"m-%d\"; }, ", i);
	for (size_t i = 0; i < sizeof(globs) / sizeof(globs[0]); i++)
		n += (size_t)sprintf(top + n, "%s{ id = \"%s\"; }", i ? ", " : "", globs[i]);
	sprintf(top + n, " );");
	frame_begin(OPEN_STACK AUDIT, NULL, top, NULL);
	for (int i = 0; i < 4000; i++) {
		snprintf(name, sizeof(name), "%s%d%s", heads[i % 8], i / 4, i % 11 ? "" : "*");
		CU_ASSERT_PTR_EQUAL(gen_model(gen, str_of(name)), model_plainly(str_of(name)));
	}
	CU_ASSERT_PTR_EQUAL(gen_model(gen, STR("")), model_plainly(STR("")));
	frame_end();
}

static void memory_is_taken_in_steps_and_given_back(void)
{
	frame_begin(OPEN_STACK AUDIT, NULL, NULL, NULL);
	budget.limit = (uint64_t)3 * 1024 * 1024;
	CU_ASSERT(worker_mem_take(&w, 10));
	CU_ASSERT_EQUAL(atomic_load(&budget.used), 1024 * 1024);
	CU_ASSERT_FALSE(worker_mem_take(&w, (size_t)4 * 1024 * 1024));
	CU_ASSERT_EQUAL(atomic_load(&budget.used), 1024 * 1024);
	CU_ASSERT(worker_mem_take(&w, (size_t)3 * 1024 * 1024 - 10)); /* to the last byte */
	CU_ASSERT_FALSE(worker_mem_take(&w, 1));
	worker_mem_give(&w, (size_t)3 * 1024 * 1024);
	CU_ASSERT_EQUAL(atomic_load(&budget.used), 1024 * 1024);
	frame_end();
}

UNIT_MAIN("tx forward", UNIT(heads_are_rewritten), UNIT(heads_of_any_size_are_forwarded),
          UNIT(nodes_are_quoted_where_they_must_be), UNIT(traces_go_on),
          UNIT(proxies_are_believed_as_far_as_they_are_trusted), UNIT(request_ids),
          UNIT(unfinished_heads_are_recorded), UNIT(routes_and_models),
          UNIT(the_catalogue_finds_what_looking_at_all_finds),
          UNIT(memory_is_taken_in_steps_and_given_back))
