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

static unsigned status_of(int32_t code)
{
	switch (code) {
	case MERLON_UNAVAIL:
	case MERLON_TIMEOUT:
		return 503;
	case MERLON_ERROR:
		return 500;
	case MERLON_LIMITED:
		return 429;
	default:
		return 403;
	}
}

/* A body has many chunks and the record room for few decisions: the same one twice says nothing
 * new. */
static void filter_note(merlon_tx *tx, const struct stack_line *l, int32_t code)
{
	for (unsigned i = tx->ndecisions; i-- > 0;)
		if (tx->decisions[i].line == l && tx->decisions[i].code == code)
			return;
	group_decided(tx, l, G_FILTER, code);
}

static void edit_drop(struct body_path *p)
{
	slice_unref(p->edit);
	p->edit = (struct slice){0};
	p->edit_op = -1;
}

static struct slice joined(struct block_pool *pool, struct slice a, struct slice b)
{
	struct block *k = block_new(pool, a.n + b.n);
	if (a.n)
		memcpy(k->data, a.p, a.n);
	memcpy(k->data + a.n, b.p, b.n);
	k->used = (uint32_t)(a.n + b.n);
	return (struct slice){k, k->data, k->used};
}

static void edit_apply(merlon_tx *tx, struct body_path *p)
{
	struct slice chunk = p->chunk;
	if (p->edit_op < 0)
		return;
	if (p->edit_op == MERLON_EDIT_APPEND && p->edit.n == 0)
		return;
	p->chunk = (struct slice){NULL, "", 0};
	if (p->edit_op == MERLON_EDIT_APPEND) {
		p->chunk = joined(&tx->w->blocks, chunk, p->edit);
	} else if (p->edit_op == MERLON_EDIT_REPLACE && p->edit.n) {
		p->chunk = p->edit;
		p->edit = (struct slice){0};
	}
	slice_unref(chunk);
}

static enum step_result filter_refuse(merlon_tx *tx, const struct stack_line *l, int32_t code)
{
	const struct verdict v = {
	    .code = code,
	    .status = code == MERLON_REPLY ? 0 : status_of(code),
	    .by = l,
	};
	enum step_result r = group_refuse(tx, G_FILTER, v);
	return tx->head_sent ? STEP_ABORT : r;
}

/* The filter at p->at has answered for p->chunk: apply its edit and hand the chunk on. */
static enum step_result filter_answered(merlon_tx *tx, struct body_path *p, int32_t code)
{
	const struct body_filter *f = &p->f[p->at];
	bool pass = code == MERLON_OK || code == MERLON_IGNORE;
	if (code < 1 || code > MERLON_CODE_MAX)
		code = MERLON_ERROR;
	if (code != MERLON_OK || f->shadow)
		attrs_rollback(&tx->base.attrs, p->mark);
	if (!pass) {
		filter_note(tx, f->line, code);
		if (!f->shadow && f->line->action[code] != ACT_IGNORE)
			return filter_refuse(tx, f->line, code);
	}
	/* A reply without REPLY, or one that is ignored. */
	if (tx->refusal.own)
		group_discard(tx, f->line);
	if (pass && !f->shadow)
		edit_apply(tx, p);
	edit_drop(p);
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
			return dir == MERLON_REQUEST
			           ? tx_refuse(tx, 413, "request_too_large",
			                       "the request's body is too large for a filter",
			                       MERLON_END_ERROR)
			           : tx_refuse(
					 tx, 502, "upstream_error",
					 "the model server's answer is too large for a filter",
					 MERLON_END_ERROR);
		if (f->mode == MERLON_BODY_NONE) {
			p->at++;
			continue;
		}
		hook_begin(tx, f->line, f->shadow);
		edit_drop(p);
		p->mark = attrs_mark(&tx->base.attrs);
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

static enum step_result filter_on(merlon_tx *tx, struct body_path *p, int dir)
{
	enum step_result r = filter_chunk(tx, p, dir);
	if (r == STEP_NEXT && p->chunk_end)
		p->done = true;
	return r;
}

/* The suspended filter has answered. */
static enum step_result filter_resumed(merlon_tx *tx, struct body_path *p, int dir)
{
	tx->resumed_set = false;
	p->waiting = false;
	enum step_result r = filter_answered(tx, p, tx->resumed);
	return r == STEP_NEXT ? filter_on(tx, p, dir) : r;
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
	if (p->waiting && !tx->resumed_set)
		return STEP_WAIT;
	if (p->waiting)
		r = filter_resumed(tx, p, dir);
	/* One suspension a tx: while another hook waits, this direction rests. */
	while (r == STEP_NEXT && !p->done && !tx_suspended(tx) && (p->in.count > 0 || p->ended)) {
		p->chunk = p->in.count > 0 ? chain_shift(&p->in) : (struct slice){NULL, "", 0};
		p->chunk_end = p->ended && p->in.count == 0;
		p->at = 0;
		r = filter_on(tx, p, dir);
	}
	return r;
}
