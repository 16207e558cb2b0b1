/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Which server: least requests in flight of two chosen at random, among those that are up and not
 * tried yet.
 */
#ifndef UPSTREAM_BALANCE_H
#define UPSTREAM_BALANCE_H

#include "upstream/pool.h"

/* tried: bit i set: server i was tried in this exchange. NULL: none is left. At most 64 servers an
 * upstream. */
struct server *balance(struct upstream *u, uint64_t tried, unsigned *index);

#endif
