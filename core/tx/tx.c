/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The driver. A request's way is the table below, from top to bottom; a refusal jumps to "reply", a
 * client that has gone to "settle". Events (bytes, timers, answers of modules and of the upstream)
 * note what happened and call tx_go(), which calls the step under way again.
 */
#include "tx/tx.h"

#include "base/log.h"
#include "tx/record.h"
#include "tx/step.h"

static const struct step {
	const char *name;
	step_fn *fn;
	bool walks; /* between its hooks and those of the step before nothing happens that takes
	               time */
} path[S_COUNT] = {
    [S_ACCEPT] = {"accept", step_accept},
    [S_PARSE] = {"parse", step_parse},
    [S_RESOLVE] = {"resolve", step_resolve},
    [S_AUTH] = {"auth", step_auth},
    [S_BODY] = {"body", step_body},
    [S_AUTHZ] = {"authz", step_authz, true},
    [S_RATELIMIT] = {"ratelimit", step_ratelimit, true},
    [S_FILTER] = {"filter", step_filter, true},
    [S_OPEN] = {"audit open", step_open, true},
    [S_UPSTREAM] = {"upstream", step_upstream},
    [S_RESPONSE] = {"response", step_response},
    [S_REPLY] = {"reply", step_reply},
    [S_SETTLE] = {"settle", step_settle},
    [S_AUDIT] = {"audit close", step_audit, true},
};

static void tx_resumed(merlon_tx *tx, int32_t code)
{
	tx->resumed = code;
	tx->resumed_set = true;
	tx_go(tx);
}

/* All but its base and its run, which begin by themselves. */
static void tx_clear(merlon_tx *tx)
{
	char *from = (char *)tx + sizeof(tx->base);
	/* With a size that it knows the compiler writes word by word where the library has wider
	 * stores. */
	volatile size_t n = offsetof(merlon_tx, run) - sizeof(tx->base);
	memset(from, 0, n);
}

merlon_tx *tx_new(struct worker *w, struct conn *c)
{
	struct arena a;
	arena_init(&a, &w->pages);
	merlon_tx *tx = arena_alloc(&a, sizeof(*tx));
	tx_clear(tx);
	tx->arena = a;
	tx_base_init(&tx->base, &w->base, &tx->arena, tx_resumed);
	tx->w = w;
	tx->c = c;
	tx->base.dry = c && c->explained;
	tx->gw = gen_ref(w->current);
	tx->began = loop_now(w->base.loop);
	tx->began_wall = loop_wall_us(w->base.loop);
	tx->stack = tx->gw->gen->fallback;
	tx->route = &tx->gw->gen->nowhere;
	tx->call.tokens_in = tx->call.tokens_out = -1;
	return tx;
}

bool tx_in(const merlon_tx *tx, enum step_id s)
{
	return tx->step == s;
}

/* Ends what is under way for the request, whoever does it. */
static void tx_stop_work(merlon_tx *tx, uint32_t reason)
{
	ledger_tx_cancel(tx, reason);
	tx->resumed_set = false;
	exchange_abort(tx->ex);
	tx->ex = NULL;
}

static void tx_enter(merlon_tx *tx, enum step_id s)
{
	tx->step = s;
	tx->step_began = false;
}

static void tx_free(merlon_tx *tx)
{
	struct worker *w = tx->w;
	tx_stop_work(tx, MERLON_CANCEL_SHUTDOWN);
	for (int dir = 0; dir < 2; dir++)
		digest_end(tx, dir, false);
	chain_deinit(&tx->parked);
	body_path_deinit(&tx->up);
	body_path_deinit(&tx->down);
	if (tx->charged)
		worker_mem_give(w, tx->charged);
	api_call_deinit(&tx->call);
	slice_unref(tx->head_bytes);
	http_parser_give(&w->pools.parsers, tx->parser);
	gen_unref(tx->gw);
	/* The tx lives in its own arena. */
	struct arena a = tx->arena;
	arena_deinit(&a);
}

/* Bytes of the request's body that are still to come; false: that cannot be told. */
static bool tx_rest(const merlon_tx *tx, uint64_t *rest)
{
	*rest = 0;
	if (tx->body_ended || tx->head.framing == HTTP_NO_BODY)
		return true;
	if (tx->head.framing != HTTP_LENGTH || tx->body_bad)
		return false;
	*rest = tx->body.left;
	return *rest <= DRAIN_REST &&
	       !(tx->head.expect_continue && !tx->continued && tx->received == 0);
}

