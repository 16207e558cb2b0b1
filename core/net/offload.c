/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The pool of threads for blocking work. A job belongs to the queue until a thread takes it, to
 * that thread while it works, then to the message that carries it back to its loop, which frees it.
 */
#include "net/offload.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/stats.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 16

struct offload_job {
	struct list node; /* in the queue; the pool's lock guards it */
	struct offload *pool;
	struct loop *loop;
	loop_fn *work;
	loop_fn *done;
	void *arg;
	bool waits;     /* in the queue; under the lock */
	bool cancelled; /* the loop's thread only */
};

struct offload_thread {
	pthread_t id;
	struct offload *pool;
	unsigned stats_slot;
};

struct offload {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct list queue;
	unsigned waiting;
	unsigned queue_max;
	bool stop;
	unsigned nthreads;
	struct offload_thread threads[THREADS_MAX];
};

static void deliver(void *arg)
{
	struct offload_job *job = arg;

	if (!job->cancelled)
		job->done(job->arg);
}

/* The next job, or NULL when the pool ends. */
static struct offload_job *next_job(struct offload *o)
{
	struct offload_job *job = NULL;

	pthread_mutex_lock(&o->lock);
	while (!o->stop && list_empty(&o->queue))
		pthread_cond_wait(&o->more, &o->lock);
	if (!o->stop) {
		job = list_entry(o->queue.next, struct offload_job, node);
		list_del(&job->node);
		job->waits = false;
		o->waiting--;
	}
	pthread_mutex_unlock(&o->lock);
	return job;
}

static void *thread_main(void *arg)
{
	struct offload_thread *t = arg;
	struct offload_job *job;

	stats_thread(t->stats_slot);
	while ((job = next_job(t->pool)) != NULL) {
		job->work(job->arg);
		loop_post_owned(job->loop, deliver, job);
	}
	return NULL;
}

struct offload *offload_new(unsigned threads, unsigned queue, unsigned stats_slot)
{
	struct offload *o = xcalloc(1, sizeof(*o));
	sigset_t all;
	sigset_t before;

	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->more, NULL);
	list_init(&o->queue);
	o->queue_max = queue;
	o->nthreads = threads < 1 ? 1 : threads > THREADS_MAX ? THREADS_MAX : threads;
	/* Signals are the control thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (unsigned i = 0; i < o->nthreads; i++) {
		struct offload_thread *t = &o->threads[i];
		int r;

		t->pool = o;
		t->stats_slot = stats_slot + i;
		r = pthread_create(&t->id, NULL, thread_main, t);
		if (r) {
			log_msg(LOG_L_ERROR, "no thread for blocking work: %s", strerror(r));
			abort();
		}
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return o;
}

void offload_free(struct offload *o)
{
	if (!o)
		return;
	pthread_mutex_lock(&o->lock);
	o->stop = true;
	pthread_cond_broadcast(&o->more);
	pthread_mutex_unlock(&o->lock);
	for (unsigned i = 0; i < o->nthreads; i++)
		pthread_join(o->threads[i].id, NULL);
	list_each_safe(it, &o->queue) free(list_entry(it, struct offload_job, node));
	pthread_cond_destroy(&o->more);
	pthread_mutex_destroy(&o->lock);
	free(o);
}

int offload_submit(struct offload *o, struct loop *l, loop_fn *work, loop_fn *done, void *arg,
                   struct offload_job **job)
{
	struct offload_job *j;

	*job = NULL;
	pthread_mutex_lock(&o->lock);
	if (o->waiting >= o->queue_max || o->stop) {
		pthread_mutex_unlock(&o->lock);
		return OFFLOAD_E_FULL;
	}
	j = xmalloc(sizeof(*j));
	*j = (struct offload_job){
	    .pool = o, .loop = l, .work = work, .done = done, .arg = arg, .waits = true};
	list_init(&j->node);
	list_add(&o->queue, &j->node);
	o->waiting++;
	*job = j;
	pthread_cond_signal(&o->more);
	pthread_mutex_unlock(&o->lock);
	return 0;
}

bool offload_cancel(struct offload_job *job)
{
	struct offload *o = job->pool;
	bool waits;

	pthread_mutex_lock(&o->lock);
	waits = job->waits;
	if (waits) {
		list_del(&job->node);
		o->waiting--;
	}
	pthread_mutex_unlock(&o->lock);
	if (waits)
		free(job);
	else
		job->cancelled = true;
	return waits;
}
