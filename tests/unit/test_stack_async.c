/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The module test_async under the real ledger: it answers in every way there is, each tx goes on
 * exactly once, and it sees no callback after its cancel.
 */
#include <string.h>

#include "base/clock.h"
#include "stack/instance.h"
#include "unit.h"

/* ---- a host with what the module calls ---- */
static int32_t no_body(merlon_ctx *ctx, merlon_tx *tx, int32_t dir, uint32_t mode, uint64_t max)
{
	(void)ctx;
	(void)tx;
	(void)dir;
	(void)mode;
	(void)max;
	return 0;
}

static const struct merlon_host host = {
    .size = sizeof(host),
    .major = MERLON_ABI_MAJOR,
    .minor = MERLON_ABI_MINOR,
    .now = host_now,
    .cfg_get = host_cfg_get,
    .cfg_error = host_cfg_error,
    .metric_define = host_metric_define,
    .metric_add = host_metric_add,
    .tx_alloc = host_tx_alloc,
    .tx_slot = host_tx_slot,
    .attr_set = host_attr_set,
    .body_want = no_body,
    .suspend = host_suspend,
    .resume = host_resume,
    .timer = host_timer,
    .watch_fd = host_watch_fd,
    .offload = host_offload,
    .op_cancel = host_op_cancel,
};

/* ---- options as a file would give them ---- */
#define NODES 8

struct options {
	struct conf_node root;
	struct conf_node v[NODES];
	unsigned n;
};

static void option_add(struct options *o, const char *key, enum conf_type type, const char *s,
                       int64_t i)
{
	struct conf_node *n = &o->v[o->n];

	n->type = type;
	n->key = str_of(key);
	n->file = "t.conf";
	n->line = 2;
	n->parent = &o->root;
	if (type == CONF_INT)
		n->u.i = i;
	else
		n->u.s = str_of(s);
	if (o->n > 0)
		o->v[o->n - 1].next = n;
	else
		o->root.child = n;
	o->root.nchildren = ++o->n;
}

/* ---- one worker, one instance ---- */
struct fake_tx {
	struct tx_base base;
	struct arena arena;
	unsigned resumed;
	int32_t code;
};

static struct {
	struct merlon_worker w;
	struct arena arena;
	struct conf_diag d;
	struct options o;
	struct conf_line line;
	struct merlon_ctx *ctx;
} T;

static void on_resumed(merlon_tx *tx, int32_t code)
{
	struct fake_tx *f = (struct fake_tx *)(void *)tx;

	f->resumed++;
	f->code = code;
	loop_stop(T.w.loop);
}

static void set_up(const char *how, const char *wait)
{
	struct build *b;

	memset(&T, 0, sizeof(T));
	T.w.loop = loop_new();
	T.w.offload = offload_new(2, 100, 60);
	ledger_worker_init(&T.w);
	arena_init(&T.arena, NULL);
	conf_diag_init(&T.d);
	T.o.root = (struct conf_node){.type = CONF_GROUP, .file = "t.conf", .line = 1};
	option_add(&T.o, "how", CONF_STRING, how, 0);
	option_add(&T.o, "wait", CONF_STRING, wait, 0);
	option_add(&T.o, "delay", CONF_STRING, "1ms", 0);
	option_add(&T.o, "timers", CONF_INT, NULL, 7);
	option_add(&T.o, "watches", CONF_INT, NULL, 3);
	option_add(&T.o, "offloads", CONF_INT, NULL, 5);
	T.line.node = &T.o.root;
	T.line.options = &T.o.root;
	T.line.name = STR("test_async");
	T.line.timeout = 3600 * NS_PER_S;
	b = build_load(STR(ASYNC_MODULE), STR("test_async"), &host, &T.o.root, &T.d);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	T.ctx = instance_new(b, &T.line, STR("default"), G_AUTH, false, &T.arena, &T.d);
	CU_ASSERT_PTR_NOT_NULL_FATAL(T.ctx);
	CU_ASSERT_EQUAL_FATAL(instance_worker_start(T.ctx, &T.w), 0);
}

