/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * identity_headers of upstreams: which attributes of a request its server is told, and under which
 * names.
 */
#ifndef CONF_SETTINGS_IDENTITY_H
#define CONF_SETTINGS_IDENTITY_H

#include "conf/schema.h"

extern const struct conf_key conf_identity_keys[];
/* Reads the list of u->node, after its headers. */
void conf_identity(struct conf_upstream *u, struct arena *a, struct conf_diag *d);

#endif
