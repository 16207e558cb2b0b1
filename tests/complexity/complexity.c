/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What hostile input costs: for each parser, twice the input may cost 2.3 times the work at most,
 * up to a million of whatever it is or to the parser's own ceiling. Work is counted, not timed.
 */
#include "auth_apikey/keyfile.h"
#include "common/record.h"
#include "complexity/counted.h"
#include "http/body.h"
#include "http/form.h"
#include "http/headers.h"
#include "http/parse.h"
#include "http/sse.h"
#include "http/url.h"
#include "json/scan.h"

#include <stdio.h>
#include <stdlib.h>

#define MILLION (1u << 20)
#define ROOM (64u << 20)

static char *text; /* the input under way */
static size_t len;
static struct arena arena;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	printf("the input for %s does not do what it is for\n", what);
	exit(1);
}

static void put(const char *s)
{
	size_t n = strlen(s);

	must(len + n < ROOM, "size");
	memcpy(text + len, s, n);
	len += n;
}

static void repeat(const char *s, size_t n)
{
	while (n-- > 0)
		put(s);
}

static size_t piece(size_t at, size_t most)
{
	return len - at < most ? len - at : most;
}

/* ---- heads ---- */
static void head(bool response, size_t step, enum http_result expected)
{
	static struct http_parser p;
	enum http_result r = HTTP_MORE;
	struct http_head h;

	http_parser_init(&p, response, MILLION * 4);
	for (size_t n = step; r == HTTP_MORE; n += step) {
		r = http_parse(&p, text, n < len ? n : len, &arena, &h);
		if (n >= len)
			break;
	}
	must(r == expected, "head");
	if (r == HTTP_DONE)
		http_mark_dropped(&h);
}

static void fields(size_t n)
{
	put("GET / HTTP/1.1\r\nHost: x\r\n");
	for (size_t i = 0; i < n; i++) {
		char one[64];
		snprintf(one, sizeof(one), "Name-%zu: value %zu\r\n", i, i);
		put(one);
	}
	put("\r\n");
	head(false, len, HTTP_DONE);
}

static void value(size_t n)
{
	put("GET / HTTP/1.1\r\nHost: x\r\nX: ");
	repeat("a ", n / 2);
	put("b\r\n\r\n");
	head(false, len, HTTP_DONE);
}

static void value_bytewise(size_t n)
{
	put("GET / HTTP/1.1\r\nHost: x\r\nX: a");
	repeat(" ", n);
	put("\r\n\r\n");
	head(false, 1, HTTP_DONE);
}

static void name(size_t n)
{
	put("GET / HTTP/1.1\r\nHost: x\r\n");
	repeat("n", n);
	put(": x\r\n\r\n");
	head(false, 1, HTTP_DONE);
}

static void target(size_t n)
{
	put("GET /");
	repeat("%41", n / 3);
	put(" HTTP/1.1\r\nHost: x\r\n\r\n");
	head(false, 7, HTTP_DONE);
}

static void connection(size_t n)
{
	put("GET / HTTP/1.1\r\nHost: x\r\nConnection: ");
	repeat(",", n); /* empty members are no options, so no ceiling ends them */
	put("close\r\n\r\n");
	head(false, len, HTTP_DONE);
}

static void codings(size_t n)
{
	put("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: ");
	repeat("x,", n / 2);
	put("chunked\r\n\r\n");
	head(false, len, HTTP_BAD);
}

static void reason(size_t n)
{
	put("HTTP/1.1 200 ");
	repeat("r", n);
	put("\r\n\r\n");
	head(true, 3, HTTP_DONE);
}

static int member(void *arg, struct str s)
{
	*(size_t *)arg += s.n;
	return 0;
}

static void hops(size_t n)
{
	size_t sum = 0;

	repeat("1.2.3.4, ", n / 9);
	must(http_list_each((struct str){text, len}, member, &sum) == 0 && sum > 0, "hops");
}

