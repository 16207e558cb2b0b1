/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * authz_abac against the fake host: what each operator says of each type of value, how policies
 * are combined, and which policy is named.
 */
#include "test_line.h"

struct row {
	const char *body; /* of one policy */
	const char *line;
	int32_t code;
};

/* Each row as a policy that allows, alone. */
static void run(const struct row *rows, size_t n)
{
	static char one[4096];

	for (size_t i = 0; i < n; i++) {
		snprintf(one, sizeof(one),
		         "policies = ( { name = \"p\"; effect = \"allow\"; %s } );", rows[i].body);
		if (open_file(one) != 0) {
			fprintf(stderr, "%zu: %s: %s", i, rows[i].body, fake_errors);
			CU_FAIL("does not load");
			continue;
		}
		int32_t code = ask(rows[i].line);
		if (code != rows[i].code)
			fprintf(stderr, "%s for %s: %d, not %d: %s\n", rows[i].body, rows[i].line,
			        code, rows[i].code, detail);
		CU_ASSERT_EQUAL(code, rows[i].code);
		m->destroy(inst);
	}
}
#define RUN(rows) run(rows, sizeof(rows) / sizeof((rows)[0]))

/* ---- operators ---- */
static void texts_and_globs(void)
{
	static const struct row rows[] = {
	    {"resource = { id = \"acme-*\"; };", "res.id=acme-team", OK},
	    {"resource = { id = \"acme-*\"; };", "res.id=acme-", OK},
	    {"resource = { id = \"acme-*\"; };", "res.id=acme", NOCRED},
	    {"resource = { id = \"acme-*\"; };", "res.id=ACME-team", NOCRED},
	    {"resource = { id = \"acme-*\"; };", "res.id=x-acme-team", NOCRED},
	    {"resource = { id = \"org/*\"; };", "res.id=org/a/b", OK},
	    {"resource = { id = \"*\"; };", "res.id=", OK},
	    {"resource = { id = \"*\"; };", "res.type=model", NOCRED},
	    {"resource = { id = \"*-v?\"; };", "res.id=gpt-v2", OK},
	    {"resource = { id = \"*-v?\"; };", "res.id=gpt-v22", NOCRED},
	    {"resource = { id = \"a\"; };", "res.id=a", OK},
	    {"resource = { id = \"a\"; };", "res.id=", NOCRED},
	    {"resource = { id = \"\"; };", "res.id=", OK},
	    {"resource = { id = \"\"; };", "res.id=a", NOCRED},
	    {"principal = { org = { in = [ \"a\", \"b*\" ]; }; };", "id.org=b1", OK},
	    {"principal = { org = { in = [ \"a\", \"b*\" ]; }; };", "id.org=a", OK},
	    {"principal = { org = { in = [ \"a\", \"b*\" ]; }; };", "id.org=a1", NOCRED},
	    {"principal = { org = { in = []; }; };", "id.org=a", NOCRED},
	    {"principal = { org = [ \"a\", \"b\" ]; };", "id.org=b", OK},
	    {"principal = { org = { in = \"a\"; }; };", "id.org=a", OK},
	};

	RUN(rows);
}

static void lists_match_by_any_element(void)
{
	static const struct row rows[] = {
	    {"principal = { roles = \"ds\"; };", "id.roles=[x,ds]", OK},
	    {"principal = { roles = \"d*\"; };", "id.roles=[x,ds]", OK},
	    {"principal = { roles = \"ds\"; };", "id.roles=[x]", NOCRED},
	    {"principal = { roles = \"ds\"; };", "id.roles=[]", NOCRED},
	    {"principal = { roles = \"ds\"; };", "id.roles=ds", OK}, /* one role as text */
	    {"principal = { roles = { not = \"ds\"; }; };", "id.roles=[x,ds]", NOCRED},
	    {"principal = { roles = { not = \"ds\"; }; };", "id.roles=[x,y]", OK},
	    {"principal = { roles = { not = \"ds\"; }; };", "id.roles=[]", OK},
	    {"principal = { roles = { not = \"ds\"; }; };", "id.org=x", NOCRED},
	    {"principal = { scopes = { in = [ \"a\", \"b\" ]; }; };", "id.scopes=[c,b]", OK},
	    {"principal = { roles = { same_as = \"resource.role\"; }; };",
	     "id.roles=[a,b];res.role=b", OK},
	    {"principal = { roles = { same_as = \"id.scopes\"; }; };",
	     "id.roles=[a,b];id.scopes=[c,a]", OK},
	    {"principal = { roles = { same_as = \"id.scopes\"; }; };",
	     "id.roles=[a,b];id.scopes=[c]", NOCRED},
	    {"condition = { x = { m = { n = { lt = 5; }; }; }; };", "x.m.n=[1,2]", DENIED},
	    {"condition = { x = { m = { n = { cidr = \"::/0\"; }; }; }; };", "x.m.n=[::1]", DENIED},
	};

	RUN(rows);
}

