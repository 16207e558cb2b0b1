/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What the two ways of rendering a record share: the list of its fields, and how texts are written.
 * Of record.c and recordwhole.c alone.
 */
#ifndef COMMON_RECORDPRIV_H
#define COMMON_RECORDPRIV_H

#include "common/record.h"

#define TEXT_MOST 3072 /* bytes of one text, escapes counted */

struct out {
	char *p; /* where the next byte goes */
	char *end;
	uint64_t text; /* most bytes of one text */
	bool full;
};

static inline uint64_t room(const struct out *o)
{
	return (uint64_t)(o->end - o->p);
}

/* ---- bytes that stand for themselves in a JSON text ---- */
static inline bool plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* Not 0: one of the eight bytes is not plain. Borrows and carries come from such bytes only. */
static inline uint64_t odd_word(uint64_t v)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t quote = v ^ ones * '"', backslash = v ^ ones * '\\';

	return ((v - ones * ' ') | (v + ones) | v | (quote - ones) | (backslash - ones)) &
	       ones * 0x80;
}

enum kind { TEXT, NUMBER, MILLISECONDS, AMOUNT, FLAG };
/* In the record's order. */
#define FIELDS(X)                                                                                  \
	X("request_id", REQUEST_ID, TEXT)                                                          \
	X("user_id", USER_ID, TEXT)                                                                \
	X("org", ORG, TEXT)                                                                        \
	X("credential", CREDENTIAL, TEXT)                                                          \
	X("auth_method", AUTH_METHOD, TEXT)                                                        \
	X("model_id", MODEL_ID, TEXT)                                                              \
	X("action", ACTION, TEXT)                                                                  \
	X("status", STATUS, TEXT)                                                                  \
	X("reason", REASON, TEXT)                                                                  \
	X("http_status", HTTP_STATUS, NUMBER)                                                      \
	X("duration_ms", DURATION_US, MILLISECONDS)                                                \
	X("upstream_ms", UPSTREAM_US, MILLISECONDS)                                                \
	X("input_hash", INPUT_HASH, TEXT)                                                          \
	X("output_hash", OUTPUT_HASH, TEXT)                                                        \
	X("input_bytes", INPUT_BYTES, NUMBER)                                                      \
	X("output_bytes", OUTPUT_BYTES, NUMBER)                                                    \
	X("tokens_in", TOKENS_IN, NUMBER)                                                          \
	X("tokens_out", TOKENS_OUT, NUMBER)                                                        \
	X("cost", COST, AMOUNT)                                                                    \
	X("source_ip", SOURCE_IP, TEXT)                                                            \
	X("method", METHOD, TEXT)                                                                  \
	X("path", PATH, TEXT)                                                                      \
	X("route", ROUTE, TEXT)                                                                    \
	X("stack", STACK, TEXT)                                                                    \
	X("stream", STREAM, FLAG)                                                                  \
	X("generation", GENERATION, NUMBER)

/* A text in quotes: escaped, and cut at o->text bytes or where the room ends. */
void record_text(struct out *o, struct merlon_str s);

#define VALUE_MOST 32 /* bytes of a value that is no text */
/* Writes one at p, where there is room for VALUE_MOST, and answers what is behind it: null where
 * the fact is not of the kind that the field has. */
char *record_value(char *p, unsigned kind, const struct merlon_fact *f);

/* All that stands before the decisions. False: there may not be room for all of it; nothing was
 * written. */
bool record_fields_whole(struct out *o, struct recorder *r, int64_t time_us,
                         struct merlon_str event);
/* Decision number i; likewise. */
bool record_decision_whole(struct out *o, struct recorder *r, uint32_t i,
                           const struct merlon_decision *d);

#endif
