/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Loading builds and making instances of them: the golden module of 1.0 and one of today's header
 * do their work, and copies of the latter with a byte changed here or there are refused with a
 * reason. Every copy lies in a private folder of the test.
 */
#include "stack/module.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/perm.h"
#include "conf/load.h"
#include "stack/instance.h"
#include "unit.h"

static char dir[64];
static struct conf_diag d;
static const struct conf_node at = {.file = "merlon.conf", .line = 12};

static void log_nothing(merlon_ctx *ctx, merlon_tx *tx, int32_t level, struct merlon_str text)
{
	(void)ctx;
	(void)tx;
	(void)level;
	(void)text;
}

static const struct merlon_host host = {
    .size = sizeof(host),
    .major = MERLON_ABI_MAJOR,
    .minor = MERLON_ABI_MINOR,
    .log = log_nothing,
    .now = host_now,
    .ctx_info = host_ctx_info,
    .probing = host_probing,
    .cfg_get = host_cfg_get,
    .cfg_rate = host_cfg_rate,
    .cfg_count = host_cfg_count,
    .cfg_at = host_cfg_at,
    .cfg_key = host_cfg_key,
    .cfg_where = host_cfg_where,
    .cfg_error = host_cfg_error,
    .cfg_file_error = host_cfg_file_error,
    .cfg_warn = host_cfg_warn,
    .metric_define = host_metric_define,
    .metric_add = host_metric_add,
    .tx_alloc = host_tx_alloc,
    .tx_slot = host_tx_slot,
    .tx_worker = host_tx_worker,
    .attr_get = host_attr_get,
    .attr_set = host_attr_set,
    .attr_each = host_attr_each,
};

/* ---- files ---- */
static void path_of(const char *name, char out[160])
{
	snprintf(out, 160, "%s/%s.so", dir, name);
}

static void put(const char *name, const void *p, size_t n)
{
	char path[160], temp[180];
	int fd;

	path_of(name, path);
	snprintf(temp, sizeof(temp), "%s.new", path);
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(write(fd, p, n), (ssize_t)n);
	close(fd);
	CU_ASSERT_EQUAL_FATAL(rename(temp, path), 0);
}

static void drop(const char *name)
{
	char path[160];

	path_of(name, path);
	unlink(path);
}

static struct buf read_from(const char *path)
{
	struct buf b;

	buf_init(&b, 64 << 20);
	CU_ASSERT_EQUAL_FATAL(perm_read_file(path, 64 << 20, &b), 0);
	return b;
}

static struct buf good_bytes(void)
{
	return read_from(ABI_MODULES "/abi_good.so");
}

/* Replaces every occurrence; true: there was one. */
static bool patch(struct buf *b, const void *from, const void *to, size_t n)
{
	bool found = false;

	for (size_t i = 0; i + n <= b->n; i++) {
		if (memcmp(b->p + i, from, n) == 0) {
			memcpy(b->p + i, to, n);
			found = true;
		}
	}
	return found;
}

static const char *said(void)
{
	if (buf_add(&d.text, "", 1))
		return "";
	d.text.n--;
	return d.text.p;
}

static struct build *load(const char *name)
{
	buf_reset(&d.text);
	d.errors = 0;
	return build_load(str_of(dir), str_of(name), &host, &at, &d);
}

static void refused(const char *name, const char *part)
{
	struct build *b = load(name);

	if (b || !strstr(said(), part))
		fprintf(stderr, "%s: \"%s\" is not in: %s\n", name, part, said());
	CU_ASSERT_PTR_NULL(b);
	CU_ASSERT_EQUAL(d.errors, 1);
	CU_ASSERT_EQUAL(strncmp(said(), "merlon.conf:12: ", 16), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(said(), part));
}

