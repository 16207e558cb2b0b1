/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Audit lines: the last line of a file that is taken up at start may hold anything; and a text of
 * any bytes must come out as a line that can be taken up again.
 */
#include "audit_file/chain.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size ? size : 1);
	static char record[RECORD_ROOM], line[RECORD_ROOM + 2048];
	struct merlon_sink_out out = {line, sizeof(line), 0};
	struct merlon_str s = {copy, size}, r;
	struct chain c, again;

	if (chain_setup() != 0)
		abort();
	if (size)
		memcpy(copy, data, size);
	if (chain_ops.init(&c, s) == 0 && size > 0 && c.seq == 0)
		abort();
	chain_ops.init(&c, (struct merlon_str){NULL, 0});
	r = record_notice((int64_t)size, TXT("close"), s, record, sizeof(record));
	if (r.len == 0 || chain_ops.frame(&c, MERLON_SINK_RECORD, 0, r, &out) != 0)
		abort();
	if (chain_ops.init(&again, (struct merlon_str){line, out.len - 1}) != 0 || again.seq != 1 ||
	    memcmp(again.prev, c.prev, SHA_HEX) != 0)
		abort();
	for (size_t i = 0; i + 1 < out.len; i++) {
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			abort();
	}
	free(copy);
	return 0;
}
