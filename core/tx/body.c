/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The request's body on its way: taken off the connection, scanned by the api, parked until the
 * groups have decided, then released to the filters and the upstream. The bytes are never copied;
 * what is held is references to the blocks they were read into.
 */
#include "tx/reply.h"
#include "tx/step.h"

void body_want(merlon_tx *tx)
{
	if (tx->body_wanted)
		return;
	tx->body_wanted = true;
	digest_begin(tx, MERLON_REQUEST);
	if (tx->head.expect_continue && !tx->body_ended && tx->c && stream_in(tx->c->s).n == 0)
		reply_continue(tx);
}

static enum step_result body_refuse(merlon_tx *tx, unsigned status, const char *code,
                                    const char *why)
{
	tx->body_bad = true;
	tx->refusal.close = true;
	return tx_refuse(tx, status, code, why, MERLON_END_ERROR);
}

static enum step_result body_invalid(merlon_tx *tx, const char *why)
{
	struct str text = arena_printf(&tx->arena, "invalid request body: %s", why);
	return body_refuse(tx, 400, api_body_code(&tx->call), text.p);
}

static size_t body_held(const merlon_tx *tx)
{
	return tx->parked.bytes + tx->up.in.bytes + tx->up.out.bytes +
	       (tx->ex ? exchange_queued(tx->ex) : 0);
}

/* What filters hold that want the body whole: it does not wait for the upstream, so it does not
 * stop the reading. */
static size_t body_whole(const merlon_tx *tx)
{
	size_t n = 0;
	for (unsigned i = 0; i < tx->up.n; i++)
		n += tx->up.f[i].held.bytes;
	return n;
}

/* What is held counts against limits.memory. Once the upstream is there no more than STREAM_HIGH is
 * taken in, so from then on the charge only falls, unless a filter wants the body whole. */
bool body_charge(merlon_tx *tx)
{
	size_t whole = body_whole(tx);
	size_t now = body_held(tx) + whole;
	if (now > tx->charged) {
		if ((tx->ex || tx->body_sent) && whole == 0)
			return true;
		if (!worker_mem_take(tx->w, now - tx->charged))
			return false;
	} else if (now < tx->charged) {
		worker_mem_give(tx->w, tx->charged - now);
	}
	tx->charged = now;
	return true;
}

static enum step_result body_data(merlon_tx *tx, struct slice data)
{
	tx->received += data.n;
	enum step_result r = STEP_NEXT;
	const char *why = NULL;
	if (tx->received > tx->gw->gen->conf->limits.body)
		r = body_refuse(tx, 413, "request_too_large", "the request's body is too large");
	else if (tx->call.reads_body)
		why = api_body_feed(&tx->call, (struct str){data.p, data.n});
	chain_pack(&tx->parked, &tx->w->blocks, data);
	if (why)
		r = body_invalid(tx, why);
	return r;
}

static enum step_result body_end(merlon_tx *tx)
{
	tx->body_ended = true;
	if (!tx->call.reads_body)
		return STEP_NEXT;
	const char *why = api_body_end(&tx->call);
	if (why)
		return body_invalid(tx, why);
	tx->scan_ended = true;
	return STEP_NEXT;
}

static enum step_result body_charged(merlon_tx *tx)
{
	if (body_charge(tx))
		return STEP_NEXT;
	return body_refuse(tx, 503, "overloaded", "too many requests are waiting");
}

/* Reading stops while much is on its way to a slower upstream. */
static bool body_room(const merlon_tx *tx)
{
	return !tx->ex || body_held(tx) < STREAM_HIGH;
}

/* Takes one piece. STEP_NEXT and *more: look again. */
static enum step_result body_piece(merlon_tx *tx, bool *more)
{
	struct stream *s = tx->c->s;
	struct str in = stream_in(s);
	size_t used = 0;
	struct str data = STR_NONE;
	enum http_body_result br = http_body_next(&tx->body, in.p, in.n, &used, &data);
	*more = br == HTTP_BODY_DATA;
	if (br == HTTP_BODY_BAD)
		return body_refuse(tx, 400, "malformed_request", tx->body.reason);
	if (br != HTTP_BODY_DATA) {
		stream_skip(s, used);
		if (br == HTTP_BODY_DONE)
			return body_end(tx);
		/* Without half_close this client has gone, and conn.c says so. */
		if (tx->c->eof && tx->c->half_close)
			return body_refuse(tx, 400, "malformed_request",
			                   "the request's body is not whole");
		return STEP_NEXT;
	}
	size_t before = (size_t)(data.p - in.p);
	stream_skip(s, before);
	struct slice taken = stream_take(s, data.n);
	stream_skip(s, used - before - data.n);
	return body_data(tx, taken);
}

enum step_result body_pull(merlon_tx *tx)
{
	if (!tx->c || !tx->body_wanted)
		return STEP_NEXT;
	/* No body, or one of length 0: there is no byte that would tell of its end. */
	if (tx->body_ended && tx->call.reads_body && !tx->scan_ended)
		return body_end(tx);
	bool more = !tx->body_ended;
	while (more && body_room(tx)) {
		enum step_result r = body_piece(tx, &more);
		if (r != STEP_NEXT)
			return r;
		if (tx->body_ended)
			break;
	}
	return body_charged(tx);
}

static void body_send(merlon_tx *tx, struct slice data)
{
	digest_feed(tx, MERLON_REQUEST, (struct str){data.p, data.n});
	if (tx->chunked_up) {
		char head[HTTP_CHUNK_HEAD_MAX];
		exchange_send_copy(tx->ex, head, http_chunk_head(data.n, head));
	}
	exchange_send(tx->ex, data);
	if (tx->chunked_up)
		exchange_send(tx->ex, (struct slice){NULL, HTTP_CHUNK_TAIL.p, HTTP_CHUNK_TAIL.n});
}

enum step_result body_forward(merlon_tx *tx)
{
	if (tx->body_sent || !tx->ex)
		return STEP_NEXT;
	uint64_t may = tx->received;
	if (tx->call.reads_body && !tx->scan_ended)
		may = api_releasable(&tx->call, tx->received);
	if (may > tx->released) {
		chain_move(&tx->up.in, &tx->parked, (size_t)(may - tx->released));
		tx->released = may;
	}
	tx->up.ended = tx->body_ended && tx->released == tx->received &&
	               (tx->scan_ended || !tx->call.reads_body);
	enum step_result r = filter_pump(tx, MERLON_REQUEST);
	if (r == STEP_REFUSE || r == STEP_ABORT)
		return r;
	while (tx->up.out.count > 0)
		body_send(tx, chain_shift(&tx->up.out));
	if (tx->up.done) {
		tx->body_sent = true;
		if (tx->chunked_up)
			exchange_send(tx->ex,
			              (struct slice){NULL, HTTP_LAST_CHUNK.p, HTTP_LAST_CHUNK.n});
		digest_end(tx, MERLON_REQUEST, true);
		exchange_send_end(tx->ex);
	}
	exchange_flush(tx->ex);
	return body_charged(tx);
}
