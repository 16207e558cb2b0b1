/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What the demo model says: the endpoints of OpenAI's API, and the pages by which tests look at
 * what has arrived here. Bytes in, bytes out; knows no socket.
 */
#include "demo.h"

#include "http/headers.h"
#include "json/scan.h"

#include <stdlib.h>

#define CREATED "1767225600"
#define MODEL_LEN_MAX 4096
#define DIMENSIONS 8

static const char text[] =
    "This is the demo model of Merlon. It has no weights and no opinions: it answers every prompt "
    "with these same two sentences, at the pace it was told to.";
static const char *const words[] = {"This",  "is", "the",     "demo",  "model",
                                    "which", "is", "talking", "words", "again"};
static const char *const models[] = {"demo-model", "demo-embedding"};

enum { W_MODEL, W_STREAM, W_USAGE, W_ENCODING, W_COUNT };
static const struct json_want wants[W_COUNT] = {
    [W_MODEL] = {"model", 1u << JSON_STRING, MODEL_LEN_MAX},
    [W_STREAM] = {"stream", 1u << JSON_TRUE | 1u << JSON_FALSE | 1u << JSON_NULL, 8},
    [W_USAGE] = {"stream_options.include_usage", 1u << JSON_TRUE | 1u << JSON_FALSE, 8},
    [W_ENCODING] = {"encoding_format", 1u << JSON_STRING, 16},
};

struct prompt {
	struct str model; /* escaped */
	bool stream;
	bool usage;
	bool base64;
	uint64_t tokens;
};

/* Bytes as JSON text; latin1: a byte over 0x7e stands for the code point of its number, so that
 * tests get back exactly the bytes that came. */
static void add_escaped(struct buf *b, struct str s, bool latin1)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char ch = (unsigned char)s.p[i];
		if (ch == '"' || ch == '\\')
			demo_add(b, "\\%c", ch);
		else if (ch < 0x20 || ch == 0x7f || (latin1 && ch > 0x7e))
			demo_add(b, "\\u%04x", ch);
		else if (buf_add(b, &s.p[i], 1))
			abort();
	}
}

static void fail(struct answer *a, unsigned status, const char *code, const char *message)
{
	a->status = status;
	buf_reset(&a->body);
	demo_add(&a->body,
	         "{\"error\":{\"message\":\"%s\",\"type\":\"invalid_request_error\",\"param\":null,"
	         "\"code\":\"%s\"}}",
	         message, code);
}

static bool read_prompt(const struct demo_request *req, struct arena *arena, struct answer *a,
                        struct prompt *p)
{
	struct json_value v[W_COUNT];
	struct json_scan *s = json_new(arena, wants, W_COUNT, v, JSON_ROOT_OBJECT);
	enum json_error e = json_feed(s, req->body.p, req->body.n, NULL);
	if (e == JSON_OK)
		e = json_finish(s);
	if (e != JSON_OK || v[W_MODEL].type != JSON_STRING) {
		fail(a, 400, "invalid_body", e != JSON_OK ? json_strerror(e) : "model is missing");
		return false;
	}
	struct buf model;
	buf_init(&model, 8 * (size_t)MODEL_LEN_MAX);
	add_escaped(&model, v[W_MODEL].text, false);
	p->model = arena_str(arena, buf_str(&model));
	buf_deinit(&model);
	p->stream = v[W_STREAM].type == JSON_TRUE;
	p->usage = v[W_USAGE].type == JSON_TRUE;
	p->base64 = v[W_ENCODING].type == JSON_STRING && str_eq(v[W_ENCODING].text, STR("base64"));
	/* No tokenizer here: four bytes a token is what people estimate by. */
	p->tokens = req->body.n / 4 + 1;
	return true;
}

static void add_usage(struct buf *b, uint64_t in, uint64_t out)
{
	demo_add(
	    b,
	    "\"usage\":{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu}",
	    (unsigned long long)in, (unsigned long long)out, (unsigned long long)(in + out));
}

static void add_head(struct buf *b, const struct answer *a, const char *object)
{
	demo_add(b,
	         "{\"id\":\"%s-demo-%llu\",\"object\":\"%s\",\"created\":" CREATED
	         ",\"model\":\"%.*s\",",
	         a->chat ? "chatcmpl" : "cmpl", (unsigned long long)a->id, object,
	         STR_FMT(a->model));
}

static void complete(struct demo *d, const struct demo_request *req, struct arena *arena,
                     struct answer *a, bool chat)
{
	struct prompt p;
	if (!read_prompt(req, arena, a, &p))
		return;
	a->chat = chat;
	a->id = d->requests;
	a->model = p.model;
	a->prompt_tokens = p.tokens;
	a->usage = p.usage;
	if (p.stream) {
		a->stream = true;
		a->type = "text/event-stream";
		a->chunks = req->o.chunks;
		a->delay_ns = req->o.delay_ns;
		return;
	}
	add_head(&a->body, a, chat ? "chat.completion" : "text_completion");
	if (chat)
		demo_add(
		    &a->body,
		    "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
		    "\"%s\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],",
		    text);
	else
		demo_add(&a->body,
		         "\"choices\":[{\"index\":0,\"text\":\"%s\",\"logprobs\":null,"
		         "\"finish_reason\":\"stop\"}],",
		         text);
	add_usage(&a->body, p.tokens, 32);
	demo_add(&a->body, ",\"system_fingerprint\":\"merlon-demo\"}");
}

