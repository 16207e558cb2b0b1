/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * auth_oidc: who a request is, by a JSON Web Token of an OpenID provider. An instance is one
 * issuer. The keys belong to the provider (provider.h), shared by workers and generations; each
 * worker owns a cache of verified tokens, which a reload that changes nothing keeps.
 *
 * A token that names a key nobody knows, or that comes before there are keys, waits for the fetch
 * under way and is judged anew when that has ended.
 */
#include <stdio.h>
#include <stdlib.h>

#include "provider.h"

struct instance {
	merlon_ctx *ctx;
	struct settings s;
	struct keyset fixed; /* keys of a file or a secret */
	merlon_shared *provider_obj;
	struct provider *provider; /* NULL: fixed keys, or a check of the configuration */
	struct provider_metrics metrics;
	uint32_t cached; /* metric {result} */
};
struct worker {
	merlon_worker *worker;
	struct sha *sha;
	merlon_shared *cache_obj;
	struct cache *cache;
	struct attendant attendant; /* p NULL: nothing to attend to */
};
/* Of one tx. */
struct slot {
	struct instance *in;
	struct worker *w;
	merlon_tx *tx;
	struct merlon_str token;
	uint8_t hash[SHA_LEN];
	struct provider_wait wait;
	uint64_t suspended; /* 0: it has not been */
};

const struct merlon_host *oidc_host;
#define H oidc_host

/* ---- life ---- */
static void metrics_define(struct instance *in)
{
	H->metric_define(in->ctx, MERLON_METRIC_COUNTER, "merlon_auth_oidc_fetches_total",
	                 "Fetches of an issuer's keys.", "result", &in->metrics.fetches);
	H->metric_define(in->ctx, MERLON_METRIC_COUNTER, "merlon_auth_oidc_cache_total",
	                 "Tokens that were looked for among the verified ones.", "result",
	                 &in->cached);
}

static int provider_get(struct instance *in, const merlon_cfg *cfg)
{
	const struct merlon_str key = {in->s.provider_key, SHA_HEX};

	if (in->s.keys) {
		in->fixed.keys = in->s.keys;
		in->fixed.epoch = 1;
		return 0;
	}
	if (H->probing(in->ctx))
		return 0;
	if (H->shared_get(in->ctx, key, provider_build, provider_free, &in->s, &in->provider_obj)) {
		H->cfg_error(cfg, "issuer", TXT("cannot be used: no room for its keys"));
		return -1;
	}
	in->provider = H->shared_ptr(in->provider_obj);
	return 0;
}

static void destroy(void *inst)
{
	struct instance *in = inst;

	if (in->provider_obj)
		H->shared_put(in->provider_obj);
	settings_free(&in->s);
	free(in);
}

static int32_t create(merlon_ctx *ctx, const merlon_cfg *cfg, void **inst)
{
	struct instance *in = mem_new(1, sizeof(*in));

	in->ctx = ctx;
	if (sha_setup() != 0) {
		H->cfg_error(cfg, "", TXT("libcrypto offers no SHA-256"));
		free(in);
		return -1;
	}
	metrics_define(in);
	if (settings_read(&in->s, cfg) != 0 || provider_get(in, cfg) != 0) {
		destroy(in);
		return -1;
	}
	*inst = in;
	return 0;
}

static void *cache_build(void *arg)
{
	const struct instance *in = arg;

	return cache_new(in->s.cache_size);
}

static void cache_drop(void *obj)
{
	cache_free(obj);
}

static int32_t worker_start(void *inst, merlon_worker *worker, void **out)
{
	struct instance *in = inst;
	struct worker *w = mem_new(1, sizeof(*w));
	char key[SHA_HEX + 32];
	int n;

	w->worker = worker;
	w->sha = sha_new();
	/* A worker's address is its own as long as the process lives. */
	n = snprintf(key, sizeof(key), "%.*s@%p", SHA_HEX, in->s.token_key, (void *)worker);
	if (H->shared_get(in->ctx, (struct merlon_str){key, (uint64_t)n}, cache_build, cache_drop,
	                  in, &w->cache_obj)) {
		sha_free(w->sha);
		free(w);
		return -1;
	}
	w->cache = H->shared_ptr(w->cache_obj);
	if (in->provider)
		attendant_start(&w->attendant, in->provider, &in->s, in->ctx, worker, in->metrics);
	*out = w;
	return 0;
}

static void worker_stop(void *inst, merlon_worker *worker, void *arg)
{
	struct worker *w = arg;

	(void)inst;
	(void)worker;
	attendant_stop(&w->attendant);
	H->shared_put(w->cache_obj);
	sha_free(w->sha);
	free(w);
}

