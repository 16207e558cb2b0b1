/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Attributes: who may write what, of which type, how much; rollback and the dropping of an
 * identity.
 */
#include "stack/attr.h"
#include "unit.h"

static struct arena arena;
static struct attrs as;
static const merlon_ctx *const me =
    (const merlon_ctx *)(const void *)&as; /* compared, never followed */

static void begin(void)
{
	arena_init(&arena, NULL);
	attrs_init(&as, &arena);
}
static void end(void)
{
	arena_deinit(&arena);
}
static struct merlon_val val_str(const char *z)
{
	return (struct merlon_val){.type = MERLON_VAL_STR, .u.str = to_merlon(str_of(z))};
}
static int by(const char *key, struct merlon_val v)
{
	return attrs_set_by(&as, me, STR("mod"), str_of(key), &v);
}

static void keys_of_others_are_denied(void)
{
	static const char *const keys[] = {
	    "net.source", "res.id",   "action", "req.method", "x.other.k", "x.mod",
	    "x.mod.",     "x.modd.k", "x.mo.k", "id.name",    "id.",       "id.subs",
	    "id.sub.x",   "",         "x.",     "idsub",      "ID.sub",    "llm.tokens"};
	begin();
	as.id_write = true;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		CU_ASSERT_EQUAL(by(keys[i], val_str("v")), MERLON_E_DENIED);
	CU_ASSERT_EQUAL(as.n, 0);
	CU_ASSERT_EQUAL(by("x.mod.k", val_str("v")), 0);
	CU_ASSERT_PTR_EQUAL(attrs_get(&as, STR("x.mod.k"))->writer, me);
	end();
}

static void identity_has_types(void)
{
	static const struct {
		const char *key;
		uint32_t type;
	} rows[] = {{"id.sub", MERLON_VAL_STR},
	            {"id.org", MERLON_VAL_STR},
	            {"id.team", MERLON_VAL_STR},
	            {"id.tier", MERLON_VAL_STR},
	            {"id.roles", MERLON_VAL_STRLIST},
	            {"id.scopes", MERLON_VAL_STRLIST},
	            {"id.method", MERLON_VAL_STR},
	            {"id.credential", MERLON_VAL_STR},
	            {"id.expires", MERLON_VAL_I64},
	            {"id.allow_models", MERLON_VAL_STRLIST},
	            {"id.allow_actions", MERLON_VAL_STRLIST}};
	static const struct merlon_str list[] = {{"r1", 2}, {"r2", 2}};
	begin();
	as.id_write = true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (uint32_t type = 0; type <= MERLON_VAL_STRLIST + 1; type++) {
			struct merlon_val v = {.type = type};
			if (type == MERLON_VAL_STRLIST) {
				v.count = 2;
				v.u.list = list;
			} else if (type == MERLON_VAL_STR || type == MERLON_VAL_BYTES) {
				v.u.str = (struct merlon_str){"one", 3};
			}
			bool fits = type == rows[i].type ||
			            (type == MERLON_VAL_STR && rows[i].type == MERLON_VAL_STRLIST);
			CU_ASSERT_EQUAL(by(rows[i].key, v), fits ? 0 : MERLON_E_INVAL);
			const struct attr *at = attrs_get(&as, str_of(rows[i].key));
			CU_ASSERT(!fits || at->val.type == rows[i].type);
			if (fits && type == MERLON_VAL_STR && rows[i].type == MERLON_VAL_STRLIST) {
				CU_ASSERT_EQUAL(at->val.count, 1);
				CU_ASSERT(str_eq(from_merlon(at->val.u.list[0]), STR("one")));
			}
		}
	}
	CU_ASSERT(str_eq(attrs_str(&as, STR("id.sub")), STR("one")));
	CU_ASSERT_PTR_NULL(attrs_str(&as, STR("id.roles")).p);
	CU_ASSERT_PTR_NULL(attrs_str(&as, STR("id.nothing")).p);
	end();
}

static void what_may_not_be_established_is_dropped(void)
{
	begin();
	CU_ASSERT_EQUAL(by("id.sub", val_str("mallory")), 0);
	CU_ASSERT_PTR_NULL(attrs_get(&as, STR("id.sub")));
	/* what is wrong is told even so */
	CU_ASSERT_EQUAL(by("id.sub", (struct merlon_val){.type = MERLON_VAL_I64}), MERLON_E_INVAL);
	end();
}

