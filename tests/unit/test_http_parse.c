/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The rules for heads of requests, one table row a rule. Each row is also fed cut at every byte.
 */
#include "http_feed.h"

#include "unit.h"

#define LINE "POST /v1/x HTTP/1.1\r\n"
#define HOST "Host: a.example\r\n"
#define X16 "xxxxxxxxxxxxxxxx"
#define TEXT(lit)                                                                                  \
	{                                                                                          \
		lit, sizeof(lit) - 1                                                               \
	}

struct row {
	const char *rule;
	struct {
		const char *p;
		size_t n;
	} bytes;
	int status; /* 0: accepted; -1: not whole yet */
};

static void run_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct str s = {rows[i].bytes.p, rows[i].bytes.n};
		struct feed f;

		feed_init(&f, false);
		feed_run(&f, s, NULL, 0);
		int got = f.result == HTTP_MORE ? -1 : f.status;
		if (got != rows[i].status)
			fprintf(stderr, "%s: %d (%s), not %d\n", rows[i].rule, got,
			        f.result == HTTP_BAD ? f.reason : "", rows[i].status);
		CU_ASSERT_EQUAL(got, rows[i].status);
		CU_ASSERT(f.result != HTTP_BAD || (f.reason != NULL && f.reason[0] != '\0'));
		CU_ASSERT_TRUE(feed_splits_agree(&f, s));
		feed_deinit(&f);
	}
}
#define RUN(rows) run_rows(rows, sizeof(rows) / sizeof(rows[0]))

