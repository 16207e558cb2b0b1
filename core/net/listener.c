/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Listening sockets and the text forms of addresses and prefixes. A listener owns its watch on the
 * loop; the descriptor belongs to whoever bound it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4(2) */
#endif
#include "net/listener.h"

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ACCEPT_ONCE 64
#define BACK_OFF (100 * NS_PER_MS)

/* ---- addresses as text ---- */
static bool port_parse(struct str s, uint16_t *port)
{
	uint64_t v;

	if (s.n > 5 || !str_u64(s, &v) || v > 65535)
		return false;
	*port = (uint16_t)v;
	return true;
}

static bool unix_parse(struct str path, struct net_addr *out)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&out->ss;

	if (path.n == 0 || path.n >= sizeof(un->sun_path) || str_find(path, '\0') >= 0)
		return false;
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path.p, path.n);
	out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
	return true;
}

/* inet_pton(3) on text that is not terminated; family AF_UNSPEC: either. The family found, or 0. */
static int literal(struct str s, int family, void *addr)
{
	char z[INET6_ADDRSTRLEN];

	if (s.n == 0 || s.n >= sizeof(z) || str_find(s, '\0') >= 0)
		return 0;
	memcpy(z, s.p, s.n);
	z[s.n] = '\0';
	if (family != AF_INET6 && inet_pton(AF_INET, z, addr) == 1)
		return AF_INET;
	if (family != AF_INET && inet_pton(AF_INET6, z, addr) == 1)
		return AF_INET6;
	return 0;
}

bool net_addr_parse(struct str s, struct net_addr *out)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)&out->ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out->ss;
	struct str host = s;
	uint16_t port;

	memset(out, 0, sizeof(*out));
	if (str_starts(s, STR("unix:")))
		return unix_parse((struct str){s.p + 5, s.n - 5}, out);
	while (host.n > 0 && host.p[host.n - 1] != ':')
		host.n--;
	if (host.n < 2 || !port_parse((struct str){host.p + host.n, s.n - host.n}, &port))
		return false;
	host.n--;
	if (str_eq(host, STR("*")) ||
	    (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']' &&
	     literal((struct str){host.p + 1, host.n - 2}, AF_INET6, &in6->sin6_addr))) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		out->len = sizeof(*in6);
		return true;
	}
	if (!literal(host, AF_INET, &in4->sin_addr))
		return false;
	in4->sin_family = AF_INET;
	in4->sin_port = htons(port);
	out->len = sizeof(*in4);
	return true;
}

/* The IPv4 bytes of an IPv4 or IPv4-mapped address, else NULL. */
static const uint8_t *ipv4_of(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return (const uint8_t *)&((const struct sockaddr_in *)(const void *)sa)->sin_addr;
	if (sa->sa_family == AF_INET6) {
		const struct in6_addr *a =
		    &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;

		if (IN6_IS_ADDR_V4MAPPED(a))
			return a->s6_addr + 12;
	}
	return NULL;
}

void net_addr_text(const struct sockaddr *sa, char out[64])
{
	const uint8_t *v4 = ipv4_of(sa);

	if (v4)
		inet_ntop(AF_INET, v4, out, 64);
	else if (sa->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr,
		          out, 64);
	else
		snprintf(out, 64, "%s", sa->sa_family == AF_UNIX ? "unix" : "-");
}

/* ---- prefixes ---- */
static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned mask = 0xff00u >> (bits % 8);

	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) & mask & 0xff) == 0;
}

