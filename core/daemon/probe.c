/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Probing: see probe.h.
 */
#include "daemon/probe.h"

#include "base/clock.h"
#include "base/perm.h"
#include "conf/load.h"
#include "stack/module.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROBE_NS (10 * NS_PER_S)
#define PROBE_TEXT_MAX (256 * 1024)
#define OPTION_FILE_MAX (64 * 1024 * 1024)

extern char **environ;

struct probe {
	struct loop *l;
	pid_t pid;
	int fd; /* the child's stderr; its end is the child's end */
	struct loop_io *io;
	struct loop_timer timer;
	bool timed_out;
	struct buf text;
	probe_done_fn *done;
	void *arg;
};

/* How the child ended, where it did not say. */
static bool probe_verdict(struct probe *p, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	int r = 0;
	if (p->timed_out)
		r = buf_addf(&p->text,
		             "the probe was still busy with a module's create after 10 s\n");
	else if (WIFSIGNALED(status))
		r = buf_addf(&p->text,
		             "the probe ended by signal %d (%s) while it loaded the modules\n",
		             WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (p->text.n == 0)
		r = buf_addf(&p->text, "the probe ended with exit code %d and without a word\n",
		             WEXITSTATUS(status));
	return r < 0;
}

static void probe_end(struct probe *p)
{
	int status = 0;
	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	bool ok = probe_verdict(p, status);
	loop_timer_drop(p->l, &p->timer);
	loop_io_free(p->io);
	close(p->fd);
	if (buf_add(&p->text, "", 1) && p->text.n)
		p->text.p[p->text.n - 1] = 0;
	p->done(p->arg, ok, p->text.p ? p->text.p : "");
	buf_deinit(&p->text);
	free(p);
}

static void probe_readable(void *arg, unsigned ready)
{
	(void)ready;
	struct probe *p = arg;
	char chunk[4096];
	ssize_t n = read(p->fd, chunk, sizeof(chunk));
	if (n > 0) {
		if (buf_add(&p->text, chunk, (size_t)n))
			kill(p->pid, SIGKILL); /* no module has that much to say */
	} else if (n == 0 || errno != EINTR) {
		probe_end(p);
	}
}

static void probe_timeout(void *arg)
{
	struct probe *p = arg;
	p->timed_out = true;
	kill(p->pid, SIGKILL);
}

static pid_t probe_spawn(const char *conf_path, const char *module_dir, int out)
{
	char exe[] = "/proc/self/exe";
	char name[] = "merlond";
	char opt_probe[] = "--probe";
	char opt_c[] = "-c";
	char opt_m[] = "-m";
	char *path = xstrdup(conf_path);
	char *dir = module_dir ? xstrdup(module_dir) : NULL;
	char *argv[] = {name, opt_probe, opt_c, path, dir ? opt_m : NULL, dir, NULL};
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none;
	sigemptyset(&none);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&fa, out, 1);
	posix_spawn_file_actions_adddup2(&fa, out, 2);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	pid_t pid = -1;
	if (posix_spawn(&pid, exe, &fa, &attr, argv, environ))
		pid = -1;
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&attr);
	free(path);
	free(dir);
	return pid;
}

struct probe *probe_start(struct loop *l, const char *conf_path, const char *module_dir,
                          probe_done_fn *done, void *arg)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC))
		return NULL;
	pid_t pid = probe_spawn(conf_path, module_dir, fds[1]);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return NULL;
	}
	struct probe *p = xcalloc(1, sizeof(*p));
	p->l = l;
	p->pid = pid;
	p->fd = fds[0];
	p->done = done;
	p->arg = arg;
	buf_init(&p->text, PROBE_TEXT_MAX);
	p->io = loop_io_new_level(l, p->fd, LOOP_READ, probe_readable, p);
	loop_timer_init(&p->timer, probe_timeout, p);
	loop_timer_in(l, &p->timer, PROBE_NS);
	return p;
}

/* Any text of an option may name a file: what is in it then decides how the module behaves. */
static void print_files(const struct conf_node *n, struct arena *a, struct digest *dg)
{
	for (const struct conf_node *c = n ? n->child : NULL; c; c = c->next) {
		print_files(c, a, dg);
		if (c->type != CONF_STRING || c->u.s.n == 0 || c->u.s.n > 4096)
			continue;
		struct str name = c->u.s;
		if (str_starts(name, STR("file:")))
			name = (struct str){name.p + 5, name.n - 5};
		struct str path = conf_path(c, name, a);
		struct buf b;
		buf_init(&b, OPTION_FILE_MAX);
		if (perm_read_file(path.p, OPTION_FILE_MAX, &b) == 0)
			digest_add(dg, buf_str(&b));
		buf_wipe(&b);
		buf_deinit(&b);
	}
}

void probe_fingerprint(const struct conf *c, char hex[SHA256_HEX + 1])
{
	struct arena a;
	arena_init(&a, NULL);
	struct digest *dg = digest_new(STR_NONE);
	digest_add(dg, c->module_dir);
	const struct conf_node *stacks = conf_child(c->root, STR("stacks"));
	if (stacks)
		conf_digest(stacks, dg);
	for (unsigned s = 0; s < c->nstacks; s++)
		for (unsigned g = 0; g < G_COUNT; g++)
			for (unsigned i = 0; i < c->stacks[s].group[g].nlines; i++) {
				const struct conf_line *l = &c->stacks[s].group[g].lines[i];
				char file[SHA256_HEX + 1] = "";
				if (l->module.n && build_file_hash(c->module_dir, l->module, file))
					digest_add(dg, str_of(file));
				print_files(l->options, &a, dg);
			}
	uint8_t sum[SHA256_LEN];
	digest_get(dg, sum);
	digest_free(dg);
	hex_encode(sum, sizeof(sum), hex);
	hex[SHA256_HEX] = 0;
	arena_deinit(&a);
}
