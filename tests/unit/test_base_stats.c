/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Counters: sums over threads, label sets, the ceiling on series, and the text that is served.
 */
#include "base/stats.h"

#include <pthread.h>

#include "unit.h"

static char *render(void)
{
	static struct buf b;

	buf_deinit(&b);
	buf_init(&b, 16 << 20);
	CU_ASSERT_FATAL(stats_render(&b) == 0);
	CU_ASSERT_FATAL(buf_add(&b, "", 1) == 0);
	return b.p;
}

static bool has(const char *line)
{
	return strstr(render(), line) != NULL;
}

static void counters_are_found_again_by_their_labels(void)
{
	struct stat_family *f =
	    stats_family(STAT_COUNTER, "t_requests_total", "Requests.", "route,status");
	struct str a[] = {STR("/v1/"), STR("200")}, b[] = {STR("/v1/2"), STR("00")};

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_PTR_EQUAL(
	    f, stats_family(STAT_COUNTER, "t_requests_total", "Requests.", "route,status"));
	CU_ASSERT_PTR_EQUAL(stats_get(f, a), stats_get(f, a));
	CU_ASSERT_PTR_NOT_EQUAL(stats_get(f, a), stats_get(f, b));
	stat_add(stats_get(f, a), 2);
	stat_add(stats_get(f, a), 3);
	CU_ASSERT(stat_value(stats_get(f, a)) == 5);
	CU_ASSERT(stat_value(stats_get(f, b)) == 0);
	CU_ASSERT(has("# HELP t_requests_total Requests.\n# TYPE t_requests_total counter\n"
	              "t_requests_total{route=\"/v1/\",status=\"200\"} 5\n"
	              "t_requests_total{route=\"/v1/2\",status=\"00\"} 0\n"));
}

static void a_name_means_one_thing(void)
{
	CU_ASSERT_PTR_NOT_NULL(stats_family(STAT_GAUGE, "t_one", "One.", ""));
	CU_ASSERT_PTR_NULL(stats_family(STAT_COUNTER, "t_one", "One.", ""));
	CU_ASSERT_PTR_NULL(stats_family(STAT_GAUGE, "t_one", "One.", "a"));
	CU_ASSERT_PTR_NULL(stats_family(STAT_GAUGE, "", "None.", ""));
	CU_ASSERT_PTR_NULL(stats_family(STAT_GAUGE, "1bad", "Bad.", ""));
	CU_ASSERT_PTR_NULL(stats_family(STAT_GAUGE, "bad-name", "Bad.", ""));
	CU_ASSERT_PTR_NULL(stats_family(STAT_GAUGE, "t_bad", "Bad.", "a,,b"));
	CU_ASSERT_PTR_NULL(stats_family(STAT_HISTOGRAM, "t_bad", "Bad.", "le"));
	CU_ASSERT_PTR_NULL(stats_family(STAT_GAUGE, "t_bad", "Bad.", "a,b,c,d,e,f,g,h,i"));
}

static void gauges_are_set_and_added_to(void)
{
	struct stat *s = stats_get(stats_family(STAT_GAUGE, "t_gauge", "A gauge.", ""), NULL);

	stat_add(s, 10);
	stat_set(s, -3);
	CU_ASSERT(stat_value(s) == -3);
	stat_add(s, 1);
	CU_ASSERT(stat_value(s) == -2);
	stat_set(s, 7);
	CU_ASSERT(has("\nt_gauge 7\n"));
}

static void histograms_are_cumulative(void)
{
	struct str label = STR("x");
	struct stat *s = stats_get(stats_family(STAT_HISTOGRAM, "t_seconds", "Time.", "l"), &label);

	stat_observe(s, 500000); /* on the bound: in the bucket */
	stat_observe(s, 500001);
	stat_observe(s, 2000000000);
	stat_observe(s, 700000000000); /* over the last bound */
	stat_add(s, 99);               /* means nothing for a histogram */
	CU_ASSERT(stat_value(s) == 4);
	CU_ASSERT(has("t_seconds_bucket{l=\"x\",le=\"0.0005\"} "
	              "1\nt_seconds_bucket{l=\"x\",le=\"0.001\"} 2\n"));
	CU_ASSERT(
	    has("t_seconds_bucket{l=\"x\",le=\"1\"} 2\nt_seconds_bucket{l=\"x\",le=\"2.5\"} 3\n"));
	CU_ASSERT(has("le=\"600\"} 3\nt_seconds_bucket{l=\"x\",le=\"+Inf\"} 4\n"
	              "t_seconds_sum{l=\"x\"} 702.001000001\nt_seconds_count{l=\"x\"} 4\n"));
}

