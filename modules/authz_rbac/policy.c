/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Reading and flattening a role policy. A permission that comes by inheritance is bound by the
 * models of every role on its way; ways with the same bounds are joined, so that a diamond costs
 * nothing.
 */
#include "policy.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define GRANTS_MAX 1024 /* of one role; more means inheritance in a thousand bounded ways */
#define GUARDS_MAX 64   /* roles with models on one way */

static const struct merlon_str permissions[] = {
    TXT("read"),  TXT("write"),   TXT("delete"), TXT("train"),        TXT("evaluate"),
    TXT("query"), TXT("predict"), TXT("manage"), TXT("manage_users"), TXT("view_logs")};
#define PERMISSIONS (sizeof(permissions) / sizeof(permissions[0]))
_Static_assert(PERMISSIONS <= PERMISSIONS_MAX, "rules count by permission");

static const struct merlon_option role_rows[] = {
    {"name", MERLON_OPT_STR, MERLON_OPT_REQUIRED, NULL, NULL, NULL, "The role's name."},
    {"permissions", MERLON_OPT_STRLIST, 0, NULL, NULL, NULL, "What the role may do."},
    {"inherits", MERLON_OPT_STRLIST, 0, NULL, NULL, NULL, "Roles whose permissions it has too."},
    {"models", MERLON_OPT_STRLIST, 0, NULL, NULL, NULL,
     "Globs of the models it reaches; absent: all."},
    {NULL, 0, 0, NULL, NULL, NULL, NULL},
};
static const struct merlon_option assignment_rows[] = {
    {"sub", MERLON_OPT_STR, 0, NULL, NULL, NULL, "Glob of the identity's id.sub."},
    {"org", MERLON_OPT_STR, 0, NULL, NULL, NULL, "Glob of the identity's id.org."},
    {"role", MERLON_OPT_STR, 0, NULL, NULL, NULL, "Glob of one of the identity's own roles."},
    {"roles", MERLON_OPT_STRLIST, MERLON_OPT_REQUIRED, NULL, NULL, NULL, "The roles it gets."},
    {NULL, 0, 0, NULL, NULL, NULL, NULL},
};
const struct merlon_option policy_rows[] = {
    {"roles", MERLON_OPT_LIST, 0, NULL, NULL, role_rows,
     "Roles; one named like a shipped role replaces it."},
    {"assignments", MERLON_OPT_LIST, 0, NULL, NULL, assignment_rows,
     "Roles that identities have beside their own."},
    {NULL, 0, 0, NULL, NULL, NULL, NULL},
};

static const struct {
	const char *name, *permissions;
} shipped[] = {
    {"admin", "read write delete train evaluate query predict manage manage_users view_logs"},
    {"data_scientist", "read write train evaluate predict"},
    {"analyst", "read query"},
    {"viewer", "read"},
};
#define SHIPPED (sizeof(shipped) / sizeof(shipped[0]))

struct reading {
	const struct merlon_host *h;
	struct policy *p;
	int errors;
};

__attribute__((format(printf, 4, 5))) static void wrong(struct reading *r, const merlon_cfg *cfg,
                                                        const char *key, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->errors++;
	r->h->cfg_error(cfg, key, txt_of(text));
}

static uint32_t permission_bit(struct merlon_str s)
{
	for (uint32_t i = 0; i < PERMISSIONS; i++) {
		if (txt_eq(s, permissions[i]))
			return UINT32_C(1) << i;
	}
	return 0;
}

uint32_t policy_need(struct merlon_str action)
{
	uint32_t need = permission_bit(action);

	if (txt_eq(action, TXT("predict")))
		need |= permission_bit(TXT("query"));
	return need;
}

/* ---- roles ---- */
static void name_role(struct policy *p, struct role *role, struct merlon_str name)
{
	char *z = pool_new(&p->pool, name.len + 6, 1);

	memcpy(z, "role ", 5);
	memcpy(z + 5, name.ptr, name.len);
	role->policy = (struct merlon_str){z, name.len + 5};
	role->name = (struct merlon_str){z + 5, name.len};
}

static void ship_roles(struct policy *p)
{
	for (unsigned i = 0; i < SHIPPED; i++) {
		struct role *role = &p->roles[p->nroles];
		const char *s = shipped[i].permissions;
		if (txt_map_get(&p->by_name, txt_of(shipped[i].name)) != TXT_MAP_NONE)
			continue;
		name_role(p, role, txt_of(shipped[i].name));
		for (size_t n; *s; s += n + (s[n] == ' ')) {
			n = strcspn(s, " ");
			role->own |= permission_bit((struct merlon_str){s, n});
		}
		txt_map_put(&p->by_name, role->name, p->nroles++);
	}
}

