/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Schedules and time zones: the hours around each change of the clock, spans over midnight, the
 * rules that hold after a zone's table, and every zone of the system against the C library.
 */
#include "schedule.h"
#include "zone.h"

#include "unit/unit.h"

#include <time.h>

static struct mem_pool pool;

static int64_t utc(const char *text)
{
	int64_t us = 0;

	if (txt_rfc3339_parse(txt_of(text), &us) != 0)
		CU_FAIL("bad time");
	return us / 1000000;
}

static struct zone zone(const char *name)
{
	const char *why = "";
	struct zone z;

	if (zone_load(txt_of(name), &pool, &z, &why) != 0)
		fprintf(stderr, "%s: %s\n", name, why);
	return z;
}

static bool within(const char *schedule, const char *when)
{
	char why[SCHEDULE_WHY] = "";
	struct merlon_str name;
	struct schedule s;
	char z[64];

	if (schedule_parse(txt_of(schedule), &s, &name, why) != 0) {
		fprintf(stderr, "%s: %s\n", schedule, why);
		CU_FAIL("does not parse");
		return false;
	}
	snprintf(z, sizeof(z), "%.*s", TXT_FMT(name));
	struct zone by = zone(z);
	return schedule_has(&s, utc(when) + zone_offset(&by, utc(when)));
}

static void hours_by_the_clock_on_the_wall(void)
{
	static const char *const hours = "Mon-Fri 08:00-18:00 Europe/Berlin";

	CU_ASSERT_TRUE(within(hours, "2026-11-23T07:00:00Z"));
	CU_ASSERT_FALSE(within(hours, "2026-11-23T06:59:59Z"));
	CU_ASSERT_TRUE(within(hours, "2026-11-23T16:59:59Z"));
	CU_ASSERT_FALSE(within(hours, "2026-11-23T17:00:00Z"));
	CU_ASSERT_FALSE(within(hours, "2026-11-22T12:00:00Z")); /* a Sunday */
	CU_ASSERT_TRUE(within(hours, "2026-07-01T06:00:00Z"));  /* summer */
	CU_ASSERT_FALSE(within(hours, "2026-07-01T16:00:00Z"));
	CU_ASSERT_TRUE(within("mon-fri 08:00-18:00 UTC", "2026-11-23T17:00:00Z"));
	CU_ASSERT_TRUE(within("Mon-Fri 08:00-18:00", "2026-11-23T17:00:00Z")); /* UTC */
	CU_ASSERT_TRUE(within("  Mon-Fri   08:00-18:00   UTC ", "2026-11-23T17:00:00Z"));
}

static void berlin_changes_its_clock(void)
{
	/* 2026-03-29: 02:00 does not come; 2026-10-25: 02:00 to 03:00 comes twice. */
	static const char *const night = "Sun 02:00-03:00 Europe/Berlin";

	CU_ASSERT_FALSE(within(night, "2026-03-29T00:59:59Z")); /* 01:59:59 */
	CU_ASSERT_FALSE(within(night, "2026-03-29T01:00:00Z")); /* 03:00:00 */
	CU_ASSERT_TRUE(within("Sun 03:00-04:00 Europe/Berlin", "2026-03-29T01:00:00Z"));
	CU_ASSERT_FALSE(within(night, "2026-10-24T23:59:59Z"));
	CU_ASSERT_TRUE(within(night, "2026-10-25T00:00:00Z")); /* 02:00 of summer */
	CU_ASSERT_TRUE(within(night, "2026-10-25T00:59:59Z"));
	CU_ASSERT_TRUE(within(night, "2026-10-25T01:00:00Z")); /* 02:00 of winter */
	CU_ASSERT_TRUE(within(night, "2026-10-25T01:59:59Z"));
	CU_ASSERT_FALSE(within(night, "2026-10-25T02:00:00Z"));
}

