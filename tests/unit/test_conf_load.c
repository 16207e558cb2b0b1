/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Texts that load and texts that do not, the latter with the exact words that the operator reads.
 */
#include "conf/load.h"

#include "unit.h"

#define LISTEN "listeners = ( { address = \"127.0.0.1:8080\"; } );\n"
#define LLM "upstreams = ( { name = \"llm\"; servers = ( \"127.0.0.1:8000\" ); } );\n"
#define OPEN "stacks = ( { name = \"default\"; auth = \"none\"; authz = \"none\"; } );\n"
#define ROUTE                                                                                      \
	"routes = ( { path = \"/v1/\"; api = \"openai\"; stack = \"default\"; upstream = "         \
	"\"llm\"; } );\n"
#define GOOD LISTEN LLM OPEN ROUTE

struct bad {
	const char *text;
	const char *want; /* all that is said */
};

static void expect(const struct bad *b)
{
	struct conf_diag d;
	conf_diag_init(&d);
	struct conf *c = conf_load_text(str_of(b->text), "m.conf", NULL, &d);
	CU_ASSERT_PTR_NULL(c);
	CU_ASSERT(d.errors > 0);
	if (!str_eq(buf_str(&d.text), str_of(b->want))) {
		CU_FAIL("another message");
		printf("\n--- of ---\n%s--- wanted ---\n%s--- got ---\n%.*s", b->text, b->want,
		       STR_FMT(buf_str(&d.text)));
	}
	conf_free(c);
	conf_diag_deinit(&d);
}

static struct conf *load(const char *text)
{
	struct conf_diag d;
	conf_diag_init(&d);
	struct conf *c = conf_load_text(str_of(text), "m.conf", NULL, &d);
	if (!c)
		printf("\n%.*s", STR_FMT(buf_str(&d.text)));
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(d.errors, 0);
	conf_diag_deinit(&d);
	return c;
}

static bool is(struct str s, const char *z)
{
	return str_eq(s, str_of(z));
}

static void defaults_are_those_of_the_manual(void)
{
	struct conf *c = load(GOOD);
	CU_ASSERT(c->workers >= 1 && c->workers <= 64);
	CU_ASSERT_EQUAL(c->limits.head, 32 * 1024);
	CU_ASSERT_EQUAL(c->limits.body, 16 * 1024 * 1024);
	CU_ASSERT_EQUAL(c->limits.memory, 256 * 1024 * 1024);
	CU_ASSERT_EQUAL(c->limits.connections, 10000);
	CU_ASSERT_EQUAL(c->limits.header_timeout, UINT64_C(10000000000));
	CU_ASSERT_EQUAL(c->limits.idle_timeout, UINT64_C(60000000000));
	CU_ASSERT_EQUAL(c->limits.min_rate, 128);
	CU_ASSERT_EQUAL(c->limits.connections_per_address, 0);
	CU_ASSERT_EQUAL(c->limits.drain_timeout, UINT64_C(30000000000));
	CU_ASSERT_EQUAL(c->upstreams[0].connect_timeout, UINT64_C(5000000000));
	CU_ASSERT_EQUAL(c->upstreams[0].first_byte_timeout, UINT64_C(600000000000));
	CU_ASSERT_EQUAL(c->upstreams[0].idle_timeout, UINT64_C(300000000000));
	CU_ASSERT_EQUAL(c->upstreams[0].keep_alive, UINT64_C(4000000000));
	CU_ASSERT_EQUAL(c->upstreams[0].health_interval, UINT64_C(5000000000));
	CU_ASSERT(is(c->log_level, "notice"));
	CU_ASSERT(is(c->fallback_stack, "default"));
	CU_ASSERT_FALSE(c->models_only);
	CU_ASSERT(str_ends(c->admin_socket, STR("/merlon.sock")));
	CU_ASSERT_EQUAL(c->admin_http.n, 0);
	CU_ASSERT(is(c->listeners[0].name, "127.0.0.1:8080"));
	CU_ASSERT(is(c->routes[0].name, "/v1/"));
	CU_ASSERT_TRUE(c->routes[0].prefix);
	CU_ASSERT_TRUE(c->stacks[0].group[G_AUTH].none);
	conf_free(c);
}

