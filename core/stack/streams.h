/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Streams: connections to one endpoint that the host keeps for modules, one a worker. A stream is
 * known by all its settings and belongs to the process; instances of every generation that opened
 * the same thing hold it, so that an unchanged reload does not reconnect (ADR 16).
 */
#ifndef STACK_STREAMS_H
#define STACK_STREAMS_H

#include "stack/ledger.h"

#define STREAMS_INSTANCE_MAX 8

/* What an instance holds; written in create only. */
struct stream_holds {
	struct merlon_stream *v[STREAMS_INSTANCE_MAX];
	unsigned n;
};

/* Around an instance's time on a worker: the first begins to connect, the last lets the connection
 * go when what is queued has been written, at most a second later. On the worker. */
void streams_worker_start(struct merlon_ctx *ctx, struct merlon_worker *w);
void streams_worker_stop(struct merlon_ctx *ctx, struct merlon_worker *w);
/* Writes what is still queued, for at most that second, and closes. When the worker's loop has
 * ended, on whatever thread ends the worker. */
void streams_worker_finish(struct merlon_worker *w);

/* Host functions (module.h). */
int32_t host_stream_open(merlon_ctx *ctx, const merlon_cfg *cfg,
                         const struct merlon_stream_ops *ops, merlon_stream **out);
int32_t host_stream_send(merlon_stream *stream, merlon_tx *tx, struct merlon_str bytes);
int32_t host_stream_call(merlon_stream *stream, merlon_ctx *ctx, merlon_worker *w, merlon_tx *tx,
                         struct merlon_str bytes, uint32_t timeout_ms, merlon_stream_fn done,
                         void *arg, merlon_op **op);
int32_t host_stream_state(merlon_stream *stream, merlon_worker *w);
int32_t host_stream_ready(merlon_stream *stream, merlon_tx *tx, uint64_t room);

#endif
