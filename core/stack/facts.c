/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Host functions that tell an instance about itself, its worker's clock and its tx, and the metrics
 * that modules define. Metric families belong to the process, so that a reload goes on counting.
 */
#include "base/clock.h"
#include "stack/instance.h"

#define ALLOC_MAX 65536
#define LABELS_MAX 8
#define CACHE_SIZE 64 /* a power of two */
#define CACHE_KEY 112

/* ---- facts ---- */
struct merlon_str host_ctx_info(merlon_ctx *ctx, int32_t what)
{
	switch (what) {
	case MERLON_CTX_STACK:
		return to_merlon(ctx->stack);
	case MERLON_CTX_GROUP:
		return to_merlon(str_of(conf_group_names[ctx->group]));
	case MERLON_CTX_LINE:
		return to_merlon(ctx->line->name);
	case MERLON_CTX_MODULE:
		return to_merlon(str_of(ctx->m->name));
	default:
		return (struct merlon_str){"", 0};
	}
}

int32_t host_probing(merlon_ctx *ctx)
{
	return ctx->probing;
}

/* now() is not told where it runs; a worker's thread has one loop, which its instances' starts make
 * known here. */
static _Thread_local struct loop *turn;
static _Thread_local unsigned turn_users;

void facts_thread_start(struct loop *l)
{
	turn = l;
	turn_users++;
}

void facts_thread_stop(void)
{
	if (turn_users > 0 && --turn_users == 0)
		turn = NULL;
}

uint64_t host_now(int32_t clock)
{
	if (clock == MERLON_CLOCK_REAL)
		return (turn ? loop_wall_us(turn) : clock_real_us()) * NS_PER_US;
	return turn ? loop_now(turn) : clock_mono();
}

/* ---- the tx's memory ---- */
void *host_tx_alloc(merlon_tx *tx, uint64_t size)
{
	if (size > ALLOC_MAX)
		return NULL;
	return arena_zalloc(tx_base(tx)->arena, size ? (size_t)size : 1);
}

void *host_tx_slot(merlon_ctx *ctx, merlon_tx *tx)
{
	struct tx_base *b = tx_base(tx);
	struct tx_slot *s = b->slots;

	if (ctx->m->slot_size == 0)
		return NULL;
	while (s && s->ctx != ctx)
		s = s->next;
	if (!s) {
		s = arena_alloc(b->arena, sizeof(*s));
		*s = (struct tx_slot){.next = b->slots, .ctx = ctx};
		s->mem = arena_zalloc(b->arena, ctx->m->slot_size);
		b->slots = s;
	}
	return s->mem;
}

merlon_worker *host_tx_worker(merlon_tx *tx)
{
	return tx_base(tx)->worker;
}

/* ---- attributes ---- */
int32_t host_attr_get(merlon_tx *tx, struct merlon_str key, struct merlon_val *out)
{
	const struct attr *a = attrs_get(&tx_base(tx)->attrs, from_merlon(key));

	*out = a ? a->val : (struct merlon_val){.type = MERLON_VAL_NONE};
	return a ? 0 : MERLON_E_NOENT;
}

int32_t host_attr_set(merlon_ctx *ctx, merlon_tx *tx, struct merlon_str key,
                      const struct merlon_val *val)
{
	const struct str k = from_merlon(key);
	/* Whose it is shows in the names of the others alone. */
	const struct str module = attr_of_identity(k) ? STR_NONE : str_of(ctx->m->name);

	return attrs_set_by(&tx_base(tx)->attrs, ctx, module, k, val);
}

int32_t host_attr_each(merlon_tx *tx, struct merlon_str prefix, merlon_attr_fn fn, void *arg)
{
	struct attrs *as = &tx_base(tx)->attrs;
	int32_t r = 0;

	/* The newest of a name counts, older ones are hidden by it. Bounded: fn may set more. */
	for (unsigned n = as->n; n > 0 && r == 0; n--) {
		struct attr *a = &as->v[n - 1];

		if (str_starts(a->key, from_merlon(prefix)) && attrs_get(as, a->key) == a)
			r = fn(arg, to_merlon(a->key), &a->val);
	}
	return r;
}

int32_t host_digest_want(merlon_ctx *ctx, struct merlon_str key)
{
	if (!ctx->diag)
		return MERLON_E_STATE;
	if (ctx->group != G_AUDIT)
		return MERLON_E_DENIED;
	ctx->digest.wanted = true;
	ctx->digest.key = STR_NONE;
	if (key.len > 0) {
		char *copy = arena_alloc(ctx->arena, (size_t)key.len);

		memcpy(copy, key.ptr, (size_t)key.len);
		arena_wipe(ctx->arena, copy, (size_t)key.len);
		ctx->digest.key = (struct str){copy, (size_t)key.len};
	}
	return 0;
}

