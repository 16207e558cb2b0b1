/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Key sets: whatever comes of one, no key in it verifies a signature that was made up. With an odd
 * first byte the others pick members of keys from tables.
 */
#include "auth_oidc/mint.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define X256 "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define Y256 "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define X25519 "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define N2048                                                                                      \
	"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt" \
	"0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSX" \
	"ndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5" \
	"IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"

static const char *const names[] = {"kty", "crv", "x",       "y",   "n", "e",
                                    "alg", "use", "key_ops", "kid", "d"};
static const char *const values[] = {
    "\"RSA\"",       "\"EC\"",
    "\"OKP\"",       "\"oct\"",
    "\"P-256\"",     "\"P-384\"",
    "\"P-521\"",     "\"Ed25519\"",
    "\"Ed448\"",     "\"secp256k1\"",
    "\"" N2048 "\"", "\"" N2048 N2048 "\"",
    "\"AQAB\"",      "\"Aw\"",
    "\"Ag\"",        "\"" X256 "\"",
    "\"" Y256 "\"",  "\"" X25519 "\"",
    "\"RS256\"",     "\"ES256\"",
    "\"EdDSA\"",     "\"HS256\"",
    "\"sig\"",       "\"enc\"",
    "[\"verify\"]",  "[\"sign\",\"verify\"]",
    "[1]",           "[]",
    "null",          "1",
    "\"k\"",         "\"\"",
};
/* What a key starts as. */
static const char *const starts[] = {
    "{\"a\":1",
    "{\"kty\":\"RSA\",\"n\":\"" N2048 "\",\"e\":\"AQAB\"",
    "{\"kty\":\"RSA\",\"e\":\"AQAB\"",
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X256 "\",\"y\":\"" Y256 "\"",
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X256 "\"",
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X25519 "\"",
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\"",
};
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* As long as each algorithm wants it, and nothing that anybody signed. */
static void try_all(const struct jwks *k)
{
	static const size_t lens[JOSE_ALGS] = {256, 256, 256, 256, 256, 256, 64,
	                                       96,  132, 64,  32,  48,  64};
	uint8_t signature[256];
	const char *why;

	for (size_t i = 0; i < sizeof(signature); i++)
		signature[i] = (uint8_t)(i * 37 + 11);
	for (unsigned alg = 0; alg < JOSE_ALGS; alg++) {
		struct jwt t = {.alg = (enum jose_alg)alg,
		                .signed_part = TXT("e30.e30"),
		                .signature = signature,
		                .signature_len = lens[alg]};
		require(jwks_verify(k, &t, UINT32_MAX, &why) != JWKS_OK && why);
		t.kid = TXT("k");
		require(jwks_verify(k, &t, UINT32_MAX, &why) != JWKS_OK && why);
	}
}

/* Two bytes a member, or the start of a key where the first is above 127. */
static char *build(const uint8_t *data, size_t size)
{
	char *text = mem_new(size * 800 + 128, 1), *to = stpcpy(text, "{\"keys\":[{\"a\":1");

	for (size_t i = 0; i + 1 < size; i += 2) {
		if (data[i] > 127)
			to += sprintf(to, "},%s", starts[data[i + 1] % COUNT(starts)]);
		else
			to += sprintf(to, ",\"%s\":%s", names[data[i] % COUNT(names)],
			              values[data[i + 1] % COUNT(values)]);
	}
	strcpy(to, "}]}");
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned left_out = 0;
	const char *why = NULL;
	struct jwks *k;
	char *text;
	size_t n;

	if (size == 0)
		return 0;
	if (data[0] & 1) {
		text = build(data + 1, size - 1);
		n = strlen(text);
	} else {
		n = size - 1;
		text = malloc(n ? n : 1);
		memcpy(text, data + 1, n);
	}
	k = jwks_parse((struct merlon_str){text, n}, &left_out, &why);
	require((k == NULL) == (why != NULL));
	if (k) {
		require(jwks_count(k) + left_out <= JWKS_KEYS_MAX);
		try_all(k);
	}
	jwks_free(k);
	free(text);
	return 0;
}
