/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The bytes of a head, one state after another. Every state scans from p->at over what it accepts
 * and stops at the first byte that ends or breaks it; nothing before p->at is looked at again but
 * for trimming a value. What needs the whole head is checked in head.c.
 */
#include "http/parse.h"

#include "http/chars.h"
#include "http/head.h"

#define METHOD_MAX 32

enum state {
	STATE_EMPTY_LINE, /* the one CRLF that may stand before a request line */
	STATE_EMPTY_LF,
	STATE_METHOD,
	STATE_TARGET,
	STATE_VERSION,
	STATE_STATUS,
	STATE_REASON,
	STATE_LINE_LF,
	STATE_FIELD,
	STATE_NAME,
	STATE_OWS,
	STATE_VALUE,
	STATE_END_LF,
	STATE_DONE,
	STATE_BAD,
};

/* What a state answers when another state goes on; else one of enum http_result. */
enum { NEXT = -1 };

void http_parser_init(struct http_parser *p, bool response, size_t max)
{
	p->response = response;
	p->head_request = false;
	p->max = max < UINT32_MAX ? max : UINT32_MAX;
	p->status = 0;
	p->reason = NULL;
	p->at = 0;
	p->state = response ? STATE_VERSION : STATE_EMPTY_LINE;
	p->minor = 0;
	p->nfields = 0;
	p->mark = 0;
	memset(p->offs, 0, sizeof(p->offs));
}

enum http_result http_refuse(struct http_parser *p, uint16_t status, const char *reason)
{
	p->status = p->response ? 502 : status;
	p->reason = reason;
	p->state = STATE_BAD;
	return HTTP_BAD;
}

static int go(struct http_parser *p, enum state state)
{
	p->state = (uint8_t)state;
	return NEXT;
}

/* Says what is wrong with a byte that neither names nor values nor the start line may hold. */
static const char *byte_fault(char c, const char *otherwise)
{
	if (c == '\r')
		return "bare CR";
	if (c == '\n')
		return "bare LF";
	if (c == '\0')
		return "NUL byte";
	return otherwise;
}

static int on_empty_line(struct http_parser *p, const char *d, uint32_t n)
{
	(void)n;
	if (d[p->at] == '\r') {
		p->at++;
		return go(p, STATE_EMPTY_LF);
	}
	p->offs[OFF_METHOD] = p->at;
	return go(p, STATE_METHOD);
}

/* As an answer of a state. */
static int refuse(struct http_parser *p, uint16_t status, const char *reason)
{
	return (int)http_refuse(p, status, reason);
}

static int on_empty_lf(struct http_parser *p, const char *d, uint32_t n)
{
	(void)n;
	if (d[p->at] != '\n')
		return refuse(p, 400, "bare CR");
	p->at++;
	p->offs[OFF_METHOD] = p->at;
	return go(p, STATE_METHOD);
}

static int on_method(struct http_parser *p, const char *d, uint32_t n)
{
	uint32_t begin = p->offs[OFF_METHOD];

	while (p->at < n && http_is(d[p->at], CHAR_TOKEN)) {
		if (p->at - begin >= METHOD_MAX)
			return refuse(p, 400, "method is too long");
		p->at++;
	}
	if (p->at == n)
		return HTTP_MORE;
	if (d[p->at] != ' ')
		return refuse(p, 400, byte_fault(d[p->at], "method is not a token"));
	if (p->at == begin)
		return refuse(p, 400, "method is empty");
	p->offs[OFF_METHOD_END] = p->at++;
	p->offs[OFF_TARGET] = p->at;
	return go(p, STATE_TARGET);
}

static int on_target(struct http_parser *p, const char *d, uint32_t n)
{
	while (p->at < n && http_is(d[p->at], CHAR_TARGET))
		p->at++;
	if (p->at == n)
		return HTTP_MORE;
	if (d[p->at] != ' ')
		return refuse(p, 400, byte_fault(d[p->at], "byte not allowed in target"));
	if (p->at == p->offs[OFF_TARGET])
		return refuse(p, 400, "target is empty");
	p->offs[OFF_TARGET_END] = p->at++;
	p->mark = p->at;
	return go(p, STATE_VERSION);
}

