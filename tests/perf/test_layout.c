/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Where things lie: what two workers write on the way of a request shares no cache line, and what
 * all of them read there is not in a line that one of them writes. A line that goes back and forth
 * between two processors costs as much as a lock. Zones and counters keep their structs to
 * themselves, so their sources are compiled in here.
 */
#include "unit.h"

#include <malloc.h>
#include <pthread.h>
#include <stdalign.h>
#include <stddef.h>

#include "../../core/base/stats.c" /* NOLINT */
#include "../../core/stack/zone.c" /* NOLINT */

#include "stack/sinkwriter.h"
#include "tx/worker.h"

/* The lines of [from, from + n) and [at, at + m) have none in common. */
static bool apart(const void *from, size_t n, const void *at, size_t m)
{
	uintptr_t a = (uintptr_t)from / CACHE_LINE, a_end = ((uintptr_t)from + n - 1) / CACHE_LINE;
	uintptr_t b = (uintptr_t)at / CACHE_LINE, b_end = ((uintptr_t)at + m - 1) / CACHE_LINE;

	return a_end < b || b_end < a;
}
/* Two members of an aligned struct. */
#define MEMBERS_APART(type, x, y)                                                                  \
	apart((char *)(uintptr_t)CACHE_LINE + offsetof(type, x), sizeof(((type *)0)->x),           \
	      (char *)(uintptr_t)CACHE_LINE + offsetof(type, y), sizeof(((type *)0)->y))

/* ---- workers ---- */
static void workers_share_no_line(void)
{
	struct memory_budget budget = {0};
	atomic_uint connections = 0;
	struct worker *w = xcalloc_lines(2, sizeof(*w));

	CU_ASSERT(alignof(struct worker) >= CACHE_LINE);
	for (unsigned i = 0; i < 2; i++)
		worker_init(&w[i], i, NULL, &budget, &connections);
	CU_ASSERT(apart(&w[0], sizeof(w[0]), &w[1], sizeof(w[1])));
	void *const of[2][5] = {
	    {w[0].base.loop, w[0].base.suspended, w[0].base.ops, w[0].resolver, w[0].scratch.p},
	    {w[1].base.loop, w[1].base.suspended, w[1].base.ops, w[1].resolver, w[1].scratch.p}};
	for (unsigned i = 0; i < 5; i++)
		for (unsigned k = 0; k < 5; k++)
			if (of[0][i] && of[1][k] &&
			    !apart(of[0][i], malloc_usable_size(of[0][i]), of[1][k],
			           malloc_usable_size(of[1][k]))) {
				printf("things %u and %u share a line\n", i, k);
				CU_FAIL("two workers' memory");
			}
	worker_deinit(&w[0]);
	worker_deinit(&w[1]);
	free(w);
}

/* Each request counts itself in and out of its generation, on its worker. */
static void generations_are_counted_apart(void)
{
	struct generation *g = xcalloc_lines(1, sizeof(*g));

	CU_ASSERT(alignof(struct generation) >= CACHE_LINE);
	CU_ASSERT(apart(&g->w[0], sizeof(g->w[0]), &g->w[1], sizeof(g->w[1])));
	CU_ASSERT(apart(g->w, sizeof(g->w), &g->live, sizeof(g->live)));
	/* What every request reads of it. */
	CU_ASSERT(apart(g->w, sizeof(g->w), &g->conf, sizeof(g->conf)));
	CU_ASSERT(apart(g->w, sizeof(g->w), &g->routes, sizeof(g->routes)));
	CU_ASSERT(apart(g->w, sizeof(g->w), &g->models, sizeof(g->models)));
	free(g);
}

/* ---- instances ---- */
static void instances_work_apart(void)
{
	CU_ASSERT(alignof(struct ctx_work) >= CACHE_LINE);
	CU_ASSERT_EQUAL(sizeof(struct ctx_work) % CACHE_LINE, 0);
}

/* ---- zones ---- */
static void a_shard_has_its_lines(void)
{
	const struct want want = {"layout", "test", STR("s"), 24, 1000};
	struct merlon_zone *z = zone_new(&want);

	CU_ASSERT_EQUAL((uintptr_t)z % CACHE_LINE, 0);
	for (unsigned i = 1; i < ZONE_SHARDS; i++)
		CU_ASSERT(apart(&z->shards[i - 1], sizeof(struct shard), &z->shards[i],
		                sizeof(struct shard)));
	/* What every update reads, and what a new record counts. */
	CU_ASSERT(MEMBERS_APART(struct merlon_zone, rec_size, shards));
	CU_ASSERT(MEMBERS_APART(struct merlon_zone, rec_size, records));
	z->refs = 1;
	zone_close(z);
}

