/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Zones: what survives, what is dropped and when, what a reload changes, and that eight threads
 * lose nothing.
 */
#include "stack/zone.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/hash.h"
#include "stack/instance.h"
#include "stack/shared.h"
#include "unit.h"

#define KEY(lit) ((struct merlon_str){"" lit, sizeof(lit) - 1})
#define FOREVER UINT64_MAX

/* An instance of line `name`, as far as zones need one. */
struct fake {
	struct merlon_ctx ctx;
	struct conf_line line;
	merlon_zone *zone;
};

static struct fake *fake_new(const char *name)
{
	struct fake *f = xcalloc(1, sizeof(*f));

	f->line.name = str_of(name);
	f->ctx.line = &f->line;
	f->ctx.stack = STR("default");
	f->ctx.group = G_RATELIMIT;
	list_init(&f->ctx.shared);
	return f;
}

static void fake_free(struct fake *f)
{
	held_release_all(&f->ctx);
	free(f);
}

static int32_t fake_open(struct fake *f, struct merlon_str signature, uint64_t max)
{
	return host_zone_open(&f->ctx, NULL, signature, sizeof(uint64_t), max, &f->zone);
}

static struct fake *fake_opened(const char *name, struct merlon_str signature, uint64_t max)
{
	struct fake *f = fake_new(name);

	CU_ASSERT_EQUAL_FATAL(fake_open(f, signature, max), 0);
	return f;
}

struct count {
	uint64_t expires;
	uint64_t seen;
	uint32_t fresh;
};

static uint64_t count_one(void *rec, uint32_t fresh, void *arg)
{
	struct count *c = arg;
	uint64_t *n = rec;

	c->fresh = fresh;
	c->seen = ++*n;
	return c->expires;
}

static uint64_t counted(merlon_zone *z, struct merlon_str key)
{
	struct count c = {.expires = FOREVER};

	CU_ASSERT_EQUAL(host_zone_update(z, NULL, key, count_one, &c), 0);
	CU_ASSERT_EQUAL(c.fresh, c.seen == 1);
	return c.seen;
}

static int32_t add(merlon_zone *z, unsigned i, uint64_t expires)
{
	struct count c = {.expires = expires};
	char key[32];
	int n = snprintf(key, sizeof(key), "key-%u", i);

	return host_zone_update(z, NULL, (struct merlon_str){key, (uint64_t)n}, count_one, &c);
}

static void find(void *arg, const struct zone_info *z)
{
	struct zone_info *want = arg;

	if (strcmp(z->name, want->name) == 0)
		*want = *z;
}

/* UINT64_MAX: there is no such zone. */
static uint64_t records_of(const char *name)
{
	struct zone_info z = {.name = name, .records = UINT64_MAX};

	zone_each(find, &z);
	return z.records;
}

static void outlives_the_generation_that_made_it(void)
{
	struct fake *a = fake_opened("l", KEY("k"), 100);
	struct fake *b;

	zones_publish();
	CU_ASSERT_EQUAL(counted(a->zone, KEY("alice")), 1);
	b = fake_opened("l", KEY("k"), 100);
	zones_publish();
	CU_ASSERT_EQUAL(counted(b->zone, KEY("alice")), 2);
	CU_ASSERT_EQUAL(counted(a->zone, KEY("alice")), 3);
	fake_free(a);
	CU_ASSERT_EQUAL(counted(b->zone, KEY("alice")), 4);
	CU_ASSERT_EQUAL(records_of("default/ratelimit/l"), 1);
	fake_free(b);
	CU_ASSERT_EQUAL(records_of("default/ratelimit/l"), UINT64_MAX);
}

static void lines_do_not_share(void)
{
	struct fake *a = fake_opened("one", KEY("k"), 100);
	struct fake *b = fake_opened("two", KEY("k"), 100);

	zones_publish();
	CU_ASSERT_EQUAL(counted(a->zone, KEY("alice")), 1);
	CU_ASSERT_EQUAL(counted(b->zone, KEY("alice")), 1);
	fake_free(a);
	fake_free(b);
}

