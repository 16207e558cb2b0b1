/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Which keys and values are wanted, and what is stored of them. Wants are bits: a key that matches
 * hands its bits to the value after it. Keys are stored only where some want could match, values
 * only where one does.
 */
#include "json/machine.h"

#include <string.h>

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
		if (n > s->key_max - s->key_n) {
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
			json_fail(s, JSON_E_LENGTH);
			break;
		}
		if (n > s->text_cap - s->text_n)
			text_grow(s, s->text_n + n);
		memcpy(s->text + s->text_n, p, n);
		s->text_n += n;
		break;
	}
	return fit;
}

bool json_value_begins(struct json_scan *s, enum json_type type)
{
	s->capture = s->leaf;
	s->leaf = 0;
	s->type = type;
	s->sink = SINK_NONE;
	if (!s->capture)
		return true;
	s->sink = type == JSON_STRING || type == JSON_NUMBER ? SINK_VALUE : SINK_NONE;
	s->text = NULL;
	s->text_n = s->text_cap = 0;
	s->text_max = SIZE_MAX;
	for (unsigned i = 0; i < s->nwants; i++) {
		const struct json_want *want = &s->wants[i];

		if (!(s->capture & 1u << i))
			continue;
		if (want->types && !(want->types & 1u << type)) {
			json_fail(s, JSON_E_TYPE);
			return false;
		}
		if (want->max_len < s->text_max)
			s->text_max = want->max_len;
	}
	return true;
}

void json_value_found(struct json_scan *s)
{
	bool text = s->type == JSON_STRING || s->type == JSON_NUMBER;

	for (unsigned i = 0; s->capture >> i; i++) {
		if (!(s->capture & 1u << i))
			continue;
		s->values[i].type = s->type;
		/* An empty string is not an absent one: its pointer is set. */
		s->values[i].text =
		    text ? (struct str){s->text_n ? s->text : "", s->text_n} : STR_NONE;
	}
	s->found |= s->capture;
	s->capture = 0;
	s->sink = SINK_NONE;
}

void json_key_begins(struct json_scan *s)
{
	bool compare = s->depth <= JSON_NAMES_MAX && s->live[s->depth - 1];

	s->sink = compare ? SINK_KEY : SINK_NONE;
	s->key_over = !compare;
	s->key_n = 0;
}

void json_key_ended(struct json_scan *s)
{
	unsigned level = s->depth - 1;
	struct str key = {s->key, s->key_n};

	s->leaf = s->deeper = 0;
	s->state = ST_COLON;
	if (s->key_over)
		return;
	for (unsigned i = 0; i < s->nwants; i++) {
		const struct path *path = &s->paths[i];
		uint32_t bit = 1u << i;

		if (!(s->live[level] & bit) || !str_eq(path->names[level], key))
			continue;
		if (s->seen[level] & bit) {
			json_fail(s, JSON_E_DUPLICATE);
			return;
		}
		s->seen[level] |= bit;
		if (path->n == level + 1)
			s->leaf |= bit;
		else
			s->deeper |= bit;
	}
}
