/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Makes keys and tokens for tests, right and wrong ones alike: header and claims are taken as they
 * stand, and the algorithm that signs need not be the one that the header names.
 */
#ifndef AUTH_OIDC_MINT_H
#define AUTH_OIDC_MINT_H

#include "jose.h"

#include <openssl/evp.h>

/* All of these give text that the caller frees, and abort where they cannot. */
char *mint_base64url(const void *bytes, size_t n);
/* "RSA-2048", "P-256", "P-384", "P-521", "secp256k1", "ED25519", "ED448", "X25519" */
EVP_PKEY *mint_key(const char *kind);
/* {"kty":...,MORE}: the public key as a JWK. more: further members, or "". */
char *mint_jwk(EVP_PKEY *key, const char *more);
/* {"keys":[...]} of n texts. */
char *mint_set(char *const *jwks, size_t n);
/* key NULL: HMAC with the secret. */
char *mint_token(enum jose_alg alg, EVP_PKEY *key, struct merlon_str secret, const char *header,
                 const char *claims);
/* header.claims.signature of these bytes. */
char *mint_parts(const char *header, const char *claims, const void *signature, size_t n);

#endif
