/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * auth_mtls against the fake host: which names hold, what they map to, and that none of them is
 * ever cut at a NUL.
 */
#include "common/fakehost.h"
#include "mapping.h"
#include "names.h"

#include "unit/unit.h"

#define PRINT "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct merlon_module *m;
static merlon_ctx ctx = {
    .stack = "default", .group = "auth", .line = "cert", .module = "auth_mtls"};
static void *inst, *w;
static merlon_tx *tx;

static int32_t open_with(const char *options)
{
	merlon_cfg *cfg;
	int32_t r;

	fake_reset();
	m = merlon_module_v1(&fake_host);
	cfg = fake_cfg(m, options);
	r = m->create(&ctx, cfg, &inst);
	fake_cfg_free(cfg);
	tx = NULL;
	if (r == 0) {
		CU_ASSERT_EQUAL(m->worker_start(inst, NULL, &w), 0);
		tx = fake_tx_new();
	}
	return r;
}

static void close_all(void)
{
	m->worker_stop(inst, NULL, w);
	m->destroy(inst);
	fake_tx_free(tx);
}

/* A request over a connection whose certificate has these names; NULL: none of that kind. */
static void certificate(const char *verify, const char *uris, const char *dns, const char *cn)
{
	const struct merlon_val until = {.type = MERLON_VAL_I64, .u.i64 = 1800000000};

	fake_tx_free(tx);
	tx = fake_tx_new();
	if (!verify)
		return;
	fake_attr(tx, "tls.client.verify", verify);
	fake_attr(tx, "tls.client.subject", "CN=whoever");
	fake_attr(tx, "tls.client.fingerprint", PRINT);
	fake_host.attr_set(&ctx, tx, TXT("tls.client.not_after"), &until);
	if (uris)
		fake_attr_list(tx, "tls.client.uris", uris);
	if (dns)
		fake_attr_list(tx, "tls.client.dns", dns);
	if (cn)
		fake_attr(tx, "tls.client.cn", cn);
}

static int32_t ask(const char *uris, const char *dns, const char *cn)
{
	certificate("ok", uris, dns, cn);
	return m->check(inst, w, tx, MERLON_AUTH);
}

static bool is(const char *key, const char *want)
{
	return fake_is(fake_attr_get(tx, key), want);
}

static bool list_is(const char *key, const char *commas)
{
	struct merlon_val v;
	char text[512] = "";

	if (fake_host.attr_get(tx, txt_of(key), &v) != 0 || v.type != MERLON_VAL_STRLIST)
		return false;
	for (uint32_t i = 0; i < v.count; i++)
		sprintf(text + strlen(text), "%s%.*s", i ? "," : "", TXT_FMT(v.u.list[i]));
	return strcmp(text, commas) == 0;
}

static void without_a_certificate_it_is_nobody(void)
{
	CU_ASSERT_EQUAL_FATAL(open_with(""), 0);
	certificate(NULL, NULL, NULL, NULL);
	CU_ASSERT_EQUAL(m->check(inst, w, tx, MERLON_AUTH), MERLON_NOCRED);
	CU_ASSERT_TRUE(fake_is(tx->fail.text, "no client certificate was given"));
	CU_ASSERT_EQUAL(tx->nattrs, 0);
	close_all();
}

