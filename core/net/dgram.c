/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Datagram sockets. Where the kernel says that it has no room, a timer asks again besides the
 * event: nothing tells of room for UDP (ENOBUFS), and the wake-up of a unix socket is the peer's
 * affair.
 */
#include "net/dgram.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define AGAIN_NS (50 * NS_PER_MS)
#define READ_TURN 64 /* datagrams read and dropped in one turn */

struct dgram {
	struct loop *loop;
	struct loop_io *io;
	struct loop_timer again;
	struct loop_task task;
	dgram_fn *fn;
	void *owner;
	int fd;
	int err;
	bool full; /* DGRAM_OUT is due */
	bool closed;
};

static void see_error(struct dgram *d, int err)
{
	if (d->err || d->closed)
		return;
	d->err = err;
	loop_defer(d->loop, &d->task);
}

static void tell_error(void *arg)
{
	struct dgram *d = arg;

	if (!d->closed)
		d->fn(d->owner, DGRAM_ERROR);
}

static void tell_room(void *arg)
{
	struct dgram *d = arg;

	if (!d->full || d->err || d->closed)
		return;
	d->full = false;
	loop_timer_clear(&d->again);
	d->fn(d->owner, DGRAM_OUT);
}

/* Reads what is there, for the errors that stand before it. */
static void read_on(void *arg)
{
	struct dgram *d = arg;
	char byte;

	for (int i = 0; i < READ_TURN; i++) {
		if (recv(d->fd, &byte, 1, MSG_DONTWAIT) >= 0 || errno == EINTR)
			continue;
		if (errno != EAGAIN)
			see_error(d, errno);
		return;
	}
}

static void ready(void *arg, unsigned what)
{
	struct dgram *d = arg;

	if (what & (LOOP_READ | LOOP_CLOSED))
		read_on(d);
	if (what & LOOP_WRITE)
		tell_room(d);
}

struct dgram *dgram_connect(struct loop *l, const struct sockaddr *addr, socklen_t len,
                            dgram_fn *fn, void *owner, int *err)
{
	int fd = socket(addr->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct dgram *d;

	if (fd < 0) {
		*err = errno;
		return NULL;
	}
	if (connect(fd, addr, len) < 0) {
		*err = errno;
		close(fd);
		return NULL;
	}
	d = xcalloc(1, sizeof(*d));
	d->loop = l;
	d->fd = fd;
	d->fn = fn;
	d->owner = owner;
	loop_timer_init(&d->again, tell_room, d);
	loop_task_init(&d->task, tell_error, d);
	d->io = loop_io_new(l, fd, ready, d);
	return d;
}

int dgram_send(struct dgram *d, struct str msg)
{
	ssize_t r;

	if (d->err)
		return -d->err;
	do
		r = send(d->fd, msg.p, msg.n, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	if (r >= 0)
		return 0;
	if (errno == EAGAIN || errno == ENOBUFS) {
		d->full = true;
		loop_timer_in(d->loop, &d->again, AGAIN_NS);
		return -EAGAIN;
	}
	if (errno != EMSGSIZE)
		d->err = errno; /* told here and now */
	return -errno;
}

int dgram_error(const struct dgram *d)
{
	return d->err;
}

static void destroy(void *arg)
{
	free(arg);
}

struct dgram *dgram_close(struct dgram *d)
{
	if (!d || d->closed)
		return NULL;
	d->closed = true;
	loop_io_free(d->io);
	loop_timer_drop(d->loop, &d->again);
	close(d->fd);
	loop_task_cancel(&d->task);
	loop_task_init(&d->task, destroy, d);
	loop_defer(d->loop, &d->task);
	return NULL;
}
