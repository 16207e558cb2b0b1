/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Zones and their registry. A zone belongs to the process and lives while an instance holds it. Its
 * records lie in slabs of a shard; the shard's lock is the only one taken for an update, and a
 * known key costs no allocation.
 *
 * Every new zone waits aside until its generation is published: a reload that fails must not have
 * emptied what the running generation counts in.
 */
#include "stack/zone.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "stack/instance.h"
#include "stack/shared.h"

#define REC_MAX 4096
#define RECORDS_MAX (UINT64_C(1) << 31)
#define KEY_INLINE 32  /* longer keys get memory of their own */
#define SWEEP 64       /* records looked at for one to drop, before a shard grows */
#define SWEEP_FULL 512 /* the same over all shards, when the zone is full */
#define SLABS_FIRST 8
#define BUCKETS_FIRST 32

struct entry {
	struct entry *next; /* of its bucket, or of the free ones */
	uint64_t hash;
	uint64_t expires; /* monotonic ns after which it may be dropped */
	uint32_t keylen;
	uint32_t used;
	union {
		char in[KEY_INLINE];
		char *out;
	} key;
	_Alignas(16) char rec[];
};

struct shard {
	/* Two shards share no line, nor does a zone's head with the first of them. */
	_Alignas(CACHE_LINE) pthread_mutex_t lock;
	struct entry **buckets;
	uint32_t nbuckets; /* a power of two, or 0 */
	uint32_t count;    /* entries in use */
	uint32_t made;     /* entries that the slabs hold, in use or not */
	uint32_t hand;     /* where the next sweep goes on */
	struct entry *free;
	char **slabs;
	uint32_t slabs_cap;
};

enum zone_state { PENDING, CURRENT, DETACHED };

struct merlon_zone {
	struct list node;
	char *name;
	char *module;
	char *signature;
	size_t signature_len;
	enum zone_state state;
	unsigned refs;
	uint32_t rec_size;
	uint32_t entry_size;
	uint32_t slab_entries;
	_Atomic uint64_t max_records;
	uint64_t next_max; /* takes effect when the generation is published; 0: none */
	_Atomic uint64_t records;
	_Atomic uint64_t bytes;
	_Atomic uint32_t sweep_shard;
	struct shard shards[ZONE_SHARDS];
};

static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;
static struct list zones = {&zones, &zones};

/* ---- records ---- */
static const char *entry_key(const struct entry *e)
{
	return e->keylen <= KEY_INLINE ? e->key.in : e->key.out;
}

static struct entry *entry_at(const struct merlon_zone *z, const struct shard *s, uint32_t i)
{
	char *slab = s->slabs[i / z->slab_entries];

	return (struct entry *)(void *)(slab + (size_t)(i % z->slab_entries) * z->entry_size);
}

static struct entry *shard_find(const struct shard *s, uint64_t hash, struct str key)
{
	struct entry *e = s->nbuckets ? s->buckets[hash & (s->nbuckets - 1)] : NULL;

	while (e && (e->hash != hash || !str_eq((struct str){entry_key(e), e->keylen}, key)))
		e = e->next;
	return e;
}

static void entry_drop(struct merlon_zone *z, struct shard *s, struct entry *e)
{
	struct entry **at = &s->buckets[e->hash & (s->nbuckets - 1)];

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	if (e->keylen > KEY_INLINE)
		free(e->key.out);
	e->used = 0;
	e->next = s->free;
	s->free = e;
	s->count--;
	atomic_fetch_sub_explicit(&z->records, 1, memory_order_relaxed);
}

/* Drops what says nothing any more among the next `*budget` records; free places count for less.
 * True: something was dropped. */
static bool shard_sweep(struct merlon_zone *z, struct shard *s, uint64_t now, uint32_t *budget)
{
	uint32_t n = s->made < *budget * 4 ? s->made : *budget * 4;
	bool dropped = false;

	for (; n > 0 && *budget > 0; n--) {
		struct entry *e;

		if (s->hand >= s->made)
			s->hand = 0;
		e = entry_at(z, s, s->hand++);
		if (!e->used)
			continue;
		--*budget;
		if (e->expires <= now) {
			entry_drop(z, s, e);
			dropped = true;
		}
	}
	return dropped;
}

