/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Loading builds and making instances of them: the golden module of 1.0 and one of today's header
 * do their work, and copies of the latter with a byte changed here or there are refused with a
 * reason. Every copy lies in a private folder of the test.
 */
#include "stack/module.h"

#include "stack_module.h"

/* The minor version of today's header, and the one after it. */
#define NOW "2"
#define NEXT "3"
_Static_assert(MERLON_ABI_MINOR == 2, "NOW and NEXT are those of the header");

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
	note_refused(n, "is built for module ABI 2." NOW " and this merlond offers 1." NOW
	                ": install a newer merlond");
	n.major = 0;
	note_refused(n, "is built for module ABI 0." NOW " and this merlond offers 1." NOW
	                ": install the module's build");
	n = note;
	n.least_minor = MERLON_ABI_MINOR + 1;
	note_refused(n, "needs module ABI 1." NEXT " and this merlond offers 1." NOW
	                ": install a newer merlond");
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
	    UNIT(builds_are_bounded),
	};
	int r;

	if (!modules_begin())
		return 99;
	r = unit_run("module", tests, sizeof(tests) / sizeof(tests[0]));
	modules_end();
	return r;
}
