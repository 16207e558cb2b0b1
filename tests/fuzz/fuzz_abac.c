/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Any text as a policy file: it is refused with a reason, or it decides; and what the index gives
 * decides as looking at all policies does.
 */
#include "authz_abac/policy.h"
#include "conf/load.h"
#include "stack/options.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct merlon_module module = {.size = sizeof(struct merlon_module),
                                            .option_size = sizeof(struct merlon_option),
                                            .option_count = 2,
                                            .groups = MERLON_AUTHZ,
                                            .name = "authz_abac",
                                            .options = policy_rows};
/* A request's attributes follow from its number: the same name has the same value within it. */
static unsigned request;

static uint64_t now(int32_t clock)
{
	(void)clock;
	return UINT64_C(1795194000000000000) + request * UINT64_C(7777777777777);
}

static int32_t attr_get(merlon_tx *tx, struct merlon_str key, struct merlon_val *out)
{
	static const struct merlon_str texts[] = {
	    {"acme", 4}, {"a", 1}, {"", 0}, {"10.0.0.1", 8}, {"model", 5}, {"5", 1}, {"read", 4}};
	static const char *const named[] = {"read", "predict", "delete", "fly"};
	unsigned h = request;

	(void)tx;
	for (uint64_t i = 0; i < key.len; i++)
		h = h * 31 + (unsigned char)key.ptr[i];
	if (txt_eq(key, TXT("action"))) {
		*out = (struct merlon_val){.type = MERLON_VAL_STR,
		                           .u.str = txt_of(named[request % 4])};
		return 0;
	}
	*out = (struct merlon_val){.type = MERLON_VAL_STR, .u.str = texts[h % 7]};
	switch (h / 7 % 8) {
	case 0:
		return MERLON_E_NOENT;
	case 1:
		*out = (struct merlon_val){.type = MERLON_VAL_I64, .u.i64 = (int64_t)(h % 9)};
		break;
	case 2:
		*out = (struct merlon_val){.type = MERLON_VAL_BOOL, .u.i64 = h % 2};
		break;
	case 3:
		*out = (struct merlon_val){
		    .type = MERLON_VAL_STRLIST, .count = h % 7, .u.list = texts};
		break;
	case 4:
		*out = (struct merlon_val){.type = MERLON_VAL_F64, .u.f64 = (double)h / 3};
		break;
	default:
		break;
	}
	return 0;
}

static const struct merlon_host host = {
    .size = sizeof(struct merlon_host),
    .major = MERLON_ABI_MAJOR,
    .minor = MERLON_ABI_MINOR,
    .now = now,
    .cfg_get = host_cfg_get,
    .cfg_rate = host_cfg_rate,
    .cfg_count = host_cfg_count,
    .cfg_at = host_cfg_at,
    .cfg_key = host_cfg_key,
    .cfg_where = host_cfg_where,
    .cfg_error = host_cfg_error,
    .cfg_file_error = host_cfg_file_error,
    .cfg_warn = host_cfg_warn,
    .attr_get = attr_get,
};

static void ask(struct policies *p)
{
	struct index whole = p->index, plain = {.nattrs = 0};
	uint32_t *all = mem_new(p->n, sizeof(*all));
	struct decision by_index, by_all;

	for (uint32_t i = 0; i < p->n; i++)
		all[i] = i;
	plain.always = (struct index_bucket){all, p->n};
	for (request = 0; request < 16; request++) {
		decide(p, &host, NULL, &by_index);
		p->index = plain;
		decide(p, &host, NULL, &by_all);
		p->index = whole;
		if (by_index.code != by_all.code || by_index.policy != by_all.policy ||
		    !by_index.fault != !by_all.fault)
			abort();
		if (by_index.code != MERLON_OK && by_index.code != MERLON_DENIED &&
		    by_index.code != MERLON_NOCRED)
			abort();
	}
	free(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policies *p = mem_new(1, sizeof(*p));
	struct arena a;
	struct conf_diag d;
	struct conf_node *root;
	merlon_cfg *cfg = NULL;

	arena_init(&a, NULL);
	conf_diag_init(&d);
	root = conf_parse((struct str){(const char *)data, size}, "abac.conf", false, &a, &d);
	if (root)
		cfg = options_check(&module, root, root, &a, &d);
	if (!cfg && d.errors == 0)
		abort();
	if (cfg) {
		unsigned before = d.errors;
		if (policies_read(&host, cfg, p) == 0)
			ask(p);
		else if (d.errors == before)
			abort();
		policies_free(p);
	}
	free(p);
	conf_diag_deinit(&d);
	arena_deinit(&a);
	return 0;
}