static const char every_key[] =

    "workers = 3; module_dir = \"/m\"; log_level = \"debug\"; models_only = true;\n"
    "trusted_proxies = [ \"10.0.0.0/8\", \"::1\" ]; fallback_stack = \"b\";\n"
    "admin = { socket = \"/run/x.sock\"; http = \"127.0.0.1:9180\"; };\n"
    "limits = { head = \"1M\"; body = \"1G\"; memory = \"2G\"; connections = 7; };\n"
    "listeners = ( { name = \"a\"; address = \"[::1]:80\"; half_close = true; } );\n"
    "upstreams = ( { name = \"u\"; servers = \"h.example:1\"; keep_alive = \"0\";\n"
    "  health = { path = \"/health\"; interval = \"1s\"; };\n"
    "  headers = ( { name = \"X-A\"; value = \"b\"; } ); } );\n"
    "models = ( { id = \"m*\"; attributes = { org = \"o\"; level = 4; live = true; };\n"
    "  upstream = \"u\"; price = { input = 2.5; output = 10; }; } );\n"
    "stacks = ( { name = \"b\"; auth = ( { module = \"auth_x\"; control = \"requisite\";\n"
    "    name = \"n\"; label = \"l\"; timeout = \"1s\"; fail_open = true; shadow = true;\n"
    "    swallow = true; identity = \"add\"; options = { k = 1; }; } );\n"
    "  authz = ( { include = \"c\"; control = \"required\"; } );\n"
    "  audit = ( { module = \"audit_x\"; } ); },\n"
    "  { name = \"c\"; auth = \"none\"; authz = \"none\"; } );\n"
    "routes = ( { name = \"r\"; host = \"*.Example.COM\"; path = \"/p\"; api = \"rest\";\n"
    "  stack = \"b\"; upstream = \"u\"; rules = (\n"
    "    { method = \"POST\"; path = \"/p\"; action = \"predict\"; model = \"fixed\"; },\n"
    "    { path = \"/q/*\"; action = \"read\"; model = \"path:2\"; },\n"
    "    { path = \"*\"; action = \"read\"; model = \"header:X-Model\"; resource_type = "
    "\"t\"; },\n"
    "    { path = \"*\"; action = \"read\"; model = \"body:m\"; },\n"
    "    { path = \"*\"; action = \"manage\"; } ); } );\n";

static void every_key_reaches_its_place(void)
{
	struct conf *c = load(every_key);
	CU_ASSERT_EQUAL(c->workers, 3);
	CU_ASSERT(is(c->module_dir, "/m") && is(c->log_level, "debug") && c->models_only);
	CU_ASSERT(c->ntrusted_proxies == 2 && is(c->trusted_proxies[1], "::1"));
	CU_ASSERT(is(c->fallback_stack, "b") && is(c->admin_socket, "/run/x.sock"));
	CU_ASSERT(is(c->admin_http, "127.0.0.1:9180"));
	CU_ASSERT_EQUAL(c->limits.memory, UINT64_C(2) << 30);
	CU_ASSERT_EQUAL(c->limits.connections, 7);
	CU_ASSERT(is(c->listeners[0].name, "a") && c->listeners[0].half_close);
	CU_ASSERT(c->upstreams[0].nservers == 1 && is(c->upstreams[0].servers[0], "h.example:1"));
	CU_ASSERT_EQUAL(c->upstreams[0].keep_alive, 0);
	CU_ASSERT(is(c->upstreams[0].health_path, "/health"));
	CU_ASSERT_EQUAL(c->upstreams[0].health_interval, UINT64_C(1000000000));
	CU_ASSERT(is(c->upstreams[0].headers[0].value, "b") && !c->upstreams[0].headers[0].secret);
	CU_ASSERT(c->models[0].nattrs == 3 && is(c->models[0].attrs[1].value, "4"));
	CU_ASSERT(is(c->models[0].attrs[2].value, "true"));
	CU_ASSERT(is(c->models[0].upstream, "u") && c->models[0].upstream_index == 0);
	CU_ASSERT(c->models[0].priced && c->models[0].price_in == 2.5);
	CU_ASSERT(c->models[0].price_out == 10);
	conf_free(c);
}

