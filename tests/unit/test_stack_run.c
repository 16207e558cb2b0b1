/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The state machine against the design's tables: every control, code, position, prior state and
 * group; then includes, gotos, shadow, rollback and identity by hand-written cases.
 */
#include "stack_fake.h"

/* ---- design §3, to the letter ---- */
static const struct {
	const char *codes, *required, *requisite, *sufficient, *optional;
} design[] = {
    {"OK", "ok", "ok", "done", "ignore"},
    {"IGNORE", "ignore", "ignore", "ignore", "ignore"},
    {"NOCRED", "bad", "die", "ignore", "ignore"},
    {"BADCRED EXPIRED DENIED LIMITED", "bad", "die", "die", "ignore"},
    {"UNAVAIL TIMEOUT ERROR", "bad", "die", "die", "ignore"},
    {"REPLY", "die", "die", "die", "ignore"},
};
/* group, then the status of each code that a group can fail with; UNDEF as NOCRED or pass */
static const struct {
	const char *group;
	const char *undef;
	unsigned nocred, badcred, expired, denied, limited, unavail, timeout, error, reply;
} outcome[] = {
    {"auth", "NOCRED", 401, 401, 401, 403, 429, 503, 503, 500, 0},
    {"authz", "NOCRED", 403, 403, 403, 403, 429, 503, 503, 500, 0},
    {"ratelimit", "pass", 403, 403, 403, 403, 429, 503, 503, 500, 0},
    {"filter", "pass", 403, 403, 403, 403, 429, 503, 503, 500, 0},
    {"audit", "pass", 503, 503, 503, 503, 503, 503, 503, 503, 503},
};
static const char *const controls[] = {"required", "requisite", "sufficient", "optional"};

static const char *design_action(const char *control, const char *code)
{
	for (size_t i = 0; i < sizeof(design) / sizeof(design[0]); i++) {
		struct str codes = str_of(design[i].codes);
		while (codes.p)
			if (str_eq(str_split(&codes, ' '), str_of(code)))
				return control[3] == 'i'
				           ? (control[0] == 'o' ? design[i].optional : NULL)
				       : !strcmp(control, "required")  ? design[i].required
				       : !strcmp(control, "requisite") ? design[i].requisite
				                                       : design[i].sufficient;
	}
	return NULL;
}

static unsigned design_status(int g, const char *code)
{
	const unsigned by_code[] = {0,
	                            0,
	                            0,
	                            outcome[g].nocred,
	                            outcome[g].badcred,
	                            outcome[g].expired,
	                            outcome[g].denied,
	                            outcome[g].limited,
	                            outcome[g].unavail,
	                            outcome[g].timeout,
	                            outcome[g].error,
	                            outcome[g].reply};
	return by_code[code_of(str_of(code))];
}

enum prior { PRIOR_UNDEF, PRIOR_POS, PRIOR_NEG };
enum place { FIRST, MIDDLE, LAST };

struct row {
	int g;
	const char *control, *code;
	bool grantor;
	enum prior prior;
	enum place place;
};

/* What must come out, from the design's words alone: "code" that the group ends with ("OK": it
 * passes). */
static const char *expect_code(const struct row *row, bool *ended)
{
	const char *act = design_action(row->control, row->code);
	const char *as = row->g == G_AUDIT && !strcmp(row->code, "REPLY") ? "ERROR" : row->code;
	bool may = row->grantor || (row->g != G_AUTH && row->g != G_AUTHZ);
	if (row->g == G_AUDIT && !strcmp(act, "die"))
		act = "bad"; /* every line of audit runs */
	bool pos = row->prior == PRIOR_POS;
	if (row->prior == PRIOR_UNDEF && (!strcmp(act, "ok") || !strcmp(act, "done")) && may)
		pos = true;
	*ended = !strcmp(act, "die") || (!strcmp(act, "done") && pos && row->prior != PRIOR_NEG);
	if (row->prior == PRIOR_NEG)
		return "LIMITED";
	if (!strcmp(act, "bad") || !strcmp(act, "die"))
		return as;
	return pos || !strcmp(outcome[row->g].undef, "pass") ? "OK" : "NOCRED";
}

