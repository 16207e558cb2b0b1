/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Options for tests. A test's own mistake (bad grammar, unknown key, wrong type) aborts: the real
 * host has refused such a file before a module sees it.
 */
#include "common/fakecfg.h"

#include <stdio.h>
#include <stdlib.h>

enum kind { GROUP, LIST, SCALAR };

struct merlon_cfg {
	char *key;
	enum kind kind;
	bool quoted;
	bool raw;   /* within an ANY: each value by its own type */
	char *text; /* SCALAR */
	uint32_t line;
	const char *file;
	const struct merlon_option *options; /* of what stands in it */
	merlon_cfg *child, *last, *next;
	struct merlon_str *list; /* made by get() for a STRLIST */
	merlon_cfg *conffile;
};

struct reader {
	const char *p;
	const char *file;
	uint32_t line;
};

char fake_errors[16384];
unsigned fake_nerrors;

static struct {
	char *name, *text;
} files[16];

static void die(const char *what, const char *arg)
{
	fprintf(stderr, "fakecfg: %s: %s\n", what, arg);
	abort();
}

void fake_file(const char *name, const char *text)
{
	for (size_t i = 0; i < 16; i++) {
		if (!text || (files[i].name && strcmp(files[i].name, name) == 0)) {
			free(files[i].name);
			free(files[i].text);
			files[i].name = files[i].text = NULL;
		}
		if (text && !files[i].name) {
			files[i].name = strdup(name);
			files[i].text = strdup(text);
			return;
		}
	}
	if (text)
		die("too many files", name);
}

static const char *file_text(const char *name)
{
	for (size_t i = 0; i < 16; i++) {
		if (files[i].name && strcmp(files[i].name, name) == 0)
			return files[i].text;
	}
	return die("no such file", name), NULL;
}

static void skip(struct reader *r)
{
	for (;; r->p++) {
		if (*r->p == '#') {
			while (*r->p && *r->p != '\n')
				r->p++;
		}
		if (*r->p == '\n')
			r->line++;
		else if (*r->p == '\0' || !strchr(" \t,;", *r->p))
			return;
	}
}

static void read_members(struct reader *r, merlon_cfg *into, char close);

static void read_value(struct reader *r, merlon_cfg *c)
{
	static const char word[] =
	    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-+_";
	char open = *r->p;

	c->line = r->line;
	if (open == '{' || open == '(' || open == '[') {
		c->kind = open == '{' ? GROUP : LIST;
		r->p++;
		read_members(r, c, open == '{' ? '}' : open == '(' ? ')' : ']');
		return;
	}
	c->kind = SCALAR;
	c->quoted = open == '"';
	size_t n = c->quoted ? strcspn(r->p + 1, "\"") : strspn(r->p, word);
	if (n == 0 && !c->quoted)
		die("a value is wanted at", r->p);
	c->text = strndup(r->p + c->quoted, n);
	r->p += n + (c->quoted ? 2 : 0);
}

static merlon_cfg *add(merlon_cfg *into, const char *file)
{
	merlon_cfg *c = mem_new(1, sizeof(*c));

	c->file = file;
	if (into->last)
		into->last->next = c;
	else
		into->child = c;
	into->last = c;
	return c;
}

static void read_members(struct reader *r, merlon_cfg *into, char close)
{
	for (skip(r); *r->p != close; skip(r)) {
		if (*r->p == '\0')
			die("the end came before", (char[]){close, '\0'});
		merlon_cfg *c = add(into, r->file);
		if (into->kind == GROUP) {
			size_t n = strcspn(r->p, " =:\n");
			c->key = strndup(r->p, n);
			r->p += n;
			for (skip(r); *r->p == '=' || *r->p == ':'; skip(r))
				r->p++;
		}
		read_value(r, c);
	}
	if (close)
		r->p++;
}

static merlon_cfg *read_text(const char *file, const char *text)
{
	struct reader r = {text, file, 1};
	merlon_cfg *root = mem_new(1, sizeof(*root));

	root->kind = GROUP;
	root->line = 1;
	root->file = file;
	read_members(&r, root, '\0');
	return root;
}

static const struct merlon_option *row(const struct merlon_option *o, const char *key)
{
	for (; o && o->key; o++) {
		if (strcmp(o->key, key) == 0)
			return o;
	}
	return NULL;
}

static void make_raw(merlon_cfg *c)
{
	c->raw = true;
	for (merlon_cfg *m = c->child; m; m = m->next)
		make_raw(m);
}

static void give_types(merlon_cfg *c, const struct merlon_option *options)
{
	c->options = options;
	for (merlon_cfg *m = c->child; m; m = m->next) {
		const struct merlon_option *o = row(options, m->key);
		if (!o)
			die("unknown key", m->key);
		if (o->type == MERLON_OPT_GROUP)
			give_types(m, o->sub);
		if (o->type == MERLON_OPT_ANY)
			make_raw(m);
		for (merlon_cfg *e = m->child; o->type == MERLON_OPT_LIST && e; e = e->next)
			give_types(e, o->sub);
		if (o->type == MERLON_OPT_CONFFILE) {
			m->conffile = read_text(m->text, file_text(m->text));
			give_types(m->conffile, o->sub);
		}
	}
}

