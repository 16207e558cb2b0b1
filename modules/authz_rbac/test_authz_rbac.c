/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * authz_rbac against the fake host: which roles allow what on which models, and what a policy file
 * may say.
 */
#include "common/fakehost.h"
#include "globset.h"

#include "unit/unit.h"

static const struct merlon_module *m;
static merlon_ctx ctx = {
    .stack = "default", .group = "authz", .line = "rbac", .module = "authz_rbac"};
static void *inst;
static char detail[512], text[512], policy[256];

static int32_t open_line(const char *file)
{
	fake_reset();
	m = merlon_module_v1(&fake_host);
	if (file)
		fake_file("rbac.conf", file);
	merlon_cfg *cfg = fake_cfg(m, file ? "policy_file = \"rbac.conf\";" : "");
	int32_t r = m->create(&ctx, cfg, &inst);
	fake_cfg_free(cfg);
	return r;
}

struct who {
	const char *sub, *org, *roles;
};

static int32_t may(struct who w, const char *action, const char *model)
{
	merlon_tx *tx = fake_tx_new();

	if (w.sub)
		fake_attr(tx, "id.sub", w.sub);
	if (w.org)
		fake_attr(tx, "id.org", w.org);
	if (w.roles)
		fake_attr_list(tx, "id.roles", w.roles);
	fake_attr(tx, "action", action);
	if (model) {
		fake_attr(tx, "res.type", "model");
		fake_attr(tx, "res.id", model);
	}
	int32_t code = m->check(inst, NULL, tx, MERLON_AUTHZ);
	snprintf(detail, sizeof(detail), "%.*s", TXT_FMT(tx->fail.detail));
	snprintf(text, sizeof(text), "%.*s", TXT_FMT(tx->fail.text));
	snprintf(policy, sizeof(policy), "%.*s", TXT_FMT(tx->policy));
	CU_ASSERT_EQUAL(tx->allocs, 0);
	fake_tx_free(tx);
	return code;
}

static bool role_may(const char *roles, const char *action, const char *model)
{
	int32_t code = may((struct who){"alice", NULL, roles}, action, model);

	CU_ASSERT_TRUE(code == MERLON_OK || code == MERLON_NOCRED);
	return code == MERLON_OK;
}

static void shipped_roles_allow_what_is_written(void)
{
	static const char *const actions[] = {"read",     "write",   "delete", "train",
	                                      "evaluate", "predict", "manage"};
	static const struct {
		const char *role, *allowed; /* a letter an action */
	} table[] = {
	    {"admin", "rwdtepm"}, {"data_scientist", "rwtep"}, {"analyst", "rp"}, {"viewer", "r"},
	    {"nobody", ""},
	};

	CU_ASSERT_EQUAL_FATAL(open_line(NULL), 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		for (size_t k = 0; k < sizeof(actions) / sizeof(actions[0]); k++) {
			bool want = strchr(table[i].allowed, actions[k][0]) != NULL;
			CU_ASSERT_EQUAL(role_may(table[i].role, actions[k], "x"), want);
			CU_ASSERT_EQUAL(role_may(table[i].role, actions[k], NULL), want);
		}
	}
	CU_ASSERT_FALSE(role_may("admin", "fly", "x"));
	CU_ASSERT_FALSE(role_may("admin", "", "x"));
	m->destroy(inst);
}

static void answers_say_why(void)
{
	CU_ASSERT_EQUAL_FATAL(open_line(NULL), 0);
	CU_ASSERT_TRUE(role_may("viewer,analyst", "predict", "x"));
	CU_ASSERT_STRING_EQUAL(policy, "role analyst");
	CU_ASSERT_FALSE(role_may("viewer", "predict", "x"));
	CU_ASSERT_STRING_EQUAL(detail, "no role of alice allows predict on model x");
	CU_ASSERT_STRING_EQUAL(text, "not allowed to predict with this model");
	CU_ASSERT_FALSE(role_may("viewer", "train", "x"));
	CU_ASSERT_STRING_EQUAL(text, "not allowed to train this model");
	CU_ASSERT_FALSE(role_may("viewer", "write", NULL));
	CU_ASSERT_STRING_EQUAL(text, "not allowed to write");
	CU_ASSERT_STRING_EQUAL(detail, "no role of alice allows write");
	CU_ASSERT_EQUAL(may((struct who){NULL, NULL, NULL}, "read", NULL), MERLON_NOCRED);
	m->destroy(inst);
}

