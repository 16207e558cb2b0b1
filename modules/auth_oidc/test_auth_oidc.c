/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * auth_oidc against the fake host: which answer for which token, and which identity. Time is the
 * test's.
 */
#include "test_idp.h"

/* ---- options ---- */
static void options_are_checked(void)
{
	static const struct {
		const char *options, *error;
	} cases[] = {
	    {BASE " secret = \"short\";", "32 bytes"},
	    {BASE " secret = \"0123456789abcdef0123456789abcdef\"; jwks_file = \"k\";",
	     "cannot stand beside secret"},
	    {BASE " secret = \"0123456789abcdef0123456789abcdef\"; upstream = \"u\";",
	     "cannot stand beside secret"},
	    {BASE " jwks_file = \"k\"; jwks_uri = \"https://idp.example/k\";",
	     "cannot stand beside jwks_file"},
	    {BASE " jwks_file = \"bad\";", "bad:0"},
	    {BASE " jwks_file = \"none\";", "no key"},
	    {BASE " algorithms = [ \"HS256\" ];", "shared secrets"},
	    {BASE " algorithms = [ \"RS256\", \"none\" ];", "no algorithm"},
	    {BASE " algorithms = [ \"RS265\" ];", "did you mean \"RS256\""},
	    {BASE " algorithms = [ ];", "at least one"},
	    {BASE " secret = \"0123456789abcdef0123456789abcdef\"; algorithms = [ \"RS256\" ];",
	     "public keys"},
	    {BASE " claims = { sub = \"\"; };", "must not be empty"},
	    {"issuer = \"" ISSUER "\"; audience = [ ];", "at least one"},
	    {"issuer = \"" ISSUER "\"; audience = [ \"a\", \"\" ];", "empty"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		void *out = NULL;

		fake_reset();
		fake_file("k", set[0]);
		fake_file("bad", "{\"keys\":[{},{\"kty\":1,\"kty\":2}]}");
		fake_file("none", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}");
		CU_ASSERT_EQUAL(make(&ctx, cases[i].options, &out), -1);
		CU_ASSERT(strstr(fake_errors, cases[i].error) != NULL);
		if (!strstr(fake_errors, cases[i].error))
			fprintf(stderr, "\n%s\n said %s\n", cases[i].options, fake_errors);
	}
	fake_reset();
}

/* ---- tokens and identities, keys from a file ---- */
static void whose_it_is(void)
{
	char *other = token(0, "\"iss\":\"https://other.example\",\"aud\":\"models\","
	                       "\"sub\":\"a\",\"exp\":1700000600");
	char *slash = token(0, "\"iss\":\"" ISSUER "/\",\"aud\":\"models\",\"sub\":\"a\","
	                       "\"exp\":1700000600");
	char *good = token(0, CLAIMS);
	char text[8192];

	open_file("");
	CU_ASSERT_EQUAL(ask_text(""), MERLON_NOCRED);
	CU_ASSERT(challenge_is(CHALLENGE));
	CU_ASSERT_EQUAL(ask_text("Basic abc"), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask_text("Bearer"), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask_text("Bearer  "), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask("mrl_abcdefgh_0123456789abcdef0123456789abcdef012345"), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask("sk-abc.def.ghi"), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask(other), MERLON_NOCRED);
	CU_ASSERT(challenge_is(CHALLENGE));
	CU_ASSERT_EQUAL(ask(slash), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask(good), MERLON_OK);
	snprintf(text, sizeof(text), "bEARER\t %s ", good);
	CU_ASSERT_EQUAL(ask_text(text), MERLON_OK);
	snprintf(text, sizeof(text), "Bearer %s x", good);
	CU_ASSERT_NOT_EQUAL(ask_text(text), MERLON_OK);
	CU_ASSERT_EQUAL(fake_count(FAKE_HTTP), 0);
	close_all();
	free(other);
	free(slash);
	free(good);
}

static void the_identity(void)
{
	struct merlon_val v;

	open_file("claims = { roles = \"realm_access.roles\"; models = \"m\"; actions = \"x\"; };");
	CU_ASSERT_EQUAL(ask_for(0,
	                        CLAIMS ",\"org\":\"acme\",\"team\":\"t\",\"tier\":\"gold\","
	                               "\"realm_access\":{\"roles\":[\"r1\",\"r2\"]},"
	                               "\"scope\":\" a  b c \",\"m\":[\"gpt-*\"],\"x\":\"read\""),
	                MERLON_OK);
	CU_ASSERT(fake_is(fake_attr_get(tx, "id.sub"), "alice"));
	CU_ASSERT(fake_is(fake_attr_get(tx, "id.org"), "acme"));
	CU_ASSERT(fake_is(fake_attr_get(tx, "id.team"), "t"));
	CU_ASSERT(fake_is(fake_attr_get(tx, "id.tier"), "gold"));
	CU_ASSERT(fake_is(fake_attr_get(tx, "id.method"), "oidc"));
	CU_ASSERT_EQUAL(fake_attr_get(tx, "id.credential").len, 21);
	CU_ASSERT_EQUAL(fake_host.attr_get(tx, TXT("id.roles"), &v), 0);
	CU_ASSERT(v.count == 2 && fake_is(v.u.list[0], "r1") && fake_is(v.u.list[1], "r2"));
	CU_ASSERT_EQUAL(fake_host.attr_get(tx, TXT("id.scopes"), &v), 0);
	CU_ASSERT(v.count == 3 && fake_is(v.u.list[0], "a") && fake_is(v.u.list[2], "c"));
	CU_ASSERT_EQUAL(fake_host.attr_get(tx, TXT("id.allow_models"), &v), 0);
	CU_ASSERT(v.count == 1 && fake_is(v.u.list[0], "gpt-*"));
	CU_ASSERT_EQUAL(fake_host.attr_get(tx, TXT("id.allow_actions"), &v), 0);
	CU_ASSERT(v.count == 1 && fake_is(v.u.list[0], "read"));
	CU_ASSERT_EQUAL(fake_host.attr_get(tx, TXT("id.expires"), &v), 0);
	CU_ASSERT_EQUAL(v.u.i64, NOW + 600);
	/* What is mapped and binds, and is not there, allows nothing. */
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
	CU_ASSERT_EQUAL(fake_host.attr_get(tx, TXT("id.allow_models"), &v), 0);
	CU_ASSERT(v.type == MERLON_VAL_STRLIST && v.count == 0);
	CU_ASSERT_EQUAL(fake_host.attr_get(tx, TXT("id.org"), &v), MERLON_E_NOENT);
	CU_ASSERT_EQUAL(fake_host.attr_get(tx, TXT("id.roles"), &v), MERLON_E_NOENT);
	close_all();
}

static void claims_of_wrong_types(void)
{
	static const char *const wrong[] = {
	    "\"sub\":1",
	    "\"sub\":\"\"",
	    "\"sub\":null",
	    "\"sub\":[\"a\"]",
	    "\"org\":{}",
	    "\"org\":\"\"",
	    "\"team\":7",
	    "\"tier\":true",
	    "\"roles\":{}",
	    "\"roles\":[1]",
	    "\"roles\":[\"\"]",
	    "\"roles\":[[\"a\"]]",
	    "\"roles\":\"\"",
	    "\"scope\":5",
	    "\"scope\":[null]",
	    "\"roles\":null",
	    "\"sub\":\"a\\r\\nX-User: root\"",
	    "\"sub\":\"\\u007f\"",
	    "\"org\":\"a\\tb\"",
	    "\"roles\":[\"a\",\"b\\n\"]",
	    "\"roles\":\"\\u0001\"",
	    "\"scope\":\"a\\tb\"",
	};
	char claims[512];

	open_file("");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		bool sub = strncmp(wrong[i], "\"sub\"", 5) == 0;

		snprintf(claims, sizeof(claims),
		         "\"iss\":\"" ISSUER "\",\"aud\":\"models\",\"exp\":1700000600,%s%s",
		         sub ? "" : "\"sub\":\"alice\",", wrong[i]);
		int32_t r = ask_for(0, claims);
		if (r != MERLON_BADCRED)
			fprintf(stderr, "\n%s: %d\n", claims, r);
		CU_ASSERT_EQUAL(r, MERLON_BADCRED);
		CU_ASSERT_EQUAL(tx->nattrs, 0);
		CU_ASSERT(strncmp(tx->fail.challenge.ptr, INVALID, sizeof(INVALID) - 1) == 0);
	}
	CU_ASSERT_EQUAL(ask_for(0, "\"iss\":\"" ISSUER "\",\"aud\":\"models\",\"exp\":1700000600"),
	                MERLON_BADCRED);
	close_all();
}

