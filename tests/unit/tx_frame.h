/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A whole transaction in one process: a worker with a generation from a text, a client on a socket
 * pair, a model server on 127.0.0.1 that the test plays itself, and a note of what the tx ended
 * with. The modules are the real test_return and test_helper.
 */
#ifndef TX_FRAME_H
#define TX_FRAME_H

#include "unit.h"

#include "net_pump.h"

#include "conf/load.h"
#include "tx/conn.h"
#include "tx/handle.h"
#include "tx/record.h"
#include "tx/tx.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define TRIES 20000
#define TEXT_MAX (512 * 1024)

static struct worker w;
static struct memory_budget budget;
static atomic_uint connections;
static struct generation *gen;
static int server = -1;      /* listens */
static int client = -1;      /* the test's end of the pair */
static int upstream_fd = -1; /* accepted from `server` */
static char got[TEXT_MAX];   /* what was read last */
static size_t got_n;
static int frame_line; /* of the test, for who waits in vain */

static struct note {
	unsigned ended;
	unsigned status;
	uint32_t end;
	char reason[256];
	char source[64];
	char request_id[160];
	char method[32];
	char decisions[512]; /* "group/line=CODE[*] ..." */
	char hash[2][96];
	uint64_t received, sent;
	unsigned refused; /* of an explained one */
} note;

/* ---- the tx's end ---- */
static inline void put(char *to, size_t n, struct str s)
{
	snprintf(to, n, "%.*s", s.p ? (int)s.n : 4, s.p ? s.p : "null");
}

/* One of the record's fields, read at once, is what it is by itself; and plain if that is said. */
static inline void fact_agrees(merlon_tx *tx, uint32_t i, const struct merlon_fact *f)
{
	struct merlon_val v = {.type = MERLON_VAL_NONE};
	int32_t r = host_record_get(tx->line->ctx, tx, i, &v);

	CU_ASSERT_EQUAL(r, f->type == MERLON_VAL_NONE ? MERLON_E_NOENT : 0);
	CU_ASSERT_EQUAL(v.type, f->type);
	if (f->type == MERLON_VAL_STR) {
		CU_ASSERT_TRUE(str_eq(from_merlon(v.u.str), from_merlon(f->u.str)));
		for (uint64_t k = 0; f->flags & MERLON_FACT_PLAIN && k < f->u.str.len; k++) {
			char c = f->u.str.ptr[k];
			CU_ASSERT_TRUE(c >= 0x20 && c < 0x7f && c != '"' && c != '\\');
		}
	} else if (f->type != MERLON_VAL_NONE) {
		CU_ASSERT_EQUAL(memcmp(&v.u.i64, &f->u.i64, sizeof(v.u.i64)), 0);
	}
}

static inline void facts_agree(merlon_tx *tx)
{
	enum { ROOM = MERLON_REC_COUNT + 3 };
	static const uint32_t counts[] = {0, 1, MERLON_REC_PATH, MERLON_REC_COUNT, ROOM};

	for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
		struct merlon_fact facts[ROOM + 1], untouched;
		uint64_t text = 0;

		memset(facts, 0xa5, sizeof(facts));
		untouched = facts[ROOM];
		uint64_t told = host_record_read(tx->line->ctx, tx, facts, counts[k]);
		for (uint32_t i = 0; i < counts[k]; i++) {
			fact_agrees(tx, i, &facts[i]);
			text += facts[i].type == MERLON_VAL_STR ? facts[i].u.str.len : 0;
		}
		CU_ASSERT_EQUAL(told, text);
		CU_ASSERT_EQUAL(memcmp(&facts[counts[k]], &untouched, sizeof(untouched)), 0);
	}
}

/* A module of 1.0 has no room for what was added since, and is not told of any. */
static inline void short_decision_stays_short(merlon_tx *tx)
{
	struct {
		struct merlon_decision d;
		char guard[64];
	} less, more;

	memset(&less, 0x5a, sizeof(less));
	more = less;
	less.d.size = offsetof(struct merlon_decision, policy);
	more.d.size = sizeof(more);
	if (host_record_decision(tx, 0, &less.d) || host_record_decision(tx, 0, &more.d))
		return;
	CU_ASSERT_EQUAL(less.d.size, offsetof(struct merlon_decision, policy));
	CU_ASSERT_EQUAL(more.d.size, sizeof(more.d));
	CU_ASSERT_TRUE(str_eq(from_merlon(less.d.code), from_merlon(more.d.code)));
	CU_ASSERT_EQUAL(*((const char *)&less.d + less.d.size), 0x5a);
	CU_ASSERT_EQUAL(more.guard[0], 0x5a);
}