static const char *permission_near(struct merlon_str s)
{
	const char *names[PERMISSIONS];

	for (size_t i = 0; i < PERMISSIONS; i++)
		names[i] = permissions[i].ptr;
	return txt_suggest(s, names, PERMISSIONS);
}

static void read_permissions(struct reading *r, const merlon_cfg *cfg, struct role *role)
{
	struct merlon_val v;

	if (r->h->cfg_get(cfg, "permissions", &v) != 0)
		return;
	for (uint32_t i = 0; i < v.count; i++) {
		uint32_t bit = permission_bit(v.u.list[i]);
		const char *near = bit ? NULL : permission_near(v.u.list[i]);
		role->own |= bit;
		if (bit)
			continue;
		wrong(r, cfg, "permissions", "\"%.*s\" is no permission%s%s%s",
		      TXT_FMT(v.u.list[i]), near ? "; did you mean \"" : "", near ? near : "",
		      near ? "\"?" : "");
	}
}

static void read_models(struct reading *r, const merlon_cfg *cfg, struct role *role)
{
	struct merlon_val v;

	if (r->h->cfg_get(cfg, "models", &v) != 0)
		return;
	role->limited = true;
	role->nmodels = v.count;
	role->models = pool_new(&r->p->pool, v.count, sizeof(role->models[0]));
	for (uint32_t i = 0; i < v.count; i++) {
		role->models[i] = pool_copy(&r->p->pool, v.u.list[i]);
		globset_add(&role->covers, role->models[i], i, UINT32_MAX);
		role->covers_all |= txt_eq(role->models[i], TXT("*"));
	}
	globset_sort(&role->covers);
}

static void read_roles(struct reading *r, const merlon_cfg *cfg, uint32_t n)
{
	struct policy *p = r->p;

	for (uint32_t i = 0; i < n; i++) {
		const merlon_cfg *c = r->h->cfg_at(cfg, "roles", i);
		struct role *role = &p->roles[p->nroles];
		struct merlon_val v;
		if (r->h->cfg_get(c, "name", &v) != 0)
			continue; /* required: the host has said so */
		if (v.u.str.len == 0 || v.u.str.len > 128) {
			wrong(r, c, "name", "must have 1 to 128 characters");
			continue;
		}
		name_role(p, role, v.u.str);
		role->cfg = c;
		if (txt_map_put(&p->by_name, role->name, p->nroles) != TXT_MAP_NONE) {
			wrong(r, c, "name", "\"%.*s\" stands here already", TXT_FMT(role->name));
			continue;
		}
		read_permissions(r, c, role);
		read_models(r, c, role);
		p->nroles++;
	}
}

/* Numbers of the roles that a list names. */
static uint32_t *role_list(struct reading *r, const merlon_cfg *cfg, const char *key, uint32_t *n)
{
	struct merlon_val v;
	uint32_t *out;

	*n = 0;
	if (r->h->cfg_get(cfg, key, &v) != 0)
		return NULL;
	out = pool_new(&r->p->pool, v.count, sizeof(*out));
	for (uint32_t i = 0; i < v.count; i++) {
		uint32_t at = txt_map_get(&r->p->by_name, v.u.list[i]);
		if (at != TXT_MAP_NONE)
			out[(*n)++] = at;
		else
			wrong(r, cfg, key, "names role \"%.*s\", which there is not",
			      TXT_FMT(v.u.list[i]));
	}
	return out;
}

/* ---- flattening ---- */
struct way {
	uint32_t guards[GUARDS_MAX];
	uint32_t n;
};

static void add_guard(struct way *w, uint32_t role)
{
	uint32_t at = 0;

	while (at < w->n && w->guards[at] < role)
		at++;
	if (at < w->n && w->guards[at] == role)
		return;
	memmove(&w->guards[at + 1], &w->guards[at], (w->n - at) * sizeof(w->guards[0]));
	w->guards[at] = role;
	w->n++;
}

/* Adds permissions by a way to a role, joined to those by a way with the same guards. -1: too many.
 */
