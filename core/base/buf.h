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
struct chain {
	struct slice *ring; /* inline_ until more than CHAIN_INLINE are queued */
	uint32_t cap;
	uint32_t head;
	uint32_t count;
	size_t bytes;
#define CHAIN_INLINE 4
	struct slice inline_[CHAIN_INLINE];
};
void chain_init(struct chain *c);
void chain_deinit(struct chain *c); /* drops all slices */
void chain_push(struct chain *c,
                struct slice s); /* takes the reference; n 0 is dropped; a slice that follows
                                    the last one in the same block is joined to it */
/* Copies the bytes in, into the tail block where it has room and is not shared. */
void chain_copy(struct chain *c, struct block_pool *pool, const void *p, size_t n);
/* As chain_push(), but a piece of less than half a block that stands behind others is copied: a
 * slice keeps its whole block, and many small ones would hold far more memory than chain.bytes
 * says. */
void chain_pack(struct chain *c, struct block_pool *pool, struct slice s);
int chain_iov(const struct chain *c, struct iovec *iov, int max); /* returns entries filled */
void chain_drain(struct chain *c, size_t n);                      /* drops the first n bytes */
void chain_move(struct chain *dst, struct chain *src,
                size_t n);                       /* the first n bytes of src to the end of dst */
struct slice chain_first(const struct chain *c); /* borrowed, count > 0 */
struct slice chain_shift(struct chain *c);       /* the first slice, its reference handed over */

#endif
