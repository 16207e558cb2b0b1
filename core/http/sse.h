/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Splitting an event stream (WHATWG server-sent events) into the data of its events, wherever the
 * bytes are cut. Only the data fields are of interest here; comments, ids and event names are
 * stepped over.
 */
#ifndef HTTP_SSE_H
#define HTTP_SSE_H

#include "base/buf.h"
#include "base/err.h"

struct sse {
	uint8_t state;
	bool after_cr;   /* a LF that follows belongs to the same line end */
	bool too_long;   /* the event under way is over the ceiling and is being skipped */
	bool any;        /* a data field was seen in the event under way */
	struct buf data; /* data of the event under way */
};
void sse_init(struct sse *s, size_t max_event); /* larger events are skipped whole, not an error */
void sse_deinit(struct sse *s);
/* Feeds bytes; fn is called with the data of each event that ends in them (lines joined by LF). */
void sse_feed(struct sse *s, const char *p, size_t n, void (*fn)(void *arg, struct str data),
              void *arg);

#endif
