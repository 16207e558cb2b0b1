/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Timers, descriptor watches and offloaded jobs of modules. Each is an op in a table of its worker
 * and in the list of its owner, a tx or an instance. What modules hold is no pointer but a token,
 * so that an op which has fired or was cancelled can be cancelled again without harm.
 *
 * A job that runs on the pool cannot be called back; its struct offloaded is held by both sides,
 * and a list of all that are on the pool lets an instance wait for its own before it is destroyed.
 */
#include "stack/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stack/instance.h"
#include "stack/ledgerpriv.h"

#define CHUNK 64
#define CHUNKS 16384
#define WAIT_S 5

_Static_assert(sizeof(merlon_op *) == sizeof(uint64_t), "a handle holds a token");
_Static_assert((uint64_t)CHUNK *CHUNKS <= TOKEN_PLACES, "a token names every place");

enum op_kind { OP_FREE, OP_TIMER, OP_FD, OP_OFFLOAD, OP_OTHER };

struct offloaded {
	struct list node; /* while the pool has it */
	struct merlon_ctx *ctx;
	merlon_work_fn work;
	merlon_done_fn done;
	void *arg;
	struct op *op;
	_Atomic unsigned refs; /* the worker's and the pool's */
};

struct op {
	struct list node; /* in its owner's list */
	enum op_kind kind;
	uint32_t place;
	_Atomic uint32_t sequence;
	struct merlon_worker *w;
	unsigned *count; /* its owner's */
	struct op *next; /* free */
	void *arg;
	union {
		struct {
			struct loop_timer timer;
			merlon_timer_fn fn;
		} timer;
		struct {
			struct loop_io *io;
			merlon_fd_fn fn;
			int fd;
		} fd;
		struct {
			struct offload_job *job;
			struct offloaded *o;
		} offload;
		void (*cancel)(void *arg);
	} u;
};

/* Chunks stay where they are until the worker goes. */
struct op_table {
	struct op *chunks[CHUNKS];
	uint32_t n;
	struct op *free;
};

static _Atomic(struct merlon_worker *) workers[LEDGER_WORKERS];
static pthread_mutex_t jobs_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t job_ended = PTHREAD_COND_INITIALIZER;
static struct list jobs = {&jobs, &jobs};

/* ---- the table ---- */
static struct op *op_at(struct op_table *t, uint32_t place)
{
	return &t->chunks[place / CHUNK][place % CHUNK];
}

static struct op *table_take(struct op_table *t)
{
	struct op *op = t->free;

	if (op) {
		t->free = op->next;
		return op;
	}
	if (t->n == CHUNK * CHUNKS)
		return NULL;
	if (t->n % CHUNK == 0)
		t->chunks[t->n / CHUNK] = xcalloc(CHUNK, sizeof(struct op));
	op = op_at(t, t->n);
	op->place = t->n++;
	atomic_store_explicit(&op->sequence, 1, memory_order_relaxed);
	return op;
}

/* The op is over: its token says nothing any more. */
static void op_release(struct op *op)
{
	struct op_table *t = op->w->ops;

	list_del(&op->node);
	(*op->count)--;
	op->kind = OP_FREE;
	atomic_fetch_add_explicit(&op->sequence, 1, memory_order_relaxed);
	op->next = t->free;
	t->free = op;
}

/* Makes an op for its owner: the tx, or else the instance on worker w. 0 or MERLON_E_*. */
static int32_t op_new(merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx, enum op_kind kind,
                      void *arg, struct op **out)
{
	struct list *list;
	unsigned *count;
	struct op *op;

	if (tx)
		w = tx_base(tx)->worker;
	if (!ctx || !w || !w->ops || (!tx && w->index >= WORKERS_MAX))
		return MERLON_E_INVAL;
	list = tx ? &tx_base(tx)->ops : &ctx->work[w->index].ops;
	count = tx ? &tx_base(tx)->nops : &ctx->work[w->index].nops;
	if (*count >= (tx ? OPS_TX_MAX : OPS_INSTANCE_MAX))
		return MERLON_E_FULL;
	op = table_take(w->ops);
	if (!op)
		return MERLON_E_FULL;
	list_add(list, &op->node);
	(*count)++;
	op->count = count;
	op->kind = kind;
	op->w = w;
	op->arg = arg;
	*out = op;
	return 0;
}

