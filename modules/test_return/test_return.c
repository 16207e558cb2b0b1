/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A module that answers as told, so that tests drive every path of a stack from a configuration or
 * a request. It is built for the tests and never installed. Built twice: as test_return, a grantor,
 * and as test_helper, which may only veto.
 *
 * A hook's answer is, the first that is there: what the request's field X-Test-Return says
 * ("NAME=CODE" for check, head and audit_open, or "NAME.hook=CODE", divided by commas, NAME the
 * line's name), the option of the hook's own name, `codes` by the number of the call, `code`.
 */
#include <merlon/module.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef TEST_HELPER
#define NAME "test_helper"
#define FLAGS 0
#else
#define NAME "test_return"
#define FLAGS MERLON_GRANTOR
#endif
#define GROUPS (MERLON_AUTH | MERLON_AUTHZ | MERLON_RATELIMIT | MERLON_FILTER | MERLON_AUDIT)
#define TEXT(lit) ((struct merlon_str){"" lit, sizeof(lit) - 1})

static const struct merlon_host *H;

enum hook { CHECK, HEAD, RESPONSE, BODY, RESPONSE_BODY, AUDIT_OPEN, AUDIT_CLOSE, HOOKS };
static const char *const hook_names[HOOKS] = {"check",         "head",       "response",   "body",
                                              "response_body", "audit_open", "audit_close"};
static const char *const code_names[MERLON_CODE_MAX + 1] = {
    "",       "OK",      "IGNORE",  "NOCRED",  "BADCRED", "EXPIRED",
    "DENIED", "LIMITED", "UNAVAIL", "TIMEOUT", "ERROR",   "REPLY",
};

struct pair { /* an attribute or a header */
	struct merlon_str key, value;
	int32_t dir, op;
	bool list, number;
};
struct inst {
	merlon_ctx *ctx;
	int32_t code;
	int32_t by_hook[HOOKS]; /* 0: not told */
	int32_t *codes;
	uint32_t ncodes;
	atomic_uint calls;
	struct pair *attrs, *headers;
	uint32_t nattrs, nheaders;
	struct merlon_str fail, detail, challenge, policy, reply_body;
	struct merlon_str word, with; /* what a body is searched for, and what it becomes */
	int64_t retry_after_ms, reply, wait_ms, raw;
	int64_t body_max;
	uint32_t body_want, body_dirs, edit;
	bool hang, refuse_start, crash_check, use_raw;
	uint32_t settled; /* metric */
};
#define EDIT_DENY 3 /* beside MERLON_EDIT_* */

struct waiting { /* a suspended hook's answer, in the tx's memory */
	uint64_t token;
	int32_t code;
};

/* ---- options ---- */
static const struct merlon_option attr_options[] = {
    {"key", MERLON_OPT_STR, MERLON_OPT_REQUIRED, NULL, NULL, NULL, "The attribute."},
    {"value", MERLON_OPT_STR, MERLON_OPT_REQUIRED, NULL, NULL, NULL, "Its value."},
    {"type", MERLON_OPT_ENUM, 0, "text", "text|number|list", NULL,
     "What the value is: a list's parts are divided by commas."},
    {0},
};
static const struct merlon_option header_options[] = {
    {"dir", MERLON_OPT_ENUM, 0, "response", "request|response", NULL, "Whose header."},
    {"op", MERLON_OPT_ENUM, 0, "set", "set|add|del", NULL, "What is done to it."},
    {"name", MERLON_OPT_STR, MERLON_OPT_REQUIRED, NULL, NULL, NULL, "The field's name."},
    {"value", MERLON_OPT_STR, 0, "", NULL, NULL, "Its value."},
    {0},
};
static const struct merlon_option options[] = {
    {"code", MERLON_OPT_STR, 0, "OK", NULL, NULL, "The answer of every hook."},
    {"codes", MERLON_OPT_STRLIST, 0, NULL, NULL, NULL,
     "The answer by the number of the call; the last one stays."},
    {"check", MERLON_OPT_STR, 0, NULL, NULL, NULL, "The answer of this hook."},
    {"head", MERLON_OPT_STR, 0, NULL, NULL, NULL, "The answer of head to the request."},
    {"response", MERLON_OPT_STR, 0, NULL, NULL, NULL, "The answer of head to the response."},
    {"body", MERLON_OPT_STR, 0, NULL, NULL, NULL, "The answer to the request's body."},
    {"response_body", MERLON_OPT_STR, 0, NULL, NULL, NULL, "The answer to the response's body."},
    {"audit_open", MERLON_OPT_STR, 0, NULL, NULL, NULL, "The answer of this hook."},
    {"audit_close", MERLON_OPT_STR, 0, NULL, NULL, NULL, "The answer of this hook."},
    {"raw", MERLON_OPT_INT, 0, NULL, NULL, NULL, "A number that is answered in place of a code."},
    {"attrs", MERLON_OPT_LIST, 0, NULL, NULL, attr_options, "Attributes that are set."},
    {"headers", MERLON_OPT_LIST, 0, NULL, NULL, header_options, "Headers that are edited."},
    {"fail", MERLON_OPT_STR, 0, NULL, NULL, NULL, "Text for the client."},
    {"detail", MERLON_OPT_STR, 0, NULL, NULL, NULL, "Reason for the audit record."},
    {"challenge", MERLON_OPT_STR, 0, NULL, NULL, NULL, "A WWW-Authenticate value."},
    {"retry_after", MERLON_OPT_DURATION, 0, "0", NULL, NULL, "Told with a refusal."},
    {"policy", MERLON_OPT_STR, 0, NULL, NULL, NULL, "The policy that is named."},
    {"reply", MERLON_OPT_INT, 0, "418", NULL, NULL,
     "Status of the answer REPLY; 0: none is written."},
    {"reply_body", MERLON_OPT_STR, 0, "told so\n", NULL, NULL, "Its body."},
    {"wait", MERLON_OPT_DURATION, 0, "0", NULL, NULL, "Suspends and answers after this time."},
    {"hang", MERLON_OPT_BOOL, 0, "false", NULL, NULL, "Suspends and never answers."},
    {"body_want", MERLON_OPT_ENUM, 0, "none", "none|stream|full", NULL,
     "How bodies are asked for."},
    {"body_dir", MERLON_OPT_ENUM, 0, "both", "request|response|both", NULL, "Which bodies."},
    {"body_max", MERLON_OPT_SIZE, 0, "64K", NULL, NULL, "Most bytes of a whole body."},
    {"word", MERLON_OPT_STR, 0, NULL, NULL, NULL,
     "A chunk that contains it is edited; none: every chunk is."},
    {"edit", MERLON_OPT_ENUM, 0, "none", "none|replace|append|drop|deny", NULL,
     "What is done to the chunk."},
    {"with", MERLON_OPT_STR, 0, "", NULL, NULL, "Bytes that replace it or are appended."},
    {"digest", MERLON_OPT_BOOL, 0, "false", NULL, NULL, "Asks for digests of bodies."},
    {"refuse", MERLON_OPT_STR, 0, NULL, NULL, NULL, "create refuses with this text."},
    {"refuse_start", MERLON_OPT_BOOL, 0, "false", NULL, NULL, "worker_start refuses."},
    {"crash", MERLON_OPT_ENUM, 0, "never", "never|create|check|stall", NULL,
     "Where the process is aborted; stall: create never returns."},
};

static bool same(struct merlon_str s, const char *z)
{
	return s.len == strlen(z) && memcmp(s.ptr, z, (size_t)s.len) == 0;
}

static int32_t code_of(struct merlon_str s)
{
	for (int32_t i = 1; i <= MERLON_CODE_MAX; i++)
		if (same(s, code_names[i]))
			return i;
	return 0;
}

/* Options live until create has returned, so text is copied; free_text() gives it back. */
static struct merlon_str keep(struct merlon_str s)
{
	char *copy = malloc((size_t)s.len + 1);
	if (!copy)
		abort();
	memcpy(copy, s.ptr, (size_t)s.len);
	copy[s.len] = '\0';
	return (struct merlon_str){copy, s.len};
}

static void free_text(struct merlon_str s)
{
	free((void *)(uintptr_t)s.ptr);
}

static struct merlon_str get_str(const merlon_cfg *cfg, const char *key)
{
	struct merlon_val v;
	return H->cfg_get(cfg, key, &v) == 0 ? v.u.str : (struct merlon_str){NULL, 0};
}

static struct merlon_str keep_str(const merlon_cfg *cfg, const char *key)
{
	struct merlon_str s = get_str(cfg, key);
	return s.ptr ? keep(s) : s;
}

static int64_t get_int(const merlon_cfg *cfg, const char *key, int64_t otherwise)
{
	struct merlon_val v;
	return H->cfg_get(cfg, key, &v) == 0 ? v.u.i64 : otherwise;
}

static int get_code(const merlon_cfg *cfg, const char *key, int32_t *out)
{
	struct merlon_str s = get_str(cfg, key);
	if (!s.ptr)
		return 0;
	*out = code_of(s);
	if (*out == 0)
		H->cfg_error(cfg, key, TEXT("is no code"));
	return *out ? 0 : -1;
}

static int read_codes(struct inst *t, const merlon_cfg *cfg)
{
	struct merlon_val v;
	int r = get_code(cfg, "code", &t->code);
	for (int h = 0; h < HOOKS; h++)
		r |= get_code(cfg, hook_names[h], &t->by_hook[h]);
	if (H->cfg_get(cfg, "codes", &v) != 0 || v.count == 0)
		return r;
	t->codes = calloc(v.count, sizeof(*t->codes));
	if (!t->codes)
		abort();
	for (t->ncodes = 0; t->ncodes < v.count; t->ncodes++) {
		t->codes[t->ncodes] = code_of(v.u.list[t->ncodes]);
		if (t->codes[t->ncodes] == 0) {
			H->cfg_error(cfg, "codes", TEXT("is no code"));
			r = -1;
		}
	}
	return r;
}

static struct pair *read_pairs(const merlon_cfg *cfg, const char *key, const char *name,
                               uint32_t *n)
{
	*n = H->cfg_count(cfg, key);
	struct pair *v = calloc(*n + 1, sizeof(*v));
	if (!v)
		abort();
	for (uint32_t i = 0; i < *n; i++) {
		const merlon_cfg *e = H->cfg_at(cfg, key, i);
		struct merlon_str type = get_str(e, "type"), op = get_str(e, "op");
		v[i].key = keep_str(e, name);
		v[i].value = keep_str(e, "value");
		v[i].list = same(type, "list");
		v[i].number = same(type, "number");
		v[i].dir = same(get_str(e, "dir"), "request") ? MERLON_REQUEST : MERLON_RESPONSE;
		v[i].op = same(op, "add")   ? MERLON_HDR_ADD
		          : same(op, "del") ? MERLON_HDR_DEL
		                            : MERLON_HDR_SET;
	}
	return v;
}

static void read_body(struct inst *t, const merlon_cfg *cfg)
{
	struct merlon_str want = get_str(cfg, "body_want"), dir = get_str(cfg, "body_dir"),
			  edit = get_str(cfg, "edit");
	t->body_want = same(want, "full")     ? MERLON_BODY_FULL
	               : same(want, "stream") ? MERLON_BODY_STREAM
	                                      : MERLON_BODY_NONE;
	t->body_dirs = same(dir, "request")    ? 1 << MERLON_REQUEST
	               : same(dir, "response") ? 1 << MERLON_RESPONSE
	                                       : 3;
	t->body_max = get_int(cfg, "body_max", 0);
	t->edit = same(edit, "replace")  ? MERLON_EDIT_REPLACE
	          : same(edit, "append") ? MERLON_EDIT_APPEND
	          : same(edit, "drop")   ? MERLON_EDIT_DROP
	          : same(edit, "deny")   ? EDIT_DENY
	                                 : UINT32_MAX;
	t->word = keep_str(cfg, "word");
	t->with = keep_str(cfg, "with");
}

static void test_destroy(void *inst)
{
	struct inst *t = inst;
	for (uint32_t i = 0; i < t->nattrs; i++) {
		free_text(t->attrs[i].key);
		free_text(t->attrs[i].value);
	}
	for (uint32_t i = 0; i < t->nheaders; i++) {
		free_text(t->headers[i].key);
		free_text(t->headers[i].value);
	}
	free(t->attrs);
	free(t->headers);
	free(t->codes);
	free_text(t->fail);
	free_text(t->detail);
	free_text(t->challenge);
	free_text(t->policy);
	free_text(t->reply_body);
	free_text(t->word);
	free_text(t->with);
	free(t);
}

static void read_texts(struct inst *t, const merlon_cfg *cfg)
{
	t->fail = keep_str(cfg, "fail");
	t->detail = keep_str(cfg, "detail");
	t->challenge = keep_str(cfg, "challenge");
	t->policy = keep_str(cfg, "policy");
	t->reply_body = keep_str(cfg, "reply_body");
	t->reply = get_int(cfg, "reply", 0);
	t->retry_after_ms = get_int(cfg, "retry_after", 0) / 1000000;
	t->wait_ms = get_int(cfg, "wait", 0) / 1000000;
	t->hang = get_int(cfg, "hang", 0) != 0;
	t->refuse_start = get_int(cfg, "refuse_start", 0) != 0;
	t->raw = get_int(cfg, "raw", INT64_MIN);
	t->use_raw = t->raw != INT64_MIN;
}

static int32_t test_create(merlon_ctx *ctx, const merlon_cfg *cfg, void **inst)
{
	struct inst *t = calloc(1, sizeof(*t));
	struct merlon_str refuse = get_str(cfg, "refuse"), crash = get_str(cfg, "crash");
	if (!t)
		abort();
	if (same(crash, "create"))
		abort();
	while (same(crash, "stall"))
		pause();
	t->ctx = ctx;
	t->crash_check = same(crash, "check");
	int32_t r = read_codes(t, cfg);
	t->attrs = read_pairs(cfg, "attrs", "key", &t->nattrs);
	t->headers = read_pairs(cfg, "headers", "name", &t->nheaders);
	read_texts(t, cfg);
	read_body(t, cfg);
	if (refuse.ptr) {
		H->cfg_error(cfg, "refuse", refuse);
		r = -1;
	}
	if (get_int(cfg, "digest", 0) && H->digest_want(ctx, (struct merlon_str){NULL, 0}) != 0)
		r = -1;
	if (H->metric_define(ctx, MERLON_METRIC_COUNTER, "merlon_" NAME "_settled_total",
	                     "Requests that a test line settled.", "line", &t->settled) != 0)
		r = -1;
	if (r != 0)
		test_destroy(t);
	else
		*inst = t;
	return r;
}

static int32_t test_worker_start(void *inst, merlon_worker *worker, void **w)
{
	const struct inst *t = inst;
	(void)worker;
	(void)w;
	return t->refuse_start ? -1 : 0;
}

/* ---- answering ---- */
static struct merlon_str cut(struct merlon_str *rest, char sep)
{
	const char *at = memchr(rest->ptr, sep, (size_t)rest->len);
	struct merlon_str part = {rest->ptr, at ? (uint64_t)(at - rest->ptr) : rest->len};
	*rest = at ? (struct merlon_str){at + 1, rest->len - part.len - 1}
	           : (struct merlon_str){NULL, 0};
	while (part.len > 0 && part.ptr[0] == ' ') {
		part.ptr++;
		part.len--;
	}
	return part;
}

/* What the request says that this line's hook shall answer; 0: nothing. */
static int32_t told(const struct inst *t, merlon_tx *tx, enum hook hook)
{
	struct merlon_str field, line = H->ctx_info(t->ctx, MERLON_CTX_LINE);
	char name[128];
	if (H->header_get(tx, MERLON_REQUEST, TEXT("x-test-return"), 0, &field) != 0)
		return 0;
	snprintf(name, sizeof(name), "%.*s.%s", (int)line.len, line.ptr, hook_names[hook]);
	while (field.ptr) {
		struct merlon_str code = cut(&field, ',');
		struct merlon_str who = cut(&code, '=');
		bool plain = hook == CHECK || hook == HEAD || hook == AUDIT_OPEN;
		if (code.ptr && (same(who, name) || (plain && who.len == line.len &&
		                                     memcmp(who.ptr, line.ptr, line.len) == 0)))
			return code_of(code);
	}
	return 0;
}

static int32_t choose(struct inst *t, merlon_tx *tx, enum hook hook)
{
	int32_t code = told(t, tx, hook);
	if (code == 0)
		code = t->by_hook[hook];
	if (code == 0 && t->ncodes > 0) {
		unsigned n = atomic_fetch_add(&t->calls, 1);
		code = t->codes[n < t->ncodes ? n : t->ncodes - 1];
	}
	return code ? code : t->code;
}

static void write_attrs(const struct inst *t, merlon_tx *tx)
{
	for (uint32_t i = 0; i < t->nattrs; i++) {
		const struct pair *p = &t->attrs[i];
		struct merlon_str list[16], rest = p->value;
		struct merlon_val v = {.type = MERLON_VAL_STR, .u.str = p->value};
		if (p->number) {
			v = (struct merlon_val){.type = MERLON_VAL_I64,
			                        .u.i64 = strtoll(p->value.ptr, NULL, 10)};
		} else if (p->list) {
			v = (struct merlon_val){.type = MERLON_VAL_STRLIST, .u.list = list};
			while (rest.ptr && v.count < 16)
				list[v.count++] = cut(&rest, ',');
		}
		if (H->attr_set(t->ctx, tx, p->key, &v) != 0)
			H->log(t->ctx, tx, MERLON_LOG_WARN, TEXT("attribute refused"));
	}
}

static void edit_headers(const struct inst *t, merlon_tx *tx, enum hook hook)
{
	for (uint32_t i = 0; i < t->nheaders; i++) {
		const struct pair *p = &t->headers[i];
		if (p->dir == MERLON_REQUEST && hook != HEAD)
			continue;
		if (H->header_edit(t->ctx, tx, p->dir, p->op, p->key, p->value) != 0)
			H->log(t->ctx, tx, MERLON_LOG_WARN, TEXT("header edit refused"));
	}
}

static void explain(const struct inst *t, merlon_tx *tx, int32_t code)
{
	if (t->policy.ptr)
		H->policy(t->ctx, tx, t->policy);
	if (code == MERLON_REPLY && t->reply > 0) {
		const struct merlon_header field = {TEXT("X-Test-Reply"),
		                                    H->ctx_info(t->ctx, MERLON_CTX_LINE)};
		H->reply(t->ctx, tx, (uint32_t)t->reply, &field, 1, t->reply_body);
	} else if (code != MERLON_OK && code != MERLON_IGNORE) {
		const struct merlon_fail fail = {
		    .size = sizeof(fail),
		    .retry_after_ms = (uint32_t)t->retry_after_ms,
		    .text = t->fail,
		    .detail = t->detail,
		    .challenge = t->challenge,
		};
		H->fail(t->ctx, tx, &fail);
	}
}

static void wake(void *arg)
{
	const struct waiting *w = arg;
	H->resume(w->token, w->code);
}

/* Answers now, later or never, as the line's options say. */
static int32_t give(const struct inst *t, merlon_tx *tx, int32_t code)
{
	if (!t->hang && t->wait_ms == 0)
		return t->use_raw ? (int32_t)t->raw : code;
	struct waiting *w = H->tx_alloc(tx, sizeof(*w));
	w->code = t->use_raw ? (int32_t)t->raw : code;
	if (H->suspend(t->ctx, tx, 0, &w->token) != 0)
		return MERLON_ERROR;
	if (!t->hang &&
	    H->timer(t->ctx, H->tx_worker(tx), tx, (uint64_t)t->wait_ms, wake, w, NULL) != 0)
		return MERLON_ERROR;
	return MERLON_PENDING;
}

static int32_t answer(struct inst *t, merlon_tx *tx, enum hook hook)
{
	int32_t code = choose(t, tx, hook);
	if (t->crash_check)
		abort();
	write_attrs(t, tx);
	edit_headers(t, tx, hook);
	explain(t, tx, code);
	return give(t, tx, code);
}

static int32_t test_check(void *inst, void *w, merlon_tx *tx, uint32_t group)
{
	(void)w;
	(void)group;
	return answer(inst, tx, CHECK);
}

static int32_t test_head(void *inst, void *w, merlon_tx *tx, int32_t dir)
{
	const struct inst *t = inst;
	(void)w;
	if (t->body_want != MERLON_BODY_NONE && (t->body_dirs & (1u << dir)) &&
	    H->body_want(t->ctx, tx, dir, t->body_want, (uint64_t)t->body_max) != 0)
		return MERLON_ERROR;
	return answer(inst, tx, dir == MERLON_REQUEST ? HEAD : RESPONSE);
}

static int32_t test_body(void *inst, void *w, merlon_tx *tx, int32_t dir, struct merlon_str chunk,
                         uint32_t flags)
{
	struct inst *t = inst;
	enum hook hook = dir == MERLON_REQUEST ? BODY : RESPONSE_BODY;
	bool found = !t->word.ptr || (chunk.len > 0 && memmem(chunk.ptr, (size_t)chunk.len,
	                                                      t->word.ptr, (size_t)t->word.len));
	int32_t code = told(t, tx, hook);
	(void)w;
	(void)flags;
	if (code == 0)
		code = t->by_hook[hook] ? t->by_hook[hook] : MERLON_OK;
	if (found && t->edit == EDIT_DENY)
		code = MERLON_DENIED;
	else if (found && t->edit != UINT32_MAX &&
	         H->body_edit(t->ctx, tx, dir, t->edit, t->with) != 0)
		code = MERLON_ERROR;
	explain(t, tx, code);
	return code;
}

static void say(const struct inst *t, merlon_tx *tx, const char *what)
{
	char text[160];
	struct merlon_str line = H->ctx_info(t->ctx, MERLON_CTX_LINE);
	int n = snprintf(text, sizeof(text), "%s %.*s", what, (int)line.len, line.ptr);
	H->log(t->ctx, tx, MERLON_LOG_NOTICE,
	       (struct merlon_str){text, (uint64_t)(n < 160 ? n : 159)});
}

static void test_cancel(void *inst, void *w, merlon_tx *tx, uint64_t token, uint32_t reason)
{
	static const char *const words[] = {"?", "cancelled by client", "cancelled by timeout",
	                                    "cancelled by shutdown"};
	(void)w;
	(void)token;
	say(inst, tx, words[reason <= MERLON_CANCEL_SHUTDOWN ? reason : 0]);
}

static void test_settle(void *inst, void *w, merlon_tx *tx, const struct merlon_summary *summary)
{
	const struct inst *t = inst;
	struct merlon_str line = H->ctx_info(t->ctx, MERLON_CTX_LINE);
	(void)w;
	(void)summary;
	H->metric_add(t->ctx, t->settled, &line, 1);
	say(t, tx, "settled");
}

static int32_t test_audit_open(void *inst, void *w, merlon_tx *tx)
{
	(void)w;
	return answer(inst, tx, AUDIT_OPEN);
}

static int32_t test_audit_close(void *inst, void *w, merlon_tx *tx)
{
	(void)w;
	return answer(inst, tx, AUDIT_CLOSE);
}

static const char *const writes[] = {"id.*", "x." NAME ".*", NULL};

static const struct merlon_module module = {
    .size = sizeof(module),
    .major = MERLON_ABI_MAJOR,
    .minor = MERLON_ABI_MINOR,
    .flags = FLAGS,
    .groups = GROUPS,
    /* TIMEOUT may be told, and must then count as ERROR */
    .codes = (MERLON_BIT(MERLON_CODE_MAX + 1) - 2) & ~MERLON_BIT(MERLON_TIMEOUT),
    .option_size = sizeof(struct merlon_option),
    .option_count = sizeof(options) / sizeof(options[0]),
    .name = NAME,
    .version = "1",
    .license = "Apache-2.0",
    .summary = "Answers as told, for tests.",
    .options = options,
    .writes = writes,
    .create = test_create,
    .destroy = test_destroy,
    .worker_start = test_worker_start,
    .check = test_check,
    .head = test_head,
    .body = test_body,
    .cancel = test_cancel,
    .settle = test_settle,
    .audit_open = test_audit_open,
    .audit_close = test_audit_close,
};
MERLON_MODULE(module, H, 0, FLAGS, GROUPS)