static void what_the_host_verified_decides(void)
{
	static const struct {
		const char *verify;
		int32_t code;
	} table[] = {
	    {"ok", MERLON_OK},           {"expired", MERLON_EXPIRED},
	    {"revoked", MERLON_BADCRED}, {"untrusted", MERLON_BADCRED},
	    {"", MERLON_BADCRED},        {"OK", MERLON_BADCRED},
	    {"okay", MERLON_BADCRED},    {"none", MERLON_BADCRED},
	};
	const struct merlon_val odd = {.type = MERLON_VAL_BOOL, .u.i64 = 1};
	const struct merlon_val nul = {.type = MERLON_VAL_STR, .u.str = {"ok\0", 3}};

	CU_ASSERT_EQUAL_FATAL(open_with(""), 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		certificate(table[i].verify, "spiffe://acme.example/a", NULL, NULL);
		CU_ASSERT_EQUAL(m->check(inst, w, tx, MERLON_AUTH), table[i].code);
		CU_ASSERT_EQUAL(fake_attr_get(tx, "id.sub").ptr != NULL,
		                table[i].code == MERLON_OK);
	}
	certificate("ok", "spiffe://acme.example/a", NULL, NULL);
	fake_host.attr_set(&ctx, tx, TXT("tls.client.verify"), &odd);
	CU_ASSERT_EQUAL(m->check(inst, w, tx, MERLON_AUTH), MERLON_BADCRED);
	fake_host.attr_set(&ctx, tx, TXT("tls.client.verify"), &nul);
	CU_ASSERT_EQUAL(m->check(inst, w, tx, MERLON_AUTH), MERLON_BADCRED);
	close_all();
}

static void without_mappings_a_name_is_its_own_identity(void)
{
	struct merlon_val v;

	CU_ASSERT_EQUAL_FATAL(open_with(""), 0);
	CU_ASSERT_EQUAL(ask("spiffe://acme.example/team/ml/svc/scorer", "a.example", "cn"),
	                MERLON_OK);
	CU_ASSERT_TRUE(is("id.sub", "spiffe://acme.example/team/ml/svc/scorer"));
	CU_ASSERT_TRUE(is("id.method", "mtls"));
	CU_ASSERT_TRUE(is("id.credential", "x509:0123456789abcdef"));
	CU_ASSERT_EQUAL(fake_host.attr_get(tx, TXT("id.expires"), &v), 0);
	CU_ASSERT_EQUAL(v.u.i64, 1800000000);
	CU_ASSERT_EQUAL(fake_host.attr_get(tx, TXT("id.roles"), &v), MERLON_E_NOENT);
	CU_ASSERT_EQUAL(ask("https://acme.example/x", "API.Acme.Example", "cn"), MERLON_OK);
	CU_ASSERT_TRUE(is("id.sub", "api.acme.example"));
	/* A common name is no name unless somebody asked for it. */
	CU_ASSERT_EQUAL(ask(NULL, NULL, "alice"), MERLON_NOCRED);
	CU_ASSERT_EQUAL(tx->allocs, 0);
	close_all();
	CU_ASSERT_EQUAL_FATAL(open_with("identity = [ \"cn\" ];"), 0);
	CU_ASSERT_EQUAL(ask("spiffe://acme.example/a", "a.example", "Alice B. \xc3\x96"),
	                MERLON_OK);
	CU_ASSERT_TRUE(is("id.sub", "Alice B. \xc3\x96"));
	CU_ASSERT_EQUAL(ask("spiffe://acme.example/a", "a.example", NULL), MERLON_NOCRED);
	close_all();
}

static void an_empty_map_covers_nobody(void)
{
	CU_ASSERT_EQUAL_FATAL(open_with("map = ( );"), 0);
	CU_ASSERT_EQUAL(ask("spiffe://acme.example/a", NULL, NULL), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask(NULL, "a.example", NULL), MERLON_NOCRED);
	CU_ASSERT_TRUE(fake_is(tx->fail.detail, "no mapping covers the certificate's names"));
	close_all();
}

