/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A byte stream over one socket: its life, its turns and the reading; stream_out.c writes. The
 * stream owns its descriptor, the block that it reads into (none while nothing is unread) and the
 * queue of slices to be written.
 *
 * The owner is called from two places only, the descriptor's event and the stream's task, both by
 * way of stream_turn(). Everything else notes what is to be told and puts the task on the loop's
 * ready list, so an owner is never called from within a function of the stream. After
 * stream_close() the memory stays until a later batch of tasks, so stream_turn() may look at
 * `closed` after each call of the owner.
 */
#include "net/stream.h"

#include "base/clock.h"
#include "base/mem.h"
#include "net/stream_ops.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_BUDGET (64 * 1024)
#define READ_MIN 2048 /* less room than this is worth moving a few unread bytes */
#define CHECK_AFTER (500 * NS_PER_MS)

/* ---- what is to be told ---- */
static size_t unread(const struct stream *s)
{
	return s->in ? s->in->used - s->pos : 0;
}

static size_t in_limit(const struct stream *s)
{
	return s->reserve > BLOCK_SIZE ? s->reserve : BLOCK_SIZE;
}

static bool can_read(const struct stream *s)
{
	return s->readable && !s->paused && !s->eof && !s->connecting && unread(s) < in_limit(s);
}

/* A turn is due; within one, stream_turn() sees by itself. */
void stream_schedule(struct stream *s)
{
	if (!s->busy && !s->closed)
		loop_defer(s->loop, &s->task);
}

static void set_pending(struct stream *s, unsigned what)
{
	s->pending |= what;
	stream_schedule(s);
}

void stream_see_hangup(struct stream *s)
{
	if (s->hangup)
		return;
	s->hangup = s->to_end = true;
	s->pending |= STREAM_HANGUP;
}

void stream_see_error(struct stream *s, int err)
{
	if (s->broken)
		return;
	s->broken = true;
	s->err = err;
	s->writable = false;
	s->unsure = false;
	chain_drain(&s->out, s->out.bytes);
	set_pending(s, STREAM_ERROR);
}

static int socket_error(int fd)
{
	int err = 0;
	socklen_t len = sizeof(err);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 ? errno : err;
}

/* ---- reading ---- */
static void in_drop(struct stream *s)
{
	block_unref(s->in);
	s->in = NULL;
	s->pos = 0;
}

/* Moves what is unread to the front of a block of at least `size`; the same block where nobody else
 * looks at it and it is large enough. */
static void in_move(struct stream *s, size_t size)
{
	size_t n = unread(s);
	struct block *b = s->in;

	if (b && b->refs == 1 && b->cap >= size) {
		memmove(b->data, b->data + s->pos, n);
	} else {
		b = block_new(s->pool, size);
		if (n)
			memcpy(b->data, s->in->data + s->pos, n);
		block_unref(s->in);
		s->in = b;
	}
	b->used = (uint32_t)n;
	s->pos = 0;
}

static void in_room(struct stream *s)
{
	size_t n = unread(s);
	size_t size = s->bulk && n == 0 ? READ_BUDGET : in_limit(s);
	size_t room;

	if (n == 0 && s->in && s->in->cap < size)
		in_drop(s);
	else if (n == 0 && s->in && s->in->refs == 1)
		s->pos = s->in->used = 0;
	room = s->in ? s->in->cap - s->in->used : 0;
	if (room == 0 || (room < READ_MIN && n < READ_MIN))
		in_move(s, size);
}

/* A large body is read in blocks of a whole turn: a quarter of the system calls, of the window's
 * updates, and of the times that the peer is woken. Where it ends or falters, what lies in such a
 * block moves to a common one, so that few bytes never hold many. */
static void in_measure(struct stream *s, bool full)
{
	struct block *b = s->in;

	s->bulk = full;
	if (full || b->cap <= in_limit(s) || b->refs > 1 || unread(s) > in_limit(s))
		return;
	s->in = block_new(s->pool, in_limit(s));
	s->in->used = (uint32_t)(b->used - s->pos);
	memcpy(s->in->data, b->data + s->pos, s->in->used);
	s->pos = 0;
	block_unref(b);
}

/* Reads until the block is full or the socket empty, at most *budget bytes. */
static void in_fill(struct stream *s, size_t *budget)
{
	size_t got = 0;

	while (can_read(s) && got < *budget) {
		ssize_t r;
		size_t room;

		in_room(s);
		room = s->in->cap - s->in->used;
		if (room > *budget - got)
			room = *budget - got;
		r = s->ops->read(s, s->in->data + s->in->used, room);
		if (r <= 0) {
			s->readable = false;
			s->unsure = false;
			if (r == 0) {
				s->eof = true;
				stream_see_hangup(s);
				s->pending |= STREAM_EOF;
			} else if (r != -EAGAIN) {
				s->eof = true;
				stream_see_error(s, (int)-r);
			}
			break;
		}
		s->in->used += (uint32_t)r;
		s->read_total += (size_t)r;
		s->pending |= STREAM_IN;
		got += (size_t)r;
		/* A record of TLS is no larger than a common block. */
		in_measure(s, (size_t)r == room && s->ops == &stream_plain);
		if ((size_t)r == room)
			break;
		if (!s->to_end) {
			s->readable = false;
			s->unsure = true;
			/* One that is set already is early enough, and not too early. */
			if (s->check.slot == 0)
				loop_timer_in(s->loop, &s->check, CHECK_AFTER);
			break;
		}
	}
	*budget -= got < *budget ? got : *budget;
}

