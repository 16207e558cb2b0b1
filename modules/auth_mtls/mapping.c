/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Reading `map`. All errors are said, each at its own line of the configuration.
 */
#include "mapping.h"

#include <stdio.h>
#include <stdlib.h>

const char *const source_names[SOURCE_COUNT] = {"spiffe", "dns", "cn"};

static const char *const text_keys[TEXT_COUNT] = {"sub", "org", "team", "tier"};
static const char *const list_keys[LIST_COUNT] = {"roles", "scopes", "models", "actions"};

/* ---- options ---- */
const struct merlon_option mapping_rows[] = {
    {"match", MERLON_OPT_STR, MERLON_OPT_REQUIRED, NULL, NULL, NULL,
     "Pattern of the whole name; * is one or more characters up to the next / (SPIFFE ID) or . "
     "(other names), ** one or more of any."},
    {"source", MERLON_OPT_ENUM, 0, NULL, "spiffe|dns|cn", NULL,
     "Kind of name it is for; without it spiffe where the pattern begins with spiffe://, else dns "
     "and cn."},
    {"sub", MERLON_OPT_STR, 0, "$0", NULL, NULL,
     "Who it is; in this value and those below $0 is the whole name, $1 to $9 what the wildcards "
     "stand for, $$ a dollar."},
    {"org", MERLON_OPT_STR, 0, NULL, NULL, NULL, "Organisation."},
    {"team", MERLON_OPT_STR, 0, NULL, NULL, NULL, "Team."},
    {"tier", MERLON_OPT_STR, 0, NULL, NULL, NULL, "Tier."},
    {"roles", MERLON_OPT_STRLIST, 0, NULL, NULL, NULL, "Roles."},
    {"scopes", MERLON_OPT_STRLIST, 0, NULL, NULL, NULL, "Scopes, for information."},
    {"models", MERLON_OPT_STRLIST, 0, NULL, NULL, NULL,
     "Models beyond which nothing is allowed, as globs."},
    {"actions", MERLON_OPT_STRLIST, 0, NULL, NULL, NULL,
     "Actions beyond which nothing is allowed."},
    {0},
};

struct reading {
	const struct merlon_host *h;
	struct mappings *m;
	int errors;
};

static void wrong(struct reading *r, const merlon_cfg *cfg, const char *key, const char *text)
{
	r->h->cfg_error(cfg, key, txt_of(text));
	r->errors++;
}