static int add_grant(struct policy *p, struct role *role, uint32_t mask, const struct way *w)
{
	struct grant *g;

	for (uint32_t i = 0; i < role->ngrants; i++) {
		g = &role->grants[i];
		if (g->nguards == w->n &&
		    (w->n == 0 || memcmp(g->guards, w->guards, w->n * sizeof(w->guards[0])) == 0)) {
			g->permissions |= mask;
			return 0;
		}
	}
	if (role->ngrants == GRANTS_MAX)
		return -1;
	if ((role->ngrants & (role->ngrants - 1)) == 0) { /* 0, 1, 2, 4, ...: room is used up */
		uint32_t cap = role->ngrants ? 2 * role->ngrants : 1;
		g = pool_new(&p->pool, cap, sizeof(*g));
		if (role->ngrants > 0)
			memcpy(g, role->grants, role->ngrants * sizeof(*g));
		role->grants = g;
	}
	uint32_t *guards = pool_new(&p->pool, w->n, sizeof(*guards));
	memcpy(guards, w->guards, w->n * sizeof(*guards));
	role->grants[role->ngrants++] = (struct grant){mask, w->n, guards};
	return 0;
}

static int inherit(struct reading *r, uint32_t at, const struct role *from)
{
	struct role *role = &r->p->roles[at];

	for (uint32_t i = 0; i < from->ngrants; i++) {
		const struct grant *g = &from->grants[i];
		struct way w = {.n = g->nguards};
		if (g->nguards >= GUARDS_MAX)
			return -1;
		memcpy(w.guards, g->guards, g->nguards * sizeof(w.guards[0]));
		if (role->limited)
			add_guard(&w, at);
		if (add_grant(r->p, role, g->permissions, &w) != 0)
			return -1;
	}
	return 0;
}

/* All that this role inherits is flat: so can it be. */
static void flatten_one(struct reading *r, uint32_t at)
{
	struct role *role = &r->p->roles[at];
	struct way own = {.n = 0};
	int bad = 0;

	if (role->limited)
		add_guard(&own, at);
	if (role->own)
		bad |= add_grant(r->p, role, role->own, &own);
	for (uint32_t i = 0; i < role->ninherits; i++)
		bad |= inherit(r, at, &r->p->roles[role->inherits[i]]);
	if (bad)
		wrong(r, role->cfg, "inherits",
		      "leads through too many roles with models of their own");
	role->state = 2;
}

/* Depth first with a stack of its own: a chain of a thousand roles is no reason to recurse a
 * thousand deep. */
static void flatten(struct reading *r, uint32_t start, uint32_t *stack, uint32_t *next)
{
	struct role *roles = r->p->roles;
	uint32_t depth = 0;

	if (roles[start].state != 0)
		return;
	stack[0] = start;
	next[0] = 0;
	roles[start].state = 1;
	while (depth != UINT32_MAX) {
		struct role *role = &roles[stack[depth]];
		if (next[depth] == role->ninherits) {
			flatten_one(r, stack[depth--]);
			continue;
		}
		uint32_t to = role->inherits[next[depth]++];
		if (roles[to].state == 1) {
			wrong(r, role->cfg, "inherits",
			      "goes round: role \"%.*s\" inherits itself by \"%.*s\"",
			      TXT_FMT(roles[to].name), TXT_FMT(role->name));
		} else if (roles[to].state == 0) {
			roles[to].state = 1;
			stack[++depth] = to;
			next[depth] = 0;
		}
	}
}

static void inherit_all(struct reading *r)
{
	struct policy *p = r->p;
	uint32_t *stack = mem_new(p->nroles, sizeof(*stack));
	uint32_t *next = mem_new(p->nroles, sizeof(*next));

	for (uint32_t i = 0; i < p->nroles; i++) {
		if (p->roles[i].cfg)
			p->roles[i].inherits =
			    role_list(r, p->roles[i].cfg, "inherits", &p->roles[i].ninherits);
	}
	for (uint32_t i = 0; i < p->nroles; i++)
		flatten(r, i, stack, next);
	free(stack);
	free(next);
}

/* ---- assignments ---- */
static void enter_assignment(struct policy *p, int by, struct assignment *a, uint32_t at)
{
	uint32_t first;

	a->next = UINT32_MAX;
	if (txt_is_glob(a->who)) {
		globset_add(&p->globs[by], a->who, at, UINT32_MAX);
		return;
	}
	first = txt_map_put(&p->exact[by], a->who, at);
	if (first != TXT_MAP_NONE) {
		a->next = p->assignments[first].next;
		p->assignments[first].next = at;
	}
}

