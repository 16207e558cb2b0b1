/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * A stream over TLS. OpenSSL reads and writes the descriptor through a BIO of ours, which answers
 * "later" on EAGAIN and never blocks; the rest is the stream's affair. Owns the SSL object, what is
 * known of the peer, and the context that the connection was last verified by.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>

#include "net/stream_ops.h"
#include "net/tlspriv.h"

#define RECORD_MAX 16384 /* RFC 8446 section 5.1 */
#define DRAIN_ONCE 4096
#define DRAIN_MAX (64 * 1024)
/* What may come without bringing any data. OpenSSL reads on within one call until there is some, so
 * that an endless row of key updates, each of which costs, would hold the worker. A whole record,
 * read ahead of and in pieces, stays below the bytes. */
#define EMPTY_HANDSHAKE_MAX (256 * 1024)
#define EMPTY_MAX (64 * 1024)
#define EMPTY_MESSAGES_MAX 32
#define EMPTY_TEXT "the peer sends much and says nothing"

struct tls {
	SSL *ssl;
	struct stream *s;
	struct tls_ctx *ctx;
	struct tls_session **session; /* where new ones are put; NULL: nowhere */
	const struct tls_peer *peer;  /* once the handshake is over */
	int fd_err;                   /* of the socket, since the last call */
	bool fd_eof;
	size_t empty;            /* bytes read since there was data */
	unsigned empty_messages; /* of the handshake protocol, likewise */
	bool dead;               /* failed: nothing can be said in TLS any more */
	bool read_wants_write;   /* see over_ready() */
	bool write_wants_read;
	/* the client's certificate, checked again */
	struct tls_ctx *checked; /* by this context; a reference, NULL: by ctx */
	enum tls_verify verdict;
	int64_t not_before; /* of the chain */
	int64_t not_after;
	char why[160];
};

static void note(struct tls *t, const char *text)
{
	if (!t->why[0])
		snprintf(t->why, sizeof(t->why), "%s", text);
}

/* ---- the descriptor below ---- */
static int fd_read(BIO *b, char *p, size_t n, size_t *got)
{
	struct tls *t = BIO_get_data(b);
	ssize_t r;

	BIO_clear_retry_flags(b);
	*got = 0;
	if (t->empty > (t->peer ? EMPTY_MAX : EMPTY_HANDSHAKE_MAX)) {
		note(t, EMPTY_TEXT);
		t->fd_err = EPROTO;
		return -1;
	}
	r = stream_plain.read(t->s, p, n);
	if (r > 0) {
		t->empty += (size_t)r;
		*got = (size_t)r;
		return 1;
	}
	if (r == 0)
		t->fd_eof = true;
	else if (r == -EAGAIN)
		BIO_set_retry_read(b);
	else
		t->fd_err = (int)-r;
	return r == 0 ? 0 : -1;
}

static int fd_write(BIO *b, const char *p, size_t n, size_t *done)
{
	struct tls *t = BIO_get_data(b);
	struct iovec iov = {(void *)(uintptr_t)p, n};
	ssize_t r;

	BIO_clear_retry_flags(b);
	*done = 0;
	r = stream_plain.write(t->s, &iov, 1);
	if (r >= 0) {
		*done = (size_t)r;
		return 1;
	}
	if (r == -EAGAIN)
		BIO_set_retry_write(b);
	else
		t->fd_err = (int)-r;
	return -1;
}

static long fd_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	const struct tls *t = BIO_get_data(b);

	(void)num;
	(void)ptr;
	if (cmd == BIO_CTRL_EOF)
		return t->fd_eof;
	return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *fd_method;

static void method_make(void)
{
	fd_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
	if (!fd_method || !BIO_meth_set_read_ex(fd_method, fd_read) ||
	    !BIO_meth_set_write_ex(fd_method, fd_write) || !BIO_meth_set_ctrl(fd_method, fd_ctrl))
		abort();
}

/* Those that have been read ahead are not to be worked through: OpenSSL looks for an end of the
 * connection before each. */
static void on_message(int written, int version, int type, const void *p, size_t n, SSL *ssl,
                       void *arg)
{
	struct tls *t = SSL_get_app_data(ssl);

	(void)version;
	(void)p;
	(void)n;
	(void)arg;
	if (written || type != SSL3_RT_HANDSHAKE || !t->peer ||
	    ++t->empty_messages <= EMPTY_MESSAGES_MAX)
		return;
	note(t, EMPTY_TEXT);
	SSL_set_shutdown(ssl, SSL_get_shutdown(ssl) | SSL_RECEIVED_SHUTDOWN);
}

