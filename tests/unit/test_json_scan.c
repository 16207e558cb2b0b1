/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The JSON scanner. Every row and every file of the corpus is scanned whole, byte by byte and split
 * at each position: code, offset, values and what may be released must not depend on it.
 */
#include "json/scan.h"

#include <dirent.h>

#include "unit.h"

#define T(type) (1u << (type))

static const struct json_want wants[] = {
    {"model", T(JSON_STRING), 16},
    {"stream", T(JSON_TRUE) | T(JSON_FALSE), 0},
    {"usage.prompt_tokens", T(JSON_NUMBER), 8},
    {"usage.details.cached", 0, 8},
    {"any", 0, 8},
};
enum { MODEL, STREAM, TOKENS, CACHED, ANY, NWANTS };

struct outcome {
	enum json_error error;
	uint64_t at;
	uint64_t released;
	bool settled;
	enum json_type types[NWANTS];
	char texts[NWANTS][32];
	size_t lengths[NWANTS];
};

/* The piece is copied to the heap, so that the sanitizer sees a read beyond it. */
static enum json_error feed(struct json_scan *s, const char *p, size_t n, uint64_t *at)
{
	char *piece = xmalloc(n);
	enum json_error e;

	if (n)
		memcpy(piece, p, n);
	e = json_feed(s, piece, n, at);
	free(piece);
	return e;
}

static void scan(struct outcome *out, struct str text, size_t cut, size_t step, unsigned flags)
{
	struct json_value values[NWANTS];
	struct arena a;
	struct json_scan *s;

	memset(out, 0, sizeof(*out));
	arena_init(&a, NULL);
	s = json_new(&a, wants, NWANTS, values, flags);
	if (cut && !out->error)
		out->error = feed(s, text.p, cut, &out->at);
	for (size_t i = cut; i < text.n && !out->error; i += step)
		out->error = feed(s, text.p + i, text.n - i < step ? text.n - i : step, &out->at);
	if (!out->error) {
		uint64_t before = json_releasable(s);

		out->at = text.n;
		out->error = json_finish(s);
		/* The end of the root is passed on by json_finish() alone. */
		CU_ASSERT(out->error || before < text.n);
	}
	out->released = json_releasable(s);
	out->settled = json_settled(s);
	for (int i = 0; i < NWANTS && !out->error; i++) {
		out->types[i] = values[i].type;
		out->lengths[i] = values[i].text.n;
		if (values[i].text.n)
			memcpy(out->texts[i], values[i].text.p, values[i].text.n);
	}
	arena_deinit(&a);
}

/* The outcome, if it is the same for every way to split; else the test fails. */
static struct outcome scan_all(struct str text, unsigned flags)
{
	struct outcome whole, split;

	scan(&whole, text, 0, text.n ? text.n : 1, flags);
	scan(&split, text, 0, 1, flags);
	CU_ASSERT(memcmp(&whole, &split, sizeof(whole)) == 0);
	for (size_t i = 1; i < text.n && text.n < 4096; i++) {
		scan(&split, text, i, text.n, flags);
		CU_ASSERT(memcmp(&whole, &split, sizeof(whole)) == 0);
	}
	return whole;
}

static enum json_error verdict(const char *text)
{
	return scan_all(str_of(text), 0).error;
}

struct row {
	const char *text;
	enum json_error error;
	uint64_t at;
};

static void check_rows(const struct row *rows, size_t n, unsigned flags)
{
	for (size_t i = 0; i < n; i++) {
		struct outcome o = scan_all(str_of(rows[i].text), flags);

		CU_ASSERT(o.error == rows[i].error);
		CU_ASSERT(o.at == rows[i].at);
		if (o.error != rows[i].error || o.at != rows[i].at)
			printf("\n  %s: error %d at %d, wanted %d at %d\n", rows[i].text, o.error,
			       (int)o.at, rows[i].error, (int)rows[i].at);
	}
}
#define CHECK_ROWS(rows, flags) check_rows(rows, sizeof(rows) / sizeof((rows)[0]), flags)

