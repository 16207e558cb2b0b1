/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Any texts as the controls of a stack: each is refused with a reason or parsed, and what is parsed
 * can be examined. A line of the input is the control of a line, of the stacks s0 and s1 in turn;
 * the last line of s0 includes s1.
 */
#include "stack/lint.h"

#include "../unit/stack_fake.h"

#define CODES "|OK,IGNORE,NOCRED,BADCRED,EXPIRED,DENIED,LIMITED,UNAVAIL,ERROR|"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add(struct buf *b, unsigned n, const char *name, struct str control)
{
	static const char *const flags[] = {"", "f", "L", "h", "fM", "s"};
	char text[64];
	size_t k = 0;

	/* What divides lines in the frame's own notation cannot stand in a control. */
	for (size_t i = 0; i < control.n && k < sizeof(text) - 1; i++)
		if (control.p[i] != 0 && !strchr("|;/", control.p[i]))
			text[k++] = control.p[i];
	text[k] = 0;
	if (buf_addf(b, "%s%s|%s" CODES "%s", n > 0 ? "; " : "auth: ", name, text,
	             flags[(n + k) % 6]))
		abort();
}

static void examine(const char *const *specs)
{
	struct fake f;

	if (fake_init(&f, specs, 2))
		lint(&f.s, &f.conf, &f.d);
	else if (f.why.n == 0)
		abort();
	fake_deinit(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size};
	struct buf b[2];
	unsigned n[2] = {0, 0};
	const char *specs[2];

	buf_init(&b[0], 4096);
	buf_init(&b[1], 4096);
	for (unsigned i = 0; rest.p && i < 10; i++) {
		char name[] = {(char)('a' + i), 0};
		add(&b[i % 2], n[i % 2]++, name, str_split(&rest, '\n'));
	}
	if (n[1] > 0) {
		add(&b[0], n[0], "@1", STR("sufficient"));
		specs[0] = str_dup(buf_str(&b[0]));
		specs[1] = str_dup(buf_str(&b[1]));
		examine(specs);
		free((void *)(uintptr_t)specs[0]);
		free((void *)(uintptr_t)specs[1]);
	}
	buf_deinit(&b[0]);
	buf_deinit(&b[1]);
	return 0;
}
