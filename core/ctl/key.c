/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * merlonctl key: makes, lists, rotates, revokes and imports API keys. A key's value is seen once,
 * on standard output (or input, for import), and never stored.
 */
#include "ctl/cmd_key.h"

#include "base/clean.h"
#include "base/clock.h"
#include "base/mem.h"
#include "common/apikey.h"
#include "ctl/ctl.h"
#include "ctl/keystore.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct options {
	const char *keys, *sub, *org, *team, *tier, *expires, *not_before, *overlap, *id;
	json_t *roles, *scopes, *models, *actions;
	bool json;
};

static int usage(void)
{
	fputs("usage: merlonctl key create --keys FILE --sub NAME [--org O] [--team T] [--tier T]\n"
	      "         [--role R]... [--scope S]... [--model GLOB]... [--action A]...\n"
	      "         [--not-before TIME] [--expires TIME]\n"
	      "       merlonctl key import --keys FILE --sub NAME ... < FILE-WITH-THE-KEY\n"
	      "       merlonctl key list --keys FILE [ID]\n"
	      "       merlonctl key rotate --keys FILE ID [--overlap 1h]\n"
	      "       merlonctl key revoke --keys FILE ID\n"
	      "  TIME: from now, as 90d, or RFC 3339\n",
	      stderr);
	return CTL_USAGE;
}

static int wrong(int code, const char *fmt, ...) PRINTF(2, 3);
static int wrong(int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("merlonctl: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	return code;
}

static int file_wrong(const char *path, int r)
{
	return wrong(CTL_FILE, "%s: %s", path, strerror(-r));
}

/* ---- options ---- */
static json_t *text_value(const char *option, const char *z)
{
	json_t *v = json_string(z);
	size_t n = strlen(z), i = 0;

	while (i < n && (unsigned char)z[i] >= 0x20 && z[i] != 0x7f)
		i++;
	if (v && n > 0 && n <= 256 && i == n)
		return v;
	json_decref(v);
	wrong(0, "%s must be 1 to 256 bytes of UTF-8 without control characters", option);
	return NULL;
}

static const char **text_option(struct options *o, const char *name)
{
	const struct {
		const char *name, **at;
	} table[] = {
	    {"--keys", &o->keys}, {"--sub", &o->sub},         {"--org", &o->org},
	    {"--team", &o->team}, {"--tier", &o->tier},       {"--expires", &o->expires},
	    {"--id", &o->id},     {"--overlap", &o->overlap}, {"--not-before", &o->not_before},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(name, table[i].name) == 0)
			return table[i].at;
	}
	return NULL;
}

static json_t **list_option(struct options *o, const char *name)
{
	if (strcmp(name, "--role") == 0)
		return &o->roles;
	if (strcmp(name, "--scope") == 0)
		return &o->scopes;
	if (strcmp(name, "--model") == 0)
		return &o->models;
	return strcmp(name, "--action") == 0 ? &o->actions : NULL;
}

static bool known_action(const char *z)
{
	static const char *const known[] = {"predict", "read",     "write", "delete",
	                                    "train",   "evaluate", "manage"};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(z, known[i]) == 0)
			return true;
	}
	wrong(0, "there is no action %s", z);
	return false;
}

static bool add_to_list(json_t **list, const char *option, const char *value)
{
	json_t *v = text_value(option, value);

	if (!v || (strcmp(option, "--action") == 0 && !known_action(value))) {
		json_decref(v);
		return false;
	}
	if (!*list)
		*list = json_array();
	return json_array_append_new(*list, v) == 0;
}

/* 0 or an exit code, when it has said why. */
static int read_options(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		const char **text = text_option(o, argv[i]);
		json_t **list = list_option(o, argv[i]);
		if (!text && !list && argv[i][0] != '-' && !o->id) {
			o->id = argv[i];
			continue;
		}
		if ((!text && !list) || i + 1 == argc)
			return usage();
		if (text && *text)
			return wrong(CTL_USAGE, "%s stands twice", argv[i]);
		if (text)
			*text = argv[i + 1];
		else if (!add_to_list(list, argv[i], argv[i + 1]))
			return CTL_USAGE;
		i++;
	}
	return o->keys ? 0 : usage();
}

static void free_options(struct options *o)
{
	json_decref(o->roles);
	json_decref(o->scopes);
	json_decref(o->models);
	json_decref(o->actions);
}

