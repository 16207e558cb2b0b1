/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What api.c and the apis share. An api fills in action, resource type and where the model comes
 * from; the rest is common to all.
 */
#ifndef API_APIPRIV_H
#define API_APIPRIV_H

#include "api/api.h"

#define API_MODEL_MAX 256

#define API_BODY_JSON 1u
#define API_BODY_MULTIPART 2u
#define API_BODY_URLFORM 4u
#define API_BODY_ANY (API_BODY_JSON | API_BODY_MULTIPART | API_BODY_URLFORM)

struct api_request {
	const struct http_head *head;
	const struct url *url;
	const char **allow;
	const char **why;
};
/* 0 or the status to refuse with. */
int openai_resolve(struct api_call *c, const struct api_request *r) MUST_CHECK;
int rest_resolve(struct api_call *c, const struct api_request *r) MUST_CHECK;
int anthropic_resolve(struct api_call *c, const struct api_request *r) MUST_CHECK;
int kserve_resolve(struct api_call *c, const struct api_request *r) MUST_CHECK;

/* The model is the string at `path` (names divided by dots) of a JSON body, or the field of that
 * name of a form. kinds: API_BODY_*. */
void api_model_from_body(struct api_call *c, const char *path, bool required, unsigned kinds);
/* What the api does not know: 404, or by the route's allow_unknown a call of that action. */
int api_unknown(struct api_call *c, const struct api_request *r) MUST_CHECK;

/* ---- tables of endpoints ---- */
enum { API_GET = 1, API_POST = 2, API_DELETE = 4 }; /* HEAD counts as GET */
/* The path behind "v1/": a route may put the api under a prefix of its own. */
struct str api_path(const struct conf_route *route, struct str path);
unsigned api_method(const struct http_head *h);
/* 405 with the methods that there are. */
int api_refuse_method(const struct api_request *r, unsigned methods);
/* The model is this part of the path: decoded; 0 or 400. */
int api_model_of_path(struct api_call *c, const struct api_request *r, struct str part) MUST_CHECK;
/* A model named outside the body: 0 or 400. */
int api_model_set(struct api_call *c, struct str model, const char **why) MUST_CHECK;
int api_refuse(int status, const char **why, const char *text);

/* Whether the type is written as nearly all write it. Others may mean JSON too. */
static inline bool api_is_json(struct str content_type)
{
	const struct str json = STR("application/json");

	return content_type.n == json.n && memcmp(content_type.p, json.p, json.n) == 0;
}

#endif
