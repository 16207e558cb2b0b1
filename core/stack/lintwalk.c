/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Walks forward only: goto leads down, so that when a line is looked at, all states it can be
 * reached in are known. The state is what run_apply() works on, and run_apply() makes each step:
 * what is proved here is what runs.
 */
#include "stack/lintwalk.h"

#define NEG_FIRST 2 /* UNDEF, POS, then NEG by its code */
#define STATES ((NEG_FIRST + MERLON_CODE_MAX) * 4)

struct step {          /* how a state was first reached */
	uint32_t from; /* index of the line before */
	uint8_t state; /* the state before */
	uint8_t code;  /* its answer */
	uint8_t inner; /* an include's: the state in which its group ended */
	bool reached;
};
struct walk {
	const struct stack_group *g;
	const struct walk_book *book;
	struct step (
	    *at)[STATES]; /* by index of the line, then state; the last row: the group has ended */
};

struct point {
	struct run_state s;
	bool marked;
};

static unsigned pack(struct point p)
{
	unsigned v = p.s.impression == NEG ? NEG_FIRST + (unsigned)p.s.code - 1 : p.s.impression;
	return v * 4 + (p.s.failed_open ? 2 : 0) + (p.marked ? 1 : 0);
}

static struct point unpack(unsigned state)
{
	unsigned v = state / 4;
	struct point p = {.s = {.failed_open = state & 2}, .marked = state & 1};
	p.s.impression = (uint8_t)(v < NEG_FIRST ? v : NEG);
	p.s.code = (uint8_t)(v < NEG_FIRST ? MERLON_OK : v - NEG_FIRST + 1);
	return p;
}

void walk_open(struct walk_book *b, const struct stacks *s, enum conf_group g,
               const struct stack_line *line, int32_t code)
{
	*b = (struct walk_book){.s = s, .g = g, .line = line, .code = code};
	arena_init(&b->arena, NULL);
	b->of = arena_zalloc(&b->arena, (s->n + 1) * sizeof(struct walk *));
}

void walk_close(struct walk_book *b)
{
	arena_deinit(&b->arena);
}

uint32_t line_codes(const struct stack_line *l)
{
	uint32_t codes = l->ctx->m->codes | MERLON_BIT(MERLON_TIMEOUT) | MERLON_BIT(MERLON_ERROR);
	if (l->conf->identity_add) /* a differing id.org */
		codes |= MERLON_BIT(MERLON_DENIED);
	return codes & (MERLON_BIT(MERLON_CODE_MAX + 1) - 2);
}

static void answer(struct walk *w, unsigned index, unsigned state, int32_t code, unsigned inner,
                   bool marked)
{
	const struct stack_line *l = &w->g->lines[index];
	struct point p = unpack(state);
	unsigned next = run_apply(&p.s, l, code);

	p.marked |= marked || (l == w->book->line && code == w->book->code);
	if (next > w->g->n)
		next = w->g->n;
	struct step *to = &w->at[next][pack(p)];
	if (!to->reached)
		*to = (struct step){index, (uint8_t)state, (uint8_t)code, (uint8_t)inner, true};
}

static void answer_include(struct walk *w, unsigned index, unsigned state, const struct walk *in)
{
	const struct stack_line *l = &w->g->lines[index];
	for (unsigned e = 0; e < STATES; e++) {
		if (!in->at[in->g->n][e].reached)
			continue;
		struct point p = unpack(e);
		/* who writes optional has said that no answer from in there counts */
		answer(w, index, state, run_yield(&p.s, w->book->g), e,
		       p.marked && !l->optional && !l->conf->shadow);
	}
}

static void answer_all(struct walk *w, unsigned index, unsigned state)
{
	uint32_t codes = line_codes(&w->g->lines[index]);
	for (int32_t c = 1; c <= MERLON_CODE_MAX; c++)
		if (codes & MERLON_BIT(c))
			answer(w, index, state, c, 0, false);
}

const struct walk *walk_of(struct walk_book *b, const struct stack *st)
{
	size_t i = (size_t)(st - b->s->v);
	if (b->of[i])
		return b->of[i];
	struct walk *w = arena_zalloc(&b->arena, sizeof(*w));
	b->of[i] = w;
	w->g = &st->group[b->g];
	w->book = b;
	w->at = arena_zalloc(&b->arena, (w->g->n + 1) * sizeof(*w->at));
	w->at[0][pack((struct point){.s = {.impression = UNDEF}})].reached = true;
	for (unsigned at = 0; at < w->g->n; at++) {
		const struct stack *include = w->g->lines[at].include;
		const struct walk *in = include ? walk_of(b, include) : NULL;
		for (unsigned state = 0; state < STATES; state++) {
			if (!w->at[at][state].reached)
				continue;
			if (in)
				answer_include(w, at, state, in);
			else
				answer_all(w, at, state);
		}
	}
	return w;
}

bool walk_reaches(const struct walk *w, unsigned index)
{
	for (unsigned state = 0; state < STATES; state++)
		if (w->at[index][state].reached)
			return true;
	return false;
}

bool walk_grants(const struct walk *w)
{
	for (unsigned state = 0; state < STATES; state++)
		if (w->at[w->g->n][state].reached && unpack(state).s.impression == POS)
			return true;
	return false;
}

/* The way to a state, from its beginning; lines of included groups come before the include's own
 * answer. */
static int write_way(const struct walk *w, unsigned index, unsigned state, struct str prefix,
                     struct buf *out)
{
	const struct step *s = &w->at[index][state];
	int r = 0;
	if (index == 0)
		return 0;
	const struct stack_line *l = &w->g->lines[s->from];
	r |= write_way(w, s->from, s->state, prefix, out);
	if (l->conf->shadow)
		return r;
	if (l->include) {
		const struct walk *in = w->book->of[l->include - w->book->s->v];
		r |= write_way(in, in->g->n, s->inner, l->conf->name, out);
	}
	r |= buf_addf(out, "%s%.*s%s%.*s=%s", out->n ? ", " : "", STR_FMT(prefix),
	              prefix.n ? "/" : "", STR_FMT(l->conf->name), code_name(s->code));
	return r;
}

struct str walk_marked_pass(const struct walk *w, struct arena *a)
{
	for (unsigned state = 0; state < STATES; state++) {
		struct point p = unpack(state);
		int32_t code = run_yield(&p.s, w->book->g);
		if (!p.marked || !w->at[w->g->n][state].reached ||
		    (code != MERLON_OK && code != MERLON_IGNORE))
			continue;
		struct buf out;
		buf_init(&out, 4096);
		/* a way too long to be printed is cut: the finding is what counts */
		(void)!write_way(w, w->g->n, state, STR_NONE, &out);
		struct str text = arena_str(a, buf_str(&out));
		buf_deinit(&out);
		return text;
	}
	return STR_NONE;
}
