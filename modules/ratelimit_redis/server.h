/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The Redis server of a line: the options that name it, the stream to it, and the greeting, which
 * logs in, chooses the database and loads the script. Read-only after create.
 */
#ifndef RATELIMIT_REDIS_SERVER_H
#define RATELIMIT_REDIS_SERVER_H

#include "resp.h"

#define SERVER_SHA 40

extern const struct merlon_option server_tls[];

struct server {
	merlon_stream *stream;
	char sha[SERVER_SHA]; /* what EVALSHA calls the script by */
};

/* Reads server, tls, username, password, database and opens the stream. 0, or -1: what is wrong has
 * been said with cfg_error(). */
int server_open(const struct merlon_host *h, merlon_ctx *ctx, const merlon_cfg *cfg,
                struct server *out);
/* Why a greeting was refused last, since one was accepted; NULL: none was. Of all servers of the
 * process: a hint for the log. */
const char *server_refusal(void);

/* ---- for tests ---- */
/* "host:port" or "unix:/path" as a stream's endpoint; -1: another form. */
int server_endpoint(struct merlon_str text, bool tls, char *out, size_t cap);

#endif
