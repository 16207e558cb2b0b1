/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Rules across keys, with the exact words; what addresses, hosts and paths may be; options that are
 * equal.
 */
#include "conf/check.h"

#include "conf/addr.h"
#include "conf/load.h"
#include "unit.h"

#define LISTEN "listeners = ( { address = \"127.0.0.1:8080\"; } );\n"
#define LLM "upstreams = ( { name = \"llm\"; servers = ( \"127.0.0.1:8000\" ); } );\n"
#define OPEN "stacks = ( { name = \"default\"; auth = \"none\"; authz = \"none\"; } );\n"
#define ROUTE                                                                                      \
	"routes = ( { path = \"/v1/\"; api = \"openai\"; stack = \"default\"; upstream = "         \
	"\"llm\"; } );\n"
#define GOOD LISTEN LLM OPEN ROUTE
#define STACK(lines)                                                                               \
	LISTEN LLM ROUTE "stacks = ( { name = \"default\"; authz = \"none\"; auth = (\n" lines     \
			 "\n); } );"
#define UPSTREAM(keys) LISTEN OPEN ROUTE "upstreams = ( { name = \"llm\";\n" keys "\n} );"
#define WITH_ROUTE(keys)                                                                           \
	LISTEN LLM OPEN "routes = ( {\n" keys "\nstack = \"default\"; upstream = \"llm\"; } );"
#define WITH_RULE(keys) WITH_ROUTE("path = \"/p\"; api = \"rest\"; rules = ( {\n" keys "\n} );")

struct text {
	const char *text;
	const char *want; /* all that is said */
};

static void expect_all(const struct text *table, size_t n, bool loads)
{
	for (size_t i = 0; i < n; i++) {
		struct conf_diag d;
		conf_diag_init(&d);
		struct conf *c = conf_load_text(str_of(table[i].text), "m", NULL, &d);
		CU_ASSERT_EQUAL(c != NULL, loads);
		CU_ASSERT_EQUAL(d.errors == 0, loads);
		if (!str_eq(buf_str(&d.text), str_of(table[i].want))) {
			CU_FAIL("another message");
			printf("\n--- of ---\n%s\n--- wanted ---\n%s--- got ---\n%.*s",
			       table[i].text, table[i].want, STR_FMT(buf_str(&d.text)));
		}
		conf_free(c);
		conf_diag_deinit(&d);
	}
}
#define EXPECT(table, loads) expect_all(table, sizeof(table) / sizeof((table)[0]), loads)

#define MODEL(keys) GOOD "models = ( { id = \"a\";\n" keys "\n} );"

static void models_choose_an_upstream_and_have_a_price(void)
{
	static const struct text bad[] = {
	    {MODEL("upstream = \"lmm\";"), "m:6: there is no upstream \"lmm\"\n"},
	    {MODEL("price = 1;"),
	     "m:6: models.price must be a group: { input = 2.5; output = 10.0; }\n"},
	    {MODEL("price = { input = -1; \noutput = 2000000000;\ncached = 1; };"),
	     "m:8: unknown key \"cached\" in models.price\n"
	     "m:6: models.price.input must be a number from 0 to 1e9\n"
	     "m:7: models.price.output must be a number from 0 to 1e9\n"},
	    {MODEL("price = { input = \"1\"; output = true; };"),
	     "m:6: models.price.input must be a number from 0 to 1e9\n"
	     "m:6: models.price.output must be a number from 0 to 1e9\n"},
	};
	static const struct text good[] = {
	    {MODEL("upstream = \"llm\"; price = { };"), ""},
	    {MODEL("price = { input = 0; output = 1e9; };"), ""},
	    {LISTEN OPEN ROUTE
	     "upstreams = ( { name = \"b\"; servers = \"a:1\"; }, { name = \"llm\"; servers = "
	     "\"a:2\"; } );\nmodels = ( { id = \"a\"; upstream = \"b\"; } );",
	     ""},
	};
	EXPECT(bad, false);
	EXPECT(good, true);
}

