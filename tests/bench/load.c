/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * bench-load: clients that send one request after the other on connections that they keep, or hold
 * connections or streams open until their standard input ends. Prints one line of figures. It owns
 * all its connections; one thread, so that it costs less than what it measures.
 */
#include "load.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define EVENTS 256
#define TURN_MS 20               /* how soon clients that failed begin again */
#define OPENING_MAX 128          /* of held connections, at a time */
#define PATIENCE (10 * NS_PER_S) /* with answers after the end */

enum state { FREE, CONNECTING, SENDING, WAITING, HELD, OVER };

struct client {
	struct load *l;
	int fd;
	enum state state;
	size_t sent, size;
	uint64_t began;
	struct iovec parts[REQUEST_PARTS];
	struct answer answer;
};

static char received[256 * 1024];

static void watch(struct client *c, int op, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = c};

	if (epoll_ctl(c->l->epoll, op, c->fd, &e) < 0)
		die("epoll_ctl");
}

static void client_close(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* The request is over, well or not: the client may begin another. */
static void client_rest(struct client *c, enum state state)
{
	c->state = state;
	c->l->active--;
	if (c->l->hold && c->answer.stamps > 0)
		c->l->open--;
	if (state == FREE)
		c->l->free++;
}

/* Held clients that fail are left: what is measured is what they would have held. */
static void client_failed(struct client *c, uint64_t *kind)
{
	(*kind)++;
	client_close(c);
	client_rest(c, c->l->hold ? OVER : FREE);
}

static void stamped(void *arg, uint64_t stamp)
{
	struct client *c = arg;
	uint64_t now = c->l->now;

	histogram_add(&c->l->chunk, now > stamp ? now - stamp : 0);
}

static int client_connect(struct client *c)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	                         .sin_port = htons((uint16_t)c->l->port),
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
		return -1;
	c->state = CONNECTING;
	watch(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
	return 0;
}

/* Sends what the socket takes. -1: the connection is lost. */
static int client_send(struct client *c)
{
	while (c->sent < c->size) {
		struct iovec v[REQUEST_PARTS];
		struct msghdr m = {.msg_iov = v};
		size_t skip = c->sent;

		for (int i = 0; i < REQUEST_PARTS; i++) {
			size_t n = c->parts[i].iov_len < skip ? c->parts[i].iov_len : skip;

			skip -= n;
			v[m.msg_iovlen].iov_base = (char *)c->parts[i].iov_base + n;
			v[m.msg_iovlen].iov_len = c->parts[i].iov_len - n;
			m.msg_iovlen += v[m.msg_iovlen].iov_len > 0;
		}
		ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			if (c->state != SENDING) {
				c->state = SENDING;
				watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
			}
			return 0;
		}
		if (n < 0)
			return -1;
		c->sent += (size_t)n;
	}
	if (c->state != WAITING)
		watch(c, EPOLL_CTL_MOD, EPOLLIN);
	c->state = WAITING;
	return 0;
}

/* Sends the request; every so many are broken off instead of waited for. */
static void client_go(struct client *c)
{
	struct load *l = c->l;

	if (client_send(c) < 0) {
		client_failed(c, &l->resets);
	} else if (l->abort_every && c->state == WAITING && ++l->aborts % l->abort_every == 0) {
		client_close(c);
		client_rest(c, FREE);
	}
}

static void client_begin(struct client *c)
{
	struct load *l = c->l;

	l->free--;
	l->active++;
	if (l->budget > 0)
		l->budget--;
	c->sent = 0;
	c->size = request_next(l, c->parts);
	answer_begin(&c->answer);
	c->began = now_ns();
	if (c->fd >= 0) {
		c->state = WAITING; /* until the socket is full */
		client_go(c);
	} else if (client_connect(c) < 0) {
		client_failed(c, &l->refused);
	}
}

static bool may_begin(const struct load *l)
{
	if (l->hold)
		return l->active - l->open < OPENING_MAX;
	return l->budget != 0 && l->now < l->end;
}

static void client_done(struct client *c)
{
	struct load *l = c->l;
	struct answer *a = &c->answer;

	if (a->status < 200 || a->status > 299) {
		client_failed(c, &l->statuses);
		return;
	}
	if (l->expect && (l->stamps ? a->stamps : a->bytes) != l->expect) {
		client_failed(c, &l->wrong);
		return;
	}
	l->ok++;
	l->last = l->now;
	histogram_add(&l->latency, l->now - c->began);
	if (a->close)
		client_close(c);
	client_rest(c, l->hold ? HELD : FREE);
	l->held += l->hold && !l->stamps;
	if (c->state == FREE && may_begin(l))
		client_begin(c);
}

