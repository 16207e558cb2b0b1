/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What auth_mtls reads byte by byte: names of certificates, patterns over them and values made of
 * what they caught. A pattern's answer is compared to that of a matcher which tries everything.
 * Input: pattern NUL value NUL name.
 */
#include "auth_mtls/names.h"
#include "auth_mtls/pattern.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whether the rest of the pattern matches the rest of the name, by trying all ends. */
static bool tries(const struct pattern *p, unsigned i, char separator, struct merlon_str name,
                  uint64_t at)
{
	struct merlon_str literal = p->literal[i];

	if (literal.len > name.len - at ||
	    (literal.len > 0 && memcmp(name.ptr + at, literal.ptr, literal.len) != 0))
		return false;
	at += literal.len;
	if (i == p->n)
		return at == name.len;
	while (at < name.len && (p->any[i] || name.ptr[at] != separator)) {
		if (tries(p, i + 1, separator, name, ++at))
			return true;
	}
	return false;
}

/* What was caught, put between the literals, is the name again. */
static void check_catches(const struct pattern *p, struct merlon_str name,
                          const struct merlon_str *catches)
{
	const char *at = name.ptr;

	for (unsigned i = 0; i <= p->n; i++) {
		at += p->literal[i].len;
		if (i < p->n && (catches[i + 1].ptr != at || catches[i + 1].len == 0))
			abort();
		at += i < p->n ? catches[i + 1].len : 0;
	}
	if (at != name.ptr + name.len || !txt_eq(catches[0], name))
		abort();
}

static void check_pattern(struct merlon_str pattern, struct merlon_str value,
                          struct merlon_str name)
{
	struct merlon_str catches[PATTERN_WILD + 1];
	struct pattern p;
	char out[512];
	uint64_t n;

	if (pattern_parse(&p, pattern) != NULL)
		return;
	for (const char *separator = "/."; *separator; separator++) {
		bool r = pattern_match(&p, *separator, name, catches);
		if (name.len <= 24 && r != tries(&p, 0, *separator, name, 0))
			abort();
		if (!r)
			continue;
		check_catches(&p, name, catches);
		if (value_check(value, p.n) != NULL)
			continue;
		n = value_expand(value, catches, out, sizeof(out));
		if (n != UINT64_MAX && n > sizeof(out))
			abort();
	}
}

static void check_names(struct merlon_str name)
{
	char folded[NAME_DNS_MAX];
	struct merlon_str domain;

	if (name_spiffe(name, &domain) == NULL &&
	    (!name_is_spiffe(name) || name_trust_domain(domain) != NULL ||
	     memchr(name.ptr, '\0', name.len) || memchr(name.ptr, '%', name.len)))
		abort();
	if (name_dns(name, folded) == NULL) {
		char again[NAME_DNS_MAX];
		if (memchr(folded, '\0', name.len) || memchr(folded, '*', name.len) ||
		    name_dns((struct merlon_str){folded, name.len}, again) != NULL ||
		    memcmp(folded, again, name.len) != 0)
			abort();
	}
	if (name_cn(name) == NULL && (name_is_spiffe(name) || name_clean(name) != NULL))
		abort();
}

/* The bytes up to the next NUL, or all that are left. */
static struct merlon_str part(char **p, size_t *left)
{
	char *nul = memchr(*p, '\0', *left);
	struct merlon_str s = {*p, nul ? (uint64_t)(nul - *p) : *left};
	size_t used = s.len + (nul != NULL);

	*p += used;
	*left -= used;
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* At its exact size, so that reading beyond is noticed. */
	char *copy = malloc(size ? size : 1), *p = copy;
	size_t left = size;

	if (size)
		memcpy(copy, data, size);
	check_names((struct merlon_str){copy, size});
	struct merlon_str pattern = part(&p, &left);
	struct merlon_str value = part(&p, &left);
	check_pattern(pattern, value, (struct merlon_str){p, left});
	free(copy);
	return 0;
}