static void read_assignments(struct reading *r, const merlon_cfg *cfg, uint32_t n)
{
	static const char *const by_names[BY_COUNT] = {"sub", "org", "role"};
	struct policy *p = r->p;

	p->assignments = pool_new(&p->pool, n, sizeof(p->assignments[0]));
	for (uint32_t i = 0; i < n; i++) {
		const merlon_cfg *c = r->h->cfg_at(cfg, "assignments", i);
		struct assignment *a = &p->assignments[i];
		struct merlon_val v;
		int by = BY_COUNT, given = 0;
		for (int k = 0; k < BY_COUNT; k++) {
			if (r->h->cfg_get(c, by_names[k], &v) != 0)
				continue;
			given++;
			by = k;
			a->who = pool_copy(&p->pool, v.u.str);
		}
		if (given != 1 || a->who.len == 0) {
			wrong(r, c, "", "an assignment names one of sub, org and role");
			continue;
		}
		a->roles = role_list(r, c, "roles", &a->nroles);
		enter_assignment(p, by, a, i);
	}
}

/* ---- rules ---- */
/* All roles of one who, in the order in which its assignments are asked. */
static void rules_of_who(struct policy *p, uint32_t first)
{
	uint32_t n = 0, *roles;

	for (uint32_t i = first; i != UINT32_MAX; i = p->assignments[i].next)
		n += p->assignments[i].nroles;
	roles = mem_new(n, sizeof(*roles));
	n = 0;
	for (uint32_t i = first; i != UINT32_MAX; i = p->assignments[i].next) {
		const struct assignment *a = &p->assignments[i];
		for (uint32_t k = 0; k < a->nroles; k++)
			roles[n++] = a->roles[k];
	}
	rules_make(p, &p->assignments[first].rules, roles, n);
	free(roles);
}

static void make_rules(struct policy *p)
{
	for (uint32_t i = 0; i < p->nroles; i++)
		rules_make(p, &p->roles[i].rules, &i, 1);
	for (int by = 0; by < BY_COUNT; by++) {
		globset_sort(&p->globs[by]);
		for (uint32_t i = 0; i < p->globs[by].n; i++)
			rules_of_who(p, p->globs[by].entries[i].value);
		for (uint32_t i = 0; i <= p->exact[by].mask; i++) {
			if (p->exact[by].slots[i].value > 0)
				rules_of_who(p, p->exact[by].slots[i].value - 1);
		}
	}
}

int policy_read(const struct merlon_host *h, const merlon_cfg *cfg, struct policy *out)
{
	struct reading r = {.h = h, .p = out};
	uint32_t nroles = cfg ? h->cfg_count(cfg, "roles") : 0;
	uint32_t nassignments = cfg ? h->cfg_count(cfg, "assignments") : 0;

	*out = (struct policy){.nassignments = nassignments};
	out->roles = mem_new(nroles + SHIPPED, sizeof(out->roles[0]));
	txt_map_init(&out->by_name, nroles + SHIPPED);
	for (int i = 0; i < BY_COUNT; i++)
		txt_map_init(&out->exact[i], nassignments);
	read_roles(&r, cfg, nroles);
	ship_roles(out);
	inherit_all(&r);
	read_assignments(&r, cfg, nassignments);
	if (r.errors > 0)
		return -1;
	make_rules(out);
	return 0;
}

void policy_free(struct policy *p)
{
	for (int i = 0; i < BY_COUNT; i++) {
		txt_map_free(&p->exact[i]);
		globset_free(&p->globs[i]);
	}
	for (uint32_t i = 0; p->assignments && i < p->nassignments; i++)
		rules_free(&p->assignments[i].rules);
	for (uint32_t i = 0; i < p->nroles; i++) {
		globset_free(&p->roles[i].covers);
		rules_free(&p->roles[i].rules);
	}
	txt_map_free(&p->by_name);
	free(p->roles);
	pool_free(&p->pool);
}

/* ---- deciding ---- */
static const struct role *role_of(const struct policy *p, uint32_t at)
{
	return at == RULES_NONE ? NULL : &p->roles[at];
}

const struct role *policy_assigned(const struct policy *p, int by, struct merlon_str who,
                                   uint32_t need, struct merlon_str model)
{
	const struct globset *globs = &p->globs[by];
	uint32_t at, newest = 0, best = RULES_NONE;

	if (!who.ptr)
		return NULL;
	at = txt_map_get(&p->exact[by], who);
	if (at != TXT_MAP_NONE)
		best = rules_find(p, &p->assignments[at].rules, need, model);
	if (best != RULES_NONE || globs->n == 0)
		return role_of(p, best);
	struct globset_at next = globset_find(globs, who);
	while ((at = globset_next(globs, &next, who, UINT32_MAX, GLOBSET_NONE)) != GLOBSET_NONE) {
		if (best != RULES_NONE && at < newest)
			continue;
		uint32_t role = rules_find(p, &p->assignments[at].rules, need, model);
		if (role != RULES_NONE) {
			best = role;
			newest = at;
		}
	}
	return role_of(p, best);
}
