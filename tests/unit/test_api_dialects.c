/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The other dialects: the paths of Anthropic and KServe, what no api knows, models in forms, and
 * the usage of Anthropic's answers wherever they are cut or broken off.
 */
#include "api_ask.h"

#define S(lit)                                                                                     \
	{                                                                                          \
		lit, sizeof(lit) - 1                                                               \
	}
#define ROUTE(path_, api_)                                                                         \
	{                                                                                          \
		.path = S(path_), .prefix = true, .api = S(api_)                                   \
	}
static const struct conf_route anthropic = ROUTE("/v1/", "anthropic");
static const struct conf_route kserve = ROUTE("/", "kserve");
static const struct conf_route openai = ROUTE("/v1/", "openai");

struct row {
	const char *method;
	const char *target;
	int status;
	const char *detail; /* action, or Allow of a 405 */
	const char *model;
	const char *version;
	bool reads_body;
};

static void table_is(const struct conf_route *route, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct row *r = &rows[i];
		int status = ask(route, r->method, r->target, "");

		if (status != r->status)
			fprintf(stderr, "\n%s %s: %d\n", r->method, r->target, status);
		CU_ASSERT_EQUAL(status, r->status);
		CU_ASSERT_EQUAL(call.reads_body, r->reads_body);
		if (status == 0) {
			CU_ASSERT(is(call.action, r->detail));
			CU_ASSERT(is(call.resource_type, "model"));
			CU_ASSERT(is(call.model, r->model));
			CU_ASSERT(is(call.version, r->version));
		} else {
			CU_ASSERT_PTR_NOT_NULL(why);
			CU_ASSERT(is(str_of(allow), r->detail));
		}
	}
}

#define OK0 NULL, NULL, false
static const struct row anthropic_rows[] = {
    {"POST", "/v1/messages", 0, "predict", NULL, NULL, true},
    {"POST", "/v1/messages?beta=true", 0, "predict", NULL, NULL, true},
    {"POST", "/v1/messages/count_tokens", 0, "predict", NULL, NULL, true},
    {"GET", "/v1/models", 0, "read", OK0},
    {"HEAD", "/v1/models/claude-x", 0, "read", "claude-x", NULL, false},
    {"GET", "/v1/messages", 405, "POST", OK0},
    {"DELETE", "/v1/models/m", 405, "GET, HEAD", OK0},
    {"POST", "/v1/messages/", 404, NULL, OK0},
    {"POST", "/v1/messages/batches", 404, NULL, OK0},
    {"POST", "/v1/complete", 404, NULL, OK0},
    {"GET", "/v1/models/", 404, NULL, OK0},
    {"GET", "/v1/models/a/b", 404, NULL, OK0},
    {"GET", "/v1/models/a%2Fb", 400, NULL, OK0},
    {"GET", "/v1/models/%FF", 400, NULL, OK0},
    {"POST", "/v1/chat/completions", 404, NULL, OK0},
};

static void anthropic_table(void)
{
	static const struct conf_route deep = ROUTE("/anthropic/", "anthropic");

	table_is(&anthropic, anthropic_rows, sizeof(anthropic_rows) / sizeof(anthropic_rows[0]));
	CU_ASSERT_EQUAL(call.dialect, API_ANTHROPIC);
	CU_ASSERT_EQUAL(ask(&deep, "POST", "/anthropic/v1/messages", ""), 0);
	CU_ASSERT_EQUAL(ask(&deep, "POST", "/anthropic/messages", ""), 0);
	CU_ASSERT_EQUAL(ask(&deep, "POST", "/anthropic/x/messages", ""), 404);
	CU_ASSERT_EQUAL(ask(&anthropic, "POST", "/v1/messages", "Content-Type: text/plain\r\n"),
	                415);
}