static bool check_row(const struct row *row)
{
	static const char *const priors[] = {"p|optional|IGNORE|h", "p|required|OK",
	                                     "p|required|LIMITED"};
	char spec[256];
	const char *specs[] = {spec};
	struct fake f;
	struct fake_tx t;
	struct run r;
	bool ended;

	snprintf(spec, sizeof(spec), "%s: %s%s x|%s|%s%s%s", conf_group_names[row->g],
	         row->place == FIRST ? "" : priors[row->prior], row->place == FIRST ? "" : ";",
	         row->control, row->code, row->grantor ? "" : "|h",
	         row->place == LAST ? "" : "; n|optional|OK");
	if (!fake_init(&f, specs, 1))
		abort();
	fake_tx_init(&t);
	struct verdict v = fake_run(&t, &r, &f.v[0], (enum conf_group)row->g, false);
	const char *code = expect_code(row, &ended);
	bool pass = !strcmp(code, "OK");
	bool ran_on = str_find(buf_str(&t.log), 'n') >= 0;
	bool discarded = str_find(buf_str(&t.log), '!') >= 0;
	bool reply = !strcmp(row->code, "REPLY");
	bool ok = v.pass == pass && v.code == code_of(str_of(code)) &&
	          v.status == (pass ? 0 : design_status(row->g, code)) &&
	          ran_on == (row->place != LAST && !ended) &&
	          discarded == (reply && strcmp(code, "REPLY") != 0);
	if (!ok)
		printf("\n%s: %s %d %u log %.*s, want %s ended %d\n", spec, code_name(v.code),
		       v.pass, v.status, (int)t.log.n, t.log.p, code, ended);
	fake_tx_deinit(&t);
	fake_deinit(&f);
	return ok;
}

static void truth_table(void)
{
	unsigned rows = 0;
	for (int g = 0; g < G_COUNT; g++)
		for (int control = 0; control < 4; control++)
			for (int code = 1; code <= MERLON_CODE_MAX; code++)
				for (int grantor = 0; grantor < 2; grantor++)
					for (int place = FIRST; place <= LAST; place++)
						for (int prior = 0;
						     prior < (place == FIRST ? 1 : 3); prior++) {
							struct row row = {g,
							                  controls[control],
							                  code_name(code),
							                  grantor,
							                  prior,
							                  place};
							if (g == G_AUDIT &&
							    (control == 1 || control == 2))
								continue;
							rows++;
							CU_ASSERT(check_row(&row));
						}
	CU_ASSERT_EQUAL(rows, (4 * 4 + 2) * 11 * 2 * 7);
}

/* ---- cases by hand: "lines that ran -> outcome" ---- */
struct hand {
	const char *want;
	const char *specs[4];
};

static struct str outcome_of(struct fake_tx *t, const struct verdict *v, struct arena *a)
{
	struct str log = buf_str(&t->log);
	if (v->pass)
		return arena_printf(a, "%.*s -> pass", STR_FMT(log));
	return arena_printf(a, "%.*s -> %u %s by %.*s", STR_FMT(log), v->status, code_name(v->code),
	                    STR_FMT(v->by ? v->by->conf->name : STR("nobody")));
}

/* What of the identity and of the lines' own attributes is left. */
static struct str attrs_of(const struct fake_tx *t, struct arena *a)
{
	struct str sub = attrs_str(&t->attrs, STR("id.sub")),
		   team = attrs_str(&t->attrs, STR("id.team"));
	struct str text = arena_printf(a, "sub=%.*s team=%.*s x=", STR_FMT(sub), STR_FMT(team));
	for (unsigned i = 0; i < t->attrs.n; i++)
		if (str_starts(t->attrs.v[i].key, STR("x.")))
			text = arena_printf(a, "%.*s%.*s", STR_FMT(text),
			                    STR_FMT(from_merlon(t->attrs.v[i].val.u.str)));
	return text;
}