static void each_rule_has_its_code_and_place(void)
{
	static const struct row rows[] = {
	    {" {\"a\" : [1, -0.5e+3, true, false, null, \"x\"] , \"b\":{}}\r\n\t ", JSON_OK, 58},
	    {"[]", JSON_OK, 2},
	    {"{}", JSON_OK, 2},
	    {"\"x\"", JSON_OK, 3},
	    {"0", JSON_OK, 1},
	    {"-0 ", JSON_OK, 3},
	    {"10.25E-7", JSON_OK, 8},
	    {"null", JSON_OK, 4},
	    {"", JSON_E_TRUNCATED, 0},
	    {"  ", JSON_E_TRUNCATED, 2},
	    {"{\"a\":1", JSON_E_TRUNCATED, 6},
	    {"{\"a", JSON_E_TRUNCATED, 3},
	    {"nul", JSON_E_TRUNCATED, 3},
	    {"-", JSON_E_TRUNCATED, 1},
	    {"1.", JSON_E_TRUNCATED, 2},
	    {"1e", JSON_E_TRUNCATED, 2},
	    {"1e+", JSON_E_TRUNCATED, 3},
	    {"\"\\ud800\\", JSON_E_TRUNCATED, 8},
	    {"x", JSON_E_SYNTAX, 0},
	    {"nuLl", JSON_E_SYNTAX, 2},
	    {"[1,]", JSON_E_SYNTAX, 3},
	    {"[,1]", JSON_E_SYNTAX, 1},
	    {"[1}", JSON_E_SYNTAX, 2},
	    {"{]", JSON_E_SYNTAX, 1},
	    {"{\"a\":1,}", JSON_E_SYNTAX, 7},
	    {"{\"a\"1}", JSON_E_SYNTAX, 4},
	    {"{\"a\":}", JSON_E_SYNTAX, 5},
	    {"{a:1}", JSON_E_SYNTAX, 1},
	    {"[01]", JSON_E_SYNTAX, 2},
	    {"[-01]", JSON_E_SYNTAX, 3},
	    {"[+1]", JSON_E_SYNTAX, 1},
	    {"[.5]", JSON_E_SYNTAX, 1},
	    {"[1.e5]", JSON_E_SYNTAX, 3},
	    {"[1e5.2]", JSON_E_SYNTAX, 4},
	    {"[1e5e2]", JSON_E_SYNTAX, 4},
	    {"[1+2]", JSON_E_SYNTAX, 2},
	    {"[--1]", JSON_E_SYNTAX, 2},
	    {"[\"a\nb\"]", JSON_E_SYNTAX, 3},
	    {"[\"\\x\"]", JSON_E_SYNTAX, 3},
	    {"[\"\\u12g4\"]", JSON_E_SYNTAX, 6},
	    {"[\"a plain run longer than a vector\x1f\"]", JSON_E_SYNTAX, 34},
	    {"{} x", JSON_E_TRAILING, 3},
	    {"{}{}", JSON_E_TRAILING, 2},
	    {"1 2", JSON_E_TRAILING, 2},
	    {"1x", JSON_E_TRAILING, 1},
	    {"\xef\xbb\xbf{}", JSON_E_BOM, 0},
	    {" \xef\xbb\xbf{}", JSON_E_SYNTAX, 1},
	    {"\v{}", JSON_E_SYNTAX, 0},
	};

	CHECK_ROWS(rows, 0);
}

static void nul_is_never_fine(void)
{
	CU_ASSERT(scan_all(STR("{\"a\":\"b\0c\"}"), 0).error == JSON_E_SYNTAX);
	CU_ASSERT(scan_all(STR("{}\0"), 0).error == JSON_E_TRAILING);
	CU_ASSERT(scan_all(STR("{\0}"), 0).error == JSON_E_SYNTAX);
	CU_ASSERT(scan_all(STR("[\"\\\0\"]"), 0).error == JSON_E_SYNTAX);
}

