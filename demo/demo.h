/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The demo model server: what its files share. main.c owns the options and the process,
 * conn.c a connection and its bytes, answer.c what is said, inputs.c counts. One loop, one thread.
 */
#ifndef DEMO_H
#define DEMO_H

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "http/message.h"
#include "net/loop.h"

#define DEMO_HEAD_MAX 65536
#define DEMO_BODY_MAX ((size_t)64 << 20)
#define DEMO_CHUNKS_MAX 1000000

/* What a request is answered with unless its own x-demo-* fields say otherwise. */
struct demo_options {
	uint64_t wait_ns;  /* before the answer */
	uint64_t delay_ns; /* between two chunks of a stream */
	uint64_t chunks;   /* of a stream */
};

struct demo {
	struct demo_options defaults;
	struct loop *loop;
	struct block_pool blocks;
	struct arena_pool pages;
	/* for tests: what has arrived, not counting /demo/ and /health */
	uint64_t requests;
	uint64_t answered;
	uint64_t aborted; /* the peer went away before the answer was whole */
	uint64_t connections;
	struct buf last_head;
	struct buf last_body;
};

struct demo_request {
	const struct http_head *head;
	struct str body;
	struct demo_options o;
};

/* What a request gets: one body, or a stream of events made one by one. */
struct answer {
	unsigned status;
	const char *type;
	struct buf body;
	bool stream;
	/* of a stream */
	bool chat;
	bool usage;
	struct str model; /* as JSON text between the quotes; lives as long as the request */
	uint64_t prompt_tokens;
	uint64_t id;
	uint64_t next;   /* event to be made */
	uint64_t chunks; /* of content */
	uint64_t delay_ns;
};

/* Fills *a (its buffer initialised by the caller). What must last longer than req is in the arena.
 */
void answer_make(struct demo *d, const struct demo_request *req, struct arena *arena,
                 struct answer *a);
/* Appends the next event to out; false: there is none any more. */
bool answer_event(struct answer *a, struct buf *out);

struct demo_conn;
/* Takes fd; owned by itself until its peer or its protocol ends it. */
void demo_conn_new(struct demo *d, int fd);
/* How many inputs the body of an embeddings request holds. */
size_t demo_inputs(struct str body);
/* A full buffer is a fault of this program: callers bound what they add. */
#define demo_add(b, ...)                                                                           \
	do {                                                                                       \
		if (buf_addf((b), __VA_ARGS__))                                                    \
			abort();                                                                   \
	} while (0)

#endif
