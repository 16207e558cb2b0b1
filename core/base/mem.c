/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Memory. Pages of an arena form a list, newest first; oversized requests get a page of their own
 * behind the current one, so that its rest stays in use. An arena owns its pages until
 * arena_deinit() hands the ordinary ones to the thread's pool.
 */
#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/poison.h"

struct arena_page {
	struct arena_page *next;
	size_t room; /* payload bytes */
};
struct arena_hook {
	struct arena_hook *next;
	void (*fn)(void *arg);
	void *arg;
};
struct arena_secret {
	void *p;
	size_t n;
};

#define ALIGN 16
#define PAGE_ROOM (ARENA_PAGE - sizeof(struct arena_page))
_Static_assert(sizeof(struct arena_page) % ALIGN == 0, "payload would not be aligned");

static void *page_data(struct arena_page *page)
{
	return page + 1;
}

static _Noreturn void out_of_memory(size_t n)
{
	log_msg(LOG_L_ERROR, "out of memory bytes=%zu", n);
	abort();
}

void *xmalloc(size_t n)
{
	void *p = malloc(n ? n : 1);

	if (!p)
		out_of_memory(n);
	return p;
}

void *xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		out_of_memory(size);
	return p;
}

void *xrealloc(void *p, size_t n)
{
	void *q = realloc(p, n ? n : 1);

	if (!q)
		out_of_memory(n);
	return q;
}

char *xstrdup(const char *z)
{
	return str_dup(str_of(z));
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *z;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&z, fmt, ap);
	va_end(ap);
	if (n < 0)
		out_of_memory(0);
	return z;
}

void mem_wipe(void *p, size_t n)
{
	if (n)
		explicit_bzero(p, n);
}

void arena_pool_init(struct arena_pool *pool, unsigned keep)
{
	*pool = (struct arena_pool){.keep = keep};
}

void arena_pool_deinit(struct arena_pool *pool)
{
	while (pool->free) {
		struct arena_page *page = pool->free;

		unpoison(page_data(page), page->room);
		pool->free = page->next;
		free(page);
	}
	/* Arenas that outlive the pool give their pages to the heap. */
	pool->nfree = pool->keep = 0;
}

static struct arena_page *page_take(struct arena_pool *pool)
{
	struct arena_page *page;

	if (pool && pool->free) {
		page = pool->free;
		pool->free = page->next;
		pool->nfree--;
		return page;
	}
	page = xmalloc(ARENA_PAGE);
	page->room = PAGE_ROOM;
	return page;
}

static void page_drop(struct arena_pool *pool, struct arena_page *page)
{
	if (pool && page->room == PAGE_ROOM && pool->nfree < pool->keep) {
		poison(page_data(page), page->room);
		page->next = pool->free;
		pool->free = page;
		pool->nfree++;
		return;
	}
	unpoison(page_data(page), page->room);
	free(page);
}

void arena_init(struct arena *a, struct arena_pool *pool)
{
	*a = (struct arena){.pool = pool};
}

void arena_deinit(struct arena *a)
{
	/* A hook may free what a later one still looks at, never the other way round: hence last
	 * first. */
	while (a->hooks) {
		struct arena_hook *hook = a->hooks;

		a->hooks = hook->next;
		hook->fn(hook->arg);
	}
	while (a->page) {
		struct arena_page *page = a->page;

		a->page = page->next;
		page_drop(a->pool, page);
	}
	arena_init(a, a->pool);
}

static void *alloc_slow(struct arena *a, size_t n, size_t rounded)
{
	struct arena_page *page;
	char *data;

	/* The first object of an arena is what the others belong to: it may take most of a page. */
	if (rounded > PAGE_ROOM / 2 && (a->page || rounded > PAGE_ROOM / 4 * 3)) {
		page = xmalloc(sizeof(*page) + rounded);
		/* One more than it holds where it would look like a page of the pool. */
		page->room = rounded == PAGE_ROOM ? rounded - 1 : rounded;
		if (a->page) {
			page->next = a->page->next;
			a->page->next = page;
		} else {
			page->next = NULL;
			a->page = page;
		}
		return page_data(page);
	}
	page = page_take(a->pool);
	page->next = a->page;
	a->page = page;
	data = page_data(page);
	poison(data, page->room);
	a->at = data + rounded;
	a->end = data + PAGE_ROOM / ALIGN * ALIGN;
	unpoison(data, n);
	return data;
}

void *arena_alloc(struct arena *a, size_t n)
{
	size_t rounded = n <= SIZE_MAX / 2 ? ((n ? n : 1) + ALIGN - 1) & ~(size_t)(ALIGN - 1) : 0;
	char *p = a->at;

	if (!rounded)
		out_of_memory(n);
	a->total += rounded;
	if (rounded > (size_t)(a->end - p))
		return alloc_slow(a, n, rounded);
	a->at = p + rounded;
	unpoison(p, n);
	return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
	return memset(arena_alloc(a, n), 0, n);
}

struct str arena_str(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);

	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return (struct str){p, s.n};
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		out_of_memory(0);
	p = arena_alloc(a, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return (struct str){p, (size_t)n};
}

void arena_on_free(struct arena *a, void (*fn)(void *arg), void *arg)
{
	struct arena_hook *hook = arena_alloc(a, sizeof(*hook));

	*hook = (struct arena_hook){.next = a->hooks, .fn = fn, .arg = arg};
	a->hooks = hook;
}

static void wipe_secret(void *arg)
{
	struct arena_secret *secret = arg;

	mem_wipe(secret->p, secret->n);
}

void arena_wipe(struct arena *a, void *p, size_t n)
{
	struct arena_secret *secret = arena_alloc(a, sizeof(*secret));

	*secret = (struct arena_secret){.p = p, .n = n};
	arena_on_free(a, wipe_secret, secret);
}