static void numbers_and_booleans(void)
{
	static const struct row rows[] = {
	    {"resource = { level = 5; };", "res.level=5", OK},
	    {"resource = { level = 5; };", "res.level=#5", OK},
	    {"resource = { level = 5; };", "res.level=6", NOCRED},
	    {"resource = { level = -5; };", "res.level=#-5", OK},
	    {"resource = { level = { in = ( 4, \"x\", 5 ); }; };", "res.level=#5", OK},
	    {"resource = { level = { in = ( 4, \"x\", true ); }; };", "res.level=?true", OK},
	    {"resource = { open = true; };", "res.open=true", OK},
	    {"resource = { open = true; };", "res.open=?true", OK},
	    {"resource = { open = true; };", "res.open=?false", NOCRED},
	    {"resource = { open = false; };", "res.open=?false", OK},
	    {"resource = { level = \"5*\"; };", "res.level=#51", OK},
	    {"resource = { level = { lt = 5; }; };", "res.level=4", OK},
	    {"resource = { level = { lt = 5; }; };", "res.level=5", NOCRED},
	    {"resource = { level = { le = 5; }; };", "res.level=#5", OK},
	    {"resource = { level = { le = 5; }; };", "res.level=#6", NOCRED},
	    {"resource = { level = { gt = 5; }; };", "res.level=5", NOCRED},
	    {"resource = { level = { gt = 5; }; };", "res.level=10", OK}, /* no order of texts */
	    {"resource = { level = { ge = 5; }; };", "res.level=5", OK},
	    {"resource = { level = { ge = 3; le = 5; }; };", "res.level=4", OK},
	    {"resource = { level = { ge = 3; le = 5; }; };", "res.level=6", NOCRED},
	    {"resource = { level = { ge = -3; }; };", "res.level=-3", OK},
	    {"resource = { level = { lt = 5; }; };", "res.level=-9223372036854775808", OK},
	    {"resource = { level = { lt = 5; }; };", "res.level=9223372036854775807", NOCRED},
	    {"resource = { level = { lt = 5; }; };", "res.level=9223372036854775808", DENIED},
	    {"resource = { level = { lt = 5; }; };", "res.level=-9223372036854775809", DENIED},
	    {"resource = { level = { lt = 5; }; };", "res.level=", DENIED},
	    {"resource = { level = { lt = 5; }; };", "res.level=-", DENIED},
	    {"resource = { level = { lt = 5; }; };", "res.level=high", DENIED},
	    {"resource = { level = { lt = 5; }; };", "res.level=4x", DENIED},
	    {"resource = { level = { lt = 5; }; };", "res.level= 4", DENIED},
	    {"resource = { level = { lt = 5; }; };", "res.level=?true", DENIED},
	    {"resource = { level = { not = { lt = 5; }; }; };", "res.level=high", DENIED},
	    {"resource = { level = { lt = 5; }; };", "res.id=m", NOCRED},
	    {"condition = { x = { m = { n = { lt = 5; }; }; }; };", "x.m.n=~4.5", OK},
	    {"condition = { x = { m = { n = { lt = 5; }; }; }; };", "x.m.n=~5.0", NOCRED},
	    {"condition = { x = { m = { n = { le = 5; ge = 5; }; }; }; };", "x.m.n=~5.0", OK},
	    {"condition = { x = { m = { n = { lt = 5; }; }; }; };", "x.m.n=~nan", DENIED},
	    {"condition = { x = { m = { n = \"*\"; }; }; };", "x.m.n=~5", NOCRED},
	};

	RUN(rows);
}

