/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * body: as much of it as the api needs for the model; then what is asked for stands in the
 * attributes.
 */
#include "tx/step.h"

/* "res.<key>" for each attribute of the model's entry. */
static void body_catalogue(merlon_tx *tx, const struct conf_model *m)
{
	for (unsigned i = 0; i < m->nattrs; i++) {
		struct str key = arena_printf(&tx->arena, "res.%.*s", STR_FMT(m->attrs[i].key));
		attrs_refer(&tx->base.attrs, key, m->attrs[i].value);
	}
}

static enum step_result body_resource(merlon_tx *tx)
{
	struct attrs *as = &tx->base.attrs;
	const struct conf_model *m = NULL;
	if (tx->call.model.p)
		m = gen_model(tx->gw->gen, tx->call.model);
	tx->model = m;
	if (m && m->upstream.n)
		tx->upstream = m->upstream_index;
	if (m)
		body_catalogue(tx, m);
	/* After the entry's, so that an attribute named alike does not stand for the request's. */
	attrs_refer(as, STR("res.type"), tx->call.resource_type);
	if (tx->call.version.p)
		attrs_refer(as, STR("res.version"), tx->call.version);
	attrs_refer(as, STR("res.id"), tx->call.model);
	if (tx->call.model.p && !m && tx->gw->gen->conf->models_only)
		return tx_refuse(tx, 404, "model_not_found", "there is no such model",
		                 MERLON_END_DENIED);
	return STEP_NEXT;
}

enum step_result step_body(merlon_tx *tx)
{
	if (tx->call.reads_body) {
		body_want(tx);
		enum step_result r = body_pull(tx);
		if (r != STEP_NEXT)
			return r;
		if (!api_settled(&tx->call) && !tx->body_ended)
			return STEP_WAIT;
	}
	return body_resource(tx);
}
