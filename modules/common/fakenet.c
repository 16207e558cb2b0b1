/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What waits, in the fake host. Copies of what modules hand over live in one pool that goes with
 * fakenet_reset().
 */
#include "common/fakenet.h"

#include "common/fakehost.h"

#include <stdio.h>
#include <stdlib.h>

struct merlon_worker fake_worker;
struct fake_wait fake_waits[FAKE_WAITS];
unsigned fake_nwaits;
int32_t fake_suspend_answer;
struct fake_op fake_ops[FAKE_OPS];
unsigned fake_nops;
int32_t fake_http_answer_now;
merlon_stream fake_streams[FAKE_STREAMS];
unsigned fake_nstreams;
int32_t fake_stream_open_answer;

static struct mem_pool kept;
static struct fake_metric {
	const char *name;
	struct fake_series {
		struct merlon_str labels;
		int64_t value;
		struct fake_series *next;
	} * series;
	unsigned nlabels;
} metrics[FAKE_METRICS];
static unsigned nmetrics;

struct merlon_shared {
	struct merlon_str key;
	void *ptr;
	merlon_free_fn free_fn;
	unsigned refs;
	struct merlon_shared *next;
};
static struct merlon_shared *objects;

merlon_worker *fakenet_tx_worker(merlon_tx *tx)
{
	(void)tx;
	return &fake_worker;
}

/* ---- suspend and resume ---- */
int32_t fakenet_suspend(merlon_ctx *ctx, merlon_tx *tx, uint32_t timeout_ms, uint64_t *token)
{
	(void)ctx;
	if (fake_suspend_answer)
		return fake_suspend_answer;
	if (fake_nwaits == FAKE_WAITS)
		return MERLON_E_FULL;
	fake_waits[fake_nwaits] = (struct fake_wait){tx, timeout_ms, 0};
	*token = ++fake_nwaits;
	return 0;
}

void fakenet_resume(uint64_t token, int32_t code)
{
	if (token > 0 && token <= fake_nwaits && fake_waits[token - 1].code == 0)
		fake_waits[token - 1].code = code;
}

int32_t fake_resumed(const merlon_tx *tx)
{
	for (unsigned i = fake_nwaits; i > 0; i--) {
		if (fake_waits[i - 1].tx == tx)
			return fake_waits[i - 1].code;
	}
	return 0;
}

/* ---- ops ---- */
static struct fake_op *op_new(enum fake_kind kind, merlon_tx *tx, uint32_t timeout_ms, void *arg,
                              merlon_op **handle)
{
	struct fake_op *op;

	if (fake_nops == FAKE_OPS)
		return NULL;
	op = &fake_ops[fake_nops++];
	*op = (struct fake_op){.kind = kind, .tx = tx, .timeout_ms = timeout_ms, .arg = arg};
	if (handle)
		*handle = (merlon_op *)(void *)op;
	return op;
}

void fakenet_op_cancel(merlon_op *handle)
{
	struct fake_op *op = (struct fake_op *)(void *)handle;

	if (!op || op->over)
		return;
	op->over = 1;
	op->cancelled = 1;
}

struct fake_op *fake_open(enum fake_kind kind, unsigned n)
{
	for (unsigned i = 0; i < fake_nops; i++) {
		if (fake_ops[i].kind == kind && !fake_ops[i].over && n-- == 0)
			return &fake_ops[i];
	}
	return NULL;
}

unsigned fake_count(enum fake_kind kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < fake_nops; i++)
		n += fake_ops[i].kind == kind && !fake_ops[i].over;
	return n;
}

void fake_tx_cancel(const merlon_tx *tx)
{
	for (unsigned i = 0; i < fake_nops; i++) {
		if (fake_ops[i].tx == tx)
			fakenet_op_cancel((merlon_op *)(void *)&fake_ops[i]);
	}
}

int32_t fakenet_timer(merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx, uint64_t ms,
                      merlon_timer_fn fn, void *arg, merlon_op **handle)
{
	struct fake_op *op;

	(void)ctx;
	if (!w && !tx)
		return MERLON_E_INVAL;
	op = op_new(FAKE_TIMER, tx, 0, arg, handle);
	if (!op)
		return MERLON_E_FULL;
	op->timer = fn;
	op->at = fake_now[0] + ms * 1000000;
	return 0;
}

static struct fake_op *timer_due(uint64_t until)
{
	struct fake_op *due = NULL;

	for (unsigned i = 0; i < fake_nops; i++) {
		struct fake_op *op = &fake_ops[i];

		if (op->kind == FAKE_TIMER && !op->over && op->at <= until &&
		    (!due || op->at < due->at))
			due = op;
	}
	return due;
}

void fake_advance(uint64_t ms)
{
	uint64_t until = fake_now[0] + ms * 1000000;

	for (struct fake_op *op; (op = timer_due(until)) != NULL;) {
		uint64_t step = op->at > fake_now[0] ? op->at - fake_now[0] : 0;

		fake_now[0] += step;
		fake_now[1] += step;
		op->over = 1;
		op->timer(op->arg);
	}
	fake_now[1] += until - fake_now[0];
	fake_now[0] = until;
}

