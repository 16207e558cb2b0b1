/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What becomes of an issuer's keys while its provider answers, rotates, lies or is away, and over
 * reloads.
 */
#include "test_idp.h"

/* Of the next generation. */
static merlon_ctx ctx2 = {
    .stack = "default", .group = "auth", .line = "idp", .module = "auth_oidc"};

/* ---- the provider ---- */
static void discovery_and_keys(void)
{
	open_provider("");
	CU_ASSERT_EQUAL_FATAL(fake_count(FAKE_HTTP), 1);
	struct fake_op *op = fake_open(FAKE_HTTP, 0);
	CU_ASSERT(fake_is(op->req.upstream, ISSUER));
	CU_ASSERT(fake_is(op->req.method, "GET"));
	CU_ASSERT(fake_is(op->req.target, WELL_KNOWN));
	CU_ASSERT_EQUAL(op->req.timeout_ms, 5000);
	/* A token that comes meanwhile waits, over both requests. */
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_PENDING);
	CU_ASSERT_EQUAL(serve(WELL_KNOWN, 200, DOCUMENT), 0);
	CU_ASSERT_EQUAL(fake_resumed(tx), 0);
	CU_ASSERT_EQUAL(serve(KEYS, 200, set[0]), 0);
	CU_ASSERT_EQUAL(fake_resumed(tx), MERLON_OK);
	CU_ASSERT(fake_is(fake_attr_get(tx, "id.sub"), "alice"));
	CU_ASSERT_EQUAL(begun(), 2);
	CU_ASSERT_EQUAL(fetches("changed"), 1);
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
	close_all();
}

static bool is_for(const char *host)
{
	const struct merlon_http_request *r = &fake_open(FAKE_HTTP, 0)->req;

	return r->nheaders == 2 && fake_is(r->headers[1].name, "host") &&
	       fake_is(r->headers[1].value, host);
}

static void other_ways_to_the_keys(void)
{
	open_provider("upstream = \"idp\";");
	CU_ASSERT(fake_is(fake_open(FAKE_HTTP, 0)->req.upstream, "idp"));
	CU_ASSERT(is_for("idp.example"));
	serve(WELL_KNOWN, 200, DOCUMENT);
	CU_ASSERT(fake_is(fake_open(FAKE_HTTP, 0)->req.upstream, "idp"));
	CU_ASSERT(is_for("idp.example"));
	close_all();
	open_provider("jwks_uri = \"https://keys.example/k?x\"; fetch_timeout = \"70ms\";");
	CU_ASSERT(fake_is(fake_open(FAKE_HTTP, 0)->req.upstream, "https://keys.example/k?x"));
	CU_ASSERT(fake_is(fake_open(FAKE_HTTP, 0)->req.target, "/k?x"));
	CU_ASSERT_EQUAL(fake_open(FAKE_HTTP, 0)->req.nheaders, 1);
	CU_ASSERT_EQUAL(fake_open(FAKE_HTTP, 0)->req.timeout_ms, 70);
	serve("/k?x", 200, set[0]);
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
	close_all();
	open_provider("jwks_uri = \"https://keys.example:8443\"; upstream = \"idp\";");
	CU_ASSERT(is_for("keys.example:8443"));
	CU_ASSERT(fake_is(fake_open(FAKE_HTTP, 0)->req.upstream, "idp"));
	CU_ASSERT(fake_is(fake_open(FAKE_HTTP, 0)->req.target, "/"));
	close_all();
}

static void it_starts_later(void)
{
	open_provider("");
	fake_http_fail(fake_open(FAKE_HTTP, 0), MERLON_E_UNAVAIL, "refused");
	CU_ASSERT_EQUAL(fetches("failed"), 1);
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_UNAVAIL);
	CU_ASSERT(tx->fail.retry_after_ms > 0 && tx->fail.retry_after_ms <= 1002);
	CU_ASSERT_EQUAL(tx->fail.challenge.len, 0);
	CU_ASSERT_EQUAL(fake_count(FAKE_HTTP), 0);
	/* 1, 2, 4, ... 30 seconds. */
	for (unsigned wait = 1; wait <= 64; wait *= 2) {
		unsigned s = wait < 30 ? wait : 30;

		fake_advance(s * 1000 - 10);
		CU_ASSERT_EQUAL(fake_count(FAKE_HTTP), 0);
		fake_advance(20);
		CU_ASSERT_EQUAL_FATAL(fake_count(FAKE_HTTP), 1);
		fake_http_fail(fake_open(FAKE_HTTP, 0), MERLON_E_UNAVAIL, "refused");
	}
	fake_advance(30010);
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_PENDING);
	fetch(set[0]);
	CU_ASSERT_EQUAL(fake_resumed(tx), MERLON_OK);
	close_all();
}

