/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Calls: see call.h. What the exchange tells is gathered in the answer; whatever ends the call, the
 * deadline too, goes through one place.
 */
#include "upstream/call.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "http/headers.h"
#include "http/parse.h"
#include "http/url.h"
#include "http/write.h"
#include "upstream/exchangepriv.h"

struct call_answer {
	atomic_uint refs;
	enum call_error error;
	const char *detail;
	unsigned status;
	struct call_field *fields;
	unsigned nfields;
	struct arena arena; /* the fields */
	struct buf body;    /* may hold what is nobody else's business */
};

struct call {
	struct upstream *u;
	struct exchange *ex;
	struct arena arena; /* the exchange's */
	struct loop_timer deadline;
	struct slice again; /* the request's head; block NULL: it must not be sent twice */
	bool head_request;
	struct call_answer *answer;
	call_done_fn *done;
	void *arg;
};

/* ---- answers ---- */
enum call_error call_answer_error(const struct call_answer *a)
{
	return a->error;
}

const char *call_answer_detail(const struct call_answer *a)
{
	return a->detail;
}

unsigned call_answer_status(const struct call_answer *a)
{
	return a->error == CALL_OK ? a->status : 0;
}

const struct call_field *call_answer_fields(const struct call_answer *a, unsigned *n)
{
	*n = a->error == CALL_OK ? a->nfields : 0;
	return a->fields;
}

struct str call_answer_body(const struct call_answer *a)
{
	return a->error == CALL_OK ? buf_str(&a->body) : STR_NONE;
}

struct call_answer *call_answer_ref(struct call_answer *a)
{
	atomic_fetch_add(&a->refs, 1);
	return a;
}

void call_answer_unref(struct call_answer *a)
{
	if (!a || atomic_fetch_sub(&a->refs, 1) > 1)
		return;
	buf_wipe(&a->body);
	buf_deinit(&a->body);
	arena_deinit(&a->arena);
	free(a);
}

static struct call_answer *answer_new(size_t max_body)
{
	struct call_answer *a = xcalloc(1, sizeof(*a));

	atomic_init(&a->refs, 1);
	a->detail = "";
	arena_init(&a->arena, NULL);
	buf_init(&a->body, max_body);
	return a;
}

/* The first thing that is wrong counts. */
static void answer_fail(struct call_answer *a, enum call_error error, const char *detail)
{
	if (a->error != CALL_OK)
		return;
	a->error = error;
	a->detail = detail;
}

/* ---- the end ---- */
static void call_free(struct call *c)
{
	loop_timer_drop(c->u->pools->loop, &c->deadline);
	exchange_abort(c->ex);
	slice_unref(c->again);
	arena_deinit(&c->arena);
	free(c);
}

static void call_over(struct call *c)
{
	struct call_answer *a = c->answer;
	call_done_fn *done = c->done;
	void *arg = c->arg;

	call_free(c);
	done(arg, a);
}

void call_abort(struct call *c)
{
	if (!c)
		return;
	call_answer_unref(c->answer);
	call_free(c);
}

static void deadline_passed(void *arg)
{
	struct call *c = arg;

	answer_fail(c->answer, CALL_TIMEOUT, "no whole answer in time");
	call_over(c);
}

/* ---- what the exchange tells ---- */
static bool is_coded(const struct http_head *h)
{
	const struct http_field *f;

	for (unsigned i = 0; (f = http_find(h, STR("content-encoding"), i)) != NULL; i++)
		if (f->value.n > 0 && !str_ieq(f->value, STR("identity")))
			return true;
	return false;
}

static void on_head(void *owner, struct http_head *h)
{
	struct call *c = owner;
	struct call_answer *a = c->answer;

	a->status = h->status;
	a->fields = arena_alloc(&a->arena, (h->nfields + 1u) * sizeof(*a->fields));
	for (unsigned i = 0; i < h->nfields; i++)
		a->fields[a->nfields++] =
		    (struct call_field){arena_str(&a->arena, h->fields[i].name),
		                        arena_str(&a->arena, h->fields[i].value)};
	if (is_coded(h))
		answer_fail(a, CALL_BROKEN,
		            "the answer has a content coding that nobody asked for");
	else if (h->framing == HTTP_LENGTH && h->length > a->body.max)
		answer_fail(a, CALL_FULL, "the answer is larger than it may be");
}

static void on_body(void *owner, struct slice data)
{
	struct call *c = owner;
	struct call_answer *a = c->answer;

	if (a->error == CALL_OK && buf_add(&a->body, data.p, data.n))
		answer_fail(a, CALL_FULL, "the answer is larger than it may be");
	slice_unref(data);
}

static void on_turn(void *owner)
{
	struct call *c = owner;

	if (c->answer->error != CALL_OK)
		call_over(c);
}

static void on_end(void *owner)
{
	struct call *c = owner;

	c->ex = NULL;
	call_over(c);
}

static const struct exchange_ops call_ops;

static void call_send(struct call *c, struct slice head, struct str body)
{
	c->ex = exchange_start(c->u, &c->arena, head, c->head_request, &call_ops, c);
	exchange_send_copy(c->ex, body.p, body.n);
	exchange_send_end(c->ex);
	exchange_flush(c->ex);
}

/* The server may have closed a kept connection just when it was used again; what changes nothing
 * there may be asked once more (RFC 9110 §9.2.2). */
