/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What the tests of streams share: one worker on the test's own thread, instances of a module that
 * opens what the test has written into `ops`, and a bare descriptor as the peer, driven turn by
 * turn. Messages of the test's protocol are lines; '!' is a byte that no message holds.
 */
#ifndef STACK_STREAMS_TEST_H
#define STACK_STREAMS_TEST_H

#include "net_pump.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/listener.h"
#include "stack/instance.h"
#include "stack/streampriv.h"
#include "stack/streams.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_MAX_T 4096

/* ---- the protocol ---- */
struct lines {
	char buf[LINE_MAX_T];
	size_t n;
};
static _Atomic unsigned live; /* decoders and messages */

static inline void *lines_new(void)
{
	live++;
	return xcalloc(1, sizeof(struct lines));
}

static inline void lines_free(void *dec)
{
	live--;
	free(dec);
}

static inline int32_t lines_decode(void *dec, struct merlon_str bytes, void **msg)
{
	struct lines *l = dec;
	char *end;

	if (l->n + bytes.len > sizeof(l->buf))
		return -1;
	if (bytes.len)
		memcpy(l->buf + l->n, bytes.ptr, bytes.len);
	l->n += bytes.len;
	if (memchr(l->buf, '!', l->n))
		return -1;
	end = memchr(l->buf, '\n', l->n);
	if (!end)
		return 0;
	*end = '\0';
	*msg = xstrdup(l->buf);
	live++;
	l->n -= (size_t)(end + 1 - l->buf);
	memmove(l->buf, end + 1, l->n);
	return 1;
}

static inline void line_free(void *msg)
{
	live--;
	free(msg);
}

static unsigned greeted_calls;
static inline int32_t lines_greeted(uint32_t i, const void *msg)
{
	greeted_calls++;
	return strcmp(msg, i == 0 ? "hello" : "ready") == 0 ? 0 : 1;
}

static inline uint64_t lines_lost(struct merlon_str note, uint64_t count, int64_t time_us,
                                  char *buf, uint64_t cap)
{
	CU_ASSERT(time_us > 0);
	return (uint64_t)snprintf(buf, cap, "%.*s lost %llu\n", (int)note.len, note.ptr,
	                          (unsigned long long)count);
}

/* ---- instances ---- */
static struct merlon_stream_ops ops;
static merlon_stream *opened;
static int32_t open_result;
static struct conf_diag d;

static inline int32_t create(merlon_ctx *ctx, const merlon_cfg *cfg, void **inst)
{
	*inst = NULL;
	opened = NULL;
	open_result = host_stream_open(ctx, cfg, &ops, &opened);
	return open_result ? -1 : 0;
}

static const struct merlon_module module = {
    .size = sizeof(module),
    .major = 1,
    .minor = 1,
    .groups = MERLON_RATELIMIT,
    .codes = MERLON_BIT(MERLON_OK),
    .option_size = sizeof(struct merlon_option),
    .name = "fake",
    .create = create,
};
static struct build build = {.name = "fake", .m = &module, .hash = "build"};
static const struct conf_node at = {.file = "merlon.conf", .line = 12};
static struct conf_line line = {.node = &at};

struct fake_tx {
	struct tx_base base;
};
static struct worker_set {
	struct merlon_worker w;
	struct block_pool blocks;
	struct arena arena;
} W;

static inline void no_resume(merlon_tx *tx, int32_t code)
{
	(void)tx;
	(void)code;
}

static inline merlon_tx *tx_new(void)
{
	struct fake_tx *tx = xcalloc(1, sizeof(*tx));

	tx_base_init(&tx->base, &W.w, &W.arena, no_resume);
	return (merlon_tx *)(void *)tx;
}

static inline void tx_end(merlon_tx *tx)
{
	ledger_tx_cancel(tx, MERLON_CANCEL_CLIENT);
	free(tx);
}

static inline struct merlon_ctx *instance(void)
{
	struct merlon_ctx *ctx;

	line.name = STR("fake");
	line.module = STR("fake");
	ctx = instance_new(&build, &line, STR("s"), G_RATELIMIT, false, &W.arena, &d);
	if (!ctx)
		return NULL;
	CU_ASSERT_EQUAL_FATAL(instance_worker_start(ctx, &W.w), 0);
	return ctx;
}

