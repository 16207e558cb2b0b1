/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Writes a configuration as it is in effect, in the grammar that it is read in. Secrets are left
 * out here and nowhere later, so whatever this writes may be shown.
 */
#include "conf/load.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "conf/secret.h"

struct printer {
	struct buf *out;
	int r; /* the first failure; everything after it is dropped */
	bool (*is_secret)(void *arg, struct str module, struct str key);
	void *arg;
};

static void put(struct printer *p, const char *fmt, ...) PRINTF(2, 3);
static void put(struct printer *p, const char *fmt, ...)
{
	char small[512];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (p->r == 0 && n > 0)
		p->r = buf_add(p->out, small,
		               (size_t)n < sizeof(small) ? (size_t)n : sizeof(small) - 1);
}

static void put_str(struct printer *p, struct str s)
{
	if (p->r == 0)
		p->r = buf_adds(p->out, s);
}

static void put_escaped(struct printer *p, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '"' || c == '\\')
			put(p, "\\%c", c);
		else if (c == '\n')
			put(p, "\\n");
		else if (c < 0x20 || c == 0x7f)
			put(p, "\\x%02x", c);
		else
			put_str(p, (struct str){s.p + i, 1});
	}
}

static void put_text(struct printer *p, struct str s)
{
	put(p, "\"");
	put_escaped(p, s);
	put(p, "\"");
}

static void put_key(struct printer *p, const char *key, struct str s)
{
	put(p, " %s = ", key);
	put_text(p, s);
	put(p, ";");
}

/* Only where it is not empty: an absent key, not an empty one, is the default. */
static void put_set(struct printer *p, const char *key, struct str s)
{
	if (s.n > 0)
		put_key(p, key, s);
}

static void put_time(struct printer *p, const char *key, uint64_t ns)
{
	if (ns % NS_PER_S == 0)
		put(p, " %s = \"%" PRIu64 "s\";", key, ns / NS_PER_S);
	else
		put(p, " %s = \"%" PRIu64 "ms\";", key, ns / NS_PER_MS);
}

static void put_size(struct printer *p, const char *key, uint64_t n)
{
	static const struct {
		uint64_t unit;
		const char *letter;
	} units[] = {
	    {UINT64_C(1) << 30, "G"}, {UINT64_C(1) << 20, "M"}, {UINT64_C(1) << 10, "K"}, {1, ""}};
	size_t i = 0;
	while (units[i].unit > 1 && (n == 0 || n % units[i].unit != 0))
		i++;
	put(p, " %s = \"%" PRIu64 "%s\";", key, n / units[i].unit, units[i].letter);
}

static void put_bool(struct printer *p, const char *key, bool b)
{
	put(p, " %s = %s;", key, b ? "true" : "false");
}

/* ---- options ---- */
static bool has_ref(struct str s)
{
	for (; s.n > 0; s.p++, s.n--) {
		if (str_starts(s, STR("${")))
			return true;
	}
	return false;
}

static void put_scalar(struct printer *p, const struct conf_node *n, struct str module,
                       struct str key)
{
	bool hide = p->is_secret && p->is_secret(p->arg, module, key);
	if (hide || (n->type == CONF_STRING && (secret_is_ref(n->u.s) || has_ref(n->u.s))))
		put(p, "\"***\"");
	else if (n->type == CONF_STRING)
		put_text(p, n->u.s);
	else if (n->type == CONF_BOOL)
		put(p, "%s", n->u.b ? "true" : "false");
	else if (n->type == CONF_FLOAT)
		put(p, "%#.17g", n->u.f);
	else
		put(p, "%" PRId64 "%s", n->u.i,
		    n->u.i > INT32_MAX || n->u.i < INT32_MIN ? "L" : "");
}

static void put_node(struct printer *p, const struct conf_node *n, struct str module,
                     struct str key)
{
	static const char *const brackets[] = {
	    [CONF_GROUP] = "{}", [CONF_LIST] = "()", [CONF_ARRAY] = "[]"};
	if (n->type > CONF_ARRAY) {
		put_scalar(p, n, module, key);
		return;
	}
	put(p, "%c ", brackets[n->type][0]);
	for (const struct conf_node *c = n->child; c; c = c->next) {
		if (n->type == CONF_GROUP) {
			put_str(p, c->key);
			put(p, " = ");
		}
		/* What a list holds goes by the list's key: one secret of many is a secret. */
		put_node(p, c, module, c->key.n > 0 ? c->key : key);
		put(p, n->type == CONF_GROUP ? "; " : c->next ? ", " : " ");
	}
	put(p, "%c", brackets[n->type][1]);
}

/* ---- sections ---- */
static void put_strings(struct printer *p, const char *key, const struct str *s, unsigned n)
{
	put(p, " %s = (", key);
	for (unsigned i = 0; i < n; i++) {
		put(p, i > 0 ? ", " : " ");
		put_text(p, s[i]);
	}
	put(p, " );");
}

