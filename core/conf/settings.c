/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * One row a key of the main file. What is stored lives in the conf's arena; nodes point into its
 * tree.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getaffinity(2) */
#endif
#include "conf/settings.h"

#include <ctype.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>

#include "conf/addr.h"
#include "conf/check.h"
#include "conf/load.h"
#include "conf/secret.h"
#include "conf/settings_identity.h"
#include "conf/settings_tls.h"

#define WORKERS_MAX 64

#define AT(type, field) offsetof(struct type, field)

static const struct conf_key top_keys[] = {
    {"workers", KIND_INT, AT(conf, workers), 0, "0", "0..64", "Worker threads; 0: one a CPU."},
    {"module_dir", KIND_PATH, AT(conf, module_dir), 0, MERLON_MODULEDIR, NULL,
     "Folder of the modules."},
    {"log_level", KIND_STR, AT(conf, log_level), 0, "notice", NULL,
     "Least level of the process log: error, warn, notice, info or debug."},
    {"listeners", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL, "Addresses to accept requests on."},
    {"admin", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL, "Control socket and admin HTTP."},
    {"limits", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL, "Bounds of sizes, counts and times."},
    {"trusted_proxies", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL,
     "Prefixes whose X-Forwarded-For is believed; default: none."},
    {"upstreams", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL, "Model servers."},
    {"models", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL, "Models and their attributes."},
    {"models_only", KIND_BOOL, AT(conf, models_only), 0, "false", NULL,
     "Refuse a model that is not in models."},
    {"stacks", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL, "Named stacks of modules."},
    {"fallback_stack", KIND_STR, AT(conf, fallback_stack), 0, NULL, NULL,
     "Stack whose audit group records what is refused before a route is known; default: the one "
     "named default, "
     "else the first."},
    {"routes", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL,
     "Which requests go through which stack to which upstream."},
    {0},
};
static const struct conf_key listener_keys[] = {
    {"name", KIND_STR, AT(conf_listener, name), 0, NULL, NULL,
     "Name for logs; default: the address."},
    {"address", KIND_STR, AT(conf_listener, address), CONF_REQUIRED, NULL, NULL,
     "127.0.0.1:8080, [::1]:8080, *:8080 or unix:PATH."},
    {"half_close", KIND_BOOL, AT(conf_listener, half_close), 0, "false", NULL,
     "Serve a client on that has closed its sending side."},
    {"tls", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL, "TLS of this listener; default: none."},
    {0},
};
static const struct conf_key admin_keys[] = {
    {"socket", KIND_PATH, AT(conf, admin_socket), 0, "merlon.sock", NULL,
     "Control socket of merlonctl."},
    {"http", KIND_STR, AT(conf, admin_http), 0, NULL, NULL,
     "Address of /healthz, /readyz and /metrics; default: none."},
    {0},
};
static const struct conf_key limits_keys[] = {
    {"head", KIND_SIZE, AT(conf_limits, head), 0, "32K", "1K..1M", "Largest head of a message."},
    {"body", KIND_SIZE, AT(conf_limits, body), 0, "16M", "0..4G", "Largest body of a request."},
    {"memory", KIND_SIZE, AT(conf_limits, memory), 0, "256M", "64K..1024G",
     "Memory for all parked bodies."},
    {"connections", KIND_INT, AT(conf_limits, connections), 0, "10000", "1..1000000",
     "Client connections in all."},
    {"connections_per_address", KIND_INT, AT(conf_limits, connections_per_address), 0, "0",
     "0..1000000", "Connections of one client address; 0: no bound of its own."},
    {"header_timeout", KIND_DURATION, AT(conf_limits, header_timeout), 0, "10s", "10ms..1h",
     "Time for a request's head."},
    {"idle_timeout", KIND_DURATION, AT(conf_limits, idle_timeout), 0, "60s", "10ms..24h",
     "Time between requests, and without progress of a body."},
    {"min_rate", KIND_SIZE, AT(conf_limits, min_rate), 0, "128", "0..1G",
     "Least bytes a second of a body that a client sends or reads; 0: any."},
    {"drain_timeout", KIND_DURATION, AT(conf_limits, drain_timeout), 0, "30s", "0..24h",
     "Time for running requests to finish at the end."},
    {0},
};
static const struct conf_key upstream_keys[] = {
    {"name", KIND_STR, AT(conf_upstream, name), CONF_REQUIRED, NULL, NULL, "Name that routes use."},
    {"servers", KIND_NODE, CONF_NOWHERE, CONF_REQUIRED, NULL, NULL,
     "Servers: host:port, [address]:port or unix:PATH."},
    {"connect_timeout", KIND_DURATION, AT(conf_upstream, connect_timeout), 0, "5s", "10ms..1h",
     "Time for a connection."},
    {"first_byte_timeout", KIND_DURATION, AT(conf_upstream, first_byte_timeout), 0, "600s",
     "10ms..24h", "Time from the request to the first byte of the answer."},
    {"idle_timeout", KIND_DURATION, AT(conf_upstream, idle_timeout), 0, "300s", "10ms..24h",
     "Time between two bytes of the answer."},
    {"keep_alive", KIND_DURATION, AT(conf_upstream, keep_alive), 0, "4s", "0..1h",
     "How long an idle connection is kept; 0: not at all."},
    {"headers", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL,
     "Headers set on each request; values may hold ${REF}."},
    {"health", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL, "Active health checks; default: none."},
    {"identity_headers", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL,
     "Attributes told to the upstream, each in a header of its own."},
    {"tls", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL,
     "TLS to this upstream, always verified; default: none."},
    {0},
};
static const struct conf_key header_keys[] = {
    {"name", KIND_STR, AT(conf_header, name), CONF_REQUIRED, NULL, NULL, "The header's name."},
    {"value", KIND_STR, AT(conf_header, written), CONF_REQUIRED, NULL, NULL,
     "Its value; ${REF} is a secret."},
    {0},
};
static const struct conf_key health_keys[] = {
    {"path", KIND_STR, AT(conf_upstream, health_path), CONF_REQUIRED, NULL, NULL,
     "Path that is asked for."},
    {"interval", KIND_DURATION, AT(conf_upstream, health_interval), 0, "5s", "100ms..1h",
     "Time between two checks."},
    {0},
};
static const struct conf_key model_keys[] = {
    {"id", KIND_STR, AT(conf_model, id), CONF_REQUIRED, NULL, NULL, "The model's name, or a glob."},
    {"attributes", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL, "Attributes for policies."},
    {"upstream", KIND_STR, AT(conf_model, upstream), 0, NULL, NULL,
     "Upstream of this model; default: the route's."},
    {"price", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL,
     "Price of a million tokens: input and output."},
    {0},
};
static const struct conf_key route_keys[] = {
    {"name", KIND_STR, AT(conf_route, name), 0, NULL, NULL,
     "Name for logs and metrics; default: the path."},
    {"host", KIND_STR, AT(conf_route, host), 0, NULL, NULL, "Host, or *.DOMAIN; default: any."},
    {"path", KIND_STR, AT(conf_route, path), CONF_REQUIRED, NULL, NULL,
     "Path; a prefix where it ends in /."},
    {"api", KIND_STR, AT(conf_route, api), CONF_REQUIRED, NULL, NULL,
     "How requests are read: openai, anthropic, kserve or rest."},
    {"stack", KIND_STR, AT(conf_route, stack), CONF_REQUIRED, NULL, NULL, "Stack that decides."},
    {"upstream", KIND_STR, AT(conf_route, upstream), CONF_REQUIRED, NULL, NULL,
     "Upstream that answers."},
    {"rules", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL,
     "Action and model of the requests of api rest."},
    {"allow_unknown", KIND_STR, AT(conf_route, allow_unknown), 0, NULL, NULL,
     "Action of requests that the api does not know; default: they are refused."},
    {0},
};
static const struct conf_key stack_keys[] = {
    {"name", KIND_STR, AT(conf_stack, name), CONF_REQUIRED, NULL, NULL, "Name that routes use."},
    {"auth", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL, "Who is asking; \"none\": nobody checks."},
    {"authz", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL, "Whether they may; \"none\": nobody checks."},
    {"ratelimit", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL, "How much they may."},
    {"filter", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL, "What may pass."},
    {"audit", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL, "Where it is recorded."},
    {0},
};
static const struct conf_key line_keys[] = {
    {"module", KIND_STR, AT(conf_line, module), 0, NULL, NULL, "Module of this line."},
    {"include", KIND_STR, AT(conf_line, include), 0, NULL, NULL,
     "Stack whose group runs here instead."},
    {"control", KIND_STR, AT(conf_line, control), 0, NULL, NULL,
     "required, requisite, sufficient, optional, or [CODE=ACTION ...]."},
    {"options", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL, "Options of the module."},
    {"name", KIND_STR, AT(conf_line, name), 0, NULL, NULL,
     "Name of the line; default: the module's."},
    {"label", KIND_STR, AT(conf_line, label), 0, NULL, NULL, "Target of goto:LABEL."},
    {"timeout", KIND_DURATION, AT(conf_line, timeout), 0, "2s", "1ms..10m", "Time for an answer."},
    {"fail_open", KIND_BOOL, AT(conf_line, fail_open), 0, "false", NULL,
     "Ignore UNAVAIL, TIMEOUT and ERROR."},
    {"shadow", KIND_BOOL, AT(conf_line, shadow), 0, "false", NULL,
     "Run and record, decide nothing."},
    {"swallow", KIND_BOOL, AT(conf_line, swallow), 0, "false", NULL,
     "Accept a failure that a later line repairs."},
    {"identity", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL,
     "\"add\": fill keys of the identity that are unset."},
    {0},
};

