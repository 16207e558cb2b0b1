/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The gateway's own answers, in the dialect of the caller, and what every answer carries.
 */
#include "tx/reply.h"

#include "http/headers.h"
#include "http/line.h"

#define REPLY_BODY_MAX (96 * 1024)

bool reply_edits(const merlon_tx *tx, enum http_field_id id, struct str name)
{
	for (const struct edit *e = tx->edits[MERLON_RESPONSE]; e; e = e->next)
		if (e->id == id && e->op != MERLON_HDR_ADD && str_ieq(e->name, name))
			return true;
	return false;
}

void reply_common(merlon_tx *tx, struct http_out *o)
{
	for (const struct edit *e = tx->edits[MERLON_RESPONSE]; e; e = e->next)
		if (e->op != MERLON_HDR_DEL)
			line_add_checked(o, e->name, e->value);
	line_add(o, STR("x-request-id: "), tx->request_id);
}

/* HTTP/1.0 closes unless it is told otherwise. */
void reply_connection(const merlon_tx *tx, struct http_out *o)
{
	if (!tx->keep)
		line_add_text(o, STR("Connection: close\r\n"));
	else if (tx->head.minor == 0)
		line_add_text(o, STR("Connection: keep-alive\r\n"));
}

void reply_continue(merlon_tx *tx)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	if (tx->continued || tx->head_sent)
		return;
	tx->continued = true;
	stream_send(tx->c->s, (struct slice){NULL, text, sizeof(text) - 1});
	stream_flush(tx->c->s);
}

/* Whether what is left of the request's body may be read and dropped, so that the connection can go
 * on. */
static bool reply_keeps(const merlon_tx *tx)
{
	const struct refusal *r = &tx->refusal;
	if (r->close || !tx->keep || tx->body_bad || tx->w->draining || conn_gone(tx->c))
		return false;
	if (tx->body_ended || tx->head.framing == HTTP_NO_BODY)
		return true;
	if (tx->head.expect_continue && !tx->continued && tx->received == 0)
		return false; /* nobody can tell whether the body will come */
	return tx->head.framing == HTTP_LENGTH && tx->body.left <= DRAIN_REST;
}

static void reply_challenges(merlon_tx *tx, struct http_out *o)
{
	if (tx->refusal.status != 401)
		return;
	if (!tx->challenges)
		http_out_field(o, STR("WWW-Authenticate"), STR("Bearer realm=\"merlon\""));
	for (const struct challenge *c = tx->challenges; c; c = c->next)
		http_out_field(o, STR("WWW-Authenticate"), c->value);
}

static void reply_fields(merlon_tx *tx, struct http_out *o)
{
	const struct refusal *r = &tx->refusal;
	for (unsigned i = 0; i < r->nheaders; i++)
		http_out_field(o, from_merlon(r->headers[i].name),
		               from_merlon(r->headers[i].value));
	if (r->own)
		return;
	reply_challenges(tx, o);
	if (r->retry_after_s)
		http_out_fieldf(o, "Retry-After", "%u", r->retry_after_s);
	if (r->allow.n)
		http_out_field(o, STR("Allow"), r->allow);
	if (tx->end == MERLON_END_DENIED && r->status < 500)
		http_out_field(o, STR("x-should-retry"), STR("false"));
}

void reply_send(merlon_tx *tx)
{
	struct refusal *r = &tx->refusal;
	struct str type = STR_NONE;
	struct buf body;
	buf_init(&body, REPLY_BODY_MAX);
	struct str text = r->body;
	enum api_dialect d = tx->route->conf ? api_dialect_of(tx->route->conf) : API_PLAIN;
	if (!r->own) {
		const struct api_error e = {r->status, r->code, r->message, tx->request_id};
		if (api_error_body(d, &e, &body, &type) == 0)
			text = buf_str(&body);
	}
	tx->keep = reply_keeps(tx);
	bool bodiless = r->status == 204 || r->status == 304 || r->status < 200;
	struct buf *b = &tx->w->scratch;
	buf_reset(b);
	struct http_out o = {b, 0};
	http_out_status(&o, r->status);
	if (type.n && !reply_overrides(tx, HTTP_F_CONTENT_TYPE, STR("content-type")))
		http_out_field(&o, STR("Content-Type"), type);
	reply_fields(tx, &o);
	reply_common(tx, &o);
	/* Where Anthropic's clients look for it. */
	if (d == API_ANTHROPIC && !reply_overrides(tx, HTTP_F_OTHER, STR("request-id")))
		http_out_field(&o, STR("request-id"), tx->request_id);
	reply_connection(tx, &o);
	http_out_framing(&o, bodiless ? HTTP_NO_BODY : HTTP_LENGTH, text.n);
	if (http_out_end(&o) == 0) {
		stream_send_copy(tx->c->s, b->p, b->n);
		digest_begin(tx, MERLON_RESPONSE);
		if (!bodiless && tx->head.method != HTTP_HEAD && text.n) {
			stream_send_copy(tx->c->s, text.p, text.n);
			digest_feed(tx, MERLON_RESPONSE, text);
			tx->sent = text.n;
		}
		tx->status = r->status;
		tx->head_sent = true;
		tx->sent_all = true;
		stream_flush(tx->c->s);
	}
	buf_deinit(&body);
}
