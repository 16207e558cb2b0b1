/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What a provider answers, taken for a stranger's text: OpenID Connect Discovery §4, and as much of
 * URLs and of Cache-Control as that needs.
 */
#include "provider.h"

#include <stdlib.h>
#include <strings.h>

#define WELL_KNOWN "/.well-known/openid-configuration"
#define DOCUMENT_MAX (64 * 1024)
#define TARGET_MAX 2048

/* ---- URLs ---- */
struct origin {
	bool https;
	struct merlon_str host;
	struct merlon_str port; /* without leading zeros; the scheme's own: empty */
	struct merlon_str rest;
};

static bool take(struct merlon_str *s, const char *prefix)
{
	size_t n = strlen(prefix);

	if (s->len < n || strncasecmp(s->ptr, prefix, n) != 0)
		return false;
	s->ptr += n;
	s->len -= n;
	return true;
}

static uint64_t span(struct merlon_str s, const char *stops)
{
	uint64_t n = 0;

	while (n < s.len && s.ptr[n] != '\0' && !strchr(stops, s.ptr[n]))
		n++;
	return n;
}

static bool all_digits(struct merlon_str s)
{
	for (uint64_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
	}
	return s.len > 0 && s.ptr[0] != '0';
}

static bool origin_of(struct merlon_str url, struct origin *out)
{
	struct merlon_str s = url;
	struct merlon_str authority;
	uint64_t n;

	out->https = take(&s, "https://");
	if (!out->https && !take(&s, "http://"))
		return false;
	n = span(s, "/?#");
	authority = (struct merlon_str){s.ptr, n};
	out->rest = (struct merlon_str){s.ptr + n, s.len - n};
	if (memchr(authority.ptr, '@', authority.len) || memchr(authority.ptr, '\\', authority.len))
		return false;
	n = authority.len > 0 && authority.ptr[0] == '[' ? span(authority, "]") : 0;
	n += span((struct merlon_str){authority.ptr + n, authority.len - n}, ":");
	out->host = (struct merlon_str){authority.ptr, n};
	out->port = (struct merlon_str){"", 0};
	if (n == authority.len)
		return n > 0;
	out->port = (struct merlon_str){authority.ptr + n + 1, authority.len - n - 1};
	if (n == 0 || !all_digits(out->port))
		return false;
	if (txt_eq(out->port, out->https ? TXT("443") : TXT("80")))
		out->port = (struct merlon_str){"", 0};
	return true;
}

struct merlon_str url_target(struct merlon_str url)
{
	struct origin o;

	if (!origin_of(url, &o))
		return (struct merlon_str){"", 0};
	return o.rest.len > 0 ? o.rest : TXT("/");
}

struct merlon_str url_authority(struct merlon_str url)
{
	struct origin o;
	uint64_t scheme;

	if (!origin_of(url, &o))
		return (struct merlon_str){"", 0};
	scheme = o.https ? 8 : 7;
	return (struct merlon_str){url.ptr + scheme, (uint64_t)(o.rest.ptr - url.ptr) - scheme};
}

bool url_same_origin(struct merlon_str a, struct merlon_str b)
{
	struct origin x, y;

	return origin_of(a, &x) && origin_of(b, &y) && x.https == y.https &&
	       txt_eq(x.port, y.port) && x.host.len == y.host.len &&
	       strncasecmp(x.host.ptr, y.host.ptr, x.host.len) == 0;
}

struct merlon_str discovery_target(struct mem_pool *pool, struct merlon_str issuer)
{
	struct merlon_str path = url_target(issuer);
	char *p;

	while (path.len > 0 && path.ptr[path.len - 1] == '/')
		path.len--;
	p = pool_new(pool, path.len + sizeof(WELL_KNOWN), 1);
	if (path.len > 0)
		memcpy(p, path.ptr, path.len);
	memcpy(p + path.len, WELL_KNOWN, sizeof(WELL_KNOWN));
	return (struct merlon_str){p, path.len + sizeof(WELL_KNOWN) - 1};
}

/* ---- the document ---- */
static const char *check_target(struct merlon_str target)
{
	if (target.len == 0 || target.ptr[0] != '/')
		return "its jwks_uri has no path";
	if (target.len > TARGET_MAX)
		return "its jwks_uri is too long";
	for (uint64_t i = 0; i < target.len; i++) {
		if (target.ptr[i] <= ' ' || target.ptr[i] >= 0x7f || target.ptr[i] == '#')
			return "its jwks_uri is no URL";
	}
	return NULL;
}

static char *target_of(const json_t *doc, struct merlon_str issuer, const char **why)
{
	const json_t *iss = json_object_get(doc, "issuer");
	const json_t *uri = json_object_get(doc, "jwks_uri");
	struct merlon_str url, target;

	*why = NULL;
	if (!json_is_string(iss) ||
	    !txt_eq((struct merlon_str){json_string_value(iss), json_string_length(iss)}, issuer))
		*why = "its discovery document is another issuer's";
	else if (!json_is_string(uri))
		*why = "its discovery document has no jwks_uri";
	if (*why)
		return NULL;
	url = (struct merlon_str){json_string_value(uri), json_string_length(uri)};
	if (!url_same_origin(url, issuer)) {
		*why = "its keys are at another origin than the issuer; if that is right, set "
		       "jwks_uri";
		return NULL;
	}
	target = url_target(url);
	*why = check_target(target);
	return *why ? NULL : (char *)(uintptr_t)mem_copy(target).ptr;
}

char *discovery_read(struct merlon_str body, struct merlon_str issuer, const char **why)
{
	json_t *doc;
	char *target;

	if (body.len > DOCUMENT_MAX) {
		*why = "its discovery document is too large";
		return NULL;
	}
	doc = jose_json(body, why);
	if (!json_is_object(doc)) {
		json_decref(doc);
		*why = "its discovery document is not a JSON object";
		return NULL;
	}
	target = target_of(doc, issuer, why);
	json_decref(doc);
	return target;
}

/* ---- Cache-Control ---- */
static int64_t directive_age(struct merlon_str d)
{
	int64_t n = 0;

	if (!take(&d, "max-age=") || d.len == 0 || d.len > 10)
		return -1;
	for (uint64_t i = 0; i < d.len; i++) {
		if (d.ptr[i] < '0' || d.ptr[i] > '9')
			return -1;
		n = n * 10 + (d.ptr[i] - '0');
	}
	return n;
}

int64_t cache_max_age(const struct merlon_http_response *res)
{
	for (uint32_t i = 0; i < res->nheaders; i++) {
		struct merlon_str rest = res->headers[i].value;

		if (res->headers[i].name.len != 13 ||
		    strncasecmp(res->headers[i].name.ptr, "cache-control", 13) != 0)
			continue;
		while (rest.len > 0) {
			uint64_t n = span(rest, ",");
			int64_t age = directive_age(txt_trim((struct merlon_str){rest.ptr, n}));

			if (age >= 0)
				return age;
			n += n < rest.len;
			rest = (struct merlon_str){rest.ptr + n, rest.len - n};
		}
	}
	return -1;
}
