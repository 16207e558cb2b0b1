/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Putting messages together, byte by byte: once a request, on its worker.
 */
#include "message.h"

#define SEQ ",\"seq\":null"
#define CHAIN ",\"prev\":null,\"hash\":null}"
_Static_assert(sizeof(SEQ) - 1 + sizeof(CHAIN) - 1 == MESSAGE_TAIL, "room behind a record");

static const char *const facilities[24] = {
    "kern",   "user",   "mail",     "daemon", "auth",   "syslog", "lpr",    "news",
    "uucp",   "cron",   "authpriv", "ftp",    "ntp",    "audit",  "alert",  "clock",
    "local0", "local1", "local2",   "local3", "local4", "local5", "local6", "local7"};

int message_facility(struct merlon_str name)
{
	for (int i = 0; i < 24; i++) {
		if (txt_eq(name, txt_of(facilities[i])))
			return i;
	}
	return -1;
}

bool message_is_name(struct merlon_str s, size_t max)
{
	for (uint64_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < 0x21 || s.ptr[i] > 0x7e)
			return false;
	}
	return s.len > 0 && s.len <= max;
}

static size_t put(char *out, size_t at, struct merlon_str s)
{
	memcpy(out + at, s.ptr, s.len);
	return at + s.len;
}

/* Two digits of the facility, then " HOSTNAME APP-NAME PROCID MSGID - ": no structured data. */
size_t message_note(int facility, struct merlon_str hostname, struct merlon_str app_name,
                    uint64_t procid, struct merlon_str msgid, char out[MESSAGE_NOTE])
{
	const struct merlon_str space = TXT(" ");
	size_t n = 2;

	out[0] = (char)('0' + facility / 10);
	out[1] = (char)('0' + facility % 10);
	n = put(out, n, space);
	n = put(out, n, hostname);
	n = put(out, n, space);
	n = put(out, n, app_name);
	n = put(out, n, space);
	n += txt_u64(out + n, procid);
	n = put(out, n, space);
	n = put(out, n, msgid);
	return put(out, n, TXT(" - "));
}

size_t message_head(struct merlon_str note, enum severity severity, int64_t time_us,
                    char out[MESSAGE_HEAD])
{
	unsigned facility = (unsigned)(note.ptr[0] - '0') * 10 + (unsigned)(note.ptr[1] - '0');
	size_t n = put(out, 0, TXT("<"));

	n += txt_u64(out + n, facility * 8 + severity);
	n = put(out, n, TXT(">1 "));
	txt_rfc3339(time_us, out + n);
	n += TXT_RFC3339_LEN;
	return put(out, n, (struct merlon_str){note.ptr + 2, note.len - 2});
}

enum severity message_severity(struct merlon_str status)
{
	if (txt_eq(status, TXT("success")))
		return SEVERITY_INFO;
	if (txt_eq(status, TXT("limited")) || txt_eq(status, TXT("aborted")))
		return SEVERITY_NOTICE;
	return txt_eq(status, TXT("denied")) ? SEVERITY_WARNING : SEVERITY_ERROR;
}

uint64_t message_close(char *record, uint64_t n)
{
	const struct merlon_str seq = TXT(SEQ);

	memmove(record + RECORD_HEAD + seq.len, record + RECORD_HEAD, n - RECORD_HEAD);
	put(record, RECORD_HEAD, seq);
	return put(record, n + seq.len, TXT(CHAIN));
}

uint64_t message_lost(struct merlon_str note, uint64_t count, int64_t time_us, char *buf,
                      uint64_t cap)
{
	const struct merlon_str text =
	    TXT(" records were lost: the queue to the collector was full");
	char reason[20 + 64];
	size_t n = txt_u64(reason, count), head;
	struct merlon_str record;

	n = put(reason, n, text);
	if (cap < MESSAGE_HEAD + RECORD_HEAD + MESSAGE_TAIL)
		return 0;
	head = message_head(note, SEVERITY_ERROR, time_us, buf);
	record = record_notice(time_us, TXT("lost"), (struct merlon_str){reason, n}, buf + head,
	                       cap - head - MESSAGE_TAIL);
	return record.len > 0 ? head + message_close(buf + head, record.len) : 0;
}
