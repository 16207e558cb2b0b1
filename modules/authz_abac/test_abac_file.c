/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What a policy file may say: every error with its line, ceilings, and what is only doubted.
 */
#include "test_line.h"

static void bad_files_are_refused_with_their_line(void)
{
#define ONE(rest) "policies = (\n{ name = \"a\"; effect = \"allow\";\n" rest " } );"
	static const struct {
		const char *file, *says;
	} table[] = {
	    {"policies = ( { name = \"a\"; effect = \"allow\"; },\n{ name = \"a\"; effect = "
	     "\"deny\"; } );",
	     "abac.conf:2: \"a\" stands here already"},
	    {"policies = ( { name = \"\"; effect = \"allow\"; } );", "must have 1 to 128"},
	    {ONE("principal = \"x\";"), "abac.conf:3: must be a group"},
	    {ONE("principal = [];"), "abac.conf:3: must be a group"},
	    {ONE("principal = { orgg = \"a\"; };"),
	     "abac.conf:3: is no attribute of the principal; did you mean \"org\"?"},
	    {ONE("principal = { org = { equals = \"a\"; }; };"), "abac.conf:3: is no operator"},
	    {ONE("principal = { org = { no = \"a\"; }; };"),
	     "is no operator; did you mean \"not\"?"},
	    {ONE("principal = { org = {}; };"), "holds no operator"},
	    {ONE("principal = { org = 1.5; };"), "must be a text, an integer"},
	    {ONE("principal = { org = { in = ( \"a\", 1.5 ); }; };"), "must hold texts"},
	    {ONE("principal = { org = { in = ( { a = 1; } ); }; };"), "must hold texts"},
	    {ONE("principal = { org = { lt = \"5\"; }; };"), "must be an integer"},
	    {ONE("principal = { org = { ge = 1.5; }; };"), "must be an integer"},
	    {ONE("principal = { roles = { ge = 1; }; };"), "cannot be asked of a list"},
	    {ONE("principal = { org = { present = 1; }; };"), "must be true or false"},
	    {ONE("principal = { org = { present = \"yes\"; }; };"), "must be true or false"},
	    {ONE("principal = { org = { same_as = \"principal.teem\"; }; };"),
	     "names no attribute of the identity; did you mean \"team\"?"},
	    {ONE("principal = { org = { same_as = \"org\"; }; };"), "names no attribute, such as"},
	    {ONE("principal = { org = { same_as = \"principle.org\"; }; };"),
	     "did you mean \"principal.org\"?"},
	    {ONE("principal = { org = { same_as = 5; }; };"), "must name an attribute"},
	    {ONE("action = \"reda\";"),
	     "abac.conf:3: names \"reda\", which is no action; did you mean \"read\"?"},
	    {ONE("action = [ \"read\", \"fly\" ];"), "names \"fly\", which is no action"},
	    {ONE("action = \"q*\";"), "names \"q*\", which is no action"},
	    {ONE("action = { lt = 5; };"), "cannot be asked of the action"},
	    {ONE("action = { same_as = \"res.x\"; };"), "cannot be asked of the action"},
	    {ONE("condition = { environmnt = \"x\"; };"),
	     "is no condition; did you mean \"environment\"?"},
	    {ONE("condition = { net = \"x\"; };"), "must be a group"},
	    {ONE("condition = { x = { m = \"x\"; }; };"), "must be a group"},
	    {ONE("condition = { id = { name = \"x\"; }; };"), "is no attribute of the identity"},
	    {ONE("condition = { source_ip = { cidr = [ \"10.0.0.1/8\" ]; }; };"),
	     "names \"10.0.0.1/8\", which is no network"},
	    {ONE("condition = { source_ip = { cidr = [ \"10.0.0.0/33\" ]; }; };"), "is no network"},
	    {ONE("condition = { source_ip = { cidr = 10; }; };"), "is no network"},
	    {ONE("condition = { source_ip = { time = \"Mon UTC\"; }; };"),
	     "can be asked of condition.time only"},
	    {ONE("condition = { time = { in = [ \"x\" ]; }; };"), "cannot be asked of the time"},
	    {ONE("condition = { time = { present = true; }; };"), "cannot be asked of the time"},
	    {ONE("condition = { time = { lt = \"soon\"; }; };"), "must be a time such as"},
	    {ONE("condition = { time = { time = 5; }; };"), "must be a text such as"},
	    {ONE("condition = { time = 5; };"), "must be a text such as"},
	    {ONE("condition = { time = { time = \"Mon-Fri 08:00-18:00 Europe/Berln\"; }; };"),
	     "names \"Europe/Berln\", which is no time zone of this system"},
	    {ONE("condition = { time = \"Mon-Fri 08:00-18:00 ../../etc/passwd\"; };"),
	     "which is no name of a time zone"},
	    {ONE("condition = { time = \"Mon-Fri 08:00-18:00 Europe\"; };"),
	     "which is no time zone of this system"},
	    {ONE("condition = { time = \"Mon-Fri 8-18 UTC\"; };"),
	     "abac.conf:3: cannot be read: \"8-18\" is no span of hours"},
	    {ONE("condition = { time = \"Mon-Fry UTC\"; };"), "\"Mon-Fry\" is no day"},
	    {ONE("condition = { time = \"08:00-08:00 UTC\"; };"), "is empty"},
	    {ONE("condition = { time = \"UTC\"; };"), "does not fit here"},
	    {ONE("condition = { time = \"Mon UTC UTC\"; };"), "does not fit here"},
	    {ONE("condition = { time = \"\"; };"), "holds no days and no hours"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		CU_ASSERT_EQUAL(open_file(table[i].file), -1);
		if (!strstr(fake_errors, table[i].says))
			fprintf(stderr, "%zu: %s\nwant %s\n", i, fake_errors, table[i].says);
		CU_ASSERT_PTR_NOT_NULL(strstr(fake_errors, table[i].says));
	}
}

static void all_errors_are_said(void)
{
	CU_ASSERT_EQUAL(
	    open_file("policies = ( { name = \"a\"; effect = \"allow\"; action = \"fly\"; "
	              "principal = { x = 1; org = { lt = \"\"; }; }; },\n"
	              "{ name = \"a\"; effect = \"deny\"; condition = { y = 1; }; } );"),
	    -1);
	CU_ASSERT_EQUAL(fake_nerrors, 5);
}

static void nesting_and_sizes_have_ceilings(void)
{

	for (int depth = 15; depth <= 17; depth++) {
		begin("policies = ( { name = \"a\"; effect = \"allow\"; principal = { org = ");
		for (int i = 0; i < depth; i++)
			add("{ not = ");
		add("\"a\"");
		for (int i = 0; i < depth; i++)
			add("; }");
		add("; }; } );");
		if (depth >= DEPTH_MAX) {
			CU_ASSERT_EQUAL(open_file(file), -1);
			CU_ASSERT_PTR_NOT_NULL(strstr(fake_errors, "is nested deeper than 16"));
			continue;
		}
		CU_ASSERT_EQUAL_FATAL(open_file(file), 0);
		CU_ASSERT_EQUAL(ask("id.org=b"), OK);
		CU_ASSERT_EQUAL(ask("id.org=a"), NOCRED);
		m->destroy(inst);
	}
	for (int extra = 0; extra < 2; extra++) {
		begin("policies = ( { name = \"a\"; effect = \"allow\"; principal = { org = [ ");
		for (int i = 0; i < LIST_MAX + extra; i++)
			add("\"o%d\",", i);
		add(" ]; }; } );");
		CU_ASSERT_EQUAL(open_file(file), -extra);
		if (extra)
			CU_ASSERT_PTR_NOT_NULL(
			    strstr(fake_errors, "has 10001 elements, more than 10000"));
		if (!extra) {
			CU_ASSERT_EQUAL(ask("id.org=o9999"), OK);
			CU_ASSERT_EQUAL(ask("id.org=o10000"), NOCRED);
			m->destroy(inst);
		}
	}
	begin("policies = ( ");
	for (int i = 0; i < 5; i++) {
		add(P("a%d", "allow", "resource = { "), i);
		nfile -= 2; /* over the brace that ends it */
		for (int k = 0; k < 60; k++)
			add("k%d_%d = 1; ", i, k);
		add("}; }, ");
	}
	add(");");
	CU_ASSERT_EQUAL(open_file(file), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_errors, "is one attribute too many"));
	begin("policies = ( { name = \"a\"; effect = \"allow\"; resource = { ");
	for (int k = 0; k < 70; k++)
		add("k%d = 1; ", k);
	add("}; } );");
	CU_ASSERT_EQUAL(open_file(file), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_errors, "more than 64 keys"));
}

