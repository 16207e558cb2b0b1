/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Options against tables: each type's good and bad values, defaults, files, secrets, and the trees
 * that modules walk by themselves.
 */
#include "stack/options.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/load.h"
#include "unit.h"

/* Rows of a newer header, which is longer: the host must step by what the module says. */
struct wide {
	struct merlon_option o;
	const char *later;
};
#define ROW(...)                                                                                   \
	{                                                                                          \
		{__VA_ARGS__}, "later"                                                             \
	}
#define END ROW(NULL, 0, 0, NULL, NULL, NULL, NULL)

static const struct wide limits[] = {
    ROW("requests", MERLON_OPT_RATE, MERLON_OPT_REQUIRED, NULL, NULL, NULL, "How many."),
    ROW("tier", MERLON_OPT_STR, 0, "none", NULL, NULL, "For whom."),
    END,
};
static const struct wide filetab[] = {
    ROW("roles", MERLON_OPT_LIST, 0, NULL, NULL, &limits[0].o, "Rows."),
    ROW("name", MERLON_OPT_STR, 0, NULL, NULL, NULL, "A name."),
    END,
};
static const struct wide rows[] = {
    ROW("text", MERLON_OPT_STR, 0, "some", NULL, NULL, "A text."),
    ROW("port", MERLON_OPT_INT, 0, "80", "1..65535", NULL, "A port."),
    ROW("share", MERLON_OPT_FLOAT, 0, "0.5", "0..1", NULL, "A share."),
    ROW("on", MERLON_OPT_BOOL, 0, "true", NULL, NULL, "A switch."),
    ROW("wait", MERLON_OPT_DURATION, 0, "30s", "1s..1h", NULL, "A wait."),
    ROW("room", MERLON_OPT_SIZE, 0, NULL, "1K..", NULL, "A size."),
    ROW("rate", MERLON_OPT_RATE, 0, NULL, NULL, NULL, "A rate."),
    ROW("mode", MERLON_OPT_ENUM, 0, "batch", "batch|strict", NULL, "A mode."),
    ROW("words", MERLON_OPT_STRLIST, 0, "[ \"a\", \"b\" ]", NULL, NULL, "Words."),
    ROW("default", MERLON_OPT_GROUP, 0, NULL, NULL, &limits[0].o, "A group."),
    ROW("tiers", MERLON_OPT_LIST, 0, NULL, NULL, &limits[0].o, "A list."),
    ROW("path", MERLON_OPT_PATH, 0, NULL, NULL, NULL, "A path."),
    ROW("keys", MERLON_OPT_FILE, 0, NULL, NULL, NULL, "A file."),
    ROW("policy", MERLON_OPT_CONFFILE, 0, NULL, NULL, &filetab[0].o, "A file of this grammar."),
    ROW("secret", MERLON_OPT_SECRET, 0, NULL, NULL, NULL, "A secret."),
    ROW("tree", MERLON_OPT_ANY, 0, NULL, NULL, NULL, "Anything."),
};
static const struct merlon_module module = {
    .size = sizeof(module),
    .groups = MERLON_AUTH | MERLON_RATELIMIT,
    .option_size = sizeof(struct wide),
    .option_count = sizeof(rows) / sizeof(rows[0]),
    .name = "test_opts",
    .options = &rows[0].o,
};

/* ---- a text, checked ---- */
static struct {
	struct arena a;
	struct conf_diag d;
	char dir[64];
	char file[96];
	const merlon_cfg *cfg;
} t;

static const char *said(void)
{
	/* a NUL behind the text, for strstr() */
	if (buf_add(&t.d.text, "", 1))
		return "";
	t.d.text.n--;
	return t.d.text.p;
}

