/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The tls groups of listeners and upstreams: their keys, and the rules across them. Only names of
 * files are known here; what is in them is read by core/net when contexts are made.
 */
#include "conf/settings_tls.h"

#include <stdlib.h>

#include "conf/addr.h"
#include "conf/load.h"
#include "conf/settings.h"

#define AT(type, field) offsetof(struct type, field)

/* What the group holds of its own; struct conf_listener_tls has a list of pairs instead. */
struct listener_tls {
	struct conf_tls_pair first;
	struct conf_listener_tls more;
};
const struct conf_key conf_listener_tls_keys[] = {
    {"certificate", KIND_STR, AT(listener_tls, first.certificate), CONF_REQUIRED, NULL, NULL,
     "PEM file of the certificate and its chain."},
    {"key", KIND_STR, AT(listener_tls, first.key), CONF_REQUIRED, NULL, NULL,
     "PEM file of its private key; file:PATH and cred:NAME too."},
    {"certificates", KIND_NODE, CONF_NOWHERE, 0, NULL, NULL,
     "Further certificates, chosen by the name that the client asks for."},
    {"client_ca", KIND_STR, AT(listener_tls, more.client_ca), 0, NULL, NULL,
     "PEM file of the authorities of client certificates."},
    {"client_auth", KIND_STR, AT(listener_tls, more.client_auth), 0, "none", NULL,
     "Client certificates: none, optional or required."},
    {"crl", KIND_STR, AT(listener_tls, more.crl), 0, NULL, NULL,
     "PEM file of revocation lists for client certificates."},
    {"min_version", KIND_STR, AT(listener_tls, more.min_version), 0, "1.2", NULL,
     "Least version of TLS: 1.2 or 1.3."},
    {0},
};
const struct conf_key conf_tls_pair_keys[] = {
    {"certificate", KIND_STR, AT(conf_tls_pair, certificate), CONF_REQUIRED, NULL, NULL,
     "PEM file of the certificate and its chain."},
    {"key", KIND_STR, AT(conf_tls_pair, key), CONF_REQUIRED, NULL, NULL,
     "PEM file of its private key; file:PATH and cred:NAME too."},
    {0},
};
const struct conf_key conf_upstream_tls_keys[] = {
    {"ca", KIND_STR, AT(conf_upstream, tls_ca), 0, NULL, NULL,
     "PEM file of the authorities; default: the system's."},
    {"server_name", KIND_STR, AT(conf_upstream, tls_name), 0, NULL, NULL,
     "Name that the certificate must have; default: the server's host."},
    {"certificate", KIND_STR, AT(conf_upstream, tls_certificate), 0, NULL, NULL,
     "PEM file of the certificate that is shown; default: none."},
    {"key", KIND_STR, AT(conf_upstream, tls_key), 0, NULL, NULL,
     "PEM file of its private key; file:PATH and cred:NAME too."},
    {0},
};

/* Relative names are relative to the file that names them; empty is as good as absent. */
static void file_name(const struct conf_node *group, const char *key, struct str *name,
                      struct arena *a, struct conf_diag *d)
{
	const struct conf_node *at = conf_child(group, str_of(key));
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	struct str s = *name;

	if (s.n == 0)
		return;
	if (str_starts(s, STR("env:")) || str_starts(s, STR("vault:"))) {
		conf_error(d, at, "%.*s: must be a file, file:PATH or cred:NAME",
		           STR_FMT(conf_name(at, STR_NONE, a)));
		return;
	}
	if (!str_starts(s, STR("cred:"))) {
		if (str_starts(s, STR("file:")))
			s = (struct str){s.p + 5, s.n - 5};
		*name = conf_path(at, s, a);
		return;
	}
	s = (struct str){s.p + 5, s.n - 5};
	if (s.n == 0 || str_find(s, '/') >= 0 || s.p[0] == '.')
		conf_error(d, at, "cred:%.*s is not the name of a credential", STR_FMT(s));
	else if (!dir || dir[0] != '/')
		conf_error(d, at,
		           "cred:%.*s needs CREDENTIALS_DIRECTORY, which the service manager sets",
		           STR_FMT(s));
	else
		*name = arena_printf(a, "%s/%.*s", dir, STR_FMT(s));
}

static void more_pair(void *item, const struct conf_node *n, struct arena *a, struct conf_diag *d)
{
	struct conf_tls_pair *p = item;

	p->node = n;
	file_name(n, "certificate", &p->certificate, a, d);
	file_name(n, "key", &p->key, a, d);
}

