/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Is a server worth trying? Passive: consecutive faults mark it down for a while that doubles;
 * active: a GET on the configured path at an interval, by exchanges of its own. Per worker; worker
 * 0's checks are not shared.
 */
#ifndef UPSTREAM_HEALTH_H
#define UPSTREAM_HEALTH_H

#include "upstream/pool.h"

#define HEALTH_FAULTS 3 /* in a row: down for 1 s, doubled up to 30 s with every further fault */

void health_fault(struct server *s);   /* connect failure, timeout or close before a response */
void health_success(struct server *s); /* a response head came */
bool health_up(const struct server *s);
void health_start(struct upstream *u); /* active checks, where health.path is set */
void health_stop(struct upstream *u);

#endif
