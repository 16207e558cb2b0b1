/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Rules about fields that are already parsed. Nothing here allocates; answers are slices of what
 * was given.
 */
#include "http/headers.h"

#include "http/scan.h"

const struct http_field *http_find(const struct http_head *h, struct str name, unsigned index)
{
	for (unsigned i = 0; i < h->nfields; i++) {
		const struct http_field *f = &h->fields[i];

		if (f->name.n != name.n || (f->flags & HTTP_FIELD_DROP) || !str_ieq(f->name, name))
			continue;
		if (index-- == 0)
			return f;
	}
	return NULL;
}

void http_head_moved(struct http_head *h, const char *from, const char *to)
{
	struct str *const texts[] = {&h->method_text, &h->target, &h->reason};

	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i]->n)
			texts[i]->p = to + (texts[i]->p - from);
	}
	for (unsigned i = 0; i < h->nfields; i++) {
		struct http_field *f = &h->fields[i];

		f->name.p = to + (f->name.p - from);
		/* An empty value lies in the head too. */
		f->value.p = to + (f->value.p - from);
	}
}

int http_list_each(struct str value, int (*fn)(void *arg, struct str member), void *arg)
{
	while (value.p) {
		struct str member = str_trim(str_split(&value, ','));

		if (member.n == 0)
			continue;
		int r = fn(arg, member);
		if (r)
			return r;
	}
	return 0;
}

struct str http_media_type(struct str content_type)
{
	return str_trim(str_split(&content_type, ';'));
}

static int drop_named(void *arg, struct str option)
{
	struct http_head *h = arg;

	for (unsigned i = 0; i < h->nfields; i++) {
		if (str_ieq(h->fields[i].name, option))
			h->fields[i].flags |= HTTP_FIELD_DROP;
	}
	return 0;
}

void http_mark_dropped(struct http_head *h)
{
	const uint64_t hop = HTTP_HOP_FIELDS | HTTP_F_BIT(HTTP_F_PROXY_AUTHENTICATE) |
	                     HTTP_F_BIT(HTTP_F_PROXY_AUTHORIZATION);
	const uint64_t client = HTTP_F_BIT(HTTP_F_RESERVED) | HTTP_F_BIT(HTTP_F_AUTHORIZATION) |
	                        HTTP_F_BIT(HTTP_F_X_API_KEY) | HTTP_F_BIT(HTTP_F_API_KEY);
	uint64_t dropped = h->response ? hop : hop | client;

	for (unsigned i = 0; i < h->nfields; i++) {
		struct http_field *f = &h->fields[i];

		if (dropped & HTTP_F_BIT(f->id))
			f->flags |= HTTP_FIELD_DROP;
		if (f->id == HTTP_F_CONNECTION)
			http_list_each(f->value, drop_named, h);
	}
}

static int is_upgrade(void *arg, struct str option)
{
	(void)arg;
	return str_ieq(option, STR("upgrade"));
}

bool http_asks_upgrade(const struct http_head *h)
{
	unsigned i = h->first[HTTP_F_CONNECTION];
	bool asks = false;

	if (i == 0)
		return false;
	for (i--; i < h->nfields; i++)
		if (h->fields[i].id == HTTP_F_CONNECTION)
			asks |= http_list_each(h->fields[i].value, is_upgrade, NULL) != 0;
	return asks && http_find(h, STR("upgrade"), 0);
}

bool http_is_token(struct str s)
{
	return s.n > 0 && scan_name(s.p, 0, s.n, CHAR_TOKEN) == s.n;
}

/* Most values that modules set are numbers: of 4 to 16 bytes the first and the last ones. */
static bool short_is_text(struct str s)
{
	uint64_t first, last;

	if (s.n < 4 || s.n > 16)
		return false;
	if (s.n < 8) {
		first = last = (uint64_t)half_load(s.p) << 32 | half_load(s.p + s.n - 4);
	} else {
		first = word_load(s.p);
		last = word_load(s.p + s.n - 8);
	}
	return scan_word_is_text(first) && scan_word_is_text(last);
}

bool http_is_field_value(struct str s)
{
	if (s.n == 0)
		return true;
	/* Of what a value may hold only SP and HTAB are not above SP. */
	if ((uint8_t)s.p[0] <= ' ' || (uint8_t)s.p[s.n - 1] <= ' ')
		return false;
	return short_is_text(s) || scan_value(s.p, 0, s.n) == s.n;
}

static const struct {
	unsigned status;
	const char *phrase;
} reasons[] = {
    {200, "OK"},
    {100, "Continue"},
    {101, "Switching Protocols"},
    {103, "Early Hints"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {511, "Network Authentication Required"},
};

const char *http_reason(unsigned status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (reasons[i].status == status)
			return reasons[i].phrase;
	}
	return "Unknown";
}
