/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A ratelimit line: its options, and whom a request is counted for. The instance owns the struct;
 * what it keeps lies in the limits' pool.
 */
#include "common/ratelimit.h"

#include "common/cidr.h"

#include <stdio.h>

/* Which attribute it is, so that values of two never meet, and the windows where they are not those
 * of the default: credentials of one identity may have tiers with other windows, which one record
 * could only count by forgetting the others'. */
#define KEY_PREFIX 2
#define KEY_WINDOWS (LIMIT_WINDOWS * sizeof(uint64_t))

/* ---- options ---- */
/* Attributes with one text as value; of res and x nobody knows all. */
static const char *const attributes[] = {"id.sub",     "id.org",        "id.team",    "id.tier",
                                         "id.method",  "id.credential", "net.source", "net.peer",
                                         "req.method", "req.path",      "req.host",   "action"};
#define ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

static bool names_attribute(struct merlon_str s)
{
	static const char *const families[] = {"res.", "tls.", "llm.", "x."};

	for (unsigned i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		size_t n = strlen(families[i]);
		if (s.len > n && memcmp(s.ptr, families[i], n) == 0)
			return true;
	}
	for (unsigned i = 0; i < ATTRIBUTES; i++) {
		if (txt_eq(s, txt_of(attributes[i])))
			return true;
	}
	return false;
}

