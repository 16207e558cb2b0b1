/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What auth_oidc reads beside tokens and keys: discovery documents, Cache-Control, and claims on
 * their way to an identity.
 */
#include "auth_oidc/provider.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ISSUER TXT("https://idp.example/realm")

const struct merlon_host *oidc_host;

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* ---- documents ---- */
static void read_document(struct merlon_str body)
{
	const char *why = NULL;
	char *target = discovery_read(body, ISSUER, &why);

	require((target == NULL) == (why != NULL && why[0] != '\0'));
	if (!target)
		return;
	require(target[0] == '/' && strlen(target) <= 2048);
	for (const char *p = target; *p; p++)
		require(*p > ' ' && *p < 0x7f && *p != '#');
	free(target);
}

/* The text as the whole value of jwks_uri, so that the grammar of URLs is what is tried. */
static void read_uri(struct merlon_str uri)
{
	json_t *doc = json_pack("{s:s, s:s%}", "issuer", "https://idp.example/realm", "jwks_uri",
	                        uri.ptr, (size_t)uri.len);
	char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;

	if (text)
		read_document(txt_of(text));
	free(text);
	json_decref(doc);
	if (url_same_origin(uri, ISSUER)) {
		/* Nothing but the origin itself may begin it. */
		require(uri.len >= 19 && (uri.ptr[0] | 0x20) == 'h');
		require(!memchr(uri.ptr, '@', uri.len - url_target(uri).len) ||
		        url_target(uri).len == 1);
	}
}

static void read_cache_control(struct merlon_str value)
{
	const struct merlon_header h = {TXT("Cache-Control"), value};
	const struct merlon_http_response res = {.size = sizeof(res), .headers = &h, .nheaders = 1};
	int64_t age = cache_max_age(&res);

	require(age >= -1 && age <= INT64_C(9999999999));
}

/* ---- claims ---- */
static unsigned long seen;

static int32_t attr_set(merlon_ctx *ctx, merlon_tx *tx, struct merlon_str key,
                        const struct merlon_val *val)
{
	(void)ctx;
	(void)tx;
	require(key.len > 3 && memcmp(key.ptr, "id.", 3) == 0);
	for (uint32_t i = 0; val->type == MERLON_VAL_STRLIST && i < val->count; i++) {
		require(val->u.list[i].len > 0);
		for (uint64_t k = 0; k < val->u.list[i].len; k++)
			seen += (unsigned char)val->u.list[i].ptr[k];
	}
	for (uint64_t k = 0; val->type == MERLON_VAL_STR && k < val->u.str.len; k++)
		seen += (unsigned char)val->u.str.ptr[k];
	return 0;
}

static void read_claims(struct merlon_str text)
{
	static const struct merlon_host host = {.size = sizeof(host), .attr_set = attr_set};
	static const uint8_t hash[SHA_LEN];
	const struct mapping m = {
	    {TXT("sub"), TXT("o"), TXT("a.b"), TXT("t")},
	    {TXT("r"), TXT("s"), TXT("m"), TXT("a.c")},
	};
	const char *why = NULL;
	struct jwt t = {.claims = jose_json(text, &why)};
	struct identity *id;

	oidc_host = &host;
	if (json_is_object(t.claims)) {
		id = identity_make(&m, &t, hash, &why);
		require((id == NULL) == (why != NULL));
		if (id)
			identity_set(id, 1, NULL, NULL);
		free(id);
	}
	json_decref(t.claims);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct merlon_str text = {(const char *)data + 1, size - 1};

	if (size == 0 || size > 65536)
		return 0;
	switch (data[0] & 3) {
	case 0:
		read_document(text);
		break;
	case 1:
		read_uri(text);
		break;
	case 2:
		read_cache_control(text);
		break;
	default:
		read_claims(text);
	}
	return 0;
}
