/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Records against the fake host: what one worker's recorder keeps from one record for the next must
 * not show.
 */
#include "common/fakehost.h"
#include "common/record.h"

#include "unit/unit.h"

#include <inttypes.h>

static merlon_ctx ctx = {
    .stack = "default", .group = "audit", .line = "file", .module = "audit_file"};

static struct merlon_str rendered(merlon_tx *tx, char buf[RECORD_ROOM])
{
	struct recorder r = {.h = &fake_host, .ctx = &ctx};

	record_read(&r, tx);
	return record_render(&r, tx, TXT("close"), buf);
}

/* Decisions of the same texts are not written anew: each must be its own all the same. */
static void decisions_are_told_apart(void)
{
	static const char *const codes[] = {"OK", "DENIED", "OK", "ERROR"};
	static char buf[RECORD_ROOM + 1], name[FAKE_DECISIONS][160];
	struct recorder r = {.h = &fake_host, .ctx = &ctx};
	merlon_tx *tx = fake_tx_new();

	for (unsigned i = 0; i < FAKE_DECISIONS; i++)
		snprintf(name[i], sizeof(name[i]), "%0*u\"", i % 3 == 2 ? 140 : 3, i);
	for (unsigned round = 0; round < 12; round++) {
		tx->ndecisions = round % 2 ? FAKE_DECISIONS : 5;
		for (unsigned i = 0; i < tx->ndecisions; i++) {
			tx->decisions[i] =
			    fake_decision("authz", codes[(round / 3 + i) % 4],
			                  (round + i) % 3 ? "p\n" : "", round & i & 1);
			tx->decisions[i].line = txt_of(name[(i + round / 4) % FAKE_DECISIONS]);
		}
		record_read(&r, tx);
		struct merlon_str s = record_render(&r, tx, TXT("close"), buf);
		buf[s.len] = '\0';
		const char *at = strstr(buf, ",\"decisions\":[") + strlen(",\"decisions\":[");
		for (unsigned i = 0; i < tx->ndecisions; i++) {
			const struct merlon_decision *d = &tx->decisions[i];
			char want[512];
			int n = snprintf(want, sizeof(want),
			                 "%s{\"group\":\"authz\",\"line\":\"%.*s\\\"\","
			                 "\"module\":\"mod\",\"code\":\"%.*s\",\"policy\":%s,"
			                 "\"shadow\":%s}",
			                 i ? "," : "", (int)d->line.len - 1, d->line.ptr,
			                 TXT_FMT(d->code), d->policy.len ? "\"p\\u000a\"" : "null",
			                 d->shadow ? "true" : "false");
			CU_ASSERT_EQUAL(strncmp(at, want, (size_t)n), 0);
			at += n;
		}
		CU_ASSERT_STRING_EQUAL(at, "]");
	}
	fake_tx_free(tx);
}

static void points_in_time_follow_each_other(void)
{
	static const struct {
		int64_t us;
		const char *text;
	} table[] = {
	    {0, "1970-01-01T00:00:00.000000Z"},
	    {-1, "1970-01-01T00:00:00.000000Z"},
	    {7, "1970-01-01T00:00:00.000007Z"},
	    {INT64_MIN, "1970-01-01T00:00:00.000000Z"},
	    {INT64_C(1795329933123456), "2026-11-22T06:45:33.123456Z"},
	    {INT64_C(1795329933999999), "2026-11-22T06:45:33.999999Z"},
	    {INT64_C(1795329934000000), "2026-11-22T06:45:34.000000Z"},
	    {INT64_C(1795329933000001), "2026-11-22T06:45:33.000001Z"},
	    {INT64_C(253402300799000001), "9999-12-31T23:59:59.000001Z"},
	    {INT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z"},
	    {INT64_C(253402300800000000), "9999-12-31T23:59:59.999999Z"},
	    {INT64_C(253402300800000001), "9999-12-31T23:59:59.999999Z"},
	    {INT64_MAX, "9999-12-31T23:59:59.999999Z"},
	};
	static char buf[RECORD_ROOM];
	struct recorder r = {.h = &fake_host, .ctx = &ctx};
	merlon_tx *tx = fake_tx_new();

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		fake_record_i64(tx, MERLON_REC_TIMESTAMP, table[i].us);
		record_read(&r, tx);
		record_render(&r, tx, TXT("close"), buf);
		CU_ASSERT_EQUAL(memcmp(buf + 14, table[i].text, TXT_RFC3339_LEN), 0);
	}
	fake_tx_free(tx);
}

static void numbers_of_every_length(void)
{
	static char buf[RECORD_ROOM + 1];
	merlon_tx *tx = fake_tx_new();
	uint64_t v = 1;

	for (unsigned i = 0; i < 3 * 19; i++, v *= i % 3 ? 1 : 10) {
		char want[64];
		uint64_t n = v - 1 + i % 3; /* around a power of ten */
		fake_record_i64(tx, MERLON_REC_INPUT_BYTES, (int64_t)n);
		fake_record_i64(tx, MERLON_REC_OUTPUT_BYTES, -(int64_t)n);
		fake_record_i64(tx, MERLON_REC_DURATION_US, (int64_t)n);
		buf[rendered(tx, buf).len] = '\0';
		snprintf(want, sizeof(want), "\"input_bytes\":%" PRIu64 ",", n);
		CU_ASSERT_PTR_NOT_NULL(strstr(buf, want));
		snprintf(want, sizeof(want), "\"output_bytes\":%" PRId64 ",", -(int64_t)n);
		CU_ASSERT_PTR_NOT_NULL(strstr(buf, want));
		snprintf(want, sizeof(want), "\"duration_ms\":%" PRIu64 ".%03" PRIu64 ",", n / 1000,
		         n % 1000);
		CU_ASSERT_PTR_NOT_NULL(strstr(buf, want));
	}
	fake_tx_free(tx);
}

static void a_vouched_text_is_the_same_text(void)
{
	static char one[RECORD_ROOM], other[RECORD_ROOM];
	char value[100];
	merlon_tx *tx = fake_tx_new();

	for (size_t n = 0; n < sizeof(value); n++) {
		for (size_t i = 0; i < n; i++)
			value[i] = (char)('#' + (i + n) % 50);
		tx->record[MERLON_REC_USER_ID] =
		    (struct merlon_val){.type = MERLON_VAL_STR, .u.str = {value, n}};
		tx->vouched = 0;
		struct merlon_str a = rendered(tx, one);
		tx->vouched = UINT32_C(1) << MERLON_REC_USER_ID;
		CU_ASSERT_TRUE(txt_eq(a, rendered(tx, other)));
	}
	fake_tx_free(tx);
}

UNIT_MAIN("record", UNIT(decisions_are_told_apart), UNIT(points_in_time_follow_each_other),
          UNIT(numbers_of_every_length), UNIT(a_vouched_text_is_the_same_text))
