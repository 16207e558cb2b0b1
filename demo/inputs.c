/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The one place where the demo model needs a tree of its body: an array may hold many inputs. A
 * file of its own, since jansson and core/json both name their types JSON_*.
 */
#include "demo.h"

#include <jansson.h>

size_t demo_inputs(struct str body)
{
	json_t *root = json_loadb(body.p, body.n, 0, NULL);
	json_t *input = json_object_get(root, "input");
	size_t n = input ? 1 : 0;
	/* An array of numbers is one input, already cut into tokens. */
	if (json_is_array(input) && !json_is_integer(json_array_get(input, 0)))
		n = json_array_size(input);
	json_decref(root);
	return n;
}