static void utf8_and_surrogates(void)
{
	static const struct row rows[] = {
	    {"\"\xc3\xa4 \xe2\x82\xac \xf0\x9d\x84\x9e\"", JSON_OK, 13},
	    {"\"\\ud834\\udd1e \\uFFFF \\u0000\"", JSON_OK, 28},
	    {"\"\x80\"", JSON_E_UTF8, 1},
	    {"\"\xc0\x80\"", JSON_E_UTF8, 1},
	    {"\"\xe0\x9f\xbf\"", JSON_E_UTF8, 2},
	    {"\"\xed\xa0\x80\"", JSON_E_UTF8, 2},
	    {"\"\xf0\x8f\xbf\xbf\"", JSON_E_UTF8, 2},
	    {"\"\xf4\x90\x80\x80\"", JSON_E_UTF8, 2},
	    {"\"\xf5\x80\x80\x80\"", JSON_E_UTF8, 1},
	    {"\"\xc3\"", JSON_E_UTF8, 2},
	    {"\"\xe2\x82\"", JSON_E_UTF8, 3},
	    {"\"\xe2\x82\\n\"", JSON_E_UTF8, 3},
	    {"\"sixteen plain by\xff\"", JSON_E_UTF8, 17},
	    {"\"\\ud800\"", JSON_E_UTF8, 7},
	    {"\"\\ud800x\"", JSON_E_UTF8, 7},
	    {"\"\\ud800\\n\"", JSON_E_UTF8, 8},
	    {"\"\\ud800\\u0041\"", JSON_E_UTF8, 12},
	    {"\"\\ud800\\ud800\"", JSON_E_UTF8, 12},
	    {"\"\\udc00\"", JSON_E_UTF8, 6},
	    {"\"\\udd1e\\ud834\"", JSON_E_UTF8, 6},
	};

	CHECK_ROWS(rows, 0);
}

static void nesting_ends_at_sixty_four(void)
{
	char text[2 * JSON_DEPTH_MAX + 8];

	memset(text, '[', JSON_DEPTH_MAX);
	memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
	CU_ASSERT(scan_all((struct str){text, 2 * JSON_DEPTH_MAX}, 0).error == JSON_OK);
	text[JSON_DEPTH_MAX] = '[';
	struct outcome o = scan_all((struct str){text, 2 * JSON_DEPTH_MAX}, 0);
	CU_ASSERT(o.error == JSON_E_DEPTH && o.at == JSON_DEPTH_MAX);
}

/* Objects and arrays in turn down to the bottom: the stack of bits must tell them apart all the way
 * up. */
static void each_level_closes_with_its_own_kind(void)
{
	for (size_t wrong = 0; wrong <= JSON_DEPTH_MAX; wrong++) {
		char text[1024] = "";
		size_t n = 0;

		for (size_t d = 0; d < JSON_DEPTH_MAX; d++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, d % 3 ? "[" : "{\"k\":");
		text[n++] = '1';
		for (size_t d = JSON_DEPTH_MAX; d-- > 0;)
			text[n++] = (d % 3 != 0) != (d == wrong) ? ']' : '}';
		struct outcome o;
		scan(&o, (struct str){text, n}, 0, n, 0);
		CU_ASSERT(o.error == (wrong == JSON_DEPTH_MAX ? JSON_OK : JSON_E_SYNTAX));
	}
}

static void the_root_can_be_held_to_an_object(void)
{
	static const struct row rows[] = {
	    {" {}", JSON_OK, 3},
	    {" []", JSON_E_NOT_OBJECT, 1},
	    {"\"x\"", JSON_E_NOT_OBJECT, 0},
	    {"1", JSON_E_NOT_OBJECT, 0},
	    {"null", JSON_E_NOT_OBJECT, 0},
	    {"model=x", JSON_E_SYNTAX, 0},
	    {"", JSON_E_TRUNCATED, 0},
	    {"{\"a\":[]}", JSON_OK, 8},
	};

	CHECK_ROWS(rows, JSON_ROOT_OBJECT);
}

