/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The fake host's functions that serve a tx: attributes, headers, answers, memory, zones, sinks,
 * records. What is copied belongs to the tx and goes with it.
 */
#include "common/fakehost.h"
#include "common/fakecfg.h"
#include "common/fakenet.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

uint64_t fake_now[2];
struct merlon_zone fake_zone;
struct merlon_sink fake_sink;

struct block {
	struct block *next;
	uint64_t pad; /* what follows is aligned to 16 */
	char data[];
};

static void *tx_keep(merlon_tx *tx, uint64_t size)
{
	struct block *b = calloc(1, sizeof(*b) + size + 16);

	b->next = tx->blocks;
	tx->blocks = b;
	return b->data;
}

static struct merlon_str tx_copy(merlon_tx *tx, struct merlon_str s)
{
	char *p = tx_keep(tx, s.len + 1);

	if (s.len > 0)
		memcpy(p, s.ptr, s.len);
	return (struct merlon_str){p, s.len};
}

static struct merlon_val val_copy(merlon_tx *tx, const struct merlon_val *v)
{
	struct merlon_val out = *v;

	if (v->type == MERLON_VAL_STR || v->type == MERLON_VAL_BYTES) {
		out.u.str = tx_copy(tx, v->u.str);
	} else if (v->type == MERLON_VAL_STRLIST) {
		struct merlon_str *list = tx_keep(tx, (v->count + 1) * sizeof(*list));
		for (uint32_t i = 0; i < v->count; i++)
			list[i] = tx_copy(tx, v->u.list[i]);
		out.u.list = list;
	}
	return out;
}

merlon_tx *fake_tx_new(void)
{
	return calloc(1, sizeof(merlon_tx));
}

