/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What the claims of a token must say, and how one of them is found.
 */
#include "jose.h"

#include "mint.h"
#include "unit/unit.h"

#include <stdlib.h>

#define NOW INT64_C(1900000000)
#define HEADER "{\"alg\":\"RS256\"}"
#define GOOD "\"iss\":\"https://i.example\",\"aud\":\"api\""
#define EXP "\"exp\":1900000100"

static const struct merlon_str audiences[] = {TXT("other"), TXT("api")};
static const struct jwt_rules rules = {
    .issuer = TXT("https://i.example"), .audiences = audiences, .naudiences = 2, .skew = 60};

static enum jwt_holds check(const char *header, const char *claims, const struct jwt_rules *r,
                            int64_t now, int64_t *expires)
{
	char *z = mint_parts(header, claims, "sig", 3);
	const char *why = "unset";
	enum jwt_holds got = JWT_REFUSED;
	struct jwt t;

	CU_ASSERT_EQUAL_FATAL(jwt_parse(txt_of(z), &t, &why), JWT_OK);
	got = jwt_check(&t, r, now, expires, &why);
	CU_ASSERT_EQUAL(why == NULL, got == JWT_HOLDS);
	jwt_free(&t);
	free(z);
	return got;
}

struct claims_row {
	enum jwt_holds want;
	const char *claims;
};

static void check_rows(const struct claims_row *rows, size_t n, const struct jwt_rules *r)
{
	int64_t expires;

	for (size_t i = 0; i < n; i++) {
		enum jwt_holds got = check(HEADER, rows[i].claims, r, NOW, &expires);
		if (got != rows[i].want)
			printf("    %d, not %d: %s\n", got, rows[i].want, rows[i].claims);
		CU_ASSERT_EQUAL(got, rows[i].want);
	}
}

static void issuer_and_audience_are_exact(void)
{
	static const struct claims_row rows[] = {
	    {JWT_HOLDS, "{" GOOD "," EXP "}"},
	    {JWT_REFUSED, "{}"},
	    {JWT_REFUSED, "{\"aud\":\"api\"," EXP "}"},
	    {JWT_REFUSED, "{\"iss\":\"https://i.example/\",\"aud\":\"api\"," EXP "}"},
	    {JWT_REFUSED, "{\"iss\":\"https://I.example\",\"aud\":\"api\"," EXP "}"},
	    {JWT_REFUSED, "{\"iss\":\"\",\"aud\":\"api\"," EXP "}"},
	    {JWT_REFUSED, "{\"iss\":null,\"aud\":\"api\"," EXP "}"},
	    {JWT_REFUSED, "{\"iss\":[\"https://i.example\"],\"aud\":\"api\"," EXP "}"},
	    {JWT_HOLDS, "{\"iss\":\"https:\\/\\/i.example\",\"aud\":\"api\"," EXP "}"},
	    {JWT_REFUSED, "{\"iss\":\"https://i.example\"," EXP "}"},
	    {JWT_HOLDS, "{\"iss\":\"https://i.example\",\"aud\":[\"api\"]," EXP "}"},
	    {JWT_HOLDS, "{\"iss\":\"https://i.example\",\"aud\":[\"x\",\"other\"]," EXP "}"},
	    {JWT_REFUSED, "{\"iss\":\"https://i.example\",\"aud\":[]," EXP "}"},
	    {JWT_REFUSED, "{\"iss\":\"https://i.example\",\"aud\":[\"x\"]," EXP "}"},
	    {JWT_REFUSED, "{\"iss\":\"https://i.example\",\"aud\":[\"api\",1]," EXP "}"},
	    {JWT_REFUSED, "{\"iss\":\"https://i.example\",\"aud\":[1,\"api\"]," EXP "}"},
	    {JWT_REFUSED, "{\"iss\":\"https://i.example\",\"aud\":[[\"api\"]]," EXP "}"},
	    {JWT_REFUSED, "{\"iss\":\"https://i.example\",\"aud\":{\"api\":1}," EXP "}"},
	    {JWT_REFUSED, "{\"iss\":\"https://i.example\",\"aud\":null," EXP "}"},
	    {JWT_REFUSED, "{\"iss\":\"https://i.example\",\"aud\":true," EXP "}"},
	    {JWT_REFUSED, "{\"iss\":\"https://i.example\",\"aud\":\"\"," EXP "}"},
	    {JWT_REFUSED, "{\"iss\":\"https://i.example\",\"aud\":\"ap\"," EXP "}"},
	    {JWT_REFUSED, "{\"iss\":\"https://i.example\",\"aud\":\"api2\"," EXP "}"},
	    {JWT_REFUSED, "{\"iss\":\"https://i.example\",\"aud\":\"API\"," EXP "}"},
	    {JWT_REFUSED, "{\"iss\":\"https://i.example\",\"aud\":\"api other\"," EXP "}"},
	};

	check_rows(rows, sizeof(rows) / sizeof(rows[0]), &rules);
}