static int64_t violations(void)
{
	return stat_value(stats_get(stats_family(STAT_COUNTER, "merlon_test_async_violations",
	                                         "Callbacks that came after their cancel.", ""),
	                            NULL));
}

static void stop_loop(void *arg)
{
	(void)arg;
	loop_stop(T.w.loop);
}

static void turn(void)
{
	struct loop_timer t;

	loop_timer_init(&t, stop_loop, NULL);
	loop_timer_in(T.w.loop, &t, 10 * NS_PER_MS);
	loop_run(T.w.loop);
	loop_timer_drop(T.w.loop, &t);
}

static void tear_down(void)
{
	turn();
	instance_worker_stop(T.ctx, &T.w);
	turn();
	CU_ASSERT_TRUE(ledger_instance_wait(T.ctx));
	instance_destroy(T.ctx);
	offload_free(T.w.offload);
	loop_free(T.w.loop);
	ledger_worker_deinit(&T.w);
	conf_diag_deinit(&T.d);
	arena_deinit(&T.arena);
	CU_ASSERT_EQUAL(violations(), 0);
}

static merlon_tx *tx_begin(struct fake_tx *f)
{
	memset(f, 0, sizeof(*f));
	arena_init(&f->arena, NULL);
	tx_base_init(&f->base, &T.w, &f->arena, on_resumed);
	return (merlon_tx *)(void *)f;
}

static void tx_end(struct fake_tx *f, merlon_tx *tx)
{
	struct merlon_summary s = {.size = sizeof(s), .end = MERLON_END_SUCCESS};

	hook_settle(T.ctx, tx, &s);
	ledger_tx_cancel(tx, MERLON_CANCEL_SHUTDOWN);
	CU_ASSERT_EQUAL(f->base.nops, 0);
	arena_deinit(&f->arena);
}

static void answers(const char *how, const char *wait, int32_t code, uint64_t strays)
{
	uint64_t before = ledger_stray_resumes();
	struct fake_tx f;
	merlon_tx *tx;

	set_up(how, wait);
	tx = tx_begin(&f);
	CU_ASSERT_EQUAL(hook_check(T.ctx, tx, MERLON_AUTH), MERLON_PENDING);
	loop_run(T.w.loop);
	turn();
	CU_ASSERT_EQUAL(f.resumed, 1);
	CU_ASSERT_EQUAL(f.code, code);
	tx_end(&f, tx);
	tear_down();
	CU_ASSERT_EQUAL(ledger_stray_resumes() - before, strays);
}

static void early(void)
{
	answers("early", "0", MERLON_OK, 0);
}
static void late(void)
{
	answers("late", "0", MERLON_OK, 0);
}
static void twice(void)
{
	answers("twice", "0", MERLON_OK, 1);
}
static void from_a_thread(void)
{
	answers("thread", "0", MERLON_OK, 0);
}
static void never(void)
{
	answers("never", "1ms", MERLON_TIMEOUT, 0);
}

/* The client goes while the hook waits: no answer, and nothing after it. */
static void client_gone(void)
{
	static const char *const hows[] = {"early", "late", "twice", "thread", "never"};

	for (unsigned i = 0; i < 5; i++) {
		struct fake_tx f;
		merlon_tx *tx;

		set_up(hows[i], "0");
		tx = tx_begin(&f);
		CU_ASSERT_EQUAL(hook_check(T.ctx, tx, MERLON_AUTH), MERLON_PENDING);
		ledger_tx_cancel(tx, MERLON_CANCEL_CLIENT);
		turn();
		CU_ASSERT_EQUAL(f.resumed, 0);
		tx_end(&f, tx);
		tear_down();
	}
}

UNIT_MAIN("stack_async", UNIT(early), UNIT(late), UNIT(twice), UNIT(from_a_thread), UNIT(never),
          UNIT(client_gone))
