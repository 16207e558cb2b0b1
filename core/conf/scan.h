/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A look over a file's text before libconfig reads it: libconfig 1.5 bends integers that do not
 * fit, ends strings at \x00, drops what follows an open comment, and finds included files relative
 * to one folder only.
 */
#ifndef CONF_SCAN_H
#define CONF_SCAN_H

#include "conf/conf.h"

#define SCAN_DEPTH_MAX 64 /* of brackets: what reads trees may recurse */

struct scan {
	const char *file;
	struct str text;
	size_t at;
	unsigned line; /* of text.p[at] */
	unsigned depth;
	bool line_start; /* only blanks since the line began */
	struct conf_diag *d;
	size_t include_at; /* where the directive begins */
	unsigned include_line;
	struct str include; /* its file's name, as written between the quotes */
};
void scan_init(struct scan *s, const char *file, struct str text, unsigned depth,
               struct conf_diag *d);
/* Goes on to the next @include (true; s->at is behind it) or to the end of the text (false). */
bool scan_next(struct scan *s);

#endif
