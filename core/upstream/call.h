/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A whole request of our own and its whole answer: an exchange with a deadline over everything and
 * a ceiling on the body. Redirects are not followed and no content coding is asked for.
 *
 * A call belongs to one worker. Its answer is counted and read-only, and may be handed to others.
 */
#ifndef UPSTREAM_CALL_H
#define UPSTREAM_CALL_H

#include "upstream/pool.h"

#define CALL_HEAD_MAX (32 * 1024) /* of the request */

struct call_field {
	struct str name;
	struct str value;
};
struct call_request {
	struct str method;
	struct str target;
	const struct call_field *fields;
	unsigned nfields;
	struct str body;
	uint64_t timeout; /* ns, for all of it */
	size_t max_body;  /* of the answer */
};

enum call_error {
	CALL_OK,
	CALL_BROKEN, /* no answer, or one that breaks the rules */
	CALL_TIMEOUT,
	CALL_FULL, /* the body is larger than max_body */
};
struct call_answer;
enum call_error call_answer_error(const struct call_answer *a);
const char *call_answer_detail(const struct call_answer *a); /* what went wrong; static text */
unsigned call_answer_status(const struct call_answer *a);
const struct call_field *call_answer_fields(const struct call_answer *a, unsigned *n);
struct str call_answer_body(const struct call_answer *a);
struct call_answer *call_answer_ref(struct call_answer *a); /* any thread */
void call_answer_unref(struct call_answer *a);              /* any thread; the last one wipes */

/* Hands over one reference; the call is gone by then. */
typedef void call_done_fn(void *arg, struct call_answer *answer);
struct call;
/* done comes once, from the loop, unless the call is aborted. NULL: a name, value, method or target
 * that cannot stand in a head, or names that belong to framing or to the connection. */
struct call *call_start(struct upstream *u, const struct call_request *r, call_done_fn *done,
                        void *arg);
void call_abort(struct call *c);

#endif
