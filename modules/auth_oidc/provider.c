/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Providers: see provider.h. A fetch is one or two requests, each with a number of its own; the
 * first of all who are told an answer works it in, whoever that is, and the others find the number
 * passed. A provider that fails or lies leaves the keys as they are, until they are older than
 * max_stale.
 *
 * Requests are begun with the lock held: who reads that a fetch is under way joins it before it can
 * end.
 */
#include "provider.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define H oidc_host
#define MS UINT64_C(1000000)
#define S (1000 * MS)
#define DOCUMENT_MAX (64 * 1024)
#define REDISCOVER (24 * 3600 * S)
#define LOOK_AGAIN (30 * S) /* at most, whatever is due */
#define BACKOFF_STEPS 5     /* 1 s, 2 s, ... 30 s */

enum stage { DISCOVERY, JWKS };

struct provider {
	pthread_mutex_t lock;
	struct mem_pool pool;
	struct merlon_str issuer;
	struct merlon_str upstream[2]; /* by stage */
	struct merlon_str host[2];     /* likewise; empty: the upstream's own name */
	struct merlon_str discovery;   /* targets */
	struct merlon_str configured;  /* of jwks_uri; empty: by discovery */
	uint64_t refresh, min_refresh, max_stale;
	uint32_t timeout_ms;
	struct attendant *attendants;

	struct keyset *keys;
	uint8_t content[SHA_LEN]; /* of what the keys were read from */
	_Atomic uint64_t epoch;
	uint64_t fetched_at;
	_Atomic uint64_t good_until; /* 0: there never were keys */
	char *found;                 /* target, by discovery */
	uint64_t found_at;

	bool fetching;
	enum stage stage;
	uint64_t seq;       /* of the request under way */
	uint64_t due;       /* the next fetch, by time */
	uint64_t kid_floor; /* the next one that an unknown key may give rise to */
	unsigned failures;  /* in a row */
	const char *why;    /* of the last one */
};

static uint64_t now_ns(void)
{
	return H->now(MERLON_CLOCK_MONOTONIC);
}

/* ---- key sets ---- */
void keyset_put(struct keyset *k)
{
	if (!k || atomic_fetch_sub(&k->refs, 1) > 1)
		return;
	jwks_free(k->keys);
	free(k);
}

static bool usable(struct provider *p, uint64_t now)
{
	return now < atomic_load_explicit(&p->good_until, memory_order_acquire);
}

bool provider_usable(struct provider *p)
{
	return usable(p, now_ns());
}

struct keyset *provider_keys(struct provider *p)
{
	struct keyset *k = NULL;

	pthread_mutex_lock(&p->lock);
	if (usable(p, now_ns())) {
		k = p->keys;
		atomic_fetch_add(&k->refs, 1);
	}
	pthread_mutex_unlock(&p->lock);
	return k;
}

uint64_t provider_epoch(struct provider *p)
{
	return atomic_load_explicit(&p->epoch, memory_order_acquire);
}

struct provider_state provider_state(struct provider *p)
{
	struct provider_state s;
	uint64_t now;

	pthread_mutex_lock(&p->lock);
	now = now_ns();
	s.ok = p->failures == 0;
	s.why = p->why;
	s.retry_ms = p->due > now ? (uint32_t)((p->due - now) / MS + 1) : 1000;
	pthread_mutex_unlock(&p->lock);
	return s;
}

/* ---- telling ---- */
static void count(const struct attendant *a, struct merlon_str result)
{
	H->metric_add(a->ctx, a->metrics.fetches, &result, 1);
}

static void say(const struct provider *p, const struct attendant *a, int32_t level,
                const char *what, const char *more)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "issuer=%.*s %s%s%s",
	                 p->issuer.len < 256 ? (int)p->issuer.len : 256, p->issuer.ptr, what,
	                 more[0] ? ": " : "", more);

	if (n > 0)
		H->log(a->ctx, NULL, level,
		       (struct merlon_str){text, (size_t)n < sizeof(text) ? (uint64_t)n
		                                                          : sizeof(text) - 1});
}