static void a_mapping_gives_the_whole_identity(void)
{
	CU_ASSERT_EQUAL_FATAL(
	    open_with("map = ( { match = \"spiffe://acme.example/team/*/svc/*\"; sub = \"svc-$2\"; "
	              "org = \"acme\"; team = \"$1\"; tier = \"gold\"; "
	              "roles = [ \"service\", \"of-$1\" ]; scopes = [ \"s\" ]; "
	              "models = [ \"$1-*\" ]; actions = [ \"predict\", \"read\" ]; },"
	              "{ match = \"spiffe://acme.example/**\"; team = \"$$1\"; },"
	              "{ match = \"*.acme.example\"; sub = \"$0!\"; org = \"$1\"; } );"),
	    0);
	CU_ASSERT_EQUAL(ask("spiffe://acme.example/team/ml/svc/scorer", NULL, NULL), MERLON_OK);
	CU_ASSERT_TRUE(is("id.sub", "svc-scorer"));
	CU_ASSERT_TRUE(is("id.org", "acme"));
	CU_ASSERT_TRUE(is("id.team", "ml"));
	CU_ASSERT_TRUE(is("id.tier", "gold"));
	CU_ASSERT_TRUE(list_is("id.roles", "service,of-ml"));
	CU_ASSERT_TRUE(list_is("id.scopes", "s"));
	CU_ASSERT_TRUE(list_is("id.allow_models", "ml-*"));
	CU_ASSERT_TRUE(list_is("id.allow_actions", "predict,read"));
	CU_ASSERT_TRUE(fake_is(tx->policy, "spiffe://acme.example/team/*/svc/*"));
	CU_ASSERT_EQUAL(ask("spiffe://acme.example/team/ml/svc/a/b", NULL, NULL), MERLON_OK);
	CU_ASSERT_TRUE(is("id.sub", "spiffe://acme.example/team/ml/svc/a/b"));
	CU_ASSERT_TRUE(is("id.team", "$1"));
	CU_ASSERT_PTR_NULL(fake_attr_get(tx, "id.org").ptr);
	CU_ASSERT_EQUAL(ask("spiffe://evil.example/team/ml/svc/a", NULL, NULL), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask(NULL, "WWW.Acme.Example", NULL), MERLON_OK);
	CU_ASSERT_TRUE(is("id.sub", "www.acme.example!"));
	CU_ASSERT_TRUE(is("id.org", "www"));
	CU_ASSERT_EQUAL(ask(NULL, "a.b.acme.example", NULL), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask(NULL, "acme.example", NULL), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask(NULL, "xacme.example", NULL), MERLON_NOCRED);
	/* Covered by its second name; and by the first kind that is covered at all. */
	CU_ASSERT_EQUAL(ask(NULL, "other.example,x.acme.example", NULL), MERLON_OK);
	CU_ASSERT_TRUE(is("id.org", "x"));
	CU_ASSERT_EQUAL(ask("spiffe://evil.example/a", "x.acme.example", NULL), MERLON_OK);
	CU_ASSERT_EQUAL(tx->allocs, 0);
	close_all();
}

static void an_empty_list_of_models_allows_none(void)
{
	CU_ASSERT_EQUAL_FATAL(open_with("map = ( { match = \"a.example\"; models = [ ]; } );"), 0);
	CU_ASSERT_EQUAL(ask(NULL, "a.example", NULL), MERLON_OK);
	CU_ASSERT_TRUE(list_is("id.allow_models", ""));
	CU_ASSERT_FALSE(list_is("id.allow_actions", ""));
	close_all();
}

static void the_operators_order_counts(void)
{
	CU_ASSERT_EQUAL_FATAL(
	    open_with("identity = [ \"dns\", \"spiffe\" ];"
	              "map = ( { match = \"b.example\"; sub = \"b\"; },"
	              "{ match = \"a.example\"; sub = \"a\"; }, { match = \"**\"; sub = \"any\"; },"
	              "{ match = \"spiffe://**\"; sub = \"s\"; } );"),
	    0);
	CU_ASSERT_EQUAL(ask("spiffe://x/a", "a.example,b.example", NULL), MERLON_OK);
	CU_ASSERT_TRUE(is("id.sub", "b"));
	CU_ASSERT_EQUAL(ask("spiffe://x/a", "c.example", NULL), MERLON_OK);
	CU_ASSERT_TRUE(is("id.sub", "any"));
	CU_ASSERT_EQUAL(ask("spiffe://x/a", NULL, NULL), MERLON_OK);
	CU_ASSERT_TRUE(is("id.sub", "s"));
	close_all();
}

