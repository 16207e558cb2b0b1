/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The bytes of a head, one state after another. Every state scans from p->at over what it accepts
 * and stops at the first byte that ends or breaks it; nothing before p->at is looked at again but
 * for trimming a value. A line that is whole and well, as nearly all are, is taken at once where it
 * begins; it is only the others, cut or faulty, that go through the states byte by byte, so that
 * every refusal is made in one place. What needs the whole head is checked in head.c.
 */
#include "http/parse.h"

#include "http/head.h"
#include "http/scan.h"

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

/* ---- lines that are whole ---- */
static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* "HTTP/1.0" or "HTTP/1.1"; eight bytes are there. */
static bool is_version(const char *d)
{
	return memcmp(d, "HTTP/1.", 7) == 0 && (d[7] == '0' || d[7] == '1');
}

/* A request line. False, here and below: it is cut, or not all is well, and nothing has changed. */
static bool request_line(struct http_parser *p, const char *d, uint32_t n)
{
	const uint32_t rest = sizeof(" HTTP/1.1\r\n") - 1;
	uint32_t begin = p->at;
	uint32_t limit = n - begin > METHOD_MAX ? begin + METHOD_MAX : n;
	uint32_t end = (uint32_t)scan_class(d, begin, limit, CHAR_TOKEN);

	if (end == begin || end == limit || d[end] != ' ')
		return false;
	uint32_t target = end + 1;
	uint32_t at = (uint32_t)scan_target(d, target, n);
	if (at == target || n - at < rest || d[at] != ' ' || !is_version(d + at + 1) ||
	    d[at + 9] != '\r' || d[at + 10] != '\n')
		return false;
	p->offs[OFF_METHOD] = begin;
	p->offs[OFF_METHOD_END] = end;
	p->offs[OFF_TARGET] = target;
	p->offs[OFF_TARGET_END] = at;
	p->minor = (uint8_t)(d[at + 8] - '0');
	p->at = at + rest;
	return true;
}

static bool status_line(struct http_parser *p, const char *d, uint32_t n)
{
	const uint32_t head = sizeof("HTTP/1.1 200 ") - 1;
	uint32_t at = p->at;

	if (n - at < head || !is_version(d + at) || d[at + 8] != ' ' || d[at + 12] != ' ')
		return false;
	for (uint32_t i = at + 9; i < at + 12; i++) {
		if (!http_is(d[i], CHAR_DIGIT))
			return false;
	}
	const char *c = d + at + 9;
	uint32_t status = (uint32_t)((c[0] - '0') * 100 + (c[1] - '0') * 10 + (c[2] - '0'));
	uint32_t end = (uint32_t)scan_value(d, at + head, n);
	if (status < 100 || status > 599 || n - end < 2 || d[end] != '\r' || d[end + 1] != '\n')
		return false;
	p->offs[OFF_STATUS] = status;
	p->offs[OFF_REASON] = at + head;
	p->offs[OFF_REASON_END] = end;
	p->minor = (uint8_t)(d[at + 7] - '0');
	p->at = end + 2;
	return true;
}

/* The field line that begins at `at`; answers where the next one does. 0: it is cut, or not all is
 * well. */
static inline size_t field_line(const char *d, size_t at, size_t n, unsigned allowed,
                                struct http_field_at *f)
{
	enum http_field_id id;
	size_t colon = http_name_end(d, at, n, allowed, &id);

	if (colon == 0)
		return 0;
	size_t value = colon + 1;
	value += value < n && d[value] == ' ';
	while (value < n && is_blank(d[value]))
		value++;
	size_t end = scan_value(d, value, n);
	size_t next = end + 2;
	if (next > n || d[end] != '\r' || d[end + 1] != '\n')
		return 0;
	while (end > value && is_blank(d[end - 1]))
		end--;
	*f = (struct http_field_at){(uint32_t)at, (uint32_t)colon, (uint32_t)value, (uint32_t)end,
	                            id};
	return next;
}

static void field_lines(struct http_parser *p, const char *d, size_t n)
{
	const unsigned allowed = p->response ? CHAR_TOKEN : CHAR_NAME;
	size_t at = p->at;
	unsigned i = p->nfields;

	for (; i < HTTP_FIELDS_MAX && at < n && d[at] != '\r'; i++) {
		size_t next = field_line(d, at, n, allowed, &p->fields[i]);

		if (next == 0)
			break;
		at = next;
	}
	p->at = (uint32_t)at;
	p->nfields = (uint16_t)i;
}

/* ---- byte by byte ---- */
static int on_empty_line(struct http_parser *p, const char *d, uint32_t n)
{
	if (d[p->at] == '\r') {
		p->at++;
		return go(p, STATE_EMPTY_LF);
	}
	if (request_line(p, d, n))
		return go(p, STATE_FIELD);
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
	p->at = (uint32_t)scan_target(d, p->at, n);
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

	if (p->response && p->at == p->mark && status_line(p, d, n))
		return go(p, STATE_FIELD);
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

static int on_reason(struct http_parser *p, const char *d, uint32_t n)
{
	p->at = (uint32_t)scan_value(d, p->at, n);
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
	field_lines(p, d, n);
	if (p->at == n)
		return HTTP_MORE;
	char c = d[p->at];
	if (c == '\r' && n - p->at >= 2 && d[p->at + 1] == '\n') {
		p->at += 2;
		p->state = STATE_DONE;
		return HTTP_DONE;
	}
	if (c == '\r') {
		p->at++;
		return go(p, STATE_END_LF);
	}
	if (is_blank(c))
		return refuse(p, 400, "line folding");
	if (p->nfields == HTTP_FIELDS_MAX)
		return refuse(p, 431, "too many fields");
	p->fields[p->nfields].name = p->at;
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
	struct http_field_at *f = &p->fields[p->nfields];
	uint32_t at = (uint32_t)scan_name(d, p->at, n, allowed);

	p->at = at;
	if (at == n)
		return HTTP_MORE;
	if (d[at] != ':')
		return name_fault(p, d[at]);
	if (at == f->name)
		return refuse(p, 400, "field name is empty");
	f->name_end = at;
	f->id = http_field_id_of((struct str){d + f->name, at - f->name});
	p->at++;
	return go(p, STATE_OWS);
}

static int on_ows(struct http_parser *p, const char *d, uint32_t n)
{
	while (p->at < n && is_blank(d[p->at]))
		p->at++;
	if (p->at == n)
		return HTTP_MORE;
	p->fields[p->nfields].value = p->at;
	return go(p, STATE_VALUE);
}

static int on_value(struct http_parser *p, const char *d, uint32_t n)
{
	p->at = (uint32_t)scan_value(d, p->at, n);
	if (p->at == n)
		return HTTP_MORE;
	if (d[p->at] != '\r')
		return refuse(p, 400, byte_fault(d[p->at], "control byte in field value"));
	uint32_t end = p->at++;
	uint32_t begin = p->fields[p->nfields].value;
	while (end > begin && is_blank(d[end - 1]))
		end--;
	p->fields[p->nfields++].value_end = end;
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
