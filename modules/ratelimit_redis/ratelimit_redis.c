/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * ratelimit_redis: how much one key may ask for on all gateways together. The counts are Redis',
 * and one call of a script judges and charges a request; options and numbers are those of
 * ratelimit_local (modules/common/ratelimit.h), which also counts here while Redis does not answer
 * and the line says on_error = "local".
 *
 * A request waits for one call and no longer than the deadline. What its end brings, a place in
 * flight given back or a refusal to be charged, is sent without anybody waiting. Calls belong to
 * the worker and outlive their request, so that the place of a request whose client has gone while
 * it was asked for is given back as well.
 */
#include "ask.h"

#include <stdio.h>
#include <stdlib.h>

#define NS_PER_MS UINT64_C(1000000)
#define PREFIX_MAX 256

enum on_error { ON_DENY, ON_LOCAL, ON_ALLOW };

struct instance {
	struct ratelimit rl;
	struct ask_rules rules;
	enum on_error on_error;
	uint64_t lease;     /* ns */
	uint32_t fallbacks; /* metric */
};

enum where { NOWHERE, IN_REDIS, IN_ZONE };

/* This line's block of a tx. */
struct slot {
	struct ratelimit_ask ask;
	const struct instance *in;
	struct asker *asker;
	merlon_tx *tx;
	struct call *call; /* under way for this tx: the check's, or a renewal */
	uint64_t token;
	enum where where; /* it was counted */
	int64_t lease;    /* its slot in the record; -1: none */
	bool moved;       /* a renewal's answer is missing: it may be in a later one */
};

static const struct merlon_host *H;

/* ---- options ---- */
static const struct merlon_option breaker_options[] = {
    {"failures", MERLON_OPT_INT, 0, "5", "1..1000000", NULL,
     "Failures in a row, on one worker, that open the circuit."},
    {"open", MERLON_OPT_DURATION, 0, "1s", "1ms..1h", NULL,
     "How long nobody waits for Redis then; after it one request tries."},
    {NULL, 0, 0, NULL, NULL, NULL, NULL},
};

static const struct merlon_option options[] = {
    {"server", MERLON_OPT_STR, MERLON_OPT_REQUIRED, NULL, NULL, NULL,
     "Where Redis is: \"host:port\" or \"unix:/path\"."},
    {"tls", MERLON_OPT_GROUP, 0, NULL, NULL, server_tls,
     "Connects with TLS, always verified; may be empty."},
    {"username", MERLON_OPT_STR, 0, NULL, NULL, NULL,
     "User of Redis' access control list; without it the default user."},
    {"password", MERLON_OPT_SECRET, 0, NULL, NULL, NULL, "Password to log in with."},
    {"database", MERLON_OPT_INT, 0, "0", "0..1000000", NULL, "Number of the database."},
    {"prefix", MERLON_OPT_STR, 0, "merlon:", NULL, NULL,
     "What every key in Redis begins with; gateways that count together have the same."},
    {"deadline", MERLON_OPT_DURATION, 0, "20ms", "1ms..10s", NULL,
     "How long a request waits for Redis."},
    {"on_error", MERLON_OPT_ENUM, 0, "deny", "deny|local|allow", NULL,
     "Without an answer of Redis: refuse with 503, count on this machine alone, or admit."},
    {"lease", MERLON_OPT_DURATION, 0, "30s", "1s..1h", NULL,
     "How long the requests in flight of a gateway that was killed still count."},
    {"breaker", MERLON_OPT_GROUP, 0, NULL, NULL, breaker_options,
     "When Redis is not asked at all, so that requests do not wait for it."},
    RATELIMIT_OPTIONS,
};

/* ---- create ---- */
/* Counts of two key expressions or windows do not belong together. FNV-1a: nobody chooses a
 * signature but the operator. */
static uint64_t mark_of(struct merlon_str s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (uint64_t i = 0; i < s.len; i++)
		h = (h ^ (uint8_t)s.ptr[i]) * UINT64_C(0x100000001b3);
	return h;
}

