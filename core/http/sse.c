/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The event stream splitter. A line may end in CR, LF or CRLF, and a CR must not wait for the byte
 * behind it: an event is handed on as soon as its empty line is known. Lines that are whole in the
 * bytes fed are taken as they lie there, and an event that is one such line is handed on from
 * there; what the bytes break off is kept in the splitter.
 */
#include "http/sse.h"

#include "http/scan.h"

enum state {
	STATE_BOM, /* the stream's first bytes */
	STATE_BOM2,
	STATE_BOM3,
	STATE_LINE, /* the first byte of a line; +1..+3: "d", "da", "dat" were read */
	STATE_D,
	STATE_DA,
	STATE_DAT,
	STATE_DATA,  /* "data" was read: ':' or the line's end makes it the field */
	STATE_SPACE, /* behind the colon: one space is no part of the value */
	STATE_VALUE,
	STATE_SKIP, /* a line of no interest */
};

void sse_init(struct sse *s, size_t max_event)
{
	*s = (struct sse){.state = STATE_BOM};
	buf_init(&s->data, max_event);
}

void sse_deinit(struct sse *s)
{
	buf_deinit(&s->data);
}

static void append(struct sse *s, const char *p, size_t n)
{
	if (s->too_long || n == 0)
		return;
	if (buf_add(&s->data, p, n)) {
		s->too_long = true;
		buf_reset(&s->data);
	}
}

/* A data field begins; its value follows. */
static void begin_data(struct sse *s)
{
	if (s->any)
		append(s, "\n", 1);
	s->any = true;
}

static void end_line(struct sse *s, void (*fn)(void *arg, struct str data), void *arg)
{
	bool empty = s->state <= STATE_LINE && s->state != STATE_BOM2 && s->state != STATE_BOM3;

	if (s->state == STATE_DATA)
		begin_data(s);
	s->state = STATE_LINE;
	if (!empty)
		return;
	if (s->any && !s->too_long)
		fn(arg, buf_str(&s->data));
	s->any = false;
	s->too_long = false;
	buf_reset(&s->data);
}

/* One byte of a line's beginning, where the name of the field is still in question. */
static uint8_t name_byte(struct sse *s, char c)
{
	static const char word[] = "data";

	if (s->state == STATE_DATA) {
		if (c != ':')
			return STATE_SKIP;
		begin_data(s);
		return STATE_SPACE;
	}
	return c == word[s->state - STATE_LINE] ? (uint8_t)(s->state + 1) : STATE_SKIP;
}

static uint8_t bom_byte(struct sse *s, char c)
{
	static const char bom[] = "\xef\xbb\xbf";

	if (c == bom[s->state])
		return (uint8_t)(s->state + 1);
	if (s->state != STATE_BOM)
		return STATE_SKIP;
	s->state = STATE_LINE;
	return name_byte(s, c);
}

/* The first CR or LF. */
static size_t line_run(const char *p, size_t at, size_t n)
{
#if VECTOR_SSE2
	const __m128i lf = _mm_set1_epi8('\n');
	const __m128i cr = _mm_set1_epi8('\r');

	for (; at + 16 <= n; at += 16) {
		__m128i x = vector_load(p + at);
		__m128i ends = _mm_or_si128(_mm_cmpeq_epi8(x, lf), _mm_cmpeq_epi8(x, cr));
		unsigned mask = (unsigned)_mm_movemask_epi8(ends);

		if (mask)
			return at + (unsigned)__builtin_ctz(mask);
	}
#else
	for (; at + 8 <= n; at += 8) {
		uint64_t lf = word_load(p + at) ^ WORD_ONES * '\n';
		uint64_t cr = word_load(p + at) ^ WORD_ONES * '\r';

		if ((((lf - WORD_ONES) & ~lf) | ((cr - WORD_ONES) & ~cr)) & WORD_HIGH)
			break;
	}
#endif
	while (at < n && p[at] != '\n' && p[at] != '\r')
		at++;
	return at;
}

/* The data so far is one line of the bytes being fed: into the splitter with it. */
static void keep(struct sse *s, struct str *held)
{
	if (!held->p)
		return;
	begin_data(s);
	append(s, held->p, held->n);
	*held = STR_NONE;
}

static void whole_line(struct sse *s, struct str line, struct str *held,
                       void (*fn)(void *arg, struct str data), void *arg)
{
	size_t name = 4;

	if (line.n == 0 && held->p) {
		if (held->n <= s->data.max)
			fn(arg, *held);
		*held = STR_NONE;
		return;
	}
	if (line.n == 0) {
		end_line(s, fn, arg);
		return;
	}
	if (line.n < name || memcmp(line.p, "data", name) != 0)
		return;
	if (line.n > name && line.p[name++] != ':')
		return;
	if (line.n > name && line.p[name] == ' ')
		name++;
	keep(s, held);
	*held = (struct str){line.p + name, line.n - name};
	/* A further line needs the ones before it. */
	if (s->any)
		keep(s, held);
}

/* A byte of a line that is not whole; answers how many are used up. */
static size_t part(struct sse *s, const char *p, size_t n, void (*fn)(void *arg, struct str data),
                   void *arg)
{
	size_t end;

	if (*p == '\n' || *p == '\r') {
		s->after_cr = *p == '\r';
		end_line(s, fn, arg);
		return 1;
	}
	if (s->state < STATE_SPACE) {
		s->state = s->state < STATE_LINE ? bom_byte(s, *p) : name_byte(s, *p);
		return 1;
	}
	if (s->state == STATE_SPACE && *p == ' ') {
		s->state = STATE_VALUE;
		return 1;
	}
	end = line_run(p, 0, n);
	if (s->state != STATE_SKIP) {
		append(s, p, end);
		s->state = STATE_VALUE;
	}
	return end;
}

void sse_feed(struct sse *s, const char *p, size_t n, void (*fn)(void *arg, struct str data),
              void *arg)
{
	struct str held = STR_NONE;
	size_t at = 0;

	while (at < n) {
		size_t end;

		if (s->after_cr) {
			s->after_cr = false;
			if (p[at] == '\n') {
				at++;
				continue;
			}
		}
		end = s->state == STATE_LINE ? line_run(p, at, n) : n;
		if (end < n) {
			s->after_cr = p[end] == '\r';
			whole_line(s, (struct str){p + at, end - at}, &held, fn, arg);
			at = end + 1;
		} else {
			keep(s, &held);
			at += part(s, p + at, n - at, fn, arg);
		}
	}
	keep(s, &held);
}
