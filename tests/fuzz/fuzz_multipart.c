/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Multipart forms: the same verdict and value however the bytes are cut, nothing of the end passed
 * on early, and in an accepted form the boundary stands behind line ends only. The first line of
 * the input is the Content-Type, the byte before it the size of the pieces.
 */
#include "base/str.h"
#include "http/form.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *scan(struct arena *a, struct str boundary, struct str body, size_t piece,
                        struct form_want *want)
{
	struct multipart *m = multipart_new(a, boundary, want);
	const char *why = NULL;
	uint64_t before = 0;

	for (size_t at = 0; at < body.n && !why; at += piece) {
		size_t n = body.n - at < piece ? body.n - at : piece;

		why = multipart_feed(m, body.p + at, n);
		if (why)
			break;
		if (multipart_releasable(m) < before || multipart_releasable(m) > at + n)
			abort();
		before = multipart_releasable(m);
	}
	if (!why)
		why = multipart_finish(m);
	/* Both dashes and what follows them have waited. */
	if (!why && (before + 2 > body.n || memcmp(body.p + before, "--", 2) != 0))
		abort();
	return why;
}

static void check_marks(struct str boundary, struct str body)
{
	const char *end = body.p + body.n;

	for (const char *at = body.p; (size_t)(end - at) >= boundary.n + 2;) {
		if (memcmp(at, "--", 2) != 0 || memcmp(at + 2, boundary.p, boundary.n) != 0) {
			at++;
			continue;
		}
		if (at != body.p && (at - body.p < 2 || at[-2] != '\r' || at[-1] != '\n'))
			abort();
		at += boundary.n + 2;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data + 1, size - 1};
	struct form_want whole = {STR("model"), 16, STR_NONE}, cut = whole;
	struct str type, boundary;
	const char *a_why, *b_why;
	struct arena a;

	if (size < 1)
		return 0;
	type = str_split(&rest, '\n');
	if (!rest.p || !multipart_boundary(type, &boundary))
		return 0;
	arena_init(&a, NULL);
	a_why = scan(&a, boundary, rest, rest.n + 1, &whole);
	b_why = scan(&a, boundary, rest, data[0] % 16 + 1u, &cut);
	if (a_why != b_why)
		abort();
	if (!a_why && (!whole.value.p != !cut.value.p || !str_eq(whole.value, cut.value)))
		abort();
	if (!a_why)
		check_marks(boundary, rest);
	arena_deinit(&a);
	return 0;
}