static void run_hand(const struct hand *cases, size_t n, bool attrs, bool reverse)
{
	for (size_t i = 0; i < n; i++) {
		struct fake f;
		struct fake_tx t;
		struct run r;
		unsigned k = 0;
		while (k < 4 && cases[i].specs[k])
			k++;
		if (!fake_init(&f, cases[i].specs, k)) {
			printf("\n%s: %.*s\n", cases[i].specs[0], STR_FMT(f.why));
			abort();
		}
		fake_tx_init(&t);
		int g = 0;
		while (!str_starts(str_of(cases[i].specs[0]), str_of(conf_group_names[g])) ||
		       cases[i].specs[0][strlen(conf_group_names[g])] != ':')
			g++;
		struct verdict v = fake_run(&t, &r, &f.v[0], (enum conf_group)g, reverse);
		struct str got = attrs ? attrs_of(&t, &f.a) : outcome_of(&t, &v, &f.a);
		bool ok = str_eq(got, str_of(cases[i].want));
		if (!ok)
			printf("\n%s\n  got  %.*s\n  want %s\n", cases[i].specs[0], STR_FMT(got),
			       cases[i].want);
		CU_ASSERT(ok);
		CU_ASSERT(!t.attrs.id_write);
		fake_tx_deinit(&t);
		fake_deinit(&f);
	}
}
#define HAND(cases) run_hand(cases, sizeof(cases) / sizeof(cases[0]), false, false)

static void empty_and_none(void)
{
	static const struct hand cases[] = {
	    {" -> 401 NOCRED by nobody", {"auth:"}},
	    {" -> 403 NOCRED by nobody", {"authz:"}},
	    {" -> pass", {"ratelimit:"}},
	    {" -> pass", {"filter:"}},
	    {" -> pass", {"audit:"}},
	};
	HAND(cases);
	/* auth = "none" passes by itself, and establishes nothing for who includes it */
	static const struct hand none[] = {
	    {" -> 401 NOCRED by s1", {"auth: @1|required|-", "authz: a|required|OK"}},
	    {"a -> pass", {"auth: @1|sufficient|-; a|requisite|OK", "authz: b|required|OK"}},
	};
	HAND(none);
	static const char *const specs[] = {"ratelimit:"};
	struct fake f;
	struct fake_tx t;
	struct run r;
	CU_ASSERT_FATAL(fake_init(&f, specs, 1));
	fake_tx_init(&t);
	CU_ASSERT(fake_run(&t, &r, &f.v[0], G_AUTH, false).pass);
	CU_ASSERT(fake_run(&t, &r, &f.v[0], G_AUTHZ, false).pass);
	fake_tx_deinit(&t);
	fake_deinit(&f);
}

static void nonsense_is_an_error(void)
{
	static const struct hand cases[] = {
	    {"a -> 500 ERROR by a", {"auth: a|required|0"}},
	    {"a -> 500 ERROR by a", {"auth: a|sufficient|42; b|required|OK"}},
	    {"a -> 500 ERROR by a", {"auth: a|requisite|-7"}},
	    {"a -> 500 ERROR by a", {"auth: a|requisite|255|p"}}, /* pending twice */
	    {"a -> 500 ERROR by a", {"authz: a|requisite|12|p; b|required|OK"}},
	};
	HAND(cases);
}

