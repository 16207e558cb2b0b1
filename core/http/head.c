/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * From offsets to a head, and the rules that need all of it: Host, framing, Connection, Expect,
 * credentials. Framing errors are what request smuggling is made of, so none of them is repaired.
 */
#include "http/head.h"

#include "http/headers.h"
#include "http/url.h"

#define CONNECTION_OPTIONS_MAX 32 /* each is compared with every field later */
static struct str text(const char *d, uint32_t begin, uint32_t end)
{
	return (struct str){d + begin, end - begin};
}

/* Answers the ids that stand more than once. */
static uint64_t build_fields(const struct http_parser *p, const char *d, struct arena *a,
                             struct http_head *h)
{
	uint64_t twice = 0;

	h->nfields = p->nfields;
	h->fields = arena_alloc(a, sizeof(*h->fields) * (p->nfields ? p->nfields : 1u));
	for (uint16_t i = 0; i < p->nfields; i++) {
		const struct http_field_at *at = &p->fields[i];
		struct http_field *f = &h->fields[i];

		f->name = text(d, at->name, at->name_end);
		f->value = text(d, at->value, at->value_end);
		f->id = (uint8_t)at->id;
		f->flags = 0;
		if (h->first[f->id])
			twice |= HTTP_F_BIT(f->id);
		else
			h->first[f->id] = (uint16_t)(i + 1);
	}
	return twice;
}

struct options {
	unsigned count;
	bool close;
	bool keep_alive;
	bool response;
	const char *fault;
};

static int on_option(void *arg, struct str option)
{
	/* Removal of these would change who asks, whom, or where the message ends. */
	const uint64_t kept = HTTP_F_BIT(HTTP_F_AUTHORIZATION) | HTTP_F_BIT(HTTP_F_HOST) |
	                      HTTP_F_BIT(HTTP_F_CONTENT_LENGTH) |
	                      HTTP_F_BIT(HTTP_F_TRANSFER_ENCODING) | HTTP_F_BIT(HTTP_F_COOKIE) |
	                      HTTP_F_BIT(HTTP_F_X_API_KEY) | HTTP_F_BIT(HTTP_F_API_KEY);
	struct options *o = arg;

	if (++o->count > CONNECTION_OPTIONS_MAX)
		o->fault = "too many Connection options";
	else if (str_ieq(option, STR("close")))
		o->close = true;
	else if (str_ieq(option, STR("keep-alive")))
		o->keep_alive = true;
	else if (!http_is_token(option))
		o->fault = "Connection option is not a token";
	else if (!o->response && (kept & HTTP_F_BIT(http_field_id_of(option))))
		o->fault = "Connection names a field that may not be removed";
	return o->fault != NULL;
}

static enum http_result check_connection(struct http_parser *p, struct http_head *h)
{
	struct options o = {.response = h->response};

	for (unsigned i = h->first[HTTP_F_CONNECTION]; i && i <= h->nfields; i++) {
		const struct http_field *f = &h->fields[i - 1];

		if (f->id == HTTP_F_CONNECTION && http_list_each(f->value, on_option, &o))
			return http_refuse(p, 400, o.fault);
	}
	h->keep_alive = !o.close && (h->minor == 1 || o.keep_alive);
	return HTTP_DONE;
}

/* A Transfer-Encoding that is not "chunked": 501 where it is a list of codings of which we know not
 * all, 400 where it is no such list or applies chunked twice. */
static uint16_t coding_status(struct str value)
{
	bool other = false;

	while (value.p) {
		struct str member = str_trim(str_split(&value, ','));

		if (!http_is_token(member))
			return 400;
		if (!str_ieq(member, STR("chunked")))
			other = true;
	}
	return other ? 501 : 400;
}

static bool length_of(struct str value, uint64_t *length)
{
	return str_u64(value, length) && *length <= INT64_MAX;
}

/* The rules both directions share; the framing is what the fields say. */
static enum http_result check_framing(struct http_parser *p, struct http_head *h, uint64_t twice)
{
	const struct http_field *te = http_first(h, HTTP_F_TRANSFER_ENCODING);
	const struct http_field *cl = http_first(h, HTTP_F_CONTENT_LENGTH);

