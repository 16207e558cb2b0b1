/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Loading a generation, the first one too: aside, step by step, and published only when every
 * worker has started it. Whatever fails, the generation that serves is not touched.
 */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include "daemon/gateway.h"

/* ok: published, every worker has switched. text: warnings, or all that is wrong, a line each.
 * code: an exit code. */
typedef void reload_done_fn(void *arg, bool ok, int code, const char *text);
/* One at a time: while one is under way, callers wait for one more that follows it. done may be
 * NULL. */
void reload_start(struct gateway *g, reload_done_fn *done, void *arg);
/* Loads and checks everything a reload would, in this process, and prints what is wrong to stderr.
 * Exit code. quiet: says nothing when all is well. (-t, --probe) */
int reload_check(const char *conf_path, const char *module_dir, bool quiet);

#endif
