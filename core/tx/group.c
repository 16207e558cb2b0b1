/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Walking one group of the tx's stack: what auth, authz, ratelimit, filter and audit have in
 * common. The run does the deciding; here its answers become refusals that clients and records
 * understand.
 */
#include "base/clock.h"
#include "tx/step.h"

#define GROUP_NS (5 * NS_PER_S) /* a group may take this long in all */

static uint64_t mark_of(const struct stack_line *l)
{
	return UINT64_C(1) << ((unsigned)l->group * 13 + l->index) % 64;
}

bool tx_has_entered(const merlon_tx *tx, const struct stack_line *l)
{
	if (!(tx->entered_marks & mark_of(l)))
		return false;
	for (unsigned i = 0; i < tx->nentered; i++)
		if (tx->entered[i]->ctx == l->ctx)
			return true;
	return false;
}

void tx_entered(merlon_tx *tx, const struct stack_line *l)
{
	if (tx_has_entered(tx, l))
		return;
	if (tx->nentered == tx->entered_cap) {
		unsigned cap = tx->entered_cap ? tx->entered_cap * 2 : 8;
		const struct stack_line **v = arena_alloc(&tx->arena, cap * sizeof(*v));
		if (tx->nentered)
			memcpy(v, tx->entered, tx->nentered * sizeof(*v));
		tx->entered = v;
		tx->entered_cap = cap;
	}
	tx->entered[tx->nentered++] = l;
	tx->entered_marks |= mark_of(l);
}

void hook_begin(merlon_tx *tx, const struct stack_line *l, bool shadow)
{
	tx->line = l;
	tx->line_policy = STR_NONE;
	tx->line_fail = NULL;
	tx->shadow_hook = shadow;
	tx_entered(tx, l);
}

static int32_t call_check(merlon_tx *tx, const struct stack_line *l, enum conf_group g)
{
	hook_begin(tx, l, run_shadowed(&tx->run, l));
	return hook_check(l->ctx, tx, UINT32_C(1) << g);
}

const struct run_ops check_ops = {call_check, group_decided, group_discard};

void group_counted(merlon_tx *tx, const struct stack_line *l, enum conf_group g, int32_t code)
{
	(void)tx;
	(void)g;
	if ((uint32_t)code <= MERLON_CODE_MAX && l->verdicts[code])
		stat_add(l->verdicts[code], 1);
}

void group_decided(merlon_tx *tx, const struct stack_line *l, enum conf_group g, int32_t code)
{
	if (tx->ndecisions == tx->decisions_cap) {
		unsigned cap = tx->decisions_cap ? tx->decisions_cap * 2 : 8;
		struct decision *v = arena_alloc(&tx->arena, cap * sizeof(*v));
		if (tx->ndecisions)
			memcpy(v, tx->decisions, tx->ndecisions * sizeof(*v));
		tx->decisions = v;
		tx->decisions_cap = cap;
	}
	bool mine = tx->line == l;
	tx->decisions[tx->ndecisions++] = (struct decision){
	    .line = l,
	    .code = code,
	    .shadow = mine ? tx->shadow_hook : run_shadowed(&tx->run, l),
	    .policy = mine ? tx->line_policy : STR_NONE,
	    .fail = mine ? tx->line_fail : NULL,
	};
	group_counted(tx, l, g, code);
	tx->shadow_hook = false;
}

void group_discard(merlon_tx *tx, const struct stack_line *l)
{
	(void)l;
	/* Edits of a shadow line were never taken (handle.c); what may be left is a reply. */
	tx->base.replied = false;
	tx->refusal = (struct refusal){0};
}

struct code_words {
	unsigned end;
	const char *code;
	const char *message;
};
static const struct code_words *code_words(int32_t code, enum conf_group g)
{
	static const struct code_words auth_none = {MERLON_END_DENIED, "missing_credentials",
	                                            "no credentials were given"};
	static const struct code_words words[MERLON_CODE_MAX + 1] = {
	    [MERLON_NOCRED] = {MERLON_END_DENIED, "permission_denied", "not allowed"},
	    [MERLON_BADCRED] = {MERLON_END_DENIED, "invalid_api_key",
	                        "the credentials are not valid"},
	    [MERLON_EXPIRED] = {MERLON_END_DENIED, "expired_credentials",
	                        "the credentials have expired"},
	    [MERLON_DENIED] = {MERLON_END_DENIED, "permission_denied", "not allowed"},
	    [MERLON_LIMITED] = {MERLON_END_LIMITED, "rate_limit_exceeded", "too many requests"},
	    [MERLON_UNAVAIL] = {MERLON_END_ERROR, "service_unavailable",
	                        "a policy service is not available"},
	    [MERLON_TIMEOUT] = {MERLON_END_ERROR, "service_unavailable",
	                        "a policy service is not available"},
	    [MERLON_ERROR] = {MERLON_END_ERROR, "internal_error", "a policy module failed"},
	};
	static const struct code_words content = {MERLON_END_DENIED, "permission_denied",
	                                          "the content is not allowed"};
	if (code == MERLON_NOCRED && g == G_AUTH)
		return &auth_none;
	if (code == MERLON_DENIED && g == G_FILTER)
		return &content;
	return &words[code >= 1 && code <= MERLON_CODE_MAX && words[code].code ? code
	                                                                       : MERLON_ERROR];
}

