/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Text for modules. Nothing here keeps state; tables and copies belong to the caller.
 */
#include "common/text.h"

#include <stdlib.h>

struct merlon_str txt_trim(struct merlon_str s)
{
	while (s.len > 0 && (*s.ptr == ' ' || *s.ptr == '\t' || *s.ptr == '\r')) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0) {
		char c = s.ptr[s.len - 1];
		if (c != ' ' && c != '\t' && c != '\r')
			break;
		s.len--;
	}
	return s;
}

struct merlon_str txt_attr(const struct merlon_host *h, merlon_tx *tx, struct merlon_str key)
{
	struct merlon_val v;

	if (h->attr_get(tx, key, &v) != 0 || v.type != MERLON_VAL_STR)
		return (struct merlon_str){NULL, 0};
	return v.u.str;
}

void txt_put(struct txt_line *t, struct merlon_str s)
{
	uint64_t n = s.len < TXT_PUT_MAX ? s.len : TXT_PUT_MAX;

	if (n > sizeof(t->p) - t->n)
		n = sizeof(t->p) - t->n;
	if (n > 0)
		memcpy(t->p + t->n, s.ptr, n);
	t->n += n;
}

bool txt_is_plain(struct merlon_str s)
{
	for (uint64_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
			return false;
	}
	return true;
}

bool txt_bearer(struct merlon_str field, struct merlon_str *token)
{
	static const char scheme[] = "bearer";

	if (field.len < 7 || (field.ptr[6] != ' ' && field.ptr[6] != '\t'))
		return false;
	for (unsigned i = 0; i < 6; i++) {
		if ((field.ptr[i] | 0x20) != scheme[i])
			return false;
	}
	*token = txt_trim((struct merlon_str){field.ptr + 6, field.len - 6});
	return token->len > 0;
}

