/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The control socket: see control.h. What needs the workers' own state is gathered by a round over
 * them.
 */
#include "daemon/control.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/reload.h"
#include "net/stream.h"
#include "stack/sink.h"
#include "stack/zone.h"
#include "tx/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMMAND_MAX 256
#define CLIENT_NS (60 * NS_PER_S)

struct control {
	struct gateway *g;
	char *path;
	int lock;
	int fd;
	struct listener *ln;
	struct block_pool blocks;
	struct list clients;
	uint64_t nclients; /* ever */
};
struct client {
	struct list node;
	uint64_t number; /* one place in memory may be several clients in turn */
	struct control *c;
	struct stream *s;
	struct loop_timer timer;
	bool busy;
};
/* An answer that is being put together; the client may go meanwhile. */
struct pending {
	struct control *c;
	uint64_t client; /* its number */
	json_t *out;
	uint64_t spare; /* of limits.memory: taken by workers, not in use */
	pthread_mutex_t lock;
};

static void client_free(struct client *cl)
{
	loop_timer_drop(cl->c->g->loop, &cl->timer);
	stream_close(cl->s);
	list_del(&cl->node);
	free(cl);
}

/* NULL: it has gone. */
static struct client *client_find(const struct control *c, uint64_t number)
{
	list_each(it, &c->clients)
	{
		struct client *cl = list_entry(it, struct client, node);
		if (cl->number == number)
			return cl;
	}
	return NULL;
}

/* Takes the reference of out. */
static void client_answer(struct control *c, uint64_t number, json_t *out)
{
	struct client *cl = client_find(c, number);
	if (cl) {
		char *text = json_dumps(out, JSON_COMPACT);
		stream_send_copy(cl->s, text, strlen(text));
		stream_send_copy(cl->s, "\n", 1);
		stream_flush(cl->s);
		stream_shutdown(cl->s);
		free(text);
	}
	json_decref(out);
}

static json_t *json_of(struct str s)
{
	json_t *j = json_stringn(s.p ? s.p : "", s.n);
	return j ? j : json_string("?");
}

static json_t *failure(const char *why)
{
	return json_pack("{s:b, s:s+}", "ok", 0, "error", why, "\n");
}

/* ---- reload ---- */
static void reload_answered(void *arg, bool ok, int code, const char *text)
{
	struct pending *p = arg;
	struct gateway *g = p->c->g;
	json_t *out = json_pack("{s:b, s:i, s:s}", "ok", ok, "exit", code, "text", text);
	if (g->current)
		json_object_set_new(out, "generation", json_integer((json_int_t)g->current->id));
	client_answer(p->c, p->client, out);
	free(p);
}

static void cmd_reload(struct control *c, struct client *cl)
{
	struct pending *p = xcalloc(1, sizeof(*p));
	p->c = c;
	p->client = cl->number;
	reload_start(c->g, reload_answered, p);
}

/* ---- drain ---- */
static void cmd_drain(struct control *c, struct client *cl)
{
	client_answer(c, cl->number, json_pack("{s:b, s:s}", "ok", 1, "text", "draining"));
	gateway_drain(c->g);
}

/* ---- modules ---- */
static void module_one(void *arg, const struct build *b)
{
	const struct merlon_module *m = b->m;
	json_array_append_new(arg, json_pack("{s:s, s:s, s:s, s:s, s:i, s:i}", "name", b->name,
	                                     "version", m->version ? m->version : "", "summary",
	                                     m->summary ? m->summary : "", "hash", b->hash,
	                                     "abi_major", m->major, "abi_minor", m->minor));
}

static void cmd_modules(struct control *c, struct client *cl)
{
	json_t *list = json_array();
	build_each(module_one, list);
	client_answer(c, cl->number, json_pack("{s:b, s:o}", "ok", 1, "modules", list));
}

/* ---- stacks ---- */
static json_t *stack_group_json(const struct stack_group *g)
{
	if (g->none)
		return json_string("none");
	json_t *lines = json_array();
	for (unsigned i = 0; i < g->n; i++) {
		const struct stack_line *l = &g->lines[i];
		json_t *j = json_pack("{s:o, s:o}", "name", json_of(l->conf->name), "control",
		                      json_of(l->conf->control));
		json_object_set_new(j, l->include ? "include" : "module",
		                    json_of(l->include ? l->conf->include : l->conf->module));
		json_object_set_new(j, "shadow", json_boolean(l->conf->shadow));
		json_object_set_new(j, "fail_open", json_boolean(l->conf->fail_open));
		if (l->ctx) {
			json_object_set_new(j, "hash", json_string(l->ctx->build->hash));
			json_object_set_new(j, "instance", json_string(l->ctx->hash));
		}
		json_array_append_new(lines, j);
	}
	return lines;
}

