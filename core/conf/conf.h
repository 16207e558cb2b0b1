/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A loaded configuration: read-only after load, one a generation. Everything lives in the conf's
 * own arena and dies with it. The raw tree (struct conf_node) is libconfig's file without
 * libconfig, every node with its place.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"

/* ---- the raw tree ---- */
enum conf_type { CONF_GROUP, CONF_LIST, CONF_ARRAY, CONF_STRING, CONF_INT, CONF_FLOAT, CONF_BOOL };
struct conf_node {
	enum conf_type type;
	struct str key;   /* empty in lists and for the root */
	const char *file; /* lives as long as the process */
	unsigned line;
	struct conf_node *parent;
	struct conf_node *child; /* first of a group, list or array, in the order of the file */
	struct conf_node *next;
	unsigned nchildren;
	union {
		struct str s;
		int64_t i;
		double f;
		bool b;
	} u;
};
const struct conf_node *conf_child(const struct conf_node *n,
                                   struct str key); /* NULL: not there, or n NULL */
/* Where a message about that key points: at its node, or at the group that lacks it. */
const struct conf_node *conf_child_or_self(const struct conf_node *group, struct str key);
const struct conf_node *conf_at(const struct conf_node *n, unsigned i);
/* "limits.body": the keys down to n, then `key` where it is not empty. Elements of lists have no
 * name of their own. */
struct str conf_name(const struct conf_node *n, struct str key, struct arena *a);
/* Feeds types, keys and values (not places), so that equal options give equal digests. NULL is
 * fine. */
void conf_digest(const struct conf_node *n, struct digest *d);

/* ---- what is wrong: collected, not only the first ---- */
struct conf_diag {
	struct buf
	    text; /* lines "file:line: message\n"; warnings as "file:line: warning: message\n" */
	unsigned errors;
	unsigned warnings;
};
void conf_diag_init(struct conf_diag *d);
void conf_diag_deinit(struct conf_diag *d);
void conf_error(struct conf_diag *d, const struct conf_node *at, const char *fmt, ...) PRINTF(3, 4);
void conf_warn(struct conf_diag *d, const struct conf_node *at, const char *fmt, ...) PRINTF(3, 4);
/* at a place that has no node; line 0 is left out */
void conf_error_at(struct conf_diag *d, const char *file, unsigned line, const char *fmt, ...)
    PRINTF(4, 5);

