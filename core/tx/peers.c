/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Connections by client address: a chained table in parts, each with its lock. An entry lives while
 * its address has a connection, so the table is bounded by limits.connections.
 */
#include "tx/peers.h"

#include "base/clock.h"
#include "base/mem.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct peer {
	struct peer *next;
	uint64_t key[2];
	unsigned n;
};

/* IPv4, also where it comes mapped into IPv6, or the /64 of IPv6: whoever has one address of that
 * has all. */
static bool key_of(const struct sockaddr *sa, uint64_t key[2])
{
	const void *at = sa;

	key[0] = key[1] = 0;
	if (sa->sa_family == AF_INET) {
		memcpy(&key[1], &((const struct sockaddr_in *)at)->sin_addr, 4);
		return true;
	}
	if (sa->sa_family != AF_INET6)
		return false;
	const struct in6_addr *a = &((const struct sockaddr_in6 *)at)->sin6_addr;
	if (IN6_IS_ADDR_V4MAPPED(a)) {
		memcpy(&key[1], a->s6_addr + 12, 4);
		return true;
	}
	memcpy(&key[0], a->s6_addr, 8);
	key[1] = UINT64_MAX;
	return true;
}

static uint64_t mix(const struct peers *p, const uint64_t key[2])
{
	uint64_t h = p->seed;

	for (unsigned i = 0; i < 2; i++) {
		h ^= key[i];
		h = (h ^ (h >> 33)) * UINT64_C(0xff51afd7ed558ccd);
		h = (h ^ (h >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
	}
	return h ^ (h >> 33);
}

void peers_init(struct peers *p)
{
	memset(p, 0, sizeof(*p));
	/* Clients choose addresses, but not where they land. */
	if (getrandom(&p->seed, sizeof(p->seed), 0) != sizeof(p->seed))
		p->seed = clock_mono();
	for (unsigned i = 0; i < PEERS_SHARDS; i++)
		pthread_mutex_init(&p->shards[i].lock, NULL);
}

void peers_deinit(struct peers *p)
{
	for (unsigned i = 0; i < PEERS_SHARDS; i++) {
		for (unsigned k = 0; k < PEERS_BUCKETS; k++) {
			while (p->shards[i].buckets[k]) {
				struct peer *one = p->shards[i].buckets[k];

				p->shards[i].buckets[k] = one->next;
				free(one);
			}
		}
		pthread_mutex_destroy(&p->shards[i].lock);
	}
}

/* The place that points at the entry, or at the end of its chain. */
static struct peer **peer_at(struct peers *p, unsigned shard, uint64_t h, const uint64_t key[2])
{
	struct peer **at = &p->shards[shard].buckets[h / PEERS_SHARDS % PEERS_BUCKETS];

	while (*at && memcmp((*at)->key, key, sizeof((*at)->key)) != 0)
		at = &(*at)->next;
	return at;
}

bool peers_take(struct peers *p, const struct sockaddr *sa, unsigned max)
{
	uint64_t key[2];

	if (!key_of(sa, key))
		return true;
	uint64_t h = mix(p, key);
	unsigned shard = (unsigned)(h % PEERS_SHARDS);
	pthread_mutex_lock(&p->shards[shard].lock);
	struct peer **at = peer_at(p, shard, h, key);
	bool room = !*at || (*at)->n < max;
	if (!*at) {
		*at = xcalloc(1, sizeof(**at));
		memcpy((*at)->key, key, sizeof(key));
	}
	if (room)
		(*at)->n++;
	pthread_mutex_unlock(&p->shards[shard].lock);
	return room;
}

void peers_give(struct peers *p, const struct sockaddr *sa)
{
	uint64_t key[2];

	if (!key_of(sa, key))
		return;
	uint64_t h = mix(p, key);
	unsigned shard = (unsigned)(h % PEERS_SHARDS);
	pthread_mutex_lock(&p->shards[shard].lock);
	struct peer **at = peer_at(p, shard, h, key);
	struct peer *one = *at;
	if (one && --one->n == 0) {
		*at = one->next;
		free(one);
	}
	pthread_mutex_unlock(&p->shards[shard].lock);
}
