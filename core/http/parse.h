/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Incremental head parser for both directions (RFC 9110, RFC 9112; stricter where design §6 says
 * so). It looks at every byte once, refuses at the byte that breaks a rule, and knows no socket.
 * The head must be contiguous; it may move between calls (offsets are kept, pointers made at the
 * end).
 */
#ifndef HTTP_PARSE_H
#define HTTP_PARSE_H

#include "base/err.h"
#include "base/mem.h"
#include "http/message.h"

enum http_result {
	HTTP_DONE = 0, /* the head is whole */
	HTTP_MORE = 1, /* feed again with more bytes behind the same ones */
	HTTP_BAD = 2,  /* refused: status and reason are set, the connection must close */
};

struct http_parser {
	/* settings */
	bool response;
	bool head_request; /* the response answers HEAD: it has no body */
	size_t max;        /* bytes of the head at most; over it 431 (414 while in the target) */
	/* result of HTTP_BAD */
	uint16_t status;    /* 400 414 431 501 505 417; for responses always 502 */
	const char *reason; /* a phrase for log and client, static */
	/* private */
	uint32_t at;
	uint8_t state;
	uint8_t minor;
	uint16_t nfields;
	uint32_t mark;
	uint32_t offs[8];
	struct http_field_at {
		uint32_t name;
		uint32_t name_end;
		uint32_t value;
		uint32_t value_end;
		uint32_t id; /* enum http_field_id */
	} fields[HTTP_FIELDS_MAX];
};

void http_parser_init(struct http_parser *p, bool response, size_t max);
/* data[0..n) is all that is there of the head so far (bytes of a previous call included, at the
 * same offsets). Empty lines before a request line: one CRLF is skipped, as RFC 9112 §2.2 asks. On
 * HTTP_DONE the checks over the whole head have been made (Host, framing, Connection, Expect) and
 * *head is filled, its fields in the arena and its text pointing into data. */
enum http_result http_parse(struct http_parser *p, const char *data, size_t n, struct arena *a,
                            struct http_head *head) MUST_CHECK;
enum http_method http_method_of(struct str token);
/* Name -> id, case folded; names under a reserved prefix give HTTP_F_RESERVED. */
enum http_field_id http_field_id_of(struct str name);

#endif
