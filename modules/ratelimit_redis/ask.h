/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * One call of the script: sent, answered, judged. An asker is what a worker keeps for a line: its
 * calls under way, its circuit breaker, and how far Redis' clock is from ours. It belongs to the
 * worker's thread.
 */
#ifndef RATELIMIT_REDIS_ASK_H
#define RATELIMIT_REDIS_ASK_H

#include "script.h"
#include "server.h"

/* What a line wants of its calls; of its instance. */
struct ask_rules {
	const struct merlon_host *host;
	merlon_ctx *ctx;
	struct server server;
	struct merlon_str prefix;      /* of every key */
	uint64_t deadline;             /* ns */
	uint32_t failures;             /* that open the circuit */
	uint64_t open;                 /* ns for which it stays open */
	const char *instead;           /* what happens to requests without Redis, for the log */
	uint32_t calls, loads, opened; /* metrics */
};
int ask_metrics(struct ask_rules *r);

struct call {
	struct call *next, **self; /* in the asker's list */
	struct asker *asker;
	/* answer: SCRIPT_ANSWERS numbers; or NULL, and why. The call is gone after it. */
	void (*done)(struct call *c, const int64_t *answer, const char *why);
	void *owner; /* NULL: nobody waits any more */
	int64_t args[SCRIPT_ARGS];
	uint64_t began, sent; /* ns */
	unsigned tries;
	bool in_time; /* worth nothing after the deadline: then it is not to be done either */
	uint64_t keylen;
	char key[]; /* prefix and all */
};
struct asker {
	const struct ask_rules *rules;
	merlon_worker *worker;
	struct call *calls;
	/* the circuit breaker */
	uint32_t fails;
	uint64_t open_until, trial_until;
	/* Redis' clock minus ours, in us, as the last answer had it: what its way took on top, so
	 * never too little */
	int64_t offset;
	bool clock_known;
	bool loading;  /* SCRIPT LOAD is under way */
	bool failing;  /* the log has said so */
	uint64_t said; /* when */
};

void asker_init(struct asker *a, const struct ask_rules *rules, merlon_worker *worker);
/* Frees what was under way: the host has cancelled it. */
void asker_deinit(struct asker *a);
/* Whether a request may wait for an answer now; false: the circuit is open. */
bool asker_admits(struct asker *a);
/* A call of the script, to be filled in and sent. */
struct call *call_new(struct asker *a, struct merlon_str key);
/* 0: done() will be called, never from within. -1: it is gone, and *why says why; the failure has
 * been noted. */
int call_send(struct call *c, const char **why);

/* ---- for the fuzzer ---- */
/* Whether an answer has the form of one to these arguments. */
bool answer_fits(const struct resp *r, const int64_t args[SCRIPT_ARGS]);

#endif