static void models_bound_a_role(void)
{
	CU_ASSERT_EQUAL_FATAL(
	    open_line(
		"roles = ( { name = \"a\"; permissions = [ \"predict\" ];"
		"            models = [ \"churn-*\", \"fraud\" ]; },"
		"          { name = \"none\"; permissions = [ \"predict\" ]; models = []; } );"),
	    0);
	CU_ASSERT_TRUE(role_may("a", "predict", "churn-1"));
	CU_ASSERT_TRUE(role_may("a", "predict", "fraud"));
	CU_ASSERT_FALSE(role_may("a", "predict", "fraud2"));
	CU_ASSERT_TRUE(role_may("a", "predict", NULL));
	CU_ASSERT_FALSE(role_may("none", "predict", "fraud"));
	CU_ASSERT_FALSE(role_may("a", "read", "fraud"));
	m->destroy(inst);
}

static void another_resource_is_no_model(void)
{
	CU_ASSERT_EQUAL_FATAL(
	    open_line(
		"roles = ( { name = \"a\"; permissions = [ \"read\" ]; models = [ \"m\" ]; } );"),
	    0);
	merlon_tx *tx = fake_tx_new();
	fake_attr_list(tx, "id.roles", "a");
	fake_attr(tx, "action", "read");
	CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_AUTHZ), MERLON_OK); /* no model is named */
	fake_attr(tx, "res.id", "other");
	fake_attr(tx, "res.type", "training_job");
	CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_AUTHZ), MERLON_NOCRED);
	fake_attr(tx, "res.id", "m");
	CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_AUTHZ), MERLON_OK);
	fake_attr(tx, "id.roles", "a"); /* one role as text */
	CU_ASSERT_EQUAL(m->check(inst, NULL, tx, MERLON_AUTHZ), MERLON_OK);
	fake_tx_free(tx);
	m->destroy(inst);
}

static void every_role_on_the_way_bounds_what_is_inherited(void)
{
	CU_ASSERT_EQUAL_FATAL(
	    open_line("roles = ("
	              "{ name = \"base\"; permissions = [ \"read\" ]; models = [ \"a*\" ]; },"
	              "{ name = \"mid\"; inherits = [ \"base\" ]; permissions = [ \"write\" ]; },"
	              "{ name = \"top\"; inherits = [ \"mid\" ]; models = [ \"*z\" ]; },"
	              "{ name = \"free\"; permissions = [ \"read\" ]; },"
	              "{ name = \"both\"; inherits = [ \"top\", \"free\" ]; } );"),
	    0);
	CU_ASSERT_TRUE(role_may("mid", "read", "ab"));
	CU_ASSERT_FALSE(role_may("mid", "read", "zb"));
	CU_ASSERT_TRUE(role_may("mid", "write", "zb"));
	CU_ASSERT_TRUE(role_may("top", "read", "az"));
	CU_ASSERT_FALSE(role_may("top", "read", "ab"));
	CU_ASSERT_FALSE(role_may("top", "read", "bz"));
	CU_ASSERT_TRUE(role_may("top", "write", "bz"));
	CU_ASSERT_FALSE(role_may("top", "write", "b"));
	CU_ASSERT_TRUE(role_may("both", "read", "q")); /* by free */
	CU_ASSERT_FALSE(role_may("both", "write", "q"));
	CU_ASSERT_STRING_EQUAL(policy, "");
	CU_ASSERT_TRUE(role_may("both", "write", "qz"));
	CU_ASSERT_STRING_EQUAL(policy, "role both");
	m->destroy(inst);
}

