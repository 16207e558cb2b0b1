/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Body framing. The chunked decoder keeps a state between calls and nothing of the bytes.
 * Extensions and trailers are checked, bounded and dropped: passed on, they would be read by
 * somebody else in another way.
 */
#include "http/body.h"

#include "http/chars.h"

#define CHUNK_DIGITS_MAX 16
#define TRAILER_MAX 8192
#define OVERHEAD_FACTOR 16
#define OVERHEAD_FREE 4096

enum state {
	STATE_PLAIN, /* not chunked */
	STATE_SIZE,
	STATE_EXT,
	STATE_SIZE_LF,
	STATE_DATA,
	STATE_DATA_CR,
	STATE_DATA_LF,
	STATE_TRAILER,
	STATE_DONE,
	STATE_BAD,
};

/* http_body.tstate while in STATE_EXT */
enum { EXT_PLAIN, EXT_QUOTED, EXT_ESCAPED };

/* http_body.tstate while in STATE_TRAILER */
enum { TRAILER_START, TRAILER_NAME, TRAILER_VALUE, TRAILER_LF, TRAILER_END_LF };

void http_body_init(struct http_body *b, enum http_framing framing, uint64_t length)
{
	*b = (struct http_body){.framing = framing};
	if (framing == HTTP_CHUNKED)
		b->state = STATE_SIZE;
	else if (framing == HTTP_LENGTH)
		b->left = length;
	if (framing == HTTP_NO_BODY || (framing == HTTP_LENGTH && length == 0))
		b->state = STATE_DONE;
}

static void bad(struct http_body *b, const char *reason)
{
	b->state = STATE_BAD;
	b->reason = reason;
}

static void on_size(struct http_body *b, char c)
{
	int digit = http_hex(c);

	if (digit >= 0) {
		/* At most 2^63-1, the ceiling of Content-Length. */
		if (b->digits == CHUNK_DIGITS_MAX || b->left > (uint64_t)INT64_MAX >> 4) {
			bad(b, "chunk size is too large");
			return;
		}
		b->digits++;
		b->left = b->left << 4 | (unsigned)digit;
	} else if (b->digits == 0) {
		bad(b, "chunk size is missing");
	} else if (c == '\r') {
		b->state = STATE_SIZE_LF;
	} else if (c == ';') {
		b->state = STATE_EXT;
		b->tstate = EXT_PLAIN;
	} else {
		bad(b, c == '\n' ? "bare LF" : "malformed chunk size");
	}
}

static void on_extension(struct http_body *b, char c)
{
	if (c == '\r' && b->tstate == EXT_PLAIN)
		b->state = STATE_SIZE_LF;
	else if (!http_is(c, CHAR_VALUE))
		bad(b, "malformed chunk extension");
	else if (b->tstate == EXT_ESCAPED)
		b->tstate = EXT_QUOTED;
	else if (c == '"')
		b->tstate = b->tstate == EXT_PLAIN ? EXT_QUOTED : EXT_PLAIN;
	else if (c == '\\' && b->tstate == EXT_QUOTED)
		b->tstate = EXT_ESCAPED;
}

static void on_size_lf(struct http_body *b, char c)
{
	if (c != '\n') {
		bad(b, "bare CR");
		return;
	}
	b->digits = 0;
	b->state = b->left ? STATE_DATA : STATE_TRAILER;
	b->tstate = TRAILER_START;
}

static void on_data_end(struct http_body *b, char c)
{
	if (c != (b->state == STATE_DATA_CR ? '\r' : '\n'))
		bad(b, "chunk does not end in CRLF");
	else
		b->state = b->state == STATE_DATA_CR ? STATE_DATA_LF : STATE_SIZE;
}

static void on_trailer_name(struct http_body *b, char c)
{
	if (http_is(c, b->response ? CHAR_TOKEN : CHAR_NAME))
		b->tstate = TRAILER_NAME;
	else if (c == ':' && b->tstate == TRAILER_NAME)
		b->tstate = TRAILER_VALUE;
	else if (c == '\r' && b->tstate == TRAILER_START)
		b->tstate = TRAILER_END_LF;
	else
		bad(b, "malformed trailer name");
}

static void on_trailer(struct http_body *b, char c)
{
	if (++b->trailer > TRAILER_MAX) {
		bad(b, "trailer section is too large");
	} else if (b->tstate <= TRAILER_NAME) {
		on_trailer_name(b, c);
	} else if (b->tstate == TRAILER_VALUE) {
		if (c == '\r')
			b->tstate = TRAILER_LF;
		else if (!http_is(c, CHAR_VALUE))
			bad(b, "malformed trailer value");
	} else if (c != '\n') {
		bad(b, "bare CR");
	} else if (b->tstate == TRAILER_END_LF) {
		b->state = STATE_DONE;
	} else {
		b->tstate = TRAILER_START;
	}
}

