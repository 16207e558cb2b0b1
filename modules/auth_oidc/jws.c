/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Reading a token's form. Whatever starts like a JWT and is not a plain, signed one is refused
 * here, before any key is looked at: the header asks for nothing that is granted.
 */
#include "jose.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <strings.h>

struct parts {
	struct merlon_str v[3];
	unsigned dots;
};

static enum jwt_parsed refuse(const char **why, const char *text)
{
	*why = text;
	return JWT_BAD;
}

static struct parts split(struct merlon_str token)
{
	struct parts p = {{{NULL, 0}, {NULL, 0}, {NULL, 0}}, 0};
	uint64_t from = 0;

	for (uint64_t i = 0; i <= token.len; i++) {
		if (i < token.len && token.ptr[i] != '.')
			continue;
		if (p.dots < 3)
			p.v[p.dots] = (struct merlon_str){token.ptr + from, i - from};
		p.dots += i < token.len;
		from = i + 1;
	}
	return p;
}

/* The bytes of a part, for the caller to wipe(); NULL: not canonical base64url. */
static uint8_t *decode(struct merlon_str part, size_t *n)
{
	uint8_t *bytes = mem_new(part.len / 4 * 3 + 3, 1);
	int64_t len = jose_base64url(part, bytes);

	if (len < 0) {
		free(bytes);
		return NULL;
	}
	*n = (size_t)len;
	return bytes;
}

static void wipe(void *bytes, size_t n)
{
	if (bytes)
		OPENSSL_cleanse(bytes, n);
	free(bytes);
}

static json_t *decode_json(struct merlon_str part, const char **why)
{
	size_t n = 0;
	uint8_t *bytes = decode(part, &n);
	json_t *v = NULL;

	if (bytes)
		v = jose_json((struct merlon_str){(const char *)bytes, n}, why);
	else
		*why = "a part of the token is not canonical base64url";
	wipe(bytes, n);
	return v;
}

/* Any JSON but an object, which the caller knows by its first byte. A list is one by its first byte
 * too, so that jansson is not given a depth to recurse into. */
static bool is_json(struct merlon_str part)
{
	size_t n = 0, skip = 0;
	uint8_t *bytes = decode(part, &n);
	json_t *v = NULL;
	bool is;

	while (bytes && skip < n && strchr(" \t\r\n", bytes[skip]) && bytes[skip])
		skip++;
	is = bytes && skip < n && bytes[skip] == '[';
	if (bytes && !is)
		v = json_loadb((const char *)bytes, n, JSON_DECODE_ANY, NULL);
	is |= v != NULL;
	json_decref(v);
	wipe(bytes, n);
	return is;
}

/* What a byte stands for in either base64 alphabet; 64: in none. Those two that differ in them do
 * not come before the first brace of a header. */
static unsigned loose_digit(char c)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (unsigned)(at - digits) : 64;
}

/* Whether the part before the first dot is meant as a header, read as leniently as anybody might:
 * a token in a spelling that is not accepted is still a token, which no other module should try. */
static bool like_header(struct merlon_str part)
{
	uint32_t bits = 0;
	unsigned have = 0;

	for (uint64_t i = 0; i < part.len; i++) {
		unsigned d = loose_digit(part.ptr[i]);
		if (d == 64)
			continue;
		bits = (bits << 6 | d) & 0xffff;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		char c = (char)(bits >> have & 0xff);
		if (c == '{')
			return true;
		if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
			break;
	}
	return is_json(part);
}

static const char *asked_for(const json_t *header)
{
	static const struct {
		const char *name, *why;
	} refused[] = {
	    {"crit", "the token's header has crit, which is not accepted"},
	    {"b64", "the token's header has b64, which is not accepted"},
	    {"zip", "compressed tokens are not accepted"},
	    {"enc", "encrypted tokens are not accepted"},
	    {"jwk", "a token cannot bring its own key (jwk)"},
	    {"jku", "a token cannot bring its own key (jku)"},
	    {"x5u", "a token cannot bring its own key (x5u)"},
	    {"x5c", "a token cannot bring its own key (x5c)"},
	};

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (json_object_get(header, refused[i].name))
			return refused[i].why;
	}
	return NULL;
}

