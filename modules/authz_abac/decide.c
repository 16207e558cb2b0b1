/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * One decision: the policies that the index gives are tested, and of those that match the first of
 * the file counts. Attributes are fetched once each. A test has four outcomes; where several are
 * joined, NO is stronger than a fault: what another test rules out cannot fail.
 */
#include "policy.h"

#include <stdio.h>

enum outcome { UNKNOWN, NO, YES, MISSING, FAULT };

struct asking {
	const struct policies *p;
	const struct merlon_host *h;
	merlon_tx *tx;
	struct merlon_val vals[ATTRIBUTES_MAX]; /* type NONE: it is not set */
	uint64_t fetched[ATTRIBUTES_MAX / 64];
	uint8_t memo[MEMO_MAX + 1]; /* outcomes; the last is nobody's */
	uint64_t zones_known;
	int32_t offsets[ZONES_MAX];
	uint32_t addr_attr; /* whose address stands in addr; ATTR_NOW: nobody's */
	int addr_bad;
	uint8_t addr[16];
	uint32_t action;   /* a bit of ACTION_* */
	uint32_t stop;     /* the policy that decides whatever comes after it */
	uint32_t allow;    /* the first that allows; UINT32_MAX: none yet */
	const char *fault; /* of the test that failed last */
	uint32_t fault_attr;
	const char *stop_fault;
	uint32_t stop_attr;
};

static const struct merlon_val *value_of(struct asking *a, uint32_t attr)
{
	struct merlon_val *v = &a->vals[attr];
	uint64_t bit = UINT64_C(1) << attr % 64;

	if (a->fetched[attr / 64] & bit)
		return v;
	a->fetched[attr / 64] |= bit;
	if (attr == ATTR_NOW) {
		*v = (struct merlon_val){.type = MERLON_VAL_I64};
		v->u.i64 = (int64_t)(a->h->now(MERLON_CLOCK_REAL) / 1000000000);
	} else if (a->h->attr_get(a->tx, a->p->attrs[attr], v) != 0) {
		v->type = MERLON_VAL_NONE;
	}
	return v;
}

/* ---- text ---- */
struct rendering {
	char text[24];
	struct merlon_str one;
};

/* The value as texts: its elements, or itself, numbers in decimal. A float has no one form. */
static uint32_t texts_of(const struct merlon_val *v, struct rendering *r,
                         const struct merlon_str **out)
{
	*out = &r->one;
	switch (v->type) {
	case MERLON_VAL_STR:
	case MERLON_VAL_BYTES:
		r->one = v->u.str;
		return 1;
	case MERLON_VAL_STRLIST:
		*out = v->u.list;
		return v->count;
	case MERLON_VAL_BOOL:
		r->one = v->u.i64 ? TXT("true") : TXT("false");
		return 1;
	case MERLON_VAL_I64:
		r->one.ptr = r->text;
		r->one.len =
		    (uint64_t)snprintf(r->text, sizeof(r->text), "%lld", (long long)v->u.i64);
		return 1;
	default:
		return 0;
	}
}

static bool among(const struct texts *t, struct merlon_str s)
{
	uint32_t low = 0, high = t->nexact;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		struct merlon_str e = t->exact[mid];
		int c = e.len != s.len ? (e.len < s.len ? -1 : 1)
		        : s.len        ? memcmp(e.ptr, s.ptr, s.len)
		                       : 0;
		if (c == 0)
			return true;
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (uint32_t i = 0; i < t->nglobs; i++) {
		if (txt_glob(t->globs[i], s))
			return true;
	}
	return false;
}

static enum outcome text_test(const struct texts *t, const struct merlon_val *v)
{
	const struct merlon_str *list;
	struct rendering r;
	uint32_t n = texts_of(v, &r, &list);

	for (uint32_t i = 0; i < n; i++) {
		if (among(t, list[i]))
			return YES;
	}
	return NO;
}

static enum outcome same_test(struct asking *a, const struct op *op, const struct merlon_val *v)
{
	const struct merlon_val *other = value_of(a, op->u.attr);
	const struct merlon_str *mine, *theirs;
	struct rendering r, q;
	uint32_t n, m;

	if (other->type == MERLON_VAL_NONE)
		return MISSING;
	n = texts_of(v, &r, &mine);
	m = texts_of(other, &q, &theirs);
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t j = 0; j < m; j++) {
			if (txt_eq(mine[i], theirs[j]))
				return YES;
		}
	}
	return NO;
}

