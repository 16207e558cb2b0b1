/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Classes of bytes, one table for every scanner of this room, so that a byte means the same to all
 * of them.
 */
#ifndef HTTP_CHARS_H
#define HTTP_CHARS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	CHAR_TOKEN = 0x01,      /* tchar */
	CHAR_NAME = 0x02,       /* tchar without '_': field names of requests and trailers */
	CHAR_VALUE = 0x04,      /* HTAB, SP, visible, obs-text */
	CHAR_TARGET = 0x08,     /* 0x21..0x7e */
	CHAR_UNRESERVED = 0x10, /* RFC 3986 */
	CHAR_HOST = 0x20,       /* reg-name without escapes: unreserved and sub-delims */
	CHAR_DIGIT = 0x40,
	CHAR_SEGMENT = 0x80, /* of a target without '/', '%', '#', '\\': nothing to think about */
};

extern const uint8_t http_chars[256];

static inline bool http_is(char c, unsigned mask)
{
	return (http_chars[(uint8_t)c] & mask) != 0;
}

static inline char http_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* The value of a hex digit; -1: it is none. */
static inline int http_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = http_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
