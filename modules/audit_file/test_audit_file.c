/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * audit_file against the fake host: the exact bytes of records, their chain, and what happens when
 * the file fails.
 */
#include "chain.h"
#include "common/fakehost.h"

#include "unit/unit.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static const struct merlon_module *m;
static merlon_ctx ctx = {
    .stack = "default", .group = "audit", .line = "file", .module = "audit_file"};
static void *inst, *w;

static int32_t open_line(const char *options)
{
	fake_reset();
	m = merlon_module_v1(&fake_host);
	ctx.digest_wanted = 0;
	merlon_cfg *cfg = fake_cfg(m, options);
	int32_t r = m->create(&ctx, cfg, &inst);
	fake_cfg_free(cfg);
	if (r == 0)
		m->worker_start(inst, NULL, &w);
	return r;
}

static void close_line(void)
{
	m->worker_stop(inst, NULL, w);
	m->destroy(inst);
	fake_reset();
}

static void text(merlon_tx *tx, unsigned field, const char *value)
{
	tx->record[field] = (struct merlon_val){.type = MERLON_VAL_STR, .u.str = txt_of(value)};
}

static void sha_hex(const char *p, size_t n, char out[SHA_HEX + 1])
{
	unsigned char sum[32];

	EVP_Digest(p, n, sum, NULL, EVP_sha256(), NULL);
	txt_hex(sum, 32, out);
	out[SHA_HEX] = '\0';
}

static const char full_1[] =
    "{\"timestamp\":\"2026-11-22T06:45:33.123456Z\",\"seq\":1,\"event\":\"close\","
    "\"request_id\":\"r-1\",\"user_id\":\"alice\",\"org\":\"acme\",\"credential\":\"AAAAAAAA\","
    "\"auth_method\":\"apikey\",\"model_id\":\"m\",\"action\":\"predict\",\"status\":\"success\","
    "\"reason\":\"\",\"http_status\":200,\"duration_ms\":12.345,\"upstream_ms\":0.007,"
    "\"input_hash\":\"sha256:00\",\"output_hash\":\"sha256:01\",\"input_bytes\":10,"
    "\"output_bytes\":20,\"tokens_in\":3,\"tokens_out\":4,\"cost\":0.250000000,"
    "\"source_ip\":\"192.0.2.1\",\"method\":\"POST\",\"path\":\"/v1/x\",\"route\":\"/v1/\","
    "\"stack\":\"default\",\"stream\":true,\"generation\":7,\"decisions\":["
    "{\"group\":\"auth\",\"line\":\"l\",\"module\":\"mod\",\"code\":\"OK\",\"policy\":null,"
    "\"shadow\":false},"
    "{\"group\":\"authz\",\"line\":\"l\",\"module\":\"mod\",\"code\":\"DENIED\","
    "\"policy\":\"role x\",\"shadow\":true}],\"prev\":\"" ZEROS "\"";

