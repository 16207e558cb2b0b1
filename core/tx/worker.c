/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Workers: what every connection on one thread shares.
 */
#include "tx/worker.h"

#include "base/clock.h"
#include "base/hash.h"
#include "stack/streams.h"
#include "tx/conn.h"

#include <sys/random.h>

#define MEM_STEP (1024 * 1024) /* bytes taken from the budget at once */
#define HEAD_SCRATCH (160 * 1024)
#define BLOCKS_KEPT 64 /* more would stay touched after a burst: the heap has other uses */
#define PAGES_KEPT 1024

void worker_init(struct worker *w, unsigned index, struct offload *offload,
                 struct memory_budget *budget, atomic_uint *connections)
{
	memset(w, 0, sizeof(*w));
	w->base.index = index;
	w->base.loop = loop_new();
	w->base.offload = offload;
	ledger_worker_init(&w->base);
	block_pool_init(&w->blocks, BLOCKS_KEPT);
	arena_pool_init(&w->pages, PAGES_KEPT);
	w->resolver = resolver_new(w->base.loop);
	w->base.resolver = w->resolver;
	w->base.blocks = &w->blocks;
	pools_init(&w->pools, w->base.loop, w->resolver, &w->blocks);
	list_init(&w->conns);
	w->budget = budget;
	w->connections = connections;
	buf_init(&w->scratch, HEAD_SCRATCH);
	if (getrandom(w->rng, sizeof(w->rng), 0) != sizeof(w->rng))
		w->rng[0] = clock_mono();
	w->rng[0] |= 1;
}

void worker_deinit(struct worker *w)
{
	streams_worker_finish(&w->base);
	pools_deinit(&w->pools);
	resolver_free(w->resolver);
	ledger_worker_deinit(&w->base);
	while (w->ndigests > 0)
		digest_free(w->digests[--w->ndigests]);
	loop_free(w->base.loop);
	block_pool_deinit(&w->blocks);
	arena_pool_deinit(&w->pages);
	buf_deinit(&w->scratch);
	if (w->mem_have)
		atomic_fetch_sub(&w->budget->used, w->mem_have);
}

void worker_drain(struct worker *w)
{
	w->draining = true;
	pools_close_idle(&w->pools);
	list_each_safe(it, &w->conns)
	{
		struct conn *c = list_entry(it, struct conn, node);
		if (c->tx || c->lingering)
			continue;
		/* Closing would reset a request that has arrived and only stands back. */
		if (stream_waiting(c->s))
			conn_deadline(c, w->current->gen->conf->limits.header_timeout);
		else
			conn_leave(c);
	}
	if (list_empty(&w->conns) && w->drained)
		w->drained(w);
}

void worker_abort(struct worker *w)
{
	while (!list_empty(&w->conns))
		conn_close(list_entry(w->conns.next, struct conn, node));
}

bool worker_mem_take(struct worker *w, size_t n)
{
	if (w->mem_have < n) {
		uint64_t step = n - w->mem_have > MEM_STEP ? n - w->mem_have : MEM_STEP;
		uint64_t limit = atomic_load(&w->budget->limit);
		if (atomic_fetch_add(&w->budget->used, step) + step > limit) {
			atomic_fetch_sub(&w->budget->used, step);
			/* A small limit must still serve small bodies: ask for just what is
			 * missing. */
			step = n - w->mem_have;
			if (atomic_fetch_add(&w->budget->used, step) + step > limit) {
				atomic_fetch_sub(&w->budget->used, step);
				return false;
			}
		}
		w->mem_have += step;
	}
	w->mem_have -= n;
	return true;
}

void worker_mem_give(struct worker *w, size_t n)
{
	w->mem_have += n;
	if (w->mem_have > (uint64_t)2 * MEM_STEP) {
		uint64_t back = w->mem_have - MEM_STEP;
		w->mem_have -= back;
		atomic_fetch_sub(&w->budget->used, back);
	}
}

uint64_t worker_random(struct worker *w)
{
	/* xorshift128+ */
	uint64_t a = w->rng[0];
	uint64_t b = w->rng[1];
	w->rng[0] = b;
	a ^= a << 23;
	w->rng[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
	return w->rng[1] + b;
}
