/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * upstream: the one request that leaves, and its body, until the response's head is there.
 */
#include "tx/step.h"

struct fault_words {
	unsigned status;
	const char *code;
	const char *message;
};
static const struct fault_words *fault_words(enum exchange_fault f)
{
	static const struct fault_words down = {503, "upstream_unavailable",
	                                        "no model server is available"};
	static const struct fault_words late = {504, "upstream_timeout",
	                                        "the model server did not answer in time"};
	static const struct fault_words bad = {502, "upstream_error",
	                                       "the model server's answer cannot be used"};
	static const struct fault_words unreached = {502, "upstream_error",
	                                             "the model server cannot be reached"};
	switch (f) {
	case EX_DOWN:
		return &down;
	case EX_TIMEOUT:
		return &late;
	case EX_CONNECT:
	case EX_RESOLVE:
	case EX_TLS:
		return &unreached;
	case EX_CLOSED:
	case EX_MALFORMED:
		break;
	}
	return &bad;
}

enum step_result upstream_refuse(merlon_tx *tx, unsigned status, const char *code,
                                 const char *message)
{
	if (!tx->end) {
		tx->end = MERLON_END_ERROR;
		tx->reason = str_of(exchange_strfault(tx->fault));
	}
	return tx_refuse(tx, status, code, message, MERLON_END_ERROR);
}

static enum step_result upstream_fault(merlon_tx *tx)
{
	const struct fault_words *w = fault_words(tx->fault);
	return upstream_refuse(tx, w->status, w->code, w->message);
}

static enum step_result upstream_begin(merlon_tx *tx)
{
	body_want(tx);
	tx->chunked_up =
	    tx->head.framing == HTTP_CHUNKED || (tx->up.n > 0 && tx->head.framing != HTTP_NO_BODY);
	struct slice head;
	int r = forward_head(tx, &head);
	if (r == FORWARD_E_IDENTITY)
		return tx_refuse(tx, 500, "internal_error",
		                 "the model server cannot be told who asks", MERLON_END_ERROR);
	if (r)
		return tx_refuse(tx, 431, "header_fields_too_large",
		                 "the forwarded head is too large", MERLON_END_ERROR);
	tx->upstream_entered = true;
	tx->upstream_began = loop_now(tx->w->base.loop);
	struct upstream *u = &tx->gw->upstreams[tx->upstream];
	tx->ex = exchange_start(u, &tx->arena, head, tx->head.method == HTTP_HEAD, &relay_ops, tx);
	if (tx->head.framing == HTTP_NO_BODY) {
		tx->body_sent = true;
		digest_end(tx, MERLON_REQUEST, true);
		exchange_send_end(tx->ex);
		exchange_flush(tx->ex);
	}
	return STEP_NEXT;
}

enum step_result upstream_pump(merlon_tx *tx)
{
	enum step_result r = STEP_NEXT;
	/* Sending makes room for more to be taken, as long as the upstream follows. */
	uint64_t before;
	do {
		before = tx->received;
		r = body_pull(tx);
		if (r == STEP_NEXT)
			r = body_forward(tx);
	} while (r == STEP_NEXT && tx->received > before && !tx->body_ended);
	return r;
}

enum step_result step_upstream(merlon_tx *tx)
{
	enum step_result r = STEP_NEXT;
	if (!tx->step_began) {
		tx->step_began = true;
		r = upstream_begin(tx);
	}
	if (r == STEP_NEXT && !tx->body_sent)
		r = upstream_pump(tx);
	if (r != STEP_NEXT)
		return r;
	if (tx->charged)
		body_charge(tx);
	if (tx->response_broken)
		return upstream_fault(tx);
	return tx->response_ready ? STEP_NEXT : STEP_WAIT;
}
