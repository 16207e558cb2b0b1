/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The event loop over libevent's epoll backend. The loop owns its event base, its heap of timers
 * and the messages that wait for it; timers and tasks are embedded in their owners.
 *
 * A turn: run what is ready, wait once, run callbacks of descriptors, what stood back, then timers
 * that are due.
 * libevent sees one timeout only, armed when the heap's first deadline moves to before it;
 * everything else about deadlines costs no call into libevent.
 */
#include "net/loop.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct loop_message {
	struct loop_message *next;
	loop_fn *fn;
	void *arg;
	bool owned; /* arg goes with the message */
};

struct loop_sig {
	struct loop_sig *next;
	struct event ev;
	loop_fn *fn;
	void *arg;
};

struct loop {
	struct event_base *base;
	struct list ready;        /* tasks for the next batch */
	struct list late;         /* tasks that stand back, see loop_begin() */
	unsigned begun;           /* by loop_begin() in this turn */
	struct loop_timer **heap; /* from 1; slot 0 is unused */
	uint32_t timers;
	uint32_t heap_cap;
	uint64_t now; /* 0: not read in this turn */
	uint64_t wall;
	bool more; /* see loop_more() */
	struct event alarm;
	uint64_t armed; /* deadline that `alarm` waits for, 0: none */
	struct loop_sig *signals;
	int wake_fd;
	struct loop_io *wake;
	atomic_bool stop;
	pthread_mutex_t lock; /* guards the two below */
	struct loop_message *first;
	struct loop_message **last;
};

struct loop_io {
	struct event ev;
	loop_io_fn *fn;
	void *arg;
};

/* ---- time ---- */
uint64_t loop_now(struct loop *l)
{
	if (l->now == 0)
		l->now = clock_mono();
	return l->now;
}

uint64_t loop_wall_us(struct loop *l)
{
	if (l->wall == 0)
		l->wall = clock_real_us();
	return l->wall;
}

/* ---- what is under way ---- */
void loop_set_more(struct loop *l, bool more)
{
	l->more = more;
}

bool loop_more(const struct loop *l)
{
	return l->more;
}

/* ---- messages ---- */
static void wake_up(struct loop *l)
{
	uint64_t one = 1;
	ssize_t r;

	do
		r = write(l->wake_fd, &one, sizeof(one));
	while (r < 0 && errno == EINTR);
}

static void post(struct loop *l, loop_fn *fn, void *arg, bool owned)
{
	struct loop_message *m = xmalloc(sizeof(*m));
	bool first;

	*m = (struct loop_message){NULL, fn, arg, owned};
	pthread_mutex_lock(&l->lock);
	first = l->first == NULL;
	*l->last = m;
	l->last = &m->next;
	pthread_mutex_unlock(&l->lock);
	if (first)
		wake_up(l);
}

void loop_post(struct loop *l, loop_fn *fn, void *arg)
{
	post(l, fn, arg, false);
}

void loop_post_owned(struct loop *l, loop_fn *fn, void *arg)
{
	post(l, fn, arg, true);
}

static void message_free(struct loop_message *m)
{
	if (m->owned)
		free(m->arg);
	free(m);
}

void loop_stop(struct loop *l)
{
	atomic_store(&l->stop, true);
	wake_up(l);
}

static struct loop_message *messages_take(struct loop *l)
{
	struct loop_message *m;

	pthread_mutex_lock(&l->lock);
	m = l->first;
	l->first = NULL;
	l->last = &l->first;
	pthread_mutex_unlock(&l->lock);
	return m;
}

