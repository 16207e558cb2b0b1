/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Answers of the gateway's own, in the words that the client's library understands.
 */
#include "api/api.h"

#include "http/headers.h"

#include <stdio.h>

/* The first error is kept; what follows does nothing. */
struct out {
	struct buf *b;
	int r;
};

static void add(struct out *o, struct str s)
{
	if (!o->r)
		o->r = buf_adds(o->b, s);
}

/* p NULL: null. */
static void add_string(struct out *o, struct str s)
{
	if (!s.p)
		add(o, STR("null"));
	else if (!o->r)
		o->r = buf_add_json(o->b, s);
}

static struct str openai_type(unsigned status)
{
	if (status == 429)
		return STR("requests");
	return status >= 500 ? STR("server_error") : STR("invalid_request_error");
}

static void openai_body(struct out *o, const struct api_error *e)
{
	bool limited = e->status == 429 && e->code.n == 0;

	add(o, STR("{\"error\":{\"message\":"));
	add_string(o, e->message.p ? e->message : str_of(http_reason(e->status)));
	add(o, STR(",\"type\":"));
	add_string(o, openai_type(e->status));
	add(o, STR(",\"param\":null,\"code\":"));
	add_string(o, limited ? STR("rate_limit_exceeded") : e->code.n ? e->code : STR_NONE);
	add(o, STR("}}"));
}

static struct str anthropic_type(unsigned status)
{
	switch (status) {
	case 401:
		return STR("authentication_error");
	case 403:
		return STR("permission_error");
	case 404:
		return STR("not_found_error");
	case 413:
		return STR("request_too_large");
	case 429:
		return STR("rate_limit_error");
	case 503:
	case 529:
		return STR("overloaded_error");
	default:
		return status >= 500 ? STR("api_error") : STR("invalid_request_error");
	}
}

static void anthropic_body(struct out *o, const struct api_error *e)
{
	add(o, STR("{\"type\":\"error\",\"error\":{\"type\":"));
	add_string(o, anthropic_type(e->status));
	add(o, STR(",\"message\":"));
	add_string(o, e->message.p ? e->message : str_of(http_reason(e->status)));
	add(o, STR("},\"request_id\":"));
	add_string(o, e->request_id.n ? e->request_id : STR_NONE);
	add(o, STR("}"));
}

static void plain_member(struct out *o, struct str name, struct str value)
{
	if (value.n == 0)
		return;
	add(o, STR(",\""));
	add(o, name);
	add(o, STR("\":"));
	add_string(o, value);
}

/* RFC 9457 */
static void plain_body(struct out *o, const struct api_error *e)
{
	char status[16];

	snprintf(status, sizeof(status), "%u", e->status);
	add(o, STR("{\"type\":\"about:blank\",\"title\":"));
	add_string(o, str_of(http_reason(e->status)));
	add(o, STR(",\"status\":"));
	add(o, str_of(status));
	plain_member(o, STR("detail"), e->message);
	plain_member(o, STR("code"), e->code);
	plain_member(o, STR("request_id"), e->request_id);
	add(o, STR("}"));
}

int api_error_body(enum api_dialect d, const struct api_error *e, struct buf *out,
                   struct str *content_type)
{
	struct out o = {out, 0};

	*content_type = d == API_PLAIN ? STR("application/problem+json") : STR("application/json");
	switch (d) {
	case API_PLAIN:
		plain_body(&o, e);
		break;
	case API_OPENAI:
		openai_body(&o, e);
		break;
	case API_ANTHROPIC:
		anthropic_body(&o, e);
		break;
	}
	return o.r;
}