bool txt_glob(struct merlon_str pattern, struct merlon_str text)
{
	uint64_t p = 0, t = 0, star = UINT64_MAX, mark = 0;

	while (t < text.len) {
		if (p < pattern.len && pattern.ptr[p] == '*') {
			star = p++;
			mark = t;
			if (p == pattern.len)
				return true;
		} else if (p < pattern.len &&
		           (pattern.ptr[p] == '?' || pattern.ptr[p] == text.ptr[t])) {
			p++;
			t++;
		} else if (star != UINT64_MAX) {
			/* Only the last star need give way: what lies before it has matched. */
			p = star + 1;
			t = ++mark;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.ptr[p] == '*')
		p++;
	return p == pattern.len;
}

bool txt_is_glob(struct merlon_str s)
{
	return s.len > 0 && (memchr(s.ptr, '*', s.len) || memchr(s.ptr, '?', s.len));
}

typedef uint8_t vector __attribute__((vector_size(16)));

void txt_hex(const uint8_t *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	vector v, high, low, pairs;
	size_t i = 0;

	for (; n - i >= sizeof(v); i += sizeof(v)) {
		memcpy(&v, p + i, sizeof(v));
		high = v >> 4;
		low = v & 15;
		high += '0' + ((high > 9) & ('a' - '9' - 1));
		low += '0' + ((low > 9) & ('a' - '9' - 1));
		pairs = __builtin_shufflevector(high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21,
		                                6, 22, 7, 23);
		memcpy(out + 2 * i, &pairs, sizeof(pairs));
		pairs = __builtin_shufflevector(high, low, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13,
		                                29, 14, 30, 15, 31);
		memcpy(out + 2 * i + sizeof(pairs), &pairs, sizeof(pairs));
	}
	for (; i < n; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int txt_unhex(struct merlon_str s, uint8_t *out)
{
	if (s.len % 2 != 0)
		return -1;
	for (uint64_t i = 0; i < s.len; i += 2) {
		int hi = hex_value(s.ptr[i]), lo = hex_value(s.ptr[i + 1]);
		if (hi < 0 || lo < 0)
			return -1;
		out[i / 2] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
}

const char txt_pairs[200] = "00010203040506070809101112131415161718192021222324"
			    "25262728293031323334353637383940414243444546474849"
			    "50515253545556575859606162636465666768697071727374"
			    "75767778798081828384858687888990919293949596979899";

size_t txt_u64(char out[TXT_U64_LEN], uint64_t v)
{
	size_t n = 1, at;

	for (uint64_t power = 10; n < TXT_U64_LEN && v >= power; n++)
		power *= 10;
	for (at = n; v >= 100; v /= 100)
		memcpy(out + (at -= 2), txt_pairs + 2 * (v % 100), 2);
	if (v >= 10)
		memcpy(out, txt_pairs + 2 * v, 2);
	else
		out[0] = (char)('0' + v);
	return n;
}

/* The second byte alone tells overlong forms, surrogates and what lies beyond U+10FFFF. */
static bool second_ok(unsigned char first, unsigned char second)
{
	unsigned lo = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
	unsigned hi = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;

	return second >= lo && second <= hi;
}

size_t txt_utf8_len(const char *p, size_t n)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t len;

	if (n == 0 || (u[0] >= 0x80 && u[0] < 0xc2) || u[0] > 0xf4)
		return 0;
	if (u[0] < 0x80)
		return 1;
	len = u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
	if (n < len || !second_ok(u[0], u[1]))
		return 0;
	for (size_t i = 2; i < len; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

/* Levenshtein over one row; words here are short. */
static unsigned distance(struct merlon_str a, const char *b, size_t nb)
{
	unsigned row[65];

	if (a.len > 64 || nb > 64)
		return 64;
	for (unsigned j = 0; j <= nb; j++)
		row[j] = j;
	for (unsigned i = 1; i <= a.len; i++) {
		unsigned diagonal = row[0];
		row[0] = i;
		for (unsigned j = 1; j <= nb; j++) {
			unsigned best = diagonal + (a.ptr[i - 1] != b[j - 1]);
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[nb];
}

const char *txt_suggest(struct merlon_str s, const char *const *words, size_t n)
{
	const char *best = NULL;
	unsigned least = 2 + (unsigned)(s.len < 64 ? s.len : 64) / 4;

	for (size_t i = 0; i < n; i++) {
		unsigned d = distance(s, words[i], strlen(words[i]));
		if (d < least) {
			least = d;
			best = words[i];
		}
	}
	return best;
}

void *mem_new(size_t n, size_t size)
{
	void *p = calloc(n > 0 ? n : 1, size);

	if (!p)
		abort();
	return p;
}

void *mem_grow(void *p, size_t n, size_t size)
{
	void *q = reallocarray(p, n > 0 ? n : 1, size);

	if (!q)
		abort();
	return q;
}

struct merlon_str mem_copy(struct merlon_str s)
{
	char *p = mem_new(s.len + 1, 1);

	if (s.len > 0)
		memcpy(p, s.ptr, s.len);
	return (struct merlon_str){p, s.len};
}

#define POOL_BLOCK 4000

struct mem_block {
	struct mem_block *before;
	size_t used, cap;
	uint64_t pad; /* data is aligned to 16 as the block is */
	char data[];
};

void *pool_new(struct mem_pool *pool, size_t n, size_t size)
{
	size_t want;

	if (__builtin_mul_overflow(n, size, &want) || want > SIZE_MAX / 2)
		abort();
	want = (want + 15) & ~(size_t)15;
	if (!pool->last || pool->last->cap - pool->last->used < want) {
		size_t cap = want > POOL_BLOCK ? want : POOL_BLOCK;
		struct mem_block *b = mem_new(1, sizeof(*b) + cap);
		b->before = pool->last;
		b->cap = cap;
		pool->last = b;
	}
	pool->last->used += want;
	return pool->last->data + pool->last->used - want;
}

struct merlon_str pool_copy(struct mem_pool *pool, struct merlon_str s)
{
	char *p = pool_new(pool, s.len + 1, 1);

	if (s.len > 0)
		memcpy(p, s.ptr, s.len);
	return (struct merlon_str){p, s.len};
}

void pool_free(struct mem_pool *pool)
{
	for (struct mem_block *b = pool->last, *before; b; b = before) {
		before = b->before;
		free(b);
	}
	pool->last = NULL;
}

/* The keys come from the operator's files: nobody else can choose them to collide. */
static uint32_t map_hash(struct merlon_str s)
{
	const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t h = s.len * odd, v = 0;
	const char *p = s.ptr;
	uint64_t n = s.len;

	for (; n > 8; n -= 8, p += 8) {
		memcpy(&v, p, 8);
		h = (h ^ v) * odd;
		h ^= h >> 32;
	}
	if (n >= 4) {
		uint32_t first, last;
		memcpy(&first, p, 4);
		memcpy(&last, p + n - 4, 4);
		v = (uint64_t)first << 32 | last;
	} else {
		v = 0;
		for (; n > 0; n--)
			v = v << 8 | (unsigned char)*p++;
	}
	h = (h ^ v) * odd;
	return (uint32_t)(h ^ h >> 32);
}

void txt_map_init(struct txt_map *m, size_t expected)
{
	uint32_t cap = 8;

	while (cap / 2 < expected && cap < UINT32_C(1) << 30)
		cap *= 2;
	*m = (struct txt_map){mem_new(cap, sizeof(m->slots[0])), cap - 1, 0};
}

void txt_map_free(struct txt_map *m)
{
	free(m->slots);
	*m = (struct txt_map){0};
}

/* The hash stands in the slot, so that only what is probably the key is read. */
static struct txt_map_slot *map_find(const struct txt_map *m, struct merlon_str key, uint32_t hash)
{
	uint32_t i = hash & m->mask;

	while (m->slots[i].value != 0 &&
	       (m->slots[i].hash != hash || !txt_eq(m->slots[i].key, key)))
		i = (i + 1) & m->mask;
	return &m->slots[i];
}

static void map_double(struct txt_map *m)
{
	struct txt_map larger;

	txt_map_init(&larger, (size_t)m->mask + 1);
	for (uint32_t i = 0; i <= m->mask; i++) {
		const struct txt_map_slot *s = &m->slots[i];
		if (s->value != 0)
			*map_find(&larger, s->key, s->hash) = *s;
	}
	larger.used = m->used;
	free(m->slots);
	*m = larger;
}

uint32_t txt_map_put(struct txt_map *m, struct merlon_str key, uint32_t value)
{
	uint32_t hash = map_hash(key);
	struct txt_map_slot *s;

	if (m->used >= (m->mask + 1) / 2)
		map_double(m);
	s = map_find(m, key, hash);
	if (s->value != 0)
		return s->value - 1;
	*s = (struct txt_map_slot){key, value + 1, hash};
	m->used++;
	return TXT_MAP_NONE;
}

uint32_t txt_map_get(const struct txt_map *m, struct merlon_str key)
{
	return m->used > 0 ? map_find(m, key, map_hash(key))->value - 1 : TXT_MAP_NONE;
}