static void times_are_integers_and_hold(void)
{
	static const struct claims_row rows[] = {
	    {JWT_REFUSED, "{" GOOD "}"},
	    {JWT_REFUSED, "{" GOOD ",\"exp\":null}"},
	    {JWT_REFUSED, "{" GOOD ",\"exp\":\"1900000100\"}"},
	    {JWT_REFUSED, "{" GOOD ",\"exp\":1900000100.0}"},
	    {JWT_REFUSED, "{" GOOD ",\"exp\":1900000100.5}"},
	    {JWT_REFUSED, "{" GOOD ",\"exp\":19e8}"},
	    {JWT_REFUSED, "{" GOOD ",\"exp\":1e300}"},
	    {JWT_REFUSED, "{" GOOD ",\"exp\":true}"},
	    {JWT_REFUSED, "{" GOOD ",\"exp\":[1900000100]}"},
	    {JWT_REFUSED, "{" GOOD ",\"exp\":-1}"},
	    {JWT_REFUSED, "{" GOOD ",\"exp\":-9223372036854775808}"},
	    {JWT_REFUSED, "{" GOOD ",\"exp\":9223372036854775807}"},
	    {JWT_REFUSED, "{" GOOD ",\"exp\":9007199254740992}"},
	    {JWT_HOLDS, "{" GOOD ",\"exp\":9007199254740991}"},
	    {JWT_EXPIRED, "{" GOOD ",\"exp\":0}"},
	    {JWT_EXPIRED, "{" GOOD ",\"exp\":1899999940}"},
	    {JWT_HOLDS, "{" GOOD ",\"exp\":1899999941}"},
	    {JWT_HOLDS, "{" GOOD "," EXP ",\"nbf\":1900000060}"},
	    {JWT_REFUSED, "{" GOOD "," EXP ",\"nbf\":1900000061}"},
	    {JWT_REFUSED, "{" GOOD "," EXP ",\"nbf\":\"0\"}"},
	    {JWT_REFUSED, "{" GOOD "," EXP ",\"nbf\":1.0}"},
	    {JWT_REFUSED, "{" GOOD "," EXP ",\"nbf\":null}"},
	    {JWT_HOLDS, "{" GOOD "," EXP ",\"nbf\":0,\"iat\":0}"},
	    {JWT_HOLDS, "{" GOOD "," EXP ",\"iat\":1900000060}"},
	    {JWT_REFUSED, "{" GOOD "," EXP ",\"iat\":1900000061}"},
	    {JWT_REFUSED, "{" GOOD "," EXP ",\"iat\":-1}"},
	    {JWT_REFUSED, "{" GOOD "," EXP ",\"iat\":{}}"},
	    {JWT_REFUSED, "{" GOOD ",\"exp\":1,\"nbf\":1900000061}"},
	    {JWT_REFUSED, "{" GOOD ",\"exp\":1,\"iat\":1e3}"},
	    {JWT_REFUSED, "{\"iss\":\"https://i.example\",\"aud\":\"x\",\"exp\":1}"},
	    {JWT_REFUSED, "{\"iss\":\"x\",\"aud\":\"api\",\"exp\":1}"},
	};

	check_rows(rows, sizeof(rows) / sizeof(rows[0]), &rules);
}

