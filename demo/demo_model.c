/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * merlon-demo-model: a small upstream that speaks OpenAI's API without a model behind it, for the
 * quickstart, the tests and the benchmarks. This file owns the options and the process.
 */
#include "demo.h"

#include "config.h"

#include "base/clock.h"
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXIT_USAGE 64
#define EXIT_ADDRESS 69
#define DEMO_DEFAULT_CHUNKS 8

static void usage(FILE *f)
{
	fputs("usage: merlon-demo-model [-l ADDRESS] [-n CHUNKS] [-d DELAY] [-D DELAY] [-hV]\n"
	      "  -l  address to listen on (127.0.0.1:8000)\n"
	      "  -n  chunks of a streamed answer (8)\n"
	      "  -d  time between two chunks, such as 5ms (0)\n"
	      "  -D  time before an answer begins (0)\n",
	      f);
}

static void accepted(void *arg, int fd, const struct sockaddr *peer, socklen_t len)
{
	(void)peer;
	(void)len;
	demo_conn_new(arg, fd);
}

static void stop(void *arg)
{
	loop_stop(arg);
}

static int listen_on(struct demo *d, struct str address, struct listener **ln)
{
	struct net_addr addr;
	int fd = -1;
	if (!net_addr_parse(address, &addr)) {
		fprintf(stderr, "merlon-demo-model: '%.*s' is no address\n", STR_FMT(address));
		return EXIT_USAGE;
	}
	int r = listener_bind(&addr, 1, 1024, &fd);
	if (r) {
		fprintf(stderr, "merlon-demo-model: cannot listen on %.*s: %s\n", STR_FMT(address),
		        strerror(-r));
		return EXIT_ADDRESS;
	}
	*ln = listener_start(d->loop, fd, accepted, d);
	/* Told on stdout so that a script can ask for port 0 and learn which it got. */
	printf("merlon-demo-model: listening on port %d\n", listener_port(fd));
	fflush(stdout);
	return 0;
}

static int parse_options(int argc, char **argv, struct demo *d, struct str *address)
{
	int c;
	while ((c = getopt(argc, argv, "l:n:d:D:hV")) != -1) {
		bool ok = true;
		switch (c) {
		case 'l':
			*address = str_of(optarg);
			break;
		case 'n':
			ok = str_u64(str_of(optarg), &d->defaults.chunks) &&
			     d->defaults.chunks <= DEMO_CHUNKS_MAX;
			break;
		case 'd':
			ok = str_duration(str_of(optarg), &d->defaults.delay_ns);
			break;
		case 'D':
			ok = str_duration(str_of(optarg), &d->defaults.wait_ns);
			break;
		case 'h':
			usage(stdout);
			exit(0);
		case 'V':
			puts("merlon-demo-model " PACKAGE_VERSION);
			exit(0);
		default:
			return EXIT_USAGE;
		}
		if (!ok) {
			fprintf(stderr, "merlon-demo-model: -%c does not take '%s'\n", c, optarg);
			return EXIT_USAGE;
		}
	}
	return optind < argc ? EXIT_USAGE : 0;
}

int main(int argc, char **argv)
{
	struct demo d = {.defaults = {.chunks = DEMO_DEFAULT_CHUNKS}};
	struct str address = STR("127.0.0.1:8000");
	int r = parse_options(argc, argv, &d, &address);
	if (r) {
		usage(stderr);
		return r;
	}
	signal(SIGPIPE, SIG_IGN);
	block_pool_init(&d.blocks, 256);
	arena_pool_init(&d.pages, 256);
	buf_init(&d.last_head, DEMO_HEAD_MAX);
	buf_init(&d.last_body, DEMO_HEAD_MAX);
	d.loop = loop_new();
	struct listener *ln = NULL;
	r = listen_on(&d, address, &ln);
	if (r)
		return r;
	if (loop_signal(d.loop, SIGTERM, stop, d.loop) || loop_signal(d.loop, SIGINT, stop, d.loop))
		return EXIT_FAILURE;
	loop_run(d.loop);
	/* Open connections go with the process: there is nothing of theirs to save. */
	fflush(stdout);
	_exit(0);
}