static void client_lost(struct client *c)
{
	struct load *l = c->l;

	if (c->state == HELD || c->state == FREE) {
		l->closed++;
		client_close(c);
	} else if (c->answer.head_len > 0) {
		client_failed(c, &l->cut);
	} else {
		client_failed(c, &l->resets);
	}
}

static void client_read(struct client *c)
{
	struct load *l = c->l;
	ssize_t n;

	do {
		bool first = c->answer.stamps == 0;

		n = recv(c->fd, received, sizeof(received), 0);
		if (n < 0 && errno == EAGAIN)
			return;
		l->now = now_ns();
		if (n <= 0 || c->state == HELD || c->state == FREE) {
			client_lost(c);
			return;
		}
		int r = answer_read(&c->answer, received, (size_t)n);

		if (l->hold && l->stamps && first && c->answer.stamps > 0) {
			l->held++;
			l->open++;
		}
		if (r < 0)
			client_failed(c, &l->wrong);
		else if (r > 0)
			client_done(c);
		if (r != 0)
			return;
	} while ((size_t)n == sizeof(received));
}

static void client_event(struct client *c, uint32_t events)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (c->fd < 0)
		return;
	if (c->state == CONNECTING) {
		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (error) {
			client_failed(c, &c->l->refused);
			return;
		}
	}
	if (c->state == CONNECTING || (c->state == SENDING && (events & EPOLLOUT)))
		client_go(c);
	if (c->fd >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		client_read(c);
}

static void begin_free(struct load *l, struct client *clients)
{
	for (unsigned i = 0; l->free > 0 && i < l->connections; i++) {
		if (!may_begin(l))
			return;
		if (clients[i].state == FREE)
			client_begin(&clients[i]);
	}
}

/* Is there nothing more to come? */
static bool over(const struct load *l)
{
	if (l->hold)
		return false;
	if (may_begin(l))
		return false;
	return l->active == 0 || l->now > l->end + PATIENCE;
}

static void loop(struct load *l, struct client *clients)
{
	struct epoll_event events[EVENTS];
	struct epoll_event input = {.events = EPOLLIN};
	bool told = false;

	if (l->hold && epoll_ctl(l->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) < 0)
		die("standard input");
	for (l->now = now_ns(); !over(l); l->now = now_ns()) {
		begin_free(l, clients);
		if (l->hold && !told && l->held >= l->connections) {
			told = true;
			puts("ready");
			fflush(stdout);
		}
		int n = epoll_wait(l->epoll, events, EVENTS, TURN_MS);

		for (int i = 0; i < n; i++) {
			if (!events[i].data.ptr)
				return;
			client_event(events[i].data.ptr, events[i].events);
		}
	}
}

static void print(const struct load *l)
{
	uint64_t stuck = l->hold ? 0 : l->active;
	uint64_t failed = l->resets + l->cut + l->refused + l->statuses + l->wrong + stuck;
	double seconds = (double)(l->last > l->began ? l->last - l->began : 1) / (double)NS_PER_S;

	printf("requests=%llu failed=%llu resets=%llu cut=%llu refused=%llu status=%llu wrong=%llu "
	       "stuck=%llu closed=%llu ",
	       (unsigned long long)l->ok, (unsigned long long)failed, (unsigned long long)l->resets,
	       (unsigned long long)l->cut, (unsigned long long)l->refused,
	       (unsigned long long)l->statuses, (unsigned long long)l->wrong,
	       (unsigned long long)stuck, (unsigned long long)l->closed);
	printf("rate=%.0f p50=%.1f p99=%.1f p999=%.1f max=%.1f ", (double)l->ok / seconds,
	       histogram_us(&l->latency, 0.5), histogram_us(&l->latency, 0.99),
	       histogram_us(&l->latency, 0.999), histogram_us(&l->latency, 1));
	printf("chunks=%llu chunk_p50=%.1f chunk_p99=%.1f chunk_p999=%.1f\n",
	       (unsigned long long)l->chunk.n, histogram_us(&l->chunk, 0.5),
	       histogram_us(&l->chunk, 0.99), histogram_us(&l->chunk, 0.999));
}

int main(int argc, char **argv)
{
	static struct load l;
	struct client *clients;

	load_options(&l, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_TIMERSLACK, 1UL);
	l.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l.epoll < 0)
		die("epoll_create1");
	clients = must_alloc(l.connections, sizeof(*clients));
	for (unsigned i = 0; i < l.connections; i++) {
		clients[i].l = &l;
		clients[i].fd = -1;
		clients[i].answer.arg = &clients[i];
		clients[i].answer.on_stamp = l.stamps ? stamped : NULL;
	}
	l.free = l.connections;
	l.began = l.last = now_ns();
	l.end = l.began + l.duration;
	loop(&l, clients);
	print(&l);
	for (unsigned i = 0; i < l.connections; i++)
		client_close(&clients[i]);
	free(clients);
	return 0;
}