static const struct conf_key rule_keys[] = {
    {"method", KIND_STR, AT(conf_rule, method), 0, NULL, NULL, "Method; default: any."},
    {"path", KIND_STR, AT(conf_rule, path), CONF_REQUIRED, NULL, NULL, "Path, a glob."},
    {"action", KIND_STR, AT(conf_rule, action), CONF_REQUIRED, NULL, NULL,
     "predict, read, write, delete, train, evaluate or manage."},
    {"model", KIND_STR, AT(conf_rule, model), 0, NULL, NULL,
     "Fixed text, path:N, header:NAME or body:KEY; default: none."},
    {"resource_type", KIND_STR, AT(conf_rule, resource_type), 0, "model", NULL,
     "Type of the resource."},
    {0},
};

const struct conf_table conf_tables[] = {
    {"", top_keys},
    {"listeners", listener_keys},
    {"listeners.tls", conf_listener_tls_keys},
    {"listeners.tls.certificates", conf_tls_pair_keys},
    {"admin", admin_keys},
    {"limits", limits_keys},
    {"upstreams", upstream_keys},
    {"upstreams.headers", header_keys},
    {"upstreams.identity_headers", conf_identity_keys},
    {"upstreams.health", health_keys},
    {"upstreams.tls", conf_upstream_tls_keys},
    {"models", model_keys},
    {"stacks", stack_keys},
    {"stacks.GROUP", line_keys},
    {"routes", route_keys},
    {"routes.rules", rule_keys},
    {0},
};

