/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Names the core knows: methods, fields, and the prefixes under which identity travels.
 */
#include "http/chars.h"
#include "http/headers.h"
#include "http/parse.h"

struct known {
	const char *name; /* lower case */
	enum http_field_id id;
};

/* One list a length, each ended by NULL: a name is compared with very few others. */
static const struct known len2[] = {{"te", HTTP_F_TE}, {0}};
static const struct known len4[] = {{"host", HTTP_F_HOST}, {"date", HTTP_F_DATE}, {0}};
static const struct known len6[] = {
    {"cookie", HTTP_F_COOKIE}, {"expect", HTTP_F_EXPECT}, {"server", HTTP_F_SERVER}, {0}};
static const struct known len7[] = {
    {"api-key", HTTP_F_API_KEY}, {"upgrade", HTTP_F_UPGRADE}, {"trailer", HTTP_F_TRAILER}, {0}};
static const struct known len9[] = {{"x-api-key", HTTP_F_X_API_KEY},
                                    {"forwarded", HTTP_F_FORWARDED},
                                    {"x-real-ip", HTTP_F_X_FORWARDED},
                                    {0}};
static const struct known len10[] = {{"connection", HTTP_F_CONNECTION},
                                     {"keep-alive", HTTP_F_KEEP_ALIVE},
                                     {"tracestate", HTTP_F_TRACESTATE},
                                     {0}};
static const struct known len11[] = {{"traceparent", HTTP_F_TRACEPARENT}, {0}};
static const struct known len12[] = {
    {"content-type", HTTP_F_CONTENT_TYPE}, {"x-request-id", HTTP_F_X_REQUEST_ID}, {0}};
static const struct known len13[] = {{"authorization", HTTP_F_AUTHORIZATION}, {0}};
static const struct known len14[] = {{"content-length", HTTP_F_CONTENT_LENGTH},
                                     {"http2-settings", HTTP_F_UPGRADE}, /* a part of it */
                                     {0}};
static const struct known len15[] = {{"accept-encoding", HTTP_F_ACCEPT_ENCODING}, {0}};
static const struct known len16[] = {{"content-encoding", HTTP_F_CONTENT_ENCODING},
                                     {"proxy-connection", HTTP_F_PROXY_CONNECTION},
                                     {0}};
static const struct known len17[] = {{"transfer-encoding", HTTP_F_TRANSFER_ENCODING}, {0}};
static const struct known len18[] = {{"proxy-authenticate", HTTP_F_PROXY_AUTHENTICATE}, {0}};
static const struct known len19[] = {{"proxy-authorization", HTTP_F_PROXY_AUTHORIZATION}, {0}};

static const struct known *const by_length[] = {
    [2] = len2,   [4] = len4,   [6] = len6,   [7] = len7,   [9] = len9,
    [10] = len10, [11] = len11, [12] = len12, [13] = len13, [14] = len14,
    [15] = len15, [16] = len16, [17] = len17, [18] = len18, [19] = len19,
};

static char fold(char c)
{
	return c == '_' ? '-' : http_lower(c);
}

static bool folded_starts(struct str name, const char *lower)
{
	size_t i = 0;

	for (; lower[i]; i++) {
		if (i == name.n || fold(name.p[i]) != lower[i])
			return false;
	}
	return true;
}

static bool folded_is(struct str name, const char *lower)
{
	return name.n == strlen(lower) && folded_starts(name, lower);
}

bool http_name_reserved(struct str name)
{
	static const char *const prefixes[] = {"x-merlon-", "x-remote-", "x-auth-request-"};
	static const char *const names[] = {"remote-user", "x-forwarded-user", "x-forwarded-email",
	                                    "x-forwarded-groups", "x-forwarded-client-cert"};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (folded_starts(name, prefixes[i]))
			return true;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (folded_is(name, names[i]))
			return true;
	}
	return false;
}

/* By these some upstreams take another method or path than the one that was authorised. */
static bool overrides_request(struct str name)
{
	static const char *const names[] = {"x-http-method",     "x-http-method-override",
	                                    "x-method-override", "x-original-url",
	                                    "x-original-uri",    "x-rewrite-url"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (folded_is(name, names[i]))
			return true;
	}
	return false;
}

static enum http_field_id id_by_prefix(struct str name)
{
	char first = http_lower(name.p[0]);

	if (first != 'x' && first != 'r')
		return HTTP_F_OTHER;
	if (http_name_reserved(name) || overrides_request(name))
		return HTTP_F_RESERVED;
	/* As upstreams written for CGI would read it: '_' is '-'. */
	if (folded_starts(name, "x-forwarded-") || folded_is(name, "x-real-ip"))
		return HTTP_F_X_FORWARDED;
	if (folded_starts(name, "x-ratelimit-"))
		return HTTP_F_X_RATELIMIT;
	return HTTP_F_OTHER;
}

static bool same(const char *name, const char *lower, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (http_lower(name[i]) != lower[i])
			return false;
	}
	return true;
}

enum http_field_id http_field_id_of(struct str name)
{
	if (name.n == 0)
		return HTTP_F_OTHER;
	if (name.n < sizeof(by_length) / sizeof(by_length[0]) && by_length[name.n]) {
		for (const struct known *k = by_length[name.n]; k->name; k++) {
			if (same(name.p, k->name, name.n))
				return k->id;
		}
	}
	return id_by_prefix(name);
}

enum http_method http_method_of(struct str token)
{
	static const struct {
		const char *name;
		enum http_method method;
	} methods[] = {
	    {"POST", HTTP_POST},       {"GET", HTTP_GET},         {"HEAD", HTTP_HEAD},
	    {"PUT", HTTP_PUT},         {"DELETE", HTTP_DELETE},   {"PATCH", HTTP_PATCH},
	    {"OPTIONS", HTTP_OPTIONS}, {"CONNECT", HTTP_CONNECT}, {"TRACE", HTTP_TRACE},
	};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (str_eq(token, str_of(methods[i].name)))
			return methods[i].method;
	}
	return HTTP_OTHER;
}
