/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The return-code contract of the core.
 *
 * A function that can fail returns int: 0 is success; a positive value is an answer of its own
 * contract (an enum beside its prototype) that the caller handles; a negative value is -errno, a
 * fault that travels up by err_trace(). Where it arises it passes through err_origin(), which keeps
 * the place for the log.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Notes where a fault arose (thread-local: file, line, code) and returns r, which is negative. */
#define err_origin(r) err_note((r), __FILE__, __LINE__)
/* Passes a fault on; a place in the code for a breakpoint and for counting. */
#define err_trace(r) (r)

int err_note(int r, const char *file, int line);
/* "file:line: strerror" of the last origin on this thread. */
const char *err_last(void);

#endif
