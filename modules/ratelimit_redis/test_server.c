/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * How ratelimit_redis speaks to a server: its options, the greeting, and the codec.
 */
#include "line.h"

#include "unit/unit.h"

static void the_greeting(void)
{
	fake_reset();
	CU_ASSERT_EQUAL_FATAL(
	    open_line("server = \"redis.example:6380\"; tls = { ca = \"/ca.pem\"; server_name = "
	              "\"cache\"; }; username = \"merlon\"; password = \"pass word\"; "
	              "database = 3; default = { requests = \"5/1m\"; };"),
	    0);
	merlon_stream *s = &fake_streams[0];
	CU_ASSERT_TRUE(fake_is(s->ops.endpoint, "tls:redis.example:6380"));
	CU_ASSERT_TRUE(fake_is(s->ops.ca, "/ca.pem"));
	CU_ASSERT_TRUE(fake_is(s->ops.server_name, "cache"));
	CU_ASSERT_EQUAL(s->ops.greetings, 3);
	static const char begin[] = "*3\r\n$4\r\nAUTH\r\n$6\r\nmerlon\r\n$9\r\npass word\r\n"
				    "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
				    "*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$";
	CU_ASSERT_EQUAL(memcmp(s->ops.greeting.ptr, begin, sizeof(begin) - 1), 0);
	CU_ASSERT_EQUAL(fake_stream_greeted(s, TXT("+OK\r\n+OK\r\n$3\r\nabc\r\n")), 0);
	CU_ASSERT_PTR_NULL(server_refusal());
	CU_ASSERT_NOT_EQUAL(fake_stream_greeted(s, TXT("-WRONGPASS no\r\n+OK\r\n$1\r\na\r\n")), 0);
	CU_ASSERT_STRING_EQUAL(server_refusal(), "the password is wrong (WRONGPASS)");
	CU_ASSERT_NOT_EQUAL(fake_stream_greeted(s, TXT("-ERR invalid password\r\n")), 0);
	CU_ASSERT_NOT_EQUAL(fake_stream_greeted(s, TXT("+OK\r\n-NOPERM x\r\n")), 0);
	CU_ASSERT_NOT_EQUAL(fake_stream_greeted(s, TXT(":1\r\n")), 0);
	CU_ASSERT_NOT_EQUAL(fake_stream_greeted(s, TXT("HTTP/1.1 400 Bad Request\r\n")), 0);
	CU_ASSERT_EQUAL(fake_stream_greeted(s, TXT("+OK\r\n+OK\r\n$3\r\nabc\r\n")), 0);
	m->destroy(inst);
	fake_reset();
	CU_ASSERT_EQUAL_FATAL(open_line("server = \"unix:/run/redis.sock\"; password = \"p\"; "
	                                "default = { requests = \"5/1m\"; };"),
	                      0);
	CU_ASSERT_TRUE(fake_is(fake_streams[0].ops.endpoint, "unix:/run/redis.sock"));
	CU_ASSERT_EQUAL(fake_streams[0].ops.greetings, 2);
	m->destroy(inst);
}

static void endpoints(void)
{
	static const struct {
		const char *text, *out;
		bool tls;
	} table[] = {
	    {"localhost:6379", "tcp:localhost:6379", false},
	    {"[::1]:6379", "tcp:[::1]:6379", false},
	    {"10.0.0.1:1", "tls:10.0.0.1:1", true},
	    {"unix:/a", "unix:/a", false},
	    {"unix:/a", NULL, true},
	    {"unix:a", NULL, false},
	    {"unix:", NULL, false},
	    {"", NULL, false},
	    {"localhost", NULL, false},
	    {":6379", NULL, false},
	    {"localhost:", NULL, false},
	    {"localhost:0", NULL, false},
	    {"localhost:65536", NULL, false},
	    {"localhost:655350", NULL, false},
	    {"localhost:+1", NULL, false},
	    {"localhost:6379x", NULL, false},
	    {"::1:6379", NULL, false},
	};
	char out[64];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const int r =
		    server_endpoint(txt_of(table[i].text), table[i].tls, out, sizeof(out));
		CU_ASSERT_EQUAL(r, table[i].out ? 0 : -1);
		if (table[i].out && r == 0)
			CU_ASSERT_STRING_EQUAL(out, table[i].out);
	}
	CU_ASSERT_EQUAL(server_endpoint(TXT("a\0b:1"), false, out, sizeof(out)), -1);
	CU_ASSERT_EQUAL(server_endpoint(TXT("localhost:6379"), false, out, 20), -1);
}