/* ---- bodies ---- */
static void body(size_t step, enum http_body_result expected)
{
	enum http_body_result r = HTTP_BODY_MORE;
	struct http_body b;

	http_body_init(&b, HTTP_CHUNKED, 0);
	for (size_t at = 0; at < len && r != HTTP_BODY_DONE && r != HTTP_BODY_BAD;) {
		size_t end = at + piece(at, step);
		do {
			struct str data;
			size_t used;
			r = http_body_next(&b, text + at, end - at, &used, &data);
			at += used;
		} while (r == HTTP_BODY_DATA);
	}
	must(r == expected, "body");
}

static void chunks(size_t n)
{
	repeat("1\r\nx\r\n", n);
	put("0\r\n\r\n");
	body(len, HTTP_BODY_DONE);
}

static void chunks_bytewise(size_t n)
{
	repeat("1\r\nx\r\n", n);
	put("0\r\n\r\n");
	body(1, HTTP_BODY_DONE);
}

static void extensions(size_t n)
{
	repeat("10;a=b\r\n0123456789abcdef\r\n", n);
	put("0\r\n\r\n");
	body(4096, HTTP_BODY_DONE);
}

static void trailers(size_t n)
{
	put("0\r\n");
	repeat("T: x\r\n", n);
	put("\r\n");
	body(1, HTTP_BODY_DONE);
}

/* ---- JSON ---- */
static void scan(size_t step, enum json_error expected)
{
	static const struct json_want wants[] = {{"model", 1u << JSON_STRING, 256},
	                                         {"usage.prompt_tokens", 0, 32},
	                                         {"usage.details.cached", 0, 32}};
	struct json_value values[3];
	struct json_scan *s = json_new(&arena, wants, 3, values, JSON_ROOT_OBJECT);
	enum json_error e = JSON_OK;

	for (size_t at = 0; at < len && !e; at += step)
		e = json_feed(s, text + at, piece(at, step), NULL);
	if (!e)
		e = json_finish(s);
	must(e == expected, "JSON");
}

static void keys(size_t n)
{
	put("{");
	for (size_t i = 0; i < n; i++) {
		char one[64];
		snprintf(one, sizeof(one), "\"mode%zu\":%zu,", i, i);
		put(one);
	}
	put("\"model\":\"m\"}");
	scan(len, JSON_OK);
}

static void keys_nested(size_t n)
{
	put("{\"usage\":{\"details\":{");
	repeat("\"cache\":{\"model\":1},", n);
	put("\"cached\":1}}}");
	scan(11, JSON_OK);
}

static void nesting(size_t n)
{
	put("{\"x\":[");
	for (size_t i = 0; i < n / 60; i++) {
		repeat("[", 60);
		repeat("]", 60);
		put(",");
	}
	put("0]}");
	scan(1, JSON_OK);
}

static void too_deep(size_t n)
{
	put("{\"x\":");
	repeat("[", n);
	scan(len, JSON_E_DEPTH);
}

static void long_string(size_t n)
{
	put("{\"x\":\"");
	repeat("s", n);
	put("\"}");
	scan(1, JSON_OK);
}

static void escapes(size_t n)
{
	put("{\"x\":\"");
	repeat("\\u00e9\\ud83d\\ude00\\n", n / 20);
	put("\"}");
	scan(5, JSON_OK);
}

static void long_key(size_t n)
{
	put("{\"");
	repeat("usage.", n / 6);
	put("\":1}");
	scan(1, JSON_OK);
}

static void long_number(size_t n)
{
	put("{\"x\":1");
	repeat("0", n);
	put("e5}");
	scan(1, JSON_OK);
}

static void spaces(size_t n)
{
	put("{");
	repeat(" \n", n / 2);
	put("}");
	scan(1, JSON_OK);
}

/* ---- event streams ---- */
static void on_event(void *arg, struct str data)
{
	*(size_t *)arg += data.n;
}

static void stream(size_t step)
{
	size_t sum = 0;
	struct sse s;

	sse_init(&s, MILLION * 8);
	for (size_t at = 0; at < len; at += step)
		sse_feed(&s, text + at, piece(at, step), on_event, &sum);
	sse_deinit(&s);
	must(sum > 0, "event stream");
}

static void events(size_t n)
{
	repeat("data: x\n\n", n);
	stream(3);
}