static void waiting_in_vain(void)
{
	open_provider("");
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_PENDING);
	serve(WELL_KNOWN, 503, "");
	CU_ASSERT_EQUAL(fake_resumed(tx), MERLON_UNAVAIL);
	CU_ASSERT_EQUAL(tx->nattrs, 0);
	close_all();
	/* The client goes: what it waited for goes on. */
	open_provider("");
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_PENDING);
	CU_ASSERT_EQUAL(fake_count(FAKE_HTTP), 2);
	m->cancel(inst, w, tx, 1, MERLON_CANCEL_CLIENT);
	CU_ASSERT_EQUAL(fake_count(FAKE_HTTP), 1);
	fetch(set[0]);
	CU_ASSERT_EQUAL(fake_resumed(tx), 0);
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
	close_all();
	/* The tx cannot wait (an explain). */
	open_provider("");
	fake_suspend_answer = MERLON_E_STATE;
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_UNAVAIL);
	CU_ASSERT_EQUAL(fake_count(FAKE_HTTP), 1);
	close_all();
}

static void a_new_key(void)
{
	open_provider("");
	fetch(set[0]);
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
	/* The provider rotates: the first token of the new key leads to one fetch. */
	CU_ASSERT_EQUAL(ask_for(1, CLAIMS), MERLON_PENDING);
	CU_ASSERT_EQUAL(begun(), 3);
	CU_ASSERT_EQUAL(serve(KEYS, 200, set[1]), 0);
	CU_ASSERT_EQUAL(fake_resumed(tx), MERLON_OK);
	CU_ASSERT_EQUAL(ask_for(1, CLAIMS), MERLON_OK);
	/* What the key that is gone had signed is refused, remembered or not, and at once. */
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_BADCRED);
	CU_ASSERT_EQUAL(begun(), 3);
	fake_advance(29900);
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_BADCRED);
	CU_ASSERT_EQUAL(begun(), 3);
	fake_advance(200);
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_PENDING);
	CU_ASSERT_EQUAL(begun(), 4);
	CU_ASSERT_EQUAL(serve(KEYS, 200, set[1]), 0);
	CU_ASSERT_EQUAL(fake_resumed(tx), MERLON_BADCRED);
	CU_ASSERT_EQUAL(fetches("unchanged"), 1);
	close_all();
}

/* A slow provider and a short floor: a token does not begin one fetch after the other. */
static void one_fetch_for_a_token(void)
{
	open_provider("min_refresh = \"1s\";");
	fetch(set[0]);
	CU_ASSERT_EQUAL(ask_for(1, CLAIMS), MERLON_PENDING);
	CU_ASSERT_EQUAL(begun(), 3);
	fake_advance(1500);
	CU_ASSERT_EQUAL(serve(KEYS, 200, set[0]), 0);
	CU_ASSERT_EQUAL(fake_resumed(tx), MERLON_BADCRED);
	CU_ASSERT_EQUAL(begun(), 3);
	close_all();
}

/* Neither the tokens nor the keys have a kid. */
static void a_new_key_without_a_name(void)
{
	EVP_PKEY *other = mint_key("RSA-2048");
	char *jwk[2], *nameless[2], *z[2];

	for (int i = 0; i < 2; i++) {
		jwk[i] = mint_jwk(i ? other : key[0], "");
		nameless[i] = mint_set(&jwk[i], 1);
		z[i] = mint_token(JOSE_RS256, i ? other : key[0], TXT(""), "{\"alg\":\"RS256\"}",
		                  "{" CLAIMS "}");
	}
	open_provider("");
	fetch(nameless[0]);
	CU_ASSERT_EQUAL(ask(z[0]), MERLON_OK);
	CU_ASSERT_EQUAL(ask(z[1]), MERLON_PENDING);
	CU_ASSERT_EQUAL(serve(KEYS, 200, nameless[1]), 0);
	CU_ASSERT_EQUAL(fake_resumed(tx), MERLON_OK);
	CU_ASSERT_EQUAL(ask(z[0]), MERLON_BADCRED);
	CU_ASSERT_EQUAL(begun(), 3);
	for (int i = 0; i < 2; i++) {
		free(jwk[i]);
		free(nameless[i]);
		free(z[i]);
	}
	EVP_PKEY_free(other);
	close_all();
}

