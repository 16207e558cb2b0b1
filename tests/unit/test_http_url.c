/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Request targets, hosts and addresses: what is refused, and the one spelling of what is accepted.
 */
#include "http/url.h"

#include "unit.h"

struct row {
	const char *target;
	const char *path; /* NULL: refused */
	const char *query;
	const char *authority;
};

static bool same(struct str got, const char *want)
{
	return want ? got.p && str_eq(got, str_of(want)) : got.p == NULL;
}

static void run_row(const struct row *row, struct str target)
{
	struct arena a;
	struct url u;
	const char *why = NULL;
	/* In memory of its own size, so that looking beyond it is noticed. */
	char *copy = malloc(target.n + 1);

	arena_init(&a, NULL);
	if (target.n)
		memcpy(copy + 1, target.p, target.n);
	int r = url_parse((struct str){copy + 1, target.n}, false, &a, &u, &why);
	bool ok = row->path ? r == 0 && same(u.path, row->path) && same(u.query, row->query) &&
	                          same(u.authority, row->authority)
	                    : r > 0 && why && *why;
	if (!ok)
		fprintf(stderr, "%s: r=%d why=%s path=%.*s\n", row->target, r, why ? why : "",
		        r ? 0 : (int)u.path.n, u.path.p);
	CU_ASSERT_TRUE(ok);
	arena_deinit(&a);
	free(copy);
}

static void run_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		run_row(&rows[i], str_of(rows[i].target));
}
#define RUN(rows) run_rows(rows, sizeof(rows) / sizeof(rows[0]))

static void paths_have_one_spelling(void)
{
	static const struct row rows[] = {
	    {"/", "/", NULL, NULL},
	    {"/v1/models", "/v1/models", NULL, NULL},
	    {"/v1/models/", "/v1/models/", NULL, NULL},
	    {"/a?b=c", "/a", "b=c", NULL},
	    {"/a?", "/a", "", NULL},
	    {"/a?b?c/../d//", "/a", "b?c/../d//", NULL},
	    {"/%61%7a%41%30%2d%5f%7e", "/azA0-_~", NULL, NULL},
	    {"/%c3%a9%3a%20", "/%C3%A9%3A%20", NULL, NULL},
	    {"/%C3%A9", "/%C3%A9", NULL, NULL},
	    {"/a%2fb", "/a%2Fb", NULL, NULL},
	    {"/a%2Fb", "/a%2Fb", NULL, NULL},
	    {"/v1/models/m:predict;a=b,c!$&'()*+@~", "/v1/models/m:predict;a=b,c!$&'()*+@~", NULL,
	     NULL},
	    {"/...", "/...", NULL, NULL},
	    {"/.a/a./..a/a..", "/.a/a./..a/a..", NULL, NULL},
	    {"/a?%2e%25%5c%2f", "/a", "%2e%25%5c%2f", NULL},
	};

	RUN(rows);
}

static void targets_are_refused_not_repaired(void)
{
	static const struct row rows[] = {
	    {"", NULL, NULL, NULL},
	    {"a", NULL, NULL, NULL},
	    {"?a", NULL, NULL, NULL},
	    {"*", NULL, NULL, NULL},
	    {"a.example:443", NULL, NULL, NULL},
	    {"/a#b", NULL, NULL, NULL},
	    {"/a?b#c", NULL, NULL, NULL},
	    {"/a\\b", NULL, NULL, NULL},
	    {"/a b", NULL, NULL, NULL},
	    {"/a\tb", NULL, NULL, NULL},
	    {"/a\x7f", NULL, NULL, NULL},
	    {"/a\x80", NULL, NULL, NULL},
	    {"/a?\xc3\xa9", NULL, NULL, NULL},
	    {"/a? ", NULL, NULL, NULL},
	    {"/%", NULL, NULL, NULL},
	    {"/%4", NULL, NULL, NULL},
	    {"/%4g", NULL, NULL, NULL},
	    {"/%g4", NULL, NULL, NULL},
	    {"/%%34", NULL, NULL, NULL},
	    {"/a?%", NULL, NULL, NULL},
	    {"/a?%4", NULL, NULL, NULL},
	    {"/a?%zz", NULL, NULL, NULL},
	    {"/%4?1", NULL, NULL, NULL},
	    {"/a?\\", NULL, NULL, NULL},
	    {"/a?b=%00", NULL, NULL, NULL},
	    {"/%u002e", NULL, NULL, NULL},
	    {"/%00", NULL, NULL, NULL},
	    {"/%25", NULL, NULL, NULL},
	    {"/%2561", NULL, NULL, NULL},
	    {"/%2e", NULL, NULL, NULL},
	    {"/a%2Eb", NULL, NULL, NULL},
	    {"/%5c", NULL, NULL, NULL},
	    {"/%5C", NULL, NULL, NULL},
	    {"//", NULL, NULL, NULL},
	    {"//a", NULL, NULL, NULL},
	    {"/a//b", NULL, NULL, NULL},
	    {"/a//", NULL, NULL, NULL},
	    {"/.", NULL, NULL, NULL},
	    {"/..", NULL, NULL, NULL},
	    {"/./a", NULL, NULL, NULL},
	    {"/a/../b", NULL, NULL, NULL},
	    {"/a/.", NULL, NULL, NULL},
	    {"/a/..?b", NULL, NULL, NULL},
	};

	RUN(rows);
	run_row(&(struct row){"NUL", NULL, NULL, NULL}, STR("/a\0b"));
	run_row(&(struct row){"NUL in query", NULL, NULL, NULL}, STR("/a?\0b"));
}

