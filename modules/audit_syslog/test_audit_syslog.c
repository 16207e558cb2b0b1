/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * audit_syslog against the fake host: the exact bytes of messages, what any byte in a text becomes,
 * and what happens when the queue is full.
 */
#include "common/fakehost.h"
#include "common/fakenet.h"
#include "message.h"

#include "unit/unit.h"

#include <jansson.h>
#include <unistd.h>

#define NAMES "hostname = \"gw.example\"; "

static const struct merlon_module *m;
static merlon_ctx ctx = {
    .stack = "default", .group = "audit", .line = "log", .module = "audit_syslog"};
static void *inst, *w;
static merlon_tx *tx;

static int32_t open_line(const char *options)
{
	fake_reset();
	m = merlon_module_v1(&fake_host);
	ctx.digest_wanted = 0;
	merlon_cfg *cfg = fake_cfg(m, options);
	int32_t r = m->create(&ctx, cfg, &inst);
	fake_cfg_free(cfg);
	if (r == 0) {
		m->worker_start(inst, &fake_worker, &w);
		tx = fake_tx_new();
		fake_now[1] = UINT64_C(1795329933123456789);
	}
	return r;
}

static void close_line(void)
{
	m->worker_stop(inst, &fake_worker, w);
	m->destroy(inst);
	fake_tx_free(tx);
	fake_reset();
}

static void text(unsigned field, const char *value)
{
	tx->record[field] = (struct merlon_val){.type = MERLON_VAL_STR, .u.str = txt_of(value)};
}

static void number(unsigned field, int64_t value)
{
	tx->record[field] = (struct merlon_val){.type = MERLON_VAL_I64, .u.i64 = value};
}

/* The message sent last, with a NUL behind it. */
static const char *sent(void)
{
	return fake_streams[0].nsent > 0 ? fake_streams[0].sent[fake_streams[0].nsent - 1].ptr : "";
}

/* The JSON of the message sent last. */
static json_t *payload(void)
{
	const char *at = strstr(sent(), " - {");

	return at ? json_loads(at + 3, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL) : NULL;
}

static void a_message_is_written_to_the_byte(void)
{
	char want[2048];

	CU_ASSERT_EQUAL_FATAL(open_line(NAMES "target = \"tcp:127.0.0.1:514\";"), 0);
	CU_ASSERT_EQUAL(ctx.digest_wanted, 1);
	number(MERLON_REC_TIMESTAMP, INT64_C(1795329933100000));
	text(MERLON_REC_REQUEST_ID, "r-1");
	text(MERLON_REC_USER_ID, "alice");
	text(MERLON_REC_STATUS, "success");
	number(MERLON_REC_HTTP_STATUS, 200);
	number(MERLON_REC_DURATION_US, 12345);
	text(MERLON_REC_PATH, "/v1/\"x\"\n");
	tx->record[MERLON_REC_STREAM] = (struct merlon_val){.type = MERLON_VAL_BOOL, .u.i64 = 1};
	tx->decisions[0] = (struct merlon_decision){sizeof(struct merlon_decision),
	                                            0,
	                                            TXT("auth"),
	                                            TXT("l"),
	                                            TXT("mod"),
	                                            TXT("OK"),
	                                            TXT("")};
	tx->ndecisions = 1;
	CU_ASSERT_EQUAL(m->audit_open(inst, w, tx), MERLON_OK);
	CU_ASSERT_EQUAL(fake_streams[0].nsent, 0);
	CU_ASSERT_EQUAL(m->audit_close(inst, w, tx), MERLON_OK);
	CU_ASSERT_EQUAL(fake_streams[0].nsent, 1);
	snprintf(want, sizeof(want),
	         "<134>1 2026-11-22T06:45:33.123456Z gw.example merlon %ld audit - "
	         "{\"timestamp\":\"2026-11-22T06:45:33.100000Z\",\"seq\":null,\"event\":\"close\","
	         "\"request_id\":\"r-1\",\"user_id\":\"alice\",\"org\":null,\"credential\":null,"
	         "\"auth_method\":null,\"model_id\":null,\"action\":null,\"status\":\"success\","
	         "\"reason\":null,\"http_status\":200,\"duration_ms\":12.345,\"upstream_ms\":null,"
	         "\"input_hash\":null,\"output_hash\":null,\"input_bytes\":null,"
	         "\"output_bytes\":null,\"tokens_in\":null,\"tokens_out\":null,\"cost\":null,"
	         "\"source_ip\":null,\"method\":null,\"path\":\"/v1/\\\"x\\\"\\u000a\","
	         "\"route\":null,\"stack\":null,\"stream\":true,\"generation\":null,"
	         "\"decisions\":[{\"group\":\"auth\",\"line\":\"l\",\"module\":\"mod\","
	         "\"code\":\"OK\",\"policy\":null,\"shadow\":false}],\"prev\":null,\"hash\":null}",
	         (long)getpid());
	CU_ASSERT_STRING_EQUAL(sent(), want);
	CU_ASSERT_EQUAL(fake_streams[0].sent[0].len, strlen(want));
	CU_ASSERT_EQUAL(tx->allocs, 0);
	close_line();
}

