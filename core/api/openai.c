/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The OpenAI HTTP API: one table of its endpoints. What is not in the table does not exist.
 */
#include "api/apipriv.h"

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
	unsigned kinds; /* of bodies, where one is read */
};

#define PATH(lit)                                                                                  \
	{                                                                                          \
		lit, sizeof(lit) - 1                                                               \
	}
#define PREDICT(path, from, kinds)                                                                 \
	{                                                                                          \
		PATH(path), API_POST, PATH("predict"), from, PATH("model"), kinds                  \
	}

static const struct endpoint endpoints[] = {
    PREDICT("chat/completions", BODY_MODEL, API_BODY_JSON),
    PREDICT("completions", BODY_MODEL, API_BODY_JSON),
    PREDICT("embeddings", BODY_MODEL, API_BODY_JSON),
    PREDICT("responses", BODY_MODEL, API_BODY_JSON),
    PREDICT("moderations", BODY_MODEL_OPT, API_BODY_JSON),
    PREDICT("audio/speech", BODY_MODEL, API_BODY_JSON),
    PREDICT("audio/transcriptions", BODY_MODEL, API_BODY_MULTIPART),
    PREDICT("audio/translations", BODY_MODEL, API_BODY_MULTIPART),
    PREDICT("images/generations", BODY_MODEL, API_BODY_JSON),
    PREDICT("images/edits", BODY_MODEL_OPT, API_BODY_JSON | API_BODY_MULTIPART),
    PREDICT("images/variations", BODY_MODEL_OPT, API_BODY_MULTIPART),
    {PATH("models"), API_GET, PATH(""), NO_MODEL, PATH("model"), 0},
    {PATH("models/"), API_GET | API_DELETE, PATH(""), PATH_MODEL, PATH("model"), 0},
    PREDICT("responses/compact", BODY_MODEL, API_BODY_JSON),
    PREDICT("responses/input_tokens", BODY_MODEL, API_BODY_JSON),
    {PATH("responses/"), API_GET | API_DELETE, PATH(""), NO_MODEL, PATH("model"), 0},
    {PATH("fine_tuning/jobs"), API_GET | API_POST, PATH("train"), BODY_MODEL, PATH("training_job"),
     API_BODY_JSON},
    {PATH("fine_tuning/jobs/"), API_GET | API_POST, PATH("train"), NO_MODEL, PATH("training_job"),
     0},
    {PATH("batches"), API_GET | API_POST, PATH("train"), NO_MODEL, PATH("batch"), 0},
    {PATH("batches/"), API_GET | API_POST, PATH("train"), NO_MODEL, PATH("batch"), 0},
    {PATH("files"), API_GET | API_POST, PATH("write"), NO_MODEL, PATH("file"), 0},
    {PATH("files/"), API_GET | API_DELETE, PATH(""), NO_MODEL, PATH("file"), 0},
};

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

static void post(struct api_call *c, const struct endpoint *e)
{
	c->action = e->post;
	c->has_usage = str_eq(e->post, STR("predict"));
	if (e->from == BODY_MODEL || e->from == BODY_MODEL_OPT)
		api_model_from_body(c, "model", e->from == BODY_MODEL, e->kinds);
}

int openai_resolve(struct api_call *c, const struct api_request *r)
{
	struct str path = api_path(c->route, r->url->path);
	const struct endpoint *e = endpoint_of(path);
	unsigned method = api_method(r->head);
	struct str id;

	if (url_has_encoded_slash(r->url->path) && !(e && e->from == PATH_MODEL))
		return api_refuse(400, r->why, "an encoded slash in the path");
	if (!e)
		return api_unknown(c, r);
	if (!(e->methods & method))
		return api_refuse_method(r, e->methods);
	c->resource_type = e->resource;
	if (method == API_POST) {
		post(c, e);
		return 0;
	}
	c->action = method == API_DELETE ? STR("delete") : STR("read");
	id = (struct str){path.p + e->path.n, path.n - e->path.n};
	return e->from == PATH_MODEL ? api_model_of_path(c, r, id) : 0;
}
