/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The operations of a stream over a plain socket. Owns nothing.
 */
#include "net/stream_ops.h"

#include <errno.h>

static ssize_t plain_read(struct stream *s, void *p, size_t n)
{
	ssize_t r;

	do
		r = recv(s->fd, p, n, 0);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static ssize_t plain_write(struct stream *s, const struct iovec *iov, int n)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n};
	ssize_t r;

	/* Nearly always one piece, for which the kernel need not fetch a vector. */
	do
		r = n == 1 ? send(s->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
		           : sendmsg(s->fd, &msg, MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static int plain_shutdown(struct stream *s)
{
	return shutdown(s->fd, SHUT_WR) < 0 ? -errno : 0;
}

const struct stream_ops stream_plain = {
    .read = plain_read,
    .write = plain_write,
    .shutdown = plain_shutdown,
};