static void request_line_is_exact(void)
{
	static const struct row rows[] = {
	    {"plain", TEXT("GET / HTTP/1.1\r\n" HOST "\r\n"), 0},
	    {"HTTP/1.0", TEXT("GET / HTTP/1.0\r\n\r\n"), 0},
	    {"one empty line before", TEXT("\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), 0},
	    {"two empty lines before", TEXT("\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), 400},
	    {"LF before", TEXT("\nGET / HTTP/1.1\r\n" HOST "\r\n"), 400},
	    {"CR before", TEXT("\rGET / HTTP/1.1\r\n" HOST "\r\n"), 400},
	    {"space before", TEXT(" GET / HTTP/1.1\r\n" HOST "\r\n"), 400},
	    {"two spaces", TEXT("GET  / HTTP/1.1\r\n" HOST "\r\n"), 400},
	    {"two spaces before version", TEXT("GET /  HTTP/1.1\r\n" HOST "\r\n"), 400},
	    {"tab", TEXT("GET\t/ HTTP/1.1\r\n" HOST "\r\n"), 400},
	    {"space after version", TEXT("GET / HTTP/1.1 \r\n" HOST "\r\n"), 400},
	    {"bare LF", TEXT("GET / HTTP/1.1\n" HOST "\r\n"), 400},
	    {"bare CR", TEXT("GET / HTTP/1.1\rHost: a\r\n\r\n"), 400},
	    {"no version", TEXT("GET /\r\n\r\n"), 400},
	    {"no target", TEXT("GET HTTP/1.1\r\n" HOST "\r\n"), 400},
	    {"method of 32 bytes", TEXT(X16 X16 " / HTTP/1.1\r\n" HOST "\r\n"), 0},
	    {"method of 33 bytes", TEXT(X16 X16 "x / HTTP/1.1\r\n" HOST "\r\n"), 400},
	    {"method no token", TEXT("G(T / HTTP/1.1\r\n" HOST "\r\n"), 400},
	    {"target with DEL", TEXT("GET /\x7f HTTP/1.1\r\n" HOST "\r\n"), 400},
	    {"target with 0x80", TEXT("GET /\x80 HTTP/1.1\r\n" HOST "\r\n"), 400},
	    {"target with NUL", TEXT("GET /\0 HTTP/1.1\r\n" HOST "\r\n"), 400},
	    {"not whole", TEXT("GET / HTTP/1.1\r\n" HOST "\r"), -1},
	    {"nothing", TEXT(""), -1},
	};

	RUN(rows);
}

static void version_is_one_of_two(void)
{
	static const struct row rows[] = {
	    {"1.2", TEXT("GET / HTTP/1.2\r\n" HOST "\r\n"), 505},
	    {"2.0", TEXT("GET / HTTP/2.0\r\n" HOST "\r\n"), 505},
	    {"0.9", TEXT("GET / HTTP/0.9\r\n" HOST "\r\n"), 505},
	    {"preface of HTTP/2", TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505},
	    {"lower case", TEXT("GET / http/1.1\r\n" HOST "\r\n"), 400},
	    {"two digits", TEXT("GET / HTTP/1.10\r\n" HOST "\r\n"), 400},
	    {"01.1", TEXT("GET / HTTP/01.1\r\n" HOST "\r\n"), 400},
	    {"no minor", TEXT("GET / HTTP/1\r\n" HOST "\r\n"), 400},
	    {"comma", TEXT("GET / HTTP/1,1\r\n" HOST "\r\n"), 400},
	    {"letter", TEXT("GET / HTTP/1.x\r\n" HOST "\r\n"), 400},
	    {"other protocol", TEXT("GET / HTPP/1.1\r\n" HOST "\r\n"), 400},
	    {"slash missing", TEXT("GET / HTTP1.1\r\n" HOST "\r\n"), 400},
	};

	RUN(rows);
}

static void fields_are_strict(void)
{
	static const struct row rows[] = {
	    {"no space after colon", TEXT(LINE "Host:a\r\n\r\n"), 0},
	    {"spaces and tabs around", TEXT(LINE "Host: \t a\t \r\n\r\n"), 0},
	    {"empty value", TEXT(LINE HOST "X:\r\n\r\n"), 0},
	    {"tab within", TEXT(LINE HOST "X: a\tb\r\n\r\n"), 0},
	    {"obs-text", TEXT(LINE HOST "X: \x80\xff\r\n\r\n"), 0},
	    {"every tchar but _", TEXT(LINE HOST "!#$%&'*+-.^`|~09azAZ: a\r\n\r\n"), 0},
	    {"underscore", TEXT(LINE HOST "X_A: a\r\n\r\n"), 400},
	    {"space before colon", TEXT(LINE "Host : a\r\n\r\n"), 400},
	    {"tab before colon", TEXT(LINE "Host\t: a\r\n\r\n"), 400},
	    {"space in name", TEXT(LINE HOST "X A: a\r\n\r\n"), 400},
	    {"empty name", TEXT(LINE HOST ": a\r\n\r\n"), 400},
	    {"no colon", TEXT(LINE HOST "X\r\n\r\n"), 400},
	    {"NUL in name", TEXT(LINE HOST "X\0: a\r\n\r\n"), 400},
	    {"0x80 in name", TEXT(LINE HOST "X\x80: a\r\n\r\n"), 400},
	    {"obs-fold", TEXT(LINE HOST "X: a\r\n b\r\n\r\n"), 400},
	    {"obs-fold with tab", TEXT(LINE HOST "X: a\r\n\tb\r\n\r\n"), 400},
	    {"space before first field", TEXT(LINE " " HOST "\r\n"), 400},
	    {"space line at the end", TEXT(LINE HOST " \r\n\r\n"), 400},
	    {"NUL in value", TEXT(LINE HOST "X: a\0b\r\n\r\n"), 400},
	    {"DEL in value", TEXT(LINE HOST "X: abcdefghijk\x7f\r\n\r\n"), 400},
	    {"0x01 in value", TEXT(LINE HOST "X: abcdefghijk\x01\r\n\r\n"), 400},
	    {"VT in value",
	     TEXT(LINE HOST "X: \x0b"
	                    "a\r\n\r\n"),
	     400},
	    {"bare LF after value", TEXT(LINE HOST "X: a\n\r\n"), 400},
	    {"bare CR in value", TEXT(LINE HOST "X: a\rb\r\n\r\n"), 400},
	    {"two CR", TEXT(LINE HOST "X: a\r\r\n\r\n"), 400},
	    {"bare LF ends head", TEXT(LINE HOST "\n"), 400},
	    {"CR without LF ends head", TEXT(LINE HOST "\rx"), 400},
	};

	RUN(rows);
}

static void host_is_one_and_valid(void)
{
	static const struct row rows[] = {
	    {"missing in 1.1", TEXT(LINE "\r\n"), 400},
	    {"missing in 1.0", TEXT("GET / HTTP/1.0\r\n\r\n"), 0},
	    {"empty", TEXT(LINE "Host:\r\n\r\n"), 400},
	    {"empty in 1.0", TEXT("GET / HTTP/1.0\r\nHost: \r\n\r\n"), 400},
	    {"twice", TEXT(LINE HOST HOST "\r\n"), 400},
	    {"twice in other case", TEXT(LINE HOST "hOST: b\r\n\r\n"), 400},
	    {"port", TEXT(LINE "Host: a:8080\r\n\r\n"), 0},
	    {"IPv6", TEXT(LINE "Host: [::1]:80\r\n\r\n"), 0},
	    {"bad IPv6", TEXT(LINE "Host: [::1\r\n\r\n"), 400},
	    {"path", TEXT(LINE "Host: a/b\r\n\r\n"), 400},
	    {"userinfo", TEXT(LINE "Host: u@a\r\n\r\n"), 400},
	    {"space", TEXT(LINE "Host: a b\r\n\r\n"), 400},
	    {"port 0", TEXT(LINE "Host: a:0\r\n\r\n"), 400},
	    {"port 65536", TEXT(LINE "Host: a:65536\r\n\r\n"), 400},
	    {"no digits", TEXT(LINE "Host: a:b\r\n\r\n"), 400},
	    {"two authorizations",
	     TEXT(LINE HOST "Authorization: Bearer a\r\nauthorization: Bearer a\r\n\r\n"), 400},
	    {"one authorization", TEXT(LINE HOST "Authorization: Bearer a\r\n\r\n"), 0},
	};

	RUN(rows);
}

#define TE "Transfer-Encoding: "
#define CL "Content-Length: "
static void framing_is_never_repaired(void)
{
	static const struct row rows[] = {
	    {"length", TEXT(LINE HOST CL "3\r\n\r\nabc"), 0},
	    {"length 0", TEXT(LINE HOST CL "0\r\n\r\n"), 0},
	    {"leading zeros", TEXT(LINE HOST CL "0003\r\n\r\nabc"), 0},
	    {"2^63-1", TEXT(LINE HOST CL "9223372036854775807\r\n\r\n"), 0},
	    {"2^63", TEXT(LINE HOST CL "9223372036854775808\r\n\r\n"), 400},
	    {"2^64+1", TEXT(LINE HOST CL "18446744073709551617\r\n\r\n"), 400},
	    {"plus", TEXT(LINE HOST CL "+3\r\n\r\n"), 400},
	    {"minus", TEXT(LINE HOST CL "-3\r\n\r\n"), 400},
	    {"hex", TEXT(LINE HOST CL "0x3\r\n\r\n"), 400},
	    {"list", TEXT(LINE HOST CL "3, 3\r\n\r\n"), 400},
	    {"space within", TEXT(LINE HOST CL "3 3\r\n\r\n"), 400},
	    {"empty length", TEXT(LINE HOST CL "\r\n\r\n"), 400},
	    {"two equal lengths", TEXT(LINE HOST CL "3\r\n" CL "3\r\n\r\n"), 400},
	    {"both", TEXT(LINE HOST CL "3\r\n" TE "chunked\r\n\r\n"), 400},
	    {"both, other order", TEXT(LINE HOST TE "chunked\r\n" CL "3\r\n\r\n"), 400},
	    {"other coding and length", TEXT(LINE HOST TE "gzip\r\n" CL "3\r\n\r\n"), 400},
	    {"chunked", TEXT(LINE HOST TE "chunked\r\n\r\n0\r\n\r\n"), 0},
	    {"Chunked", TEXT(LINE HOST TE "ChUnKeD\r\n\r\n0\r\n\r\n"), 0},
	    {"chunked in 1.0", TEXT("GET / HTTP/1.0\r\n" TE "chunked\r\n\r\n"), 400},
	    {"two fields", TEXT(LINE HOST TE "chunked\r\n" TE "chunked\r\n\r\n"), 400},
	    {"gzip", TEXT(LINE HOST TE "gzip\r\n\r\n"), 501},
	    {"gzip, chunked", TEXT(LINE HOST TE "gzip, chunked\r\n\r\n"), 501},
	    {"identity", TEXT(LINE HOST TE "identity\r\n\r\n"), 501},
	    {"xchunked", TEXT(LINE HOST TE "xchunked\r\n\r\n"), 501},
	    {"twice in one", TEXT(LINE HOST TE "chunked, chunked\r\n\r\n"), 400},
	    {"parameter", TEXT(LINE HOST TE "chunked;q=1\r\n\r\n"), 400},
	    {"leading comma", TEXT(LINE HOST TE ", chunked\r\n\r\n"), 400},
	    {"trailing comma", TEXT(LINE HOST TE "chunked,\r\n\r\n"), 400},
	    {"quoted", TEXT(LINE HOST TE "\"chunked\"\r\n\r\n"), 400},
	    {"empty coding", TEXT(LINE HOST TE "\r\n\r\n"), 400},
	    {"space within", TEXT(LINE HOST TE "chun ked\r\n\r\n"), 400},
	    {"obs-text",
	     TEXT(LINE HOST TE "\xe2\x80\xaf"
	                       "chunked\r\n\r\n"),
	     400},
	};

	RUN(rows);
}

#define EX "Expect: "
static void expect_is_one_thing(void)
{
	static const struct row rows[] = {
	    {"100-continue", TEXT(LINE HOST EX "100-continue\r\n\r\n"), 0},
	    {"case", TEXT(LINE HOST EX "100-Continue\r\n\r\n"), 0},
	    {"on 1.0", TEXT("GET / HTTP/1.0\r\n" EX "100-continue\r\n\r\n"), 0},
	    {"other", TEXT(LINE HOST EX "200-ok\r\n\r\n"), 417},
	    {"list", TEXT(LINE HOST EX "100-continue, x\r\n\r\n"), 417},
	    {"empty", TEXT(LINE HOST EX "\r\n\r\n"), 417},
	    {"two", TEXT(LINE HOST EX "100-continue\r\n" EX "100-continue\r\n\r\n"), 417},
	    {"obfuscated", TEXT(LINE HOST EX "y 100-continue\r\n\r\n"), 417},
	};

	RUN(rows);
}

#define CO "Connection: "
static void connection_names_only_what_may_go(void)
{
	static const struct row rows[] = {
	    {"close", TEXT(LINE HOST CO "close\r\n\r\n"), 0},
	    {"others", TEXT(LINE HOST CO "keep-alive, X-Foo,, te\r\n\r\n"), 0},
	    {"empty", TEXT(LINE HOST CO "\r\n\r\n"), 0},
	    {"no token", TEXT(LINE HOST CO "a b\r\n\r\n"), 400},
	    {"quoted", TEXT(LINE HOST CO "\"close\"\r\n\r\n"), 400},
	    {"authorization", TEXT(LINE HOST CO "close, Authorization\r\n\r\n"), 400},
	    {"host", TEXT(LINE HOST CO "host\r\n\r\n"), 400},
	    {"content-length", TEXT(LINE HOST CO "content-length\r\n\r\n"), 400},
	    {"transfer-encoding", TEXT(LINE HOST CO "transfer-encoding\r\n\r\n"), 400},
	    {"cookie", TEXT(LINE HOST CO "cookie\r\n\r\n"), 400},
	    {"x-api-key", TEXT(LINE HOST CO "X-API-Key\r\n\r\n"), 400},
	    {"api-key", TEXT(LINE HOST CO "api-key\r\n\r\n"), 400},
	    {"in the second field", TEXT(LINE HOST CO "a\r\n" CO "cookie\r\n\r\n"), 400},
	    {"more than 32",
	     TEXT(LINE HOST CO "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a"
	                       "\r\n\r\n"),
	     400},
	};

	RUN(rows);
}

static struct feed fed(struct str s, bool response)
{
	struct feed f;

	feed_init(&f, response);
	feed_run(&f, s, NULL, 0);
	feed_deinit(&f);
	return f;
}

static void keep_alive_goes_by_version_and_close_wins(void)
{
	CU_ASSERT_TRUE(fed(STR(LINE HOST "\r\n"), false).keep_alive);
	CU_ASSERT_FALSE(fed(STR(LINE HOST CO "x, CLOSE\r\n\r\n"), false).keep_alive);
	CU_ASSERT_FALSE(fed(STR(LINE HOST CO "close, keep-alive\r\n\r\n"), false).keep_alive);
	CU_ASSERT_FALSE(
	    fed(STR(LINE HOST CO "keep-alive\r\n" CO "close\r\n\r\n"), false).keep_alive);
	CU_ASSERT_FALSE(fed(STR("GET / HTTP/1.0\r\n\r\n"), false).keep_alive);
	CU_ASSERT_TRUE(fed(STR("GET / HTTP/1.0\r\n" CO "Keep-Alive\r\n\r\n"), false).keep_alive);
	CU_ASSERT_FALSE(
	    fed(STR("GET / HTTP/1.0\r\n" CO "keep-alive,close\r\n\r\n"), false).keep_alive);
}

static void expect_continue_only_for_1_1(void)
{
	CU_ASSERT_TRUE(fed(STR(LINE HOST EX "100-continue\r\n\r\n"), false).expect_continue);
	CU_ASSERT_FALSE(
	    fed(STR("GET / HTTP/1.0\r\n" EX "100-continue\r\n\r\n"), false).expect_continue);
	CU_ASSERT_FALSE(fed(STR(LINE HOST "\r\n"), false).expect_continue);
}

static void framing_of_requests(void)
{
	CU_ASSERT_EQUAL(fed(STR(LINE HOST "\r\n"), false).framing, HTTP_NO_BODY);
	CU_ASSERT_EQUAL(fed(STR(LINE HOST TE "chunked\r\n\r\n"), false).framing, HTTP_CHUNKED);
	struct feed f = fed(STR(LINE HOST CL "0012\r\n\r\n"), false);
	CU_ASSERT_EQUAL(f.framing, HTTP_LENGTH);
	CU_ASSERT_EQUAL(f.length, 12);
}

/* The answer to head bytes with a ceiling: 0 accepted, -1 more. */
static int limited(struct str s, size_t max)
{
	struct feed f;

	feed_init(&f, false);
	f.max = max;
	feed_run(&f, s, NULL, 0);
	CU_ASSERT_TRUE(feed_splits_agree(&f, s));
	int r = f.result == HTTP_MORE ? -1 : f.status;
	feed_deinit(&f);
	return r;
}

static void too_long_is_414_in_the_target_and_431_after(void)
{
	struct str s = STR("GET /abcdefghij HTTP/1.1\r\nHost: a\r\n\r\n");

	CU_ASSERT_EQUAL(limited(s, s.n), 0);
	CU_ASSERT_EQUAL(limited(s, s.n + 1), 0);
	CU_ASSERT_EQUAL(limited(s, s.n - 1), 431);
	CU_ASSERT_EQUAL(limited(s, 10), 414);
	CU_ASSERT_EQUAL(limited(s, 20), 431);
	CU_ASSERT_EQUAL(limited((struct str){s.p, 9}, 10), -1);
}

static void fields_up_to_100(void)
{
	for (unsigned n = HTTP_FIELDS_MAX; n <= HTTP_FIELDS_MAX + 1; n++) {
		struct buf b;
		struct feed f;

		buf_init(&b, 65536);
		CU_ASSERT_EQUAL(buf_adds(&b, STR(LINE HOST)), 0);
		for (unsigned i = 1; i < n; i++)
			CU_ASSERT_EQUAL(buf_adds(&b, STR("a: b\r\n")), 0);
		CU_ASSERT_EQUAL(buf_adds(&b, STR("\r\n")), 0);
		feed_init(&f, false);
		feed_run(&f, buf_str(&b), NULL, 0);
		CU_ASSERT_EQUAL(f.status, n > HTTP_FIELDS_MAX ? 431 : 0);
		CU_ASSERT_TRUE(feed_splits_agree(&f, buf_str(&b)));
		feed_deinit(&f);
		buf_deinit(&b);
	}
}

/* Lengths around the sizes of narrow integers: a name or value must never be cut or wrapped. */
static void lengths_do_not_wrap(void)
{
	static const size_t sizes[] = {1,   7,   8,   9,     127,   128,   254,
	                               255, 256, 257, 65534, 65535, 65536, 65537};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (int in_name = 0; in_name < 2; in_name++) {
			size_t n = sizes[i];
			char *long_text = malloc(n);
			struct buf b;
			struct arena a;
			struct http_parser p;
			struct http_head h;

			memset(long_text, 'n', n);
			buf_init(&b, 200000);
			CU_ASSERT_EQUAL(buf_addf(&b, LINE HOST "%.*s: %.*s\r\n" CL "7\r\n\r\n",
			                         in_name ? (int)n : 1, long_text,
			                         in_name ? 1 : (int)n, long_text),
			                0);
			arena_init(&a, NULL);
			http_parser_init(&p, false, 200000);
			CU_ASSERT_EQUAL_FATAL(http_parse(&p, b.p, b.n, &a, &h), HTTP_DONE);
			CU_ASSERT_EQUAL(h.nfields, 3);
			CU_ASSERT_EQUAL(h.fields[1].name.n, in_name ? n : 1);
			CU_ASSERT_EQUAL(h.fields[1].value.n, in_name ? 1 : n);
			CU_ASSERT_EQUAL(h.length, 7);
			CU_ASSERT_EQUAL(h.size, b.n);
			arena_deinit(&a);
			buf_deinit(&b);
			free(long_text);
		}
	}
}

static void head_is_filled(void)
{
	struct str s =
	    STR("\r\nPUT /a?b HTTP/1.1\r\nHost:  a \t\r\nX-Real-IP: 1\r\nforwarded: x\r\n\r\nrest");
	struct arena a;
	struct http_parser p;
	struct http_head h;

	arena_init(&a, NULL);
	http_parser_init(&p, false, 4096);
	CU_ASSERT_EQUAL_FATAL(http_parse(&p, s.p, s.n, &a, &h), HTTP_DONE);
	CU_ASSERT_EQUAL(h.size, s.n - 4);
	CU_ASSERT_EQUAL(h.method, HTTP_PUT);
	CU_ASSERT_EQUAL(h.minor, 1);
	CU_ASSERT_FALSE(h.response);
	CU_ASSERT_TRUE(str_eq(h.method_text, STR("PUT")));
	CU_ASSERT_TRUE(str_eq(h.target, STR("/a?b")));
	CU_ASSERT_TRUE(str_eq(http_first(&h, HTTP_F_HOST)->value, STR("a")));
	CU_ASSERT_PTR_EQUAL(http_first(&h, HTTP_F_X_FORWARDED), &h.fields[1]);
	CU_ASSERT_PTR_EQUAL(http_first(&h, HTTP_F_FORWARDED), &h.fields[2]);
	CU_ASSERT_PTR_NULL(http_first(&h, HTTP_F_CONTENT_LENGTH));
	arena_deinit(&a);
}

static void refusal_stays(void)
{
	struct arena a;
	struct http_parser p;
	struct http_head h;

	arena_init(&a, NULL);
	http_parser_init(&p, false, 4096);
	CU_ASSERT_EQUAL(http_parse(&p, "G T", 3, &a, &h), HTTP_MORE);
	CU_ASSERT_EQUAL(http_parse(&p, "G T\n", 4, &a, &h), HTTP_BAD);
	CU_ASSERT_EQUAL(http_parse(&p, "G T\n HTTP/1.1\r\n\r\n", 17, &a, &h), HTTP_BAD);
	CU_ASSERT_EQUAL(p.status, 400);
	arena_deinit(&a);
}

UNIT_MAIN("http_parse", UNIT(request_line_is_exact), UNIT(version_is_one_of_two),
          UNIT(fields_are_strict), UNIT(host_is_one_and_valid), UNIT(framing_is_never_repaired),
          UNIT(expect_is_one_thing), UNIT(connection_names_only_what_may_go),
          UNIT(keep_alive_goes_by_version_and_close_wins), UNIT(expect_continue_only_for_1_1),
          UNIT(framing_of_requests), UNIT(too_long_is_414_in_the_target_and_431_after),
          UNIT(fields_up_to_100), UNIT(lengths_do_not_wrap), UNIT(head_is_filled),
          UNIT(refusal_stays))