static void shard_rehash(struct merlon_zone *z, struct shard *s)
{
	uint32_t n = s->nbuckets ? s->nbuckets * 2 : BUCKETS_FIRST;
	struct entry **buckets = xcalloc(n, sizeof(struct entry *));

	for (uint32_t i = 0; i < s->nbuckets; i++) {
		for (struct entry *e = s->buckets[i], *next; e; e = next) {
			next = e->next;
			e->next = buckets[e->hash & (n - 1)];
			buckets[e->hash & (n - 1)] = e;
		}
	}
	free(s->buckets);
	s->buckets = buckets;
	atomic_fetch_add_explicit(&z->bytes, (n - s->nbuckets) * sizeof(struct entry *),
	                          memory_order_relaxed);
	s->nbuckets = n;
}

static void shard_grow(struct merlon_zone *z, struct shard *s)
{
	size_t size = (size_t)z->entry_size * z->slab_entries;
	uint32_t slab = s->made / z->slab_entries;

	if (slab == s->slabs_cap) {
		s->slabs_cap = s->slabs_cap ? s->slabs_cap * 2 : SLABS_FIRST;
		s->slabs = xrealloc(s->slabs, s->slabs_cap * sizeof(char *));
	}
	s->slabs[slab] = xcalloc_lines(1, size);
	for (uint32_t i = z->slab_entries; i-- > 0;) {
		struct entry *e = entry_at(z, s, s->made + i);

		e->next = s->free;
		s->free = e;
	}
	s->made += z->slab_entries;
	atomic_fetch_add_explicit(&z->bytes, size, memory_order_relaxed);
}

/* Takes one of the zone's max_records. */
static bool zone_reserve(struct merlon_zone *z)
{
	uint64_t max = atomic_load_explicit(&z->max_records, memory_order_relaxed);
	uint64_t n = atomic_fetch_add_explicit(&z->records, 1, memory_order_relaxed);

	if (n < max)
		return true;
	atomic_fetch_sub_explicit(&z->records, 1, memory_order_relaxed);
	return false;
}

/* A zeroed entry for the key; NULL: the zone is full and this shard has nothing to drop. */
static struct entry *shard_insert(struct merlon_zone *z, struct shard *s, uint64_t hash,
                                  struct str key)
{
	struct entry *e;
	uint32_t budget = SWEEP;

	if (!s->free)
		shard_sweep(z, s, clock_mono(), &budget);
	if (!zone_reserve(z)) {
		budget = SWEEP;
		if (!shard_sweep(z, s, clock_mono(), &budget) || !zone_reserve(z))
			return NULL;
	}
	if (!s->free)
		shard_grow(z, s);
	if (s->count >= s->nbuckets)
		shard_rehash(z, s);
	e = s->free;
	s->free = e->next;
	s->count++;
	e->hash = hash;
	e->used = 1;
	e->expires = 0;
	e->keylen = (uint32_t)key.n;
	if (key.n > KEY_INLINE)
		e->key.out = str_dup(key);
	else if (key.n > 0)
		memcpy(e->key.in, key.p, key.n);
	memset(e->rec, 0, z->rec_size);
	e->next = s->buckets[hash & (s->nbuckets - 1)];
	s->buckets[hash & (s->nbuckets - 1)] = e;
	return e;
}

/* The zone is full: looks for something to drop in every shard, within a budget, since a flood of
 * new keys must not cost a walk over all records each. */
static bool zone_sweep(struct merlon_zone *z)
{
	uint64_t now = clock_mono();
	uint32_t budget = SWEEP_FULL;
	bool dropped = false;

	for (unsigned i = 0; i < ZONE_SHARDS && budget > 0 && !dropped; i++) {
		uint32_t at = atomic_fetch_add_explicit(&z->sweep_shard, 1, memory_order_relaxed);
		struct shard *s = &z->shards[at % ZONE_SHARDS];

		pthread_mutex_lock(&s->lock);
		dropped = shard_sweep(z, s, now, &budget);
		pthread_mutex_unlock(&s->lock);
	}
	return dropped;
}

/* Explain: the module sees the record as it is, and what it does to it is dropped. */
static void update_dry(struct merlon_zone *z, struct shard *s, uint64_t hash, struct str key,
                       merlon_zone_fn fn, void *arg)
{
	_Alignas(16) char rec[REC_MAX];
	struct entry *e;

	pthread_mutex_lock(&s->lock);
	e = shard_find(s, hash, key);
	if (e)
		memcpy(rec, e->rec, z->rec_size);
	pthread_mutex_unlock(&s->lock);
	if (!e)
		memset(rec, 0, z->rec_size);
	fn(rec, e == NULL, arg);
}

