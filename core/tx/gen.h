/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A generation: one loaded configuration with its stacks, routes and, on each worker, its
 * upstreams. Every tx keeps the one it began with. Workers count their own references without
 * atomics; when a worker's count falls to zero it stops the generation's instances there. HTTP
 * calls that others still wait for may hold its upstreams for longer; the last worker without
 * either hands the generation back to the control thread.
 */
#ifndef TX_GEN_H
#define TX_GEN_H

#include <stdatomic.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "net/listener.h"
#include "stack/stack.h"
#include "tx/contexts.h"
#include "tx/models.h"
#include "upstream/pool.h"

struct worker;
struct generation;

/* A listener of the configuration, over a socket of the process. */
struct gen_listener {
	unsigned id;         /* the socket's */
	struct tls_ctx *tls; /* NULL: plain */
	struct stat *shaken; /* merlon_tls_handshakes_total{listener,result} */
	struct stat *failed;
};
struct gen_route {
	const struct conf_route *conf;
	const struct stack *stack;
	unsigned upstream;            /* index into conf->upstreams */
	struct stat *seconds;         /* merlon_request_duration_seconds */
	struct stat_family *requests; /* merlon_requests_total{route,status,code} */
	struct stat *ok;              /* its commonest series, found ahead of time */
};
/* Lines of a request's head that the configuration alone says, written once. (forward.c) */
struct forward_lines {
	struct buf host;
	struct buf own; /* the upstream's headers: secrets */
	int r;          /* not 0: they cannot be sent */
};
void forward_lines_init(struct forward_lines *l, const struct conf_upstream *u);
void forward_lines_deinit(struct forward_lines *l); /* wiped too */
struct gen_worker {
	/* Every request counts itself in and out here: workers share no line. */
	_Alignas(CACHE_LINE) struct generation *gen;
	struct worker *worker;
	struct upstream *upstreams;
	unsigned refs;  /* one for being current, one a tx; without any the instances stop */
	unsigned holds; /* one while there are refs, one a call; without any the upstreams go */
};
struct generation {
	uint64_t id;
	struct conf *conf;
	struct stacks *stacks;
	const struct stack *fallback; /* NULL: there is no stack at all */
	struct gen_route *routes;     /* in the order of lookup: exact hosts, wildcards, none; exact
	                                 paths, longest prefix */
	unsigned nroutes;
	struct models *models;
	struct forward_lines *lines;    /* by upstream */
	struct gen_route nowhere;       /* counts what was refused before a route was known */
	struct gen_listener *listeners; /* in the conf's order; NULL: there are no sockets */
	struct contexts *contexts;      /* NULL: nobody is reached by TLS */
	struct net_prefix *trusted;
	unsigned ntrusted;
	unsigned nworkers;
	struct gen_worker w[WORKERS_MAX];
	void *owner;      /* the process's, core/daemon */
	atomic_uint live; /* one for the control thread, one each worker that has not let go */
	void (*released)(struct generation *g); /* the last has: called on that worker's thread */
};
/* Takes conf and stacks. Control thread. */
struct generation *gen_new(uint64_t id, struct conf *conf, struct stacks *stacks, unsigned nworkers,
                           void (*released)(struct generation *g));
/* Before workers attach: takes the contexts; ids are those of the listeners' sockets. */
void gen_listen(struct generation *g, struct contexts *x, const unsigned *ids);
/* NULL: the generation does not know the socket. */
const struct gen_listener *gen_listener(const struct generation *g, unsigned id);
/* The control thread lets go: another generation is published, or this one was refused. */
void gen_control_unref(struct generation *g);
/* Control thread, after `released`. */
void gen_free(struct generation *g);
/* On the worker: starts the instances there. 0, or -1 and the module's name. */
int gen_attach(struct generation *g, struct worker *w, const char **module) MUST_CHECK;
/* On the worker: makes it the current one, and lets go of the one before. */
void gen_switch(struct generation *g, struct worker *w);
/* On the worker: undoes gen_attach() of a generation that was never switched to. */
void gen_detach(struct generation *g, struct worker *w);
struct gen_worker *gen_ref(struct gen_worker *gw);
void gen_unref(struct gen_worker *gw);
/* Keeps upstreams and configuration, but not the instances. */
struct gen_worker *gen_hold(struct gen_worker *gw);
void gen_let_go(struct gen_worker *gw);
/* Whether this is one of trusted_proxies. */
bool gen_trusts(const struct generation *g, const struct sockaddr *sa);
/* The route of host (lower case, without port; may be empty) and canonical path; NULL: none. */
const struct gen_route *gen_route(const struct generation *g, struct str host, struct str path);
/* The model catalogue's entry for a model's name: exact, else the longest matching glob; NULL:
 * none. */
const struct conf_model *gen_model(const struct generation *g, struct str model);

#endif