static void every_key_has_a_record_of_its_own(void)
{
	struct fake *a = fake_opened("l", KEY("k"), 10000);
	char keys[3][600];

	/* Around the key that lies in the record, the longest that is kept, and beyond it. */
	static const unsigned len[] = {0, 1, 31, 32, 33, 255, 256, 257, 599};

	zones_publish();
	memset(keys, 'x', sizeof(keys));
	keys[1][0] = 'y';
	for (unsigned round = 1; round <= 2; round++) {
		for (unsigned i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
			CU_ASSERT_EQUAL(counted(a->zone, (struct merlon_str){keys[0], len[i]}),
			                round);
			if (len[i] > 0)
				CU_ASSERT_EQUAL(
				    counted(a->zone, (struct merlon_str){keys[1], len[i]}), round);
		}
	}
	for (unsigned i = 0; i < 5000; i++)
		CU_ASSERT_EQUAL(add(a->zone, i, FOREVER), 0);
	CU_ASSERT_EQUAL(records_of("default/ratelimit/l"), 5017);
	CU_ASSERT_EQUAL(counted(a->zone, KEY("key-4999")), 2);
	fake_free(a);
}

static void full_refuses_until_something_expires(void)
{
	struct fake *a = fake_opened("l", KEY("k"), 100);

	zones_publish();
	clock_freeze(1000, 0);
	for (unsigned i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(add(a->zone, i, i == 42 ? 2000 : FOREVER), 0);
	CU_ASSERT_EQUAL(add(a->zone, 100, FOREVER), MERLON_E_FULL);
	CU_ASSERT_EQUAL(add(a->zone, 7, FOREVER), 0); /* one that is known goes on */
	clock_freeze(2000, 0);
	CU_ASSERT_EQUAL(add(a->zone, 100, FOREVER), 0);
	CU_ASSERT_EQUAL(add(a->zone, 101, FOREVER), MERLON_E_FULL);
	CU_ASSERT_EQUAL(add(a->zone, 42, FOREVER), MERLON_E_FULL);
	CU_ASSERT_EQUAL(records_of("default/ratelimit/l"), 100);
	clock_unfreeze();
	fake_free(a);
}

static void expired_room_is_used_before_more_is_taken(void)
{
	struct fake *a = fake_opened("l", KEY("k"), 1000000);
	struct zone_info z = {.name = "default/ratelimit/l"};
	uint64_t bytes;

	zones_publish();
	for (unsigned i = 0; i < 4096; i++) {
		clock_freeze(1000 + i, 0);
		CU_ASSERT_EQUAL(add(a->zone, i, 1001 + i), 0);
	}
	zone_each(find, &z);
	bytes = z.bytes;
	for (unsigned i = 4096; i < 40960; i++) {
		clock_freeze(1000 + i, 0);
		CU_ASSERT_EQUAL(add(a->zone, i, 1001 + i), 0);
	}
	zone_each(find, &z);
	CU_ASSERT_EQUAL(z.bytes, bytes);
	clock_unfreeze();
	fake_free(a);
}

static void explain_changes_nothing(void)
{
	struct fake *a = fake_opened("l", KEY("k"), 100);
	struct tx_base tx = {.dry = true};
	struct count c = {.expires = FOREVER};
	merlon_tx *dry = (merlon_tx *)(void *)&tx;

	zones_publish();
	CU_ASSERT_EQUAL(host_zone_update(a->zone, dry, KEY("bob"), count_one, &c), 0);
	CU_ASSERT_EQUAL(c.fresh, 1);
	CU_ASSERT_EQUAL(records_of("default/ratelimit/l"), 0);
	CU_ASSERT_EQUAL(counted(a->zone, KEY("bob")), 1);
	CU_ASSERT_EQUAL(host_zone_update(a->zone, dry, KEY("bob"), count_one, &c), 0);
	CU_ASSERT_EQUAL(c.fresh, 0);
	CU_ASSERT_EQUAL(c.seen, 2);
	CU_ASSERT_EQUAL(counted(a->zone, KEY("bob")), 2);
	fake_free(a);
}

static void another_signature_begins_anew_when_published(void)
{
	struct fake *a = fake_opened("l", KEY("per minute"), 100);
	struct fake *b;

	zones_publish();
	CU_ASSERT_EQUAL(counted(a->zone, KEY("alice")), 1);
	b = fake_opened("l", KEY("per hour"), 100);
	CU_ASSERT_EQUAL(counted(b->zone, KEY("alice")), 1);
	CU_ASSERT_EQUAL(counted(a->zone, KEY("alice")), 2);
	zones_publish();
	fake_free(a);
	a = fake_opened("l", KEY("per hour"), 100);
	zones_publish();
	CU_ASSERT_EQUAL(counted(a->zone, KEY("alice")), 2);
	fake_free(a);
	fake_free(b);
}

static void a_failed_reload_changes_nothing(void)
{
	struct fake *a = fake_opened("l", KEY("per minute"), 10);
	struct fake *b;
	struct fake *c;

	zones_publish();
	CU_ASSERT_EQUAL(counted(a->zone, KEY("alice")), 1);
	b = fake_opened("l", KEY("per hour"), 10);
	c = fake_opened("l2", KEY("k"), 10);
	zones_discard();
	zones_publish(); /* of the next reload, while the failed one is being taken down */
	CU_ASSERT_EQUAL(records_of("default/ratelimit/l2"), UINT64_MAX);
	fake_free(b);
	fake_free(c);
	CU_ASSERT_EQUAL(records_of("default/ratelimit/l2"), UINT64_MAX);
	b = fake_opened("l", KEY("per minute"), 5);
	zones_discard();
	fake_free(b);
	zones_publish();
	b = fake_opened("l", KEY("per minute"), 10);
	zones_publish();
	CU_ASSERT_EQUAL(counted(b->zone, KEY("alice")), 2);
	for (unsigned i = 0; i < 9; i++)
		CU_ASSERT_EQUAL(add(b->zone, i, FOREVER), 0);
	CU_ASSERT_EQUAL(add(b->zone, 9, FOREVER), MERLON_E_FULL);
	fake_free(a);
	fake_free(b);
}

static void another_size_keeps_the_records(void)
{
	struct fake *a = fake_opened("l", KEY("k"), 1);
	struct fake *b;

	zones_publish();
	CU_ASSERT_EQUAL(counted(a->zone, KEY("alice")), 1);
	CU_ASSERT_EQUAL(add(a->zone, 1, FOREVER), MERLON_E_FULL);
	b = fake_opened("l", KEY("k"), 2);
	CU_ASSERT_EQUAL(add(b->zone, 1, FOREVER), MERLON_E_FULL);
	zones_publish();
	CU_ASSERT_EQUAL(add(b->zone, 1, FOREVER), 0);
	CU_ASSERT_EQUAL(counted(b->zone, KEY("alice")), 2);
	fake_free(a);
	fake_free(b);
}

static void two_forms_of_one_zone_in_one_configuration_are_refused(void)
{
	struct fake *a = fake_opened("l", KEY("k"), 10);
	struct fake *b = fake_new("l");

	CU_ASSERT_EQUAL(fake_open(b, KEY("other"), 10), MERLON_E_INVAL);
	CU_ASSERT_EQUAL(host_zone_open(&b->ctx, NULL, KEY("k"), 16, 10, &b->zone), MERLON_E_INVAL);
	CU_ASSERT_EQUAL(fake_open(b, KEY("k"), 10), 0);
	CU_ASSERT_PTR_EQUAL(a->zone, b->zone);
	fake_free(a);
	fake_free(b);
}

/* In whichever order the lines stand: here the first goes on with the zone that serves. */
static void a_second_form_is_refused_after_the_serving_one_too(void)
{
	struct fake *a = fake_opened("l", KEY("k"), 10);
	struct fake *b;
	struct fake *c = fake_new("l");

	zones_publish();
	b = fake_opened("l", KEY("k"), 10);
	CU_ASSERT_EQUAL(fake_open(c, KEY("other"), 10), MERLON_E_INVAL);
	zones_discard();
	CU_ASSERT_EQUAL(fake_open(c, KEY("other"), 10), 0); /* another load may */
	zones_discard();
	fake_free(a);
	fake_free(b);
	fake_free(c);
}

static void another_module_has_records_of_its_own(void)
{
	static const struct merlon_module one = {.name = "one"}, two = {.name = "two"};
	struct fake *a = fake_new("l");
	struct fake *b = fake_new("l");

	a->ctx.m = &one;
	b->ctx.m = &two;
	CU_ASSERT_EQUAL_FATAL(fake_open(a, KEY("k"), 10), 0);
	zones_publish();
	CU_ASSERT_EQUAL(counted(a->zone, KEY("alice")), 1);
	CU_ASSERT_EQUAL_FATAL(fake_open(b, KEY("k"), 10), 0);
	zones_publish();
	CU_ASSERT_EQUAL(counted(b->zone, KEY("alice")), 1);
	fake_free(a);
	fake_free(b);
}

/* A line that is put into shadow must not use up what the generation before still counts in. */
static void a_shadow_line_leaves_the_zone_of_the_line_alone(void)
{
	struct fake *a = fake_opened("l", KEY("k"), 10);
	struct fake *b = fake_new("l");

	zones_publish();
	CU_ASSERT_EQUAL(counted(a->zone, KEY("alice")), 1);
	b->line.shadow = true;
	CU_ASSERT_EQUAL_FATAL(fake_open(b, KEY("k"), 10), 0);
	zones_publish();
	CU_ASSERT_EQUAL(counted(b->zone, KEY("alice")), 1);
	CU_ASSERT_EQUAL(counted(a->zone, KEY("alice")), 2);
	fake_free(a);
	fake_free(b);
}

static void no_key_can_be_made_to_look_like_a_longer_one(void)
{
	struct fake *a = fake_opened("l", KEY("k"), 10);
	char key[300];
	uint8_t sum[SHA256_LEN];

	zones_publish();
	memset(key, 'a', sizeof(key));
	sha256((struct str){key, sizeof(key)}, sum);
	CU_ASSERT_EQUAL(counted(a->zone, (struct merlon_str){key, sizeof(key)}), 1);
	CU_ASSERT_EQUAL(counted(a->zone, (struct merlon_str){(const char *)sum, sizeof(sum)}), 1);
	CU_ASSERT_EQUAL(counted(a->zone, (struct merlon_str){key, sizeof(key)}), 2);
	fake_free(a);
}

static void bounds_are_checked(void)
{
	struct fake *a = fake_new("l");
	struct count c = {0};

	CU_ASSERT_EQUAL(host_zone_open(&a->ctx, NULL, KEY("k"), 0, 10, &a->zone), MERLON_E_INVAL);
	CU_ASSERT_EQUAL(host_zone_open(&a->ctx, NULL, KEY("k"), 4097, 10, &a->zone),
	                MERLON_E_INVAL);
	CU_ASSERT_EQUAL(host_zone_open(&a->ctx, NULL, KEY("k"), 8, 0, &a->zone), MERLON_E_INVAL);
	CU_ASSERT_EQUAL(host_zone_update(NULL, NULL, KEY("k"), count_one, &c), MERLON_E_INVAL);
	fake_free(a);
}

/* Options as a file would give them, with `zone` written. */
static merlon_cfg *options_with_zone(const struct merlon_module *m, struct arena *a,
                                     struct conf_diag *d)
{
	static struct conf_node zone = {.type = CONF_STRING, .file = "t.conf", .line = 2};
	static struct conf_node root = {.type = CONF_GROUP, .file = "t.conf", .line = 1};

	zone.key = STR("zone");
	zone.u.s = STR("tenants");
	zone.parent = &root;
	root.child = &zone;
	root.nchildren = 1;
	return options_check(m, &root, &root, a, d);
}

static void the_option_zone_shares_it(void)
{
	static const struct merlon_module m = {.size = sizeof(m),
	                                       .option_size = sizeof(struct merlon_option),
	                                       .groups = MERLON_RATELIMIT,
	                                       .name = "fake"};
	struct fake *f[3] = {fake_new("one"), fake_new("two"), fake_new("shadow")};
	struct arena a;
	struct conf_diag d;
	merlon_cfg *cfg;

	arena_init(&a, NULL);
	conf_diag_init(&d);
	cfg = options_with_zone(&m, &a, &d);
	CU_ASSERT_PTR_NOT_NULL_FATAL(cfg);
	f[2]->line.shadow = true;
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(host_zone_open(&f[i]->ctx, cfg, KEY("k"), 8, 10, &f[i]->zone), 0);
	zones_publish();
	CU_ASSERT_EQUAL(counted(f[0]->zone, KEY("alice")), 1);
	CU_ASSERT_EQUAL(counted(f[1]->zone, KEY("alice")), 2);
	CU_ASSERT_EQUAL(counted(f[2]->zone, KEY("alice")), 1); /* a shadow line counts for itself */
	CU_ASSERT_EQUAL(records_of("shared:tenants"), 1);
	for (unsigned i = 0; i < 3; i++)
		fake_free(f[i]);
	conf_diag_deinit(&d);
	arena_deinit(&a);
}

/* ---- threads ---- */
#define THREADS 8
#define ROUNDS 20000
#define HAMMER_KEYS 61

static void *hammer(void *arg)
{
	merlon_zone *z = arg;
	char key[16];

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct count c = {.expires = FOREVER};
		int n = snprintf(key, sizeof(key), "k%u", i % HAMMER_KEYS);

		if (host_zone_update(z, NULL, (struct merlon_str){key, (uint64_t)n}, count_one, &c))
			abort();
		/* Keys that come and go beside them. */
		(void)add(z, i * 31 % 5000, 1);
	}
	return NULL;
}

