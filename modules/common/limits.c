/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Reading limits. What this version cannot count is refused, so that nobody relies on it.
 */
#include "common/limits.h"

#include <stdio.h>
#include <stdlib.h>

#define LIMIT_ROWS                                                                                 \
	{"requests", MERLON_OPT_RATE, 0, NULL, NULL, NULL, "Requests a window, as \"120/1m\"."},   \
	    {"burst",                                                                              \
	     MERLON_OPT_RATE,                                                                      \
	     0,                                                                                    \
	     NULL,                                                                                 \
	     NULL,                                                                                 \
	     NULL,                                                                                 \
	     "Requests in a second, shorter window, as \"20/1s\"; both must pass."},               \
	    {"concurrency",                                                                        \
	     MERLON_OPT_INT,                                                                       \
	     0,                                                                                    \
	     NULL,                                                                                 \
	     "0..1000000",                                                                         \
	     NULL,                                                                                 \
	     "Requests under way at the same time."},                                              \
	    {"tokens", MERLON_OPT_ANY, 0, NULL, NULL, NULL, "Not supported by this version."},     \
	    {"cost", MERLON_OPT_ANY, 0, NULL, NULL, NULL, "Not supported by this version."},       \
	{                                                                                          \
		NULL, 0, 0, NULL, NULL, NULL, NULL                                                 \
	}

const struct merlon_option limits_default[] = {LIMIT_ROWS};
const struct merlon_option limits_tier[] = {{"tier", MERLON_OPT_STR, MERLON_OPT_REQUIRED, NULL,
                                             NULL, NULL, "The tier (id.tier) it is for."},
                                            LIMIT_ROWS};
const struct merlon_option limits_override[] = {{"key", MERLON_OPT_STR, MERLON_OPT_REQUIRED, NULL,
                                                 NULL, NULL, "The value of the key it is for."},
                                                LIMIT_ROWS};

const struct merlon_option limits_penalty[] = {
    {"after", MERLON_OPT_RATE, MERLON_OPT_REQUIRED, NULL, NULL, NULL,
     "How many refusals in which time begin a block, as \"5/1m\"."},
    {"block", MERLON_OPT_DURATION, 0, "30s", "1ms..30d", NULL,
     "Length of the first block; each following lasts twice as long as the one before."},
    {"max", MERLON_OPT_DURATION, 0, "1h", "1ms..30d", NULL,
     "Most that a block lasts; and how long a key must be quiet before blocks begin small again."},
    {NULL, 0, 0, NULL, NULL, NULL, NULL}};

static const char *const window_names[LIMIT_WINDOWS] = {"requests", "burst"};

static int refuse_written(const struct merlon_host *h, const merlon_cfg *cfg)
{
	static const char *const later[] = {"tokens", "cost"};
	struct merlon_str key;
	int r = 0;

	for (uint32_t i = 0; (key = h->cfg_key(cfg, i)).ptr; i++) {
		for (unsigned k = 0; k < sizeof(later) / sizeof(later[0]); k++) {
			if (!txt_eq(key, txt_of(later[k])))
				continue;
			h->cfg_error(cfg, later[k], TXT("is not supported by this version"));
			r = -1;
		}
	}
	return r;
}

static int read_limit(const struct merlon_host *h, const merlon_cfg *cfg, struct limit *out)
{
	int r = refuse_written(h, cfg);
	struct merlon_val v;

	*out = (struct limit){.concurrency = -1};
	for (unsigned i = 0; i < LIMIT_WINDOWS; i++) {
		int64_t count, length;
		if (h->cfg_rate(cfg, window_names[i], &count, &length) != 0)
			continue;
		if (count < 0 || length < (int64_t)WINDOW_LEAST) {
			h->cfg_error(cfg, window_names[i], TXT("has a window shorter than 1ms"));
			r = -1;
			continue;
		}
		out->window[i].count = (uint64_t)count;
		out->window[i].length = (uint64_t)length;
	}
	if (h->cfg_get(cfg, "concurrency", &v) == 0)
		out->concurrency = v.u.i64;
	return r;
}

/* The entries of tiers or of overrides: `name` is what each is known by. */
static int read_list(const struct merlon_host *h, const merlon_cfg *cfg, const char *list,
                     const char *name, struct mem_pool *pool, struct limit **limit,
                     struct txt_map *map)
{
	uint32_t n = h->cfg_count(cfg, list);
	int r = 0;

