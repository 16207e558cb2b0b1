/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Syslog messages around records of any content: whatever a client put into a text, a message keeps
 * its bound, its head, holds no control byte, and its payload is one JSON object.
 * Input: room (2 bytes), facility and severity, then the text.
 */
#include "audit_syslog/message.h"

#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct merlon_str text;

/* Texts begin at different places, so that a cut meets every byte. */
static int32_t record_get(merlon_ctx *ctx, merlon_tx *tx, uint32_t field, struct merlon_val *out)
{
	uint64_t at = field < text.len ? field : 0;

	(void)ctx;
	(void)tx;
	if (field == MERLON_REC_TIMESTAMP || field % 7 == 5)
		*out = (struct merlon_val){.type = MERLON_VAL_I64, .u.i64 = (int64_t)text.len};
	else
		*out = (struct merlon_val){.type = MERLON_VAL_STR,
		                           .u.str = {text.ptr + at, text.len - at}};
	return 0;
}

static int32_t record_decision(merlon_tx *tx, uint32_t i, struct merlon_decision *out)
{
	(void)tx;
	if (i >= 3 + text.len % 16)
		return MERLON_E_NOENT;
	*out = (struct merlon_decision){sizeof(*out), i & 1, TXT("auth"), text, text, text, text};
	return 0;
}

static void check(const char *message, uint64_t n, uint64_t head, uint64_t cap)
{
	json_t *o;

	if (n > cap || n < head || message[0] != '<' || message[head] != '{')
		abort();
	for (uint64_t i = 0; i < n; i++) {
		if ((unsigned char)message[i] < 0x20 || message[i] == 0x7f)
			abort();
	}
	o = json_loadb(message + head, n - head, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	if (!o || json_object_size(o) != 32)
		abort();
	json_decref(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct merlon_host host = {
	    .size = sizeof(host), .record_get = record_get, .record_decision = record_decision};
	char note[MESSAGE_NOTE];
	struct recorder r = {.h = &host};
	struct merlon_str n = {note, 0}, record;
	uint64_t cap, head;
	bool cut;

	if (size < 4)
		return 0;
	cap = 4096 + (((uint64_t)data[0] << 8 | data[1]) % 61440);
	n.len = message_note(data[2] % 24, TXT("gw"), TXT("merlon"), size, TXT("audit"), note);
	/* At their exact sizes, so that reading and writing beyond is noticed. */
	char *copy = malloc(size - 4 + 1), *message = malloc(cap);
	memcpy(copy, data + 4, size - 4);
	text = (struct merlon_str){copy, size - 4};

	head = message_head(n, data[3] % 8, (int64_t)size, message);
	record_read(&r, NULL);
	record =
	    record_render_within(&r, NULL, text, message + head, cap - head - MESSAGE_TAIL, &cut);
	if (record.len == 0)
		abort(); /* the least room suffices for any record */
	check(message, head + message_close(message + head, record.len), head, cap);
	uint64_t lost = message_lost(n, size, (int64_t)size, message, cap);
	check(message, lost, (uint64_t)((char *)memchr(message, '{', cap) - message), cap);
	free(copy);
	free(message);
	return 0;
}