static void wanted_values_are_captured(void)
{
	struct outcome o = scan_all(
	    STR("{\"x\":{\"model\":\"no\"},\"model\":\"gp\\u0074-4\\n\\ud834\\udd1e\",\"stream\":"
	        "true,"
	        "\"usage\":{\"total\":3,\"prompt_tokens\":-1.5e3,\"details\":{\"cached\":[1]}},"
	        "\"any\":\"\"}"),
	    JSON_ROOT_OBJECT);

	CU_ASSERT(o.error == JSON_OK && o.settled);
	CU_ASSERT(o.types[MODEL] == JSON_STRING);
	CU_ASSERT_STRING_EQUAL(o.texts[MODEL], "gpt-4\n\xf0\x9d\x84\x9e");
	CU_ASSERT(o.types[STREAM] == JSON_TRUE && o.lengths[STREAM] == 0);
	CU_ASSERT(o.types[TOKENS] == JSON_NUMBER);
	CU_ASSERT_STRING_EQUAL(o.texts[TOKENS], "-1.5e3");
	CU_ASSERT(o.types[CACHED] == JSON_ARRAY);
	CU_ASSERT(o.types[ANY] == JSON_STRING && o.lengths[ANY] == 0);
}

static void keys_are_unescaped_before_they_are_compared(void)
{
	struct outcome o =
	    scan_all(STR("{\"mo\\u0064el\":\"a\",\"us\\u0061ge\":{\"prompt\\u005ftokens\":7}}"), 0);

	CU_ASSERT(o.types[MODEL] == JSON_STRING && o.texts[MODEL][0] == 'a');
	CU_ASSERT(o.types[TOKENS] == JSON_NUMBER && o.texts[TOKENS][0] == '7');
	CU_ASSERT(verdict("{\"mo\\u0064el\":\"a\",\"model\":\"b\"}") == JSON_E_DUPLICATE);
	CU_ASSERT(verdict("{\"model\":\"a\",\"mo\\u0064el\":\"b\"}") == JSON_E_DUPLICATE);
}

static void paths_lead_through_objects_from_the_root_only(void)
{
	static const char *const elsewhere[] = {
	    "[{\"model\":\"a\"}]",
	    "{\"x\":{\"model\":\"a\"}}",
	    "{\"x\":[{\"model\":\"a\"}]}",
	    "{\"Model\":\"a\"}",
	    "{\"model \":\"a\"}",
	    "{\"mode\":\"a\"}",
	    "{\"\":\"a\"}",
	    "{\"models-and-much-more-than-any-wanted-name\":\"a\"}",
	    "{\"x\":\"model\",\"y\":\"a\"}",
	    "{\"usage\":[{\"prompt_tokens\":1}]}",
	    "{\"usage\":[[{\"prompt_tokens\":1}]]}",
	    "{\"usage.prompt_tokens\":1}",
	    "{\"prompt_tokens\":1}",
	    "{\"usage\":{\"x\":{\"prompt_tokens\":1,\"cached\":2}}}",
	    "{\"usage\":null,\"x\":{\"prompt_tokens\":1}}",
	    "{\"usage\":\"s\",\"x\":{\"prompt_tokens\":1}}",
	    "{\"x\":{\"usage\":{\"prompt_tokens\":1}}}",
	    "{\"usage\":{\"details\":{\"x\":{\"cached\":1}}}}",
	    "{\"usage\":{\"details\":[{\"cached\":1}]}}",
	};

	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		struct outcome o = scan_all(str_of(elsewhere[i]), 0);

		CU_ASSERT(o.error == JSON_OK && o.settled);
		for (int k = 0; k < NWANTS; k++)
			CU_ASSERT(o.types[k] == JSON_ABSENT);
	}
}

