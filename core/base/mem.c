/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Memory. Pages of an arena form a list, newest first; oversized requests get a page of their own
 * behind the current one. An arena owns its pages until arena_deinit() hands the ordinary ones to
 * the thread's pool.
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
#include "base/vector.h"

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

#define FIRST_ROOM (ARENA_FIRST - sizeof(struct arena_page))
#define PAGE_ROOM (ARENA_PAGE - sizeof(struct arena_page))
_Static_assert(sizeof(struct arena_page) % ARENA_ALIGN == 0, "payload would not be aligned");
_Static_assert(FIRST_ROOM % ARENA_ALIGN == 0 && PAGE_ROOM % ARENA_ALIGN == 0,
               "arena_alloc() compares before it rounds");

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

void *xcalloc_lines(size_t n, size_t size)
{
	void *p = NULL;
	size_t all;

	if (__builtin_mul_overflow(n, size, &all) || all > SIZE_MAX - CACHE_LINE)
		out_of_memory(size);
	all = (all + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	p = aligned_alloc(CACHE_LINE, all ? all : CACHE_LINE);
	if (!p)
		out_of_memory(all);
	return memset(p, 0, all);
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

static void pages_free(struct arena_page *page)
{
	while (page) {
		struct arena_page *next = page->next;

		unpoison(page_data(page), page->room);
		free(page);
		page = next;
	}
}

void arena_pool_deinit(struct arena_pool *pool)
{
	pages_free(pool->first);
	pages_free(pool->free);
	/* Arenas that outlive the pool give their pages to the heap. */
	*pool = (struct arena_pool){0};
}

static struct arena_page *page_new(size_t room)
{
	struct arena_page *page = xmalloc(sizeof(*page) + room);

	page->room = room;
	return page;
}

static struct arena_page *page_take(struct arena_pool *pool, bool first)
{
	struct arena_page *page = first ? pool->first : pool->free;

	if (!page)
		return page_new(first ? FIRST_ROOM : PAGE_ROOM);
	if (first) {
		pool->first = page->next;
		pool->nfirst--;
	} else {
		pool->free = page->next;
		pool->nfree--;
	}
	return page;
}

static void page_drop(struct arena_pool *pool, struct arena_page *page)
{
	bool first = page->room == FIRST_ROOM;

	page->next = NULL;
	if (!pool || (!first && page->room != PAGE_ROOM) ||
	    (first ? pool->nfirst : pool->nfree) >= pool->keep) {
		pages_free(page);
		return;
	}
	poison(page_data(page), page->room);
	page->next = first ? pool->first : pool->free;
	if (first) {
		pool->first = page;
		pool->nfirst++;
	} else {
		pool->free = page;
		pool->nfree++;
	}
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

/* The current page has more room left than this one, and stays in use. */
static void page_behind(struct arena *a, struct arena_page *page)
{
	if (a->page) {
		page->next = a->page->next;
		a->page->next = page;
	} else {
		page->next = NULL;
		a->page = page;
	}
}

static void *alloc_apart(struct arena *a, size_t rounded)
{
	struct arena_page *page;

	/* It must not look like a page of the pool. */
	if (rounded == FIRST_ROOM || rounded == PAGE_ROOM)
		rounded += ARENA_ALIGN;
	page = page_new(rounded);
	page_behind(a, page);
	return page_data(page);
}

void *arena_alloc_more(struct arena *a, size_t n)
{
	size_t rounded = ((n ? n : 1) + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	bool first = !a->page || !a->pool;
	size_t rest = (size_t)(a->end - a->at);
	struct arena_page *page;
	char *data;

	if (n > SIZE_MAX / 2)
		out_of_memory(n);
	if (n == 0 && a->at < a->end)
		return arena_alloc(a, 1);
	if (rounded > (first ? FIRST_ROOM : PAGE_ROOM))
		return alloc_apart(a, rounded);
	page = a->pool ? page_take(a->pool, first) : page_new(FIRST_ROOM);
	data = page_data(page);
	poison(data, page->room);
	unpoison(data, n);
	if (page->room - rounded < rest) {
		page_behind(a, page);
		return data;
	}
	page->next = a->page;
	a->page = page;
	a->at = data + rounded;
	a->end = data + page->room;
	return data;
}

void *arena_zalloc(struct arena *a, size_t n)
{
	return memset(arena_alloc(a, n), 0, n);
}

struct str arena_str(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);

	bytes_copy(p, s.p, s.n);
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
