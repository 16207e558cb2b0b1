/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The pool of threads: results come back to the loop, a full queue refuses, cancelled work is not
 * told of.
 */
#include "net_pump.h"

#include "net/offload.h"

#include <pthread.h>
#include <semaphore.h>

static pthread_t loop_thread;
static unsigned finished;
static unsigned expected;
static bool all;

struct sum {
	unsigned n;
	unsigned result;
	bool on_pool;
};

static void add_up(void *arg)
{
	struct sum *s = arg;

	s->on_pool = !pthread_equal(pthread_self(), loop_thread);
	for (unsigned i = 1; i <= s->n; i++)
		s->result += i;
}

static void count(void *arg)
{
	struct sum *s = arg;

	CU_ASSERT_TRUE(s->on_pool);
	CU_ASSERT_TRUE(pthread_equal(pthread_self(), loop_thread));
	CU_ASSERT_EQUAL(s->result, s->n * (s->n + 1) / 2);
	if (++finished == expected) {
		all = true;
		loop_stop(loop);
	}
}

static void begin(unsigned n)
{
	loop = loop_new();
	loop_thread = pthread_self();
	finished = 0;
	expected = n;
	all = false;
}

static void work_runs_elsewhere_and_ends_here(void)
{
	struct offload *o = offload_new(4, 200, 1);
	static struct sum sums[200];
	struct offload_job *job;

	begin(200);
	for (unsigned i = 0; i < 200; i++) {
		sums[i] = (struct sum){.n = i};
		CU_ASSERT_EQUAL_FATAL(offload_submit(o, loop, add_up, count, &sums[i], &job), 0);
		CU_ASSERT_PTR_NOT_NULL(job);
	}
	until(&all);
	CU_ASSERT_EQUAL(finished, 200);
	offload_free(o);
	loop_free(loop);
}

static sem_t begun;
static sem_t go;

static void hold(void *arg)
{
	sem_post(&begun);
	sem_wait(&go);
	add_up(arg);
}

static void must_not_run(void *arg)
{
	(void)arg;
	abort();
}

static void a_full_queue_refuses_and_cancelled_work_is_silent(void)
{
	struct offload *o = offload_new(1, 2, 1);
	struct sum sums[4] = {{.n = 3}, {.n = 4}, {.n = 5}, {.n = 6}};
	struct offload_job *job[4];

	begin(2);
	sem_init(&begun, 0, 0);
	sem_init(&go, 0, 0);
	CU_ASSERT_EQUAL_FATAL(offload_submit(o, loop, hold, must_not_run, &sums[0], &job[0]), 0);
	sem_wait(&begun); /* the only thread is busy: the queue is empty */
	CU_ASSERT_EQUAL_FATAL(
	    offload_submit(o, loop, must_not_run, must_not_run, &sums[1], &job[1]), 0);
	CU_ASSERT_EQUAL_FATAL(offload_submit(o, loop, add_up, count, &sums[2], &job[2]), 0);
	CU_ASSERT_EQUAL(offload_submit(o, loop, add_up, count, &sums[3], &job[3]), OFFLOAD_E_FULL);
	CU_ASSERT_PTR_NULL(job[3]);
	CU_ASSERT_TRUE(offload_cancel(job[1]));
	CU_ASSERT_FALSE(offload_cancel(job[0]));
	CU_ASSERT_EQUAL(offload_submit(o, loop, add_up, count, &sums[3], &job[3]), 0);
	sem_post(&go);
	until(&all);
	CU_ASSERT_EQUAL(finished, 2);
	CU_ASSERT_EQUAL(sums[0].result, 6);
	CU_ASSERT_EQUAL(sums[1].result, 0);
	offload_free(o);
	loop_free(loop);
	sem_destroy(&begun);
	sem_destroy(&go);
}

static void freeing_waits_for_running_work_and_drops_the_rest(void)
{
	struct offload *o = offload_new(1, 8, 1);
	struct sum sums[2] = {{.n = 3}, {.n = 4}};
	struct offload_job *job;

	begin(1);
	sem_init(&begun, 0, 0);
	sem_init(&go, 0, 0);
	CU_ASSERT_EQUAL_FATAL(offload_submit(o, loop, hold, must_not_run, &sums[0], &job), 0);
	sem_wait(&begun);
	sem_post(&go);
	CU_ASSERT_EQUAL_FATAL(offload_submit(o, loop, add_up, must_not_run, &sums[1], &job), 0);
	offload_free(o);
	CU_ASSERT_EQUAL(sums[0].result, 6);
	loop_free(loop); /* undelivered: done is not called, nothing leaks */
	sem_destroy(&begun);
	sem_destroy(&go);
}

UNIT_MAIN("net_offload", UNIT(work_runs_elsewhere_and_ends_here),
          UNIT(a_full_queue_refuses_and_cancelled_work_is_silent),
          UNIT(freeing_waits_for_running_work_and_drops_the_rest))