/* A name of one kind must not be taken for a name of another by its letters. */
static void kinds_of_names_do_not_mix(void)
{
	CU_ASSERT_EQUAL_FATAL(
	    open_with("identity = [ \"spiffe\", \"dns\", \"cn\" ];"
	              "map = ( { match = \"spiffe://acme.example/**\"; sub = \"workload\"; },"
	              "{ match = \"*.acme.example\"; source = \"dns\"; sub = \"host\"; },"
	              "{ match = \"Alice *\"; source = \"cn\"; sub = \"$1\"; } );"),
	    0);
	CU_ASSERT_EQUAL(ask(NULL, NULL, "x.acme.example"), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask(NULL, NULL, "spiffe://acme.example/admin"), MERLON_BADCRED);
	CU_ASSERT_EQUAL(ask(NULL, "spiffe://acme.example/admin", NULL), MERLON_BADCRED);
	CU_ASSERT_EQUAL(ask("x.acme.example", NULL, NULL), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask(NULL, NULL, "Alice Adams"), MERLON_OK);
	CU_ASSERT_TRUE(is("id.sub", "Adams"));
	CU_ASSERT_EQUAL(ask(NULL, NULL, "alice Adams"), MERLON_NOCRED);
	close_all();
	CU_ASSERT_EQUAL_FATAL(open_with("identity = \"cn\";"), 0);
	CU_ASSERT_EQUAL(ask(NULL, NULL, "SPIFFE://acme.example/admin"), MERLON_BADCRED);
	close_all();
	CU_ASSERT_EQUAL_FATAL(
	    open_with("identity = \"cn\"; map = ( { match = \"**\"; source = \"cn\";"
	              "models = [ \"$0-*\" ]; } );"),
	    0);
	CU_ASSERT_EQUAL(ask(NULL, NULL, "acme"), MERLON_OK);
	CU_ASSERT_EQUAL(ask(NULL, NULL, "*"), MERLON_BADCRED);
	CU_ASSERT_EQUAL(ask(NULL, NULL, "acm?"), MERLON_BADCRED);
	close_all();
}

static void trust_domains_bind(void)
{
	CU_ASSERT_EQUAL_FATAL(open_with("trust_domain = [ \"acme.example\", \"b\" ];"), 0);
	CU_ASSERT_EQUAL(ask("spiffe://acme.example/a", NULL, NULL), MERLON_OK);
	CU_ASSERT_EQUAL(ask("spiffe://b/a", NULL, NULL), MERLON_OK);
	CU_ASSERT_EQUAL(ask("spiffe://acme.example.evil/a", NULL, NULL), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask("spiffe://acme.exampl/a", NULL, NULL), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask("spiffe://x.acme.example/a", NULL, NULL), MERLON_NOCRED);
	/* Nor does such a certificate get in by its other names. */
	CU_ASSERT_EQUAL(ask("spiffe://evil/a", "a.example", NULL), MERLON_NOCRED);
	CU_ASSERT_TRUE(
	    fake_is(tx->fail.detail, "the certificate's SPIFFE ID is of another trust domain"));
	CU_ASSERT_EQUAL(ask(NULL, "a.example", NULL), MERLON_OK);
	close_all();
	/* In whatever order kinds are asked, and be the SPIFFE ID no identity at all. */
	CU_ASSERT_EQUAL_FATAL(
	    open_with("identity = [ \"dns\", \"spiffe\" ]; trust_domain = \"acme.example\";"), 0);
	CU_ASSERT_EQUAL(ask("spiffe://evil/a", "a.example", NULL), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask("spiffe://acme.example/a", "a.example", NULL), MERLON_OK);
	CU_ASSERT_TRUE(is("id.sub", "a.example"));
	CU_ASSERT_EQUAL(ask("spiffe://acme.example/../a", "a.example", NULL), MERLON_BADCRED);
	close_all();
	CU_ASSERT_EQUAL_FATAL(open_with("identity = \"dns\"; trust_domain = \"acme.example\";"), 0);
	CU_ASSERT_EQUAL(ask("spiffe://evil/a", "a.example", NULL), MERLON_NOCRED);
	CU_ASSERT_EQUAL(ask("spiffe://acme.example/a", "a.example", NULL), MERLON_OK);
	close_all();
	CU_ASSERT_EQUAL_FATAL(open_with("identity = \"dns\";"), 0);
	CU_ASSERT_EQUAL(ask("spiffe://evil/../a", "a.example", NULL), MERLON_OK);
	close_all();
}

