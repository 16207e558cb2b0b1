/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * bench-upstream: the server behind what is measured. Any request is answered with 600 bytes of
 * JSON; one for /echo with its own body; one with the field "X-Bench-Stream: CHUNKS DELAY" with so
 * many events, so many milliseconds apart, each with the time of its sending. One thread; a
 * connection owns its buffers and stands in the wheel of timers while it streams.
 */
#include "wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define EVENTS 256
#define SLOTS 16384 /* of a millisecond each: the longest delay */
#define BODY_MAX (64U << 20)

struct bytes {
	char *data;
	size_t len, room;
};

struct conn {
	LIST_ENTRY(conn) entry;
	int fd;
	bool timed, dead, wants_out;
	unsigned chunks, delay;
	size_t taken; /* of out */
	struct bytes in, out;
};

LIST_HEAD(conns, conn);
static struct conns wheel[SLOTS];
static struct conns dead;
static uint64_t tick;
static unsigned streams;
static int epoll;
static char reply[2048];
static size_t reply_len;

static const char stream_head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
				  "Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n"
				  "Transfer-Encoding: chunked\r\n\r\n";

static void bytes_room(struct bytes *b, size_t more)
{
	if (b->room - b->len >= more)
		return;
	b->room = b->len + more > 2 * b->room ? b->len + more : 2 * b->room;
	b->data = realloc(b->data, b->room);
	if (!b->data)
		die("realloc");
}

static void watch(struct conn *c, int op, bool out)
{
	struct epoll_event e = {.events = EPOLLIN | (out ? EPOLLOUT : 0U), .data.ptr = c};

	if (epoll_ctl(epoll, op, c->fd, &e) < 0)
		die("epoll_ctl");
	c->wants_out = out;
}

/* Freed after the turn, since an event of it may stand behind in the same turn. */
static void conn_end(struct conn *c)
{
	if (c->dead)
		return;
	if (c->timed) {
		LIST_REMOVE(c, entry);
		streams--;
	}
	c->timed = false;
	c->dead = true;
	close(c->fd);
	LIST_INSERT_HEAD(&dead, c, entry);
}

static void bury(void)
{
	struct conn *c;

	while ((c = LIST_FIRST(&dead))) {
		LIST_REMOVE(c, entry);
		free(c->in.data);
		free(c->out.data);
		free(c);
	}
}

/* Sends, and keeps what the socket does not take. */
static void conn_put(struct conn *c, const char *head, size_t head_len, const char *body,
                     size_t len)
{
	struct iovec v[2] = {{(void *)(uintptr_t)head, head_len}, {(void *)(uintptr_t)body, len}};
	struct msghdr m = {.msg_iov = v, .msg_iovlen = len ? 2 : 1};
	ssize_t n = 0;

	if (c->out.len == 0)
		n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN) {
		conn_end(c);
		return;
	}
	size_t sent = n < 0 ? 0 : (size_t)n;

	if (sent == head_len + len)
		return;
	bytes_room(&c->out, head_len + len);
	for (int i = 0; i < 2; i++) {
		size_t skip = sent < v[i].iov_len ? sent : v[i].iov_len;

		memcpy(c->out.data + c->out.len, (char *)v[i].iov_base + skip, v[i].iov_len - skip);
		c->out.len += v[i].iov_len - skip;
		sent -= skip;
	}
	if (!c->wants_out)
		watch(c, EPOLL_CTL_MOD, true);
}

static void conn_flush(struct conn *c)
{
	ssize_t n = send(c->fd, c->out.data + c->taken, c->out.len - c->taken, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN) {
		conn_end(c);
		return;
	}
	c->taken += n < 0 ? 0 : (size_t)n;
	if (c->taken < c->out.len)
		return;
	c->taken = c->out.len = 0;
	watch(c, EPOLL_CTL_MOD, false);
}

static void conn_schedule(struct conn *c, unsigned ms)
{
	LIST_INSERT_HEAD(&wheel[(tick + ms) % SLOTS], c, entry);
	c->timed = true;
	streams++;
}

/* One event of the stream, or its end. */
static void conn_chunk(struct conn *c)
{
	char event[256], chunk[320];
	int n;

	if (c->chunks-- == 0) {
		static const char last[] = "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";

		c->chunks = 0;
		conn_put(c, last, sizeof(last) - 1, NULL, 0);
		return;
	}
	n = snprintf(
	    event, sizeof(event),
	    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,"
	    "\"delta\":{\"content\":\"%c%0*llu\"}}]}\n\n",
	    STAMP_MARK, STAMP_DIGITS, (unsigned long long)now_ns());
	n = snprintf(chunk, sizeof(chunk), "%x\r\n%s\r\n", (unsigned)n, event);
	conn_put(c, chunk, (size_t)n, NULL, 0);
}

static void conn_stream(struct conn *c, const char *how)
{
	char *rest;
	unsigned chunks = (unsigned)strtoul(how, &rest, 10);

	c->delay = (unsigned)strtoul(rest, NULL, 10) % SLOTS;
	c->chunks = chunks;
	conn_put(c, stream_head, sizeof(stream_head) - 1, NULL, 0);
	if (c->delay > 0) {
		/* from a point of their own, or all streams would wait for each other */
		conn_schedule(c, 1 + (unsigned)rand() % c->delay);
		return;
	}
	for (unsigned i = 0; i <= chunks && !c->dead; i++)
		conn_chunk(c);
}