static void no_code_repairs_neg(void)
{
	static const struct hand cases[] = {
	    {"a b c -> 401 NOCRED by a",
	     {"auth: a|required|NOCRED; b|sufficient|OK; c|required|DENIED"}},
	    {"a b -> 403 DENIED by a",
	     {"auth: a|required|DENIED; b|requisite|UNAVAIL; c|required|OK"}},
	    {"a b -> 403 DENIED by b", {"auth: a|required|OK; b|required|DENIED"}},
	    /* a reply does not hide an earlier refusal */
	    {"a b !b -> 429 LIMITED by a",
	     {"ratelimit: a|required|LIMITED; b|required|REPLY; c|required|OK"}},
	    {"a b !b c -> pass", {"filter: a|required|OK; b|optional|REPLY; c|required|OK"}},
	    {"a -> 0 REPLY by a", {"filter: a|required|REPLY; c|required|OK"}},
	    {"a c -> 0 REPLY by a", {"filter: a|[OK=ok REPLY=bad]|REPLY; c|required|OK"}},
	};
	HAND(cases);
}

static void grantors_and_helpers(void)
{
	static const struct hand cases[] = {
	    {"a -> 401 NOCRED by nobody", {"auth: a|required|OK|h"}},
	    {"a b -> pass", {"auth: a|sufficient|OK|h; b|required|OK"}},
	    {"b a -> pass", {"auth: b|required|OK; a|sufficient|OK|h; c|required|DENIED"}},
	    {"a -> pass", {"ratelimit: a|sufficient|OK|h; b|required|LIMITED"}},
	    {"a b -> 403 DENIED by b", {"authz: a|required|OK; b|required|DENIED|h"}},
	};
	HAND(cases);
}

static void brackets(void)
{
	static const struct hand cases[] = {
	    {"a -> 403 DENIED by a", {"auth: a|[OK=die]|OK; b|required|OK"}},
	    {"a b -> 403 DENIED by a", {"auth: a|[OK=bad]|OK; b|required|OK"}},
	    {"a -> 403 DENIED by a", {"auth: a|[OK=ok IGNORE=die]|IGNORE"}},
	    {"a -> 403 DENIED by a", {"auth: a|[OK=ok]|IGNORE"}}, /* not listed: bad */
	    {"a -> 401 BADCRED by a", {"auth: a|[OK=ok default=die]|BADCRED; b|required|OK"}},
	    {"a b -> pass",
	     {"auth: a|[OK=done BADCRED=ignore default=die]|BADCRED; b|required|OK"}},
	    {"a -> pass", {"auth: a|[ OK=done\tdefault=die ]|OK; b|required|DENIED"}},
	    {"a c -> pass",
	     {"auth: a|[NOCRED=goto:L OK=ok]|NOCRED; b|required|DENIED; c|required|OK|L"}},
	    {"a c -> 401 NOCRED by nobody",
	     {"auth: a|[OK=goto:L]|OK; b|required|OK; c|required|IGNORE|L"}},
	    {"a !a c -> pass",
	     {"auth: a|[OK=ok REPLY=goto:L]|REPLY; b|required|DENIED; c|required|OK|L"}},
	    {"a d -> pass",
	     {"authz: a|[OK=ok DENIED=goto:M]|DENIED; b|required|OK|L; c|required|OK; "
	      "d|required|OK|M"}},
	};
	HAND(cases);
}