static const struct row kserve_rows[] = {
    {"GET", "/v1/models", 0, "read", OK0},
    {"GET", "/v1/models/m", 0, "read", "m", NULL, false},
    {"HEAD", "/v1/models/m", 0, "read", "m", NULL, false},
    {"POST", "/v1/models/m:predict", 0, "predict", "m", NULL, false},
    {"POST", "/v1/models/m:explain", 0, "predict", "m", NULL, false},
    {"POST", "/v1/models/m:classify", 0, "predict", "m", NULL, false},
    {"POST", "/v1/models/m:regress", 0, "predict", "m", NULL, false},
    {"POST", "/v1/models/m/versions/3:predict", 0, "predict", "m", "3", false},
    {"POST", "/v1/models/m/labels/canary:predict", 0, "predict", "m", "canary", false},
    {"GET", "/v1/models/m/versions/3", 0, "read", "m", "3", false},
    {"GET", "/v1/models/m/metadata", 0, "read", "m", NULL, false},
    {"GET", "/v1/models/m/labels/l/metadata", 0, "read", "m", "l", false},
    {"GET", "/v1/models/a%20b", 0, "read", "a b", NULL, false},
    {"GET", "/v1/models/m:predict", 405, "POST", OK0},
    {"POST", "/v1/models/m", 405, "GET, HEAD", OK0},
    {"PUT", "/v1/models/m:predict", 405, "POST", OK0},
    {"POST", "/v1/models/m:PREDICT", 404, NULL, OK0},
    {"POST", "/v1/models/m:generate", 404, NULL, OK0},
    {"POST", "/v1/models/:predict", 404, NULL, OK0},
    {"POST", "/v1/models/a:predict:predict", 404, NULL, OK0},
    {"POST", "/v1/models/m:", 404, NULL, OK0},
    {"POST", "/v1/models/m:predict/", 404, NULL, OK0},
    {"POST", "/v1/models/m:predict/versions/1", 404, NULL, OK0},
    {"POST", "/v1/models/m/versions:predict", 404, NULL, OK0},
    {"POST", "/v1/models/m/metadata:predict", 404, NULL, OK0},
    {"POST", "/v1/models:predict", 404, NULL, OK0},
    {"GET", "/v1/models/m/versions", 404, NULL, OK0},
    {"GET", "/v1/models/m/other/1", 404, NULL, OK0},
    {"GET", "/v1/models/", 404, NULL, OK0},
    {"GET", "/v1/models/m/", 404, NULL, OK0},
    {"GET", "/v1/models/a%3Apredict", 400, NULL, OK0},
    {"POST", "/v1/models/m/versions/1%3Apredict:predict", 400, NULL, OK0},
    {"POST", "/v1/models/a%2Fb:predict", 400, NULL, OK0},
    {"GET", "/v1", 404, NULL, OK0},
    {"GET", "/v2", 0, "read", OK0},
    {"GET", "/v2/", 404, NULL, OK0},
    {"GET", "/v2/health/live", 0, "read", OK0},
    {"GET", "/v2/health/ready", 0, "read", OK0},
    {"GET", "/v2/health/other", 404, NULL, OK0},
    {"GET", "/v2/health", 404, NULL, OK0},
    {"GET", "/v2/models", 0, "read", OK0},
    {"GET", "/v2/models/stats", 0, "read", OK0},
    {"GET", "/v2/models/m", 0, "read", "m", NULL, false},
    {"GET", "/v2/models/a:b", 0, "read", "a:b", NULL, false},
    {"GET", "/v2/models/m/ready", 0, "read", "m", NULL, false},
    {"GET", "/v2/models/m/config", 0, "read", "m", NULL, false},
    {"GET", "/v2/models/m/stats", 0, "read", "m", NULL, false},
    {"GET", "/v2/models/m/versions/1", 0, "read", "m", "1", false},
    {"GET", "/v2/models/m/versions/1/ready", 0, "read", "m", "1", false},
    {"GET", "/v2/models/m/versions/1/stats", 0, "read", "m", "1", false},
    {"POST", "/v2/models/m/infer", 0, "predict", "m", NULL, false},
    {"POST", "/v2/models/m/generate", 0, "predict", "m", NULL, false},
    {"POST", "/v2/models/m/generate_stream", 0, "predict", "m", NULL, false},
    {"POST", "/v2/models/m/versions/v%201/infer", 0, "predict", "m", "v 1", false},
    {"POST", "/v2/models/infer/infer", 0, "predict", "infer", NULL, false},
    {"POST", "/v2/models/versions/versions/versions/infer", 0, "predict", "versions", "versions",
     false},
    {"GET", "/v2/models/m/infer", 405, "POST", OK0},
    {"POST", "/v2/models/m/ready", 405, "GET, HEAD", OK0},
    {"POST", "/v2/models/m/infer/", 404, NULL, OK0},
    {"POST", "/v2/models/m/explain", 404, NULL, OK0},
    {"POST", "/v2/models/m/versions/infer", 405, "GET, HEAD", OK0},
    {"POST", "/v2/models/m/versions/1/load", 404, NULL, OK0},
    {"POST", "/v2/models/m/trace/setting", 404, NULL, OK0},
    {"POST", "/v2/repository/index", 0, "manage", OK0},
    {"POST", "/v2/repository/r/index", 0, "manage", OK0},
    {"POST", "/v2/repository/models/m/load", 0, "manage", "m", NULL, false},
    {"POST", "/v2/repository/models/m/unload", 0, "manage", "m", NULL, false},
    {"POST", "/v2/repository/r/models/m/load", 0, "manage", "m", NULL, false},
    {"POST", "/v2/repository/models/index/load", 0, "manage", "index", NULL, false},
    {"GET", "/v2/repository/index", 405, "POST", OK0},
    {"POST", "/v2/repository/models/m", 404, NULL, OK0},
    {"POST", "/v2/repository/models/m/delete", 404, NULL, OK0},
    {"POST", "/v2/systemsharedmemory/region/x/register", 404, NULL, OK0},
    {"GET", "/v3/models/m", 404, NULL, OK0},
    {"GET", "/", 404, NULL, OK0},
    {"GET", "/v2/models/m/versions/1/ready/a/b/c/d", 404, NULL, OK0},
};

