/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Rules across keys: names that must exist, addresses and paths that must parse, duplicates. What needs modules is
 * checked by core/stack.
 */
#ifndef CONF_CHECK_H
#define CONF_CHECK_H

#include "conf/conf.h"

void conf_check(struct conf *c, struct conf_diag *d);

#endif