bool net_prefix_parse(struct str s, struct net_prefix *out)
{
	static const uint8_t zero[16];
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct str rest = s;
	struct str addr = str_split(&rest, '/');
	int family;
	uint64_t bits;
	unsigned width;

	memset(out, 0, sizeof(*out));
	family = literal(addr, AF_UNSPEC, out->addr);
	if (!family)
		return false;
	width = family == AF_INET ? 32 : 128;
	bits = width;
	if (rest.p && (rest.n > 3 || !str_u64(rest, &bits) || bits > width))
		return false;
	if (family == AF_INET6 && bits >= 96 && memcmp(out->addr, mapped, sizeof(mapped)) == 0) {
		memmove(out->addr, out->addr + 12, 4);
		memset(out->addr + 4, 0, 12);
		bits -= 96;
		width = 32;
	}
	out->family = width == 32 ? 4 : 6;
	out->bits = (uint8_t)bits;
	for (unsigned i = (unsigned)bits; i < width; i++)
		if (out->addr[i / 8] & (0x80u >> (i % 8)))
			return false;
	return memcmp(out->addr + width / 8, zero, 16 - width / 8) == 0;
}

bool net_prefix_match(const struct net_prefix *p, const struct sockaddr *sa)
{
	const uint8_t *v4 = ipv4_of(sa);

	if (v4)
		return p->family == 4 && bits_equal(p->addr, v4, p->bits);
	if (sa->sa_family != AF_INET6 || p->family != 6)
		return false;
	return bits_equal(
	    p->addr, ((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr.s6_addr, p->bits);
}

/* ---- binding ---- */
static bool is_any6(const struct net_addr *a)
{
	return a->ss.ss_family == AF_INET6 &&
	       IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)&a->ss)->sin6_addr);
}

/* A bound socket, or -errno. */
static int bind_one(const struct net_addr *a, bool reuseport)
{
	_cleanup_(closep) int fd = -1;
	int one = 1;
	int zero = 0;
	int r;

	fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (a->ss.ss_family != AF_UNIX) {
		if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
		    (reuseport && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0))
			return -errno;
	}
	if (is_any6(a) && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&a->ss, a->len) < 0)
		return -errno;
	r = fd;
	fd = -1;
	return r;
}

/* Somebody who answers, or a file that is no socket, keeps the path. */
static bool unix_stale(const struct net_addr *a)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)&a->ss;
	_cleanup_(closep) int fd = -1;
	struct stat st;

	if (lstat(un->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	return connect(fd, (const struct sockaddr *)un, a->len) < 0 && errno == ECONNREFUSED;
}

static int bind_unix(const struct net_addr *a, unsigned count, int backlog, int *fds)
{
	int fd = bind_one(a, false);
	int r;

	if (fd == -EADDRINUSE && unix_stale(a)) {
		if (unlink(((const struct sockaddr_un *)&a->ss)->sun_path) < 0)
			return err_origin(-errno);
		fd = bind_one(a, false);
	}
	if (fd < 0)
		return err_origin(fd);
	if (listen(fd, backlog) < 0) {
		r = -errno;
		close(fd);
		return err_origin(r);
	}
	for (unsigned i = 0; i < count; i++)
		fds[i] = fd;
	return 0;
}

void net_addr_set_port(struct net_addr *a, uint16_t port)
{
	if (a->ss.ss_family == AF_INET)
		((struct sockaddr_in *)&a->ss)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)&a->ss)->sin6_port = htons(port);
}

static int get_port(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)(const void *)sa)->sin_port);
	if (sa->sa_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)(const void *)sa)->sin6_port);
	return 0;
}

int listener_port(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return -errno;
	return get_port((const struct sockaddr *)&ss);
}

static int bind_all(struct net_addr *a, unsigned count, int backlog, int *fds)
{
	for (unsigned i = 0; i < count; i++) {
		int r = bind_one(a, true);

		fds[i] = r;
		if (r >= 0 && listen(r, backlog) < 0)
			r = -errno;
		else if (r >= 0 && i == 0)
			net_addr_set_port(a, (uint16_t)listener_port(r));
		if (r < 0) {
			for (unsigned k = 0; k <= i; k++)
				closep(&fds[k]);
			return err_origin(r);
		}
	}
	return 0;
}