static void fill_keeps_what_stands(void)
{
	begin();
	as.id_write = true;
	CU_ASSERT_EQUAL(by("id.sub", val_str("alice")) | by("id.org", val_str("acme")), 0);
	as.id_fill = true;
	as.fill_mark = attrs_mark(&as);
	CU_ASSERT_EQUAL(by("id.sub", val_str("bob")) | by("id.org", val_str("acme")), 0);
	CU_ASSERT(!as.org_conflict);
	CU_ASSERT_EQUAL(as.n, 2);
	CU_ASSERT_EQUAL(by("id.team", val_str("one")) | by("id.team", val_str("two")),
	                0); /* its own may be changed */
	CU_ASSERT(str_eq(attrs_str(&as, STR("id.team")), STR("two")));
	CU_ASSERT_EQUAL(by("id.org", val_str("other")), 0);
	CU_ASSERT(as.org_conflict);
	CU_ASSERT(str_eq(attrs_str(&as, STR("id.org")), STR("acme")));
	CU_ASSERT(str_eq(attrs_str(&as, STR("id.sub")), STR("alice")));
	end();
}

static void rollback_brings_back(void)
{
	begin();
	as.id_write = true;
	attrs_set_str(&as, STR("net.source"), STR("192.0.2.1"));
	attrs_set_str(&as, STR("res.org"), STR_NONE); /* nothing to set */
	CU_ASSERT_EQUAL(as.n, 1);
	CU_ASSERT_EQUAL(by("x.mod.k", val_str("old")), 0);
	size_t bytes = as.bytes;
	unsigned mark = attrs_mark(&as);
	CU_ASSERT_EQUAL(by("x.mod.k", val_str("newer")) | by("id.sub", val_str("bob")), 0);
	CU_ASSERT(str_eq(attrs_str(&as, STR("x.mod.k")), STR("newer")));
	attrs_rollback(&as, mark);
	CU_ASSERT(str_eq(attrs_str(&as, STR("x.mod.k")), STR("old")));
	CU_ASSERT_PTR_NULL(attrs_get(&as, STR("id.sub")));
	CU_ASSERT_EQUAL(as.bytes, bytes);
	attrs_rollback(&as, mark + 7); /* beyond the end: nothing */
	CU_ASSERT_EQUAL(as.n, 2);
	end();
}

static void identity_goes_the_rest_stays(void)
{
	begin();
	as.id_write = true;
	CU_ASSERT_EQUAL(by("id.sub", val_str("alice")), 0);
	unsigned mark = attrs_mark(&as);
	CU_ASSERT_EQUAL(by("id.sub", val_str("bob")) | by("x.mod.a", val_str("1")) |
	                    by("id.org", val_str("o")) | by("x.mod.b", val_str("2")),
	                0);
	attrs_drop_identity(&as, mark);
	CU_ASSERT_EQUAL(as.n, 3);
	CU_ASSERT(str_eq(attrs_str(&as, STR("id.sub")), STR("alice")));
	CU_ASSERT_PTR_NULL(attrs_get(&as, STR("id.org")));
	CU_ASSERT(str_eq(attrs_str(&as, STR("x.mod.b")), STR("2")));
	CU_ASSERT_EQUAL(as.bytes, 11 + 2 * 8);
	attrs_drop_identity(&as, as.n + 5);
	CU_ASSERT_EQUAL(as.n, 3);
	end();
}

static void values_are_copies(void)
{
	char text[] = "alice", role[] = "admin";
	struct merlon_str list[] = {{role, 5}};
	begin();
	as.id_write = true;
	CU_ASSERT_EQUAL(by("id.sub", val_str(text)), 0);
	CU_ASSERT_EQUAL(
	    by("id.roles",
	       (struct merlon_val){.type = MERLON_VAL_STRLIST, .count = 1, .u.list = list}),
	    0);
	memset(text, 'x', 5);
	memset(role, 'x', 5);
	list[0].len = 0;
	CU_ASSERT(str_eq(attrs_str(&as, STR("id.sub")), STR("alice")));
	CU_ASSERT(
	    str_eq(from_merlon(attrs_get(&as, STR("id.roles"))->val.u.list[0]), STR("admin")));
	end();
}

