/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What the tests of sinks share: a framing, a folder, an instance that holds a sink, and the check
 * that a file's records follow each other.
 *
 * The framing here: "SEQ PREV DATA\n", PREV the CRC-32 of the line before.
 */
#ifndef UNIT_STACK_SINK_H
#define UNIT_STACK_SINK_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stack/instance.h"
#include "stack/shared.h"
#include "stack/sink.h"
#include "stack/sinkwriter.h"
#include "unit.h"

#define REC(lit) ((struct merlon_str){"" lit, sizeof(lit) - 1})

/* ---- the framing ---- */
struct state {
	uint64_t seq;
	uint32_t prev;
};

/* False: no line of ours. *data: its third field. */
static inline bool line_parse(struct str line, uint64_t *seq, uint32_t *prev, struct str *data)
{
	struct str rest = line;
	struct str a = str_split(&rest, ' ');
	struct str b = str_split(&rest, ' ');
	uint64_t p;

	if (!str_u64(a, seq) || !str_u64(b, &p) || p > UINT32_MAX || !rest.p)
		return false;
	*prev = (uint32_t)p;
	*data = rest;
	return true;
}

static inline int32_t init(void *arg, struct merlon_str line)
{
	struct state *s = arg;
	struct str data;
	uint32_t prev;

	if (line.len == 0)
		return 0;
	if (!line_parse(from_merlon(line), &s->seq, &prev, &data))
		return -1;
	s->prev = (uint32_t)hash_sip(from_merlon(line));
	return 0;
}

static inline int32_t frame(void *arg, uint32_t kind, int64_t time_us, struct merlon_str data,
                            struct merlon_sink_out *out)
{
	struct state *s = arg;
	int n = snprintf(out->ptr, out->cap, "%" PRIu64 " %" PRIu32 " %s", ++s->seq, s->prev,
	                 kind == MERLON_SINK_TORN ? "torn:" : "");

	(void)time_us;
	if (data.len == 4 && memcmp(data.ptr, "drop", 4) == 0) {
		s->seq--;
		return -1;
	}
	if (data.len > 0)
		memcpy(out->ptr + n, data.ptr, data.len);
	out->len = (uint64_t)n + data.len;
	s->prev = (uint32_t)hash_sip((struct str){out->ptr, out->len});
	out->ptr[out->len++] = '\n';
	return 0;
}

static const struct merlon_sink_ops ops = {
    .size = sizeof(ops),
    .state_size = sizeof(struct state),
    .overhead = 64,
    .init = init,
    .frame = frame,
};

/* ---- folders and files ---- */
static char folder[64];

static inline const char *path_of(const char *name)
{
	static char path[8][128];
	static unsigned at;

	at = (at + 1) % 8;
	snprintf(path[at], sizeof(path[at]), "%s/%s", folder, name);
	return path[at];
}

static inline void write_file(const char *name, const char *text, int flags)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | flags, 0600);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static inline void read_file(const char *name, struct buf *out)
{
	char part[4096];
	int fd = open(path_of(name), O_RDONLY);
	ssize_t n;

	buf_init(out, 1 << 28);
	if (fd < 0)
		return;
	while ((n = read(fd, part, sizeof(part))) > 0)
		CU_ASSERT_EQUAL_FATAL(buf_add(out, part, (size_t)n), 0);
	close(fd);
}

/* ---- an instance that holds a sink ---- */
struct fake {
	struct merlon_ctx ctx;
	merlon_sink *sink;
};

static inline int32_t fake_open(struct fake *f, const char *name, uint32_t commit_ms)
{
	const char *path = path_of(name);

	memset(f, 0, sizeof(*f));
	list_init(&f->ctx.shared);
	return host_sink_open(&f->ctx, NULL, (struct merlon_str){path, strlen(path)}, commit_ms,
	                      &ops, &f->sink);
}

static inline void fake_close(struct fake *f)
{
	held_release_all(&f->ctx);
}

/* "" when the generation was published, else why not. */
static inline const char *published(void)
{
	const char *path = NULL;
	const char *why = "";
	const struct conf_node *at = NULL;
	int r = sinks_publish(&at, &path, &why);

	CU_ASSERT_EQUAL(r != 0, path != NULL);
	return r ? why : "";
}

static inline void fake_start(struct fake *f, const char *name)
{
	CU_ASSERT_EQUAL_FATAL(fake_open(f, name, 50), 0);
	CU_ASSERT_STRING_EQUAL_FATAL(published(), "");
}

static inline void set_up(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(folder, sizeof(folder), "%s/merlon-sink-XXXXXX",
	         tmp && strlen(tmp) < 32 ? tmp : "/tmp");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	sinks_start(70);
}

static inline void tear_down(void)
{
	DIR *dir;
	struct dirent *d;

	sinks_stop();
	dir = opendir(folder);
	while (dir && (d = readdir(dir)))
		unlinkat(dirfd(dir), d->d_name, 0);
	closedir(dir);
	rmdir(folder);
}

static inline int32_t append(struct fake *f, const char *text)
{
	return host_sink_append(f->sink, NULL, (struct merlon_str){text, strlen(text)});
}

/* ---- chains ---- */
struct seen {
	uint64_t seq;
	uint32_t prev;
	struct str last; /* data of the last record; the file is read again by the next check */
	char last_mem[128];
};

/* The file's records follow those seen so far without a gap. */
static inline void chain_check(struct seen *c, const char *name, void (*each)(struct str data))
{
	struct buf b;
	struct str rest;

	read_file(name, &b);
	CU_ASSERT(b.n == 0 || b.p[b.n - 1] == '\n');
	rest = (struct str){b.p, b.n ? b.n - 1 : 0};
	while (b.n && rest.p) {
		struct str line = str_split(&rest, '\n');
		struct str data = STR_NONE;
		uint64_t seq = 0;
		uint32_t prev = 0;

		CU_ASSERT_TRUE_FATAL(line_parse(line, &seq, &prev, &data));
		CU_ASSERT_EQUAL(seq, c->seq + 1);
		CU_ASSERT_EQUAL(prev, c->prev);
		c->seq = seq;
		c->prev = (uint32_t)hash_sip(line);
		snprintf(c->last_mem, sizeof(c->last_mem), "%.*s", STR_FMT(data));
		c->last = str_of(c->last_mem);
		if (each)
			each(data);
	}
	buf_deinit(&b);
}

#endif