/* ---- helpers ---- */
void *conf_list_read(const struct conf_node *list, const struct conf_list *how, unsigned *count,
                     struct arena *a, struct conf_diag *d)
{
	*count = 0;
	if (!list)
		return NULL;
	struct str name = conf_name(list, STR_NONE, a);
	if (list->type != CONF_LIST && !(list->type == CONF_ARRAY && list->nchildren == 0)) {
		conf_error(d, list, "%.*s must be a list of groups: ( { ... }, { ... } )",
		           STR_FMT(name));
		return NULL;
	}
	char *items = arena_zalloc(a, how->size * (list->nchildren + 1u));
	for (const struct conf_node *n = list->child; n; n = n->next) {
		if (n->type != CONF_GROUP) {
			conf_error(d, n, "%.*s must hold groups only: ( { ... }, { ... } )",
			           STR_FMT(name));
			continue;
		}
		char *item = items + how->size * (*count)++;
		conf_fill(n, how->keys, item, a, d);
		if (how->more)
			how->more(item, n, a, d);
	}
	return items;
}

struct str *conf_strings(const struct conf_node *n, unsigned *count, struct arena *a,
                         struct conf_diag *d)
{
	*count = 0;
	if (!n)
		return NULL;
	struct str name = conf_name(n, STR_NONE, a);
	struct str *out = arena_zalloc(a, sizeof(*out) * (n->nchildren + 1u));
	if (n->type == CONF_STRING) {
		out[(*count)++] = n->u.s;
		return out;
	}
	if (n->type != CONF_LIST && n->type != CONF_ARRAY) {
		conf_error(d, n, "%.*s must be a list of strings", STR_FMT(name));
		return out;
	}
	for (const struct conf_node *c = n->child; c; c = c->next) {
		if (c->type != CONF_STRING)
			conf_error(d, c, "%.*s must hold strings only", STR_FMT(name));
		else
			out[(*count)++] = c->u.s;
	}
	return out;
}

