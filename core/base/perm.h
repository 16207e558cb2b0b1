/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Who may have written this file? (promise P12) Asked of open descriptors, never of names.
 */
#ifndef BASE_PERM_H
#define BASE_PERM_H

#include "base/buf.h"
#include "base/err.h"

enum {
	PERM_E_TYPE = 1,   /* not a regular file */
	PERM_E_OWNER = 2,  /* neither root nor the user we run as */
	PERM_E_MODE = 3,   /* others may write; or the group, and it is not the user's own */
	PERM_E_FOLDER = 4, /* the same for the folder that holds it */
	PERM_E_SIZE = 5,   /* larger than asked for */
};
/* 0, PERM_E_* or -errno. The group may write where it is the primary group of the file's owner and
 * has no other member. A sticky folder (mode 1777) is accepted where the file itself is ours. */
int perm_check_fd(int fd, const char *path) MUST_CHECK;
/* "is writable by others" and the like, for messages after the path. */
const char *perm_strerror(int r);
/* Opens (O_CLOEXEC), checks, reads whole. 0, PERM_E_*, -errno. `out` must be initialised; it is
 * appended to. */
int perm_read_file(const char *path, size_t max, struct buf *out) MUST_CHECK;

#endif