static void other_zones(void)
{
	CU_ASSERT_TRUE(within("Sun 03:00-03:01 America/New_York", "2026-03-08T07:00:00Z"));
	CU_ASSERT_TRUE(within("Sun 01:59-02:00 America/New_York", "2026-03-08T06:59:59Z"));
	CU_ASSERT_TRUE(within("Sun 01:00-01:01 America/New_York", "2026-11-01T06:00:00Z"));
	CU_ASSERT_TRUE(within("Sun 01:59-02:00 America/New_York", "2026-11-01T05:59:59Z"));
	CU_ASSERT_TRUE(within("Mon 05:30-05:31 Asia/Kolkata", "2026-11-23T00:00:00Z"));
	CU_ASSERT_FALSE(within("Mon 05:29-05:30 Asia/Kolkata", "2026-11-23T00:00:00Z"));
	/* The south: summer goes over the turn of the year. */
	CU_ASSERT_TRUE(within("Sun 02:59-03:00 Australia/Sydney", "2026-04-04T15:59:59Z"));
	CU_ASSERT_TRUE(within("Sun 02:00-02:01 Australia/Sydney", "2026-04-04T16:00:00Z"));
	CU_ASSERT_TRUE(within("Sun 03:00-03:01 Australia/Sydney", "2026-10-03T16:00:00Z"));
	CU_ASSERT_TRUE(within("Thu 11:00-11:01 Australia/Sydney", "2026-12-31T00:00:00Z"));
	CU_ASSERT_TRUE(within("Fri 11:00-11:01 Australia/Sydney", "2027-01-01T00:00:00Z"));
	CU_ASSERT_TRUE(within("Sun 01:30-01:31 Australia/Lord_Howe", "2026-04-04T15:00:00Z"));
	CU_ASSERT_TRUE(within("Wed 13:00-13:01 Europe/Dublin", "2026-07-01T12:00:00Z"));
	CU_ASSERT_TRUE(within("Wed 12:00-12:01 Etc/GMT", "2026-07-01T12:00:00Z"));
}

static void days_and_spans(void)
{
	static const char *const late = "Fri 22:00-06:00 UTC"; /* begins on Friday */

	CU_ASSERT_TRUE(within(late, "2026-11-20T22:00:00Z"));
	CU_ASSERT_TRUE(within(late, "2026-11-21T05:59:59Z"));
	CU_ASSERT_FALSE(within(late, "2026-11-21T06:00:00Z"));
	CU_ASSERT_FALSE(within(late, "2026-11-20T05:00:00Z"));
	CU_ASSERT_FALSE(within(late, "2026-11-21T22:00:00Z"));
	CU_ASSERT_TRUE(within("Sat 22:00-02:00 UTC", "2026-11-22T01:00:00Z")); /* over the week */
	CU_ASSERT_TRUE(within("Sat-Mon UTC", "2026-11-22T01:00:00Z"));
	CU_ASSERT_TRUE(within("Sat-Mon UTC", "2026-11-23T23:59:59Z"));
	CU_ASSERT_FALSE(within("Sat-Mon UTC", "2026-11-24T00:00:00Z"));
	CU_ASSERT_TRUE(within("Mon,Wed-Thu,Sun UTC", "2026-11-26T12:00:00Z"));
	CU_ASSERT_FALSE(within("Mon,Wed-Thu,Sun UTC", "2026-11-27T12:00:00Z"));
	CU_ASSERT_TRUE(within("08:00-12:00,13:00-24:00 UTC", "2026-11-26T23:59:59Z"));
	CU_ASSERT_FALSE(within("08:00-12:00,13:00-24:00 UTC", "2026-11-26T12:00:00Z"));
	CU_ASSERT_TRUE(within("22:00-00:00 UTC", "2026-11-26T23:00:00Z"));
	CU_ASSERT_FALSE(within("22:00-00:00 UTC", "2026-11-26T00:00:00Z"));
	CU_ASSERT_TRUE(within("Thu 00:00-00:01 UTC", "1970-01-01T00:00:00Z"));
}

