/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Options of bench-load, and the requests that they describe. The texts are made once and live as
 * long as the program.
 */
#include "load.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST (60 * NS_PER_S) /* that a number of requests may take */

static _Noreturn void usage(void)
{
	fputs(
	    "usage: bench-load -p PORT [-P PATH] [-c CONNECTIONS] [-d SECONDS | -n REQUESTS | -i]\n"
	    "                  [-b BODY-FILE] [-H FIELD]... [-K FIELDS-FILE] [-s] [-e EXPECTED]\n"
	    "                  [-x EACH]\n"
	    "-i holds connections (with -s, streams) until standard input ends and prints "
	    "\"ready\"\n"
	    "-K names a file of header fields, one a line, of which each request has the next\n"
	    "-s looks for stamps in the body; -e is the number of bytes, or of stamps, of an "
	    "answer\n"
	    "-x breaks off one request of EACH\n",
	    stderr);
	exit(64);
}

static char *read_file(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	char *data;
	long size;

	if (!f || fseek(f, 0, SEEK_END) < 0)
		die(path);
	size = ftell(f);
	rewind(f);
	data = must_alloc((size_t)size + 1, 1);
	if (fread(data, 1, (size_t)size, f) != (size_t)size)
		die(path);
	fclose(f);
	*len = (size_t)size;
	return data;
}

/* Each line of the file as a header field with its line end. */
static void read_fields(struct load *l, const char *path)
{
	size_t len, n = 0;
	char *data = read_file(path, &len), *line = data, *end;

	for (size_t i = 0; i < len; i++)
		n += data[i] == '\n';
	if (n == 0)
		usage();
	l->fields = must_alloc(n, sizeof(*l->fields));
	for (; (end = strchr(line, '\n')); line = end + 1) {
		size_t size = (size_t)(end - line);
		char *field = must_alloc(size + 2, 1);

		memcpy(field, line, size);
		memcpy(field + size, "\r\n", 2);
		l->fields[l->field_count].iov_base = field;
		l->fields[l->field_count++].iov_len = size + 2;
	}
	free(data);
}

static void make_request(struct load *l, const char *path, const char *fields,
                         const char *body_path)
{
	size_t len = 0;
	char *body = NULL, *text;
	FILE *f;

	f = open_memstream(&text, &l->before.iov_len);
	if (!f)
		die("open_memstream");
	fprintf(f, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: bench-load\r\n%s",
	        body_path ? "POST" : "GET", path, l->port, fields);
	fclose(f);
	l->before.iov_base = text;

	f = open_memstream(&text, &l->after.iov_len);
	if (!f)
		die("open_memstream");
	if (body_path) {
		body = read_file(body_path, &len);
		fprintf(f, "Content-Type: application/json\r\nContent-Length: %zu\r\n", len);
	}
	fputs("\r\n", f);
	if (body)
		fwrite(body, 1, len, f);
	fclose(f);
	free(body);
	l->after.iov_base = text;
}

void load_options(struct load *l, int argc, char **argv)
{
	const char *path = "/v1/chat/completions", *body = NULL;
	size_t len;
	char *fields;
	FILE *f = open_memstream(&fields, &len);
	int c;

	if (!f)
		die("open_memstream");
	l->connections = 1;
	l->budget = -1;
	while ((c = getopt(argc, argv, "p:P:c:d:n:b:H:K:e:x:is")) != -1) {
		switch (c) {
		case 'p':
			l->port = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'P':
			path = optarg;
			break;
		case 'c':
			l->connections = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'd':
			l->duration = (uint64_t)(strtod(optarg, NULL) * (double)NS_PER_S);
			break;
		case 'n':
			l->budget = strtoll(optarg, NULL, 10);
			break;
		case 'b':
			body = optarg;
			break;
		case 'H':
			fprintf(f, "%s\r\n", optarg);
			break;
		case 'K':
			read_fields(l, optarg);
			break;
		case 'e':
			l->expect = strtoull(optarg, NULL, 10);
			break;
		case 'x':
			l->abort_every = strtoull(optarg, NULL, 10);
			break;
		case 'i':
			l->hold = true;
			break;
		case 's':
			l->stamps = true;
			break;
		default:
			usage();
		}
	}
	fclose(f);
	if (optind != argc || l->port == 0 || l->connections == 0 ||
	    (l->duration == 0 && l->budget < 0 && !l->hold))
		usage();
	if (l->duration == 0)
		l->duration = LONGEST;
	make_request(l, path, fields, body);
	free(fields);
}

size_t request_next(struct load *l, struct iovec parts[REQUEST_PARTS])
{
	parts[0] = l->before;
	parts[1] = (struct iovec){NULL, 0};
	if (l->field_count > 0) {
		parts[1] = l->fields[l->field_next++];
		if (l->field_next == l->field_count)
			l->field_next = 0;
	}
	parts[2] = l->after;
	return parts[0].iov_len + parts[1].iov_len + parts[2].iov_len;
}