/* ---- values ---- */
static json_t *time_value(int64_t us)
{
	char text[CLOCK_RFC3339_LEN];

	clock_rfc3339((uint64_t)us, text);
	return json_stringn(text, sizeof(text));
}

/* "90d" from now, or RFC 3339. */
static bool read_time(const char *z, int64_t *us)
{
	uint64_t ns;

	if (clock_parse_rfc3339(str_of(z), us) == 0)
		return *us >= 0;
	if (!str_duration(str_of(z), &ns))
		return false;
	*us = (int64_t)(clock_real_us() + ns / NS_PER_US);
	return true;
}

static json_t *hash_value(struct str key)
{
	uint8_t sum[SHA256_LEN];
	char text[KEYSTORE_HASH];

	memcpy(text, "sha256:", 7);
	sha256(key, sum);
	hex_encode(sum, sizeof(sum), text + 7);
	return json_stringn(text, sizeof(text));
}

/* The members that the options give. 0 or an exit code, when it has said why. */
static int set_members(const struct options *o, json_t *obj)
{
	const struct {
		const char *name, *value;
	} texts[] = {{"sub", o->sub}, {"org", o->org}, {"team", o->team}, {"tier", o->tier}};
	const struct {
		const char *name;
		json_t *value;
	} lists[] = {{"roles", o->roles},
	             {"scopes", o->scopes},
	             {"models", o->models},
	             {"actions", o->actions}};
	const struct {
		const char *name, *value;
	} times[] = {{"not_before", o->not_before}, {"expires", o->expires}};
	int64_t us;

	for (size_t i = 0; i < 4; i++) {
		json_t *v = texts[i].value ? text_value(texts[i].name, texts[i].value) : NULL;
		if (texts[i].value && !v)
			return CTL_USAGE;
		if (v)
			json_object_set_new(obj, texts[i].name, v);
	}
	for (size_t i = 0; i < 4; i++) {
		if (lists[i].value)
			json_object_set(obj, lists[i].name, lists[i].value);
	}
	for (size_t i = 0; i < 2; i++) {
		if (times[i].value && !read_time(times[i].value, &us))
			return wrong(CTL_USAGE, "%s is no time: 90d, or RFC 3339", times[i].value);
		if (times[i].value)
			json_object_set_new(obj, times[i].name, time_value(us));
	}
	json_object_set_new(obj, "created", time_value((int64_t)clock_real_us()));
	return 0;
}

/* ---- answers ---- */
static json_t *without_hashes(const json_t *obj)
{
	json_t *out = json_copy((json_t *)(uintptr_t)obj);

	json_object_del(out, "hashes");
	return out;
}

