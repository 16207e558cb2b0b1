/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The event stream splitter against the rules of the WHATWG specification, cut at every byte.
 */
#include "http/sse.h"

#include "unit.h"

static void on_event(void *arg, struct str data)
{
	struct buf *b = arg;

	CU_ASSERT_EQUAL(buf_addf(b, "<%.*s>", (int)data.n, data.p ? data.p : ""), 0);
}

static bool events_are(struct str s, size_t cut, size_t piece, size_t max, const char *want)
{
	struct sse sse;
	struct buf got;

	buf_init(&got, 1 << 20);
	sse_init(&sse, max);
	sse_feed(&sse, s.p, cut, on_event, &got);
	for (size_t at = cut; at < s.n; at += piece)
		sse_feed(&sse, s.p + at, s.n - at < piece ? s.n - at : piece, on_event, &got);
	bool same = str_eq(buf_str(&got), str_of(want));
	if (!same)
		fprintf(stderr, "%.*s: %.*s, not %s (cut at %zu)\n", STR_FMT(s),
		        STR_FMT(buf_str(&got)), want, cut);
	sse_deinit(&sse);
	buf_deinit(&got);
	return same;
}

static void check(const char *stream, const char *want)
{
	struct str s = str_of(stream);

	for (size_t cut = 0; cut <= s.n; cut++)
		CU_ASSERT_TRUE(events_are(s, cut, s.n, 4096, want));
	CU_ASSERT_TRUE(events_are(s, 0, 1, 4096, want));
}

static void events_end_at_empty_lines(void)
{
	check("data: a\n\n", "<a>");
	check("data: a\n\ndata: b\n\n", "<a><b>");
	check("data: a\n", "");
	check("data: a", "");
	check("\n\n\n", "");
	check("", "");
}

static void lines_end_in_any_of_three(void)
{
	check("data: a\r\n\r\ndata: b\r\n\r\n", "<a><b>");
	check("data: a\r\ndata: b\r\nid: 1\r\n\r\n", "<a\nb>");
	check("data: a\r\rdata: b\r\r", "<a><b>");
	check("data: a\r\n\ndata: b\n\r\n", "<a><b>");
	check("data: a\n\r", "<a>");
	check("data: a\rdata: b\r\n\r", "<a\nb>");
}

static void empty_line_by_cr_does_not_wait(void)
{
	CU_ASSERT_TRUE(events_are(STR("data: a\r\n\r"), 0, 1, 100, "<a>"));
}

static void lines_of_data_are_joined(void)
{
	check("data: a\ndata: b\n\n", "<a\nb>");
	check("data: a\ndata:\ndata: b\n\n", "<a\n\nb>");
	check("data:\n\n", "<>");
	check("data\n\n", "<>");
	check("data\ndata\n\n", "<\n>");
}

static void one_space_behind_the_colon_is_dropped(void)
{
	check("data:a\n\n", "<a>");
	check("data:  a\n\n", "< a>");
	check("data: \n\n", "<>");
	check("data:\ta\n\n", "<\ta>");
	check("data:a:b: c\n\n", "<a:b: c>");
}

static void other_fields_and_comments_are_stepped_over(void)
{
	check(": ping\n\n", "");
	check("event: x\nid: 1\nretry: 5\ndata: a\n\n", "<a>");
	check("event: x\n\n", "");
	check("dat: a\ndatas: b\n data: c\nData: d\nd\n\n", "");
	check("data : a\n\n", "");
	check("data: a\n: data: b\n\n", "<a>");
}

static void byte_order_mark_only_at_the_start(void)
{
	check("\xef\xbb\xbf"
	      "data: a\n\n",
	      "<a>");
	check("\xef\xbb\xbf\n\ndata: a\n\n", "<a>");
	check("\xef\xbb"
	      "data: a\n\n",
	      "");
	check("\xef\xbb\ndata: a\n\n", "<a>");
	check("data: a\n\n\xef\xbb\xbf"
	      "data: b\n\n",
	      "<a>");
	check("\xef\xbb\xbf\xef\xbb\xbf"
	      "data: a\n\n",
	      "");
}

/* Longer than the vectors that look for a line's end, at every place of them. */
static void long_lines_end_wherever_they_do(void)
{
	static const char *const ends[] = {"\n", "\r", "\r\n"};

	for (unsigned k = 0; k < 3; k++) {
		for (unsigned n = 1; n < 70; n++) {
			char text[200], expected[100];

			snprintf(text, sizeof(text), "data: %0*d%s%s", (int)n, 0, ends[k], ends[k]);
			snprintf(expected, sizeof(expected), "<%0*d>", (int)n, 0);
			check(text, expected);
		}
	}
}

static void events_over_the_ceiling_are_skipped_whole(void)
{
	struct str s =
	    STR("data: 12345678\n\ndata: 123456789\n\ndata: 1234\ndata: 1234\ndata: 1\n\n"
	        "data: ok\n\n");

	for (size_t cut = 0; cut <= s.n; cut++)
		CU_ASSERT_TRUE(events_are(s, cut, s.n, 8, "<12345678><ok>"));
	CU_ASSERT_TRUE(events_are(s, 0, 1, 8, "<12345678><ok>"));
}

UNIT_MAIN("http_sse", UNIT(events_end_at_empty_lines), UNIT(lines_end_in_any_of_three),
          UNIT(empty_line_by_cr_does_not_wait), UNIT(lines_of_data_are_joined),
          UNIT(one_space_behind_the_colon_is_dropped),
          UNIT(other_fields_and_comments_are_stepped_over), UNIT(byte_order_mark_only_at_the_start),
          UNIT(long_lines_end_wherever_they_do), UNIT(events_over_the_ceiling_are_skipped_whole))
