/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Operators: what stands at a key of a policy's part, checked and put into arrays.
 */
#include "compile.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MIXED_MAX 1000 /* of a list that does not hold texts alone */

static const char *const op_names[] = {"in", "not",  "lt",   "le",      "gt",
                                       "ge", "cidr", "time", "same_as", "present"};

/* ---- lists of texts ---- */
struct list {
	struct merlon_str *v;
	uint32_t n;
};

/* A text, or what a number, true or false is as text; ptr NULL: it is none of them. */
static struct merlon_str element(struct reading *r, const struct merlon_val *v)
{
	char z[24];

	switch (v->type) {
	case MERLON_VAL_STR:
		return pool_copy(&r->p->pool, v->u.str);
	case MERLON_VAL_BOOL:
		return v->u.i64 ? TXT("true") : TXT("false");
	case MERLON_VAL_I64:
		snprintf(z, sizeof(z), "%lld", (long long)v->u.i64);
		return pool_copy(&r->p->pool, txt_of(z));
	default:
		return (struct merlon_str){NULL, 0};
	}
}

static bool list_fits(struct reading *r, const merlon_cfg *cfg, const char *key, uint32_t n,
                      uint32_t most)
{
	if (n <= most)
		return true;
	wrong(r, cfg, key, "has %u elements, more than %u", n, most);
	return false;
}

/* Elements of several types: each is asked for alone. */
static bool read_mixed(struct reading *r, const merlon_cfg *cfg, const char *key, struct list *out)
{
	uint32_t n = r->h->cfg_count(cfg, key);
	struct merlon_val v;

	if (!list_fits(r, cfg, key, n, MIXED_MAX))
		return false;
	out->v = pool_new(&r->p->pool, n, sizeof(*out->v));
	for (uint32_t i = 0; i < n; i++) {
		const merlon_cfg *e = r->h->cfg_at(cfg, key, i);
		if (r->h->cfg_get(e, "", &v) != 0 || !(out->v[i] = element(r, &v)).ptr) {
			wrong(r, cfg, key, "must hold texts, integers, true or false");
			return false;
		}
	}
	out->n = n;
	return true;
}

/* One element or a list of them. */
static bool read_list(struct reading *r, const merlon_cfg *cfg, const char *key, struct list *out)
{
	struct merlon_val v;

	*out = (struct list){NULL, 0};
	if (r->h->cfg_get(cfg, key, &v) != 0)
		return read_mixed(r, cfg, key, out);
	if (v.type == MERLON_VAL_STRLIST) {
		if (!list_fits(r, cfg, key, v.count, LIST_MAX))
			return false;
		out->v = pool_new(&r->p->pool, v.count, sizeof(*out->v));
		for (uint32_t i = 0; i < v.count; i++)
			out->v[i] = pool_copy(&r->p->pool, v.u.list[i]);
		out->n = v.count;
		return true;
	}
	out->v = pool_new(&r->p->pool, 1, sizeof(*out->v));
	out->v[0] = element(r, &v);
	out->n = 1;
	if (!out->v[0].ptr)
		wrong(r, cfg, key, "must be a text, an integer, true or false, or a list of them");
	return out->v[0].ptr != NULL;
}

/* ---- texts ---- */
static void check_action(struct reading *r, const merlon_cfg *cfg, const char *key,
                         struct merlon_str s)
{
	char text[64];

	for (uint32_t i = 0; i < ACTIONS; i++) {
		if (txt_glob(s, txt_of(actions[i])))
			return;
	}
	snprintf(text, sizeof(text), "names \"%.*s\", which is no action",
	         s.len < 24 ? (int)s.len : 24, s.ptr);
	wrong_word(r, cfg, key, text, s, actions, ACTIONS);
}

static int by_length(const void *a, const void *b)
{
	const struct merlon_str *x = a, *y = b;

	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return x->len ? memcmp(x->ptr, y->ptr, x->len) : 0;
}

static bool read_texts(struct reading *r, const merlon_cfg *cfg, const char *key,
                       const struct subject *s, struct op *out)
{
	struct merlon_str *exact, *globs;
	struct texts *t = &out->u.texts;
	struct list l;

	if (!read_list(r, cfg, key, &l))
		return false;
	if (l.n == 0)
		doubt(r, cfg, key, "is an empty list and matches nothing");
	*t = (struct texts){.nexact = 0};
	for (uint32_t i = 0; i < l.n; i++) {
		t->nglobs += txt_is_glob(l.v[i]);
		if (s->about == ABOUT_ACTION)
			check_action(r, cfg, key, l.v[i]);
	}
	exact = pool_new(&r->p->pool, l.n - t->nglobs, sizeof(*exact));
	globs = pool_new(&r->p->pool, t->nglobs, sizeof(*globs));
	t->nglobs = 0;
	for (uint32_t i = 0; i < l.n; i++) {
		if (txt_is_glob(l.v[i]))
			globs[t->nglobs++] = l.v[i];
		else
			exact[t->nexact++] = l.v[i];
	}
	qsort(exact, t->nexact, sizeof(*exact), by_length);
	t->exact = exact;
	t->globs = globs;
	out->kind = OP_TEXT;
	return true;
}

