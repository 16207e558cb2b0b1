/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Walking a group. run_apply() is the table of the state machine and nothing else; answered() adds
 * what an answer means for attributes, replies and the place; run_go() is the driver, and the only
 * one that calls modules.
 *
 * Denial is where every doubt ends: an answer that is no code is ERROR, an include without room is
 * ERROR, a REPLY after a failure leaves the failure standing.
 */
#include "stack/run.h"

static bool is_failure(int32_t code)
{
	return code == MERLON_UNAVAIL || code == MERLON_TIMEOUT || code == MERLON_ERROR;
}

static bool needs_grantor(enum conf_group g)
{
	return g == G_AUTH || g == G_AUTHZ;
}

static enum action action_of(const struct stack_line *l, int32_t code)
{
	return (enum action)l->action[code];
}

static void refuse(struct run_state *s, int32_t code)
{
	if (s->impression == NEG)
		return;
	s->impression = NEG;
	if (code == MERLON_OK || code == MERLON_IGNORE)
		code = MERLON_DENIED;
	s->code = (uint8_t)code;
}

static void grant(struct run_state *s, const struct stack_line *l)
{
	if (s->impression != UNDEF || (needs_grantor(l->group) && !l->grantor))
		return;
	s->impression = POS;
	s->code = MERLON_OK;
}

unsigned run_apply(struct run_state *s, const struct stack_line *l, int32_t code)
{
	unsigned next = l->index + 1;

	switch (action_of(l, code)) {
	case ACT_GOTO:
		next = l->target[code];
		__attribute__((fallthrough));
	case ACT_IGNORE:
		if (is_failure(code) && l->explicit_ignore)
			s->failed_open = true;
		return next;
	case ACT_OK:
		grant(s, l);
		return next;
	case ACT_DONE:
		grant(s, l);
		return s->impression == POS ? RUN_LAST : next;
	case ACT_BAD:
		refuse(s, code);
		return next;
	case ACT_DIE:
		break;
	}
	refuse(s, code);
	return RUN_LAST;
}

int32_t run_yield(const struct run_state *s, enum conf_group g)
{
	int32_t code = s->code;
	if (s->impression == UNDEF)
		code = needs_grantor(g) ? MERLON_NOCRED : MERLON_IGNORE;
	return code == MERLON_NOCRED && s->failed_open ? MERLON_UNAVAIL : code;
}

static const struct stack_line *current(const struct run *r, const struct run_frame *f)
{
	if (f->at >= f->g->n)
		return NULL;
	return &f->g->lines[r->reverse ? f->g->n - 1 - f->at : f->at];
}

static bool shadowed(const struct run_frame *f, const struct stack_line *l)
{
	return f->shadow || l->conf->shadow;
}

bool run_shadowed(const struct run *r, const struct stack_line *l)
{
	return shadowed(&r->f[r->depth], l);
}

enum right { MAY_NOT, MAY_FILL, MAY_ESTABLISH };

/* What an OK of this line, coming now, would be worth to the identity. */
static enum right identity_right(const struct run_frame *f, const struct stack_line *l)
{
	if (!f->may_identify || !l->grantor)
		return MAY_NOT;
	enum action ok = action_of(l, MERLON_OK);
	if (ok != ACT_OK && ok != ACT_DONE)
		return MAY_NOT;
	if (f->s.impression == UNDEF)
		return f->fill_only ? MAY_FILL : MAY_ESTABLISH;
	return f->s.impression == POS && l->conf->identity_add ? MAY_FILL : MAY_NOT;
}

static void line_begin(struct run *r, const struct run_frame *f, const struct stack_line *l)
{
	enum right right = identity_right(f, l);
	r->line_mark = attrs_mark(r->attrs);
	attrs_line_begin(r->attrs, l->ctx);
	r->attrs->id_write = right != MAY_NOT;
	r->attrs->id_fill = right == MAY_FILL;
}

static int32_t line_end(struct run *r, int32_t code)
{
	bool conflict = r->attrs->org_conflict;
	bool lost = r->attrs->id_lost;
	attrs_line_end(r->attrs);
	if (__builtin_expect(code == MERLON_OK, 1))
		return lost ? MERLON_ERROR : conflict ? MERLON_DENIED : MERLON_OK;
	return code > 0 && code <= MERLON_CODE_MAX ? code : MERLON_ERROR;
}

static void move_on(struct run *r, struct run_frame *f, const struct stack_line *l, int32_t code,
                    unsigned next)
{
	if (!r->reverse)
		f->at = next;
	else
		f->at = action_of(l, code) == ACT_DIE ? f->g->n : f->at + 1;
}

/* A line, or the include that `by` decided, has answered with a code. mark: attributes before it.
 * Inlined where a line has answered at once. */
