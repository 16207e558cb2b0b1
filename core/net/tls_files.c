/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * PEM files: who may have written them is asked first (promise P12), and who may read a key. Keys
 * are wiped from memory that is ours; a passphrase is never asked for.
 */
#include "net/tlspriv.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/perm.h"

#define FILE_MAX (16u * 1024 * 1024)

/* ---- what is wrong ---- */
void tls_fail(struct tls_load *l, const char *key, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	l->errors++;
	if (l->error)
		l->error(l->arg, key, text);
}

const char *tls_reason(void)
{
	unsigned long e = ERR_peek_last_error();
	const char *text = e ? ERR_reason_error_string(e) : NULL;

	ERR_clear_error();
	return text ? text : "unknown error";
}

/* ---- bytes ---- */
/* NULL: fine; else what is wrong, to stand behind the path. */
static const char *read_checked(const char *path, bool secret, struct buf *b)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int r;

	if (fd < 0)
		return strerror(errno);
	r = perm_check_fd(fd, path);
	if (r)
		return r > 0 ? perm_strerror(r) : strerror(-r);
	if (secret && (fstat(fd, &st) != 0 || (st.st_mode & S_IROTH)))
		return "is readable by others";
	r = buf_read(b, fd);
	return r > 0 ? "is too large" : r < 0 ? strerror(-r) : NULL;
}

bool tls_file_open(struct tls_load *l, const char *key, struct str path, bool secret,
                   struct tls_file *f)
{
	_cleanup_(xfreep) char *name = str_dup(path);
	const char *why;

	f->bio = NULL;
	buf_init(&f->bytes, FILE_MAX);
	why = path.n != strlen(name) ? "is not the name of a file"
	                             : read_checked(name, secret, &f->bytes);
	if (!why && f->bytes.n == 0)
		why = "is empty";
	if (why) {
		tls_fail(l, key, "%s: %s", name, why);
		tls_file_free(f);
		return false;
	}
	/* A reload that changed a key only must be seen; what is kept is a digest. */
	if (l->digest)
		digest_add(l->digest, buf_str(&f->bytes));
	f->bio = BIO_new_mem_buf(f->bytes.p, (int)f->bytes.n);
	if (!f->bio)
		abort();
	ERR_clear_error();
	return true;
}

void tls_file_free(struct tls_file *f)
{
	BIO_free(f->bio);
	f->bio = NULL;
	buf_wipe(&f->bytes);
	buf_deinit(&f->bytes);
}

/* No more objects, rather than a broken one. */
static bool at_end(void)
{
	unsigned long e = ERR_peek_last_error();
	bool end = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;

	if (end)
		ERR_clear_error();
	return end;
}

/* ---- certificates and keys ---- */
/* Never a prompt: merlond may have a terminal. */
static int no_passphrase(char *out, int n, int rw, void *arg)
{
	(void)out;
	(void)n;
	(void)rw;
	*(bool *)arg = true;
	return -1;
}

/* OpenSSL reads a certificate's extensions when it first needs them: now, not on a worker. */
static void settle(X509 *x)
{
	(void)X509_check_purpose(x, -1, 0);
}

static bool use_chain(struct tls_load *l, struct str path, SSL_CTX *ssl, BIO *bio)
{
	X509 *x = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
	bool ok = x && SSL_CTX_use_certificate(ssl, x) == 1;

	if (ok)
		settle(x);
	if (!x && at_end())
		tls_fail(l, "certificate", "%.*s: holds no certificate", STR_FMT(path));
	else if (!ok)
		tls_fail(l, "certificate", "%.*s: %s", STR_FMT(path), tls_reason());
	X509_free(x);
	while (ok && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		settle(x);
		ok = SSL_CTX_add0_chain_cert(ssl, x) == 1;
		if (!ok) {
			tls_fail(l, "certificate", "%.*s: %s", STR_FMT(path), tls_reason());
			X509_free(x);
		}
	}
	if (ok && !at_end()) {
		tls_fail(l, "certificate", "%.*s: %s", STR_FMT(path), tls_reason());
		ok = false;
	}
	return ok;
}

static EVP_PKEY *read_key(struct tls_load *l, struct str path)
{
	struct tls_file f;
	EVP_PKEY *key;
	bool encrypted = false;

	if (!tls_file_open(l, "key", path, true, &f))
		return NULL;
	key = PEM_read_bio_PrivateKey(f.bio, NULL, no_passphrase, &encrypted);
	if (!key && encrypted)
		tls_fail(l, "key", "%.*s: is encrypted; write it without a passphrase",
		         STR_FMT(path));
	else if (!key)
		tls_fail(l, "key", "%.*s: holds no private key that can be read", STR_FMT(path));
	ERR_clear_error();
	tls_file_free(&f);
	return key;
}