static void every_key_of_lines_and_rules_reaches_its_place(void)
{
	struct conf *c = load(every_key);
	const struct conf_line *l = &c->stacks[0].group[G_AUTH].lines[0];
	const struct conf_rule *r = c->routes[0].rules;
	CU_ASSERT(is(l->module, "auth_x") && is(l->control, "requisite") && is(l->name, "n"));
	CU_ASSERT(is(l->label, "l") && l->timeout == UINT64_C(1000000000));
	CU_ASSERT_EQUAL(l->fail_open + l->shadow + l->swallow + l->identity_add, 4);
	CU_ASSERT_EQUAL(conf_child(l->options, STR("k"))->u.i, 1);
	CU_ASSERT(is(c->stacks[0].group[G_AUTHZ].lines[0].include, "c"));
	CU_ASSERT(is(c->stacks[0].group[G_AUTHZ].lines[0].name, "c"));
	CU_ASSERT(is(c->stacks[0].group[G_AUDIT].lines[0].control, "required"));
	CU_ASSERT_EQUAL(c->stacks[0].group[G_AUDIT].lines[0].timeout, UINT64_C(2000000000));
	CU_ASSERT(is(c->routes[0].host, "*.example.com") && !c->routes[0].prefix);
	CU_ASSERT(r[0].model_from == FROM_FIXED && is(r[0].model, "fixed"));
	CU_ASSERT(r[1].model_from == FROM_PATH && r[1].segment == 2);
	CU_ASSERT(r[2].model_from == FROM_HEADER && is(r[2].model, "X-Model") &&
	          is(r[2].resource_type, "t"));
	CU_ASSERT(r[3].model_from == FROM_BODY && is(r[3].model, "m") &&
	          is(r[3].resource_type, "model"));
	CU_ASSERT(r[4].model_from == FROM_NONE && r[4].method.n == 0);
	conf_free(c);
}