static const merlon_cfg *check_with(const struct merlon_module *m, const char *text)
{
	struct conf_node *root;

	conf_diag_init(&t.d);
	arena_init(&t.a, NULL);
	snprintf(t.dir, sizeof(t.dir), "%s", "/tmp/merlon-options-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(t.dir));
	snprintf(t.file, sizeof(t.file), "%s/merlon.conf", t.dir);
	root = conf_parse(str_of(text), t.file, false, &t.a, &t.d);
	CU_ASSERT_PTR_NOT_NULL_FATAL(root);
	t.cfg = options_check(m, root, root, &t.a, &t.d);
	return t.cfg;
}

static const merlon_cfg *check(const char *text)
{
	return check_with(&module, text);
}

static void put_file(const char *name, const char *text, mode_t mode)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", t.dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	CU_ASSERT_EQUAL(fchmod(fd, mode), 0);
	close(fd);
}

static void drop_file(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", t.dir, name);
	unlink(path);
}

static void done(void)
{
	arena_deinit(&t.a);
	conf_diag_deinit(&t.d);
	rmdir(t.dir);
}

/* The text is refused, all of the parts are said, and nothing else. */
static void refused(const char *text, unsigned errors, const char *part)
{
	if (check(text) || t.d.errors != errors || !strstr(said(), part))
		fprintf(stderr, "%s\ngave %u errors:\n%s\nnot %u with \"%s\"\n", text, t.d.errors,
		        said(), errors, part);
	CU_ASSERT_PTR_NULL(t.cfg);
	CU_ASSERT_EQUAL(t.d.errors, errors);
	CU_ASSERT_PTR_NOT_NULL(strstr(said(), part));
	done();
}

static int64_t i64(const merlon_cfg *c, const char *key)
{
	struct merlon_val v;

	CU_ASSERT_EQUAL_FATAL(host_cfg_get(c, key, &v), 0);
	CU_ASSERT_FATAL(v.type == MERLON_VAL_I64 || v.type == MERLON_VAL_BOOL);
	return v.u.i64;
}

static bool text_is(const merlon_cfg *c, const char *key, const char *want)
{
	struct merlon_val v;

	if (host_cfg_get(c, key, &v) || (v.type != MERLON_VAL_STR && v.type != MERLON_VAL_BYTES))
		return false;
	return v.u.str.len == strlen(want) && memcmp(v.u.str.ptr, want, strlen(want)) == 0;
}

/* ---- tests ---- */
static void defaults_are_read(void)
{
	const merlon_cfg *c = check("");
	struct merlon_val v;
	int64_t n, w;

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(t.d.errors + t.d.warnings, 0);
	CU_ASSERT(text_is(c, "text", "some"));
	CU_ASSERT_EQUAL(i64(c, "port"), 80);
	CU_ASSERT_EQUAL(i64(c, "on"), 1);
	CU_ASSERT_EQUAL(i64(c, "wait"), 30000000000);
	CU_ASSERT(text_is(c, "mode", "batch"));
	CU_ASSERT_EQUAL(host_cfg_get(c, "share", &v), 0);
	CU_ASSERT_EQUAL(v.type, MERLON_VAL_F64);
	CU_ASSERT_DOUBLE_EQUAL(v.u.f64, 0.5, 0);
	CU_ASSERT_EQUAL(host_cfg_get(c, "words", &v), 0);
	CU_ASSERT_EQUAL(v.count, 2);
	CU_ASSERT_EQUAL(v.u.list[1].len, 1);
	CU_ASSERT_EQUAL(v.u.list[1].ptr[0], 'b');
	CU_ASSERT_EQUAL(i64(c, "status_on_bad_credential"), 401);
	CU_ASSERT_EQUAL(host_cfg_get(c, "room", &v), MERLON_E_NOENT);
	CU_ASSERT_EQUAL(host_cfg_get(c, "zone", &v), MERLON_E_NOENT);
	CU_ASSERT_EQUAL(host_cfg_get(c, "nothing", &v), MERLON_E_NOENT);
	CU_ASSERT_EQUAL(host_cfg_rate(c, "rate", &n, &w), MERLON_E_NOENT);
	CU_ASSERT_EQUAL(host_cfg_count(c, "tiers"), 0);
	CU_ASSERT_EQUAL(host_cfg_count(c, "default"), 0);
	CU_ASSERT_PTR_NULL(host_cfg_at(c, "default", 0));
	CU_ASSERT_EQUAL(host_cfg_get(c, "default", &v), MERLON_E_NOENT);
	CU_ASSERT_PTR_NULL(host_cfg_key(c, 0).ptr);
	done();
}

