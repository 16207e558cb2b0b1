/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Whole stacks from a configuration's text, with real modules: what is compiled, what is refused
 * and where, and that nothing is left behind.
 */
#include "stack/stack.h"

#include "stack_module.h"

#include <string.h>

#define HEAD                                                                                       \
	"listeners = ( { name = \"main\"; address = \"127.0.0.1:8080\"; } );\n"                    \
	"upstreams = ( { name = \"llm\"; servers = ( \"127.0.0.1:8000\" ); } );\n"                 \
	"routes = ( { path = \"/v1/\"; api = \"openai\"; stack = \"main\"; upstream = \"llm\"; } " \
	");\n"                                                                                     \
	"stacks = (\n"
/* the first stack's first line is line 5 */
#define NONE "auth = \"none\"; authz = \"none\"; "

static struct merlon_host table;
static struct conf *conf;

static struct stacks *compile(const char *stacks)
{
	char *text = xasprintf("%s%s\n);\n", HEAD, stacks);
	buf_reset(&d.text);
	d.errors = d.warnings = 0;
	table = host;
	table.digest_want = host_digest_want;
	conf = conf_load_text(str_of(text), "/etc/t.conf", dir, &d);
	free(text);
	if (!conf)
		printf("\n%s\n", said());
	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	return stacks_new(conf, &table, false, &d);
}

static void done(struct stacks *s)
{
	CU_ASSERT_PTR_NULL(stacks_free(s));
	conf_free(conf);
}

static void begin(void)
{
	CU_ASSERT_FATAL(modules_begin());
	static const char *const names[] = {"test_return", "test_helper"};
	for (size_t i = 0; i < 2; i++) {
		char path[400];
		snprintf(path, sizeof(path), "%s/%s.so", TEST_MODULES, names[i]);
		struct buf b = read_from(path);
		put(names[i], b.p, b.n);
		buf_deinit(&b);
	}
	struct buf good = good_bytes();
	put("abi_good", good.p, good.n);
	buf_deinit(&good);
}

static void end(void)
{
	drop("test_return");
	drop("test_helper");
	modules_end();
}

static void refused(const char *stacks, const char *want)
{
	CU_ASSERT_PTR_NULL(compile(stacks));
	if (strcmp(said(), want) != 0)
		printf("\ngot  %s\nwant %s\n", said(), want);
	CU_ASSERT_STRING_EQUAL(said(), want);
	conf_free(conf);
}

static void good_stacks_are_compiled(void)
{
	begin();
	struct stacks *s = compile(
	    "{ name = \"main\"; auth = (\n"
	    "{ include = \"corp\"; control = \"sufficient\"; },\n"
	    "{ module = \"test_helper\"; control = \"requisite\"; },\n"
	    "{ module = \"test_return\"; control = \"[OK=ok UNAVAIL=goto:last default=die]\"; },\n"
	    "{ module = \"test_return\"; name = \"new\"; control = \"required\"; shadow = true; "
	    "},\n"
	    "{ module = \"test_return\"; name = \"last\"; control = \"required\"; identity = "
	    "\"add\"; "
	    "label = \"last\"; } ); authz = \"none\";\n"
	    "audit = ( { include = \"corp\"; control = \"required\"; },\n"
	    "{ module = \"test_return\"; options = { digest = true; }; } ); },\n"
	    "{ name = \"corp\"; auth = ( { module = \"test_return\"; control = \"required\"; } ); "
	    "authz = "
	    "\"none\"; audit = ( { module = \"test_return\"; options = { digest = true; }; } ); "
	    "}\n");
	if (!s)
		printf("\n%s\n", said());
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	const struct stack *st = stacks_find(s, STR("main")), *corp = stacks_find(s, STR("corp"));
	const struct stack_line *l = st->group[G_AUTH].lines;
	CU_ASSERT_PTR_NULL(stacks_find(s, STR("mai")));
	CU_ASSERT_EQUAL(s->ninstances, 7);
	CU_ASSERT_EQUAL(st->group[G_AUTH].n, 5);
	CU_ASSERT(st->group[G_AUTHZ].none && !st->group[G_AUTH].none);
	CU_ASSERT(l[0].include == corp && !l[0].ctx && l[0].grantor);
	CU_ASSERT(l[1].ctx && !l[1].grantor);
	CU_ASSERT(l[2].grantor && l[2].action[MERLON_UNAVAIL] == ACT_GOTO &&
	          l[2].target[MERLON_UNAVAIL] == 4);
	CU_ASSERT(!l[3].grantor && l[3].action[MERLON_DENIED] == ACT_IGNORE);
	CU_ASSERT(l[4].grantor && l[4].index == 4 && l[4].group == G_AUTH);
	/* one key, wanted twice, through an include too */
	CU_ASSERT_EQUAL(st->ndigests, 1);
	for (unsigned i = 0; i < 5; i++)
		for (int c = 0; c <= MERLON_CODE_MAX; c++)
			CU_ASSERT_PTR_NOT_NULL(l[i].verdicts[c]);
	CU_ASSERT_PTR_NOT_EQUAL(l[2].verdicts[MERLON_OK], l[2].verdicts[MERLON_DENIED]);
	CU_ASSERT_PTR_EQUAL(l[2].verdicts[0], l[2].verdicts[MERLON_ERROR]);
	done(s);
	end();
}

