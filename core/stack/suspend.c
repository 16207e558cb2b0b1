/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Suspensions: a hook has returned without an answer, and the tx waits for resume(), for its time
 * to be up, or for its own end. Whichever comes first on the tx's worker ends the suspension; what
 * comes later finds the place under another sequence number and is counted.
 *
 * A table belongs to its worker's thread; other threads reach only its inbox.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stack/instance.h"
#include "stack/ledgerpriv.h"

#define NOWHERE UINT32_MAX

struct waiting {
	merlon_tx *tx; /* NULL: the place is free */
	uint32_t sequence;
	uint32_t next; /* free place */
};

struct answer {
	uint64_t token;
	int32_t code;
};

struct answers {
	struct answer *v;
	size_t n;
	size_t cap;
};

struct suspend_table {
	struct waiting *v;
	uint32_t n;
	uint32_t cap;
	uint32_t free;
	pthread_mutex_t lock; /* guards the two below */
	struct answers inbox;
	bool posted;
	struct answers batch; /* the worker's; swapped with the inbox, so that both are reused */
};

/* The lock keeps a worker from going while an answer is posted to it. */
static pthread_rwlock_t workers_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct merlon_worker *workers[LEDGER_WORKERS];
static _Atomic uint64_t strays;

uint64_t ledger_stray_resumes(void)
{
	return atomic_load_explicit(&strays, memory_order_relaxed);
}

static void count_stray(void)
{
	atomic_fetch_add_explicit(&strays, 1, memory_order_relaxed);
}

/* ---- the table ---- */
struct suspend_table *suspend_table_new(void)
{
	struct suspend_table *t = xcalloc_lines(1, sizeof(*t));

	t->free = NOWHERE;
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

void suspend_table_free(struct suspend_table *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t->inbox.v);
	free(t->batch.v);
	free(t->v);
	free(t);
}

void suspend_worker_set(unsigned index, struct merlon_worker *w)
{
	pthread_rwlock_wrlock(&workers_lock);
	workers[index] = w;
	pthread_rwlock_unlock(&workers_lock);
}

/* NOWHERE: more are waiting than a token can tell apart. */
static uint32_t place_take(struct suspend_table *t, merlon_tx *tx)
{
	uint32_t place = t->free;

	if (place != NOWHERE) {
		t->free = t->v[place].next;
	} else if (t->n == TOKEN_PLACES) {
		return NOWHERE;
	} else {
		if (t->n == t->cap) {
			t->cap = t->cap ? t->cap * 2 : 64;
			t->v = xrealloc(t->v, t->cap * sizeof(*t->v));
		}
		place = t->n++;
		t->v[place].sequence = 1;
	}
	t->v[place].tx = tx;
	return place;
}

static void place_free(struct suspend_table *t, uint32_t place)
{
	t->v[place].tx = NULL;
	t->v[place].sequence++;
	t->v[place].next = t->free;
	t->free = place;
}

static merlon_tx *place_find(const struct suspend_table *t, uint64_t token)
{
	uint32_t place = token_place(token);

	if (place >= t->n || t->v[place].sequence != token_sequence(token))
		return NULL;
	return t->v[place].tx;
}

/* ---- a tx's suspension ---- */
/* The token says nothing any more; whose hook it was is left to the caller. */
static void suspension_end(struct tx_base *b)
{
	struct suspension *s = &b->susp;

	place_free(b->worker->suspended, s->place);
	s->token = 0;
	loop_timer_drop(b->worker->loop, &s->timer);
}

static void time_is_up(void *arg)
{
	struct tx_base *b = arg;
	merlon_tx *tx = (merlon_tx *)(void *)b;
	struct merlon_ctx *ctx = b->susp.ctx;
	uint64_t token = b->susp.token;

	suspension_end(b);
	b->susp.ctx = NULL;
	hook_cancel(ctx, tx, token, MERLON_CANCEL_TIMEOUT);
	b->resumed(tx, MERLON_TIMEOUT);
}

void suspend_tx_init(struct tx_base *b)
{
	b->susp = (struct suspension){0};
	loop_timer_init(&b->susp.timer, time_is_up, b);
}

void suspend_cancel(merlon_tx *tx, uint32_t reason)
{
	struct tx_base *b = tx_base(tx);
	struct merlon_ctx *ctx = b->susp.ctx;
	uint64_t token = b->susp.token;

	if (token == 0)
		return;
	suspension_end(b);
	b->susp.ctx = NULL;
	hook_cancel(ctx, tx, token, reason);
	/* An identity that it had begun to write was never confirmed: nobody may read it, the audit
	 * record least of all. */
	attrs_line_abandon(&b->attrs);
}

