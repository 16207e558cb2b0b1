/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Inside the JOSE core: one key of a set (RFC 7517, 7518 §6, 8037), and whether a signature holds
 * with it (RFC 7518 §3). Keys own their memory and are read-only once made.
 */
#ifndef AUTH_OIDC_JWA_H
#define AUTH_OIDC_JWA_H

#include "jose.h"

#include <openssl/evp.h>

struct jwk {
	struct merlon_str kid; /* ptr NULL: none */
	uint32_t algs;         /* JOSE_BIT()s that this key verifies */
	EVP_PKEY *key;
};
/* False: a key that verifies nothing here; out is empty then. */
bool jwk_read(const json_t *object, struct jwk *out);
void jwk_deinit(struct jwk *k);

/* The algorithm is one of the key's. */
bool jwa_holds(enum jose_alg alg, EVP_PKEY *key, const struct jwt *t);
bool jwa_holds_hmac(enum jose_alg alg, struct merlon_str secret, const struct jwt *t);

#endif