static void a_thousand_unknown_keys(void)
{
	merlon_tx *all[1000];
	char *t = token(1, CLAIMS);
	char field[4096];

	open_provider("");
	fetch(set[0]);
	snprintf(field, sizeof(field), "Bearer %s", t);
	for (unsigned i = 0; i < 1000; i++) {
		all[i] = fake_tx_new();
		fake_header(all[i], MERLON_REQUEST, "Authorization", field);
		CU_ASSERT_EQUAL(m->check(inst, w, all[i], MERLON_AUTH), MERLON_PENDING);
	}
	CU_ASSERT_EQUAL(begun(), 3);
	for (unsigned i = 0; i < 40; i++)
		serve(KEYS, 200, set[0]);
	for (unsigned i = 0; i < 1000; i++) {
		CU_ASSERT_EQUAL(fake_resumed(all[i]), MERLON_BADCRED);
		fake_tx_free(all[i]);
	}
	CU_ASSERT_EQUAL(begun(), 3);
	close_all();
	free(t);
}

static void old_tokens_ask_for_nothing(void)
{
	open_provider("");
	fetch(set[0]);
	CU_ASSERT_EQUAL(ask_for(1, "\"iss\":\"" ISSUER "\",\"aud\":\"models\",\"sub\":\"a\","
	                           "\"exp\":1600000000"),
	                MERLON_BADCRED);
	CU_ASSERT_EQUAL(ask_for(1, "\"iss\":\"" ISSUER "\",\"aud\":\"x\",\"sub\":\"a\","
	                           "\"exp\":1700000600"),
	                MERLON_BADCRED);
	CU_ASSERT_EQUAL(begun(), 2);
	CU_ASSERT_EQUAL(ask_for(1, CLAIMS), MERLON_PENDING);
	close_all();
}

/* A key that could not be asked for may be a good one. */
static void unknown_and_unreachable(void)
{
	open_provider("");
	fetch(set[0]);
	CU_ASSERT_EQUAL(ask_for(1, CLAIMS), MERLON_PENDING);
	serve(KEYS, 500, "");
	CU_ASSERT_EQUAL(fake_resumed(tx), MERLON_UNAVAIL);
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
	/* The floor counts what has failed, too. */
	CU_ASSERT_EQUAL(ask_for(1, CLAIMS), MERLON_BADCRED);
	CU_ASSERT_EQUAL(fake_count(FAKE_HTTP), 0);
	close_all();
}

static void lies_change_nothing(void)
{
	static const struct {
		const char *target;
		uint32_t status;
		const char *body;
	} lies[] = {
	    {KEYS, 200, "<html>sign in</html>"},
	    {KEYS, 200, ""},
	    {KEYS, 200, "[]"},
	    {KEYS, 200, "{\"keys\":[]}"},
	    {KEYS, 200, "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\",\"kid\":\"b\"}]}"},
	    {KEYS, 200, "{\"keys\":[],\"keys\":[]}"},
	    {KEYS, 204, ""},
	    {KEYS, 301, ""},
	    {KEYS, 404, ""},
	    {WELL_KNOWN, 200, "{}"},
	    {WELL_KNOWN, 200, "not JSON"},
	    {WELL_KNOWN, 200, "[\"issuer\"]"},
	    {WELL_KNOWN, 200,
	     "{\"issuer\":\"https://evil.example\",\"jwks_uri\":\"https://idp.example/k\"}"},
	    {WELL_KNOWN, 200,
	     "{\"issuer\":\"" ISSUER "/\",\"jwks_uri\":\"https://idp.example/k\"}"},
	    {WELL_KNOWN, 200,
	     "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://evil.example/k\"}"},
	    {WELL_KNOWN, 200, "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"http://idp.example/k\"}"},
	    {WELL_KNOWN, 200,
	     "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://idp.example:8443/k\"}"},
	    {WELL_KNOWN, 200,
	     "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://idp.example@evil.example/k\"}"},
	    {WELL_KNOWN, 200,
	     "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://idp.example/k\\r\\nX: y\"}"},
	    {WELL_KNOWN, 200, "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://idp.example?k\"}"},
	    {WELL_KNOWN, 200, "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":7}"},
	    {WELL_KNOWN, 200,
	     "{\"issuer\":\"" ISSUER "\",\"issuer\":\"" ISSUER
	     "\",\"jwks_uri\":\"https://idp.example/k\"}"},
	    {WELL_KNOWN, 302, DOCUMENT},
	};

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		open_provider("");
		fetch(set[0]);
		fake_advance(3600 * 1000 + 10);
		fake_now[1] = (uint64_t)NOW * 1000000000;
		/* A failed fetch of keys makes it begin from discovery again. */
		if (strcmp(lies[i].target, WELL_KNOWN) == 0) {
			CU_ASSERT_EQUAL(serve(KEYS, 500, ""), 0);
			fake_advance(30010);
			fake_now[1] = (uint64_t)NOW * 1000000000;
		}
		int64_t failed = fetches("failed");
		CU_ASSERT_EQUAL(serve(lies[i].target, lies[i].status, lies[i].body), 0);
		if (fetches("failed") != failed + 1 || fake_count(FAKE_HTTP) != 0)
			fprintf(stderr, "\n%s was taken\n", lies[i].body);
		CU_ASSERT_EQUAL(fetches("failed"), failed + 1);
		CU_ASSERT_EQUAL(fake_count(FAKE_HTTP), 0);
		CU_ASSERT_EQUAL(fetches("changed"), 1);
		CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
		close_all();
	}
}

