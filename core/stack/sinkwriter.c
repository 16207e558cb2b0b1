/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The writer: one thread that carries records from the rings to their files. It sleeps while
 * nothing comes. The first record after a silence wakes it; from then on it looks by a timer, so
 * that under load a wake-up and a write(2) serve hundreds of records, until a period brought none.
 *
 * Framing changes the file's state (sequence, chain), so a framed record is never thrown away:
 * after a failed write it is kept, and nothing more is taken from the rings until the file is
 * reopened.
 */
#include "stack/sinkwriter.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

struct call {
	struct call *next;
	void (*fn)(void *arg);
	void *arg;
	bool done;
};

static struct {
	pthread_t thread;
	bool running; /* control thread */
	bool stop;    /* the writer's */
	int wake_fd;
	_Atomic bool reopen;
	unsigned stats_slot;
	pthread_mutex_t lock; /* guards the two below */
	pthread_cond_t done;
	struct call *calls;
	struct list active; /* the writer's */
} writer = {.wake_fd = -1,
            .lock = PTHREAD_MUTEX_INITIALIZER,
            .done = PTHREAD_COND_INITIALIZER,
            .active = {&writer.active, &writer.active}};

/* Not the clock of base: a test that holds that one still would hold the writer's timer too. */
uint64_t writer_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

