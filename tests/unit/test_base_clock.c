/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * RFC 3339 out and in, frozen time, and the process log, whose limiter reads the clock.
 */
#include "base/clock.h"
#include "base/log.h"

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

static bool writes(uint64_t us, const char *want)
{
	char out[CLOCK_RFC3339_LEN + 1] = "";

	clock_rfc3339(us, out);
	return strcmp(out, want) == 0;
}

static void stamps(void)
{
	CU_ASSERT(writes(0, "1970-01-01T00:00:00.000000Z"));
	CU_ASSERT(writes(1, "1970-01-01T00:00:00.000001Z"));
	CU_ASSERT(writes(UINT64_C(951782400000000), "2000-02-29T00:00:00.000000Z"));
	CU_ASSERT(writes(UINT64_C(1795329933123456), "2026-11-22T06:45:33.123456Z"));
	CU_ASSERT(writes(UINT64_C(1795329933999999), "2026-11-22T06:45:33.999999Z"));
	CU_ASSERT(writes(UINT64_C(4107542399000000), "2100-02-28T23:59:59.000000Z"));
	CU_ASSERT(writes(UINT64_C(4107542400000000), "2100-03-01T00:00:00.000000Z"));
	CU_ASSERT(writes(UINT64_MAX, "9999-12-31T23:59:59.999999Z"));
}

static void stamps_agree_with_the_c_library(void)
{
	for (uint64_t day = 0; day < 80000; day += 13) {
		time_t t = (time_t)(day * 86400 + day % 86400);
		char want[40];
		struct tm tm;

		gmtime_r(&t, &tm);
		strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.000000Z", &tm);
		CU_ASSERT_FATAL(writes((uint64_t)t * 1000000, want));
	}
}

static void what_is_written_can_be_read(void)
{
	for (uint64_t us = 0; us < UINT64_C(5000000000000000); us += UINT64_C(7777777777777)) {
		char out[CLOCK_RFC3339_LEN];
		int64_t back;

		clock_rfc3339(us, out);
		CU_ASSERT_FATAL(clock_parse_rfc3339((struct str){out, sizeof(out)}, &back) == 0);
		CU_ASSERT_FATAL(back == (int64_t)us);
	}
}

static void offsets_and_fractions(void)
{
	static const struct {
		const char *text;
		int64_t us;
	} rows[] = {
	    {"1970-01-01T00:00:00Z", 0},
	    {"1970-01-01t00:00:01z", 1000000},
	    {"1970-01-01T01:00:00+01:00", 0},
	    {"1969-12-31T22:30:00-01:30", 0},
	    {"1970-01-01T00:00:00.5Z", 500000},
	    {"1970-01-01T00:00:00.123456789Z", 123456},
	    {"1969-12-31T23:59:59.5Z", -500000},
	    {"2016-12-31T23:59:60Z", INT64_C(1483228800000000)},
	    {"0000-03-01T00:00:00Z", INT64_C(-62162035200000000)},
	};
	int64_t us;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CU_ASSERT(clock_parse_rfc3339(str_of(rows[i].text), &us) == 0 && us == rows[i].us);
}

static void other_forms_are_refused(void)
{
	static const char *const bad[] = {
	    "",
	    "1970-01-01",
	    "1970-01-01T00:00:00",
	    "1970-01-01 00:00:00Z",
	    "1970-1-01T00:00:00Z",
	    "1970-13-01T00:00:00Z",
	    "1970-00-01T00:00:00Z",
	    "1970-01-00T00:00:00Z",
	    "1970-02-29T00:00:00Z",
	    "1900-02-29T00:00:00Z",
	    "1970-04-31T00:00:00Z",
	    "1970-01-01T24:00:00Z",
	    "1970-01-01T00:60:00Z",
	    "1970-01-01T00:00:61Z",
	    "1970-01-01T00:00:00.Z",
	    "1970-01-01T00:00:00.1234567890Z",
	    "1970-01-01T00:00:00+24:00",
	    "1970-01-01T00:00:00+0100",
	    "1970-01-01T00:00:00+01:60",
	    "1970-01-01T00:00:00ZZ",
	    "1970-01-01T00:00:00Z ",
	    " 1970-01-01T00:00:00Z",
	    "-970-01-01T00:00:00Z",
	};
	int64_t us;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT(clock_parse_rfc3339(str_of(bad[i]), &us) == -1);
}

