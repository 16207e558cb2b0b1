/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Names of fields that modules write and ask for, request after request: each is checked and looked
 * up once a thread. What is kept is bounded and never dropped, so a request may point at it.
 */
#ifndef TX_FIELDNAME_H
#define TX_FIELDNAME_H

#include "http/message.h"

#define FIELDNAME_MAX 47

struct fieldname {
	enum http_field_id id;
	uint8_t n;
	char text[FIELDNAME_MAX]; /* as it was spelled */
};
/* NULL: it is no token, or there is no room to remember it: whoever asks looks for himself. The
 * answer is the calling thread's, for as long as that runs. */
const struct fieldname *fieldname_of(struct str name);

#endif