/* A note with `to` in place of today's, in a copy of the good module. */
static void note_refused(struct merlon_note to, const char *part)
{
	const struct merlon_note from = {
	    7,          16, 1, "Merlon", MERLON_ABI_MAJOR, MERLON_ABI_MINOR, 0, 0, MERLON_GRANTOR,
	    MERLON_AUTH};
	struct buf b = good_bytes();

	CU_ASSERT_FATAL(patch(&b, &from, &to, sizeof(from)));
	put("abi_good", b.p, b.n);
	refused("abi_good", part);
	buf_deinit(&b);
}

/* The descriptor begins with its size and version and goes on with flags and groups. */
static void descriptor_refused(size_t offset, uint32_t value, const char *part)
{
	const struct merlon_module from = {
	    .size = sizeof(from),
	    .major = MERLON_ABI_MAJOR,
	    .minor = MERLON_ABI_MINOR,
	    .flags = MERLON_GRANTOR,
	    .groups = MERLON_AUTH,
	    .codes = MERLON_BIT(MERLON_OK) | MERLON_BIT(MERLON_LIMITED) | MERLON_BIT(MERLON_ERROR),
	    .slot_size = 8,
	    .option_size = sizeof(struct merlon_option),
	    .option_count = 5};
	const size_t n = offsetof(struct merlon_module, option_count) + 4;
	struct merlon_module to = from;
	struct buf b = good_bytes();

	memcpy((char *)&to + offset, &value, sizeof(value));
	CU_ASSERT_FATAL(patch(&b, &from, &to, n));
	put("abi_good", b.p, b.n);
	refused("abi_good", part);
	/* The same bytes again are refused with the same words, and are not loaded again. */
	unsigned before = build_count();
	refused("abi_good", part);
	CU_ASSERT_EQUAL(build_count(), before);
	buf_deinit(&b);
}

/* ---- loading ---- */
static void loads_and_finds_again(void)
{
	struct buf b = good_bytes();
	struct build *one, *two;
	char hex[SHA256_HEX + 1];
	unsigned before = build_count();

	put("abi_good", b.p, b.n);
	one = load("abi_good");
	CU_ASSERT_PTR_NOT_NULL_FATAL(one);
	CU_ASSERT_EQUAL(d.errors, 0);
	CU_ASSERT_EQUAL(build_count(), before + 1);
	CU_ASSERT_STRING_EQUAL(one->m->name, "abi_good");
	two = load("abi_good");
	CU_ASSERT_PTR_EQUAL(one, two);
	CU_ASSERT_EQUAL(build_count(), before + 1);
	CU_ASSERT(build_file_hash(str_of(dir), STR("abi_good"), hex));
	CU_ASSERT_STRING_EQUAL(hex, one->hash);
	CU_ASSERT(!build_file_hash(str_of(dir), STR("abi_none"), hex));
	buf_deinit(&b);
}

static void a_replaced_file_is_a_new_build(void)
{
	struct buf b = good_bytes();
	struct build *one, *two;

	put("abi_good", b.p, b.n);
	one = load("abi_good");
	CU_ASSERT_FATAL(patch(&b, "as often as", "as OFTEN as", 11));
	put("abi_good", b.p, b.n);
	two = load("abi_good");
	CU_ASSERT_FATAL(one && two);
	CU_ASSERT_PTR_NOT_EQUAL(one, two);
	CU_ASSERT_PTR_NOT_NULL(strstr(one->m->summary, "often"));
	CU_ASSERT_PTR_NOT_NULL(strstr(two->m->summary, "OFTEN"));
	buf_deinit(&b);
}

static void names_are_tokens(void)
{
	refused("../abi_good", "cannot be a module's name");
	refused("abi/good", "cannot be a module's name");
	refused("Abi", "cannot be a module's name");
	refused("", "cannot be a module's name");
	refused("a23456789b123456789c123456789d123456789e123456789f123456789g1234",
	        "cannot be a module's name");
}