static void a_role_in_the_file_replaces_the_shipped_one(void)
{
	CU_ASSERT_EQUAL_FATAL(
	    open_line("roles = ( { name = \"analyst\"; permissions = [ \"write\" ]; },"
	              "{ name = \"x\"; inherits = [ \"viewer\", \"analyst\" ]; } );"),
	    0);
	CU_ASSERT_FALSE(role_may("analyst", "predict", "m"));
	CU_ASSERT_TRUE(role_may("analyst", "write", "m"));
	CU_ASSERT_TRUE(role_may("x", "write", "m"));
	CU_ASSERT_TRUE(role_may("x", "read", "m")); /* viewer is the shipped one still */
	CU_ASSERT_TRUE(role_may("admin", "manage", "m"));
	m->destroy(inst);
}

static void assignments_by_sub_org_and_role(void)
{
	CU_ASSERT_EQUAL_FATAL(
	    open_line("assignments = ( { sub = \"alice\"; roles = [ \"admin\" ]; },"
	              "{ sub = \"alice\"; roles = [ \"nobody\" ]; },"
	              "{ sub = \"svc-*\"; roles = [ \"analyst\" ]; },"
	              "{ org = \"acme\"; roles = [ \"viewer\" ]; },"
	              "{ role = \"idp:*\"; roles = [ \"viewer\" ]; },"
	              "{ role = \"idp:ds\"; roles = [ \"data_scientist\" ]; } );"
	              "roles = ( { name = \"nobody\"; } );"),
	    0);
	CU_ASSERT_EQUAL(may((struct who){"alice", NULL, NULL}, "manage", "m"), MERLON_OK);
	CU_ASSERT_EQUAL(may((struct who){"Alice", NULL, NULL}, "manage", "m"), MERLON_NOCRED);
	CU_ASSERT_EQUAL(may((struct who){"alice2", NULL, NULL}, "read", "m"), MERLON_NOCRED);
	CU_ASSERT_EQUAL(may((struct who){"svc-1", NULL, NULL}, "predict", "m"), MERLON_OK);
	CU_ASSERT_EQUAL(may((struct who){"bob", "acme", NULL}, "read", "m"), MERLON_OK);
	CU_ASSERT_EQUAL(may((struct who){"bob", "acme", NULL}, "write", "m"), MERLON_NOCRED);
	CU_ASSERT_EQUAL(may((struct who){"acme", NULL, NULL}, "read", "m"), MERLON_NOCRED);
	CU_ASSERT_EQUAL(may((struct who){"bob", NULL, "idp:any"}, "read", "m"), MERLON_OK);
	CU_ASSERT_EQUAL(may((struct who){"bob", NULL, "idp:ds"}, "train", "m"), MERLON_OK);
	CU_ASSERT_STRING_EQUAL(policy, "role data_scientist");
	/* What is assigned does not assign anew, and the sub's name is no role. */
	CU_ASSERT_EQUAL(may((struct who){"idp:ds", NULL, NULL}, "read", "m"), MERLON_NOCRED);
	m->destroy(inst);
}

