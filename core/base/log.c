/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The process log. A line is put together on the caller's stack and leaves by one write(2), so
 * lines of threads never mix; what the pipe does not take is lost, because waiting for a reader of
 * logs must not stop serving.
 */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

#define TEXT_MAX 3072
#define LINE_BYTES (4 * TEXT_MAX + 64) /* every byte may become four */

static atomic_int least_level = LOG_L_NOTICE;
static atomic_int log_fd = 2;
static bool journal;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void look_for_journal(void)
{
	journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_set_level(enum log_level least)
{
	atomic_store_explicit(&least_level, (int)least, memory_order_relaxed);
}

void log_set_fd(int fd)
{
	atomic_store_explicit(&log_fd, fd, memory_order_relaxed);
}

static bool wanted(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&least_level, memory_order_relaxed);
}

static const char *level_name(enum log_level level)
{
	switch (level) {
	case LOG_L_ERROR:
		return "error";
	case LOG_L_WARN:
		return "warning";
	case LOG_L_NOTICE:
		return "notice";
	case LOG_L_INFO:
		return "info";
	case LOG_L_DEBUG:
		return "debug";
	}
	return "notice";
}

static size_t escape(char *out, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c <= 0x7e) {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '\\';
		out[n++] = 'x';
		out[n++] = hex[c >> 4];
		out[n++] = hex[c & 15];
	}
	return n;
}

static void put_line(enum log_level level, const char *text)
{
	char line[LINE_BYTES];
	int fd = atomic_load_explicit(&log_fd, memory_order_relaxed);
	size_t n = 0;
	ssize_t r;

	pthread_once(&once, look_for_journal);
	if (journal)
		n += (size_t)snprintf(line, sizeof(line), "<%d>", (int)level);
	n += (size_t)snprintf(line + n, sizeof(line) - n, "%s: ", level_name(level));
	n += escape(line + n, text);
	line[n++] = '\n';
	do
		r = write(fd, line, n);
	while (r < 0 && errno == EINTR);
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	char text[TEXT_MAX];
	int saved = errno;
	va_list ap;

	if (!wanted(level))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_line(level, text);
	errno = saved;
}

/* Whether the line may go out; *dropped is how many before it did not. */
static bool limit_passes(struct log_limit *limit, uint32_t burst, uint32_t *dropped)
{
	/* Counted from 1, so that a zeroed limit is not taken for one of the clock's first second.
	 */
	uint64_t now = clock_mono() / NS_PER_S + 1;

	*dropped = 0;
	if (__atomic_exchange_n(&limit->second, now, __ATOMIC_RELAXED) != now) {
		__atomic_store_n(&limit->count, 0, __ATOMIC_RELAXED);
		*dropped = __atomic_exchange_n(&limit->dropped, 0, __ATOMIC_RELAXED);
	}
	if (__atomic_add_fetch(&limit->count, 1, __ATOMIC_RELAXED) <= burst)
		return true;
	__atomic_add_fetch(&limit->dropped, 1, __ATOMIC_RELAXED);
	return false;
}

void log_limited(struct log_limit *limit, uint32_t burst, enum log_level level, const char *fmt,
                 ...)
{
	char text[TEXT_MAX];
	int saved = errno;
	uint32_t dropped;
	va_list ap;
	size_t n;

	if (!wanted(level) || !limit_passes(limit, burst, &dropped))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text) - 32, fmt, ap);
	va_end(ap);
	n = strlen(text);
	if (dropped)
		snprintf(text + n, sizeof(text) - n, " dropped=%u", (unsigned)dropped);
	put_line(level, text);
	errno = saved;
}
