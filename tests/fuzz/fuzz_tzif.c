/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Any bytes as a time zone's file, as the rule at its end and as a schedule: never a read beyond
 * them, and offsets of a day and a bit at most. Seeds: /usr/share/zoneinfo.
 */
#include "authz_abac/schedule.h"
#include "authz_abac/zone.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_offset(int32_t offset)
{
	if (offset < -26 * 3600 || offset > 26 * 3600)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t times[] = {
	    0, 1, -1, 1795194000, 4000000000, 9000000000, INT64_MIN, INT64_MAX, INT64_C(1) << 40};
	/* At its exact size, so that reading beyond is noticed. */
	char *copy = malloc(size ? size : 1);
	struct merlon_str s = {copy, size}, name;
	struct mem_pool pool = {NULL};
	struct zone z = {.n = 0};
	char why[SCHEDULE_WHY];
	struct zone_rule r;
	struct schedule week;

	if (size)
		memcpy(copy, data, size);
	if (zone_parse(s, &pool, &z) == 0) {
		for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
			check_offset(zone_offset(&z, times[i]));
		for (uint32_t i = 0; i < z.n; i++)
			check_offset(zone_offset(&z, z.at[i]));
	}
	if (zone_rule_parse(s, &r) == 0) {
		for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
			check_offset(zone_rule_offset(&r, times[i]));
	}
	if (schedule_parse(s, &week, &name, why) == 0) {
		for (int64_t t = 0; t < 7 * 86400; t += 3599)
			schedule_has(&week, t);
		if (week.days == 0 || week.days > 0x7f || week.nspans == 0)
			abort();
	}
	pool_free(&pool);
	free(copy);
	return 0;
}
