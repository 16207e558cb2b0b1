/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The registry of shared objects. An object belongs to the process and is counted by handles; a
 * handle belongs to one instance, so that what a module forgets to put goes with its instance. One
 * lock guards the registry and every instance's list of what it holds: both are touched at load and
 * at a worker's start only.
 */
#include "stack/shared.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "stack/instance.h"

struct object {
	struct list node;
	char hash[SHA256_HEX + 1]; /* of the build: another build's pointers mean something else */
	struct str key;
	char *key_mem;
	void *ptr; /* NULL: its builder is at work */
	merlon_free_fn free_fn;
	unsigned refs;
};

struct merlon_shared {
	struct held held; /* first: held_release_all() frees it by this address */
	struct object *obj;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t built = PTHREAD_COND_INITIALIZER;
static struct list objects = {&objects, &objects};

/* ---- what an instance holds ---- */
static void hold(struct merlon_ctx *ctx, struct held *h)
{
	pthread_mutex_lock(&lock);
	list_push(&ctx->shared, &h->node);
	pthread_mutex_unlock(&lock);
}

void held_add(struct merlon_ctx *ctx, void (*put)(void *obj), void *obj)
{
	struct held *h = xmalloc(sizeof(*h));

	h->put = put;
	h->obj = obj;
	hold(ctx, h);
}

void held_release_all(struct merlon_ctx *ctx)
{
	for (;;) {
		struct held *h;

		pthread_mutex_lock(&lock);
		if (list_empty(&ctx->shared)) {
			pthread_mutex_unlock(&lock);
			return;
		}
		h = list_entry(ctx->shared.next, struct held, node);
		list_del(&h->node);
		pthread_mutex_unlock(&lock);
		h->put(h->obj);
		free(h);
	}
}

/* ---- objects ---- */
static void object_put(void *arg)
{
	struct object *o = arg;
	bool last;

	pthread_mutex_lock(&lock);
	last = --o->refs == 0;
	if (last)
		list_del(&o->node);
	pthread_mutex_unlock(&lock);
	if (!last)
		return;
	if (o->ptr && o->free_fn)
		o->free_fn(o->ptr);
	free(o->key_mem);
	free(o);
}

static struct object *object_find(const char *hash, struct str key)
{
	list_each(it, &objects)
	{
		struct object *o = list_entry(it, struct object, node);

		if (str_eq(o->key, key) && strcmp(o->hash, hash) == 0)
			return o;
	}
	return NULL;
}

static struct object *object_new(const char *hash, struct str key, merlon_free_fn free_fn)
{
	struct object *o = xcalloc(1, sizeof(*o));

	memcpy(o->hash, hash, sizeof(o->hash));
	o->key_mem = str_dup(key);
	o->key = (struct str){o->key_mem, key.n};
	o->free_fn = free_fn;
	o->refs = 1;
	list_add(&objects, &o->node);
	return o;
}

/* Waits for another thread's builder, so that there is one object and not two of a key. NULL: it
 * built nothing. */
static struct object *object_wait(struct object *o)
{
	o->refs++;
	while (!o->ptr && !list_empty(&o->node))
		pthread_cond_wait(&built, &lock);
	return o;
}

int32_t host_shared_get(merlon_ctx *ctx, struct merlon_str key, merlon_build_fn build,
                        merlon_free_fn free_fn, void *arg, merlon_shared **out)
{
	const char *hash = ctx->build ? ctx->build->hash : ctx->hash;
	struct merlon_shared *h;
	struct object *o;

	if (!build || !out)
		return MERLON_E_INVAL;
	pthread_mutex_lock(&lock);
	o = object_find(hash, from_merlon(key));
	if (o) {
		object_wait(o);
		pthread_mutex_unlock(&lock);
	} else {
		void *ptr;

		o = object_new(hash, from_merlon(key), free_fn);
		pthread_mutex_unlock(&lock);
		ptr = build(arg); /* unlocked: it may get other objects */
		pthread_mutex_lock(&lock);
		o->ptr = ptr;
		if (!ptr)
			list_del(&o->node);
		pthread_cond_broadcast(&built);
		pthread_mutex_unlock(&lock);
	}
	if (!o->ptr) {
		object_put(o);
		return MERLON_E_UNAVAIL;
	}
	h = xmalloc(sizeof(*h));
	h->held.put = object_put;
	h->held.obj = o;
	h->obj = o;
	hold(ctx, &h->held);
	*out = h;
	return 0;
}

void *host_shared_ptr(merlon_shared *obj)
{
	return obj ? obj->obj->ptr : NULL;
}

void host_shared_put(merlon_shared *obj)
{
	if (!obj)
		return;
	pthread_mutex_lock(&lock);
	list_del(&obj->held.node);
	pthread_mutex_unlock(&lock);
	object_put(obj->obj);
	free(obj);
}
