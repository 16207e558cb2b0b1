/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Making and recognising API keys. No key is kept here: buffers are the caller's, who wipes them.
 */
#include "common/apikey.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static bool is_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* IEEE 802.3, bit by bit: 45 bytes a request do not need a table. */
static uint32_t crc32_of(const char *p, size_t n)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		crc ^= (unsigned char)p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (UINT32_C(0xedb88320) & (0 - (crc & 1)));
	}
	return ~crc;
}

static void crc_digits(const char *p, size_t n, char out[APIKEY_CRC])
{
	uint32_t crc = crc32_of(p, n);

	for (size_t i = APIKEY_CRC; i-- > 0; crc /= 62)
		out[i] = digits[crc % 62];
}

int apikey_random(char *out, size_t n)
{
	unsigned char raw[64];
	size_t have = 0;

	while (have < n) {
		ssize_t got = getrandom(raw, sizeof(raw), 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		/* 248 is 4 * 62: bytes from there on would make the first digits likelier. */
		for (ssize_t i = 0; i < got && have < n; i++) {
			if (raw[i] < 248)
				out[have++] = digits[raw[i] % 62];
		}
	}
	explicit_bzero(raw, sizeof(raw));
	return 0;
}

int apikey_new(const char *id, char out[APIKEY_LEN])
{
	int r = 0;

	memcpy(out, APIKEY_PREFIX, 4);
	if (id)
		memcpy(out + 4, id, APIKEY_ID);
	else
		r = apikey_random(out + 4, APIKEY_ID);
	out[4 + APIKEY_ID] = '_';
	if (r == 0)
		r = apikey_random(out + 5 + APIKEY_ID, APIKEY_SECRET);
	if (r == 0)
		crc_digits(out, APIKEY_LEN - APIKEY_CRC, out + APIKEY_LEN - APIKEY_CRC);
	return r;
}

bool apikey_shaped(const char *p, size_t n)
{
	return n >= 4 && memcmp(p, APIKEY_PREFIX, 4) == 0;
}

bool apikey_is_id(const char *p, size_t n)
{
	if (n != APIKEY_ID)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!is_digit(p[i]))
			return false;
	}
	return true;
}

bool apikey_valid(const char *p, size_t n)
{
	char crc[APIKEY_CRC];

	if (n != APIKEY_LEN || !apikey_shaped(p, n) || p[4 + APIKEY_ID] != '_' ||
	    !apikey_is_id(p + 4, APIKEY_ID))
		return false;
	for (size_t i = 5 + APIKEY_ID; i < n; i++) {
		if (!is_digit(p[i]))
			return false;
	}
	crc_digits(p, n - APIKEY_CRC, crc);
	return memcmp(crc, p + n - APIKEY_CRC, APIKEY_CRC) == 0;
}
