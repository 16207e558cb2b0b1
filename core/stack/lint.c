/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The findings of lint. Each says where (the line's place) and what would happen; those about a
 * grant print the answers that lead to it. Groups that could not be compiled, or that include
 * themselves, are passed over: they are errors already.
 */
#include "stack/lint.h"

#include "stack/lintwalk.h"

#define INCLUDES_MAX (RUN_DEPTH - 1)

enum seen { NOT_SEEN, BEGUN, SEEN };

struct lint {
	const struct stacks *s;
	struct conf_diag *d;
	struct arena arena;
	uint8_t *seen;    /* by stack, for the group under way: enum seen */
	uint16_t *height; /* how deep its includes go */
	bool *broken;     /* by stack: this group cannot be walked */
	bool *any_broken; /* by stack: some group of it cannot */
};

/* Finds cycles and depth; the stacks above one that is broken are broken too. */
static void measure(struct lint *k, unsigned i, enum conf_group g)
{
	const struct stack_group *sg = &k->s->v[i].group[g];
	k->seen[i] = BEGUN;
	for (unsigned n = 0; n < sg->n; n++) {
		const struct stack_line *l = &sg->lines[n];
		if (!l->include) {
			k->broken[i] |= !l->ctx;
			continue;
		}
		unsigned child = (unsigned)(l->include - k->s->v);
		if (k->seen[child] == BEGUN) {
			conf_error(k->d, l->conf->node, "include \"%.*s\": a cycle of includes",
			           STR_FMT(l->include->name));
			k->broken[i] = true;
			continue;
		}
		if (k->seen[child] == NOT_SEEN)
			measure(k, child, g);
		k->broken[i] |= k->broken[child];
		if (k->height[i] < k->height[child] + 1)
			k->height[i] = (uint16_t)(k->height[child] + 1);
		if (k->height[child] == INCLUDES_MAX) {
			conf_error(k->d, l->conf->node,
			           "include \"%.*s\": includes go over %d deep",
			           STR_FMT(l->include->name), INCLUDES_MAX);
			k->broken[i] = true;
		}
	}
	k->any_broken[i] |= k->broken[i];
	k->seen[i] = SEEN;
}

static void measure_all(struct lint *k, enum conf_group g)
{
	for (unsigned i = 0; i < k->s->n; i++) {
		k->seen[i] = NOT_SEEN;
		k->height[i] = 0;
		k->broken[i] = false;
	}
	for (unsigned i = 0; i < k->s->n; i++)
		if (k->seen[i] == NOT_SEEN)
			measure(k, i, g);
}

static void check_grants(struct lint *k, const struct stack *st, enum conf_group g,
                         const struct walk *w)
{
	const struct stack_group *sg = &st->group[g];
	bool any = false;
	if ((g != G_AUTH && g != G_AUTHZ) || sg->none || walk_grants(w))
		return;
	for (unsigned i = 0; i < sg->n; i++)
		any |= sg->lines[i].grantor && !sg->lines[i].optional;
	conf_error(k->d, sg->n > 0 ? sg->lines[0].conf->node : st->conf->node,
	           "%.*s/%s can never grant: %s", STR_FMT(st->name), conf_group_names[g],
	           any ? "no answers of its lines lead to a grant"
	               : "every line is optional, in shadow or a helper");
}

static void check_reached(struct lint *k, const struct stack *st, enum conf_group g,
                          const struct walk *w)
{
	const struct stack_group *sg = &st->group[g];
	for (unsigned i = 0; i < sg->n; i++)
		if (!walk_reaches(w, i))
			conf_warn(k->d, sg->lines[i].conf->node,
			          "%.*s/%s: line \"%.*s\" is never reached", STR_FMT(st->name),
			          conf_group_names[g], STR_FMT(sg->lines[i].conf->name));
}

/* The first line below that is skipped when line i ends the group, and that somebody may have
 * counted on. */
static const struct stack_line *skipped(const struct stack_group *sg, unsigned i, enum conf_group g)
{
	for (unsigned n = i + 1; n < sg->n; n++) {
		const struct stack_line *l = &sg->lines[n];
		if (!l->conf->shadow && (g != G_AUTH || !l->grantor))
			return l;
	}
	return NULL;
}

static void check_done(struct lint *k, const struct stack *st, enum conf_group g)
{
	const struct stack_group *sg = &st->group[g];
	if (g != G_AUTH && g != G_AUTHZ && g != G_RATELIMIT)
		return;
	for (unsigned i = 0; i < sg->n; i++) {
		const struct stack_line *l = &sg->lines[i];
		const struct stack_line *lost =
		    l->action[MERLON_OK] == ACT_DONE ? skipped(sg, i, g) : NULL;
		if (lost)
			conf_warn(k->d, l->conf->node,
			          "%.*s/%s: when \"%.*s\" answers OK the group ends: %s\"%.*s\" is "
			          "skipped",
			          STR_FMT(st->name), conf_group_names[g], STR_FMT(l->conf->name),
			          g == G_AUTH ? "the helper " : "", STR_FMT(lost->conf->name));
	}
}

static bool may_stand_aside(const struct stack_line *l)
{
	uint8_t act = l->action[MERLON_IGNORE];
	return l->ctx && (line_codes(l) & MERLON_BIT(MERLON_IGNORE)) &&
	       (act == ACT_IGNORE || act == ACT_GOTO);
}

/* Of two grantors in authz, one that may stand aside leaves the decision to the other alone. */
static void check_peers(struct lint *k, const struct stack *st)
{
	const struct stack_group *sg = &st->group[G_AUTHZ];
	const struct stack_line *grantor[2];
	unsigned n = 0;
	for (unsigned i = 0; i < sg->n; i++) {
		if (!sg->lines[i].grantor || sg->lines[i].optional)
			continue;
		if (n == 2)
			return;
		grantor[n++] = &sg->lines[i];
	}
	for (unsigned i = 0; n == 2 && i < 2; i++)
		if (may_stand_aside(grantor[i]))
			conf_error(k->d, grantor[i]->conf->node,
			           "%.*s/authz: \"%.*s\" may answer IGNORE, and \"%.*s\" alone "
			           "decides then",
			           STR_FMT(st->name), STR_FMT(grantor[i]->conf->name),
			           STR_FMT(grantor[1 - i]->conf->name));
}

/* Looks for a pass on which this line gave this answer, in its own stack first, then in those that
 * include it. */
static bool check_swallow(struct lint *k, const struct stack *own, const struct stack_line *l,
                          int32_t code)
{
	struct walk_book b;
	bool found = false;
	walk_open(&b, k->s, l->group, l, code);
	for (unsigned n = 0; n <= k->s->n && !found; n++) {
		const struct stack *st = n == 0 ? own : &k->s->v[n - 1];
		size_t i = (size_t)(st - k->s->v);
		if (k->broken[i] || (n > 0 && k->height[i] == 0))
			continue;
		struct str way = walk_marked_pass(walk_of(&b, st), &k->arena);
		found = way.n > 0;
		if (found)
			conf_error(k->d, l->conf->node,
			           "%.*s/%s: a %s is reachable although %.*s answered %s: %.*s",
			           STR_FMT(st->name), conf_group_names[l->group],
			           l->group == G_AUTH || l->group == G_AUTHZ ? "grant" : "pass",
			           STR_FMT(l->conf->name), code_name(code), STR_FMT(way));
	}
	walk_close(&b);
	return found;
}

/* The keyword optional is exempt: it says by itself that no answer counts. One finding a line is
 * enough. */
static void check_swallows(struct lint *k, const struct stack *st, enum conf_group g)
{
	static const int32_t refusals[] = {MERLON_BADCRED, MERLON_EXPIRED, MERLON_DENIED,
	                                   MERLON_LIMITED};
	const struct stack_group *sg = &st->group[g];
	for (unsigned i = 0; i < sg->n; i++) {
		const struct stack_line *l = &sg->lines[i];
		if (l->optional || l->conf->shadow || l->conf->swallow)
			continue;
		for (size_t c = 0; c < sizeof(refusals) / sizeof(refusals[0]); c++) {
			uint8_t act = l->action[refusals[c]];
			if ((act == ACT_IGNORE || act == ACT_GOTO) &&
			    check_swallow(k, st, l, refusals[c]))
				break;
		}
	}
}

static void lint_group(struct lint *k, enum conf_group g)
{
	struct walk_book b;
	measure_all(k, g);
	walk_open(&b, k->s, g, NULL, 0);
	for (unsigned i = 0; i < k->s->n; i++) {
		const struct stack *st = &k->s->v[i];
		if (k->broken[i])
			continue;
		const struct walk *w = walk_of(&b, st);
		check_grants(k, st, g, w);
		check_reached(k, st, g, w);
		check_done(k, st, g);
		if (g == G_AUTHZ)
			check_peers(k, st);
		if (g != G_AUDIT)
			check_swallows(k, st, g);
	}
	walk_close(&b);
}

void lint(const struct stacks *s, const struct conf *c, struct conf_diag *d)
{
	struct lint k = {.s = s, .d = d};
	(void)c; /* names that no route uses are told by conf_check() */
	arena_init(&k.arena, NULL);
	k.seen = arena_zalloc(&k.arena, s->n + 1);
	k.height = arena_zalloc(&k.arena, (s->n + 1) * sizeof(*k.height));
	k.broken = arena_zalloc(&k.arena, (s->n + 1) * sizeof(*k.broken));
	k.any_broken = arena_zalloc(&k.arena, (s->n + 1) * sizeof(*k.any_broken));
	for (unsigned g = 0; g < G_COUNT; g++)
		lint_group(&k, (enum conf_group)g);
	for (unsigned i = 0; i < s->n; i++)
		if (!k.any_broken[i])
			lint_reads(&s->v[i], d);
	arena_deinit(&k.arena);
}