static void listeners_must_be_there_and_differ(void)
{
	static const struct text table[] = {
	    {LLM OPEN ROUTE, "m:1: there must be at least one listener\n"},
	    {LLM OPEN ROUTE "listeners = ();", "m:4: there must be at least one listener\n"},
	    {LLM OPEN ROUTE "listeners = { address = \"*:1\"; };",
	     "m:4: listeners must be a list of groups: ( { ... }, { ... } )\n"
	     "m:4: there must be at least one listener\n"},
	    {LLM OPEN ROUTE
	     "listeners = (\n { name = \"a\"; address = \"*:1\"; },\n { name = \"a\"; address = "
	     "\"*:2\"; },\n { address = \"*:1\"; } );",
	     "m:6: two listeners are named \"a\" (line 5)\n"
	     "m:7: address \"*:1\" is used by another listener (line 5)\n"},
	    {LLM OPEN ROUTE "listeners = ( { address = \"localhost:1\"; tls = { }; } );",
	     "m:4: listeners.tls needs the key \"certificate\"\n"
	     "m:4: listeners.tls needs the key \"key\"\n"
	     "m:4: address \"localhost:1\" is not an address to listen on (127.0.0.1:8080, "
	     "[::1]:8080, *:8080 "
	     "or unix:PATH)\n"},
	    {GOOD "admin = { http = \"127.0.0.1:8080\"; };",
	     "m:1: address \"127.0.0.1:8080\" is that of admin.http\n"},
	};
	EXPECT(table, false);
}

#define TLS(keys) LLM OPEN ROUTE "listeners = ( { address = \"*:1\"; tls = {\n" keys "\n}; } );"
#define PAIR "certificate = \"c\"; key = \"k\"; "

static void tls_keys_belong_together(void)
{
	static const struct text table[] = {
	    {LLM OPEN ROUTE "listeners = ( { address = \"*:1\"; tls = true; } );",
	     "m:4: listeners.tls must be a group: { ... }\n"},
	    {TLS(PAIR "client_auth = \"maybe\"; min_version = \"1.1\"; protocols = 1;"),
	     "m:5: unknown key \"protocols\" in listeners.tls\n"
	     "m:5: client_auth \"maybe\" is not none, optional or required\n"
	     "m:5: min_version \"1.1\" is not \"1.2\" or \"1.3\"\n"},
	    {TLS(PAIR "\nclient_auth = \"required\";\ncrl = \"r\";"),
	     "m:6: client_auth \"required\" needs client_ca\n"
	     "m:7: crl needs client_ca\n"},
	    {TLS(PAIR "\nclient_ca = \"a\";"),
	     "m:6: client_ca needs client_auth \"optional\" or \"required\": no certificate is "
	     "asked for\n"},
	    {TLS("certificate = \"c\"; key = \"env:KEY\";"),
	     "m:5: listeners.tls.key: must be a file, file:PATH or cred:NAME\n"},
	    {TLS("certificate = \"c\"; key = \"cred:../k\";"),
	     "m:5: cred:../k is not the name of a credential\n"},
	    {TLS(PAIR "certificates = (\n{ certificate = \"\"; },\n1 );"),
	     "m:6: listeners.tls.certificates.certificate must not be empty\n"
	     "m:6: listeners.tls.certificates needs the key \"key\"\n"
	     "m:7: listeners.tls.certificates must hold groups only: ( { ... }, { ... } )\n"},
	    {UPSTREAM("servers = \"c:1\"; tls = { certificate = \"c\";\nserver_name = \"a b\"; };"),
	     "m:5: certificate and key belong together\n"
	     "m:6: server_name \"a b\" is not the name of a host in lower case\n"},
	    {UPSTREAM("servers = \"unix:/s\"; tls = { };"),
	     "m:5: tls needs server_name: server \"unix:/s\" has no host\n"},
	};
	EXPECT(table, false);
}

