/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Changing a key file: lock, read, write a new file beside it, fsync, rename, fsync the folder. Who
 * reads sees the old file or the new one.
 */
#include "ctl/keystore.h"

#include "base/clean.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether the name still means the file that is open: another merlonctl may have renamed its own
 * over it. */
static bool still_named(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

static int open_locked(const char *path, bool change, bool create)
{
	int flags = (change ? O_RDWR : O_RDONLY) | O_CLOEXEC | (create ? O_CREAT : 0);

	for (;;) {
		int fd = open(path, flags, 0600);
		if (fd < 0)
			return err_origin(-errno);
		if (!change)
			return fd;
		while (flock(fd, LOCK_EX) != 0) {
			if (errno != EINTR) {
				int r = err_origin(-errno);
				close(fd);
				return r;
			}
		}
		if (still_named(fd, path))
			return fd;
		close(fd);
	}
}

int keystore_open(struct keystore *ks, const char *path, bool change, bool create)
{
	char *real = realpath(path, NULL);
	int r;

	*ks = (struct keystore){.path = real ? real : xstrdup(path), .fd = -1};
	buf_init(&ks->text, KEYSTORE_MAX);
	ks->made = create && access(ks->path, F_OK) != 0;
	r = open_locked(ks->path, change, create);
	if (r < 0)
		return r;
	ks->fd = r;
	r = buf_read(&ks->text, ks->fd);
	return r > 0 ? err_origin(-EFBIG) : r;
}

void keystore_close(struct keystore *ks)
{
	/* A file that was only made to be locked does not stay behind. A written one has another
	 * inode. */
	if (ks->fd >= 0 && ks->made && ks->text.n == 0 && still_named(ks->fd, ks->path))
		unlink(ks->path);
	if (ks->fd >= 0)
		close(ks->fd);
	buf_deinit(&ks->text);
	free(ks->path);
}

bool keystore_line(struct str *rest, struct str *line)
{
	if (rest->n == 0)
		return false;
	const char *lf = memchr(rest->p, '\n', rest->n);
	size_t n = lf ? (size_t)(lf - rest->p) : rest->n;
	*line = (struct str){rest->p, n};
	rest->p += n + (lf != NULL);
	rest->n -= n + (lf != NULL);
	return true;
}

json_t *keystore_parse(struct str line)
{
	json_t *obj = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(obj))
		return obj;
	json_decref(obj);
	return NULL;
}

bool keystore_find(const struct keystore *ks, const char *id, struct str *line, json_t **obj)
{
	struct str rest = buf_str(&ks->text);

	while (keystore_line(&rest, line)) {
		*obj = keystore_parse(*line);
		const char *have = json_string_value(json_object_get(*obj, "id"));
		if (have && strcmp(have, id) == 0)
			return true;
		json_decref(*obj);
	}
	*obj = NULL;
	return false;
}

bool keystore_has_hash(const struct keystore *ks, const char hash[KEYSTORE_HASH])
{
	return ks->text.n > 0 && memmem(ks->text.p, ks->text.n, hash, KEYSTORE_HASH);
}

static int write_all(int fd, struct str s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_origin(-errno);
		s.p += n;
		s.n -= (size_t)n;
	}
	return 0;
}

/* The whole new text. */
static int compose(const struct keystore *ks, struct str line, const char *object, struct buf *out)
{
	struct str old = buf_str(&ks->text);
	struct str before = line.p ? (struct str){old.p, (size_t)(line.p - old.p)} : old;
	struct str after = STR("\n");
	int r = buf_adds(out, before);

	if (line.p && line.p + line.n < old.p + old.n)
		after = (struct str){line.p + line.n, (size_t)(old.p + old.n - (line.p + line.n))};
	if (r == 0 && out->n > 0 && out->p[out->n - 1] != '\n')
		r = buf_adds(out, STR("\n"));
	if (r == 0)
		r = buf_adds(out, str_of(object));
	if (r == 0)
		r = buf_adds(out, after);
	return r ? err_origin(-EFBIG) : 0;
}

/* merlond's user must be able to read what root has written: the owner stays who it was. */
static int keep_owner(const struct keystore *ks, int fd)
{
	struct stat was, is;

	if (fstat(ks->fd, &was) != 0 || fstat(fd, &is) != 0 || fchmod(fd, 0600) != 0)
		return err_origin(-errno);
	if (was.st_uid != is.st_uid && fchown(fd, was.st_uid, was.st_gid) != 0)
		return err_origin(-errno);
	return 0;
}

static int sync_folder(const char *path)
{
	_cleanup_(xfreep) char *copy = xstrdup(path);
	_cleanup_(closep) int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) != 0)
		return err_origin(-errno);
	return 0;
}

static int replace(const struct keystore *ks, struct str text)
{
	_cleanup_(xfreep) char *name = xasprintf("%s.XXXXXX", ks->path);
	_cleanup_(closep) int fd = mkostemp(name, O_CLOEXEC);
	int r;

	if (fd < 0)
		return err_origin(-errno);
	r = keep_owner(ks, fd);
	if (r == 0)
		r = write_all(fd, text);
	if (r == 0 && (fsync(fd) != 0 || rename(name, ks->path) != 0))
		r = err_origin(-errno);
	if (r != 0) {
		unlink(name);
		return err_trace(r);
	}
	return sync_folder(ks->path);
}

int keystore_write(struct keystore *ks, struct str line, const json_t *obj)
{
	_cleanup_(xfreep) char *object = json_dumps(obj, JSON_COMPACT);
	struct buf text;
	int r;

	if (!object)
		return err_origin(-EINVAL);
	buf_init(&text, KEYSTORE_MAX);
	r = compose(ks, line, object, &text);
	if (r == 0)
		r = replace(ks, buf_str(&text));
	buf_deinit(&text);
	return r;
}
