/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Rules of the main file that more than one key takes part in, and of texts with a form of their
 * own. It reads the settings and adds findings; the few values that it splits are written in place.
 */
#include "conf/check.h"

#include <stdlib.h>
#include <strings.h>

#include "conf/addr.h"

#define SEGMENT_MAX 32
#define BODY_NAMES_MAX 3 /* what the scan of bodies can follow */
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static bool one_of(struct str s, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (str_eq(s, str_of(words[i])))
			return true;
	}
	return false;
}

/* The node of a key, for the place; the group itself where the key is not written. */
static const struct conf_node *key_of(const struct conf_node *group, const char *key)
{
	const struct conf_node *n = conf_child(group, str_of(key));
	return n ? n : group;
}

static void unknown_word(struct conf_diag *d, const struct conf_node *at, const char *what,
                         struct str word, const char *const *words, size_t n)
{
	const char *near = str_suggest(word, words, n);
	conf_error(d, at, "unknown %s \"%.*s\"%s%s%s", what, STR_FMT(word),
	           near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* ---- headers of upstreams ---- */
void conf_check_header(const struct conf_header *h, const struct conf_node *n, struct conf_diag *d)
{
	static const char *const framing[] = {
	    "content-length", "transfer-encoding", "connection", "te",
	    "upgrade",        "trailer",           "expect",     "host",
	    "keep-alive",     "proxy-connection",
	};
	static const char *const credentials[] = {"authorization", "x-api-key", "api-key",
	                                          "proxy-authorization"};
	const struct conf_node *name = key_of(n, "name");
	const struct conf_node *value = key_of(n, "value");
	if (h->name.n > 0 && (!addr_is_token(h->name) || str_find(h->name, '_') >= 0))
		conf_error(d, name, "\"%.*s\" is not a header name", STR_FMT(h->name));
	for (size_t i = 0; i < COUNT(framing); i++) {
		if (str_ieq(h->name, str_of(framing[i])))
			conf_error(d, name,
			           "header \"%.*s\" cannot be set: it belongs to the connection or "
			           "to framing",
			           STR_FMT(h->name));
	}
	for (size_t i = 0; i < h->value.n; i++) {
		unsigned char c = (unsigned char)h->value.p[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f) {
			conf_error(d, value, "the value of header \"%.*s\" holds a control byte",
			           STR_FMT(h->name));
			break;
		}
	}
	for (size_t i = 0; i < COUNT(credentials) && !h->secret; i++) {
		if (str_ieq(h->name, str_of(credentials[i])))
			conf_warn(d, value,
			          "the value of \"%.*s\" stands in the file; a reference such as "
			          "${file:/path} keeps it out",
			          STR_FMT(h->name));
	}
}

/* ---- rules of api rest ---- */
/* "a.b" names b in the object a. */
static bool names_key(struct str path)
{
	unsigned names = 0;
	while (path.p) {
		if (str_split(&path, '.').n == 0)
			return false;
		names++;
	}
	return names <= BODY_NAMES_MAX;
}

static void split_model(struct conf_rule *r, const struct conf_node *at, struct conf_diag *d)
{
	uint64_t segment;
	struct str m = r->model;
	if (m.n == 0)
		return;
	r->model_from = FROM_FIXED;
	if (str_starts(m, STR("path:"))) {
		struct str n = {m.p + 5, m.n - 5};
		r->model_from = FROM_PATH;
		if (!str_u64(n, &segment) || segment < 1 || segment > SEGMENT_MAX)
			conf_error(d, at, "\"%.*s\" is not path:N with N in 1..%d", STR_FMT(m),
			           SEGMENT_MAX);
		else
			r->segment = (unsigned)segment;
	} else if (str_starts(m, STR("header:"))) {
		r->model_from = FROM_HEADER;
		r->model = (struct str){m.p + 7, m.n - 7};
		if (!addr_is_token(r->model))
			conf_error(d, at, "\"%.*s\" does not name a header", STR_FMT(m));
	} else if (str_starts(m, STR("body:"))) {
		r->model_from = FROM_BODY;
		r->model = (struct str){m.p + 5, m.n - 5};
		if (!names_key(r->model))
			conf_error(d, at, "\"%.*s\" does not name a key of the body", STR_FMT(m));
	}
}

static void check_method(const struct conf_rule *r, const struct conf_node *at, struct conf_diag *d)
{
	static const char *const methods[] = {"GET",   "HEAD",   "POST",   "PUT",
	                                      "PATCH", "DELETE", "OPTIONS"};
	if (r->method.n == 0 || one_of(r->method, methods, COUNT(methods)))
		return;
	for (size_t i = 0; i < r->method.n; i++) {
		if (r->method.p[i] >= 'a' && r->method.p[i] <= 'z') {
			conf_error(d, at, "method \"%.*s\" must be in capitals",
			           STR_FMT(r->method));
			return;
		}
	}
	unknown_word(d, at, "method", r->method, methods, COUNT(methods));
}

static void check_action(struct str action, const struct conf_node *at, struct conf_diag *d)
{
	static const char *const actions[] = {"predict", "read",     "write", "delete",
	                                      "train",   "evaluate", "manage"};
	if (action.n > 0 && !one_of(action, actions, COUNT(actions)))
		unknown_word(d, at, "action", action, actions, COUNT(actions));
}

void conf_check_rule(void *rule, const struct conf_node *n, struct arena *a, struct conf_diag *d)
{
	struct conf_rule *r = rule;
	(void)a;
	r->node = n;
	check_method(r, key_of(n, "method"), d);
	if (r->path.n > 0 && r->path.p[0] != '/' && r->path.p[0] != '*')
		conf_error(d, key_of(n, "path"), "path \"%.*s\" must begin with \"/\"",
		           STR_FMT(r->path));
	check_action(r->action, key_of(n, "action"), d);
	split_model(r, key_of(n, "model"), d);
}

/* ---- listeners, admin, proxies ---- */
static void check_address(const struct conf_node *at, struct str s,
                          const char *(*check)(struct str), const char *what, struct conf_diag *d)
{
	const char *why = s.n > 0 ? check(s) : NULL;
	if (why)
		conf_error(d, at, "%s \"%.*s\" %s", what, STR_FMT(s), why);
}

static void check_listeners(const struct conf *c, struct conf_diag *d)
{
	if (c->nlisteners == 0)
		conf_error(d, key_of(c->root, "listeners"), "there must be at least one listener");
	for (unsigned i = 0; i < c->nlisteners; i++) {
		const struct conf_listener *l = &c->listeners[i];
		check_address(key_of(l->node, "address"), l->address, addr_check_listen, "address",
		              d);
		if (l->address.n > 0 && str_eq(l->address, c->admin_http))
			conf_error(d, key_of(l->node, "address"),
			           "address \"%.*s\" is that of admin.http", STR_FMT(l->address));
		for (unsigned k = 0; k < i; k++) {
			const struct conf_listener *o = &c->listeners[k];
			if (l->address.n > 0 && str_eq(l->address, o->address))
				conf_error(d, key_of(l->node, "address"),
				           "address \"%.*s\" is used by another listener (line %u)",
				           STR_FMT(l->address), o->node->line);
			else if (l->name.n > 0 && str_eq(l->name, o->name))
				conf_error(d, key_of(l->node, "name"),
				           "two listeners are named \"%.*s\" (line %u)",
				           STR_FMT(l->name), o->node->line);
		}
	}
}

static void check_admin(const struct conf *c, struct conf_diag *d)
{
	const struct conf_node *admin = conf_child(c->root, STR("admin"));
	/* The socket's path has the bound of every unix address. */
	if (c->admin_socket.n > 107)
		conf_error(d, key_of(admin ? admin : c->root, "socket"),
		           "admin.socket \"%.*s\" is too long for a socket's path",
		           STR_FMT(c->admin_socket));
	check_address(key_of(admin ? admin : c->root, "http"), c->admin_http, addr_check_listen,
	              "admin.http", d);
}

static void check_top(const struct conf *c, struct conf_diag *d)
{
	static const char *const levels[] = {"error", "warn", "notice", "info", "debug"};
	const struct conf_node *proxies = conf_child(c->root, STR("trusted_proxies"));
	const struct conf_node *limits = conf_child(c->root, STR("limits"));
	if (!one_of(c->log_level, levels, COUNT(levels)))
		unknown_word(d, key_of(c->root, "log_level"), "log_level", c->log_level, levels,
		             COUNT(levels));
	for (unsigned i = 0; i < c->ntrusted_proxies; i++) {
		const char *why = addr_check_prefix(c->trusted_proxies[i]);
		if (why)
			conf_error(d, proxies, "trusted_proxies: \"%.*s\" %s",
			           STR_FMT(c->trusted_proxies[i]), why);
	}
	if (c->limits.memory < c->limits.body)
		conf_error(d, limits ? key_of(limits, "memory") : c->root,
		           "limits.memory is smaller than limits.body: the largest body could "
		           "never be parked");
}

/* ---- upstreams and models ---- */
static void check_upstreams(const struct conf *c, struct conf_diag *d)
{
	for (unsigned i = 0; i < c->nupstreams; i++) {
		const struct conf_upstream *u = &c->upstreams[i];
		const struct conf_node *health = conf_child(u->node, STR("health"));
		const struct conf_node *servers = key_of(u->node, "servers");
		if (servers != u->node && u->nservers == 0 && servers->nchildren == 0)
			conf_error(d, servers, "upstream \"%.*s\" has no server", STR_FMT(u->name));
		for (unsigned k = 0; k < u->nservers; k++) {
			const char *why = addr_check_server(u->servers[k]);
			if (why)
				conf_error(d, servers, "server \"%.*s\" %s", STR_FMT(u->servers[k]),
				           why);
			for (unsigned m = 0; m < k; m++) {
				if (str_eq(u->servers[k], u->servers[m]))
					conf_error(d, servers, "server \"%.*s\" is named twice",
					           STR_FMT(u->servers[k]));
			}
		}
		if (u->health_path.n > 0)
			check_address(key_of(health, "path"), u->health_path, addr_check_path,
			              "path", d);
		for (unsigned k = 0; k < i; k++) {
			if (u->name.n > 0 && str_eq(u->name, c->upstreams[k].name))
				conf_error(d, key_of(u->node, "name"),
				           "two upstreams are named \"%.*s\" (line %u)",
				           STR_FMT(u->name), c->upstreams[k].node->line);
		}
	}
}

static int by_id(const void *x, const void *y)
{
	const struct conf_model *a = *(const struct conf_model *const *)x;
	const struct conf_model *b = *(const struct conf_model *const *)y;
	size_t n = a->id.n < b->id.n ? a->id.n : b->id.n;
	int r = n > 0 ? memcmp(a->id.p, b->id.p, n) : 0;
	if (r != 0)
		return r;
	if (a->id.n != b->id.n)
		return a->id.n < b->id.n ? -1 : 1;
	return a->node->line < b->node->line ? -1 : 1;
}

static void find_upstream(const struct conf *c, struct conf_model *m, struct conf_diag *d)
{
	if (m->upstream.n == 0)
		return;
	while (m->upstream_index < c->nupstreams &&
	       !str_eq(c->upstreams[m->upstream_index].name, m->upstream))
		m->upstream_index++;
	if (m->upstream_index == c->nupstreams)
		conf_error(d, key_of(m->node, "upstream"), "there is no upstream \"%.*s\"",
		           STR_FMT(m->upstream));
}

/* There may be thousands of models, so equal ones are found by sorting. */
static void check_models(struct conf *c, struct conf_diag *d)
{
	const struct conf_model **sorted =
	    arena_alloc(&c->arena, sizeof(const struct conf_model *) * (c->nmodels + 1u));
	for (unsigned i = 0; i < c->nmodels; i++) {
		find_upstream(c, &c->models[i], d);
		sorted[i] = &c->models[i];
	}
	qsort(sorted, c->nmodels, sizeof(const struct conf_model *), by_id);
	for (unsigned i = 1; i < c->nmodels; i++) {
		if (sorted[i]->id.n > 0 && str_eq(sorted[i]->id, sorted[i - 1]->id))
			conf_error(d, key_of(sorted[i]->node, "id"),
			           "two models have the id \"%.*s\" (line %u)",
			           STR_FMT(sorted[i]->id), sorted[i - 1]->node->line);
	}
}

/* ---- routes ---- */
static void check_api(const struct conf_route *r, struct conf_diag *d)
{
	static const char *const apis[] = {"openai", "anthropic", "kserve", "rest"};
	const struct conf_node *rules = conf_child(r->node, STR("rules"));
	const struct conf_node *at = key_of(r->node, "api");
	bool rest = str_eq(r->api, STR("rest"));
	if (r->api.n == 0)
		return;
	if (!one_of(r->api, apis, COUNT(apis)))
		unknown_word(d, at, "api", r->api, apis, COUNT(apis));
	else if (rest && r->nrules == 0)
		conf_error(d, at, "api \"rest\" needs rules");
	else if (!rest && rules)
		conf_error(d, rules, "rules belong to api \"rest\" only");
}

static void check_names(const struct conf *c, const struct conf_route *r, struct conf_diag *d)
{
	bool upstream = r->upstream.n == 0;
	bool stack = r->stack.n == 0;
	for (unsigned i = 0; i < c->nupstreams; i++)
		upstream |= str_eq(r->upstream, c->upstreams[i].name);
	for (unsigned i = 0; i < c->nstacks; i++)
		stack |= str_eq(r->stack, c->stacks[i].name);
	if (!upstream)
		conf_error(d, key_of(r->node, "upstream"), "there is no upstream \"%.*s\"",
		           STR_FMT(r->upstream));
	if (!stack)
		conf_error(d, key_of(r->node, "stack"), "there is no stack \"%.*s\"",
		           STR_FMT(r->stack));
}

static void check_routes(const struct conf *c, struct conf_diag *d)
{
	for (unsigned i = 0; i < c->nroutes; i++) {
		const struct conf_route *r = &c->routes[i];
		check_address(key_of(r->node, "path"), r->path, addr_check_path, "path", d);
		check_address(key_of(r->node, "host"), r->host, addr_check_host, "host", d);
		check_api(r, d);
		check_action(r->allow_unknown, key_of(r->node, "allow_unknown"), d);
		check_names(c, r, d);
		for (unsigned k = 0; k < i; k++) {
			const struct conf_route *o = &c->routes[k];
			bool named =
			    conf_child(r->node, STR("name")) && conf_child(o->node, STR("name"));
			if (r->path.n > 0 && str_eq(r->path, o->path) && str_eq(r->host, o->host))
				conf_error(
				    d, r->node,
				    "this route has the host and path of another one (line %u)",
				    o->node->line);
			else if (named && str_eq(r->name, o->name))
				conf_error(d, key_of(r->node, "name"),
				           "two routes are named \"%.*s\" (line %u)",
				           STR_FMT(r->name), o->node->line);
		}
	}
}

/* Modules name upstreams too, by name or by a URL. Which of their options do so, only they know. */
static bool is_said(const struct conf_node *n, struct str name)
{
	bool url = str_starts(name, STR("http://")) || str_starts(name, STR("https://"));
	if (n->type == CONF_STRING)
		return str_eq(n->u.s, name) || (url && str_starts(n->u.s, name));
	for (const struct conf_node *c = n->child; c; c = c->next) {
		if (is_said(c, name))
			return true;
	}
	return false;
}

static bool is_option(const struct conf *c, struct str name)
{
	for (unsigned i = 0; i < c->nstacks; i++) {
		for (int g = 0; g < G_COUNT; g++) {
			for (unsigned k = 0; k < c->stacks[i].group[g].nlines; k++) {
				const struct conf_line *l = &c->stacks[i].group[g].lines[k];
				if (l->options && is_said(l->options, name))
					return true;
			}
		}
	}
	return false;
}

static void check_unused(const struct conf *c, struct conf_diag *d)
{
	for (unsigned i = 0; i < c->nupstreams; i++) {
		bool used = is_option(c, c->upstreams[i].name);
		for (unsigned k = 0; k < c->nroutes; k++)
			used |= str_eq(c->routes[k].upstream, c->upstreams[i].name);
		for (unsigned k = 0; k < c->nmodels; k++)
			used |= str_eq(c->models[k].upstream, c->upstreams[i].name);
		if (!used && c->upstreams[i].name.n > 0)
			conf_warn(d, c->upstreams[i].node, "upstream \"%.*s\" is used by no route",
			          STR_FMT(c->upstreams[i].name));
	}
	if (c->nroutes == 0)
		conf_warn(d, key_of(c->root, "routes"),
		          "there is no route: every request is answered with 404");
}

void conf_check(struct conf *c, struct conf_diag *d)
{
	check_top(c, d);
	check_admin(c, d);
	check_listeners(c, d);
	check_upstreams(c, d);
	check_models(c, d);
	conf_check_stacks(c, d);
	check_routes(c, d);
	check_unused(c, d);
}
