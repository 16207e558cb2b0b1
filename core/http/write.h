/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Serialising heads. Framing is always ours: Content-Length, Transfer-Encoding and Connection are
 * written by these functions alone, never copied.
 */
#ifndef HTTP_WRITE_H
#define HTTP_WRITE_H

#include "base/buf.h"
#include "base/err.h"
#include "http/message.h"

struct http_out {
	struct buf *b; /* its ceiling bounds the head; BUF_E_FULL travels up */
	int r;         /* first failure; later calls do nothing */
};
void http_out_request(struct http_out *o, struct str method, struct str target); /* HTTP/1.1 */
void http_out_status(struct http_out *o, unsigned status); /* HTTP/1.1, our phrase */
/* Sets r to -EINVAL where the name is no token or the value holds a control byte other than HTAB.
 */
void http_out_field(struct http_out *o, struct str name, struct str value);
void http_out_fieldf(struct http_out *o, const char *name, const char *fmt, ...) PRINTF(3, 4);
/* Every field of h that is not HTTP_FIELD_DROP and whose id is not in the skip mask (bits 1 << id).
 */
void http_out_fields(struct http_out *o, const struct http_head *h, uint64_t skip);
/* HTTP_UNTIL_CLOSE writes "Connection: close", HTTP_NO_BODY nothing. */
void http_out_framing(struct http_out *o, enum http_framing framing, uint64_t length);
int http_out_end(struct http_out *o) MUST_CHECK; /* the empty line; o->r */

#endif
