/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Equal tests of many policies are one test: a decision then asks each only once. Tests that
 * policies share are asked first, since their answer is often there already.
 */
#include "compile.h"

#include <stdlib.h>

static void put(struct reading *r, const void *p, size_t n)
{
	if (r->nkey + n > r->keycap) {
		r->keycap = 2 * (r->nkey + n);
		r->key = mem_grow(r->key, r->keycap, 1);
	}
	if (n > 0)
		memcpy(r->key + r->nkey, p, n);
	r->nkey += n;
}

static void put_number(struct reading *r, uint64_t v)
{
	put(r, &v, sizeof(v));
}

static void put_texts(struct reading *r, const struct merlon_str *v, uint32_t n)
{
	put_number(r, n);
	for (uint32_t i = 0; i < n; i++) {
		put_number(r, v[i].len);
		put(r, v[i].ptr, v[i].len);
	}
}

/* Depth is bounded by DEPTH_MAX. */
static void put_ops(struct reading *r, const struct op *ops, uint32_t n)
{
	put_number(r, n);
	for (uint32_t i = 0; i < n; i++) {
		const struct op *op = &ops[i];
		put_number(r, op->kind);
		switch (op->kind) {
		case OP_TEXT:
			put_texts(r, op->u.texts.exact, op->u.texts.nexact);
			put_texts(r, op->u.texts.globs, op->u.texts.nglobs);
			break;
		case OP_NOT:
			put_ops(r, op->u.inner, op->n);
			break;
		case OP_CIDR:
			put_number(r, op->n);
			put(r, op->u.nets, op->n * sizeof(*op->u.nets));
			break;
		case OP_TIME:
			put(r, op->u.schedule, sizeof(*op->u.schedule));
			break;
		case OP_SAME:
			put_number(r, op->u.attr);
			break;
		case OP_PRESENT:
			put_number(r, op->u.present);
			break;
		default:
			put_number(r, (uint64_t)op->u.number);
		}
	}
}

uint32_t test_number(struct reading *r, const struct test *t)
{
	struct merlon_str key;
	uint32_t at;

	r->nkey = 0;
	put_number(r, t->attr);
	put_ops(r, t->ops, t->nops);
	key = (struct merlon_str){r->key, r->nkey};
	at = txt_map_get(&r->known, key);
	if (at == TXT_MAP_NONE) {
		at = r->nunique++;
		if (at == r->uniquecap) {
			r->uniquecap = at ? 2 * at : 64;
			r->unique = mem_grow(r->unique, r->uniquecap, sizeof(*r->unique));
		}
		r->unique[at] = *t;
		r->unique[at].uses = 0;
		txt_map_put(&r->known, pool_copy(&r->keys, key), at);
	}
	r->unique[at].uses++;
	return at;
}

/* Most requests pass it. */
static bool is_loose(const struct test *t)
{
	return t->nops > 0 && (t->ops[0].kind == OP_NOT || t->ops[0].kind == OP_PRESENT);
}

/* Whether a is better asked before b: what policies share first, then what rules out most. */
static bool sooner(const struct test *a, const struct test *b)
{
	return a->uses != b->uses ? a->uses > b->uses : !is_loose(a) && is_loose(b);
}

void tests_finish(struct reading *r)
{
	struct policies *p = r->p;
	uint32_t memo = 0;

	p->tests = pool_new(&p->pool, r->nunique, sizeof(*p->tests));
	if (r->nunique > 0)
		memcpy(p->tests, r->unique, r->nunique * sizeof(*p->tests));
	for (uint32_t i = 0; i < r->nunique; i++)
		p->tests[i].memo = p->tests[i].uses > 1 && memo < MEMO_MAX ? memo++ : MEMO_MAX;
	for (uint32_t i = 0; i < p->n; i++) {
		uint32_t *v = p->v[i].tests;
		/* Few: by insertion. */
		for (uint32_t j = 1; j < p->v[i].ntests; j++) {
			uint32_t t = v[j], k = j;
			for (; k > 0 && sooner(&p->tests[t], &p->tests[v[k - 1]]); k--)
				v[k] = v[k - 1];
			v[k] = t;
		}
	}
	free(r->unique);
	free(r->key);
	pool_free(&r->keys);
	txt_map_free(&r->known);
}
