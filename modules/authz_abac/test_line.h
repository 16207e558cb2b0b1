/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The frame of authz_abac's unit tests: one line with a policy file, and requests to it.
 */
#ifndef AUTHZ_ABAC_TEST_LINE_H
#define AUTHZ_ABAC_TEST_LINE_H

#include "asking.h"
#include "policy.h"

#include "unit/unit.h"

#include <stdarg.h>

static const struct merlon_module *m;
static merlon_ctx ctx = {
    .stack = "default", .group = "authz", .line = "abac", .module = "authz_abac"};
static void *inst;
static char policy[256], detail[512], text[256];

static int32_t open_file(const char *content)
{
	fake_reset();
	m = merlon_module_v1(&fake_host);
	fake_file("abac.conf", content);
	merlon_cfg *cfg = fake_cfg(m, "policy_file = \"abac.conf\";");
	int32_t r = m->create(&ctx, cfg, &inst);
	fake_cfg_free(cfg);
	return r;
}

static int32_t ask(const char *line)
{
	merlon_tx *tx = asking_tx(line);
	int32_t code = m->check(inst, NULL, tx, MERLON_AUTHZ);

	snprintf(policy, sizeof(policy), "%.*s", TXT_FMT(tx->policy));
	snprintf(detail, sizeof(detail), "%.*s", TXT_FMT(tx->fail.detail));
	snprintf(text, sizeof(text), "%.*s", TXT_FMT(tx->fail.text));
	CU_ASSERT_EQUAL(tx->allocs, 0);
	fake_tx_free(tx);
	return code;
}

/* A long file, made piece by piece. */
static char file[400000];
static size_t nfile;

__attribute__((format(printf, 1, 2))) static void add(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	nfile += (size_t)vsnprintf(file + nfile, sizeof(file) - nfile, fmt, ap);
	va_end(ap);
}
#define begin(...) (nfile = 0, add(__VA_ARGS__))

#define OK MERLON_OK
#define DENIED MERLON_DENIED
#define NOCRED MERLON_NOCRED

/* A policy as it stands in a file. */
#define P(name, effect, rest) "{ name = \"" name "\"; effect = \"" effect "\"; " rest " }"

#endif
