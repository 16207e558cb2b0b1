/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The process log: one line a message on stderr, `level: text key=value ...`, with "<N>" before it
 * when JOURNAL_STREAM is set. Lines are written whole by one write(2); any thread. Never a secret,
 * never a body.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"
#include "base/str.h"

enum log_level {
	LOG_L_ERROR = 3,
	LOG_L_WARN = 4,
	LOG_L_NOTICE = 5,
	LOG_L_INFO = 6,
	LOG_L_DEBUG = 7
};

void log_set_level(enum log_level least);
void log_set_fd(int fd); /* 2 at first; tests set others */
/* Control bytes and bytes over 0x7e are written as \xNN, so a message stays one line. */
void log_msg(enum log_level level, const char *fmt, ...) PRINTF(2, 3);
/* At most `burst` lines a second from one place; the rest is counted and told with the next line.
 */
struct log_limit {
	uint64_t second;
	uint32_t count;
	uint32_t dropped;
};
void log_limited(struct log_limit *limit, uint32_t burst, enum log_level level, const char *fmt,
                 ...) PRINTF(4, 5);

#endif
