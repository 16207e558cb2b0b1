/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The process from start to end; loading is in reload.c.
 */
#include "daemon/gateway.h"

#include "base/clock.h"
#include "base/log.h"
#include "conf/load.h"
#include "daemon/admin.h"
#include "daemon/control.h"
#include "daemon/descriptors.h"
#include "daemon/reload.h"
#include "net/tls.h"
#include "stack/sink.h"
#include "tx/conn.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LISTEN_BACKLOG 1024
#define END_NS (5 * NS_PER_S) /* modules' last work, after the last connection */

/* ---- work on every worker ---- */
struct each {
	struct gateway *g;
	void (*fn)(void *arg, struct worker *w);
	void (*done)(void *arg);
	void *arg;
	unsigned left;
};
struct each_one {
	struct each *e;
	struct worker *w;
};

static void each_back(void *arg)
{
	struct each *e = arg;
	if (--e->left > 0)
		return;
	if (e->done)
		e->done(e->arg);
	free(e);
}

static void each_run(void *arg)
{
	struct each_one *one = arg;
	one->e->fn(one->e->arg, one->w);
	loop_post(one->e->g->loop, each_back, one->e);
	free(one);
}

void gateway_each(struct gateway *g, void (*fn)(void *arg, struct worker *w),
                  void (*done)(void *arg), void *arg)
{
	struct each *e = xcalloc(1, sizeof(*e));
	*e = (struct each){g, fn, done, arg, g->nworkers};
	for (unsigned i = 0; i < g->nworkers; i++) {
		struct each_one *one = xmalloc(sizeof(*one));
		*one = (struct each_one){e, &g->workers[i]};
		loop_post(g->workers[i].base.loop, each_run, one);
	}
}

/* ---- listeners ---- */
#define FULL_NS (100 * NS_PER_MS)

static void listeners_pause(struct worker *w, bool paused)
{
	struct gateway *g = w->owner;
	w->full = paused;
	pthread_mutex_lock(&g->listeners_lock);
	list_each(it, &g->listeners)
	{
		struct gateway_listener *l = list_entry(it, struct gateway_listener, node);
		if (l->at[w->base.index].ln)
			listener_pause(l->at[w->base.index].ln, paused);
	}
	pthread_mutex_unlock(&g->listeners_lock);
}

