/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Loading builds. Every build stays in a list of the process for good, the refused ones too: the
 * dynamic linker may not be able to let go of an object, and hands an old one back for a name it
 * knows, so the descriptor behind the name must never be closed. Control thread only.
 */
#include "stack/module.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/perm.h"
#include "stack/options.h"

#define MODULE_MAX ((size_t)64 << 20)
#define SLOT_MAX 4096
#define NAMES_MAX 256 /* files looked at for "did you mean" */
#define GROUPS_ALL (MERLON_AUTH | MERLON_AUTHZ | MERLON_RATELIMIT | MERLON_FILTER | MERLON_AUDIT)
#define CODES_ALL (MERLON_BIT(MERLON_CODE_MAX + 1) - 2)
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

struct loaded {
	struct build b;
	char *
	    refusal; /* the object was loaded and is no good; said again without loading it again */
	struct merlon_module own; /* the descriptor, what this host does not know of left out and a
	                             missing tail zero */
};

static struct list builds = {&builds, &builds};
static unsigned nbuilds;

static bool name_ok(struct str name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_')
			return false;
	}
	return name.n > 0 && name.n < sizeof(((struct build *)NULL)->name);
}

static char *file_of(struct str dir, struct str name)
{
	return xasprintf("%.*s/%.*s.so", STR_FMT(dir), STR_FMT(name));
}

/* ---- what is wrong with the file's name ---- */
static void say_missing(struct str dir, struct str name, const char *path,
                        const struct conf_node *at, struct conf_diag *d)
{
	char *names[NAMES_MAX];
	size_t n = 0;
	_cleanup_(xfreep) char *folder = str_dup(dir);
	_cleanup_(xfreep) char *word = str_dup(name);
	DIR *open_dir = opendir(folder);
	struct dirent *e;

	while (open_dir && n < NAMES_MAX && (e = readdir(open_dir))) {
		struct str s = str_of(e->d_name);

		if (!str_ends(s, STR(".so")))
			continue;
		s.n -= 3;
		if (name_ok(s))
			names[n++] = str_dup(s);
	}
	if (open_dir)
		closedir(open_dir);
	const char *near = str_suggest(name, (const char *const *)(void *)names, n);
	if (near)
		conf_error(d, at, "there is no module \"%s\" (%s); did you mean \"%s\"?", word,
		           path, near);
	else
		conf_error(d, at, "there is no module \"%s\" (%s)", word, path);
	while (n > 0)
		free(names[--n]);
}

static bool read_module(struct str dir, struct str name, const char *path,
                        const struct conf_node *at, struct conf_diag *d, struct buf *out)
{
	int r = perm_read_file(path, MODULE_MAX, out);

	if (r == -ENOENT)
		say_missing(dir, name, path, at, d);
	else if (r)
		conf_error(d, at, "module file %s%s %s", path, r < 0 ? ":" : "", perm_strerror(r));
	return r == 0;
}

static void hash_of(const struct buf *file, char hex[SHA256_HEX + 1])
{
	uint8_t sum[SHA256_LEN];

	sha256(buf_str(file), sum);
	hex_encode(sum, sizeof(sum), hex);
	hex[SHA256_HEX] = '\0';
}

/* ---- the note: everything that can be known before any code of the module runs ---- */
static bool check_note(const struct note_info *i, const char *path, const struct conf_node *at,
                       struct conf_diag *d)
{
	if (i->major != MERLON_ABI_MAJOR) {
		conf_error(d, at,
		           "%s is built for module ABI %u.%u and this merlond offers %d.%d: %s",
		           path, i->major, i->minor, MERLON_ABI_MAJOR, MERLON_ABI_MINOR,
		           i->major > MERLON_ABI_MAJOR
		               ? "install a newer merlond, or the module's build for this one"
		               : "install the module's build for this merlond");
		return false;
	}
	if (i->least_minor > MERLON_ABI_MINOR) {
		conf_error(d, at,
		           "%s needs module ABI %u.%u and this merlond offers %d.%d: install a "
		           "newer merlond",
		           path, i->major, i->least_minor, MERLON_ABI_MAJOR, MERLON_ABI_MINOR);
		return false;
	}
	return true;
}

