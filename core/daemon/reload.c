/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A reload is a small state machine on the control thread:
 *
 *   check   the file is read and checked
 *   probe   where modules or options changed, another process loads and creates them first
 *   build   stacks and instances, new listening sockets
 *   attach  every worker starts the instances (5 s)
 *   publish files of sinks are opened, zones take their place, every worker switches
 *
 * A failure at any place undoes what was made and leaves the serving generation alone.
 */
#include "daemon/reload.h"

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "conf/load.h"
#include "daemon/admin.h"
#include "daemon/probe.h"
#include "stack/sink.h"
#include "stack/zone.h"
#include "tx/handle.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define ATTACH_NS (5 * NS_PER_S)

struct waiter {
	struct waiter *next;
	reload_done_fn *done;
	void *arg;
};
struct reload {
	struct gateway *g;
	struct waiter *waiters; /* of this load */
	struct waiter *queued;  /* who asked meanwhile: for the load that follows */
	struct conf *conf;
	struct conf_diag d;
	char fingerprint[SHA256_HEX + 1];
	struct probe *probe;
	struct admin
	    *admin; /* on the address that the new configuration wants; may be the serving one */
	struct generation *gen;
	struct loop_timer timer; /* of attach */
	bool first;              /* nothing serves yet */
	bool late; /* attach took too long: the answer was given, the rest is cleaning up */
	bool failed[WORKERS_MAX];
	bool attached[WORKERS_MAX];
	const char *module[WORKERS_MAX];
	int code;
};

static void load_begin(struct reload *r);

/* SIGHUP has nobody to tell; the log has it all. */
static void reload_unheard(void *arg, bool ok, int code, const char *text)
{
	(void)arg;
	(void)ok;
	(void)code;
	(void)text;
}

/* ---- the end of a load ---- */
static void remember(struct gateway *g, bool first, bool ok, const char *text)
{
	free(g->last.text);
	g->last = (struct reload_result){true, ok, clock_real_us(), xstrdup(text)};
	stat_add(ok ? g->stat_reload_ok : g->stat_reload_refused, 1);
	/* At start whoever started it reads the text itself. */
	struct str lines = str_of(first ? "" : text);
	for (struct str line = str_split(&lines, '\n'); line.n > 0; line = str_split(&lines, '\n'))
		log_msg(ok ? LOG_L_WARN : LOG_L_ERROR, "%.*s", STR_FMT(line));
	if (ok)
		log_msg(LOG_L_NOTICE, "generation %llu serves", (unsigned long long)g->current->id);
	else if (!first)
		log_msg(LOG_L_ERROR, "the configuration was refused; generation %llu goes on",
		        (unsigned long long)g->current->id);
}

static void answer(struct reload *r, bool ok)
{
	struct gateway *g = r->g;
	int add = buf_add(&r->d.text, "", 1); /* the NUL */
	const char *text = add ? "too many errors" : r->d.text.p;
	remember(g, r->first, ok, text);
	struct waiter *w = r->waiters;
	r->waiters = NULL;
	while (w) {
		struct waiter *next = w->next;
		w->done(w->arg, ok, ok ? 0 : r->code, text);
		free(w);
		w = next;
	}
}

/* Frees the load; what was asked for meanwhile begins. */
static void load_end(struct reload *r)
{
	struct gateway *g = r->g;
	struct waiter *queued = r->queued;
	loop_timer_drop(g->loop, &r->timer);
	conf_diag_deinit(&r->d);
	conf_free(r->conf);
	free(r);
	g->reload = NULL;
	while (queued) {
		struct waiter *w = queued;
		queued = w->next;
		reload_start(g, w->done, w->arg);
		free(w);
	}
}

/* Ends the admin address that only this load wanted. */
static void admin_drop(struct reload *r)
{
	if (r->admin != r->g->admin)
		admin_close(r->admin);
	r->admin = r->g->admin;
}

/* Sockets that only this load wanted are closed again; those that serve stay. */
static void listeners_drop(struct gateway *g)
{
	pthread_mutex_lock(&g->listeners_lock);
	list_each(it, &g->listeners)
	{
		struct gateway_listener *l = list_entry(it, struct gateway_listener, node);
		l->wanted = l->at[0].ln != NULL;
	}
	pthread_mutex_unlock(&g->listeners_lock);
	gateway_unbind(g);
}

static void refuse(struct reload *r, int code)
{
	r->code = code;
	admin_drop(r);
	zones_discard();
	sinks_discard();
	listeners_drop(r->g);
	answer(r, false);
	load_end(r);
}

