/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Loaded builds of modules. A configured path is never dlopened: the file is opened, its owner and
 * mode checked on the descriptor, read, hashed, its ELF note read, and the bytes loaded from a
 * private object named by the hash. Same hash, same build; a build is never unloaded while the
 * process lives.
 */
#ifndef STACK_MODULE_H
#define STACK_MODULE_H

#include "base/hash.h"
#include "base/list.h"
#include "conf/conf.h"
#include "merlon/module.h"

#define BUILDS_MAX 64 /* distinct builds a process may load; beyond it a reload is refused */

struct build {
	struct list node;
	char name[64]; /* as in the configuration */
	char hash[SHA256_HEX + 1];
	const struct merlon_module *m;
	int fd; /* of the private object, kept open */
};

/* What the ELF note says. */
struct note_info {
	uint16_t major, minor, least_minor;
	uint32_t flags, groups;
};
/* Reads the note out of a shared object's bytes without running any of it. 0; or -1 and *why. Safe
 * on any bytes. */
int elfnote_read(const uint8_t *p, size_t n, struct note_info *out, const char **why) MUST_CHECK;

/* The build of modules `name` in folder dir, loaded if it is new. `at`: the line that names it, for
 * errors. NULL: said in d. Control thread only. host: handed to the module's entry. */
struct build *build_load(struct str dir, struct str name, const struct merlon_host *host,
                         const struct conf_node *at, struct conf_diag *d);
/* The SHA-256 (hex) of the module's file as it is now, without loading it; false: it cannot be
 * read. */
bool build_file_hash(struct str dir, struct str name, char hex[SHA256_HEX + 1]);
unsigned build_count(void); /* loaded so far; for tests */
void build_each(void (*fn)(void *arg, const struct build *b), void *arg);

#endif