static void cmd_stacks(struct control *c, struct client *cl)
{
	json_t *list = json_array();
	const struct generation *gen = c->g->current;
	for (unsigned i = 0; gen && i < gen->stacks->n; i++) {
		const struct stack *s = &gen->stacks->v[i];
		json_t *j = json_pack("{s:o}", "name", json_of(s->name));
		for (unsigned g = 0; g < G_COUNT; g++)
			json_object_set_new(j, conf_group_names[g], stack_group_json(&s->group[g]));
		json_array_append_new(list, j);
	}
	client_answer(c, cl->number, json_pack("{s:b, s:o}", "ok", 1, "stacks", list));
}

/* ---- status ---- */
static void server_one(void *arg, const struct server_info *s)
{
	json_array_append_new(arg, json_pack("{s:o, s:o, s:i, s:i, s:b}", "upstream",
	                                     json_of(s->upstream), "server", json_of(s->address),
	                                     "inflight", (int)s->inflight, "idle", (int)s->idle,
	                                     "healthy", s->healthy));
}

static void status_worker(void *arg, struct worker *w)
{
	struct pending *p = arg;
	json_t *servers = json_array();
	pools_each(&w->pools, server_one, servers);
	unsigned serving = 0;
	list_each(it, &w->conns) serving += list_entry(it, struct conn, node)->tx != NULL;
	pthread_mutex_lock(&p->lock);
	p->spare += w->mem_have;
	json_array_append_new(json_object_get(p->out, "workers"),
	                      json_pack("{s:i, s:i, s:i, s:o}", "worker", (int)w->base.index,
	                                "connections", (int)w->nconns, "requests", (int)serving,
	                                "servers", servers));
	pthread_mutex_unlock(&p->lock);
}

static void status_sink(void *arg, const struct sink_info *s)
{
	json_array_append_new(arg,
	                      json_pack("{s:s, s:b, s:I, s:I, s:I}", "path", s->path, "failed",
	                                s->failed, "records", (json_int_t)s->records, "bytes",
	                                (json_int_t)s->bytes, "refused", (json_int_t)s->refused));
}

static void status_zone(void *arg, const struct zone_info *z)
{
	json_array_append_new(arg,
	                      json_pack("{s:s, s:I, s:I}", "name", z->name, "records",
	                                (json_int_t)z->records, "bytes", (json_int_t)z->bytes));
}

