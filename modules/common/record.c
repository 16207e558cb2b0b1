/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Rendering audit records. Runs once a request on its worker, so it writes bytes by itself: no
 * printf, no tree.
 */
#include "common/record.h"

#define TEXT_MOST 3072 /* bytes of one text, escapes counted */
#define TEXT_LESS 256  /* the same where the record would not fit otherwise */
#define TEXT_LEAST 96  /* the same in a small room; a digest is whole in it */
#define DECISION_MOST(text) (3 * (text) + 512) /* bytes that one decision may need at most */

struct out {
	char *p; /* where the next byte goes */
	char *end;
	uint64_t text; /* most bytes of one text */
	bool full;
};

static uint64_t room(const struct out *o)
{
	return (uint64_t)(o->end - o->p);
}

/* Inline, so that a literal is a few stores. */
__attribute__((always_inline)) static inline void put(struct out *o, const char *p, uint64_t n)
{
	if (n > room(o)) {
		o->full = true;
		return;
	}
	memcpy(o->p, p, n);
	o->p += n;
}
#define PUT(o, lit) put((o), "" lit, sizeof(lit) - 1)

static void put_u64(struct out *o, uint64_t v)
{
	char buf[TXT_U64_LEN];

	if (room(o) >= sizeof(buf))
		o->p += txt_u64(o->p, v);
	else
		put(o, buf, txt_u64(buf, v));
}

static void put_i64(struct out *o, int64_t v)
{
	if (v < 0)
		PUT(o, "-");
	put_u64(o, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

/* v / 10^digits, all digits of the fraction written. */
__attribute__((always_inline)) static inline void put_fixed(struct out *o, uint64_t v,
                                                            unsigned digits)
{
	char buf[10];
	uint64_t unit = 1;

	for (unsigned i = 0; i < digits; i++)
		unit *= 10;
	put_u64(o, v / unit);
	buf[0] = '.';
	for (unsigned i = digits; i > 0; i--) {
		buf[i] = (char)('0' + v % 10);
		v /= 10;
	}
	put(o, buf, 1 + digits);
}

/* ---- text ---- */
static bool plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* Not 0: one of the eight bytes is not plain. Borrows and carries come from such bytes only. */
static uint64_t odd_word(uint64_t v)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t quote = v ^ ones * '"', backslash = v ^ ones * '\\';

	return ((v - ones * ' ') | (v + ones) | v | (quote - ones) | (backslash - ones)) &
	       ones * 0x80;
}

/* The first byte at or after p that is not plain, or end. */
static const char *plain_end(const char *p, const char *end)
{
	for (; end - p >= 8; p += 8) {
		uint64_t v;

		memcpy(&v, p, sizeof(v));
		if (odd_word(v))
			break;
	}
	while (p < end && plain((unsigned char)*p))
		p++;
	return p;
}

typedef int8_t vector __attribute__((vector_size(16)));
typedef uint64_t words __attribute__((vector_size(16)));

/* All ones where a byte is plain. Signed: bytes of 0x80 and more are below the blank too. */
static words plain_bytes(vector v)
{
	return (words)((v >= ' ') & ~((v == 0x7f) | (v == '"') | (v == '\\')));
}

/* Copies up to 7 bytes. False: one is not plain. */
static bool copy_short(char *to, const char *from, uint64_t n)
{
	uint32_t c, d;

	if (n >= 4) {
		memcpy(&c, from, 4);
		memcpy(&d, from + n - 4, 4);
		memcpy(to, &c, 4);
		memcpy(to + n - 4, &d, 4);
		return odd_word((uint64_t)c << 32 | d) == 0;
	}
	for (; n > 0 && plain((unsigned char)*from); n--)
		*to++ = *from++;
	return n == 0;
}

/* Copies n bytes, sixteen a step, the last of which overlap with those before. False: one is not
 * plain, and what was copied is of no use. */
static bool copy_plain(char *to, const char *from, uint64_t n)
{
	words all = {UINT64_MAX, UINT64_MAX};
	vector v;

	if (n < 8)
		return copy_short(to, from, n);
	if (n < sizeof(v)) {
		uint64_t first, last;

		memcpy(&first, from, 8);
		memcpy(&last, from + n - 8, 8);
		memcpy(to, &first, 8);
		memcpy(to + n - 8, &last, 8);
		all = plain_bytes((vector)(words){first, last});
		return (all[0] & all[1]) == UINT64_MAX;
	}
	for (uint64_t at = 0;; at = n - at < 2 * sizeof(v) ? n - sizeof(v) : at + sizeof(v)) {
		memcpy(&v, from + at, sizeof(v));
		memcpy(to + at, &v, sizeof(v));
		all &= plain_bytes(v);
		if (at == n - sizeof(v))
			break;
	}
	return (all[0] & all[1]) == UINT64_MAX;
}

/* How the text goes on at p: bytes read, and in esc what stands for them (0: they themselves). */
static size_t next_piece(const char *p, uint64_t n, char esc[6], size_t *nesc)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char c = (unsigned char)*p;
	size_t len = txt_utf8_len(p, n);

	*nesc = 6;
	memcpy(esc, "\\ufffd", 6);
	if (len == 0)
		return 1;
	if (c == '"' || c == '\\') {
		esc[1] = (char)c;
		*nesc = 2;
	} else if (c < 0x20 || c == 0x7f) {
		memcpy(esc, "\\u00", 4);
		esc[4] = hex[c >> 4];
		esc[5] = hex[c & 15];
	} else if (len == 3 && memcmp(p, "\xe2\x80", 2) == 0 &&
	           (p[2] == '\xa8' || p[2] == '\xa9')) {
		memcpy(esc, p[2] == '\xa8' ? "\\u2028" : "\\u2029", 6);
	} else {
		*nesc = 0;
	}
	return len;
}

