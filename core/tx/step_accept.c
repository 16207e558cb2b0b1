/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * accept: the first byte of a request has come. Limits of the generation apply from here on.
 */
#include "tx/step.h"

enum step_result step_accept(merlon_tx *tx)
{
	const struct conf_limits *l = &tx->gw->gen->conf->limits;
	http_parser_init(&tx->parser, false, (size_t)l->head);
	atomic_store_explicit(&tx->w->budget->limit, l->memory, memory_order_relaxed);
	return STEP_NEXT;
}
