/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What bench-load is asked for and what it counts. load_options.c fills the first, and makes the
 * requests out of it; load.c the rest.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "histogram.h"
#include "wire.h"

#include <stddef.h>
#include <sys/uio.h>

#define REQUEST_PARTS 3 /* before the rotating field, that field, and all behind it */

struct load {
	/* asked for */
	unsigned port, connections;
	uint64_t duration;    /* ns */
	int64_t budget;       /* requests to send; negative: any number */
	uint64_t abort_every; /* so many requests one is broken off; 0: none */
	uint64_t expect;      /* bytes of a body, or stamps; 0: not checked */
	bool hold;            /* the connection, or the stream, until standard input ends */
	bool stamps;          /* look for them */
	struct iovec before, after, *fields;
	size_t field_count, field_next;

	/* under way */
	int epoll;
	uint64_t now, began, last, end;
	unsigned free, active;
	unsigned open; /* streams that began, of the active */
	unsigned held;

	/* counted */
	uint64_t ok, resets, cut, refused, statuses, wrong, closed, aborts;
	struct histogram latency, chunk;
};

/* Ends the program on a wrong use. */
void load_options(struct load *l, int argc, char **argv);

/* The parts of the next request; their length in all. */
size_t request_next(struct load *l, struct iovec parts[REQUEST_PARTS]);

#endif