/* A text with bytes that must be written otherwise, or that may not be written whole. */
static __attribute__((noinline)) void put_escaped(struct out *o, struct merlon_str s)
{
	uint64_t left = o->text; /* of the budget */
	uint64_t at = 0;

	PUT(o, "\"");
	while (at < s.len) {
		uint64_t most = s.len - at < left ? s.len - at : left;
		const char *from = s.ptr + at;
		uint64_t run = (uint64_t)(plain_end(from, from + most) - from);
		put(o, from, run);
		left -= run;
		at += run;
		if (at == s.len)
			break;
		char esc[6];
		size_t nesc, len = next_piece(s.ptr + at, s.len - at, esc, &nesc);
		if ((nesc ? nesc : len) > left) {
			PUT(o, "\xe2\x80\xa6"); /* cut here */
			break;
		}
		put(o, nesc ? esc : s.ptr + at, nesc ? nesc : len);
		left -= nesc ? nesc : len;
		at += len;
	}
	PUT(o, "\"");
}

/* Writes a text at p, where there is room for it, and gives what is behind it. NULL: it must be
 * written otherwise. */
static __attribute__((noinline)) char *text_at(char *p, const char *s, uint64_t n)
{
	if (!copy_plain(p + 1, s, n))
		return NULL;
	p[0] = '"';
	p[n + 1] = '"';
	return p + n + 2;
}

__attribute__((always_inline)) static inline void put_text(struct out *o, struct merlon_str s)
{
	char *end = NULL;

	if (s.len <= o->text && s.len + 2 <= room(o))
		end = text_at(o->p, s.ptr, s.len);
	if (__builtin_expect(end != NULL, 1))
		o->p = end;
	else
		put_escaped(o, s);
}

/* ---- fields ---- */
enum kind { TEXT, NUMBER, MILLISECONDS, AMOUNT, FLAG };

#define KEY_ROOM 16