static void check_action(struct reading *r, const merlon_cfg *cfg, struct merlon_str s)
{
	static const char *const known[] = {"predict", "read",     "write", "delete",
	                                    "train",   "evaluate", "manage"};
	const size_t n = sizeof(known) / sizeof(known[0]);
	char text[128];
	size_t k = 0;

	/* What the certificate fills in is only known then; what is no action then allows none. */
	if (memchr(s.ptr, '$', s.len))
		return;
	while (k < n && !txt_eq(s, txt_of(known[k])))
		k++;
	if (k < n)
		return;
	const char *near = txt_suggest(s, known, n);
	snprintf(text, sizeof(text), "names an unknown action%s%s%s",
	         near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
	wrong(r, cfg, "actions", text);
}

static struct merlon_str take_value(struct reading *r, const merlon_cfg *cfg, const char *key,
                                    struct merlon_str value, unsigned wildcards)
{
	const char *why = value_check(value, wildcards);

	if (why)
		wrong(r, cfg, key, why);
	return pool_copy(&r->m->pool, value);
}

static void read_list(struct reading *r, const merlon_cfg *cfg, int which, struct mapping *row)
{
	const char *key = list_keys[which];
	struct merlon_val v;

	if (r->h->cfg_get(cfg, key, &v) != 0)
		return;
	if (v.count > MAPPING_LIST_MAX) {
		wrong(r, cfg, key, "has more than 64 entries");
		return;
	}
	row->list[which] = pool_new(&r->m->pool, v.count + 1, sizeof(row->list[which][0]));
	row->nlist[which] = v.count;
	for (uint32_t i = 0; i < v.count; i++) {
		row->list[which][i] = take_value(r, cfg, key, v.u.list[i], row->pattern.n);
		if (which == LIST_ACTIONS && v.u.list[i].len > 0)
			check_action(r, cfg, v.u.list[i]);
	}
}

static unsigned sources_of(struct reading *r, const merlon_cfg *cfg, struct merlon_str match,
                           unsigned asked)
{
	static const char scheme[] = "spiffe://";
	struct merlon_val v;
	unsigned bits = SOURCE_BIT(SOURCE_DNS) | SOURCE_BIT(SOURCE_CN);

	if (match.len >= sizeof(scheme) - 1 && memcmp(match.ptr, scheme, sizeof(scheme) - 1) == 0)
		bits = SOURCE_BIT(SOURCE_SPIFFE);
	if (r->h->cfg_get(cfg, "source", &v) == 0) {
		for (int i = 0; i < SOURCE_COUNT; i++) {
			if (txt_eq(v.u.str, txt_of(source_names[i])))
				bits = SOURCE_BIT(i);
		}
	}
	if (!(bits & asked))
		wrong(r, cfg, "match", "is for names that `identity` does not list");
	return bits;
}

static void read_row(struct reading *r, const merlon_cfg *cfg, unsigned asked, struct mapping *row)
{
	struct merlon_val v;
	const char *why;

	if (r->h->cfg_get(cfg, "match", &v) != 0) {
		wrong(r, cfg, "match", "is missing");
		return;
	}
	row->match = pool_copy(&r->m->pool, v.u.str);
	row->sources = sources_of(r, cfg, row->match, asked);
	/* Domain names have no case: theirs is folded, and so is their patterns'. A pattern for
	 * both kinds keeps its case, since common names have one. */
	if (row->sources == SOURCE_BIT(SOURCE_DNS) || !(asked & SOURCE_BIT(SOURCE_CN))) {
		char *p = (char *)(uintptr_t)row->match.ptr;
		for (uint64_t i = 0; !(row->sources & SOURCE_BIT(SOURCE_SPIFFE)) && p[i]; i++)
			p[i] = p[i] >= 'A' && p[i] <= 'Z' ? (char)(p[i] + 32) : p[i];
	}
	why = pattern_parse(&row->pattern, row->match);
	if (why) {
		wrong(r, cfg, "match", why);
		return;
	}
	for (int i = 0; i < TEXT_COUNT; i++) {
		if (r->h->cfg_get(cfg, text_keys[i], &v) == 0)
			row->text[i] = take_value(r, cfg, text_keys[i], v.u.str, row->pattern.n);
	}
	for (int i = 0; i < LIST_COUNT; i++)
		read_list(r, cfg, i, row);
}

static bool is_written(const struct merlon_host *h, const merlon_cfg *cfg)
{
	struct merlon_str key;

	for (uint32_t i = 0; (key = h->cfg_key(cfg, i)).ptr; i++) {
		if (txt_eq(key, TXT("map")))
			return true;
	}
	return false;
}

int mappings_read(const struct merlon_host *h, const merlon_cfg *cfg, unsigned sources,
                  struct mappings *out)
{
	struct reading r = {.h = h, .m = out};
	uint32_t n = h->cfg_count(cfg, "map");

	*out = (struct mappings){.n = n, .given = is_written(h, cfg)};
	out->rows = mem_new(n, sizeof(out->rows[0]));
	for (uint32_t i = 0; i < n; i++)
		read_row(&r, h->cfg_at(cfg, "map", i), sources, &out->rows[i]);
	return r.errors > 0 ? -1 : 0;
}

void mappings_free(struct mappings *m)
{
	free(m->rows);
	pool_free(&m->pool);
}
