/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A module for tests: it waits in the hooks it is told to, answers early, late, twice, from another
 * thread or never, and starts timers, watches and jobs whose callbacks must not come any more once
 * they were cancelled. What comes all the same is counted by merlon_test_async_violations.
 *
 * Memory: a watcher (struct probe) is what callbacks are given. It belongs to the instance and is
 * freed at destroy, so that a callback which comes too late finds it and is counted.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "merlon/module.h"

static const struct merlon_host *H;

#define LIT(s) ((struct merlon_str){"" s, sizeof(s) - 1})

enum hook {
	HOOK_CHECK = 1,
	HOOK_HEAD = 2,
	HOOK_BODY = 4,
	HOOK_AUDIT_OPEN = 8,
	HOOK_AUDIT_CLOSE = 16,
};
enum how { EARLY, LATE, TWICE, THREAD, NEVER };

struct instance {
	merlon_ctx *ctx;
	uint32_t hooks;
	enum how how;
	int32_t code;
	uint32_t delay_ms;
	uint32_t timeout_ms;
	uint32_t timers;
	uint32_t watches;
	uint32_t offloads;
	int sub; /* 1: sets id.sub in auth */
	uint32_t violations;
	uint32_t cancels;
	uint32_t answers;
	pthread_mutex_t lock; /* guards probes */
	struct probe *probes;
};

struct probe {
	struct probe *next; /* in the instance */
	struct instance *inst;
	uint64_t token;
	int32_t
	    ended; /* the tx has settled, or the op was cancelled: nothing may come. Its worker's */
	int fds[2]; /* a pipe, or -1 */
};

/* This line's block of a tx. */
struct slot {
	struct probe *waiting; /* of the suspension under way */
	struct probe *work;    /* of the timers, watches and jobs */
	merlon_op **ops;       /* those, nops of them */
	uint32_t nops;
};

/* ---- probes ---- */
static struct probe *probe_new(struct instance *inst)
{
	struct probe *p = calloc(1, sizeof(*p));

	if (!p)
		abort();
	p->inst = inst;
	p->fds[0] = p->fds[1] = -1;
	pthread_mutex_lock(&inst->lock);
	p->next = inst->probes;
	inst->probes = p;
	pthread_mutex_unlock(&inst->lock);
	return p;
}

static void violation(struct probe *p)
{
	H->metric_add(p->inst->ctx, p->inst->violations, NULL, 1);
}

static void probe_end(struct probe *p)
{
	p->ended = 1;
	if (p->fds[0] >= 0) {
		close(p->fds[0]);
		close(p->fds[1]);
		p->fds[0] = p->fds[1] = -1;
	}
}

/* ---- answering ---- */
static void answer(struct probe *p)
{
	H->resume(p->token, p->inst->code);
}

static void answer_by_timer(void *arg)
{
	struct probe *p = arg;

	if (p->ended)
		violation(p);
	answer(p);
}

static void answer_by_thread(void *arg)
{
	answer(arg);
}

static void answered_by_thread(void *arg, int32_t cancelled)
{
	struct probe *p = arg;

	if (p->ended || cancelled)
		violation(p);
}

/* ---- work that is cancelled with the tx ---- */
static void timer_came(void *arg)
{
	struct probe *p = arg;

	if (p->ended)
		violation(p);
}

/* The pipe's writing end is always ready, so this comes in every turn until the cancel. */
static void fd_came(void *arg, int32_t fd, uint32_t ready)
{
	struct probe *p = arg;

	if (p->ended || (fd != p->fds[0] && fd != p->fds[1]) || ready == 0)
		violation(p);
}

static void work_nothing(void *arg)
{
	(void)arg;
}

static void work_came(void *arg, int32_t cancelled)
{
	struct probe *p = arg;

	if (p->ended || cancelled)
		violation(p);
}

/* Room for one more handle. */
static merlon_op **op_next(struct slot *slot)
{
	return &slot->ops[slot->nops++];
}

