/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Counters. Families and their series are made under one lock and live as long as the process, so a
 * pointer to one never goes stale. Each thread slot of a series gets a cell of its own on its first
 * use: with 72 slots and thousands of series, cells made in advance would cost hundreds of
 * megabytes.
 *
 * The first thread that takes a slot is the only one that writes its cells, so it adds without a
 * locked instruction. All others, and threads without a slot, share one more cell.
 */
#include "base/stats.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

#define SHARED STATS_THREADS_MAX
#define LABELS_MAX 8
#define TABLE 512 /* chains of a family's series */
#define NBOUNDS (sizeof(bounds) / sizeof(bounds[0]))

static const struct {
	uint64_t ns;
	const char *le;
} bounds[] = {
    {500000, "0.0005"},    {1000000, "0.001"},    {2500000, "0.0025"},  {5000000, "0.005"},
    {10000000, "0.01"},    {25000000, "0.025"},   {50000000, "0.05"},   {100000000, "0.1"},
    {250000000, "0.25"},   {500000000, "0.5"},    {1000000000, "1"},    {2500000000, "2.5"},
    {5000000000, "5"},     {10000000000, "10"},   {30000000000, "30"},  {60000000000, "60"},
    {120000000000, "120"}, {300000000000, "300"}, {600000000000, "600"}};

struct cell {
	_Atomic uint64_t
	    value; /* modulo 2^64; the count of a histogram is the sum of its buckets */
	_Atomic uint64_t sum_ns;
	_Atomic uint64_t buckets[NBOUNDS + 1]; /* histograms only: other cells are shorter */
};
struct stat {
	struct stat_family *family;
	struct stat *chain; /* same hash */
	struct stat *next;  /* in order of creation */
	struct str key;     /* the label values, each with its length before it */
	struct str *values;
	_Atomic int64_t base; /* gauges: what stat_set() adds to the cells */
	/* Read by every thread that adds; nothing above is. */
	_Alignas(CACHE_LINE) enum stat_kind kind;
	_Atomic(struct cell *) cells[STATS_THREADS_MAX + 1];
};
struct stat_family {
	struct stat_family *next;
	enum stat_kind kind;
	char *name;
	char *help;
	char *label_names;
	struct str labels[LABELS_MAX];
	unsigned nlabels;
	unsigned nseries;
	struct stat *first;
	struct stat *last;
	struct stat *other;
	struct stat *table[TABLE];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct stat_family *families; /* sorted by name */
static atomic_bool slot_taken[STATS_THREADS_MAX];
static _Thread_local unsigned thread_slot = SHARED;

static bool name_ok(struct str s, bool colon)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool alpha =
		    ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || (colon && c == ':');

		if (!alpha && (i == 0 || c < '0' || c > '9'))
			return false;
	}
	return s.n > 0;
}

static bool parse_labels(struct stat_family *f)
{
	struct str rest = str_of(f->label_names);

	while (rest.p && f->label_names[0]) {
		struct str name = str_trim(str_split(&rest, ','));

		if (f->nlabels == LABELS_MAX || !name_ok(name, false) || str_eq(name, STR("le")))
			return false;
		f->labels[f->nlabels++] = name;
	}
	return true;
}

static void family_free(struct stat_family *f)
{
	free(f->name);
	free(f->help);
	free(f->label_names);
	free(f);
}

static struct stat_family *family_new(enum stat_kind kind, const char *name, const char *help,
                                      const char *label_names)
{
	struct stat_family *f = xcalloc(1, sizeof(*f));

	f->kind = kind;
	f->name = xstrdup(name);
	f->help = xstrdup(help);
	f->label_names = xstrdup(label_names);
	if (!name_ok(str_of(name), true) || !parse_labels(f)) {
		family_free(f);
		return NULL;
	}
	return f;
}

struct stat_family *stats_family(enum stat_kind kind, const char *name, const char *help,
                                 const char *label_names)
{
	struct stat_family **at = &families;
	struct stat_family *f;

	pthread_mutex_lock(&lock);
	while (*at && strcmp((*at)->name, name) < 0)
		at = &(*at)->next;
	if (*at && strcmp((*at)->name, name) == 0) {
		f = *at;
		if (f->kind != kind || strcmp(f->label_names, label_names) != 0)
			f = NULL;
	} else {
		f = family_new(kind, name, help, label_names);
		if (f) {
			f->next = *at;
			*at = f;
		}
	}
	pthread_mutex_unlock(&lock);
	return f;
}

static struct str series_key(const struct stat_family *f, const struct str *values)
{
	size_t n = 0;
	char *key, *at;

