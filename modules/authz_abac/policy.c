/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The policy file: its table, and each policy's name, effect and place. All that is wrong is said.
 */
#include "policy.h"

#include "compile.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME_MAX_LEN 128

static const struct merlon_option one_policy[] = {
    {"name", MERLON_OPT_STR, MERLON_OPT_REQUIRED, NULL, NULL, NULL,
     "The policy's name; no two have the same."},
    {"effect", MERLON_OPT_ENUM, MERLON_OPT_REQUIRED, NULL, "allow|deny", NULL,
     "What it answers where it matches."},
    {"principal", MERLON_OPT_ANY, 0, NULL, NULL, NULL,
     "Who asks: attributes of the identity; absent: anyone."},
    {"resource", MERLON_OPT_ANY, 0, NULL, NULL, NULL,
     "What is asked for: attributes of the resource; absent: anything."},
    {"action", MERLON_OPT_ANY, 0, NULL, NULL, NULL, "The actions; absent: all."},
    {"condition", MERLON_OPT_ANY, 0, NULL, NULL, NULL,
     "Under which circumstances; absent: always."},
    {NULL, 0, 0, NULL, NULL, NULL, NULL},
};
const struct merlon_option policy_rows[] = {
    {"combining", MERLON_OPT_ENUM, 0, "deny-overrides", "deny-overrides|first-match", NULL,
     "Which of several policies that match counts."},
    {"policies", MERLON_OPT_LIST, 0, NULL, NULL, one_policy, "The policies, at most 100,000."},
    {NULL, 0, 0, NULL, NULL, NULL, NULL},
};

/* ---- messages ---- */
#define MESSAGE_MAX 512

