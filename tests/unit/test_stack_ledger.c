/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The ledger: what fires once, what does not fire after its cancel, and who answers a suspended
 * hook first. The worker's loop runs on the test's own thread until a callback stops it.
 */
#include "stack/ledger.h"

#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "base/clock.h"
#include "stack/instance.h"
#include "stack/shared.h"
#include "unit.h"

#define MS NS_PER_MS

/* ---- one worker, one instance, one tx ---- */
struct fake_tx {
	struct tx_base base;
	unsigned resumed;
	int32_t code;
	unsigned cancelled;
	uint32_t reason;
	uint64_t token; /* given to the cancel hook */
};

static struct {
	struct merlon_worker w;
	struct merlon_ctx *ctx;
	struct conf_line line;
	struct arena arena;
	struct fake_tx f;
	merlon_tx *tx;
} T;

static void on_cancel(void *inst, void *w, merlon_tx *tx, uint64_t token, uint32_t reason)
{
	struct fake_tx *f = (struct fake_tx *)(void *)tx;

	(void)inst;
	(void)w;
	f->cancelled++;
	f->token = token;
	f->reason = reason;
}

static const struct merlon_module module = {
    .size = sizeof(module),
    .name = "fake",
    .codes = MERLON_BIT(MERLON_OK) | MERLON_BIT(MERLON_DENIED) | MERLON_BIT(MERLON_REPLY),
    .cancel = on_cancel,
};

static void on_resumed(merlon_tx *tx, int32_t code)
{
	struct fake_tx *f = (struct fake_tx *)(void *)tx;

	f->resumed++;
	f->code = code;
	loop_stop(f->base.worker->loop);
}

static void set_up(unsigned pool)
{
	memset(&T, 0, sizeof(T));
	T.w.loop = loop_new();
	T.w.offload = pool ? offload_new(pool, 100, 60) : NULL;
	ledger_worker_init(&T.w);
	T.line.name = STR("fake");
	T.line.timeout = 3600 * NS_PER_S;
	T.ctx = xcalloc(1, sizeof(*T.ctx));
	T.ctx->m = &module;
	T.ctx->line = &T.line;
	T.ctx->stack = STR("default");
	T.ctx->work = xcalloc_lines(WORKERS_MAX, sizeof(*T.ctx->work));
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		list_init(&T.ctx->work[i].ops);
	list_init(&T.ctx->shared);
	arena_init(&T.arena, NULL);
	tx_base_init(&T.f.base, &T.w, &T.arena, on_resumed);
	T.tx = (merlon_tx *)(void *)&T.f;
}

static void tear_down(void)
{
	ledger_tx_cancel(T.tx, MERLON_CANCEL_SHUTDOWN);
	ledger_instance_cancel(T.ctx, &T.w);
	CU_ASSERT_EQUAL(T.f.base.nops, 0);
	CU_ASSERT_EQUAL(T.ctx->work[0].nops, 0);
	CU_ASSERT_TRUE(ledger_instance_wait(T.ctx));
	offload_free(T.w.offload);
	/* The loop first: what is posted to it may still name the worker. */
	loop_free(T.w.loop);
	ledger_worker_deinit(&T.w);
	arena_deinit(&T.arena);
	free(T.ctx->work);
	free(T.ctx);
}

static void stop_loop(void *arg)
{
	(void)arg;
	loop_stop(T.w.loop);
}

/* Lets the loop turn until everything that was due before has been called. */
static void settle_loop(void)
{
	struct loop_timer t;

	loop_timer_init(&t, stop_loop, NULL);
	loop_timer_in(T.w.loop, &t, 5 * MS);
	loop_run(T.w.loop);
	loop_timer_drop(T.w.loop, &t);
}

static void bump(void *arg)
{
	++*(unsigned *)arg;
}

