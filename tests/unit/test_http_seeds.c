/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Byte streams that others found interesting: each is read as a request and as a response, whole
 * and cut at random; the answers must be the same.
 */
#include "http_feed.h"

#include "unit.h"

#include <dirent.h>

#define SPLITS 8
#define CUTS_MAX 12

static uint64_t seed = 20261122;

static int compare(const void *a, const void *b)
{
	size_t x = *(const size_t *)a;
	size_t y = *(const size_t *)b;

	return (x > y) - (x < y);
}

static bool splits_agree(struct str s, bool response, enum http_result *result)
{
	bool same = true;
	struct feed f;

	feed_init(&f, response);
	feed_run(&f, s, NULL, 0);
	*result = f.result;
	for (int i = 0; i < SPLITS && same; i++) {
		size_t cuts[CUTS_MAX];
		size_t n = 1 + unit_random(&seed) % CUTS_MAX;

		for (size_t k = 0; k < n; k++)
			cuts[k] = unit_random(&seed) % (s.n + 1);
		qsort(cuts, n, sizeof(*cuts), compare);
		same = feed_same(&f, s, cuts, n);
	}
	if (s.n < 2000 && same) {
		size_t every[2000];

		for (size_t i = 0; i < s.n; i++)
			every[i] = i;
		same = feed_same(&f, s, every, s.n);
	}
	feed_deinit(&f);
	return same;
}

static bool read_file(const char *dir, const char *name, struct buf *b)
{
	char *path = xasprintf("%s/%s", dir, name);
	char part[4096];
	size_t n;
	FILE *f = fopen(path, "rb");

	free(path);
	if (!f)
		return false;
	buf_reset(b);
	while ((n = fread(part, 1, sizeof(part), f)) > 0) {
		if (buf_add(b, part, n))
			abort();
	}
	fclose(f);
	return true;
}

static void verdict_does_not_depend_on_how_bytes_are_cut(void)
{
	char where[4096];
	const char *dir = unit_corpora("http1-seeds/seeds", where, sizeof(where));
	unsigned files = 0;
	unsigned results[3] = {0};
	struct buf b;

	if (!dir)
		exit(77);
	DIR *d = opendir(dir);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	buf_init(&b, 1 << 24);
	for (struct dirent *e; (e = readdir(d));) {
		enum http_result result;

		if (e->d_name[0] == '.' || !read_file(dir, e->d_name, &b))
			continue;
		files++;
		bool same = splits_agree(buf_str(&b), false, &result);
		results[result]++;
		same = same && splits_agree(buf_str(&b), true, &result);
		if (!same)
			fprintf(stderr, "%s differs\n", e->d_name);
		CU_ASSERT_TRUE(same);
	}
	closedir(d);
	buf_deinit(&b);
	CU_ASSERT(files >= 1900);
	CU_ASSERT(results[HTTP_DONE] > 0 && results[HTTP_BAD] > 0);
	printf("%u files as requests: %u accepted, %u refused, %u not whole\n", files,
	       results[HTTP_DONE], results[HTTP_BAD], results[HTTP_MORE]);
}

UNIT_MAIN("http_seeds", UNIT(verdict_does_not_depend_on_how_bytes_are_cut))
