/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The half of the fake host that waits: suspensions, timers, HTTP calls, streams, metrics and
 * shared objects. Nothing happens by itself: a module's call is noted down, and the test lets it
 * end, in any order, with any answer. Everything is forgotten at fake_reset().
 */
#ifndef COMMON_FAKENET_H
#define COMMON_FAKENET_H

#include "common/text.h"

#define FAKE_WAITS 4096
#define FAKE_OPS 4096
#define FAKE_STREAMS 8
#define FAKE_SENT 4096
#define FAKE_METRICS 32

struct merlon_worker {
	unsigned index;
};
extern struct merlon_worker fake_worker; /* of every tx */

/* ---- suspend and resume ---- */
struct fake_wait {
	merlon_tx *tx;
	uint32_t timeout_ms;
	int32_t code; /* of the first resume; 0: none yet */
};
extern struct fake_wait fake_waits[FAKE_WAITS]; /* by token - 1 */
extern unsigned fake_nwaits;
extern int32_t fake_suspend_answer; /* what suspend() answers when it is not 0 */
/* What the tx's last suspension was resumed with; 0: it waits, or never was suspended. */
int32_t fake_resumed(const merlon_tx *tx);

/* ---- what is under way: one row a call of timer(), http_call(), stream_call(), in their order --
 */
enum fake_kind { FAKE_TIMER, FAKE_HTTP, FAKE_STREAM };
struct fake_op {
	enum fake_kind kind;
	int over; /* done, or cancelled */
	int cancelled;
	merlon_tx *tx;
	uint32_t timeout_ms;
	void *arg;
	/* a timer */
	merlon_timer_fn timer;
	uint64_t at; /* ns on fake_now[0] */
	/* an HTTP call; texts are copies, with a NUL behind each */
	merlon_http_fn http;
	struct merlon_http_request req;
	/* a stream's call */
	merlon_stream_fn stream_fn;
	merlon_stream *stream;
	struct merlon_str bytes;
};
extern struct fake_op fake_ops[FAKE_OPS];
extern unsigned fake_nops;
/* The n-th (from 0) op of that kind that is not over; NULL: there is none. */
struct fake_op *fake_open(enum fake_kind kind, unsigned n);
unsigned fake_count(enum fake_kind kind); /* how many are not over */
/* Moves the monotonic clock on by ms and fires the timers that are due by then, in order. */
void fake_advance(uint64_t ms);
/* Ends what belongs to the tx, as the host does when a tx ends: nothing is called. */
void fake_tx_cancel(const merlon_tx *tx);

/* ---- HTTP calls ---- */
extern int32_t fake_http_answer_now; /* what http_call() answers when it is not 0 */
void fake_http_answer(struct fake_op *op, uint32_t status, const struct merlon_header *headers,
                      uint32_t nheaders, const char *body);
void fake_http_fail(struct fake_op *op, int32_t error, const char *detail);

/* ---- streams ---- */
struct merlon_stream {
	struct merlon_stream_ops ops; /* texts are copies */
	int32_t state;                /* MERLON_STREAM_*; UP when it is opened */
	int32_t answer;               /* what send, call and ready answer when it is not 0 */
	void *dec;                    /* of fake_stream_reply() */
	struct merlon_str sent[FAKE_SENT];
	unsigned nsent;
	uint64_t lost; /* sends that were refused */
};
extern merlon_stream fake_streams[FAKE_STREAMS]; /* in the order of opening */
extern unsigned fake_nstreams;
extern int32_t fake_stream_open_answer;
/* Lets a call end with what the bytes decode to; they must be one whole message. */
void fake_stream_reply(struct fake_op *op, struct merlon_str bytes);
/* Lets it end with an error (msg NULL), or with a message of the test's own, which stays its own.
 */
void fake_stream_done(struct fake_op *op, int32_t error, const void *msg);
/* The bytes as answers to the greeting, on a decoder of their own: what greeted() said of the first
 * that it refused, else 0; -1: the bytes are nonsense or not as many messages as announced. */
int32_t fake_stream_greeted(merlon_stream *s, struct merlon_str bytes);
/* What lost() writes; its length. */
uint64_t fake_stream_lost(merlon_stream *s, uint64_t count, int64_t time_us, char *buf,
                          uint64_t cap);

/* ---- metrics ---- */
/* The sum over all labels; with label values joined by ',' only that series. */
int64_t fake_metric(const char *name, const char *labels);

/* ---- the host functions, for fakehost.c ---- */
void fakenet_reset(void);
merlon_worker *fakenet_tx_worker(merlon_tx *tx);
int32_t fakenet_suspend(merlon_ctx *ctx, merlon_tx *tx, uint32_t timeout_ms, uint64_t *token);
void fakenet_resume(uint64_t token, int32_t code);
int32_t fakenet_timer(merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx, uint64_t ms,
                      merlon_timer_fn fn, void *arg, merlon_op **op);
void fakenet_op_cancel(merlon_op *op);
int32_t fakenet_metric_define(merlon_ctx *ctx, int32_t kind, const char *name, const char *help,
                              const char *labels, uint32_t *id);
void fakenet_metric_add(merlon_ctx *ctx, uint32_t id, const struct merlon_str *label_values,
                        int64_t by);
int32_t fakenet_shared_get(merlon_ctx *ctx, struct merlon_str key, merlon_build_fn build,
                           merlon_free_fn free_fn, void *arg, merlon_shared **out);
void *fakenet_shared_ptr(merlon_shared *obj);
void fakenet_shared_put(merlon_shared *obj);
int32_t fakenet_http_call(merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx,
                          const struct merlon_http_request *req, merlon_http_fn done, void *arg,
                          merlon_op **op);
int32_t fakenet_stream_open(merlon_ctx *ctx, const merlon_cfg *cfg,
                            const struct merlon_stream_ops *ops, merlon_stream **out);
int32_t fakenet_stream_send(merlon_stream *stream, merlon_tx *tx, struct merlon_str bytes);
int32_t fakenet_stream_call(merlon_stream *stream, merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx,
                            struct merlon_str bytes, uint32_t timeout_ms, merlon_stream_fn done,
                            void *arg, merlon_op **op);
int32_t fakenet_stream_state(merlon_stream *stream, merlon_worker *w);
int32_t fakenet_stream_ready(merlon_stream *stream, merlon_tx *tx, uint64_t room);

#endif
