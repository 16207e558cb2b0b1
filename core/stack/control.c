/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The control of a line, from its text to a table of one action a code. Nothing of the text is
 * looked at again while requests run.
 */
#include "stack/stack.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct keyword {
	const char *name;
	uint8_t ok, nocred, refused, failed, reply;
};
/* The rows of design §3; IGNORE is ignore for each. refused: BADCRED EXPIRED DENIED LIMITED;
 * failed: UNAVAIL TIMEOUT ERROR. */
static const struct keyword keywords[] = {
    {"required", ACT_OK, ACT_BAD, ACT_BAD, ACT_BAD, ACT_DIE},
    {"requisite", ACT_OK, ACT_DIE, ACT_DIE, ACT_DIE, ACT_DIE},
    {"sufficient", ACT_DONE, ACT_IGNORE, ACT_DIE, ACT_DIE, ACT_DIE},
    {"optional", ACT_IGNORE, ACT_IGNORE, ACT_IGNORE, ACT_IGNORE, ACT_IGNORE},
};

struct parse {
	bool fail_open;
	enum conf_group g;
	const struct conf_line *lines;
	unsigned nlines;
	unsigned self;
	struct stack_line *out;
	struct arena *a;
	struct str *why;
};

__attribute__((format(printf, 2, 3))) static int wrong(struct parse *p, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	*p->why = arena_str(p->a, str_of(text));
	return -1;
}

static void fill_keyword(struct parse *p, const struct keyword *k)
{
	uint8_t *act = p->out->action;
	act[0] = ACT_DIE;
	act[MERLON_OK] = k->ok;
	act[MERLON_IGNORE] = ACT_IGNORE;
	act[MERLON_NOCRED] = k->nocred;
	act[MERLON_BADCRED] = act[MERLON_EXPIRED] = k->refused;
	act[MERLON_DENIED] = act[MERLON_LIMITED] = k->refused;
	act[MERLON_UNAVAIL] = act[MERLON_TIMEOUT] = act[MERLON_ERROR] = k->failed;
	act[MERLON_REPLY] = k->reply;
	p->out->keyword = true;
	p->out->optional = k->ok == ACT_IGNORE;
	if (p->fail_open) {
		act[MERLON_UNAVAIL] = act[MERLON_TIMEOUT] = act[MERLON_ERROR] = ACT_IGNORE;
		p->out->explicit_ignore = true;
	}
}

static int parse_keyword(struct parse *p, struct str text)
{
	static const char *const names[] = {"required", "requisite", "sufficient", "optional"};
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		if (!str_eq(text, str_of(keywords[i].name)))
			continue;
		fill_keyword(p, &keywords[i]);
		if (p->g == G_AUDIT && i != 0 && !p->out->optional)
			return wrong(p, "an audit line is required or optional, not %s",
			             keywords[i].name);
		return 0;
	}
	const char *near = str_suggest(text, names, 4);
	return wrong(p, "\"%.*s\" is no control%s%s%s", STR_FMT(text),
	             near ? "; did you mean \"" : "", near ? near : "",
	             near ? "\"?"
	                  : "; use required, requisite, sufficient, optional or [CODE=action ...]");
}

/* The line that a goto names: of this group, below this line. 0 or -1. */
static int parse_label(struct parse *p, struct str label, uint16_t *target)
{
	unsigned found = p->nlines;
	for (unsigned i = 0; i < p->nlines; i++) {
		if (label.n == 0 || !str_eq(p->lines[i].label, label))
			continue;
		if (found < p->nlines)
			return wrong(p, "goto:%.*s: two lines of this group have that label",
			             STR_FMT(label));
		found = i;
	}
	if (found == p->nlines)
		return wrong(p, "goto:%.*s: no line of this group has that label", STR_FMT(label));
	if (found <= p->self)
		return wrong(p, "goto:%.*s goes backward: a goto leads to a line below",
		             STR_FMT(label));
	*target = (uint16_t)found;
	return 0;
}

/* An action's text. 0 or -1. */
static int parse_action(struct parse *p, struct str code, struct str text, uint8_t *act,
                        uint16_t *target)
{
	static const struct {
		const char *name;
		uint8_t act;
	} plain[] = {{"ok", ACT_OK},
	             {"done", ACT_DONE},
	             {"bad", ACT_BAD},
	             {"die", ACT_DIE},
	             {"ignore", ACT_IGNORE}};

	if (str_starts(text, STR("goto:"))) {
		*act = ACT_GOTO;
		return parse_label(p, (struct str){text.p + 5, text.n - 5}, target);
	}
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (!str_eq(text, str_of(plain[i].name)))
			continue;
		*act = plain[i].act;
		if ((*act == ACT_OK || *act == ACT_DONE) && !str_eq(code, STR("OK")))
			return wrong(p, "%.*s=%s: only OK may be \"ok\" or \"done\"", STR_FMT(code),
			             plain[i].name);
		return 0;
	}
	return wrong(p, "%.*s=%.*s: an action is ok, done, bad, die, ignore or goto:LABEL",
	             STR_FMT(code), STR_FMT(text));
}

