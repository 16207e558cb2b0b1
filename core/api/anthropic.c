/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The Anthropic HTTP API. The route may stand at /v1/ or put the api under a prefix of its own.
 */
#include "api/apipriv.h"

static int generate(struct api_call *c, const struct api_request *r, bool usage)
{
	if (api_method(r->head) != API_POST)
		return api_refuse_method(r, API_POST);
	c->action = STR("predict");
	c->resource_type = STR("model");
	c->has_usage = usage;
	api_model_from_body(c, "model", true, API_BODY_JSON);
	return 0;
}

static int look_up(struct api_call *c, const struct api_request *r, struct str id)
{
	if (api_method(r->head) != API_GET)
		return api_refuse_method(r, API_GET);
	c->action = STR("read");
	c->resource_type = STR("model");
	return id.n > 0 ? api_model_of_path(c, r, id) : 0;
}

int anthropic_resolve(struct api_call *c, const struct api_request *r)
{
	const struct str models = STR("models/");
	struct str path = api_path(c->route, r->url->path);

	if (url_has_encoded_slash(r->url->path))
		return api_refuse(400, r->why, "an encoded slash in the path");
	if (str_eq(path, STR("messages")))
		return generate(c, r, true);
	if (str_eq(path, STR("messages/count_tokens")))
		return generate(c, r, false);
	if (str_eq(path, STR("models")))
		return look_up(c, r, STR_NONE);
	if (str_starts(path, models)) {
		struct str id = {path.p + models.n, path.n - models.n};

		if (id.n > 0 && str_find(id, '/') < 0)
			return look_up(c, r, id);
	}
	return api_unknown(c, r);
}
