/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Whole connections: the input is a script of what clients and model servers send, in turns. What
 * each model server reads is taken apart by a plain reading of its own: every whole request there
 * must be one that a tx decided to send, once, with that method and path, and its body as the tx
 * read it, to its end and with the model that was decided on.
 */
#include "api/api.h"
#include "base/log.h"
#include "conf/load.h"
#include "tx/conn.h"
#include "tx/handle.h"
#include "tx/tx.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SERVERS 8
#define NOTES 64
#define OPS 64
#define READ_MAX (256 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* A request as its tx ended. */
struct note {
	char id[160];
	char method[32];
	char path[4096];
	char model[300];
	bool named; /* the model */
	bool scanned, bad, matched;
	uint64_t received;
};

static struct worker w;
static struct memory_budget budget;
static atomic_uint connections;
static int listener, client = -1;
static struct server {
	int fd;
	struct buf in;
} servers[SERVERS];
static unsigned nservers;
static struct note notes[NOTES];
static unsigned nnotes;

/* ---- the tx's end: the linker puts this before the step (fuzz.am) ---- */
enum step_result __real_step_settle(merlon_tx *tx);
enum step_result __wrap_step_settle(merlon_tx *tx);

static void text(char *out, size_t n, struct str s)
{
	snprintf(out, n, "%.*s", s.p ? (int)s.n : 0, s.p ? s.p : "");
}

enum step_result __wrap_step_settle(merlon_tx *tx)
{
	if (tx->upstream_entered && nnotes < NOTES) {
		struct note *n = &notes[nnotes++];

		memset(n, 0, sizeof(*n));
		text(n->id, sizeof(n->id), tx->request_id);
		text(n->method, sizeof(n->method), tx->head.method_text);
		text(n->path, sizeof(n->path), tx->url.path);
		text(n->model, sizeof(n->model), tx->call.model);
		n->named = tx->call.model_in_body && tx->call.model.p;
		n->scanned = !tx->call.reads_body || tx->scan_ended;
		n->bad = tx->body_bad;
		n->received = tx->received;
	}
	return __real_step_settle(tx);
}

/* ---- the gateway ---- */
static void stop(void *arg)
{
	loop_stop(arg);
}

static void turn(void)
{
	for (int i = 0; i < 4; i++) {
		loop_post(w.base.loop, stop, w.base.loop);
		loop_run(w.base.loop);
	}
}

static void never(struct generation *g)
{
	(void)g;
}

static const char settings[] =
    "workers = 1; listeners = ( { name = \"m\"; address = \"127.0.0.1:8080\"; } );\n"
    "limits = { head = \"4K\"; body = \"64K\"; memory = \"1M\"; };\n"
    "upstreams = ( { name = \"up\"; servers = ( \"unix:%s\" ); } );\n"
    "stacks = ( { name = \"main\"; auth = \"none\"; authz = \"none\"; } );\n"
    "routes = ( { path = \"/v1/\"; api = \"openai\"; stack = \"main\"; upstream = \"up\"; },\n"
    "  { path = \"/\"; api = \"rest\"; stack = \"main\"; upstream = \"up\"; rules = (\n"
    "    { path = \"/b\"; action = \"predict\"; model = \"body:model\"; },\n"
    "    { path = \"*\"; action = \"read\"; } ); } );\n";

static void gateway(const char *path)
{
	struct conf_diag d;
	const char *module = NULL;
	char *conf = xasprintf(settings, path);
	struct conf *c;
	struct stacks *s;
	struct generation *g;

	budget.limit = 4u << 20;
	worker_init(&w, 0, NULL, &budget, &connections);
	conf_diag_init(&d);
	c = conf_load_text(str_of(conf), "/etc/t.conf", "/nowhere", &d);
	s = c ? stacks_new(c, &host_table, false, &d) : NULL;
	if (!s) {
		fprintf(stderr, "%.*s\n", (int)d.text.n, d.text.p);
		abort();
	}
	g = gen_new(1, c, s, 1, never);
	if (gen_attach(g, &w, &module))
		abort();
	gen_switch(g, &w);
	conf_diag_deinit(&d);
	free(conf);
}

static char dir[] = "/tmp/fuzz_connection.XXXXXX";
static struct sockaddr_un sa = {.sun_family = AF_UNIX};