static void put_pair(struct printer *p, struct str certificate, struct str key)
{
	put_set(p, "certificate", certificate);
	put_set(p, "key", key);
}

static void put_listener_tls(struct printer *p, const struct conf_listener_tls *t)
{
	put(p, "\n    tls = {");
	put_pair(p, t->pairs[0].certificate, t->pairs[0].key);
	for (unsigned i = 1; i < t->npairs; i++) {
		put(p, i == 1 ? "\n      certificates = ( {" : ", {");
		put_pair(p, t->pairs[i].certificate, t->pairs[i].key);
		put(p, i + 1 == t->npairs ? " } );" : " }");
	}
	put_set(p, "client_ca", t->client_ca);
	put_key(p, "client_auth", t->client_auth);
	put_set(p, "crl", t->crl);
	put_key(p, "min_version", t->min_version);
	put(p, " };");
}

static void put_top(struct printer *p, const struct conf *c)
{
	const struct conf_limits *l = &c->limits;
	put(p, "workers = %u;\nmodule_dir = ", c->workers);
	put_text(p, c->module_dir);
	put(p, ";\nlog_level = ");
	put_text(p, c->log_level);
	put(p, ";\nmodels_only = %s;\n", c->models_only ? "true" : "false");
	if (c->fallback_stack.n > 0) {
		put(p, "fallback_stack = ");
		put_text(p, c->fallback_stack);
		put(p, ";\n");
	}
	put(p, "admin = {");
	put_key(p, "socket", c->admin_socket);
	put_set(p, "http", c->admin_http);
	put(p, " };\nlimits = {");
	put_size(p, "head", l->head);
	put_size(p, "body", l->body);
	put_size(p, "memory", l->memory);
	put(p, " connections = %u;", l->connections);
	put(p, " connections_per_address = %u;", l->connections_per_address);
	put_time(p, "header_timeout", l->header_timeout);
	put_time(p, "idle_timeout", l->idle_timeout);
	put_size(p, "min_rate", l->min_rate);
	put_time(p, "drain_timeout", l->drain_timeout);
	put(p, " };\n");
	if (c->ntrusted_proxies > 0) {
		put_strings(p, "trusted_proxies", c->trusted_proxies, c->ntrusted_proxies);
		put(p, "\n");
	}
	put(p, "listeners = (");
	for (unsigned i = 0; i < c->nlisteners; i++) {
		put(p, "%s\n  {", i > 0 ? "," : "");
		put_key(p, "name", c->listeners[i].name);
		put_key(p, "address", c->listeners[i].address);
		put_bool(p, "half_close", c->listeners[i].half_close);
		if (c->listeners[i].tls.node)
			put_listener_tls(p, &c->listeners[i].tls);
		put(p, " }");
	}
	put(p, " );\n");
}

/* A literal in such a header is a credential as well, whatever the file's owner thought. */
static bool is_credential(const struct conf_header *h)
{
	static const char *const globs[] = {"*auth*",   "*key*",    "*token*",
	                                    "*secret*", "*cookie*", "*password*"};
	char low[128];
	size_t n = h->name.n < sizeof(low) ? h->name.n : sizeof(low);
	for (size_t i = 0; i < n; i++)
		low[i] = h->name.p[i] >= 'A' && h->name.p[i] <= 'Z' ? (char)(h->name.p[i] | 0x20)
		                                                    : h->name.p[i];
	for (size_t i = 0; i < sizeof(globs) / sizeof(globs[0]); i++) {
		if (str_glob(str_of(globs[i]), (struct str){low, n}))
			return true;
	}
	return h->secret;
}

static void put_upstream(struct printer *p, const struct conf_upstream *u)
{
	put(p, "\n  {");
	put_key(p, "name", u->name);
	put_strings(p, "servers", u->servers, u->nservers);
	put_time(p, "connect_timeout", u->connect_timeout);
	put_time(p, "first_byte_timeout", u->first_byte_timeout);
	put_time(p, "idle_timeout", u->idle_timeout);
	put_time(p, "keep_alive", u->keep_alive);
	if (u->nheaders > 0) {
		put(p, "\n    headers = (");
		for (unsigned i = 0; i < u->nheaders; i++) {
			put(p, "%s {", i > 0 ? "," : "");
			put_key(p, "name", u->headers[i].name);
			put_key(p, "value",
			        is_credential(&u->headers[i]) ? STR("***") : u->headers[i].written);
			put(p, " }");
		}
		put(p, " );");
	}
	if (u->nidentity > 0) {
		put(p, "\n    identity_headers = (");
		for (unsigned i = 0; i < u->nidentity; i++) {
			put(p, "%s {", i > 0 ? "," : "");
			put_key(p, "name", u->identity[i].name);
			put_key(p, "value", u->identity[i].attribute);
			put(p, " }");
		}
		put(p, " );");
	}
	if (u->health_path.n > 0) {
		put(p, "\n    health = {");
		put_key(p, "path", u->health_path);
		put_time(p, "interval", u->health_interval);
		put(p, " };");
	}
	if (u->tls) {
		put(p, "\n    tls = {");
		put_set(p, "ca", u->tls_ca);
		put_set(p, "server_name", u->tls_name);
		put_pair(p, u->tls_certificate, u->tls_key);
		put(p, " };");
	}
	put(p, " }");
}