/* ---- timers ---- */
static void a_timer_fires_once(void)
{
	unsigned n = 0;
	merlon_op *op = NULL;

	set_up(0);
	CU_ASSERT_EQUAL(host_timer(T.ctx, NULL, T.tx, 1, bump, &n, &op), 0);
	CU_ASSERT_PTR_NOT_NULL(op);
	CU_ASSERT_EQUAL(T.f.base.nops, 1);
	settle_loop();
	CU_ASSERT_EQUAL(n, 1);
	CU_ASSERT_EQUAL(T.f.base.nops, 0);
	host_op_cancel(op); /* dead: nothing happens */
	host_op_cancel(op);
	CU_ASSERT_EQUAL(host_timer(T.ctx, &T.w, NULL, 1, bump, &n, NULL), 0);
	CU_ASSERT_EQUAL(T.ctx->work[0].nops, 1);
	settle_loop();
	CU_ASSERT_EQUAL(n, 2);
	tear_down();
}

static void a_cancelled_timer_does_not_fire(void)
{
	unsigned n = 0;
	merlon_op *op = NULL;

	set_up(0);
	CU_ASSERT_EQUAL(host_timer(T.ctx, NULL, T.tx, 0, bump, &n, &op), 0);
	host_op_cancel(op);
	CU_ASSERT_EQUAL(T.f.base.nops, 0);
	CU_ASSERT_EQUAL(host_timer(T.ctx, NULL, T.tx, 0, bump, &n, NULL), 0);
	ledger_tx_cancel(T.tx, MERLON_CANCEL_CLIENT);
	ledger_tx_cancel(T.tx, MERLON_CANCEL_CLIENT);
	CU_ASSERT_EQUAL(host_timer(T.ctx, &T.w, NULL, 0, bump, &n, NULL), 0);
	ledger_instance_cancel(T.ctx, &T.w);
	settle_loop();
	CU_ASSERT_EQUAL(n, 0);
	tear_down();
}

/* A handle that has outlived its op must not touch the one that has taken its place. */
static void a_dead_handle_cancels_nothing(void)
{
	unsigned n = 0;
	merlon_op *old = NULL;
	merlon_op *op = NULL;

	set_up(0);
	CU_ASSERT_EQUAL(host_timer(T.ctx, NULL, T.tx, 0, bump, &n, &old), 0);
	host_op_cancel(old);
	CU_ASSERT_EQUAL(host_timer(T.ctx, NULL, T.tx, 0, bump, &n, &op), 0);
	host_op_cancel(old);
	host_op_cancel(NULL);
	CU_ASSERT_EQUAL(T.f.base.nops, 1);
	settle_loop();
	CU_ASSERT_EQUAL(n, 1);
	tear_down();
	host_op_cancel(op); /* its worker is gone */
}

static void a_tx_has_64_ops_and_no_more(void)
{
	unsigned n = 0;

	set_up(0);
	for (unsigned i = 0; i < OPS_TX_MAX; i++)
		CU_ASSERT_EQUAL(host_timer(T.ctx, NULL, T.tx, i % 3, bump, &n, NULL), 0);
	CU_ASSERT_EQUAL(host_timer(T.ctx, NULL, T.tx, 0, bump, &n, NULL), MERLON_E_FULL);
	for (unsigned i = 0; i < OPS_INSTANCE_MAX; i++)
		CU_ASSERT_EQUAL(host_timer(T.ctx, &T.w, NULL, 3600000, bump, &n, NULL), 0);
	CU_ASSERT_EQUAL(host_timer(T.ctx, &T.w, NULL, 0, bump, &n, NULL), MERLON_E_FULL);
	settle_loop();
	CU_ASSERT_EQUAL(n, OPS_TX_MAX);
	CU_ASSERT_EQUAL(host_timer(T.ctx, NULL, T.tx, 0, bump, &n, NULL), 0);
	CU_ASSERT_EQUAL(host_timer(T.ctx, NULL, NULL, 0, bump, &n, NULL), MERLON_E_INVAL);
	CU_ASSERT_EQUAL(host_timer(T.ctx, NULL, T.tx, UINT64_MAX, bump, &n, NULL), MERLON_E_INVAL);
	CU_ASSERT_EQUAL(host_timer(T.ctx, NULL, T.tx, 0, NULL, &n, NULL), MERLON_E_INVAL);
	tear_down();
}