static void spiffe_ids_are_read_to_the_letter(void)
{
	static const char *const bad[] = {
	    "spiffe:",
	    "spiffe:/",
	    "spiffe://",
	    "spiffe:///a",
	    "spiffe://acme.example",
	    "spiffe://acme.example/",
	    "spiffe://acme.example/a/",
	    "spiffe://acme.example//a",
	    "spiffe://acme.example/a//b",
	    "spiffe://acme.example/.",
	    "spiffe://acme.example/../b",
	    "spiffe://acme.example/a/..",
	    "spiffe://acme.example/a/./b",
	    "spiffe://acme.example/a?x=1",
	    "spiffe://acme.example/a#x",
	    "spiffe://acme.example/%61",
	    "spiffe://acme.example/a b",
	    "spiffe://acme.example/\xc3\xa4",
	    "spiffe://acme.example:443/a",
	    "spiffe://user@acme.example/a",
	    "spiffe://Acme.example/a",
	    "SPIFFE://acme.example/a",
	    "Spiffe://acme.example/a",
	    "spiffe:acme.example/a",
	    "spiffe://acme.example/a\nb",
	};
	static const char *const good[] = {"spiffe://a/b", "spiffe://a_b-c.d/...",
	                                   "spiffe://a/.b/..c/A-Z_0.9"};

	CU_ASSERT_EQUAL_FATAL(open_with(""), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int32_t r = ask(bad[i], "a.example", NULL);
		if (r != MERLON_BADCRED)
			fprintf(stderr, "%s: %d\n", bad[i], r);
		CU_ASSERT_EQUAL(r, MERLON_BADCRED);
		CU_ASSERT_EQUAL(fake_attr_get(tx, "id.sub").ptr, NULL);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_EQUAL(ask(good[i], NULL, NULL), MERLON_OK);
		CU_ASSERT_TRUE(is("id.sub", good[i]));
	}
	/* X.509-SVID: one URI and no other. */
	CU_ASSERT_EQUAL(ask("spiffe://a/b,spiffe://a/c", NULL, NULL), MERLON_BADCRED);
	CU_ASSERT_EQUAL(ask("spiffe://a/b,spiffe://a/b", NULL, NULL), MERLON_BADCRED);
	CU_ASSERT_EQUAL(ask("https://a/b,spiffe://a/b", NULL, NULL), MERLON_BADCRED);
	CU_ASSERT_EQUAL(ask("https://a/b,https://a/c", "a.example", NULL), MERLON_OK);
	close_all();
}

static void overlong_names_are_refused(void)
{
	char id[NAME_SPIFFE_MAX + 2], name[512] = "";

	CU_ASSERT_EQUAL_FATAL(open_with("identity = [ \"spiffe\", \"dns\", \"cn\" ];"), 0);
	memset(id, 'a', sizeof(id));
	memcpy(id, "spiffe://a/", 11);
	id[NAME_SPIFFE_MAX] = '\0';
	CU_ASSERT_EQUAL(ask(id, NULL, NULL), MERLON_OK);
	id[NAME_SPIFFE_MAX] = 'a';
	id[NAME_SPIFFE_MAX + 1] = '\0';
	CU_ASSERT_EQUAL(ask(id, NULL, NULL), MERLON_BADCRED);
	memset(name, 'a', 300);
	CU_ASSERT_EQUAL(ask(NULL, name, NULL), MERLON_BADCRED);
	CU_ASSERT_EQUAL(ask(NULL, NULL, name), MERLON_BADCRED);
	name[256] = '\0';
	CU_ASSERT_EQUAL(ask(NULL, NULL, name), MERLON_OK);
	name[64] = '\0';
	CU_ASSERT_EQUAL(ask(NULL, name, NULL), MERLON_BADCRED);
	name[63] = '\0';
	CU_ASSERT_EQUAL(ask(NULL, name, NULL), MERLON_OK);
	close_all();
}

