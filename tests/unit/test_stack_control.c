/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Controls: what each text becomes, code by code, and what is said of a wrong one.
 */
#include "stack/stack.h"
#include "unit.h"

static struct conf_line lines[4] = {
    {.label = {"A", 1}}, {.module = {NULL, 0}}, {.label = {"B", 1}}, {.label = {"C", 1}}};

static int parse(const char *text, bool fail_open, enum conf_group g, struct stack_line *l,
                 struct arena *a, struct str *why)
{
	memset(l, 0, sizeof(*l));
	*why = STR_NONE;
	arena_init(a, NULL);
	return control_parse(str_of(text), fail_open, g, lines, 4, 1, l, a, why);
}

/* One letter a code from OK to REPLY: i o d(one) b D(ie) g. */
static void actions_of_each_code(void)
{
	static const struct {
		const char *text;
		enum conf_group g;
		bool fail_open;
		const char *want;
		bool explicit_ignore;
	} rows[] = {
	    {"required", G_AUTH, false, "oibbbbbbbbD", false},
	    {"requisite", G_AUTH, false, "oiDDDDDDDDD", false},
	    {"sufficient", G_AUTH, false, "diiDDDDDDDD", false},
	    {"optional", G_AUTH, false, "iiiiiiiiiii", false},
	    {" required ", G_FILTER, false, "oibbbbbbbbD", false},
	    {"required", G_RATELIMIT, true, "oibbbbbiiiD", true},
	    {"requisite", G_RATELIMIT, true, "oiDDDDDiiiD", true},
	    {"sufficient", G_AUTH, true, "diiDDDDiiiD", true},
	    {"optional", G_AUTH, true, "iiiiiiiiiii", true},
	    {"required", G_AUDIT, false, "oibbbbbbbbb", false},
	    {"optional", G_AUDIT, false, "iiiiiiiiiii", false},
	    {"[OK=ok]", G_AUTH, false, "obbbbbbbbbb", false},
	    {"[OK=done NOCRED=ignore default=die]", G_AUTHZ, false, "dDiDDDDDDDD", false},
	    {"[default=bad OK=ok REPLY=ignore]", G_AUTHZ, false, "obbbbbbbbbi", false},
	    {"[\tOK=ignore  IGNORE=die ]", G_AUTHZ, false, "iDbbbbbbbbb", false},
	    {"[OK=ok default=ignore]", G_AUTH, false, "oiiiiiiiiii", true},
	    {"[OK=ok UNAVAIL=goto:B]", G_AUTH, false, "obbbbbbgbbb", true},
	    {"[OK=ok UNAVAIL=goto:B]", G_AUTHZ, true, "obbbbbbgbbb", true},
	    {"[OK=goto:C default=die]", G_FILTER, false, "gDDDDDDDDDD", false},
	    {"[OK=ok TIMEOUT=ignore ERROR=bad]", G_RATELIMIT, true, "obbbbbbbibb", true},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stack_line l;
		struct arena a;
		struct str why;
		char got[MERLON_CODE_MAX + 1] = "";
		CU_ASSERT_EQUAL(parse(rows[i].text, rows[i].fail_open, rows[i].g, &l, &a, &why), 0);
		for (int c = 1; c <= MERLON_CODE_MAX; c++)
			got[c - 1] = "iodbDg"[l.action[c]];
		if (memcmp(got, rows[i].want, MERLON_CODE_MAX) != 0)
			printf("\n%s: %.11s, want %s\n", rows[i].text, got, rows[i].want);
		CU_ASSERT(memcmp(got, rows[i].want, MERLON_CODE_MAX) == 0);
		CU_ASSERT_EQUAL(l.explicit_ignore, rows[i].explicit_ignore);
		CU_ASSERT_EQUAL(l.keyword, strchr(rows[i].text, '[') == NULL);
		CU_ASSERT_EQUAL(l.optional, strcmp(rows[i].text, "optional") == 0);
		for (int c = 1; c <= MERLON_CODE_MAX; c++)
			CU_ASSERT(l.action[c] != ACT_GOTO ||
			          l.target[c] == (strstr(rows[i].text, ":B") ? 2 : 3));
		arena_deinit(&a);
	}
}

