/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What the tests of builds and of instances share: a private folder for copies of modules, and a
 * table of host functions as far as the stack room has them.
 */
#ifndef STACK_MODULE_TEST_H
#define STACK_MODULE_TEST_H

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/perm.h"
#include "conf/load.h"
#include "stack/instance.h"
#include "unit.h"

static char dir[64];
static struct conf_diag d;
static const struct conf_node at = {.file = "merlon.conf", .line = 12};

static inline void log_nothing(merlon_ctx *ctx, merlon_tx *tx, int32_t level,
                               struct merlon_str text)
{
	(void)ctx;
	(void)tx;
	(void)level;
	(void)text;
}

static const struct merlon_host host = {
    .size = sizeof(host),
    .major = MERLON_ABI_MAJOR,
    .minor = MERLON_ABI_MINOR,
    .log = log_nothing,
    .now = host_now,
    .ctx_info = host_ctx_info,
    .probing = host_probing,
    .cfg_get = host_cfg_get,
    .cfg_rate = host_cfg_rate,
    .cfg_count = host_cfg_count,
    .cfg_at = host_cfg_at,
    .cfg_key = host_cfg_key,
    .cfg_where = host_cfg_where,
    .cfg_error = host_cfg_error,
    .cfg_file_error = host_cfg_file_error,
    .cfg_warn = host_cfg_warn,
    .metric_define = host_metric_define,
    .metric_add = host_metric_add,
    .tx_alloc = host_tx_alloc,
    .tx_slot = host_tx_slot,
    .tx_worker = host_tx_worker,
    .attr_get = host_attr_get,
    .attr_set = host_attr_set,
    .attr_each = host_attr_each,
};

/* ---- files ---- */
static inline void path_of(const char *name, char out[160])
{
	snprintf(out, 160, "%s/%s.so", dir, name);
}

static inline void put(const char *name, const void *p, size_t n)
{
	char path[160], temp[180];
	int fd;

	path_of(name, path);
	snprintf(temp, sizeof(temp), "%s.new", path);
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(write(fd, p, n), (ssize_t)n);
	close(fd);
	CU_ASSERT_EQUAL_FATAL(rename(temp, path), 0);
}

static inline void drop(const char *name)
{
	char path[160];

	path_of(name, path);
	unlink(path);
}

static inline struct buf read_from(const char *path)
{
	struct buf b;

	buf_init(&b, 64 << 20);
	CU_ASSERT_EQUAL_FATAL(perm_read_file(path, 64 << 20, &b), 0);
	return b;
}

static inline struct buf good_bytes(void)
{
	return read_from(ABI_MODULES "/abi_good.so");
}

/* Replaces every occurrence; true: there was one. */
static inline bool patch(struct buf *b, const void *from, const void *to, size_t n)
{
	bool found = false;

	for (size_t i = 0; i + n <= b->n; i++) {
		if (memcmp(b->p + i, from, n) == 0) {
			memcpy(b->p + i, to, n);
			found = true;
		}
	}
	return found;
}

static inline const char *said(void)
{
	if (buf_add(&d.text, "", 1))
		return "";
	d.text.n--;
	return d.text.p;
}

static inline struct build *load(const char *name)
{
	buf_reset(&d.text);
	d.errors = 0;
	return build_load(str_of(dir), str_of(name), &host, &at, &d);
}

static inline bool modules_begin(void)
{
	hash_init();
	conf_diag_init(&d);
	snprintf(dir, sizeof(dir), "%s", "/tmp/merlon-modules-XXXXXX");
	return mkdtemp(dir);
}

static inline void modules_end(void)
{
	drop("abi_good");
	drop("golden_1_0");
	drop("abi_text");
	rmdir(dir);
	conf_diag_deinit(&d);
}

#endif
