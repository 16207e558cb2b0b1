/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What a hook may see and do of its tx, and the table of all host functions.
 */
#include "tx/handle.h"

#include "base/clock.h"
#include "base/log.h"
#include "http/headers.h"
#include "stack/shared.h"
#include "stack/sink.h"
#include "stack/streams.h"
#include "stack/zone.h"
#include "tx/fieldname.h"
#include "tx/httpcall.h"
#include "tx/record.h"
#include "tx/reply.h"

static void host_log(merlon_ctx *ctx, merlon_tx *tx, int32_t level, struct merlon_str text)
{
	static struct log_limit limit;
	enum log_level l = level <= MERLON_LOG_ERROR ? LOG_L_ERROR
	                   : level > LOG_L_DEBUG     ? LOG_L_DEBUG
	                                             : (enum log_level)level;
	struct str name = ctx ? ctx->line->name : STR("-");
	log_limited(&limit, 100, l, "%.*s module=%.*s stack=%.*s request_id=%.*s", (int)text.len,
	            text.ptr, STR_FMT(name), ctx ? (int)ctx->stack.n : 1, ctx ? ctx->stack.p : "-",
	            tx ? (int)tx->request_id.n : 1,
	            tx && tx->request_id.p ? tx->request_id.p : "-");
}

/* ---- headers ---- */
static bool is_direction(int32_t dir)
{
	return dir == MERLON_REQUEST || dir == MERLON_RESPONSE;
}

static const struct http_head *head_of(merlon_tx *tx, int32_t dir)
{
	return dir == MERLON_REQUEST ? &tx->head : tx->rhead;
}

/* A name as a module gave it. */
struct asked {
	enum http_field_id id; /* two names with different ones differ */
	struct str name;
	bool lasting; /* the text stays where it is */
	bool token;
};

__attribute__((always_inline)) static inline struct asked asked(struct str name)
{
	const struct fieldname *f = fieldname_of(name);

	if (__builtin_expect(f != NULL, 1))
		return (struct asked){f->id, {f->text, f->n}, true, true};
	return (struct asked){http_field_id_of(name), name, false, http_is_token(name)};
}

static bool same_name(const struct asked *a, enum http_field_id id, struct str name)
{
	return a->id == id && str_ieq(a->name, name);
}

/* Whether an edit replaces or removes what the message itself has under that name. */
static bool edited_away(const merlon_tx *tx, int32_t dir, const struct asked *a)
{
	for (const struct edit *e = tx->edits[dir]; e; e = e->next)
		if (e->op != MERLON_HDR_ADD && same_name(a, e->id, e->name))
			return true;
	return false;
}

static int32_t host_header_get(merlon_tx *tx, int32_t dir, struct merlon_str name, uint32_t index,
                               struct merlon_str *out)
{
	if (!is_direction(dir))
		return MERLON_E_INVAL;
	const struct http_head *h = head_of(tx, dir);
	if (!h && !tx->edits[dir])
		return MERLON_E_NOENT;
	const struct asked a = asked(from_merlon(name));
	if (h && !edited_away(tx, dir, &a)) {
		unsigned first = h->first[a.id];
		for (unsigned i = first ? first - 1 : h->nfields; i < h->nfields; i++)
			if (same_name(&a, h->fields[i].id, h->fields[i].name) && index-- == 0) {
				*out = to_merlon(h->fields[i].value);
				return 0;
			}
	}
	for (const struct edit *e = tx->edits[dir]; e; e = e->next)
		if (e->op != MERLON_HDR_DEL && same_name(&a, e->id, e->name) && index-- == 0) {
			*out = to_merlon(e->value);
			return 0;
		}
	return MERLON_E_NOENT;
}

static int32_t host_header_each(merlon_tx *tx, int32_t dir, merlon_header_fn fn, void *arg)
{
	if (!is_direction(dir))
		return MERLON_E_INVAL;
	int32_t r = 0;
	const struct http_head *h = head_of(tx, dir);
	for (unsigned i = 0; h && i < h->nfields && !r; i++) {
		const struct http_field *f = &h->fields[i];
		const struct asked a = {.id = f->id, .name = f->name};
		if (!edited_away(tx, dir, &a))
			r = fn(arg, to_merlon(f->name), to_merlon(f->value));
	}
	for (const struct edit *e = tx->edits[dir]; e && !r; e = e->next)
		if (e->op != MERLON_HDR_DEL)
			r = fn(arg, to_merlon(e->name), to_merlon(e->value));
	return r;
}

/* Names that frame messages, belong to one connection, or are ours alone. */
static bool edit_forbidden(enum http_field_id id)
{
	const uint64_t ours =
	    HTTP_HOP_FIELDS | HTTP_F_BIT(HTTP_F_HOST) | HTTP_F_BIT(HTTP_F_X_REQUEST_ID);

	return (ours >> id) & 1;
}

