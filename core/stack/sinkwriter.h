/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The inside of sinks: rings, files, and the writer thread. sink.c keeps the registry and the side
 * of those who append, sinkwriter.c the thread, sinkfile.c what a file looks like when it is
 * opened.
 *
 * Whose is what: a ring's tail is its worker's and its head the writer's. Everything of a file
 * after the line "the writer's" is touched on the writer's thread only; the control thread gets
 * there by writer_call().
 */
#ifndef STACK_SINKWRITER_H
#define STACK_SINKWRITER_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/stats.h"
#include "stack/ledger.h"
#include "stack/sink.h"

#define SINK_STATE_MAX 256
#define SINK_RECORD_MAX (128 * 1024) /* with its header; a larger one is refused */
#define SINK_OVERHEAD_MAX (64 * 1024)
#define SINK_BATCH (64 * 1024)   /* bytes framed before they are written: they stay in the cache */
#define RING_CONTROL WORKERS_MAX /* ring of those who are no worker, behind a lock */
#define RINGS (WORKERS_MAX + 1)

/*
 * A ring in segments, so that what is used of it stays small and in the cache. Places are dealt out
 * by the worker: of those that are free it takes one of the lowest for each segment that its tail
 * enters. Thus no more of `data` is ever touched than the most that was in use at once, and
 * after a jam the ring soon lives in its beginning again.
 *
 * The worker changes `place` only of segments between its tail and the writer's head a lap on: the
 * writer is done with them, which the load of `head` makes sure of, and it does not look at them
 * before it has seen the tail that is stored after. So `place` needs no more order than `data`.
 */
#define SINK_SEGMENT (32 * 1024)
#define SINK_SEGMENTS (SINK_RING / SINK_SEGMENT)

struct ring {
	_Atomic uint64_t tail; /* bytes ever put in; both only grow */
	char pad1[56];
	_Atomic uint64_t head; /* bytes ever taken out */
	char pad2[56];
	uint8_t place[SINK_SEGMENTS]; /* of each segment, in `data`; each number once */
	char data[SINK_RING];
};
_Static_assert(SINK_SEGMENTS <= UINT8_MAX + 1, "a place is one byte");

/* Only of a byte between head and tail, or of one that is just being put in. */
static inline char *ring_at(struct ring *r, uint64_t at)
{
	return r->data + (size_t)r->place[at / SINK_SEGMENT % SINK_SEGMENTS] * SINK_SEGMENT +
	       at % SINK_SEGMENT;
}

/* What lies behind ring_at() without a break. */
static inline size_t ring_run(uint64_t at)
{
	return SINK_SEGMENT - at % SINK_SEGMENT;
}

/* One file, by its canonical path. */
struct sink_file {
	struct list node;    /* in the registry */
	struct list handles; /* struct merlon_sink, oldest first */
	char *path;
	char *label; /* the file's own name, for metrics */
	_Atomic(struct ring *) rings[RINGS];
	pthread_mutex_t control; /* of the control ring's tail */
	_Atomic bool open;       /* published and not closed */
	_Atomic bool failed;
	_Atomic bool busy; /* the writer will look by itself within its period */
	_Atomic bool full; /* a ring is past SINK_WAKE: do not wait for the timer */
	_Atomic uint64_t refused;
	struct stat *stat_records;
	struct stat *stat_bytes;
	struct stat *stat_errors;
	struct stat *stat_failed;

	/* the writer's, in other lines than what workers read */
	_Alignas(CACHE_LINE) struct list active; /* among the files it serves */
	_Atomic uint64_t records;
	_Atomic uint64_t bytes;
	int fd;
	uint64_t due; /* monotonic ns; 0: nothing is waited for */
	uint64_t period;
	struct merlon_sink_ops ops;
	_Alignas(16) char state[SINK_STATE_MAX];
	char *batch; /* framed, not written */
	size_t nbatch;
	size_t batch_cap;
	char *scratch;  /* a record that lies in more than one segment */
	unsigned first; /* ring to begin with, so that none is always last */
};

enum handle_state { HANDLE_NEW, HANDLE_LIVE, HANDLE_DROPPED };

/* What one sink_open() gave. */
struct merlon_sink {
	struct list node;
	struct sink_file *file;
	uint32_t commit_ms;
	enum handle_state state;
	const struct conf_node *at; /* its line; to be looked at until it is live */
	const char *module;         /* its name, in a build, which is for ever */
	struct merlon_sink_ops ops;
};

/* ---- sinkwriter.c ---- */
/* Runs fn(arg) on the writer's thread and returns when it has; without a writer, here. */
void writer_call(void (*fn)(void *arg), void *arg);
void writer_wake(void);
/* On the writer's thread: */
void file_serve(struct sink_file *f);   /* begins to look after an opened file */
void file_unserve(struct sink_file *f); /* writes what there is, then lets go of it */
void file_collect(struct sink_file *f); /* rings to file */
/* Frames one record behind the batch, writing the batch first where it is full. */
void file_frame(struct sink_file *f, uint32_t kind, struct str data);
void file_write(struct sink_file *f);
void file_set_failed(struct sink_file *f, bool failed);
uint64_t writer_now(void);

/* ---- sinkfile.c; on the writer's thread ---- */
/* Opens a file that is not open yet, moves a torn line aside, and sets the state from the last
 * whole line. 0, or -errno and *why. */
int file_open(struct sink_file *f, const char **why) MUST_CHECK;
/* Whether there is a file, or room for one: without opening it. */
bool file_may_be(const char *path);
/* Opens the path again (it may have been renamed) and writes what was kept. */
void file_reopen(struct sink_file *f);

#endif