static void everything_wrong_is_said_at_its_line(void)
{
	begin();
	refused(
	    "{ name = \"main\"; auth = (\n"
	    "{ module = \"test_return\"; control = \"requird\"; },\n"
	    "{ module = \"test_helper\"; control = \"required\"; identity = \"add\"; },\n"
	    "{ module = \"test_return\"; name = \"b\"; control = \"[OK=goto:up]\"; } );\n"
	    "authz = ( { module = \"test_return\"; control = \"required\"; fail_open = true; } );\n"
	    "filter = ( { module = \"abi_good\"; control = \"required\"; } ); }",
	    "/etc/t.conf:6: control: \"requird\" is no control; did you mean \"required\"?\n"
	    "/etc/t.conf:7: identity = \"add\" is for grantors in auth that are not in shadow\n"
	    "/etc/t.conf:8: control: goto:up: no line of this group has that label\n"
	    "/etc/t.conf:9: fail_open is refused on a grantor in authz\n"
	    "/etc/t.conf:10: abi_good does not stand in filter: it may stand in auth\n");
	refused("{ name = \"main\"; " NONE "filter = (\n"
	        "{ module = \"test_return\"; control = \"required\"; options = { refuse = \"no\"; "
	        "}; },\n"
	        "{ module = \"test_return\"; name = \"b\"; control = \"[ERROR=ignore]\"; } ); }",
	        "/etc/t.conf:6: test_return: refuse no\n"
	        "/etc/t.conf:7: control: ERROR is mapped to ignore: that needs fail_open = true\n");
	/* lint is part of it */
	refused("{ name = \"main\"; authz = \"none\"; auth = (\n"
	        "{ module = \"test_helper\"; control = \"required\"; } ); }",
	        "/etc/t.conf:6: main/auth can never grant: every line is optional, in shadow or a "
	        "helper\n");
	refused("{ name = \"main\"; " NONE "audit = (\n"
	        "{ include = \"b\"; } ); }, { name = \"b\"; " NONE "audit = (\n"
	        "{ include = \"main\"; } ); }",
	        "/etc/t.conf:7: include \"main\": a cycle of includes\n");
	end();
}

static void a_refused_start_starts_nobody(void)
{
	struct merlon_worker w = {.index = 3};
	const char *module = NULL;
	begin();
	struct stacks *s = compile("{ name = \"main\"; " NONE "filter = (\n"
	                           "{ module = \"test_return\"; control = \"required\"; },\n"
	                           "{ module = \"test_helper\"; control = \"required\"; options = "
	                           "{ refuse_start = true; }; } ); }");
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_NOT_EQUAL(stacks_worker_start(s, &w, &module), 0);
	CU_ASSERT_STRING_EQUAL(module, "test_helper");
	CU_ASSERT(!s->instances[0]->started[3] && !s->instances[1]->started[3]);
	done(s);
	s = compile("{ name = \"main\"; " NONE
	            "filter = ( { module = \"test_return\"; control = \"required\"; } ); }");
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(stacks_worker_start(s, &w, &module), 0);
	CU_ASSERT(s->instances[0]->started[3]);
	stacks_retire(s);
	stacks_worker_stop(s, &w);
	CU_ASSERT(!s->instances[0]->started[3]);
	done(s);
	end();
}

static void change_is_seen_by_options_not_by_place(void)
{
	static const char *const texts[] = {
	    "{ name = \"main\"; " NONE
	    "filter = ( { module = \"test_return\"; control = \"required\"; } ); }",
	    "\n\n{ name = \"main\"; " NONE
	    "filter = ( { module = \"test_return\"; name = \"x\"; control = \"optional\"; } ); }",
	    "{ name = \"main\"; " NONE "filter = ( { module = \"test_return\"; control = "
	    "\"required\"; options = { code = \"DENIED\"; }; } ); }",
	    "{ name = \"main\"; " NONE
	    "filter = ( { module = \"test_helper\"; control = \"required\"; } ); }",
	};
	begin();
	for (size_t i = 0; i < 4; i++) {
		struct stacks *a = compile(texts[0]);
		struct conf *first = conf;
		struct stacks *b = compile(texts[i]);
		CU_ASSERT_FATAL(a && b);
		CU_ASSERT_EQUAL(strcmp(a->instances[0]->hash, b->instances[0]->hash) != 0, i > 1);
		done(b);
		conf = first;
		done(a);
	}
	end();
}

UNIT_MAIN("stacks", UNIT(good_stacks_are_compiled), UNIT(everything_wrong_is_said_at_its_line),
          UNIT(a_refused_start_starts_nobody), UNIT(change_is_seen_by_options_not_by_place))