static int read_prefix(struct instance *in, const merlon_cfg *cfg)
{
	const struct merlon_str stack = H->ctx_info(in->rl.ctx, MERLON_CTX_STACK);
	const struct merlon_str group = H->ctx_info(in->rl.ctx, MERLON_CTX_GROUP);
	const struct merlon_str line = H->ctx_info(in->rl.ctx, MERLON_CTX_LINE);
	const unsigned long long mark = mark_of(in->rl.signature);
	struct merlon_val prefix = {.u.str = TXT("")}, zone;
	int n;

	if (H->cfg_get(cfg, "prefix", &prefix) == 0 && prefix.u.str.len > PREFIX_MAX) {
		H->cfg_error(cfg, "prefix", TXT("is longer than 256 bytes"));
		return -1;
	}
	const struct merlon_str p = prefix.u.str;
	const bool named = H->cfg_get(cfg, "zone", &zone) == 0 && zone.u.str.len > 0;
	const size_t cap =
	    p.len + stack.len + group.len + line.len + (named ? zone.u.str.len : 0) + 32;
	char *out = pool_new(&in->rl.limits.pool, cap, 1);

	if (named)
		n = snprintf(out, cap, "%.*s%.*s:%016llx:", TXT_FMT(p), TXT_FMT(zone.u.str), mark);
	else
		n = snprintf(out, cap, "%.*s%.*s/%.*s/%.*s:%016llx:", TXT_FMT(p), TXT_FMT(stack),
		             TXT_FMT(group), TXT_FMT(line), mark);
	in->rules.prefix = (struct merlon_str){out, (uint64_t)n};
	return 0;
}

static uint64_t read_time(const merlon_cfg *cfg, const char *key, uint64_t otherwise)
{
	struct merlon_val v;

	return cfg && H->cfg_get(cfg, key, &v) == 0 ? (uint64_t)v.u.i64 : otherwise;
}

static void read_rules(struct instance *in, const merlon_cfg *cfg)
{
	static const char *const instead[] = {
	    [ON_DENY] = "requests are refused",
	    [ON_LOCAL] = "requests are counted on this machine alone",
	    [ON_ALLOW] = "requests are admitted uncounted",
	};
	const merlon_cfg *breaker = H->cfg_at(cfg, "breaker", 0);
	struct merlon_val v;

	if (H->cfg_get(cfg, "on_error", &v) == 0)
		in->on_error = txt_eq(v.u.str, TXT("local"))   ? ON_LOCAL
		               : txt_eq(v.u.str, TXT("allow")) ? ON_ALLOW
		                                               : ON_DENY;
	in->lease = read_time(cfg, "lease", 30000 * NS_PER_MS);
	in->rules.deadline = read_time(cfg, "deadline", 20 * NS_PER_MS);
	in->rules.open = read_time(breaker, "open", 1000 * NS_PER_MS);
	in->rules.failures = 5;
	if (breaker && H->cfg_get(breaker, "failures", &v) == 0)
		in->rules.failures = (uint32_t)v.u.i64;
	in->rules.instead = instead[in->on_error];
}

static void destroy(void *inst)
{
	struct instance *in = inst;

	ratelimit_free(&in->rl);
	free(in);
}

static int define_metrics(struct instance *in)
{
	if (ask_metrics(&in->rules) != 0)
		return -1;
	return H->metric_define(
	    in->rl.ctx, MERLON_METRIC_COUNTER, "merlon_ratelimit_redis_fallbacks_total",
	    "Requests decided without Redis, by what was done with them.", "how", &in->fallbacks);
}

