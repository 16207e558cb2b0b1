/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Rules about fields: lookup, hop-by-hop removal, what may not be passed on, values with
 * parameters.
 */
#ifndef HTTP_HEADERS_H
#define HTTP_HEADERS_H

#include "http/message.h"

/* Field number `index` (from 0) of that name (case folded) that is not dropped; NULL: none. */
const struct http_field *http_find(const struct http_head *h, struct str name, unsigned index);
/* The bytes that the head was parsed from have moved. */
void http_head_moved(struct http_head *h, const char *from, const char *to);
/* Calls fn for each member of a comma-divided list value, trimmed, empty ones left out; stops when
 * fn answers non-zero and returns that. */
int http_list_each(struct str value, int (*fn)(void *arg, struct str member), void *arg);
/* The media type without parameters: "application/json". */
struct str http_media_type(struct str content_type);
/* Marks HTTP_FIELD_DROP: hop-by-hop names, what Connection names, Expect, Trailer; on requests also
 * identity headers (HTTP_F_RESERVED) and client credentials (Authorization, x-api-key, api-key,
 * Proxy-*, Cookie stays). */
void http_mark_dropped(struct http_head *h);
/* Whether the client asks to go on in another protocol. An Upgrade that Connection does not name is
 * none (RFC 9110 §7.8). */
bool http_asks_upgrade(const struct http_head *h);
bool http_is_token(struct str s);
bool http_is_field_value(
    struct str s); /* no controls but HTAB, no surrounding space; bytes >= 0x80 allowed */
/* The phrase for a status code; "Unknown" for others. */
const char *http_reason(unsigned status);

#endif
