/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * An issuer's keys, fetched by discovery and kept over generations. The provider is shared by every
 * line and worker that knows the issuer by the same settings; a lock guards it, which a token that
 * was verified before never takes.
 *
 * A host's call belongs to an instance on a worker, and a reload ends those. So each of them
 * attends to the provider while it lives: all that are on a worker join a fetch that begins there,
 * those that come later join it too, and the host makes one request of them all.
 */
#ifndef AUTH_OIDC_PROVIDER_H
#define AUTH_OIDC_PROVIDER_H

#include "oidc.h"

struct provider;
struct provider_metrics {
	uint32_t fetches; /* {result} */
};

/* An instance on a worker; embedded, and touched by that worker alone. */
struct attendant {
	struct attendant *next; /* all of a provider's, newest first; under its lock */
	struct provider *p;
	merlon_ctx *ctx;
	merlon_worker *worker;
	struct provider_metrics metrics;
	merlon_op *call; /* its part in the fetch `joined` */
	uint64_t joined;
	merlon_op *timer;
};
/* Begins to fetch where nothing is known yet. The times in s count from now on. */
void attendant_start(struct attendant *a, struct provider *p, const struct settings *s,
                     merlon_ctx *ctx, merlon_worker *worker, struct provider_metrics metrics);
/* After the host has cancelled what belongs to the instance. */
void attendant_stop(struct attendant *a);

/* merlon_build_fn and merlon_free_fn of the shared object; arg: struct settings. */
void *provider_build(void *arg);
void provider_free(void *obj);

/* ---- keys ---- */
struct keyset {
	_Atomic unsigned refs;
	struct jwks *keys;
	uint64_t epoch; /* of the provider when these came */
};
/* Keys that may be used now; NULL: there are none. keyset_put() afterwards. */
struct keyset *provider_keys(struct provider *p);
void keyset_put(struct keyset *k); /* NULL is fine */
/* The number of key sets so far, and whether the last of them may be used now; without the lock. */
uint64_t provider_epoch(struct provider *p);
bool provider_usable(struct provider *p);
/* Why there are no keys, or none that is known by the token's name; static text. *retry_ms: when it
 * will be tried again. ok: the last fetch succeeded. */
struct provider_state {
	bool ok;
	const char *why;
	uint32_t retry_ms;
};
struct provider_state provider_state(struct provider *p);

/* ---- waiting for a fetch ---- */
/* Embedded in the tx's slot. */
struct provider_wait {
	struct attendant *a;
	merlon_tx *tx;
	uint64_t seq;
	merlon_op *op;
	void (*fn)(void *arg); /* the fetch is over; on the tx's worker */
	void *arg;
};
enum provider_answer {
	PROVIDER_WAIT,  /* fn will be called */
	PROVIDER_AGAIN, /* the keys have changed since `epoch`: look again */
	PROVIDER_NO,    /* nothing is being fetched, and nothing may be now */
};
/* The token names a key that the set of `epoch` does not have (unknown), or there are no keys. */
enum provider_answer provider_wait(struct provider_wait *w, bool unknown, uint64_t epoch);
void provider_wait_cancel(struct provider_wait *w);

/* ---- discovery.c: what providers answer ---- */
/* The target of the discovery document below an issuer; in the pool. */
struct merlon_str discovery_target(struct mem_pool *pool, struct merlon_str issuer);
/* What follows the origin of a URL; empty: it is none. */
struct merlon_str url_target(struct merlon_str url);
/* "host[:port]" as the URL has it; empty: it is none. */
struct merlon_str url_authority(struct merlon_str url);
/* Whether two URLs have one origin (scheme, host and port, however they are written). */
bool url_same_origin(struct merlon_str a, struct merlon_str b);
/* The target of jwks_uri from a discovery document, a copy to be freed; NULL and *why. */
char *discovery_read(struct merlon_str body, struct merlon_str issuer, const char **why);
/* Seconds of Cache-Control: max-age; -1: none. */
int64_t cache_max_age(const struct merlon_http_response *res);

#endif