	for (unsigned i = 0; i < f->nlabels; i++)
		n += sizeof(size_t) + values[i].n;
	at = key = xmalloc(n);
	for (unsigned i = 0; i < f->nlabels; i++) {
		memcpy(at, &values[i].n, sizeof(size_t));
		at += sizeof(size_t);
		if (values[i].n)
			memcpy(at, values[i].p, values[i].n);
		at += values[i].n;
	}
	return (struct str){key, n};
}

/* Takes the key, which holds the values too. */
static struct stat *series_new(struct stat_family *f, struct str key)
{
	struct stat *s = xcalloc_lines(1, sizeof(*s));
	const char *at = key.p;

	s->family = f;
	s->kind = f->kind;
	s->key = key;
	s->values = xcalloc(f->nlabels, sizeof(*s->values));
	for (unsigned i = 0; i < f->nlabels; i++) {
		memcpy(&s->values[i].n, at, sizeof(size_t));
		s->values[i].p = at + sizeof(size_t);
		at = s->values[i].p + s->values[i].n;
	}
	if (f->last)
		f->last->next = s;
	else
		f->first = s;
	f->last = s;
	return s;
}

static struct stat *series_other(struct stat_family *f)
{
	struct str values[LABELS_MAX];

	for (unsigned i = 0; i < LABELS_MAX; i++)
		values[i] = STR("other");
	if (!f->other)
		f->other = series_new(f, series_key(f, values));
	return f->other;
}

struct stat *stats_get(struct stat_family *f, const struct str *label_values)
{
	struct str key = series_key(f, label_values);
	struct stat **at = &f->table[hash_sip(key) % TABLE];
	struct stat *s;

	pthread_mutex_lock(&lock);
	while (*at && !str_eq((*at)->key, key))
		at = &(*at)->chain;
	s = *at;
	if (!s && f->nseries < STATS_SERIES_MAX) {
		s = *at = series_new(f, key);
		f->nseries++;
		key = STR_NONE;
	}
	if (!s)
		s = series_other(f);
	pthread_mutex_unlock(&lock);
	free((void *)(uintptr_t)key.p);
	return s;
}

void stats_thread(unsigned slot)
{
	bool mine = slot < STATS_THREADS_MAX && !atomic_exchange(&slot_taken[slot], true);

	thread_slot = mine ? slot : SHARED;
}

static __attribute__((noinline, cold)) struct cell *cell_new(struct stat *s, unsigned slot)
{
	struct cell *cell = xcalloc_lines(1, s->kind == STAT_HISTOGRAM ? sizeof(struct cell) : 1);
	struct cell *seen = NULL;

	/* Two threads may both come here for the shared one. */
	if (!atomic_compare_exchange_strong(&s->cells[slot], &seen, cell)) {
		free(cell);
		return seen;
	}
	return cell;
}

static struct cell *cell_of(struct stat *s, unsigned slot)
{
	struct cell *c = atomic_load_explicit(&s->cells[slot], memory_order_acquire);

	return __builtin_expect(c != NULL, 1) ? c : cell_new(s, slot);
}

static void bump(_Atomic uint64_t *at, uint64_t by, unsigned slot)
{
	if (__builtin_expect(slot == SHARED, 0)) {
		atomic_fetch_add_explicit(at, by, memory_order_relaxed);
		return;
	}
	uint64_t now = atomic_load_explicit(at, memory_order_relaxed);
	atomic_store_explicit(at, now + by, memory_order_relaxed);
}

void stat_add(struct stat *s, int64_t by)
{
	const unsigned slot = thread_slot;

	if (s->kind != STAT_HISTOGRAM)
		bump(&cell_of(s, slot)->value, (uint64_t)by, slot);
}

void stat_observe(struct stat *s, uint64_t ns)
{
	const unsigned slot = thread_slot;
	struct cell *c;
	unsigned i = 0;

	if (s->kind != STAT_HISTOGRAM)
		return;
	c = cell_of(s, slot);
	while (i < NBOUNDS && ns > bounds[i].ns)
		i++;
	bump(&c->buckets[i], 1, slot);
	bump(&c->sum_ns, ns, slot);
}

static int64_t cells_sum(const struct stat *s)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i <= SHARED; i++) {
		struct cell *c = atomic_load_explicit(&s->cells[i], memory_order_acquire);

		if (c)
			sum += atomic_load_explicit(&c->value, memory_order_relaxed);
	}
	return (int64_t)sum;
}

void stat_set(struct stat *s, int64_t value)
{
	int64_t base = (int64_t)((uint64_t)value - (uint64_t)cells_sum(s));

	if (s->family->kind == STAT_GAUGE)
		atomic_store_explicit(&s->base, base, memory_order_relaxed);
}

/* Adds up the cells of a histogram; the count comes from the same reading, so it always fits the
 * buckets. */