static void fill(merlon_tx *tx)
{
	fake_record_i64(tx, MERLON_REC_TIMESTAMP, INT64_C(1795329933123456));
	text(tx, MERLON_REC_REQUEST_ID, "r-1");
	text(tx, MERLON_REC_USER_ID, "alice");
	text(tx, MERLON_REC_ORG, "acme");
	text(tx, MERLON_REC_CREDENTIAL, "AAAAAAAA");
	text(tx, MERLON_REC_AUTH_METHOD, "apikey");
	text(tx, MERLON_REC_MODEL_ID, "m");
	text(tx, MERLON_REC_ACTION, "predict");
	text(tx, MERLON_REC_STATUS, "success");
	text(tx, MERLON_REC_REASON, "");
	fake_record_i64(tx, MERLON_REC_HTTP_STATUS, 200);
	fake_record_i64(tx, MERLON_REC_DURATION_US, 12345);
	fake_record_i64(tx, MERLON_REC_UPSTREAM_US, 7);
	text(tx, MERLON_REC_INPUT_HASH, "sha256:00");
	text(tx, MERLON_REC_OUTPUT_HASH, "sha256:01");
	fake_record_i64(tx, MERLON_REC_INPUT_BYTES, 10);
	fake_record_i64(tx, MERLON_REC_OUTPUT_BYTES, 20);
	fake_record_i64(tx, MERLON_REC_TOKENS_IN, 3);
	fake_record_i64(tx, MERLON_REC_TOKENS_OUT, 4);
	tx->record[MERLON_REC_COST] = (struct merlon_val){.type = MERLON_VAL_F64, .u.f64 = 0.25};
	text(tx, MERLON_REC_SOURCE_IP, "192.0.2.1");
	text(tx, MERLON_REC_METHOD, "POST");
	text(tx, MERLON_REC_PATH, "/v1/x");
	text(tx, MERLON_REC_ROUTE, "/v1/");
	text(tx, MERLON_REC_STACK, "default");
	tx->record[MERLON_REC_STREAM] = (struct merlon_val){.type = MERLON_VAL_BOOL, .u.i64 = 1};
	fake_record_i64(tx, MERLON_REC_GENERATION, 7);
	tx->decisions[0] = fake_decision("auth", "OK", "", 0);
	tx->decisions[1] = fake_decision("authz", "DENIED", "role x", 1);
	tx->ndecisions = 2;
}

static struct merlon_str rendered(merlon_tx *tx, char buf[RECORD_ROOM])
{
	struct recorder r = {.h = &fake_host, .ctx = &ctx};

	record_read(&r, tx);
	return record_render(&r, tx, TXT("close"), buf);
}

static void a_full_record_is_written_to_the_byte(void)
{
	char line[4096], hash[SHA_HEX + 1];

	CU_ASSERT_EQUAL_FATAL(open_line("path = \"/var/log/a.log\";"), 0);
	CU_ASSERT_STRING_EQUAL(fake_sink.path, "/var/log/a.log");
	CU_ASSERT_EQUAL(fake_sink.commit_ms, 50);
	CU_ASSERT_EQUAL(ctx.digest_wanted, 1);
	merlon_tx *tx = fake_tx_new();
	fill(tx);
	CU_ASSERT_EQUAL(m->audit_open(inst, w, tx), MERLON_OK);
	CU_ASSERT_EQUAL(m->audit_close(inst, w, tx), MERLON_OK);
	sha_hex(full_1, strlen(full_1), hash);
	snprintf(line, sizeof(line), "%s,\"hash\":\"%s\"}\n", full_1, hash);
	CU_ASSERT_STRING_EQUAL(fake_sink.out, line);
	CU_ASSERT_EQUAL(tx->allocs, 0);
	fake_tx_free(tx);
	close_line();
}

/* A host of 1.1, which is asked field by field. */
static void an_older_host_makes_the_same_record(void)
{
	static char buf[RECORD_ROOM + 1];
	struct merlon_host older = fake_host;
	struct recorder r = {.h = &older, .ctx = &ctx};

	older.size = offsetof(struct merlon_host, record_read);
	older.minor = 1;
	merlon_tx *tx = fake_tx_new();
	fill(tx);
	tx->record[MERLON_REC_PATH].type = MERLON_VAL_BYTES;
	struct merlon_str now = rendered(tx, buf);
	char *copy = strndup(now.ptr, now.len);
	CU_ASSERT_PTR_NOT_NULL(strstr(copy, "\"path\":\"/v1/x\""));
	for (unsigned i = 0; i < 3; i++) { /* nothing of a decision is kept */
		char text[] = "auth";
		text[0] = (char)('a' + i);
		tx->decisions[0].line = txt_of(text);
		record_read(&r, tx);
		now = record_render(&r, tx, TXT("close"), buf);
		buf[now.len] = '\0';
		char *line = strstr(buf, "\"line\":\"");
		CU_ASSERT_EQUAL(line[8], 'a' + (int)i);
		memcpy(line + 8, "l", 1);
		memmove(line + 9, line + 12, strlen(line + 12) + 1);
		CU_ASSERT_STRING_EQUAL(buf, copy);
	}
	free(copy);
	fake_tx_free(tx);
}

