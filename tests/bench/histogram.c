/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Classes of times: below 256 ns one for each nanosecond, above it 128 in each doubling. Owns
 * nothing.
 */
#include "histogram.h"

#define FIRST (2ULL << HISTOGRAM_BITS)

void histogram_add(struct histogram *h, uint64_t ns)
{
	unsigned shift = ns < FIRST ? 0 : 63 - HISTOGRAM_BITS - (unsigned)__builtin_clzll(ns);

	h->classes[((uint64_t)shift << HISTOGRAM_BITS) + (ns >> shift)]++;
	h->n++;
	if (ns > h->max)
		h->max = ns;
}

double histogram_us(const struct histogram *h, double q)
{
	uint64_t want = (uint64_t)(q * (double)h->n), seen = 0;
	uint64_t i;

	if (h->n == 0)
		return 0;
	if (want >= h->n)
		return (double)h->max / 1000;
	for (i = 0; seen <= want; i++)
		seen += h->classes[i];
	i--;
	if (i < FIRST)
		return (double)i / 1000;
	unsigned shift = (unsigned)(i >> HISTOGRAM_BITS) - 1;
	uint64_t low = (i - ((uint64_t)shift << HISTOGRAM_BITS)) << shift;

	low += (1ULL << shift) / 2;
	return (double)(low < h->max ? low : h->max) / 1000;
}