/* ---- the end of a fetch; with the lock held ---- */
static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void failed(struct provider *p, const struct attendant *a, const char *why)
{
	uint64_t now = now_ns();
	uint64_t wait = S << (p->failures < BACKOFF_STEPS ? p->failures : BACKOFF_STEPS);

	/* With keys in hand there is time, as long as they last. */
	if (usable(p, now))
		wait = least(p->min_refresh, p->max_stale / 4);
	p->due = now + least(wait, 30 * S);
	if (p->failures == 0 || strcmp(p->why, why) != 0)
		say(p, a, MERLON_LOG_WARN,
		    usable(p, now) ? "keys cannot be fetched; the last ones stay in use"
		                   : "keys cannot be fetched",
		    why);
	p->why = why;
	p->failures++;
	p->fetching = false;
	/* It may have moved its keys. */
	free(p->found);
	p->found = NULL;
	count(a, TXT("failed"));
}

static uint64_t refresh_after(const struct provider *p, int64_t max_age_s)
{
	uint64_t after = p->refresh;

	if (max_age_s >= 0) {
		uint64_t age = (uint64_t)max_age_s * S;
		after = least(after, age > p->min_refresh ? age : p->min_refresh);
	}
	/* Twice within the life of the keys, so that one failure costs nothing. */
	return least(after, p->max_stale / 2);
}

static bool content_same(struct provider *p, struct merlon_str body)
{
	struct sha *sha = sha_new();
	uint8_t sum[SHA_LEN] = {0};
	bool same =
	    sha_sum(sha, body, sum) == 0 && p->keys && memcmp(sum, p->content, SHA_LEN) == 0;

	memcpy(p->content, sum, SHA_LEN);
	sha_free(sha);
	return same;
}

static void install(struct provider *p, const struct attendant *a, struct jwks *keys)
{
	struct keyset *k = mem_new(1, sizeof(*k));
	char text[64];

	atomic_init(&k->refs, 1);
	k->keys = keys;
	k->epoch = atomic_load(&p->epoch) + 1;
	keyset_put(p->keys);
	p->keys = k;
	/* From here on what was verified by the old keys counts no more. */
	atomic_store_explicit(&p->epoch, k->epoch, memory_order_release);
	snprintf(text, sizeof(text), "has new keys: %u that can verify", jwks_count(keys));
	say(p, a, MERLON_LOG_NOTICE, text, "");
}

static void fetched(struct provider *p, const struct attendant *a, struct jwks *keys,
                    const struct merlon_http_response *res)
{
	uint64_t now = now_ns();

	if (content_same(p, res->body)) {
		jwks_free(keys);
		count(a, TXT("unchanged"));
	} else {
		install(p, a, keys);
		count(a, TXT("changed"));
	}
	if (p->failures > 0)
		say(p, a, MERLON_LOG_NOTICE, "answers again", "");
	p->failures = 0;
	p->why = "";
	p->fetching = false;
	p->fetched_at = now;
	atomic_store_explicit(&p->good_until, now + p->max_stale, memory_order_release);
	p->due = now + refresh_after(p, cache_max_age(res));
}

/* ---- requests; with the lock held ---- */
static struct merlon_str keys_target(const struct provider *p)
{
	return p->configured.len > 0 ? p->configured : txt_of(p->found);
}

static int32_t request(struct provider *p, merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx,
                       merlon_http_fn fn, void *arg, merlon_op **op)
{
	const struct merlon_header headers[] = {{{"accept", 6}, {"application/json", 16}},
	                                        {{"host", 4}, p->host[p->stage]}};
	const struct merlon_str target = p->stage == DISCOVERY ? p->discovery : keys_target(p);
	const struct merlon_http_request r = {
	    .size = sizeof(r),
	    .timeout_ms = p->timeout_ms,
	    .max_body = p->stage == DISCOVERY ? DOCUMENT_MAX : JWKS_MAX,
	    .upstream = p->upstream[p->stage],
	    .method = TXT("GET"),
	    .target = target,
	    .headers = headers,
	    .nheaders = p->host[p->stage].len > 0 ? 2 : 1,
	    .flight = target,
	};

	return H->http_call(ctx, w, tx, &r, fn, arg, op);
}

static void attendant_answered(void *arg, const struct merlon_http_response *res);

static void join(struct attendant *a)
{
	struct provider *p = a->p;

	/* Its part in the request before may not have been told yet. */
	if (a->call)
		H->op_cancel(a->call);
	a->call = NULL;
	if (request(p, a->ctx, a->worker, NULL, attendant_answered, a, &a->call) == 0)
		a->joined = p->seq;
	else
		a->call = NULL;
}

/* A new request, joined by all who attend on this worker. False: none of them could. */
static bool begin_request(struct provider *p, enum stage stage, const merlon_worker *w)
{
	bool any = false;

	p->stage = stage;
	p->seq++;
	for (struct attendant *a = p->attendants; a; a = a->next) {
		if (a->worker != w)
			continue;
		join(a);
		any |= a->joined == p->seq;
	}
	return any;
}

