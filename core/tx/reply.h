/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Heads towards the client: the gateway's own answers, and the edits that modules made to any
 * answer.
 */
#ifndef TX_REPLY_H
#define TX_REPLY_H

#include "http/write.h"
#include "tx/tx.h"

/* The fields every answer carries: x-request-id, and the response edits of modules. */
void reply_common(merlon_tx *tx, struct http_out *o);
/* What becomes of the connection after this answer. */
void reply_connection(const merlon_tx *tx, struct http_out *o);
/* Whether an edit sets or deletes that name, so that the upstream's field does not pass. */
bool reply_edits(const merlon_tx *tx, enum http_field_id id, struct str name);
static inline bool reply_overrides(const merlon_tx *tx, enum http_field_id id, struct str name)
{
	return (tx->edited[MERLON_RESPONSE] & HTTP_F_BIT(id)) && reply_edits(tx, id, name);
}
/* Queues tx->refusal as an answer. */
void reply_send(merlon_tx *tx);
/* "100 Continue", where the client waits for it and has not been told. */
void reply_continue(merlon_tx *tx);

#endif
