/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A line's options, checked and copied. Where the keys come from decides which algorithms there may
 * be: a shared secret never stands beside public keys (RFC 8725 §3.1).
 */
#include "oidc.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#define H oidc_host
#define NS_PER_S INT64_C(1000000000)

static const struct merlon_option claim_options[] = {
    {"sub", MERLON_OPT_STR, 0, "sub", NULL, NULL,
     "Claim that becomes id.sub; every token needs it."},
    {"org", MERLON_OPT_STR, 0, "org", NULL, NULL, "Claim that becomes id.org; empty: none."},
    {"team", MERLON_OPT_STR, 0, "team", NULL, NULL, "Claim that becomes id.team; empty: none."},
    {"tier", MERLON_OPT_STR, 0, "tier", NULL, NULL, "Claim that becomes id.tier; empty: none."},
    {"roles", MERLON_OPT_STR, 0, "roles", NULL, NULL,
     "Claim that becomes id.roles, a list or one name; empty: none."},
    {"scopes", MERLON_OPT_STR, 0, "scope", NULL, NULL,
     "Claim that becomes id.scopes, a list or names divided by spaces; empty: none."},
    {"models", MERLON_OPT_STR, 0, "", NULL, NULL,
     "Claim that becomes id.allow_models; where it is mapped, a token without it is allowed no "
     "model."},
    {"actions", MERLON_OPT_STR, 0, "", NULL, NULL,
     "Claim that becomes id.allow_actions; where it is mapped, a token without it is allowed no "
     "action."},
    {NULL, 0, 0, NULL, NULL, NULL, NULL},
};

const struct merlon_option settings_options[SETTINGS_OPTIONS] = {
    {"issuer", MERLON_OPT_URL, MERLON_OPT_REQUIRED, NULL, NULL, NULL,
     "The provider, exactly as the iss claim of its tokens has it."},
    {"audience", MERLON_OPT_STRLIST, MERLON_OPT_REQUIRED, NULL, NULL, NULL,
     "Names of this service; the aud claim of a token must hold one of them."},
    {"upstream", MERLON_OPT_UPSTREAM, 0, NULL, NULL, NULL,
     "Upstream through which the provider is asked; default: the issuer's own address."},
    {"jwks_uri", MERLON_OPT_URL, 0, NULL, NULL, NULL,
     "Where the provider's keys are; default: what its discovery document says."},
    {"jwks_file", MERLON_OPT_FILE, 0, NULL, NULL, NULL,
     "File with the provider's keys as a JSON Web Key Set, read at each reload; nobody is asked "
     "then."},
    {"secret", MERLON_OPT_SECRET, 0, NULL, NULL, NULL,
     "Shared secret of at least 32 bytes for tokens of HS256, HS384 or HS512, which are refused "
     "otherwise; excludes all other keys."},
    {"algorithms", MERLON_OPT_STRLIST, 0, NULL, NULL, NULL,
     "Algorithms that tokens may use; default: all of RS256 to ES512 and EdDSA, with a secret all "
     "of HS256 to HS512."},
    {"typ", MERLON_OPT_STR, 0, "", NULL, NULL,
     "Media type that the header of a token must name, such as at+jwt; empty: any."},
    {"skew", MERLON_OPT_DURATION, 0, "60s", "0s..5m", NULL,
     "How far the provider's clock may differ from ours."},
    {"max_age", MERLON_OPT_DURATION, 0, NULL, "1s..", NULL,
     "Oldest age of a token by its iat claim, which it needs then; default: any."},
    {"claims", MERLON_OPT_GROUP, 0, NULL, NULL, claim_options,
     "Paths of the claims that make the identity; dots lead into objects."},
    {"cache_size", MERLON_OPT_INT, 0, "10000", "0..1000000", NULL,
     "Verified tokens that each worker remembers."},
    {"refresh", MERLON_OPT_DURATION, 0, "1h", "1s..30d", NULL,
     "Interval at which keys are fetched again; the provider's Cache-Control may shorten it down "
     "to "
     "min_refresh."},
    {"min_refresh", MERLON_OPT_DURATION, 0, "30s", "1s..1h", NULL,
     "Shortest interval between two fetches that tokens with unknown keys give rise to."},
    {"max_stale", MERLON_OPT_DURATION, 0, "24h", "1s..90d", NULL,
     "Age of the keys beyond which they are not used any more while the provider does not answer."},
    {"fetch_timeout", MERLON_OPT_DURATION, 0, "5s", "10ms..1m", NULL,
     "Time that the provider has for each answer."},
};

/* ---- reading ---- */
static struct merlon_str get_str(struct settings *s, const merlon_cfg *cfg, const char *key)
{
	struct merlon_val v;

	if (H->cfg_get(cfg, key, &v) != 0 || v.type != MERLON_VAL_STR)
		return (struct merlon_str){"", 0};
	return pool_copy(&s->pool, v.u.str);
}

static int64_t get_i64(const merlon_cfg *cfg, const char *key)
{
	struct merlon_val v;

	return H->cfg_get(cfg, key, &v) == 0 && v.type == MERLON_VAL_I64 ? v.u.i64 : 0;
}

