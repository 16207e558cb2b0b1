/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Opening the stream to Redis. The greeting holds the password, so it is wiped as soon as the host
 * has its copy.
 */
#include "server.h"

#include "script.h"

#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNECT_MS 2000
#define STALL_MS 2000
#define QUEUE_MAX (4u << 20)

const struct merlon_option server_tls[] = {
    {"ca", MERLON_OPT_PATH, 0, NULL, NULL, NULL,
     "Certificate authorities that the server's certificate is verified against; default the "
     "system's."},
    {"certificate", MERLON_OPT_PATH, 0, NULL, NULL, NULL, "Client certificate."},
    {"key", MERLON_OPT_PATH, 0, NULL, NULL, NULL, "Private key of the client certificate."},
    {"server_name", MERLON_OPT_STR, 0, NULL, NULL, NULL,
     "The name that the server's certificate must be for; default the host of server."},
    {NULL, 0, 0, NULL, NULL, NULL, NULL},
};

/* A resp_error, plus one; 0: none. */
static atomic_uint refusal;

const char *server_refusal(void)
{
	const unsigned r = atomic_load_explicit(&refusal, memory_order_relaxed);

	return r > 0 ? resp_error_name((enum resp_error)(r - 1)) : NULL;
}

static int32_t greeted(uint32_t i, const void *msg)
{
	const struct resp *r = msg;
	unsigned bad = 0;

	(void)i;
	if (r->type == RESP_ERROR)
		bad = (unsigned)resp_error_of(r->text) + 1;
	else if (r->type != RESP_STATUS && r->type != RESP_STRING)
		bad = RESP_E_OTHER + 1;
	atomic_store_explicit(&refusal, bad, memory_order_relaxed);
	return bad > 0 ? -1 : 0;
}

/* 1 to 65535, in digits alone; 0: it is none. */
static unsigned port_of(const char *p, const char *end)
{
	unsigned port = 0;

	if (end - p < 1 || end - p > 5)
		return 0;
	for (; p < end; p++) {
		if (*p < '0' || *p > '9')
			return 0;
		port = port * 10 + (unsigned)(*p - '0');
	}
	return port <= 65535 ? port : 0;
}

int server_endpoint(struct merlon_str text, bool tls, char *out, size_t cap)
{
	if (text.len == 0 || text.len + 8 > cap || memchr(text.ptr, '\0', text.len))
		return -1;
	if (text.len > 5 && memcmp(text.ptr, "unix:", 5) == 0) {
		if (tls || text.ptr[5] != '/')
			return -1;
		snprintf(out, cap, "%.*s", TXT_FMT(text));
		return 0;
	}
	const char *colon = memrchr(text.ptr, ':', text.len);
	if (!colon || colon == text.ptr || port_of(colon + 1, text.ptr + text.len) == 0)
		return -1;
	/* "::1:6379" could be read in two ways; "[::1]:6379" cannot. */
	if (*text.ptr != '[' && memchr(text.ptr, ':', (size_t)(colon - text.ptr)))
		return -1;
	snprintf(out, cap, "%s:%.*s", tls ? "tls" : "tcp", TXT_FMT(text));
	return 0;
}

/* The messages that begin a connection; how many there are. */
static uint32_t greeting(const struct merlon_host *h, const merlon_cfg *cfg, struct merlon_str *out)
{
	struct merlon_str auth[3] = {TXT("AUTH")};
	struct merlon_val v;
	uint32_t n = 1;
	char number[24];

	if (h->cfg_get(cfg, "password", &v) == 0) {
		const struct merlon_str password = v.u.str;
		unsigned argc = 1;
		if (h->cfg_get(cfg, "username", &v) == 0)
			auth[argc++] = v.u.str;
		auth[argc++] = password;
		resp_command(out, auth, argc);
		n++;
	}
	if (h->cfg_get(cfg, "database", &v) == 0 && v.u.i64 > 0) {
		const int len = snprintf(number, sizeof(number), "%lld", (long long)v.u.i64);
		const struct merlon_str select[] = {TXT("SELECT"), {number, (uint64_t)len}};
		resp_command(out, select, 2);
		n++;
	}
	const struct merlon_str load[] = {TXT("SCRIPT"), TXT("LOAD"), txt_of(script_text)};
	resp_command(out, load, 3);
	return n;
}

static int read_tls(const struct merlon_host *h, const merlon_cfg *cfg,
                    struct merlon_stream_ops *ops)
{
	const merlon_cfg *tls = h->cfg_at(cfg, "tls", 0);
	struct {
		const char *key;
		struct merlon_str *to;
	} const rows[] = {{"ca", &ops->ca},
	                  {"certificate", &ops->certificate},
	                  {"key", &ops->key},
	                  {"server_name", &ops->server_name}};
	struct merlon_val v;

	if (!tls)
		return 0;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (h->cfg_get(tls, rows[i].key, &v) == 0)
			*rows[i].to = v.u.str;
	}
	if ((ops->certificate.len > 0) == (ops->key.len > 0))
		return 0;
	h->cfg_error(cfg, "tls", TXT("certificate and key go together"));
	return -1;
}

static int read_endpoint(const struct merlon_host *h, const merlon_cfg *cfg, char *out, size_t cap)
{
	struct merlon_val v;

	if (h->cfg_get(cfg, "server", &v) != 0)
		return -1; /* required: the host has said so */
	if (server_endpoint(v.u.str, h->cfg_count(cfg, "tls") > 0, out, cap) == 0)
		return 0;
	h->cfg_error(cfg, "server",
	             TXT("is neither \"host:port\" nor, without tls, \"unix:/path\""));
	return -1;
}

static void hash_script(char out[SERVER_SHA])
{
	uint8_t md[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (EVP_Digest(script_text, strlen(script_text), md, &n, EVP_sha1(), NULL) != 1 || n != 20)
		abort();
	txt_hex(md, n, out);
}

int server_open(const struct merlon_host *h, merlon_ctx *ctx, const merlon_cfg *cfg,
                struct server *out)
{
	struct merlon_stream_ops ops = {.size = sizeof(ops),
	                                .connect_timeout_ms = CONNECT_MS,
	                                .stall_ms = STALL_MS,
	                                .max_queue = QUEUE_MAX,
	                                .decoder_new = resp_decoder_new,
	                                .decoder_free = resp_decoder_free,
	                                .decode = resp_decode,
	                                .message_free = resp_free,
	                                .greeted = greeted};
	struct merlon_val v;
	char endpoint[512];
	int r = read_tls(h, cfg, &ops);

	r |= read_endpoint(h, cfg, endpoint, sizeof(endpoint));
	if (h->cfg_get(cfg, "username", &v) == 0 && h->cfg_get(cfg, "password", &v) != 0) {
		h->cfg_error(cfg, "username", TXT("has no password beside it"));
		r = -1;
	}
	if (r != 0)
		return -1;
	struct merlon_str hello = {NULL, 0};
	ops.endpoint = txt_of(endpoint);
	ops.greetings = greeting(h, cfg, &hello);
	ops.greeting = hello;
	r = h->stream_open(ctx, cfg, &ops, &out->stream);
	resp_wipe(&hello);
	hash_script(out->sha);
	return r == 0 ? 0 : -1;
}