static void tls_keys_may_be_empty(void)
{
	static const struct text table[] = {
	    {LLM OPEN ROUTE "listeners = ( { address = \"*:1\"; tls = { " PAIR
	                    "client_ca = \"\"; crl = \"\"; client_auth = \"none\"; }; } );",
	     ""},
	    {UPSTREAM("servers = \"c:1\"; tls = { ca = \"\"; server_name = \"\"; certificate = "
	              "\"\"; key = \"\"; };"),
	     ""},
	    {UPSTREAM("servers = \"c:1\"; tls = { };"), ""},
	};
	EXPECT(table, true);
}

static void tls_is_printed_as_it_is_in_effect(void)
{
	static const char text[] = LLM OPEN ROUTE
	    "listeners = ( { address = \"*:1\"; tls = { certificate = \"/c\"; key = \"file:/k\";\n"
	    "certificates = ( { certificate = \"/d\"; key = \"/l\"; } ); client_ca = \"/a\";\n"
	    "client_auth = \"optional\"; crl = \"/r\"; }; } );\n";
	static const char want[] =
	    "tls = { certificate = \"/c\"; key = \"/k\";\n      certificates = ( { certificate = "
	    "\"/d\"; key = \"/l\"; } ); client_ca = \"/a\"; client_auth = \"optional\"; crl = "
	    "\"/r\"; min_version = \"1.2\"; };";
	struct conf_diag d;
	struct buf b;

	conf_diag_init(&d);
	buf_init(&b, 65536);
	struct conf *c = conf_load_text(str_of(text), "m", NULL, &d);
	CU_ASSERT_EQUAL_FATAL(conf_print(c, NULL, NULL, &b), 0);
	CU_ASSERT_EQUAL(buf_add(&b, "", 1), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(b.p, want));
	buf_deinit(&b);
	conf_free(c);
	conf_diag_deinit(&d);
}

static void stacks_say_what_they_lack(void)
{
	static const struct text table[] = {
	    {LISTEN LLM ROUTE "stacks = (\n{ name = \"default\"; auth = (); } );",
	     "m:5: stack \"default\" has no auth lines; auth = \"none\" says that this is meant\n"
	     "m:5: stack \"default\" has no authz lines; authz = \"none\" says that this is "
	     "meant\n"},
	    {LISTEN LLM ROUTE
	     "stacks = ( { name = \"default\"; auth = \"non\"; authz = \"none\"; audit = "
	     "\"none\"; } );",
	     "m:4: stacks.auth must be a list of lines, or \"none\"\n"
	     "m:4: stacks.audit must be a list of groups: ( { ... }, { ... } )\n"},
	    {STACK("{ module = \"a\"; }"), "m:5: line \"a\" needs the key \"control\"\n"},
	    {STACK("{ module = \"a\"; include = \"default\"; control = \"required\"; },\n"
	           "{ control = \"required\"; }"),
	     "m:5: a line needs either module or include\n"
	     "m:6: a line needs either module or include\n"},
	    {STACK("{ module = \"a\"; control = \"required\"; },\n{ module = \"a\"; control = "
	           "\"required\"; }"),
	     "m:6: two lines of this group are named \"a\" (line 5): give one a name\n"},
	    {STACK("{ module = \"a\"; control = \"required\"; name = \"x\"; label = \"l\"; },\n"
	           "{ module = \"b\"; control = \"required\"; name = \"x\"; label = \"l\"; }"),
	     "m:6: two lines of this group are named \"x\" (line 5)\n"
	     "m:6: two lines of this group have the label \"l\" (line 5)\n"},
	    {STACK("{ include = \"no\"; control = \"required\"; options = { }; }"),
	     "m:5: there is no stack \"no\" to include\n"
	     "m:5: options belongs to lines with a module, not to an include\n"},
	    {STACK(
		 "{ module = \"a/b\"; control = \"required\"; identity = \"set\"; options = 1; }"),
	     "m:5: options must be a group: { ... }\n"
	     "m:5: identity takes the value \"add\" only\n"
	     "m:5: module \"a/b\" must be a name without a folder\n"},
	    {STACK("{ modul = \"a\"; control = \"required\"; timeout = \"11m\"; }"),
	     "m:5: unknown key \"modul\" in stacks.auth, did you mean \"module\"?\n"
	     "m:5: stacks.auth.timeout: \"11m\" is not in 1ms..10m\n"
	     "m:5: a line needs either module or include\n"},
	    {GOOD "fallback_stack = \"no\";", "m:5: there is no stack \"no\"\n"},
	    {LISTEN LLM ROUTE
	     "stacks = ( { name = \"default\"; auth = \"none\"; authz = \"none\"; },\n"
	     "{ name = \"default\"; auth = \"none\"; authz = \"none\"; } );",
	     "m:5: two stacks are named \"default\" (line 4)\n"},
	};
	EXPECT(table, false);
}

