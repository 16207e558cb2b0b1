/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * One table for both: a key is a text and what it is, a whole id or the first bytes of globs. Of
 * globs with the same first bytes the longest stand first.
 */
#include "tx/models.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX
#define WHOLE 7u /* kinds 0 to 6: the first 0, 1, 2, 4, 8, 16, 32 bytes */

struct glob {
	const struct conf_model *model;
	uint32_t next; /* not longer, with the same first bytes */
};
struct slot {
	struct str text;
	unsigned kind;
	bool used;
	uint32_t first;                 /* of the globs */
	const struct conf_model *whole; /* WHOLE */
};
struct models {
	struct slot *slots;
	size_t mask;
	struct glob *globs; /* longest first */
	uint32_t nglobs;
	unsigned kinds; /* bits: which there are */
};

static size_t kind_length(unsigned kind)
{
	return kind == 0 ? 0 : (size_t)1 << (kind - 1);
}

static struct slot *find(const struct models *m, unsigned kind, struct str text)
{
	size_t i = (size_t)(hash_sip(text) + kind) & m->mask;

	while (m->slots[i].used && (m->slots[i].kind != kind || !str_eq(m->slots[i].text, text)))
		i = (i + 1) & m->mask;
	return &m->slots[i];
}

static struct slot *make(struct models *m, unsigned kind, struct str text)
{
	struct slot *s = find(m, kind, text);

	if (!s->used)
		*s = (struct slot){.text = text, .kind = kind, .used = true, .first = NONE};
	m->kinds |= 1u << kind;
	return s;
}

static size_t literal_length(struct str id)
{
	size_t n = 0;

	while (n < id.n && id.p[n] != '*' && id.p[n] != '?')
		n++;
	return n;
}

static void add_glob(struct models *m, uint32_t at)
{
	struct str head = m->globs[at].model->id;
	size_t literal = literal_length(head);
	unsigned kind = WHOLE - 1;

	while (kind_length(kind) > literal)
		kind--;
	head.n = kind_length(kind);
	struct slot *s = make(m, kind, head);
	m->globs[at].next = s->first;
	s->first = at;
}

static int longest_first(const void *a, const void *b)
{
	const struct conf_model *x = ((const struct glob *)a)->model;
	const struct conf_model *y = ((const struct glob *)b)->model;

	if (x->id.n != y->id.n)
		return x->id.n > y->id.n ? -1 : 1;
	return x < y ? -1 : x > y; /* they stand in one array, in the order of the file */
}

struct models *models_new(const struct conf *c)
{
	struct models *m = xcalloc(1, sizeof(*m));
	size_t cap = 8;

	while (cap < (size_t)c->nmodels * 4)
		cap *= 2;
	m->slots = xcalloc(cap, sizeof(*m->slots));
	m->mask = cap - 1;
	m->globs = xcalloc(c->nmodels + 1u, sizeof(*m->globs));
	for (unsigned i = 0; i < c->nmodels; i++) {
		const struct conf_model *model = &c->models[i];
		make(m, WHOLE, model->id)->whole = model;
		if (literal_length(model->id) < model->id.n)
			m->globs[m->nglobs++].model = model;
	}
	qsort(m->globs, m->nglobs, sizeof(*m->globs), longest_first);
	for (uint32_t i = m->nglobs; i > 0; i--)
		add_glob(m, i - 1);
	return m;
}

void models_free(struct models *m)
{
	if (!m)
		return;
	free(m->slots);
	free(m->globs);
	free(m);
}

const struct conf_model *models_find(const struct models *m, struct str name)
{
	const struct slot *s;
	uint32_t best = NONE;

	/* Most installations have no catalogue, and need no hash of the name then. */
	if (m->kinds == 0)
		return NULL;
	s = find(m, WHOLE, name);
	if (s->used)
		return s->whole;
	for (unsigned kind = 0; kind < WHOLE; kind++) {
		struct str head = {name.p, kind_length(kind)};
		if (!(m->kinds >> kind & 1) || head.n > name.n)
			continue;
		s = find(m, kind, head);
		/* Their order is their rank: what lies behind the best so far is no better. */
		for (uint32_t i = s->used ? s->first : NONE; i < best; i = m->globs[i].next) {
			if (str_glob(m->globs[i].model->id, name))
				best = i;
		}
	}
	return best == NONE ? NULL : m->globs[best].model;
}