static void bad_files_are_refused_with_their_line(void)
{
	static const struct {
		const char *file, *says;
	} table[] = {
	    {"roles = (\n{ name = \"a\"; permissions = [ \"raed\" ]; } );",
	     "rbac.conf:2: \"raed\" is no permission; did you mean \"read\"?"},
	    {"roles = ( { name = \"a\"; permissions = [ \"elephants\" ]; } );",
	     "is no permission\n"},
	    {"roles = ( { name = \"a\"; },\n{ name = \"a\"; } );",
	     "rbac.conf:2: \"a\" stands here already"},
	    {"roles = (\n{ name = \"a\"; inherits = [ \"b\" ]; } );",
	     "rbac.conf:2: names role \"b\""},
	    {"roles = (\n{ name = \"a\"; inherits = [ \"a\" ]; } );",
	     "rbac.conf:2: goes round: role \"a\" inherits itself by \"a\""},
	    {"roles = ( { name = \"a\"; inherits = [ \"b\" ]; },\n"
	     "{ name = \"b\"; inherits = [ \"c\" ]; },\n{ name = \"c\"; inherits = [ \"a\" ]; } );",
	     "rbac.conf:3: goes round: role \"a\" inherits itself by \"c\""},
	    {"\nassignments = ( { sub = \"a\"; roles = [ \"none\" ]; } );",
	     "rbac.conf:2: names role \"none\""},
	    {"assignments = ( { roles = [ \"admin\" ]; } );", "names one of sub, org and role"},
	    {"assignments = ( { sub = \"a\"; org = \"b\"; roles = [ \"admin\" ]; } );",
	     "names one of sub, org and role"},
	    {"assignments = ( { sub = \"\"; roles = [ \"admin\" ]; } );", "names one of sub"},
	    {"roles = ( { name = \"\"; } );", "must have 1 to 128"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		CU_ASSERT_EQUAL(open_line(table[i].file), -1);
		if (!strstr(fake_errors, table[i].says))
			fprintf(stderr, "%zu: %s", i, fake_errors);
		CU_ASSERT_PTR_NOT_NULL(strstr(fake_errors, table[i].says));
	}
}

static void diamonds_stay_small_and_long_chains_are_fine(void)
{
	static char file[400000];
	size_t n =
	    (size_t)sprintf(file, "roles = ( { name = \"r0\"; permissions = [ \"read\" ]; }, "
	                          "{ name = \"s0\"; permissions = [ \"write\" ]; } ");

	for (int i = 1; i < 2000; i++)
		n += (size_t)sprintf(file + n,
		                     ", { name = \"r%d\"; inherits = [ \"r%d\", \"s%d\" ]; },"
		                     "{ name = \"s%d\"; inherits = [ \"r%d\", \"s%d\" ]; }\n",
		                     i, i - 1, i - 1, i, i - 1, i - 1);
	strcpy(file + n, ");");
	CU_ASSERT_EQUAL_FATAL(open_line(file), 0);
	CU_ASSERT_TRUE(role_may("r1999", "write", "m"));
	CU_ASSERT_TRUE(role_may("s1999", "read", "m"));
	CU_ASSERT_FALSE(role_may("s1999", "train", "m"));
	m->destroy(inst);
}

static void too_many_bounded_ways_are_refused(void)
{
	char file[8000];
	size_t n =
	    (size_t)sprintf(file, "roles = ( { name = \"r0\"; permissions = [ \"read\" ]; } ");

	for (int i = 1; i < 14; i++)
		n += (size_t)sprintf(
		    file + n,
		    ", { name = \"a%d\"; inherits = [ \"r%d\" ]; models = [ \"*\" ]; },"
		    "{ name = \"b%d\"; inherits = [ \"r%d\" ]; models = [ \"*\" ]; },"
		    "{ name = \"r%d\"; inherits = [ \"a%d\", \"b%d\" ]; }\n",
		    i, i - 1, i, i - 1, i, i, i);
	strcpy(file + n, ");");
	CU_ASSERT_EQUAL(open_line(file), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_errors, "too many roles with models"));
	fake_reset();
}

/* What globset finds is what trying every glob finds. */
static void globs_are_found_as_if_each_were_tried(void)
{
	static const char *const globs[] = {"*",  "a",   "ab",  "abc", "a*", "ab*", "abc*", "?b*",
	                                    "*c", "b?c", "ab?", "b",   "",   "a**", "ab?*", "ba*"};
	static const char *const texts[] = {"",  "a",   "ab", "abc", "abcd",
	                                    "b", "bbc", "ba", "c",   "zz"};
	const uint32_t nglobs = sizeof(globs) / sizeof(globs[0]);

	for (uint32_t which = 0; which < 1u << nglobs; which += 37) {
		struct globset set = {0};
		for (uint32_t i = 0; i < nglobs; i++) {
			if (which & 1u << i)
				globset_add(&set, txt_of(globs[i]), i, i % 3 ? 1 : 2);
		}
		globset_sort(&set);
		for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++) {
			struct merlon_str s = txt_of(texts[t]);
			struct globset_at at = globset_find(&set, s);
			uint32_t found = 0, want = 0, i;
			while ((i = globset_next(&set, &at, s, 1, 12)) != GLOBSET_NONE) {
				CU_ASSERT_FALSE(found & 1u << i);
				found |= 1u << i;
			}
			for (i = 0; i < 12; i++) {
				if ((which & 1u << i) && i % 3 && txt_glob(txt_of(globs[i]), s))
					want |= 1u << i;
			}
			CU_ASSERT_EQUAL(found, want);
		}
		globset_free(&set);
	}
}