static void the_stream_is_what_the_options_say(void)
{
	const struct merlon_stream_ops *ops = &fake_streams[0].ops;

	CU_ASSERT_EQUAL_FATAL(
	    open_line(NAMES "target = \"tls:logs.example:6514\"; queue = \"1M\"; tls = { "
	                    "ca = \"/ca.pem\"; certificate = \"/c.pem\"; key = \"/k.pem\"; "
	                    "server_name = \"collector\"; };"),
	    0);
	CU_ASSERT_TRUE(fake_is(ops->endpoint, "tls:logs.example:6514"));
	CU_ASSERT_TRUE(fake_is(ops->ca, "/ca.pem"));
	CU_ASSERT_TRUE(fake_is(ops->certificate, "/c.pem"));
	CU_ASSERT_TRUE(fake_is(ops->key, "/k.pem"));
	CU_ASSERT_TRUE(fake_is(ops->server_name, "collector"));
	CU_ASSERT_EQUAL(ops->max_queue, 1048576);
	CU_ASSERT_EQUAL(ops->octet_counting, 1);
	CU_ASSERT_EQUAL(ops->greetings, 0);
	CU_ASSERT_PTR_NULL(ops->decode);
	close_line();
	CU_ASSERT_EQUAL_FATAL(open_line("target = \"unix:/dev/log\";"), 0);
	CU_ASSERT_TRUE(fake_is(ops->endpoint, "unix:/dev/log"));
	CU_ASSERT_EQUAL(ops->max_queue, 4194304);
	CU_ASSERT_EQUAL(ops->ca.len, 0);
	CU_ASSERT_EQUAL(m->audit_close(inst, w, tx), MERLON_OK);
	char host[256] = "", part[300];
	gethostname(host, 255);
	snprintf(part, sizeof(part), "Z %s merlon ", host);
	CU_ASSERT_PTR_NOT_NULL(strstr(sent(), part));
	close_line();
}

static void names_and_facility_are_the_operators(void)
{
	CU_ASSERT_EQUAL_FATAL(
	    open_line("target = \"udp:[::1]:514\"; hostname = \"-\"; app_name = \"gate\"; "
	              "msgid = \"rec\"; facility = \"authpriv\"; digest_key = \"k\";"),
	    0);
	CU_ASSERT_EQUAL(m->audit_close(inst, w, tx), MERLON_OK);
	char want[128];
	snprintf(want, sizeof(want), "<83>1 2026-11-22T06:45:33.123456Z - gate %ld rec - {",
	         (long)getpid());
	CU_ASSERT_EQUAL(strncmp(sent(), want, strlen(want)), 0);
	close_line();
}

