/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * c-ares on the loop. The resolver owns the channel and a list of its operations. An operation is
 * freed when both sides are through with it: c-ares has called back (it cannot drop a single query)
 * and the answer has been delivered or cancelled. Answers go by a task, since c-ares may have one
 * at once.
 */
#include "net/resolve.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <ares.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

#define RESOLVE_TIMEOUT (5 * NS_PER_S)
#define NUMERIC_TTL 86400

struct resolve_socket {
	struct list node;
	struct resolver *r;
	struct loop_io *io;
	unsigned what;
	int fd;
};

struct resolver {
	struct loop *loop;
	ares_channel channel;
	struct loop_timer timer; /* c-ares' own next deadline */
	struct list sockets;
	struct list ops;
	bool ending;
};

struct resolve_op {
	struct list node;
	struct resolver *r;
	struct loop_task task;
	struct loop_timer timeout;
	resolve_fn *fn;
	void *arg;
	bool asked; /* c-ares holds the operation */
	bool over;  /* delivered or cancelled */
	uint16_t port;
	struct resolve_result res;
};

/* ---- c-ares' sockets and deadlines ---- */
static void deadline_update(struct resolver *r)
{
	struct timeval tv;
	struct timeval *next = ares_timeout(r->channel, NULL, &tv);

	if (!next) {
		loop_timer_clear(&r->timer);
		return;
	}
	loop_timer_in(r->loop, &r->timer,
	              (uint64_t)next->tv_sec * NS_PER_S + (uint64_t)next->tv_usec * NS_PER_US);
}

static void deadline_passed(void *arg)
{
	struct resolver *r = arg;

	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	deadline_update(r);
}

static void socket_ready(void *arg, unsigned ready)
{
	struct resolve_socket *s = arg;
	struct resolver *r = s->r;
	int fd = s->fd;

	/* `s` may be gone when this returns. */
	ares_process_fd(r->channel, ready & LOOP_READ ? fd : ARES_SOCKET_BAD,
	                ready & LOOP_WRITE ? fd : ARES_SOCKET_BAD);
	deadline_update(r);
}

static void socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolver *r = arg;
	unsigned what = (readable ? LOOP_READ : 0) | (writable ? LOOP_WRITE : 0);
	struct resolve_socket *s = NULL;

	list_each(it, &r->sockets)
	{
		s = list_entry(it, struct resolve_socket, node);
		if (s->fd == fd)
			break;
		s = NULL;
	}
	if (!s && !what)
		return;
	if (!s) {
		s = xcalloc(1, sizeof(*s));
		s->r = r;
		s->fd = fd;
		list_add(&r->sockets, &s->node);
	}
	if (s->what == what)
		return;
	loop_io_free(s->io);
	s->what = what;
	if (what) {
		s->io = loop_io_new_level(r->loop, fd, what, socket_ready, s);
	} else {
		list_del(&s->node);
		free(s);
	}
}

/* ---- operations ---- */
static void op_release(struct resolve_op *op)
{
	if (op->asked || !op->over)
		return;
	list_del(&op->node);
	loop_task_cancel(&op->task);
	loop_timer_drop(op->r->loop, &op->timeout);
	free(op);
}

static void op_deliver(void *arg)
{
	struct resolve_op *op = arg;

	if (!op->over) {
		op->over = true;
		loop_timer_clear(&op->timeout);
		op->fn(op->arg, &op->res);
	}
	op_release(op);
}

static void op_timeout(void *arg)
{
	struct resolve_op *op = arg;

	if (op->over || !op->asked)
		return;
	op->res.r = -ETIMEDOUT;
	op_deliver(op);
}

static void take_addrs(struct resolve_op *op, const struct ares_addrinfo *ai)
{
	struct resolve_result *res = &op->res;
	uint32_t ttl = UINT32_MAX;

	for (const struct ares_addrinfo_node *n = ai->nodes; n; n = n->ai_next) {
		struct net_addr *a = &res->addrs[res->n];
		uint32_t t = n->ai_ttl > 0 ? (uint32_t)n->ai_ttl : 1;

		if (res->n == RESOLVE_ADDRS_MAX)
			break;
		if (n->ai_family != AF_INET && n->ai_family != AF_INET6)
			continue;
		memset(a, 0, sizeof(*a));
		memcpy(&a->ss, n->ai_addr, n->ai_addrlen);
		a->len = n->ai_addrlen;
		net_addr_set_port(a, op->port);
		res->n++;
		if (t < ttl)
			ttl = t;
	}
	res->ttl = ttl;
	res->r = res->n ? 0 : -EHOSTUNREACH;
}