static void wrong_files_are_refused(void)
{
	struct buf b = good_bytes();
	char path[160];

	put("abi_good", b.p, b.n);
	refused("abi_goood", "; did you mean \"abi_good\"?");
	put("abi_text", "#!/bin/sh\n", 10);
	refused("abi_text", "/abi_text.so is not a shared object");
	put("abi_text", "", 0);
	refused("abi_text", "/abi_text.so is not a shared object");
	put("abi_text", b.p, b.n / 2);
	refused("abi_text", "/abi_text.so is cut off");
	put("abi_text", b.p, b.n);
	refused("abi_text", "has another name than its file");
	path_of("abi_text", path);
	CU_ASSERT_EQUAL(chmod(path, 0666), 0);
	refused("abi_text", "/abi_text.so is writable by others");
	unlink(path);
	CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
	CU_ASSERT_PTR_NULL(load("abi_text"));
	CU_ASSERT_EQUAL(d.errors, 1);
	rmdir(path);
	buf_deinit(&b);
}

static void wrong_notes_are_refused(void)
{
	const struct merlon_note note = {
	    7,          16, 1, "Merlon", MERLON_ABI_MAJOR, MERLON_ABI_MINOR, 0, 0, MERLON_GRANTOR,
	    MERLON_AUTH};
	struct merlon_note n = note;
	unsigned before = build_count();

	n.major = 2;
	note_refused(
	    n, "is built for module ABI 2.0 and this merlond offers 1.0: install a newer merlond");
	n.major = 0;
	note_refused(
	    n,
	    "is built for module ABI 0.0 and this merlond offers 1.0: install the module's build");
	n = note;
	n.least_minor = MERLON_ABI_MINOR + 1;
	note_refused(n,
	             "needs module ABI 1.1 and this merlond offers 1.0: install a newer merlond");
	n = note;
	n.name[0] = 'X';
	note_refused(n, "is no module of Merlon");
	CU_ASSERT_EQUAL(build_count(), before);
	n = note;
	n.groups = MERLON_AUTHZ;
	note_refused(n, "tells other groups or flags than its note");
	n = note;
	n.minor = MERLON_ABI_MINOR + 1;
	note_refused(n, "tells another ABI than its note");
}

static void a_missing_entry_is_refused(void)
{
	struct buf b = good_bytes();

	CU_ASSERT_FATAL(patch(&b, "merlon_module_v1", "merlon_module_vX", 16));
	put("abi_good", b.p, b.n);
	refused("abi_good", "does not export merlon_module_v1()");
	buf_deinit(&b);
}

static void wrong_descriptors_are_refused(void)
{
	descriptor_refused(offsetof(struct merlon_module, size), 16, "of a size that cannot be");
	descriptor_refused(offsetof(struct merlon_module, codes), 0, "lists no code");
	descriptor_refused(offsetof(struct merlon_module, codes), MERLON_BIT(12),
	                   "lists no code, or one");
	descriptor_refused(offsetof(struct merlon_module, codes), MERLON_BIT(MERLON_TIMEOUT) | 2,
	                   "lists the code TIMEOUT");
	descriptor_refused(offsetof(struct merlon_module, slot_size), 4097, "a slot over 4096");
	descriptor_refused(offsetof(struct merlon_module, option_size), 8,
	                   "table of options of a size");
	descriptor_refused(offsetof(struct merlon_module, groups), 3, "other groups or flags");
	descriptor_refused(offsetof(struct merlon_module, flags), 3, "other groups or flags");
}

/* ---- instances ---- */
struct fake_tx {
	struct tx_base base;
};
static struct merlon_worker worker;

static void resumed(merlon_tx *tx, int32_t code)
{
	(void)tx;
	(void)code;
}

struct run_state {
	struct arena a;
	struct conf_line line;
	struct merlon_ctx *ctx;
	struct fake_tx tx;
};