static void handle_give(const struct op *op, merlon_op **handle)
{
	if (handle)
		*handle = (merlon_op *)(uintptr_t)token_make(
		    op->w->index, op->place,
		    atomic_load_explicit(&op->sequence, memory_order_relaxed));
}

/* ---- offloaded jobs ---- */
static void offloaded_unref(struct offloaded *o)
{
	if (atomic_fetch_sub(&o->refs, 1) == 1)
		free(o);
}

/* The pool has done with it: has run it, or never will. */
static void offloaded_leave(struct offloaded *o)
{
	pthread_mutex_lock(&jobs_lock);
	list_del(&o->node);
	pthread_cond_broadcast(&job_ended);
	pthread_mutex_unlock(&jobs_lock);
	offloaded_unref(o);
}

static void job_work(void *arg)
{
	struct offloaded *o = arg;

	o->work(o->arg);
	offloaded_leave(o);
}

static void job_done(void *arg)
{
	struct offloaded *o = arg;
	merlon_done_fn done = o->done;
	void *done_arg = o->arg;

	op_release(o->op);
	offloaded_unref(o);
	if (done)
		done(done_arg, 0);
}

static bool has_jobs(const struct merlon_ctx *ctx)
{
	list_each(it, &jobs)
	{
		if (list_entry(it, struct offloaded, node)->ctx == ctx)
			return true;
	}
	return false;
}

bool ledger_instance_wait(struct merlon_ctx *ctx)
{
	struct timespec until;
	bool left;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	pthread_mutex_lock(&jobs_lock);
	while ((left = has_jobs(ctx)) && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&job_ended, &jobs_lock, &until);
	pthread_mutex_unlock(&jobs_lock);
	return !left;
}

int32_t host_offload(merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx, merlon_work_fn work,
                     merlon_done_fn done, void *arg, merlon_op **handle)
{
	struct offloaded *o;
	struct op *op;
	int32_t r;

	if (tx)
		w = tx_base(tx)->worker;
	if (!work || !w)
		return MERLON_E_INVAL;
	if (!w->offload)
		return MERLON_E_UNAVAIL;
	r = op_new(ctx, w, tx, OP_OFFLOAD, arg, &op);
	if (r)
		return r;
	o = xcalloc(1, sizeof(*o));
	o->ctx = ctx;
	o->work = work;
	o->done = done;
	o->arg = arg;
	o->op = op;
	atomic_store(&o->refs, 2);
	op->u.offload.o = o;
	pthread_mutex_lock(&jobs_lock);
	list_add(&jobs, &o->node);
	pthread_mutex_unlock(&jobs_lock);
	if (offload_submit(w->offload, w->loop, job_work, job_done, o, &op->u.offload.job)) {
		offloaded_leave(o);
		offloaded_unref(o);
		op_release(op);
		return MERLON_E_FULL;
	}
	handle_give(op, handle);
	return 0;
}

/* ---- timers ---- */
static void timer_fired(void *arg)
{
	struct op *op = arg;
	merlon_timer_fn fn = op->u.timer.fn;
	void *fn_arg = op->arg;

	op_release(op);
	fn(fn_arg);
}

int32_t host_timer(merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx, uint64_t ms,
                   merlon_timer_fn fn, void *arg, merlon_op **handle)
{
	struct op *op;
	int32_t r;

	if (!fn || ms > UINT64_MAX / NS_PER_MS)
		return MERLON_E_INVAL;
	r = op_new(ctx, w, tx, OP_TIMER, arg, &op);
	if (r)
		return r;
	op->u.timer.fn = fn;
	loop_timer_init(&op->u.timer.timer, timer_fired, op);
	loop_timer_in(op->w->loop, &op->u.timer.timer, ms * NS_PER_MS);
	handle_give(op, handle);
	return 0;
}

/* ---- descriptors ---- */
static void fd_ready(void *arg, unsigned ready)
{
	struct op *op = arg;

	/* op may be gone when the callback returns. */
	op->u.fd.fn(op->arg, op->u.fd.fd, ready & (MERLON_FD_READ | MERLON_FD_WRITE));
}

