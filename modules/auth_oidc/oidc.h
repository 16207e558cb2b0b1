/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What the files of this module share beside jose.h: the host, the settings of a line, and how a
 * verified token becomes an identity.
 */
#ifndef AUTH_OIDC_OIDC_H
#define AUTH_OIDC_OIDC_H

#include "common/sha.h"
#include "jose.h"

extern const struct merlon_host *oidc_host;

/* ---- identities ---- */
enum { CLAIM_SUB, CLAIM_ORG, CLAIM_TEAM, CLAIM_TIER, CLAIM_TEXTS };
enum { CLAIM_ROLES, CLAIM_SCOPES, CLAIM_MODELS, CLAIM_ACTIONS, CLAIM_LISTS };
/* Paths of claims; empty: not mapped. */
struct mapping {
	struct merlon_str text[CLAIM_TEXTS];
	struct merlon_str list[CLAIM_LISTS];
};

/* One block of memory: free() it. */
struct identity;
#define CREDENTIAL_HEX 16
/* NULL: a claim is missing or of another type than it must be; *why is static text. hash: of the
 * whole token, whose first bytes name the credential. */
struct identity *identity_make(const struct mapping *m, const struct jwt *t,
                               const uint8_t hash[SHA_LEN], const char **why);
/* Sets id.*; expires in seconds since 1970. 0, or what the host could not take. */
int32_t identity_set(const struct identity *id, int64_t expires, merlon_ctx *ctx, merlon_tx *tx);

/* ---- verified tokens, one set a worker ---- */
struct cache;
/* At most `size` tokens; 0: none. */
struct cache *cache_new(uint32_t size);
void cache_free(struct cache *c); /* NULL is fine */
/* Of a token that was verified by the keys of `epoch` and holds at `now` (seconds); NULL: none. It
 * lives until the next call. */
const struct identity *cache_get(struct cache *c, const uint8_t hash[SHA_LEN], uint64_t epoch,
                                 int64_t now, int64_t *expires);
/* Takes id. until: the first second in which the token does not hold any more. */
void cache_put(struct cache *c, const uint8_t hash[SHA_LEN], uint64_t epoch, int64_t until,
               int64_t expires, struct identity *id);
uint32_t cache_count(const struct cache *c); /* for tests */

/* ---- settings ---- */
struct settings {
	struct mem_pool pool; /* of all texts here */
	struct merlon_str issuer;
	struct jwt_rules rules;
	uint32_t algs;
	struct mapping mapping;
	uint32_t cache_size;
	struct jwks *keys; /* of a file or a secret; NULL: the provider's */
	/* of the provider; times in ns */
	struct merlon_str upstream; /* empty: the issuer's origin, or that of jwks_uri */
	struct merlon_str jwks_uri; /* empty: by discovery */
	uint64_t refresh;
	uint64_t min_refresh;
	uint64_t max_stale;
	uint32_t fetch_timeout_ms;
	/* Hex of SHA-256: of what names the provider, and of all that decides about a token. */
	char provider_key[SHA_HEX];
	char token_key[SHA_HEX];
};
#define SETTINGS_OPTIONS 16
extern const struct merlon_option settings_options[SETTINGS_OPTIONS];
/* 0, or -1: said with cfg_error(). settings_free() in any case. */
int settings_read(struct settings *s, const merlon_cfg *cfg);
void settings_free(struct settings *s);

#endif