static void upstreams_name_servers_and_fit_headers(void)
{
	static const struct text table[] = {
	    {UPSTREAM("servers = ( );"), "m:5: upstream \"llm\" has no server\n"},
	    {UPSTREAM("tls = 1;"), "m:4: upstreams needs the key \"servers\"\n"
	                           "m:5: upstreams.tls must be a group: { ... }\n"},
	    {UPSTREAM("servers = ( \"http://a:1\", \"b\", \"c:1\", \"c:1\" );"),
	     "m:5: server \"http://a:1\" is written without http:// or https://\n"
	     "m:5: server \"b\" needs a port\n"
	     "m:5: server \"c:1\" is named twice\n"},
	    {UPSTREAM("servers = \"c:1\"; health = { path = \"h\"; interval = \"1ms\"; };"),
	     "m:5: upstreams.health.interval: \"1ms\" is not in 100ms..1h\n"
	     "m:5: path \"h\" must begin with \"/\"\n"},
	    {UPSTREAM(
		 "servers = \"c:1\"; headers = (\n{ name = \"Host\"; value = \"x\"; },\n"
		 "{ name = \"a b\"; value = \"x\"; },\n{ name = \"a\"; value = \"x\\ny\"; } );"),
	     "m:6: header \"Host\" cannot be set: it belongs to the connection or to framing\n"
	     "m:7: \"a b\" is not a header name\n"
	     "m:8: the value of header \"a\" holds a control byte\n"},
	    {UPSTREAM(
		 "servers = \"c:1\"; headers = ( { name = \"a\"; value = \"${vault:x#y}\"; } );"),
	     "m:5: upstreams.headers.value: vault: references are not supported by this version\n"},
	    {UPSTREAM("servers = \"c:1\"; headers = ( { name = \"X-Own\"; value = \"x\"; } );\n"
	              "identity_headers = ( { name = \"X-User\"; value = \"id.subb\"; },\n"
	              "{ name = \"X_User\"; value = \"id.sub\"; },\n"
	              "{ name = \"x-own\"; value = \"id.sub\"; },\n"
	              "{ name = \"x-user\"; value = \"action\"; },\n"
	              "{ name = \"Authorization\"; value = \"id.sub\"; },\n"
	              "{ name = \"Content-Length\"; value = \"req.\"; },\n"
	              "{ name = \"X-Nothing\"; value = \"user\"; },\n"
	              "{ name = \"X-Empty\"; value = \"\"; },\n"
	              "{ value = \"id.sub\"; }, { name = \"X-A\"; } );"),
	     "m:6: unknown attribute \"id.subb\", did you mean \"id.sub\"?\n"
	     "m:7: \"X_User\" is not a header name\n"
	     "m:11: header \"Content-Length\" cannot be set: it belongs to the connection or to "
	     "framing\n"
	     "m:11: unknown attribute \"req.\"\n"
	     "m:12: unknown attribute \"user\"\n"
	     "m:13: upstreams.identity_headers.value must not be empty\n"
	     "m:14: upstreams.identity_headers needs the key \"name\"\n"
	     "m:14: upstreams.identity_headers needs the key \"value\"\n"
	     "m:8: header \"x-own\" stands in headers too\n"
	     "m:9: header \"x-user\" is named twice (line 6)\n"
	     "m:10: header \"Authorization\" cannot tell an identity: it has another meaning\n"},
	    {UPSTREAM(
		 "servers = \"c:1\"; identity_headers = { name = \"X\"; value = \"id.sub\"; };"),
	     "m:5: upstreams.identity_headers must be a list of groups: ( { ... }, { ... } )\n"},
	};
	static const struct text warned[] = {
	    {UPSTREAM(
		 "servers = \"c:1\"; headers = ( { name = \"Authorization\"; value = \"x\"; } );"),
	     "m:5: warning: the value of \"Authorization\" stands in the file; a reference such as "
	     "${file:/path} keeps it out\n"},
	};
	EXPECT(table, false);
	EXPECT(warned, true);
}

