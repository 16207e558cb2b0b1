/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The form of Merlon's API keys: `mrl_<id8>_<secret32><crc6>`, digits `0-9A-Za-z`, crc6 the CRC-32
 * of all before it. Shared by auth_apikey, which reads keys, and merlonctl, which makes them.
 */
#ifndef COMMON_APIKEY_H
#define COMMON_APIKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define APIKEY_PREFIX "mrl_"
#define APIKEY_ID 8
#define APIKEY_SECRET 32
#define APIKEY_CRC 6
#define APIKEY_LEN (4 + APIKEY_ID + 1 + APIKEY_SECRET + APIKEY_CRC)
#define APIKEY_FOREIGN_MIN                                                                         \
	32 /* a key of somebody else's must be at least this long to be imported */
#define APIKEY_FOREIGN_MAX 4096 /* longer values are no keys */

/* n random base62 digits, unbiased, no NUL. 0 or -errno. */
int apikey_random(char *out, size_t n);
/* A whole key, no NUL. id: 8 digits to keep (rotation), or NULL for a new one. 0 or -errno. */
int apikey_new(const char *id, char out[APIKEY_LEN]);
bool apikey_shaped(const char *p, size_t n); /* begins with our prefix */
/* Form and CRC hold; then the id is at p + 4. */
bool apikey_valid(const char *p, size_t n);
bool apikey_is_id(const char *p, size_t n); /* 8 base62 digits */

#endif
