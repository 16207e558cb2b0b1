/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Numbers by the grammar of RFC 8259 section 6. They are checked and stored as written, never
 * converted: what a double cannot hold is the caller's question.
 */
#include "json/machine.h"
#include "json/run.h"

static enum number after_digit(enum number from)
{
	switch (from) {
	case NUM_MINUS:
	case NUM_INT:
		return NUM_INT;
	case NUM_POINT:
	case NUM_FRAC:
		return NUM_FRAC;
	case NUM_E:
	case NUM_E_SIGN:
	case NUM_EXP:
		return NUM_EXP;
	case NUM_ZERO: /* no digit follows a leading zero */
	case NUM_END:
	case NUM_BAD:
		break;
	}
	return NUM_BAD;
}

static bool complete(enum number n)
{
	return n == NUM_ZERO || n == NUM_INT || n == NUM_FRAC || n == NUM_EXP;
}

static enum number next_number(enum number from, char c)
{
	if (c >= '0' && c <= '9')
		return from == NUM_MINUS && c == '0' ? NUM_ZERO : after_digit(from);
	if ((c == '+' || c == '-') && from == NUM_E)
		return NUM_E_SIGN;
	if (!complete(from))
		return NUM_BAD;
	if (c == '.' && (from == NUM_ZERO || from == NUM_INT))
		return NUM_POINT;
	return (c | 0x20) == 'e' && from != NUM_EXP ? NUM_E : NUM_END;
}

/* The digits from p and what follows them, NULL where there is none. */
static const char *some_digits(const char *p, const char *end)
{
	const char *after = json_digits_end(p, end);

	return after == p ? NULL : after;
}

const char *json_whole_number(const char *p, const char *end)
{
	const char *first = p + (*p == '-');

	p = some_digits(first, end);
	if (!p || (*first == '0' && p - first > 1))
		return NULL;
	if (p < end && *p == '.') {
		p = some_digits(p + 1, end);
		if (!p)
			return NULL;
	}
	if (p < end && (*p | 0x20) == 'e') {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		p = some_digits(p, end);
	}
	/* Another digit may follow in the next piece. */
	return p == end ? NULL : p;
}

const char *json_begin_number(struct json_scan *s, const char *p)
{
	if (*p == '-')
		s->number = NUM_MINUS;
	else
		s->number = *p == '0' ? NUM_ZERO : NUM_INT;
	s->state = ST_NUMBER;
	s->sink = s->capture ? SINK_VALUE : SINK_NONE;
	/* Its last digit is known only afterwards, so all of a number at the root is held back. */
	if (s->depth == 0)
		s->hold = json_offset(s, p);
	return p + json_put(s, p, 1);
}

const char *json_on_number(struct json_scan *s, const char *p, const char *end)
{
	enum number next = s->number;
	const char *stop = p;

	for (; stop < end; stop++) {
		next = next_number(s->number, *stop);
		if (next == NUM_END || next == NUM_BAD)
			break;
		s->number = next;
	}
	p += json_put(s, p, (size_t)(stop - p));
	/* Too long a number is refused at the byte that is too many, before what follows it. */
	if (s->error || p == end)
		return p;
	if (next == NUM_BAD)
		return json_fail(s, JSON_E_SYNTAX, p);
	/* The byte belongs to what follows. */
	json_value_found(s);
	json_value_ended(s);
	return p;
}

bool json_number_may_end(const struct json_scan *s)
{
	return s->state == ST_NUMBER && s->depth == 0 && complete(s->number);
}
