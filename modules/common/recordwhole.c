/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Records that have room for all of their texts, even if each byte had to be escaped. Room is
 * looked at once, for all fields and for each decision; functions that end in _at write where there
 * is room and answer what is behind it.
 */
#include "common/recordpriv.h"

typedef int8_t vector __attribute__((vector_size(16)));
typedef uint8_t bytes __attribute__((vector_size(16)));
typedef uint64_t words __attribute__((vector_size(16)));

/* All ones where a byte is plain. Signed, and one up: 0x7f and what is above are below the blank
 * then, too. */
static words plain_bytes(vector v)
{
	return (words)(((vector)((bytes)v + 1) > ' ') & ~((v == '"') | (v == '\\')));
}

/* Copies up to 7 bytes. False: one is not plain. */
__attribute__((always_inline)) static inline bool copy_short(char *to, const char *from, uint64_t n)
{
	uint32_t first, last;

	if (n >= 4) {
		memcpy(&first, from, 4);
		memcpy(&last, from + n - 4, 4);
		memcpy(to, &first, 4);
		memcpy(to + n - 4, &last, 4);
		return odd_word((uint64_t)first << 32 | last) == 0;
	}
	for (; n > 0 && plain((unsigned char)*from); n--)
		*to++ = *from++;
	return n == 0;
}

/* Copies n bytes, sixteen a step, the last of which overlap with those before. False: one is not
 * plain, and what was copied is of no use. vouched: they all are, and none is looked at. */
__attribute__((always_inline)) static inline bool copy(char *to, const char *from, uint64_t n,
                                                       bool vouched)
{
	words all = {UINT64_MAX, UINT64_MAX};
	vector v;

	if (n < 8)
		return copy_short(to, from, n);
	if (n < sizeof(v)) {
		uint64_t first, last;

		memcpy(&first, from, 8);
		memcpy(&last, from + n - 8, 8);
		memcpy(to, &first, 8);
		memcpy(to + n - 8, &last, 8);
		all = plain_bytes((vector)(words){first, last});
		return vouched || (all[0] & all[1]) == UINT64_MAX;
	}
	const char *const tail = from + n - sizeof(v);
	for (; from < tail; from += sizeof(v), to += sizeof(v)) {
		memcpy(&v, from, sizeof(v));
		memcpy(to, &v, sizeof(v));
		all &= plain_bytes(v);
	}
	to -= from - tail;
	memcpy(&v, tail, sizeof(v));
	memcpy(to, &v, sizeof(v));
	all &= plain_bytes(v);
	return vouched || (all[0] & all[1]) == UINT64_MAX;
}

#define LIT_AT(p, lit) ((char *)memcpy((p), lit, sizeof(lit) - 1) + sizeof(lit) - 1)
#define ESCAPED_MOST 6 /* bytes that may stand for one */
#define TEXT_FRAME 5   /* the quotes, and what a cut is marked with */

static __attribute__((noinline)) char *escaped_at(char *p, const char *s, uint64_t n)
{
	struct out o = {p, p + ESCAPED_MOST * n + TEXT_FRAME, TEXT_MOST, false};

	record_text(&o, (struct merlon_str){s, n});
	return o.p;
}

static __attribute__((noinline)) char *text_at(char *p, const char *s, uint64_t n)
{
	if (!copy(p + 1, s, n, false))
		return escaped_at(p, s, n);
	p[0] = '"';
	p[n + 1] = '"';
	return p + n + 2;
}

static __attribute__((noinline)) char *vouched_at(char *p, const char *s, uint64_t n)
{
	(void)copy(p + 1, s, n, true);
	p[0] = '"';
	p[n + 1] = '"';
	return p + n + 2;
}

static inline char *pair_at(char *p, uint32_t v)
{
	return (char *)memcpy(p, txt_pairs + 2 * (size_t)v, 2) + 2;
}

