/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Sinks: every record that was taken is in the file once, in its order, and the chain over the
 * records goes on over restarts, rotation, torn lines and failed writes.
 *
 * The framing here: "SEQ PREV DATA\n", PREV the CRC-32 of the line before.
 */
#include "stack/sink.h"
#include "stack/sinkwriter.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stack/instance.h"
#include "stack/shared.h"
#include "unit.h"

#define REC(lit) ((struct merlon_str){"" lit, sizeof(lit) - 1})

/* ---- the framing ---- */
struct state {
	uint64_t seq;
	uint32_t prev;
};

/* False: no line of ours. *data: its third field. */
static bool line_parse(struct str line, uint64_t *seq, uint32_t *prev, struct str *data)
{
	struct str rest = line;
	struct str a = str_split(&rest, ' ');
	struct str b = str_split(&rest, ' ');
	uint64_t p;

	if (!str_u64(a, seq) || !str_u64(b, &p) || p > UINT32_MAX || !rest.p)
		return false;
	*prev = (uint32_t)p;
	*data = rest;
	return true;
}

static int32_t init(void *arg, struct merlon_str line)
{
	struct state *s = arg;
	struct str data;
	uint32_t prev;

	if (line.len == 0)
		return 0;
	if (!line_parse(from_merlon(line), &s->seq, &prev, &data))
		return -1;
	s->prev = (uint32_t)hash_sip(from_merlon(line));
	return 0;
}

static int32_t frame(void *arg, uint32_t kind, int64_t time_us, struct merlon_str data,
                     struct merlon_sink_out *out)
{
	struct state *s = arg;
	int n = snprintf(out->ptr, out->cap, "%" PRIu64 " %" PRIu32 " %s", ++s->seq, s->prev,
	                 kind == MERLON_SINK_TORN ? "torn:" : "");

	(void)time_us;
	if (data.len == 4 && memcmp(data.ptr, "drop", 4) == 0) {
		s->seq--;
		return -1;
	}
	if (data.len > 0)
		memcpy(out->ptr + n, data.ptr, data.len);
	out->len = (uint64_t)n + data.len;
	s->prev = (uint32_t)hash_sip((struct str){out->ptr, out->len});
	out->ptr[out->len++] = '\n';
	return 0;
}

static const struct merlon_sink_ops ops = {
    .size = sizeof(ops),
    .state_size = sizeof(struct state),
    .overhead = 64,
    .init = init,
    .frame = frame,
};

/* ---- folders and files ---- */
static char folder[64];

static const char *path_of(const char *name)
{
	static char path[8][128];
	static unsigned at;

	at = (at + 1) % 8;
	snprintf(path[at], sizeof(path[at]), "%s/%s", folder, name);
	return path[at];
}

static void write_file(const char *name, const char *text, int flags)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | flags, 0600);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void read_file(const char *name, struct buf *out)
{
	char part[4096];
	int fd = open(path_of(name), O_RDONLY);
	ssize_t n;

	buf_init(out, 1 << 28);
	if (fd < 0)
		return;
	while ((n = read(fd, part, sizeof(part))) > 0)
		CU_ASSERT_EQUAL_FATAL(buf_add(out, part, (size_t)n), 0);
	close(fd);
}

/* ---- an instance that holds a sink ---- */
struct fake {
	struct merlon_ctx ctx;
	merlon_sink *sink;
};

static int32_t fake_open(struct fake *f, const char *name, uint32_t commit_ms)
{
	const char *path = path_of(name);

	memset(f, 0, sizeof(*f));
	list_init(&f->ctx.shared);
	return host_sink_open(&f->ctx, NULL, (struct merlon_str){path, strlen(path)}, commit_ms,
	                      &ops, &f->sink);
}

static void fake_close(struct fake *f)
{
	held_release_all(&f->ctx);
}

