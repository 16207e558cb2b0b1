/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Options against the module's table: every row is looked for, every key is known, and all that is
 * wrong is said. The parts are made in the caller's arena; secrets and files in it are wiped when
 * it goes.
 */
#include "stack/options.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clean.h"
#include "base/perm.h"
#include "conf/load.h"
#include "stack/optpriv.h"

static const struct merlon_option generic[] = {
    {"status_on_bad_credential", MERLON_OPT_INT, 0, "401", "401..403", NULL,
     "HTTP status of an answer to a credential that does not hold: 401 or 403."},
    {"zone", MERLON_OPT_STR, 0, NULL, NULL, NULL,
     "Name of the zone that keeps this line's counters; lines that name the same zone share it."},
    {NULL, 0, 0, NULL, NULL, NULL, NULL},
};

const struct merlon_option *opt_generic(uint32_t groups, size_t *n)
{
	const bool auth = groups & MERLON_AUTH;
	const bool counts = groups & (MERLON_AUTH | MERLON_AUTHZ | MERLON_RATELIMIT);

	*n = auth ? 2 : counts ? 1 : 0;
	return auth ? generic : generic + 1;
}

size_t opt_rows(const struct merlon_option *sub, size_t stride)
{
	size_t n = 0;

	while (sub && n < OPT_ROWS_MAX && opt_row(sub, n, stride)->key)
		n++;
	return n;
}

/* ---- the table itself ---- */
static const char *row_check(const struct merlon_option *o)
{
	if (!o->key || !o->key[0] || !o->help)
		return "has an option without a name or a sentence about it";
	if (o->type < MERLON_OPT_STR || o->type > MERLON_OPT_URL ||
	    (o->flags & ~MERLON_OPT_REQUIRED))
		return "has an option of a type or flag that this merlond does not know";
	if (o->type == MERLON_OPT_ENUM && !o->range)
		return "has an option of type enum without its words";
	if ((o->type == MERLON_OPT_GROUP || o->type == MERLON_OPT_LIST) && !o->sub)
		return "has a group or list of options without a table of them";
	return NULL;
}

static const char *table_check(const struct merlon_option *t, size_t n, size_t stride,
                               unsigned depth)
{
	const char *why = NULL;

	if (depth > OPT_DEPTH_MAX)
		return "has options that are nested too deep";
	if (n >= OPT_ROWS_MAX)
		return "has too many options, or a table without an end";
	for (size_t i = 0; i < n && !why; i++) {
		const struct merlon_option *o = opt_row(t, i, stride);

		why = row_check(o);
		if (!why && o->sub)
			why = table_check(o->sub, opt_rows(o->sub, stride), stride, depth + 1);
	}
	return why;
}

const char *options_table_check(const struct merlon_module *m)
{
	if (m->option_count == 0)
		return NULL;
	if (!m->options || m->option_size < sizeof(struct merlon_option) || m->option_size > 4096 ||
	    m->option_size % _Alignof(struct merlon_option))
		return "has a table of options of a size that cannot be";
	return table_check(m->options, m->option_count, m->option_size, 1);
}

/* ---- messages ---- */
__attribute__((format(printf, 3, 0))) static struct str
opt_text(const struct merlon_cfg *c, const char *key, const char *fmt, va_list ap)
{
	char text[768];

	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	if (!key || !key[0])
		return arena_printf(c->a, "%.*s: %s", STR_FMT(c->module), text);
	return arena_printf(c->a, "%.*s: %.*s%s %s", STR_FMT(c->module), STR_FMT(c->prefix), key,
	                    text);
}

void opt_error(const struct merlon_cfg *c, const struct conf_node *at, const char *key,
               const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	struct str s = opt_text(c, key, fmt, ap);
	va_end(ap);
	conf_error(c->d, at ? at : c->place, "%.*s", STR_FMT(s));
}

void opt_warn(const struct merlon_cfg *c, const struct conf_node *at, const char *key,
              const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	struct str s = opt_text(c, key, fmt, ap);
	va_end(ap);
	conf_warn(c->d, at ? at : c->place, "%.*s", STR_FMT(s));
}

/* ---- parts ---- */
struct table {
	const struct merlon_option *rows;
	size_t n;
	size_t stride;
	const struct merlon_option *more; /* the generic ones, at the root only */
	size_t nmore;
};
static void check_part(struct merlon_cfg *c, const struct table *t, unsigned depth);

void opt_raw(struct merlon_cfg *out, const struct merlon_cfg *of, const struct conf_node *n)
{
	*out = *of;
	out->node = n;
	out->place = n;
	out->values = NULL;
	out->nvalues = 0;
	out->raw = true;
}

