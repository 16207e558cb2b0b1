/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * multipart/form-data. "--boundary" is looked for everywhere, in heads too, by an automaton (Knuth,
 * Morris, Pratt), so that a body of any content costs one look at each byte; outside of a match the
 * next dash is looked for by memchr(). Where it stands behind no CRLF the form is refused: there
 * are parsers that take it for a delimiter, and no client that chose its boundary well sends it.
 */
#include "http/form.h"

#include "http/chars.h"
#include "http/headers.h"
#include "http/partname.h"

#define PATTERN_MAX (FORM_BOUNDARY_MAX + 2)

enum state {
	ST_CONTENT,   /* of a part; before the first one: nothing may stand there */
	ST_DELIMITER, /* "--boundary" was read */
	ST_DELIMITER_CR,
	ST_DASH, /* and a dash behind it */
	ST_HEAD,
	ST_END,    /* the closing delimiter was read */
	ST_END_CR, /* one line end may follow it */
	ST_OVER,
};

struct multipart {
	struct arena *arena;
	struct form_want *want;
	char pattern[PATTERN_MAX];
	uint8_t fail[PATTERN_MAX];
	uint8_t npattern;
	uint8_t at;   /* bytes of the pattern that match */
	char last[2]; /* bytes */
	enum state state;
	bool line;   /* a CRLF stands before the match */
	bool first;  /* no delimiter yet */
	bool wanted; /* the part under way is the field */
	bool seen;   /* the field has come */
	unsigned parts;
	uint64_t fed;
	uint64_t length; /* of the part's content so far */
	bool sized;
	uint64_t size; /* what the part says of its length */
	uint64_t hold; /* offset behind the last delimiter, while it may be the closing one */
	char *head;    /* of the part under way */
	size_t nhead;
	char *value; /* raw: with what may turn out to be the delimiter */
	size_t nvalue;
	const char *error;
};

/* ---- the boundary ---- */
static bool boundary_valid(struct str s)
{
	/* Without the comma, at which some end it, quotes or not. */
	static const char marks[] = "'()+_-./:=? ";

	if (s.n == 0 || s.n > FORM_BOUNDARY_MAX || s.p[s.n - 1] == ' ')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!letter && !(c >= '0' && c <= '9') && (c == 0 || !strchr(marks, c)))
			return false;
	}
	return true;
}

/* Some parsers look for "boundary=" anywhere, and decode fields by a charset. */
static bool param_known(const struct part_param *p)
{
	return !p->escaped && str_ieq(p->name, STR("charset")) && str_ieq(p->value, STR("utf-8"));
}

bool multipart_boundary(struct str content_type, struct str *out)
{
	struct str value = content_type;
	struct part_param param;
	bool found = false;

	(void)str_split(&value, ';');
	while (part_param_next(&value, &param)) {
		if (!str_ieq(param.name, STR("boundary"))) {
			if (!param_known(&param))
				return false;
			continue;
		}
		if (found || param.escaped || !boundary_valid(param.value))
			return false;
		found = true;
		*out = param.value;
	}
	return found && !value.p;
}

static void line_began(struct multipart *m)
{
	m->last[0] = '\r';
	m->last[1] = '\n';
	m->at = 0;
}

struct multipart *multipart_new(struct arena *a, struct str boundary, struct form_want *want)
{
	struct multipart *m = arena_zalloc(a, sizeof(*m));
	uint8_t k = 0;

	m->arena = a;
	m->want = want;
	want->value = STR_NONE;
	m->pattern[0] = m->pattern[1] = '-';
	memcpy(m->pattern + 2, boundary.p, boundary.n);
	m->npattern = (uint8_t)(boundary.n + 2);
	for (uint8_t i = 1; i < m->npattern; i++) {
		while (k > 0 && m->pattern[i] != m->pattern[k])
			k = m->fail[k - 1];
		if (m->pattern[i] == m->pattern[k])
			k++;
		m->fail[i] = k;
	}
	m->first = true;
	m->state = ST_CONTENT;
	line_began(m);
	return m;
}

static void fail(struct multipart *m, const char *why)
{
	if (!m->error)
		m->error = why;
}

/* ---- the field's value ---- */
static size_t value_room(const struct multipart *m)
{
	return m->want->max + 2 + m->npattern;
}

static void value_add(struct multipart *m, const char *p, size_t n)
{
	if (!m->wanted || n == 0)
		return;
	if (n > value_room(m) - m->nvalue) {
		fail(m, "the field that names the model is too long");
		return;
	}
	memcpy(m->value + m->nvalue, p, n);
	m->nvalue += n;
}

/* The part has ended with the delimiter, whose bytes stand at the end of the raw value. */
static void value_end(struct multipart *m)
{
	if (!m->wanted)
		return;
	m->wanted = false;
	m->want->value = (struct str){m->value, m->nvalue - 2 - m->npattern};
	if (m->want->value.n > m->want->max)
		fail(m, "the field that names the model is too long");
}

/* ---- content ---- */
/* Whether c is the last byte of "--boundary". */
static bool match(struct multipart *m, char c)
{
	while (m->at > 0 && m->pattern[m->at] != c) {
		m->at = m->fail[m->at - 1];
		/* Before a shorter match stands a part of the longer one: no line end. */
		m->line = false;
	}
	if (m->pattern[m->at] == c) {
		if (m->at++ == 0)
			m->line = m->last[0] == '\r' && m->last[1] == '\n';
	}
	m->last[0] = m->last[1];
	m->last[1] = c;
	return m->at == m->npattern;
}

