/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/* Times counted in classes of less than 1 percent width, so that quantiles of millions cost
 * nothing. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS 7 /* classes in each doubling: 128 */

struct histogram {
	uint64_t n, max;
	uint32_t classes[(64 - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS];
};

void histogram_add(struct histogram *h, uint64_t ns);

/* The least time, in microseconds, that the share q of all do not exceed; 0 of none. */
double histogram_us(const struct histogram *h, double q);

#endif
