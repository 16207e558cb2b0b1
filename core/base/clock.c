/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Time. RFC 3339 is written by plain arithmetic: gmtime() takes a lock, and every audit record
 * needs a stamp.
 */
#include "base/clock.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define US_PER_S UINT64_C(1000000)
#define REAL_MAX UINT64_C(253402300799999999) /* 9999-12-31T23:59:59.999999Z */

static atomic_bool frozen;
static _Atomic uint64_t frozen_mono;
static _Atomic uint64_t frozen_real;

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t clock_mono(void)
{
	if (__builtin_expect(atomic_load_explicit(&frozen, memory_order_relaxed), 0))
		return atomic_load_explicit(&frozen_mono, memory_order_relaxed);
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_real_us(void)
{
	if (__builtin_expect(atomic_load_explicit(&frozen, memory_order_relaxed), 0))
		return atomic_load_explicit(&frozen_real, memory_order_relaxed);
	return read_clock(CLOCK_REALTIME) / NS_PER_US;
}

void clock_freeze(uint64_t mono_ns, uint64_t real_us)
{
	atomic_store_explicit(&frozen_mono, mono_ns, memory_order_relaxed);
	atomic_store_explicit(&frozen_real, real_us, memory_order_relaxed);
	atomic_store_explicit(&frozen, true, memory_order_relaxed);
}

void clock_unfreeze(void)
{
	atomic_store_explicit(&frozen, false, memory_order_relaxed);
}

static void put_digits(char *out, unsigned v, unsigned n)
{
	while (n--) {
		out[n] = (char)('0' + v % 10);
		v /= 10;
	}
}

/* Days since 1970-01-01 to a date; years begin in March, so that the leap day is their last. */
static void civil_from_days(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
	uint64_t z = days + 719468;
	uint64_t era = z / 146097;
	unsigned doe = (unsigned)(z - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned mp = (5 * doy + 2) / 153;

	*day = doy - (153 * mp + 2) / 5 + 1;
	*month = mp < 10 ? mp + 3 : mp - 9;
	*year = yoe + (unsigned)era * 400 + (*month <= 2);
}

static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
	int64_t y = year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	unsigned yoe = (unsigned)(y - era * 400);
	unsigned doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * 146097 + (int64_t)doe - 719468;
}

void clock_rfc3339(uint64_t real_us, char out[CLOCK_RFC3339_LEN])
{
	static _Thread_local uint64_t cached = UINT64_MAX;
	static _Thread_local char text[CLOCK_RFC3339_LEN];
	uint64_t us = real_us < REAL_MAX ? real_us : REAL_MAX;
	uint64_t second = us / US_PER_S;

	if (second != cached) {
		unsigned year, month, day;
		unsigned of_day = (unsigned)(second % 86400);

		civil_from_days(second / 86400, &year, &month, &day);
		memcpy(text, "0000-00-00T00:00:00.000000Z", CLOCK_RFC3339_LEN);
		put_digits(text, year, 4);
		put_digits(text + 5, month, 2);
		put_digits(text + 8, day, 2);
		put_digits(text + 11, of_day / 3600, 2);
		put_digits(text + 14, of_day / 60 % 60, 2);
		put_digits(text + 17, of_day % 60, 2);
		cached = second;
	}
	memcpy(out, text, CLOCK_RFC3339_LEN);
	put_digits(out + 20, (unsigned)(us % US_PER_S), 6);
}

/* Exactly n digits off the front of *s, then the byte `end` unless it is 0. */
static bool take(struct str *s, size_t n, char end, unsigned *out)
{
	uint64_t v;
	size_t all = n + (end != 0);

	if (s->n < all || !str_u64((struct str){s->p, n}, &v) || (end && s->p[n] != end))
		return false;
	s->p += all;
	s->n -= all;
	*out = (unsigned)v;
	return true;
}

static bool take_fraction(struct str *s, int64_t *us)
{
	unsigned n = 0, unit = 100000;

	*us = 0;
	if (s->n == 0 || s->p[0] != '.')
		return true;
	for (s->p++, s->n--; s->n && s->p[0] >= '0' && s->p[0] <= '9'; s->p++, s->n--, n++) {
		*us += (int64_t)unit * (s->p[0] - '0');
		unit /= 10;
	}
	return n >= 1 && n <= 9;
}

static bool take_offset(struct str *s, int64_t *seconds)
{
	unsigned hour, minute;
	char sign;

	if (s->n == 1 && (s->p[0] | 0x20) == 'z') {
		*seconds = 0;
		return true;
	}
	if (s->n != 6 || (s->p[0] != '+' && s->p[0] != '-'))
		return false;
	sign = s->p[0];
	s->p++;
	s->n--;
	if (!take(s, 2, ':', &hour) || !take(s, 2, 0, &minute) || hour > 23 || minute > 59)
		return false;
	*seconds = (int64_t)(hour * 3600 + minute * 60) * (sign == '-' ? -1 : 1);
	return true;
}

static unsigned month_days(unsigned year, unsigned month)
{
	static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

static bool take_date(struct str *s, int64_t *days)
{
	unsigned year, month, day;

	if (!take(s, 4, '-', &year) || !take(s, 2, '-', &month) || !take(s, 2, 0, &day))
		return false;
	if (month < 1 || month > 12 || day < 1 || day > month_days(year, month))
		return false;
	*days = days_from_civil(year, month, day);
	return true;
}

static bool take_time(struct str *s, int64_t *seconds)
{
	unsigned hour, minute, second;

	if (!take(s, 2, ':', &hour) || !take(s, 2, ':', &minute) || !take(s, 2, 0, &second))
		return false;
	*seconds = hour * 3600 + minute * 60 + second;
	/* 60 is a leap second; it counts as the first of the next minute. */
	return hour <= 23 && minute <= 59 && second <= 60;
}

int clock_parse_rfc3339(struct str s, int64_t *real_us)
{
	int64_t days, seconds, us, offset;

	if (!take_date(&s, &days) || s.n == 0 || (s.p[0] | 0x20) != 't')
		return -1;
	s.p++;
	s.n--;
	if (!take_time(&s, &seconds) || !take_fraction(&s, &us) || !take_offset(&s, &offset))
		return -1;
	*real_us = (days * 86400 + seconds - offset) * (int64_t)US_PER_S + us;
	return 0;
}
