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

/* Each byte's remainder is its lower half's and its upper half's together. */
#define ROW(high)                                                                                  \
	(high) ^ 0x00000000, (high) ^ 0x77073096, (high) ^ 0xee0e612c, (high) ^ 0x990951ba,        \
	    (high) ^ 0x076dc419, (high) ^ 0x706af48f, (high) ^ 0xe963a535, (high) ^ 0x9e6495a3,    \
	    (high) ^ 0x0edb8832, (high) ^ 0x79dcb8a4, (high) ^ 0xe0d5e91e, (high) ^ 0x97d2d988,    \
	    (high) ^ 0x09b64c2b, (high) ^ 0x7eb17cbd, (high) ^ 0xe7b82d07, (high) ^ 0x90bf1d91

/* IEEE 802.3. */
static uint32_t crc32_of(const char *p, size_t n)
{
	static const uint32_t table[256] = {
	    ROW(0x00000000), ROW(0x1db71064), ROW(0x3b6e20c8), ROW(0x26d930ac),
	    ROW(0x76dc4190), ROW(0x6b6b51f4), ROW(0x4db26158), ROW(0x5005713c),
	    ROW(0xedb88320), ROW(0xf00f9344), ROW(0xd6d6a3e8), ROW(0xcb61b38c),
	    ROW(0x9b64c2b0), ROW(0x86d3d2d4), ROW(0xa00ae278), ROW(0xbdbdf21c)};
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n; i++)
		crc = crc >> 8 ^ table[(uint8_t)(crc ^ (unsigned char)p[i])];
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

typedef int8_t vector __attribute__((vector_size(16)));
typedef uint64_t words __attribute__((vector_size(16)));

/* Sixteen bytes a step, the last of which overlap with those before. n: 16 or more. */
static bool are_digits(const char *p, size_t n)
{
	words all = {UINT64_MAX, UINT64_MAX};
	vector v, folded;

	for (size_t at = 0;; at = n - at < 2 * sizeof(v) ? n - sizeof(v) : at + sizeof(v)) {
		memcpy(&v, p + at, sizeof(v));
		folded = v | ('a' - 'A');
		all &= (words)(((v >= '0') & (v <= '9')) | ((folded >= 'a') & (folded <= 'z')));
		if (at == n - sizeof(v))
			break;
	}
	return (all[0] & all[1]) == UINT64_MAX;
}

bool apikey_valid(const char *p, size_t n)
{
	char crc[APIKEY_CRC];

	if (n != APIKEY_LEN || !apikey_shaped(p, n) || p[4 + APIKEY_ID] != '_' ||
	    !apikey_is_id(p + 4, APIKEY_ID))
		return false;
	if (!are_digits(p + 5 + APIKEY_ID, n - 5 - APIKEY_ID))
		return false;
	crc_digits(p, n - APIKEY_CRC, crc);
	return memcmp(crc, p + n - APIKEY_CRC, APIKEY_CRC) == 0;
}