static int32_t create(merlon_ctx *ctx, const merlon_cfg *cfg, void **inst)
{
	struct instance *in = mem_new(1, sizeof(*in));
	int r = ratelimit_read(H, ctx, cfg, &in->rl);

	in->rules.host = H;
	in->rules.ctx = ctx;
	read_rules(in, cfg);
	r |= read_prefix(in, cfg);
	if (r == 0 && in->on_error == ON_LOCAL)
		r = ratelimit_open(&in->rl, cfg);
	r |= server_open(H, ctx, cfg, &in->rules.server);
	if (r == 0 && define_metrics(in) != 0) {
		H->cfg_error(cfg, "", TXT("its metrics cannot be kept"));
		r = -1;
	}
	if (r != 0) {
		destroy(in);
		return -1;
	}
	*inst = in;
	return 0;
}

static int32_t worker_start(void *inst, merlon_worker *worker, void **w)
{
	struct instance *in = inst;
	struct asker *a = mem_new(1, sizeof(*a));

	asker_init(a, &in->rules, worker);
	*w = a;
	return 0;
}

static void worker_stop(void *inst, merlon_worker *worker, void *w)
{
	(void)inst;
	(void)worker;
	asker_deinit(w);
	free(w);
}

/* ---- asking ---- */
static int64_t us_of(uint64_t ns)
{
	const uint64_t us = ns / 1000 + (ns % 1000 != 0);

	return us < (uint64_t)SCRIPT_MOST ? (int64_t)us : SCRIPT_MOST;
}

static int64_t number_of(uint64_t n)
{
	return n < (uint64_t)SCRIPT_MOST ? (int64_t)n : SCRIPT_MOST;
}

/* A call about the tx, with all that holds for its key. */
static struct call *call_for(struct slot *s, enum script_what what)
{
	const struct limit *l = &s->ask.limit;
	const struct penalty *p = &s->in->rl.limits.penalty;
	struct call *c = call_new(s->asker, s->ask.key);

	c->args[ARG_WHAT] = what;
	for (unsigned i = 0; i < LIMIT_WINDOWS; i++) {
		c->args[ARG_LIMITS + 2 * i] = number_of(l->window[i].count);
		c->args[ARG_LIMITS + 2 * i + 1] = us_of(l->window[i].length);
	}
	c->args[ARG_CONCURRENCY] = l->concurrency;
	c->args[ARG_LEASE] = us_of(s->in->lease);
	c->args[ARG_AFTER] = number_of(p->after);
	c->args[ARG_WINDOW] = us_of(p->window);
	c->args[ARG_BLOCK] = us_of(p->block);
	c->args[ARG_MAX] = us_of(p->max);
	c->args[ARG_SLOT] = -1;
	return c;
}

static void nobody_waits(struct call *c, const int64_t *answer, const char *why)
{
	(void)c;
	(void)answer;
	(void)why;
}

/* ---- leases: a place in flight, renewed while the request lasts ---- */
static void renew(void *arg);

static void renew_after(struct slot *s, uint64_t ms)
{
	H->timer(s->in->rl.ctx, NULL, s->tx, ms > 0 ? ms : 1, renew, s, NULL);
}

static void renew_later(struct slot *s)
{
	renew_after(s, s->in->lease / NS_PER_MS / 3);
}

/* What could not be renewed is tried again soon, since nobody knows how long Redis is there: what
 * has run out counts no more, and others pass in its place. */
static void renew_soon(struct slot *s)
{
	renew_after(s, s->in->lease / NS_PER_MS / 30);
}

static void on_renewed(struct call *c, const int64_t *answer, const char *why)
{
	struct slot *s = c->owner;

	(void)why;
	if (!s)
		return;
	s->call = NULL;
	s->moved = !answer;
	if (!answer) {
		renew_soon(s);
		return;
	}
	s->lease = answer[ANS_SLOT];
	renew_later(s);
}

/* Either a call is under way or the timer runs. */
static void renew(void *arg)
{
	struct slot *s = arg;
	const char *why;

	if (s->where != IN_REDIS)
		return;
	struct call *c = call_for(s, SCRIPT_RENEW);
	c->done = on_renewed;
	c->owner = s;
	c->args[ARG_SLOT] = s->lease;
	c->args[ARG_SEARCH] = s->moved;
	if (call_send(c, &why) == 0)
		s->call = c;
	else
		renew_soon(s);
}

