/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * From the configuration's stacks to compiled ones: modules loaded, instances made, controls
 * parsed, includes bound, all linted. Whatever is wrong is said for every line before anything is
 * given up.
 *
 * The stacks own their instances and the arena that both live in.
 */
#include "stack/stack.h"

#include "stack/bind.h"
#include "stack/lint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_LINES_MAX 1024 /* far beyond use; keeps targets in 16 bits and the lint quick */

struct compile {
	struct stacks *s;
	struct conf *c;
	const struct merlon_host *host;
	struct conf_diag *d;
	struct stat_family *verdicts;
};

static struct str group_list(uint32_t groups, struct arena *a)
{
	char text[64];
	size_t n = 0;
	text[0] = '\0';
	for (unsigned g = 0; g < G_COUNT; g++)
		if (groups & (UINT32_C(1) << g))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? ", " : "",
			                      conf_group_names[g]);
	return arena_str(a, str_of(text));
}

/* A module that cannot be asked what its group asks would answer ERROR to every request. */
static bool has_hook(const struct merlon_module *m, enum conf_group g)
{
	switch (g) {
	case G_AUTH:
	case G_AUTHZ:
	case G_RATELIMIT:
		return m->check != NULL;
	case G_FILTER:
		return m->head || m->body;
	case G_AUDIT:
		return m->audit_open || m->audit_close;
	case G_COUNT:
		break;
	}
	return false;
}

static bool compile_module(struct compile *k, const struct stack *st, struct stack_line *l)
{
	const struct conf_line *cl = l->conf;
	struct build *b = build_load(k->c->module_dir, cl->module, k->host, cl->node, k->d);
	if (!b)
		return false;
	if (!(b->m->groups & (UINT32_C(1) << l->group))) {
		struct str may = group_list(b->m->groups, &k->s->arena);
		conf_error(k->d, cl->node, "%.*s does not stand in %s: it may stand in %.*s",
		           STR_FMT(cl->module), conf_group_names[l->group], STR_FMT(may));
		return false;
	}
	if (!has_hook(b->m, l->group)) {
		conf_error(k->d, cl->node, "%.*s has no hook for %s", STR_FMT(cl->module),
		           conf_group_names[l->group]);
		return false;
	}
	l->grantor = (b->m->flags & MERLON_GRANTOR) && !cl->shadow;
	l->ctx = instance_new(b, cl, st->name, l->group, k->s->probing, &k->s->arena, k->d);
	if (l->ctx)
		k->s->instances[k->s->ninstances++] = l->ctx;
	return l->ctx != NULL;
}

static bool compile_include(struct compile *k, struct stack_line *l)
{
	l->include = stacks_find(k->s, l->conf->include);
	l->grantor = !l->conf->shadow;
	if (!l->include)
		conf_error(k->d, l->conf->node, "include: there is no stack \"%.*s\"",
		           STR_FMT(l->conf->include));
	return l->include != NULL;
}

static bool check_settings(struct compile *k, const struct stack_line *l)
{
	const struct conf_line *cl = l->conf;
	unsigned before = k->d->errors;
	if (cl->identity_add && (l->group != G_AUTH || !l->grantor))
		conf_error(k->d, cl->node,
		           "identity = \"add\" is for grantors in auth that are not in shadow");
	if (cl->fail_open && l->group == G_AUTHZ && l->grantor)
		conf_error(k->d, cl->node, "fail_open is refused on a grantor in authz");
	return k->d->errors == before;
}

/* Codes that the line cannot answer share the counter of ERROR, which is what they would become. */
static void line_stats(struct compile *k, struct stack_line *l)
{
	uint32_t may = l->ctx ? l->ctx->m->codes : UINT32_MAX;
	may |= MERLON_BIT(MERLON_TIMEOUT) | (l->conf->identity_add ? MERLON_BIT(MERLON_DENIED) : 0);
	for (int c = MERLON_CODE_MAX; c >= 0; c--) {
		int as = c != 0 && (may & MERLON_BIT(c)) ? c : MERLON_ERROR;
		struct str labels[3] = {str_of(conf_group_names[l->group]), l->conf->name,
		                        str_of(code_name(as))};
		l->verdicts[c] = stats_get(k->verdicts, labels);
	}
}

/* A line that did not compile has neither ctx nor include; lint passes its group over. */
static void compile_line(struct compile *k, const struct stack *st, struct stack_line *l,
                         unsigned nlines)
{
	const struct conf_line *cl = l->conf;
	struct str why = STR_NONE;
	bool ok = cl->include.n > 0 ? compile_include(k, l) : compile_module(k, st, l);

	if (control_parse(cl->control, cl->fail_open, l->group, cl - l->index, nlines, l->index, l,
	                  &k->s->arena, &why) < 0) {
		conf_error(k->d, cl->node, "control: %.*s", STR_FMT(why));
		ok = false;
	}
	if (ok && check_settings(k, l)) {
		line_stats(k, l);
	} else {
		l->ctx = NULL;
		l->include = NULL;
	}
}

