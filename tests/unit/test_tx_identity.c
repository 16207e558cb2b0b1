/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * identity_headers: the model server sees exactly what the gateway knows, or nothing (P4), however
 * a client or a filter spells it; and a value that no field can carry is not sent at all.
 */
#include "tx_frame.h"

#define IDENTITY                                                                                   \
	"identity_headers = ( { name = \"X-User\"; value = \"id.sub\"; },"                         \
	" { name = \"X-Forwarded-Groups\"; value = \"id.roles\"; },"                               \
	" { name = \"X-Level\"; value = \"x.test_return.level\"; },"                               \
	" { name = \"X-Model\"; value = \"res.id\"; },"                                            \
	" { name = \"X-Action\"; value = \"action\"; } );"
#define ATTRS(list) LINE("a", "requisite", "", "attrs = ( " list " );")
#define SUB(text) "{ key = \"id.sub\"; value = \"" text "\"; }"
#define KNOWN                                                                                      \
	"auth = ( " ATTRS(SUB("alice") ", { key = \"id.roles\"; value = \"a,b c\"; type = "        \
	                               "\"list\"; }, { key = \"x.test_return.level\"; value = "    \
	                               "\"-7\"; type = \"number\"; }") " ); authz = \"none\";"
#define AUDIT "audit = ( " LINE("z", "required", "", "digest = true;") " );"

static unsigned count(const char *text, const char *part)
{
	unsigned n = 0;

	for (const char *p = text; (p = strcasestr(p, part)) != NULL; p++)
		n++;
	return n;
}

static void send_with(const char *fields)
{
	char *text =
	    xasprintf("POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n%s\r\n{}", fields);

	request(text);
	free(text);
}

static void served(void)
{
	unsigned n = note.ended;

	upstream_send(OK_ANSWER);
	HAS(answer(), "HTTP/1.1 200 ");
	ended(n + 1);
}

static void the_server_is_told_what_is_known(void)
{
	frame_begin(KNOWN AUDIT, IDENTITY, NULL, NULL);
	client_open("192.0.2.7", false);
	send_with("");
	HAS(upstream_request(), "\r\nX-User: alice\r\n");
	HAS(got, "\r\nX-Forwarded-Groups: a,b c\r\n");
	HAS(got, "\r\nX-Level: -7\r\n");
	HAS(got, "\r\nX-Action: predict\r\n");
	HAS_NOT(got, "X-Model");
	served();
	frame_end();
}

/* Every name in several spellings, once and twice: the server sees ours, or none. */
static void clients_cannot_say_it(void)
{
	static const char *const names[] = {"X-User", "X-Forwarded-Groups", "X-Level", "X-Model",
	                                    "X-Action"};
	static const char *const ours[] = {"X-User: alice\r\n", "X-Forwarded-Groups: a,b c\r\n",
	                                   "X-Level: -7\r\n", NULL, "X-Action: predict\r\n"};

	frame_begin(KNOWN AUDIT, IDENTITY, NULL, NULL);
	client_open("192.0.2.7", false);
	for (unsigned i = 0; i < 5; i++) {
		for (unsigned how = 0; how < 6; how++) {
			char name[32], fields[256], with_colon[40];

			snprintf(name, sizeof(name), "%s", names[i]);
			for (char *p = name; *p; p++) {
				bool upper = how == 1 || (how == 2 && (p - name) % 2);

				if (upper && *p >= 'a' && *p <= 'z')
					*p = (char)(*p - 32);
				else if (how == 3 && *p >= 'A' && *p <= 'Z')
					*p = (char)(*p + 32);
			}
			snprintf(fields, sizeof(fields),
			         how == 4   ? "%s: forged\r\n%s: forged\r\n"
			         : how == 5 ? "%s: forged\r\nConnection: close, %s\r\n"
			                    : "%s: forged\r\n",
			         name, name);
			send_with(fields);
			upstream_request();
			HAS_NOT(got, "forged");
			snprintf(with_colon, sizeof(with_colon), "\r\n%s:", names[i]);
			CU_ASSERT_EQUAL(count(got, with_colon), ours[i] ? 1 : 0);
			if (ours[i])
				HAS(got, ours[i]);
			served();
			if (how == 5)
				client_open("192.0.2.7", false);
		}
	}
	/* With an underscore it is no field at all. */
	send_with("X_User: forged\r\n");
	HAS(answer_to_end(), "HTTP/1.1 400 ");
	CU_ASSERT_TRUE(upstream_none());
	frame_end();
}

