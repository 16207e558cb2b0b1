/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The layout and the numbers of the module ABI as they were in 1.0, on machines with pointers of
 * eight bytes. Lines are added for new members and numbers, and never changed within a major:
 * abidiff does not see macros. Sizes of tables that grow are least sizes.
 */
#include "merlon/module.h"

#include "unit.h"

#if UINTPTR_MAX == UINT64_MAX
#define AT(s, m, n) _Static_assert(offsetof(struct s, m) == (n), #s "." #m " has moved")
#define SIZE(s, n) _Static_assert(sizeof(struct s) == (n), #s " has another size")
#define GROWS(s, n) _Static_assert(sizeof(struct s) >= (n), #s " has shrunk")
SIZE(merlon_str, 16);
AT(merlon_str, ptr, 0);
AT(merlon_str, len, 8);
SIZE(merlon_val, 24);
AT(merlon_val, type, 0);
AT(merlon_val, count, 4);
AT(merlon_val, u, 8);
GROWS(merlon_option, 48);
AT(merlon_option, key, 0);
AT(merlon_option, type, 8);
AT(merlon_option, flags, 12);
AT(merlon_option, def, 16);
AT(merlon_option, range, 24);
AT(merlon_option, sub, 32);
AT(merlon_option, help, 40);
SIZE(merlon_header, 32);
AT(merlon_header, name, 0);
AT(merlon_header, value, 16);
GROWS(merlon_fail, 56);
AT(merlon_fail, size, 0);
AT(merlon_fail, retry_after_ms, 4);
AT(merlon_fail, text, 8);
AT(merlon_fail, detail, 24);
AT(merlon_fail, challenge, 40);
GROWS(merlon_summary, 40);
AT(merlon_summary, size, 0);
AT(merlon_summary, end, 4);
AT(merlon_summary, http_status, 8);
AT(merlon_summary, entered, 12);
AT(merlon_summary, tokens_in, 16);
AT(merlon_summary, tokens_out, 24);
AT(merlon_summary, duration_ns, 32);
SIZE(merlon_fact, 24);
AT(merlon_fact, type, 0);
AT(merlon_fact, flags, 4);
AT(merlon_fact, u, 8);
GROWS(merlon_decision, 88);
AT(merlon_decision, size, 0);
AT(merlon_decision, shadow, 4);
AT(merlon_decision, group, 8);
AT(merlon_decision, line, 24);
AT(merlon_decision, module, 40);
AT(merlon_decision, code, 56);
AT(merlon_decision, policy, 72);
SIZE(merlon_sink_out, 24);
AT(merlon_sink_out, ptr, 0);
AT(merlon_sink_out, cap, 8);
AT(merlon_sink_out, len, 16);
GROWS(merlon_sink_ops, 32);
AT(merlon_sink_ops, size, 0);
AT(merlon_sink_ops, state_size, 4);
AT(merlon_sink_ops, overhead, 8);
AT(merlon_sink_ops, reserved, 12);
AT(merlon_sink_ops, init, 16);
AT(merlon_sink_ops, frame, 24);
GROWS(merlon_host, 400);
AT(merlon_host, size, 0);
AT(merlon_host, major, 4);
AT(merlon_host, minor, 6);
AT(merlon_host, log, 8);
AT(merlon_host, now, 16);
AT(merlon_host, ctx_info, 24);
AT(merlon_host, probing, 32);
AT(merlon_host, cfg_get, 40);
AT(merlon_host, cfg_rate, 48);
AT(merlon_host, cfg_count, 56);
AT(merlon_host, cfg_at, 64);
AT(merlon_host, cfg_key, 72);
AT(merlon_host, cfg_where, 80);
AT(merlon_host, cfg_error, 88);
AT(merlon_host, cfg_file_error, 96);
AT(merlon_host, cfg_warn, 104);
AT(merlon_host, metric_define, 112);
AT(merlon_host, metric_add, 120);
AT(merlon_host, tx_alloc, 128);
AT(merlon_host, tx_slot, 136);
AT(merlon_host, tx_worker, 144);
AT(merlon_host, attr_get, 152);
AT(merlon_host, attr_set, 160);
AT(merlon_host, attr_each, 168);
AT(merlon_host, header_get, 176);
AT(merlon_host, header_each, 184);
AT(merlon_host, header_edit, 192);
AT(merlon_host, reply, 200);
AT(merlon_host, fail, 208);
AT(merlon_host, policy, 216);
AT(merlon_host, body_want, 224);
AT(merlon_host, body_edit, 232);
AT(merlon_host, suspend, 240);
AT(merlon_host, resume, 248);
AT(merlon_host, timer, 256);
AT(merlon_host, watch_fd, 264);
AT(merlon_host, offload, 272);
AT(merlon_host, op_cancel, 280);
AT(merlon_host, zone_open, 288);
AT(merlon_host, zone_update, 296);
AT(merlon_host, sink_open, 304);
AT(merlon_host, sink_append, 312);
AT(merlon_host, sink_ready, 320);
AT(merlon_host, shared_get, 328);
AT(merlon_host, shared_ptr, 336);
AT(merlon_host, shared_put, 344);
AT(merlon_host, digest_want, 352);
AT(merlon_host, record_get, 360);
AT(merlon_host, record_decision, 368);
AT(merlon_host, http_call, 376);
AT(merlon_host, stream_open, 384);
AT(merlon_host, stream_send, 392);
AT(merlon_host, stream_call, 400);
AT(merlon_host, stream_state, 408);
AT(merlon_host, stream_ready, 416);
AT(merlon_host, record_read, 424);
GROWS(merlon_module, 192);
AT(merlon_module, size, 0);
AT(merlon_module, major, 4);
AT(merlon_module, minor, 6);
AT(merlon_module, least_minor, 8);
AT(merlon_module, reserved, 10);
AT(merlon_module, flags, 12);
AT(merlon_module, groups, 16);
AT(merlon_module, codes, 20);
AT(merlon_module, slot_size, 24);
AT(merlon_module, option_size, 28);
AT(merlon_module, option_count, 32);
AT(merlon_module, name, 40);
AT(merlon_module, version, 48);
AT(merlon_module, license, 56);
AT(merlon_module, summary, 64);
AT(merlon_module, options, 72);
AT(merlon_module, reads, 80);
AT(merlon_module, writes, 88);
AT(merlon_module, create, 96);
AT(merlon_module, destroy, 104);
AT(merlon_module, worker_start, 112);
AT(merlon_module, worker_stop, 120);
AT(merlon_module, retire, 128);
AT(merlon_module, check, 136);
AT(merlon_module, head, 144);
AT(merlon_module, body, 152);
AT(merlon_module, cancel, 160);
AT(merlon_module, settle, 168);
AT(merlon_module, audit_open, 176);
AT(merlon_module, audit_close, 184);
SIZE(merlon_note, 36);
AT(merlon_note, namesz, 0);
AT(merlon_note, descsz, 4);
AT(merlon_note, type, 8);
AT(merlon_note, name, 12);
AT(merlon_note, major, 20);
AT(merlon_note, minor, 22);
AT(merlon_note, least_minor, 24);
AT(merlon_note, reserved, 26);
AT(merlon_note, flags, 28);
AT(merlon_note, groups, 32);
#endif

