/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Bodies as an api sees them: the model of a request and when it is settled, the usage of a
 * response, and the words of an error.
 */
#include "unit.h"

#include "api/api.h"
#include "http/parse.h"

static struct arena arena;
static struct api_call call;
static const char *why;

static void begin(const char *target)
{
	static const struct conf_route route = {
	    .path = {"/v1/", 4}, .prefix = true, .api = {"openai", 6}};
	static char text[256];
	static struct http_parser p;
	static struct http_head head;
	struct url url;
	const char *allow;
	int n = snprintf(text, sizeof(text), "POST %s HTTP/1.1\r\nHost: a\r\n\r\n", target);

	arena_init(&arena, NULL);
	http_parser_init(&p, false, sizeof(text));
	CU_ASSERT_FATAL(http_parse(&p, text, (size_t)n, &arena, &head) == HTTP_DONE);
	CU_ASSERT_FATAL(url_parse(head.target, false, &arena, &url, &why) == 0);
	CU_ASSERT_FATAL(api_resolve(&route, &head, &url, &arena, &call, &allow, &why) == 0);
}

static void end(void)
{
	api_call_deinit(&call);
	arena_deinit(&arena);
}

static const char *whole(const char *target, const char *text)
{
	const char *refused;

	begin(target);
	refused = api_body_feed(&call, str_of(text));
	if (!refused)
		refused = api_body_end(&call);
	end();
	return refused;
}

static void refuses(const char *target, const char *text, const char *expected)
{
	const char *refused = whole(target, text);

	if ((refused && !expected) || !refused != !expected ||
	    (refused && strcmp(refused, expected) != 0))
		fprintf(stderr, "\n%s: %s\n", text, refused ? refused : "accepted");
	if (expected)
		CU_ASSERT(refused && strcmp(refused, expected) == 0)
	else
		CU_ASSERT_PTR_NULL(refused)
}

static void request_models(void)
{
	const char *duplicate = json_strerror(JSON_E_DUPLICATE);
	const char *type = json_strerror(JSON_E_TYPE);
	const char *name = "invalid model name";
	const char *none = "the body names no model";
	const struct {
		const char *text;
		const char *why;
	} cases[] = {
	    {"{\"model\":\"m\"}", NULL},
	    {"{\"messages\":[{\"model\":\"no\"}],\"model\":\"m\"}", NULL},
	    {"{\"model\":\"m\",\"model\":\"n\"}", duplicate},
	    {"{\"model\":\"m\",\"mod\\u0065l\":\"n\"}", duplicate},
	    {"{\"model\":5}", type},
	    {"{\"model\":null}", type},
	    {"{\"model\":\"\"}", name},
	    {"{\"model\":\"a\\u0000b\"}", name},
	    {"{\"model\":\"a\\nb\"}", name},
	    {"{}", none},
	    {"[{\"model\":\"m\"}]", json_strerror(JSON_E_NOT_OBJECT)},
	    {"{\"model\":\"m\"} x", json_strerror(JSON_E_TRAILING)},
	    {"{\"model\":\"m\"", json_strerror(JSON_E_TRUNCATED)},
	    {"", json_strerror(JSON_E_TRUNCATED)},
	};
	char text[400] = "{\"model\":\"";

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refuses("/v1/completions", cases[i].text, cases[i].why);
	memset(text + 10, 'm', 257);
	strcpy(text + 10 + 257, "\"}");
	refuses("/v1/completions", text, json_strerror(JSON_E_LENGTH));
	strcpy(text + 10 + 256, "\"}");
	refuses("/v1/completions", text, NULL);
	refuses("/v1/moderations", "{\"input\":\"x\"}", NULL);
}

