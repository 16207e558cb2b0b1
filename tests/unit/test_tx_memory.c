/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What connections and open streams hold, by the allocator's own count: a gateway of streams is as
 * large as one of them times their number. A block of 16 KiB that one of them kept would show.
 */
#include "tx_frame.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/* Not every compiler that has it has its header. */
size_t __sanitizer_get_current_allocated_bytes(void);
#define SLACK(n) ((n) / 2) /* red zones, and larger steps of size */
static size_t heap(void)
{
	return __sanitizer_get_current_allocated_bytes();
}
#else
#include <malloc.h>
#define SLACK(n) 0
static size_t heap(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}
#endif

#define STREAMS 100
#define CHAT                                                                                       \
	"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"      \
	"Content-Length: 27\r\n\r\n{\"model\":\"m\",\"stream\":true}"
#define STREAM_HEAD                                                                                \
	"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"        \
	"Transfer-Encoding: chunked\r\n\r\n"
#define EVENT "data: {\"choices\":[{\"delta\":{\"content\":\"one\"}}]}\n\n"

/* What a usual stack costs: lines in each group, attributes, decisions, a digest of both bodies. */
#define AUTH LINE("a", "required", "", "attrs = ( { key = \"id.sub\"; value = \"somebody\"; } );")
#define AUTHZ LINE("b", "required", "", "")
#define RATELIMIT LINE("c", "required", "", "")
#define AUDIT_DIGEST LINE("z", "required", "", "digest = true;")
static const char full_stack[] = "auth = ( " AUTH " ); authz = ( " AUTHZ " );"
				 " ratelimit = ( " RATELIMIT " ); audit = ( " AUDIT_DIGEST " );";

static int clients[STREAMS + 1];
static int models[STREAMS + 1];

static void open_one(int i)
{
	client_open("192.0.2.7", false);
	clients[i] = client;
	client = -1;
}

static void expect(int fd, const char *part)
{
	char text[4096];
	size_t n = 0;

	for (unsigned i = 0; i < TRIES; i++) {
		ssize_t r = recv(fd, text + n, sizeof(text) - 1 - n, MSG_DONTWAIT);

		n += r > 0 ? (size_t)r : 0;
		text[n] = '\0';
		if (strstr(text, part))
			return;
		turn();
	}
	fprintf(stderr, "waited in vain for %s, have: %s\n", part, text);
	abort();
}

static void say(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
		abort();
	turn();
}

static void event_passes(int i)
{
	char chunk[256];

	snprintf(chunk, sizeof(chunk), "%zx\r\n%s\r\n", strlen(EVENT), EVENT);
	say(models[i], chunk);
	expect(clients[i], EVENT);
}

static void stream_begins(int i)
{
	open_one(i);
	say(clients[i], CHAT);
	upstream_fd = -1;
	upstream_accept();
	models[i] = upstream_fd;
	upstream_fd = -1;
	expect(models[i], "\"stream\":true}");
	say(models[i], STREAM_HEAD);
	event_passes(i);
}

static void all_close(void)
{
	for (int i = 0; i <= STREAMS; i++) {
		shut(&clients[i]);
		shut(&models[i]);
		turn();
	}
}

static bool within(const char *what, size_t before, size_t most)
{
	size_t each = (heap() - before) / STREAMS;

	if (each > most + SLACK(most))
		fprintf(stderr, "\n%s: %zu bytes, may be %zu\n", what, each, most + SLACK(most));
	return heap() > before && each <= most + SLACK(most);
}

static void streams_hold(const char *stack, const char *what, size_t most)
{
	size_t before;

	frame_begin(stack, NULL, NULL, NULL);
	memset(clients, -1, sizeof(clients));
	memset(models, -1, sizeof(models));
	/* The first one fills the pools, which belong to the worker. */
	stream_begins(STREAMS);
	before = heap();
	for (int i = 0; i < STREAMS; i++)
		stream_begins(i);
	CU_ASSERT(within(what, before, most));
	for (int k = 0; k < 20; k++)
		for (int i = 0; i < STREAMS; i++)
			event_passes(i);
	/* However many events have passed. */
	CU_ASSERT(within(what, before, most));
	all_close();
	frame_end();
}

static void an_open_stream_of_a_plain_proxy(void)
{
	streams_hold(OPEN_STACK, "stream of a plain proxy", 6656);
}

static void an_open_stream_of_a_full_stack(void)
{
	streams_hold(full_stack, "stream of a full stack", 8192);
}

static void an_idle_connection(void)
{
	size_t before;

	frame_begin(OPEN_STACK, NULL, NULL, NULL);
	memset(clients, -1, sizeof(clients));
	memset(models, -1, sizeof(models));
	stream_begins(STREAMS);
	before = heap();
	for (int i = 0; i < STREAMS; i++)
		open_one(i);
	CU_ASSERT(within("idle connection", before, 1024));
	for (int i = 0; i < STREAMS; i++) {
		say(clients[i], "GET / HTTP/1.0\r\nConnection: keep-alive\r\nX: \r\n");
		say(clients[i], "Y: ");
	}
	/* A head that comes slowly costs more, and still no page for each of its bytes. */
	CU_ASSERT(within("connection with half a head", before, 24576));
	all_close();
	frame_end();
}

UNIT_MAIN("memory of connections and streams", UNIT(an_open_stream_of_a_plain_proxy),
          UNIT(an_open_stream_of_a_full_stack), UNIT(an_idle_connection))
