/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Time. Monotonic for everything that measures or limits, wall time for what people read. Settable
 * in tests.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

uint64_t clock_mono(void);    /* ns */
uint64_t clock_real_us(void); /* us since 1970 */
/* Tests: both clocks stand still at these values until clock_unfreeze(). */
void clock_freeze(uint64_t mono_ns, uint64_t real_us);
void clock_unfreeze(void);

#define CLOCK_RFC3339_LEN 27 /* "2026-11-22T06:45:33.123456Z" */
/* Writes exactly CLOCK_RFC3339_LEN bytes, no NUL. UTC. */
void clock_rfc3339(uint64_t real_us, char out[CLOCK_RFC3339_LEN]);
/* RFC 3339 with any offset and up to 9 fraction digits; -1: another form. */
int clock_parse_rfc3339(struct str s, int64_t *real_us) MUST_CHECK;

#endif