static void put_models(struct printer *p, const struct conf *c)
{
	put(p, "models = (");
	for (unsigned i = 0; i < c->nmodels; i++) {
		const struct conf_node *attrs = conf_child(c->models[i].node, STR("attributes"));
		put(p, "%s\n  {", i > 0 ? "," : "");
		put_key(p, "id", c->models[i].id);
		if (attrs) {
			put(p, " attributes = ");
			put_node(p, attrs, STR_NONE, STR_NONE);
			put(p, ";");
		}
		put_set(p, "upstream", c->models[i].upstream);
		if (c->models[i].priced)
			put(p, " price = { input = %#.17g; output = %#.17g; };",
			    c->models[i].price_in, c->models[i].price_out);
		put(p, " }");
	}
	put(p, " );\n");
}

static void put_line(struct printer *p, const struct conf_line *l)
{
	put(p, "\n      {");
	put_set(p, "module", l->module);
	put_set(p, "include", l->include);
	put_key(p, "control", l->control);
	put_key(p, "name", l->name);
	put_set(p, "label", l->label);
	if (l->module.n > 0) {
		put_time(p, "timeout", l->timeout);
		put_bool(p, "shadow", l->shadow);
	}
	put_bool(p, "fail_open", l->fail_open);
	put_bool(p, "swallow", l->swallow);
	if (l->identity_add)
		put_key(p, "identity", STR("add"));
	if (l->options) {
		put(p, "\n        options = ");
		put_node(p, l->options, l->module, STR_NONE);
		put(p, ";");
	}
	put(p, " }");
}

static void put_stack(struct printer *p, const struct conf_stack *s)
{
	put(p, "\n  {");
	put_key(p, "name", s->name);
	for (int g = 0; g < G_COUNT; g++) {
		if (s->group[g].none) {
			put(p, "\n    %s = \"none\";", conf_group_names[g]);
			continue;
		}
		put(p, "\n    %s = (", conf_group_names[g]);
		for (unsigned i = 0; i < s->group[g].nlines; i++) {
			put(p, "%s", i > 0 ? "," : "");
			put_line(p, &s->group[g].lines[i]);
		}
		put(p, " );");
	}
	put(p, " }");
}

static void put_rule(struct printer *p, const struct conf_rule *r)
{
	static const char *const forms[] = {
	    [FROM_NONE] = "",          [FROM_FIXED] = "",     [FROM_PATH] = "",
	    [FROM_HEADER] = "header:", [FROM_BODY] = "body:",
	};
	put(p, "\n      {");
	put_set(p, "method", r->method);
	put_key(p, "path", r->path);
	put_key(p, "action", r->action);
	if (r->model_from != FROM_NONE) {
		put(p, " model = \"%s", forms[r->model_from]);
		put_escaped(p, r->model);
		put(p, "\";");
	}
	put_key(p, "resource_type", r->resource_type);
	put(p, " }");
}

static void put_route(struct printer *p, const struct conf_route *r)
{
	put(p, "\n  {");
	/* A default name may stand twice where a written one may not. */
	if (!str_eq(r->name, r->path))
		put_key(p, "name", r->name);
	put_set(p, "host", r->host);
	put_key(p, "path", r->path);
	put_key(p, "api", r->api);
	put_set(p, "allow_unknown", r->allow_unknown);
	put_key(p, "stack", r->stack);
	put_key(p, "upstream", r->upstream);
	if (r->nrules > 0) {
		put(p, "\n    rules = (");
		for (unsigned i = 0; i < r->nrules; i++) {
			put(p, "%s", i > 0 ? "," : "");
			put_rule(p, &r->rules[i]);
		}
		put(p, " );");
	}
	put(p, " }");
}

int conf_print(const struct conf *c,
               bool (*is_secret)(void *arg, struct str module, struct str key), void *arg,
               struct buf *out)
{
	struct printer p = {.out = out, .is_secret = is_secret, .arg = arg};
	put_top(&p, c);
	put(&p, "upstreams = (");
	for (unsigned i = 0; i < c->nupstreams; i++) {
		put(&p, "%s", i > 0 ? "," : "");
		put_upstream(&p, &c->upstreams[i]);
	}
	put(&p, " );\n");
	put_models(&p, c);
	put(&p, "stacks = (");
	for (unsigned i = 0; i < c->nstacks; i++) {
		put(&p, "%s", i > 0 ? "," : "");
		put_stack(&p, &c->stacks[i]);
	}
	put(&p, " );\nroutes = (");
	for (unsigned i = 0; i < c->nroutes; i++) {
		put(&p, "%s", i > 0 ? "," : "");
		put_route(&p, &c->routes[i]);
	}
	put(&p, " );\n");
	return p.r;
}