/* ---- descriptors ---- */
struct watch {
	merlon_op *op;
	unsigned n;
	uint32_t ready;
	int32_t fd;
	unsigned stop_at;
};

static void fd_ready(void *arg, int32_t fd, uint32_t ready)
{
	struct watch *w = arg;

	w->fd = fd;
	w->ready = ready;
	if (++w->n == w->stop_at)
		host_op_cancel(w->op);
}

static void a_watch_fires_until_it_cancels_itself(void)
{
	struct watch w = {.stop_at = 3};
	int fds[2];

	set_up(0);
	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	CU_ASSERT_EQUAL(
	    host_watch_fd(T.ctx, NULL, T.tx, fds[0], MERLON_FD_READ, fd_ready, &w, &w.op), 0);
	settle_loop();
	CU_ASSERT_EQUAL(w.n, 0);
	CU_ASSERT_EQUAL(write(fds[1], "x", 1), 1);
	settle_loop();
	CU_ASSERT_EQUAL(w.n, 3);
	CU_ASSERT_EQUAL(w.fd, fds[0]);
	CU_ASSERT_EQUAL(w.ready, MERLON_FD_READ);
	CU_ASSERT_EQUAL(T.f.base.nops, 0);
	CU_ASSERT_EQUAL(
	    host_watch_fd(T.ctx, NULL, T.tx, fds[1], MERLON_FD_WRITE, fd_ready, &w, &w.op), 0);
	ledger_tx_cancel(T.tx, MERLON_CANCEL_CLIENT);
	settle_loop();
	CU_ASSERT_EQUAL(w.n, 3);
	close(fds[0]);
	close(fds[1]);
	CU_ASSERT_EQUAL(host_watch_fd(T.ctx, NULL, T.tx, -1, MERLON_FD_READ, fd_ready, &w, NULL),
	                MERLON_E_INVAL);
	CU_ASSERT_EQUAL(host_watch_fd(T.ctx, NULL, T.tx, 0, 4, fd_ready, &w, NULL), MERLON_E_INVAL);
	tear_down();
}

/* ---- offload ---- */
struct job {
	sem_t begun;
	sem_t go;
	_Atomic unsigned worked;
	unsigned done;
	int32_t cancelled;
	pthread_t thread;
};

static void job_init(struct job *j)
{
	memset(j, 0, sizeof(*j));
	sem_init(&j->begun, 0, 0);
	sem_init(&j->go, 0, 0);
}

static void job_deinit(struct job *j)
{
	sem_destroy(&j->begun);
	sem_destroy(&j->go);
}

static void work(void *arg)
{
	struct job *j = arg;

	j->thread = pthread_self();
	j->worked++;
}

static void work_held(void *arg)
{
	struct job *j = arg;

	sem_post(&j->begun);
	while (sem_wait(&j->go) < 0)
		;
	j->worked++;
}

static void job_done(void *arg, int32_t cancelled)
{
	struct job *j = arg;

	j->done++;
	j->cancelled = cancelled;
	loop_stop(T.w.loop);
}

static void a_job_works_elsewhere_and_is_done_here(void)
{
	struct job j;
	merlon_op *op = NULL;

	set_up(1);
	job_init(&j);
	CU_ASSERT_EQUAL(host_offload(T.ctx, NULL, T.tx, work, job_done, &j, &op), 0);
	loop_run(T.w.loop);
	CU_ASSERT_EQUAL(j.worked, 1);
	CU_ASSERT_EQUAL(j.done, 1);
	CU_ASSERT_EQUAL(j.cancelled, 0);
	CU_ASSERT_FALSE(pthread_equal(j.thread, pthread_self()));
	host_op_cancel(op);
	job_deinit(&j);
	tear_down();
}

