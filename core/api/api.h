/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * How a route's requests are read: action, model and token usage, and the dialect its clients
 * understand errors in. Bytes in, facts out: no socket, no policy.
 */
#ifndef API_API_H
#define API_API_H

#include "conf/conf.h"
#include "http/form.h"
#include "http/message.h"
#include "http/sse.h"
#include "http/url.h"
#include "json/scan.h"

#define API_USAGE_WANTS 8

enum api_dialect { API_PLAIN /* RFC 9457 */, API_OPENAI, API_ANTHROPIC };

/* One request as its api sees it; part of the tx. */
struct api_call {
	const struct conf_route *route;
	enum api_dialect dialect;
	struct str action;        /* "predict", ...; set by api_resolve() */
	struct str resource_type; /* "model", "file", "training_job", ... */
	struct str model;         /* p NULL: not known (yet), or none is named */
	struct str version;       /* of the model, where the path names one; else p NULL */
	bool reads_body; /* the body is scanned: its end decides whether the request is whole */
	bool model_in_body;
	int64_t tokens_in; /* -1: unknown; after api_response_end() */
	int64_t tokens_out;
	/* private */
	struct arena *arena;
	unsigned kinds; /* of bodies that may be read, API_BODY_* */
	struct json_want want;
	struct json_value value;
	struct json_scan *scan; /* of these three at most one is there */
	struct multipart *multipart;
	struct urlform *urlform;
	struct form_want field;
	bool model_required;
	bool ended;                      /* the body, and it is good */
	bool has_usage;                  /* answers may tell of usage */
	struct json_value *usage_values; /* API_USAGE_WANTS of them, with the scan */
	struct json_scan *usage_scan;
	struct sse sse;
	bool sse_on;
	struct buf usage_first; /* the first event that told of usage, where it is needed */
	struct buf usage_event; /* the last one */
};

/* Which action is this? 0, or the status to refuse with: 400, 404, 405 (*allow: value for Allow),
 * 415 (the body would have to be read and is coded). *why: a phrase for the client. u: canonical.
 */
int api_resolve(const struct conf_route *route, const struct http_head *h, const struct url *u,
                struct arena *a, struct api_call *out, const char **allow,
                const char **why) MUST_CHECK;
/* Request body, for reads_body. NULL, or why it is refused: static text for the client. */
const char *api_body_feed(struct api_call *c, struct str data) MUST_CHECK;
/* The body has ended. */
const char *api_body_end(struct api_call *c) MUST_CHECK;
/* The error code of a body that is refused: "invalid_json", "invalid_form". */
const char *api_body_code(const struct api_call *c);
/* How many body bytes may be passed on so far; all where the body is not read. */
uint64_t api_releasable(const struct api_call *c, uint64_t fed);
/* Whether action and model are settled. */
bool api_settled(const struct api_call *c);

/* Response: content_type decides between one JSON text and an event stream. Usage is looked for
 * where the api has it; what is damaged has none. */
void api_response_begin(struct api_call *c, unsigned status, struct str content_type, bool coded);
void api_response_feed(struct api_call *c, struct str data);
void api_response_end(struct api_call *c);
void api_call_deinit(struct api_call *c);

/* An answer of the gateway's own in the caller's dialect. */
struct api_error {
	unsigned status;
	struct str code;    /* machine-readable: "invalid_api_key", "rate_limit_exceeded",
	                       "model_not_found", ... */
	struct str message; /* for people */
	struct str request_id;
};
/* Appends the body and tells its content type. */
int api_error_body(enum api_dialect d, const struct api_error *e, struct buf *out,
                   struct str *content_type) MUST_CHECK;
/* The dialect of a route's api; API_PLAIN for NULL. */
enum api_dialect api_dialect_of(const struct conf_route *route);

#endif
