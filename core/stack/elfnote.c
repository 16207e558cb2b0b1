/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The ELF note of a module, read out of the file's bytes. The bytes may be anything: every offset
 * and size is checked against the length before it is used, and nothing is read through a pointer
 * that may be unaligned.
 */
#include "stack/module.h"

#include <elf.h>
#include <string.h>

#define NOTES_MAX 4096 /* entries looked at in all; a hostile file cannot make us walk for long */

#if UINTPTR_MAX == UINT64_MAX
#define HOST_CLASS ELFCLASS64
typedef Elf64_Ehdr elf_head;
typedef Elf64_Phdr elf_segment;
typedef Elf64_Nhdr elf_note;
#else
#define HOST_CLASS ELFCLASS32
typedef Elf32_Ehdr elf_head;
typedef Elf32_Phdr elf_segment;
typedef Elf32_Nhdr elf_note;
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define HOST_DATA ELFDATA2LSB
#else
#define HOST_DATA ELFDATA2MSB
#endif

#if defined(__x86_64__)
#define HOST_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define HOST_MACHINE EM_AARCH64
#elif defined(__riscv)
#define HOST_MACHINE EM_RISCV
#elif defined(__powerpc64__)
#define HOST_MACHINE EM_PPC64
#elif defined(__s390__)
#define HOST_MACHINE EM_S390
#elif defined(__i386__)
#define HOST_MACHINE EM_386
#elif defined(__arm__)
#define HOST_MACHINE EM_ARM
#else
#error "the ELF machine of this architecture is not known here"
#endif

struct bytes {
	const uint8_t *p;
	size_t n;
};

static bool part_of(struct bytes b, uint64_t at, uint64_t len, struct bytes *out)
{
	if (at > b.n || len > b.n - at)
		return false;
	*out = (struct bytes){b.p + at, (size_t)len};
	return true;
}

static bool copy_from(struct bytes b, uint64_t at, void *to, size_t len)
{
	struct bytes part;

	if (!part_of(b, at, len, &part))
		return false;
	memcpy(to, part.p, len);
	return true;
}

static const char *read_head(struct bytes b, elf_head *h)
{
	if (b.n < SELFMAG || memcmp(b.p, ELFMAG, SELFMAG) != 0)
		return "is not a shared object (no ELF header)";
	if (!copy_from(b, 0, h, sizeof(*h)))
		return "is cut off in the ELF header";
	if (h->e_ident[EI_CLASS] != HOST_CLASS || h->e_ident[EI_DATA] != HOST_DATA ||
	    h->e_machine != HOST_MACHINE)
		return "is built for another kind of machine";
	if (h->e_ident[EI_VERSION] != EV_CURRENT || h->e_type != ET_DYN)
		return "is not a shared object (another type of ELF file)";
	if (h->e_phnum == 0 || h->e_phentsize != sizeof(elf_segment))
		return "is not a shared object (no program headers)";
	/* Sections are not needed for loading, but they stand last: without them the copying was
	 * broken off. */
	if (h->e_shoff &&
	    !part_of(b, h->e_shoff, (uint64_t)h->e_shnum * h->e_shentsize, &(struct bytes){0}))
		return "is cut off";
	return NULL;
}

/* The descriptor behind the owner's name, or false: another note. */
static bool take_desc(struct bytes name, struct bytes desc, uint32_t type, struct note_info *out)
{
	struct merlon_note note;
	const size_t at = offsetof(struct merlon_note, major);

	if (type != MERLON_NOTE_TYPE || name.n != sizeof(MERLON_NOTE_OWNER) ||
	    memcmp(name.p, MERLON_NOTE_OWNER, name.n) != 0 || desc.n < sizeof(note) - at)
		return false;
	memset(&note, 0, sizeof(note));
	memcpy((uint8_t *)&note + at, desc.p, sizeof(note) - at);
	*out = (struct note_info){.major = note.major,
	                          .minor = note.minor,
	                          .least_minor = note.least_minor,
	                          .flags = note.flags,
	                          .groups = note.groups};
	return true;
}

/* Walks the entries of one segment. True: found. */
static bool walk_notes(struct bytes notes, uint64_t align, unsigned *budget, struct note_info *out)
{
	uint64_t at = 0;
	elf_note h;

	/* gABI says 8 for 64-bit files, everybody but .note.gnu.property uses 4 */
	align = align == 8 ? 8 : 4;
	while (*budget > 0 && copy_from(notes, at, &h, sizeof(h))) {
		uint64_t name_at = at + sizeof(h);
		uint64_t desc_at = (name_at + h.n_namesz + align - 1) & ~(align - 1);
		struct bytes name, desc;

		(*budget)--;
		if (!part_of(notes, name_at, h.n_namesz, &name) ||
		    !part_of(notes, desc_at, h.n_descsz, &desc))
			return false;
		if (take_desc(name, desc, h.n_type, out))
			return true;
		at = (desc_at + h.n_descsz + align - 1) & ~(align - 1);
	}
	return false;
}

int elfnote_read(const uint8_t *p, size_t n, struct note_info *out, const char **why)
{
	struct bytes file = {p, n};
	unsigned budget = NOTES_MAX;
	elf_head h;

	*why = read_head(file, &h);
	if (*why)
		return -1;
	for (unsigned i = 0; i < h.e_phnum; i++) {
		elf_segment s;
		struct bytes notes;

		/* Segments may lie past what was read when the file was cut off: their loading
		 * would end in SIGBUS. */
		if (h.e_phoff > n ||
		    !copy_from(file, h.e_phoff + (uint64_t)i * sizeof(s), &s, sizeof(s)) ||
		    !part_of(file, s.p_offset, s.p_filesz, &notes)) {
			*why = "is cut off";
			return -1;
		}
		if (s.p_type == PT_NOTE && walk_notes(notes, s.p_align, &budget, out))
			return 0;
	}
	*why = "is no module of Merlon (it carries no note of that name; was it made with "
	       "MERLON_MODULE()?)";
	return -1;
}
