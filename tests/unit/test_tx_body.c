/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Bodies on their way: the scan that must end before the model sees a whole request, filters in
 * both directions, what is charged, and what ends early.
 */
#include "tx_frame.h"

#define AUDIT "audit = ( " LINE("z", "required", "", "digest = true;") " );"
#define FILTER(lines) OPEN_STACK " filter = ( " lines " ); " AUDIT
#define POST "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world"
#define CHAT "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
#define SHA_EMPTY "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SHA_HELLO "sha256:b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"

static void begin(const char *stack)
{
	frame_begin(stack, NULL, NULL, NULL);
	client_open("192.0.2.7", false);
}

static void empty_bodies_name_no_model(void)
{
	begin(OPEN_STACK AUDIT);
	request(CHAT "Content-Length: 0\r\n\r\n");
	HAS(answer(), "HTTP/1.1 400 ");
	client_open("192.0.2.7", false);
	request(CHAT "\r\n");
	HAS(answer(), "HTTP/1.1 400 ");
	client_open("192.0.2.7", false);
	request(CHAT "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
	HAS(answer(), "HTTP/1.1 400 ");
	CU_ASSERT(upstream_none());
	frame_end();
}

static void closing_brace_waits_for_the_end(void)
{
	begin(OPEN_STACK AUDIT);
	request(CHAT "Content-Length: 15\r\n\r\n{\"model\":\"m\"} ");
	upstream_accept();
	turn();
	ssize_t n = recv(upstream_fd, got, TEXT_MAX - 1, MSG_DONTWAIT);
	CU_ASSERT_FATAL(n > 0);
	got[n] = 0;
	HAS(got, "\r\n\r\n{\"model\":\"m\"");
	HAS_NOT(got, "}");
	client_send("x");
	HAS(answer(), "HTTP/1.1 400 ");
	CU_ASSERT(read_from(upstream_fd, true));
	CU_ASSERT_EQUAL(got_n, 0);
	ended(1);
	CU_ASSERT_EQUAL(note.end, MERLON_END_ERROR);
	SAYS(note.hash[0], "null");
	frame_end();
}

static void whole_bodies_pass_and_are_digested(void)
{
	begin(OPEN_STACK AUDIT);
	request(POST);
	HAS(upstream_request(), "\r\n\r\nhello world");
	upstream_send(OK_ANSWER);
	HAS(answer(), "\r\n\r\n{}");
	ended(1);
	CU_ASSERT_EQUAL(note.end, MERLON_END_SUCCESS);
	CU_ASSERT_EQUAL(note.received, 11);
	CU_ASSERT_EQUAL(note.sent, 2);
	SAYS(note.hash[0], SHA_HELLO);
	SAYS(note.hash[1],
	     "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
	request("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n");
	upstream_request();
	upstream_send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
	ended(2);
	SAYS(note.hash[0], SHA_EMPTY);
	SAYS(note.hash[1], SHA_EMPTY);
	frame_end();
}

static void too_large_is_413(void)
{
	frame_begin(OPEN_STACK AUDIT, NULL, "limits = { body = \"10\"; };", NULL);
	client_open("192.0.2.7", false);
	request(POST);
	HAS(answer(), "HTTP/1.1 413 ");
	request("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	        "b\r\nhello world\r\n");
	HAS(answer_to_end(), "HTTP/1.1 413 ");
	frame_end();
}

static void memory_is_bounded(void)
{
	begin(OPEN_STACK AUDIT);
	budget.limit = 1000;
	char body[4000];
	memset(body, 'x', sizeof(body));
	memcpy(body, "{\"a\":\"", 6);
	request(CHAT "Content-Length: 9000\r\n\r\n");
	client_sendn(body, sizeof(body));
	HAS(answer(), "HTTP/1.1 503 ");
	frame_end();
}

/* One request through filters that edit. up and down: the bodies that arrive. */
static void edited(const char *lines, const char *up, const char *down)
{
	char *stack = xasprintf(OPEN_STACK " filter = ( %s ); " AUDIT, lines);
	begin(stack);
	free(stack);
	request(POST);
	HAS(upstream_request(), up);
	upstream_send(OK_ANSWER);
	HAS(answer(), down);
	ended(1);
	CU_ASSERT_EQUAL(note.end, MERLON_END_SUCCESS);
	frame_end();
}

static void filters_edit_both_ways(void)
{
#define EDIT(how) "body_want = \"stream\"; edit = \"" how "\"; with = \"XX\";"
#define WHOLE(how) "body_want = \"full\"; edit = \"" how "\"; with = \"XX\";"
	edited(LINE("f", "required", "", EDIT("replace")), "\r\n2\r\nXX\r\n0\r\n\r\n",
	       "\r\n2\r\nXX\r\n0\r\n\r\n");
	edited(LINE("f", "required", "", EDIT("append")), "\r\nd\r\nhello worldXX\r\n",
	       "\r\n4\r\n{}XX\r\n");
	edited(LINE("f", "required", "", EDIT("drop")), "\r\n\r\n0\r\n\r\n", "\r\n\r\n0\r\n\r\n");
	edited(LINE("f", "required", "", WHOLE("append")), "\r\nd\r\nhello worldXX\r\n",
	       "\r\n4\r\n{}XX\r\n");
	edited(LINE("f", "required", "", WHOLE("replace") " wait = \"1ms\";"), "\r\n2\r\nXX\r\n",
	       "\r\n2\r\nXX\r\n");
	/* optional lines' codes do not count, their edits do; a shadow line's do not */
	edited(LINE("f", "optional", "", EDIT("replace")), "\r\n2\r\nXX\r\n", "\r\n2\r\nXX\r\n");
	edited(LINE("f", "optional", "shadow = true;", EDIT("drop")), "\r\nhello world\r\n",
	       "\r\n{}\r\n");
}

static void requests_in_order_responses_in_reverse(void)
{
#define ADD(with) "body_want = \"stream\"; edit = \"append\"; with = \"" with "\";"
	edited(LINE("a", "required", "", ADD("A")) "," LINE("b", "required", "", ADD("B")),
	       "hello worldAB", "{}BA");
}

static void filters_refuse(void)
{
	begin(FILTER(LINE("f", "required", "",
	                  "body_want = \"stream\"; body = \"DENIED\"; detail = \"a word\";")));
	request(POST);
	HAS(answer(), "HTTP/1.1 403 ");
	ended(1);
	CU_ASSERT_EQUAL(note.end, MERLON_END_DENIED);
	SAYS(note.reason, "filter: f: DENIED: a word");
	SAYS(note.decisions, "filter/f=OK filter/f=DENIED");
	SAYS(note.hash[0], "null");
	frame_end();
	/* the answer's head has not left yet, so the client gets a status */
	begin(
	    FILTER(LINE("f", "required", "", "body_want = \"full\"; response_body = \"REPLY\";")));
	request(POST);
	upstream_request();
	upstream_send(OK_ANSWER);
	HAS(answer(), "HTTP/1.1 418 ");
	HAS(got, "told so\n");
	ended(1);
	CU_ASSERT_EQUAL(note.end, MERLON_END_DENIED);
	frame_end();
	begin(FILTER(LINE("f", "required", "", "body_want = \"full\"; body_max = \"5\";")));
	request(POST);
	HAS(answer(), "HTTP/1.1 413 ");
	frame_end();
}

/* Half of the answer has left when the filter says no: what the client has must not look whole. */
static void refusals_within_an_answer_break_it(void)
{
	begin(FILTER(LINE("f", "required", "",
	                  "body_want = \"stream\"; body_dir = \"response\"; word = \"secret\"; "
	                  "edit = \"deny\";")));
	request(POST);
	upstream_request();
	upstream_send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n");
	upstream_send("6\r\nsecret\r\n0\r\n\r\n");
	answer_to_end();
	HAS(got, "4\r\ngood\r\n");
	HAS_NOT(got, "secret");
	HAS_NOT(got, "\r\n0\r\n\r\n");
	ended(1);
	CU_ASSERT_EQUAL(note.end, MERLON_END_DENIED);
	SAYS(note.hash[1], "null");
	frame_end();
}

static void decisions_do_not_grow_with_chunks(void)
{
	begin(FILTER(
	    LINE("f", "optional", "shadow = true;", "body_want = \"stream\"; body = \"DENIED\";")));
	request("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 20; i++)
		client_send("1\r\nx\r\n");
	client_send("0\r\n\r\n");
	upstream_request();
	upstream_send(OK_ANSWER);
	answer();
	ended(1);
	SAYS(note.decisions, "filter/f=OK* filter/f=DENIED*");
	frame_end();
}

/* The request's filter still waits when the whole answer has come. */
static void early_answers_do_not_wait_for_a_request_filter(void)
{
	begin(
	    FILTER(LINE("f", "required", "timeout = \"60s\";",
	                "body_want = \"stream\"; body_dir = \"request\"; head = \"OK\"; "
	                "word = \"hang\"; edit = \"drop\";") "," LINE("g", "required", "",
	                                                              "body_want = \"stream\"; "
	                                                              "body_dir = \"response\";")));
	request("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\nhello");
	upstream_accept();
	turn();
	upstream_send("HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
	HAS(answer(), "HTTP/1.1 403 ");
	HAS_NOT(got, "Connection: close");
	/* what is left of the body is no request */
	client_send("xxxxxxxxxxxxxxx");
	shut(&upstream_fd);
	request("GET /y HTTP/1.1\r\nHost: a\r\n\r\n");
	HAS(upstream_request(), "GET /y ");
	upstream_send(OK_ANSWER);
	HAS(answer(), "200 OK");
	frame_end();
}

static void bodies_that_end_early(void)
{
	frame_begin(OPEN_STACK AUDIT, NULL, NULL, NULL);
	client_open("192.0.2.7", true);
	request("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\nhello");
	shutdown(client, SHUT_WR);
	HAS(answer_to_end(), "HTTP/1.1 400 ");
	client_open("192.0.2.7", false);
	request("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\nhello");
	shutdown(client, SHUT_WR);
	CU_ASSERT_STRING_EQUAL(answer_to_end(), "");
	ended(2);
	CU_ASSERT_EQUAL(note.end, MERLON_END_ABORTED);
	frame_end();
}

UNIT_MAIN("tx body", UNIT(empty_bodies_name_no_model), UNIT(closing_brace_waits_for_the_end),
          UNIT(whole_bodies_pass_and_are_digested), UNIT(too_large_is_413), UNIT(memory_is_bounded),
          UNIT(filters_edit_both_ways), UNIT(requests_in_order_responses_in_reverse),
          UNIT(filters_refuse), UNIT(refusals_within_an_answer_break_it),
          UNIT(decisions_do_not_grow_with_chunks),
          UNIT(early_answers_do_not_wait_for_a_request_filter), UNIT(bodies_that_end_early))
