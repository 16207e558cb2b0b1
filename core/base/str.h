/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Slices of text: pointer and length, never NUL-terminated, owned by somebody else.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *p;
	size_t n;
};

#define STR(lit) ((struct str){"" lit, sizeof(lit) - 1})
#define STR_NONE ((struct str){NULL, 0})
#define STR_FMT(s) (int)(s).n, (s).p /* for "%.*s" */

static inline struct str str_of(const char *z)
{
	return (struct str){z, z ? strlen(z) : 0};
}
static inline bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
bool str_same_folded(const char *a, const char *b, size_t n); /* for str_ieq() */
/* ASCII case folded. Nearly all names that are compared differ in length. */
static inline bool str_ieq(struct str a, struct str b)
{
	return a.n == b.n && str_same_folded(a.p, b.p, a.n);
}
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
struct str str_trim(struct str s); /* SP and HTAB at both ends */
/* Cuts the part before the first `sep` off *rest and returns it; *rest.p is NULL after the last
 * part. */
struct str str_split(struct str *rest, char sep);
ptrdiff_t str_find(struct str s, char c); /* -1: not there */
/* Decimal digits only, no sign, no space. False: empty, another byte, or over UINT64_MAX. */
bool str_u64(struct str s, uint64_t *out);
bool str_i64(struct str s, int64_t *out); /* an optional '-' before the digits */
/* Glob with '*' (any bytes, none too) and '?' (one byte); every other byte stands for itself.
 * Linear in pattern times text at worst, no recursion. */
bool str_glob(struct str pattern, struct str text);
/* "250ms" "30s" "5m" "1h" "90d"; a bare "0" too. False: another form or over 2^62 ns. */
bool str_duration(struct str s, uint64_t *ns);
/* "16M" "32K" "1G" (powers of 1024) or a plain number of bytes. */
bool str_size(struct str s, uint64_t *bytes);
/* "100/1m": count per window; the window's number may be missing ("100/m"). */
bool str_rate(struct str s, uint64_t *count, uint64_t *window_ns);
/* Distance of two words (insert, delete, replace, swap), for "did you mean"; up to 64 bytes each.
 */
unsigned str_distance(struct str a, struct str b);
/* The candidate nearest to `word` at distance at most 1 + length/4; NULL if none. */
const char *str_suggest(struct str word, const char *const *candidates, size_t n);
bool str_utf8_valid(struct str s); /* RFC 3629: no overlong forms, no surrogates */
/* A NUL-terminated copy from the heap; aborts when memory is out. */
char *str_dup(struct str s);

#endif
