/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Rules across keys: names that must exist, addresses and paths that must parse, duplicates. What
 * needs modules is checked by core/stack.
 */
#ifndef CONF_CHECK_H
#define CONF_CHECK_H

#include "conf/conf.h"

void conf_check(struct conf *c, struct conf_diag *d);
/* Name and expanded value of a header set on requests to an upstream; n is its group. */
void conf_check_header(const struct conf_header *h, const struct conf_node *n, struct conf_diag *d);
/* Checks one rule of api rest (a struct conf_rule) and splits its model into form and text. */
void conf_check_rule(void *rule, const struct conf_node *n, struct arena *a, struct conf_diag *d);
/* Stacks alone: names, groups, lines. Part of conf_check(). */
void conf_check_stacks(const struct conf *c, struct conf_diag *d);

#endif
