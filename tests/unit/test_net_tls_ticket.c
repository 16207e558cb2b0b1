/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Tickets and the keys that they are sealed with: for how long, where and by which threads they are
 * taken. Both ends are in memory; the client is OpenSSL alone, so that nothing but the server
 * decides.
 */
#define _GNU_SOURCE /* memmem(3) */
#include "tls_pki.h"

#include <pthread.h>
#include <string.h>

#define KEY_NAME 16
#define THREADS 4
#define SHAKES 12

static struct cert own;
static SSL_CTX *client;
static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void told_error(void *arg, const char *key, const char *text)
{
	(void)arg;
	printf("\n%s: %s\n", key, text);
	CU_FAIL("a context could not be made");
}

static struct tls_ctx *listener(const char *name)
{
	struct tls_pair pairs[] = {{pki_cert("s.pem", &own), pki_key("s.key", &own, NULL)},
	                           {pki_cert("s.pem", &own), pki_key("s.key", &own, NULL)}};
	struct tls_server_conf c = {
	    .pairs = pairs, .npairs = 2, .min_version = TLS_1_2, .name = str_of(name)};
	struct tls_ctx *ctx = tls_server_new(&c, told_error, NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(ctx);
	return ctx;
}

static void begin(void)
{
	hash_init();
	pki_begin();
	own = pki_make((struct cert_spec){.cn = "a.test", .names = {"DNS:a.test"}});
	client = SSL_CTX_new(TLS_client_method());
	CU_ASSERT_PTR_NOT_NULL_FATAL(client);
}

static void end(void)
{
	SSL_CTX_free(client);
	pki_free(&own);
	pki_end();
}

/* ---- a connection ---- */
struct shaken {
	bool done;
	bool resumed;
	SSL_SESSION *session; /* to go on with */
};

static SSL *side(SSL_CTX *ctx, BIO *in, BIO *out)
{
	SSL *s = SSL_new(ctx);

	BIO_up_ref(in);
	BIO_up_ref(out);
	SSL_set_bio(s, in, out);
	return s;
}

/* Certificates are chosen by name, so the context that seals is not the one it began with. */
static struct shaken shake(const struct tls_ctx *ctx, int version, SSL_SESSION *session)
{
	BIO *up = BIO_new(BIO_s_mem()), *down = BIO_new(BIO_s_mem());
	SSL *c = side(client, down, up), *s = side(ctx->ssl[0], up, down);
	struct shaken r = {0};
	char byte;

	SSL_set_max_proto_version(c, version);
	SSL_set_min_proto_version(c, version);
	SSL_set_tlsext_host_name(c, "a.test");
	SSL_set_connect_state(c);
	SSL_set_accept_state(s);
	if (session)
		SSL_set_session(c, session);
	for (int i = 0; i < 8; i++) {
		SSL_do_handshake(c);
		SSL_do_handshake(s);
	}
	SSL_read(c, &byte, 1); /* tickets of 1.3 come behind the handshake */
	r.done = SSL_is_init_finished(c) && SSL_is_init_finished(s);
	r.resumed = SSL_session_reused(s);
	r.session = SSL_get1_session(c);
	SSL_shutdown(c); /* what is not said goodbye to cannot be resumed */
	SSL_free(c);
	SSL_free(s);
	BIO_free(up);
	BIO_free(down);
	ERR_clear_error();
	return r;
}

static SSL_SESSION *first(const struct tls_ctx *ctx, int version)
{
	struct shaken r = shake(ctx, version, NULL);

	CU_ASSERT_TRUE(r.done);
	CU_ASSERT_FALSE(r.resumed);
	CU_ASSERT_TRUE_FATAL(SSL_SESSION_has_ticket(r.session));
	return r.session;
}

/* Whether it went on; what to go on with next takes the place of `session`. */
static bool resumes(const struct tls_ctx *ctx, int version, SSL_SESSION **session)
{
	struct shaken r = shake(ctx, version, *session);

	CU_ASSERT_TRUE(r.done);
	SSL_SESSION_free(*session);
	*session = r.session;
	return r.resumed;
}

struct ticket {
	uint8_t bytes[2048];
	size_t n;
};
static struct ticket ticket_of(const SSL_SESSION *session)
{
	const unsigned char *p;
	struct ticket t = {.n = 0};

