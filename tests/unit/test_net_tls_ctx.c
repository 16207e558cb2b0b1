/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What is wrong with the files of a context, in the words that the operator reads, and what is
 * taken from a certificate.
 */
#include "tls_pki.h"

static struct {
	char text[2048];
	unsigned pair;
} said;

static void told(void *arg, const char *key, const char *text)
{
	size_t n = strlen(said.text);
	size_t dir = strlen(pki_dir);
	char *p;

	(void)arg;
	snprintf(said.text + n, sizeof(said.text) - n, "%u %s: %s\n", said.pair, key, text);
	while ((p = strstr(said.text, pki_dir)) != NULL)
		memmove(p, p + dir + 1, strlen(p + dir + 1) + 1);
}

static void says(struct tls_ctx *ctx, const char *want)
{
	CU_ASSERT_PTR_NULL(ctx);
	tls_ctx_unref(ctx);
	if (strcmp(said.text, want) != 0) {
		CU_FAIL("other words");
		printf("\n--- wanted ---\n%s--- got ---\n%s", want, said.text);
	}
	said.text[0] = 0;
}

static struct tls_ctx *serve(struct tls_pair a, struct tls_pair b, struct str ca, struct str crl)
{
	struct tls_pair pairs[] = {a, b};
	struct tls_server_conf c = {.pairs = pairs,
	                            .npairs = b.key.n ? 2 : 1,
	                            .client_ca = ca,
	                            .crl = crl,
	                            .client_auth = ca.n ? TLS_AUTH_REQUIRED : TLS_AUTH_NONE,
	                            .min_version = TLS_1_2,
	                            .name = STR("main"),
	                            .pair_at = &said.pair};

	said.pair = 0;
	return tls_server_new(&c, told, NULL);
}

#define NO_PAIR ((struct tls_pair){{NULL, 0}, {NULL, 0}})

static void files_that_do_not_fit_are_named(void)
{
	hash_init();
	pki_begin();
	struct cert a = pki_make((struct cert_spec){.cn = "a", .names = {"DNS:a"}});
	struct cert b = pki_make((struct cert_spec){.cn = "b", .names = {"DNS:b"}});
	struct tls_pair good = {pki_cert("a.pem", &a), pki_key("a.key", &a, NULL)};
	struct str bkey = pki_key("b.key", &b, NULL);
	struct str locked = pki_key("locked.key", &a, "secret");
	struct str open = pki_key("open.key", &a, NULL);
	struct str cut = pki_text("cut.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n", 0644);
	struct str none = pki_text("none.pem", "nothing\n", 0600);
	struct str empty = pki_text("empty.pem", "", 0600);
	struct str lost = pki_path("lost.pem");
	struct tls_ctx *ctx = serve(good, NO_PAIR, STR_NONE, STR_NONE);

	CU_ASSERT_PTR_NOT_NULL(ctx);
	tls_ctx_unref(ctx);
	chmod(open.p, 0644);
	says(serve((struct tls_pair){lost, good.key}, NO_PAIR, STR_NONE, STR_NONE),
	     "0 certificate: lost.pem: No such file or directory\n");
	says(serve(good, (struct tls_pair){good.certificate, bkey}, STR_NONE, STR_NONE),
	     "1 key: b.key: is not the key of a.pem\n");
	says(serve((struct tls_pair){good.certificate, locked}, NO_PAIR, STR_NONE, STR_NONE),
	     "0 key: locked.key: is encrypted; write it without a passphrase\n");
	says(serve((struct tls_pair){good.certificate, open}, NO_PAIR, STR_NONE, STR_NONE),
	     "0 key: open.key: is readable by others\n");
	says(serve((struct tls_pair){cut, none}, NO_PAIR, STR_NONE, STR_NONE),
	     "0 certificate: cut.pem: bad end line\n0 key: none.pem: holds no private key that can "
	     "be read\n");
	says(serve((struct tls_pair){none, empty}, NO_PAIR, STR_NONE, STR_NONE),
	     "0 certificate: none.pem: holds no certificate\n0 key: empty.pem: is empty\n");
	says(serve(good, NO_PAIR, none, STR_NONE), "0 client_ca: none.pem: holds no certificate\n");
	says(serve(good, NO_PAIR, good.certificate, good.certificate),
	     "0 crl: a.pem: holds no revocation list\n");
	says(serve(good, NO_PAIR, cut, lost),
	     "0 client_ca: cut.pem: bad end line\n0 crl: lost.pem: No such file or directory\n");
	chmod(good.certificate.p, 0666);
	says(serve(good, NO_PAIR, STR_NONE, STR_NONE),
	     "0 certificate: a.pem: is writable by others\n");
	pki_free(&a);
	pki_free(&b);
	pki_end();
}

