/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * From claims to an identity. A claim of another type than it must be refuses the token: what it
 * was meant to say is not guessed. The identity is one block, laid out in two passes: the first one
 * measures and checks, the second one copies.
 */
#include "oidc.h"

#include <stdlib.h>

struct identity {
	struct merlon_str text[CLAIM_TEXTS];
	struct merlon_val list[CLAIM_LISTS];
	char credential[5 + CREDENTIAL_HEX];
};

struct layout {
	size_t n; /* bytes so far */
	char *at; /* NULL: the first pass */
};

static const char *const wrong_text[CLAIM_TEXTS] = {
    "the token's subject is not text", "the token's organisation is not text",
    "the token's team is not text", "the token's tier is not text"};
static const char *const wrong_list[CLAIM_LISTS] = {
    "the token's roles are not a list of text", "the token's scopes are not a list of text",
    "the token's models are not a list of text", "the token's actions are not a list of text"};

static void *room(struct layout *l, size_t n)
{
	void *p = l->at ? l->at + l->n : NULL;

	l->n += (n + 7) & ~(size_t)7;
	return p;
}

static struct merlon_str put(struct layout *l, struct merlon_str s)
{
	char *p = room(l, s.len);

	if (p && s.len > 0)
		memcpy(p, s.ptr, s.len);
	return (struct merlon_str){p, s.len};
}

static struct merlon_str text_of(const json_t *v)
{
	return (struct merlon_str){json_string_value(v), json_string_length(v)};
}

/* Controls end lines and fields elsewhere; no name has them. */
static bool is_name(const json_t *v)
{
	struct merlon_str s = text_of(v);

	return s.len > 0 && txt_is_plain(s);
}

static bool put_text(struct layout *l, const struct jwt *t, struct merlon_str path,
                     struct merlon_str *out)
{
	const json_t *v = path.len > 0 ? jwt_claim(t, path) : NULL;

	if (!v)
		return true;
	if (!is_name(v))
		return false;
	*out = put(l, text_of(v));
	return true;
}

/* ---- lists ---- */
static uint32_t count_words(struct merlon_str s)
{
	uint32_t n = 0;

	for (uint64_t i = 0; i < s.len; i++)
		n += s.ptr[i] != ' ' && (i == 0 || s.ptr[i - 1] == ' ');
	return n;
}

/* The form of RFC 8693 §4.2: names divided by spaces. */
static void put_words(struct layout *l, struct merlon_str s, struct merlon_val *out)
{
	uint32_t n = count_words(s);
	struct merlon_str *list = room(l, n * sizeof(*list));
	uint64_t at = 0;

	for (uint32_t i = 0; i < n; i++) {
		while (s.ptr[at] == ' ')
			at++;
		uint64_t begin = at;
		while (at < s.len && s.ptr[at] != ' ')
			at++;
		struct merlon_str word = put(l, (struct merlon_str){s.ptr + begin, at - begin});
		if (list)
			list[i] = word;
	}
	*out = (struct merlon_val){.type = MERLON_VAL_STRLIST, .count = n, .u.list = list};
}

static bool put_array(struct layout *l, const json_t *v, struct merlon_val *out)
{
	size_t n = json_array_size(v);
	struct merlon_str *list = room(l, n * sizeof(*list));

	for (size_t i = 0; i < n; i++) {
		const json_t *e = json_array_get(v, i);

		if (!is_name(e))
			return false;
		struct merlon_str s = put(l, text_of(e));
		if (list)
			list[i] = s;
	}
	*out =
	    (struct merlon_val){.type = MERLON_VAL_STRLIST, .count = (uint32_t)n, .u.list = list};
	return true;
}

static bool put_one(struct layout *l, const json_t *v, struct merlon_val *out)
{
	struct merlon_str *list = room(l, sizeof(*list));
	struct merlon_str s = put(l, text_of(v));

	if (list)
		*list = s;
	*out = (struct merlon_val){.type = MERLON_VAL_STRLIST, .count = 1, .u.list = list};
	return true;
}