static const char *read_alg(const json_t *v, enum jose_alg *out)
{
	if (!v)
		return "the token names no algorithm";
	if (!json_is_string(v))
		return "the token's algorithm is not text";
	for (unsigned i = 0; i < JOSE_ALGS; i++) {
		if (strcmp(json_string_value(v), jose_alg_names[i]) == 0) {
			*out = (enum jose_alg)i;
			return NULL;
		}
	}
	if (strcasecmp(json_string_value(v), "none") == 0)
		return "unsigned tokens are not accepted";
	return "the token's algorithm is not known";
}

static const char *read_text(const json_t *v, struct merlon_str *out)
{
	if (v && !json_is_string(v))
		return "kid, typ and cty of a token must be text";
	*out = (struct merlon_str){json_string_value(v), json_string_length(v)};
	return NULL;
}

static bool nested(struct merlon_str cty)
{
	return cty.ptr &&
	       (strcasecmp(cty.ptr, "JWT") == 0 || strcasecmp(cty.ptr, "application/jwt") == 0);
}

static const char *read_header(struct jwt *t)
{
	struct merlon_str cty;
	const char *why;

	if (!json_is_object(t->header))
		return "the token's header is not a JSON object";
	why = asked_for(t->header);
	if (!why)
		why = read_alg(json_object_get(t->header, "alg"), &t->alg);
	if (!why)
		why = read_text(json_object_get(t->header, "kid"), &t->kid);
	if (!why)
		why = read_text(json_object_get(t->header, "typ"), &t->typ);
	if (!why)
		why = read_text(json_object_get(t->header, "cty"), &cty);
	if (why)
		return why;
	if (t->kid.len > JWT_KID_MAX)
		return "the token's kid is too long";
	return nested(cty) ? "nested tokens are not accepted" : NULL;
}

static enum jwt_parsed read_parts(const struct parts *p, struct jwt *out, const char **why)
{
	const char *fault;

	out->header = decode_json(p->v[0], &fault);
	if (!out->header)
		return refuse(why, fault);
	fault = read_header(out);
	if (fault)
		return refuse(why, fault);
	out->claims = decode_json(p->v[1], &fault);
	if (!out->claims)
		return refuse(why, fault);
	if (!json_is_object(out->claims))
		return refuse(why, "the token's claims are not a JSON object");
	if (p->v[2].len == 0)
		return refuse(why, "the token has no signature");
	out->signature = decode(p->v[2], &out->signature_len);
	if (!out->signature)
		return refuse(why, "the token's signature is not canonical base64url");
	return JWT_OK;
}

enum jwt_parsed jwt_parse(struct merlon_str token, struct jwt *out, const char **why)
{
	struct parts p;

	*out = (struct jwt){.alg = JOSE_ALGS};
	*why = NULL;
	if (token.len > JWT_MAX)
		return refuse(why, "the token is too long");
	if (token.len == 0)
		return JWT_NOT_ONE;
	if (token.ptr[0] == '{')
		return refuse(why, "only the compact form of a token is accepted");
	p = split(token);
	if (p.dots == 0 || !(like_header(p.v[0]) || (p.dots == 2 && p.v[0].len == 0)))
		return JWT_NOT_ONE;
	if (p.dots == 4)
		return refuse(why, "encrypted tokens are not accepted");
	if (p.dots != 2 || p.v[0].len == 0 || p.v[1].len == 0)
		return refuse(why, "a token has three parts");
	out->signed_part = (struct merlon_str){token.ptr, p.v[0].len + 1 + p.v[1].len};
	return read_parts(&p, out, why);
}

void jwt_free(struct jwt *t)
{
	json_decref(t->header);
	json_decref(t->claims);
	wipe(t->signature, t->signature_len);
	*t = (struct jwt){.alg = JOSE_ALGS};
}
