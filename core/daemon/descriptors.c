/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The share of descriptors that clients get. Each request may need another one for a model server:
 * clients that took all of them could not be served.
 */
#include "daemon/descriptors.h"

#include "base/log.h"

#include <sys/resource.h>

void descriptors_raise(void)
{
	struct rlimit files;
	/* The soft limit is there for programs that use select(2). */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

unsigned descriptors_for_clients(const struct conf *c)
{
	unsigned wanted = c->limits.connections;
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur == RLIM_INFINITY)
		return wanted;
	uint64_t own = 64 + 16 * (uint64_t)c->workers;
	uint64_t rest = files.rlim_cur > 2 * own ? files.rlim_cur - own : files.rlim_cur / 2;
	uint64_t most = rest - rest / 4;
	if (most >= wanted)
		return wanted;
	log_msg(LOG_L_WARN,
	        "limits.connections = %u, but of %llu descriptors clients get no more than %llu",
	        wanted, (unsigned long long)files.rlim_cur, (unsigned long long)most);
	return (unsigned)most;
}
