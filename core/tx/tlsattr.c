/* SPDX-License-Identifier: Apache-2.0 */
/* SPDX-FileCopyrightText: 2026 The Merlon authors */
/*
 * What a request knows of its TLS connection. The texts are the connection's: the request holds a
 * reference to them instead of a copy, since it may outlive the connection.
 */
#include "net/tls.h"
#include "tx/tx.h"

static void drop_peer(void *arg)
{
	tls_peer_unref(arg);
}

static void set_list(merlon_tx *tx, struct str key, const struct str *v, unsigned n)
{
	struct merlon_str *list;

	if (n == 0)
		return;
	list = arena_alloc(&tx->arena, n * sizeof(*list));
	for (unsigned i = 0; i < n; i++)
		list[i] = to_merlon(v[i]);
	attrs_set(&tx->base.attrs, key,
	          &(struct merlon_val){.type = MERLON_VAL_STRLIST, .count = n, .u.list = list});
}

static void set_client(merlon_tx *tx, const struct tls_peer *p, enum tls_verify v)
{
	static const struct str words[] = {
	    [TLS_VERIFY_NONE] = {"", 0},
	    [TLS_VERIFY_OK] = {"ok", 2},
	    [TLS_VERIFY_EXPIRED] = {"expired", 7},
	    [TLS_VERIFY_REVOKED] = {"revoked", 7},
	    [TLS_VERIFY_UNTRUSTED] = {"untrusted", 9},
	};
	struct attrs *as = &tx->base.attrs;

	attrs_set_str(as, STR("tls.client.verify"), words[v]);
	attrs_set_str(as, STR("tls.client.subject"), p->subject);
	attrs_set_str(as, STR("tls.client.issuer"), p->issuer);
	attrs_set_str(as, STR("tls.client.serial"), p->serial);
	attrs_set_str(as, STR("tls.client.cn"), p->cn);
	attrs_set_str(as, STR("tls.client.fingerprint"), p->fingerprint);
	set_list(tx, STR("tls.client.uris"), p->uris, p->nuris);
	set_list(tx, STR("tls.client.dns"), p->dns, p->ndns);
	attrs_set(as, STR("tls.client.not_after"),
	          &(struct merlon_val){.type = MERLON_VAL_I64, .u.i64 = p->not_after});
}

/* By this generation's listener: a reload may have brought a new list of revocations, and so may
 * the time have passed. */
static enum tls_verify verify(const merlon_tx *tx)
{
	const struct gen_listener *l = gen_listener(tx->gw->gen, tx->c->listener);
	uint64_t us = loop_wall_us(tx->w->base.loop);

	return stream_tls_verify(tx->c->s, l ? l->tls : NULL, (int64_t)(us / 1000000));
}

void tx_tls_attributes(merlon_tx *tx)
{
	const struct tls_peer *p = stream_tls(tx->c->s);
	struct attrs *as = &tx->base.attrs;
	enum tls_verify v;

	if (!p)
		return;
	arena_on_free(&tx->arena, drop_peer, (void *)(uintptr_t)tls_peer_ref(p));
	attrs_set_str(as, STR("tls.version"), p->version);
	attrs_set_str(as, STR("tls.cipher"), p->cipher);
	if (p->server_name.n > 0)
		attrs_set_str(as, STR("tls.server_name"), p->server_name);
	v = verify(tx);
	if (v != TLS_VERIFY_NONE)
		set_client(tx, p, v);
}
