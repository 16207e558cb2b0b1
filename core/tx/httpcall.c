/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * HTTP calls of modules. A flight is one request under way; it belongs to the worker that began it
 * and holds that worker's upstreams. Those who wait for it, on whatever worker, are in its list; a
 * waiter belongs to the ledger's op and to its own worker, where its callback runs.
 *
 * A flight with an answer can still be joined until everyone who waited for it has been told:
 * otherwise a second request would leave while one worker knows the answer and another does not
 * yet.
 *
 * One lock guards the table of flights and who waits in which. A waiter whose answer is on its way
 * to another worker is in a list of its own, and is freed there, told or not.
 */
#include "tx/httpcall.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "http/message.h"
#include "http/url.h"
#include "tx/worker.h"
#include "upstream/call.h"

#define TIMEOUT_MS 5000
#define TIMEOUT_MS_MAX (10 * 60 * 1000)
#define ANSWER_MAX ((uint64_t)16 * 1024 * 1024)
#define ANSWER_USUAL ((uint64_t)1024 * 1024)
#define BODY_MAX ((uint64_t)1024 * 1024)
#define HEADERS_MAX 64

struct flight {
	struct list node; /* in `flights`; in no list: nobody can join */
	uint8_t key[SHA256_LEN];
	struct gen_worker *gw; /* held; NULL: over */
	struct call *call;     /* NULL: over; its worker's */
	struct list waiters;   /* that have no answer yet */
	struct call_answer *answer;
	unsigned untold; /* who waited for it and has the answer on the way */
	unsigned looks;  /* posted flight_look()s */
};
struct waiter {
	struct list node;      /* in the flight's list, or in `told` */
	struct flight *flight; /* NULL: it came when the answer was there */
	struct merlon_worker *w;
	struct op *op; /* NULL: cancelled; its own worker's */
	merlon_http_fn done;
	void *arg;
	struct call_answer *answer;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list flights = {&flights, &flights};
static struct list told = {&told, &told};

/* ---- telling ---- */
static int32_t error_code(enum call_error e)
{
	switch (e) {
	case CALL_OK:
		return 0;
	case CALL_TIMEOUT:
		return MERLON_E_TIMEOUT;
	case CALL_FULL:
		return MERLON_E_FULL;
	case CALL_BROKEN:
		break;
	}
	return MERLON_E_UNAVAIL;
}

static void tell(merlon_http_fn done, void *arg, const struct call_answer *a)
{
	struct merlon_header headers[HTTP_FIELDS_MAX];
	unsigned n = 0;
	const struct call_field *fields = call_answer_fields(a, &n);
	const struct merlon_http_response res = {
	    .size = sizeof(res),
	    .error = error_code(call_answer_error(a)),
	    .status = call_answer_status(a),
	    .nheaders = n,
	    .headers = headers,
	    .body = to_merlon(call_answer_body(a)),
	    .detail = to_merlon(str_of(call_answer_detail(a))),
	};

	for (unsigned i = 0; i < n; i++)
		headers[i] =
		    (struct merlon_header){to_merlon(fields[i].name), to_merlon(fields[i].value)};
	done(arg, &res);
}

/* With the lock held: whether nothing leads to it any more. */
static bool flight_dead(const struct flight *f)
{
	return !f->gw && f->untold == 0 && f->looks == 0;
}

static void flight_free(struct flight *f)
{
	call_answer_unref(f->answer);
	free(f);
}

/* On its worker. */
static void waiter_answer(void *arg)
{
	struct waiter *w = arg;
	struct flight *f = w->flight;
	bool dead = false;

	if (w->op) {
		ledger_op_end(w->op);
		w->op = NULL;
		tell(w->done, w->arg, w->answer);
	}
	pthread_mutex_lock(&lock);
	list_del(&w->node);
	if (f && --f->untold == 0) {
		list_del(&f->node);
		dead = flight_dead(f);
	}
	pthread_mutex_unlock(&lock);
	if (dead)
		flight_free(f);
	call_answer_unref(w->answer);
	free(w);
}

/* With the lock held. */
static void waiter_give(struct waiter *w, struct call_answer *a, struct list *list)
{
	w->answer = call_answer_ref(a);
	list_add(list, &w->node);
	if (list == &told)
		loop_post(w->w->loop, waiter_answer, w);
}

/* ---- the end of a flight, on its worker ---- */
static void flight_done(void *arg, struct call_answer *a)
{
	struct flight *f = arg;
	struct gen_worker *gw = f->gw;
	const struct merlon_worker *own = &gw->worker->base;
	struct list here;
	bool dead;

	list_init(&here);
	pthread_mutex_lock(&lock);
	f->call = NULL;
	f->gw = NULL;
	f->answer = a;
	while (!list_empty(&f->waiters)) {
		struct waiter *w = list_entry(f->waiters.next, struct waiter, node);

		list_del(&w->node);
		f->untold++;
		waiter_give(w, a, w->w == own ? &here : &told);
	}
	dead = flight_dead(f);
	if (f->untold == 0)
		list_del(&f->node);
	pthread_mutex_unlock(&lock);
	gen_let_go(gw);
	if (dead)
		flight_free(f);
	/* One that is told may cancel another: that one stays in the list, without an op. */
	while (!list_empty(&here))
		waiter_answer(list_entry(here.next, struct waiter, node));
}

/* Nobody waits. It is in no list. */
static void flight_abort(struct flight *f)
{
	struct gen_worker *gw = f->gw;
	bool dead;

	call_abort(f->call);
	pthread_mutex_lock(&lock);
	f->call = NULL;
	f->gw = NULL;
	dead = flight_dead(f);
	pthread_mutex_unlock(&lock);
	gen_let_go(gw);
	if (dead)
		flight_free(f);
}

/* Its last waiter has gone, on another worker; meanwhile others may have come, or the end. */
static void flight_look(void *arg)
{
	struct flight *f = arg;
	bool lonely;
	bool dead;

	pthread_mutex_lock(&lock);
	f->looks--;
	lonely = f->call && list_empty(&f->waiters);
	if (lonely)
		list_del(&f->node);
	dead = flight_dead(f);
	pthread_mutex_unlock(&lock);
	if (lonely)
		flight_abort(f);
	else if (dead)
		flight_free(f);
}

/* By the ledger, on the waiter's worker. */
static void waiter_cancel(void *arg)
{
	struct waiter *w = arg;
	struct flight *f = w->flight;
	bool on_its_way;
	bool abort = false;

	w->op = NULL;
	pthread_mutex_lock(&lock);
	on_its_way = w->answer != NULL;
	if (!on_its_way) {
		list_del(&w->node);
		abort = list_empty(&f->waiters) && &f->gw->worker->base == w->w;
	}
	if (abort) {
		list_del(&f->node);
	} else if (!on_its_way && list_empty(&f->waiters)) {
		f->looks++;
		loop_post(f->gw->worker->base.loop, flight_look, f);
	}
	pthread_mutex_unlock(&lock);
	if (on_its_way)
		return; /* waiter_answer() frees it */
	free(w);
	if (abort)
		flight_abort(f);
}

/* ---- which flight ---- */
static void key_add(struct digest *dg, struct str s)
{
	const uint64_t n = s.n;

	digest_add(dg, (struct str){(const char *)&n, sizeof(n)});
	digest_add(dg, s);
}

/* Whom it reaches, by which name, and as whom; not how long that may take. */
static void flight_key(const merlon_ctx *ctx, const struct conf_upstream *u,
                       const struct call_request *r, struct str name, uint8_t out[SHA256_LEN])
{
	struct digest *dg = digest_new(STR_NONE);

	key_add(dg, str_of(ctx->build->hash));
	key_add(dg, u->name);
	for (unsigned i = 0; i < u->nservers; i++)
		key_add(dg, u->servers[i]);
	key_add(dg, u->tls ? STR("tls") : STR("plain"));
	key_add(dg, u->tls_ca);
	key_add(dg, u->tls_name);
	key_add(dg, u->tls_certificate);
	key_add(dg, u->tls_key);
	for (unsigned i = 0; i < u->nheaders; i++) {
		key_add(dg, u->headers[i].name);
		key_add(dg, u->headers[i].value);
	}
	for (unsigned i = 0; i < r->nfields; i++)
		if (str_ieq(r->fields[i].name, STR("host")))
			key_add(dg, r->fields[i].value);
	key_add(dg, name);
	digest_get(dg, out);
	digest_free(dg);
}

static struct flight *flight_find(const uint8_t key[SHA256_LEN])
{
	list_each(it, &flights)
	{
		struct flight *f = list_entry(it, struct flight, node);

		if (memcmp(f->key, key, SHA256_LEN) == 0)
			return f;
	}
	return NULL;
}

/* NULL: the request cannot be written. */
static struct flight *flight_begin(struct gen_worker *gw, struct upstream *u,
                                   const struct call_request *r)
{
	struct flight *f = xcalloc(1, sizeof(*f));

	list_init(&f->node);
	list_init(&f->waiters);
	f->gw = gen_hold(gw);
	f->call = call_start(u, r, flight_done, f);
	if (f->call)
		return f;
	gen_let_go(gw);
	free(f);
	return NULL;
}

/* ---- the host function ---- */
/* What the options of the line have named, and nothing else. */
static struct upstream *upstream_of(const merlon_ctx *ctx, const struct gen_worker *gw,
                                    struct str name)
{
	const struct conf *c = gw->gen->conf;
	struct url_origin o;
	struct arena a;
	const char *why;
	bool named = false;
	struct upstream *found = NULL;

