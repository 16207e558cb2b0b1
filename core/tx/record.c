/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The audit record's fields, taken from the tx where they stand, and the running digests of both
 * bodies.
 */
#include "tx/record.h"

#include "base/clock.h"

void digest_begin(merlon_tx *tx, int dir)
{
	if (!tx->stack || tx->digest[dir][0])
		return;
	for (unsigned i = 0; i < tx->stack->ndigests; i++) {
		const struct digest_key *k = tx->stack->digests[i];
		if (k->key.n == 0 && tx->w->ndigests > 0) {
			tx->digest[dir][i] = tx->w->digests[--tx->w->ndigests];
			digest_reset(tx->digest[dir][i]);
		} else {
			tx->digest[dir][i] = digest_new(k->key);
		}
	}
}

void digest_feed(merlon_tx *tx, int dir, struct str data)
{
	for (unsigned i = 0; i < TX_DIGESTS && tx->digest[dir][i]; i++)
		digest_add(tx->digest[dir][i], data);
}

static struct str digest_render(merlon_tx *tx, struct digest *d, bool keyed)
{
	uint8_t sum[SHA256_LEN];
	const struct str prefix = keyed ? STR("hmac-sha256:") : STR("sha256:");
	char *text = arena_alloc(&tx->arena, prefix.n + SHA256_HEX + 1);
	digest_get(d, sum);
	memcpy(text, prefix.p, prefix.n);
	hex_encode(sum, sizeof(sum), text + prefix.n);
	return (struct str){text, prefix.n + SHA256_HEX};
}

/* Bytes that were received and not sent count too, where the body came whole and the upstream got
 * none of it. */
static bool digest_rest(merlon_tx *tx)
{
	if (tx->head.framing == HTTP_NO_BODY && tx->body_wanted)
		return true;
	if (!tx->body_ended || tx->body_bad || tx->released > 0)
		return false;
	for (unsigned i = 0; i < tx->parked.count; i++) {
		const struct slice *s = chain_at(&tx->parked, i);
		digest_feed(tx, MERLON_REQUEST, (struct str){s->p, s->n});
	}
	return true;
}

void digest_finish(merlon_tx *tx, int dir, bool whole)
{
	if (dir == MERLON_REQUEST && !whole)
		whole = digest_rest(tx);
	for (unsigned i = 0; i < TX_DIGESTS && tx->digest[dir][i]; i++) {
		struct digest *d = tx->digest[dir][i];
		bool keyed = tx->stack->digests[i]->key.n > 0;
		if (whole)
			tx->digest_text[dir][i] = digest_render(tx, d, keyed);
		if (!keyed && tx->w->ndigests < sizeof(tx->w->digests) / sizeof(tx->w->digests[0]))
			tx->w->digests[tx->w->ndigests++] = d;
		else
			digest_free(d);
		tx->digest[dir][i] = NULL;
	}
}

static struct str status_text(uint32_t end)
{
	static const struct str texts[] = {STR("error"),   STR("success"), STR("denied"),
	                                   STR("limited"), STR("error"),   STR("aborted")};
	return end < sizeof(texts) / sizeof(texts[0]) ? texts[end] : texts[0];
}

const char *record_status(uint32_t end)
{
	return status_text(end).p;
}

/* ---- the fields. Each sets a fact and answers how many bytes of text that has. ---- */
static inline uint64_t fact_str(struct merlon_fact *f, struct str s, uint32_t flags)
{
	f->type = s.p ? MERLON_VAL_STR : MERLON_VAL_NONE;
	f->flags = flags;
	f->u.str = to_merlon(s);
	return s.p ? s.n : 0;
}

static inline uint64_t fact_i64(struct merlon_fact *f, int64_t v, bool known)
{
	f->type = known ? MERLON_VAL_I64 : MERLON_VAL_NONE;
	f->flags = 0;
	f->u.i64 = v;
	return 0;
}

static inline uint64_t fact_cost(struct merlon_fact *f, const merlon_tx *tx)
{
	const struct conf_model *m = tx->model;
	int64_t in = tx->call.tokens_in, given = tx->call.tokens_out;

	*f = (struct merlon_fact){.type = MERLON_VAL_NONE};
	if (m && m->priced && (in >= 0 || given >= 0)) {
		f->type = MERLON_VAL_F64;
		f->u.f64 = (m->price_in * (double)(in > 0 ? in : 0) +
		            m->price_out * (double)(given > 0 ? given : 0)) /
		           1e6;
	}
	return 0;
}

