/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * identity_headers: what the upstream is told of the request. The upstream believes these fields,
 * so it gets exactly the attribute or none, never what a client, a filter or a comma in the wrong
 * place makes of it.
 */
#include "http/headers.h"
#include "tx/step.h"

#include <inttypes.h>

#define VALUE_MAX 8192

/* A member that holds the comma would be two. */
static bool join(merlon_tx *tx, const struct merlon_val *v, struct str *out)
{
	uint64_t n = 0;
	char *p;

	for (uint32_t i = 0; i < v->count; i++)
		n += v->u.list[i].len + 1;
	if (n > VALUE_MAX + 1)
		return false;
	p = arena_alloc(&tx->arena, (size_t)n + 1);
	*out = (struct str){p, 0};
	for (uint32_t i = 0; i < v->count; i++) {
		struct str one = from_merlon(v->u.list[i]);

		if (one.n == 0 || str_find(one, ',') >= 0 || !http_is_field_value(one))
			return false;
		if (i > 0)
			p[out->n++] = ',';
		memcpy(p + out->n, one.p, one.n);
		out->n += one.n;
	}
	return true;
}

/* False: it has no form that a field could carry. */
static bool value_text(merlon_tx *tx, const struct merlon_val *v, struct str *out)
{
	switch (v->type) {
	case MERLON_VAL_STR:
	case MERLON_VAL_BYTES:
		*out = from_merlon(v->u.str);
		return out->n <= VALUE_MAX && http_is_field_value(*out);
	case MERLON_VAL_I64:
		*out = arena_printf(&tx->arena, "%" PRId64, v->u.i64);
		return true;
	case MERLON_VAL_F64:
		*out = arena_printf(&tx->arena, "%.15g", v->u.f64);
		return true;
	case MERLON_VAL_BOOL:
		*out = v->u.i64 ? STR("true") : STR("false");
		return true;
	case MERLON_VAL_STRLIST:
		return join(tx, v, out);
	default:
		return false;
	}
}

bool identity_values(merlon_tx *tx, const struct conf_upstream *u, struct str *values)
{
	for (unsigned i = 0; i < u->nidentity; i++) {
		const struct conf_identity *h = &u->identity[i];
		const struct attr *at = attrs_get(&tx->base.attrs, h->attribute);

		values[i] = STR_NONE;
		if (!at || value_text(tx, &at->val, &values[i]))
			continue;
		if (!tx->end) {
			tx->end = MERLON_END_ERROR;
			tx->reason = arena_printf(&tx->arena,
			                          "upstream: %.*s cannot stand in the header %.*s",
			                          STR_FMT(h->attribute), STR_FMT(h->name));
		}
		return false;
	}
	return true;
}

/* Of clients such names are refused before; of filters they are not. */
static bool same_name(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		char c = a.p[i] == '_' ? '-' : a.p[i];
		char e = b.p[i];

		if (!str_ieq((struct str){&c, 1}, (struct str){&e, 1}))
			return false;
	}
	return true;
}

bool identity_names(const struct conf_upstream *u, struct str name)
{
	for (unsigned i = 0; i < u->nidentity; i++) {
		if (same_name(name, u->identity[i].name))
			return true;
	}
	return false;
}
