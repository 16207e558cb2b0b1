/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The attributes of one tx: typed values by name, with their writer, rolled back to a mark when a
 * line does not answer OK. Newest first: a later value hides an earlier one.
 */
#ifndef STACK_ATTR_H
#define STACK_ATTR_H

#include "base/mem.h"
#include "base/vector.h"
#include "merlon/module.h"

#define ATTRS_MAX 64 /* by modules */
#define ATTRS_BYTES_MAX 16384
#define ATTRS_CHAIN_BITS 5
#define ATTRS_CHAINS (1 << ATTRS_CHAIN_BITS)
#define ATTRS_FEW 14 /* what most requests have */

struct attr {
	struct str key;
	struct merlon_val val;    /* its bytes in the arena */
	const merlon_ctx *writer; /* NULL: the host */
	uint32_t older;           /* 1 + index of the next one of its chain; 0: there is none */
};
/* Points into itself: never copied. */
struct attrs {
	struct arena *arena;
	struct attr *v; /* `few`, or in the arena */
	unsigned n, cap;
	uint32_t newest[ATTRS_CHAINS]; /* of the keys that share a chain: 1 + index; 0: none */
	unsigned taken;                /* of ATTRS_MAX, by modules */
	size_t bytes;                  /* likewise of ATTRS_BYTES_MAX */
	/* what the line under way may write: set by the run */
	bool id_write;     /* id.* is taken (kept or dropped when the line has answered) */
	bool id_fill;      /* identity = "add": only keys that are unset */
	bool org_conflict; /* id_fill met a differing id.org */
	bool id_lost;      /* a part of id.* could not be taken: an OK would stand for more than was
	                      meant */
	unsigned fill_mark;     /* attributes before the line under way; id_fill: these are kept */
	bool line_open;         /* between attrs_line_begin() and attrs_line_end() */
	const merlon_ctx *line; /* whose id.* are taken; NULL: anybody's */
	struct attr few[ATTRS_FEW]; /* the last member: it need not be cleared */
};
void attrs_init(struct attrs *as, struct arena *a);
/* The host's own writing: any key, which is not copied. It always finds room: a client who
 * fills it with a long path or host must not make what policies look at disappear. */
void attrs_set(struct attrs *as, struct str key, const struct merlon_val *val);
void attrs_set_str(struct attrs *as, struct str key,
                   struct str value); /* empty p: nothing is set */
/* The chain of a key. Of a key that is a constant the compiler computes it. */
static inline unsigned attrs_chain(struct str key)
{
	if (key.n < 4)
		return 0;
	return tail_place(half_load(key.p + key.n - 4), key.n, ATTRS_CHAIN_BITS);
}
void attrs_grow(struct attrs *as);
/* The next one: its value and its writer are still to be set. */
static inline struct attr *attrs_append(struct attrs *as, struct str key)
{
	uint32_t *newest = &as->newest[attrs_chain(key)];

	if (__builtin_expect(as->n == as->cap, 0))
		attrs_grow(as);
	struct attr *at = &as->v[as->n++];
	at->key = key;
	at->older = *newest;
	*newest = as->n;
	return at;
}
/* attrs_set_str() for a value that lives as long as the attributes do: it is not copied. */
static inline void attrs_refer(struct attrs *as, struct str key, struct str value)
{
	if (!value.p)
		return;
	struct attr *at = attrs_append(as, key);
	at->val = (struct merlon_val){.type = MERLON_VAL_STR, .u.str = {value.p, value.n}};
	at->writer = NULL;
}
/* A module's writing, under the rules of design §3 and module.h attr_set(). */
int attrs_set_by(struct attrs *as, const merlon_ctx *by, struct str module, struct str key,
                 const struct merlon_val *val);
/* Whether it is one that only the line that makes auth POS may write. */
static inline bool attr_of_identity(struct str key)
{
	return key.n >= 3 && memcmp(key.p, "id.", 3) == 0;
}
const struct attr *attrs_get(const struct attrs *as, struct str key); /* NULL: not set */
struct str attrs_str(const struct attrs *as, struct str key);         /* empty unless a STR */
static inline unsigned attrs_mark(const struct attrs *as)
{
	return as->n;
}
void attrs_rollback(struct attrs *as, unsigned mark);
/* Around a line's hook; what it may write of id.* is set in between. */
static inline void attrs_line_begin(struct attrs *as, const merlon_ctx *line)
{
	as->id_write = as->id_fill = as->org_conflict = as->id_lost = false;
	as->fill_mark = as->n;
	as->line_open = true;
	as->line = line;
}
static inline void attrs_line_end(struct attrs *as)
{
	as->id_write = as->id_fill = as->org_conflict = as->id_lost = false;
	as->line_open = false;
	as->line = NULL;
}
/* The line under way will not answer any more: what it wrote goes, as if it had failed. */
void attrs_line_abandon(struct attrs *as);
void attrs_drop_identity(struct attrs *as,
                         unsigned mark); /* id.* written since the mark go, the rest stays */

static inline struct merlon_str to_merlon(struct str s)
{
	return (struct merlon_str){s.p, s.n};
}
static inline struct str from_merlon(struct merlon_str s)
{
	return (struct str){s.ptr, (size_t)s.len};
}

#endif
