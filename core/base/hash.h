/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Hashes: SHA-256 and HMAC-SHA-256 (OpenSSL EVP, fetched once), SipHash-1-3 for tables, CRC-32,
 * hex.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdint.h>

#include "base/str.h"

#define SHA256_LEN 32
#define SHA256_HEX 64

/* Once, before threads start. Aborts if libcrypto has no SHA-256. */
void hash_init(void);

void sha256(struct str data, uint8_t out[SHA256_LEN]);
/* Running digest; make and reuse on one thread. key empty: SHA-256, else HMAC-SHA-256. */
struct digest;
struct digest *digest_new(struct str key); /* aborts when memory is out */
void digest_free(struct digest *d);        /* NULL is fine; wipes */
void digest_reset(struct digest *d);       /* begins anew with the same key */
void digest_add(struct digest *d, struct str data);
void digest_get(struct digest *d,
                uint8_t out[SHA256_LEN]); /* ends it; digest_reset() before the next use */

void hex_encode(const uint8_t *p, size_t n, char *out); /* 2n lower-case digits, no NUL */
int hex_decode(struct str s, uint8_t *out); /* s.n / 2 bytes; -1: not lower-case hex or odd */

/* Keyed by 16 random bytes of this process. */
uint64_t hash_sip(struct str s);
/* The same with a key of the caller's, for what must come out alike in another process. */
uint64_t hash_sip_key(const uint8_t key[16], struct str s);

#endif
