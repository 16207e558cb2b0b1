/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Rules of a list of roles. A rule without guards is found by its permission, one with guards by
 * the models of the first of them; the rest of its guards, and its place in the order, decide then.
 */
#include "rules.h"

#include "policy.h"

#include <stdlib.h>

/* Globs in the sets of one policy. Roles that inherit from each other in many ways could make
 * more than memory should hold. */
#define GLOBS_MOST 4000000

static void note_first(uint32_t *first, uint32_t permissions, uint32_t at)
{
	for (uint32_t bits = permissions; bits; bits &= bits - 1) {
		uint32_t *f = &first[__builtin_ctz(bits)];
		*f = at < *f ? at : *f;
	}
}

static void add_rule(struct policy *p, struct rules *r, uint32_t at)
{
	const struct grant *g = &r->v[at].grant;

	note_first(r->first, g->permissions, at);
	if (g->nguards == 0) {
		note_first(r->open, g->permissions, at);
		return;
	}
	const struct role *guard = &p->roles[g->guards[0]];
	r->walked |= p->nglobs + guard->nmodels > GLOBS_MOST;
	for (uint32_t i = 0; i < guard->nmodels && !r->walked; i++) {
		globset_add(&r->models, guard->models[i], at, g->permissions);
		p->nglobs++;
	}
}

/* The grant without the guards that cover every model. */
static struct grant bounded(struct policy *p, const struct grant *g)
{
	uint32_t n = 0, *guards;

	for (uint32_t i = 0; i < g->nguards; i++)
		n += !p->roles[g->guards[i]].covers_all;
	if (n == g->nguards)
		return *g;
	guards = pool_new(&p->pool, n, sizeof(*guards));
	n = 0;
	for (uint32_t i = 0; i < g->nguards; i++) {
		if (!p->roles[g->guards[i]].covers_all)
			guards[n++] = g->guards[i];
	}
	return (struct grant){g->permissions, n, guards};
}

void rules_make(struct policy *p, struct rules *r, const uint32_t *roles, uint32_t n)
{
	uint32_t cap = 0;

	*r = (struct rules){0};
	memset(r->first, 0xff, sizeof(r->first));
	memset(r->open, 0xff, sizeof(r->open));
	for (uint32_t i = 0; i < n; i++)
		cap += p->roles[roles[i]].ngrants;
	r->v = mem_new(cap, sizeof(r->v[0]));
	for (uint32_t i = 0; i < n; i++) {
		const struct role *role = &p->roles[roles[i]];
		for (uint32_t k = 0; k < role->ngrants; k++)
			r->v[r->n++] = (struct rule){roles[i], bounded(p, &role->grants[k])};
	}
	for (uint32_t i = 0; i < r->n; i++)
		add_rule(p, r, i);
	globset_sort(&r->models);
}

void rules_free(struct rules *r)
{
	globset_free(&r->models);
	free(r->v);
}

static uint32_t first_of(const uint32_t *first, uint32_t need)
{
	uint32_t at = RULES_NONE;

	for (uint32_t bits = need; bits; bits &= bits - 1) {
		uint32_t f = first[__builtin_ctz(bits)];
		at = f < at ? f : at;
	}
	return at;
}

/* Whether the guards from number k on cover the model. */
static bool guards_cover(const struct policy *p, const struct grant *g, uint32_t k,
                         struct merlon_str model)
{
	while (k < g->nguards && globset_has(&p->roles[g->guards[k]].covers, model))
		k++;
	return k == g->nguards;
}

uint32_t rules_find(const struct policy *p, const struct rules *r, uint32_t need,
                    struct merlon_str model)
{
	uint32_t best = first_of(model.ptr ? r->open : r->first, need), at;

	if (model.ptr && r->walked) {
		for (at = 0; at < r->n && at < best; at++) {
			const struct grant *g = &r->v[at].grant;
			if ((g->permissions & need) && guards_cover(p, g, 0, model))
				best = at;
		}
	} else if (model.ptr && r->models.n > 0) {
		struct globset_at next = globset_find(&r->models, model);
		while ((at = globset_next(&r->models, &next, model, need, best)) != GLOBSET_NONE) {
			if (guards_cover(p, &r->v[at].grant, 1, model))
				best = at;
		}
	}
	return best == RULES_NONE ? RULES_NONE : r->v[best].role;
}