static void dns_names_are_read_to_the_letter(void)
{
	static const char *const bad[] = {"*.example",  "a.*.example", "a..example", ".example",
	                                  "example.",   "a b",         "a/b",        "a_b:1",
	                                  "-a.b",       "a-.b",        "b.a-",       "a@b",
	                                  "\xc3\xa4.b", "a\x7f"};

	CU_ASSERT_EQUAL_FATAL(open_with(""), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int32_t r = ask(NULL, bad[i], NULL);
		if (r != MERLON_BADCRED)
			fprintf(stderr, "%s: %d\n", bad[i], r);
		CU_ASSERT_EQUAL(r, MERLON_BADCRED);
		CU_ASSERT_EQUAL(ask(NULL, "good.example", NULL), MERLON_OK);
	}
	CU_ASSERT_EQUAL(ask(NULL, "good.example,*.example", NULL), MERLON_BADCRED);
	CU_ASSERT_EQUAL(ask(NULL, "_sip.a--b.c-d.e", NULL), MERLON_OK);
	close_all();
}

/* The name that comes before the NUL is somebody else's. */
static void a_nul_never_cuts_a_name(void)
{
	static const struct merlon_str evil[] = {
	    {"spiffe://acme.example/a\0.evil", 29},
	    {"spiffe://acme.example/a\0", 24},
	    {"\0spiffe://acme.example/a", 24},
	    {"api.acme.example\0.evil.example", 30},
	    {"api.acme.example\0", 17},
	    {"a\x01", 2},
	};
	static const char *const keys[] = {"tls.client.uris", "tls.client.dns"};
	struct merlon_val v;

	CU_ASSERT_EQUAL_FATAL(
	    open_with("identity = [ \"spiffe\", \"dns\", \"cn\" ];"
	              "map = ( { match = \"spiffe://acme.example/a\"; }, { match = \"**\"; },"
	              "{ match = \"api.acme.example\"; } );"),
	    0);
	for (size_t i = 0; i < sizeof(evil) / sizeof(evil[0]); i++) {
		for (size_t k = 0; k < 2; k++) {
			certificate("ok", NULL, NULL, NULL);
			v = (struct merlon_val){
			    .type = MERLON_VAL_STRLIST, .count = 1, .u.list = &evil[i]};
			fake_host.attr_set(&ctx, tx, txt_of(keys[k]), &v);
			/* Not even beside a name that is all right. */
			if (k == 1)
				fake_attr_list(tx, keys[0], "spiffe://acme.example/a");
			CU_ASSERT_EQUAL(m->check(inst, w, tx, MERLON_AUTH), MERLON_BADCRED);
			CU_ASSERT_PTR_NULL(fake_attr_get(tx, "id.sub").ptr);
		}
		certificate("ok", NULL, NULL, NULL);
		v = (struct merlon_val){.type = MERLON_VAL_STR, .u.str = evil[i]};
		fake_host.attr_set(&ctx, tx, TXT("tls.client.cn"), &v);
		CU_ASSERT_EQUAL(m->check(inst, w, tx, MERLON_AUTH), MERLON_BADCRED);
	}
	CU_ASSERT_TRUE(
	    fake_is(tx->fail.detail, "the certificate's name holds a control character"));
	certificate("ok", NULL, NULL, NULL);
	v = (struct merlon_val){.type = MERLON_VAL_STR, .u.str = evil[3]};
	fake_host.attr_set(&ctx, tx, TXT("tls.client.cn"), &v);
	CU_ASSERT_EQUAL(m->check(inst, w, tx, MERLON_AUTH), MERLON_BADCRED);
	CU_ASSERT_TRUE(fake_is(tx->fail.detail, "the certificate's name holds a NUL"));
	close_all();
}

