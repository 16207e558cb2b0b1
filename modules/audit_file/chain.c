/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Framing. A line is B, then ,"hash":"H"} and a line feed; H is the SHA-256 of the bytes of B as
 * they stand in the file, so that no reader needs to know how JSON is to be written to check it.
 */
#include "chain.h"

#include <pthread.h>

#define SEQ ",\"seq\":"
#define PREV ",\"prev\":\""
#define HASH ",\"hash\":\""
#define LIT(s) (sizeof(s) - 1)
#define TAIL (LIT(HASH) + SHA_HEX + 2) /* behind B, without the line feed */
#define LINK (LIT(PREV) + SHA_HEX + 1) /* the end of B */
/* What frame() adds at most: number, link and tail to a record; all of a record to the name of a
 * torn line's file. */
#define OVERHEAD 1536
#define TORN_TEXT "a torn last line was moved to "

/* One context for all sinks: there is one writer thread, and the lock costs nothing without a
 * second. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sha *sha;

int chain_setup(void)
{
	if (sha_setup() != 0)
		return -1;
	pthread_mutex_lock(&lock);
	if (!sha)
		sha = sha_new();
	pthread_mutex_unlock(&lock);
	return 0;
}

static int hash_hex(struct merlon_str b, char hex[SHA_HEX])
{
	uint8_t sum[SHA_LEN];
	int r;

	pthread_mutex_lock(&lock);
	r = sha_sum(sha, b, sum);
	pthread_mutex_unlock(&lock);
	txt_hex(sum, SHA_LEN, hex);
	return r;
}

static bool stands(const char *p, const char *lit, size_t n)
{
	return memcmp(p, lit, n) == 0;
}

/* The number behind the timestamp; 0: it is not there in this form. */
static uint64_t read_seq(struct merlon_str line)
{
	uint64_t v = 0, at = RECORD_HEAD + LIT(SEQ), start = at;

	if (!stands(line.ptr + RECORD_HEAD, SEQ, LIT(SEQ)))
		return 0;
	for (; at < line.len && line.ptr[at] >= '0' && line.ptr[at] <= '9'; at++) {
		if (at - start >= 18 || (at > start && v == 0))
			return 0;
		v = v * 10 + (uint64_t)(line.ptr[at] - '0');
	}
	return at < line.len && line.ptr[at] == ',' ? v : 0;
}

static int32_t init(void *state, struct merlon_str line)
{
	struct chain *c = state;
	char hex[SHA_HEX];

	memset(c, 0, sizeof(*c));
	memset(c->prev, '0', SHA_HEX);
	c->begun = 1;
	if (line.len == 0)
		return 0;
	if (line.len < RECORD_HEAD + LIT(SEQ) + 2 + LINK + TAIL)
		return -1;
	const char *tail = line.ptr + line.len - TAIL;
	const struct merlon_str b = {line.ptr, line.len - TAIL};
	if (!stands(tail, HASH, LIT(HASH)) || !stands(tail + TAIL - 2, "\"}", 2) ||
	    !stands(tail - LINK, PREV, LIT(PREV)) || hash_hex(b, hex) != 0 ||
	    memcmp(hex, tail + LIT(HASH), SHA_HEX) != 0)
		return -1;
	c->seq = read_seq(line);
	memcpy(c->prev, hex, SHA_HEX);
	return c->seq > 0 ? 0 : -1;
}

static void put(struct merlon_sink_out *out, const char *p, uint64_t n)
{
	memcpy(out->ptr + out->len, p, n);
	out->len += n;
}

/* record: as record_render() and record_notice() make it. */
static int32_t frame_record(struct chain *c, struct merlon_str record, struct merlon_sink_out *out)
{
	char digits[20], hex[SHA_HEX];
	size_t n = txt_u64(digits, c->seq + 1);

	out->len = 0;
	if (record.len < RECORD_HEAD || out->cap < record.len + LIT(SEQ) + n + LINK + TAIL + 1)
		return -1;
	put(out, record.ptr, RECORD_HEAD);
	put(out, SEQ, LIT(SEQ));
	put(out, digits, n);
	put(out, record.ptr + RECORD_HEAD, record.len - RECORD_HEAD);
	put(out, PREV, LIT(PREV));
	put(out, c->prev, SHA_HEX);
	put(out, "\"", 1);
	if (hash_hex((struct merlon_str){out->ptr, out->len}, hex) != 0)
		return -1;
	put(out, HASH, LIT(HASH));
	put(out, hex, SHA_HEX);
	put(out, "\"}\n", 3);
	c->seq++;
	memcpy(c->prev, hex, SHA_HEX);
	return 0;
}

static int32_t frame_torn(struct chain *c, int64_t time_us, struct merlon_str name,
                          struct merlon_sink_out *out)
{
	char text[sizeof(TORN_TEXT) + 256], buf[OVERHEAD];
	struct merlon_str record;
	uint64_t n = name.len < 256 ? name.len : 256;

	memcpy(text, TORN_TEXT, LIT(TORN_TEXT));
	if (n > 0)
		memcpy(text + LIT(TORN_TEXT), name.ptr, n);
	record = record_notice(time_us, TXT("torn"), (struct merlon_str){text, LIT(TORN_TEXT) + n},
	                       buf, sizeof(buf));
	if (record.len == 0 || record.len + 200 > out->cap) /* a name of nothing but escapes */
		record = record_notice(time_us, TXT("torn"), TXT("a torn last line was moved away"),
		                       buf, sizeof(buf));
	return frame_record(c, record, out);
}

static int32_t frame(void *state, uint32_t kind, int64_t time_us, struct merlon_str data,
                     struct merlon_sink_out *out)
{
	struct chain *c = state;

	if (!c->begun)
		return -1;
	if (kind == MERLON_SINK_RECORD)
		return frame_record(c, data, out);
	return kind == MERLON_SINK_TORN ? frame_torn(c, time_us, data, out) : -1;
}

const struct merlon_sink_ops chain_ops = {
    .size = sizeof(struct merlon_sink_ops),
    .state_size = sizeof(struct chain),
    .overhead = OVERHEAD,
    .init = init,
    .frame = frame,
};
