/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Names the core knows: methods, fields, and the prefixes under which identity travels.
 */
#include "http/head.h"
#include "http/headers.h"
#include "http/scan.h"

#define SLOTS 64

struct known {
	char name[30]; /* lower case; the size makes a slot's place a shift */
	uint8_t n;
	uint8_t id; /* enum http_field_id */
};

/* No two names fall into one slot, so a name is compared with one other at most. The compiler says
 * where an addition breaks that: an initialiser is overridden. */
#define SLOT(n, first, last) (((n)*5u + (unsigned)(first)*9u + (unsigned)(last)*16u) % SLOTS)
#define KNOWN(first, last, text, id)                                                               \
	[SLOT(sizeof(text) - 1, first, last)] = {text, sizeof(text) - 1, id}
static const struct known known[SLOTS] = {
    KNOWN('t', 'e', "te", HTTP_F_TE),
    KNOWN('h', 't', "host", HTTP_F_HOST),
    KNOWN('d', 'e', "date", HTTP_F_DATE),
    KNOWN('c', 'e', "cookie", HTTP_F_COOKIE),
    KNOWN('e', 't', "expect", HTTP_F_EXPECT),
    KNOWN('s', 'r', "server", HTTP_F_SERVER),
    KNOWN('a', 'y', "api-key", HTTP_F_API_KEY),
    KNOWN('u', 'e', "upgrade", HTTP_F_UPGRADE),
    KNOWN('t', 'r', "trailer", HTTP_F_TRAILER),
    KNOWN('x', 'y', "x-api-key", HTTP_F_X_API_KEY),
    KNOWN('f', 'd', "forwarded", HTTP_F_FORWARDED),
    KNOWN('x', 'p', "x-real-ip", HTTP_F_X_FORWARDED),
    KNOWN('c', 'n', "connection", HTTP_F_CONNECTION),
    KNOWN('k', 'e', "keep-alive", HTTP_F_KEEP_ALIVE),
    KNOWN('t', 'e', "tracestate", HTTP_F_TRACESTATE),
    KNOWN('t', 't', "traceparent", HTTP_F_TRACEPARENT),
    KNOWN('c', 'e', "content-type", HTTP_F_CONTENT_TYPE),
    KNOWN('x', 'd', "x-request-id", HTTP_F_X_REQUEST_ID),
    KNOWN('a', 'n', "authorization", HTTP_F_AUTHORIZATION),
    KNOWN('c', 'h', "content-length", HTTP_F_CONTENT_LENGTH),
    KNOWN('h', 's', "http2-settings", HTTP_F_UPGRADE), /* a part of it */
    KNOWN('a', 'g', "accept-encoding", HTTP_F_ACCEPT_ENCODING),
    KNOWN('c', 'g', "content-encoding", HTTP_F_CONTENT_ENCODING),
    KNOWN('p', 'n', "proxy-connection", HTTP_F_PROXY_CONNECTION),
    KNOWN('t', 'g', "transfer-encoding", HTTP_F_TRANSFER_ENCODING),
    KNOWN('p', 'e', "proxy-authenticate", HTTP_F_PROXY_AUTHENTICATE),
    KNOWN('p', 'n', "proxy-authorization", HTTP_F_PROXY_AUTHORIZATION),
};

/* Names as upstreams written for CGI would read them, '_' as '-': whole, or all that begin so.
 * Identity is what only we may set; by an override some upstreams take another method or path than
 * the one that was authorised. */
struct special {
	const char *name; /* lower case; NULL ends a list */
	bool prefix;
	enum http_field_id id;
};

/* One list for each third letter; the first that fits counts. */
static const struct special of_a[] = {{"x-auth-request-", true, HTTP_F_RESERVED}, {0}};
static const struct special of_f[] = {
    {"x-forwarded-user", false, HTTP_F_RESERVED},
    {"x-forwarded-email", false, HTTP_F_RESERVED},
    {"x-forwarded-groups", false, HTTP_F_RESERVED},
    {"x-forwarded-client-cert", false, HTTP_F_RESERVED},
    {"x-forwarded-", true, HTTP_F_X_FORWARDED},
    {0},
};
static const struct special of_h[] = {
    {"x-http-method", false, HTTP_F_RESERVED},
    {"x-http-method-override", false, HTTP_F_RESERVED},
    {0},
};
static const struct special of_m[] = {
    {"remote-user", false, HTTP_F_RESERVED},
    {"x-merlon-", true, HTTP_F_RESERVED},
    {"x-method-override", false, HTTP_F_RESERVED},
    {0},
};
static const struct special of_o[] = {
    {"x-original-url", false, HTTP_F_RESERVED},
    {"x-original-uri", false, HTTP_F_RESERVED},
    {0},
};
static const struct special of_r[] = {
    {"x-ratelimit-", true, HTTP_F_X_RATELIMIT},
    {"x-remote-", true, HTTP_F_RESERVED},
    {"x-rewrite-url", false, HTTP_F_RESERVED},
    {"x-real-ip", false, HTTP_F_X_FORWARDED},
    {0},
};
static const struct special *const by_third['z' - 'a' + 1] = {
    ['a' - 'a'] = of_a, ['f' - 'a'] = of_f, ['h' - 'a'] = of_h,
    ['m' - 'a'] = of_m, ['o' - 'a'] = of_o, ['r' - 'a'] = of_r,
};

