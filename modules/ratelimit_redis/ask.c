/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Calls. The asker owns a call from call_send() until done(). Whatever is not a whole, fitting
 * answer to this very call is a failure, and failures never mean yes.
 */
#include "ask.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define NS_PER_MS UINT64_C(1000000)
#define SAY_EVERY (10000 * NS_PER_MS)
#define TRIES_MAX 3
#define NUMBER_MAX 24

/* Of the process, since generations share a connection. */
static _Atomic int64_t nonces;

int ask_metrics(struct ask_rules *r)
{
	const struct merlon_host *h = r->host;

	if (h->metric_define(r->ctx, MERLON_METRIC_COUNTER, "merlon_ratelimit_redis_calls_total",
	                     "Calls of the script, by how they ended.", "result", &r->calls) != 0)
		return -1;
	if (h->metric_define(r->ctx, MERLON_METRIC_COUNTER,
	                     "merlon_ratelimit_redis_script_loads_total",
	                     "How often Redis had forgotten the script.", "", &r->loads) != 0)
		return -1;
	return h->metric_define(r->ctx, MERLON_METRIC_COUNTER,
	                        "merlon_ratelimit_redis_circuit_opened_total",
	                        "How often Redis was given up for a while.", "", &r->opened);
}

void asker_init(struct asker *a, const struct ask_rules *rules, merlon_worker *worker)
{
	*a = (struct asker){.rules = rules, .worker = worker};
}

static void call_free(struct call *c)
{
	*c->self = c->next;
	if (c->next)
		c->next->self = c->self;
	free(c);
}

void asker_deinit(struct asker *a)
{
	while (a->calls)
		call_free(a->calls);
}

/* ---- the circuit breaker ---- */
static uint64_t now_ns(const struct asker *a)
{
	return a->rules->host->now(MERLON_CLOCK_MONOTONIC);
}

bool asker_admits(struct asker *a)
{
	const uint64_t now = now_ns(a);

	if (a->fails < a->rules->failures)
		return true;
	if (now < a->open_until || now < a->trial_until)
		return false;
	/* One request tries; should it go away before the answer, another may soon. */
	a->trial_until = now + 2 * a->rules->deadline;
	return true;
}

static void say(struct asker *a, int32_t level, const char *text, const char *more)
{
	char line[256];
	const int n = snprintf(line, sizeof(line), "redis: %s; %s", text, more);

	a->rules->host->log(a->rules->ctx, NULL, level,
	                    (struct merlon_str){line, n < 0 ? 0 : strlen(line)});
}

static void failed(struct asker *a, const char *why)
{
	const struct ask_rules *r = a->rules;
	const uint64_t now = now_ns(a);

	if (!a->failing || now - a->said >= SAY_EVERY) {
		say(a, MERLON_LOG_WARN, why, r->instead);
		a->failing = true;
		a->said = now;
	}
	if (a->fails < UINT32_MAX)
		a->fails++;
	if (a->fails < r->failures || now < a->open_until)
		return;
	if (a->fails == r->failures)
		r->host->metric_add(r->ctx, r->opened, NULL, 1);
	a->open_until = now + r->open;
	a->trial_until = 0;
}

static void succeeded(struct asker *a)
{
	a->fails = 0;
	a->open_until = a->trial_until = 0;
	if (a->failing)
		say(a, MERLON_LOG_NOTICE, "answers again", "limits are counted there");
	a->failing = false;
}

/* ---- sending ---- */
struct call *call_new(struct asker *a, struct merlon_str key)
{
	const struct merlon_str prefix = a->rules->prefix;
	struct call *c = mem_new(1, sizeof(*c) + prefix.len + key.len);

	c->asker = a;
	c->keylen = prefix.len + key.len;
	memcpy(c->key, prefix.ptr, prefix.len);
	memcpy(c->key + prefix.len, key.ptr, key.len);
	c->args[ARG_NONCE] =
	    atomic_fetch_add_explicit(&nonces, 1, memory_order_relaxed) & (SCRIPT_MOST - 1);
	c->began = now_ns(a);
	c->next = a->calls;
	c->self = &a->calls;
	if (c->next)
		c->next->self = &c->next;
	a->calls = c;
	return c;
}

