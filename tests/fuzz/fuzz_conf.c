/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Any text: it loads, or it says why with a place; and what is printed of it loads again. Files are
 * not included, so a run touches nothing but secrets that the text names by luck.
 */
#include "conf/load.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct conf *c)
{
	struct buf out;
	struct conf_diag d;
	buf_init(&out, 1u << 24);
	conf_diag_init(&d);
	if (conf_print(c, NULL, NULL, &out) == 0) {
		struct conf *again = conf_load_text(buf_str(&out), "printed.conf", NULL, &d);
		if (!again) {
			fprintf(stderr, "%.*s%.*s", STR_FMT(buf_str(&d.text)),
			        STR_FMT(buf_str(&out)));
			abort();
		}
		conf_free(again);
	}
	conf_diag_deinit(&d);
	buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_diag d;
	conf_diag_init(&d);
	struct conf *c =
	    conf_load_text((struct str){(const char *)data, size}, "fuzz.conf", NULL, &d);
	if (!c && d.errors == 0)
		abort();
	if (c)
		check_again(c);
	conf_free(c);
	conf_diag_deinit(&d);
	return 0;
}