/* Recursive: draining a listener accepts, and accepting may pause all of them. */
static void listeners_lock_init(struct gateway *g)
{
	pthread_mutexattr_t attr;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&g->listeners_lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

static bool is_full(struct gateway *g)
{
	return atomic_load(&g->connections) >= atomic_load(&g->connections_max);
}

/* Another worker's connection may have ended: look again. */
static void accept_again(void *arg)
{
	struct worker *w = arg;
	if (!w->full)
		return;
	if (is_full(w->owner))
		loop_timer_in(w->base.loop, &w->accept_timer, FULL_NS);
	else
		listeners_pause(w, false);
}

/* Whether connections of this address are counted, since their number is bounded. */
static unsigned bound_of(const struct worker *w, const struct sockaddr *peer)
{
	const struct generation *g = w->current->gen;
	unsigned max = g->conf->limits.connections_per_address;
	return max && !gen_trusts(g, peer) ? max : 0;
}

static void on_accept(void *arg, int fd, const struct sockaddr *peer, socklen_t len)
{
	struct gateway_accept *at = arg;
	struct gateway *g = at->w->owner;
	bool half_close = atomic_load(&at->l->half_close);
	unsigned max = bound_of(at->w, peer);
	if (max && !peers_take(&g->peers, peer, max)) {
		stat_add(g->stat_over, 1);
		close(fd);
		return;
	}
	struct conn *c = at->as.tls ? conn_accept_tls(at->w, fd, peer, len, half_close, &at->as)
	                            : conn_accept(at->w, fd, peer, len, half_close);
	c->counted = max > 0;
	if (is_full(at->w->owner)) {
		listeners_pause(at->w, true);
		loop_timer_in(at->w->base.loop, &at->w->accept_timer, FULL_NS);
	}
}

static void on_conn_closed(struct worker *w)
{
	if (w->full && !is_full(w->owner))
		listeners_pause(w, false);
}

static struct gateway_listener *listener_find(struct gateway *g, struct str address)
{
	list_each(it, &g->listeners)
	{
		struct gateway_listener *l = list_entry(it, struct gateway_listener, node);
		if (str_eq(str_of(l->address), address))
			return l;
	}
	return NULL;
}

static void listener_release(struct gateway_listener *l, unsigned nworkers)
{
	/* Workers may share one descriptor (unix sockets). */
	for (unsigned i = 0; i < nworkers; i++) {
		bool again = false;
		for (unsigned k = 0; k < i; k++)
			again |= l->at[k].fd == l->at[i].fd;
		if (!again)
			close(l->at[i].fd);
	}
	list_del(&l->node);
	free(l->address);
	free(l);
}

static int bind_one(struct gateway *g, const struct conf_listener *cl, struct conf_diag *d)
{
	struct gateway_listener *l = xcalloc(1, sizeof(*l));
	int fds[WORKERS_MAX];
	int r = net_addr_parse(cl->address, &l->addr)
	            ? listener_bind(&l->addr, g->nworkers, LISTEN_BACKLOG, fds)
	            : -EINVAL;
	if (r) {
		conf_error(d, cl->node, "cannot listen on %.*s: %s", STR_FMT(cl->address),
		           strerror(-r));
		free(l);
		return r == -EADDRINUSE || r == -EADDRNOTAVAIL || r == -EACCES ? EXIT_ADDRESS
		                                                               : EXIT_FILE;
	}
	l->id = ++g->next_listener;
	l->address = str_dup(cl->address);
	atomic_store(&l->half_close, cl->half_close);
	l->wanted = true;
	for (unsigned i = 0; i < g->nworkers; i++)
		l->at[i] = (struct gateway_accept){.l = l, .w = &g->workers[i], .fd = fds[i]};
	pthread_mutex_lock(&g->listeners_lock);
	list_add(&g->listeners, &l->node);
	pthread_mutex_unlock(&g->listeners_lock);
	return 0;
}

void gateway_apply(struct gateway *g, const struct conf *c)
{
	static const char *const levels[] = {"error", "warn", "notice", "info", "debug"};
	for (unsigned i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (str_eq(c->log_level, str_of(levels[i])))
			log_set_level((enum log_level)(LOG_L_ERROR + i));
	atomic_store(&g->memory.limit, c->limits.memory);
	atomic_store(&g->connections_max, descriptors_for_clients(c));
	for (unsigned i = 0; i < c->nlisteners; i++) {
		struct gateway_listener *l = listener_find(g, c->listeners[i].address);
		if (l)
			atomic_store(&l->half_close, c->listeners[i].half_close);
	}
}

static void want_none(struct gateway *g)
{
	list_each(it, &g->listeners) list_entry(it, struct gateway_listener, node)->wanted = false;
}

int gateway_bind(struct gateway *g, const struct conf *c, struct conf_diag *d)
{
	int code = 0;
	pthread_mutex_lock(&g->listeners_lock);
	want_none(g);
	for (unsigned i = 0; i < c->nlisteners; i++) {
		struct gateway_listener *l = listener_find(g, c->listeners[i].address);
		if (l) {
			l->wanted = true;
			continue;
		}
		int r = bind_one(g, &c->listeners[i], d);
		code = code ? code : r;
	}
	pthread_mutex_unlock(&g->listeners_lock);
	return code;
}

void gateway_listener_ids(struct gateway *g, const struct conf *c, unsigned *ids)
{
	for (unsigned i = 0; i < c->nlisteners; i++)
		ids[i] = listener_find(g, c->listeners[i].address)->id;
}

/* NULL: it is not wanted any more. */
static void accept_as(struct gateway_accept *at, const struct gen_listener *l)
{
	struct tls_ctx *old = at->as.tls;
	at->as = l ? *l : (struct gen_listener){0};
	if (at->as.tls)
		tls_ctx_ref(at->as.tls);
	tls_ctx_unref(old);
}

void gateway_listen(struct gateway *g, struct worker *w)
{
	pthread_mutex_lock(&g->listeners_lock);
	list_each(it, &g->listeners)
	{
		struct gateway_listener *l = list_entry(it, struct gateway_listener, node);
		struct gateway_accept *at = &l->at[w->base.index];
		bool run = l->wanted && !g->draining;
		if (run && w->current)
			accept_as(at, gen_listener(w->current->gen, l->id));
		if (run && !at->ln) {
			at->ln = listener_start(w->base.loop, at->fd, on_accept, at);
		} else if (!run && at->ln) {
			struct listener *ln = at->ln;
			at->ln = NULL;
			listener_stop(ln, true);
			accept_as(at, NULL);
		}
	}
	pthread_mutex_unlock(&g->listeners_lock);
}

void gateway_unbind(struct gateway *g)
{
	pthread_mutex_lock(&g->listeners_lock);
	list_each_safe(it, &g->listeners)
	{
		struct gateway_listener *l = list_entry(it, struct gateway_listener, node);
		bool running = false;
		for (unsigned i = 0; i < g->nworkers; i++)
			running |= l->at[i].ln != NULL;
		if (!l->wanted && !running)
			listener_release(l, g->nworkers);
	}
	pthread_mutex_unlock(&g->listeners_lock);
}

/* Nobody accepts any more: who comes now is refused, not left waiting. */
static void stop_listening(void *arg)
{
	struct gateway *g = arg;
	pthread_mutex_lock(&g->listeners_lock);
	want_none(g);
	pthread_mutex_unlock(&g->listeners_lock);
	gateway_unbind(g);
}

/* ---- workers ---- */
static void *worker_main(void *arg)
{
	struct worker *w = arg;
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	stats_thread(w->base.index);
	loop_run(w->base.loop);
	return NULL;
}

static void drained_here(void *arg)
{
	struct gateway *g = arg;
	if (++g->drained == g->nworkers)
		loop_stop(g->loop);
}

static void on_drained(struct worker *w)
{
	struct gateway *g = w->owner;
	w->drained = NULL;
	loop_post(g->loop, drained_here, g);
}

static void workers_start(struct gateway *g, unsigned n)
{
	g->nworkers = n;
	peers_init(&g->peers);
	g->workers = xcalloc_lines(n, sizeof(*g->workers));
	for (unsigned i = 0; i < n; i++) {
		struct worker *w = &g->workers[i];
		worker_init(w, i, g->offload, &g->memory, &g->connections);
		w->owner = g;
		w->peers = &g->peers;
		w->conn_closed = on_conn_closed;
		loop_timer_init(&w->accept_timer, accept_again, w);
	}
	for (unsigned i = 0; i < n; i++)
		if (pthread_create(&g->threads[i], NULL, worker_main, &g->workers[i])) {
			log_msg(LOG_L_ERROR, "cannot start a thread: %s", strerror(errno));
			exit(EXIT_INTERNAL);
		}
}

static void worker_finish(void *arg, struct worker *w)
{
	/* Nothing may come in from here on, however the service ended. */
	gateway_listen(arg, w);
	w->drained = NULL;
	worker_abort(w);
	loop_timer_drop(w->base.loop, &w->accept_timer);
	if (w->current) {
		struct gen_worker *gw = w->current;
		w->current = NULL;
		gen_unref(gw);
	}
}

static void finished(void *arg)
{
	struct gateway *g = arg;
	if (g->current)
		gen_control_unref(g->current);
	g->current = NULL;
	g->finished = true;
	gateway_released(g);
}

void gateway_released(struct gateway *g)
{
	if (!g->finished || g->generations > 0)
		return;
	g->ended = true;
	loop_stop(g->loop);
}

static void give_up(void *arg)
{
	struct gateway *g = arg;
	log_msg(LOG_L_WARN, "modules still have work; ending without them");
	g->ended = true;
	loop_stop(g->loop);
}

static void stop_loop(void *arg)
{
	loop_stop(arg);
}

/* After the last request: connections end, instances stop, generations go. */
static void workers_stop(struct gateway *g)
{
	struct loop_timer limit;
	loop_timer_init(&limit, give_up, g);
	loop_timer_in(g->loop, &limit, END_NS);
	gateway_each(g, worker_finish, finished, g);
	/* The last worker to drain may stop the loop once more. */
	while (!g->ended)
		loop_run(g->loop);
	loop_timer_drop(g->loop, &limit);
	for (unsigned i = 0; i < g->nworkers; i++)
		loop_stop(g->workers[i].base.loop);
	for (unsigned i = 0; i < g->nworkers; i++)
		pthread_join(g->threads[i], NULL);
	/* What the workers have posted meanwhile is run before it stops. */
	loop_post(g->loop, stop_loop, g->loop);
	loop_run(g->loop);
	stop_listening(g);
	for (unsigned i = 0; i < g->nworkers; i++)
		worker_deinit(&g->workers[i]);
	peers_deinit(&g->peers);
	free(g->workers);
}

/* ---- draining ---- */
static void drain_worker(void *arg, struct worker *w)
{
	gateway_listen(arg, w);
	w->drained = on_drained;
	worker_drain(w);
}

static void drain_expired(void *arg)
{
	struct gateway *g = arg;
	log_msg(LOG_L_WARN, "requests were still running after limits.drain_timeout");
	loop_stop(g->loop);
}

void gateway_drain(struct gateway *g)
{
	if (g->draining) {
		log_msg(LOG_L_NOTICE, "stopping now");
		loop_stop(g->loop);
		return;
	}
	log_msg(LOG_L_NOTICE, "draining");
	g->draining = true;
	uint64_t ns = g->current ? g->current->conf->limits.drain_timeout : 0;
	loop_timer_init(&g->drain_timer, drain_expired, g);
	loop_timer_in(g->loop, &g->drain_timer, ns);
	gateway_each(g, drain_worker, stop_listening, g);
}

/* ---- signals ---- */
static void on_term(void *arg)
{
	gateway_drain(arg);
}

static void on_hup(void *arg)
{
	reload_start(arg, NULL, NULL);
}

static void on_usr1(void *arg)
{
	(void)arg;
	log_msg(LOG_L_NOTICE, "reopening logs");
	sinks_reopen();
}

static void on_usr2(void *arg)
{
	(void)arg;
	log_msg(LOG_L_WARN, "USR2: upgrading in place is not supported by this version");
}

static int signals_open(struct gateway *g)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	int r = loop_signal(g->loop, SIGTERM, on_term, g);
	r = r ? r : loop_signal(g->loop, SIGINT, on_term, g);
	r = r ? r : loop_signal(g->loop, SIGHUP, on_hup, g);
	r = r ? r : loop_signal(g->loop, SIGUSR1, on_usr1, g);
	return r ? r : loop_signal(g->loop, SIGUSR2, on_usr2, g);
}

/* ---- start and end ---- */
struct starting {
	struct gateway *g;
	void (*notify)(void *arg, int code);
	void *arg;
};

static void started(void *arg, bool ok, int code, const char *text)
{
	struct starting *s = arg;
	struct gateway *g = s->g;
	fputs(text, stderr);
	if (ok) {
		log_msg(LOG_L_NOTICE, "serving with %u workers, configuration %s", g->nworkers,
		        g->conf_path);
	} else {
		g->exit_code = code;
		loop_stop(g->loop);
	}
	s->notify(s->arg, code);
}

static void gateway_stats(struct gateway *g)
{
	g->stat_generation = stats_get(
	    stats_family(STAT_GAUGE, "merlon_generation", "The generation that serves.", ""), NULL);
	struct stat_family *f = stats_family(STAT_COUNTER, "merlon_reloads_total",
	                                     "Loads of the configuration.", "result");
	struct str ok = STR("success");
	struct str refused = STR("failure");
	g->stat_reload_ok = stats_get(f, &ok);
	g->stat_reload_refused = stats_get(f, &refused);
	g->stat_over =
	    stats_get(stats_family(STAT_COUNTER, "merlon_connections_over_address_limit_total",
	                           "Connections closed for limits.connections_per_address.", ""),
	              NULL);
}

/* What must be known before threads start. NULL: all that is wrong is on stderr. */
static struct conf *first_look(struct gateway *g)
{
	struct conf_diag d;
	conf_diag_init(&d);
	struct conf *c = conf_load(g->conf_path, g->module_dir, &d);
	if (!c)
		reload_check(g->conf_path, g->module_dir, true);
	conf_diag_deinit(&d);
	return c;
}

static void ticket_keys_due(void *arg)
{
	struct gateway *g = arg;
	loop_timer_set(g->loop, &g->ticket_timer, tls_ticket_rotate());
}

static int gateway_serve(struct gateway *g, void (*notify)(void *arg, int code), void *arg)
{
	struct starting s = {g, notify, arg};
	reload_start(g, started, &s);
	loop_timer_init(&g->ticket_timer, ticket_keys_due, g);
	ticket_keys_due(g);
	loop_run(g->loop);
	loop_timer_drop(g->loop, &g->ticket_timer);
	if (g->draining)
		loop_timer_drop(g->loop, &g->drain_timer);
	g->draining = true;
	admin_close(g->admin);
	workers_stop(g);
	return g->exit_code;
}

int gateway_run(struct gateway *g, const char *conf_path, const char *module_dir,
                void (*notify)(void *arg, int code), void *arg)
{
	const char *why = NULL;
	memset(g, 0, sizeof(*g));
	g->conf_path = conf_path;
	g->module_dir = module_dir;
	g->next_id = 1;
	list_init(&g->listeners);
	listeners_lock_init(g);
	struct conf *c = first_look(g);
	if (!c) {
		notify(arg, EXIT_CONFIG);
		return EXIT_CONFIG;
	}
	stats_thread(SLOT_CONTROL);
	gateway_stats(g);
	g->loop = loop_new();
	int code = signals_open(g) ? EXIT_INTERNAL : control_open(g, c->admin_socket, &why);
	if (code) {
		fprintf(stderr, "%s: admin.socket: %s\n", conf_path, why ? why : err_last());
		notify(arg, code);
	} else {
		g->offload = offload_new(OFFLOAD_THREADS, OFFLOAD_QUEUE, SLOT_POOL);
		gateway_apply(g, c);
		sinks_start(SLOT_WRITER);
		workers_start(g, c->workers);
		conf_free(c);
		c = NULL;
		code = gateway_serve(g, notify, arg);
		offload_free(g->offload);
		sinks_stop();
		control_close(g);
	}
	conf_free(c);
	free(g->last.text);
	loop_free(g->loop);
	return code;
}