static void fail_open(void)
{
	static const struct hand cases[] = {
	    /* nothing else answered: the failure stood between, so it is ours */
	    {"a -> 503 UNAVAIL by nobody", {"auth: a|required|UNAVAIL|f"}},
	    {"a b -> 503 UNAVAIL by b", {"auth: a|sufficient|TIMEOUT|f; b|requisite|NOCRED"}},
	    {"a b -> pass", {"auth: a|sufficient|ERROR|f; b|requisite|OK"}},
	    {"a b -> 401 BADCRED by b", {"auth: a|sufficient|ERROR|f; b|requisite|BADCRED"}},
	    {"a b -> 401 NOCRED by b", {"auth: a|optional|ERROR; b|requisite|NOCRED"}},
	    {"a b -> 503 UNAVAIL by b", {"auth: a|optional|ERROR|f; b|requisite|NOCRED"}},
	    {"a b -> 401 NOCRED by b", {"auth: a|sufficient|NOCRED|f; b|requisite|NOCRED"}},
	    {"a b -> 503 UNAVAIL by b",
	     {"auth: a|[OK=done UNAVAIL=ignore default=die]|UNAVAIL; b|requisite|NOCRED"}},
	    {"a c -> 503 UNAVAIL by nobody",
	     {"auth: a|[OK=done UNAVAIL=goto:L default=die]|UNAVAIL; b|required|OK; "
	      "c|optional|OK|L"}},
	    {"a -> pass", {"ratelimit: a|requisite|UNAVAIL|f"}},
	    {"a -> pass", {"filter: a|[OK=ok ERROR=ignore default=die]|ERROR|f"}},
	    {"a b -> 503 UNAVAIL by b", {"authz: a|required|UNAVAIL|fh; b|required|NOCRED"}},
	    {"a -> pass", {"audit: a|required|UNAVAIL|f"}},
	    /* an included group that ends so is unavailable */
	    {"b -> 503 UNAVAIL by s1",
	     {"auth: @1|requisite|-; a|required|OK", "auth: b|required|UNAVAIL|f"}},
	    {"b a -> pass",
	     {"ratelimit: @1|requisite|-; a|required|OK", "ratelimit: b|required|UNAVAIL|f"}},
	};
	HAND(cases);
}

static void includes(void)
{
	static const struct hand cases[] = {
	    {"b -> pass", {"auth: @1|sufficient|-; a|required|DENIED", "auth: b|required|OK"}},
	    {"b a -> pass", {"auth: @1|sufficient|-; a|required|OK", "auth: b|required|NOCRED"}},
	    {"b -> 401 BADCRED by b",
	     {"auth: @1|sufficient|-; a|required|OK", "auth: b|required|BADCRED"}},
	    {"b a -> pass", {"auth: @1|optional|-; a|required|OK", "auth: b|required|DENIED"}},
	    /* fresh state inside: what stands outside does not count there, and the other way */
	    {"a b -> 401 NOCRED by s1",
	     {"auth: a|required|OK; @1|required|-", "auth: b|required|IGNORE"}},
	    {"a b c -> 403 DENIED by a",
	     {"auth: a|required|DENIED; @1|required|-",
	      "auth: b|sufficient|IGNORE; c|required|OK"}},
	    /* done and die end the inner group alone */
	    {"b a -> pass",
	     {"auth: @1|required|-; a|required|OK", "auth: b|sufficient|OK; c|required|DENIED"}},
	    {"b a -> 403 DENIED by b",
	     {"auth: @1|required|-; a|required|OK", "auth: b|requisite|DENIED; c|required|OK"}},
	    /* UNDEF */
	    {"b a -> pass",
	     {"ratelimit: @1|requisite|-; a|required|OK", "ratelimit: b|required|IGNORE"}},
	    {"b -> 403 NOCRED by s1",
	     {"authz: @1|requisite|-; a|required|OK", "authz: b|required|IGNORE"}},
	    /* the first failing code */
	    {"b c -> 401 EXPIRED by b",
	     {"auth: @1|requisite|-", "auth: b|required|EXPIRED; c|required|DENIED"}},
	    /* a reply inside ends the tx, also below optional */
	    {"b -> 0 REPLY by b",
	     {"auth: @1|optional|-; a|required|OK", "auth: b|required|REPLY; c|required|OK"}},
	    {"c -> 0 REPLY by c",
	     {"auth: @1|optional|-; a|required|OK", "auth: @2|optional|-",
	      "auth: c|requisite|REPLY"}},
	    {"b !b a -> pass", {"auth: @1|optional|-; a|required|OK", "auth: b|optional|REPLY"}},
	    {"a b !b -> 403 DENIED by a",
	     {"auth: a|required|DENIED; @1|required|-; c|required|OK", "auth: b|required|REPLY"}},
	    /* three deep, suspended inside */
	    {"c b -> pass",
	     {"auth: @1|sufficient|-", "auth: @2|required|-; b|required|OK|p",
	      "auth: c|required|OK|p"}},
	    {"b a -> 403 DENIED by s1",
	     {"auth: @1|[OK=bad]|-; a|required|OK", "auth: b|required|OK"}},
	};
	HAND(cases);
}

