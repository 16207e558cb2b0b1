/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The tls groups of the main file; part of conf_settings().
 */
#ifndef CONF_SETTINGS_TLS_H
#define CONF_SETTINGS_TLS_H

#include "conf/schema.h"

extern const struct conf_key conf_listener_tls_keys[];
extern const struct conf_key conf_tls_pair_keys[];
extern const struct conf_key conf_upstream_tls_keys[];

/* From the node of the listener or upstream, where its tls group stands. */
void conf_listener_tls(struct conf_listener *l, struct arena *a, struct conf_diag *d);
void conf_upstream_tls(struct conf_upstream *u, struct arena *a, struct conf_diag *d);

#endif