static uint64_t stay(void *rec, uint32_t fresh, void *arg)
{
	(void)rec;
	(void)fresh;
	(void)arg;
	return UINT64_C(3600) * 1000;
}

static void records_of_two_shards_are_apart(void)
{
	const struct want want = {"layout", "test", STR("s"), 24, 10000};
	struct merlon_zone *z = zone_new(&want);
	unsigned filled = 0;

	for (uint32_t i = 0; i < 1000; i++) {
		struct merlon_str key = {(const char *)&i, sizeof(i)};
		CU_ASSERT_EQUAL(host_zone_update(z, NULL, key, stay, NULL), 0);
	}
	for (unsigned i = 0; i < ZONE_SHARDS; i++) {
		const struct shard *s = &z->shards[i];
		for (uint32_t k = 0; k < s->made / z->slab_entries; k++, filled++) {
			size_t n = (size_t)z->slab_entries * z->entry_size;
			/* Its last line is its own as well. */
			CU_ASSERT_EQUAL((uintptr_t)s->slabs[k] % CACHE_LINE, 0);
			CU_ASSERT(malloc_usable_size(s->slabs[k]) >=
			          (n + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
		}
	}
	CU_ASSERT(filled > 1);
	z->refs = 1;
	zone_close(z);
}

/* ---- counters ---- */
#define ADDING 3
static struct stat *counter, *histogram;

static void *add(void *slot)
{
	stats_thread((unsigned)(uintptr_t)slot);
	stat_add(counter, 1);
	stat_observe(histogram, 1000);
	return NULL;
}

static void cells_of_threads_are_apart(const struct stat *s, size_t n)
{
	for (unsigned i = 0; i < ADDING; i++) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(s->cells[i]);
		for (unsigned k = 0; k < i; k++)
			CU_ASSERT(apart(s->cells[i], n, s->cells[k], n));
	}
	/* Where the cells are is read by everyone who adds; a gauge's base is written. */
	CU_ASSERT_EQUAL((uintptr_t)s % CACHE_LINE, 0);
	CU_ASSERT(MEMBERS_APART(struct stat, cells, base));
}

static void threads_count_apart(void)
{
	struct stat_family *f = stats_family(STAT_COUNTER, "layout_total", "-", "");
	struct stat_family *h = stats_family(STAT_HISTOGRAM, "layout_seconds", "-", "");
	pthread_t threads[ADDING];

	counter = stats_get(f, NULL);
	histogram = stats_get(h, NULL);
	for (uintptr_t i = 0; i < ADDING; i++)
		CU_ASSERT_FATAL(pthread_create(&threads[i], NULL, add, (void *)i) == 0);
	for (unsigned i = 0; i < ADDING; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(stat_value(counter), ADDING);
	cells_of_threads_are_apart(counter, sizeof(uint64_t));
	cells_of_threads_are_apart(histogram, sizeof(struct cell));
}

/* ---- sinks ---- */
static void a_ring_has_two_ends(void)
{
	/* Its memory is mapped, and so begins with a line. */
	CU_ASSERT(MEMBERS_APART(struct ring, tail, head));
	CU_ASSERT(MEMBERS_APART(struct ring, head, place));
	CU_ASSERT(MEMBERS_APART(struct ring, head, data));
}

/* What each append reads, and what the writer writes for each batch. */
static void the_writer_writes_elsewhere(void)
{
	CU_ASSERT(MEMBERS_APART(struct sink_file, rings, records));
	CU_ASSERT(MEMBERS_APART(struct sink_file, open, records));
	CU_ASSERT(MEMBERS_APART(struct sink_file, busy, records));
	CU_ASSERT(MEMBERS_APART(struct sink_file, busy, bytes));
	CU_ASSERT(MEMBERS_APART(struct sink_file, busy, due));
	CU_ASSERT(MEMBERS_APART(struct sink_file, full, nbatch));
	CU_ASSERT(alignof(struct sink_file) >= CACHE_LINE);
}

UNIT_MAIN("layout", UNIT(workers_share_no_line), UNIT(generations_are_counted_apart),
          UNIT(instances_work_apart), UNIT(a_shard_has_its_lines),
          UNIT(records_of_two_shards_are_apart), UNIT(threads_count_apart),
          UNIT(a_ring_has_two_ends), UNIT(the_writer_writes_elsewhere))
