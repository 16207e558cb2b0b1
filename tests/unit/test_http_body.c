/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The body decoder: every rule of chunked framing, cut at every byte, and the bounds on what
 * framing may cost.
 */
#include "base/buf.h"
#include "http/body.h"

#include "unit.h"

struct outcome {
	enum http_body_result result;
	size_t used;
	struct buf data;
};

static void decode(struct outcome *o, struct http_body *b, struct str s)
{
	o->result = HTTP_BODY_MORE;
	while (o->result == HTTP_BODY_MORE || o->result == HTTP_BODY_DATA) {
		struct str data;
		size_t used;

		o->result = http_body_next(b, s.p, s.n, &used, &data);
		CU_ASSERT_FATAL(used <= s.n && buf_adds(&o->data, data) == 0);
		s.p += used;
		s.n -= used;
		o->used += used;
		if (o->result == HTTP_BODY_MORE)
			break;
	}
}

static struct outcome run(struct str s, enum http_framing framing, uint64_t length, size_t piece)
{
	struct outcome o = {0};
	struct http_body b;

	buf_init(&o.data, 1 << 26);
	http_body_init(&b, framing, length);
	for (size_t at = 0; at < s.n; at += piece) {
		size_t n = s.n - at < piece ? s.n - at : piece;

		decode(&o, &b, (struct str){s.p + at, n});
		if (o.result == HTTP_BODY_BAD || o.result == HTTP_BODY_DONE)
			break;
	}
	if (o.result == HTTP_BODY_BAD)
		CU_ASSERT_PTR_NOT_NULL(b.reason);
	CU_ASSERT_EQUAL(http_body_done(&b), o.result == HTTP_BODY_DONE);
	return o;
}

struct row {
	const char *rule;
	const char *bytes;
	enum http_body_result result;
	const char *data;
	size_t rest; /* bytes behind the message */
};

#define MORE HTTP_BODY_MORE
#define DONE HTTP_BODY_DONE
#define BAD HTTP_BODY_BAD

static void run_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct str s = str_of(rows[i].bytes);

		/* In one piece, in pieces of every size, down to single bytes. */
		for (size_t piece = s.n; piece > 0; piece--) {
			struct outcome o = run(s, HTTP_CHUNKED, 0, piece);

			if (o.result != rows[i].result)
				fprintf(stderr, "%s: %d, not %d (pieces of %zu)\n", rows[i].rule,
				        (int)o.result, (int)rows[i].result, piece);
			CU_ASSERT_EQUAL(o.result, rows[i].result);
			CU_ASSERT_TRUE(str_eq(buf_str(&o.data), str_of(rows[i].data)));
			if (o.result == DONE)
				CU_ASSERT_EQUAL(s.n - o.used, rows[i].rest);
			buf_deinit(&o.data);
		}
	}
}
#define RUN(rows) run_rows(rows, sizeof(rows) / sizeof(rows[0]))

static void chunk_size_is_hex_alone(void)
{
	static const struct row rows[] = {
	    {"plain", "3\r\nabc\r\n0\r\n\r\n", DONE, "abc", 0},
	    {"two", "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\nGET", DONE, "abc0123456789", 3},
	    {"lower case", "a\r\n0123456789\r\n0\r\n\r\n", DONE, "0123456789", 0},
	    {"leading zeros", "0000000000000003\r\nabc\r\n0\r\n\r\n", DONE, "abc", 0},
	    {"many zeros end", "0000000000000000\r\n\r\n", DONE, "", 0},
	    {"17 digits", "00000000000000003\r\nabc", BAD, "", 0},
	    {"over 2^63-1", "8000000000000000\r\nabc", BAD, "", 0},
	    {"2^63-1", "7fffffffffffffff\r\nabc", MORE, "abc", 0},
	    {"plus", "+3\r\nabc\r\n", BAD, "", 0},
	    {"minus", "-3\r\nabc\r\n", BAD, "", 0},
	    {"0x", "0x3\r\nabc\r\n", BAD, "", 0},
	    {"space before", " 3\r\nabc\r\n", BAD, "", 0},
	    {"space after", "3 \r\nabc\r\n", BAD, "", 0},
	    {"tab after", "3\t\r\nabc\r\n", BAD, "", 0},
	    {"empty", "\r\nabc\r\n", BAD, "", 0},
	    {"letter g", "g\r\n", BAD, "", 0},
	    {"underscore", "1_0\r\n", BAD, "", 0},
	    {"only extension", ";a\r\nabc\r\n", BAD, "", 0},
	};

	RUN(rows);
}

static void lines_end_in_crlf_only(void)
{
	static const struct row rows[] = {
	    {"LF after size", "3\nabc\r\n0\r\n\r\n", BAD, "", 0},
	    {"CR after size", "3\rabc\r\n0\r\n\r\n", BAD, "", 0},
	    {"two CR", "3\r\r\nabc\r\n0\r\n\r\n", BAD, "", 0},
	    {"LF after data", "3\r\nabc\n0\r\n\r\n", BAD, "abc", 0},
	    {"CR after data", "3\r\nabc\r0\r\n\r\n", BAD, "abc", 0},
	    {"data too long", "3\r\nabcd\r\n0\r\n\r\n", BAD, "abc", 0},
	    {"data too short", "3\r\nab\r\n0\r\n\r\n", BAD, "ab\r", 0},
	    {"LF ends", "0\r\n\n", BAD, "", 0},
	    {"LF after last size", "0\n\r\n", BAD, "", 0},
	    {"end without LF", "0\r\n\r", MORE, "", 0},
	    {"other after last CR", "0\r\n\rX", BAD, "", 0},
	};

	RUN(rows);
}

