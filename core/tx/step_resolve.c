/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * resolve: route and api. From here on the record knows the route, and refusals go to its stack.
 */
#include "tx/step.h"

static enum step_result resolve_refuse(merlon_tx *tx, unsigned status, const char *allow,
                                       const char *why)
{
	static const struct {
		unsigned status;
		const char *code;
	} codes[] = {{404, "not_found"},
	             {405, "method_not_allowed"},
	             {413, "request_too_large"},
	             {415, "unsupported_media_type"},
	             {501, "not_implemented"}};
	const char *code = "malformed_request";
	for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].status == status)
			code = codes[i].code;
	tx->refusal.allow = str_of(allow);
	tx->refusal.close = status == 400;
	return tx_refuse(tx, status, code, why, MERLON_END_ERROR);
}

/* The connection may be gone before the record is written. */
static struct str resolve_peer(merlon_tx *tx)
{
	const struct str peer = str_of(tx->c ? tx->c->peer : NULL);
	if (!peer.p || str_eq(peer, tx->source))
		return peer.p ? tx->source : STR_NONE;
	return arena_str(&tx->arena, peer);
}

static void resolve_attributes(merlon_tx *tx)
{
	struct attrs *as = &tx->base.attrs;
	attrs_refer(as, STR("net.source"), tx->source);
	attrs_refer(as, STR("net.peer"), resolve_peer(tx));
	attrs_refer(as, STR("req.method"), tx->head.method_text);
	attrs_refer(as, STR("req.path"), tx->url.path);
	attrs_refer(as, STR("req.host"), tx->host);
	attrs_refer(as, STR("action"), tx->call.action);
	if (tx->c && tx->c->tls)
		tx_tls_attributes(tx);
}

enum step_result step_resolve(merlon_tx *tx)
{
	const struct generation *g = tx->gw->gen;
	if (tx->head.method == HTTP_OTHER)
		return resolve_refuse(tx, 501, NULL, "unknown method");
	const struct gen_route *r = gen_route(g, tx->host, tx->url.path);
	if (!r)
		return resolve_refuse(tx, 404, NULL, "no route for this path");
	tx->route = r;
	tx->stack = r->stack;
	tx->upstream = r->upstream;
	const char *allow = NULL;
	const char *why = "unknown path";
	int status = api_resolve(r->conf, &tx->head, &tx->url, &tx->arena, &tx->call, &allow, &why);
	if (status)
		return resolve_refuse(tx, (unsigned)status, allow, why);
	if (tx->head.framing == HTTP_LENGTH && tx->head.length > g->conf->limits.body)
		return resolve_refuse(tx, 413, NULL, "the request's body is too large");
	resolve_attributes(tx);
	return STEP_NEXT;
}