static void severity_follows_the_status(void)
{
	static const struct {
		const char *status, *head;
	} table[] = {
	    {"success", "<134>1 "}, {"limited", "<133>1 "}, {"aborted", "<133>1 "},
	    {"denied", "<132>1 "},  {"error", "<131>1 "},   {"", "<131>1 "},
	};
	CU_ASSERT_EQUAL_FATAL(open_line("target = \"unix:/dev/log\";"), 0);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		text(MERLON_REC_STATUS, table[i].status);
		CU_ASSERT_EQUAL(m->audit_close(inst, w, tx), MERLON_OK);
		CU_ASSERT_EQUAL(strncmp(sent(), table[i].head, 7), 0);
	}
	tx->record[MERLON_REC_STATUS] = (struct merlon_val){.type = MERLON_VAL_I64};
	CU_ASSERT_EQUAL(m->audit_close(inst, w, tx), MERLON_OK);
	CU_ASSERT_EQUAL(strncmp(sent(), "<131>1 ", 7), 0);
	close_line();
}

/* Every byte in every text: one message stays one line of JSON, with that text in it. */
static void no_byte_leaves_its_text(void)
{
	static const unsigned fields[] = {MERLON_REC_USER_ID,  MERLON_REC_REASON,
	                                  MERLON_REC_PATH,     MERLON_REC_METHOD,
	                                  MERLON_REC_MODEL_ID, MERLON_REC_REQUEST_ID};

	CU_ASSERT_EQUAL_FATAL(open_line("target = \"tcp:127.0.0.1:514\";"), 0);
	for (unsigned c = 0; c < 256; c++) {
		const char value[3] = {'a', (char)c, 'b'};
		for (size_t i = 0; i < 6; i++)
			tx->record[fields[i]] = (struct merlon_val){
			    .type = MERLON_VAL_STR, .u.str = {value, sizeof(value)}};
		CU_ASSERT_EQUAL(m->audit_close(inst, w, tx), MERLON_OK);
		for (const char *p = sent(); *p; p++) {
			if ((unsigned char)*p < 0x20 || *p == 0x7f) {
				CU_FAIL("a control byte has passed");
				break;
			}
		}
		json_t *o = payload();
		CU_ASSERT_PTR_NOT_NULL_FATAL(o);
		const json_t *user = json_object_get(o, "user_id");
		const char *read = json_string_value(user);
		CU_ASSERT_EQUAL(json_string_length(user), c < 0x80 ? 3 : 5);
		CU_ASSERT_EQUAL(read[0], 'a');
		CU_ASSERT_TRUE(c < 0x80 ? read[1] == (char)c
		                        : memcmp(read + 1, "\xef\xbf\xbd", 3) == 0);
		json_decref(o);
	}
	close_line();
}

static void long_records_are_cut_and_stay_whole(void)
{
	char *value = mem_new(100001, 1);

	memset(value, '"', 100000);
	CU_ASSERT_EQUAL_FATAL(open_line("target = \"udp:127.0.0.1:514\"; max_message = \"4K\";"),
	                      0);
	text(MERLON_REC_STATUS, "denied");
	text(MERLON_REC_PATH, "/short");
	CU_ASSERT_EQUAL(m->audit_close(inst, w, tx), MERLON_OK);
	CU_ASSERT_EQUAL(fake_metric("merlon_audit_syslog_cut_total", NULL), 0);
	static const unsigned texts[] = {
	    MERLON_REC_REQUEST_ID,  MERLON_REC_USER_ID,     MERLON_REC_ORG,
	    MERLON_REC_CREDENTIAL,  MERLON_REC_AUTH_METHOD, MERLON_REC_MODEL_ID,
	    MERLON_REC_ACTION,      MERLON_REC_REASON,      MERLON_REC_INPUT_HASH,
	    MERLON_REC_OUTPUT_HASH, MERLON_REC_SOURCE_IP,   MERLON_REC_METHOD,
	    MERLON_REC_PATH,        MERLON_REC_ROUTE,       MERLON_REC_STACK};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		text(texts[i], value);
	for (unsigned i = 0; i < FAKE_DECISIONS; i++)
		tx->decisions[i] = (struct merlon_decision){sizeof(struct merlon_decision),
		                                            1,
		                                            TXT("ratelimit"),
		                                            txt_of(value),
		                                            txt_of(value),
		                                            TXT("BADCRED"),
		                                            txt_of(value)};
	tx->ndecisions = FAKE_DECISIONS;
	CU_ASSERT_EQUAL(m->audit_close(inst, w, tx), MERLON_OK);
	CU_ASSERT_TRUE(strlen(sent()) <= 4096);
	CU_ASSERT_EQUAL(fake_metric("merlon_audit_syslog_cut_total", NULL), 1);
	json_t *o = payload();
	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	CU_ASSERT_EQUAL(json_object_size(o), 32);
	json_decref(o);
	/* What is over by one long text alone keeps all the others. */
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		text(texts[i], "hmac-sha256:"
		               "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	text(MERLON_REC_PATH, value);
	text(MERLON_REC_STATUS, "denied");
	tx->ndecisions = 1;
	CU_ASSERT_EQUAL(m->audit_close(inst, w, tx), MERLON_OK);
	CU_ASSERT_TRUE(strlen(sent()) <= 4096);
	o = payload();
	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	CU_ASSERT_EQUAL(json_string_length(json_object_get(o, "input_hash")), 76);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(o, "decisions")), 1);
	json_decref(o);
	free(value);
	close_line();
}