static bool put_list(struct layout *l, const struct jwt *t, int which, struct merlon_str path,
                     struct merlon_val *out)
{
	const json_t *v = path.len > 0 ? jwt_claim(t, path) : NULL;

	if (path.len == 0)
		return true;
	if (!v) {
		/* Models and actions bind. Who maps them expects every token to name them, so one
		 * that does not is allowed nothing, rather than all. */
		if (which == CLAIM_MODELS || which == CLAIM_ACTIONS)
			put_words(l, TXT(""), out);
		return true;
	}
	if (json_is_array(v))
		return put_array(l, v, out);
	if (!is_name(v) &&
	    !(which == CLAIM_SCOPES && json_is_string(v) && json_string_length(v) == 0))
		return false;
	if (which != CLAIM_SCOPES)
		return put_one(l, v, out);
	put_words(l, text_of(v), out);
	return true;
}

/* ---- both passes ---- */
static const char *lay_out(struct layout *l, const struct mapping *m, const struct jwt *t,
                           struct identity *id)
{
	for (int i = 0; i < CLAIM_TEXTS; i++) {
		if (!put_text(l, t, m->text[i], &id->text[i]))
			return wrong_text[i];
	}
	if (id->text[CLAIM_SUB].len == 0)
		return "the token has no subject";
	for (int i = 0; i < CLAIM_LISTS; i++) {
		if (!put_list(l, t, i, m->list[i], &id->list[i]))
			return wrong_list[i];
	}
	return NULL;
}

struct identity *identity_make(const struct mapping *m, const struct jwt *t,
                               const uint8_t hash[SHA_LEN], const char **why)
{
	struct identity measured = {0};
	struct layout first = {0}, second = {0};
	struct identity *id;

	*why = lay_out(&first, m, t, &measured);
	if (*why)
		return NULL;
	id = mem_new(1, sizeof(*id) + 8 + first.n);
	second.at = (char *)(id + 1);
	(void)lay_out(&second, m, t, id);
	memcpy(id->credential, "oidc:", 5);
	txt_hex(hash, CREDENTIAL_HEX / 2, id->credential + 5);
	return id;
}

int32_t identity_set(const struct identity *id, int64_t expires, merlon_ctx *ctx, merlon_tx *tx)
{
	static const struct merlon_str texts[CLAIM_TEXTS] = {
	    {"id.sub", 6}, {"id.org", 6}, {"id.team", 7}, {"id.tier", 7}};
	static const struct merlon_str lists[CLAIM_LISTS] = {
	    {"id.roles", 8}, {"id.scopes", 9}, {"id.allow_models", 15}, {"id.allow_actions", 16}};
	const struct merlon_val method = {.type = MERLON_VAL_STR, .u.str = {"oidc", 4}};
	const struct merlon_val credential = {.type = MERLON_VAL_STR,
	                                      .u.str = {id->credential, sizeof(id->credential)}};
	const struct merlon_val until = {.type = MERLON_VAL_I64, .u.i64 = expires};
	int32_t r = 0;

	for (int i = 0; i < CLAIM_TEXTS; i++) {
		const struct merlon_val v = {.type = MERLON_VAL_STR, .u.str = id->text[i]};

		if (id->text[i].len > 0)
			r |= oidc_host->attr_set(ctx, tx, texts[i], &v);
	}
	for (int i = 0; i < CLAIM_LISTS; i++) {
		if (id->list[i].type != MERLON_VAL_NONE)
			r |= oidc_host->attr_set(ctx, tx, lists[i], &id->list[i]);
	}
	r |= oidc_host->attr_set(ctx, tx, TXT("id.method"), &method);
	r |= oidc_host->attr_set(ctx, tx, TXT("id.credential"), &credential);
	r |= oidc_host->attr_set(ctx, tx, TXT("id.expires"), &until);
	return r;
}
