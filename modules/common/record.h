/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The audit record as JSON: every field always present, null when unknown, in one order. Renders
 * what the host knows into a buffer of the caller's; allocates nothing and cannot fail for what a
 * client sent, since overlong texts are cut (and end in U+2026 then).
 */
#ifndef COMMON_RECORD_H
#define COMMON_RECORD_H

#include "common/text.h"

#define RECORD_ROOM 65536 /* bytes that always suffice */
/* The record begins with {"timestamp":"<27 bytes>" whatever follows. */
#define RECORD_HEAD (14 + TXT_RFC3339_LEN + 1)

#define RECORD_KNOWN 8
#define RECORD_TEXTS (4 * sizeof(struct merlon_str))
/* One worker's, for one instance: begins with h and ctx, the rest zeroed. */
struct recorder {
	const struct merlon_host *h;
	merlon_ctx *ctx;
	struct merlon_fact facts[MERLON_REC_COUNT]; /* what record_read() read */
	uint64_t text;                              /* bytes of all texts in them */
	struct record_second {
		int64_t next;  /* the second after it; 0: nothing was written yet */
		char text[20]; /* up to the point */
	} second;
	bool lasting; /* texts of decisions live as long as the instance */
	struct record_known {
		char texts[RECORD_TEXTS]; /* where they stand: all of a decision's but its policy */
		uint64_t len;             /* of made; 0: there is none */
		char made[128];           /* of them: the decision up to its policy */
	} known[RECORD_KNOWN];            /* by the decision's number */
};
/* What the host knows of the tx. The texts live until the hook returns. */
void record_read(struct recorder *r, merlon_tx *tx);
/* What was read: {"timestamp":"...","event":"...", ... ,"decisions":[...] without seq, prev, hash
 * and the closing brace. */
struct merlon_str record_render(struct recorder *r, merlon_tx *tx, struct merlon_str event,
                                char buf[RECORD_ROOM]);
/* The same in at most cap bytes; *cut: texts had to be shorter for that. len 0: not even so. */
struct merlon_str record_render_within(struct recorder *r, merlon_tx *tx, struct merlon_str event,
                                       char *buf, uint64_t cap, bool *cut);
/* The same for what is no request: all null but these. cap: room of buf; len 0: it does not fit. */
struct merlon_str record_notice(int64_t time_us, struct merlon_str event, struct merlon_str reason,
                                char *buf, uint64_t cap);

#endif