/* ---- publish ---- */
static void switched(void *arg)
{
	struct reload *r = arg;
	struct gateway *g = r->g;
	gateway_unbind(g);
	answer(r, true);
	load_end(r);
}

static void switch_worker(void *arg, struct worker *w)
{
	struct reload *r = arg;
	gen_switch(r->gen, w);
	gateway_listen(r->g, w);
}

static void publish(struct reload *r)
{
	struct gateway *g = r->g;
	struct generation *old = g->current;
	zones_publish();
	g->current = r->gen;
	snprintf(g->fingerprint, sizeof(g->fingerprint), "%s", r->fingerprint);
	gateway_apply(g, r->gen->conf);
	if (g->admin != r->admin)
		admin_close(g->admin);
	g->admin = r->admin;
	stat_set(g->stat_generation, (int64_t)r->gen->id);
	if (old)
		gen_control_unref(old);
	gateway_each(g, switch_worker, switched, r);
}

/* ---- attach ---- */
static void attach_worker(void *arg, struct worker *w)
{
	struct reload *r = arg;
	unsigned i = w->base.index;
	r->attached[i] = gen_attach(r->gen, w, &r->module[i]) == 0;
	r->failed[i] = !r->attached[i];
}

static void detach_worker(void *arg, struct worker *w)
{
	struct reload *r = arg;
	if (r->attached[w->base.index])
		gen_detach(r->gen, w);
}

static void detached(void *arg)
{
	struct reload *r = arg;
	gen_control_unref(r->gen);
	if (r->late) {
		listeners_drop(r->g);
		load_end(r);
		return;
	}
	refuse(r, r->code ? r->code : EXIT_INTERNAL);
}

static void attach_late(void *arg)
{
	struct reload *r = arg;
	conf_error_at(&r->d, r->g->conf_path, 0,
	              "a worker did not start the new generation within 5 s");
	r->late = true;
	r->code = EXIT_INTERNAL;
	admin_drop(r);
	zones_discard();
	sinks_discard();
	answer(r, false);
}

static void attached(void *arg)
{
	struct reload *r = arg;
	struct gateway *g = r->g;
	loop_timer_clear(&r->timer);
	bool ok = !r->late;
	for (unsigned i = 0; i < g->nworkers && !r->late; i++)
		if (r->failed[i]) {
			conf_error_at(&r->d, g->conf_path, 0,
			              "module %s refused to start on worker %u", r->module[i], i);
			ok = false;
		}
	const char *path = NULL;
	const char *why = NULL;
	const struct conf_node *at = NULL;
	if (ok && sinks_publish(&at, &path, &why)) {
		conf_error(&r->d, at ? at : r->gen->conf->root, "%s: %s",
		           path ? path : "audit file", why ? why : "cannot be opened");
		r->code = EXIT_FILE;
		ok = false;
	}
	if (ok && !g->draining)
		publish(r);
	else
		gateway_each(g, detach_worker, detached, r);
}

/* ---- build ---- */
static void released_here(void *arg)
{
	struct generation *gen = arg;
	struct gateway *g = gen->owner;
	gen_free(gen);
	g->generations--;
	gateway_released(g);
}

static void released(struct generation *gen)
{
	struct gateway *g = gen->owner;
	loop_post(g->loop, released_here, gen);
}

/* The node of a setting, or the nearest that is written. */
static const struct conf_node *node_of(const struct conf *c, const char *group, const char *key)
{
	const struct conf_node *in = c->root;
	const struct conf_node *n = group ? conf_child(in, str_of(group)) : in;
	in = n ? n : in;
	n = conf_child(in, str_of(key));
	return n ? n : in;
}

static int bind_admin(struct reload *r)
{
	struct gateway *g = r->g;
	const char *why = NULL;
	struct str address = r->conf->admin_http;
	if (g->current && str_eq(address, g->current->conf->admin_http))
		return 0;
	r->admin = NULL;
	int code = address.n ? admin_open(g, address, &r->admin, &why) : 0;
	if (code)
		conf_error(&r->d, node_of(r->conf, "admin", "http"),
		           "admin.http: cannot listen on %.*s: %s", STR_FMT(address), why);
	return code;
}

