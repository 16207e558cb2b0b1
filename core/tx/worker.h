/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * One worker thread: its loop, its memory pools, its connections to clients and servers.
 */
#ifndef TX_WORKER_H
#define TX_WORKER_H

#include "stack/ledger.h"
#include "tx/gen.h"

/* Bytes of parked bodies over all workers. Workers take from it in steps, so that the counter is
 * seldom touched. */
struct memory_budget {
	_Atomic uint64_t used;
	_Atomic uint64_t limit;
};

struct worker {
	/* First: what modules hold. Workers stand side by side and share no line. */
	_Alignas(CACHE_LINE) struct merlon_worker base;
	struct block_pool blocks;
	struct arena_pool pages;
	struct resolver *resolver;
	struct pools pools;
	struct gen_worker *current;
	struct list conns;
	unsigned nconns;
	struct memory_budget *budget;
	uint64_t mem_have; /* taken from the budget, not in use */
	bool draining;
	void (*drained)(struct worker *w); /* draining, and the last connection has gone */
	uint64_t rng[2];
	struct buf scratch;        /* heads are built here, then copied out */
	struct digest *digests[8]; /* free running digests without a key, reused */
	unsigned ndigests;
	atomic_uint *connections;              /* of the process */
	struct peers *peers;                   /* of the process; NULL: nobody counts */
	void (*conn_closed)(struct worker *w); /* a place has become free */
	void *owner;                           /* the process's, core/daemon */
	bool full; /* accepting rests: the process has all the connections it may have */
	struct loop_timer accept_timer;
};
/* The loop is made here; `index` is also the stats slot. */
void worker_init(struct worker *w, unsigned index, struct offload *offload,
                 struct memory_budget *budget, atomic_uint *connections);
void worker_deinit(struct worker *w);
/* Closes idle connections now and the others after their request. On the worker. */
void worker_drain(struct worker *w);
/* Ends every connection now. On the worker. */
void worker_abort(struct worker *w);
/* Takes n bytes for parking; false: limits.memory is reached. */
bool worker_mem_take(struct worker *w, size_t n);
void worker_mem_give(struct worker *w, size_t n);
uint64_t worker_random(struct worker *w); /* not for secrets */

#endif