static void begin_fetch(struct provider *p, const struct attendant *a)
{
	enum stage stage = keys_target(p).len > 0 ? JWKS : DISCOVERY;

	p->fetching = true;
	if (!begin_request(p, stage, a->worker))
		failed(p, a, "the host takes no further request");
}

/* ---- answers ---- */
static const char *answer_fault(const struct merlon_http_response *res)
{
	switch (res->error) {
	case 0:
		break;
	case MERLON_E_TIMEOUT:
		return "it takes too long to answer";
	case MERLON_E_FULL:
		return "its answer is too large";
	default:
		return "it cannot be reached, or its answer is broken";
	}
	if (res->status >= 300 && res->status < 400)
		return "it answers with a redirect";
	return res->status == 200 ? NULL : "it answers with an error";
}

static void keys_came(struct provider *p, const struct attendant *a,
                      const struct merlon_http_response *res)
{
	const char *why = answer_fault(res);
	unsigned left_out = 0;
	struct jwks *keys = why ? NULL : jwks_parse(res->body, &left_out, &why);

	if (keys && jwks_count(keys) == 0) {
		why = "it has no key that could verify a token";
		jwks_free(keys);
		keys = NULL;
	}
	if (keys)
		fetched(p, a, keys, res);
	else
		failed(p, a, why);
}

static void document_came(struct provider *p, const struct attendant *a,
                          const struct merlon_http_response *res)
{
	const char *why = answer_fault(res);
	char *found = why ? NULL : discovery_read(res->body, p->issuer, &why);

	if (!found) {
		failed(p, a, why);
		return;
	}
	free(p->found);
	p->found = found;
	p->found_at = now_ns();
	if (!begin_request(p, JWKS, a->worker))
		failed(p, a, "the host takes no further request");
}

/* With the lock held. Only the first who is told works it in. */
static void request_done(struct attendant *a, uint64_t seq, const struct merlon_http_response *res)
{
	struct provider *p = a->p;

	if (!p->fetching || seq != p->seq)
		return;
	if (p->stage == DISCOVERY)
		document_came(p, a, res);
	else
		keys_came(p, a, res);
}

/* ---- attending ---- */
static void tick(void *arg);

/* With the lock held. */
static void arm(struct attendant *a)
{
	const struct provider *p = a->p;
	uint64_t now = now_ns();
	uint64_t wait = p->fetching || p->due <= now ? S : least(p->due - now, LOOK_AGAIN);

	if (a->timer)
		H->op_cancel(a->timer);
	a->timer = NULL;
	if (H->timer(a->ctx, a->worker, NULL, wait / MS + 1, tick, a, &a->timer) != 0)
		a->timer = NULL;
}

static void attendant_answered(void *arg, const struct merlon_http_response *res)
{
	struct attendant *a = arg;
	struct provider *p = a->p;
	uint64_t seq = a->joined;

	pthread_mutex_lock(&p->lock);
	a->call = NULL;
	request_done(a, seq, res);
	if (p->fetching && a->joined != p->seq)
		join(a);
	arm(a);
	pthread_mutex_unlock(&p->lock);
}

/* With the lock held. */
static void fetch_if_due(struct attendant *a)
{
	struct provider *p = a->p;
	uint64_t now = now_ns();

	if (p->fetching || now < p->due)
		return;
	if (p->found && now >= p->found_at + REDISCOVER) {
		free(p->found);
		p->found = NULL;
	}
	begin_fetch(p, a);
}

static void tick(void *arg)
{
	struct attendant *a = arg;

	pthread_mutex_lock(&a->p->lock);
	a->timer = NULL;
	fetch_if_due(a);
	arm(a);
	pthread_mutex_unlock(&a->p->lock);
}

/* The newest settings count, for the keys that are there as well. */
static void set_times(struct provider *p, const struct settings *s)
{
	bool same = p->refresh == s->refresh && p->max_stale == s->max_stale;

	p->refresh = s->refresh;
	p->max_stale = s->max_stale;
	p->min_refresh = s->min_refresh;
	p->timeout_ms = s->fetch_timeout_ms;
	p->kid_floor = least(p->kid_floor, now_ns() + s->min_refresh);
	if (same || !p->keys)
		return;
	atomic_store_explicit(&p->good_until, p->fetched_at + p->max_stale, memory_order_release);
	if (p->failures == 0)
		p->due = p->fetched_at + refresh_after(p, -1);
}