/* ---- life ---- */
static struct tls *tls_new(struct tls_ctx *ctx)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct tls *t = xcalloc(1, sizeof(*t));
	BIO *bio;

	pthread_once(&once, method_make);
	bio = BIO_new(fd_method);
	t->ssl = SSL_new(ctx->ssl[0]);
	if (!bio || !t->ssl)
		abort();
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_app_data(t->ssl, t);
	SSL_set_msg_callback(t->ssl, on_message);
	t->ctx = tls_ctx_ref(ctx);
	return t;
}

static void tls_free(struct tls *t)
{
	/* A session is spoilt by a broken protocol, not by a connection that breaks. */
	if (!t->dead || t->fd_eof || t->fd_err)
		SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(t->ssl);
	tls_peer_unref(t->peer);
	tls_ctx_unref(t->checked);
	tls_ctx_unref(t->ctx);
	free(t);
}

static void over_free(struct stream *s)
{
	tls_free(s->tls);
	s->tls = NULL;
}

/* ---- what went wrong ---- */
static void note_failure(struct tls *t)
{
	long verify = SSL_get_verify_result(t->ssl);

	if (verify != X509_V_OK)
		note(t, X509_verify_cert_error_string(verify));
	else if (t->fd_eof)
		note(t, "the peer has closed the connection");
	else if (t->fd_err)
		note(t, strerror(t->fd_err));
	else
		note(t, tls_reason());
	ERR_clear_error();
}

static void begin(struct tls *t)
{
	/* OpenSSL looks into its queue to find out what a call has met. */
	ERR_clear_error();
	t->fd_err = 0;
}