static void too_many_policies_are_refused(void)
{
	begin("policies = (\n");
	for (int i = 0; i <= POLICIES_MAX; i++)
		add("{},");
	add(");");
	CU_ASSERT_EQUAL(open_file(file), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_errors, "are 100001, more than 100000"));
}

static void what_cannot_be_meant_is_doubted(void)
{
	CU_ASSERT_EQUAL(open_file("combining = \"first-match\"; policies = ( " P(
			    "a", "deny", "") ",\n" P("b", "allow", "") ");"),
	                0);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(fake_errors, "abac.conf:2: and all after it are never reached"));
	m->destroy(inst);
	CU_ASSERT_EQUAL(open_file(ONE("action = [];")), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_errors, "is an empty list and matches nothing"));
	m->destroy(inst);
	CU_ASSERT_EQUAL(open_file(ONE("condition = { net = { srce = \"a\"; }; };")), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_errors, "never matches; did you mean \"source\"?"));
	m->destroy(inst);
	CU_ASSERT_EQUAL(open_file(ONE("principal = { org = \"a\"; };")), 0);
	CU_ASSERT_STRING_EQUAL(fake_errors, "");
	m->destroy(inst);
}

UNIT_MAIN("abac_file", UNIT(bad_files_are_refused_with_their_line), UNIT(all_errors_are_said),
          UNIT(nesting_and_sizes_have_ceilings), UNIT(too_many_policies_are_refused),
          UNIT(what_cannot_be_meant_is_doubted))
