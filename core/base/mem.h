/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Memory: wrappers that abort when memory is out (ceilings stop hostile sizes before), and the
 * arena.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

#include "base/poison.h"
#include "base/str.h"

#define ARENA_ALIGN 16

void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size); /* aborts on overflow too */
/* What several threads write at once: it begins on a cache line and shares none. free() ends it. */
#define CACHE_LINE 64
void *xcalloc_lines(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *z);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Overwrites in a way that the compiler keeps (secrets). */
void mem_wipe(void *p, size_t n);

/*
 * An arena: everything of one transaction, freed together. Not for use by two threads at once.
 * Pages come from a pool that belongs to one thread and keeps up to `keep` pages of each size for
 * the next arena.
 */
struct arena_page;
struct arena_hook;
struct arena_pool {
	struct arena_page *first; /* free ones */
	struct arena_page *free;
	unsigned nfirst;
	unsigned nfree;
	unsigned keep;
};
void arena_pool_init(struct arena_pool *pool, unsigned keep);
void arena_pool_deinit(struct arena_pool *pool);

/* Bytes of an arena's first page and of each further one, header included: most transactions fit in
 * the first, and what one holds beyond it is little more than it needs. Without a pool all pages
 * are as the first. Larger requests get a block of their own. */
#define ARENA_FIRST 5104
#define ARENA_PAGE 496

struct arena {
	struct arena_pool *pool; /* NULL: the heap */
	struct arena_page *page;
	char *at;
	char *end;
	struct arena_hook
	    *hooks; /* what arena_on_free() registered, last first; lives in the arena */
};
void arena_init(struct arena *a, struct arena_pool *pool);
void arena_deinit(struct arena *a); /* frees all; the arena is as after init */
void *arena_alloc_more(struct arena *a, size_t n);
/* Aligned to 16, not zeroed. */
static inline void *arena_alloc(struct arena *a, size_t n)
{
	size_t room = (size_t)(a->end - a->at);
	char *p = a->at;

	/* An empty request wraps to the largest, so that it has an address of its own, too. */
	if (n - 1 >= room)
		return arena_alloc_more(a, n);
	a->at = p + ((n + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1));
	unpoison(p, n);
	return p;
}
void *arena_zalloc(struct arena *a, size_t n);
struct str arena_str(struct arena *a, struct str s); /* a copy, with a NUL behind it */
struct str arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Calls fn(arg) at deinit, last registered first. For secrets: arena_wipe() registers a wipe. */
void arena_on_free(struct arena *a, void (*fn)(void *arg), void *arg);
void arena_wipe(struct arena *a, void *p, size_t n);

#endif