/* The call did nothing, or has failed: -EAGAIN, 0 for the end, or -errno. */
static int outcome(struct tls *t, int ret, bool *want_read, bool *want_write)
{
	*want_read = *want_write = false;
	switch (SSL_get_error(t->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		*want_read = true;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		*want_write = true;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		/* A client that goes without a word has just gone; a server has cut its answer off.
		 */
		if (t->empty_messages <= EMPTY_MESSAGES_MAX && (t->ctx->server || !t->fd_eof))
			return 0;
		break;
	default:
		break;
	}
	t->dead = true;
	note_failure(t);
	if (t->fd_err)
		return -t->fd_err;
	return t->fd_eof ? -ECONNRESET : -EPROTO;
}

/* ---- reading and writing ---- */
static void look_both_ways(struct stream *s)
{
	s->attend = s->tls->read_wants_write || s->tls->write_wants_read;
}

static ssize_t over_read(struct stream *s, void *p, size_t n)
{
	struct tls *t = s->tls;
	bool want_read;
	size_t got = 0;
	int r;

	begin(t);
	r = SSL_read_ex(t->ssl, p, n, &got);
	if (r == 1) {
		t->empty = 0;
		t->empty_messages = 0;
		return (ssize_t)got;
	}
	r = outcome(t, r, &want_read, &t->read_wants_write);
	look_both_ways(s);
	return r;
}

/* Many small pieces would be as many records, each with its own write. */
static const void *gather(const struct iovec *iov, int n, size_t *len)
{
	static _Thread_local char scratch[RECORD_MAX];

	*len = iov->iov_len;
	if (n == 1 || *len >= RECORD_MAX)
		return iov->iov_base;
	*len = 0;
	for (int i = 0; i < n && *len < RECORD_MAX; i++) {
		size_t part = iov[i].iov_len;

		if (part > RECORD_MAX - *len)
			part = RECORD_MAX - *len;
		memcpy(scratch + *len, iov[i].iov_base, part);
		*len += part;
	}
	return scratch;
}

static ssize_t over_write(struct stream *s, const struct iovec *iov, int n)
{
	struct tls *t = s->tls;
	bool want_write;
	size_t len;
	size_t done = 0;
	const void *p = gather(iov, n, &len);
	int r;

	if (t->dead)
		return -EPIPE;
	begin(t);
	/* OpenSSL keeps the record that it could not write and wants at least its bytes again:
	 * they still stand at the head of the queue. */
	r = SSL_write_ex(t->ssl, p, len > RECORD_MAX ? RECORD_MAX : len, &done);
	if (r == 1)
		return (ssize_t)done;
	r = outcome(t, r, &t->write_wants_read, &want_write);
	look_both_ways(s);
	return r ? r : -EPIPE;
}

/* Close_notify, as far as it goes, then the socket. */
static int over_shutdown(struct stream *s)
{
	struct tls *t = s->tls;
	int r = t->dead ? 0 : (begin(t), SSL_shutdown(t->ssl));

	if (r < 0 && SSL_get_error(t->ssl, r) == SSL_ERROR_WANT_WRITE)
		return -EAGAIN;
	ERR_clear_error();
	return stream_plain.shutdown(s);
}

/* Post-handshake messages may make a read wait for room, and a write for bytes. */
static unsigned over_ready(struct stream *s, unsigned ready)
{
	struct tls *t = s->tls;
	unsigned more = 0;

	if (t->read_wants_write && (ready & LOOP_WRITE))
		more |= LOOP_READ;
	if (t->write_wants_read && (ready & LOOP_READ))
		more |= LOOP_WRITE;
	t->read_wants_write = t->read_wants_write && !(more & LOOP_READ);
	t->write_wants_read = t->write_wants_read && !(more & LOOP_WRITE);
	look_both_ways(s);
	return ready | more;
}

/* ---- the handshake ---- */
/* Unread bytes at close would make a reset of it, which may overtake the alert that says why. */
static void drain(struct stream *s)
{
	char part[DRAIN_ONCE];

	for (size_t n = 0; n < DRAIN_MAX; n += sizeof(part))
		if (stream_plain.read(s, part, sizeof(part)) <= 0)
			break;
	(void)stream_plain.shutdown(s);
}

static void chain_dates(struct tls *t, const X509 *leaf)
{
	STACK_OF(X509) *chain = SSL_get0_verified_chain(t->ssl);

	t->not_before = tls_time(X509_get0_notBefore(leaf));
	t->not_after = tls_time(X509_get0_notAfter(leaf));
	for (int i = 0; chain && i < sk_X509_num(chain); i++) {
		const X509 *x = sk_X509_value(chain, i);
		int64_t from = tls_time(X509_get0_notBefore(x));
		int64_t to = tls_time(X509_get0_notAfter(x));

		t->not_before = from > t->not_before ? from : t->not_before;
		t->not_after = to < t->not_after ? to : t->not_after;
	}
}

static void shaken(struct tls *t)
{
	X509 *x = t->ctx->server ? SSL_get0_peer_certificate(t->ssl) : NULL;

	t->peer = tls_peer_new(t->ssl, x);
	if (!x)
		return;
	t->verdict = TLS_VERIFY_OK;
	chain_dates(t, x);
}

/* It may have been the session that the peer did not like. */
static void session_drop(struct tls *t)
{
	if (!t->session)
		return;
	tls_session_free(*t->session);
	*t->session = NULL;
}

static int over_handshake(struct stream *s)
{
	struct tls *t = s->tls;
	bool want;
	int r;

	begin(t);
	r = SSL_do_handshake(t->ssl);
	if (r == 1) {
		shaken(t);
		t->empty = 0;
		s->to_end = true;
		return 0;
	}
	r = outcome(t, r, &want, &want);
	if (r == -EAGAIN)
		return r;
	t->dead = true;
	note(t, "the peer has closed the connection");
	session_drop(t);
	drain(s);
	return r ? r : -ECONNRESET;
}

const struct stream_ops stream_over_tls = {
    .read = over_read,
    .write = over_write,
    .shutdown = over_shutdown,
    .handshake = over_handshake,
    .ready = over_ready,
    .free = over_free,
};

/* ---- server sides ---- */
void stream_accept_tls(struct stream *s, struct tls_ctx *ctx)
{
	struct tls *t = tls_new(ctx);

	t->s = s;
	SSL_set_accept_state(t->ssl);
	s->tls = t;
	s->ops = &stream_over_tls;
	s->connecting = s->attend = true;
	s->writable = false;
}

/* ---- client sides ---- */
int tls_session_new(SSL *ssl, SSL_SESSION *session)
{
	struct tls *t = SSL_get_app_data(ssl);
	struct tls_session *n;
	const X509 *x = SSL_get0_peer_certificate(ssl);

	if (!t->session || !SSL_SESSION_is_resumable(session))
		return 0;
	n = xcalloc(1, sizeof(*n));
	n->ssl = session;
	n->ctx = tls_ctx_ref(t->ctx);
	n->not_after = x ? tls_time(X509_get0_notAfter(x)) : 0;
	tls_session_free(*t->session);
	*t->session = n;
	return 1;
}

/* What was agreed under other rules, or by a certificate that is over, is not gone on with. */
static void resume(struct tls *t, int64_t now_s)
{
	struct tls_session *old = *t->session;

	if (!old)
		return;
	if (old->ctx == t->ctx && now_s <= old->not_after && SSL_SESSION_is_resumable(old->ssl)) {
		SSL_set_session(t->ssl, old->ssl);
		return;
	}
	session_drop(t);
}

/* An address, where the certificate must have it; false: a name. */
static bool expect_address(X509_VERIFY_PARAM *p, const char *name)
{
	unsigned char raw[16];

	if (inet_pton(AF_INET, name, raw) == 1)
		return X509_VERIFY_PARAM_set1_ip(p, raw, 4) == 1;
	if (inet_pton(AF_INET6, name, raw) == 1)
		return X509_VERIFY_PARAM_set1_ip(p, raw, 16) == 1;
	return false;
}

/* False: no certificate can have such a name. */
static bool expect(struct tls *t, struct str name)
{
	X509_VERIFY_PARAM *p = SSL_get0_param(t->ssl);
	char *z;
	bool ok;

	if (name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']')
		name = (struct str){name.p + 1, name.n - 2};
	if (name.n == 0 || memchr(name.p, 0, name.n))
		return false;
	z = str_dup(name);
	/* Alternative names alone: a common name is no name of a server (RFC 6125). */
	X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
	                                       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	ok = expect_address(p, z) || (X509_VERIFY_PARAM_set1_host(p, z, name.n) == 1 &&
	                              SSL_set_tlsext_host_name(t->ssl, z) == 1);
	free(z);
	return ok;
}

struct stream *stream_connect_tls(struct loop *l, const struct sockaddr *addr, socklen_t len,
                                  struct block_pool *pool, struct tls_ctx *ctx, struct str name,
                                  struct tls_session **session, stream_fn *fn, void *owner,
                                  int *err)
{
	struct tls *t = tls_new(ctx);
	struct stream *s = NULL;

	SSL_set_connect_state(t->ssl);
	t->session = session;
	if (session)
		resume(t, (int64_t)(loop_wall_us(l) / 1000000));
	if (expect(t, name))
		s = stream_dial(l, addr, len, pool, &stream_over_tls, t, fn, owner, err);
	else
		*err = EINVAL;
	if (s)
		t->s = s;
	else
		tls_free(t);
	return s;
}

/* ---- questions ---- */
struct str stream_tls_error(const struct stream *s)
{
	return s->tls ? str_of(s->tls->why) : STR_NONE;
}

void stream_tls_bye(struct stream *s)
{
	struct tls *t = s->tls;

	if (!t || t->dead || !t->peer || s->broken || s->out.bytes > 0)
		return;
	begin(t);
	(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
}

const struct tls_peer *stream_tls(const struct stream *s)
{
	return s->tls ? s->tls->peer : NULL;
}

/* ---- the client's certificate, later ---- */
static enum tls_verify verdict_of(int error)
{
	if (error == X509_V_ERR_CERT_REVOKED)
		return TLS_VERIFY_REVOKED;
	return error == X509_V_ERR_CERT_HAS_EXPIRED ? TLS_VERIFY_EXPIRED : TLS_VERIFY_UNTRUSTED;
}

static enum tls_verify check_chain(const struct tls *t, const struct tls_ctx *ctx, int64_t now_s)
{
	X509 *x = SSL_get0_peer_certificate(t->ssl);
	X509_STORE_CTX *c = X509_STORE_CTX_new();
	enum tls_verify v;

	if (!c || !X509_STORE_CTX_init(c, ctx->store, x, SSL_get_peer_cert_chain(t->ssl)))
		abort();
	X509_STORE_CTX_set_default(c, "ssl_client");
	X509_STORE_CTX_set_depth(c, SSL_CTX_get_verify_depth(ctx->ssl[0]));
	X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(c),
	                                 SSL_CTX_get_security_level(ctx->ssl[0]));
	X509_STORE_CTX_set_time(c, 0, (time_t)now_s);
	v = X509_verify_cert(c) == 1 ? TLS_VERIFY_OK : verdict_of(X509_STORE_CTX_get_error(c));
	X509_STORE_CTX_free(c);
	ERR_clear_error();
	return v;
}

/* Nobody vouches for client certificates at a listener that does not ask for them any more. */
static void check_again(struct tls *t, struct tls_ctx *ctx, int64_t now_s)
{
	tls_ctx_unref(t->checked);
	t->checked = tls_ctx_ref(ctx);
	t->verdict = ctx->store ? check_chain(t, ctx, now_s) : TLS_VERIFY_UNTRUSTED;
}

enum tls_verify stream_tls_verify(struct stream *s, struct tls_ctx *ctx, int64_t now_s)
{
	struct tls *t = s->tls;
	const struct tls_ctx *by;

	if (!t || t->verdict == TLS_VERIFY_NONE)
		return TLS_VERIFY_NONE;
	if (!ctx)
		return TLS_VERIFY_UNTRUSTED;
	by = t->checked ? t->checked : t->ctx;
	if (ctx != by)
		check_again(t, ctx, now_s);
	if (t->verdict == TLS_VERIFY_OK && (now_s > t->not_after || now_s < t->not_before))
		return TLS_VERIFY_EXPIRED;
	return t->verdict;
}