	if (te && cl)
		return http_refuse(p, 400, "both Transfer-Encoding and Content-Length");
	if (twice & HTTP_F_BIT(HTTP_F_CONTENT_LENGTH))
		return http_refuse(p, 400, "more than one Content-Length");
	if (twice & HTTP_F_BIT(HTTP_F_TRANSFER_ENCODING))
		return http_refuse(p, 400, "more than one Transfer-Encoding");
	if (te && h->minor == 0)
		return http_refuse(p, 400, "Transfer-Encoding in HTTP/1.0");
	if (te && !str_ieq(te->value, STR("chunked")))
		return http_refuse(p, coding_status(te->value),
		                   "Transfer-Encoding other than chunked");
	if (cl && !length_of(cl->value, &h->length))
		return http_refuse(p, 400, "Content-Length is not a number");
	if (te)
		h->framing = HTTP_CHUNKED;
	else if (cl)
		h->framing = HTTP_LENGTH;
	return HTTP_DONE;
}

static enum http_result check_host(struct http_parser *p, const struct http_head *h, uint64_t twice)
{
	const struct http_field *host = http_first(h, HTTP_F_HOST);

	if (!host)
		return h->minor == 0 ? HTTP_DONE : http_refuse(p, 400, "Host is missing");
	if (twice & HTTP_F_BIT(HTTP_F_HOST))
		return http_refuse(p, 400, "more than one Host");
	if (!url_host_valid(host->value))
		return http_refuse(p, 400, "Host is not valid");
	return HTTP_DONE;
}

static enum http_result check_expect(struct http_parser *p, struct http_head *h, uint64_t twice)
{
	const struct http_field *expect = http_first(h, HTTP_F_EXPECT);

	if (!expect)
		return HTTP_DONE;
	if ((twice & HTTP_F_BIT(HTTP_F_EXPECT)) || !str_ieq(expect->value, STR("100-continue")))
		return http_refuse(p, 417, "Expect other than 100-continue");
	h->expect_continue = h->minor == 1;
	return HTTP_DONE;
}

static enum http_result check_request(struct http_parser *p, struct http_head *h, uint64_t twice)
{
	if (check_host(p, h, twice) || check_framing(p, h, twice) || check_connection(p, h))
		return HTTP_BAD;
	if (twice & HTTP_F_BIT(HTTP_F_AUTHORIZATION))
		return http_refuse(p, 400, "more than one Authorization");
	return check_expect(p, h, twice);
}

static enum http_result check_response(struct http_parser *p, struct http_head *h, uint64_t twice)
{
	bool bodiless = h->status < 200 || h->status == 204;

	if (check_framing(p, h, twice) || check_connection(p, h))
		return HTTP_BAD;
	/* Peers disagree on whether such a body is there; the connection cannot be trusted after
	 * it. */
	if (bodiless && (h->framing == HTTP_CHUNKED || h->length > 0))
		return http_refuse(p, 502, "body announced where none can be");
	if (bodiless || h->status == 304 || p->head_request) {
		h->framing = HTTP_NO_BODY;
	} else if (h->framing == HTTP_NO_BODY) {
		h->framing = HTTP_UNTIL_CLOSE;
		h->keep_alive = false;
	}
	return HTTP_DONE;
}

enum http_result http_head_build(struct http_parser *p, const char *d, struct arena *a,
                                 struct http_head *h)
{
	*h = (struct http_head){.response = p->response, .minor = p->minor, .size = p->at};
	uint64_t twice = build_fields(p, d, a, h);
	if (p->response) {
		h->status = (uint16_t)p->offs[OFF_STATUS];
		h->reason = text(d, p->offs[OFF_REASON], p->offs[OFF_REASON_END]);
		return check_response(p, h, twice);
	}
	h->method_text = text(d, p->offs[OFF_METHOD], p->offs[OFF_METHOD_END]);
	h->method = http_method_of(h->method_text);
	h->target = text(d, p->offs[OFF_TARGET], p->offs[OFF_TARGET_END]);
	return check_request(p, h, twice);
}