static void edit_append(merlon_tx *tx, int32_t dir, int op, const struct asked *a, struct str value)
{
	/* A later SET or DEL ends what earlier edits said of that name. */
	struct edit **at = &tx->edits[dir];
	if (op != MERLON_HDR_ADD)
		tx->edited[dir] |= HTTP_F_BIT(a->id);
	while (*at) {
		if (op != MERLON_HDR_ADD && same_name(a, (*at)->id, (*at)->name))
			*at = (*at)->next;
		else
			at = &(*at)->next;
	}
	struct edit *e = arena_alloc(&tx->arena, sizeof(*e) + value.n);
	*e = (struct edit){
	    .op = op,
	    .id = a->id,
	    .name = a->lasting ? a->name : arena_str(&tx->arena, a->name),
	    .value = {e->text, value.n},
	};
	bytes_copy(e->text, value.p, value.n);
	*at = e;
}

static int32_t host_header_edit(merlon_ctx *ctx, merlon_tx *tx, int32_t dir, int32_t op,
                                struct merlon_str name, struct merlon_str value)
{
	const struct asked a = asked(from_merlon(name));
	struct str v = from_merlon(value);
	if (!is_direction(dir) || op < MERLON_HDR_SET || op > MERLON_HDR_DEL || !a.token ||
	    v.n > 8192 || !http_is_field_value(v))
		return MERLON_E_INVAL;
	if (edit_forbidden(a.id))
		return MERLON_E_DENIED;
	if (dir == MERLON_REQUEST && (ctx->group != G_FILTER || tx->upstream_entered))
		return MERLON_E_DENIED;
	if (dir == MERLON_RESPONSE && tx->head_sent)
		return MERLON_E_STATE;
	if (!tx->shadow_hook)
		edit_append(tx, dir, op, &a, v);
	return 0;
}

/* ---- answers ---- */
static int32_t host_reply(merlon_ctx *ctx, merlon_tx *tx, uint32_t status,
                          const struct merlon_header *headers, uint32_t nheaders,
                          struct merlon_str body)
{
	if (status < 200 || status > 599 || nheaders > 64 || body.len > 65536)
		return MERLON_E_INVAL;
	/* Only whose hook is under way, or suspended, has a code to answer that goes with it. */
	if (tx->head_sent || tx->base.susp.ctx != ctx)
		return MERLON_E_STATE;
	struct merlon_header *copy = arena_alloc(&tx->arena, (nheaders + 1) * sizeof(*copy));
	for (uint32_t i = 0; i < nheaders; i++) {
		struct str n = from_merlon(headers[i].name);
		struct str v = from_merlon(headers[i].value);
		if (!http_is_token(n) || !http_is_field_value(v))
			return MERLON_E_INVAL;
		if (edit_forbidden(http_field_id_of(n)))
			return MERLON_E_DENIED;
		copy[i].name = to_merlon(arena_str(&tx->arena, n));
		copy[i].value = to_merlon(arena_str(&tx->arena, v));
	}
	tx->base.replied = true;
	if (tx->shadow_hook)
		return 0;
	tx->refusal = (struct refusal){
	    .status = status,
	    .own = true,
	    .headers = copy,
	    .nheaders = nheaders,
	    .body = arena_str(&tx->arena, from_merlon(body)),
	};
	return 0;
}

static void add_challenge(merlon_tx *tx, struct str value)
{
	struct challenge **at = &tx->challenges;
	for (; *at; at = &(*at)->next)
		if (str_eq((*at)->value, value))
			return;
	*at = arena_alloc(&tx->arena, sizeof(**at));
	**at = (struct challenge){NULL, value};
}

static void host_fail(merlon_ctx *ctx, merlon_tx *tx, const struct merlon_fail *f)
{
	struct merlon_fail *copy = arena_zalloc(&tx->arena, sizeof(*copy));
	memcpy(copy, f, f->size < sizeof(*copy) ? f->size : sizeof(*copy));
	copy->text = to_merlon(arena_str(&tx->arena, from_merlon(copy->text)));
	copy->detail = to_merlon(arena_str(&tx->arena, from_merlon(copy->detail)));
	struct str challenge = from_merlon(copy->challenge);
	if (challenge.n && ctx->group == G_AUTH && !tx->shadow_hook &&
	    http_is_field_value(challenge))
		add_challenge(tx, arena_str(&tx->arena, challenge));
	tx->line_fail = copy;
}

static void host_policy(merlon_ctx *ctx, merlon_tx *tx, struct merlon_str name)
{
	(void)ctx;
	tx->line_policy = arena_str(&tx->arena, from_merlon(name));
}

/* ---- bodies ---- */
/* The place of a line among the entered ones: the order in which requests meet them. */
static unsigned entered_rank(const merlon_tx *tx, const struct stack_line *l)
{
	unsigned i = 0;
	while (i < tx->nentered && tx->entered[i]->ctx != l->ctx)
		i++;
	return i;
}

/* Where the filter belongs, whenever it came to want the body: responses meet the last line first.
 */
static unsigned filter_place(const merlon_tx *tx, const struct body_path *p, int32_t dir)
{
	unsigned rank = entered_rank(tx, tx->line);
	unsigned at = 0;
	while (at < p->n && (dir == MERLON_RESPONSE) == (entered_rank(tx, p->f[at].line) > rank))
		at++;
	return at;
}

