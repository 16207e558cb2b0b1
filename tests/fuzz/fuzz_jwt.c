/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Tokens. The first byte chooses: the bytes as a token, which no key may ever verify; or signed
 * here under HMAC, the bytes as header, LF and claims, or as members of both that are picked from
 * tables. Whatever holds then must hold by a second, naive reading of its claims.
 */
#include "auth_oidc/mint.h"

#include <stdio.h>
#include <stdlib.h>

#define NOW INT64_C(1900000000)
#define SKEW 60

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct merlon_str secret = TXT("0123456789abcdef0123456789abcdef");
static const char set[] =
    "{\"keys\":["
    "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-"
    "4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LO"
    "L-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9"
    "kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\","
    "\"e\":\"AQAB\",\"kid\":\"r\"},"
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\",\"kid\":\"e\"},"
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\","
    "\"kid\":\"o\"}]}";

static const char *const names[] = {
    "iss",  "aud", "exp", "nbf", "iat", "realm", "\\u0065xp", "sub", "alg", "kid", "typ",
    "crit", "b64", "zip", "enc", "cty", "jwk",   "jku",       "x5u", "x5c", "x5t", "realm.roles",
};
static const char *const values[] = {
    "\"i\"",
    "\"a\"",
    "[\"a\"]",
    "[\"x\",\"a\"]",
    "[1,\"a\"]",
    "[]",
    "1900000100",
    "1899999941",
    "1899999940",
    "1900000060",
    "1900000061",
    "1899999640",
    "1899999639",
    "0",
    "-0",
    "-1",
    "1e9",
    "1900000100.0",
    "null",
    "true",
    "{}",
    "9007199254740991",
    "9007199254740992",
    "\"1900000100\"",
    "\"RS256\"",
    "\"HS256\"",
    "\"HS512\"",
    "\"none\"",
    "\"at+jwt\"",
    "\"JWT\"",
    "\"\"",
    "\"\\u0000\"",
    "\"realm.roles\"",
    "{\"roles\":[1]}",
    "9223372036854775807",
    "\"r\"",
};
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void require(bool ok)
{
	if (!ok)
		abort();
}

static bool is(const json_t *v, const char *text)
{
	return json_is_string(v) && strcmp(json_string_value(v), text) == 0;
}

static int64_t time_of(const struct jwt *t, const char *name, int64_t missing)
{
	const json_t *v = json_object_get(t->claims, name);

	require(!v || json_is_integer(v));
	return v ? json_integer_value(v) : missing;
}

static void check_claims(const struct jwt *t)
{
	static const struct merlon_str audience = TXT("a");
	const struct jwt_rules r = {.issuer = TXT("i"),
	                            .audiences = &audience,
	                            .naudiences = 1,
	                            .skew = SKEW,
	                            .max_age = 300};
	const json_t *aud = json_object_get(t->claims, "aud");
	const char *why = NULL;
	int64_t expires = 0;
	enum jwt_holds held = jwt_check(t, &r, NOW, &expires, &why);

	require((held == JWT_HOLDS) == (why == NULL));
	if (held == JWT_REFUSED)
		return;
	require(is(json_object_get(t->claims, "iss"), "i"));
	require(is(aud, "a") || (json_is_array(aud) && json_array_size(aud) > 0));
	require(time_of(t, "nbf", 0) <= NOW + SKEW && time_of(t, "iat", -1) >= 0 &&
	        time_of(t, "iat", -1) <= NOW + SKEW && time_of(t, "exp", -1) >= 0);
	require((held == JWT_HOLDS) ==
	        (time_of(t, "exp", 0) + SKEW > NOW && time_of(t, "iat", 0) + 300 + SKEW >= NOW));
	require(held == JWT_EXPIRED || expires <= time_of(t, "exp", 0));
}

static void check_header(const struct jwt *t)
{
	static const char *const never[] = {"crit", "b64", "zip", "enc",
	                                    "jwk",  "jku", "x5u", "x5c"};

	require(is(json_object_get(t->header, "alg"), jose_alg_names[t->alg]));
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		require(!json_object_get(t->header, never[i]));
	require(t->kid.len <= JWT_KID_MAX && t->signature_len > 0);
}

static void try(const char *token, size_t n, const struct jwks *k, bool may_hold)
{
	char *copy = malloc(n ? n : 1);
	enum jwks_found found;
	enum jwt_parsed r;
	const char *why;
	struct jwt t;

	memcpy(copy, token, n);
	r = jwt_parse((struct merlon_str){copy, n}, &t, &why);
	require((r == JWT_BAD) == (why != NULL));
	if (r == JWT_OK) {
		check_header(&t);
		check_claims(&t);
		found = jwks_verify(k, &t, UINT32_MAX, &why);
		require((found == JWKS_OK) == (why == NULL));
		require((found == JWKS_OK) == (may_hold && t.alg == JOSE_HS256));
		jwt_claim(&t, t.kid);
		jwt_claim(&t, TXT("realm.roles"));
	}
	jwt_free(&t);
	free(copy);
}

static void try_signed(const char *header, const char *claims, const struct jwks *k)
{
	char *token = mint_token(JOSE_HS256, NULL, secret, header, claims);

	try(token, strlen(token), k, true);
	free(token);
}

static void try_text(const uint8_t *data, size_t size, const struct jwks *k)
{
	char *header = mem_new(size + 1, 1), *claims;

	memcpy(header, data, size);
	claims = strchr(header, '\n');
	if (claims)
		*claims++ = '\0';
	try_signed(header, claims ? claims : "{}", k);
	free(header);
}

/* Claims that hold, but for those that were picked. */
static char *put_usual(char *to, const bool *picked)
{
	static const struct {
		unsigned name;
		const char *value;
	} usual[] = {{0, "\"i\""}, {1, "\"a\""}, {2, "1900000100"}, {4, "1899999941"}};

	for (size_t i = 0; i < COUNT(usual); i++) {
		if (!picked[usual[i].name])
			to += sprintf(to, ",\"%s\":%s", names[usual[i].name], usual[i].value);
	}
	return to;
}

/* Two bytes a member, of the header where the first is above 127. */
static void try_members(const uint8_t *data, size_t size, const struct jwks *k)
{
	char *text[2] = {mem_new(size * 48 + 256, 1), mem_new(size * 48 + 256, 1)};
	bool picked[COUNT(names)] = {false};
	char *to[2];

	to[0] = stpcpy(text[0], "{\"x\":1");
	to[1] = stpcpy(text[1], size % 2 ? "{\"x\":1" : "{\"alg\":\"HS256\"");
	for (size_t i = 0; i + 1 < size; i += 2) {
		unsigned which = data[i] > 127;
		picked[data[i] % 128 % COUNT(names)] |= !which;
		to[which] += sprintf(to[which], ",\"%s\":%s", names[data[i] % 128 % COUNT(names)],
		                     values[data[i + 1] % COUNT(values)]);
	}
	strcpy(put_usual(to[0], picked), "}");
	strcpy(to[1], "}");
	try_signed(text[1], text[0], k);
	free(text[0]);
	free(text[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct jwks *public, *hmac;
	const char *why;
	unsigned left_out;

	if (!public) {
		public = jwks_parse(txt_of(set), &left_out, &why);
		hmac = jwks_secret(secret);
		require(public && hmac && jwks_count(public) == 3);
	}
	if (size == 0)
		return 0;
	if (data[0] % 3 == 0)
		try_members(data + 1, size - 1, hmac);
	else if (data[0] % 3 == 1)
		try_text(data + 1, size - 1, hmac);
	else
		try((const char *)data + 1, size - 1, public, false);
	return 0;
}
