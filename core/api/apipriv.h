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

struct api_request {
	const struct http_head *head;
	const struct url *url;
	const char **allow;
	const char **why;
};
/* 0 or the status to refuse with. */
int openai_resolve(struct api_call *c, const struct api_request *r) MUST_CHECK;
int rest_resolve(struct api_call *c, const struct api_request *r) MUST_CHECK;

/* The model is the string at `path` (names divided by dots) of the body. */
void api_model_from_body(struct api_call *c, const char *path, bool required);
/* A model named outside the body: 0 or 400. */
int api_model_set(struct api_call *c, struct str model, const char **why) MUST_CHECK;
int api_refuse(int status, const char **why, const char *text);

#endif
