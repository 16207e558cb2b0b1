/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * response: the upstream's answer to the client, as it comes. The rest of the request's body goes
 * on meanwhile.
 */
#include "tx/step.h"

static enum step_result response_fault(merlon_tx *tx)
{
	bool late = tx->fault == EX_TIMEOUT;
	return upstream_refuse(tx, late ? 504 : 502, late ? "upstream_timeout" : "upstream_error",
	                       "the model server's answer broke off");
}

static enum step_result response_relay(merlon_tx *tx)
{
	enum step_result r = STEP_NEXT;
	/* What came before the break still goes out: the client of a stream has a use for it. */
	if (!tx->head_sent && !(tx->response_broken && tx->down.in.count == 0))
		r = relay_head(tx);
	if (r == STEP_NEXT && tx->head_sent)
		r = relay_body(tx);
	relay_pressure(tx);
	return r == STEP_WAIT && tx->response_broken ? STEP_NEXT : r;
}

enum step_result step_response(merlon_tx *tx)
{
	enum step_result r = STEP_NEXT;
	if (!tx->body_sent && tx->ex)
		r = upstream_pump(tx);
	if (r == STEP_NEXT && tx->charged)
		body_charge(tx);
	if (r == STEP_NEXT)
		r = response_relay(tx);
	if (r != STEP_NEXT)
		return r;
	if (tx->response_broken)
		return response_fault(tx);
	if (!tx->sent_all || stream_queued(tx->c->s) > 0)
		return STEP_WAIT;
	if (!tx->end)
		tx->end = MERLON_END_SUCCESS;
	return STEP_NEXT;
}
