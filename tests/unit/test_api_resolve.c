/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * From a request to action and model: the table of the OpenAI endpoints, the rules of rest routes,
 * and bodies that may not be read.
 */
#include "api_ask.h"

static struct conf_route openai = {.path = {"/v1/", 4}, .prefix = true, .api = {"openai", 6}};

static const struct {
	const char *method;
	const char *target;
	int status;
	const char *detail; /* action, or Allow of a 405 */
	const char *resource;
	const char *model;
	bool reads_body;
} table[] = {
    {"POST", "/v1/chat/completions", 0, "predict", "model", NULL, true},
    {"POST", "/v1/chat/completions?x=1", 0, "predict", "model", NULL, true},
    {"POST", "/v1/completions", 0, "predict", "model", NULL, true},
    {"POST", "/v1/embeddings", 0, "predict", "model", NULL, true},
    {"POST", "/v1/responses", 0, "predict", "model", NULL, true},
    {"POST", "/v1/images/generations", 0, "predict", "model", NULL, true},
    {"POST", "/v1/audio/speech", 0, "predict", "model", NULL, true},
    {"POST", "/v1/moderations", 0, "predict", "model", NULL, true},
    {"GET", "/v1/models", 0, "read", "model", NULL, false},
    {"HEAD", "/v1/models", 0, "read", "model", NULL, false},
    {"GET", "/v1/models/gpt-4o", 0, "read", "model", "gpt-4o", false},
    {"GET", "/v1/models/org%2Fname", 0, "read", "model", "org/name", false},
    {"GET", "/v1/models/org/name", 0, "read", "model", "org/name", false},
    {"GET", "/v1/models/a%20b", 0, "read", "model", "a b", false},
    {"DELETE", "/v1/models/ft:x", 0, "delete", "model", "ft:x", false},
    {"GET", "/v1/responses/r1", 0, "read", "model", NULL, false},
    {"GET", "/v1/responses/r1/input_items", 0, "read", "model", NULL, false},
    {"DELETE", "/v1/responses/r1", 0, "delete", "model", NULL, false},
    {"GET", "/v1/fine_tuning/jobs", 0, "read", "training_job", NULL, false},
    {"POST", "/v1/fine_tuning/jobs", 0, "train", "training_job", NULL, true},
    {"GET", "/v1/fine_tuning/jobs/j/events", 0, "read", "training_job", NULL, false},
    {"POST", "/v1/fine_tuning/jobs/j/cancel", 0, "train", "training_job", NULL, false},
    {"GET", "/v1/batches", 0, "read", "batch", NULL, false},
    {"POST", "/v1/batches", 0, "train", "batch", NULL, false},
    {"POST", "/v1/batches/b/cancel", 0, "train", "batch", NULL, false},
    {"GET", "/v1/files", 0, "read", "file", NULL, false},
    {"GET", "/v1/files/f/content", 0, "read", "file", NULL, false},
    {"DELETE", "/v1/files/f", 0, "delete", "file", NULL, false},
    {"POST", "/v1/files", 0, "write", "file", NULL, false},
    {"POST", "/v1/files/f", 405, "GET, HEAD, DELETE", NULL, NULL, false},
    {"POST", "/v1/images/edits", 0, "predict", "model", NULL, true},
    {"POST", "/v1/images/variations", 415, NULL, NULL, NULL, false},
    {"POST", "/v1/audio/transcriptions", 415, NULL, NULL, NULL, false},
    {"POST", "/v1/audio/translations", 415, NULL, NULL, NULL, false},
    {"GET", "/v1/audio/translations", 405, "POST", NULL, NULL, false},
    {"POST", "/v1/responses/compact", 0, "predict", "model", NULL, true},
    {"POST", "/v1/responses/input_tokens", 0, "predict", "model", NULL, true},
    {"POST", "/v1/chat/completions/", 404, NULL, NULL, NULL, false},
    {"POST", "/v1/chat", 404, NULL, NULL, NULL, false},
    {"POST", "/v1/CHAT/completions", 404, NULL, NULL, NULL, false},
    {"GET", "/v1/", 404, NULL, NULL, NULL, false},
    {"GET", "/v1/models/", 404, NULL, NULL, NULL, false},
    {"GET", "/v1/secrets", 404, NULL, NULL, NULL, false},
    {"GET", "/v1/chat/completions", 405, "POST", NULL, NULL, false},
    {"PUT", "/v1/chat/completions", 405, "POST", NULL, NULL, false},
    {"OPTIONS", "/v1/models", 405, "GET, HEAD", NULL, NULL, false},
    {"POST", "/v1/models", 405, "GET, HEAD", NULL, NULL, false},
    {"POST", "/v1/models/m", 405, "GET, HEAD, DELETE", NULL, NULL, false},
    {"DELETE", "/v1/batches/b", 405, "GET, HEAD, POST", NULL, NULL, false},
    {"POST", "/v1/responses/r1/cancel", 405, "GET, HEAD, DELETE", NULL, NULL, false},
    {"POST", "/v1/chat%2Fcompletions", 400, NULL, NULL, NULL, false},
    {"GET", "/v1/files/a%2Fb", 400, NULL, NULL, NULL, false},
    {"GET", "/v1/models/a%0Ab", 400, NULL, NULL, NULL, false},
    {"GET", "/v1/models/%FF", 400, NULL, NULL, NULL, false},
};

