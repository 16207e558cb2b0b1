/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A request put to an api, for the tests of what apis make of requests: the answers stand in
 * `call`, `allow` and `why`, and live in `arena`, until the next one.
 */
#ifndef UNIT_API_ASK_H
#define UNIT_API_ASK_H

#include "unit.h"

#include "api/api.h"
#include "http/parse.h"

static struct arena arena;
static struct http_head head;
static struct url url;
static struct api_call call;
static const char *allow;
static const char *why;

/* fields: whole lines; the text stays until the next call. */
static int ask(const struct conf_route *route, const char *method, const char *target,
               const char *fields)
{
	static char text[4096];
	static struct http_parser p;
	int n;

	arena_deinit(&arena);
	arena_init(&arena, NULL);
	n = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: a\r\n%s\r\n", method, target,
	             fields);
	http_parser_init(&p, false, sizeof(text));
	if (http_parse(&p, text, (size_t)n, &arena, &head) != HTTP_DONE)
		return -1;
	if (url_parse(head.target, false, &arena, &url, &why))
		return -2;
	return api_resolve(route, &head, &url, &arena, &call, &allow, &why);
}

static bool is(struct str s, const char *text)
{
	if (!text)
		return s.p == NULL;
	return s.p && str_eq(s, str_of(text));
}

#endif
