/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The attributes of one tx, as an append-only array: a rollback is a shorter array, so what a line
 * wrote and what it hid come back together. What modules write is copied into the tx's arena.
 *
 * Every module asks for a few attributes by name, so those whose names look alike are chained,
 * newest first; the chains are cut back together with the array.
 */
#include "stack/attr.h"

#include <stddef.h>
#include <string.h>

void attrs_init(struct attrs *as, struct arena *a)
{
	memset(as, 0, offsetof(struct attrs, few));
	as->arena = a;
	as->v = as->few;
	as->cap = ATTRS_FEW;
}

static bool is_text(const struct merlon_val *v)
{
	return v->type == MERLON_VAL_STR || v->type == MERLON_VAL_BYTES;
}

/* Entries are charged too, so that a list of empty strings has a bound; a sum beyond the cap may
 * stop early. */
static __attribute__((noinline)) size_t list_size(const struct merlon_val *v)
{
	size_t n = (size_t)v->count * sizeof(struct merlon_str);

	for (uint32_t i = 0; i < v->count && n <= ATTRS_BYTES_MAX; i++) {
		if (v->u.list[i].len > ATTRS_BYTES_MAX)
			return ATTRS_BYTES_MAX + 1;
		n += (size_t)v->u.list[i].len;
	}
	return n;
}

static size_t val_size(const struct merlon_val *v)
{
	if (is_text(v))
		return (size_t)v->u.str.len;
	return v->type == MERLON_VAL_STRLIST ? list_size(v) : 0;
}

static size_t attr_size(const struct attr *at)
{
	return at->key.n + val_size(&at->val);
}

static struct merlon_str copy_str(struct arena *a, struct merlon_str s)
{
	return to_merlon(arena_str(a, from_merlon(s)));
}

static __attribute__((noinline)) void copy_list(struct arena *a, const struct merlon_val *v,
                                                struct merlon_val *out)
{
	struct merlon_str *list = arena_alloc(a, (v->count + 1u) * sizeof(*list));

	for (uint32_t i = 0; i < v->count; i++)
		list[i] = copy_str(a, v->u.list[i]);
	out->u.list = list;
}

static inline void copy_val(struct arena *a, const struct merlon_val *v, struct merlon_val *out)
{
	*out = *v;
	if (is_text(v))
		out->u.str = copy_str(a, v->u.str);
	else if (v->type == MERLON_VAL_STRLIST)
		copy_list(a, v, out);
}

__attribute__((noinline, cold)) void attrs_grow(struct attrs *as)
{
	unsigned cap = as->cap * 2;
	struct attr *v = arena_alloc(as->arena, cap * sizeof(*v));

	memcpy(v, as->v, as->n * sizeof(*v));
	as->v = v;
	as->cap = cap;
}

/* Takes the last one off. */
static const struct attr *cut(struct attrs *as)
{
	const struct attr *at = &as->v[--as->n];

	as->newest[attrs_chain(at->key)] = at->older;
	return at;
}

