/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The head of one part of a form, and parameters behind a value (RFC 7578 §4.2, RFC 2183). Stricter
 * than those: an escape or a name that parsers decode differently is refused.
 */
#ifndef HTTP_PARTNAME_H
#define HTTP_PARTNAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct part_param {
	struct str name;
	struct str value; /* without its quotes */
	bool quoted;
	bool escaped; /* a backslash stands in it */
};
/* The next of "; name=value" in *rest, which begins behind a semicolon. False: none is left
 * (rest->p is NULL), or what is left is malformed. */
bool part_param_next(struct str *rest, struct part_param *out);

struct part_head {
	struct str name;
	bool file;  /* it has a filename */
	bool plain; /* its content is UTF-8 text as it stands */
	bool sized; /* it tells of its length */
	uint64_t length;
};
/* head: whole lines, the empty one too. NULL, or why it is refused (static text). */
const char *part_head_read(struct str head, struct part_head *out);

/* Whether a field is the wanted one. Doubtful: frameworks that fold case, that take "model[]" for a
 * list, "[model]" for "model", or "a[b]" for "a.b" and "a_b" would say so, others not. */
enum form_name { FORM_OTHER, FORM_WANTED, FORM_DOUBTFUL };
enum form_name form_name_is(struct str name, struct str want);

#endif
