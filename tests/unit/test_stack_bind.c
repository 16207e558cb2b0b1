/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Options that name upstreams, and what becomes of the configuration by them.
 */
#include "unit.h"

#include "conf/load.h"
#include "stack/bind.h"

#include <string.h>

static const struct merlon_option inner[] = {
    {"url", MERLON_OPT_URL, 0, NULL, NULL, NULL, "A URL."},
    {"up", MERLON_OPT_UPSTREAM, 0, "llm", NULL, NULL, "An upstream."},
    {NULL, 0, 0, NULL, NULL, NULL, NULL},
};
static const struct merlon_option rows[] = {
    {"url", MERLON_OPT_URL, 0, NULL, NULL, NULL, "A URL."},
    {"up", MERLON_OPT_UPSTREAM, 0, NULL, NULL, NULL, "An upstream."},
    {"more", MERLON_OPT_LIST, 0, NULL, NULL, inner, "More of them."},
};
static const struct merlon_module module = {
    .size = sizeof(module),
    .option_size = sizeof(struct merlon_option),
    .option_count = sizeof(rows) / sizeof(rows[0]),
    .name = "test_peers",
    .options = rows,
};

static struct {
	struct arena a;
	struct conf_diag d;
	struct conf *c;
	struct merlon_ctx ctx;
	const merlon_cfg *cfg;
} t;

static const char *said(void)
{
	if (buf_add(&t.d.text, "", 1))
		return "";
	t.d.text.n--;
	return t.d.text.p;
}

static void open_conf(const char *upstreams)
{
	struct str text;

	arena_init(&t.a, NULL);
	conf_diag_init(&t.d);
	text =
	    arena_printf(&t.a,
	                 "listeners = ( { address = \"127.0.0.1:1\"; } );\n"
	                 "upstreams = ( { name = \"llm\"; servers = ( \"127.0.0.1:2\" ); } %s );\n",
	                 upstreams);
	t.c = conf_load_text(text, "/m.conf", "/", &t.d);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t.c);
	t.d.text.n = 0;
}

/* The options as a line of their own; what they name is bound. */
static void bind_options(const char *options)
{
	struct conf_node *root = conf_parse(str_of(options), "/o.conf", false, &t.a, &t.d);

	CU_ASSERT_PTR_NOT_NULL_FATAL(root);
	t.ctx = (struct merlon_ctx){.m = &module};
	t.cfg = options_check(&module, root, root, &t.a, &t.d);
	if (!t.cfg)
		return;
	t.ctx.upstreams = options_upstreams(t.cfg, &t.a, &t.ctx.nupstreams);
	bind_upstreams(t.c, &t.ctx, &t.d);
}

static void close_conf(void)
{
	conf_free(t.c);
	conf_diag_deinit(&t.d);
	arena_deinit(&t.a);
}

static void named(unsigned i, const char *name, const char *server, bool tls, bool loopback,
                  unsigned line)
{
	const struct opt_upstream *u = &t.ctx.upstreams[i];

	CU_ASSERT(str_eq(u->name, str_of(name)));
	CU_ASSERT(str_eq(u->server, str_of(server)));
	CU_ASSERT(u->tls == tls && u->loopback == loopback);
	CU_ASSERT_EQUAL(u->at->line, line);
}

static void what_options_name(void)
{
	struct merlon_val v;

	CU_ASSERT_PTR_NULL(options_table_check(&module));
	open_conf("");
	bind_options("url = \"https://IDP.example:443/realm\";\nup = \"llm\";\n"
	             "more = ( { url = \"http://[::1]:80/\"; },\n { up = \"llm\"; } );\n");
	CU_ASSERT_EQUAL_FATAL(t.ctx.nupstreams, 5);
	named(0, "https://idp.example", "idp.example:443", true, false, 1);
	named(1, "llm", "", false, false, 2);
	named(2, "http://[::1]", "[::1]:80", false, true, 3);
	named(3, "llm", "", false, false, 3);
	named(4, "llm", "", false, false, 4);
	/* The module reads what is written. */
	CU_ASSERT_EQUAL(host_cfg_get(t.cfg, "url", &v), 0);
	CU_ASSERT(str_eq(from_merlon(v.u.str), STR("https://IDP.example:443/realm")));
	close_conf();
	open_conf("");
	bind_options("");
	CU_ASSERT_EQUAL(t.ctx.nupstreams, 0);
	CU_ASSERT_EQUAL(t.c->nupstreams, 1);
	close_conf();
}

static void upstreams_are_made(void)
{
	open_conf("");
	bind_options(
	    "url = \"https://IDP.example/realm\"; more = ( { url = \"https://idp.example:443\"; }, "
	    "{ url = \"http://localhost:8080/x\"; } );");
	CU_ASSERT_EQUAL(t.d.errors, 0);
	CU_ASSERT_EQUAL_FATAL(t.c->nupstreams, 3);
	CU_ASSERT(str_eq(t.c->upstreams[0].name, STR("llm")));
	const struct conf_upstream *u = &t.c->upstreams[1];
	CU_ASSERT(str_eq(u->name, STR("https://idp.example")));
	CU_ASSERT(u->tls && u->nservers == 1 && str_eq(u->servers[0], STR("idp.example:443")));
	CU_ASSERT(u->tls_ca.n == 0 && u->keep_alive > 0 && u->connect_timeout > 0);
	u = &t.c->upstreams[2];
	CU_ASSERT(str_eq(u->name, STR("http://localhost:8080")));
	CU_ASSERT(!u->tls && str_eq(u->servers[0], STR("localhost:8080")));
	/* The next line finds them. */
	bind_options("url = \"https://idp.example\";");
	CU_ASSERT_EQUAL(t.c->nupstreams, 3);
	close_conf();
}

static void what_the_operator_describes_counts(void)
{
	open_conf(", { name = \"http://idp.internal\"; servers = ( \"10.0.0.1:80\" ); }");
	bind_options("url = \"http://IDP.internal:80/realm\";");
	CU_ASSERT_EQUAL(t.d.errors, 0);
	CU_ASSERT_EQUAL(t.c->nupstreams, 2);
	close_conf();
}

static void what_is_refused(void)
{
	static const char *const bad[] = {"",
	                                  "idp.example",
	                                  "ftp://a",
	                                  "https://",
	                                  "https://u@a/",
	                                  "https://a/?q",
	                                  "https://a/#f",
	                                  "https://a:0/",
	                                  "https://a/../b"};
	char text[64];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		open_conf("");
		snprintf(text, sizeof(text), "url = \"%s\";", bad[i]);
		bind_options(text);
		CU_ASSERT_EQUAL(t.d.errors, 1);
		CU_ASSERT_PTR_NOT_NULL(strstr(said(), "/o.conf:1: test_peers: url "));
		close_conf();
	}
	open_conf("");
	bind_options("url = 5; up = true;");
	CU_ASSERT_EQUAL(t.d.errors, 2);
	close_conf();
	open_conf("");
	bind_options("up = \"\";");
	CU_ASSERT_EQUAL(t.d.errors, 1);
	close_conf();
	open_conf("");
	bind_options("\nup = \"lm\";\nurl = \"http://idp.example\";");
	CU_ASSERT_EQUAL(t.d.errors, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(
	    said(), "/o.conf:2: test_peers: there is no upstream \"lm\", did you mean \"llm\"?"));
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(said(), "/o.conf:3: test_peers: http://idp.example is another machine"));
	close_conf();
}

UNIT_MAIN("stack_bind", UNIT(what_options_name), UNIT(upstreams_are_made),
          UNIT(what_the_operator_describes_counts), UNIT(what_is_refused))