static void compile_group(struct compile *k, struct stack *st, enum conf_group g)
{
	const struct conf_stack *cs = st->conf;
	struct stack_group *sg = &st->group[g];

	sg->none = cs->group[g].none;
	if (cs->group[g].nlines > GROUP_LINES_MAX) {
		conf_error(k->d, cs->group[g].node, "%s: at most %d lines", conf_group_names[g],
		           GROUP_LINES_MAX);
		return;
	}
	sg->n = cs->group[g].nlines;
	sg->lines = arena_zalloc(&k->s->arena, (sg->n + 1) * sizeof(*sg->lines));
	for (unsigned i = 0; i < sg->n; i++) {
		sg->lines[i].conf = &cs->group[g].lines[i];
		sg->lines[i].group = g;
		sg->lines[i].index = i;
	}
	for (unsigned i = 0; i < sg->n; i++)
		compile_line(k, st, &sg->lines[i], sg->n);
}

static void add_digest(struct stack *st, const struct digest_key *key, struct conf_diag *d,
                       const struct conf_node *at)
{
	for (unsigned i = 0; i < st->ndigests; i++)
		if (str_eq(st->digests[i]->key, key->key))
			return;
	if (st->ndigests == STACK_DIGESTS_MAX) {
		conf_error(d, at, "the audit lines of a stack may have at most %d digest keys",
		           STACK_DIGESTS_MAX);
		return;
	}
	st->digests[st->ndigests++] = key;
}

/* Only after lint has found no cycle. */
static void collect_digests(struct stack *st, const struct stack *from, struct conf_diag *d)
{
	const struct stack_group *g = &from->group[G_AUDIT];
	for (unsigned i = 0; i < g->n; i++) {
		const struct stack_line *l = &g->lines[i];
		if (l->include)
			collect_digests(st, l->include, d);
		else if (l->ctx->digest.wanted)
			add_digest(st, &l->ctx->digest, d, l->conf->node);
	}
}

static unsigned count_lines(const struct conf *c)
{
	unsigned n = 0;
	for (unsigned i = 0; i < c->nstacks; i++)
		for (unsigned g = 0; g < G_COUNT; g++)
			n += c->stacks[i].group[g].nlines;
	return n;
}

struct stacks *stacks_new(struct conf *c, const struct merlon_host *host, bool probing,
                          struct conf_diag *d)
{
	struct stacks *s = xcalloc(1, sizeof(*s));
	struct compile k = {.s = s, .c = c, .host = host, .d = d};
	unsigned before = d->errors;

	arena_init(&s->arena, NULL);
	s->probing = probing;
	s->n = c->nstacks;
	s->v = arena_zalloc(&s->arena, (s->n + 1) * sizeof(*s->v));
	s->instances = arena_zalloc(&s->arena, (count_lines(c) + 1) * sizeof(struct merlon_ctx *));
	k.verdicts = stats_family(STAT_COUNTER, "merlon_verdicts_total",
	                          "Answers of the lines of stacks.", "group,line,code");
	for (unsigned i = 0; i < s->n; i++) {
		s->v[i].conf = &c->stacks[i];
		s->v[i].name = c->stacks[i].name;
	}
	for (unsigned i = 0; i < s->n; i++)
		for (unsigned g = 0; g < G_COUNT; g++)
			compile_group(&k, &s->v[i], (enum conf_group)g);
	for (unsigned i = 0; i < s->ninstances; i++)
		bind_upstreams(c, s->instances[i], d);
	lint(s, c, d);
	for (unsigned i = 0; d->errors == before && i < s->n; i++)
		collect_digests(&s->v[i], &s->v[i], d);
	return d->errors == before ? s : stacks_free(s);
}

void stacks_own(struct stacks *s, void *owner)
{
	for (unsigned i = 0; i < s->ninstances; i++)
		s->instances[i]->owner = owner;
}

const struct stack *stacks_find(const struct stacks *s, struct str name)
{
	for (unsigned i = 0; i < s->n; i++)
		if (str_eq(s->v[i].name, name))
			return &s->v[i];
	return NULL;
}

int stacks_worker_start(struct stacks *s, struct merlon_worker *w, const char **module)
{
	for (unsigned i = 0; i < s->ninstances; i++) {
		int r = instance_worker_start(s->instances[i], w);
		if (r == 0)
			continue;
		*module = s->instances[i]->build->name;
		while (i-- > 0)
			instance_worker_stop(s->instances[i], w);
		return r;
	}
	return 0;
}

void stacks_worker_stop(struct stacks *s, struct merlon_worker *w)
{
	for (unsigned i = s->ninstances; i > 0; i--)
		instance_worker_stop(s->instances[i - 1], w);
}

void stacks_retire(struct stacks *s)
{
	for (unsigned i = 0; i < s->ninstances; i++)
		instance_retire(s->instances[i]);
}

struct stacks *stacks_free(struct stacks *s)
{
	if (!s)
		return NULL;
	for (unsigned i = s->ninstances; i > 0; i--)
		instance_destroy(s->instances[i - 1]);
	arena_deinit(&s->arena);
	free(s);
	return NULL;
}
