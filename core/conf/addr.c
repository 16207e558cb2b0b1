/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Textual checks of addresses and names. They own nothing and keep nothing.
 */
#include "conf/addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <sys/un.h>

/* inet_pton() wants a NUL, and nothing that long is an address. */
static bool is_ip(int family, struct str s)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t out[16];
	if (s.n == 0 || s.n >= sizeof(text))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return inet_pton(family, text, out) == 1;
}

static const char *check_port(struct str s)
{
	uint64_t port;
	if (s.n == 0)
		return "needs a port";
	if (s.n > 5 || !str_u64(s, &port) || port < 1 || port > 65535)
		return "has a port that is not in 1..65535";
	return NULL;
}

/* Names as DNS allows them, with '_' since service names in container networks use it. */
static bool is_hostname(struct str s)
{
	size_t label = 0;
	if (s.n == 0 || s.n > 253)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == '.') {
			if (label == 0)
				return false;
			label = 0;
			continue;
		}
		if (!isalnum((unsigned char)c) && c != '_' && !(c == '-' && label > 0))
			return false;
		if (++label > 63)
			return false;
	}
	return true;
}

/* 10.0.0.256 is no name: what ends in a number is an address or a mistake. */
static bool looks_numeric(struct str s)
{
	size_t i = s.n;
	while (i > 0 && s.p[i - 1] != '.')
		i--;
	uint64_t v;
	return str_u64((struct str){s.p + i, s.n - i}, &v);
}

static const char *check_unix(struct str s)
{
	struct sockaddr_un un;
	if (s.n == 0)
		return "needs a path behind unix:";
	if (s.n >= sizeof(un.sun_path))
		return "is too long for a socket's path";
	return NULL;
}

static const char *check_v6(struct str s)
{
	ptrdiff_t close = str_find(s, ']');
	if (close < 0 || !is_ip(AF_INET6, (struct str){s.p + 1, (size_t)close - 1}))
		return "is not an IPv6 address in brackets";
	struct str rest = {s.p + close + 1, s.n - (size_t)close - 1};
	if (rest.n == 0 || rest.p[0] != ':')
		return "needs a port";
	return check_port((struct str){rest.p + 1, rest.n - 1});
}

static const char *split_port(struct str s, struct str *host)
{
	if (str_starts(s, STR("http://")) || str_starts(s, STR("https://")))
		return "is written without http:// or https://";
	ptrdiff_t colon = str_find(s, ':');
	if (colon < 0)
		return "needs a port";
	*host = (struct str){s.p, (size_t)colon};
	struct str port = {s.p + colon + 1, s.n - (size_t)colon - 1};
	if (str_find(port, ':') >= 0)
		return "is not an address (IPv6 addresses stand in brackets)";
	return check_port(port);
}

const char *addr_check_listen(struct str s)
{
	struct str host;
	if (str_starts(s, STR("unix:")))
		return check_unix((struct str){s.p + 5, s.n - 5});
	if (s.n > 0 && s.p[0] == '[')
		return check_v6(s);
	const char *why = split_port(s, &host);
	if (why)
		return why;
	if (!str_eq(host, STR("*")) && !is_ip(AF_INET, host))
		return "is not an address to listen on (127.0.0.1:8080, [::1]:8080, *:8080 or "
		       "unix:PATH)";
	return NULL;
}

const char *addr_check_server(struct str s)
{
	struct str host;
	if (str_starts(s, STR("unix:")))
		return check_unix((struct str){s.p + 5, s.n - 5});
	if (s.n > 0 && s.p[0] == '[')
		return check_v6(s);
	const char *why = split_port(s, &host);
	if (why)
		return why;
	if (is_ip(AF_INET, host) || (is_hostname(host) && !looks_numeric(host)))
		return NULL;
	return "is not a server (host:port, [address]:port or unix:PATH)";
}

const char *addr_check_prefix(struct str s)
{
	uint64_t bits = 0;
	struct str addr = s;
	ptrdiff_t slash = str_find(s, '/');
	if (str_eq(s, STR("unix")))
		return NULL;
	if (slash >= 0) {
		struct str len = {s.p + slash + 1, s.n - (size_t)slash - 1};
		addr.n = (size_t)slash;
		if (len.n > 3 || !str_u64(len, &bits))
			return "has a prefix length that is not a number";
	}
	if (is_ip(AF_INET, addr))
		return bits > 32 ? "has a prefix length over 32" : NULL;
	if (is_ip(AF_INET6, addr))
		return bits > 128 ? "has a prefix length over 128" : NULL;
	return "is not an address or a prefix such as 10.0.0.0/8";
}

const char *addr_check_host(struct str s)
{
	if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
		return is_ip(AF_INET6, (struct str){s.p + 1, s.n - 2})
		           ? NULL
		           : "is not an IPv6 address in brackets";
	if (str_find(s, ':') >= 0)
		return "is written without a port";
	if (str_starts(s, STR("*.")))
		s = (struct str){s.p + 2, s.n - 2};
	if (str_find(s, '*') >= 0)
		return "may have \"*\" only as \"*.\" at the beginning";
	return is_hostname(s) ? NULL : "is not a host name";
}

static const char *check_segments(struct str rest)
{
	while (rest.p && rest.n > 0) {
		struct str part = str_split(&rest, '/');
		if (part.n == 0)
			return "must not hold \"//\"";
		if (str_eq(part, STR(".")) || str_eq(part, STR("..")))
			return "must not hold \".\" or \"..\" as a segment";
	}
	return NULL;
}

const char *addr_check_path(struct str s)
{
	if (s.n == 0 || s.p[0] != '/')
		return "must begin with \"/\"";
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c < 0x21 || c > 0x7e || c == '\\')
			return "holds a byte that cannot stand in a path";
		if (c == '%' || c == '?' || c == '#')
			return "must not hold \"%\", \"?\" or \"#\"";
	}
	return check_segments((struct str){s.p + 1, s.n - 1});
}

bool addr_is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (!isalnum(c) && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return s.n > 0;
}