static void networks(void)
{
#define NET(n) "condition = { source_ip = { cidr = [ " n " ]; }; };"
	static const struct row rows[] = {
	    {NET("\"10.0.0.0/8\""), "net.source=10.1.2.3", OK},
	    {NET("\"10.0.0.0/8\""), "net.source=11.1.2.3", NOCRED},
	    {NET("\"10.0.0.0/8\""), "net.source=::ffff:10.1.2.3", OK},
	    {NET("\"192.0.2.0/24\", \"2001:db8::/32\""), "net.source=2001:db8::1", OK},
	    {NET("\"192.0.2.0/24\", \"2001:db8::/32\""), "net.source=2001:db9::1", NOCRED},
	    {NET("\"::/0\""), "net.source=10.1.2.3", OK},
	    {NET("\"0.0.0.0/0\""), "net.source=::1", NOCRED},
	    {NET("\"10.0.0.0/8\""), "net.source=somewhere", DENIED},
	    {NET("\"10.0.0.0/8\""), "net.source=", DENIED},
	    {NET("\"10.0.0.0/8\""), "net.source=unix", DENIED},
	    {"condition = { source_ip = { not = \"unix\"; cidr = \"10.0.0.0/8\"; }; };",
	     "net.source=unix", NOCRED},
	    {NET("\"10.0.0.0/8\""), "net.source=#5", DENIED},
	    {NET("\"10.0.0.0/8\""), "res.id=m", NOCRED},
	    {"condition = { source_ip = { cidr = \"10.0.0.1\"; }; };", "net.source=10.0.0.1", OK},
	    {"condition = { source_ip = { not = { cidr = \"10.0.0.0/8\"; }; }; };",
	     "net.source=10.0.0.1", NOCRED},
	    {"condition = { source_ip = { not = { cidr = \"10.0.0.0/8\"; }; }; };",
	     "net.source=11.0.0.1", OK},
	    {"condition = { net = { peer = { cidr = \"10.0.0.0/8\"; }; source = \"1*\"; }; };",
	     "net.source=11.0.0.1;net.peer=10.9.9.9", OK},
	    {"condition = { net = { peer = { cidr = \"10.0.0.0/8\"; }; source = { cidr = "
	     "\"11.0.0.0/8\"; }; }; };",
	     "net.source=11.0.0.1;net.peer=10.9.9.9", OK},
	};

	RUN(rows);
}

static void presence_and_what_is_missing(void)
{
	static const struct row rows[] = {
	    {"principal = { org = { present = true; }; };", "id.org=", OK},
	    {"principal = { org = { present = true; }; };", "id.sub=x", NOCRED},
	    {"principal = { org = { present = false; }; };", "id.sub=x", OK},
	    {"principal = { org = { present = false; }; };", "id.org=x", NOCRED},
	    {"principal = { org = { not = { present = true; }; }; };", "id.sub=x", OK},
	    /* Missing is no match, also under not, and under not not. */
	    {"principal = { org = { not = \"acme\"; }; };", "id.sub=x", NOCRED},
	    {"principal = { org = { not = { not = \"acme\"; }; }; };", "id.sub=x", NOCRED},
	    {"principal = { org = { not = { not = \"acme\"; }; }; };", "id.org=acme", OK},
	    {"principal = { org = { not = { in = [ \"a\", \"b\" ]; }; }; };", "id.org=c", OK},
	    {"principal = { org = { not = { in = [ \"a\", \"b\" ]; }; }; };", "id.org=b", NOCRED},
	    {"principal = { org = { not = [ \"a\", \"b\" ]; }; };", "id.org=b", NOCRED},
	    {"principal = { org = { in = \"a*\"; not = \"ab\"; }; };", "id.org=ac", OK},
	    {"principal = { org = { in = \"a*\"; not = \"ab\"; }; };", "id.org=ab", NOCRED},
	    {"principal = { org = { not = { same_as = \"resource.org\"; }; }; };", "id.org=a",
	     NOCRED},
	    {"principal = { org = { not = { same_as = \"resource.org\"; }; }; };",
	     "id.org=a;res.org=b", OK},
	    /* What another test rules out cannot fail; alone it fails. */
	    {"principal = { org = \"a\"; }; resource = { n = { lt = 1; }; };", "id.org=b;res.n=x",
	     NOCRED},
	    {"resource = { n = { lt = 1; }; }; condition = { id = { org = \"a\"; }; };",
	     "id.org=b;res.n=x", NOCRED},
	    {"resource = { n = { lt = 1; }; }; condition = { id = { org = \"a\"; }; };", "res.n=x",
	     NOCRED},
	    {"resource = { n = { lt = 1; }; }; condition = { id = { org = \"a\"; }; };",
	     "id.org=a;res.n=x", DENIED},
	};

	RUN(rows);
}