static const struct row {
	char key[KEY_ROOM]; /* with what stands before and behind it */
	uint8_t len;        /* of key */
	uint8_t kind;
	uint16_t field;
} rows[] = {
#define ROW(name, field, kind)                                                                     \
	{                                                                                          \
		",\"" name "\":", sizeof(",\"" name "\":") - 1, kind, field                        \
	}
    ROW("request_id", MERLON_REC_REQUEST_ID, TEXT),
    ROW("user_id", MERLON_REC_USER_ID, TEXT),
    ROW("org", MERLON_REC_ORG, TEXT),
    ROW("credential", MERLON_REC_CREDENTIAL, TEXT),
    ROW("auth_method", MERLON_REC_AUTH_METHOD, TEXT),
    ROW("model_id", MERLON_REC_MODEL_ID, TEXT),
    ROW("action", MERLON_REC_ACTION, TEXT),
    ROW("status", MERLON_REC_STATUS, TEXT),
    ROW("reason", MERLON_REC_REASON, TEXT),
    ROW("http_status", MERLON_REC_HTTP_STATUS, NUMBER),
    ROW("duration_ms", MERLON_REC_DURATION_US, MILLISECONDS),
    ROW("upstream_ms", MERLON_REC_UPSTREAM_US, MILLISECONDS),
    ROW("input_hash", MERLON_REC_INPUT_HASH, TEXT),
    ROW("output_hash", MERLON_REC_OUTPUT_HASH, TEXT),
    ROW("input_bytes", MERLON_REC_INPUT_BYTES, NUMBER),
    ROW("output_bytes", MERLON_REC_OUTPUT_BYTES, NUMBER),
    ROW("tokens_in", MERLON_REC_TOKENS_IN, NUMBER),
    ROW("tokens_out", MERLON_REC_TOKENS_OUT, NUMBER),
    ROW("cost", MERLON_REC_COST, AMOUNT),
    ROW("source_ip", MERLON_REC_SOURCE_IP, TEXT),
    ROW("method", MERLON_REC_METHOD, TEXT),
    ROW("path", MERLON_REC_PATH, TEXT),
    ROW("route", MERLON_REC_ROUTE, TEXT),
    ROW("stack", MERLON_REC_STACK, TEXT),
    ROW("stream", MERLON_REC_STREAM, FLAG),
    ROW("generation", MERLON_REC_GENERATION, NUMBER),
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void put_key(struct out *o, const struct row *r)
{
	if (room(o) < KEY_ROOM) {
		put(o, r->key, r->len);
		return;
	}
	memcpy(o->p, r->key, KEY_ROOM);
	o->p += r->len;
}

/* The value of a field; false: it is not of the kind that the field has, so null. */
static bool put_value(struct out *o, unsigned kind, const struct merlon_val *v)
{
	if (kind == TEXT) {
		if (v->type != MERLON_VAL_STR && v->type != MERLON_VAL_BYTES)
			return false;
		put_text(o, v->u.str);
		return true;
	}
	switch (kind) {
	case NUMBER:
		if (v->type != MERLON_VAL_I64)
			return false;
		put_i64(o, v->u.i64);
		return true;
	case MILLISECONDS:
		if (v->type != MERLON_VAL_I64 || v->u.i64 < 0)
			return false;
		put_fixed(o, (uint64_t)v->u.i64, 3);
		return true;
	case AMOUNT:
		/* Billionths: finer than any price, and written alike in every locale. */
		if (v->type != MERLON_VAL_F64 || !(v->u.f64 >= 0 && v->u.f64 < 1e9))
			return false;
		put_fixed(o, (uint64_t)(v->u.f64 * 1e9 + 0.5), 9);
		return true;
	case FLAG:
		if (v->type != MERLON_VAL_BOOL)
			return false;
		if (v->u.i64)
			PUT(o, "true");
		else
			PUT(o, "false");
		return true;
	}
	return false;
}

static void put_head(struct out *o, int64_t time_us, struct merlon_str event)
{
	char when[TXT_RFC3339_LEN];

	txt_rfc3339(time_us, when);
	PUT(o, "{\"timestamp\":\"");
	put(o, when, sizeof(when));
	PUT(o, "\",\"event\":");
	put_text(o, event);
}

#define LIT_AT(p, lit) ((char *)memcpy((p), lit, sizeof(lit) - 1) + sizeof(lit) - 1)
#define DECISION_FRAME 96 /* more than is written around the texts of one */

/* One whose texts are plain, and for which there is room: looked at once. False: it is not, and
 * nothing was written. */
static bool put_decision_plain(struct out *o, const struct merlon_decision *d)
{
	const uint64_t n = d->group.len + d->line.len + d->module.len + d->code.len + d->policy.len;
	char *p = o->p;

	if (n > o->text || n + DECISION_FRAME > room(o))
		return false;
	p = text_at(LIT_AT(p, "{\"group\":"), d->group.ptr, d->group.len);
	if (p)
		p = text_at(LIT_AT(p, ",\"line\":"), d->line.ptr, d->line.len);
	if (p)
		p = text_at(LIT_AT(p, ",\"module\":"), d->module.ptr, d->module.len);
	if (p)
		p = text_at(LIT_AT(p, ",\"code\":"), d->code.ptr, d->code.len);
	if (!p)
		return false;
	p = LIT_AT(p, ",\"policy\":");
	p = d->policy.len > 0 ? text_at(p, d->policy.ptr, d->policy.len) : LIT_AT(p, "null");
	if (!p)
		return false;
	o->p = d->shadow ? LIT_AT(p, ",\"shadow\":true}") : LIT_AT(p, ",\"shadow\":false}");
	return true;
}

static __attribute__((noinline)) void put_decision(struct out *o, const struct merlon_decision *d)
{
	PUT(o, "{\"group\":");
	put_text(o, d->group);
	PUT(o, ",\"line\":");
	put_text(o, d->line);
	PUT(o, ",\"module\":");
	put_text(o, d->module);
	PUT(o, ",\"code\":");
	put_text(o, d->code);
	PUT(o, ",\"policy\":");
	if (d->policy.len > 0)
		put_text(o, d->policy);
	else
		PUT(o, "null");
	if (d->shadow)
		PUT(o, ",\"shadow\":true}");
	else
		PUT(o, ",\"shadow\":false}");
}

static void put_decisions(struct out *o, const struct merlon_host *h, merlon_tx *tx)
{
	struct merlon_decision d = {.size = sizeof(d)};

	PUT(o, ",\"decisions\":[");
	for (uint32_t i = 0; h->record_decision(tx, i, &d) == 0; i++) {
		/* Cut short only where every text is already: then what is told is still whole. */
		if (o->text < TEXT_MOST && room(o) < DECISION_MOST(o->text))
			break;
		if (i > 0)
			PUT(o, ",");
		if (!put_decision_plain(o, &d))
			put_decision(o, &d);
		d.size = sizeof(d); /* a newer host has written its own */
	}
	PUT(o, "]");
}

static void render(struct out *o, const struct merlon_host *h, merlon_ctx *ctx, merlon_tx *tx,
                   struct merlon_str event)
{
	struct merlon_val v;
	int64_t time_us = 0;

	if (h->record_get(ctx, tx, MERLON_REC_TIMESTAMP, &v) == 0 && v.type == MERLON_VAL_I64)
		time_us = v.u.i64;
	put_head(o, time_us, event);
	for (size_t i = 0; i < ROWS; i++) {
		put_key(o, &rows[i]);
		if (h->record_get(ctx, tx, rows[i].field, &v) != 0 ||
		    !put_value(o, rows[i].kind, &v))
			PUT(o, "null");
	}
	put_decisions(o, h, tx);
}

struct merlon_str record_render(const struct merlon_host *h, merlon_ctx *ctx, merlon_tx *tx,
                                struct merlon_str event, char buf[RECORD_ROOM])
{
	bool cut;

	return record_render_within(h, ctx, tx, event, buf, RECORD_ROOM, &cut);
}

struct merlon_str record_render_within(const struct merlon_host *h, merlon_ctx *ctx, merlon_tx *tx,
                                       struct merlon_str event, char *buf, uint64_t cap, bool *cut)
{
	static const uint64_t texts[] = {TEXT_MOST, TEXT_LESS, TEXT_LEAST};
	struct out o = {.full = true};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && o.full; i++) {
		*cut = i > 0;
		o = (struct out){buf, buf + cap, texts[i], false};
		render(&o, h, ctx, tx, event);
	}
	return (struct merlon_str){buf, o.full ? 0 : (uint64_t)(o.p - buf)};
}

struct merlon_str record_notice(int64_t time_us, struct merlon_str event, struct merlon_str reason,
                                char *buf, uint64_t cap)
{
	struct out o = {buf, buf + cap, TEXT_MOST, false};

	put_head(&o, time_us, event);
	for (size_t i = 0; i < ROWS; i++) {
		put_key(&o, &rows[i]);
		if (rows[i].field == MERLON_REC_STATUS)
			PUT(&o, "\"error\"");
		else if (rows[i].field == MERLON_REC_REASON)
			put_text(&o, reason);
		else
			PUT(&o, "null");
	}
	PUT(&o, ",\"decisions\":[]");
	return (struct merlon_str){buf, o.full ? 0 : (uint64_t)(o.p - buf)};
}
