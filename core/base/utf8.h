/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * UTF-8 as RFC 3629 section 4 has it: no overlong forms, no surrogates, nothing over U+10FFFF.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

static inline bool utf8_continues(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* The length of the character that a byte which is not ASCII begins; 0: none does. */
static inline unsigned utf8_length(unsigned char lead)
{
	if (lead < 0xe0)
		return lead < 0xc2 ? 0 : 2;
	if (lead < 0xf0)
		return 3;
	return lead < 0xf5 ? 4 : 0;
}

/* Some leads bound the continuation behind them further. */
static inline bool utf8_second_right(unsigned char lead, unsigned char c)
{
	switch (lead) {
	case 0xe0:
		return c >= 0xa0;
	case 0xed:
		return c <= 0x9f;
	case 0xf0:
		return c >= 0x90;
	case 0xf4:
		return c <= 0x8f;
	default:
		return true;
	}
}

/* The length of the character at p, which is not ASCII, in the n bytes there, n > 0; 0: it is
 * invalid, or goes on behind them. */
static inline unsigned utf8_char(const char *p, size_t n)
{
	const unsigned char *u = (const unsigned char *)p;
	unsigned length = utf8_length(u[0]);

	if (length == 0 || n < length)
		return 0;
	if (length == 2)
		return utf8_continues(u[1]) ? 2 : 0;
	for (unsigned i = 1; i < length; i++)
		if (!utf8_continues(u[i]))
			return 0;
	return utf8_second_right(u[0], u[1]) ? length : 0;
}

#endif
