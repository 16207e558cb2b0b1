/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The arena: alignment, pages and their pool, oversized requests, hooks in their order, wiping; and
 * the small helpers beside it.
 */
#include "base/clean.h"
#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "unit.h"

static void every_piece_is_aligned_and_its_own(void)
{
	struct arena a;
	unsigned char *p[2000];

	arena_init(&a, NULL);
	for (size_t i = 0; i < 2000; i++) {
		size_t n = i * 7 % 97;

		p[i] = arena_alloc(&a, n);
		CU_ASSERT_FATAL((uintptr_t)p[i] % 16 == 0);
		memset(p[i], (int)(i & 0xff), n);
	}
	for (size_t i = 0; i < 2000; i++)
		for (size_t k = 0; k < i * 7 % 97; k++)
			CU_ASSERT_FATAL(p[i][k] == (i & 0xff));
	arena_deinit(&a);
	CU_ASSERT(a.page == NULL && a.at == a.end);
}

static void pages_return_to_the_pool_up_to_its_limit(void)
{
	struct arena_pool pool;
	struct arena a;

	arena_pool_init(&pool, 3);
	arena_init(&a, &pool);
	for (int i = 0; i < 100; i++)
		memset(arena_alloc(&a, 200), 1, 200);
	CU_ASSERT(pool.nfirst == 0 && pool.nfree == 0);
	arena_deinit(&a);
	CU_ASSERT(pool.nfirst == 1 && pool.nfree == 3);
	/* The arena is as new, and pages come out of the pool again. */
	(void)arena_alloc(&a, 10);
	CU_ASSERT(pool.nfirst == 0 && pool.nfree == 3);
	memset(arena_alloc(&a, ARENA_FIRST), 1, ARENA_FIRST);
	(void)arena_alloc(&a, ARENA_PAGE / 2 - 16);
	CU_ASSERT(pool.nfree == 3);
	for (int i = 0; i < 25; i++)
		(void)arena_alloc(&a, 200);
	CU_ASSERT(pool.nfree == 2);
	arena_deinit(&a);
	CU_ASSERT(pool.nfirst == 1 && pool.nfree == 3);
	arena_pool_deinit(&pool);
	CU_ASSERT(pool.nfirst == 0 && pool.first == NULL);
	CU_ASSERT(pool.nfree == 0 && pool.free == NULL);
}

static void large_requests_have_their_own_memory(void)
{
	static const size_t sizes[] = {
	    ARENA_PAGE / 2 - 16, ARENA_PAGE / 2,   ARENA_PAGE - 32, ARENA_PAGE - 17,
	    ARENA_PAGE - 16,     ARENA_PAGE - 15,  ARENA_PAGE,      ARENA_FIRST - 16,
	    ARENA_FIRST,         ARENA_FIRST + 16, 100000};
	struct arena_pool pool;
	struct arena a;
	char *small, *next;

	arena_pool_init(&pool, 100);
	arena_init(&a, &pool);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		memset(arena_alloc(&a, sizes[i]), 0xee, sizes[i]);
	small = arena_alloc(&a, 16);
	memset(arena_alloc(&a, 50000), 0xee, 50000);
	next = arena_alloc(&a, 16);
	/* The page in use goes on being used after a large request. */
	CU_ASSERT(next == small + 16);
	arena_deinit(&a);
	/* Only ordinary pages may be kept: one that was cut to a request would be too small for the
	 * next user. */
	for (struct arena b = {.pool = &pool}; pool.nfirst + pool.nfree;) {
		memset(arena_alloc(&b, ARENA_PAGE / 2 - 96), 1, ARENA_PAGE / 2 - 96);
		memset(arena_alloc(&b, ARENA_PAGE / 2 - 96), 1, ARENA_PAGE / 2 - 96);
		if (pool.nfirst + pool.nfree == 0)
			arena_deinit(&b), pool.keep = 0, arena_pool_deinit(&pool);
	}
	CU_ASSERT(pool.nfirst + pool.nfree == 0);
}

