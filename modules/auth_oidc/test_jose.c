/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The form of tokens: canonical base64url, and what is refused before a key is looked at.
 */
#include "jose.h"

#include "mint.h"
#include "unit/unit.h"

#include <stdlib.h>

#define HEADER "{\"alg\":\"RS256\"}"

/* ---- base64url ---- */
static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* In a block of just its size, so that a sanitizer sees a byte too many. */
static int64_t decode(const char *z, size_t n, uint8_t *out)
{
	uint8_t *room = malloc(n / 4 * 3 + 2);
	char *in = malloc(n ? n : 1);
	int64_t r;

	memcpy(in, z, n);
	r = jose_base64url((struct merlon_str){in, n}, room);
	if (r > 0)
		memcpy(out, room, (size_t)r);
	free(room);
	free(in);
	return r;
}

static void base64url_is_the_inverse_of_encoding(void)
{
	uint8_t bytes[256], back[300];

	for (size_t n = 0; n <= sizeof(bytes); n++) {
		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)(i * 167 + n * 13);
		char *z = mint_base64url(bytes, n);
		CU_ASSERT_EQUAL(decode(z, strlen(z), back), (int64_t)n);
		CU_ASSERT_EQUAL(memcmp(back, bytes, n), 0);
		free(z);
	}
}

/* Each of the 64 last digits behind one and behind two others: only those with unused bits zero. */
static void base64url_unused_bits_are_zero(void)
{
	uint8_t out[8];
	char z[4] = "AA";

	for (unsigned i = 0; i < 64; i++) {
		z[1] = digits[i];
		CU_ASSERT_EQUAL(decode(z, 2, out), i % 16 == 0 ? 1 : -1);
	}
	z[1] = 'A';
	for (unsigned i = 0; i < 64; i++) {
		z[2] = digits[i];
		CU_ASSERT_EQUAL(decode(z, 3, out), i % 4 == 0 ? 2 : -1);
	}
	z[2] = 'A';
	for (unsigned i = 0; i < 64; i++) {
		z[3] = digits[i];
		CU_ASSERT_EQUAL(decode(z, 4, out), 3);
	}
}

static void base64url_knows_no_other_byte(void)
{
	uint8_t out[8];
	char z[4] = "AAAA";

	for (unsigned at = 0; at < 4; at++) {
		for (unsigned c = 0; c < 256; c++) {
			z[at] = (char)c;
			CU_ASSERT_EQUAL(decode(z, 4, out), c && strchr(digits, (int)c) ? 3 : -1);
		}
		z[at] = 'A';
	}
}

static void base64url_has_no_padding_and_no_odd_length(void)
{
	static const char *const bad[] = {"A",      "AAAAA", "AA==",      "AAA=",     "AAAA=",
	                                  "AAAA==", "A===",  "====",      "=",        "AA=A",
	                                  "AA ",    " AA",   "AA\n",      "AAAA\r\n", "A+AA",
	                                  "A/AA",   "AA.AA", "AAAAAAAAA", "AAAA AAAA"};
	uint8_t out[16];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(decode(bad[i], strlen(bad[i]), out), -1);
}

/* ---- the form ---- */
static enum jwt_parsed parse(const char *token, const char **why)
{
	size_t n = strlen(token);
	char *copy = malloc(n ? n : 1);
	struct jwt t;
	enum jwt_parsed r;

	memcpy(copy, token, n);
	r = jwt_parse((struct merlon_str){copy, n}, &t, why);
	CU_ASSERT_EQUAL(r == JWT_BAD, *why != NULL);
	if (r == JWT_OK) {
		CU_ASSERT_PTR_EQUAL(t.signed_part.ptr, copy);
		CU_ASSERT_EQUAL(copy[t.signed_part.len], '.');
	}
	jwt_free(&t);
	free(copy);
	return r;
}

static void expect(enum jwt_parsed want, const char *token)
{
	const char *why;
	enum jwt_parsed got = parse(token, &why);

	if (got != want)
		printf("    %d, not %d (%s): %.200s\n", got, want, why ? why : "-", token);
	CU_ASSERT_EQUAL(got, want);
}

