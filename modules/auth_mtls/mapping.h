/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The option `map`: which names of certificates become which identity. Read once at create into a
 * pool of the instance's, read-only then.
 */
#ifndef AUTH_MTLS_MAPPING_H
#define AUTH_MTLS_MAPPING_H

#include "pattern.h"

enum source { SOURCE_SPIFFE, SOURCE_DNS, SOURCE_CN, SOURCE_COUNT };
#define SOURCE_BIT(source) (1u << (source))
extern const char *const source_names[SOURCE_COUNT];

enum { TEXT_SUB, TEXT_ORG, TEXT_TEAM, TEXT_TIER, TEXT_COUNT };
enum { LIST_ROLES, LIST_SCOPES, LIST_MODELS, LIST_ACTIONS, LIST_COUNT };
#define MAPPING_LIST_MAX 64 /* entries of one list */

struct mapping {
	struct merlon_str match;
	struct pattern pattern;
	unsigned sources;                    /* SOURCE_BIT: of which kind a name must be */
	struct merlon_str text[TEXT_COUNT];  /* ptr NULL: not given */
	struct merlon_str *list[LIST_COUNT]; /* NULL: not given, which an empty one is not */
	uint32_t nlist[LIST_COUNT];
};
struct mappings {
	struct mapping *rows;
	uint32_t n;
	bool given; /* without the option every good name is somebody */
	struct mem_pool pool;
};

extern const struct merlon_option mapping_rows[];

/* sources: SOURCE_BITs that the line asks for. -1: what is wrong has been said. */
int mappings_read(const struct merlon_host *h, const merlon_cfg *cfg, unsigned sources,
                  struct mappings *out);
void mappings_free(struct mappings *m);

#endif