static void bounds_hold(void)
{
	static char big[ATTRS_BYTES_MAX];
	static struct merlon_str many[ATTRS_BYTES_MAX / sizeof(struct merlon_str) + 1];
	char key[24];
	memset(big, 'v', sizeof(big));
	begin();
	for (unsigned i = 0; i < ATTRS_MAX; i++) {
		snprintf(key, sizeof(key), "x.mod.%u", i);
		CU_ASSERT_EQUAL(by(key, val_str("")), 0);
	}
	CU_ASSERT_EQUAL(by("x.mod.more", val_str("")), MERLON_E_FULL);
	/* the host's own find room all the same */
	attrs_set_str(&as, STR("action"), STR("read"));
	CU_ASSERT(str_eq(attrs_str(&as, STR("action")), STR("read")));
	attrs_rollback(&as, 0);
	CU_ASSERT_EQUAL(as.bytes, 0);
	CU_ASSERT_EQUAL(as.taken, 0);
	struct merlon_val v = {.type = MERLON_VAL_BYTES, .u.str = {big, sizeof(big) - 7}};
	CU_ASSERT_EQUAL(by("x.mod.k", v), 0); /* 7 of the key: exactly full */
	CU_ASSERT_EQUAL(by("x.mod.l", val_str("")), MERLON_E_FULL);
	attrs_rollback(&as, 0);
	v.u.str.len++;
	CU_ASSERT_EQUAL(by("x.mod.k", v), MERLON_E_FULL);
	v.u.str.len = UINT64_MAX;
	CU_ASSERT_EQUAL(by("x.mod.k", v), MERLON_E_FULL);
	/* entries cost too, and lengths that would wrap do not */
	v = (struct merlon_val){
	    .type = MERLON_VAL_STRLIST, .count = sizeof(many) / sizeof(many[0]), .u.list = many};
	CU_ASSERT_EQUAL(by("x.mod.k", v), MERLON_E_FULL);
	many[0].len = many[1].len = UINT64_MAX / 2 + 1;
	v.count = 2;
	CU_ASSERT_EQUAL(by("x.mod.k", v), MERLON_E_FULL);
	CU_ASSERT_EQUAL(as.n, 0);
	end();
}

/* A long Host field once made res.id disappear, and with it what a policy said of the model. */
static void a_client_cannot_use_up_the_room(void)
{
	static char big[ATTRS_BYTES_MAX * 2];
	char key[24];
	memset(big, 'h', sizeof(big));
	begin();
	attrs_set_str(&as, STR("req.host"), (struct str){big, sizeof(big)});
	as.id_write = true;
	CU_ASSERT_EQUAL(by("id.sub", val_str("alice")), 0);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "res.%u", i);
		attrs_set_str(&as, arena_str(&arena, str_of(key)), STR("v"));
	}
	CU_ASSERT(str_eq(attrs_str(&as, STR("res.99")), STR("v")));
	CU_ASSERT(str_eq(attrs_str(&as, STR("id.sub")), STR("alice")));
	CU_ASSERT_EQUAL(attrs_str(&as, STR("req.host")).n, sizeof(big));
	end();
}

static void a_lost_part_of_the_identity_is_noted(void)
{
	static char big[ATTRS_BYTES_MAX];
	memset(big, 'm', sizeof(big));
	struct merlon_val models = {.type = MERLON_VAL_STR, .u.str = {big, sizeof(big)}};
	struct merlon_val number = {.type = MERLON_VAL_I64, .u.i64 = 1};
	begin();
	attrs_line_begin(&as, me);
	CU_ASSERT_EQUAL(by("id.allow_models", models), 0); /* dropped: it may not */
	CU_ASSERT(!as.id_lost);
	as.id_write = true;
	CU_ASSERT_EQUAL(by("id.sub", val_str("alice")), 0);
	CU_ASSERT_EQUAL(by("x.mod.k", models), MERLON_E_FULL);
	CU_ASSERT(!as.id_lost);
	CU_ASSERT_EQUAL(by("id.allow_models", models), MERLON_E_FULL);
	CU_ASSERT(as.id_lost);
	attrs_line_begin(&as, me);
	CU_ASSERT(!as.id_lost);
	as.id_write = true;
	CU_ASSERT_EQUAL(by("id.allow_actions", number), MERLON_E_INVAL);
	CU_ASSERT(as.id_lost);
	end();
}

UNIT_MAIN("stack attr", UNIT(keys_of_others_are_denied), UNIT(identity_has_types),
          UNIT(what_may_not_be_established_is_dropped), UNIT(fill_keeps_what_stands),
          UNIT(rollback_brings_back), UNIT(identity_goes_the_rest_stays), UNIT(values_are_copies),
          UNIT(bounds_hold), UNIT(a_client_cannot_use_up_the_room),
          UNIT(a_lost_part_of_the_identity_is_noted))
