/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Attributes that a module reads although nothing before it writes them. Modules declare both; a
 * declared name may end in '*'.
 */
#include "stack/lint.h"

struct written {
	const struct written *next;
	struct str key;
};

static bool is_open(struct str key)
{
	return key.n > 0 && key.p[key.n - 1] == '*';
}

/* Whether two declared names can mean the same attribute. */
static bool overlap(struct str a, struct str b)
{
	bool a_open = is_open(a), b_open = is_open(b);
	a.n -= a_open;
	b.n -= b_open;
	return str_eq(a, b) || (a_open && str_starts(b, a)) || (b_open && str_starts(a, b));
}

static bool is_hosts(struct str key)
{
	static const char *const prefixes[] = {"net.", "req.", "tls.", "res.", "llm."};
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (str_starts(key, str_of(prefixes[i])))
			return true;
	return str_eq(key, STR("action"));
}

/* identify: what this line writes of id.* is kept. */
static void add_writes(const struct stack_line *l, bool identify, const struct written **all,
                       struct arena *a)
{
	if (l->conf->shadow)
		return;
	identify = identify && l->grantor && !l->optional;
	if (l->include) {
		const struct stack_group *g = &l->include->group[l->group];
		for (unsigned i = 0; i < g->n; i++)
			add_writes(&g->lines[i], identify, all, a);
		return;
	}
	for (const char *const *key = l->ctx->m->writes; key && *key; key++) {
		if (!identify && str_starts(str_of(*key), STR("id.")))
			continue;
		struct written *w = arena_alloc(a, sizeof(*w));
		*w = (struct written){*all, str_of(*key)};
		*all = w;
	}
}

static void check_reads(const struct stack_line *l, const struct stack *st,
                        const struct written *all, struct conf_diag *d)
{
	for (const char *const *key = l->ctx->m->reads; key && *key; key++) {
		bool known = is_hosts(str_of(*key));
		for (const struct written *w = all; w && !known; w = w->next)
			known = overlap(w->key, str_of(*key));
		if (!known)
			conf_warn(d, l->conf->node,
			          "%.*s/%s: \"%.*s\" reads %s, which no line before it writes",
			          STR_FMT(st->name), conf_group_names[l->group],
			          STR_FMT(l->conf->name), *key);
	}
}

void lint_reads(const struct stack *st, struct conf_diag *d)
{
	const struct written *all = NULL;
	struct arena a;
	arena_init(&a, NULL);
	for (unsigned g = 0; g < G_COUNT; g++) {
		for (unsigned i = 0; i < st->group[g].n; i++) {
			const struct stack_line *l = &st->group[g].lines[i];
			/* its own writing first: a later hook of the line may read what an earlier
			 * one wrote */
			add_writes(l, g == G_AUTH, &all, &a);
			if (!l->include)
				check_reads(l, st, all, d);
		}
	}
	arena_deinit(&a);
}