/* "" when the generation was published, else why not. */
static const char *published(void)
{
	const char *path = NULL;
	const char *why = "";
	const struct conf_node *at = NULL;
	int r = sinks_publish(&at, &path, &why);

	CU_ASSERT_EQUAL(r != 0, path != NULL);
	return r ? why : "";
}

static void fake_start(struct fake *f, const char *name)
{
	CU_ASSERT_EQUAL_FATAL(fake_open(f, name, 50), 0);
	CU_ASSERT_STRING_EQUAL_FATAL(published(), "");
}

static void set_up(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(folder, sizeof(folder), "%s/merlon-sink-XXXXXX",
	         tmp && strlen(tmp) < 32 ? tmp : "/tmp");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	sinks_start(70);
}

static void tear_down(void)
{
	DIR *dir;
	struct dirent *d;

	sinks_stop();
	dir = opendir(folder);
	while (dir && (d = readdir(dir)))
		unlinkat(dirfd(dir), d->d_name, 0);
	closedir(dir);
	rmdir(folder);
}

static int32_t append(struct fake *f, const char *text)
{
	return host_sink_append(f->sink, NULL, (struct merlon_str){text, strlen(text)});
}

/* ---- chains ---- */
struct seen {
	uint64_t seq;
	uint32_t prev;
	struct str last; /* data of the last record; the file is read again by the next check */
	char last_mem[128];
};

/* The file's records follow those seen so far without a gap. */
static void chain_check(struct seen *c, const char *name, void (*each)(struct str data))
{
	struct buf b;
	struct str rest;

	read_file(name, &b);
	CU_ASSERT(b.n == 0 || b.p[b.n - 1] == '\n');
	rest = (struct str){b.p, b.n ? b.n - 1 : 0};
	while (b.n && rest.p) {
		struct str line = str_split(&rest, '\n');
		struct str data = STR_NONE;
		uint64_t seq = 0;
		uint32_t prev = 0;

		CU_ASSERT_TRUE_FATAL(line_parse(line, &seq, &prev, &data));
		CU_ASSERT_EQUAL(seq, c->seq + 1);
		CU_ASSERT_EQUAL(prev, c->prev);
		c->seq = seq;
		c->prev = (uint32_t)hash_sip(line);
		snprintf(c->last_mem, sizeof(c->last_mem), "%.*s", STR_FMT(data));
		c->last = str_of(c->last_mem);
		if (each)
			each(data);
	}
	buf_deinit(&b);
}

/* ---- tests ---- */
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

/* Without a writer, so that the ring fills up. What ready() keeps back, append() still takes. */
static void ready_promises_what_append_keeps(void)
{
	static char big[SINK_RECORD_MAX];
	struct seen c = {0};
	struct fake f;
	uint64_t taken = 0;
	size_t sizes[] = {1000, 40000, 7, 0, 333};

	set_up();
	sinks_stop();
	memset(big, 'b', sizeof(big));
	CU_ASSERT_EQUAL_FATAL(fake_open(&f, "audit.log", 50), 0);
	CU_ASSERT_STRING_EQUAL_FATAL(published(), "");
	CU_ASSERT_EQUAL(host_sink_append(f.sink, NULL, (struct merlon_str){big, SINK_RECORD_MAX}),
	                MERLON_E_FULL);
	CU_ASSERT_EQUAL(host_sink_ready(f.sink, NULL, SINK_RECORD_MAX), MERLON_E_FULL);
	CU_ASSERT_EQUAL(host_sink_ready(f.sink, NULL, UINT64_MAX), MERLON_E_FULL);
	/* Full to the last byte. */
	for (unsigned i = 0; i < SINK_RING / SINK_RECORD_MAX; i++) {
		struct merlon_str largest = {big, SINK_RECORD_MAX - 8};
		CU_ASSERT_EQUAL(host_sink_append(f.sink, NULL, largest), 0);
		taken++;
	}
	CU_ASSERT_EQUAL(host_sink_ready(f.sink, NULL, 0), MERLON_E_FULL);
	CU_ASSERT_EQUAL(host_sink_append(f.sink, NULL, REC("")), MERLON_E_FULL);
	sinks_flush();
	for (unsigned round = 0; round < 4; round++) {
		uint64_t used = 0;
		int32_t r = 0;

		for (unsigned i = round; r == 0; i++) {
			size_t n = sizes[i % 5];
			size_t need = 8 + (n + 7) / 8 * 8;
			int32_t ready = host_sink_ready(f.sink, NULL, n);

			r = host_sink_append(f.sink, NULL, (struct merlon_str){big, n});
			CU_ASSERT_EQUAL(ready == 0, used + need <= SINK_RING - SINK_RESERVE);
			CU_ASSERT_EQUAL(r == 0, used + need <= SINK_RING);
			used += need;
			taken += r == 0;
		}
		CU_ASSERT_EQUAL(r, MERLON_E_FULL);
		sinks_flush();
		CU_ASSERT_EQUAL(host_sink_ready(f.sink, NULL, 40000), 0);
	}
	fake_close(&f);
	chain_check(&c, "audit.log", NULL);
	CU_ASSERT_EQUAL(c.seq, taken);
	tear_down();
}

