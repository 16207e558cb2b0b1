/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The rule at the end of a TZif file, in the form of POSIX's TZ with RFC 8536's wider hours
 * ("CET-1CEST,M3.5.0,M10.5.0/3"): it holds after the last change of the file's table.
 */
#include "zone.h"

#define DAY 86400

struct text {
	const char *p, *end;
};

static bool one(struct text *t, char c)
{
	if (t->p == t->end || *t->p != c)
		return false;
	t->p++;
	return true;
}

static bool number(struct text *t, int least, int most, int *out)
{
	const char *from = t->p;
	int v = 0;

	while (t->p < t->end && *t->p >= '0' && *t->p <= '9' && t->p - from < 4)
		v = v * 10 + (*t->p++ - '0');
	*out = v;
	return t->p > from && v >= least && v <= most;
}

/* A name of letters, or of anything in <>. */
static bool skip_name(struct text *t)
{
	const char *from = t->p;

	if (one(t, '<')) {
		while (t->p < t->end && *t->p != '>')
			t->p++;
		return one(t, '>');
	}
	while (t->p < t->end && ((*t->p >= 'A' && *t->p <= 'Z') || (*t->p >= 'a' && *t->p <= 'z')))
		t->p++;
	return t->p - from >= 3;
}

/* [+-]h[:m[:s]] */
static bool clock(struct text *t, int hours, int32_t *out)
{
	bool negative = one(t, '-');
	int h, m = 0, s = 0;

	if (!negative)
		one(t, '+');
	if (!number(t, 0, hours, &h))
		return false;
	if (one(t, ':')) {
		if (!number(t, 0, 59, &m))
			return false;
		if (one(t, ':') && !number(t, 0, 59, &s))
			return false;
	}
	*out = (negative ? -1 : 1) * (h * 3600 + m * 60 + s);
	return true;
}

static bool month_form(struct text *t, struct zone_change *c)
{
	c->form = CHANGE_MONTH;
	return number(t, 1, 12, &c->month) && one(t, '.') && number(t, 1, 5, &c->week) &&
	       one(t, '.') && number(t, 0, 6, &c->weekday);
}

static bool change(struct text *t, struct zone_change *c)
{
	bool ok;

	*c = (struct zone_change){.second = 2 * 3600};
	if (one(t, 'M')) {
		ok = month_form(t, c);
	} else if (one(t, 'J')) {
		c->form = CHANGE_JULIAN;
		ok = number(t, 1, 365, &c->day);
	} else {
		c->form = CHANGE_DAY;
		ok = number(t, 0, 365, &c->day);
	}
	if (ok && one(t, '/'))
		ok = clock(t, 167, &c->second);
	return ok;
}

int zone_rule_parse(struct merlon_str s, struct zone_rule *out)
{
	struct text t = {s.ptr, s.ptr + s.len};
	int32_t west;

	*out = (struct zone_rule){0};
	if (s.len == 0 || !skip_name(&t) || !clock(&t, 24, &west))
		return -1;
	out->standard = -west;
	if (t.p == t.end)
		return 0;
	out->summer = out->standard + 3600;
	if (!skip_name(&t))
		return -1;
	if (t.p < t.end && *t.p != ',') {
		if (!clock(&t, 24, &west))
			return -1;
		out->summer = -west;
	}
	out->changes = one(&t, ',') && change(&t, &out->begin) && one(&t, ',') &&
	               change(&t, &out->end) && t.p == t.end;
	return out->changes ? 0 : -1;
}

static bool is_leap(int64_t y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Days from 1970 to January 1 of the year. */
static int64_t year_day(int64_t y)
{
	int64_t before = y - 1;

	return before * 365 + floor_div(before, 4) - floor_div(before, 100) +
	       floor_div(before, 400) - 719162;
}

static int64_t year_of(int64_t day)
{
	/* 146,097 days are 400 years: at most one year too late or too early. */
	int64_t y = 1970 + floor_div(day * 400, 146097);

	while (year_day(y) > day)
		y--;
	while (year_day(y + 1) <= day)
		y++;
	return y;
}

static int month_day(int64_t y, const struct zone_change *c)
{
	static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
	int leap = is_leap(y);
	int first = before[c->month - 1] + (c->month > 2 ? leap : 0);
	int past = before[c->month] + (c->month > 1 ? leap : 0);
	int64_t weekday = (year_day(y) + first + 4) % 7; /* 1970-01-01 was a Thursday */
	int day;

	if (weekday < 0)
		weekday += 7;
	day = first + (c->weekday - (int)weekday + 7) % 7 + (c->week - 1) * 7;
	return day >= past ? day - 7 : day;
}

/* Seconds since 1970, were the clock at Greenwich's time. */
static int64_t change_at(int64_t y, const struct zone_change *c)
{
	int day = c->day;

	if (c->form == CHANGE_MONTH)
		day = month_day(y, c);
	else if (c->form == CHANGE_JULIAN)
		day = c->day - 1 + (c->day > 59 && is_leap(y));
	return (year_day(y) + day) * DAY + c->second;
}

int32_t zone_rule_offset(const struct zone_rule *r, int64_t t)
{
	int64_t y, begin, end;
	bool summer;

	/* Beyond any year that a clock may tell: no sum below may overflow. */
	if (!r->changes || t > INT64_C(1) << 40 || t < -(INT64_C(1) << 40))
		return r->standard;
	y = year_of(floor_div(t + r->standard, DAY));
	begin = change_at(y, &r->begin) - r->standard;
	end = change_at(y, &r->end) - r->summer;
	/* In the south summer goes over the turn of the year. */
	summer = begin < end ? t >= begin && t < end : t >= begin || t < end;
	return summer ? r->summer : r->standard;
}
