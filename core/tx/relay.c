/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The upstream's response on its way to the client: head once, then body pieces as they come,
 * through the filters, in framing of our own. What is queued to a slow client stops the reading of
 * the upstream.
 */
#include "http/headers.h"
#include "http/line.h"
#include "tx/reply.h"
#include "tx/step.h"

/* Usage is asked for by modules alone, in settle and for the record. */
static bool usage_wanted(const struct stack *s)
{
	for (unsigned g = 0; g < G_COUNT; g++)
		if (s->group[g].n > 0)
			return true;
	return false;
}

static void ex_head(void *owner, struct http_head *h)
{
	merlon_tx *tx = owner;
	const struct http_field *ct = http_first(h, HTTP_F_CONTENT_TYPE);
	struct str type = ct ? ct->value : STR_NONE;
	tx->rhead = h;
	tx->response_ready = true;
	tx->sse = str_ieq(http_media_type(type), STR("text/event-stream"));
	if (usage_wanted(tx->stack))
		api_response_begin(&tx->call, h->status, type,
		                   http_first(h, HTTP_F_CONTENT_ENCODING) != NULL);
}

static void ex_body(void *owner, struct slice data)
{
	merlon_tx *tx = owner;
	api_response_feed(&tx->call, (struct str){data.p, data.n});
	chain_pack(&tx->down.in, &tx->w->blocks, data);
}

static void ex_turn(void *owner)
{
	tx_go(owner);
}

/* What is left of the request's body goes nowhere any more, so nobody waits for its filter. */
static void relay_forget_body(merlon_tx *tx)
{
	if (!tx->up.waiting)
		return;
	suspend_cancel(tx, MERLON_CANCEL_CLIENT);
	tx->resumed_set = false;
	tx->up.waiting = false;
}

static void ex_end(void *owner)
{
	merlon_tx *tx = owner;
	tx->ex = NULL;
	relay_forget_body(tx);
	tx->response_ended = true;
	tx->upstream_ended = loop_now(tx->w->base.loop);
	tx_go(tx);
}

static void ex_fault(void *owner, enum exchange_fault f)
{
	merlon_tx *tx = owner;
	tx->ex = NULL;
	tx->fault = f;
	tx->response_broken = true;
	tx->upstream_ended = loop_now(tx->w->base.loop);
	tx_go(tx);
}

const struct exchange_ops relay_ops = {
    .head = ex_head,
    .body = ex_body,
    .turn = ex_turn,
    .end = ex_end,
    .fault = ex_fault,
    .writable = ex_turn,
};

static int32_t call_response_head(merlon_tx *tx, const struct stack_line *l, enum conf_group g)
{
	(void)g;
	if (!tx_has_entered(tx, l))
		return MERLON_IGNORE;
	hook_begin(tx, l, run_shadowed(&tx->run, l));
	return hook_head(l->ctx, tx, MERLON_RESPONSE);
}

static void no_decision(merlon_tx *tx, const struct stack_line *l, enum conf_group g, int32_t code)
{
	/* A response passes unremarked; what was refused is a decision. */
	if (code != MERLON_OK && code != MERLON_IGNORE)
		group_decided(tx, l, g, code);
}

/* How the answer is framed to this client. */
static void relay_framing(merlon_tx *tx)
{
	const struct http_head *h = tx->rhead;
	tx->no_body = h->framing == HTTP_NO_BODY || tx->head.method == HTTP_HEAD;
	bool length = h->framing == HTTP_LENGTH && tx->down.n == 0;
	tx->chunked_down = !tx->no_body && !length && tx->head.minor == 1;
	if (!tx->no_body && !length && tx->head.minor == 0)
		tx->keep = false;
	uint64_t rest = tx->head.framing == HTTP_LENGTH ? tx->body.left : UINT64_MAX;
	bool whole = tx->body_ended || tx->head.framing == HTTP_NO_BODY;
	if (tx->w->draining || conn_gone(tx->c) || (!whole && rest > DRAIN_REST))
		tx->keep = false;
}

/* HEAD and 304 keep the length that the upstream told, for what would have been the body. */
static void relay_out_framing(merlon_tx *tx, struct http_out *o)
{
	const struct http_head *h = tx->rhead;
	const struct http_field *cl = http_first(h, HTTP_F_CONTENT_LENGTH);
	if (tx->no_body) {
		if (cl && h->status != 204)
			line_add(o, STR("Content-Length: "), cl->value);
		return;
	}
	if (tx->chunked_down)
		http_out_framing(o, HTTP_CHUNKED, 0);
	else if (h->framing == HTTP_LENGTH && tx->down.n == 0)
		http_out_framing(o, HTTP_LENGTH, h->length);
}