/* ---- numbers ---- */
static bool decimal(struct merlon_str s, int64_t *out)
{
	bool negative = s.len > 0 && s.ptr[0] == '-';
	int64_t v = 0;

	if (s.len == (uint64_t)negative)
		return false;
	for (uint64_t i = negative; i < s.len; i++) {
		int digit = s.ptr[i] - '0';
		if (digit < 0 || digit > 9 || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_sub_overflow(v, digit, &v))
			return false;
	}
	/* Counted downward, since that side reaches one further. */
	*out = v;
	return negative || !__builtin_sub_overflow(0, v, out);
}

static enum outcome fault(struct asking *a, uint32_t attr, const char *why)
{
	a->fault = why;
	a->fault_attr = attr;
	return FAULT;
}

/* -1, 0 or 1 as v lies to n; 2: v is no number. */
static int compare(const struct merlon_val *v, int64_t n)
{
	int64_t i = v->u.i64;

	if (v->type == MERLON_VAL_F64) {
		long double f = v->u.f64;
		return f < (long double)n ? -1 : f > (long double)n ? 1 : f == f ? 0 : 2;
	}
	if (v->type == MERLON_VAL_STR ? !decimal(v->u.str, &i) : v->type != MERLON_VAL_I64)
		return 2;
	return (i > n) - (i < n);
}

static enum outcome number_test(struct asking *a, const struct op *op, uint32_t attr,
                                const struct merlon_val *v)
{
	int c = compare(v, op->u.number);

	if (c == 2)
		return fault(a, attr, "is not a number");
	switch (op->kind) {
	case OP_LT:
		return c < 0 ? YES : NO;
	case OP_LE:
		return c <= 0 ? YES : NO;
	case OP_GT:
		return c > 0 ? YES : NO;
	default:
		return c >= 0 ? YES : NO;
	}
}

/* ---- addresses and times ---- */
static enum outcome cidr_test(struct asking *a, const struct op *op, uint32_t attr,
                              const struct merlon_val *v)
{
	if (a->addr_attr != attr) {
		a->addr_attr = attr;
		a->addr_bad = v->type != MERLON_VAL_STR || cidr_addr(v->u.str, a->addr) != 0;
	}
	if (a->addr_bad)
		return fault(a, attr, "is not an address");
	for (uint32_t i = 0; i < op->n; i++) {
		if (cidr_has(&op->u.nets[i], a->addr))
			return YES;
	}
	return NO;
}

static enum outcome time_test(struct asking *a, const struct schedule *s,
                              const struct merlon_val *v)
{
	uint64_t bit = UINT64_C(1) << s->zone;

	if (!(a->zones_known & bit))
		a->offsets[s->zone] = zone_offset(&a->p->zones[s->zone], v->u.i64);
	a->zones_known |= bit;
	return schedule_has(s, v->u.i64 + a->offsets[s->zone]) ? YES : NO;
}

/* ---- operators, tests, policies ---- */
static enum outcome all(struct asking *a, const struct op *ops, uint32_t n, uint32_t attr,
                        const struct merlon_val *v);

static enum outcome not(enum outcome o) { return o == YES ? NO : o == NO ? YES : o; }

static enum outcome one(struct asking *a, const struct op *op, uint32_t attr,
                        const struct merlon_val *v)
{
	bool missing = v->type == MERLON_VAL_NONE;

	/* What can be asked of an attribute that is not set. */
	if (op->kind == OP_PRESENT)
		return missing != op->u.present ? YES : NO;
	if (op->kind == OP_NOT)
		return not(all(a, op->u.inner, op->n, attr, v));
	if (missing)
		return MISSING;
	switch (op->kind) {
	case OP_TEXT:
		return text_test(&op->u.texts, v);
	case OP_CIDR:
		return cidr_test(a, op, attr, v);
	case OP_TIME:
		return time_test(a, op->u.schedule, v);
	case OP_SAME:
		return same_test(a, op, v);
	default:
		return number_test(a, op, attr, v);
	}
}

static enum outcome all(struct asking *a, const struct op *ops, uint32_t n, uint32_t attr,
                        const struct merlon_val *v)
{
	enum outcome result = YES;

	for (uint32_t i = 0; i < n; i++) {
		enum outcome o = one(a, &ops[i], attr, v);
		if (o == NO)
			return NO;
		if (o == FAULT || (o == MISSING && result == YES))
			result = o;
	}
	return result;
}