static void a_cancelled_job_is_never_done(void)
{
	struct job held;
	struct job waits;
	struct job last;
	merlon_op *op = NULL;

	set_up(1);
	job_init(&held);
	job_init(&waits);
	job_init(&last);
	CU_ASSERT_EQUAL(host_offload(T.ctx, NULL, T.tx, work_held, job_done, &held, NULL), 0);
	CU_ASSERT_EQUAL(host_offload(T.ctx, NULL, T.tx, work, job_done, &waits, &op), 0);
	while (sem_wait(&held.begun) < 0)
		;
	host_op_cancel(op);                           /* before it began */
	ledger_tx_cancel(T.tx, MERLON_CANCEL_CLIENT); /* while it runs */
	CU_ASSERT_EQUAL(host_offload(T.ctx, &T.w, NULL, work, job_done, &last, NULL), 0);
	sem_post(&held.go);
	loop_run(T.w.loop);
	CU_ASSERT_TRUE(ledger_instance_wait(T.ctx));
	settle_loop();
	CU_ASSERT_EQUAL(held.worked, 1);
	CU_ASSERT_EQUAL(held.done, 0);
	CU_ASSERT_EQUAL(waits.worked, 0);
	CU_ASSERT_EQUAL(waits.done, 0);
	CU_ASSERT_EQUAL(last.done, 1);
	job_deinit(&held);
	job_deinit(&waits);
	job_deinit(&last);
	tear_down();
}

static void no_pool_and_a_full_one_are_told(void)
{
	struct job j;
	unsigned taken = 0;
	int32_t r = 0;

	set_up(0);
	job_init(&j);
	CU_ASSERT_EQUAL(host_offload(T.ctx, NULL, T.tx, work, job_done, &j, NULL),
	                MERLON_E_UNAVAIL);
	T.w.offload = offload_new(1, 4, 60);
	while (r == 0 && taken < OPS_TX_MAX) {
		r = host_offload(T.ctx, NULL, T.tx, work_held, NULL, &j, NULL);
		taken += r == 0;
	}
	CU_ASSERT_EQUAL(r, MERLON_E_FULL);
	CU_ASSERT(taken >= 4 && taken <= 5);
	CU_ASSERT_EQUAL(T.f.base.nops, taken);
	for (unsigned i = 0; i < taken; i++)
		sem_post(&j.go);
	tear_down();
	job_deinit(&j);
}

/* ---- suspensions ---- */
/* As the host calls a hook which suspends and then runs `then`. */
static int32_t hook(uint32_t timeout_ms, uint64_t *token, void (*then)(uint64_t token))
{
	int32_t code = MERLON_ERROR;

	suspend_enter(T.tx, T.ctx, true);
	if (host_suspend(T.ctx, T.tx, timeout_ms, token) == 0) {
		code = MERLON_PENDING;
		if (then)
			then(*token);
	}
	return suspend_leave(T.tx, code);
}

static void answer_ok(uint64_t token)
{
	host_resume(token, MERLON_OK);
}

static void answer_twice(uint64_t token)
{
	host_resume(token, MERLON_DENIED);
	host_resume(token, MERLON_OK);
}

static void *answer_thread(void *arg)
{
	host_resume(*(uint64_t *)arg, MERLON_DENIED);
	return NULL;
}

static void an_early_answer_waits_for_the_hook(void)
{
	uint64_t token = 0;
	uint64_t strays = ledger_stray_resumes();

	set_up(0);
	CU_ASSERT_EQUAL(hook(0, &token, answer_ok), MERLON_PENDING);
	CU_ASSERT_EQUAL(T.f.resumed, 0);
	loop_run(T.w.loop);
	CU_ASSERT_EQUAL(T.f.resumed, 1);
	CU_ASSERT_EQUAL(T.f.code, MERLON_OK);
	CU_ASSERT_EQUAL(ledger_stray_resumes(), strays);
	tear_down();
	CU_ASSERT_EQUAL(T.f.cancelled, 0);
}