/* A group that is not there reads as an empty one, so that its defaults come the same way. */
static const struct conf_node *group_of(const struct conf_node *root, struct str key,
                                        struct arena *a, struct conf_diag *d)
{
	const struct conf_node *n = conf_child(root, key);
	if (n && n->type == CONF_GROUP)
		return n;
	if (n)
		conf_error(d, n, "%.*s must be a group: { ... }", STR_FMT(key));
	struct conf_node *empty = arena_zalloc(a, sizeof(*empty));
	*empty = (struct conf_node){
	    .type = CONF_GROUP, .key = key, .file = root->file, .line = root->line};
	return empty;
}

/* "unix:name" with the path made absolute. */
static struct str whole_address(const struct conf_node *at, struct str s, struct arena *a)
{
	if (!str_starts(s, STR("unix:")) || s.n == 5)
		return s;
	struct str path = conf_path(at, (struct str){s.p + 5, s.n - 5}, a);
	return arena_printf(a, "unix:%.*s", STR_FMT(path));
}

/* ---- sections ---- */
static void more_listener(void *item, const struct conf_node *n, struct arena *a,
                          struct conf_diag *d)
{
	struct conf_listener *l = item;
	l->node = n;
	if (l->name.n == 0)
		l->name = l->address;
	l->address = whole_address(n, l->address, a);
	conf_listener_tls(l, a, d);
}

static void more_header(void *item, const struct conf_node *n, struct arena *a, struct conf_diag *d)
{
	struct conf_header *h = item;
	struct str why;
	const struct conf_node *at = conf_child(n, STR("value"));
	if (h->written.n == 0)
		return;
	if (secret_expand(h->written, at, a, &h->value, &h->secret, &why) != 0)
		conf_error(d, at, "%.*s: %.*s", STR_FMT(conf_name(at, STR_NONE, a)), STR_FMT(why));
	else
		conf_check_header(h, n, d);
}

static void more_upstream(void *item, const struct conf_node *n, struct arena *a,
                          struct conf_diag *d)
{
	static const struct conf_list headers = {header_keys, sizeof(struct conf_header),
	                                         more_header};
	struct conf_upstream *u = item;
	const struct conf_node *health = conf_child(n, STR("health"));
	u->node = n;
	u->servers = conf_strings(conf_child(n, STR("servers")), &u->nservers, a, d);
	for (unsigned i = 0; i < u->nservers; i++)
		u->servers[i] = whole_address(n, u->servers[i], a);
	u->headers = conf_list_read(conf_child(n, STR("headers")), &headers, &u->nheaders, a, d);
	u->health_interval = 5 * UINT64_C(1000000000);
	if (health && health->type != CONF_GROUP)
		conf_error(d, health, "upstreams.health must be a group: { ... }");
	else if (health)
		conf_fill(health, health_keys, u, a, d);
	conf_identity(u, a, d);
	conf_upstream_tls(u, a, d);
}

/* One side of a price; absent: 0. */
static double price_of(const struct conf_node *price, const char *key, struct conf_diag *d)
{
	const struct conf_node *n = conf_child(price, str_of(key));
	double v = 0;
	if (!n)
		return 0;
	if (n->type == CONF_FLOAT)
		v = n->u.f;
	else if (n->type == CONF_INT)
		v = (double)n->u.i;
	else
		v = -1;
	if (!(v >= 0 && v <= 1e9))
		conf_error(d, n, "models.price.%s must be a number from 0 to 1e9", key);
	return v;
}

