/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * merlonctl audit verify: whether files of audit_file are one whole chain. It reads text, not JSON:
 * what was hashed are the bytes, so the form is compared byte by byte and nothing is parsed that an
 * attacker could make mean two things. Written apart from the module that frames the lines, so that
 * one mistake does not hide in both.
 */
#include "ctl/cmd_audit.h"

#include "base/clean.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/str.h"
#include "ctl/ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD "{\"timestamp\":\""
#define SEQ "\",\"seq\":"
#define EVENT ",\"event\":\""
#define PREV ",\"prev\":\""
#define HASH ",\"hash\":\""
#define TAIL_LEN (sizeof(HASH) - 1 + SHA256_HEX + 2)
#define LINK_LEN (sizeof(PREV) - 1 + SHA256_HEX + 1)
#define FORM "it is not in the form of an audit record"

/* The chain up to here. */
struct chain {
	uint64_t seq;
	char head[SHA256_HEX + 1];
};

/* What was found in one file. */
struct found {
	uint64_t records, first;
	uint64_t line;    /* of what is wrong; 0: nothing is */
	char reason[160]; /* why */
};

/* Cuts lit off the front; false: it does not stand there. */
static bool take(struct str *s, struct str lit)
{
	if (!str_starts(*s, lit))
		return false;
	s->p += lit.n;
	s->n -= lit.n;
	return true;
}

static bool is_hex(const char *p)
{
	uint8_t ignored[SHA256_LEN];

	return hex_decode((struct str){p, SHA256_HEX}, ignored) == 0;
}

/* Inside of a JSON string a quote has a backslash before it, so these words stand at the top of an
 * object only. */
static bool stands_once(struct str b, struct str word)
{
	const char *first = memmem(b.p, b.n, word.p, word.n);

	return first && !memmem(first + 1, b.n - (size_t)(first + 1 - b.p), word.p, word.n);
}

/* A decimal number without leading zeros. */
static int take_number(struct str *s, uint64_t *out)
{
	struct str digits = {s->p, 0};

	while (digits.n < s->n && s->p[digits.n] >= '0' && s->p[digits.n] <= '9')
		digits.n++;
	s->p += digits.n;
	s->n -= digits.n;
	return str_u64(digits, out) && digits.p[0] != '0' ? 0 : -1;
}

/* The seq and prev of B; -1: they do not stand where they must, or more than once. */
static int read_b(struct str b, uint64_t *seq, const char **prev)
{
	struct str rest = b;
	int64_t when;

	if (b.n < sizeof(HEAD) + CLOCK_RFC3339_LEN + LINK_LEN || !take(&rest, STR(HEAD)))
		return -1;
	if (clock_parse_rfc3339((struct str){rest.p, CLOCK_RFC3339_LEN}, &when) != 0)
		return -1;
	rest.p += CLOCK_RFC3339_LEN;
	rest.n -= CLOCK_RFC3339_LEN;
	if (!take(&rest, STR(SEQ)))
		return -1;
	if (take_number(&rest, seq) != 0 || !take(&rest, STR(EVENT)))
		return -1;
	rest = (struct str){b.p + b.n - LINK_LEN, LINK_LEN};
	if (!take(&rest, STR(PREV)) || !is_hex(rest.p) || rest.p[SHA256_HEX] != '"')
		return -1;
	*prev = rest.p;
	return stands_once(b, STR(",\"seq\":")) && stands_once(b, STR(",\"prev\":")) ? 0 : -1;
}

/* Checks a line (its line feed left out) and moves the chain on; -1 and why. */
static int check_line(struct chain *c, struct str line, char *why, size_t n)
{
	uint8_t sum[SHA256_LEN];
	char hash[SHA256_HEX];
	const char *prev, *tail;
	struct str b;
	uint64_t seq;

	if (line.n < TAIL_LEN)
		return snprintf(why, n, FORM), -1;
	b = (struct str){line.p, line.n - TAIL_LEN};
	tail = line.p + b.n;
	if (memcmp(tail, HASH, sizeof(HASH) - 1) != 0 ||
	    memcmp(tail + TAIL_LEN - 2, "\"}", 2) != 0 || read_b(b, &seq, &prev) != 0 ||
	    memmem(b.p, b.n, ",\"hash\":", 8))
		return snprintf(why, n, FORM), -1;
	sha256(b, sum);
	hex_encode(sum, SHA256_LEN, hash);
	if (memcmp(hash, tail + sizeof(HASH) - 1, SHA256_HEX) != 0)
		return snprintf(why, n, "its hash is not that of its text: it was changed"), -1;
	if (seq != c->seq + 1)
		return snprintf(why, n,
		                "seq is %" PRIu64 " where %" PRIu64
		                " must follow: lines were lost, added or moved",
		                seq, c->seq + 1),
		       -1;
	if (memcmp(prev, c->head, SHA256_HEX) != 0)
		return snprintf(why, n, "prev is not the hash of the line before"), -1;
	c->seq = seq;
	memcpy(c->head, hash, SHA256_HEX);
	return 0;
}