static void extensions_are_checked_and_dropped(void)
{
	static const struct row rows[] = {
	    {"name", "3;a\r\nabc\r\n0\r\n\r\n", DONE, "abc", 0},
	    {"empty", "3;\r\nabc\r\n0\r\n\r\n", DONE, "abc", 0},
	    {"value", "3;a=b;c\r\nabc\r\n0;d=e\r\n\r\n", DONE, "abc", 0},
	    {"quoted", "3;a=\"b;\\\" c\"\r\nabc\r\n0\r\n\r\n", DONE, "abc", 0},
	    {"obs-text and tab", "3;a=\t\x80\r\nabc\r\n0\r\n\r\n", DONE, "abc", 0},
	    {"space before", "3 ;a\r\nabc\r\n0\r\n\r\n", BAD, "", 0},
	    {"quote open", "3;a=\"b\r\nabc\r\n0\r\n\r\n", BAD, "", 0},
	    {"quote open by escape", "3;a=\"b\\\"\r\nabc\r\n0\r\n\r\n", BAD, "", 0},
	    {"bare LF", "3;a\nabc\r\n0\r\n\r\n", BAD, "", 0},
	    {"bare CR", "3;a\rb\r\nabc\r\n0\r\n\r\n", BAD, "", 0},
	    {"control", "3;a\x01\r\nabc\r\n0\r\n\r\n", BAD, "", 0},
	    {"DEL", "3;a\x7f\r\nabc\r\n0\r\n\r\n", BAD, "", 0},
	};

	RUN(rows);
}

static void trailers_are_checked_and_dropped(void)
{
	static const struct row rows[] = {
	    {"one", "0\r\nX-A: b\r\n\r\n", DONE, "", 0},
	    {"two", "0\r\nX-A: b\r\nC:\r\n\r\nG", DONE, "", 1},
	    {"forbidden name", "0\r\nContent-Length: 5\r\n\r\n", DONE, "", 0},
	    {"obs-fold", "0\r\nX: b\r\n c\r\n\r\n", BAD, "", 0},
	    {"space before colon", "0\r\nX : b\r\n\r\n", BAD, "", 0},
	    {"underscore", "0\r\nX_A: b\r\n\r\n", BAD, "", 0},
	    {"empty name", "0\r\n: b\r\n\r\n", BAD, "", 0},
	    {"no colon", "0\r\nX\r\n\r\n", BAD, "", 0},
	    {"bare LF", "0\r\nX: b\n\r\n", BAD, "", 0},
	    {"bare CR", "0\r\nX: b\rc\r\n\r\n", BAD, "", 0},
	    {"control", "0\r\nX: \x01\r\n\r\n", BAD, "", 0},
	};

	RUN(rows);
}

static void trailers_of_responses_have_the_names_of_responses(void)
{
	const struct str s = STR("0\r\nX_Y: z\r\n\r\n");

	for (unsigned response = 0; response < 2; response++) {
		struct http_body b;
		struct str data;
		size_t used;

		http_body_init(&b, HTTP_CHUNKED, 0);
		b.response = response;
		CU_ASSERT_EQUAL(http_body_next(&b, s.p, s.n, &used, &data),
		                response ? HTTP_BODY_DONE : HTTP_BODY_BAD);
	}
}

static void trailer_section_is_bounded(void)
{
	for (size_t total = 8192; total <= 8193; total++) {
		struct buf b;
		struct outcome o;

		buf_init(&b, 20000);
		CU_ASSERT_EQUAL(buf_adds(&b, STR("0\r\nX:")), 0);
		while (b.n < 3 + total - 4)
			CU_ASSERT_EQUAL(buf_adds(&b, STR("a")), 0);
		CU_ASSERT_EQUAL(buf_adds(&b, STR("\r\n\r\n")), 0);
		o = run(buf_str(&b), HTTP_CHUNKED, 0, 100);
		CU_ASSERT_EQUAL(o.result, total > 8192 ? BAD : DONE);
		buf_deinit(&o.data);
		buf_deinit(&b);
	}
}

/* A million chunks of one byte; answers how many were taken before the cut-off. */
static size_t chunks_taken(struct str chunk)
{
	struct http_body b;
	size_t n;

	http_body_init(&b, HTTP_CHUNKED, 0);
	for (n = 0; n < 1000000; n++) {
		struct outcome o = {0};

		buf_init(&o.data, 16);
		decode(&o, &b, chunk);
		buf_deinit(&o.data);
		if (o.result == BAD)
			break;
	}
	return n;
}