static void messages_run(void *arg, unsigned ready)
{
	struct loop *l = arg;
	uint64_t count;
	struct loop_message *m;
	struct loop_message *next;

	(void)ready;
	/* Read before the list is taken: a message that comes between the two then wakes once more,
	 * and none is left lying. */
	while (read(l->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	for (m = messages_take(l); m; m = next) {
		next = m->next;
		m->fn(m->arg);
		message_free(m);
	}
}

/* ---- tasks ---- */
void loop_task_init(struct loop_task *t, loop_fn *fn, void *arg)
{
	list_init(&t->node);
	t->fn = fn;
	t->arg = arg;
}

void loop_defer(struct loop *l, struct loop_task *t)
{
	if (list_empty(&t->node))
		list_add(&l->ready, &t->node);
}

void loop_task_cancel(struct loop_task *t)
{
	list_del(&t->node);
}

/* One batch: a task that puts itself back waits for the next one, so that descriptors are looked at
 * between. */
static void tasks_run(struct loop *l)
{
	struct list batch;

	if (list_empty(&l->ready))
		return;
	list_init(&batch);
	list_push(&l->ready, &batch);
	list_del(&l->ready);
	while (!list_empty(&batch)) {
		struct loop_task *t = list_entry(batch.next, struct loop_task, node);

		list_del(&t->node);
		t->fn(t->arg);
	}
}

bool loop_begin(struct loop *l, struct loop_task *t)
{
	if (l->begun < LOOP_BEGINS && list_empty(&l->late)) {
		l->begun++;
		return true;
	}
	if (list_empty(&t->node))
		list_add(&l->late, &t->node);
	return false;
}

static void late_run(struct loop *l)
{
	for (; l->begun < LOOP_BEGINS && !list_empty(&l->late); l->begun++) {
		struct loop_task *t = list_entry(l->late.next, struct loop_task, node);

		list_del(&t->node);
		t->fn(t->arg);
	}
	l->begun = 0;
}

/* ---- timers ---- */
static void heap_put(struct loop *l, uint32_t at, struct loop_timer *t)
{
	l->heap[at] = t;
	t->slot = at;
}

static void heap_up(struct loop *l, uint32_t at, struct loop_timer *t)
{
	while (at > 1 && l->heap[at / 2]->queued > t->queued) {
		heap_put(l, at, l->heap[at / 2]);
		at /= 2;
	}
	heap_put(l, at, t);
}

static void heap_down(struct loop *l, uint32_t at, struct loop_timer *t)
{
	for (;;) {
		uint32_t child = at * 2;

		if (child > l->timers)
			break;
		if (child < l->timers && l->heap[child + 1]->queued < l->heap[child]->queued)
			child++;
		if (t->queued <= l->heap[child]->queued)
			break;
		heap_put(l, at, l->heap[child]);
		at = child;
	}
	heap_put(l, at, t);
}

static void heap_add(struct loop *l, struct loop_timer *t)
{
	if (l->timers + 2 > l->heap_cap) {
		l->heap_cap = l->heap_cap ? l->heap_cap * 2 : 64;
		l->heap = xrealloc(l->heap, l->heap_cap * sizeof(struct loop_timer *));
	}
	l->timers++;
	heap_up(l, l->timers, t);
}

static void heap_remove(struct loop *l, struct loop_timer *t)
{
	uint32_t at = t->slot;
	struct loop_timer *last = l->heap[l->timers];

	l->timers--;
	t->slot = 0;
	if (last == t)
		return;
	if (at > 1 && l->heap[at / 2]->queued > last->queued)
		heap_up(l, at, last);
	else
		heap_down(l, at, last);
}

void loop_timer_init(struct loop_timer *t, loop_fn *fn, void *arg)
{
	*t = (struct loop_timer){.fn = fn, .arg = arg};
}

void loop_timer_queue(struct loop *l, struct loop_timer *t, uint64_t deadline_ns)
{
	t->deadline = deadline_ns ? deadline_ns : 1;
	if (t->slot == 0) {
		t->queued = t->deadline;
		heap_add(l, t);
	} else if (t->deadline < t->queued) {
		t->queued = t->deadline;
		heap_up(l, t->slot, t);
	}
}

void loop_timer_in(struct loop *l, struct loop_timer *t, uint64_t after_ns)
{
	uint64_t now = loop_now(l);

	loop_timer_set(l, t, after_ns < UINT64_MAX - now ? now + after_ns : UINT64_MAX);
}

void loop_timer_clear(struct loop_timer *t)
{
	t->deadline = 0;
}

void loop_timer_drop(struct loop *l, struct loop_timer *t)
{
	t->deadline = 0;
	if (t->slot)
		heap_remove(l, t);
}

/* Looks at each timer that is queued now at most once, so that one set to a past time by its own
 * function does not keep the loop from its descriptors. */
static void timers_run(struct loop *l)
{
	uint32_t left = l->timers;
	uint64_t now = left ? loop_now(l) : 0;

	while (left-- > 0 && l->timers > 0 && l->heap[1]->queued <= now) {
		struct loop_timer *t = l->heap[1];

		if (t->deadline > now) {
			t->queued = t->deadline;
			heap_down(l, 1, t);
			continue;
		}
		heap_remove(l, t);
		if (t->deadline == 0)
			continue;
		t->deadline = 0;
		t->fn(t->arg);
	}
}

static void alarm_fired(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	(void)fd;
	(void)what;
	l->armed = 0;
}

/* False: a deadline has passed already, so do not wait. */
static bool alarm_arm(struct loop *l)
{
	struct timeval tv;
	uint64_t now;
	uint64_t due;

	if (l->timers == 0)
		return true;
	due = l->heap[1]->queued;
	if (l->armed && l->armed <= due)
		return true;
	/* Not the time of the turn: that is older by what the callbacks took. */
	now = clock_mono();
	if (due <= now)
		return false;
	due -= now;
	if (due > 24 * 3600 * NS_PER_S)
		due = 24 * 3600 * NS_PER_S;
	tv.tv_sec = (time_t)(due / NS_PER_S);
	tv.tv_usec = (suseconds_t)((due % NS_PER_S + NS_PER_US - 1) / NS_PER_US);
	if (tv.tv_usec == 1000000) {
		tv.tv_sec++;
		tv.tv_usec = 0;
	}
	if (event_add(&l->alarm, &tv) < 0)
		abort();
	l->armed = now + due;
	return true;
}

/* ---- descriptors ---- */
static void io_ready(evutil_socket_t fd, short what, void *arg)
{
	struct loop_io *io = arg;
	unsigned ready = 0;

	(void)fd;
	if (what & EV_READ)
		ready |= LOOP_READ;
	if (what & EV_WRITE)
		ready |= LOOP_WRITE;
	if (what & EV_CLOSED)
		ready |= LOOP_CLOSED;
	io->fn(io->arg, ready);
}

static struct loop_io *io_add(struct loop *l, int fd, short what, loop_io_fn *fn, void *arg)
{
	struct loop_io *io = xcalloc(1, sizeof(*io));

	io->fn = fn;
	io->arg = arg;
	/* Fails only where the arguments are wrong or memory is out: epoll_ctl(2) itself comes with
	 * the wait. */
	if (event_assign(&io->ev, l->base, fd, (short)(what | EV_PERSIST), io_ready, io) < 0 ||
	    event_add(&io->ev, NULL) < 0)
		abort();
	return io;
}

struct loop_io *loop_io_new(struct loop *l, int fd, loop_io_fn *fn, void *arg)
{
	return io_add(l, fd, EV_READ | EV_WRITE | EV_CLOSED | EV_ET, fn, arg);
}

struct loop_io *loop_io_new_level(struct loop *l, int fd, unsigned what, loop_io_fn *fn, void *arg)
{
	short ev = 0;

	if (what & LOOP_READ)
		ev |= EV_READ;
	if (what & LOOP_WRITE)
		ev |= EV_WRITE;
	return io_add(l, fd, ev, fn, arg);
}

void loop_io_free(struct loop_io *io)
{
	if (!io)
		return;
	/* Takes it off the active queue too; libevent keeps nothing of an event whose callback is
	 * under way. */
	event_del(&io->ev);
	free(io);
}

/* ---- signals ---- */
static void signal_came(evutil_socket_t signo, short what, void *arg)
{
	struct loop_sig *s = arg;

	(void)signo;
	(void)what;
	s->fn(s->arg);
}

int loop_signal(struct loop *l, int signo, loop_fn *fn, void *arg)
{
	struct loop_sig *s = xcalloc(1, sizeof(*s));

	s->fn = fn;
	s->arg = arg;
	if (event_assign(&s->ev, l->base, signo, EV_SIGNAL | EV_PERSIST, signal_came, s) < 0 ||
	    event_add(&s->ev, NULL) < 0) {
		free(s);
		return err_origin(-EINVAL);
	}
	s->next = l->signals;
	l->signals = s;
	return 0;
}

/* ---- life ---- */
static struct event_base *base_new(void)
{
	struct event_config *cfg = event_config_new();
	struct event_base *base;

	if (!cfg)
		abort();
	/* The change list is safe since no descriptor here is ever duplicated (see event2/event.h).
	 */
	if (event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV |
	                                   EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST) < 0 ||
	    event_config_require_features(cfg, EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE) < 0)
		abort();
	base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	if (!base) {
		log_msg(LOG_L_ERROR, "no event loop: libevent finds no usable epoll");
		abort();
	}
	return base;
}

struct loop *loop_new(void)
{
	struct loop *l = xcalloc_lines(1, sizeof(*l));

	l->base = base_new();
	list_init(&l->ready);
	list_init(&l->late);
	pthread_mutex_init(&l->lock, NULL);
	l->last = &l->first;
	atomic_init(&l->stop, false);
	l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->wake_fd < 0) {
		log_msg(LOG_L_ERROR, "no event loop: eventfd: %s", strerror(errno));
		abort();
	}
	l->wake = loop_io_new_level(l, l->wake_fd, LOOP_READ, messages_run, l);
	if (event_assign(&l->alarm, l->base, -1, 0, alarm_fired, l) < 0)
		abort();
	return l;
}

