/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * JSON Web Tokens (RFC 7519) in JWS compact serialisation (RFC 7515), and the keys that verify them
 * (RFC 7517, 7518, 8037). What a token may be is decided by configuration and by the key, never by
 * the token (RFC 8725): its header is read only to find the key, and to refuse what it asks for.
 *
 * Pure functions: no clock, no network, no host. Keys are read-only once made and may be used by
 * all threads at once.
 */
#ifndef AUTH_OIDC_JOSE_H
#define AUTH_OIDC_JOSE_H

#include <jansson.h>

#include "common/text.h"

enum jose_alg {
	JOSE_RS256,
	JOSE_RS384,
	JOSE_RS512,
	JOSE_PS256,
	JOSE_PS384,
	JOSE_PS512,
	JOSE_ES256,
	JOSE_ES384,
	JOSE_ES512,
	JOSE_EDDSA, /* Ed25519 and Ed448 */
	JOSE_HS256,
	JOSE_HS384,
	JOSE_HS512,
	JOSE_ALGS
};
#define JOSE_BIT(alg) (UINT32_C(1) << (alg))
#define JOSE_PUBLIC (JOSE_BIT(JOSE_HS256) - 1) /* all that need no shared secret */
#define JOSE_SECRET (JOSE_BIT(JOSE_HS256) | JOSE_BIT(JOSE_HS384) | JOSE_BIT(JOSE_HS512))
extern const char *const jose_alg_names[JOSE_ALGS]; /* "RS256", ... "EdDSA", ... */

#define JWT_MAX 8192 /* bytes of a token */
#define JWKS_MAX (256 * 1024)
#define JWKS_KEYS_MAX 64
#define JWT_KID_MAX 256

/* Canonical base64url (RFC 4648 §5): no padding, no other byte, unused bits zero. Returns the
 * length written to out (room: s.len / 4 * 3 + 2), or -1. */
int64_t jose_base64url(struct merlon_str s, uint8_t *out);

#define JOSE_DEPTH_MAX 32 /* objects and arrays within one another */
/* JSON of strangers: an object or array without duplicate members, NUL in a string or nesting over
 * JOSE_DEPTH_MAX. The caller bounds its size. NULL: it is not; *why is static text. */
json_t *jose_json(struct merlon_str text, const char **why);

/* ---- keys ---- */
struct jwks;
/* A JWK set. Keys that cannot verify anything here (another kty or crv, use other than sig, key_ops
 * without verify, RSA under 2048 bits or with a bad exponent, symmetric, an alg unlike the key) are
 * left out and counted; damage of the set itself (not JSON, duplicate members, over JWKS_MAX or
 * JWKS_KEYS_MAX) gives NULL and *why (static text). A private key's public part is used. */
struct jwks *jwks_parse(struct merlon_str json, unsigned *left_out, const char **why);
/* The one key of HS*: at least 32 bytes. NULL: too short. It has no kid, so that a token's kid
 * chooses nothing here. */
struct jwks *jwks_secret(struct merlon_str secret);
void jwks_free(struct jwks *k); /* wipes; NULL is fine */
unsigned jwks_count(const struct jwks *k);

/* ---- tokens ---- */
struct jwt {
	enum jose_alg alg;
	struct merlon_str kid; /* ptr NULL: none. In header's memory, as typ is */
	struct merlon_str typ;
	json_t *header;
	json_t *claims;
	struct merlon_str signed_part; /* of the token's own bytes */
	uint8_t *signature;
	size_t signature_len;
};
enum jwt_parsed {
	JWT_OK,
	JWT_NOT_ONE, /* nothing like a JWT: no dots, or what stands before the first is not JSON */
	JWT_BAD      /* a JWT that is refused whatever the keys: *why */
};
/* Reads and checks the form: everything of the header, and that the claims are a JSON object
 * without duplicate members. jwt_free() in any case but JWT_NOT_ONE is the caller's; *why is static
 * text, fit for a client. */
enum jwt_parsed jwt_parse(struct merlon_str token, struct jwt *out, const char **why);
void jwt_free(struct jwt *t);

enum jwks_found {
	JWKS_OK,
	JWKS_NO_KEY, /* no key of that kid (or, without a kid, none of that kind) */
	JWKS_BAD /* the algorithm is not allowed or not the key's, or the signature does not hold */
};
#define JWKS_TRIES_MAX 16 /* keys tried for one token, so that its price has a bound */
/* algs: JOSE_BIT()s that the configuration allows. Without a kid every key that fits is tried, with
 * one each key of that kid. */
enum jwks_found jwks_verify(const struct jwks *k, const struct jwt *t, uint32_t algs,
                            const char **why);

/* ---- claims ---- */
struct jwt_rules {
	struct merlon_str issuer;           /* equal, byte by byte */
	const struct merlon_str *audiences; /* aud holds one of them */
	uint32_t naudiences;
	struct merlon_str
	    typ; /* empty: any; compared as a media type: case folded, "application/" left out */
	int64_t skew;    /* seconds */
	int64_t max_age; /* seconds since iat; 0: not asked for */
};
enum jwt_holds { JWT_HOLDS, JWT_REFUSED, JWT_EXPIRED };
/* The claims of a verified token at `now` (seconds since 1970). EXPIRED only where nothing else is
 * wrong with it. *expires, if it holds: exp, or iat + max_age where that is sooner (skew comes on
 * top). *why is static text, fit for a client. */
enum jwt_holds jwt_check(const struct jwt *t, const struct jwt_rules *r, int64_t now,
                         int64_t *expires, const char **why);
/* Whether the token names this issuer: decides whose it is before anything is verified. */
bool jwt_is_from(const struct jwt *t, struct merlon_str issuer);
#define JWT_PATH_MAX 256
/* "realm_access.roles": the member at that path; a name that holds dots is found whole first.
 * NULL: not there, or a path over JWT_PATH_MAX bytes. Borrowed. */
const json_t *jwt_claim(const struct jwt *t, struct merlon_str path);

#endif
