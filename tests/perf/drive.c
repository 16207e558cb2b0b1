/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Both ends of the gateway in one process, so that what it does can be counted: the clients send
 * one request on each connection, the model answers only when all of them have come, and the next
 * round begins when every client has its answer. However busy the machine is, the gateway finds the
 * same bytes in the same order in nearly the same batches. Commands come on stdin, one a line, and
 * each is answered by "ok" or by what went wrong:
 *
 *     open PORT N    N connections to the gateway
 *     run ROUNDS     requests, ROUNDS on each connection
 *     stream TIMES   streamed answers of 64 chunks, one after the other on the first connection
 *     mark NAME      a request of its own for /NAME, to be found again in a trace
 *     close          all connections to the gateway
 *
 * The first line on stdout has the model's port and one that is free.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256
#define CHUNKS 64
#define WAIT_MS 60000
#define IN_MAX 16384

struct peer {
	int fd;
	size_t n;
	char in[IN_MAX];
};

static struct peer clients[CONNECTIONS_MAX];
static unsigned nclients;
static struct peer servers[CONNECTIONS_MAX]; /* connections that the gateway has opened to us */
static unsigned nservers;
static int listening;
static unsigned gateway_port;

static void fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
static void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("drive: ", stdout);
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
	exit(1);
}

/* ---- sockets ---- */
static struct sockaddr_in local(unsigned port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

static unsigned port_of(int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	if (getsockname(fd, (struct sockaddr *)&a, &len))
		fail("getsockname: %s", strerror(errno));
	return ntohs(a.sin_port);
}

static int listen_any(void)
{
	struct sockaddr_in a = local(0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, CONNECTIONS_MAX))
		fail("cannot listen: %s", strerror(errno));
	return fd;
}

static void ready(int fd)
{
	int one = 1;
	struct timeval wait = {WAIT_MS / 1000, 0};

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
}

