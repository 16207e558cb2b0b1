/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The attributes of one tx, as an append-only array: a rollback is a shorter array, so what a line
 * wrote and what it hid come back together. Keys and values are copied into the tx's arena.
 */
#include "stack/attr.h"

#include <string.h>

#define ATTRS_FEW 20 /* what most requests have */

void attrs_init(struct attrs *as, struct arena *a)
{
	*as = (struct attrs){.arena = a};
}

static size_t val_size(const struct merlon_val *v)
{
	if (v->type == MERLON_VAL_STR || v->type == MERLON_VAL_BYTES)
		return (size_t)v->u.str.len;
	if (v->type != MERLON_VAL_STRLIST)
		return 0;
	/* entries are charged too, so that a list of empty strings has a bound; a sum beyond the
	 * cap may stop early */
	size_t n = (size_t)v->count * sizeof(struct merlon_str);
	for (uint32_t i = 0; i < v->count && n <= ATTRS_BYTES_MAX; i++) {
		if (v->u.list[i].len > ATTRS_BYTES_MAX)
			return ATTRS_BYTES_MAX + 1;
		n += (size_t)v->u.list[i].len;
	}
	return n;
}

static size_t attr_size(const struct attr *at)
{
	return at->key.n + val_size(&at->val);
}

static struct merlon_str copy_str(struct arena *a, struct merlon_str s)
{
	return to_merlon(arena_str(a, from_merlon(s)));
}

static struct merlon_val copy_val(struct arena *a, const struct merlon_val *v)
{
	struct merlon_val out = *v;
	if (v->type == MERLON_VAL_STR || v->type == MERLON_VAL_BYTES) {
		out.u.str = copy_str(a, v->u.str);
	} else if (v->type == MERLON_VAL_STRLIST) {
		struct merlon_str *list = arena_alloc(a, (v->count + 1u) * sizeof(*list));
		for (uint32_t i = 0; i < v->count; i++)
			list[i] = copy_str(a, v->u.list[i]);
		out.u.list = list;
	}
	return out;
}

static void grow(struct attrs *as)
{
	unsigned cap = as->cap ? as->cap * 2 : ATTRS_FEW;
	struct attr *v = arena_alloc(as->arena, cap * sizeof(*v));

	if (as->n)
		memcpy(v, as->v, as->n * sizeof(*v));
	as->v = v;
	as->cap = cap;
}

/* by NULL: the core's own, whose keys live as long as the attributes do. They always find room: a
 * client who fills it with a long path or host must not make what policies look at disappear. */
static int put(struct attrs *as, const merlon_ctx *by, struct str key, const struct merlon_val *val)
{
	size_t vn = val_size(val);
	if (by && (key.n > ATTRS_BYTES_MAX || vn > ATTRS_BYTES_MAX ||
	           as->bytes + key.n + vn > ATTRS_BYTES_MAX || as->taken >= ATTRS_MAX))
		return MERLON_E_FULL;
	if (as->n == as->cap)
		grow(as);
	as->v[as->n++] = (struct attr){
	    .key = by ? arena_str(as->arena, key) : key,
	    .val = copy_val(as->arena, val),
	    .writer = by,
	};
	if (by) {
		as->bytes += key.n + vn;
		as->taken++;
	}
	return 0;
}

/* The attribute is no more: its room is free again. */
static void give_back(struct attrs *as, const struct attr *at)
{
	if (!at->writer)
		return;
	as->bytes -= attr_size(at);
	as->taken--;
}

int attrs_set(struct attrs *as, struct str key, const struct merlon_val *val)
{
	return put(as, NULL, key, val);
}

int attrs_set_str(struct attrs *as, struct str key, struct str value)
{
	if (!value.p)
		return 0;
	struct merlon_val v = {.type = MERLON_VAL_STR, .u.str = to_merlon(value)};
	return put(as, NULL, key, &v);
}

static const struct id_key {
	struct str key;
	uint32_t type;
} id_keys[] = {
    {STR("id.sub"), MERLON_VAL_STR},
    {STR("id.org"), MERLON_VAL_STR},
    {STR("id.team"), MERLON_VAL_STR},
    {STR("id.tier"), MERLON_VAL_STR},
    {STR("id.roles"), MERLON_VAL_STRLIST},
    {STR("id.scopes"), MERLON_VAL_STRLIST},
    {STR("id.method"), MERLON_VAL_STR},
    {STR("id.credential"), MERLON_VAL_STR},
    {STR("id.expires"), MERLON_VAL_I64},
    {STR("id.allow_models"), MERLON_VAL_STRLIST},
    {STR("id.allow_actions"), MERLON_VAL_STRLIST},
};

