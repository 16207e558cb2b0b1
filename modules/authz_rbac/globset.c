/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Globs by prefix. Of the prefixes sorted as bytes, those that a text begins with are the last one
 * that is not greater than the text, or one of its parents: whatever lies between a prefix of the
 * text and the text begins with it too.
 */
#include "globset.h"

#include <stdlib.h>

static int order(struct merlon_str a, struct merlon_str b)
{
	uint64_t n = a.len < b.len ? a.len : b.len;
	int r = n > 0 ? memcmp(a.ptr, b.ptr, n) : 0;

	return r != 0 ? r : (a.len > b.len) - (a.len < b.len);
}

static bool begins(struct merlon_str s, struct merlon_str prefix)
{
	return s.len >= prefix.len &&
	       (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

static struct merlon_str prefix_of(const struct globset_entry *e)
{
	return (struct merlon_str){e->glob.ptr, e->prefix};
}

void globset_add(struct globset *s, struct merlon_str glob, uint32_t value, uint32_t mask)
{
	uint32_t prefix = 0;

	while (prefix < glob.len && glob.ptr[prefix] != '*' && glob.ptr[prefix] != '?')
		prefix++;
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 4;
		s->entries = mem_grow(s->entries, s->cap, sizeof(s->entries[0]));
	}
	s->entries[s->n++] = (struct globset_entry){glob, prefix, value, mask};
}

static int by_prefix(const void *a, const void *b)
{
	const struct globset_entry *x = a, *y = b;
	int r = order(prefix_of(x), prefix_of(y));

	return r != 0 ? r : (x->value > y->value) - (x->value < y->value);
}

static uint32_t parent_of(const struct globset *s, uint32_t at)
{
	uint32_t up = at - 1;

	if (at == 0)
		return GLOBSET_NONE;
	while (up != GLOBSET_NONE && !begins(s->prefixes[at].text, s->prefixes[up].text))
		up = s->prefixes[up].parent;
	return up;
}

void globset_sort(struct globset *s)
{
	if (s->n == 0)
		return;
	qsort(s->entries, s->n, sizeof(s->entries[0]), by_prefix);
	s->prefixes = mem_new(s->n, sizeof(s->prefixes[0]));
	for (uint32_t i = 0, end; i < s->n; i = end) {
		struct globset_prefix *p = &s->prefixes[s->nprefixes];
		p->text = prefix_of(&s->entries[i]);
		for (end = i + 1; end < s->n && txt_eq(prefix_of(&s->entries[end]), p->text);)
			end++;
		p->begin = i;
		p->end = end;
		p->parent = parent_of(s, s->nprefixes++);
	}
}

void globset_free(struct globset *s)
{
	free(s->entries);
	free(s->prefixes);
	*s = (struct globset){0};
}

struct globset_at globset_find(const struct globset *s, struct merlon_str text)
{
	uint32_t low = 0, high = s->nprefixes; /* the first that is greater lies in between */

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (order(s->prefixes[middle].text, text) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	uint32_t at = low - 1; /* GLOBSET_NONE if low is 0 */
	while (at != GLOBSET_NONE && !begins(text, s->prefixes[at].text))
		at = s->prefixes[at].parent;
	return (struct globset_at){at, at == GLOBSET_NONE ? 0 : s->prefixes[at].begin};
}

static bool rest_matches(const struct globset_entry *e, struct merlon_str text)
{
	uint64_t n = e->prefix;

	return txt_glob((struct merlon_str){e->glob.ptr + n, e->glob.len - n},
	                (struct merlon_str){text.ptr + n, text.len - n});
}

uint32_t globset_next(const struct globset *s, struct globset_at *at, struct merlon_str text,
                      uint32_t mask, uint32_t below)
{
	while (at->prefix != GLOBSET_NONE) {
		const struct globset_prefix *p = &s->prefixes[at->prefix];
		while (at->entry < p->end && s->entries[at->entry].value < below) {
			const struct globset_entry *e = &s->entries[at->entry++];
			if ((e->mask & mask) && rest_matches(e, text))
				return e->value;
		}
		at->prefix = p->parent;
		at->entry = p->parent == GLOBSET_NONE ? 0 : s->prefixes[p->parent].begin;
	}
	return GLOBSET_NONE;
}

bool globset_has(const struct globset *s, struct merlon_str text)
{
	struct globset_at at = globset_find(s, text);

	return globset_next(s, &at, text, UINT32_MAX, GLOBSET_NONE) != GLOBSET_NONE;
}