static struct ring *control_ring(const struct fake *f)
{
	return atomic_load(&f->sink->file->rings[RING_CONTROL]);
}

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* Bytes of the ring that take memory. */
static size_t touched(struct ring *r)
{
	static unsigned char page[sizeof(struct ring) / 4096 + 1];
	size_t n = 0;

	memset(page, 0, sizeof(page));
	CU_ASSERT_EQUAL_FATAL(mincore(r, sizeof(*r), page), 0);
	for (size_t i = 0; i < sizeof(page); i++)
		n += (page[i] & 1U) * page_size();
	return n;
}

/* Several laps, a few records at a time. */
static void use_lightly(struct fake *f)
{
	static char text[1000];

	memset(text, 't', sizeof(text));
	for (unsigned i = 0; i < SINK_RING / sizeof(text) * 2; i++) {
		CU_ASSERT_EQUAL(
		    host_sink_append(f->sink, NULL, (struct merlon_str){text, sizeof(text)}), 0);
		if (i % 16 == 0)
			sinks_flush();
	}
	sinks_flush();
}

/* 16 records lie in two segments at most; a third is what they move on to. */
#define LITTLE (3 * SINK_SEGMENT + 2 * page_size())

static void a_ring_lives_in_its_beginning(void)
{
	static char big[SINK_RECORD_MAX];
	struct fake f;
	struct ring *r;

	set_up();
	sinks_stop();
	memset(big, 'b', sizeof(big));
	CU_ASSERT_EQUAL_FATAL(fake_open(&f, "audit.log", 50), 0);
	CU_ASSERT_STRING_EQUAL_FATAL(published(), "");
	CU_ASSERT_EQUAL(host_sink_ready(f.sink, NULL, 1000), 0);
	r = control_ring(&f);
	CU_ASSERT(touched(r) <= 2 * page_size());
	use_lightly(&f);
	CU_ASSERT(touched(r) > 0 && touched(r) <= LITTLE);
	/* After it was full it comes back: nothing else is touched again. */
	while (host_sink_append(f.sink, NULL, (struct merlon_str){big, 30000}) == 0)
		;
	CU_ASSERT(touched(r) > SINK_RING - 30000 - 2 * page_size());
	sinks_flush();
	use_lightly(&f);
	CU_ASSERT_EQUAL(madvise((char *)r + page_size(), sizeof(*r) - page_size(), MADV_DONTNEED),
	                0);
	CU_ASSERT(touched(r) <= page_size());
	use_lightly(&f);
	CU_ASSERT(touched(r) <= LITTLE);
	fake_close(&f);
	tear_down();
}

/* ---- a worker that appends while its ring is read, in one thread ---- */
static struct {
	struct fake f;
	struct merlon_worker worker;
	uint64_t random;
	uint64_t put; /* records */
	uint64_t got;
	size_t level; /* of the ring, about which it is kept */
} mixed;