/* ---- the descriptor ---- */
static bool zero_tail(const struct merlon_module *m)
{
	const uint8_t *p = (const uint8_t *)m;

	for (size_t i = sizeof(*m); i < m->size; i++) {
		if (p[i])
			return false;
	}
	return true;
}

static const char *check_hooks(const struct merlon_module *m)
{
	if ((m->groups & (MERLON_AUTH | MERLON_AUTHZ | MERLON_RATELIMIT)) && !m->check)
		return "has no check hook";
	if ((m->groups & MERLON_FILTER) && !m->head)
		return "has no head hook";
	if ((m->groups & MERLON_AUDIT) && !m->audit_open && !m->audit_close)
		return "has neither audit_open nor audit_close";
	return NULL;
}

static const char *check_numbers(const struct merlon_module *m, const struct note_info *i)
{
	if (m->major != i->major || m->minor != i->minor || m->least_minor != i->least_minor)
		return "tells another ABI than its note";
	if (m->groups != i->groups || m->flags != i->flags)
		return "tells other groups or flags than its note";
	if (m->groups == 0 || (m->groups & ~GROUPS_ALL))
		return "names no group that this merlond knows, or one that it does not know";
	if (m->flags & ~MERLON_GRANTOR)
		return "has flags that this merlond does not know";
	if (m->codes & MERLON_BIT(MERLON_TIMEOUT))
		return "lists the code TIMEOUT, which is the host's alone";
	if (m->codes == 0 || (m->codes & ~CODES_ALL))
		return "lists no code, or one that this merlond does not know";
	if (m->slot_size > SLOT_MAX)
		return "asks for a slot over 4096 bytes";
	return NULL;
}

static const char *check_descriptor(struct loaded *l, const struct merlon_module *m,
                                    const struct note_info *i)
{
	const char *why;

	if (!m)
		return "gives no descriptor";
	if (m->size < offsetof(struct merlon_module, create) || m->size > 65536)
		return "has a descriptor of a size that cannot be";
	if (m->size > sizeof(*m) && !zero_tail(m))
		return "uses parts of the ABI that this merlond does not know";
	memcpy(&l->own, m, m->size < sizeof(*m) ? m->size : sizeof(*m));
	l->b.m = m = &l->own;
	if (!m->name || strcmp(m->name, l->b.name) != 0)
		return "has another name than its file";
	if (!m->version || !m->license || !m->summary)
		return "lacks a version, a license or a summary";
	why = check_numbers(m, i);
	if (!why)
		why = check_hooks(m);
	return why ? why : options_table_check(m);
}

/* ---- the private object ---- */
static int seal_copy(const char *name, const struct buf *file)
{
	/* Newer kernels want to be told that it will be mapped executable; older ones refuse the
	 * flag. */
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	size_t at = 0;
	int r = 0;

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_origin(-errno);
	while (r == 0 && at < file->n) {
		ssize_t n = write(fd, file->p + at, file->n - at);

		if (n > 0)
			at += (size_t)n;
		else if (n == 0 || errno != EINTR)
			r = n == 0 ? -EIO : -errno;
	}
	if (r == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return err_origin(r);
	}
	return fd;
}

static const char *enter(struct loaded *l, void *object, const struct note_info *i,
                         const struct merlon_host *host)
{
	const struct merlon_module *(*entry)(const struct merlon_host *);
	void *symbol = dlsym(object, MERLON_ENTRY);

	if (!symbol)
		return "does not export " MERLON_ENTRY "()";
	/* POSIX lets a function stand in a void *, ISO C does not */
	memcpy(&entry, &symbol, sizeof(entry));
	return check_descriptor(l, entry(host), i);
}

