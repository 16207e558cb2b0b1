/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What is common to all apis: which api a route speaks, the rules for bodies that are read, and the
 * scan for the model. Everything lives in the call and its arena.
 */
#include "api/apipriv.h"

#include "http/chars.h"
#include "http/headers.h"

static const struct api {
	struct str name;
	enum api_dialect dialect;
	int (*resolve)(struct api_call *c, const struct api_request *r);
} apis[] = {
    {{"openai", 6}, API_OPENAI, openai_resolve},
    {{"anthropic", 9}, API_ANTHROPIC, anthropic_resolve},
    {{"kserve", 6}, API_PLAIN, kserve_resolve},
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
	/* Readers of text drop a byte order mark: they would see another model. */
	if (str_starts(model, STR("\xef\xbb\xbf")))
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

void api_model_from_body(struct api_call *c, const char *path, bool required, unsigned kinds)
{
	c->want = (struct json_want){path, 1u << JSON_STRING, API_MODEL_MAX};
	c->field = (struct form_want){str_of(path), API_MODEL_MAX, STR_NONE};
	c->kinds = kinds;
	c->reads_body = true;
	c->model_in_body = true;
	c->model_required = required;
}

int api_model_of_path(struct api_call *c, const struct api_request *r, struct str part)
{
	struct str model;

	if (url_decode(part, c->arena, &model))
		return api_refuse(400, r->why, "invalid model name");
	return api_model_set(c, model, r->why);
}

/* ---- tables of endpoints ---- */
static struct str skip_prefix(struct str s, struct str prefix)
{
	return str_starts(s, prefix) ? (struct str){s.p + prefix.n, s.n - prefix.n} : s;
}

struct str api_path(const struct conf_route *route, struct str path)
{
	if (str_starts(path, STR("/v1/")))
		return skip_prefix(path, STR("/v1/"));
	if (!route->prefix)
		return skip_prefix(path, STR("/"));
	return skip_prefix(skip_prefix(path, route->path), STR("v1/"));
}

unsigned api_method(const struct http_head *h)
{
	if (h->method == HTTP_GET || h->method == HTTP_HEAD)
		return API_GET;
	if (h->method == HTTP_POST)
		return API_POST;
	return h->method == HTTP_DELETE ? API_DELETE : 0;
}

int api_refuse_method(const struct api_request *r, unsigned methods)
{
	static const char *const texts[] = {
	    [API_GET] = "GET, HEAD",
	    [API_POST] = "POST",
	    [API_GET | API_POST] = "GET, HEAD, POST",
	    [API_DELETE] = "DELETE",
	    [API_GET | API_DELETE] = "GET, HEAD, DELETE",
	    [API_POST | API_DELETE] = "POST, DELETE",
	    [API_GET | API_POST | API_DELETE] = "GET, HEAD, POST, DELETE",
	};

	*r->allow = texts[methods];
	return api_refuse(405, r->why, "method not allowed");
}

int api_unknown(struct api_call *c, const struct api_request *r)
{
	bool tunnel = r->head->method == HTTP_CONNECT || r->head->method == HTTP_TRACE;

	if (c->route->allow_unknown.n == 0 || tunnel || url_has_encoded_slash(r->url->path))
		return api_refuse(404, r->why, "unknown path");
	c->action = c->route->allow_unknown;
	c->resource_type = STR("unknown");
	return 0;
}

/* ---- which request is this ---- */
static bool media_type_json(struct str type)
{
	if (str_ieq(type, STR("application/json")))
		return true;
	/* There are readers to whom a type ends with a comma or a blank. */
	for (size_t i = 0; i < type.n; i++)
		if (type.p[i] != '/' && !http_is(type.p[i], CHAR_TOKEN))
			return false;
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

static void begin_json(struct api_call *c)
{
	static const struct json_want model = {"model", 1u << JSON_STRING, API_MODEL_MAX};
	/* Made once a thread. */
	static _Thread_local struct json_plan plan;
	static _Thread_local struct json_node nodes[JSON_NODES(1)];

	if (!plan.wants)
		json_plan_init(&plan, nodes, &model, 1);
	if (strcmp(c->want.path, model.path) == 0)
		c->scan = json_begin(c->arena, &plan, &c->value, JSON_ROOT_OBJECT);
	else
		c->scan = json_new(c->arena, &c->want, 1, &c->value, JSON_ROOT_OBJECT);
}

/* Begins the scan that the body's type asks for. A body without a type counts as JSON. */
static int scan_begin(struct api_call *c, struct str type, const char **why)
{
	struct str media, boundary;

	if ((c->kinds & API_BODY_JSON) && (!type.p || api_is_json(type))) {
		begin_json(c);
		return 0;
	}
	/* Before a tab some find no end of the type. */
	if (str_find(type, '\t') >= 0)
		return api_refuse(415, why, "a tab in the Content-Type");
	media = http_media_type(type);
	if ((c->kinds & API_BODY_JSON) && media_type_json(media)) {
		if (!charset_utf8(type))
			return api_refuse(415, why, "the body must be UTF-8");
		begin_json(c);
		return 0;
	}
	if ((c->kinds & API_BODY_MULTIPART) && str_ieq(media, STR("multipart/form-data"))) {
		if (!multipart_boundary(type, &boundary))
			return api_refuse(400, why, "the form has no valid boundary");
		c->multipart = multipart_new(c->arena, boundary, &c->field);
		return 0;
	}
	if ((c->kinds & API_BODY_URLFORM) &&
	    str_ieq(media, STR("application/x-www-form-urlencoded"))) {
		if (!charset_utf8(type))
			return api_refuse(415, why, "the body must be UTF-8");
		c->urlform = urlform_new(c->arena, &c->field);
		return 0;
	}
	return api_refuse(415, why,
	                  c->kinds == API_BODY_JSON
	                      ? "the body must be application/json"
	                      : "the body's type is not one that can be read");
}

static bool comes_twice(const struct http_head *h, enum http_field_id id)
{
	unsigned n = 0;

	for (unsigned i = h->first[id]; i > 0 && i <= h->nfields; i++)
		n += h->fields[i - 1].id == id && !(h->fields[i - 1].flags & HTTP_FIELD_DROP);
	return n > 1;
}

/* A body that is decided on must be read here as the upstream reads it. */
static int body_begin(struct api_call *c, const struct http_head *h, const char **why)
{
	const struct http_field *type = http_first(h, HTTP_F_CONTENT_TYPE);
	const struct http_field *coding = http_first(h, HTTP_F_CONTENT_ENCODING);

	if (type && comes_twice(h, HTTP_F_CONTENT_TYPE))
		return api_refuse(415, why, "more than one Content-Type");
	if (coding &&
	    (comes_twice(h, HTTP_F_CONTENT_ENCODING) || !str_ieq(coding->value, STR("identity"))))
		return api_refuse(415, why, "the body must not be coded");
	return scan_begin(c, type ? type->value : STR_NONE, why);
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
		status = body_begin(out, h, why);
	/* A call that was refused is not scanned, whoever asks. */
	if (status)
		out->reads_body = false;
	return status;
}

/* ---- the request's body ---- */
static const char *take_model(struct api_call *c)
{
	struct str model = c->scan ? STR_NONE : c->field.value;

	if (c->scan && c->value.type == JSON_STRING)
		model = c->value.text;
	if (c->model.p || !model.p)
		return NULL;
	if (!model_valid(model))
		return "invalid model name";
	c->model = model;
	return NULL;
}

static const char *json_why(enum json_error e)
{
	return e == JSON_OK ? NULL : json_strerror(e);
}

const char *api_body_feed(struct api_call *c, struct str data)
{
	const char *why = NULL;

	if (c->scan)
		why = json_why(json_feed(c->scan, data.p, data.n, NULL));
	else if (c->multipart)
		why = multipart_feed(c->multipart, data.p, data.n);
	else if (c->urlform)
		why = urlform_feed(c->urlform, data.p, data.n);
	return why ? why : take_model(c);
}

const char *api_body_end(struct api_call *c)
{
	const char *why = NULL;

	if (!c->reads_body)
		return NULL;
	if (c->scan)
		why = json_why(json_finish(c->scan));
	else if (c->multipart)
		why = multipart_finish(c->multipart);
	else if (c->urlform)
		why = urlform_finish(c->urlform);
	if (!why)
		why = take_model(c);
	if (!why && c->model_required && !c->model.p)
		why = "the body names no model";
	c->ended = !why;
	return why;
}

const char *api_body_code(const struct api_call *c)
{
	return c->multipart || c->urlform ? "invalid_form" : "invalid_json";
}

uint64_t api_releasable(const struct api_call *c, uint64_t fed)
{
	uint64_t may = fed;

	if (c->scan)
		may = json_releasable(c->scan);
	else if (c->multipart)
		may = multipart_releasable(c->multipart);
	else if (c->urlform)
		may = urlform_releasable(c->urlform);
	/* A request whose last byte has left is whole to the upstream, whatever its text lacks. */
	if (c->scan && !c->ended && may == fed && may > 0)
		may--;
	return may < fed ? may : fed;
}

bool api_settled(const struct api_call *c)
{
	if (!c->reads_body || c->model.p)
		return true;
	/* Where the model is required, a body without one is refused at its end, not decided on; a
	 * form may name it in its last part. */
	return !c->model_required && c->scan && json_settled(c->scan);
}
