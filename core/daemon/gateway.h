/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The process: N worker threads, the control thread (this one), the writer of the sinks and the
 * pool for offloaded work. Owns workers, listening sockets and the current generation.
 */
#ifndef DAEMON_GATEWAY_H
#define DAEMON_GATEWAY_H

#include <pthread.h>

#include "base/hash.h"
#include "net/listener.h"
#include "tx/peers.h"
#include "tx/worker.h"

/* Exit codes (design §5). */
#define EXIT_USAGE 64
#define EXIT_ADDRESS 69
#define EXIT_INTERNAL 70
#define EXIT_FILE 74
#define EXIT_CONFIG 78

#define OFFLOAD_THREADS 4
#define OFFLOAD_QUEUE 256
/* Slots of stats_thread(): workers, then the control thread, the writer, the pool. */
#define SLOT_CONTROL WORKERS_MAX
#define SLOT_WRITER (WORKERS_MAX + 1)
#define SLOT_POOL (WORKERS_MAX + 2)

/* An address Merlon accepts on. It belongs to the process, so that generations come and go over it.
 */
struct gateway_listener {
	struct list node;
	unsigned id; /* never used again */
	char *address;
	struct net_addr addr;
	atomic_bool half_close; /* as the newest generation has it */
	bool wanted;            /* by the generation that is being loaded */
	struct gateway_accept {
		struct gateway_listener *l;
		struct worker *w;
		struct listener *ln;    /* used on its worker alone */
		struct gen_listener as; /* likewise: as the newest generation has it, tls a ref */
		int fd;
	} at[WORKERS_MAX];
};
struct gateway {
	const char *conf_path;
	const char *module_dir; /* -m, or NULL */
	struct loop *loop;
	unsigned nworkers;
	struct worker *workers;
	pthread_t threads[WORKERS_MAX];
	struct offload *offload;
	struct memory_budget memory;
	atomic_uint connections;
	atomic_uint connections_max;
	struct peers peers;             /* connections by client address */
	struct list listeners;          /* changed by the control thread, walked by workers too: */
	pthread_mutex_t listeners_lock; /* never on a request's way */
	struct generation *current;
	uint64_t next_id;
	unsigned next_listener;
	unsigned generations; /* alive */
	bool finished;        /* every worker has let go of the last one */
	bool ended;           /* and so have all generations */
	bool draining;
	unsigned drained; /* workers without connections */
	struct loop_timer drain_timer;
	struct loop_timer ticket_timer;
	struct reload *reload;            /* under way, or NULL */
	char fingerprint[SHA256_HEX + 1]; /* of the modules and options that serve */
	struct reload_result {
		bool any;
		bool ok;
		uint64_t at_us;
		char *text; /* warnings, or why it was refused */
	} last;
	struct control *control;
	struct admin *admin;
	struct stat *stat_generation;
	struct stat *stat_reload_ok;
	struct stat *stat_reload_refused;
	struct stat *stat_over; /* connections closed for connections_per_address */
	int exit_code;
};

/* Runs until the end of the process's service. notify(arg, exit code) is called once, when it
 * serves (0) or has failed to start. Returns the exit code. */
int gateway_run(struct gateway *g, const char *conf_path, const char *module_dir,
                void (*notify)(void *arg, int code), void *arg);
/* Stops accepting, lets running requests end, then returns from gateway_run(). A second call ends
 * now. */
void gateway_drain(struct gateway *g);
/* Runs fn(arg, worker) on every worker's thread, then done(arg) on the control thread. */
void gateway_each(struct gateway *g, void (*fn)(void *arg, struct worker *w),
                  void (*done)(void *arg), void *arg);
/* Binds what `c` wants and is not bound yet. 0, or an exit code; errors in d. Nothing accepts yet.
 */
/* What a generation sets for the whole process. */
void gateway_apply(struct gateway *g, const struct conf *c);
int gateway_bind(struct gateway *g, const struct conf *c, struct conf_diag *d);
/* The id of each listener of `c`, which are bound. */
void gateway_listener_ids(struct gateway *g, const struct conf *c, unsigned *ids);
/* On every worker: starts listeners that are wanted, stops those that are not. On the control
 * thread afterwards. */
void gateway_listen(struct gateway *g, struct worker *w);
void gateway_unbind(struct gateway *g);
/* A generation has gone. */
void gateway_released(struct gateway *g);

#endif