static void openai_table(void)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int status = ask(&openai, table[i].method, table[i].target, "");

		if (status != table[i].status)
			fprintf(stderr, "\n%s %s: %d\n", table[i].method, table[i].target, status);
		CU_ASSERT_EQUAL(status, table[i].status);
		CU_ASSERT_EQUAL(call.reads_body, table[i].reads_body);
		CU_ASSERT_EQUAL(call.dialect, API_OPENAI);
		if (status == 0) {
			CU_ASSERT(is(call.action, table[i].detail));
			CU_ASSERT(is(call.resource_type, table[i].resource));
			CU_ASSERT(is(call.model, table[i].model));
		} else {
			CU_ASSERT_PTR_NOT_NULL(why);
			CU_ASSERT(is(str_of(allow), table[i].detail));
		}
	}
}

static void openai_other_prefixes(void)
{
	static const struct conf_route deep = {
	    .path = {"/openai/v1/", 11}, .prefix = true, .api = {"openai", 6}};
	static const struct conf_route plain = {
	    .path = {"/openai/", 8}, .prefix = true, .api = {"openai", 6}};
	static const struct conf_route exact = {.path = {"/v1/embeddings", 14},
	                                        .api = {"openai", 6}};

	CU_ASSERT_EQUAL(ask(&deep, "POST", "/openai/v1/embeddings", ""), 0);
	CU_ASSERT_EQUAL(ask(&plain, "POST", "/openai/embeddings", ""), 0);
	CU_ASSERT_EQUAL(ask(&plain, "POST", "/openai/v1/embeddings", ""), 0);
	CU_ASSERT_EQUAL(ask(&exact, "POST", "/v1/embeddings", ""), 0);
	CU_ASSERT_EQUAL(ask(&plain, "POST", "/openai/v1/v1/embeddings", ""), 404);
	CU_ASSERT_EQUAL(ask(&plain, "POST", "/openai/other", ""), 404);
}

static void media_types(void)
{
	static const struct {
		const char *fields;
		int status;
	} cases[] = {
	    {"", 0},
	    {"Content-Type: application/json\r\n", 0},
	    {"Content-Type: Application/JSON; charset=utf-8\r\n", 0},
	    {"Content-Type: application/vnd.x+json\r\n", 0},
	    {"Content-Type: application/json ; a=b ; Charset = \"UTF-8\"\r\n", 0},
	    {"Content-Type: application/json; charset\r\n", 415},
	    {"Content-Type: application/json; charset=utf-7\r\n", 415},
	    {"Content-Type: application/json; a=b; charset=utf-16\r\n", 415},
	    {"Content-Type: application/json; charset=utf-8; charset=utf-7\r\n", 415},
	    {"Content-Type: text/plain\r\n", 415},
	    {"Content-Type: +json\r\n", 415},
	    {"Content-Type: application/x-www-form-urlencoded,a/b+json\r\n", 415},
	    {"Content-Type: multipart/form-data a/b+json\r\n", 415},
	    {"Content-Type: application/json\t; charset=utf-8\r\n", 415},
	    {"Content-Type: application/jsonp\r\n", 415},
	    {"Content-Type: multipart/form-data; boundary=json\r\n", 415},
	    {"Content-Type: application/x-www-form-urlencoded\r\n", 415},
	    {"Content-Type: application/json\r\nContent-Type: application/json\r\n", 415},
	    {"Content-Encoding: identity\r\n", 0},
	    {"Content-Encoding: gzip\r\n", 415},
	    {"Content-Encoding: identity, gzip\r\n", 415},
	    {"Content-Encoding: identity\r\nContent-Encoding: gzip\r\n", 415},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int status = ask(&openai, "POST", "/v1/embeddings", cases[i].fields);

		if (status != cases[i].status)
			fprintf(stderr, "\n%s: %d\n", cases[i].fields, status);
		CU_ASSERT_EQUAL(status, cases[i].status);
		CU_ASSERT_EQUAL(call.reads_body, status == 0);
	}
	/* Not read, so it may be anything. */
	CU_ASSERT_EQUAL(ask(&openai, "POST", "/v1/batches", "Content-Type: text/plain\r\n"), 0);
}

#define S(lit)                                                                                     \
	{                                                                                          \
		lit, sizeof(lit) - 1                                                               \
	}