void attendant_start(struct attendant *a, struct provider *p, const struct settings *s,
                     merlon_ctx *ctx, merlon_worker *worker, struct provider_metrics metrics)
{
	*a = (struct attendant){.p = p, .ctx = ctx, .worker = worker, .metrics = metrics};
	pthread_mutex_lock(&p->lock);
	set_times(p, s);
	a->next = p->attendants;
	p->attendants = a;
	if (p->fetching)
		join(a);
	else
		fetch_if_due(a);
	arm(a);
	pthread_mutex_unlock(&p->lock);
}

/* With the lock held: someone who stays has a part in the request under way. */
static bool still_joined(const struct provider *p)
{
	for (const struct attendant *a = p->attendants; a; a = a->next) {
		if (a->joined == p->seq)
			return true;
	}
	return false;
}

void attendant_stop(struct attendant *a)
{
	struct provider *p = a->p;
	struct attendant **at;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	for (at = &p->attendants; *at != a; at = &(*at)->next)
		continue;
	*at = a->next;
	/* The request went with its last part: it is made again here, or by who looks next. */
	if (p->fetching && a->joined == p->seq && !still_joined(p) &&
	    !begin_request(p, p->stage, a->worker)) {
		p->fetching = false;
		p->due = now_ns();
	}
	pthread_mutex_unlock(&p->lock);
}

/* ---- waiting ---- */
static void wait_answered(void *arg, const struct merlon_http_response *res);

/* With the lock held. */
static bool wait_join(struct provider_wait *w)
{
	struct provider *p = w->a->p;

	w->op = NULL;
	w->seq = p->seq;
	return request(p, w->a->ctx, NULL, w->tx, wait_answered, w, &w->op) == 0;
}

static void wait_answered(void *arg, const struct merlon_http_response *res)
{
	struct provider_wait *w = arg;
	struct provider *p = w->a->p;
	bool waits;

	pthread_mutex_lock(&p->lock);
	w->op = NULL;
	request_done(w->a, w->seq, res);
	waits = p->fetching && wait_join(w);
	pthread_mutex_unlock(&p->lock);
	if (!waits)
		w->fn(w->arg);
}

enum provider_answer provider_wait(struct provider_wait *w, bool unknown, uint64_t epoch)
{
	struct provider *p = w->a->p;
	enum provider_answer answer = PROVIDER_NO;
	uint64_t now;

	pthread_mutex_lock(&p->lock);
	now = now_ns();
	if (usable(p, now) && p->keys->epoch != epoch) {
		answer = PROVIDER_AGAIN;
	} else {
		if (unknown && !p->fetching && now >= p->kid_floor) {
			p->kid_floor = now + p->min_refresh;
			begin_fetch(p, w->a);
		}
		if (p->fetching && wait_join(w))
			answer = PROVIDER_WAIT;
	}
	pthread_mutex_unlock(&p->lock);
	return answer;
}

void provider_wait_cancel(struct provider_wait *w)
{
	if (w->op)
		H->op_cancel(w->op);
	w->op = NULL;
}

/* ---- life ---- */
void *provider_build(void *arg)
{
	const struct settings *s = arg;
	struct provider *p = mem_new(1, sizeof(*p));

	pthread_mutex_init(&p->lock, NULL);
	p->issuer = pool_copy(&p->pool, s->issuer);
	p->discovery = discovery_target(&p->pool, s->issuer);
	if (s->jwks_uri.len > 0)
		p->configured = pool_copy(&p->pool, url_target(s->jwks_uri));
	p->upstream[DISCOVERY] = pool_copy(&p->pool, s->upstream.len > 0 ? s->upstream : s->issuer);
	p->upstream[JWKS] = s->upstream.len == 0 && s->jwks_uri.len > 0
	                        ? pool_copy(&p->pool, s->jwks_uri)
	                        : p->upstream[DISCOVERY];
	/* The way is another one; whom the request is for is not. */
	if (s->upstream.len > 0) {
		p->host[DISCOVERY] = pool_copy(&p->pool, url_authority(s->issuer));
		p->host[JWKS] = s->jwks_uri.len > 0
		                    ? pool_copy(&p->pool, url_authority(s->jwks_uri))
		                    : p->host[DISCOVERY];
	}
	p->why = "they have not been fetched yet";
	return p;
}

void provider_free(void *obj)
{
	struct provider *p = obj;

	keyset_put(p->keys);
	free(p->found);
	pool_free(&p->pool);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
