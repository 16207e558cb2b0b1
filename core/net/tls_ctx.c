/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Contexts: certificates, what is verified, and the rules of the protocol that are the same for
 * everybody. Made on the control thread; read-only afterwards, so workers share them by count.
 *
 * One SSL_CTX stands for each pair of a listener. A connection begins with the first one and moves
 * to the one whose certificate has the name that the client asks for.
 */
#include "net/tlspriv.h"

#include <openssl/x509v3.h>
#include <stdlib.h>

/* Perfect forward secrecy and authenticated encryption only (RFC 9325); those of 1.3 are so. */
#define CIPHERS_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20"
/* No finite fields: a stranger could ask for an exchange that costs a worker tens of milliseconds.
 * The first one where libssl has it (3.5). */
#define GROUPS "X25519:P-256:P-384:P-521"
#define GROUPS_HYBRID "X25519MLKEM768:" GROUPS
#define SESSION_SECONDS 3600
#define DEPTH_MAX 8

static const unsigned char http_1_1[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

/* ---- what all contexts have ---- */
static SSL_CTX *ssl_new(bool server, int min_version)
{
	SSL_CTX *c = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	if (!c)
		abort();
	SSL_CTX_set_security_level(c, 2);
	SSL_CTX_set_min_proto_version(c, min_version);
	SSL_CTX_set_max_proto_version(c, 0);
	SSL_CTX_set_cipher_list(c, CIPHERS_1_2);
	if (SSL_CTX_set1_groups_list(c, GROUPS_HYBRID) != 1 &&
	    SSL_CTX_set1_groups_list(c, GROUPS) != 1)
		abort();
	/* An end without a word is looked at by the stream: for OpenSSL it would spoil the session.
	 */
	SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
	                           SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_clear_options(c, SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION |
	                             SSL_OP_LEGACY_SERVER_CONNECT);
	/* What is queued may be packed anew before a write is tried again. */
	SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	                        SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_read_ahead(c, 1);
	SSL_CTX_set_max_early_data(c, 0);
	SSL_CTX_set_verify_depth(c, DEPTH_MAX);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(c, SESSION_SECONDS);
	ERR_clear_error();
	return c;
}

static struct tls_ctx *ctx_new(bool server, unsigned nssl)
{
	struct tls_ctx *ctx = xcalloc(1, sizeof(*ctx));

	atomic_init(&ctx->refs, 1);
	ctx->server = server;
	arena_init(&ctx->arena, NULL);
	ctx->ssl = xcalloc(nssl, sizeof(SSL_CTX *));
	return ctx;
}

struct tls_ctx *tls_ctx_ref(struct tls_ctx *ctx)
{
	atomic_fetch_add_explicit(&ctx->refs, 1, memory_order_relaxed);
	return ctx;
}

void tls_ctx_unref(struct tls_ctx *ctx)
{
	if (!ctx || atomic_fetch_sub_explicit(&ctx->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (unsigned i = 0; i < ctx->nssl; i++)
		SSL_CTX_free(ctx->ssl[i]);
	X509_STORE_free(ctx->store);
	arena_deinit(&ctx->arena);
	free(ctx->ssl);
	free(ctx->names);
	free(ctx);
}

bool tls_ctx_same(const struct tls_ctx *a, const struct tls_ctx *b)
{
	if (!a || !b)
		return a == b;
	return memcmp(a->digest, b->digest, sizeof(a->digest)) == 0;
}

/* Each part with its length, so that two settings never run together. */
static void feed(struct digest *d, struct str s)
{
	uint64_t n = s.n;

	digest_add(d, (struct str){(const char *)&n, sizeof(n)});
	digest_add(d, s);
}

static void load_begin(struct tls_load *l, tls_error_fn *error, void *arg)
{
	*l = (struct tls_load){error, arg, digest_new(STR_NONE), 0};
	ERR_clear_error();
}

static struct tls_ctx *load_end(struct tls_load *l, struct tls_ctx *ctx)
{
	digest_get(l->digest, ctx->digest);
	digest_free(l->digest);
	if (l->errors == 0)
		return ctx;
	tls_ctx_unref(ctx);
	return NULL;
}

/* ---- ALPN ---- */
static int alpn_select(SSL *ssl, const unsigned char **out, unsigned char *outlen,
                       const unsigned char *in, unsigned inlen, void *arg)
{
	(void)ssl;
	(void)arg;
	for (unsigned i = 0; i < inlen && in[i] < inlen - i; i += in[i] + 1u)
		if (in[i] == http_1_1[0] && memcmp(in + i, http_1_1, sizeof(http_1_1)) == 0) {
			*out = in + i + 1;
			*outlen = in[i];
			return SSL_TLSEXT_ERR_OK;
		}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- SNI ---- */
static bool same_folded(struct str lower, struct str s)
{
	if (lower.n != s.n)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i];

		if (c != lower.p[i])
			return false;
	}
	return true;
}

static SSL_CTX *find_name(const struct tls_ctx *ctx, struct str name)
{
	ptrdiff_t dot = str_find(name, '.');
	struct str rest = dot > 0 ? (struct str){name.p + dot, name.n - (size_t)dot} : STR_NONE;

	for (unsigned i = 0; i < ctx->nnames; i++)
		if (!ctx->names[i].wildcard && same_folded(ctx->names[i].name, name))
			return ctx->names[i].ssl;
	for (unsigned i = 0; i < ctx->nnames && rest.n > 0; i++)
		if (ctx->names[i].wildcard && same_folded(ctx->names[i].name, rest))
			return ctx->names[i].ssl;
	return NULL;
}

static int sni_choose(SSL *ssl, int *alert, void *arg)
{
	const struct tls_ctx *ctx = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	SSL_CTX *found = name ? find_name(ctx, str_of(name)) : NULL;

	(void)alert;
	if (found && found != SSL_get_SSL_CTX(ssl))
		SSL_set_SSL_CTX(ssl, found);
	return found ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* The first certificate with a name keeps it. */
static void add_names(struct tls_ctx *ctx, SSL_CTX *ssl)
{
	struct tls_peer names = {0};

	tls_peer_read(SSL_CTX_get0_certificate(ssl), &ctx->arena, &names);
	ctx->names = xrealloc(ctx->names, (ctx->nnames + names.ndns + 1) * sizeof(struct tls_name));
	for (unsigned i = 0; i < names.ndns; i++) {
		struct str s = names.dns[i];
		bool wildcard = str_starts(s, STR("*."));
		char *p = (char *)(uintptr_t)s.p; /* our copy */

		for (size_t k = 0; k < s.n; k++)
			if (p[k] >= 'A' && p[k] <= 'Z')
				p[k] |= 0x20;
		if (wildcard)
			s = (struct str){s.p + 1, s.n - 1};
		ctx->names[ctx->nnames++] = (struct tls_name){s, wildcard, ssl};
	}
}

/* ---- sessions ---- */
/* A session would carry an identity past its certificate's end: none where one is asked for. */
static void set_sessions(struct tls_ctx *ctx, SSL_CTX *c, const struct tls_server_conf *conf)
{
	SSL_CTX_set_session_id_context(c, ctx->name, sizeof(ctx->name));
	if (conf->client_auth != TLS_AUTH_NONE) {
		SSL_CTX_set_options(c, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(c, 0);
		return;
	}
	SSL_CTX_set_num_tickets(c, 1);
	tls_ticket_use(ctx, c);
}

/* ---- client certificates ---- */
static X509_STORE *read_store(struct tls_load *l, const struct tls_server_conf *c,
                              STACK_OF(X509_NAME) * names)
{
	X509_STORE *store = X509_STORE_new();

	if (!store)
		abort();
	tls_read_cas(l, "client_ca", c->client_ca, store, names);
	/* Of every authority in the chain: one without a list that counts refuses. */
	if (c->crl.n > 0 && tls_read_crls(l, c->crl, store))
		X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return store;
}

static void set_clients(struct tls_ctx *ctx, const struct tls_server_conf *c,
                        const STACK_OF(X509_NAME) * names)
{
	int mode = SSL_VERIFY_PEER;

	if (c->client_auth == TLS_AUTH_REQUIRED)
		mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	for (unsigned i = 0; i < ctx->nssl; i++) {
		STACK_OF(X509_NAME) *copy = SSL_dup_CA_list(names);

		SSL_CTX_set1_cert_store(ctx->ssl[i], ctx->store);
		SSL_CTX_set_client_CA_list(ctx->ssl[i], copy);
		SSL_CTX_set_verify(ctx->ssl[i], mode, NULL);
	}
}

/* ---- servers ---- */
static void feed_server(struct tls_load *l, const struct tls_server_conf *c)
{
	int64_t numbers[3] = {c->npairs, c->client_auth, c->min_version};

	digest_add(l->digest, (struct str){(const char *)numbers, sizeof(numbers)});
	feed(l->digest, c->name);
	feed(l->digest, c->crl.n > 0 ? STR("crl") : STR(""));
}

static void add_pair(struct tls_load *l, struct tls_ctx *ctx, const struct tls_server_conf *c,
                     const struct tls_pair *pair)
{
	SSL_CTX *ssl = ssl_new(true, c->min_version);

	ctx->ssl[ctx->nssl++] = ssl;
	SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_alpn_select_cb(ssl, alpn_select, NULL);
	SSL_CTX_set_tlsext_servername_callback(ssl, sni_choose);
	SSL_CTX_set_tlsext_servername_arg(ssl, ctx);
	set_sessions(ctx, ssl, c);
	if (tls_read_pair(l, pair, ssl))
		add_names(ctx, ssl);
}

struct tls_ctx *tls_server_new(const struct tls_server_conf *c, tls_error_fn *error, void *arg)
{
	struct tls_ctx *ctx = ctx_new(true, c->npairs);
	struct tls_load l;

	load_begin(&l, error, arg);
	feed_server(&l, c);
	sha256(c->name, ctx->name);
	for (unsigned i = 0; i < c->npairs; i++) {
		if (c->pair_at)
			*c->pair_at = i;
		add_pair(&l, ctx, c, &c->pairs[i]);
	}
	if (c->client_auth != TLS_AUTH_NONE) {
		STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();

		if (!names)
			abort();
		ctx->store = read_store(&l, c, names);
		set_clients(ctx, c, names);
		sk_X509_NAME_pop_free(names, X509_NAME_free);
	}
	return load_end(&l, ctx);
}

/* ---- clients ---- */
void tls_session_free(struct tls_session *t)
{
	if (!t)
		return;
	SSL_SESSION_free(t->ssl);
	tls_ctx_unref(t->ctx);
	free(t);
}

struct tls_ctx *tls_client_new(const struct tls_client_conf *c, tls_error_fn *error, void *arg)
{
	struct tls_ctx *ctx = ctx_new(false, 1);
	SSL_CTX *ssl = ssl_new(false, TLS_1_2);
	X509_STORE *store = SSL_CTX_get_cert_store(ssl);
	struct tls_load l;

	ctx->ssl[ctx->nssl++] = ssl;
	load_begin(&l, error, arg);
	feed(l.digest, c->http ? STR("client http") : STR("client"));
	feed(l.digest, c->ca.n > 0 ? STR("ca") : STR(""));
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ssl, tls_session_new);
	if (c->http)
		SSL_CTX_set_alpn_protos(ssl, http_1_1, sizeof(http_1_1));
	if (c->ca.n > 0)
		tls_read_cas(&l, "ca", c->ca, store, NULL);
	else
		tls_system_cas(&l, store);
	if (c->certificate.n > 0) {
		struct tls_pair pair = {c->certificate, c->key};

		feed(l.digest, STR("certificate"));
		tls_read_pair(&l, &pair, ssl);
	}
	return load_end(&l, ctx);
}