static void too_deep_is_an_error(void)
{
	const char *specs[11];
	char text[11][40];
	for (int i = 0; i < 11; i++) {
		snprintf(text[i], sizeof(text[i]),
		         i < 10 ? "auth: @%d|required|-" : "auth: a|required|OK", i + 1);
		specs[i] = text[i];
	}
	for (int from = 0; from < 4; from++) {
		struct fake f;
		struct fake_tx t;
		struct run r;
		CU_ASSERT_FATAL(fake_init(&f, specs, 11));
		fake_tx_init(&t);
		struct verdict v = fake_run(&t, &r, &f.v[from], G_AUTH, false);
		CU_ASSERT_EQUAL(v.code, from < 2 ? MERLON_ERROR : MERLON_OK);
		fake_tx_deinit(&t);
		fake_deinit(&f);
	}
}

static void shadow(void)
{
	static const struct hand cases[] = {
	    {"a !a b -> pass", {"auth: a|required|DENIED|s; b|required|OK"}},
	    {"a !a -> 401 NOCRED by nobody", {"auth: a|required|OK|s"}},
	    {"a !a b -> pass", {"filter: a|required|REPLY|s; b|required|OK"}},
	    {"a !a b -> 401 NOCRED by b", {"auth: a|required|UNAVAIL|sf; b|required|NOCRED"}},
	    {"b !b c !c a -> pass",
	     {"auth: @1|required|-|s; a|required|OK", "auth: b|required|DENIED; c|required|REPLY"}},
	    {"b !b a -> pass",
	     {"auth: @1|required|-|s; a|required|OK", "auth: b|requisite|REPLY; c|required|REPLY"}},
	    {"b !b -> 401 NOCRED by nobody", {"auth: @1|sufficient|-|s", "auth: b|required|OK"}},
	};
	HAND(cases);
}

static void every_audit_line_runs(void)
{
	static const struct hand cases[] = {
	    {"a b c -> 503 UNAVAIL by a",
	     {"audit: a|required|UNAVAIL; b|required|OK; c|optional|ERROR"}},
	    {"a b -> pass", {"audit: a|optional|ERROR; b|required|OK"}},
	    {"a !a b -> 503 ERROR by a", {"audit: a|required|REPLY; b|required|OK"}},
	    {"b c a -> 503 DENIED by b",
	     {"audit: @1|required|-; a|required|OK", "audit: b|required|DENIED; c|required|OK"}},
	};
	HAND(cases);
}

static void status_on_bad_credential(void)
{
	static const char *const specs[] = {"auth: @1|required|-", "auth: a|required|BADCRED"};
	static const struct {
		int32_t code;
		unsigned status;
	} rows[] = {{MERLON_BADCRED, 403},
	            {MERLON_EXPIRED, 403},
	            {MERLON_NOCRED, 401},
	            {MERLON_DENIED, 403},
	            {MERLON_ERROR, 500}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake f;
		struct fake_tx t;
		struct run r;
		CU_ASSERT_FATAL(fake_init(&f, specs, 2));
		fake_tx_init(&t);
		struct stack_line *l = &f.v[1].group[G_AUTH].lines[0];
		l->ctx->status_on_bad_credential = 403;
		((struct fake_answer *)l->ctx->inst)->code = rows[i].code;
		struct verdict v = fake_run(&t, &r, &f.v[0], G_AUTH, false);
		CU_ASSERT_EQUAL(v.status, rows[i].status);
		CU_ASSERT(!v.pass);
		fake_tx_deinit(&t);
		fake_deinit(&f);
	}
}

