/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Calls of a tx's hooks: each is timed, leaves a crumb for a crash report, and its answer is held
 * against what the descriptor promises. Runs on the tx's worker; nothing here outlives a call.
 */
#include "base/clock.h"
#include "base/log.h"
#include "stack/instance.h"

#define HOOK_SLOW (10 * NS_PER_MS)
#define LOG_BURST 5

static const struct str names[MERLON_CODE_MAX + 1] = {
    [0] = STR("?"),
    [MERLON_OK] = STR("OK"),
    [MERLON_IGNORE] = STR("IGNORE"),
    [MERLON_NOCRED] = STR("NOCRED"),
    [MERLON_BADCRED] = STR("BADCRED"),
    [MERLON_EXPIRED] = STR("EXPIRED"),
    [MERLON_DENIED] = STR("DENIED"),
    [MERLON_LIMITED] = STR("LIMITED"),
    [MERLON_UNAVAIL] = STR("UNAVAIL"),
    [MERLON_TIMEOUT] = STR("TIMEOUT"),
    [MERLON_ERROR] = STR("ERROR"),
    [MERLON_REPLY] = STR("REPLY"),
};

struct str code_text(int code)
{
	return names[code > 0 && code <= MERLON_CODE_MAX ? code : 0];
}

const char *code_name(int code)
{
	return code_text(code).p;
}

int code_of(struct str name)
{
	for (int i = 1; i <= MERLON_CODE_MAX; i++) {
		if (str_eq(name, names[i]))
			return i;
	}
	return 0;
}

/* ---- crumbs ---- */
/* Read by a signal handler of the same thread, hence volatile; two pointers, composed only when a
 * crash asks. */
static _Thread_local const char *volatile crumb_module;
static _Thread_local const char *volatile crumb_hook;

struct crumb hook_enter_crumb(const struct merlon_ctx *ctx, const char *hook)
{
	const struct crumb before = {crumb_module, crumb_hook};

	crumb_module = ctx->m->name;
	crumb_hook = hook;
	return before;
}

void hook_leave_crumb(struct crumb before)
{
	crumb_module = before.module;
	crumb_hook = before.hook;
}

static size_t append(char *buf, size_t at, size_t cap, const char *z)
{
	while (*z && at + 1 < cap)
		buf[at++] = *z++;
	buf[at] = '\0';
	return at;
}

const char *hook_breadcrumb(void)
{
	static _Thread_local char text[96];
	const char *module = crumb_module;
	const char *hook = crumb_hook;
	size_t at;

	if (!module || !hook)
		return "";
	at = append(text, 0, sizeof(text), module);
	at = append(text, at, sizeof(text), "/");
	append(text, at, sizeof(text), hook);
	return text;
}

/* ---- one call ---- */
/* What is around a hook is inlined, so that its call is one frame and what is to be remembered
 * stays in registers. */
static _Thread_local bool together;
static _Thread_local uint64_t edge; /* where the last hook ended, if the next begins there; or 0 */

void hooks_together(bool on)
{
	together = on;
	if (!on)
		edge = 0;
}

struct call {
	struct merlon_ctx *ctx;
	merlon_tx *tx;
	const char *hook;
	uint64_t began;
	struct crumb before;
};

static void begin(struct call *c, struct merlon_ctx *ctx, merlon_tx *tx, const char *hook)
{
	c->ctx = ctx;
	c->tx = tx;
	c->hook = hook;
	c->before = hook_enter_crumb(ctx, hook);
	c->began = edge ? edge : clock_mono();
}

static __attribute__((noinline, cold)) void tell_slow(const struct call *c, uint64_t took)
{
	static _Thread_local struct log_limit limit;

	log_limited(&limit, LOG_BURST, LOG_L_WARN,
	            "slow hook module=%s hook=%s stack=%.*s line=%.*s ms=%llu", c->ctx->m->name,
	            c->hook, STR_FMT(c->ctx->stack), STR_FMT(c->ctx->line->name),
	            (unsigned long long)(took / NS_PER_MS));
}

__attribute__((always_inline)) static inline void end(const struct call *c)
{
	const uint64_t now = clock_mono();
	const uint64_t took = now - c->began;

	edge = together ? now : 0;
	hook_leave_crumb(c->before);
	if (c->ctx->seconds)
		stat_observe(c->ctx->seconds, took);
	if (__builtin_expect(took > HOOK_SLOW, 0))
		tell_slow(c, took);
}

static void *worker_of(const struct merlon_ctx *ctx, merlon_tx *tx)
{
	const struct merlon_worker *w = tx_base(tx)->worker;

	/* explain runs on the control thread, which has no worker's place */
	return w && w->index < WORKERS_MAX ? ctx->w[w->index] : NULL;
}

