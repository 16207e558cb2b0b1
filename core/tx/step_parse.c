/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * parse: the head, under its limits, or the status that names what is wrong with it. Syntax comes
 * before routing.
 */
#include "http/headers.h"
#include "tx/reply.h"
#include "tx/step.h"

#define READ_MORE 4096

static const char *malformed_code(unsigned status)
{
	switch (status) {
	case 414:
		return "uri_too_long";
	case 417:
		return "expectation_failed";
	case 431:
		return "header_fields_too_large";
	case 501:
		return "not_implemented";
	case 505:
		return "http_version_not_supported";
	default:
		return "malformed_request";
	}
}

static enum step_result parse_refuse(merlon_tx *tx, unsigned status, const char *why)
{
	/* What the head names lies in these bytes, which the connection may let go of. */
	if (!tx->head_bytes.p)
		tx->head_bytes = stream_take(tx->c->s, stream_in(tx->c->s).n);
	conn_deadline(tx->c, tx->gw->gen->conf->limits.header_timeout);
	tx->refusal.close = true;
	tx->body_bad = true; /* what follows cannot be told apart from a body */
	forward_source(tx);
	forward_request_id(tx);
	return tx_refuse(tx, status, malformed_code(status), why, MERLON_END_ERROR);
}

static bool is_credential(const struct http_field *f)
{
	const uint64_t ids = HTTP_F_BIT(HTTP_F_AUTHORIZATION) | HTTP_F_BIT(HTTP_F_X_API_KEY) |
	                     HTTP_F_BIT(HTTP_F_API_KEY);

	return (ids >> f->id) & 1;
}

/* Two ways to say who one is, with different values: nobody can tell which one counts. */
static __attribute__((noinline)) bool credentials_differ(const struct http_head *h)
{
	struct str seen = STR_NONE;
	for (unsigned i = 0; i < h->nfields; i++) {
		const struct http_field *f = &h->fields[i];
		if (!is_credential(f))
			continue;
		struct str v = f->value;
		if (f->id == HTTP_F_AUTHORIZATION && v.n > 7 && strncasecmp(v.p, "bearer ", 7) == 0)
			v = str_trim((struct str){v.p + 7, v.n - 7});
		if (seen.p && !str_eq(seen, v))
			return true;
		seen = v;
	}
	return false;
}

/* A long stream would keep a whole block for the few hundred bytes of the head that asked for it,
 * so the head moves into the arena. */
static void parse_keep(merlon_tx *tx)
{
	struct stream *s = tx->c->s;
	struct http_head *h = &tx->head;
	struct str from = {stream_in(s).p, h->size};
	char *to = arena_alloc(&tx->arena, from.n);
	memcpy(to, from.p, from.n);
	http_head_moved(h, from.p, to);
	tx->head_bytes = (struct slice){NULL, to, from.n};
	stream_skip(s, from.n);
}

static enum step_result parse_done(merlon_tx *tx)
{
	parse_keep(tx);
	forward_source(tx);
	forward_request_id(tx);
	tx->keep = tx->head.keep_alive;
	const char *why = NULL;
	int r =
	    url_parse(tx->head.target, tx->head.method == HTTP_OPTIONS, &tx->arena, &tx->url, &why);
	if (r)
		return parse_refuse(tx, 400, why);
	if (url_has_encoded_slash(tx->url.path) && !str_starts(tx->url.path, STR("/v1/models/")))
		return parse_refuse(tx, 400, "an encoded slash in the path");
	unsigned credentials = 0;
	for (unsigned i = 0; i < tx->head.nfields; i++)
		credentials += is_credential(&tx->head.fields[i]);
	if (credentials > 1 && credentials_differ(&tx->head))
		return parse_refuse(tx, 400, "two credentials with different values");
	/* It could be ignored; but who sends WebSocket frames next would get 400 for each. */
	if (http_asks_upgrade(&tx->head))
		return parse_refuse(tx, 400, "upgrades of the protocol are not supported");
	const struct http_field *host = http_first(&tx->head, HTTP_F_HOST);
	/* RFC 9112 §3.2.2 lets the target win; two names that differ are two requests to somebody.
	 */
	if (tx->url.authority.p && host && !str_ieq(tx->url.authority, host->value))
		return parse_refuse(tx, 400, "the target names another host than Host");
	struct str name = tx->url.authority.p ? tx->url.authority : host ? host->value : STR("");
	tx->host = url_host_name(name, &tx->arena);
	http_body_init(&tx->body, tx->head.framing, tx->head.length);
	tx->body_ended = http_body_done(&tx->body);
	conn_deadline(tx->c, tx->gw->gen->conf->limits.idle_timeout);
	return STEP_NEXT;
}

enum step_result step_parse(merlon_tx *tx)
{
	struct stream *s = tx->c->s;
	struct str in = stream_in(s);
	switch (http_parse(tx->parser, in.p, in.n, &tx->arena, &tx->head)) {
	case HTTP_DONE:
		tx->parser = http_parser_give(&tx->w->pools.parsers, tx->parser);
		return parse_done(tx);
	case HTTP_BAD:
		return parse_refuse(tx, tx->parser->status, tx->parser->reason);
	case HTTP_MORE:
		break;
	}
	if (tx->c->eof)
		return parse_refuse(tx, 400, "the request's head is not whole");
	size_t want = in.n + READ_MORE;
	size_t most = tx->parser->max + READ_MORE;
	stream_in_reserve(s, want < most ? want : most);
	return STEP_WAIT;
}
