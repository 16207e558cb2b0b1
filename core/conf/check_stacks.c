/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What must hold of stacks before a module is looked at. Controls, and whether a group can grant,
 * are the lint's in core/stack.
 */
#include "conf/check.h"

static const struct conf_stack *find_stack(const struct conf *c, struct str name)
{
	for (unsigned i = 0; i < c->nstacks; i++) {
		if (str_eq(c->stacks[i].name, name))
			return &c->stacks[i];
	}
	return NULL;
}

static void check_include(const struct conf *c, const struct conf_line *l, struct conf_diag *d)
{
	static const char *const refused[] = {"options", "timeout", "identity", "shadow"};
	if (!find_stack(c, l->include))
		conf_error(d, l->node, "there is no stack \"%.*s\" to include",
		           STR_FMT(l->include));
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		const struct conf_node *n = conf_child(l->node, str_of(refused[i]));
		if (n)
			conf_error(d, n, "%s belongs to lines with a module, not to an include",
			           refused[i]);
	}
}

static void check_line(const struct conf *c, const struct conf_line *l, struct conf_diag *d)
{
	bool module = conf_child(l->node, STR("module")) != NULL;
	bool include = conf_child(l->node, STR("include")) != NULL;
	if (module == include)
		conf_error(d, l->node, "a line needs either module or include");
	else if (module ? l->module.n == 0 : l->include.n == 0)
		conf_error(d, l->node, "%s must not be empty", module ? "module" : "include");
	else if (include)
		check_include(c, l, d);
	if (l->control.n == 0)
		conf_error(d, l->node, "line \"%.*s\" needs the key \"control\"", STR_FMT(l->name));
	if (memchr(l->module.n ? l->module.p : "", '/', l->module.n))
		conf_error(d, l->node, "module \"%.*s\" must be a name without a folder",
		           STR_FMT(l->module));
}

static void check_twins(const struct conf_line *l, const struct conf_line *o, struct conf_diag *d)
{
	bool written = conf_child(l->node, STR("name")) || conf_child(o->node, STR("name"));
	if (l->name.n > 0 && str_eq(l->name, o->name))
		conf_error(d, l->node, "two lines of this group are named \"%.*s\" (line %u)%s",
		           STR_FMT(l->name), o->node->line, written ? "" : ": give one a name");
	if (l->label.n > 0 && str_eq(l->label, o->label))
		conf_error(d, l->node, "two lines of this group have the label \"%.*s\" (line %u)",
		           STR_FMT(l->label), o->node->line);
}

static void check_group(const struct conf *c, const struct conf_stack *s, int g,
                        struct conf_diag *d)
{
	const struct conf_line *lines = s->group[g].lines;
	const char *name = conf_group_names[g];
	bool must = g == G_AUTH || g == G_AUTHZ;
	bool written = s->group[g].node && s->group[g].node->nchildren > 0;
	/* A list that could not be read has been reported already. */
	bool wrong = s->group[g].node && s->group[g].node->type != CONF_LIST &&
	             s->group[g].node->type != CONF_ARRAY;
	if (must && !written && !wrong)
		conf_error(d, s->node,
		           "stack \"%.*s\" has no %s lines; %s = \"none\" says that this is meant",
		           STR_FMT(s->name), name, name);
	for (unsigned i = 0; i < s->group[g].nlines; i++) {
		check_line(c, &lines[i], d);
		for (unsigned k = 0; k < i; k++)
			check_twins(&lines[i], &lines[k], d);
	}
}

static bool is_used(const struct conf *c, struct str name)
{
	bool used = str_eq(c->fallback_stack, name);
	for (unsigned i = 0; i < c->nroutes; i++)
		used |= str_eq(c->routes[i].stack, name);
	for (unsigned i = 0; i < c->nstacks; i++) {
		for (int g = 0; g < G_COUNT; g++) {
			for (unsigned k = 0; k < c->stacks[i].group[g].nlines; k++)
				used |= str_eq(c->stacks[i].group[g].lines[k].include, name);
		}
	}
	return used;
}

void conf_check_stacks(const struct conf *c, struct conf_diag *d)
{
	const struct conf_node *fallback = conf_child(c->root, STR("fallback_stack"));
	if (fallback && c->fallback_stack.n > 0 && !find_stack(c, c->fallback_stack))
		conf_error(d, fallback, "there is no stack \"%.*s\"", STR_FMT(c->fallback_stack));
	for (unsigned i = 0; i < c->nstacks; i++) {
		const struct conf_stack *s = &c->stacks[i];
		for (int g = 0; g < G_COUNT; g++)
			check_group(c, s, g, d);
		for (unsigned k = 0; k < i; k++) {
			if (s->name.n > 0 && str_eq(s->name, c->stacks[k].name))
				conf_error(d, s->node, "two stacks are named \"%.*s\" (line %u)",
				           STR_FMT(s->name), c->stacks[k].node->line);
		}
		if (s->name.n > 0 && !is_used(c, s->name))
			conf_warn(d, s->node, "stack \"%.*s\" is used by no route",
			          STR_FMT(s->name));
	}
}
