/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The raw tree's accessors, the collector of findings, and the end of a configuration. A diag owns
 * its text; a conf owns its arena and with it everything that hangs below, the tree included.
 */
#include "conf/conf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define DIAG_MAX (256u * 1024u)
#define DIAG_LINE 1024

#define AS_IT_IS(literal) literal
const char *const conf_group_names[G_COUNT] = {CONF_GROUP_NAMES(AS_IT_IS)};

const struct conf_node *conf_child(const struct conf_node *n, struct str key)
{
	if (!n || n->type != CONF_GROUP)
		return NULL;
	for (const struct conf_node *c = n->child; c; c = c->next) {
		if (str_eq(c->key, key))
			return c;
	}
	return NULL;
}

const struct conf_node *conf_child_or_self(const struct conf_node *group, struct str key)
{
	const struct conf_node *n = conf_child(group, key);

	return n ? n : group;
}

const struct conf_node *conf_at(const struct conf_node *n, unsigned i)
{
	if (!n || n->type > CONF_ARRAY)
		return NULL;
	const struct conf_node *c = n->child;
	while (c && i-- > 0)
		c = c->next;
	return c;
}

struct str conf_name(const struct conf_node *n, struct str key, struct arena *a)
{
	struct str name = key;
	for (; n; n = n->parent) {
		if (n->key.n == 0)
			continue;
		if (name.n == 0)
			name = n->key;
		else
			name = arena_printf(a, "%.*s.%.*s", STR_FMT(n->key), STR_FMT(name));
	}
	return name;
}

void conf_digest(const struct conf_node *n, struct digest *d)
{
	if (!n) {
		digest_add(d, STR("\377"));
		return;
	}
	/* Lengths and counts go in before what they count, or two trees could feed the same bytes.
	 */
	struct {
		uint64_t key;
		uint64_t value;
		uint32_t type;
		uint32_t children;
	} head = {n->key.n, 0, (uint32_t)n->type, n->nchildren};
	struct str value = STR_NONE;
	switch (n->type) {
	case CONF_STRING:
		head.value = n->u.s.n;
		value = n->u.s;
		break;
	case CONF_INT:
		memcpy(&head.value, &n->u.i, sizeof(head.value));
		break;
	case CONF_FLOAT:
		memcpy(&head.value, &n->u.f, sizeof(head.value));
		break;
	case CONF_BOOL:
		head.value = n->u.b;
		break;
	case CONF_GROUP:
	case CONF_LIST:
	case CONF_ARRAY:
		break;
	}
	digest_add(d, (struct str){(const char *)&head, sizeof(head)});
	digest_add(d, n->key);
	digest_add(d, value);
	for (const struct conf_node *c = n->child; c; c = c->next)
		conf_digest(c, d);
}

/* ---- findings ---- */
void conf_diag_init(struct conf_diag *d)
{
	buf_init(&d->text, DIAG_MAX);
	d->errors = 0;
	d->warnings = 0;
}

void conf_diag_deinit(struct conf_diag *d)
{
	buf_deinit(&d->text);
}

__attribute__((format(printf, 5, 0))) static void diag_line(struct conf_diag *d, const char *file,
                                                            unsigned line, const char *kind,
                                                            const char *fmt, va_list ap)
{
	char text[DIAG_LINE];
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	if (n < 0)
		text[0] = '\0';
	/* The text may quote the file, and what is in the file must not drive a terminal. */
	for (char *p = text; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
	char place[16] = "";
	if (line > 0)
		snprintf(place, sizeof(place), "%u:", line);
	/* A full collector keeps what it has: the counters still tell that there was more. */
	if (buf_addf(&d->text, "%s:%s %s%s\n", file, place, kind, text) != 0)
		return;
}

void conf_error(struct conf_diag *d, const struct conf_node *at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	diag_line(d, at ? at->file : "configuration", at ? at->line : 0, "", fmt, ap);
	va_end(ap);
	d->errors++;
}

void conf_warn(struct conf_diag *d, const struct conf_node *at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	diag_line(d, at ? at->file : "configuration", at ? at->line : 0, "warning: ", fmt, ap);
	va_end(ap);
	d->warnings++;
}

void conf_error_at(struct conf_diag *d, const char *file, unsigned line, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	diag_line(d, file, line, "", fmt, ap);
	va_end(ap);
	d->errors++;
}

void conf_free(struct conf *c)
{
	if (!c)
		return;
	/* Texts of the tree and resolved secrets are wiped by what the arena was told at load. */
	arena_deinit(&c->arena);
	free(c);
}