static uint64_t overhead_max(const struct http_body *b)
{
	return OVERHEAD_FACTOR * b->total + OVERHEAD_FREE;
}

/* The size of a chunk with its line end, whole and without extension, or the line end behind a
 * chunk: their length. 0: byte by byte, then. */
static size_t framing_at_once(struct http_body *b, const char *p, size_t n)
{
	uint64_t size = 0;
	size_t i = 0;

	if (b->state == STATE_SIZE && b->digits == 0) {
		/* One digit less than there may be: no overflow is to be thought of. */
		size_t max = n < CHUNK_DIGITS_MAX ? n : CHUNK_DIGITS_MAX - 1;

		for (int digit; i < max && (digit = http_hex(p[i])) >= 0; i++)
			size = size << 4 | (unsigned)digit;
		if (i == 0)
			return 0;
	} else if (b->state != STATE_DATA_CR) {
		return 0;
	}
	if (n - i < 2 || p[i] != '\r' || p[i + 1] != '\n' || b->overhead + i + 2 > overhead_max(b))
		return 0;
	b->overhead += i + 2;
	if (b->state == STATE_DATA_CR) {
		b->state = STATE_SIZE;
	} else {
		b->left = size;
		b->state = size ? STATE_DATA : STATE_TRAILER;
		b->tstate = TRAILER_START;
	}
	return i + 2;
}

static void on_framing_byte(struct http_body *b, char c)
{
	static void (*const states[])(struct http_body * b, char c) = {
	    [STATE_SIZE] = on_size,        [STATE_EXT] = on_extension,
	    [STATE_SIZE_LF] = on_size_lf,  [STATE_DATA_CR] = on_data_end,
	    [STATE_DATA_LF] = on_data_end, [STATE_TRAILER] = on_trailer,
	};

	/* Tiny chunks with long marks would let a peer make us work far beyond what the body limit
	 * sees. The trailer section has a limit of its own. */
	if (b->state != STATE_TRAILER && ++b->overhead > overhead_max(b))
		bad(b, "too much chunk framing");
	else
		states[b->state](b, c);
}

static enum http_body_result take(struct http_body *b, const char *data, size_t n, size_t at,
                                  size_t *used, struct str *out)
{
	size_t len = n - at;

	if (b->framing != HTTP_UNTIL_CLOSE) {
		if (len > b->left)
			len = (size_t)b->left;
		b->left -= len;
	}
	b->total += len;
	*out = (struct str){data + at, len};
	*used = at + len;
	if (b->left == 0 && b->framing == HTTP_CHUNKED)
		b->state = STATE_DATA_CR;
	else if (b->left == 0 && b->framing == HTTP_LENGTH)
		b->state = STATE_DONE;
	return HTTP_BODY_DATA;
}

enum http_body_result http_body_next(struct http_body *b, const char *data, size_t n, size_t *used,
                                     struct str *data_out)
{
	size_t at = 0;

	*used = 0;
	*data_out = STR_NONE;
	while (at < n && b->state < STATE_DONE) {
		if (b->state == STATE_DATA || b->state == STATE_PLAIN)
			return take(b, data, n, at, used, data_out);
		size_t run = framing_at_once(b, data + at, n - at);
		if (run == 0)
			on_framing_byte(b, data[at++]);
		at += run;
	}
	*used = at;
	if (b->state == STATE_BAD)
		return HTTP_BODY_BAD;
	return b->state == STATE_DONE ? HTTP_BODY_DONE : HTTP_BODY_MORE;
}

bool http_body_eof(struct http_body *b)
{
	if (b->framing == HTTP_UNTIL_CLOSE)
		b->state = STATE_DONE;
	return b->state == STATE_DONE;
}

bool http_body_done(const struct http_body *b)
{
	return b->state == STATE_DONE;
}

size_t http_chunk_head(size_t n, char out[HTTP_CHUNK_HEAD_MAX])
{
	static const char hex[] = "0123456789abcdef";
	size_t digits = 1;

	for (size_t rest = n >> 4; rest; rest >>= 4)
		digits++;
	for (size_t i = digits; i > 0; i--, n >>= 4)
		out[i - 1] = hex[n & 15];
	memcpy(out + digits, "\r\n", 2);
	return digits + 2;
}