static void read_price(struct conf_model *m, const struct conf_node *price, struct conf_diag *d)
{
	static const char *const keys[] = {"input", "output"};
	if (!price)
		return;
	if (price->type != CONF_GROUP) {
		conf_error(d, price,
		           "models.price must be a group: { input = 2.5; output = 10.0; }");
		return;
	}
	for (const struct conf_node *n = price->child; n; n = n->next)
		if (!str_eq(n->key, str_of(keys[0])) && !str_eq(n->key, str_of(keys[1])))
			conf_error(d, n, "unknown key \"%.*s\" in models.price", STR_FMT(n->key));
	m->priced = true;
	m->price_in = price_of(price, keys[0], d);
	m->price_out = price_of(price, keys[1], d);
}

static void more_model(void *item, const struct conf_node *n, struct arena *a, struct conf_diag *d)
{
	struct conf_model *m = item;
	const struct conf_node *attrs = conf_child(n, STR("attributes"));
	m->node = n;
	read_price(m, conf_child(n, STR("price")), d);
	if (!attrs)
		return;
	if (attrs->type != CONF_GROUP) {
		conf_error(d, attrs, "models.attributes must be a group: { ... }");
		return;
	}
	m->attrs = arena_zalloc(a, sizeof(*m->attrs) * (attrs->nchildren + 1u));
	for (const struct conf_node *c = attrs->child; c; c = c->next) {
		struct conf_attr *at = &m->attrs[m->nattrs++];
		at->key = c->key;
		if (str_eq(c->key, STR("id")) || str_eq(c->key, STR("type")))
			conf_warn(d, c, "models.attributes.%.*s is never seen: it is the request's",
			          STR_FMT(c->key));
		if (c->type == CONF_STRING)
			at->value = c->u.s;
		else if (c->type == CONF_INT)
			at->value = arena_printf(a, "%lld", (long long)c->u.i);
		else if (c->type == CONF_BOOL)
			at->value = c->u.b ? STR("true") : STR("false");
		else
			conf_error(
			    d, c,
			    "models.attributes.%.*s must be a string, an integer or a boolean",
			    STR_FMT(c->key));
	}
}

static void more_route(void *item, const struct conf_node *n, struct arena *a, struct conf_diag *d)
{
	struct conf_route *r = item;
	r->node = n;
	if (r->name.n == 0)
		r->name = r->path;
	r->prefix = r->path.n > 0 && r->path.p[r->path.n - 1] == '/';
	char *host = arena_alloc(a, r->host.n + 1);
	for (size_t i = 0; i < r->host.n; i++)
		host[i] = (char)tolower((unsigned char)r->host.p[i]);
	r->host.p = host;
	conf_rules(r, conf_child(n, STR("rules")), a, d);
}

static void more_line(void *item, const struct conf_node *n, struct arena *a, struct conf_diag *d)
{
	struct conf_line *l = item;
	const struct conf_node *options = conf_child(n, STR("options"));
	const struct conf_node *identity = conf_child(n, STR("identity"));
	(void)a;
	l->node = n;
	if (options && options->type != CONF_GROUP)
		conf_error(d, options, "options must be a group: { ... }");
	else
		l->options = options;
	if (identity && (identity->type != CONF_STRING || !str_eq(identity->u.s, STR("add"))))
		conf_error(d, identity, "identity takes the value \"add\" only");
	else
		l->identity_add = identity != NULL;
	if (l->name.n == 0)
		l->name = l->module.n > 0 ? l->module : l->include;
}

static void more_stack(void *item, const struct conf_node *n, struct arena *a, struct conf_diag *d)
{
	static const struct conf_list lines = {line_keys, sizeof(struct conf_line), more_line};
	struct conf_stack *s = item;
	s->node = n;
	for (int g = 0; g < G_COUNT; g++) {
		const struct conf_node *list = conf_child(n, str_of(conf_group_names[g]));
		s->group[g].node = list;
		if (list && list->type == CONF_STRING && (g == G_AUTH || g == G_AUTHZ)) {
			s->group[g].none = str_eq(list->u.s, STR("none"));
			if (!s->group[g].none)
				conf_error(d, list,
				           "stacks.%s must be a list of lines, or \"none\"",
				           conf_group_names[g]);
			continue;
		}
		s->group[g].lines = conf_list_read(list, &lines, &s->group[g].nlines, a, d);
		for (unsigned i = 0; g == G_AUDIT && i < s->group[g].nlines; i++) {
			struct conf_line *l = &s->group[g].lines[i];
			if (!conf_child(l->node, STR("control")))
				l->control = STR("required");
		}
	}
}