static void stale_has_an_end(void)
{
	open_provider("max_stale = \"40s\"; refresh = \"10s\";");
	fetch(set[0]);
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
	while (fake_now[0] < UINT64_C(1000000000000) + UINT64_C(39000000000)) {
		fake_advance(500);
		while (fake_open(FAKE_HTTP, 0))
			fake_http_fail(fake_open(FAKE_HTTP, 0), MERLON_E_TIMEOUT, "slow");
		CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
	}
	fake_advance(1000);
	while (fake_open(FAKE_HTTP, 0))
		fake_http_fail(fake_open(FAKE_HTTP, 0), MERLON_E_TIMEOUT, "slow");
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_UNAVAIL);
	/* It is back, and so are we, without a request for it. */
	fake_advance(30010);
	CU_ASSERT_EQUAL(fake_count(FAKE_HTTP), 1);
	fetch(set[0]);
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
	close_all();
}

static void fetched_again_in_time(void)
{
	const struct merlon_header age = {TXT("Cache-Control"), TXT("public, MAX-AGE=100 ,x")};
	const struct merlon_header brief = {TXT("cache-control"), TXT("max-age=0")};
	struct fake_op *op;

	open_provider("");
	serve(WELL_KNOWN, 200, DOCUMENT);
	fake_http_answer(fake_open(FAKE_HTTP, 0), 200, &age, 1, set[0]);
	fake_advance(99900);
	CU_ASSERT_EQUAL(fake_count(FAKE_HTTP), 0);
	fake_advance(200);
	op = fake_open(FAKE_HTTP, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(op);
	fake_http_answer(op, 200, &brief, 1, set[0]);
	fake_advance(29900);
	CU_ASSERT_EQUAL(fake_count(FAKE_HTTP), 0);
	fake_advance(200);
	CU_ASSERT_EQUAL(fake_count(FAKE_HTTP), 1);
	serve(KEYS, 200, set[0]);
	fake_advance(3599900);
	CU_ASSERT_EQUAL(fake_count(FAKE_HTTP), 0);
	fake_advance(200);
	CU_ASSERT_EQUAL(fake_count(FAKE_HTTP), 1);
	close_all();
}

/* ---- reloads ---- */
static void cancel_of(merlon_op *op)
{
	fakenet_op_cancel(op);
}

static void a_reload_fetches_nothing(void)
{
	void *next = NULL, *next_w = NULL;

	open_provider("");
	fetch(set[0]);
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
	for (unsigned i = 0; i < 50; i++) {
		CU_ASSERT_EQUAL_FATAL(make(i % 2 ? &ctx : &ctx2, BASE, &next), 0);
		CU_ASSERT_EQUAL_FATAL(m->worker_start(next, &fake_worker, &next_w), 0);
		cancel_of((merlon_op *)(void *)fake_open(FAKE_TIMER, 0));
		stop(inst, w);
		inst = next;
		w = next_w;
		int64_t hits = fake_metric("merlon_auth_oidc_cache_total", "hit");
		CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
		CU_ASSERT_EQUAL(fake_metric("merlon_auth_oidc_cache_total", "hit"), hits + 1);
	}
	CU_ASSERT_EQUAL(begun(), 2);
	/* Other times: the keys stay, too, and the times count for them. */
	CU_ASSERT_EQUAL_FATAL(
	    make(&ctx2, BASE " fetch_timeout = \"1s\"; refresh = \"20s\"; max_stale = \"90s\";",
	         &next),
	    0);
	CU_ASSERT_EQUAL_FATAL(m->worker_start(next, &fake_worker, &next_w), 0);
	cancel_of((merlon_op *)(void *)fake_open(FAKE_TIMER, 0));
	stop(inst, w);
	inst = next;
	w = next_w;
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
	CU_ASSERT_EQUAL(begun(), 2);
	fake_advance(20010);
	CU_ASSERT_EQUAL(begun(), 3);
	fake_http_fail(fake_open(FAKE_HTTP, 0), MERLON_E_TIMEOUT, "slow");
	fake_advance(69000);
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
	fake_advance(1100);
	while (fake_open(FAKE_HTTP, 0))
		fake_http_fail(fake_open(FAKE_HTTP, 0), MERLON_E_TIMEOUT, "slow");
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_UNAVAIL);
	close_all();
	open_provider("");
	fetch(set[0]);
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
	/* Another audience: the keys stay, what was verified does not count. */
	CU_ASSERT_EQUAL_FATAL(make(&ctx2, "issuer = \"" ISSUER "\"; audience = \"other\";", &next),
	                      0);
	CU_ASSERT_EQUAL_FATAL(m->worker_start(next, &fake_worker, &next_w), 0);
	stop(inst, w);
	inst = next;
	w = next_w;
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_BADCRED);
	CU_ASSERT_EQUAL(begun(), 2);
	close_all();
}