static void no_group_counts_as_empty(void)
{
	struct conf_node line = {.file = "x.conf", .line = 7};

	conf_diag_init(&t.d);
	arena_init(&t.a, NULL);
	t.cfg = options_check(&module, NULL, &line, &t.a, &t.d);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t.cfg);
	CU_ASSERT_EQUAL(i64(t.cfg, "port"), 80);
	host_cfg_error(t.cfg, "port", (struct merlon_str){"is odd", 6});
	CU_ASSERT_STRING_EQUAL(said(), "x.conf:7: test_opts: port is odd\n");
	arena_deinit(&t.a);
	conf_diag_deinit(&t.d);
}

static void written_values_are_read(void)
{
	const merlon_cfg *c = check(
	    "text = \"x\"; port = 65535; share = 1; on = false; wait = \"1h\"; room = \"16M\";\n"
	    "rate = \"100/1m\"; mode = \"strict\"; words = \"one\"; path = \"a/b\"; zone = \"z\";\n"
	    "status_on_bad_credential = 403;\n"
	    "default = { requests = \"5/1s\"; };\n"
	    "tiers = ( { requests = \"1/1s\"; tier = \"gold\"; }, { requests = \"2/1s\"; } );\n");
	struct merlon_str file;
	struct merlon_val v;
	uint32_t line;
	int64_t n, w;
	char path[128];

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT(text_is(c, "text", "x"));
	CU_ASSERT_EQUAL(i64(c, "port"), 65535);
	CU_ASSERT_EQUAL(i64(c, "on"), 0);
	CU_ASSERT_EQUAL(i64(c, "wait"), 3600000000000);
	CU_ASSERT_EQUAL(i64(c, "room"), 16 << 20);
	CU_ASSERT_EQUAL(i64(c, "status_on_bad_credential"), 403);
	CU_ASSERT(text_is(c, "zone", "z"));
	CU_ASSERT_EQUAL(host_cfg_rate(c, "rate", &n, &w), 0);
	CU_ASSERT_EQUAL(n, 100);
	CU_ASSERT_EQUAL(w, 60000000000);
	CU_ASSERT_EQUAL(host_cfg_rate(c, "port", &n, &w), MERLON_E_INVAL);
	CU_ASSERT_EQUAL(host_cfg_get(c, "words", &v), 0);
	CU_ASSERT_EQUAL(v.type, MERLON_VAL_STRLIST);
	CU_ASSERT_EQUAL(v.count, 1);
	CU_ASSERT(text_is(host_cfg_at(c, "words", 0), "", "one"));
	snprintf(path, sizeof(path), "%s/a/b", t.dir);
	CU_ASSERT(text_is(c, "path", path));
	CU_ASSERT_EQUAL(host_cfg_count(c, "default"), 1);
	CU_ASSERT(text_is(host_cfg_at(c, "default", 0), "tier", "none"));
	CU_ASSERT_EQUAL(host_cfg_get(c, "default", &v), MERLON_E_INVAL);
	CU_ASSERT_EQUAL(host_cfg_count(c, "tiers"), 2);
	CU_ASSERT(text_is(host_cfg_at(c, "tiers", 0), "tier", "gold"));
	CU_ASSERT_EQUAL(host_cfg_rate(host_cfg_at(c, "tiers", 1), "requests", &n, &w), 0);
	CU_ASSERT_EQUAL(n, 2);
	CU_ASSERT_PTR_NULL(host_cfg_at(c, "tiers", 2));
	CU_ASSERT_EQUAL(host_cfg_where(c, "rate", &file, &line), 0);
	CU_ASSERT_EQUAL(line, 2);
	CU_ASSERT_EQUAL(file.len, strlen(t.file));
	CU_ASSERT_EQUAL(host_cfg_where(c, "secret", &file, &line), MERLON_E_NOENT);
	host_cfg_error(host_cfg_at(c, "tiers", 1), "tier", (struct merlon_str){"is missed", 9});
	CU_ASSERT_PTR_NOT_NULL(strstr(said(), "merlon.conf:5: test_opts: tiers.tier is missed\n"));
	done();
}

