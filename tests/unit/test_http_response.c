/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The rules for heads of responses, one table row a rule; each row is also fed cut at every byte.
 */
#include "http_feed.h"

#include "unit.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define TE "Transfer-Encoding: "
#define CL "Content-Length: "
#define TEXT(lit)                                                                                  \
	{                                                                                          \
		lit, sizeof(lit) - 1                                                               \
	}

enum { GET, HEAD };
enum { BAD = -1 };

struct row {
	const char *rule;
	struct {
		const char *p;
		size_t n;
	} bytes;
	int method;
	int framing; /* enum http_framing; BAD: refused with 502 */
	bool keep_alive;
};

static void run_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct str s = {rows[i].bytes.p, rows[i].bytes.n};
		struct feed f;

		feed_init(&f, true);
		f.head_request = rows[i].method == HEAD;
		feed_run(&f, s, NULL, 0);
		int got = f.result == HTTP_BAD ? BAD : (int)f.framing;
		CU_ASSERT_NOT_EQUAL(f.result, HTTP_MORE);
		if (got != rows[i].framing)
			fprintf(stderr, "%s: %d, not %d\n", rows[i].rule, got, rows[i].framing);
		CU_ASSERT_EQUAL(got, rows[i].framing);
		CU_ASSERT_EQUAL(f.keep_alive, rows[i].keep_alive);
		if (f.result == HTTP_BAD)
			CU_ASSERT_EQUAL(f.status, 502);
		CU_ASSERT_TRUE(feed_splits_agree(&f, s));
		feed_deinit(&f);
	}
}
#define RUN(rows) run_rows(rows, sizeof(rows) / sizeof(rows[0]))

static void status_line_is_exact(void)
{
	static const struct row rows[] = {
	    {"plain", TEXT(OK CL "2\r\n\r\nab"), GET, HTTP_LENGTH, true},
	    {"no reason", TEXT("HTTP/1.1 200\r\n" CL "0\r\n\r\n"), GET, HTTP_LENGTH, true},
	    {"empty reason", TEXT("HTTP/1.1 200 \r\n" CL "0\r\n\r\n"), GET, HTTP_LENGTH, true},
	    {"odd reason", TEXT("HTTP/1.1 200 A\t\x80!\r\n" CL "0\r\n\r\n"), GET, HTTP_LENGTH,
	     true},
	    {"599", TEXT("HTTP/1.1 599 X\r\n" CL "0\r\n\r\n"), GET, HTTP_LENGTH, true},
	    {"600", TEXT("HTTP/1.1 600 X\r\n" CL "0\r\n\r\n"), GET, BAD, false},
	    {"099", TEXT("HTTP/1.1 099 X\r\n" CL "0\r\n\r\n"), GET, BAD, false},
	    {"two digits", TEXT("HTTP/1.1 20 X\r\n\r\n"), GET, BAD, false},
	    {"four digits", TEXT("HTTP/1.1 2000 X\r\n\r\n"), GET, BAD, false},
	    {"no status", TEXT("HTTP/1.1\r\n\r\n"), GET, BAD, false},
	    {"two spaces", TEXT("HTTP/1.1  200 OK\r\n\r\n"), GET, BAD, false},
	    {"plus", TEXT("HTTP/1.1 +20 OK\r\n\r\n"), GET, BAD, false},
	    {"HTTP/2.0", TEXT("HTTP/2.0 200 OK\r\n\r\n"), GET, BAD, false},
	    {"no HTTP", TEXT("ICY 200 OK\r\n\r\n"), GET, BAD, false},
	    {"empty line before", TEXT("\r\n" OK "\r\n"), GET, BAD, false},
	    {"bare LF", TEXT("HTTP/1.1 200 OK\n\r\n"), GET, BAD, false},
	    {"bare CR", TEXT("HTTP/1.1 200 OK\rX\r\n\r\n"), GET, BAD, false},
	    {"NUL in reason", TEXT("HTTP/1.1 200 O\0K\r\n\r\n"), GET, BAD, false},
	};

	RUN(rows);
}

static void fields_are_as_strict_but_for_underscore(void)
{
	static const struct row rows[] = {
	    {"underscore", TEXT(OK "x_y: 1\r\n\r\n"), GET, HTTP_UNTIL_CLOSE, false},
	    {"obs-fold", TEXT(OK "X: a\r\n b\r\n\r\n"), GET, BAD, false},
	    {"space before colon", TEXT(OK "X : a\r\n\r\n"), GET, BAD, false},
	    {"empty name", TEXT(OK ": a\r\n\r\n"), GET, BAD, false},
	    {"bare LF", TEXT(OK "X: a\n\r\n"), GET, BAD, false},
	    {"NUL", TEXT(OK "X: a\0\r\n\r\n"), GET, BAD, false},
	    {"Connection no token", TEXT(OK "Connection: a b\r\n\r\n"), GET, BAD, false},
	    {"Connection names framing",
	     TEXT(OK "Connection: Transfer-Encoding\r\n" TE "chunked\r\n\r\n"), GET, HTTP_CHUNKED,
	     true},
	};

	RUN(rows);
}

