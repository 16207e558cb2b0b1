/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What lint says, word for word with place and path, and that it is silent about good stacks. Lines
 * of the specs are counted from 1, over all stacks.
 */
#include "stack/lint.h"

#include "stack_fake.h"

struct finding {
	const char *want;
	const char *specs[5];
	unsigned errors, warnings;
};

static void check(const struct finding *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct fake f;
		unsigned k = 0;
		while (k < 5 && cases[i].specs[k])
			k++;
		bool parsed = fake_init(&f, cases[i].specs, k);
		if (!parsed)
			printf("\n%s: %.*s\n", cases[i].specs[0], STR_FMT(f.why));
		CU_ASSERT_FATAL(parsed);
		lint(&f.s, &f.conf, &f.d);
		bool ok = str_eq(buf_str(&f.d.text), str_of(cases[i].want)) &&
		          f.d.errors == cases[i].errors && f.d.warnings == cases[i].warnings;
		if (!ok)
			printf("\n%s\n  got  %u %u %.*s\n  want %u %u %s\n", cases[i].specs[0],
			       f.d.errors, f.d.warnings, (int)f.d.text.n, f.d.text.p,
			       cases[i].errors, cases[i].warnings, cases[i].want);
		CU_ASSERT(ok);
		fake_deinit(&f);
	}
}
#define CHECK(cases) check(cases, sizeof(cases) / sizeof(cases[0]))
#define CODES "OK,NOCRED,BADCRED,EXPIRED,DENIED,LIMITED,UNAVAIL,ERROR"

static void good_stacks_are_silent(void)
{
	static const struct finding cases[] = {
	    {"",
	     {"auth: mtls|sufficient|" CODES "; oidc|sufficient|" CODES "; key|requisite|" CODES
	      "/ authz: rbac|requisite|" CODES "; abac|requisite|" CODES
	      "/ ratelimit: rl|requisite|OK,LIMITED,UNAVAIL"
	      "/ audit: file|required|OK,UNAVAIL; syslog|optional|OK,UNAVAIL"},
	     0,
	     0},
	    {"", {"ratelimit: rl|required|" CODES}, 0, 0},
	    {"",
	     {"auth: @1|sufficient|-; key|requisite|" CODES, "auth: oidc|required|" CODES},
	     0,
	     0},
	    {"", {"auth: @1|optional|-; key|requisite|" CODES, "auth: oidc|required|" CODES}, 0, 0},
	    {"", {"auth: a|optional|" CODES "; key|requisite|" CODES}, 0, 0},
	    {"", {"auth: new|required|" CODES "|s; key|requisite|" CODES}, 0, 0},
	    {"", {"auth: block|requisite|IGNORE,DENIED|h; key|requisite|" CODES}, 0, 0},
	    {"",
	     {"filter: a|required|OK,DENIED; b|[OK=ok IGNORE=ignore ERROR=ignore "
	      "default=die]|OK|f"},
	     0,
	     0},
	};
	CHECK(cases);
}

static void never_grants(void)
{
	static const struct finding cases[] = {
	    {"t.conf:1: s0/auth can never grant: every line is optional, in shadow or a helper\n",
	     {"auth: a|optional|OK; b|required|OK|s; c|required|OK|h"},
	     1,
	     0},
	    {"t.conf:1: s0/authz can never grant: every line is optional, in shadow or a helper\n",
	     {"authz: a|required|OK|h"},
	     1,
	     0},
	    {"t.conf:1: s0/auth can never grant: no answers of its lines lead to a grant\n",
	     {"auth: a|[OK=die]|OK"},
	     1,
	     0},
	    {"t.conf:1: s0/auth can never grant: no answers of its lines lead to a grant\n",
	     {"auth: a|required|NOCRED"},
	     1,
	     0},
	    {"t.conf:1: s0/auth can never grant: no answers of its lines lead to a grant\n"
	     "t.conf:2: s1/auth can never grant: every line is optional, in shadow or a helper\n",
	     {"auth: @1|required|-", "auth: a|optional|OK"},
	     2,
	     0},
	    {"", {"ratelimit: a|optional|OK/ filter: b|optional|OK|h/ audit: c|optional|OK"}, 0, 0},
	};
	CHECK(cases);
}

