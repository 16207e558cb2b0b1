/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The types of options: what a value may look like, its range, and the reading of files and
 * secrets. A default goes the same way as what is written.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/perm.h"
#include "conf/load.h"
#include "conf/secret.h"
#include "http/url.h"
#include "stack/optpriv.h"

#define WORDS_MAX 64

/* ---- defaults ---- */
static struct str unquote(struct str s)
{
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		return (struct str){s.p + 1, s.n - 2};
	return s;
}

static bool float_of(struct str s, double *out)
{
	char text[64];
	char *end;

	if (s.n == 0 || s.n >= sizeof(text))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	*out = strtod(text, &end);
	return *end == '\0' && isfinite(*out);
}

static void default_list(struct conf_node *n, struct str items, struct arena *a)
{
	struct conf_node **at = &n->child;

	n->type = CONF_ARRAY;
	while (items.p) {
		struct str word = str_trim(str_split(&items, ','));

		if (word.n == 0)
			continue;
		struct conf_node *e = arena_zalloc(a, sizeof(*e));
		*e = (struct conf_node){
		    .type = CONF_STRING, .file = n->file, .line = n->line, .parent = n};
		e->u.s = unquote(word);
		*at = e;
		at = &e->next;
		n->nchildren++;
	}
}

static bool default_typed(struct conf_node *n, uint32_t type, struct str text, struct arena *a)
{
	switch (type) {
	case MERLON_OPT_INT:
		n->type = CONF_INT;
		return str_i64(text, &n->u.i);
	case MERLON_OPT_FLOAT:
		n->type = CONF_FLOAT;
		return float_of(text, &n->u.f);
	case MERLON_OPT_BOOL:
		n->type = CONF_BOOL;
		n->u.b = str_eq(text, STR("true"));
		return n->u.b || str_eq(text, STR("false"));
	case MERLON_OPT_STRLIST:
		if (text.n >= 2 && (text.p[0] == '[' || text.p[0] == '(')) {
			default_list(n, (struct str){text.p + 1, text.n - 2}, a);
			return true;
		}
		break;
	case MERLON_OPT_GROUP:
	case MERLON_OPT_LIST:
	case MERLON_OPT_ANY:
		return false;
	default:
		break;
	}
	n->type = CONF_STRING;
	n->u.s = unquote(text);
	return true;
}

const struct conf_node *opt_default(struct merlon_cfg *c, const struct merlon_option *o)
{
	struct conf_node *n = arena_zalloc(c->a, sizeof(*n));

	*n = (struct conf_node){
	    .key = str_of(o->key), .file = c->place->file, .line = c->place->line};
	if (default_typed(n, o->type, str_of(o->def), c->a))
		return n;
	opt_error(c, NULL, o->key, "has a default in the module that cannot be read");
	return NULL;
}

/* ---- amounts ---- */
static bool amount(uint32_t type, struct str s, int64_t *out)
{
	uint64_t u = 0;
	bool ok;

	if (type == MERLON_OPT_INT)
		return str_i64(s, out);
	ok = type == MERLON_OPT_DURATION ? str_duration(s, &u) : str_size(s, &u);
	*out = (int64_t)u;
	return ok && u <= INT64_MAX;
}

static void split_range(const char *range, struct str *low, struct str *high)
{
	const char *dots = strstr(range, "..");

	*low = (struct str){range, dots ? (size_t)(dots - range) : strlen(range)};
	*high = str_of(dots ? dots + 2 : "");
}

static bool in_range(const struct merlon_option *o, int64_t v)
{
	struct str low, high;
	int64_t bound;

	if (!o->range)
		return true;
	split_range(o->range, &low, &high);
	if (low.n && amount(o->type, low, &bound) && v < bound)
		return false;
	return !(high.n && amount(o->type, high, &bound) && v > bound);
}

static bool float_in_range(const struct merlon_option *o, double v)
{
	struct str low, high;
	double bound;

	if (!o->range)
		return true;
	split_range(o->range, &low, &high);
	if (low.n && float_of(low, &bound) && v < bound)
		return false;
	return !(high.n && float_of(high, &bound) && v > bound);
}

static void set_i64(struct opt_value *v, uint32_t type, int64_t i)
{
	v->val.type = type;
	v->val.u.i64 = i;
}

