/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * settle: every module that was entered learns how it ended, the last one first.
 */
#include "tx/step.h"

enum step_result step_settle(merlon_tx *tx)
{
	tx->ended = loop_now(tx->w->base.loop);
	if (tx->upstream_began && !tx->upstream_ended)
		tx->upstream_ended = tx->ended;
	digest_end(tx, MERLON_RESPONSE, tx->sent_all && tx->end != MERLON_END_ABORTED);
	digest_end(tx, MERLON_REQUEST, false);
	/* Of an answer that broke off as much as was seen counts. */
	api_response_end(&tx->call);
	if (!tx->end)
		tx->end = MERLON_END_ERROR;
	const struct merlon_summary s = {
	    .size = sizeof(s),
	    .end = tx->end,
	    .http_status = tx->status,
	    .entered = tx->upstream_entered,
	    .tokens_in = tx->call.tokens_in,
	    .tokens_out = tx->call.tokens_out,
	    .duration_ns = tx->ended - tx->began,
	};
	hooks_together(true);
	while (tx->settled < tx->nentered) {
		const struct stack_line *l = tx->entered[tx->nentered - 1 - tx->settled++];
		if (l->ctx && l->ctx->m->settle)
			hook_settle(l->ctx, tx, &s);
	}
	return STEP_NEXT;
}