static void check_words(const struct conf_listener_tls *t, struct conf_diag *d)
{
	static const char *const words[] = {"none", "optional", "required"};
	bool none = str_eq(t->client_auth, STR("none"));
	bool known = none;

	for (size_t i = 1; i < sizeof(words) / sizeof(words[0]); i++)
		known |= str_eq(t->client_auth, str_of(words[i]));
	if (!known)
		conf_error(d, conf_child_or_self(t->node, STR("client_auth")),
		           "client_auth \"%.*s\" is not none, optional or required",
		           STR_FMT(t->client_auth));
	else if (!none && t->client_ca.n == 0)
		conf_error(d, conf_child_or_self(t->node, STR("client_auth")),
		           "client_auth \"%.*s\" needs client_ca", STR_FMT(t->client_auth));
	else if (none && t->client_ca.n > 0)
		conf_error(d, conf_child_or_self(t->node, STR("client_ca")),
		           "client_ca needs client_auth \"optional\" or \"required\": no "
		           "certificate is asked for");
	if (t->crl.n > 0 && t->client_ca.n == 0)
		conf_error(d, conf_child_or_self(t->node, STR("crl")), "crl needs client_ca");
	if (!str_eq(t->min_version, STR("1.2")) && !str_eq(t->min_version, STR("1.3")))
		conf_error(d, conf_child_or_self(t->node, STR("min_version")),
		           "min_version \"%.*s\" is not \"1.2\" or \"1.3\"",
		           STR_FMT(t->min_version));
}

void conf_listener_tls(struct conf_listener *l, struct arena *a, struct conf_diag *d)
{
	static const struct conf_list pairs = {conf_tls_pair_keys, sizeof(struct conf_tls_pair),
	                                       more_pair};
	const struct conf_node *n = conf_child(l->node, STR("tls"));
	struct listener_tls raw = {.first.node = n};
	unsigned more = 0;

	if (!n)
		return;
	if (n->type != CONF_GROUP) {
		conf_error(d, n, "listeners.tls must be a group: { ... }");
		return;
	}
	conf_fill(n, conf_listener_tls_keys, &raw, a, d);
	more_pair(&raw.first, n, a, d);
	file_name(n, "client_ca", &raw.more.client_ca, a, d);
	file_name(n, "crl", &raw.more.crl, a, d);
	struct conf_tls_pair *list =
	    conf_list_read(conf_child(n, STR("certificates")), &pairs, &more, a, d);
	l->tls = raw.more;
	l->tls.node = n;
	l->tls.npairs = more + 1;
	l->tls.pairs = arena_alloc(a, sizeof(*l->tls.pairs) * l->tls.npairs);
	l->tls.pairs[0] = raw.first;
	if (more)
		memcpy(l->tls.pairs + 1, list, sizeof(*list) * more);
	check_words(&l->tls, d);
}

void conf_upstream_tls(struct conf_upstream *u, struct arena *a, struct conf_diag *d)
{
	const struct conf_node *n = conf_child(u->node, STR("tls"));

	if (!n)
		return;
	if (n->type != CONF_GROUP) {
		conf_error(d, n, "upstreams.tls must be a group: { ... }");
		return;
	}
	u->tls = true;
	conf_fill(n, conf_upstream_tls_keys, u, a, d);
	file_name(n, "ca", &u->tls_ca, a, d);
	file_name(n, "certificate", &u->tls_certificate, a, d);
	file_name(n, "key", &u->tls_key, a, d);
	if ((u->tls_certificate.n > 0) != (u->tls_key.n > 0))
		conf_error(d,
		           conf_child_or_self(n, str_of(u->tls_key.n > 0 ? "key" : "certificate")),
		           "certificate and key belong together");
	if (u->tls_name.n > 0 &&
	    (str_starts(u->tls_name, STR("*.")) || addr_check_host(u->tls_name)))
		conf_error(d, conf_child_or_self(n, STR("server_name")),
		           "server_name \"%.*s\" is not the name of a host in lower case",
		           STR_FMT(u->tls_name));
	for (unsigned i = 0; i < u->nservers && u->tls_name.n == 0; i++)
		if (str_starts(u->servers[i], STR("unix:")))
			conf_error(d, n, "tls needs server_name: server \"%.*s\" has no host",
			           STR_FMT(u->servers[i]));
}