void suspend_enter(merlon_tx *tx, struct merlon_ctx *ctx, bool may)
{
	struct suspension *s = &tx_base(tx)->susp;

	s->ctx = ctx;
	s->in_hook = true;
	s->may = may;
	s->line_timeout_ns = ctx->line ? ctx->line->timeout : 0;
}

int32_t suspend_leave(merlon_tx *tx, int32_t code)
{
	struct tx_base *b = tx_base(tx);
	struct suspension *s = &b->susp;

	s->in_hook = false;
	s->may = false;
	if (s->token && code == MERLON_PENDING)
		return MERLON_PENDING;
	s->ctx = NULL;
	if (s->token) {
		suspension_end(b);
		return MERLON_ERROR;
	}
	return code == MERLON_PENDING ? MERLON_ERROR : code;
}

/* The earliest of what the hook asked for, its line allows and its group has left; 0: none of them
 * sets a limit. */
static uint64_t deadline_of(const struct tx_base *b, uint32_t timeout_ms)
{
	uint64_t after = b->susp.line_timeout_ns;
	uint64_t asked = timeout_ms * NS_PER_MS;
	uint64_t deadline;

	if (asked && (after == 0 || asked < after))
		after = asked;
	deadline = after ? loop_now(b->worker->loop) + after : 0;
	if (b->group_deadline && (deadline == 0 || b->group_deadline < deadline))
		deadline = b->group_deadline;
	return deadline;
}

int32_t host_suspend(merlon_ctx *ctx, merlon_tx *tx, uint32_t timeout_ms, uint64_t *token)
{
	struct tx_base *b = tx_base(tx);
	struct suspension *s = &b->susp;
	struct suspend_table *t = b->worker ? b->worker->suspended : NULL;
	uint64_t deadline;

	if (!token)
		return MERLON_E_INVAL;
	if (!t || !s->in_hook || !s->may || s->ctx != ctx || s->token)
		return MERLON_E_STATE;
	s->place = place_take(t, tx);
	if (s->place == NOWHERE)
		return MERLON_E_FULL;
	s->token = token_make(b->worker->index, s->place, t->v[s->place].sequence);
	deadline = deadline_of(b, timeout_ms);
	if (deadline)
		loop_timer_set(b->worker->loop, &s->timer, deadline);
	*token = s->token;
	return 0;
}

/* ---- answers ---- */
static void answer_deliver(struct suspend_table *t, const struct answer *a)
{
	merlon_tx *tx = place_find(t, a->token);
	struct tx_base *b;
	int32_t code;

	if (!tx) {
		count_stray();
		return;
	}
	b = tx_base(tx);
	code = hook_answer(b->susp.ctx, tx, a->code);
	suspension_end(b);
	b->susp.ctx = NULL;
	b->resumed(tx, code);
}

static void inbox_run(void *arg)
{
	struct merlon_worker *w = arg;
	struct suspend_table *t = w->suspended;
	struct answers batch;

	pthread_mutex_lock(&t->lock);
	batch = t->inbox;
	t->inbox = t->batch;
	t->inbox.n = 0;
	t->batch = batch;
	t->posted = false;
	pthread_mutex_unlock(&t->lock);
	for (size_t i = 0; i < batch.n; i++)
		answer_deliver(t, &batch.v[i]);
}

static void inbox_add(struct merlon_worker *w, uint64_t token, int32_t code)
{
	struct suspend_table *t = w->suspended;
	bool first;

	pthread_mutex_lock(&t->lock);
	if (t->inbox.n == t->inbox.cap) {
		t->inbox.cap = t->inbox.cap ? t->inbox.cap * 2 : 64;
		t->inbox.v = xrealloc(t->inbox.v, t->inbox.cap * sizeof(*t->inbox.v));
	}
	t->inbox.v[t->inbox.n++] = (struct answer){token, code};
	first = !t->posted;
	t->posted = true;
	pthread_mutex_unlock(&t->lock);
	/* Always by the loop, from the worker's own thread too: the hook may not have returned yet.
	 */
	if (first)
		loop_post(w->loop, inbox_run, w);
}

void host_resume(uint64_t token, int32_t code)
{
	unsigned index = token_worker(token);

	pthread_rwlock_rdlock(&workers_lock);
	if (index < LEDGER_WORKERS && workers[index])
		inbox_add(workers[index], token, code);
	else
		count_stray();
	pthread_rwlock_unlock(&workers_lock);
}
