/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * merlonctl audit: argv[0] is the word after it.
 */
#ifndef CTL_CMD_AUDIT_H
#define CTL_CMD_AUDIT_H

#include <stdbool.h>

/* Exit code: 0, 1 (asked, and the answer is no), 64 usage, 74 a file. */
int ctl_audit(int argc, char **argv, bool json);

#endif