static void status_done(void *arg)
{
	struct pending *p = arg;
	uint64_t used = atomic_load(&p->c->g->memory.used);
	uint64_t parked = used > p->spare ? used - p->spare : 0;
	json_object_set_new(p->out, "parked_bytes", json_integer((json_int_t)parked));
	json_object_set_new(p->out, "stray_resumes",
	                    json_integer((json_int_t)ledger_stray_resumes()));
	client_answer(p->c, p->client, p->out);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static json_t *status_reload(const struct gateway *g)
{
	if (!g->last.any)
		return json_null();
	char at[CLOCK_RFC3339_LEN + 1] = "";
	clock_rfc3339(g->last.at_us, at);
	return json_pack("{s:b, s:s, s:s}", "ok", g->last.ok, "at", at, "text", g->last.text);
}

static void cmd_status(struct control *c, struct client *cl)
{
	struct gateway *g = c->g;
	struct pending *p = xcalloc(1, sizeof(*p));
	p->c = c;
	p->client = cl->number;
	pthread_mutex_init(&p->lock, NULL);
	json_t *sinks = json_array();
	json_t *zones = json_array();
	sink_each(status_sink, sinks);
	zone_each(status_zone, zones);
	const char *state = g->draining ? "draining" : g->current ? "serving" : "starting";
	p->out = json_pack(
	    "{s:b, s:s, s:s, s:i, s:s, s:I, s:i, s:i, s:o, s:o, s:o, s:[]}", "ok", 1, "version",
	    PACKAGE_VERSION, "state", state, "pid", (int)getpid(), "config", g->conf_path,
	    "generation", (json_int_t)(g->current ? g->current->id : 0), "generations",
	    (int)g->generations, "connections", (int)atomic_load(&g->connections), "last_reload",
	    status_reload(g), "sinks", sinks, "zones", zones, "workers");
	gateway_each(g, status_worker, status_done, p);
}

/* ---- commands ---- */
static const struct {
	const char *name;
	void (*fn)(struct control *c, struct client *cl);
} commands[] = {
    {"status", cmd_status}, {"reload", cmd_reload},   {"drain", cmd_drain},
    {"stacks", cmd_stacks}, {"modules", cmd_modules},
};

static void client_command(struct client *cl, struct str line)
{
	cl->busy = true;
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (str_eq(line, str_of(commands[i].name))) {
			commands[i].fn(cl->c, cl);
			return;
		}
	client_answer(cl->c, cl->number, failure("unknown command"));
}

static void client_event(void *arg, unsigned what)
{
	struct client *cl = arg;
	if (what & (STREAM_ERROR | STREAM_EOF)) {
		client_free(cl);
		return;
	}
	struct str in = stream_in(cl->s);
	ptrdiff_t end = str_find(in, '\n');
	if (cl->busy) {
		stream_skip(cl->s, in.n);
	} else if (end >= 0) {
		char line[COMMAND_MAX];
		size_t n = (size_t)end < sizeof(line) ? (size_t)end : sizeof(line);
		memcpy(line, in.p, n);
		stream_skip(cl->s, in.n);
		client_command(cl, (struct str){line, n});
	} else if (in.n > COMMAND_MAX) {
		client_free(cl);
	}
}

static void client_timeout(void *arg)
{
	client_free(arg);
}

static void control_accept(void *arg, int fd, const struct sockaddr *peer, socklen_t len)
{
	(void)peer;
	(void)len;
	struct control *c = arg;
	struct ucred cred;
	socklen_t n = sizeof(cred);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) ||
	    (cred.uid != 0 && cred.uid != geteuid())) {
		close(fd);
		return;
	}
	struct client *cl = xcalloc(1, sizeof(*cl));
	cl->c = c;
	cl->number = ++c->nclients;
	loop_timer_init(&cl->timer, client_timeout, cl);
	loop_timer_in(c->g->loop, &cl->timer, CLIENT_NS);
	list_add(&c->clients, &cl->node);
	cl->s = stream_new(c->g->loop, fd, &c->blocks, client_event, cl);
}

static int control_lock(struct control *c, const char **why)
{
	char *name = xasprintf("%s.lock", c->path);
	c->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	free(name);
	if (c->lock < 0) {
		*why = strerror(errno);
		return EXIT_FILE;
	}
	if (flock(c->lock, LOCK_EX | LOCK_NB)) {
		*why = "another merlond holds it";
		return EXIT_ADDRESS;
	}
	return 0;
}

static int control_bind(struct control *c, const char **why)
{
	struct net_addr addr;
	char *text = xasprintf("unix:%s", c->path);
	bool ok = net_addr_parse(str_of(text), &addr);
	free(text);
	if (!ok) {
		*why = "the path is too long for a socket";
		return EXIT_CONFIG;
	}
	/* The lock is ours, so a socket that is still there belongs to nobody. What is no socket
	 * stands there by a mistake in the configuration, and stays. */
	struct stat st;
	if (lstat(c->path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(c->path);
	mode_t old = umask(0177);
	int r = listener_bind(&addr, 1, 16, &c->fd);
	umask(old);
	if (r) {
		*why = strerror(-r);
		return r == -EADDRINUSE ? EXIT_ADDRESS : EXIT_FILE;
	}
	c->ln = listener_start(c->g->loop, c->fd, control_accept, c);
	return 0;
}

int control_open(struct gateway *g, struct str path, const char **why)
{
	struct control *c = xcalloc(1, sizeof(*c));
	c->g = g;
	c->path = str_dup(path);
	c->lock = c->fd = -1;
	list_init(&c->clients);
	block_pool_init(&c->blocks, 4);
	int r = control_lock(c, why);
	if (!r)
		r = control_bind(c, why);
	g->control = c;
	if (r)
		control_close(g);
	return r;
}

void control_close(struct gateway *g)
{
	struct control *c = g->control;
	if (!c)
		return;
	while (!list_empty(&c->clients))
		client_free(list_entry(c->clients.next, struct client, node));
	if (c->ln)
		listener_stop(c->ln, false);
	if (c->fd >= 0) {
		close(c->fd);
		unlink(c->path);
	}
	/* The lock file stays: removing it would let two processes hold two files of one name. */
	if (c->lock >= 0)
		close(c->lock);
	block_pool_deinit(&c->blocks);
	free(c->path);
	free(c);
	g->control = NULL;
}