static void parse_number(struct merlon_cfg *c, struct opt_value *v)
{
	const struct conf_node *n = v->node;
	double f = n->type == CONF_INT ? (double)n->u.i : n->u.f;

	if (v->o->type == MERLON_OPT_FLOAT) {
		if (n->type != CONF_FLOAT && n->type != CONF_INT)
			opt_error(c, n, v->o->key, "must be a number");
		else if (!isfinite(f) || !float_in_range(v->o, f))
			opt_error(c, n, v->o->key, "is not in %s",
			          v->o->range ? v->o->range : "the range of numbers");
		v->val.type = MERLON_VAL_F64;
		v->val.u.f64 = f;
		return;
	}
	if (n->type != CONF_INT)
		opt_error(c, n, v->o->key, "must be an integer");
	else if (!in_range(v->o, n->u.i))
		opt_error(c, n, v->o->key, "is not in %s", v->o->range);
	else
		set_i64(v, MERLON_VAL_I64, n->u.i);
}

static void parse_amount(struct merlon_cfg *c, struct opt_value *v)
{
	const struct conf_node *n = v->node;
	const bool size = v->o->type == MERLON_OPT_SIZE;
	const char *what = size ? "a size such as \"16M\"" : "a duration such as \"30s\"";
	int64_t i;

	if (n->type != CONF_STRING)
		opt_error(c, n, v->o->key, "must be %s", what);
	else if (!amount(v->o->type, n->u.s, &i))
		opt_error(c, n, v->o->key, "must be %s, not \"%.*s\"", what, STR_FMT(n->u.s));
	else if (!in_range(v->o, i))
		opt_error(c, n, v->o->key, "is not in %s", v->o->range);
	else
		set_i64(v, MERLON_VAL_I64, i);
}

static void parse_rate(struct merlon_cfg *c, struct opt_value *v)
{
	const struct conf_node *n = v->node;
	uint64_t count, window;

	if (n->type != CONF_STRING || !str_rate(n->u.s, &count, &window) || count > INT64_MAX ||
	    window > INT64_MAX) {
		opt_error(c, n, v->o->key, "must be a rate such as \"100/1m\"");
		return;
	}
	v->count = (int64_t)count;
	v->window_ns = (int64_t)window;
	v->val.type = MERLON_VAL_STR;
	v->val.u.str = (struct merlon_str){n->u.s.p, n->u.s.n};
}

/* ---- text ---- */
static void set_str(struct opt_value *v, uint32_t type, struct str s)
{
	v->val.type = type;
	v->val.u.str = (struct merlon_str){s.p ? s.p : "", s.n};
}

static void parse_enum(struct merlon_cfg *c, struct opt_value *v)
{
	const char *words[WORDS_MAX];
	struct str rest = str_of(v->o->range);
	size_t n = 0;

	while (rest.p && n < WORDS_MAX) {
		struct str w = str_split(&rest, '|');

		if (str_eq(w, v->node->u.s)) {
			set_str(v, MERLON_VAL_STR, w);
			return;
		}
		words[n++] = arena_str(c->a, w).p;
	}
	const char *near = str_suggest(v->node->u.s, words, n);
	opt_error(c, v->node, v->o->key, "must be one of %s, not \"%.*s\"%s%s%s", v->o->range,
	          STR_FMT(v->node->u.s), near ? "; did you mean \"" : "", near ? near : "",
	          near ? "\"?" : "");
}

static void parse_strlist(struct merlon_cfg *c, struct opt_value *v)
{
	const struct conf_node *n = v->node;
	const struct conf_node *e = n->type == CONF_STRING ? n : n->child;
	const unsigned count = n->type == CONF_STRING ? 1 : n->nchildren;
	struct merlon_str *list = arena_zalloc(c->a, (count + 1) * sizeof(*list));

	if (n->type != CONF_STRING && n->type != CONF_ARRAY && n->type != CONF_LIST) {
		opt_error(c, n, v->o->key, "must be a list of strings");
		return;
	}
	v->parts = arena_zalloc(c->a, (count + 1) * sizeof(*v->parts));
	for (unsigned i = 0; i < count; i++, e = e->next) {
		if (e->type != CONF_STRING) {
			opt_error(c, e, v->o->key, "must be a list of strings");
			return;
		}
		list[i] = (struct merlon_str){e->u.s.p ? e->u.s.p : "", e->u.s.n};
		opt_raw(&v->parts[v->nparts++], c, e);
	}
	v->val.type = MERLON_VAL_STRLIST;
	v->val.count = count;
	v->val.u.list = list;
}

/* ---- files and secrets ---- */
static void free_file(void *arg)
{
	struct buf *b = arg;

	buf_wipe(b);
	buf_deinit(b);
}

