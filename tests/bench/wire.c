/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Heads, and answers in pieces, for the bench programs. Nothing is allocated but by must_alloc,
 * whose memory is the caller's.
 */
#include "wire.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { IN_HEAD, IN_BODY, IN_SIZE, IN_CHUNK, IN_CHUNK_END, IN_TRAILER };

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

_Noreturn void die(const char *what)
{
	perror(what);
	exit(71);
}

void *must_alloc(size_t count, size_t size)
{
	void *p = calloc(count, size);

	if (!p)
		die("calloc");
	return p;
}

size_t head_length(const char *data, size_t len)
{
	const char *end = memmem(data, len, "\r\n\r\n", 4);

	return end ? (size_t)(end - data) + 4 : 0;
}

const char *head_field(const char *head, size_t len, const char *name)
{
	const char *end = head + len;
	const char *line = memchr(head, '\n', len);
	size_t n = strlen(name);

	while (line && (size_t)(end - ++line) > n) {
		if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
			line += n + 1;
			return line + strspn(line, " ");
		}
		line = memchr(line, '\n', (size_t)(end - line));
	}
	return NULL;
}

void answer_begin(struct answer *a)
{
	a->where = IN_HEAD;
	a->bytes = a->stamps = 0;
	a->digits = 0;
	a->head_len = 0;
}

static void find_stamps(struct answer *a, const char *data, size_t len)
{
	const char *p = data, *end = data + len;

	while (p < end) {
		if (a->digits == 0) {
			p = memchr(p, STAMP_MARK, (size_t)(end - p));
			if (!p)
				return;
			a->digits = 1;
			a->stamp = 0;
			p++;
		} else if (isdigit((unsigned char)*p)) {
			a->stamp = a->stamp * 10 + (uint64_t)(*p++ - '0');
			if (++a->digits <= STAMP_DIGITS)
				continue;
			a->digits = 0;
			a->stamps++;
			a->on_stamp(a->arg, a->stamp);
		} else {
			a->digits = 0;
		}
	}
}

/* How much of the data is body. */
static size_t take_body(struct answer *a, const char *data, size_t len)
{
	size_t n = len < a->left ? len : (size_t)a->left;

	if (a->on_stamp)
		find_stamps(a, data, n);
	a->left -= n;
	a->bytes += n;
	return n;
}

/* The size of a chunk, digit by digit; its line's end begins the chunk, and the last one the
 * trailer. */
static int take_size(struct answer *a, char c)
{
	if (c == '\n') {
		a->where = a->left ? IN_CHUNK : IN_TRAILER;
		a->line = 0;
	} else if (isxdigit((unsigned char)c)) {
		a->left = a->left * 16 +
		          (uint64_t)(isdigit((unsigned char)c) ? c - '0' : (c | 32) - 'a' + 10);
	} else if (c != '\r') {
		return -1;
	}
	return 0;
}

static int take_chunked(struct answer *a, const char *data, size_t len)
{
	const char *end = data + len;

	while (data < end) {
		switch (a->where) {
		case IN_SIZE:
			if (take_size(a, *data++) < 0)
				return -1;
			break;
		case IN_CHUNK:
			data += take_body(a, data, (size_t)(end - data));
			if (a->left == 0)
				a->where = IN_CHUNK_END;
			break;
		case IN_CHUNK_END:
			if (*data++ == '\n')
				a->where = IN_SIZE;
			break;
		default: /* the trailer: an empty line ends it */
			if (*data == '\n' && a->line == 0)
				return data + 1 == end ? 1 : -1;
			a->line = *data == '\n' ? 0 : a->line + (*data != '\r');
			data++;
		}
	}
	return 0;
}

/* What the head says of the body. 1: there is none. */
static int read_head(struct answer *a, size_t len)
{
	const char *v;

	if (len < 13 || strncmp(a->head, "HTTP/1.", 7) != 0)
		return -1;
	a->status = (unsigned)strtoul(a->head + 9, NULL, 10);
	v = head_field(a->head, len, "connection");
	a->close = v && strncasecmp(v, "close", 5) == 0;
	a->left = 0;
	v = head_field(a->head, len, "content-length");
	if (v) {
		a->left = strtoull(v, NULL, 10);
		a->where = IN_BODY;
		return a->left == 0;
	}
	v = head_field(a->head, len, "transfer-encoding");
	if (!v || strncasecmp(v, "chunked", 7) != 0)
		return -1;
	a->where = IN_SIZE;
	return 0;
}

int answer_read(struct answer *a, const char *data, size_t len)
{
	if (a->where == IN_HEAD) {
		size_t room = sizeof(a->head) - 1 - a->head_len;
		size_t n = len < room ? len : room;
		size_t before = a->head_len, head;
		int r;

		memcpy(a->head + before, data, n);
		a->head_len += n;
		a->head[a->head_len] = '\0';
		head = head_length(a->head, a->head_len);
		if (head == 0)
			return a->head_len == sizeof(a->head) - 1 ? -1 : 0;
		r = read_head(a, head);
		if (r != 0)
			return r;
		data += head - before;
		len -= head - before;
	}
	if (a->where != IN_BODY)
		return take_chunked(a, data, len);
	if (take_body(a, data, len) < len)
		return -1;
	return a->left == 0;
}
