/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What would happen to this request? It goes its usual way over a connection of its own, with the
 * probe's rules: zones are read and left as they are, and it ends where it would be answered or the
 * upstream contacted. Nobody is contacted, nothing is recorded.
 */
#ifndef TX_EXPLAIN_H
#define TX_EXPLAIN_H

#include "tx/tx.h"

/* raw: a whole HTTP/1.1 request, head and body. peer: the client's address as text (IPv4 or IPv6).
 * done is called once, from the loop, with a tx that lives until it returns. 0; -EINVAL: no such
 * address; -errno: no connection could be made. */
int explain_run(struct worker *w, struct str raw, const char *peer,
                void (*done)(merlon_tx *tx, void *arg), void *arg) MUST_CHECK;

#endif