static inline void instance_end(struct merlon_ctx *ctx)
{
	instance_worker_stop(ctx, &W.w);
	instance_destroy(ctx);
}

/* ---- the peer ---- */
static int listener_fd = -1;
static int peer = -1;
static char endpoint[160];

static inline void nonblocking(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static inline void listen_tcp(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sin);

	listener_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(bind(listener_fd, (struct sockaddr *)&sin, len), 0);
	CU_ASSERT_EQUAL_FATAL(listen(listener_fd, 16), 0);
	getsockname(listener_fd, (struct sockaddr *)&sin, &len);
	nonblocking(listener_fd);
	snprintf(endpoint, sizeof(endpoint), "tcp:127.0.0.1:%u", ntohs(sin.sin_port));
}

/* Turns of the loop until fd can be read; the loop's own timers go on. */
static inline void until_readable(int fd)
{
	for (int i = 0; i < 30000; i++) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		turn();
		if (poll(&p, 1, 1) > 0)
			return;
	}
	fprintf(stderr, "the peer waits in vain\n");
	abort();
}

static inline void until_state(int32_t state)
{
	for (int i = 0; i < 30000; i++) {
		turn();
		if (host_stream_state(opened, &W.w) == state)
			return;
		poll(NULL, 0, 1);
	}
	fprintf(stderr, "the stream does not come to state %d\n", state);
	abort();
}

static inline void peer_accept(void)
{
	until_readable(listener_fd);
	peer = accept(listener_fd, NULL, NULL);
	CU_ASSERT_FATAL(peer >= 0);
	nonblocking(peer);
}

static inline void peer_close(void)
{
	close(peer);
	peer = -1;
}

static inline void peer_say(const char *z)
{
	CU_ASSERT_EQUAL_FATAL(write(peer, z, strlen(z)), (ssize_t)strlen(z));
}

/* What the peer has got once it has n bytes; the text is good until the next call. */
static inline const char *peer_hear(size_t n)
{
	static char buf[1 << 20];
	size_t got = 0;

	while (got < n) {
		ssize_t r;

		until_readable(peer);
		r = read(peer, buf + got, n - got);
		if (r <= 0)
			break;
		got += (size_t)r;
	}
	buf[got] = '\0';
	return buf;
}

#define HEARS(z) CU_ASSERT_STRING_EQUAL(peer_hear(strlen(z)), z)

/* Whether anything has come to the peer, and that is no more than an end. */
static inline bool peer_at_end(void)
{
	char c;

	until_readable(peer);
	return read(peer, &c, 1) <= 0;
}

static inline bool peer_quiet(void)
{
	struct pollfd p = {.fd = peer, .events = POLLIN};

	turn();
	return poll(&p, 1, 0) == 0;
}

/* ---- one test ---- */
static inline struct merlon_str text(const char *z)
{
	return (struct merlon_str){z, z ? strlen(z) : 0};
}

static inline void set_up(void)
{
	memset(&W, 0, sizeof(W));
	hash_init();
	log_set_level(LOG_L_ERROR);
	loop = loop_new();
	W.w.loop = loop;
	block_pool_init(&W.blocks, 16);
	W.w.blocks = &W.blocks;
	W.w.resolver = resolver_new(loop);
	ledger_worker_init(&W.w);
	arena_init(&W.arena, NULL);
	conf_diag_init(&d);
	memset(&ops, 0, sizeof(ops));
	ops.size = sizeof(ops);
	ops.endpoint = text(endpoint);
	greeted_calls = 0;
	live = 0;
}

/* A stream of lines with answers. */
static inline void set_up_calls(void)
{
	listen_tcp();
	set_up();
	ops.decoder_new = lines_new;
	ops.decoder_free = lines_free;
	ops.decode = lines_decode;
	ops.message_free = line_free;
}

static inline void tear_down(void)
{
	streams_worker_finish(&W.w);
	turn();
	CU_ASSERT_EQUAL(live, 0);
	if (peer >= 0)
		peer_close();
	if (listener_fd >= 0)
		close(listener_fd);
	listener_fd = -1;
	resolver_free(W.w.resolver);
	ledger_worker_deinit(&W.w);
	loop_free(loop);
	block_pool_deinit(&W.blocks);
	arena_deinit(&W.arena);
	conf_diag_deinit(&d);
}

#endif
