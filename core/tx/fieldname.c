/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A small table a thread, filled in the order of need. It is found by the name's bytes, not by its
 * address: a module may build a name where it built another one before.
 */
#include "tx/fieldname.h"

#include "base/vector.h"
#include "http/headers.h"
#include "http/parse.h"

#define PLACE_BITS 6
#define PLACES (1 << PLACE_BITS)
#define PROBES 4 /* names that would need more are not kept */

static _Thread_local struct fieldname places[PLACES];

static unsigned place_of(struct str name)
{
	const uint32_t last =
	    name.n < 4 ? (unsigned char)name.p[name.n - 1] : half_load(name.p + name.n - 4);

	return tail_place(last, name.n, PLACE_BITS);
}

static __attribute__((noinline)) const struct fieldname *keep(struct fieldname *f, struct str name)
{
	if (!http_is_token(name))
		return NULL;
	f->id = http_field_id_of(name);
	memcpy(f->text, name.p, name.n);
	f->n = (uint8_t)name.n;
	return f;
}

const struct fieldname *fieldname_of(struct str name)
{
	if (name.n == 0 || name.n > FIELDNAME_MAX)
		return NULL;
	const unsigned first = place_of(name);
	for (unsigned i = 0; i < PROBES; i++) {
		struct fieldname *f = &places[(first + i) % PLACES];

		if (f->n == 0)
			return keep(f, name);
		if (f->n == name.n && bytes_same(f->text, name.p, name.n))
			return f;
	}
	return NULL;
}