static inline void tx_note(merlon_tx *tx)
{
	struct merlon_decision d = {.size = sizeof(d)};
	size_t at = 0;

	unsigned before = note.ended;
	memset(&note, 0, sizeof(note));
	note.ended = before + 1;
	note.status = tx->status;
	note.end = tx->end;
	note.received = tx->received;
	note.sent = tx->sent;
	note.refused = tx->refusal.status;
	put(note.reason, sizeof(note.reason), tx->reason);
	put(note.source, sizeof(note.source), tx->source);
	put(note.request_id, sizeof(note.request_id), tx->request_id);
	put(note.method, sizeof(note.method), tx->head.method_text);
	for (int dir = 0; dir < 2; dir++)
		put(note.hash[dir], sizeof(note.hash[dir]), tx->digest_text[dir][0]);
	for (uint32_t i = 0; host_record_decision(tx, i, &d) == 0; i++)
		at += (size_t)snprintf(note.decisions + at, sizeof(note.decisions) - at,
		                       "%s%.*s/%.*s=%.*s%s", i ? " " : "", (int)d.group.len,
		                       d.group.ptr, (int)d.line.len, d.line.ptr, (int)d.code.len,
		                       d.code.ptr, d.shadow ? "*" : "");
	facts_agree(tx);
	short_decision_stays_short(tx);
	loop_stop(loop);
}

/* Every hook of test_return asks for a field; that of the audit line "z" when all is known. */
static struct merlon_host table;
static inline int32_t frame_header_get(merlon_tx *tx, int32_t dir, struct merlon_str name,
                                       uint32_t index, struct merlon_str *out)
{
	if (tx_in(tx, S_AUDIT))
		tx_note(tx);
	return host_table.header_get(tx, dir, name, index, out);
}

/* ---- the worker ---- */
static inline void never(struct generation *g)
{
	(void)g;
}

static inline uint16_t listen_here(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t len = sizeof(sa);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server < 0 || bind(server, (struct sockaddr *)&sa, len) || listen(server, 16) ||
	    getsockname(server, (struct sockaddr *)&sa, &len))
		abort();
	return ntohs(sa.sin_port);
}

#define ROUTES                                                                                     \
	"routes = ( { name = \"chat\"; path = \"/v1/\"; api = \"openai\"; stack = \"main\"; "      \
	"upstream = \"up\"; }, { name = \"any\"; path = \"/\"; api = \"rest\"; stack = \"main\"; " \
	"upstream = \"up\"; rules = ( { path = \"*\"; action = \"predict\"; } ); } );\n"

/* stack: the lines of stack "main"; upstream: further keys of the upstream; top: further settings;
 * routes: NULL for the usual ones. */
static inline void frame_begin(const char *stack, const char *upstream, const char *top,
                               const char *routes)
{
	struct conf_diag d;
	const char *module = NULL;

	memset(&note, 0, sizeof(note));
	table = host_table;
	table.header_get = frame_header_get;
	budget.limit = (uint64_t)64 * 1024 * 1024;
	worker_init(&w, 0, NULL, &budget, &connections);
	loop = w.base.loop;
	char *text = xasprintf(
	    "workers = 1; listeners = ( { name = \"m\"; address = \"127.0.0.1:8080\"; } );\n"
	    "upstreams = ( { name = \"up\"; servers = ( \"127.0.0.1:%u\" ); %s } );\n"
	    "%sstacks = ( { name = \"main\"; %s } ); %s\n",
	    listen_here(), upstream ? upstream : "", routes ? routes : ROUTES, stack,
	    top ? top : "");
	conf_diag_init(&d);
	struct conf *c = conf_load_text(str_of(text), "/etc/t.conf", TEST_MODULES, &d);
	struct stacks *s = c ? stacks_new(c, &table, false, &d) : NULL;
	if (!s) {
		fprintf(stderr, "%.*s\n", (int)d.text.n, d.text.p);
		abort();
	}
	conf_diag_deinit(&d);
	free(text);
	gen = gen_new(1, c, s, 1, never);
	if (gen_attach(gen, &w, &module))
		abort();
	gen_switch(gen, &w);
}

static inline void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline void frame_end(void)
{
	worker_abort(&w);
	turn();
	struct gen_worker *gw = w.current;
	w.current = NULL;
	gen_unref(gw);
	gen_free(gen);
	shut(&client);
	shut(&upstream_fd);
	shut(&server);
	worker_deinit(&w);
	CU_ASSERT_EQUAL(atomic_load(&connections), 0);
	CU_ASSERT_EQUAL(atomic_load(&budget.used), 0);
}