static void no_attribute(const struct ratelimit *rl, const merlon_cfg *cfg, struct merlon_str s)
{
	const char *near = txt_suggest(s, attributes, ATTRIBUTES);
	char text[256];
	int n = snprintf(text, sizeof(text), "\"%.*s\" is no attribute to count by%s%s%s",
	                 s.len < 64 ? (int)s.len : 64, s.len > 0 ? s.ptr : "",
	                 near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");

	rl->host->cfg_error(cfg, "key", (struct merlon_str){text, (uint64_t)n});
}

static int read_key(struct ratelimit *rl, const merlon_cfg *cfg)
{
	bool auth = txt_eq(rl->host->ctx_info(rl->ctx, MERLON_CTX_GROUP), TXT("auth"));
	struct merlon_val v;

	if (rl->host->cfg_get(cfg, "key", &v) != 0) {
		rl->key[rl->nkeys++] = auth ? TXT("net.source") : TXT("id.sub");
		return 0;
	}
	if (v.count == 0 || v.count > RATELIMIT_KEYS) {
		rl->host->cfg_error(cfg, "key", TXT("must name 1 to 8 attributes"));
		return -1;
	}
	for (uint32_t i = 0; i < v.count; i++) {
		if (!names_attribute(v.u.list[i])) {
			no_attribute(rl, cfg, v.u.list[i]);
			return -1;
		}
		rl->key[rl->nkeys++] = pool_copy(&rl->limits.pool, v.u.list[i]);
	}
	return 0;
}

static void make_signature(struct ratelimit *rl)
{
	const struct merlon_str lengths = limits_lengths(&rl->limits);
	const struct merlon_str what = rl->denied ? TXT(";denied") : TXT("");
	uint64_t n = lengths.len + what.len, at = 0;
	char *p;

	for (uint32_t i = 0; i < rl->nkeys; i++)
		n += rl->key[i].len + 1;
	p = pool_new(&rl->limits.pool, n, 1);
	for (uint32_t i = 0; i < rl->nkeys; i++) {
		memcpy(p + at, rl->key[i].ptr, rl->key[i].len);
		at += rl->key[i].len;
		p[at++] = ' ';
	}
	memcpy(p + at, lengths.ptr, lengths.len);
	memcpy(p + at + lengths.len, what.ptr, what.len);
	rl->signature = (struct merlon_str){p, n};
}

int ratelimit_read(const struct merlon_host *h, merlon_ctx *ctx, const merlon_cfg *cfg,
                   struct ratelimit *out)
{
	struct merlon_val v;
	int r;

	*out = (struct ratelimit){.host = h, .ctx = ctx, .max_keys = 1000000};
	r = limits_read(h, cfg, &out->limits);
	r |= read_key(out, cfg);
	if (h->cfg_get(cfg, "max_keys", &v) == 0)
		out->max_keys = (uint64_t)v.u.i64;
	out->denied = h->cfg_get(cfg, "count", &v) == 0 && txt_eq(v.u.str, TXT("denied"));
	make_signature(out);
	return r;
}

int ratelimit_open(struct ratelimit *rl, const merlon_cfg *cfg)
{
	uint32_t size = ratelimit_record_size(&rl->limits.penalty);

	if (rl->host->zone_open(rl->ctx, cfg, rl->signature, size, rl->max_keys, &rl->zone) == 0)
		return 0;
	rl->host->cfg_error(cfg, "", TXT("its counts cannot be kept"));
	return -1;
}

void ratelimit_free(struct ratelimit *rl)
{
	limits_free(&rl->limits);
}

/* ---- the key of a request ---- */
static bool text_attr(const struct ratelimit *rl, merlon_tx *tx, struct merlon_str name,
                      struct merlon_str *out)
{
	struct merlon_val v;

	if (rl->host->attr_get(tx, name, &v) != 0 || v.type != MERLON_VAL_STR || v.u.str.len == 0)
		return false;
	*out = v.u.str;
	return true;
}

/* The attribute that counts. */
struct subject {
	struct merlon_str value; /* as text */
	struct merlon_str id;    /* what it is counted by */
	uint8_t addr[16];        /* of which id may be a part */
	uint32_t which;
};

static void find_subject(const struct ratelimit *rl, merlon_tx *tx, struct subject *s)
{
	const struct merlon_str source = TXT("net.source");
	struct merlon_str name = source;

	*s = (struct subject){.value = TXT("")};
	while (s->which < rl->nkeys && !text_attr(rl, tx, rl->key[s->which], &s->value))
		s->which++;
	if (s->which < rl->nkeys) {
		name = rl->key[s->which];
	} else {
		text_attr(rl, tx, source, &s->value);
		s->which = RATELIMIT_KEYS + 1;
	}
	s->id = s->value;
	if (txt_eq(name, source) && cidr_addr(s->value, s->addr) == 0) {
		/* One customer holds a whole /64: its 2^64 addresses count as one. */
		s->id = (struct merlon_str){(const char *)s->addr, cidr_is_v4(s->addr) ? 16 : 8};
		s->which = RATELIMIT_KEYS;
	}
}

/* In the tx's memory; ptr NULL: there is none. */
static struct merlon_str record_key(const struct ratelimit *rl, merlon_tx *tx,
                                    const struct subject *s, const struct limit *l)
{
	bool other = false;
	uint64_t n = 0;

	for (unsigned i = 0; i < LIMIT_WINDOWS; i++)
		other |= l->window[i].length != rl->limits.whole.window[i].length;
	char *p = rl->host->tx_alloc(tx, KEY_PREFIX + KEY_WINDOWS + s->id.len);
	if (!p)
		return (struct merlon_str){NULL, 0};
	p[n++] = (char)('0' + s->which);
	p[n++] = other ? '/' : '=';
	for (unsigned i = 0; other && i < LIMIT_WINDOWS; i++) {
		memcpy(p + n, &l->window[i].length, sizeof(uint64_t));
		n += sizeof(uint64_t);
	}
	memcpy(p + n, s->id.ptr, s->id.len);
	return (struct merlon_str){p, n + s->id.len};
}

int32_t ratelimit_begin(const struct ratelimit *rl, merlon_tx *tx, struct ratelimit_ask *a)
{
	struct merlon_str tier = TXT("");
	struct subject s;

	if (a->told)
		return ratelimit_answer(rl, tx, a);
	*a = (struct ratelimit_ask){.line = rl, .verdict.tightest = -1};
	find_subject(rl, tx, &s);
	text_attr(rl, tx, TXT("id.tier"), &tier);
	a->limit = limits_for(&rl->limits, s.value, tier);
	if (limits_none(&a->limit))
		return MERLON_IGNORE;
	a->key = record_key(rl, tx, &s, &a->limit);
	if (!a->key.ptr)
		return MERLON_ERROR;
	a->now = rl->host->now(MERLON_CLOCK_MONOTONIC);
	return 0;
}

/* ---- counting in a zone ---- */
int32_t ratelimit_count(const struct ratelimit *rl, merlon_tx *tx, struct ratelimit_ask *a)
{
	if (rl->host->zone_update(rl->zone, tx, a->key, ratelimit_charge, a) != 0) {
		const struct merlon_fail f = {.size = sizeof(f),
		                              .text = TXT("too many clients at a time"),
		                              .detail = TXT("no room for another key")};
		rl->host->fail(rl->ctx, tx, &f);
		return MERLON_UNAVAIL;
	}
	bool passes = a->verdict.why == RATELIMIT_PASS;
	a->held = passes && a->limit.concurrency >= 0;
	a->pending = passes && rl->denied;
	return 0;
}

uint32_t ratelimit_due(struct ratelimit_ask *a, const struct merlon_summary *s)
{
	/* What the upstream answered, and what broke off an answer under way, is no refusal. */
	bool denied =
	    s->end == MERLON_END_DENIED && (s->http_status == 401 || s->http_status == 403);
	uint32_t due =
	    (a->held ? RATELIMIT_RELEASE : 0) | (a->pending && denied ? RATELIMIT_CHARGE : 0);

	a->held = a->pending = a->told = 0;
	return due;
}

void ratelimit_settle(const struct ratelimit *rl, merlon_tx *tx, struct ratelimit_ask *a,
                      const struct merlon_summary *s)
{
	struct ratelimit_end e = {&a->limit, &rl->limits.penalty, 0, ratelimit_due(a, s)};

	if (e.due == 0)
		return;
	e.now = rl->host->now(MERLON_CLOCK_MONOTONIC);
	rl->host->zone_update(rl->zone, tx, a->key, ratelimit_finish, &e);
}
