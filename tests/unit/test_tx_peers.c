/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Connections by client address: the bound holds for each address and /64 by itself, also when
 * threads come together, and what is given back can be taken again.
 */
#include "unit.h"

#include "net/listener.h"
#include "tx/peers.h"

#include <netinet/in.h>
#include <stdlib.h>

static struct peers peers;

static const struct sockaddr *at(const char *text)
{
	static struct net_addr a[8];
	static unsigned next;
	struct net_addr *one = &a[next++ % 8];

	CU_ASSERT_TRUE_FATAL(net_addr_parse(str_of(text), one));
	return (const struct sockaddr *)&one->ss;
}

static unsigned taken(const char *text, unsigned tries, unsigned max)
{
	unsigned n = 0;

	for (unsigned i = 0; i < tries; i++)
		n += peers_take(&peers, at(text), max);
	return n;
}

static void each_address_has_its_own_bound(void)
{
	peers_init(&peers);
	CU_ASSERT_EQUAL(taken("10.0.0.1:1", 10, 3), 3);
	CU_ASSERT_EQUAL(taken("10.0.0.1:2", 10, 3), 0);
	CU_ASSERT_EQUAL(taken("10.0.0.2:1", 10, 3), 3);
	CU_ASSERT_EQUAL(taken("[::ffff:10.0.0.1]:1", 10, 3), 0);
	CU_ASSERT_EQUAL(taken("[2001:db8::1]:1", 2, 3), 2);
	CU_ASSERT_EQUAL(taken("[2001:db8::2]:1", 9, 3), 1);
	CU_ASSERT_EQUAL(taken("[2001:db8:0:1::1]:1", 9, 3), 3);
	CU_ASSERT_EQUAL(taken("[::]:1", 9, 3), 3);
	CU_ASSERT_EQUAL(taken("0.0.0.0:1", 9, 3), 3);
	CU_ASSERT_EQUAL(taken("unix:/x", 9, 3), 9);
	peers_give(&peers, at("10.0.0.1:9"));
	CU_ASSERT_EQUAL(taken("10.0.0.1:1", 10, 3), 1);
	/* A bound that a reload has lowered. */
	CU_ASSERT_EQUAL(taken("10.0.0.2:1", 10, 1), 0);
	peers_deinit(&peers);
}

static void what_is_given_back_leaves_nothing(void)
{
	peers_init(&peers);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 5000; i++) {
			struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(i)}};
			CU_ASSERT_TRUE(peers_take(&peers, (struct sockaddr *)&in, 1));
			CU_ASSERT_FALSE(peers_take(&peers, (struct sockaddr *)&in, 1));
		}
		for (unsigned i = 0; i < 5000; i++) {
			struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(i)}};
			peers_give(&peers, (struct sockaddr *)&in);
		}
	}
	for (unsigned i = 0; i < PEERS_SHARDS; i++)
		for (unsigned k = 0; k < PEERS_BUCKETS; k++)
			CU_ASSERT_PTR_NULL(peers.shards[i].buckets[k]);
	peers_deinit(&peers);
}

static void *churn(void *arg)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(7)}};
	unsigned *over = arg;

	for (unsigned i = 0; i < 20000; i++) {
		unsigned got = 0;

		while (got < 10 && peers_take(&peers, (struct sockaddr *)&in, 10))
			got++;
		*over += got > 10;
		while (got-- > 0)
			peers_give(&peers, (struct sockaddr *)&in);
	}
	return NULL;
}

static void threads_come_together(void)
{
	unsigned over[4] = {0};
	pthread_t t[4];

	peers_init(&peers);
	for (unsigned i = 0; i < 4; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, churn, &over[i]), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CU_ASSERT_EQUAL(taken("0.0.0.7:1", 20, 10), 10);
	peers_deinit(&peers);
}

UNIT_MAIN("tx_peers", UNIT(each_address_has_its_own_bound), UNIT(what_is_given_back_leaves_nothing),
          UNIT(threads_come_together))
