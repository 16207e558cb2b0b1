/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Heads of the parts of forms, and names of fields. Only the parameters that a form needs are
 * known: each other one (continuations of RFC 2231 above all) is read by some parsers and not by
 * others.
 */
#include "http/partname.h"

#include "http/chars.h"
#include "http/form.h"
#include "http/headers.h"

/* ---- parameters ---- */
static size_t token_length(struct str s)
{
	size_t n = 0;

	while (n < s.n && http_is(s.p[n], CHAR_TOKEN))
		n++;
	return n;
}

static struct str cut(struct str s, size_t n)
{
	return (struct str){s.p + n, s.n - n};
}

/* The length of the quoted string at s, quotes included; 0: it does not end. */
static size_t quoted_length(struct str s, bool *escaped)
{
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '"')
			return i + 1;
		if (s.p[i] == '\\') {
			*escaped = true;
			i++;
		}
	}
	return 0;
}

bool part_param_next(struct str *rest, struct part_param *out)
{
	struct str s;
	size_t n;

	if (!rest->p)
		return false;
	s = str_trim(*rest);
	n = token_length(s);
	if (n == 0 || n == s.n || s.p[n] != '=')
		return false;
	*out = (struct part_param){.name = {s.p, n}};
	s = cut(s, n + 1);
	if (s.n > 0 && s.p[0] == '"') {
		n = quoted_length(s, &out->escaped);
		if (n == 0)
			return false;
		out->value = (struct str){s.p + 1, n - 2};
		out->quoted = true;
	} else {
		n = token_length(s);
		if (n == 0)
			return false;
		out->value = (struct str){s.p, n};
	}
	s = str_trim(cut(s, n));
	if (s.n > 0 && s.p[0] != ';')
		return false;
	*rest = s.n > 0 ? cut(s, 1) : STR_NONE;
	return true;
}

/* ---- names ---- */
static char folded(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c | 0x20);
	return c == '[' || c == '.' || c == ' ' ? '_' : c;
}

enum form_name form_name_is(struct str name, struct str want)
{
	size_t k = 0;

	if (str_eq(name, want))
		return FORM_WANTED;
	/* Readers of text drop a byte order mark; those of brackets begin with any of them. */
	if (str_starts(name, STR("\xef\xbb\xbf")))
		name = cut(name, 3);
	name = str_trim(name);
	while (name.n > 0 && (name.p[0] == '[' || name.p[0] == '.'))
		name = cut(name, 1);
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		/* Some ignore what follows the bracket that closes a name. */
		if (c == ']' && k == want.n)
			return FORM_DOUBTFUL;
		if (c == ']')
			continue;
		if (k == want.n)
			return c == '[' || c == '.' ? FORM_DOUBTFUL : FORM_OTHER;
		if (folded(c) != folded(want.p[k++]))
			return FORM_OTHER;
	}
	return k == want.n ? FORM_DOUBTFUL : FORM_OTHER;
}

/* ---- fields ---- */
struct seen {
	bool disposition, type, coding, length, filename, encoded_filename;
};

/* False: what must stand once came again. */
static bool once(bool *seen)
{
	bool again = *seen;

	*seen = true;
	return !again;
}

/* Some parsers look for "name=" with an expression, quotes or not. */
static bool hides_name(struct str value)
{
	for (size_t i = 0; i + 5 <= value.n; i++)
		if (str_ieq((struct str){value.p + i, 5}, STR("name=")))
			return true;
	return false;
}

static const char *take_name(const struct part_param *p, struct part_head *out)
{
	if (out->name.p)
		return "a part of the form has two names";
	if (p->value.n == 0 || p->value.n > FORM_NAME_MAX || !str_utf8_valid(p->value) ||
	    str_find(p->value, '%') >= 0)
		return "a name of the form is not plain text";
	/* Single quotes are quotes to some. To others a name without any is none when a blank
	 * follows; behind the value stands at least its line's CR. */
	if (!p->quoted && (str_find(p->value, '\'') >= 0 ||
	                   (p->value.p[p->value.n] != ';' && p->value.p[p->value.n] != '\r')))
		return "a name of the form is not plain text";
	out->name = p->value;
	return NULL;
}