static enum step_result relay_filter_head(merlon_tx *tx)
{
	static const struct run_ops ops = {call_response_head, no_decision, group_discard};
	if (tx->stack->group[G_FILTER].n == 0)
		return STEP_NEXT;
	if (!tx->step_began && tx_suspended(tx))
		return STEP_WAIT; /* for the filter of the request's body */
	enum step_result r = group_walk(tx, G_FILTER, &ops, true);
	if (r == STEP_REFUSE && tx->end == MERLON_END_SUCCESS)
		tx->end = MERLON_END_DENIED;
	return r;
}

/* The head waits for the first piece that has passed the filters, so that a filter which refuses
 * the body can still be answered for with a status. */
static enum step_result relay_hold(merlon_tx *tx)
{
	if (!tx->head_passed) {
		enum step_result r = relay_filter_head(tx);
		if (r != STEP_NEXT)
			return r;
		tx->head_passed = true;
	}
	if (tx->down.n == 0)
		return STEP_NEXT;
	tx->down.ended = tx->response_ended;
	enum step_result r = filter_pump(tx, MERLON_RESPONSE);
	if (r == STEP_REFUSE || r == STEP_ABORT)
		return r;
	return tx->down.out.count > 0 || tx->down.done ? STEP_NEXT : STEP_WAIT;
}

enum step_result relay_head(merlon_tx *tx)
{
	enum step_result r = relay_hold(tx);
	if (r != STEP_NEXT)
		return r;
	struct http_head *h = tx->rhead;
	relay_framing(tx);
	http_mark_dropped(h);
	for (unsigned i = 0; tx->edits[MERLON_RESPONSE] && i < h->nfields; i++)
		if (reply_overrides(tx, h->fields[i].id, h->fields[i].name))
			h->fields[i].flags |= HTTP_FIELD_DROP;
	struct buf *b = &tx->w->scratch;
	buf_reset(b);
	struct http_out o = {b, 0};
	http_out_status(&o, h->status);
	static const uint64_t skip =
	    HTTP_F_BIT(HTTP_F_CONTENT_LENGTH) | HTTP_F_BIT(HTTP_F_TRANSFER_ENCODING) |
	    HTTP_F_BIT(HTTP_F_X_RATELIMIT) | HTTP_F_BIT(HTTP_F_X_REQUEST_ID);
	http_out_fields(&o, h, skip);
	reply_common(tx, &o);
	relay_out_framing(tx, &o);
	reply_connection(tx, &o);
	if (http_out_end(&o))
		return tx_refuse(tx, 502, "upstream_error", "the model server's head is too large",
		                 MERLON_END_ERROR);
	stream_send_copy(tx->c->s, b->p, b->n);
	tx->status = h->status;
	tx->head_sent = true;
	digest_begin(tx, MERLON_RESPONSE);
	return STEP_NEXT;
}

static void relay_piece(merlon_tx *tx, struct slice data)
{
	struct stream *s = tx->c->s;
	digest_feed(tx, MERLON_RESPONSE, (struct str){data.p, data.n});
	tx->sent += data.n;
	if (tx->chunked_down) {
		char head[HTTP_CHUNK_HEAD_MAX];
		stream_send_copy(s, head, http_chunk_head(data.n, head));
	}
	stream_send(s, data);
	if (tx->chunked_down)
		stream_send_copy(s, HTTP_CHUNK_TAIL.p, HTTP_CHUNK_TAIL.n);
}

void relay_pressure(merlon_tx *tx)
{
	if (!tx->ex)
		return;
	size_t queued = stream_queued(tx->c->s) + tx->down.in.bytes;
	bool pause = tx->ex_paused ? queued >= STREAM_LOW : queued > STREAM_HIGH;
	if (pause != tx->ex_paused) {
		tx->ex_paused = pause;
		exchange_pause(tx->ex, pause);
	}
}

enum step_result relay_body(merlon_tx *tx)
{
	if (tx->sent_all)
		return STEP_NEXT;
	tx->down.ended = tx->response_ended;
	enum step_result r = filter_pump(tx, MERLON_RESPONSE);
	if (r == STEP_REFUSE || r == STEP_ABORT)
		return r;
	while (tx->down.out.count > 0) {
		struct slice data = chain_shift(&tx->down.out);
		if (tx->no_body)
			slice_unref(data);
		else
			relay_piece(tx, data);
	}
	if (tx->down.done) {
		if (tx->chunked_down)
			stream_send(tx->c->s,
			            (struct slice){NULL, HTTP_LAST_CHUNK.p, HTTP_LAST_CHUNK.n});
		tx->sent_all = true;
	}
	stream_flush(tx->c->s);
	return STEP_NEXT;
}