static void tidy(void)
{
	unlink(sa.sun_path);
	rmdir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{

	(void)argc;
	(void)argv;
	if (!mkdtemp(dir))
		abort();
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/s", dir);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(listener, (struct sockaddr *)&sa, sizeof(sa)) || listen(listener, 64))
		abort();
	log_set_level(LOG_L_ERROR);
	atexit(tidy);
	gateway(sa.sun_path);
	return 0;
}

/* ---- both ends ---- */
static void client_open(void)
{
	const struct sockaddr_in peer = {.sin_family = AF_INET};
	int fds[2];

	if (client >= 0)
		close(client);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds))
		abort();
	client = fds[0];
	conn_accept(&w, fds[1], (const struct sockaddr *)&peer, sizeof(peer), false);
}

static void take(void)
{
	static char waste[65536];
	int fd;

	while (recv(client, waste, sizeof(waste), MSG_DONTWAIT) > 0)
		;
	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		/* Left alone it would be taken for one of the next script. */
		if (nservers == SERVERS) {
			close(fd);
			continue;
		}
		servers[nservers].fd = fd;
		buf_init(&servers[nservers++].in, READ_MAX);
	}
	for (unsigned i = 0; i < nservers; i++) {
		ssize_t n;

		while (servers[i].fd >= 0 && (n = recv(servers[i].fd, waste, sizeof(waste), 0)) > 0)
			if (buf_add(&servers[i].in, waste, (size_t)n))
				break;
	}
}

static void say(int fd, const char *p, size_t n)
{
	if (fd >= 0)
		(void)!send(fd, p, n, MSG_NOSIGNAL);
}

/* ---- what a model server has read ---- */
struct request {
	struct str method, target, id;
	bool chunked;
	uint64_t length;
	struct buf body;
};

static bool cut_line(struct str *rest, struct str *line)
{
	const char *end = memmem(rest->p, rest->n, "\r\n", 2);

	if (!end)
		return false;
	*line = (struct str){rest->p, (size_t)(end - rest->p)};
	*rest = (struct str){end + 2, rest->n - line->n - 2};
	return true;
}

/* False: it is not whole. Anything malformed is the gateway's fault. */
static bool read_head(struct str *rest, struct request *r)
{
	struct str line;
	unsigned framings = 0, hosts = 0;

	if (!cut_line(rest, &line))
		return false;
	r->method = str_split(&line, ' ');
	r->target = line.p ? str_split(&line, ' ') : STR_NONE;
	if (!line.p || !str_eq(line, STR("HTTP/1.1")) || r->target.n == 0 || r->method.n == 0)
		abort();
	for (;;) {
		struct str name;

		if (!cut_line(rest, &line))
			return false;
		if (line.n == 0)
			break;
		name = str_split(&line, ':');
		if (!line.p || name.n == 0)
			abort();
		line = str_trim(line);
		hosts += str_ieq(name, STR("host"));
		if (str_ieq(name, STR("x-request-id")))
			r->id = line;
		if (str_ieq(name, STR("upgrade")) || str_ieq(name, STR("trailer")))
			abort();
		if (str_ieq(name, STR("transfer-encoding")))
			r->chunked = true;
		if (str_ieq(name, STR("content-length")) && !str_u64(line, &r->length))
			abort();
		framings +=
		    str_ieq(name, STR("transfer-encoding")) || str_ieq(name, STR("content-length"));
	}
	if (framings > 1 || hosts != 1 || !r->id.p)
		abort();
	return true;
}

static bool read_chunks(struct str *rest, struct request *r)
{
	for (;;) {
		struct str line;
		char hex[20] = "";
		size_t n;

		if (!cut_line(rest, &line))
			return false;
		if (line.n == 0 || line.n > 16)
			abort();
		memcpy(hex, line.p, line.n);
		n = strtoul(hex, NULL, 16);
		if (rest->n < n + 2)
			return false;
		if (memcmp(rest->p + n, "\r\n", 2) != 0 || buf_add(&r->body, rest->p, n))
			abort();
		*rest = (struct str){rest->p + n + 2, rest->n - n - 2};
		if (n == 0)
			return true;
	}
}

static bool read_body(struct str *rest, struct request *r)
{
	if (r->chunked)
		return read_chunks(rest, r);
	if (rest->n < r->length)
		return false;
	if (buf_add(&r->body, rest->p, r->length))
		abort();
	*rest = (struct str){rest->p + r->length, rest->n - r->length};
	return true;
}