static void wrong_values_are_refused(void)
{
	refused("text = 1;", 1, "merlon.conf:1: test_opts: text must be a string");
	refused("\nport = \"80\";", 1, "merlon.conf:2: test_opts: port must be an integer");
	refused("port = 0;", 1, "port is not in 1..65535");
	refused("port = 65536;", 1, "port is not in 1..65535");
	refused("share = 1.01;", 1, "share is not in 0..1");
	refused("share = true;", 1, "share must be a number");
	refused("on = 1;", 1, "on must be true or false");
	refused("wait = 30;", 1, "wait must be a duration such as \"30s\"");
	refused("wait = \"30\";", 1, "wait must be a duration such as \"30s\", not \"30\"");
	refused("wait = \"61m\";", 1, "wait is not in 1s..1h");
	refused("room = \"1000\";", 1, "room is not in 1K..");
	refused("rate = \"x/1m\";", 1, "rate must be a rate such as \"100/1m\"");
	refused("mode = \"strikt\";", 1,
	        "mode must be one of batch|strict, not \"strikt\"; did you mean \"strict\"?");
	refused("words = ( \"a\", 1 );", 1, "words must be a list of strings");
	refused("words = { };", 1, "words must be a list of strings");
	refused("default = 1;", 1, "default must be a group");
	refused("default = { };", 1, "test_opts: default.requests is missing");
	refused("tiers = { };", 1, "tiers must be a list");
	refused("tiers = ( 1 );", 1, "tiers must hold groups");
	refused("tiers = (\n{ requests = \"1/1s\"; },\n{ } );", 1,
	        "merlon.conf:3: test_opts: tiers.requests is missing");
	refused("path = \"\";", 1, "path must not be empty");
	refused("status_on_bad_credential = 402;", 1,
	        "status_on_bad_credential must be 401 or 403");
	refused("status_on_bad_credential = 404;", 1,
	        "status_on_bad_credential is not in 401..403");
}

static void unknown_keys_are_refused(void)
{
	refused("prot = 80;", 1,
	        "merlon.conf:1: test_opts: unknown key \"prot\", did you mean \"port\"?");
	refused("sone = \"x\";", 1, "unknown key \"sone\", did you mean \"zone\"?");
	refused("default = { requests = \"1/1s\"; teir = \"x\"; };", 1,
	        "unknown key \"default.teir\", did you mean \"tier\"?");
	refused("qwertyuiop = 1;", 1, "unknown key \"qwertyuiop\"\n");
	refused("port = 0; prot = 1; on = 3; tiers = ( { }, { } );", 5,
	        "tiers.requests is missing");
}

static void generic_keys_need_their_group(void)
{
	struct merlon_module m = module;

	m.groups = MERLON_AUDIT;
	CU_ASSERT_PTR_NULL(check_with(&m, "zone = \"x\"; status_on_bad_credential = 403;"));
	CU_ASSERT_EQUAL(t.d.errors, 2);
	done();
	m.groups = MERLON_AUTHZ;
	CU_ASSERT_PTR_NULL(check_with(&m, "zone = \"x\"; status_on_bad_credential = 403;"));
	CU_ASSERT_EQUAL(t.d.errors, 1);
	done();
}

static void recheck(const char *text)
{
	struct conf_node *root = conf_parse(str_of(text), t.file, false, &t.a, &t.d);

	CU_ASSERT_PTR_NOT_NULL_FATAL(root);
	t.d.errors = t.d.warnings = 0;
	buf_reset(&t.d.text);
	t.cfg = options_check(&module, root, root, &t.a, &t.d);
}

static void digest_now(uint8_t sum[SHA256_LEN])
{
	struct digest *dg = digest_new(STR_NONE);

	options_digest(t.cfg, dg);
	digest_get(dg, sum);
	digest_free(dg);
}