static void part_init(struct merlon_cfg *p, const struct merlon_cfg *of, const struct opt_value *v,
                      const struct conf_node *n)
{
	opt_raw(p, of, n);
	p->raw = false;
	/* A conffile is named by the place of each finding, its keys need no prefix. */
	p->prefix = v->o->type == MERLON_OPT_CONFFILE
	                ? STR_NONE
	                : arena_printf(of->a, "%.*s%s.", STR_FMT(of->prefix), v->o->key);
}

static void sub_part(struct merlon_cfg *c, struct opt_value *v, const struct conf_node *n,
                     size_t stride, unsigned depth)
{
	const struct table sub = {v->o->sub, opt_rows(v->o->sub, stride), stride, NULL, 0};
	struct merlon_cfg *p = &v->parts[v->nparts];

	if (n->type != CONF_GROUP) {
		opt_error(c, n, v->o->key,
		          v->o->type == MERLON_OPT_LIST ? "must hold groups: { key = value; }"
		                                        : "must be a group: { key = value; }");
		return;
	}
	part_init(p, c, v, n);
	v->nparts++;
	check_part(p, &sub, depth + 1);
}

static void check_conffile(struct merlon_cfg *c, struct opt_value *v, size_t stride, unsigned depth)
{
	char *path;
	struct conf_node *root;

	if (v->node->type != CONF_STRING || v->node->u.s.n == 0) {
		opt_error(c, v->node, v->o->key, "must be the name of a file");
		return;
	}
	v->path = conf_path(v->node, v->node->u.s, c->a);
	path = str_dup(v->path);
	root = conf_read_named(
	    path, v->node,
	    arena_printf(c->a, "%.*s: %.*s%s", STR_FMT(c->module), STR_FMT(c->prefix), v->o->key),
	    c->a, c->d);
	xfreep(&path);
	if (!root)
		return;
	v->parts = arena_zalloc(c->a, sizeof(*v->parts));
	if (v->o->sub) {
		sub_part(c, v, root, stride, depth);
	} else {
		opt_raw(v->parts, c, root);
		v->nparts = 1;
	}
}

static void check_value(struct merlon_cfg *c, struct opt_value *v, size_t stride, unsigned depth)
{
	const struct conf_node *n = v->node;

	switch (v->o->type) {
	case MERLON_OPT_GROUP:
		v->parts = arena_zalloc(c->a, sizeof(*v->parts));
		sub_part(c, v, n, stride, depth);
		break;
	case MERLON_OPT_LIST:
		if (n->type != CONF_LIST && !(n->type == CONF_ARRAY && n->nchildren == 0)) {
			opt_error(c, n, v->o->key, "must be a list: ( { key = value; }, ... )");
			break;
		}
		v->parts = arena_zalloc(c->a, (n->nchildren + 1) * sizeof(*v->parts));
		for (const struct conf_node *e = n->child; e; e = e->next)
			sub_part(c, v, e, stride, depth);
		break;
	case MERLON_OPT_CONFFILE:
		check_conffile(c, v, stride, depth);
		break;
	case MERLON_OPT_ANY:
		v->parts = arena_zalloc(c->a, sizeof(*v->parts));
		opt_raw(v->parts, c, n);
		v->nparts = 1;
		break;
	default:
		opt_parse(c, v);
	}
}

static bool known(const struct table *t, struct str key)
{
	for (size_t i = 0; i < t->n; i++) {
		if (str_eq(key, str_of(opt_row(t->rows, i, t->stride)->key)))
			return true;
	}
	for (size_t i = 0; i < t->nmore; i++) {
		if (str_eq(key, str_of(t->more[i].key)))
			return true;
	}
	return false;
}

static void unknown_key(const struct merlon_cfg *c, const struct table *t,
                        const struct conf_node *n)
{
	const char *names[OPT_ROWS_MAX + 2];
	size_t count = 0;

	for (size_t i = 0; i < t->n; i++)
		names[count++] = opt_row(t->rows, i, t->stride)->key;
	for (size_t i = 0; i < t->nmore; i++)
		names[count++] = t->more[i].key;
	const char *near = str_suggest(n->key, names, count);
	conf_error(c->d, n, "%.*s: unknown key \"%.*s%.*s\"%s%s%s", STR_FMT(c->module),
	           STR_FMT(c->prefix), STR_FMT(n->key), near ? ", did you mean \"" : "",
	           near ? near : "", near ? "\"?" : "");
}

