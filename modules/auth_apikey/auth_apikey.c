/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * auth_apikey: who a request is, by the API key it carries. The instance owns the keys, read-only
 * after create; each worker owns a hash context. A key's value is only hashed and compared, never
 * kept, logged or told.
 */
#include "keyfile.h"

#include <stdlib.h>

struct instance {
	merlon_ctx *ctx;
	struct keyfile keys;
	struct key
	    dummy; /* compared where no key of that id is known, so that both take the same time */
};

static const struct merlon_host *H;

/* ---- options ---- */
static const struct merlon_option options[] = {
    {"keys_file", MERLON_OPT_FILE, MERLON_OPT_REQUIRED, NULL, NULL, NULL,
     "File of keys, one JSON object a line, as merlonctl key writes it; it may be empty."},
};

static void key_error(void *arg, uint32_t line, const char *text)
{
	H->cfg_file_error(arg, "keys_file", line, txt_of(text));
}

static int32_t create(merlon_ctx *ctx, const merlon_cfg *cfg, void **inst)
{
	struct instance *in;
	struct merlon_val file;

	if (H->cfg_get(cfg, "keys_file", &file) != 0) {
		H->cfg_error(cfg, "keys_file", TXT("is missing"));
		return -1;
	}
	if (sha_setup() != 0) {
		H->cfg_error(cfg, "keys_file", TXT("cannot be used: libcrypto offers no SHA-256"));
		return -1;
	}
	in = mem_new(1, sizeof(*in));
	in->ctx = ctx;
	/* The callback hands cfg back to the host unchanged. */
	if (keyfile_read(&in->keys, file.u.str, key_error, (void *)(uintptr_t)cfg) != 0) {
		keyfile_free(&in->keys);
		free(in);
		return -1;
	}
	*inst = in;
	return 0;
}

static void destroy(void *inst)
{
	struct instance *in = inst;

	keyfile_free(&in->keys);
	free(in);
}

static int32_t worker_start(void *inst, merlon_worker *worker, void **w)
{
	(void)inst;
	(void)worker;
	*w = sha_new();
	return 0;
}

static void worker_stop(void *inst, merlon_worker *worker, void *w)
{
	(void)inst;
	(void)worker;
	sha_free(w);
}

/* ---- refusals ---- */
static int32_t refuse(struct instance *in, merlon_tx *tx, int32_t code, struct merlon_str text,
                      struct merlon_str detail)
{
	const struct merlon_fail f = {
	    .size = sizeof(f),
	    .text = text,
	    .detail = detail,
	    .challenge = code == MERLON_NOCRED
	                     ? TXT("Bearer realm=\"merlon\"")
	                     : TXT("Bearer realm=\"merlon\", error=\"invalid_token\""),
	};

	H->fail(in->ctx, tx, &f);
	return code;
}

static int32_t refuse_key(struct instance *in, merlon_tx *tx, const struct key *k, int32_t code,
                          struct merlon_str text, struct merlon_str why)
{
	char detail[96];
	uint64_t n = 4;

	memcpy(detail, "key ", 4);
	memcpy(detail + n, k->id, APIKEY_ID);
	n += APIKEY_ID;
	memcpy(detail + n, why.ptr, why.len);
	return refuse(in, tx, code, text, (struct merlon_str){detail, n + why.len});
}

/* ---- where the key stands ---- */
/* *ours: it stands in a header that carries nothing but API keys. */
static bool find_key(merlon_tx *tx, struct merlon_str *out, bool *ours)
{
	struct merlon_str field;

	*ours = false;
	if (H->header_get(tx, MERLON_REQUEST, TXT("authorization"), 0, &field) == 0 &&
	    txt_bearer(field, out))
		return true;
	*ours = true;
	if (H->header_get(tx, MERLON_REQUEST, TXT("x-api-key"), 0, &field) != 0 &&
	    H->header_get(tx, MERLON_REQUEST, TXT("api-key"), 0, &field) != 0)
		return false;
	*out = txt_trim(field);
	return out->len > 0;
}

/* ---- which key it is ---- */
/* Both hashes are compared whatever the first says, and the dummy's where no key has that id. */
static bool matches(const struct key *k, const uint8_t hash[SHA_LEN], int64_t now_us)
{
	int first = sha_same(k->hash[0], hash, SHA_LEN);
	int second = sha_same(k->hash[1], hash, SHA_LEN);
	int live = k->nhashes == 2 && (k->overlap_until == INT64_MIN || now_us < k->overlap_until);

	return (first | (second & live)) & (k->nhashes > 0);
}

static const struct key *lookup(struct instance *in, struct merlon_str value,
                                const uint8_t hash[SHA_LEN])
{
	const struct key *k;

	/* A foreign key is found by its hash: nobody can choose values whose hash comes near. */
	if (apikey_shaped(value.ptr, value.len))
		k = keyfile_by_id(&in->keys, value.ptr + 4);
	else
		k = value.len < APIKEY_FOREIGN_MIN ? NULL : keyfile_by_hash(&in->keys, hash);
	return k;
}

static bool from_its_sources(merlon_tx *tx, const struct key *k)
{
	struct merlon_val v;
	uint8_t addr[16];

	if (!k->sources)
		return true;
	if (H->attr_get(tx, TXT("net.source"), &v) != 0 || v.type != MERLON_VAL_STR ||
	    cidr_addr(v.u.str, addr) != 0)
		return false;
	for (uint32_t i = 0; i < k->nsources; i++) {
		if (cidr_has(&k->sources[i], addr))
			return true;
	}
	return false;
}

