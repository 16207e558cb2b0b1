/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The request's head as the upstream gets it: the client's fields without credentials, identity and
 * hop-by-hop names; forwarding fields rewritten; the upstream's own fields in place of the
 * client's.
 */
#include "base/vector.h"
#include "http/headers.h"
#include "http/line.h"
#include "tx/step.h"

#include <arpa/inet.h>
#include <endian.h>

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
	static const bool allowed[256] = {
	    ['0' ... '9'] = true, ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['-'] = true,
	    ['_'] = true,         ['.'] = true,         [':'] = true,         ['/'] = true,
	    ['+'] = true,         ['='] = true,         ['@'] = true,
	};
	if (s.n == 0 || s.n > 128)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!allowed[(unsigned char)s.p[i]])
			return false;
	return true;
}

/* The digits of four bytes, all eight at once: a nibble a byte, the first one lowest, as it is to
 * stand in memory. */
static void put_hex(char *to, uint32_t bytes)
{
	uint64_t x = __builtin_bswap32(bytes);
	x = (x | x << 16) & UINT64_C(0x0000ffff0000ffff);
	x = (x | x << 8) & UINT64_C(0x00ff00ff00ff00ff);
	x = (x >> 4 | x << 8) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	uint64_t letters = (x + 6 * WORD_ONES) >> 4 & WORD_ONES;
	x += '0' * WORD_ONES + letters * ('a' - '0' - 10);
	x = htole64(x);
	memcpy(to, &x, sizeof(x));
}

/* UUID version 7 (RFC 9562 §5.7): sorts by time. */
static struct str uuid7(merlon_tx *tx)
{
	uint64_t hi = (tx->began_wall / 1000) << 16 | 0x7000 | (worker_random(tx->w) & 0xfff);
	uint64_t lo = (worker_random(tx->w) & 0x3fffffffffffffff) | UINT64_C(0x8000000000000000);
	char *p = arena_alloc(&tx->arena, 36);
	/* 8-4-4-4-12: two groups of four are stored as one of eight, and the second then makes
	 * way for the dash. */
	put_hex(p, (uint32_t)(hi >> 32));
	put_hex(p + 9, (uint32_t)hi);
	memmove(p + 14, p + 13, 4);
	put_hex(p + 19, (uint32_t)(lo >> 32));
	memmove(p + 24, p + 23, 4);
	put_hex(p + 28, (uint32_t)lo);
	p[8] = p[13] = p[18] = p[23] = '-';
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
	uint64_t span = worker_random(tx->w) | 1;
	char hex[16];
	put_hex(hex, (uint32_t)(span >> 32));
	put_hex(hex + 8, (uint32_t)span);
	const struct str parts[] = {{v.p, 36}, {hex, sizeof(hex)}, {v.p + 52, 3}};
	line_add_parts(o, STR("traceparent: "), parts, 3);
	const struct http_field *state = http_first(&tx->head, HTTP_F_TRACESTATE);
	if (state)
		line_add(o, STR("tracestate: "), state->value);
}

/* What the proxies before this hop have said, each followed by a comma; empty: nothing. */
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

/* The node is written as RFC 7239 §6 wants it. */
static void out_forwarded_line(struct http_out *o, struct str before, struct str peer, bool tls)
{
	static const struct {
		struct str begin, end;
	} marks[2][2] = {
	    {{STR("for="), STR(";proto=http")}, {STR("for="), STR(";proto=https")}},
	    {{STR("for=\"["), STR("]\";proto=http")}, {STR("for=\"["), STR("]\";proto=https")}},
	};
	bool v6 = str_find(peer, ':') >= 0;
	struct str node = str_eq(peer, STR("unix")) ? STR("_unix") : peer;
	const struct str parts[] = {before, marks[v6][tls].begin, node, marks[v6][tls].end};
	line_add_parts(o, STR("Forwarded: "), parts, 4);
}

static void out_forwarded(merlon_tx *tx, struct http_out *o)
{
	const struct http_head *h = &tx->head;
	const struct str peer = str_of(tx->c->peer);
	const struct http_field *proto = NULL, *host = NULL;
	struct str xff = STR(""), fwd = STR("");
	if (gen_trusts(tx->gw->gen, &tx->c->addr.sa)) {
		proto = http_find(h, STR("x-forwarded-proto"), 0);
		host = http_find(h, STR("x-forwarded-host"), 0);
		xff = said_before(tx, is_xff);
		fwd = said_before(tx, is_forwarded);
	}
	if (!host)
		host = http_first(h, HTTP_F_HOST);
	if (xff.n)
		line_add_parts(o, STR("X-Forwarded-For: "), (struct str[]){xff, peer}, 2);
	else
		line_add(o, STR("X-Forwarded-For: "), peer);
	if (proto)
		line_add(o, STR("X-Forwarded-Proto: "), proto->value);
	else
		line_add_text(o, tx->c->tls ? STR("X-Forwarded-Proto: https\r\n")
		                            : STR("X-Forwarded-Proto: http\r\n"));
	if (host && host->value.n)
		line_add(o, STR("X-Forwarded-Host: "), host->value);
	out_forwarded_line(o, fwd, peer, tx->c->tls);
}

