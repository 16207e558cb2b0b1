/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * merlonctl's commands. Each gets the words after its name and answers an exit code: 0, 1 (asked,
 * and the answer is no), 64 usage, 69 no merlond there, 74 a file.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stdbool.h>

#define CTL_USAGE 64
#define CTL_NOBODY 69
#define CTL_FILE 74
#define CTL_CONFIG 78

struct ctl {
	const char *conf;    /* -c, or NULL */
	const char *socket;  /* -s, or NULL */
	const char *modules; /* -m, or NULL */
	bool json;
};
/* Asks the running merlond: prints the answer's JSON, or for people. */
int ctl_remote(const struct ctl *c, const char *command);
int ctl_explain(const struct ctl *c, int argc, char **argv);

#endif