static void kserve_table(void)
{
	static const struct conf_route deep = ROUTE("/v1/triton/", "kserve");
	static const struct conf_route part = ROUTE("/v2/models/", "kserve");

	table_is(&kserve, kserve_rows, sizeof(kserve_rows) / sizeof(kserve_rows[0]));
	CU_ASSERT_EQUAL(call.dialect, API_PLAIN);
	CU_ASSERT_EQUAL(ask(&deep, "POST", "/v1/triton/v2/models/m/infer", ""), 0);
	CU_ASSERT(is(call.model, "m"));
	CU_ASSERT_EQUAL(ask(&deep, "POST", "/v1/triton/models/m/infer", ""), 404);
	CU_ASSERT_EQUAL(ask(&part, "POST", "/v2/models/v2/infer", ""), 0);
	CU_ASSERT(is(call.model, "v2"));
}

static void what_no_api_knows(void)
{
	static const char *const apis[] = {"openai", "anthropic", "kserve"};

	for (unsigned i = 0; i < 3; i++) {
		struct conf_route r = ROUTE("/", "");

		r.api = str_of(apis[i]);
		CU_ASSERT_EQUAL(ask(&r, "POST", "/metrics", ""), 404);
		r.allow_unknown = STR("manage");
		CU_ASSERT_EQUAL(ask(&r, "PATCH", "/metrics", ""), 0);
		CU_ASSERT(is(call.action, "manage"));
		CU_ASSERT(is(call.resource_type, "unknown"));
		CU_ASSERT(is(call.model, NULL));
		CU_ASSERT(is(call.version, NULL));
		CU_ASSERT_FALSE(call.reads_body);
		CU_ASSERT(api_settled(&call));
		/* What is known keeps its rules. */
		CU_ASSERT_EQUAL(ask(&r, "PUT", "/v1/models", ""), 405);
		CU_ASSERT_EQUAL(ask(&r, "POST", "/a%2Fb", ""), 400);
		CU_ASSERT_EQUAL(ask(&r, "TRACE", "/metrics", ""), 404);
		CU_ASSERT_EQUAL(ask(&r, "CONNECT", "/metrics", ""), 404);
	}
}