static void unknown_fields_are_null_and_all_are_there(void)
{
	static const char *const names[] = {
	    "timestamp",  "seq",         "event",       "request_id",   "user_id",
	    "org",        "credential",  "auth_method", "model_id",     "action",
	    "status",     "reason",      "http_status", "duration_ms",  "upstream_ms",
	    "input_hash", "output_hash", "input_bytes", "output_bytes", "tokens_in",
	    "tokens_out", "cost",        "source_ip",   "method",       "path",
	    "route",      "stack",       "stream",      "generation",   "decisions",
	    "prev",       "hash"};
	const char *name;
	json_t *v;
	size_t i = 0;

	CU_ASSERT_EQUAL_FATAL(open_line("path = \"a\";"), 0);
	merlon_tx *tx = fake_tx_new();
	CU_ASSERT_EQUAL(m->audit_close(inst, w, tx), MERLON_OK);
	json_t *o = json_loads(fake_sink.out, JSON_REJECT_DUPLICATES, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	CU_ASSERT_EQUAL(json_object_size(o), sizeof(names) / sizeof(names[0]));
	json_object_foreach(o, name, v)
	{
		CU_ASSERT_STRING_EQUAL(name, names[i]);
		if (i >= 3 && i < 29)
			CU_ASSERT_TRUE(json_is_null(v));
		i++;
	}
	json_decref(o);
	fake_tx_free(tx);
	close_line();
}

static void the_chain_goes_on(void)
{
	char hash[SHA_HEX + 1] = ZEROS;
	char *at;

	CU_ASSERT_EQUAL_FATAL(open_line("path = \"a\"; commit_interval = \"7ms\";"), 0);
	CU_ASSERT_EQUAL(fake_sink.commit_ms, 7);
	merlon_tx *tx = fake_tx_new();
	fill(tx);
	for (int i = 0; i < 30; i++)
		CU_ASSERT_EQUAL(m->audit_close(inst, w, tx), MERLON_OK);
	at = fake_sink.out;
	for (unsigned i = 1; i <= 30; i++) {
		char want[100], *end = strchr(at, '\n');
		snprintf(want, sizeof(want), "\"seq\":%u,", i);
		*end = '\0';
		CU_ASSERT_PTR_NOT_NULL(strstr(at, want));
		snprintf(want, sizeof(want), "\"prev\":\"%s\"", hash);
		CU_ASSERT_PTR_NOT_NULL(strstr(at, want));
		sha_hex(at, (size_t)(strstr(at, ",\"hash\":") - at), hash);
		snprintf(want, sizeof(want), ",\"hash\":\"%s\"}", hash);
		CU_ASSERT_STRING_EQUAL(strstr(at, ",\"hash\":"), want);
		/* A restart takes the chain up from this line. */
		struct chain c;
		CU_ASSERT_EQUAL(chain_ops.init(&c, txt_of(at)), 0);
		CU_ASSERT_EQUAL(c.seq, i);
		CU_ASSERT_EQUAL(memcmp(c.prev, hash, SHA_HEX), 0);
		at = end + 1;
	}
	CU_ASSERT_EQUAL(*at, '\0');
	fake_tx_free(tx);
	close_line();
}

static void a_damaged_last_line_stops_the_sink(void)
{
	struct chain c;

	CU_ASSERT_EQUAL_FATAL(open_line("path = \"a\";"), 0);
	merlon_tx *tx = fake_tx_new();
	fill(tx);
	CU_ASSERT_EQUAL(m->audit_close(inst, w, tx), MERLON_OK);
	size_t n = fake_sink.len - 1;
	CU_ASSERT_EQUAL(chain_ops.init(&c, (struct merlon_str){fake_sink.out, n}), 0);
	for (size_t i = 0; i < n; i++) {
		fake_sink.out[i] ^= 1;
		CU_ASSERT_EQUAL(chain_ops.init(&c, (struct merlon_str){fake_sink.out, n}), -1);
		fake_sink.out[i] ^= 1;
	}
	for (size_t i = 1; i < n; i++)
		CU_ASSERT_EQUAL(chain_ops.init(&c, (struct merlon_str){fake_sink.out, i}), -1);
	CU_ASSERT_EQUAL(chain_ops.init(&c, (struct merlon_str){NULL, 0}), 0);
	CU_ASSERT_EQUAL(c.seq, 0);
	fake_tx_free(tx);
	close_line();
}

static void a_torn_line_is_recorded(void)
{
	char buf[4096], hash[SHA_HEX + 1], escapes[400];
	struct merlon_sink_out out = {.ptr = buf};
	struct chain c;

	CU_ASSERT_EQUAL(chain_setup(), 0);
	chain_ops.init(&c, (struct merlon_str){NULL, 0});
	out.cap = 15 + chain_ops.overhead;
	CU_ASSERT_EQUAL(chain_ops.frame(&c, MERLON_SINK_TORN, INT64_C(1795329933123456),
	                                TXT("audit.log.torn1"), &out),
	                0);
	buf[out.len] = '\0';
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "\"seq\":1,\"event\":\"torn\",\"request_id\":null"));
	CU_ASSERT_PTR_NOT_NULL(strstr(
	    buf,
	    "\"reason\":\"a torn last line was moved to audit.log.torn1\",\"http_status\":null"));
	sha_hex(buf, (size_t)(strstr(buf, ",\"hash\":") - buf), hash);
	CU_ASSERT_EQUAL(memcmp(hash, c.prev, SHA_HEX), 0);
	CU_ASSERT_EQUAL(c.seq, 1);
	memset(escapes, 1, sizeof(escapes));
	out.cap = sizeof(escapes) + chain_ops.overhead;
	CU_ASSERT_EQUAL(chain_ops.frame(&c, MERLON_SINK_TORN, 0,
	                                (struct merlon_str){escapes, sizeof(escapes)}, &out),
	                0);
	CU_ASSERT_EQUAL(c.seq, 2);
	/* What was not asked for is dropped, and the chain stays as it was. */
	CU_ASSERT_EQUAL(chain_ops.frame(&c, 9, 0, TXT("x"), &out), -1);
	out.cap = 10;
	CU_ASSERT_EQUAL(chain_ops.frame(&c, MERLON_SINK_RECORD, 0, TXT("x"), &out), -1);
	CU_ASSERT_EQUAL(c.seq, 2);
}