static void files_are_read(void)
{
	uint8_t one[SHA256_LEN], two[SHA256_LEN];

	check("");
	put_file("keys.jsonl", "{}\n", 0600);
	recheck("keys = \"keys.jsonl\";");
	CU_ASSERT_PTR_NOT_NULL_FATAL(t.cfg);
	CU_ASSERT(text_is(t.cfg, "keys", "{}\n"));
	digest_now(one);
	host_cfg_file_error(t.cfg, "keys", 4, (struct merlon_str){"no id", 5});
	CU_ASSERT_PTR_NOT_NULL(strstr(said(), "/keys.jsonl:4: test_opts: no id\n"));
	put_file("keys.jsonl", "{1}\n", 0600);
	recheck("keys = \"keys.jsonl\";");
	digest_now(two);
	CU_ASSERT(memcmp(one, two, sizeof(one)) != 0);
	put_file("keys.jsonl", "", 0600);
	recheck("keys = \"keys.jsonl\";");
	CU_ASSERT_PTR_NOT_NULL_FATAL(t.cfg);
	CU_ASSERT(text_is(t.cfg, "keys", ""));
	put_file("keys.jsonl", "{}\n", 0666);
	recheck("keys = \"keys.jsonl\";");
	CU_ASSERT_PTR_NULL(t.cfg);
	CU_ASSERT_PTR_NOT_NULL(strstr(said(), "/keys.jsonl is writable by others"));
	drop_file("keys.jsonl");
	recheck("keys = \"keys.jsonl\";");
	CU_ASSERT_PTR_NULL(t.cfg);
	CU_ASSERT_PTR_NOT_NULL(strstr(said(), "/keys.jsonl: No such file or directory"));
	done();
}

static void conffiles_are_checked(void)
{
	const merlon_cfg *p;
	uint8_t one[SHA256_LEN], two[SHA256_LEN];

	check("");
	put_file("p.conf", "name = \"n\";\nroles = ( { requests = \"1/1s\"; } );\n", 0600);
	recheck("policy = \"p.conf\";");
	CU_ASSERT_PTR_NOT_NULL_FATAL(t.cfg);
	CU_ASSERT_EQUAL(host_cfg_count(t.cfg, "policy"), 1);
	p = host_cfg_at(t.cfg, "policy", 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT(text_is(p, "name", "n"));
	CU_ASSERT_EQUAL(host_cfg_count(p, "roles"), 1);
	digest_now(one);
	host_cfg_error(p, "roles", (struct merlon_str){"are few", 7});
	CU_ASSERT_PTR_NOT_NULL(strstr(said(), "/p.conf:2: test_opts: roles are few"));
	put_file("p.conf", "name = \"m\";\n", 0600);
	recheck("policy = \"p.conf\";");
	digest_now(two);
	CU_ASSERT(memcmp(one, two, sizeof(one)) != 0);
	put_file("p.conf", "\nnmae = \"n\";\n", 0600);
	recheck("policy = \"p.conf\";");
	CU_ASSERT_PTR_NULL(t.cfg);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(said(), "/p.conf:2: test_opts: unknown key \"nmae\", did you mean \"name\"?"));
	put_file("p.conf", "name = ;\n", 0600);
	recheck("policy = \"p.conf\";");
	CU_ASSERT_PTR_NULL(t.cfg);
	CU_ASSERT(t.d.errors > 0);
	drop_file("p.conf");
	recheck("\npolicy = \"p.conf\";");
	CU_ASSERT_PTR_NULL(t.cfg);
	CU_ASSERT_PTR_NOT_NULL(strstr(said(), "merlon.conf:2: test_opts: policy file "));
	CU_ASSERT_PTR_NOT_NULL(strstr(said(), "/p.conf: No such file or directory"));
	put_file("p.conf", "name = \"n\";\n", 0666);
	recheck("policy = \"p.conf\";");
	CU_ASSERT_PTR_NULL(t.cfg);
	CU_ASSERT_PTR_NOT_NULL(strstr(said(), "/p.conf is writable by others"));
	done();
}