/* False: there was no room. */
static bool update(struct merlon_zone *z, struct shard *s, uint64_t hash, struct str key,
                   merlon_zone_fn fn, void *arg)
{
	struct entry *e;
	uint32_t fresh = 0;

	pthread_mutex_lock(&s->lock);
	e = shard_find(s, hash, key);
	if (!e) {
		e = shard_insert(z, s, hash, key);
		fresh = 1;
	}
	if (e)
		e->expires = fn(e->rec, fresh, arg);
	pthread_mutex_unlock(&s->lock);
	return e != NULL;
}

int32_t host_zone_update(merlon_zone *zone, merlon_tx *tx, struct merlon_str key, merlon_zone_fn fn,
                         void *arg)
{
	struct str k = from_merlon(key);
	/* Longer than any key that is taken as it is, so that none of those can be made to look
	 * like the sum of another. */
	uint8_t sum[ZONE_KEY_MAX + 1];
	struct shard *s;
	uint64_t hash;

	if (!zone || !fn)
		return MERLON_E_INVAL;
	if (k.n > ZONE_KEY_MAX) {
		memset(sum, 0, sizeof(sum));
		sha256(k, sum);
		k = (struct str){(const char *)sum, sizeof(sum)};
	}
	hash = hash_sip(k);
	s = &zone->shards[hash >> 58]; /* the buckets take the low bits */
	if (tx && tx_base(tx)->dry) {
		update_dry(zone, s, hash, k, fn, arg);
		return 0;
	}
	if (update(zone, s, hash, k, fn, arg))
		return 0;
	if (zone_sweep(zone) && update(zone, s, hash, k, fn, arg))
		return 0;
	return MERLON_E_FULL;
}

/* ---- life ---- */
/* What a line wants of its zone. */
struct want {
	const char *name;
	const char *module; /* records of another one mean something else */
	struct str signature;
	uint32_t rec_size;
	uint64_t max_records;
};

static struct merlon_zone *zone_new(const struct want *w)
{
	struct merlon_zone *z = xcalloc_lines(1, sizeof(*z));
	pthread_mutexattr_t attr;

	z->name = xstrdup(w->name);
	z->module = xstrdup(w->module);
	z->signature = str_dup(w->signature);
	z->signature_len = w->signature.n;
	z->rec_size = w->rec_size;
	z->entry_size = (uint32_t)(sizeof(struct entry) + ((w->rec_size + 15) & ~UINT32_C(15)));
	z->slab_entries = w->rec_size <= 256 ? 32 : 4;
	atomic_store(&z->max_records, w->max_records);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
	for (unsigned i = 0; i < ZONE_SHARDS; i++)
		pthread_mutex_init(&z->shards[i].lock, &attr);
	pthread_mutexattr_destroy(&attr);
	list_add(&zones, &z->node);
	return z;
}

static void shard_free(struct merlon_zone *z, struct shard *s)
{
	for (uint32_t i = 0; i < s->made; i++) {
		struct entry *e = entry_at(z, s, i);

		if (e->used && e->keylen > KEY_INLINE)
			free(e->key.out);
	}
	for (uint32_t i = 0; i < s->made / z->slab_entries; i++)
		free(s->slabs[i]);
	free(s->slabs);
	free(s->buckets);
	pthread_mutex_destroy(&s->lock);
}

void zone_close(merlon_zone *zone)
{
	bool last;

	pthread_mutex_lock(&registry);
	last = --zone->refs == 0;
	if (last)
		list_del(&zone->node);
	pthread_mutex_unlock(&registry);
	if (!last)
		return;
	for (unsigned i = 0; i < ZONE_SHARDS; i++)
		shard_free(zone, &zone->shards[i]);
	free(zone->signature);
	free(zone->module);
	free(zone->name);
	free(zone);
}

static void zone_put(void *obj)
{
	zone_close(obj);
}

/* ---- registry ---- */
static struct merlon_zone *zone_find(const char *name, enum zone_state state)
{
	list_each(it, &zones)
	{
		struct merlon_zone *z = list_entry(it, struct merlon_zone, node);

		if (z->state == state && strcmp(z->name, name) == 0)
			return z;
	}
	return NULL;
}

/* A shadow line counts for itself, whatever zone it names: it must not use up what others share,
 * nor what the same line counts where it is no shadow, in the generation before. */
