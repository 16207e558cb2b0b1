/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A sink's file when it is opened: one process at a time, written by nobody else, ending with a
 * whole line. Sequence and chain go on from its last line; after a rotation that left an empty
 * file, from the newest rotated one's.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/perm.h"
#include "stack/sinkwriter.h"

#define PART 65536
#define LINE_MAX_BYTES (SINK_RECORD_MAX + SINK_OVERHEAD_MAX)
#define SIBLINGS_MAX 4096

/* ---- the last line ---- */
/* Offset just behind the last LF before `end`, 0 if there is none; -errno. */
static off_t after_last_lf(int fd, off_t end)
{
	_cleanup_(xfreep) char *part = xmalloc(PART);

	while (end > 0) {
		off_t from = end > PART ? end - PART : 0;
		ssize_t n = pread(fd, part, (size_t)(end - from), from);
		const char *lf;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_origin(-errno);
		if (n < end - from)
			return err_origin(-EIO);
		lf = memrchr(part, '\n', (size_t)n);
		if (lf)
			return from + (lf - part) + 1;
		end = from;
	}
	return 0;
}

/* The last whole line without its LF, to be freed; *behind: where it ends. 0, or -errno. */
static int last_line(int fd, char **line, size_t *n, off_t *behind)
{
	struct stat st;
	off_t begin;

	*line = NULL;
	*n = 0;
	if (fstat(fd, &st) < 0)
		return err_origin(-errno);
	*behind = after_last_lf(fd, st.st_size);
	if (*behind <= 0)
		return (int)*behind;
	begin = after_last_lf(fd, *behind - 1);
	if (begin < 0)
		return (int)begin;
	*n = (size_t)(*behind - begin) - 1;
	if (*n > LINE_MAX_BYTES)
		return err_origin(-EBADMSG);
	*line = xmalloc(*n + 1);
	if (pread(fd, *line, *n, begin) != (ssize_t)*n)
		return err_origin(-EIO);
	return 0;
}

static bool state_init(struct sink_file *f, const char *line, size_t n)
{
	memset(f->state, 0, sizeof(f->state));
	return f->ops.init(f->state, (struct merlon_str){line, n}) == 0;
}

/* ---- rotated files ---- */
struct sibling {
	char *name;
	struct timespec mtime;
	bool packed;
};

static int by_age(const void *a, const void *b)
{
	const struct sibling *x = a;
	const struct sibling *y = b;

	if (x->mtime.tv_sec != y->mtime.tv_sec)
		return x->mtime.tv_sec < y->mtime.tv_sec ? 1 : -1;
	if (x->mtime.tv_nsec != y->mtime.tv_nsec)
		return x->mtime.tv_nsec < y->mtime.tv_nsec ? 1 : -1;
	return strcmp(x->name, y->name);
}

static bool is_packed(struct str name)
{
	static const char *const ends[] = {".gz", ".xz", ".zst", ".bz2"};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (str_ends(name, str_of(ends[i])))
			return true;
	return false;
}

static bool is_sibling(struct str name, struct str base)
{
	return str_starts(name, base) && name.n > base.n &&
	       (name.p[base.n] == '.' || name.p[base.n] == '-') && !str_ends(name, STR(".torn"));
}

/* The folder's rotated files, newest first; *n of them, to be freed with their names. */
static struct sibling *siblings(DIR *dir, struct str base, size_t *n)
{
	struct sibling *v = NULL;
	struct dirent *d;

	*n = 0;
	while (*n < SIBLINGS_MAX && (d = readdir(dir))) {
		struct stat st;

		if (!is_sibling(str_of(d->d_name), base) ||
		    fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		if ((*n & (*n - 1)) == 0)
			v = xrealloc(v, (*n ? *n * 2 : 1) * sizeof(*v));
		v[(*n)++] =
		    (struct sibling){xstrdup(d->d_name), st.st_mtim, is_packed(str_of(d->d_name))};
	}
	if (v)
		qsort(v, *n, sizeof(*v), by_age);
	return v;
}

/* Whether the state could be set from this file's last line. */
static bool sibling_take(struct sink_file *f, const char *path)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_(xfreep) char *line = NULL;
	size_t n;
	off_t behind;

	return fd >= 0 && perm_check_fd(fd, path) == 0 && last_line(fd, &line, &n, &behind) == 0 &&
	       n > 0 && state_init(f, line, n);
}

/* The file holds no record: goes on from the newest rotated one that holds any. */
static int state_from_siblings(struct sink_file *f)
{
	_cleanup_(xfreep) char *folder =
	    str_dup((struct str){f->path, (size_t)(f->label - f->path)});
	DIR *dir = opendir(folder);
	struct sibling *v;
	size_t n;
	bool found = false;

	if (!dir)
		return err_origin(-errno);
	v = siblings(dir, str_of(f->label), &n);
	for (size_t i = 0; i < n; i++) {
		char *path = xasprintf("%s%s", folder, v[i].name);

		if (!found && v[i].packed)
			log_msg(LOG_L_WARN,
			        "sink %s: %s is packed and cannot be continued; an older file or "
			        "none is",
			        f->path, v[i].name);
		else if (!found)
			found = sibling_take(f, path);
		free(path);
		free(v[i].name);
	}
	free(v);
	closedir(dir);
	return found || state_init(f, "", 0) ? 0 : -EBADMSG;
}