struct brackets {
	bool set[MERLON_CODE_MAX + 1]; /* 0: default */
	uint8_t act[MERLON_CODE_MAX + 1];
	uint16_t target[MERLON_CODE_MAX + 1];
};

static int parse_pair(struct parse *p, struct str pair, struct brackets *b)
{
	ptrdiff_t eq = str_find(pair, '=');
	if (eq < 0)
		return wrong(p, "\"%.*s\" is not of the form CODE=action", STR_FMT(pair));
	struct str name = {pair.p, (size_t)eq}, text = {pair.p + eq + 1, pair.n - (size_t)eq - 1};
	int code = str_eq(name, STR("default")) ? 0 : code_of(name);
	if (code == 0 && !str_eq(name, STR("default")))
		return wrong(p,
		             "\"%.*s\" is no code (OK IGNORE NOCRED BADCRED EXPIRED DENIED LIMITED "
		             "UNAVAIL TIMEOUT ERROR REPLY)",
		             STR_FMT(name));
	if (b->set[code])
		return wrong(p, "%.*s stands there twice", STR_FMT(name));
	b->set[code] = true;
	return parse_action(p, name, text, &b->act[code], &b->target[code]);
}

/* Ignoring a failure of the machinery must be said aloud where it could let a request pass. */
static int check_failures(struct parse *p)
{
	static const int failures[] = {MERLON_UNAVAIL, MERLON_TIMEOUT, MERLON_ERROR};
	bool must_say = p->g == G_AUTHZ || p->g == G_RATELIMIT || p->g == G_FILTER;
	for (size_t i = 0; i < 3; i++) {
		uint8_t act = p->out->action[failures[i]];
		if (act != ACT_IGNORE && act != ACT_GOTO)
			continue;
		if (must_say && !p->fail_open)
			return wrong(p, "%s is mapped to %s: that needs fail_open = true",
			             code_name(failures[i]), act == ACT_GOTO ? "goto" : "ignore");
		p->out->explicit_ignore = true;
	}
	return 0;
}

static int parse_brackets(struct parse *p, struct str text)
{
	struct brackets b = {.act = {ACT_BAD}};
	unsigned pairs = 0;

	if (p->g == G_AUDIT)
		return wrong(p, "an audit line is required or optional, without brackets");
	for (size_t i = 0; i < text.n;) {
		size_t end = i;
		while (end < text.n && text.p[end] != ' ' && text.p[end] != '\t')
			end++;
		if (end > i && parse_pair(p, (struct str){text.p + i, end - i}, &b) < 0)
			return -1;
		pairs += end > i;
		i = end + 1;
	}
	if (pairs == 0)
		return wrong(p, "the brackets are empty");
	for (int c = 1; c <= MERLON_CODE_MAX; c++) {
		int from = b.set[c] ? c : 0;
		p->out->action[c] = b.act[from];
		p->out->target[c] = b.target[from];
	}
	p->out->action[0] = ACT_DIE;
	return check_failures(p);
}

int control_parse(struct str text, bool fail_open, enum conf_group g, const struct conf_line *lines,
                  unsigned nlines, unsigned self, struct stack_line *out, struct arena *a,
                  struct str *why)
{
	struct parse p = {fail_open, g, lines, nlines, self, out, a, why};
	int r;

	text = str_trim(text);
	if (text.n > 0 && text.p[0] == '[') {
		if (text.p[text.n - 1] != ']' || text.n < 2)
			return wrong(&p, "the closing bracket is missing");
		r = parse_brackets(&p, (struct str){text.p + 1, text.n - 2});
	} else {
		r = parse_keyword(&p, text);
	}
	if (r < 0)
		return r;
	if (lines[self].shadow) {
		memset(out->action, ACT_IGNORE, sizeof(out->action));
		out->explicit_ignore = false;
	}
	if (g == G_AUDIT) /* every line of audit runs, whatever the ones before it answered */
		for (int c = 0; c <= MERLON_CODE_MAX; c++)
			if (out->action[c] == ACT_DIE)
				out->action[c] = ACT_BAD;
	/* REPLY inside an include ends the tx, whatever the include's own line says of it. */
	if (lines[self].include.n > 0 && !lines[self].shadow)
		out->action[MERLON_REPLY] = ACT_DIE;
	return 0;
}
