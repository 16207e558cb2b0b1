/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What needs real files: includes, owners and modes, secrets, the shipped samples, and that what is
 * printed is read again as the same. Each test makes a folder of its own in the folder for
 * temporary files and takes it away again.
 */
#define _GNU_SOURCE /* memmem() */
#include "conf/load.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/secret.h"
#include "conf/settings.h"
#include "unit.h"

#define GOOD                                                                                       \
	"listeners = ( { address = \"127.0.0.1:8080\"; } );\n"                                     \
	"upstreams = ( { name = \"llm\"; servers = ( \"127.0.0.1:8000\" ); } );\n"                 \
	"stacks = ( { name = \"default\"; auth = \"none\"; authz = \"none\"; } );\n"               \
	"routes = ( { path = \"/v1/\"; api = \"openai\"; stack = \"default\"; upstream = "         \
	"\"llm\"; } );\n"

struct folder {
	char path[64];
	struct arena arena;
	struct conf_diag diag;
};

static void folder_init(struct folder *f)
{
	*f = (struct folder){.path = P_tmpdir "/merlon-conf-XXXXXX"};
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(f->path));
	arena_init(&f->arena, NULL);
	conf_diag_init(&f->diag);
}

static const char *in(struct folder *f, const char *name)
{
	return arena_printf(&f->arena, "%s/%s", f->path, name).p;
}

static const char *put(struct folder *f, const char *name, const char *text, mode_t mode)
{
	const char *path = in(f, name);
	FILE *file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fputs(text, file);
	fclose(file);
	CU_ASSERT_EQUAL_FATAL(chmod(path, mode), 0);
	return path;
}

static void folder_deinit(struct folder *f)
{
	DIR *dir = opendir(f->path);
	struct dirent *e;
	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] != '.')
			unlink(in(f, e->d_name));
	}
	if (dir)
		closedir(dir);
	rmdir(f->path);
	arena_deinit(&f->arena);
	conf_diag_deinit(&f->diag);
}

/* The findings with the folder's name taken out, against `want`. */
static void says(struct folder *f, const char *want)
{
	char got[4096];
	size_t n = 0;
	size_t len = strlen(f->path);
	struct str text = buf_str(&f->diag.text);
	for (size_t i = 0; i < text.n && n + 1 < sizeof(got); i++) {
		if (text.n - i > len && memcmp(text.p + i, f->path, len) == 0)
			i += len;
		else
			got[n++] = text.p[i];
	}
	got[n] = '\0';
	if (strcmp(got, want) != 0) {
		CU_FAIL("another message");
		printf("\n--- wanted ---\n%s--- got ---\n%s", want, got);
	}
	buf_reset(&f->diag.text);
	f->diag.errors = 0;
}