/* ---- without Redis ---- */
static int32_t fall_back(struct slot *s, const char *why)
{
	static const struct {
		const char *how, *policy;
	} rows[] = {[ON_DENY] = {"deny", "refused"},
	            [ON_LOCAL] = {"local", "counted locally"},
	            [ON_ALLOW] = {"allow", "admitted uncounted"}};
	const struct instance *in = s->in;
	const struct merlon_str how = txt_of(rows[in->on_error].how);
	char text[160];
	const int n = snprintf(text, sizeof(text), "redis: %s, %s", why, rows[in->on_error].policy);
	const struct merlon_str said = {text, n < 0 ? 0 : strlen(text)};

	H->metric_add(in->rl.ctx, in->fallbacks, &how, 1);
	H->policy(in->rl.ctx, s->tx, said);
	if (in->on_error == ON_ALLOW)
		return MERLON_OK;
	if (in->on_error == ON_LOCAL) {
		const int32_t code = ratelimit_count(&in->rl, s->tx, &s->ask);
		s->where = IN_ZONE;
		return code != 0 ? code : ratelimit_answer(&in->rl, s->tx, &s->ask);
	}
	const struct merlon_fail f = {.size = sizeof(f),
	                              .retry_after_ms = 1000,
	                              .text = TXT("limits cannot be checked now"),
	                              .detail = said};
	H->fail(in->rl.ctx, s->tx, &f);
	return MERLON_UNAVAIL;
}

/* ---- with its answer ---- */
static uint64_t ns_of(int64_t us)
{
	return (uint64_t)us * 1000;
}

static int32_t accept(struct slot *s, const int64_t *answer)
{
	const struct ratelimit *rl = &s->in->rl;

	s->ask.verdict = (struct ratelimit_verdict){
	    .why = (int)answer[ANS_WHY],
	    .tightest = (int)answer[ANS_TIGHTEST],
	    .wait = ns_of(answer[ANS_WAIT]),
	    .remaining = (uint64_t)answer[ANS_REMAINING],
	    .reset = ns_of(answer[ANS_RESET]),
	};
	const bool passes = s->ask.verdict.why == RATELIMIT_PASS;
	s->where = IN_REDIS;
	s->ask.held = passes && s->ask.limit.concurrency >= 0;
	s->ask.pending = passes && rl->denied;
	s->lease = answer[ANS_SLOT];
	if (s->ask.held)
		renew_later(s);
	return ratelimit_answer(rl, s->tx, &s->ask);
}

/* The client has gone while its request was asked for: what it took is given back. */
static void give_back(const struct call *asked, const int64_t *answer)
{
	const uint64_t prefix = asked->asker->rules->prefix.len;
	const struct merlon_str key = {asked->key + prefix, asked->keylen - prefix};
	struct call *c = call_new(asked->asker, key);
	const char *why;

	memcpy(&c->args[ARG_WHAT], &asked->args[ARG_WHAT],
	       (SCRIPT_ARGS - ARG_WHAT) * sizeof(c->args[0]));
	c->args[ARG_WHAT] = SCRIPT_END;
	c->args[ARG_SLOT] = answer[ANS_SLOT];
	c->done = nobody_waits;
	call_send(c, &why);
}

static void on_checked(struct call *c, const int64_t *answer, const char *why)
{
	struct slot *s = c->owner;

	if (s) {
		s->call = NULL;
		H->resume(s->token, answer ? accept(s, answer) : fall_back(s, why));
	} else if (answer && answer[ANS_SLOT] >= 0) {
		give_back(c, answer);
	}
}

static void leave(struct slot *s)
{
	if (s->call)
		s->call->owner = NULL;
	s->call = NULL;
}

