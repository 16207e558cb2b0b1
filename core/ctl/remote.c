/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Commands that the running merlond answers, over its control socket.
 */
#include "conf/load.h"
#include "ctl/ctl.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX (16 * 1024 * 1024)
#define ANSWER_S 60

static const char default_conf[] = MERLON_SYSCONFDIR "/merlon/merlon.conf";

/* The value behind `socket =` in a text that need not be a whole configuration: a broken file must
 * not keep the operator from the process that runs. */
static char *socket_in_text(const char *path)
{
	FILE *f = fopen(path, "r");
	char *found = NULL;
	char line[4096];
	while (f && !found && fgets(line, sizeof(line), f)) {
		char *hash = strchr(line, '#');
		char *key = strstr(line, "socket");
		if (!key || (hash && hash < key))
			continue;
		key += strlen("socket");
		key += strspn(key, " \t");
		if (*key != '=' && *key != ':')
			continue;
		key++;
		key += strspn(key, " \t");
		char *end = *key == '"' ? strchr(key + 1, '"') : NULL;
		if (end)
			found = strndup(key + 1, (size_t)(end - key - 1));
	}
	if (f)
		fclose(f);
	return found;
}

/* In the arena. */
static struct str socket_path(const struct ctl *c, struct arena *a)
{
	if (c->socket)
		return str_of(c->socket);
	const char *file = c->conf ? c->conf : default_conf;
	struct conf_diag d;
	conf_diag_init(&d);
	struct conf_node *root = conf_read(file, a, &d);
	conf_diag_deinit(&d);
	const struct conf_node *n = conf_child(conf_child(root, STR("admin")), STR("socket"));
	if (n && n->type == CONF_STRING)
		return conf_path(n, n->u.s, a);
	char *text = root ? NULL : socket_in_text(file);
	struct conf_node at = {.file = file};
	struct str path = conf_path(&at, text ? str_of(text) : STR("merlon.sock"), a);
	free(text);
	return path;
}