static void age_is_counted_from_iat(void)
{
	static const struct claims_row rows[] = {
	    {JWT_REFUSED, "{" GOOD "," EXP "}"},
	    {JWT_HOLDS, "{" GOOD "," EXP ",\"iat\":1900000000}"},
	    {JWT_HOLDS, "{" GOOD "," EXP ",\"iat\":1899999640}"},
	    {JWT_EXPIRED, "{" GOOD "," EXP ",\"iat\":1899999639}"},
	    {JWT_EXPIRED, "{" GOOD "," EXP ",\"iat\":0}"},
	};
	struct jwt_rules r = rules;
	int64_t expires = 0;

	r.max_age = 300;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]), &r);
	CU_ASSERT_EQUAL(check(HEADER, rows[2].claims, &r, NOW, &expires), JWT_HOLDS);
	CU_ASSERT_EQUAL(expires, INT64_C(1899999940));
	CU_ASSERT_EQUAL(check(HEADER, rows[1].claims, &r, NOW, &expires), JWT_HOLDS);
	CU_ASSERT_EQUAL(expires, INT64_C(1900000100));
	CU_ASSERT_EQUAL(check(HEADER, rows[1].claims, &rules, NOW, &expires), JWT_HOLDS);
	CU_ASSERT_EQUAL(expires, INT64_C(1900000100));
}

static void no_time_overflows(void)
{
	static const int64_t wild[] = {INT64_MIN, -1, 0, 1, INT64_C(1) << 53, INT64_MAX};
	struct jwt_rules r = rules;
	int64_t expires;

	for (unsigned i = 0; i < 216; i++) {
		r.skew = wild[i % 6];
		r.max_age = wild[i / 6 % 6];
		check(HEADER, "{" GOOD ",\"exp\":9007199254740991,\"iat\":1,\"nbf\":0}", &r,
		      wild[i / 36], &expires);
	}
	CU_ASSERT_EQUAL(check(HEADER, "{" GOOD "," EXP "}", &rules, INT64_MAX, &expires),
	                JWT_EXPIRED);
	CU_ASSERT_EQUAL(check(HEADER, "{" GOOD "," EXP ",\"nbf\":0}", &rules, INT64_MIN, &expires),
	                JWT_REFUSED);
}

static void no_audience_configured_means_none_fits(void)
{
	struct jwt_rules r = rules;
	int64_t expires;

	r.naudiences = 0;
	CU_ASSERT_EQUAL(check(HEADER, "{" GOOD "," EXP "}", &r, NOW, &expires), JWT_REFUSED);
}

