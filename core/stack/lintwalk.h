/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The whole state space of a group: every state in which every line can be reached, with one way to
 * get there. States carry a mark that is set once a certain line has given a certain answer, so
 * that "a grant although" can be asked. A walk lives in the arena of its book and shares the walks
 * of included groups.
 */
#ifndef STACK_LINTWALK_H
#define STACK_LINTWALK_H

#include "stack/run.h"

struct walk;
struct walk_book {
	const struct stacks *s;
	enum conf_group g;
	const struct stack_line *line; /* the answer that sets the mark; NULL: none */
	int32_t code;
	struct arena arena;
	struct walk **of; /* by stack */
};
void walk_open(struct walk_book *b, const struct stacks *s, enum conf_group g,
               const struct stack_line *line, int32_t code);
void walk_close(struct walk_book *b);
/* Includes of the stack must have been found free of cycles. */
const struct walk *walk_of(struct walk_book *b, const struct stack *st);
bool walk_reaches(const struct walk *w, unsigned index);
bool walk_grants(const struct walk *w); /* some way ends in POS */
/* "auth_oidc=BADCRED, auth_apikey=OK": a way on which the mark is set and the group passes; empty:
 * there is none. */
struct str walk_marked_pass(const struct walk *w, struct arena *a);
/* The codes that a line with a module may answer, the host's own among them; bits of MERLON_BIT().
 */
uint32_t line_codes(const struct stack_line *l);

#endif