static bool written(const merlon_cfg *cfg, const char *key)
{
	struct merlon_val v;

	return H->cfg_get(cfg, key, &v) == 0;
}

static int read_audience(struct settings *s, const merlon_cfg *cfg)
{
	struct merlon_str *list;
	struct merlon_val v;

	if (H->cfg_get(cfg, "audience", &v) != 0 || v.type != MERLON_VAL_STRLIST)
		return -1;
	list = pool_new(&s->pool, v.count + 1, sizeof(*list));
	for (uint32_t i = 0; i < v.count; i++) {
		list[i] = pool_copy(&s->pool, v.u.list[i]);
		if (list[i].len > 0)
			continue;
		H->cfg_error(cfg, "audience", TXT("must not hold an empty name"));
		return -1;
	}
	if (v.count == 0) {
		H->cfg_error(cfg, "audience", TXT("must name at least one audience"));
		return -1;
	}
	s->rules.audiences = list;
	s->rules.naudiences = v.count;
	return 0;
}

static int read_path(struct settings *s, const merlon_cfg *claims, const char *key, const char *def,
                     struct merlon_str *out)
{
	*out = claims ? get_str(s, claims, key) : txt_of(def);
	if (out->len <= JWT_PATH_MAX)
		return 0;
	H->cfg_error(claims, key, TXT("is too long for the path of a claim"));
	return -1;
}

static int read_claims(struct settings *s, const merlon_cfg *cfg)
{
	const merlon_cfg *claims = H->cfg_at(cfg, "claims", 0);
	int r = 0;

	for (int i = 0; claim_options[i].key; i++) {
		struct merlon_str *to =
		    i < CLAIM_TEXTS ? &s->mapping.text[i] : &s->mapping.list[i - CLAIM_TEXTS];

		r |= read_path(s, claims, claim_options[i].key, claim_options[i].def, to);
	}
	if (s->mapping.text[CLAIM_SUB].len > 0)
		return r;
	H->cfg_error(claims, "sub", TXT("must not be empty"));
	return -1;
}