static void expect_header(enum jwt_parsed want, const char *header)
{
	char *z = mint_parts(header, "{}", "sig", 3);

	expect(want, z);
	free(z);
}

static void headers_are_refused_for_what_they_ask(void)
{
	static const char *const bad[] = {
	    "{}",
	    "{\"alg\":null}",
	    "{\"alg\":1}",
	    "{\"alg\":[\"RS256\"]}",
	    "{\"alg\":\"\"}",
	    "{\"alg\":\"none\"}",
	    "{\"alg\":\"None\"}",
	    "{\"alg\":\"NONE\"}",
	    "{\"alg\":\"nOnE\"}",
	    "{\"alg\":\" none\"}",
	    "{\"alg\":\"n\\u006fne\"}",
	    "{\"alg\":\"rs256\"}",
	    "{\"alg\":\" RS256\"}",
	    "{\"alg\":\"RS256 \"}",
	    "{\"alg\":\"RS256\\u0000\"}",
	    "{\"alg\":\"RS1\"}",
	    "{\"alg\":\"ES256K\"}",
	    "{\"alg\":\"RSA-OAEP\"}",
	    "{\"alg\":\"dir\"}",
	    "{\"alg\":\"RS256\",\"crit\":[]}",
	    "{\"alg\":\"RS256\",\"crit\":[\"exp\"],\"exp\":1}",
	    "{\"alg\":\"RS256\",\"crit\":null}",
	    "{\"alg\":\"RS256\",\"cr\\u0069t\":[\"b64\"]}",
	    "{\"alg\":\"RS256\",\"b64\":false}",
	    "{\"alg\":\"RS256\",\"b64\":true}",
	    "{\"alg\":\"RS256\",\"zip\":\"DEF\"}",
	    "{\"alg\":\"RS256\",\"enc\":\"A128GCM\"}",
	    "{\"alg\":\"RS256\",\"cty\":\"JWT\"}",
	    "{\"alg\":\"RS256\",\"cty\":\"jwt\"}",
	    "{\"alg\":\"RS256\",\"cty\":\"application/JWT\"}",
	    "{\"alg\":\"RS256\",\"cty\":1}",
	    "{\"alg\":\"RS256\",\"jwk\":{}}",
	    "{\"alg\":\"RS256\",\"jku\":\"https://a.example/jwks\"}",
	    "{\"alg\":\"RS256\",\"x5u\":\"https://a.example/x\"}",
	    "{\"alg\":\"RS256\",\"x5c\":[]}",
	    "{\"alg\":\"RS256\",\"kid\":1}",
	    "{\"alg\":\"RS256\",\"kid\":null}",
	    "{\"alg\":\"RS256\",\"kid\":[\"a\"]}",
	    "{\"alg\":\"RS256\",\"kid\":\"a\\u0000b\"}",
	    "{\"alg\":\"RS256\",\"typ\":1}",
	    "{\"alg\":\"RS256\",\"typ\":null}",
	    "{\"alg\":\"RS256\",\"alg\":\"RS256\"}",
	    "{\"alg\":\"RS256\",\"\\u0061lg\":\"none\"}",
	    "{\"alg\":\"RS256\",\"a\":{\"b\":1,\"b\":1}}",
	    "{\"alg\":\"RS256\"}x",
	    "{\"alg\":\"RS256\"}{}",
	    "{\"alg\":\"RS256\"",
	    "{\"alg\":\"RS256\",}",
	    "{'alg':'RS256'}",
	    "{\"alg\":\"RS256\",\"a\":\"\xff\"}",
	    "{\"alg\":\"RS256\",\"a\":NaN}",
	    "{\"alg\":\"RS256\",\"a\":1e999}",
	    "[\"RS256\"]",
	    " \n[",
	    "[{\"alg\":\"RS256\"}]",
	    "\"RS256\"",
	    "null",
	    "1",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_header(JWT_BAD, bad[i]);
}

static void harmless_headers_are_read(void)
{
	static const char *const good[] = {
	    HEADER,
	    " { \"typ\" : \"JWT\" ,\r\n\t\"alg\":\"RS256\" } ",
	    "{\"alg\":\"EdDSA\",\"kid\":\"\"}",
	    "{\"alg\":\"ES512\",\"kid\":\"../../etc/passwd\",\"typ\":\"at+jwt\"}",
	    "{\"alg\":\"HS256\",\"x5t\":\"AA\",\"x5t#S256\":\"AA\"}",
	    "{\"\\u0061lg\":\"PS384\"}",
	    "{\"alg\":\"RS256\",\"cty\":\"text\",\"Crit\":[],\"nonce\":\"n\"}",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		expect_header(JWT_OK, good[i]);
}

static void a_kid_has_a_ceiling(void)
{
	char header[JWT_KID_MAX + 64], kid[JWT_KID_MAX + 2];

	memset(kid, 'k', sizeof(kid));
	kid[JWT_KID_MAX + 1] = '\0';
	snprintf(header, sizeof(header), "{\"alg\":\"RS256\",\"kid\":\"%s\"}", kid);
	expect_header(JWT_BAD, header);
	kid[JWT_KID_MAX] = '\0';
	snprintf(header, sizeof(header), "{\"alg\":\"RS256\",\"kid\":\"%s\"}", kid);
	expect_header(JWT_OK, header);
}

static void claims_are_one_object(void)
{
	static const char *const bad[] = {
	    "[]",
	    "null",
	    "1",
	    "\"a\"",
	    "{",
	    "{}{}",
	    "Payload",
	    "{\"a\":1,\"a\":2}",
	    "{\"a\":{\"b\":[{\"c\":1,\"c\":1}]}}",
	    "{\"\\u0000\":1}",
	    "{\"a\":\"\\u0000\"}",
	    "{\"a\":\"\\ud800\"}",
	    "{\"exp\":Infinity}",
	    "{\"exp\":01}",
	    "{\"exp\":99999999999999999999}",
	    "{\"a\":1,\"\\u0061\":2}",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *z = mint_parts(HEADER, bad[i], "sig", 3);
		expect(JWT_BAD, z);
		free(z);
	}
}

static void nesting_has_a_ceiling(void)
{
	char claims[4 * JOSE_DEPTH_MAX + 32], *to;

	for (unsigned depth = JOSE_DEPTH_MAX - 1; depth <= JOSE_DEPTH_MAX + 1; depth++) {
		to = claims + sprintf(claims, "{\"s\":\"[[[[{{{{\\\"[[\",\"a\":");
		memset(to, '[', depth - 1);
		memset(to + depth - 1, ']', depth - 1);
		strcpy(to + 2 * (depth - 1), "}");
		char *z = mint_parts(HEADER, claims, "sig", 3);
		expect(depth <= JOSE_DEPTH_MAX ? JWT_OK : JWT_BAD, z);
		free(z);
	}
}

/* h is HEADER, c is {} and s a signature, all canonical. */
static void parts_are_three_and_canonical(void)
{
#define H "eyJhbGciOiJSUzI1NiJ9"
	static const struct {
		enum jwt_parsed want;
		const char *token;
	} rows[] = {
	    {JWT_OK, H ".e30.c2ln"},
	    {JWT_BAD, H ".e30."},
	    {JWT_BAD, H "..c2ln"},
	    {JWT_BAD, ".e30.c2ln"},
	    {JWT_BAD, ".."},
	    {JWT_BAD, H ".."},
	    {JWT_BAD, H ".e30"},
	    {JWT_BAD, H "."},
	    {JWT_BAD, H ".e30.c2ln."},
	    {JWT_BAD, H ".e30.c2ln.c2ln"},
	    {JWT_BAD, H ".e30.c2ln.c2ln.c2ln"},
	    {JWT_BAD, H ".e30.c2ln.c2ln.c2ln.c2ln"},
	    {JWT_BAD, "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAA.AAAA.AAAA"},
	    {JWT_BAD, H "=.e30.c2ln"},
	    {JWT_BAD, H ".e30=.c2ln"},
	    {JWT_BAD, H ".e30.c2ln="},
	    {JWT_BAD, H ".e30.c2l="},
	    {JWT_BAD, H ".e30.c2l"},
	    {JWT_BAD, H ".e31.c2ln"},
	    {JWT_BAD, H ".e30.c2"},
	    {JWT_BAD, H ".e30.c"},
	    {JWT_BAD, H ".e30. c2ln"},
	    {JWT_BAD, H ".e30.c2ln\n"},
	    {JWT_BAD, " " H ".e30.c2ln"},
	    {JWT_BAD, H " .e30.c2ln"},
	    {JWT_BAD, H ".e30.c2+n"},
	    {JWT_BAD, H ".e30.c2/n"},
	    {JWT_BAD, "{\"payload\":\"e30\",\"signatures\":[]}"},
	    {JWT_BAD, "{}"},
	    {JWT_BAD, "{"},
	    {JWT_NOT_ONE, ""},
	    {JWT_NOT_ONE, "."},
	    {JWT_NOT_ONE, "a.b"},
	    {JWT_NOT_ONE, "a.b.c"},
	    {JWT_NOT_ONE, "mrl_abcdefgh_0123456789"},
	    {JWT_NOT_ONE, H},
	    {JWT_NOT_ONE, "sk-proj.aaaa.bbbb"},
	    {JWT_NOT_ONE, "AAAA.AAAA.AAAA"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(rows[i].want, rows[i].token);
}

static void no_token_is_none(void)
{
	const char *why;
	struct jwt t;

	CU_ASSERT_EQUAL(jwt_parse((struct merlon_str){NULL, 0}, &t, &why), JWT_NOT_ONE);
	jwt_free(&t);
	CU_ASSERT_EQUAL(jwt_parse((struct merlon_str){"\0.\0.\0", 5}, &t, &why), JWT_NOT_ONE);
	jwt_free(&t);
	CU_ASSERT_EQUAL(jwt_parse((struct merlon_str){H ".e30.c2l\0", sizeof(H) + 8}, &t, &why),
	                JWT_BAD);
	jwt_free(&t);
}

static void a_token_has_a_ceiling(void)
{
	char *z = mem_new(JWT_MAX + 2, 1);

	memset(z, 'A', JWT_MAX + 1);
	memcpy(z, H ".e30.", sizeof(H ".e30.") - 1);
	expect(JWT_BAD, z);
	z[JWT_MAX] = '\0';
	/* 8192 - 25 leaves a signature of 3 modulo 4 */
	expect(JWT_OK, z);
	free(z);
}

static void every_cut_and_every_flip_is_survived(void)
{
	char *z =
	    mint_parts("{\"alg\":\"RS256\",\"kid\":\"a\"}", "{\"iss\":\"x\",\"exp\":1}", "sig", 3);
	const char *why;
	size_t n = strlen(z);

	for (size_t i = 0; i < n; i++) {
		char kept = z[i];
		for (unsigned bit = 0; bit < 8; bit++) {
			z[i] = (char)(kept ^ 1 << bit);
			parse(z, &why);
		}
		z[i] = '\0';
		CU_ASSERT_NOT_EQUAL(parse(z, &why), JWT_OK);
		z[i] = kept;
	}
	free(z);
}

UNIT_MAIN("jose", UNIT(base64url_is_the_inverse_of_encoding), UNIT(base64url_unused_bits_are_zero),
          UNIT(base64url_knows_no_other_byte), UNIT(base64url_has_no_padding_and_no_odd_length),
          UNIT(headers_are_refused_for_what_they_ask), UNIT(harmless_headers_are_read),
          UNIT(a_kid_has_a_ceiling), UNIT(claims_are_one_object), UNIT(nesting_has_a_ceiling),
          UNIT(parts_are_three_and_canonical), UNIT(no_token_is_none), UNIT(a_token_has_a_ceiling),
          UNIT(every_cut_and_every_flip_is_survived))
