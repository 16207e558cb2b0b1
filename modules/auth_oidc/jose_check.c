/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The verification as a program, for tests that compare it with another implementation: each line
 * of standard input is a JSON object
 *
 *     {"token": TEXT, "keys": TEXT of a JWK set, or "secret": TEXT, "algs": [NAME...],
 *      "iss": TEXT, "aud": [TEXT...], "now": SECONDS, "skew": SECONDS, "max_age": SECONDS,
 *      "typ": TEXT}
 *
 * and each answer a line: OK, EXPIRED, or REFUSED, with the reason behind the last two. A token's
 * characters above U+007F stand for themselves in UTF-8.
 */
#include "jose.h"

#include <stdio.h>
#include <stdlib.h>

#define AUDIENCES_MAX 8

struct question {
	struct merlon_str token;
	struct jwks *keys;
	uint32_t algs;
	struct merlon_str audiences[AUDIENCES_MAX];
	struct jwt_rules rules;
	int64_t now;
};

static struct merlon_str text_of(const json_t *v)
{
	return (struct merlon_str){json_string_value(v), json_string_length(v)};
}

static struct jwks *keys_of(const json_t *line, const char **why)
{
	struct merlon_str set = text_of(json_object_get(line, "keys"));
	unsigned left_out;

	if (set.ptr)
		return jwks_parse(set, &left_out, why);
	*why = "the secret is too short";
	return jwks_secret(text_of(json_object_get(line, "secret")));
}

static void read_algs(const json_t *names, uint32_t *algs)
{
	for (size_t i = 0; i < json_array_size(names); i++) {
		for (unsigned alg = 0; alg < JOSE_ALGS; alg++) {
			if (txt_eq(text_of(json_array_get(names, i)), txt_of(jose_alg_names[alg])))
				*algs |= JOSE_BIT(alg);
		}
	}
}

static void read_question(const json_t *line, struct question *q)
{
	const json_t *aud = json_object_get(line, "aud");

	*q = (struct question){.token = text_of(json_object_get(line, "token"))};
	read_algs(json_object_get(line, "algs"), &q->algs);
	for (size_t i = 0; i < json_array_size(aud) && i < AUDIENCES_MAX; i++)
		q->audiences[q->rules.naudiences++] = text_of(json_array_get(aud, i));
	q->rules.audiences = q->audiences;
	q->rules.issuer = text_of(json_object_get(line, "iss"));
	q->rules.typ = text_of(json_object_get(line, "typ"));
	q->rules.skew = json_integer_value(json_object_get(line, "skew"));
	q->rules.max_age = json_integer_value(json_object_get(line, "max_age"));
	q->now = json_integer_value(json_object_get(line, "now"));
}

static const char *decide(const struct question *q, const char **why)
{
	enum jwt_holds held = JWT_REFUSED;
	int64_t expires;
	struct jwt t;

	*why = "not a token";
	switch (jwt_parse(q->token, &t, why)) {
	case JWT_OK:
		if (jwks_verify(q->keys, &t, q->algs, why) == JWKS_OK)
			held = jwt_check(&t, &q->rules, q->now, &expires, why);
		break;
	case JWT_NOT_ONE:
		*why = "not a token";
		break;
	case JWT_BAD:
		break;
	}
	jwt_free(&t);
	return held == JWT_HOLDS ? "OK" : held == JWT_EXPIRED ? "EXPIRED" : "REFUSED";
}

int main(void)
{
	struct question q;
	char *buf = NULL;
	size_t room = 0;
	ssize_t n;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((n = getline(&buf, &room, stdin)) > 0) {
		json_t *line = json_loadb(buf, (size_t)n, JSON_ALLOW_NUL, NULL);
		const char *why = NULL, *answer = "REFUSED";
		if (!json_is_string(json_object_get(line, "token"))) {
			fprintf(stderr, "jose_check: a line is no question\n");
			return 1;
		}
		read_question(line, &q);
		q.keys = keys_of(line, &why);
		if (q.keys)
			answer = decide(&q, &why);
		printf("%s%s%s\n", answer, why ? " " : "", why ? why : "");
		jwks_free(q.keys);
		json_decref(line);
	}
	free(buf);
	return 0;
}