static struct merlon_str put_i64(char buf[NUMBER_MAX], int64_t v)
{
	const bool minus = v < 0;
	uint64_t u = minus ? (uint64_t)-v : (uint64_t)v;
	unsigned at = NUMBER_MAX;

	do {
		buf[--at] = (char)('0' + u % 10);
		u /= 10;
	} while (u > 0);
	if (minus)
		buf[--at] = '-';
	return (struct merlon_str){buf + at, NUMBER_MAX - at};
}

static void on_answer(void *arg, int32_t error, const void *msg);

/* ms that are left; 0: none. */
static uint32_t time_left(const struct call *c)
{
	const uint64_t gone = now_ns(c->asker) - c->began, all = c->asker->rules->deadline;

	return gone >= all ? 0 : (uint32_t)((all - gone + NS_PER_MS - 1) / NS_PER_MS);
}

static int32_t transmit(struct call *c)
{
	const struct asker *a = c->asker;
	const struct ask_rules *r = a->rules;
	struct merlon_str argv[4 + SCRIPT_ARGS] = {
	    TXT("EVALSHA"), {r->server.sha, SERVER_SHA}, TXT("1"), {c->key, c->keylen}};
	char numbers[SCRIPT_ARGS][NUMBER_MAX];
	struct merlon_str bytes = {NULL, 0};
	const uint32_t ms = time_left(c);

	if (ms == 0)
		return MERLON_E_TIMEOUT;
	c->sent = now_ns(a);
	c->args[ARG_LATE] = 0;
	/* What Redis comes to only when nobody waits any more is not to be charged. */
	if (c->in_time && a->clock_known)
		c->args[ARG_LATE] = (int64_t)((c->began + r->deadline) / 1000) + a->offset;
	for (unsigned i = 0; i < SCRIPT_ARGS; i++)
		argv[4 + i] = put_i64(numbers[i], c->args[i]);
	resp_command(&bytes, argv, 4 + SCRIPT_ARGS);
	int32_t e = r->host->stream_call(r->server.stream, r->ctx, a->worker, NULL, bytes, ms,
	                                 on_answer, c, NULL);
	free((void *)(uintptr_t)bytes.ptr);
	c->tries++;
	return e;
}

static void on_loaded(void *arg, int32_t error, const void *msg)
{
	struct asker *a = arg;

	(void)error;
	(void)msg; /* whether it helped is seen by the call behind it */
	a->loading = false;
}

/* Answers come in the order of calls, so what is sent after this finds the script. */
static void load_script(struct asker *a)
{
	const struct ask_rules *r = a->rules;
	const struct merlon_str load[] = {TXT("SCRIPT"), TXT("LOAD"), txt_of(script_text)};
	struct merlon_str bytes = {NULL, 0};

	if (a->loading)
		return;
	resp_command(&bytes, load, 3);
	a->loading =
	    r->host->stream_call(r->server.stream, r->ctx, a->worker, NULL, bytes,
	                         (uint32_t)(r->deadline / NS_PER_MS), on_loaded, a, NULL) == 0;
	free((void *)(uintptr_t)bytes.ptr);
	if (a->loading)
		r->host->metric_add(r->ctx, r->loads, NULL, 1);
}

/* ---- answers ---- */
static void count(const struct asker *a, const char *result)
{
	const struct merlon_str label = txt_of(result);

	a->rules->host->metric_add(a->rules->ctx, a->rules->calls, &label, 1);
}

/* Also of what could not be sent: `result` is the metric's label, `why` for people. */
static void note_failure(struct asker *a, const char *result, const char *why)
{
	count(a, result);
	failed(a, why);
}

static const char *no_connection(void)
{
	const char *refusal = server_refusal();

	return refusal ? refusal : "it is not connected";
}

