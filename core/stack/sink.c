/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The registry of sinks and the side of those who append. A file is found by its canonical path, so
 * that two stacks, or two generations, which name it differently share one chain of records. It
 * stays open while a published handle is left.
 */
#include "stack/sink.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "stack/instance.h"
#include "stack/shared.h"
#include "stack/sinkwriter.h"

static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;
static struct list files = {&files, &files};

/* ---- appending ---- */
/* A worker that never waits would keep the writer off the processor that they share, until the ring
 * is full and requests are refused: so it offers its turn, once when it wakes the writer and, with
 * so much in the ring, each time. */
#define RING_SLOW (12 * SINK_WAKE)

static size_t need_of(uint64_t len)
{
	return 8 + (((size_t)len + 7) & ~(size_t)7);
}

/* Mapped, and not from the heap: there, memory that was used before would be cleared, all of it. */
static struct ring *ring_new(void)
{
	struct ring *r =
	    mmap(NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (r == MAP_FAILED) {
		log_msg(LOG_L_ERROR, "sinks: no memory for a ring: %s", strerror(errno));
		abort();
	}
	/* Else the first record might take 2 MiB. A kernel that has no such pages says so. */
	(void)madvise(r, sizeof(*r), MADV_NOHUGEPAGE);
	for (unsigned i = 0; i < SINK_SEGMENTS; i++)
		r->place[i] = (uint8_t)i;
	return r;
}

static struct ring *ring_of(struct sink_file *f, unsigned index)
{
	struct ring *r = atomic_load_explicit(&f->rings[index], memory_order_acquire);

