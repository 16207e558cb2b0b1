/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The request's head as the upstream gets it: the client's fields without credentials, identity and
 * hop-by-hop names; forwarding fields rewritten; the upstream's own fields in place of the
 * client's.
 */
#include "http/headers.h"
#include "http/write.h"
#include "tx/step.h"

#include <arpa/inet.h>

/* An address as X-Forwarded-For has it: without a port (IPv6 may stand in brackets). */
static bool hop_parse(struct str s, struct net_addr *out)
{
	char text[64];
	if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
		s = (struct str){s.p + 1, s.n - 2};
	if (s.n == 0 || s.n >= sizeof(text))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	memset(out, 0, sizeof(*out));
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&out->ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&out->ss;
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		out->len = sizeof(*v4);
		return true;
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		out->len = sizeof(*v6);
		return true;
	}
	return false;
}

/* X-Forwarded-For from the right: the first address that is not a trusted proxy's is the client's.
 * True: that is so of the first one, so what stands before it may be looked at. */
static bool source_walk(merlon_tx *tx, struct str value)
{
	while (value.n > 0) {
		size_t at = value.n;
		while (at > 0 && value.p[at - 1] != ',')
			at--;
		struct str hop = str_trim((struct str){value.p + at, value.n - at});
		struct net_addr addr;
		if (!hop_parse(hop, &addr))
			return false;
		char text[64];
		net_addr_text((struct sockaddr *)&addr.ss, text);
		tx->source = arena_str(&tx->arena, str_of(text));
		if (!gen_trusts(tx->gw->gen, (struct sockaddr *)&addr.ss))
			return false;
		value.n = at > 0 ? at - 1 : 0;
	}
	return true;
}

/* Proxies append to the field, or add another one: all of them are one list (RFC 9110 §5.3). */
static bool is_xff(const struct http_field *f)
{
	return f->id == HTTP_F_X_FORWARDED && str_ieq(f->name, STR("x-forwarded-for"));
}

void forward_source(merlon_tx *tx)
{
	if (!tx->c)
		return;
	tx->source = arena_str(&tx->arena, str_of(tx->c->peer));
	if (!gen_trusts(tx->gw->gen, &tx->c->addr.sa))
		return;
	bool on = true;
	for (unsigned i = tx->head.nfields; i-- > 0 && on;)
		if (is_xff(&tx->head.fields[i]))
			on = source_walk(tx, tx->head.fields[i].value);
}

static bool request_id_valid(struct str s)
{
	static const char marks[] = "-_.:/+=@";
	if (s.n == 0 || s.n > 128)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool digit = c >= '0' && c <= '9';
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!digit && !letter && (c == 0 || !strchr(marks, c)))
			return false;
	}
	return true;
}

/* UUID version 7 (RFC 9562 §5.7): sorts by time. */
static struct str uuid7(merlon_tx *tx)
{
	static const char hex[] = "0123456789abcdef";
	uint64_t hi = (tx->began_wall / 1000) << 16 | 0x7000 | (worker_random(tx->w) & 0xfff);
	uint64_t lo = (worker_random(tx->w) & 0x3fffffffffffffff) | UINT64_C(0x8000000000000000);
	char *p = arena_alloc(&tx->arena, 36);
	unsigned at = 0;
	for (unsigned i = 0; i < 32; i++) {
		uint64_t half = i < 16 ? hi : lo;
		if (i == 8 || i == 12 || i == 16 || i == 20)
			p[at++] = '-';
		p[at++] = hex[half >> (60 - 4 * (i % 16)) & 15];
	}
	return (struct str){p, 36};
}

void forward_request_id(merlon_tx *tx)
{
	const struct http_field *f = http_first(&tx->head, HTTP_F_X_REQUEST_ID);
	if (f && request_id_valid(f->value) && !http_find(&tx->head, STR("x-request-id"), 1))
		tx->request_id = f->value;
	else
		tx->request_id = uuid7(tx);
}

static bool is_hex(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
			return false;
	return true;
}

static bool all_zero(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '0')
			return false;
	return true;
}

