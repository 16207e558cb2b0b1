/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Reading keys.jsonl: one object a line, a closed list of members, every type checked. All that is
 * wrong is said, and nothing of a line's text is repeated: somebody may have put a key there.
 */
#include "keyfile.h"

#include <jansson.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_MAX 256    /* bytes of one string */
#define LIST_MAX 256    /* strings of one list */
#define RECORD_MAX 8192 /* bytes of what becomes attributes, which have a ceiling of their own */
#define TURN 16384      /* bytes that are read in one go */
#define TURNS 1024      /* at most so many */
#define INDEXED 16      /* bytes that are read in the time in which a key is put into the tables */

struct reading {
	struct keyfile *f;
	keyfile_error_fn *fn;
	void *arg;
	uint32_t line;
	unsigned errors;
	size_t bytes;  /* of this record's texts */
	size_t cap;    /* of f->v */
	uint64_t turn; /* bytes of one */
	uint64_t done; /* of this one */
};

/* Requests are served meanwhile, perhaps by the same processor, and would wait for the whole time
 * slice of a thread that has so much to do. */
static void make_way(struct reading *r, uint64_t bytes)
{
	r->done += bytes;
	if (r->done < r->turn)
		return;
	r->done = 0;
	sched_yield();
}

__attribute__((format(printf, 2, 3))) static void wrong(struct reading *r, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (r->errors++ < KEYFILE_ERRORS_MAX)
		r->fn(r->arg, r->line, text);
}

/* The text of a value; ptr NULL: it is none that may stand here, which is said. */
static struct merlon_str text_of(struct reading *r, const char *member, const json_t *v)
{
	struct merlon_str s = {json_string_value(v), json_string_length(v)};
	const struct merlon_str none = {NULL, 0};

	if (!json_is_string(v))
		return wrong(r, "%s must be text", member), none;
	if (s.len == 0 || s.len > TEXT_MAX)
		return wrong(r, "%s must have 1 to %d characters", member, TEXT_MAX), none;
	if (!txt_is_plain(s))
		return wrong(r, "%s holds control characters", member), none;
	r->bytes += s.len;
	return s;
}

static void read_text(struct reading *r, const char *member, const json_t *v, void *out)
{
	struct merlon_str s = text_of(r, member, v);

	if (s.ptr)
		*(struct merlon_str *)out = pool_copy(&r->f->pool, s);
}

static bool list_ok(struct reading *r, const char *member, const json_t *v)
{
	if (!json_is_array(v))
		wrong(r, "%s must be a list", member);
	else if (json_array_size(v) > LIST_MAX)
		wrong(r, "%s has more than %d entries", member, LIST_MAX);
	else
		return true;
	return false;
}

static void read_list(struct reading *r, const char *member, const json_t *v, void *out)
{
	struct merlon_str *list;

	if (!list_ok(r, member, v))
		return;
	list = pool_new(&r->f->pool, json_array_size(v), sizeof(*list));
	for (size_t i = 0; i < json_array_size(v); i++) {
		struct merlon_str s = text_of(r, member, json_array_get(v, i));
		if (s.ptr)
			list[i] = pool_copy(&r->f->pool, s);
	}
	*(struct merlon_val *)out = (struct merlon_val){
	    .type = MERLON_VAL_STRLIST, .count = (uint32_t)json_array_size(v), .u.list = list};
}