/* ---- refusals ---- */
/* why: text without quotes, fit for a client. */
static int32_t refuse(const struct instance *in, merlon_tx *tx, int32_t code, const char *why)
{
	char challenge[192];
	struct merlon_fail f = {.size = sizeof(f), .text = txt_of(why), .detail = txt_of(why)};
	int n = snprintf(challenge, sizeof(challenge), "Bearer realm=\"merlon\"");

	if (code != MERLON_NOCRED)
		n = snprintf(challenge, sizeof(challenge),
		             "Bearer realm=\"merlon\", error=\"invalid_token\", "
		             "error_description=\"%s\"",
		             why);
	f.challenge = (struct merlon_str){challenge, (uint64_t)n};
	H->fail(in->ctx, tx, &f);
	return code;
}

static int32_t not_ours(const struct instance *in, merlon_tx *tx)
{
	return refuse(in, tx, MERLON_NOCRED, "no token of a known issuer was given");
}

static int32_t unavailable(const struct instance *in, merlon_tx *tx)
{
	struct merlon_fail f = {.size = sizeof(f),
	                        .text = TXT("tokens cannot be verified at the moment")};
	char detail[192];
	int n;

	if (in->provider) {
		struct provider_state state = provider_state(in->provider);

		n = snprintf(detail, sizeof(detail), "no keys of the issuer: %s", state.why);
		f.retry_after_ms = state.retry_ms;
	} else {
		n = snprintf(detail, sizeof(detail), "keys are not fetched by a check");
	}
	f.detail = (struct merlon_str){detail, (uint64_t)n};
	H->fail(in->ctx, tx, &f);
	return MERLON_UNAVAIL;
}

/* ---- verifying ---- */
static int64_t now_s(void)
{
	return (int64_t)(H->now(MERLON_CLOCK_REAL) / 1000000000);
}

static void count_cached(const struct instance *in, struct merlon_str result)
{
	H->metric_add(in->ctx, in->cached, &result, 1);
}

/* Who says more than the host takes is not half known: a part of a list of models binds less, and
 * the same token will not fit later. */
static int32_t identify(const struct slot *s, const struct identity *id, int64_t expires)
{
	if (identity_set(id, expires, s->in->ctx, s->tx) == 0)
		return MERLON_OK;
	return refuse(s->in, s->tx, MERLON_BADCRED, "the token's claims do not fit");
}

/* A token whose signature holds. */
static int32_t accept_claims(struct slot *s, const struct jwt *t, uint64_t epoch)
{
	struct instance *in = s->in;
	struct identity *id;
	const char *why = "";
	int64_t expires = 0;
	enum jwt_holds holds = jwt_check(t, &in->s.rules, now_s(), &expires, &why);
	int32_t r;

	if (holds != JWT_HOLDS)
		return refuse(in, s->tx, holds == JWT_EXPIRED ? MERLON_EXPIRED : MERLON_BADCRED,
		              why);
	id = identity_make(&in->s.mapping, t, s->hash, &why);
	if (!id)
		return refuse(in, s->tx, MERLON_BADCRED, why);
	r = identify(s, id, expires);
	cache_put(s->w->cache, s->hash, epoch, expires + in->s.rules.skew, expires, id);
	return r;
}

static struct keyset *keys_get(struct instance *in)
{
	if (in->s.keys)
		return &in->fixed;
	return in->provider ? provider_keys(in->provider) : NULL;
}

/* waited: a fetch has just ended. One is all that a token may ask for. */
static int32_t give_up(const struct slot *s, bool no_keys, bool waited, const char *why)
{
	const struct instance *in = s->in;

	/* A key that could not be asked for may be a good one. */
	if (no_keys || (waited && !provider_state(in->provider).ok))
		return unavailable(in, s->tx);
	return refuse(in, s->tx, MERLON_BADCRED, why);
}

/* An old token of a key that is gone would be refused with the key, too: that is no reason to ask
 * for it. */
static bool worth_asking(const struct instance *in, const struct jwt *t)
{
	const char *why;
	int64_t expires;

	return jwt_check(t, &in->s.rules, now_s(), &expires, &why) == JWT_HOLDS;
}

/* Of a token that names no key nobody can tell whether its key is a new one or it has none. */
static bool perhaps_new(const struct instance *in, const struct jwt *t)
{
	return in->provider && !t->kid.ptr && (JOSE_BIT(t->alg) & in->s.algs);
}

/* A code, or PENDING where s->wait will call back. */
static int32_t judge(struct slot *s, const struct jwt *t, bool waited)
{
	struct instance *in = s->in;

	for (;;) {
		struct keyset *keys = keys_get(in);
		const char *why = "";
		enum jwks_found found = JWKS_NO_KEY;
		uint64_t epoch = keys ? keys->epoch : 0;
		bool no_keys = !keys;
		enum provider_answer answer = PROVIDER_NO;

		if (keys)
			found = jwks_verify(keys->keys, t, in->s.algs, &why);
		if (keys != &in->fixed)
			keyset_put(keys);
		if (found == JWKS_OK)
			return accept_claims(s, t, epoch);
		if (found == JWKS_BAD && !perhaps_new(in, t))
			return refuse(in, s->tx, MERLON_BADCRED, why);
		if (in->provider && (no_keys || worth_asking(in, t)))
			answer = provider_wait(&s->wait, !no_keys && !waited, epoch);
		if (answer == PROVIDER_WAIT)
			return MERLON_PENDING;
		if (answer == PROVIDER_NO)
			return give_up(s, no_keys, waited, why);
	}
}

