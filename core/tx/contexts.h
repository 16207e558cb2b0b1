/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The TLS contexts of one configuration: files are read again for every load, so that a certificate
 * that was replaced on disk serves from the next reload on. Control thread; read by workers.
 */
#ifndef TX_CONTEXTS_H
#define TX_CONTEXTS_H

#include "conf/conf.h"
#include "net/tls.h"

struct contexts {
	struct tls_ctx **listeners; /* in the order of the configuration; NULL: plain */
	unsigned nlisteners;
	struct tls_ctx **upstreams;
	unsigned nupstreams;
};
/* After the stacks were made: options may have added upstreams. NULL: errors in d. */
struct contexts *contexts_new(const struct conf *c, struct conf_diag *d);
void contexts_free(struct contexts *x); /* NULL is fine */

#endif
