/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Slices and what is read out of text: each form that is accepted, and beside it the nearest forms
 * that are not.
 */
#include "base/mem.h"
#include "base/str.h"

#include "unit.h"

static void case_is_folded_for_ascii_only(void)
{
	CU_ASSERT(str_ieq(STR("X-Request-ID"), STR("x-request-id")));
	CU_ASSERT(!str_ieq(STR("a@"), STR("a`")));
	CU_ASSERT(!str_ieq(STR("\xc4"), STR("\xe4")));
	CU_ASSERT(!str_ieq(STR("ab"), STR("abc")));
	CU_ASSERT(str_ieq(STR_NONE, STR("")));
}

/* Whatever the length and the place. */
static void one_byte_that_differs_is_seen(void)
{
	char x[40], y[40];
	bool ok = true;

	for (unsigned n = 1; n < sizeof(x); n++) {
		const struct str a = {x, n}, b = {y, n};
		for (unsigned i = 0; i < n * 256; i++) {
			unsigned at = i / 256, c = i % 256;
			bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
			memset(x, 'Q', n);
			memset(y, 'q', n);
			x[at] = (char)c;
			y[at] = (char)(c ^ 0x20);
			ok &= str_ieq(a, b) == letter;
			y[at] = (char)c;
			ok &= str_ieq(a, b);
			y[at] = (char)(c ^ 0x80);
			ok &= !str_ieq(a, b);
		}
	}
	CU_ASSERT(ok);
}

static void prefixes_and_suffixes(void)
{
	CU_ASSERT(str_starts(STR("/v1/models"), STR("/v1/")));
	CU_ASSERT(!str_starts(STR("/v"), STR("/v1/")));
	CU_ASSERT(str_starts(STR("x"), STR("")));
	CU_ASSERT(str_ends(STR("a.jsonl"), STR(".jsonl")));
	CU_ASSERT(!str_ends(STR("l"), STR(".jsonl")));
	CU_ASSERT(str_ends(STR_NONE, STR("")));
}

static void trim_takes_spaces_and_tabs_only(void)
{
	CU_ASSERT(str_eq(str_trim(STR(" \t a b\t ")), STR("a b")));
	CU_ASSERT(str_eq(str_trim(STR("\na\r")), STR("\na\r")));
	CU_ASSERT(str_trim(STR(" \t ")).n == 0);
}

static void split_yields_empty_parts(void)
{
	struct str rest = STR("a,,b,");

	CU_ASSERT(str_eq(str_split(&rest, ','), STR("a")));
	CU_ASSERT(str_eq(str_split(&rest, ','), STR("")));
	CU_ASSERT(str_eq(str_split(&rest, ','), STR("b")));
	CU_ASSERT(rest.p != NULL && rest.n == 0);
	CU_ASSERT(str_split(&rest, ',').p != NULL);
	CU_ASSERT(rest.p == NULL);
	CU_ASSERT(str_find(STR("abc"), 'c') == 2);
	CU_ASSERT(str_find(STR("abc"), 'd') == -1);
	CU_ASSERT(str_find(STR_NONE, 'd') == -1);
}

static void integers_take_digits_alone(void)
{
	static const char *const bad[] = {"",
	                                  "-1",
	                                  "+1",
	                                  " 1",
	                                  "1 ",
	                                  "1.0",
	                                  "0x1",
	                                  "1e3",
	                                  "18446744073709551616",
	                                  "99999999999999999999999",
	                                  "\xd9\xa1"};
	uint64_t u = 7;
	int64_t i;

	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
		CU_ASSERT(!str_u64(str_of(bad[k]), &u));
	CU_ASSERT(u == 7);
	CU_ASSERT(str_u64(STR("18446744073709551615"), &u) && u == UINT64_MAX);
	CU_ASSERT(str_u64(STR("007"), &u) && u == 7);
	CU_ASSERT(str_i64(STR("-9223372036854775808"), &i) && i == INT64_MIN);
	CU_ASSERT(str_i64(STR("9223372036854775807"), &i) && i == INT64_MAX);
	CU_ASSERT(!str_i64(STR("9223372036854775808"), &i));
	CU_ASSERT(!str_i64(STR("-9223372036854775809"), &i));
	CU_ASSERT(!str_i64(STR("-"), &i) && !str_i64(STR("--1"), &i) && !str_i64(STR("+1"), &i));
}

static void globs(void)
{
	static const struct {
		const char *pattern, *text;
		bool match;
	} rows[] = {
	    {"", "", true},
	    {"", "a", false},
	    {"*", "", true},
	    {"*", "abc", true},
	    {"churn-*", "churn-v2", true},
	    {"churn-*", "churn-", true},
	    {"churn-*", "churn", false},
	    {"*-v?", "a-v-v2", true},
	    {"?", "", false},
	    {"?", "ab", false},
	    {"a*b*c", "aXbYbZc", true},
	    {"a*b*c", "acb", false},
	    {"**", "x", true},
	    {"[a]", "a", false},
	    {"[a]", "[a]", true},
	    {"A", "a", false},
	    {"\\*", "\\x", true},
	    {"*a", "aaab", false},
	};
	char text[2001], pattern[] = "*a*a*a*a*a*a*a*a*b";

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT(str_glob(str_of(rows[i].pattern), str_of(rows[i].text)) == rows[i].match);
	/* Exponential in a matcher that recurses: this test would then not end. */
	memset(text, 'a', sizeof(text));
	CU_ASSERT(!str_glob(str_of(pattern), (struct str){text, sizeof(text)}));
}

