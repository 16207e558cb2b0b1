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
/* Pending queries end without their callback. Not from within a callback of the resolver. */
void resolver_free(struct resolver *r);

/* Asks these name servers ("127.0.0.1:5353,[::1]:53") instead of those of /etc/resolv.conf;
 * for tests. */
int resolver_servers(struct resolver *r, const char *csv) MUST_CHECK;

struct resolve_result {
	int r; /* 0; else -EHOSTUNREACH (no such name), -ETIMEDOUT, -ECANCELED */
	unsigned n;
	struct net_addr addrs[RESOLVE_ADDRS_MAX];
	uint32_t ttl; /* seconds, least of the answers; at least 1 */
};
typedef void resolve_fn(void *arg, const struct resolve_result *res);
struct resolve_op;
/* Calls fn once, from the loop, never from within. Numeric hosts are answered too. timeout: 5 s;
 * where no name server can be reached, -ETIMEDOUT as well. */
struct resolve_op *resolve(struct resolver *r, const char *host, uint16_t port, resolve_fn *fn,
                           void *arg);
/* fn is not called any more. The operation is over when fn is called: no cancelling from there on.
 * NULL is fine. */
void resolve_cancel(struct resolve_op *op);

#endif