static void rollback_and_identity(void)
{
	static const struct hand cases[] = {
	    {"sub=a team= x=a", {"auth: a|required|OK"}},
	    {"sub= team= x=", {"auth: a|required|BADCRED"}},
	    {"sub=b team= x=b", {"auth: a|sufficient|NOCRED; b|required|OK"}},
	    /* later granting lines write x.* only, helpers too, optional ones too */
	    {"sub=a team= x=abt", {"auth: a|required|OK; bt|required|OK"}},
	    {"sub=b team= x=ab", {"auth: a|required|OK|h; b|required|OK"}},
	    {"sub=b team= x=ab", {"auth: a|optional|OK; b|required|OK"}},
	    {"sub= team= x=ab", {"auth: a|[OK=goto:L]|OK; b|[OK=ignore]|OK|L"}},
	    {"sub= team= x=b",
	     {"auth: a|required|DENIED; b|required|OK"}}, /* a is rolled back, b comes too late */
	    {"sub=b team= x=b", {"auth: a|required|OK|s; b|required|OK"}},
	    /* identity = "add" fills what is unset; another organisation is refused */
	    {"sub=a team=bt x=abt", {"auth: a|required|OK; bt|required|OK|i"}},
	    {"sub=at team=at x=atbt", {"auth: at|required|OK; bt|required|OK|i"}},
	    {"sub=a team= x=a", {"auth: a|required|OK; zt|required|OK|i"}},
	    {"sub=zt team=zt x=zt", {"auth: zt|required|OK|i"}}, /* the first one establishes it */
	    {"sub=a team= x=abt", {"auth: a|required|OK; bt|[OK=ignore]|OK|i"}},
	    {"sub=a team= x=abt", {"auth: a|required|OK; bt|optional|OK|i"}},
	    /* includes */
	    {"sub=b team= x=b", {"auth: @1|sufficient|-", "auth: b|required|OK"}},
	    {"sub= team= x=", {"auth: @1|required|-", "auth: b|required|OK; c|required|DENIED"}},
	    {"sub=c team= x=c",
	     {"auth: @1|sufficient|-; c|required|OK", "auth: b|[OK=ok]|OK; d|required|NOCRED"}},
	    {"sub=a team= x=bta", {"auth: @1|optional|-; a|required|OK", "auth: bt|required|OK"}},
	    {"sub=a team= x=abt", {"auth: a|required|OK; @1|required|-", "auth: bt|required|OK"}},
	    {"sub=a team=bt x=abt",
	     {"auth: a|required|OK; @1|required|-|i", "auth: bt|required|OK"}},
	    {"sub=a team= x=a", {"auth: a|required|OK; @1|required|-|i", "auth: zt|required|OK"}},
	    {"sub=b team= x=bct", {"auth: @1|required|-; ct|required|OK", "auth: b|required|OK"}},
	    {"sub=b team=ct x=bct",
	     {"auth: @1|required|-", "auth: b|required|OK; ct|required|OK|i"}},
	    {"sub= team= x=", {"auth: @1|required|-|s", "auth: b|required|OK"}},
	    {"sub=c team= x=abc",
	     {"auth: @1|required|-", "auth: a|required|IGNORE; @2|required|-",
	      "auth: a|optional|OK; b|optional|OK; c|required|OK"}},
	    /* other groups establish nothing */
	    {"sub= team= x=a", {"authz: a|required|OK"}},
	    {"sub= team= x=a", {"filter: a|required|OK"}},
	};
	run_hand(cases, sizeof(cases) / sizeof(cases[0]), true, false);
	static const struct hand conflict[] = {
	    {"a zt b -> 403 DENIED by zt",
	     {"auth: a|required|OK; zt|required|OK|i; b|optional|OK|i"}},
	    {"a zt -> 401 BADCRED by zt", {"auth: a|required|OK; zt|requisite|BADCRED|i"}},
	    {"a zt -> pass", {"auth: a|required|OK; zt|required|OK"}},
	    {"a zt -> 403 DENIED by zt",
	     {"auth: a|required|OK; @1|required|-|i", "auth: zt|required|OK"}},
	};
	HAND(conflict);
}

