/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Building the index takes two rounds over the policies: the first counts how many need each value,
 * the second lets every policy choose among what it needs.
 */
#include "policy.h"

#include <stdlib.h>

#define KEY_HEAD 3
#define KEY_MAX (KEY_HEAD + INDEX_TEXT_MAX)

struct key {
	char bytes[KEY_MAX];
	uint64_t len;
	uint32_t kind;
};

static void make_key(struct key *k, uint32_t attr, uint32_t kind, struct merlon_str text)
{
	uint64_t n = kind == 0 ? text.len : UINT64_C(1) << (kind - 1);

	k->kind = kind;
	k->len = KEY_HEAD + n;
	k->bytes[0] = (char)(attr & 0xff);
	k->bytes[1] = (char)(attr >> 8);
	k->bytes[2] = (char)kind;
	if (n > 0)
		memcpy(k->bytes + KEY_HEAD, text.ptr, n);
}

static struct merlon_str key_text(const struct key *k)
{
	return (struct merlon_str){k->bytes, k->len};
}

/* The longest of the lengths that are kept for first bytes; 0: there are no first bytes. */
static uint32_t prefix_kind(uint64_t len)
{
	uint32_t kind = 0;

	while (kind < INDEX_LENGTHS && (UINT64_C(1) << kind) <= len)
		kind++;
	return kind;
}

static uint64_t literal_length(struct merlon_str glob)
{
	uint64_t n = 0;

	while (n < glob.len && glob.ptr[n] != '*' && glob.ptr[n] != '?')
		n++;
	return n;
}

/* Key number i of the texts; the caller has asked indexable(). */
static void text_key(const struct texts *t, uint32_t attr, uint32_t i, struct key *k)
{
	bool exact = i < t->nexact;
	struct merlon_str s = exact ? t->exact[i] : t->globs[i - t->nexact];
	uint32_t kind = 0;

	if (!exact || s.len > INDEX_TEXT_MAX)
		kind = prefix_kind(exact ? s.len : literal_length(s));
	make_key(k, attr, kind, s);
}

static bool indexable(const struct texts *t)
{
	for (uint32_t i = 0; i < t->nglobs; i++) {
		if (literal_length(t->globs[i]) == 0)
			return false;
	}
	return true;
}

/* The texts that the test needs; NULL: it can hold without any, or with too many. */
static const struct texts *needed(const struct test *t)
{
	for (uint32_t i = 0; i < t->nops; i++) {
		if (t->ops[i].kind == OP_TEXT && indexable(&t->ops[i].u.texts))
			return &t->ops[i].u.texts;
	}
	return NULL;
}

/* ---- building ---- */
struct building {
	struct policies *p;
	uint32_t *counts; /* by bucket */
	uint32_t cap;
};

static uint32_t bucket_of(struct building *b, const struct key *k)
{
	struct index *x = &b->p->index;
	uint32_t at = txt_map_get(&x->map, key_text(k));

	if (at != TXT_MAP_NONE)
		return at;
	if (x->nbuckets == b->cap) {
		b->cap = b->cap ? 2 * b->cap : 64;
		b->counts = mem_grow(b->counts, b->cap, sizeof(*b->counts));
	}
	b->counts[x->nbuckets] = 0;
	txt_map_put(&x->map, pool_copy(&b->p->pool, key_text(k)), x->nbuckets);
	return x->nbuckets++;
}

static void count_all(struct building *b)
{
	struct key k;

	for (uint32_t i = 0; i < b->p->n; i++) {
		for (uint32_t j = 0; j < b->p->v[i].ntests; j++) {
			const struct test *t = &b->p->tests[b->p->v[i].tests[j]];
			const struct texts *s = needed(t);
			for (uint32_t n = 0; s && n < s->nexact + s->nglobs; n++) {
				text_key(s, t->attr, n, &k);
				uint32_t at = bucket_of(b, &k); /* may move the counts */
				b->counts[at]++;
			}
		}
	}
}

