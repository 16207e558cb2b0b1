/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Every byte at every position of a request, replaced and inserted. What is accepted must be what
 * the grammar of RFC 9110 and 9112, tightened by our rules, accepts: the oracle below reads whole
 * lines with strspn() and regexec() and shares no code with the parser.
 */
#include "http_feed.h"

#include "unit.h"

#include <ctype.h>
#include <regex.h>
#include <strings.h>

#define ALNUM "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define NAME_BYTES ALNUM "!#$%&'*+-.^`|~"
#define MAX_LINES 16

struct line {
	char *p;
	size_t n;
};

struct oracle {
	struct line lines[MAX_LINES];
	unsigned nlines;
	unsigned hosts;
	unsigned lengths;
	bool http10;
};

/* Cuts at CRLF up to the empty line; false: another CR, LF, or no end. */
static bool cut_lines(struct oracle *o, char *p, size_t n)
{
	size_t begin = 0;

	for (size_t i = 0; i < n && o->nlines < MAX_LINES; i++) {
		if (p[i] == '\n')
			return false;
		if (p[i] != '\r')
			continue;
		if (i + 1 == n || p[i + 1] != '\n')
			return false;
		p[i] = '\0';
		o->lines[o->nlines++] = (struct line){p + begin, i - begin};
		if (i == begin && o->nlines > 1 && !(o->nlines == 2 && o->lines[0].n == 0))
			return true;
		begin = i + 2;
		i++;
	}
	return false;
}

static bool request_line(struct oracle *o, struct line l)
{
	if (strlen(l.p) != l.n)
		return false;
	char *target = strchr(l.p, ' ');
	char *version = target ? strchr(target + 1, ' ') : NULL;
	if (!version)
		return false;
	*target++ = '\0';
	*version++ = '\0';
	size_t n = strlen(l.p);
	if (n == 0 || n > 32 || strspn(l.p, NAME_BYTES "_") != n || *target == '\0')
		return false;
	for (char *c = target; *c; c++) {
		if (!isgraph((unsigned char)*c))
			return false;
	}
	o->http10 = strcmp(version, "HTTP/1.0") == 0;
	return o->http10 || strcmp(version, "HTTP/1.1") == 0;
}

static bool host_value(const char *v)
{
	static regex_t re;
	static bool made;
	regmatch_t m[5];

	if (!made)
		made = regcomp(&re,
		               "^([A-Za-z0-9._~!$&'()*+,;=-]|%[89A-Fa-f][0-9A-Fa-f])+"
		               "(:([0-9]{1,5}))?$",
		               REG_EXTENDED) == 0;
	if (regexec(&re, v, 5, m, 0) != 0)
		return false;
	if (m[3].rm_so < 0)
		return true;
	long port = strtol(v + m[3].rm_so, NULL, 10);
	return port >= 1 && port <= 65535;
}

static bool field_line(struct oracle *o, struct line l)
{
	if (strlen(l.p) != l.n)
		return false;
	char *colon = strchr(l.p, ':');
	if (!colon || colon == l.p || strspn(l.p, NAME_BYTES) != (size_t)(colon - l.p))
		return false;
	*colon = '\0';
	char *v = colon + 1 + strspn(colon + 1, " \t");
	for (size_t n = strlen(v); n > 0 && strchr(" \t", v[n - 1]); n--)
		v[n - 1] = '\0';
	for (char *c = v; *c; c++) {
		if (iscntrl((unsigned char)*c) && *c != '\t')
			return false;
	}
	if (strcasecmp(l.p, "host") == 0)
		return o->hosts++ == 0 && host_value(v);
	if (strcasecmp(l.p, "content-length") == 0)
		return o->lengths++ == 0 && *v && strspn(v, "0123456789") == strlen(v);
	return true;
}

static bool oracle_accepts(struct str s)
{
	struct oracle o = {0};
	char *copy = malloc(s.n + 1);
	bool ok;

	memcpy(copy, s.p, s.n);
	copy[s.n] = '\0';
	ok = cut_lines(&o, copy, s.n);
	unsigned first = ok && o.lines[0].n == 0;
	ok = ok && request_line(&o, o.lines[first]);
	for (unsigned i = first + 1; ok && i + 1 < o.nlines; i++)
		ok = field_line(&o, o.lines[i]);
	free(copy);
	return ok && (o.hosts == 1 || o.http10);
}

static const char request[] =
    "POST /v1/x?y HTTP/1.1\r\nHost: a.example:81\r\nX-One: v1 v2 and more\r\n"
    "Accept:\t*/*  \r\nContent-Length: 3\r\n\r\n";

static unsigned check(struct str s, const char *how, size_t at, int byte)
{
	struct feed f;

	feed_init(&f, false);
	feed_run(&f, s, NULL, 0);
	bool accepted = f.result == HTTP_DONE;
	bool wanted = oracle_accepts(s);
	if (accepted != wanted)
		fprintf(stderr, "0x%02x %s at %zu: accepted=%d, grammar=%d (%s)\n", byte, how, at,
		        accepted, wanted, f.result == HTTP_BAD ? f.reason : "");
	CU_ASSERT_EQUAL(accepted, wanted);
	size_t cut = at;
	CU_ASSERT_TRUE(feed_same(&f, s, &cut, 1));
	feed_deinit(&f);
	return accepted;
}

static void every_byte_in_place_of_every_byte(void)
{
	unsigned accepted = 0;

	for (size_t at = 0; at < sizeof(request) - 1; at++) {
		for (int byte = 0; byte < 256; byte++) {
			char copy[sizeof(request)];

			memcpy(copy, request, sizeof(request));
			copy[at] = (char)byte;
			accepted +=
			    check((struct str){copy, sizeof(request) - 1}, "replaced", at, byte);
		}
	}
	/* Neither all nor nothing, or the comparison would say nothing. */
	CU_ASSERT(accepted > 4000 && accepted < 20000);
}

static void every_byte_before_every_byte(void)
{
	unsigned accepted = 0;

	for (size_t at = 0; at < sizeof(request) - 1; at++) {
		for (int byte = 0; byte < 256; byte++) {
			char copy[sizeof(request) + 1];

			memcpy(copy, request, at);
			copy[at] = (char)byte;
			memcpy(copy + at + 1, request + at, sizeof(request) - at);
			accepted +=
			    check((struct str){copy, sizeof(request)}, "inserted", at, byte);
		}
	}
	CU_ASSERT(accepted > 4000 && accepted < 20000);
}

UNIT_MAIN("http_grammar", UNIT(every_byte_in_place_of_every_byte),
          UNIT(every_byte_before_every_byte))
