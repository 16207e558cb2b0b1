/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A keys.jsonl as merlonctl changes it: one line at a time, the others kept byte for byte, whole or
 * not at all.
 */
#ifndef CTL_KEYSTORE_H
#define CTL_KEYSTORE_H

#include "base/buf.h"
#include "base/hash.h"

#include <jansson.h>

struct keystore {
	char *path; /* with links resolved */
	int fd;     /* the file as it was read; holds the lock */
	bool made;  /* it was not there before */
	struct buf text;
};
#define KEYSTORE_MAX (64U << 20)
#define KEYSTORE_HASH (7 + SHA256_HEX) /* "sha256:" and its digits */

/* change: takes the lock, so that two changes do not lose each other. create: an absent file is
 * made. 0 or -errno. */
int keystore_open(struct keystore *ks, const char *path, bool change, bool create) MUST_CHECK;
void keystore_close(struct keystore *ks);
/* Cuts the next line off *rest, empty ones too; false: there is none. */
bool keystore_line(struct str *rest, struct str *line);
/* The object of a line; NULL: it is none. The caller's. */
json_t *keystore_parse(struct str line);
/* The line of the key with this id and its object (*obj, the caller's); false: there is none. */
bool keystore_find(const struct keystore *ks, const char *id, struct str *line, json_t **obj);
bool keystore_has_hash(const struct keystore *ks, const char hash[KEYSTORE_HASH]);
/* Writes the file anew with obj in place of line (line.p NULL: behind the last). 0 or -errno. */
int keystore_write(struct keystore *ks, struct str line, const json_t *obj) MUST_CHECK;

#endif