/* ---- forms ---- */
#define FORM "Content-Type: multipart/form-data; boundary=b\r\n"
#define URL "Content-Type: application/x-www-form-urlencoded\r\n"
#define MODEL "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n"

static const char *body(const char *text)
{
	const char *refused = api_body_feed(&call, str_of(text));

	return refused ? refused : api_body_end(&call);
}

static void openai_forms(void)
{
	static const char *const paths[] = {"/v1/audio/transcriptions", "/v1/audio/translations",
	                                    "/v1/images/edits", "/v1/images/variations"};

	for (unsigned i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(ask(&openai, "POST", paths[i], FORM), 0);
		CU_ASSERT_PTR_NULL(body(MODEL "whisper\r\n--b--\r\n"));
		CU_ASSERT(is(call.model, "whisper"));
		CU_ASSERT_EQUAL(ask(&openai, "POST", paths[i], FORM), 0);
		CU_ASSERT_PTR_NOT_NULL(body(MODEL "\r\n--b--\r\n"));
		CU_ASSERT_STRING_EQUAL(api_body_code(&call), "invalid_form");
		/* It is required of audio only. */
		CU_ASSERT_EQUAL(ask(&openai, "POST", paths[i], FORM), 0);
		CU_ASSERT_EQUAL(body("--b--") != NULL, i < 2);
		CU_ASSERT_EQUAL(ask(&openai, "POST", paths[i], URL), 415);
		CU_ASSERT_EQUAL(ask(&openai, "POST", paths[i], "Content-Type: multipart/mixed\r\n"),
		                415);
		CU_ASSERT_EQUAL(
		    ask(&openai, "POST", paths[i], "Content-Type: multipart/form-data\r\n"), 400);
		CU_ASSERT_EQUAL(ask(&openai, "POST", paths[i], FORM "Content-Encoding: gzip\r\n"),
		                415);
	}
	CU_ASSERT_EQUAL(ask(&openai, "POST", "/v1/audio/speech", FORM), 415);
	CU_ASSERT_EQUAL(ask(&openai, "POST", "/v1/files", FORM), 0);
	CU_ASSERT_FALSE(call.reads_body);
}

static void rest_forms(void)
{
	static struct conf_rule rules[] = {{.path = S("/b"),
	                                    .action = S("predict"),
	                                    .model_from = FROM_BODY,
	                                    .model = S("model"),
	                                    .resource_type = S("model")}};
	static const struct conf_route rest = {
	    .path = S("/"), .prefix = true, .api = S("rest"), .rules = rules, .nrules = 1};

	CU_ASSERT_EQUAL(ask(&rest, "POST", "/b", URL), 0);
	CU_ASSERT_PTR_NULL(body("x=1&model=a+b"));
	CU_ASSERT(is(call.model, "a b"));
	CU_ASSERT_EQUAL(ask(&rest, "POST", "/b", URL), 0);
	CU_ASSERT_PTR_NOT_NULL(body("model=%FF"));
	CU_ASSERT_EQUAL(ask(&rest, "POST", "/b", URL), 0);
	CU_ASSERT_PTR_NOT_NULL(body("model=%EF%BB%BFm"));
	CU_ASSERT_EQUAL(ask(&rest, "POST", "/b", URL), 0);
	CU_ASSERT_PTR_NOT_NULL(body("x=1"));
	CU_ASSERT_EQUAL(ask(&rest, "POST", "/b", FORM), 0);
	CU_ASSERT_PTR_NULL(body(MODEL "m\r\n--b--"));
	CU_ASSERT(is(call.model, "m"));
	CU_ASSERT_EQUAL(ask(&rest, "POST", "/b", ""), 0);
	CU_ASSERT_PTR_NULL(body("{\"model\":\"j\"}"));
	CU_ASSERT(is(call.model, "j"));
	CU_ASSERT_EQUAL(ask(&rest, "POST", "/b", "Content-Type: text/csv\r\n"), 415);
	CU_ASSERT_EQUAL(
	    ask(&rest, "POST", "/b", "Content-Type: multipart/form-data\t; boundary=b\r\n"), 415);
	CU_ASSERT_EQUAL(ask(&rest, "POST", "/b",
	                    "Content-Type: application/x-www-form-urlencoded; charset=utf-16\r\n"),
	                415);
}