static void a_full_queue_is_said_before_and_after(void)
{
	CU_ASSERT_EQUAL_FATAL(open_line("target = \"tcp:127.0.0.1:514\";"), 0);
	fake_streams[0].state = MERLON_STREAM_DOWN;
	/* While there is room a collector that is down is no reason to refuse. */
	CU_ASSERT_EQUAL(m->audit_open(inst, w, tx), MERLON_OK);
	CU_ASSERT_EQUAL(m->audit_close(inst, w, tx), MERLON_OK);
	fake_streams[0].answer = MERLON_E_FULL;
	CU_ASSERT_EQUAL(m->audit_open(inst, w, tx), MERLON_UNAVAIL);
	CU_ASSERT_TRUE(fake_is(tx->fail.text, "the request cannot be recorded"));
	CU_ASSERT_EQUAL(fake_metric("merlon_audit_syslog_lost_total", NULL), 0);
	CU_ASSERT_EQUAL(m->audit_close(inst, w, tx), MERLON_UNAVAIL);
	CU_ASSERT_EQUAL(m->audit_close(inst, w, tx), MERLON_UNAVAIL);
	CU_ASSERT_EQUAL(fake_metric("merlon_audit_syslog_lost_total", NULL), 2);
	fake_streams[0].answer = 0;
	CU_ASSERT_EQUAL(m->audit_open(inst, w, tx), MERLON_OK);
	CU_ASSERT_EQUAL(m->audit_close(inst, w, tx), MERLON_OK);
	CU_ASSERT_EQUAL(fake_metric("merlon_audit_syslog_lost_total", NULL), 2);
	close_line();
}

static void a_notice_says_how_many_were_lost(void)
{
	char buf[4096], want[256];
	uint64_t n, small;

	CU_ASSERT_EQUAL_FATAL(open_line(NAMES "target = \"tcp:127.0.0.1:514\";"), 0);
	n = fake_stream_lost(&fake_streams[0], 12, INT64_C(1795329933123456), buf, sizeof(buf));
	CU_ASSERT_TRUE_FATAL(n > 0 && n < sizeof(buf));
	buf[n] = '\0';
	snprintf(want, sizeof(want),
	         "<131>1 2026-11-22T06:45:33.123456Z gw.example merlon %ld audit - "
	         "{\"timestamp\":\"2026-11-22T06:45:33.123456Z\",\"seq\":null,\"event\":\"lost\",",
	         (long)getpid());
	CU_ASSERT_EQUAL(strncmp(buf, want, strlen(want)), 0);
	json_t *o = json_loads(strstr(buf, " - {") + 3, JSON_REJECT_DUPLICATES, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	CU_ASSERT_EQUAL(json_object_size(o), 32);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(o, "status")), "error");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(o, "reason")),
	                       "12 records were lost: the queue to the collector was full");
	json_decref(o);
	small = n;
	for (uint64_t cap = 0; cap < sizeof(buf); cap++) {
		char *exact = mem_new(cap, 1);
		n = fake_stream_lost(&fake_streams[0], UINT64_MAX, 0, exact, cap);
		CU_ASSERT_TRUE(n == 0 || (n <= cap && n >= small));
		free(exact);
	}
	close_line();
}

