/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * authz_rbac: may this identity do that, by its roles. The instance owns the compiled policy,
 * read-only after create; a decision allocates nothing.
 */
#include "policy.h"

#include <stdlib.h>

struct instance {
	merlon_ctx *ctx;
	struct policy policy;
};

static const struct merlon_host *H;

/* ---- options ---- */
static const struct merlon_option options[] = {
    {"policy_file", MERLON_OPT_CONFFILE, 0, NULL, NULL, policy_rows,
     "File of roles and assignments; without it the shipped roles hold."},
};

static int32_t create(merlon_ctx *ctx, const merlon_cfg *cfg, void **inst)
{
	struct instance *in = mem_new(1, sizeof(*in));
	const merlon_cfg *file = NULL;

	in->ctx = ctx;
	if (H->cfg_count(cfg, "policy_file") > 0)
		file = H->cfg_at(cfg, "policy_file", 0);
	if (policy_read(H, file, &in->policy) != 0) {
		policy_free(&in->policy);
		free(in);
		return -1;
	}
	*inst = in;
	return 0;
}

static void destroy(void *inst)
{
	struct instance *in = inst;

	policy_free(&in->policy);
	free(in);
}

/* ---- deciding ---- */
struct question {
	merlon_tx *tx;
	struct merlon_str sub, org, action;
	struct merlon_str model; /* ptr NULL: none is named */
	const struct merlon_str *roles;
	uint32_t nroles;
	uint32_t need;
};

/* one: room for a role that stands alone as text. */
static void ask(merlon_tx *tx, struct question *q, struct merlon_str *one)
{
	struct merlon_val v;

	*q = (struct question){.tx = tx,
	                       .sub = txt_attr(H, tx, TXT("id.sub")),
	                       .org = txt_attr(H, tx, TXT("id.org")),
	                       .action = txt_attr(H, tx, TXT("action")),
	                       /* Of a training job too it is the model that is named. */
	                       .model = txt_attr(H, tx, TXT("res.id"))};
	q->need = policy_need(q->action);
	if (H->attr_get(tx, TXT("id.roles"), &v) != 0)
		return;
	if (v.type == MERLON_VAL_STRLIST) {
		q->roles = v.u.list;
		q->nroles = v.count;
	} else if (v.type == MERLON_VAL_STR) {
		*one = v.u.str;
		q->roles = one;
		q->nroles = 1;
	}
}

/* A role that allows it; NULL: none. Roles that the policy does not know give nothing. */
static const struct role *decide(const struct policy *p, const struct question *q)
{
	const struct role *r = NULL;

	for (uint32_t i = 0; !r && i < q->nroles; i++) {
		uint32_t at = txt_map_get(&p->by_name, q->roles[i]);
		if (at != TXT_MAP_NONE && policy_allows(p, &p->roles[at], q->need, q->model))
			r = &p->roles[at];
		if (!r)
			r = policy_assigned(p, BY_ROLE, q->roles[i], q->need, q->model);
	}
	if (!r)
		r = policy_assigned(p, BY_SUB, q->sub, q->need, q->model);
	return r ? r : policy_assigned(p, BY_ORG, q->org, q->need, q->model);
}

/* ---- refusing ---- */
static int32_t refuse(struct instance *in, const struct question *q)
{
	struct merlon_str action = q->action.ptr ? q->action : TXT("an unknown action");
	struct txt_line text = {.n = 0}, detail = {.n = 0};
	struct merlon_fail f = {.size = sizeof(f)};

	txt_put(&text, TXT("not allowed to "));
	txt_put(&text, q->action.ptr ? q->action : TXT("do this"));
	if (q->model.ptr && q->action.ptr)
		txt_put(&text, txt_eq(q->action, TXT("predict")) ? TXT(" with this model")
		                                                 : TXT(" this model"));
	txt_put(&detail, TXT("no role of "));
	txt_put(&detail, q->sub.ptr ? q->sub : TXT("the unknown"));
	txt_put(&detail, TXT(" allows "));
	txt_put(&detail, action);
	if (q->model.ptr) {
		txt_put(&detail, TXT(" on model "));
		txt_put(&detail, q->model);
	}
	f.text = (struct merlon_str){text.p, text.n};
	f.detail = (struct merlon_str){detail.p, detail.n};
	H->fail(in->ctx, q->tx, &f);
	return MERLON_NOCRED;
}

static int32_t check(void *inst, void *w, merlon_tx *tx, uint32_t group)
{
	struct instance *in = inst;
	struct merlon_str one;
	const struct role *r;
	struct question q;

	(void)w;
	(void)group;
	ask(tx, &q, &one);
	r = q.need ? decide(&in->policy, &q) : NULL;
	if (!r)
		return refuse(in, &q);
	H->policy(in->ctx, tx, r->policy);
	return MERLON_OK;
}

static const char *const reads[] = {"id.sub", "id.org", "id.roles", "res.id", "action", NULL};

static const struct merlon_module module = {
    .size = sizeof(struct merlon_module),
    .major = MERLON_ABI_MAJOR,
    .minor = MERLON_ABI_MINOR,
    .flags = MERLON_GRANTOR,
    .groups = MERLON_AUTHZ,
    .codes = MERLON_BIT(MERLON_OK) | MERLON_BIT(MERLON_NOCRED),
    .option_size = sizeof(struct merlon_option),
    .option_count = sizeof(options) / sizeof(options[0]),
    .name = "authz_rbac",
    .version = MODULE_VERSION,
    .license = "Apache-2.0",
    .summary = "Permission by roles, with inheritance, assignments and model patterns.",
    .options = options,
    .reads = reads,
    .create = create,
    .destroy = destroy,
    .check = check,
};

MERLON_MODULE(module, H, 0, MERLON_GRANTOR, MERLON_AUTHZ)
