/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * audit_file: one JSON line for each request in a file whose lines are chained by hashes. The file
 * belongs to a sink of the host's; each worker owns the room in which it renders.
 */
#include "chain.h"

#include <stdlib.h>

struct instance {
	merlon_ctx *ctx;
	merlon_sink *sink;
};

struct worker {
	struct recorder recorder;
	char room[RECORD_ROOM];
};

#define ROOM_AHEAD                                                                                 \
	8192 /* asked for before the upstream is contacted: what nearly every record needs */

static const struct merlon_host *H;

/* ---- options ---- */
static const struct merlon_option options[] = {
    {"path", MERLON_OPT_PATH, MERLON_OPT_REQUIRED, NULL, NULL, NULL, "The file."},
    {"mode", MERLON_OPT_ENUM, 0, "batch", "batch|strict", NULL,
     "batch: one record at the end of each request; strict is not supported by this version."},
    {"commit_interval", MERLON_OPT_DURATION, 0, "50ms", "1ms..90ms", NULL,
     "How long a record may wait for others before it is written."},
    {"digest_key", MERLON_OPT_SECRET, 0, NULL, NULL, NULL,
     "Key of the body hashes (HMAC-SHA-256), so that short inputs cannot be guessed from them."},
};

static int32_t create(merlon_ctx *ctx, const merlon_cfg *cfg, void **inst)
{
	struct merlon_val path, v;
	struct instance *in;
	uint32_t commit_ms = 50;

	if (H->cfg_get(cfg, "mode", &v) == 0 && txt_eq(v.u.str, TXT("strict"))) {
		H->cfg_error(cfg, "mode", TXT("\"strict\" is not supported by this version"));
		return -1;
	}
	if (H->cfg_get(cfg, "path", &path) != 0 || path.u.str.len == 0) {
		H->cfg_error(cfg, "path", TXT("is missing"));
		return -1;
	}
	if (chain_setup() != 0) {
		H->cfg_error(cfg, "path", TXT("cannot be chained: libcrypto offers no SHA-256"));
		return -1;
	}
	if (H->cfg_get(cfg, "commit_interval", &v) == 0)
		commit_ms = (uint32_t)((v.u.i64 + 999999) / 1000000);
	in = mem_new(1, sizeof(*in));
	in->ctx = ctx;
	if (H->sink_open(ctx, cfg, path.u.str, commit_ms, &chain_ops, &in->sink) != 0) {
		H->cfg_error(cfg, "path", TXT("cannot be used for this log"));
		free(in);
		return -1;
	}
	if (H->cfg_get(cfg, "digest_key", &v) != 0)
		v.u.str = TXT("");
	H->digest_want(ctx, v.u.str);
	*inst = in;
	return 0;
}

static void destroy(void *inst)
{
	free(inst);
}

static int32_t worker_start(void *inst, merlon_worker *worker, void **w)
{
	const struct instance *in = inst;
	struct worker *mine = mem_new(1, sizeof(*mine));

	(void)worker;
	mine->recorder.h = H;
	mine->recorder.ctx = in->ctx;
	*w = mine;
	return 0;
}

static void worker_stop(void *inst, merlon_worker *worker, void *w)
{
	(void)inst;
	(void)worker;
	free(w);
}

static int32_t refuse(const struct instance *in, merlon_tx *tx)
{
	const struct merlon_fail f = {.size = sizeof(f),
	                              .text = TXT("the request cannot be recorded"),
	                              .detail = TXT("the audit file does not take the record")};

	H->fail(in->ctx, tx, &f);
	return MERLON_UNAVAIL;
}

static int32_t audit_open(void *inst, void *w, merlon_tx *tx)
{
	const struct instance *in = inst;

	(void)w;
	return H->sink_ready(in->sink, tx, ROOM_AHEAD) == 0 ? MERLON_OK : refuse(in, tx);
}

static int32_t audit_close(void *inst, void *w, merlon_tx *tx)
{
	const struct instance *in = inst;
	struct worker *mine = w;
	struct merlon_str record;

	record_read(&mine->recorder, tx);
	record = record_render(&mine->recorder, tx, TXT("close"), mine->room);
	return H->sink_append(in->sink, tx, record) == 0 ? MERLON_OK : refuse(in, tx);
}

static const struct merlon_module module = {
    .size = sizeof(struct merlon_module),
    .major = MERLON_ABI_MAJOR,
    .minor = MERLON_ABI_MINOR,
    .groups = MERLON_AUDIT,
    .codes = MERLON_BIT(MERLON_OK) | MERLON_BIT(MERLON_UNAVAIL),
    .option_size = sizeof(struct merlon_option),
    .option_count = sizeof(options) / sizeof(options[0]),
    .name = "audit_file",
    .version = MODULE_VERSION,
    .license = "Apache-2.0",
    .summary = "One chained JSON line a request, in a file.",
    .options = options,
    .create = create,
    .destroy = destroy,
    .worker_start = worker_start,
    .worker_stop = worker_stop,
    .audit_open = audit_open,
    .audit_close = audit_close,
};

MERLON_MODULE(module, H, 0, 0, MERLON_AUDIT)