static void absolute_form_has_a_valid_authority(void)
{
	static const struct row rows[] = {
	    {"http://a.example/b?c", "/b", "c", "a.example"},
	    {"HTTPS://a:81/b", "/b", NULL, "a:81"},
	    {"http://a", "/", NULL, "a"},
	    {"http://a?b", "/", "b", "a"},
	    {"http://[::1]:80/", "/", NULL, "[::1]:80"},
	    {"http://", NULL, NULL, NULL},
	    {"http:///a", NULL, NULL, NULL},
	    {"http://u@a/", NULL, NULL, NULL},
	    {"http://u:p@a/", NULL, NULL, NULL},
	    {"http://a:0/", NULL, NULL, NULL},
	    {"http://a:65536/", NULL, NULL, NULL},
	    {"http://a:/", NULL, NULL, NULL},
	    {"http://a//b", NULL, NULL, NULL},
	    {"http://a/../b", NULL, NULL, NULL},
	    {"http://a#b", NULL, NULL, NULL},
	    {"http://a\\b", NULL, NULL, NULL},
	    {"http:/a", NULL, NULL, NULL},
	    {"ftp://a/b", NULL, NULL, NULL},
	    {"file:///etc/passwd", NULL, NULL, NULL},
	    {"http", NULL, NULL, NULL},
	};

	RUN(rows);
}

static void asterisk_only_for_options(void)
{
	struct arena a;
	struct url u;
	const char *why;

	arena_init(&a, NULL);
	CU_ASSERT_EQUAL(url_parse(STR("*"), true, &a, &u, &why), 0);
	CU_ASSERT_TRUE(str_eq(u.path, STR("*")));
	CU_ASSERT(url_parse(STR("*"), false, &a, &u, &why) > 0);
	CU_ASSERT(url_parse(STR("*/"), true, &a, &u, &why) > 0);
	arena_deinit(&a);
}

/* Independent of the parser: what a path of one segment of one escape must become. */
static void every_escape(void)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		char target[8];
		char want[8];
		bool unreserved = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
		                  (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' ||
		                  byte == '~';
		bool refused = byte == 0 || byte == '%' || byte == '.' || byte == '\\';

		if (unreserved)
			snprintf(want, sizeof(want), "/%c", (char)byte);
		else
			snprintf(want, sizeof(want), "/%%%02X", byte);
		struct row row = {target, refused ? NULL : want, NULL, NULL};
		snprintf(target, sizeof(target), "/%%%02x", byte);
		run_row(&row, str_of(target));
		snprintf(target, sizeof(target), "/%%%02X", byte);
		run_row(&row, str_of(target));
	}
}

static void every_raw_byte(void)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		char text[4] = {'/', 'a', (char)byte, 'b'};
		char want[5] = {'/', 'a', (char)byte, 'b', '\0'};
		bool refused =
		    byte < 0x21 || byte > 0x7e || byte == '#' || byte == '\\' || byte == '%';
		struct row row = {"raw byte", refused ? NULL : want, NULL, NULL};

		if (byte == '?')
			row = (struct row){"raw byte", "/a", "b", NULL};
		run_row(&row, (struct str){text, sizeof(text)});
	}
}

