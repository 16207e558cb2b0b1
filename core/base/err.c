/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The place where the last fault of this thread arose. Kept per thread, so that a fault on one
 * worker never explains a fault on another.
 */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

static _Thread_local struct {
	const char *file;
	int line;
	int code;
	char text[192];
} last;

int err_note(int r, const char *file, int line)
{
	const char *cut = strstr(file, "core/");

	last.file = cut ? cut : file;
	last.line = line;
	last.code = r;
	return r;
}

const char *err_last(void)
{
	char why[96];

	if (!last.file)
		return "no fault";
	snprintf(last.text, sizeof(last.text), "%s:%d: %s", last.file, last.line,
	         strerror_r(last.code < 0 ? -last.code : last.code, why, sizeof(why)));
	return last.text;
}
