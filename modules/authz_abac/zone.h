/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Time zones for policies: the system's TZif files (RFC 8536) read once at create, so that a
 * decision needs neither the C library's process-wide zone nor a file. A zone lives in the pool
 * that it was read into and is only read after that.
 */
#ifndef AUTHZ_ABAC_ZONE_H
#define AUTHZ_ABAC_ZONE_H

#include "common/text.h"

#define ZONE_FILE_MAX ((size_t)256 << 10)

/* One change of a POSIX rule: on which day of each year, and when on that day. */
struct zone_change {
	enum { CHANGE_MONTH, CHANGE_JULIAN, CHANGE_DAY } form;
	int month, week, weekday; /* MONTH: week 5 is the last */
	int day;                  /* JULIAN: 1 to 365 without February 29; DAY: 0 to 365 */
	int32_t second;           /* of that day, by the time before the change */
};
struct zone_rule {
	int32_t standard, summer; /* seconds east of Greenwich */
	bool changes;             /* else standard holds all year */
	struct zone_change begin, end;
};
struct zone {
	struct merlon_str name;
	uint32_t n;
	const int64_t *at;     /* ascending, seconds since 1970 */
	const int32_t *offset; /* from at[i] on, seconds east of Greenwich */
	int32_t before;        /* until at[0] */
	bool ruled;            /* after the last change the rule holds */
	struct zone_rule rule;
};

/* "Europe/Berlin" or "UTC". 0, or -1 and what is wrong. */
int zone_load(struct merlon_str name, struct mem_pool *pool, struct zone *out, const char **why);
/* The content of a TZif file, version 2 or later. -1: it is none. */
int zone_parse(struct merlon_str file, struct mem_pool *pool, struct zone *out);
/* The footer of such a file: a rule in the form of POSIX's TZ. -1: another form. */
int zone_rule_parse(struct merlon_str s, struct zone_rule *out);
int32_t zone_rule_offset(const struct zone_rule *r, int64_t t);
int32_t zone_offset(const struct zone *z, int64_t t); /* seconds east of Greenwich at t */

#endif
