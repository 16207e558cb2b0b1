/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What is known of fields: their ids, which of them travel on, and how heads are written.
 */
#include "http/headers.h"
#include "http/line.h"
#include "http/parse.h"

#include "unit.h"

#include <errno.h>

static void names_have_ids_in_any_case(void)
{
	static const struct {
		const char *name;
		enum http_field_id id;
	} rows[] = {
	    {"te", HTTP_F_TE},
	    {"Host", HTTP_F_HOST},
	    {"DATE", HTTP_F_DATE},
	    {"Cookie", HTTP_F_COOKIE},
	    {"Expect", HTTP_F_EXPECT},
	    {"Server", HTTP_F_SERVER},
	    {"Api-Key", HTTP_F_API_KEY},
	    {"Upgrade", HTTP_F_UPGRADE},
	    {"Trailer", HTTP_F_TRAILER},
	    {"X-Api-Key", HTTP_F_X_API_KEY},
	    {"Forwarded", HTTP_F_FORWARDED},
	    {"X-Real-IP", HTTP_F_X_FORWARDED},
	    {"X-Forwarded-For", HTTP_F_X_FORWARDED},
	    {"x_forwarded_proto", HTTP_F_X_FORWARDED},
	    {"Connection", HTTP_F_CONNECTION},
	    {"Keep-Alive", HTTP_F_KEEP_ALIVE},
	    {"tracestate", HTTP_F_TRACESTATE},
	    {"traceparent", HTTP_F_TRACEPARENT},
	    {"Content-Type", HTTP_F_CONTENT_TYPE},
	    {"X-Request-ID", HTTP_F_X_REQUEST_ID},
	    {"Authorization", HTTP_F_AUTHORIZATION},
	    {"cOnTeNt-LeNgTh", HTTP_F_CONTENT_LENGTH},
	    {"Accept-Encoding", HTTP_F_ACCEPT_ENCODING},
	    {"Content-Encoding", HTTP_F_CONTENT_ENCODING},
	    {"Proxy-Connection", HTTP_F_PROXY_CONNECTION},
	    {"Transfer-Encoding", HTTP_F_TRANSFER_ENCODING},
	    {"Proxy-Authenticate", HTTP_F_PROXY_AUTHENTICATE},
	    {"Proxy-Authorization", HTTP_F_PROXY_AUTHORIZATION},
	    {"x-ratelimit-remaining-tokens", HTTP_F_X_RATELIMIT},
	    {"content_length", HTTP_F_OTHER},
	    {"hos", HTTP_F_OTHER},
	    {"hostx", HTTP_F_OTHER},
	    {"accept", HTTP_F_OTHER},
	    {"x-forwarde", HTTP_F_OTHER},
	    {"x", HTTP_F_OTHER},
	    {"", HTTP_F_OTHER},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT_EQUAL(http_field_id_of(str_of(rows[i].name)), rows[i].id);
}

static void identity_names_are_reserved_however_spelt(void)
{
	static const char *const reserved[] = {
	    "x-merlon-user",      "X-Merlon-Anything",  "x_merlon_user",
	    "remote-user",        "Remote_User",        "X-Remote-User",
	    "x-remote-group",     "x-remote-extra-a",   "X-Auth-Request-Email",
	    "x_auth-request_a",   "x-forwarded-user",   "X_Forwarded_User",
	    "X-FORWARDED-EMAIL",  "x-forwarded-groups", "x-forwarded-client-cert",
	    "X_Forwarded-Groups",
	};
	static const char *const others[] = {
	    "x-merlon", "x-forwarded-for", "remote-users",           "x-remotes", "x-auth-request",
	    "user",     "x-user",          "x-forwarded-user-agent",
	};

	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		CU_ASSERT_EQUAL(http_field_id_of(str_of(reserved[i])), HTTP_F_RESERVED);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		CU_ASSERT_NOT_EQUAL(http_field_id_of(str_of(others[i])), HTTP_F_RESERVED);
}

static void headers_name_no_other_method_or_path(void)
{
	static const char *const names[] = {"X-HTTP-Method",     "X-HTTP-Method-Override",
	                                    "x_method_override", "X-Original-URL",
	                                    "X-Original-Uri",    "X-Rewrite-URL"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		CU_ASSERT_EQUAL(http_field_id_of(str_of(names[i])), HTTP_F_RESERVED);
	CU_ASSERT_NOT_EQUAL(http_field_id_of(STR("x-original")), HTTP_F_RESERVED);
	CU_ASSERT_EQUAL(http_field_id_of(STR("HTTP2-Settings")), HTTP_F_UPGRADE);
}

static void methods_are_case_sensitive(void)
{
	CU_ASSERT_EQUAL(http_method_of(STR("GET")), HTTP_GET);
	CU_ASSERT_EQUAL(http_method_of(STR("HEAD")), HTTP_HEAD);
	CU_ASSERT_EQUAL(http_method_of(STR("POST")), HTTP_POST);
	CU_ASSERT_EQUAL(http_method_of(STR("PUT")), HTTP_PUT);
	CU_ASSERT_EQUAL(http_method_of(STR("DELETE")), HTTP_DELETE);
	CU_ASSERT_EQUAL(http_method_of(STR("OPTIONS")), HTTP_OPTIONS);
	CU_ASSERT_EQUAL(http_method_of(STR("PATCH")), HTTP_PATCH);
	CU_ASSERT_EQUAL(http_method_of(STR("CONNECT")), HTTP_CONNECT);
	CU_ASSERT_EQUAL(http_method_of(STR("TRACE")), HTTP_TRACE);
	CU_ASSERT_EQUAL(http_method_of(STR("get")), HTTP_OTHER);
	CU_ASSERT_EQUAL(http_method_of(STR("GETX")), HTTP_OTHER);
	CU_ASSERT_EQUAL(http_method_of(STR("")), HTTP_OTHER);
}

struct message {
	struct arena a;
	struct http_head h;
};

static void message_init(struct message *m, bool response, struct str bytes)
{
	struct http_parser p;

	arena_init(&m->a, NULL);
	http_parser_init(&p, response, 65536);
	CU_ASSERT_EQUAL_FATAL(http_parse(&p, bytes.p, bytes.n, &m->a, &m->h), HTTP_DONE);
}

/* The head's fields as they would be passed on. */
static void passed_on(struct message *m, uint64_t skip, const char *want)
{
	struct buf b;
	struct http_out o = {.b = &b};

	buf_init(&b, 65536);
	http_mark_dropped(&m->h);
	http_out_fields(&o, &m->h, skip);
	CU_ASSERT_EQUAL(o.r, 0);
	if (!str_eq(buf_str(&b), str_of(want)))
		fprintf(stderr, "got:\n%.*s\nwanted:\n%s\n", STR_FMT(buf_str(&b)), want);
	CU_ASSERT_TRUE(str_eq(buf_str(&b), str_of(want)));
	buf_deinit(&b);
	arena_deinit(&m->a);
}

static void requests_lose_hop_by_hop_identity_and_credentials(void)
{
	struct message m;

	message_init(&m, false,
	             STR("POST / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n"
	                 "x-hop: 2\r\nKeep-Alive: 5\r\nProxy-Connection: a\r\nTE: trailers\r\n"
	                 "Trailer: x\r\nUpgrade: h2c\r\nProxy-Authorization: x\r\n"
	                 "Proxy-Authenticate: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n"
	                 "Authorization: Bearer s\r\nX-Api-Key: s\r\nApi-Key: s\r\n"
	                 "X-Merlon-User: root\r\nRemote-User: root\r\nX-Forwarded-User: root\r\n"
	                 "X-Forwarded-For: 1\r\nCookie: a=b\r\nAccept: */*\r\n\r\n"));
	passed_on(&m, 0, "Host: a\r\nX-Forwarded-For: 1\r\nCookie: a=b\r\nAccept: */*\r\n");
}

static void responses_lose_hop_by_hop_only(void)
{
	struct message m;

	message_init(&m, true,
	             STR("HTTP/1.1 200 OK\r\nServer: x\r\nConnection: X-Hop\r\nX-Hop: 1\r\n"
	                 "Transfer-Encoding: chunked\r\nTrailer: x\r\nX-Merlon-A: 1\r\n"
	                 "Set-Cookie: a\r\nset-cookie: b\r\nX_Y: z\r\n\r\n"));
	passed_on(&m, UINT64_C(1) << HTTP_F_SERVER,
	          "X-Merlon-A: 1\r\nSet-Cookie: a\r\nset-cookie: b\r\nX_Y: z\r\n");
}

static void connection_is_obeyed_wherever_it_stands(void)
{
	struct message m;

	message_init(&m, false,
	             STR("GET / HTTP/1.1\r\nA: 1\r\nHost: a\r\nConnection: a\r\nB: 2\r\n"
	                 "connection: b, c\r\nC: 3\r\nD: 4\r\n\r\n"));
	passed_on(&m, 0, "Host: a\r\nD: 4\r\n");
}

static void find_counts_what_is_not_dropped(void)
{
	struct message m;

	message_init(&m, false,
	             STR("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nTE: t\r\nx: 2\r\nX: 3\r\n\r\n"));
	CU_ASSERT_PTR_NOT_NULL(http_find(&m.h, STR("te"), 0));
	http_mark_dropped(&m.h);
	CU_ASSERT_PTR_NULL(http_find(&m.h, STR("te"), 0));
	CU_ASSERT_PTR_EQUAL(http_find(&m.h, STR("X"), 0), &m.h.fields[1]);
	CU_ASSERT_PTR_EQUAL(http_find(&m.h, STR("x"), 1), &m.h.fields[3]);
	CU_ASSERT_PTR_EQUAL(http_find(&m.h, STR("X"), 2), &m.h.fields[4]);
	CU_ASSERT_PTR_NULL(http_find(&m.h, STR("X"), 3));
	arena_deinit(&m.a);
}

static int join(void *arg, struct str member)
{
	struct buf *b = arg;

	CU_ASSERT_EQUAL(buf_adds(b, member), 0);
	CU_ASSERT_EQUAL(buf_adds(b, STR("|")), 0);
	return str_eq(member, STR("stop")) ? 7 : 0;
}

static void lists_are_cut_at_commas(void)
{
	struct buf b;

	buf_init(&b, 100);
	CU_ASSERT_EQUAL(http_list_each(STR(" a ,,\tb c\t, ,d"), join, &b), 0);
	CU_ASSERT_TRUE(str_eq(buf_str(&b), STR("a|b c|d|")));
	buf_reset(&b);
	CU_ASSERT_EQUAL(http_list_each(STR("a,stop,b"), join, &b), 7);
	CU_ASSERT_TRUE(str_eq(buf_str(&b), STR("a|stop|")));
	CU_ASSERT_EQUAL(http_list_each(STR(""), join, &b), 0);
	buf_deinit(&b);
	CU_ASSERT_TRUE(str_eq(http_media_type(STR("text/a ; charset=b")), STR("text/a")));
	CU_ASSERT_TRUE(str_eq(http_media_type(STR("text/a")), STR("text/a")));
}

static void tokens_and_values(void)
{
	CU_ASSERT_TRUE(http_is_token(STR("a-Z_0!")));
	CU_ASSERT_FALSE(http_is_token(STR("")));
	CU_ASSERT_FALSE(http_is_token(STR("a b")));
	CU_ASSERT_FALSE(http_is_token(STR("a\0")));
	CU_ASSERT_TRUE(http_is_field_value(STR("")));
	CU_ASSERT_TRUE(http_is_field_value(STR("a \t\x80 b")));
	CU_ASSERT_FALSE(http_is_field_value(STR(" a")));
	CU_ASSERT_FALSE(http_is_field_value(STR("a\t")));
	CU_ASSERT_FALSE(http_is_field_value(STR("a\r\nb")));
	CU_ASSERT_FALSE(http_is_field_value(STR("a\0b")));
	CU_ASSERT_FALSE(http_is_field_value(STR("a\x7f")));
}

static void heads_are_written(void)
{
	struct buf b;
	struct http_out o = {.b = &b};

	buf_init(&b, 4096);
	http_out_request(&o, STR("POST"), STR("/a?b"));
	http_out_field(&o, STR("Host"), STR("a"));
	http_out_fieldf(&o, "X-N", "%d-%s", 7, "x");
	http_out_framing(&o, HTTP_LENGTH, UINT64_MAX);
	http_out_framing(&o, HTTP_LENGTH, 0);
	http_out_framing(&o, HTTP_CHUNKED, 0);
	http_out_framing(&o, HTTP_UNTIL_CLOSE, 0);
	http_out_framing(&o, HTTP_NO_BODY, 0);
	CU_ASSERT_EQUAL(http_out_end(&o), 0);
	CU_ASSERT_TRUE(
	    str_eq(buf_str(&b), STR("POST /a?b HTTP/1.1\r\nHost: a\r\nX-N: 7-x\r\n"
	                            "Content-Length: 18446744073709551615\r\nContent-Length: 0\r\n"
	                            "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n")));
	buf_reset(&b);
	http_out_status(&o, 429);
	http_out_status(&o, 299);
	CU_ASSERT_TRUE(
	    str_eq(buf_str(&b), STR("HTTP/1.1 429 Too Many Requests\r\nHTTP/1.1 299 Unknown\r\n")));
	buf_deinit(&b);
}

static void parts_make_one_value(void)
{
	const struct str parts[] = {STR(""), STR("for="), STR("a"), STR(";proto=http")};
	const struct str bad[] = {STR("a"), STR("\r\nB: c")};
	struct buf b;
	struct http_out o = {.b = &b};

	buf_init(&b, 40);
	line_add_parts(&o, STR("F: "), parts, 4);
	CU_ASSERT_EQUAL(o.r, 0);
	CU_ASSERT_TRUE(str_eq(buf_str(&b), STR("F: for=a;proto=http\r\n")));
	/* There is room for 40 bytes. */
	line_add_parts(&o, STR("F: "), parts, 4);
	CU_ASSERT_NOT_EQUAL(o.r, 0);
	CU_ASSERT_EQUAL(b.n, 21);
	o.r = 0;
	line_add_parts(&o, STR("F: "), bad, 2);
	CU_ASSERT_EQUAL(o.r, -EINVAL);
	CU_ASSERT_EQUAL(b.n, 21);
	buf_deinit(&b);
}

static void long_formatted_values_are_whole(void)
{
	struct buf b;
	struct http_out o = {.b = &b};

	buf_init(&b, 4096);
	http_out_fieldf(&o, "X", "%0*d", 1000, 1);
	CU_ASSERT_EQUAL(o.r, 0);
	CU_ASSERT_EQUAL(b.n, 1000 + 5);
	CU_ASSERT_EQUAL(b.p[1002], '1');
	buf_deinit(&b);
}

/* Lines that came otherwise than they are written stand between ones that are copied together. */
static void lines_are_written_alike_however_they_came(void)
{
	const struct str head =
	    STR("GET / HTTP/1.1\r\nHost: a\r\nA:b\r\nC: d\r\nE:\tf\r\nG:  h\r\nI: j \r\nK:\r\n"
	        "L: \r\nTE: gone\r\nM: n\r\nO: p\r\n\r\n");
	static const char want[] = "Host: a\r\nA: b\r\nC: d\r\nE: f\r\nG: h\r\nI: j\r\nK: \r\n"
				   "L: \r\nM: n\r\nO: p\r\n";
	struct message m;

	message_init(&m, false, head);
	passed_on(&m, 0, want);
	message_init(&m, false, head);
	passed_on(&m, HTTP_F_BIT(HTTP_F_HOST), want + sizeof("Host: a\r\n") - 1);
}

/* Every length up to that of a few vectors: as text, and with a control byte in each place. */
static void lines_of_every_length(void)
{
	char value[80], name[80], want[200];
	struct buf b;
	struct http_out o = {.b = &b};

	buf_init(&b, 4096);
	for (unsigned i = 0; i < sizeof(value); i++) {
		value[i] = (char)('a' + i % 26);
		name[i] = (char)('A' + i % 26);
	}
	for (unsigned n = 1; n < sizeof(value); n++) {
		const struct str v = {value, n}, k = {name, n};
		buf_reset(&b);
		http_out_field(&o, k, v);
		line_add(&o, STR("X: "), v);
		line_add_checked(&o, k, v);
		snprintf(want, sizeof(want), "%.*s: %.*s\r\n", STR_FMT(k), STR_FMT(v));
		CU_ASSERT_EQUAL(o.r, 0);
		CU_ASSERT_EQUAL(b.n, 5 * n + 13);
		CU_ASSERT(memcmp(b.p, want, 2 * n + 4) == 0);
		CU_ASSERT(memcmp(b.p + 2 * n + 7, value, n) == 0);
		CU_ASSERT(memcmp(b.p + 3 * n + 9, want, strlen(want)) == 0);
		for (unsigned i = 0; i < n; i++) {
			char was = value[i];
			value[i] = i % 2 ? '\n' : '\x7f';
			buf_reset(&b);
			line_add(&o, STR("X: "), v);
			CU_ASSERT(o.r == -EINVAL && b.n == 0);
			o.r = 0;
			value[i] = was;
			name[i] = ':';
			http_out_field(&o, k, v);
			CU_ASSERT(o.r == -EINVAL && b.n == 0);
			o.r = 0;
			name[i] = (char)('A' + i % 26);
		}
	}
	buf_deinit(&b);
}

static int written(struct str name, struct str value)
{
	struct buf b;
	struct http_out o = {.b = &b};

	buf_init(&b, 4096);
	http_out_field(&o, name, value);
	CU_ASSERT(o.r == 0 || b.n == 0);
	http_out_field(&o, STR("X"), STR("y"));
	int r = http_out_end(&o);
	CU_ASSERT(r == 0 || b.n == 0);
	buf_deinit(&b);
	return r;
}

static void no_field_begins_a_line_of_its_own(void)
{
	CU_ASSERT_EQUAL(written(STR("A"), STR("b")), 0);
	CU_ASSERT_EQUAL(written(STR("A"), STR("")), 0);
	CU_ASSERT_EQUAL(written(STR("A"), STR("b\rc")), -EINVAL);
	CU_ASSERT_EQUAL(written(STR("A"), STR("b\nc")), -EINVAL);
	CU_ASSERT_EQUAL(written(STR("A"), STR("b\r\nC: d")), -EINVAL);
	CU_ASSERT_EQUAL(written(STR("A"), STR("b\0c")), -EINVAL);
	CU_ASSERT_EQUAL(written(STR("A\r\nB"), STR("b")), -EINVAL);
	CU_ASSERT_EQUAL(written(STR("A\n"), STR("b")), -EINVAL);
	CU_ASSERT_EQUAL(written(STR("A\0"), STR("b")), -EINVAL);
	CU_ASSERT_EQUAL(written(STR("A: b"), STR("c")), -EINVAL);
	CU_ASSERT_EQUAL(written(STR(""), STR("b")), -EINVAL);
}

static void no_target_begins_a_line_of_its_own(void)
{
	struct buf b;

	buf_init(&b, 4096);
	struct http_out o = {.b = &b};
	http_out_request(&o, STR("GET"), STR("/ HTTP/1.1\r\nA: b"));
	CU_ASSERT_EQUAL(http_out_end(&o), -EINVAL);
	o.r = 0;
	http_out_request(&o, STR("GET /"), STR("/"));
	CU_ASSERT_EQUAL(http_out_end(&o), -EINVAL);
	CU_ASSERT_EQUAL(b.n, 0);
	buf_deinit(&b);
}

static void ceiling_of_the_buffer_travels_up(void)
{
	struct message m;
	struct buf b;
	struct http_out o = {.b = &b};

	message_init(&m, false,
	             STR("GET / HTTP/1.1\r\nHost: a\r\nTE: aaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n"));
	http_mark_dropped(&m.h);
	buf_init(&b, 9);
	http_out_fields(&o, &m.h, 0);
	/* What is dropped takes no room. */
	CU_ASSERT_EQUAL(o.r, 0);
	CU_ASSERT_TRUE(str_eq(buf_str(&b), STR("Host: a\r\n")));
	CU_ASSERT_EQUAL(http_out_end(&o), BUF_E_FULL);
	buf_deinit(&b);
	arena_deinit(&m.a);
}

static void reasons_are_known(void)
{
	CU_ASSERT_STRING_EQUAL(http_reason(200), "OK");
	CU_ASSERT_STRING_EQUAL(http_reason(431), "Request Header Fields Too Large");
	CU_ASSERT_STRING_EQUAL(http_reason(504), "Gateway Timeout");
	CU_ASSERT_STRING_EQUAL(http_reason(299), "Unknown");
}

UNIT_MAIN("http_fields", UNIT(names_have_ids_in_any_case),
          UNIT(identity_names_are_reserved_however_spelt),
          UNIT(headers_name_no_other_method_or_path), UNIT(methods_are_case_sensitive),
          UNIT(requests_lose_hop_by_hop_identity_and_credentials),
          UNIT(responses_lose_hop_by_hop_only), UNIT(connection_is_obeyed_wherever_it_stands),
          UNIT(find_counts_what_is_not_dropped), UNIT(lists_are_cut_at_commas),
          UNIT(tokens_and_values), UNIT(heads_are_written), UNIT(parts_make_one_value),
          UNIT(long_formatted_values_are_whole), UNIT(lines_are_written_alike_however_they_came),
          UNIT(lines_of_every_length), UNIT(no_field_begins_a_line_of_its_own),
          UNIT(no_target_begins_a_line_of_its_own), UNIT(ceiling_of_the_buffer_travels_up),
          UNIT(reasons_are_known))