static void attributes_of_other_types_are_no_names(void)
{
	const struct merlon_val number = {.type = MERLON_VAL_I64, .u.i64 = 7};
	const struct merlon_val text = {.type = MERLON_VAL_STR, .u.str = TXT("a.example")};

	CU_ASSERT_EQUAL_FATAL(open_with("identity = [ \"spiffe\", \"dns\", \"cn\" ];"), 0);
	certificate("ok", NULL, NULL, NULL);
	fake_host.attr_set(&ctx, tx, TXT("tls.client.uris"), &number);
	fake_host.attr_set(&ctx, tx, TXT("tls.client.dns"), &text);
	fake_host.attr_set(&ctx, tx, TXT("tls.client.cn"), &number);
	CU_ASSERT_EQUAL(m->check(inst, w, tx, MERLON_AUTH), MERLON_NOCRED);
	/* Without a fingerprint nobody could tell later which certificate it was. */
	certificate("ok", "spiffe://a/b", NULL, NULL);
	fake_host.attr_set(&ctx, tx, TXT("tls.client.fingerprint"), &number);
	CU_ASSERT_EQUAL(m->check(inst, w, tx, MERLON_AUTH), MERLON_ERROR);
	certificate("ok", "spiffe://a/b", NULL, NULL);
	fake_attr(tx, "tls.client.fingerprint", "sha256:0123");
	CU_ASSERT_EQUAL(m->check(inst, w, tx, MERLON_AUTH), MERLON_ERROR);
	close_all();
}

static void values_that_do_not_fit_are_an_error(void)
{
	char id[NAME_SPIFFE_MAX + 1];

	CU_ASSERT_EQUAL_FATAL(open_with("map = ( { match = \"spiffe://a/*\"; "
	                                "sub = \"$0$0$0$0$0$0$0$0$0$0\"; } );"),
	                      0);
	memset(id, 'a', sizeof(id));
	memcpy(id, "spiffe://a/", 11);
	id[NAME_SPIFFE_MAX] = '\0';
	CU_ASSERT_EQUAL(ask(id, NULL, NULL), MERLON_ERROR);
	CU_ASSERT_EQUAL(ask("spiffe://a/b", NULL, NULL), MERLON_OK);
	close_all();
}

