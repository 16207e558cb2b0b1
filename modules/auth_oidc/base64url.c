/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * base64url as RFC 7515 wants it, and nothing beside it: where two texts stood for the same bytes,
 * one token would have many spellings, and a cache or a list of revoked ones would know just one.
 */
#include "jose.h"

static int digit(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -1;
}

int64_t jose_base64url(struct merlon_str s, uint8_t *out)
{
	uint32_t bits = 0;
	unsigned have = 0;
	int64_t n = 0;

	if (s.len % 4 == 1)
		return -1;
	for (uint64_t i = 0; i < s.len; i++) {
		int d = digit((unsigned char)s.ptr[i]);
		if (d < 0)
			return -1;
		bits = bits << 6 | (uint32_t)d;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (uint8_t)(bits >> have);
			bits &= (UINT32_C(1) << have) - 1;
		}
	}
	return bits == 0 ? n : -1;
}
