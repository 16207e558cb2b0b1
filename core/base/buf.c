/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Growable bytes, and refcounted blocks queued as slices. A buf that holds a secret should be
 * reserved once to its full size, because growing leaves a copy behind that nobody can wipe. A
 * chain has a ring, from the heap, from its second slice until it is empty again.
 */
#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/poison.h"

#define BUF_LEAST 64

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_deinit(struct buf *b)
{
	free(b->p);
	buf_init(b, b->max);
}

void buf_wipe(struct buf *b)
{
	mem_wipe(b->p, b->cap);
	b->n = 0;
}

void buf_reset(struct buf *b)
{
	b->n = 0;
}

int buf_reserve(struct buf *b, size_t more)
{
	size_t cap;

	if (more <= b->cap - b->n)
		return 0;
	if (more > b->max - b->n)
		return BUF_E_FULL;
	cap = b->cap > b->max / 2 ? b->max : b->cap * 2;
	if (cap < b->n + more)
		cap = b->n + more;
	if (cap < BUF_LEAST)
		cap = b->max < BUF_LEAST ? b->max : BUF_LEAST;
	/* One byte beyond cap for the NUL that vsnprintf() insists on. */
	b->p = xrealloc(b->p, cap + 1);
	b->cap = cap;
	return 0;
}

int buf_add(struct buf *b, const void *p, size_t n)
{
	int r = buf_reserve(b, n);

	if (r)
		return r;
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	return 0;
}

int buf_adds(struct buf *b, struct str s)
{
	return buf_add(b, s.p, s.n);
}

int buf_read(struct buf *b, int fd)
{
	char part[4096];
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = read(fd, part, sizeof(part))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		r = n < 0 ? err_origin(-errno) : buf_add(b, part, (size_t)n);
	}
	mem_wipe(part, sizeof(part));
	return r;
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
	size_t room = b->cap - b->n;
	va_list ap;
	int n, r;

	va_start(ap, fmt);
	n = vsnprintf(b->p ? b->p + b->n : NULL, b->p ? room + 1 : 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return BUF_E_FULL;
	if (!b->p || (size_t)n > room) {
		r = buf_reserve(b, (size_t)n);
		if (r)
			return r;
		if (n == 0)
			return 0;
		va_start(ap, fmt);
		vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
		va_end(ap);
	}
	b->n += (size_t)n;
	return 0;
}

void block_pool_init(struct block_pool *pool, unsigned keep)
{
	*pool = (struct block_pool){.keep = keep};
}

void block_pool_deinit(struct block_pool *pool)
{
	while (pool->free) {
		struct block *b = pool->free;

		pool->free = b->next;
		unpoison(b->data, b->cap);
		free(b);
	}
	/* Blocks still out there go to the heap when they are dropped. */
	pool->nfree = pool->keep = 0;
}

struct block *block_new(struct block_pool *pool, size_t n)
{
	bool pooled = pool && n <= BLOCK_SIZE;
	size_t cap = pooled ? BLOCK_SIZE : n;
	struct block *b;

	assert(n <= UINT32_MAX);
	if (pooled && pool->free) {
		b = pool->free;
		pool->free = b->next;
		pool->nfree--;
		unpoison(b->data, b->cap);
	} else {
		b = xmalloc(sizeof(*b) + cap);
	}
	b->refs = 1;
	b->cap = (uint32_t)cap;
	b->used = 0;
	b->pool = pooled ? pool : NULL;
	b->next = NULL;
	return b;
}

void block_free(struct block *b)
{
	struct block_pool *pool = b->pool;

	if (pool && pool->nfree < pool->keep) {
		b->next = pool->free;
		pool->free = b;
		pool->nfree++;
		poison(b->data, b->cap);
		return;
	}
	free(b);
}

struct slice slice_copy(struct block_pool *pool, const void *p, size_t n)
{
	struct block *b = block_new(pool, n);

	if (n)
		memcpy(b->data, p, n);
	b->used = (uint32_t)n;
	return (struct slice){.block = b, .p = b->data, .n = n};
}

/* ---- chains ---- */
#define RING_LEAST 4

