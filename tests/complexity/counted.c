/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The counter itself. It is compiled without the counting, and the linker leads the library's calls
 * through here (--wrap).
 */
#include "complexity/counted.h"

#include <stddef.h>

static uint64_t work;

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void)
{
	work++;
}

void counted_reset(void)
{
	work = 0;
}

uint64_t counted(void)
{
	return work;
}

/* Eight bytes are about one step. */
#define WRAPPED(type, name, params, args, n)                                                       \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		work += 1 + (n) / 8;                                                               \
		return __real_##name args;                                                         \
	}

WRAPPED(void *, memcpy, (void *to, const void *from, size_t n), (to, from, n), n)
WRAPPED(void *, memmove, (void *to, const void *from, size_t n), (to, from, n), n)
WRAPPED(void *, memset, (void *at, int c, size_t n), (at, c, n), n)
WRAPPED(int, memcmp, (const void *a, const void *b, size_t n), (a, b, n), n)
WRAPPED(void *, realloc, (void *p, size_t n), (p, n), n)

size_t __real_strlen(const char *s);
size_t __wrap_strlen(const char *s);
size_t __wrap_strlen(const char *s)
{
	size_t n = __real_strlen(s);

	work += 1 + n / 8;
	return n;
}

/* It looks no further than what it finds. */
void *__real_memchr(const void *at, int c, size_t n);
void *__wrap_memchr(const void *at, int c, size_t n);
void *__wrap_memchr(const void *at, int c, size_t n)
{
	char *found = __real_memchr(at, c, n);

	work += 1 + (found ? (size_t)(found - (const char *)at) : n) / 8;
	return found;
}