void loop_run(struct loop *l)
{
	while (!atomic_load_explicit(&l->stop, memory_order_acquire)) {
		int flags = EVLOOP_ONCE;

		tasks_run(l);
		if (!alarm_arm(l) || !list_empty(&l->ready) || !list_empty(&l->late))
			flags |= EVLOOP_NONBLOCK;
		l->now = 0;
		l->wall = 0;
		if (event_base_loop(l->base, flags) < 0) {
			log_msg(LOG_L_ERROR, "event loop: %s", strerror(errno));
			abort();
		}
		late_run(l);
		timers_run(l);
	}
	/* Spent, not latched: the loop may run again. One that comes before loop_run() is not lost.
	 */
	atomic_store(&l->stop, false);
}

void loop_free(struct loop *l)
{
	struct loop_message *m;
	struct loop_message *next;

	if (!l)
		return;
	/* Memory of closed streams and the like goes by tasks. */
	while (!list_empty(&l->ready))
		tasks_run(l);
	while (l->signals) {
		struct loop_sig *s = l->signals;

		l->signals = s->next;
		event_del(&s->ev);
		free(s);
	}
	loop_io_free(l->wake);
	close(l->wake_fd);
	event_del(&l->alarm);
	for (m = messages_take(l); m; m = next) {
		next = m->next;
		message_free(m);
	}
	event_base_free(l->base);
	pthread_mutex_destroy(&l->lock);
	free(l->heap);
	free(l);
}
