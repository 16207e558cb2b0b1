/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * merlonctl: options may stand before or after the command; one file a command does the rest.
 */
#include "base/hash.h"
#include "base/stats.h"
#include "ctl/cmd_audit.h"
#include "ctl/cmd_key.h"
#include "ctl/ctl.h"

#include <stdio.h>
#include <string.h>

static void usage(FILE *f)
{
	fputs("usage: merlonctl [-c FILE] [-s SOCKET] [-m DIR] [--json] COMMAND ...\n"
	      "  status                      what merlond is doing\n"
	      "  reload                      load the configuration anew; exit 1 and why, if it is "
	      "refused\n"
	      "  drain                       stop accepting, finish running requests, exit\n"
	      "  stacks                      the stacks that serve\n"
	      "  modules                     the modules that are loaded\n"
	      "  key create|list|rotate|revoke|import --keys FILE ...\n"
	      "  audit verify [--from SEQ:HASH] FILE...\n"
	      "  explain -c FILE --method M --path P [--header 'N: V']... [--body FILE] [--source "
	      "IP]\n",
	      f);
}

static bool is_later(const char *command)
{
	static const char *const later[] = {"limits", "replay", "report", "policy", "top"};
	for (unsigned i = 0; i < sizeof(later) / sizeof(later[0]); i++)
		if (strcmp(command, later[i]) == 0)
			return true;
	return false;
}

static bool is_remote(const char *command)
{
	static const char *const remote[] = {"status", "reload", "drain", "stacks", "modules"};
	for (unsigned i = 0; i < sizeof(remote) / sizeof(remote[0]); i++)
		if (strcmp(command, remote[i]) == 0)
			return true;
	return false;
}

/* Takes our own options out of argv, wherever they stand. -1, or an exit code. */
static int take_options(int *argc, char **argv, struct ctl *c)
{
	int out = 1;
	for (int i = 1; i < *argc; i++) {
		const char **value = strcmp(argv[i], "-c") == 0   ? &c->conf
		                     : strcmp(argv[i], "-s") == 0 ? &c->socket
		                     : strcmp(argv[i], "-m") == 0 ? &c->modules
		                                                  : NULL;
		if (value && i + 1 == *argc) {
			fprintf(stderr, "merlonctl: %s needs a value\n", argv[i]);
			return CTL_USAGE;
		}
		if (value) {
			*value = argv[++i];
		} else if (strcmp(argv[i], "--json") == 0) {
			c->json = true;
		} else if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
			usage(stdout);
			return 0;
		} else if (strcmp(argv[i], "-V") == 0 || strcmp(argv[i], "--version") == 0) {
			puts("merlonctl " PACKAGE_VERSION);
			return 0;
		} else {
			argv[out++] = argv[i];
		}
	}
	argv[out] = NULL;
	*argc = out;
	return -1;
}

static int command(const struct ctl *c, int argc, char **argv)
{
	const char *name = argv[0];
	if (is_remote(name)) {
		if (argc > 1) {
			fprintf(stderr, "merlonctl: %s takes no arguments\n", name);
			return CTL_USAGE;
		}
		return ctl_remote(c, name);
	}
	if (strcmp(name, "key") == 0)
		return ctl_key(argc - 1, argv + 1, c->json);
	if (strcmp(name, "audit") == 0)
		return ctl_audit(argc - 1, argv + 1, c->json);
	if (strcmp(name, "explain") == 0)
		return ctl_explain(c, argc - 1, argv + 1);
	fprintf(stderr,
	        is_later(name) ? "merlonctl: %s is not supported by this version\n"
	                       : "merlonctl: unknown command %s\n",
	        name);
	if (!is_later(name))
		usage(stderr);
	return CTL_USAGE;
}

int main(int argc, char **argv)
{
	struct ctl c = {0};
	int code = take_options(&argc, argv, &c);
	if (code >= 0)
		return code;
	if (argc < 2) {
		usage(stderr);
		return CTL_USAGE;
	}
	hash_init();
	stats_thread(0);
	return command(&c, argc - 1, argv + 1);
}
