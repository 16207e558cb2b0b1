/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Asynchronous work of modules belongs to a ledger {module, generation, tx}: timers, descriptor
 * watches, offloaded jobs, HTTP calls, calls of streams and suspensions. What is outstanding when
 * its owner ends is cancelled; nothing fires after its cancel.
 *
 * Here also: the parts of a worker and of a tx that the stack room needs. core/tx embeds both as
 * first members.
 */
#ifndef STACK_LEDGER_H
#define STACK_LEDGER_H

#include "base/buf.h"
#include "base/list.h"
#include "net/loop.h"
#include "net/offload.h"
#include "net/resolve.h"
#include "stack/attr.h"

#define WORKERS_MAX 64
#define OPS_TX_MAX 64
#define OPS_INSTANCE_MAX 4096

/* One worker thread, as modules hold it. */
struct merlon_worker {
	unsigned index; /* 0.. */
	struct loop *loop;
	struct offload *offload; /* NULL in probing processes: offload answers E_UNAVAIL */
	struct suspend_table *suspended;
	struct op_table *ops;
	struct resolver *resolver; /* NULL in probing processes, as is `blocks` */
	struct block_pool *blocks;
	struct list links; /* struct stream_link: its connections of streams; streamlink.c */
	bool links_finish; /* the loop runs only until the last of them has ended */
};
/* Makes a worker known to resume(); before its loop runs, and after it ended. */
void ledger_worker_init(struct merlon_worker *w);
void ledger_worker_deinit(struct merlon_worker *w);

/* What is under way for a suspended hook. */
struct suspension {
	struct merlon_ctx *ctx; /* whose hook; NULL: no hook is running or waiting */
	uint64_t token;         /* 0: not suspended */
	uint32_t place;         /* in the worker's table */
	bool in_hook;           /* the hook has not returned yet */
	bool may;               /* the hook may suspend */
	uint64_t line_timeout_ns;
	struct loop_timer timer;
};

struct tx_slot {
	struct tx_slot *next;
	const struct merlon_ctx *ctx;
	void *mem;
};

/* The first member of struct merlon_tx (core/tx/tx.h). */
struct tx_base {
	struct merlon_worker *worker;
	struct arena *arena;
	struct list ops; /* struct merlon_op, this tx's */
	unsigned nops;
	struct tx_slot *slots;
	struct suspension susp;
	uint64_t group_deadline; /* monotonic ns; 0: none. A suspension never lasts beyond it */
	bool dry;                /* explain: zones are left as they are, sinks take nothing */
	bool replied;            /* reply() was called by the hook under way */
	/* The suspended hook has answered (code), or its time is up (MERLON_TIMEOUT): go on. On the
	 * tx's loop, never from within a hook. */
	void (*resumed)(merlon_tx *tx, int32_t code);
	struct attrs attrs; /* the last member, see there */
};
static inline struct tx_base *tx_base(merlon_tx *tx)
{
	return (struct tx_base *)(void *)tx;
}
void tx_base_init(struct tx_base *b, struct merlon_worker *w, struct arena *a,
                  void (*resumed)(merlon_tx *tx, int32_t code));
/* Cancels everything of the tx that is outstanding; a suspension gets its cancel hook with `reason`
 * (MERLON_CANCEL_*). Idempotent. */
void ledger_tx_cancel(merlon_tx *tx, uint32_t reason);
/* Likewise, but only the suspension. */
void suspend_cancel(merlon_tx *tx, uint32_t reason);
/* Cancels what belongs to an instance on this worker (call on the worker's thread). */
void ledger_instance_cancel(struct merlon_ctx *ctx, struct merlon_worker *w);
/* Cancelled work that runs on the pool goes on to its end: waits for it, up to 5 s. Before the
 * destroy hook, which frees what the work uses. False: it still runs, so the instance must not be
 * destroyed. Control thread. */
bool ledger_instance_wait(struct merlon_ctx *ctx) MUST_CHECK;

/* Asynchronous work that is not the ledger's own (HTTP calls, calls of streams): an op whose maker
 * ends it before it tells the module. Otherwise cancel(arg) is called, once, on the op's worker;
 * the op is gone by then. 0 or MERLON_E_*. */
struct op;
int32_t ledger_op_begin(merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx, void (*cancel)(void *arg),
                        void *arg, merlon_op **handle, struct op **out);
void ledger_op_end(struct op *op);

/* Around every hook. may: it may suspend. suspend_leave() answers MERLON_PENDING if the hook is
 * suspended and said so by its code; MERLON_ERROR if only one of the two holds (the suspension is
 * dropped, without a cancel hook). */
void suspend_enter(merlon_tx *tx, struct merlon_ctx *ctx, bool may);
int32_t suspend_leave(merlon_tx *tx, int32_t code);

/* Host functions (module.h). */
int32_t host_suspend(merlon_ctx *ctx, merlon_tx *tx, uint32_t timeout_ms, uint64_t *token);
void host_resume(uint64_t token, int32_t code);
int32_t host_timer(merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx, uint64_t ms,
                   merlon_timer_fn fn, void *arg, merlon_op **op);
int32_t host_watch_fd(merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx, int32_t fd, uint32_t events,
                      merlon_fd_fn fn, void *arg, merlon_op **op);
int32_t host_offload(merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx, merlon_work_fn work,
                     merlon_done_fn done, void *arg, merlon_op **op);
void host_op_cancel(merlon_op *op);
/* resumes that came late, twice or with an unknown token, ever */
uint64_t ledger_stray_resumes(void);

#endif
