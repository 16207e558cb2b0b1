/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What the files of the options share: a part of the options (the root, a group, an element of a
 * list) beside the rows of the table that describe it. All of it lives in the arena given to
 * options_check().
 */
#ifndef STACK_OPTPRIV_H
#define STACK_OPTPRIV_H

#include "stack/options.h"

#define OPT_DEPTH_MAX 8
#define OPT_FILE_MAX ((size_t)64 << 20)
#define OPT_ROWS_MAX 256

struct opt_value {
	const struct merlon_option *o;
	const struct conf_node *written; /* NULL: not in the file */
	const struct conf_node *node;    /* written, or the default as if it were; NULL: neither */
	struct merlon_val val;           /* type NONE: not readable as a value */
	int64_t count;                   /* RATE */
	int64_t window_ns;
	struct str path;          /* FILE, CONFFILE */
	struct merlon_cfg *parts; /* GROUP, LIST, CONFFILE, and the elements of a STRLIST */
	unsigned nparts;
};
struct merlon_cfg {
	const struct conf_node *node;  /* what is written here; NULL: nothing */
	const struct conf_node *place; /* for what has no node */
	struct opt_value *values;
	unsigned nvalues;
	bool raw;          /* no table: the tree as it is */
	struct str prefix; /* "default." before its keys in messages */
	struct str module;
	struct arena *a;
	struct conf_diag *d;
};

/* Rows lie as far apart as the module's header made them. */
static inline const struct merlon_option *opt_row(const struct merlon_option *table, size_t i,
                                                  size_t stride)
{
	return (const struct merlon_option *)(const void *)((const char *)table + i * stride);
}
size_t opt_rows(const struct merlon_option *sub, size_t stride);
/* The rows that every module of these groups has beside its own; ended by key NULL. */
const struct merlon_option *opt_generic(uint32_t groups, size_t *n);

void opt_error(const struct merlon_cfg *c, const struct conf_node *at, const char *key,
               const char *fmt, ...) PRINTF(4, 5);
void opt_warn(const struct merlon_cfg *c, const struct conf_node *at, const char *key,
              const char *fmt, ...) PRINTF(4, 5);
/* Reads v->node by v->o into v->val; scalars, files and secrets. */
void opt_parse(struct merlon_cfg *c, struct opt_value *v);
/* The default as a node, or NULL (said in c->d: the module is wrong). */
const struct conf_node *opt_default(struct merlon_cfg *c, const struct merlon_option *o);
/* Whether a value names an upstream or a URL, and which. */
bool opt_names_upstream(const struct opt_value *v);
void opt_upstream(const struct opt_value *v, struct arena *a, struct opt_upstream *out);
/* A raw part of the tree. */
void opt_raw(struct merlon_cfg *out, const struct merlon_cfg *of, const struct conf_node *n);

#endif