static struct loaded *load_new(struct str name, const char hash[SHA256_HEX + 1],
                               const struct buf *file, const struct note_info *i, const char *path,
                               const struct merlon_host *host, const struct conf_node *at,
                               struct conf_diag *d)
{
	_cleanup_(xfreep) char *label = xasprintf("%.*s-%.16s", STR_FMT(name), hash);
	_cleanup_(closep) int fd = seal_copy(label, file);
	char link[64];
	const char *why;

	if (fd < 0) {
		conf_error(d, at, "module file %s cannot be copied to memory: %s", path,
		           strerror(-fd));
		return NULL;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	void *object = dlopen(link, RTLD_NOW | RTLD_LOCAL);
	if (!object) {
		const char *text = dlerror();
		/* The linker begins its message with the private name, which says nothing to a
		 * reader. */
		if (text && str_starts(str_of(text), str_of(link)))
			text += strlen(link) + strspn(text + strlen(link), ": ");
		conf_error(d, at, "module file %s cannot be loaded: %s", path,
		           text ? text : "unknown reason");
		return NULL;
	}
	struct loaded *l = xcalloc(1, sizeof(*l));
	memcpy(l->b.name, name.p, name.n);
	memcpy(l->b.hash, hash, SHA256_HEX + 1);
	l->b.fd = fd;
	fd = -1;
	list_add(&builds, &l->b.node);
	nbuilds++;
	why = enter(l, object, i, host);
	if (why)
		l->refusal = xstrdup(why);
	return l;
}

static struct loaded *find(struct str name, const char *hash)
{
	list_each(it, &builds)
	{
		struct loaded *l = list_entry(it, struct loaded, b.node);

		if (str_eq(str_of(l->b.name), name) && strcmp(l->b.hash, hash) == 0)
			return l;
	}
	return NULL;
}

struct build *build_load(struct str dir, struct str name, const struct merlon_host *host,
                         const struct conf_node *at, struct conf_diag *d)
{
	char hash[SHA256_HEX + 1];
	struct note_info info;
	struct build *out = NULL;
	const char *why;

	if (!name_ok(name)) {
		conf_error(d, at,
		           "\"%.*s\" cannot be a module's name: a-z, 0-9 and _ only, up to 63",
		           STR_FMT(name));
		return NULL;
	}
	_cleanup_(xfreep) char *path = file_of(dir, name);
	_cleanup_(buf_deinit) struct buf file;
	buf_init(&file, MODULE_MAX + 1);
	if (!read_module(dir, name, path, at, d, &file))
		return NULL;
	hash_of(&file, hash);
	struct loaded *l = find(name, hash);
	if (!l) {
		if (elfnote_read((const uint8_t *)file.p, file.n, &info, &why)) {
			conf_error(d, at, "module file %s %s", path, why);
			return NULL;
		}
		if (!check_note(&info, path, at, d))
			return NULL;
		if (nbuilds >= BUILDS_MAX) {
			conf_error(d, at,
			           "module file %s is new, and this process has loaded %d builds "
			           "of modules: restart merlond",
			           path, BUILDS_MAX);
			return NULL;
		}
		l = load_new(name, hash, &file, &info, path, host, at, d);
	}
	if (l && l->refusal)
		conf_error(d, at, "module file %s %s", path, l->refusal);
	else if (l)
		out = &l->b;
	return out;
}

bool build_file_hash(struct str dir, struct str name, char hex[SHA256_HEX + 1])
{
	_cleanup_(buf_deinit) struct buf file;

	buf_init(&file, MODULE_MAX + 1);
	if (!name_ok(name))
		return false;
	_cleanup_(xfreep) char *path = file_of(dir, name);
	if (perm_read_file(path, MODULE_MAX, &file))
		return false;
	hash_of(&file, hex);
	return true;
}

unsigned build_count(void)
{
	return nbuilds;
}

void build_each(void (*fn)(void *arg, const struct build *b), void *arg)
{
	list_each(it, &builds)
	{
		const struct loaded *l = list_entry(it, struct loaded, b.node);

		if (!l->refusal)
			fn(arg, &l->b);
	}
}