/* W3C Trace Context: the trace goes on with a span of ours. An invalid traceparent, and its
 * tracestate, are dropped. */
static void out_trace(merlon_tx *tx, struct http_out *o)
{
	const struct http_field *f = http_first(&tx->head, HTTP_F_TRACEPARENT);
	if (!f || f->value.n != 55 || http_find(&tx->head, STR("traceparent"), 1))
		return;
	struct str v = f->value;
	struct str version = {v.p, 2};
	struct str trace = {v.p + 3, 32};
	struct str parent = {v.p + 36, 16};
	struct str flags = {v.p + 53, 2};
	if (v.p[2] != '-' || v.p[35] != '-' || v.p[52] != '-' || !str_eq(version, STR("00")) ||
	    !is_hex(trace) || all_zero(trace) || !is_hex(parent) || all_zero(parent) ||
	    !is_hex(flags))
		return;
	unsigned long long span = worker_random(tx->w) | 1;
	http_out_fieldf(o, "traceparent", "00-%.*s-%016llx-%.*s", STR_FMT(trace), span,
	                STR_FMT(flags));
	const struct http_field *state = http_first(&tx->head, HTTP_F_TRACESTATE);
	if (state)
		http_out_field(o, STR("tracestate"), state->value);
}

/* What the proxies before this hop have said, and a comma; empty: nothing, or they are not trusted.
 */
static struct str said_before(merlon_tx *tx, bool (*is)(const struct http_field *f))
{
	size_t n = 0;
	for (unsigned i = 0; i < tx->head.nfields; i++)
		if (is(&tx->head.fields[i]))
			n += tx->head.fields[i].value.n + 2;
	if (n == 0)
		return STR("");
	char *all = arena_alloc(&tx->arena, n);
	char *at = all;
	for (unsigned i = 0; i < tx->head.nfields; i++) {
		if (!is(&tx->head.fields[i]))
			continue;
		struct str v = tx->head.fields[i].value;
		memcpy(at, v.p, v.n);
		memcpy(at + v.n, ", ", 2);
		at += v.n + 2;
	}
	return (struct str){all, n};
}

static bool is_forwarded(const struct http_field *f)
{
	return f->id == HTTP_F_FORWARDED;
}

/* A node as RFC 7239 §6 wants it. */
static struct str forwarded_node(merlon_tx *tx)
{
	const char *peer = tx->c->peer;
	if (strchr(peer, ':'))
		return arena_printf(&tx->arena, "\"[%s]\"", peer);
	return strcmp(peer, "unix") == 0 ? STR("_unix") : str_of(peer);
}

static void out_forwarded(merlon_tx *tx, struct http_out *o)
{
	const struct http_head *h = &tx->head;
	bool from_proxy = gen_trusts(tx->gw->gen, &tx->c->addr.sa);
	const struct http_field *proto =
	    from_proxy ? http_find(h, STR("x-forwarded-proto"), 0) : NULL;
	const struct http_field *fhost =
	    from_proxy ? http_find(h, STR("x-forwarded-host"), 0) : NULL;
	const struct http_field *host = fhost ? fhost : http_first(h, HTTP_F_HOST);
	struct str xff = from_proxy ? said_before(tx, is_xff) : STR("");
	struct str fwd = from_proxy ? said_before(tx, is_forwarded) : STR("");
	const struct str hops[] = {xff, str_of(tx->c->peer)};
	http_out_joined(o, STR("X-Forwarded-For"), hops, 2);
	struct str own = tx->c->tls ? STR("https") : STR("http");
	http_out_field(o, STR("X-Forwarded-Proto"), proto ? proto->value : own);
	if (host && host->value.n)
		http_out_field(o, STR("X-Forwarded-Host"), host->value);
	struct str node = forwarded_node(tx);
	const struct str all[] = {fwd, STR("for="), node, STR(";proto="), own};
	http_out_joined(o, STR("Forwarded"), all, 5);
}

