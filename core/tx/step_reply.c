/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * reply: the gateway's own answer, where the request was refused; otherwise nothing.
 */
#include "tx/reply.h"
#include "tx/step.h"

enum step_result step_reply(merlon_tx *tx)
{
	if (!tx->refusal.status || (tx->head_sent && !tx->step_began))
		return STEP_NEXT;
	if (!tx->c)
		return STEP_ABORT;
	if (!tx->step_began) {
		tx->step_began = true;
		reply_send(tx);
	}
	return stream_queued(tx->c->s) > 0 ? STEP_WAIT : STEP_NEXT;
}
