/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Servers: choice, marks, deadlines, names, and what outlives a generation. Time stands still and
 * is moved by the tests.
 */
#include "upstream_fake.h"

static struct client a, b;

#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* A port that nobody listens on, and that nobody else gets meanwhile. */
static void closed_port(unsigned i)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	if (getsockname(listeners[i], (struct sockaddr *)&sa, &len))
		abort();
	close(listeners[i]);
	listeners[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Where connections linger there, they hold it. */
	if (bind(listeners[i], (struct sockaddr *)&sa, len) && errno != EADDRINUSE)
		abort();
}

static void finish(struct client *c, int fd)
{
	CU_ASSERT(fake_request(fd));
	fake_send(fd, OK_ANSWER);
	until(&c->over);
	CU_ASSERT(c->ended);
	client_free(c);
}

static void least_in_flight(void)
{
	fake_conf(2);
	fake_start();
	for (unsigned i = 0; i < 10; i++) {
		unsigned first = 9, second = 9;
		int fd[2];

		client_begin(&a);
		turn();
		client_begin(&b);
		pools_close_idle(&pools);
		fd[0] = fake_accept_any(&first);
		fd[1] = fake_accept_any(&second);
		CU_ASSERT_NOT_EQUAL(first, second);
		CU_ASSERT_EQUAL(inflight(), 2);
		exchange_abort(a.ex);
		exchange_abort(b.ex);
		a.ex = b.ex = NULL;
		client_free(&a);
		client_free(&b);
		close(fd[0]);
		close(fd[1]);
	}
	CU_ASSERT_EQUAL(inflight(), 0);
	fake_stop();
}

static void refused_goes_to_the_next(void)
{
	fake_conf(3);
	closed_port(0);
	closed_port(2);
	fake_start();
	for (unsigned i = 0; i < 8; i++) {
		unsigned server = 9;
		int fd;

		client_begin(&a);
		fd = fake_accept_any(&server);
		CU_ASSERT_EQUAL(server, 1);
		finish(&a, fd);
		pools_close_idle(&pools);
		close(fd);
	}
	fake_stop();
}

static void down_after_three_faults(void)
{
	int fd;

	fake_conf(1);
	closed_port(0);
	fake_start();
	fake_time(0);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT(upstream_usable(up));
		client_begin(&a);
		until(&a.over);
		CU_ASSERT_EQUAL(a.fault, EX_CONNECT);
		client_free(&a);
	}
	CU_ASSERT_FALSE(upstream_usable(up));
	client_begin(&a);
	CU_ASSERT_FALSE(a.over);
	until(&a.over);
	CU_ASSERT_EQUAL(a.fault, EX_DOWN);
	client_free(&a);
	/* tried again after 1 s, then after 2 s */
	fake_time(NS_PER_S);
	CU_ASSERT(upstream_usable(up));
	client_begin(&a);
	until(&a.over);
	CU_ASSERT_EQUAL(a.fault, EX_CONNECT);
	client_free(&a);
	fake_time(NS_PER_S);
	CU_ASSERT_FALSE(upstream_usable(up));
	fake_time(NS_PER_S);
	CU_ASSERT(upstream_usable(up));
	/* it is back: one answer, and all is forgotten */
	CU_ASSERT_FATAL(listen(listeners[0], 4) == 0);
	fd = fake_serve(0, -1);
	close(fd);
	turn();
	closed_port(0);
	client_begin(&a);
	until(&a.over);
	client_free(&a);
	CU_ASSERT(upstream_usable(up));
	fake_stop();
}

/* An exchange that is aborted before its fault was told hears nothing. */
static void abort_before_the_fault(void)
{
	fake_conf(1);
	conf_up.nservers = 0;
	fake_start();
	client_begin(&a);
	exchange_abort(a.ex);
	a.ex = NULL;
	turn();
	CU_ASSERT_FALSE(a.over);
	client_free(&a);
	client_open(&a, false);
	until(&a.over);
	CU_ASSERT_EQUAL(a.fault, EX_DOWN);
	client_free(&a);
	conf_up.nservers = 1;
	fake_stop();
}

