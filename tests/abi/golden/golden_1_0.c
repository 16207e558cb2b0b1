/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The golden module of ABI 1.0. Its binary beside this file was built once, against the header
 * of 1.0, and is never built again: it must load and work on every host of major 1. Built for
 * x86-64 with cc -std=c99 -Os -fPIC -shared -fvisibility=hidden -Wl,-z,now -Wl,-z,defs -s -I
 * include tests/abi/abi_good.c builds the same source against the header of today.
 */
#include <merlon/module.h>
#include <stdlib.h>
#include <string.h>

#ifndef GOLDEN_NAME
#define GOLDEN_NAME "golden_1_0"
#endif

struct instance {
	merlon_ctx *ctx;
	int64_t limit;
	int64_t wait_ns;
	uint32_t metric;
	uint32_t words;
};
struct slot {
	int64_t calls;
};

static const struct merlon_host *H;

static struct merlon_str text(const char *z)
{
	struct merlon_str s;

	s.ptr = z;
	s.len = strlen(z);
	return s;
}

static int32_t create(merlon_ctx *ctx, const merlon_cfg *cfg, void **inst)
{
	struct instance *in = calloc(1, sizeof(*in));
	const merlon_cfg *part;
	struct merlon_val v;
	int64_t count, window;

	if (!in)
		return -1;
	in->ctx = ctx;
	*inst = in;
	if (H->cfg_get(cfg, "limit", &v) == 0)
		in->limit = v.u.i64;
	if (H->cfg_get(cfg, "wait", &v) == 0)
		in->wait_ns = v.u.i64;
	if (H->cfg_get(cfg, "words", &v) == 0)
		in->words = v.count;
	if (H->cfg_rate(cfg, "rate", &count, &window) == 0 && count > in->limit)
		H->cfg_error(cfg, "rate", text("must not be over limit"));
	part = H->cfg_at(cfg, "inner", 0);
	if (part && H->cfg_get(part, "deep", &v) == 0 && v.u.i64)
		H->cfg_warn(part, "deep", text("is deep"));
	if (H->metric_define(ctx, MERLON_METRIC_COUNTER, "merlon_" GOLDEN_NAME "_calls_total",
	                     "Calls of check.", "answer", &in->metric)) {
		H->cfg_error(cfg, "", text("no metric"));
		free(in);
		return -1;
	}
	return 0;
}

static void destroy(void *inst)
{
	free(inst);
}

static int32_t worker_start(void *inst, merlon_worker *worker, void **w)
{
	(void)worker;
	*w = inst;
	return 0;
}

/* OK until the tx has asked more often than the limit says. */
static int32_t check(void *inst, void *w, merlon_tx *tx, uint32_t group)
{
	struct instance *in = inst;
	struct slot *s = H->tx_slot(in->ctx, tx);
	struct merlon_str answer = text("ok");
	struct merlon_val v;

	(void)w;
	if (!s || group != MERLON_AUTH || H->now(MERLON_CLOCK_MONOTONIC) == 0)
		return MERLON_ERROR;
	memset(&v, 0, sizeof(v));
	v.type = MERLON_VAL_I64;
	v.u.i64 = ++s->calls;
	if (H->attr_set(in->ctx, tx, text("x." GOLDEN_NAME ".calls"), &v))
		return MERLON_ERROR;
	if (s->calls > in->limit + 1)
		return MERLON_TIMEOUT; /* not ours to say: the host must make an error of it */
	if (s->calls > in->limit)
		answer = text("limited");
	H->metric_add(in->ctx, in->metric, &answer, 1);
	return s->calls > in->limit ? MERLON_LIMITED : MERLON_OK;
}

static const struct merlon_option inner[] = {
    {"deep", MERLON_OPT_BOOL, 0, "false", NULL, NULL, "Whether it is deep."},
    {NULL, 0, 0, NULL, NULL, NULL, NULL},
};
static const struct merlon_option options[] = {
    {"limit", MERLON_OPT_INT, 0, "2", "1..9", NULL, "How often a request may ask."},
    {"wait", MERLON_OPT_DURATION, 0, "30s", NULL, NULL, "How long nothing waits."},
    {"rate", MERLON_OPT_RATE, 0, NULL, NULL, NULL, "A rate."},
    {"words", MERLON_OPT_STRLIST, 0, NULL, NULL, NULL, "Some words."},
    {"inner", MERLON_OPT_GROUP, 0, NULL, NULL, inner, "A group."},
};
static const char *const writes[] = {"x." GOLDEN_NAME ".calls", NULL};

static const struct merlon_module module = {
    sizeof(struct merlon_module),
    MERLON_ABI_MAJOR,
    MERLON_ABI_MINOR,
    0,
    0,
    MERLON_GRANTOR,
    MERLON_AUTH,
    MERLON_BIT(MERLON_OK) | MERLON_BIT(MERLON_LIMITED) | MERLON_BIT(MERLON_ERROR),
    sizeof(struct slot),
    sizeof(struct merlon_option),
    sizeof(options) / sizeof(options[0]),
    GOLDEN_NAME,
    "1.0",
    "Apache-2.0",
    "Answers OK as often as its limit says.",
    options,
    NULL,
    writes,
    create,
    destroy,
    worker_start,
    NULL,
    NULL,
    check,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
};
MERLON_MODULE(module, H, 0, MERLON_GRANTOR, MERLON_AUTH)