static bool make(struct run_state *s, struct build *b, const char *options)
{
	memset(s, 0, sizeof(*s));
	arena_init(&s->a, NULL);
	buf_reset(&d.text);
	d.errors = d.warnings = 0;
	s->line = (struct conf_line){.node = &at, .name = STR("line"), .timeout = 2000000000};
	s->line.options = conf_parse(str_of(options), "merlon.conf", false, &s->a, &d);
	s->ctx = instance_new(b, &s->line, STR("default"), G_AUTH, false, &s->a, &d);
	return s->ctx != NULL;
}

static void drop_state(struct run_state *s)
{
	instance_destroy(s->ctx);
	arena_deinit(&s->a);
}

static merlon_tx *begin_tx(struct run_state *s)
{
	tx_base_init(&s->tx.base, &worker, &s->a, resumed);
	return (merlon_tx *)(void *)&s->tx;
}

static void works(struct build *b, const char *key)
{
	struct run_state s;
	struct merlon_val v;
	merlon_tx *tx;

	CU_ASSERT_FATAL(make(&s, b, "limit = 2; inner = { deep = true; };"));
	CU_ASSERT_EQUAL(d.errors, 0);
	CU_ASSERT_EQUAL(d.warnings, 1);
	CU_ASSERT_EQUAL_FATAL(instance_worker_start(s.ctx, &worker), 0);
	CU_ASSERT_PTR_EQUAL(s.ctx->w[0], s.ctx->inst);
	tx = begin_tx(&s);
	CU_ASSERT_EQUAL(hook_check(s.ctx, tx, MERLON_AUTH), MERLON_OK);
	CU_ASSERT_EQUAL(hook_check(s.ctx, tx, MERLON_AUTH), MERLON_OK);
	CU_ASSERT_EQUAL(hook_check(s.ctx, tx, MERLON_AUTH), MERLON_LIMITED);
	CU_ASSERT_EQUAL(host_attr_get(tx, to_merlon(str_of(key)), &v), 0);
	CU_ASSERT_EQUAL(v.type, MERLON_VAL_I64);
	CU_ASSERT_EQUAL(v.u.i64, 3);
	/* TIMEOUT from a module */
	CU_ASSERT_EQUAL(hook_check(s.ctx, tx, MERLON_AUTH), MERLON_ERROR);
	/* hooks that it does not have */
	CU_ASSERT_EQUAL(hook_head(s.ctx, tx, MERLON_REQUEST), MERLON_IGNORE);
	CU_ASSERT_EQUAL(hook_audit_open(s.ctx, tx), MERLON_IGNORE);
	/* another tx has a slot of its own */
	tx = begin_tx(&s);
	CU_ASSERT_EQUAL(hook_check(s.ctx, tx, MERLON_AUTH), MERLON_OK);
	CU_ASSERT_EQUAL(stat_value(s.ctx->seconds) % 5, 0);
	instance_worker_stop(s.ctx, &worker);
	instance_retire(s.ctx);
	drop_state(&s);
}

static void todays_module_works(void)
{
	struct buf b = good_bytes();
	struct build *build;

	put("abi_good", b.p, b.n);
	build = load("abi_good");
	CU_ASSERT_PTR_NOT_NULL_FATAL(build);
	works(build, "x.abi_good.calls");
	buf_deinit(&b);
}

static void the_golden_module_works(void)
{
#if defined(__x86_64__)
	struct buf b = read_from(ABI_GOLDEN "/golden_1_0.so");
	struct build *build;

	put("golden_1_0", b.p, b.n);
	build = load("golden_1_0");
	CU_ASSERT_PTR_NOT_NULL_FATAL(build);
	works(build, "x.golden_1_0.calls");
	buf_deinit(&b);
#endif
}

