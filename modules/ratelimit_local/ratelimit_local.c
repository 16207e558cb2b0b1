/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * ratelimit_local: how much one key may ask for on this machine. Counts live in a zone of the
 * host's, so they outlive a reload; the instance holds the line's options, read-only after create.
 * All arithmetic is shared with ratelimit_redis (modules/common/ratelimit.h).
 */
#include "common/ratelimit.h"

#include <stdlib.h>

static const struct merlon_host *H;

static const struct merlon_option options[] = {RATELIMIT_OPTIONS};

static void destroy(void *inst)
{
	ratelimit_free(inst);
	free(inst);
}

static int32_t create(merlon_ctx *ctx, const merlon_cfg *cfg, void **inst)
{
	struct ratelimit *rl = mem_new(1, sizeof(*rl));

	if (ratelimit_read(H, ctx, cfg, rl) != 0 || ratelimit_open(rl, cfg) != 0) {
		destroy(rl);
		return -1;
	}
	*inst = rl;
	return 0;
}

static int32_t check(void *inst, void *w, merlon_tx *tx, uint32_t group)
{
	const struct ratelimit *rl = inst;
	struct ratelimit_ask *a = H->tx_slot(rl->ctx, tx);
	int32_t code = ratelimit_begin(rl, tx, a);

	(void)w;
	(void)group;
	if (code == 0)
		code = ratelimit_count(rl, tx, a);
	return code != 0 ? code : ratelimit_answer(rl, tx, a);
}

static void settle(void *inst, void *w, merlon_tx *tx, const struct merlon_summary *summary)
{
	const struct ratelimit *rl = inst;

	(void)w;
	ratelimit_settle(rl, tx, H->tx_slot(rl->ctx, tx), summary);
}

/* What `key` names cannot stand here; in the auth group id.* is not known yet, and not asked for.
 */
static const char *const reads[] = {"net.source", NULL};

static const struct merlon_module module = {
    .size = sizeof(struct merlon_module),
    .major = MERLON_ABI_MAJOR,
    .minor = MERLON_ABI_MINOR,
    .groups = MERLON_AUTH | MERLON_AUTHZ | MERLON_RATELIMIT,
    .codes = MERLON_BIT(MERLON_OK) | MERLON_BIT(MERLON_IGNORE) | MERLON_BIT(MERLON_LIMITED) |
             MERLON_BIT(MERLON_UNAVAIL) | MERLON_BIT(MERLON_ERROR),
    .slot_size = sizeof(struct ratelimit_ask),
    .option_size = sizeof(struct merlon_option),
    .option_count = sizeof(options) / sizeof(options[0]),
    .name = "ratelimit_local",
    .version = MODULE_VERSION,
    .license = "Apache-2.0",
    .summary = "Limits of requests and concurrency by key, counted on this machine.",
    .options = options,
    .reads = reads,
    .create = create,
    .destroy = destroy,
    .check = check,
    .settle = settle,
};

MERLON_MODULE(module, H, 0, 0, MERLON_AUTH | MERLON_AUTHZ | MERLON_RATELIMIT)