static void bad_schedules_are_told(void)
{
	static const char *const bad[] = {
	    "",
	    "Mon-",
	    "Mon- 08:00-09:00",
	    "Mon,",
	    "Mon-Fri-Sun",
	    "Monday",
	    "Mon 08:00",
	    "Mon 08:00-",
	    "Mon 8:00-09:00",
	    "Mon 08:00-24:01",
	    "Mon 24:00-08:00",
	    "Mon 08:60-09:00",
	    "Mon 08:00-09:00-10:00",
	    "Mon 08:00-09:00,",
	    "Mon 08:00-09:00 10:00-11:00 UTC UTC",
	    "Europe/Berlin",
	    "Mon UTC 08:00-09:00",
	    "Mon 00:00-01:00,00:00-01:00,00:00-01:00,00:00-01:00,00:00-01:00,00:00-01:00,00:00-"
	    "01:00,00:00-01:00,00:00-01:00,00:00-01:00,00:00-01:00,00:00-01:00,00:00-01:00,00:00-"
	    "01:00,00:00-01:00,00:00-01:00,00:00-01:00",
	};
	struct merlon_str name;
	struct schedule s;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char why[SCHEDULE_WHY] = "";
		if (schedule_parse(txt_of(bad[i]), &s, &name, why) == 0)
			fprintf(stderr, "taken: %s\n", bad[i]);
		CU_ASSERT_NOT_EQUAL(why[0], '\0');
	}
}

static int32_t by_rule(const char *rule, const char *when)
{
	struct zone_rule r;

	CU_ASSERT_EQUAL_FATAL(zone_rule_parse(txt_of(rule), &r), 0);
	return zone_rule_offset(&r, utc(when));
}

static void rules_after_the_table(void)
{
	static const char *const berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
	static const char *const year_long = "EST5EDT,0/0,J365/25";

	CU_ASSERT_EQUAL(by_rule(berlin, "2050-03-27T00:59:59Z"), 3600);
	CU_ASSERT_EQUAL(by_rule(berlin, "2050-03-27T01:00:00Z"), 7200);
	CU_ASSERT_EQUAL(by_rule(berlin, "2050-10-30T00:59:59Z"), 7200);
	CU_ASSERT_EQUAL(by_rule(berlin, "2050-10-30T01:00:00Z"), 3600);
	CU_ASSERT_EQUAL(by_rule("AEST-10AEDT,M10.1.0,M4.1.0/3", "2049-12-31T23:59:59Z"), 39600);
	CU_ASSERT_EQUAL(by_rule("AEST-10AEDT,M10.1.0,M4.1.0/3", "2050-07-01T00:00:00Z"), 36000);
	CU_ASSERT_EQUAL(by_rule("IST-1GMT0,M10.5.0,M3.5.0/1", "2050-01-01T00:00:00Z"), 0);
	CU_ASSERT_EQUAL(by_rule("IST-1GMT0,M10.5.0,M3.5.0/1", "2050-07-01T00:00:00Z"), 3600);
	CU_ASSERT_EQUAL(by_rule("<+0530>-5:30", "2050-07-01T00:00:00Z"), 19800);
	CU_ASSERT_EQUAL(by_rule("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2050-03-27T00:59:59Z"), -7200);
	CU_ASSERT_EQUAL(by_rule("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2050-03-27T01:00:00Z"), -3600);
	CU_ASSERT_EQUAL(by_rule(year_long, "2050-01-01T00:00:00Z"), -14400);
	CU_ASSERT_EQUAL(by_rule(year_long, "2051-01-01T04:59:59Z"), -14400);
}

/* J60 is March 1 in each year; 59 is it in years without February 29 alone. */
static void julian_days(void)
{
	static const char *const j = "AAA0BBB,J60/0,J300/0";
	static const char *const n = "AAA0BBB,59/0,300/0";

	CU_ASSERT_EQUAL(by_rule(j, "2052-02-29T23:59:59Z"), 0);
	CU_ASSERT_EQUAL(by_rule(j, "2052-03-01T00:00:00Z"), 3600);
	CU_ASSERT_EQUAL(by_rule(j, "2051-03-01T00:00:00Z"), 3600);
	CU_ASSERT_EQUAL(by_rule(j, "2051-02-28T23:59:59Z"), 0);
	CU_ASSERT_EQUAL(by_rule(n, "2052-02-29T00:00:00Z"), 3600);
	CU_ASSERT_EQUAL(by_rule(n, "2051-02-28T23:59:59Z"), 0);
	CU_ASSERT_EQUAL(by_rule(n, "2051-03-01T00:00:00Z"), 3600);
}

