/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Secret references: "file:/path", "env:NAME", "cred:NAME" ($CREDENTIALS_DIRECTORY/NAME).
 */
#ifndef CONF_SECRET_H
#define CONF_SECRET_H

#include "conf/conf.h"

/* Whether s is a reference as a whole. */
bool secret_is_ref(struct str s);
/* Resolves a whole reference; one LF (or CRLF) at the end of a file is left out. The value is wiped
 * with the arena. 0, or -1 and *why (in a) says what is wrong without the value. Relative file:
 * paths are relative to `at`'s file. Files that others may read are refused too. */
int secret_resolve(struct str ref, const struct conf_node *at, struct arena *a, struct str *out,
                   struct str *why) MUST_CHECK;
/* Expands every ${ref} in the text; *had says whether there was one. */
int secret_expand(struct str text, const struct conf_node *at, struct arena *a, struct str *out,
                  bool *had, struct str *why) MUST_CHECK;

#endif
