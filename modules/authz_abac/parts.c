/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The parts of a policy: which attribute each of their keys stands for. Where the set of names is
 * known, another name is an error; a policy that denies and never matches for a slip of the pen
 * would go unnoticed.
 */
#include "compile.h"

#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const char *const actions[ACTIONS] = {"predict", "read",     "write", "delete",
                                      "train",   "evaluate", "manage"};

static const char *const id_keys[] = {"sub",     "org",          "team",         "tier",
                                      "roles",   "scopes",       "method",       "credential",
                                      "expires", "allow_models", "allow_actions"};
static const char *const net_keys[] = {"source", "peer"};
static const char *const req_keys[] = {"method", "path", "host"};

/* ---- attributes by number ---- */
uint32_t attr_number(struct reading *r, const merlon_cfg *cfg, const char *key,
                     struct merlon_str name)
{
	struct policies *p = r->p;

	for (uint32_t i = 0; i < p->nattrs; i++) {
		if (i != ATTR_NOW && txt_eq(p->attrs[i], name))
			return i;
	}
	if (p->nattrs == ATTRIBUTES_MAX) {
		wrong(r, cfg, key, "is one attribute too many: a file may ask for %d",
		      ATTRIBUTES_MAX - 1);
		return UINT32_MAX;
	}
	p->attrs[p->nattrs] = pool_copy(&p->pool, name);
	return p->nattrs++;
}

/* prefix and key as one name. */
static uint32_t attr_joined(struct reading *r, const merlon_cfg *cfg, const char *key,
                            const char *prefix, struct merlon_str tail)
{
	char name[256];
	int n = snprintf(name, sizeof(name), "%s%.*s", prefix, TXT_FMT(tail));

	if (n < 0 || (size_t)n >= sizeof(name)) {
		wrong(r, cfg, key, "is too long for an attribute's name");
		return UINT32_MAX;
	}
	return attr_number(r, cfg, key, (struct merlon_str){name, (uint64_t)n});
}

static bool word_in(struct merlon_str s, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (txt_eq(s, txt_of(words[i])))
			return true;
	}
	return false;
}

static bool starts(struct merlon_str *s, const char *prefix)
{
	size_t n = strlen(prefix);

	if (s->len <= n || memcmp(s->ptr, prefix, n) != 0)
		return false;
	s->ptr += n;
	s->len -= n;
	return true;
}

uint32_t attr_named(struct reading *r, const merlon_cfg *cfg, const char *key,
                    struct merlon_str said)
{
	static const char *const words[] = {
	    "principal.sub", "principal.org", "principal.team", "principal.tier", "principal.roles",
	    "resource.type", "resource.id",   "resource.org",   "resource.owner", "id.sub",
	    "id.org",        "id.team",       "res.id",         "res.org",        "environment",
	    "source_ip",     "net.source",    "req.host",       "action"};
	static const char *const families[] = {"res.", "net.", "req.", "tls.", "llm.", "x."};
	struct merlon_str tail = said;

	if (starts(&tail, "principal.") || starts(&tail, "id.")) {
		if (word_in(tail, id_keys, COUNT(id_keys)))
			return attr_joined(r, cfg, key, "id.", tail);
		wrong_word(r, cfg, key, "names no attribute of the identity", tail, id_keys,
		           COUNT(id_keys));
		return UINT32_MAX;
	}
	if (starts(&tail, "resource."))
		return attr_joined(r, cfg, key, "res.", tail);
	if (txt_eq(said, TXT("environment")))
		return attr_number(r, cfg, key, TXT("res.environment"));
	if (txt_eq(said, TXT("source_ip")))
		return attr_number(r, cfg, key, TXT("net.source"));
	if (txt_eq(said, TXT("action")))
		return attr_number(r, cfg, key, said);
	for (size_t i = 0; i < COUNT(families); i++) {
		if (starts(&tail, families[i]))
			return attr_number(r, cfg, key, said);
	}
	wrong_word(r, cfg, key, "names no attribute, such as \"principal.org\" or \"res.owner\"",
	           said, words, COUNT(words));
	return UINT32_MAX;
}

/* ---- tests ---- */
static void add_test(struct reading *r, const merlon_cfg *cfg, const char *key,
                     const struct subject *s)
{
	struct ops ops;

	if (s->attr == UINT32_MAX)
		return;
	ops = ops_read(r, cfg, key, s, 1);
	if (r->ntests == r->cap) {
		r->cap = r->cap ? 2 * r->cap : 16;
		r->tests = mem_grow(r->tests, r->cap, sizeof(*r->tests));
	}
	r->tests[r->ntests++] = (struct test){.attr = s->attr, .nops = ops.n, .ops = ops.v};
}

/* The key `key` stands for the attribute prefix + key. */
static void add_attr(struct reading *r, const merlon_cfg *cfg, const char *key, const char *prefix)
{
	static const char *const lists[] = {"roles", "scopes", "allow_models", "allow_actions"};
	struct subject s = {.about = ABOUT_ANY};

	s.attr = attr_joined(r, cfg, key, prefix, txt_of(key));
	if (strcmp(prefix, "id.") == 0 && word_in(txt_of(key), lists, COUNT(lists)))
		s.about = ABOUT_LIST;
	add_test(r, cfg, key, &s);
}

/* Key number i of a part, NUL-terminated; NULL: none is left, or there are too many. */
static const char *key_at(struct reading *r, const merlon_cfg *part, uint32_t i)
{
	struct merlon_str key = r->h->cfg_key(part, i);

	if (!key.ptr)
		return NULL;
	if (i == KEYS_MAX) {
		wrong(r, part, "", "has more than %d keys in one group", KEYS_MAX);
		return NULL;
	}
	return pool_copy(&r->p->pool, key).ptr;
}