/* Fields that the upstream's configuration or a module's edit sets are not the client's to set. */
static void mark_overridden(merlon_tx *tx, const struct conf_upstream *u)
{
	const struct edit *edits = tx->edits[MERLON_REQUEST];
	if (!edits && u->nheaders == 0 && u->nidentity == 0)
		return;
	for (unsigned i = 0; i < tx->head.nfields; i++) {
		struct http_field *f = &tx->head.fields[i];
		for (unsigned k = 0; k < u->nheaders && !(f->flags & HTTP_FIELD_DROP); k++)
			if (str_ieq(f->name, u->headers[k].name))
				f->flags |= HTTP_FIELD_DROP;
		if (u->nidentity && identity_names(u, f->name))
			f->flags |= HTTP_FIELD_DROP;
		for (const struct edit *e = edits; e; e = e->next)
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
	const struct str path = tx->url.path, query = tx->url.query;
	if (!query.p)
		return path;
	char *p = arena_alloc(&tx->arena, path.n + 1 + query.n);
	memcpy(p, path.p, path.n);
	p[path.n] = '?';
	memcpy(p + path.n + 1, query.p, query.n);
	return (struct str){p, path.n + 1 + query.n};
}

void forward_lines_init(struct forward_lines *l, const struct conf_upstream *u)
{
	const struct str host = upstream_host(u);
	size_t n = 0;
	for (unsigned i = 0; i < u->nheaders; i++)
		n += u->headers[i].name.n + u->headers[i].value.n + sizeof(": \r\n");
	buf_init(&l->host, host.n + sizeof("Host: \r\n"));
	buf_init(&l->own, n);
	/* At once: a buffer that grows leaves secrets behind. */
	l->r = buf_reserve(&l->own, n);
	struct http_out o = {&l->host, l->r};
	line_add(&o, STR("Host: "), host);
	o.b = &l->own;
	for (unsigned i = 0; i < u->nheaders; i++)
		http_out_field(&o, u->headers[i].name, u->headers[i].value);
	l->r = o.r;
}

void forward_lines_deinit(struct forward_lines *l)
{
	buf_wipe(&l->own);
	buf_deinit(&l->own);
	buf_deinit(&l->host);
}

/* The edits of filters, then configuration and identity. */
static void out_own(merlon_tx *tx, const struct conf_upstream *u, const struct forward_lines *l,
                    const struct str *identity, struct http_out *o)
{
	for (const struct edit *e = tx->edits[MERLON_REQUEST]; e; e = e->next)
		if (e->op != MERLON_HDR_DEL && !identity_names(u, e->name))
			line_add_checked(o, e->name, e->value);
	line_add_text(o, buf_str(&l->own));
	for (unsigned i = 0; i < u->nidentity; i++)
		if (identity[i].p)
			http_out_field(o, u->identity[i].name, identity[i]);
}

static int head_write(merlon_tx *tx, const struct conf_upstream *u, const struct str *identity,
                      struct buf *b)
{
	static const uint64_t skip =
	    HTTP_F_BIT(HTTP_F_HOST) | HTTP_F_BIT(HTTP_F_FORWARDED) |
	    HTTP_F_BIT(HTTP_F_X_FORWARDED) | HTTP_F_BIT(HTTP_F_X_REQUEST_ID) |
	    HTTP_F_BIT(HTTP_F_TRACEPARENT) | HTTP_F_BIT(HTTP_F_TRACESTATE) |
	    HTTP_F_BIT(HTTP_F_CONTENT_LENGTH) | HTTP_F_BIT(HTTP_F_TRANSFER_ENCODING);
	const struct forward_lines *l = &tx->gw->gen->lines[tx->upstream];
	struct http_out o = {b, l->r};
	http_out_request(&o, tx->head.method_text, target(tx));
	line_add_text(&o, buf_str(&l->host));
	http_out_fields(&o, &tx->head, skip);
	out_own(tx, u, l, identity, &o);
	line_add(&o, STR("X-Request-Id: "), tx->request_id);
	out_trace(tx, &o);
	out_forwarded(tx, &o);
	http_out_framing(&o, tx->chunked_up ? HTTP_CHUNKED : tx->head.framing, tx->head.length);
	return http_out_end(&o);
}

int forward_head(merlon_tx *tx, struct slice *out)
{
	const struct conf_upstream *u = &tx->gw->gen->conf->upstreams[tx->upstream];
	struct str *identity = arena_alloc(&tx->arena, (u->nidentity + 1) * sizeof(*identity));
	if (!identity_values(tx, u, identity))
		return FORWARD_E_IDENTITY;
	http_mark_dropped(&tx->head);
	mark_overridden(tx, u);
	/* In the block that it leaves from; a head that is larger than a block, in the scratch. */
	struct block *block = block_new(&tx->w->blocks, BLOCK_SIZE);
	struct buf b = {.p = block->data, .cap = BLOCK_SIZE, .max = BLOCK_SIZE};
	int r = head_write(tx, u, identity, &b);
	block->used = (uint32_t)b.n;
	*out = (struct slice){block, block->data, b.n};
	if (r == 0)
		return 0;
	slice_unref(*out);
	struct buf *large = &tx->w->scratch;
	buf_reset(large);
	r = head_write(tx, u, identity, large);
	if (r == 0)
		*out = slice_copy(&tx->w->blocks, large->p, large->n);
	/* It held upstream credentials. */
	if (u->nheaders)
		mem_wipe(large->p, large->n);
	return r ? FORWARD_E_LARGE : 0;
}