static void same_as(void)
{
#define ORG(a) "resource = { org = { same_as = \"" a "\"; }; };"
	static const struct row rows[] = {
	    {ORG("principal.org"), "id.org=acme;res.org=acme", OK},
	    {ORG("principal.org"), "id.org=acme;res.org=Acme", NOCRED},
	    {ORG("principal.org"), "id.org=acme", NOCRED},
	    {ORG("principal.org"), "res.org=acme", NOCRED},
	    {ORG("principal.org"), "id.org=*;res.org=acme", NOCRED}, /* a value is no glob */
	    {ORG("principal.org"), "id.org=acme;res.org=*", NOCRED},
	    {ORG("id.org"), "id.org=acme;res.org=acme", OK},
	    {ORG("resource.owner"), "res.owner=acme;res.org=acme", OK},
	    {ORG("res.owner"), "res.owner=acme;res.org=acme", OK},
	    {ORG("x.auth_oidc.org"), "x.auth_oidc.org=acme;res.org=acme", OK},
	    {ORG("x.m.n"), "x.m.n=#5;res.org=5", OK},
	    {ORG("source_ip"), "net.source=10.0.0.1;res.org=10.0.0.1", OK},
	    {ORG("environment"), "res.environment=a;res.org=a", OK},
	    {ORG("action"), "action=read;res.org=read", OK},
	    {ORG("x.m.n"), "x.m.n=~5;res.org=5", NOCRED},
	};

	RUN(rows);
}

static void conditions_name_their_attributes(void)
{
	static const struct row rows[] = {
	    {"condition = { environment = \"production\"; };", "res.environment=production", OK},
	    {"condition = { source_ip = \"10.*\"; };", "net.source=10.0.0.1", OK},
	    {"condition = { net = { source = \"10.*\"; }; };", "net.source=10.0.0.1", OK},
	    {"condition = { tls = { version = \"1.3\"; }; };", "tls.version=1.3", OK},
	    {"condition = { req = { method = \"POST\"; path = \"/v1/*\"; }; };",
	     "req.method=POST;req.path=/v1/chat", OK},
	    {"condition = { req = { method = \"POST\"; path = \"/v1/*\"; }; };",
	     "req.method=POST;req.path=/v2/chat", NOCRED},
	    {"condition = { llm = { stream = true; }; };", "llm.stream=?true", OK},
	    {"condition = { id = { expires = { gt = 5; }; }; };", "id.expires=#6", OK},
	    {"condition = { res = { owner = \"a\"; }; };", "res.owner=a", OK},
	    {"condition = { x = { auth_oidc = { dept = \"r*\"; acr = 2; }; }; };",
	     "x.auth_oidc.dept=research;x.auth_oidc.acr=#2", OK},
	    {"condition = { x = { auth_oidc = { dept = \"r*\"; acr = 2; }; }; };",
	     "x.auth_oidc.dept=research;x.auth_oidc.acr=#3", NOCRED},
	    {"principal = { sub = \"a\"; org = \"b\"; team = \"c\"; tier = \"d\"; method = \"e\"; "
	     "credential = \"f\"; };",
	     "id.sub=a;id.org=b;id.team=c;id.tier=d;id.method=e;id.credential=f", OK},
	    {"principal = {}; resource = {}; condition = {};", "id.sub=a", OK},
	    {"", "", OK},
	};

	RUN(rows);
}

