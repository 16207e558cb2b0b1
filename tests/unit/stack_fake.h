/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Stacks without modules, from a line of text, for the tests of the run and of the lint.
 *
 *     one string a stack, named s0, s1, ...:
 *     "auth: a|required|OK; b|[OK=done default=die]|NOCRED|hf / authz: ..."
 *
 * A line is name|control|codes|flags. The name "@1" includes stack s1 (codes: "-"). codes: what it
 * may answer, divided by commas; the run answers the first. "0", "42" and "255" are numbers that
 * are no codes. Flags: h helper, s shadow, f fail_open, i identity = "add", w swallow, p answers
 * later, L label "L", M label "M"; r<key> reads, and W<key> writes, up to the line's end. Groups
 * that are not written say "none".
 */
#ifndef STACK_FAKE_H
#define STACK_FAKE_H

#include "stack/run.h"
#include "stack/stack.h"
#include "unit.h"

#include <string.h>

#define FAKE_STACKS 16
#define FAKE_LINES 12

struct fake {
	struct arena a;
	struct stacks s;
	struct stack v[FAKE_STACKS];
	struct conf_stack cv[FAKE_STACKS];
	struct conf conf;
	struct conf_diag d;
	unsigned lines;
	struct str why; /* of the control that could not be parsed */
};

struct fake_answer {
	int32_t code;
	bool later;
	bool resumed;
};

static inline struct conf_node *fake_node(struct fake *f)
{
	struct conf_node *n = arena_zalloc(&f->a, sizeof(*n));
	n->file = "t.conf";
	n->line = ++f->lines;
	return n;
}

static inline int32_t fake_code(struct str name)
{
	int64_t number;
	return str_i64(name, &number) ? (int32_t)number : code_of(name);
}

static inline const char *const *fake_key(struct fake *f, struct str key)
{
	const char **v = arena_zalloc(&f->a, 2 * sizeof(*v));
	v[0] = arena_str(&f->a, key).p;
	return v;
}

static inline void fake_flags(struct fake *f, struct conf_line *cl, struct merlon_module *m,
                              struct fake_answer *an, struct str flags)
{
	m->flags = MERLON_GRANTOR;
	for (size_t i = 0; i < flags.n; i++) {
		struct str rest = {flags.p + i + 1, flags.n - i - 1};
		switch (flags.p[i]) {
		case 'h':
			m->flags = 0;
			break;
		case 's':
			cl->shadow = true;
			break;
		case 'f':
			cl->fail_open = true;
			break;
		case 'i':
			cl->identity_add = true;
			break;
		case 'w':
			cl->swallow = true;
			break;
		case 'p':
			an->later = true;
			break;
		case 'L':
		case 'M':
			cl->label = flags.p[i] == 'L' ? STR("L") : STR("M");
			break;
		case 'r':
			m->reads = fake_key(f, rest);
			return;
		case 'W':
			m->writes = fake_key(f, rest);
			return;
		default:
			abort();
		}
	}
}

static inline void fake_line(struct fake *f, struct stack_line *l, struct conf_line *cl,
                             struct str text)
{
	struct str name = str_trim(str_split(&text, '|'));
	struct str control = str_trim(str_split(&text, '|'));
	struct str codes = str_trim(str_split(&text, '|'));
	struct merlon_module *m = arena_zalloc(&f->a, sizeof(*m));
	struct fake_answer *an = arena_zalloc(&f->a, sizeof(*an));

	*cl = (struct conf_line){
	    .node = fake_node(f), .name = arena_str(&f->a, name), .control = control};
	fake_flags(f, cl, m, an, str_trim(text));
	l->conf = cl;
	if (name.p[0] == '@') {
		int64_t i = 0;
		if (!str_i64((struct str){name.p + 1, name.n - 1}, &i))
			abort();
		l->include = &f->v[i];
		cl->name = cl->include = l->include->name;
		return;
	}
	l->ctx = arena_zalloc(&f->a, sizeof(*l->ctx));
	l->ctx->m = m;
	l->ctx->line = cl;
	l->ctx->inst = an;
	m->name = cl->name.p;
	cl->module = cl->name;
	for (bool first = true; codes.p; first = false) {
		int32_t code = fake_code(str_trim(str_split(&codes, ',')));
		if (first)
			an->code = code;
		if (code > 0 && code <= MERLON_CODE_MAX)
			m->codes |= MERLON_BIT(code);
	}
}

static inline bool fake_group(struct fake *f, unsigned stack, struct str text)
{
	struct str name = str_trim(str_split(&text, ':'));
	int g = 0;
	while (!str_eq(name, str_of(conf_group_names[g])))
		if (++g == G_COUNT)
			abort();
	struct stack_group *sg = &f->v[stack].group[g];
	struct conf_line *cl = arena_zalloc(&f->a, FAKE_LINES * sizeof(*cl));
	bool ok = true;

	sg->none = false;
	sg->lines = arena_zalloc(&f->a, FAKE_LINES * sizeof(*sg->lines));
	for (text = str_trim(text); text.p && text.n > 0; sg->n++)
		fake_line(f, &sg->lines[sg->n], &cl[sg->n], str_trim(str_split(&text, ';')));
	for (unsigned i = 0; i < sg->n; i++) {
		struct stack_line *l = &sg->lines[i];
		l->group = (enum conf_group)g;
		l->index = i;
		l->grantor = !cl[i].shadow && (l->include || l->ctx->m->flags & MERLON_GRANTOR);
		ok &= control_parse(cl[i].control, cl[i].fail_open, l->group, cl, sg->n, i, l,
		                    &f->a, &f->why) == 0;
	}
	return ok;
}