static void first_object_may_take_most_of_a_page(void)
{
	struct arena_pool pool;
	struct arena a;
	char *first;

	arena_pool_init(&pool, 100);
	arena_init(&a, &pool);
	first = arena_alloc(&a, ARENA_FIRST / 16 * 10);
	memset(first, 0xee, ARENA_FIRST / 16 * 10);
	CU_ASSERT((char *)arena_alloc(&a, 16) == first + (ARENA_FIRST / 16 * 10 + 15) / 16 * 16);
	arena_deinit(&a);
	CU_ASSERT(pool.nfirst == 1);
	memset(arena_alloc(&a, ARENA_FIRST), 0xee, ARENA_FIRST);
	CU_ASSERT(pool.nfirst == 1);
	arena_deinit(&a);
	arena_pool_deinit(&pool);
}

static void zeroed_text_and_printed_pieces(void)
{
	struct arena a;
	struct str s;
	char *z;

	arena_init(&a, NULL);
	z = arena_zalloc(&a, 500);
	for (int i = 0; i < 500; i++)
		CU_ASSERT_FATAL(z[i] == 0);
	s = arena_str(&a, (struct str){"abcdef", 3});
	CU_ASSERT(s.n == 3 && strcmp(s.p, "abc") == 0);
	s = arena_str(&a, STR_NONE);
	CU_ASSERT(s.n == 0 && s.p[0] == '\0');
	s = arena_printf(&a, "%d-%s", 42, "x");
	CU_ASSERT(s.n == 4 && strcmp(s.p, "42-x") == 0);
	arena_deinit(&a);
}

static char order[8];
static void note(void *arg)
{
	strcat(order, arg);
}

static void hooks_run_last_first_and_once(void)
{
	static char one[] = "1", two[] = "2", three[] = "3";
	struct arena a;

	order[0] = '\0';
	arena_init(&a, NULL);
	arena_on_free(&a, note, one);
	arena_on_free(&a, note, two);
	arena_on_free(&a, note, three);
	arena_deinit(&a);
	CU_ASSERT_STRING_EQUAL(order, "321");
	arena_deinit(&a);
	CU_ASSERT_STRING_EQUAL(order, "321");
}

static char *watched;
static bool was_wiped;
static void look(void *arg)
{
	(void)arg;
	was_wiped = memcmp(watched, "\0\0\0\0\0\0", 6) == 0;
}

static void secrets_are_wiped_before_the_memory_goes(void)
{
	struct arena a;

	arena_init(&a, NULL);
	watched = arena_alloc(&a, 6);
	memcpy(watched, "secret", 6);
	was_wiped = false;
	arena_on_free(&a, look, NULL); /* registered before the wipe, so it runs after it */
	arena_wipe(&a, watched, 6);
	arena_deinit(&a);
	CU_ASSERT(was_wiped);
}

static void locals_free_and_close_themselves(void)
{
	int seen;

	{
		_cleanup_(xfreep) char *p = xstrdup("freed at the end of the block");
		_cleanup_(xfreep) char *gone = xasprintf("%d", 1);
		_cleanup_(closep) int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		char *mine = steal(&gone);

		CU_ASSERT(gone == NULL && strcmp(mine, "1") == 0);
		free(mine);
		CU_ASSERT(p != NULL);
		seen = fd;
		errno = EXDEV;
	}
	CU_ASSERT(errno == EXDEV);
	CU_ASSERT(seen >= 0 && fcntl(seen, F_GETFD) == -1 && errno == EBADF);
}

static void the_last_fault_names_its_place(void)
{
	int r = err_origin(-ENOENT);

	CU_ASSERT(r == -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err_last(), "test_base_mem.c:"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err_last(), "No such file"));
}

UNIT_MAIN("mem", UNIT(every_piece_is_aligned_and_its_own),
          UNIT(pages_return_to_the_pool_up_to_its_limit),
          UNIT(large_requests_have_their_own_memory), UNIT(first_object_may_take_most_of_a_page),
          UNIT(zeroed_text_and_printed_pieces), UNIT(hooks_run_last_first_and_once),
          UNIT(secrets_are_wiped_before_the_memory_goes), UNIT(locals_free_and_close_themselves),
          UNIT(the_last_fault_names_its_place))
