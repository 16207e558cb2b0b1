/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Heads of requests and responses as the codec sees them: slices into the bytes they were read
 * from, or into those that http_head_moved() has put in their place.
 */
#ifndef HTTP_MESSAGE_H
#define HTTP_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define HTTP_FIELDS_MAX 100 /* fields of one head; more: 431 */

enum http_method {
	HTTP_OTHER, /* a token that is none of these: 501 or 405 by the route */
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_PATCH,
	HTTP_CONNECT,
	HTTP_TRACE,
};

/* Fields the core asks for, found while parsing; the rest is HTTP_F_OTHER. */
enum http_field_id {
	HTTP_F_OTHER,
	HTTP_F_ACCEPT_ENCODING,
	HTTP_F_AUTHORIZATION,
	HTTP_F_CONNECTION,
	HTTP_F_CONTENT_ENCODING,
	HTTP_F_CONTENT_LENGTH,
	HTTP_F_CONTENT_TYPE,
	HTTP_F_COOKIE,
	HTTP_F_DATE,
	HTTP_F_EXPECT,
	HTTP_F_FORWARDED,
	HTTP_F_HOST,
	HTTP_F_KEEP_ALIVE,
	HTTP_F_PROXY_AUTHENTICATE,
	HTTP_F_PROXY_AUTHORIZATION,
	HTTP_F_PROXY_CONNECTION,
	HTTP_F_SERVER,
	HTTP_F_TE,
	HTTP_F_TRACEPARENT,
	HTTP_F_TRACESTATE,
	HTTP_F_TRAILER,
	HTTP_F_TRANSFER_ENCODING,
	HTTP_F_UPGRADE,
	HTTP_F_X_API_KEY,
	HTTP_F_API_KEY,
	HTTP_F_X_FORWARDED, /* any x-forwarded-*, x-real-ip */
	HTTP_F_X_RATELIMIT, /* any x-ratelimit-* */
	HTTP_F_X_REQUEST_ID,
	HTTP_F_RESERVED, /* what clients may not set: identity (design §6), another method or path
	                  */
	HTTP_F_COUNT
};

#define HTTP_F_BIT(id) (UINT64_C(1) << (id))
/* Names that frame messages or belong to one connection: nobody but us writes them (RFC 9110
 * §7.6.1; Expect is answered hop by hop). */
#define HTTP_HOP_FIELDS                                                                            \
	(HTTP_F_BIT(HTTP_F_CONNECTION) | HTTP_F_BIT(HTTP_F_CONTENT_LENGTH) |                       \
	 HTTP_F_BIT(HTTP_F_EXPECT) | HTTP_F_BIT(HTTP_F_KEEP_ALIVE) |                               \
	 HTTP_F_BIT(HTTP_F_PROXY_CONNECTION) | HTTP_F_BIT(HTTP_F_TE) |                             \
	 HTTP_F_BIT(HTTP_F_TRAILER) | HTTP_F_BIT(HTTP_F_TRANSFER_ENCODING) |                       \
	 HTTP_F_BIT(HTTP_F_UPGRADE))

#define HTTP_FIELD_DROP 1u /* not to be passed on (hop-by-hop, or named by Connection) */

struct http_field {
	struct str name;  /* as received */
	struct str value; /* trimmed of optional white space */
	uint8_t id;       /* enum http_field_id */
	uint8_t flags;    /* HTTP_FIELD_* */
};

enum http_framing {
	HTTP_NO_BODY,
	HTTP_LENGTH,
	HTTP_CHUNKED,
	HTTP_UNTIL_CLOSE /* responses only */
};

struct http_head {
	bool response;
	uint8_t minor;           /* HTTP/1.minor, 0 or 1 */
	enum http_method method; /* requests */
	struct str method_text;
	struct str target; /* requests: as received */
	uint16_t status;   /* responses: 100..599 */
	struct str reason;
	struct http_field *fields;
	uint16_t nfields;
	uint16_t first[HTTP_F_COUNT]; /* 1 + index of the first field of that id; 0: none */
	enum http_framing framing;
	uint64_t length; /* HTTP_LENGTH */
	bool keep_alive; /* what the peer is ready for */
	bool expect_continue;
	size_t size; /* bytes of the head, its empty line included */
};

static inline const struct http_field *http_first(const struct http_head *h, enum http_field_id id)
{
	return h->first[id] ? &h->fields[h->first[id] - 1] : NULL;
}

#endif
