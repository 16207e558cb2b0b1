/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * merlonctl audit verify on logs that audit_file has framed: whole logs hold, and no edit, loss or
 * reorder goes unseen. What cannot be seen from the file alone is a cut at the end of a line at the
 * end of the chain; the test says so too.
 */
#include "ctl/cmd_audit.h"

#include "base/hash.h"
#include "chain.h"

#include "unit/unit.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINES 50

static char dir[] = "/tmp/merlon-verify-XXXXXX";
static char text[LINES][2048]; /* with their line feeds */
static char heads[LINES][SHA_HEX + 1];
static char path[2][64], out[4096];

static void make_log(void)
{
	struct chain c;

	if (text[0][0])
		return;
	hash_init();
	CU_ASSERT_EQUAL_FATAL(chain_setup(), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path[0], sizeof(path[0]), "%s/a.log", dir);
	snprintf(path[1], sizeof(path[1]), "%s/b.log", dir);
	chain_ops.init(&c, (struct merlon_str){NULL, 0});
	for (int i = 0; i < LINES; i++) {
		char record[1024];
		struct merlon_sink_out o = {text[i], sizeof(text[i]), 0};
		struct merlon_str r =
		    record_notice(INT64_C(1795329933123456) + i, TXT("close"),
		                  TXT("x\",\"seq\":1,\"prev\":\""), record, sizeof(record));
		CU_ASSERT_EQUAL_FATAL(chain_ops.frame(&c, MERLON_SINK_RECORD, 0, r, &o), 0);
		text[i][o.len] = '\0';
		memcpy(heads[i], c.prev, SHA_HEX);
	}
}

static void write_lines(const char *name, const int *order, int n)
{
	FILE *f = fopen(name, "w");

	for (int i = 0; i < n; i++)
		fputs(text[order[i]], f);
	fclose(f);
}

static void write_range(const char *name, int from, int to)
{
	int order[LINES];

	for (int i = from; i < to; i++)
		order[i - from] = i;
	write_lines(name, order, to - from);
}

/* Runs the command; what it says on both outputs is in `out`. */
static int run(bool json, int argc, char **argv)
{
	static int said = -1; /* in memory: this is called a hundred thousand times */
	int kept[2] = {dup(1), dup(2)};
	ssize_t n;

	if (said < 0)
		said = memfd_create("out", MFD_CLOEXEC);
	CU_ASSERT_EQUAL_FATAL(ftruncate(said, 0), 0);
	lseek(said, 0, SEEK_SET);
	fflush(stdout);
	dup2(said, 1);
	dup2(said, 2);
	int code = ctl_audit(argc, argv, json);
	fflush(stdout);
	dup2(kept[0], 1);
	dup2(kept[1], 2);
	n = pread(said, out, sizeof(out) - 1, 0);
	out[n > 0 ? n : 0] = '\0';
	close(kept[0]);
	close(kept[1]);
	return code;
}

static int verify(void)
{
	char *argv[] = {(char[]){"verify"}, path[0], NULL};

	return run(false, 2, argv);
}

static void a_whole_log_holds(void)
{
	char want[300];

	make_log();
	write_range(path[0], 0, LINES);
	CU_ASSERT_EQUAL(verify(), 0);
	snprintf(want, sizeof(want), "%s: 50 records, seq 1..50, head %s\n", path[0], heads[49]);
	CU_ASSERT_STRING_EQUAL(out, want);
	char *argv[] = {(char[]){"verify"}, path[0], NULL};
	CU_ASSERT_EQUAL(run(true, 2, argv), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "{\"ok\":true,\"files\":[{\"file\":"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "\"records\":50,\"first\":1,\"last\":50,\"head\":"));
	write_range(path[0], 0, 0);
	CU_ASSERT_EQUAL(verify(), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, ": 0 records"));
}

static void several_files_are_one_chain(void)
{
	char from[100];
	char *both[] = {(char[]){"verify"}, path[0], path[1], NULL};
	char *swapped[] = {(char[]){"verify"}, path[1], path[0], NULL};
	char *second[] = {(char[]){"verify"}, path[1], NULL};
	char *anchored[] = {(char[]){"verify"}, (char[]){"--from"}, from, path[1], NULL};

	write_range(path[0], 0, 20);
	write_range(path[1], 20, LINES);
	CU_ASSERT_EQUAL(run(false, 3, both), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "b.log: 30 records, seq 21..50, head"));
	CU_ASSERT_EQUAL(run(false, 3, swapped), 1);
	CU_ASSERT_EQUAL(run(false, 2, second), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "b.log:1: seq is 21 where 1 must follow"));
	snprintf(from, sizeof(from), "20:%s", heads[19]);
	CU_ASSERT_EQUAL(run(false, 4, anchored), 0);
	snprintf(from, sizeof(from), "20:%s", heads[18]);
	CU_ASSERT_EQUAL(run(false, 4, anchored), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "b.log:1: prev is not the hash of the line before"));
	snprintf(from, sizeof(from), "19:%s", heads[19]);
	CU_ASSERT_EQUAL(run(false, 4, anchored), 1);
}

