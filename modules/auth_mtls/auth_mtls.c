/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * auth_mtls: who a request is, by the client certificate of its connection. The host verifies the
 * chain, its dates and the CRL, anew for each request; here the certificate's names are judged and
 * mapped. The instance owns the mappings, read-only after create; each worker owns the room in
 * which values are put together.
 */
#include "mapping.h"
#include "names.h"

#include <stdlib.h>

#define ROOM 16384 /* bytes of one request's values: what the host takes of attributes */
#define FINGERPRINT_SHOWN 16

struct instance {
	merlon_ctx *ctx;
	enum source order[SOURCE_COUNT];
	unsigned norder;
	struct merlon_str *domains; /* trust domains; none: all */
	uint32_t ndomains;
	bool spiffe; /* SPIFFE IDs are looked at */
	struct mappings map;
};

struct room {
	char *at, *end;
	struct merlon_str list[MAPPING_LIST_MAX];
	char bytes[ROOM];
};

/* A name that holds, and what it was matched by. */
struct found {
	struct merlon_str name;
	const struct mapping *by; /* NULL: there are no mappings */
	struct merlon_str catches[PATTERN_WILD + 1];
	const char *wrong;    /* BADCRED, and why */
	struct merlon_str id; /* the SPIFFE ID, if it is looked at */
	bool foreign;         /* it is of another trust domain */
};

static const struct merlon_host *H;

/* ---- options ---- */
static const struct merlon_option options[] = {
    {"identity", MERLON_OPT_STRLIST, 0, NULL, NULL, NULL,
     "Kinds of names asked, in this order, the first that is covered counts: spiffe, dns, cn; "
     "without it spiffe, then dns."},
    {"trust_domain", MERLON_OPT_STRLIST, 0, NULL, NULL, NULL,
     "Trust domains whose SPIFFE IDs count; without it all that the listener's authorities sign."},
    {"map", MERLON_OPT_LIST, 0, NULL, NULL, mapping_rows,
     "Which names become which identity; the first that matches counts; without it every name is "
     "an identity of its own."},
};

static int read_order(const merlon_cfg *cfg, struct instance *in)
{
	struct merlon_val v;
	unsigned seen = 0;

	if (H->cfg_get(cfg, "identity", &v) != 0) {
		in->order[0] = SOURCE_SPIFFE;
		in->order[1] = SOURCE_DNS;
		in->norder = 2;
		return 0;
	}
	for (uint32_t i = 0; i < v.count; i++) {
		int k = 0;
		while (k < SOURCE_COUNT && !txt_eq(v.u.list[i], txt_of(source_names[k])))
			k++;
		if (k == SOURCE_COUNT || (seen & SOURCE_BIT(k))) {
			H->cfg_error(cfg, "identity",
			             k == SOURCE_COUNT ? TXT("takes spiffe, dns and cn")
			                               : TXT("names a kind twice"));
			return -1;
		}
		seen |= SOURCE_BIT(k);
		in->order[in->norder++] = (enum source)k;
	}
	if (in->norder > 0)
		return 0;
	H->cfg_error(cfg, "identity", TXT("must name at least one of spiffe, dns and cn"));
	return -1;
}

static int read_domains(const merlon_cfg *cfg, struct instance *in)
{
	struct merlon_val v;
	int r = 0;

	if (H->cfg_get(cfg, "trust_domain", &v) != 0)
		return 0;
	in->domains = pool_new(&in->map.pool, v.count + 1, sizeof(in->domains[0]));
	in->ndomains = v.count;
	for (uint32_t i = 0; i < v.count; i++) {
		const char *wrong = name_trust_domain(v.u.list[i]);
		if (wrong) {
			H->cfg_error(cfg, "trust_domain", txt_of(wrong));
			r = -1;
		}
		in->domains[i] = pool_copy(&in->map.pool, v.u.list[i]);
	}
	if (v.count > 0)
		return r;
	H->cfg_error(cfg, "trust_domain", TXT("must name at least one trust domain"));
	return -1;
}

static void destroy(void *inst)
{
	struct instance *in = inst;

	mappings_free(&in->map);
	free(in);
}

