/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Reading TZif files. Their bytes are the system's and still checked one by one: a count that lies
 * must not lead beyond the end.
 */
#include "zone.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ZONE_FOLDER "/usr/share/zoneinfo/"
#define ZONE_NAME_MAX 64
#define HEAD 44
#define OFFSET_MAX (26 * 3600)
#define CHANGES_MAX 10000

struct cursor {
	const uint8_t *p;
	size_t n;
};

static int64_t big_endian(const uint8_t *p, unsigned bytes)
{
	uint64_t v = p[0] & 0x80 ? UINT64_MAX : 0;

	for (unsigned i = 0; i < bytes; i++)
		v = v << 8 | p[i];
	return (int64_t)v;
}

/* The next n bytes; NULL: there are fewer. */
static const uint8_t *take(struct cursor *c, uint64_t n)
{
	const uint8_t *p = c->p;

	if (n > c->n)
		return NULL;
	c->p += n;
	c->n -= n;
	return p;
}

struct head {
	uint64_t isut, isstd, leaps, times, types, chars;
};

static int read_head(struct cursor *c, struct head *h)
{
	const uint8_t *p = take(c, HEAD);
	uint64_t *const field[] = {&h->isut, &h->isstd, &h->leaps, &h->times, &h->types, &h->chars};

	if (!p || memcmp(p, "TZif", 4) != 0 || p[4] < '2')
		return -1;
	for (unsigned i = 0; i < 6; i++)
		*field[i] = (uint64_t)big_endian(p + 20 + (size_t)i * 4, 4) & UINT32_MAX;
	return 0;
}

/* Local time types to offsets; -1: one is out of any bounds. */
static int read_types(const uint8_t *types, uint64_t n, int32_t *out)
{
	for (uint64_t i = 0; i < n; i++) {
		int64_t v = big_endian(types + i * 6, 4);
		if (v < -OFFSET_MAX || v > OFFSET_MAX)
			return -1;
		out[i] = (int32_t)v;
	}
	return 0;
}

static int read_changes(const uint8_t *times, const uint8_t *which, const struct head *h,
                        const int32_t *types, struct mem_pool *pool, struct zone *z)
{
	int64_t *at = pool_new(pool, h->times, sizeof(*at));
	int32_t *offset = pool_new(pool, h->times, sizeof(*offset));

	for (uint64_t i = 0; i < h->times; i++) {
		at[i] = big_endian(times + i * 8, 8);
		if (which[i] >= h->types || (i > 0 && at[i] <= at[i - 1]))
			return -1;
		offset[i] = types[which[i]];
	}
	z->n = (uint32_t)h->times;
	z->at = at;
	z->offset = offset;
	return 0;
}

static int read_footer(struct cursor c, struct zone *z)
{
	const uint8_t *end;

	if (c.n < 2 || c.p[0] != '\n')
		return -1;
	end = memchr(c.p + 1, '\n', c.n - 1);
	if (!end)
		return -1;
	struct merlon_str rule = {(const char *)c.p + 1, (uint64_t)(end - c.p - 1)};
	if (rule.len == 0)
		return 0;
	z->ruled = true;
	return zone_rule_parse(rule, &z->rule);
}

int zone_parse(struct merlon_str file, struct mem_pool *pool, struct zone *out)
{
	struct cursor c = {(const uint8_t *)file.ptr, file.len};
	const uint8_t *times, *which, *types;
	int32_t offsets[256];
	struct head h;

	/* The first part has times of 32 bits, for readers of long ago. */
	if (read_head(&c, &h) != 0 ||
	    !take(&c, h.times * 5 + h.types * 6 + h.chars + h.leaps * 8 + h.isstd + h.isut))
		return -1;
	if (read_head(&c, &h) != 0 || h.types == 0 || h.types > 256 || h.times > CHANGES_MAX)
		return -1;
	/* With leap seconds (the "right" zones) the numbers would mean another clock. */
	if (h.leaps != 0)
		return -1;
	times = take(&c, h.times * 8);
	which = times ? take(&c, h.times) : NULL;
	types = which ? take(&c, h.types * 6) : NULL;
	if (!types || !take(&c, h.chars + h.isstd + h.isut))
		return -1;
	if (read_types(types, h.types, offsets) != 0)
		return -1;
	out->before = offsets[0];
	if (read_changes(times, which, &h, offsets, pool, out) != 0)
		return -1;
	return read_footer(c, out);
}

static bool name_ok(struct merlon_str name)
{
	if (name.len == 0 || name.len > ZONE_NAME_MAX || name.ptr[0] == '/')
		return false;
	for (uint64_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    !strchr("_+-/", c))
			return false;
	}
	return memchr(name.ptr, '\0', name.len) == NULL;
}

/* Bytes read, or -1. A regular file that only its owner writes to. */
static ssize_t read_file(const char *path, char *buf, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	size_t n = 0;
	ssize_t r = -1;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && !(st.st_mode & (S_IWGRP | S_IWOTH))) {
		while ((r = read(fd, buf + n, cap - n)) > 0)
			n += (size_t)r;
	}
	close(fd);
	return r < 0 || n == cap ? -1 : (ssize_t)n;
}

int zone_load(struct merlon_str name, struct mem_pool *pool, struct zone *out, const char **why)
{
	char path[sizeof(ZONE_FOLDER) + ZONE_NAME_MAX] = ZONE_FOLDER;
	char *buf;
	ssize_t n;
	int r = -1;

	*out = (struct zone){.name = pool_copy(pool, name)};
	if (txt_eq(name, TXT("UTC")))
		return 0;
	*why = "is no name of a time zone, such as \"Europe/Berlin\" or \"UTC\"";
	if (!name_ok(name))
		return -1;
	memcpy(path + sizeof(ZONE_FOLDER) - 1, name.ptr, name.len);
	buf = mem_new(ZONE_FILE_MAX, 1);
	n = read_file(path, buf, ZONE_FILE_MAX);
	if (n < 0) {
		*why = "is no time zone of this system";
	} else {
		r = zone_parse((struct merlon_str){buf, (uint64_t)n}, pool, out);
		*why = "is a time zone whose file cannot be used";
	}
	free(buf);
	return r;
}

int32_t zone_offset(const struct zone *z, int64_t t)
{
	uint32_t low = 0, high = z->n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (z->at[mid] <= t)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == z->n && z->ruled)
		return zone_rule_offset(&z->rule, t);
	return low == 0 ? z->before : z->offset[low - 1];
}
