/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The scanners against the table of classes, byte for byte. This file is built twice, with the
 * machine's vectors and without. Every text ends where its memory ends: ASan sees who looks
 * further.
 */
#include "http/scan.h"

#include "http/head.h"
#include "http/headers.h"
#include "unit.h"

#define LENGTHS 70

static uint64_t seed = 20261122;

static size_t by_table(const char *d, size_t at, size_t n, unsigned class)
{
	while (at < n && http_is(d[at], class))
		at++;
	return at;
}

static void compare(const char *d, size_t at, size_t n)
{
	CU_ASSERT_EQUAL(scan_name(d, at, n, CHAR_NAME), by_table(d, at, n, CHAR_NAME));
	CU_ASSERT_EQUAL(scan_name(d, at, n, CHAR_TOKEN), by_table(d, at, n, CHAR_TOKEN));
	CU_ASSERT_EQUAL(scan_value(d, at, n), by_table(d, at, n, CHAR_VALUE));
	CU_ASSERT_EQUAL(scan_target(d, at, n), by_table(d, at, n, CHAR_TARGET));
}

/* Each byte at each place of a text of letters, and looked for from two places. */
static void every_byte_at_every_place(void)
{
	for (size_t n = 0; n < LENGTHS; n++) {
		char *d = malloc(n + (n == 0));

		memset(d, 'a', n);
		compare(d, 0, n);
		for (size_t at = 0; at < n; at++) {
			for (unsigned c = 0; c < 256; c++) {
				d[at] = (char)c;
				compare(d, 0, n);
				compare(d, at / 2, n);
			}
			d[at] = 'a';
		}
		free(d);
	}
}

static void any_text(void)
{
	for (unsigned round = 0; round < 20000; round++) {
		size_t n = unit_random(&seed) % LENGTHS;
		char *d = malloc(n + (n == 0));

		for (size_t i = 0; i < n; i++) {
			uint64_t r = unit_random(&seed);
			/* Bytes of which some runs are allowed, and any. */
			d[i] = "aZ-0~\t_. \r:\x7f"[r % 12];
			if (r >> 32 & 1)
				d[i] = (char)(r >> 40);
		}
		compare(d, n ? unit_random(&seed) % n : 0, n);
		free(d);
	}
}

static void capitals_alone_become_small(void)
{
	for (unsigned c = 0; c < 256; c++) {
		char in[8];
		char out[8];

		for (unsigned i = 0; i < sizeof(in); i++)
			in[i] = (char)(c + i * 37);
		uint64_t w = word_lower(word_load(in));
		memcpy(out, &w, sizeof(out));
		for (unsigned i = 0; i < sizeof(in); i++)
			CU_ASSERT_EQUAL(out[i], http_lower(in[i]));
	}
}

/* Whether the id does not depend on how many bytes are there behind the name. */
static void check_name(struct str name, enum http_field_id expected)
{
	for (size_t more = 1; more < 40; more++) {
		size_t n = name.n + more;
		enum http_field_id id = HTTP_F_COUNT;
		char *d = malloc(n);

		memset(d, 'x', n);
		if (name.n)
			memcpy(d, name.p, name.n);
		d[name.n] = ':';
		CU_ASSERT_EQUAL(http_name_end(d, 0, n, CHAR_NAME, &id), name.n);
		if (name.n)
			CU_ASSERT_EQUAL(id, expected);
		free(d);
	}
}

static void names_are_known_whatever_follows(void)
{
	static const char *const names[] = {
	    "",
	    "a",
	    "te",
	    "host",
	    "Date",
	    "expect",
	    "api-key",
	    "Forwarded",
	    "keep-alive",
	    "Traceparent",
	    "x-real-ip",
	    "User-Agent",
	    "X-Api-Key",
	    "X-Merlon-A",
	    "authorization",
	    "CONTENT-LENGTH",
	    "accept-encoding",
	    "content-encoding",
	    "Transfer-Encoding",
	    "proxy-authenticate",
	    "proxy-authorization",
	    "x-http-method-override",
	    "x-forwarded-client-cert",
	    "content-lengths",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		check_name(str_of(names[i]), http_field_id_of(str_of(names[i])));
}

/* A control is not the byte that it would become with the bit of small letters set. */
static void controls_are_no_letters(void)
{
	static const char *const names[] = {"content\rtype", "content-lengt\x48",
	                                    "http\x12-settings", "api\rkey", "\x48ost"};
	static const enum http_field_id ids[] = {HTTP_F_OTHER, HTTP_F_CONTENT_LENGTH, HTTP_F_OTHER,
	                                         HTTP_F_OTHER, HTTP_F_HOST};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char d[64];
		size_t n = strlen(names[i]);
		enum http_field_id id;

		CU_ASSERT_EQUAL(http_field_id_of(str_of(names[i])), ids[i]);
		memset(d, 'x', sizeof(d));
		memcpy(d, names[i], n);
		d[n] = ':';
		size_t end = http_name_end(d, 0, sizeof(d), CHAR_NAME, &id);
		CU_ASSERT_EQUAL(end, ids[i] == HTTP_F_OTHER ? 0 : n);
	}
}

UNIT_MAIN("scan", UNIT(every_byte_at_every_place), UNIT(any_text),
          UNIT(capitals_alone_become_small), UNIT(names_are_known_whatever_follows),
          UNIT(controls_are_no_letters))
