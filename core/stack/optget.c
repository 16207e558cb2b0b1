/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The getters that a module calls in its create hook. A part with a table gives what the table
 * says; a raw part (type any) gives the tree as it was written, each value by its own type.
 */
#include "stack/optpriv.h"

static const struct opt_value *find(const merlon_cfg *c, const char *key)
{
	for (unsigned i = 0; i < c->nvalues; i++) {
		if (strcmp(c->values[i].o->key, key) == 0)
			return &c->values[i];
	}
	return NULL;
}

/* The node of a raw part's key, or of the part itself. */
static const struct conf_node *raw_node(const merlon_cfg *c, const char *key)
{
	return key[0] ? conf_child(c->node, str_of(key)) : c->node;
}

static struct merlon_str text_of(const struct conf_node *n)
{
	return (struct merlon_str){n->u.s.p ? n->u.s.p : "", n->u.s.n};
}

static int32_t raw_list(const merlon_cfg *c, const struct conf_node *n, struct merlon_val *out)
{
	struct merlon_str *list;
	unsigned count = 0;

	for (const struct conf_node *e = n->child; e; e = e->next) {
		if (e->type != CONF_STRING)
			return MERLON_E_INVAL;
	}
	list = arena_zalloc(c->a, (n->nchildren + 1) * sizeof(*list));
	for (const struct conf_node *e = n->child; e; e = e->next)
		list[count++] = text_of(e);
	*out = (struct merlon_val){.type = MERLON_VAL_STRLIST, .count = count, .u.list = list};
	return 0;
}

static int32_t raw_get(const merlon_cfg *c, const struct conf_node *n, struct merlon_val *out)
{
	if (!n)
		return MERLON_E_NOENT;
	switch (n->type) {
	case CONF_STRING:
		*out = (struct merlon_val){.type = MERLON_VAL_STR, .u.str = text_of(n)};
		return 0;
	case CONF_INT:
		*out = (struct merlon_val){.type = MERLON_VAL_I64, .u.i64 = n->u.i};
		return 0;
	case CONF_FLOAT:
		*out = (struct merlon_val){.type = MERLON_VAL_F64, .u.f64 = n->u.f};
		return 0;
	case CONF_BOOL:
		*out = (struct merlon_val){.type = MERLON_VAL_BOOL, .u.i64 = n->u.b};
		return 0;
	case CONF_LIST:
	case CONF_ARRAY:
		return raw_list(c, n, out);
	case CONF_GROUP:
		break;
	}
	return MERLON_E_INVAL;
}

int32_t host_cfg_get(const merlon_cfg *cfg, const char *key, struct merlon_val *out)
{
	const struct opt_value *v;

	*out = (struct merlon_val){.type = MERLON_VAL_NONE};
	if (cfg->raw)
		return raw_get(cfg, raw_node(cfg, key), out);
	v = find(cfg, key);
	if (!v)
		return key[0] ? MERLON_E_NOENT : MERLON_E_INVAL;
	if (!v->node)
		return MERLON_E_NOENT;
	if (v->o->type == MERLON_OPT_ANY)
		return raw_get(cfg, v->node, out);
	if (v->val.type == MERLON_VAL_NONE)
		return MERLON_E_INVAL;
	*out = v->val;
	return 0;
}

int32_t host_cfg_rate(const merlon_cfg *cfg, const char *key, int64_t *count, int64_t *window_ns)
{
	const struct opt_value *v = cfg->raw ? NULL : find(cfg, key);
	const struct conf_node *n = cfg->raw ? raw_node(cfg, key) : NULL;
	uint64_t many, window;

	if (cfg->raw) {
		if (!n)
			return MERLON_E_NOENT;
		if (n->type != CONF_STRING || !str_rate(n->u.s, &many, &window) ||
		    many > INT64_MAX || window > INT64_MAX)
			return MERLON_E_INVAL;
		*count = (int64_t)many;
		*window_ns = (int64_t)window;
		return 0;
	}
	if (!v || !v->node)
		return MERLON_E_NOENT;
	if (v->o->type != MERLON_OPT_RATE || v->val.type == MERLON_VAL_NONE)
		return MERLON_E_INVAL;
	*count = v->count;
	*window_ns = v->window_ns;
	return 0;
}

