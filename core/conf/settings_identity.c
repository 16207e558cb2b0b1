/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Reading and checking identity_headers. Whoever gets such a header believes it, so a name that
 * something else may write as well, or an attribute that does not exist, is an error and not a
 * surprise.
 */
#include "conf/settings_identity.h"

#include "conf/addr.h"
#include "conf/check.h"
#include "conf/settings.h"

#define AT(field) offsetof(struct conf_identity, field)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const struct conf_key conf_identity_keys[] = {
    {"name", KIND_STR, AT(name), CONF_REQUIRED, NULL, NULL, "The header's name."},
    {"value", KIND_STR, AT(attribute), CONF_REQUIRED, NULL, NULL,
     "Attribute that is told, such as id.sub."},
    {0},
};

/* Letters, digits, '-', '_' and dots between them. */
static bool is_path(struct str s)
{
	bool dot = true;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		            (c >= '0' && c <= '9') || c == '_' || c == '-';

		if (!word && (c != '.' || dot))
			return false;
		dot = c == '.';
	}
	return s.n > 0 && !dot;
}

static void check_attribute(struct str s, const struct conf_node *at, struct conf_diag *d)
{
	static const char *const ids[] = {"id.sub",          "id.org",          "id.team",
	                                  "id.tier",         "id.roles",        "id.scopes",
	                                  "id.method",       "id.credential",   "id.expires",
	                                  "id.allow_models", "id.allow_actions"};
	static const char *const open[] = {"res.", "net.", "tls.", "req.", "llm.", "x."};
	const char *near;

	for (size_t i = 0; i < COUNT(ids); i++) {
		if (str_eq(s, str_of(ids[i])))
			return;
	}
	for (size_t i = 0; i < COUNT(open); i++) {
		if (str_starts(s, str_of(open[i])) && is_path(s))
			return;
	}
	if (str_eq(s, STR("action")))
		return;
	near = str_suggest(s, ids, COUNT(ids));
	conf_error(d, at, "unknown attribute \"%.*s\"%s%s%s", STR_FMT(s),
	           near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* The gateway writes these itself, or they carry credentials. */
static bool is_taken(struct str name)
{
	static const char *const names[] = {
	    "authorization",       "x-api-key",          "api-key",
	    "proxy-authorization", "proxy-authenticate", "cookie",
	    "x-request-id",        "forwarded",          "x-forwarded-for",
	    "x-forwarded-proto",   "x-forwarded-host",   "traceparent",
	    "tracestate"};

	for (size_t i = 0; i < COUNT(names); i++) {
		if (str_ieq(name, str_of(names[i])))
			return true;
	}
	return false;
}

static void check_name(const struct conf_upstream *u, const struct conf_identity *h,
                       struct conf_diag *d)
{
	const struct conf_node *at = conf_child_or_self(h->node, STR("name"));

	if (is_taken(h->name)) {
		conf_error(d, at, "header \"%.*s\" cannot tell an identity: it has another meaning",
		           STR_FMT(h->name));
		return;
	}
	for (unsigned i = 0; i < u->nheaders; i++) {
		if (str_ieq(u->headers[i].name, h->name))
			conf_error(d, at, "header \"%.*s\" stands in headers too",
			           STR_FMT(h->name));
	}
	for (const struct conf_identity *o = u->identity; o < h; o++) {
		if (str_ieq(o->name, h->name))
			conf_error(d, at, "header \"%.*s\" is named twice (line %u)",
			           STR_FMT(h->name), o->node->line);
	}
}

static void more(void *item, const struct conf_node *n, struct arena *a, struct conf_diag *d)
{
	struct conf_identity *h = item;
	const struct conf_header as_header = {.name = h->name, .secret = true};

	(void)a;
	h->node = n;
	conf_check_header(&as_header, n, d);
	if (h->attribute.n > 0)
		check_attribute(h->attribute, conf_child_or_self(n, STR("value")), d);
}

void conf_identity(struct conf_upstream *u, struct arena *a, struct conf_diag *d)
{
	static const struct conf_list list = {conf_identity_keys, sizeof(struct conf_identity),
	                                      more};

	u->identity = conf_list_read(conf_child(u->node, STR("identity_headers")), &list,
	                             &u->nidentity, a, d);
	for (unsigned i = 0; i < u->nidentity; i++)
		check_name(u, &u->identity[i], d);
}
