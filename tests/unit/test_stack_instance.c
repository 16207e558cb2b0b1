/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Instances and their hooks: the golden module of 1.0 and one of today's header do their work,
 * nonsense is an error, and the host functions that belong to instances.
 */
#include "stack/instance.h"

#include "base/clock.h"
#include "stack_module.h"

/* ---- instances ---- */
struct fake_tx {
	struct tx_base base;
};
static struct merlon_worker worker;

static void resumed(merlon_tx *tx, int32_t code)
{
	(void)tx;
	(void)code;
}

struct run_state {
	struct arena a;
	struct conf_line line;
	struct merlon_ctx *ctx;
	struct fake_tx tx;
};

static bool make_in(struct run_state *s, struct build *b, const char *options, enum conf_group g)
{
	memset(s, 0, sizeof(*s));
	arena_init(&s->a, NULL);
	buf_reset(&d.text);
	d.errors = d.warnings = 0;
	s->line = (struct conf_line){.node = &at, .name = STR("line"), .timeout = 2000000000};
	s->line.options = conf_parse(str_of(options), "merlon.conf", false, &s->a, &d);
	s->ctx = instance_new(b, &s->line, STR("default"), g, false, &s->a, &d);
	return s->ctx != NULL;
}

static bool make(struct run_state *s, struct build *b, const char *options)
{
	return make_in(s, b, options, G_AUTH);
}

static void drop_state(struct run_state *s)
{
	instance_destroy(s->ctx);
	arena_deinit(&s->a);
}

static merlon_tx *begin_tx(struct run_state *s)
{
	tx_base_init(&s->tx.base, &worker, &s->a, resumed);
	return (merlon_tx *)(void *)&s->tx;
}

static void works(struct build *b, const char *key)
{
	struct run_state s;
	struct merlon_val v;
	merlon_tx *tx;

	CU_ASSERT_FATAL(make(&s, b, "limit = 2; inner = { deep = true; };"));
	CU_ASSERT_EQUAL(d.errors, 0);
	CU_ASSERT_EQUAL(d.warnings, 1);
	CU_ASSERT_EQUAL_FATAL(instance_worker_start(s.ctx, &worker), 0);
	CU_ASSERT_PTR_EQUAL(s.ctx->w[0], s.ctx->inst);
	tx = begin_tx(&s);
	CU_ASSERT_EQUAL(hook_check(s.ctx, tx, MERLON_AUTH), MERLON_OK);
	CU_ASSERT_EQUAL(hook_check(s.ctx, tx, MERLON_AUTH), MERLON_OK);
	CU_ASSERT_EQUAL(hook_check(s.ctx, tx, MERLON_AUTH), MERLON_LIMITED);
	CU_ASSERT_EQUAL(host_attr_get(tx, to_merlon(str_of(key)), &v), 0);
	CU_ASSERT_EQUAL(v.type, MERLON_VAL_I64);
	CU_ASSERT_EQUAL(v.u.i64, 3);
	/* TIMEOUT from a module */
	CU_ASSERT_EQUAL(hook_check(s.ctx, tx, MERLON_AUTH), MERLON_ERROR);
	/* hooks that it does not have */
	CU_ASSERT_EQUAL(hook_head(s.ctx, tx, MERLON_REQUEST), MERLON_IGNORE);
	CU_ASSERT_EQUAL(hook_audit_open(s.ctx, tx), MERLON_IGNORE);
	/* another tx has a slot of its own */
	tx = begin_tx(&s);
	CU_ASSERT_EQUAL(hook_check(s.ctx, tx, MERLON_AUTH), MERLON_OK);
	CU_ASSERT_EQUAL(stat_value(s.ctx->seconds) % 5, 0);
	instance_worker_stop(s.ctx, &worker);
	instance_retire(s.ctx);
	drop_state(&s);
}

static void todays_module_works(void)
{
	struct buf b = good_bytes();
	struct build *build;

	put("abi_good", b.p, b.n);
	build = load("abi_good");
	CU_ASSERT_PTR_NOT_NULL_FATAL(build);
	works(build, "x.abi_good.calls");
	buf_deinit(&b);
}