static char fold(char c)
{
	return c == '_' ? '-' : http_lower(c);
}

static bool is_special(struct str name, const struct special *s)
{
	size_t i = 0;

	for (; s->name[i]; i++) {
		if (i == name.n || fold(name.p[i]) != s->name[i])
			return false;
	}
	return s->prefix || i == name.n;
}

static __attribute__((noinline)) enum http_field_id id_of_special(struct str name)
{
	if (name.n < 3 || (http_lower(name.p[0]) != 'x' && http_lower(name.p[0]) != 'r'))
		return HTTP_F_OTHER;
	unsigned third = (uint8_t)http_lower(name.p[2]) - (unsigned)'a';
	if (third >= sizeof(by_third) / sizeof(by_third[0]) || !by_third[third])
		return HTTP_F_OTHER;
	for (const struct special *s = by_third[third]; s->name; s++) {
		if (is_special(name, s))
			return s->id;
	}
	return HTTP_F_OTHER;
}

/* Not 0 where eight bytes are not the same but for capitals. Letters, digits and '-' all have the
 * bit that makes a capital small: by it only a control could pass for one of them. */
static inline uint64_t differ(uint64_t w, uint64_t lower)
{
	return ((w | WORD_ONES * 0x20) ^ lower) | ((w - WORD_ONES * 0x20) & ~w & WORD_HIGH);
}

/* The first and the last four of 4 to 8 bytes. */
static inline uint64_t ends(const char *p, size_t n)
{
	uint32_t first;
	uint32_t last;

	memcpy(&first, p, sizeof(first));
	memcpy(&last, p + n - sizeof(last), sizeof(last));
	return (uint64_t)last << 32 | first;
}

/* By words that overlap. */
static bool same(const char *name, const char *lower, size_t n)
{
	if (n < 4)
		return n == 2 && http_lower(name[0]) == lower[0] && http_lower(name[1]) == lower[1];
	if (n < 8)
		return !differ(ends(name, n), ends(lower, n));
	uint64_t d = differ(word_load(name), word_load(lower)) |
	             differ(word_load(name + n - 8), word_load(lower + n - 8));
	if (n > 16)
		d |= differ(word_load(name + 8), word_load(lower + 8));
	return d == 0;
}

static inline const struct known *slot_of(const char *name, size_t n)
{
	/* A small letter for a capital; what else comes out is no letter of a known name. */
	unsigned first = (uint8_t)name[0] | 0x20u;
	unsigned last = (uint8_t)name[n - 1] | 0x20u;

	return &known[SLOT(n, first, last)];
}

enum http_field_id http_field_id_of(struct str name)
{
	if (name.n == 0)
		return HTTP_F_OTHER;
	const struct known *k = slot_of(name.p, name.n);
	if (k->n == name.n && same(name.p, k->name, name.n))
		return k->id;
	return id_of_special(name);
}

#if VECTOR_SSE2
/* The known name before the ':' in the sixteen bytes at p; NULL: there is none. What is known is
 * allowed, so most names need no other look. */
static inline const struct known *known_before_colon(const char *p)
{
	__m128i x = vector_load(p);
	unsigned colons = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, _mm_set1_epi8(':')));

	if (colons == 0 || (colons & 1))
		return NULL;
	unsigned n = (unsigned)__builtin_ctz(colons);
	const struct known *k = slot_of(p, n);
	if (k->n != n)
		return NULL;
	__m128i same = _mm_cmpeq_epi8(_mm_or_si128(x, _mm_set1_epi8(0x20)), vector_load(k->name));
	__m128i text = _mm_cmpgt_epi8(x, _mm_set1_epi8(0x1f));
	unsigned fits = (unsigned)_mm_movemask_epi8(_mm_and_si128(same, text));
	return (fits | ~0u << n) == ~0u ? k : NULL;
}
#endif

size_t http_name_end(const char *d, size_t at, size_t n, unsigned allowed, enum http_field_id *id)
{
#if VECTOR_SSE2
	const struct known *k = at + 16 <= n ? known_before_colon(d + at) : NULL;

	if (k) {
		*id = k->id;
		return at + k->n;
	}
#endif
	size_t end = scan_name(d, at, n, allowed);
	if (end == n || end == at || d[end] != ':')
		return 0;
	*id = http_field_id_of((struct str){d + at, end - at});
	return end;
}

enum http_method http_method_of(struct str token)
{
	static const struct {
		struct str name;
		enum http_method method;
	} methods[] = {
	    {STR("POST"), HTTP_POST},       {STR("GET"), HTTP_GET},
	    {STR("HEAD"), HTTP_HEAD},       {STR("PUT"), HTTP_PUT},
	    {STR("DELETE"), HTTP_DELETE},   {STR("PATCH"), HTTP_PATCH},
	    {STR("OPTIONS"), HTTP_OPTIONS}, {STR("CONNECT"), HTTP_CONNECT},
	    {STR("TRACE"), HTTP_TRACE},
	};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (str_eq(token, methods[i].name))
			return methods[i].method;
	}
	return HTTP_OTHER;
}
