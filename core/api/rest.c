/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Any HTTP API, by the rules of its route: the first rule whose method and path fit counts.
 */
#include "api/apipriv.h"

#include "http/headers.h"

#define ALLOW_MAX 128
#define ANY_METHOD "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

/* Never one that would make a tunnel of the connection, or show the client what was added for the
 * upstream. */
static bool method_fits(const struct conf_rule *rule, const struct http_head *h)
{
	if (h->method == HTTP_CONNECT || h->method == HTTP_TRACE)
		return false;
	if (rule->method.n == 0 || str_eq(rule->method, h->method_text))
		return true;
	return h->method == HTTP_HEAD && str_eq(rule->method, STR("GET"));
}

/* The methods of the rules for this path, each once. */
static const char *allow_of(const struct api_call *c, struct str path)
{
	struct buf b;
	const char *text;
	int r = 0;

	buf_init(&b, ALLOW_MAX);
	for (unsigned i = 0; i < c->route->nrules && !r; i++) {
		const struct conf_rule *rule = &c->route->rules[i];
		bool seen = false;

		for (unsigned k = 0; k < i; k++)
			seen |= str_eq(c->route->rules[k].method, rule->method) &&
			        str_glob(c->route->rules[k].path, path);
		if (seen || !str_glob(rule->path, path))
			continue;
		if (rule->method.n == 0) {
			buf_deinit(&b);
			return ANY_METHOD;
		}
		r = buf_addf(&b, "%s%.*s", b.n ? ", " : "", STR_FMT(rule->method));
		if (!r && str_eq(rule->method, STR("GET")))
			r = buf_adds(&b, STR(", HEAD"));
	}
	text = arena_str(c->arena, buf_str(&b)).p;
	buf_deinit(&b);
	return text;
}

static int model_of_segment(struct api_call *c, const struct api_request *r, unsigned segment)
{
	struct str rest = r->url->path;
	struct str part = str_split(&rest, '/'); /* what is before the first slash */

	for (unsigned i = 0; i < segment; i++) {
		if (!rest.p)
			return api_refuse(400, r->why, "the path names no model");
		part = str_split(&rest, '/');
	}
	return api_model_of_path(c, r, part);
}

static int model_of_header(struct api_call *c, const struct api_request *r, struct str name)
{
	const struct http_field *f = http_find(r->head, name, 0);

	if (!f)
		return api_refuse(400, r->why, "the header that names the model is missing");
	if (http_find(r->head, name, 1))
		return api_refuse(400, r->why, "the header that names the model comes twice");
	return api_model_set(c, f->value, r->why);
}

static int apply(struct api_call *c, const struct conf_rule *rule, const struct api_request *r)
{
	c->action = rule->action;
	c->resource_type = rule->resource_type;
	switch (rule->model_from) {
	case FROM_NONE:
		break;
	case FROM_FIXED:
		c->model = rule->model;
		break;
	case FROM_PATH:
		return model_of_segment(c, r, rule->segment);
	case FROM_HEADER:
		return model_of_header(c, r, rule->model);
	case FROM_BODY:
		api_model_from_body(c, arena_str(c->arena, rule->model).p, true, API_BODY_ANY);
		break;
	}
	return 0;
}

int rest_resolve(struct api_call *c, const struct api_request *r)
{
	struct str path = r->url->path;
	bool known = false;

	if (url_has_encoded_slash(path))
		return api_refuse(400, r->why, "an encoded slash in the path");
	for (unsigned i = 0; i < c->route->nrules; i++) {
		const struct conf_rule *rule = &c->route->rules[i];

		if (!str_glob(rule->path, path))
			continue;
		if (method_fits(rule, r->head))
			return apply(c, rule, r);
		known = true;
	}
	if (!known)
		return api_unknown(c, r);
	*r->allow = allow_of(c, path);
	return api_refuse(405, r->why, "method not allowed");
}