static void check_row(struct merlon_cfg *c, const struct merlon_option *o, size_t stride,
                      unsigned depth)
{
	struct opt_value *v = &c->values[c->nvalues++];

	v->o = o;
	v->node = v->written = conf_child(c->node, str_of(o->key));
	if (!v->node && o->def)
		v->node = opt_default(c, o);
	if (v->node)
		check_value(c, v, stride, depth);
	else if (!o->def && (o->flags & MERLON_OPT_REQUIRED))
		opt_error(c, NULL, o->key, "is missing");
}

static void check_part(struct merlon_cfg *c, const struct table *t, unsigned depth)
{
	c->values = arena_zalloc(c->a, (t->n + t->nmore + 1) * sizeof(*c->values));
	for (size_t i = 0; i < t->n; i++)
		check_row(c, opt_row(t->rows, i, t->stride), t->stride, depth);
	for (size_t i = 0; i < t->nmore; i++) {
		const struct table own = {t->rows, t->n, t->stride, NULL, 0};

		if (!known(&own, str_of(t->more[i].key)))
			check_row(c, &t->more[i], sizeof(*t->more), depth);
	}
	for (const struct conf_node *n = c->node ? c->node->child : NULL; n; n = n->next) {
		if (!known(t, n->key))
			unknown_key(c, t, n);
	}
}

static void check_generic(struct merlon_cfg *c)
{
	struct merlon_val v;

	if (host_cfg_get(c, "status_on_bad_credential", &v) == 0 && v.type == MERLON_VAL_I64 &&
	    v.u.i64 == 402)
		opt_error(c, conf_child(c->node, STR("status_on_bad_credential")),
		          "status_on_bad_credential", "must be 401 or 403");
}

merlon_cfg *options_check(const struct merlon_module *m, const struct conf_node *options,
                          const struct conf_node *line, struct arena *a, struct conf_diag *d)
{
	struct table t = {m->options, m->option_count, m->option_size, NULL, 0};
	struct merlon_cfg *c = arena_zalloc(a, sizeof(*c));
	const unsigned errors = d->errors;

	c->node = options;
	c->place = options ? options : line;
	c->module = str_of(m->name);
	c->a = a;
	c->d = d;
	if (options && options->type != CONF_GROUP) {
		opt_error(c, options, NULL, "options must be a group: { key = value; }");
		return NULL;
	}
	t.more = opt_generic(m->groups, &t.nmore);
	check_part(c, &t, 1);
	check_generic(c);
	return d->errors == errors ? c : NULL;
}

/* ---- upstreams that they name ---- */
static unsigned count_upstreams(const struct merlon_cfg *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->nvalues; i++) {
		const struct opt_value *v = &c->values[i];

		n += opt_names_upstream(v);
		for (unsigned j = 0; j < v->nparts; j++)
			n += count_upstreams(&v->parts[j]);
	}
	return n;
}

static void list_upstreams(const struct merlon_cfg *c, struct arena *a, struct opt_upstream *out,
                           unsigned *n)
{
	for (unsigned i = 0; i < c->nvalues; i++) {
		const struct opt_value *v = &c->values[i];

		if (opt_names_upstream(v))
			opt_upstream(v, a, &out[(*n)++]);
		for (unsigned j = 0; j < v->nparts; j++)
			list_upstreams(&v->parts[j], a, out, n);
	}
}

struct opt_upstream *options_upstreams(const merlon_cfg *cfg, struct arena *a, unsigned *n)
{
	struct opt_upstream *out = arena_zalloc(a, (count_upstreams(cfg) + 1) * sizeof(*out));

	*n = 0;
	list_upstreams(cfg, a, out, n);
	return out;
}

/* ---- what makes the options what they are ---- */
static void digest_files(const struct merlon_cfg *c, struct digest *dg)
{
	for (unsigned i = 0; i < c->nvalues; i++) {
		const struct opt_value *v = &c->values[i];
		const uint64_t len = v->val.type == MERLON_VAL_BYTES ? v->val.u.str.len : 0;

		if (v->val.type == MERLON_VAL_BYTES) {
			digest_add(dg, (struct str){(const char *)&len, sizeof(len)});
			digest_add(dg, (struct str){v->val.u.str.ptr, (size_t)len});
		} else if (v->o->type == MERLON_OPT_PATH && v->val.type == MERLON_VAL_STR) {
			digest_add(dg, (struct str){v->val.u.str.ptr, (size_t)v->val.u.str.len});
		}
		for (unsigned j = 0; j < v->nparts; j++) {
			if (v->o->type == MERLON_OPT_CONFFILE)
				conf_digest(v->parts[j].node, dg);
			digest_files(&v->parts[j], dg);
		}
	}
}

void options_digest(const merlon_cfg *cfg, struct digest *dg)
{
	conf_digest(cfg->node, dg);
	digest_files(cfg, dg);
}