	*limit = pool_new(pool, n, sizeof(**limit));
	txt_map_init(map, n);
	for (uint32_t i = 0; i < n; i++) {
		const merlon_cfg *e = h->cfg_at(cfg, list, i);
		struct merlon_val v;
		r |= read_limit(h, e, &(*limit)[i]);
		if (h->cfg_get(e, name, &v) != 0)
			continue; /* required: the host has said so */
		if (txt_map_put(map, pool_copy(pool, v.u.str), i) != TXT_MAP_NONE) {
			h->cfg_error(e, name, TXT("stands here already"));
			r = -1;
		}
	}
	return r;
}

static int read_penalty(const struct merlon_host *h, const merlon_cfg *cfg, struct penalty *out)
{
	struct merlon_val block, max;
	int64_t after, window;

	if (h->cfg_rate(cfg, "after", &after, &window) != 0 ||
	    h->cfg_get(cfg, "block", &block) != 0 || h->cfg_get(cfg, "max", &max) != 0)
		return -1; /* the host has said what is missing or wrong */
	if (after < 1 || window < (int64_t)WINDOW_LEAST) {
		h->cfg_error(cfg, "after", TXT("must be at least one refusal in at least 1ms"));
		return -1;
	}
	if (max.u.i64 < block.u.i64) {
		h->cfg_error(cfg, "max", TXT("is shorter than the first block"));
		return -1;
	}
	*out = (struct penalty){(uint64_t)after, (uint64_t)window, (uint64_t)block.u.i64,
	                        (uint64_t)max.u.i64};
	return 0;
}

int limits_read(const struct merlon_host *h, const merlon_cfg *cfg, struct limits *out)
{
	int r = 0;

	*out = (struct limits){.whole.concurrency = -1};
	if (h->cfg_count(cfg, "penalty") > 0)
		r = read_penalty(h, h->cfg_at(cfg, "penalty", 0), &out->penalty);
	if (h->cfg_count(cfg, "default") > 0)
		r |= read_limit(h, h->cfg_at(cfg, "default", 0), &out->whole);
	r |= read_list(h, cfg, "tiers", "tier", &out->pool, &out->tier, &out->tiers);
	r |= read_list(h, cfg, "overrides", "key", &out->pool, &out->key, &out->keys);
	return r;
}

void limits_free(struct limits *l)
{
	txt_map_free(&l->tiers);
	txt_map_free(&l->keys);
	pool_free(&l->pool);
}

static void merge(struct limit *into, const struct limit *from)
{
	for (unsigned i = 0; i < LIMIT_WINDOWS; i++) {
		if (into->window[i].length == 0)
			into->window[i] = from->window[i];
	}
	if (into->concurrency < 0)
		into->concurrency = from->concurrency;
}

struct limit limits_for(const struct limits *l, struct merlon_str key, struct merlon_str tier)
{
	struct limit out = {.concurrency = -1};
	uint32_t i = txt_map_get(&l->keys, key);

	if (i != TXT_MAP_NONE)
		merge(&out, &l->key[i]);
	i = txt_map_get(&l->tiers, tier);
	if (i != TXT_MAP_NONE)
		merge(&out, &l->tier[i]);
	merge(&out, &l->whole);
	return out;
}

static int by_length(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

struct merlon_str limits_lengths(struct limits *l)
{
	size_t n = 1 + l->tiers.used + l->keys.used, len = 0;
	uint64_t *all = mem_new(n, sizeof(*all));
	char *out = pool_new(&l->pool, LIMIT_WINDOWS * (n + 1) + 1, 24);

	for (unsigned w = 0; w < LIMIT_WINDOWS; w++) {
		size_t k = 0;
		all[k++] = l->whole.window[w].length;
		for (uint32_t i = 0; i < l->tiers.used; i++)
			all[k++] = l->tier[i].window[w].length;
		for (uint32_t i = 0; i < l->keys.used; i++)
			all[k++] = l->key[i].window[w].length;
		qsort(all, n, sizeof(*all), by_length);
		out[len++] = ';';
		for (size_t i = 0; i < n; i++) {
			if (all[i] > 0 && (i == 0 || all[i] != all[i - 1]))
				len +=
				    (size_t)sprintf(out + len, "%llu ", (unsigned long long)all[i]);
		}
	}
	free(all);
	if (l->penalty.after > 0)
		len += (size_t)sprintf(out + len, ";p%llu", (unsigned long long)l->penalty.window);
	return (struct merlon_str){out, len};
}