/* ---- typed settings ---- */
struct conf_tls_pair {
	const struct conf_node *node;
	struct str certificate; /* names of PEM files, absolute */
	struct str key;
};
struct conf_listener_tls {
	const struct conf_node *node; /* NULL: without TLS */
	struct conf_tls_pair *pairs;  /* the first one stands beside the list */
	unsigned npairs;
	struct str client_ca;   /* empty: none */
	struct str client_auth; /* "none" "optional" "required" */
	struct str crl;         /* empty: none */
	struct str min_version; /* "1.2" "1.3" */
};
struct conf_listener {
	const struct conf_node *node;
	struct str name;
	struct str address; /* "127.0.0.1:8080", "unix:/path" (absolute) */
	bool half_close;
	struct conf_listener_tls tls;
};
struct conf_header {
	struct str name;
	struct str value;   /* secret references resolved; never printed */
	bool secret;        /* the value held a ${...} reference */
	struct str written; /* as in the file, for -T */
};
struct conf_identity {
	const struct conf_node *node;
	struct str name;      /* of the header */
	struct str attribute; /* "id.sub" */
};
struct conf_upstream {
	const struct conf_node *node;
	struct str name;
	struct str *servers; /* "host:port", "[v6]:port", "unix:/path" */
	unsigned nservers;
	struct conf_header *headers;
	unsigned nheaders;
	struct conf_identity *identity; /* what the server is told of the request */
	unsigned nidentity;
	uint64_t connect_timeout;    /* ns; default 5s */
	uint64_t first_byte_timeout; /* 600s */
	uint64_t idle_timeout;       /* 300s */
	uint64_t keep_alive;         /* 4s; how long an idle pooled connection is kept */
	struct str health_path;      /* empty: no active health checks */
	uint64_t health_interval;    /* 5s */
	bool tls;                    /* its servers speak TLS, and are verified */
	struct str tls_ca;           /* empty: the system's */
	struct str tls_name;         /* whom the certificate must name; empty: the server's host */
	struct str tls_certificate;  /* ours; empty: none is shown */
	struct str tls_key;
};
struct conf_attr {
	struct str key;
	struct str value;
};
struct conf_model {
	const struct conf_node *node;
	struct str id; /* a glob is allowed; the longest match counts */
	struct conf_attr *attrs;
	unsigned nattrs;
	struct str upstream;     /* empty: the route's */
	unsigned upstream_index; /* of upstreams, where there is one */
	bool priced;
	double price_in; /* for a million tokens */
	double price_out;
};
enum conf_from { FROM_NONE, FROM_FIXED, FROM_PATH, FROM_HEADER, FROM_BODY };
struct conf_rule { /* of api rest */
	const struct conf_node *node;
	struct str method; /* empty: any */
	struct str path;   /* a glob */
	struct str action;
	enum conf_from model_from;
	struct str model;         /* fixed text, header name, or body key */
	unsigned segment;         /* FROM_PATH: 1 is the first */
	struct str resource_type; /* default "model" */
};
struct conf_route {
	const struct conf_node *node;
	struct str name; /* default: its path */
	struct str host; /* empty: any; "*.x" */
	struct str path;
	bool prefix;              /* the path ends in '/' */
	struct str api;           /* "openai" "anthropic" "kserve" "rest" */
	struct str allow_unknown; /* action of what the api does not know; empty: it is refused */
	struct str stack;
	struct str upstream;
	struct conf_rule *rules;
	unsigned nrules;
};
struct conf_line { /* one line of a group of a stack */
	const struct conf_node *node;
	struct str module;  /* empty for an include */
	struct str include; /* name of another stack, or empty */
	struct str control; /* text; default "required" in audit; else it must be written */
	const struct conf_node *options; /* NULL: none written */
	struct str name;                 /* default: the module's (or the included stack's) */
	struct str label;                /* for goto; may be empty */
	uint64_t timeout;                /* ns; default 2s */
	bool fail_open;
	bool shadow;
	bool swallow;
	bool identity_add;
};
enum conf_group { G_AUTH, G_AUTHZ, G_RATELIMIT, G_FILTER, G_AUDIT, G_COUNT };
/* Their names: EACH(literal) of each, in the order above. */
#define CONF_GROUP_NAMES(EACH)                                                                     \
	EACH("auth"), EACH("authz"), EACH("ratelimit"), EACH("filter"), EACH("audit")
extern const char *const conf_group_names[G_COUNT];
struct conf_stack {
	const struct conf_node *node;
	struct str name;
	struct {
		const struct conf_node *node; /* NULL: the key is absent */
		bool none;                    /* auth = "none" */
		struct conf_line *lines;
		unsigned nlines;
	} group[G_COUNT];
};
struct conf_limits {
	uint64_t head;                    /* bytes; 32K */
	uint64_t body;                    /* 16M */
	uint64_t memory;                  /* 256M */
	unsigned connections;             /* 10000, over all workers */
	unsigned connections_per_address; /* 0: as many as there may be in all */
	uint64_t header_timeout;          /* ns; 10s */
	uint64_t idle_timeout;  /* 60s: between requests; also: no progress of a request's body or a
	                           stalled reader */
	uint64_t min_rate;      /* bytes a second of a body, over an idle_timeout; 128 */
	uint64_t drain_timeout; /* 30s */
};
struct conf {
	struct arena arena;
	const char *file;
	struct conf_node *root;
	unsigned workers; /* 0 in the file: one a CPU; resolved here */
	struct str module_dir;
	struct conf_listener *listeners;
	unsigned nlisteners;
	struct str admin_socket; /* absolute; default "merlon.sock" beside the file */
	struct str admin_http;   /* empty: none */
	struct conf_limits limits;
	struct conf_upstream *upstreams;
	unsigned nupstreams;
	struct conf_model *models;
	unsigned nmodels;
	struct conf_route *routes;
	unsigned nroutes;
	struct conf_stack *stacks;
	unsigned nstacks;
	struct str *trusted_proxies; /* checked prefixes */
	unsigned ntrusted_proxies;
	struct str fallback_stack; /* resolved to a name that exists, if there is any stack */
	bool models_only;
	struct str log_level; /* "error" "warn" "notice" "info" "debug"; default notice */
};
void conf_free(struct conf *c); /* NULL is fine; wipes secrets */

#endif