static void event_lines(size_t n)
{
	repeat("data: x\r\n", n);
	put("\r\n");
	stream(1);
}

static void event_line(size_t n)
{
	put("data:");
	repeat("x", n);
	put("\n\n");
	stream(1);
}

static void comments(size_t n)
{
	repeat(":\r", n);
	put("data: x\n\n");
	stream(2);
}

/* ---- targets ---- */
static void url(void)
{
	const char *why = NULL;
	struct str plain;
	struct url u;

	must(url_parse((struct str){text, len}, false, &arena, &u, &why) == 0, "URL");
	must(url_decode(u.path, &arena, &plain) == 0, "URL");
	(void)url_has_encoded_slash(u.path);
}

static void segments(size_t n)
{
	repeat("/a", n);
	url();
}

static void path_escapes(size_t n)
{
	put("/");
	repeat("%41%c3%a9", n / 9);
	url();
}

static void query(size_t n)
{
	put("/?");
	repeat("a=b&", n / 4);
	url();
}

/* ---- forms ---- */
static void form(bool multi, size_t step)
{
	struct form_want want = {.name = STR("model"), .max = 256};
	struct multipart *m = multi ? multipart_new(&arena, STR("----XX"), &want) : NULL;
	struct urlform *f = multi ? NULL : urlform_new(&arena, &want);
	const char *why = NULL;

	for (size_t at = 0; at < len && !why; at += step)
		why = multi ? multipart_feed(m, text + at, piece(at, step))
		            : urlform_feed(f, text + at, piece(at, step));
	if (!why)
		why = multi ? multipart_finish(m) : urlform_finish(f);
	if (why)
		printf("%s: ", why);
	must(!why && want.value.p, "form");
}

#define PART(name) "------XX\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n"

static void parts(size_t n)
{
	repeat(PART("x") "v\r\n", n);
	put(PART("model") "m\r\n------XX--\r\n");
	form(true, 1);
}

static void near_delimiters(size_t n)
{
	put(PART("model") "m\r\n" PART("file"));
	repeat("\r\n------X\r\n-----", n / 16);
	put("\r\n------XX--\r\n");
	form(true, 1);
}

static void part_of_dashes(size_t n)
{
	put(PART("model") "m\r\n" PART("file"));
	repeat("-", n);
	put("\r\n------XX--\r\n");
	form(true, len);
}

static void form_fields(size_t n)
{
	repeat("a=b&", n);
	put("model=m");
	form(false, 1);
}

static void form_escapes(size_t n)
{
	put("model=m&x=");
	repeat("%41", n / 3);
	form(false, 2);
}

/* ---- text ---- */
static void glob(size_t n)
{
	repeat("ab", n / 2);
	must(!str_glob(STR("*ab*abc*b?c"), (struct str){text, len}), "glob");
}

static void utf8(size_t n)
{
	repeat("\xc3\xa9", n / 2);
	must(str_utf8_valid((struct str){text, len}), "UTF-8");
}

static void json_text(size_t n)
{
	struct buf b;

	buf_init(&b, ROOM);
	repeat("\"\\\x01x", n / 4);
	must(buf_add_json(&b, (struct str){text, len}) == 0, "JSON text");
	buf_deinit(&b);
}

/* ---- modules ---- */
static void module_glob(size_t n)
{
	repeat("ab", n / 2);
	must(!txt_glob(TXT("*ab*abc*b?c"), (struct merlon_str){text, len}), "a module's glob");
}

static void on_fault(void *arg, uint32_t line, const char *why)
{
	(void)line;
	*(const char **)arg = why;
}

static void key_lines(size_t n)
{
	const char *why = NULL;
	struct keyfile f;

	for (size_t i = 0; i < n; i++) {
		char one[256];
		snprintf(one, sizeof(one),
		         "{\"id\":\"%08zu\",\"sub\":\"s%zu\",\"hashes\":[\"sha256:%064zx\"]}\n", i,
		         i, i);
		put(one);
	}
	int r = keyfile_read(&f, (struct merlon_str){text, len}, on_fault, &why);
	if (r)
		printf("%s: ", why ? why : "");
	must(r == 0 && f.n == n, "keys");
	keyfile_free(&f);
}

