/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What is common to all apis: which api a route speaks, the rules for bodies that are read, and the
 * scan for the model. Everything lives in the call and its arena.
 */
#include "api/apipriv.h"

#include "http/headers.h"

static const struct api {
	struct str name;
	enum api_dialect dialect;
	int (*resolve)(struct api_call *c, const struct api_request *r);
} apis[] = {
    {{"openai", 6}, API_OPENAI, openai_resolve},
    {{"rest", 4}, API_PLAIN, rest_resolve},
};

static const struct api *api_of(const struct conf_route *route)
{
	for (unsigned i = 0; route && i < sizeof(apis) / sizeof(apis[0]); i++)
		if (str_eq(apis[i].name, route->api))
			return &apis[i];
	return NULL;
}

enum api_dialect api_dialect_of(const struct conf_route *route)
{
	const struct api *a = api_of(route);

	return a ? a->dialect : API_PLAIN;
}

int api_refuse(int status, const char **why, const char *text)
{
	*why = text;
	return status;
}

/* ---- the model ---- */
/* It becomes part of rules, records and C strings: no control bytes, and never an empty name. */
static bool model_valid(struct str model)
{
	if (model.n == 0 || model.n > API_MODEL_MAX)
		return false;
	for (size_t i = 0; i < model.n; i++)
		if ((unsigned char)model.p[i] < 0x20 || model.p[i] == 0x7f)
			return false;
	return str_utf8_valid(model);
}

int api_model_set(struct api_call *c, struct str model, const char **why)
{
	if (!model_valid(model))
		return api_refuse(400, why, "invalid model name");
	c->model = model;
	return 0;
}

void api_model_from_body(struct api_call *c, const char *path, bool required)
{
	c->want = (struct json_want){path, 1u << JSON_STRING, API_MODEL_MAX};
	c->reads_body = true;
	c->model_in_body = true;
	c->model_required = required;
}

/* ---- which request is this ---- */
static bool media_type_json(struct str content_type)
{
	struct str type = http_media_type(content_type);

	if (str_ieq(type, STR("application/json")))
		return true;
	return type.n > 5 && str_ieq((struct str){type.p + type.n - 5, 5}, STR("+json"));
}

/* JSON is UTF-8; in another charset the same bytes could name another model. */
static bool charset_utf8(struct str content_type)
{
	while (content_type.p) {
		struct str value = str_trim(str_split(&content_type, ';'));
		struct str name = str_trim(str_split(&value, '='));

		value = str_trim(value);
		if (value.n > 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
			value = (struct str){value.p + 1, value.n - 2};
		if (str_ieq(name, STR("charset")) && !str_ieq(value, STR("utf-8")) &&
		    !str_ieq(value, STR("utf8")))
			return false;
	}
	return true;
}

/* A body that is decided on must be read here as the upstream reads it. */
static int body_readable(const struct http_head *h, const char **why)
{
	const struct http_field *type = http_first(h, HTTP_F_CONTENT_TYPE);
	const struct http_field *coding = http_first(h, HTTP_F_CONTENT_ENCODING);

	if (type && http_find(h, STR("content-type"), 1))
		return api_refuse(415, why, "more than one Content-Type");
	if (type && !media_type_json(type->value))
		return api_refuse(415, why, "the body must be application/json");
	if (type && !charset_utf8(type->value))
		return api_refuse(415, why, "the body must be UTF-8");
	if (coding &&
	    (http_find(h, STR("content-encoding"), 1) || !str_ieq(coding->value, STR("identity"))))
		return api_refuse(415, why, "the body must not be coded");
	return 0;
}

int api_resolve(const struct conf_route *route, const struct http_head *h, const struct url *u,
                struct arena *a, struct api_call *out, const char **allow, const char **why)
{
	const struct api *api = api_of(route);
	const struct api_request r = {h, u, allow, why};
	int status;

	memset(out, 0, sizeof(*out));
	out->route = route;
	out->arena = a;
	out->tokens_in = out->tokens_out = -1;
	*allow = NULL;
	*why = NULL;
	if (!api)
		return api_refuse(404, why, "unknown api");
	out->dialect = api->dialect;
	status = api->resolve(out, &r);
	if (status == 0 && out->reads_body)
		status = body_readable(h, why);
	if (status == 0 && out->reads_body)
		out->scan = json_new(a, &out->want, 1, &out->value, JSON_ROOT_OBJECT);
	/* A call that was refused is not scanned, whoever asks. */
	if (status)
		out->reads_body = false;
	return status;
}

/* ---- the request's body ---- */
static enum json_error take_model(struct api_call *c)
{
	if (c->model.p || c->value.type != JSON_STRING)
		return JSON_OK;
	if (!model_valid(c->value.text))
		return JSON_E_TYPE;
	c->model = c->value.text;
	return JSON_OK;
}

enum json_error api_body_feed(struct api_call *c, struct str data)
{
	enum json_error e;

	if (!c->scan)
		return JSON_OK;
	e = json_feed(c->scan, data.p, data.n, NULL);
	return e == JSON_OK ? take_model(c) : e;
}

enum json_error api_body_end(struct api_call *c, const char **why)
{
	enum json_error e;

	if (!c->scan)
		return JSON_OK;
	e = json_finish(c->scan);
	if (e == JSON_OK && c->model_required && !c->model.p) {
		*why = "the body names no model";
		return JSON_E_TYPE;
	}
	return e;
}

uint64_t api_releasable(const struct api_call *c, uint64_t fed)
{
	uint64_t may;

	if (!c->scan)
		return fed;
	may = json_releasable(c->scan);
	return may < fed ? may : fed;
}

bool api_settled(const struct api_call *c)
{
	if (!c->scan || c->model.p)
		return true;
	/* Where the model is required, a body without one is refused at its end, not decided on. */
	return !c->model_required && json_settled(c->scan);
}
