/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Random stacks against a model of the design that shares no code and no form with
 * core/stack/run.c: it recurses, it works on words, and it says beforehand what each line may
 * write. The seed is fixed and printed with a failure.
 */
#include "stack_fake.h"

#define CASES 20000
#define SEED 20261122u
#define MODEL_STACKS 4
#define MODEL_LINES 5

static uint32_t seed;
static unsigned
pick(unsigned n) /* Numerical Recipes' generator; the high bits are the better ones */
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

struct mline {
	char name[8];
	int include; /* -1: a module */
	char control[200];
	char word[12][16]; /* the action of each code, from the code's number */
	const char *code;
	bool helper, shadow, fail_open, add, later;
	char label; /* 0, 'L', 'M' */
};
struct mgroup {
	struct mline line[MODEL_LINES];
	unsigned n;
};
static struct mgroup model[MODEL_STACKS];
static const char *group_name;

static const char *const codes[] = {"",       "OK",      "IGNORE",  "NOCRED",  "BADCRED", "EXPIRED",
                                    "DENIED", "LIMITED", "UNAVAIL", "TIMEOUT", "ERROR",   "REPLY"};
static bool one_of(const char *s, const char *list) /* list: " A B C " */
{
	char padded[24];
	snprintf(padded, sizeof(padded), " %s ", s);
	return strstr(list, padded) != NULL;
}
static bool auth_like(void)
{
	return !strcmp(group_name, "auth") || !strcmp(group_name, "authz");
}

/* ---- making stacks ---- */
static void keyword(struct mline *l)
{
	static const char *const words[] = {"required", "requisite", "sufficient", "optional"};
	unsigned k = pick(!strcmp(group_name, "audit") ? 2 : 4);
	if (!strcmp(group_name, "audit"))
		k *= 3;
	snprintf(l->control, sizeof(l->control), "%s", words[k]);
	for (int c = 1; c <= 11; c++) {
		const char *w = k == 1 ? "die" : "bad";
		if (k == 3 || !strcmp(codes[c], "IGNORE") ||
		    (k == 2 && !strcmp(codes[c], "NOCRED")))
			w = "ignore";
		else if (!strcmp(codes[c], "OK"))
			w = k == 2 ? "done" : "ok";
		else if (k == 2 || !strcmp(codes[c], "REPLY"))
			w = "die";
		if (l->fail_open && one_of(codes[c], " UNAVAIL TIMEOUT ERROR "))
			w = "ignore";
		snprintf(l->word[c], sizeof(l->word[c]), "%s", w);
	}
}

static void brackets(struct mline *l, const char *labels)
{
	static const char *const words[] = {"bad", "die", "ignore", "goto"};
	bool must_say = one_of(group_name, " authz ratelimit filter ");
	bool listed[12] = {false};
	size_t n = (size_t)snprintf(l->control, sizeof(l->control), "[default=die");
	for (int c = 1; c <= 11; c++) {
		const char *w = words[pick(labels[0] ? 4 : 3)];
		if (!strcmp(codes[c], "OK") && pick(3))
			w = pick(2) ? "ok" : "done";
		if (must_say && !l->fail_open && one_of(codes[c], " UNAVAIL TIMEOUT ERROR ") &&
		    w[0] != 'b')
			w = "die";
		listed[c] = pick(4) > 0;
		snprintf(l->word[c], sizeof(l->word[c]), "%s", listed[c] ? w : "die");
		if (listed[c] && w[0] == 'g')
			snprintf(l->word[c], sizeof(l->word[c]), "goto:%c",
			         labels[pick((unsigned)strlen(labels))]);
		if (listed[c])
			n += (size_t)snprintf(l->control + n, sizeof(l->control) - n, " %s=%s",
			                      codes[c], l->word[c]);
	}
	snprintf(l->control + n, sizeof(l->control) - n, "]");
}