/* key: to be shown, or NULL. */
static int answer(const struct options *o, const json_t *obj, const char *key, size_t n)
{
	json_t *out = without_hashes(obj);

	if (o->json && key)
		json_object_set_new(out, "key", json_stringn(key, n));
	if (o->json) {
		json_dumpf(out, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (key) {
		printf("%.*s\n", (int)n, key);
	} else {
		puts(json_string_value(json_object_get(obj, "id")));
	}
	json_decref(out);
	return fflush(stdout) == 0 ? 0 : wrong(CTL_FILE, "standard output: %s", strerror(errno));
}

/* ---- create and import ---- */
/* An id that no line has. */
static int new_id(const struct keystore *ks, char id[APIKEY_ID + 1])
{
	json_t *taken;
	struct str line;
	int r;

	do {
		r = apikey_random(id, APIKEY_ID);
		id[APIKEY_ID] = '\0';
		taken = NULL;
		if (r == 0)
			keystore_find(ks, id, &line, &taken);
		json_decref(taken);
	} while (r == 0 && taken);
	return r;
}

/* Adds a record for this key. `value` is told where `show` says so. */
static int add_key(const struct options *o, struct keystore *ks, const char *id, struct str value,
                   bool show)
{
	json_t *obj = json_pack("{s:s, s:[o]}", "id", id, "hashes", hash_value(value));
	const char *hash = json_string_value(json_array_get(json_object_get(obj, "hashes"), 0));
	int code = set_members(o, obj);

	if (code == 0 && keystore_has_hash(ks, hash))
		code = wrong(1, "this key is in %s already", o->keys);
	if (code == 0) {
		int r = keystore_write(ks, STR_NONE, obj);
		code = r ? file_wrong(o->keys, r) : answer(o, obj, show ? value.p : NULL, value.n);
	}
	json_decref(obj);
	return code;
}

static int create(const struct options *o, struct keystore *ks)
{
	char id[APIKEY_ID + 1], key[APIKEY_LEN];
	int r = new_id(ks, id);

	if (r == 0)
		r = apikey_new(id, key);
	if (r != 0)
		return wrong(CTL_FILE, "no random bytes: %s", strerror(-r));
	r = add_key(o, ks, id, (struct str){key, sizeof(key)}, true);
	mem_wipe(key, sizeof(key));
	return r;
}

/* The key on standard input, its line end left out; n 0: it is none that can be imported, which is
 * said. */
static struct str read_key(char *buf, size_t room)
{
	size_t n = fread(buf, 1, room, stdin);

	while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r'))
		n--;
	for (size_t i = 0; i < n; i++) {
		if (buf[i] <= 0x20 || buf[i] >= 0x7f)
			return wrong(0, "the key on standard input holds what is not printable"),
			       STR_NONE;
	}
	if (n < APIKEY_FOREIGN_MIN || n > APIKEY_FOREIGN_MAX)
		return wrong(0, "the key on standard input must have %d to %d characters",
		             APIKEY_FOREIGN_MIN, APIKEY_FOREIGN_MAX),
		       STR_NONE;
	if (apikey_shaped(buf, n) && !apikey_valid(buf, n))
		return wrong(0, "the key on standard input begins with mrl_ and is not whole"),
		       STR_NONE;
	return (struct str){buf, n};
}

static int import(const struct options *o, struct keystore *ks)
{
	char id[APIKEY_ID + 1] = {0}, buf[APIKEY_FOREIGN_MAX + 8];
	struct str line, key = read_key(buf, sizeof(buf));
	json_t *taken = NULL;
	int code = key.n > 0 ? 0 : 1;

	/* One of our own form is found by the id that it names. */
	if (code == 0 && apikey_shaped(key.p, key.n)) {
		memcpy(id, key.p + 4, APIKEY_ID);
		if (keystore_find(ks, id, &line, &taken))
			code = wrong(1, "there is a key %s in %s already", id, o->keys);
		json_decref(taken);
	} else if (code == 0 && new_id(ks, id) != 0) {
		code = wrong(CTL_FILE, "no random bytes");
	}
	if (code == 0)
		code = add_key(o, ks, id, key, false);
	mem_wipe(buf, sizeof(buf));
	return code;
}

/* ---- rotate and revoke ---- */
static int rotate_object(const struct options *o, json_t *obj, const char key[APIKEY_LEN])
{
	json_t *old = json_array_get(json_object_get(obj, "hashes"), 0);
	json_t *hashes = json_pack("[o]", hash_value((struct str){key, APIKEY_LEN}));
	uint64_t ns = 0;

	if (o->overlap && !str_duration(str_of(o->overlap), &ns)) {
		json_decref(hashes);
		return wrong(CTL_USAGE, "%s is no duration, as 1h is one", o->overlap);
	}
	json_object_del(obj, "overlap_until");
	if (ns > 0 && json_is_string(old)) {
		json_array_append(hashes, old);
		json_object_set_new(obj, "overlap_until",
		                    time_value((int64_t)(clock_real_us() + ns / NS_PER_US)));
	}
	json_object_set_new(obj, "hashes", hashes);
	return 0;
}

static int rotate(const struct options *o, struct keystore *ks, struct str line, json_t *obj)
{
	char key[APIKEY_LEN];
	int code, r;

	if (json_is_true(json_object_get(obj, "disabled")))
		return wrong(1, "key %s is revoked", o->id);
	r = apikey_new(o->id, key);
	if (r != 0)
		return wrong(CTL_FILE, "no random bytes: %s", strerror(-r));
	code = rotate_object(o, obj, key);
	r = code == 0 ? keystore_write(ks, line, obj) : 0;
	if (r != 0)
		code = file_wrong(o->keys, r);
	if (code == 0)
		code = answer(o, obj, key, sizeof(key));
	mem_wipe(key, sizeof(key));
	return code;
}

static int revoke(const struct options *o, struct keystore *ks, struct str line, json_t *obj)
{
	json_object_set_new(obj, "disabled", json_true());
	int r = keystore_write(ks, line, obj);
	return r ? file_wrong(o->keys, r) : answer(o, obj, NULL, 0);
}

static int change_one(const struct options *o, struct keystore *ks, bool rotating)
{
	struct str line;
	json_t *obj;
	int code;

	if (!keystore_find(ks, o->id, &line, &obj))
		return wrong(1, "there is no key %s in %s", o->id, o->keys);
	code = rotating ? rotate(o, ks, line, obj) : revoke(o, ks, line, obj);
	json_decref(obj);
	return code;
}

/* ---- list ---- */
static const char *state_of(const json_t *obj)
{
	const char *expires = json_string_value(json_object_get(obj, "expires"));
	const char *not_before = json_string_value(json_object_get(obj, "not_before"));
	int64_t now = (int64_t)clock_real_us(), us;

	if (json_is_true(json_object_get(obj, "disabled")))
		return "revoked";
	if (expires && clock_parse_rfc3339(str_of(expires), &us) == 0 && us <= now)
		return "expired";
	if (not_before && clock_parse_rfc3339(str_of(not_before), &us) == 0 && us > now)
		return "not yet";
	return "live";
}

/* A cell of the table: what could move a terminal's cursor is not shown. */
static void cell(const char *text, int width)
{
	int n = 0;

	for (; text && text[n] && n < 200; n++)
		putchar((unsigned char)text[n] < 0x20 || text[n] == 0x7f ? '?' : text[n]);
	if (n == 0)
		n = printf("-");
	printf("%*s", n < width ? width - n : 1, "");
}

static void row(const json_t *obj)
{
	static const struct {
		const char *name;
		int width;
	} columns[] = {{"id", 10}, {"sub", 24}, {"org", 16}, {"tier", 10}, {"expires", 29}};

	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		cell(json_string_value(json_object_get(obj, columns[i].name)), columns[i].width);
	puts(state_of(obj));
}

static bool blank(struct str line)
{
	while (line.n > 0 && strchr(" \t\r", line.p[line.n - 1]) && line.p[line.n - 1])
		line.n--;
	return line.n == 0;
}

/* The keys asked for, without their hashes; *code 1: there are lines that are none, which is said.
 */
static json_t *collect(const struct options *o, const struct keystore *ks, int *code)
{
	struct str rest = buf_str(&ks->text), line;
	json_t *all = json_array();
	unsigned number = 0;

	while (keystore_line(&rest, &line)) {
		json_t *obj = keystore_parse(line);
		const char *id = json_string_value(json_object_get(obj, "id"));
		number++;
		if (!obj && !blank(line))
			*code = wrong(1, "%s:%u: not a JSON object", o->keys, number);
		if (obj && (!o->id || (id && strcmp(id, o->id) == 0)))
			json_array_append_new(all, without_hashes(obj));
		json_decref(obj);
	}
	return all;
}

static int list(const struct options *o, const struct keystore *ks)
{
	int code = 0;
	json_t *all = collect(o, ks, &code);

	if (o->id && json_array_size(all) == 0)
		code = wrong(1, "there is no key %s in %s", o->id, o->keys);
	if (o->json) {
		json_dumpf(all, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		puts("ID        SUB                     ORG             TIER      "
		     "EXPIRES                      STATE");
	}
	for (size_t i = 0; !o->json && i < json_array_size(all); i++)
		row(json_array_get(all, i));
	json_decref(all);
	return fflush(stdout) == 0 ? code : CTL_FILE;
}

/* ---- the command ---- */
enum verb { CREATE, IMPORT, LIST, ROTATE, REVOKE, VERBS };

static int run(enum verb verb, const struct options *o)
{
	bool adds = verb == CREATE || verb == IMPORT;
	struct keystore ks;
	int code, r;

	if (adds ? !o->sub || o->id : verb != LIST && !o->id)
		return usage();
	if (o->id && !apikey_is_id(o->id, strlen(o->id)))
		return wrong(CTL_USAGE, "%s is no key's id", o->id);
	r = keystore_open(&ks, o->keys, verb != LIST, adds);
	if (r != 0)
		code = file_wrong(o->keys, r);
	else if (adds)
		code = verb == CREATE ? create(o, &ks) : import(o, &ks);
	else
		code = verb == LIST ? list(o, &ks) : change_one(o, &ks, verb == ROTATE);
	keystore_close(&ks);
	return code;
}

int ctl_key(int argc, char **argv, bool json)
{
	static const char *const verbs[VERBS] = {"create", "import", "list", "rotate", "revoke"};
	struct options o = {.json = json};
	int verb = 0, code;

	while (verb < VERBS && (argc < 1 || strcmp(argv[0], verbs[verb]) != 0))
		verb++;
	if (verb == VERBS)
		return usage();
	code = read_options(argc, argv, &o);
	if (code == 0)
		code = run((enum verb)verb, &o);
	free_options(&o);
	return code;
}
