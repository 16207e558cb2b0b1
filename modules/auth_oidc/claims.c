/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What a verified token says. Times are JSON integers below 2^53, which every implementation reads
 * alike; sums of them and of the bounds below stay far from the ends of int64_t.
 */
#include "jose.h"

#include <strings.h>

#define TIME_END (INT64_C(1) << 53)
#define SPAN_MAX (INT64_C(1) << 40) /* of skew and max_age */

struct times {
	int64_t exp, nbf, iat; /* -1: not there */
};

static bool text_is(const json_t *v, struct merlon_str s)
{
	return json_is_string(v) &&
	       txt_eq((struct merlon_str){json_string_value(v), json_string_length(v)}, s);
}

static bool read_time(const json_t *claims, const char *name, int64_t *out)
{
	const json_t *v = json_object_get(claims, name);

	*out = v ? json_integer_value(v) : -1;
	return !v || (json_is_integer(v) && *out >= 0 && *out < TIME_END);
}

static bool one_of(const json_t *v, const struct jwt_rules *r)
{
	for (uint32_t i = 0; i < r->naudiences; i++) {
		if (text_is(v, r->audiences[i]))
			return true;
	}
	return false;
}

static const char *check_audience(const json_t *aud, const struct jwt_rules *r)
{
	bool found = false;

	if (!aud)
		return "the token has no audience";
	if (json_is_string(aud)) {
		found = one_of(aud, r);
	} else if (json_is_array(aud)) {
		for (size_t i = 0; i < json_array_size(aud); i++) {
			if (!json_is_string(json_array_get(aud, i)))
				return "the token's audience is not text";
			found |= one_of(json_array_get(aud, i), r);
		}
	} else {
		return "the token's audience is not text";
	}
	return found ? NULL : "the token is for another audience";
}

static struct merlon_str media_type(struct merlon_str s)
{
	static const char prefix[] = "application/";
	const size_t n = sizeof(prefix) - 1;

	if (s.len > n && strncasecmp(s.ptr, prefix, n) == 0 && !memchr(s.ptr + n, '/', s.len - n))
		return (struct merlon_str){s.ptr + n, s.len - n};
	return s;
}

static bool same_type(struct merlon_str a, struct merlon_str b)
{
	a = media_type(a);
	b = media_type(b);
	return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

static const char *check_names(const struct jwt *t, const struct jwt_rules *r)
{
	if (r->typ.len > 0 && !(t->typ.ptr && same_type(t->typ, r->typ)))
		return "the token is of another type";
	if (!json_object_get(t->claims, "iss"))
		return "the token has no issuer";
	if (!jwt_is_from(t, r->issuer))
		return "the token is from another issuer";
	return check_audience(json_object_get(t->claims, "aud"), r);
}

static int64_t within(int64_t v, int64_t low, int64_t high)
{
	return v < low ? low : v > high ? high : v;
}

static const char *check_times(const struct jwt *t, const struct jwt_rules *r, int64_t now,
                               struct times *out)
{
	int64_t skew = within(r->skew, 0, SPAN_MAX);

	if (!read_time(t->claims, "exp", &out->exp) || !read_time(t->claims, "nbf", &out->nbf) ||
	    !read_time(t->claims, "iat", &out->iat))
		return "a time of the token is not an integer";
	if (out->exp < 0)
		return "the token has no exp";
	if (out->iat < 0 && r->max_age > 0)
		return "the token has no iat";
	if (now < out->nbf - skew)
		return "the token is not valid yet";
	if (out->iat > now + skew)
		return "the token was issued in the future";
	return NULL;
}

enum jwt_holds jwt_check(const struct jwt *t, const struct jwt_rules *r, int64_t now,
                         int64_t *expires, const char **why)
{
	int64_t skew = within(r->skew, 0, SPAN_MAX), max_age = within(r->max_age, 0, SPAN_MAX);
	struct times at;
	int64_t end;

	now = within(now, -TIME_END, TIME_END);
	*why = check_names(t, r);
	if (!*why)
		*why = check_times(t, r, now, &at);
	if (*why)
		return JWT_REFUSED;
	if (now >= at.exp + skew) {
		*why = "the token has expired";
		return JWT_EXPIRED;
	}
	end = at.exp;
	if (max_age > 0 && now > at.iat + max_age + skew) {
		*why = "the token is too old";
		return JWT_EXPIRED;
	}
	if (max_age > 0 && at.iat + max_age < end)
		end = at.iat + max_age;
	*expires = end;
	return JWT_HOLDS;
}

bool jwt_is_from(const struct jwt *t, struct merlon_str issuer)
{
	return text_is(json_object_get(t->claims, "iss"), issuer);
}

/* The longest beginning of the path that names a member, so that https://example.org/roles is not
 * taken apart; what is cut off there is looked for within it. */
const json_t *jwt_claim(const struct jwt *t, struct merlon_str path)
{
	const json_t *at = t->claims;
	char name[JWT_PATH_MAX + 1];

	if (path.len == 0 || path.len > JWT_PATH_MAX || memchr(path.ptr, '\0', path.len))
		return NULL;
	for (;;) {
		const json_t *v;
		size_t n = path.len;
		memcpy(name, path.ptr, n);
		name[n] = '\0';
		v = json_object_get(at, name);
		if (v)
			return v;
		do {
			char *dot = strrchr(name, '.');
			if (!dot)
				return NULL;
			*dot = '\0';
			n = (size_t)(dot - name);
			v = json_object_get(at, name);
		} while (!json_is_object(v));
		at = v;
		path = (struct merlon_str){path.ptr + n + 1, path.len - n - 1};
	}
}
