/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Who may have written this file? Everything is asked of descriptors. A name may be a link, so the
 * folder of the name and the folder where the file really lies are both looked at: a writer of
 * either could swap the file.
 */
#include "base/perm.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/mem.h"

#define NSS_BYTES 65536 /* names and members of one entry; a larger group is nobody's own */
#define READ_PART 65536

static int lookup_user(uid_t uid, gid_t *gid, char **name)
{
	_cleanup_(xfreep) char *mem = xmalloc(NSS_BYTES);
	struct passwd pw, *found = NULL;

	if (getpwuid_r(uid, &pw, mem, NSS_BYTES, &found) || !found)
		return -1;
	*gid = pw.pw_gid;
	*name = xstrdup(pw.pw_name);
	return 0;
}

/* Whether gid is the primary group of uid and names nobody else. */
static bool own_group(uid_t uid, gid_t gid)
{
	_cleanup_(xfreep) char *mem = xmalloc(NSS_BYTES);
	_cleanup_(xfreep) char *name = NULL;
	struct group gr, *found = NULL;
	gid_t primary;

	if (lookup_user(uid, &primary, &name) || primary != gid)
		return false;
	if (getgrgid_r(gid, &gr, mem, NSS_BYTES, &found) || !found)
		return false;
	for (char **m = gr.gr_mem; *m; m++)
		if (strcmp(*m, name) != 0)
			return false;
	return true;
}

/* With an access list the group bits are its mask: they then say nothing about the group alone. */
static bool has_acl(int fd)
{
	char proc[64];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return getxattr(proc, "system.posix_acl_access", NULL, 0) > 0;
}

/* 0, PERM_E_OWNER, PERM_E_MODE */
static int check_stat(int fd, const struct stat *st)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return PERM_E_OWNER;
	if (st->st_mode & S_IWOTH)
		return PERM_E_MODE;
	if ((st->st_mode & S_IWGRP) && (has_acl(fd) || !own_group(st->st_uid, st->st_gid)))
		return PERM_E_MODE;
	return 0;
}

static int check_folder_fd(int fd, bool file_is_ours)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_origin(-errno);
	/* In a sticky folder only the owners of the file and of the folder can take the file away.
	 */
	if ((st.st_mode & S_ISVTX) && file_is_ours)
		st.st_mode &= ~(mode_t)(S_IWGRP | S_IWOTH);
	return check_stat(fd, &st) ? PERM_E_FOLDER : 0;
}

/* The folder part of path, in place. */
static const char *folder_of(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash)
		return ".";
	slash[slash == path] = '\0';
	return path;
}

static int check_folder(char *path, bool file_is_ours)
{
	_cleanup_(closep) int fd = open(folder_of(path), O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_origin(-errno);
	return check_folder_fd(fd, file_is_ours);
}

/* Without /proc there is nothing to ask; the folder of the name has been checked then. */
static int check_real_folder(int file, bool file_is_ours)
{
	char proc[64], real[PATH_MAX];
	ssize_t n;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", file);
	n = readlink(proc, real, sizeof(real) - 1);
	if (n <= 0 || real[0] != '/')
		return 0;
	real[n] = '\0';
	return check_folder(real, file_is_ours);
}

int perm_check_fd(int fd, const char *path)
{
	_cleanup_(xfreep) char *name = xstrdup(path);
	struct stat st;
	bool ours;
	int r;

	if (fstat(fd, &st) < 0)
		return err_origin(-errno);
	if (!S_ISREG(st.st_mode))
		return PERM_E_TYPE;
	r = check_stat(fd, &st);
	if (r)
		return r;
	ours = st.st_uid == geteuid();
	r = check_folder(name, ours);
	if (r)
		return err_trace(r);
	return err_trace(check_real_folder(fd, ours));
}

const char *perm_strerror(int r)
{
	if (r < 0)
		return strerror(-r);
	switch (r) {
	case 0:
		return "is fine";
	case PERM_E_TYPE:
		return "is not a regular file";
	case PERM_E_OWNER:
		return "belongs to another user";
	case PERM_E_MODE:
		return "is writable by others";
	case PERM_E_FOLDER:
		return "lies in a folder that others may write to";
	case PERM_E_SIZE:
		return "is too large";
	default:
		return "cannot be used";
	}
}

static ssize_t read_some(int fd, char *p, size_t n)
{
	ssize_t r;

	do
		r = read(fd, p, n);
	while (r < 0 && errno == EINTR);
	return r < 0 ? err_origin(-errno) : r;
}

static int read_whole(int fd, size_t max, struct buf *out)
{
	size_t begin = out->n;

	for (;;) {
		size_t left = max - (out->n - begin);
		size_t room = out->cap - out->n;
		char probe;
		ssize_t n;

		if (left && room) {
			n = read_some(fd, out->p + out->n, left < room ? left : room);
			if (n <= 0)
				return err_trace((int)n);
			out->n += (size_t)n;
			continue;
		}
		/* One byte aside tells the end, without growing (and copying) a secret for it. */
		n = read_some(fd, &probe, 1);
		if (n <= 0)
			return err_trace((int)n);
		if (!left || (buf_reserve(out, READ_PART) && buf_reserve(out, out->max - out->n)))
			return PERM_E_SIZE;
		if (buf_add(out, &probe, 1))
			return PERM_E_SIZE;
	}
}

int perm_read_file(const char *path, size_t max, struct buf *out)
{
	/* O_NONBLOCK: a FIFO of that name must not hang the start; for regular files it means
	 * nothing. */
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	size_t begin = out->n;
	struct stat st;
	int r;

	if (fd < 0)
		return err_origin(-errno);
	r = perm_check_fd(fd, path);
	if (r)
		return err_trace(r);
	if (fstat(fd, &st) < 0)
		return err_origin(-errno);
	if (st.st_size > 0 && (uint64_t)st.st_size > max)
		return PERM_E_SIZE;
	/* At once, so that a secret is not left behind by growing. */
	if (buf_reserve(out, (size_t)st.st_size))
		return PERM_E_SIZE;
	r = read_whole(fd, max, out);
	if (r)
		out->n = begin;
	return err_trace(r);
}