/* ---- the identity ---- */
static int set_text(struct instance *in, merlon_tx *tx, struct merlon_str key, struct merlon_str s)
{
	const struct merlon_val v = {.type = MERLON_VAL_STR, .u.str = s};

	return s.ptr ? H->attr_set(in->ctx, tx, key, &v) : 0;
}

static int set_list(struct instance *in, merlon_tx *tx, struct merlon_str key,
                    const struct merlon_val *v)
{
	return v->type == MERLON_VAL_NONE ? 0 : H->attr_set(in->ctx, tx, key, v);
}

static int32_t identify(struct instance *in, merlon_tx *tx, const struct key *k)
{
	const struct merlon_val expires = {.type = MERLON_VAL_I64, .u.i64 = k->expires / 1000000};
	int r = 0;

	r |= set_text(in, tx, TXT("id.sub"), k->sub);
	r |= set_text(in, tx, TXT("id.org"), k->org);
	r |= set_text(in, tx, TXT("id.team"), k->team);
	r |= set_text(in, tx, TXT("id.tier"), k->tier);
	r |= set_list(in, tx, TXT("id.roles"), &k->roles);
	r |= set_list(in, tx, TXT("id.scopes"), &k->scopes);
	r |= set_list(in, tx, TXT("id.allow_models"), &k->models);
	r |= set_list(in, tx, TXT("id.allow_actions"), &k->actions);
	r |= set_text(in, tx, TXT("id.method"), TXT("apikey"));
	r |= set_text(in, tx, TXT("id.credential"), (struct merlon_str){k->id, APIKEY_ID});
	if (k->expires != INT64_MIN)
		r |= H->attr_set(in->ctx, tx, TXT("id.expires"), &expires);
	/* An identity with a part missing could be allowed more than the whole. */
	return r == 0 ? MERLON_OK : MERLON_ERROR;
}

static int32_t judge(struct instance *in, merlon_tx *tx, const struct key *k, int64_t now_us)
{
	const struct merlon_str invalid = TXT("the API key is not valid");

	if (k->disabled)
		return refuse_key(in, tx, k, MERLON_BADCRED, invalid, TXT(" is disabled"));
	if (k->not_before != INT64_MIN && now_us < k->not_before)
		return refuse_key(in, tx, k, MERLON_BADCRED, invalid, TXT(" is not valid yet"));
	if (k->expires != INT64_MIN && now_us >= k->expires)
		return refuse_key(in, tx, k, MERLON_EXPIRED, TXT("the API key has expired"),
		                  TXT(" has expired"));
	if (!from_its_sources(tx, k))
		return refuse_key(in, tx, k, MERLON_DENIED,
		                  TXT("the API key may not be used from this address"),
		                  TXT(" may not be used from this address"));
	return identify(in, tx, k);
}

static int32_t check(void *inst, void *w, merlon_tx *tx, uint32_t group)
{
	struct instance *in = inst;
	struct merlon_str value;
	uint8_t hash[SHA_LEN];
	bool ours, shaped;

	(void)group;
	if (!find_key(tx, &value, &ours))
		return refuse(in, tx, MERLON_NOCRED, TXT("no API key was given"), TXT(""));
	shaped = apikey_shaped(value.ptr, value.len);
	ours |= shaped;
	if (value.len > APIKEY_FOREIGN_MAX || (shaped && !apikey_valid(value.ptr, value.len)))
		return ours ? refuse(in, tx, MERLON_BADCRED, TXT("the API key is not valid"),
		                     TXT("malformed API key"))
		            : refuse(in, tx, MERLON_NOCRED, TXT("no API key was given"), TXT(""));
	if (sha_sum(w, value, hash) != 0)
		return MERLON_ERROR;

	const struct key *k = lookup(in, value, hash);
	int64_t now_us = (int64_t)(H->now(MERLON_CLOCK_REAL) / 1000);
	bool same = matches(k ? k : &in->dummy, hash, now_us);
	if (same)
		return judge(in, tx, k, now_us);
	if (!ours)
		return refuse(in, tx, MERLON_NOCRED, TXT("no API key was given"), TXT(""));
	return refuse(in, tx, MERLON_BADCRED, TXT("the API key is not valid"),
	              TXT("unknown API key"));
}

static const char *const reads[] = {"net.source", NULL};
static const char *const writes[] = {
    "id.sub",          "id.org",           "id.team",   "id.tier",       "id.roles",   "id.scopes",
    "id.allow_models", "id.allow_actions", "id.method", "id.credential", "id.expires", NULL};

static const struct merlon_module module = {
    .size = sizeof(struct merlon_module),
    .major = MERLON_ABI_MAJOR,
    .minor = MERLON_ABI_MINOR,
    .flags = MERLON_GRANTOR,
    .groups = MERLON_AUTH,
    .codes = MERLON_BIT(MERLON_OK) | MERLON_BIT(MERLON_NOCRED) | MERLON_BIT(MERLON_BADCRED) |
             MERLON_BIT(MERLON_EXPIRED) | MERLON_BIT(MERLON_DENIED) | MERLON_BIT(MERLON_ERROR),
    .option_size = sizeof(struct merlon_option),
    .option_count = sizeof(options) / sizeof(options[0]),
    .name = "auth_apikey",
    .version = MODULE_VERSION,
    .license = "Apache-2.0",
    .summary = "Identity by an API key from a file of hashed keys.",
    .options = options,
    .reads = reads,
    .writes = writes,
    .create = create,
    .destroy = destroy,
    .worker_start = worker_start,
    .worker_stop = worker_stop,
    .check = check,
};

MERLON_MODULE(module, H, 0, MERLON_GRANTOR, MERLON_AUTH)
