/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The inference protocols of KServe: version 1 (of TensorFlow Serving) and version 2 (the Open
 * Inference Protocol, with Triton's generate and repository endpoints). The model and its version
 * stand in the path, so bodies are not read.
 */
#include "api/apipriv.h"

/* What is left of a path, segment by segment. */
struct walk {
	struct str rest; /* p NULL: nothing is left */
};

static bool next(struct walk *w, struct str *segment)
{
	if (!w->rest.p)
		return false;
	*segment = str_split(&w->rest, '/');
	return segment->n > 0;
}

/* From the version on: "v2/models/m". */
static struct str api_path(const struct conf_route *route, struct str path)
{
	bool whole = str_starts(path, STR("/v1/")) || str_starts(path, STR("/v2/")) ||
	             str_eq(path, STR("/v2"));
	size_t n = whole || !route->prefix ? 1 : route->path.n;

	return path.n >= n ? (struct str){path.p + n, path.n - n} : STR_NONE;
}

static int act(struct api_call *c, const struct api_request *r, struct str action, unsigned method)
{
	if (api_method(r->head) != method)
		return api_refuse_method(r, method);
	c->action = action;
	c->resource_type = STR("model");
	return 0;
}

static int act_on(struct api_call *c, const struct api_request *r, struct str action,
                  unsigned method, struct str model)
{
	int status = act(c, r, action, method);

	return status ? status : api_model_of_path(c, r, model);
}

static bool one_of(struct str s, const char *const *words)
{
	for (; *words; words++)
		if (str_eq(s, str_of(*words)))
			return true;
	return false;
}

/* ---- version 1: models/NAME[/versions/N|/labels/L][:VERB] ---- */
/* Cuts ":VERB" off; false: there is none that is known. */
static bool cut_verb(struct str *s)
{
	static const char *const verbs[] = {"predict", "explain", "classify", "regress", NULL};

	for (size_t i = s->n; i-- > 0;) {
		if (s->p[i] != ':')
			continue;
		if (!one_of((struct str){s->p + i + 1, s->n - i - 1}, verbs))
			return false;
		s->n = i;
		return true;
	}
	return false;
}

static int version1(struct api_call *c, const struct api_request *r, struct walk w)
{
	struct str model, what, segment;
	bool verb;

	if (!w.rest.p)
		return act(c, r, STR("read"), API_GET);
	verb = cut_verb(&w.rest);
	if (!next(&w, &model))
		return api_unknown(c, r);
	if (next(&w, &what)) {
		bool versioned = str_eq(what, STR("versions")) || str_eq(what, STR("labels"));

		if (versioned && !next(&w, &c->version))
			return api_unknown(c, r);
		if (versioned && next(&w, &what))
			versioned = false;
		/* Behind both forms there may be metadata, and nothing else. */
		if (!versioned && (verb || !str_eq(what, STR("metadata"))))
			return api_unknown(c, r);
	}
	if (next(&w, &segment) || w.rest.p)
		return api_unknown(c, r);
	if (verb)
		return act_on(c, r, STR("predict"), API_POST, model);
	return act_on(c, r, STR("read"), API_GET, model);
}

/* ---- version 2 ---- */
static int model2(struct api_call *c, const struct api_request *r, struct walk w)
{
	static const char *const reads[] = {"ready", "config", "stats", NULL};
	static const char *const predicts[] = {"infer", "generate", "generate_stream", NULL};
	struct str model, what = STR("");

	if (!next(&w, &model))
		return api_unknown(c, r);
	if (next(&w, &what) && str_eq(what, STR("versions"))) {
		if (!next(&w, &c->version))
			return api_unknown(c, r);
		what = STR("");
		(void)next(&w, &what);
	}
	if (w.rest.p)
		return api_unknown(c, r);
	if (one_of(what, predicts))
		return act_on(c, r, STR("predict"), API_POST, model);
	if (what.n == 0 || one_of(what, reads))
		return act_on(c, r, STR("read"), API_GET, model);
	return api_unknown(c, r);
}

static int repository(struct api_call *c, const struct api_request *r, struct walk w)
{
	static const char *const verbs[] = {"load", "unload", NULL};
	struct str what, model;

	if (next(&w, &what) && str_eq(what, STR("index")) && !w.rest.p)
		return act(c, r, STR("manage"), API_POST);
	if (!str_eq(what, STR("models")) || !next(&w, &model) || !next(&w, &what) || w.rest.p ||
	    !one_of(what, verbs))
		return api_unknown(c, r);
	return act_on(c, r, STR("manage"), API_POST, model);
}

static int version2(struct api_call *c, const struct api_request *r, struct walk w)
{
	struct str what, which;

	if (!next(&w, &what))
		return w.rest.p ? api_unknown(c, r) : act(c, r, STR("read"), API_GET);
	if (str_eq(what, STR("models")))
		return w.rest.p ? model2(c, r, w) : act(c, r, STR("read"), API_GET);
	if (str_eq(what, STR("repository")))
		return repository(c, r, w);
	if (str_eq(what, STR("health")) && next(&w, &which) && !w.rest.p &&
	    (str_eq(which, STR("live")) || str_eq(which, STR("ready"))))
		return act(c, r, STR("read"), API_GET);
	return api_unknown(c, r);
}

int kserve_resolve(struct api_call *c, const struct api_request *r)
{
	struct walk w = {api_path(c->route, r->url->path)};
	struct str version, models;

	if (url_has_encoded_slash(r->url->path))
		return api_refuse(400, r->why, "an encoded slash in the path");
	if (!next(&w, &version))
		return api_unknown(c, r);
	if (str_eq(version, STR("v2")))
		return version2(c, r, w);
	if (str_eq(version, STR("v1")) && next(&w, &models) && str_eq(models, STR("models")))
		return version1(c, r, w);
	return api_unknown(c, r);
}