static void what_libconfig_would_bend_is_refused(void)
{
	static const struct bad table[] = {
	    {"a = 3000000000;", "m.conf:1: integer 3000000000 is out of range without an L behind "
	                        "it (a size is written as a "
	                        "string, such as \"3G\")\n"},
	    {"\na = -2147483649;", "m.conf:2: integer -2147483649 is out of range without an L "
	                           "behind it (a size is written as a "
	                           "string, such as \"3G\")\n"},
	    {"a = 0xFFFFFFFF;", "m.conf:1: integer 0xFFFFFFFF is out of range without an L behind "
	                        "it (a size is written as a "
	                        "string, such as \"3G\")\n"},
	    {"a = 9223372036854775808L;",
	     "m.conf:1: integer 9223372036854775808 is out of range\n"},
	    {"a = 99999999999999999999;\nb = 0x10000000000000000L;",
	     "m.conf:1: integer 99999999999999999999 is out of range\n"
	     "m.conf:2: integer 0x10000000000000000 is out of range\n"},
	    {"# \"\n// \"\n/* \" \n */ a = \"x\\x00y\";",
	     "m.conf:4: \\x00 cannot stand in a string\n"},
	    {"a = 1; /* open", "m.conf:1: comment is not closed\n"},
	    {"a = \"\n\n;", "m.conf:1: string is not closed\n"},
	    {"a = \"\xff\";", "m.conf:1: is not valid UTF-8\n"},
	    {"a = 1;\n# \xc3\nb = \"\xff\";", "m.conf:2: is not valid UTF-8\n"},
	    {"a = \"\\xff\";", "m.conf:1: a is not valid UTF-8\n"},
	    {"a = 1; @include \"x\"",
	     "m.conf:1: \"@\" may only begin a line of the form @include \"FILE\"\n"},
	    {"@include \"x\"", "m.conf:1: @include cannot be used here\n"},
	    {"a = (((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((",
	     "m.conf:1: nested deeper than 64 brackets\n"},
	    {"a = 1.0e999;", "m.conf:1: a: float is out of range\n"},
	    {"a = 1 \"x\";", "m.conf:1: syntax error\n"},
	    {"a = 1;\nb = ;", "m.conf:2: syntax error\n"},
	    {"a = 1;\na = 2;", "m.conf:2: duplicate setting name\n"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		expect(&table[i]);
}

static void wrong_keys_and_types_are_named(void)
{
	static const struct bad table[] = {
	    {GOOD "listners = ();",
	     "m.conf:5: unknown key \"listners\", did you mean \"listeners\"?\n"},
	    {GOOD "qqqqqqqq = 1;", "m.conf:5: unknown key \"qqqqqqqq\"\n"},
	    {LLM OPEN ROUTE "listeners = (\n { adress = \"127.0.0.1:1\"; } );",
	     "m.conf:5: unknown key \"adress\" in listeners, did you mean \"address\"?\n"
	     "m.conf:5: listeners needs the key \"address\"\n"},
	    {GOOD "limits = { body = \"16Q\"; head = 3; };",
	     "m.conf:5: limits.head must be a size such as \"16M\", not an integer\n"
	     "m.conf:5: limits.body: \"16Q\" is not a size\n"},
	    {GOOD "limits = { connections = 0; idle_timeout = \"1x\"; header_timeout = \"2h\"; };",
	     "m.conf:5: limits.connections: 0 is not in 1..1000000\n"
	     "m.conf:5: limits.header_timeout: \"2h\" is not in 10ms..1h\n"
	     "m.conf:5: limits.idle_timeout: \"1x\" is not a duration\n"},
	    {GOOD "workers = -1; models_only = 1; admin = 3; log_level = \"dbug\";",
	     "m.conf:5: workers: -1 is not in 0..64\n"
	     "m.conf:5: models_only must be true or false, not an integer\n"
	     "m.conf:5: admin must be a group: { ... }\n"
	     "m.conf:5: unknown log_level \"dbug\", did you mean \"debug\"?\n"},
	    {GOOD "limits = { memory = \"1M\"; };",
	     "m.conf:5: limits.memory is smaller than limits.body: the largest body could never be "
	     "parked\n"},
	    {GOOD "trusted_proxies = ( \"10.0.0.0/33\", \"x\", 1 );",
	     "m.conf:5: trusted_proxies must hold strings only\n"
	     "m.conf:5: trusted_proxies: \"10.0.0.0/33\" has a prefix length over 32\n"
	     "m.conf:5: trusted_proxies: \"x\" is not an address or a prefix such as 10.0.0.0/8\n"},
	    {GOOD "models = ( { id = \"a\"; }, { id = \"a\"; price = 1; attributes = { x = [ 1 ]; "
	          "}; } );",
	     "m.conf:5: models.price must be a group: { input = 2.5; output = 10.0; }\n"
	     "m.conf:5: models.attributes.x must be a string, an integer or a boolean\n"
	     "m.conf:5: two models have the id \"a\" (line 5)\n"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		expect(&table[i]);
}

int main(void)
{
	static const struct unit_test tests[] = {
	    UNIT(defaults_are_those_of_the_manual),
	    UNIT(every_key_reaches_its_place),
	    UNIT(every_key_of_lines_and_rules_reaches_its_place),
	    UNIT(what_libconfig_would_bend_is_refused),
	    UNIT(wrong_keys_and_types_are_named),
	};
	return unit_run("conf_load", tests, sizeof(tests) / sizeof(tests[0]));
}