	if (!r) {
		r = ring_new();
		atomic_store_explicit(&f->rings[index], r, memory_order_release);
	}
	return r;
}

/* Gives a place to the segment that begins at `at`: of those that are free, the one that the writer
 * left last and whose number is not above how many are in use. There is always one, for so many
 * cannot take all numbers up to theirs; unless the segment is the one the head is in, a lap on: it
 * has the last place that there is. */
static __attribute__((noinline)) void ring_enter(struct ring *r, uint64_t head, uint64_t at)
{
	uint64_t segment = at / SINK_SEGMENT;
	uint64_t used = segment - head / SINK_SEGMENT;
	uint8_t *mine = &r->place[segment % SINK_SEGMENTS];

	for (uint64_t i = head / SINK_SEGMENT + SINK_SEGMENTS; i-- > segment;) {
		uint8_t *place = &r->place[i % SINK_SEGMENTS];
		uint8_t number = *place;

		if (number <= used) {
			*place = *mine;
			*mine = number;
			return;
		}
	}
}

/* Where to put the byte `at`. */
static inline char *ring_new_at(struct ring *r, uint64_t head, uint64_t at)
{
	if (at % SINK_SEGMENT == 0)
		ring_enter(r, head, at);
	return ring_at(r, at);
}

static void ring_put(struct ring *r, uint64_t head, uint64_t at, struct str s)
{
	while (s.n > 0) {
		size_t n = s.n < ring_run(at) ? s.n : ring_run(at);

		memcpy(ring_new_at(r, head, at), s.p, n);
		at += n;
		s = (struct str){s.p + n, s.n - n};
	}
}

static int32_t ring_append(struct sink_file *f, unsigned index, struct str record)
{
	size_t need = need_of(record.n);
	struct ring *r = ring_of(f, index);
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
	uint64_t len = record.n;
	size_t used = (size_t)(tail - head);

	if (used + need > SINK_RING)
		return MERLON_E_FULL;
	memcpy(ring_new_at(r, head, tail), &len, sizeof(len)); /* all lies in steps of 8 */
	ring_put(r, head, tail + sizeof(len), record);
	/* In one order with `busy`: either we see that the writer has gone to sleep, or it sees
	 * this record before it does. */
	atomic_store(&r->tail, tail + need);
	if (!atomic_load(&f->busy) && !atomic_exchange(&f->busy, true))
		writer_wake();
	if (used + need > SINK_WAKE && !atomic_load_explicit(&f->full, memory_order_relaxed) &&
	    !atomic_exchange(&f->full, true)) {
		writer_wake();
		sched_yield();
	} else if (used + need > RING_SLOW) {
		sched_yield();
	}
	return 0;
}

/* 0: the file takes records of that size, if there is room. */
static int32_t check(struct sink_file *f, uint64_t len)
{
	if (!atomic_load_explicit(&f->open, memory_order_acquire) ||
	    atomic_load_explicit(&f->failed, memory_order_acquire))
		return MERLON_E_UNAVAIL;
	return len > SINK_RECORD_MAX - 8 ? MERLON_E_FULL : 0;
}

int32_t host_sink_append(merlon_sink *sink, merlon_tx *tx, struct merlon_str record)
{
	struct sink_file *f;
	int32_t r;

	if (!sink)
		return MERLON_E_INVAL;
	if (tx && tx_base(tx)->dry)
		return 0;
	f = sink->file;
	r = check(f, record.len);
	if (r == 0 && tx)
		r = ring_append(f, tx_base(tx)->worker->index, from_merlon(record));
	else if (r == 0) {
		pthread_mutex_lock(&f->control);
		r = ring_append(f, RING_CONTROL, from_merlon(record));
		pthread_mutex_unlock(&f->control);
	}
	if (r) {
		atomic_fetch_add_explicit(&f->refused, 1, memory_order_relaxed);
		stat_add(f->stat_errors, 1);
	}
	return r;
}

static bool ring_has_room(struct ring *r, uint64_t room)
{
	uint64_t used = atomic_load_explicit(&r->tail, memory_order_relaxed) -
	                atomic_load_explicit(&r->head, memory_order_acquire);

	return used + need_of(room) <= SINK_RING - SINK_RESERVE;
}

static int32_t ring_room(struct sink_file *f, unsigned index, uint64_t room)
{
	struct ring *r = ring_of(f, index);

	if (ring_has_room(r, room))
		return 0;
	sched_yield();
	return ring_has_room(r, room) ? 0 : MERLON_E_FULL;
}

int32_t host_sink_ready(merlon_sink *sink, merlon_tx *tx, uint64_t room)
{
	int32_t r;

	if (!sink)
		return MERLON_E_INVAL;
	if (tx && tx_base(tx)->dry)
		return 0;
	r = check(sink->file, room);
	if (r)
		return r;
	if (!tx) {
		pthread_mutex_lock(&sink->file->control);
		r = ring_room(sink->file, RING_CONTROL, room);
		pthread_mutex_unlock(&sink->file->control);
		return r;
	}
	return ring_room(sink->file, tx_base(tx)->worker->index, room);
}

/* ---- registry ---- */
/* Where the file lies, behind links; folder and name apart where it is not there yet. NULL: the
 * folder is not. */
static char *canonical(struct str path)
{
	char *z = str_dup(path);
	char *slash = strrchr(z, '/');
	char *folder;
	char *out = slash && slash[1] ? realpath(z, NULL) : NULL;

	if (!out && slash && slash[1]) {
		*slash = '\0';
		folder = realpath(slash == z ? "/" : z, NULL);
		if (folder)
			out = xasprintf("%s/%s", strcmp(folder, "/") == 0 ? "" : folder, slash + 1);
		free(folder);
	}
	free(z);
	return out;
}

static struct stat *stat_of(enum stat_kind kind, const char *name, const char *help,
                            const char *label)
{
	struct str value = str_of(label);

	return stats_get(stats_family(kind, name, help, "sink"), &value);
}

static void stats_init(struct sink_file *f)
{
	f->stat_records = stat_of(STAT_COUNTER, "merlon_audit_records_total",
	                          "Records written to the file.", f->label);
	f->stat_bytes = stat_of(STAT_COUNTER, "merlon_audit_bytes_total",
	                        "Bytes written to the file.", f->label);
	f->stat_errors = stat_of(STAT_COUNTER, "merlon_audit_errors_total",
	                         "Records refused or dropped, and failed writes.", f->label);
	f->stat_failed = stat_of(STAT_GAUGE, "merlon_audit_failed",
	                         "1: the file takes nothing until it is reopened.", f->label);
}

static struct sink_file *file_find(const char *path)
{
	list_each(it, &files)
	{
		struct sink_file *f = list_entry(it, struct sink_file, node);

		if (strcmp(f->path, path) == 0)
			return f;
	}
	return NULL;
}

static struct sink_file *file_new(char *path)
{
	struct sink_file *f = xcalloc_lines(1, sizeof(*f));