static void includes_are_relative_to_the_file_that_names_them(void)
{
	struct folder f;
	folder_init(&f);
	CU_ASSERT_EQUAL(mkdir(in(&f, "sub"), 0700), 0);
	put(&f, "sub/b.conf", "b = 2;\n@include \"c.conf\"\nd = 4;", 0600);
	put(&f, "sub/c.conf", "\nc = 3;\n", 0600);
	const char *main =
	    put(&f, "a.conf", "a = 1;\n  @include \"sub/b.conf\" e = 5;\nf = 6;\n", 0600);
	struct conf_node *root = conf_read(main, &f.arena, &f.diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(root);
	static const struct {
		const char *key;
		const char *file;
		unsigned line;
	} want[] = {{"a", "/a.conf", 1},     {"b", "/sub/b.conf", 1}, {"c", "/sub/c.conf", 2},
	            {"d", "/sub/b.conf", 3}, {"e", "/a.conf", 2},     {"f", "/a.conf", 3}};
	CU_ASSERT_EQUAL(root->nchildren, 6);
	for (unsigned i = 0; i < 6; i++) {
		const struct conf_node *n = conf_at(root, i);
		CU_ASSERT(str_eq(n->key, str_of(want[i].key)));
		CU_ASSERT(str_ends(str_of(n->file), str_of(want[i].file)));
		CU_ASSERT_EQUAL(n->line, want[i].line);
		CU_ASSERT_EQUAL(n->u.i, i + 1);
	}
	struct str path = conf_path(conf_at(root, 2), STR("./keys.jsonl"), &f.arena);
	CU_ASSERT(str_ends(path, STR("/sub/keys.jsonl")) && str_starts(path, str_of(f.path)));
	CU_ASSERT(str_eq(conf_path(root, STR("/abs"), &f.arena), STR("/abs")));
	unlink(in(&f, "sub/b.conf"));
	unlink(in(&f, "sub/c.conf"));
	rmdir(in(&f, "sub"));
	folder_deinit(&f);
}

static void bad_includes_name_the_line_that_asks(void)
{
	struct folder f;
	folder_init(&f);
	CU_ASSERT_PTR_NULL(
	    conf_read(put(&f, "a", "a = 1;\n@include \"no\"\n", 0600), &f.arena, &f.diag));
	says(&f, "a:2: @include \"no\": No such file or directory\n");
	put(&f, "b", "\n\n@include \"c\"\n", 0600);
	CU_ASSERT_PTR_NULL(conf_read(put(&f, "c", "\n@include \"b\"\n", 0600), &f.arena, &f.diag));
	says(&f, "b:3: @include \"c\" goes in a circle\n");
	put(&f, "d", "x = 1;\ny = ;\n", 0600);
	CU_ASSERT_PTR_NULL(conf_read(put(&f, "e", "\n@include \"d\"\n", 0600), &f.arena, &f.diag));
	says(&f, "d:2: syntax error\n");
	put(&f, "d", "x = 1;\nx = 2;\n", 0600);
	CU_ASSERT_PTR_NULL(conf_read(in(&f, "e"), &f.arena, &f.diag));
	says(&f, "d:2: duplicate setting name\n");
	put(&f, "d", "/* no end\n", 0600);
	CU_ASSERT_PTR_NULL(conf_read(in(&f, "e"), &f.arena, &f.diag));
	says(&f, "d:1: comment is not closed\n");
	folder_deinit(&f);
}

static void includes_end_at_four(void)
{
	struct folder f;
	folder_init(&f);
	put(&f, "5", "@include \"4\"\n", 0600);
	put(&f, "4", "@include \"3\"\n", 0600);
	put(&f, "3", "@include \"2\"\n", 0600);
	put(&f, "2", "@include \"1\"\n", 0600);
	put(&f, "1", "@include \"0\"\n", 0600);
	put(&f, "0", "a = 1;\n", 0600);
	CU_ASSERT_PTR_NOT_NULL(conf_read(in(&f, "4"), &f.arena, &f.diag));
	says(&f, "");
	CU_ASSERT_PTR_NULL(conf_read(in(&f, "5"), &f.arena, &f.diag));
	says(&f, "1:1: @include goes deeper than 4 files, or there are more than 256\n");
	folder_deinit(&f);
}

static void files_that_others_may_write_are_refused(void)
{
	struct folder f;
	folder_init(&f);
	CU_ASSERT_PTR_NULL(conf_load(put(&f, "a", GOOD, 0666), NULL, &f.diag));
	CU_ASSERT(f.diag.errors == 1 && str_starts(buf_str(&f.diag.text), str_of(in(&f, "a: "))));
	buf_reset(&f.diag.text);
	put(&f, "b", "x = 1;", 0602);
	CU_ASSERT_PTR_NULL(conf_read(put(&f, "c", "@include \"b\"\n", 0600), &f.arena, &f.diag));
	CU_ASSERT(str_starts(buf_str(&f.diag.text), str_of(in(&f, "c:1: @include \""))));
	buf_reset(&f.diag.text);
	f.diag.errors = 0;
	put(&f, "a", GOOD, 0600);
	CU_ASSERT_EQUAL(chmod(f.path, 0777), 0);
	CU_ASSERT_PTR_NULL(conf_load(in(&f, "a"), NULL, &f.diag));
	CU_ASSERT_EQUAL(f.diag.errors, 1);
	CU_ASSERT_EQUAL(chmod(f.path, 0700), 0);
	struct conf *c = conf_load(in(&f, "a"), "/other", &f.diag);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT(str_eq(c->module_dir, STR("/other")));
	conf_free(c);
	folder_deinit(&f);
}

static void secrets_are_read_and_never_told(void)
{
	struct folder f;
	struct str out;
	struct str why;
	bool had;
	folder_init(&f);
	struct conf_node at = {.file = in(&f, "main.conf"), .line = 1};
	put(&f, "lf", "s3cret\n", 0600);
	put(&f, "crlf", "s3cret\r\n", 0600);
	put(&f, "two", "s3cret\n\n", 0600);
	put(&f, "empty", "\n", 0600);
	put(&f, "open", "s3cret", 0604);
	setenv("MERLON_TEST_SECRET", "fromenv", 1);
	setenv("CREDENTIALS_DIRECTORY", f.path, 1);
	static const struct {
		const char *ref;
		const char *value; /* NULL: refused */
		const char *why;   /* its end */
	} table[] = {
	    {"file:lf", "s3cret", NULL},
	    {"file:crlf", "s3cret", NULL},
	    {"file:two", "s3cret\n", NULL},
	    {"file:empty", NULL, "/empty: is empty"},
	    {"file:open", NULL, "/open: is readable by others"},
	    {"file:none", NULL, "/none: No such file or directory"},
	    {"file:", NULL, "file: needs a name behind it"},
	    {"env:MERLON_TEST_SECRET", "fromenv", NULL},
	    {"env:MERLON_TEST_NONE", NULL, "environment variable MERLON_TEST_NONE is not set"},
	    {"cred:lf", "s3cret", NULL},
	    {"cred:../lf", NULL, "cred:../lf is not the name of a credential"},
	    {"vault:a/b#c", NULL, "vault: references are not supported by this version"},
	    {"s3cret", NULL, "is not a reference (file:, env: or cred:)"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		int r = secret_resolve(str_of(table[i].ref), &at, &f.arena, &out, &why);
		CU_ASSERT_EQUAL(r, table[i].value ? 0 : -1);
		if (r == 0)
			CU_ASSERT(str_eq(out, str_of(table[i].value)));
		if (r != 0 && !str_ends(why, str_of(table[i].why ? table[i].why : ""))) {
			CU_FAIL("another reason");
			printf("\n%s: %.*s", table[i].ref, STR_FMT(why));
		}
	}
	CU_ASSERT_EQUAL(secret_expand(STR("Bearer ${file:lf}, $x ${env:MERLON_TEST_SECRET}"), &at,
	                              &f.arena, &out, &had, &why),
	                0);
	CU_ASSERT(had && str_eq(out, STR("Bearer s3cret, $x fromenv")));
	CU_ASSERT_EQUAL(secret_expand(STR("plain"), &at, &f.arena, &out, &had, &why), 0);
	CU_ASSERT(!had && str_eq(out, STR("plain")));
	CU_ASSERT_EQUAL(secret_expand(STR("${file:lf"), &at, &f.arena, &out, &had, &why), -1);
	unsetenv("CREDENTIALS_DIRECTORY");
	CU_ASSERT_EQUAL(secret_resolve(STR("cred:lf"), &at, &f.arena, &out, &why), -1);
	folder_deinit(&f);
}

static bool secret_keys(void *arg, struct str module, struct str key)
{
	return arg && str_eq(module, STR("auth_x")) && str_eq(key, STR("digest_key"));
}

static bool has(const struct buf *b, const char *z)
{
	return memmem(b->p, b->n, z, strlen(z)) != NULL;
}

static void print_again(struct folder *f, const char *text, struct buf *out)
{
	struct conf *c = conf_load_text(str_of(text), in(f, "main.conf"), NULL, &f->diag);
	if (!c)
		printf("\n%.*s", STR_FMT(buf_str(&f->diag.text)));
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	int yes = 1;
	CU_ASSERT_EQUAL(conf_print(c, secret_keys, &yes, out), 0);
	CU_ASSERT_EQUAL(buf_add(out, "", 1), 0);
	conf_free(c);
}

static void what_is_printed_reads_as_the_same(void)
{
	struct folder f;
	struct buf one;
	struct buf two;
	folder_init(&f);
	buf_init(&one, 1 << 20);
	buf_init(&two, 1 << 20);
	setenv("MERLON_TEST_SECRET", "s3cret1", 1);
	print_again(
	    &f,
	    "workers = 2; fallback_stack = \"b\"; trusted_proxies = [ \"10.0.0.0/8\" ];\n"
	    "admin = { http = \"[::1]:9180\"; };\n"
	    "limits = { body = \"1000\"; header_timeout = \"1500ms\"; };\n"
	    "listeners = ( { address = \"unix:a.sock\"; }, { address = \"*:80\"; } );\n"
	    "upstreams = ( { name = \"u\"; servers = ( \"h:1\", \"[::1]:2\" );\n"
	    "  health = { path = \"/health\"; };\n"
	    "  identity_headers = ( { name = \"X-User\"; value = \"id.sub\"; },\n"
	    "    { name = \"X-A-B\"; value = \"x.auth_x.a-b_c\"; } );\n"
	    "  headers = ( { name = \"X-A\"; value = \"q\\\"\\\\b\"; }, { name = \"X-Key\"; value "
	    "= \"s3cret2\"; },\n"
	    "    { name = \"Z\"; value = \"Bearer ${env:MERLON_TEST_SECRET}\"; } ); } );\n"
	    "models = ( { id = \"m\"; attributes = { org = \"o\"; level = 3000000000L; };\n"
	    "  upstream = \"u\"; price = { input = 1e-7; output = 1000000000; }; } );\n"
	    "stacks = ( { name = \"b\"; authz = \"none\"; auth = (\n"
	    "  { module = \"auth_x\"; control = \"required\"; options = { a = 1; b = -2.5; c = [ "
	    "true ];\n"
	    "    d = ( ); e = ( { digest_key = \"s3cret3\"; }, \"x\\ty\\u\" ); digest_key = [ "
	    "\"s3cret4\" ];\n"
	    "    g = \"file:/run/s3cret5\"; }; } ); } );\n"
	    "routes = ( { host = \"a\"; path = \"/v1/\"; api = \"openai\"; stack = \"b\"; upstream "
	    "= \"u\"; },\n"
	    "  { host = \"b\"; path = \"/v1/\"; api = \"openai\"; allow_unknown = \"read\"; stack "
	    "= \"b\"; upstream = \"u\"; "
	    "},\n"
	    "  { path = \"/p\"; api = \"rest\"; stack = \"b\"; upstream = \"u\"; rules = (\n"
	    "    { path = \"/p\"; action = \"read\"; model = \"header:X-M\"; },\n"
	    "    { path = \"/q\"; action = \"read\"; model = \"path:3\"; } ); } );\n",
	    &one);
	print_again(&f, one.p, &two);
	CU_ASSERT_STRING_EQUAL(one.p, two.p);
	CU_ASSERT_FALSE(has(&one, "s3cret"));
	CU_ASSERT(has(&one, "header_timeout = \"1500ms\"") && has(&one, "body = \"1000\""));
	CU_ASSERT(has(&one, "model = \"header:X-M\"") && has(&one, "model = \"path:3\""));
	CU_ASSERT(has(&one, "level = 3000000000L") && has(&one, "b = -2.5"));
	buf_deinit(&one);
	buf_deinit(&two);
	folder_deinit(&f);
}

static void samples_load(void)
{
	static const char *const names[] = {
	    "merlon.conf",          "examples/llama.cpp.conf", "examples/vllm.conf",
	    "examples/ollama.conf", "examples/sklearn.conf",   "merlon/examples/small/merlon.conf",
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct conf_diag d;
		char path[4096];
		char text[65536];
		snprintf(path, sizeof(path), "%s/etc/%s", SRCDIR, names[i]);
		FILE *file = fopen(path, "r");
		CU_ASSERT_PTR_NOT_NULL_FATAL(file);
		size_t n = fread(text, 1, sizeof(text), file);
		fclose(file);
		conf_diag_init(&d);
		/* By text: a checkout may lie in a folder that no configuration should lie in. */
		struct conf *c = conf_load_text((struct str){text, n}, path, NULL, &d);
		CU_ASSERT_PTR_NOT_NULL(c);
		CU_ASSERT_EQUAL(d.errors + d.warnings, 0);
		if (d.text.n > 0)
			printf("\n%.*s", STR_FMT(buf_str(&d.text)));
		conf_free(c);
		conf_diag_deinit(&d);
	}
}

/* Every key stands in merlon.conf, if only in a comment, and the printed defaults are the table's.
 */
static void the_shipped_file_names_every_key(void)
{
	char path[4096];
	char text[65536];
	char word[64];
	snprintf(path, sizeof(path), "%s/etc/merlon.conf", SRCDIR);
	FILE *file = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	for (const struct conf_table *t = conf_tables; t->where; t++) {
		for (const struct conf_key *k = t->keys; k->name; k++) {
			bool number = k->kind == KIND_INT || k->kind == KIND_BOOL;
			bool told = k->def && k->kind != KIND_PATH;
			const char *quote = told && !number ? "\"" : "";
			snprintf(word, sizeof(word), "%s = %s%s%s", k->name, quote,
			         told ? k->def : "", quote);
			if (k->kind != KIND_LATER && !strstr(text, word)) {
				CU_FAIL("a key is missing or has another default");
				printf("\n%s: %s", t->where, word);
			}
		}
	}
}

UNIT_MAIN("conf_files", UNIT(includes_are_relative_to_the_file_that_names_them),
          UNIT(bad_includes_name_the_line_that_asks), UNIT(includes_end_at_four),
          UNIT(files_that_others_may_write_are_refused), UNIT(secrets_are_read_and_never_told),
          UNIT(what_is_printed_reads_as_the_same), UNIT(samples_load),
          UNIT(the_shipped_file_names_every_key))
