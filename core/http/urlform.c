/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * application/x-www-form-urlencoded. Names and values are decoded byte by byte ('+', %XX); a name
 * is kept until its end, which tells whether it is the wanted one.
 */
#include "http/form.h"

#include "http/chars.h"
#include "http/partname.h"

struct urlform {
	struct arena *arena;
	struct form_want *want;
	char name[FORM_NAME_MAX];
	size_t nname;
	char *value;
	size_t nvalue;
	uint64_t fed;
	uint8_t escape; /* 0: none; 1: '%' was read; 2: and a digit */
	uint8_t digit;
	bool in_value;
	bool wanted; /* the value under way is the field's */
	bool seen;
	bool over; /* finish() has passed */
	const char *error;
};

struct urlform *urlform_new(struct arena *a, struct form_want *want)
{
	struct urlform *f = arena_zalloc(a, sizeof(*f));

	f->arena = a;
	f->want = want;
	want->value = STR_NONE;
	return f;
}

static void fail(struct urlform *f, const char *why)
{
	if (!f->error)
		f->error = why;
}

static void name_end(struct urlform *f)
{
	struct str name = {f->name, f->nname};
	enum form_name is = form_name_is(name, f->want->name);

	if (str_ieq(name, STR("_charset_")))
		fail(f, "the form names a charset");
	if (is == FORM_OTHER)
		return;
	if (is == FORM_DOUBTFUL)
		fail(f, "a field's name is nearly that of the one that names the model");
	if (f->seen)
		fail(f, "the field that names the model comes twice");
	f->seen = f->wanted = true;
	f->value = arena_alloc(f->arena, f->want->max);
	f->nvalue = 0;
}

static void pair_end(struct urlform *f)
{
	if (!f->in_value)
		name_end(f);
	if (f->wanted)
		f->want->value = (struct str){f->value, f->nvalue};
	f->wanted = f->in_value = false;
	f->nname = 0;
}

static void put(struct urlform *f, char c)
{
	if (!f->in_value) {
		/* A name ends there for some. */
		if (c == 0)
			fail(f, "a NUL stands in a name of the form");
		/* Blanks before a name, as many as one likes, are nothing to some. */
		if (f->nname == FORM_NAME_MAX)
			fail(f, "a name of the form is too long");
		else
			f->name[f->nname++] = c;
	} else if (f->wanted && f->nvalue == f->want->max) {
		fail(f, "the field that names the model is too long");
	} else if (f->wanted) {
		f->value[f->nvalue++] = c;
	}
}

static void escaped(struct urlform *f, char c)
{
	int digit = http_hex(c);

	if (digit < 0) {
		fail(f, "a %-escape of the form is malformed");
	} else if (f->escape == 1) {
		f->digit = (uint8_t)digit;
		f->escape = 2;
	} else {
		f->escape = 0;
		put(f, (char)(f->digit << 4 | digit));
	}
}

static void byte(struct urlform *f, char c)
{
	if (f->escape) {
		escaped(f, c);
	} else if (c == '%') {
		f->escape = 1;
	} else if (c == '&') {
		pair_end(f);
	} else if (c == '=' && !f->in_value) {
		name_end(f);
		f->in_value = true;
	} else if (c == '=' && f->wanted && f->nvalue > 0 && f->value[f->nvalue - 1] == ']') {
		/* There are parsers whose names end with the last bracket before a '='. */
		fail(f, "a name of the form can be read in two ways");
	} else if (c == ';' || (unsigned char)c <= 0x20 || (unsigned char)c >= 0x7f) {
		/* A semicolon divides pairs in some parsers. */
		fail(f, "a byte of the form is not encoded");
	} else {
		put(f, c == '+' ? ' ' : c);
	}
}

const char *urlform_feed(struct urlform *f, const char *p, size_t n)
{
	for (size_t i = 0; i < n && !f->error; i++)
		byte(f, p[i]);
	f->fed += n;
	return f->error;
}

const char *urlform_finish(struct urlform *f)
{
	if (f->escape)
		fail(f, "a %-escape of the form is malformed");
	if (!f->error)
		pair_end(f);
	f->over = !f->error;
	return f->error;
}

uint64_t urlform_releasable(const struct urlform *f)
{
	return f->over || f->fed == 0 ? f->fed : f->fed - 1;
}