/* ---- the client ---- */
static inline void client_open(const char *peer, bool half_close)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	struct sockaddr_in6 sa6 = {.sin6_family = AF_INET6};
	bool v6 = inet_pton(AF_INET6, peer, &sa6.sin6_addr) == 1;
	int fds[2];

	shut(&client);
	turn();
	inet_pton(AF_INET, peer, &sa.sin_addr);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		abort();
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	client = fds[0];
	conn_accept(&w, fds[1], v6 ? (struct sockaddr *)&sa6 : (struct sockaddr *)&sa,
	            v6 ? sizeof(sa6) : sizeof(sa), half_close);
}

static inline void client_sendn(const char *p, size_t n)
{
	while (n > 0) {
		ssize_t r = send(client, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (r < 0 && errno != EAGAIN)
			return; /* the gateway has closed: the test looks at what it said */
		p += r > 0 ? r : 0;
		n -= r > 0 ? (size_t)r : 0;
		turn();
	}
}

static inline void client_send(const char *text)
{
	client_sendn(text, strlen(text));
}

/* In two pieces, so that every head is looked at more than once. */
static inline void request(const char *text)
{
	client_sendn(text, 1);
	client_send(text + 1);
}

/* Whether a message stands whole in `got`. */
static inline bool whole(void)
{
	const char *end = strstr(got, "\r\n\r\n");
	const char *cl = strstr(got, "Content-Length: ");

	if (!end)
		return false;
	if (strstr(got, "Transfer-Encoding: chunked"))
		return got_n >= 5 && memcmp(got + got_n - 5, "0\r\n\r\n", 5) == 0;
	return got_n >= (size_t)(end + 4 - got) + (cl && cl < end ? strtoul(cl + 16, NULL, 10) : 0);
}

/* Reads from fd until a message is whole, or to its end. False: it ended first. */
static inline bool read_from(int fd, bool to_end)
{
	got_n = 0;
	got[0] = 0;
	for (unsigned i = 0; i < TRIES && got_n < TEXT_MAX - 1; i++) {
		ssize_t r = recv(fd, got + got_n, TEXT_MAX - 1 - got_n, MSG_DONTWAIT);
		if (r == 0 || (r < 0 && errno != EAGAIN))
			return to_end;
		got_n += r > 0 ? (size_t)r : 0;
		got[got_n] = 0;
		if (r > 0 && !to_end && whole())
			return true;
		turn();
	}
	fprintf(stderr, "line %d: waited in vain, have: %s\n", frame_line, got);
	abort();
}

static inline const char *answer_read(void)
{
	read_from(client, false);
	return got;
}

static inline const char *answer_read_to_end(void)
{
	read_from(client, true);
	return got;
}

static inline void ended(unsigned n)
{
	for (unsigned i = 0; i < TRIES && note.ended < n; i++)
		turn();
	CU_ASSERT_EQUAL_FATAL(note.ended, n);
}

/* ---- the model server ---- */
static inline void upstream_accept(void)
{
	for (unsigned i = 0; i < TRIES && upstream_fd < 0; i++) {
		upstream_fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
		turn();
	}
	if (upstream_fd < 0)
		abort();
}

/* The request as the model server gets it. */
static inline const char *upstream_read(void)
{
	if (upstream_fd < 0)
		upstream_accept();
	read_from(upstream_fd, false);
	return got;
}

static inline bool upstream_none(void)
{
	turn();
	return accept4(server, NULL, NULL, SOCK_CLOEXEC) < 0 && errno == EAGAIN;
}

static inline void upstream_send(const char *text)
{
	if (send(upstream_fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
		abort();
	turn();
}

#define answer() (frame_line = __LINE__, answer_read())
#define answer_to_end() (frame_line = __LINE__, answer_read_to_end())
#define upstream_request() (frame_line = __LINE__, upstream_read())
#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
static inline bool has(int line, const char *text, const char *part, bool want)
{
	bool is = strstr(text, part) != NULL;

	if (is != want)
		fprintf(stderr, "\nline %d: %s %s in\n%s\n", line, want ? "no" : "there is", part,
		        text);
	return is == want;
}
#define HAS(text, part) CU_ASSERT(has(__LINE__, text, part, true))
#define HAS_NOT(text, part) CU_ASSERT(has(__LINE__, text, part, false))
#define SAYS(text, want)                                                                           \
	do {                                                                                       \
		if (strcmp(text, want) != 0)                                                       \
			fprintf(stderr, "\nline %d: got %s\n", __LINE__, text);                    \
		CU_ASSERT_STRING_EQUAL(text, want);                                                \
	} while (0)
#define OPEN_STACK "auth = \"none\"; authz = \"none\";"
/* A line of test_return. */
#define LINE(name, control, more, options)                                                         \
	"{ module = \"test_return\"; name = \"" name "\"; control = \"" control "\"; " more        \
	" options = { " options " }; }"

#endif