static void the_golden_module_works(void)
{
#if defined(__x86_64__)
	struct buf b = read_from(ABI_GOLDEN "/golden_1_0.so");
	struct build *build;

	put("golden_1_0", b.p, b.n);
	build = load("golden_1_0");
	CU_ASSERT_PTR_NOT_NULL_FATAL(build);
	works(build, "x.golden_1_0.calls");
	buf_deinit(&b);
#endif
}

static void an_overwritten_file_does_no_harm(void)
{
	struct buf b = good_bytes();
	struct build *build;
	struct run_state s;
	char path[160];

	put("abi_good", b.p, b.n);
	build = load("abi_good");
	CU_ASSERT_PTR_NOT_NULL_FATAL(build);
	CU_ASSERT_FATAL(make(&s, build, ""));
	CU_ASSERT_EQUAL_FATAL(instance_worker_start(s.ctx, &worker), 0);
	path_of("abi_good", path);
	CU_ASSERT_EQUAL(truncate(path, 0), 0);
	CU_ASSERT_EQUAL(hook_check(s.ctx, begin_tx(&s), MERLON_AUTH), MERLON_OK);
	instance_worker_stop(s.ctx, &worker);
	drop_state(&s);
	buf_deinit(&b);
}

static void errors_of_create_refuse(void)
{
	struct buf b = good_bytes();
	struct build *build;
	struct run_state s;

	put("abi_good", b.p, b.n);
	build = load("abi_good");
	CU_ASSERT_PTR_NOT_NULL_FATAL(build);
	/* create says it and answers 0 all the same: the instance is destroyed again */
	CU_ASSERT(!make(&s, build, "limit = 2;\nrate = \"3/1m\";"));
	CU_ASSERT_STRING_EQUAL(said(), "merlon.conf:2: abi_good: rate must not be over limit\n");
	drop_state(&s);
	CU_ASSERT(!make(&s, build, "limit = 10; wiat = 1;"));
	CU_ASSERT_EQUAL(d.errors, 2);
	drop_state(&s);
	buf_deinit(&b);
}

static void hashes_tell_instances_apart(void)
{
	struct buf b = good_bytes();
	struct build *build;
	struct run_state one, two, three;

	put("abi_good", b.p, b.n);
	build = load("abi_good");
	CU_ASSERT_PTR_NOT_NULL_FATAL(build);
	CU_ASSERT(make(&one, build, "limit = 3;"));
	CU_ASSERT(make(&two, build, "\n\nlimit = 3;"));
	CU_ASSERT(make(&three, build, "limit = 4;"));
	CU_ASSERT_STRING_EQUAL(one.ctx->hash, two.ctx->hash);
	CU_ASSERT_STRING_NOT_EQUAL(one.ctx->hash, three.ctx->hash);
	drop_state(&one);
	drop_state(&two);
	drop_state(&three);
	buf_deinit(&b);
}

/* ---- answers of a module made by hand ---- */
static int32_t answer;
static bool was_named;

static int32_t any_answer(void *inst, void *w, merlon_tx *tx, uint32_t group)
{
	(void)inst;
	(void)w;
	(void)group;
	was_named = strcmp(hook_breadcrumb(), "hand_made/check") == 0;
	if (answer == MERLON_REPLY + 100) {
		tx_base(tx)->replied = true;
		return MERLON_REPLY;
	}
	return answer;
}