/* ---- HTTP calls ---- */
int32_t fakenet_http_call(merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx,
                          const struct merlon_http_request *req, merlon_http_fn done, void *arg,
                          merlon_op **handle)
{
	struct fake_op *op;
	struct merlon_header *headers;

	(void)ctx;
	if (!w && !tx)
		return MERLON_E_INVAL;
	if (fake_http_answer_now)
		return fake_http_answer_now;
	op = op_new(FAKE_HTTP, tx, req->timeout_ms, arg, handle);
	if (!op)
		return MERLON_E_FULL;
	op->http = done;
	op->req = *req;
	op->req.upstream = pool_copy(&kept, req->upstream);
	op->req.method = pool_copy(&kept, req->method);
	op->req.target = pool_copy(&kept, req->target);
	op->req.body = pool_copy(&kept, req->body);
	op->req.flight = pool_copy(&kept, req->flight);
	headers = pool_new(&kept, req->nheaders + 1, sizeof(*headers));
	for (uint32_t i = 0; i < req->nheaders; i++)
		headers[i] = (struct merlon_header){pool_copy(&kept, req->headers[i].name),
		                                    pool_copy(&kept, req->headers[i].value)};
	op->req.headers = headers;
	return 0;
}

void fake_http_answer(struct fake_op *op, uint32_t status, const struct merlon_header *headers,
                      uint32_t nheaders, const char *body)
{
	struct merlon_http_response res = {.size = sizeof(res),
	                                   .status = status,
	                                   .headers = headers,
	                                   .nheaders = nheaders,
	                                   .body = txt_of(body)};

	op->over = 1;
	op->http(op->arg, &res);
}

void fake_http_fail(struct fake_op *op, int32_t error, const char *detail)
{
	struct merlon_http_response res = {
	    .size = sizeof(res), .error = error, .detail = txt_of(detail)};

	op->over = 1;
	op->http(op->arg, &res);
}

/* ---- streams ---- */
int32_t fakenet_stream_open(merlon_ctx *ctx, const merlon_cfg *cfg,
                            const struct merlon_stream_ops *ops, merlon_stream **out)
{
	merlon_stream *s = &fake_streams[fake_nstreams];

	(void)ctx;
	(void)cfg;
	if (fake_stream_open_answer)
		return fake_stream_open_answer;
	if (fake_nstreams == FAKE_STREAMS)
		return MERLON_E_FULL;
	fake_nstreams++;
	s->ops = *ops;
	s->ops.endpoint = pool_copy(&kept, ops->endpoint);
	s->ops.ca = pool_copy(&kept, ops->ca);
	s->ops.certificate = pool_copy(&kept, ops->certificate);
	s->ops.key = pool_copy(&kept, ops->key);
	s->ops.server_name = pool_copy(&kept, ops->server_name);
	s->ops.greeting = pool_copy(&kept, ops->greeting);
	s->ops.note = pool_copy(&kept, ops->note);
	s->state = MERLON_STREAM_UP;
	*out = s;
	return 0;
}

int32_t fakenet_stream_send(merlon_stream *s, merlon_tx *tx, struct merlon_str bytes)
{
	(void)tx;
	if (s->answer || s->nsent == FAKE_SENT) {
		s->lost++;
		return s->answer ? s->answer : MERLON_E_FULL;
	}
	s->sent[s->nsent++] = pool_copy(&kept, bytes);
	return 0;
}

int32_t fakenet_stream_call(merlon_stream *s, merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx,
                            struct merlon_str bytes, uint32_t timeout_ms, merlon_stream_fn done,
                            void *arg, merlon_op **handle)
{
	struct fake_op *op;

	(void)ctx;
	if (!w && !tx)
		return MERLON_E_INVAL;
	if (s->answer)
		return s->answer;
	if (s->state == MERLON_STREAM_DOWN)
		return MERLON_E_UNAVAIL;
	op = op_new(FAKE_STREAM, tx, timeout_ms, arg, handle);
	if (!op)
		return MERLON_E_FULL;
	op->stream = s;
	op->stream_fn = done;
	op->bytes = pool_copy(&kept, bytes);
	return 0;
}

int32_t fakenet_stream_state(merlon_stream *s, merlon_worker *w)
{
	(void)w;
	return s->state;
}

int32_t fakenet_stream_ready(merlon_stream *s, merlon_tx *tx, uint64_t room)
{
	(void)tx;
	(void)room;
	return s->answer;
}

void fake_stream_done(struct fake_op *op, int32_t error, const void *msg)
{
	op->over = 1;
	op->stream_fn(op->arg, error, msg);
}

