/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Reads files into one text with a map of its lines, lets libconfig parse that text, and copies the
 * result into our own tree. Files are read once, from a checked descriptor; texts are wiped, since
 * secrets may stand in them. The tree belongs to the caller's arena.
 */
#include "conf/load.h"

#include <errno.h>
#include <libconfig.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/perm.h"
#include "conf/scan.h"

#ifdef MERLON_SANITIZED
/* libconfig drops the string that it has in hand at a syntax error; no build but this one would
 * notice. */
const char *__lsan_default_suppressions(void) __attribute__((visibility("default")));
const char *__lsan_default_options(void) __attribute__((visibility("default")));
const char *__lsan_default_options(void)
{
	return "print_suppressions=0"; /* tests compare what stands on stderr */
}
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig_yylex\nleak:strbuf_append\n";
}
#endif

#define FILE_MAX (16u * 1024u * 1024u)
#define INCLUDE_DEPTH 4
#define INCLUDE_COUNT 256

/* ---- names of files: kept, since nodes and log lines point to them ---- */
struct name {
	struct name *next;
	char text[];
};
static struct name *names;
static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;

static const char *keep_name(const char *file)
{
	pthread_mutex_lock(&names_lock);
	struct name *n = names;
	while (n && strcmp(n->text, file) != 0)
		n = n->next;
	if (!n) {
		size_t len = strlen(file) + 1;
		n = xmalloc(sizeof(*n) + len);
		memcpy(n->text, file, len);
		n->next = names;
		names = n;
	}
	pthread_mutex_unlock(&names_lock);
	return n->text;
}

/* ---- one text of many files ---- */
struct place {
	const char *file;
	unsigned line;
};
struct reader {
	struct buf text;
	struct place *map; /* one entry a line of text */
	size_t nmap;
	size_t cap;
	bool includes;
	unsigned count;             /* of included files */
	const struct conf_node *at; /* the setting that names the first file; NULL: none does */
	struct str what;            /* that setting, for messages */
	struct conf_diag *d;
};
struct source {
	const char *file;
	const struct source *from; /* the file that includes this one */
	unsigned from_line;
	unsigned level;
	char *real; /* for finding circles; NULL for a text from memory */
};

static void map_line(struct reader *r, const char *file, unsigned line)
{
	if (r->nmap == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 256;
		r->map = xrealloc(r->map, r->cap * sizeof(*r->map));
	}
	r->map[r->nmap++] = (struct place){file, line};
}

/* Adds a piece that begins at `line` of `file` as lines of their own. */
static void add_piece(struct reader *r, const char *file, unsigned line, struct str piece)
{
	while (piece.n > 0) {
		const char *nl = memchr(piece.p, '\n', piece.n);
		size_t n = nl ? (size_t)(nl - piece.p) : piece.n;
		map_line(r, file, line++);
		if (buf_add(&r->text, piece.p, n) != 0 || buf_add(&r->text, "\n", 1) != 0) {
			conf_error_at(r->d, file, 0,
			              "is larger than %u MiB with all that it includes",
			              FILE_MAX / 1024 / 1024);
			return;
		}
		n += nl ? 1 : 0;
		piece.p += n;
		piece.n -= n;
	}
}

static void read_text(struct reader *r, const struct source *src, struct str text, unsigned *depth);

static void say_unread(struct reader *r, const struct source *src, int result)
{
	const char *why = result > 0 ? perm_strerror(result) : strerror(-result);
	if (src->from)
		conf_error_at(r->d, src->from->file, src->from_line, "@include \"%s\": %s",
		              src->file, why);
	else if (r->at)
		conf_error(r->d, r->at, "%.*s file %s%s %s", STR_FMT(r->what), src->file,
		           result < 0 ? ":" : "", why);
	else
		conf_error_at(r->d, src->file, 0, "%s", why);
}

static void read_source(struct reader *r, struct source *src, unsigned *depth)
{
	_cleanup_(xfreep) char *real = realpath(src->file, NULL);
	src->real = real;
	for (const struct source *s = src->from; s && real; s = s->from) {
		if (s->real && strcmp(s->real, real) == 0) {
			conf_error_at(r->d, src->from->file, src->from_line,
			              "@include \"%s\" goes in a circle", src->file);
			return;
		}
	}
	struct buf text;
	buf_init(&text, FILE_MAX);
	int result = perm_read_file(src->file, FILE_MAX, &text);
	if (result)
		say_unread(r, src, result);
	else
		read_text(r, src, buf_str(&text), depth);
	buf_wipe(&text);
	buf_deinit(&text);
}

