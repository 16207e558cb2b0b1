/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A host for unit tests of modules: every function of the ABI that the shipped modules call, over
 * plain structs that a test fills and reads. Options are written as in a configuration and typed by
 * the module's own table; files are handed over as text. Compiled into tests only.
 */
#ifndef COMMON_FAKEHOST_H
#define COMMON_FAKEHOST_H

#include "common/text.h"

#define FAKE_ATTRS 64
#define FAKE_HEADERS 32
#define FAKE_DECISIONS 64

struct merlon_ctx {
	const char *stack, *group, *line, *module;
	int32_t probing;
	int digest_wanted;
	struct merlon_str digest_key;
};
struct fake_pair {
	struct merlon_str name;
	struct merlon_val val;
};
struct merlon_tx {
	struct fake_pair attrs[FAKE_ATTRS];
	unsigned nattrs;
	struct fake_pair headers[2][FAKE_HEADERS]; /* by direction; deleted: name.ptr NULL */
	unsigned nheaders[2];
	struct merlon_val record[32]; /* by MERLON_REC_*; type NONE: unknown */
	uint32_t vouched;             /* a bit for each text that is said to be plain */
	struct merlon_decision decisions[FAKE_DECISIONS];
	unsigned ndecisions;
	struct merlon_fail fail;
	struct merlon_str policy;
	void *slots[4];
	merlon_ctx *slot_of[4];
	void *blocks; /* what tx_alloc() handed out */
	int allocs;   /* how often tx_alloc() was called */
};
struct merlon_zone {
	struct merlon_str signature;
	uint32_t rec_size;
	uint64_t max_records;
	uint64_t n;
	int full; /* 1: every update answers E_FULL */
	struct fake_record {
		struct merlon_str key;
		void *rec;
		uint64_t expires;
		struct fake_record *next;
	} * records;
};
struct merlon_sink {
	char path[256];
	uint32_t commit_ms;
	const struct merlon_sink_ops *ops;
	union {
		char state[256];
		uint64_t align;
	};
	char *out; /* what was framed, as the file would hold it */
	size_t len;
	int fail; /* what append and ready answer, 0: all is well */
};

extern const struct merlon_host fake_host;
extern uint64_t fake_now[2]; /* ns, by clock */
extern char
    fake_errors[16384]; /* "file:line: text\n" of every cfg_error and warning since fake_cfg() */
extern unsigned fake_nerrors;
extern struct merlon_zone fake_zone; /* the zone opened last; one at a time */
extern struct merlon_sink fake_sink;

/* The module under test, linked in. */
const struct merlon_module *merlon_module_v1(const struct merlon_host *host);

/* The tree of options written as in a file. The module's table types it. */
merlon_cfg *fake_cfg(const struct merlon_module *m, const char *text);
void fake_cfg_free(merlon_cfg *cfg);
/* The content of a FILE or CONFFILE of that name. text NULL: none of them is there any more. */
void fake_file(const char *name, const char *text);

merlon_tx *fake_tx_new(void);
void fake_tx_free(merlon_tx *tx);
void fake_attr(merlon_tx *tx, const char *key, const char *value);
void fake_attr_list(merlon_tx *tx, const char *key, const char *commas);
void fake_header(merlon_tx *tx, int32_t dir, const char *name, const char *value);
void fake_record_i64(merlon_tx *tx, unsigned field, int64_t value); /* field: MERLON_REC_* */
/* Of line "l" and module "mod". */
struct merlon_decision fake_decision(const char *group, const char *code, const char *policy,
                                     uint32_t shadow);
/* Empty when it is not set or no text. */
struct merlon_str fake_attr_get(merlon_tx *tx, const char *key);
struct merlon_str fake_header_get(merlon_tx *tx, int32_t dir, const char *name);
bool fake_is(struct merlon_str s, const char *z);
void fake_reset(void); /* zone, sink, clocks, files */

#endif