/* libevent tells of a reset as readable and writable, without EV_CLOSED: where bytes came before it
 * in the same wait, the short read took them and nothing else would be heard. A write that succeeds
 * shows that there was no reset; without one the socket is asked once, later. */
static void stream_check(void *arg)
{
	struct stream *s = arg;
	int err;

	if (!s->unsure || s->broken)
		return;
	s->unsure = false;
	err = socket_error(s->fd);
	if (err)
		stream_see_error(s, err);
}

/* ---- turns ---- */
static void tell(struct stream *s)
{
	unsigned what = s->pending;

	s->pending = 0;
	/* Resuming tells of unread bytes anew. */
	if (unread(s) == 0 || s->paused)
		what &= ~STREAM_IN;
	if (what)
		s->fn(s->owner, what);
}

static void stream_turn(struct stream *s)
{
	size_t budget = READ_BUDGET;

	if (s->corked)
		stream_out_push(s);
	s->busy = true;
	for (;;) {
		in_fill(s, &budget);
		/* A block came full, and the socket will be read again. */
		loop_set_more(s->loop, s->readable && budget > 0 && !s->paused);
		tell(s);
		loop_set_more(s->loop, false);
		if (s->closed)
			return;
		if (budget == 0 || !can_read(s))
			break;
	}
	s->busy = false;
	if (unread(s) == 0)
		in_drop(s);
	if (s->pending || can_read(s) || s->corked)
		stream_schedule(s);
}

static void turn_task(void *arg)
{
	stream_turn(arg);
}

static void connect_failed(struct stream *s, int err)
{
	s->connecting = s->attend = false;
	s->eof = true;
	stream_see_error(s, err);
}

/* The bits that count: none while there is no connection that could carry bytes. */
static unsigned connect_ready(struct stream *s)
{
	int r = s->dialing ? -socket_error(s->fd) : 0;

	if (r == 0) {
		s->dialing = false;
		r = s->ops->handshake ? s->ops->handshake(s) : 0;
	}
	if (r == -EAGAIN)
		return 0;
	if (r < 0) {
		connect_failed(s, -r);
		return 0;
	}
	s->connecting = s->attend = false;
	s->pending |= STREAM_CONNECTED;
	return s->ops->handshake ? LOOP_READ | LOOP_WRITE : LOOP_WRITE;
}

static unsigned attend(struct stream *s, unsigned ready)
{
	unsigned more;

	if (!s->connecting)
		return s->ops->ready(s, ready);
	more = connect_ready(s);
	return s->connecting || s->broken ? 0 : ready | more;
}

/* True: the event may stand for a reset that no read will find. After the peer's close each event
 * carries LOOP_CLOSED unless it is an error. */
static bool may_be_reset(const struct stream *s, unsigned ready)
{
	unsigned both = LOOP_READ | LOOP_WRITE;

	if (s->broken || (ready & both) != both || (ready & LOOP_CLOSED))
		return false;
	return s->hangup || !can_read(s);
}

static void stream_ready(void *arg, unsigned ready)
{
	struct stream *s = arg;

	/* Bits set from here on are told by the turn below, without the task. */
	s->busy = true;
	if (s->attend)
		ready = attend(s, ready);
	if (ready & LOOP_READ)
		s->readable = true;
	if (ready & LOOP_CLOSED) {
		s->readable = true;
		stream_see_hangup(s);
	}
	if (may_be_reset(s, ready)) {
		int err = socket_error(s->fd);

		if (err)
			stream_see_error(s, err);
	}
	if ((ready & LOOP_WRITE) && !s->broken)
		stream_out_resume(s);
	if (!s->patient || loop_begin(s->loop, &s->task))
		stream_turn(s);
	else
		s->busy = false; /* what is told from here on the task will see */
}