/* The byte behind "HTTP/d.d". Only here is it known that a version was named at all, so that 505
 * and 400 can be told apart. */
static int version_end(struct http_parser *p, char c)
{
	bool status_follows = p->response && c == ' ';

	if (!status_follows && (c != '\r' || p->response))
		return refuse(p, 400, "malformed HTTP version");
	if (p->offs[OFF_MAJOR] != 1 || p->minor > 1)
		return refuse(p, 505, "HTTP version is not supported");
	p->at++;
	p->mark = p->at;
	return go(p, status_follows ? STATE_STATUS : STATE_LINE_LF);
}

static int on_version(struct http_parser *p, const char *d, uint32_t n)
{
	static const char form[] = "HTTP/0.0"; /* '0': any digit */

	for (; p->at < n; p->at++) {
		uint32_t i = p->at - p->mark;
		char c = d[p->at];

		if (i == sizeof(form) - 1)
			return version_end(p, c);
		if (form[i] == '0' ? !http_is(c, CHAR_DIGIT) : c != form[i])
			return refuse(p, 400, "malformed HTTP version");
		if (i == 5)
			p->offs[OFF_MAJOR] = (uint32_t)(c - '0');
		if (i == 7)
			p->minor = (uint8_t)(c - '0');
	}
	return HTTP_MORE;
}

/* What stands behind the three digits: a reason, which may be empty, or the end of the line. */
static int status_end(struct http_parser *p, char c)
{
	if (p->offs[OFF_STATUS] < 100 || p->offs[OFF_STATUS] > 599)
		return refuse(p, 502, "status code out of range");
	if (c != ' ' && c != '\r')
		return refuse(p, 502, "malformed status line");
	p->at++;
	p->offs[OFF_REASON] = p->offs[OFF_REASON_END] = p->at;
	return go(p, c == ' ' ? STATE_REASON : STATE_LINE_LF);
}

static int on_status(struct http_parser *p, const char *d, uint32_t n)
{
	for (; p->at < n; p->at++) {
		if (p->at - p->mark == 3)
			return status_end(p, d[p->at]);
		if (!http_is(d[p->at], CHAR_DIGIT))
			return refuse(p, 502, "status code is not three digits");
		p->offs[OFF_STATUS] = p->offs[OFF_STATUS] * 10 + (uint32_t)(d[p->at] - '0');
	}
	return HTTP_MORE;
}

/* Steps over bytes of a field value, eight at a time while none of them is below 0x20 or DEL. HTAB
 * ends the quick part and is left to the table. */
static uint32_t value_run(const char *d, uint32_t at, uint32_t n)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);

	while (n - at >= 8) {
		uint64_t w;

		memcpy(&w, d + at, sizeof(w));
		uint64_t del = w ^ (ones * 0x7f);
		uint64_t low = (w - ones * 0x20) & ~w;
		if ((low | ((del - ones) & ~del)) & (ones * 0x80))
			break;
		at += 8;
	}
	while (at < n && http_is(d[at], CHAR_VALUE))
		at++;
	return at;
}

static int on_reason(struct http_parser *p, const char *d, uint32_t n)
{
	p->at = value_run(d, p->at, n);
	if (p->at == n)
		return HTTP_MORE;
	if (d[p->at] != '\r')
		return refuse(p, 502, byte_fault(d[p->at], "control byte in reason"));
	p->offs[OFF_REASON_END] = p->at++;
	return go(p, STATE_LINE_LF);
}

static int on_line_lf(struct http_parser *p, const char *d, uint32_t n)
{
	(void)n;
	if (d[p->at] != '\n')
		return refuse(p, 400, "bare CR");
	p->at++;
	return go(p, STATE_FIELD);
}