static int32_t create(merlon_ctx *ctx, const merlon_cfg *cfg, void **inst)
{
	struct instance *in = mem_new(1, sizeof(*in));
	unsigned asked = 0;
	int r;

	in->ctx = ctx;
	r = read_order(cfg, in);
	for (unsigned i = 0; i < in->norder; i++)
		asked |= SOURCE_BIT(in->order[i]);
	/* Where `identity` itself is wrong, what the mappings say of it would only confuse. */
	r |= mappings_read(H, cfg, r == 0 ? asked : ~0u, &in->map);
	r |= read_domains(cfg, in);
	in->spiffe = (asked & SOURCE_BIT(SOURCE_SPIFFE)) || in->ndomains > 0;
	if (r != 0) {
		destroy(in);
		return -1;
	}
	*inst = in;
	return 0;
}

static int32_t worker_start(void *inst, merlon_worker *worker, void **w)
{
	(void)inst;
	(void)worker;
	*w = mem_new(1, sizeof(struct room));
	return 0;
}

static void worker_stop(void *inst, merlon_worker *worker, void *w)
{
	(void)inst;
	(void)worker;
	free(w);
}

/* ---- refusals ---- */
static int32_t refuse(const struct instance *in, merlon_tx *tx, int32_t code,
                      struct merlon_str text, struct merlon_str detail)
{
	const struct merlon_fail f = {.size = sizeof(f), .text = text, .detail = detail};

	H->fail(in->ctx, tx, &f);
	return code;
}

static int32_t refuse_bad(const struct instance *in, merlon_tx *tx, struct merlon_str detail)
{
	return refuse(in, tx, MERLON_BADCRED, TXT("the client certificate is not valid"), detail);
}

/* ---- the certificate's names ---- */
/* *v is an empty list where the attribute is missing. */
static void list_attr(merlon_tx *tx, struct merlon_str key, struct merlon_val *v)
{
	if (H->attr_get(tx, key, v) != 0 || v->type != MERLON_VAL_STRLIST)
		*v = (struct merlon_val){.type = MERLON_VAL_STRLIST};
}

/* Whether a mapping covers the name; without mappings every name stands for itself. */
static bool covered(const struct instance *in, enum source source, struct merlon_str name,
                    const struct mapping *m, struct found *f)
{
	if (m &&
	    (!(m->sources & SOURCE_BIT(source)) ||
	     !pattern_match(&m->pattern, source == SOURCE_SPIFFE ? '/' : '.', name, f->catches)))
		return false;
	if (!m && in->map.given)
		return false;
	f->name = name;
	f->by = m;
	return true;
}

static bool cover_one(const struct instance *in, enum source source, struct merlon_str name,
                      struct found *f)
{
	if (!in->map.given)
		return covered(in, source, name, NULL, f);
	for (uint32_t i = 0; i < in->map.n; i++) {
		if (covered(in, source, name, &in->map.rows[i], f))
			return true;
	}
	return false;
}

/* Looks at the SPIFFE ID, if there is one, before any kind is asked: who was given a name in
 * another trust domain is not to be taken by a DNS name for one of ours. */
static void read_spiffe(const struct instance *in, merlon_tx *tx, struct found *f)
{
	struct merlon_val uris;
	struct merlon_str domain;

	list_attr(tx, TXT("tls.client.uris"), &uris);
	for (uint32_t i = 0; i < uris.count && !f->id.ptr; i++) {
		if (name_is_spiffe(uris.u.list[i]))
			f->id = uris.u.list[i];
	}
	if (!f->id.ptr)
		return;
	/* X.509-SVID: exactly one URI. Which of two was meant is nothing to guess. */
	f->wrong = uris.count > 1 ? "a certificate with a SPIFFE ID has more than one URI"
	                          : name_spiffe(f->id, &domain);
	f->foreign = !f->wrong && in->ndomains > 0;
	for (uint32_t i = 0; i < in->ndomains && f->foreign; i++)
		f->foreign = !txt_eq(in->domains[i], domain);
}

/* The operator's order goes before the certificate's: mapping by mapping, not name by name. */
static bool by_dns(const struct instance *in, merlon_tx *tx, struct room *room, struct found *f)
{
	struct merlon_val names;
	char folded[NAME_DNS_MAX];

	list_attr(tx, TXT("tls.client.dns"), &names);
	for (uint32_t i = 0; i < names.count && !f->wrong; i++)
		f->wrong = name_dns(names.u.list[i], folded);
	if (f->wrong || (in->map.given && in->map.n == 0))
		return false;
	for (uint32_t m = 0; m < (in->map.given ? in->map.n : 1); m++) {
		for (uint32_t i = 0; i < names.count; i++) {
			name_dns(names.u.list[i], room->bytes);
			struct merlon_str name = {room->bytes, names.u.list[i].len};
			if (covered(in, SOURCE_DNS, name, in->map.given ? &in->map.rows[m] : NULL,
			            f)) {
				room->at = room->bytes + NAME_DNS_MAX;
				return true;
			}
		}
	}
	return false;
}

