/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Two kinds of bytes: struct buf, growable and contiguous, born with its ceiling; and refcounted
 * blocks with slices into them, queued in a struct chain, so that a body is never copied on its
 * way. Blocks and chains belong to one thread.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/str.h"

/* ---- growable bytes ---- */
enum { BUF_E_FULL = 1 };
struct buf {
	char *p;
	size_t n;
	size_t cap;
	size_t max;
};
void buf_init(struct buf *b, size_t max);
void buf_deinit(struct buf *b); /* frees; buf_wipe() before it for secrets */
void buf_wipe(struct buf *b);
void buf_reset(struct buf *b); /* n = 0, memory kept */
int buf_add(struct buf *b, const void *p,
            size_t n) MUST_CHECK; /* 0 or BUF_E_FULL, then nothing was added */
int buf_adds(struct buf *b, struct str s) MUST_CHECK;
int buf_addf(struct buf *b, const char *fmt, ...) PRINTF(2, 3) MUST_CHECK;
/* The text as a JSON string, quotes included. Controls, DEL, U+2028 and U+2029 are escaped; bytes
 * that are not UTF-8 become U+FFFD. */
int buf_add_json(struct buf *b, struct str s) MUST_CHECK;
int buf_reserve(struct buf *b, size_t more) MUST_CHECK;
/* All that fd gives until its end; no copy of it is left elsewhere, unless b had to grow. 0,
 * BUF_E_FULL, or -errno; then what came before stays in b. */
int buf_read(struct buf *b, int fd) MUST_CHECK;
static inline struct str buf_str(const struct buf *b)
{
	return (struct str){b->p, b->n};
}

/* ---- blocks ---- */
#define BLOCK_SIZE 16384 /* payload bytes of a pooled block */
struct block;
/* Keeps freed blocks of BLOCK_SIZE for reuse by the same thread. */
struct block_pool {
	struct block *free;
	unsigned nfree;
	unsigned keep;
};
struct block {
	uint32_t refs;
	uint32_t cap;
	uint32_t used; /* bytes written; only the writer of the block moves it, appending */
	struct block_pool *pool; /* where it returns; NULL: heap */
	struct block *next;      /* in the pool's list */
	char data[];
};
void block_pool_init(struct block_pool *pool, unsigned keep);
void block_pool_deinit(struct block_pool *pool);
/* A block of at least n bytes (BLOCK_SIZE or less: pooled) with one reference. */
struct block *block_new(struct block_pool *pool, size_t n);
static inline struct block *block_ref(struct block *b)
{
	b->refs++;
	return b;
}
void block_free(struct block *b); /* used by block_unref */
static inline void block_unref(struct block *b)
{
	if (b && --b->refs == 0)
		block_free(b);
}

/* A view that owns one reference of its block; block NULL: static memory that outlives every use.
 */
struct slice {
	struct block *block;
	const char *p;
	size_t n;
};
static inline struct slice slice_ref(struct slice s)
{
	if (s.block)
		s.block->refs++;
	return s;
}
static inline void slice_unref(struct slice s)
{
	block_unref(s.block);
}
struct slice slice_copy(struct block_pool *pool, const void *p, size_t n);

/* ---- a queue of slices ---- */
/* Most queues hold one slice for the length of a turn, so one is kept without memory of its own,
 * and what happens to it happens here. All zeros is an empty chain; it may be copied as bytes. */
struct chain {
	struct slice *ring; /* NULL: at most one is queued, and it is `one` */
	struct slice one;
	size_t bytes;
	uint32_t cap; /* of the ring, a power of two */
	uint32_t head;
	uint32_t count;
};
static inline void chain_init(struct chain *c)
{
	*c = (struct chain){0};
}
/* The i-th slice, borrowed; i < count. */
static inline const struct slice *chain_at(const struct chain *c, uint32_t i)
{
	return c->ring ? &c->ring[(c->head + i) & (c->cap - 1)] : &c->one;
}
void chain_deinit_ring(struct chain *c);
/* Drops all slices. */
static inline void chain_deinit(struct chain *c)
{
	if (c->ring) {
		chain_deinit_ring(c);
	} else if (c->count) {
		slice_unref(c->one);
		chain_init(c);
	}
}
void chain_push_more(struct chain *c, struct slice s);
/* Takes the reference; n 0 is dropped; a slice that follows the last one in the same block is
 * joined to it. */
static inline void chain_push(struct chain *c, struct slice s)
{
	if (c->count > 0 || s.n == 0) {
		chain_push_more(c, s);
		return;
	}
	c->one = s;
	c->bytes = s.n;
	c->count = 1;
}
/* Copies the bytes in, into the tail block where it has room and is not shared. */
void chain_copy(struct chain *c, struct block_pool *pool, const void *p, size_t n);
void chain_pack_more(struct chain *c, struct block_pool *pool, struct slice s);
/* As chain_push(), but with copies of what would hold far more memory than chain.bytes says, since
 * a slice keeps its whole block: a piece that stands behind others and is less than half of a
 * common block, and any that is less than a quarter of a larger one. */
static inline void chain_pack(struct chain *c, struct block_pool *pool, struct slice s)
{
	if (c->count == 0 && (!s.block || s.block->cap <= BLOCK_SIZE))
		chain_push(c, s);
	else
		chain_pack_more(c, pool, s);
}
int chain_iov(const struct chain *c, struct iovec *iov, int max); /* returns entries filled */
void chain_drain_part(struct chain *c, size_t n);
/* Drops the first n bytes. */
static inline void chain_drain(struct chain *c, size_t n)
{
	if (n == c->bytes)
		chain_deinit(c);
	else
		chain_drain_part(c, n);
}
void chain_move_part(struct chain *dst, struct chain *src, size_t n);
/* The first n bytes of src to the end of dst. */
static inline void chain_move(struct chain *dst, struct chain *src, size_t n)
{
	if (n == src->bytes && dst->count == 0) {
		*dst = *src;
		chain_init(src);
	} else if (n > 0) {
		chain_move_part(dst, src, n);
	}
}
struct slice chain_shift_ring(struct chain *c);
/* The first slice, its reference handed over; count > 0. */
static inline struct slice chain_shift(struct chain *c)
{
	struct slice s = c->one;

	if (c->ring)
		return chain_shift_ring(c);
	chain_init(c);
	return s;
}

#endif