static void the_first_answer_counts(void)
{
	uint64_t token = 0;
	uint64_t strays = ledger_stray_resumes();

	set_up(0);
	CU_ASSERT_EQUAL(hook(0, &token, answer_twice), MERLON_PENDING);
	settle_loop();
	host_resume(token, MERLON_OK);
	settle_loop();
	CU_ASSERT_EQUAL(T.f.resumed, 1);
	CU_ASSERT_EQUAL(T.f.code, MERLON_DENIED);
	CU_ASSERT_EQUAL(ledger_stray_resumes(), strays + 2);
	tear_down();
}

/* An answer that is late for one hook must not be taken for the next one's. */
static void a_late_answer_is_not_the_next_ones(void)
{
	uint64_t strays = ledger_stray_resumes();
	uint64_t first = 0;
	uint64_t second = 0;

	set_up(0);
	CU_ASSERT_EQUAL(hook(0, &first, answer_ok), MERLON_PENDING);
	loop_run(T.w.loop);
	CU_ASSERT_EQUAL(hook(0, &second, NULL), MERLON_PENDING);
	CU_ASSERT_NOT_EQUAL(first, second);
	host_resume(first, MERLON_OK);
	settle_loop();
	CU_ASSERT_EQUAL(T.f.resumed, 1);
	CU_ASSERT_EQUAL(ledger_stray_resumes(), strays + 1);
	host_resume(second, MERLON_DENIED);
	loop_run(T.w.loop);
	CU_ASSERT_EQUAL(T.f.code, MERLON_DENIED);
	tear_down();
}

static void a_thread_may_answer(void)
{
	uint64_t token = 0;
	pthread_t t;

	set_up(0);
	CU_ASSERT_EQUAL(hook(0, &token, NULL), MERLON_PENDING);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, answer_thread, &token), 0);
	loop_run(T.w.loop);
	pthread_join(t, NULL);
	CU_ASSERT_EQUAL(T.f.code, MERLON_DENIED);
	tear_down();
}

/* The line's hour is cut short by what the hook asks for, or by the group. */
static void time_runs_out(void)
{
	uint64_t token = 0;
	uint64_t strays = ledger_stray_resumes();

	set_up(0);
	CU_ASSERT_EQUAL(hook(1, &token, NULL), MERLON_PENDING);
	loop_run(T.w.loop);
	CU_ASSERT_EQUAL(T.f.resumed, 1);
	CU_ASSERT_EQUAL(T.f.code, MERLON_TIMEOUT);
	CU_ASSERT_EQUAL(T.f.cancelled, 1);
	CU_ASSERT_EQUAL(T.f.reason, MERLON_CANCEL_TIMEOUT);
	CU_ASSERT_EQUAL(T.f.token, token);
	host_resume(token, MERLON_OK);
	settle_loop();
	CU_ASSERT_EQUAL(T.f.resumed, 1);
	CU_ASSERT_EQUAL(ledger_stray_resumes(), strays + 1);

	T.f.base.group_deadline = loop_now(T.w.loop) + MS;
	CU_ASSERT_EQUAL(hook(3600000, &token, NULL), MERLON_PENDING);
	loop_run(T.w.loop);
	CU_ASSERT_EQUAL(T.f.resumed, 2);
	CU_ASSERT_EQUAL(T.f.cancelled, 2);

	T.f.base.group_deadline = 0;
	T.line.timeout = MS;
	CU_ASSERT_EQUAL(hook(3600000, &token, NULL), MERLON_PENDING);
	loop_run(T.w.loop);
	CU_ASSERT_EQUAL(T.f.resumed, 3);
	tear_down();
	CU_ASSERT_EQUAL(T.f.cancelled, 3);
}

