/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Slices of text: comparing, cutting, searching. What reads numbers and patterns out of text is in
 * text.c.
 */
#include "base/str.h"

#include "base/mem.h"
#include "base/vector.h"

static unsigned char lower(char c)
{
	unsigned char u = (unsigned char)c;

	return u >= 'A' && u <= 'Z' ? (unsigned char)(u | 0x20) : u;
}

static bool same8(const char *a, const char *b)
{
	uint64_t x = word_load(a), y = word_load(b);

	return x == y || word_lower(x) == word_lower(y);
}

bool str_same_folded(const char *a, const char *b, size_t n)
{
	if (n >= 8) {
		for (size_t i = 0; i + 8 < n; i += 8)
			if (!same8(a + i, b + i))
				return false;
		return same8(a + n - 8, b + n - 8);
	}
	for (size_t i = 0; i < n; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

bool str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_eq((struct str){s.p, prefix.n}, prefix);
}

bool str_ends(struct str s, struct str suffix)
{
	if (suffix.n == 0)
		return true;
	return s.n >= suffix.n && memcmp(s.p + (s.n - suffix.n), suffix.p, suffix.n) == 0;
}

struct str str_trim(struct str s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

ptrdiff_t str_find(struct str s, char c)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

	return at ? at - s.p : -1;
}

struct str str_split(struct str *rest, char sep)
{
	struct str part = *rest;
	ptrdiff_t at = str_find(part, sep);

	if (at < 0) {
		*rest = STR_NONE;
		return part;
	}
	part.n = (size_t)at;
	rest->p += at + 1;
	rest->n -= (size_t)at + 1;
	return part;
}

char *str_dup(struct str s)
{
	char *z = xmalloc(s.n + 1);

	if (s.n)
		memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	return z;
}
