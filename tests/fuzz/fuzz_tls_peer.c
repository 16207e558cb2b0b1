/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/* What is taken from a certificate, out of any DER: every text has its bytes, whatever they are. */
#include "net/tlspriv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t look(struct str s)
{
	size_t sum = 0;

	for (size_t i = 0; i < s.n; i++)
		sum += (unsigned char)s.p[i];
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const unsigned char *at = data;
	struct tls_peer p = {0};
	struct arena a;
	X509 *x = d2i_X509(NULL, &at, (long)size);
	static bool ready;
	volatile size_t sum;

	if (!x)
		return 0;
	if (!ready)
		hash_init();
	ready = true;
	arena_init(&a, NULL);
	tls_peer_read(x, &a, &p);
	sum = look(p.subject) + look(p.issuer) + look(p.cn) + look(p.serial) + look(p.fingerprint);
	for (unsigned i = 0; i < p.nuris; i++)
		sum += look(p.uris[i]);
	for (unsigned i = 0; i < p.ndns; i++)
		sum += look(p.dns[i]);
	(void)sum;
	if (p.fingerprint.n != 7 + SHA256_HEX)
		abort();
	arena_deinit(&a);
	X509_free(x);
	return 0;
}
