/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * JSON of strangers, read by jansson: it refuses duplicate members, NUL in strings, bad UTF-8 and
 * anything behind the value. Its own limit of nesting is 2048, and it recurses; so depth is counted
 * before it sees the text.
 */
#include "jose.h"

static bool shallow(struct merlon_str text)
{
	bool in_string = false;
	unsigned depth = 0;

	for (uint64_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > JOSE_DEPTH_MAX)
				return false;
		} else if ((c == '}' || c == ']') && depth > 0) {
			depth--;
		}
	}
	return true;
}

json_t *jose_json(struct merlon_str text, const char **why)
{
	json_error_t e;
	json_t *v;

	if (!shallow(text)) {
		*why = "the JSON is nested too deeply";
		return NULL;
	}
	v = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, &e);
	if (!v)
		*why = json_error_code(&e) == json_error_duplicate_key
		           ? "a JSON member stands twice"
		           : "what should be JSON is not";
	return v;
}
