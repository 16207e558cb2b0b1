/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Forms: each body that parsers read differently is refused, the others give the value that all
 * read, however the bytes are cut, and the bytes that end a form wait for the body's end. An
 * independent reading of the whole body says the same for random ones.
 */
#include "unit.h"

#include "base/buf.h"
#include "http/form.h"

#define B "XX"
#define FIELD "Content-Disposition: form-data; name=\"model\"\r\n\r\n"
#define OTHER "Content-Disposition: form-data; name=\"n\"\r\n\r\n"
#define FILE_PART                                                                                  \
	"Content-Disposition: form-data; name=\"file\"; filename=\"a\"\r\nContent-Type: "          \
	"audio/wav\r\n\r\n"
#define END "\r\n--" B "--\r\n"
#define ONE(head) "--" B "\r\n" head "v" END

enum kind { MULTIPART, URLFORM };

static struct arena arena;
static struct form_want want;

struct scan {
	enum kind kind;
	struct multipart *m;
	struct urlform *u;
};

static void open_scan(struct scan *s, enum kind kind, struct str boundary)
{
	arena_deinit(&arena);
	arena_init(&arena, NULL);
	want = (struct form_want){STR("model"), 16, STR_NONE};
	*s = (struct scan){.kind = kind};
	if (kind == MULTIPART)
		s->m = multipart_new(&arena, boundary, &want);
	else
		s->u = urlform_new(&arena, &want);
}

static const char *feed(struct scan *s, const char *p, size_t n)
{
	return s->kind == MULTIPART ? multipart_feed(s->m, p, n) : urlform_feed(s->u, p, n);
}

static const char *finish(struct scan *s)
{
	return s->kind == MULTIPART ? multipart_finish(s->m) : urlform_finish(s->u);
}

static uint64_t releasable(const struct scan *s)
{
	return s->kind == MULTIPART ? multipart_releasable(s->m) : urlform_releasable(s->u);
}

/* The offset of what must wait: the dashes of the closing delimiter, or at least the last byte. A
 * request whose form ends too early is whole to who sees its last byte. */
static uint64_t held_from(enum kind kind, struct str boundary, struct str body)
{
	char close[100];
	int n = snprintf(close, sizeof(close), "--%.*s--", STR_FMT(boundary));
	const char *at = NULL;

	for (size_t i = 0; kind == MULTIPART && i + (size_t)n <= body.n; i++)
		if (memcmp(body.p + i, close, (size_t)n) == 0)
			at = body.p + i;
	if (!at)
		return body.n > 0 ? body.n - 1 : 0;
	return (uint64_t)(at - body.p + n - 2);
}

/* Feeds pieces of that size, the first one of another. */
static const char *read_in(enum kind kind, struct str boundary, struct str body, size_t first,
                           size_t step)
{
	struct scan s;
	const char *why = NULL;
	uint64_t limit = held_from(kind, boundary, body);
	uint64_t before = 0;

	open_scan(&s, kind, boundary);
	for (size_t at = 0; at < body.n && !why;) {
		size_t n = at == 0 ? first : step;

		n = n < body.n - at ? n : body.n - at;
		why = feed(&s, body.p + at, n);
		at += n;
		if (why)
			break;
		CU_ASSERT(releasable(&s) <= at);
		CU_ASSERT(releasable(&s) <= limit);
		CU_ASSERT(releasable(&s) >= before);
		before = releasable(&s);
	}
	if (why)
		CU_ASSERT_PTR_EQUAL(feed(&s, "x", 1), why);
	why = finish(&s);
	if (!why)
		CU_ASSERT_EQUAL(releasable(&s), kind == URLFORM ? body.n : limit);
	return why;
}

