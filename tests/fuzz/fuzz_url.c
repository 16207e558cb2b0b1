/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Request targets: an accepted path is canonical, so that reading it again changes nothing, and
 * holds nothing that was to be refused. Hosts and escapes are read from the same bytes.
 */
#include "http/url.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(struct str path, struct arena *a)
{
	struct url again;
	const char *why;

	if (path.n == 0 || path.p[0] != '/')
		abort();
	for (size_t i = 0; i < path.n; i++) {
		unsigned char c = (unsigned char)path.p[i];

		if (c < 0x21 || c > 0x7e || c == '#' || c == '\\' || c == '?')
			abort();
		if (c == '/' && i > 0 && path.p[i - 1] == '/')
			abort();
	}
	if (url_parse(path, false, a, &again, &why) || !str_eq(again.path, path) || again.query.p)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* At its exact size, so that reading beyond is noticed. */
	char *copy = malloc(size + 1);
	struct str s = {copy, size};
	struct arena a;
	struct url u;
	struct str text;
	uint16_t port;
	const char *why = NULL;

	if (size)
		memcpy(copy, data, size);
	copy = realloc(copy, size ? size : 1);
	s.p = copy;
	arena_init(&a, NULL);
	int r = url_parse(s, false, &a, &u, &why);
	if (r == 0) {
		check_path(u.path, &a);
		if (u.authority.p && !url_host_valid(u.authority))
			abort();
	} else if (!why) {
		abort();
	}
	if (url_host_valid(s) && url_host_name(s, &a).n == 0)
		abort();
	if (url_decode(s, &a, &text) == 0 && text.n > s.n)
		abort();
	if (url_hostport(s, &text, &port) && text.n == 0)
		abort();
	arena_deinit(&a);
	free(copy);
	return 0;
}
