/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A line of auth_oidc in the fake host, two keys, and the provider's side of its fetches, for the
 * tests of the module.
 */
#ifndef AUTH_OIDC_TEST_IDP_H
#define AUTH_OIDC_TEST_IDP_H

#include "common/fakehost.h"
#include "common/fakenet.h"
#include "mint.h"
#include "oidc.h"

#include "unit/unit.h"

#include <stdlib.h>

#define NOW 1700000000
#define ISSUER "https://idp.example/realm"
#define WELL_KNOWN "/realm/.well-known/openid-configuration"
#define BASE "issuer = \"" ISSUER "\"; audience = \"models\";"
#define DOCUMENT                                                                                   \
	"{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://IDP.example:443/realm/keys?a=b\"}"
#define KEYS "/realm/keys?a=b"
#define CHALLENGE "Bearer realm=\"merlon\""
#define INVALID CHALLENGE ", error=\"invalid_token\", error_description=\""
#define CLAIMS "\"iss\":\"" ISSUER "\",\"aud\":\"models\",\"sub\":\"alice\",\"exp\":1700000600"

static const struct merlon_module *m;
static merlon_ctx ctx = {.stack = "default", .group = "auth", .line = "idp", .module = "auth_oidc"};
static void *inst, *w;
static merlon_tx *tx;
static EVP_PKEY *key[2]; /* kid "a" and "b" */
static char *set[3];     /* of "a", of "b", of both */

static inline void keys_make(void)
{
	char *jwk[2];

	for (int i = 0; i < 2; i++) {
		key[i] = mint_key(i ? "P-256" : "RSA-2048");
		jwk[i] = mint_jwk(key[i], i ? "\"kid\":\"b\",\"alg\":\"ES256\""
		                            : "\"kid\":\"a\",\"alg\":\"RS256\"");
		set[i] = mint_set(&jwk[i], 1);
	}
	set[2] = mint_set(jwk, 2);
	free(jwk[0]);
	free(jwk[1]);
}

static inline int32_t make(merlon_ctx *c, const char *options, void **out)
{
	merlon_cfg *cfg;
	int32_t r;

	m = merlon_module_v1(&fake_host);
	cfg = fake_cfg(m, options);
	r = m->create(c, cfg, out);
	fake_cfg_free(cfg);
	return r;
}

static inline void open_with(const char *options)
{
	CU_ASSERT_EQUAL_FATAL(make(&ctx, options, &inst), 0);
	CU_ASSERT_EQUAL_FATAL(m->worker_start(inst, &fake_worker, &w), 0);
	tx = fake_tx_new();
}

/* The host ends what belongs to an instance before its worker_stop. */
static inline void stop(void *i, void *worker)
{
	m->worker_stop(i, &fake_worker, worker);
	m->destroy(i);
}

static inline void close_all(void)
{
	while (fake_open(FAKE_HTTP, 0))
		fakenet_op_cancel((merlon_op *)(void *)fake_open(FAKE_HTTP, 0));
	while (fake_open(FAKE_TIMER, 0))
		fakenet_op_cancel((merlon_op *)(void *)fake_open(FAKE_TIMER, 0));
	fake_tx_free(tx);
	stop(inst, w);
	fake_reset();
}

static inline char *token(int which, const char *claims)
{
	char text[4096];

	snprintf(text, sizeof(text), "{%s}", claims);
	return mint_token(which ? JOSE_ES256 : JOSE_RS256, key[which], TXT(""),
	                  which ? "{\"alg\":\"ES256\",\"kid\":\"b\"}"
	                        : "{\"alg\":\"RS256\",\"kid\":\"a\"}",
	                  text);
}

static inline int32_t ask_text(const char *value)
{
	char field[16384];

	fake_tx_free(tx);
	tx = fake_tx_new();
	snprintf(field, sizeof(field), "%s", value);
	if (*field)
		fake_header(tx, MERLON_REQUEST, "Authorization", field);
	return m->check(inst, w, tx, MERLON_AUTH);
}

static inline int32_t ask(const char *t)
{
	char field[16384];

	snprintf(field, sizeof(field), "Bearer %s", t);
	return ask_text(field);
}

static inline int32_t ask_for(int which, const char *claims)
{
	char *t = token(which, claims);
	int32_t r = ask(t);

	free(t);
	return r;
}

static inline bool challenge_is(const char *text)
{
	bool is = fake_is(tx->fail.challenge, text);

	if (!is)
		fprintf(stderr, "\nthe challenge is %.*s\n", TXT_FMT(tx->fail.challenge));
	return is;
}

/* Every request that is open gets the same answer, as those of one flight do. Returns how many were
 * for another target. */
static inline unsigned serve(const char *target, uint32_t status, const char *body)
{
	struct fake_op *ops[64];
	unsigned n = 0, others = 0;

	while (n < 64 && (ops[n] = fake_open(FAKE_HTTP, n)) != NULL)
		n++;
	for (unsigned i = 0; i < n; i++) {
		if (ops[i]->over)
			continue;
		if (fake_is(ops[i]->req.target, target) && fake_is(ops[i]->req.flight, target))
			fake_http_answer(ops[i], status, NULL, 0, body);
		else
			others++;
	}
	return others;
}

static inline void fetch(const char *keys)
{
	CU_ASSERT_EQUAL(serve(WELL_KNOWN, 200, DOCUMENT), 0);
	CU_ASSERT_EQUAL(serve(KEYS, 200, keys), 0);
}

/* How many requests were ever begun: those on behalf of a tx join one of an instance. */
static inline unsigned begun(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < fake_nops; i++)
		n += fake_ops[i].kind == FAKE_HTTP && !fake_ops[i].tx;
	return n;
}

static inline int64_t fetches(const char *result)
{
	return fake_metric("merlon_auth_oidc_fetches_total", result);
}

static inline void open_file(const char *more)
{
	char options[1024];

	fake_reset();
	fake_file("k", set[2]);
	snprintf(options, sizeof(options), BASE " jwks_file = \"k\"; %s", more);
	open_with(options);
}

static inline void open_provider(const char *more)
{
	char options[1024];

	fake_reset();
	snprintf(options, sizeof(options), BASE " %s", more);
	open_with(options);
}

static inline int run(const char *suite, const struct unit_test *tests, size_t n)
{
	keys_make();
	int r = unit_run(suite, tests, n);
	for (int i = 0; i < 2; i++)
		EVP_PKEY_free(key[i]);
	for (int i = 0; i < 3; i++)
		free(set[i]);
	return r;
}

#endif