void writer_wake(void)
{
	uint64_t one = 1;

	if (writer.wake_fd < 0)
		return;
	while (write(writer.wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* ---- writing ---- */
void file_set_failed(struct sink_file *f, bool failed)
{
	atomic_store_explicit(&f->failed, failed, memory_order_release);
	stat_set(f->stat_failed, failed);
}

/* A record that was written in part is cut off again, so that the file ends with a whole line.
 * Returns how many bytes of the batch are whole records in the file. */
static size_t cut_partial(struct sink_file *f, size_t written)
{
	const char *lf = written ? memrchr(f->batch, '\n', written) : NULL;
	size_t whole = lf ? (size_t)(lf - f->batch) + 1 : 0;
	struct stat st;

	if (whole < written &&
	    (fstat(f->fd, &st) < 0 || ftruncate(f->fd, st.st_size - (off_t)(written - whole)) < 0))
		log_msg(LOG_L_ERROR, "sink %s: the end of the file is torn: %s", f->path,
		        strerror(errno));
	return whole;
}

static void batch_written(struct sink_file *f, size_t n)
{
	atomic_fetch_add_explicit(&f->bytes, n, memory_order_relaxed);
	stat_add(f->stat_bytes, (int64_t)n);
	memmove(f->batch, f->batch + n, f->nbatch - n);
	f->nbatch -= n;
}

void file_write(struct sink_file *f)
{
	size_t written = 0;

	while (written < f->nbatch) {
		ssize_t n = write(f->fd, f->batch + written, f->nbatch - written);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			log_msg(LOG_L_ERROR,
			        "sink %s: %s; nothing is recorded until the file is reopened",
			        f->path, strerror(errno));
			stat_add(f->stat_errors, 1);
			file_set_failed(f, true);
			written = cut_partial(f, written);
			break;
		}
		written += (size_t)n;
	}
	batch_written(f, written);
}

/* Room for a record behind the batch. */
static void batch_room(struct sink_file *f, size_t cap)
{
	if (f->nbatch + cap <= f->batch_cap)
		return;
	if (f->nbatch > 0 && !atomic_load_explicit(&f->failed, memory_order_relaxed))
		file_write(f);
	if (f->nbatch + cap > f->batch_cap) {
		/* Only what one batch and one record need, or what a failed file keeps and its note
		 * of a torn line. */
		f->batch_cap = f->nbatch + cap + SINK_BATCH;
		f->batch = xrealloc(f->batch, f->batch_cap);
	}
}

/* Returns how many records are framed by that: 1, or 0 where it is dropped. */
static unsigned frame_one(struct sink_file *f, uint32_t kind, int64_t time_us, struct str data)
{
	static struct log_limit limit;
	struct merlon_sink_out out = {.cap = data.n + f->ops.overhead};

	batch_room(f, (size_t)out.cap);
	out.ptr = f->batch + f->nbatch;
	if (f->ops.frame(f->state, kind, time_us, to_merlon(data), &out) != 0 ||
	    out.len > out.cap) {
		stat_add(f->stat_errors, 1);
		log_limited(&limit, 5, LOG_L_ERROR, "sink %s: a record could not be framed",
		            f->path);
		return 0;
	}
	f->nbatch += (size_t)out.len;
	return 1;
}

static void count_framed(struct sink_file *f, unsigned n)
{
	atomic_fetch_add_explicit(&f->records, n, memory_order_relaxed);
	stat_add(f->stat_records, n);
}

void file_frame(struct sink_file *f, uint32_t kind, struct str data)
{
	count_framed(f, frame_one(f, kind, (int64_t)clock_real_us(), data));
}

/* ---- collecting ---- */
static struct str ring_record(struct sink_file *f, struct ring *r, uint64_t head)
{
	uint64_t at = head + sizeof(uint64_t);
	uint64_t len;
	size_t n;

	memcpy(&len, ring_at(r, head), sizeof(len));
	/* An empty one at the end of a segment: the next may still be without a place. */
	if (len == 0)
		return STR("");
	if (len <= ring_run(at))
		return (struct str){ring_at(r, at), (size_t)len};
	if (!f->scratch)
		f->scratch = xmalloc(SINK_RECORD_MAX);
	for (size_t done = 0; done < len; done += n) {
		n = len - done < ring_run(at + done) ? (size_t)len - done : ring_run(at + done);
		memcpy(f->scratch + done, ring_at(r, at + done), n);
	}
	return (struct str){f->scratch, (size_t)len};
}

static void ring_drain(struct sink_file *f, struct ring *r)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint64_t tail = atomic_load(&r->tail);
	unsigned framed = 0;

	while (head < tail && !atomic_load_explicit(&f->failed, memory_order_relaxed)) {
		struct str record = ring_record(f, r, head);

		/* Records carry their own time. */
		framed += frame_one(f, MERLON_SINK_RECORD, 0, record);
		head += 8 + ((record.n + 7) & ~(size_t)7);
		atomic_store_explicit(&r->head, head, memory_order_release);
	}
	if (framed > 0)
		count_framed(f, framed);
}

static bool rings_empty(struct sink_file *f)
{
	for (unsigned i = 0; i < RINGS; i++) {
		struct ring *r = atomic_load(&f->rings[i]);

		if (r &&
		    atomic_load(&r->tail) != atomic_load_explicit(&r->head, memory_order_relaxed))
			return false;
	}
	return true;
}

void file_collect(struct sink_file *f)
{
	if (atomic_load_explicit(&f->failed, memory_order_relaxed))
		return;
	/* Before the rings are read: what brings one past SINK_WAKE after that wakes us anew. */
	atomic_store(&f->full, false);
	for (unsigned i = 0; i < RINGS; i++) {
		struct ring *r =
		    atomic_load_explicit(&f->rings[(f->first + i) % RINGS], memory_order_acquire);

		if (r)
			ring_drain(f, r);
	}
	f->first = (f->first + 1) % RINGS;
	if (f->nbatch > 0 && !atomic_load_explicit(&f->failed, memory_order_relaxed))
		file_write(f);
}

/* The timer has brought us: goes on by timer while records come. */
static void file_tick(struct sink_file *f, uint64_t now)
{
	uint64_t before = atomic_load_explicit(&f->records, memory_order_relaxed);

	file_collect(f);
	f->due = now + f->period;
	if (atomic_load_explicit(&f->records, memory_order_relaxed) != before)
		return;
	f->due = 0;
	atomic_store(&f->busy, false);
	/* One that was put in meanwhile has seen us busy and did not wake us. A failed file is left
	 * to its reopening. */
	if (!atomic_load(&f->failed) && !rings_empty(f) && !atomic_exchange(&f->busy, true))
		f->due = now + f->period;
}

static void files_run(void)
{
	uint64_t now = writer_now();

	list_each(it, &writer.active)
	{
		struct sink_file *f = list_entry(it, struct sink_file, active);

		if (f->due == 0 && atomic_load(&f->busy))
			f->due = now + f->period;
		if (f->due && (f->due <= now || atomic_load(&f->full)))
			file_tick(f, now);
	}
}

void file_serve(struct sink_file *f)
{
	list_add(&writer.active, &f->active);
	atomic_store_explicit(&f->open, true, memory_order_release);
}

void file_unserve(struct sink_file *f)
{
	atomic_store_explicit(&f->open, false, memory_order_release);
	/* Whoever ends the process has perhaps made room since. */
	if (atomic_load(&f->failed))
		file_reopen(f);
	file_collect(f);
	if (f->nbatch > 0 || !rings_empty(f))
		log_msg(LOG_L_ERROR, "sink %s: closed with records that were never written",
		        f->path);
	f->nbatch = 0;
	list_del(&f->active);
	close(f->fd);
	f->fd = -1;
	f->due = 0;
	file_set_failed(f, false);
	/* Nobody reads the rings until the file is opened anew; what a failed file left is told
	 * above. */
	for (unsigned i = 0; i < RINGS; i++) {
		struct ring *r = atomic_load(&f->rings[i]);

		if (r)
			atomic_store(&r->head, atomic_load(&r->tail));
	}
	atomic_store(&f->busy, false);
	atomic_store(&f->full, false);
}

/* ---- the thread ---- */
static void reopen_all(void)
{
	list_each(it, &writer.active)
	{
		struct sink_file *f = list_entry(it, struct sink_file, active);

		file_reopen(f);
		if (!atomic_load(&f->failed))
			file_collect(f);
	}
}

static struct call *call_next(void)
{
	struct call *c;

	pthread_mutex_lock(&writer.lock);
	c = writer.calls;
	if (c)
		writer.calls = c->next;
	pthread_mutex_unlock(&writer.lock);
	/* A reopening asked for before this call comes before it. */
	if (atomic_exchange(&writer.reopen, false))
		reopen_all();
	return c;
}

static void calls_run(void)
{
	struct call *c;

	while ((c = call_next()) != NULL) {
		c->fn(c->arg);
		pthread_mutex_lock(&writer.lock);
		c->done = true;
		pthread_cond_broadcast(&writer.done);
		pthread_mutex_unlock(&writer.lock);
	}
}

static void wait_for_work(void)
{
	struct pollfd pfd = {.fd = writer.wake_fd, .events = POLLIN};
	struct timespec ts;
	uint64_t due = UINT64_MAX;
	uint64_t now = writer_now();
	uint64_t count;

	list_each(it, &writer.active)
	{
		struct sink_file *f = list_entry(it, struct sink_file, active);

		if (f->due && f->due < due)
			due = f->due;
	}
	if (due != UINT64_MAX) {
		due = due > now ? due - now : 0;
		ts.tv_sec = (time_t)(due / NS_PER_S);
		ts.tv_nsec = (long)(due % NS_PER_S);
	}
	if (ppoll(&pfd, 1, due == UINT64_MAX ? NULL : &ts, NULL) > 0)
		while (read(writer.wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
			;
}

static void *writer_main(void *arg)
{
	(void)arg;
	stats_thread(writer.stats_slot);
	while (!writer.stop) {
		wait_for_work();
		calls_run();
		files_run();
	}
	return NULL;
}

void writer_call(void (*fn)(void *arg), void *arg)
{
	struct call c = {.fn = fn, .arg = arg};
	struct call **at;

	if (!writer.running) {
		fn(arg);
		return;
	}
	pthread_mutex_lock(&writer.lock);
	for (at = &writer.calls; *at;)
		at = &(*at)->next;
	*at = &c;
	pthread_mutex_unlock(&writer.lock);
	writer_wake();
	pthread_mutex_lock(&writer.lock);
	while (!c.done)
		pthread_cond_wait(&writer.done, &writer.lock);
	pthread_mutex_unlock(&writer.lock);
}

/* ---- control thread ---- */
void sinks_reopen(void)
{
	if (!writer.running) {
		reopen_all();
		return;
	}
	atomic_store(&writer.reopen, true);
	writer_wake();
}

static void flush(void *arg)
{
	(void)arg;
	list_each(it, &writer.active) file_collect(list_entry(it, struct sink_file, active));
}

void sinks_flush(void)
{
	writer_call(flush, NULL);
}

void sinks_start(unsigned stats_slot)
{
	sigset_t all;
	sigset_t old;

	writer.stats_slot = stats_slot;
	writer.stop = false;
	writer.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	/* Signals are the control thread's; and a file over RLIMIT_FSIZE is to be an error of
	 * write(2) here, not the end of the process. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (writer.wake_fd < 0 || pthread_create(&writer.thread, NULL, writer_main, NULL) != 0) {
		log_msg(LOG_L_ERROR, "sinks: no writer thread: %s", strerror(errno));
		abort();
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	writer.running = true;
}

static void stop(void *arg)
{
	flush(arg);
	writer.stop = true;
}

void sinks_stop(void)
{
	if (!writer.running)
		return;
	writer_call(stop, NULL);
	pthread_join(writer.thread, NULL);
	writer.running = false;
	close(writer.wake_fd);
	writer.wake_fd = -1;
}
