/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Matching from the end: for each wildcard the places where the rest of the pattern matches are
 * marked once, so that no name makes it go back and forth.
 */
#include "pattern.h"

const char *pattern_parse(struct pattern *p, struct merlon_str text)
{
	uint64_t from = 0;

	*p = (struct pattern){.n = 0};
	if (text.len == 0 || text.len > PATTERN_MAX)
		return "must have 1 to 1024 characters";
	for (uint64_t i = 0; i < text.len; i++) {
		if (text.ptr[i] != '*')
			continue;
		if (p->n == PATTERN_WILD)
			return "has more than 9 wildcards";
		p->literal[p->n] = (struct merlon_str){text.ptr + from, i - from};
		p->any[p->n] = i + 1 < text.len && text.ptr[i + 1] == '*';
		i += p->any[p->n];
		from = i + 1;
		if (from < text.len && text.ptr[from] == '*')
			return "has more than two * in a row";
		p->n++;
	}
	p->literal[p->n] = (struct merlon_str){text.ptr + from, text.len - from};
	return NULL;
}

static bool stands_at(struct merlon_str literal, struct merlon_str name, uint64_t at)
{
	return literal.len <= name.len - at &&
	       (literal.len == 0 || memcmp(name.ptr + at, literal.ptr, literal.len) == 0);
}

/* ends[e]: wildcard i may end before byte e, so that all behind it matches. */
static void mark_ends(const struct pattern *p, unsigned i, char separator, struct merlon_str name,
                      const bool *next, bool *ends)
{
	struct merlon_str literal = p->literal[i + 1];
	bool reach = false; /* the wildcard behind the literal may begin at `begin` */
	uint64_t begin = name.len;

	memset(ends, 0, name.len + 1);
	if (literal.len > name.len)
		return;
	if (i + 1 == p->n) {
		ends[name.len - literal.len] = stands_at(literal, name, name.len - literal.len);
		return;
	}
	for (uint64_t e = name.len - literal.len + 1; e-- > 0;) {
		while (begin > e + literal.len) {
			begin--;
			reach = (p->any[i + 1] || name.ptr[begin] != separator) &&
			        (reach || next[begin + 1]);
		}
		ends[e] = reach && stands_at(literal, name, e);
	}
}

bool pattern_match(const struct pattern *p, char separator, struct merlon_str name,
                   struct merlon_str catches[PATTERN_WILD + 1])
{
	bool ends[PATTERN_WILD][PATTERN_NAME + 1];
	uint64_t at = p->literal[0].len;

	if (name.len > PATTERN_NAME || !stands_at(p->literal[0], name, 0) ||
	    (p->n == 0 && at != name.len))
		return false;
	for (unsigned i = p->n; i-- > 0;)
		mark_ends(p, i, separator, name, i + 1 < p->n ? ends[i + 1] : NULL, ends[i]);
	memset(catches, 0, (PATTERN_WILD + 1) * sizeof(catches[0]));
	catches[0] = name;
	for (unsigned i = 0; i < p->n; i++) {
		uint64_t e = at;
		do {
			if (e == name.len || (!p->any[i] && name.ptr[e] == separator))
				return false;
			e++;
		} while (!ends[i][e]);
		catches[i + 1] = (struct merlon_str){name.ptr + at, e - at};
		at = e + p->literal[i + 1].len;
	}
	return true;
}

const char *value_check(struct merlon_str value, unsigned n)
{
	if (value.len == 0 || value.len > PATTERN_MAX)
		return "must have 1 to 1024 characters";
	for (uint64_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.ptr[i];
		if (c < 0x20 || c == 0x7f)
			return "holds control characters";
		if (c != '$')
			continue;
		if (++i == value.len ||
		    (value.ptr[i] != '$' && (value.ptr[i] < '0' || value.ptr[i] > '9')))
			return "has a $ that neither a digit nor another $ follows";
		if (value.ptr[i] != '$' && (unsigned)(value.ptr[i] - '0') > n)
			return "names a wildcard that its pattern does not have";
	}
	return NULL;
}

uint64_t value_expand(struct merlon_str value, const struct merlon_str catches[PATTERN_WILD + 1],
                      char *out, uint64_t cap)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < value.len; i++) {
		struct merlon_str piece = {value.ptr + i, 1};
		if (value.ptr[i] == '$') {
			char c = value.ptr[++i];
			piece = c == '$' ? (struct merlon_str){value.ptr + i, 1} : catches[c - '0'];
		}
		if (piece.len > cap - n)
			return UINT64_MAX;
		memcpy(out + n, piece.ptr, piece.len);
		n += piece.len;
	}
	return n;
}