static void duplicates_of_wanted_keys_are_refused(void)
{
	static const struct row rows[] = {
	    {"{\"model\":\"a\",\"model\":\"a\"}", JSON_E_DUPLICATE, 19},
	    {"{\"usage\":{},\"usage\":{}}", JSON_E_DUPLICATE, 18},
	    {"{\"usage\":null,\"usage\":{\"prompt_tokens\":1}}", JSON_E_DUPLICATE, 20},
	    {"{\"usage\":{\"prompt_tokens\":1,\"prompt_tokens\":1}}", JSON_E_DUPLICATE, 42},
	    {"{\"usage\":{\"details\":1,\"details\":2}}", JSON_E_DUPLICATE, 30},
	    {"{\"any\":{},\"any\":1}", JSON_E_DUPLICATE, 14},
	    {"{\"x\":1,\"x\":2}", JSON_OK, 13},
	    {"{\"x\":{\"model\":1,\"model\":2}}", JSON_OK, 27},
	    {"{\"usage\":{\"x\":1,\"x\":2,\"model\":1,\"model\":1}}", JSON_OK, 43},
	    {"[{\"model\":1},{\"model\":2}]", JSON_OK, 25},
	};

	CHECK_ROWS(rows, 0);
}

static void types_are_checked_at_their_first_byte(void)
{
	static const struct row rows[] = {
	    {"{\"model\":1}", JSON_E_TYPE, 9},
	    {"{\"model\":null}", JSON_E_TYPE, 9},
	    {"{\"model\":{}}", JSON_E_TYPE, 9},
	    {"{\"model\":[\"a\"]}", JSON_E_TYPE, 9},
	    {"{\"stream\":\"true\"}", JSON_E_TYPE, 10},
	    {"{\"stream\":false}", JSON_OK, 16},
	    {"{\"usage\":{\"prompt_tokens\":\"1\"}}", JSON_E_TYPE, 26},
	    {"{\"usage\":1}", JSON_OK, 11},
	    {"{\"any\":null}", JSON_OK, 12},
	};

	CHECK_ROWS(rows, 0);
}

static void captured_text_has_its_ceiling(void)
{
	static const struct row rows[] = {
	    {"{\"model\":\"1234567890123456\"}", JSON_OK, 28},
	    {"{\"model\":\"12345678901234567\"}", JSON_E_LENGTH, 26},
	    {"{\"model\":\"123456789012345\\u0041\"}", JSON_OK, 33},
	    {"{\"model\":\"123456789012345\\u00e4\"}", JSON_E_LENGTH, 30},
	    {"{\"model\":\"1234567890123456\\n\"}", JSON_E_LENGTH, 27},
	    {"{\"model\":\"123456789012345\xc3\xa4\"}", JSON_E_LENGTH, 26},
	    {"{\"usage\":{\"prompt_tokens\":12345678}}", JSON_OK, 36},
	    {"{\"usage\":{\"prompt_tokens\":123456789}}", JSON_E_LENGTH, 34},
	    {"{\"x\":\"as long as it likes to be, nobody stores it\"}", JSON_OK, 51},
	};

	CHECK_ROWS(rows, 0);
}

static void an_error_is_final(void)
{
	struct json_value values[NWANTS];
	struct arena a;
	struct json_scan *s;
	uint64_t at = 0;

	arena_init(&a, NULL);
	s = json_new(&a, wants, NWANTS, values, 0);
	CU_ASSERT(json_feed(s, "{x", 2, NULL) == JSON_E_SYNTAX);
	CU_ASSERT(json_feed(s, "}", 1, &at) == JSON_E_SYNTAX && at == 1);
	CU_ASSERT(json_finish(s) == JSON_E_SYNTAX);
	CU_ASSERT(json_releasable(s) == 1);
	CU_ASSERT(json_feed(s, NULL, 0, NULL) == JSON_E_SYNTAX);
	arena_deinit(&a);
}