struct number {
	const char *name;
	long long now;
	long long then;
};
#define IS(name, then)                                                                             \
	{                                                                                          \
#name, (long long)(name), (then)                                                   \
	}
static const struct number numbers[] = {
    IS(MERLON_ABI_MAJOR, 1),
    IS(MERLON_OK, 1),
    IS(MERLON_IGNORE, 2),
    IS(MERLON_NOCRED, 3),
    IS(MERLON_BADCRED, 4),
    IS(MERLON_EXPIRED, 5),
    IS(MERLON_DENIED, 6),
    IS(MERLON_LIMITED, 7),
    IS(MERLON_UNAVAIL, 8),
    IS(MERLON_TIMEOUT, 9),
    IS(MERLON_ERROR, 10),
    IS(MERLON_REPLY, 11),
    IS(MERLON_CODE_MAX, 11),
    IS(MERLON_PENDING, 255),
    IS(MERLON_AUTH, 1),
    IS(MERLON_AUTHZ, 2),
    IS(MERLON_RATELIMIT, 4),
    IS(MERLON_FILTER, 8),
    IS(MERLON_AUDIT, 16),
    IS(MERLON_GRANTOR, 1),
    IS(MERLON_E_INVAL, -1),
    IS(MERLON_E_NOENT, -2),
    IS(MERLON_E_FULL, -3),
    IS(MERLON_E_DENIED, -4),
    IS(MERLON_E_UNAVAIL, -5),
    IS(MERLON_E_NOTSUP, -6),
    IS(MERLON_E_STATE, -7),
    IS(MERLON_VAL_NONE, 0),
    IS(MERLON_VAL_STR, 1),
    IS(MERLON_VAL_BYTES, 2),
    IS(MERLON_VAL_I64, 3),
    IS(MERLON_VAL_F64, 4),
    IS(MERLON_VAL_BOOL, 5),
    IS(MERLON_VAL_STRLIST, 6),
    IS(MERLON_OPT_STR, 1),
    IS(MERLON_OPT_INT, 2),
    IS(MERLON_OPT_FLOAT, 3),
    IS(MERLON_OPT_BOOL, 4),
    IS(MERLON_OPT_DURATION, 5),
    IS(MERLON_OPT_SIZE, 6),
    IS(MERLON_OPT_RATE, 7),
    IS(MERLON_OPT_ENUM, 8),
    IS(MERLON_OPT_STRLIST, 9),
    IS(MERLON_OPT_GROUP, 10),
    IS(MERLON_OPT_LIST, 11),
    IS(MERLON_OPT_PATH, 12),
    IS(MERLON_OPT_FILE, 13),
    IS(MERLON_OPT_CONFFILE, 14),
    IS(MERLON_OPT_SECRET, 15),
    IS(MERLON_OPT_ANY, 16),
    IS(MERLON_OPT_REQUIRED, 1),
    IS(MERLON_REQUEST, 0),
    IS(MERLON_RESPONSE, 1),
    IS(MERLON_BODY_NONE, 0),
    IS(MERLON_BODY_STREAM, 1),
    IS(MERLON_BODY_FULL, 2),
    IS(MERLON_BODY_END, 1),
    IS(MERLON_EDIT_REPLACE, 0),
    IS(MERLON_EDIT_APPEND, 1),
    IS(MERLON_EDIT_DROP, 2),
    IS(MERLON_HDR_SET, 0),
    IS(MERLON_HDR_ADD, 1),
    IS(MERLON_HDR_DEL, 2),
    IS(MERLON_CANCEL_CLIENT, 1),
    IS(MERLON_CANCEL_TIMEOUT, 2),
    IS(MERLON_CANCEL_SHUTDOWN, 3),
    IS(MERLON_END_SUCCESS, 1),
    IS(MERLON_END_DENIED, 2),
    IS(MERLON_END_LIMITED, 3),
    IS(MERLON_END_ERROR, 4),
    IS(MERLON_END_ABORTED, 5),
    IS(MERLON_REC_TIMESTAMP, 1),
    IS(MERLON_REC_REQUEST_ID, 2),
    IS(MERLON_REC_USER_ID, 3),
    IS(MERLON_REC_ORG, 4),
    IS(MERLON_REC_CREDENTIAL, 5),
    IS(MERLON_REC_AUTH_METHOD, 6),
    IS(MERLON_REC_MODEL_ID, 7),
    IS(MERLON_REC_ACTION, 8),
    IS(MERLON_REC_STATUS, 9),
    IS(MERLON_REC_REASON, 10),
    IS(MERLON_REC_HTTP_STATUS, 11),
    IS(MERLON_REC_DURATION_US, 12),
    IS(MERLON_REC_UPSTREAM_US, 13),
    IS(MERLON_REC_INPUT_HASH, 14),
    IS(MERLON_REC_OUTPUT_HASH, 15),
    IS(MERLON_REC_INPUT_BYTES, 16),
    IS(MERLON_REC_OUTPUT_BYTES, 17),
    IS(MERLON_REC_TOKENS_IN, 18),
    IS(MERLON_REC_TOKENS_OUT, 19),
    IS(MERLON_REC_COST, 20),
    IS(MERLON_REC_SOURCE_IP, 21),
    IS(MERLON_REC_METHOD, 22),
    IS(MERLON_REC_PATH, 23),
    IS(MERLON_REC_ROUTE, 24),
    IS(MERLON_REC_STACK, 25),
    IS(MERLON_REC_STREAM, 26),
    IS(MERLON_REC_GENERATION, 27),
    IS(MERLON_FACT_PLAIN, 1),
    IS(MERLON_SINK_RECORD, 0),
    IS(MERLON_SINK_TORN, 1),
    IS(MERLON_FD_READ, 1),
    IS(MERLON_FD_WRITE, 2),
    IS(MERLON_LOG_ERROR, 3),
    IS(MERLON_LOG_WARN, 4),
    IS(MERLON_LOG_NOTICE, 5),
    IS(MERLON_LOG_INFO, 6),
    IS(MERLON_LOG_DEBUG, 7),
    IS(MERLON_CLOCK_MONOTONIC, 0),
    IS(MERLON_CLOCK_REAL, 1),
    IS(MERLON_METRIC_COUNTER, 0),
    IS(MERLON_METRIC_GAUGE, 1),
    IS(MERLON_CTX_STACK, 1),
    IS(MERLON_CTX_GROUP, 2),
    IS(MERLON_CTX_LINE, 3),
    IS(MERLON_CTX_MODULE, 4),
    IS(MERLON_NOTE_TYPE, 1),
};