static void the_end_of_the_tx_cancels(void)
{
	uint64_t token = 0;
	uint64_t strays = ledger_stray_resumes();

	set_up(0);
	CU_ASSERT_EQUAL(hook(1, &token, answer_ok), MERLON_PENDING);
	ledger_tx_cancel(T.tx, MERLON_CANCEL_CLIENT);
	CU_ASSERT_EQUAL(T.f.cancelled, 1);
	CU_ASSERT_EQUAL(T.f.reason, MERLON_CANCEL_CLIENT);
	CU_ASSERT_EQUAL(T.f.token, token);
	settle_loop();
	CU_ASSERT_EQUAL(T.f.resumed, 0);
	CU_ASSERT_EQUAL(ledger_stray_resumes(), strays + 1);
	tear_down();
	CU_ASSERT_EQUAL(T.f.cancelled, 1);
}

/* What a grantor has written before it waits for a confirmation must not stay when nobody waits for
 * that any more: the audit record would name who was never proved. */
static void an_unconfirmed_identity_goes_with_the_tx(void)
{
	static const struct merlon_val alice = {.type = MERLON_VAL_STR, .u.str = {"alice", 5}};
	struct merlon_ctx other = {.m = &module};
	struct attrs *as = &T.f.base.attrs;
	uint64_t token = 0;

	set_up(0);
	attrs_set_str(as, STR("net.source"), STR("127.0.0.1"));
	attrs_line_begin(as, T.ctx);
	as->id_write = true;
	CU_ASSERT_EQUAL(host_attr_set(T.ctx, T.tx, (struct merlon_str){"id.sub", 6}, &alice), 0);
	CU_ASSERT_EQUAL(hook(3600000, &token, NULL), MERLON_PENDING);
	/* A callback of another line, while this one waits. */
	CU_ASSERT_EQUAL(host_attr_set(&other, T.tx, (struct merlon_str){"id.org", 6}, &alice), 0);
	CU_ASSERT_PTR_NULL(attrs_get(as, STR("id.org")));
	CU_ASSERT_PTR_NOT_NULL(attrs_get(as, STR("id.sub")));
	ledger_tx_cancel(T.tx, MERLON_CANCEL_CLIENT);
	CU_ASSERT_PTR_NULL(attrs_get(as, STR("id.sub")));
	CU_ASSERT_PTR_NOT_NULL(attrs_get(as, STR("net.source")));
	CU_ASSERT_EQUAL(host_attr_set(T.ctx, T.tx, (struct merlon_str){"id.sub", 6}, &alice), 0);
	CU_ASSERT_PTR_NULL(attrs_get(as, STR("id.sub"))); /* nobody's turn */
	tear_down();
}

static void a_hook_that_contradicts_itself_failed(void)
{
	uint64_t token = 0;
	uint64_t other = 0;
	uint64_t strays = ledger_stray_resumes();

	set_up(0);
	suspend_enter(T.tx, T.ctx, true);
	CU_ASSERT_EQUAL(suspend_leave(T.tx, MERLON_PENDING), MERLON_ERROR);
	suspend_enter(T.tx, T.ctx, true);
	CU_ASSERT_EQUAL(suspend_leave(T.tx, MERLON_DENIED), MERLON_DENIED);
	suspend_enter(T.tx, T.ctx, true);
	CU_ASSERT_EQUAL(host_suspend(T.ctx, T.tx, 0, &token), 0);
	CU_ASSERT_EQUAL(host_suspend(T.ctx, T.tx, 0, &other), MERLON_E_STATE);
	CU_ASSERT_EQUAL(suspend_leave(T.tx, MERLON_OK), MERLON_ERROR);
	host_resume(token, MERLON_OK);
	settle_loop();
	CU_ASSERT_EQUAL(T.f.resumed, 0);
	CU_ASSERT_EQUAL(T.f.cancelled, 0);
	CU_ASSERT_EQUAL(ledger_stray_resumes(), strays + 1);
	suspend_enter(T.tx, T.ctx, false); /* settle */
	CU_ASSERT_EQUAL(host_suspend(T.ctx, T.tx, 0, &token), MERLON_E_STATE);
	CU_ASSERT_EQUAL(suspend_leave(T.tx, MERLON_OK), MERLON_OK);
	CU_ASSERT_EQUAL(host_suspend(T.ctx, T.tx, 0, &token), MERLON_E_STATE); /* no hook at all */
	tear_down();
}