/* The same by every cut into two, and byte by byte. value: NULL: none; else the field's. */
static void reads_as(enum kind kind, struct str boundary, struct str body, bool good,
                     const char *value)
{
	for (size_t first = 0; first <= body.n; first++) {
		const char *why =
		    read_in(kind, boundary, body, first > 0 ? first : 1, first > 0 ? body.n : 1);

		if ((why == NULL) != good)
			fprintf(stderr, "\n%.*s: %s\n", STR_FMT(body), why ? why : "accepted");
		CU_ASSERT_EQUAL(why == NULL, good);
		if (!good)
			continue;
		CU_ASSERT_EQUAL(want.value.p != NULL, value != NULL);
		if (value && want.value.p)
			CU_ASSERT(str_eq(want.value, str_of(value)));
	}
}

#define S(lit)                                                                                     \
	{                                                                                          \
		lit, sizeof(lit) - 1                                                               \
	}
static const struct {
	struct str body;
	bool good;
	const char *value;
} multiparts[] = {
    {S(ONE(FIELD)), true, "v"},
    {S("--XX\r\n" FIELD "v\r\n--XX--"), true, "v"},
    {S("--XX--"), true, NULL},
    {S("--XX--\r\n"), true, NULL},
    {S("--XX\r\n" FIELD END), true, ""},
    {S("--XX\r\n" FIELD "\r\n\r\n" END), true, "\r\n\r\n"},
    {S("--XX\r\n" FIELD "- --X\n" END), true, "- --X\n"},
    {S("--XX\r\n" FIELD "0123456789abcdef" END), true, "0123456789abcdef"},
    {S("--XX\r\n" FIELD "0123456789abcdef0" END), false, NULL},
    {S("--XX\r\n" FIELD "\r\n--X\r\n--" END), true, "\r\n--X\r\n--"},
    {S("--XX\r\n" OTHER "x\r\n--XX\r\n" FIELD "v" END), true, "v"},
    {S("--XX\r\n" FILE_PART "\0\1\r\n-\r\n--X\xff\r\n--XX\r\n" FIELD "v" END), true, "v"},
    {S("--XX\r\n" FILE_PART END), true, NULL},
    /* heads that all read alike */
    {S(ONE("content-disposition:form-data;name=model\r\n\r\n")), true, "v"},
    {S(ONE("CONTENT-DISPOSITION: \tForm-Data ; NAME=\"model\"\r\n\r\n")), true, "v"},
    {S(ONE("Content-Type: text/plain; charset=UTF-8\r\n" FIELD)), true, "v"},
    {S(ONE("Content-Transfer-Encoding: 8bit\r\n" FIELD)), true, "v"},
    {S(ONE("Content-Length: 1\r\n" FIELD)), true, "v"},
    {S(ONE("X-Other: name=\"m\"\r\n" FIELD)), true, "v"},
    {S(ONE("Content-Disposition: form-data; filename=\"\xc3\xa9;=.png\"; name=\"f\"\r\n\r\n")),
     true, NULL},
    {S(ONE("Content-Disposition: form-data; name=f; filename=a; filename*=UTF-8''a\r\n\r\n")), true,
     NULL},
    {S(ONE("Content-Disposition: form-data; name=\"mode\"\r\n\r\n")), true, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"model_x\"\r\n\r\n")), true, NULL},
    /* delimiters */
    {S(""), false, NULL},
    {S("--XX"), false, NULL},
    {S("--XX-"), false, NULL},
    {S("--XX--\r"), false, NULL},
    {S("--XX--\n"), false, NULL},
    {S("--XX--\r\n\r\n"), false, NULL},
    {S("\r\n--XX--\r\n"), false, NULL},
    {S("x\r\n" ONE(FIELD)), false, NULL},
    {S("-" ONE(FIELD)), false, NULL},
    {S("--XX \r\n" FIELD "v" END), false, NULL},
    {S("--XX\n" FIELD "v" END), false, NULL},
    {S("--XX\r\r\n" FIELD "v" END), false, NULL},
    {S("--XXY\r\n" FIELD "v" END), false, NULL},
    {S("--XX\r\n" FIELD "v\r\n--XX -\r\n"), false, NULL},
    {S("--XX\r\n" FIELD "v\r\n--XX--x"), false, NULL},
    {S("--XX\r\n" FIELD "v\r\n--XX--\r\n" ONE(FIELD)), false, NULL},
    {S("--XX\r\n" FIELD "v\n--XX--\r\n"), false, NULL},
    {S("--XX\r\n" FIELD "v\r--XX--\r\n"), false, NULL},
    {S("--XX\r\n" FIELD "v--XX--\r\n"), false, NULL},
    {S("--XX\r\n" FIELD "v\r\n---XX" END), false, NULL},
    {S("--XX\r\n" FIELD "v\r\n-\r\n--XX-" END), false, NULL},
    {S("--XX\r\n" FIELD "--XX--\r\n"), false, NULL},
    {S("--XX\r\n" FIELD "\n--XX--\r\n"), false, NULL},
    {S("--XX\r\n" FIELD "v\r\n--XX"), false, NULL},
    {S("--XX\r\n" FIELD "v\r\n--X"), false, NULL},
    {S("--XX\r\n" FIELD "v"), false, NULL},
    {S("--XX\r\n--XX--\r\n"), false, NULL},
    {S(ONE(OTHER "--XX\r\n" FIELD)), false, NULL},
    /* the field */
    {S("--XX\r\n" FIELD "v\r\n--XX\r\n" FIELD "w" END), false, NULL},
    {S("--XX\r\n" FIELD "v\r\n--XX\r\n" FIELD "v" END), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"model\"; filename=\"a\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"model\"; filename*=UTF-8''a\r\n\r\n")), false,
     NULL},
    {S(ONE("Content-Type: text/plain; charset=utf-16\r\n" FIELD)), false, NULL},
    {S(ONE("Content-Type: text/plain; charset=utf-7; charset=utf-8\r\n" FIELD)), false, NULL},
    {S(ONE("Content-Type: application/json\r\n" FIELD)), false, NULL},
    {S(ONE("Content-Type: text/plain; charset\r\n" FIELD)), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"Model\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"model[]\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"model[0]\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"model.x\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\" model\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"model \"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"[model]\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\".model\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"\xef\xbb\xbfmodel\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"_charset_\"\r\n\r\n")), false, NULL},
    /* heads */
    {S(ONE("\r\n")), false, NULL},
    {S(ONE("X: y\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"a\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"a\"x\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"a\";\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name = \"a\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name='a'\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"a\\\"b\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"mode%6c\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"\xff\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"a\0b\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"a\"; name=\"model\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name*=UTF-8''model\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=a; name*=UTF-8''model\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name*0=mod; name*1=el\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=a; filename*0=x\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=a; filename=x; filename=y\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=a; size=3\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; filename=\"; name=model\"; name=a\r\n\r\n")), false,
     NULL},
    {S(ONE("Content-Disposition: form-data; name=a; filename=\"a\\\\b\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: attachment; name=\"a\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"a\"\r\n" FIELD)), false, NULL},
    {S(ONE("Content-Disposition : form-data; name=\"a\"\r\n\r\n")), false, NULL},
    {S(ONE(" Content-Disposition: form-data; name=\"a\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data;\r\n name=\"model\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"a\"\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"a\"\n\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"a\"\rX: y\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"--XX\"\r\n\r\n")), false, NULL},
    {S(ONE("X: --XX--\r\n" OTHER)), false, NULL},
    {S(ONE("X: \xff\r\n" OTHER)), false, NULL},
    {S(ONE("Content-Disposition: form-data;\tname=\"a\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=a \r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=a\t\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=a ; filename=b\r\n\r\n")), false, NULL},
    {S(ONE("Content-Disposition: form-data; name=\"a\" \r\n\r\n")), true, NULL},
    {S(ONE("Content-Disposition: form-data; name=a; filename=\"\xe9.png\"\r\n\r\n")), false, NULL},
    {S(ONE("Content-Type: text/plain\r\nContent-Type: text/plain\r\n" OTHER)), false, NULL},
    {S(ONE("Content-Type: multipart/mixed; boundary=YY\r\n" OTHER)), false, NULL},
    {S(ONE("Content-Type: Message/rfc822\r\n" OTHER)), false, NULL},
    {S(ONE("Content-Transfer-Encoding: base64\r\n" OTHER)), false, NULL},
    {S(ONE("Content-Transfer-Encoding: quoted-printable\r\n" OTHER)), false, NULL},
    {S(ONE("Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: 7bit\r\n" OTHER)), false,
     NULL},
    {S(ONE("Content-Encoding: gzip\r\n" OTHER)), false, NULL},
    {S(ONE("Content-Length: 0\r\n" OTHER)), false, NULL},
    {S(ONE("Content-Length: 2\r\n" OTHER)), false, NULL},
    {S(ONE("Content-Length: +1\r\n" OTHER)), false, NULL},
    {S(ONE("Content-Length: 1\r\nContent-Length: 1\r\n" OTHER)), false, NULL},
    {S("--XX\r\nContent-Disposition"), false, NULL},
};

