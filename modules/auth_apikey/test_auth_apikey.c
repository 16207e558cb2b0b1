/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * auth_apikey against the fake host: which answer for which key in which header, and what a key
 * file may hold.
 */
#include "common/fakehost.h"
#include "keyfile.h"

#include "unit/unit.h"

#define CHALLENGE "Bearer realm=\"merlon\""
#define INVALID "Bearer realm=\"merlon\", error=\"invalid_token\""
#define FOREIGN "sk-0123456789abcdef0123456789abcdef"

static const struct merlon_module *m;
static merlon_ctx ctx = {
    .stack = "default", .group = "auth", .line = "key", .module = "auth_apikey"};
static void *inst, *w;
static merlon_tx *tx;
static char key[APIKEY_LEN + 1]; /* of the record that open_with() writes */

static void hash_text(const char *value, char out[7 + SHA_HEX + 1])
{
	uint8_t sum[SHA_LEN];
	struct sha *s;

	sha_setup();
	s = sha_new();
	sha_sum(s, txt_of(value), sum);
	sha_free(s);
	memcpy(out, "sha256:", 7);
	txt_hex(sum, SHA_LEN, out + 7);
	out[7 + SHA_HEX] = '\0';
}

static int32_t open_file(const char *text)
{
	merlon_cfg *cfg;
	int32_t r;

	m = merlon_module_v1(&fake_host);
	fake_file("keys.jsonl", text);
	cfg = fake_cfg(m, "keys_file = \"keys.jsonl\";");
	r = m->create(&ctx, cfg, &inst);
	fake_cfg_free(cfg);
	if (r == 0)
		CU_ASSERT_EQUAL(m->worker_start(inst, NULL, &w), 0);
	return r;
}

/* One record with a new key and these further members. */
static void open_with(const char *members)
{
	char text[4096], hash[80];

	fake_reset();
	apikey_new(NULL, key);
	key[APIKEY_LEN] = '\0';
	hash_text(key, hash);
	snprintf(text, sizeof(text),
	         "{\"id\":\"%.8s\",\"hashes\":[\"%s\"],\"sub\":\"alice\"%s%s}\n", key + 4, hash,
	         *members ? "," : "", members);
	CU_ASSERT_EQUAL_FATAL(open_file(text), 0);
	tx = fake_tx_new();
}

static void close_all(void)
{
	m->worker_stop(inst, NULL, w);
	m->destroy(inst);
	fake_tx_free(tx);
}

static int32_t ask(const char *name, const char *fmt, const char *value)
{
	char field[8192];

	fake_tx_free(tx);
	tx = fake_tx_new();
	fake_attr(tx, "net.source", "192.0.2.7");
	snprintf(field, sizeof(field), "%s%s", fmt, value);
	fake_header(tx, MERLON_REQUEST, name, field);
	return m->check(inst, w, tx, MERLON_AUTH);
}

static void a_key_is_known_in_each_header(void)
{
	open_with("\"org\":\"acme\",\"team\":\"ds\",\"tier\":\"gold\",\"roles\":[\"a\",\"b\"],"
	          "\"scopes\":[\"s\"],\"models\":[\"churn-*\"],\"actions\":[\"predict\"],"
	          "\"expires\":\"2099-01-01T00:00:00Z\",\"created\":\"2020-01-01T00:00:00Z\"");
	CU_ASSERT_EQUAL(ask("authorization", "Bearer ", key), MERLON_OK);
	CU_ASSERT_EQUAL(ask("Authorization", "bearer   ", key), MERLON_OK);
	CU_ASSERT_EQUAL(ask("x-api-key", "", key), MERLON_OK);
	CU_ASSERT_EQUAL(ask("api-key", "", key), MERLON_OK);
	CU_ASSERT_TRUE(fake_is(fake_attr_get(tx, "id.sub"), "alice"));
	CU_ASSERT_TRUE(fake_is(fake_attr_get(tx, "id.org"), "acme"));
	CU_ASSERT_TRUE(fake_is(fake_attr_get(tx, "id.team"), "ds"));
	CU_ASSERT_TRUE(fake_is(fake_attr_get(tx, "id.tier"), "gold"));
	CU_ASSERT_TRUE(fake_is(fake_attr_get(tx, "id.method"), "apikey"));
	CU_ASSERT_EQUAL(memcmp(fake_attr_get(tx, "id.credential").ptr, key + 4, 8), 0);
	struct merlon_val v;
	CU_ASSERT_EQUAL(fake_host.attr_get(tx, TXT("id.roles"), &v), 0);
	CU_ASSERT_TRUE(v.type == MERLON_VAL_STRLIST && v.count == 2 && fake_is(v.u.list[1], "b"));
	CU_ASSERT_EQUAL(fake_host.attr_get(tx, TXT("id.allow_models"), &v), 0);
	CU_ASSERT_TRUE(v.count == 1 && fake_is(v.u.list[0], "churn-*"));
	CU_ASSERT_EQUAL(fake_host.attr_get(tx, TXT("id.allow_actions"), &v), 0);
	CU_ASSERT_TRUE(v.count == 1 && fake_is(v.u.list[0], "predict"));
	CU_ASSERT_EQUAL(fake_host.attr_get(tx, TXT("id.expires"), &v), 0);
	CU_ASSERT_EQUAL(v.u.i64, INT64_C(4070908800));
	CU_ASSERT_EQUAL(tx->allocs, 0);
	close_all();
}