void conf_rules(struct conf_route *route, const struct conf_node *list, struct arena *a,
                struct conf_diag *d)
{
	static const struct conf_list rules = {rule_keys, sizeof(struct conf_rule),
	                                       conf_check_rule};
	route->rules = conf_list_read(list, &rules, &route->nrules, a, d);
}

static unsigned cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
	return n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : (unsigned)n;
}

static struct str pick_fallback(const struct conf *c)
{
	for (unsigned i = 0; i < c->nstacks; i++) {
		if (str_eq(c->stacks[i].name, STR("default")))
			return c->stacks[i].name;
	}
	return c->nstacks > 0 ? c->stacks[0].name : STR_NONE;
}

void conf_settings(struct conf *c, struct conf_diag *d)
{
	static const struct conf_list listeners = {listener_keys, sizeof(struct conf_listener),
	                                           more_listener};
	static const struct conf_list upstreams = {upstream_keys, sizeof(struct conf_upstream),
	                                           more_upstream};
	static const struct conf_list models = {model_keys, sizeof(struct conf_model), more_model};
	static const struct conf_list routes = {route_keys, sizeof(struct conf_route), more_route};
	static const struct conf_list stacks = {stack_keys, sizeof(struct conf_stack), more_stack};
	const struct conf_node *root = c->root;
	struct arena *a = &c->arena;
	conf_fill(root, top_keys, c, a, d);
	conf_fill(group_of(root, STR("admin"), a, d), admin_keys, c, a, d);
	conf_fill(group_of(root, STR("limits"), a, d), limits_keys, &c->limits, a, d);
	c->listeners =
	    conf_list_read(conf_child(root, STR("listeners")), &listeners, &c->nlisteners, a, d);
	c->upstreams =
	    conf_list_read(conf_child(root, STR("upstreams")), &upstreams, &c->nupstreams, a, d);
	c->models = conf_list_read(conf_child(root, STR("models")), &models, &c->nmodels, a, d);
	c->stacks = conf_list_read(conf_child(root, STR("stacks")), &stacks, &c->nstacks, a, d);
	c->routes = conf_list_read(conf_child(root, STR("routes")), &routes, &c->nroutes, a, d);
	c->trusted_proxies =
	    conf_strings(conf_child(root, STR("trusted_proxies")), &c->ntrusted_proxies, a, d);
	c->admin_http = whole_address(root, c->admin_http, a);
	if (c->workers == 0)
		c->workers = cpus();
	if (c->fallback_stack.n == 0)
		c->fallback_stack = pick_fallback(c);
}

/* ---- the whole way ---- */
/* NULL: there is no tree, or there are more than `errors` errors. */
static struct conf *finish(struct conf *c, const char *module_dir, struct conf_diag *d,
                           unsigned errors)
{
	if (c->root) {
		c->file = c->root->file;
		conf_settings(c, d);
		if (module_dir)
			c->module_dir = conf_path(NULL, str_of(module_dir), &c->arena);
		conf_check(c, d);
	}
	if (!c->root || d->errors > errors) {
		conf_free(c);
		return NULL;
	}
	return c;
}

struct conf *conf_load_wrong(const char *path, const char *module_dir, struct conf_diag *d)
{
	struct conf *c = xcalloc(1, sizeof(*c));
	arena_init(&c->arena, NULL);
	c->root = conf_read(path, &c->arena, d);
	return finish(c, module_dir, d, UINT_MAX);
}

struct conf *conf_load(const char *path, const char *module_dir, struct conf_diag *d)
{
	unsigned errors = d->errors;
	struct conf *c = conf_load_wrong(path, module_dir, d);
	if (d->errors == errors)
		return c;
	conf_free(c);
	return NULL;
}

struct conf *conf_load_text(struct str text, const char *file, const char *module_dir,
                            struct conf_diag *d)
{
	unsigned errors = d->errors;
	struct conf *c = xcalloc(1, sizeof(*c));
	arena_init(&c->arena, NULL);
	c->root = conf_parse(text, file, false, &c->arena, d);
	return finish(c, module_dir, d, errors);
}