static void delimiter(struct multipart *m)
{
	m->at = 0;
	if (!m->line)
		fail(m, "the form's boundary stands elsewhere than behind a CRLF");
	/* Whether the head's empty line is the delimiter's line end, too, is read differently. */
	else if (!m->first && m->length == m->npattern)
		fail(m, "a part of the form ends with its head");
	else if (!m->first && m->sized && m->length - m->npattern - 2 != m->size)
		fail(m, "a part of the form has another length");
	else if (!m->first)
		value_end(m);
	m->first = false;
	m->state = ST_DELIMITER;
}

static size_t content(struct multipart *m, const char *p, size_t n)
{
	const char *dash;
	size_t skip = 0;

	if (m->at == 0 && !m->first) {
		dash = memchr(p, '-', n);
		skip = dash ? (size_t)(dash - p) : n;
	}
	if (skip > 0) {
		m->last[0] = skip > 1 ? p[skip - 2] : m->last[1];
		m->last[1] = p[skip - 1];
		value_add(m, p, skip);
		m->length += skip;
		return skip;
	}
	value_add(m, p, 1);
	m->length++;
	if (match(m, *p))
		delimiter(m);
	else if (m->first && m->at == 0)
		fail(m, "the form does not begin with its boundary");
	return 1;
}

/* ---- the head of a part ---- */
static void part_begin(struct multipart *m)
{
	struct part_head h;
	const char *why = part_head_read((struct str){m->head, m->nhead}, &h);
	enum form_name is;

	m->state = ST_CONTENT;
	m->length = 0;
	m->sized = h.sized;
	m->size = h.length;
	if (why) {
		fail(m, why);
		return;
	}
	is = form_name_is(h.name, m->want->name);
	if (is == FORM_OTHER)
		return;
	if (is == FORM_DOUBTFUL)
		fail(m, "a field's name is nearly that of the one that names the model");
	else if (m->seen)
		fail(m, "the field that names the model comes twice");
	else if (h.file || !h.plain)
		fail(m, "the field that names the model is not plain text");
	m->seen = m->wanted = true;
	m->value = arena_alloc(m->arena, value_room(m));
	m->nvalue = 0;
}

static void head_begin(struct multipart *m)
{
	m->state = ST_HEAD;
	m->nhead = 0;
	line_began(m);
	if (++m->parts > FORM_PARTS)
		fail(m, "the form has too many parts");
	if (!m->head)
		m->head = arena_alloc(m->arena, FORM_PART_HEAD);
}

static void head_byte(struct multipart *m, char c)
{
	if (m->nhead == FORM_PART_HEAD) {
		fail(m, "the head of a part of the form is too long");
		return;
	}
	/* At once: who ends lines otherwise may see the form's end behind one. */
	if ((c == '\n') != (m->last[1] == '\r'))
		fail(m, "a line of the form does not end with CRLF");
	m->head[m->nhead++] = c;
	if (match(m, c))
		fail(m, "the form's boundary stands elsewhere than behind a CRLF");
	if (m->nhead == 2 && m->head[0] == '\r' && c == '\n')
		fail(m, "a part of the form has no name");
	if (!m->error && c == '\n' && str_ends((struct str){m->head, m->nhead}, STR("\r\n\r\n")))
		part_begin(m);
}

/* ---- the rest ---- */
static void mark_byte(struct multipart *m, char c, char want, enum state next)
{
	m->state = next;
	if (c != want)
		fail(m, "a delimiter of the form is malformed");
}

static void other_byte(struct multipart *m, char c)
{
	switch (m->state) {
	case ST_DELIMITER:
		m->hold = m->fed;
		if (c == '-')
			m->state = ST_DASH;
		else
			mark_byte(m, c, '\r', ST_DELIMITER_CR);
		break;
	case ST_DELIMITER_CR:
		mark_byte(m, c, '\n', ST_HEAD);
		head_begin(m);
		break;
	case ST_DASH:
		mark_byte(m, c, '-', ST_END);
		break;
	case ST_HEAD:
		head_byte(m, c);
		break;
	case ST_END:
		mark_byte(m, c, '\r', ST_END_CR);
		break;
	case ST_END_CR:
		mark_byte(m, c, '\n', ST_OVER);
		break;
	case ST_OVER:
	case ST_CONTENT:
		fail(m, "bytes follow the form's end");
		break;
	}
}

const char *multipart_feed(struct multipart *m, const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && !m->error) {
		if (m->state == ST_CONTENT) {
			size_t used = content(m, p + i, n - i);

			i += used;
			m->fed += used;
			continue;
		}
		other_byte(m, p[i++]);
		m->fed++;
	}
	return m->error;
}

const char *multipart_finish(struct multipart *m)
{
	if (!m->error && m->state != ST_END && m->state != ST_OVER)
		fail(m, "the form is not whole");
	return m->error;
}

uint64_t multipart_releasable(const struct multipart *m)
{
	switch (m->state) {
	case ST_DASH:
	case ST_END:
	case ST_END_CR:
	case ST_OVER:
		return m->hold;
	/* A request that ends here would be whole, though its form is not. */
	case ST_CONTENT:
	case ST_DELIMITER:
	case ST_DELIMITER_CR:
	case ST_HEAD:
		return m->fed > 0 ? m->fed - 1 : 0;
	}
	return m->hold;
}
