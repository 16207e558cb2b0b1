/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What _cleanup_() calls. errno survives, because the function that returns may be about to report
 * it.
 */
#include "base/clean.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void xfreep(void *pp)
{
	void *p;

	/* The pointer may be of any object type: reading it as bytes keeps the aliasing rules. */
	memcpy(&p, pp, sizeof(p));
	free(p);
}

void closep(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}