/* The decision that the refusal rests on: the deciding line's last one, else the last that was not
 * OK. */
static const struct decision *deciding(const merlon_tx *tx, enum conf_group g)
{
	const struct decision *other = NULL;
	for (unsigned i = tx->ndecisions; i-- > 0;) {
		const struct decision *d = &tx->decisions[i];
		if (d->line->group != g || d->shadow || d->code == MERLON_OK)
			continue;
		if (d->line == tx->verdict.by)
			return d;
		if (!other || (!other->fail && d->fail))
			other = d;
	}
	return tx->verdict.by ? NULL : other;
}

static struct str reason_text(merlon_tx *tx, enum conf_group g, const struct decision *d)
{
	const char *code = code_name(tx->verdict.code);
	if (!d)
		return arena_printf(&tx->arena, "%s: %s", conf_group_names[g], code);
	struct str detail = STR_NONE;
	if (d->fail)
		detail = from_merlon(d->fail->detail.len ? d->fail->detail : d->fail->text);
	return arena_printf(&tx->arena, "%s: %.*s: %s%s%.*s", conf_group_names[g],
	                    STR_FMT(d->line->conf->name), code, detail.n ? ": " : "", (int)detail.n,
	                    detail.n ? detail.p : "");
}

/* How a request has ended that a module answered itself. */
static uint32_t reply_end(unsigned status)
{
	if (status < 400)
		return MERLON_END_SUCCESS;
	if (status == 429)
		return MERLON_END_LIMITED;
	return status < 500 ? MERLON_END_DENIED : MERLON_END_ERROR;
}

enum step_result group_refuse(merlon_tx *tx, enum conf_group g, struct verdict verdict)
{
	tx->verdict = verdict;
	const struct verdict *v = &tx->verdict;
	const struct decision *d = deciding(tx, g);
	tx->reason = reason_text(tx, g, d);
	if (v->code == MERLON_REPLY) {
		tx->end = reply_end(tx->refusal.status);
		return STEP_REFUSE;
	}
	const struct code_words *w = code_words(v->code, g);
	tx->refusal = (struct refusal){
	    .status = v->status,
	    .code = str_of(w->code),
	    .message = str_of(w->message),
	};
	if (d && d->fail) {
		if (d->fail->text.len)
			tx->refusal.message = from_merlon(d->fail->text);
		tx->refusal.retry_after_s =
		    (uint32_t)(((uint64_t)d->fail->retry_after_ms + 999) / 1000);
	}
	if (v->status == 503 && tx->refusal.retry_after_s == 0)
		tx->refusal.retry_after_s = 1;
	tx->end = v->status == 503 ? MERLON_END_ERROR : w->end;
	return STEP_REFUSE;
}

static enum step_result group_ended(merlon_tx *tx, enum conf_group g, enum run_status rs)
{
	if (rs == RUN_WAIT)
		return STEP_WAIT;
	tx->base.group_deadline = 0;
	if (!run_passed(&tx->run))
		return group_refuse(tx, g, run_verdict(&tx->run));
	/* A reply that its module did not stand by with REPLY is none. */
	if (tx->refusal.own)
		tx->refusal = (struct refusal){0};
	return STEP_NEXT;
}

enum step_result group_walk(merlon_tx *tx, enum conf_group g, const struct run_ops *ops,
                            bool reverse)
{
	if (tx->step_began) {
		if (!tx->resumed_set)
			return STEP_WAIT;
		tx->resumed_set = false;
		return group_ended(tx, g, run_resume(&tx->run, tx->resumed));
	}
	tx->step_began = true;
	if (!tx->stack || tx->stack->group[g].none || tx->stack->group[g].n == 0)
		return STEP_NEXT;
	tx->base.group_deadline = loop_now(tx->w->base.loop) + GROUP_NS;
	run_begin(&tx->run, tx->stack, g, ops, tx, &tx->base.attrs);
	tx->run.reverse = reverse;
	return group_ended(tx, g, run_go(&tx->run));
}
