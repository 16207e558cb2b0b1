/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Work, counted: the branches that code compiled with -fsanitize-coverage=trace-pc takes, and the
 * bytes that it has the C library go over. The same input costs the same on every machine.
 */
#ifndef TESTS_COMPLEXITY_COUNTED_H
#define TESTS_COMPLEXITY_COUNTED_H

#include <stdint.h>

void counted_reset(void);
uint64_t counted(void);

#endif