static void work_begin(struct instance *inst, merlon_tx *tx, struct slot *slot)
{
	uint32_t n = inst->timers + inst->watches + inst->offloads;
	struct probe *p;

	if (slot->work || n == 0)
		return;
	slot->ops = H->tx_alloc(tx, n * sizeof(merlon_op *));
	p = slot->work = probe_new(inst);
	for (uint32_t i = 0; i < inst->timers; i++)
		(void)H->timer(inst->ctx, NULL, tx, i % 2 ? i : UINT64_C(3600000), timer_came, p,
		               op_next(slot));
	if (inst->watches && pipe(p->fds) == 0) {
		for (uint32_t i = 0; i < inst->watches; i++)
			(void)H->watch_fd(inst->ctx, NULL, tx, p->fds[i % 2],
			                  i % 2 ? MERLON_FD_WRITE : MERLON_FD_READ, fd_came, p,
			                  op_next(slot));
	}
	for (uint32_t i = 0; i < inst->offloads; i++)
		(void)H->offload(inst->ctx, NULL, tx, work_nothing, work_came, p, op_next(slot));
}

/* Twice: a handle that is dead must do no harm. */
static void work_end(struct slot *slot)
{
	for (uint32_t i = 0; i < slot->nops; i++)
		H->op_cancel(slot->ops[i]);
	for (uint32_t i = 0; i < slot->nops; i++)
		H->op_cancel(slot->ops[i]);
	if (slot->work)
		probe_end(slot->work);
}

/* ---- waiting ---- */
static int32_t start_answer(struct instance *inst, merlon_tx *tx, struct probe *p)
{
	switch (inst->how) {
	case EARLY:
		answer(p);
		return 0;
	case TWICE:
		answer(p);
		answer(p);
		return 0;
	case LATE:
		return H->timer(inst->ctx, NULL, tx, inst->delay_ms, answer_by_timer, p, NULL);
	case THREAD:
		return H->offload(inst->ctx, NULL, tx, answer_by_thread, answered_by_thread, p,
		                  NULL);
	case NEVER:
		return 0;
	}
	return MERLON_E_INVAL;
}

static int32_t act(struct instance *inst, merlon_tx *tx, enum hook hook)
{
	struct slot *slot = H->tx_slot(inst->ctx, tx);
	struct probe *p;

	if (inst->sub && hook == HOOK_CHECK) {
		struct merlon_val v = {.type = MERLON_VAL_STR};

		v.u.str = LIT("async");
		(void)H->attr_set(inst->ctx, tx, LIT("id.sub"), &v);
	}
	work_begin(inst, tx, slot);
	H->metric_add(inst->ctx, inst->answers, NULL, 1);
	if (!(inst->hooks & hook))
		return inst->code;
	p = slot->waiting = probe_new(inst);
	if (H->suspend(inst->ctx, tx, inst->timeout_ms, &p->token) != 0)
		return MERLON_ERROR;
	if (start_answer(inst, tx, p) != 0)
		return MERLON_UNAVAIL;
	return MERLON_PENDING;
}

static int32_t check(void *inst, void *w, merlon_tx *tx, uint32_t group)
{
	(void)w;
	(void)group;
	return act(inst, tx, HOOK_CHECK);
}

static int32_t head(void *inst, void *w, merlon_tx *tx, int32_t dir)
{
	struct instance *in = inst;

	(void)w;
	if (in->hooks & HOOK_BODY)
		(void)H->body_want(in->ctx, tx, dir, MERLON_BODY_STREAM, 0);
	return act(in, tx, HOOK_HEAD);
}

static int32_t body(void *inst, void *w, merlon_tx *tx, int32_t dir, struct merlon_str chunk,
                    uint32_t flags)
{
	(void)w;
	(void)dir;
	(void)chunk;
	(void)flags;
	return act(inst, tx, HOOK_BODY);
}

static int32_t audit_open(void *inst, void *w, merlon_tx *tx)
{
	(void)w;
	return act(inst, tx, HOOK_AUDIT_OPEN);
}

static int32_t audit_close(void *inst, void *w, merlon_tx *tx)
{
	(void)w;
	return act(inst, tx, HOOK_AUDIT_CLOSE);
}

