/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Fills a struct from a group by a table. Texts that are stored live in the tree's arena.
 */
#include "conf/schema.h"

#include "conf/load.h"

#define SUGGEST_MAX 64

struct fill {
	const struct conf_node *group;
	struct arena *a;
	struct conf_diag *d;
};

static struct str name_of(const struct fill *f, const struct conf_key *k)
{
	return conf_name(f->group, str_of(k->name), f->a);
}

/* Either side of "a..b"; empty where it is missing. */
static void split_range(const char *range, struct str *low, struct str *high)
{
	const char *dots = strstr(range, "..");
	*low = (struct str){range, (size_t)(dots - range)};
	*high = str_of(dots + 2);
}

static bool number(enum conf_kind kind, struct str s, uint64_t *out)
{
	if (kind == KIND_DURATION)
		return str_duration(s, out);
	if (kind == KIND_SIZE)
		return str_size(s, out);
	return str_u64(s, out);
}

static bool in_range(const struct conf_key *k, uint64_t v)
{
	struct str low;
	struct str high;
	uint64_t bound;
	if (!k->range)
		return true;
	split_range(k->range, &low, &high);
	if (low.n > 0 && number(k->kind, low, &bound) && v < bound)
		return false;
	return !(high.n > 0 && number(k->kind, high, &bound) && v > bound);
}

static void bad_type(const struct fill *f, const struct conf_key *k, const struct conf_node *n,
                     const char *want)
{
	static const char *const have[] = {
	    [CONF_GROUP] = "a group",   [CONF_LIST] = "a list",    [CONF_ARRAY] = "an array",
	    [CONF_STRING] = "a string", [CONF_INT] = "an integer", [CONF_FLOAT] = "a float",
	    [CONF_BOOL] = "a boolean",
	};
	struct str name = name_of(f, k);
	conf_error(f->d, n, "%.*s must be %s, not %s", STR_FMT(name), want, have[n->type]);
}

static void fill_amount(const struct fill *f, const struct conf_key *k, const struct conf_node *n,
                        void *at)
{
	uint64_t v;
	const char *what = k->kind == KIND_SIZE ? "a size" : "a duration";
	struct str name = name_of(f, k);
	if (n->type != CONF_STRING)
		bad_type(f, k, n,
		         k->kind == KIND_SIZE ? "a size such as \"16M\""
		                              : "a duration such as \"30s\"");
	else if (!number(k->kind, n->u.s, &v))
		conf_error(f->d, n, "%.*s: \"%.*s\" is not %s", STR_FMT(name), STR_FMT(n->u.s),
		           what);
	else if (!in_range(k, v))
		conf_error(f->d, n, "%.*s: \"%.*s\" is not in %s", STR_FMT(name), STR_FMT(n->u.s),
		           k->range);
	else
		*(uint64_t *)at = v;
}

static void fill_int(const struct fill *f, const struct conf_key *k, const struct conf_node *n,
                     void *at)
{
	struct str name = name_of(f, k);
	if (n->type != CONF_INT)
		bad_type(f, k, n, "an integer");
	else if (n->u.i < 0 || n->u.i > INT32_MAX || !in_range(k, (uint64_t)n->u.i))
		conf_error(f->d, n, "%.*s: %lld is not in %s", STR_FMT(name), (long long)n->u.i,
		           k->range ? k->range : "0..2147483647");
	else
		*(unsigned *)at = (unsigned)n->u.i;
}

static void fill_text(const struct fill *f, const struct conf_key *k, const struct conf_node *n,
                      void *at)
{
	struct str name = name_of(f, k);
	if (n->type != CONF_STRING)
		bad_type(f, k, n, "a string");
	else if (n->u.s.n == 0 && (k->flags & CONF_REQUIRED || k->kind == KIND_PATH))
		conf_error(f->d, n, "%.*s must not be empty", STR_FMT(name));
	else
		*(struct str *)at = k->kind == KIND_PATH ? conf_path(n, n->u.s, f->a) : n->u.s;
}

static void fill_one(const struct fill *f, const struct conf_key *k, const struct conf_node *n,
                     void *out)
{
	char *at = k->offset == CONF_NOWHERE ? NULL : (char *)out + k->offset;
	struct str name = name_of(f, k);
	switch (k->kind) {
	case KIND_STR:
	case KIND_PATH:
		fill_text(f, k, n, at);
		break;
	case KIND_INT:
		fill_int(f, k, n, at);
		break;
	case KIND_BOOL:
		if (n->type != CONF_BOOL)
			bad_type(f, k, n, "true or false");
		else
			*(bool *)(void *)at = n->u.b;
		break;
	case KIND_DURATION:
	case KIND_SIZE:
		fill_amount(f, k, n, at);
		break;
	case KIND_NODE:
		if (at)
			*(const struct conf_node **)(void *)at = n;
		break;
	case KIND_LATER:
		conf_error(f->d, n, "%.*s is not supported by this version", STR_FMT(name));
		break;
	}
}

static void fill_default(const struct fill *f, const struct conf_key *k, void *out)
{
	if (!k->def || k->kind == KIND_LATER || k->kind == KIND_NODE || k->offset == CONF_NOWHERE)
		return;
	/* A default is read as if it stood in the file, so that both go one way. */
	struct conf_node n = {
	    .file = f->group->file, .line = f->group->line, .key = str_of(k->name)};
	struct str text = str_of(k->def);
	if (k->kind == KIND_INT) {
		n.type = CONF_INT;
		if (!str_i64(text, &n.u.i))
			return;
	} else if (k->kind == KIND_BOOL) {
		n.type = CONF_BOOL;
		n.u.b = str_eq(text, STR("true"));
	} else {
		n.type = CONF_STRING;
		n.u.s = text;
	}
	fill_one(f, k, &n, out);
}

static void unknown_key(const struct fill *f, const struct conf_key *keys,
                        const struct conf_node *n)
{
	const char *known[SUGGEST_MAX];
	size_t count = 0;
	for (const struct conf_key *k = keys; k->name && count < SUGGEST_MAX; k++)
		known[count++] = k->name;
	const char *near = str_suggest(n->key, known, count);
	struct str where = conf_name(f->group, STR_NONE, f->a);
	conf_error(f->d, n, "unknown key \"%.*s\"%s%.*s%s%s%s", STR_FMT(n->key),
	           where.n ? " in " : "", STR_FMT(where), near ? ", did you mean \"" : "",
	           near ? near : "", near ? "\"?" : "");
}

void conf_fill(const struct conf_node *group, const struct conf_key *keys, void *out,
               struct arena *a, struct conf_diag *d)
{
	struct fill f = {group, a, d};
	for (const struct conf_node *n = group->child; n; n = n->next) {
		const struct conf_key *k = keys;
		while (k->name && !str_eq(n->key, str_of(k->name)))
			k++;
		if (!k->name)
			unknown_key(&f, keys, n);
	}
	for (const struct conf_key *k = keys; k->name; k++) {
		const struct conf_node *n = conf_child(group, str_of(k->name));
		/* The default goes in first: what follows a wrong value is checked against
		 * something sane. */
		fill_default(&f, k, out);
		if (n) {
			fill_one(&f, k, n, out);
		} else if (k->flags & CONF_REQUIRED) {
			struct str where = conf_name(group, STR_NONE, a);
			conf_error(d, group, "%.*s needs the key \"%s\"", STR_FMT(where), k->name);
		}
	}
}