static int dial(unsigned port)
{
	struct sockaddr_in a = local(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		fail("cannot connect to port %u: %s", port, strerror(errno));
	ready(fd);
	return fd;
}

static void put(int fd, const char *p, size_t n)
{
	if (send(fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
		fail("send: %s", strerror(errno));
}

/* More of what a peer says; false: it has closed. */
static bool more(struct peer *p)
{
	ssize_t n = recv(p->fd, p->in + p->n, IN_MAX - 1 - p->n, 0);

	if (n < 0)
		fail("recv: %s", strerror(errno));
	p->n += (size_t)n;
	p->in[p->n] = '\0';
	return n > 0;
}

/* ---- messages ---- */
static const char body[] =
    "{\"model\":\"demo\",\"temperature\":0.7,\"max_tokens\":128,\"messages\":[{\"role\":\"system\","
    "\"content\":\"You are a careful assistant of a hospital's archive. Answer in one short "
    "sentence.\"},{\"role\":\"user\",\"content\":\"In which year did the institute publish its "
    "first report on the treatment of hereditary cardiac arrhythmia in children?\"}],\"stream\":"
    "false,\"user\":\"ward-17\"}";

static const char answer_body[] =
    "{\"id\":\"chatcmpl-7QyqpwdfhqwajicIEznoc6Q47XAyW\",\"object\":\"chat.completion\",\"created\":"
    "1760000000,\"model\":\"demo\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
    "\"content\":\"The institute published its first report on the treatment of hereditary cardiac "
    "arrhythmia in children in the spring of 1987, two years after the ward had been opened; a "
    "second edition followed.\"},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{"
    "\"prompt_tokens\":57,\"completion_tokens\":42,\"total_tokens\":99,\"prompt_tokens_details\":{"
    "\"cached_tokens\":0}},\"system_fingerprint\":\"fp_44709d6fcb\"}";

static const char chunk_body[] =
    "data: {\"id\":\"chatcmpl-7Qyqp\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":"
    "0,\"delta\":{\"content\":\" word\"}}]}\n\n";

static void ask(unsigned i)
{
	char text[2048];
	int n =
	    snprintf(text, sizeof(text),
	             "POST /v1/chat/completions HTTP/1.1\r\nHost: models.example:8080\r\n"
	             "User-Agent: openai-python/1.40.0\r\nAccept: application/json\r\n"
	             "Authorization: Bearer perf-key-%032u\r\nContent-Type: application/json\r\n"
	             "Content-Length: %zu\r\n\r\n%s",
	             i * 7, sizeof(body) - 1, body);

	put(clients[i].fd, text, (size_t)n);
}

static void answer(int fd)
{
	char text[2048];
	int n =
	    snprintf(text, sizeof(text),
	             "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\nServer: model\r\n"
	             "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
	             sizeof(answer_body) - 1, answer_body);

	put(fd, text, (size_t)n);
}

/* How long the message at the beginning is, or 0 while it is not whole. */
static size_t message_length(const struct peer *p)
{
	const char *end = strstr(p->in, "\r\n\r\n");
	const char *field = strcasestr(p->in, "\r\nContent-Length:");
	size_t n;

	if (!end)
		return 0;
	n = (size_t)(end - p->in) + 4;
	if (field && field < end)
		n += strtoul(field + strlen("\r\nContent-Length:"), NULL, 10);
	return n <= p->n ? n : 0;
}

static bool take(struct peer *p)
{
	size_t n = message_length(p);

	if (n == 0)
		return false;
	memmove(p->in, p->in + n, p->n - n + 1);
	p->n -= n;
	return true;
}

static void read_answer(struct peer *p, const char *status)
{
	bool right;

	while (message_length(p) == 0)
		if (!more(p))
			fail("the gateway has closed a connection");
	right = strncmp(p->in, "HTTP/1.1 ", 9) == 0 && strncmp(p->in + 9, status, 3) == 0;
	if (!right)
		fail("wanted %s, not %.*s", status, 300, p->in);
	take(p);
}

/* ---- the model ---- */
static void server_accept(void)
{
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0 || nservers == CONNECTIONS_MAX)
		fail("accept: %s", strerror(errno));
	ready(fd);
	servers[nservers].fd = fd;
	servers[nservers++].n = 0;
}

static void server_drop(unsigned i)
{
	close(servers[i].fd);
	servers[i] = servers[--nservers];
}

/* Waits until n requests have come whole; notes on which connections. */
static void collect(unsigned n, int fds[])
{
	struct pollfd p[CONNECTIONS_MAX + 1];
	unsigned have = 0;

	while (have < n) {
		unsigned polled = nservers;

		p[0] = (struct pollfd){listening, POLLIN, 0};
		for (unsigned i = 0; i < polled; i++)
			p[i + 1] = (struct pollfd){servers[i].fd, POLLIN, 0};
		if (poll(p, polled + 1, WAIT_MS) <= 0)
			fail("%u of %u requests have come to the model", have, n);
		for (unsigned i = polled; i > 0; i--) {
			if (!p[i].revents)
				continue;
			if (!more(&servers[i - 1]))
				server_drop(i - 1);
			else if (take(&servers[i - 1]))
				fds[have++] = servers[i - 1].fd;
		}
		if (p[0].revents)
			server_accept();
	}
}

/* ---- commands ---- */
static void close_all(void)
{
	while (nclients > 0)
		close(clients[--nclients].fd);
}

static void open_all(unsigned port, unsigned n)
{
	if (n > CONNECTIONS_MAX)
		fail("at most %d connections", CONNECTIONS_MAX);
	close_all();
	gateway_port = port;
	for (; nclients < n; nclients++) {
		clients[nclients].fd = dial(port);
		clients[nclients].n = 0;
	}
}

static void run(unsigned rounds)
{
	int fds[CONNECTIONS_MAX];

	while (rounds-- > 0) {
		for (unsigned i = 0; i < nclients; i++)
			ask(i);
		collect(nclients, fds);
		for (unsigned i = 0; i < nclients; i++)
			answer(fds[i]);
		for (unsigned i = 0; i < nclients; i++)
			read_answer(&clients[i], "200");
	}
}

/* Reads until `end` has come; what was before it is of no use any more. */
static void read_until(struct peer *p, const char *end)
{
	const char *at;

	while (!(at = strstr(p->in, end)))
		if (!more(p))
			fail("the gateway has closed a stream");
	at += strlen(end);
	p->n -= (size_t)(at - p->in);
	memmove(p->in, at, p->n + 1);
}

static void stream(unsigned times)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
				   "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
	struct peer *p = &clients[0];
	char chunk[512];
	int n = snprintf(chunk, sizeof(chunk), "%zx\r\n%s\r\n", sizeof(chunk_body) - 1, chunk_body);
	int fd;

	while (times-- > 0) {
		ask(0);
		collect(1, &fd);
		put(fd, head, sizeof(head) - 1);
		read_until(p, "\r\n\r\n");
		for (unsigned i = 0; i < CHUNKS; i++) {
			put(fd, chunk, (size_t)n);
			read_until(p, "\n\n");
		}
		put(fd, "0\r\n\r\n", 5);
		read_until(p, "0\r\n\r\n");
	}
}

static void mark(const char *name)
{
	static struct peer p;
	char text[256];
	int n =
	    snprintf(text, sizeof(text), "GET /%s HTTP/1.1\r\nHost: models.example\r\n\r\n", name);

	p.fd = dial(gateway_port);
	p.n = 0;
	put(p.fd, text, (size_t)n);
	read_answer(&p, "404");
	close(p.fd);
}

static void obey(const char *line)
{
	unsigned a = 0;
	unsigned b = 0;
	char name[64];

	if (sscanf(line, "open %u %u", &a, &b) == 2)
		open_all(a, b);
	else if (sscanf(line, "run %u", &a) == 1)
		run(a);
	else if (sscanf(line, "stream %u", &a) == 1)
		stream(a);
	else if (sscanf(line, "mark %63s", name) == 1)
		mark(name);
	else if (strcmp(line, "close\n") == 0)
		close_all();
	else
		fail("no command: %s", line);
	puts("ok");
}

int main(void)
{
	char line[256];
	int spare = listen_any();

	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	listening = listen_any();
	printf("%u %u\n", port_of(listening), port_of(spare));
	close(spare);
	while (fgets(line, sizeof(line), stdin))
		obey(line);
	return 0;
}
