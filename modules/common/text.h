/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What the shipped modules need of text: the ABI's slices, globs, hex, points in time, suggestions,
 * and a small table from text to number. Modules link against nothing of the host, so they carry
 * their own.
 */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include <merlon/module.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define TXT(lit) ((struct merlon_str){"" lit, sizeof(lit) - 1})
#define TXT_FMT(s) (int)(s).len, (s).ptr /* for "%.*s" */

static inline struct merlon_str txt_of(const char *z)
{
	return (struct merlon_str){z, z ? strlen(z) : 0};
}
static inline bool txt_eq(struct merlon_str a, struct merlon_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
struct merlon_str txt_trim(struct merlon_str s); /* SP, HTAB and CR at both ends */
bool txt_is_plain(struct merlon_str s);          /* neither controls nor DEL in it */
/* A text attribute of the tx; ptr NULL: not set, or of another type. */
struct merlon_str txt_attr(const struct merlon_host *h, merlon_tx *tx, struct merlon_str key);
/* A reason that is put together; begins zeroed. Each part is cut at TXT_PUT_MAX bytes: the record
 * holds long names whole elsewhere. */
#define TXT_PUT_MAX 128
struct txt_line {
	char p[640];
	uint64_t n;
};
void txt_put(struct txt_line *t, struct merlon_str s);
/* The token of an Authorization field's value (RFC 6750 §2.1). False: another scheme, or none. */
bool txt_bearer(struct merlon_str field, struct merlon_str *token);
/* '*' any bytes, '?' one byte; no recursion, at worst pattern times text. */
bool txt_glob(struct merlon_str pattern, struct merlon_str text);
bool txt_is_glob(struct merlon_str s);
void txt_hex(const uint8_t *p, size_t n, char *out); /* 2n lower-case digits, no NUL */
int txt_unhex(struct merlon_str s, uint8_t *out);    /* lower case only; -1: another form */
/* Decimal digits of v to out; returns how many. */
#define TXT_U64_LEN 20
size_t txt_u64(char out[TXT_U64_LEN], uint64_t v);
extern const char txt_pairs[200]; /* "00" to "99" */
/* RFC 3339 with any offset and up to 9 digits of fraction, to microseconds since 1970; -1: another
 * form. */
int txt_rfc3339_parse(struct merlon_str s, int64_t *us);
#define TXT_RFC3339_LEN 27                               /* "2026-11-22T06:45:33.123456Z" */
void txt_rfc3339(int64_t us, char out[TXT_RFC3339_LEN]); /* years 1970 to 9999 */
/* Bytes of the UTF-8 sequence that begins at p (RFC 3629); 0: none does. */
size_t txt_utf8_len(const char *p, size_t n);
/* The word nearest to s, for "did you mean"; NULL: none is near. */
const char *txt_suggest(struct merlon_str s, const char *const *words, size_t n);

/* ---- memory: aborts when it is out, as all of Merlon does; ceilings stop hostile sizes before
 * ---- */
void *mem_new(size_t n, size_t size); /* zeroed */
void *mem_grow(void *p, size_t n, size_t size);
struct merlon_str
mem_copy(struct merlon_str s); /* with a NUL behind it; ptr is the caller's to free */

/* A pool: everything one instance keeps, freed together. */
struct mem_pool {
	struct mem_block *last;
};
void *pool_new(struct mem_pool *pool, size_t n, size_t size);            /* zeroed, aligned to 16 */
struct merlon_str pool_copy(struct mem_pool *pool, struct merlon_str s); /* with a NUL behind it */
void pool_free(struct mem_pool *pool);

/* ---- a table from text to number: filled at create, then read by all workers ---- */
struct txt_map {
	struct txt_map_slot {
		struct merlon_str key;
		uint32_t value; /* plus one; 0: the slot is empty */
		uint32_t hash;
	} * slots;
	uint32_t mask;
	uint32_t used;
};
#define TXT_MAP_NONE UINT32_MAX
void txt_map_init(struct txt_map *m, size_t expected);
void txt_map_free(struct txt_map *m);
/* The keys' bytes must outlive the table. The value that stands there already, or TXT_MAP_NONE: it
 * was added. */
uint32_t txt_map_put(struct txt_map *m, struct merlon_str key, uint32_t value);
uint32_t txt_map_get(const struct txt_map *m, struct merlon_str key); /* TXT_MAP_NONE: not there */

#endif
