/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The chain of an audit file: how rendered records become lines that name their number, the hash of
 * the line before, and their own. Runs on the sink's writer thread; the state is all it knows.
 */
#ifndef AUDIT_FILE_CHAIN_H
#define AUDIT_FILE_CHAIN_H

#include "common/record.h"
#include "common/sha.h"

struct chain {
	uint64_t seq;       /* of the last line */
	uint64_t begun;     /* 0: prev is not set yet */
	char prev[SHA_HEX]; /* the last line's hash */
};
extern const struct merlon_sink_ops chain_ops;
/* Once, on the control thread. -1: no SHA-256. */
int chain_setup(void);

#endif