static bool by_cn(const struct instance *in, merlon_tx *tx, struct found *f)
{
	struct merlon_str cn = txt_attr(H, tx, TXT("tls.client.cn"));

	if (!cn.ptr)
		return false;
	f->wrong = name_cn(cn);
	return !f->wrong && cover_one(in, SOURCE_CN, cn, f);
}

/* A NUL in any of the names is somebody's attempt to pass for another: no kind is asked then. */
static const char *unclean(merlon_tx *tx)
{
	static const char *const lists[] = {"tls.client.uris", "tls.client.dns"};
	const char *wrong = name_clean(txt_attr(H, tx, TXT("tls.client.cn")));
	struct merlon_val v;

	for (size_t k = 0; k < 2; k++) {
		list_attr(tx, txt_of(lists[k]), &v);
		for (uint32_t i = 0; i < v.count && !wrong; i++)
			wrong = name_clean(v.u.list[i]);
	}
	return wrong;
}

static bool find_name(const struct instance *in, merlon_tx *tx, struct room *room, struct found *f)
{
	bool found = false;

	f->wrong = unclean(tx);
	if (!f->wrong && in->spiffe)
		read_spiffe(in, tx, f);
	for (unsigned i = 0; i < in->norder && !found && !f->wrong && !f->foreign; i++) {
		switch (in->order[i]) {
		case SOURCE_SPIFFE:
			found = f->id.ptr && cover_one(in, SOURCE_SPIFFE, f->id, f);
			break;
		case SOURCE_DNS:
			found = by_dns(in, tx, room, f);
			break;
		case SOURCE_CN:
		case SOURCE_COUNT:
			found = by_cn(in, tx, f);
			break;
		}
	}
	return found;
}

/* ---- the identity ---- */
static int expand(struct room *room, struct merlon_str value, const struct found *f,
                  struct merlon_str *out)
{
	uint64_t n = value_expand(value, f->catches, room->at, (uint64_t)(room->end - room->at));

	if (n == UINT64_MAX)
		return -1;
	*out = (struct merlon_str){room->at, n};
	room->at += n;
	return 0;
}

static int set_text(const struct instance *in, merlon_tx *tx, struct merlon_str key,
                    struct merlon_str s)
{
	const struct merlon_val v = {.type = MERLON_VAL_STR, .u.str = s};

	return H->attr_set(in->ctx, tx, key, &v);
}

static int set_mapped(const struct instance *in, merlon_tx *tx, struct room *room,
                      const struct found *f)
{
	static const char *const texts[TEXT_COUNT] = {"id.sub", "id.org", "id.team", "id.tier"};
	static const char *const lists[LIST_COUNT] = {"id.roles", "id.scopes", "id.allow_models",
	                                              "id.allow_actions"};
	struct merlon_str s;

	for (int i = 0; i < TEXT_COUNT; i++) {
		if (f->by->text[i].ptr && (expand(room, f->by->text[i], f, &s) != 0 ||
		                           set_text(in, tx, txt_of(texts[i]), s) != 0))
			return -1;
	}
	for (int i = 0; i < LIST_COUNT; i++) {
		struct merlon_val v = {.type = MERLON_VAL_STRLIST, .u.list = room->list};
		if (!f->by->list[i])
			continue;
		for (; v.count < f->by->nlist[i]; v.count++) {
			if (expand(room, f->by->list[i][v.count], f, &room->list[v.count]) != 0)
				return -1;
		}
		if (H->attr_set(in->ctx, tx, txt_of(lists[i]), &v) != 0)
			return -1;
	}
	return 0;
}

static struct merlon_str short_fingerprint(merlon_tx *tx, char out[5 + FINGERPRINT_SHOWN])
{
	static const char hash[] = "sha256:";
	struct merlon_str s = txt_attr(H, tx, TXT("tls.client.fingerprint"));

	if (s.len >= sizeof(hash) - 1 && memcmp(s.ptr, hash, sizeof(hash) - 1) == 0)
		s = (struct merlon_str){s.ptr + sizeof(hash) - 1, s.len - (sizeof(hash) - 1)};
	if (s.len < FINGERPRINT_SHOWN)
		return (struct merlon_str){NULL, 0};
	memcpy(out, "x509:", 5);
	memcpy(out + 5, s.ptr, FINGERPRINT_SHOWN);
	return (struct merlon_str){out, 5 + FINGERPRINT_SHOWN};
}

