/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Decisions for many policies and requests, for tests that compare them with another engine's, and
 * what a decision costs.
 *
 *     abac_check [-b ROUNDS] <INPUT
 *
 * The input is sets: a line "%%", a policy file, a line "%", then a request a line (see asking.h).
 * For each request a line is written: OK, DENIED or NOCRED, then the policy's name or "-". With -b
 * each set's requests are decided ROUNDS times and the mean in nanoseconds of CPU time is written.
 */
#include "asking.h"
#include "policy.h"

#include <time.h>

#define REQUESTS_MAX 4096

struct set {
	char *policies;
	size_t len;
	merlon_tx *requests[REQUESTS_MAX];
	uint64_t now[REQUESTS_MAX];
	unsigned n;
};
static const struct merlon_module module = {
    .size = sizeof(struct merlon_module), .option_count = 2, .options = policy_rows};

static void add_text(struct set *s, const char *line)
{
	size_t n = strlen(line);

	s->policies = mem_grow(s->policies, s->len + n + 1, 1);
	memcpy(s->policies + s->len, line, n + 1);
	s->len += n;
}

static void answer(const struct policies *p, const struct set *s)
{
	struct decision d;

	for (unsigned i = 0; i < s->n; i++) {
		fake_now[1] = s->now[i];
		decide(p, &fake_host, s->requests[i], &d);
		printf("%s %s\n",
		       d.code == MERLON_OK       ? "OK"
		       : d.code == MERLON_DENIED ? "DENIED"
		                                 : "NOCRED",
		       d.policy ? d.policy->name.ptr : "-");
	}
}

static void measure(const struct policies *p, const struct set *s, long rounds)
{
	struct timespec from, to;
	struct decision d;
	double ns;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	for (long r = 0; r < rounds; r++) {
		for (unsigned i = 0; i < s->n; i++)
			decide(p, &fake_host, s->requests[i], &d);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	ns = (double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec);
	printf("%u policies, %u requests: %.0f ns a decision\n", p->n, s->n,
	       ns / (double)rounds / (s->n ? s->n : 1));
}

/* Decides the set and empties it. */
static int finish(struct set *s, long rounds)
{
	struct policies *p = mem_new(1, sizeof(*p));
	merlon_cfg *cfg = fake_cfg(&module, s->policies ? s->policies : "");
	int r = policies_read(&fake_host, cfg, p);

	if (r != 0)
		fputs(fake_errors, stderr);
	else if (rounds > 0)
		measure(p, s, rounds);
	else
		answer(p, s);
	fake_cfg_free(cfg);
	policies_free(p);
	free(p);
	for (unsigned i = 0; i < s->n; i++)
		fake_tx_free(s->requests[i]);
	free(s->policies);
	*s = (struct set){.policies = NULL};
	return r;
}

int main(int argc, char **argv)
{
	static struct set s;
	long rounds = argc == 3 && strcmp(argv[1], "-b") == 0 ? strtol(argv[2], NULL, 10) : 0;
	enum { BEFORE, POLICIES, REQUESTS } in = BEFORE;
	char *line = NULL;
	size_t cap = 0;
	int r = 0;

	while (r == 0 && getline(&line, &cap, stdin) > 0) {
		if (strcmp(line, "%%\n") == 0) {
			r = in == BEFORE ? 0 : finish(&s, rounds);
			in = POLICIES;
		} else if (strcmp(line, "%\n") == 0) {
			in = REQUESTS;
		} else if (in == POLICIES) {
			add_text(&s, line);
		} else if (in == REQUESTS && s.n < REQUESTS_MAX) {
			s.requests[s.n] = asking_tx(line);
			s.now[s.n++] = fake_now[1];
		}
	}
	free(line);
	if (r == 0 && in != BEFORE)
		r = finish(&s, rounds);
	return r == 0 ? 0 : 1;
}