/* ---- hooks ---- */
static int32_t ask(struct slot *s)
{
	const char *why = "the circuit is open";

	if (!asker_admits(s->asker))
		return fall_back(s, why);
	struct call *c = call_for(s, s->in->rl.denied ? SCRIPT_LOOK : SCRIPT_ASK);
	c->done = on_checked;
	c->owner = s;
	c->in_time = true;
	if (call_send(c, &why) != 0)
		return fall_back(s, why);
	s->call = c;
	if (H->suspend(s->in->rl.ctx, s->tx, 0, &s->token) == 0)
		return MERLON_PENDING;
	leave(s);
	return MERLON_ERROR;
}

static int32_t check(void *inst, void *w, merlon_tx *tx, uint32_t group)
{
	const struct instance *in = inst;
	struct slot *s = H->tx_slot(in->rl.ctx, tx);
	const int32_t code = ratelimit_begin(&in->rl, tx, &s->ask);

	(void)group;
	if (code != 0)
		return code;
	/* explain has no worker, and contacts nobody. */
	if (!w || H->probing(in->rl.ctx)) {
		H->policy(in->rl.ctx, tx, TXT("redis: not asked"));
		return MERLON_OK;
	}
	s->in = in;
	s->asker = w;
	s->tx = tx;
	s->lease = -1;
	return ask(s);
}

static void cancel(void *inst, void *w, merlon_tx *tx, uint64_t token, uint32_t reason)
{
	const struct instance *in = inst;

	(void)w;
	(void)token;
	(void)reason;
	leave(H->tx_slot(in->rl.ctx, tx));
}

static void settle_in_redis(struct slot *s, uint32_t due)
{
	struct call *c = call_for(s, SCRIPT_END);
	const char *why;

	if (due & RATELIMIT_RELEASE) {
		c->args[ARG_SLOT] = s->lease;
		c->args[ARG_SEARCH] = s->moved || s->call;
	}
	c->args[ARG_AMOUNT] = (due & RATELIMIT_CHARGE) != 0;
	c->done = nobody_waits;
	call_send(c, &why);
}

static void settle(void *inst, void *w, merlon_tx *tx, const struct merlon_summary *summary)
{
	const struct instance *in = inst;
	struct slot *s = H->tx_slot(in->rl.ctx, tx);

	(void)w;
	if (s->where == IN_ZONE)
		ratelimit_settle(&in->rl, tx, &s->ask, summary);
	if (s->where == IN_REDIS) {
		const uint32_t due = ratelimit_due(&s->ask, summary);
		if (due != 0)
			settle_in_redis(s, due);
	}
	s->where = NOWHERE;
	leave(s);
}

/* What `key` names cannot stand here; in the auth group id.* is not known yet, and not asked for.
 */
static const char *const reads[] = {"net.source", NULL};

static const struct merlon_module module = {
    .size = sizeof(struct merlon_module),
    .major = MERLON_ABI_MAJOR,
    .minor = MERLON_ABI_MINOR,
    .least_minor = 1,
    .groups = MERLON_AUTH | MERLON_AUTHZ | MERLON_RATELIMIT,
    .codes = MERLON_BIT(MERLON_OK) | MERLON_BIT(MERLON_IGNORE) | MERLON_BIT(MERLON_LIMITED) |
             MERLON_BIT(MERLON_UNAVAIL) | MERLON_BIT(MERLON_ERROR),
    .slot_size = sizeof(struct slot),
    .option_size = sizeof(struct merlon_option),
    .option_count = sizeof(options) / sizeof(options[0]),
    .name = "ratelimit_redis",
    .version = MODULE_VERSION,
    .license = "Apache-2.0",
    .summary = "Limits of requests and concurrency by key, counted in Redis for all gateways.",
    .options = options,
    .reads = reads,
    .create = create,
    .destroy = destroy,
    .worker_start = worker_start,
    .worker_stop = worker_stop,
    .check = check,
    .cancel = cancel,
    .settle = settle,
};

MERLON_MODULE(module, H, 1, 0, MERLON_AUTH | MERLON_AUTHZ | MERLON_RATELIMIT)