__attribute__((always_inline)) static inline void decide(struct run *r, struct run_frame *f,
                                                         const struct stack_line *l, int32_t code,
                                                         unsigned mark, const struct stack_line *by)
{
	bool shadow = shadowed(f, l);
	bool reply = code == MERLON_REPLY;

	if (reply && r->group == G_AUDIT) /* there is nothing to answer: the record was not taken */
		code = MERLON_ERROR;
	if (attrs_mark(r->attrs) > mark) {
		if (code != MERLON_OK || l->conf->shadow)
			attrs_rollback(r->attrs, mark);
		else if (identity_right(f, l) == MAY_NOT)
			attrs_drop_identity(r->attrs, mark);
	}

	r->ops->decided(r->tx, l, r->group, code);

	uint8_t before = f->s.impression;
	unsigned next = run_apply(&f->s, l, code);
	bool moved = f->s.impression != before;
	if (moved)
		f->by = f->s.code == code ? by : l;
	if (shadow ? !l->include : reply && !(moved && f->s.code == MERLON_REPLY))
		r->ops->discard(r->tx, by);
	move_on(r, f, l, code, next);
}

static __attribute__((noinline)) void answered(struct run *r, const struct stack_line *l,
                                               int32_t code, unsigned mark,
                                               const struct stack_line *by)
{
	decide(r, &r->f[r->depth], l, code, mark, by);
}

static __attribute__((noinline)) void enter(struct run *r, const struct stack_line *l)
{
	struct run_frame *f = &r->f[r->depth];
	enum right right = identity_right(f, l);
	if (r->depth + 1 >= RUN_DEPTH) {
		answered(r, l, MERLON_ERROR, attrs_mark(r->attrs), l);
		return;
	}
	r->depth++;
	r->f[r->depth] = (struct run_frame){
	    .g = &l->include->group[r->group],
	    .may_identify = right != MAY_NOT,
	    .fill_only = right == MAY_FILL,
	    .shadow = f->shadow || l->conf->shadow,
	    .mark = attrs_mark(r->attrs),
	};
}

static __attribute__((noinline)) void leave(struct run *r)
{
	const struct run_frame *f = &r->f[r->depth];
	int32_t code = run_yield(&f->s, r->group);
	const struct stack_line *by = f->by;
	unsigned mark = f->mark;

	r->depth--;
	const struct stack_line *l = current(r, &r->f[r->depth]);
	answered(r, l, code, mark, by ? by : l);
}

/* Frames beyond the first are set when they are entered. */
void run_begin(struct run *r, const struct stack *s, enum conf_group g, const struct run_ops *ops,
               merlon_tx *tx, struct attrs *attrs)
{
	r->ops = ops;
	r->tx = tx;
	r->attrs = attrs;
	r->group = g;
	r->reverse = false;
	r->depth = 0;
	r->line_mark = 0;
	r->f[0] = (struct run_frame){
	    .g = &s->group[g],
	    .may_identify = g == G_AUTH,
	    .mark = attrs_mark(attrs),
	};
}

enum run_status run_go(struct run *r)
{
	for (;;) {
		struct run_frame *f = &r->f[r->depth];
		const struct stack_line *l = current(r, f);
		if (!l && r->depth == 0)
			return RUN_END;
		if (!l) {
			leave(r);
		} else if (l->include) {
			enter(r, l);
		} else {
			line_begin(r, f, l);
			int32_t code = r->ops->call(r->tx, l, r->group);
			if (code == MERLON_PENDING)
				return RUN_WAIT;
			decide(r, f, l, line_end(r, code), r->line_mark, l);
		}
	}
}

enum run_status run_resume(struct run *r, int32_t code)
{
	const struct stack_line *l = current(r, &r->f[r->depth]);
	answered(r, l, line_end(r, code), r->line_mark, l);
	return run_go(r);
}

static unsigned status_of(enum conf_group g, int32_t code, const struct stack_line *by)
{
	if (g == G_AUDIT)
		return 503;
	switch (code) {
	case MERLON_NOCRED:
		return g == G_AUTH ? 401 : 403;
	case MERLON_BADCRED:
	case MERLON_EXPIRED:
		if (g == G_AUTH && by && by->ctx && by->ctx->status_on_bad_credential)
			return (unsigned)by->ctx->status_on_bad_credential;
		return g == G_AUTH ? 401 : 403;
	case MERLON_DENIED:
		return 403;
	case MERLON_LIMITED:
		return 429;
	case MERLON_UNAVAIL:
	case MERLON_TIMEOUT:
		return 503;
	case MERLON_REPLY:
		return 0;
	default:
		return 500;
	}
}

bool run_passed(const struct run *r)
{
	const struct run_frame *f = &r->f[0];
	int32_t code = run_yield(&f->s, r->group);

	/* UNDEF passes where nobody has to grant; so does a group that says it has no lines */
	return code == MERLON_OK || code == MERLON_IGNORE || f->g->none;
}

struct verdict run_verdict(const struct run *r)
{
	const struct run_frame *f = &r->f[0];

	if (run_passed(r))
		return (struct verdict){.pass = true, .code = MERLON_OK, .by = f->by};
	int32_t code = run_yield(&f->s, r->group);
	return (struct verdict){
	    .code = code,
	    .status = status_of(r->group, code, f->by),
	    .by = f->by,
	};
}
