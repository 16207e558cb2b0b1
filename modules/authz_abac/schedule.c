/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Schedules: parsed at create, asked for each decision.
 */
#include "schedule.h"

#include <stdio.h>
#include <strings.h>

#define DAY 86400

static const char *const names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

/* What stands before the next `c`, which is taken too; ptr NULL: nothing is left. */
static struct merlon_str cut(struct merlon_str *s, char c)
{
	struct merlon_str part = *s;
	const char *at = s->len > 0 ? memchr(s->ptr, c, s->len) : NULL;

	if (!at) {
		*s = (struct merlon_str){NULL, 0};
		return part;
	}
	part.len = (uint64_t)(at - s->ptr);
	*s = (struct merlon_str){at + 1, s->len - part.len - 1};
	return part;
}

static int day_of(struct merlon_str s)
{
	for (int i = 0; i < 7; i++) {
		if (s.len == 3 && strncasecmp(s.ptr, names[i], 3) == 0)
			return i;
	}
	return -1;
}

static int complain(char why[SCHEDULE_WHY], struct merlon_str what, const char *text)
{
	snprintf(why, SCHEDULE_WHY, "\"%.*s\" %s", what.len < 32 ? (int)what.len : 32,
	         what.ptr ? what.ptr : "", text);
	return -1;
}

/* "Mon-Fri,Sun"; "Sat-Mon" goes over the week's end. */
static int parse_days(struct merlon_str s, struct schedule *out, char why[SCHEDULE_WHY])
{
	while (s.ptr) {
		struct merlon_str range = cut(&s, ','), rest = range;
		int from = day_of(cut(&rest, '-'));
		int to = rest.ptr ? day_of(rest) : from;
		if (from < 0 || to < 0)
			return complain(why, range, "is no day, such as Mon, or range of days");
		for (int d = from;; d = (d + 1) % 7) {
			out->days |= (uint8_t)(1u << d);
			if (d == to)
				break;
		}
	}
	return 0;
}

/* "HH:MM" in minutes, up to 24:00; -1: another form. */
static int minutes(struct merlon_str s)
{
	int h, m;

	if (s.len != 5 || s.ptr[2] != ':')
		return -1;
	for (int i = 0; i < 5; i++) {
		if (i != 2 && (s.ptr[i] < '0' || s.ptr[i] > '9'))
			return -1;
	}
	h = (s.ptr[0] - '0') * 10 + s.ptr[1] - '0';
	m = (s.ptr[3] - '0') * 10 + s.ptr[4] - '0';
	return m < 60 && h * 60 + m <= 24 * 60 ? h * 60 + m : -1;
}

static int parse_spans(struct merlon_str s, struct schedule *out, char why[SCHEDULE_WHY])
{
	while (s.ptr) {
		struct merlon_str span = cut(&s, ','), rest = span;
		int from = minutes(cut(&rest, '-'));
		int to = rest.ptr ? minutes(rest) : -1;
		if (from < 0 || to < 0 || from == 24 * 60)
			return complain(why, span, "is no span of hours, such as 08:00-18:00");
		if (from == to)
			return complain(why, span, "is empty; the whole day is 00:00-24:00");
		if (out->nspans == SCHEDULE_SPANS)
			return complain(why, span, "is one span too many");
		out->spans[out->nspans].from = (uint16_t)from;
		out->spans[out->nspans++].to = (uint16_t)to;
	}
	return 0;
}

static bool looks_like_days(struct merlon_str s)
{
	struct merlon_str first = {s.ptr, 3};

	return s.len >= 3 && day_of(first) >= 0 &&
	       (s.len == 3 || s.ptr[3] == '-' || s.ptr[3] == ',');
}

int schedule_parse(struct merlon_str s, struct schedule *out, struct merlon_str *zone,
                   char why[SCHEDULE_WHY])
{
	struct merlon_str rest = s;
	enum { DAYS, SPANS, ZONE, END } next = DAYS;

	*out = (struct schedule){0};
	*zone = TXT("UTC");
	while (rest.ptr) {
		struct merlon_str word = cut(&rest, ' ');
		int r = 0;
		if (word.len == 0)
			continue;
		if (next == DAYS && looks_like_days(word)) {
			r = parse_days(word, out, why);
			next = SPANS;
		} else if (next <= SPANS && word.ptr[0] >= '0' && word.ptr[0] <= '9') {
			r = parse_spans(word, out, why);
			next = ZONE;
		} else if (next == SPANS || next == ZONE) {
			*zone = word;
			next = END;
		} else {
			r = complain(why, word, "does not fit here: days, hours, then a time zone");
		}
		if (r != 0)
			return -1;
	}
	if (next == DAYS)
		return complain(why, s, "holds no days and no hours");
	if (out->days == 0)
		out->days = 0x7f;
	if (out->nspans == 0) {
		out->spans[0].to = 24 * 60;
		out->nspans = 1;
	}
	return 0;
}

bool schedule_has(const struct schedule *s, int64_t local)
{
	int64_t days = local / DAY - (local % DAY < 0);
	int minute = (int)((local - days * DAY) / 60);
	int weekday = (int)(((days + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
	bool today = s->days >> weekday & 1;
	bool yesterday = s->days >> (weekday + 6) % 7 & 1;

	for (unsigned i = 0; i < s->nspans; i++) {
		int from = s->spans[i].from, to = s->spans[i].to;
		if (from < to ? today && minute >= from && minute < to
		              : (today && minute >= from) || (yesterday && minute < to))
			return true;
	}
	return false;
}