static void add_word(struct answer *a, struct buf *out, uint64_t n)
{
	bool end = n == a->chunks;
	const char *word = end ? "" : words[n % (sizeof(words) / sizeof(words[0]))];
	const char *gap = end ? "" : " ";
	if (a->chat)
		demo_add(out, "\"choices\":[{\"index\":0,\"delta\":{%s\"content\":\"%s%s\"}",
		         n == 0 ? "\"role\":\"assistant\"," : "", word, gap);
	else
		demo_add(out, "\"choices\":[{\"index\":0,\"text\":\"%s%s\"", word, gap);
	demo_add(out, ",\"logprobs\":null,\"finish_reason\":%s}]%s}\n\n", end ? "\"stop\"" : "null",
	         a->usage ? ",\"usage\":null" : "");
}

/* The events in order: the words (the first with the role), the end, the usage where it was asked
 * for, [DONE]. */
bool answer_event(struct answer *a, struct buf *out)
{
	if (a->next == a->chunks + 1 && !a->usage)
		a->next++;
	uint64_t n = a->next++;
	if (n > a->chunks + 2)
		return false;
	demo_add(out, "data: ");
	if (n == a->chunks + 2) {
		demo_add(out, "[DONE]\n\n");
		return true;
	}
	add_head(out, a, a->chat ? "chat.completion.chunk" : "text_completion");
	if (n <= a->chunks) {
		add_word(a, out, n);
		return true;
	}
	demo_add(out, "\"choices\":[],");
	add_usage(out, a->prompt_tokens, a->chunks);
	demo_add(out, "}\n\n");
	return true;
}

static void embed(struct demo *d, const struct demo_request *req, struct arena *arena,
                  struct answer *a)
{
	struct prompt p;
	(void)d;
	if (!read_prompt(req, arena, a, &p))
		return;
	size_t n = demo_inputs(req->body);
	if (n == 0 || n > 2048) {
		fail(a, 400, "invalid_input", "input is missing, empty or too long");
		return;
	}
	demo_add(&a->body, "{\"object\":\"list\",\"model\":\"%.*s\",\"data\":[", STR_FMT(p.model));
	for (size_t i = 0; i < n; i++) {
		demo_add(&a->body, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":",
		         i > 0 ? "," : "", i);
		/* Eight floats of 0.5, little-endian, as base64. */
		if (p.base64)
			demo_add(&a->body, "\"AAAAPwAAAD8AAAA/AAAAPwAAAD8AAAA/AAAAPwAAAD8=\"}");
		else
			demo_add(&a->body, "[0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5]}");
	}
	demo_add(&a->body, "],\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}}",
	         (unsigned long long)p.tokens, (unsigned long long)p.tokens);
}

static void add_model(struct buf *b, const char *id)
{
	demo_add(b,
	         "{\"id\":\"%s\",\"object\":\"model\",\"created\":" CREATED
	         ",\"owned_by\":\"merlon\"}",
	         id);
}

static void list_models(struct answer *a)
{
	demo_add(&a->body, "{\"object\":\"list\",\"data\":[");
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
		if (i > 0)
			demo_add(&a->body, ",");
		add_model(&a->body, models[i]);
	}
	demo_add(&a->body, "]}");
}

static void one_model(struct answer *a, struct str id)
{
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
		if (str_eq(id, str_of(models[i]))) {
			add_model(&a->body, models[i]);
			return;
		}
	}
	fail(a, 404, "model_not_found", "The model does not exist");
}

static void last(const struct demo *d, struct answer *a)
{
	demo_add(&a->body,
	         "{\"requests\":%llu,\"answered\":%llu,\"aborted\":%llu,\"connections\":%llu,"
	         "\"head\":\"",
	         (unsigned long long)d->requests, (unsigned long long)d->answered,
	         (unsigned long long)d->aborted, (unsigned long long)d->connections);
	add_escaped(&a->body, buf_str(&d->last_head), true);
	demo_add(&a->body, "\",\"body\":\"");
	add_escaped(&a->body, buf_str(&d->last_body), true);
	demo_add(&a->body, "\"}");
}

static void answer_post(struct demo *d, const struct demo_request *req, struct arena *arena,
                        struct answer *a, struct str path)
{
	if (str_eq(path, STR("/v1/chat/completions")))
		complete(d, req, arena, a, true);
	else if (str_eq(path, STR("/v1/completions")))
		complete(d, req, arena, a, false);
	else if (str_eq(path, STR("/v1/embeddings")))
		embed(d, req, arena, a);
	else if (str_eq(path, STR("/predict")))
		demo_add(&a->body, "{\"prediction\":0.5}");
	else
		fail(a, 404, "not_found", "No such endpoint");
}

void answer_make(struct demo *d, const struct demo_request *req, struct arena *arena,
                 struct answer *a)
{
	struct str rest = req->head->target;
	struct str path = str_split(&rest, '?');
	struct buf body = a->body;
	*a = (struct answer){.status = 200, .type = "application/json", .body = body};
	if (req->head->method == HTTP_POST)
		answer_post(d, req, arena, a, path);
	else if (req->head->method != HTTP_GET && req->head->method != HTTP_HEAD)
		fail(a, 405, "method_not_allowed", "Only GET, HEAD and POST");
	else if (str_eq(path, STR("/v1/models")))
		list_models(a);
	else if (str_starts(path, STR("/v1/models/")))
		one_model(a, (struct str){path.p + 11, path.n - 11});
	else if (str_eq(path, STR("/health")))
		demo_add(&a->body, "{\"status\":\"ok\"}");
	else if (str_eq(path, STR("/demo/last")))
		last(d, a);
	else
		fail(a, 404, "not_found", "No such endpoint");
}