static void first_byte_deadline(void)
{
	int fd;

	fake_conf(1);
	conf_up.first_byte_timeout = 2 * NS_PER_S;
	fake_start();
	fake_time(0);
	client_begin(&a);
	fd = fake_accept(0);
	CU_ASSERT(fake_request(fd));
	fake_send(fd, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200");
	fake_time(NS_PER_S);
	CU_ASSERT_FALSE(a.over);
	fake_time(NS_PER_S);
	CU_ASSERT(a.over);
	CU_ASSERT_EQUAL(a.fault, EX_TIMEOUT);
	CU_ASSERT(fake_closed(fd));
	client_free(&a);
	close(fd);
	fake_stop();
}

static void idle_deadline(void)
{
	int fd;

	fake_conf(1);
	conf_up.idle_timeout = 2 * NS_PER_S;
	conf_up.first_byte_timeout = NS_PER_S;
	fake_start();
	fake_time(0);
	client_begin(&a);
	fd = fake_accept(0);
	CU_ASSERT(fake_request(fd));
	fake_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
	while (!a.head)
		turn();
	for (unsigned i = 0; i < 3; i++) {
		size_t before = a.n;

		fake_time(3 * NS_PER_S / 2);
		CU_ASSERT_FALSE(a.over);
		fake_send(fd, "x");
		while (a.n == before)
			turn();
	}
	fake_time(2 * NS_PER_S);
	CU_ASSERT_EQUAL(a.fault, EX_TIMEOUT);
	CU_ASSERT(client_body_is(&a, "xxx"));
	CU_ASSERT(fake_closed(fd));
	client_free(&a);
	close(fd);
	fake_stop();
}

/* A backlog that is full leaves the connection in the middle of its handshake. */
static void connect_deadline(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	uint16_t port;
	int fill[4];

	fake_conf(1);
	close(listeners[0]);
	listeners[0] = fake_listen(0, &port);
	snprintf(conf_text[0], sizeof(conf_text[0]), "127.0.0.1:%u", port);
	conf_servers[0] = str_of(conf_text[0]);
	conf_up.connect_timeout = NS_PER_S;
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sa.sin_port = htons(port);
	for (unsigned i = 0; i < 4; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(fill[i], (struct sockaddr *)&sa, sizeof(sa));
	}
	fake_start();
	fake_time(0);
	client_begin(&a);
	turn();
	CU_ASSERT_FALSE(a.over);
	fake_time(NS_PER_S);
	CU_ASSERT_EQUAL(a.fault, EX_TIMEOUT);
	client_free(&a);
	for (unsigned i = 0; i < 4; i++)
		close(fill[i]);
	fake_stop();
}

static void idle_connections_expire(void)
{
	int fd;

	fake_conf(1);
	fake_start();
	fake_time(0);
	fd = fake_serve(0, -1);
	fake_time(3 * NS_PER_S);
	fake_serve(0, fd);
	fake_time(3 * NS_PER_S);
	CU_ASSERT_EQUAL(idle_conns(), 1);
	fake_time(NS_PER_S);
	CU_ASSERT_EQUAL(idle_conns(), 0);
	CU_ASSERT(fake_closed(fd));
	close(fd);
	fake_stop();
}

static void no_keep_alive_at_all(void)
{
	int fd;

	fake_conf(1);
	conf_up.keep_alive = 0;
	fake_start();
	fd = fake_serve(0, -1);
	CU_ASSERT_EQUAL(idle_conns(), 0);
	CU_ASSERT(fake_closed(fd));
	close(fd);
	fake_stop();
}

static void connections_outlive_a_generation(void)
{
	struct upstream *next;
	struct conf none = {.nupstreams = 0};
	int fd;

	fake_conf(2);
	conf_up.nservers = 1;
	fake_start();
	fd = fake_serve(0, -1);
	next = upstreams_new(&pools, &conf, NULL);
	up = upstreams_free(up, 1);
	up = next;
	CU_ASSERT_EQUAL(idle_conns(), 1);
	fake_serve(0, fd);
	CU_ASSERT(fake_none(0));
	/* The server is no longer named: its exchange ends well, its connection is not kept. */
	client_begin(&a);
	CU_ASSERT(fake_request(fd));
	next = upstreams_new(&pools, &none, NULL);
	fake_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
	while (!a.head)
		turn();
	fake_send(fd, "k");
	until(&a.over);
	up = upstreams_free(up, 1);
	CU_ASSERT(a.ended);
	client_free(&a);
	CU_ASSERT_EQUAL(idle_conns(), 0);
	CU_ASSERT(fake_closed(fd));
	upstreams_free(next, 0);
	close(fd);
	fake_stop();
}

static void names_are_resolved(void)
{
	static char name[32];
	int fd;

	fake_conf(1);
	snprintf(name, sizeof(name), "localhost%s", strchr(conf_text[0], ':'));
	conf_servers[0] = str_of(name);
	fake_start();
	fd = fake_serve(0, -1);
	CU_ASSERT_EQUAL(idle_conns(), 1);
	close(fd);
	fake_stop();
}

static void waiting_for_a_name(void)
{
	uint16_t port;
	int nobody = fake_listen(1, &port);
	char servers[32];

	/* TCP listens there, so that no other program's UDP socket is asked for long. */
	snprintf(servers, sizeof(servers), "127.0.0.1:%u", port);
	fake_conf(1);
	conf_servers[0] = STR("model.invalid:80");
	fake_start();
	CU_ASSERT_FATAL(resolver_servers(resolver, servers) == 0);
	client_begin(&a);
	client_begin(&b);
	exchange_abort(a.ex);
	a.ex = NULL;
	until(&b.over);
	CU_ASSERT_EQUAL(b.fault, EX_RESOLVE);
	CU_ASSERT_FALSE(a.over);
	client_free(&a);
	client_free(&b);
	/* one that still waits when everything ends */
	client_begin(&a);
	client_free(&a);
	close(nobody);
	fake_stop();
}

static void active_checks(void)
{
	int fd;

	fake_conf(1);
	conf_up.health_path = STR("/health");
	fake_start();
	fake_time(NS_PER_S / 1000);
	fd = fake_accept(0);
	CU_ASSERT(fake_request(fd));
	CU_ASSERT(upstream_usable(up));
	fake_send(fd, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
	while (upstream_usable(up))
		turn();
	client_begin(&a);
	until(&a.over);
	CU_ASSERT_EQUAL(a.fault, EX_DOWN);
	client_free(&a);
	close(fd);
	turn();
	/* a check reaches a server that is down; a body that does not end is not waited for */
	fake_time(5 * NS_PER_S);
	fd = fake_accept(0);
	CU_ASSERT(fake_request(fd));
	fake_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n");
	while (!upstream_usable(up))
		turn();
	CU_ASSERT(fake_closed(fd));
	close(fd);
	/* no answer within the interval */
	fake_time(5 * NS_PER_S);
	fd = fake_accept(0);
	CU_ASSERT(fake_request(fd));
	fake_time(5 * NS_PER_S);
	while (upstream_usable(up))
		turn();
	close(fd);
	/* and one under way when the generation ends */
	fake_time(5 * NS_PER_S);
	fake_stop();
}

UNIT_MAIN("upstream pool", UNIT(least_in_flight), UNIT(refused_goes_to_the_next),
          UNIT(down_after_three_faults), UNIT(abort_before_the_fault), UNIT(first_byte_deadline),
          UNIT(idle_deadline), UNIT(connect_deadline), UNIT(idle_connections_expire),
          UNIT(no_keep_alive_at_all), UNIT(connections_outlive_a_generation),
          UNIT(names_are_resolved), UNIT(waiting_for_a_name), UNIT(active_checks))