static bool call_again(struct call *c, enum exchange_fault f)
{
	struct slice head = c->again;

	if (f != EX_CLOSED || !c->ex->reused || c->answer->status || !head.block)
		return false;
	c->again = (struct slice){0};
	call_send(c, head, STR_NONE);
	return true;
}

static void on_fault(void *owner, enum exchange_fault f)
{
	struct call *c = owner;

	if (call_again(c, f))
		return;
	c->ex = NULL;
	answer_fail(c->answer, f == EX_TIMEOUT ? CALL_TIMEOUT : CALL_BROKEN, exchange_strfault(f));
	call_over(c);
}

static void on_writable(void *owner)
{
	(void)owner;
}

static const struct exchange_ops call_ops = {
    .head = on_head,
    .body = on_body,
    .turn = on_turn,
    .end = on_end,
    .fault = on_fault,
    .writable = on_writable,
};

/* ---- the request ---- */
/* An upstream that stands for a URL's origin is named by it; of another one the first server is as
 * good a name as any. */
static struct str host_of(const struct conf_upstream *u)
{
	static const struct str schemes[] = {{"https://", 8}, {"http://", 7}};

	for (size_t i = 0; i < 2; i++)
		if (str_starts(u->name, schemes[i]))
			return (struct str){u->name.p + schemes[i].n, u->name.n - schemes[i].n};
	if (u->tls_name.n)
		return u->tls_name;
	if (u->nservers == 0 || str_starts(u->servers[0], STR("unix:")))
		return STR("localhost");
	return u->servers[0];
}

/* Names that frame messages or belong to one connection; codings would have to be undone. */
static bool field_refused(struct str name)
{
	const uint64_t refused = HTTP_HOP_FIELDS | HTTP_F_BIT(HTTP_F_ACCEPT_ENCODING);

	return (refused >> http_field_id_of(name)) & 1;
}

/* Visible bytes only: nothing that could end the line, nothing that a server might fold. */
static bool target_valid(struct str s)
{
	if (s.n == 0 || s.p[0] != '/')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f || s.p[i] == '#')
			return false;
	return true;
}

static bool method_valid(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] >= 'a' && s.p[i] <= 'z')
			return false;
	return http_is_token(s) && !str_eq(s, STR("CONNECT")) && !str_eq(s, STR("TRACE"));
}

/* Whom the request is for: the caller may know it by another name than the upstream has. */
static bool choose_host(const struct conf_upstream *u, const struct call_request *r,
                        struct str *out)
{
	unsigned given = 0;

	*out = host_of(u);
	for (unsigned i = 0; i < r->nfields; i++) {
		if (http_field_id_of(r->fields[i].name) != HTTP_F_HOST)
			continue;
		*out = r->fields[i].value;
		if (given++ > 0 || !url_host_valid(*out))
			return false;
	}
	return true;
}

static bool set_by_conf(const struct conf_upstream *u, struct str name)
{
	for (unsigned i = 0; i < u->nheaders; i++)
		if (str_ieq(u->headers[i].name, name))
			return true;
	return false;
}

static bool put_head(const struct conf_upstream *u, const struct call_request *r, struct buf *b)
{
	struct http_out o = {b, 0};
	struct str host;

	if (!method_valid(r->method) || !target_valid(r->target) || !choose_host(u, r, &host))
		return false;
	http_out_request(&o, r->method, r->target);
	http_out_field(&o, STR("Host"), host);
	for (unsigned i = 0; i < r->nfields; i++) {
		const struct call_field *f = &r->fields[i];

		if (!http_is_token(f->name) || !http_is_field_value(f->value) ||
		    field_refused(f->name))
			return false;
		if (http_field_id_of(f->name) != HTTP_F_HOST && !set_by_conf(u, f->name))
			http_out_field(&o, f->name, f->value);
	}
	for (unsigned i = 0; i < u->nheaders; i++)
		http_out_field(&o, u->headers[i].name, u->headers[i].value);
	if (r->body.n > 0 || str_eq(r->method, STR("POST")) || str_eq(r->method, STR("PUT")))
		http_out_framing(&o, HTTP_LENGTH, r->body.n);
	return http_out_end(&o) == 0;
}

static bool is_safe(const struct call_request *r)
{
	return r->body.n == 0 && (str_eq(r->method, STR("GET")) || str_eq(r->method, STR("HEAD")));
}

struct call *call_start(struct upstream *u, const struct call_request *r, call_done_fn *done,
                        void *arg)
{
	struct call *c = NULL;
	struct buf b;

	buf_init(&b, CALL_HEAD_MAX);
	if (put_head(u->conf, r, &b)) {
		struct slice head = slice_copy(u->pools->blocks, b.p, b.n);

		c = xcalloc(1, sizeof(*c));
		c->u = u;
		c->done = done;
		c->arg = arg;
		c->answer = answer_new(r->max_body);
		arena_init(&c->arena, NULL);
		loop_timer_init(&c->deadline, deadline_passed, c);
		loop_timer_in(u->pools->loop, &c->deadline, r->timeout);
		c->head_request = str_eq(r->method, STR("HEAD"));
		if (is_safe(r))
			c->again = slice_ref(head);
		call_send(c, head, r->body);
	}
	/* The fields may be credentials. */
	buf_wipe(&b);
	buf_deinit(&b);
	return c;
}