/* The host takes no further attribute: the second time from what is remembered. */
static void an_identity_that_does_not_fit(void)
{
	char *z = token(0, CLAIMS);
	char field[4096];
	char name[32];

	open_file("");
	snprintf(field, sizeof(field), "Bearer %s", z);
	for (unsigned i = 0; i < 2; i++) {
		const struct merlon_val v = {.type = MERLON_VAL_STR, .u.str = TXT("x")};
		unsigned n = 0;

		fake_tx_free(tx);
		tx = fake_tx_new();
		fake_header(tx, MERLON_REQUEST, "Authorization", field);
		do
			snprintf(name, sizeof(name), "res.a%u", n);
		while (++n < 1000 && fake_host.attr_set(&ctx, tx, txt_of(name), &v) == 0);
		CU_ASSERT_TRUE(n < 1000);
		CU_ASSERT_EQUAL(m->check(inst, w, tx, MERLON_AUTH), MERLON_BADCRED);
		CU_ASSERT_TRUE(challenge_is(INVALID "the token's claims do not fit\""));
	}
	free(z);
	close_all();
}

static void expired_is_told(void)
{
	open_file("");
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
	CU_ASSERT_EQUAL(fake_metric("merlon_auth_oidc_cache_total", "hit"), 0);
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
	CU_ASSERT_EQUAL(fake_metric("merlon_auth_oidc_cache_total", "hit"), 1);
	CU_ASSERT_EQUAL(fake_metric("merlon_auth_oidc_cache_total", "miss"), 1);
	fake_now[1] += (UINT64_C(660) - 1) * 1000000000;
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
	fake_now[1] += 1000000000;
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_EXPIRED);
	CU_ASSERT(challenge_is(INVALID "the token has expired\""));
	CU_ASSERT(fake_is(tx->fail.text, "the token has expired"));
	CU_ASSERT_EQUAL(tx->nattrs, 0);
	close_all();
	/* The same without a cache. */
	open_file("cache_size = 0;");
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
	fake_now[1] += UINT64_C(660) * 1000000000;
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_EXPIRED);
	close_all();
}

