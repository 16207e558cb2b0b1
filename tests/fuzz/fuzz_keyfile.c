/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Files of API keys: whatever stands in one, each key that is accepted can be found again by its id
 * and its hashes.
 */
#include "auth_apikey/keyfile.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count(void *arg, uint32_t line, const char *text)
{
	unsigned *errors = arg;

	(void)line;
	*errors += *text != '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size ? size : 1);
	unsigned errors = 0;
	struct keyfile f;
	int r;

	if (size)
		memcpy(copy, data, size);
	r = keyfile_read(&f, (struct merlon_str){copy, size}, count, &errors);
	if ((r == 0) != (errors == 0) || errors > KEYFILE_ERRORS_MAX)
		abort();
	for (size_t i = 0; r == 0 && i < f.n; i++) {
		const struct key *k = &f.v[i];
		if (keyfile_by_id(&f, k->id) != k || keyfile_by_hash(&f, k->hash[0]) != k ||
		    !k->sub.ptr || k->nhashes < 1 || k->nhashes > 2)
			abort();
	}
	keyfile_free(&f);
	free(copy);
	return 0;
}