	SSL_SESSION_get0_ticket(session, &p, &t.n);
	CU_ASSERT_FATAL(t.n > KEY_NAME && t.n <= sizeof(t.bytes));
	memcpy(t.bytes, p, t.n);
	return t;
}

static bool same(struct ticket a, struct ticket b)
{
	return a.n == b.n && memcmp(a.bytes, b.bytes, a.n) == 0;
}

static bool same_key(struct ticket a, struct ticket b)
{
	return memcmp(a.bytes, b.bytes, KEY_NAME) == 0;
}

static void advance(void)
{
	tls_ticket_rotate_at(tls_ticket_rotate());
}

/* ---- tests ---- */
static void within_an_epoch(int version)
{
	struct tls_ctx *one = listener("main"), *again = listener("main");
	SSL_SESSION *s = first(one, version);
	struct ticket a = ticket_of(s), b;

	CU_ASSERT_TRUE(resumes(one, version, &s));
	b = ticket_of(s);
	/* With 1.3 each connection has its own. */
	CU_ASSERT_EQUAL(same(a, b), version == TLS1_2_VERSION);
	CU_ASSERT_TRUE(same_key(a, b));
	CU_ASSERT_TRUE(resumes(again, version, &s)); /* a reload */
	tls_ctx_unref(one);
	CU_ASSERT_TRUE(resumes(again, version, &s));
	CU_ASSERT_TRUE(same_key(a, ticket_of(s)));
	SSL_SESSION_free(s);
	tls_ctx_unref(again);
}

static void tickets_of_this_epoch_are_taken(void)
{
	begin();
	for (size_t i = 0; i < 2; i++)
		within_an_epoch(versions[i]);
	end();
}

static void next_epoch(int version)
{
	struct tls_ctx *ctx = listener("main");
	SSL_SESSION *s = first(ctx, version);
	struct ticket a = ticket_of(s), b;

	advance();
	CU_ASSERT_TRUE(resumes(ctx, version, &s));
	b = ticket_of(s);
	CU_ASSERT_FALSE(same_key(a, b));
	/* The new one is of the new epoch, so it outlives the old one by one. */
	advance();
	CU_ASSERT_TRUE(resumes(ctx, version, &s));
	CU_ASSERT_FALSE(same_key(b, ticket_of(s)));
	SSL_SESSION_free(s);
	tls_ctx_unref(ctx);
}

static void tickets_of_the_last_epoch_are_renewed(void)
{
	begin();
	for (size_t i = 0; i < 2; i++)
		next_epoch(versions[i]);
	end();
}

static void past_epochs(int version)
{
	struct tls_ctx *ctx = listener("main");
	SSL_SESSION *s = first(ctx, version);
	uint64_t due;

	advance();
	advance();
	CU_ASSERT_FALSE(resumes(ctx, version, &s));
	CU_ASSERT_TRUE(resumes(ctx, version, &s));
	/* Nobody came by for long: all at once. */
	due = tls_ticket_rotate();
	CU_ASSERT_EQUAL(tls_ticket_rotate_at(due + 8 * 3600 * UINT64_C(1000000000)),
	                due + 2 * 8 * 3600 * UINT64_C(1000000000));
	CU_ASSERT_FALSE(resumes(ctx, version, &s));
	due = tls_ticket_rotate();
	CU_ASSERT_EQUAL(tls_ticket_rotate_at(due - 1), due); /* not a moment too soon */
	CU_ASSERT_TRUE(resumes(ctx, version, &s));
	SSL_SESSION_free(s);
	tls_ctx_unref(ctx);
}

static void older_tickets_are_not_taken(void)
{
	begin();
	for (size_t i = 0; i < 2; i++)
		past_epochs(versions[i]);
	end();
}

static void another_listener(int version)
{
	struct tls_ctx *one = listener("main"), *other = listener("other");
	SSL_SESSION *s = first(one, version);
	struct ticket a = ticket_of(s);

	/* Not even where sessions are told apart by their keys alone. */
	for (unsigned i = 0; i < other->nssl; i++)
		SSL_CTX_set_session_id_context(other->ssl[i], one->name, sizeof(one->name));
	CU_ASSERT_FALSE(resumes(other, version, &s));
	CU_ASSERT_FALSE(same_key(a, ticket_of(s)));
	CU_ASSERT_FALSE(resumes(one, version, &s));
	SSL_SESSION_free(s);
	tls_ctx_unref(one);
	tls_ctx_unref(other);
}

static void tickets_are_of_one_listener(void)
{
	begin();
	for (size_t i = 0; i < 2; i++)
		another_listener(versions[i]);
	end();
}

/* Any byte of it: name, vector, what is sealed, and the code at its end. */
static void spoilt_tickets_are_not_taken(void)
{
	begin();
	struct tls_ctx *ctx = listener("main");
	SSL_SESSION *s = first(ctx, TLS1_2_VERSION);
	struct ticket t = ticket_of(s);
	int len = i2d_SSL_SESSION(s, NULL);
	uint8_t *der = xmalloc((size_t)len), *p = der;
	uint8_t *at;

	i2d_SSL_SESSION(s, &p);
	at = memmem(der, (size_t)len, t.bytes, t.n);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	for (size_t i = 0; i < t.n; i += 7) {
		const unsigned char *in = der;
		SSL_SESSION *bad;

		at[i] ^= 1;
		bad = d2i_SSL_SESSION(NULL, &in, len);
		CU_ASSERT_PTR_NOT_NULL_FATAL(bad);
		CU_ASSERT_FALSE(resumes(ctx, TLS1_2_VERSION, &bad));
		SSL_SESSION_free(bad);
		at[i] ^= 1;
	}
	CU_ASSERT_TRUE(resumes(ctx, TLS1_2_VERSION, &s));
	free(der);
	SSL_SESSION_free(s);
	tls_ctx_unref(ctx);
	end();
}

struct worker {
	pthread_t thread;
	const struct tls_ctx *ctx;
	SSL_SESSION *session; /* made by another thread */
	unsigned done;
	bool resumed;
};
static void *work(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < SHAKES; i++) {
		struct shaken r = shake(w->ctx, versions[i % 2], i ? NULL : w->session);

		w->done += r.done;
		w->resumed |= r.resumed;
		SSL_SESSION_free(r.session);
	}
	return NULL;
}

static void all_threads_have_the_same_keys(void)
{
	struct worker workers[THREADS] = {0};

	begin();
	struct tls_ctx *ctx = listener("main");

	for (int i = 0; i < THREADS; i++) {
		workers[i].ctx = ctx;
		workers[i].session = first(ctx, TLS1_2_VERSION);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	advance(); /* whenever they are: once is never too often */
	for (int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		CU_ASSERT_EQUAL(workers[i].done, SHAKES);
		CU_ASSERT_TRUE(workers[i].resumed);
		SSL_SESSION_free(workers[i].session);
	}
	tls_ctx_unref(ctx);
	end();
}

UNIT_MAIN("tickets of TLS", UNIT(tickets_of_this_epoch_are_taken),
          UNIT(tickets_of_the_last_epoch_are_renewed), UNIT(older_tickets_are_not_taken),
          UNIT(tickets_are_of_one_listener), UNIT(spoilt_tickets_are_not_taken),
          UNIT(all_threads_have_the_same_keys))