static void key_faults(size_t n)
{
	const char *why = NULL;
	struct keyfile f;

	repeat("{\n", n);
	must(keyfile_read(&f, (struct merlon_str){text, len}, on_fault, &why) != 0, "faults");
	keyfile_free(&f);
}

static void notice(size_t n)
{
	static char out[RECORD_ROOM * 16];

	repeat("\"\\\x01\xc3\xa9\xff", n / 6);
	struct merlon_str r =
	    record_notice(0, TXT("close"), (struct merlon_str){text, len}, out, sizeof(out));
	must(r.len > 0, "a record");
}

static const struct {
	const char *name;
	void (*run)(size_t n);
	size_t most; /* the parser's ceiling */
} cases[] = {
    {"fields of a head", fields, HTTP_FIELDS_MAX - 4},
    {"length of a value", value, MILLION},
    {"length of a value, byte by byte", value_bytewise, MILLION},
    {"length of a name, byte by byte", name, MILLION},
    {"length of a target", target, MILLION},
    {"members of Connection", connection, MILLION},
    {"members of Transfer-Encoding", codings, MILLION},
    {"length of a reason", reason, MILLION},
    {"hops of X-Forwarded-For", hops, MILLION},
    {"chunks", chunks, MILLION},
    {"chunks, byte by byte", chunks_bytewise, MILLION},
    {"chunk extensions", extensions, MILLION},
    {"trailers", trailers, 1024},
    {"JSON keys", keys, MILLION},
    {"nested JSON keys", keys_nested, MILLION},
    {"JSON nesting", nesting, MILLION},
    {"JSON that is too deep", too_deep, MILLION},
    {"JSON string", long_string, MILLION},
    {"JSON escapes", escapes, MILLION},
    {"JSON key", long_key, MILLION},
    {"JSON number", long_number, MILLION},
    {"JSON white space", spaces, MILLION},
    {"events", events, MILLION},
    {"lines of an event", event_lines, MILLION},
    {"line of an event", event_line, MILLION},
    {"comments", comments, MILLION},
    {"segments of a path", segments, MILLION / 2},
    {"escapes of a path", path_escapes, MILLION},
    {"query", query, MILLION},
    {"parts of a form", parts, FORM_PARTS - 8},
    {"what looks like a delimiter", near_delimiters, MILLION},
    {"dashes in a part", part_of_dashes, MILLION},
    {"fields of a form", form_fields, MILLION},
    {"escapes in a form", form_escapes, MILLION},
    {"text under a glob", glob, MILLION},
    {"UTF-8", utf8, MILLION},
    {"text as JSON", json_text, MILLION},
    {"text under a module's glob", module_glob, MILLION},
    {"keys of a file", key_lines, 1u << 17},
    {"faults of a file", key_faults, MILLION},
    {"text of an audit record", notice, 1u << 14},
};

static uint64_t cost(void (*run)(size_t n), size_t n)
{
	len = 0;
	arena_init(&arena, NULL);
	/* Making the input is linear and small beside reading it. */
	counted_reset();
	run(n);
	uint64_t work = counted();
	arena_deinit(&arena);
	return work;
}

int main(void)
{
	unsigned bad = 0;

	text = malloc(ROOM);
	if (!text)
		return 1;
	if (cost(utf8, 1024) == 0) {
		printf("this compiler counts no branches: skipped\n");
		return 77;
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t last = cost(cases[i].run, cases[i].most / 8);
		double worst = 0;

		for (size_t n = 4; n > 0; n /= 2) {
			uint64_t now = cost(cases[i].run, cases[i].most / n);
			double ratio = (double)now / (double)last;
			worst = ratio > worst ? ratio : worst;
			last = now;
		}
		printf("%-34s %10zu %12llu %.2f%s\n", cases[i].name, cases[i].most,
		       (unsigned long long)last, worst, worst < 2.3 ? "" : "  too much");
		bad += worst >= 2.3;
	}
	free(text);
	return bad > 0;
}