static void trailers_cannot_say_it(void)
{
	frame_begin(KNOWN AUDIT, IDENTITY, NULL, NULL);
	client_open("192.0.2.7", false);
	request("POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
	        "Trailer: X-User\r\n\r\n2\r\n{}\r\n0\r\nX-User: forged\r\n\r\n");
	HAS(upstream_request(), "\r\nX-User: alice\r\n");
	HAS_NOT(got, "forged");
	served();
	frame_end();
}

static void filters_cannot_say_it(void)
{
	frame_begin(
	    KNOWN "filter = ( " LINE(
		"f", "required", "",
		"headers = ( { dir = \"request\"; name = \"x-user\"; value = \"forged\"; },"
		" { dir = \"request\"; op = \"add\"; name = \"X_User\"; value = \"forged\"; },"
		" { dir = \"request\"; op = \"add\"; name = \"X-Other\"; value = \"fine\"; },"
		" { dir = \"request\"; op = \"del\"; name = \"X-Level\"; } );") " );" AUDIT,
	    IDENTITY, NULL, NULL);
	client_open("192.0.2.7", false);
	send_with("");
	HAS(upstream_request(), "\r\nX-User: alice\r\n");
	HAS(got, "\r\nX-Other: fine\r\n");
	HAS(got, "\r\nX-Level: -7\r\n");
	HAS_NOT(got, "forged");
	served();
	frame_end();
}

static void who_is_nobody_is_nobody(void)
{
	frame_begin(OPEN_STACK AUDIT, IDENTITY, NULL, NULL);
	client_open("192.0.2.7", false);
	send_with("X-User: forged\r\nX-Forwarded-Groups: forged\r\n");
	HAS_NOT(upstream_request(), "X-User");
	HAS_NOT(got, "Groups");
	HAS_NOT(got, "forged");
	served();
	frame_end();
}

/* The stack's line says so; the request goes nowhere, and the record says why. */
static void refused(const char *stack, const char *why)
{
	unsigned n;

	frame_begin(stack, IDENTITY, NULL, NULL);
	client_open("192.0.2.7", false);
	n = note.ended;
	send_with("");
	HAS(answer(), "HTTP/1.1 500 ");
	HAS_NOT(got, "alice");
	ended(n + 1);
	CU_ASSERT_TRUE(upstream_none());
	CU_ASSERT_EQUAL(note.status, 500);
	CU_ASSERT_EQUAL(note.end, MERLON_END_ERROR);
	SAYS(note.reason, why);
	frame_end();
}

static void what_no_field_can_carry_is_refused(void)
{
	static const char why[] = "upstream: id.sub cannot stand in the header X-User";
	static const char roles[] =
	    "upstream: id.roles cannot stand in the header X-Forwarded-Groups";
	char *long_stack;
	static char longer[8194];

	refused("auth = ( " ATTRS(SUB("alice\\nX-Admin: 1")) " ); authz = \"none\";" AUDIT, why);
	refused("auth = ( " ATTRS(SUB("alice\\r")) " ); authz = \"none\";" AUDIT, why);
	refused("auth = ( " ATTRS(SUB(" alice")) " ); authz = \"none\";" AUDIT, why);
	refused("auth = ( " ATTRS(SUB("alice\\x7f")) " ); authz = \"none\";" AUDIT, why);
	refused("auth = ( " ATTRS(
		    "{ key = \"id.roles\"; value = \"a,,b\"; type = \"list\"; }") " ); authz = "
	                                                                          "\"none\";" AUDIT,
	        roles);
	refused(
	    "auth = ( " ATTRS(
		"{ key = \"id.roles\"; value = \"a,b\\n\"; type = \"list\"; }") " ); authz = "
										"\"none\";" AUDIT,
	    roles);
	memset(longer, 'x', sizeof(longer) - 1);
	long_stack = xasprintf("auth = ( " ATTRS(SUB("%s")) " ); authz = \"none\";" AUDIT, longer);
	refused(long_stack, why);
	free(long_stack);
}

static void bytes_beyond_ascii_pass(void)
{
	frame_begin("auth = ( " ATTRS(SUB("J\xc3\xb6rg")) " ); authz = \"none\";" AUDIT, IDENTITY,
	            NULL, NULL);
	client_open("192.0.2.7", false);
	send_with("");
	HAS(upstream_request(), "\r\nX-User: J\xc3\xb6rg\r\n");
	served();
	frame_end();
}

UNIT_MAIN("identity headers", UNIT(the_server_is_told_what_is_known), UNIT(clients_cannot_say_it),
          UNIT(trailers_cannot_say_it), UNIT(filters_cannot_say_it), UNIT(who_is_nobody_is_nobody),
          UNIT(what_no_field_can_carry_is_refused), UNIT(bytes_beyond_ascii_pass))