static void age_counts_for_remembered_tokens_too(void)
{
	open_file("max_age = \"100s\"; skew = \"0s\";");
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_BADCRED); /* no iat */
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS ",\"iat\":1700000000"), MERLON_OK);
	fake_now[1] += UINT64_C(101) * 1000000000;
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS ",\"iat\":1700000000"), MERLON_EXPIRED);
	close_all();
}

static void refused_tokens(void)
{
	char *forged = token(1, CLAIMS);

	open_file("algorithms = [ \"RS256\" ];");
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_OK);
	CU_ASSERT_EQUAL(ask(forged), MERLON_BADCRED);
	CU_ASSERT_EQUAL(ask_for(0, "\"iss\":\"" ISSUER "\",\"aud\":\"x\",\"sub\":\"a\","
	                           "\"exp\":1700000600"),
	                MERLON_BADCRED);
	CU_ASSERT_EQUAL(ask("eyJhbGciOiJub25lIn0.e30."), MERLON_BADCRED);
	close_all();
	/* Nobody is asked for a key that the file does not have. */
	fake_file("k", set[0]);
	open_with(BASE " jwks_file = \"k\";");
	CU_ASSERT_EQUAL(ask(forged), MERLON_BADCRED);
	CU_ASSERT_EQUAL(fake_nops, 0);
	close_all();
	free(forged);
}

