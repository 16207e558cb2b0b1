/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What is taken from a certificate: every text has its bytes, whatever they are. The input is the
 * DER of a certificate, or, so that names are reached without a signature to guess, a common name
 * of some type and the inside of an extension with alternative names.
 */
#include "net/tlspriv.h"

#include <openssl/x509v3.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t look(struct str s)
{
	size_t sum = 0;

	for (size_t i = 0; i < s.n; i++)
		sum += (unsigned char)s.p[i];
	return sum;
}

static void read_peer(X509 *x)
{
	struct tls_peer p = {0};
	struct arena a;
	volatile size_t sum;

	arena_init(&a, NULL);
	tls_peer_read(x, &a, &p);
	sum = look(p.subject) + look(p.issuer) + look(p.cn) + look(p.serial) + look(p.fingerprint);
	for (unsigned i = 0; i < p.nuris; i++)
		sum += look(p.uris[i]);
	for (unsigned i = 0; i < p.ndns; i++)
		sum += look(p.dns[i]);
	(void)sum;
	if (p.fingerprint.n != 0 && p.fingerprint.n != 7 + SHA256_HEX)
		abort();
	arena_deinit(&a);
}

static void add_alt(X509 *x, const uint8_t *data, size_t n)
{
	ASN1_OCTET_STRING *inside = ASN1_OCTET_STRING_new();
	X509_EXTENSION *e;

	ASN1_OCTET_STRING_set(inside, data, (int)n);
	e = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, inside);
	if (e)
		X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	ASN1_OCTET_STRING_free(inside);
}

static void of_names(const uint8_t *data, size_t size)
{
	static const int types[] = {V_ASN1_UTF8STRING,      V_ASN1_BMPSTRING,
	                            V_ASN1_UNIVERSALSTRING, V_ASN1_PRINTABLESTRING,
	                            V_ASN1_T61STRING,       V_ASN1_OCTET_STRING};
	size_t cn;
	X509 *x;

	if (size < 3)
		return;
	cn = data[1] % (size - 1);
	x = X509_new();
	X509_NAME_add_entry_by_NID(X509_get_subject_name(x), NID_commonName, types[data[0] / 2 % 6],
	                           data + 2, (int)cn, -1, 0);
	add_alt(x, data + 2 + cn, size - 2 - cn);
	read_peer(x);
	X509_free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	const unsigned char *at = data + 1;
	X509 *x;

	if (!ready)
		hash_init();
	ready = true;
	if (size > 1 && (data[0] & 1)) {
		x = d2i_X509(NULL, &at, (long)size - 1);
		if (x)
			read_peer(x);
		X509_free(x);
	} else {
		of_names(data, size);
	}
	return 0;
}