static void of_many_roles_the_first_that_allows_is_named(void)
{
	static char file[200000];
	char name[32], want[32];
	size_t n = (size_t)sprintf(file, "roles = ( { name = \"none\"; }");

	for (int i = 0; i < 1000; i++)
		n += (size_t)sprintf(file + n,
		                     ", { name = \"r%d\"; permissions = [ \"%s\" ];"
		                     " models = [ \"m%d-*\", \"all-*\" ]; }\n",
		                     i, i == 700 ? "train" : "read", i);
	n += (size_t)sprintf(file + n, " ); assignments = ( { sub = \"a*\"; roles = [ \"r5\" ]; },"
	                               " { sub = \"alice\"; roles = [ \"none\"");
	for (int i = 0; i < 1000; i++)
		n += (size_t)sprintf(file + n, ", \"r%d\"", i);
	strcpy(file + n, " ]; }, { sub = \"al*\"; roles = [ \"r6\" ]; } );");
	CU_ASSERT_EQUAL_FATAL(open_line(file), 0);
	for (int i = 0; i < 1000; i += 111) {
		snprintf(name, sizeof(name), "m%d-x", i);
		snprintf(want, sizeof(want), "role r%d", i);
		CU_ASSERT_TRUE(role_may("x", "read", name));
		CU_ASSERT_STRING_EQUAL(policy, want);
	}
	CU_ASSERT_FALSE(role_may("x", "read", "m1000-x"));
	CU_ASSERT_FALSE(role_may("x", "read", "m70"));
	CU_ASSERT_FALSE(role_may("x", "train", "m5-x"));
	CU_ASSERT_TRUE(role_may("x", "train", "all-x"));
	CU_ASSERT_STRING_EQUAL(policy, "role r700");
	CU_ASSERT_TRUE(role_may("x", "read", "all-x"));
	CU_ASSERT_STRING_EQUAL(policy, "role r0");
	CU_ASSERT_TRUE(role_may("x", "train", NULL));
	CU_ASSERT_STRING_EQUAL(policy, "role r700");
	/* Of globs the newest counts first. */
	CU_ASSERT_EQUAL(may((struct who){"alf", NULL, NULL}, "read", "all-x"), MERLON_OK);
	CU_ASSERT_STRING_EQUAL(policy, "role r6");
	CU_ASSERT_EQUAL(may((struct who){"alf", NULL, NULL}, "read", "m5-x"), MERLON_OK);
	CU_ASSERT_STRING_EQUAL(policy, "role r5");
	m->destroy(inst);
}

UNIT_MAIN("authz_rbac", UNIT(shipped_roles_allow_what_is_written), UNIT(answers_say_why),
          UNIT(models_bound_a_role), UNIT(another_resource_is_no_model),
          UNIT(every_role_on_the_way_bounds_what_is_inherited),
          UNIT(a_role_in_the_file_replaces_the_shipped_one), UNIT(assignments_by_sub_org_and_role),
          UNIT(bad_files_are_refused_with_their_line),
          UNIT(diamonds_stay_small_and_long_chains_are_fine),
          UNIT(too_many_bounded_ways_are_refused), UNIT(globs_are_found_as_if_each_were_tried),
          UNIT(of_many_roles_the_first_that_allows_is_named))
