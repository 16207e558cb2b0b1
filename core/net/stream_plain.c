/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The operations of a stream over a plain socket. Owns nothing.
 *
 * The C library's recv() and send() are cancellation points: each call locks the thread's state
 * twice, which threads that nobody cancels need not pay for. Where the kernel has calls of these
 * names they are made directly.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* syscall(2) */
#endif
#include "net/stream_ops.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

static ssize_t sock_recv(int fd, void *p, size_t n)
{
#ifdef SYS_recvfrom
	return syscall(SYS_recvfrom, fd, p, n, 0, NULL, NULL);
#else
	return recv(fd, p, n, 0);
#endif
}

static ssize_t sock_send(int fd, const void *p, size_t n, int flags)
{
#ifdef SYS_sendto
	return syscall(SYS_sendto, fd, p, n, flags, NULL, (size_t)0);
#else
	return send(fd, p, n, flags);
#endif
}

static ssize_t plain_read(struct stream *s, void *p, size_t n)
{
	ssize_t r;

	do
		r = sock_recv(s->fd, p, n);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static ssize_t plain_write(struct stream *s, const struct iovec *iov, int n)
{
	struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n};
	int flags = MSG_NOSIGNAL | (s->more ? MSG_MORE : 0);
	ssize_t r;

	/* Nearly always one piece, for which the kernel need not fetch a vector. */
	do
		r = n == 1 ? sock_send(s->fd, iov->iov_base, iov->iov_len, flags)
		           : sendmsg(s->fd, &msg, flags);
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
