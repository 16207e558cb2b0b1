/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Runs of bytes in JSON strings: what the vectors, and their portable twin, answer is what one byte
 * after the other says, wherever a run begins and ends. Built twice.
 */
#include "json/run.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "unit.h"
#include "json/scan.h"

#define ROOM 160

static uint32_t seed = 1;

static unsigned any(unsigned below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % below;
}

static bool plain(char c)
{
	unsigned char byte = (unsigned char)c;

	return byte >= ' ' && byte < 0x80 && byte != '"' && byte != '\\';
}

/* Each text has a block of its own, so that a look behind its end is seen. */
static void plain_runs_end_where_they_should(void)
{
	for (unsigned n = 0; n <= ROOM; n++) {
		char *text = xmalloc(n);

		memset(text, 'a', n);
		CU_ASSERT_PTR_EQUAL(json_plain_end(text, text, text + n), text + n);
		for (unsigned byte = 0; n > 0 && byte < 256; byte++) {
			unsigned at = any(n), from = any(at + 1);
			const char *stop = text + (plain((char)byte) ? n : at);

			text[at] = (char)byte;
			CU_ASSERT_PTR_EQUAL(json_plain_end(text, text + from, text + n), stop);
			CU_ASSERT_PTR_EQUAL(json_plain_end(text + from, text + from, text + n),
			                    stop);
			text[at] = 'a';
		}
		free(text);
	}
}

/* Whether the run from `from` is what the comment of json_utf8_end() promises. */
static bool utf8_run_right(const char *text, unsigned from, unsigned n)
{
	const char *p = text + from, *end = text + n;
	const char *stop = json_utf8_end(text, p, end);

	if (stop < p || stop > end || !str_utf8_valid((struct str){p, (size_t)(stop - p)}))
		return false;
	for (const char *c = p; c < stop; c++)
		if ((unsigned char)*c < 0x80 && !plain(*c))
			return false;
	if (stop == end || (unsigned char)*stop < 0x80)
		return true;
	/* What is not ASCII stops it only where no character begins that is whole and valid. */
	for (size_t k = 2; k <= 4 && k <= (size_t)(end - stop); k++)
		if (str_utf8_valid((struct str){stop, k}))
			return false;
	return true;
}

static void utf8_runs_hold_nothing_else(void)
{
	static const char *const parts[] = {"\xc3\xa9",
	                                    "\xe4\xb8\xad",
	                                    "\xf0\x9f\x98\x80",
	                                    "\xe0\xa4\x95",
	                                    "\xed\x95\x9c",
	                                    "\xf4\x8f\xbf\xbf",
	                                    "a",
	                                    "abcdefghijklmnopqr",
	                                    "\xc2\x80\xc3\xbf",
	                                    "\xef\xbf\xbf",
	                                    "\xd0\x9f\xd1\x80",
	                                    "\xee\x80\x80"};
	char *text = xmalloc(ROOM);

	for (unsigned round = 0; round < 40000; round++) {
		char *copy;
		unsigned n = 0, from;

		while (n < 100 && any(12) > 0) {
			const char *part = parts[any(sizeof(parts) / sizeof(parts[0]))];

			memcpy(text + n, part, strlen(part));
			n += (unsigned)strlen(part);
		}
		for (unsigned k = any(3); n > 0 && k > 0; k--)
			text[any(n)] = (char)any(256);
		copy = xmalloc(n);
		memcpy(copy, text, n);
		for (from = 0; from < n && (unsigned char)copy[from] < 0x80;)
			from++;
		if (from < n)
			CU_ASSERT(utf8_run_right(copy, from, n));
		free(copy);
	}
	free(text);
}

/* Every pair of bytes, in a block between characters that are right. */
static void every_lead_is_told(void)
{
	char text[64];

	for (unsigned pair = 0; pair < 0x10000; pair++) {
		for (unsigned k = 0; k < 32; k++)
			memcpy(text + 2 * k, "\xc3\xa9", 2);
		text[16] = (char)(pair >> 8);
		text[17] = (char)pair;
		if (pair & 1)
			text[18] = (char)0x80;
		if (pair & 2)
			memcpy(text + 18, "\x80\xbf", 2);
		if (!utf8_run_right(text, 0, sizeof(text)))
			CU_FAIL("a run that is not valid, or that stops within what is");
	}
}

static void digits_and_white_space_end(void)
{
	for (unsigned n = 1; n <= 60; n++) {
		char *text = xmalloc(n);

		for (unsigned byte = 0; byte < 256; byte++) {
			unsigned at = any(n);

			memset(text, '0' + (int)any(10), n);
			text[at] = (char)byte;
			CU_ASSERT_PTR_EQUAL(json_digits_end(text, text + n),
			                    text + (byte >= '0' && byte <= '9' ? n : at));
			for (unsigned i = 0; i < n; i++)
				text[i] = any(20) ? ' ' : "\n\r\t"[any(3)];
			text[at] = (char)byte;
			CU_ASSERT_PTR_EQUAL(json_white_end(text, text + n),
			                    text + (byte && strchr(" \n\r\t", (int)byte) ? n : at));
		}
		free(text);
	}
}

static void a_quoted_name_is_found_first(void)
{
	const struct str name = STR("\"usage\"");

	for (unsigned round = 0; round < 20000; round++) {
		unsigned n = any(90);
		char *text = xmalloc(n);
		const char *found;

		for (unsigned i = 0; i < n; i++)
			text[i] = "\"usage"[any(6)];
		for (unsigned k = any(3); n >= name.n && k > 0; k--)
			memcpy(text + any(n - (unsigned)name.n + 1), name.p, name.n);
		found = NULL;
		for (unsigned i = 0; !found && i + name.n <= n; i++)
			found = memcmp(text + i, name.p, name.n) == 0 ? text + i : NULL;
		CU_ASSERT_PTR_EQUAL(json_find((struct str){text, n}, name), found);
		free(text);
	}
}

UNIT_MAIN("json_run", UNIT(plain_runs_end_where_they_should), UNIT(utf8_runs_hold_nothing_else),
          UNIT(every_lead_is_told), UNIT(digits_and_white_space_end),
          UNIT(a_quoted_name_is_found_first))