/* ---- the other operators ---- */
static bool read_number(struct reading *r, const merlon_cfg *cfg, const char *key,
                        const struct subject *s, struct op *out)
{
	struct merlon_val v;
	int64_t us;
	int got = r->h->cfg_get(cfg, key, &v);

	out->kind = strcmp(key, "lt") == 0   ? OP_LT
	            : strcmp(key, "le") == 0 ? OP_LE
	            : strcmp(key, "gt") == 0 ? OP_GT
	                                     : OP_GE;
	if (got == 0 && v.type == MERLON_VAL_I64) {
		out->u.number = v.u.i64;
		return true;
	}
	if (s->about != ABOUT_TIME) {
		wrong(r, cfg, key, "must be an integer");
		return false;
	}
	if (got != 0 || v.type != MERLON_VAL_STR || txt_rfc3339_parse(v.u.str, &us) != 0) {
		wrong(r, cfg, key, "must be a time such as \"2026-12-31T18:00:00Z\"");
		return false;
	}
	out->u.number = us / 1000000 - (us % 1000000 < 0);
	return true;
}

static bool read_cidr(struct reading *r, const merlon_cfg *cfg, const char *key, struct op *out)
{
	struct cidr *nets;
	struct list l;
	bool ok = true;

	if (!read_list(r, cfg, key, &l))
		return false;
	if (l.n == 0)
		doubt(r, cfg, key, "is an empty list and matches nothing");
	nets = pool_new(&r->p->pool, l.n, sizeof(*nets));
	for (uint32_t i = 0; i < l.n; i++) {
		if (cidr_parse(l.v[i], &nets[i]) == 0)
			continue;
		wrong(r, cfg, key,
		      "names \"%.*s\", which is no network such as 10.0.0.0/8 (with no bits set "
		      "behind its prefix)",
		      l.v[i].len < 64 ? (int)l.v[i].len : 64, l.v[i].ptr);
		ok = false;
	}
	*out = (struct op){.kind = OP_CIDR, .n = l.n, .u.nets = nets};
	return ok;
}

static uint32_t zone_number(struct reading *r, const merlon_cfg *cfg, const char *key,
                            struct merlon_str name)
{
	struct policies *p = r->p;
	const char *why = NULL;

	for (uint32_t i = 0; i < p->nzones; i++) {
		if (txt_eq(p->zones[i].name, name))
			return i;
	}
	if (p->nzones == ZONES_MAX) {
		wrong(r, cfg, key, "names one time zone too many: a file may use %d", ZONES_MAX);
		return UINT32_MAX;
	}
	if (zone_load(name, &p->pool, &p->zones[p->nzones], &why) != 0) {
		wrong(r, cfg, key, "names \"%.*s\", which %s", name.len < 64 ? (int)name.len : 64,
		      name.ptr, why);
		return UINT32_MAX;
	}
	return p->nzones++;
}

static bool read_schedule(struct reading *r, const merlon_cfg *cfg, const char *key, struct op *out)
{
	struct schedule *s = pool_new(&r->p->pool, 1, sizeof(*s));
	char why[SCHEDULE_WHY];
	struct merlon_str zone;
	struct merlon_val v;

	if (r->h->cfg_get(cfg, key, &v) != 0 || v.type != MERLON_VAL_STR) {
		wrong(r, cfg, key, "must be a text such as \"Mon-Fri 08:00-18:00 Europe/Berlin\"");
		return false;
	}
	if (schedule_parse(v.u.str, s, &zone, why) != 0) {
		wrong(r, cfg, key, "cannot be read: %s", why);
		return false;
	}
	s->zone = zone_number(r, cfg, key, zone);
	*out = (struct op){.kind = OP_TIME, .u.schedule = s};
	return s->zone != UINT32_MAX;
}

static bool read_same(struct reading *r, const merlon_cfg *cfg, const char *key, struct op *out)
{
	struct merlon_val v;

	if (r->h->cfg_get(cfg, key, &v) != 0 || v.type != MERLON_VAL_STR) {
		wrong(r, cfg, key, "must name an attribute, such as \"principal.org\"");
		return false;
	}
	*out = (struct op){.kind = OP_SAME, .u.attr = attr_named(r, cfg, key, v.u.str)};
	return out->u.attr != UINT32_MAX;
}

static bool read_present(struct reading *r, const merlon_cfg *cfg, const char *key, struct op *out)
{
	struct merlon_val v;

	if (r->h->cfg_get(cfg, key, &v) != 0 || v.type != MERLON_VAL_BOOL) {
		wrong(r, cfg, key, "must be true or false");
		return false;
	}
	*out = (struct op){.kind = OP_PRESENT, .u.present = v.u.i64 != 0};
	return true;
}