static void tx_done(merlon_tx *tx)
{
	struct conn *c = tx->c;
	bool sent = tx->head_sent && tx->sent_all && !tx->close_refused;
	uint64_t rest = 0;
	bool keep = sent && tx->keep && tx_rest(tx, &rest);
	if (c && c->explained)
		c->explained(tx, c->explained_arg);
	tx_free(tx);
	if (!c)
		return;
	c->tx = NULL;
	if (sent)
		conn_next(c, keep, rest);
	else
		conn_close(c); /* a broken answer must not look whole */
}

static void tx_steps(merlon_tx *tx)
{
	/* Explain ends where the request would begin to have effects. */
	const enum step_id end = tx->base.dry ? S_OPEN : S_COUNT;
	bool walks = false;

	while (tx->step < end) {
		const struct step *s = &path[tx->step];
		if (s->walks != walks) {
			walks = s->walks;
			hooks_together(walks);
		}
		enum step_result r = s->fn(tx);
		if (r == STEP_WAIT)
			return;
		if (__builtin_expect(r == STEP_NEXT, 1)) {
			tx_enter(tx, (enum step_id)(tx->step + 1));
			continue;
		}
		tx_stop_work(tx, MERLON_CANCEL_CLIENT);
		tx_enter(tx, r == STEP_REFUSE ? S_REPLY : S_SETTLE);
	}
	if (tx->step < S_COUNT)
		tx_enter(tx, S_COUNT);
}

static void tx_walk(merlon_tx *tx)
{
	hooks_together(false);
	tx_steps(tx);
	hooks_together(false);
}

void tx_go(merlon_tx *tx)
{
	if (tx->running) {
		tx->again = true;
		return;
	}
	tx->running = true;
	do {
		tx->again = false;
		tx_walk(tx);
	} while (tx->again && tx->step < S_COUNT);
	tx->running = false;
	if (tx->step == S_COUNT)
		tx_done(tx);
}

/* Before its head is whole a request has no more than an address; the record wants a name for it,
 * and so does the answer. */
static void tx_identify(merlon_tx *tx)
{
	if (tx->request_id.p)
		return;
	forward_source(tx);
	forward_request_id(tx);
}

void tx_client_gone(merlon_tx *tx)
{
	tx_identify(tx);
	tx->c = NULL;
	if (tx->step < S_SETTLE) {
		tx_stop_work(tx, MERLON_CANCEL_CLIENT);
		if (!tx->end) {
			tx->end = MERLON_END_ABORTED;
			tx->reason = STR("client closed the connection");
		}
		tx_enter(tx, S_SETTLE);
		tx_go(tx);
	}
}

enum step_result tx_refuse(merlon_tx *tx, unsigned status, const char *code, const char *message,
                           uint32_t end)
{
	if (!tx->end) {
		tx->end = end;
		tx->reason = str_of(message);
	}
	if (tx->head_sent)
		return STEP_ABORT;
	if (!tx->refusal.status) {
		tx->refusal.status = status;
		tx->refusal.code = str_of(code);
		tx->refusal.message = str_of(message);
	}
	return STEP_REFUSE;
}

/* A refusal that an event brings, not a step. */
static void tx_refuse_now(merlon_tx *tx, unsigned status, const char *code, const char *message)
{
	tx_identify(tx);
	tx->refusal.close = true;
	bool answer = tx_refuse(tx, status, code, message, MERLON_END_ERROR) == STEP_REFUSE;
	tx_stop_work(tx, MERLON_CANCEL_CLIENT);
	tx_enter(tx, answer ? S_REPLY : S_SETTLE);
	tx_go(tx);
}

void tx_head_timeout(merlon_tx *tx)
{
	tx_refuse_now(tx, 408, "request_timeout", "the request's head took too long");
}

bool tx_waits_for_client(const merlon_tx *tx)
{
	if (tx->c && stream_queued(tx->c->s) > 0)
		return true;
	bool full =
	    tx->ex && exchange_queued(tx->ex) + tx->parked.bytes + tx->up.in.bytes > STREAM_HIGH;
	return tx->body_wanted && !tx->body_ended && !full && !tx->up.waiting && tx->step < S_REPLY;
}

void tx_client_stalled(merlon_tx *tx)
{
	if (tx->step < S_REPLY && !tx->head_sent) {
		tx_refuse_now(tx, 408, "request_timeout", "the request's body took too long");
		return;
	}
	if (!tx->end) {
		tx->end = MERLON_END_ABORTED;
		tx->reason = STR("client stopped reading");
	}
	conn_close(tx->c);
}
