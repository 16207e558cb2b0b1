/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * audit close: the record, whatever has happened.
 */
#include "base/log.h"
#include "tx/record.h"
#include "tx/step.h"

#include <stdio.h>

static int32_t call_close(merlon_tx *tx, const struct stack_line *l, enum conf_group g)
{
	(void)g;
	tx->line = l;
	tx->line_fail = NULL;
	return hook_audit_close(l->ctx, tx);
}

static void audit_count(const merlon_tx *tx)
{
	const struct gen_route *r = tx->route;
	stat_observe(r->seconds, tx->ended - tx->began);
	if (tx->end == MERLON_END_SUCCESS && tx->status == 200) {
		stat_add(r->ok, 1);
		return;
	}
	char code[12];
	int n = snprintf(code, sizeof(code), "%u", tx->status);
	struct str values[] = {
	    r->conf ? r->conf->name : STR("-"), str_of(record_status(tx->end)), {code, (size_t)n}};
	stat_add(stats_get(r->requests, values), 1);
}

enum step_result step_audit(merlon_tx *tx)
{
	static const struct run_ops ops = {call_close, group_counted, group_discard};
	struct refusal sent = tx->refusal;
	struct str reason = tx->reason;
	uint32_t end = tx->end;
	enum step_result r = group_walk(tx, G_AUDIT, &ops, false);
	if (r == STEP_WAIT)
		return r;
	tx->refusal = sent;
	tx->reason = reason;
	tx->end = end;
	if (r == STEP_REFUSE) {
		static struct log_limit limit;
		log_limited(&limit, 1, LOG_L_ERROR,
		            "audit: a record could not be written request_id=%.*s",
		            STR_FMT(tx->request_id));
		tx->close_refused = true;
	}
	audit_count(tx);
	return STEP_NEXT;
}