static void frozen_clocks_stand_still(void)
{
	uint64_t before = clock_mono();

	clock_freeze(5, 7);
	CU_ASSERT(clock_mono() == 5 && clock_real_us() == 7);
	clock_unfreeze();
	CU_ASSERT(clock_mono() >= before);
	CU_ASSERT(clock_real_us() > UINT64_C(1500000000000000));
}

static size_t drain(int fd, char *out, size_t room)
{
	ssize_t n = read(fd, out, room - 1);

	out[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static void a_message_is_one_printable_line(void)
{
	char out[16384], lengthy[8000];
	int fds[2];

	CU_ASSERT_FATAL(pipe(fds) == 0);
	log_set_fd(fds[1]);
	log_msg(LOG_L_WARN, "a=%s", "x\ny\x1b\xc3\xa4\x7f~");
	drain(fds[0], out, sizeof(out));
	CU_ASSERT_STRING_EQUAL(out, "warning: a=x\\x0ay\\x1b\\xc3\\xa4\\x7f~\n");
	log_msg(LOG_L_INFO, "below the level");
	log_set_level(LOG_L_INFO);
	log_msg(LOG_L_INFO, "now wanted");
	log_set_level(LOG_L_NOTICE);
	drain(fds[0], out, sizeof(out));
	CU_ASSERT_STRING_EQUAL(out, "info: now wanted\n");
	memset(lengthy, '\n', sizeof(lengthy) - 1);
	lengthy[sizeof(lengthy) - 1] = '\0';
	log_msg(LOG_L_ERROR, "%s", lengthy);
	CU_ASSERT(drain(fds[0], out, sizeof(out)) > 4000);
	CU_ASSERT(strchr(out, '\n') == out + strlen(out) - 1);
	log_set_fd(2);
	close(fds[0]);
	close(fds[1]);
}

/* In a process of its own, because the environment is looked at once. */
static void the_journal_gets_the_priority_first(void)
{
	char out[256];
	int fds[2], status = -1;
	pid_t pid;

	CU_ASSERT_FATAL(pipe(fds) == 0);
	pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0) {
		setenv("JOURNAL_STREAM", "8:1", 1);
		log_set_fd(fds[1]);
		log_msg(LOG_L_ERROR, "text");
		_exit(0);
	}
	CU_ASSERT(waitpid(pid, &status, 0) == pid && status == 0);
	drain(fds[0], out, sizeof(out));
	CU_ASSERT_STRING_EQUAL(out, "<3>error: text\n");
	close(fds[0]);
	close(fds[1]);
}

static void a_limited_place_tells_what_it_dropped(void)
{
	struct log_limit limit = {0};
	char out[4096];
	int fds[2];

	CU_ASSERT_FATAL(pipe(fds) == 0);
	log_set_fd(fds[1]);
	clock_freeze(0, 0);
	for (int i = 0; i < 5; i++)
		log_limited(&limit, 2, LOG_L_NOTICE, "n=%d", i);
	drain(fds[0], out, sizeof(out));
	CU_ASSERT_STRING_EQUAL(out, "notice: n=0\nnotice: n=1\n");
	clock_freeze(NS_PER_S, 0);
	log_limited(&limit, 2, LOG_L_NOTICE, "n=5");
	log_limited(&limit, 2, LOG_L_NOTICE, "n=6");
	drain(fds[0], out, sizeof(out));
	CU_ASSERT_STRING_EQUAL(out, "notice: n=5 dropped=3\nnotice: n=6\n");
	clock_unfreeze();
	log_set_fd(2);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	static const struct unit_test tests[] = {
	    UNIT(the_journal_gets_the_priority_first), /* before the first line is logged here */
	    UNIT(stamps),
	    UNIT(stamps_agree_with_the_c_library),
	    UNIT(what_is_written_can_be_read),
	    UNIT(offsets_and_fractions),
	    UNIT(other_forms_are_refused),
	    UNIT(frozen_clocks_stand_still),
	    UNIT(a_message_is_one_printable_line),
	    UNIT(a_limited_place_tells_what_it_dropped),
	};

	/* Under a service manager the lines would begin with their priority. */
	unsetenv("JOURNAL_STREAM");
	return unit_run("clock", tests, sizeof(tests) / sizeof(tests[0]));
}