static void shared_secrets(void)
{
	const struct merlon_str secret = TXT("0123456789abcdef0123456789abcdef");
	char *good = mint_token(JOSE_HS256, NULL, secret, "{\"alg\":\"HS256\"}", "{" CLAIMS "}");
	char *bad = mint_token(JOSE_HS256, NULL, TXT("0123456789abcdef0123456789abcdeX"),
	                       "{\"alg\":\"HS256\"}", "{" CLAIMS "}");

	fake_reset();
	open_with(BASE " secret = \"0123456789abcdef0123456789abcdef\";");
	CU_ASSERT_EQUAL(ask(good), MERLON_OK);
	CU_ASSERT_EQUAL(ask(bad), MERLON_BADCRED);
	CU_ASSERT_EQUAL(ask_for(0, CLAIMS), MERLON_BADCRED);
	close_all();
	open_file("");
	CU_ASSERT_EQUAL(ask(good), MERLON_BADCRED);
	close_all();
	free(good);
	free(bad);
}

/* ---- the cache by itself ---- */
static void put(struct cache *c, unsigned i, uint64_t epoch, int64_t until)
{
	uint8_t hash[SHA_LEN] = {0};

	memcpy(hash, &i, sizeof(i));
	cache_put(c, hash, epoch, until, until, mem_new(1, 16));
}

static bool has(struct cache *c, unsigned i, uint64_t epoch, int64_t now)
{
	uint8_t hash[SHA_LEN] = {0};
	int64_t expires;

	memcpy(hash, &i, sizeof(i));
	return cache_get(c, hash, epoch, now, &expires) != NULL;
}

static void the_cache_is_bounded(void)
{
	struct cache *c = cache_new(3);

	for (unsigned i = 0; i < 3; i++)
		put(c, i, 1, 100);
	CU_ASSERT(has(c, 0, 1, 99)); /* now 1 is the oldest */
	put(c, 3, 1, 100);
	CU_ASSERT_EQUAL(cache_count(c), 3);
	CU_ASSERT(has(c, 0, 1, 99) && !has(c, 1, 1, 99) && has(c, 2, 1, 99) && has(c, 3, 1, 99));
	CU_ASSERT_FALSE(has(c, 0, 1, 100));
	CU_ASSERT_FALSE(has(c, 2, 2, 99));
	CU_ASSERT_EQUAL(cache_count(c), 1);
	put(c, 3, 2, 100); /* again, in place of the one that is there */
	CU_ASSERT_EQUAL(cache_count(c), 1);
	CU_ASSERT(has(c, 3, 2, 99));
	cache_free(c);
	c = cache_new(0);
	put(c, 1, 1, 100);
	CU_ASSERT_EQUAL(cache_count(c), 0);
	cache_free(c);
	c = cache_new(100);
	for (unsigned i = 0; i < 100000; i++) {
		unsigned k = i * 2654435761u % 250;

		if (!has(c, k, 1, 99))
			put(c, k, 1, 100 - (i % 7 == 0));
	}
	CU_ASSERT(cache_count(c) <= 100);
	cache_free(c);
}

int main(void)
{
	static const struct unit_test tests[] = {
	    UNIT(options_are_checked),
	    UNIT(whose_it_is),
	    UNIT(the_identity),
	    UNIT(claims_of_wrong_types),
	    UNIT(an_identity_that_does_not_fit),
	    UNIT(expired_is_told),
	    UNIT(age_counts_for_remembered_tokens_too),
	    UNIT(refused_tokens),
	    UNIT(shared_secrets),
	    UNIT(the_cache_is_bounded),
	};

	return run("auth_oidc", tests, sizeof(tests) / sizeof(tests[0]));
}
