/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Requests in a line, for tests: "id.org=acme;id.roles=[a,b];x.m.n=#5;x.m.b=?true;now=1700000000".
 * Texts stand as they are, lists in brackets, integers behind #, booleans behind ?, floats behind
 * ~. The time is no attribute and sets the fake host's clock.
 */
#ifndef AUTHZ_ABAC_ASKING_H
#define AUTHZ_ABAC_ASKING_H

#include "common/fakehost.h"

#include <stdio.h>
#include <stdlib.h>

static inline void asking_set(merlon_tx *tx, const char *key, char *value)
{
	struct merlon_val v = {.type = MERLON_VAL_I64};

	if (strcmp(key, "now") == 0) {
		fake_now[1] = strtoull(value, NULL, 10) * UINT64_C(1000000000);
		return;
	}
	if (value[0] == '[') {
		value[strlen(value) - 1] = '\0';
		fake_attr_list(tx, key, value + 1);
		return;
	}
	if (value[0] != '#' && value[0] != '?' && value[0] != '~') {
		fake_attr(tx, key, value);
		return;
	}
	if (value[0] == '#') {
		v.u.i64 = strtoll(value + 1, NULL, 10);
	} else if (value[0] == '?') {
		v.type = MERLON_VAL_BOOL;
		v.u.i64 = strcmp(value + 1, "true") == 0;
	} else {
		v.type = MERLON_VAL_F64;
		v.u.f64 = strtod(value + 1, NULL);
	}
	fake_host.attr_set(NULL, tx, txt_of(key), &v);
}

static inline merlon_tx *asking_tx(const char *line)
{
	merlon_tx *tx = fake_tx_new();
	char *copy = strdup(line), *rest = copy, *part;

	while ((part = strsep(&rest, ";\n"))) {
		char *value = strchr(part, '=');
		if (!value)
			continue;
		*value = '\0';
		asking_set(tx, part, value + 1);
	}
	free(copy);
	return tx;
}

#endif