static void bad_options_are_refused(void)
{
	static const struct {
		const char *options, *says;
	} table[] = {
	    {"identity = [ \"san\" ];", "takes spiffe, dns and cn"},
	    {"identity = [ ];", "must name at least one"},
	    {"identity = [ \"dns\", \"dns\" ];", "names a kind twice"},
	    {"trust_domain = [ \"Acme\" ];", "no characters but a-z"},
	    {"trust_domain = [ \"spiffe://acme\" ];", "no characters but a-z"},
	    {"trust_domain = [ \"\" ];", "1 to 255"},
	    {"trust_domain = [ ];", "at least one trust domain"},
	    {"map = ( { sub = \"x\"; } );", "is missing"},
	    {"map = ( { match = \"\"; } );", "must have 1 to 1024"},
	    {"map = ( { match = \"***\"; } );", "more than two * in a row"},
	    {"map = ( { match = \"*.*.*.*.*.*.*.*.*.*\"; } );", "more than 9 wildcards"},
	    {"map = ( { match = \"*\"; sub = \"\"; } );", "must have 1 to 1024"},
	    {"map = ( { match = \"*\"; sub = \"$2\"; } );", "names a wildcard"},
	    {"map = ( { match = \"*\"; sub = \"a$\"; } );", "has a $"},
	    {"map = ( { match = \"*\"; org = \"$x\"; } );", "has a $"},
	    {"map = ( { match = \"*\"; roles = [ \"$2\" ]; } );", "names a wildcard"},
	    {"map = ( { match = \"*\"; roles = [ \"\" ]; } );", "must have 1 to 1024"},
	    {"map = ( { match = \"*\"; actions = [ \"predcit\" ]; } );",
	     "did you mean \"predict\"?"},
	    {"map = ( { match = \"*\"; source = \"cn\"; } );", "`identity` does not list"},
	    {"identity = [ \"dns\" ]; map = ( { match = \"spiffe://a/*\"; } );",
	     "`identity` does not list"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		CU_ASSERT_EQUAL(open_with(table[i].options), -1);
		if (!strstr(fake_errors, table[i].says))
			fprintf(stderr, "%zu: wanted %s, got %s", i, table[i].says, fake_errors);
		CU_ASSERT_PTR_NOT_NULL(strstr(fake_errors, table[i].says));
	}
	CU_ASSERT_EQUAL(open_with("identity = \"x\";\ntrust_domain = \"X\";\n"
	                          "map = ( { match = \"***\"; } );"),
	                -1);
	CU_ASSERT_EQUAL(fake_nerrors, 3);
}

static void patterns_catch_the_shortest(void)
{
	static const struct {
		const char *pattern, *name, *catches; /* NULL: no match */
	} table[] = {
	    {"a", "a", ""},
	    {"a", "ab", NULL},
	    {"a", "", NULL},
	    {"*", "", NULL},
	    {"*", "a", "a"},
	    {"*", "a/b", NULL},
	    {"**", "a/b", "a/b"},
	    {"**", "", NULL},
	    {"a*", "a", NULL},
	    {"*a", "aa", "a"},
	    {"*a*", "aaa", "a,a"},
	    {"*a*", "aa", NULL},
	    {"*-*", "a-b-c", "a,b-c"},
	    {"**/*", "a/b/c", "a/b,c"},
	    {"*/**", "a/b/c", "a,b/c"},
	    {"**/**", "a/b/c", "a,b/c"},
	    {"x/*/y/*", "x/1/y/2", "1,2"},
	    {"x/*/y/*", "x/1/2/y/3", NULL},
	    {"x/**/y", "x/1/y/2/y", "1/y/2"},
	    {"*b*c", "abbc", "a,b"},
	    {"*bb*c", "abbbc", "a,b"},
	    {"a*b", "ab", NULL},
	    {"ab*ba", "aba", NULL},
	    {"*1*2*3*4*5*6*7*8*", "a1a2a3a4a5a6a7a8a", "a,a,a,a,a,a,a,a,a"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct merlon_str catches[PATTERN_WILD + 1];
		struct pattern p;
		char text[256] = "";
		CU_ASSERT_PTR_NULL(pattern_parse(&p, txt_of(table[i].pattern)));
		bool r = pattern_match(&p, '/', txt_of(table[i].name), catches);
		CU_ASSERT_EQUAL(r, table[i].catches != NULL);
		for (unsigned k = 1; r && k <= p.n; k++)
			sprintf(text + strlen(text), "%s%.*s", k > 1 ? "," : "",
			        TXT_FMT(catches[k]));
		if (table[i].catches && strcmp(text, table[i].catches) != 0)
			fprintf(stderr, "%s on %s: %s\n", table[i].pattern, table[i].name, text);
		CU_ASSERT_TRUE(!table[i].catches || strcmp(text, table[i].catches) == 0);
	}
}

UNIT_MAIN("auth_mtls", UNIT(without_a_certificate_it_is_nobody),
          UNIT(what_the_host_verified_decides), UNIT(without_mappings_a_name_is_its_own_identity),
          UNIT(an_empty_map_covers_nobody), UNIT(a_mapping_gives_the_whole_identity),
          UNIT(an_empty_list_of_models_allows_none), UNIT(the_operators_order_counts),
          UNIT(kinds_of_names_do_not_mix), UNIT(trust_domains_bind),
          UNIT(spiffe_ids_are_read_to_the_letter), UNIT(overlong_names_are_refused),
          UNIT(dns_names_are_read_to_the_letter), UNIT(a_nul_never_cuts_a_name),
          UNIT(attributes_of_other_types_are_no_names), UNIT(values_that_do_not_fit_are_an_error),
          UNIT(bad_options_are_refused), UNIT(patterns_catch_the_shortest))