static void label_values_are_escaped(void)
{
	struct stat_family *f =
	    stats_family(STAT_COUNTER, "t_escaped_total", "Back\\slash\nline \"q\".", "v");
	struct str odd = STR("a\\b\"c\nd"), broken = STR("\xff{"), word = STR("\xc3\xa4");

	stat_add(stats_get(f, &odd), 1);
	stat_add(stats_get(f, &broken), 1);
	stat_add(stats_get(f, &word), 1);
	CU_ASSERT(has("# HELP t_escaped_total Back\\\\slash\\nline \"q\".\n"));
	CU_ASSERT(has("t_escaped_total{v=\"a\\\\b\\\"c\\nd\"} 1\n"));
	CU_ASSERT(has("t_escaped_total{v=\"?{\"} 1\n"));
	CU_ASSERT(has("t_escaped_total{v=\"\xc3\xa4\"} 1\n"));
}

static void families_are_sorted(void)
{
	const char *text;

	CU_ASSERT_PTR_NOT_NULL(stats_family(STAT_COUNTER, "t_zz_total", "Z.", ""));
	CU_ASSERT_PTR_NOT_NULL(stats_family(STAT_COUNTER, "t_aa_total", "A.", ""));
	text = render();
	CU_ASSERT(strstr(text, "# TYPE t_aa_total") < strstr(text, "# TYPE t_zz_total"));
}

static void too_many_series_share_one(void)
{
	struct stat_family *f = stats_family(STAT_COUNTER, "t_many_total", "Many.", "v");
	struct stat *other = NULL;

	for (int i = 0; i < STATS_SERIES_MAX + 5; i++) {
		char text[16];
		struct str v;
		struct stat *s;

		snprintf(text, sizeof(text), "v%d", i);
		v = str_of(text);
		s = stats_get(f, &v);
		if (i == STATS_SERIES_MAX)
			other = s;
		if (i > STATS_SERIES_MAX)
			CU_ASSERT_PTR_EQUAL(s, other);
		if (i < STATS_SERIES_MAX)
			CU_ASSERT_FATAL(s != NULL && s == stats_get(f, &v));
		stat_add(s, 1);
	}
	CU_ASSERT(stat_value(other) == 5);
	CU_ASSERT(has("t_many_total{v=\"other\"} 5\n"));
}

#define THREADS 4
#define ADDS 20000
static struct stat *shared;
static struct stat *timed;

static void *add_many(void *arg)
{
	/* Two threads a slot, because those without one of their own share. */
	stats_thread((unsigned)(uintptr_t)arg / 2);
	for (int i = 0; i < ADDS; i++) {
		stat_add(shared, 1);
		stat_observe(timed, 1000);
	}
	return NULL;
}

static void nothing_is_lost_between_threads(void)
{
	pthread_t t[THREADS];

	shared = stats_get(stats_family(STAT_COUNTER, "t_threads_total", "T.", ""), NULL);
	timed = stats_get(stats_family(STAT_HISTOGRAM, "t_threads_seconds", "T.", ""), NULL);
	for (uintptr_t i = 0; i < THREADS; i++)
		CU_ASSERT_FATAL(pthread_create(&t[i], NULL, add_many, (void *)i) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	CU_ASSERT(stat_value(shared) == THREADS * ADDS);
	CU_ASSERT(stat_value(timed) == THREADS * ADDS);
	stats_thread(STATS_THREADS_MAX);
	stat_add(shared, 1);
	CU_ASSERT(stat_value(shared) == THREADS * ADDS + 1);
	stats_thread(0);
}

static void a_small_buffer_is_told(void)
{
	struct buf b;

	buf_init(&b, 100);
	CU_ASSERT(stats_render(&b) == BUF_E_FULL);
	buf_deinit(&b);
}

UNIT_MAIN("stats", UNIT(counters_are_found_again_by_their_labels), UNIT(a_name_means_one_thing),
          UNIT(gauges_are_set_and_added_to), UNIT(histograms_are_cumulative),
          UNIT(label_values_are_escaped), UNIT(families_are_sorted),
          UNIT(too_many_series_share_one), UNIT(nothing_is_lost_between_threads),
          UNIT(a_small_buffer_is_told))