/* The written name without its escapes, relative to the folder of the file that names it. */
static char *include_path(const char *from, struct str written)
{
	const char *slash = strrchr(from, '/');
	size_t dir = written.n > 0 && written.p[0] == '/' ? 0
	             : slash                              ? (size_t)(slash - from) + 1
	                                                  : 0;
	char *path = xmalloc(dir + written.n + 1);
	memcpy(path, from, dir);
	size_t n = dir;
	for (size_t i = 0; i < written.n; i++) {
		if (written.p[i] == '\\' && i + 1 < written.n)
			i++;
		path[n++] = written.p[i];
	}
	path[n] = '\0';
	return path;
}

static void read_include(struct reader *r, const struct source *src, const struct scan *s,
                         unsigned *depth)
{
	if (!r->includes) {
		conf_error_at(r->d, src->file, s->include_line, "@include cannot be used here");
		return;
	}
	if (s->include.n == 0 || memchr(s->include.p, '\0', s->include.n)) {
		conf_error_at(r->d, src->file, s->include_line,
		              "@include needs the name of a file");
		return;
	}
	if (src->level >= INCLUDE_DEPTH || ++r->count > INCLUDE_COUNT) {
		conf_error_at(r->d, src->file, s->include_line,
		              "@include goes deeper than %d files, or there are more than %d",
		              INCLUDE_DEPTH, INCLUDE_COUNT);
		return;
	}
	_cleanup_(xfreep) char *path = include_path(src->file, s->include);
	struct source next = {.file = keep_name(path),
	                      .from = src,
	                      .from_line = s->include_line,
	                      .level = src->level + 1};
	read_source(r, &next, depth);
}

static void read_text(struct reader *r, const struct source *src, struct str text, unsigned *depth)
{
	struct scan s;
	size_t done = 0;
	unsigned line = 1;
	unsigned errors = r->d->errors;
	scan_init(&s, src->file, text, *depth, r->d);
	while (r->d->errors == errors && scan_next(&s)) {
		if (r->d->errors != errors)
			break;
		add_piece(r, src->file, line, (struct str){text.p + done, s.include_at - done});
		read_include(r, src, &s, &s.depth);
		done = s.at;
		line = s.line;
	}
	/* What is left is read even after an error, so that all of a file's findings are told at
	 * once. */
	while (s.at < text.n) {
		if (!scan_next(&s))
			break;
	}
	add_piece(r, src->file, line, (struct str){text.p + done, text.n - done});
	*depth = s.depth;
}

static struct place place_of(const struct reader *r, unsigned line)
{
	if (r->nmap == 0)
		return (struct place){"", 0};
	if (line == 0)
		return r->map[0];
	return r->map[line <= r->nmap ? line - 1 : r->nmap - 1];
}

/* ---- from libconfig's tree to ours ---- */
struct copy {
	const struct reader *r;
	struct arena *a;
	struct conf_diag *d;
};

static void copy_string(struct copy *c, config_setting_t *s, struct conf_node *n)
{
	struct str text = str_of(config_setting_get_string(s));
	n->u.s = arena_str(c->a, text);
	arena_wipe(c->a, (char *)(uintptr_t)n->u.s.p, n->u.s.n);
	if (!str_utf8_valid(text))
		conf_error_at(c->d, n->file, n->line, "%.*s is not valid UTF-8", STR_FMT(n->key));
	/* libconfig frees its copy as it is, and it may be a secret. */
	mem_wipe((char *)(uintptr_t)text.p, text.n);
}

static enum conf_type type_of(const config_setting_t *s)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_GROUP:
		return CONF_GROUP;
	case CONFIG_TYPE_LIST:
		return CONF_LIST;
	case CONFIG_TYPE_ARRAY:
		return CONF_ARRAY;
	case CONFIG_TYPE_STRING:
		return CONF_STRING;
	case CONFIG_TYPE_FLOAT:
		return CONF_FLOAT;
	case CONFIG_TYPE_BOOL:
		return CONF_BOOL;
	default:
		return CONF_INT;
	}
}

