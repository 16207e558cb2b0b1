/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Streams on several workers: generations come and go on the control thread while each worker
 * calls without a pause. Nothing fails, and each worker has had one connection.
 */
#include "stack_streams.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#define WORKERS 3
#define GENERATIONS 60

/* ---- the server: a thread that answers each connection's bytes with the same ---- */
static struct {
	pthread_t thread;
	int listen_fd;
	int stop_fd[2];
	unsigned accepted;
} server;

static void *serve(void *arg)
{
	struct pollfd p[16] = {{.fd = server.stop_fd[0], .events = POLLIN},
	                       {.fd = server.listen_fd, .events = POLLIN}};
	nfds_t n = 2;
	char buf[4096];

	(void)arg;
	while (poll(p, n, -1) > 0 && !p[0].revents) {
		for (nfds_t i = 2; i < n; i++) {
			ssize_t r = p[i].revents ? recv(p[i].fd, buf, sizeof(buf), 0) : 0;

			/* The last generation goes with its calls: their answers find nobody. */
			if (p[i].revents &&
			    (r <= 0 || send(p[i].fd, buf, (size_t)r, MSG_NOSIGNAL) != r))
				p[i].events = 0;
		}
		if (p[1].revents && n < 16) {
			p[n++] = (struct pollfd){.fd = accept(server.listen_fd, NULL, NULL),
			                         .events = POLLIN};
			server.accepted++;
		}
	}
	for (nfds_t i = 2; i < n; i++)
		close(p[i].fd);
	return NULL;
}

/* ---- workers ---- */
struct runner {
	pthread_t thread;
	struct merlon_worker w;
	struct block_pool blocks;
	struct merlon_ctx *ctx;  /* the current generation's */
	struct merlon_ctx *next; /* to be started, then to take over */
	unsigned calls;
	unsigned failed;
	bool stopping;
	sem_t switched;
	sem_t connected; /* posted once: the first call is answered */
};
static struct runner R[WORKERS];
static merlon_stream *the_stream;

static void call_again(struct runner *r);

static void answered(void *arg, int32_t error, const void *msg)
{
	struct runner *r = arg;

	if (r->calls++ == 0)
		sem_post(&r->connected);
	if (error || strcmp(msg, "ping") != 0)
		r->failed++;
	if (!r->stopping)
		call_again(r);
}

/* Not of an instance that may go, but of the tx that it stands for. */
static void call_again(struct runner *r)
{
	if (host_stream_call(the_stream, r->ctx, &r->w, NULL, text("ping\n"), 20000, answered, r,
	                     NULL) != 0)
		r->failed++;
}

/* The new one first, then the end of the old: its calls go with it, and others begin. */
static void switch_here(void *arg)
{
	struct runner *r = arg;
	struct merlon_ctx *old = r->ctx;

	if (r->next && instance_worker_start(r->next, &r->w))
		abort();
	r->ctx = r->next;
	r->stopping = !r->next;
	if (r->ctx)
		for (int i = 0; i < 4; i++)
			call_again(r);
	if (old)
		instance_worker_stop(old, &r->w);
	sem_post(&r->switched);
}

static void *run(void *arg)
{
	struct runner *r = arg;

	stats_thread(r->w.index + 1);
	loop_run(r->w.loop);
	return NULL;
}

static void runners_start(void)
{
	for (unsigned i = 0; i < WORKERS; i++) {
		struct runner *r = &R[i];

		memset(r, 0, sizeof(*r));
		r->w.index = i + 1;
		r->w.loop = loop_new();
		block_pool_init(&r->blocks, 16);
		r->w.blocks = &r->blocks;
		r->w.resolver = resolver_new(r->w.loop);
		ledger_worker_init(&r->w);
		sem_init(&r->switched, 0, 0);
		sem_init(&r->connected, 0, 0);
		pthread_create(&r->thread, NULL, run, r);
	}
}

static void runners_end(void)
{
	for (unsigned i = 0; i < WORKERS; i++) {
		struct runner *r = &R[i];

		loop_stop(r->w.loop);
		pthread_join(r->thread, NULL);
		streams_worker_finish(&r->w);
		resolver_free(r->w.resolver);
		ledger_worker_deinit(&r->w);
		loop_free(r->w.loop);
		block_pool_deinit(&r->blocks);
		sem_destroy(&r->switched);
		sem_destroy(&r->connected);
	}
}

static struct merlon_ctx *generation(void)
{
	struct merlon_ctx *ctx =
	    instance_new(&build, &line, STR("s"), G_RATELIMIT, false, &W.arena, &d);

	CU_ASSERT_PTR_NOT_NULL_FATAL(ctx);
	return ctx;
}

static void switch_all(struct merlon_ctx *next)
{
	for (unsigned i = 0; i < WORKERS; i++) {
		R[i].next = next;
		loop_post(R[i].w.loop, switch_here, &R[i]);
	}
	for (unsigned i = 0; i < WORKERS; i++)
		sem_wait(&R[i].switched);
}

static void generations_pass_on_every_worker(void)
{
	struct merlon_ctx *now, *next;
	unsigned failed = 0;

	set_up_calls();
	server.listen_fd = listener_fd;
	CU_ASSERT_EQUAL_FATAL(pipe(server.stop_fd), 0);
	server.accepted = 0;
	pthread_create(&server.thread, NULL, serve, NULL);
	line.name = line.module = STR("fake");
	now = generation();
	the_stream = opened;
	runners_start();
	switch_all(now);
	for (unsigned i = 0; i < WORKERS; i++)
		sem_wait(&R[i].connected);
	for (int i = 0; i < GENERATIONS; i++) {
		next = generation();
		CU_ASSERT_PTR_EQUAL(opened, the_stream);
		switch_all(next);
		instance_destroy(now);
		now = next;
	}
	switch_all(NULL);
	instance_destroy(now);
	runners_end();
	CU_ASSERT_EQUAL(write(server.stop_fd[1], "", 1), 1);
	pthread_join(server.thread, NULL);
	close(server.stop_fd[0]);
	close(server.stop_fd[1]);
	for (unsigned i = 0; i < WORKERS; i++)
		failed += R[i].failed;
	CU_ASSERT_EQUAL(failed, 0);
	CU_ASSERT_EQUAL(server.accepted, WORKERS);
	tear_down();
}

UNIT_MAIN("streams on workers", UNIT(generations_pass_on_every_worker))