merlon_cfg *fake_cfg(const struct merlon_module *m, const char *text)
{
	/* The host has it for every line that counts, and lets the module read it. */
	static const struct merlon_option zone = {.key = "zone", .type = MERLON_OPT_STR};
	struct merlon_option *rows = mem_new(m->option_count + 2, sizeof(*rows));
	merlon_cfg *root = read_text("options", text);

	fake_errors[0] = '\0';
	fake_nerrors = 0;
	memcpy(rows, m->options, m->option_count * sizeof(*rows));
	rows[m->option_count] = zone;
	give_types(root, rows);
	root->text = (char *)rows; /* freed with the root */
	return root;
}

void fake_cfg_free(merlon_cfg *c)
{
	for (merlon_cfg *m = c->child, *next; m; m = next) {
		next = m->next;
		fake_cfg_free(m);
	}
	if (c->conffile)
		fake_cfg_free(c->conffile);
	free(c->key);
	free(c->text);
	free(c->list);
	free(c);
}

static const merlon_cfg *child(const merlon_cfg *cfg, const char *key)
{
	const merlon_cfg *c = cfg->child;

	while (c && (!c->key || strcmp(c->key, key) != 0))
		c = c->next;
	return c;
}

static int64_t unit(const char *s, const char *const *names, const int64_t *factors)
{
	char *end;
	long long v = strtoll(s, &end, 10);

	for (int i = 0; names[i]; i++) {
		if (strcmp(end, names[i]) == 0)
			return v * factors[i];
	}
	return die("no such unit", s), 0;
}

static int64_t duration(const char *s)
{
	static const char *const names[] = {"ms", "s", "m", "h", "d", "", NULL};
	static const int64_t factors[] = {1000000,       1000000000,     60000000000,
	                                  3600000000000, 86400000000000, 1};

	return unit(s, names, factors);
}

static int32_t get_list(const merlon_cfg *c, struct merlon_val *out)
{
	merlon_cfg *w =
	    (merlon_cfg *)(uintptr_t)c; /* the list is kept beside what it was made of */
	uint32_t n = 0;

	for (const merlon_cfg *e = c->child; e; e = e->next)
		n++;
	if (c->kind == SCALAR)
		n = 1;
	free(w->list);
	w->list = mem_new(n, sizeof(*w->list));
	if (c->kind == SCALAR)
		w->list[0] = txt_of(c->text);
	n = c->kind == SCALAR ? 1 : 0;
	for (const merlon_cfg *e = c->child; e; e = e->next)
		w->list[n++] = txt_of(e->text);
	*out = (struct merlon_val){.type = MERLON_VAL_STRLIST, .count = n, .u.list = w->list};
	return 0;
}

static int32_t get_scalar(uint32_t type, const char *s, struct merlon_val *out)
{
	static const char *const sizes[] = {"", "K", "M", "G", NULL};
	static const int64_t factors[] = {1, 1024, 1024 * 1024, 1024 * 1024 * 1024};

	*out = (struct merlon_val){.type = MERLON_VAL_I64};
	switch (type) {
	case MERLON_OPT_INT:
		out->u.i64 = strtoll(s, NULL, 10);
		return 0;
	case MERLON_OPT_DURATION:
		out->u.i64 = duration(s);
		return 0;
	case MERLON_OPT_SIZE:
		out->u.i64 = unit(s, sizes, factors);
		return 0;
	case MERLON_OPT_BOOL:
		*out =
		    (struct merlon_val){.type = MERLON_VAL_BOOL, .u.i64 = strcmp(s, "true") == 0};
		return 0;
	case MERLON_OPT_FILE:
		*out = (struct merlon_val){.type = MERLON_VAL_BYTES, .u.str = txt_of(file_text(s))};
		return 0;
	case MERLON_OPT_SECRET:
		*out = (struct merlon_val){.type = MERLON_VAL_BYTES, .u.str = txt_of(s)};
		return 0;
	default:
		*out = (struct merlon_val){.type = MERLON_VAL_STR, .u.str = txt_of(s)};
		return 0;
	}
}

static int32_t raw_scalar(const merlon_cfg *c, struct merlon_val *out)
{
	char *end;

	*out = (struct merlon_val){.type = MERLON_VAL_STR, .u.str = txt_of(c->text)};
	if (c->quoted)
		return 0;
	*out = (struct merlon_val){.type = MERLON_VAL_BOOL, .u.i64 = strcmp(c->text, "true") == 0};
	if (out->u.i64 || strcmp(c->text, "false") == 0)
		return 0;
	*out = (struct merlon_val){.type = MERLON_VAL_I64, .u.i64 = strtoll(c->text, &end, 0)};
	if (*end && strcmp(end, "L") != 0)
		*out = (struct merlon_val){.type = MERLON_VAL_F64, .u.f64 = strtod(c->text, NULL)};
	return 0;
}

