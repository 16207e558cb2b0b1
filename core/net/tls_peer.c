/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What a certificate says of its owner, as counted texts: a name with a NUL inside stays what it
 * is, and is never equal to the part before it. Read once a connection; kept by references, since a
 * request outlives its connection where the client goes first.
 */
#include "net/tlspriv.h"

#include <openssl/x509v3.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

struct peer_box {
	struct tls_peer peer;
	unsigned refs;
	struct arena arena;
	char server_name[];
};

static struct peer_box *box_of(const struct tls_peer *p)
{
	return (struct peer_box *)((uintptr_t)p - offsetof(struct peer_box, peer));
}

/* ---- names ---- */
static struct str read_name(const X509_NAME *name, struct arena *a)
{
	/* As RFC 4514 has it, with UTF-8 left readable. */
	unsigned long how = XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
	BIO *b = BIO_new(BIO_s_mem());
	struct str out = STR_NONE;
	char *p = NULL;
	long n;

	if (b && name && X509_NAME_print_ex(b, name, 0, how) >= 0 &&
	    (n = BIO_get_mem_data(b, &p)) > 0)
		out = arena_str(a, (struct str){p, (size_t)n});
	BIO_free(b);
	return out;
}

/* Several common names: nobody can tell which one counts. */
static struct str read_cn(const X509_NAME *name, struct arena *a)
{
	int at = name ? X509_NAME_get_index_by_NID(name, NID_commonName, -1) : -1;
	unsigned char *utf8 = NULL;
	struct str out = STR_NONE;
	int n;

	if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
		return out;
	n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (n > 0)
		out = arena_str(a, (struct str){(const char *)utf8, (size_t)n});
	if (n >= 0)
		OPENSSL_free(utf8);
	return out;
}

static const struct str *read_alt(const GENERAL_NAMES *all, int type, struct arena *a, unsigned *n)
{
	int total = sk_GENERAL_NAME_num(all);
	struct str *out = NULL;

	*n = 0;
	for (int i = 0; i < total; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
		const ASN1_STRING *s;
		int len;

		if (g->type != type)
			continue;
		s = type == GEN_URI ? g->d.uniformResourceIdentifier : g->d.dNSName;
		len = ASN1_STRING_length(s);
		if (!out)
			out = arena_alloc(a, sizeof(*out) * (size_t)(total - i));
		out[(*n)++] = arena_str(a, (struct str){(const char *)ASN1_STRING_get0_data(s),
		                                        len > 0 ? (size_t)len : 0});
	}
	return out;
}

/* ---- numbers ---- */
int64_t tls_time(const ASN1_TIME *t)
{
	struct tm tm;

	return t && ASN1_TIME_to_tm(t, &tm) ? (int64_t)timegm(&tm) : 0;
}

static struct str read_serial(const X509 *x, struct arena *a)
{
	BIGNUM *bn = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
	char *hex = bn ? BN_bn2hex(bn) : NULL;
	struct str out = arena_str(a, str_of(hex ? hex : ""));

	for (size_t i = 0; i < out.n; i++)
		if (out.p[i] >= 'A' && out.p[i] <= 'F')
			((char *)(uintptr_t)out.p)[i] |= 0x20;
	OPENSSL_free(hex);
	BN_free(bn);
	return out;
}

static struct str read_fingerprint(X509 *x, struct arena *a)
{
	static const char kind[] = "sha256:";
	unsigned char *der = NULL;
	uint8_t sum[SHA256_LEN];
	int n = i2d_X509(x, &der);
	char *out;

	if (n <= 0)
		return STR_NONE;
	sha256((struct str){(const char *)der, (size_t)n}, sum);
	OPENSSL_free(der);
	out = arena_alloc(a, sizeof(kind) - 1 + SHA256_HEX);
	memcpy(out, kind, sizeof(kind) - 1);
	hex_encode(sum, sizeof(sum), out + sizeof(kind) - 1);
	return (struct str){out, sizeof(kind) - 1 + SHA256_HEX};
}

void tls_peer_read(X509 *x, struct arena *a, struct tls_peer *out)
{
	const X509_NAME *subject = X509_get_subject_name(x);
	/* NULL, too, where the extension stands twice or is broken. */
	GENERAL_NAMES *alt = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);

	out->subject = read_name(subject, a);
	out->issuer = read_name(X509_get_issuer_name(x), a);
	out->cn = read_cn(subject, a);
	out->serial = read_serial(x, a);
	out->fingerprint = read_fingerprint(x, a);
	out->not_before = tls_time(X509_get0_notBefore(x));
	out->not_after = tls_time(X509_get0_notAfter(x));
	if (alt) {
		out->uris = read_alt(alt, GEN_URI, a, &out->nuris);
		out->dns = read_alt(alt, GEN_DNS, a, &out->ndns);
		GENERAL_NAMES_free(alt);
	}
	/* What could not be read of somebody's certificate is not this connection's next error. */
	ERR_clear_error();
}

/* ---- life ---- */
const struct tls_peer *tls_peer_new(const SSL *ssl, X509 *x)
{
	const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	size_t n = sni && SSL_is_server(ssl) ? strlen(sni) : 0;
	struct peer_box *b = xcalloc(1, sizeof(*b) + n + 1);

	b->refs = 1;
	arena_init(&b->arena, NULL);
	if (n)
		memcpy(b->server_name, sni, n);
	b->peer.server_name = (struct str){b->server_name, n};
	b->peer.version = str_of(SSL_get_version(ssl));
	b->peer.cipher = str_of(SSL_get_cipher_name(ssl));
	b->peer.resumed = SSL_session_reused(ssl);
	if (x)
		tls_peer_read(x, &b->arena, &b->peer);
	return &b->peer;
}

const struct tls_peer *tls_peer_ref(const struct tls_peer *p)
{
	box_of(p)->refs++;
	return p;
}

void tls_peer_unref(const struct tls_peer *p)
{
	struct peer_box *b = p ? box_of(p) : NULL;

	if (!b || --b->refs > 0)
		return;
	arena_deinit(&b->arena);
	free(b);
}