static void secrets_are_resolved(void)
{
	check("");
	put_file("s", "hush\n", 0600);
	recheck("secret = \"file:s\";");
	CU_ASSERT_PTR_NOT_NULL_FATAL(t.cfg);
	CU_ASSERT(text_is(t.cfg, "secret", "hush"));
	CU_ASSERT_EQUAL(t.d.warnings, 0);
	put_file("s", "", 0600);
	recheck("secret = \"file:s\";");
	CU_ASSERT_PTR_NULL(t.cfg);
	setenv("MERLON_TEST_SECRET", "quiet", 1);
	recheck("secret = \"env:MERLON_TEST_SECRET\";");
	CU_ASSERT_PTR_NOT_NULL_FATAL(t.cfg);
	CU_ASSERT(text_is(t.cfg, "secret", "quiet"));
	recheck("secret = \"clear-as-day\";");
	CU_ASSERT_PTR_NOT_NULL_FATAL(t.cfg);
	CU_ASSERT_EQUAL(t.d.warnings, 1);
	CU_ASSERT_PTR_NULL(strstr(said(), "clear-as-day"));
	CU_ASSERT(options_is_secret(&module, STR("secret")));
	CU_ASSERT(!options_is_secret(&module, STR("text")));
	CU_ASSERT(!options_is_secret(&module, STR("default.tier")));
	drop_file("s");
	done();
}

static void secrets_are_known_by_name_anywhere(void)
{
	static const struct merlon_option inner[] = {
	    {"password", MERLON_OPT_SECRET, 0, NULL, NULL, NULL, "x"},
	    {"user", MERLON_OPT_STR, 0, NULL, NULL, NULL, "x"},
	    {NULL, 0, 0, NULL, NULL, NULL, NULL}};
	static const struct merlon_option outer[] = {
	    {"redis", MERLON_OPT_GROUP, 0, NULL, NULL, inner, "x"},
	    {"tree", MERLON_OPT_ANY, 0, NULL, NULL, NULL, "x"}};
	struct merlon_module m = {.option_size = sizeof(struct merlon_option),
	                          .option_count = 1,
	                          .options = outer,
	                          .groups = MERLON_AUTH};

	CU_ASSERT(options_is_secret(&m, STR("redis.password")));
	CU_ASSERT(options_is_secret(&m, STR("password")));
	CU_ASSERT(!options_is_secret(&m, STR("user")));
	CU_ASSERT(!options_is_secret(&m, STR("zone")));
	CU_ASSERT(options_is_secret(&m, STR("pasword"))); /* misspelt */
	m.option_count = 2;
	CU_ASSERT(!options_is_secret(&m, STR("anything")));
	CU_ASSERT(options_is_secret(&m, STR("password")));
}