/* ---- a torn last line ---- */
static int copy_behind(int from, off_t at, int to)
{
	_cleanup_(xfreep) char *part = xmalloc(PART);
	ssize_t n;

	while ((n = pread(from, part, PART, at)) > 0) {
		for (ssize_t done = 0; done < n;) {
			ssize_t w = write(to, part + done, (size_t)(n - done));

			if (w < 0 && errno != EINTR)
				return err_origin(-errno);
			done += w > 0 ? w : 0;
		}
		at += n;
	}
	return n < 0 ? err_origin(-errno) : 0;
}

/* Moves what lies behind the last whole line to FILE.torn and records that. */
static int torn_move(struct sink_file *f, int fd, off_t behind)
{
	_cleanup_(xfreep) char *path = xasprintf("%s.torn", f->path);
	_cleanup_(closep) int to =
	    open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (to < 0)
		return err_origin(-errno);
	r = copy_behind(fd, behind, to);
	if (r)
		return err_trace(r);
	/* The copy must be on the disk before the original goes. */
	if (fsync(to) < 0 || ftruncate(fd, behind) < 0)
		return err_origin(-errno);
	log_msg(LOG_L_WARN, "sink %s: a torn last line was moved to %s", f->path, path);
	file_frame(f, MERLON_SINK_TORN, str_of(path + (f->label - f->path)));
	return 0;
}

static bool is_torn(int fd, off_t behind)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size > behind;
}

/* ---- opening ---- */
/* *created: it was not there before. */
static int open_path(const char *path, bool *created)
{
	const int how = O_RDWR | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = open(path, how);

	*created = false;
	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? err_origin(-errno) : fd;
	fd = open(path, how | O_CREAT | O_EXCL, 0640);
	*created = fd >= 0;
	return fd < 0 ? err_origin(-errno) : fd;
}

static int check_file(int fd, const char *path, const char **why)
{
	int r = perm_check_fd(fd, path);

	if (r) {
		*why = perm_strerror(r);
		return r < 0 ? r : -EPERM;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		r = -errno;
		*why = r == -EWOULDBLOCK ? "is in use by another process" : strerror(-r);
		return err_origin(r);
	}
	return 0;
}

bool file_may_be(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 || S_ISREG(st.st_mode);
}

static int open_checked(const char *path, const char **why)
{
	bool created;
	int fd = open_path(path, &created);
	int r;

	if (fd < 0) {
		*why = strerror(-fd);
		return err_trace(fd);
	}
	r = check_file(fd, path, why);
	if (r == 0)
		return fd;
	if (created)
		unlink(path);
	close(fd);
	return err_trace(r);
}

static int begin(struct sink_file *f, int fd, const char **why)
{
	_cleanup_(xfreep) char *line = NULL;
	off_t behind;
	size_t n;
	int r = last_line(fd, &line, &n, &behind);

	/* An empty line is no record: taken for one, it would begin the chain anew. */
	if (r == 0 && behind > 0)
		r = n > 0 && state_init(f, line, n) ? 0 : -EBADMSG;
	else if (r == 0)
		r = state_from_siblings(f);
	f->fd = fd;
	if (r == 0 && is_torn(fd, behind)) {
		r = torn_move(f, fd, behind);
		file_write(f);
	}
	if (r)
		*why = r == -EBADMSG ? "its last record is damaged" : strerror(-r);
	return err_trace(r);
}

int file_open(struct sink_file *f, const char **why)
{
	int fd = open_checked(f->path, why);
	int r;

	if (fd < 0)
		return err_trace(fd);
	f->nbatch = 0;
	file_set_failed(f, false);
	r = begin(f, fd, why);
	if (r) {
		f->fd = -1;
		close(fd);
	}
	return err_trace(r);
}

static bool same_file(int a, int b)
{
	struct stat x;
	struct stat y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* The descriptor to go on with: the old one where the path still names its file, since a lock of
 * our own would stand in the way of a second. -errno and *why: there is none. */
static int reopen_fd(struct sink_file *f, const char **why)
{
	bool created;
	int fd = open_path(f->path, &created);
	int r;

	if (fd < 0) {
		*why = strerror(-fd);
		return err_trace(fd);
	}
	if (same_file(fd, f->fd)) {
		close(fd);
		return f->fd;
	}
	r = check_file(fd, f->path, why);
	if (r == 0)
		return fd;
	if (created)
		unlink(f->path);
	close(fd);
	return err_trace(r);
}

void file_reopen(struct sink_file *f)
{
	_cleanup_(xfreep) char *line = NULL;
	const char *why = NULL;
	int fd = reopen_fd(f, &why);
	off_t behind = 0;
	size_t n;
	int r;

	if (fd < 0) {
		log_msg(LOG_L_ERROR, "sink %s: not reopened: %s", f->path, why);
		return;
	}
	r = last_line(fd, &line, &n, &behind);
	/* What was kept is framed already, so the note of a torn line comes behind it. */
	if (r == 0 && is_torn(fd, behind))
		r = torn_move(f, fd, behind);
	if (r) {
		log_msg(LOG_L_ERROR, "sink %s: not reopened: %s", f->path, strerror(-r));
		if (fd != f->fd)
			close(fd);
		return;
	}
	if (fd != f->fd)
		close(f->fd);
	f->fd = fd;
	file_set_failed(f, false);
	file_write(f);
	if (!atomic_load(&f->failed))
		log_msg(LOG_L_NOTICE, "sink %s: reopened", f->path);
}
