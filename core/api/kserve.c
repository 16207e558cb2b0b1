/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The inference protocols of KServe: version 1 (of TensorFlow Serving) and version 2 (the Open
 * Inference Protocol, with Triton's generate and repository endpoints), as one table of paths. The
 * model and its version stand in the path, so bodies are not read.
 */
#include "api/apipriv.h"

#define SEGMENTS_MAX 8

struct endpoint {
	/* Segments; MODEL and VERSION stand for one, ANY too, "word|word" for one of these. */
	const char *path;
	unsigned method;
	const char *action;
};

static const struct endpoint endpoints[] = {
    {"v1/models", API_GET, "read"},
    {"v1/models/MODEL", API_GET, "read"},
    {"v1/models/MODEL/metadata", API_GET, "read"},
    {"v1/models/MODEL/versions|labels/VERSION", API_GET, "read"},
    {"v1/models/MODEL/versions|labels/VERSION/metadata", API_GET, "read"},
    {"v1/models/MODEL/:predict|:explain|:classify|:regress", API_POST, "predict"},
    {"v1/models/MODEL/versions|labels/VERSION/:predict|:explain|:classify|:regress", API_POST,
     "predict"},
    {"v2", API_GET, "read"},
    {"v2/health/live|ready", API_GET, "read"},
    {"v2/models", API_GET, "read"},
    {"v2/models/stats", API_GET, "read"}, /* of all models; so to Triton */
    {"v2/models/MODEL", API_GET, "read"},
    {"v2/models/MODEL/ready|config|stats", API_GET, "read"},
    {"v2/models/MODEL/infer|generate|generate_stream", API_POST, "predict"},
    {"v2/models/MODEL/versions/VERSION", API_GET, "read"},
    {"v2/models/MODEL/versions/VERSION/ready|config|stats", API_GET, "read"},
    {"v2/models/MODEL/versions/VERSION/infer|generate|generate_stream", API_POST, "predict"},
    {"v2/repository/index", API_POST, "manage"},
    {"v2/repository/models/MODEL/load|unload", API_POST, "manage"},
    {"v2/repository/ANY/index", API_POST, "manage"},
    {"v2/repository/ANY/models/MODEL/load|unload", API_POST, "manage"},
};

struct path {
	struct str segments[SEGMENTS_MAX];
	unsigned n;
};
struct found {
	const struct endpoint *endpoint;
	struct str model;
	struct str version; /* p NULL: none */
};

static bool add(struct path *p, struct str segment)
{
	if (segment.n == 0 || p->n == SEGMENTS_MAX)
		return false;
	p->segments[p->n++] = segment;
	return true;
}

/* Of version 1 the verb behind the last colon counts as a segment, with its colon. A colon
 * elsewhere is none that TensorFlow Serving would take for part of a name. */
static bool split_path(struct str rest, struct path *out)
{
	struct str s;
	ptrdiff_t colon;

	out->n = 0;
	while (rest.p) {
		s = str_split(&rest, '/');
		colon = str_find(s, ':');
		if (out->n > 0 && str_eq(out->segments[0], STR("v1")) && colon >= 0) {
			if (rest.p || !add(out, (struct str){s.p, (size_t)colon}))
				return false;
			s = (struct str){s.p + colon, s.n - (size_t)colon};
		}
		if (!add(out, s))
			return false;
	}
	return true;
}

static bool one_of(struct str s, struct str words)
{
	while (words.p)
		if (str_eq(s, str_split(&words, '|')))
			return true;
	return false;
}

static bool fits(const struct endpoint *e, const struct path *p, struct found *out)
{
	struct str rest = str_of(e->path);
	unsigned i = 0;

	*out = (struct found){.endpoint = e};
	while (rest.p) {
		struct str want = str_split(&rest, '/');
		struct str is;

		if (i == p->n)
			return false;
		is = p->segments[i++];
		if (str_eq(want, STR("MODEL")))
			out->model = is;
		else if (str_eq(want, STR("VERSION")))
			out->version = is;
		else if (!str_eq(want, STR("ANY")) && !one_of(is, want))
			return false;
		/* A verb is no name. */
		if (is.p[0] == ':' && want.p[0] != ':')
			return false;
	}
	return i == p->n;
}

static bool find(struct str path, struct found *out)
{
	struct path p;

	if (!split_path(path, &p))
		return false;
	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
		if (fits(&endpoints[i], &p, out))
			return true;
	return false;
}

/* The path as it stands, or behind the route's prefix. */
static bool find_any(const struct conf_route *route, struct str path, struct found *out)
{
	if (find((struct str){path.p + 1, path.n - 1}, out))
		return true;
	return route->prefix && path.n > route->path.n &&
	       find((struct str){path.p + route->path.n, path.n - route->path.n}, out);
}

static int name(struct api_call *c, const struct api_request *r, const struct found *f)
{
	int status = 0;

	if (f->version.p) {
		status = api_model_of_path(c, r, f->version);
		c->version = c->model;
		c->model = STR_NONE;
	}
	if (!status && f->model.p)
		status = api_model_of_path(c, r, f->model);
	/* From an escape: to who decodes before it divides, a verb. */
	if (!status && str_starts(str_of(f->endpoint->path), STR("v1")) &&
	    (str_find(c->model, ':') >= 0 || str_find(c->version, ':') >= 0))
		status = api_refuse(400, r->why, "invalid model name");
	return status;
}

int kserve_resolve(struct api_call *c, const struct api_request *r)
{
	struct found f;

	if (url_has_encoded_slash(r->url->path))
		return api_refuse(400, r->why, "an encoded slash in the path");
	if (!find_any(c->route, r->url->path, &f))
		return api_unknown(c, r);
	if (api_method(r->head) != f.endpoint->method)
		return api_refuse_method(r, f.endpoint->method);
	c->action = str_of(f.endpoint->action);
	c->resource_type = STR("model");
	return name(c, r, &f);
}
