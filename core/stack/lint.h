/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What is wrong with a stack before any request comes: walks the whole state space of every group
 * (line, state, code each module may answer) and reports with the line's place, and with the path
 * where there is one (design §3 "Lint").
 */
#ifndef STACK_LINT_H
#define STACK_LINT_H

#include "stack/stack.h"

void lint(const struct stacks *s, const struct conf *c, struct conf_diag *d);
/* The part about attributes that are read before anything writes them; the stack's includes are
 * free of cycles. */
void lint_reads(const struct stack *st, struct conf_diag *d);

#endif
