/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * merlonctl key: argv[0] is the word after it.
 */
#ifndef CTL_CMD_KEY_H
#define CTL_CMD_KEY_H

#include <stdbool.h>

/* Exit code: 0, 1 (asked, and the answer is no), 64 usage, 74 a file. */
int ctl_key(int argc, char **argv, bool json);

#endif
