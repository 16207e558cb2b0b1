/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * ratelimit_local: how much one key may ask for on this machine. Counts live in a zone of the
 * host's, so they outlive a reload; the instance holds the limits, read-only after create. A
 * request that is refused charges nothing.
 */
#include "common/cidr.h"
#include "common/window.h"
#include "limits.h"

#include <stdio.h>
#include <stdlib.h>

#define KEYS_MAX 8 /* attributes of a key expression */
/* Which attribute it is, so that values of two never meet, and the windows where they are not those
 * of the default: credentials of one identity may have tiers with other windows, which one record
 * could only count by forgetting the others'. */
#define KEY_PREFIX 2
#define KEY_WINDOWS (LIMIT_WINDOWS * sizeof(uint64_t))

struct instance {
	merlon_ctx *ctx;
	struct limits limits;
	struct merlon_str key[KEYS_MAX];
	uint32_t nkeys;
	merlon_zone *zone;
};

/* What the zone keeps for a key. */
struct record {
	struct window window[LIMIT_WINDOWS];
	uint64_t inflight;
};

/* This line's block of a tx: what settle gives back. */
struct slot {
	struct merlon_str key;
	uint64_t held; /* 1: the tx is counted in flight */
};

static const struct merlon_host *H;

/* ---- options ---- */
static const struct merlon_option options[] = {
    {"key", MERLON_OPT_STRLIST, 0, NULL, NULL, NULL,
     "Attributes, the first present counts; default id.sub, in the auth group net.source; with "
     "none "
     "present the source address counts, /64 for IPv6."},
    {"default", MERLON_OPT_GROUP, 0, NULL, NULL, limits_default, "Limits of every key."},
    {"tiers", MERLON_OPT_LIST, 0, NULL, NULL, limits_tier,
     "Limits by id.tier, field by field before the default."},
    {"overrides", MERLON_OPT_LIST, 0, NULL, NULL, limits_override,
     "Limits of single keys, field by field before the tiers."},
    {"max_keys", MERLON_OPT_INT, 0, "1000000", "1..100000000", NULL,
     "Most keys counted at a time; beyond it new keys are refused until old counts have run out."},
    {"penalty", MERLON_OPT_ANY, 0, NULL, NULL, NULL, "Not supported by this version."},
    {"count", MERLON_OPT_ANY, 0, NULL, NULL, NULL, "Not supported by this version."},
};

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

