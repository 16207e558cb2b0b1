/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The keys of a keys.jsonl: read once at create, then only looked up, by all workers and without
 * allocation.
 */
#ifndef AUTH_APIKEY_KEYFILE_H
#define AUTH_APIKEY_KEYFILE_H

#include "common/apikey.h"
#include "common/cidr.h"
#include "common/sha.h"

struct key {
	char id[APIKEY_ID];
	uint32_t line;
	uint8_t hash[2][SHA_LEN]; /* of the whole key; the first twice where there is one */
	unsigned nhashes;
	bool disabled;
	struct merlon_str sub, org, team, tier;           /* ptr NULL: not given */
	struct merlon_val roles, scopes, models, actions; /* STRLIST; type NONE: not given */
	int64_t not_before, expires,
	    overlap_until;          /* microseconds since 1970; INT64_MIN: not given */
	const struct cidr *sources; /* NULL: from anywhere */
	uint32_t nsources;
};
struct keyfile {
	struct mem_pool pool;
	struct key *v;
	size_t n;
	struct txt_map by_id, by_hash;
};
/* Says one thing that is wrong with a line of the file (0: with all of it). */
typedef void keyfile_error_fn(void *arg, uint32_t line, const char *text);

#define KEYFILE_ERRORS_MAX 20 /* then the rest is not said any more */
/* 0, or -1: errors were said. Free it in either case. */
int keyfile_read(struct keyfile *f, struct merlon_str text, keyfile_error_fn *fn, void *arg);
void keyfile_free(struct keyfile *f);
const struct key *keyfile_by_id(const struct keyfile *f, const char id[APIKEY_ID]);
const struct key *keyfile_by_hash(const struct keyfile *f, const uint8_t hash[SHA_LEN]);

#endif
