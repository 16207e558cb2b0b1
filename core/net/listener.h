/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Listening sockets. An address is bound once, with one socket a worker (SO_REUSEPORT); the sockets
 * belong to the set, not to a generation, so that a reload or later a supervisor can hand them on.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <sys/socket.h>
#include <sys/un.h>

#include "base/buf.h"
#include "net/loop.h"

struct net_addr {
	struct sockaddr_storage ss;
	socklen_t len;
};
/* "127.0.0.1:8080", "[::1]:80", "*:80" and "[::]:80" (both IPv4 and v6), "unix:/path". Literals
 * only. False: another form. */
bool net_addr_parse(struct str s, struct net_addr *out);
void net_addr_set_port(struct net_addr *a, uint16_t port); /* of IPv4 or IPv6; host order */
/* The address without port as text ("10.0.0.1", "::1", "unix"); writes at most 64 bytes and a NUL.
 */
void net_addr_text(const struct sockaddr *sa, char out[64]);
/* An IPv4 or IPv6 prefix, for trusted_proxies and sources. */
struct net_prefix {
	uint8_t family; /* 4 or 6 */
	uint8_t bits;
	uint8_t addr[16];
};
bool net_prefix_parse(
    struct str s,
    struct net_prefix *out); /* "10.0.0.0/8", "::1"; bits beyond the prefix must be 0 */
/* IPv4-mapped IPv6 addresses are matched as IPv4. */
bool net_prefix_match(const struct net_prefix *p, const struct sockaddr *sa);

/* `count` listening descriptors (unix: one, `count` times the same number). A first bind without
 * SO_REUSEPORT finds a taken address: -EADDRINUSE. A stale unix socket (nobody answers) is
 * replaced. */
int listener_bind(const struct net_addr *addr, unsigned count, int backlog, int *fds) MUST_CHECK;

int listener_port(int fd); /* the port that fd is bound to; unix: 0; -errno */

struct listener;
/* fd is a connected non-blocking socket, now the callee's. */
typedef void listener_fn(void *arg, int fd, const struct sockaddr *peer, socklen_t len);
/* Accepts on this loop. On EMFILE and ENFILE it stops for 100 ms rather than spin. Does not own fd.
 */
struct listener *listener_start(struct loop *l, int fd, listener_fn *fn, void *arg);
void listener_pause(struct listener *ln, bool paused); /* connection ceiling reached */
/* Stops. drain: accepts until EAGAIN first, so that no queued connection is reset. Closing fd is
 * the caller's. */
void listener_stop(struct listener *ln, bool drain);

#endif
