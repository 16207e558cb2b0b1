/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What bench-load and bench-upstream share: time, and just enough HTTP/1.1 to talk to a proxy that
 * keeps to it. None of it is the gateway's own code, which would hide its mistakes from it.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NS_PER_MS 1000000ULL
#define NS_PER_S 1000000000ULL

/* A chunk of a stream carries the time of its sending as this letter and so many digits. */
#define STAMP_MARK 'T'
#define STAMP_DIGITS 19

/* CLOCK_MONOTONIC, which all processes of the machine share. */
uint64_t now_ns(void);

void *must_alloc(size_t count, size_t size);
_Noreturn void die(const char *what);

/* The length of the head that the data begin with, its empty line included; 0: it is not whole. */
size_t head_length(const char *data, size_t len);

/* The first byte of a field's value, which a \r ends; NULL: the head has no such field. */
const char *head_field(const char *head, size_t len, const char *name);

/* Reads an answer piece by piece. Zero it for each one but for the two fields that its owner sets.
 */
struct answer {
	void (*on_stamp)(void *arg, uint64_t stamp); /* NULL: the body is not looked at */
	void *arg;
	int where;
	unsigned status;
	bool close;     /* the peer will */
	uint64_t bytes; /* of the body */
	uint64_t stamps;
	uint64_t left; /* of the body or of a chunk of it */
	uint64_t stamp;
	unsigned digits; /* of the stamp under way, and one for its letter */
	size_t line;     /* of the trailer */
	size_t head_len;
	char head[4096];
};

void answer_begin(struct answer *a);

/* 1: the answer is whole; 0: more must come; -1: this is no answer. */
int answer_read(struct answer *a, const char *data, size_t len);

#endif
