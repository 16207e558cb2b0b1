/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The lexer of libconfig 1.5's grammar, as far as is needed to know strings and comments from
 * numbers and @include. It changes nothing; it only reports. The text belongs to the caller.
 */
#include "conf/scan.h"

#include <ctype.h>
#include <stdlib.h>

/* Names the first line with each fault; no sequence of UTF-8 goes over the end of a line. */
static void check_bytes(const char *file, struct str text, struct conf_diag *d)
{
	bool nul = false, utf8 = false;
	for (unsigned n = 1; text.p && !(nul && utf8); n++) {
		struct str line = str_split(&text, '\n');
		if (!nul && line.n > 0 && memchr(line.p, '\0', line.n)) {
			conf_error_at(d, file, n, "holds a NUL byte");
			nul = true;
		}
		if (!utf8 && !str_utf8_valid(line)) {
			conf_error_at(d, file, n, "is not valid UTF-8");
			utf8 = true;
		}
	}
}

void scan_init(struct scan *s, const char *file, struct str text, unsigned depth,
               struct conf_diag *d)
{
	*s = (struct scan){
	    .file = file, .text = text, .line = 1, .depth = depth, .line_start = true, .d = d};
	check_bytes(file, text, d);
}

static char peek(const struct scan *s, size_t ahead)
{
	return s->at + ahead < s->text.n ? s->text.p[s->at + ahead] : '\0';
}

static bool is_hex(char c)
{
	return isxdigit((unsigned char)c) != 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void skip_line(struct scan *s)
{
	while (s->at < s->text.n && s->text.p[s->at] != '\n')
		s->at++;
}

static void skip_comment(struct scan *s)
{
	unsigned from = s->line;
	for (s->at += 2; s->at < s->text.n; s->at++) {
		if (peek(s, 0) == '*' && peek(s, 1) == '/') {
			s->at += 2;
			return;
		}
		if (s->text.p[s->at] == '\n')
			s->line++;
	}
	conf_error_at(s->d, s->file, from, "comment is not closed");
}

static void skip_string(struct scan *s)
{
	unsigned from = s->line;
	s->at++;
	while (s->at < s->text.n) {
		char c = s->text.p[s->at];
		if (c == '"') {
			s->at++;
			return;
		}
		if (c == '\n')
			s->line++;
		if (c == '\\' && (peek(s, 1) == '\\' || peek(s, 1) == '"')) {
			s->at += 2;
			continue;
		}
		if (c == '\\' && peek(s, 1) == 'x' && peek(s, 2) == '0' && peek(s, 3) == '0')
			conf_error_at(s->d, s->file, s->line, "\\x00 cannot stand in a string");
		s->at++;
	}
	conf_error_at(s->d, s->file, from, "string is not closed");
}

static void skip_name(struct scan *s)
{
	while (isalnum((unsigned char)peek(s, 0)) || peek(s, 0) == '_' || peek(s, 0) == '-' ||
	       peek(s, 0) == '*')
		s->at++;
}

/* Digits of base 10 or 16 as the amount without its sign; false: it does not fit 64 bits. */
static bool amount(struct str digits, unsigned base, uint64_t *out)
{
	uint64_t v = 0;
	for (size_t i = 0; i < digits.n; i++) {
		char c = digits.p[i];
		unsigned one =
		    is_digit(c) ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, one, &v))
			return false;
	}
	*out = v;
	return true;
}

static void check_integer(struct scan *s, struct str digits, unsigned base, bool negative,
                          bool is_long)
{
	uint64_t v;
	const char *sign = negative ? "-" : "";
	const char *prefix = base == 16 ? "0x" : "";
	if (!amount(digits, base, &v) || v > (uint64_t)INT64_MAX + (negative ? 1 : 0))
		conf_error_at(s->d, s->file, s->line, "integer %s%s%.*s is out of range", sign,
		              prefix, STR_FMT(digits));
	else if (!is_long && v > (uint64_t)INT32_MAX + (negative ? 1 : 0))
		conf_error_at(s->d, s->file, s->line,
		              "integer %s%s%.*s is out of range without an L behind it (a size is "
		              "written as a "
		              "string, such as \"3G\")",
		              sign, prefix, STR_FMT(digits));
}