static void cancel(void *inst, void *w, merlon_tx *tx, uint64_t token, uint32_t reason)
{
	struct instance *in = inst;
	struct slot *slot = H->tx_slot(in->ctx, tx);

	(void)w;
	H->metric_add(in->ctx, in->cancels, NULL, 1);
	if (!slot->waiting || slot->waiting->token != token) {
		H->metric_add(in->ctx, in->violations, NULL, 1);
		return;
	}
	/* After a timeout the tx goes on, and so does what it has begun. Otherwise the host cancels
	 * all of it as soon as we return. */
	if (reason == MERLON_CANCEL_TIMEOUT)
		return;
	slot->waiting->ended = 1;
	if (slot->work)
		slot->work->ended = 1;
}

static void settle(void *inst, void *w, merlon_tx *tx, const struct merlon_summary *summary)
{
	struct instance *in = inst;
	uint64_t token;

	(void)w;
	(void)summary;
	work_end(H->tx_slot(in->ctx, tx));
	/* A hook that may not wait must not be let. */
	if (H->suspend(in->ctx, tx, 0, &token) != MERLON_E_STATE)
		H->metric_add(in->ctx, in->violations, NULL, 1);
}

/* ---- per worker: an instance's own timers, which must not outlive worker_stop ---- */
struct worker {
	struct probe *p;
};

static int32_t worker_start(void *inst, merlon_worker *worker, void **w)
{
	struct instance *in = inst;
	struct worker *self = calloc(1, sizeof(*self));

	if (!self)
		abort();
	self->p = probe_new(in);
	for (uint32_t i = 0; i < in->timers; i++)
		(void)H->timer(in->ctx, worker, NULL, UINT64_C(3600000), timer_came, self->p, NULL);
	for (uint32_t i = 0; i < in->offloads; i++)
		(void)H->offload(in->ctx, worker, NULL, work_nothing, work_came, self->p, NULL);
	*w = self;
	return 0;
}

static void worker_stop(void *inst, merlon_worker *worker, void *w)
{
	struct worker *self = w;

	(void)inst;
	(void)worker;
	probe_end(self->p);
	free(self);
}

/* ---- life ---- */
static const struct {
	const char *name;
	uint32_t bit;
} hook_names[] = {
    {"check", HOOK_CHECK},
    {"head", HOOK_HEAD},
    {"body", HOOK_BODY},
    {"audit_open", HOOK_AUDIT_OPEN},
    {"audit_close", HOOK_AUDIT_CLOSE},
};
static const char *const how_names[] = {"early", "late", "twice", "thread", "never"};
static const char *const code_names[] = {"OK",      "IGNORE", "NOCRED",  "BADCRED",
                                         "EXPIRED", "DENIED", "LIMITED", "UNAVAIL",
                                         "TIMEOUT", "ERROR",  "REPLY"};

static int same(struct merlon_str s, const char *z)
{
	return s.len == strlen(z) && memcmp(s.ptr, z, s.len) == 0;
}

static uint32_t read_hooks(const merlon_cfg *cfg)
{
	struct merlon_val v;
	uint32_t hooks = 0;

	if (H->cfg_get(cfg, "hooks", &v) != 0)
		return HOOK_CHECK;
	for (uint32_t i = 0; i < v.count; i++) {
		uint32_t bit = 0;

		for (size_t k = 0; k < sizeof(hook_names) / sizeof(hook_names[0]); k++)
			if (same(v.u.list[i], hook_names[k].name))
				bit = hook_names[k].bit;
		if (!bit)
			H->cfg_error(cfg, "hooks", LIT("names a hook that cannot wait"));
		hooks |= bit;
	}
	return hooks;
}

static size_t read_name(const merlon_cfg *cfg, const char *key, const char *const *names, size_t n)
{
	struct merlon_val v;

	if (H->cfg_get(cfg, key, &v) == 0)
		for (size_t i = 0; i < n; i++)
			if (same(v.u.str, names[i]))
				return i;
	return 0;
}

static int64_t read_int(const merlon_cfg *cfg, const char *key)
{
	struct merlon_val v;

	return H->cfg_get(cfg, key, &v) == 0 ? v.u.i64 : 0;
}

