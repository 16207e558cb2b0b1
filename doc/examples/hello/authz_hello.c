/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * authz_hello: a small whole module. It refuses members of the teams that its options list, and it
 * may take its time to do so. It is a helper: it can veto and never grants.
 *
 * The instance owns a copy of the teams and is read-only after create. What one request needs
 * between two calls lives in its slot.
 */
#include <merlon/module.h>

#include <stdlib.h>
#include <string.h>

#define TEXT(s)                                                                                    \
	(struct merlon_str)                                                                        \
	{                                                                                          \
		s, sizeof(s) - 1                                                                   \
	}

struct team {
	char *name;
	uint64_t len;
};
struct instance {
	merlon_ctx *ctx;
	struct team *teams;
	uint32_t nteams;
	uint64_t delay_ms;
	uint32_t refused; /* a metric's id */
};
/* One request's; zeroed when it begins, freed with it. */
struct slot {
	struct instance *in;
	merlon_tx *tx;
	merlon_op *op;
	uint64_t token;
};

static const struct merlon_host *H;

static const struct merlon_option options[] = {
    {"teams", MERLON_OPT_STRLIST, MERLON_OPT_REQUIRED, NULL, NULL, NULL,
     "Teams (id.team) that are refused."},
    {"delay", MERLON_OPT_DURATION, 0, "0", "0..1s", NULL,
     "Time to think, to show how a module waits."},
};

static void hello_destroy(void *inst)
{
	struct instance *in = inst;

	for (uint32_t i = 0; i < in->nteams; i++)
		free(in->teams[i].name);
	free(in->teams);
	free(in);
}

/* Options live until create returns, so what is kept is copied. */
static int copy_teams(struct instance *in, const struct merlon_val *list)
{
	in->teams = calloc(list->count ? list->count : 1, sizeof(*in->teams));
	if (!in->teams)
		return -1;
	for (uint32_t i = 0; i < list->count; i++) {
		const struct merlon_str *s = &list->u.list[i];
		char *name = malloc(s->len + 1);

		if (!name)
			return -1;
		memcpy(name, s->ptr, s->len);
		in->teams[in->nteams++] = (struct team){name, s->len};
	}
	return 0;
}

static int32_t hello_create(merlon_ctx *ctx, const merlon_cfg *cfg, void **inst)
{
	struct merlon_val v;
	struct instance *in = calloc(1, sizeof(*in));

	if (!in)
		return -1;
	in->ctx = ctx;
	if (H->cfg_get(cfg, "teams", &v) != 0 || copy_teams(in, &v) != 0) {
		hello_destroy(in);
		return -1;
	}
	if (in->nteams == 0)
		H->cfg_warn(cfg, "teams", TEXT("refuses nobody"));
	if (H->cfg_get(cfg, "delay", &v) == 0)
		in->delay_ms = (uint64_t)v.u.i64 / 1000000;
	H->metric_define(ctx, MERLON_METRIC_COUNTER, "merlon_authz_hello_refused_total",
	                 "Requests that were refused for their team.", "", &in->refused);
	*inst = in;
	return 0;
}

static int32_t decide(struct instance *in, merlon_tx *tx)
{
	struct merlon_val team;

	if (H->attr_get(tx, TEXT("id.team"), &team) != 0 || team.type != MERLON_VAL_STR)
		return MERLON_IGNORE;
	for (uint32_t i = 0; i < in->nteams; i++) {
		if (in->teams[i].len != team.u.str.len ||
		    memcmp(in->teams[i].name, team.u.str.ptr, team.u.str.len) != 0)
			continue;
		const struct merlon_fail why = {
		    .size = sizeof(why),
		    .text = TEXT("your team may not use this model now"),
		    .detail = TEXT("the team is listed"),
		};
		H->fail(in->ctx, tx, &why);
		H->policy(in->ctx, tx, team.u.str);
		H->metric_add(in->ctx, in->refused, NULL, 1);
		return MERLON_DENIED;
	}
	return MERLON_OK;
}

/* ---- waiting: suspend, do something that calls back, resume with the answer ---- */
static void time_is_up(void *arg)
{
	const struct slot *slot = arg;

	H->resume(slot->token, decide(slot->in, slot->tx));
}

static int32_t hello_check(void *inst, void *worker, merlon_tx *tx, uint32_t group)
{
	struct instance *in = inst;
	struct slot *slot = H->tx_slot(in->ctx, tx);

	(void)worker;
	(void)group;
	if (in->delay_ms == 0)
		return decide(in, tx);
	slot->in = in;
	slot->tx = tx;
	if (H->suspend(in->ctx, tx, 0, &slot->token) != 0)
		return MERLON_ERROR;
	if (H->timer(in->ctx, H->tx_worker(tx), tx, in->delay_ms, time_is_up, slot, &slot->op) != 0)
		H->resume(slot->token, MERLON_UNAVAIL);
	return MERLON_PENDING;
}

/* Nobody waits for the answer any more: the client has gone, or the line's time is up. */
static void hello_cancel(void *inst, void *worker, merlon_tx *tx, uint64_t token, uint32_t reason)
{
	const struct instance *in = inst;
	struct slot *slot = H->tx_slot(in->ctx, tx);

	(void)worker;
	(void)token;
	H->op_cancel(slot->op);
	if (reason == MERLON_CANCEL_TIMEOUT)
		H->log(in->ctx, tx, MERLON_LOG_WARN, TEXT("did not answer in time"));
}

static const char *const reads[] = {"id.team", NULL};

static const struct merlon_module module = {
    .size = sizeof(module),
    .major = MERLON_ABI_MAJOR,
    .minor = MERLON_ABI_MINOR,
    .least_minor = 0,
    .groups = MERLON_AUTHZ,
    .codes = MERLON_BIT(MERLON_OK) | MERLON_BIT(MERLON_IGNORE) | MERLON_BIT(MERLON_DENIED) |
             MERLON_BIT(MERLON_UNAVAIL) | MERLON_BIT(MERLON_ERROR),
    .slot_size = sizeof(struct slot),
    .option_size = sizeof(struct merlon_option),
    .option_count = sizeof(options) / sizeof(options[0]),
    .name = "authz_hello",
    .version = "1.0",
    .license = "Apache-2.0",
    .summary = "Refuses members of listed teams.",
    .options = options,
    .reads = reads,
    .create = hello_create,
    .destroy = hello_destroy,
    .check = hello_check,
    .cancel = hello_cancel,
};
MERLON_MODULE(module, H, 0, 0, MERLON_AUTHZ)
