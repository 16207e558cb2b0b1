/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A model server played by the test itself: plain sockets on 127.0.0.1 that the test accepts, reads
 * and writes in the order it wants, and a client that notes what an exchange tells.
 */
#ifndef UPSTREAM_FAKE_H
#define UPSTREAM_FAKE_H

#include "unit.h"

#include "net_pump.h"

#include "upstream/exchange.h"
#include "upstream/health.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define FAKE_MAX 4

static struct block_pool blocks;
static struct resolver *resolver;
static struct pools pools;
static struct conf conf;
static struct conf_upstream conf_up;
static struct str conf_servers[FAKE_MAX];
static char conf_text[FAKE_MAX][32];
static int listeners[FAKE_MAX];
static struct upstream *up;
static uint64_t fake_now;

/* ---- the server's side ---- */
static inline int fake_listen(int backlog, uint16_t *port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, len) || listen(fd, backlog) ||
	    getsockname(fd, (struct sockaddr *)&sa, &len))
		abort();
	*port = ntohs(sa.sin_port);
	return fd;
}

/* Runs the loop until the descriptor is readable; what does not come ends the program. */
static inline void fake_pump(int fd)
{
	uint64_t began = clock_mono();
	char c;

	for (unsigned i = 0; i < 100000; i++) {
		ssize_t r = recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);

		if (r >= 0 || errno != EAGAIN)
			return;
		turn();
	}
	fprintf(stderr, "nothing to read since %llu\n", (unsigned long long)began);
	abort();
}

static inline int fake_accept(unsigned server)
{
	for (unsigned i = 0; i < 100000; i++) {
		int fd = accept4(listeners[server], NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0)
			return fd;
		turn();
	}
	fprintf(stderr, "no connection came\n");
	abort();
}

static inline int fake_accept_any(unsigned *server)
{
	for (unsigned i = 0; i < 100000; i++) {
		for (unsigned k = 0; k < conf_up.nservers; k++) {
			int fd =
			    listeners[k] ? accept4(listeners[k], NULL, NULL, SOCK_CLOEXEC) : -1;

			if (fd >= 0) {
				*server = k;
				return fd;
			}
		}
		turn();
	}
	abort();
}