static const char *note_error(struct asker *a, int32_t error)
{
	const char *why = error == MERLON_E_TIMEOUT ? "timeout"
	                  : error == MERLON_E_FULL  ? "too much is waiting for it"
	                                            : no_connection();

	note_failure(a, error == MERLON_E_TIMEOUT ? "timeout" : "unavailable", why);
	return why;
}

static void conclude(struct call *c, const int64_t *answer, const char *why)
{
	c->done(c, answer, why);
	call_free(c);
}

static void retry(struct call *c)
{
	const int32_t e = transmit(c);

	if (e != 0)
		conclude(c, NULL, note_error(c->asker, e));
}

static bool numbers_fit(const int64_t v[SCRIPT_ANSWERS])
{
	for (unsigned i = ANS_NOW; i < SCRIPT_ANSWERS; i++) {
		const int64_t least = i == ANS_TIGHTEST || i == ANS_SLOT ? -1 : 0;
		if (v[i] < least || v[i] > 2 * SCRIPT_MOST)
			return false;
	}
	return v[ANS_WHY] <= SCRIPT_LATE && v[ANS_TIGHTEST] < LIMIT_WINDOWS;
}

bool answer_fits(const struct resp *r, const int64_t args[SCRIPT_ARGS])
{
	if (r->type != RESP_ARRAY || r->odd || r->n != SCRIPT_ANSWERS ||
	    r->v[ANS_NONCE] != args[ARG_NONCE] || !numbers_fit(r->v))
		return false;
	if (r->v[ANS_WHY] == SCRIPT_LATE)
		return args[ARG_LATE] > 0;
	if (r->v[ANS_TIGHTEST] >= 0 && args[ARG_LIMITS + 2 * r->v[ANS_TIGHTEST] + 1] == 0)
		return false;
	/* Whoever holds a place is told which. */
	const bool asks = args[ARG_WHAT] == SCRIPT_ASK || args[ARG_WHAT] == SCRIPT_LOOK;
	const bool passes = args[ARG_CONCURRENCY] >= 0 && r->v[ANS_WHY] == RATELIMIT_PASS;
	const bool takes = asks ? passes : args[ARG_WHAT] == SCRIPT_RENEW;
	return takes == (r->v[ANS_SLOT] >= 0);
}

static void refused(struct call *c, const struct resp *r)
{
	const enum resp_error e = resp_error_of(r->text);

	if (e == RESP_E_NOSCRIPT && c->tries < TRIES_MAX) {
		load_script(c->asker);
		retry(c);
		return;
	}
	/* A primary no more: behind its name there may be another by now, but only for those who
	 * connect anew. */
	if (e == RESP_E_READONLY || e == RESP_E_MASTERDOWN)
		resp_distrust(r);
	const char *why = resp_error_name(e);
	note_failure(c->asker, "refused", why);
	conclude(c, NULL, why);
}

static void on_answer(void *arg, int32_t error, const void *msg)
{
	struct call *c = arg;
	struct asker *a = c->asker;
	const struct resp *r = msg;

	if (error != 0) {
		conclude(c, NULL, note_error(a, error));
		return;
	}
	if (r->type == RESP_ERROR) {
		refused(c, r);
		return;
	}
	if (!answer_fits(r, c->args)) {
		resp_distrust(r);
		note_failure(a, "nonsense", "its answer makes no sense");
		conclude(c, NULL, "its answer makes no sense");
		return;
	}
	a->offset = r->v[ANS_NOW] - (int64_t)(c->sent / 1000);
	a->clock_known = true;
	/* In time by our clock: then Redis' has been set forward. */
	if (r->v[ANS_WHY] == SCRIPT_LATE && c->tries < TRIES_MAX) {
		retry(c);
		return;
	}
	if (r->v[ANS_WHY] == SCRIPT_LATE) {
		conclude(c, NULL, note_error(a, MERLON_E_TIMEOUT));
		return;
	}
	count(a, "ok");
	succeeded(a);
	conclude(c, r->v, NULL);
}

int call_send(struct call *c, const char **why)
{
	const int32_t e = transmit(c);

	if (e == 0)
		return 0;
	*why = note_error(c->asker, e);
	call_free(c);
	return -1;
}
