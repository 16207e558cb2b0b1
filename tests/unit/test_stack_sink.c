/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Sinks and their files: every record that was taken is in the file once, in its order, and the
 * chain over the records goes on over restarts, rotation and torn lines.
 */
#include "stack_sink.h"

#include <sched.h>
#include <sys/file.h>

static void records_are_framed_in_order(void)
{
	struct seen c = {0};
	struct fake f;

	set_up();
	fake_start(&f, "audit.log");
	for (unsigned i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(append(&f, "record"), 0);
	CU_ASSERT_EQUAL(append(&f, ""), 0);
	CU_ASSERT_EQUAL(append(&f, "drop"), 0); /* taken, and refused by the framing */
	CU_ASSERT_EQUAL(append(&f, "last"), 0);
	sinks_flush();
	chain_check(&c, "audit.log", NULL);
	CU_ASSERT_EQUAL(c.seq, 1002);
	CU_ASSERT(str_eq(c.last, STR("last")));
	fake_close(&f);
	tear_down();
}

static void the_timer_writes_without_a_flush(void)
{
	struct seen c = {0};
	struct stat st = {0};
	struct fake f;

	set_up();
	CU_ASSERT_EQUAL_FATAL(fake_open(&f, "audit.log", 1), 0);
	CU_ASSERT_STRING_EQUAL_FATAL(published(), "");
	CU_ASSERT_EQUAL(append(&f, "one"), 0);
	/* Hangs if the writer never wakes. */
	while (stat(path_of("audit.log"), &st) < 0 || st.st_size == 0)
		sched_yield();
	CU_ASSERT_EQUAL(append(&f, "two"), 0);
	while (stat(path_of("audit.log"), &st) < 0 || st.st_size < 15)
		sched_yield();
	chain_check(&c, "audit.log", NULL);
	CU_ASSERT_EQUAL(c.seq, 2);
	fake_close(&f);
	tear_down();
}

static void nothing_is_taken_before_publishing_or_for_explain(void)
{
	struct tx_base tx = {.dry = true};
	struct stat st;
	struct fake f;

	set_up();
	CU_ASSERT_EQUAL_FATAL(fake_open(&f, "audit.log", 50), 0);
	CU_ASSERT_EQUAL(append(&f, "x"), MERLON_E_UNAVAIL);
	CU_ASSERT_EQUAL(host_sink_ready(f.sink, NULL, 1), MERLON_E_UNAVAIL);
	CU_ASSERT(stat(path_of("audit.log"), &st) < 0);
	CU_ASSERT_EQUAL(host_sink_append(f.sink, (merlon_tx *)(void *)&tx, REC("x")), 0);
	CU_ASSERT_EQUAL(host_sink_ready(f.sink, (merlon_tx *)(void *)&tx, 1), 0);
	CU_ASSERT_STRING_EQUAL_FATAL(published(), "");
	CU_ASSERT_EQUAL(host_sink_append(f.sink, (merlon_tx *)(void *)&tx, REC("x")), 0);
	sinks_flush();
	CU_ASSERT_EQUAL(stat(path_of("audit.log"), &st), 0);
	CU_ASSERT_EQUAL(st.st_size, 0);
	CU_ASSERT_EQUAL(st.st_mode & 07137, 0);
	fake_close(&f);
	tear_down();
}

static void the_chain_goes_on_after_a_restart(void)
{
	struct seen c = {0};
	struct fake f;

	set_up();
	for (unsigned i = 0; i < 3; i++) {
		fake_start(&f, "audit.log");
		CU_ASSERT_EQUAL(append(&f, "one"), 0);
		fake_close(&f); /* writes what there is */
	}
	chain_check(&c, "audit.log", NULL);
	CU_ASSERT_EQUAL(c.seq, 3);
	tear_down();
}

static void the_chain_goes_on_over_rotation_and_restart(void)
{
	struct timespec old[2] = {{1000, 0}, {1000, 0}};
	struct seen c = {0};
	struct fake f;

	set_up();
	/* Older, foreign and unreadable neighbours are not taken. */
	write_file("audit.log.2", "900 1 old\n", 0);
	utimensat(AT_FDCWD, path_of("audit.log.2"), old, 0);
	write_file("audit.log.gz", "no line", 0);
	utimensat(AT_FDCWD, path_of("audit.log.gz"), old, 0);
	fake_start(&f, "other.log"); /* of that name nothing was rotated */
	fake_close(&f);
	write_file("audit.log", "", 0);
	fake_start(&f, "audit.log");
	CU_ASSERT_EQUAL(append(&f, "one"), 0);
	fake_close(&f);
	CU_ASSERT_EQUAL(rename(path_of("audit.log"), path_of("audit.log-20260102")), 0);
	write_file("audit.log.torn", "5 5 torn\n", 0);
	write_file("audit.logs", "7 7 other\n", 0);
	write_file("audit.log.bak", "damaged\n", 0);
	fake_start(&f, "audit.log");
	CU_ASSERT_EQUAL(append(&f, "two"), 0);
	fake_close(&f);
	c.seq = 900; /* the oldest one was all there was at first */
	c.prev = (uint32_t)hash_sip(STR("900 1 old"));
	chain_check(&c, "audit.log-20260102", NULL);
	chain_check(&c, "audit.log", NULL);
	CU_ASSERT_EQUAL(c.seq, 902);
	tear_down();
}

static void a_torn_line_is_moved_and_recorded(void)
{
	struct seen c = {0};
	struct fake f;
	struct buf b;

	set_up();
	fake_start(&f, "audit.log");
	CU_ASSERT_EQUAL(append(&f, "one"), 0);
	fake_close(&f);
	write_file("audit.log", "2 77 tor", O_APPEND);
	fake_start(&f, "audit.log");
	CU_ASSERT_EQUAL(append(&f, "three"), 0);
	fake_close(&f);
	write_file("audit.log", "again", O_APPEND);
	fake_start(&f, "audit.log");
	fake_close(&f);
	chain_check(&c, "audit.log", NULL);
	CU_ASSERT_EQUAL(c.seq, 4);
	CU_ASSERT(str_eq(c.last, STR("torn:audit.log.torn")));
	read_file("audit.log.torn", &b);
	CU_ASSERT(str_eq(buf_str(&b), STR("2 77 toragain")));
	buf_deinit(&b);
	tear_down();
}

static void a_file_without_any_whole_line_is_torn_whole(void)
{
	struct seen c = {0};
	struct fake f;
	struct buf b;
	char *big = xmalloc(200001);

	set_up();
	memset(big, 'x', 200000);
	big[200000] = '\0';
	write_file("audit.log", big, 0);
	fake_start(&f, "audit.log");
	fake_close(&f);
	chain_check(&c, "audit.log", NULL);
	CU_ASSERT_EQUAL(c.seq, 1);
	read_file("audit.log.torn", &b);
	CU_ASSERT(str_eq(buf_str(&b), (struct str){big, 200000}));
	buf_deinit(&b);
	free(big);
	tear_down();
}

/* Of two new files neither is opened when one cannot be. */
static void a_damaged_file_is_refused_and_nothing_opened(void)
{
	struct fake good;
	struct fake bad;
	int fd;

	set_up();
	write_file("bad.log", "damaged\n", 0);
	CU_ASSERT_EQUAL(fake_open(&good, "good.log", 50), 0);
	CU_ASSERT_EQUAL(fake_open(&bad, "bad.log", 50), 0);
	CU_ASSERT_STRING_EQUAL(published(), "its last record is damaged");
	CU_ASSERT_EQUAL(append(&good, "x"), MERLON_E_UNAVAIL);
	fd = open(path_of("good.log"), O_RDWR);
	CU_ASSERT_EQUAL(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
	sinks_discard();
	CU_ASSERT_STRING_EQUAL(published(), ""); /* what was dropped is not tried again */
	CU_ASSERT_EQUAL(append(&good, "x"), MERLON_E_UNAVAIL);
	fake_close(&good);
	fake_close(&bad);
	tear_down();
}

/* Taken for "no record yet", it would begin the chain anew without a word. */
static void an_empty_last_line_is_damage(void)
{
	struct fake f;

	set_up();
	write_file("audit.log", "1 0 a\n\n", 0);
	CU_ASSERT_EQUAL(fake_open(&f, "audit.log", 50), 0);
	CU_ASSERT_STRING_EQUAL(published(), "its last record is damaged");
	fake_close(&f);
	tear_down();
}

static void a_link_and_its_file_are_one_sink(void)
{
	struct fake a;
	struct fake b;
	struct seen c = {0};

	set_up();
	write_file("audit.log", "", 0);
	CU_ASSERT_EQUAL(symlink("audit.log", path_of("link.log")), 0);
	fake_start(&a, "link.log");
	fake_start(&b, "audit.log");
	CU_ASSERT_EQUAL(append(&a, "x"), 0);
	CU_ASSERT_EQUAL(append(&b, "y"), 0);
	fake_close(&a);
	fake_close(&b);
	chain_check(&c, "audit.log", NULL);
	CU_ASSERT_EQUAL(c.seq, 2);
	tear_down();
}

/* Its frames would not continue what the first one's state says. */
static void another_module_may_not_share_the_file(void)
{
	static const struct merlon_module one = {.name = "one"}, two = {.name = "two"};
	const char *path;
	struct fake a = {.ctx.m = &one};
	struct fake b = {.ctx.m = &two};
	struct merlon_str name;

	set_up();
	path = path_of("audit.log");
	name = (struct merlon_str){path, strlen(path)};
	list_init(&a.ctx.shared);
	list_init(&b.ctx.shared);
	CU_ASSERT_EQUAL(host_sink_open(&a.ctx, NULL, name, 50, &ops, &a.sink), 0);
	CU_ASSERT_EQUAL(host_sink_open(&b.ctx, NULL, name, 50, &ops, &b.sink), MERLON_E_INVAL);
	fake_close(&a);
	tear_down();
}

static void unsafe_places_are_refused(void)
{
	struct stat st;
	struct fake f;

	set_up();
	CU_ASSERT_EQUAL(fake_open(&f, "missing/audit.log", 50), MERLON_E_NOENT);
	CU_ASSERT_EQUAL(mkdir(path_of("folder"), 0700), 0);
	CU_ASSERT_EQUAL(fake_open(&f, "folder", 50), MERLON_E_INVAL);
	CU_ASSERT_EQUAL(rmdir(path_of("folder")), 0);
	CU_ASSERT_EQUAL(chmod(folder, 0777), 0);
	CU_ASSERT_EQUAL(fake_open(&f, "audit.log", 50), 0);
	CU_ASSERT_STRING_NOT_EQUAL(published(), "");
	CU_ASSERT(stat(path_of("audit.log"), &st) < 0); /* not left behind */
	CU_ASSERT_EQUAL(chmod(folder, 0700), 0);
	write_file("audit.log", "", 0);
	CU_ASSERT_EQUAL(chmod(path_of("audit.log"), 0666), 0);
	CU_ASSERT_STRING_NOT_EQUAL(published(), "");
	CU_ASSERT_EQUAL(unlink(path_of("audit.log")), 0);
	CU_ASSERT_EQUAL(mkfifo(path_of("audit.log"), 0600), 0);
	CU_ASSERT_STRING_NOT_EQUAL(published(), "");
	fake_close(&f);
	tear_down();
}

static void a_second_process_is_refused(void)
{
	struct fake f;
	int fd;

	set_up();
	write_file("audit.log", "", 0);
	fd = open(path_of("audit.log"), O_RDWR);
	/* A lock belongs to the open file, so one of our own stands in the way just as well. */
	CU_ASSERT_EQUAL(flock(fd, LOCK_EX | LOCK_NB), 0);
	CU_ASSERT_EQUAL(fake_open(&f, "audit.log", 50), 0);
	CU_ASSERT_STRING_EQUAL(published(), "is in use by another process");
	close(fd);
	CU_ASSERT_STRING_EQUAL(published(), "");
	fd = open(path_of("audit.log"), O_RDWR);
	CU_ASSERT(flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK);
	close(fd);
	fake_close(&f);
	tear_down();
}

static void reopening_follows_the_name(void)
{
	struct seen c = {0};
	struct fake f;
	struct stat st;

	set_up();
	fake_start(&f, "audit.log");
	CU_ASSERT_EQUAL(append(&f, "one"), 0);
	sinks_flush();
	CU_ASSERT_EQUAL(rename(path_of("audit.log"), path_of("audit.log.1")), 0);
	CU_ASSERT_EQUAL(append(&f, "two"), 0);
	sinks_flush();
	CU_ASSERT(stat(path_of("audit.log"), &st) < 0);
	sinks_reopen();
	sinks_flush();
	CU_ASSERT_EQUAL(append(&f, "three"), 0);
	sinks_reopen(); /* the same file: nothing changes */
	sinks_flush();
	CU_ASSERT_EQUAL(append(&f, "four"), 0);
	fake_close(&f);
	chain_check(&c, "audit.log.1", NULL);
	CU_ASSERT_EQUAL(c.seq, 2);
	chain_check(&c, "audit.log", NULL);
	CU_ASSERT_EQUAL(c.seq, 4);
	tear_down();
}

static void two_generations_share_one_file(void)
{
	static const struct merlon_sink_ops other = {
	    .size = sizeof(other), .state_size = 8, .overhead = 64, .init = init, .frame = frame};
	const char *path;
	struct seen c = {0};
	struct fake a;
	struct fake b;
	struct fake bad;

	set_up();
	fake_start(&a, "audit.log");
	CU_ASSERT_EQUAL(append(&a, "one"), 0);
	fake_start(&b, "./audit.log"); /* another name of the same place */
	CU_ASSERT_EQUAL(append(&b, "two"), 0);
	CU_ASSERT_EQUAL(append(&a, "three"), 0);
	path = path_of("audit.log");
	memset(&bad, 0, sizeof(bad));
	list_init(&bad.ctx.shared);
	CU_ASSERT_EQUAL(host_sink_open(&bad.ctx, NULL, (struct merlon_str){path, strlen(path)}, 50,
	                               &other, &bad.sink),
	                MERLON_E_INVAL);
	fake_close(&a);
	CU_ASSERT_EQUAL(append(&b, "four"), 0);
	fake_close(&b);
	chain_check(&c, "audit.log", NULL);
	CU_ASSERT_EQUAL(c.seq, 4);
	tear_down();
}

UNIT_MAIN("stack_sink", UNIT(records_are_framed_in_order), UNIT(the_timer_writes_without_a_flush),
          UNIT(nothing_is_taken_before_publishing_or_for_explain),
          UNIT(the_chain_goes_on_after_a_restart),
          UNIT(the_chain_goes_on_over_rotation_and_restart),
          UNIT(a_torn_line_is_moved_and_recorded),
          UNIT(a_file_without_any_whole_line_is_torn_whole),
          UNIT(a_damaged_file_is_refused_and_nothing_opened), UNIT(an_empty_last_line_is_damage),
          UNIT(a_link_and_its_file_are_one_sink), UNIT(another_module_may_not_share_the_file),
          UNIT(unsafe_places_are_refused), UNIT(a_second_process_is_refused),
          UNIT(reopening_follows_the_name), UNIT(two_generations_share_one_file))