/* Fields that the upstream's configuration or a module's edit sets are not the client's to set. */
static void mark_overridden(merlon_tx *tx, const struct conf_upstream *u)
{
	for (unsigned i = 0; i < tx->head.nfields; i++) {
		struct http_field *f = &tx->head.fields[i];
		for (unsigned k = 0; k < u->nheaders && !(f->flags & HTTP_FIELD_DROP); k++)
			if (str_ieq(f->name, u->headers[k].name))
				f->flags |= HTTP_FIELD_DROP;
		if (u->nidentity && identity_names(u, f->name))
			f->flags |= HTTP_FIELD_DROP;
		for (const struct edit *e = tx->edits[MERLON_REQUEST]; e; e = e->next)
			if (e->op != MERLON_HDR_ADD && str_ieq(f->name, e->name))
				f->flags |= HTTP_FIELD_DROP;
	}
}

static struct str upstream_host(const struct conf_upstream *u)
{
	struct str server = u->servers[0];
	/* The scheme's own port goes without saying (RFC 9110 §4.2.3). */
	if (u->tls && str_ends(server, STR(":443")))
		server.n -= 4;
	return str_starts(server, STR("unix:")) ? STR("localhost") : server;
}

/* The canonical path with the query as it came. */
static struct str target(merlon_tx *tx)
{
	if (!tx->url.query.p)
		return tx->url.path;
	return arena_printf(&tx->arena, "%.*s?%.*s", STR_FMT(tx->url.path), STR_FMT(tx->url.query));
}

/* What stands there by configuration, by identity, and by the edits of filters. */
static void out_own(merlon_tx *tx, const struct conf_upstream *u, const struct str *identity,
                    struct http_out *o)
{
	for (const struct edit *e = tx->edits[MERLON_REQUEST]; e; e = e->next)
		if (e->op != MERLON_HDR_DEL && !identity_names(u, e->name))
			http_out_field(o, e->name, e->value);
	for (unsigned i = 0; i < u->nheaders; i++)
		http_out_field(o, u->headers[i].name, u->headers[i].value);
	for (unsigned i = 0; i < u->nidentity; i++)
		if (identity[i].p)
			http_out_field(o, u->identity[i].name, identity[i]);
}

int forward_head(merlon_tx *tx, struct slice *out)
{
	const struct conf_upstream *u = &tx->gw->gen->conf->upstreams[tx->upstream];
	struct str *identity = arena_alloc(&tx->arena, (u->nidentity + 1) * sizeof(*identity));
	if (!identity_values(tx, u, identity))
		return FORWARD_E_IDENTITY;
	struct buf *b = &tx->w->scratch;
	buf_reset(b);
	struct http_out o = {b, 0};
	http_mark_dropped(&tx->head);
	mark_overridden(tx, u);
	http_out_request(&o, tx->head.method_text, target(tx));
	http_out_field(&o, STR("Host"), upstream_host(u));
	static const uint64_t skip =
	    HTTP_F_BIT(HTTP_F_HOST) | HTTP_F_BIT(HTTP_F_FORWARDED) |
	    HTTP_F_BIT(HTTP_F_X_FORWARDED) | HTTP_F_BIT(HTTP_F_X_REQUEST_ID) |
	    HTTP_F_BIT(HTTP_F_TRACEPARENT) | HTTP_F_BIT(HTTP_F_TRACESTATE) |
	    HTTP_F_BIT(HTTP_F_CONTENT_LENGTH) | HTTP_F_BIT(HTTP_F_TRANSFER_ENCODING);
	http_out_fields(&o, &tx->head, skip);
	out_own(tx, u, identity, &o);
	http_out_field(&o, STR("X-Request-Id"), tx->request_id);
	out_trace(tx, &o);
	out_forwarded(tx, &o);
	enum http_framing framing = tx->chunked_up ? HTTP_CHUNKED : tx->head.framing;
	http_out_framing(&o, framing, tx->head.length);
	if (http_out_end(&o))
		return FORWARD_E_LARGE;
	*out = slice_copy(&tx->w->blocks, b->p, b->n);
	/* The scratch held upstream credentials. */
	if (u->nheaders)
		mem_wipe(b->p, b->n);
	return 0;
}
