/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The JSON scanner: whatever the bytes, the verdict, its place, the values and what may be released
 * are the same for the whole text and for a split that the first byte of the input chooses.
 */
#include "json/scan.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct json_want wants[] = {
    {"model", 1u << JSON_STRING, 64},
    {"stream", 1u << JSON_TRUE | 1u << JSON_FALSE, 0},
    {"usage.prompt_tokens", 0, 16},
    {"usage.details.cached", 0, 16},
};
#define NWANTS (sizeof(wants) / sizeof(wants[0]))

struct outcome {
	enum json_error error;
	uint64_t at;
	uint64_t held;
	uint64_t released;
	struct json_value values[NWANTS];
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static struct outcome scan(struct arena *a, struct str text, size_t step, unsigned flags)
{
	struct outcome out = {.error = JSON_OK};
	struct json_scan *s = json_new(a, wants, NWANTS, out.values, flags);
	uint64_t before = 0;

	for (size_t i = 0; i < text.n && !out.error; i += step) {
		out.error =
		    json_feed(s, text.p + i, text.n - i < step ? text.n - i : step, &out.at);
		out.held = json_releasable(s);
		/* What has been let go cannot be taken back. */
		must(out.held >= before && out.held <= text.n);
		before = out.held;
	}
	if (!out.error) {
		out.at = text.n;
		out.error = json_finish(s);
		must(out.error || out.held < text.n);
	}
	out.released = json_releasable(s);
	must(out.error ? out.released == out.held : out.released == text.n);
	return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, split;
	struct str text;
	struct arena a;
	unsigned flags;
	size_t step;

	if (size == 0)
		return 0;
	flags = data[0] & 1 ? JSON_ROOT_OBJECT : 0;
	step = 1 + (size_t)(data[0] >> 1) % 32;
	text = (struct str){(const char *)data + 1, size - 1};
	arena_init(&a, NULL);
	whole = scan(&a, text, text.n + 1, flags);
	split = scan(&a, text, step, flags);
	must(whole.error == split.error && whole.at == split.at &&
	     whole.released == split.released);
	for (size_t i = 0; i < NWANTS && !whole.error; i++) {
		must(whole.values[i].type == split.values[i].type);
		must(str_eq(whole.values[i].text, split.values[i].text));
		must(whole.values[i].type != JSON_STRING || str_utf8_valid(whole.values[i].text));
	}
	arena_deinit(&a);
	return 0;
}