static void unchanged_paths_are_not_copied(void)
{
	struct str target = STR("/a/%2Fb?c");
	struct arena a;
	struct url u;
	const char *why;

	arena_init(&a, NULL);
	CU_ASSERT_EQUAL(url_parse(target, false, &a, &u, &why), 0);
	CU_ASSERT_PTR_EQUAL(u.path.p, target.p);
	CU_ASSERT_PTR_NULL(a.page);
	CU_ASSERT_TRUE(url_has_encoded_slash(u.path));
	CU_ASSERT_TRUE(url_has_encoded_slash(STR("%2f")));
	CU_ASSERT_FALSE(url_has_encoded_slash(STR("/a/%2Eb%2")));
	arena_deinit(&a);
}

static void hosts(void)
{
	static const char *const good[] = {
	    "a",
	    "A.b-c_d~e",
	    "127.0.0.1",
	    "a:1",
	    "a:65535",
	    "a:080",
	    "[::1]",
	    "[::1]:1",
	    "[fe80::1:2]:8080",
	    "[::ffff:1.2.3.4]",
	    "a%C3%A9",
	    "a.example.",
	    "a!$&'()*+,;=b",
	};
	static const char *const bad[] = {
	    "",         ":",       ":80",     "a:",        "a:0",   "a:65536", "a:999999",
	    "a:000080", "a:-1",    "a:+1",    "a:1a",      "a:b",   "a:1:2",   "a b",
	    " a",       "a/",      "a/b",     "a?b",       "a#b",   "a@b",     "u@a",
	    "a\\b",     "a\"",     "a<b",     "a%",        "a%4",   "a%2f",    "a%00",
	    "a%40b",    "a\x80",   "[",       "]",         "[]",    "[::1",    "::1",
	    "[::1]a",   "[::1]:",  "[::1]:0", "[1.2.3.4]", "[::g]", "[v1.a]",  "[fe80::1%25eth0]",
	    "a[b]",     "[[::1]]",
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (!url_host_valid(str_of(good[i])))
			fprintf(stderr, "refused: %s\n", good[i]);
		CU_ASSERT_TRUE(url_host_valid(str_of(good[i])));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (url_host_valid(str_of(bad[i])))
			fprintf(stderr, "accepted: %s\n", bad[i]);
		CU_ASSERT_FALSE(url_host_valid(str_of(bad[i])));
	}
	CU_ASSERT_FALSE(url_host_valid(STR("a\0b")));
	CU_ASSERT_FALSE(url_host_valid(STR("[::1\0]")));
}

static void host_names_are_lower_case_without_port(void)
{
	struct arena a;

	arena_init(&a, NULL);
	CU_ASSERT_TRUE(str_eq(url_host_name(STR("A.Example:80"), &a), STR("a.example")));
	CU_ASSERT_TRUE(str_eq(url_host_name(STR("A"), &a), STR("a")));
	CU_ASSERT_TRUE(str_eq(url_host_name(STR("[FE80::1]:80"), &a), STR("[fe80::1]")));
	arena_deinit(&a);
}

static void decoding_refuses_controls(void)
{
	struct arena a;
	struct str s;

	arena_init(&a, NULL);
	CU_ASSERT_EQUAL(url_decode(STR("a%2Fb%20%C3%A9"), &a, &s), 0);
	CU_ASSERT_TRUE(str_eq(s, STR("a/b \xc3\xa9")));
	CU_ASSERT_EQUAL(url_decode(STR(""), &a, &s), 0);
	CU_ASSERT_EQUAL(s.n, 0);
	CU_ASSERT_EQUAL(url_decode(STR("%00"), &a, &s), -1);
	CU_ASSERT_EQUAL(url_decode(STR("%0a"), &a, &s), -1);
	CU_ASSERT_EQUAL(url_decode(STR("%7f"), &a, &s), -1);
	CU_ASSERT_EQUAL(url_decode(STR("\n"), &a, &s), -1);
	CU_ASSERT_EQUAL(url_decode(STR("%"), &a, &s), -1);
	CU_ASSERT_EQUAL(url_decode(STR("a%4"), &a, &s), -1);
	CU_ASSERT_EQUAL(url_decode(STR("%zz"), &a, &s), -1);
	arena_deinit(&a);
}

