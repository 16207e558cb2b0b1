/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A module's options against its table: types, ranges, defaults, files and secrets, and the typed
 * getters that the module calls while it is created.
 */
#ifndef STACK_OPTIONS_H
#define STACK_OPTIONS_H

#include "base/buf.h"
#include "base/hash.h"
#include "conf/conf.h"
#include "merlon/module.h"

/* What is wrong with the module's own table (unknown types, no sub table, too deep), or NULL. */
const char *options_table_check(const struct merlon_module *m);
/* Checks the options of a line against the module's table (a missing group counts as empty), reads
 * its files and secrets, and gives the root for cfg_get(). `line` is the place for what has no
 * node. NULL: errors in d (all of them). Everything lives in `a` and is wiped with it. The option
 * `zone` (STR) is understood for every module that stands in ratelimit or auth or authz;
 * `status_on_bad_credential` (INT, 401 or 403) for every module in auth. */
merlon_cfg *options_check(const struct merlon_module *m, const struct conf_node *options,
                          const struct conf_node *line, struct arena *a, struct conf_diag *d);
/* Feeds what makes the options what they are into a digest: values, files' bytes, secrets. */
void options_digest(const merlon_cfg *cfg, struct digest *dg);
/* What its options of types upstream and url name: the upstream, or the URL's origin. Defaults too;
 * texts are copied into `a`. */
struct opt_upstream {
	const struct conf_node *at;
	struct str name;
	struct str server; /* "host:port" of a URL; empty: the option names an upstream */
	bool tls;
	bool loopback;
};
struct opt_upstream *options_upstreams(const merlon_cfg *cfg, struct arena *a, unsigned *n);
/* Host functions of the same names (see module.h). */
int32_t host_cfg_get(const merlon_cfg *cfg, const char *key, struct merlon_val *out);
int32_t host_cfg_rate(const merlon_cfg *cfg, const char *key, int64_t *count, int64_t *window_ns);
uint32_t host_cfg_count(const merlon_cfg *cfg, const char *key);
const merlon_cfg *host_cfg_at(const merlon_cfg *cfg, const char *key, uint32_t i);
struct merlon_str host_cfg_key(const merlon_cfg *cfg, uint32_t i);
int32_t host_cfg_where(const merlon_cfg *cfg, const char *key, struct merlon_str *file,
                       uint32_t *line);
void host_cfg_error(const merlon_cfg *cfg, const char *key, struct merlon_str text);
void host_cfg_file_error(const merlon_cfg *cfg, const char *key, uint32_t line,
                         struct merlon_str text);
void host_cfg_warn(const merlon_cfg *cfg, const char *key, struct merlon_str text);
/* Whether the module's table marks the key as a secret; for merlond -T. A dotted key is looked for
 * there, a name alone anywhere in the table; a name that is nowhere counts as a secret unless the
 * table has a part that takes any key. */
bool options_is_secret(const struct merlon_module *m, struct str key);
/* The options part of the module's manual page (mdoc). */
int options_mdoc(const struct merlon_module *m, struct buf *out) MUST_CHECK;

#endif
