/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * authz_abac: may this identity do that, by policies over the attributes of who asks, of what is
 * asked for and of the circumstances. The instance owns the compiled policies, read-only after
 * create; a decision allocates nothing.
 */
#include "policy.h"

#include <stdlib.h>

struct instance {
	merlon_ctx *ctx;
	struct policies policies;
};

static const struct merlon_host *H;

/* ---- options ---- */
static const struct merlon_option options[] = {
    {"policy_file", MERLON_OPT_CONFFILE, MERLON_OPT_REQUIRED, NULL, NULL, policy_rows,
     "File of the policies."},
};

static void destroy(void *inst)
{
	struct instance *in = inst;

	policies_free(&in->policies);
	free(in);
}

static int32_t create(merlon_ctx *ctx, const merlon_cfg *cfg, void **inst)
{
	const merlon_cfg *file = H->cfg_at(cfg, "policy_file", 0);
	struct instance *in;

	if (!file)
		return -1; /* required: the host has said so */
	in = mem_new(1, sizeof(*in));
	in->ctx = ctx;
	if (policies_read(H, file, &in->policies) != 0) {
		destroy(in);
		return -1;
	}
	*inst = in;
	return 0;
}

/* ---- refusing ---- */
static void put_reason(struct txt_line *t, const struct decision *d)
{
	if (!d->policy) {
		txt_put(t, TXT("no policy allows it"));
	} else if (d->fault) {
		txt_put(t, TXT("policy "));
		txt_put(t, d->policy->name);
		txt_put(t, TXT(" cannot be evaluated: "));
		txt_put(t, d->attr);
		txt_put(t, TXT(" "));
		txt_put(t, txt_of(d->fault));
	} else {
		txt_put(t, TXT("policy "));
		txt_put(t, d->policy->name);
		txt_put(t, TXT(" denies it"));
	}
}

/* The client is not told which policy: what the rules are is not its business. */
static void refuse(struct instance *in, merlon_tx *tx, const struct decision *d)
{
	struct merlon_str action = txt_attr(H, tx, TXT("action"));
	struct merlon_str model = txt_attr(H, tx, TXT("res.id"));
	struct txt_line text = {.n = 0}, detail = {.n = 0};
	struct merlon_fail f = {.size = sizeof(f)};

	txt_put(&text, TXT("not allowed to "));
	txt_put(&text, action.ptr ? action : TXT("do this"));
	if (model.ptr && action.ptr)
		txt_put(&text, txt_eq(action, TXT("predict")) ? TXT(" with this model")
		                                              : TXT(" this model"));
	put_reason(&detail, d);
	f.text = (struct merlon_str){text.p, text.n};
	f.detail = (struct merlon_str){detail.p, detail.n};
	H->fail(in->ctx, tx, &f);
}

static int32_t check(void *inst, void *w, merlon_tx *tx, uint32_t group)
{
	struct instance *in = inst;
	struct decision d;

	(void)w;
	(void)group;
	decide(&in->policies, H, tx, &d);
	H->policy(in->ctx, tx, d.policy ? d.policy->label : in->policies.default_label);
	if (d.code != MERLON_OK)
		refuse(in, tx, &d);
	return d.code;
}

/* What else is read depends on the policies. */
static const char *const reads[] = {"id.*", "res.*", "action", NULL};

static const struct merlon_module module = {
    .size = sizeof(struct merlon_module),
    .major = MERLON_ABI_MAJOR,
    .minor = MERLON_ABI_MINOR,
    .flags = MERLON_GRANTOR,
    .groups = MERLON_AUTHZ,
    .codes = MERLON_BIT(MERLON_OK) | MERLON_BIT(MERLON_NOCRED) | MERLON_BIT(MERLON_DENIED),
    .option_size = sizeof(struct merlon_option),
    .option_count = sizeof(options) / sizeof(options[0]),
    .name = "authz_abac",
    .version = MODULE_VERSION,
    .license = "Apache-2.0",
    .summary = "Permission by policies over attributes of identity, resource and circumstances.",
    .options = options,
    .reads = reads,
    .create = create,
    .destroy = destroy,
    .check = check,
};

MERLON_MODULE(module, H, 0, MERLON_GRANTOR, MERLON_AUTHZ)
