/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The writing side of a stream: what its owner sends is written at once as far as the socket takes
 * it, the rest is the stream's own and follows by the events.
 */
#include "net/stream_ops.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#define IOV_MAX_ONCE 64

static void try_shutdown(struct stream *s)
{
	if (!s->shut || s->shut_done || s->out.bytes > 0 || s->connecting || s->broken)
		return;
	/* ENOTCONN: a reset came first and is told of on its own. */
	s->shut_done = s->ops->shutdown(s) != -EAGAIN;
	if (!s->shut_done)
		s->writable = false;
}

/* One write of what stands first in c. */
static ssize_t out_once(struct stream *s, const struct chain *c, size_t *asked)
{
	struct iovec iov[IOV_MAX_ONCE];
	int n = chain_iov(c, iov, IOV_MAX_ONCE);

	*asked = 0;
	for (int i = 0; i < n; i++)
		*asked += iov[i].iov_len;
	return s->ops->write(s, iov, n);
}

/* Nearly always one piece. */
static ssize_t out_piece(struct stream *s, const struct chain *c, size_t *asked)
{
	struct iovec iov = {(void *)(uintptr_t)c->one.p, c->one.n};

	*asked = c->one.n;
	return s->ops->write(s, &iov, 1);
}

static int out_failed(struct stream *s, int err)
{
	/* An answer that the peer sent before it broke off is still to be had. */
	s->readable = true;
	stream_see_hangup(s);
	stream_see_error(s, err);
	return -err;
}

/* Pieces of a large body that follow each other in one turn leave in segments as large as the
 * kernel makes them, which halves what it and the peer have to do. TLS writes whole records anyway.
 */
static void out_cork(struct stream *s)
{
	s->corked = s->more;
	if (s->corked)
		stream_schedule(s);
}

void stream_out_push(struct stream *s)
{
	static const int on = 1;

	s->corked = false;
	/* Setting it anew is what sends (tcp(7)); of a unix socket nothing is kept back. */
	if (!s->broken)
		(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static int out_write(struct stream *s, struct chain *c)
{
	s->more = s->ops == &stream_plain && loop_more(s->loop);
	while (s->writable && c->bytes > 0) {
		size_t asked;
		ssize_t r = c->ring ? out_once(s, c, &asked) : out_piece(s, c, &asked);

		if (r == -EAGAIN) {
			s->writable = false;
			break;
		}
		if (r < 0)
			return out_failed(s, (int)-r);
		chain_drain(c, (size_t)r);
		s->written += (size_t)r;
		s->unsure = false;
		if (s->more || s->corked)
			out_cork(s);
		if ((size_t)r < asked && s->ops == &stream_plain)
			s->writable = false;
	}
	return 0;
}

/* What is left has to be told of when it is gone. */
static void out_left(struct stream *s)
{
	if (s->out.bytes > 0)
		s->blocked = true;
	if (s->out.bytes > STREAM_LOW)
		s->was_high = true;
}

int stream_flush(struct stream *s)
{
	int r;

	if (s->broken)
		return -s->err;
	r = out_write(s, &s->out);
	if (s->shut)
		try_shutdown(s);
	out_left(s);
	return r;
}

int stream_offer(struct stream *s, struct chain *c)
{
	uint64_t before = s->written;
	int r;

	if (s->broken)
		return -s->err;
	if (s->out.bytes > 0 || s->shut)
		return 0;
	r = out_write(s, c);
	if (s->written == before || r < 0)
		return r;
	chain_move(&s->out, c, c->bytes);
	out_left(s);
	return 0;
}

void stream_out_resume(struct stream *s)
{
	s->writable = true;
	if (s->out.bytes == 0 && !s->shut && !s->blocked)
		return;
	if (out_write(s, &s->out) < 0)
		return;
	try_shutdown(s);
	if (s->out.bytes == 0 && s->blocked) {
		s->blocked = s->was_high = false;
		s->pending |= STREAM_OUT;
	} else if (s->out.bytes <= STREAM_LOW && s->was_high) {
		s->was_high = false;
		s->pending |= STREAM_OUT;
	}
}

/* ---- the owner's side of writing ---- */
void stream_send(struct stream *s, struct slice data)
{
	if (s->broken || s->shut) {
		slice_unref(data);
		return;
	}
	chain_pack(&s->out, s->pool, data);
}

void stream_send_copy(struct stream *s, const void *p, size_t n)
{
	if (!s->broken && !s->shut)
		chain_copy(&s->out, s->pool, p, n);
}

int stream_shutdown(struct stream *s)
{
	if (s->broken)
		return -s->err;
	s->shut = true;
	return stream_flush(s);
}

size_t stream_queued(const struct stream *s)
{
	return s->out.bytes;
}

uint64_t stream_written(const struct stream *s)
{
	return s->written;
}