static void id_part(struct reading *r, const merlon_cfg *part, const char *what)
{
	const char *key;

	for (uint32_t i = 0; (key = key_at(r, part, i)); i++) {
		if (word_in(txt_of(key), id_keys, COUNT(id_keys)))
			add_attr(r, part, key, "id.");
		else
			wrong_word(r, part, key, what, txt_of(key), id_keys, COUNT(id_keys));
	}
}

static void open_part(struct reading *r, const merlon_cfg *part, const char *prefix)
{
	const char *key;

	for (uint32_t i = 0; (key = key_at(r, part, i)); i++)
		add_attr(r, part, key, prefix);
}

/* A part that is written; NULL: it is absent, or no group. */
static const merlon_cfg *part_at(struct reading *r, const merlon_cfg *policy, const char *key)
{
	struct merlon_val v;

	if (r->h->cfg_get(policy, key, &v) == MERLON_E_NOENT)
		return NULL;
	return group_at(r, policy, key);
}

void read_principal(struct reading *r, const merlon_cfg *policy)
{
	const merlon_cfg *part = part_at(r, policy, "principal");

	if (part)
		id_part(r, part, "is no attribute of the principal");
}

void read_resource(struct reading *r, const merlon_cfg *policy)
{
	const merlon_cfg *part = part_at(r, policy, "resource");

	if (part)
		open_part(r, part, "res.");
}

/* ---- condition ---- */
/* Names that this version of the host does not set may be a later one's: a doubt, no error. */
static void host_part(struct reading *r, const merlon_cfg *part, const char *prefix,
                      const char *const *words, size_t n)
{
	const char *key;

	for (uint32_t i = 0; (key = key_at(r, part, i)); i++) {
		const char *near = txt_suggest(txt_of(key), words, n);
		if (!word_in(txt_of(key), words, n))
			doubt(r, part, key, "is set by nobody and never matches%s%s%s",
			      near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
		add_attr(r, part, key, prefix);
	}
}

static void x_part(struct reading *r, const merlon_cfg *part)
{
	const char *module;
	char prefix[128];

	for (uint32_t i = 0; (module = key_at(r, part, i)); i++) {
		const merlon_cfg *inner = group_at(r, part, module);
		int n = snprintf(prefix, sizeof(prefix), "x.%s.", module);
		if (n < 0 || (size_t)n >= sizeof(prefix))
			wrong(r, part, module, "is no name of a module");
		else if (inner)
			open_part(r, inner, prefix);
	}
}

static bool family(struct reading *r, const merlon_cfg *part, const char *name)
{
	static const char *const names[] = {"id", "net", "req", "x", "res", "tls", "llm"};
	const merlon_cfg *inner;
	char prefix[8];

	if (!word_in(txt_of(name), names, COUNT(names)))
		return false;
	inner = group_at(r, part, name);
	if (!inner)
		return true;
	snprintf(prefix, sizeof(prefix), "%s.", name);
	if (strcmp(name, "id") == 0)
		id_part(r, inner, "is no attribute of the identity");
	else if (strcmp(name, "net") == 0)
		host_part(r, inner, prefix, net_keys, COUNT(net_keys));
	else if (strcmp(name, "req") == 0)
		host_part(r, inner, prefix, req_keys, COUNT(req_keys));
	else if (strcmp(name, "x") == 0)
		x_part(r, inner);
	else
		open_part(r, inner, prefix);
	return true;
}

static void condition_key(struct reading *r, const merlon_cfg *part, const char *key)
{
	static const char *const words[] = {"environment", "source_ip", "time", "id",  "res",
	                                    "net",         "req",       "tls",  "llm", "x"};
	struct subject s = {.about = ABOUT_ANY};

	if (strcmp(key, "environment") == 0) {
		s.attr = attr_number(r, part, key, TXT("res.environment"));
	} else if (strcmp(key, "source_ip") == 0) {
		s.attr = attr_number(r, part, key, TXT("net.source"));
	} else if (strcmp(key, "time") == 0) {
		s = (struct subject){ATTR_NOW, ABOUT_TIME};
	} else {
		if (!family(r, part, key))
			wrong_word(r, part, key, "is no condition", txt_of(key), words,
			           COUNT(words));
		return;
	}
	add_test(r, part, key, &s);
}

void read_condition(struct reading *r, const merlon_cfg *policy)
{
	const merlon_cfg *part = part_at(r, policy, "condition");
	const char *key;

	for (uint32_t i = 0; part && (key = key_at(r, part, i)); i++)
		condition_key(r, part, key);
}

/* The set of actions is closed, so what is asked about it is answered here once and for all. */
uint32_t read_action(struct reading *r, const merlon_cfg *policy)
{
	static const struct subject s = {ATTR_NOW, ABOUT_ACTION};
	uint32_t bits = 0;
	struct merlon_val v;
	struct ops ops;

	if (r->h->cfg_get(policy, "action", &v) == MERLON_E_NOENT)
		return ACTION_ALL;
	ops = ops_read(r, policy, "action", &s, 1);
	for (uint32_t i = 0; i < ACTIONS; i++)
		bits |= texts_pass(ops.v, ops.n, txt_of(actions[i])) ? 1u << i : 0;
	bits |= texts_pass(ops.v, ops.n, TXT("\x7f")) ? ACTION_OTHER : 0;
	return bits;
}