static bool is_list(const struct conf_node *n)
{
	return n->type == CONF_LIST || n->type == CONF_ARRAY;
}

/* A raw scalar or group counts as a list of one, so that `x = "a"` and `x = [ "a" ]` read alike. */
static uint32_t raw_count(const struct conf_node *n)
{
	if (!n)
		return 0;
	return is_list(n) ? n->nchildren : 1;
}

uint32_t host_cfg_count(const merlon_cfg *cfg, const char *key)
{
	const struct opt_value *v;

	if (cfg->raw)
		return raw_count(raw_node(cfg, key));
	v = find(cfg, key);
	if (!v)
		return 0;
	if (v->o->type == MERLON_OPT_ANY)
		return raw_count(v->node);
	return v->nparts;
}

static const merlon_cfg *raw_at(const merlon_cfg *c, const struct conf_node *n, uint32_t i)
{
	struct merlon_cfg *part;

	if (i >= raw_count(n))
		return NULL;
	part = arena_zalloc(c->a, sizeof(*part));
	opt_raw(part, c, is_list(n) ? conf_at(n, i) : n);
	return part;
}

const merlon_cfg *host_cfg_at(const merlon_cfg *cfg, const char *key, uint32_t i)
{
	const struct opt_value *v;

	if (cfg->raw)
		return raw_at(cfg, raw_node(cfg, key), i);
	v = find(cfg, key);
	if (!v)
		return NULL;
	if (v->o->type == MERLON_OPT_ANY)
		return raw_at(cfg, v->node, i);
	return i < v->nparts ? &v->parts[i] : NULL;
}

struct merlon_str host_cfg_key(const merlon_cfg *cfg, uint32_t i)
{
	const struct conf_node *n = NULL;

	if (cfg->node && cfg->node->type == CONF_GROUP)
		n = conf_at(cfg->node, i);
	return n ? (struct merlon_str){n->key.p, n->key.n} : (struct merlon_str){NULL, 0};
}

static const struct conf_node *written(const merlon_cfg *cfg, const char *key)
{
	if (!key || !key[0])
		return cfg->node;
	return conf_child(cfg->node, str_of(key));
}

int32_t host_cfg_where(const merlon_cfg *cfg, const char *key, struct merlon_str *file,
                       uint32_t *line)
{
	const struct conf_node *n = written(cfg, key);
	const struct conf_node *at = n ? n : cfg->place;

	*file = (struct merlon_str){at->file, at->file ? strlen(at->file) : 0};
	*line = at->line;
	return n ? 0 : MERLON_E_NOENT;
}

/* A module's text for "%.*s". */
static int text_len(struct merlon_str s)
{
	return s.ptr && s.len < 4096 ? (int)s.len : s.ptr ? 4096 : 0;
}

void host_cfg_error(const merlon_cfg *cfg, const char *key, struct merlon_str text)
{
	opt_error(cfg, written(cfg, key), key, "%.*s", text_len(text), text.ptr);
}

void host_cfg_file_error(const merlon_cfg *cfg, const char *key, uint32_t line,
                         struct merlon_str text)
{
	const struct opt_value *v = cfg->raw ? NULL : find(cfg, key);

	if (v && v->path.n)
		conf_error_at(cfg->d, v->path.p, line, "%.*s: %.*s", STR_FMT(cfg->module),
		              text_len(text), text.ptr);
	else
		host_cfg_error(cfg, key, text);
}

void host_cfg_warn(const merlon_cfg *cfg, const char *key, struct merlon_str text)
{
	opt_warn(cfg, written(cfg, key), key, "%.*s", text_len(text), text.ptr);
}
