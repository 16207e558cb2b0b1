/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Admin HTTP: /healthz, /readyz, /metrics on an address of its own, never on a data listener.
 */
#ifndef DAEMON_ADMIN_H
#define DAEMON_ADMIN_H

#include "daemon/gateway.h"

/* Serves on the address from now on. 0 and *out, or an exit code and *why. */
int admin_open(struct gateway *g, struct str address, struct admin **out,
               const char **why) MUST_CHECK;
void admin_close(struct admin *a); /* NULL is fine */

#endif
