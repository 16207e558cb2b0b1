/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The frame of a unit test program: a table of tests, CUnit's summary at the end, and an exit code
 * by the number of failures (CU_basic_run_tests() itself answers 0 even when tests failed).
 *
 *     UNIT_MAIN("parse", UNIT(refuses_bare_lf), UNIT(splits_do_not_matter))
 */
#ifndef UNIT_H
#define UNIT_H

#include <CUnit/Basic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct unit_test {
	const char *name;
	void (*fn)(void);
};
#define UNIT(fn)                                                                                   \
	{                                                                                          \
#fn, fn                                                                            \
	}
#define UNIT_MAIN(suite, ...)                                                                      \
	int main(void)                                                                             \
	{                                                                                          \
		static const struct unit_test tests[] = {__VA_ARGS__};                             \
		return unit_run(suite, tests, sizeof(tests) / sizeof(tests[0]));                   \
	}

/* Exit code 77: automake counts the program as skipped. Called by a test that cannot run here at
 * all. */
static inline int unit_run(const char *suite, const struct unit_test *tests, size_t n)
{
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 99;
	CU_pSuite s = CU_add_suite(suite, NULL, NULL);
	for (size_t i = 0; s && i < n; i++)
		CU_add_test(s, tests[i].name, tests[i].fn);
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	unsigned failed = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failed > 0 || !s ? 1 : 0;
}

/* Numbers that look random and are the same in every run (xorshift64); *state begins with any
 * number but 0. */
static inline uint64_t unit_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* The folder of test data of others: $MERLON_CORPORA, or ../shared/corpora beside the checkout.
 * NULL: it is missing, and that is fine here; with CI=true a missing folder ends the program with a
 * failure. */
static inline const char *unit_corpora(const char *sub, char *buf, size_t n)
{
	const char *base = getenv("MERLON_CORPORA");
	snprintf(buf, n, "%s/%s", base ? base : "../shared/corpora", sub);
	FILE *f = fopen(buf, "r");
	if (f) {
		fclose(f);
		return buf;
	}
	const char *ci = getenv("CI");
	if (ci && ci[0] == 't') {
		fprintf(stderr, "CI needs the test data in %s\n", buf);
		exit(1);
	}
	return NULL;
}

#endif