static void an_overwritten_file_does_no_harm(void)
{
	struct buf b = good_bytes();
	struct build *build;
	struct run_state s;
	char path[160];

	put("abi_good", b.p, b.n);
	build = load("abi_good");
	CU_ASSERT_PTR_NOT_NULL_FATAL(build);
	CU_ASSERT_FATAL(make(&s, build, ""));
	CU_ASSERT_EQUAL_FATAL(instance_worker_start(s.ctx, &worker), 0);
	path_of("abi_good", path);
	CU_ASSERT_EQUAL(truncate(path, 0), 0);
	CU_ASSERT_EQUAL(hook_check(s.ctx, begin_tx(&s), MERLON_AUTH), MERLON_OK);
	instance_worker_stop(s.ctx, &worker);
	drop_state(&s);
	buf_deinit(&b);
}

static void errors_of_create_refuse(void)
{
	struct buf b = good_bytes();
	struct build *build;
	struct run_state s;

	put("abi_good", b.p, b.n);
	build = load("abi_good");
	CU_ASSERT_PTR_NOT_NULL_FATAL(build);
	/* create says it and answers 0 all the same: the instance is destroyed again */
	CU_ASSERT(!make(&s, build, "limit = 2;\nrate = \"3/1m\";"));
	CU_ASSERT_STRING_EQUAL(said(), "merlon.conf:2: abi_good: rate must not be over limit\n");
	drop_state(&s);
	CU_ASSERT(!make(&s, build, "limit = 10; wiat = 1;"));
	CU_ASSERT_EQUAL(d.errors, 2);
	drop_state(&s);
	buf_deinit(&b);
}

static void hashes_tell_instances_apart(void)
{
	struct buf b = good_bytes();
	struct build *build;
	struct run_state one, two, three;

	put("abi_good", b.p, b.n);
	build = load("abi_good");
	CU_ASSERT_PTR_NOT_NULL_FATAL(build);
	CU_ASSERT(make(&one, build, "limit = 3;"));
	CU_ASSERT(make(&two, build, "\n\nlimit = 3;"));
	CU_ASSERT(make(&three, build, "limit = 4;"));
	CU_ASSERT_STRING_EQUAL(one.ctx->hash, two.ctx->hash);
	CU_ASSERT_STRING_NOT_EQUAL(one.ctx->hash, three.ctx->hash);
	drop_state(&one);
	drop_state(&two);
	drop_state(&three);
	buf_deinit(&b);
}

/* ---- answers of a module made by hand ---- */
static int32_t answer;
static bool was_named;

static int32_t any_answer(void *inst, void *w, merlon_tx *tx, uint32_t group)
{
	(void)inst;
	(void)w;
	(void)group;
	was_named = strcmp(hook_breadcrumb(), "hand_made/check") == 0;
	if (answer == MERLON_REPLY + 100) {
		tx_base(tx)->replied = true;
		return MERLON_REPLY;
	}
	return answer;
}

static void nonsense_is_an_error(void)
{
	static const int32_t nonsense[] = {0,
	                                   -1,
	                                   12,
	                                   254,
	                                   INT32_MAX,
	                                   INT32_MIN,
	                                   MERLON_TIMEOUT,
	                                   MERLON_REPLY,
	                                   MERLON_DENIED,
	                                   MERLON_PENDING};
	static const struct merlon_module m = {
	    .size = sizeof(m),
	    .groups = MERLON_AUTH,
	    .codes = MERLON_BIT(MERLON_OK) | MERLON_BIT(MERLON_REPLY),
	    .option_size = sizeof(struct merlon_option),
	    .name = "hand_made",
	    .check = any_answer,
	};
	struct build b = {.name = "hand_made", .hash = "0", .m = &m};
	struct run_state s;

	CU_ASSERT_FATAL(make(&s, &b, ""));
	CU_ASSERT_EQUAL_FATAL(instance_worker_start(s.ctx, &worker), 0);
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		answer = nonsense[i];
		CU_ASSERT_EQUAL(hook_check(s.ctx, begin_tx(&s), MERLON_AUTH), MERLON_ERROR);
	}
	answer = MERLON_ERROR;
	CU_ASSERT_EQUAL(hook_check(s.ctx, begin_tx(&s), MERLON_AUTH), MERLON_ERROR);
	answer = MERLON_OK;
	CU_ASSERT_EQUAL(hook_check(s.ctx, begin_tx(&s), MERLON_AUTH), MERLON_OK);
	CU_ASSERT(was_named);
	CU_ASSERT_STRING_EQUAL(hook_breadcrumb(), "");
	answer = MERLON_REPLY + 100;
	CU_ASSERT_EQUAL(hook_check(s.ctx, begin_tx(&s), MERLON_AUTH), MERLON_REPLY);
	/* a reply of the hook before does not count for this one */
	answer = MERLON_REPLY;
	CU_ASSERT_EQUAL(hook_check(s.ctx, (merlon_tx *)(void *)&s.tx, MERLON_AUTH), MERLON_ERROR);
	instance_worker_stop(s.ctx, &worker);
	drop_state(&s);
}

