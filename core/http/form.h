/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Resumable scanners of form bodies: multipart/form-data (RFC 7578, RFC 2046) and
 * application/x-www-form-urlencoded. Each checks the whole body as it arrives, captures the value
 * of one field, and copies nothing else. What two parsers could read differently is refused: a
 * field that comes twice, delimiters without CRLF, a preamble, escapes in names. The verdict does
 * not depend on how the bytes are split.
 */
#ifndef HTTP_FORM_H
#define HTTP_FORM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define FORM_NAME_MAX 256
#define FORM_BOUNDARY_MAX 70 /* RFC 2046 §5.1.1 */
#define FORM_PART_HEAD 8192  /* bytes of a part's head */
#define FORM_PARTS 1024

/* What the field's value is; in the arena, p NULL: it has not come whole yet. */
struct form_want {
	struct str name;
	size_t max; /* of the value, in bytes */
	struct str value;
};

/* The boundary of a multipart/form-data Content-Type. False: there is none, or no valid one. */
bool multipart_boundary(struct str content_type, struct str *out);

struct multipart; /* from the arena */
struct multipart *multipart_new(struct arena *a, struct str boundary, struct form_want *want);
struct urlform;
struct urlform *urlform_new(struct arena *a, struct form_want *want);

/* NULL, or why the body is refused (static text for the client); an error is final. */
const char *multipart_feed(struct multipart *m, const char *p, size_t n) MUST_CHECK;
const char *urlform_feed(struct urlform *f, const char *p, size_t n) MUST_CHECK;
/* The body has ended. */
const char *multipart_finish(struct multipart *m) MUST_CHECK;
const char *urlform_finish(struct urlform *f) MUST_CHECK;
/* How many of the bytes fed so far may be passed on: those without which the body is not whole wait
 * for the finish. */
uint64_t multipart_releasable(const struct multipart *m);
uint64_t urlform_releasable(const struct urlform *f);

#endif