static const struct id_key *id_key_of(struct str key)
{
	for (size_t i = 0; i < sizeof(id_keys) / sizeof(id_keys[0]); i++)
		if (str_eq(id_keys[i].key, key))
			return &id_keys[i];
	return NULL;
}

static bool same_text(const struct merlon_val *a, const struct merlon_val *b)
{
	return a->type == MERLON_VAL_STR && b->type == MERLON_VAL_STR &&
	       str_eq(from_merlon(a->u.str), from_merlon(b->u.str));
}

static bool writes_identity(const struct attrs *as, const merlon_ctx *by)
{
	return as->id_write && (!as->line || as->line == by);
}

static int set_identity(struct attrs *as, const merlon_ctx *by, struct str key,
                        const struct merlon_val *val)
{
	const struct id_key *k = id_key_of(key);
	if (!k)
		return MERLON_E_DENIED;
	struct merlon_val list = {.type = MERLON_VAL_STRLIST, .count = 1, .u.list = &val->u.str};
	if (k->type == MERLON_VAL_STRLIST && val->type == MERLON_VAL_STR)
		val = &list;
	if (val->type != k->type) {
		as->id_lost |= writes_identity(as, by);
		return MERLON_E_INVAL;
	}
	/* Another line's callback may come while this one's hook is suspended. */
	if (!writes_identity(as, by))
		return 0;
	if (as->id_fill) {
		const struct attr *old = attrs_get(as, key);
		if (old && old < as->v + as->fill_mark) {
			if (str_eq(key, STR("id.org")) && !same_text(&old->val, val))
				as->org_conflict = true;
			return 0;
		}
	}
	int r = put(as, by, key, val);
	as->id_lost |= r != 0;
	return r;
}

/* Whether key is x.<module>.<something>. */
static bool own_key(struct str key, struct str module)
{
	if (!str_starts(key, STR("x.")))
		return false;
	struct str rest = {key.p + 2, key.n - 2};
	return str_starts(rest, module) && rest.n > module.n + 1 && rest.p[module.n] == '.';
}

int attrs_set_by(struct attrs *as, const merlon_ctx *by, struct str module, struct str key,
                 const struct merlon_val *val)
{
	if (val->type == MERLON_VAL_NONE || val->type > MERLON_VAL_STRLIST)
		return MERLON_E_INVAL;
	if (str_starts(key, STR("id.")))
		return set_identity(as, by, key, val);
	if (!own_key(key, module))
		return MERLON_E_DENIED;
	return put(as, by, key, val);
}

const struct attr *attrs_get(const struct attrs *as, struct str key)
{
	for (unsigned i = as->n; i > 0; i--)
		if (str_eq(as->v[i - 1].key, key))
			return &as->v[i - 1];
	return NULL;
}

struct str attrs_str(const struct attrs *as, struct str key)
{
	const struct attr *at = attrs_get(as, key);
	return at && at->val.type == MERLON_VAL_STR ? from_merlon(at->val.u.str) : STR_NONE;
}

unsigned attrs_mark(const struct attrs *as)
{
	return as->n;
}

void attrs_rollback(struct attrs *as, unsigned mark)
{
	while (as->n > mark)
		give_back(as, &as->v[--as->n]);
}

void attrs_line_begin(struct attrs *as, const merlon_ctx *line)
{
	as->line_open = true;
	as->line = line;
	as->fill_mark = as->n;
	as->id_write = as->id_fill = as->org_conflict = as->id_lost = false;
}

void attrs_line_end(struct attrs *as)
{
	as->line_open = as->id_write = as->id_fill = as->org_conflict = as->id_lost = false;
	as->line = NULL;
}

void attrs_line_abandon(struct attrs *as)
{
	if (!as->line_open)
		return;
	attrs_rollback(as, as->fill_mark);
	attrs_line_end(as);
}

void attrs_drop_identity(struct attrs *as, unsigned mark)
{
	unsigned kept = mark;
	for (unsigned i = mark; i < as->n; i++) {
		if (str_starts(as->v[i].key, STR("id.")))
			give_back(as, &as->v[i]);
		else
			as->v[kept++] = as->v[i];
	}
	as->n = kept > as->n ? as->n : kept;
}