static void the_closing_byte_is_held_until_the_end(void)
{
	static const struct {
		const char *text;
		uint64_t held_from; /* where the byte that closes the root lies */
	} rows[] = {
	    {"{\"a\":{\"b\":[]}} \n", 13},
	    {" [[],[]]", 7},
	    {"\"x{}\" ", 4},
	    {"123 ", 0},
	    {" true", 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str text = str_of(rows[i].text);
		struct json_value values[NWANTS];
		struct arena a;
		struct json_scan *s;

		arena_init(&a, NULL);
		s = json_new(&a, wants, NWANTS, values, 0);
		CU_ASSERT(json_releasable(s) == 0);
		for (size_t k = 0; k < text.n; k++) {
			uint64_t may = k + 1 < rows[i].held_from ? k + 1 : rows[i].held_from;

			CU_ASSERT(json_feed(s, text.p + k, 1, NULL) == JSON_OK);
			CU_ASSERT(json_releasable(s) == may);
		}
		CU_ASSERT(json_finish(s) == JSON_OK);
		CU_ASSERT(json_releasable(s) == text.n);
		arena_deinit(&a);
	}
	/* What was refused after the root had closed is not released either. */
	CU_ASSERT(scan_all(STR("{} {"), 0).released == 1);
	CU_ASSERT(scan_all(STR("{\"a\":1"), 0).released == 6);
}

static void settled_means_nothing_wanted_can_come(void)
{
	static const struct json_want one[] = {{"model", 0, 100}};
	struct json_value value;
	struct arena a;
	struct json_scan *s;

	arena_init(&a, NULL);
	s = json_new(&a, one, 1, &value, 0);
	CU_ASSERT(json_feed(s, "{\"model\":\"a", 11, NULL) == JSON_OK && !json_settled(s));
	CU_ASSERT(json_feed(s, "\"", 1, NULL) == JSON_OK && json_settled(s));
	CU_ASSERT(value.type == JSON_STRING && str_eq(value.text, STR("a")));
	s = json_new(&a, one, 1, &value, 0);
	CU_ASSERT(value.type == JSON_ABSENT);
	CU_ASSERT(json_feed(s, "{\"x\":1", 6, NULL) == JSON_OK && !json_settled(s));
	CU_ASSERT(json_feed(s, "}", 1, NULL) == JSON_OK && json_settled(s));
	s = json_new(&a, NULL, 0, NULL, 0);
	CU_ASSERT(json_settled(s));
	CU_ASSERT(json_feed(s, "{\"a\":{\"b\":1}}", 13, NULL) == JSON_OK &&
	          json_finish(s) == JSON_OK);
	arena_deinit(&a);
}

static void a_long_value_is_captured_whole(void)
{
	static const struct json_want one[] = {{"k", T(JSON_STRING), 1 << 20}};
	size_t n = 200000;
	char *text = xmalloc(n + 16);
	struct json_value value;
	struct arena a;
	struct json_scan *s;

	memcpy(text, "{\"k\":\"", 6);
	for (size_t i = 0; i < n; i++)
		text[6 + i] = (char)('a' + i % 26);
	memcpy(text + 6 + n, "\"}", 2);
	arena_init(&a, NULL);
	s = json_new(&a, one, 1, &value, 0);
	for (size_t i = 0; i < n + 8; i += 977)
		CU_ASSERT_FATAL(json_feed(s, text + i, n + 8 - i < 977 ? n + 8 - i : 977, NULL) ==
		                JSON_OK);
	CU_ASSERT(json_finish(s) == JSON_OK);
	CU_ASSERT(value.text.n == n && memcmp(value.text.p, text + 6, n) == 0);
	arena_deinit(&a);
	free(text);
}

static void wants_that_overlap_are_all_served(void)
{
	static const struct json_want both[] = {
	    {"u", T(JSON_OBJECT), 0}, {"u.n", 0, 9}, {"u.n", 0, 5}, {"u.m.x", 0, 9}};
	struct json_value v[4];
	struct arena a;
	struct json_scan *s;

	arena_init(&a, NULL);
	s = json_new(&a, both, 4, v, 0);
	CU_ASSERT(json_feed(s, "{\"u\":{\"m\":{\"x\":true},\"n\":12345}}", 32, NULL) == JSON_OK);
	CU_ASSERT(v[0].type == JSON_OBJECT && str_eq(v[1].text, STR("12345")) &&
	          str_eq(v[2].text, STR("12345")));
	CU_ASSERT(v[3].type == JSON_TRUE);
	s = json_new(&a, both, 4, v, 0);
	CU_ASSERT(json_feed(s, "{\"u\":{\"n\":123456}}", 18, NULL) == JSON_E_LENGTH);
	arena_deinit(&a);
}

static void each_error_has_its_phrase(void)
{
	CU_ASSERT_STRING_EQUAL(json_strerror(JSON_E_DUPLICATE), "duplicate key");
	for (int a = JSON_OK; a <= JSON_E_BOM; a++)
		for (int b = a + 1; b <= JSON_E_BOM + 1; b++)
			CU_ASSERT_STRING_NOT_EQUAL(json_strerror((enum json_error)a),
			                           json_strerror((enum json_error)b));
}

static char *slurp(const char *dir, const char *name, size_t *n)
{
	char path[1024];
	char *text = xmalloc(1 << 20);
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "rb");
	if (!f) {
		free(text);
		return NULL;
	}
	*n = fread(text, 1, 1 << 20, f);
	fclose(f);
	return text;
}