static char *render_path(struct merlon_str path)
{
	static char buf[RECORD_ROOM + 1];
	merlon_tx *tx = fake_tx_new();

	tx->record[MERLON_REC_PATH] = (struct merlon_val){.type = MERLON_VAL_STR, .u.str = path};
	struct merlon_str r = rendered(tx, buf);
	buf[r.len] = '\0';
	fake_tx_free(tx);
	return buf;
}

static void texts_are_escaped(void)
{
	static const struct {
		const char *raw, *json;
	} table[] = {
	    {"plain /~", "plain /~"},
	    {"\"\\", "\\\"\\\\"},
	    {"\n\t\x01\x1f\x7f", "\\u000a\\u0009\\u0001\\u001f\\u007f"},
	    {"\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", "\\u2028\\u2029\xe2\x80\xaa"},
	    {"caf\xc3\xa9 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xf0\x9f\x98\x80"},
	    {"a\xff"
	     "b\xc3",
	     "a\\ufffdb\\ufffd"},
	    {"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"},
	    {"\",\"seq\":9,\"x\":\"", "\\\",\\\"seq\\\":9,\\\"x\\\":\\\""},
	};
	char want[512];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		snprintf(want, sizeof(want), ",\"path\":\"%s\",\"route\":", table[i].json);
		CU_ASSERT_PTR_NOT_NULL(strstr(render_path(txt_of(table[i].raw)), want));
	}
}