static size_t mixed_size(uint64_t i)
{
	uint64_t h = hash_sip((struct str){(const char *)&i, sizeof(i)});

	if (h % 16 == 0)
		return (size_t)(h >> 8) % (SINK_RECORD_MAX - 8 + 1);
	if (h % 16 < 8)
		return (size_t)(h >> 8) % 3000;
	/* Some that are empty, and some after which a segment often ends. */
	return h % 16 < 12 ? (size_t)(h >> 8) % 5 * 4096 : (size_t)(h >> 8) % 5 * 4096 + 4088;
}

static void mixed_put(void)
{
	static char text[SINK_RECORD_MAX];
	struct tx_base tx = {.worker = &mixed.worker};
	size_t n = mixed_size(mixed.put);

	for (size_t i = 0; i < n; i += 97)
		text[i] = (char)(mixed.put + i);
	if (n)
		text[n - 1] = (char)mixed.put;
	if (host_sink_append(mixed.f.sink, (merlon_tx *)(void *)&tx,
	                     (struct merlon_str){text, n}) == 0)
		mixed.put++;
}

/* Instead of framing, looks at what it was given, and appends some more. */
static int32_t mixed_frame(void *arg, uint32_t kind, int64_t time_us, struct merlon_str data,
                           struct merlon_sink_out *out)
{
	struct ring *r = atomic_load(&mixed.f.sink->file->rings[0]);
	size_t n = mixed_size(mixed.got);
	bool same;

	(void)arg;
	(void)kind;
	(void)time_us;
	same = data.len == n && (n == 0 || data.ptr[n - 1] == (char)mixed.got);
	for (size_t i = 0; same && i + 1 < n; i += 97)
		same = data.ptr[i] == (char)(mixed.got + i);
	CU_ASSERT_TRUE_FATAL(same);
	mixed.got++;
	for (unsigned k = 0; k < 4 && r->tail - r->head < mixed.level; k++)
		mixed_put();
	out->len = 0;
	return 0;
}

static void appends_and_reads_mix(void)
{
	static const struct merlon_sink_ops mixed_ops = {
	    .size = sizeof(mixed_ops), .state_size = 8, .init = init, .frame = mixed_frame};
	static const size_t levels[] = {1, SINK_SEGMENT, 3 * SINK_SEGMENT, SINK_RING / 2,
	                                SINK_RING};
	const char *path;
	struct ring *r;

	set_up();
	sinks_stop();
	memset(&mixed, 0, sizeof(mixed));
	list_init(&mixed.f.ctx.shared);
	path = path_of("audit.log");
	CU_ASSERT_EQUAL_FATAL(host_sink_open(&mixed.f.ctx, NULL,
	                                     (struct merlon_str){path, strlen(path)}, 50,
	                                     &mixed_ops, &mixed.f.sink),
	                      0);
	CU_ASSERT_STRING_EQUAL_FATAL(published(), "");
	mixed_put();
	r = atomic_load(&mixed.f.sink->file->rings[0]);
	for (unsigned i = 0; i < 2 * sizeof(levels) / sizeof(levels[0]); i++) {
		uint64_t until = r->tail + 3 * SINK_RING;
		bool seen[SINK_SEGMENTS] = {false};

		mixed.level = levels[i % (sizeof(levels) / sizeof(levels[0]))];
		while (r->tail < until) {
			mixed_put();
			sinks_flush();
			CU_ASSERT_EQUAL(r->head <= r->tail && r->tail - r->head <= SINK_RING, true);
		}
		for (unsigned k = 0; k < SINK_SEGMENTS; k++) {
			CU_ASSERT_FALSE_FATAL(seen[r->place[k]]);
			seen[r->place[k]] = true;
		}
	}
	mixed.level = 0;
	while (r->head != r->tail)
		sinks_flush();
	CU_ASSERT_EQUAL(mixed.got, mixed.put);
	fake_close(&mixed.f);
	tear_down();
}