/* 0, 1 (f->line and f->reason say what is wrong), or -errno. */
static int check_file(struct chain *c, const char *path, struct found *f)
{
	FILE *in = fopen(path, "re");
	_cleanup_(xfreep) char *line = NULL;
	uint64_t number = 0;
	size_t cap = 0;
	ssize_t n;
	int r = 0;

	if (!in)
		return -errno;
	while (r == 0 && (n = getline(&line, &cap, in)) > 0) {
		number++;
		if (line[n - 1] != '\n') {
			snprintf(f->reason, sizeof(f->reason), "the last line is torn");
			r = 1;
		} else if (check_line(c, (struct str){line, (size_t)n - 1}, f->reason,
		                      sizeof(f->reason)) != 0) {
			r = 1;
		}
		if (r == 0 && f->records++ == 0)
			f->first = c->seq;
	}
	if (r == 1)
		f->line = number;
	else if (ferror(in))
		r = -errno;
	fclose(in);
	return r;
}

static json_t *file_json(const char *path, const struct found *f, const struct chain *c)
{
	return json_pack("{s:s?, s:I, s:I, s:I, s:s}", "file", path, "records",
	                 (json_int_t)f->records, "first", (json_int_t)f->first, "last",
	                 (json_int_t)c->seq, "head", c->head);
}

static void say_file(const char *path, const struct found *f, const struct chain *c)
{
	if (f->records == 0)
		printf("%s: 0 records, head %s\n", path, c->head);
	else
		printf("%s: %" PRIu64 " records, seq %" PRIu64 "..%" PRIu64 ", head %s\n", path,
		       f->records, f->first, c->seq, c->head);
}

static void say_wrong(const char *path, const struct found *f, int r)
{
	if (r > 0)
		fprintf(stderr, "%s:%" PRIu64 ": %s\n", path, f->line, f->reason);
	else
		fprintf(stderr, "%s: %s\n", path, strerror(-r));
}

static void print_json(json_t *files, const char *path, const struct found *f, int r)
{
	json_t *out = json_pack("{s:b, s:O}", "ok", r == 0, "files", files);

	if (r > 0)
		json_object_update_new(out, json_pack("{s:s?, s:I, s:s}", "file", path, "line",
		                                      (json_int_t)f->line, "reason", f->reason));
	else if (r < 0)
		json_object_update_new(
		    out, json_pack("{s:s?, s:s}", "file", path, "reason", strerror(-r)));
	json_dumpf(out, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(out);
}

static int verify(struct chain *c, char **paths, int n, bool json)
{
	json_t *files = json_array();
	struct found f = {0};
	int r = 0, i = 0;

	for (; i < n && r == 0; i++) {
		f = (struct found){0};
		r = check_file(c, paths[i], &f);
		if (r == 0 && json)
			json_array_append_new(files, file_json(paths[i], &f, c));
		else if (r == 0)
			say_file(paths[i], &f, c);
	}
	if (json)
		print_json(files, paths[i - 1], &f, r);
	else if (r != 0)
		say_wrong(paths[i - 1], &f, r);
	json_decref(files);
	if (fflush(stdout) != 0)
		return CTL_FILE;
	return r == 0 ? 0 : r > 0 ? 1 : CTL_FILE;
}

/* "SEQ:HASH": the last record that is known to hold. */
static int read_from(const char *text, struct chain *c)
{
	struct str rest = str_of(text);
	struct str seq = str_split(&rest, ':');

	if (!str_u64(seq, &c->seq) || rest.n != SHA256_HEX || !is_hex(rest.p))
		return -1;
	memcpy(c->head, rest.p, SHA256_HEX);
	return 0;
}

static int usage(void)
{
	fputs(
	    "usage: merlonctl audit verify [--from SEQ:HASH] FILE...\n"
	    "  files are read as one chain in this order; --from: the last record known to hold,\n"
	    "  as its seq and hash, where the first file does not begin at seq 1\n",
	    stderr);
	return CTL_USAGE;
}

int ctl_audit(int argc, char **argv, bool json)
{
	struct chain c = {.seq = 0};
	int at = 1;

	memset(c.head, '0', SHA256_HEX);
	if (argc < 1 || strcmp(argv[0], "verify") != 0)
		return usage();
	while (at < argc && strncmp(argv[at], "--", 2) == 0) {
		if (strcmp(argv[at], "--") == 0) {
			at++;
			break;
		}
		if (strcmp(argv[at], "--from") != 0 || at + 1 == argc ||
		    read_from(argv[at + 1], &c) != 0)
			return usage();
		at += 2;
	}
	if (at >= argc)
		return usage();
	return verify(&c, argv + at, argc - at, json);
}