static void an_answer_that_is_none_is_an_error(void)
{
	static const int32_t bad[] = {0,  MERLON_TIMEOUT, MERLON_PENDING, MERLON_LIMITED, 12,
	                              -1, MERLON_REPLY,   INT32_MIN};
	uint64_t token = 0;

	set_up(0);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_EQUAL(hook(0, &token, NULL), MERLON_PENDING);
		host_resume(token, bad[i]);
		loop_run(T.w.loop);
		CU_ASSERT_EQUAL(T.f.code, MERLON_ERROR);
	}
	CU_ASSERT_EQUAL(hook(0, &token, NULL), MERLON_PENDING);
	T.f.base.replied = true;
	host_resume(token, MERLON_REPLY);
	loop_run(T.w.loop);
	CU_ASSERT_EQUAL(T.f.code, MERLON_REPLY);
	tear_down();
}

static void unknown_tokens_are_counted_and_dropped(void)
{
	static const uint64_t bad[] = {0,
	                               1,
	                               UINT64_MAX,
	                               UINT64_C(1) << 56,
	                               UINT64_C(1) << 56 | 1,
	                               UINT64_C(1) << 56 | UINT64_C(0xffffff) << 32 | 1,
	                               UINT64_C(9) << 56 | 1};
	uint64_t strays = ledger_stray_resumes();
	uint64_t token = 0;
	unsigned n = sizeof(bad) / sizeof(bad[0]);

	set_up(0);
	for (unsigned i = 0; i < n; i++)
		host_resume(bad[i], MERLON_OK);
	settle_loop();
	CU_ASSERT_EQUAL(ledger_stray_resumes(), strays + n);
	CU_ASSERT_EQUAL(hook(0, &token, NULL), MERLON_PENDING);
	host_resume(token ^ 2, MERLON_OK);
	settle_loop();
	CU_ASSERT_EQUAL(T.f.resumed, 0);
	CU_ASSERT_EQUAL(ledger_stray_resumes(), strays + n + 1);
	tear_down();
	host_resume(token, MERLON_OK); /* its worker is gone */
	CU_ASSERT_EQUAL(ledger_stray_resumes(), strays + n + 2);
}

/* ---- many at once ---- */
#define MANY 200
#define ANSWERERS 4

static struct {
	struct fake_tx f[MANY];
	uint64_t token[MANY];
	unsigned left;
} M;

static void one_of_many(merlon_tx *tx, int32_t code)
{
	struct fake_tx *f = (struct fake_tx *)(void *)tx;

	f->resumed++;
	f->code = code;
	if (--M.left == 0)
		loop_stop(T.w.loop);
}

static void *answer_many(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < MANY; i++)
		host_resume(M.token[i], MERLON_OK);
	return NULL;
}

static void four_threads_answer_each_tx_once(void)
{
	uint64_t strays = ledger_stray_resumes();
	pthread_t t[ANSWERERS];

	set_up(0);
	M.left = MANY;
	for (unsigned i = 0; i < MANY; i++) {
		merlon_tx *tx = (merlon_tx *)(void *)&M.f[i];

		memset(&M.f[i], 0, sizeof(M.f[i]));
		tx_base_init(&M.f[i].base, &T.w, &T.arena, one_of_many);
		suspend_enter(tx, T.ctx, true);
		CU_ASSERT_EQUAL(host_suspend(T.ctx, tx, 0, &M.token[i]), 0);
		CU_ASSERT_EQUAL(suspend_leave(tx, MERLON_PENDING), MERLON_PENDING);
	}
	for (unsigned i = 0; i < ANSWERERS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, answer_many, NULL), 0);
	loop_run(T.w.loop);
	for (unsigned i = 0; i < ANSWERERS; i++)
		pthread_join(t[i], NULL);
	settle_loop();
	for (unsigned i = 0; i < MANY; i++)
		CU_ASSERT_EQUAL(M.f[i].resumed, 1);
	CU_ASSERT_EQUAL(ledger_stray_resumes(), strays + (ANSWERERS - 1) * MANY);
	tear_down();
}

