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

static __attribute__((noinline, cold)) void grow(struct attrs *as)
{
	unsigned cap = as->cap * 2;
	struct attr *v = arena_alloc(as->arena, cap * sizeof(*v));

	memcpy(v, as->v, as->n * sizeof(*v));
	as->v = v;
	as->cap = cap;
}

/* Lengths and last bytes tell the names apart that every request has. */
static unsigned chain_of(struct str key)
{
	if (key.n < 3)
		return 0;
	return ((unsigned)key.n + 3u * (unsigned char)key.p[key.n - 1] +
	        3u * (unsigned char)key.p[key.n - 3]) %
	       ATTRS_CHAINS;
}

static struct attr *append(struct attrs *as, struct str key)
{
	uint32_t *newest = &as->newest[chain_of(key)];

	if (__builtin_expect(as->n == as->cap, 0))
		grow(as);
	struct attr *at = &as->v[as->n++];
	at->key = key;
	at->older = *newest;
	*newest = as->n;
	return at;
}

/* Takes the last one off. */
static const struct attr *cut(struct attrs *as)
{
	const struct attr *at = &as->v[--as->n];

	as->newest[chain_of(at->key)] = at->older;
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
	struct attr *at = append(as, lasting ? key : arena_str(as->arena, key));
	at->val = copy_val(as->arena, val);
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

/* The core's own always find room: a client who fills it with a long path or host must not make
 * what policies look at disappear. */
int attrs_set(struct attrs *as, struct str key, const struct merlon_val *val)
{
	struct attr *at = append(as, key);

	at->val = copy_val(as->arena, val);
	at->writer = NULL;
	return 0;
}

int attrs_set_str(struct attrs *as, struct str key, struct str value)
{
	if (value.p)
		attrs_refer(as, key, arena_str(as->arena, value));
	return 0;
}

void attrs_refer(struct attrs *as, struct str key, struct str value)
{
	if (!value.p)
		return;
	struct attr *at = append(as, key);
	at->val = (struct merlon_val){.type = MERLON_VAL_STR, .u.str = to_merlon(value)};
	at->writer = NULL;
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
	for (size_t i = 0; i < sizeof(id_keys) / sizeof(id_keys[0]); i++) {
		const struct str k = id_keys[i].key;

		/* Lengths and last bytes differ more often than not. */
		if (k.n == key.n && k.p[k.n - 1] == key.p[k.n - 1] && memcmp(k.p, key.p, k.n) == 0)
			return &id_keys[i];
	}
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

static uint64_t word_at(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t half_at(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Both n bytes long. By words, the last of which may overlap: no call, so that who asks needs no
 * frame. */
static bool same_bytes(const char *a, const char *b, size_t n)
{
	size_t i = 0;

	if (n < 4) {
		while (i < n && a[i] == b[i])
			i++;
		return i == n;
	}
	if (n < 8)
		return half_at(a) == half_at(b) && half_at(a + n - 4) == half_at(b + n - 4);
	while (i + 8 < n && word_at(a + i) == word_at(b + i))
		i += 8;
	return i + 8 >= n && word_at(a + n - 8) == word_at(b + n - 8);
}

const struct attr *attrs_get(const struct attrs *as, struct str key)
{
	for (uint32_t i = as->newest[chain_of(key)]; i > 0; i = as->v[i - 1].older) {
		const struct attr *at = &as->v[i - 1];

		if (at->key.n == key.n && same_bytes(at->key.p, key.p, key.n))
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
		struct attr *at = append(as, old.key);
		at->val = old.val;
		at->writer = old.writer;
	}
}