static struct slice *chain_last(struct chain *c)
{
	if (c->count == 0)
		return NULL;
	return c->ring ? &c->ring[(c->head + c->count - 1) & (c->cap - 1)] : &c->one;
}

void chain_deinit_ring(struct chain *c)
{
	for (uint32_t i = 0; i < c->count; i++)
		slice_unref(*chain_at(c, i));
	free(c->ring);
	chain_init(c);
}

static void chain_grow(struct chain *c)
{
	uint32_t cap = c->ring ? c->cap * 2 : RING_LEAST;
	struct slice *ring = xmalloc(cap * sizeof(*ring));

	for (uint32_t i = 0; i < c->count; i++)
		ring[i] = *chain_at(c, i);
	free(c->ring);
	c->ring = ring;
	c->head = 0;
	c->cap = cap;
}

void chain_push_more(struct chain *c, struct slice s)
{
	struct slice *last = chain_last(c);

	if (s.n == 0) {
		slice_unref(s);
		return;
	}
	c->bytes += s.n;
	if (last && s.block && last->block == s.block && last->p + last->n == s.p) {
		last->n += s.n;
		slice_unref(s);
		return;
	}
	if (!c->ring || c->count == c->cap)
		chain_grow(c);
	c->ring[(c->head + c->count++) & (c->cap - 1)] = s;
}

/* What the tail block may take: nobody else looks at it, and the last slice ends where it does. */
static size_t tail_room(const struct slice *last)
{
	const struct block *b = last ? last->block : NULL;

	if (!b || b->refs != 1 || last->p + last->n != b->data + b->used)
		return 0;
	return b->cap - b->used;
}

void chain_copy(struct chain *c, struct block_pool *pool, const void *p, size_t n)
{
	struct slice *last = chain_last(c);
	size_t part = tail_room(last);
	const char *from = p;

	if (part > n)
		part = n;
	if (part > 0) {
		memcpy(last->block->data + last->block->used, from, part);
		last->block->used += (uint32_t)part;
		last->n += part;
		c->bytes += part;
	}
	while (part < n) {
		from += part;
		n -= part;
		part = pool && n > BLOCK_SIZE ? BLOCK_SIZE : n;
		chain_push(c, slice_copy(pool, from, part));
	}
}

void chain_pack_more(struct chain *c, struct block_pool *pool, struct slice s)
{
	size_t quarter = s.block ? s.block->cap / 4 : 0;

	if (s.n >= BLOCK_SIZE / 2 && s.n >= quarter) {
		chain_push(c, s);
		return;
	}
	chain_copy(c, pool, s.p, s.n);
	slice_unref(s);
}

int chain_iov(const struct chain *c, struct iovec *iov, int max)
{
	int n = 0;

	for (uint32_t i = 0; i < c->count && n < max; i++, n++) {
		const struct slice *s = chain_at(c, i);

		/* An iovec serves reading and writing and so has no const; these are only written
		 * out. */
		iov[n].iov_base = (void *)(uintptr_t)s->p;
		iov[n].iov_len = s->n;
	}
	return n;
}

struct slice chain_shift_ring(struct chain *c)
{
	struct slice s = c->ring[c->head];

	c->bytes -= s.n;
	c->head = (c->head + 1) & (c->cap - 1);
	if (--c->count == 0)
		chain_deinit_ring(c);
	return s;
}

void chain_drain_part(struct chain *c, size_t n)
{
	assert(n <= c->bytes);
	while (n) {
		struct slice *first = c->ring ? &c->ring[c->head] : &c->one;

		if (n < first->n) {
			first->p += n;
			first->n -= n;
			c->bytes -= n;
			return;
		}
		n -= first->n;
		slice_unref(chain_shift(c));
	}
}

void chain_move_part(struct chain *dst, struct chain *src, size_t n)
{
	assert(n <= src->bytes);
	while (n) {
		struct slice part = *chain_at(src, 0);

		if (n < part.n) {
			part.n = n;
			chain_push(dst, slice_ref(part));
			chain_drain(src, n);
			return;
		}
		n -= part.n;
		chain_push(dst, chain_shift(src));
	}
}