static int32_t create(merlon_ctx *ctx, const merlon_cfg *cfg, void **inst)
{
	struct instance *in = calloc(1, sizeof(*in));

	if (!in)
		abort();
	in->ctx = ctx;
	in->hooks = read_hooks(cfg);
	in->how = (enum how)read_name(cfg, "how", how_names, 5);
	in->code = (int32_t)read_name(cfg, "code", code_names, 11) + 1;
	in->delay_ms = (uint32_t)(read_int(cfg, "delay") / 1000000);
	in->timeout_ms = (uint32_t)(read_int(cfg, "wait") / 1000000);
	in->timers = (uint32_t)read_int(cfg, "timers");
	in->watches = (uint32_t)read_int(cfg, "watches");
	in->offloads = (uint32_t)read_int(cfg, "offloads");
	in->sub = (int)read_int(cfg, "identify");
	pthread_mutex_init(&in->lock, NULL);
	(void)H->metric_define(ctx, MERLON_METRIC_COUNTER, "merlon_test_async_violations",
	                       "Callbacks that came after their cancel.", "", &in->violations);
	(void)H->metric_define(ctx, MERLON_METRIC_COUNTER, "merlon_test_async_cancels",
	                       "Calls of the cancel hook.", "", &in->cancels);
	(void)H->metric_define(ctx, MERLON_METRIC_COUNTER, "merlon_test_async_hooks",
	                       "Calls of hooks that answer.", "", &in->answers);
	*inst = in;
	return 0;
}

static void destroy(void *inst)
{
	struct instance *in = inst;

	while (in->probes) {
		struct probe *p = in->probes;

		in->probes = p->next;
		probe_end(p);
		free(p);
	}
	pthread_mutex_destroy(&in->lock);
	free(in);
}

static const struct merlon_option options[] = {
    {"hooks", MERLON_OPT_STRLIST, 0, "check", NULL, NULL,
     "Hooks that wait: check, head, body, audit_open, audit_close."},
    {"how", MERLON_OPT_ENUM, 0, "early", "early|late|twice|thread|never", NULL,
     "How a waiting hook is answered."},
    {"code", MERLON_OPT_ENUM, 0, "OK",
     "OK|IGNORE|NOCRED|BADCRED|EXPIRED|DENIED|LIMITED|UNAVAIL|TIMEOUT|ERROR|REPLY", NULL,
     "The answer."},
    {"delay", MERLON_OPT_DURATION, 0, "10ms", NULL, NULL, "How late a late answer comes."},
    {"wait", MERLON_OPT_DURATION, 0, "0", NULL, NULL,
     "The time asked for when a hook waits; 0 leaves it to the line."},
    {"timers", MERLON_OPT_INT, 0, "0", "0..64", NULL, "Timers begun for each request."},
    {"watches", MERLON_OPT_INT, 0, "0", "0..64", NULL,
     "Descriptor watches begun for each request."},
    {"offloads", MERLON_OPT_INT, 0, "0", "0..64", NULL, "Jobs begun for each request."},
    {"identify", MERLON_OPT_BOOL, 0, "true", NULL, NULL, "Sets id.sub to \"async\"."},
};

#define GROUPS (MERLON_AUTH | MERLON_AUTHZ | MERLON_RATELIMIT | MERLON_FILTER | MERLON_AUDIT)
#define CODES (((MERLON_BIT(MERLON_CODE_MAX + 1) - 1) & ~UINT32_C(1)) & ~MERLON_BIT(MERLON_TIMEOUT))

static const char *const writes[] = {"id.sub", NULL};

static const struct merlon_module module = {
    .size = sizeof(struct merlon_module),
    .major = MERLON_ABI_MAJOR,
    .minor = MERLON_ABI_MINOR,
    .flags = MERLON_GRANTOR,
    .groups = GROUPS,
    .codes = CODES,
    .slot_size = sizeof(struct slot),
    .option_size = sizeof(struct merlon_option),
    .option_count = sizeof(options) / sizeof(options[0]),
    .name = "test_async",
    .version = "1",
    .license = "Apache-2.0",
    .summary = "Waits, and answers early, late, twice, from a thread or never (for tests).",
    .options = options,
    .writes = writes,
    .create = create,
    .destroy = destroy,
    .worker_start = worker_start,
    .worker_stop = worker_stop,
    .check = check,
    .head = head,
    .body = body,
    .cancel = cancel,
    .settle = settle,
    .audit_open = audit_open,
    .audit_close = audit_close,
};

MERLON_MODULE(module, H, 0, MERLON_GRANTOR, GROUPS)