static void framing_is_never_repaired(void)
{
	static const struct row rows[] = {
	    {"both", TEXT(OK CL "2\r\n" TE "chunked\r\n\r\n"), GET, BAD, false},
	    {"two equal lengths", TEXT(OK CL "2\r\n" CL "2\r\n\r\n"), GET, BAD, false},
	    {"length list", TEXT(OK CL "2, 2\r\n\r\n"), GET, BAD, false},
	    {"gzip", TEXT(OK TE "gzip\r\n\r\n"), GET, BAD, false},
	    {"gzip, chunked", TEXT(OK TE "gzip, chunked\r\n\r\n"), GET, BAD, false},
	    {"chunked in 1.0", TEXT("HTTP/1.0 200 OK\r\n" TE "chunked\r\n\r\n"), GET, BAD, false},
	    {"both on HEAD", TEXT(OK CL "2\r\n" TE "chunked\r\n\r\n"), HEAD, BAD, false},
	    {"both on 304", TEXT("HTTP/1.1 304 X\r\n" CL "2\r\n" TE "chunked\r\n\r\n"), GET, BAD,
	     false},
	    {"204 with length", TEXT("HTTP/1.1 204 X\r\n" CL "2\r\n\r\n"), GET, BAD, false},
	    {"204 with chunks", TEXT("HTTP/1.1 204 X\r\n" TE "chunked\r\n\r\n"), GET, BAD, false},
	    {"100 with length", TEXT("HTTP/1.1 100 X\r\n" CL "2\r\n\r\n"), GET, BAD, false},
	};

	RUN(rows);
}

static void framing_goes_by_status_and_method(void)
{
	static const struct row rows[] = {
	    {"chunked", TEXT(OK TE "chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"), GET, HTTP_CHUNKED, true},
	    {"until close", TEXT(OK "\r\nabc"), GET, HTTP_UNTIL_CLOSE, false},
	    {"until close wins over keep-alive", TEXT(OK "Connection: keep-alive\r\n\r\nabc"), GET,
	     HTTP_UNTIL_CLOSE, false},
	    {"HEAD with length", TEXT(OK CL "2\r\n\r\n"), HEAD, HTTP_NO_BODY, true},
	    {"HEAD with chunked", TEXT(OK TE "chunked\r\n\r\n"), HEAD, HTTP_NO_BODY, true},
	    {"HEAD with nothing", TEXT(OK "\r\n"), HEAD, HTTP_NO_BODY, true},
	    {"304 with length", TEXT("HTTP/1.1 304 X\r\n" CL "2\r\n\r\n"), GET, HTTP_NO_BODY, true},
	    {"204", TEXT("HTTP/1.1 204 X\r\n\r\n"), GET, HTTP_NO_BODY, true},
	    {"204 with length 0", TEXT("HTTP/1.1 204 X\r\n" CL "0\r\n\r\n"), GET, HTTP_NO_BODY,
	     true},
	    {"100", TEXT("HTTP/1.1 100 Continue\r\n\r\n" OK), GET, HTTP_NO_BODY, true},
	    {"101", TEXT("HTTP/1.1 101 X\r\nUpgrade: h2c\r\n\r\n"), GET, HTTP_NO_BODY, true},
	    {"1.0", TEXT("HTTP/1.0 200 OK\r\n" CL "0\r\n\r\n"), GET, HTTP_LENGTH, false},
	    {"1.0 kept", TEXT("HTTP/1.0 200 OK\r\n" CL "0\r\nConnection: keep-alive\r\n\r\n"), GET,
	     HTTP_LENGTH, true},
	    {"closed", TEXT(OK CL "0\r\nConnection: close\r\n\r\n"), GET, HTTP_LENGTH, false},
	};

	RUN(rows);
}

static void too_long_is_502(void)
{
	struct str s = STR(OK "X: abcdefgh\r\n\r\n");
	struct feed f;

	feed_init(&f, true);
	f.max = 20;
	feed_run(&f, s, NULL, 0);
	CU_ASSERT_EQUAL(f.result, HTTP_BAD);
	CU_ASSERT_EQUAL(f.status, 502);
	feed_deinit(&f);
}

static void length_stays_known_without_body(void)
{
	struct feed f;

	feed_init(&f, true);
	f.head_request = true;
	feed_run(&f, STR(OK CL "42\r\n\r\n"), NULL, 0);
	CU_ASSERT_EQUAL(f.length, 42);
	CU_ASSERT_EQUAL(f.body, HTTP_BODY_DONE);
	feed_deinit(&f);
}

UNIT_MAIN("http_response", UNIT(status_line_is_exact),
          UNIT(fields_are_as_strict_but_for_underscore), UNIT(framing_is_never_repaired),
          UNIT(framing_goes_by_status_and_method), UNIT(too_long_is_502),
          UNIT(length_stays_known_without_body))
