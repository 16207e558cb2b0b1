/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The control socket: one command line in, one JSON object out. Only root and the user we run as
 * may speak. The socket is locked by a file beside it, so that a second instance refuses to start.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include "daemon/gateway.h"

/* 0, or an exit code with *why. */
int control_open(struct gateway *g, struct str path, const char **why) MUST_CHECK;
void control_close(struct gateway *g);

#endif
