/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * The gateway's own answers: which status, body and fields a code of each group leads to and what
 * the record says of it; what becomes of the connection; replies of modules; the audit group.
 */
#include "tx_frame.h"

#define GET "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
#define AUDIT "audit = ( " LINE("z", "required", "", "digest = true;") " );"

struct want {
	const char *code;
	unsigned status;
	uint32_t end;
	const char *fields; /* one that must stand there */
};

static void refusal(const char *group, const char *others, const struct want *e)
{
	char *stack = xasprintf("%s %s = ( { module = \"test_return\"; name = \"g\"; control = "
	                        "\"requisite\"; options = { code = \"%s\"; detail = \"why\\x01\"; "
	                        "challenge = \"Bearer x=1\"; }; } ); " AUDIT,
	                        others, group, e->code);
	frame_begin(stack, NULL, NULL, NULL);
	free(stack);
	client_open("192.0.2.7", false);
	request(GET);
	answer();
	CU_ASSERT_EQUAL(strtoul(got + 9, NULL, 10), e->status);
	HAS(got, "\r\nx-request-id: ");
	HAS(got, e->fields);
	ended(1);
	CU_ASSERT_EQUAL(note.end, e->end);
	CU_ASSERT_EQUAL(note.status, e->status);
	char reason[64];
	snprintf(reason, sizeof(reason), "%s: g: %s%s", group, e->code,
	         strcmp(e->code, "REPLY") == 0 ? "" : ": why\x01");
	SAYS(note.reason, reason);
	snprintf(reason, sizeof(reason), "%s/g=%s", group, e->code);
	SAYS(note.decisions, reason);
	CU_ASSERT(upstream_none());
	frame_end();
}

#define DENY "x-should-retry: false"
static const struct want shared[] = {
    {"DENIED", 403, MERLON_END_DENIED, DENY},
    {"LIMITED", 429, MERLON_END_LIMITED, "Too Many"},
    {"UNAVAIL", 503, MERLON_END_ERROR, "Retry-After: 1"},
    {"ERROR", 500, MERLON_END_ERROR, "internal_error"},
    {"REPLY", 418, MERLON_END_DENIED, "told so"},
};

static void codes_become_answers(void)
{
	static const struct want auth[] = {
	    {"NOCRED", 401, MERLON_END_DENIED, "WWW-Authenticate: Bearer x=1"},
	    {"BADCRED", 401, MERLON_END_DENIED, "invalid_api_key"},
	    {"EXPIRED", 401, MERLON_END_DENIED, "expired_credentials"},
	};
	static const struct want other[] = {
	    {"NOCRED", 403, MERLON_END_DENIED, DENY},
	    {"BADCRED", 403, MERLON_END_DENIED, DENY},
	    {"EXPIRED", 403, MERLON_END_DENIED, DENY},
	};
	static const struct {
		const char *group, *others;
	} groups[] = {{"auth", "authz = \"none\";"},
	              {"authz", "auth = \"none\";"},
	              {"ratelimit", OPEN_STACK},
	              {"filter", OPEN_STACK}};
	for (unsigned g = 0; g < 4; g++) {
		for (unsigned i = 0; i < 3; i++)
			refusal(groups[g].group, groups[g].others, g ? &other[i] : &auth[i]);
		for (unsigned i = 0; i < 5; i++)
			refusal(groups[g].group, groups[g].others, &shared[i]);
	}
}

