/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * How many connections each client address has, over all workers. Only accepting and closing come
 * here, so a lock for each part of the table is cheap enough. Owned by the gateway.
 */
#ifndef TX_PEERS_H
#define TX_PEERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

#define PEERS_SHARDS 32
#define PEERS_BUCKETS 128

struct peer;
struct peers {
	uint64_t seed;
	struct {
		pthread_mutex_t lock;
		struct peer *buckets[PEERS_BUCKETS];
	} shards[PEERS_SHARDS];
};
void peers_init(struct peers *p);
void peers_deinit(struct peers *p);
/* One more of this address, of IPv6 of its /64; false: it has `max` already. What has no address (a
 * unix socket) is not counted. */
bool peers_take(struct peers *p, const struct sockaddr *sa, unsigned max) MUST_CHECK;
/* Undoes a peers_take() that answered true. */
void peers_give(struct peers *p, const struct sockaddr *sa);

#endif