static void routes_point_to_what_exists(void)
{
	static const struct text table[] = {
	    {LISTEN
	     "routes = ( { path = \"/v1\"; api = \"openai\"; stack = \"s\"; upstream = \"u\"; } );",
	     "m:2: there is no upstream \"u\"\nm:2: there is no stack \"s\"\n"},
	    {WITH_ROUTE("path = \"v1\"; api = \"openai\";"),
	     "m:5: path \"v1\" must begin with \"/\"\n"},
	    {WITH_ROUTE("path = \"/a//b\"; api = \"openai\";"),
	     "m:5: path \"/a//b\" must not hold \"//\"\n"},
	    {WITH_ROUTE("path = \"/a\"; host = \"a:80\"; api = \"openai\";"),
	     "m:5: host \"a:80\" is written without a port\n"},
	    {WITH_ROUTE("path = \"/a\"; api = \"anthropics\";"),
	     "m:5: unknown api \"anthropics\", did you mean \"anthropic\"?\n"},
	    {WITH_ROUTE("path = \"/a\"; api = \"kserve\"; allow_unknown = true;"),
	     "m:5: routes.allow_unknown must be a string, not a boolean\n"},
	    {WITH_ROUTE("path = \"/a\"; api = \"kserve\"; allow_unknown = \"reed\";"),
	     "m:5: unknown action \"reed\", did you mean \"read\"?\n"},
	    {WITH_ROUTE("path = \"/a\"; api = \"opneai\";"),
	     "m:5: unknown api \"opneai\", did you mean \"openai\"?\n"},
	    {WITH_ROUTE("path = \"/a\"; api = \"rest\";"), "m:5: api \"rest\" needs rules\n"},
	    {WITH_ROUTE("path = \"/a\"; api = \"openai\"; rules = ( { path = \"/\"; action = "
	                "\"read\"; } );"),
	     "m:5: rules belong to api \"rest\" only\n"},
	    {LISTEN LLM OPEN "routes = (\n{ host = \"A\"; path = \"/v1/\"; api = \"openai\"; stack "
	                     "= \"default\"; upstream = \"llm\"; },\n"
	                     "{ host = \"a\"; path = \"/v1/\"; api = \"openai\"; stack = "
	                     "\"default\"; upstream = \"llm\"; } );",
	     "m:6: this route has the host and path of another one (line 5)\n"},
	};
	EXPECT(table, false);
}