static void the_way_back(void)
{
	static const struct hand cases[] = {
	    {"c b a -> pass", {"filter: a|required|OK; b|sufficient|OK; c|required|OK"}},
	    {"c b -> 403 DENIED by b",
	     {"filter: a|required|OK; b|requisite|DENIED; c|required|OK"}},
	    {"c b a -> 403 DENIED by b",
	     {"filter: a|required|OK; b|required|DENIED; c|required|OK"}},
	    {"c b a -> pass", {"filter: a|[OK=goto:L]|OK; b|required|OK; c|required|OK|L"}},
	    {"d c b a -> pass",
	     {"filter: a|required|OK; @1|required|-; d|required|OK",
	      "filter: b|required|OK; c|required|OK|p"}},
	    {"d c -> 0 REPLY by c",
	     {"filter: a|required|OK; @1|required|-; d|required|OK",
	      "filter: b|required|OK; c|required|REPLY"}},
	};
	run_hand(cases, sizeof(cases) / sizeof(cases[0]), false, true);
}

static void decisions_are_told(void)
{
	static const char *const specs[] = {
	    "auth: a|required|IGNORE; z|required|OK|s; @1|required|-",
	    "auth: b|required|0; c|optional|DENIED"};
	struct fake f;
	struct fake_tx t;
	struct run r;
	CU_ASSERT_FATAL(fake_init(&f, specs, 2));
	fake_tx_init(&t);
	fake_run(&t, &r, &f.v[0], G_AUTH, false);
	CU_ASSERT(str_eq(buf_str(&t.codes), STR("a=IGNORE z=OK b=ERROR c=DENIED s1=ERROR")));
	fake_tx_deinit(&t);
	fake_deinit(&f);
}

static int32_t call_wrong_type(merlon_tx *tx, const struct stack_line *l, enum conf_group g)
{
	struct fake_tx *t = (struct fake_tx *)(void *)tx;
	struct merlon_val v = {.type = MERLON_VAL_I64, .u.i64 = 1};

	CU_ASSERT_EQUAL(attrs_set_by(&t->attrs, l->ctx, l->conf->name, STR("id.allow_models"), &v),
	                MERLON_E_INVAL);
	return fake_call(tx, l, g);
}

/* Without its models the identity would be allowed all of them. */
static void a_lost_part_of_the_identity_is_an_error(void)
{
	static const struct run_ops ops = {call_wrong_type, fake_decided, fake_discard};
	const char *const specs[] = {"auth: a|requisite|OK"};
	struct fake f;
	struct fake_tx t;
	struct run r;

	CU_ASSERT_FATAL(fake_init(&f, specs, 1));
	fake_tx_init(&t);
	run_begin(&r, &f.v[0], G_AUTH, &ops, (merlon_tx *)(void *)&t, &t.attrs);
	CU_ASSERT_EQUAL(run_go(&r), RUN_END);
	CU_ASSERT_EQUAL(run_verdict(&r).status, 500);
	CU_ASSERT_EQUAL(t.attrs.n, 0);
	fake_tx_deinit(&t);
	fake_deinit(&f);
}

UNIT_MAIN("stack run", UNIT(truth_table), UNIT(empty_and_none), UNIT(nonsense_is_an_error),
          UNIT(no_code_repairs_neg), UNIT(grantors_and_helpers), UNIT(brackets), UNIT(fail_open),
          UNIT(includes), UNIT(too_deep_is_an_error), UNIT(shadow), UNIT(every_audit_line_runs),
          UNIT(status_on_bad_credential), UNIT(rollback_and_identity), UNIT(the_way_back),
          UNIT(decisions_are_told), UNIT(a_lost_part_of_the_identity_is_an_error))
