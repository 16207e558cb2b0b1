/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * "Mon-Fri 08:00-18:00 Europe/Berlin": days and hours of a week by a zone's clock on the wall. A
 * span that goes over midnight belongs to the day it begins on.
 */
#ifndef AUTHZ_ABAC_SCHEDULE_H
#define AUTHZ_ABAC_SCHEDULE_H

#include "common/text.h"

#define SCHEDULE_SPANS 16
#define SCHEDULE_WHY 96

struct schedule {
	uint8_t days; /* bit 0 is Sunday */
	uint8_t nspans;
	struct {
		uint16_t from, to; /* minutes of the day; to <= from: over midnight */
	} spans[SCHEDULE_SPANS];
	uint32_t zone; /* for the caller */
};

/* Days, spans or both, then the zone's name (none: "UTC"). 0, or -1 and what is wrong. */
int schedule_parse(struct merlon_str s, struct schedule *out, struct merlon_str *zone,
                   char why[SCHEDULE_WHY]);
/* local: seconds since 1970 plus the zone's offset. */
bool schedule_has(const struct schedule *s, int64_t local);

#endif