/* Whether the operator can be asked of the subject at all. */
static bool fits(struct reading *r, const merlon_cfg *cfg, const char *key, const struct subject *s)
{
	bool number = strlen(key) == 2 && (key[0] == 'l' || key[0] == 'g');
	bool text = strcmp(key, "in") == 0;
	bool cidr = strcmp(key, "cidr") == 0, time = strcmp(key, "time") == 0;

	if (strcmp(key, "not") == 0)
		return true;
	if (s->about == ABOUT_ACTION && !text)
		wrong(r, cfg, key, "cannot be asked of the action: it takes texts, in and not");
	else if (s->about == ABOUT_TIME && !number && !time)
		wrong(r, cfg, key,
		      "cannot be asked of the time: it takes time, lt, le, gt, ge and not");
	else if (s->about != ABOUT_TIME && time)
		wrong(r, cfg, key, "can be asked of condition.time only");
	else if (s->about == ABOUT_LIST && (number || cidr))
		wrong(r, cfg, key, "cannot be asked of a list");
	else
		return true;
	return false;
}

static bool read_operator(struct reading *r, const merlon_cfg *cfg, const char *key,
                          const struct subject *s, unsigned depth, struct op *out)
{
	*out = (struct op){.n = 0};
	if (!fits(r, cfg, key, s))
		return false;
	if (strcmp(key, "not") == 0) {
		struct ops inner = ops_read(r, cfg, key, s, depth + 1);
		*out = (struct op){.kind = OP_NOT, .n = inner.n, .u.inner = inner.v};
		return inner.n > 0;
	}
	if (strcmp(key, "in") == 0)
		return read_texts(r, cfg, key, s, out);
	if (strcmp(key, "cidr") == 0)
		return read_cidr(r, cfg, key, out);
	if (strcmp(key, "time") == 0)
		return read_schedule(r, cfg, key, out);
	if (strcmp(key, "same_as") == 0)
		return read_same(r, cfg, key, out);
	if (strcmp(key, "present") == 0)
		return read_present(r, cfg, key, out);
	return read_number(r, cfg, key, s, out);
}

/* ---- groups of operators ---- */
static bool is_operator(struct merlon_str key)
{
	for (size_t i = 0; i < COUNT(op_names); i++) {
		if (txt_eq(key, txt_of(op_names[i])))
			return true;
	}
	return false;
}

static struct ops kept(struct reading *r, const struct op *ops, uint32_t n)
{
	struct op *v = pool_new(&r->p->pool, n, sizeof(*v));

	if (n > 0)
		memcpy(v, ops, n * sizeof(*v));
	return (struct ops){v, n};
}

static struct ops read_group(struct reading *r, const merlon_cfg *group, const struct subject *s,
                             unsigned depth)
{
	struct op ops[COUNT(op_names)];
	struct merlon_str key;
	uint32_t n = 0;

	for (uint32_t i = 0; (key = r->h->cfg_key(group, i)).ptr && i < KEYS_MAX; i++) {
		const char *z = pool_copy(&r->p->pool, key).ptr;
		if (!is_operator(key))
			wrong_word(r, group, z, "is no operator", key, op_names, COUNT(op_names));
		else if (n < COUNT(op_names) && read_operator(r, group, z, s, depth, &ops[n]))
			n++;
	}
	return kept(r, ops, n);
}

/* What stands there without an operator: texts, or a schedule. */
static struct ops read_plain(struct reading *r, const merlon_cfg *cfg, const char *key,
                             const struct subject *s)
{
	struct op op = {.n = 0};
	bool ok = s->about == ABOUT_TIME ? read_schedule(r, cfg, key, &op)
	                                 : read_texts(r, cfg, key, s, &op);

	return kept(r, &op, ok);
}

struct ops ops_read(struct reading *r, const merlon_cfg *cfg, const char *key,
                    const struct subject *s, unsigned depth)
{
	const merlon_cfg *group;
	struct merlon_val v;

	if (depth > DEPTH_MAX) {
		wrong(r, cfg, key, "is nested deeper than %d", DEPTH_MAX);
		return (struct ops){NULL, 0};
	}
	if (r->h->cfg_get(cfg, key, &v) == 0)
		return read_plain(r, cfg, key, s);
	group = r->h->cfg_count(cfg, key) == 1 ? r->h->cfg_at(cfg, key, 0) : NULL;
	if (group && r->h->cfg_key(group, 0).ptr)
		return read_group(r, group, s, depth);
	if (group && r->h->cfg_get(group, "", &v) != 0) {
		wrong(r, cfg, key, "holds no operator; present = true asks only whether it is set");
		return (struct ops){NULL, 0};
	}
	return read_plain(r, cfg, key, s);
}

bool ops_fallible(const struct op *ops, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t kind = ops[i].kind;
		if (kind == OP_CIDR || (kind >= OP_LT && kind <= OP_GE))
			return true;
		if (kind == OP_NOT && ops_fallible(ops[i].u.inner, ops[i].n))
			return true;
	}
	return false;
}