static void swallowed_refusals(void)
{
	static const struct finding cases[] = {
	    {"t.conf:1: s0/auth: a grant is reachable although auth_oidc answered BADCRED: "
	     "auth_oidc=BADCRED, auth_apikey=OK\n",
	     {"auth: auth_oidc|[OK=done NOCRED=ignore BADCRED=ignore default=die]|" CODES
	      "; auth_apikey|requisite|" CODES},
	     1,
	     0},
	    {"",
	     {"auth: auth_oidc|[OK=done NOCRED=ignore BADCRED=ignore default=die]|" CODES
	      "|w; auth_apikey|requisite|" CODES},
	     0,
	     0},
	    /* nothing grants after it */
	    {"", {"auth: a|[OK=done BADCRED=ignore default=die]|" CODES}, 0, 0},
	    {"",
	     {"auth: a|[OK=done BADCRED=ignore default=die]|" CODES "; b|requisite|NOCRED"},
	     0,
	     0},
	    /* what the module never answers is no way */
	    {"",
	     {"auth: a|[OK=done NOCRED=ignore BADCRED=ignore default=die]|OK,NOCRED; "
	      "b|requisite|OK,NOCRED"},
	     0,
	     0},
	    {"t.conf:2: s0/authz: a grant is reachable although b answered DENIED: a=OK, "
	     "b=DENIED\n",
	     {"authz: a|required|OK,DENIED; b|[OK=ok DENIED=ignore default=die]|OK,DENIED"},
	     1,
	     0},
	    {"t.conf:1: s0/auth: a grant is reachable although a answered EXPIRED: a=EXPIRED, "
	     "c=OK\n",
	     {"auth: a|[OK=ok EXPIRED=goto:L]|OK,EXPIRED; b|required|OK,DENIED; c|required|OK|L"},
	     1,
	     0},
	    {"t.conf:1: s0/ratelimit: a pass is reachable although a answered LIMITED: a=LIMITED\n",
	     {"ratelimit: a|[OK=ok LIMITED=ignore default=die]|OK,LIMITED"},
	     1,
	     0},
	    /* inside an include: its own group grants no more then, the one around it does */
	    {"t.conf:3: s0/auth: a grant is reachable although b answered DENIED: s1/b=DENIED, "
	     "s1=NOCRED, a=OK\n",
	     {"auth: @1|sufficient|-; a|required|OK",
	      "auth: b|[OK=done DENIED=ignore default=die]|OK,DENIED"},
	     1,
	     0},
	    {"",
	     {"auth: @1|optional|-; a|required|OK",
	      "auth: b|[OK=done DENIED=ignore default=die]|OK,DENIED"},
	     0,
	     0},
	    {"t.conf:1: s0/auth: a grant is reachable although s1 answered DENIED: s1/b=DENIED, "
	     "s1=DENIED, a=OK\n",
	     {"auth: @1|[OK=done default=ignore]|-; a|required|OK", "auth: b|required|OK,DENIED"},
	     1,
	     0},
	    /* another organisation is DENIED, whatever the module lists */
	    {"t.conf:2: s0/auth: a grant is reachable although b answered DENIED: a=OK, b=DENIED\n",
	     {"auth: a|required|OK; b|[OK=ok DENIED=ignore default=die]|OK|i"},
	     1,
	     0},
	    /* one finding a line */
	    {"t.conf:1: s0/auth: a grant is reachable although a answered BADCRED: a=BADCRED, "
	     "b=OK\n",
	     {"auth: a|[OK=done default=ignore]|" CODES "; b|required|OK"},
	     1,
	     0},
	};
	CHECK(cases);
}

static void peers_in_authz(void)
{
	static const struct finding cases[] = {
	    {"t.conf:2: s0/authz: \"b\" may answer IGNORE, and \"a\" alone decides then\n",
	     {"authz: a|required|OK,NOCRED; b|required|OK,IGNORE"},
	     1,
	     0},
	    {"", {"authz: a|required|OK,NOCRED; b|[OK=ok default=die]|OK,IGNORE"}, 0, 0},
	    {"", {"authz: a|required|OK,NOCRED; b|required|OK,IGNORE|h"}, 0, 0},
	    {"", {"authz: a|required|OK,NOCRED; b|optional|OK,IGNORE"}, 0, 0},
	    {"", {"authz: b|required|OK,IGNORE"}, 0, 0},
	    {"", {"auth: a|required|OK; b|required|OK,IGNORE"}, 0, 0},
	};
	CHECK(cases);
}

static void includes(void)
{
	static const struct finding cases[] = {
	    {"t.conf:2: include \"s0\": a cycle of includes\n",
	     {"auth: @1|required|-", "auth: @0|required|-"},
	     1,
	     0},
	    {"t.conf:1: include \"s0\": a cycle of includes\n", {"filter: @0|required|-"}, 1, 0},
	    /* the same stacks in different groups are no cycle */
	    {"",
	     {"auth: @1|required|-/ authz: x|required|OK",
	      "authz: @0|required|-/ auth: y|required|OK"},
	     0,
	     0},
	    {"",
	     {"auth: @1|required|-; @1|required|-", "auth: @2|required|-", "auth: a|required|OK"},
	     0,
	     0},
	};
	CHECK(cases);
	char text[12][40];
	const char *specs[12];
	for (int deep = 8; deep < 12; deep++) {
		struct fake f;
		for (int i = 0; i <= deep; i++) {
			snprintf(text[i], sizeof(text[i]),
			         i < deep ? "auth: @%d|required|-" : "auth: a|required|OK", i + 1);
			specs[i] = text[i];
		}
		CU_ASSERT_FATAL(fake_init(&f, specs, (unsigned)deep + 1));
		lint(&f.s, &f.conf, &f.d);
		/* said once, where the ninth level begins */
		CU_ASSERT_EQUAL(f.d.errors, deep > 8);
		if (deep == 10)
			CU_ASSERT(
			    str_eq(buf_str(&f.d.text),
			           STR("t.conf:2: include \"s2\": includes go over 8 deep\n")));
		fake_deinit(&f);
	}
}