static void every_byte_makes_valid_json(void)
{
	char raw[3];

	for (unsigned c = 0; c < 65536; c++) {
		raw[0] = (char)(c >> 8);
		raw[1] = (char)c;
		char *r = render_path((struct merlon_str){raw, 2});
		strcat(r, "}");
		json_t *o = json_loads(r, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
		CU_ASSERT_PTR_NOT_NULL(o);
		json_decref(o);
		const char *p = r;
		while ((unsigned char)*p >= 0x20 && *p != 0x7f)
			p++;
		CU_ASSERT_EQUAL(*p, '\0');
	}
}

static void overlong_texts_are_cut_and_the_record_always_fits(void)
{
	static char huge[100000];
	static char buf[RECORD_ROOM + 1];
	const unsigned char fills[] = {'a', '\x01', 0xff, 0xc3};

	CU_ASSERT_EQUAL_FATAL(open_line("path = \"a\";"), 0);
	for (size_t f = 0; f < sizeof(fills); f++) {
		merlon_tx *tx = fake_tx_new();
		memset(huge, fills[f], sizeof(huge));
		for (unsigned i = 2; i < 32; i++)
			tx->record[i] = (struct merlon_val){.type = MERLON_VAL_STR,
			                                    .u.str = {huge, sizeof(huge)}};
		for (unsigned i = 0; i < FAKE_DECISIONS; i++) {
			tx->decisions[i] = fake_decision("authz", "DENIED", "", 0);
			tx->decisions[i].line = tx->decisions[i].module = tx->decisions[i].policy =
			    (struct merlon_str){huge, sizeof(huge)};
		}
		tx->ndecisions = FAKE_DECISIONS;
		struct merlon_str r = rendered(tx, buf);
		memcpy(buf + r.len, "}", 2);
		json_t *o = json_loads(buf, JSON_REJECT_DUPLICATES, NULL);
		CU_ASSERT_PTR_NOT_NULL(o);
		json_decref(o);
		CU_ASSERT_EQUAL(m->audit_close(inst, w, tx), MERLON_OK);
		fake_tx_free(tx);
	}
	memset(huge, 'a', sizeof(huge));
	char *r = render_path((struct merlon_str){huge, 5000});
	CU_ASSERT_PTR_NOT_NULL(strstr(r, "aaa\xe2\x80\xa6\",\"route\""));
	close_line();
}

static void wrong_kinds_are_null(void)
{
	static char buf[RECORD_ROOM + 1];
	merlon_tx *tx = fake_tx_new();

	for (unsigned i = 2; i < 32; i++)
		tx->record[i] = (struct merlon_val){.type = MERLON_VAL_STRLIST};
	tx->record[MERLON_REC_COST] =
	    (struct merlon_val){.type = MERLON_VAL_F64, .u.f64 = __builtin_nan("")};
	fake_record_i64(tx, MERLON_REC_DURATION_US, -1);
	fake_record_i64(tx, MERLON_REC_INPUT_BYTES, INT64_MIN);
	struct merlon_str r = rendered(tx, buf);
	buf[r.len] = '\0';
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "\"cost\":null"));
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "\"duration_ms\":null"));
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "\"path\":null"));
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "\"input_bytes\":-9223372036854775808"));
	fake_tx_free(tx);
}