	f->path = path;
	f->label = strrchr(path, '/') + 1;
	f->fd = -1;
	list_init(&f->handles);
	list_init(&f->active);
	pthread_mutex_init(&f->control, NULL);
	stats_init(f);
	list_add(&files, &f->node);
	return f;
}

static void file_free(struct sink_file *f)
{
	list_del(&f->node);
	for (unsigned i = 0; i < RINGS; i++) {
		struct ring *r = atomic_load(&f->rings[i]);

		if (r)
			munmap(r, sizeof(*r));
	}
	pthread_mutex_destroy(&f->control);
	free(f->batch);
	free(f->scratch);
	free(f->path);
	free(f);
}

static bool ops_ok(const struct merlon_sink_ops *ops)
{
	return ops && ops->size >= sizeof(*ops) && ops->init && ops->frame &&
	       ops->state_size <= SINK_STATE_MAX && ops->overhead <= SINK_OVERHEAD_MAX;
}

/* All holders frame over the same state, whichever build of the module is the newest. */
static bool ops_agree(const struct sink_file *f, const char *module,
                      const struct merlon_sink_ops *ops)
{
	list_each(it, &f->handles)
	{
		const struct merlon_sink *h = list_entry(it, struct merlon_sink, node);

		if (h->state != HANDLE_DROPPED &&
		    (h->ops.state_size != ops->state_size || strcmp(h->module, module) != 0))
			return false;
	}
	return true;
}

static void sink_put(void *obj)
{
	sink_close(obj);
}

static void refuse(const merlon_cfg *cfg, struct str path, const char *why)
{
	char *text = xasprintf("%.*s: %s", STR_FMT(path), why);

	if (cfg)
		host_cfg_error(cfg, "", to_merlon(str_of(text)));
	else
		log_msg(LOG_L_ERROR, "%s", text);
	free(text);
}

int32_t host_sink_open(merlon_ctx *ctx, const merlon_cfg *cfg, struct merlon_str path,
                       uint32_t commit_ms, const struct merlon_sink_ops *ops, merlon_sink **out)
{
	const char *module = ctx && ctx->m ? ctx->m->name : "";
	struct merlon_sink *h;
	struct sink_file *f;
	char *real;

	if (!ctx || !out || !ops_ok(ops))
		return MERLON_E_INVAL;
	real = canonical(from_merlon(path));
	if (!real) {
		refuse(cfg, from_merlon(path), "its folder does not exist");
		return MERLON_E_NOENT;
	}
	/* A check opens nothing, and is to find what a start would stumble over. */
	if (!file_may_be(real)) {
		free(real);
		refuse(cfg, from_merlon(path), "is not a regular file");
		return MERLON_E_INVAL;
	}
	pthread_mutex_lock(&registry);
	f = file_find(real);
	if (f && !ops_agree(f, module, ops)) {
		pthread_mutex_unlock(&registry);
		free(real);
		refuse(cfg, from_merlon(path), "is in use with another form of records");
		return MERLON_E_INVAL;
	}
	if (f)
		free(real);
	else
		f = file_new(real);
	h = xcalloc(1, sizeof(*h));
	h->file = f;
	h->commit_ms = commit_ms;
	h->ops = *ops;
	h->module = module;
	h->at = ctx->line ? ctx->line->node : NULL;
	list_add(&f->handles, &h->node);
	pthread_mutex_unlock(&registry);
	held_add(ctx, sink_put, h);
	*out = h;
	return 0;
}

/* ---- on the writer's thread; the control thread waits and holds the registry ---- */
/* What the live handles want, or with `coming` what they will want when the new ones are live. */
static unsigned settings_take(struct sink_file *f, bool coming)
{
	uint64_t least = UINT64_MAX;
	unsigned n = 0;

	list_each(it, &f->handles)
	{
		struct merlon_sink *h = list_entry(it, struct merlon_sink, node);

		if (h->state != HANDLE_LIVE && !(coming && h->state == HANDLE_NEW))
			continue;
		n++;
		least = h->commit_ms < least ? h->commit_ms : least;
		f->ops = h->ops; /* the last one is the newest */
	}
	/* Three quarters: the wait, the wake-up and the write together stay below what was
	 * promised. */
	f->period = n ? least * NS_PER_MS / 4 * 3 : 0;
	return n;
}

struct publish {
	int r;
	const struct conf_node *at;
	const char *path;
	const char *why;
};

static void publish_undo(struct list *until)
{
	for (struct list *it = files.next; it != until; it = it->next) {
		struct sink_file *f = list_entry(it, struct sink_file, node);

		if (settings_take(f, false) == 0 && f->fd >= 0)
			file_unserve(f);
	}
}

/* The line that asks for the file. */
static const struct conf_node *newcomer(const struct sink_file *f)
{
	list_each(it, &f->handles)
	{
		const struct merlon_sink *h = list_entry(it, struct merlon_sink, node);

		if (h->state == HANDLE_NEW)
			return h->at;
	}
	return NULL;
}

static void publish(void *arg)
{
	struct publish *p = arg;

	list_each(it, &files)
	{
		struct sink_file *f = list_entry(it, struct sink_file, node);

		if (settings_take(f, true) == 0)
			continue;
		if (f->fd >= 0) {
			if (atomic_load(&f->failed))
				file_reopen(f);
			continue;
		}
		p->r = file_open(f, &p->why);
		if (p->r) {
			p->path = f->path;
			p->at = newcomer(f);
			publish_undo(it->next);
			return;
		}
		file_serve(f);
	}
	list_each(it, &files)
	{
		struct sink_file *f = list_entry(it, struct sink_file, node);

		list_each(jt, &f->handles)
		{
			struct merlon_sink *h = list_entry(jt, struct merlon_sink, node);

			if (h->state == HANDLE_NEW)
				h->state = HANDLE_LIVE;
		}
	}
}

int sinks_publish(const struct conf_node **at, const char **path, const char **why)
{
	struct publish p = {0};

	pthread_mutex_lock(&registry);
	writer_call(publish, &p);
	pthread_mutex_unlock(&registry);
	*at = p.at;
	*path = p.path;
	*why = p.why;
	return p.r;
}

void sinks_discard(void)
{
	pthread_mutex_lock(&registry);
	list_each(it, &files)
	{
		struct sink_file *f = list_entry(it, struct sink_file, node);

		list_each(jt, &f->handles)
		{
			struct merlon_sink *h = list_entry(jt, struct merlon_sink, node);

			if (h->state == HANDLE_NEW)
				h->state = HANDLE_DROPPED;
		}
	}
	pthread_mutex_unlock(&registry);
}

static void handle_drop(void *arg)
{
	struct merlon_sink *h = arg;

	list_del(&h->node);
	if (settings_take(h->file, false) == 0 && h->file->fd >= 0)
		file_unserve(h->file);
}

void sink_close(merlon_sink *sink)
{
	struct sink_file *f = sink->file;

	pthread_mutex_lock(&registry);
	writer_call(handle_drop, sink);
	if (list_empty(&f->handles))
		file_free(f);
	pthread_mutex_unlock(&registry);
	free(sink);
}

void sink_each(void (*fn)(void *arg, const struct sink_info *s), void *arg)
{
	pthread_mutex_lock(&registry);
	list_each(it, &files)
	{
		struct sink_file *f = list_entry(it, struct sink_file, node);
		struct sink_info info = {.path = f->path,
		                         .failed = atomic_load(&f->failed),
		                         .records = atomic_load(&f->records),
		                         .bytes = atomic_load(&f->bytes),
		                         .refused = atomic_load(&f->refused)};

		if (atomic_load(&f->open))
			fn(arg, &info);
	}
	pthread_mutex_unlock(&registry);
}
