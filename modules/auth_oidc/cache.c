/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Verified tokens by the SHA-256 of all of their bytes: a table with chains, and a list by last
 * use, whose end gives way. One worker's, so without a lock. It owns the identities. Only tokens
 * that were good get in, so strangers choose neither what lies here nor where.
 */
#include "oidc.h"

#include <stdlib.h>

#define NONE UINT32_MAX

struct entry {
	uint8_t hash[SHA_LEN];
	uint64_t epoch;
	int64_t until;
	int64_t expires;
	struct identity *id;
	uint32_t next;         /* in its chain, or among the free ones */
	uint32_t newer, older; /* by last use */
};
struct cache {
	struct entry *entries;
	uint32_t *chains;
	uint32_t size, mask;
	uint32_t count;
	uint32_t free;
	uint32_t newest, oldest;
};

struct cache *cache_new(uint32_t size)
{
	struct cache *c = mem_new(1, sizeof(*c));
	uint32_t chains = 1;

	while (chains < size)
		chains *= 2;
	c->size = size;
	c->mask = chains - 1;
	c->entries = mem_new(size, sizeof(*c->entries));
	c->chains = mem_new(chains, sizeof(*c->chains));
	memset(c->chains, 0xff, chains * sizeof(*c->chains));
	c->free = c->newest = c->oldest = NONE;
	return c;
}

void cache_free(struct cache *c)
{
	if (!c)
		return;
	for (uint32_t i = c->newest; i != NONE; i = c->entries[i].older)
		free(c->entries[i].id);
	free(c->entries);
	free(c->chains);
	free(c);
}

uint32_t cache_count(const struct cache *c)
{
	return c->count;
}

/* ---- by hash ---- */
static uint32_t *chain_of(struct cache *c, const uint8_t hash[SHA_LEN])
{
	uint32_t h;

	memcpy(&h, hash, sizeof(h));
	return &c->chains[h & c->mask];
}

/* Where the entry's place is written; *NONE: it is not there. */
static uint32_t *find(struct cache *c, const uint8_t hash[SHA_LEN])
{
	uint32_t *at = chain_of(c, hash);

	while (*at != NONE && memcmp(c->entries[*at].hash, hash, SHA_LEN) != 0)
		at = &c->entries[*at].next;
	return at;
}

/* ---- by last use ---- */
static void unlink_use(struct cache *c, uint32_t i)
{
	struct entry *e = &c->entries[i];

	if (e->newer == NONE)
		c->newest = e->older;
	else
		c->entries[e->newer].older = e->older;
	if (e->older == NONE)
		c->oldest = e->newer;
	else
		c->entries[e->older].newer = e->newer;
}

static void link_newest(struct cache *c, uint32_t i)
{
	struct entry *e = &c->entries[i];

	e->newer = NONE;
	e->older = c->newest;
	if (c->newest == NONE)
		c->oldest = i;
	else
		c->entries[c->newest].newer = i;
	c->newest = i;
}

static void drop(struct cache *c, uint32_t i)
{
	struct entry *e = &c->entries[i];
	uint32_t *at = find(c, e->hash);

	*at = e->next;
	unlink_use(c, i);
	free(e->id);
	e->id = NULL;
	e->next = c->free;
	c->free = i;
	c->count--;
}

static uint32_t take(struct cache *c)
{
	uint32_t i = c->free;

	if (i != NONE) {
		c->free = c->entries[i].next;
	} else if (c->count < c->size) {
		i = c->count; /* none was ever freed, so the first `count` are in use */
	} else {
		i = c->oldest;
		drop(c, i);
		c->free = c->entries[i].next;
	}
	c->count++;
	return i;
}

const struct identity *cache_get(struct cache *c, const uint8_t hash[SHA_LEN], uint64_t epoch,
                                 int64_t now, int64_t *expires)
{
	uint32_t i = *find(c, hash);
	const struct entry *e;

	if (i == NONE)
		return NULL;
	e = &c->entries[i];
	if (e->epoch != epoch || now >= e->until) {
		drop(c, i);
		return NULL;
	}
	if (i != c->newest) {
		unlink_use(c, i);
		link_newest(c, i);
	}
	*expires = e->expires;
	return e->id;
}

void cache_put(struct cache *c, const uint8_t hash[SHA_LEN], uint64_t epoch, int64_t until,
               int64_t expires, struct identity *id)
{
	uint32_t i = *find(c, hash);
	uint32_t *chain;

	if (i != NONE)
		drop(c, i);
	if (c->size == 0) {
		free(id);
		return;
	}
	i = take(c);
	chain = chain_of(c, hash);
	c->entries[i] = (struct entry){
	    .epoch = epoch, .until = until, .expires = expires, .id = id, .next = *chain};
	memcpy(c->entries[i].hash, hash, SHA_LEN);
	*chain = i;
	link_newest(c, i);
}