/* Settled as soon as the model is known; the last brace waits for the end. */
static void settled_early(void)
{
	struct str first = STR("{\"model\":\"m\",");
	struct str rest = STR("\"n\":1}\n");

	begin("/v1/completions");
	CU_ASSERT_FALSE(api_settled(&call));
	CU_ASSERT_PTR_NULL(api_body_feed(&call, first));
	CU_ASSERT(api_settled(&call));
	CU_ASSERT(str_eq(call.model, STR("m")));
	CU_ASSERT_STRING_EQUAL(api_body_code(&call), "invalid_json");
	CU_ASSERT_EQUAL(api_releasable(&call, first.n), first.n - 1);
	CU_ASSERT_PTR_NULL(api_body_feed(&call, rest));
	CU_ASSERT_EQUAL(api_releasable(&call, first.n + rest.n), first.n + rest.n - 2);
	CU_ASSERT_PTR_NULL(api_body_end(&call));
	CU_ASSERT_EQUAL(api_releasable(&call, first.n + rest.n), first.n + rest.n);
	end();
	/* Without a model nothing may be decided before the end, which refuses. */
	begin("/v1/completions");
	CU_ASSERT_PTR_NULL(api_body_feed(&call, STR("{}")));
	CU_ASSERT_FALSE(api_settled(&call));
	CU_ASSERT_PTR_NOT_NULL(api_body_end(&call));
	end();
	begin("/v1/moderations");
	CU_ASSERT_PTR_NULL(api_body_feed(&call, STR("{}")));
	CU_ASSERT(api_settled(&call));
	end();
	begin("/v1/batches");
	CU_ASSERT(api_settled(&call));
	CU_ASSERT_EQUAL(api_releasable(&call, 77), 77);
	end();
}

#define DONE "data: [DONE]\n\n"
static const struct {
	const char *type;
	const char *text;
	int64_t in;
	int64_t out;
} responses[] = {
    {"application/json", "{\"id\":1,\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}", 3,
     5},
    {"application/json; charset=utf-8", "{\"usage\":{\"input_tokens\":7,\"output_tokens\":0}}", 7,
     0},
    {"application/json", "{\"usage\":{\"prompt_tokens\":4,\"total_tokens\":4}}", 4, -1},
    {"application/json", "{\"usage\":null}", -1, -1},
    {"application/json", "{\"usage\":{\"prompt_tokens\":-3}}", -1, -1},
    {"application/json", "{\"usage\":{\"prompt_tokens\":1.5}}", -1, -1},
    {"application/json", "{\"usage\":{\"prompt_tokens\":\"3\"}}", -1, -1},
    {"application/json", "{\"usage\":{\"prompt_tokens\":3}", -1, -1},
    {"application/json", "not json", -1, -1},
    {"text/plain", "{\"usage\":{\"prompt_tokens\":3}}", -1, -1},
    {"text/event-stream",
     "data: {\"x\":\"usage\",\"usage\":null}\n\n"
     "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n" DONE,
     9, 2},
    {"text/event-stream",
     "data: {\"usage\": {\"prompt_tokens\":9,\"completion_tokens\":1}}\n\n"
     "data: {\"usage\" : {\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n"
     "data: {\"text\":\"usage\"}\n\n" DONE,
     9, 2},
    {"text/event-stream",
     "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":"
     "{\"usage\":{\"input_tokens\":11,\"output_tokens\":12}}}\n\n",
     11, 12},
    {"text/event-stream", "data: {\"a\":1}\n\n" DONE, -1, -1},
    {"text/event-stream", "data: {\"usage\":{\"prompt_tokens\":9", -1, -1},
    {"text/event-stream", "data: \"usage\": {\n\n", -1, -1},
};

static void respond(const char *type, const char *text, unsigned status, bool coded, size_t step)
{
	size_t n = strlen(text);

	begin("/v1/completions");
	api_response_begin(&call, status, str_of(type), coded);
	for (size_t i = 0; i < n; i += step)
		api_response_feed(&call, (struct str){text + i, n - i < step ? n - i : step});
	api_response_end(&call);
	end();
}

static void usage(void)
{
	for (size_t i = 0; i < sizeof(responses) / sizeof(responses[0]); i++) {
		for (size_t step = 1; step < 2000; step += 997) {
			respond(responses[i].type, responses[i].text, 200, false, step);
			if (call.tokens_in != responses[i].in)
				fprintf(stderr, "\n%s\n", responses[i].text);
			CU_ASSERT_EQUAL(call.tokens_in, responses[i].in);
			CU_ASSERT_EQUAL(call.tokens_out, responses[i].out);
		}
	}
	respond("application/json", responses[0].text, 200, true, 9);
	CU_ASSERT_EQUAL(call.tokens_in, -1);
	respond("application/json", responses[0].text, 500, false, 9);
	CU_ASSERT_EQUAL(call.tokens_in, -1);
}

