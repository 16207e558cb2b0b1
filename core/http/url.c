/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Request targets. The path is checked in one pass and copied only where an escape has to be
 * rewritten, so that route, policy, audit and upstream see one spelling of it.
 */
#include "http/url.h"

#include "http/scan.h"

#include <arpa/inet.h>

enum { URL_E_BAD = 1 };

#define IPV6_TEXT_MAX 45

/* The escaped byte at s.p[i], where a '%' stands; -1: no escape. */
static int escape_at(struct str s, size_t i)
{
	if (s.n - i < 3)
		return -1;
	int high = http_hex(s.p[i + 1]);
	int low = http_hex(s.p[i + 2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool is_upper_hex(char c)
{
	return http_is(c, CHAR_DIGIT) || (c >= 'A' && c <= 'F');
}

/* Escapes that others would decode into structure, now or at a second reading. */
static const char *escape_fault(int byte)
{
	switch (byte) {
	case -1:
		return "malformed escape in target";
	case 0x00:
		return "escaped NUL in path";
	case '%':
		return "escaped percent sign in path";
	case '.':
		return "escaped dot in path";
	case '\\':
		return "escaped backslash in path";
	default:
		return NULL;
	}
}

static const char *segment_fault(struct str path, size_t begin, size_t end, bool last)
{
	size_t n = end - begin;

	if (n == 0 && !last)
		return "empty path segment";
	if (n > 0 && n <= 2 && path.p[begin] == '.' && path.p[end - 1] == '.')
		return "dot segment in path";
	return NULL;
}

/* NULL: well. *rewrite: some escape is not in its canonical form. */
static const char *path_fault(struct str path, bool *rewrite)
{
	const char *fault = NULL;
	size_t segment = 1; /* path.p[0] is '/' */
	size_t i = 1;

	*rewrite = false;
	for (; !fault && (i = scan_class(path.p, i, path.n, CHAR_SEGMENT)) < path.n; i++) {
		char c = path.p[i];

		if (!http_is(c, CHAR_TARGET)) {
			fault = "byte not allowed in target";
		} else if (c == '#') {
			fault = "fragment in target";
		} else if (c == '\\') {
			fault = "backslash in path";
		} else if (c == '/') {
			fault = segment_fault(path, segment, i, false);
			segment = i + 1;
		} else if (c == '%') {
			int byte = escape_at(path, i);

			fault = escape_fault(byte);
			if (fault)
				break;
			if (http_is((char)byte, CHAR_UNRESERVED) || !is_upper_hex(path.p[i + 1]) ||
			    !is_upper_hex(path.p[i + 2]))
				*rewrite = true;
			i += 2;
		}
	}
	return fault ? fault : segment_fault(path, segment, path.n, true);
}

static struct str path_rewrite(struct str path, struct arena *a)
{
	static const char hex[] = "0123456789ABCDEF";
	char *out = arena_alloc(a, path.n);
	size_t n = 0;

	for (size_t i = 0; i < path.n; i++) {
		if (path.p[i] != '%') {
			out[n++] = path.p[i];
			continue;
		}
		int byte = escape_at(path, i);
		if (http_is((char)byte, CHAR_UNRESERVED)) {
			out[n++] = (char)byte;
		} else {
			out[n++] = '%';
			out[n++] = hex[byte >> 4 & 15];
			out[n++] = hex[byte & 15];
		}
		i += 2;
	}
	return (struct str){out, n};
}

/* No rule looks into a query, so escapes in it may stand for structure, but not for the end of a
 * C string. */
static const char *query_fault(struct str query)
{
	size_t i = 0;

	for (; (i = scan_class(query.p, i, query.n, CHAR_SEGMENT)) < query.n; i++) {
		char c = query.p[i];

		if (!http_is(c, CHAR_TARGET))
			return "byte not allowed in target";
		if (c == '#')
			return "fragment in target";
		if (c == '\\')
			return "backslash in target";
		int byte = c == '%' ? escape_at(query, i) : c;
		if (byte < 0)
			return "malformed escape in target";
		if (byte == 0)
			return "escaped NUL in target";
	}
	return NULL;
}

static bool starts_folded(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_ieq((struct str){s.p, prefix.n}, prefix);
}

/* Takes scheme and authority of an absolute-form target off *rest. */
static const char *take_authority(struct str *rest, struct url *out)
{
	size_t skip = starts_folded(*rest, STR("http://"))    ? 7
	              : starts_folded(*rest, STR("https://")) ? 8
	                                                      : 0;

	if (skip == 0)
		return "target is neither origin-form nor absolute-form";
	rest->p += skip;
	rest->n -= skip;
	size_t n = 0;
	while (n < rest->n && rest->p[n] != '/' && rest->p[n] != '?' && rest->p[n] != '#')
		n++;
	out->authority = (struct str){rest->p, n};
	rest->p += n;
	rest->n -= n;
	return url_host_valid(out->authority) ? NULL : "authority of target is not valid";
}

static int refuse(const char **why, const char *fault)
{
	*why = fault;
	return URL_E_BAD;
}

int url_parse(struct str target, bool options, struct arena *a, struct url *out, const char **why)
{
	struct str rest = target;
	const char *fault = NULL;
	bool rewrite;

	*out = (struct url){0};
	*why = NULL;
	if (options && str_eq(target, STR("*"))) {
		out->path = target;
		return 0;
	}
	if (rest.n == 0 || rest.p[0] != '/')
		fault = take_authority(&rest, out);
	if (fault)
		return refuse(why, fault);
	out->path = str_split(&rest, '?');
	out->query = rest;
	if (out->path.n == 0)
		out->path = STR("/");
	if (out->path.p[0] != '/')
		return refuse(why, "fragment in target");
	fault = path_fault(out->path, &rewrite);
	if (!fault)
		fault = query_fault(out->query);
	if (fault)
		return refuse(why, fault);
	if (rewrite)
		out->path = path_rewrite(out->path, a);
	return 0;
}

bool url_has_encoded_slash(struct str path)
{
	struct str rest = path;
	ptrdiff_t at;

	while ((at = str_find(rest, '%')) >= 0) {
		if (escape_at(rest, (size_t)at) == '/')
			return true;
		rest.p += at + 1;
		rest.n -= (size_t)at + 1;
	}
	return false;
}

static bool port_valid(struct str port, uint16_t *value)
{
	uint64_t n;

	if (port.n > 5 || !str_u64(port, &n) || n < 1 || n > UINT16_MAX)
		return false;
	*value = (uint16_t)n;
	return true;
}

static bool ipv6_valid(struct str s)
{
	char text[IPV6_TEXT_MAX + 1];
	struct in6_addr address;

	if (s.n == 0 || s.n > IPV6_TEXT_MAX || memchr(s.p, '\0', s.n))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return inet_pton(AF_INET6, text, &address) == 1;
}

/* An escape in a name may only stand for what cannot be taken for a delimiter. */
static bool reg_name_valid(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (http_is(s.p[i], CHAR_HOST))
			continue;
		int byte = s.p[i] == '%' ? escape_at(s, i) : -1;
		if (byte < 0x80 && (byte < 0 || !http_is((char)byte, CHAR_UNRESERVED)))
			return false;
		i += 2;
	}
	return s.n > 0;
}

/* A host that is no plain name: an address in brackets, escapes. */
static bool cut_odd_host(struct str s, struct str *host)
{
	ptrdiff_t at = str_find(s, s.n && s.p[0] == '[' ? ']' : ':');

	*host = s;
	if (s.n && s.p[0] == '[') {
		if (at < 0 || !ipv6_valid((struct str){s.p + 1, (size_t)at - 1}))
			return false;
		host->n = (size_t)at + 1;
		return true;
	}
	if (at >= 0)
		host->n = (size_t)at;
	return reg_name_valid(*host);
}

/* Cuts host[:port]; *port keeps its value where there is none. IPv6 keeps its brackets. */
static bool split_host(struct str s, struct str *host, uint16_t *port)
{
	size_t n = scan_class(s.p, 0, s.n, CHAR_HOST);

	*host = (struct str){s.p, n};
	if (n > 0 && n == s.n)
		return true;
	if ((n == 0 || s.p[n] != ':') && !cut_odd_host(s, host))
		return false;
	if (host->n == s.n)
		return true;
	return s.p[host->n] == ':' &&
	       port_valid((struct str){s.p + host->n + 1, s.n - host->n - 1}, port);
}

bool url_host_valid(struct str host)
{
	struct str name;
	uint16_t port;

	return split_host(host, &name, &port);
}

struct str url_host_name(struct str host, struct arena *a)
{
	bool bracket = host.n && host.p[0] == '[';
	ptrdiff_t end = str_find(host, bracket ? ']' : ':');
	struct str name = {host.p, end < 0 ? host.n : (size_t)end + bracket};
	char *out = arena_alloc(a, name.n + 1);
	size_t i = 0;
	for (; name.n - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
		uint64_t w = word_lower(word_load(name.p + i));

		memcpy(out + i, &w, sizeof(w));
	}
	for (; i < name.n; i++)
		out[i] = http_lower(name.p[i]);
	out[name.n] = '\0';
	return (struct str){out, name.n};
}

int url_decode(struct str s, struct arena *a, struct str *out)
{
	char *to = arena_alloc(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		int byte = (uint8_t)s.p[i];

		if (byte == '%') {
			byte = escape_at(s, i);
			i += 2;
		}
		if (byte < 0x20 || byte == 0x7f)
			return -1;
		to[n++] = (char)byte;
	}
	to[n] = '\0';
	*out = (struct str){to, n};
	return 0;
}

bool url_hostport(struct str s, struct str *host, uint16_t *port)
{
	if (str_starts(s, STR("unix:/"))) {
		*host = (struct str){s.p + 5, s.n - 5};
		*port = 0;
		return host->n > 1 && !memchr(host->p, '\0', host->n);
	}
	uint16_t given = 0;
	if (!split_host(s, host, &given) || given == 0)
		return false;
	if (host->p[0] == '[')
		*host = (struct str){host->p + 1, host->n - 2};
	*port = given;
	return true;
}

/* ---- origins ---- */
static const char *origin_path_fault(struct str path)
{
	bool rewrite;

	if (path.n == 0)
		return NULL;
	if (memchr(path.p, '?', path.n))
		return "must not hold a query";
	if (memchr(path.p, '#', path.n))
		return "must not hold a fragment";
	return path_fault(path, &rewrite) || rewrite ? "has a path that is not canonical" : NULL;
}

static const char *origin_authority_fault(struct str authority, struct str *host, uint16_t *port)
{
	if (memchr(authority.p, '@', authority.n))
		return "must not hold a user or password";
	if (authority.n == 0 || !split_host(authority, host, port) || str_find(*host, '%') >= 0)
		return "has no valid host";
	return NULL;
}

int url_origin(struct str url, struct arena *a, struct url_origin *out, const char **why)
{
	struct url u = {0};
	struct str rest = url;
	struct str host = STR_NONE;
	const char *fault = NULL;
	uint16_t port;

	*out = (struct url_origin){0};
	*why = NULL;
	if (!starts_folded(url, STR("http://")) && !starts_folded(url, STR("https://")))
		return refuse(why, "must begin with https:// (or http://)");
	/* It says what is wrong with an authority in the words of a request. */
	(void)take_authority(&rest, &u);
	out->https = starts_folded(url, STR("https://"));
	port = out->https ? 443 : 80;
	fault = origin_authority_fault(u.authority, &host, &port);
	if (!fault)
		fault = origin_path_fault(rest);
	if (fault)
		return refuse(why, fault);
	out->host = url_host_name(u.authority, a);
	out->server = arena_printf(a, "%.*s:%u", STR_FMT(out->host), port);
	out->authority = port == (out->https ? 443 : 80) ? out->host : out->server;
	out->text =
	    arena_printf(a, "%s://%.*s", out->https ? "https" : "http", STR_FMT(out->authority));
	out->path = rest;
	return 0;
}

bool url_host_is_loopback(struct str host)
{
	char text[IPV6_TEXT_MAX + 1];
	struct in_addr v4;

	if (str_ieq(host, STR("localhost")) || str_eq(host, STR("[::1]")))
		return true;
	if (host.n > IPV6_TEXT_MAX)
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	return inet_pton(AF_INET, text, &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127;
}