/* Whose it is, before anything is verified. */
static int32_t judge_token(struct slot *s, bool waited)
{
	struct jwt t;
	const char *why = "";
	int32_t code;

	switch (jwt_parse(s->token, &t, &why)) {
	case JWT_NOT_ONE:
		return not_ours(s->in, s->tx);
	case JWT_BAD:
		code = refuse(s->in, s->tx, MERLON_BADCRED, why);
		break;
	case JWT_OK:
	default:
		code = jwt_is_from(&t, s->in->s.issuer) ? judge(s, &t, waited)
		                                        : not_ours(s->in, s->tx);
	}
	jwt_free(&t);
	return code;
}

static int32_t remembered(struct slot *s)
{
	struct instance *in = s->in;
	uint64_t epoch = in->provider ? provider_epoch(in->provider) : in->fixed.epoch;
	const struct identity *id;
	int64_t expires = 0;

	id = cache_get(s->w->cache, s->hash, epoch, now_s(), &expires);
	if (!id)
		return MERLON_PENDING;
	return identify(s, id, expires);
}

/* ---- waiting ---- */
static void fetch_ended(void *arg)
{
	struct slot *s = arg;
	int32_t code = judge_token(s, true);

	if (code == MERLON_PENDING)
		return;
	H->resume(s->suspended, code);
}

static int32_t wait_for_keys(struct slot *s)
{
	if (H->suspend(s->in->ctx, s->tx, 0, &s->suspended) == 0)
		return MERLON_PENDING;
	provider_wait_cancel(&s->wait);
	return unavailable(s->in, s->tx);
}

static void cancel(void *inst, void *w, merlon_tx *tx, uint64_t token, uint32_t reason)
{
	struct instance *in = inst;
	struct slot *s = H->tx_slot(in->ctx, tx);

	(void)w;
	(void)token;
	(void)reason;
	provider_wait_cancel(&s->wait);
}

/* ---- the hook ---- */
/* What was verified by keys that are too old by now counts no more than they do. */
static bool may_remember(const struct instance *in)
{
	if (in->s.cache_size == 0)
		return false;
	return in->provider ? provider_usable(in->provider) : in->s.keys != NULL;
}

static int32_t check(void *inst, void *worker, merlon_tx *tx, uint32_t group)
{
	struct instance *in = inst;
	struct worker *w = worker;
	struct slot *s = H->tx_slot(in->ctx, tx);
	struct merlon_str field;
	int32_t code;

	(void)group;
	*s = (struct slot){.in = in, .w = w, .tx = tx};
	s->wait = (struct provider_wait){.a = &w->attendant, .tx = tx, .fn = fetch_ended, .arg = s};
	if (H->header_get(tx, MERLON_REQUEST, TXT("authorization"), 0, &field) != 0 ||
	    !txt_bearer(field, &s->token))
		return refuse(in, tx, MERLON_NOCRED, "no token was given");
	if (sha_sum(w->sha, s->token, s->hash) != 0)
		return MERLON_ERROR;
	if (may_remember(in)) {
		code = remembered(s);
		count_cached(in, code == MERLON_PENDING ? TXT("miss") : TXT("hit"));
		if (code != MERLON_PENDING)
			return code;
	}
	code = judge_token(s, false);
	return code == MERLON_PENDING ? wait_for_keys(s) : code;
}

static const char *const writes[] = {
    "id.sub",          "id.org",           "id.team",   "id.tier",       "id.roles",   "id.scopes",
    "id.allow_models", "id.allow_actions", "id.method", "id.credential", "id.expires", NULL};

#define CODES                                                                                      \
	(MERLON_BIT(MERLON_OK) | MERLON_BIT(MERLON_NOCRED) | MERLON_BIT(MERLON_BADCRED) |          \
	 MERLON_BIT(MERLON_EXPIRED) | MERLON_BIT(MERLON_UNAVAIL) | MERLON_BIT(MERLON_ERROR))

static const struct merlon_module module = {
    .size = sizeof(struct merlon_module),
    .major = MERLON_ABI_MAJOR,
    .minor = MERLON_ABI_MINOR,
    .least_minor = 1,
    .flags = MERLON_GRANTOR,
    .groups = MERLON_AUTH,
    .codes = CODES,
    .slot_size = sizeof(struct slot),
    .option_size = sizeof(struct merlon_option),
    .option_count = SETTINGS_OPTIONS,
    .name = "auth_oidc",
    .version = MODULE_VERSION,
    .license = "Apache-2.0",
    .summary = "Identity by a JSON Web Token of an OpenID provider.",
    .options = settings_options,
    .writes = writes,
    .create = create,
    .destroy = destroy,
    .worker_start = worker_start,
    .worker_stop = worker_stop,
    .check = check,
    .cancel = cancel,
};

MERLON_MODULE(module, oidc_host, 1, MERLON_GRANTOR, MERLON_AUTH)