static struct conf_rule rules[] = {
    {.method = S("POST"),
     .path = S("/predict"),
     .action = S("predict"),
     .model_from = FROM_FIXED,
     .model = S("fraud"),
     .resource_type = S("model")},
    {.method = S("POST"),
     .path = S("/m/*/infer"),
     .action = S("predict"),
     .model_from = FROM_PATH,
     .segment = 2,
     .resource_type = S("model")},
    {.method = S("POST"),
     .path = S("/h"),
     .action = S("predict"),
     .model_from = FROM_HEADER,
     .model = S("X-Model"),
     .resource_type = S("model")},
    {.method = S("PUT"),
     .path = S("/b"),
     .action = S("train"),
     .model_from = FROM_BODY,
     .model = S("job.model"),
     .resource_type = S("job")},
    {.method = S("GET"), .path = S("/b"), .action = S("read"), .resource_type = S("job")},
    {.path = S("/any*"), .action = S("read"), .resource_type = S("model")},
    {.method = S("POST"),
     .path = S("/p"),
     .action = S("predict"),
     .model_from = FROM_PATH,
     .segment = 9,
     .resource_type = S("model")},
};
static const struct conf_route rest = {.path = S("/"),
                                       .prefix = true,
                                       .api = S("rest"),
                                       .rules = rules,
                                       .nrules = sizeof(rules) / sizeof(rules[0])};

static void rest_rules(void)
{
	CU_ASSERT_EQUAL(ask(&rest, "POST", "/predict", ""), 0);
	CU_ASSERT(is(call.action, "predict"));
	CU_ASSERT(is(call.model, "fraud"));
	CU_ASSERT(api_settled(&call));
	CU_ASSERT_EQUAL(call.dialect, API_PLAIN);
	CU_ASSERT_EQUAL(ask(&rest, "POST", "/m/fraud%20v2/infer", ""), 0);
	CU_ASSERT(is(call.model, "fraud v2"));
	CU_ASSERT_EQUAL(ask(&rest, "POST", "/m/a%2Fb/infer", ""), 400);
	CU_ASSERT_EQUAL(ask(&rest, "POST", "/p", ""), 400);
	CU_ASSERT_EQUAL(ask(&rest, "DELETE", "/anything", ""), 0);
	CU_ASSERT(is(call.model, NULL));
	CU_ASSERT_EQUAL(ask(&rest, "HEAD", "/b", ""), 0);
	CU_ASSERT(is(call.action, "read"));
	CU_ASSERT_EQUAL(ask(&rest, "GET", "/other", ""), 404);
	CU_ASSERT_EQUAL(ask(&rest, "GET", "/predict", ""), 405);
	CU_ASSERT(is(str_of(allow), "POST"));
	CU_ASSERT_EQUAL(ask(&rest, "POST", "/b", ""), 405);
	CU_ASSERT(is(str_of(allow), "PUT, GET, HEAD"));
}

/* A rule for any method means any that asks for an answer. */
static void rest_tunnels_nothing(void)
{
	CU_ASSERT_EQUAL(ask(&rest, "OPTIONS", "/anything", ""), 0);
	CU_ASSERT_EQUAL(ask(&rest, "CONNECT", "/anything", ""), 405);
	CU_ASSERT(is(str_of(allow), "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
	CU_ASSERT_EQUAL(ask(&rest, "TRACE", "/anything", ""), 405);
	CU_ASSERT_EQUAL(ask(&rest, "TRACE", "/other", ""), 404);
}

static void rest_header(void)
{
	CU_ASSERT_EQUAL(ask(&rest, "POST", "/h", "x-model: m1\r\n"), 0);
	CU_ASSERT(is(call.model, "m1"));
	CU_ASSERT_EQUAL(ask(&rest, "POST", "/h", ""), 400);
	CU_ASSERT_EQUAL(ask(&rest, "POST", "/h", "X-Model:\r\n"), 400);
	CU_ASSERT_EQUAL(ask(&rest, "POST", "/h", "X-Model: a\r\nx-model: a\r\n"), 400);
	CU_ASSERT_EQUAL(ask(&rest, "POST", "/h", "X-Model: \xff\r\n"), 400);
}

static void rest_body(void)
{
	const char *text = "{\"model\":\"no\",\"job\":{\"model\":\"yes\"}}";

	CU_ASSERT_EQUAL(ask(&rest, "PUT", "/b", ""), 0);
	CU_ASSERT(call.reads_body && call.model_in_body);
	CU_ASSERT_FALSE(api_settled(&call));
	CU_ASSERT_PTR_NULL(api_body_feed(&call, str_of(text)));
	CU_ASSERT(is(call.model, "yes"));
	CU_ASSERT_PTR_NULL(api_body_end(&call));
}

static void unknown_api(void)
{
	static const struct conf_route r = {.path = S("/"), .prefix = true, .api = S("soap")};

	CU_ASSERT_EQUAL(ask(&r, "GET", "/", ""), 404);
	CU_ASSERT_EQUAL(api_dialect_of(NULL), API_PLAIN);
	CU_ASSERT_EQUAL(api_dialect_of(&r), API_PLAIN);
	CU_ASSERT_EQUAL(api_dialect_of(&openai), API_OPENAI);
	arena_deinit(&arena);
}

UNIT_MAIN("api resolve", UNIT(openai_table), UNIT(openai_other_prefixes), UNIT(media_types),
          UNIT(rest_rules), UNIT(rest_tunnels_nothing), UNIT(rest_header), UNIT(rest_body),
          UNIT(unknown_api))
