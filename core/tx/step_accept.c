/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * accept: the first byte of a request has come. Limits of the generation apply from here on.
 */
#include "tx/step.h"

enum step_result step_accept(merlon_tx *tx)
{
	tx->parser = http_parser_take(&tx->w->pools.parsers);
	http_parser_init(tx->parser, false, (size_t)tx->gw->gen->conf->limits.head);
	return STEP_NEXT;
}