	arena_init(&a, NULL);
	for (unsigned pass = 0; pass < 2 && !found; pass++) {
		for (unsigned i = 0; i < ctx->nupstreams; i++)
			named |= str_eq(ctx->upstreams[i].name, name);
		for (unsigned i = 0; named && i < c->nupstreams; i++)
			if (str_eq(c->upstreams[i].name, name))
				found = &gw->upstreams[i];
		if (url_origin(name, &a, &o, &why))
			break;
		name = o.text;
	}
	arena_deinit(&a);
	return found;
}

static struct gen_worker *gen_worker_of(const merlon_ctx *ctx, const merlon_worker *w)
{
	struct generation *g = ctx->owner;
	struct gen_worker *gw = g && w->index < WORKERS_MAX ? &g->w[w->index] : NULL;

	return gw && gw->holds > 0 && &gw->worker->base == w ? gw : NULL;
}

static bool request_of(const struct merlon_http_request *req, struct call_field *fields,
                       struct call_request *out)
{
	const uint64_t ms = req->timeout_ms ? req->timeout_ms : TIMEOUT_MS;

	if (req->nheaders > HEADERS_MAX || req->max_body > ANSWER_MAX || req->body.len > BODY_MAX ||
	    ms > TIMEOUT_MS_MAX)
		return false;
	for (uint32_t i = 0; i < req->nheaders; i++)
		fields[i] = (struct call_field){from_merlon(req->headers[i].name),
		                                from_merlon(req->headers[i].value)};
	*out = (struct call_request){
	    .method = from_merlon(req->method),
	    .target = from_merlon(req->target),
	    .fields = fields,
	    .nfields = req->nheaders,
	    .body = from_merlon(req->body),
	    .timeout = ms * NS_PER_MS,
	    .max_body = (size_t)(req->max_body ? req->max_body : ANSWER_USUAL),
	};
	return true;
}

/* Joins the flight of that name, or begins one. */
static int32_t board(const merlon_ctx *ctx, struct gen_worker *gw, struct upstream *u,
                     const struct call_request *r, struct str name, struct waiter *waiter)
{
	uint8_t key[SHA256_LEN];
	struct flight *f = NULL;

	if (name.n > 0)
		flight_key(ctx, u->conf, r, name, key);
	pthread_mutex_lock(&lock);
	if (name.n > 0)
		f = flight_find(key);
	if (!f) {
		f = flight_begin(gw, u, r);
		if (f && name.n > 0) {
			memcpy(f->key, key, sizeof(key));
			list_add(&flights, &f->node);
		}
	}
	if (f && f->answer) {
		waiter_give(waiter, f->answer, &told);
	} else if (f) {
		waiter->flight = f;
		list_add(&f->waiters, &waiter->node);
	}
	pthread_mutex_unlock(&lock);
	return f ? 0 : MERLON_E_INVAL;
}

/* Whom it is for, on the worker where it is asked. */
static int32_t find_upstream(const merlon_ctx *ctx, const merlon_worker *w, merlon_tx *tx,
                             struct str name, struct gen_worker **gw, struct upstream **u)
{
	*gw = gen_worker_of(ctx, w);
	if (!*gw || ctx->probing || (tx && tx_base(tx)->dry))
		return MERLON_E_UNAVAIL;
	*u = upstream_of(ctx, *gw, name);
	return *u ? 0 : MERLON_E_NOENT;
}

int32_t host_http_call(merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx,
                       const struct merlon_http_request *req, merlon_http_fn done, void *arg,
                       merlon_op **op)
{
	struct call_field fields[HEADERS_MAX];
	struct call_request r;
	struct merlon_http_request full = {0};
	struct gen_worker *gw;
	struct upstream *u;
	struct waiter *waiter;
	int32_t code;

	if (tx)
		w = tx_base(tx)->worker;
	if (!ctx || !w || !req || !done)
		return MERLON_E_INVAL;
	memcpy(&full, req, req->size < sizeof(full) ? req->size : sizeof(full));
	code = find_upstream(ctx, w, tx, from_merlon(full.upstream), &gw, &u);
	if (code)
		return code;
	if (!request_of(&full, fields, &r))
		return MERLON_E_INVAL;
	waiter = xcalloc(1, sizeof(*waiter));
	*waiter = (struct waiter){.w = w, .done = done, .arg = arg};
	code = ledger_op_begin(ctx, w, tx, waiter_cancel, waiter, op, &waiter->op);
	if (code == 0) {
		code = board(ctx, gw, u, &r, from_merlon(full.flight), waiter);
		if (code)
			ledger_op_end(waiter->op);
	}
	if (code)
		free(waiter);
	return code;
}