static enum outcome policy_test(struct asking *a, const struct policy *p)
{
	enum outcome result = YES;

	for (uint32_t i = 0; i < p->ntests; i++) {
		const struct test *t = &a->p->tests[p->tests[i]];
		enum outcome o = a->memo[t->memo];
		if (o == UNKNOWN)
			o = all(a, t->ops, t->nops, t->attr, value_of(a, t->attr));
		if (t->memo != MEMO_MAX && o != FAULT) /* a fault is told anew, with its cause */
			a->memo[t->memo] = (uint8_t)o;
		if (o == NO || o == MISSING)
			return NO;
		if (o == FAULT)
			result = FAULT;
	}
	return result;
}

bool texts_pass(const struct op *ops, uint32_t n, struct merlon_str s)
{
	struct merlon_val v = {.type = MERLON_VAL_STR, .u.str = s};
	struct asking a = {.addr_attr = ATTR_NOW};

	return all(&a, ops, n, ATTR_NOW, &v) == YES;
}

static void look(struct asking *a, uint32_t at)
{
	uint32_t flags = a->p->flags[at];
	enum outcome o;

	if (!(flags & a->action))
		return;
	/* A later one that allows adds nothing, but that its evaluation may fail. */
	if (!a->p->first_match && !(flags & (POLICY_DENY | POLICY_FALLIBLE)) && at > a->allow)
		return;
	o = policy_test(a, &a->p->v[at]);
	if (o == NO)
		return;
	if (o == FAULT || a->p->first_match || flags & POLICY_DENY) {
		a->stop = at;
		a->stop_fault = o == FAULT ? a->fault : NULL;
		a->stop_attr = a->fault_attr;
	} else if (at < a->allow) {
		a->allow = at;
	}
}

static void walk(struct asking *a, const struct index_bucket *b)
{
	for (uint32_t i = 0; i < b->n && b->policies[i] < a->stop; i++)
		look(a, b->policies[i]);
}

static void walk_value(struct asking *a, const struct index_attr *x, struct merlon_str value)
{
	for (uint32_t kind = 0; kind <= INDEX_LENGTHS; kind++) {
		const struct index_bucket *b = NULL;
		if (x->kinds >> kind & 1)
			b = index_find(&a->p->index, x->attr, kind, value);
		if (b)
			walk(a, b);
	}
}

static uint32_t action_bit(struct asking *a)
{
	struct merlon_val v;

	if (a->h->attr_get(a->tx, TXT("action"), &v) != 0 || v.type != MERLON_VAL_STR)
		return ACTION_NONE;
	for (uint32_t i = 0; i < ACTIONS; i++) {
		if (txt_eq(v.u.str, txt_of(actions[i])))
			return 1u << i;
	}
	return ACTION_OTHER;
}

void decide(const struct policies *p, const struct merlon_host *h, merlon_tx *tx,
            struct decision *out)
{
	const struct merlon_str *list;
	struct rendering r;
	struct asking a; /* large, and most of it is not read before it is written */

	a.p = p;
	a.h = h;
	a.tx = tx;
	memset(a.fetched, 0, sizeof(a.fetched));
	memset(a.memo, UNKNOWN, sizeof(a.memo));
	a.zones_known = 0;
	a.addr_attr = ATTR_NOW;
	a.stop = a.allow = UINT32_MAX;
	a.stop_fault = a.fault = NULL;
	a.stop_attr = a.fault_attr = ATTR_NOW;
	a.action = action_bit(&a);
	walk(&a, &p->index.always);
	for (uint32_t i = 0; i < p->index.nattrs; i++) {
		const struct index_attr *x = &p->index.attrs[i];
		uint32_t n = texts_of(value_of(&a, x->attr), &r, &list);
		for (uint32_t k = 0; k < n; k++)
			walk_value(&a, x, list[k]);
	}
	*out = (struct decision){.code = MERLON_NOCRED};
	if (a.stop != UINT32_MAX) {
		out->policy = &p->v[a.stop];
		out->fault = a.stop_fault;
		out->attr = p->attrs[a.stop_attr];
		out->code =
		    a.stop_fault || p->flags[a.stop] & POLICY_DENY ? MERLON_DENIED : MERLON_OK;
	} else if (a.allow != UINT32_MAX) {
		out->policy = &p->v[a.allow];
		out->code = MERLON_OK;
	}
}