static void codes_have_names(void)
{
	for (int i = 1; i <= MERLON_CODE_MAX; i++)
		CU_ASSERT_EQUAL(code_of(str_of(code_name(i))), i);
	CU_ASSERT_STRING_EQUAL(code_name(0), "?");
	CU_ASSERT_STRING_EQUAL(code_name(MERLON_PENDING), "?");
	CU_ASSERT_EQUAL(code_of(STR("ok")), 0);
	CU_ASSERT_EQUAL(code_of(STR("")), 0);
}

/* Last: it uses up what the process may load. */
static void builds_are_bounded(void)
{
	struct buf b = good_bytes();
	char was[12] = "as often as", now[12];
	struct build *build = NULL;

	for (unsigned i = 0; build_count() < BUILDS_MAX; i++) {
		snprintf(now, sizeof(now), "as %05u as", i);
		CU_ASSERT_FATAL(patch(&b, was, now, 11));
		memcpy(was, now, sizeof(was));
		put("abi_good", b.p, b.n);
		build = load("abi_good");
		CU_ASSERT_PTR_NOT_NULL_FATAL(build);
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(build);
	/* the last again is nothing new; one more is too many */
	CU_ASSERT_PTR_EQUAL(load("abi_good"), build);
	CU_ASSERT_FATAL(patch(&b, was, "as too many", 11));
	put("abi_good", b.p, b.n);
	refused("abi_good", "has loaded 64 builds of modules: restart merlond");
	buf_deinit(&b);
}

int main(void)
{
	static const struct unit_test tests[] = {
	    UNIT(loads_and_finds_again),
	    UNIT(a_replaced_file_is_a_new_build),
	    UNIT(names_are_tokens),
	    UNIT(wrong_files_are_refused),
	    UNIT(wrong_notes_are_refused),
	    UNIT(a_missing_entry_is_refused),
	    UNIT(wrong_descriptors_are_refused),
	    UNIT(todays_module_works),
	    UNIT(the_golden_module_works),
	    UNIT(an_overwritten_file_does_no_harm),
	    UNIT(errors_of_create_refuse),
	    UNIT(hashes_tell_instances_apart),
	    UNIT(nonsense_is_an_error),
	    UNIT(codes_have_names),
	    UNIT(builds_are_bounded),
	};
	int r;

	hash_init();
	conf_diag_init(&d);
	snprintf(dir, sizeof(dir), "%s", "/tmp/merlon-modules-XXXXXX");
	if (!mkdtemp(dir))
		return 99;
	worker.loop = loop_new();
	ledger_worker_init(&worker);
	r = unit_run("module", tests, sizeof(tests) / sizeof(tests[0]));
	ledger_worker_deinit(&worker);
	loop_free(worker.loop);
	drop("abi_good");
	drop("golden_1_0");
	drop("abi_text");
	rmdir(dir);
	conf_diag_deinit(&d);
	return r;
}