static void errors_speak_the_callers_dialect(void)
{
	frame_begin(
	    "auth = ( " LINE(
		"a", "required", "",
		"code = \"BADCRED\"; fail = \"no\\x01\\\"\";") " ); authz = \"none\"; " AUDIT,
	    NULL, NULL, NULL);
	client_open("192.0.2.7", false);
	request("GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n");
	HAS(answer(), "\r\nContent-Type: application/json\r\n");
	HAS(got, "{\"error\":{\"message\":\"no\\u0001\\\"\"");
	request("GET /other HTTP/1.1\r\nHost: a\r\n\r\n");
	HAS(answer(), "\r\nContent-Type: application/problem+json\r\n");
	request("HEAD /other HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	HAS(answer_to_end(), "HTTP/1.1 401 ");
	HAS_NOT(got, "\r\n\r\n{");
	frame_end();
}

/* A refused body is dropped where its rest is known and small. */
static void connections_after_refusals(void)
{
	frame_begin("auth = ( " LINE("a", "required", "",
	                             "code = \"BADCRED\";") " ); authz = \"none\"; " AUDIT,
	            NULL, NULL, NULL);
	client_open("192.0.2.7", false);
	request("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n");
	HAS(answer(), "HTTP/1.1 401 ");
	HAS_NOT(got, "Connection: close");
	static char body[65536];
	memset(body, 'G', sizeof(body));
	client_sendn(body, sizeof(body));
	request("POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	HAS(answer_to_end(), "HTTP/1.1 401 ");
	HAS(got, "Connection: close");
	HAS_NOT(got, "100 Continue");
	client_open("192.0.2.7", false);
	request("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n");
	HAS(answer_to_end(), "Connection: close");
	client_open("192.0.2.7", false);
	request("GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	HAS(answer(), "Connection: keep-alive");
	frame_end();
}

static struct loop_task crowd[LOOP_BEGINS], next;

static void drain(void *arg)
{
	(void)arg;
	CU_ASSERT_EQUAL(note.ended, 0);
	worker_drain(&w);
}

static void stands_back(void *arg)
{
	(void)arg;
	CU_FAIL("it could begin");
}

/* Uses up the turn's share before the descriptors are looked at, and drains before the next one's.
 */
static void crowd_begins(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < LOOP_BEGINS; i++) {
		loop_task_init(&crowd[i], stands_back, NULL);
		CU_ASSERT_TRUE(loop_begin(loop, &crowd[i]));
	}
	loop_task_init(&next, drain, NULL);
	loop_defer(loop, &next);
}

/* Closing its connection would reset what the client sent in good time. */
static void draining_serves_what_stood_back(void)
{
	struct loop_task first;

	frame_begin("auth = ( " LINE("a", "required", "",
	                             "code = \"BADCRED\";") " ); authz = \"none\"; " AUDIT,
	            NULL, NULL, NULL);
	client_open("192.0.2.7", false);
	turn();
	CU_ASSERT_EQUAL(send(client, GET, sizeof(GET) - 1, MSG_NOSIGNAL), sizeof(GET) - 1);
	loop_task_init(&first, crowd_begins, NULL);
	loop_defer(loop, &first);
	HAS(answer_to_end(), "HTTP/1.1 401 ");
	HAS(got, "Connection: close");
	frame_end();
	frame_begin(OPEN_STACK AUDIT, NULL, NULL, NULL);
	client_open("192.0.2.7", false);
	turn();
	worker_drain(&w);
	SAYS(answer_to_end(), "");
	frame_end();
}

/* reply() without REPLY is no answer: the upstream's would be followed by it. */
static void replies_that_nobody_stands_by(void)
{
	frame_begin(
	    OPEN_STACK " filter = ( " LINE("f", "optional", "", "code = \"REPLY\";") "," LINE(
		"g", "optional", "shadow = true;",
		"code = \"REPLY\"; headers = ( { name = \"X-S\"; value = \"1\"; } );") " ); " AUDIT,
	    NULL, NULL, NULL);
	client_open("192.0.2.7", false);
	request("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	upstream_request();
	upstream_send(OK_ANSWER);
	HAS(answer_to_end(), "HTTP/1.1 200 OK");
	HAS_NOT(got, "told so");
	HAS_NOT(got, "X-S");
	CU_ASSERT_STRING_EQUAL(got + got_n - 2, "{}");
	frame_end();
}

static void challenges_merge_and_fields_are_edited(void)
{
#define EDIT "headers = ( { name = \"X-Edit\"; value = \"1\"; } );"
	frame_begin(
	    "auth = ( " LINE("a", "required", "", "code = \"NOCRED\"; challenge = \"A\"; " EDIT) "," LINE(
		"b", "required", "",
		"code = \"NOCRED\"; challenge = \"B\";") "," LINE("c", "required", "",
	                                                          "code = \"NOCRED\"; challenge = "
	                                                          "\"A\";") " ); authz = "
									    "\"none\"; " AUDIT,
	    NULL, NULL, NULL);
	client_open("192.0.2.7", false);
	request(GET);
	HAS(answer(), "WWW-Authenticate: A\r\nWWW-Authenticate: B\r\n");
	HAS_NOT(strstr(got, "uthenticate: B"), "uthenticate: A");
	HAS(got, "X-Edit: 1");
	frame_end();
}

static void records_that_cannot_be_made(void)
{
	frame_begin(OPEN_STACK
	            " audit = ( " LINE("z", "required", "", "audit_open = \"ERROR\";") " );",
	            NULL, NULL, NULL);
	client_open("192.0.2.7", false);
	request(GET);
	HAS(answer(), "HTTP/1.1 503 ");
	HAS(got, "audit_unavailable");
	CU_ASSERT(upstream_none());
	frame_end();
	frame_begin(OPEN_STACK
	            " audit = ( " LINE("z", "required", "", "audit_close = \"ERROR\";") " );",
	            NULL, NULL, NULL);
	client_open("192.0.2.7", false);
	request(GET);
	upstream_request();
	upstream_send(OK_ANSWER);
	/* the connection breaks although it might have been kept */
	HAS(answer_to_end(), "HTTP/1.1 200 OK");
	frame_end();
}

/* The client leaves while a hook waits. */
static void hooks_are_cancelled(void)
{
	frame_begin(OPEN_STACK " ratelimit = ( " LINE("r", "required", "timeout = \"60s\";",
	                                              "hang = true;") " ); " AUDIT,
	            NULL, NULL, NULL);
	client_open("192.0.2.7", false);
	request(GET);
	CU_ASSERT_EQUAL(note.ended, 0);
	shut(&client);
	ended(1);
	CU_ASSERT_EQUAL(note.end, MERLON_END_ABORTED);
	CU_ASSERT_EQUAL(note.status, 0);
	SAYS(note.source, "192.0.2.7");
	frame_end();
}

static void the_credentials_own_lists_bind(void)
{
#define ATTR(k, v) "{ key = \"" k "\"; value = \"" v "\"; type = \"list\"; }"
	frame_begin("auth = ( " LINE(
			"a", "required", "",
			"attrs = ( { key = \"id.sub\"; value = \"u\"; }, " ATTR(
			    "id.allow_actions", "read,write") " );") " ); authz = \"none\"; " AUDIT,
	            NULL, NULL, NULL);
	client_open("192.0.2.7", false);
	request(GET);
	HAS(answer(), "HTTP/1.1 403 ");
	ended(1);
	SAYS(note.reason,
	     "authz: credential: DENIED: the action is outside the credential's actions");
	frame_end();
}

UNIT_MAIN("tx reply", UNIT(codes_become_answers), UNIT(errors_speak_the_callers_dialect),
          UNIT(connections_after_refusals), UNIT(draining_serves_what_stood_back),
          UNIT(replies_that_nobody_stands_by), UNIT(challenges_merge_and_fields_are_edited),
          UNIT(records_that_cannot_be_made), UNIT(hooks_are_cancelled),
          UNIT(the_credentials_own_lists_bind))
