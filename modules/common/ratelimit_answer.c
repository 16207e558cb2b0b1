/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What the client of a ratelimit line is told: the headers of the tightest window, and why it is
 * refused and for how long.
 */
#include "common/ratelimit.h"

#define REMAINING TXT("x-ratelimit-remaining-requests")
#define SECONDS_LEN (TXT_U64_LEN + 3)

/* "1.2s", rounded up. */
static size_t put_seconds(char out[SECONDS_LEN], uint64_t ns)
{
	uint64_t tenths = ns / 100000000 + (ns % 100000000 != 0);
	size_t n = txt_u64(out, tenths / 10);

	out[n++] = '.';
	out[n++] = (char)('0' + tenths % 10);
	out[n++] = 's';
	return n;
}

/* Whether another line has already told of a window that has no more left than this one. */
static bool told_tighter(const struct ratelimit *rl, merlon_tx *tx, uint64_t remaining)
{
	struct merlon_str s;
	uint64_t v = 0;

	if (rl->host->header_get(tx, MERLON_RESPONSE, REMAINING, 0, &s) != 0)
		return false;
	for (uint64_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9' || v > UINT64_MAX / 10 - 1)
			return false;
		v = v * 10 + (uint64_t)(s.ptr[i] - '0');
	}
	return v <= remaining;
}

static void set_header(const struct ratelimit *rl, merlon_tx *tx, struct merlon_str name,
                       const char *value, size_t n)
{
	rl->host->header_edit(rl->ctx, tx, MERLON_RESPONSE, MERLON_HDR_SET, name,
	                      (struct merlon_str){value, n});
}

static void tell(const struct ratelimit *rl, merlon_tx *tx, const struct ratelimit_ask *a)
{
	const struct ratelimit_verdict *v = &a->verdict;
	char buf[SECONDS_LEN];

	if (v->tightest < 0 || told_tighter(rl, tx, v->remaining))
		return;
	set_header(rl, tx, TXT("x-ratelimit-limit-requests"), buf,
	           txt_u64(buf, a->limit.window[v->tightest].count));
	set_header(rl, tx, REMAINING, buf, txt_u64(buf, v->remaining));
	set_header(rl, tx, TXT("x-ratelimit-reset-requests"), buf, put_seconds(buf, v->reset));
}

int32_t ratelimit_answer(const struct ratelimit *rl, merlon_tx *tx, struct ratelimit_ask *a)
{
	const struct ratelimit_verdict *v = &a->verdict;
	uint64_t ms = v->wait / 1000000 + (v->wait % 1000000 != 0);
	struct merlon_fail f = {.size = sizeof(f), .text = TXT("rate limit exceeded")};

	a->told = 1;
	/* How many more refusals an address may collect is nothing that its requests are limited
	 * to, nor for it to know. */
	if (!rl->denied || v->why != RATELIMIT_PASS)
		tell(rl, tx, a);
	if (v->why == RATELIMIT_PASS)
		return MERLON_OK;
	if (ms < 1000)
		ms = 1000;
	f.retry_after_ms = ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
	if (v->why == RATELIMIT_BLOCKED)
		f.detail = TXT("blocked");
	else if (v->why == RATELIMIT_CONCURRENCY)
		f.detail = TXT("too many requests at a time");
	else
		f.detail = rl->denied ? TXT("too many refused requests") : TXT("over its rate");
	rl->host->fail(rl->ctx, tx, &f);
	return MERLON_LIMITED;
}