static void wrong_texts_say_why(void)
{
	static const struct {
		const char *text;
		enum conf_group g;
		const char *why;
	} rows[] = {
	    {"", G_AUTH,
	     "\"\" is no control; use required, requisite, sufficient, optional or [CODE=action "
	     "...]"},
	    {"require", G_AUTH, "\"require\" is no control; did you mean \"required\"?"},
	    {"Required", G_AUTH, "\"Required\" is no control; did you mean \"required\"?"},
	    {"requisite", G_AUDIT, "an audit line is required or optional, not requisite"},
	    {"sufficient", G_AUDIT, "an audit line is required or optional, not sufficient"},
	    {"[OK=ok]", G_AUDIT, "an audit line is required or optional, without brackets"},
	    {"[OK=ok", G_AUTH, "the closing bracket is missing"},
	    {"[", G_AUTH, "the closing bracket is missing"},
	    {"[]", G_AUTH, "the brackets are empty"},
	    {"[OK]", G_AUTH, "\"OK\" is not of the form CODE=action"},
	    {"[ok=ok]", G_AUTH,
	     "\"ok\" is no code (OK IGNORE NOCRED BADCRED EXPIRED DENIED LIMITED UNAVAIL TIMEOUT "
	     "ERROR REPLY)"},
	    {"[=ok]", G_AUTH,
	     "\"\" is no code (OK IGNORE NOCRED BADCRED EXPIRED DENIED LIMITED UNAVAIL TIMEOUT "
	     "ERROR REPLY)"},
	    {"[OK=ok OK=die]", G_AUTH, "OK stands there twice"},
	    {"[default=die default=die]", G_AUTH, "default stands there twice"},
	    {"[OK=OK]", G_AUTH, "OK=OK: an action is ok, done, bad, die, ignore or goto:LABEL"},
	    {"[OK=]", G_AUTH, "OK=: an action is ok, done, bad, die, ignore or goto:LABEL"},
	    {"[NOCRED=ok]", G_AUTH, "NOCRED=ok: only OK may be \"ok\" or \"done\""},
	    {"[IGNORE=done]", G_AUTH, "IGNORE=done: only OK may be \"ok\" or \"done\""},
	    {"[default=ok]", G_AUTH, "default=ok: only OK may be \"ok\" or \"done\""},
	    {"[OK=goto:A]", G_AUTH, "goto:A goes backward: a goto leads to a line below"},
	    {"[OK=goto:Z]", G_AUTH, "goto:Z: no line of this group has that label"},
	    {"[OK=goto:]", G_AUTH, "goto:: no line of this group has that label"},
	    {"[OK=ok UNAVAIL=ignore]", G_AUTHZ,
	     "UNAVAIL is mapped to ignore: that needs fail_open = true"},
	    {"[OK=ok TIMEOUT=goto:B]", G_RATELIMIT,
	     "TIMEOUT is mapped to goto: that needs fail_open = true"},
	    {"[OK=ok default=ignore]", G_FILTER,
	     "UNAVAIL is mapped to ignore: that needs fail_open = true"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stack_line l;
		struct arena a;
		struct str why;
		CU_ASSERT_EQUAL(parse(rows[i].text, false, rows[i].g, &l, &a, &why), -1);
		if (!str_eq(why, str_of(rows[i].why)))
			printf("\n%s: %.*s\n", rows[i].text, STR_FMT(why));
		CU_ASSERT(str_eq(why, str_of(rows[i].why)));
		arena_deinit(&a);
	}
}

static void labels_are_unique_and_not_ones_own(void)
{
	struct stack_line l;
	struct arena a;
	struct str why;
	lines[1].label = STR("S");
	lines[3].label = STR("B");
	CU_ASSERT_EQUAL(parse("[OK=goto:S]", false, G_AUTH, &l, &a, &why), -1);
	CU_ASSERT(str_eq(why, STR("goto:S goes backward: a goto leads to a line below")));
	arena_deinit(&a);
	CU_ASSERT_EQUAL(parse("[OK=goto:B]", false, G_AUTH, &l, &a, &why), -1);
	CU_ASSERT(str_eq(why, STR("goto:B: two lines of this group have that label")));
	arena_deinit(&a);
	lines[1].label = STR_NONE;
	lines[3].label = STR("C");
}

static void shadow_ignores_all(void)
{
	struct stack_line l;
	struct arena a;
	struct str why;
	lines[1].shadow = true;
	CU_ASSERT_EQUAL(parse("requisite", true, G_AUTH, &l, &a, &why), 0);
	for (int c = 0; c <= MERLON_CODE_MAX; c++)
		CU_ASSERT_EQUAL(l.action[c], ACT_IGNORE);
	CU_ASSERT(!l.explicit_ignore);
	arena_deinit(&a);
	/* it is checked even so */
	CU_ASSERT_EQUAL(parse("requisit", false, G_AUTH, &l, &a, &why), -1);
	arena_deinit(&a);
	lines[1].shadow = false;
}

UNIT_MAIN("stack control", UNIT(actions_of_each_code), UNIT(wrong_texts_say_why),
          UNIT(labels_are_unique_and_not_ones_own), UNIT(shadow_ignores_all))