static void nonsense_is_an_error(void)
{
	static const int32_t nonsense[] = {0,
	                                   -1,
	                                   12,
	                                   254,
	                                   INT32_MAX,
	                                   INT32_MIN,
	                                   MERLON_TIMEOUT,
	                                   MERLON_REPLY,
	                                   MERLON_DENIED,
	                                   MERLON_PENDING};
	static const struct merlon_module m = {
	    .size = sizeof(m),
	    .groups = MERLON_AUTH,
	    .codes = MERLON_BIT(MERLON_OK) | MERLON_BIT(MERLON_REPLY),
	    .option_size = sizeof(struct merlon_option),
	    .name = "hand_made",
	    .check = any_answer,
	};
	struct build b = {.name = "hand_made", .hash = "0", .m = &m};
	struct run_state s;

	CU_ASSERT_FATAL(make(&s, &b, ""));
	CU_ASSERT_EQUAL_FATAL(instance_worker_start(s.ctx, &worker), 0);
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		answer = nonsense[i];
		CU_ASSERT_EQUAL(hook_check(s.ctx, begin_tx(&s), MERLON_AUTH), MERLON_ERROR);
	}
	answer = MERLON_ERROR;
	CU_ASSERT_EQUAL(hook_check(s.ctx, begin_tx(&s), MERLON_AUTH), MERLON_ERROR);
	answer = MERLON_OK;
	CU_ASSERT_EQUAL(hook_check(s.ctx, begin_tx(&s), MERLON_AUTH), MERLON_OK);
	CU_ASSERT(was_named);
	CU_ASSERT_STRING_EQUAL(hook_breadcrumb(), "");
	answer = MERLON_REPLY + 100;
	CU_ASSERT_EQUAL(hook_check(s.ctx, begin_tx(&s), MERLON_AUTH), MERLON_REPLY);
	/* a reply of the hook before does not count for this one */
	answer = MERLON_REPLY;
	CU_ASSERT_EQUAL(hook_check(s.ctx, (merlon_tx *)(void *)&s.tx, MERLON_AUTH), MERLON_ERROR);
	instance_worker_stop(s.ctx, &worker);
	drop_state(&s);
}

static void codes_have_names(void)
{
	for (int i = 1; i <= MERLON_CODE_MAX; i++)
		CU_ASSERT_EQUAL(code_of(str_of(code_name(i))), i);
	CU_ASSERT_STRING_EQUAL(code_name(0), "?");
	CU_ASSERT_STRING_EQUAL(code_name(MERLON_PENDING), "?");
	CU_ASSERT_EQUAL(code_of(STR("ok")), 0);
	CU_ASSERT_EQUAL(code_of(STR("")), 0);
}

/* ---- host functions ---- */
static merlon_ctx *made_ctx;
static int32_t defined[8];
static uint32_t metric;

static int32_t define_some(merlon_ctx *ctx, const merlon_cfg *cfg, void **inst)
{
	uint32_t id = 0;

	(void)cfg;
	made_ctx = ctx;
	*inst = &made_ctx;
	defined[0] = host_metric_define(ctx, MERLON_METRIC_COUNTER, "merlon_hand_made_seen_total",
	                                "Seen.", "kind,way", &metric);
	defined[1] =
	    host_metric_define(ctx, MERLON_METRIC_COUNTER, "merlon_requests_total", "x", "", &id);
	defined[2] =
	    host_metric_define(ctx, MERLON_METRIC_COUNTER, "merlon_hand_madeup", "x", "", &id);
	defined[3] = host_metric_define(ctx, MERLON_METRIC_GAUGE, "merlon_hand_made_seen_total",
	                                "x", "", &id);
	defined[4] = host_metric_define(ctx, 7, "merlon_hand_made_x", "x", "", &id);
	defined[5] = host_metric_define(ctx, MERLON_METRIC_GAUGE, "merlon_audit_lag", "x", "", &id);
	defined[6] = host_digest_want(ctx, to_merlon(STR("key")));
	return 0;
}

static int32_t refuse_start(void *inst, merlon_worker *w, void **out)
{
	(void)inst;
	(void)w;
	(void)out;
	return -1;
}

static const struct merlon_module hand_made = {
    .size = sizeof(hand_made),
    .groups = MERLON_AUTH,
    .codes = MERLON_BIT(MERLON_OK),
    .option_size = sizeof(struct merlon_option),
    .name = "hand_made",
    .create = define_some,
    .worker_start = refuse_start,
    .check = any_answer,
};