/* The model is decided on when its part ends; what ends the form waits. */
static void forms_settle(void)
{
	struct str first = STR(MODEL "m\r\n--b");
	struct str rest = STR("--\r\n");

	CU_ASSERT_EQUAL(ask(&openai, "POST", "/v1/audio/translations", FORM), 0);
	CU_ASSERT_FALSE(api_settled(&call));
	CU_ASSERT_PTR_NULL(api_body_feed(&call, (struct str){first.p, first.n - 1}));
	CU_ASSERT_FALSE(api_settled(&call));
	CU_ASSERT_PTR_NULL(api_body_feed(&call, STR("b")));
	CU_ASSERT(api_settled(&call));
	CU_ASSERT_EQUAL(api_releasable(&call, first.n), first.n - 1);
	CU_ASSERT_PTR_NULL(api_body_feed(&call, rest));
	CU_ASSERT_EQUAL(api_releasable(&call, first.n + rest.n), first.n);
	CU_ASSERT_PTR_NULL(api_body_end(&call));
	/* An optional one may come with the last part. */
	CU_ASSERT_EQUAL(ask(&openai, "POST", "/v1/images/edits", FORM), 0);
	CU_ASSERT_PTR_NULL(api_body_feed(&call, STR("--b--")));
	CU_ASSERT_FALSE(api_settled(&call));
	CU_ASSERT_PTR_NULL(api_body_end(&call));
}

/* ---- usage ---- */
static const char stream[] =
    "event: message_start\n"
    "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":25,"
    "\"output_tokens\":1}}}\n\n"
    "event: ping\ndata: {\"type\":\"ping\"}\n\n"
    "event: content_block_delta\r\ndata: {\"delta\":{\"text\":\"\\\"usage\\\": {\"}}\r\n\r\n"
    "event: message_delta\n"
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"
    "\"usage\":{\"output_tokens\":15}}\n\n"
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

static void respond(const char *type, struct str text, size_t first)
{
	CU_ASSERT_EQUAL(ask(&anthropic, "POST", "/v1/messages", ""), 0);
	api_response_begin(&call, 200, str_of(type), false);
	api_response_feed(&call, (struct str){text.p, first});
	api_response_feed(&call, (struct str){text.p + first, text.n - first});
	api_response_end(&call);
	api_call_deinit(&call);
}

static void anthropic_usage(void)
{
	const struct str whole = {stream, sizeof(stream) - 1};
	const struct str message = STR("{\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}");

	for (size_t cut = 0; cut <= whole.n; cut++) {
		respond("text/event-stream; charset=utf-8", whole, cut);
		CU_ASSERT_EQUAL(call.tokens_in, 25);
		CU_ASSERT_EQUAL(call.tokens_out, 15);
	}
	for (size_t cut = 0; cut <= message.n; cut++) {
		respond("application/json", message, cut);
		CU_ASSERT_EQUAL(call.tokens_in, 3);
		CU_ASSERT_EQUAL(call.tokens_out, 4);
	}
}

/* Of a stream that broke off what its events told until then. */
static void anthropic_broken_off(void)
{
	const size_t start = (size_t)(strstr(stream, "\n\n") - stream) + 2;
	const char *delta = strstr(stream, "event: message_delta");
	const size_t end = (size_t)(strstr(delta, "\n\n") - stream) + 2;

	for (size_t n = 0; n < sizeof(stream); n++) {
		respond("text/event-stream", (struct str){stream, n}, n / 2);
		CU_ASSERT_EQUAL(call.tokens_in, n < start ? -1 : 25);
		CU_ASSERT_EQUAL(call.tokens_out, n < start ? -1 : n < end ? 1 : 15);
	}
	arena_deinit(&arena);
}

UNIT_MAIN("api dialects", UNIT(anthropic_table), UNIT(kserve_table), UNIT(what_no_api_knows),
          UNIT(openai_forms), UNIT(rest_forms), UNIT(forms_settle), UNIT(anthropic_usage),
          UNIT(anthropic_broken_off))