static void every_changed_byte_is_found_in_its_line(void)
{
	char want[32];
	off_t at = 0;

	write_range(path[0], 0, LINES);
	int fd = open(path[0], O_RDWR);
	for (int i = 0; i < LINES; i++) {
		snprintf(want, sizeof(want), "a.log:%d: ", i + 1);
		for (const char *p = text[i]; *p; p++, at++) {
			char changed = (char)(*p ^ 1);
			CU_ASSERT_EQUAL(pwrite(fd, &changed, 1, at), 1);
			int code = verify();
			CU_ASSERT_EQUAL(code, 1);
			CU_ASSERT_PTR_NOT_NULL(strstr(out, want));
			CU_ASSERT_EQUAL(pwrite(fd, p, 1, at), 1);
		}
	}
	close(fd);
	CU_ASSERT_EQUAL(verify(), 0);
}

static void every_dropped_swapped_or_doubled_line_is_found(void)
{
	int order[LINES + 1];

	for (int i = 0; i < LINES; i++) {
		int n = 0;
		for (int k = 0; k < LINES; k++) {
			if (k != i)
				order[n++] = k;
		}
		write_lines(path[0], order, n);
		/* Without the last line the rest is a chain that holds: the tail needs an anchor
		 * elsewhere. */
		CU_ASSERT_EQUAL(verify(), i == LINES - 1 ? 0 : 1);
		for (int k = n = 0; k < LINES; k++) {
			order[n++] = k;
			if (k == i)
				order[n++] = k;
		}
		write_lines(path[0], order, n);
		CU_ASSERT_EQUAL(verify(), 1);
		for (int j = 0; j < i; j++) {
			for (int k = 0; k < LINES; k++)
				order[k] = k == i ? j : k == j ? i : k;
			write_lines(path[0], order, LINES);
			CU_ASSERT_EQUAL(verify(), 1);
		}
	}
}

static void a_cut_within_a_line_is_found(void)
{
	off_t size = 0, at = 0;

	write_range(path[0], 0, LINES);
	for (int i = 0; i < LINES; i++)
		size += (off_t)strlen(text[i]);
	for (int i = LINES; i-- > 0;) {
		at = size - (off_t)strlen(text[i]);
		while (--size > at) {
			CU_ASSERT_EQUAL(truncate(path[0], size), 0);
			CU_ASSERT_EQUAL(verify(), 1);
		}
		CU_ASSERT_EQUAL(truncate(path[0], size), 0);
		CU_ASSERT_EQUAL(verify(), 0); /* at a line's end: not to be seen from the file */
	}
	write_range(path[0], 0, 3);
	CU_ASSERT_EQUAL(truncate(path[0], (off_t)(strlen(text[0]) + 7)), 0);
	CU_ASSERT_EQUAL(verify(), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "a.log:2: the last line is torn"));
}

/* A forger who can compute hashes still cannot give a line two numbers or two links. */
static void doubled_members_are_found(void)
{
	static const char *const extra[] = {",\"seq\":2", ",\"prev\":\"x\"", ",\"hash\":\"x\""};

	for (size_t i = 0; i < 3; i++) {
		char line[4096], hex[SHA256_HEX + 1] = {0};
		uint8_t sum[SHA256_LEN];
		const char *at = strstr(text[0], ",\"org\":");
		size_t n = (size_t)snprintf(line, sizeof(line), "%.*s%s%s", (int)(at - text[0]),
		                            text[0], extra[i], at);
		n -= 9 + SHA_HEX + 3; /* B alone */
		sha256((struct str){line, n}, sum);
		hex_encode(sum, sizeof(sum), hex);
		snprintf(line + n, sizeof(line) - n, ",\"hash\":\"%s\"}\n", hex);
		FILE *f = fopen(path[0], "w");
		fputs(line, f);
		fclose(f);
		CU_ASSERT_EQUAL(verify(), 1);
		CU_ASSERT_PTR_NOT_NULL(strstr(out, "a.log:1: it is not in the form"));
	}
}

static void usage_and_missing_files(void)
{
	char *missing[] = {(char[]){"verify"}, (char[]){"/nonexistent/a.log"}, NULL};
	char *bad_from[] = {(char[]){"verify"}, (char[]){"--from"}, (char[]){"1:00"}, path[0],
	                    NULL};
	char *other[] = {(char[]){"check"}, path[0], NULL};

	CU_ASSERT_EQUAL(run(false, 2, missing), 74);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "/nonexistent/a.log: No such file"));
	CU_ASSERT_EQUAL(run(true, 2, missing), 74);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "\"ok\":false"));
	CU_ASSERT_EQUAL(run(false, 1, missing), 64);
	CU_ASSERT_EQUAL(run(false, 0, missing), 64);
	CU_ASSERT_EQUAL(run(false, 4, bad_from), 64);
	CU_ASSERT_EQUAL(run(false, 2, other), 64);
	unlink(path[0]);
	unlink(path[1]);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

UNIT_MAIN("audit verify", UNIT(a_whole_log_holds), UNIT(several_files_are_one_chain),
          UNIT(every_changed_byte_is_found_in_its_line),
          UNIT(every_dropped_swapped_or_doubled_line_is_found), UNIT(a_cut_within_a_line_is_found),
          UNIT(doubled_members_are_found), UNIT(usage_and_missing_files))
