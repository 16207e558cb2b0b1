/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Names to addresses without blocking (c-ares on the loop). One resolver a loop.
 */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include "net/listener.h"
#include "net/loop.h"

#define RESOLVE_ADDRS_MAX 16

struct resolver;
struct resolver *resolver_new(struct loop *l);
void resolver_free(struct resolver *r); /* pending queries end without their callback */

struct resolve_result {
	int r;                 /* 0; else -EHOSTUNREACH (no such name), -ETIMEDOUT, -ECANCELED */
	unsigned n;
	struct net_addr addrs[RESOLVE_ADDRS_MAX];
	uint32_t ttl;          /* seconds, least of the answers; at least 1 */
};
typedef void resolve_fn(void *arg, const struct resolve_result *res);
struct resolve_op;
/* Calls fn once, from the loop, never from within. Numeric hosts are answered too. timeout: 5 s. */
struct resolve_op *resolve(struct resolver *r, const char *host, uint16_t port, resolve_fn *fn, void *arg);
void resolve_cancel(struct resolve_op *op); /* fn is not called any more */

#endif
