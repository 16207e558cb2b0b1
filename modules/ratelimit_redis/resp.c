/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * RESP2 through hiredis. Its reader is given functions of ours that make the answers, so that one
 * answer is one struct of fixed size: elements of an array are written into their parent and have
 * no object of their own.
 */
#include "resp.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

/* What an element of an array is to hiredis, which only wants it not to be NULL. */
static struct resp in_parent;

static struct resp *make(const redisReadTask *task, enum resp_type type)
{
	if (task->parent) {
		struct resp *array = task->parent->obj;
		array->odd = true; /* an integer says otherwise */
		return &in_parent;
	}
	struct resp *r = mem_new(1, sizeof(*r));
	r->type = type;
	return r;
}

static void *make_string(const redisReadTask *task, char *p, size_t n)
{
	const enum resp_type type = task->type == REDIS_REPLY_ERROR    ? RESP_ERROR
	                            : task->type == REDIS_REPLY_STATUS ? RESP_STATUS
	                                                               : RESP_STRING;
	struct resp *r = make(task, type);

	if (r != &in_parent)
		snprintf(r->text, sizeof(r->text), "%.*s", n < RESP_TEXT ? (int)n : RESP_TEXT, p);
	return r;
}

#if HIREDIS_MAJOR > 0
static void *make_array(const redisReadTask *task, size_t n)
#else
static void *make_array(const redisReadTask *task, int n)
#endif
{
	/* A nested one would have elements whose parent is no struct of ours. */
	if (task->parent || n > RESP_INTS)
		return NULL;
	return make(task, RESP_ARRAY);
}

static void *make_integer(const redisReadTask *task, long long v)
{
	if (!task->parent) {
		struct resp *r = make(task, RESP_INTEGER);
		r->v[r->n++] = v;
		return r;
	}
	struct resp *array = task->parent->obj;
	array->v[array->n++] = v; /* make_array() has seen how many come */
	return &in_parent;
}

static void *make_nil(const redisReadTask *task)
{
	return make(task, RESP_NIL);
}

static void free_object(void *obj)
{
	if (obj != &in_parent)
		free(obj);
}

static redisReplyObjectFunctions functions = {
    .createString = make_string,
    .createArray = make_array,
    .createInteger = make_integer,
    .createNil = make_nil,
    .freeObject = free_object,
};

/* ---- the decoder ---- */
struct decoder {
	redisReader *reader;
	bool broken;
};

void *resp_decoder_new(void)
{
	struct decoder *d = mem_new(1, sizeof(*d));

	d->reader = redisReaderCreateWithFunctions(&functions);
	if (!d->reader)
		abort();
	return d;
}

void resp_decoder_free(void *dec)
{
	struct decoder *d = dec;

	if (!d)
		return;
	redisReaderFree(d->reader);
	free(d);
}

int32_t resp_decode(void *dec, struct merlon_str bytes, void **msg)
{
	struct decoder *d = dec;
	void *reply = NULL;

	*msg = NULL;
	if (d->broken)
		return -1;
	if (bytes.len > 0 && redisReaderFeed(d->reader, bytes.ptr, bytes.len) != REDIS_OK)
		return -1;
	if (redisReaderGetReply(d->reader, &reply) != REDIS_OK)
		return -1;
	if (reply) {
		((struct resp *)reply)->broken = &d->broken;
		*msg = reply;
		return 1;
	}
	/* What is left begins a message: it may be long, not endless. */
	return d->reader->len - d->reader->pos > RESP_MESSAGE_MAX ? -1 : 0;
}

void resp_free(void *msg)
{
	free(msg);
}

void resp_distrust(const struct resp *msg)
{
	if (msg->broken)
		*msg->broken = true;
}

