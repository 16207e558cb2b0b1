/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The main file's keys: the tables, and how a tree becomes typed settings by them.
 */
#ifndef CONF_SETTINGS_H
#define CONF_SETTINGS_H

#include "conf/conf.h"
#include "conf/schema.h"

struct conf_table {
	const char *where; /* "listeners", "stacks.auth"; empty: the top level */
	const struct conf_key *keys;
};
extern const struct conf_table conf_tables[]; /* ended by where NULL; for manual pages and tests */

/* Fills c from c->root. Findings that need one key only are added to d; conf_check() adds those
 * across keys. */
void conf_settings(struct conf *c, struct conf_diag *d);
/* One rule of a route of api rest; part of conf_settings(). */
void conf_rules(struct conf_route *route, const struct conf_node *list, struct arena *a,
                struct conf_diag *d);

/* Reads a list of groups by a table into an array of structs of `size` bytes that begin with their
 * node. */
struct conf_list {
	const struct conf_key *keys;
	size_t size;
	void (*more)(void *item, const struct conf_node *n, struct arena *a,
	             struct conf_diag *d); /* may be NULL */
};
void *conf_list_read(const struct conf_node *list, const struct conf_list *how, unsigned *count,
                     struct arena *a, struct conf_diag *d);
/* A list or array of strings; one string counts as a list of one. */
struct str *conf_strings(const struct conf_node *n, unsigned *count, struct arena *a,
                         struct conf_diag *d);

#endif