static uint64_t histogram_read(const struct stat *s, uint64_t buckets[NBOUNDS + 1],
                               uint64_t *sum_ns)
{
	uint64_t count = 0;

	*sum_ns = 0;
	memset(buckets, 0, (NBOUNDS + 1) * sizeof(buckets[0]));
	for (unsigned i = 0; i <= SHARED; i++) {
		struct cell *c = atomic_load_explicit(&s->cells[i], memory_order_acquire);

		for (unsigned k = 0; c && k <= NBOUNDS; k++)
			buckets[k] += atomic_load_explicit(&c->buckets[k], memory_order_relaxed);
		if (c)
			*sum_ns += atomic_load_explicit(&c->sum_ns, memory_order_relaxed);
	}
	for (unsigned k = 0; k <= NBOUNDS; k++)
		count += buckets[k];
	return count;
}

int64_t stat_value(const struct stat *s)
{
	uint64_t buckets[NBOUNDS + 1], sum;

	if (s->family->kind == STAT_HISTOGRAM)
		return (int64_t)histogram_read(s, buckets, &sum);
	return (int64_t)((uint64_t)cells_sum(s) +
	                 (uint64_t)atomic_load_explicit(&s->base, memory_order_relaxed));
}

static int put_escaped(struct buf *out, struct str s, bool quotes)
{
	bool utf8 = str_utf8_valid(s);
	int r = 0;

	for (size_t i = 0; i < s.n && !r; i++) {
		char c = s.p[i];

		if (c == '\n')
			r = buf_adds(out, STR("\\n"));
		else if (c == '\\' || (quotes && c == '"'))
			r = buf_addf(out, "\\%c", c);
		else if ((unsigned char)c >= 0x80 && !utf8)
			r = buf_add(out, "?", 1);
		else
			r = buf_add(out, &c, 1);
	}
	return r;
}

static int put_series(struct buf *out, const struct stat *s, const char *suffix, const char *le)
{
	const struct stat_family *f = s->family;
	const char *sep = "{";
	int r = buf_addf(out, "%s%s", f->name, suffix);

	for (unsigned i = 0; i < f->nlabels && !r; i++, sep = ",") {
		r = buf_addf(out, "%s%.*s=\"", sep, STR_FMT(f->labels[i]));
		if (!r)
			r = put_escaped(out, s->values[i], true);
		if (!r)
			r = buf_add(out, "\"", 1);
	}
	if (!r && le) {
		r = buf_addf(out, "%sle=\"%s\"", sep, le);
		sep = ",";
	}
	if (!r && sep[0] == ',')
		r = buf_add(out, "}", 1);
	return r;
}

static int put_value(struct buf *out, const struct stat *s, const char *suffix, const char *le,
                     uint64_t value)
{
	int r = put_series(out, s, suffix, le);

	return r ? r : buf_addf(out, " %llu\n", (unsigned long long)value);
}

static int put_histogram(struct buf *out, const struct stat *s)
{
	uint64_t buckets[NBOUNDS + 1], sum, seen = 0;
	uint64_t count = histogram_read(s, buckets, &sum);
	int r = 0;

	for (unsigned k = 0; k <= NBOUNDS && !r; k++) {
		seen += buckets[k];
		r = put_value(out, s, "_bucket", k < NBOUNDS ? bounds[k].le : "+Inf", seen);
	}
	if (!r)
		r = put_series(out, s, "_sum", NULL);
	if (!r)
		r = buf_addf(out, " %llu.%09llu\n", (unsigned long long)(sum / 1000000000),
		             (unsigned long long)(sum % 1000000000));
	return r ? r : put_value(out, s, "_count", NULL, count);
}

static int put_family(struct buf *out, const struct stat_family *f)
{
	static const char *const kinds[] = {"counter", "gauge", "histogram"};
	int r = buf_addf(out, "# HELP %s ", f->name);

	if (!r)
		r = put_escaped(out, str_of(f->help), false);
	if (!r)
		r = buf_addf(out, "\n# TYPE %s %s\n", f->name, kinds[f->kind]);
	for (const struct stat *s = f->first; s && !r; s = s->next) {
		if (f->kind == STAT_HISTOGRAM) {
			r = put_histogram(out, s);
			continue;
		}
		r = put_series(out, s, "", NULL);
		if (!r)
			r = buf_addf(out, " %lld\n", (long long)stat_value(s));
	}
	return r;
}

int stats_render(struct buf *out)
{
	int r = 0;

	pthread_mutex_lock(&lock);
	for (const struct stat_family *f = families; f && !r; f = f->next)
		r = put_family(out, f);
	pthread_mutex_unlock(&lock);
	return err_trace(r);
}