int listener_bind(const struct net_addr *addr, unsigned count, int backlog, int *fds)
{
	struct net_addr a = *addr;
	int probe;

	if (a.ss.ss_family == AF_UNIX)
		return bind_unix(&a, count, backlog, fds);
	/* With SO_REUSEPORT alone, a second instance of the same user would bind silently beside
	 * the first and take a part of its connections. */
	probe = bind_one(&a, false);
	if (is_any6(&a) && (probe == -EAFNOSUPPORT || probe == -EADDRNOTAVAIL)) {
		int port = get_port((const struct sockaddr *)&a.ss);

		memset(&a, 0, sizeof(a));
		a.ss.ss_family = AF_INET;
		a.len = sizeof(struct sockaddr_in);
		net_addr_set_port(&a, (uint16_t)port);
		probe = bind_one(&a, false);
	}
	if (probe < 0)
		return err_origin(probe);
	close(probe);
	return bind_all(&a, count, backlog, fds);
}

/* ---- accepting ---- */
struct listener {
	struct loop *loop;
	struct loop_io *io; /* NULL: paused or backing off */
	struct loop_timer retry;
	struct loop_task freeing;
	listener_fn *fn;
	void *arg;
	int fd;
	bool paused;
	bool backing_off;
	bool stopped;
};

static void accept_ready(void *arg, unsigned ready);

static void watch(struct listener *ln)
{
	bool want = !ln->paused && !ln->backing_off && !ln->stopped;

	if (want && !ln->io) {
		ln->io = loop_io_new_level(ln->loop, ln->fd, LOOP_READ, accept_ready, ln);
	} else if (!want) {
		loop_io_free(ln->io);
		ln->io = NULL;
	}
}

static void retry_now(void *arg)
{
	struct listener *ln = arg;

	ln->backing_off = false;
	watch(ln);
}

static void back_off(struct listener *ln, int err)
{
	static struct log_limit limit;

	log_limited(&limit, 1, LOG_L_WARN, "accept: %s; waiting 100 ms", strerror(err));
	ln->backing_off = true;
	loop_timer_in(ln->loop, &ln->retry, BACK_OFF);
	watch(ln);
}

/* False: nothing waits any more, or accepting must rest. */
static bool accept_one(struct listener *ln)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int fd = accept4(ln->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		ln->fn(ln->arg, fd, (const struct sockaddr *)&ss, len);
		return true;
	}
	switch (errno) {
	case EAGAIN:
		return false;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		if (!ln->stopped)
			back_off(ln, errno);
		return false;
	case EBADF:
	case EINVAL:
	case ENOTSOCK:
	case EOPNOTSUPP:
	case EFAULT:
		log_msg(LOG_L_ERROR, "accept: %s", strerror(errno));
		ln->paused = true;
		watch(ln);
		return false;
	default:
		/* The fault of one connection, gone before it was accepted (accept(2), "Error
		 * handling"). */
		return true;
	}
}

static void accept_ready(void *arg, unsigned ready)
{
	struct listener *ln = arg;

	(void)ready;
	for (unsigned i = 0; i < ACCEPT_ONCE && !ln->paused && !ln->stopped; i++)
		if (!accept_one(ln))
			return;
}

static void listener_free(void *arg)
{
	free(arg);
}

struct listener *listener_start(struct loop *l, int fd, listener_fn *fn, void *arg)
{
	struct listener *ln = xcalloc(1, sizeof(*ln));

	ln->loop = l;
	ln->fd = fd;
	ln->fn = fn;
	ln->arg = arg;
	loop_timer_init(&ln->retry, retry_now, ln);
	loop_task_init(&ln->freeing, listener_free, ln);
	watch(ln);
	return ln;
}

void listener_pause(struct listener *ln, bool paused)
{
	if (ln->stopped)
		return;
	ln->paused = paused;
	watch(ln);
}

void listener_stop(struct listener *ln, bool drain)
{
	if (!ln || ln->stopped)
		return;
	ln->stopped = true;
	watch(ln);
	loop_timer_drop(ln->loop, &ln->retry);
	while (drain && accept_one(ln))
		;
	/* Its own callback may have asked for the stop. */
	loop_defer(ln->loop, &ln->freeing);
}
