/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Heads of requests and the bodies behind them: the answer must not depend on how the bytes are
 * cut. The first two bytes of the input say where.
 */
#include "../unit/http_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t cuts[3];
	struct feed f;

	if (size < 2)
		return 0;
	struct str s = {(const char *)data + 2, size - 2};
	cuts[0] = data[0] % (s.n + 1);
	cuts[1] = cuts[0] + data[1] % (s.n + 1 - cuts[0]);
	cuts[2] = cuts[1] + (s.n - cuts[1]) / 2;
	feed_init(&f, false);
	feed_run(&f, s, NULL, 0);
	if (!feed_same(&f, s, cuts, 3))
		abort();
	feed_deinit(&f);
	return 0;
}