/* The test under whose values fewest others stand; NULL: none can be indexed. */
static const struct test *choose(struct building *b, const struct policy *p)
{
	const struct test *best = NULL;
	uint32_t least = UINT32_MAX;
	struct key k;

	for (uint32_t j = 0; j < p->ntests; j++) {
		const struct test *t = &b->p->tests[p->tests[j]];
		const struct texts *s = needed(t);
		uint32_t most = 0;
		if (!s)
			continue;
		for (uint32_t n = 0; n < s->nexact + s->nglobs; n++) {
			text_key(s, t->attr, n, &k);
			uint32_t c = b->counts[txt_map_get(&b->p->index.map, key_text(&k))];
			most = c > most ? c : most;
		}
		if (most < least) {
			least = most;
			best = t;
		}
	}
	return best;
}

static void mark_kind(struct index *x, uint32_t attr, uint32_t kind)
{
	uint32_t i = 0;

	while (i < x->nattrs && x->attrs[i].attr != attr)
		i++;
	if (i == x->nattrs)
		x->attrs[x->nattrs++] = (struct index_attr){attr, 0};
	x->attrs[i].kinds |= 1u << kind;
}

/* Adds policy `at`; room NULL: only counts. Twice in a row counts once: a policy may have two
 * globs with the same first bytes. */
static void enter(struct index_bucket *to, uint32_t *room, uint32_t at, uint32_t *last)
{
	if (*last == at + 1)
		return;
	*last = at + 1;
	if (room) {
		room[to->n] = at;
		to->policies = room;
	}
	to->n++;
}

/* chosen: each policy's test. rooms NULL: the round that counts. */
static void enter_all(struct building *b, const struct test *const *chosen, uint32_t **rooms,
                      uint32_t *always)
{
	struct index *x = &b->p->index;
	uint32_t *last = mem_new(x->nbuckets + 1, sizeof(*last));
	struct key k;

	for (uint32_t i = 0; i < b->p->n; i++) {
		if (!chosen[i]) {
			enter(&x->always, always, i, &last[x->nbuckets]);
			continue;
		}
		const struct texts *s = needed(chosen[i]);
		for (uint32_t n = 0; n < s->nexact + s->nglobs; n++) {
			text_key(s, chosen[i]->attr, n, &k);
			uint32_t at = txt_map_get(&x->map, key_text(&k));
			enter(&x->buckets[at], rooms ? rooms[at] : NULL, i, &last[at]);
			mark_kind(x, chosen[i]->attr, k.kind);
		}
	}
	free(last);
}

void index_build(struct policies *p)
{
	struct index *x = &p->index;
	struct building b = {.p = p};
	const struct test **chosen = mem_new(p->n, sizeof(struct test *));
	uint32_t **rooms, *always;

	txt_map_init(&x->map, p->n);
	count_all(&b);
	for (uint32_t i = 0; i < p->n; i++)
		chosen[i] = choose(&b, &p->v[i]);
	x->buckets = pool_new(&p->pool, x->nbuckets, sizeof(*x->buckets));
	x->attrs = pool_new(&p->pool, p->nattrs, sizeof(*x->attrs));
	enter_all(&b, chosen, NULL, NULL);
	rooms = mem_new(x->nbuckets, sizeof(*rooms));
	for (uint32_t i = 0; i < x->nbuckets; i++) {
		rooms[i] = pool_new(&p->pool, x->buckets[i].n, sizeof(**rooms));
		x->buckets[i].n = 0;
	}
	always = pool_new(&p->pool, x->always.n, sizeof(*always));
	x->always.n = 0;
	enter_all(&b, chosen, rooms, always);
	free(rooms);
	free(chosen);
	free(b.counts);
}

void index_free(struct index *x)
{
	txt_map_free(&x->map);
}

const struct index_bucket *index_find(const struct index *x, uint32_t attr, uint32_t kind,
                                      struct merlon_str value)
{
	struct key k;
	uint32_t at;

	if (kind == 0 ? value.len > INDEX_TEXT_MAX : value.len < UINT64_C(1) << (kind - 1))
		return NULL;
	make_key(&k, attr, kind, value);
	at = txt_map_get(&x->map, key_text(&k));
	return at != TXT_MAP_NONE ? &x->buckets[at] : NULL;
}
