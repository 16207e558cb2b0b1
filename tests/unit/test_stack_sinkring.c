/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Sinks under load and in need: what a ring keeps while its writer is behind or cannot write, and
 * the order of what several workers append.
 */
#include "stack_sink.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>

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

#define FILE_MOST 50000

/* A file size limit stands for a full disk: it is left to the caller to lift it. Answers how many
 * records were taken. */
static uint64_t fill_up(struct fake *f, struct rlimit *before)
{
	struct rlimit low;
	uint64_t taken = 0;

	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, before), 0);
	low = *before;
	low.rlim_cur = FILE_MOST;
	fake_start(f, "audit.log");
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &low), 0);
	while (append(f, "a record of forty bytes that fills files") == 0) {
		taken++;
		if (taken % 100 == 0)
			sinks_flush();
	}
	return taken;
}

/* The same, and the disk has room again: nobody has told the writer yet. */
static uint64_t fill_and_make_room(struct fake *f)
{
	struct rlimit before;
	uint64_t taken = fill_up(f, &before);

	CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &before), 0);
	return taken;
}

/* What was taken is written after the reopening, once. */
static void a_failed_write_loses_nothing(void)
{
	struct sink_info info = {0};
	struct rlimit before;
	struct seen c = {0};
	struct fake f;
	uint64_t taken;
	struct buf b;

	set_up();
	taken = fill_up(&f, &before);
	CU_ASSERT_EQUAL(append(&f, "x"), MERLON_E_UNAVAIL);
	CU_ASSERT_EQUAL(host_sink_ready(f.sink, NULL, 1), MERLON_E_UNAVAIL);
	sink_each(find_info, &info);
	CU_ASSERT_TRUE(info.failed);
	CU_ASSERT(info.refused >= 2);
	read_file("audit.log", &b); /* no record in part */
	CU_ASSERT(b.n > 0 && b.n <= FILE_MOST && b.p[b.n - 1] == '\n');
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
	struct seen c = {0};
	struct fake f;
	uint64_t taken;

	set_up();
	taken = fill_and_make_room(&f);
	CU_ASSERT_EQUAL(append(&f, "x"), MERLON_E_UNAVAIL);
	sinks_reopen();
	sinks_flush();
	CU_ASSERT_EQUAL(append(&f, "last"), 0);
	fake_close(&f);
	chain_check(&c, "audit.log", NULL);
	CU_ASSERT_EQUAL(c.seq, taken + 1);
	tear_down();
}

static void a_failed_file_is_written_when_it_is_closed(void)
{
	struct seen c = {0};
	struct fake f;
	uint64_t taken;

	set_up();
	taken = fill_and_make_room(&f);
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

UNIT_MAIN("stack_sinkring", UNIT(ready_promises_what_append_keeps),
          UNIT(a_ring_lives_in_its_beginning), UNIT(appends_and_reads_mix),
          UNIT(a_failed_write_loses_nothing), UNIT(a_failed_file_is_reopened_in_place),
          UNIT(a_failed_file_is_written_when_it_is_closed), UNIT(a_reload_reopens_a_failed_file),
          UNIT(four_workers_keep_their_order))