static void what_is_not_given_is_not_set(void)
{
	struct merlon_val v;

	open_with("");
	CU_ASSERT_EQUAL(ask("x-api-key", "", key), MERLON_OK);
	CU_ASSERT_EQUAL(fake_host.attr_get(tx, TXT("id.allow_models"), &v), MERLON_E_NOENT);
	CU_ASSERT_EQUAL(fake_host.attr_get(tx, TXT("id.org"), &v), MERLON_E_NOENT);
	CU_ASSERT_EQUAL(fake_host.attr_get(tx, TXT("id.expires"), &v), MERLON_E_NOENT);
	close_all();
}

/* No member at all is no limit, an empty list is the tightest one. */
static void an_empty_list_of_models_allows_none(void)
{
	struct merlon_val v;

	open_with("\"models\":[]");
	CU_ASSERT_EQUAL(ask("x-api-key", "", key), MERLON_OK);
	CU_ASSERT_EQUAL(fake_host.attr_get(tx, TXT("id.allow_models"), &v), 0);
	CU_ASSERT_EQUAL(v.count, 0);
	close_all();
}

static void others_credentials_are_not_ours(void)
{
	open_with("");
	CU_ASSERT_EQUAL(ask("accept", "", "*/*"), MERLON_NOCRED);
	CU_ASSERT_TRUE(fake_is(tx->fail.challenge, CHALLENGE));
	CU_ASSERT_TRUE(fake_is(tx->fail.text, "no API key was given"));
	CU_ASSERT_EQUAL(ask("authorization", "Basic ", key), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask("authorization", "Bearer", ""), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask("authorization", "Bearer ", ""), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask("authorization", "BearerX", key), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask("authorization", "Bearer ", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"),
	                MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask("authorization", "Bearer ", FOREIGN), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask("x-api-key", "", ""), MERLON_NOCRED);
	close_all();
}

static void a_key_that_does_not_hold_is_refused(void)
{
	char other[APIKEY_LEN + 1] = {0}, hash[80];

	open_with("");
	apikey_new(NULL, other);
	CU_ASSERT_EQUAL(ask("authorization", "Bearer ", other), MERLON_BADCRED);
	CU_ASSERT_TRUE(fake_is(tx->fail.challenge, INVALID));
	CU_ASSERT_TRUE(fake_is(tx->fail.text, "the API key is not valid"));
	apikey_new(key + 4, other); /* the id is known, the secret is not */
	CU_ASSERT_EQUAL(ask("authorization", "Bearer ", other), MERLON_BADCRED);
	CU_ASSERT_TRUE(fake_is(tx->fail.text, "the API key is not valid"));
	key[20] ^= 1;
	CU_ASSERT_EQUAL(ask("authorization", "Bearer ", key), MERLON_BADCRED);
	CU_ASSERT_EQUAL(ask("authorization", "Bearer ", "mrl_"), MERLON_BADCRED);
	CU_ASSERT_EQUAL(ask("x-api-key", "", FOREIGN), MERLON_BADCRED);
	CU_ASSERT_EQUAL(ask("x-api-key", "", "short"), MERLON_BADCRED);
	key[20] ^= 1;
	hash_text(key, hash); /* what the file holds opens nothing */
	CU_ASSERT_EQUAL(ask("x-api-key", "", hash), MERLON_BADCRED);
	CU_ASSERT_EQUAL(ask("x-api-key", "", hash + 7), MERLON_BADCRED);
	CU_ASSERT_EQUAL(tx->nattrs, 1); /* net.source alone */
	close_all();
}

static void overlong_values_are_refused(void)
{
	char value[APIKEY_FOREIGN_MAX + 2];

	open_with("");
	memset(value, 'a', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	CU_ASSERT_EQUAL(ask("x-api-key", "", value), MERLON_BADCRED);
	CU_ASSERT_EQUAL(ask("authorization", "Bearer ", value), MERLON_NOCRED);
	close_all();
}

static void no_answer_repeats_the_key(void)
{
	char other[APIKEY_LEN + 1] = {0};

	open_with("");
	apikey_new(NULL, other);
	CU_ASSERT_EQUAL(ask("x-api-key", "", other), MERLON_BADCRED);
	char all[512];
	snprintf(all, sizeof(all), "%.*s|%.*s|%.*s", TXT_FMT(tx->fail.text),
	         TXT_FMT(tx->fail.detail), TXT_FMT(tx->fail.challenge));
	CU_ASSERT_PTR_NULL(strstr(all, other + 13));
	CU_ASSERT_PTR_NULL(strstr(all, "mrl_"));
	close_all();
}

static void state_and_time_decide(void)
{
	open_with("\"disabled\":true");
	CU_ASSERT_EQUAL(ask("x-api-key", "", key), MERLON_BADCRED);
	CU_ASSERT_TRUE(fake_is(tx->fail.text, "the API key is not valid"));
	close_all();
	/* The fake clock begins at 2023-11-14T22:13:20Z. */
	open_with("\"not_before\":\"2023-11-14T22:13:21Z\"");
	CU_ASSERT_EQUAL(ask("x-api-key", "", key), MERLON_BADCRED);
	fake_now[1] += UINT64_C(1000000000);
	CU_ASSERT_EQUAL(ask("x-api-key", "", key), MERLON_OK);
	close_all();
	open_with("\"expires\":\"2023-11-14T22:13:21Z\"");
	CU_ASSERT_EQUAL(ask("x-api-key", "", key), MERLON_OK);
	fake_now[1] += UINT64_C(1000000000);
	CU_ASSERT_EQUAL(ask("x-api-key", "", key), MERLON_EXPIRED);
	CU_ASSERT_TRUE(fake_is(tx->fail.text, "the API key has expired"));
	CU_ASSERT_TRUE(fake_is(tx->fail.challenge, INVALID));
	close_all();
}

static void sources_decide(void)
{
	open_with("\"sources\":[\"10.0.0.0/8\",\"192.0.2.0/24\"]");
	CU_ASSERT_EQUAL(ask("x-api-key", "", key), MERLON_OK);
	close_all();
	open_with("\"sources\":[\"10.0.0.0/8\",\"2001:db8::/32\"]");
	CU_ASSERT_EQUAL(ask("x-api-key", "", key), MERLON_DENIED);
	CU_ASSERT_TRUE(fake_is(tx->fail.text, "the API key may not be used from this address"));
	fake_attr(tx, "net.source", "2001:db8::9");
	CU_ASSERT_EQUAL(m->check(inst, w, tx, MERLON_AUTH), MERLON_OK);
	fake_attr(tx, "net.source", "/run/x.sock");
	CU_ASSERT_EQUAL(m->check(inst, w, tx, MERLON_AUTH), MERLON_DENIED);
	close_all();
	open_with("\"sources\":[]"); /* from nowhere */
	CU_ASSERT_EQUAL(ask("x-api-key", "", key), MERLON_DENIED);
	close_all();
}

static void a_rotated_key_has_two_secrets_for_a_while(void)
{
	char old[APIKEY_LEN + 1] = {0}, new[APIKEY_LEN + 1] = {0}, h[2][80], text[1024];

	fake_reset();
	apikey_new(NULL, old);
	apikey_new(old + 4, new);
	hash_text(new, h[0]);
	hash_text(old, h[1]);
	snprintf(text, sizeof(text),
	         "{\"id\":\"%.8s\",\"hashes\":[\"%s\",\"%s\"],\"sub\":\"a\","
	         "\"overlap_until\":\"2023-11-14T22:13:21Z\"}",
	         old + 4, h[0], h[1]);
	CU_ASSERT_EQUAL_FATAL(open_file(text), 0);
	tx = fake_tx_new();
	CU_ASSERT_EQUAL(ask("x-api-key", "", old), MERLON_OK);
	CU_ASSERT_EQUAL(ask("x-api-key", "", new), MERLON_OK);
	fake_now[1] += UINT64_C(1000000000);
	CU_ASSERT_EQUAL(ask("x-api-key", "", old), MERLON_BADCRED);
	CU_ASSERT_EQUAL(ask("x-api-key", "", new), MERLON_OK);
	close_all();
}

static void imported_keys_are_found_by_their_hash(void)
{
	char text[1024], hash[80];

	fake_reset();
	hash_text(FOREIGN, hash);
	snprintf(text, sizeof(text),
	         "\n{\"id\":\"AAAAAAAA\",\"hashes\":[\"%s\"],\"sub\":\"bob\"}\r\n\n", hash);
	CU_ASSERT_EQUAL_FATAL(open_file(text), 0);
	tx = fake_tx_new();
	CU_ASSERT_EQUAL(ask("authorization", "Bearer ", FOREIGN), MERLON_OK);
	CU_ASSERT_TRUE(fake_is(fake_attr_get(tx, "id.credential"), "AAAAAAAA"));
	CU_ASSERT_EQUAL(ask("x-api-key", "", FOREIGN), MERLON_OK);
	CU_ASSERT_EQUAL(ask("x-api-key", "", FOREIGN "x"), MERLON_BADCRED);
	close_all();
}

static void an_empty_file_is_valid(void)
{
	fake_reset();
	CU_ASSERT_EQUAL_FATAL(open_file(""), 0);
	tx = fake_tx_new();
	CU_ASSERT_EQUAL(ask("authorization", "Bearer ", FOREIGN), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask("x-api-key", "", FOREIGN), MERLON_BADCRED);
	close_all();
}

#define Z64 "0000000000000000000000000000000000000000000000000000000000000000"
#define ONE "\"hashes\":[\"sha256:" Z64 "\"],\"sub\":\"a\""

static void bad_files_are_refused_with_their_line(void)
{
	static const struct {
		const char *text, *says;
	} table[] = {
	    {"x", "keys.jsonl:1: not a JSON object"},
	    {"\n[]\n", "keys.jsonl:2: not a JSON object"},
	    {"{\"id\":\"AAAAAAAA\"," ONE "} x", "keys.jsonl:1: not a JSON object"},
	    {"{\"id\":\"AAAAAAAA\",\"id\":\"AAAAAAAB\"," ONE "}", "1: a member stands twice"},
	    {"{" ONE "}", "1: id is missing"},
	    {"{\"id\":\"AAAAAAA\"," ONE "}", "1: id must be 8 characters"},
	    {"{\"id\":\"AAAAAA-A\"," ONE "}", "1: id must be 8 characters"},
	    {"{\"id\":7," ONE "}", "1: id must be 8 characters"},
	    {"{\"id\":\"AAAAAAAA\",\"sub\":\"a\"}", "1: hashes is missing"},
	    {"{\"id\":\"AAAAAAAA\",\"hashes\":[\"sha256:" Z64 "\"]}", "1: sub is missing"},
	    {"{\"id\":\"AAAAAAAA\",\"hashes\":[],\"sub\":\"a\"}", "1: hashes must be a list"},
	    {"{\"id\":\"AAAAAAAA\",\"hashes\":[\"sha256:0\"],\"sub\":\"a\"}", "1: hashes must be"},
	    {"{\"id\":\"AAAAAAAA\",\"hashes\":[\"md5:00\"],\"sub\":\"a\"}", "1: hashes must be"},
	    {"{\"id\":\"AAAAAAAA\",\"hashes\":[\"sha256:" Z64 "\",\"sha256:" Z64
	     "\"],\"sub\":\"a\"}",
	     "1: this hash stands in line 1 too"},
	    {"{\"id\":\"AAAAAAAA\"," ONE ",\"rolse\":[]}", "did you mean \"roles\"?"},
	    {"{\"id\":\"AAAAAAAA\"," ONE ",\"frobnicate\":1}", "1: unknown member"},
	    {"{\"id\":\"AAAAAAAA\"," ONE ",\"org\":1}", "1: org must be text"},
	    {"{\"id\":\"AAAAAAAA\"," ONE ",\"org\":null}", "1: org must be text"},
	    {"{\"id\":\"AAAAAAAA\"," ONE ",\"org\":\"\"}", "1: org must have 1 to"},
	    {"{\"id\":\"AAAAAAAA\"," ONE ",\"org\":\"a\\nb\"}", "1: org holds control"},
	    {"{\"id\":\"AAAAAAAA\"," ONE ",\"org\":\"a\\u0000b\"}", "1: not a JSON object"},
	    {"{\"id\":\"AAAAAAAA\"," ONE ",\"roles\":\"x\"}", "1: roles must be a list"},
	    {"{\"id\":\"AAAAAAAA\"," ONE ",\"roles\":[1]}", "1: roles must be text"},
	    {"{\"id\":\"AAAAAAAA\"," ONE ",\"actions\":[\"predcit\"]}",
	     "did you mean \"predict\"?"},
	    {"{\"id\":\"AAAAAAAA\"," ONE ",\"disabled\":\"yes\"}", "1: disabled must be true"},
	    {"{\"id\":\"AAAAAAAA\"," ONE ",\"expires\":\"soon\"}", "1: expires must be a time"},
	    {"{\"id\":\"AAAAAAAA\"," ONE ",\"expires\":4070908800}", "1: expires must be a time"},
	    {"{\"id\":\"AAAAAAAA\"," ONE ",\"sources\":[\"10.0.0.1/8\"]}", "1: sources must be"},
	    {"{\"id\":\"AAAAAAAA\"," ONE "}\n{\"id\":\"AAAAAAAA\",\"hashes\":[\"sha256:1" /* */
	     "000000000000000000000000000000000000000000000000000000000000000\"],\"sub\":\"b\"}",
	     "2: this id stands in line 1 too"},
	    {"{\"id\":\"AAAAAAAA\"," ONE "}\n\n{\"id\":\"AAAAAAAB\"," ONE "}",
	     "3: this hash stands in line 1 too"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		fake_reset();
		CU_ASSERT_EQUAL(open_file(table[i].text), -1);
		if (!strstr(fake_errors, table[i].says))
			fprintf(stderr, "%zu: wanted %s, got %s", i, table[i].says, fake_errors);
		CU_ASSERT_PTR_NOT_NULL(strstr(fake_errors, table[i].says));
	}
}

static void errors_do_not_repeat_a_key(void)
{
	static const char *const texts[] = {
	    "{\"id\":\"mrl_AAAAAAAA_sekret\"}",
	    "mrl_AAAAAAAA_sekret",
	    "{\"mrl_sekret\":1}",
	    "{\"id\":\"AAAAAAAA\", \"mrl_sekret\" }",
	    "{\"id\":\"mrl_sekret\xff\"}",
	    "{\"id\":\"AAAAAAAA\",\"mrl_sekret\":1,\"mrl_sekret\":2}"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		fake_reset();
		CU_ASSERT_EQUAL(open_file(texts[i]), -1);
		CU_ASSERT_PTR_NULL(strstr(fake_errors, "sekret"));
	}
}

static void all_errors_are_said_up_to_a_bound(void)
{
	char text[200] = "";

	fake_reset();
	CU_ASSERT_EQUAL(open_file("{}\n{}\nx\n"), -1);
	CU_ASSERT_EQUAL(fake_nerrors, 3);
	for (int i = 0; i < 40; i++)
		strcat(text, "{}\n");
	CU_ASSERT_EQUAL(open_file(text), -1);
	CU_ASSERT_EQUAL(fake_nerrors, KEYFILE_ERRORS_MAX);
	fake_reset();
}

UNIT_MAIN("auth_apikey", UNIT(a_key_is_known_in_each_header), UNIT(what_is_not_given_is_not_set),
          UNIT(an_empty_list_of_models_allows_none), UNIT(others_credentials_are_not_ours),
          UNIT(a_key_that_does_not_hold_is_refused), UNIT(overlong_values_are_refused),
          UNIT(no_answer_repeats_the_key), UNIT(state_and_time_decide), UNIT(sources_decide),
          UNIT(a_rotated_key_has_two_secrets_for_a_while),
          UNIT(imported_keys_are_found_by_their_hash), UNIT(an_empty_file_is_valid),
          UNIT(bad_files_are_refused_with_their_line), UNIT(errors_do_not_repeat_a_key),
          UNIT(all_errors_are_said_up_to_a_bound))