static void trees_are_walked(void)
{
	const merlon_cfg *c = check("tree = { a = 1; b = [ \"x\", \"y\" ]; c = ( { d = true; }, "
	                            "2.5 ); e = \"one\"; f = { }; };");
	const merlon_cfg *tree, *list;
	struct merlon_val v;
	int64_t n, w;

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(host_cfg_count(c, "tree"), 1);
	CU_ASSERT_EQUAL(host_cfg_get(c, "tree", &v), MERLON_E_INVAL);
	tree = host_cfg_at(c, "tree", 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(tree);
	CU_ASSERT_EQUAL(host_cfg_key(tree, 1).ptr[0], 'b');
	CU_ASSERT_PTR_NULL(host_cfg_key(tree, 5).ptr);
	CU_ASSERT_EQUAL(i64(tree, "a"), 1);
	CU_ASSERT_EQUAL(host_cfg_get(tree, "b", &v), 0);
	CU_ASSERT_EQUAL(v.type, MERLON_VAL_STRLIST);
	CU_ASSERT_EQUAL(v.count, 2);
	CU_ASSERT_EQUAL(host_cfg_get(tree, "c", &v), MERLON_E_INVAL);
	CU_ASSERT_EQUAL(host_cfg_count(tree, "c"), 2);
	list = host_cfg_at(tree, "c", 0);
	CU_ASSERT_EQUAL(i64(list, "d"), 1);
	CU_ASSERT_EQUAL(host_cfg_get(host_cfg_at(tree, "c", 1), "", &v), 0);
	CU_ASSERT_EQUAL(v.type, MERLON_VAL_F64);
	CU_ASSERT_EQUAL(host_cfg_count(tree, "e"), 1);
	CU_ASSERT(text_is(host_cfg_at(tree, "e", 0), "", "one"));
	CU_ASSERT_EQUAL(host_cfg_get(tree, "z", &v), MERLON_E_NOENT);
	CU_ASSERT_EQUAL(host_cfg_count(tree, "z"), 0);
	CU_ASSERT_PTR_NULL(host_cfg_at(tree, "z", 0));
	CU_ASSERT_EQUAL(host_cfg_rate(tree, "e", &n, &w), MERLON_E_INVAL);
	host_cfg_warn(tree, "a", (struct merlon_str){"is one", 6});
	CU_ASSERT_PTR_NOT_NULL(strstr(said(), "merlon.conf:1: warning: test_opts: a is one\n"));
	done();
}

static void bad_tables_are_refused(void)
{
	static const struct merlon_option loop[] = {
	    {"loop", MERLON_OPT_GROUP, 0, NULL, NULL, loop, "Itself."},
	    {NULL, 0, 0, NULL, NULL, NULL, NULL},
	};
	static const struct merlon_option type[] = {{"x", 99, 0, NULL, NULL, NULL, "X."}};
	static const struct merlon_option nosub[] = {
	    {"x", MERLON_OPT_LIST, 0, NULL, NULL, NULL, "X."}};
	struct merlon_module m = module;

	CU_ASSERT_PTR_NULL(options_table_check(&module));
	m.option_size = sizeof(struct merlon_option);
	m.option_count = 1;
	m.options = loop;
	CU_ASSERT_PTR_NOT_NULL(options_table_check(&m));
	m.options = type;
	CU_ASSERT_PTR_NOT_NULL(options_table_check(&m));
	m.options = nosub;
	CU_ASSERT_PTR_NOT_NULL(options_table_check(&m));
	m.options = NULL;
	CU_ASSERT_PTR_NOT_NULL(options_table_check(&m));
	m.option_count = 0;
	CU_ASSERT_PTR_NULL(options_table_check(&m));
}

static void the_manual_names_every_key(void)
{
	struct buf out;

	buf_init(&out, 65536);
	CU_ASSERT_EQUAL(options_mdoc(&module, &out), 0);
	CU_ASSERT_EQUAL_FATAL(buf_add(&out, "", 1), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char want[64];

		snprintf(want, sizeof(want), ".It Ic \"%s\" No = ", rows[i].o.key);
		CU_ASSERT_PTR_NOT_NULL(strstr(out.p, want));
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(out.p, "Default: 30s.\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out.p, "One of batch|strict.\n"));
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(out.p, ".It Ic \"requests\" No = Ar \"rate\"\nHow many.\nRequired.\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out.p, "status_on_bad_credential"));
	buf_deinit(&out);
	buf_init(&out, 100);
	CU_ASSERT_NOT_EQUAL(options_mdoc(&module, &out), 0);
	buf_deinit(&out);
}

int main(void)
{
	static const struct unit_test tests[] = {
	    UNIT(defaults_are_read),
	    UNIT(no_group_counts_as_empty),
	    UNIT(written_values_are_read),
	    UNIT(wrong_values_are_refused),
	    UNIT(unknown_keys_are_refused),
	    UNIT(generic_keys_need_their_group),
	    UNIT(files_are_read),
	    UNIT(conffiles_are_checked),
	    UNIT(secrets_are_resolved),
	    UNIT(secrets_are_known_by_name_anywhere),
	    UNIT(trees_are_walked),
	    UNIT(bad_tables_are_refused),
	    UNIT(the_manual_names_every_key),
	};

	hash_init();
	return unit_run("options", tests, sizeof(tests) / sizeof(tests[0]));
}
