/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Which keys and values are wanted, and what is stored of them. The wanted paths are a tree of
 * names: a key that matches a name hands its node to the value after it. Keys are compared only in
 * objects that such names lead to, and values stored only where one does.
 */
#include "json/machine.h"

#include <assert.h>
#include <string.h>

/* The node of that name below the parent, made if there is none. */
static unsigned node_of(struct json_plan *plan, unsigned parent, struct str name)
{
	struct json_node *n;
	uint8_t *link = &plan->nodes[parent].child;

	for (; *link; link = &plan->nodes[*link].next)
		if (str_eq(plan->nodes[*link].name, name))
			return *link;
	*link = (uint8_t)plan->nnodes++;
	n = &plan->nodes[*link];
	*n = (struct json_node){.name = name, .parent = (uint8_t)parent};
	plan->nodes[parent].names |= UINT64_C(1) << json_name_bit(name.n ? *name.p : '"', name.n);
	if (name.n > plan->key_max)
		plan->key_max = name.n;
	return *link;
}

void json_plan_init(struct json_plan *plan, struct json_node *nodes, const struct json_want *wants,
                    unsigned nwants)
{
	assert(nwants <= JSON_KEYS_MAX);
	*plan = (struct json_plan){.wants = wants, .nodes = nodes, .nwants = nwants, .nnodes = 1};
	plan->nodes[0] = (struct json_node){.wants = 0};
	for (unsigned i = 0; i < nwants; i++) {
		struct str rest = str_of(wants[i].path);
		unsigned at = 0;

		for (unsigned names = 0; rest.p; names++) {
			assert(names < JSON_NAMES_MAX);
			at = node_of(plan, at, str_split(&rest, '.'));
		}
		plan->nodes[at].wants |= 1u << i;
	}
}

static void text_grow(struct json_scan *s, size_t need)
{
	size_t cap = s->text_cap ? s->text_cap * 2 : 64;
	char *p;

	if (cap < need)
		cap = need;
	if (cap > s->text_max)
		cap = s->text_max;
	p = arena_alloc(s->arena, cap);
	if (s->text_n)
		memcpy(p, s->text, s->text_n);
	s->text = p;
	s->text_cap = cap;
}

size_t json_put(struct json_scan *s, const char *p, size_t n)
{
	size_t fit = n;

	switch (s->sink) {
	case SINK_NONE:
		break;
	case SINK_KEY:
		if (n > s->plan->key_max - s->key_n) {
			s->key_over = true;
			s->sink = SINK_NONE;
			break;
		}
		memcpy(s->key + s->key_n, p, n);
		s->key_n += n;
		break;
	case SINK_VALUE:
		if (n > s->text_max - s->text_n) {
			fit = s->text_max - s->text_n;
			s->error = JSON_E_LENGTH;
			break;
		}
		if (n > s->text_cap - s->text_n)
			text_grow(s, s->text_n + n);
		if (n)
			memcpy(s->text + s->text_n, p, n);
		s->text_n += n;
		break;
	}
	return fit;
}

bool json_value_wanted(struct json_scan *s, enum json_type type)
{
	const struct json_want *wants = s->plan->wants;

	s->capture = s->plan->nodes[s->match].wants;
	s->match = 0;
	s->type = type;
	s->text = NULL;
	s->text_n = s->text_cap = 0;
	s->text_max = SIZE_MAX;
	for (uint32_t rest = s->capture; rest; rest &= rest - 1) {
		unsigned i = (unsigned)__builtin_ctz(rest);

		if (wants[i].types && !(wants[i].types & 1u << type)) {
			s->error = JSON_E_TYPE;
			return false;
		}
		if (wants[i].max_len < s->text_max)
			s->text_max = wants[i].max_len;
	}
	return true;
}

bool json_value_text(struct json_scan *s, const char *p, size_t n)
{
	if (n > s->text_max)
		return false;
	if (n == 0)
		return true;
	s->text = memcpy(arena_alloc(s->arena, n), p, n);
	s->text_n = n;
	return true;
}

void json_value_take(struct json_scan *s)
{
	bool text = s->type == JSON_STRING || s->type == JSON_NUMBER;

	for (uint32_t rest = s->capture; rest; rest &= rest - 1) {
		unsigned i = (unsigned)__builtin_ctz(rest);

		s->values[i].type = s->type;
		/* An empty string is not an absent one: its pointer is set. */
		s->values[i].text =
		    text ? (struct str){s->text_n ? s->text : "", s->text_n} : STR_NONE;
	}
	s->found |= s->capture;
	s->capture = 0;
}

bool json_key_find(struct json_scan *s, const char *p, size_t n)
{
	const struct json_node *nodes = s->plan->nodes;

	for (unsigned i = nodes[s->node].child; i; i = nodes[i].next) {
		uint64_t bit = UINT64_C(1) << i;

		if (nodes[i].name.n != n || memcmp(nodes[i].name.p, p, n) != 0)
			continue;
		if (s->seen & bit) {
			s->error = JSON_E_DUPLICATE;
			return false;
		}
		s->seen |= bit;
		s->match = (uint8_t)i;
		break;
	}
	return true;
}