static void eight_threads_lose_nothing(void)
{
	struct fake *a = fake_opened("l", KEY("k"), 2000);
	pthread_t t[THREADS];
	uint64_t sum = 0;

	zones_publish();
	for (unsigned i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, hammer, a->zone), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (unsigned i = 0; i < HAMMER_KEYS; i++) {
		char key[16];
		int n = snprintf(key, sizeof(key), "k%u", i);

		sum += counted(a->zone, (struct merlon_str){key, (uint64_t)n}) - 1;
	}
	CU_ASSERT_EQUAL(sum, THREADS * ROUNDS);
	CU_ASSERT(records_of("default/ratelimit/l") <= 2000);
	fake_free(a);
}

UNIT_MAIN("stack_zone", UNIT(outlives_the_generation_that_made_it), UNIT(lines_do_not_share),
          UNIT(every_key_has_a_record_of_its_own), UNIT(full_refuses_until_something_expires),
          UNIT(expired_room_is_used_before_more_is_taken), UNIT(explain_changes_nothing),
          UNIT(another_signature_begins_anew_when_published), UNIT(a_failed_reload_changes_nothing),
          UNIT(another_size_keeps_the_records),
          UNIT(two_forms_of_one_zone_in_one_configuration_are_refused),
          UNIT(a_second_form_is_refused_after_the_serving_one_too),
          UNIT(another_module_has_records_of_its_own),
          UNIT(a_shadow_line_leaves_the_zone_of_the_line_alone),
          UNIT(no_key_can_be_made_to_look_like_a_longer_one), UNIT(bounds_are_checked),
          UNIT(the_option_zone_shares_it), UNIT(eight_threads_lose_nothing))
