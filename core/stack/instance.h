/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Instances: one module on one line of one stack of one generation. The hook calls of the host go
 * through here, so that time is measured, nonsense answers are errors, and a crash report can name
 * the module.
 */
#ifndef STACK_INSTANCE_H
#define STACK_INSTANCE_H

#include "base/stats.h"
#include "conf/conf.h"
#include "stack/ledger.h"
#include "stack/module.h"
#include "stack/options.h"
#include "stack/streams.h"

/* What an instance has under way on one worker. Workers share no line. */
struct ctx_work {
	_Alignas(CACHE_LINE) struct list ops;
	unsigned nops;
};

struct merlon_ctx {
	struct build *build;
	const struct merlon_module *m;
	const struct conf_line *line;
	struct str stack; /* names; in the generation's arena */
	enum conf_group group;
	void *inst; /* what create made */
	bool created;
	bool probing;
	void *w[WORKERS_MAX]; /* worker contexts */
	bool started[WORKERS_MAX];
	struct ctx_work *work; /* by worker: WORKERS_MAX of them */
	struct digest_key {    /* digest_want(): */
		bool wanted;
		struct str key; /* wiped with the arena; empty: plain SHA-256 */
	} digest;
	int status_on_bad_credential;  /* 401 or 403 */
	char hash[SHA256_HEX + 1];     /* of build and options: the same hash, the same behaviour */
	struct stat *seconds;          /* merlon_module_seconds{stack,line} */
	struct conf_diag *diag;        /* while create runs */
	struct arena *arena;           /* of the generation */
	struct list shared;            /* shared objects and zones it holds, put back at destroy */
	struct stream_holds streams;   /* likewise */
	struct merlon_metric *metrics; /* METRICS_MAX once the first is defined */
	struct opt_upstream *upstreams; /* what its options name; nothing else can be called */
	unsigned nupstreams;
	void *owner; /* the generation, core/tx; NULL until there is one */
	unsigned nmetrics;
};
#define METRICS_MAX 32 /* an instance */

/* Checks the options and calls create. NULL: errors in d. Control thread. `a` is the generation's
 * arena and outlives the instance. */
struct merlon_ctx *instance_new(struct build *b, const struct conf_line *line, struct str stack,
                                enum conf_group g, bool probing, struct arena *a,
                                struct conf_diag *d);
/* 0 or -1 (the module refused). On the worker's thread. */
int instance_worker_start(struct merlon_ctx *ctx, struct merlon_worker *w) MUST_CHECK;
void instance_worker_stop(struct merlon_ctx *ctx,
                          struct merlon_worker *w); /* cancels its work on w first */
void instance_retire(struct merlon_ctx *ctx);
void instance_destroy(
    struct merlon_ctx *ctx); /* after every worker_stop; the memory stays with the arena */

/* Hook calls. Each answers a code of the descriptor's list, or MERLON_PENDING after a suspend();
 * anything else the module says becomes MERLON_ERROR (and is logged, rate limited). A missing hook:
 * IGNORE for head, body, audit_open and audit_close; ERROR for check. A hook over 10 ms is logged
 * with the module's name. REPLY without reply() is ERROR. */
int32_t hook_check(struct merlon_ctx *ctx, merlon_tx *tx, uint32_t group);
int32_t hook_head(struct merlon_ctx *ctx, merlon_tx *tx, int32_t dir);
int32_t hook_body(struct merlon_ctx *ctx, merlon_tx *tx, int32_t dir, struct str chunk,
                  uint32_t flags);
int32_t hook_audit_open(struct merlon_ctx *ctx, merlon_tx *tx);
int32_t hook_audit_close(struct merlon_ctx *ctx, merlon_tx *tx);
void hook_settle(struct merlon_ctx *ctx, merlon_tx *tx, const struct merlon_summary *s);
void hook_cancel(struct merlon_ctx *ctx, merlon_tx *tx, uint64_t token, uint32_t reason);
/* Whether the calling thread's hooks follow each other with no work between, from here on: then the
 * end of one is the beginning of the next, and the clock is read once for both. */
void hooks_together(bool on);
/* A code as it counts: what the descriptor does not list, TIMEOUT, and REPLY without a reply are
 * MERLON_ERROR (logged, rate limited). For answers that come by resume() too. */
int32_t hook_answer(struct merlon_ctx *ctx, merlon_tx *tx, int32_t code);
/* "module/hook" that the calling thread is in, for crash reports; empty outside. Async-signal-safe.
 */
const char *hook_breadcrumb(void);
/* For hooks that are called outside a tx (create, worker_start, ...). */
struct crumb {
	const char *module;
	const char *hook;
};
struct crumb hook_enter_crumb(const struct merlon_ctx *ctx, const char *hook);
void hook_leave_crumb(struct crumb before);
struct str code_text(int code);  /* "OK"; "?" for no code */
const char *code_name(int code); /* likewise */
int code_of(struct str name);    /* 0: no such code */

/* The clock of the calling worker's loop, for now(); counted, one start and stop an instance. */
void facts_thread_start(struct loop *l);
void facts_thread_stop(void);

/* Host functions that belong to instances (module.h). */
struct merlon_str host_ctx_info(merlon_ctx *ctx, int32_t what);
int32_t host_probing(merlon_ctx *ctx);
uint64_t host_now(int32_t clock);
int32_t host_metric_define(merlon_ctx *ctx, int32_t kind, const char *name, const char *help,
                           const char *labels, uint32_t *id);
void host_metric_add(merlon_ctx *ctx, uint32_t id, const struct merlon_str *label_values,
                     int64_t by);
void *host_tx_alloc(merlon_tx *tx, uint64_t size);
void *host_tx_slot(merlon_ctx *ctx, merlon_tx *tx);
merlon_worker *host_tx_worker(merlon_tx *tx);
int32_t host_attr_get(merlon_tx *tx, struct merlon_str key, struct merlon_val *out);
int32_t host_attr_set(merlon_ctx *ctx, merlon_tx *tx, struct merlon_str key,
                      const struct merlon_val *val);
int32_t host_attr_each(merlon_tx *tx, struct merlon_str prefix, merlon_attr_fn fn, void *arg);
int32_t host_digest_want(merlon_ctx *ctx, struct merlon_str key);

#endif