static void durations(void)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {{"250ms", 250000000},
	            {"30s", 30000000000},
	            {"5m", 300000000000},
	            {"1h", 3600000000000},
	            {"90d", 7776000000000000},
	            {"0", 0},
	            {"0s", 0},
	            {"4611686018s", 4611686018000000000}};
	static const char *const bad[] = {"",
	                                  "s",
	                                  "5",
	                                  "00",
	                                  "1.5s",
	                                  "-1s",
	                                  "1 s",
	                                  "1S",
	                                  "1us",
	                                  "1sm",
	                                  "1ms ",
	                                  "4611686019s",
	                                  "99999999999999999999d",
	                                  "213503982334602d"};
	uint64_t ns;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CU_ASSERT(str_duration(str_of(good[i].text), &ns) && ns == good[i].ns);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT(!str_duration(str_of(bad[i]), &ns));
}

static void sizes(void)
{
	static const char *const bad[] = {"",   "K",    "1k",  "1KB",         "1T",
	                                  "-1", "1.5M", "1 M", "17179869184G"};
	uint64_t n;

	CU_ASSERT(str_size(STR("16M"), &n) && n == 16777216);
	CU_ASSERT(str_size(STR("32K"), &n) && n == 32768);
	CU_ASSERT(str_size(STR("1G"), &n) && n == 1073741824);
	CU_ASSERT(str_size(STR("4096"), &n) && n == 4096);
	CU_ASSERT(str_size(STR("0"), &n) && n == 0);
	CU_ASSERT(str_size(STR("17179869183G"), &n) && n == UINT64_C(17179869183) << 30);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT(!str_size(str_of(bad[i]), &n));
}

static void rates(void)
{
	static const char *const bad[] = {"",       "100", "100/",    "/1m",   "100/0",
	                                  "100/0s", "1/5", "1/1m/1m", "-1/1m", "1/m1"};
	uint64_t n, ns;

	CU_ASSERT(str_rate(STR("100/1m"), &n, &ns) && n == 100 && ns == 60000000000);
	CU_ASSERT(str_rate(STR("100/m"), &n, &ns) && n == 100 && ns == 60000000000);
	CU_ASSERT(str_rate(STR("20/500ms"), &n, &ns) && n == 20 && ns == 500000000);
	CU_ASSERT(str_rate(STR("0/1d"), &n, &ns) && n == 0 && ns == UINT64_C(86400000000000));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT(!str_rate(str_of(bad[i]), &n, &ns));
}

static void suggestions_take_the_nearest_word(void)
{
	static const char *const words[] = {"module", "control", "options", "timeout", "name"};
	char lengthy[200];

	CU_ASSERT(str_distance(STR("kitten"), STR("sitting")) == 3);
	CU_ASSERT(str_distance(STR("ab"), STR("ba")) == 1);
	CU_ASSERT(str_distance(STR(""), STR("abc")) == 3);
	CU_ASSERT_PTR_EQUAL(str_suggest(STR("modlue"), words, 5), words[0]);
	CU_ASSERT_PTR_EQUAL(str_suggest(STR("optoins"), words, 5), words[2]);
	CU_ASSERT_PTR_EQUAL(str_suggest(STR("time_out"), words, 5), words[3]);
	CU_ASSERT_PTR_NULL(str_suggest(STR("listener"), words, 5));
	CU_ASSERT_PTR_NULL(str_suggest(STR("nope"), words, 0));
	memset(lengthy, 'x', sizeof(lengthy));
	CU_ASSERT_PTR_NULL(str_suggest((struct str){lengthy, sizeof(lengthy)}, words, 5));
}

static void utf8_is_the_rfc_s(void)
{
	static const struct {
		const char *text;
		bool valid;
	} rows[] = {
	    {"", true},
	    {"plain ascii that is longer than eight", true},
	    {"\xc3\xa4", true},
	    {"\xe2\x82\xac", true},
	    {"\xf0\x9d\x84\x9e", true},
	    {"\xf4\x8f\xbf\xbf", true},
	    {"\xef\xbf\xbf", true},
	    {"\x7f", true},
	    {"\x80", false},
	    {"\xc0\x80", false},
	    {"\xc1\xbf", false},
	    {"\xe0\x9f\xbf", false},
	    {"\xed\xa0\x80", false},
	    {"\xed\x9f\xbf", true},
	    {"\xf0\x8f\xbf\xbf", false},
	    {"\xf4\x90\x80\x80", false},
	    {"\xf5\x80\x80\x80", false},
	    {"\xff", false},
	    {"\xc3", false},
	    {"\xe2\x82", false},
	    {"\xf0\x9d\x84", false},
	    {"12345678\xc3(", false},
	    {"1234567\xc3\xa4", true},
	    {"12345678\xe2\x28\xa1", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT(str_utf8_valid(str_of(rows[i].text)) == rows[i].valid);
}

static void a_copy_ends_with_nul(void)
{
	char *z = str_dup((struct str){"abcdef", 3});

	CU_ASSERT_STRING_EQUAL(z, "abc");
	free(z);
	z = str_dup(STR_NONE);
	CU_ASSERT_STRING_EQUAL(z, "");
	free(z);
}

UNIT_MAIN("str", UNIT(case_is_folded_for_ascii_only), UNIT(one_byte_that_differs_is_seen),
          UNIT(prefixes_and_suffixes), UNIT(trim_takes_spaces_and_tabs_only),
          UNIT(split_yields_empty_parts), UNIT(integers_take_digits_alone), UNIT(globs),
          UNIT(durations), UNIT(sizes), UNIT(rates), UNIT(suggestions_take_the_nearest_word),
          UNIT(utf8_is_the_rfc_s), UNIT(a_copy_ends_with_nul))