static int on_field(struct http_parser *p, const char *d, uint32_t n)
{
	char c = d[p->at];

	(void)n;
	if (c == '\r') {
		p->at++;
		return go(p, STATE_END_LF);
	}
	if (c == ' ' || c == '\t')
		return refuse(p, 400, "line folding");
	if (p->nfields == HTTP_FIELDS_MAX)
		return refuse(p, 431, "too many fields");
	p->field_offs[p->nfields][0] = p->at;
	return go(p, STATE_NAME);
}

static int name_fault(struct http_parser *p, char c)
{
	if (c == ' ' || c == '\t')
		return refuse(p, 400, "space in or after field name");
	if (c == '_')
		return refuse(p, 400, "underscore in field name");
	return refuse(p, 400, byte_fault(c, "field name is not a token"));
}

static int on_name(struct http_parser *p, const char *d, uint32_t n)
{
	unsigned allowed = p->response ? CHAR_TOKEN : CHAR_NAME;
	uint32_t at = p->at;

	while (at < n && http_is(d[at], allowed))
		at++;
	p->at = at;
	if (at == n)
		return HTTP_MORE;
	if (d[at] != ':')
		return name_fault(p, d[at]);
	if (at == p->field_offs[p->nfields][0])
		return refuse(p, 400, "field name is empty");
	p->field_offs[p->nfields][1] = at;
	p->at++;
	return go(p, STATE_OWS);
}

static int on_ows(struct http_parser *p, const char *d, uint32_t n)
{
	while (p->at < n && (d[p->at] == ' ' || d[p->at] == '\t'))
		p->at++;
	if (p->at == n)
		return HTTP_MORE;
	p->field_offs[p->nfields][2] = p->at;
	return go(p, STATE_VALUE);
}

static int on_value(struct http_parser *p, const char *d, uint32_t n)
{
	p->at = value_run(d, p->at, n);
	if (p->at == n)
		return HTTP_MORE;
	if (d[p->at] != '\r')
		return refuse(p, 400, byte_fault(d[p->at], "control byte in field value"));
	uint32_t end = p->at++;
	uint32_t begin = p->field_offs[p->nfields][2];
	while (end > begin && (d[end - 1] == ' ' || d[end - 1] == '\t'))
		end--;
	p->field_offs[p->nfields][3] = end;
	p->nfields++;
	return go(p, STATE_LINE_LF);
}

static int on_end_lf(struct http_parser *p, const char *d, uint32_t n)
{
	(void)n;
	if (d[p->at] != '\n')
		return refuse(p, 400, "bare CR");
	p->at++;
	p->state = STATE_DONE;
	return HTTP_DONE;
}

static int (*const states[])(struct http_parser *p, const char *d, uint32_t n) = {
    [STATE_EMPTY_LINE] = on_empty_line,
    [STATE_EMPTY_LF] = on_empty_lf,
    [STATE_METHOD] = on_method,
    [STATE_TARGET] = on_target,
    [STATE_VERSION] = on_version,
    [STATE_STATUS] = on_status,
    [STATE_REASON] = on_reason,
    [STATE_LINE_LF] = on_line_lf,
    [STATE_FIELD] = on_field,
    [STATE_NAME] = on_name,
    [STATE_OWS] = on_ows,
    [STATE_VALUE] = on_value,
    [STATE_END_LF] = on_end_lf,
};

enum http_result http_parse(struct http_parser *p, const char *data, size_t n, struct arena *a,
                            struct http_head *head)
{
	uint32_t end = (uint32_t)(n < p->max ? n : p->max);

	while (p->at < end && p->state < STATE_DONE) {
		int r = states[p->state](p, data, end);
		if (r == HTTP_BAD)
			return HTTP_BAD;
	}
	if (p->state == STATE_BAD)
		return HTTP_BAD;
	if (p->state == STATE_DONE)
		return http_head_build(p, data, a, head);
	/* A head that fills its ceiling without an end cannot end within it. */
	if (p->at < p->max)
		return HTTP_MORE;
	if (p->state == STATE_TARGET)
		return http_refuse(p, 414, "target is too long");
	return http_refuse(p, 431, "head is too large");
}
