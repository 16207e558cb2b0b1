/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Reading numbers, durations, sizes, rates, globs and UTF-8 out of text. Nothing here allocates,
 * and nothing takes a sign, a space or a fraction that its form does not name.
 */
#include <limits.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/utf8.h"
#include "base/vector.h"

#define DURATION_MAX (UINT64_C(1) << 62)
#define WORD_MAX 64

bool str_u64(struct str s, uint64_t *out)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';

		if (digit > 9 || __builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, digit, &v))
			return false;
	}
	*out = v;
	return true;
}

bool str_i64(struct str s, int64_t *out)
{
	bool minus = s.n && s.p[0] == '-';
	uint64_t v;

	if (minus) {
		s.p++;
		s.n--;
	}
	if (!str_u64(s, &v) || v > (uint64_t)INT64_MAX + minus)
		return false;
	*out = minus ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

bool str_glob(struct str pattern, struct str text)
{
	size_t p = 0, t = 0;
	size_t star = SIZE_MAX; /* the last '*' and the text it stands for ends at `mark` */
	size_t mark = 0;

	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			mark = t;
		} else if (p < pattern.n && (pattern.p[p] == '?' || pattern.p[p] == text.p[t])) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			/* Only the last star need ever take one byte more: no recursion. */
			p = star + 1;
			t = ++mark;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

static size_t digits(struct str s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
		n++;
	return n;
}

static uint64_t duration_unit(struct str unit)
{
	if (str_eq(unit, STR("ms")))
		return NS_PER_MS;
	if (unit.n != 1)
		return 0;
	switch (unit.p[0]) {
	case 's':
		return NS_PER_S;
	case 'm':
		return 60 * NS_PER_S;
	case 'h':
		return 3600 * NS_PER_S;
	case 'd':
		return 86400 * NS_PER_S;
	default:
		return 0;
	}
}

bool str_duration(struct str s, uint64_t *ns)
{
	size_t n = digits(s);
	uint64_t count, unit, total;

	if (!str_u64((struct str){s.p, n}, &count))
		return false;
	if (n == s.n) {
		if (count != 0 || n != 1)
			return false;
		*ns = 0;
		return true;
	}
	unit = duration_unit((struct str){s.p + n, s.n - n});
	if (!unit || __builtin_mul_overflow(count, unit, &total) || total > DURATION_MAX)
		return false;
	*ns = total;
	return true;
}

bool str_size(struct str s, uint64_t *bytes)
{
	size_t n = digits(s);
	uint64_t count;
	unsigned shift = 0;

	if (!str_u64((struct str){s.p, n}, &count) || s.n > n + 1)
		return false;
	if (s.n == n + 1) {
		switch (s.p[n]) {
		case 'K':
			shift = 10;
			break;
		case 'M':
			shift = 20;
			break;
		case 'G':
			shift = 30;
			break;
		default:
			return false;
		}
	}
	if (count > UINT64_MAX >> shift)
		return false;
	*bytes = count << shift;
	return true;
}

bool str_rate(struct str s, uint64_t *count, uint64_t *window_ns)
{
	struct str per = s;
	struct str number = str_split(&per, '/');
	uint64_t n, window;

	if (!per.p || !str_u64(number, &n))
		return false;
	if (digits(per) == 0)
		window = duration_unit(per);
	else if (!str_duration(per, &window))
		return false;
	if (window == 0)
		return false;
	*count = n;
	*window_ns = window;
	return true;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

unsigned str_distance(struct str a, struct str b)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *before = rows[0], *above = rows[1], *row = rows[2];

	if (a.n > WORD_MAX || b.n > WORD_MAX)
		return UINT_MAX;
	for (size_t j = 0; j <= b.n; j++)
		before[j] = above[j] = (unsigned)j;
	for (size_t i = 1; i <= a.n; i++) {
		unsigned *spare = before;

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b.n; j++) {
			unsigned differ = a.p[i - 1] != b.p[j - 1];

			row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + differ);
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] &&
			    a.p[i - 2] == b.p[j - 1] && before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		before = above;
		above = row;
		row = spare;
	}
	return above[b.n];
}

const char *str_suggest(struct str word, const char *const *candidates, size_t n)
{
	unsigned nearest = 1 + (unsigned)(word.n < WORD_MAX ? word.n : WORD_MAX) / 4;
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		unsigned d = str_distance(word, str_of(candidates[i]));

		if (d < nearest || (d == nearest && !found)) {
			nearest = d;
			found = candidates[i];
		}
	}
	return found;
}

bool str_utf8_valid(struct str s)
{
	size_t i = 0;

	while (i < s.n) {
		size_t len = 1;

		if (s.n - i >= 8 && !(word_load(s.p + i) & WORD_HIGH)) {
			i += 8;
			continue;
		}
		if ((unsigned char)s.p[i] >= 0x80)
			len = utf8_char(s.p + i, s.n - i);
		if (!len)
			return false;
		i += len;
	}
	return true;
}