static int result_of(int status)
{
	switch (status) {
	case ARES_ETIMEOUT:
	case ARES_ECONNREFUSED: /* no name server answers, which says nothing about the name */
		return -ETIMEDOUT;
	case ARES_ECANCELLED:
	case ARES_EDESTRUCTION:
		return -ECANCELED;
	default:
		return -EHOSTUNREACH;
	}
}

static void answered(void *arg, int status, int timeouts, struct ares_addrinfo *ai)
{
	struct resolve_op *op = arg;

	(void)timeouts;
	op->asked = false;
	if (op->over || op->r->ending) {
		op->over = true;
		op_release(op);
	} else {
		if (status == ARES_SUCCESS && ai)
			take_addrs(op, ai);
		else
			op->res.r = result_of(status);
		loop_defer(op->r->loop, &op->task);
	}
	if (ai)
		ares_freeaddrinfo(ai);
}

/* True: the host is a literal, and the result is filled. */
static bool numeric(struct resolve_op *op, const char *host)
{
	struct net_addr *a = &op->res.addrs[0];
	char text[80];

	if (strlen(host) >= 64)
		return false;
	snprintf(text, sizeof(text), strchr(host, ':') && host[0] != '[' ? "[%s]:%u" : "%s:%u",
	         host, op->port);
	if (host[0] == '*' || host[0] == 'u' || !net_addr_parse(str_of(text), a))
		return false;
	op->res.n = 1;
	op->res.ttl = NUMERIC_TTL;
	return true;
}

struct resolve_op *resolve(struct resolver *r, const char *host, uint16_t port, resolve_fn *fn,
                           void *arg)
{
	static const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC,
	                                                 .ai_socktype = SOCK_STREAM};
	struct resolve_op *op = xcalloc(1, sizeof(*op));

	op->r = r;
	op->fn = fn;
	op->arg = arg;
	op->port = port;
	loop_task_init(&op->task, op_deliver, op);
	loop_timer_init(&op->timeout, op_timeout, op);
	list_add(&r->ops, &op->node);
	if (numeric(op, host)) {
		loop_defer(r->loop, &op->task);
		return op;
	}
	op->asked = true;
	loop_timer_in(r->loop, &op->timeout, RESOLVE_TIMEOUT);
	ares_getaddrinfo(r->channel, host, NULL, &hints, answered, op);
	deadline_update(r);
	return op;
}

void resolve_cancel(struct resolve_op *op)
{
	if (!op)
		return;
	op->over = true;
	loop_timer_clear(&op->timeout);
	op_release(op);
}

/* ---- life ---- */
static void library_init(void)
{
	int r = ares_library_init(ARES_LIB_INIT_ALL);

	if (r != ARES_SUCCESS) {
		log_msg(LOG_L_ERROR, "c-ares: %s", ares_strerror(r));
		abort();
	}
}

struct resolver *resolver_new(struct loop *l)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct resolver *r = xcalloc(1, sizeof(*r));
	struct ares_options opt;
	int status;

	pthread_once(&once, library_init);
	r->loop = l;
	list_init(&r->sockets);
	list_init(&r->ops);
	loop_timer_init(&r->timer, deadline_passed, r);
	memset(&opt, 0, sizeof(opt));
	opt.sock_state_cb = socket_state;
	opt.sock_state_cb_data = r;
	/* Two tries of one second leave time for a second server before an operation's own
	 * deadline. */
	opt.timeout = 1000;
	opt.tries = 2;
	status = ares_init_options(&r->channel, &opt,
	                           ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
	if (status != ARES_SUCCESS) {
		log_msg(LOG_L_ERROR, "c-ares: %s", ares_strerror(status));
		abort();
	}
	return r;
}

int resolver_servers(struct resolver *r, const char *csv)
{
	int status = ares_set_servers_ports_csv(r->channel, csv);

	if (status == ARES_SUCCESS)
		return 0;
	return err_origin(status == ARES_ENOMEM ? -ENOMEM : -EINVAL);
}

void resolver_free(struct resolver *r)
{
	if (!r)
		return;
	r->ending = true;
	/* Calls answered() for what is pending and socket_state() for what is open. */
	ares_destroy(r->channel);
	list_each_safe(it, &r->ops)
	{
		struct resolve_op *op = list_entry(it, struct resolve_op, node);

		op->over = true;
		op_release(op);
	}
	list_each_safe(it, &r->sockets)
	{
		struct resolve_socket *s = list_entry(it, struct resolve_socket, node);

		loop_io_free(s->io);
		free(s);
	}
	loop_timer_drop(r->loop, &r->timer);
	free(r);
}
