/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What people see of a module's table of options: its part of the manual page, and which values are
 * not to be shown.
 */
#include "stack/optpriv.h"

static const struct merlon_option *row_of(const struct merlon_option *t, size_t n, size_t stride,
                                          struct str key)
{
	for (size_t i = 0; i < n; i++) {
		const struct merlon_option *o = opt_row(t, i, stride);

		if (o->key && str_eq(key, str_of(o->key)))
			return o;
	}
	return NULL;
}

struct search {
	struct str key;
	size_t stride;
	bool known; /* some row has that name */
	bool open;  /* some part of the table takes any key */
	bool secret;
};

static void search_rows(struct search *s, const struct merlon_option *t, size_t n, unsigned depth)
{
	for (size_t i = 0; i < n && depth < OPT_DEPTH_MAX; i++) {
		const struct merlon_option *o = opt_row(t, i, s->stride);

		s->open |= o->type == MERLON_OPT_ANY;
		if (str_eq(s->key, str_of(o->key))) {
			s->known = true;
			s->secret |= o->type == MERLON_OPT_SECRET;
		}
		if (o->sub)
			search_rows(s, o->sub, opt_rows(o->sub, s->stride), depth + 1);
	}
}

/* A name alone may stand anywhere in the table; one that is nowhere is a slip, perhaps of a
 * secret's name. */
static bool name_is_secret(const struct merlon_module *m, struct str key)
{
	struct search s = {.key = key, .stride = m->option_size};
	size_t n;
	const struct merlon_option *more = opt_generic(m->groups, &n);

	search_rows(&s, m->options, m->option_count, 0);
	s.known |= row_of(more, n, sizeof(*more), key) != NULL;
	return s.secret || (!s.known && !s.open);
}

bool options_is_secret(const struct merlon_module *m, struct str key)
{
	const struct merlon_option *t = m->options;
	size_t n = m->option_count;
	const struct merlon_option *o = NULL;

	if (str_find(key, '.') < 0)
		return name_is_secret(m, key);
	while (key.p) {
		o = row_of(t, n, m->option_size, str_split(&key, '.'));
		if (!o)
			return false;
		t = o->sub;
		n = opt_rows(t, m->option_size);
	}
	return o && o->type == MERLON_OPT_SECRET;
}

static const char *const type_names[] = {
    [MERLON_OPT_STR] = "string",        [MERLON_OPT_INT] = "integer",
    [MERLON_OPT_FLOAT] = "number",      [MERLON_OPT_BOOL] = "boolean",
    [MERLON_OPT_DURATION] = "duration", [MERLON_OPT_SIZE] = "size",
    [MERLON_OPT_RATE] = "rate",         [MERLON_OPT_ENUM] = "word",
    [MERLON_OPT_STRLIST] = "strings",   [MERLON_OPT_GROUP] = "group",
    [MERLON_OPT_LIST] = "list",         [MERLON_OPT_PATH] = "path",
    [MERLON_OPT_FILE] = "file",         [MERLON_OPT_CONFFILE] = "configuration file",
    [MERLON_OPT_SECRET] = "secret",     [MERLON_OPT_ANY] = "value",
    [MERLON_OPT_UPSTREAM] = "upstream", [MERLON_OPT_URL] = "URL",
};

/* Text of a module inside a macro's line or a line of its own: what mdoc would take for its own is
 * escaped. */
static int put_text(struct buf *out, const char *text)
{
	int r = 0;

	if (text[0] == '.' || text[0] == '\'')
		r = buf_adds(out, STR("\\&"));
	for (; r == 0 && *text; text++) {
		if (*text == '\\')
			r = buf_adds(out, STR("\\e"));
		else if (*text == '"')
			r = buf_adds(out, STR("\\(dq"));
		else if (*text == '\n')
			r = buf_adds(out, STR(" "));
		else
			r = buf_add(out, text, 1);
	}
	return r;
}

static int put_about(struct buf *out, const char *before, const char *text, const char *after)
{
	int r = buf_adds(out, str_of(before));

	if (r == 0)
		r = put_text(out, text);
	if (r == 0)
		r = buf_adds(out, str_of(after));
	return r;
}

static int put_row(const struct merlon_option *o, struct buf *out)
{
	int r = put_about(out, ".It Ic \"", o->key, "\" No = Ar \"");

	if (r == 0)
		r = put_about(out, "", type_names[o->type], "\"\n");
	if (r == 0)
		r = put_about(out, "", o->help, "\n");
	if (r == 0 && o->range && o->type == MERLON_OPT_ENUM)
		r = put_about(out, "One of ", o->range, ".\n");
	else if (r == 0 && o->range)
		r = put_about(out, "Range: ", o->range, ".\n");
	if (r == 0 && o->def)
		r = put_about(out, "Default: ", o->def[0] ? o->def : "empty", ".\n");
	else if (r == 0 && (o->flags & MERLON_OPT_REQUIRED))
		r = buf_adds(out, STR("Required.\n"));
	return r;
}

static int put_table(const struct merlon_option *t, size_t n, size_t stride, unsigned depth,
                     struct buf *out)
{
	int r = buf_adds(out, STR(".Bl -tag -width Ds\n"));

	for (size_t i = 0; i < n && r == 0; i++) {
		const struct merlon_option *o = opt_row(t, i, stride);

		r = put_row(o, out);
		if (r == 0 && o->sub && depth < OPT_DEPTH_MAX)
			r = put_table(o->sub, opt_rows(o->sub, stride), stride, depth + 1, out);
	}
	return r ? r : buf_adds(out, STR(".El\n"));
}

int options_mdoc(const struct merlon_module *m, struct buf *out)
{
	size_t n;
	const struct merlon_option *more = opt_generic(m->groups, &n);
	int r = 0;

	if (m->option_count > 0)
		r = put_table(m->options, m->option_count, m->option_size, 1, out);
	if (r == 0 && n > 0)
		r = buf_adds(out, STR("Beside these:\n"));
	if (r == 0 && n > 0)
		r = put_table(more, n, sizeof(*more), 1, out);
	return r;
}
