/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Rendering audit records. Runs once a request on its worker, so it writes bytes by itself: no
 * printf, no tree. Nearly every record has room for all of its texts and is written by
 * recordwhole.c. Here is what is done where that is not so: each piece looks for its own room, and
 * texts are cut.
 */
#include "common/recordpriv.h"

#define TEXT_LESS 256 /* the same where the record would not fit otherwise */
#define TEXT_LEAST 96 /* the same in a small room; a digest is whole in it */
#define DECISION_MOST(text) (3 * (text) + 512) /* bytes that one decision may need at most */

static void put(struct out *o, const char *p, uint64_t n)
{
	if (n > room(o)) {
		o->full = true;
		return;
	}
	memcpy(o->p, p, n);
	o->p += n;
}
#define PUT(o, lit) put((o), "" lit, sizeof(lit) - 1)

/* ---- text ---- */
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

void record_text(struct out *o, struct merlon_str s)
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

/* ---- fields ---- */
static const struct row {
	struct merlon_str key; /* with what stands before and behind it */
	unsigned kind;
	unsigned field;
} rows[] = {
#define ROW(name, field, kind) {TXT(",\"" name "\":"), kind, MERLON_REC_##field},
    FIELDS(ROW)};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void put_value(struct out *o, unsigned kind, const struct merlon_fact *f)
{
	char value[VALUE_MOST];

	if (kind == TEXT && f->type == MERLON_VAL_STR)
		record_text(o, f->u.str);
	else
		put(o, value, (uint64_t)(record_value(value, kind, f) - value));
}

static void put_head(struct out *o, int64_t time_us, struct merlon_str event)
{
	char when[TXT_RFC3339_LEN];

	txt_rfc3339(time_us, when);
	PUT(o, "{\"timestamp\":\"");
	put(o, when, sizeof(when));
	PUT(o, "\",\"event\":");
	record_text(o, event);
}

static void put_decision(struct out *o, const struct merlon_decision *d)
{
	PUT(o, "{\"group\":");
	record_text(o, d->group);
	PUT(o, ",\"line\":");
	record_text(o, d->line);
	PUT(o, ",\"module\":");
	record_text(o, d->module);
	PUT(o, ",\"code\":");
	record_text(o, d->code);
	PUT(o, ",\"policy\":");
	if (d->policy.len > 0)
		record_text(o, d->policy);
	else
		PUT(o, "null");
	if (d->shadow)
		PUT(o, ",\"shadow\":true}");
	else
		PUT(o, ",\"shadow\":false}");
}

static void put_decisions(struct out *o, struct recorder *r, merlon_tx *tx)
{
	struct merlon_decision d = {.size = sizeof(d)};

	PUT(o, ",\"decisions\":[");
	for (uint32_t i = 0; r->h->record_decision(tx, i, &d) == 0; i++) {
		/* Cut short only where every text is already: then what is told is still whole. */
		if (o->text < TEXT_MOST && room(o) < DECISION_MOST(o->text))
			break;
		if (i > 0)
			PUT(o, ",");
		if (!record_decision_whole(o, r, i, &d))
			put_decision(o, &d);
		d.size = sizeof(d); /* a newer host has written its own */
	}
	PUT(o, "]");
}

/* ---- records ---- */
/* What a host before 1.2 knows, field by field. */
static __attribute__((noinline)) uint64_t read_one_by_one(struct recorder *r, merlon_tx *tx)
{
	struct merlon_val v;
	uint64_t text = 0;

	for (uint32_t i = 0; i < MERLON_REC_COUNT; i++) {
		struct merlon_fact *f = &r->facts[i];

		*f = (struct merlon_fact){.type = MERLON_VAL_NONE};
		if (r->h->record_get(r->ctx, tx, i, &v) != 0)
			continue;
		f->type = v.type;
		if (v.type == MERLON_VAL_STR || v.type == MERLON_VAL_BYTES) {
			f->type = MERLON_VAL_STR;
			f->u.str = v.u.str;
			text += v.u.str.len;
		} else if (v.type == MERLON_VAL_F64) {
			f->u.f64 = v.u.f64;
		} else {
			f->u.i64 = v.u.i64;
		}
	}
	return text;
}

void record_read(struct recorder *r, merlon_tx *tx)
{
	r->lasting = MERLON_HAS(r->h, record_read);
	if (r->lasting)
		r->text = r->h->record_read(r->ctx, tx, r->facts, MERLON_REC_COUNT);
	else
		r->text = read_one_by_one(r, tx);
}

static void render(struct out *o, struct recorder *r, merlon_tx *tx, struct merlon_str event)
{
	const struct merlon_fact *time = &r->facts[MERLON_REC_TIMESTAMP];
	int64_t time_us = time->type == MERLON_VAL_I64 ? time->u.i64 : 0;

	if (!record_fields_whole(o, r, time_us, event)) {
		put_head(o, time_us, event);
		for (size_t i = 0; i < ROWS; i++) {
			put(o, rows[i].key.ptr, rows[i].key.len);
			put_value(o, rows[i].kind, &r->facts[rows[i].field]);
		}
	}
	put_decisions(o, r, tx);
}

struct merlon_str record_render(struct recorder *r, merlon_tx *tx, struct merlon_str event,
                                char buf[RECORD_ROOM])
{
	bool cut;

	return record_render_within(r, tx, event, buf, RECORD_ROOM, &cut);
}

struct merlon_str record_render_within(struct recorder *r, merlon_tx *tx, struct merlon_str event,
                                       char *buf, uint64_t cap, bool *cut)
{
	static const uint64_t texts[] = {TEXT_MOST, TEXT_LESS, TEXT_LEAST};
	struct out o = {.full = true};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && o.full; i++) {
		*cut = i > 0;
		o = (struct out){buf, buf + cap, texts[i], false};
		render(&o, r, tx, event);
	}
	return (struct merlon_str){buf, o.full ? 0 : (uint64_t)(o.p - buf)};
}

struct merlon_str record_notice(int64_t time_us, struct merlon_str event, struct merlon_str reason,
                                char *buf, uint64_t cap)
{
	struct out o = {buf, buf + cap, TEXT_MOST, false};

	put_head(&o, time_us, event);
	for (size_t i = 0; i < ROWS; i++) {
		put(&o, rows[i].key.ptr, rows[i].key.len);
		if (rows[i].field == MERLON_REC_STATUS)
			PUT(&o, "\"error\"");
		else if (rows[i].field == MERLON_REC_REASON)
			record_text(&o, reason);
		else
			PUT(&o, "null");
	}
	PUT(&o, ",\"decisions\":[]");
	return (struct merlon_str){buf, o.full ? 0 : (uint64_t)(o.p - buf)};
}