static void warnings(void)
{
	static const struct finding cases[] = {
	    {"t.conf:2: warning: s0/auth: line \"b\" is never reached\n",
	     {"auth: a|[OK=done default=die]|OK,NOCRED; b|required|OK"},
	     0,
	     1},
	    {"t.conf:2: warning: s0/filter: line \"b\" is never reached\n",
	     {"filter: a|[OK=goto:L default=die]|OK,DENIED; b|required|OK; c|required|OK|L"},
	     0,
	     1},
	    {"t.conf:1: warning: s0/authz: when \"a\" answers OK the group ends: \"b\" is "
	     "skipped\n",
	     {"authz: a|sufficient|OK,NOCRED; b|required|OK"},
	     0,
	     1},
	    {"t.conf:1: warning: s0/ratelimit: when \"a\" answers OK the group ends: \"b\" is "
	     "skipped\n",
	     {"ratelimit: a|sufficient|OK,NOCRED; b|required|OK|h"},
	     0,
	     1},
	    {"t.conf:1: warning: s0/auth: when \"a\" answers OK the group ends: the helper \"c\" "
	     "is skipped\n",
	     {"auth: a|sufficient|OK,NOCRED; b|required|OK; c|required|IGNORE,DENIED|h"},
	     0,
	     1},
	    /* the host's own codes reach lines too */
	    {"", {"auth: a|[OK=done TIMEOUT=ignore default=die]|OK; b|required|OK"}, 0, 0},
	    {"", {"auth: a|[OK=done ERROR=ignore default=die]|OK; b|required|OK"}, 0, 0},
	    {"", {"auth: a|sufficient|OK,NOCRED; b|required|OK"}, 0, 0},
	    {"", {"filter: a|sufficient|OK,NOCRED; b|required|OK"}, 0, 0},
	};
	CHECK(cases);
}

static void attributes_read_too_early(void)
{
	static const struct finding cases[] = {
	    {"t.conf:1: warning: s0/auth: \"a\" reads id.sub, which no line before it writes\n",
	     {"auth: a|required|IGNORE,LIMITED|hrid.sub; b|required|OK|Wid.sub"},
	     0,
	     1},
	    {"", {"auth: b|required|OK|Wid.sub/ authz: a|required|OK|rid.sub"}, 0, 0},
	    {"", {"auth: b|required|OK|Wid.sub/ ratelimit: a|required|OK|rid.*"}, 0, 0},
	    {"", {"auth: b|required|OK|Wid.*/ ratelimit: a|required|OK|rid.sub"}, 0, 0},
	    {"t.conf:2: warning: s0/ratelimit: \"a\" reads id.tier, which no line before it "
	     "writes\n",
	     {"auth: b|required|OK|Wid.sub/ ratelimit: a|required|OK|rid.tier"},
	     0,
	     1},
	    {"t.conf:3: warning: s0/authz: \"a\" reads id.sub, which no line before it writes\n",
	     {"auth: b|optional|OK|Wid.sub; c|required|OK/ authz: a|required|OK|rid.sub"},
	     0,
	     1},
	    {"", {"auth: b|optional|OK|Wx.b.*; c|required|OK/ authz: a|required|OK|rx.b.k"}, 0, 0},
	    {"t.conf:3: warning: s0/authz: \"a\" reads x.b.k, which no line before it writes\n",
	     {"auth: b|required|OK|sWx.b.*; c|required|OK/ authz: a|required|OK|rx.b.k"},
	     0,
	     1},
	    {"",
	     {"auth: @1|required|-/ authz: a|required|OK|rid.sub", "auth: b|required|OK|Wid.sub"},
	     0,
	     0},
	    {"",
	     {"filter: a|required|OK|rnet.source; b|required|OK|raction; c|required|OK|rres.org"},
	     0,
	     0},
	    {"t.conf:1: warning: s0/filter: \"a\" reads actions, which no line before it writes\n",
	     {"filter: a|required|OK|ractions"},
	     0,
	     1},
	};
	CHECK(cases);
}

/* A line that did not compile has been reported; nothing about its group, or those that include it,
 * is added. */
static void broken_lines_are_passed_over(void)
{
	static const char *const specs[] = {"auth: @1|required|-", "auth: a|optional|OK"};
	struct fake f;
	CU_ASSERT_FATAL(fake_init(&f, specs, 2));
	f.v[1].group[G_AUTH].lines[0].ctx = NULL;
	lint(&f.s, &f.conf, &f.d);
	CU_ASSERT_EQUAL(f.d.errors + f.d.warnings, 0);
	fake_deinit(&f);
}

UNIT_MAIN("stack lint", UNIT(good_stacks_are_silent), UNIT(never_grants), UNIT(swallowed_refusals),
          UNIT(peers_in_authz), UNIT(includes), UNIT(warnings), UNIT(attributes_read_too_early),
          UNIT(broken_lines_are_passed_over))