static void build(struct reload *r)
{
	struct gateway *g = r->g;
	struct stacks *s = stacks_new(r->conf, &host_table, false, &r->d);
	struct contexts *x = contexts_new(r->conf, &r->d);
	int code = s && x ? gateway_bind(g, r->conf, &r->d) : EXIT_CONFIG;
	if (code == 0)
		code = bind_admin(r);
	if (code) {
		contexts_free(x);
		stacks_free(s);
		refuse(r, code);
		return;
	}
	r->gen = gen_new(g->next_id++, steal(&r->conf), s, g->nworkers, released);
	r->gen->owner = g;
	_cleanup_(xfreep) unsigned *ids = xcalloc(r->gen->conf->nlisteners, sizeof(*ids));
	gateway_listener_ids(g, r->gen->conf, ids);
	gen_listen(r->gen, x, ids);
	g->generations++;
	loop_timer_in(g->loop, &r->timer, ATTACH_NS);
	gateway_each(g, attach_worker, attached, r);
}

/* ---- probe ---- */
static void probed(void *arg, bool ok, const char *text)
{
	struct reload *r = arg;
	r->probe = NULL;
	if (ok && r->conf) {
		build(r);
		return;
	}
	if (ok) /* it was mended meanwhile */
		conf_error_at(&r->d, r->g->conf_path, 0,
		              "the file has changed while it was read; reload again");
	if (*text && buf_add(&r->d.text, text, strlen(text)))
		r->d.errors++;
	refuse(r, EXIT_CONFIG);
}

/* ---- check ---- */
static void refused_changes(struct reload *r)
{
	const struct gateway *g = r->g;
	if (!g->current)
		return;
	const struct conf *old = g->current->conf;
	if (r->conf->workers != g->nworkers)
		conf_error(&r->d, node_of(r->conf, NULL, "workers"),
		           "workers: a reload cannot change it from %u to %u; restart", g->nworkers,
		           r->conf->workers);
	if (!str_eq(old->admin_socket, r->conf->admin_socket))
		conf_error(&r->d, node_of(r->conf, "admin", "socket"),
		           "admin.socket: a reload cannot change it; restart");
}

static void probe(struct reload *r)
{
	struct gateway *g = r->g;
	r->probe = probe_start(g->loop, g->conf_path, g->module_dir, probed, r);
	if (!r->probe) {
		conf_error_at(&r->d, g->conf_path, 0, "the probe process cannot be started");
		refuse(r, EXIT_INTERNAL);
	}
}

/* Between two pieces of work that take milliseconds where there are thousands of models or keys: a
 * worker on the same processor would wait for the whole time slice. */
static void make_way(void)
{
	sched_yield();
}

static void load_begin(struct reload *r)
{
	struct gateway *g = r->g;
	r->conf = conf_load(g->conf_path, g->module_dir, &r->d);
	make_way();
	if (r->conf)
		refused_changes(r);
	if (r->conf && r->d.errors) {
		refuse(r, EXIT_CONFIG);
		return;
	}
	if (!r->conf) {
		/* The probe says all of it, what modules find too. */
		conf_diag_deinit(&r->d);
		conf_diag_init(&r->d);
		probe(r);
		return;
	}
	probe_fingerprint(r->conf, r->fingerprint);
	make_way();
	/* At start nothing serves that a crash could hurt. */
	if (!g->current || strcmp(r->fingerprint, g->fingerprint) == 0) {
		build(r);
		return;
	}
	probe(r);
}

void reload_start(struct gateway *g, reload_done_fn *done, void *arg)
{
	struct reload *r = g->reload;
	bool idle = !r;
	if (idle) {
		r = g->reload = xcalloc(1, sizeof(*r));
		r->g = g;
		r->first = !g->current;
		r->admin = g->admin;
		conf_diag_init(&r->d);
		loop_timer_init(&r->timer, attach_late, r);
	}
	/* Who comes while one is under way may have changed the file since: one more load answers
	 * all of them. */
	struct waiter **list = idle ? &r->waiters : &r->queued;
	struct waiter *w = xcalloc(1, sizeof(*w));
	*w = (struct waiter){*list, done ? done : reload_unheard, arg};
	*list = w;
	if (idle)
		load_begin(r);
}

int reload_check(const char *conf_path, const char *module_dir, bool quiet)
{
	struct conf_diag d;
	conf_diag_init(&d);
	struct conf *c = conf_load_wrong(conf_path, module_dir, &d);
	struct stacks *s = c ? stacks_new(c, &host_table, true, &d) : NULL;
	contexts_free(c ? contexts_new(c, &d) : NULL);
	int code = s && d.errors == 0 ? 0 : EXIT_CONFIG;
	if (d.text.n && !(quiet && code == 0))
		fwrite(d.text.p, 1, d.text.n, stderr);
	if (code == 0 && !quiet)
		fprintf(stderr, "%s: ok\n", conf_path);
	stacks_free(s);
	zones_discard();
	sinks_discard();
	conf_free(c);
	conf_diag_deinit(&d);
	return code;
}