static void actions_are_a_closed_set(void)
{
	static const struct row rows[] = {
	    {"action = \"read\";", "action=read", OK},
	    {"action = \"read\";", "action=write", NOCRED},
	    {"action = [ \"read\", \"predict\" ];", "action=predict", OK},
	    {"action = ( \"read\", \"predict\" );", "action=delete", NOCRED},
	    {"action = \"*\";", "action=manage", OK},
	    {"action = \"*\";", "action=fly", OK},
	    {"action = \"*\";", "res.id=m", NOCRED}, /* missing does not match */
	    {"", "action=fly", OK},
	    {"action = \"*e\";", "action=evaluate", OK},
	    {"action = \"*e\";", "action=read", NOCRED},
	    {"action = { not = \"delete\"; };", "action=read", OK},
	    {"action = { not = [ \"delete\", \"write\" ]; };", "action=write", NOCRED},
	    {"action = { in = [ \"delete\", \"write\" ]; };", "action=write", OK},
	    {"action = [];", "action=read", NOCRED},
	    {"action = \"read\";", "action=#5", NOCRED},
	};

	RUN(rows);
}

static void times(void)
{
#define T(t) "condition = { time = { time = \"" t "\"; }; };"
	static const struct row rows[] = {
	    /* Friday 2026-11-20 16:59:59 and 17:00 UTC, 17:59:59 and 18:00 in Berlin */
	    {T("Mon-Fri 08:00-18:00 Europe/Berlin"), "now=1795193999", OK},
	    {T("Mon-Fri 08:00-18:00 Europe/Berlin"), "now=1795194000", NOCRED},
	    {T("Mon-Fri 08:00-18:00 UTC"), "now=1795194000", OK},
	    {"condition = { time = \"Mon-Fri 08:00-18:00 UTC\"; };", "now=1795194000", OK},
	    {"condition = { time = { not = { time = \"Mon-Fri 08:00-18:00 UTC\"; }; }; };",
	     "now=1795194000", NOCRED},
	    {"condition = { time = { not = \"Mon-Fri 08:00-18:00 UTC\"; }; };", "now=1795199999",
	     OK},
	    {"condition = { time = { ge = \"2026-11-20T17:00:00Z\"; lt = 1795194001; }; };",
	     "now=1795194000", OK},
	    {"condition = { time = { ge = \"2026-11-20T17:00:00Z\"; lt = 1795194001; }; };",
	     "now=1795193999", NOCRED},
	    {"condition = { time = { ge = \"2026-11-20T17:00:00Z\"; lt = 1795194001; }; };",
	     "now=1795194001", NOCRED},
	};

	RUN(rows);
}

/* ---- combining ---- */

static void deny_overrides_in_either_order(void)
{
	static const char *const files[] = {
	    "policies = (\n" P("all", "allow", "") ",\n" P("no", "deny",
	                                                   "action = \"delete\";") ");",
	    "policies = (\n\n" P("no", "deny", "action = \"delete\";") ",\n" P("all", "allow",
	                                                                       "") ");",
	};

	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL_FATAL(open_file(files[i]), 0);
		CU_ASSERT_EQUAL(ask("action=read;res.id=m"), OK);
		CU_ASSERT_STRING_EQUAL(policy, i == 0 ? "all (abac.conf:2)" : "all (abac.conf:4)");
		CU_ASSERT_EQUAL(ask("action=delete;res.id=m"), DENIED);
		CU_ASSERT_STRING_EQUAL(policy, "no (abac.conf:3)");
		CU_ASSERT_STRING_EQUAL(detail, "policy no denies it");
		CU_ASSERT_STRING_EQUAL(text, "not allowed to delete this model");
		m->destroy(inst);
	}
}