/* Whether nobody waits to be accepted. */
static inline bool fake_none(unsigned server)
{
	int fd;

	turn();
	fd = accept4(listeners[server], NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == EAGAIN;
}

/* Reads one request head; false: the connection has ended. */
static inline bool fake_request(int fd)
{
	char head[4096];
	size_t n = 0;

	while (n < sizeof(head) - 1) {
		fake_pump(fd);
		if (recv(fd, head + n, 1, 0) != 1)
			return false;
		head[++n] = 0;
		if (n >= 4 && memcmp(head + n - 4, "\r\n\r\n", 4) == 0)
			return true;
	}
	return false;
}

static inline void fake_send(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
		abort();
}

/* Whether the gateway has closed the connection; what it still sends is read. */
static inline bool fake_closed(int fd)
{
	char buf[4096];

	for (;;) {
		ssize_t r;

		fake_pump(fd);
		r = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (r <= 0)
			return r == 0 || errno == ECONNRESET;
	}
}

static inline bool fake_open(int fd)
{
	char c;

	turn();
	return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* Closes with a reset. */
static inline void fake_reset(int fd)
{
	struct linger l = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(fd);
}

/* ---- the gateway's side ---- */
static inline void fake_time(uint64_t forward_ns)
{
	fake_now += forward_ns;
	clock_freeze(fake_now, 1);
	turn();
}

static inline void fake_conf(unsigned n)
{
	memset(&conf, 0, sizeof(conf));
	memset(&conf_up, 0, sizeof(conf_up));
	for (unsigned i = 0; i < n; i++) {
		uint16_t port;

		listeners[i] = fake_listen(16, &port);
		snprintf(conf_text[i], sizeof(conf_text[i]), "127.0.0.1:%u", port);
		conf_servers[i] = str_of(conf_text[i]);
	}
	conf_up.name = STR("llm");
	conf_up.servers = conf_servers;
	conf_up.nservers = n;
	conf_up.connect_timeout = 5 * NS_PER_S;
	conf_up.first_byte_timeout = 600 * NS_PER_S;
	conf_up.idle_timeout = 300 * NS_PER_S;
	conf_up.keep_alive = 4 * NS_PER_S;
	conf_up.health_interval = 5 * NS_PER_S;
	conf.upstreams = &conf_up;
	conf.nupstreams = 1;
}

/* fake_conf() comes before; the test may change settings in between. */
static inline void fake_start(void)
{
	fake_now = clock_mono();
	/* What is put up for later counts from the same moment as the test does. */
	clock_freeze(fake_now, 1);
	loop = loop_new();
	resolver = resolver_new(loop);
	block_pool_init(&blocks, 16);
	pools_init(&pools, loop, resolver, &blocks);
	up = upstreams_new(&pools, &conf, NULL);
	clock_unfreeze();
}

static inline void fake_stop(void)
{
	up = upstreams_free(up, conf.nupstreams);
	CU_ASSERT(list_empty(&pools.servers));
	pools_deinit(&pools);
	resolver_free(resolver);
	loop_free(loop);
	block_pool_deinit(&blocks);
	for (unsigned i = 0; i < FAKE_MAX; i++) {
		if (listeners[i] > 0)
			close(listeners[i]);
		listeners[i] = 0;
	}
	clock_unfreeze();
}

struct client {
	struct arena arena;
	struct exchange *ex;
	struct http_head *head;
	char body[65536];
	size_t n; /* bytes of body told, also those that did not fit */
	bool ended;
	bool over; /* ended or broken */
	enum exchange_fault fault;
	unsigned writable;
	unsigned turns;
	unsigned pieces; /* calls of body */
	bool inside;     /* a call into the exchange is under way */
	bool in_violation;
};

static inline void client_told(struct client *c)
{
	if (c->inside || c->over)
		c->in_violation = true;
}

static inline void client_head(void *owner, struct http_head *h)
{
	struct client *c = owner;

	client_told(c);
	if (c->head)
		c->in_violation = true;
	c->head = h;
}

static inline void client_body(void *owner, struct slice data)
{
	struct client *c = owner;

	client_told(c);
	c->pieces++;
	for (size_t i = 0; i < data.n; i++, c->n++)
		if (c->n < sizeof(c->body))
			c->body[c->n] = data.p[i];
	slice_unref(data);
}

static inline void client_turn(void *owner)
{
	struct client *c = owner;

	client_told(c);
	c->turns++;
	loop_stop(loop);
}

static inline void client_end(void *owner)
{
	struct client *c = owner;

	client_told(c);
	c->ended = c->over = true;
	c->ex = NULL;
	loop_stop(loop);
}

static inline void client_fault(void *owner, enum exchange_fault f)
{
	struct client *c = owner;

	client_told(c);
	c->fault = f;
	c->over = true;
	c->ex = NULL;
	loop_stop(loop);
}

static inline void client_writable(void *owner)
{
	struct client *c = owner;

	client_told(c);
	c->writable++;
	loop_stop(loop);
}

static const struct exchange_ops client_ops = {
    .head = client_head,
    .body = client_body,
    .turn = client_turn,
    .end = client_end,
    .fault = client_fault,
    .writable = client_writable,
};

#define REQUEST "POST /v1/x HTTP/1.1\r\nHost: a\r\n\r\n"

/* Begins without the end of the request. */
static inline void client_open(struct client *c, bool head_request)
{
	memset(c, 0, sizeof(*c));
	arena_init(&c->arena, NULL);
	c->inside = true;
	c->ex = exchange_start(up, &c->arena, slice_copy(&blocks, REQUEST, strlen(REQUEST)),
	                       head_request, &client_ops, c);
	exchange_flush(c->ex);
	c->inside = false;
}

static inline void client_close_request(struct client *c)
{
	c->inside = true;
	exchange_send_end(c->ex);
	exchange_flush(c->ex);
	c->inside = false;
}

static inline void client_begin(struct client *c)
{
	client_open(c, false);
	client_close_request(c);
}

static inline void client_free(struct client *c)
{
	exchange_abort(c->ex);
	CU_ASSERT_FALSE(c->in_violation);
	arena_deinit(&c->arena);
}

static inline bool client_body_is(const struct client *c, const char *text)
{
	return c->n == strlen(text) && memcmp(c->body, text, c->n) == 0;
}

static inline void count_idle(void *arg, const struct server_info *s)
{
	unsigned *n = arg;

	*n += s->idle;
}

static inline unsigned idle_conns(void)
{
	unsigned n = 0;

	pools_each(&pools, count_idle, &n);
	return n;
}

static inline void count_inflight(void *arg, const struct server_info *s)
{
	unsigned *n = arg;

	*n += s->inflight;
}

static inline unsigned inflight(void)
{
	unsigned n = 0;

	pools_each(&pools, count_inflight, &n);
	return n;
}

/* One clean exchange on a connection that fake_accept() gave, or a new one (-1). */
static inline int fake_serve(unsigned server, int fd)
{
	struct client *c = malloc(sizeof(*c));

	client_begin(c);
	if (fd < 0)
		fd = fake_accept(server);
	CU_ASSERT(fake_request(fd));
	fake_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	until(&c->over);
	CU_ASSERT(c->ended);
	CU_ASSERT(client_body_is(c, "ok"));
	client_free(c);
	free(c);
	return fd;
}

#endif