/* ---- life ---- */
static struct stream *make(struct loop *l, int fd, struct block_pool *pool, stream_fn *fn,
                           void *owner)
{
	struct stream *s = xcalloc(1, sizeof(*s));
	int one = 1;

	s->ops = &stream_plain;
	s->loop = l;
	s->fd = fd;
	s->pool = pool;
	s->fn = fn;
	s->owner = owner;
	s->writable = true;
	loop_task_init(&s->task, turn_task, s);
	loop_timer_init(&s->check, stream_check, s);
	/* A unix socket refuses, which is as good as knowing its family. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return s;
}

struct stream *stream_new(struct loop *l, int fd, struct block_pool *pool, stream_fn *fn,
                          void *owner)
{
	struct stream *s = make(l, fd, pool, fn, owner);

	s->io = loop_io_new(l, fd, stream_ready, s);
	return s;
}

void stream_set_patient(struct stream *s)
{
	s->patient = true;
}

struct stream *stream_dial(struct loop *l, const struct sockaddr *addr, socklen_t len,
                           struct block_pool *pool, const struct stream_ops *ops, struct tls *tls,
                           stream_fn *fn, void *owner, int *err)
{
	int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct stream *s;

	if (fd < 0) {
		*err = errno;
		return NULL;
	}
	s = make(l, fd, pool, fn, owner);
	s->ops = ops;
	s->tls = tls;
	if (connect(fd, addr, len) == 0) {
		if (!ops->handshake)
			set_pending(s, STREAM_CONNECTED);
		s->connecting = s->attend = ops->handshake != NULL;
	} else if (errno == EINPROGRESS || errno == EINTR) {
		s->connecting = s->dialing = s->attend = true;
	} else {
		/* No event will tell of it: a socket without a connection is not watched. */
		s->eof = true;
		stream_see_error(s, errno);
		return s;
	}
	s->writable = !s->connecting;
	s->io = loop_io_new(l, fd, stream_ready, s);
	return s;
}

struct stream *stream_connect(struct loop *l, const struct sockaddr *addr, socklen_t len,
                              struct block_pool *pool, stream_fn *fn, void *owner, int *err)
{
	return stream_dial(l, addr, len, pool, &stream_plain, NULL, fn, owner, err);
}

static void destroy(void *arg)
{
	struct stream *s = arg;

	chain_deinit(&s->out);
	free(s);
}

struct stream *stream_close(struct stream *s)
{
	if (!s || s->closed)
		return NULL;
	s->closed = true;
	loop_io_free(s->io);
	loop_timer_drop(s->loop, &s->check);
	if (s->ops->free)
		s->ops->free(s);
	close(s->fd);
	s->fd = -1;
	in_drop(s);
	chain_drain(&s->out, s->out.bytes);
	loop_task_cancel(&s->task);
	loop_task_init(&s->task, destroy, s);
	loop_defer(s->loop, &s->task);
	return NULL;
}

/* ---- the owner's side of reading ---- */
struct str stream_in(const struct stream *s)
{
	if (!s->in)
		return STR_NONE;
	return (struct str){s->in->data + s->pos, unread(s)};
}

/* A full block may have kept the socket waiting, an empty one is given back; both by the task,
 * since the owner may still look at the bytes. */
static void consumed(struct stream *s)
{
	if (unread(s) == 0)
		s->reserve = 0;
	if (can_read(s) || unread(s) == 0)
		stream_schedule(s);
}

struct slice stream_take(struct stream *s, size_t n)
{
	struct slice sl;

	if (n > unread(s))
		n = unread(s);
	if (n == 0)
		return (struct slice){NULL, NULL, 0};
	sl = (struct slice){block_ref(s->in), s->in->data + s->pos, n};
	s->pos += (uint32_t)n;
	consumed(s);
	return sl;
}

void stream_skip_some(struct stream *s, size_t n)
{
	if (n > unread(s))
		n = unread(s);
	s->pos += (uint32_t)n;
	consumed(s);
}

void stream_in_reserve(struct stream *s, size_t total)
{
	s->reserve = total;
	if (s->in && s->in->cap - s->pos < total)
		in_move(s, in_limit(s));
	if (can_read(s))
		stream_schedule(s);
}

void stream_pause(struct stream *s, bool paused)
{
	if (s->paused == paused)
		return;
	s->paused = paused;
	if (paused)
		return;
	if (unread(s) > 0)
		set_pending(s, STREAM_IN);
	else if (can_read(s))
		stream_schedule(s);
}

void stream_poke(struct stream *s)
{
	if (unread(s) > 0)
		set_pending(s, STREAM_IN);
}

void stream_keep(struct stream *s)
{
	static const struct {
		int level, name, value;
	} opts[] = {{SOL_SOCKET, SO_KEEPALIVE, 1},
	            {IPPROTO_TCP, TCP_KEEPIDLE, 30},
	            {IPPROTO_TCP, TCP_KEEPINTVL, 10},
	            {IPPROTO_TCP, TCP_USER_TIMEOUT, 120 * 1000}};

	for (size_t i = 0; i < sizeof(opts) / sizeof(opts[0]); i++)
		(void)setsockopt(s->fd, opts[i].level, opts[i].name, &opts[i].value,
		                 sizeof(opts[i].value));
}

/* ---- questions ---- */
uint64_t stream_read_total(const struct stream *s)
{
	return s->read_total;
}

bool stream_waiting(const struct stream *s)
{
	return unread(s) > 0 || can_read(s);
}

int stream_error(const struct stream *s)
{
	return s->err;
}

bool stream_eof(const struct stream *s)
{
	return s->hangup || s->eof;
}
