/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * URL-encoded forms: the same verdict and value however the bytes are cut, the last byte passed on
 * with the end only, and the value that a plain reading of the whole text finds. The first byte of
 * the input is the size of the pieces.
 */
#include "base/str.h"
#include "http/form.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *scan(struct arena *a, struct str body, size_t piece, struct form_want *want)
{
	struct urlform *f = urlform_new(a, want);
	const char *why = NULL;

	for (size_t at = 0; at < body.n && !why; at += piece) {
		size_t n = body.n - at < piece ? body.n - at : piece;

		why = urlform_feed(f, body.p + at, n);
		if (!why && urlform_releasable(f) >= at + n)
			abort();
	}
	return why ? why : urlform_finish(f);
}

static unsigned nibble(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* Of a text that was accepted, so each escape is right. */
static struct str decoded(struct arena *a, struct str s)
{
	char *out = arena_alloc(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '%') {
			out[n++] = (char)(nibble(s.p[i + 1]) << 4 | nibble(s.p[i + 2]));
			i += 2;
		} else {
			out[n++] = s.p[i] == '+' ? ' ' : s.p[i];
		}
	}
	return (struct str){out, n};
}

static void check_value(struct arena *a, struct str body, struct str value)
{
	struct str found = STR_NONE;

	while (body.p) {
		struct str rest = str_split(&body, '&');
		struct str name = decoded(a, str_split(&rest, '='));

		if (!str_eq(name, STR("model")))
			continue;
		if (found.p)
			abort();
		found = rest.p ? decoded(a, rest) : STR("");
	}
	if (!found.p != !value.p || !str_eq(found, value))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct form_want whole = {STR("model"), 16, STR_NONE}, cut = whole;
	struct str body = {(const char *)data + 1, size - 1};
	const char *why;
	struct arena a;

	if (size < 1)
		return 0;
	arena_init(&a, NULL);
	why = scan(&a, body, body.n + 1, &whole);
	if (why != scan(&a, body, data[0] % 16 + 1u, &cut))
		abort();
	if (!why && (!whole.value.p != !cut.value.p || !str_eq(whole.value, cut.value)))
		abort();
	if (!why)
		check_value(&a, body, whole.value);
	arena_deinit(&a);
	return 0;
}
