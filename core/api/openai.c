/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The OpenAI HTTP API: one table of its endpoints. What is not in the table does not exist; what
 * would need a form to be read (uploads of files) is named as not supported.
 */
#include "api/apipriv.h"

enum { M_GET = 1, M_POST = 2, M_DELETE = 4 };

enum model_from {
	NO_MODEL,
	BODY_MODEL,     /* required */
	BODY_MODEL_OPT, /* scanned for, may be absent */
	PATH_MODEL,     /* the path's rest */
};

struct endpoint {
	struct str path; /* ends in '/': and at least one byte more */
	unsigned methods;
	struct str post;      /* action of POST */
	enum model_from from; /* POST; PATH_MODEL: every method */
	struct str resource;
	bool unsupported; /* POST */
};

#define PATH(lit)                                                                                  \
	{                                                                                          \
		lit, sizeof(lit) - 1                                                               \
	}
#define PREDICT(path, from)                                                                        \
	{                                                                                          \
		PATH(path), M_POST, PATH("predict"), from, PATH("model"), false                    \
	}
#define UPLOAD(path)                                                                               \
	{                                                                                          \
		PATH(path), M_POST, PATH("predict"), NO_MODEL, PATH("model"), true                 \
	}

static const struct endpoint endpoints[] = {
    PREDICT("chat/completions", BODY_MODEL),
    PREDICT("completions", BODY_MODEL),
    PREDICT("embeddings", BODY_MODEL),
    PREDICT("responses", BODY_MODEL),
    PREDICT("images/generations", BODY_MODEL),
    PREDICT("audio/speech", BODY_MODEL),
    PREDICT("moderations", BODY_MODEL_OPT),
    UPLOAD("images/edits"),
    UPLOAD("images/variations"),
    UPLOAD("audio/transcriptions"),
    UPLOAD("audio/translations"),
    {PATH("models"), M_GET, PATH(""), NO_MODEL, PATH("model"), false},
    {PATH("models/"), M_GET | M_DELETE, PATH(""), PATH_MODEL, PATH("model"), false},
    {PATH("responses/"), M_GET | M_DELETE, PATH(""), NO_MODEL, PATH("model"), false},
    {PATH("fine_tuning/jobs"), M_GET | M_POST, PATH("train"), BODY_MODEL, PATH("training_job"),
     false},
    {PATH("fine_tuning/jobs/"), M_GET | M_POST, PATH("train"), NO_MODEL, PATH("training_job"),
     false},
    {PATH("batches"), M_GET | M_POST, PATH("train"), NO_MODEL, PATH("batch"), false},
    {PATH("batches/"), M_GET | M_POST, PATH("train"), NO_MODEL, PATH("batch"), false},
    {PATH("files"), M_GET | M_POST, PATH("write"), NO_MODEL, PATH("file"), true},
    {PATH("files/"), M_GET | M_DELETE, PATH(""), NO_MODEL, PATH("file"), false},
};

static struct str skip_prefix(struct str s, struct str prefix)
{
	return str_starts(s, prefix) ? (struct str){s.p + prefix.n, s.n - prefix.n} : s;
}

/* The path behind the version: a route may put the api under a prefix of its own. */
static struct str api_path(const struct conf_route *route, struct str path)
{
	if (str_starts(path, STR("/v1/")))
		return skip_prefix(path, STR("/v1/"));
	if (!route->prefix)
		return skip_prefix(path, STR("/"));
	return skip_prefix(skip_prefix(path, route->path), STR("v1/"));
}

static const struct endpoint *endpoint_of(struct str path)
{
	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
		const struct endpoint *e = &endpoints[i];
		bool deeper = e->path.p[e->path.n - 1] == '/';

		if (deeper ? path.n > e->path.n && str_starts(path, e->path)
		           : str_eq(path, e->path))
			return e;
	}
	return NULL;
}

static unsigned method_bit(const struct http_head *h)
{
	if (h->method == HTTP_GET || h->method == HTTP_HEAD)
		return M_GET;
	if (h->method == HTTP_POST)
		return M_POST;
	return h->method == HTTP_DELETE ? M_DELETE : 0;
}

static const char *allow_of(unsigned methods)
{
	static const char *const texts[] = {
	    [M_GET] = "GET, HEAD",
	    [M_POST] = "POST",
	    [M_GET | M_POST] = "GET, HEAD, POST",
	    [M_DELETE] = "DELETE",
	    [M_GET | M_DELETE] = "GET, HEAD, DELETE",
	    [M_POST | M_DELETE] = "POST, DELETE",
	    [M_GET | M_POST | M_DELETE] = "GET, HEAD, POST, DELETE",
	};
	return texts[methods];
}

static int model_of_path(struct api_call *c, const struct api_request *r, struct str id)
{
	struct str model;

	if (url_decode(id, c->arena, &model))
		return api_refuse(400, r->why, "invalid model name");
	return api_model_set(c, model, r->why);
}

static int post(struct api_call *c, const struct endpoint *e, const struct api_request *r)
{
	if (e->unsupported)
		return api_refuse(404, r->why, "not supported by this version");
	c->action = e->post;
	c->has_usage = str_eq(e->post, STR("predict"));
	if (e->from == BODY_MODEL || e->from == BODY_MODEL_OPT)
		api_model_from_body(c, "model", e->from == BODY_MODEL);
	return 0;
}

int openai_resolve(struct api_call *c, const struct api_request *r)
{
	struct str path = api_path(c->route, r->url->path);
	const struct endpoint *e = endpoint_of(path);
	unsigned method = method_bit(r->head);
	struct str id;

	if (url_has_encoded_slash(r->url->path) && !(e && e->from == PATH_MODEL))
		return api_refuse(400, r->why, "an encoded slash in the path");
	if (!e)
		return api_refuse(404, r->why, "unknown path");
	if (!(e->methods & method)) {
		*r->allow = allow_of(e->methods);
		return api_refuse(405, r->why, "method not allowed");
	}
	c->resource_type = e->resource;
	if (method == M_POST)
		return post(c, e, r);
	c->action = method == M_DELETE ? STR("delete") : STR("read");
	id = (struct str){path.p + e->path.n, path.n - e->path.n};
	return e->from == PATH_MODEL ? model_of_path(c, r, id) : 0;
}