/* An event over the ceiling is skipped; the others still count. */
static void long_event(void)
{
	static char text[70000 + 200];
	size_t n;

	strcpy(text, "data: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n"
	             "data: {\"usage\":{\"prompt_tokens\":8},\"x\":\"");
	n = strlen(text);
	memset(text + n, 'x', 70000);
	strcpy(text + n + 70000, "\"}\n\n");
	respond("text/event-stream", text, 200, false, 4096);
	CU_ASSERT_EQUAL(call.tokens_in, 1);
	CU_ASSERT_EQUAL(call.tokens_out, 2);
}

/* Memory of a stream does not grow with its events. */
static void streams_are_bounded(void)
{
	struct str event =
	    STR("data: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n");
	const char *at;

	begin("/v1/completions");
	api_response_begin(&call, 200, STR("text/event-stream"), false);
	at = arena.at;
	for (unsigned i = 0; i < 1000; i++)
		api_response_feed(&call, event);
	CU_ASSERT_PTR_EQUAL(arena.at, at);
	api_response_end(&call);
	CU_ASSERT_EQUAL(call.tokens_out, 2);
	end();
}

static void error_is(enum api_dialect d, const struct api_error *e, const char *type,
                     const char *body)
{
	struct buf b;
	struct str got;

	buf_init(&b, 4096);
	CU_ASSERT_EQUAL(api_error_body(d, e, &b, &got), 0);
	CU_ASSERT(str_eq(got, str_of(type)));
	if (!str_eq(buf_str(&b), str_of(body)))
		fprintf(stderr, "\n%.*s\n", STR_FMT(buf_str(&b)));
	CU_ASSERT(str_eq(buf_str(&b), str_of(body)));
	buf_deinit(&b);
}

static void errors(void)
{
	struct api_error e = {401, STR("invalid_api_key"), STR("a \"key\"\n\\ \x7f"), STR("r-1")};
	struct api_error limited = {429, STR_NONE, STR("slow down"), STR_NONE};
	struct api_error bare = {503, STR_NONE, STR_NONE, STR_NONE};
	struct api_error broken = {500, STR("x"), STR("\xff"), STR_NONE};

	error_is(API_OPENAI, &e, "application/json",
	         "{\"error\":{\"message\":\"a \\\"key\\\"\\u000a\\\\ \\u007f\",\"type\":"
	         "\"invalid_request_error\",\"param\":null,\"code\":\"invalid_api_key\"}}");
	error_is(API_ANTHROPIC, &e, "application/json",
	         "{\"type\":\"error\",\"error\":{\"type\":\"authentication_error\",\"message\":"
	         "\"a \\\"key\\\"\\u000a\\\\ \\u007f\"},\"request_id\":\"r-1\"}");
	error_is(API_PLAIN, &e, "application/problem+json",
	         "{\"type\":\"about:blank\",\"title\":\"Unauthorized\",\"status\":401,\"detail\":"
	         "\"a \\\"key\\\"\\u000a\\\\ \\u007f\",\"code\":\"invalid_api_key\","
	         "\"request_id\":\"r-1\"}");
	error_is(API_OPENAI, &limited, "application/json",
	         "{\"error\":{\"message\":\"slow down\",\"type\":\"requests\",\"param\":null,"
	         "\"code\":\"rate_limit_exceeded\"}}");
	error_is(API_OPENAI, &bare, "application/json",
	         "{\"error\":{\"message\":\"Service Unavailable\",\"type\":\"server_error\","
	         "\"param\":null,\"code\":null}}");
	error_is(API_ANTHROPIC, &bare, "application/json",
	         "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":"
	         "\"Service Unavailable\"},\"request_id\":null}");
	error_is(API_OPENAI, &broken, "application/json",
	         "{\"error\":{\"message\":\"\xef\xbf\xbd\",\"type\":\"server_error\",\"param\":"
	         "null,\"code\":"
	         "\"x\"}}");
}

static void error_that_does_not_fit(void)
{
	struct api_error e = {404, STR("model_not_found"), STR("no such model"), STR_NONE};
	struct str type;
	struct buf b;

	buf_init(&b, 40);
	CU_ASSERT_EQUAL(api_error_body(API_OPENAI, &e, &b, &type), BUF_E_FULL);
	buf_deinit(&b);
}

UNIT_MAIN("api body", UNIT(request_models), UNIT(settled_early), UNIT(usage), UNIT(long_event),
          UNIT(streams_are_bounded), UNIT(errors), UNIT(error_that_does_not_fit))
