/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The probe: a child process that loads and creates the modules of a new configuration first, so
 * that one that crashes, exits or hangs in there only refuses the reload.
 */
#ifndef DAEMON_PROBE_H
#define DAEMON_PROBE_H

#include "base/hash.h"
#include "conf/conf.h"
#include "net/loop.h"

struct probe;
/* ok: all was created. text: what the child said otherwise, and how it ended. */
typedef void probe_done_fn(void *arg, bool ok, const char *text);
/* NULL: no process could be made. done is called once, from the loop. */
struct probe *probe_start(struct loop *l, const char *conf_path, const char *module_dir,
                          probe_done_fn *done, void *arg);
/* What makes modules behave as they do: the stacks' lines, the modules' files, and the files that
 * options name. */
void probe_fingerprint(const struct conf *c, char hex[SHA256_HEX + 1]);

#endif
