/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Parsers on loan. A parser is large and needed only while a head comes in, which is mostly one
 * read: one for each thread stays warm, and neither requests nor connections hold one for as long
 * as they live. Owned by the thread; a parser that is out belongs to who took it.
 */
#ifndef HTTP_PARSERS_H
#define HTTP_PARSERS_H

#include <stdlib.h>

#include "http/parse.h"

struct http_parsers {
	struct http_parser *spare;
};

/* To be brought into its first state by http_parser_init(). */
static inline struct http_parser *http_parser_take(struct http_parsers *ps)
{
	struct http_parser *p = ps->spare;

	ps->spare = NULL;
	return p ? p : xmalloc(sizeof(*p));
}
/* NULL is fine; returns NULL. */
static inline struct http_parser *http_parser_give(struct http_parsers *ps, struct http_parser *p)
{
	if (ps->spare)
		free(p);
	else
		ps->spare = p;
	return NULL;
}
static inline void http_parsers_deinit(struct http_parsers *ps)
{
	free(ps->spare);
	ps->spare = NULL;
}

#endif