static void bad_options_are_refused(void)
{
#define T "target = \"unix:/dev/log\"; "
	static const struct {
		const char *options, *says;
	} table[] = {
	    {"format = \"json\";", "must be \"unix:/PATH\""},
	    {"target = \"/dev/log\";", "must be \"unix:/PATH\""},
	    {"target = \"unix:log\";", "must be \"unix:/PATH\""},
	    {"target = \"TCP:h:1\";", "must be \"unix:/PATH\""},
	    {"target = \"\";", "must be \"unix:/PATH\""},
	    {T "format = \"cef\";", "\"cef\" is not supported"},
	    {T "format = \"ocsf\";", "\"ocsf\" is not supported"},
	    {T "facility = \"local8\";", "must be a syslog facility"},
	    {T "facility = \"16\";", "must be a syslog facility"},
	    {T "hostname = \"\";", "1 to 255 printable"},
	    {T "hostname = \"a b\";", "1 to 255 printable"},
	    {T "app_name = \"\";", "1 to 48 printable"},
	    {T "app_name = \"0123456789012345678901234567890123456789012345678\";",
	     "1 to 48 printable"},
	    {T "msgid = \"\xc3\xa4\";", "1 to 32 printable"},
	    {T "tls = { };", "is for a target that begins with tls:"},
	    {"target = \"tcp:h:1\"; tls = { ca = \"/x\"; };", "is for a target that begins with"},
	    {"target = \"tls:h:1\"; tls = { key = \"/x\"; };", "go together"},
	    {"target = \"udp:h:1\"; max_message = \"64K\";", "more than a datagram holds"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		CU_ASSERT_EQUAL(open_line(table[i].options), -1);
		if (!strstr(fake_errors, table[i].says))
			fprintf(stderr, "%zu: wanted %s, got %s", i, table[i].says, fake_errors);
		CU_ASSERT_PTR_NOT_NULL(strstr(fake_errors, table[i].says));
		CU_ASSERT_EQUAL(fake_nstreams, 0);
	}
	CU_ASSERT_EQUAL(open_line("target = \"x\"; format = \"cef\"; facility = \"y\";"), -1);
	CU_ASSERT_EQUAL(fake_nerrors, 3);
	fake_reset();
}

static void a_stream_that_cannot_be_opened_is_said(void)
{
	fake_reset();
	m = merlon_module_v1(&fake_host);
	merlon_cfg *cfg = fake_cfg(m, "target = \"unix:/dev/log\";");
	fake_stream_open_answer = MERLON_E_INVAL; /* the host has said why */
	CU_ASSERT_EQUAL(m->create(&ctx, cfg, &inst), -1);
	CU_ASSERT_EQUAL(fake_nerrors, 0);
	fake_stream_open_answer = MERLON_E_FULL;
	CU_ASSERT_EQUAL(m->create(&ctx, cfg, &inst), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_errors, "cannot be opened"));
	fake_cfg_free(cfg);
	fake_reset();
}

UNIT_MAIN("audit_syslog", UNIT(a_message_is_written_to_the_byte),
          UNIT(the_stream_is_what_the_options_say), UNIT(names_and_facility_are_the_operators),
          UNIT(severity_follows_the_status), UNIT(no_byte_leaves_its_text),
          UNIT(long_records_are_cut_and_stay_whole), UNIT(a_full_queue_is_said_before_and_after),
          UNIT(a_notice_says_how_many_were_lost), UNIT(bad_options_are_refused),
          UNIT(a_stream_that_cannot_be_opened_is_said))
