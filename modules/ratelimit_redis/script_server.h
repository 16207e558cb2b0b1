/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A redis-server of a test's own, on a unix socket in a folder of its own, and one connection to
 * it. It ends with the test.
 */
#ifndef RATELIMIT_REDIS_SCRIPT_SERVER_H
#define RATELIMIT_REDIS_SCRIPT_SERVER_H

#include "resp.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];
static pid_t server;
static int sock = -1;
static void *dec;

static inline void run_server(int out)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/redis.sock", dir);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(out, 1);
	execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path, "--dir", dir,
	       "--save", "", "--appendonly", "no", NULL);
	_exit(127);
}

/* It says so when it is ready; its end closes the pipe. */
static inline bool server_ready(int out)
{
	char text[16384];
	size_t n = 0;

	while (n < sizeof(text) - 1) {
		const ssize_t r = read(out, text + n, sizeof(text) - 1 - n);
		if (r <= 0)
			return false;
		n += (size_t)r;
		text[n] = '\0';
		if (strstr(text, "eady to accept connections"))
			return true;
	}
	return false;
}

static inline bool start_server(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int out[2];

	snprintf(dir, sizeof(dir), "%s", "/tmp/merlon-script-XXXXXX");
	if (!mkdtemp(dir) || pipe2(out, O_CLOEXEC) != 0)
		return false;
	server = fork();
	if (server == 0)
		run_server(out[1]);
	close(out[1]);
	if (server < 0 || !server_ready(out[0]))
		return false;
	/* The read end stays open: what the server says would end it otherwise. */
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/redis.sock", dir);
	return connect(sock, (struct sockaddr *)&addr, sizeof(addr)) == 0;
}

static inline void stop_server(void)
{
	char path[128];

	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	snprintf(path, sizeof(path), "%s/redis.sock", dir);
	unlink(path);
	rmdir(dir);
	close(sock);
	resp_decoder_free(dec);
}

static inline struct resp *command(const struct merlon_str *argv, unsigned argc)
{
	struct merlon_str bytes = {NULL, 0};
	char in[4096];
	void *msg = NULL;
	int32_t r;

	resp_command(&bytes, argv, argc);
	for (uint64_t at = 0; at < bytes.len;) {
		const ssize_t n = write(sock, bytes.ptr + at, bytes.len - at);
		if (n <= 0)
			exit(1);
		at += (uint64_t)n;
	}
	resp_wipe(&bytes);
	while ((r = resp_decode(dec, (struct merlon_str){NULL, 0}, &msg)) == 0) {
		const ssize_t n = read(sock, in, sizeof(in));
		if (n <= 0)
			exit(1);
		r = resp_decode(dec, (struct merlon_str){in, (uint64_t)n}, &msg);
		if (r != 0)
			break;
	}
	if (r != 1)
		exit(1);
	return msg;
}

static inline struct resp *plain(const char *a, const char *b)
{
	const struct merlon_str argv[] = {txt_of(a), txt_of(b)};

	return command(argv, b ? 2 : 1);
}

#endif