static void conn_answer(struct conn *c, size_t head_len, size_t body_len)
{
	const char *head = c->in.data, *how = head_field(head, head_len, "x-bench-stream");
	const char *path = memchr(head, ' ', head_len);
	char text[128];

	if (how) {
		conn_stream(c, how);
	} else if (path && strncmp(path, " /echo", 6) == 0) {
		int n = snprintf(text, sizeof(text),
		                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
		                 "Content-Length: %zu\r\n\r\n",
		                 body_len);
		conn_put(c, text, (size_t)n, head + head_len, body_len);
	} else {
		conn_put(c, reply, reply_len, NULL, 0);
	}
}

/* Answers each request that has come whole. */
static void conn_requests(struct conn *c)
{
	while (!c->dead && !c->timed && c->out.len == 0) {
		size_t head = head_length(c->in.data, c->in.len), body = 0;
		const char *v;

		if (head == 0)
			return;
		v = head_field(c->in.data, head, "content-length");
		if (v)
			body = strtoull(v, NULL, 10);
		if (body > BODY_MAX || head_field(c->in.data, head, "transfer-encoding")) {
			fputs("bench-upstream: a body that is not for it\n", stderr);
			conn_end(c);
			return;
		}
		if (c->in.len < head + body) {
			bytes_room(&c->in, head + body - c->in.len);
			return;
		}
		conn_answer(c, head, body);
		memmove(c->in.data, c->in.data + head + body, c->in.len - head - body);
		c->in.len -= head + body;
	}
}

static void conn_read(struct conn *c)
{
	size_t room;
	ssize_t n;

	do {
		bytes_room(&c->in, 1);
		room = c->in.room - c->in.len;
		n = recv(c->fd, c->in.data + c->in.len, room, 0);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			conn_end(c);
			return;
		}
		c->in.len += (size_t)n;
	} while ((size_t)n == room && c->in.len < BODY_MAX);
	conn_requests(c);
}

static void accept_all(int listener)
{
	int fd, one = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *c = must_alloc(1, sizeof(*c));

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c->fd = fd;
		bytes_room(&c->in, 4096);
		watch(c, EPOLL_CTL_ADD, false);
	}
}

/* The streams whose time has come. */
static void run_wheel(uint64_t now)
{
	struct conn *c;

	while (tick < now && streams > 0) {
		struct conns *due = &wheel[++tick % SLOTS];

		/* A delay is at least 1 and less than SLOTS: what is set meanwhile is not in this
		 * slot. */
		while ((c = LIST_FIRST(due))) {
			bool last = c->chunks == 0;

			LIST_REMOVE(c, entry);
			c->timed = false;
			streams--;
			conn_chunk(c);
			if (!c->dead && !last)
				conn_schedule(c, c->delay);
			else if (!c->dead)
				conn_requests(c);
		}
	}
	tick = now;
}

static void serve(int listener)
{
	struct epoll_event events[EVENTS];
	uint64_t start = now_ns();

	for (;;) {
		int wait = -1;

		if (streams > 0) {
			uint64_t next = start + (tick + 1) * NS_PER_MS, now = now_ns();

			wait = now >= next ? 0 : 1;
		}
		int n = epoll_wait(epoll, events, EVENTS, wait);

		run_wheel((now_ns() - start) / NS_PER_MS);
		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;

			if (!c)
				accept_all(listener);
			else if (!c->dead && (events[i].events & EPOLLOUT))
				conn_flush(c);
			if (c && !c->dead && (events[i].events & ~(uint32_t)EPOLLOUT))
				conn_read(c);
			else if (c && !c->dead)
				conn_requests(c);
		}
		bury();
	}
}

static void make_reply(void)
{
	static const char text[] =
	    "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1700000000,"
	    "\"model\":\"demo\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
	    "\"content\":"
	    "\"A gateway that streams shows the first words at once instead of after the last, and "
	    "it holds "
	    "no answer in memory. It can stop a server's work as soon as the caller has gone. For "
	    "audit it "
	    "must record who asked, what was decided by which rule, which model answered, how much "
	    "went in "
	    "and out, and digests of both.\"},\"logprobs\":null,"
	    "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":42,\"completion_tokens\":78,"
	    "\"total_tokens\":120},\"system_fingerprint\":\"fp\"}";

	reply_len = (size_t)snprintf(reply, sizeof(reply),
	                             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	                             "Content-Length: %zu\r\n\r\n%s",
	                             sizeof(text) - 1, text);
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event e = {.events = EPOLLIN};
	int one = 1, listener;

	if (argc != 2) {
		fputs("usage: bench-upstream PORT\n", stderr);
		return 64;
	}
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_TIMERSLACK, 1UL);
	make_reply();
	at.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, 4096) < 0)
		die("bench-upstream");
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e) < 0)
		die("epoll");
	serve(listener);
}
