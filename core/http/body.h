/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Message bodies: decoding of Content-Length, chunked and until-close framing, and the marks of
 * chunked encoding. The decoder says which parts of the bytes it is given are body; nothing is
 * copied.
 */
#ifndef HTTP_BODY_H
#define HTTP_BODY_H

#include "base/err.h"
#include "http/message.h"

enum http_body_result {
	HTTP_BODY_MORE = 0, /* all bytes were used, the body goes on */
	HTTP_BODY_DATA = 1, /* *data is body; call again with the rest */
	HTTP_BODY_DONE = 2, /* the body has ended; bytes after *used belong to the next message */
	HTTP_BODY_BAD = 3,  /* reason is set; the connection must close */
};

struct http_body {
	enum http_framing framing;
	uint64_t left;  /* of the length, or of the chunk */
	uint64_t total; /* body bytes so far */
	uint8_t state;
	uint8_t digits;
	uint64_t overhead; /* framing bytes so far: over 16 * total + 4096 is refused */
	uint32_t trailer;  /* bytes of the trailer section; at most 8192; parsed and dropped */
	const char *reason;
	uint8_t tstate;
	bool response; /* names of trailers are as free as those of a response's head */
};

void http_body_init(struct http_body *b, enum http_framing framing, uint64_t length);
/* Looks at data[0..n). *used: bytes to step over (framing and *data); *data: body bytes among them.
 * A body of length 0 or HTTP_NO_BODY answers HTTP_BODY_DONE at once with *used 0. */
enum http_body_result http_body_next(struct http_body *b, const char *data, size_t n, size_t *used,
                                     struct str *data_out) MUST_CHECK;
/* The peer has closed: true where that ends the body well (HTTP_UNTIL_CLOSE, or done already). */
bool http_body_eof(struct http_body *b);
bool http_body_done(const struct http_body *b);

#define HTTP_CHUNK_HEAD_MAX 20
/* Writes "<hex>\r\n" and returns its length. */
size_t http_chunk_head(size_t n, char out[HTTP_CHUNK_HEAD_MAX]);
#define HTTP_CHUNK_TAIL STR("\r\n")
#define HTTP_LAST_CHUNK STR("0\r\n\r\n")

#endif