static void find_info(void *arg, const struct sink_info *s)
{
	*(struct sink_info *)arg = *s;
}

/* A file size limit stands for a full disk. What was taken is written after the reopening, once. */
static void a_failed_write_loses_nothing(void)
{
	struct sink_info info = {0};
	struct rlimit before;
	struct rlimit low;
	struct seen c = {0};
	struct fake f;
	uint64_t taken = 0;
	struct buf b;

	set_up();
	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &before), 0);
	low = before;
	low.rlim_cur = 100000;
	fake_start(&f, "audit.log");
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &low), 0);
	while (append(&f, "a record of forty bytes that fills files") == 0) {
		taken++;
		if (taken % 100 == 0)
			sinks_flush();
	}
	CU_ASSERT_EQUAL(append(&f, "x"), MERLON_E_UNAVAIL);
	CU_ASSERT_EQUAL(host_sink_ready(f.sink, NULL, 1), MERLON_E_UNAVAIL);
	sink_each(find_info, &info);
	CU_ASSERT_TRUE(info.failed);
	CU_ASSERT(info.refused >= 2);
	read_file("audit.log", &b); /* no record in part */
	CU_ASSERT(b.n > 0 && b.n <= 100000 && b.p[b.n - 1] == '\n');
	buf_deinit(&b);
	sinks_reopen(); /* still full */
	sinks_flush();
	CU_ASSERT_EQUAL(append(&f, "x"), MERLON_E_UNAVAIL);
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &before), 0);
	CU_ASSERT_EQUAL(rename(path_of("audit.log"), path_of("audit.log.1")), 0);
	sinks_reopen();
	sinks_flush();
	CU_ASSERT_EQUAL(append(&f, "last"), 0);
	sinks_flush();
	sink_each(find_info, &info);
	CU_ASSERT_FALSE(info.failed);
	CU_ASSERT_EQUAL(info.records, taken + 1);
	fake_close(&f);
	chain_check(&c, "audit.log.1", NULL);
	chain_check(&c, "audit.log", NULL);
	CU_ASSERT_EQUAL(c.seq, taken + 1);
	CU_ASSERT(str_eq(c.last, STR("last")));
	tear_down();
}

/* Room was made on the disk: the same file goes on. */
static void a_failed_file_is_reopened_in_place(void)
{
	struct rlimit before;
	struct rlimit low;
	struct seen c = {0};
	struct fake f;
	uint64_t taken = 0;

	set_up();
	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &before), 0);
	low = before;
	low.rlim_cur = 50000;
	fake_start(&f, "audit.log");
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &low), 0);
	while (append(&f, "a record of forty bytes that fills files") == 0) {
		taken++;
		if (taken % 100 == 0)
			sinks_flush();
	}
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &before), 0);
	CU_ASSERT_EQUAL(append(&f, "x"), MERLON_E_UNAVAIL);
	sinks_reopen();
	sinks_flush();
	CU_ASSERT_EQUAL(append(&f, "last"), 0);
	fake_close(&f);
	chain_check(&c, "audit.log", NULL);
	CU_ASSERT_EQUAL(c.seq, taken + 1);
	tear_down();
}

static uint64_t fill_up(struct fake *f, struct rlimit *before)
{
	struct rlimit low;
	uint64_t taken = 0;

	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, before), 0);
	low = *before;
	low.rlim_cur = 50000;
	fake_start(f, "audit.log");
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &low), 0);
	while (append(f, "a record of forty bytes that fills files") == 0) {
		taken++;
		if (taken % 100 == 0)
			sinks_flush();
	}
	return taken;
}

static void a_failed_file_is_written_when_it_is_closed(void)
{
	struct rlimit before;
	struct seen c = {0};
	struct fake f;
	uint64_t taken;

	set_up();
	taken = fill_up(&f, &before);
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &before), 0);
	fake_close(&f);
	chain_check(&c, "audit.log", NULL);
	CU_ASSERT_EQUAL(c.seq, taken);
	tear_down();
}

