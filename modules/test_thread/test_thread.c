/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A module that tells which thread called each of its hooks, so that a test can see on whose time a
 * generation is made and freed. It is built for the tests and never installed. Each call appends a
 * line "HOOK THREAD" to the file that the option names; a probing process tells nothing.
 */
#include <merlon/module.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME "test_thread"
#define GROUPS MERLON_RATELIMIT

static const struct merlon_host *H;

struct inst {
	char *path; /* NULL: tells nothing */
};

static const struct merlon_option options[] = {
    {"path", MERLON_OPT_STR, MERLON_OPT_REQUIRED, NULL, NULL, NULL, "The file of the calls."},
    {"round", MERLON_OPT_INT, 0, "0", NULL, NULL, "Any number: another one is another instance."},
    {0},
};

/* Lines of threads that tell at once do not mix: each is one write to the file's end. */
static void tell(const struct inst *t, const char *hook)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%s %d\n", hook, gettid());
	int fd;

	if (!t->path)
		return;
	fd = open(t->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, line, (size_t)n) != n)
		abort();
	close(fd);
}

static int32_t test_create(merlon_ctx *ctx, const merlon_cfg *cfg, void **inst)
{
	struct inst *t = calloc(1, sizeof(*t));
	struct merlon_val v;

	if (!t || H->cfg_get(cfg, "path", &v) != 0)
		abort();
	if (!H->probing(ctx))
		t->path = strndup(v.u.str.ptr, (size_t)v.u.str.len);
	tell(t, "create");
	*inst = t;
	return 0;
}

static void test_destroy(void *inst)
{
	struct inst *t = inst;

	tell(t, "destroy");
	free(t->path);
	free(t);
}

static int32_t test_worker_start(void *inst, merlon_worker *worker, void **w)
{
	(void)worker;
	(void)w;
	tell(inst, "worker_start");
	return 0;
}

static void test_worker_stop(void *inst, merlon_worker *worker, void *w)
{
	(void)worker;
	(void)w;
	tell(inst, "worker_stop");
}

static void test_retire(void *inst)
{
	tell(inst, "retire");
}

static int32_t test_check(void *inst, void *w, merlon_tx *tx, uint32_t group)
{
	(void)w;
	(void)tx;
	(void)group;
	tell(inst, "check");
	return MERLON_OK;
}

static const struct merlon_module module = {
    .size = sizeof(module),
    .major = MERLON_ABI_MAJOR,
    .minor = MERLON_ABI_MINOR,
    .groups = GROUPS,
    .codes = MERLON_BIT(MERLON_OK),
    .option_size = sizeof(struct merlon_option),
    .option_count = sizeof(options) / sizeof(options[0]) - 1,
    .name = NAME,
    .version = "1",
    .license = "Apache-2.0",
    .summary = "Tells which thread called it, for tests.",
    .options = options,
    .create = test_create,
    .destroy = test_destroy,
    .worker_start = test_worker_start,
    .worker_stop = test_worker_stop,
    .retire = test_retire,
    .check = test_check,
};
MERLON_MODULE(module, H, 0, 0, GROUPS)