/* A name and hexadecimal digits. */
static inline uint64_t fact_hash(struct merlon_fact *f, const merlon_ctx *ctx, const merlon_tx *tx,
                                 int dir)
{
	for (unsigned i = 0; tx->stack && i < tx->stack->ndigests; i++)
		if (ctx->digest.wanted && str_eq(tx->stack->digests[i]->key, ctx->digest.key))
			return fact_str(f, tx->digest_text[dir][i], MERLON_FACT_PLAIN);
	return fact_str(f, STR_NONE, 0);
}

static int64_t us_between(uint64_t from, uint64_t to)
{
	return (int64_t)((to - from) / NS_PER_US);
}

/* Where a value is made, or lies behind a pointer. */
__attribute__((always_inline)) static inline uint64_t
fact_made(const merlon_ctx *ctx, merlon_tx *tx, uint32_t field, struct merlon_fact *f)
{
	switch (field) {
	case MERLON_REC_STATUS:
		return fact_str(f, status_text(tx->end), MERLON_FACT_PLAIN);
	case MERLON_REC_INPUT_HASH:
		return fact_hash(f, ctx, tx, MERLON_REQUEST);
	case MERLON_REC_OUTPUT_HASH:
		return fact_hash(f, ctx, tx, MERLON_RESPONSE);
	case MERLON_REC_ROUTE:
		return fact_str(f, tx->route->conf ? tx->route->conf->name : STR_NONE, 0);
	case MERLON_REC_STACK:
		return fact_str(f, tx->stack ? tx->stack->name : STR_NONE, 0);
	case MERLON_REC_HTTP_STATUS:
		return fact_i64(f, tx->status, tx->status > 0);
	case MERLON_REC_DURATION_US:
		return fact_i64(f, us_between(tx->began, tx->ended), tx->ended > 0);
	case MERLON_REC_UPSTREAM_US:
		return fact_i64(f, us_between(tx->upstream_began, tx->upstream_ended),
		                tx->upstream_began > 0 && tx->upstream_ended > 0);
	case MERLON_REC_GENERATION:
		return fact_i64(f, (int64_t)tx->gw->gen->id, true);
	case MERLON_REC_COST:
		return fact_cost(f, tx);
	case MERLON_REC_STREAM:
		*f = (struct merlon_fact){.type = MERLON_VAL_BOOL, .u.i64 = tx->sse};
		return 0;
	default:
		return fact_str(f, STR_NONE, 0);
	}
}

/* What the identity says, by its attributes' names. */
enum { SUB, ORG, CREDENTIAL, METHOD };
static const struct str identity[] = {
    [SUB] = STR("id.sub"),
    [ORG] = STR("id.org"),
    [CREDENTIAL] = STR("id.credential"),
    [METHOD] = STR("id.method"),
};

/* Where a field's value stands. */
enum place_kind {
	MADE,   /* nowhere: see fact_made() */
	TEXT,   /* a struct str of the tx */
	PLAIN,  /* likewise, and what wrote it lets plain bytes pass only */
	NUMBER, /* 64 bits of the tx; negative: unknown */
	IDENTITY
};
static const struct place {
	uint16_t kind;
	uint16_t at; /* in the tx, or in `identity` */
} places[MERLON_REC_COUNT] = {
    [MERLON_REC_TIMESTAMP] = {NUMBER, offsetof(merlon_tx, began_wall)},
    [MERLON_REC_REQUEST_ID] = {PLAIN, offsetof(merlon_tx, request_id)},
    [MERLON_REC_USER_ID] = {IDENTITY, SUB},
    [MERLON_REC_ORG] = {IDENTITY, ORG},
    [MERLON_REC_CREDENTIAL] = {IDENTITY, CREDENTIAL},
    [MERLON_REC_AUTH_METHOD] = {IDENTITY, METHOD},
    [MERLON_REC_MODEL_ID] = {TEXT, offsetof(merlon_tx, call.model)},
    [MERLON_REC_ACTION] = {TEXT, offsetof(merlon_tx, call.action)},
    [MERLON_REC_REASON] = {TEXT, offsetof(merlon_tx, reason)},
    [MERLON_REC_INPUT_BYTES] = {NUMBER, offsetof(merlon_tx, received)},
    [MERLON_REC_OUTPUT_BYTES] = {NUMBER, offsetof(merlon_tx, sent)},
    [MERLON_REC_TOKENS_IN] = {NUMBER, offsetof(merlon_tx, call.tokens_in)},
    [MERLON_REC_TOKENS_OUT] = {NUMBER, offsetof(merlon_tx, call.tokens_out)},
    [MERLON_REC_SOURCE_IP] = {TEXT, offsetof(merlon_tx, source)},
    [MERLON_REC_METHOD] = {TEXT, offsetof(merlon_tx, head.method_text)},
    [MERLON_REC_PATH] = {TEXT, offsetof(merlon_tx, url.path)},
};

