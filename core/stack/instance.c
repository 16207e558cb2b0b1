/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The life of an instance: options, create, a start and a stop on each worker, retire, destroy. The
 * generation's arena owns the memory; options live in an arena of their own that ends, wiped, with
 * create.
 */
#include "stack/instance.h"

#include "base/log.h"
#include "stack/shared.h"

/* What makes two instances behave alike: the code, the options with their files, and where they
 * stand. */
static void set_hash(struct merlon_ctx *ctx, const merlon_cfg *cfg)
{
	struct digest *dg = digest_new(STR_NONE);
	uint8_t sum[SHA256_LEN];

	digest_add(dg, str_of(ctx->build->hash));
	digest_add(dg, str_of(conf_group_names[ctx->group]));
	options_digest(cfg, dg);
	digest_get(dg, sum);
	digest_free(dg);
	hex_encode(sum, sizeof(sum), ctx->hash);
	ctx->hash[SHA256_HEX] = '\0';
}

static void set_status(struct merlon_ctx *ctx, const merlon_cfg *cfg)
{
	const struct conf_node *n = conf_child(ctx->line->options, STR("status_on_bad_credential"));
	struct merlon_val v;

	ctx->status_on_bad_credential = 401;
	if (ctx->group != G_AUTH) {
		if (n && (ctx->m->groups & MERLON_AUTH))
			conf_error(ctx->diag, n,
			           "%s: status_on_bad_credential is for lines in auth",
			           ctx->m->name);
	} else if (host_cfg_get(cfg, "status_on_bad_credential", &v) == 0 &&
	           v.type == MERLON_VAL_I64) {
		ctx->status_on_bad_credential = (int)v.u.i64;
	}
}

static void call_destroy(struct merlon_ctx *ctx)
{
	if (ctx->created && ctx->m->destroy) {
		struct crumb before = hook_enter_crumb(ctx, "destroy");

		ctx->m->destroy(ctx->inst);
		hook_leave_crumb(before);
	}
	ctx->created = false;
	ctx->inst = NULL;
}

static bool call_create(struct merlon_ctx *ctx, const merlon_cfg *cfg)
{
	const unsigned errors = ctx->diag->errors;
	int32_t r = 0;

	set_status(ctx, cfg);
	if (ctx->m->create) {
		struct crumb before = hook_enter_crumb(ctx, "create");

		r = ctx->m->create(ctx, cfg, &ctx->inst);
		hook_leave_crumb(before);
	}
	ctx->created = r == 0;
	if (r != 0 && ctx->diag->errors == errors)
		conf_error(ctx->diag, ctx->line->node,
		           "%s: the module refuses these options and does not say why",
		           ctx->m->name);
	return ctx->diag->errors == errors;
}

static struct ctx_work *work_new(struct arena *a)
{
	uintptr_t at =
	    (uintptr_t)arena_zalloc(a, WORKERS_MAX * sizeof(struct ctx_work) + CACHE_LINE);
	struct ctx_work *work = (void *)((at + CACHE_LINE - 1) & ~(uintptr_t)(CACHE_LINE - 1));

	for (unsigned i = 0; i < WORKERS_MAX; i++)
		list_init(&work[i].ops);
	return work;
}

static struct merlon_ctx *ctx_new(struct build *b, const struct conf_line *line, struct str stack,
                                  enum conf_group g, bool probing, struct arena *a)
{
	struct merlon_ctx *ctx = arena_zalloc(a, sizeof(*ctx));
	struct stat_family *seconds;

	ctx->build = b;
	ctx->m = b->m;
	ctx->line = line;
	ctx->stack = stack;
	ctx->group = g;
	ctx->probing = probing;
	ctx->arena = a;
	ctx->work = work_new(a);
	list_init(&ctx->shared);
	seconds = stats_family(STAT_HISTOGRAM, "merlon_module_seconds",
	                       "Time spent in the hooks of a line.", "stack,line");
	if (seconds)
		ctx->seconds = stats_get(seconds, (const struct str[]){stack, line->name});
	return ctx;
}

struct merlon_ctx *instance_new(struct build *b, const struct conf_line *line, struct str stack,
                                enum conf_group g, bool probing, struct arena *a,
                                struct conf_diag *d)
{
	struct merlon_ctx *ctx = ctx_new(b, line, stack, g, probing, a);
	struct arena own;
	merlon_cfg *cfg;
	bool ok = false;

	arena_init(&own, NULL);
	ctx->diag = d;
	cfg = options_check(ctx->m, line->options, line->node, &own, d);
	if (cfg) {
		set_hash(ctx, cfg);
		ctx->upstreams = options_upstreams(cfg, a, &ctx->nupstreams);
		ok = call_create(ctx, cfg);
	}
	ctx->diag = NULL;
	if (!ok) {
		call_destroy(ctx);
		held_release_all(ctx);
		ctx = NULL;
	}
	arena_deinit(&own);
	return ctx;
}

int instance_worker_start(struct merlon_ctx *ctx, struct merlon_worker *w)
{
	int32_t r = 0;

	facts_thread_start(w->loop);
	streams_worker_start(ctx, w);
	if (ctx->m->worker_start) {
		struct crumb before = hook_enter_crumb(ctx, "worker_start");

		r = ctx->m->worker_start(ctx->inst, w, &ctx->w[w->index]);
		hook_leave_crumb(before);
	}
	if (r != 0) {
		ledger_instance_cancel(ctx, w);
		streams_worker_stop(ctx, w);
		ctx->w[w->index] = NULL;
		facts_thread_stop();
		return -1;
	}
	ctx->started[w->index] = true;
	return 0;
}

void instance_worker_stop(struct merlon_ctx *ctx, struct merlon_worker *w)
{
	if (!ctx->started[w->index])
		return;
	ledger_instance_cancel(ctx, w);
	if (ctx->m->worker_stop) {
		struct crumb before = hook_enter_crumb(ctx, "worker_stop");

		ctx->m->worker_stop(ctx->inst, w, ctx->w[w->index]);
		hook_leave_crumb(before);
		/* A module that begins work in worker_stop must not have it fire into what it has
		 * just freed. */
		ledger_instance_cancel(ctx, w);
	}
	streams_worker_stop(ctx, w);
	ctx->w[w->index] = NULL;
	ctx->started[w->index] = false;
	facts_thread_stop();
}

void instance_retire(struct merlon_ctx *ctx)
{
	if (!ctx->created || !ctx->m->retire)
		return;
	struct crumb before = hook_enter_crumb(ctx, "retire");
	ctx->m->retire(ctx->inst);
	hook_leave_crumb(before);
}

void instance_destroy(struct merlon_ctx *ctx)
{
	if (!ctx)
		return;
	/* Better to lose an instance's memory than to free it under a thread that still works with
	 * it. */
	if (!ledger_instance_wait(ctx)) {
		log_msg(LOG_L_ERROR, "offloaded work does not end module=%s stack=%.*s line=%.*s",
		        ctx->m->name, STR_FMT(ctx->stack), STR_FMT(ctx->line->name));
		return;
	}
	call_destroy(ctx);
	held_release_all(ctx);
}