static void bad_rules_are_refused(void)
{
	static const char *const bad[] = {
	    "",
	    "CET",
	    "CE-1",
	    "-1",
	    "<+05",
	    "CET-25",
	    "CET-1x",
	    "CET-1CEST",
	    "CET-1CEST,",
	    "CET-1CEST,M",
	    "CET-1CEST,M3.5.0",
	    "CET-1CEST,M13.5.0,M1.1.1",
	    "CET-1CEST,M0.5.0,M1.1.1",
	    "CET-1CEST,M3.6.0,M1.1.1",
	    "CET-1CEST,M3.5.7,M1.1.1",
	    "CET-1CEST,M3.5.0,J366",
	    "CET-1CEST,M3.5.0,J0",
	    "CET-1CEST,M3.5.0,366",
	    "CET-1CEST,M3.5.0,M10.5.0/168",
	    "CET-1CEST,M3.5.0,M10.5.0/3x",
	    "CET-1:60",
	    "CET-99999999999999",
	};
	struct zone_rule r;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (zone_rule_parse(txt_of(bad[i]), &r) == 0)
			fprintf(stderr, "taken: %s\n", bad[i]);
		CU_ASSERT_NOT_EQUAL(zone_rule_parse(txt_of(bad[i]), &r), 0);
	}
}

static void names_lead_nowhere_else(void)
{
	static const char *const bad[] = {"",           "/etc/localtime", "../zoneinfo/UTC",
	                                  "Europe",     "europe/berlin",  "Europe/Berlin ",
	                                  "Europe/.",   "zone.tab",       "tzdata.zi",
	                                  "Europe//",   "No/Where",       "Europe/Ber\nlin",
	                                  "right/Japan"};
	const char *why;
	struct zone z;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why = NULL;
		CU_ASSERT_EQUAL(zone_load(txt_of(bad[i]), &pool, &z, &why), -1);
		CU_ASSERT_PTR_NOT_NULL(why);
	}
	CU_ASSERT_EQUAL(zone_load((struct merlon_str){"UTC\0x", 5}, &pool, &z, &why), -1);
}

/* ---- every zone of the system ---- */
static void compare(const char *name, const struct zone *z, int64_t t, unsigned *bad)
{
	time_t c = (time_t)t;
	struct tm tm;

	localtime_r(&c, &tm);
	if (zone_offset(z, t) == tm.tm_gmtoff)
		return;
	if ((*bad)++ < 10)
		fprintf(stderr, "%s at %lld: %d, not %ld\n", name, (long long)t, zone_offset(z, t),
		        tm.tm_gmtoff);
}

static void compare_zone(const char *name, unsigned *bad)
{
	struct zone z = zone(name);

	setenv("TZ", name, 1);
	tzset();
	for (int64_t t = utc("1975-01-01T00:00:00Z"); t < utc("2099-01-01T00:00:00Z"); t += 3000017)
		compare(name, &z, t, bad);
	for (uint32_t i = 0; i < z.n; i++) {
		if (z.at[i] < utc("1975-01-01T00:00:00Z"))
			continue;
		compare(name, &z, z.at[i] - 1, bad);
		compare(name, &z, z.at[i], bad);
	}
}

static void every_zone_as_the_c_library_has_it(void)
{
	FILE *f = fopen("/usr/share/zoneinfo/tzdata.zi", "r");
	unsigned zones = 0, bad = 0;
	char line[512], name[128];

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Z %127s", name) == 1 || sscanf(line, "L %*s %127s", name) == 1) {
			compare_zone(name, &bad);
			zones++;
		}
	}
	fclose(f);
	CU_ASSERT_TRUE(zones > 300);
	CU_ASSERT_EQUAL(bad, 0);
	pool_free(&pool);
}

UNIT_MAIN("schedule", UNIT(hours_by_the_clock_on_the_wall), UNIT(berlin_changes_its_clock),
          UNIT(other_zones), UNIT(days_and_spans), UNIT(bad_schedules_are_told),
          UNIT(rules_after_the_table), UNIT(julian_days), UNIT(bad_rules_are_refused),
          UNIT(names_lead_nowhere_else), UNIT(every_zone_as_the_c_library_has_it))