void fake_stream_reply(struct fake_op *op, struct merlon_str bytes)
{
	merlon_stream *s = op->stream;
	void *msg = NULL;

	if (!s->dec)
		s->dec = s->ops.decoder_new();
	if (s->ops.decode(s->dec, bytes, &msg) != 1) {
		fprintf(stderr, "fakenet: no whole message: %.*s\n", TXT_FMT(bytes));
		abort();
	}
	fake_stream_done(op, 0, msg);
	s->ops.message_free(msg);
}

int32_t fake_stream_greeted(merlon_stream *s, struct merlon_str bytes)
{
	void *dec = s->ops.decoder_new();
	int32_t r = 0;

	for (uint32_t i = 0; i < s->ops.greetings && r == 0; i++) {
		void *msg = NULL;

		if (s->ops.decode(dec, bytes, &msg) != 1) {
			r = -1;
			break;
		}
		bytes.len = 0;
		r = s->ops.greeted(i, msg);
		s->ops.message_free(msg);
	}
	s->ops.decoder_free(dec);
	return r;
}

uint64_t fake_stream_lost(merlon_stream *s, uint64_t count, int64_t time_us, char *buf,
                          uint64_t cap)
{
	return s->ops.lost ? s->ops.lost(s->ops.note, count, time_us, buf, cap) : 0;
}

/* ---- metrics ---- */
int32_t fakenet_metric_define(merlon_ctx *ctx, int32_t kind, const char *name, const char *help,
                              const char *labels, uint32_t *id)
{
	unsigned i = 0;

	(void)ctx;
	(void)kind;
	(void)help;
	while (i < nmetrics && strcmp(metrics[i].name, name) != 0)
		i++;
	if (i == FAKE_METRICS)
		return MERLON_E_FULL;
	if (i == nmetrics)
		nmetrics++;
	metrics[i].name = name;
	metrics[i].nlabels = *labels != '\0';
	for (const char *p = labels; *p; p++)
		metrics[i].nlabels += *p == ',';
	*id = i;
	return 0;
}

void fakenet_metric_add(merlon_ctx *ctx, uint32_t id, const struct merlon_str *values, int64_t by)
{
	struct fake_metric *m = &metrics[id];
	struct fake_series *s = m->series;
	char text[512];
	size_t n = 0;

	(void)ctx;
	text[0] = '\0';
	for (unsigned i = 0; i < m->nlabels && n < sizeof(text); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s", i ? "," : "",
		                      TXT_FMT(values[i]));
	while (s && !txt_eq(s->labels, txt_of(text)))
		s = s->next;
	if (!s) {
		s = pool_new(&kept, 1, sizeof(*s));
		s->labels = pool_copy(&kept, txt_of(text));
		s->next = m->series;
		m->series = s;
	}
	s->value += by;
}

int64_t fake_metric(const char *name, const char *labels)
{
	int64_t sum = 0;

	for (unsigned i = 0; i < nmetrics; i++) {
		if (strcmp(metrics[i].name, name) != 0)
			continue;
		for (const struct fake_series *s = metrics[i].series; s; s = s->next) {
			if (!labels || txt_eq(s->labels, txt_of(labels)))
				sum += s->value;
		}
	}
	return sum;
}

/* ---- shared objects ---- */
int32_t fakenet_shared_get(merlon_ctx *ctx, struct merlon_str key, merlon_build_fn build,
                           merlon_free_fn free_fn, void *arg, merlon_shared **out)
{
	struct merlon_shared *o = objects;

	(void)ctx;
	while (o && !txt_eq(o->key, key))
		o = o->next;
	if (!o) {
		void *ptr = build(arg);

		if (!ptr)
			return MERLON_E_UNAVAIL;
		o = mem_new(1, sizeof(*o));
		*o = (struct merlon_shared){mem_copy(key), ptr, free_fn, 0, objects};
		objects = o;
	}
	o->refs++;
	*out = o;
	return 0;
}

void *fakenet_shared_ptr(merlon_shared *obj)
{
	return obj ? obj->ptr : NULL;
}

static void shared_free(struct merlon_shared *o)
{
	if (o->free_fn)
		o->free_fn(o->ptr);
	free((void *)(uintptr_t)o->key.ptr);
	free(o);
}

void fakenet_shared_put(merlon_shared *obj)
{
	if (!obj || --obj->refs > 0)
		return;
	for (struct merlon_shared **at = &objects; *at; at = &(*at)->next) {
		if (*at == obj) {
			*at = obj->next;
			break;
		}
	}
	shared_free(obj);
}

void fakenet_reset(void)
{
	for (unsigned i = 0; i < fake_nstreams; i++) {
		if (fake_streams[i].dec)
			fake_streams[i].ops.decoder_free(fake_streams[i].dec);
	}
	for (struct merlon_shared *o = objects, *next; o; o = next) {
		next = o->next;
		shared_free(o);
	}
	objects = NULL;
	memset(fake_streams, 0, sizeof(fake_streams));
	memset(metrics, 0, sizeof(metrics));
	fake_nstreams = fake_nops = fake_nwaits = nmetrics = 0;
	fake_suspend_answer = fake_http_answer_now = fake_stream_open_answer = 0;
	pool_free(&kept);
}
