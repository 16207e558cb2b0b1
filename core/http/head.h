/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What parse.c hands to head.c once the last byte of a head is there. Private to this room.
 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "http/parse.h"

/* Places in http_parser.offs */
enum {
	OFF_METHOD,
	OFF_METHOD_END,
	OFF_TARGET,
	OFF_TARGET_END,
	OFF_REASON,
	OFF_REASON_END,
	OFF_MAJOR,  /* the number, no offset */
	OFF_STATUS, /* the number, no offset */
};

/* The place of the ':' behind the field name that begins at `at`, of bytes that are allowed
 * (CHAR_NAME or CHAR_TOKEN); *id is the name's. 0: there is none before n. */
size_t http_name_end(const char *d, size_t at, size_t n, unsigned allowed, enum http_field_id *id);
/* Notes the refusal; a response is always the upstream's fault. Answers HTTP_BAD. */
enum http_result http_refuse(struct http_parser *p, uint16_t status, const char *reason);
/* Fills *h and makes the checks over the whole head: HTTP_DONE or HTTP_BAD. */
enum http_result http_head_build(struct http_parser *p, const char *data, struct arena *a,
                                 struct http_head *h) MUST_CHECK;

#endif