void wrong(struct reading *r, const merlon_cfg *cfg, const char *key, const char *fmt, ...)
{
	char text[MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->errors++;
	r->h->cfg_error(cfg, key, txt_of(text));
}

void doubt(struct reading *r, const merlon_cfg *cfg, const char *key, const char *fmt, ...)
{
	char text[MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->h->cfg_warn(cfg, key, txt_of(text));
}

void wrong_word(struct reading *r, const merlon_cfg *cfg, const char *key, const char *text,
                struct merlon_str said, const char *const *words, size_t n)
{
	const char *near = txt_suggest(said, words, n);

	wrong(r, cfg, key, "%s%s%s%s", text, near ? "; did you mean \"" : "", near ? near : "",
	      near ? "\"?" : "");
}

const merlon_cfg *group_at(struct reading *r, const merlon_cfg *cfg, const char *key)
{
	struct merlon_val v;

	if (r->h->cfg_count(cfg, key) == 1 && r->h->cfg_get(cfg, key, &v) != 0)
		return r->h->cfg_at(cfg, key, 0);
	wrong(r, cfg, key, "must be a group: { ... }");
	return NULL;
}

/* ---- policies ---- */
static struct merlon_str make_label(struct reading *r, const merlon_cfg *cfg, const char *key,
                                    const char *name)
{
	struct merlon_str file;
	uint32_t line = 0;
	char *z;
	int n;

	r->h->cfg_where(cfg, key, &file, &line);
	n = snprintf(NULL, 0, "%s (%.*s:%u)", name, TXT_FMT(file), line);
	z = pool_new(&r->p->pool, (size_t)n + 1, 1);
	/* The file as a whole has no line. */
	n = *key ? snprintf(z, (size_t)n + 1, "%s (%.*s:%u)", name, TXT_FMT(file), line)
	         : snprintf(z, (size_t)n + 1, "%s (%.*s)", name, TXT_FMT(file));
	return (struct merlon_str){z, (uint64_t)n};
}

static void read_name(struct reading *r, const merlon_cfg *c, struct policy *p,
                      struct txt_map *names, uint32_t at)
{
	struct merlon_val v;

	if (r->h->cfg_get(c, "name", &v) != 0)
		return; /* required: the host has said so */
	if (v.u.str.len == 0 || v.u.str.len > NAME_MAX_LEN || !txt_is_plain(v.u.str)) {
		wrong(r, c, "name", "must have 1 to %d characters and no control characters",
		      NAME_MAX_LEN);
		return;
	}
	p->name = pool_copy(&r->p->pool, v.u.str);
	p->label = make_label(r, c, "name", p->name.ptr);
	if (txt_map_put(names, p->name, at) != TXT_MAP_NONE)
		wrong(r, c, "name", "\"%.*s\" stands here already", TXT_FMT(p->name));
}

static void read_policy(struct reading *r, const merlon_cfg *c, uint32_t at)
{
	struct policy *p = &r->p->v[at];
	uint32_t flags;
	struct merlon_val v;

	r->ntests = 0;
	read_principal(r, c);
	read_resource(r, c);
	flags = read_action(r, c);
	read_condition(r, c);
	if (r->h->cfg_get(c, "effect", &v) == 0 && txt_eq(v.u.str, TXT("deny")))
		flags |= POLICY_DENY;
	p->tests = pool_new(&r->p->pool, r->ntests, sizeof(*p->tests));
	p->ntests = r->ntests;
	for (uint32_t i = 0; i < r->ntests; i++) {
		p->tests[i] = test_number(r, &r->tests[i]);
		if (ops_fallible(r->tests[i].ops, r->tests[i].nops))
			flags |= POLICY_FALLIBLE;
	}
	r->p->flags[at] = (uint16_t)flags;
}

static bool always_matches(const struct policies *p, uint32_t at)
{
	return p->v[at].ntests == 0 && (p->flags[at] & ACTION_ALL) == ACTION_ALL;
}

/* What is allowed to stand there and yet cannot be meant. */
static void doubt_all(struct reading *r, const merlon_cfg *cfg)
{
	const struct policies *p = r->p;
	bool allows = false;

	for (uint32_t i = 0; i < p->n; i++) {
		allows |= !(p->flags[i] & POLICY_DENY);
		if (p->first_match && i + 1 < p->n && always_matches(p, i)) {
			doubt(r, r->h->cfg_at(cfg, "policies", i + 1), "name",
			      "and all after it are never reached: \"%.*s\" matches always",
			      TXT_FMT(p->v[i].name));
			break;
		}
	}
	if (!allows)
		doubt(r, cfg, "policies", "allow nothing: no policy has the effect allow");
}

static void read_policies(struct reading *r, const merlon_cfg *cfg)
{
	struct policies *p = r->p;
	struct txt_map names;

	p->v = pool_new(&p->pool, p->n, sizeof(*p->v));
	p->flags = pool_new(&p->pool, p->n, sizeof(*p->flags));
	txt_map_init(&names, p->n);
	txt_map_init(&r->known, p->n);
	for (uint32_t i = 0; i < p->n; i++) {
		const merlon_cfg *c = r->h->cfg_at(cfg, "policies", i);
		read_name(r, c, &p->v[i], &names, i);
		read_policy(r, c, i);
	}
	tests_finish(r);
	txt_map_free(&names);
	free(r->tests);
}

int policies_read(const struct merlon_host *h, const merlon_cfg *cfg, struct policies *out)
{
	struct reading r = {.h = h, .p = out};
	struct merlon_val v;

	*out = (struct policies){.nattrs = 1};
	out->attrs[ATTR_NOW] = TXT("time");
	out->first_match =
	    h->cfg_get(cfg, "combining", &v) == 0 && txt_eq(v.u.str, TXT("first-match"));
	out->default_label = make_label(&r, cfg, "", "default deny");
	out->n = h->cfg_count(cfg, "policies");
	if (out->n > POLICIES_MAX) {
		wrong(&r, cfg, "policies", "are %u, more than %d", out->n, POLICIES_MAX);
		out->n = 0;
		return -1;
	}
	read_policies(&r, cfg);
	if (r.errors > 0)
		return -1;
	doubt_all(&r, cfg);
	index_build(out);
	return 0;
}

void policies_free(struct policies *p)
{
	index_free(&p->index);
	pool_free(&p->pool);
}