static char *u64_at(char *p, uint64_t v)
{
	if (v >= 10000)
		return p + txt_u64(p, v);
	uint32_t high = (uint32_t)v / 100, low = (uint32_t)v % 100;
	if (high >= 10) {
		p = pair_at(p, high);
	} else if (high > 0) {
		*p++ = (char)('0' + high);
	} else if (low < 10) {
		*p = (char)('0' + low);
		return p + 1;
	}
	return pair_at(p, low);
}

#define SECOND_LAST INT64_C(253402300799) /* the end of the year 9999, of later times too */

/* Of a point in time in the second that was written last only the fraction is worked out. */
static char *time_at(char *p, int64_t us, struct record_second *last)
{
	int64_t second = us / 1000000;
	uint32_t fraction = (uint32_t)(us - second * 1000000);

	if (us < 0 || second + 1 != last->next) {
		txt_rfc3339(us, p);
		last->next = us < 0 || second > SECOND_LAST ? 0 : second + 1;
		memcpy(last->text, p, sizeof(last->text));
		return p + TXT_RFC3339_LEN;
	}
	memcpy(p, last->text, sizeof(last->text));
	p = pair_at(p + sizeof(last->text), fraction / 10000);
	p = pair_at(p, fraction / 100 % 100);
	p = pair_at(p, fraction % 100);
	*p = 'Z';
	return p + 1;
}

/* ---- all fields, where there is room ---- */
static char *TEXT_at(char *p, const struct merlon_fact *f)
{
	if (f->type != MERLON_VAL_STR)
		return LIT_AT(p, "null");
	if (f->flags & MERLON_FACT_PLAIN)
		return vouched_at(p, f->u.str.ptr, f->u.str.len);
	return text_at(p, f->u.str.ptr, f->u.str.len);
}

static __attribute__((noinline)) char *NUMBER_at(char *p, const struct merlon_fact *f)
{
	if (f->type != MERLON_VAL_I64)
		return LIT_AT(p, "null");
	if (f->u.i64 >= 0)
		return u64_at(p, (uint64_t)f->u.i64);
	return u64_at(LIT_AT(p, "-"), 0 - (uint64_t)f->u.i64);
}

static __attribute__((noinline)) char *MILLISECONDS_at(char *p, const struct merlon_fact *f)
{
	if (f->type != MERLON_VAL_I64 || f->u.i64 < 0)
		return LIT_AT(p, "null");
	uint32_t fraction = (uint32_t)((uint64_t)f->u.i64 % 1000);
	p = u64_at(p, (uint64_t)f->u.i64 / 1000);
	p[0] = '.';
	p[1] = (char)('0' + fraction / 100);
	return pair_at(p + 2, fraction % 100);
}

/* Billionths: finer than any price, and written alike in every locale. */
static char *AMOUNT_at(char *p, const struct merlon_fact *f)
{
	if (f->type != MERLON_VAL_F64 || !(f->u.f64 >= 0 && f->u.f64 < 1e9))
		return LIT_AT(p, "null");
	uint64_t v = (uint64_t)(f->u.f64 * 1e9 + 0.5), fraction = v % 1000000000;
	p = u64_at(p, v / 1000000000);
	p[0] = '.';
	for (unsigned i = 9; i > 0; i--) {
		p[i] = (char)('0' + fraction % 10);
		fraction /= 10;
	}
	return p + 10;
}

static char *FLAG_at(char *p, const struct merlon_fact *f)
{
	if (f->type != MERLON_VAL_BOOL)
		return LIT_AT(p, "null");
	return f->u.i64 ? LIT_AT(p, "true") : LIT_AT(p, "false");
}

__attribute__((noinline, cold)) char *record_value(char *p, unsigned kind,
                                                   const struct merlon_fact *f)
{
	switch (kind) {
	case NUMBER:
		return NUMBER_at(p, f);
	case MILLISECONDS:
		return MILLISECONDS_at(p, f);
	case AMOUNT:
		return AMOUNT_at(p, f);
	case FLAG:
		return FLAG_at(p, f);
	default:
		return LIT_AT(p, "null");
	}
}