/* False: a control could not be parsed (f->why). fake_deinit() in any case. */
static inline bool fake_init(struct fake *f, const char *const *specs, unsigned n)
{
	bool ok = true;
	memset(f, 0, sizeof(*f));
	arena_init(&f->a, NULL);
	conf_diag_init(&f->d);
	f->s.v = f->v;
	f->s.n = n;
	for (unsigned i = 0; i < n; i++) {
		f->v[i].name = f->cv[i].name = arena_printf(&f->a, "s%u", i);
		f->v[i].conf = &f->cv[i];
		f->v[i].group[G_AUTH].none = f->v[i].group[G_AUTHZ].none = true;
	}
	for (unsigned i = 0; i < n; i++) {
		struct str rest = str_of(specs[i]);
		while (rest.p)
			ok &= fake_group(f, i, str_split(&rest, '/'));
	}
	return ok;
}

static inline void fake_deinit(struct fake *f)
{
	conf_diag_deinit(&f->d);
	arena_deinit(&f->a);
}

/* ---- running ---- */
struct fake_tx {
	struct arena a;
	struct attrs attrs;
	struct buf log;   /* "a b !b" : called, "!": discarded */
	struct buf codes; /* "a=OK b=DENIED" : decided */
};

static inline void fake_tx_init(struct fake_tx *t)
{
	arena_init(&t->a, NULL);
	attrs_init(&t->attrs, &t->a);
	buf_init(&t->log, 8192);
	buf_init(&t->codes, 8192);
}

static inline void fake_tx_deinit(struct fake_tx *t)
{
	buf_deinit(&t->log);
	buf_deinit(&t->codes);
	arena_deinit(&t->a);
}

static inline void fake_write(struct fake_tx *t, const struct stack_line *l, const char *key,
                              struct str value)
{
	struct merlon_val v = {.type = MERLON_VAL_STR, .u.str = to_merlon(value)};
	if (attrs_set_by(&t->attrs, l->ctx, l->conf->name, str_of(key), &v) != 0)
		abort();
}

/* Every line writes its name as id.sub and as x.NAME.k; id.org is "acme", and "other" of lines that
 * begin with 'z'; lines that end in 't' write id.team. */
static inline int32_t fake_call(merlon_tx *tx, const struct stack_line *l, enum conf_group g)
{
	struct fake_tx *t = (struct fake_tx *)(void *)tx;
	struct fake_answer *an = l->ctx->inst;
	struct str name = l->conf->name;
	char key[64];

	(void)g;
	(void)!buf_addf(&t->log, "%s%.*s", t->log.n ? " " : "", STR_FMT(name));
	snprintf(key, sizeof(key), "x.%.*s.k", STR_FMT(name));
	fake_write(t, l, key, name);
	fake_write(t, l, "id.sub", name);
	fake_write(t, l, "id.org", name.p[0] == 'z' ? STR("other") : STR("acme"));
	if (name.p[name.n - 1] == 't')
		fake_write(t, l, "id.team", name);
	return an->later ? MERLON_PENDING : an->code;
}

static inline void fake_decided(merlon_tx *tx, const struct stack_line *l, enum conf_group g,
                                int32_t code)
{
	struct fake_tx *t = (struct fake_tx *)(void *)tx;
	(void)g;
	(void)!buf_addf(&t->codes, "%s%.*s=%s", t->codes.n ? " " : "", STR_FMT(l->conf->name),
	                code_name(code));
}

static inline void fake_discard(merlon_tx *tx, const struct stack_line *l)
{
	struct fake_tx *t = (struct fake_tx *)(void *)tx;
	if (l->include)
		abort();
	(void)!buf_addf(&t->log, " !%.*s", STR_FMT(l->conf->name));
}

static const struct run_ops fake_ops = {fake_call, fake_decided, fake_discard};

static inline const struct fake_answer *fake_waiting(const struct run *r)
{
	const struct run_frame *f = &r->f[r->depth];
	return f->g->lines[r->reverse ? f->g->n - 1 - f->at : f->at].ctx->inst;
}

static inline struct verdict fake_run(struct fake_tx *t, struct run *r, const struct stack *s,
                                      enum conf_group g, bool reverse)
{
	run_begin(r, s, g, &fake_ops, (merlon_tx *)(void *)t, &t->attrs);
	r->reverse = reverse;
	enum run_status status = run_go(r);
	while (status == RUN_WAIT)
		status = run_resume(r, fake_waiting(r)->code);
	return run_verdict(r);
}

#endif