static int32_t identify(const struct instance *in, merlon_tx *tx, struct room *room,
                        const struct found *f)
{
	char credential[5 + FINGERPRINT_SHOWN];
	struct merlon_str shown = short_fingerprint(tx, credential);
	struct merlon_val until;
	int r = shown.ptr ? 0 : -1;

	r |= f->by ? set_mapped(in, tx, room, f) : set_text(in, tx, TXT("id.sub"), f->name);
	r |= set_text(in, tx, TXT("id.method"), TXT("mtls"));
	r |= set_text(in, tx, TXT("id.credential"), shown);
	if (H->attr_get(tx, TXT("tls.client.not_after"), &until) == 0 &&
	    until.type == MERLON_VAL_I64)
		r |= H->attr_set(in->ctx, tx, TXT("id.expires"), &until);
	/* An identity with a part missing could be allowed more than the whole. */
	if (r != 0)
		return refuse(in, tx, MERLON_ERROR, TXT("the client certificate cannot be used"),
		              TXT("what the certificate's name maps to does not fit"));
	if (f->by)
		H->policy(in->ctx, tx, f->by->match);
	return MERLON_OK;
}

static int32_t check(void *inst, void *w, merlon_tx *tx, uint32_t group)
{
	const struct instance *in = inst;
	struct room *room = w;
	struct merlon_val verify;
	struct found f = {.by = NULL};

	(void)group;
	if (H->attr_get(tx, TXT("tls.client.verify"), &verify) != 0)
		return refuse(in, tx, MERLON_NOCRED, TXT("no client certificate was given"),
		              TXT(""));
	if (verify.type == MERLON_VAL_STR && txt_eq(verify.u.str, TXT("expired")))
		return refuse(in, tx, MERLON_EXPIRED, TXT("the client certificate has expired"),
		              TXT("the client certificate has expired"));
	if (verify.type == MERLON_VAL_STR && txt_eq(verify.u.str, TXT("revoked")))
		return refuse_bad(in, tx, TXT("the client certificate is revoked"));
	if (verify.type != MERLON_VAL_STR || !txt_eq(verify.u.str, TXT("ok")))
		return refuse_bad(in, tx, TXT("the client certificate is not trusted"));

	room->at = room->bytes;
	room->end = room->bytes + sizeof(room->bytes);
	if (find_name(in, tx, room, &f))
		return identify(in, tx, room, &f);
	if (f.wrong)
		return refuse_bad(in, tx, txt_of(f.wrong));
	return refuse(in, tx, MERLON_NOCRED, TXT("the client certificate names nobody known here"),
	              f.foreign ? TXT("the certificate's SPIFFE ID is of another trust domain")
	                        : TXT("no mapping covers the certificate's names"));
}

static const char *const reads[] = {"tls.client.verify",
                                    "tls.client.uris",
                                    "tls.client.dns",
                                    "tls.client.cn",
                                    "tls.client.fingerprint",
                                    "tls.client.not_after",
                                    NULL};
static const char *const writes[] = {
    "id.sub",          "id.org",           "id.team",   "id.tier",       "id.roles",   "id.scopes",
    "id.allow_models", "id.allow_actions", "id.method", "id.credential", "id.expires", NULL};

static const struct merlon_module module = {
    .size = sizeof(struct merlon_module),
    .major = MERLON_ABI_MAJOR,
    .minor = MERLON_ABI_MINOR,
    .flags = MERLON_GRANTOR,
    .groups = MERLON_AUTH,
    .codes = MERLON_BIT(MERLON_OK) | MERLON_BIT(MERLON_NOCRED) | MERLON_BIT(MERLON_BADCRED) |
             MERLON_BIT(MERLON_EXPIRED) | MERLON_BIT(MERLON_ERROR),
    .option_size = sizeof(struct merlon_option),
    .option_count = sizeof(options) / sizeof(options[0]),
    .name = "auth_mtls",
    .version = MODULE_VERSION,
    .license = "Apache-2.0",
    .summary = "Identity by the names of a verified client certificate.",
    .options = options,
    .reads = reads,
    .writes = writes,
    .create = create,
    .destroy = destroy,
    .worker_start = worker_start,
    .worker_stop = worker_stop,
    .check = check,
};

MERLON_MODULE(module, H, 0, MERLON_GRANTOR, MERLON_AUTH)