void fake_tx_free(merlon_tx *tx)
{
	for (struct block *b = tx->blocks, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	free(tx);
}

static int32_t attr_put(merlon_tx *tx, struct merlon_str key, const struct merlon_val *val)
{
	unsigned i = 0;

	while (i < tx->nattrs && !txt_eq(tx->attrs[i].name, key))
		i++;
	if (i == FAKE_ATTRS)
		return MERLON_E_FULL;
	if (i == tx->nattrs)
		tx->nattrs++;
	tx->attrs[i].name = tx_copy(tx, key);
	tx->attrs[i].val = val_copy(tx, val);
	return 0;
}

void fake_attr(merlon_tx *tx, const char *key, const char *value)
{
	struct merlon_val v = {.type = MERLON_VAL_STR, .u.str = txt_of(value)};

	attr_put(tx, txt_of(key), &v);
}

void fake_attr_list(merlon_tx *tx, const char *key, const char *commas)
{
	struct merlon_str list[64];
	struct merlon_val v = {.type = MERLON_VAL_STRLIST, .u.list = list};

	while (*commas && v.count < 64) {
		size_t n = strcspn(commas, ",");
		list[v.count++] = (struct merlon_str){commas, n};
		commas += n + (commas[n] == ',');
	}
	attr_put(tx, txt_of(key), &v);
}

static int32_t attr_get(merlon_tx *tx, struct merlon_str key, struct merlon_val *out)
{
	for (unsigned i = 0; i < tx->nattrs; i++) {
		if (txt_eq(tx->attrs[i].name, key)) {
			*out = tx->attrs[i].val;
			return 0;
		}
	}
	return MERLON_E_NOENT;
}

static int32_t attr_set(merlon_ctx *ctx, merlon_tx *tx, struct merlon_str key,
                        const struct merlon_val *val)
{
	(void)ctx;
	return attr_put(tx, key, val);
}

void fake_record_i64(merlon_tx *tx, unsigned field, int64_t value)
{
	tx->record[field] = (struct merlon_val){.type = MERLON_VAL_I64, .u.i64 = value};
}

struct merlon_decision fake_decision(const char *group, const char *code, const char *policy,
                                     uint32_t shadow)
{
	return (struct merlon_decision){sizeof(struct merlon_decision),
	                                shadow,
	                                txt_of(group),
	                                TXT("l"),
	                                TXT("mod"),
	                                txt_of(code),
	                                txt_of(policy)};
}

struct merlon_str fake_attr_get(merlon_tx *tx, const char *key)
{
	struct merlon_val v;

	if (attr_get(tx, txt_of(key), &v) != 0 || v.type != MERLON_VAL_STR)
		return (struct merlon_str){NULL, 0};
	return v.u.str;
}

void fake_header(merlon_tx *tx, int32_t dir, const char *name, const char *value)
{
	struct fake_pair *h = &tx->headers[dir][tx->nheaders[dir]++];

	h->name = tx_copy(tx, txt_of(name));
	h->val = (struct merlon_val){.type = MERLON_VAL_STR, .u.str = tx_copy(tx, txt_of(value))};
}

static bool same_name(struct merlon_str a, struct merlon_str b)
{
	return a.ptr && a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

static int32_t header_get(merlon_tx *tx, int32_t dir, struct merlon_str name, uint32_t index,
                          struct merlon_str *out)
{
	for (unsigned i = 0; i < tx->nheaders[dir]; i++) {
		if (same_name(tx->headers[dir][i].name, name) && index-- == 0) {
			*out = tx->headers[dir][i].val.u.str;
			return 0;
		}
	}
	return MERLON_E_NOENT;
}

struct merlon_str fake_header_get(merlon_tx *tx, int32_t dir, const char *name)
{
	struct merlon_str s = {NULL, 0};

	header_get(tx, dir, txt_of(name), 0, &s);
	return s;
}

static int32_t header_edit(merlon_ctx *ctx, merlon_tx *tx, int32_t dir, int32_t op,
                           struct merlon_str name, struct merlon_str value)
{
	(void)ctx;
	for (unsigned i = 0; op != MERLON_HDR_ADD && i < tx->nheaders[dir]; i++) {
		if (same_name(tx->headers[dir][i].name, name))
			tx->headers[dir][i].name = (struct merlon_str){NULL, 0};
	}
	if (op == MERLON_HDR_DEL)
		return 0;
	if (tx->nheaders[dir] == FAKE_HEADERS)
		return MERLON_E_FULL;
	struct fake_pair *h = &tx->headers[dir][tx->nheaders[dir]++];
	h->name = tx_copy(tx, name);
	h->val = (struct merlon_val){.type = MERLON_VAL_STR, .u.str = tx_copy(tx, value)};
	return 0;
}

static void *tx_alloc(merlon_tx *tx, uint64_t size)
{
	tx->allocs++;
	return size > 65536 ? NULL : tx_keep(tx, size);
}

static void *tx_slot(merlon_ctx *ctx, merlon_tx *tx)
{
	unsigned i = 0;

	while (i < 3 && tx->slot_of[i] && tx->slot_of[i] != ctx)
		i++;
	if (!tx->slot_of[i]) {
		tx->slot_of[i] = ctx;
		tx->slots[i] = tx_keep(tx, 4096);
	}
	return tx->slots[i];
}

static void fail(merlon_ctx *ctx, merlon_tx *tx, const struct merlon_fail *f)
{
	(void)ctx;
	tx->fail = *f;
	tx->fail.text = tx_copy(tx, f->text);
	tx->fail.detail = tx_copy(tx, f->detail);
	tx->fail.challenge = tx_copy(tx, f->challenge);
}

static void policy(merlon_ctx *ctx, merlon_tx *tx, struct merlon_str name)
{
	(void)ctx;
	tx->policy = tx_copy(tx, name);
}

static void host_log(merlon_ctx *ctx, merlon_tx *tx, int32_t level, struct merlon_str text)
{
	(void)ctx;
	(void)tx;
	(void)level;
	(void)text;
}

static uint64_t now(int32_t clock)
{
	return fake_now[clock];
}

static struct merlon_str ctx_info(merlon_ctx *ctx, int32_t what)
{
	switch (what) {
	case MERLON_CTX_STACK:
		return txt_of(ctx->stack);
	case MERLON_CTX_GROUP:
		return txt_of(ctx->group);
	case MERLON_CTX_LINE:
		return txt_of(ctx->line);
	default:
		return txt_of(ctx->module);
	}
}

static int32_t probing(merlon_ctx *ctx)
{
	return ctx->probing;
}

static void zone_clear(void)
{
	for (struct fake_record *r = fake_zone.records, *next; r; r = next) {
		next = r->next;
		free((void *)(uintptr_t)r->key.ptr);
		free(r->rec);
		free(r);
	}
	free((void *)(uintptr_t)fake_zone.signature.ptr);
	fake_zone = (struct merlon_zone){0};
}

/* As the real one: the same signature finds the records again, another begins anew. */
static int32_t zone_open(merlon_ctx *ctx, const merlon_cfg *cfg, struct merlon_str signature,
                         uint32_t rec_size, uint64_t max_records, merlon_zone **out)
{
	(void)ctx;
	(void)cfg;
	if (!fake_zone.signature.ptr || !txt_eq(fake_zone.signature, signature) ||
	    fake_zone.rec_size != rec_size)
		zone_clear();
	if (!fake_zone.signature.ptr)
		fake_zone.signature = mem_copy(signature);
	fake_zone.rec_size = rec_size;
	fake_zone.max_records = max_records;
	*out = &fake_zone;
	return 0;
}

static int32_t zone_update(merlon_zone *zone, merlon_tx *tx, struct merlon_str key,
                           merlon_zone_fn fn, void *arg)
{
	struct fake_record *r = zone->records;
	uint32_t fresh = 0;

	(void)tx;
	if (zone->full)
		return MERLON_E_FULL;
	while (r && !txt_eq(r->key, key))
		r = r->next;
	if (!r && zone->n >= zone->max_records)
		return MERLON_E_FULL;
	if (!r) {
		r = mem_new(1, sizeof(*r));
		*r = (struct fake_record){mem_copy(key), mem_new(1, zone->rec_size), 0,
		                          zone->records};
		zone->records = r;
		zone->n++;
		fresh = 1;
	} else if (r->expires < fake_now[0]) {
		/* What says nothing any more may vanish at any moment: here it always does. */
		memset(r->rec, 0, zone->rec_size);
		fresh = 1;
	}
	r->expires = fn(r->rec, fresh, arg);
	return 0;
}

static int32_t sink_open(merlon_ctx *ctx, const merlon_cfg *cfg, struct merlon_str path,
                         uint32_t commit_ms, const struct merlon_sink_ops *ops, merlon_sink **out)
{
	(void)ctx;
	(void)cfg;
	snprintf(fake_sink.path, sizeof(fake_sink.path), "%.*s", TXT_FMT(path));
	fake_sink.commit_ms = commit_ms;
	fake_sink.ops = ops;
	*out = &fake_sink;
	return ops->init(fake_sink.state, (struct merlon_str){NULL, 0}) == 0 ? 0 : MERLON_E_UNAVAIL;
}

static int32_t sink_append(merlon_sink *sink, merlon_tx *tx, struct merlon_str record)
{
	struct merlon_sink_out out = {.cap = record.len + sink->ops->overhead};

	(void)tx;
	if (sink->fail)
		return sink->fail;
	out.ptr = mem_new(out.cap, 1);
	if (sink->ops->frame(sink->state, MERLON_SINK_RECORD, 0, record, &out) != 0) {
		free(out.ptr);
		return MERLON_E_UNAVAIL;
	}
	sink->out = mem_grow(sink->out, sink->len + out.len + 1, 1);
	memcpy(sink->out + sink->len, out.ptr, out.len);
	sink->len += out.len;
	sink->out[sink->len] = '\0';
	free(out.ptr);
	return 0;
}

static int32_t sink_ready(merlon_sink *sink, merlon_tx *tx, uint64_t room)
{
	(void)tx;
	(void)room;
	return sink->fail;
}

static int32_t digest_want(merlon_ctx *ctx, struct merlon_str key)
{
	ctx->digest_wanted++;
	ctx->digest_key = key;
	return 0;
}

static int32_t record_get(merlon_ctx *ctx, merlon_tx *tx, uint32_t field, struct merlon_val *out)
{
	(void)ctx;
	if (field >= 32 || tx->record[field].type == MERLON_VAL_NONE)
		return MERLON_E_NOENT;
	*out = tx->record[field];
	return 0;
}

static uint64_t record_read(merlon_ctx *ctx, merlon_tx *tx, struct merlon_fact *facts,
                            uint32_t count)
{
	uint64_t text = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct merlon_val v = {.type = MERLON_VAL_NONE};
		(void)record_get(ctx, tx, i, &v);
		if (v.type == MERLON_VAL_BYTES)
			v.type = MERLON_VAL_STR;
		facts[i] = (struct merlon_fact){.type = v.type};
		memcpy(&facts[i].u, &v.u, sizeof(facts[i].u));
		if (v.type != MERLON_VAL_STR)
			continue;
		facts[i].flags = tx->vouched >> i & 1 ? MERLON_FACT_PLAIN : 0;
		text += v.u.str.len;
	}
	return text;
}

static int32_t record_decision(merlon_tx *tx, uint32_t i, struct merlon_decision *out)
{
	if (i >= tx->ndecisions)
		return MERLON_E_NOENT;
	*out = tx->decisions[i];
	return 0;
}

bool fake_is(struct merlon_str s, const char *z)
{
	return txt_eq(s, txt_of(z));
}

void fake_reset(void)
{
	zone_clear();
	free(fake_sink.out);
	fake_sink = (struct merlon_sink){0};
	fake_now[0] = UINT64_C(1000000000000);
	fake_now[1] = UINT64_C(1700000000000000000);
	fake_file(NULL, NULL);
	fakenet_reset();
}

const struct merlon_host fake_host = {
    .size = sizeof(struct merlon_host),
    .major = MERLON_ABI_MAJOR,
    .minor = MERLON_ABI_MINOR,
    .log = host_log,
    .now = now,
    .ctx_info = ctx_info,
    .probing = probing,
    .cfg_get = fakecfg_get,
    .cfg_rate = fakecfg_rate,
    .cfg_count = fakecfg_count,
    .cfg_at = fakecfg_at,
    .cfg_key = fakecfg_key,
    .cfg_where = fakecfg_where,
    .cfg_error = fakecfg_error,
    .cfg_file_error = fakecfg_file_error,
    .cfg_warn = fakecfg_error,
    .metric_define = fakenet_metric_define,
    .metric_add = fakenet_metric_add,
    .tx_alloc = tx_alloc,
    .tx_slot = tx_slot,
    .tx_worker = fakenet_tx_worker,
    .attr_get = attr_get,
    .attr_set = attr_set,
    .header_get = header_get,
    .header_edit = header_edit,
    .fail = fail,
    .policy = policy,
    .suspend = fakenet_suspend,
    .resume = fakenet_resume,
    .timer = fakenet_timer,
    .op_cancel = fakenet_op_cancel,
    .zone_open = zone_open,
    .zone_update = zone_update,
    .sink_open = sink_open,
    .sink_append = sink_append,
    .sink_ready = sink_ready,
    .shared_get = fakenet_shared_get,
    .shared_ptr = fakenet_shared_ptr,
    .shared_put = fakenet_shared_put,
    .digest_want = digest_want,
    .record_get = record_get,
    .record_decision = record_decision,
    .http_call = fakenet_http_call,
    .stream_open = fakenet_stream_open,
    .stream_send = fakenet_stream_send,
    .stream_call = fakenet_stream_call,
    .stream_state = fakenet_stream_state,
    .stream_ready = fakenet_stream_ready,
    .record_read = record_read,
};