/* ---- algorithms ---- */
static int unknown_algorithm(const merlon_cfg *cfg, struct merlon_str name)
{
	const char *near = txt_suggest(name, jose_alg_names, JOSE_ALGS);
	char text[160];
	int n = snprintf(text, sizeof(text), "holds \"%.*s\", which is no algorithm here%s%s%s",
	                 name.len < 32 ? (int)name.len : 32, name.ptr,
	                 near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");

	H->cfg_error(cfg, "algorithms", (struct merlon_str){text, n > 0 ? (uint64_t)n : 0});
	return -1;
}

static int add_algorithm(struct settings *s, const merlon_cfg *cfg, struct merlon_str name,
                         uint32_t possible)
{
	unsigned i = 0;

	while (i < JOSE_ALGS && !txt_eq(name, txt_of(jose_alg_names[i])))
		i++;
	if (i == JOSE_ALGS)
		return unknown_algorithm(cfg, name);
	if (!(JOSE_BIT(i) & possible)) {
		H->cfg_error(cfg, "algorithms",
		             possible == JOSE_SECRET
		                 ? TXT("names an algorithm of public keys, and there is a secret")
		                 : TXT("names an algorithm of shared secrets, and there is none"));
		return -1;
	}
	s->algs |= JOSE_BIT(i);
	return 0;
}

static int read_algorithms(struct settings *s, const merlon_cfg *cfg)
{
	const uint32_t possible = written(cfg, "secret") ? JOSE_SECRET : JOSE_PUBLIC;
	struct merlon_val v;
	int r = 0;

	if (H->cfg_get(cfg, "algorithms", &v) != 0) {
		s->algs = possible;
		return 0;
	}
	for (uint32_t i = 0; i < v.count; i++)
		r |= add_algorithm(s, cfg, v.u.list[i], possible);
	if (v.count == 0) {
		H->cfg_error(cfg, "algorithms", TXT("must name at least one algorithm"));
		r = -1;
	}
	return r;
}

/* ---- keys ---- */
/* Each way to the keys rules out those behind it. */
static int check_ways(const merlon_cfg *cfg)
{
	static const char *const ways[] = {"secret", "jwks_file", "jwks_uri", "upstream"};
	int r = 0;

	for (unsigned i = 0; i < 2; i++) {
		for (unsigned k = i + 1; written(cfg, ways[i]) && k < 4; k++) {
			char text[64];
			int n = snprintf(text, sizeof(text), "cannot stand beside %s", ways[i]);

			if (!written(cfg, ways[k]))
				continue;
			H->cfg_error(cfg, ways[k], (struct merlon_str){text, (uint64_t)n});
			r = -1;
		}
	}
	return r;
}

static int read_file(struct settings *s, const merlon_cfg *cfg, struct merlon_str json)
{
	unsigned left_out = 0;
	const char *why = "";
	char text[96];

	s->keys = jwks_parse(json, &left_out, &why);
	if (!s->keys) {
		H->cfg_file_error(cfg, "jwks_file", 0, txt_of(why));
		return -1;
	}
	if (jwks_count(s->keys) == 0) {
		H->cfg_file_error(cfg, "jwks_file", 0,
		                  TXT("holds no key that could verify a token"));
		return -1;
	}
	if (left_out > 0) {
		int n = snprintf(text, sizeof(text),
		                 "holds %u keys that cannot verify a token here", left_out);
		H->cfg_warn(cfg, "jwks_file", (struct merlon_str){text, (uint64_t)n});
	}
	return 0;
}

static int read_keys(struct settings *s, const merlon_cfg *cfg)
{
	struct merlon_val v;

	if (H->cfg_get(cfg, "secret", &v) == 0) {
		s->keys = jwks_secret(v.u.str);
		if (!s->keys)
			H->cfg_error(cfg, "secret", TXT("must be at least 32 bytes long"));
		return s->keys ? 0 : -1;
	}
	if (H->cfg_get(cfg, "jwks_file", &v) == 0)
		return read_file(s, cfg, v.u.str);
	return 0;
}

/* ---- what the settings are known by ---- */
struct text {
	char *p;
	size_t n, cap;
};

static void add(struct text *t, const void *p, size_t n)
{
	if (t->n + n > t->cap) {
		t->cap = (t->n + n) * 2;
		/* The old bytes may be a secret's. */
		char *q = mem_new(t->cap, 1);
		if (t->n > 0)
			memcpy(q, t->p, t->n);
		if (t->p)
			OPENSSL_cleanse(t->p, t->n);
		free(t->p);
		t->p = q;
	}
	if (n > 0)
		memcpy(t->p + t->n, p, n);
	t->n += n;
}

static void add_str(struct text *t, struct merlon_str s)
{
	add(t, &s.len, sizeof(s.len));
	add(t, s.ptr, s.len);
}

static int text_key(struct text *t, char out[SHA_HEX])
{
	struct sha *sha = sha_new();
	uint8_t sum[SHA_LEN];
	int r = sha_sum(sha, (struct merlon_str){t->p, t->n}, sum);

	txt_hex(sum, sizeof(sum), out);
	sha_free(sha);
	OPENSSL_cleanse(t->p, t->n);
	free(t->p);
	return r;
}

static int provider_key(struct settings *s)
{
	struct text t = {0};

	add_str(&t, s->issuer);
	add_str(&t, s->upstream);
	add_str(&t, s->jwks_uri);
	return text_key(&t, s->provider_key);
}

static int token_key(struct settings *s, const merlon_cfg *cfg)
{
	const int64_t numbers[] = {s->algs, s->rules.skew, s->rules.max_age, s->cache_size};
	struct text t = {0};
	struct merlon_val v;

	add(&t, s->provider_key, SHA_HEX);
	for (uint32_t i = 0; i < s->rules.naudiences; i++)
		add_str(&t, s->rules.audiences[i]);
	add_str(&t, s->rules.typ);
	for (int i = 0; i < CLAIM_TEXTS; i++)
		add_str(&t, s->mapping.text[i]);
	for (int i = 0; i < CLAIM_LISTS; i++)
		add_str(&t, s->mapping.list[i]);
	add(&t, numbers, sizeof(numbers));
	if (H->cfg_get(cfg, "secret", &v) == 0 || H->cfg_get(cfg, "jwks_file", &v) == 0)
		add_str(&t, v.u.str);
	return text_key(&t, s->token_key);
}

int settings_read(struct settings *s, const merlon_cfg *cfg)
{
	int r = 0;

	*s = (struct settings){0};
	s->issuer = get_str(s, cfg, "issuer");
	s->upstream = get_str(s, cfg, "upstream");
	s->jwks_uri = get_str(s, cfg, "jwks_uri");
	r |= read_audience(s, cfg);
	r |= read_claims(s, cfg);
	r |= read_algorithms(s, cfg);
	r |= check_ways(cfg) == 0 ? read_keys(s, cfg) : -1;
	s->rules.issuer = s->issuer;
	s->rules.typ = get_str(s, cfg, "typ");
	s->rules.skew = get_i64(cfg, "skew") / NS_PER_S;
	s->rules.max_age = get_i64(cfg, "max_age") / NS_PER_S;
	s->cache_size = (uint32_t)get_i64(cfg, "cache_size");
	s->refresh = (uint64_t)get_i64(cfg, "refresh");
	s->min_refresh = (uint64_t)get_i64(cfg, "min_refresh");
	s->max_stale = (uint64_t)get_i64(cfg, "max_stale");
	s->fetch_timeout_ms = (uint32_t)(get_i64(cfg, "fetch_timeout") / (NS_PER_S / 1000));
	if (r == 0 && (provider_key(s) != 0 || token_key(s, cfg) != 0)) {
		H->cfg_error(cfg, "", TXT("libcrypto offers no SHA-256"));
		r = -1;
	}
	return r;
}

void settings_free(struct settings *s)
{
	jwks_free(s->keys);
	pool_free(&s->pool);
	*s = (struct settings){0};
}