/* ---- metrics ---- */
struct merlon_metric {
	struct stat_family *family;
	struct stat *only; /* without labels */
	unsigned nlabels;
	bool counter;
};

static bool name_allowed(const struct merlon_ctx *ctx, struct str name)
{
	const struct str own = str_of(ctx->m->name);

	if (str_starts(name, STR("merlon_audit_")))
		return true;
	if (!str_starts(name, STR("merlon_")))
		return false;
	name.p += sizeof("merlon_") - 1;
	name.n -= sizeof("merlon_") - 1;
	return str_starts(name, own) && name.n > own.n && name.p[own.n] == '_';
}

static unsigned count_labels(const char *labels)
{
	unsigned n = labels[0] ? 1 : 0;

	for (; *labels; labels++)
		n += *labels == ',';
	return n;
}

static bool shape_allowed(int32_t kind, const char *labels)
{
	return (kind == MERLON_METRIC_COUNTER || kind == MERLON_METRIC_GAUGE) &&
	       count_labels(labels) <= LABELS_MAX;
}

int32_t host_metric_define(merlon_ctx *ctx, int32_t kind, const char *name, const char *help,
                           const char *labels, uint32_t *id)
{
	struct merlon_metric *m;

	if (!ctx->diag)
		return MERLON_E_STATE;
	if (!name || !help || !labels || !id || !shape_allowed(kind, labels) ||
	    !name_allowed(ctx, str_of(name)))
		return MERLON_E_INVAL;
	if (ctx->nmetrics == METRICS_MAX)
		return MERLON_E_FULL;
	if (!ctx->metrics)
		ctx->metrics = arena_zalloc(ctx->arena, METRICS_MAX * sizeof(*ctx->metrics));
	m = &ctx->metrics[ctx->nmetrics];
	m->counter = kind == MERLON_METRIC_COUNTER;
	m->family = stats_family(m->counter ? STAT_COUNTER : STAT_GAUGE, name, help, labels);
	if (!m->family)
		return MERLON_E_INVAL;
	m->nlabels = count_labels(labels);
	if (m->nlabels == 0)
		m->only = stats_get(m->family, NULL);
	*id = ctx->nmetrics++;
	return 0;
}

/* Series that this thread has used: finding one anew takes the lock of all metrics. */
struct cached {
	const struct stat_family *family;
	struct stat *series;
	size_t n;
	char key[CACHE_KEY];
};
static _Thread_local struct cached cache[CACHE_SIZE];

/* The values with their lengths between; 0: too long to be kept. */
static size_t pack(const struct merlon_str *values, unsigned n, char key[CACHE_KEY])
{
	size_t at = 0;

	for (unsigned i = 0; i < n; i++) {
		if (values[i].len > 255 || at + 1 + values[i].len > CACHE_KEY)
			return 0;
		key[at++] = (char)values[i].len;
		if (values[i].len)
			memcpy(key + at, values[i].ptr, (size_t)values[i].len);
		at += (size_t)values[i].len;
	}
	return at;
}

static struct stat *series_found(const struct merlon_metric *m, const struct merlon_str *values)
{
	struct str copy[LABELS_MAX] = {0};

	for (unsigned i = 0; i < m->nlabels; i++)
		copy[i] = from_merlon(values[i]);
	return stats_get(m->family, copy);
}

static struct stat *series_of(const struct merlon_metric *m, const struct merlon_str *values)
{
	char key[CACHE_KEY];
	size_t n = pack(values, m->nlabels, key);
	struct cached *c =
	    &cache[(hash_sip((struct str){key, n}) ^ ((uintptr_t)m->family >> 4)) % CACHE_SIZE];

	if (n && c->family == m->family && c->n == n && memcmp(c->key, key, n) == 0)
		return c->series;
	struct stat *s = series_found(m, values);
	if (n && s) {
		*c = (struct cached){.family = m->family, .series = s, .n = n};
		memcpy(c->key, key, n);
	}
	return s;
}

void host_metric_add(merlon_ctx *ctx, uint32_t id, const struct merlon_str *label_values,
                     int64_t by)
{
	const struct merlon_metric *m;
	struct stat *s;

	if (id >= ctx->nmetrics)
		return;
	m = &ctx->metrics[id];
	if ((m->counter && by < 0) || (m->nlabels > 0 && !label_values))
		return;
	s = m->only ? m->only : series_of(m, label_values);
	if (s)
		stat_add(s, by);
}