static void the_corpus_of_jsontestsuite(void)
{
	char buf[512];
	const char *folder = unit_corpora("json/parsing", buf, sizeof(buf));
	unsigned files = 0;
	struct dirent *e;
	DIR *d;

	if (!folder)
		return;
	d = opendir(folder);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	while ((e = readdir(d))) {
		size_t n = 0;
		char *text;
		enum json_error r;

		if (!str_ends(str_of(e->d_name), STR(".json")))
			continue;
		text = slurp(folder, e->d_name, &n);
		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		r = scan_all((struct str){text, n}, 0).error;
		if (e->d_name[0] == 'y')
			CU_ASSERT(r == JSON_OK);
		if (e->d_name[0] == 'n')
			CU_ASSERT(r != JSON_OK);
		if ((e->d_name[0] == 'y') != (r == JSON_OK) && e->d_name[0] != 'i')
			printf("\n  %s: %s\n", e->d_name, json_strerror(r));
		free(text);
		files++;
	}
	closedir(d);
	CU_ASSERT(files > 300);
}

UNIT_MAIN("json", UNIT(each_rule_has_its_code_and_place), UNIT(nul_is_never_fine),
          UNIT(utf8_and_surrogates), UNIT(nesting_ends_at_sixty_four),
          UNIT(each_level_closes_with_its_own_kind), UNIT(the_root_can_be_held_to_an_object),
          UNIT(wanted_values_are_captured), UNIT(keys_are_unescaped_before_they_are_compared),
          UNIT(paths_lead_through_objects_from_the_root_only),
          UNIT(duplicates_of_wanted_keys_are_refused), UNIT(types_are_checked_at_their_first_byte),
          UNIT(captured_text_has_its_ceiling), UNIT(an_error_is_final),
          UNIT(the_closing_byte_is_held_until_the_end), UNIT(settled_means_nothing_wanted_can_come),
          UNIT(a_long_value_is_captured_whole), UNIT(wants_that_overlap_are_all_served),
          UNIT(each_error_has_its_phrase), UNIT(the_corpus_of_jsontestsuite))