static char *zone_name(const merlon_ctx *ctx, const merlon_cfg *cfg)
{
	struct merlon_val v;

	if (cfg && !ctx->line->shadow && host_cfg_get(cfg, "zone", &v) == 0 &&
	    v.type == MERLON_VAL_STR && v.u.str.len > 0)
		return xasprintf("shared:%.*s", STR_FMT(from_merlon(v.u.str)));
	return xasprintf("%s%.*s/%s/%.*s", ctx->line->shadow ? "shadow:" : "", STR_FMT(ctx->stack),
	                 conf_group_names[ctx->group], STR_FMT(ctx->line->name));
}

static bool same_kind(const struct merlon_zone *z, const struct want *w)
{
	return z->rec_size == w->rec_size && strcmp(z->module, w->module) == 0 &&
	       str_eq((struct str){z->signature, z->signature_len}, w->signature);
}

static void tell(const merlon_cfg *cfg,
                 void (*how)(const merlon_cfg *, const char *, struct merlon_str), char *text)
{
	if (cfg)
		how(cfg, "", to_merlon(str_of(text)));
	else
		log_msg(LOG_L_WARN, "%s", text);
	free(text);
}

/* The zone to use under that name, registry locked; NULL: another line wants it otherwise. */
static struct merlon_zone *zone_pick(const merlon_cfg *cfg, const struct want *w)
{
	struct merlon_zone *next = zone_find(w->name, PENDING);
	struct merlon_zone *now = zone_find(w->name, CURRENT);
	/* next_max: a line of the configuration that is being loaded has taken it already. */
	struct merlon_zone *taken = next ? next : now && now->next_max ? now : NULL;

	if (taken && !same_kind(taken, w)) {
		tell(cfg, host_cfg_error,
		     xasprintf("zone %s: another line of this configuration uses it with another "
		               "key or other windows",
		               w->name));
		return NULL;
	}
	if (next) {
		if (w->max_records > atomic_load(&next->max_records))
			atomic_store(&next->max_records, w->max_records);
		return next;
	}
	if (now && same_kind(now, w)) {
		now->next_max = w->max_records > now->next_max ? w->max_records : now->next_max;
		return now;
	}
	if (now)
		tell(cfg, host_cfg_warn,
		     xasprintf("zone %s: limits start anew since key or windows changed", w->name));
	return zone_new(w);
}

int32_t host_zone_open(merlon_ctx *ctx, const merlon_cfg *cfg, struct merlon_str signature,
                       uint32_t rec_size, uint64_t max_records, merlon_zone **out)
{
	struct merlon_zone *z;
	struct want w = {.module = ctx && ctx->m ? ctx->m->name : "",
	                 .signature = from_merlon(signature),
	                 .rec_size = rec_size,
	                 .max_records = max_records};
	char *name;

	if (!ctx || !out || rec_size == 0 || rec_size > REC_MAX || max_records == 0 ||
	    max_records > RECORDS_MAX)
		return MERLON_E_INVAL;
	name = zone_name(ctx, cfg);
	w.name = name;
	pthread_mutex_lock(&registry);
	z = zone_pick(cfg, &w);
	if (z)
		z->refs++;
	pthread_mutex_unlock(&registry);
	free(name);
	if (!z)
		return MERLON_E_INVAL;
	held_add(ctx, zone_put, z);
	*out = z;
	return 0;
}

void zones_publish(void)
{
	pthread_mutex_lock(&registry);
	list_each(it, &zones)
	{
		struct merlon_zone *z = list_entry(it, struct merlon_zone, node);
		struct merlon_zone *old;

		if (z->next_max)
			atomic_store(&z->max_records, z->next_max);
		z->next_max = 0;
		if (z->state != PENDING)
			continue;
		old = zone_find(z->name, CURRENT);
		if (old)
			old->state = DETACHED;
		z->state = CURRENT;
	}
	pthread_mutex_unlock(&registry);
}

void zones_discard(void)
{
	pthread_mutex_lock(&registry);
	list_each(it, &zones)
	{
		struct merlon_zone *z = list_entry(it, struct merlon_zone, node);

		z->next_max = 0;
		if (z->state == PENDING)
			z->state = DETACHED;
	}
	pthread_mutex_unlock(&registry);
}

void zone_each(void (*fn)(void *arg, const struct zone_info *z), void *arg)
{
	pthread_mutex_lock(&registry);
	list_each(it, &zones)
	{
		struct merlon_zone *z = list_entry(it, struct merlon_zone, node);
		struct zone_info info = {.name = z->name,
		                         .records = atomic_load(&z->records),
		                         .bytes = atomic_load(&z->bytes)};

		if (z->state == CURRENT)
			fn(arg, &info);
	}
	pthread_mutex_unlock(&registry);
}
