/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * SHA-256 for modules: the algorithm is fetched once, a context serves one thread and is reused.
 */
#ifndef COMMON_SHA_H
#define COMMON_SHA_H

#include "common/text.h"

#define SHA_LEN 32
#define SHA_HEX 64

struct sha; /* a context of libcrypto's provider */
/* Once, on the control thread (create). -1: libcrypto does not offer SHA-256. */
int sha_setup(void);
struct sha *sha_new(void);    /* after sha_setup(); aborts when memory is out */
void sha_free(struct sha *s); /* NULL is fine */
int sha_sum(struct sha *s, struct merlon_str data, uint8_t out[SHA_LEN]); /* -1: libcrypto failed */
/* 1: equal; the time depends on n alone. */
int sha_same(const void *a, const void *b, size_t n);

#endif