static void metrics_are_counted(void)
{
	struct build b = {.name = "hand_made", .hash = "0", .m = &hand_made};
	struct merlon_str labels[2] = {to_merlon(STR("a")), to_merlon(STR("b"))};
	struct str same[2] = {STR("a"), STR("b")}, joined[2] = {STR("ab"), STR("")};
	struct stat_family *f;
	struct run_state s;

	CU_ASSERT_FATAL(make(&s, &b, ""));
	CU_ASSERT_EQUAL(defined[0], 0);
	for (int i = 1; i < 5; i++)
		CU_ASSERT_EQUAL(defined[i], MERLON_E_INVAL);
	CU_ASSERT_EQUAL(defined[5], 0);
	CU_ASSERT_EQUAL(host_metric_define(s.ctx, MERLON_METRIC_COUNTER, "merlon_hand_made_y", "y",
	                                   "", &metric),
	                MERLON_E_STATE);
	host_metric_add(s.ctx, metric, labels, 2);
	host_metric_add(s.ctx, metric, labels, 3);
	host_metric_add(s.ctx, metric, labels, -1);
	host_metric_add(s.ctx, metric, NULL, 1);
	host_metric_add(s.ctx, 99, labels, 1);
	labels[0] = to_merlon(STR("ab"));
	labels[1] = to_merlon(STR(""));
	host_metric_add(s.ctx, metric, labels, 7);
	f = stats_family(STAT_COUNTER, "merlon_hand_made_seen_total", "Seen.", "kind,way");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(stat_value(stats_get(f, same)), 5);
	CU_ASSERT_EQUAL(stat_value(stats_get(f, joined)), 7);
	drop_state(&s);
}

static void facts_are_told(void)
{
	struct build b = {.name = "hand_made", .hash = "0", .m = &hand_made};
	struct run_state s;

	CU_ASSERT_FATAL(make(&s, &b, "status_on_bad_credential = 403;"));
	CU_ASSERT_EQUAL(s.ctx->status_on_bad_credential, 403);
	CU_ASSERT(str_eq(from_merlon(host_ctx_info(s.ctx, MERLON_CTX_STACK)), STR("default")));
	CU_ASSERT(str_eq(from_merlon(host_ctx_info(s.ctx, MERLON_CTX_GROUP)), STR("auth")));
	CU_ASSERT(str_eq(from_merlon(host_ctx_info(s.ctx, MERLON_CTX_LINE)), STR("line")));
	CU_ASSERT(str_eq(from_merlon(host_ctx_info(s.ctx, MERLON_CTX_MODULE)), STR("hand_made")));
	CU_ASSERT_EQUAL(host_ctx_info(s.ctx, 99).len, 0);
	CU_ASSERT_EQUAL(host_probing(s.ctx), 0);
	/* digests are the audit group's to ask for, and only in create */
	CU_ASSERT_EQUAL(defined[6], MERLON_E_DENIED);
	CU_ASSERT_EQUAL(host_digest_want(s.ctx, to_merlon(STR("key"))), MERLON_E_STATE);
	CU_ASSERT(!s.ctx->digest.wanted);
	CU_ASSERT_NOT_EQUAL(instance_worker_start(s.ctx, &worker), 0);
	CU_ASSERT(!s.ctx->started[0]);
	clock_freeze(17, 1700000000000000);
	CU_ASSERT_EQUAL(host_now(MERLON_CLOCK_MONOTONIC), 17);
	CU_ASSERT_EQUAL(host_now(MERLON_CLOCK_REAL), UINT64_C(1700000000000000000));
	clock_unfreeze();
	drop_state(&s);
}

static void digests_are_wanted_in_audit(void)
{
	struct merlon_module m = hand_made;
	struct build b = {.name = "hand_made", .hash = "0", .m = &m};
	struct run_state s;

	m.groups = MERLON_AUDIT | MERLON_AUTH;
	CU_ASSERT_FATAL(make_in(&s, &b, "", G_AUDIT));
	CU_ASSERT_EQUAL(defined[6], 0);
	CU_ASSERT(s.ctx->digest.wanted);
	CU_ASSERT(str_eq(s.ctx->digest.key, STR("key")));
	drop_state(&s);
	CU_ASSERT(!make_in(&s, &b, "status_on_bad_credential = 403;", G_AUDIT));
	CU_ASSERT_PTR_NOT_NULL(strstr(said(), "status_on_bad_credential is for lines in auth"));
	drop_state(&s);
}

