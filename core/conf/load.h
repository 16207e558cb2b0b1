/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Files to trees: libconfig in the grammar of 1.5, checked owners and modes, bounded includes.
 */
#ifndef CONF_LOAD_H
#define CONF_LOAD_H

#include "conf/conf.h"

/* Reads `path` (and what it @includes, relative to the file that names it, depth 4) into a tree in
 * `a`. NULL: errors have been added to d. Used for the main file and for modules' conffiles.
 * Integers that do not fit and \x00 are found by a scan of the text before libconfig would bend
 * them; duplicate keys are errors. */
struct conf_node *conf_read(const char *path, struct arena *a, struct conf_diag *d);
/* The same for a file that the setting `at` names: where it cannot be read, the error stands there
 * and begins with `what`. */
struct conf_node *conf_read_named(const char *path, const struct conf_node *at, struct str what,
                                  struct arena *a, struct conf_diag *d);
/* The same for a text that is already in memory; `file` is for messages and for relative paths, and
 * @include is refused where `includes` is false. */
struct conf_node *conf_parse(struct str text, const char *file, bool includes, struct arena *a,
                             struct conf_diag *d);
/* Reads and checks the whole configuration. module_dir: overrides the file's key when not NULL
 * (-m). NULL: errors in d. Warnings may be in d either way. Contacts nobody, binds nothing. */
struct conf *conf_load(const char *path, const char *module_dir, struct conf_diag *d);
/* The same, but a configuration whose text could be read is handed out even if d->errors says that
 * it is wrong: only so that what modules find can be told beside it. NULL: it could not be read. */
struct conf *conf_load_wrong(const char *path, const char *module_dir, struct conf_diag *d);
/* The same for a text in memory, without @include. */
struct conf *conf_load_text(struct str text, const char *file, const char *module_dir,
                            struct conf_diag *d);
/* `name` as an absolute path, relative to the folder of the file that the node stands in; in `a`.
 */
struct str conf_path(const struct conf_node *at, struct str name, struct arena *a);
/* The effective configuration with every default filled in and secrets replaced by "***" (merlond
 * -T), in the grammar it is read in. For options of lines: scalars whose key is listed as secret by
 * `is_secret(module, key)`, and every string with a secret reference, are redacted. */
int conf_print(const struct conf *c,
               bool (*is_secret)(void *arg, struct str module, struct str key), void *arg,
               struct buf *out) MUST_CHECK;

#endif