static void multipart_bodies(void)
{
	for (size_t i = 0; i < sizeof(multiparts) / sizeof(multiparts[0]); i++)
		reads_as(MULTIPART, STR(B), multiparts[i].body, multiparts[i].good,
		         multiparts[i].value);
}

static const struct {
	struct str body;
	bool good;
	const char *value;
} urlforms[] = {
    {S("model=v"), true, "v"},
    {S(""), true, NULL},
    {S("&&a=b&"), true, NULL},
    {S("a=1&model=v&b=2"), true, "v"},
    {S("model=a%20b+c%2b"), true, "a b c+"},
    {S("m%6Fdel=v"), true, "v"},
    {S("model=a=b"), true, "a=b"},
    {S("model"), true, ""},
    {S("model="), true, ""},
    {S("models=x&mode=y&mode%6cs=z"), true, NULL},
    {S("model=0123456789abcdef"), true, "0123456789abcdef"},
    {S("model=0123456789abcdefg"), false, NULL},
    {S("model=v&model=v"), false, NULL},
    {S("model&model=v"), false, NULL},
    {S("model=v&m%6fdel=w"), false, NULL},
    {S("model[]=v"), false, NULL},
    {S("model=v&model[0]=w"), false, NULL},
    {S("model=v&model%5B%5D=w"), false, NULL},
    {S("MODEL=v"), false, NULL},
    {S("+model=v"), false, NULL},
    {S("model=v&[model]=w"), false, NULL},
    {S("model=v&%5bmodel%5d=w"), false, NULL},
    {S("model=v&[model]x=w"), false, NULL},
    {S("model=v&[[model=w"), false, NULL},
    {S("model=v&.model=w"), false, NULL},
    {S("model=v&%EF%BB%BFmodel=w"), false, NULL},
    {S("model=v&%EF%BB%BF=w&[=1&.models=2"), true, "v"},
    {S("model=a]=b"), false, NULL},
    {S("model=a%5d=b"), false, NULL},
    {S("model=a]%3Db&x=a]=b"), true, "a]=b"},
    {S("model%00=v"), false, NULL},
    {S("model%00x=v"), false, NULL},
    {S("a%00=v"), false, NULL},
    {S("a=%00"), true, NULL},
    {S("a=1;model=v"), false, NULL},
    {S("a=b c"), false, NULL},
    {S("a=\r\nb"), false, NULL},
    {S("a=\xc3\xa9"), false, NULL},
    {S("a=%"), false, NULL},
    {S("a=%4"), false, NULL},
    {S("a=%4g"), false, NULL},
    {S("a=%u0041"), false, NULL},
    {S("_charset_=utf-7"), false, NULL},
};