/* The part of a float behind its leading digits; false: these digits are an integer. */
static bool skip_fraction(struct scan *s)
{
	bool is_float = false;
	if (peek(s, 0) == '.') {
		is_float = true;
		s->at++;
		while (is_digit(peek(s, 0)))
			s->at++;
	}
	if (peek(s, 0) == 'e' || peek(s, 0) == 'E') {
		size_t sign = peek(s, 1) == '+' || peek(s, 1) == '-' ? 1 : 0;
		if (is_digit(peek(s, 1 + sign))) {
			is_float = true;
			s->at += 1 + sign;
			while (is_digit(peek(s, 0)))
				s->at++;
		}
	}
	return is_float;
}

static void skip_number(struct scan *s)
{
	bool negative = peek(s, 0) == '-';
	unsigned base = 10;
	if (peek(s, 0) == '-' || peek(s, 0) == '+')
		s->at++;
	if (peek(s, 0) == '0' && (peek(s, 1) == 'x' || peek(s, 1) == 'X') && is_hex(peek(s, 2))) {
		base = 16;
		s->at += 2;
	}
	size_t from = s->at;
	while (base == 16 ? is_hex(peek(s, 0)) : is_digit(peek(s, 0)))
		s->at++;
	struct str digits = {s->text.p + from, s->at - from};
	if (base == 10 && skip_fraction(s))
		return;
	bool is_long = peek(s, 0) == 'L';
	while (peek(s, 0) == 'L')
		s->at++;
	check_integer(s, digits, base, negative, is_long);
}

static bool at_include(struct scan *s)
{
	static const struct str word = {"@include", 8};
	struct str rest = {s->text.p + s->at, s->text.n - s->at};
	unsigned line = s->line;
	size_t start = s->at;
	if (s->line_start && str_starts(rest, word) &&
	    (peek(s, word.n) == ' ' || peek(s, word.n) == '\t')) {
		s->at += word.n;
		while (peek(s, 0) == ' ' || peek(s, 0) == '\t')
			s->at++;
		size_t from = s->at;
		if (peek(s, 0) == '"') {
			skip_string(s);
			s->include_at = start;
			s->include_line = line;
			s->include = (struct str){s->text.p + from + 1, s->at - from - 2};
			s->line_start = false;
			/* An open string has been reported, and its slice may be short of the
			 * quote. */
			return s->at - from >= 2 && s->text.p[s->at - 1] == '"';
		}
	}
	conf_error_at(s->d, s->file, line,
	              "\"@\" may only begin a line of the form @include \"FILE\"");
	s->at = start + 1;
	return false;
}

static void bracket(struct scan *s, char c)
{
	if (strchr("([{", c)) {
		if (++s->depth == SCAN_DEPTH_MAX + 1)
			conf_error_at(s->d, s->file, s->line, "nested deeper than %d brackets",
			              SCAN_DEPTH_MAX);
	} else if (s->depth > 0) {
		s->depth--;
	}
	s->at++;
}

static bool begins_number(const struct scan *s)
{
	size_t sign = peek(s, 0) == '-' || peek(s, 0) == '+' ? 1 : 0;
	return is_digit(peek(s, sign));
}

static bool begins_comment(const struct scan *s)
{
	return peek(s, 0) == '/' && peek(s, 1) == '*';
}

static bool begins_remark(const struct scan *s)
{
	return peek(s, 0) == '#' || (peek(s, 0) == '/' && peek(s, 1) == '/');
}

static void skip_token(struct scan *s, char c)
{
	if (c == '"')
		skip_string(s);
	else if (begins_remark(s))
		skip_line(s);
	else if (begins_comment(s))
		skip_comment(s);
	else if (isalpha((unsigned char)c) || c == '*')
		skip_name(s);
	else if (begins_number(s))
		skip_number(s);
	else if (c == '.' && is_digit(peek(s, 1)))
		skip_fraction(s);
	else if (c != '\0' && strchr("()[]{}", c))
		bracket(s, c);
	else
		s->at++;
}

bool scan_next(struct scan *s)
{
	while (s->at < s->text.n) {
		char c = s->text.p[s->at];
		if (c == '\n') {
			s->line++;
			s->line_start = true;
			s->at++;
			continue;
		}
		if (c == ' ' || c == '\t') {
			s->at++;
			continue;
		}
		if (c == '@') {
			if (at_include(s))
				return true;
		} else {
			skip_token(s, c);
		}
		s->line_start = false;
	}
	return false;
}
