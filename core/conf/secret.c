/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Resolves references to secrets. A value is copied into the arena, which wipes it; every buffer on
 * the way is wiped here. Messages name the place and never the value.
 */
#include "conf/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/perm.h"
#include "conf/load.h"

#define SECRET_MAX (64u * 1024u)

bool secret_is_ref(struct str s)
{
	return str_starts(s, STR("file:")) || str_starts(s, STR("env:")) ||
	       str_starts(s, STR("cred:")) || str_starts(s, STR("vault:"));
}

static struct str after(struct str s, size_t n)
{
	return (struct str){s.p + n, s.n - n};
}

static void keep(struct arena *a, struct str value, struct str *out)
{
	*out = arena_str(a, value);
	arena_wipe(a, (char *)(uintptr_t)out->p, out->n);
}

static int read_secret(const char *path, struct buf *b, struct arena *a, struct str *why)
{
	struct stat st;
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		*why = arena_printf(a, "%s: %s", path, strerror(errno));
		return -1;
	}
	int r = perm_check_fd(fd, path);
	if (r != 0) {
		*why = arena_printf(a, "%s: %s", path, r > 0 ? perm_strerror(r) : strerror(-r));
		return -1;
	}
	if (fstat(fd, &st) != 0 || (st.st_mode & S_IROTH)) {
		*why = arena_printf(a, "%s: is readable by others", path);
		return -1;
	}
	r = buf_read(b, fd);
	if (r != 0) {
		*why = arena_printf(a, "%s: %s", path,
		                    r > 0 ? "is too large for a secret" : strerror(-r));
		return -1;
	}
	return 0;
}

static int resolve_file(struct str path, struct arena *a, struct str *out, struct str *why)
{
	struct buf b;
	buf_init(&b, SECRET_MAX);
	int r = read_secret(path.p, &b, a, why);
	if (r == 0) {
		struct str v = buf_str(&b);
		if (v.n > 0 && v.p[v.n - 1] == '\n')
			v.n -= v.n > 1 && v.p[v.n - 2] == '\r' ? 2 : 1;
		if (v.n == 0) {
			*why = arena_printf(a, "%s: is empty", path.p);
			r = -1;
		} else {
			keep(a, v, out);
		}
	}
	buf_wipe(&b);
	buf_deinit(&b);
	return r;
}

static int resolve_env(struct str name, struct arena *a, struct str *out, struct str *why)
{
	struct str z = arena_str(a, name);
	const char *v = getenv(z.p);
	if (!v || !*v) {
		*why =
		    arena_printf(a, "environment variable %s is %s", z.p, v ? "empty" : "not set");
		return -1;
	}
	keep(a, str_of(v), out);
	return 0;
}

static int resolve_cred(struct str name, struct arena *a, struct str *out, struct str *why)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	if (str_find(name, '/') >= 0 || name.p[0] == '.') {
		*why = arena_printf(a, "cred:%.*s is not the name of a credential", STR_FMT(name));
		return -1;
	}
	if (!dir || dir[0] != '/') {
		*why = arena_printf(
		    a, "cred:%.*s needs CREDENTIALS_DIRECTORY, which the service manager sets",
		    STR_FMT(name));
		return -1;
	}
	return resolve_file(arena_printf(a, "%s/%.*s", dir, STR_FMT(name)), a, out, why);
}

int secret_resolve(struct str ref, const struct conf_node *at, struct arena *a, struct str *out,
                   struct str *why)
{
	ptrdiff_t colon = str_find(ref, ':');
	*out = STR_NONE;
	if (!secret_is_ref(ref)) {
		*why = STR("is not a reference (file:, env: or cred:)");
		return -1;
	}
	struct str name = after(ref, (size_t)colon + 1);
	if (name.n == 0 || memchr(name.p, '\0', name.n)) {
		*why = arena_printf(a, "%.*s: needs a name behind it", (int)colon, ref.p);
		return -1;
	}
	if (str_starts(ref, STR("file:")))
		return resolve_file(conf_path(at, name, a), a, out, why);
	if (str_starts(ref, STR("env:")))
		return resolve_env(name, a, out, why);
	if (str_starts(ref, STR("cred:")))
		return resolve_cred(name, a, out, why);
	*why = STR("vault: references are not supported by this version");
	return -1;
}

static int expand_one(struct str *text, const struct conf_node *at, struct arena *a, struct buf *b,
                      struct str *why)
{
	ptrdiff_t close = str_find(*text, '}');
	struct str value;
	if (close < 0) {
		*why = STR("a reference is not closed by \"}\"");
		return -1;
	}
	struct str ref = {text->p + 2, (size_t)close - 2};
	if (secret_resolve(ref, at, a, &value, why) != 0)
		return -1;
	*text = after(*text, (size_t)close + 1);
	if (buf_adds(b, value) != 0) {
		*why = STR("is too large with its references");
		return -1;
	}
	return 0;
}

int secret_expand(struct str text, const struct conf_node *at, struct arena *a, struct str *out,
                  bool *had, struct str *why)
{
	struct buf b;
	int r = 0;
	*had = false;
	*out = STR_NONE;
	buf_init(&b, SECRET_MAX);
	while (r == 0 && text.n > 0) {
		if (str_starts(text, STR("${"))) {
			*had = true;
			r = expand_one(&text, at, a, &b, why);
			continue;
		}
		if (buf_add(&b, text.p, 1) != 0) {
			*why = STR("is too large");
			r = -1;
		}
		text = after(text, 1);
	}
	if (r == 0)
		keep(a, buf_str(&b), out);
	buf_wipe(&b);
	buf_deinit(&b);
	return r;
}