static void parse_file(struct merlon_cfg *c, struct opt_value *v)
{
	struct buf *b = arena_zalloc(c->a, sizeof(*b));
	int r;

	v->path = conf_path(v->node, v->node->u.s, c->a);
	buf_init(b, OPT_FILE_MAX + 1);
	/* Not copied into the arena: a keys file may be large. */
	arena_on_free(c->a, free_file, b);
	r = perm_read_file(v->path.p, OPT_FILE_MAX, b);
	if (r)
		opt_error(c, v->node, v->o->key, "file %.*s%s %s", STR_FMT(v->path),
		          r < 0 ? ":" : "", perm_strerror(r));
	else
		set_str(v, MERLON_VAL_BYTES, buf_str(b));
}

static void parse_secret(struct merlon_cfg *c, struct opt_value *v)
{
	const struct conf_node *n = v->node;
	struct str value, why;

	if (!secret_is_ref(n->u.s)) {
		opt_warn(
		    c, n, v->o->key,
		    "is a secret in clear text; file:, env: or cred: keep it out of this file");
		set_str(v, MERLON_VAL_BYTES, n->u.s);
	} else if (secret_resolve(n->u.s, n, c->a, &value, &why)) {
		opt_error(c, n, v->o->key, "%.*s", STR_FMT(why));
	} else if (value.n == 0) {
		opt_error(c, n, v->o->key, "refers to an empty secret");
	} else {
		set_str(v, MERLON_VAL_BYTES, value);
	}
}

/* ---- upstreams and URLs ---- */
static void parse_url(struct merlon_cfg *c, struct opt_value *v)
{
	struct url_origin o;
	const char *why;

	if (url_origin(v->node->u.s, c->a, &o, &why))
		opt_error(c, v->node, v->o->key, "\"%.*s\" %s", STR_FMT(v->node->u.s), why);
	else
		set_str(v, MERLON_VAL_STR, v->node->u.s);
}

bool opt_names_upstream(const struct opt_value *v)
{
	return v->val.type == MERLON_VAL_STR &&
	       (v->o->type == MERLON_OPT_UPSTREAM || v->o->type == MERLON_OPT_URL);
}

void opt_upstream(const struct opt_value *v, struct arena *a, struct opt_upstream *out)
{
	struct url_origin o;
	const char *why;

	*out = (struct opt_upstream){.at = v->node, .name = arena_str(a, v->node->u.s)};
	if (v->o->type == MERLON_OPT_UPSTREAM || url_origin(out->name, a, &o, &why))
		return;
	out->name = o.text;
	out->server = o.server;
	out->tls = o.https;
	out->loopback = url_host_is_loopback(o.host);
}

static void parse_text(struct merlon_cfg *c, struct opt_value *v)
{
	const struct conf_node *n = v->node;
	const uint32_t type = v->o->type;

	if (n->type != CONF_STRING)
		opt_error(c, n, v->o->key, "must be a string");
	else if (n->u.s.n == 0 && type != MERLON_OPT_STR && type != MERLON_OPT_ENUM)
		opt_error(c, n, v->o->key, "must not be empty");
	else if (type == MERLON_OPT_STR && n->u.s.n == 0 && (v->o->flags & MERLON_OPT_REQUIRED))
		opt_error(c, n, v->o->key, "must not be empty");
	else if (type == MERLON_OPT_STR || type == MERLON_OPT_UPSTREAM)
		set_str(v, MERLON_VAL_STR, n->u.s);
	else if (type == MERLON_OPT_URL)
		parse_url(c, v);
	else if (type == MERLON_OPT_ENUM)
		parse_enum(c, v);
	else if (type == MERLON_OPT_PATH)
		set_str(v, MERLON_VAL_STR, conf_path(n, n->u.s, c->a));
	else if (type == MERLON_OPT_FILE)
		parse_file(c, v);
	else
		parse_secret(c, v);
}

void opt_parse(struct merlon_cfg *c, struct opt_value *v)
{
	switch (v->o->type) {
	case MERLON_OPT_INT:
	case MERLON_OPT_FLOAT:
		parse_number(c, v);
		break;
	case MERLON_OPT_BOOL:
		if (v->node->type != CONF_BOOL)
			opt_error(c, v->node, v->o->key, "must be true or false");
		else
			set_i64(v, MERLON_VAL_BOOL, v->node->u.b);
		break;
	case MERLON_OPT_DURATION:
	case MERLON_OPT_SIZE:
		parse_amount(c, v);
		break;
	case MERLON_OPT_RATE:
		parse_rate(c, v);
		break;
	case MERLON_OPT_STRLIST:
		parse_strlist(c, v);
		break;
	default:
		parse_text(c, v);
	}
}