/* ---- shared objects ---- */
static _Atomic unsigned built;
static _Atomic unsigned freed;

static void *build(void *arg)
{
	built++;
	return arg;
}

static void free_object(void *obj)
{
	(void)obj;
	freed++;
}

static void *get_and_put(void *arg)
{
	static int object;
	merlon_shared *s = NULL;

	for (unsigned i = 0; i < 1000; i++) {
		if (host_shared_get(arg, (struct merlon_str){"k", 1}, build, free_object, &object,
		                    &s) != 0 ||
		    host_shared_ptr(s) != &object)
			abort();
		host_shared_put(s);
	}
	return NULL;
}

static void a_shared_object_lives_as_long_as_a_holder(void)
{
	struct merlon_str key = {"k", 1};
	merlon_shared *a = NULL;
	merlon_shared *b = NULL;
	int object = 0;
	int other = 0;

	set_up(0);
	built = freed = 0;
	CU_ASSERT_EQUAL(host_shared_get(T.ctx, key, build, free_object, NULL, &a),
	                MERLON_E_UNAVAIL);
	CU_ASSERT_EQUAL(host_shared_get(T.ctx, key, build, free_object, &object, &a), 0);
	CU_ASSERT_EQUAL(host_shared_get(T.ctx, key, build, free_object, &other, &b), 0);
	CU_ASSERT_PTR_EQUAL(host_shared_ptr(b), &object);
	CU_ASSERT_EQUAL(built, 2);
	host_shared_put(a);
	CU_ASSERT_EQUAL(freed, 0);
	held_release_all(T.ctx); /* what the module forgot */
	CU_ASSERT_EQUAL(freed, 1);
	CU_ASSERT_EQUAL(host_shared_get(T.ctx, key, build, free_object, &other, &a), 0);
	CU_ASSERT_PTR_EQUAL(host_shared_ptr(a), &other);
	host_shared_put(a);
	CU_ASSERT_EQUAL(freed, 2);
	tear_down();
}

static void threads_build_one_object(void)
{
	pthread_t t[ANSWERERS];

	set_up(0);
	built = freed = 0;
	for (unsigned i = 0; i < ANSWERERS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, get_and_put, T.ctx), 0);
	for (unsigned i = 0; i < ANSWERERS; i++)
		pthread_join(t[i], NULL);
	CU_ASSERT_EQUAL(built, freed);
	tear_down();
}

UNIT_MAIN("stack_ledger", UNIT(a_timer_fires_once), UNIT(a_cancelled_timer_does_not_fire),
          UNIT(a_dead_handle_cancels_nothing), UNIT(a_tx_has_64_ops_and_no_more),
          UNIT(a_watch_fires_until_it_cancels_itself), UNIT(a_job_works_elsewhere_and_is_done_here),
          UNIT(a_cancelled_job_is_never_done), UNIT(no_pool_and_a_full_one_are_told),
          UNIT(an_early_answer_waits_for_the_hook), UNIT(the_first_answer_counts),
          UNIT(a_late_answer_is_not_the_next_ones), UNIT(a_thread_may_answer), UNIT(time_runs_out),
          UNIT(the_end_of_the_tx_cancels), UNIT(an_unconfirmed_identity_goes_with_the_tx),
          UNIT(a_hook_that_contradicts_itself_failed), UNIT(an_answer_that_is_none_is_an_error),
          UNIT(unknown_tokens_are_counted_and_dropped), UNIT(four_threads_answer_each_tx_once),
          UNIT(a_shared_object_lives_as_long_as_a_holder), UNIT(threads_build_one_object))
