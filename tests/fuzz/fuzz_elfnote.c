/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/* The note of a module out of any bytes: never a read beyond them, and a reason for every refusal.
 */
#include "stack/module.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* At its exact size, so that reading beyond is noticed. */
	uint8_t *copy = malloc(size ? size : 1);
	struct note_info info;
	const char *why = NULL;

	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	int r = elfnote_read(copy, size, &info, &why);
	if (r != 0 && (r != -1 || !why))
		abort();
	free(copy);
	return 0;
}