static void first_match_goes_by_order(void)
{
	CU_ASSERT_EQUAL_FATAL(
	    open_file("combining = \"first-match\"; policies = (\n" P(
		"a", "allow",
		"principal = { sub = \"alice\"; };") ",\n" P("no", "deny",
	                                                     "action = \"delete\";") ",\n" P("rest",
	                                                                                     "allo"
	                                                                                     "w",
	                                                                                     "resou"
	                                                                                     "rce "
	                                                                                     "= { "
	                                                                                     "id = "
	                                                                                     "\"m*"
	                                                                                     "\"; "
	                                                                                     "};") ");"),
	    0);
	CU_ASSERT_EQUAL(ask("id.sub=alice;action=delete;res.id=m"), OK);
	CU_ASSERT_STRING_EQUAL(policy, "a (abac.conf:2)");
	CU_ASSERT_EQUAL(ask("id.sub=bob;action=delete;res.id=m"), DENIED);
	CU_ASSERT_STRING_EQUAL(policy, "no (abac.conf:3)");
	CU_ASSERT_EQUAL(ask("id.sub=bob;action=read;res.id=m"), OK);
	CU_ASSERT_STRING_EQUAL(policy, "rest (abac.conf:4)");
	CU_ASSERT_EQUAL(ask("id.sub=bob;action=read;res.id=n"), NOCRED);
	CU_ASSERT_STRING_EQUAL(policy, "default deny (abac.conf)");
	CU_ASSERT_STRING_EQUAL(detail, "no policy allows it");
	m->destroy(inst);
}

static void an_evaluation_error_denies(void)
{
#define BAD "resource = { n = { lt = 5; }; };"
	CU_ASSERT_EQUAL_FATAL(
	    open_file("policies = (\n" P("all", "allow", "") ",\n" P("n", "allow", BAD) ");"), 0);
	CU_ASSERT_EQUAL(ask("res.n=3"), OK);
	CU_ASSERT_EQUAL(ask("res.m=3"), OK);
	CU_ASSERT_EQUAL(ask("res.n=x"), DENIED);
	CU_ASSERT_STRING_EQUAL(policy, "n (abac.conf:3)");
	CU_ASSERT_STRING_EQUAL(detail, "policy n cannot be evaluated: res.n is not a number");
	CU_ASSERT_STRING_EQUAL(text, "not allowed to do this");
	m->destroy(inst);
	/* What a policy that comes first has decided stands. */
	CU_ASSERT_EQUAL_FATAL(
	    open_file("combining = \"first-match\"; policies = (\n" P(
		"a", "allow", "action = \"read\";") ",\n" P("n", "allow", BAD) ");"),
	    0);
	CU_ASSERT_EQUAL(ask("res.n=x;action=read"), OK);
	CU_ASSERT_EQUAL(ask("res.n=x;action=write"), DENIED);
	CU_ASSERT_STRING_EQUAL(policy, "n (abac.conf:3)");
	m->destroy(inst);
	/* A policy that denies and cannot be evaluated denies too, and says so. */
	CU_ASSERT_EQUAL_FATAL(
	    open_file("policies = (\n" P("n", "deny", BAD) ",\n" P("all", "allow", "") ");"), 0);
	CU_ASSERT_EQUAL(ask("res.n=9"), OK);
	CU_ASSERT_EQUAL(ask("res.n=x"), DENIED);
	CU_ASSERT_STRING_EQUAL(detail, "policy n cannot be evaluated: res.n is not a number");
	m->destroy(inst);
}

static void nothing_allows_by_default(void)
{
	CU_ASSERT_EQUAL_FATAL(open_file(""), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_errors, "allow nothing"));
	CU_ASSERT_EQUAL(ask("id.sub=a;action=read"), NOCRED);
	m->destroy(inst);
}