/* ---- commands ---- */
void resp_command(struct merlon_str *out, const struct merlon_str *argv, unsigned argc)
{
	const char **ptrs = mem_new(argc, sizeof(*ptrs));
	size_t *lens = mem_new(argc, sizeof(*lens));
	char *text = NULL;

	for (unsigned i = 0; i < argc; i++) {
		ptrs[i] = argv[i].ptr ? argv[i].ptr : "";
		lens[i] = argv[i].len;
	}
#if HIREDIS_MAJOR > 0
	const long long n = redisFormatCommandArgv(&text, (int)argc, ptrs, lens);
#else
	const int n = redisFormatCommandArgv(&text, (int)argc, ptrs, lens);
#endif
	if (n < 0)
		abort();
	free(ptrs);
	free(lens);
	struct merlon_str old = *out;
	if (old.len == 0) {
		*out = (struct merlon_str){text, (uint64_t)n};
		return;
	}
	char *p = mem_new(1, old.len + (size_t)n);
	memcpy(p, old.ptr, old.len);
	memcpy(p + old.len, text, (size_t)n);
	*out = (struct merlon_str){p, old.len + (uint64_t)n};
	resp_wipe(&old);
	resp_wipe(&(struct merlon_str){text, (uint64_t)n});
}

void resp_wipe(struct merlon_str *s)
{
	void *p = (void *)(uintptr_t)s->ptr;

	if (p) {
		explicit_bzero(p, s->len);
		free(p);
	}
	*s = (struct merlon_str){NULL, 0};
}

/* ---- errors ---- */
static const struct {
	const char *begins, *name;
} errors[RESP_ERRORS] = {
    [RESP_E_OTHER] = {"", "an error"},
    [RESP_E_NOSCRIPT] = {"NOSCRIPT", "it has no script"},
    [RESP_E_NOAUTH] = {"NOAUTH", "it wants a password (NOAUTH)"},
    [RESP_E_WRONGPASS] = {"WRONGPASS", "the password is wrong (WRONGPASS)"},
    [RESP_E_NOPERM] = {"NOPERM", "its user may not do this (NOPERM)"},
    [RESP_E_LOADING] = {"LOADING", "it is loading (LOADING)"},
    [RESP_E_READONLY] = {"READONLY", "it is a read-only replica (READONLY)"},
    [RESP_E_OOM] = {"OOM", "its memory is full (OOM)"},
    [RESP_E_BUSY] = {"BUSY", "it is busy with a script (BUSY)"},
    [RESP_E_MOVED] = {"MOVED", "it is a cluster, which this version does not support (MOVED)"},
    [RESP_E_WRONGTYPE] = {"WRONGTYPE", "a key holds something else (WRONGTYPE)"},
    [RESP_E_MASTERDOWN] = {"MASTERDOWN", "it has lost its primary (MASTERDOWN)"},
    [RESP_E_UNKNOWN] = {"unknown command", "it does not know a command of ours"},
    [RESP_E_MISCONF] = {"MISCONF", "it refuses writes (MISCONF)"},
};

static enum resp_error begins(const char *text)
{
	for (unsigned e = 1; e < RESP_ERRORS; e++) {
		if (strncmp(text, errors[e].begins, strlen(errors[e].begins)) == 0)
			return (enum resp_error)e;
	}
	return RESP_E_OTHER;
}

enum resp_error resp_error_of(const char *text)
{
	/* Redis 4 wrote no WRONGPASS; what a script may not do has no word of its own. */
	static const struct {
		const char *part;
		enum resp_error e;
	} phrases[] = {{"invalid password", RESP_E_WRONGPASS},
	               {"without any password configured", RESP_E_WRONGPASS},
	               {"user executing the script can't", RESP_E_NOPERM},
	               {"unknown command", RESP_E_UNKNOWN}};
	static const char *const clusters[] = {"ASK ", "CROSSSLOT", "CLUSTERDOWN", "TRYAGAIN"};
	const enum resp_error e = begins(text);

	if (e != RESP_E_OTHER)
		return e;
	for (unsigned i = 0; i < sizeof(clusters) / sizeof(clusters[0]); i++) {
		if (strncmp(text, clusters[i], strlen(clusters[i])) == 0)
			return RESP_E_MOVED;
	}
	for (unsigned i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++) {
		if (strstr(text, phrases[i].part))
			return phrases[i].e;
	}
	/* Redis up to 6 wraps what a command of a script was refused with: "ERR Error running
	 * script (call to f_…): @user_script:9: -READONLY …". */
	const char *inner = strstr(text, ": -");
	return inner ? begins(inner + 3) : RESP_E_OTHER;
}

const char *resp_error_name(enum resp_error e)
{
	return errors[e < RESP_ERRORS ? e : RESP_E_OTHER].name;
}
