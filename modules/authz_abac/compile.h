/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What the files that compile policies share. All of this ends with create; what lasts is in the
 * policies' own pool.
 */
#ifndef AUTHZ_ABAC_COMPILE_H
#define AUTHZ_ABAC_COMPILE_H

#include "policy.h"

/* What may be asked depends on what is asked about. */
enum about {
	ABOUT_ANY,
	ABOUT_LIST, /* an attribute that is a list always */
	ABOUT_TIME,
	ABOUT_ACTION,
};
struct subject {
	uint32_t attr;
	enum about about;
};
struct ops {
	const struct op *v;
	uint32_t n; /* 0: they could not be read, which has been said */
};
struct reading {
	const struct merlon_host *h;
	struct policies *p;
	int errors;
	struct test *tests; /* of the policy under way */
	uint32_t ntests, cap;
	struct test *unique; /* of all policies */
	uint32_t nunique, uniquecap;
	struct txt_map known; /* what a test is, as bytes, to its number */
	struct mem_pool keys;
	char *key; /* of the test under way */
	size_t nkey, keycap;
};

__attribute__((format(printf, 4, 5))) void wrong(struct reading *r, const merlon_cfg *cfg,
                                                 const char *key, const char *fmt, ...);
__attribute__((format(printf, 4, 5))) void doubt(struct reading *r, const merlon_cfg *cfg,
                                                 const char *key, const char *fmt, ...);
/* The same with "; did you mean" where a word is near. */
void wrong_word(struct reading *r, const merlon_cfg *cfg, const char *key, const char *text,
                struct merlon_str said, const char *const *words, size_t n);

/* The part `key` where it is a group; NULL: it is none, which has been said. */
const merlon_cfg *group_at(struct reading *r, const merlon_cfg *cfg, const char *key);
/* The number of an attribute; UINT32_MAX: there are too many, which has been said. */
uint32_t attr_number(struct reading *r, const merlon_cfg *cfg, const char *key,
                     struct merlon_str name);
/* What same_as names: "principal.org", "resource.x", or an attribute's own name. UINT32_MAX: no
 * such thing, which has been said. */
uint32_t attr_named(struct reading *r, const merlon_cfg *cfg, const char *key,
                    struct merlon_str said);

/* The value at key: a text, a number, true, false, a list of them, or a group of operators. */
struct ops ops_read(struct reading *r, const merlon_cfg *cfg, const char *key,
                    const struct subject *s, unsigned depth);
bool ops_fallible(const struct op *ops, uint32_t n);

/* The number of a test, the same for each that is equal to it. */
uint32_t test_number(struct reading *r, const struct test *t);
/* When all policies are read: hands the tests over and frees what was needed to tell them apart. */
void tests_finish(struct reading *r);

void read_principal(struct reading *r, const merlon_cfg *policy);
void read_resource(struct reading *r, const merlon_cfg *policy);
void read_condition(struct reading *r, const merlon_cfg *policy);
uint32_t read_action(struct reading *r, const merlon_cfg *policy); /* ACTION_* */

#endif