static void a_reload_amid_a_fetch(void)
{
	void *next = NULL, *next_w = NULL;

	open_provider("");
	struct fake_op *first = fake_open(FAKE_HTTP, 0);
	CU_ASSERT_EQUAL_FATAL(make(&ctx2, BASE, &next), 0);
	CU_ASSERT_EQUAL_FATAL(m->worker_start(next, &fake_worker, &next_w), 0);
	/* The new one has joined the flight. */
	CU_ASSERT_EQUAL(fake_count(FAKE_HTTP), 2);
	cancel_of((merlon_op *)(void *)first);
	stop(inst, w);
	inst = next;
	w = next_w;
	CU_ASSERT_EQUAL(fake_count(FAKE_HTTP), 1);
	fetch(set[0]);
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
	close_all();
	/* It was begun on another worker, and all that had a part in it go: one that was there
	 * before sees to it. */
	struct merlon_worker other = {.index = 1};
	open_provider("");
	fetch(set[0]);
	CU_ASSERT_EQUAL_FATAL(make(&ctx2, BASE, &next), 0);
	CU_ASSERT_EQUAL_FATAL(m->worker_start(next, &other, &next_w), 0);
	CU_ASSERT_EQUAL(fake_count(FAKE_HTTP), 0);
	void *saved = w, *saved_inst = inst;
	w = next_w;
	inst = next;
	CU_ASSERT_EQUAL(ask_for(1, CLAIMS), MERLON_PENDING);
	CU_ASSERT_EQUAL(fake_count(FAKE_HTTP), 2);
	w = saved;
	inst = saved_inst;
	fake_tx_cancel(tx);
	cancel_of((merlon_op *)(void *)fake_open(FAKE_HTTP, 0));
	cancel_of((merlon_op *)(void *)fake_open(FAKE_TIMER, 1));
	m->worker_stop(next, &other, next_w);
	m->destroy(next);
	fake_advance(31000);
	CU_ASSERT_EQUAL(fake_count(FAKE_HTTP), 1);
	serve(KEYS, 200, set[1]);
	CU_ASSERT_EQUAL(ask_for(1, CLAIMS), MERLON_OK);
	close_all();
}

static void a_check_asks_nobody(void)
{
	ctx.probing = 1;
	open_provider("");
	CU_ASSERT_EQUAL(fake_nops, 0);
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_UNAVAIL);
	CU_ASSERT(strstr(tx->fail.detail.ptr, "check") != NULL);
	close_all();
	open_file("");
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
	close_all();
	ctx.probing = 0;
}

int main(void)
{
	static const struct unit_test tests[] = {
	    UNIT(discovery_and_keys),
	    UNIT(other_ways_to_the_keys),
	    UNIT(it_starts_later),
	    UNIT(waiting_in_vain),
	    UNIT(a_new_key),
	    UNIT(one_fetch_for_a_token),
	    UNIT(a_new_key_without_a_name),
	    UNIT(a_thousand_unknown_keys),
	    UNIT(old_tokens_ask_for_nothing),
	    UNIT(unknown_and_unreachable),
	    UNIT(lies_change_nothing),
	    UNIT(stale_has_an_end),
	    UNIT(fetched_again_in_time),
	    UNIT(a_reload_fetches_nothing),
	    UNIT(a_reload_amid_a_fetch),
	    UNIT(a_check_asks_nobody),
	};

	return run("provider", tests, sizeof(tests) / sizeof(tests[0]));
}
