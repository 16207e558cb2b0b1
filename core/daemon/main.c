/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * merlond: options, exit codes, and the things that are done once a process.
 */
#include "base/hash.h"
#include "base/log.h"
#include "conf/load.h"
#include "daemon/descriptors.h"
#include "daemon/gateway.h"
#include "daemon/reload.h"
#include "stack/instance.h"
#include "tx/handle.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_CONF MERLON_SYSCONFDIR "/merlon/merlon.conf"

struct options {
	const char *conf;
	const char *modules;
	const char *pidfile;
	bool test;
	bool print;
	bool daemon;
	bool probe;
};

static void usage(FILE *f)
{
	fputs("usage: merlond [-c FILE] [-t] [-T] [-f|-d] [-m DIR] [-p PIDFILE] [-V] [-h]\n"
	      "  -c FILE     configuration (default " DEFAULT_CONF ")\n"
	      "  -t          check the configuration, its modules and stacks, and exit\n"
	      "  -T          print the effective configuration, secrets redacted, and exit\n"
	      "  -f          stay in the foreground (default)\n"
	      "  -d          become a daemon once it serves\n"
	      "  -m DIR      look for modules here\n"
	      "  -p PIDFILE  write the process's number into this file\n"
	      "  -V          print the version and exit\n"
	      "  -h          print this and exit\n",
	      f);
}

/* A module that crashes leaves its name behind. Async-signal-safe. */
static void on_crash(int signo)
{
	static const char before[] = "merlond: crashed in module hook: ";
	const char *where = hook_breadcrumb();
	if (where && *where) {
		ssize_t n = write(2, before, sizeof(before) - 1);
		n = write(2, where, strlen(where));
		n = write(2, "\n", 1);
		(void)n;
	}
	signal(signo, SIG_DFL);
	raise(signo);
}

/* Promise P9: no secret in a core dump, nor for a debugger of the same user. */
static void harden(void)
{
#ifndef MERLON_SANITIZED
	struct rlimit none = {0, 0};
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
	struct sigaction sa = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};
	for (unsigned i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		sigaction(fatal[i], &sa, NULL);
}

/* ---- -T ---- */
struct secret_arg {
	const struct conf *c;
	struct conf_diag d;
};

static bool is_secret(void *arg, struct str module, struct str key)
{
	struct secret_arg *s = arg;
	struct build *b = build_load(s->c->module_dir, module, &host_table, s->c->root, &s->d);
	/* What cannot be asked about is not shown. */
	return b ? options_is_secret(b->m, key) : true;
}

static int print_conf(const struct options *o)
{
	struct secret_arg s;
	conf_diag_init(&s.d);
	struct conf *c = conf_load(o->conf, o->modules, &s.d);
	s.c = c;
	if (!c) {
		fwrite(s.d.text.p, 1, s.d.text.n, stderr);
		conf_diag_deinit(&s.d);
		return EXIT_CONFIG;
	}
	struct buf b;
	buf_init(&b, (size_t)64 * 1024 * 1024);
	int r = conf_print(c, is_secret, &s, &b);
	if (r == 0)
		fwrite(b.p, 1, b.n, stdout);
	buf_deinit(&b);
	conf_diag_deinit(&s.d);
	conf_free(c);
	return r ? EXIT_INTERNAL : 0;
}

/* ---- serving ---- */
struct serving {
	const struct options *o;
	int tell;    /* pipe to the parent of a daemon, or -1 */
	int pidfile; /* open, not written yet; or -1 */
	bool served;
};

/* Opened first, so that a bad path ends the start; written when this process serves, so that one
 * that fails to start leaves alone what another has written. */
static int open_pidfile(struct serving *s)
{
	if (!s->o->pidfile)
		return 0;
	s->pidfile = open(s->o->pidfile, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (s->pidfile >= 0)
		return 0;
	fprintf(stderr, "merlond: %s: %s\n", s->o->pidfile, strerror(errno));
	return EXIT_FILE;
}

static void write_pidfile(struct serving *s)
{
	if (s->pidfile < 0)
		return;
	char text[32];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (ftruncate(s->pidfile, 0) || write(s->pidfile, text, (size_t)n) != n)
		fprintf(stderr, "merlond: %s: %s\n", s->o->pidfile, strerror(errno));
}

static void on_notify(void *arg, int code)
{
	struct serving *s = arg;
	if (code == 0) {
		s->served = true;
		write_pidfile(s);
	}
	if (s->tell < 0)
		return;
	unsigned char byte = (unsigned char)code;
	ssize_t n = write(s->tell, &byte, 1);
	(void)n;
	close(s->tell);
	s->tell = -1;
	if (code)
		return;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
	}
}

static int serve(const struct options *o, int tell)
{
	static struct gateway g; /* too large for a stack, and there is one */
	struct serving s = {.o = o, .tell = tell, .pidfile = -1};
	int code = open_pidfile(&s);
	if (code == 0)
		code = gateway_run(&g, o->conf, o->modules, on_notify, &s);
	else
		on_notify(&s, code);
	if (s.pidfile >= 0) {
		struct stat st;
		if (s.served || (fstat(s.pidfile, &st) == 0 && st.st_size == 0))
			unlink(o->pidfile);
		close(s.pidfile);
	}
	return code;
}

/* The parent waits until the child serves, so that its exit code tells the truth. */
static int serve_daemon(const struct options *o)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC))
		return EXIT_INTERNAL;
	pid_t pid = fork();
	if (pid < 0)
		return EXIT_INTERNAL;
	if (pid == 0) {
		close(fds[0]);
		setsid();
		_exit(serve(o, fds[1]));
	}
	close(fds[1]);
	unsigned char code = EXIT_INTERNAL;
	ssize_t n;
	do
		n = read(fds[0], &code, 1);
	while (n < 0 && errno == EINTR);
	return n == 1 ? code : EXIT_INTERNAL;
}

/* Options of later versions are refused by getopt like any other unknown one. Answers -1 to go on.
 */
static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {{"probe", no_argument, NULL, 1},
	                                      {"help", no_argument, NULL, 'h'},
	                                      {"version", no_argument, NULL, 'V'},
	                                      {0}};
	int opt;
	bool foreground = false;
	while ((opt = getopt_long(argc, argv, "c:tTfdm:p:Vh", longs, NULL)) != -1) {
		switch (opt) {
		case 'c':
			o->conf = optarg;
			break;
		case 't':
			o->test = true;
			break;
		case 'T':
			o->print = true;
			break;
		case 'f':
			foreground = true;
			break;
		case 'd':
			o->daemon = true;
			break;
		case 'm':
			o->modules = optarg;
			break;
		case 'p':
			o->pidfile = optarg;
			break;
		case 1:
			o->probe = true;
			break;
		case 'V':
			printf("merlond %s (module ABI %d.%d)\n", PACKAGE_VERSION, MERLON_ABI_MAJOR,
			       MERLON_ABI_MINOR);
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc || (foreground && o->daemon)) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return -1;
}

int main(int argc, char **argv)
{
	struct options o = {.conf = DEFAULT_CONF};
	int code = parse(argc, argv, &o);
	if (code >= 0)
		return code;
	umask(077);
	hash_init();
	harden();
	descriptors_raise();
	if (o.test || o.probe)
		return reload_check(o.conf, o.modules, o.probe);
	if (o.print)
		return print_conf(&o);
	return o.daemon ? serve_daemon(&o) : serve(&o, -1);
}
