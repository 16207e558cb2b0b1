/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The event loop: one a thread. libevent is behind this header and nowhere else; raw events, no
 * bufferevents.
 *
 * Everything but loop_post() and loop_stop() belongs to the loop's own thread.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"

struct loop;
typedef void loop_fn(void *arg);

struct loop *loop_new(void); /* aborts when the kernel gives no epoll instance */
/* After loop_run() has returned; all io and timers must be gone. Runs the tasks that wait (memory
 * of closed streams goes by them). NULL is fine. */
void loop_free(struct loop *l);
void loop_run(struct loop *l);  /* until loop_stop(), also one that came before */
void loop_stop(struct loop *l); /* any thread; the turn under way is finished */
/* Time of this turn, read once a turn: monotonic ns, and us since 1970. */
uint64_t loop_now(struct loop *l);
uint64_t loop_wall_us(struct loop *l);
/* Whether more of what is being handed on will follow in this turn: set by who reads a large body
 * in pieces, heard by who writes them. On the loop's thread. */
void loop_set_more(struct loop *l, bool more);
bool loop_more(const struct loop *l);

/* ---- work for another turn ---- */
/* Runs fn(arg) on the loop's thread; from any thread, in the order of posting. The loop makes and
 * frees the message itself; arg is fn's affair. What is posted after the last loop_run() is dropped
 * by loop_free(). */
void loop_post(struct loop *l, loop_fn *fn, void *arg);
/* The same for an arg from malloc(): the loop frees it after fn(arg), or unrun in loop_free(). */
void loop_post_owned(struct loop *l, loop_fn *fn, void *arg);
/* Runs fn once, after the callback under way has returned and before the loop waits again. Embedded
 * in its owner; adding one that waits already does nothing. */
struct loop_task {
	struct list node; /* list_init()ed by loop_task_init() */
	loop_fn *fn;
	void *arg;
};
void loop_task_init(struct loop_task *t, loop_fn *fn, void *arg);
void loop_defer(struct loop *l, struct loop_task *t);
void loop_task_cancel(struct loop_task *t);
/* What begins new work asks before it does. True: go on now. False: LOOP_BEGINS have begun in this
 * turn, and t is run in one of the next, in the order of asking; what became ready meanwhile goes
 * first. So under a crowd of clients requests end before more are begun: few connections to
 * upstreams are in use, and those warm, and nobody starves. */
#define LOOP_BEGINS 64
bool loop_begin(struct loop *l, struct loop_task *t) MUST_CHECK;

/* ---- deadlines, kept lazily: moving one later costs a store ---- */
struct loop_timer {
	uint64_t deadline; /* monotonic ns; 0: not set */
	uint64_t queued;   /* deadline it is queued under, at most `deadline` */
	uint32_t slot;     /* place in the heap, 0: not queued */
	loop_fn *fn;
	void *arg;
};
void loop_timer_init(struct loop_timer *t, loop_fn *fn, void *arg);
void loop_timer_queue(struct loop *l, struct loop_timer *t, uint64_t deadline_ns);
static inline void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t deadline_ns)
{
	if (t->slot != 0 && deadline_ns >= t->queued)
		t->deadline = deadline_ns;
	else
		loop_timer_queue(l, t, deadline_ns);
}
void loop_timer_in(struct loop *l, struct loop_timer *t, uint64_t after_ns);
/* The timer does not fire any more. It may stay queued: call loop_timer_drop() before its memory
 * goes. */
void loop_timer_clear(struct loop_timer *t);
void loop_timer_drop(struct loop *l, struct loop_timer *t);

/* ---- descriptors ---- */
#define LOOP_READ 1u
#define LOOP_WRITE 2u
#define LOOP_CLOSED 4u /* the peer has closed its side, or both */
typedef void loop_io_fn(void *arg, unsigned ready);
struct loop_io;
/* Edge-triggered for reading, writing and closing, registered once. The callback must read and
 * write until EAGAIN or remember that it did not. */
struct loop_io *loop_io_new(struct loop *l, int fd, loop_io_fn *fn, void *arg);
/* Level-triggered, for listeners, eventfds and descriptors of others: `what` is
 * LOOP_READ|LOOP_WRITE. */
struct loop_io *loop_io_new_level(struct loop *l, int fd, unsigned what, loop_io_fn *fn, void *arg);
void loop_io_free(
    struct loop_io *io); /* NULL is fine; does not close fd; safe inside its own callback */

/* ---- signals, control thread only ---- */
int loop_signal(struct loop *l, int signo, loop_fn *fn, void *arg) MUST_CHECK; /* until loop_free */

#endif