static void one_byte_chunks_with_long_marks_are_cut_off(void)
{
	/* 20 framing bytes a chunk: over 16 n + 4096 in chunk 1025, whose head brings 18 before its
	 * byte. */
	size_t n = chunks_taken(STR("0000000000000001\r\nx\r\n"));
	CU_ASSERT(n >= 1019 && n <= 1025);
	CU_ASSERT(chunks_taken(STR("1;"
	                           "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\nx\r\n")) < 200);
	/* Tokens of a stream, five bytes each, are no attack. */
	CU_ASSERT_EQUAL(chunks_taken(STR("1\r\nx\r\n")), 1000000);
}

static void one_endless_extension_is_cut_off(void)
{
	struct http_body b;
	struct outcome o = {0};
	size_t n = 0;

	buf_init(&o.data, 16);
	http_body_init(&b, HTTP_CHUNKED, 0);
	decode(&o, &b, STR("1;"));
	while (o.result == MORE && n < 1000000) {
		decode(&o, &b, STR("a"));
		n++;
	}
	CU_ASSERT_EQUAL(o.result, BAD);
	CU_ASSERT_EQUAL(n, 4096 + 1 - 2);
	buf_deinit(&o.data);
}

static void length_ends_where_it_says(void)
{
	for (size_t piece = 1; piece < 8; piece++) {
		struct outcome o = run(STR("abcdeGET"), HTTP_LENGTH, 5, piece);

		CU_ASSERT_TRUE(str_eq(buf_str(&o.data), STR("abcde")));
		CU_ASSERT_EQUAL(o.result, DONE);
		CU_ASSERT_EQUAL(o.used, 5);
		buf_deinit(&o.data);
	}
}

static void no_body_is_done_at_once(void)
{
	static const enum http_framing framings[] = {HTTP_NO_BODY, HTTP_LENGTH};

	for (int i = 0; i < 2; i++) {
		struct http_body b;
		struct str data;
		size_t used = 99;

		http_body_init(&b, framings[i], 0);
		CU_ASSERT_TRUE(http_body_done(&b));
		CU_ASSERT_EQUAL(http_body_next(&b, "GET", 3, &used, &data), DONE);
		CU_ASSERT_EQUAL(used, 0);
		CU_ASSERT_EQUAL(http_body_next(&b, NULL, 0, &used, &data), DONE);
	}
}

static void close_ends_well_only_where_it_may(void)
{
	struct http_body b;
	struct outcome o = {0};

	buf_init(&o.data, 64);
	http_body_init(&b, HTTP_UNTIL_CLOSE, 0);
	decode(&o, &b, STR("abc"));
	CU_ASSERT_EQUAL(o.result, MORE);
	CU_ASSERT_FALSE(http_body_done(&b));
	CU_ASSERT_TRUE(http_body_eof(&b));
	CU_ASSERT_TRUE(http_body_done(&b));
	http_body_init(&b, HTTP_LENGTH, 4);
	decode(&o, &b, STR("abc"));
	CU_ASSERT_FALSE(http_body_eof(&b));
	decode(&o, &b, STR("d"));
	CU_ASSERT_TRUE(http_body_eof(&b));
	http_body_init(&b, HTTP_CHUNKED, 0);
	decode(&o, &b, STR("1\r\na\r\n0\r\n"));
	CU_ASSERT_FALSE(http_body_eof(&b));
	decode(&o, &b, STR("\r\n"));
	CU_ASSERT_TRUE(http_body_eof(&b));
	buf_deinit(&o.data);
}

static void refusal_stays(void)
{
	struct http_body b;
	struct outcome o = {0};

	buf_init(&o.data, 64);
	http_body_init(&b, HTTP_CHUNKED, 0);
	decode(&o, &b, STR("x"));
	CU_ASSERT_EQUAL(o.result, BAD);
	decode(&o, &b, STR("0\r\n\r\n"));
	CU_ASSERT_EQUAL(o.result, BAD);
	CU_ASSERT_FALSE(http_body_eof(&b));
	buf_deinit(&o.data);
}

static void chunk_heads_are_hex(void)
{
	static const size_t sizes[] = {1, 15, 16, 255, 4096, 65535, SIZE_MAX};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char want[32];
		char out[HTTP_CHUNK_HEAD_MAX];
		size_t n = http_chunk_head(sizes[i], out);

		snprintf(want, sizeof(want), "%zx\r\n", sizes[i]);
		CU_ASSERT_TRUE(str_eq((struct str){out, n}, str_of(want)));
	}
}

UNIT_MAIN("http_body", UNIT(chunk_size_is_hex_alone), UNIT(lines_end_in_crlf_only),
          UNIT(extensions_are_checked_and_dropped), UNIT(trailers_are_checked_and_dropped),
          UNIT(trailer_section_is_bounded), UNIT(trailers_of_responses_have_the_names_of_responses),
          UNIT(one_byte_chunks_with_long_marks_are_cut_off), UNIT(one_endless_extension_is_cut_off),
          UNIT(length_ends_where_it_says), UNIT(no_body_is_done_at_once),
          UNIT(close_ends_well_only_where_it_may), UNIT(refusal_stays), UNIT(chunk_heads_are_hex))
