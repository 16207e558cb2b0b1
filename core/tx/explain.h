/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What would happen to this request? Runs the steps up to the audit step with the probe's rules:
 * zones are read and left as they are, nobody is contacted, nothing is recorded.
 */
#ifndef TX_EXPLAIN_H
#define TX_EXPLAIN_H

#include "tx/tx.h"

/* raw: a whole HTTP/1.1 request, head and body. done is called once, perhaps before this returns;
 * the tx lives until it has returned. peer: the source address as text. */
void explain_run(struct worker *w, struct str raw, const char *peer,
                 void (*done)(merlon_tx *tx, void *arg), void *arg);

#endif