static void urlform_bodies(void)
{
	for (size_t i = 0; i < sizeof(urlforms) / sizeof(urlforms[0]); i++)
		reads_as(URLFORM, STR(""), urlforms[i].body, urlforms[i].good, urlforms[i].value);
}

/* What frameworks make of a dotted name. */
static void dotted_names(void)
{
	static const struct {
		const char *body;
		bool good;
		const char *value;
	} cases[] = {
	    {"job.model=v", true, "v"},     {"job=x&job.model=v", true, "v"},
	    {"job%5Bmodel%5D=v", false, 0}, {"job_model=v", false, 0},
	    {"job+model=v", false, 0},      {"job.model.x=v", false, 0},
	    {"job.models=v", true, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct form_want w = {STR("job.model"), 16, STR_NONE};
		struct urlform *f = urlform_new(&arena, &w);
		const char *why = urlform_feed(f, cases[i].body, strlen(cases[i].body));

		if (!why)
			why = urlform_finish(f);
		CU_ASSERT_EQUAL(why == NULL, cases[i].good);
		if (cases[i].good)
			CU_ASSERT(str_eq(w.value, str_of(cases[i].value)));
	}
}

static void boundaries(void)
{
	static const struct {
		const char *type;
		const char *boundary;
	} cases[] = {
	    {"multipart/form-data; boundary=abc", "abc"},
	    {"multipart/form-data;boundary=\"a b\"", "a b"},
	    {"multipart/form-data; charset=UTF-8; Boundary=----=", NULL},
	    {"multipart/form-data; charset=UTF-8; Boundary=\"----=_1\"", "----=_1"},
	    {"multipart/form-data; boundary="
	     "0123456789012345678901234567890123456789012345678901234567890123456789",
	     "0123456789012345678901234567890123456789012345678901234567890123456789"},
	    {"multipart/form-data; boundary="
	     "01234567890123456789012345678901234567890123456789012345678901234567890",
	     NULL},
	    {"multipart/form-data", NULL},
	    {"multipart/form-data;", NULL},
	    {"multipart/form-data; boundary=", NULL},
	    {"multipart/form-data; boundary=\"\"", NULL},
	    {"multipart/form-data; boundary=\"a", NULL},
	    {"multipart/form-data; boundary=\"a \"", NULL},
	    {"multipart/form-data; boundary=\"a\\b\"", NULL},
	    {"multipart/form-data; boundary=\"a;b\"", NULL},
	    {"multipart/form-data; boundary=a; boundary=b", NULL},
	    {"multipart/form-data; boundary=a; boundary=a", NULL},
	    {"multipart/form-data; boundary*=utf-8''a", NULL},
	    {"multipart/form-data; boundary=a; boundary*=utf-8''b", NULL},
	    {"multipart/form-data; boundary*0=a; boundary*1=b", NULL},
	    {"multipart/form-data; x=\"boundary=b\"; boundary=a", NULL},
	    {"multipart/form-data; boundary=a; charset=utf-7", NULL},
	    {"multipart/form-data; boundary=a,b", NULL},
	    {"multipart/form-data; boundary=\"a,b\"", NULL},
	    {"multipart/form-data; boundary=a b", NULL},
	    {"multipart/form-data; boundary=a;", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str got = STR_NONE;
		bool is = multipart_boundary(str_of(cases[i].type), &got);

		if (is != (cases[i].boundary != NULL))
			fprintf(stderr, "\n%s\n", cases[i].type);
		CU_ASSERT_EQUAL(is, cases[i].boundary != NULL);
		if (is)
			CU_ASSERT(str_eq(got, str_of(cases[i].boundary)));
	}
}

/* ---- against a reading of another kind ---- */
static uint64_t seed = 20260101;
static unsigned draw(unsigned n)
{
	return (unsigned)(unit_random(&seed) % n);
}

static const char *const shapes[] = {"XX", "-", "--", "a-a-a", "aab", "--X--", "X"};
static const char *const heads[] = {FIELD, OTHER, FILE_PART};

static const char *after(const char *at, const char *end, const char *text)
{
	return memmem(at, (size_t)(end - at), text, strlen(text));
}

/* Each mark stands at the beginning or behind a CRLF; an overlap with one is no other one. */
static bool marks_stand_right(struct str body, const char *mark)
{
	const char *end = body.p + body.n;

	for (const char *at = body.p; (at = after(at, end, mark)) != NULL; at += strlen(mark))
		if (at != body.p && (at - body.p < 2 || memcmp(at - 2, "\r\n", 2) != 0))
			return false;
	return true;
}

/* Steps over one part, from behind its mark to behind the next. Which head it has; -1: none. */
static int step_part(const char **at, const char *end, const char *mark, struct str *content)
{
	for (int k = 0; k < 3; k++) {
		const char *text = *at + 2 + strlen(heads[k]);
		const char *next;

		if (end < text || memcmp(*at, "\r\n", 2) != 0 ||
		    memcmp(*at + 2, heads[k], strlen(heads[k])) != 0)
			continue;
		next = after(text, end, mark);
		if (!next || next - text < 2)
			return -1;
		*content = (struct str){text, (size_t)(next - text) - 2};
		*at = next + strlen(mark);
		return k;
	}
	return -1;
}

/* The body as a whole, by searching: 0 refused, 1 no field, 2 the field, in *value. */
static int reference(const char *boundary, struct str body, struct str *value)
{
	char mark[80];
	const char *end = body.p + body.n;
	const char *at = body.p;
	int seen = 1;
	size_t n = (size_t)snprintf(mark, sizeof(mark), "--%s", boundary);

	if (body.n < n || memcmp(body.p, mark, n) != 0 || !marks_stand_right(body, mark))
		return 0;
	at += n;
	while (end - at < 2 || memcmp(at, "--", 2) != 0) {
		struct str content;
		int head = step_part(&at, end, mark, &content);

		if (head < 0)
			return 0;
		if (head > 0)
			continue;
		if (seen == 2 || content.n > 16)
			return 0;
		seen = 2;
		*value = content;
	}
	at += 2;
	return at == end || (end - at == 2 && memcmp(at, "\r\n", 2) == 0) ? seen : 0;
}

static struct str random_body(const char *boundary, char *out, size_t size)
{
	static const char *const pieces[] = {"\r\n", "\n",  "\r",    "-",       "--",
	                                     "X",    "a",   "aa",    FIELD,     OTHER,
	                                     "v",    "a-a", "\r\n-", FILE_PART, "\r\n\r\n"};
	size_t n = (size_t)snprintf(out, size, draw(12) ? "--%s" : "-%s", boundary);

	for (unsigned k = draw(9); k > 0 && n < size - 200; k--) {
		switch (draw(4)) {
		case 0:
			n += (size_t)snprintf(out + n, size - n, "\r\n--%s", boundary);
			break;
		case 1:
			n += (size_t)snprintf(out + n, size - n, "\r\n%s%sv\r\n--%s",
			                      heads[draw(3)], draw(4) ? "" : "-", boundary);
			break;
		case 2:
			n += (size_t)snprintf(out + n, size - n, "\r\n%s\r\n--%s", heads[draw(3)],
			                      boundary);
			break;
		default:
			n += (size_t)snprintf(out + n, size - n, "%s", pieces[draw(15)]);
		}
	}
	if (draw(4))
		n += (size_t)snprintf(out + n, size - n, draw(3) ? "--\r\n" : "--");
	return (struct str){out, n};
}

static void random_bodies(void)
{
	static char text[4096];
	unsigned good = 0, found = 0;

	for (unsigned i = 0; i < 60000; i++) {
		const char *boundary = shapes[draw(sizeof(shapes) / sizeof(shapes[0]))];
		struct str body = random_body(boundary, text, sizeof(text));
		struct str value = STR_NONE;
		int expect = reference(boundary, body, &value);
		const char *why =
		    read_in(MULTIPART, str_of(boundary), body, 1 + draw(9), 1 + draw(40));

		if ((why == NULL) != (expect > 0))
			fprintf(stderr, "\n[%s] %.*s\n: %d %s\n", boundary, STR_FMT(body), expect,
			        why ? why : "");
		CU_ASSERT_EQUAL(why == NULL, expect > 0);
		if (why)
			continue;
		good++;
		CU_ASSERT_EQUAL(want.value.p != NULL, expect == 2);
		if (expect == 2 && want.value.p) {
			found++;
			CU_ASSERT(str_eq(want.value, value));
		}
	}
	/* Else nothing was compared. */
	CU_ASSERT(good > 2000);
	CU_ASSERT(found > 500);
}

/* ---- size ---- */
static void near_delimiters(void)
{
	static const char boundary[] =
	    "----------------------------------------------------------------------";
	const size_t size = 1024 * 1024;
	char *body = malloc(size + 1024);
	size_t n = (size_t)sprintf(body, "--%s\r\n" FILE_PART, boundary);
	size_t at = 0;

	while (at < size) {
		at += (size_t)sprintf(body + n + at, "\r\n--%.*s%c", (int)draw(70), boundary,
		                      "x\r\n\xff"[draw(4)]);
	}
	n += at;
	n += (size_t)sprintf(body + n, "\r\n--%s\r\n" FIELD "v\r\n--%s--\r\n", boundary, boundary);
	for (size_t step = 1; step <= n; step *= 37) {
		CU_ASSERT_PTR_NULL(
		    read_in(MULTIPART, str_of(boundary), (struct str){body, n}, step, step));
		CU_ASSERT(str_eq(want.value, STR("v")));
	}
	free(body);
}

static void ceilings(void)
{
	struct buf b;

	buf_init(&b, 1024 * 1024);
	CU_ASSERT_EQUAL(buf_addf(&b, "--XX\r\nX: "), 0);
	for (unsigned i = 0; i < FORM_PART_HEAD; i++)
		CU_ASSERT_EQUAL(buf_adds(&b, STR("x")), 0);
	CU_ASSERT_EQUAL(buf_addf(&b, "\r\n" FIELD "v" END), 0);
	CU_ASSERT_PTR_NOT_NULL(read_in(MULTIPART, STR(B), buf_str(&b), 1, 100));
	for (unsigned parts = FORM_PARTS; parts <= FORM_PARTS + 1; parts++) {
		buf_reset(&b);
		for (unsigned i = 0; i < parts; i++)
			CU_ASSERT_EQUAL(buf_addf(&b, "%s--XX\r\n" OTHER, i > 0 ? "\r\n" : ""), 0);
		CU_ASSERT_EQUAL(buf_adds(&b, STR(END)), 0);
		CU_ASSERT_EQUAL(read_in(MULTIPART, STR(B), buf_str(&b), 1, 100) == NULL,
		                parts == FORM_PARTS);
	}
	for (size_t n = FORM_NAME_MAX; n <= FORM_NAME_MAX + 1; n++) {
		buf_reset(&b);
		CU_ASSERT_EQUAL(buf_addf(&b, "model=v&"), 0);
		for (size_t i = 0; i < n; i++)
			CU_ASSERT_EQUAL(buf_adds(&b, STR("x")), 0);
		CU_ASSERT_EQUAL(buf_adds(&b, STR("=w")), 0);
		CU_ASSERT_EQUAL(read_in(URLFORM, STR(""), buf_str(&b), 1, 100) == NULL,
		                n == FORM_NAME_MAX);
	}
	buf_deinit(&b);
	arena_deinit(&arena);
}

UNIT_MAIN("http form", UNIT(multipart_bodies), UNIT(urlform_bodies), UNIT(dotted_names),
          UNIT(boundaries), UNIT(random_bodies), UNIT(near_delimiters), UNIT(ceilings))