static int32_t count_each(void *arg, struct merlon_str key, const struct merlon_val *val)
{
	int64_t *sum = arg;

	(void)key;
	*sum += val->u.i64;
	return *sum >= 100;
}

static void memory_and_attributes_are_the_txs(void)
{
	struct merlon_val v = {.type = MERLON_VAL_I64, .u.i64 = 1};
	struct build b = {.name = "hand_made", .hash = "0", .m = &hand_made};
	struct run_state s;
	merlon_tx *tx;
	int64_t sum = 0;
	char *p;

	CU_ASSERT_FATAL(make(&s, &b, ""));
	tx = begin_tx(&s);
	CU_ASSERT_PTR_EQUAL(host_tx_worker(tx), &worker);
	CU_ASSERT_PTR_NULL(host_tx_alloc(tx, 65537));
	CU_ASSERT_PTR_NULL(host_tx_alloc(tx, UINT64_MAX));
	p = host_tx_alloc(tx, 65536);
	CU_ASSERT_FATAL(p && p[0] == 0 && p[65535] == 0 && (uintptr_t)p % 16 == 0);
	CU_ASSERT_PTR_NULL(host_tx_slot(s.ctx, tx));
	CU_ASSERT_EQUAL(host_attr_get(tx, to_merlon(STR("x.hand_made.a")), &v), MERLON_E_NOENT);
	v = (struct merlon_val){.type = MERLON_VAL_I64, .u.i64 = 1};
	CU_ASSERT_EQUAL(host_attr_set(s.ctx, tx, to_merlon(STR("x.hand_made.a")), &v), 0);
	v.u.i64 = 10;
	CU_ASSERT_EQUAL(host_attr_set(s.ctx, tx, to_merlon(STR("x.hand_made.a")), &v), 0);
	CU_ASSERT_EQUAL(host_attr_set(s.ctx, tx, to_merlon(STR("x.hand_made.b")), &v), 0);
	CU_ASSERT_EQUAL(host_attr_set(s.ctx, tx, to_merlon(STR("net.source")), &v),
	                MERLON_E_DENIED);
	/* what a newer value hides is not told */
	CU_ASSERT_EQUAL(host_attr_each(tx, to_merlon(STR("x.hand_made.")), count_each, &sum), 0);
	CU_ASSERT_EQUAL(sum, 20);
	CU_ASSERT_EQUAL(host_attr_each(tx, to_merlon(STR("y.")), count_each, &sum), 0);
	CU_ASSERT_EQUAL(sum, 20);
	sum = 95;
	CU_ASSERT_EQUAL(host_attr_each(tx, to_merlon(STR("x.")), count_each, &sum), 1);
	CU_ASSERT_EQUAL(sum, 105);
	drop_state(&s);
}

int main(void)
{
	static const struct unit_test tests[] = {
	    UNIT(todays_module_works),
	    UNIT(the_golden_module_works),
	    UNIT(an_overwritten_file_does_no_harm),
	    UNIT(errors_of_create_refuse),
	    UNIT(hashes_tell_instances_apart),
	    UNIT(nonsense_is_an_error),
	    UNIT(codes_have_names),
	    UNIT(metrics_are_counted),
	    UNIT(facts_are_told),
	    UNIT(digests_are_wanted_in_audit),
	    UNIT(memory_and_attributes_are_the_txs),
	};
	int r;

	if (!modules_begin())
		return 99;
	worker.loop = loop_new();
	ledger_worker_init(&worker);
	r = unit_run("instance", tests, sizeof(tests) / sizeof(tests[0]));
	ledger_worker_deinit(&worker);
	loop_free(worker.loop);
	modules_end();
	return r;
}