static void make_group(int stack)
{
	struct mgroup *g = &model[stack];
	char labels[3] = "";
	memset(g, 0, sizeof(*g));
	g->n = pick(MODEL_LINES + 1);
	for (unsigned i = g->n; i-- > 0;) {
		struct mline *l = &g->line[i];
		l->include = stack + 1 < MODEL_STACKS && pick(4) == 0
		                 ? stack + 1 + (int)pick(MODEL_STACKS - 1u - (unsigned)stack)
		                 : -1;
		snprintf(l->name, sizeof(l->name), "%s%c%c%s", pick(4) ? "" : "z", 'a' + (int)i,
		         '0' + stack, pick(2) ? "t" : "");
		if (l->include >= 0)
			snprintf(l->name, sizeof(l->name), "s%c", '0' + l->include);
		l->helper = l->include < 0 && pick(4) == 0;
		l->shadow = pick(8) == 0;
		l->fail_open = pick(3) == 0;
		l->add = pick(3) == 0;
		l->later = pick(3) == 0;
		l->code = codes[pick(2) ? 1 : 1 + pick(11)];
		if (!strcmp(group_name, "audit") || pick(2))
			keyword(l);
		else
			brackets(l, labels);
		if (pick(3) == 0 && strlen(labels) < 2) {
			l->label = labels[0] ? 'M' : 'L';
			labels[strlen(labels)] = l->label;
		}
	}
}

static void write_spec(int stack, char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, "%s:", group_name);
	for (unsigned i = 0; i < model[stack].n; i++) {
		const struct mline *l = &model[stack].line[i];
		char name[12];
		snprintf(name, sizeof(name), "%.11s", l->name);
		if (l->include >= 0)
			name[0] = '@'; /* s2: @2 */
		n += (size_t)snprintf(out + n, size - n, "%s %s|%s|%s|%s%s%s%s%s%c", i ? ";" : "",
		                      name, l->control, l->include >= 0 ? "-" : l->code,
		                      l->helper ? "h" : "", l->shadow ? "s" : "",
		                      l->fail_open ? "f" : "", l->add ? "i" : "",
		                      l->later ? "p" : "", l->label ? l->label : ' ');
	}
}

/* ---- the model ---- */
struct world {
	char log[2048];
	char sub[8], team[8], org[8]; /* empty: unset */
	char x[400];
	char by[8];
};
struct inside {
	bool identity, fill,
	    shadow; /* what lines in this group may do to the identity; nothing counts */
};
static struct world world;

static void add(char *to, size_t size, const char *a, const char *b)
{
	size_t n = strlen(to);
	snprintf(to + n, size - n, "%s%s%s", n ? " " : "", a, b);
}

/* What the line writes if its OK counts; returns whether another organisation stands in the way. */
static bool write_identity(const struct mline *l, bool fill)
{
	const char *org = l->name[0] == 'z' ? "other" : "acme";
	if (fill && world.org[0] && strcmp(world.org, org) != 0)
		return true;
	if (!fill || !world.sub[0])
		snprintf(world.sub, sizeof(world.sub), "%s", l->name);
	if (!fill || !world.org[0])
		snprintf(world.org, sizeof(world.org), "%s", org);
	if (l->name[strlen(l->name) - 1] == 't' && (!fill || !world.team[0]))
		snprintf(world.team, sizeof(world.team), "%s", l->name);
	return false;
}

struct result {
	const char *state; /* UNDEF POS NEG */
	const char *code;
	bool opened; /* a failure was ignored by fail_open */
	char by[8];
};
static struct result group(int stack, struct inside in);

static const char *yield(const struct result *r)
{
	const char *code = r->code;
	if (r->state[0] == 'U')
		code = auth_like() ? "NOCRED" : "IGNORE";
	return !strcmp(code, "NOCRED") && r->opened ? "UNAVAIL" : code;
}

static bool is_grantor(const struct mline *l)
{
	return !l->shadow && (l->include >= 0 || !l->helper);
}