/* Recursion is bounded: the scan has refused brackets deeper than SCAN_DEPTH_MAX. */
static struct conf_node *copy_node(struct copy *c, config_setting_t *s, struct conf_node *parent)
{
	struct conf_node *n = arena_zalloc(c->a, sizeof(*n));
	struct place at = place_of(c->r, config_setting_source_line(s));
	n->type = type_of(s);
	n->key =
	    config_setting_name(s) ? arena_str(c->a, str_of(config_setting_name(s))) : STR_NONE;
	n->file = at.file;
	n->line = at.line;
	n->parent = parent;
	switch (n->type) {
	case CONF_GROUP:
	case CONF_LIST:
	case CONF_ARRAY: {
		struct conf_node **tail = &n->child;
		n->nchildren = (unsigned)config_setting_length(s);
		for (unsigned i = 0; i < n->nchildren; i++) {
			*tail = copy_node(c, config_setting_get_elem(s, i), n);
			tail = &(*tail)->next;
		}
		break;
	}
	case CONF_STRING:
		copy_string(c, s, n);
		break;
	case CONF_FLOAT:
		n->u.f = config_setting_get_float(s);
		if (!isfinite(n->u.f))
			conf_error(c->d, n, "%.*s: float is out of range", STR_FMT(n->key));
		break;
	case CONF_BOOL:
		n->u.b = config_setting_get_bool(s) != 0;
		break;
	case CONF_INT:
		n->u.i = config_setting_get_int64(s);
		break;
	}
	return n;
}

static struct conf_node *parse_all(struct reader *r, struct arena *a, const char *file)
{
	config_t cfg;
	struct conf_node *root = NULL;
	config_init(&cfg);
	if (buf_add(&r->text, "", 1) != 0) {
		conf_error_at(r->d, file, 0, "is too large");
	} else if (config_read_string(&cfg, r->text.p) != CONFIG_TRUE) {
		struct place at = place_of(r, (unsigned)config_error_line(&cfg));
		const char *text = config_error_text(&cfg);
		conf_error_at(r->d, at.line ? at.file : file, at.line, "%s",
		              text ? text : "syntax error");
	} else {
		struct copy c = {r, a, r->d};
		root = copy_node(&c, config_root_setting(&cfg), NULL);
		root->file = file;
		root->line = 1;
	}
	config_destroy(&cfg);
	return root;
}

static struct conf_node *read_tree(struct reader *r, struct source *src, const struct str *text,
                                   struct arena *a)
{
	unsigned depth = 0;
	unsigned errors = r->d->errors;
	struct conf_node *root = NULL;
	buf_init(&r->text, FILE_MAX + 1);
	if (text)
		read_text(r, src, *text, &depth);
	else
		read_source(r, src, &depth);
	if (r->d->errors == errors)
		root = parse_all(r, a, src->file);
	buf_wipe(&r->text);
	buf_deinit(&r->text);
	free(r->map);
	return r->d->errors == errors ? root : NULL;
}

struct conf_node *conf_read(const char *path, struct arena *a, struct conf_diag *d)
{
	struct reader r = {.includes = true, .d = d};
	struct source src = {.file = keep_name(path)};
	return read_tree(&r, &src, NULL, a);
}

struct conf_node *conf_read_named(const char *path, const struct conf_node *at, struct str what,
                                  struct arena *a, struct conf_diag *d)
{
	struct reader r = {.includes = true, .d = d, .at = at, .what = what};
	struct source src = {.file = keep_name(path)};
	return read_tree(&r, &src, NULL, a);
}

struct conf_node *conf_parse(struct str text, const char *file, bool includes, struct arena *a,
                             struct conf_diag *d)
{
	struct reader r = {.includes = includes, .d = d};
	struct source src = {.file = keep_name(file)};
	return read_tree(&r, &src, &text, a);
}

/* ---- paths ---- */
static struct str without_dots(struct str path)
{
	while (path.n > 2 && path.p[0] == '.' && path.p[1] == '/') {
		path.p += 2;
		path.n -= 2;
		while (path.n > 1 && path.p[0] == '/') {
			path.p++;
			path.n--;
		}
	}
	return path;
}

struct str conf_path(const struct conf_node *at, struct str name, struct arena *a)
{
	if (name.n > 0 && name.p[0] == '/')
		return arena_str(a, name);
	const char *file = at && at->file ? at->file : "";
	const char *slash = strrchr(file, '/');
	struct str folder = {file, slash ? (size_t)(slash - file) + 1 : 0};
	name = without_dots(name);
	if (folder.n > 0 && folder.p[0] == '/')
		return arena_printf(a, "%.*s%.*s", STR_FMT(folder), STR_FMT(name));
	folder = without_dots(folder);
	_cleanup_(xfreep) char *cwd = getcwd(NULL, 0);
	if (!cwd || cwd[0] != '/')
		return arena_printf(a, "/%.*s%.*s", STR_FMT(folder), STR_FMT(name));
	return arena_printf(a, "%s/%.*s%.*s", cwd[1] ? cwd : "", STR_FMT(folder), STR_FMT(name));
}
