/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A connected datagram socket (UDP, or unix), for messages that have no answer. What the peer sends
 * is read and dropped. Lives and dies on one loop.
 */
#ifndef NET_DGRAM_H
#define NET_DGRAM_H

#include <sys/socket.h>

#include "base/err.h"
#include "base/str.h"
#include "net/loop.h"

#define DGRAM_OUT 1u   /* after dgram_send() has answered -EAGAIN: there may be room again */
#define DGRAM_ERROR 2u /* the peer is not there: dgram_error() */

struct dgram;
/* Called from the loop, never from within a function of the socket, which may be closed inside it.
 */
typedef void dgram_fn(void *owner, unsigned what);
/* NULL: *err has the errno; of unix sockets EPROTOTYPE: it is a stream socket. */
struct dgram *dgram_connect(struct loop *l, const struct sockaddr *addr, socklen_t len,
                            dgram_fn *fn, void *owner, int *err);
/* One message. 0; -EAGAIN: wait for DGRAM_OUT; -EMSGSIZE: it never fits; else the peer is gone. The
 * message was not taken then. */
int dgram_send(struct dgram *d, struct str msg) MUST_CHECK;
int dgram_error(const struct dgram *d);     /* errno of DGRAM_ERROR */
struct dgram *dgram_close(struct dgram *d); /* NULL is fine; returns NULL */

#endif