/* Runs a line or an include; answers with its code and rolls back what must not stay. */
static const char *one(const struct mline *l, const struct result *so_far, struct inside in,
                       char by[8])
{
	struct world before = world;
	bool ok_counts = !l->shadow && (!strcmp(l->word[1], "ok") || !strcmp(l->word[1], "done"));
	struct inside may = {.shadow = in.shadow || l->shadow};
	if (in.identity && is_grantor(l) && ok_counts) {
		may.identity = so_far->state[0] == 'U' || (so_far->state[0] == 'P' && l->add);
		may.fill = so_far->state[0] == 'P' || in.fill;
	}
	const char *code;
	bool replied = false;
	snprintf(by, 8, "%s", l->name);
	if (l->include >= 0) {
		struct result r = group(l->include, may);
		code = yield(&r);
		if (r.by[0])
			snprintf(by, 8, "%s", r.by);
	} else {
		add(world.log, sizeof(world.log), "", l->name);
		code = l->code;
		replied = !strcmp(code, "REPLY");
		add(world.x, sizeof(world.x), "", l->name);
		if (may.identity && write_identity(l, may.fill) && !strcmp(code, "OK"))
			code = "DENIED";
	}
	if (replied && !strcmp(group_name, "audit"))
		code = "ERROR";
	if (strcmp(code, "OK") != 0 || l->shadow) {
		struct world now = world;
		world = before;
		memcpy(world.log, now.log, sizeof(now.log));
	} else if (!may.identity) {
		memcpy(world.sub, before.sub, sizeof(before.sub));
		memcpy(world.team, before.team, sizeof(before.team));
		memcpy(world.org, before.org, sizeof(before.org));
	}
	return code;
}

static bool reply_stands(const struct result *r, const struct result *was)
{
	return was->state[0] != 'N' && r->state[0] == 'N' && !strcmp(r->code, "REPLY");
}

/* One line's answer, by the words of the design. Returns the label to go to, "end" or "next". */
static const char *apply(struct result *r, const struct mline *l, const char *code, const char *by)
{
	const char *w = l->word[0];
	for (int c = 1; c <= 11; c++)
		if (!strcmp(codes[c], code))
			w = l->word[c];
	if (l->include >= 0 && !strcmp(code, "REPLY"))
		w = "die";
	if (l->shadow)
		w = "ignore";
	if (!strcmp(group_name, "audit") && !strcmp(w, "die"))
		w = "bad";
	if (w[0] == 'i' || w[0] == 'g') {
		bool said = l->fail_open || l->control[0] == '[';
		if (said && !l->shadow && one_of(code, " UNAVAIL TIMEOUT ERROR "))
			r->opened = true;
		return w[0] == 'g' ? w + 5 : "next";
	}
	if (w[0] == 'o' || !strcmp(w, "done")) {
		if (r->state[0] == 'U' && (is_grantor(l) || !auth_like())) {
			r->state = "POS";
			r->code = "OK";
			snprintf(r->by, sizeof(r->by), "%s", by);
		}
		return !strcmp(w, "done") && r->state[0] == 'P' ? "end" : "next";
	}
	if (r->state[0] != 'N') {
		bool odd = one_of(code, " OK IGNORE ");
		r->state = "NEG";
		r->code = odd ? "DENIED" : code;
		snprintf(r->by, sizeof(r->by), "%s", odd ? l->name : by);
	}
	return !strcmp(w, "die") ? "end" : "next";
}

static struct result group(int stack, struct inside in)
{
	struct result r = {"UNDEF", "", false, ""};
	const struct mgroup *g = &model[stack];
	for (unsigned i = 0; i < g->n;) {
		const struct mline *l = &g->line[i];
		struct result was = r;
		char by[8];
		const char *code = one(l, &was, in, by);
		const char *next = apply(&r, l, code, by);
		bool said_reply =
		    l->include >= 0 ? !strcmp(code, "REPLY") : !strcmp(l->code, "REPLY");
		if (in.shadow || l->shadow) {
			if (l->include < 0)
				add(world.log, sizeof(world.log), "!", l->name);
		} else if (said_reply && !reply_stands(&r, &was)) {
			add(world.log, sizeof(world.log), "!", by);
		}
		if (!strcmp(next, "end"))
			break;
		i++;
		if (strlen(next) == 1)
			while (g->line[i].label != next[0])
				i++;
	}
	return r;
}