/* Inline, so that nothing is left of the table where the field is known. */
__attribute__((always_inline)) static inline uint64_t fact_of(const merlon_ctx *ctx, merlon_tx *tx,
                                                              uint32_t field, struct merlon_fact *f)
{
	const struct place p = places[field];
	const char *at = (const char *)tx + p.at;

	if (p.kind == TEXT || p.kind == PLAIN)
		return fact_str(f, *(const struct str *)(const void *)at,
		                p.kind == PLAIN ? MERLON_FACT_PLAIN : 0);
	if (p.kind == NUMBER) {
		int64_t v = *(const int64_t *)(const void *)at;
		return fact_i64(f, v, v >= 0);
	}
	if (p.kind == IDENTITY)
		return fact_str(f, attrs_str(&tx->base.attrs, identity[p.at]), 0);
	return fact_made(ctx, tx, field, f);
}

int32_t host_record_get(merlon_ctx *ctx, merlon_tx *tx, uint32_t field, struct merlon_val *out)
{
	struct merlon_fact f;

	if (field >= MERLON_REC_COUNT)
		return MERLON_E_NOENT;
	fact_of(ctx, tx, field, &f);
	if (f.type == MERLON_VAL_NONE)
		return MERLON_E_NOENT;
	*out = (struct merlon_val){.type = f.type};
	if (f.type == MERLON_VAL_STR)
		out->u.str = f.u.str;
	else if (f.type == MERLON_VAL_F64)
		out->u.f64 = f.u.f64;
	else
		out->u.i64 = f.u.i64;
	return 0;
}

/* For a module that has less room than there are fields. */
static __attribute__((noinline)) uint64_t read_some(const merlon_ctx *ctx, merlon_tx *tx,
                                                    struct merlon_fact *facts, uint32_t count)
{
	uint64_t text = 0;

	for (uint32_t field = 0; field < count; field++)
		text += fact_of(ctx, tx, field, &facts[field]);
	return text;
}

uint64_t host_record_read(merlon_ctx *ctx, merlon_tx *tx, struct merlon_fact *facts, uint32_t count)
{
	enum { KNOWN = MERLON_REC_COUNT }; /* no macro is expanded in the pragma */
	uint64_t text = 0;

	if (__builtin_expect(count < MERLON_REC_COUNT, 0))
		return read_some(ctx, tx, facts, count);
#pragma GCC unroll KNOWN
	for (uint32_t field = 0; field < MERLON_REC_COUNT; field++)
		text += fact_of(ctx, tx, field, &facts[field]);
	for (uint32_t field = MERLON_REC_COUNT; field < count; field++)
		facts[field].type = MERLON_VAL_NONE;
	return text;
}

static inline void decision_fill(const struct decision *d, struct merlon_decision *out)
{
	static const struct str groups[G_COUNT] = {CONF_GROUP_NAMES(STR)};
	const struct conf_line *l = d->line->conf;

	out->size = sizeof(*out);
	out->shadow = d->shadow;
	out->group = to_merlon(groups[d->line->group]);
	out->line = to_merlon(l->name);
	out->module = to_merlon(l->include.n ? l->include : l->module);
	out->code = to_merlon(code_text(d->code));
	out->policy = to_merlon(d->policy);
}

/* For a module that knows less of a decision. */
static __attribute__((noinline)) void decision_less(const struct decision *d,
                                                    struct merlon_decision *out)
{
	struct merlon_decision full;

	decision_fill(d, &full);
	full.size = out->size;
	memcpy(out, &full, out->size);
}

int32_t host_record_decision(merlon_tx *tx, uint32_t i, struct merlon_decision *out)
{
	if (i >= tx->ndecisions)
		return MERLON_E_NOENT;
	if (__builtin_expect(out->size >= sizeof(*out), 1))
		decision_fill(&tx->decisions[i], out);
	else
		decision_less(&tx->decisions[i], out);
	return 0;
}