static void clients_need_authorities(void)
{
	pki_begin();
	struct cert a = pki_make((struct cert_spec){.cn = "a", .ca = true});
	struct tls_client_conf c = {.ca = pki_path("lost.pem")};

	says(tls_client_new(&c, told, NULL), "0 ca: lost.pem: No such file or directory\n");
	c.ca = pki_cert("a.pem", &a);
	c.certificate = c.ca;
	c.key = pki_path("lost.key");
	says(tls_client_new(&c, told, NULL), "0 key: lost.key: No such file or directory\n");
	c.certificate = STR_NONE;
	struct tls_ctx *one = tls_client_new(&c, told, NULL);

	c.http = true;
	struct tls_ctx *two = tls_client_new(&c, told, NULL);

	CU_ASSERT_FALSE(tls_ctx_same(one, two));
	CU_ASSERT_FALSE(tls_ctx_same(one, NULL));
	CU_ASSERT_TRUE(tls_ctx_same(NULL, NULL));
	tls_ctx_unref(two);
	c.http = false;
	two = tls_client_new(&c, told, NULL);
	CU_ASSERT_TRUE(tls_ctx_same(one, two));
	tls_ctx_unref(one);
	tls_ctx_unref(two);
	pki_free(&a);
	pki_end();
}

static void certificates_say_what_they_say(void)
{
	struct cert ca = pki_make((struct cert_spec){.cn = "ca", .ca = true});
	struct cert c = pki_make((struct cert_spec){
	    .cn = "j\xc3\xb6rg",
	    .issuer = &ca,
	    .names = {"URI:spiffe://a/b|/c", "DNS:x.test", "URI:spiffe://d", "IP:127.0.0.1"}});
	struct tls_peer p = {0};
	struct arena a;

	arena_init(&a, NULL);
	tls_peer_read(c.x, &a, &p);
	CU_ASSERT(str_eq(p.subject, STR("CN=j\xc3\xb6rg,O=Acme\\, Inc")));
	CU_ASSERT(str_eq(p.issuer, STR("CN=ca,O=Acme\\, Inc")));
	CU_ASSERT(str_eq(p.cn, STR("j\xc3\xb6rg")));
	CU_ASSERT(str_starts(p.serial, STR("ab")) && p.serial.n == 4);
	CU_ASSERT(str_starts(p.fingerprint, STR("sha256:")) && p.fingerprint.n == 71);
	CU_ASSERT_EQUAL_FATAL(p.nuris, 2);
	CU_ASSERT(str_eq(p.uris[0], STR("spiffe://a/b\0/c")));
	CU_ASSERT(str_eq(p.uris[1], STR("spiffe://d")));
	CU_ASSERT_EQUAL_FATAL(p.ndns, 1);
	CU_ASSERT(str_eq(p.dns[0], STR("x.test")));
	CU_ASSERT_EQUAL(p.not_after - p.not_before, 2 * DAY);
	/* Two common names are none. */
	X509_NAME_add_entry_by_txt(X509_get_subject_name(c.x), "CN", MBSTRING_UTF8,
	                           (const unsigned char *)"b", -1, -1, 0);
	p = (struct tls_peer){0};
	tls_peer_read(c.x, &a, &p);
	CU_ASSERT_EQUAL(p.cn.n, 0);
	arena_deinit(&a);
	pki_free(&c);
	pki_free(&ca);
}

UNIT_MAIN("net_tls_ctx", UNIT(files_that_do_not_fit_are_named), UNIT(clients_need_authorities),
          UNIT(certificates_say_what_they_say))
