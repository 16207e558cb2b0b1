/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Bodies through the filters: chunk by chunk, or whole where a filter asked for that; requests in
 * the order of the lines, responses in the reverse. One filter may wait at a time; what follows
 * waits behind it.
 */
#include "tx/step.h"

static struct body_path *path_of(merlon_tx *tx, int dir)
{
	return dir == MERLON_REQUEST ? &tx->up : &tx->down;
}

void body_path_deinit(struct body_path *p)
{
	chain_deinit(&p->in);
	chain_deinit(&p->out);
	slice_unref(p->chunk);
	slice_unref(p->edit);
	p->chunk = p->edit = (struct slice){0};
	for (unsigned i = 0; i < p->n; i++)
		chain_deinit(&p->f[i].held);
	p->n = 0;
}

static enum step_result filter_refuse(merlon_tx *tx, const struct stack_line *l, int32_t code)
{
	if (code == MERLON_REPLY && !tx->head_sent)
		return STEP_REFUSE;
	struct str why =
	    arena_printf(&tx->arena, "filter: %.*s: %s", STR_FMT(l->conf->name), code_name(code));
	bool fault = code == MERLON_ERROR || code == MERLON_UNAVAIL || code == MERLON_TIMEOUT;
	unsigned status = code == MERLON_ERROR     ? 500
	                  : fault                  ? 503
	                  : code == MERLON_LIMITED ? 429
	                                           : 403;
	if (!tx->end) {
		tx->end = fault ? MERLON_END_ERROR : MERLON_END_DENIED;
		tx->reason = why;
	}
	return tx_refuse(tx, status, fault ? "internal_error" : "permission_denied",
	                 fault ? "a filter failed" : "the content is not allowed", tx->end);
}

/* The filter at p->at has answered for p->chunk: apply its edit and hand the chunk on. */
static enum step_result filter_answered(merlon_tx *tx, struct body_path *p, int32_t code)
{
	struct body_filter *f = &p->f[p->at];
	if (f->line->conf->shadow || f->line->optional) {
		group_decided(tx, f->line, G_FILTER, code);
		slice_unref(p->edit);
		p->edit_op = -1;
	} else if (code != MERLON_OK && code != MERLON_IGNORE) {
		group_decided(tx, f->line, G_FILTER, code);
		uint8_t act =
		    code >= 1 && code <= MERLON_CODE_MAX ? f->line->action[code] : ACT_DIE;
		if (act != ACT_IGNORE)
			return filter_refuse(tx, f->line, code);
		slice_unref(p->edit);
		p->edit_op = -1;
	}
	if (p->edit_op >= 0)
		p->edited = true;
	struct slice extra = {0};
	if (p->edit_op == MERLON_EDIT_REPLACE || p->edit_op == MERLON_EDIT_DROP) {
		slice_unref(p->chunk);
		p->chunk = p->edit_op == MERLON_EDIT_REPLACE ? p->edit : (struct slice){0};
	} else if (p->edit_op == MERLON_EDIT_APPEND) {
		extra = p->edit;
	}
	p->edit = (struct slice){0};
	p->edit_op = -1;
	if (extra.n > 0) {
		struct block *b = block_new(&tx->w->blocks, p->chunk.n + extra.n);
		memcpy(b->data, p->chunk.p, p->chunk.n);
		memcpy(b->data + p->chunk.n, extra.p, extra.n);
		b->used = (uint32_t)(p->chunk.n + extra.n);
		slice_unref(p->chunk);
		p->chunk = (struct slice){b, b->data, b->used};
	}
	slice_unref(extra);
	p->at++;
	return STEP_NEXT;
}

/* FULL: the chunk joins what is held. True: the filter is not to be called yet. */
static bool filter_hold(merlon_tx *tx, struct body_path *p, struct body_filter *f, bool *over)
{
	*over = f->held.bytes + p->chunk.n > f->max;
	if (*over)
		return false;
	chain_push(&f->held, p->chunk);
	p->chunk = (struct slice){0};
	if (!p->chunk_end)
		return true;
	struct block *b = block_new(&tx->w->blocks, f->held.bytes + 1);
	while (f->held.count > 0) {
		struct slice s = chain_shift(&f->held);
		memcpy(b->data + b->used, s.p, s.n);
		b->used += (uint32_t)s.n;
		slice_unref(s);
	}
	p->chunk = (struct slice){b, b->data, b->used};
	return false;
}

/* The chunk through the filters from p->at on. */
static enum step_result filter_chunk(merlon_tx *tx, struct body_path *p, int dir)
{
	while (p->at < p->n) {
		struct body_filter *f = &p->f[p->at];
		bool over = false;
		if (f->mode == MERLON_BODY_FULL && filter_hold(tx, p, f, &over))
			return STEP_NEXT;
		if (over)
			return tx_refuse(tx, dir == MERLON_REQUEST ? 413 : 502, "request_too_large",
			                 "the body is too large for a filter", MERLON_END_ERROR);
		if (f->mode == MERLON_BODY_NONE) {
			p->at++;
			continue;
		}
		hook_begin(tx, f->line);
		p->edit_op = -1;
		int32_t code =
		    hook_body(f->line->ctx, tx, dir, (struct str){p->chunk.p, p->chunk.n},
		              p->chunk_end ? MERLON_BODY_END : 0);
		if (code == MERLON_PENDING) {
			p->waiting = true;
			return STEP_WAIT;
		}
		enum step_result r = filter_answered(tx, p, code);
		if (r != STEP_NEXT)
			return r;
	}
	chain_push(&p->out, p->chunk);
	p->chunk = (struct slice){0};
	return STEP_NEXT;
}

enum step_result filter_pump(merlon_tx *tx, int dir)
{
	struct body_path *p = path_of(tx, dir);
	enum step_result r = STEP_NEXT;
	if (p->n == 0) {
		chain_move(&p->out, &p->in, p->in.bytes);
		p->done = p->ended;
		return STEP_NEXT;
	}
	if (p->waiting) {
		if (!tx->resumed_set)
			return STEP_WAIT;
		tx->resumed_set = false;
		p->waiting = false;
		r = filter_answered(tx, p, tx->resumed);
		if (r == STEP_NEXT)
			r = filter_chunk(tx, p, dir);
		if (r == STEP_NEXT && p->chunk_end)
			p->done = true;
	}
	/* One suspension a tx: while the other direction's filter waits, this direction rests. */
	while (r == STEP_NEXT && !p->done && !tx->up.waiting && !tx->down.waiting &&
	       (p->in.count > 0 || p->ended)) {
		p->chunk = p->in.count > 0 ? chain_shift(&p->in) : (struct slice){NULL, "", 0};
		p->chunk_end = p->ended && p->in.count == 0;
		p->at = 0;
		r = filter_chunk(tx, p, dir);
		if (r == STEP_NEXT && p->chunk_end)
			p->done = true;
	}
	return r;
}
