/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The note reader on real files and on damaged ones. Every damaged copy stands in memory of its
 * exact size, so that the sanitizer sees a read beyond it.
 */
#include "stack/module.h"

#include <elf.h>

#include "base/perm.h"
#include "unit.h"

static struct buf module_bytes;

static void load_module(void)
{
	if (module_bytes.n > 0)
		return;
	buf_init(&module_bytes, 64 << 20);
	if (perm_read_file(ABI_MODULES "/abi_good.so", 64 << 20, &module_bytes))
		CU_FAIL_FATAL("the test's module is missing");
}

static int read_copy(const uint8_t *p, size_t n, struct note_info *out, const char **why)
{
	uint8_t *copy = malloc(n ? n : 1);
	int r;

	memcpy(copy, p, n);
	r = elfnote_read(copy, n, out, why);
	free(copy);
	return r;
}

static void reads_a_module(void)
{
	struct note_info i;
	const char *why;

	load_module();
	CU_ASSERT_EQUAL_FATAL(read_copy((uint8_t *)module_bytes.p, module_bytes.n, &i, &why), 0);
	CU_ASSERT_EQUAL(i.major, MERLON_ABI_MAJOR);
	CU_ASSERT_EQUAL(i.minor, MERLON_ABI_MINOR);
	CU_ASSERT_EQUAL(i.least_minor, 0);
	CU_ASSERT_EQUAL(i.flags, MERLON_GRANTOR);
	CU_ASSERT_EQUAL(i.groups, MERLON_AUTH);
}

static void refuses_every_cut(void)
{
	struct note_info i;
	const char *why = NULL;
	/* Debug sections make the file long; each cut within them is refused for the same reason.
	 */
	size_t step;

	load_module();
	step = module_bytes.n > 65536 ? module_bytes.n / 16384 : 1;
	for (size_t n = 0; n < module_bytes.n; n += n < 16384 ? 1 : step) {
		if (read_copy((uint8_t *)module_bytes.p, n, &i, &why) != -1 || !why) {
			fprintf(stderr, "cut at %zu of %zu\n", n, module_bytes.n);
			CU_FAIL_FATAL("a cut file was taken");
		}
	}
	CU_ASSERT_EQUAL(read_copy((uint8_t *)module_bytes.p, module_bytes.n - 1, &i, &why), -1);
	CU_ASSERT_STRING_EQUAL(why, "is cut off");
}

static void damage_is_harmless(void)
{
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
	struct note_info i;
	const char *why;
	uint8_t *copy;
	size_t n;

	load_module();
	n = module_bytes.n;
	copy = malloc(n);
	memcpy(copy, module_bytes.p, n);
	for (size_t at = 0; at < 2048 && at < n; at++) {
		for (size_t v = 0; v < sizeof(values); v++) {
			copy[at] = values[v];
			why = NULL;
			int r = elfnote_read(copy, n, &i, &why);
			CU_ASSERT(r == 0 || (r == -1 && why));
		}
		copy[at] = (uint8_t)module_bytes.p[at];
	}
	free(copy);
}

static void expect_refused(const void *p, size_t n, const char *part)
{
	struct note_info i;
	const char *why = "";

	CU_ASSERT_EQUAL(read_copy(p, n, &i, &why), -1);
	if (!strstr(why, part))
		fprintf(stderr, "\"%s\" is not in \"%s\"\n", part, why);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, part));
}

