/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What the unit tests of ratelimit_redis share: a line over the fake host, its requests, and the
 * other end of its stream.
 */
#ifndef RATELIMIT_REDIS_LINE_H
#define RATELIMIT_REDIS_LINE_H

#include "common/fakehost.h"
#include "common/fakenet.h"
#include "resp.h"
#include "script.h"
#include "server.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>

#define MS UINT64_C(1000000)
#define REDIS_NOW INT64_C(1795000000000000)

static const struct merlon_module *m;
static merlon_ctx ctx = {
    .stack = "default", .group = "ratelimit", .line = "rl", .module = "ratelimit_redis"};
static void *inst, *w;

static inline int32_t open_line(const char *options)
{
	m = merlon_module_v1(&fake_host);
	merlon_cfg *cfg = fake_cfg(m, options);
	int32_t r = m->create(&ctx, cfg, &inst);
	fake_cfg_free(cfg);
	return r;
}

static inline void open_new(const char *options)
{
	char text[2048];

	fake_reset();
	fake_now[0] = 1000000 * MS;
	ctx.probing = 0;
	snprintf(text, sizeof(text), "server = \"127.0.0.1:6379\"; %s", options);
	CU_ASSERT_EQUAL_FATAL(open_line(text), 0);
	CU_ASSERT_EQUAL_FATAL(m->worker_start(inst, &fake_worker, &w), 0);
}

static inline void close_line(void)
{
	m->worker_stop(inst, &fake_worker, w);
	m->destroy(inst);
}

static inline merlon_tx *tx_of(const char *sub)
{
	merlon_tx *tx = fake_tx_new();

	fake_attr(tx, "id.sub", sub);
	return tx;
}

static inline int32_t check(merlon_tx *tx)
{
	return m->check(inst, w, tx, MERLON_RATELIMIT);
}

static inline void finish_as(merlon_tx *tx, uint32_t end, uint32_t status)
{
	const struct merlon_summary s = {.size = sizeof(s), .end = end, .http_status = status};

	m->settle(inst, w, tx, &s);
	fake_tx_cancel(tx);
	fake_tx_free(tx);
}

static inline void finish(merlon_tx *tx)
{
	finish_as(tx, MERLON_END_SUCCESS, 200);
}

/* Argument i of a command as it was sent. */
static inline struct merlon_str arg_of(struct merlon_str bytes, unsigned i)
{
	const char *p = memchr(bytes.ptr, '\n', bytes.len);

	for (;; i--) {
		char *end;
		const uint64_t n = strtoull(p + 2, &end, 10);
		if (i == 0)
			return (struct merlon_str){end + 2, n};
		p = end + 2 + n + 1;
	}
}

static inline int64_t number(const struct fake_op *op, enum script_arg which)
{
	return strtoll(arg_of(op->bytes, 4 + (unsigned)which).ptr, NULL, 10);
}

static inline struct fake_op *call(unsigned n)
{
	struct fake_op *op = fake_open(FAKE_STREAM, n);

	CU_ASSERT_PTR_NOT_NULL_FATAL(op);
	return op;
}

static inline void say(struct fake_op *op, const char *bytes)
{
	fake_stream_reply(op, txt_of(bytes));
}

/* An answer with these numbers after nonce and time. */
static inline void answer(struct fake_op *op, int why, int tightest, int64_t wait,
                          int64_t remaining, int64_t reset, int64_t slot)
{
	char text[512];

	snprintf(text, sizeof(text),
	         "*8\r\n:%lld\r\n:%lld\r\n:%d\r\n:%d\r\n:%lld\r\n:%lld\r\n:%lld\r\n:%lld\r\n",
	         (long long)number(op, ARG_NONCE), (long long)REDIS_NOW, why, tightest,
	         (long long)wait, (long long)remaining, (long long)reset, (long long)slot);
	say(op, text);
}

static inline void pass(struct fake_op *op, int64_t slot)
{
	const bool asks = number(op, ARG_WHAT) < SCRIPT_RENEW;

	answer(op, RATELIMIT_PASS, asks ? 0 : -1, 0, asks ? 4 : 0, asks ? 60000000 : 0, slot);
}

#endif