static void no_attribute(const merlon_cfg *cfg, struct merlon_str s)
{
	const char *near = txt_suggest(s, attributes, ATTRIBUTES);
	char text[256];
	int n = snprintf(text, sizeof(text), "\"%.*s\" is no attribute to count by%s%s%s",
	                 s.len < 64 ? (int)s.len : 64, s.len > 0 ? s.ptr : "",
	                 near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");

	H->cfg_error(cfg, "key", (struct merlon_str){text, (uint64_t)n});
}

static int read_key(struct instance *in, const merlon_cfg *cfg)
{
	bool auth = txt_eq(H->ctx_info(in->ctx, MERLON_CTX_GROUP), TXT("auth"));
	struct merlon_val v;

	if (H->cfg_get(cfg, "key", &v) != 0) {
		in->key[in->nkeys++] = auth ? TXT("net.source") : TXT("id.sub");
		return 0;
	}
	if (v.count == 0 || v.count > KEYS_MAX) {
		H->cfg_error(cfg, "key", TXT("must name 1 to 8 attributes"));
		return -1;
	}
	for (uint32_t i = 0; i < v.count; i++) {
		if (!names_attribute(v.u.list[i])) {
			no_attribute(cfg, v.u.list[i]);
			return -1;
		}
		in->key[in->nkeys++] = pool_copy(&in->limits.pool, v.u.list[i]);
	}
	return 0;
}

static int open_zone(struct instance *in, const merlon_cfg *cfg)
{
	struct merlon_str lengths = limits_lengths(&in->limits);
	uint64_t n = lengths.len, at = 0;
	struct merlon_val max;
	char *signature;

	for (uint32_t i = 0; i < in->nkeys; i++)
		n += in->key[i].len + 1;
	signature = pool_new(&in->limits.pool, n, 1);
	for (uint32_t i = 0; i < in->nkeys; i++) {
		memcpy(signature + at, in->key[i].ptr, in->key[i].len);
		at += in->key[i].len;
		signature[at++] = ' ';
	}
	memcpy(signature + at, lengths.ptr, lengths.len);
	if (H->cfg_get(cfg, "max_keys", &max) != 0)
		max.u.i64 = 1000000;
	return H->zone_open(in->ctx, cfg, (struct merlon_str){signature, n}, sizeof(struct record),
	                    (uint64_t)max.u.i64, &in->zone);
}

static int32_t create(merlon_ctx *ctx, const merlon_cfg *cfg, void **inst)
{
	struct instance *in = mem_new(1, sizeof(*in));
	int r;

	in->ctx = ctx;
	r = limits_read(H, cfg, &in->limits);
	r |= read_key(in, cfg);
	if (r == 0 && open_zone(in, cfg) != 0) {
		H->cfg_error(cfg, "", TXT("its counts cannot be kept"));
		r = -1;
	}
	if (r != 0) {
		limits_free(&in->limits);
		free(in);
		return -1;
	}
	*inst = in;
	return 0;
}

static void destroy(void *inst)
{
	struct instance *in = inst;

	limits_free(&in->limits);
	free(in);
}

/* ---- the key of a request ---- */
static bool text_attr(merlon_tx *tx, struct merlon_str name, struct merlon_str *out)
{
	struct merlon_val v;

	if (H->attr_get(tx, name, &v) != 0 || v.type != MERLON_VAL_STR || v.u.str.len == 0)
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

static void find_subject(const struct instance *in, merlon_tx *tx, struct subject *s)
{
	const struct merlon_str source = TXT("net.source");
	struct merlon_str name = source;

	*s = (struct subject){.value = TXT("")};
	while (s->which < in->nkeys && !text_attr(tx, in->key[s->which], &s->value))
		s->which++;
	if (s->which < in->nkeys) {
		name = in->key[s->which];
	} else {
		text_attr(tx, source, &s->value);
		s->which = KEYS_MAX + 1;
	}
	s->id = s->value;
	if (txt_eq(name, source) && cidr_addr(s->value, s->addr) == 0) {
		/* One customer holds a whole /64: its 2^64 addresses count as one. */
		s->id = (struct merlon_str){(const char *)s->addr, cidr_is_v4(s->addr) ? 16 : 8};
		s->which = KEYS_MAX;
	}
}

/* The zone's key, in the tx's memory; ptr NULL: there is none. */
static struct merlon_str zone_key(const struct instance *in, merlon_tx *tx, const struct subject *s,
                                  const struct limit *l)
{
	bool other = false;
	uint64_t n = 0;

	for (unsigned i = 0; i < LIMIT_WINDOWS; i++)
		other |= l->window[i].length != in->limits.whole.window[i].length;
	char *p = H->tx_alloc(tx, KEY_PREFIX + KEY_WINDOWS + s->id.len);
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

/* ---- counting; runs under the zone's lock ---- */
struct ask {
	const struct limit *limit;
	uint64_t now;
	bool refused;
	uint64_t wait;      /* ns until it would be admitted; concurrency cannot tell */
	int tightest;       /* of the windows; -1: there is none */
	uint64_t remaining; /* of the tightest */
	uint64_t reset;     /* ns until it is empty */
};

static uint64_t record_lasts(const struct record *r)
{
	uint64_t until = 0;

	if (r->inflight > 0)
		return UINT64_MAX;
	for (unsigned i = 0; i < LIMIT_WINDOWS; i++) {
		uint64_t at = r->window[i].width > 0 ? window_empty_at(&r->window[i]) : 0;
		until = at > until ? at : until;
	}
	return until;
}

static void describe(const struct record *r, struct ask *a)
{
	a->tightest = -1;
	for (int i = 0; i < LIMIT_WINDOWS; i++) {
		uint64_t limit = a->limit->window[i].count, used;
		if (a->limit->window[i].length == 0)
			continue;
		used = window_used(&r->window[i]);
		uint64_t remaining = used < limit ? limit - used : 0;
		uint64_t empty = window_empty_at(&r->window[i]);
		if (a->tightest >= 0 && remaining >= a->remaining)
			continue;
		a->tightest = i;
		a->remaining = remaining;
		a->reset = empty > a->now ? empty - a->now : 0;
	}
}

static uint64_t charge(void *rec, uint32_t fresh, void *arg)
{
	struct record *r = rec;
	struct ask *a = arg;
	const struct limit *l = a->limit;

	(void)fresh;
	for (unsigned i = 0; i < LIMIT_WINDOWS; i++) {
		if (l->window[i].length == 0)
			continue;
		window_at(&r->window[i], l->window[i].length, a->now);
		if (window_fits(&r->window[i], l->window[i].count, 1))
			continue;
		uint64_t wait = window_wait(&r->window[i], l->window[i].count, 1, a->now);
		if (wait == UINT64_MAX) /* a limit of 0: no time helps before it is changed */
			wait = l->window[i].length;
		a->refused = true;
		a->wait = wait > a->wait ? wait : a->wait;
	}
	a->refused |= l->concurrency >= 0 && r->inflight >= (uint64_t)l->concurrency;
	for (unsigned i = 0; !a->refused && i < LIMIT_WINDOWS; i++) {
		if (l->window[i].length > 0)
			window_add(&r->window[i], 1);
	}
	r->inflight += !a->refused && l->concurrency >= 0;
	describe(r, a);
	return record_lasts(r);
}

static uint64_t release(void *rec, uint32_t fresh, void *arg)
{
	struct record *r = rec;

	(void)fresh;
	(void)arg;
	if (r->inflight > 0)
		r->inflight--;
	return record_lasts(r);
}

/* ---- what the client is told ---- */
static struct merlon_str put_u64(char buf[24], uint64_t v)
{
	unsigned at = 24;

	do {
		buf[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	return (struct merlon_str){buf + at, 24 - at};
}

/* "1.2s", rounded up. */
static struct merlon_str put_seconds(char buf[32], uint64_t ns)
{
	uint64_t tenths = ns / 100000000 + (ns % 100000000 != 0);
	char digits[24];
	struct merlon_str whole = put_u64(digits, tenths / 10);

	memcpy(buf, whole.ptr, whole.len);
	buf[whole.len] = '.';
	buf[whole.len + 1] = (char)('0' + tenths % 10);
	buf[whole.len + 2] = 's';
	return (struct merlon_str){buf, whole.len + 3};
}

/* Whether another line has already told of a window that has no more left than this one. */
static bool told_tighter(merlon_tx *tx, uint64_t remaining)
{
	struct merlon_str s;
	uint64_t v = 0;

	if (H->header_get(tx, MERLON_RESPONSE, TXT("x-ratelimit-remaining-requests"), 0, &s) != 0)
		return false;
	for (uint64_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9' || v > UINT64_MAX / 10 - 1)
			return false;
		v = v * 10 + (uint64_t)(s.ptr[i] - '0');
	}
	return v <= remaining;
}

static void tell(const struct instance *in, merlon_tx *tx, const struct ask *a)
{
	char buf[32];

	if (a->tightest < 0 || told_tighter(tx, a->remaining))
		return;
	H->header_edit(in->ctx, tx, MERLON_RESPONSE, MERLON_HDR_SET,
	               TXT("x-ratelimit-limit-requests"),
	               put_u64(buf, a->limit->window[a->tightest].count));
	H->header_edit(in->ctx, tx, MERLON_RESPONSE, MERLON_HDR_SET,
	               TXT("x-ratelimit-remaining-requests"), put_u64(buf, a->remaining));
	H->header_edit(in->ctx, tx, MERLON_RESPONSE, MERLON_HDR_SET,
	               TXT("x-ratelimit-reset-requests"), put_seconds(buf, a->reset));
}

static int32_t refuse(const struct instance *in, merlon_tx *tx, const struct ask *a)
{
	uint64_t ms = a->wait / 1000000 + (a->wait % 1000000 != 0);
	struct merlon_fail f = {.size = sizeof(f), .text = TXT("rate limit exceeded")};

	if (ms < 1000)
		ms = 1000;
	f.retry_after_ms = ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
	f.detail = a->wait > 0 ? TXT("over its rate") : TXT("too many requests at a time");
	H->fail(in->ctx, tx, &f);
	return MERLON_LIMITED;
}

/* ---- hooks ---- */
static int32_t check(void *inst, void *w, merlon_tx *tx, uint32_t group)
{
	struct instance *in = inst;
	struct merlon_str tier = TXT("");
	struct ask a = {.tightest = -1};
	struct subject s;

	(void)w;
	(void)group;
	find_subject(in, tx, &s);
	text_attr(tx, TXT("id.tier"), &tier);
	const struct limit l = limits_for(&in->limits, s.value, tier);
	if (l.window[0].length == 0 && l.window[1].length == 0 && l.concurrency < 0)
		return MERLON_IGNORE;
	struct merlon_str key = zone_key(in, tx, &s, &l);
	if (!key.ptr)
		return MERLON_ERROR;
	a.limit = &l;
	a.now = H->now(MERLON_CLOCK_MONOTONIC);
	if (H->zone_update(in->zone, tx, key, charge, &a) != 0) {
		const struct merlon_fail f = {.size = sizeof(f),
		                              .text = TXT("too many clients at a time"),
		                              .detail = TXT("no room for another key")};
		H->fail(in->ctx, tx, &f);
		return MERLON_UNAVAIL;
	}
	tell(in, tx, &a);
	if (a.refused)
		return refuse(in, tx, &a);
	if (l.concurrency >= 0) {
		struct slot *slot = H->tx_slot(in->ctx, tx);
		*slot = (struct slot){key, 1};
	}
	return MERLON_OK;
}

static void settle(void *inst, void *w, merlon_tx *tx, const struct merlon_summary *summary)
{
	struct instance *in = inst;
	struct slot *s = H->tx_slot(in->ctx, tx);

	(void)w;
	(void)summary;
	if (s->held)
		H->zone_update(in->zone, tx, s->key, release, NULL);
	s->held = 0;
}

/* What `key` names cannot stand here; in the auth group id.* is not known yet, and not asked for.
 */
static const char *const reads[] = {"net.source", NULL};

static const struct merlon_module module = {
    .size = sizeof(struct merlon_module),
    .major = MERLON_ABI_MAJOR,
    .minor = MERLON_ABI_MINOR,
    .groups = MERLON_AUTH | MERLON_AUTHZ | MERLON_RATELIMIT,
    .codes = MERLON_BIT(MERLON_OK) | MERLON_BIT(MERLON_IGNORE) | MERLON_BIT(MERLON_LIMITED) |
             MERLON_BIT(MERLON_UNAVAIL) | MERLON_BIT(MERLON_ERROR),
    .slot_size = sizeof(struct slot),
    .option_size = sizeof(struct merlon_option),
    .option_count = sizeof(options) / sizeof(options[0]),
    .name = "ratelimit_local",
    .version = MODULE_VERSION,
    .license = "Apache-2.0",
    .summary = "Limits of requests and concurrency by key, counted on this machine.",
    .options = options,
    .reads = reads,
    .create = create,
    .destroy = destroy,
    .check = check,
    .settle = settle,
};

MERLON_MODULE(module, H, 0, 0, MERLON_AUTH | MERLON_AUTHZ | MERLON_RATELIMIT)