/* A list of anything but texts, and a group, are no value. */
static int32_t raw_get(const merlon_cfg *c, struct merlon_val *out)
{
	if (!c)
		return MERLON_E_NOENT;
	if (c->kind == SCALAR)
		return raw_scalar(c, out);
	for (const merlon_cfg *e = c->child; e && c->kind == LIST; e = e->next) {
		if (e->kind != SCALAR || !e->quoted)
			return MERLON_E_INVAL;
	}
	return c->kind == LIST ? get_list(c, out) : MERLON_E_INVAL;
}

static uint32_t raw_count(const merlon_cfg *c)
{
	uint32_t n = 0;

	for (const merlon_cfg *e = c ? c->child : NULL; e; e = e->next)
		n++;
	return !c ? 0 : c->kind == LIST ? n : 1;
}

static const merlon_cfg *raw_at(const merlon_cfg *c, uint32_t i)
{
	if (i >= raw_count(c))
		return NULL;
	if (c->kind != LIST)
		return c;
	for (c = c->child; i > 0; i--)
		c = c->next;
	return c;
}

static bool is_raw(const merlon_cfg *cfg, const struct merlon_option *o)
{
	return cfg->raw || (o && o->type == MERLON_OPT_ANY);
}

int32_t fakecfg_get(const merlon_cfg *cfg, const char *key, struct merlon_val *out)
{
	const struct merlon_option *o = row(cfg->options, key);
	const merlon_cfg *c = *key ? child(cfg, key) : cfg;

	if (is_raw(cfg, o))
		return raw_get(c, out);
	if (*key && !o)
		die("the module asks for what it has not declared", key);
	if (!c && !o->def)
		return MERLON_E_NOENT;
	if (c && o && o->type == MERLON_OPT_STRLIST)
		return get_list(c, out);
	return get_scalar(o ? o->type : MERLON_OPT_STR, c ? c->text : o->def, out);
}

int32_t fakecfg_rate(const merlon_cfg *cfg, const char *key, int64_t *count, int64_t *window_ns)
{
	const merlon_cfg *c = child(cfg, key);
	const char *slash;

	if (!c)
		return MERLON_E_NOENT;
	slash = strchr(c->text, '/');
	if (!slash)
		die("no rate", c->text);
	*count = strtoll(c->text, NULL, 10);
	*window_ns = duration(slash + 1);
	return 0;
}

uint32_t fakecfg_count(const merlon_cfg *cfg, const char *key)
{
	const struct merlon_option *o = row(cfg->options, key);
	const merlon_cfg *c = child(cfg, key);
	uint32_t n = 0;

	if (is_raw(cfg, o))
		return raw_count(c);
	if (!o)
		die("the module asks for what it has not declared", key);
	if (!c)
		return 0;
	if (o->type == MERLON_OPT_GROUP || o->type == MERLON_OPT_CONFFILE || c->kind == SCALAR)
		return 1;
	for (const merlon_cfg *e = c->child; e; e = e->next)
		n++;
	return n;
}

const merlon_cfg *fakecfg_at(const merlon_cfg *cfg, const char *key, uint32_t i)
{
	const struct merlon_option *o = row(cfg->options, key);
	const merlon_cfg *c = child(cfg, key);

	if (is_raw(cfg, o))
		return raw_at(c, i);
	if (!o)
		die("the module asks for what it has not declared", key);
	if (!c || i >= fakecfg_count(cfg, key))
		return NULL;
	if (o->type == MERLON_OPT_GROUP)
		return c;
	if (o->type == MERLON_OPT_CONFFILE)
		return c->conffile;
	for (c = c->child; i > 0; i--)
		c = c->next;
	return c;
}

struct merlon_str fakecfg_key(const merlon_cfg *cfg, uint32_t i)
{
	const merlon_cfg *c = cfg->child;

	while (c && i-- > 0)
		c = c->next;
	return c ? txt_of(c->key) : (struct merlon_str){NULL, 0};
}

int32_t fakecfg_where(const merlon_cfg *cfg, const char *key, struct merlon_str *file,
                      uint32_t *line)
{
	const merlon_cfg *c = *key ? child(cfg, key) : cfg;

	if (!c)
		c = cfg;
	*file = txt_of(c->file);
	*line = c->line;
	return 0;
}

static void note(const char *file, uint32_t line, struct merlon_str text)
{
	size_t n = strlen(fake_errors);

	fake_nerrors++;
	snprintf(fake_errors + n, sizeof(fake_errors) - n, "%s:%u: %.*s\n", file, line,
	         TXT_FMT(text));
}

void fakecfg_error(const merlon_cfg *cfg, const char *key, struct merlon_str text)
{
	struct merlon_str file;
	uint32_t line;

	fakecfg_where(cfg, key, &file, &line);
	note(file.ptr, line, text);
}

void fakecfg_file_error(const merlon_cfg *cfg, const char *key, uint32_t line,
                        struct merlon_str text)
{
	note(child(cfg, key)->text, line, text);
}