static void a_file_that_fails_is_unavailable(void)
{
	CU_ASSERT_EQUAL_FATAL(open_line("path = \"a\";"), 0);
	merlon_tx *tx = fake_tx_new();
	fake_sink.fail = MERLON_E_UNAVAIL;
	CU_ASSERT_EQUAL(m->audit_open(inst, w, tx), MERLON_UNAVAIL);
	CU_ASSERT_TRUE(fake_is(tx->fail.text, "the request cannot be recorded"));
	CU_ASSERT_EQUAL(m->audit_close(inst, w, tx), MERLON_UNAVAIL);
	fake_sink.fail = MERLON_E_FULL;
	CU_ASSERT_EQUAL(m->audit_close(inst, w, tx), MERLON_UNAVAIL);
	fake_sink.fail = 0;
	CU_ASSERT_EQUAL(m->audit_close(inst, w, tx), MERLON_OK);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_sink.out, "\"seq\":1,")); /* none was lost between */
	fake_tx_free(tx);
	close_line();
}

static void options_are_checked(void)
{
	CU_ASSERT_EQUAL(open_line("path = \"a\"; mode = \"strict\";"), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_errors, "\"strict\" is not supported by this version"));
	CU_ASSERT_EQUAL_FATAL(open_line("path = \"a\"; mode = \"batch\"; digest_key = \"k\";"), 0);
	CU_ASSERT_EQUAL(ctx.digest_key.len, 1);
	close_line();
}

/* Texts are copied in words that overlap: one byte of each kind at each place of each length. */
static void a_byte_is_escaped_wherever_it_stands(void)
{
	static const struct {
		char byte;
		const char *stands;
	} kinds[] = {{'x', "x"},        {'"', "\\\""},      {'\\', "\\\\"}, {'\n', "\\u000a"},
	             {0x7f, "\\u007f"}, {' ', " "},         {'~', "~"},     {'\x80', "\\ufffd"},
	             {'\0', "\\u0000"}, {'\xff', "\\ufffd"}};
	char got[2048], want[256];

	for (size_t n = 1; n <= 50; n++) {
		for (size_t i = 0; i < n * (sizeof(kinds) / sizeof(kinds[0])); i++) {
			size_t at = i % n, kind = i / n;
			char *text = malloc(n); /* no byte more: what reads on is found */
			memset(text, 'a', n);
			text[at] = kinds[kind].byte;
			struct merlon_str s = record_notice(
			    0, TXT("e"), (struct merlon_str){text, n}, got, sizeof(got) - 1);
			got[s.len] = '\0';
			snprintf(want, sizeof(want), "\"reason\":\"%.*s%s%.*s\",", (int)at,
			         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			         kinds[kind].stands, (int)(n - at - 1),
			         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
			CU_ASSERT_PTR_NOT_NULL(strstr(got, want));
			free(text);
		}
	}
}

/* What does not fit by a byte is not there at all. */
static void a_record_fits_exactly_or_not(void)
{
	char got[2048];
	uint64_t n = record_notice(1, TXT("torn"), TXT("moved"), got, sizeof(got)).len;

	CU_ASSERT_TRUE_FATAL(n > 0);
	for (uint64_t cap = 0; cap < n; cap++) {
		char *small = malloc(cap + 1);
		CU_ASSERT_EQUAL(record_notice(1, TXT("torn"), TXT("moved"), small, cap).len, 0);
		free(small);
	}
	char *exact = malloc(n);
	CU_ASSERT_EQUAL(record_notice(1, TXT("torn"), TXT("moved"), exact, n).len, n);
	CU_ASSERT_EQUAL(memcmp(exact, got, n), 0);
	free(exact);
}

UNIT_MAIN("audit_file", UNIT(a_full_record_is_written_to_the_byte),
          UNIT(unknown_fields_are_null_and_all_are_there), UNIT(the_chain_goes_on),
          UNIT(an_older_host_makes_the_same_record), UNIT(a_damaged_last_line_stops_the_sink),
          UNIT(a_torn_line_is_recorded), UNIT(texts_are_escaped), UNIT(every_byte_makes_valid_json),
          UNIT(overlong_texts_are_cut_and_the_record_always_fits), UNIT(wrong_kinds_are_null),
          UNIT(a_file_that_fails_is_unavailable), UNIT(options_are_checked),
          UNIT(a_byte_is_escaped_wherever_it_stands), UNIT(a_record_fits_exactly_or_not))