/* The classic two: shipped in etc/abac.conf, here in both orders. */
static void the_two_classic_policies(void)
{
#define DS                                                                                         \
	P("own", "allow",                                                                          \
	  "principal = { team = \"data_science\"; }; resource = { type = \"model\"; org = { "      \
	  "same_as = "                                                                             \
	  "\"principal.org\"; }; }; action = [ \"read\", \"predict\", \"delete\" ];")
#define KEEP                                                                                       \
	P("keep", "deny",                                                                          \
	  "resource = { type = \"model\"; environment = \"production\"; }; action = \"delete\";")
	static const char *const files[] = {"policies = ( " DS "," KEEP " );",
	                                    "policies = ( " KEEP "," DS " );"};
	static const struct {
		const char *line;
		int32_t code;
	} table[] = {
	    {"action=read;res.org=acme", OK},
	    {"action=predict;res.org=acme;res.environment=production", OK},
	    {"action=predict;res.org=globex", NOCRED},
	    {"action=predict", NOCRED},
	    {"action=train;res.org=acme", NOCRED},
	    {"action=delete;res.org=acme;res.environment=staging", OK},
	    {"action=delete;res.org=acme", OK},
	    {"action=delete;res.org=acme;res.environment=production", DENIED},
	    {"action=delete;res.org=globex;res.environment=production", DENIED},
	};
	char line[256];

	for (int f = 0; f < 2; f++) {
		CU_ASSERT_EQUAL_FATAL(open_file(files[f]), 0);
		for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
			snprintf(line, sizeof(line),
			         "id.team=data_science;id.org=acme;res.type=model;res.id=m;%s",
			         table[i].line);
			CU_ASSERT_EQUAL(ask(line), table[i].code);
			snprintf(line, sizeof(line),
			         "id.team=sales;id.org=acme;res.type=model;res.id=m;%s",
			         table[i].line);
			CU_ASSERT_EQUAL(ask(line), table[i].code == OK ? NOCRED : table[i].code);
		}
		m->destroy(inst);
	}
}

/* ---- the index ---- */
/* Whatever the policies stand under, the first of the file that matches is the one. */
static void the_index_hides_nothing(void)
{
	char line[512], want[64];
	begin("combining = \"first-match\"; policies = (\n");
	static char longest[400];

	memset(longest, 'y', 300);
	for (int i = 0; i < 200; i++)
		add(P("m%d", "allow", "resource = { id = \"m%d\"; };") ",\n", i, i);
	add(P("g1", "allow", "resource = { id = \"mo*\"; };") ",\n");
	add(P("g2", "deny", "resource = { id = \"model-abcdefgh-*\"; };") ",\n");
	add(P("g3", "allow", "resource = { id = [ \"zeta*\", \"zeta-1*\", \"z\" ]; };") ",\n");
	add(P("long", "allow", "resource = { id = \"%s\"; };") ",\n", longest);
	add(P("role", "allow", "principal = { roles = \"r*\"; };") ",\n");
	add(P("any", "allow", "principal = { sub = \"*x\"; };") ");");
	CU_ASSERT_EQUAL_FATAL(open_file(file), 0);
	for (int i = 0; i < 200; i++) {
		snprintf(line, sizeof(line), "res.id=m%d;id.sub=x;id.roles=[q,r]", i);
		snprintf(want, sizeof(want), "m%d (abac.conf:%d)", i, i + 2);
		CU_ASSERT_EQUAL(ask(line), OK);
		CU_ASSERT_STRING_EQUAL(policy, want);
	}
	CU_ASSERT_EQUAL(ask("res.id=model-abcdefgh-1"), OK);
	CU_ASSERT_STRING_EQUAL(policy, "g1 (abac.conf:202)");
	CU_ASSERT_EQUAL(ask("res.id=zeta-1"), OK);
	CU_ASSERT_EQUAL(ask("res.id=z"), OK);
	CU_ASSERT_EQUAL(ask("res.id=ze"), NOCRED);
	CU_ASSERT_EQUAL(ask("res.id=q;id.roles=[q,r]"), OK);
	CU_ASSERT_STRING_EQUAL(policy, "role (abac.conf:206)");
	CU_ASSERT_EQUAL(ask("res.id=q;id.sub=yx"), OK);
	snprintf(line, sizeof(line), "res.id=%s", longest);
	CU_ASSERT_EQUAL(ask(line), OK);
	longest[299] = 'z';
	snprintf(line, sizeof(line), "res.id=%s", longest);
	CU_ASSERT_EQUAL(ask(line), NOCRED);
	m->destroy(inst);
}

UNIT_MAIN("authz_abac", UNIT(texts_and_globs), UNIT(lists_match_by_any_element),
          UNIT(numbers_and_booleans), UNIT(networks), UNIT(presence_and_what_is_missing),
          UNIT(same_as), UNIT(conditions_name_their_attributes), UNIT(actions_are_a_closed_set),
          UNIT(times), UNIT(deny_overrides_in_either_order), UNIT(first_match_goes_by_order),
          UNIT(an_evaluation_error_denies), UNIT(nothing_allows_by_default),
          UNIT(the_two_classic_policies), UNIT(the_index_hides_nothing))