static void rules_are_checked(void)
{
	static const struct text table[] = {
	    {WITH_RULE("path = \"/p\"; action = \"predit\";"),
	     "m:6: unknown action \"predit\", did you mean \"predict\"?\n"},
	    {WITH_RULE("path = \"p\"; action = \"read\"; method = \"get\";"),
	     "m:6: method \"get\" must be in capitals\nm:6: path \"p\" must begin with \"/\"\n"},
	    {WITH_RULE("path = \"/p\"; action = \"read\"; model = \"path:0\";"),
	     "m:6: \"path:0\" is not path:N with N in 1..32\n"},
	    {WITH_RULE("path = \"/p\"; action = \"read\"; model = \"path:33\";"),
	     "m:6: \"path:33\" is not path:N with N in 1..32\n"},
	    {WITH_RULE("path = \"/p\"; action = \"read\"; model = \"header:a b\";"),
	     "m:6: \"header:a b\" does not name a header\n"},
	    {WITH_RULE("path = \"/p\"; action = \"read\"; model = \"body:\";"),
	     "m:6: \"body:\" does not name a key of the body\n"},
	    {WITH_RULE("path = \"/p\"; action = \"read\"; model = \"body:a..b\";"),
	     "m:6: \"body:a..b\" does not name a key of the body\n"},
	    {WITH_RULE("path = \"/p\"; action = \"read\"; model = \"body:a.b.c.d\";"),
	     "m:6: \"body:a.b.c.d\" does not name a key of the body\n"},
	    {WITH_RULE("path = \"/p\"; action = \"read\"; method = \"PST\";"),
	     "m:6: unknown method \"PST\", did you mean \"POST\"?\n"},
	    {WITH_RULE("path = \"/p\"; action = \"read\"; method = \"CONNECT\";"),
	     "m:6: unknown method \"CONNECT\"\n"},
	    {WITH_RULE("action = \"read\";"), "m:5: routes.rules needs the key \"path\"\n"},
	};
	EXPECT(table, false);
}

static void what_nothing_uses_is_warned_of(void)
{
	static const struct text table[] = {
	    {GOOD, ""},
	    {LISTEN "upstreams = ( { name = \"u\"; servers = \"a:1\"; } );\n",
	     "m:2: warning: upstream \"u\" is used by no route\n"
	     "m:1: warning: there is no route: every request is answered with 404\n"},
	    /* Options of modules name upstreams too, also by a URL below them. */
	    {LISTEN
	     "upstreams = ( { name = \"llm\"; servers = \"a:1\"; },\n"
	     "{ name = \"idp\"; servers = \"a:1\"; },\n"
	     "{ name = \"https://a\"; servers = \"a:1\"; },\n"
	     "{ name = \"id\"; servers = \"a:1\"; } );\n" ROUTE
	     "stacks = ( { name = \"default\"; authz = \"none\"; auth = (\n"
	     "  { module = \"m\"; control = \"requisite\"; options = {\n"
	     "    a = ( { b = [ \"x\", \"idp\" ]; } ); c = \"https://a/realm\"; }; } ); } );",
	     "m:5: warning: upstream \"id\" is used by no route\n"},
	    {LISTEN LLM ROUTE
	     "stacks = ( { name = \"default\"; auth = \"none\"; authz = \"none\"; audit = (\n"
	     "  { include = \"b\"; } ); },\n"
	     "{ name = \"b\"; auth = \"none\"; authz = \"none\"; },\n"
	     "{ name = \"c\"; auth = \"none\"; authz = \"none\"; } );",
	     "m:7: warning: stack \"c\" is used by no route\n"},
	    {LISTEN LLM ROUTE "fallback_stack = \"c\"; stacks = (\n"
	                      "{ name = \"default\"; auth = \"none\"; authz = \"none\"; },\n"
	                      "{ name = \"c\"; auth = \"none\"; authz = \"none\"; } );",
	     ""},
	};
	EXPECT(table, true);
}

struct form {
	const char *(*check)(struct str);
	const char *text;
	bool good;
};