/* ---- one case ---- */
static const char *model_outcome(const struct result *r, char *out, size_t size)
{
	const char *code = yield(r);
	if (!strcmp(code, "OK") || !strcmp(code, "IGNORE"))
		snprintf(out, size, "pass");
	else
		snprintf(out, size, "%s by %s", code, r->by[0] ? r->by : "nobody");
	return out;
}

static void real_outcome(const struct verdict *v, char *out, size_t size)
{
	if (v->pass)
		snprintf(out, size, "pass");
	else
		snprintf(out, size, "%s by %.*s", code_name(v->code),
		         v->by ? (int)v->by->conf->name.n : 6,
		         v->by ? v->by->conf->name.p : "nobody");
}

static void real_attrs(const struct fake_tx *t, char *out, size_t size)
{
	struct str sub = attrs_str(&t->attrs, STR("id.sub")),
		   team = attrs_str(&t->attrs, STR("id.team")),
		   org = attrs_str(&t->attrs, STR("id.org"));
	size_t n = (size_t)snprintf(out, size, "%.*s/%.*s/%.*s:", STR_FMT(sub), STR_FMT(team),
	                            STR_FMT(org));
	bool first = true;
	for (unsigned i = 0; i < t->attrs.n; i++) {
		if (!str_starts(t->attrs.v[i].key, STR("x.")))
			continue;
		n += (size_t)snprintf(out + n, size - n, "%s%.*s", first ? "" : " ",
		                      STR_FMT(from_merlon(t->attrs.v[i].val.u.str)));
		first = false;
	}
}

static bool check_case(unsigned number, unsigned *passed)
{
	static char spec[MODEL_STACKS][2048];
	const char *specs[MODEL_STACKS];
	char want[64], got[64], want_attrs[512], got_attrs[512];
	struct fake f;
	struct fake_tx t;
	struct run r;

	group_name = conf_group_names[pick(3) ? 0 : pick(G_COUNT)];
	for (int i = 0; i < MODEL_STACKS; i++) {
		make_group(i);
		write_spec(i, spec[i], sizeof(spec[i]));
		specs[i] = spec[i];
	}
	if (!fake_init(&f, specs, MODEL_STACKS)) {
		printf("\n%s: %.*s\n", spec[0], STR_FMT(f.why));
		fake_deinit(&f);
		return false;
	}
	memset(&world, 0, sizeof(world));
	struct result m = group(0, (struct inside){.identity = !strcmp(group_name, "auth")});
	model_outcome(&m, want, sizeof(want));
	snprintf(want_attrs, sizeof(want_attrs), "%s/%s/%s:%s", world.sub, world.team, world.org,
	         world.x);

	int g = 0;
	while (strcmp(conf_group_names[g], group_name) != 0)
		g++;
	fake_tx_init(&t);
	struct verdict v = fake_run(&t, &r, &f.v[0], (enum conf_group)g, false);
	real_outcome(&v, got, sizeof(got));
	real_attrs(&t, got_attrs, sizeof(got_attrs));
	bool ok = !strcmp(got, want) && !strcmp(got_attrs, want_attrs) &&
	          str_eq(buf_str(&t.log), str_of(world.log));
	*passed += v.pass;
	if (!ok)
		printf("\nseed %u case %u\n%s\n%s\n%s\n%s\n  got  %s | %s | %.*s\n  want %s | %s | "
		       "%s\n",
		       SEED, number, spec[0], spec[1], spec[2], spec[3], got, got_attrs,
		       (int)t.log.n, t.log.p, want, want_attrs, world.log);
	fake_tx_deinit(&t);
	fake_deinit(&f);
	return ok;
}

static void random_stacks(void)
{
	unsigned failed = 0, passed = 0;
	seed = SEED;
	for (unsigned i = 0; i < CASES && failed < 3; i++)
		failed += !check_case(i, &passed);
	CU_ASSERT_EQUAL(failed, 0);
	/* both ends must be met often, or the cases say little */
	CU_ASSERT(passed > CASES / 10 && passed < CASES * 9 / 10);
}

UNIT_MAIN("stack model", UNIT(random_stacks))