int32_t host_watch_fd(merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx, int32_t fd, uint32_t events,
                      merlon_fd_fn fn, void *arg, merlon_op **handle)
{
	_Static_assert(MERLON_FD_READ == LOOP_READ && MERLON_FD_WRITE == LOOP_WRITE, "same bits");
	struct op *op;
	int32_t r;

	if (!fn || events == 0 || (events & ~(MERLON_FD_READ | MERLON_FD_WRITE)) ||
	    fcntl(fd, F_GETFD) < 0)
		return MERLON_E_INVAL;
	r = op_new(ctx, w, tx, OP_FD, arg, &op);
	if (r)
		return r;
	op->u.fd.fn = fn;
	op->u.fd.fd = fd;
	op->u.fd.io = loop_io_new_level(op->w->loop, fd, events, fd_ready, op);
	handle_give(op, handle);
	return 0;
}

/* ---- work of others ---- */
int32_t ledger_op_begin(merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx, void (*cancel)(void *arg),
                        void *arg, merlon_op **handle, struct op **out)
{
	struct op *op;
	int32_t r = op_new(ctx, w, tx, OP_OTHER, arg, &op);

	if (r)
		return r;
	op->u.cancel = cancel;
	handle_give(op, handle);
	*out = op;
	return 0;
}

void ledger_op_end(struct op *op)
{
	op_release(op);
}

/* ---- cancelling ---- */
static void op_cancel(struct op *op)
{
	void (*cancel)(void *arg) = NULL;
	void *arg = op->arg;

	switch (op->kind) {
	case OP_FREE:
		return;
	case OP_TIMER:
		loop_timer_drop(op->w->loop, &op->u.timer.timer);
		break;
	case OP_FD:
		loop_io_free(op->u.fd.io);
		break;
	case OP_OFFLOAD:
		if (offload_cancel(op->u.offload.job))
			offloaded_leave(op->u.offload.o);
		offloaded_unref(op->u.offload.o);
		break;
	case OP_OTHER:
		cancel = op->u.cancel;
		break;
	}
	op_release(op);
	if (cancel)
		cancel(arg);
}

void host_op_cancel(merlon_op *handle)
{
	uint64_t token = (uint64_t)(uintptr_t)handle;
	unsigned index = token_worker(token);
	uint32_t place = token_place(token);
	struct merlon_worker *w;
	struct op *op;

	if (index >= LEDGER_WORKERS)
		return;
	w = atomic_load_explicit(&workers[index], memory_order_acquire);
	if (!w || place >= w->ops->n)
		return;
	op = op_at(w->ops, place);
	if (atomic_load_explicit(&op->sequence, memory_order_relaxed) == token_sequence(token))
		op_cancel(op);
}

static void cancel_all(struct list *ops)
{
	while (!list_empty(ops))
		op_cancel(list_entry(ops->next, struct op, node));
}

void ledger_tx_cancel(merlon_tx *tx, uint32_t reason)
{
	/* The hook first: it may look after its ops itself, or begin others. */
	suspend_cancel(tx, reason);
	cancel_all(&tx_base(tx)->ops);
}

void ledger_instance_cancel(struct merlon_ctx *ctx, struct merlon_worker *w)
{
	cancel_all(&ctx->work[w->index].ops);
}

/* ---- life ---- */
void ledger_worker_init(struct merlon_worker *w)
{
	list_init(&w->links);
	w->suspended = suspend_table_new();
	w->ops = xcalloc_lines(1, sizeof(*w->ops));
	atomic_store_explicit(&workers[w->index], w, memory_order_release);
	suspend_worker_set(w->index, w);
}

void ledger_worker_deinit(struct merlon_worker *w)
{
	suspend_worker_set(w->index, NULL);
	atomic_store_explicit(&workers[w->index], NULL, memory_order_release);
	for (uint32_t i = 0; i < w->ops->n; i += CHUNK)
		free(w->ops->chunks[i / CHUNK]);
	free(w->ops);
	w->ops = NULL;
	suspend_table_free(w->suspended);
	w->suspended = NULL;
}

void tx_base_init(struct tx_base *b, struct merlon_worker *w, struct arena *a,
                  void (*resumed)(merlon_tx *tx, int32_t code))
{
	memset(b, 0, offsetof(struct tx_base, attrs));
	b->worker = w;
	b->arena = a;
	b->resumed = resumed;
	attrs_init(&b->attrs, a);
	list_init(&b->ops);
	suspend_tx_init(b);
}
