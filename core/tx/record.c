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

static char *digest_render(merlon_tx *tx, struct digest *d, bool keyed)
{
	uint8_t sum[SHA256_LEN];
	digest_get(d, sum);
	const char *prefix = keyed ? "hmac-sha256:" : "sha256:";
	size_t n = strlen(prefix);
	char *text = arena_alloc(&tx->arena, n + SHA256_HEX + 1);
	memcpy(text, prefix, n);
	hex_encode(sum, sizeof(sum), text + n);
	text[n + SHA256_HEX] = 0;
	return text;
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

void digest_end(merlon_tx *tx, int dir, bool whole)
{
	if (!tx->digest[dir][0])
		return;
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

const char *record_status(uint32_t end)
{
	static const char *const names[] = {"error",   "success", "denied",
	                                    "limited", "error",   "aborted"};
	return end < sizeof(names) / sizeof(names[0]) ? names[end] : "error";
}

static int32_t rec_str(struct merlon_val *out, struct str s)
{
	if (!s.p)
		return MERLON_E_NOENT;
	*out = (struct merlon_val){.type = MERLON_VAL_STR, .u.str = to_merlon(s)};
	return 0;
}

static int32_t rec_i64(struct merlon_val *out, int64_t v, bool known)
{
	if (!known)
		return MERLON_E_NOENT;
	*out = (struct merlon_val){.type = MERLON_VAL_I64, .u.i64 = v};
	return 0;
}

static int32_t rec_cost(const merlon_tx *tx, struct merlon_val *out)
{
	const struct conf_model *m = tx->model;
	int64_t in = tx->call.tokens_in, given = tx->call.tokens_out;
	if (!m || !m->priced || (in < 0 && given < 0))
		return MERLON_E_NOENT;
	*out = (struct merlon_val){.type = MERLON_VAL_F64};
	out->u.f64 = (m->price_in * (double)(in > 0 ? in : 0) +
	              m->price_out * (double)(given > 0 ? given : 0)) /
	             1e6;
	return 0;
}

static int32_t rec_attr(merlon_tx *tx, struct merlon_val *out, struct str key)
{
	return rec_str(out, attrs_str(&tx->base.attrs, key));
}

static int32_t rec_hash(merlon_ctx *ctx, merlon_tx *tx, int dir, struct merlon_val *out)
{
	for (unsigned i = 0; tx->stack && i < tx->stack->ndigests; i++)
		if (ctx->digest.wanted && str_eq(tx->stack->digests[i]->key, ctx->digest.key))
			return rec_str(out, str_of(tx->digest_text[dir][i]));
	return MERLON_E_NOENT;
}

static int32_t rec_number(merlon_tx *tx, uint32_t field, struct merlon_val *out)
{
	int64_t up = (int64_t)((tx->upstream_ended - tx->upstream_began) / NS_PER_US);
	switch (field) {
	case MERLON_REC_TIMESTAMP:
		return rec_i64(out, (int64_t)tx->began_wall, true);
	case MERLON_REC_HTTP_STATUS:
		return rec_i64(out, tx->status, tx->status > 0);
	case MERLON_REC_DURATION_US:
		return rec_i64(out, (int64_t)((tx->ended - tx->began) / NS_PER_US), tx->ended > 0);
	case MERLON_REC_UPSTREAM_US:
		return rec_i64(out, up, tx->upstream_began > 0 && tx->upstream_ended > 0);
	case MERLON_REC_INPUT_BYTES:
		return rec_i64(out, (int64_t)tx->received, true);
	case MERLON_REC_OUTPUT_BYTES:
		return rec_i64(out, (int64_t)tx->sent, true);
	case MERLON_REC_TOKENS_IN:
		return rec_i64(out, tx->call.tokens_in, tx->call.tokens_in >= 0);
	case MERLON_REC_TOKENS_OUT:
		return rec_i64(out, tx->call.tokens_out, tx->call.tokens_out >= 0);
	case MERLON_REC_GENERATION:
		return rec_i64(out, (int64_t)tx->gw->gen->id, true);
	case MERLON_REC_COST:
		return rec_cost(tx, out);
	default:
		return MERLON_E_NOENT;
	}
}

int32_t host_record_get(merlon_ctx *ctx, merlon_tx *tx, uint32_t field, struct merlon_val *out)
{
	switch (field) {
	case MERLON_REC_REQUEST_ID:
		return rec_str(out, tx->request_id);
	case MERLON_REC_USER_ID:
		return rec_attr(tx, out, STR("id.sub"));
	case MERLON_REC_ORG:
		return rec_attr(tx, out, STR("id.org"));
	case MERLON_REC_CREDENTIAL:
		return rec_attr(tx, out, STR("id.credential"));
	case MERLON_REC_AUTH_METHOD:
		return rec_attr(tx, out, STR("id.method"));
	case MERLON_REC_MODEL_ID:
		return rec_str(out, tx->call.model);
	case MERLON_REC_ACTION:
		return rec_str(out, tx->call.action);
	case MERLON_REC_STATUS:
		return rec_str(out, str_of(record_status(tx->end)));
	case MERLON_REC_REASON:
		return rec_str(out, tx->reason);
	case MERLON_REC_INPUT_HASH:
		return rec_hash(ctx, tx, MERLON_REQUEST, out);
	case MERLON_REC_OUTPUT_HASH:
		return rec_hash(ctx, tx, MERLON_RESPONSE, out);
	case MERLON_REC_SOURCE_IP:
		return rec_str(out, tx->source);
	case MERLON_REC_METHOD:
		return rec_str(out, tx->head.method_text);
	case MERLON_REC_PATH:
		return rec_str(out, tx->url.path);
	case MERLON_REC_ROUTE:
		return rec_str(out, tx->route->conf ? tx->route->conf->name : STR_NONE);
	case MERLON_REC_STACK:
		return rec_str(out, tx->stack ? tx->stack->name : STR_NONE);
	case MERLON_REC_STREAM:
		*out = (struct merlon_val){.type = MERLON_VAL_BOOL, .u.i64 = tx->sse};
		return 0;
	default:
		return rec_number(tx, field, out);
	}
}

int32_t host_record_decision(merlon_tx *tx, uint32_t i, struct merlon_decision *out)
{
	if (i >= tx->ndecisions)
		return MERLON_E_NOENT;
	const struct decision *d = &tx->decisions[i];
	const struct conf_line *l = d->line->conf;
	struct merlon_decision full = {
	    .size = sizeof(full),
	    .shadow = d->shadow,
	    .group = to_merlon(str_of(conf_group_names[d->line->group])),
	    .line = to_merlon(l->name),
	    .module = to_merlon(l->include.n ? l->include : l->module),
	    .code = to_merlon(str_of(code_name(d->code))),
	    .policy = to_merlon(d->policy),
	};
	uint32_t n = out->size < sizeof(full) ? out->size : sizeof(full);
	memcpy(out, &full, n);
	return 0;
}