static void says_what_it_is_instead(void)
{
	uint8_t *copy;
	Elf64_Ehdr h;

	load_module();
	copy = malloc(module_bytes.n);
	memcpy(copy, module_bytes.p, module_bytes.n);
	expect_refused("", 0, "no ELF header");
	expect_refused("#!/bin/sh\n", 10, "no ELF header");
	expect_refused("\177ELF", 4, "cut off in the ELF header");
	memcpy(&h, copy, sizeof(h));
	h.e_type = ET_EXEC;
	memcpy(copy, &h, sizeof(h));
	expect_refused(copy, module_bytes.n, "another type of ELF file");
	h.e_type = ET_DYN;
	h.e_machine = EM_SPARC;
	memcpy(copy, &h, sizeof(h));
	expect_refused(copy, module_bytes.n, "another kind of machine");
	memcpy(&h, module_bytes.p, sizeof(h));
	h.e_ident[EI_CLASS] = ELFCLASS32;
	memcpy(copy, &h, sizeof(h));
	expect_refused(copy, module_bytes.n, "another kind of machine");
	memcpy(&h, module_bytes.p, sizeof(h));
	h.e_phnum = 0;
	memcpy(copy, &h, sizeof(h));
	expect_refused(copy, module_bytes.n, "no program headers");
	free(copy);
}

/* ---- notes made by hand ---- */
struct file {
	Elf64_Ehdr h;
	Elf64_Phdr seg;
	uint8_t notes[256];
};

static void hand_made(struct file *f, const void *notes, size_t n)
{
	memset(f, 0, sizeof(*f));
	memcpy(&f->h, module_bytes.p, sizeof(f->h));
	f->h.e_phoff = offsetof(struct file, seg);
	f->h.e_phnum = 1;
	f->h.e_shoff = 0;
	f->seg = (Elf64_Phdr){.p_type = PT_NOTE,
	                      .p_offset = offsetof(struct file, notes),
	                      .p_filesz = n,
	                      .p_align = 4};
	memcpy(f->notes, notes, n);
}

static void finds_it_behind_others(void)
{
	const struct merlon_note ours = {7, 16, 1, "Merlon", 1, 4, 2, 0, 1, 3};
	struct {
		Elf64_Nhdr gnu;
		char name[4];
		uint8_t id[20];
		struct merlon_note other;
		struct merlon_note note;
	} notes = {{4, 20, 3}, "GNU", {0}, ours, ours};
	struct file f;
	struct note_info i;
	const char *why;

	load_module();
	notes.other.type = 2;
	hand_made(&f, &notes, sizeof(notes));
	CU_ASSERT_EQUAL_FATAL(read_copy((uint8_t *)&f, sizeof(f), &i, &why), 0);
	CU_ASSERT_EQUAL(i.major, 1);
	CU_ASSERT_EQUAL(i.minor, 4);
	CU_ASSERT_EQUAL(i.least_minor, 2);
	CU_ASSERT_EQUAL(i.groups, 3);
	/* the same file with the note's last byte outside of the segment */
	f.seg.p_filesz--;
	expect_refused(&f, sizeof(f), "no note of that name");
}

static void refuses_notes_that_lie(void)
{
	struct merlon_note note = {7, 16, 1, "Merlon", 1, 0, 0, 0, 1, 3};
	struct file f;

	load_module();
	note.namesz = UINT32_MAX;
	hand_made(&f, &note, sizeof(note));
	expect_refused(&f, sizeof(f), "no note of that name");
	note.namesz = 7;
	note.descsz = UINT32_MAX - 2;
	hand_made(&f, &note, sizeof(note));
	expect_refused(&f, sizeof(f), "no note of that name");
	note.descsz = 12;
	hand_made(&f, &note, sizeof(note));
	expect_refused(&f, sizeof(f), "no note of that name");
	note.descsz = 16;
	note.name[0] = 'm';
	hand_made(&f, &note, sizeof(note));
	expect_refused(&f, sizeof(f), "no note of that name");
	f.seg.p_offset = UINT64_MAX - 8;
	expect_refused(&f, sizeof(f), "is cut off");
	f.h.e_phoff = UINT64_MAX - 8;
	expect_refused(&f, sizeof(f), "is cut off");
}

UNIT_MAIN("elfnote", UNIT(reads_a_module), UNIT(refuses_every_cut), UNIT(damage_is_harmless),
          UNIT(says_what_it_is_instead), UNIT(finds_it_behind_others), UNIT(refuses_notes_that_lie))
