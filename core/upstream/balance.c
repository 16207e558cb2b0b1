/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The choice of a server. Two at random and the less busy of them is nearly as good as the least
 * busy of all, and does not send every worker to the same one at once.
 */
#include "upstream/balance.h"

#include "upstream/health.h"
#include "upstream/server.h"

/* xorshift64; spreads load, keeps no secret. */
static unsigned random_below(struct pools *p, unsigned n)
{
	uint64_t x = p->rng;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	p->rng = x;
	return (unsigned)((x >> 11) % n);
}

struct server *balance(struct upstream *u, uint64_t tried, unsigned *index)
{
	uint8_t may[64];
	unsigned n = 0;
	unsigned a, b;

	if (u->nservers == 1) {
		*index = 0;
		return !(tried & 1) && (u->probe || health_up(u->servers[0])) ? u->servers[0]
		                                                              : NULL;
	}
	for (unsigned i = 0; i < u->nservers; i++)
		if (!(tried >> i & 1) && (u->probe || health_up(u->servers[i])))
			may[n++] = (uint8_t)i;
	if (n == 0)
		return NULL;
	a = b = may[0];
	if (n > 1) {
		unsigned first = random_below(u->pools, n);
		/* Never the same one twice: two servers are always compared. */
		unsigned second = (first + 1 + random_below(u->pools, n - 1)) % n;

		a = may[first];
		b = may[second];
	}
	*index = u->servers[b]->inflight < u->servers[a]->inflight ? b : a;
	return u->servers[*index];
}
