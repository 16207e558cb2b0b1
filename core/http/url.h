/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Request targets (RFC 3986, design §6): one canonical path, refused rather than repaired. Route,
 * policy, audit and upstream use the same bytes.
 */
#ifndef HTTP_URL_H
#define HTTP_URL_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

struct url {
	struct str path;      /* canonical: unreserved escapes decoded, hex digits upper case */
	struct str query;     /* without '?'; as received; p NULL: there is none */
	struct str authority; /* of an absolute-form target ("http://host/path"), else p NULL */
};
/* 0, or a positive value: *why (static phrase) says which rule. origin-form and absolute-form
 * (http, https); authority-form and '*' are refused, '*' except where options is set. The path is
 * the target's own bytes where nothing had to change, else in the arena. */
int url_parse(struct str target, bool options, struct arena *a, struct url *out,
              const char **why) MUST_CHECK;
/* uri-host [":" port] of Host or an authority; ports 1..65535. */
bool url_host_valid(struct str host);
/* A valid host (or none, "") without the port, lower case, in the arena; brackets of IPv6 kept. */
struct str url_host_name(struct str host, struct arena *a);
/* Decodes %XX of one path segment (for the model's name). -1: an invalid escape or NUL or control
 * byte. */
int url_decode(struct str s, struct arena *a, struct str *out) MUST_CHECK;
/* Whether a canonical path holds %2F. Only the {id} of /v1/models/{id} may; elsewhere it is
 * refused. */
bool url_has_encoded_slash(struct str path);
/* "host:port", "[v6]:port", "unix:/path". False: another form. An IPv6 host is given without its
 * brackets; of "unix:/path" the host is "/path" and the port 0. */
bool url_hostport(struct str s, struct str *host, uint16_t *port);

/* An absolute URL of a service, as an operator writes it: http or https, a host, no user, no query,
 * no fragment. */
struct url_origin {
	bool https;
	struct str text;      /* "https://host[:port]": lower case, without the scheme's own port */
	struct str authority; /* text behind "://" */
	struct str host;      /* of IPv6 with brackets */
	struct str server;    /* "host:port" */
	struct str path;      /* what follows the origin; may be empty */
};
/* 0, or a positive value and *why (static phrase). */
int url_origin(struct str url, struct arena *a, struct url_origin *out,
               const char **why) MUST_CHECK;
/* Whether the host of an origin is this machine whatever a name server says. */
bool url_host_is_loopback(struct str host);

#endif