static void read_actions(struct reading *r, const char *member, const json_t *v, void *out)
{
	static const char *const known[] = {"predict", "read",     "write", "delete",
	                                    "train",   "evaluate", "manage"};
	const size_t n = sizeof(known) / sizeof(known[0]);
	const struct merlon_val *list = out;

	read_list(r, member, v, out);
	for (uint32_t i = 0; i < list->count; i++) {
		struct merlon_str s = list->u.list[i];
		size_t k = 0;
		while (k < n && !txt_eq(s, txt_of(known[k])))
			k++;
		if (k < n || !s.ptr)
			continue;
		const char *near = txt_suggest(s, known, n);
		wrong(r, "%s names an unknown action%s%s%s", member,
		      near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
	}
}

static void read_id(struct reading *r, const char *member, const json_t *v, void *out)
{
	if (!json_is_string(v) || !apikey_is_id(json_string_value(v), json_string_length(v)))
		wrong(r, "%s must be %d characters of 0-9A-Za-z", member, APIKEY_ID);
	else
		memcpy(out, json_string_value(v), APIKEY_ID);
}

static void read_hashes(struct reading *r, const char *member, const json_t *v, void *out)
{
	struct key *k = (struct key *)((char *)out - offsetof(struct key, hash));
	size_t n = json_array_size(v);

	if (!json_is_array(v) || n < 1 || n > 2) {
		wrong(r, "%s must be a list of one or two", member);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const char *z = json_string_value(json_array_get(v, i));
		if (!z || strlen(z) != 7 + SHA_HEX || strncmp(z, "sha256:", 7) != 0 ||
		    txt_unhex((struct merlon_str){z + 7, SHA_HEX}, k->hash[i]) != 0) {
			wrong(r, "%s must be \"sha256:\" and %d lower-case hex digits", member,
			      SHA_HEX);
			return;
		}
	}
	if (n == 1)
		memcpy(k->hash[1], k->hash[0], SHA_LEN);
	k->nhashes = (unsigned)n;
}

static void read_time(struct reading *r, const char *member, const json_t *v, void *out)
{
	struct merlon_str s = {json_string_value(v), json_string_length(v)};

	if (!json_is_string(v) || txt_rfc3339_parse(s, out) != 0)
		wrong(r, "%s must be a time like \"2027-01-31T00:00:00Z\"", member);
}

static void read_bool(struct reading *r, const char *member, const json_t *v, void *out)
{
	if (!json_is_boolean(v))
		wrong(r, "%s must be true or false", member);
	else
		*(bool *)out = json_is_true(v);
}

static void read_sources(struct reading *r, const char *member, const json_t *v, void *out)
{
	struct key *k = (struct key *)((char *)out - offsetof(struct key, sources));
	struct cidr *list;

	if (!list_ok(r, member, v))
		return;
	k->nsources = (uint32_t)json_array_size(v);
	k->sources = list = pool_new(&r->f->pool, k->nsources + 1, sizeof(*list));
	for (size_t i = 0; i < k->nsources; i++) {
		const json_t *e = json_array_get(v, i);
		struct merlon_str s = {json_string_value(e), json_string_length(e)};
		if (!json_is_string(e) || cidr_parse(s, &list[i]) != 0)
			wrong(r,
			      "%s must be networks like \"10.0.0.0/8\", no bits set behind the "
			      "prefix",
			      member);
	}
}

static const struct member {
	const char *name;
	void (*read)(struct reading *r, const char *member, const json_t *v, void *out);
	size_t at;
} members[] = {
    {"id", read_id, offsetof(struct key, id)},
    {"hashes", read_hashes, offsetof(struct key, hash)},
    {"sub", read_text, offsetof(struct key, sub)},
    {"org", read_text, offsetof(struct key, org)},
    {"team", read_text, offsetof(struct key, team)},
    {"tier", read_text, offsetof(struct key, tier)},
    {"roles", read_list, offsetof(struct key, roles)},
    {"scopes", read_list, offsetof(struct key, scopes)},
    {"models", read_list, offsetof(struct key, models)},
    {"actions", read_actions, offsetof(struct key, actions)},
    {"not_before", read_time, offsetof(struct key, not_before)},
    {"expires", read_time, offsetof(struct key, expires)},
    {"overlap_until", read_time, offsetof(struct key, overlap_until)},
    {"disabled", read_bool, offsetof(struct key, disabled)},
    {"sources", read_sources, offsetof(struct key, sources)},
    {"created", read_time, SIZE_MAX}, /* checked, and of no use here */
};
#define MEMBERS (sizeof(members) / sizeof(members[0]))

static void unknown(struct reading *r, const char *name)
{
	const char *names[MEMBERS];
	const char *near;

	for (size_t i = 0; i < MEMBERS; i++)
		names[i] = members[i].name;
	near = txt_suggest(txt_of(name), names, MEMBERS);
	if (near)
		wrong(r, "unknown member; did you mean \"%s\"?", near);
	else
		wrong(r, "unknown member");
}

static void read_members(struct reading *r, json_t *object, struct key *k)
{
	const char *name;
	json_t *v;
	int64_t ignored;

	json_object_foreach(object, name, v)
	{
		size_t i = 0;
		while (i < MEMBERS && strcmp(members[i].name, name) != 0)
			i++;
		if (i == MEMBERS)
			unknown(r, name);
		else if (members[i].at == SIZE_MAX)
			members[i].read(r, name, v, &ignored);
		else
			members[i].read(r, name, v, (char *)k + members[i].at);
	}
}

static void read_object(struct reading *r, json_t *object)
{
	unsigned before = r->errors;
	struct key *k;

	if (r->f->n == r->cap) {
		r->cap = r->cap ? 2 * r->cap : 16;
		r->f->v = mem_grow(r->f->v, r->cap, sizeof(*k));
	}
	k = &r->f->v[r->f->n];
	*k = (struct key){.line = r->line,
	                  .not_before = INT64_MIN,
	                  .expires = INT64_MIN,
	                  .overlap_until = INT64_MIN};
	r->bytes = 0;
	read_members(r, object, k);
	if (r->errors == before && !k->id[0])
		wrong(r, "id is missing");
	if (r->errors == before && k->nhashes == 0)
		wrong(r, "hashes is missing");
	if (r->errors == before && !k->sub.ptr)
		wrong(r, "sub is missing");
	if (r->errors == before && r->bytes > RECORD_MAX)
		wrong(r, "the texts of this key have over %d bytes", RECORD_MAX);
	if (r->errors == before)
		r->f->n++;
}

/* jansson's own words end with what stands near the place: that part must not be repeated. */
static void syntax(struct reading *r, const json_error_t *e)
{
	const char *near = strstr(e->text, " near ");
	int n = near ? (int)(near - e->text) : (int)strlen(e->text);

	if (json_error_code(e) == json_error_duplicate_key)
		wrong(r, "a member stands twice");
	else
		wrong(r, "not a JSON object: column %d: %.*s", e->column, n, e->text);
}

static void read_line(struct reading *r, struct merlon_str line)
{
	json_error_t e;
	json_t *object;

	line = txt_trim(line);
	if (line.len == 0)
		return;
	if (memchr(line.ptr, '\0', line.len)) {
		wrong(r, "a NUL byte");
		return;
	}
	object = json_loadb(line.ptr, line.len, JSON_REJECT_DUPLICATES, &e);
	if (!object)
		syntax(r, &e);
	else if (!json_is_object(object))
		wrong(r, "not a JSON object");
	else
		read_object(r, object);
	json_decref(object);
}

/* Only now, since the records have moved while their number grew. */
static void index_keys(struct reading *r)
{
	struct keyfile *f = r->f;

	txt_map_init(&f->by_id, f->n);
	txt_map_init(&f->by_hash, 2 * f->n);
	for (size_t i = 0; i < f->n; i++) {
		struct key *k = &f->v[i];
		uint32_t old;
		make_way(r, INDEXED);
		r->line = k->line;
		old = txt_map_put(&f->by_id, (struct merlon_str){k->id, APIKEY_ID}, (uint32_t)i);
		if (old != TXT_MAP_NONE)
			wrong(r, "this id stands in line %u too", f->v[old].line);
		for (unsigned h = 0; h < k->nhashes; h++) {
			struct merlon_str hash = {(const char *)k->hash[h], SHA_LEN};
			old = txt_map_put(&f->by_hash, hash, (uint32_t)i);
			if (old != TXT_MAP_NONE)
				wrong(r, "this hash stands in line %u too", f->v[old].line);
		}
	}
}

int keyfile_read(struct keyfile *f, struct merlon_str text, keyfile_error_fn *fn, void *arg)
{
	struct reading r = {.f = f, .fn = fn, .arg = arg};

	r.turn = text.len / TURNS > TURN ? text.len / TURNS : TURN;
	*f = (struct keyfile){{NULL}, NULL, 0, {0}, {0}};
	while (text.len > 0) {
		const char *lf = memchr(text.ptr, '\n', text.len);
		uint64_t n = lf ? (uint64_t)(lf - text.ptr) : text.len;
		make_way(&r, n + 1);
		r.line++;
		read_line(&r, (struct merlon_str){text.ptr, n});
		text.ptr += lf ? n + 1 : n;
		text.len -= lf ? n + 1 : n;
	}
	index_keys(&r);
	return r.errors > 0 ? -1 : 0;
}

void keyfile_free(struct keyfile *f)
{
	txt_map_free(&f->by_id);
	txt_map_free(&f->by_hash);
	pool_free(&f->pool);
	free(f->v);
	*f = (struct keyfile){{NULL}, NULL, 0, {0}, {0}};
}

const struct key *keyfile_by_id(const struct keyfile *f, const char id[APIKEY_ID])
{
	uint32_t i = txt_map_get(&f->by_id, (struct merlon_str){id, APIKEY_ID});

	return i == TXT_MAP_NONE ? NULL : &f->v[i];
}

const struct key *keyfile_by_hash(const struct keyfile *f, const uint8_t hash[SHA_LEN])
{
	uint32_t i = txt_map_get(&f->by_hash, (struct merlon_str){(const char *)hash, SHA_LEN});

	return i == TXT_MAP_NONE ? NULL : &f->v[i];
}