static void bad_options_are_refused(void)
{
	static const struct {
		const char *options, *says;
	} table[] = {
	    {"server = \"localhost\";", "is neither \"host:port\" nor"},
	    {"server = \"unix:/a\"; tls = {};", "is neither \"host:port\" nor"},
	    {"server = \"a:1\"; tls = { certificate = \"/a\"; };",
	     "certificate and key go together"},
	    {"server = \"a:1\"; username = \"x\";", "has no password beside it"},
	    {"server = \"a:1\"; default = { tokens = \"1/1d\"; };",
	     "is not supported by this version"},
	    {"server = \"a:1\"; key = \"sub\";", "is no attribute to count by"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		fake_reset();
		CU_ASSERT_EQUAL(open_line(table[i].options), -1);
		CU_ASSERT_PTR_NOT_NULL(strstr(fake_errors, table[i].says));
	}
	fake_reset();
}

/* ---- the codec ---- */
static void any_split_is_the_same(void)
{
	const struct merlon_str bytes = TXT("*3\r\n:1\r\n:-2\r\n:9223372036854775807\r\n+OK\r\n-"
	                                    "ERR x\r\n$3\r\na\0b\r\n$-1\r\n:5\r\n");
	static const enum resp_type types[] = {RESP_ARRAY,  RESP_STATUS, RESP_ERROR,
	                                       RESP_STRING, RESP_NIL,    RESP_INTEGER};

	for (uint64_t piece = 1; piece <= bytes.len; piece++) {
		void *d = resp_decoder_new(), *msg;
		unsigned n = 0;
		for (uint64_t at = 0; at < bytes.len; at += piece) {
			const uint64_t len = bytes.len - at < piece ? bytes.len - at : piece;
			int32_t r = resp_decode(d, (struct merlon_str){bytes.ptr + at, len}, &msg);
			for (; r == 1; r = resp_decode(d, TXT(""), &msg)) {
				const struct resp *got = msg;
				CU_ASSERT_EQUAL(got->type, types[n]);
				CU_ASSERT_TRUE(n > 0 || (got->n == 3 && got->v[1] == -2 &&
				                         got->v[2] == INT64_MAX && !got->odd));
				n++;
				resp_free(msg);
			}
			CU_ASSERT_EQUAL(r, 0);
		}
		CU_ASSERT_EQUAL(n, 6);
		resp_decoder_free(d);
	}
}

static void hostile_sizes_end_the_connection(void)
{
	static const char *const all[] = {"*1000000000\r\n",
	                                  "*17\r\n",
	                                  "*2147483648\r\n",
	                                  "*-2\r\n",
	                                  "*1\r\n*1\r\n",
	                                  "$-2\r\n",
	                                  "$9999999999999999999\r\n",
	                                  "HTTP/1.1 200 OK\r\n",
	                                  ":1x\r\n",
	                                  ":\r\n",
	                                  "\r\n",
	                                  ":99999999999999999999\r\n"};
	void *msg;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		void *d = resp_decoder_new();
		CU_ASSERT_EQUAL(resp_decode(d, txt_of(all[i]), &msg), -1);
		resp_decoder_free(d);
	}
	/* One that never ends. */
	char *big = malloc(1 << 20);
	memset(big, 'x', 1 << 20);
	void *d = resp_decoder_new();
	CU_ASSERT_EQUAL(resp_decode(d, TXT("$536870000\r\n"), &msg), 0);
	int32_t r = 0;
	unsigned fed = 0;
	for (; r == 0 && fed < 1024; fed++)
		r = resp_decode(d, (struct merlon_str){big, 1024}, &msg);
	CU_ASSERT_EQUAL(r, -1);
	CU_ASSERT_TRUE(fed < 70);
	resp_decoder_free(d);
	free(big);
}

UNIT_MAIN("server", UNIT(the_greeting), UNIT(endpoints), UNIT(bad_options_are_refused),
          UNIT(any_split_is_the_same), UNIT(hostile_sizes_end_the_connection))
