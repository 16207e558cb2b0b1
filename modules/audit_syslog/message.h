/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Syslog messages (RFC 5424) around audit records. The note of a stream carries what all messages
 * of a line have in common, since a message about lost ones is made when no instance may be left.
 */
#ifndef AUDIT_SYSLOG_MESSAGE_H
#define AUDIT_SYSLOG_MESSAGE_H

#include "common/record.h"

enum severity { SEVERITY_ERROR = 3, SEVERITY_WARNING = 4, SEVERITY_NOTICE = 5, SEVERITY_INFO = 6 };

#define MESSAGE_HOSTNAME 255
#define MESSAGE_APP_NAME 48
#define MESSAGE_MSGID 32
/* "<191>1 " TIMESTAMP " " HOSTNAME " " APP-NAME " " PROCID " " MSGID " - " */
#define MESSAGE_HEAD                                                                               \
	(7 + TXT_RFC3339_LEN + 1 + MESSAGE_HOSTNAME + 1 + MESSAGE_APP_NAME + 1 + 20 + 1 +          \
	 MESSAGE_MSGID + 3)
#define MESSAGE_NOTE (3 + MESSAGE_HEAD)
/* Bytes that a record grows by: seq, prev and hash, which only a file's chain has, are null. */
#define MESSAGE_TAIL (11 + 25)

/* -1: no facility of that name. */
int message_facility(struct merlon_str name);
/* PRINTUSASCII of 1 to max bytes, as HOSTNAME, APP-NAME and MSGID are. */
bool message_is_name(struct merlon_str s, size_t max);
/* What message_head() needs: the facility and the parts behind the timestamp. Bytes written. */
size_t message_note(int facility, struct merlon_str hostname, struct merlon_str app_name,
                    uint64_t procid, struct merlon_str msgid, char out[MESSAGE_NOTE]);
/* All that stands before the record. */
size_t message_head(struct merlon_str note, enum severity severity, int64_t time_us,
                    char out[MESSAGE_HEAD]);
/* By the record's status. */
enum severity message_severity(struct merlon_str status);
/* A record of record_render() as JSON text in full, in place: MESSAGE_TAIL bytes of room behind it.
 */
uint64_t message_close(char *record, uint64_t n);
/* A whole message that says how many others were lost; as merlon_stream_ops.lost. */
uint64_t message_lost(struct merlon_str note, uint64_t count, int64_t time_us, char *buf,
                      uint64_t cap);

#endif