/* A module's. lasting: the key needs no copy. */
static int put(struct attrs *as, const merlon_ctx *by, struct str key, bool lasting,
               const struct merlon_val *val)
{
	size_t vn = val_size(val);
	if (key.n > ATTRS_BYTES_MAX || vn > ATTRS_BYTES_MAX ||
	    as->bytes + key.n + vn > ATTRS_BYTES_MAX || as->taken >= ATTRS_MAX)
		return MERLON_E_FULL;
	struct attr *at = attrs_append(as, lasting ? key : arena_str(as->arena, key));
	copy_val(as->arena, val, &at->val);
	at->writer = by;
	as->bytes += key.n + vn;
	as->taken++;
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

void attrs_set(struct attrs *as, struct str key, const struct merlon_val *val)
{
	struct attr *at = attrs_append(as, key);

	copy_val(as->arena, val, &at->val);
	at->writer = NULL;
}

void attrs_set_str(struct attrs *as, struct str key, struct str value)
{
	if (value.p)
		attrs_refer(as, key, arena_str(as->arena, value));
}

/* No two keys fall into one slot, so a key is compared with one other at most. The compiler says
 * where an addition breaks that: an initialiser is overridden. */
#define ID_SLOTS 16
#define ID_SLOT(n, last) (((n)*5u + (unsigned char)(last)*2u) % ID_SLOTS)
#define ID_KEY(last, text, type) [ID_SLOT(sizeof(text) - 1, last)] = {STR(text), type}
static const struct id_key {
	struct str key;
	uint32_t type;
} id_keys[ID_SLOTS] = {
    ID_KEY('b', "id.sub", MERLON_VAL_STR),
    ID_KEY('g', "id.org", MERLON_VAL_STR),
    ID_KEY('m', "id.team", MERLON_VAL_STR),
    ID_KEY('r', "id.tier", MERLON_VAL_STR),
    ID_KEY('s', "id.roles", MERLON_VAL_STRLIST),
    ID_KEY('s', "id.scopes", MERLON_VAL_STRLIST),
    ID_KEY('d', "id.method", MERLON_VAL_STR),
    ID_KEY('l', "id.credential", MERLON_VAL_STR),
    ID_KEY('s', "id.expires", MERLON_VAL_I64),
    ID_KEY('s', "id.allow_models", MERLON_VAL_STRLIST),
    ID_KEY('s', "id.allow_actions", MERLON_VAL_STRLIST),
};

/* key begins with "id.". */
static const struct id_key *id_key_of(struct str key)
{
	const struct id_key *k = &id_keys[ID_SLOT(key.n, key.p[key.n - 1])];

	return k->key.n == key.n && bytes_same(k->key.p, key.p, key.n) ? k : NULL;
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

static int set_known(struct attrs *as, const merlon_ctx *by, const struct id_key *k,
                     const struct merlon_val *val)
{
	if (val->type != k->type) {
		as->id_lost |= writes_identity(as, by);
		return MERLON_E_INVAL;
	}
	/* Another line's callback may come while this one's hook is suspended. */
	if (!writes_identity(as, by))
		return 0;
	if (as->id_fill) {
		const struct attr *old = attrs_get(as, k->key);
		if (old && old < as->v + as->fill_mark) {
			if (str_eq(k->key, STR("id.org")) && !same_text(&old->val, val))
				as->org_conflict = true;
			return 0;
		}
	}
	int r = put(as, by, k->key, true, val);
	as->id_lost |= r != 0;
	return r;
}

/* One role may be written as a text. */
static __attribute__((noinline)) int set_single(struct attrs *as, const merlon_ctx *by,
                                                const struct id_key *k,
                                                const struct merlon_val *val)
{
	struct merlon_val list = {.type = MERLON_VAL_STRLIST, .count = 1, .u.list = &val->u.str};
	return set_known(as, by, k, &list);
}

static int set_identity(struct attrs *as, const merlon_ctx *by, struct str key,
                        const struct merlon_val *val)
{
	const struct id_key *k = id_key_of(key);
	if (!k)
		return MERLON_E_DENIED;
	if (k->type == MERLON_VAL_STRLIST && val->type == MERLON_VAL_STR)
		return set_single(as, by, k, val);
	return set_known(as, by, k, val);
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
	if (attr_of_identity(key))
		return set_identity(as, by, key, val);
	if (!own_key(key, module))
		return MERLON_E_DENIED;
	return put(as, by, key, false, val);
}

const struct attr *attrs_get(const struct attrs *as, struct str key)
{
	for (uint32_t i = as->newest[attrs_chain(key)]; i > 0; i = as->v[i - 1].older) {
		const struct attr *at = &as->v[i - 1];

		if (at->key.n == key.n && bytes_same(at->key.p, key.p, key.n))
			return at;
	}
	return NULL;
}

struct str attrs_str(const struct attrs *as, struct str key)
{
	const struct attr *at = attrs_get(as, key);
	return at && at->val.type == MERLON_VAL_STR ? from_merlon(at->val.u.str) : STR_NONE;
}

void attrs_rollback(struct attrs *as, unsigned mark)
{
	while (as->n > mark)
		give_back(as, cut(as));
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
	const unsigned n = as->n;

	while (as->n > mark)
		cut(as);
	for (unsigned i = mark; i < n; i++) {
		const struct attr old = as->v[i];

		if (attr_of_identity(old.key)) {
			give_back(as, &old);
			continue;
		}
		struct attr *at = attrs_append(as, old.key);
		at->val = old.val;
		at->writer = old.writer;
	}
}