#define MOST(name, field, kind) +sizeof(",\"" name "\":") + VALUE_MOST
#define HEAD_MOST 96
#define FIELDS_MOST (HEAD_MOST FIELDS(MOST)) /* bytes around the texts of the fields */

static char *fields_at(char *p, const struct merlon_fact *facts)
{
#define AT(name, field, kind)                                                                      \
	p = LIT_AT(p, ",\"" name "\":");                                                           \
	p = kind##_at(p, &facts[MERLON_REC_##field]);
	FIELDS(AT)
	return p;
}

bool record_fields_whole(struct out *o, struct recorder *r, int64_t time_us,
                         struct merlon_str event)
{
	const uint64_t n = event.len + r->text;
	char *p = o->p;

	if (o->text < TEXT_MOST || n > TEXT_MOST || ESCAPED_MOST * n + FIELDS_MOST > room(o))
		return false;
	p = time_at(LIT_AT(p, "{\"timestamp\":\""), time_us, &r->second);
	p = text_at(LIT_AT(p, "\",\"event\":"), event.ptr, event.len);
	o->p = fields_at(p, r->facts);
	return true;
}

/* ---- decisions ---- */
#define DECISION_FRAME 128 /* more than is written around the texts of one */

/* The texts but policy, as they stand in a decision. */
static const char *texts_of(const struct merlon_decision *d)
{
	return (const char *)d + offsetof(struct merlon_decision, group);
}

static bool same_texts(const char *a, const char *b)
{
	words v[RECORD_TEXTS / sizeof(words)], w[RECORD_TEXTS / sizeof(words)];

	memcpy(v, a, sizeof(v));
	memcpy(w, b, sizeof(w));
	words odd = (v[0] ^ w[0]) | (v[1] ^ w[1]) | (v[2] ^ w[2]) | (v[3] ^ w[3]);
	return (odd[0] | odd[1]) == 0;
}

/* Up to the policy. NULL: there may not be room. */
static char *decision_at(const struct out *o, const struct merlon_decision *d)
{
	const uint64_t n = d->group.len + d->line.len + d->module.len + d->code.len + d->policy.len;
	char *p = o->p;

	if (n > TEXT_MOST || ESCAPED_MOST * n + DECISION_FRAME > room(o))
		return NULL;
	p = text_at(LIT_AT(p, "{\"group\":"), d->group.ptr, d->group.len);
	p = text_at(LIT_AT(p, ",\"line\":"), d->line.ptr, d->line.len);
	p = text_at(LIT_AT(p, ",\"module\":"), d->module.ptr, d->module.len);
	p = text_at(LIT_AT(p, ",\"code\":"), d->code.ptr, d->code.len);
	return LIT_AT(p, ",\"policy\":");
}

bool record_decision_whole(struct out *o, struct recorder *r, uint32_t i,
                           const struct merlon_decision *d)
{
	struct record_known *known = &r->known[i % RECORD_KNOWN];
	char *p;

	if (o->text < TEXT_MOST)
		return false;
	/* The same texts at the same places: they do not change, so neither does what was made of
	 * them. */
	if (known->len > 0 && same_texts(known->texts, texts_of(d)) && d->policy.len <= TEXT_MOST &&
	    ESCAPED_MOST * d->policy.len + sizeof(known->made) + DECISION_FRAME <= room(o)) {
		memcpy(o->p, known->made, sizeof(known->made));
		p = o->p + known->len;
	} else {
		p = decision_at(o, d);
		if (!p)
			return false;
		uint64_t n = (uint64_t)(p - o->p);
		if (r->lasting && n <= sizeof(known->made)) {
			memcpy(known->texts, texts_of(d), sizeof(known->texts));
			memcpy(known->made, o->p, n);
			known->len = n;
		}
	}
	p = d->policy.len > 0 ? text_at(p, d->policy.ptr, d->policy.len) : LIT_AT(p, "null");
	o->p = d->shadow ? LIT_AT(p, ",\"shadow\":true}") : LIT_AT(p, ",\"shadow\":false}");
	return true;
}