static void numbers_stay(void)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (numbers[i].now != numbers[i].then)
			fprintf(stderr, "%s is %lld and was %lld\n", numbers[i].name,
			        numbers[i].now, numbers[i].then);
		CU_ASSERT_EQUAL(numbers[i].now, numbers[i].then);
	}
	CU_ASSERT_EQUAL(MERLON_BIT(MERLON_OK), 2);
	CU_ASSERT_STRING_EQUAL(MERLON_ENTRY, "merlon_module_v1");
	CU_ASSERT_STRING_EQUAL(MERLON_NOTE_SECTION, ".note.merlon");
	CU_ASSERT_STRING_EQUAL(MERLON_NOTE_OWNER, "Merlon");
}

/* A host that ends before a function does not offer it, nor does one that has NULL in its place. */
static uint64_t clock_stub(int32_t clock)
{
	return (uint64_t)clock;
}

static void a_missing_tail_is_absent(void)
{
	struct merlon_host h = {.size = sizeof(h), .now = clock_stub};

	CU_ASSERT(MERLON_HAS(&h, now));
	CU_ASSERT(!MERLON_HAS(&h, log));
	CU_ASSERT(!MERLON_HAS(&h, stream_send));
	h.size = offsetof(struct merlon_host, now) + sizeof(h.now);
	CU_ASSERT(MERLON_HAS(&h, now));
	h.size--;
	CU_ASSERT(!MERLON_HAS(&h, now));
}

UNIT_MAIN("abi", UNIT(numbers_stay), UNIT(a_missing_tail_is_absent))
