/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * Certificates for tests, made in the process: authorities, servers and clients with the flaws that
 * a test asks for, and the folder that their files lie in while it runs.
 */
#ifndef TLS_PKI_H
#define TLS_PKI_H

#include "unit.h"

#include "net/tlspriv.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DAY INT64_C(86400)

struct cert {
	X509 *x;
	EVP_PKEY *key;
};
struct cert_spec {
	const char *cn;
	const struct cert *issuer; /* NULL: self-signed */
	bool ca;
	const char *names[4]; /* "DNS:a", "URI:b", "IP:127.0.0.1"; a '|' stands for NUL */
	int64_t from;         /* days from now; 0: yesterday */
	int64_t to;           /* 0: tomorrow */
	const char *usage;    /* extended key usage; NULL: any */
};

static char pki_dir[64];
static long pki_serial = 0xab00;

static inline void pki_begin(void)
{
	snprintf(pki_dir, sizeof(pki_dir), "/tmp/merlon-tls-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(pki_dir));
}

static inline void pki_end(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", pki_dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
}

/* One of a few that stand until they are asked for again. */
static inline struct str pki_path(const char *name)
{
	static char paths[256][128];
	static unsigned next;
	char *p = paths[next++ % 256];

	snprintf(p, sizeof(paths[0]), "%s/%s", pki_dir, name);
	return str_of(p);
}

static inline void pki_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

static inline void pki_alt(X509 *x, const char *const names[4])
{
	GENERAL_NAMES *all = GENERAL_NAMES_new();

	for (int i = 0; i < 4 && names[i]; i++) {
		GENERAL_NAME *g;
		bool ip = strncmp(names[i], "IP:", 3) == 0;

		if (ip) {
			g = a2i_GENERAL_NAME(NULL, NULL, NULL, GEN_IPADD, names[i] + 3, 0);
		} else {
			ASN1_IA5STRING *s = ASN1_IA5STRING_new();
			char text[256];

			snprintf(text, sizeof(text), "%s", names[i] + 4);
			ASN1_STRING_set(s, text, (int)strlen(text));
			for (char *p = (char *)(uintptr_t)ASN1_STRING_get0_data(s); *p; p++)
				*p = *p == '|' ? 0 : *p;
			g = GENERAL_NAME_new();
			GENERAL_NAME_set0_value(g, names[i][0] == 'U' ? GEN_URI : GEN_DNS, s);
		}
		CU_ASSERT_PTR_NOT_NULL_FATAL(g);
		sk_GENERAL_NAME_push(all, g);
	}
	if (names[0])
		X509_add1_ext_i2d(x, NID_subject_alt_name, all, 0, X509V3_ADD_DEFAULT);
	GENERAL_NAMES_free(all);
}

static inline struct cert pki_make(struct cert_spec s)
{
	struct cert c = {X509_new(), EVP_EC_gen("P-256")};
	X509 *issuer = s.issuer ? s.issuer->x : c.x;
	X509_NAME *name = X509_get_subject_name(c.x);
	time_t now = time(NULL);

	X509_set_version(c.x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c.x), pki_serial++);
	X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)"Acme, Inc", -1,
	                           -1, 0);
	if (s.cn)
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)s.cn,
		                           -1, -1, 0);
	X509_set_issuer_name(c.x, X509_get_subject_name(issuer));
	ASN1_TIME_set(X509_getm_notBefore(c.x), now + (s.from ? s.from : -1) * DAY);
	ASN1_TIME_set(X509_getm_notAfter(c.x), now + (s.to ? s.to : 1) * DAY);
	X509_set_pubkey(c.x, c.key);
	pki_ext(c.x, issuer, NID_basic_constraints, s.ca ? "critical,CA:TRUE" : "CA:FALSE");
	if (s.ca)
		pki_ext(c.x, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
	if (s.usage)
		pki_ext(c.x, issuer, NID_ext_key_usage, s.usage);
	pki_alt(c.x, s.names);
	CU_ASSERT_FATAL(X509_sign(c.x, s.issuer ? s.issuer->key : c.key, EVP_sha256()) > 0);
	return c;
}

static inline void pki_free(struct cert *c)
{
	X509_free(c->x);
	EVP_PKEY_free(c->key);
}

static inline FILE *pki_open(const char *name, mode_t mode)
{
	struct str path = pki_path(name);
	FILE *f = fopen(path.p, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	chmod(path.p, mode);
	return f;
}

static inline struct str pki_text(const char *name, const char *text, mode_t mode)
{
	FILE *f = pki_open(name, mode);

	fputs(text, f);
	fclose(f);
	return pki_path(name);
}

static inline struct str pki_cert(const char *name, const struct cert *c)
{
	FILE *f = pki_open(name, 0644);

	PEM_write_X509(f, c->x);
	fclose(f);
	return pki_path(name);
}

static inline struct str pki_key(const char *name, const struct cert *c, const char *passphrase)
{
	FILE *f = pki_open(name, 0600);

	PEM_write_PKCS8PrivateKey(f, c->key, passphrase ? EVP_aes_256_cbc() : NULL, passphrase,
	                          passphrase ? (int)strlen(passphrase) : 0, NULL, NULL);
	fclose(f);
	return pki_path(name);
}

/* A revocation list of `ca`; revoked may be NULL. Days from now until its next update. */
static inline struct str pki_crl(const char *name, const struct cert *ca,
                                 const struct cert *revoked, int64_t until)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_new();
	time_t now = time(NULL);
	FILE *f = pki_open(name, 0644);

	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->x));
	ASN1_TIME_set(t, now - 9 * DAY);
	X509_CRL_set1_lastUpdate(crl, t);
	if (revoked) {
		X509_REVOKED *r = X509_REVOKED_new();

		X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(revoked->x));
		X509_REVOKED_set_revocationDate(r, t);
		X509_CRL_add0_revoked(crl, r);
	}
	ASN1_TIME_set(t, now + until * DAY);
	X509_CRL_set1_nextUpdate(crl, t);
	X509_CRL_sort(crl);
	CU_ASSERT_FATAL(X509_CRL_sign(crl, ca->key, EVP_sha256()) > 0);
	PEM_write_X509_CRL(f, crl);
	fclose(f);
	ASN1_TIME_free(t);
	X509_CRL_free(crl);
	return pki_path(name);
}

#endif