static const char *take_param(const struct part_param *p, struct seen *seen, struct part_head *out)
{
	if (p->escaped || hides_name(p->value))
		return "the head of a part of the form can be read in two ways";
	if (str_ieq(p->name, STR("name")))
		return take_name(p, out);
	if (str_ieq(p->name, STR("filename"))
	        ? !once(&seen->filename)
	        : !str_ieq(p->name, STR("filename*")) || !once(&seen->encoded_filename))
		return "the head of a part of the form can be read in two ways";
	out->file = true;
	return NULL;
}

static const char *disposition(struct str value, struct seen *seen, struct part_head *out)
{
	struct str first = str_trim(str_split(&value, ';'));
	const char *why = NULL;
	struct part_param p;

	/* Before a tab some find no name. */
	if (str_find(first, '\t') >= 0 || str_find(value, '\t') >= 0)
		return "the head of a part of the form can be read in two ways";
	if (!str_ieq(first, STR("form-data")))
		return "a part of the form is no form-data";
	while (!why && part_param_next(&value, &p))
		why = take_param(&p, seen, out);
	if (!why && value.p)
		why = "the head of a part of the form is malformed";
	return why;
}

/* Whether text of this type is read as the bytes that it is. */
static bool plain_type(struct str value)
{
	struct part_param p;

	if (!str_ieq(http_media_type(value), STR("text/plain")))
		return false;
	(void)str_split(&value, ';');
	while (part_param_next(&value, &p))
		if (str_ieq(p.name, STR("charset")) && !str_ieq(p.value, STR("utf-8")) &&
		    !str_ieq(p.value, STR("us-ascii")))
			return false;
	return !value.p;
}

static bool plain_coding(struct str value)
{
	return str_ieq(value, STR("7bit")) || str_ieq(value, STR("8bit")) ||
	       str_ieq(value, STR("binary"));
}

/* Parts within a part have fields of their own, for those who look. */
static bool nests(struct str type)
{
	struct str media = http_media_type(type);

	return (media.n >= 10 && str_ieq((struct str){media.p, 10}, STR("multipart/"))) ||
	       (media.n >= 8 && str_ieq((struct str){media.p, 8}, STR("message/")));
}

static const char *take_field(struct str name, struct str value, struct seen *seen,
                              struct part_head *out)
{
	static const char twice[] = "a field of a part of the form comes twice";

	if (str_ieq(name, STR("content-disposition")))
		return once(&seen->disposition) ? disposition(value, seen, out) : twice;
	if (str_ieq(name, STR("content-type"))) {
		out->plain &= plain_type(value);
		if (nests(value))
			return "a part of the form has parts of its own";
		return once(&seen->type) ? NULL : twice;
	}
	if (str_ieq(name, STR("content-length"))) {
		out->sized = true;
		if (!str_u64(value, &out->length))
			return "a part of the form has another length";
		return once(&seen->length) ? NULL : twice;
	}
	if (str_ieq(name, STR("content-encoding")))
		return "a part of the form is encoded";
	if (!str_ieq(name, STR("content-transfer-encoding")))
		return NULL;
	if (!plain_coding(value))
		return "a part of the form is encoded";
	return once(&seen->coding) ? NULL : twice;
}

static const char *take_line(struct str line, struct seen *seen, struct part_head *out)
{
	static const char malformed[] = "the head of a part of the form is malformed";
	size_t n = token_length(line);
	struct str value;

	if (n == 0 || n == line.n || line.p[n] != ':')
		return malformed;
	value = str_trim(cut(line, n + 1));
	for (size_t i = 0; i < value.n; i++)
		if (!http_is(value.p[i], CHAR_VALUE))
			return malformed;
	/* There are readers that give the whole form up then, and go on without it. */
	if (!str_utf8_valid(value))
		return malformed;
	return take_field((struct str){line.p, n}, value, seen, out);
}

const char *part_head_read(struct str head, struct part_head *out)
{
	struct seen seen = {false};
	const char *why = NULL;

	*out = (struct part_head){.plain = true};
	while (!why && head.n > 2) {
		struct str line = str_split(&head, '\n');

		/* A line of its own CR only, or none: the value's check finds other CRs. */
		if (line.n == 0 || line.p[line.n - 1] != '\r')
			return "a line of the form does not end with CRLF";
		line.n--;
		why = take_line(line, &seen, out);
	}
	if (!why && !out->name.p)
		why = "a part of the form has no name";
	if (!why && str_ieq(out->name, STR("_charset_")))
		why = "the form names a charset";
	return why;
}