bool tls_read_pair(struct tls_load *l, const struct tls_pair *pair, SSL_CTX *ssl)
{
	struct tls_file f;
	EVP_PKEY *key;
	bool ok = tls_file_open(l, "certificate", pair->certificate, false, &f);

	if (ok) {
		ok = use_chain(l, pair->certificate, ssl, f.bio);
		tls_file_free(&f);
	}
	key = read_key(l, pair->key);
	if (ok && key && X509_check_private_key(SSL_CTX_get0_certificate(ssl), key) != 1) {
		tls_fail(l, "key", "%.*s: is not the key of %.*s", STR_FMT(pair->key),
		         STR_FMT(pair->certificate));
		ok = false;
	} else if (ok && key && SSL_CTX_use_PrivateKey(ssl, key) != 1) {
		tls_fail(l, "key", "%.*s: %s", STR_FMT(pair->key), tls_reason());
		ok = false;
	}
	ERR_clear_error();
	ok = ok && key;
	EVP_PKEY_free(key);
	return ok;
}

/* ---- authorities ---- */
static int by_name(const X509_NAME *const *a, const X509_NAME *const *b)
{
	return X509_NAME_cmp(*a, *b);
}

static void add_name(STACK_OF(X509_NAME) * names, X509 *x)
{
	X509_NAME *n = X509_get_subject_name(x);

	if (!names || sk_X509_NAME_find(names, n) >= 0)
		return;
	n = X509_NAME_dup(n);
	if (!n || !sk_X509_NAME_push(names, n))
		abort();
}

static bool store_cas(struct tls_load *l, const char *key, struct str path, BIO *bio,
                      X509_STORE *store, STACK_OF(X509_NAME) * names)
{
	unsigned n = 0;
	X509 *x;

	if (names)
		sk_X509_NAME_set_cmp_func(names, by_name);
	while ((x = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) != NULL) {
		settle(x);
		/* It takes a reference, and the same certificate twice. */
		if (!X509_STORE_add_cert(store, x))
			abort();
		add_name(names, x);
		X509_free(x);
		n++;
	}
	if (!at_end())
		tls_fail(l, key, "%.*s: %s", STR_FMT(path), tls_reason());
	else if (n == 0)
		tls_fail(l, key, "%.*s: holds no certificate", STR_FMT(path));
	else
		return true;
	return false;
}

bool tls_read_cas(struct tls_load *l, const char *key, struct str path, X509_STORE *store,
                  STACK_OF(X509_NAME) * names)
{
	struct tls_file f;
	bool ok;

	if (!tls_file_open(l, key, path, false, &f))
		return false;
	ok = store_cas(l, key, path, f.bio, store, names);
	tls_file_free(&f);
	return ok;
}

bool tls_read_crls(struct tls_load *l, struct str path, X509_STORE *store)
{
	struct tls_file f;
	unsigned n = 0;
	X509_CRL *crl;
	bool ok = true;

	if (!tls_file_open(l, "crl", path, false, &f))
		return false;
	while ((crl = PEM_read_bio_X509_CRL(f.bio, NULL, NULL, NULL)) != NULL) {
		if (!X509_STORE_add_crl(store, crl))
			abort();
		X509_CRL_free(crl);
		n++;
	}
	if (!at_end()) {
		tls_fail(l, "crl", "%.*s: %s", STR_FMT(path), tls_reason());
		ok = false;
	} else if (n == 0) {
		tls_fail(l, "crl", "%.*s: holds no revocation list", STR_FMT(path));
		ok = false;
	}
	tls_file_free(&f);
	return ok;
}

/* The bundle is read now: looking certificates up in a folder would read files on a worker. */
bool tls_system_cas(struct tls_load *l, X509_STORE *store)
{
	const char *set = getenv(X509_get_default_cert_file_env());
	const char *const names[] = {set, set ? NULL : X509_get_default_cert_file(),
	                             set ? NULL : "/etc/ssl/certs/ca-certificates.crt",
	                             set ? NULL : "/etc/pki/tls/certs/ca-bundle.crt"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i] && access(names[i], R_OK) == 0)
			return tls_read_cas(l, "ca", str_of(names[i]), store, NULL);
	tls_fail(l, "ca", "the system has no certificate authorities; name a file");
	return false;
}
