/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * How many descriptors the process may have, and what follows from it for clients.
 */
#ifndef DAEMON_DESCRIPTORS_H
#define DAEMON_DESCRIPTORS_H

#include "conf/conf.h"

/* As many as the process may have by itself; once, before threads start. */
void descriptors_raise(void);
/* limits.connections, or as many as there are descriptors for; the log says so. */
unsigned descriptors_for_clients(const struct conf *c);

#endif
