/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A tx without a connection, up to where the upstream would be contacted.
 */
#include "tx/explain.h"

#include "tx/step.h"

/* The body as it would have come off the connection. 0, or the refusal. */
static enum step_result explain_body(merlon_tx *tx, struct str raw)
{
	enum json_error e = JSON_OK;
	const char *why = NULL;
	tx->body_wanted = tx->body_ended = true;
	if (!tx->call.reads_body)
		return STEP_NEXT;
	if (raw.n)
		e = api_body_feed(&tx->call, raw);
	if (e == JSON_OK)
		e = api_body_end(&tx->call, &why);
	if (e == JSON_OK) {
		tx->scan_ended = true;
		return STEP_NEXT;
	}
	struct str text =
	    arena_printf(&tx->arena, "invalid request body: %s", why ? why : json_strerror(e));
	return tx_refuse(tx, 400, "invalid_json", text.p, MERLON_END_ERROR);
}

static enum step_result explain_head(merlon_tx *tx, struct str raw)
{
	http_parser_init(&tx->parser, false, (size_t)tx->gw->gen->conf->limits.head);
	enum http_result hr = http_parse(&tx->parser, raw.p, raw.n, &tx->arena, &tx->head);
	forward_request_id(tx);
	if (hr != HTTP_DONE)
		return tx_refuse(tx, hr == HTTP_BAD ? tx->parser.status : 400, "malformed_request",
		                 hr == HTTP_BAD ? tx->parser.reason : "the head is not whole",
		                 MERLON_END_ERROR);
	const char *why = NULL;
	if (url_parse(tx->head.target, tx->head.method == HTTP_OPTIONS, &tx->arena, &tx->url, &why))
		return tx_refuse(tx, 400, "malformed_request", why, MERLON_END_ERROR);
	const struct http_field *host = http_first(&tx->head, HTTP_F_HOST);
	tx->host = url_host_name(host ? host->value : STR(""), &tx->arena);
	enum step_result r = step_resolve(tx);
	if (r == STEP_NEXT)
		r = explain_body(tx, (struct str){raw.p + tx->head.size, raw.n - tx->head.size});
	return r;
}

void explain_run(struct worker *w, struct str raw, const char *peer,
                 void (*done)(merlon_tx *tx, void *arg), void *arg)
{
	merlon_tx *tx = tx_new(w, NULL);
	tx->base.dry = true;
	tx->explained = done;
	tx->explained_arg = arg;
	tx->source = arena_str(&tx->arena, str_of(peer));
	enum step_result r = explain_head(tx, arena_str(&tx->arena, raw));
	tx->step = r == STEP_NEXT ? S_AUTH : S_OPEN;
	tx_go(tx);
}
