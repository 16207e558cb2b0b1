/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Shared by ledger.c and suspend.c: tokens. A token names a place in a worker's table and the
 * sequence number it was given out with, so that one that has outlived its use is recognised and
 * never followed: worker + 1 (8 bits), place (24), sequence (32). It is never 0.
 */
#ifndef STACK_LEDGERPRIV_H
#define STACK_LEDGERPRIV_H

#include "stack/ledger.h"

#define TOKEN_PLACES (UINT32_C(1) << 24)
#define LEDGER_WORKERS (WORKERS_MAX + 1) /* the last for explain, on the control thread */

static inline uint64_t token_make(unsigned worker, uint32_t place, uint32_t sequence)
{
	return (uint64_t)(worker + 1) << 56 | (uint64_t)place << 32 | sequence;
}
/* LEDGER_WORKERS and above: no worker. */
static inline unsigned token_worker(uint64_t token)
{
	return (unsigned)(token >> 56) - 1;
}
static inline uint32_t token_place(uint64_t token)
{
	return (uint32_t)(token >> 32) & (TOKEN_PLACES - 1);
}
static inline uint32_t token_sequence(uint64_t token)
{
	return (uint32_t)token;
}

/* suspend.c */
void suspend_tx_init(struct tx_base *b);
struct suspend_table *suspend_table_new(void);
void suspend_table_free(struct suspend_table *t);
/* Tells resume() of a worker, or with NULL that it is gone. */
void suspend_worker_set(unsigned index, struct merlon_worker *w);

#endif
