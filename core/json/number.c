/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Numbers by the grammar of RFC 8259 section 6. They are checked and stored as written, never
 * converted: what a double cannot hold is the caller's question.
 */
#include "json/machine.h"

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

void json_begin_number(struct json_scan *s, struct cursor *c)
{
	if (*c->p == '-')
		s->number = NUM_MINUS;
	else
		s->number = *c->p == '0' ? NUM_ZERO : NUM_INT;
	s->state = ST_NUMBER;
	/* Its last digit is known only afterwards, so all of a number at the root is held back. */
	if (s->depth == 0)
		s->hold = json_offset(s, c);
	c->p += json_put(s, c->p, 1);
}

void json_on_number(struct json_scan *s, struct cursor *c)
{
	enum number next = s->number;
	const char *p = c->p;

	for (; p < c->end; p++) {
		next = next_number(s->number, *p);
		if (next == NUM_END || next == NUM_BAD)
			break;
		s->number = next;
	}
	c->p += json_put(s, c->p, (size_t)(p - c->p));
	/* Too long a number is refused at the byte that is too many, before what follows it. */
	if (s->error || p == c->end)
		return;
	if (next == NUM_BAD) {
		json_fail(s, JSON_E_SYNTAX);
		return;
	}
	/* The byte belongs to what follows. */
	json_value_found(s);
	json_value_ended(s);
}

bool json_number_may_end(const struct json_scan *s)
{
	return s->state == ST_NUMBER && s->depth == 0 && complete(s->number);
}