static __attribute__((noinline, cold)) int32_t wrong_answer(const struct merlon_ctx *ctx,
                                                            merlon_tx *tx, int32_t code)
{
	static _Thread_local struct log_limit limit;
	const char *why = "a code that its descriptor does not list";

	if (code < 1 || code > MERLON_CODE_MAX)
		why = "no code";
	else if (code == MERLON_TIMEOUT)
		why = "a code of the host's";
	else if (code == MERLON_REPLY && !tx_base(tx)->replied)
		why = "REPLY without a reply";
	log_limited(&limit, LOG_BURST, LOG_L_ERROR,
	            "wrong answer module=%s stack=%.*s line=%.*s answer=%d: %s", ctx->m->name,
	            STR_FMT(ctx->stack), STR_FMT(ctx->line->name), (int)code, why);
	return MERLON_ERROR;
}

int32_t hook_answer(struct merlon_ctx *ctx, merlon_tx *tx, int32_t code)
{
	const uint32_t may =
	    (ctx->m->codes | MERLON_BIT(MERLON_ERROR)) & ~MERLON_BIT(MERLON_TIMEOUT);
	bool right = (uint32_t)(code - 1) < MERLON_CODE_MAX && (may & MERLON_BIT(code)) &&
	             (code != MERLON_REPLY || tx_base(tx)->replied);

	return __builtin_expect(right, 1) ? code : wrong_answer(ctx, tx, code);
}

__attribute__((always_inline)) static inline void
begin_waiting(struct call *c, struct merlon_ctx *ctx, merlon_tx *tx, const char *hook)
{
	tx_base(tx)->replied = false;
	suspend_enter(tx, ctx, true);
	begin(c, ctx, tx, hook);
}

__attribute__((always_inline)) static inline int32_t end_waiting(const struct call *c, int32_t code)
{
	end(c);
	code = suspend_leave(c->tx, code);
	return code == MERLON_PENDING ? code : hook_answer(c->ctx, c->tx, code);
}

int32_t hook_check(struct merlon_ctx *ctx, merlon_tx *tx, uint32_t group)
{
	struct call c;

	if (!ctx->m->check)
		return MERLON_ERROR;
	begin_waiting(&c, ctx, tx, "check");
	return end_waiting(&c, ctx->m->check(ctx->inst, worker_of(ctx, tx), tx, group));
}

int32_t hook_head(struct merlon_ctx *ctx, merlon_tx *tx, int32_t dir)
{
	struct call c;

	if (!ctx->m->head)
		return MERLON_IGNORE;
	begin_waiting(&c, ctx, tx, "head");
	return end_waiting(&c, ctx->m->head(ctx->inst, worker_of(ctx, tx), tx, dir));
}

int32_t hook_body(struct merlon_ctx *ctx, merlon_tx *tx, int32_t dir, struct str chunk,
                  uint32_t flags)
{
	struct call c;

	if (!ctx->m->body)
		return MERLON_IGNORE;
	begin_waiting(&c, ctx, tx, "body");
	return end_waiting(
	    &c, ctx->m->body(ctx->inst, worker_of(ctx, tx), tx, dir, to_merlon(chunk), flags));
}

int32_t hook_audit_open(struct merlon_ctx *ctx, merlon_tx *tx)
{
	struct call c;

	if (!ctx->m->audit_open)
		return MERLON_IGNORE;
	begin_waiting(&c, ctx, tx, "audit_open");
	return end_waiting(&c, ctx->m->audit_open(ctx->inst, worker_of(ctx, tx), tx));
}

int32_t hook_audit_close(struct merlon_ctx *ctx, merlon_tx *tx)
{
	struct call c;

	if (!ctx->m->audit_close)
		return MERLON_IGNORE;
	begin_waiting(&c, ctx, tx, "audit_close");
	return end_waiting(&c, ctx->m->audit_close(ctx->inst, worker_of(ctx, tx), tx));
}

void hook_settle(struct merlon_ctx *ctx, merlon_tx *tx, const struct merlon_summary *s)
{
	struct call c;

	if (!ctx->m->settle)
		return;
	suspend_enter(tx, ctx, false);
	begin(&c, ctx, tx, "settle");
	ctx->m->settle(ctx->inst, worker_of(ctx, tx), tx, s);
	end(&c);
	/* OK stands for a hook that answers nothing */
	if (suspend_leave(tx, MERLON_OK) != MERLON_OK)
		log_msg(LOG_L_ERROR, "settle was left suspended module=%s", ctx->m->name);
}

/* The suspension has ended already, so the hook has nothing to suspend and needs no
 * suspend_enter(). */
void hook_cancel(struct merlon_ctx *ctx, merlon_tx *tx, uint64_t token, uint32_t reason)
{
	struct call c;

	if (!ctx->m->cancel)
		return;
	begin(&c, ctx, tx, "cancel");
	ctx->m->cancel(ctx->inst, worker_of(ctx, tx), tx, token, reason);
	end(&c);
}
