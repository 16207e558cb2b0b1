/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Any text as a role policy: it is refused with a reason, or every role of it answers for every
 * permission, and what a role allows for a named model it allows where none is named.
 */
#include "authz_rbac/policy.h"
#include "conf/load.h"
#include "stack/options.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct merlon_module module = {.size = sizeof(struct merlon_module),
                                            .option_size = sizeof(struct merlon_option),
                                            .option_count = 2,
                                            .groups = MERLON_AUTHZ,
                                            .name = "authz_rbac",
                                            .options = policy_rows};

static const struct merlon_host host = {
    .size = sizeof(struct merlon_host),
    .major = MERLON_ABI_MAJOR,
    .minor = MERLON_ABI_MINOR,
    .cfg_get = host_cfg_get,
    .cfg_count = host_cfg_count,
    .cfg_at = host_cfg_at,
    .cfg_key = host_cfg_key,
    .cfg_where = host_cfg_where,
    .cfg_error = host_cfg_error,
    .cfg_file_error = host_cfg_file_error,
    .cfg_warn = host_cfg_warn,
};

static void ask(const struct policy *p)
{
	static const char *const actions[] = {"predict", "read",     "write",  "delete",
	                                      "train",   "evaluate", "manage", "fly"};
	static const struct merlon_str none = {NULL, 0};

	for (uint32_t i = 0; i < p->nroles; i++) {
		for (unsigned k = 0; k < sizeof(actions) / sizeof(actions[0]); k++) {
			uint32_t need = policy_need(txt_of(actions[k]));
			bool any = policy_allows(p, &p->roles[i], need, none);

			if (need == 0 && any)
				abort();
			if (policy_allows(p, &p->roles[i], need, TXT("m-1")) && !any)
				abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy p;
	struct arena a;
	struct conf_diag d;
	struct conf_node *root;
	merlon_cfg *cfg = NULL;

	arena_init(&a, NULL);
	conf_diag_init(&d);
	root = conf_parse((struct str){(const char *)data, size}, "rbac.conf", false, &a, &d);
	if (root)
		cfg = options_check(&module, root, root, &a, &d);
	if (!cfg && d.errors == 0)
		abort();
	if (cfg) {
		unsigned before = d.errors;
		if (policy_read(&host, cfg, &p) == 0)
			ask(&p);
		else if (d.errors == before)
			abort();
		policy_free(&p);
	}
	conf_diag_deinit(&d);
	arena_deinit(&a);
	return 0;
}