static void addresses_of_servers(void)
{
	static const char *const bad[] = {
	    "",      "a",      "a:",     "a:0",         ":80",   "::1:80", "[::1]",
	    "unix:", "unix:/", "unix:a", "http://a:80", "a:80/", "a b:80"};
	struct str host;
	uint16_t port;

	CU_ASSERT_TRUE(url_hostport(STR("a.example:8000"), &host, &port));
	CU_ASSERT(str_eq(host, STR("a.example")) && port == 8000);
	CU_ASSERT_TRUE(url_hostport(STR("[::1]:65535"), &host, &port));
	CU_ASSERT(str_eq(host, STR("::1")) && port == 65535);
	CU_ASSERT_TRUE(url_hostport(STR("unix:/run/a b.sock"), &host, &port));
	CU_ASSERT(str_eq(host, STR("/run/a b.sock")) && port == 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_FALSE(url_hostport(str_of(bad[i]), &host, &port));
}

static void origins(void)
{
	static const struct {
		const char *url, *text, *authority, *server, *path;
		bool https;
	} good[] = {
	    {"https://idp.example", "https://idp.example", "idp.example", "idp.example:443", "",
	     true},
	    {"https://IDP.example:443/", "https://idp.example", "idp.example", "idp.example:443",
	     "/", true},
	    {"HTTPS://a:8443/realms/x", "https://a:8443", "a:8443", "a:8443", "/realms/x", true},
	    {"http://127.0.0.1:80/a", "http://127.0.0.1", "127.0.0.1", "127.0.0.1:80", "/a", false},
	    {"http://localhost:443", "http://localhost:443", "localhost:443", "localhost:443", "",
	     false},
	    {"https://[::1]/", "https://[::1]", "[::1]", "[::1]:443", "/", true},
	    {"https://[2001:DB8::1]:8/", "https://[2001:db8::1]:8", "[2001:db8::1]:8",
	     "[2001:db8::1]:8", "/", true},
	};
	static const char *const bad[] = {"",
	                                  "idp.example",
	                                  "//idp.example",
	                                  "ftp://a",
	                                  "https:/a",
	                                  "https://",
	                                  "https:///x",
	                                  "https://:443",
	                                  "https://a:0",
	                                  "https://a:65536",
	                                  "https://a:",
	                                  "https://a:b",
	                                  "https://u@a",
	                                  "https://u:p@a/",
	                                  "https://a/?q",
	                                  "https://a?q",
	                                  "https://a/#f",
	                                  "https://a#f",
	                                  "https://a b/",
	                                  "https://a/../b",
	                                  "https://a//b",
	                                  "https://a/%61",
	                                  "https://a/\n",
	                                  "https://%61/",
	                                  "https://[::1",
	                                  "https://::1/",
	                                  "https://a\\b/"};
	struct url_origin o;
	const char *why;
	struct arena a;

	arena_init(&a, NULL);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_EQUAL_FATAL(url_origin(str_of(good[i].url), &a, &o, &why), 0);
		CU_ASSERT(str_eq(o.text, str_of(good[i].text)));
		CU_ASSERT(str_eq(o.authority, str_of(good[i].authority)));
		CU_ASSERT(str_eq(o.server, str_of(good[i].server)));
		CU_ASSERT(str_eq(o.path, str_of(good[i].path)));
		CU_ASSERT_EQUAL(o.https, good[i].https);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why = NULL;
		if (url_origin(str_of(bad[i]), &a, &o, &why) == 0)
			fprintf(stderr, "\n%s is taken\n", bad[i]);
		CU_ASSERT_PTR_NOT_NULL(why);
	}
	arena_deinit(&a);
}

static void this_machine(void)
{
	static const char *const here[] = {"localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9",
	                                   "[::1]"};
	static const char *const there[] = {
	    "", "localhost.example", "128.0.0.1", "127.0.0.1.example", "[::2]", "127.1", "0.0.0.0"};

	for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++)
		CU_ASSERT(url_host_is_loopback(str_of(here[i])));
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
		CU_ASSERT_FALSE(url_host_is_loopback(str_of(there[i])));
}

UNIT_MAIN("http_url", UNIT(origins), UNIT(this_machine), UNIT(paths_have_one_spelling),
          UNIT(targets_are_refused_not_repaired), UNIT(absolute_form_has_a_valid_authority),
          UNIT(asterisk_only_for_options), UNIT(every_escape), UNIT(every_raw_byte),
          UNIT(unchanged_paths_are_not_copied), UNIT(hosts),
          UNIT(host_names_are_lower_case_without_port), UNIT(decoding_refuses_controls),
          UNIT(addresses_of_servers))
