/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Prints the options part of a module's manual page from the module's own table: moddoc DIR NAME. Used by
 * tools/module-docs.
 */
#include "stack/module.h"
#include "stack/options.h"
#include "tx/handle.h"

#include <stdio.h>

#define TEXT_MAX (256 * 1024)

int main(int argc, char **argv)
{
	if (argc != 3) {
		fputs("usage: moddoc DIR NAME\n", stderr);
		return 64;
	}
	struct conf_diag d;
	struct buf out;
	struct conf_node at = {.file = "moddoc"};
	conf_diag_init(&d);
	buf_init(&out, TEXT_MAX);
	const struct build *b = build_load(str_of(argv[1]), str_of(argv[2]), &host_table, &at, &d);
	int r = b ? options_mdoc(b->m, &out) : -1;
	if (r == 0)
		fwrite(out.p, 1, out.n, stdout);
	else
		fwrite(d.text.p, 1, d.text.n, stderr);
	buf_deinit(&out);
	conf_diag_deinit(&d);
	return r ? 1 : 0;
}