static void texts_have_their_forms(void)
{
	static const struct form table[] = {
	    {addr_check_listen, "127.0.0.1:8080", true},
	    {addr_check_listen, "[::1]:80", true},
	    {addr_check_listen, "*:80", true},
	    {addr_check_listen, "unix:/run/x", true},
	    {addr_check_listen, "unix:", false},
	    {addr_check_listen, "127.0.0.1", false},
	    {addr_check_listen, "127.0.0.1:0", false},
	    {addr_check_listen, "127.0.0.1:65536", false},
	    {addr_check_listen, "127.0.0.1:+80", false},
	    {addr_check_listen, "::1:80", false},
	    {addr_check_listen, "[::1]", false},
	    {addr_check_listen, "[::1", false},
	    {addr_check_listen, "[x]:80", false},
	    {addr_check_listen, "", false},
	    {addr_check_server, "llm.example:8000", true},
	    {addr_check_server, "my_service:8000", true},
	    {addr_check_server, "10.0.0.1:1", true},
	    {addr_check_server, "10.0.0.256:1", false},
	    {addr_check_server, "*:1", false},
	    {addr_check_server, "-a:1", false},
	    {addr_check_server, "a..b:1", false},
	    {addr_check_server, ":1", false},
	    {addr_check_server, "a b:1", false},
	    {addr_check_prefix, "10.0.0.0/8", true},
	    {addr_check_prefix, "10.1.2.3", true},
	    {addr_check_prefix, "fd00::/8", true},
	    {addr_check_prefix, "unix", true},
	    {addr_check_prefix, "10.0.0.0/", false},
	    {addr_check_prefix, "10.0.0/8", false},
	    {addr_check_prefix, "::/129", false},
	    {addr_check_host, "a.example", true},
	    {addr_check_host, "*.a.example", true},
	    {addr_check_host, "[::1]", true},
	    {addr_check_host, "*", false},
	    {addr_check_host, "a.*.b", false},
	    {addr_check_host, "*.", false},
	    {addr_check_path, "/", true},
	    {addr_check_path, "/v1/", true},
	    {addr_check_path, "/a.b/c..d", true},
	    {addr_check_path, "/a/../b", false},
	    {addr_check_path, "/a/.", false},
	    {addr_check_path, "//", false},
	    {addr_check_path, "/a%20b", false},
	    {addr_check_path, "/a?b", false},
	    {addr_check_path, "/a b", false},
	    {addr_check_path, "", false},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *why = table[i].check(str_of(table[i].text));
		if ((why == NULL) != table[i].good) {
			CU_FAIL("another answer");
			printf("\n%s: %s", table[i].text, why ? why : "fine");
		}
	}
}

static void digest_of(const char *text, uint8_t out[SHA256_LEN])
{
	struct arena a;
	struct conf_diag diag;
	struct digest *d = digest_new(STR_NONE);
	arena_init(&a, NULL);
	conf_diag_init(&diag);
	conf_digest(conf_parse(str_of(text), "d", false, &a, &diag), d);
	digest_get(d, out);
	digest_free(d);
	conf_diag_deinit(&diag);
	arena_deinit(&a);
}

static void digests_tell_options_apart(void)
{
	static const struct {
		const char *a;
		const char *b;
		bool same;
	} table[] = {
	    {"a = 1; b = ( \"x\", \"y\" );", "# c\n a = 1;\n\nb=(\"x\",\"y\");", true},
	    {"a = 1;", "a = 2;", false},
	    {"a = 1;", "b = 1;", false},
	    {"a = 1;", "a = true;", false},
	    {"a = 1.0;", "a = 1.5;", false},
	    {"a = [ \"xy\" ];", "a = [ \"x\", \"y\" ];", false},
	    {"a = { b = { }; c = 1; };", "a = { b = { c = 1; }; };", false},
	    {"a = ( );", "a = [ ];", false},
	};
	hash_init();
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint8_t a[SHA256_LEN];
		uint8_t b[SHA256_LEN];
		digest_of(table[i].a, a);
		digest_of(table[i].b, b);
		CU_ASSERT_EQUAL(memcmp(a, b, sizeof(a)) == 0, table[i].same);
	}
}

UNIT_MAIN("conf_check", UNIT(models_choose_an_upstream_and_have_a_price),
          UNIT(listeners_must_be_there_and_differ), UNIT(stacks_say_what_they_lack),
          UNIT(upstreams_name_servers_and_fit_headers), UNIT(routes_point_to_what_exists),
          UNIT(rules_are_checked), UNIT(tls_keys_belong_together), UNIT(tls_keys_may_be_empty),
          UNIT(tls_is_printed_as_it_is_in_effect), UNIT(what_nothing_uses_is_warned_of),
          UNIT(texts_have_their_forms), UNIT(digests_tell_options_apart))
