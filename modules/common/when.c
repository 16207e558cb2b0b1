/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * RFC 3339, both ways, without the C library's calendar: that one reads the time zone of the
 * process.
 */
#include "common/text.h"

/* Days since 1970-01-01 of a day in the proleptic Gregorian calendar (years from March, so that the
 * leap day is last). */
static int64_t days_of(int64_t y, unsigned m, unsigned d)
{
	y -= m <= 2;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400;
	int64_t doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

/* Reads exactly n digits at *at; -1: they are not there. */
static int digits(struct merlon_str s, uint64_t *at, unsigned n)
{
	int v = 0;

	if (s.len - *at < n)
		return -1;
	for (unsigned i = 0; i < n; i++, (*at)++) {
		char c = s.ptr[*at];
		if (c < '0' || c > '9')
			return -1;
		v = v * 10 + (c - '0');
	}
	return v;
}

static bool one(struct merlon_str s, uint64_t *at, const char *any)
{
	if (*at >= s.len || s.ptr[*at] == '\0' || !strchr(any, s.ptr[*at]))
		return false;
	++*at;
	return true;
}

static bool month_has(int y, int m, int d)
{
	static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

	return m >= 1 && m <= 12 && d >= 1 && d <= days[m - 1] + (m == 2 && leap);
}

/* The fraction in microseconds, cut; -1: a point without digits, or more than nine. */
static int64_t fraction(struct merlon_str s, uint64_t *at)
{
	int64_t us = 0;
	unsigned n = 0;

	if (!one(s, at, "."))
		return 0;
	for (; *at < s.len && s.ptr[*at] >= '0' && s.ptr[*at] <= '9'; (*at)++, n++) {
		if (n < 6)
			us = us * 10 + (s.ptr[*at] - '0');
	}
	if (n == 0 || n > 9)
		return -1;
	for (; n < 6; n++)
		us *= 10;
	return us;
}

/* Seconds east of Greenwich; INT64_MIN: another form. */
static int64_t offset(struct merlon_str s, uint64_t *at)
{
	if (one(s, at, "Zz"))
		return 0;
	bool west = *at < s.len && s.ptr[*at] == '-';
	if (!one(s, at, "+-"))
		return INT64_MIN;
	int h = digits(s, at, 2);
	if (h < 0 || h > 23 || !one(s, at, ":"))
		return INT64_MIN;
	int m = digits(s, at, 2);
	if (m < 0 || m > 59)
		return INT64_MIN;
	return (west ? -1 : 1) * (h * 3600 + m * 60);
}

int txt_rfc3339_parse(struct merlon_str s, int64_t *us)
{
	int v[6]; /* year month day hour minute second */
	static const char *const after[] = {"-", "-", "Tt ", ":", ":", NULL};
	uint64_t at = 0;

	for (unsigned i = 0; i < 6; i++) {
		v[i] = digits(s, &at, i == 0 ? 4 : 2);
		if (v[i] < 0 || (after[i] && !one(s, &at, after[i])))
			return -1;
	}
	if (!month_has(v[0], v[1], v[2]) || v[3] > 23 || v[4] > 59 || v[5] > 60)
		return -1;
	int64_t frac = fraction(s, &at);
	if (frac < 0)
		return -1;
	int64_t east = offset(s, &at);
	if (east == INT64_MIN || at != s.len)
		return -1;
	int64_t days = days_of(v[0], (unsigned)v[1], (unsigned)v[2]);
	*us = (days * 86400 + v[3] * 3600 + v[4] * 60 + v[5] - east) * 1000000 + frac;
	return 0;
}

static void put(char *out, uint32_t v) /* 0 to 99 */
{
	memcpy(out, txt_pairs + 2 * (size_t)v, 2);
}

void txt_rfc3339(int64_t us, char out[TXT_RFC3339_LEN])
{
	const int64_t last = INT64_C(253402300799999999); /* the end of year 9999 */
	us = us < 0 ? 0 : us > last ? last : us;
	/* 32 bits hold the rest: seconds to the year 9999 are fewer than 2^38, days far fewer. */
	uint64_t seconds = (uint64_t)us / 1000000;
	uint32_t fraction = (uint32_t)((uint64_t)us - seconds * 1000000);
	uint32_t days = (uint32_t)(seconds / 86400),
		 in = (uint32_t)(seconds - days * UINT64_C(86400));
	uint32_t z = days + 719468, era = z / 146097, doe = z % 146097;
	uint32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint32_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	uint32_t mp = (5 * doy + 2) / 153;
	uint32_t m = mp < 10 ? mp + 3 : mp - 9;
	uint32_t year = era * 400 + yoe + (m <= 2);

	memcpy(out, "0000-00-00T00:00:00.000000Z", TXT_RFC3339_LEN);
	put(out, year / 100);
	put(out + 2, year % 100);
	put(out + 5, m);
	put(out + 8, doy - (153 * mp + 2) / 5 + 1);
	put(out + 11, in / 3600);
	put(out + 14, in / 60 % 60);
	put(out + 17, in % 60);
	put(out + 20, fraction / 10000);
	put(out + 22, fraction / 100 % 100);
	put(out + 24, fraction % 100);
}
