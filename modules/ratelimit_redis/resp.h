/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * RESP2, Redis' protocol, both ways. hiredis encodes and decodes; it opens no connection and
 * allocates no more than a peer may make it: an answer of this module's script is one flat array of
 * integers, so what is larger or deeper than that is nonsense. Pure functions over bytes.
 */
#ifndef RATELIMIT_REDIS_RESP_H
#define RATELIMIT_REDIS_RESP_H

#include "common/text.h"

#define RESP_INTS 16           /* most elements of an array that is taken */
#define RESP_TEXT 160          /* of an error, a status or a string; the rest is cut */
#define RESP_MESSAGE_MAX 65536 /* bytes of one message */

enum resp_type { RESP_NIL, RESP_INTEGER, RESP_STATUS, RESP_STRING, RESP_ERROR, RESP_ARRAY };

struct resp {
	enum resp_type type;
	bool odd;   /* ARRAY: an element that is no integer, or more than RESP_INTS */
	uint32_t n; /* ARRAY: elements in v; INTEGER: 1 */
	int64_t v[RESP_INTS];
	char text[RESP_TEXT]; /* STATUS, STRING, ERROR; ends with a NUL */
	bool *broken;         /* of the decoder that made it; NULL: a test's */
};

/* The stream's decoder: see merlon_stream_ops. */
void *resp_decoder_new(void);
void resp_decoder_free(void *dec);
int32_t resp_decode(void *dec, struct merlon_str bytes, void **msg);
void resp_free(void *msg);
/* For the taker of a message that is not the answer to what it asked: what the connection says
 * cannot be believed, so it ends. While the taker's callback runs. */
void resp_distrust(const struct resp *msg);

/* Appends a command to what stands in *out, which is the caller's to free. */
void resp_command(struct merlon_str *out, const struct merlon_str *argv, unsigned argc);
/* Wipes and frees. */
void resp_wipe(struct merlon_str *s);

/* What kind of refusal an error is: the first words of the texts that Redis writes. */
enum resp_error {
	RESP_E_OTHER,
	RESP_E_NOSCRIPT,
	RESP_E_NOAUTH,
	RESP_E_WRONGPASS,
	RESP_E_NOPERM,
	RESP_E_LOADING,
	RESP_E_READONLY,
	RESP_E_OOM,
	RESP_E_BUSY,
	RESP_E_MOVED, /* a cluster's node that has not the key */
	RESP_E_WRONGTYPE,
	RESP_E_MASTERDOWN,
	RESP_E_MISCONF,
	RESP_E_UNKNOWN,
	RESP_ERRORS
};
enum resp_error resp_error_of(const char *text);
/* For logs and reasons: nothing of the peer's text is in it. */
const char *resp_error_name(enum resp_error e);

#endif