static void typ_is_a_media_type(void)
{
	static const struct {
		enum jwt_holds want;
		const char *rule, *header;
	} rows[] = {
	    {JWT_HOLDS, "", "{\"alg\":\"RS256\",\"typ\":\"anything\"}"},
	    {JWT_HOLDS, "at+jwt", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\"}"},
	    {JWT_HOLDS, "at+jwt", "{\"alg\":\"RS256\",\"typ\":\"AT+JWT\"}"},
	    {JWT_HOLDS, "at+jwt", "{\"alg\":\"RS256\",\"typ\":\"Application/at+jwt\"}"},
	    {JWT_HOLDS, "application/at+jwt", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\"}"},
	    {JWT_REFUSED, "at+jwt", HEADER},
	    {JWT_REFUSED, "at+jwt", "{\"alg\":\"RS256\",\"typ\":\"\"}"},
	    {JWT_REFUSED, "at+jwt", "{\"alg\":\"RS256\",\"typ\":\"JWT\"}"},
	    {JWT_REFUSED, "at+jwt", "{\"alg\":\"RS256\",\"typ\":\"at+jwt2\"}"},
	    {JWT_REFUSED, "at+jwt", "{\"alg\":\"RS256\",\"typ\":\"text/at+jwt\"}"},
	    {JWT_REFUSED, "at+jwt", "{\"alg\":\"RS256\",\"typ\":\"application/\"}"},
	    {JWT_REFUSED, "b/c", "{\"alg\":\"RS256\",\"typ\":\"application/b/c\"}"},
	};
	struct jwt_rules r = rules;
	int64_t expires;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		r.typ = txt_of(rows[i].rule);
		CU_ASSERT_EQUAL(check(rows[i].header, "{" GOOD "," EXP "}", &r, NOW, &expires),
		                rows[i].want);
	}
}

static void claims_are_found_by_path(void)
{
	static const struct {
		const char *path, *value; /* NULL: not there */
	} rows[] = {
	    {"sub", "s"},
	    {"realm_access.role", "r"},
	    {"a.b.c.d", "deep"},
	    {"https://x.example/org", "dotted"},
	    {"https://x.example/o.team", "t"},
	    {"a.b.x", "whole"},
	    {"e.", "empty name"},
	    {"", NULL},
	    {".", NULL},
	    {"sub.x", NULL},
	    {"list.0", NULL},
	    {"realm_access", NULL},
	    {"realm_access.", NULL},
	    {".realm_access", NULL},
	    {"nothing", NULL},
	    {"a.b.c.d.e", NULL},
	    {"SUB", NULL},
	};
	char *z =
	    mint_parts(HEADER,
	               "{\"sub\":\"s\",\"realm_access\":{\"role\":\"r\"},\"list\":[\"l\"],"
	               "\"a\":{\"b\":{\"c\":{\"d\":\"deep\"},\"x\":\"taken apart\"}},"
	               "\"a.b.x\":\"whole\",\"https://x.example/org\":\"dotted\","
	               "\"https://x.example/o\":{\"team\":\"t\"},\"e\":{\"\":\"empty name\"}}",
	               "sig", 3);
	char far[JWT_PATH_MAX + 2];
	const char *why;
	struct jwt t;

	CU_ASSERT_EQUAL_FATAL(jwt_parse(txt_of(z), &t, &why), JWT_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *got = json_string_value(jwt_claim(&t, txt_of(rows[i].path)));
		CU_ASSERT_EQUAL(got == NULL, rows[i].value == NULL);
		if (got && rows[i].value)
			CU_ASSERT_STRING_EQUAL(got, rows[i].value);
	}
	CU_ASSERT_TRUE(json_is_object(jwt_claim(&t, TXT("realm_access"))));
	CU_ASSERT_PTR_NULL(jwt_claim(&t, (struct merlon_str){"sub\0x", 5}));
	CU_ASSERT_PTR_NULL(jwt_claim(&t, (struct merlon_str){NULL, 0}));
	memset(far, '.', sizeof(far));
	CU_ASSERT_PTR_NULL(jwt_claim(&t, (struct merlon_str){far, sizeof(far)}));
	CU_ASSERT_PTR_NULL(jwt_claim(&t, (struct merlon_str){far, JWT_PATH_MAX}));
	CU_ASSERT_FALSE(jwt_is_from(&t, TXT("")));
	jwt_free(&t);
	free(z);
}

UNIT_MAIN("jose_claims", UNIT(issuer_and_audience_are_exact), UNIT(times_are_integers_and_hold),
          UNIT(age_is_counted_from_iat), UNIT(no_time_overflows),
          UNIT(no_audience_configured_means_none_fits), UNIT(typ_is_a_media_type),
          UNIT(claims_are_found_by_path))