static int ask(struct str path, const char *command, struct buf *answer)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	if (path.n >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	memcpy(sun.sun_path, path.p, path.n);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	struct timeval limit = {ANSWER_S, 0};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	char line[64];
	int n = snprintf(line, sizeof(line), "%s\n", command);
	int r = connect(fd, (struct sockaddr *)&sun, sizeof(sun)) ||
	                send(fd, line, (size_t)n, MSG_NOSIGNAL) != n
	            ? -errno
	            : 0;
	char chunk[8192];
	ssize_t got = 0;
	while (!r && (got = read(fd, chunk, sizeof(chunk))) > 0)
		if (buf_add(answer, chunk, (size_t)got))
			r = -EMSGSIZE;
	if (!r && got < 0)
		r = -errno;
	close(fd);
	return r;
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

static long long number_of(const json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

static void show_status(const json_t *o)
{
	printf("merlond %s, pid %lld: %s\n", text_of(o, "version"), number_of(o, "pid"),
	       text_of(o, "state"));
	printf("configuration %s, generation %lld (%lld alive)\n", text_of(o, "config"),
	       number_of(o, "generation"), number_of(o, "generations"));
	const json_t *last = json_object_get(o, "last_reload");
	if (json_is_object(last))
		printf("last load %s at %s\n%s",
		       json_is_true(json_object_get(last, "ok")) ? "succeeded" : "FAILED",
		       text_of(last, "at"), text_of(last, "text"));
	printf("connections %lld, parked bytes %lld\n", number_of(o, "connections"),
	       number_of(o, "parked_bytes"));
	size_t i;
	json_t *w;
	json_array_foreach(json_object_get(o, "workers"), i, w)
	{
		printf("worker %lld: %lld connections, %lld requests\n", number_of(w, "worker"),
		       number_of(w, "connections"), number_of(w, "requests"));
		size_t k;
		json_t *s;
		json_array_foreach(json_object_get(w, "servers"), k, s)
		{
			printf("  %s %s: %lld in flight, %lld idle, %s\n", text_of(s, "upstream"),
			       text_of(s, "server"), number_of(s, "inflight"), number_of(s, "idle"),
			       json_is_true(json_object_get(s, "healthy")) ? "up" : "down");
		}
	}
	json_array_foreach(json_object_get(o, "sinks"), i, w)
	{
		printf("sink %s: %lld records, %lld bytes%s\n", text_of(w, "path"),
		       number_of(w, "records"), number_of(w, "bytes"),
		       json_is_true(json_object_get(w, "failed")) ? ", FAILED" : "");
	}
	json_array_foreach(json_object_get(o, "zones"), i, w)
	{
		printf("zone %s: %lld records, %lld bytes\n", text_of(w, "name"),
		       number_of(w, "records"), number_of(w, "bytes"));
	}
}

static void show_stacks(const json_t *o)
{
	static const char *const groups[] = {"auth", "authz", "ratelimit", "filter", "audit"};
	size_t i;
	json_t *s;
	json_array_foreach(json_object_get(o, "stacks"), i, s)
	{
		printf("%s\n", text_of(s, "name"));
		for (unsigned g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
			const json_t *lines = json_object_get(s, groups[g]);
			if (json_is_string(lines))
				printf("  %-9s none\n", groups[g]);
			size_t k;
			json_t *l;
			json_array_foreach(lines, k, l)
			{
				const char *what = text_of(l, "module");
				printf("  %-9s %-20s %-12s %s%s%s%s\n", groups[g],
				       text_of(l, "name"), text_of(l, "control"),
				       *what ? what : "include ",
				       *what ? "" : text_of(l, "include"),
				       json_is_true(json_object_get(l, "shadow")) ? " shadow" : "",
				       json_is_true(json_object_get(l, "fail_open")) ? " fail_open"
				                                                     : "");
			}
		}
	}
}

static void show_modules(const json_t *o)
{
	size_t i;
	json_t *m;
	json_array_foreach(json_object_get(o, "modules"), i, m)
	{
		printf("%-18s %-8s ABI %lld.%lld  %.16s  %s\n", text_of(m, "name"),
		       text_of(m, "version"), number_of(m, "abi_major"), number_of(m, "abi_minor"),
		       text_of(m, "hash"), text_of(m, "summary"));
	}
}

static void show(const char *command, const json_t *o, bool ok)
{
	if (!ok) {
		fprintf(stderr, "%s%s", text_of(o, "error"), text_of(o, "text")); /* whole lines */
	} else if (strcmp(command, "status") == 0) {
		show_status(o);
	} else if (strcmp(command, "stacks") == 0) {
		show_stacks(o);
	} else if (strcmp(command, "modules") == 0) {
		show_modules(o);
	} else if (strcmp(command, "reload") == 0) {
		fputs(text_of(o, "text"), stderr); /* warnings */
		printf("generation %lld serves\n", number_of(o, "generation"));
	} else {
		printf("%s\n", text_of(o, "text"));
	}
}

int ctl_remote(const struct ctl *c, const char *command)
{
	struct arena a;
	struct buf answer;
	arena_init(&a, NULL);
	buf_init(&answer, ANSWER_MAX);
	struct str path = socket_path(c, &a);
	int r = ask(path, command, &answer);
	json_t *o =
	    r ? NULL : json_loadb(answer.p ? answer.p : "", answer.n, JSON_REJECT_DUPLICATES, NULL);
	int code = CTL_NOBODY;
	if (!o) {
		fprintf(stderr, "merlonctl: %.*s: %s\n", STR_FMT(path),
		        r ? strerror(-r) : "merlond ended without an answer");
	} else {
		bool ok = json_is_true(json_object_get(o, "ok"));
		code = ok ? 0 : 1;
		if (c->json)
			printf("%.*s", (int)answer.n, answer.p);
		else
			show(command, o, ok);
		json_decref(o);
	}
	buf_deinit(&answer);
	arena_deinit(&a);
	return code;
}
