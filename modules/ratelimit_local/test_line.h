/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A line of ratelimit_local on the fake host, and requests to it. For the module's tests only.
 */
#ifndef RATELIMIT_LOCAL_TEST_LINE_H
#define RATELIMIT_LOCAL_TEST_LINE_H

#include "common/fakehost.h"

#include "unit/unit.h"

#define S UINT64_C(1000000000)

static const struct merlon_module *m;
static merlon_ctx ctx = {
    .stack = "default", .group = "ratelimit", .line = "rl", .module = "ratelimit_local"};
static void *inst;

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
	fake_reset();
	fake_now[0] = 1000 * S;
	ctx.group = "ratelimit";
	CU_ASSERT_EQUAL_FATAL(open_line(options), 0);
}

static inline merlon_tx *tx_of(const char *sub, const char *tier, const char *source)
{
	merlon_tx *tx = fake_tx_new();

	if (sub)
		fake_attr(tx, "id.sub", sub);
	if (tier)
		fake_attr(tx, "id.tier", tier);
	if (source)
		fake_attr(tx, "net.source", source);
	return tx;
}

static inline void finish(merlon_tx *tx)
{
	const struct merlon_summary s = {.size = sizeof(s), .end = MERLON_END_SUCCESS};

	m->settle(inst, NULL, tx, &s);
	fake_tx_free(tx);
}

/* One whole request. */
static inline int32_t ask(const char *sub, const char *tier, const char *source)
{
	merlon_tx *tx = tx_of(sub, tier, source);
	int32_t code = m->check(inst, NULL, tx, MERLON_RATELIMIT);

	finish(tx);
	return code;
}

/* How many of n requests at this moment pass. */
static inline unsigned burst_of(unsigned n, const char *sub, const char *tier)
{
	unsigned ok = 0;

	for (unsigned i = 0; i < n; i++)
		ok += ask(sub, tier, "192.0.2.1") == MERLON_OK;
	return ok;
}

#endif
