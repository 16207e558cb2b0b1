/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * From settings to contexts. Each finding is told at the key that names the file; what the settings
 * themselves lack was told before, and is passed over here.
 */
#include "tx/contexts.h"

#include <stdlib.h>

struct place {
	struct conf_diag *d;
	const struct conf_listener_tls *listener; /* NULL: an upstream's */
	unsigned pair;
	const struct conf_node *node;
};

static void wrong(void *arg, const char *key, const char *text)
{
	const struct place *p = arg;
	const struct conf_node *group = p->node;

	if (p->listener && (strcmp(key, "certificate") == 0 || strcmp(key, "key") == 0))
		group = p->listener->pairs[p->pair].node;
	conf_error(p->d, conf_child_or_self(group, str_of(key)), "%s: %s", key, text);
}

/* ---- listeners ---- */
static enum tls_client_auth auth_of(struct str s)
{
	if (str_eq(s, STR("required")))
		return TLS_AUTH_REQUIRED;
	return str_eq(s, STR("optional")) ? TLS_AUTH_OPTIONAL : TLS_AUTH_NONE;
}

static struct tls_ctx *listener_ctx(const struct conf_listener *l, struct conf_diag *d)
{
	const struct conf_listener_tls *t = &l->tls;
	struct place p = {d, t, 0, t->node};
	struct tls_pair *pairs = xcalloc(t->npairs, sizeof(*pairs));
	struct tls_server_conf c = {
	    .pairs = pairs,
	    .npairs = t->npairs,
	    .client_ca = t->client_ca,
	    .crl = t->crl,
	    .client_auth = t->client_ca.n > 0 ? auth_of(t->client_auth) : TLS_AUTH_NONE,
	    .min_version = str_eq(t->min_version, STR("1.3")) ? TLS_1_3 : TLS_1_2,
	    .name = l->name,
	    .pair_at = &p.pair,
	};
	struct tls_ctx *ctx = NULL;
	bool whole = true;

	for (unsigned i = 0; i < t->npairs; i++) {
		pairs[i] = (struct tls_pair){t->pairs[i].certificate, t->pairs[i].key};
		whole &= pairs[i].certificate.n > 0 && pairs[i].key.n > 0;
	}
	if (whole)
		ctx = tls_server_new(&c, wrong, &p);
	free(pairs);
	return ctx;
}

/* ---- upstreams ---- */
static bool same_files(const struct conf_upstream *a, const struct conf_upstream *b)
{
	return a->tls && b->tls && str_eq(a->tls_ca, b->tls_ca) &&
	       str_eq(a->tls_certificate, b->tls_certificate) && str_eq(a->tls_key, b->tls_key);
}

static struct tls_ctx *upstream_ctx(const struct contexts *x, const struct conf *c, unsigned i,
                                    struct conf_diag *d)
{
	const struct conf_upstream *u = &c->upstreams[i];
	const struct conf_node *tls = conf_child(u->node, STR("tls"));
	struct place p = {d, NULL, 0, tls ? tls : u->node};
	struct tls_client_conf conf = {u->tls_ca, u->tls_certificate, u->tls_key, true};

	/* Many may trust the system's authorities, which are many. */
	for (unsigned k = 0; k < i; k++)
		if (same_files(&c->upstreams[k], u) && x->upstreams[k])
			return tls_ctx_ref(x->upstreams[k]);
	if ((conf.certificate.n > 0) != (conf.key.n > 0))
		return NULL;
	return tls_client_new(&conf, wrong, &p);
}

struct contexts *contexts_new(const struct conf *c, struct conf_diag *d)
{
	struct contexts *x = xcalloc(1, sizeof(*x));
	unsigned errors = d->errors;

	x->listeners = xcalloc(c->nlisteners + 1, sizeof(struct tls_ctx *));
	x->upstreams = xcalloc(c->nupstreams + 1, sizeof(struct tls_ctx *));
	x->nlisteners = c->nlisteners;
	x->nupstreams = c->nupstreams;
	for (unsigned i = 0; i < c->nlisteners; i++)
		if (c->listeners[i].tls.node)
			x->listeners[i] = listener_ctx(&c->listeners[i], d);
	for (unsigned i = 0; i < c->nupstreams; i++)
		if (c->upstreams[i].tls)
			x->upstreams[i] = upstream_ctx(x, c, i, d);
	if (d->errors == errors)
		return x;
	contexts_free(x);
	return NULL;
}

void contexts_free(struct contexts *x)
{
	if (!x)
		return;
	for (unsigned i = 0; i < x->nlisteners; i++)
		tls_ctx_unref(x->listeners[i]);
	for (unsigned i = 0; i < x->nupstreams; i++)
		tls_ctx_unref(x->upstreams[i]);
	free(x->listeners);
	free(x->upstreams);
	free(x);
}