static void a_reload_reopens_a_failed_file(void)
{
	struct rlimit before;
	struct seen c = {0};
	struct fake f;
	struct fake next;
	uint64_t taken;

	set_up();
	taken = fill_up(&f, &before);
	fake_start(&next, "audit.log");
	CU_ASSERT_EQUAL(append(&next, "x"), MERLON_E_UNAVAIL); /* still full */
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &before), 0);
	CU_ASSERT_STRING_EQUAL(published(), "");
	CU_ASSERT_EQUAL(append(&next, "last"), 0);
	fake_close(&f);
	fake_close(&next);
	chain_check(&c, "audit.log", NULL);
	CU_ASSERT_EQUAL(c.seq, taken + 1);
	tear_down();
}

/* ---- four workers ---- */
#define WORKERS 4
#define RECORDS 20000
#define LONG 70000 /* some: more than a segment */

static struct fake shared_sink;
static unsigned next_of[WORKERS];

static void *produce(void *arg)
{
	struct merlon_worker w = {.index = *(unsigned *)arg};
	struct tx_base tx = {.worker = &w};
	char *text = xmalloc(LONG + 1);

	memset(text, '.', LONG);
	for (unsigned i = 0; i < RECORDS; i++) {
		int n = snprintf(text, 64, "%u %u ", w.index, i);
		int32_t r;

		text[n] = '.';
		if (i % 50 == 0)
			n += (int)(i * 7919U % (LONG - 64));

		do {
			r = host_sink_append(shared_sink.sink, (merlon_tx *)(void *)&tx,
			                     (struct merlon_str){text, (uint64_t)n});
			if (r)
				sched_yield();
		} while (r == MERLON_E_FULL);
		if (r)
			abort();
	}
	free(text);
	return NULL;
}

static void in_order(struct str data)
{
	unsigned w = 0;
	unsigned i = 0;
	char text[64];
	size_t dots = 0;

	snprintf(text, sizeof(text), "%.*s", STR_FMT(data));
	CU_ASSERT_EQUAL_FATAL(sscanf(text, "%u %u", &w, &i), 2);
	CU_ASSERT_FATAL(w < WORKERS);
	CU_ASSERT_EQUAL(i, next_of[w]);
	next_of[w] = i + 1;
	while (dots < data.n && data.p[data.n - dots - 1] == '.')
		dots++;
	CU_ASSERT_EQUAL(dots, i % 50 == 0 ? i * 7919U % (LONG - 64) : 0);
}

static void four_workers_keep_their_order(void)
{
	unsigned index[WORKERS];
	pthread_t t[WORKERS];
	struct seen c = {0};

	set_up();
	fake_start(&shared_sink, "audit.log");
	for (unsigned i = 0; i < WORKERS; i++) {
		index[i] = i;
		next_of[i] = 0;
		CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, produce, &index[i]), 0);
	}
	for (unsigned i = 0; i < 50; i++)
		sinks_flush();
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(t[i], NULL);
	fake_close(&shared_sink);
	chain_check(&c, "audit.log", in_order);
	CU_ASSERT_EQUAL(c.seq, WORKERS * RECORDS);
	for (unsigned i = 0; i < WORKERS; i++)
		CU_ASSERT_EQUAL(next_of[i], RECORDS);
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
          UNIT(reopening_follows_the_name), UNIT(two_generations_share_one_file),
          UNIT(ready_promises_what_append_keeps), UNIT(a_ring_lives_in_its_beginning),
          UNIT(appends_and_reads_mix), UNIT(a_failed_write_loses_nothing),
          UNIT(a_failed_file_is_reopened_in_place),
          UNIT(a_failed_file_is_written_when_it_is_closed), UNIT(a_reload_reopens_a_failed_file),
          UNIT(four_workers_keep_their_order))