#define FULL_MAX ((uint64_t)1024 * 1024 * 1024)

static void filter_insert(merlon_tx *tx, struct body_path *p, unsigned at, struct body_filter f)
{
	if (!p->f)
		p->f = arena_alloc(&tx->arena, FILTERS_MAX * sizeof(*p->f));
	/* Nothing is held yet: chunks come after the last head hook. */
	for (unsigned i = p->n; i > at; i--) {
		p->f[i] = p->f[i - 1];
		chain_init(&p->f[i].held);
	}
	p->f[at] = f;
	chain_init(&p->f[at].held);
	p->n++;
}

static int32_t host_body_want(merlon_ctx *ctx, merlon_tx *tx, int32_t dir, uint32_t mode,
                              uint64_t max)
{
	if ((dir != MERLON_REQUEST && dir != MERLON_RESPONSE) || mode > MERLON_BODY_FULL)
		return MERLON_E_INVAL;
	if (ctx->group != G_FILTER || !tx->line || tx->line->ctx != ctx)
		return MERLON_E_DENIED;
	if (dir == MERLON_REQUEST ? tx->upstream_entered : tx->head_passed)
		return MERLON_E_STATE;
	/* A body that is held whole is joined in one block. */
	if (max > FULL_MAX)
		max = FULL_MAX;
	struct body_path *p = dir == MERLON_REQUEST ? &tx->up : &tx->down;
	for (unsigned i = 0; i < p->n; i++)
		if (p->f[i].line == tx->line) {
			p->f[i].mode = mode;
			p->f[i].max = max;
			return 0;
		}
	if (p->n == FILTERS_MAX)
		return MERLON_E_FULL;
	filter_insert(tx, p, filter_place(tx, p, dir),
	              (struct body_filter){
			  .line = tx->line, .shadow = tx->shadow_hook, .mode = mode, .max = max});
	return 0;
}

static int32_t host_body_edit(merlon_ctx *ctx, merlon_tx *tx, int32_t dir, uint32_t op,
                              struct merlon_str bytes)
{
	struct body_path *p = dir == MERLON_REQUEST ? &tx->up : &tx->down;
	if ((dir != MERLON_REQUEST && dir != MERLON_RESPONSE) || op > MERLON_EDIT_DROP ||
	    bytes.len > (uint64_t)16 * 1024 * 1024)
		return MERLON_E_INVAL;
	if (p->at >= p->n || p->f[p->at].line->ctx != ctx || tx->base.susp.ctx != ctx)
		return MERLON_E_DENIED;
	slice_unref(p->edit);
	p->edit = bytes.len ? slice_copy(&tx->w->blocks, bytes.ptr, (size_t)bytes.len)
	                    : (struct slice){0};
	p->edit_op = (int)op;
	return 0;
}

const struct merlon_host host_table = {
    .size = sizeof(struct merlon_host),
    .major = MERLON_ABI_MAJOR,
    .minor = MERLON_ABI_MINOR,
    .log = host_log,
    .now = host_now,
    .ctx_info = host_ctx_info,
    .probing = host_probing,
    .cfg_get = host_cfg_get,
    .cfg_rate = host_cfg_rate,
    .cfg_count = host_cfg_count,
    .cfg_at = host_cfg_at,
    .cfg_key = host_cfg_key,
    .cfg_where = host_cfg_where,
    .cfg_error = host_cfg_error,
    .cfg_file_error = host_cfg_file_error,
    .cfg_warn = host_cfg_warn,
    .metric_define = host_metric_define,
    .metric_add = host_metric_add,
    .tx_alloc = host_tx_alloc,
    .tx_slot = host_tx_slot,
    .tx_worker = host_tx_worker,
    .attr_get = host_attr_get,
    .attr_set = host_attr_set,
    .attr_each = host_attr_each,
    .header_get = host_header_get,
    .header_each = host_header_each,
    .header_edit = host_header_edit,
    .reply = host_reply,
    .fail = host_fail,
    .policy = host_policy,
    .body_want = host_body_want,
    .body_edit = host_body_edit,
    .suspend = host_suspend,
    .resume = host_resume,
    .timer = host_timer,
    .watch_fd = host_watch_fd,
    .offload = host_offload,
    .op_cancel = host_op_cancel,
    .zone_open = host_zone_open,
    .zone_update = host_zone_update,
    .sink_open = host_sink_open,
    .sink_append = host_sink_append,
    .sink_ready = host_sink_ready,
    .shared_get = host_shared_get,
    .shared_ptr = host_shared_ptr,
    .shared_put = host_shared_put,
    .digest_want = host_digest_want,
    .record_get = host_record_get,
    .record_decision = host_record_decision,
    .stream_open = host_stream_open,
    .stream_send = host_stream_send,
    .stream_call = host_stream_call,
    .stream_state = host_stream_state,
    .stream_ready = host_stream_ready,
    .http_call = host_http_call,
    .record_read = host_record_read,
};
