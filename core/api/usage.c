/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Token usage of a response: from its JSON text, or from the last event of a stream that tells of
 * it (and, of Anthropic's, the first). The event is only kept until the end, so that a stream of
 * any length costs one scan. What is damaged, coded or too long has no usage; it is passed on all
 * the same.
 */
#include "api/apipriv.h"

#include "http/headers.h"

#define EVENT_MAX (64 * 1024)
#define NUMBER_MAX 20

/* In pairs: in, out. The first pair that is there counts. */
static const struct json_want wants[API_USAGE_WANTS] = {
    {"usage.prompt_tokens", 0, NUMBER_MAX},         {"usage.completion_tokens", 0, NUMBER_MAX},
    {"usage.input_tokens", 0, NUMBER_MAX},          {"usage.output_tokens", 0, NUMBER_MAX},
    {"response.usage.input_tokens", 0, NUMBER_MAX}, {"response.usage.output_tokens", 0, NUMBER_MAX},
    {"message.usage.input_tokens", 0, NUMBER_MAX},  {"message.usage.output_tokens", 0, NUMBER_MAX},
};

static int64_t count_of(const struct json_value *v)
{
	int64_t n;

	return v->type == JSON_NUMBER && str_i64(v->text, &n) && n >= 0 ? n : -1;
}

static void take_usage(struct api_call *c)
{
	for (unsigned i = 0; i < API_USAGE_WANTS; i += 2) {
		int64_t in = count_of(&c->usage_values[i]);
		int64_t out = count_of(&c->usage_values[i + 1]);

		if (in < 0 && out < 0)
			continue;
		/* What an earlier event of the stream said holds where this one is silent. */
		c->tokens_in = in >= 0 ? in : c->tokens_in;
		c->tokens_out = out >= 0 ? out : c->tokens_out;
		return;
	}
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Whether a key "usage" with an object stands somewhere in the text; the scan at the end says
 * whether it is the one. Most events have none, or null. */
static bool tells_usage(struct str data)
{
	static const struct str key = {"\"usage\"", 7};
	const char *end = data.p + data.n;
	const char *at = data.p;

	while ((at = json_find((struct str){at, (size_t)(end - at)}, key)) != NULL) {
		at += key.n;
		while (at < end && is_space(*at))
			at++;
		if (at == end || *at != ':')
			continue;
		at++;
		while (at < end && is_space(*at))
			at++;
		if (at < end && *at == '{')
			return true;
	}
	return false;
}

static void on_event(void *arg, struct str data)
{
	struct api_call *c = arg;

	if (data.n == 0 || !tells_usage(data))
		return;
	/* Anthropic tells of the input at the stream's begin and of the output at its end. */
	if (c->dialect == API_ANTHROPIC && c->usage_first.n == 0 && buf_adds(&c->usage_first, data))
		buf_reset(&c->usage_first);
	buf_reset(&c->usage_event);
	/* An event is at most as long as the buffer may become. */
	if (buf_adds(&c->usage_event, data))
		buf_reset(&c->usage_event);
}

static struct json_scan *scan_new(struct api_call *c)
{
	/* Made once a thread. */
	static _Thread_local struct json_plan plan;
	static _Thread_local struct json_node nodes[JSON_NODES(API_USAGE_WANTS)];

	if (!plan.wants)
		json_plan_init(&plan, nodes, wants, API_USAGE_WANTS);
	c->usage_values = arena_alloc(c->arena, API_USAGE_WANTS * sizeof(*c->usage_values));
	return json_begin(c->arena, &plan, c->usage_values, JSON_ROOT_OBJECT);
}

void api_response_begin(struct api_call *c, unsigned status, struct str content_type, bool coded)
{
	struct str type = content_type;

	if (!c->has_usage || coded || status < 200 || status >= 300 || c->sse_on)
		return;
	if (!api_is_json(type))
		type = http_media_type(type);
	if (api_is_json(type) || str_ieq(type, STR("application/json"))) {
		c->usage_scan = scan_new(c);
	} else if (str_ieq(type, STR("text/event-stream"))) {
		sse_init(&c->sse, EVENT_MAX);
		buf_init(&c->usage_first, EVENT_MAX);
		buf_init(&c->usage_event, EVENT_MAX);
		c->sse_on = true;
	}
}

void api_response_feed(struct api_call *c, struct str data)
{
	if (c->sse_on)
		sse_feed(&c->sse, data.p, data.n, on_event, c);
	else if (c->usage_scan && json_feed(c->usage_scan, data.p, data.n, NULL) != JSON_OK)
		c->usage_scan = NULL;
}

static void scan_event(struct api_call *c, struct str data)
{
	if (data.n == 0)
		return;
	c->usage_scan = scan_new(c);
	if (json_feed(c->usage_scan, data.p, data.n, NULL) == JSON_OK &&
	    json_finish(c->usage_scan) == JSON_OK)
		take_usage(c);
	c->usage_scan = NULL;
}

void api_response_end(struct api_call *c)
{
	if (c->sse_on) {
		scan_event(c, buf_str(&c->usage_first));
		scan_event(c, buf_str(&c->usage_event));
	} else if (c->usage_scan && json_finish(c->usage_scan) == JSON_OK) {
		take_usage(c);
	}
	c->usage_scan = NULL;
}

void api_call_deinit(struct api_call *c)
{
	if (!c->sse_on)
		return;
	c->sse_on = false;
	sse_deinit(&c->sse);
	buf_deinit(&c->usage_first);
	buf_deinit(&c->usage_event);
}
