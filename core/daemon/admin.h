/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Admin HTTP: /healthz, /readyz, /metrics on an address of its own, never on a data listener.
 */
#ifndef DAEMON_ADMIN_H
#define DAEMON_ADMIN_H

#include "daemon/gateway.h"

int admin_open(struct gateway *g, struct str address,
               const char **why) MUST_CHECK; /* 0, or an exit code */
void admin_close(struct gateway *g);

#endif