/* Of a JSON text, read at once: forms have a fuzzer of their own. */
static void check_model(const struct note *n, const struct request *r)
{
	const struct json_want want = {"model", 0, 4096};
	struct json_value v;
	struct arena a;
	struct json_scan *s;

	if (!n->named || r->body.n == 0 || r->body.p[0] != '{')
		return;
	arena_init(&a, NULL);
	s = json_new(&a, &want, 1, &v, JSON_ROOT_OBJECT);
	if (json_feed(s, r->body.p, r->body.n, NULL) != JSON_OK || json_finish(s) != JSON_OK ||
	    v.type != JSON_STRING || !str_eq(v.text, str_of(n->model)))
		abort();
	arena_deinit(&a);
}

static void check_request(const struct request *r)
{
	struct str rest = r->target;
	struct str path = str_split(&rest, '?');

	for (unsigned i = 0; i < nnotes; i++) {
		struct note *n = &notes[i];

		if (n->matched || !str_eq(r->id, str_of(n->id)) ||
		    !str_eq(r->method, str_of(n->method)) || !str_eq(path, str_of(n->path)))
			continue;
		/* Of several alike each must have one; which is which cannot be told. */
		if (n->received != r->body.n)
			continue;
		if (n->bad || !n->scanned)
			abort();
		check_model(n, r);
		n->matched = true;
		return;
	}
	abort(); /* nobody decided on it */
}

static void check_server(const struct server *s)
{
	struct str rest = buf_str(&s->in);
	bool whole = true;

	while (whole && rest.n > 0) {
		struct request r = {.length = 0};

		buf_init(&r.body, READ_MAX);
		whole = read_head(&rest, &r) && read_body(&rest, &r);
		if (whole)
			check_request(&r);
		buf_deinit(&r.body);
	}
}

/* ---- scripts ---- */
#define CHAT "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"
#define FORM "POST /b HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
static const char *const asks[] = {
    "GET /x?q=1 HTTP/1.1\r\nHost: a\r\n\r\n",
    CHAT "Content-Length: 13\r\n\r\n{\"model\":\"m\"}",
    CHAT "Transfer-Encoding: chunked\r\n\r\n",
    "5\r\n{\"mod\r\n",
    "8;x=y\r\nel\":\"m\"}\r\n0\r\nT: x\r\n\r\n",
    CHAT "Expect: 100-continue\r\nContent-Length: 30\r\n\r\n",
    "{\"model\":\"m\",\"model\":\"other\"} ",
    "{\"model\":\"m\"}",
    FORM "Content-Length: 11\r\n\r\nmodel=a&b=c",
    "POST /y HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n",
    "HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "Connection: close\r\nContent-Length: 3\r\n",
};
static const char *const answers[] = {
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n",
    "4\r\nabcd\r\n",
    "0\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\nabc",
    "HTTP/1.1 204 No Content\r\n\r\n",
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void step(uint8_t op, struct str *rest)
{
	unsigned arg = op >> 3;
	int fd = nservers > 0 ? servers[nservers - 1].fd : -1;
	size_t n = rest->n > 0 ? (unsigned char)rest->p[0] : 0;
	struct str own = {rest->p + 1, rest->n > n ? n : rest->n > 0 ? rest->n - 1 : 0};

	switch (op & 7) {
	case 0:
		say(client, asks[arg % COUNT(asks)], strlen(asks[arg % COUNT(asks)]));
		break;
	case 1:
		say(fd, answers[arg % COUNT(answers)], strlen(answers[arg % COUNT(answers)]));
		break;
	case 2:
	case 3:
	case 4:
		say((op & 7) == 4 ? fd : client, own.p, own.n);
		*rest =
		    (struct str){rest->p + (rest->n > 0) + own.n, rest->n - (rest->n > 0) - own.n};
		break;
	case 5:
		client_open();
		break;
	case 6:
		if (fd >= 0)
			close(fd);
		if (nservers > 0)
			servers[nservers - 1].fd = -1;
		break;
	default:
		shutdown(client, SHUT_WR);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size};

	nnotes = nservers = 0;
	client_open();
	for (unsigned i = 0; i < OPS && rest.n > 0; i++) {
		uint8_t op = (uint8_t)rest.p[0];

		rest = (struct str){rest.p + 1, rest.n - 1};
		step(op, &rest);
		turn();
		take();
	}
	close(client);
	turn();
	take();
	/* What is pooled must not outlive its script. */
	for (unsigned i = 0; i < nservers; i++)
		if (servers[i].fd >= 0)
			close(servers[i].fd);
	turn();
	take();
	client = -1;
	if (nnotes < NOTES)
		for (unsigned i = 0; i < nservers; i++)
			check_server(&servers[i]);
	for (unsigned i = 0; i < nservers; i++)
		buf_deinit(&servers[i].in);
	return 0;
}
